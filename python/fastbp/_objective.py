"""The loss at the end of a network: its output activation, its targets, its values."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import _core
from ._data import Samples, as_numbers, conversion_of
from .activations import Activation
from .losses import (
    OUTPUTS,
    SUM_TOLERANCE,
    CustomLoss,
    LogLoss,
    Loss,
    Quantile,
    _OfClasses,
    check_range,
    get_loss,
)

__all__ = ["OUTPUT_ONLY", "NetworkObjective", "Objective"]

# In place of a loss where there is none: the output activation alone, by its name. It
# sends a gradient at the outputs, given as y, back through them.
OUTPUT_ONLY = {name: _core.Loss("linear", name) for name in OUTPUTS}


class Objective:
    """A loss behind an output activation, of estimators and of layers.

    Attributes
    ----------
    loss : Loss
    output : str
        The output activation that the loss applies, by its name in the core.
    n_out : int
        Number of outputs.
    label_smoothing : float
    outer_loss : CustomLoss or None
        The loss, if it is the user's.
    """

    def __init__(
        self, loss: Loss, output: str, n_out: int, label_smoothing: float = 0.0
    ) -> None:
        self.loss = loss
        self.output = output
        self.n_out = n_out
        self.label_smoothing = label_smoothing
        self.outer_loss = loss if isinstance(loss, CustomLoss) else None

    @property
    def is_of_classes(self) -> bool:
        return isinstance(self.loss, _OfClasses)

    def in_core(self, y: NDArray[Any] | None = None) -> _core.Loss:
        """Return the loss as the core takes it, for labels or targets like y."""
        smoothing = self.label_smoothing
        takes_labels = isinstance(self.loss, LogLoss) and self.output == "softmax"
        if takes_labels and y is not None and y.ndim == 2:  # probabilities
            return _core.Loss("cross_entropy", "softmax", label_smoothing=smoothing)
        loss: _core.Loss = self.loss._in_core(self.output, self.n_out, smoothing)
        return loss

    def numbers(self, y: NDArray[Any], dtype: Any) -> NDArray[Any]:
        """Return encoded targets with a column for each output, labels as ones."""
        if y.ndim == 2:
            return y
        ones = np.zeros((len(y), self.n_out), dtype=dtype)
        ones[np.arange(len(y)), y] = 1
        return ones

    def losses(self, y: NDArray[Any], p: NDArray[Any]) -> NDArray[Any]:
        """Return the losses of outputs p with encoded targets y.

        They are those of each output, (n_rows, n_out), or of the rows, (n_rows,).
        """
        if y.ndim == 1 and isinstance(self.loss, LogLoss) and not self.label_smoothing:
            of_rows: NDArray[Any] = self.loss.per_output(1, p[np.arange(len(y)), y])
            return of_rows  # all other classes add nothing
        y = self.numbers(y, p.dtype)
        if self.label_smoothing:
            n_classes = self.n_out if self.output == "softmax" else 2
            y = (1 - self.label_smoothing) * y + self.label_smoothing / n_classes
        losses: NDArray[Any] = self.loss.per_output(y, p)
        if self.is_of_classes and self.output == "logistic":
            losses = losses + self.loss.per_output(1 - y, 1 - p)  # of both classes
        return losses

    def mean(self, samples: Samples, p: NDArray[Any]) -> float:
        """Return the mean loss of samples with outputs p, infinite if one is."""
        with np.errstate(over="ignore", invalid="ignore"):
            return samples.mean(self.losses(samples.y, p))


class NetworkObjective(Objective):
    """A loss behind the last layer of a network.

    ``output`` is the activation of that layer, or one that the loss has of its own
    behind 'identity', or 'identity' behind an activation that no loss applies.
    """

    def __init__(self, loss: Any, activation: Activation, n_out: int) -> None:
        found = _loss_of(loss)
        smoothing = float(getattr(found, "label_smoothing", 0.0))
        super().__init__(found, "identity", n_out, smoothing)
        name = activation.name
        if name in found._outputs:
            self.output = name
        elif name == "identity":
            self.output = self._own_output()
        elif "identity" in found._outputs and not activation.is_only_last:
            pass  # behind the layer's activation
        elif "identity" in found._outputs:
            raise ValueError(
                f"loss={loss!r} needs a last layer with the activation 'identity', or "
                f"with another of each unit alone, got {name!r}"
            )
        else:
            raise ValueError(
                f"loss={loss!r} needs a last layer with the activation 'identity', to "
                f"which it applies {self._own_output()!r}, or one of "
                f"{', '.join(map(repr, found._outputs))}, got {name!r}"
            )
        if isinstance(found, Quantile):
            found._levels(n_out)  # refuses another number of outputs

    def _own_output(self) -> str:
        if self.is_of_classes:
            return "softmax" if self.n_out > 1 else "logistic"
        return self.loss._outputs[0]

    def encode(self, y: Any, n_rows: int, dtype: Any, name: str = "y") -> NDArray[Any]:
        """Return y as the core wants it; ValueError unless it fits the network."""
        with conversion_of(name):
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
        return as_numbers(y, dtype, name)

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
        check_range(self.loss, y, name)
        if self.is_of_classes and ((y < 0) | (y > 1)).any():
            raise ValueError(
                f"{name} must be in [0, 1] for {self.loss!r}, got numbers from "
                f"{y.min()} to {y.max()}"
            )
        if self.is_of_classes and self.output == "softmax":
            sums = y.sum(axis=1, dtype=np.float64)
            bad = np.flatnonzero(np.abs(sums - 1) > SUM_TOLERANCE)
            if len(bad):
                raise ValueError(
                    f"{name} must hold probabilities whose sum is 1 in each row, got "
                    f"{sums[bad[0]]:g} in row {bad[0]}"
                )


def _loss_of(loss: Any) -> Loss:
    if callable(loss) and not isinstance(loss, type | Loss):
        return CustomLoss(loss)
    return get_loss(loss)
