"""The plots of the results, with matplotlib and without a screen."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["ratio_bars"]

# The colours of Okabe and Ito (2008), which the colour-blind tell apart.
_COLOURS = {
    "fastbp": "#0072B2",
    "sklearn": "#E69F00",
    "torch": "#D55E00",
    "torch.compile": "#CC79A7",
    "jax": "#009E73",
}
_MARKERS = {"fastbp": "o", "sklearn": "s", "torch": "^"}


def _new(width: float, height: float) -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_axisbelow(True)
    return figure, axes


def _style(library: str) -> dict[str, str]:
    return {"color": _COLOURS[library], "label": library}


def ratio_bars(ratios: dict[str, dict[str, float]]) -> Figure:
    """Draw how many times as long as fastbp the others take.

    Parameters
    ----------
    ratios : dict
        Job -> library -> ratio.
    """
    names = list(dict.fromkeys(name for row in ratios.values() for name in row))
    figure, axes = _new(max(5.0, 2.0 + 1.7 * len(ratios)), 4.0)
    width = 0.84 / len(names)
    for i, name in enumerate(names):
        at = [(j, row[name]) for j, row in enumerate(ratios.values()) if name in row]
        left = (i - (len(names) - 1) / 2) * width
        bars = axes.bar(
            [j + left for j, _ in at],
            [ratio - 1 for _, ratio in at],
            0.94 * width,
            bottom=1,
            **_style(name),
        )
        labels = [f"{ratio:.2g}" if ratio < 10 else f"{ratio:.0f}" for _, ratio in at]
        axes.bar_label(bars, labels, padding=2, fontsize=8)
    axes.axhline(1, color=_COLOURS["fastbp"], linewidth=1.5)
    axes.set_yscale("log")
    values = [ratio for row in ratios.values() for ratio in row.values()]
    axes.set_ylim(min(0.9, 0.8 * min(values)), 1.4 * max(2.0, *values))
    ticks = [0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500]
    low, high = axes.get_ylim()
    axes.set_yticks([t for t in ticks if low <= t <= high], minor=False)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.yaxis.set_minor_formatter(lambda value, _: "")
    axes.set_ylabel("time of an epoch, in times of fastbp's")
    axes.set_xticks(range(len(ratios)), list(ratios))
    axes.tick_params(axis="x", length=0)
    axes.grid(axis="y", which="both", alpha=0.25)
    axes.set_title("Training: how many times as long the others take (log scale)")
    axes.legend(frameon=False, ncols=len(names), loc="upper left", fontsize=9)
    return figure
