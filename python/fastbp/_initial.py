"""The weights and biases that training begins with."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ._data import conversion_of
from .initializers import fill_in_pieces, get_initializer

if TYPE_CHECKING:
    from ._base import BaseMLP

__all__ = ["drawn_weights", "initial_parameters"]


def initial_parameters(
    est: BaseMLP, n_units: list[int], dtype: np.dtype[Any]
) -> tuple[list[Any], list[Any]]:
    """Return initial ``coefs_`` and ``intercepts_``, drawn from ``_random_state``."""
    if est.weight_init is not None:
        return _initialized(est, n_units, dtype)
    coefs, intercepts = [], []
    for layer, (fan_in, fan_out) in enumerate(pairwise(n_units)):
        activation = _activation_for(est, layer)
        coef, intercept = _draw(est, fan_in, fan_out, activation, dtype)
        coefs.append(coef)
        intercepts.append(intercept)
    return coefs, intercepts


def _initialized(
    est: BaseMLP, n_units: list[int], dtype: np.dtype[Any]
) -> tuple[list[Any], list[Any]]:
    """Return the weights of ``weight_init``, and biases of zero."""
    coefs = []
    sizes = list(pairwise(n_units))
    for initializer, size in zip(_initializers(est, len(sizes)), sizes, strict=True):
        name = f"weight_init: {initializer!r}"
        coef = drawn_weights(initializer, size, est._random_state, name)
        with np.errstate(over="ignore"):  # of float32
            coefs.append(coef.astype(dtype, order="C"))
        if not np.isfinite(coefs[-1]).all():
            raise ValueError(f"{name} must return finite numbers of {dtype}")
    return coefs, [np.zeros(n, dtype) for n in n_units[1:]]


def drawn_weights(
    initializer: Callable[[int, int, Any], Any],
    size: tuple[int, int],
    generator: np.random.RandomState,
    name: str,
) -> NDArray[Any]:
    """Return what an initializer, called ``name`` in messages, gives for a layer."""
    answer = initializer(*size, generator)
    with conversion_of(f"the array of {name}"):
        weights = np.asarray(answer)
    if weights.shape != size or weights.dtype.kind not in "fiub":
        raise ValueError(
            f"{name} must return an array of numbers of shape {size}, got "
            f"{weights.dtype} of shape {weights.shape}"
        )
    return weights


def _initializers(est: BaseMLP, n_layers: int) -> list[Callable[[int, int, Any], Any]]:
    """Return an initializer for each layer: one of them stands for all."""
    given = est.weight_init
    if not isinstance(given, list | tuple):
        return [get_initializer(given)] * n_layers
    if len(given) != n_layers:
        raise ValueError(
            f"weight_init must be one initializer, or one for each of the {n_layers} "
            f"layers of weights, got {len(given)}: {given!r}"
        )
    return [_named(f"weight_init[{i}]", one) for i, one in enumerate(given)]


def _named(name: str, initializer: Any) -> Callable[[int, int, Any], Any]:
    try:
        return get_initializer(initializer)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None


def _activation_for(est: BaseMLP, layer: int) -> str | None:
    """Return the activation by which a layer's initial weights are drawn.

    That is the one that follows the layer. The output layer takes that of the last
    hidden layer, so that a list of equal names is the same as the name.
    """
    given: Any = est.activation
    if isinstance(given, list | tuple):
        given = given[min(layer, len(given) - 1)] if given else None
    name: str | None = getattr(given, "name", given)
    return name


def _draw(
    est: BaseMLP,
    fan_in: int,
    fan_out: int,
    activation: str | None,
    dtype: np.dtype[Any],
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Draw uniformly within the bound of Glorot and Bengio (2010), section 4.2.1.

    The bound is that of scikit-learn: sqrt(6 / (fan_in + fan_out)), with 2 in place
    of 6 for the logistic activation, for weights and biases alike.
    """
    factor = 2.0 if activation == "logistic" else 6.0
    bound = np.sqrt(factor / (fan_in + fan_out))
    coef, intercept = np.empty((fan_in, fan_out), dtype), np.empty(fan_out, dtype)
    for array in (coef, intercept):
        fill_in_pieces(array, lambda n: est._random_state.uniform(-bound, bound, n))
    return coef, intercept
