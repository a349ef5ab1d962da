"""A network with normalization and dropout: ``network.py`` with two more steps a layer.

A hidden layer is f(gain * n + bias), n the normalised weighted input, and its outputs
are multiplied by the mask of dropout before the next layer reads them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from reference.activations import Array
from reference.dropout import mask, numbers
from reference.losses import LOSSES
from reference.network import Network, _targets, _weights
from reference.normalization import EPSILON, Normalized, batch_norm, layer_norm


@dataclass
class Regularised(Network):
    """Dense layers with norms and dropout between them.

    Parameters
    ----------
    norms : list of dict
        ``gain`` and ``bias`` of every hidden layer, with ``mean`` and ``variance`` of
        batch normalization; empty without normalization.
    dropout : one number per hidden layer
        Its rates; empty for none.
    input_dropout : float
        Rate of the inputs.
    seed, step : int
        Which masks.
    """

    norms: list[dict[str, Array]] = field(default_factory=list)
    dropout: Sequence[float] = ()
    input_dropout: float = 0.0
    seed: int = 0
    step: int = 0

    @property
    def is_batch(self) -> bool:
        return bool(self.norms) and "mean" in self.norms[0]

    def masks(self, n_rows: int) -> list[Array | float]:
        """Of the inputs and of every hidden layer."""
        dtype = self.coefs[0].dtype.name
        widths = [len(W) for W in self.coefs]
        rates = [self.input_dropout, *(self.dropout or [0.0] * (len(widths) - 1))]
        masks: list[Array | float] = []
        layer = 0  # of the core, in which a norm and a dropout are layers as well
        for width, rate in zip(widths, rates, strict=True):
            drawn = numbers(n_rows, width, self.seed, self.step, layer, dtype)
            masks.append(mask(rate, drawn, dtype) if rate > 0 else 1)
            if layer > 0 and rate > 0:
                layer += 1
            layer += 2 if self.norms else 1
        return masks

    def train_forward(self, X: Array, w: Array) -> tuple[list[Any], ...]:
        """Pre-activations, inputs of each layer, what was normalised, masks."""
        masks = self.masks(len(X))
        z, a, normal = [], [X * masks[0]], []
        for i, (W, b) in enumerate(zip(self.coefs, self.intercepts, strict=True)):
            x = a[-1] @ W + b
            if i == len(self.coefs) - 1:
                return z, a, normal, masks, x
            if self.norms:
                normal.append(batch_norm(x, w) if self.is_batch else layer_norm(x))
                x = self.norms[i]["gain"] * normal[-1].values + self.norms[i]["bias"]
            z.append(x)
            a.append(self.hidden[i].function(x) * masks[i + 1])
        raise AssertionError("a network has an output layer")

    def predict(self, X: Array) -> Array:
        """Output of the last layer as a prediction: no mask, running averages."""
        for i, (W, b) in enumerate(zip(self.coefs, self.intercepts, strict=True)):
            X = X @ W + b
            if i == len(self.coefs) - 1:
                break
            if self.norms:
                norm = self.norms[i]
                if self.is_batch:
                    n = (X - norm["mean"]) / np.sqrt(norm["variance"] + EPSILON)
                else:
                    n = layer_norm(X).values
                X = norm["gain"] * n + norm["bias"]
            X = self.hidden[i].function(X)
        return LOSSES[self.loss].output(X)

    def cost(self, X: Array, y: Array, sample_weight: Array | None = None) -> float:
        """Weighted mean loss as in a step of training."""
        w = _weights(X, sample_weight)
        p = LOSSES[self.loss].output(self.train_forward(X, w)[-1])
        return w @ LOSSES[self.loss].per_row(_targets(y, p), p) / w.sum()

    def gradients(
        self, X: Array, y: Array, sample_weight: Array | None = None
    ) -> tuple[list[Any], ...]:
        """Gradients with respect to ``coefs``, ``intercepts`` and ``norms``."""
        w = _weights(X, sample_weight)
        z, a, normal, masks, output = self.train_forward(X, w)
        p = LOSSES[self.loss].output(output)
        delta = (p - _targets(y, p)) * w[:, np.newaxis] / w.sum()
        coef_grads, intercept_grads, norm_grads = [], [], []
        for i in reversed(range(len(self.coefs))):
            coef_grads.insert(0, a[i].T @ delta)
            intercept_grads.insert(0, delta.sum(axis=0))
            if i == 0:
                break
            dz = delta @ self.coefs[i].T * masks[i]
            delta = dz * self.hidden[i - 1].derivative(z[i - 1])
            if self.norms:
                n: Normalized = normal[i - 1]
                gradient = {
                    "gain": (delta * n.values).sum(axis=0),
                    "bias": delta.sum(axis=0),
                }
                norm_grads.insert(0, gradient)
                delta = n.backward(delta * self.norms[i - 1]["gain"])
        return coef_grads, intercept_grads, norm_grads
