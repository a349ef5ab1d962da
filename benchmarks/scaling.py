"""Part ``scaling``: the time of an epoch against the size of one thing."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from . import peers, plots
from .cases import JOBS, Job
from .options import Options
from .report import duration, table
from .runner import run_job
from .training import job_document, problems
from .workers import usable_cores

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["AXES", "TITLE", "figures", "markdown", "peers_of", "run", "slope"]

TITLE = "Scaling"
DEFAULT_PEERS = ["fastbp", "sklearn"]
# A round trains about so many operations, within these numbers of epochs.
FLOPS_PER_ROUND = 2e9
MOST_EPOCHS = 20

# The data of `tabular`, with fewer features and a small network.
_BASE = Job("", "tabular", 10_000, (64, 64, 10), 256)


@dataclass(frozen=True)
class Axis:
    """One thing that grows: its sizes, and the job of a size."""

    label: str
    sizes: tuple[int, ...]
    quick_sizes: tuple[int, ...]
    job: Callable[[int], Job]


def _deep(depth: int) -> tuple[int, ...]:
    return (64, *[64] * depth, 10)


#: Every axis by its name; ``threads`` grows to the cores of the machine.
AXES = {
    "rows": Axis(
        "rows of X",
        (1_000, 10_000, 100_000, 1_000_000),
        (300, 600),
        lambda n: replace(_BASE, n_samples=n),
    ),
    "width": Axis(
        "units of each of two hidden layers",
        (16, 64, 256, 1024, 4096),
        (4, 8),
        lambda n: replace(_BASE, n_samples=4096, units=(64, n, n, 10)),
    ),
    "batch": Axis(
        "rows of a batch",
        (1, 8, 64, 512, 8192),
        (64, 128),
        lambda n: replace(_BASE, n_samples=16_384, batch_size=n),
    ),
    "depth": Axis(
        "hidden layers of 64 units",
        (1, 2, 4, 8, 16, 32),
        (1, 2),
        lambda n: replace(_BASE, units=_deep(n), learning_rate=1e-4),
    ),
    "threads": Axis("threads", (), (1,), lambda n: JOBS["tabular"]),
}


def run(options: Options) -> dict[str, Any]:
    """Time every size of every axis."""
    axes, versions, lines = {}, {}, []
    for name in options.axes or list(AXES):
        points = []
        for size in _sizes(name, options.quick):
            job = replace(AXES[name].job(size), name=f"{name} {size}")
            if options.quick:
                job = replace(job, n_samples=min(job.n_samples, 1000))
            result = run_job(
                job,
                peers_of(name, size, options.peers or DEFAULT_PEERS),
                options.repeats,
                n_epochs=options.epochs or _n_epochs(job),
                folder=options.folder,
                report=options.log,
                with_peaks=False,
            )
            versions |= result.versions
            lines += problems(result)
            points.append({"size": size, **job_document(result)})
        axes[name] = {"label": AXES[name].label, "points": points}
        axes[name]["slopes"] = {
            curve.library: slope(curve.x, curve.y) for curve in _curves(axes[name])
        }
    return {
        "versions": versions,
        "repeats": options.repeats,
        "axes": axes,
        "problems": lines,
    }


def _sizes(axis: str, quick: bool) -> tuple[int, ...]:
    if axis == "threads" and not quick:
        powers = [2**i for i in range(usable_cores().bit_length())]
        return tuple(sorted({*powers, usable_cores()}))
    return AXES[axis].quick_sizes if quick else AXES[axis].sizes


def peers_of(axis: str, size: int, names: list[str]) -> list[str]:
    """Return the peers for a size: on the axis of threads, with so many threads."""
    if axis != "threads":
        return peers.expand(names)
    libraries = peers.libraries(names)
    return [f"{name}-{size}" for name in libraries if f"{name}-1" in peers.PEERS]


def _n_epochs(job: Job) -> int:
    return max(1, min(MOST_EPOCHS, math.floor(FLOPS_PER_ROUND / job.flops_per_epoch)))


def slope(x: list[float], y: list[float]) -> float | None:
    """Fit y = c x^slope to points; 1 is linear. None for a single point."""
    if len(x) < 2:
        return None
    return float(np.polyfit(np.log(x), np.log(y), 1)[0])


def _curves(axis: dict[str, Any]) -> list[plots.Curve]:
    """Return a curve of the best valid times of every library."""
    found: dict[str, plots.Curve] = {}
    for point in axis["points"]:
        for name, seconds in _times(point).items():
            curve = found.setdefault(name, plots.Curve(name, [], []))
            curve.x.append(point["size"])
            curve.y.append(seconds)
    return list(found.values())


def _times(point: dict[str, Any]) -> dict[str, float]:
    """Return the time of an epoch by library; that of its best setting."""
    best: dict[str, float] = {}
    for row in point["rows"]:
        if row["valid"]:
            name = peers.library(row["peer"])
            best[name] = min(row["median"], best.get(name, math.inf))
    return best


def figures(document: dict[str, Any]) -> dict[str, Figure]:
    """Draw a plot of every axis."""
    return {
        f"scaling_{name}": plots.curves(
            _curves(axis),
            axis["label"],
            "seconds per epoch",
            f"Time of an epoch against {name}",
            with_line=name == "rows",
        )
        for name, axis in document["axes"].items()
        if _curves(axis)
    }


def markdown(document: dict[str, Any]) -> list[str]:
    """Render a table of every axis."""
    lines = [
        f"The time of an epoch, median of {document['repeats']} interleaved rounds. A",
        "slope of 1 in the logarithms is linear growth.",
    ]
    for name, axis in document["axes"].items():
        lines += ["", f"## {name.capitalize()}", "", *_table(axis)]
        slopes = [f"{k} {v:.2f}" for k, v in axis["slopes"].items() if v is not None]
        if name == "rows" and slopes:
            lines += ["", f"Slope over all sizes: {', '.join(slopes)}."]
    return lines


def _table(axis: dict[str, Any]) -> list[str]:
    libraries = [curve.library for curve in _curves(axis)]
    rows = []
    for point in axis["points"]:
        times = _times(point)
        cells = [duration(times[k]) if k in times else "" for k in libraries]
        rows.append([f"{point['size']:,}", point["title"], *cells])
    return table([axis["label"], "rows; units; batch; solver", *libraries], rows)
