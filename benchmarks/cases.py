"""The named training jobs: what is trained, on what, with which settings.

A job is only a description. ``data.py`` makes its arrays, ``peers.py`` trains it.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import Literal

__all__ = ["JOBS", "Job"]


@dataclass(frozen=True)
class Job:
    """One network trained on one data set; the same for every peer.

    Attributes
    ----------
    name : str
        What ``--jobs`` calls it.
    data : str
        Name of the loader in ``data.py``.
    n_samples : int
        Training rows (the first ones of the data set).
    units : tuple of int
        Units of every layer, input and output included.
    batch_size : int
        Rows of a step; the last batch of an epoch may be shorter.
    solver : {"adam", "sgd"}
        SGD is plain, without momentum.
    learning_rate : float
        Constant.
    activation : {"relu", "logistic"}
        Of the hidden layers.
    task : {"multiclass", "binary", "regression"}
        Softmax cross-entropy, binary cross-entropy or half the squared error.
    dtype : {"float32", "float64"}
        Type of the data and of the weights.
    alpha : float
        L2 penalty as scikit-learn defines it: alpha / 2 * sum(W**2) / batch rows.
    density : float
        Share of non-zeros in X; below 1 the data is a CSR matrix.
    epochs : int
        Timed epochs of a round, so that a round takes about a second or two.
    """

    name: str
    data: str
    n_samples: int
    units: tuple[int, ...]
    batch_size: int
    solver: Literal["adam", "sgd"] = "adam"
    learning_rate: float = 1e-3
    activation: Literal["relu", "logistic"] = "relu"
    task: Literal["multiclass", "binary", "regression"] = "multiclass"
    dtype: Literal["float32", "float64"] = "float32"
    alpha: float = 1e-4
    density: float = 1.0
    epochs: int = 1

    @property
    def sparse(self) -> bool:
        return self.density < 1.0

    @property
    def hidden(self) -> tuple[int, ...]:
        return self.units[1:-1]

    @property
    def title(self) -> str:
        """One line for tables: rows; units; batch; solver, dtype."""
        runs = [(units, len(list(run))) for units, run in groupby(self.units)]
        layers = "-".join(
            f"{n} x {units}" if n > 3 else "-".join([str(units)] * n)
            for units, n in runs
        )
        kind = f"{self.solver} {self.dtype}" + (" CSR" if self.sparse else "")
        return f"{self.n_samples}; {layers}; batch {self.batch_size}; {kind}"

    @property
    def flops_per_epoch(self) -> float:
        """Floating-point operations of the matrix products of one epoch.

        Two per weight and row, three times: forward, gradient of the weights, gradient
        of the inputs, which the first layer does not need. Products with the zeros
        of a sparse X do not count.
        """
        first, *others = (n_in * n_out for n_in, n_out in pairwise(self.units))
        return 2.0 * self.n_samples * (2 * first * self.density + 3 * sum(others))


_DEFAULT = ("mnist", 60_000, (784, 100, 10), 200)
_TABULAR = ("tabular", 60_000, (128, 256, 256, 256, 10), 256)

# The network and the rate (for cross-entropy) of the textbook "Neural Networks and Deep
# Learning".
_BOOK = Job(
    "book",
    "mnist",
    60_000,
    (784, 30, 10),
    10,
    solver="sgd",
    learning_rate=0.5,
    activation="logistic",
    epochs=2,
)
_ONLINE = Job(
    "online",
    "online",
    10_000,
    (20, 16, 1),
    1,
    solver="sgd",
    learning_rate=0.01,
    task="binary",
)
_REGRESS = Job(
    "regress", "housing", 20_640, (8, 64, 64, 1), 64, task="regression", epochs=10
)
_SPARSE = Job("sparse", "sparse", 20_000, (50_000, 64, 10), 200, density=100 / 50_000)

_ALL = [
    Job("digits", "digits", 1797, (64, 32, 10), 32, epochs=20),
    _BOOK,
    Job("default", *_DEFAULT, epochs=4),
    Job("tabular", *_TABULAR, epochs=3),
    Job("wide", "mnist", 60_000, (784, 1024, 1024, 10), 512),
    Job("big", "mnist", 30_000, (784, 2048, 2048, 10), 1024),
    Job("default64", *_DEFAULT, dtype="float64", epochs=3),
    Job("tabular64", *_TABULAR, dtype="float64", epochs=2),
    _ONLINE,
    _REGRESS,
    _SPARSE,
]

#: Every job by its name.
JOBS: dict[str, Job] = {job.name: job for job in _ALL}
