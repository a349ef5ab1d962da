"""Part ``memory``: what a fit adds to the memory that X takes.

A child process makes X and notes the peak of its resident memory, fits, and notes it
again. The first peak is the baseline: Python, the libraries and X itself.
"""

from __future__ import annotations

import importlib
import statistics
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from . import peers
from .options import Options
from .peers.estimators import fit_quietly
from .report import percent, table
from .workers import Worker, WorkerFailed

__all__ = ["KINDS", "TITLE", "FitMemory", "markdown", "run"]

TITLE = "Peak memory of a fit"
N_FEATURES = 500
HIDDEN = (100,)
N_CLASSES = 10
# On Linux a child starts with the peak of its parent, below which nothing can be seen:
# X must be larger than this process. That of --quick is not.
MEGABYTES = 400
QUICK_MEGABYTES = 10
LIBRARIES = {"fastbp": "fastbp", "sklearn": "sklearn.neural_network"}
# X and what the fit adds, less the state of the model, in units of X.
GOAL = 1.1


def _dense(n_bytes: int, dtype: str, order: Any) -> NDArray[Any]:
    """Make X without a temporary: the peak must be X itself."""
    n_rows = n_bytes // (N_FEATURES * np.dtype(dtype).itemsize)
    X = np.empty((n_rows, N_FEATURES), dtype, order=order)
    rng = np.random.default_rng(0)
    for part in X if order == "C" else X.T:
        part[:] = rng.random(len(part), dtype=dtype)
    return X


def _csr(n_bytes: int) -> sp.csr_matrix:
    """Make float32 X with a tenth of non-zeros, with 32-bit indices."""
    per_row = N_FEATURES // 10
    n_rows = n_bytes // (per_row * 8)
    X = np.empty(n_rows * per_row, np.float32)
    indices = np.empty((n_rows, per_row), np.int32)
    rng = np.random.default_rng(0)
    rng.random(out=X, dtype=np.float32)
    offsets = np.arange(per_row) * 10
    for row in indices:
        row[:] = offsets + rng.integers(10)
    indptr = np.arange(n_rows + 1, dtype=np.int32) * per_row
    return sp.csr_matrix((X, indices.ravel(), indptr), shape=(n_rows, N_FEATURES))


#: Every kind of X by its name.
KINDS: dict[str, Callable[[int], Any]] = {
    "float32": lambda n_bytes: _dense(n_bytes, "float32", "C"),
    "float64": lambda n_bytes: _dense(n_bytes, "float64", "C"),
    "float32, Fortran order": lambda n_bytes: _dense(n_bytes, "float32", "F"),
    "float32, CSR": _csr,
}


class FitMemory:
    """Makes X and fits; lives in a process of its own, for one fit."""

    def __init__(self, library: str, kind: str, n_bytes: int) -> None:
        self.module = importlib.import_module(LIBRARIES[library])
        self.X = KINDS[kind](n_bytes)

    def versions(self) -> dict[str, str]:
        package, _, _ = self.module.__name__.partition(".")
        return {package: sys.modules[package].__version__}

    def peaks(self) -> dict[str, float]:
        """Return the sizes of X and of the model, and the peaks, in bytes."""
        y = np.arange(self.X.shape[0]) % N_CLASSES
        estimator = self.module.MLPClassifier(HIDDEN, max_iter=2)
        baseline = peak_memory()
        fit_quietly(estimator, self.X, y)
        parameters = [*estimator.coefs_, *estimator.intercepts_]
        return {
            "size": _size(self.X),
            "model": 3 * sum(p.nbytes for p in parameters),  # with Adam's two moments
            "baseline": baseline,
            "peak": peak_memory(),
        }


def peak_memory() -> int:
    """Return the peak of the resident memory of this process, in bytes."""
    import resource  # not on Windows

    unit = 1 if sys.platform == "darwin" else 1024
    return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _size(X: Any) -> int:
    if sp.issparse(X):
        return int(X.data.nbytes + X.indices.nbytes + X.indptr.nbytes)
    return int(X.nbytes)


def run(options: Options) -> dict[str, Any]:
    """Measure every kind of X with every library, a fresh process for each fit."""
    n_bytes = (QUICK_MEGABYTES if options.quick else MEGABYTES) * 10**6
    chosen = peers.libraries(options.peers or list(LIBRARIES))
    rows, problems = [], []
    versions: dict[str, str] = {}
    for kind in KINDS:
        for library in (name for name in LIBRARIES if name in chosen):
            try:
                measured = [
                    _measure(library, kind, n_bytes) for _ in range(options.repeats)
                ]
            except WorkerFailed as error:
                problems.append(f"{kind}, {library}: {error}")
                continue
            versions |= measured[0][0]
            summary = _summary([peaks for _, peaks in measured])
            if summary["baseline"] <= peak_memory() and not options.quick:
                problems.append(f"{kind}, {library}: X is too small to measure with")
            rows.append({"X": kind, "library": library, **summary})
            options.log(f"{kind}, {library}: {rows[-1]['total']:.2f} x X")
    return {
        "versions": versions,
        "repeats": options.repeats,
        "rows": rows,
        "problems": problems,
    }


def _measure(
    library: str, kind: str, n_bytes: int
) -> tuple[dict[str, str], dict[str, float]]:
    """Return versions and peaks of one fit."""
    with Worker(library, FitMemory, library, kind, n_bytes) as worker:
        worker.ready()
        return worker.call("versions"), worker.call("peaks")


def _summary(rounds: list[dict[str, float]]) -> dict[str, Any]:
    """Return medians; ``total`` is X and what the fit adds but for the model."""
    median = {key: statistics.median(r[key] for r in rounds) for key in rounds[0]}
    added = median["peak"] - median["baseline"]
    total = 1 + max(0.0, added - median["model"]) / median["size"]
    return {**median, "added": added, "total": total}


def markdown(document: dict[str, Any]) -> list[str]:
    """Render one table."""
    cells = [
        [
            row["X"],
            row["library"],
            _megabytes(row["size"]),
            _megabytes(row["added"]),
            percent(row["added"] / row["size"]),
            _megabytes(row["model"]),
            f"{row['total']:.2f} x",
        ]
        for row in document["rows"]
    ]
    header = ["X", "library", "size of X", "added by fit", "of X", "model state"]
    return [
        "What a fit adds to the peak of the resident memory of a process that has made",
        f"X (`getrusage`), median of {document['repeats']} processes. The model state",
        "is weights and Adam's moments. The last column is",
        f"(X + added - model state) / X; the goal for fastbp is at most {GOAL} x.",
        "",
        *table([*header, "X and the rest"], cells),
    ]


def _megabytes(n_bytes: float) -> str:
    return f"{n_bytes / 1e6:.1f} MB"
