"""Losses behind any output activation, by the chain rule.

``losses.py`` has the natural pairs, whose derivative is p - y; here a loss and an
output activation know nothing of each other: the loss gives dL/dp, the output
activation its product with dp/dz (lecture 004, BP1).
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.special import rel_entr, xlogy

from reference.activations import ACTIVATIONS, Array
from reference.losses import softmax

# z -> p, and (p, z, dL/dp) -> dL/dz.
Output = tuple[Callable[[Array], Array], Callable[[Array, Array, Array], Array]]


def _elementwise(name: str) -> Output:
    f = ACTIVATIONS[name]
    return f.function, lambda p, z, g: g * f.derivative(z)


OUTPUTS: dict[str, Output] = {
    **{n: _elementwise(n) for n in ("identity", "logistic", "tanh", "softplus")},
    "exp": (np.exp, lambda p, z, g: g * p),
    # dp_j / dz_i = p_j (delta_ij - p_i)
    "softmax": (softmax, lambda p, z, g: p * (g - (g * p).sum(axis=1, keepdims=True))),
}

# (y, p, parameters) -> loss and dL/dp of each output.
Pair = tuple[Array, Array]


def squared_error(y: Array, p: Array) -> Pair:
    return (y - p) ** 2 / 2, p - y


def absolute_error(y: Array, p: Array) -> Pair:
    return np.abs(y - p), np.sign(p - y)


def huber(y: Array, p: Array, delta: float = 1.0) -> Pair:
    d = p - y
    far = np.abs(d) > delta
    value = np.where(far, delta * (np.abs(d) - delta / 2), d**2 / 2)
    return value, np.where(far, delta * np.sign(d), d)


def log_cosh(y: Array, p: Array) -> Pair:
    return np.log(np.cosh(y - p)), np.tanh(p - y)


def quantile(y: Array, p: Array, levels: Any) -> Pair:
    q = np.asarray(levels)
    value = np.where(y > p, q * (y - p), (1 - q) * (p - y))
    return value, np.where(y > p, -q, np.where(y < p, 1 - q, 0))


def poisson(y: Array, p: Array) -> Pair:
    return xlogy(y, y / p) - y + p, 1 - y / p


def gamma(y: Array, p: Array) -> Pair:
    return y / p - 1 - np.log(y / p), 1 / p - y / p**2


def linear(y: Array, p: Array) -> Pair:
    return y * p, y


def cross_entropy(y: Array, p: Array) -> Pair:
    return -xlogy(y, p), -y / p


def kl_divergence(y: Array, p: Array) -> Pair:
    return rel_entr(y, p), -y / p


def focal(y: Array, p: Array, gamma: float = 2.0) -> Pair:
    q = 1 - p
    value = -y * q**gamma * np.log(p)
    return value, y * (gamma * q ** (gamma - 1) * np.log(p) - q**gamma / p)


def symmetric_cross_entropy(
    y: Array, p: Array, alpha: float = 1.0, beta: float = 1.0, log_zero: float = -4.0
) -> Pair:
    with np.errstate(divide="ignore"):
        log_y = np.maximum(np.log(y), log_zero)
    value = -alpha * xlogy(y, p) - beta * p * log_y
    return value, -alpha * y / p - beta * log_y


REGRESSION = {
    f.__name__: f
    for f in (squared_error, absolute_error, huber, log_cosh, quantile, linear)
}
POSITIVE = {f.__name__: f for f in (poisson, gamma)}
CLASSES = {
    f.__name__: f
    for f in (cross_entropy, kl_divergence, focal, symmetric_cross_entropy)
}
ALL = REGRESSION | POSITIVE | CLASSES


def loss_and_delta(
    loss: str, output: str, y: Array, z: Array, **parameters: Any
) -> tuple[Array, Array]:
    """Loss of each row, and its derivative with respect to the weighted inputs z."""
    function, chain = OUTPUTS[output]
    p = function(z)
    value, derivative = ALL[loss](y, p, **parameters)
    if loss in CLASSES and output == "logistic":  # two classes, with 1 - y and 1 - p
        other, other_derivative = ALL[loss](1 - y, 1 - p, **parameters)
        value, derivative = value + other, derivative - other_derivative
    return value.sum(axis=1), chain(p, z, derivative)
