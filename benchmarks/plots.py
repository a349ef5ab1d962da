"""The plots of the results, with matplotlib and without a screen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["Curve", "curves", "ratio_bars"]

# The colours of Okabe and Ito (2008), which the colour-blind tell apart.
_COLOURS = {
    "fastbp": "#0072B2",
    "fastbp-blas": "#56B4E9",
    "sklearn": "#E69F00",
    "torch": "#D55E00",
    "torch.compile": "#CC79A7",
    "jax": "#009E73",
}
_MARKERS = {
    "fastbp": "o",
    "fastbp-blas": "x",
    "sklearn": "s",
    "torch": "^",
    "torch.compile": "v",
    "jax": "D",
}
_RATIO_TICKS = (0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500)


def _new(width: float, height: float) -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_axisbelow(True)
    return figure, axes


def _legend(figure: Figure) -> None:
    figure.legend(loc="outside lower center", ncols=6, frameon=False)


def ratio_bars(ratios: dict[str, dict[str, float]]) -> Figure:
    """Draw how many times as long as fastbp the others take.

    Parameters
    ----------
    ratios : dict
        Job -> library -> ratio.
    """
    names = list(dict.fromkeys(name for row in ratios.values() for name in row))
    figure, axes = _new(max(6.0, 1.5 + 1.7 * len(ratios)), 4.2)
    width = 0.84 / len(names)
    for i, name in enumerate(names):
        at = [(j, row[name]) for j, row in enumerate(ratios.values()) if name in row]
        offset = (i - (len(names) - 1) / 2) * width
        bars = axes.bar(
            [j + offset for j, _ in at],
            [ratio - 1 for _, ratio in at],
            0.94 * width,
            bottom=1,
            color=_COLOURS[name],
            label=name,
        )
        axes.bar_label(bars, [_ratio(r) for _, r in at], padding=2, fontsize=8)
    axes.axhline(1, color=_COLOURS["fastbp"], linewidth=2, label="fastbp")
    axes.set_yscale("log")
    values = [ratio for row in ratios.values() for ratio in row.values()]
    # With room for the labels beyond the bars.
    low, high = min(0.85, 0.7 * min(values)), 1.4 * max(2.0, *values)
    axes.set_ylim(low, high)
    axes.set_yticks([tick for tick in _RATIO_TICKS if low <= tick <= high])
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.minorticks_off()
    axes.set_xlim(-0.5, len(ratios) - 0.5)
    axes.set_xticks(range(len(ratios)), list(ratios))
    axes.tick_params(axis="x", length=0)
    axes.grid(axis="y", alpha=0.3)
    axes.set_ylabel("time of an epoch / fastbp's (log scale)")
    axes.set_title("Training: how many times as long as fastbp the others take")
    _legend(figure)
    return figure


def _ratio(value: float) -> str:
    """Return a label with two digits, or as many as its integer part has."""
    if value >= 10:
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 2 else f"{value:.2f}"


@dataclass
class Curve:
    """Points of one library; y are seconds."""

    library: str
    x: list[float]
    y: list[float]


def curves(
    given: list[Curve],
    x_label: str,
    y_label: str,
    title: str,
    *,
    with_line: bool = False,
) -> Figure:
    """Draw curves over logarithmic axes; the x that were measured are the ticks.

    With a line, of slope 1, through the last point of the first curve.
    """
    figure, axes = _new(6.0, 4.4)
    for curve in given:
        axes.plot(
            curve.x,
            curve.y,
            marker=_MARKERS[curve.library],
            color=_COLOURS[curve.library],
            label=curve.library,
        )
    if with_line:
        x, last = given[0].x, given[0].y[-1]
        y = [last * value / x[-1] for value in x]
        axes.plot(x, y, color="grey", linestyle="--", zorder=1, label="linear")
    axes.set_xscale("log")
    axes.set_yscale("log")
    ticks = sorted({x for curve in given for x in curve.x})
    axes.set_xticks(ticks, [f"{x:,.0f}" for x in ticks])
    axes.xaxis.minorticks_off()
    axes.grid(alpha=0.3)
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    axes.set_title(title)
    _legend(figure)
    return figure
