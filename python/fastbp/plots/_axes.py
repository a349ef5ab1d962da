"""What the displays share: axes to draw on, colours, checks of what they are given."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from ..layers import Dense
from ..network import Network

__all__ = [
    "COLOURS",
    "check_coefs",
    "check_fitted",
    "check_numbers",
    "has_lone_points",
    "panels",
    "tidy",
]

# Told apart with any kind of colour vision: M. Okabe and K. Ito, "Color universal
# design", 2008.
COLOURS = {
    "blue": "#0072B2",
    "orange": "#D55E00",
    "green": "#009E73",
    "grey": "#666666",
}


def panels(
    ax: Any, shape: tuple[int, int], size: tuple[float, float], **options: Any
) -> Any:
    """Return axes to draw on, an array of the shape (rows, columns).

    Parameters
    ----------
    ax : None, Axes or array-like of Axes
        None makes a new figure; one Axes is divided where more are wanted.
    shape : tuple of int
        Rows and columns.
    size : tuple of float
        Width and height of a new figure in inches.
    **options
        For ``Figure.subplots``.
    """
    n = shape[0] * shape[1]
    if ax is None:
        return _pyplot().subplots(
            *shape, figsize=size, layout="constrained", squeeze=False, **options
        )[1]
    given = np.array([ax] if not isinstance(ax, Sequence | np.ndarray) else ax, object)
    if given.size == n:
        return given.reshape(shape)
    if given.size == 1 and given.flat[0].get_subplotspec() is not None:
        whole = given.flat[0]
        whole.set_axis_off()
        grid = whole.get_subplotspec().subgridspec(*shape)
        return grid.subplots(squeeze=False, **options)
    raise ValueError(
        f"ax must be None, the Axes of a subplot or {n} Axes, got {given.size} Axes"
    )


def _pyplot() -> Any:
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError(
            "fastbp.plots needs matplotlib: python3 -m pip install matplotlib"
        ) from error
    return plt


def tidy(axes: Any, grid: str = "both") -> None:
    """Take away what is no data, and put a faint grid behind it."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis=grid, color="#e5e5e5", linewidth=0.8)
    axes.set_axisbelow(True)


def has_lone_points(values: Any) -> bool:
    """Tell whether there are numbers between gaps, which need a marker to be seen."""
    known = np.isfinite(np.concatenate([[np.nan], values, [np.nan]]))
    return bool((known[1:-1] & ~known[:-2] & ~known[2:]).any())


def check_fitted(estimator: Any, kinds: str = "MLPClassifier or MLPRegressor") -> None:
    """Refuse what is no fitted MLP; those of scikit-learn are some too."""
    if not (hasattr(estimator, "hidden_layer_sizes") or hasattr(estimator, "coefs_")):
        raise ValueError(
            f"estimator must be an {kinds} (of a Pipeline pass the last step, "
            f"pipeline[-1]), got {type(estimator).__name__}"
        )
    check_is_fitted(estimator, "coefs_")


def check_coefs(estimator: Any) -> list[Any]:
    """Return the weights of a fitted estimator, or of a network's Dense layers."""
    if isinstance(estimator, Network):
        # Copies: training writes into the network's own.
        return [
            estimator.parameters[f"{layer.name}_{i}.weights"].copy()
            for i, layer in enumerate(estimator.layers)
            if isinstance(layer, Dense)
        ]
    check_fitted(estimator, "MLPClassifier, MLPRegressor or fastbp.Network")
    return [np.asarray(coef) for coef in estimator.coefs_]


def check_numbers(values: Any, name: str) -> NDArray[np.float64]:
    """Return a number for each epoch; None is NaN."""
    try:
        numbers = np.array(values, float)
    except (TypeError, ValueError):
        numbers = np.array(np.nan)
    if numbers.ndim != 1:
        raise ValueError(
            f"{name} must be a list of numbers, one for each epoch, got {values!r}"
        )
    return numbers
