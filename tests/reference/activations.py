"""Activation functions of hidden units and their derivatives.

Lecture 000, "Activation function f(s)"; lecture 002, "Useful Derivatives". Every
function also accepts complex numbers: the tests differentiate with complex steps.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


class Activation(NamedTuple):
    """A function of the weighted input z and its derivative at z."""

    function: Callable[[Array], Array]
    derivative: Callable[[Array], Array]


def logistic(z: Array) -> Array:
    """1 / (1 + exp(-z)); for very negative z the exponential is inf, the quotient 0."""
    with np.errstate(over="ignore"):
        return 1 / (1 + np.exp(-z))


def leaky_relu(slope: float) -> Activation:
    """z where it is positive, else slope * z (lecture 000, "Leaky ReLU").

    At the kink itself the left derivative is taken, as lecture 002 does for ReLU.
    """
    return Activation(
        lambda z: np.where(z > 0, z, slope * z),
        lambda z: np.where(z > 0, z.dtype.type(1), z.dtype.type(slope)),
    )


ACTIVATIONS = {
    "identity": Activation(lambda z: z, np.ones_like),
    "logistic": Activation(logistic, lambda z: logistic(z) * (1 - logistic(z))),
    "tanh": Activation(np.tanh, lambda z: 1 - np.tanh(z) ** 2),  # lecture 003
    "relu": leaky_relu(0.0),
    "leaky_relu": leaky_relu(0.01),
}
