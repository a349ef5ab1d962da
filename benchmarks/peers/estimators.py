"""fastbp and scikit-learn: the same estimators, timed inside a plain ``fit``.

Both print a line per epoch when ``verbose`` is set; the clock is read when the line
arrives. The first epoch is dropped, because it also holds the checks of the input, the
label encoding and the initial weights.
"""

from __future__ import annotations

import contextlib
import io
import time
import warnings
from abc import abstractmethod
from typing import Any

import numpy as np

from ..cases import Job
from ..losses import Parameters
from .base import SEED, WARMUP_EPOCHS, Peer

__all__ = [
    "EpochClock",
    "FastbpBlasPeer",
    "FastbpPeer",
    "SklearnPeer",
    "estimator_name",
    "fit_quietly",
    "settings",
]


def settings(job: Job, n_epochs: int) -> dict[str, Any]:
    """Return a job as parameters of ``MLPClassifier`` or ``MLPRegressor``."""
    return {
        "hidden_layer_sizes": job.hidden,
        "activation": job.activation,
        "solver": job.solver,
        "alpha": job.alpha,
        "batch_size": job.batch_size,
        "learning_rate_init": job.learning_rate,
        **({"momentum": 0.0} if job.solver == "sgd" else {}),
        "max_iter": n_epochs,
        "n_iter_no_change": n_epochs,  # never stop early
        "random_state": SEED,
    }


def estimator_name(job: Job) -> str:
    return "MLPRegressor" if job.task == "regression" else "MLPClassifier"


def fit_quietly(estimator: Any, X: Any, y: Any) -> None:
    """Fit without the warning that training ends before it converges, as intended."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        estimator.fit(X, y)


class EpochClock(io.StringIO):
    """A stream that notes when the line of each epoch is printed to it."""

    def __init__(self) -> None:
        super().__init__()
        self.times: list[float] = []

    def write(self, text: str) -> int:
        if text.startswith("Iteration"):
            self.times.append(time.perf_counter())
        return len(text)


class _EstimatorPeer(Peer):
    """What fastbp and scikit-learn have in common."""

    @abstractmethod
    def make(self, name: str, **settings: Any) -> Any:
        """Build the library's MLPClassifier or MLPRegressor."""

    def round(self, n_epochs: int) -> list[float]:
        self.fitted = self.make(
            estimator_name(self.job),
            **settings(self.job, WARMUP_EPOCHS + n_epochs),
            verbose=True,
        )
        clock = EpochClock()
        with contextlib.redirect_stdout(clock):
            fit_quietly(self.fitted, self.X, self.y)
        return np.diff(clock.times).tolist()

    def parameters(self) -> Parameters:
        return self.fitted.coefs_, self.fitted.intercepts_


class FastbpPeer(_EstimatorPeer):
    gemm = "builtin"

    def make(self, name: str, **settings: Any) -> Any:
        import fastbp

        return getattr(fastbp, name)(n_jobs=self.n_threads, **settings)

    def round(self, n_epochs: int) -> list[float]:
        import fastbp

        with fastbp.config_context(gemm=self.gemm):
            return super().round(n_epochs)

    def threads(self) -> int:
        from .. import engine

        network = engine.network(self.job)
        return engine.threads(network, self.X, self.job.batch_size, self.n_threads)

    def versions(self) -> dict[str, str]:
        import fastbp
        from fastbp import _core

        build = _core.build_info()
        how = ", ".join(build[key] for key in ("compiler", "isa_active", "parallel"))
        return {"fastbp": f"{fastbp.__version__} ({how})"}


class FastbpBlasPeer(FastbpPeer):
    """fastbp with its matrix products made by SciPy's BLAS."""

    gemm = "blas"


class SklearnPeer(_EstimatorPeer):
    def make(self, name: str, **settings: Any) -> Any:
        import sklearn.neural_network

        return getattr(sklearn.neural_network, name)(**settings)

    def round(self, n_epochs: int) -> list[float]:
        from threadpoolctl import threadpool_limits

        with threadpool_limits(self.n_threads):  # None: as many as BLAS likes
            return super().round(n_epochs)

    def threads(self) -> int:
        return self.n_threads or max(lib["num_threads"] for lib in _blas())

    def versions(self) -> dict[str, str]:
        import sklearn

        names = {
            f"{lib['internal_api']} {lib['version']} {lib.get('architecture', '')}"
            for lib in _blas()
        }
        return {"scikit-learn": sklearn.__version__, "BLAS": ", ".join(sorted(names))}


def _blas() -> list[dict[str, Any]]:
    """Describe the BLAS libraries of this process."""
    from threadpoolctl import threadpool_info

    return [lib for lib in threadpool_info() if lib["user_api"] == "blas"]
