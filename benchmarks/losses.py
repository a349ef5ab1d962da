"""The training loss of any peer's weights: one function that judges them all."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .cases import Job

__all__ = ["Parameters", "training_loss"]

#: Weights (n_in, n_out) and biases (n_out,) of every layer.
Parameters = tuple[list[NDArray[Any]], list[NDArray[Any]]]

# The losses of the trained networks are compared on so many rows.
MAX_LOSS_ROWS = 10_000


def training_loss(job: Job, X: Any, y: NDArray[Any], parameters: Parameters) -> float:
    """Compute the loss without penalty, in float64 and with NumPy alone.

    Every peer is judged by this one function, on the first rows of the data.
    """
    rows = slice(min(job.n_samples, MAX_LOSS_ROWS))
    z, y = X[rows].astype(np.float64), y[rows]
    coefs, intercepts = parameters
    for layer, (coef, intercept) in enumerate(zip(coefs, intercepts, strict=True)):
        if layer > 0:
            z = np.maximum(z, 0) if job.activation == "relu" else _logistic(z)
        z = z @ coef.astype(np.float64) + intercept
    if job.task == "multiclass":
        top = z.max(axis=1, keepdims=True)
        log_sum = np.log(np.exp(z - top).sum(axis=1)) + top[:, 0]
        return float(np.mean(log_sum - z[np.arange(len(y)), y]))
    if job.task == "binary":
        return float(np.mean(np.logaddexp(0, z[:, 0]) - y * z[:, 0]))
    return float(0.5 * np.mean((z[:, 0] - y) ** 2))


def _logistic(z: NDArray[Any]) -> NDArray[Any]:
    return 0.5 * (1 + np.tanh(0.5 * z))
