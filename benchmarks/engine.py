"""fastbp's C++ core, called without the Python layer of the estimators."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastbp import _core
from fastbp._data import mean_inputs, rows_of
from fastbp._threads import effective_n_threads

from .cases import Job
from .losses import Parameters

__all__ = ["Engine", "network", "threads"]

_LOSSES = {
    "multiclass": "softmax_cross_entropy",
    "binary": "binary_cross_entropy",
    "regression": "squared_error",
}


def network(job: Job) -> Any:
    """Build the core's network of a job, its weights not set."""
    loss: Any = _LOSSES[job.task]
    return _core.Network(job.units, job.activation, loss, job.dtype)


def threads(
    network: Any, X: Any, n_rows: int, n_jobs: int | None = None, training: bool = True
) -> int:
    """Return the threads that an estimator takes for a step of some rows of X."""
    limit, _ = effective_n_threads(n_jobs)
    return _core.threads_for(
        network, n_rows, limit, n_inputs=mean_inputs(X), training=training
    )


class Engine:
    """A network and its trainer, and nothing around them.

    Everything that Python can prepare is prepared before the clock starts.
    """

    def __init__(self, job: Job, X: Any, y: NDArray[Any]) -> None:
        self.job = job
        self.X = X
        self._rows = rows_of(X)
        self._y = y if job.task == "multiclass" else y[:, None].astype(job.dtype)

    def train(
        self,
        parameters: Parameters,
        orders: list[NDArray[np.int64]],
        validation_rows: NDArray[np.int64] | None = None,
    ) -> tuple[float, list[float]]:
        """Train an epoch per order; return the seconds of all and the loss of each.

        Each epoch ends with a prediction of the validation rows, if there are any.
        """
        net = network(self.job)
        net.set_parameters(*parameters)
        trainer = _core.Trainer(net, self.job.solver)
        n_threads = threads(net, self.X, self.job.batch_size)
        if validation_rows is not None:
            n_rows = len(validation_rows)
            validation = rows_of(self.X[validation_rows])
            n_predict = threads(net, self.X, n_rows, training=False)
        losses = []
        start = time.perf_counter()
        for order in orders:
            total = trainer.run_epoch(
                self._rows,
                self._y,
                None,
                order,
                batch_size=self.job.batch_size,
                learning_rate=self.job.learning_rate,
                alpha=self.job.alpha,
                n_threads=n_threads,
            )
            losses.append(total / len(order))
            if validation_rows is not None:
                net.predict(validation, n_threads=n_predict)
        return time.perf_counter() - start, losses
