"""GradientFlowDisplay."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._diagnostics import RECORD
from ._axes import check_numbers, has_lone_points, panels, tidy

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
    >>> from fastbp import Network, Trainer
    >>> from fastbp.layers import Dense
    >>> from fastbp.plots import GradientFlowDisplay
    >>> from sklearn.datasets import load_digits
    >>> X, y = load_digits(return_X_y=True)
    >>> network = Network([Dense(32, "relu"), Dense(10, "softmax")], n_in=64)
    >>> trainer = Trainer(network, "log_loss", "adam", diagnostics=True)
    >>> trainer = trainer.fit(X / 16, y, n_epochs=10)
    >>> display = GradientFlowDisplay.from_history(trainer.history)  # doctest: +SKIP
    """

    figure_: Any
    axes_: Any
    lines_: dict[str, dict[str, Any]]

    def __init__(self, layers: Mapping[str, Mapping[str, ArrayLike]]) -> None:
        self.layers = layers

    @classmethod
    def from_history(
        cls,
        history: Mapping[str, Any] | Sequence[Any],
        *,
        ax: Any = None,
        **kw: Any,
    ) -> GradientFlowDisplay:
        """Draw recorded diagnostics.

        Parameters
        ----------
        history : dict or list of ndarray
            The ``history`` of a :class:`fastbp.Trainer` made with ``diagnostics=True``,
            or its column 'diagnostics' alone; an epoch may be None. What is NaN in all
            epochs is left out, and so are norms that are 0 in all of them, as those of
            layers without parameters. Or a dict of dicts, as for the class.
        ax : None, Axes or array-like of Axes, default=None
            As for ``plot``.
        **kw
            For ``plot``.

        Returns
        -------
        display : GradientFlowDisplay

        Raises
        ------
        ValueError
            If it has no diagnostics, or is something else.
        """
        return cls(_layers_of(history)).plot(ax=ax, **kw)

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
            if has_lone_points(values):
                style.setdefault("marker", "o")
            (line,) = axes.plot(epochs, values, **style)
            self.lines_[layer][quantity] = line
        axes.set_ylabel(label)
        if is_share:
            axes.set_ylim(-3, 103)
        elif quantity in _KNOWN:
            axes.set_yscale("log", nonpositive="mask")
        tidy(axes)


def _layers_of(history: Any) -> Mapping[str, Mapping[str, Any]]:
    """Return curves by layer and quantity."""
    if not isinstance(history, Mapping):
        return _curves_of(history)
    if isinstance(history.get("diagnostics", {}), Mapping):  # or a layer of that name
        if "loss" in history and not isinstance(history["loss"], Mapping):
            return _curves_of([])
        return {layer: _checked(layer, of) for layer, of in history.items()}
    return _curves_of(history["diagnostics"])


def _checked(layer: str, of: Any) -> dict[str, Any]:
    if not isinstance(of, Mapping):
        raise ValueError(f"history[{layer!r}] must be a dict of quantities, got {of!r}")
    return {q: check_numbers(of[q], f"history[{layer!r}][{q!r}]") for q in of}


def _curves_of(records: Any) -> dict[str, dict[str, Any]]:
    """Return the curves in what a Trainer has recorded, an array for each epoch."""
    if not isinstance(records, list | tuple) or not all(map(_is_record, records)):
        raise ValueError(
            "history must be that of a Trainer made with diagnostics=True, its list of "
            f"diagnostics, or a dict of a dict for each layer, got {records!r}"
        )
    known = [record for record in records if record is not None]
    if not known:
        raise ValueError(
            "history has no diagnostics: make the Trainer with diagnostics=True"
        )
    names = known[0]["layer"].tolist()
    for record in known:
        if record["layer"].tolist() != names:
            raise ValueError(
                f"history must have the same layers in all epochs, got {names} and "
                f"{record['layer'].tolist()}"
            )
    absent = np.full(len(names), np.nan)
    columns = {
        q: np.array([absent if r is None else r[q] for r in records]) for q in _KNOWN
    }
    return {
        name: {q: of[:, i] for q, of in columns.items() if _is_shown(q, of[:, i])}
        for i, name in enumerate(names)
    }


def _is_shown(quantity: str, curve: NDArray[np.float64]) -> bool:
    """Tell whether there is a number, and on a logarithmic scale one that is not 0."""
    _, is_share = _KNOWN[quantity]
    return bool((curve >= 0 if is_share else curve > 0).any())


def _is_record(record: Any) -> bool:
    if record is None:
        return True
    return (
        isinstance(record, np.ndarray) and record.dtype == RECORD and record.ndim == 1
    )


def _colours(n: int) -> Any:
    """Return colours from dark to light, as layers have an order."""
    from matplotlib import colormaps

    return colormaps["viridis"](np.linspace(0, 0.85, n))
