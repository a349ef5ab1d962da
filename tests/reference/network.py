"""The network: forward pass, cost and backward pass (lecture 004, BP1 to BP4)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from reference.activations import ACTIVATIONS, Activation, Array, leaky_relu
from reference.losses import LOSSES


@dataclass
class Network:
    """Dense layers, given by their parameters, and the loss at their end.

    It computes in the floating-point type of its parameters and data.

    Parameters
    ----------
    coefs : list of arrays (n_in, n_out)
        The weights W of every layer.
    intercepts : list of arrays (n_out,)
        The biases b of every layer.
    activation : str or one str per hidden layer
        Keys of ``ACTIVATIONS``.
    loss : str
        Key of ``LOSSES``.
    negative_slope : float
        Of ``"leaky_relu"``.
    clip : float
        Probabilities are kept in [clip, 1 - clip] before their logarithm is taken.
    """

    coefs: list[Array]
    intercepts: list[Array]
    activation: str | Sequence[str]
    loss: str
    negative_slope: float = 0.01
    clip: float = float(np.finfo(np.float64).eps)

    @property
    def parameters(self) -> list[Array]:
        """All weights, then all biases: the arrays themselves, not copies."""
        return self.coefs + self.intercepts

    @property
    def hidden(self) -> list[Activation]:
        """The activation of each hidden layer."""
        n_hidden = len(self.coefs) - 1
        names = self.activation
        names = [names] * n_hidden if isinstance(names, str) else names
        table = ACTIVATIONS | {"leaky_relu": leaky_relu(self.negative_slope)}
        return [table[name] for name in names]

    def forward(self, X: Array) -> tuple[list[Array], list[Array]]:
        """Weighted inputs z and activations a of all layers; a[0] is X."""
        functions = [f.function for f in self.hidden] + [LOSSES[self.loss].output]
        z, a = [], [X]
        for W, b, f in zip(self.coefs, self.intercepts, functions, strict=True):
            z.append(a[-1] @ W + b)
            a.append(f(z[-1]))
        return z, a

    def predict(self, X: Array) -> Array:
        """Output of the last layer, (n_rows, n_outputs)."""
        return self.forward(X)[1][-1]

    def cost(
        self,
        X: Array,
        y: Array,
        sample_weight: Array | None = None,
        *,
        alpha: float = 0.0,
        l1: float = 0.0,
    ) -> float:
        """Weighted mean loss plus penalties on the weights, not on the biases.

        Lecture 002, "Limiting the size of the Weights", C = l + lambda/2 sum w^2, where
        lambda is alpha over the sum of the sample weights, as in scikit-learn; and
        likewise l1 times the sum of their magnitudes.
        """
        w = _weights(X, sample_weight)
        p = self.predict(X)
        if "cross_entropy" in self.loss:
            p = np.clip(p, self.clip, 1 - self.clip)
        losses = LOSSES[self.loss].per_row(_targets(y, p), p)
        decay = alpha / 2 * sum((W**2).sum() for W in self.coefs)
        lasso = l1 * sum(np.abs(W).sum() for W in self.coefs)
        return (w @ losses + decay + lasso) / w.sum()

    def gradients(
        self,
        X: Array,
        y: Array,
        sample_weight: Array | None = None,
        *,
        alpha: float = 0.0,
        l1: float = 0.0,
    ) -> tuple[list[Array], list[Array]]:
        """Gradients of ``cost`` with respect to ``coefs`` and to ``intercepts``.

        Of the magnitude of a weight that is 0 it is 0, one of its subgradients.
        """
        w = _weights(X, sample_weight)
        z, a = self.forward(X)

        delta = (a[-1] - _targets(y, a[-1])) * w[:, np.newaxis]  # BP1, losses.py
        deltas = [delta]
        for W, f, z_below in zip(
            self.coefs[:0:-1], self.hidden[::-1], z[-2::-1], strict=True
        ):
            delta = delta @ W.T * f.derivative(z_below)  # BP2
            deltas.insert(0, delta)

        layers = list(zip(self.coefs, a[:-1], deltas, strict=True))
        coef_grads = [
            (a.T @ delta + alpha * W + l1 * np.sign(W)) / w.sum()
            for W, a, delta in layers
        ]
        intercept_grads = [delta.sum(axis=0) / w.sum() for delta in deltas]
        return coef_grads, intercept_grads  # BP4 and BP3, averaged over the rows


def _weights(X: Array, sample_weight: Array | None) -> Array:
    w = np.ones(len(X)) if sample_weight is None else sample_weight
    return w.astype(X.dtype)


def _targets(y: Array, p: Array) -> Array:
    """Targets in the shape of p: class indices become rows of the unit matrix."""
    return np.eye(p.shape[1], dtype=p.dtype)[y] if y.ndim == 1 else y
