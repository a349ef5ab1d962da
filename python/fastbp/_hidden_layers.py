"""The layers of an estimator: products, norms and dropout."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from . import _core
from ._objects import check_number
from .activations import LeakyReLU
from .layers import BatchNorm, Dense, Dropout, Layer, LayerNorm

if TYPE_CHECKING:
    from ._base import BaseMLP

__all__ = [
    "check_norms",
    "dropout_rates",
    "fitted_normalization",
    "initial_norms",
    "layers_of",
    "norm_arrays",
    "stack",
    "uses_dropout",
    "with_arrays",
    "with_statistics",
]

# What norms have before the first step; batch normalization has both.
_NEUTRAL = {"gain": 1, "bias": 0}
_NEUTRAL_STATISTICS = {"mean": 0, "variance": 1}


def stack(est: Any, n_units: list[int], training: bool) -> list[_core.Layer]:
    """Return the layers for the core, which applies the last activation in the loss.

    Dropout only for training: predictions do not depend on its parameters.
    """
    layer = _core.Layer
    made: dict[str, Any] = {
        "dense": lambda n, f: layer.dense(n, f[0], negative_slope=f[1]),
        "layer": lambda n, f: layer.layer_norm(f[0], negative_slope=f[1]),
        "batch": lambda n, f: layer.batch_norm(f[0], negative_slope=f[1]),
        "dropout": layer.dropout,
    }
    hidden = [made[kind](*of) for kind, *of in _hidden(est, n_units, training)]
    return [*hidden, layer.dense(n_units[-1])]


def layers_of(est: Any, n_units: list[int]) -> list[Layer]:
    """Return the layers of a fitted estimator for a network of `fastbp.layers`."""
    made: dict[str, Any] = {
        "dense": lambda n, f: Dense(n, _activation(*f)),
        "layer": lambda n, f: LayerNorm(_activation(*f)),
        "batch": lambda n, f: BatchNorm(_activation(*f)),
        "dropout": Dropout,
    }
    hidden = [made[kind](*of) for kind, *of in _hidden(est, n_units, training=True)]
    return [*hidden, Dense(n_units[-1], est.out_activation_)]


def _activation(name: str, slope: float) -> Any:
    return LeakyReLU(slope) if name == LeakyReLU.name else name


def _hidden(est: Any, n_units: list[int], training: bool) -> Iterator[tuple[Any, ...]]:
    """Go through all layers but the last: kind, number of units and activation.

    They are dense, norm with the activation, dropout, and so on. The weighted inputs of
    a unit are normalised, not its output, as the authors of both norms propose.
    """
    n_hidden = len(n_units) - 2
    given: Any = est._hidden_activations(n_hidden)
    activations = given if isinstance(given, list) else [given] * n_hidden
    rates = dropout_rates(est, n_hidden) if training else [0.0] * n_hidden
    norm = fitted_normalization(est)
    if training and est.input_dropout > 0:
        yield "dropout", est.input_dropout
    for n, activation, rate in zip(n_units[1:-1], activations, rates, strict=True):
        if norm is None:
            yield "dense", n, activation
        else:
            yield "dense", n, ("identity", 0.0)
            yield norm, n, activation
        if rate > 0:
            yield "dropout", rate


def dropout_rates(est: Any, n_hidden: int) -> list[float]:
    """Return ``dropout`` as one rate for each hidden layer."""
    rates: Any = est.dropout
    if not isinstance(rates, list | tuple):
        return [float(rates)] * n_hidden
    for i, rate in enumerate(rates):
        check_number(rate, f"dropout[{i}]", 0, 1, closed="left")
    if len(rates) != n_hidden:
        raise ValueError(
            f"dropout must be one number, or one for each of the {n_hidden} hidden "
            f"layers, got {len(rates)}: {rates!r}."
        )
    return [float(rate) for rate in rates]


def uses_dropout(est: BaseMLP) -> bool:
    """Tell whether training needs random numbers for dropout."""
    rates = dropout_rates(est, len(est._hidden_layer_sizes()))
    return any(rate > 0 for rate in [*rates, est.input_dropout])


def initial_norms(est: BaseMLP, n_hidden_units: list[int], dtype: Any) -> Any:
    """Return ``norms_`` before the first step: neutral gains, biases and averages."""
    values = _NEUTRAL
    if est.normalization == "batch":
        values = values | _NEUTRAL_STATISTICS
    return [
        {name: np.full(n, value, dtype) for name, value in values.items()}
        for n in n_hidden_units
    ]


def fitted_normalization(est: Any) -> str | None:
    """Return the normalization that the model was fitted with, whatever is set now."""
    norms = getattr(est, "norms_", None)
    if norms is None:
        return None
    is_list = isinstance(norms, list | tuple)
    if not is_list or not all(isinstance(norm, dict) for norm in norms):
        raise ValueError(f"norms_ must be a list of dicts of arrays, got {norms!r:.60}")
    if not norms:
        return None
    return "batch" if "mean" in norms[0] else "layer"


def check_norms(norms: Any, normalization: str) -> None:
    """Raise ValueError unless all of ``norms_`` have their arrays of numbers."""
    names = (*_NEUTRAL, *(_NEUTRAL_STATISTICS if normalization == "batch" else ()))
    for i, norm in enumerate(norms):
        for name in names:
            array = np.asarray(norm.get(name))
            if array.ndim != 1 or array.dtype.kind not in "fiu":
                raise ValueError(
                    f"norms_[{i}] must have an array of numbers with 1 dimension(s) "
                    f"as {name!r}, got {norm!r:.60}"
                )


def norm_arrays(norms: list[dict[str, NDArray[Any]]]) -> list[NDArray[Any]]:
    """Return what steps change, in the order of the core's moments."""
    return [norm[name] for norm in norms for name in ("gain", "bias")]


def with_arrays(parameters: list[Any], arrays: list[NDArray[Any]]) -> list[Any]:
    """Return (coefs, intercepts) and norms, if any, with what steps change replaced.

    ``arrays`` are in the order of the core's moments.
    """
    coefs, intercepts, *norms = parameters
    n = len(coefs)
    of_norms = iter(arrays[n + len(intercepts) :])
    replaced: list[Any] = [arrays[:n], arrays[n : n + len(intercepts)]]
    for held in norms:
        replaced.append(
            [{**x, **{k: next(of_norms) for k in ("gain", "bias")}} for x in held]
        )
    return replaced


def with_statistics(
    parameters: tuple[list[Any], ...], norms: list[dict[str, NDArray[Any]]]
) -> tuple[list[Any], ...]:
    """Return parameters with the running averages of other norms."""
    coefs, intercepts, *held = parameters
    names = ("mean", "variance")
    return (
        coefs,
        intercepts,
        *(
            [
                {**own, **{name: other[name] for name in names if name in other}}
                for own, other in zip(part, norms, strict=True)
            ]
            for part in held
        ),
    )
