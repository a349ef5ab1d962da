"""A stack of dense layers, each with an activation, and backpropagation through it.

:mod:`reference.network` ends in a loss; this ends in the outputs, and takes any
gradient with respect to them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from reference.activations import ACTIVATIONS, Array


@dataclass
class Stack:
    """Weights (n_in, n_out), biases (n_out,) and an activation for each layer."""

    weights: list[Array]
    biases: list[Array]
    activations: Sequence[str]

    def forward(self, X: Array) -> tuple[list[Array], list[Array]]:
        """Weighted inputs z and activations a of all layers, without X."""
        z, a = [], []
        x = X
        for W, b, name in zip(self.weights, self.biases, self.activations, strict=True):
            z.append(x @ W + b)
            x = ACTIVATIONS[name].function(z[-1])
            a.append(x)
        return z, a

    def backward(self, X: Array, gradient: Array) -> tuple[list[Array], ...]:
        """Gradients of weights and biases, summed over the rows, and of X in a list.

        Lecture 004: BP1 for a given gradient of the outputs, BP2, BP3 and BP4.
        """
        z, a = self.forward(X)
        inputs = [X, *a[:-1]]
        of_weights, of_biases = [], []
        for i in reversed(range(len(z))):
            delta = gradient * ACTIVATIONS[self.activations[i]].derivative(z[i])
            of_weights.insert(0, inputs[i].T @ delta)
            of_biases.insert(0, delta.sum(axis=0))
            gradient = delta @ self.weights[i].T
        return of_weights, of_biases, [gradient]

    def jacobian(self, X: Array) -> Array:
        """Outputs by inputs for each row: the product of the layers' Jacobians.

        Lecture 001, "Jacobian": of a layer, diag(f'(z)) W^T.
        """
        z, _ = self.forward(X)
        product = np.broadcast_to(np.eye(X.shape[1]), (len(X), *2 * X.shape[1:]))
        for W, name, of_layer in zip(self.weights, self.activations, z, strict=True):
            slope = ACTIVATIONS[name].derivative(of_layer)
            product = slope[:, :, np.newaxis] * (W.T @ product)
        return product


def differences_of(f: Callable[[Array], Array], X: Array, step: float = 1e-6) -> Array:
    """Central differences of the outputs f(X), (n_rows, n_out, n_in)."""
    columns = [
        (f(X + step * e) - f(X - step * e)) / (2 * step) for e in np.eye(X.shape[1])
    ]
    return np.stack(columns, axis=2)
