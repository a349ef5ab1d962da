"""WeightsDisplay."""

from __future__ import annotations

from collections.abc import Sequence
from math import isqrt
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .._objects import check_size
from ._axes import COLOURS, check_coefs, panels, tidy

__all__ = ["WeightsDisplay"]

_KINDS = ("images", "histograms")


class WeightsDisplay:
    """Weights of a network: those of the first layer as images, or histograms of all.

    Parameters
    ----------
    coefs : list of array-like of shape (n_in, n_out)
        Weights of each layer.

    Attributes
    ----------
    figure_ : Figure
    axes_ : ndarray of Axes
        One for each image or histogram.
    images_ : list of AxesImage
        Those of the units, if drawn.

    Examples
    --------
    >>> from fastbp import MLPClassifier
    >>> from fastbp.plots import WeightsDisplay
    >>> from sklearn.datasets import load_digits
    >>> X, y = load_digits(return_X_y=True)
    >>> model = MLPClassifier((16,), max_iter=30).fit(X / 16, y)
    >>> display = WeightsDisplay.from_estimator(model)  # doctest: +SKIP
    """

    figure_: Any
    axes_: Any
    images_: list[Any]

    def __init__(self, coefs: Sequence[ArrayLike]) -> None:
        self.coefs = coefs

    @classmethod
    def from_estimator(
        cls, estimator: Any, *, kind: str = "images", ax: Any = None, **kw: Any
    ) -> WeightsDisplay:
        """Draw the weights of a fitted estimator or of a network.

        Parameters
        ----------
        estimator : MLPClassifier, MLPRegressor or Network
            A fitted estimator, or a network, whose ``Dense`` layers are drawn as they
            are now; its other layers are left out.
        kind : {'images', 'histograms'}, default='images'
            As for ``plot``.
        ax : None, Axes or array-like of Axes, default=None
            As for ``plot``.
        **kw
            For ``plot``.

        Returns
        -------
        display : WeightsDisplay

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If it is neither an estimator of that kind nor a network.
        """
        return cls(check_coefs(estimator)).plot(ax=ax, kind=kind, **kw)

    def plot(
        self,
        ax: Any = None,
        *,
        kind: str = "images",
        image_shape: tuple[int, int] | None = None,
        max_images: int = 16,
        **kw: Any,
    ) -> WeightsDisplay:
        """Draw images of the first layer, or a histogram of each layer.

        Parameters
        ----------
        ax : None, Axes or array-like of Axes, default=None
            None makes a new figure. One Axes is divided.
        kind : {'images', 'histograms'}, default='images'
            'images' shows what each of the first units looks for: its weights at the
            places of the inputs, all on one scale of colours.
        image_shape : tuple of int or None, default=None
            Rows and columns of an image; their product is the number of inputs. None
            means a square.
        max_images : int, default=16
            Most units that are shown, at least 1.
        **kw
            For ``Axes.imshow`` or ``Axes.hist``.

        Returns
        -------
        display : WeightsDisplay

        Raises
        ------
        ValueError
            If the inputs do not fill an image of that shape, or ``kind`` is not known.
        """
        if kind not in _KINDS:
            raise ValueError(f"kind must be one of {_KINDS}, got {kind!r}")
        if kind == "images":
            self._plot_images(ax, image_shape, max_images, kw)
        else:
            self._plot_histograms(ax, kw)
        return self

    def _plot_images(
        self, ax: Any, shape: tuple[int, int] | None, most: int, kw: dict[str, Any]
    ) -> None:
        weights = np.asarray(self.coefs[0])
        shape = _image_shape(shape, len(weights))
        n = min(check_size(most, "max_images"), weights.shape[1])
        n_cols = min(n, 8)
        grid = (-(-n // n_cols), n_cols)
        axes = panels(ax, grid, (1.1 * grid[1] + 1, 1.25 * grid[0] + 0.4)).ravel()
        self.axes_, self.figure_ = axes[:n], axes[0].figure
        largest = float(np.abs(weights[:, :n]).max()) or 1.0
        style = {"cmap": "RdBu_r", "vmin": -largest, "vmax": largest, **kw}
        self.images_ = []
        for unit, panel in enumerate(self.axes_):
            image = panel.imshow(weights[:, unit].reshape(shape), **style)
            self.images_.append(image)
            panel.set_title(f"unit {unit}", fontsize="small")
        for panel in axes:
            panel.set_axis_off()
        self.figure_.colorbar(self.images_[0], ax=list(axes), label="weight")

    def _plot_histograms(self, ax: Any, kw: dict[str, Any]) -> None:
        n = len(self.coefs)
        axes = panels(ax, (n, 1), (6.4, 1.8 * n + 0.6)).ravel()
        self.axes_, self.figure_, self.images_ = axes, axes[0].figure, []
        style = {"bins": 50, "color": COLOURS["blue"], **kw}
        for layer, (panel, coef) in enumerate(zip(axes, self.coefs, strict=True)):
            panel.hist(np.ravel(coef), **style)
            n_in, n_out = np.shape(coef)
            panel.set_title(f"layer {layer + 1} ({n_in} × {n_out})", loc="left")
            panel.set_ylabel("count")
            tidy(panel, grid="y")
        axes[-1].set_xlabel("weight")


def _image_shape(shape: tuple[int, int] | None, n_in: int) -> tuple[int, int]:
    if shape is None:
        shape = (isqrt(n_in), isqrt(n_in))
        if shape[0] * shape[1] != n_in:
            raise ValueError(
                f"image_shape must be given: {n_in} inputs are no square image"
            )
    sizes = list(shape) if isinstance(shape, Sequence | np.ndarray) else []
    are_sizes = all(isinstance(size, Integral) and size > 0 for size in sizes)
    if not are_sizes or len(sizes) != 2 or sizes[0] * sizes[1] != n_in:
        raise ValueError(
            f"image_shape must be two numbers with the product {n_in}, the number of "
            f"inputs, got {shape!r}"
        )
    return shape
