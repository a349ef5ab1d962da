"""Part ``features``: what the options of the estimators cost, on the same job.

The time of an epoch with an option, against that of the plain fit (relu, Adam) in the
same process; rounds go through all options in turns.
"""

from __future__ import annotations

import contextlib
import statistics
from pathlib import Path
from typing import Any

import numpy as np

import fastbp

from . import data
from .cases import JOBS, Job
from .options import Options
from .peers.estimators import EpochClock, estimator_name, fit_quietly, settings
from .report import duration, percent, spread, table
from .workers import Worker, WorkerFailed

__all__ = ["TITLE", "VARIANTS", "Variants", "markdown", "run"]

TITLE = "The cost of options"
JOB = "tabular"
EPOCHS = 4
_ACTIVATIONS = (
    "identity",
    "logistic",
    "tanh",
    "leaky_relu",
    "elu",
    "selu",
    "hard_tanh",
    "gelu",
    "silu",
    "mish",
    "softplus",
)
_SOLVERS = ("adamw", "rmsprop", "adagrad", "nadam", "lion")
PLAIN = "plain"
ALL = "dropout, adamw, one_cycle, layer norm"
#: The settings of every row, by its name.
VARIANTS: dict[str, dict[str, Any]] = {
    PLAIN: {},
    ALL: {
        "dropout": 0.2,
        "solver": "adamw",
        "lr_schedule": "one_cycle",
        "normalization": "layer",
    },
    "dropout": {"dropout": 0.2},
    "layer norm": {"normalization": "layer"},
    "batch norm": {"normalization": "batch"},
    "one_cycle": {"lr_schedule": "one_cycle"},
    "l1": {"l1": 1e-6},
    "max_norm": {"max_norm": 3.0},
    "clip_norm": {"clip_norm": 1.0},
    "ema": {"ema": 0.99},
    "sgd": {"solver": "sgd", "momentum": 0.0},
    **{name: {"solver": name} for name in _SOLVERS},
    **{name: {"activation": name} for name in _ACTIVATIONS},
}
# The most that they may cost, in times of the plain fit.
GOALS = {ALL: 1.25, **dict.fromkeys(_ACTIVATIONS, 1.1)}


class Variants:
    """Fits the job with any settings; lives in a process of its own."""

    def __init__(self, job: Job, folder: Path | None, n_epochs: int) -> None:
        self.job = job
        self.n_epochs = n_epochs
        self.X, self.y = data.load(job, folder)

    def versions(self) -> dict[str, str]:
        return {"fastbp": fastbp.__version__}

    def epoch(self, name: str) -> float:
        """Return the median seconds of an epoch; the first one is not counted."""
        chosen = settings(self.job, 1 + self.n_epochs) | VARIANTS[name]
        estimator = getattr(fastbp, estimator_name(self.job))(**chosen, verbose=True)
        clock = EpochClock()
        with contextlib.redirect_stdout(clock):
            fit_quietly(estimator, self.X, self.y)
        return float(np.median(np.diff(clock.times)))


def run(options: Options) -> dict[str, Any]:
    """Time all variants in turns."""
    job = JOBS["digits" if options.quick else JOB]
    n_epochs = options.epochs or (1 if options.quick else EPOCHS)
    document = {"repeats": options.repeats, "job": f"{job.name}: {job.title}"}
    times: dict[str, list[float]] = {name: [] for name in VARIANTS}
    try:
        data.require(job, options.folder)
        with Worker("fastbp", Variants, job, options.folder, n_epochs) as worker:
            worker.ready()
            document["versions"] = worker.call("versions")
            worker.call("epoch", PLAIN)  # not counted: threads start
            for turn in range(options.repeats):
                for name, found in times.items():
                    found.append(worker.call("epoch", name))
                options.log(f"round {turn + 1} of {options.repeats}")
    except (data.DataMissing, WorkerFailed) as error:
        return {"versions": {}, **document, "rows": [], "problems": [str(error)]}
    rows = [_row(name, times[name], times[PLAIN]) for name in VARIANTS]
    return {**document, "rows": rows, "problems": []}


def _row(name: str, seconds: list[float], plain: list[float]) -> dict[str, Any]:
    ratio = statistics.median(a / b for a, b in zip(seconds, plain, strict=True))
    goal = GOALS.get(name)
    return {"name": name, "seconds": seconds, "ratio": ratio, "goal": goal}


def markdown(document: dict[str, Any]) -> list[str]:
    """Render one table."""
    cells = [
        [
            row["name"],
            ", ".join(f"{k}={v!r}" for k, v in VARIANTS[row["name"]].items()),
            duration(statistics.median(row["seconds"])),
            percent(spread(row["seconds"])),
            f"{row['ratio']:.2f}",
            "" if row["goal"] is None else f"{row['goal']:.2f}",
        ]
        for row in document["rows"]
    ]
    header = ["option", "settings", "epoch", "spread", "of plain", "at most"]
    return [
        f"Job {document['job']}. The time of an epoch, and its ratio to the plain fit",
        f"of the same round, medians of {document['repeats']} rounds.",
        "",
        *table(header, cells),
    ]
