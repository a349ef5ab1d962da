"""NetworkDisplay."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._objects import check_size
from ..layers import Dense
from ..network import Network
from ._axes import COLOURS, check_coefs, panels

__all__ = ["NetworkDisplay"]

_RADIUS = 0.32  # of a unit, where the next is 1 away
_WIDEST = 3.0  # points
_MARGIN, _FOOT, _HEAD = 1.7, 3.4, 2.2  # beside, below and above the units
_INCH_PER_UNIT = 0.36


class NetworkDisplay:
    """Drawing of a network: units in columns, weights as lines.

    The colour of a line is the sign of the weight, its width the size, by the largest
    of the layer. Of a long layer the first and the last units are shown.

    Parameters
    ----------
    coefs : list of array-like of shape (n_in, n_out)
        Weights of each layer.
    activations : list of str or None, default=None
        Activation of each layer but the input, for the labels.

    Attributes
    ----------
    figure_ : Figure
    axes_ : Axes
    units_ : list of ndarray
        Numbers of the units that are shown in each column.
    edges_ : list of LineCollection
        Lines of each layer of weights, row by row.

    Examples
    --------
    >>> from fastbp import MLPClassifier
    >>> from fastbp.plots import NetworkDisplay
    >>> X, y = [[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 0]
    >>> model = MLPClassifier((4,), solver="lbfgs", random_state=1).fit(X, y)
    >>> display = NetworkDisplay.from_estimator(model)  # doctest: +SKIP
    """

    figure_: Any
    axes_: Any
    units_: list[NDArray[np.int64]]
    edges_: list[Any]

    def __init__(
        self, coefs: Sequence[ArrayLike], activations: Sequence[str] | None = None
    ) -> None:
        self.coefs = coefs
        self.activations = activations

    @classmethod
    def from_estimator(
        cls, estimator: Any, *, ax: Any = None, **kw: Any
    ) -> NetworkDisplay:
        """Draw a network, or that of a fitted estimator.

        Parameters
        ----------
        estimator : MLPClassifier, MLPRegressor or Network
            A fitted estimator, or a network, whose ``Dense`` layers are drawn as they
            are now, each with the activation that its units have after the norms that
            follow it; other layers are left out.
        ax : Axes or None, default=None
            As for ``plot``.
        **kw
            For ``plot``.

        Returns
        -------
        display : NetworkDisplay

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If it is neither an estimator of that kind nor a network.
        """
        coefs = check_coefs(estimator)
        if isinstance(estimator, Network):
            return cls(coefs, _activations(estimator)).plot(ax=ax, **kw)
        hidden = estimator.activation
        if not isinstance(hidden, list | tuple):
            hidden = [hidden] * (len(coefs) - 1)
        names = [getattr(activation, "name", activation) for activation in hidden]
        return cls(coefs, [*names, estimator.out_activation_]).plot(ax=ax, **kw)

    def plot(
        self, ax: Any = None, *, max_units: int = 12, **line_kw: Any
    ) -> NetworkDisplay:
        """Draw the network from left to right.

        Parameters
        ----------
        ax : Axes or None, default=None
            None makes a new figure.
        max_units : int, default=12
            Most units that are shown of a layer, at least 2.
        **line_kw
            For the lines (``LineCollection``), such as ``alpha``.

        Returns
        -------
        display : NetworkDisplay

        Raises
        ------
        ValueError
            If ``max_units`` is no integer of at least 2.
        """
        max_units = check_size(max_units, "max_units", least=2)
        coefs = [np.asarray(coef) for coef in self.coefs]
        sizes = [len(coefs[0]), *(coef.shape[1] for coef in coefs)]
        self.units_ = [_shown(n, max_units) for n in sizes]
        heights = [
            _heights(n, shown) for n, shown in zip(sizes, self.units_, strict=True)
        ]
        tallest = max(float(np.ptp(h)) for h in heights)
        gap = max(4.0, tallest / 2)  # between columns
        extent = np.array(
            [gap * (len(sizes) - 1) + 2 * _MARGIN, tallest + _FOOT + _HEAD]
        )
        size = np.maximum(_INCH_PER_UNIT * extent, (3.6, 0))
        (axes,) = panels(ax, (1, 1), tuple(size)).ravel()
        self.axes_, self.figure_ = axes, axes.figure
        self.edges_ = [
            self._draw_weights(axes, gap, layer, coefs[layer], pair, line_kw)
            for layer, pair in enumerate(pairwise(heights))
        ]
        for column, (n, y) in enumerate(zip(sizes, heights, strict=True)):
            self._draw_units(axes, gap * column, n, y)
            axes.text(
                gap * column,
                -tallest / 2 - 0.8,
                self._label(column, n),
                ha="center",
                va="top",
            )
        self._finish(axes, gap * (len(sizes) - 1), tallest)
        return self

    def _draw_weights(
        self,
        axes: Any,
        gap: float,
        layer: int,
        coef: Any,
        heights: tuple[Any, Any],
        line_kw: dict[str, Any],
    ) -> Any:
        from matplotlib.collections import LineCollection

        shown = coef[np.ix_(self.units_[layer], self.units_[layer + 1])]
        left, right = np.meshgrid(*heights, indexing="ij")
        ends = np.empty((left.size, 2, 2))
        ends[:, 0, 0], ends[:, 0, 1] = gap * layer, left.ravel()
        ends[:, 1, 0], ends[:, 1, 1] = gap * (layer + 1), right.ravel()
        strengths = np.abs(shown.ravel()) / (np.abs(coef).max() or 1.0)
        style = {
            "colors": np.where(
                shown.ravel() < 0, COLOURS["orange"], COLOURS["blue"]
            ).tolist(),
            "linewidths": _WIDEST * strengths,
            "alpha": 0.75,
            "zorder": 1,
            **line_kw,
        }
        return axes.add_collection(LineCollection(list(ends), **style))

    def _draw_units(self, axes: Any, x: float, n: int, heights: Any) -> None:
        from matplotlib.patches import Circle

        for y in heights:
            axes.add_patch(
                Circle((x, y), _RADIUS, facecolor="white", edgecolor="black", zorder=2)
            )
        if len(heights) < n:
            axes.text(x, 0, "⋮", ha="center", va="center", fontsize="large")

    def _label(self, column: int, n: int) -> str:
        if column == 0:
            return f"input\n{n}"
        is_last = column == len(self.coefs)
        label = f"output\n{n}" if is_last else f"hidden {column}\n{n}"
        if self.activations is None:
            return label
        return f"{label}\n{self.activations[column - 1]}"

    def _finish(self, axes: Any, width: float, tallest: float) -> None:
        from matplotlib.lines import Line2D

        axes.set(xlim=(-_MARGIN, width + _MARGIN))
        axes.set(ylim=(-tallest / 2 - _FOOT, tallest / 2 + _HEAD))
        axes.set_aspect("equal")
        axes.set_axis_off()
        handles = [
            Line2D([], [], color=COLOURS[colour], linewidth=_WIDEST, label=label)
            for colour, label in (("blue", "weight > 0"), ("orange", "weight < 0"))
        ]
        axes.legend(handles=handles, loc="upper center", ncols=2, frameon=False)


def _activations(network: Network) -> list[str]:
    """Return the activation of the units of each Dense layer, after norms if any."""
    names: list[str] = []
    for layer in network.layers:
        if isinstance(layer, Dense):
            names.append(layer.activation.name)
        elif layer.activation.name != "identity":
            names[-1] = layer.activation.name
    return names


def _shown(n: int, most: int) -> NDArray[np.int64]:
    """Return the numbers of the units to show: all, or the first and the last."""
    if n <= most:
        return np.arange(n)
    last = most // 2
    return np.concatenate([np.arange(most - last), np.arange(n - last, n)])


def _heights(n: int, shown: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return where the units are, from top to bottom around 0."""
    places = np.arange(len(shown), dtype=float)
    if len(shown) < n:
        places[len(shown) - len(shown) // 2 :] += 1  # for the dots
        middle = len(shown) - len(shown) // 2
        return middle - places
    return (len(shown) - 1) / 2 - places
