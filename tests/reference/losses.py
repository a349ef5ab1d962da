"""Losses, each with the output function it belongs to.

In each pair the output function is the inverse link of the loss. Then the Jacobian of
the output cancels against the derivative of the loss, and for all four pairs the error
of the output layer (lecture 004, BP1) is the same expression:

    delta = p - y

Derived in lecture 001 for softmax ("Derivative of J wrt Output layer"; it maximises,
hence the other sign) and in 002 for one sigmoid unit ("Choosing Activation and Loss
Functions"). Two formulas leave out the off-diagonal terms of the softmax Jacobian:
002, "Multi-class Classification", (o - t) o (1 - o), and 000, "Example 2", t (1 - z).
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.special import xlogy

from reference.activations import Array, logistic


class Loss(NamedTuple):
    """An output function p = g(z) and the loss of each row, given targets and p."""

    output: Callable[[Array], Array]  # (n_rows, n_outputs) -> (n_rows, n_outputs)
    per_row: Callable[[Array, Array], Array]  # (y, p) -> (n_rows,)


def softmax(z: Array) -> Array:
    """exp(z_k) / sum_i exp(z_i) (lecture 001); a shift common to all z cancels."""
    exponentials = np.exp(z - z.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)


def cross_entropy(y: Array, p: Array) -> Array:
    """-sum_k y_k log p_k (lecture 000, "Training error")."""
    return -xlogy(y, p).sum(axis=1)


def binary_cross_entropy(y: Array, p: Array) -> Array:
    """-sum_k (y_k log p_k + (1 - y_k) log(1 - p_k)) (lecture 002)."""
    return -(xlogy(y, p) + xlogy(1 - y, 1 - p)).sum(axis=1)


def squared_error(y: Array, p: Array) -> Array:
    """1/2 sum_k (y_k - p_k)^2 (lecture 004, "Loss/Cost function")."""
    return ((y - p) ** 2).sum(axis=1) / 2


def poisson(y: Array, p: Array) -> Array:
    """Half the Poisson deviance, sum_k (y_k log(y_k / p_k) - y_k + p_k).

    Not in the lectures: the loss of scikit-learn's ``loss="poisson"``.
    """
    return (xlogy(y, y / p) - y + p).sum(axis=1)


LOSSES = {
    "softmax_cross_entropy": Loss(softmax, cross_entropy),
    "binary_cross_entropy": Loss(logistic, binary_cross_entropy),
    "squared_error": Loss(lambda z: z, squared_error),
    "poisson": Loss(np.exp, poisson),
}
