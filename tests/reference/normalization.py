"""Layer and batch normalization: mean 0 and variance 1, then a gain and a bias.

Ba, Kiros and Hinton (2016), arXiv:1607.06450, of each row over the units; Ioffe and
Szegedy (2015), arXiv:1502.03167, of each unit over the rows of the batch. Here rows
have weights, as in the loss.
"""

from typing import NamedTuple

import numpy as np

from reference.activations import Array

EPSILON = 1e-5
MOMENTUM = 0.1


class Normalized(NamedTuple):
    """What became of x, and what the way back needs."""

    values: Array
    scale: Array  # one for each row, (n_rows, 1), or for each column
    shares: Array  # of the elements in a mean, summing to 1 along `axis`
    axis: int

    def backward(self, d: Array) -> Array:
        """From the gradient with respect to the values that with respect to x.

        Mean and variance depend on every x of the sum: the derivative of a value by x
        is scale * (1 - share * (1 + value * value')).
        """
        n = self.values
        total = d.sum(self.axis, keepdims=True)
        total_n = (d * n).sum(self.axis, keepdims=True)
        return self.scale * (d - self.shares * (total + n * total_n))


def moments(x: Array, shares: Array, axis: int) -> tuple[Array, Array]:
    """Mean and variance, the latter the biased one."""
    mean = (shares * x).sum(axis, keepdims=True)
    return mean, (shares * (x - mean) ** 2).sum(axis, keepdims=True)


def normalize(x: Array, shares: Array, axis: int) -> Normalized:
    """Bring x to mean 0 and variance 1 along the axis."""
    mean, variance = moments(x, shares, axis)
    scale = 1 / np.sqrt(variance + x.dtype.type(EPSILON))
    return Normalized((x - mean) * scale, scale, shares, axis)


def layer_norm(x: Array) -> Normalized:
    """Each row by itself."""
    return normalize(x, np.full(x.shape[1], 1 / x.shape[1], x.dtype), 1)


def batch_norm(x: Array, weights: Array) -> Normalized:
    """Each column by itself, over the rows with their weights."""
    return normalize(x, (weights / weights.sum())[:, np.newaxis], 0)


def running(
    before: tuple[Array, Array], x: Array, weights: Array
) -> tuple[Array, Array]:
    """Running mean and variance after a batch; the variance enters without bias."""
    shares = (weights / weights.sum())[:, np.newaxis]
    mean, variance = (a[0] for a in moments(x, shares, 0))
    squares = (shares**2).sum()
    unbiased = variance / (1 - squares) if squares < 1 else variance
    now = mean, unbiased
    return tuple(
        (1 - MOMENTUM) * b + MOMENTUM * n for b, n in zip(before, now, strict=True)
    )
