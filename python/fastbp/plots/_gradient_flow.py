"""GradientFlowDisplay."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ._axes import panels, tidy

__all__ = ["GradientFlowDisplay"]

# Label of the axis, and whether the quantity is a share of the units, in [0, 1].
_KNOWN = {
    "gradient_norm": ("gradient norm", False),
    "weight_norm": ("weight norm", False),
    "update_norm": ("update norm", False),
    "dead": ("dead (%)", True),
    "saturated": ("saturated (%)", True),
}


class GradientFlowDisplay:
    """What happens in each layer of a network during training, by epoch.

    Gradients that vanish on their way down show as norms that are smaller by powers of
    ten, layer by layer; next to them the units that are the cause (lecture 000,
    saturation and dead ReLUs).

    Parameters
    ----------
    layers : dict of dict of array-like
        ``{layer: {quantity: [one number for each epoch]}}``, layers from the input on.
        Quantities are 'gradient_norm', 'weight_norm' and 'update_norm', which are
        drawn on a logarithmic scale; 'dead' and 'saturated', shares of the units in
        [0, 1], drawn in percent; or others of any name. A layer may lack some.

    Attributes
    ----------
    figure_ : Figure
    axes_ : ndarray of Axes
        One for each quantity.
    lines_ : dict of dict of Line2D
        ``{layer: {quantity: curve}}``.

    Examples
    --------
    >>> from fastbp.plots import GradientFlowDisplay
    >>> layers = {
    ...     "dense 1": {"gradient_norm": [0.01, 0.002], "saturated": [0.4, 0.6]},
    ...     "dense 2": {"gradient_norm": [0.5, 0.3], "saturated": [0.1, 0.1]},
    ... }
    >>> display = GradientFlowDisplay.from_history(layers)  # doctest: +SKIP
    """

    figure_: Any
    axes_: Any
    lines_: dict[str, dict[str, Any]]

    def __init__(self, layers: Mapping[str, Mapping[str, ArrayLike]]) -> None:
        self.layers = layers

    @classmethod
    def from_history(
        cls,
        layers: Mapping[str, Mapping[str, ArrayLike]],
        *,
        ax: Any = None,
        **kw: Any,
    ) -> GradientFlowDisplay:
        """Draw recorded diagnostics.

        Parameters
        ----------
        layers : dict of dict of array-like
            As for the class.
        ax : None, Axes or array-like of Axes, default=None
            As for ``plot``.
        **kw
            For ``plot``.

        Returns
        -------
        display : GradientFlowDisplay
        """
        return cls(layers).plot(ax=ax, **kw)

    def plot(self, ax: Any = None, **line_kw: Any) -> GradientFlowDisplay:
        """Draw a panel for each quantity, with a curve for each layer.

        Parameters
        ----------
        ax : None, Axes or array-like of Axes, default=None
            None makes a new figure. One Axes is divided.
        **line_kw
            For ``Axes.plot`` of all curves.

        Returns
        -------
        display : GradientFlowDisplay

        Raises
        ------
        ValueError
            If there is nothing to draw.
        """
        # In the order in which they first appear.
        quantities = list(dict.fromkeys(q for of in self.layers.values() for q in of))
        if not quantities:
            raise ValueError("layers must have at least one quantity of one layer")
        n = len(quantities)
        axes = panels(ax, (n, 1), (6.8, 1.2 + 1.9 * n), sharex=True).ravel()
        self.axes_, self.figure_ = axes, axes[0].figure
        self.lines_ = {layer: {} for layer in self.layers}
        for panel, quantity in zip(axes, quantities, strict=True):
            self._draw(panel, quantity, line_kw)
        axes[-1].set_xlabel("epoch")
        handles = [next(iter(of.values())) for of in self.lines_.values() if of]
        axes[0].legend(
            handles=handles, frameon=False, loc="upper left", bbox_to_anchor=(1.01, 1)
        )
        return self

    def _draw(self, axes: Any, quantity: str, line_kw: dict[str, Any]) -> None:
        label, is_share = _KNOWN.get(quantity, (quantity.replace("_", " "), False))
        colours = _colours(len(self.layers))
        for (layer, of), colour in zip(self.layers.items(), colours, strict=True):
            if quantity not in of:
                continue
            values = np.asarray(of[quantity], float) * (100 if is_share else 1)
            epochs = np.arange(1, len(values) + 1)
            style = {"color": colour, "label": layer, **line_kw}
            if len(values) == 1:
                style.setdefault("marker", "o")
            (line,) = axes.plot(epochs, values, **style)
            self.lines_[layer][quantity] = line
        axes.set_ylabel(label)
        if is_share:
            axes.set_ylim(-3, 103)
        elif quantity in _KNOWN:
            axes.set_yscale("log", nonpositive="mask")
        tidy(axes)


def _colours(n: int) -> Any:
    """Return colours from dark to light, as layers have an order."""
    from matplotlib import colormaps

    return colormaps["viridis"](np.linspace(0, 0.85, n))
