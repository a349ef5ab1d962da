"""The loss at the end of a network of layers: its targets, its values, its gradient."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, log_softmax, softmax, xlogy

__all__ = ["Objective", "mean_loss"]

_LOSSES = {
    "squared_error": "squared_error",
    "cross_entropy": "softmax_cross_entropy",
    "binary_cross_entropy": "binary_cross_entropy",
    "poisson": "poisson",
}


class Objective:
    """A loss by name."""

    def __init__(self, loss: Any) -> None:
        if not isinstance(loss, str) or loss not in _LOSSES:
            raise ValueError(
                f"loss must be one of {', '.join(map(repr, _LOSSES))}, got {loss!r}"
            )
        self.loss = loss

    @property
    def core_loss(self) -> Any:
        """The core's name of it."""
        return _LOSSES[self.loss]

    @property
    def has_labels(self) -> bool:
        """Whether the targets are class labels, 0 .. n_out - 1."""
        return self.loss == "cross_entropy"

    def check(self, activation: str) -> None:
        """Refuse an output activation beside the one that belongs to the loss."""
        if self.loss != "squared_error" and activation != "identity":
            raise ValueError(
                f"loss={self.loss!r} is computed from pre-activations: the last layer "
                f"must have activation='identity', got {activation!r}"
            )

    def encode(
        self, y: Any, n_rows: int, n_out: int, dtype: Any, name: str = "y"
    ) -> NDArray[Any]:
        """Return y as the core wants it; ValueError unless it fits the network."""
        y = np.asarray(y)
        if y.dtype.kind not in "fiub":
            raise ValueError(f"{name} must hold numbers, got dtype {y.dtype}")
        if self.has_labels:
            return _labels(y, n_rows, n_out, name)
        if y.shape == (n_rows,) and n_out == 1:
            y = y[:, np.newaxis]
        if y.shape != (n_rows, n_out):
            raise ValueError(
                f"{name} must have shape {(n_rows, n_out)} for loss={self.loss!r}, got "
                f"{y.shape}"
            )
        if not np.isfinite(y).all():
            raise ValueError(f"{name} must be finite, got NaN or infinity")
        self._check_range(y, name)
        return np.ascontiguousarray(y, dtype=dtype)

    def _check_range(self, y: NDArray[Any], name: str) -> None:
        high = {"binary_cross_entropy": 1, "poisson": np.inf}.get(self.loss)
        if high is not None and ((y < 0) | (y > high)).any():
            allowed = "in [0, 1]" if high == 1 else "not negative"
            raise ValueError(f"{name} must be {allowed} for loss={self.loss!r}")

    def per_row(
        self, y: NDArray[Any], z: NDArray[Any]
    ) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return the loss of each row and its gradient at the outputs z."""
        if self.loss == "squared_error":
            return ((z - y) ** 2).sum(axis=1) / 2, z - y
        if self.loss == "cross_entropy":
            rows = np.arange(len(y))
            gradient = softmax(z, axis=1)
            gradient[rows, y] -= 1
            return -log_softmax(z, axis=1)[rows, y], gradient
        if self.loss == "binary_cross_entropy":
            return (np.logaddexp(0, z) - y * z).sum(axis=1), expit(z) - y
        p = np.exp(z)
        return (xlogy(y, y) - y * z - y + p).sum(axis=1), p - y


def _labels(y: NDArray[Any], n_rows: int, n_out: int, name: str) -> NDArray[Any]:
    if y.shape != (n_rows,):
        raise ValueError(f"{name} must have shape {(n_rows,)}, got {y.shape}")
    labels = y.astype(np.int64)
    bad = np.flatnonzero((labels != y) | (labels < 0) | (labels >= n_out))
    if len(bad):
        raise ValueError(
            f"{name} must hold classes in [0, {n_out}), one for each output, got "
            f"{name}[{bad[0]}] = {y[bad[0]]}"
        )
    return labels


def mean_loss(
    objective: Objective,
    y: NDArray[Any],
    outputs: NDArray[Any],
    weights: NDArray[np.float64] | None,
) -> tuple[float, NDArray[Any]]:
    """Return the weighted mean of the losses of the rows, and its gradient."""
    losses, gradient = objective.per_row(y, outputs)
    if weights is None:
        weights = np.ones(len(losses))
    total = weights.sum()
    scale = (weights / total).astype(gradient.dtype)
    return float(weights @ losses / total), gradient * scale[:, np.newaxis]
