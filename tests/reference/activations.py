"""Activation functions of hidden units and their derivatives.

Lecture 000, "Activation function f(s)"; lecture 002, "Useful Derivatives"; the papers
named below. Every function also accepts complex numbers: the tests differentiate with
complex steps.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import erf

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


def elu(alpha: float, scale: float) -> Activation:
    """scale * (z where it is positive, else alpha * (exp(z) - 1)).

    Clevert, Unterthiner and Hochreiter (2015), arXiv:1511.07289.
    """
    return Activation(
        lambda z: scale * np.where(z > 0, z, alpha * np.expm1(z)),
        lambda z: scale * np.where(z > 0, z.dtype.type(1), alpha * np.exp(z)),
    )


def normal_cdf(z: Array) -> Array:
    """The distribution function of the standard normal distribution."""
    return (1 + erf(z / np.sqrt(2))) / 2


def normal_density(z: Array) -> Array:
    """Its derivative."""
    return np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)


def softplus(z: Array) -> Array:
    """log(1 + exp(z)), in a form whose exponential does not overflow."""
    large = z > 0
    return np.where(large, z, 0) + np.log1p(np.exp(np.where(large, -z, z)))


def mish(z: Array) -> Array:
    """z * tanh(softplus(z)) (Misra 2019, arXiv:1908.08681)."""
    return z * np.tanh(softplus(z))


def mish_derivative(z: Array) -> Array:
    """By the product and the chain rule: tanh' is 1 / cosh^2, softplus' logistic."""
    s = softplus(z)
    return np.tanh(s) + z * logistic(z) / np.cosh(s) ** 2


ACTIVATIONS = {
    "identity": Activation(lambda z: z, np.ones_like),
    "logistic": Activation(logistic, lambda z: logistic(z) * (1 - logistic(z))),
    "tanh": Activation(np.tanh, lambda z: 1 - np.tanh(z) ** 2),  # lecture 003
    "relu": leaky_relu(0.0),
    "leaky_relu": leaky_relu(0.01),
    "elu": elu(1.0, 1.0),
    # Klambauer et al. (2017), arXiv:1706.02515
    "selu": elu(1.6732632423543772848, 1.0507009873554804934),
    "hard_tanh": Activation(
        lambda z: np.where(z > 1, 1, np.where(z < -1, -1, z)),
        lambda z: np.where((z > -1) & (z < 1), z.dtype.type(1), z.dtype.type(0)),
    ),
    # Hendrycks and Gimpel (2016), arXiv:1606.08415, for gelu and silu
    "gelu": Activation(
        lambda z: z * normal_cdf(z), lambda z: normal_cdf(z) + z * normal_density(z)
    ),
    "silu": Activation(
        lambda z: z * logistic(z),
        lambda z: logistic(z) + z * logistic(z) * logistic(-z),
    ),
    "mish": Activation(mish, mish_derivative),
    "softplus": Activation(softplus, logistic),
}
