"""The loss at the end of a network of layers: its output, its targets, its values."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import _core
from ._data import weighted_mean
from .activations import ACTIVATIONS, Activation
from .losses import (
    CustomLoss,
    Gamma,
    LogLoss,
    Loss,
    Poisson,
    Quantile,
    _OfClasses,
    get_loss,
)

__all__ = ["Objective"]

_SUM_TOLERANCE = 1e-3  # of probabilities in a narrow type


class Objective:
    """A loss behind the last layer of a network.

    Attributes
    ----------
    loss : Loss
    output : str
        The output activation, by its name in the core, that the loss applies.
    takes_activation : bool
        Whether that is the activation of the last layer, which is then identity in the
        core. If not, it is one that the loss has of its own, behind an identity.
    outer_loss : CustomLoss or None
        The loss, if it is the user's.
    """

    def __init__(self, loss: Any, activation: Activation, n_out: int) -> None:
        self.loss = _loss_of(loss)
        self.n_out = n_out
        self.outer_loss = self.loss if isinstance(self.loss, CustomLoss) else None
        name = activation.name
        self.takes_activation = name in self.loss._outputs
        if self.takes_activation:
            self.output = name
        elif name == "identity":
            self.output = self._own_output()
        elif "identity" in self.loss._outputs and activation.is_elementwise:
            self.output = "identity"  # behind the layer's activation
        elif "identity" in self.loss._outputs:
            raise ValueError(
                f"loss={loss!r} needs a last layer with the activation 'identity', or "
                f"with another of each unit alone, got {name!r}"
            )
        else:
            others = [n for n in self.loss._outputs if n in (*ACTIVATIONS, "softmax")]
            raise ValueError(
                f"loss={loss!r} needs a last layer with the activation 'identity', to "
                f"which it applies {self._own_output()!r}, or one of "
                f"{', '.join(map(repr, others))}, got {name!r}"
            )
        if isinstance(self.loss, Quantile):
            self.loss._levels(n_out)  # refuses another number of outputs

    def _own_output(self) -> str:
        outputs = self.loss._outputs
        if self.is_of_classes:
            return "softmax" if self.n_out > 1 else "logistic"
        return outputs[0]

    @property
    def is_of_classes(self) -> bool:
        return isinstance(self.loss, _OfClasses)

    @property
    def _smoothing(self) -> float:
        return float(getattr(self.loss, "label_smoothing", 0.0))

    def in_core(self, y: NDArray[Any]) -> _core.Loss:
        """Return the loss as the core takes it, for such targets."""
        if isinstance(self.loss, LogLoss) and self.output == "softmax" and y.ndim == 2:
            return _core.Loss(
                "cross_entropy", "softmax", label_smoothing=self._smoothing
            )
        loss: _core.Loss = self.loss._in_core(self.output, self.n_out, self._smoothing)
        return loss

    def encode(self, y: Any, n_rows: int, dtype: Any, name: str = "y") -> NDArray[Any]:
        """Return y as the core wants it; ValueError unless it fits the network."""
        y = np.asarray(y)
        if y.dtype.kind not in "fiub":
            raise ValueError(f"{name} must hold numbers, got dtype {y.dtype}")
        if self.output == "softmax" and y.ndim == 1:
            return self._labels(y, n_rows, name)
        if y.shape == (n_rows,) and self.n_out == 1:
            y = y[:, np.newaxis]
        if y.shape != (n_rows, self.n_out):
            raise ValueError(
                f"{name} must have shape {(n_rows, self.n_out)} for {self.loss!r}, got "
                f"{y.shape}"
            )
        if not np.isfinite(y).all():
            raise ValueError(f"{name} must be finite, got NaN or infinity")
        self._check_range(y, name)
        return np.ascontiguousarray(y, dtype=dtype)

    def _labels(self, y: NDArray[Any], n_rows: int, name: str) -> NDArray[Any]:
        if y.shape != (n_rows,):
            raise ValueError(f"{name} must have shape {(n_rows,)}, got {y.shape}")
        bad = np.flatnonzero((y != np.floor(y)) | (y < 0) | (y >= self.n_out))
        if len(bad):
            raise ValueError(
                f"{name} must hold classes in [0, {self.n_out}), one for each output, "
                f"got {name}[{bad[0]}] = {y[bad[0]]}"
            )
        return y.astype(np.int64)

    def _check_range(self, y: NDArray[Any], name: str) -> None:
        if self.is_of_classes and ((y < 0) | (y > 1)).any():
            raise ValueError(
                f"{name} must be in [0, 1] for {self.loss!r}, got numbers from "
                f"{y.min()} to {y.max()}"
            )
        if self.is_of_classes and self.output == "softmax":
            sums = y.sum(axis=1, dtype=np.float64)
            bad = np.flatnonzero(np.abs(sums - 1) > _SUM_TOLERANCE)
            if len(bad):
                raise ValueError(
                    f"{name} must hold probabilities whose sum is 1 in each row, got "
                    f"{sums[bad[0]]:g} in row {bad[0]}"
                )
        if isinstance(self.loss, Poisson) and (y < 0).any():
            raise ValueError(
                f"{name} must not be negative for {self.loss!r}, got {y.min()}"
            )
        if isinstance(self.loss, Gamma) and (y <= 0).any():
            raise ValueError(
                f"{name} must be positive for {self.loss!r}, got {y.min()}"
            )

    def numbers(self, y: NDArray[Any], dtype: Any) -> NDArray[Any]:
        """Return encoded targets with a column for each output, labels as ones."""
        if y.ndim == 2:
            return y
        ones = np.zeros((len(y), self.n_out), dtype=dtype)
        ones[np.arange(len(y)), y] = 1
        return ones

    def mean(
        self, y: NDArray[Any], p: NDArray[Any], weights: NDArray[np.float64] | None
    ) -> float:
        """Return the weighted mean of the losses of the rows with outputs p."""
        y = self.numbers(y, p.dtype)
        if self._smoothing:
            n_classes = self.n_out if self.output == "softmax" else 2
            y = (1 - self._smoothing) * y + self._smoothing / n_classes
        losses = self.loss.per_output(y, p)
        if self.is_of_classes and self.output == "logistic":
            losses = losses + self.loss.per_output(1 - y, 1 - p)  # of both classes
        return weighted_mean(losses.sum(axis=1), weights)


def _loss_of(loss: Any) -> Loss:
    if callable(loss) and not isinstance(loss, type | Loss):
        return CustomLoss(loss)
    return get_loss(loss)
