"""Part ``fit``: what ``est.fit`` costs beside the bare engine.

The engine, fastbp's C++ core, trains the same epochs of the same network: the losses
must have the same bits. Everything else that ``fit`` does is the Python layer: checks,
label encoding, initial weights, the split, shuffles, scores, the best weights so far.

What it costs is a few hundredths, and other programs only ever add to a time: so the
least times of all turns are compared. Short fits have many turns in a round, as those
of a user who searches for parameters: the first one after a pause takes longer.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import train_test_split

import fastbp

from . import data
from .cases import JOBS, Job
from .engine import Engine
from .options import Options
from .peers.base import SEED, epoch_orders, initial_parameters
from .peers.estimators import FastbpPeer, estimator_name, fit_quietly, settings
from .report import duration, percent, spread, table
from .workers import Worker, WorkerFailed

__all__ = ["TITLE", "FitAndEngine", "markdown", "run"]

TITLE = "The cost of the Python layer of fit"
DEFAULT_JOBS = ["digits", "default", "tabular"]
EPOCHS = 20
# The turns of a round last as long as this, but there is at least one.
ROUND_SECONDS = 0.3
# The most that the layer may cost, as a share of the engine's time.
GOALS = {"digits": 0.10}
OTHER_GOAL = 0.02


class FitAndEngine:
    """One job, trained by ``fit`` and by the engine in turns, in the same process."""

    def __init__(self, job: Job, folder: Path | None, n_epochs: int) -> None:
        self.job = job
        self.n_epochs = n_epochs
        self.X, self.y = data.load(job, folder)
        self.engine = Engine(job, self.X, self.y)

    def versions(self) -> dict[str, str]:
        return FastbpPeer(self.job, self.X, self.y, None).versions()

    def round(self, validation: bool) -> list[tuple[float, float]]:
        """Return the seconds of ``fit`` and those of the engine, for each turn."""
        end = time.perf_counter() + ROUND_SECONDS
        turns = [self._turn(validation)]
        while time.perf_counter() < end:
            turns.append(self._turn(validation))
        return turns

    def _turn(self, validation: bool) -> tuple[float, float]:
        estimator = getattr(fastbp, estimator_name(self.job))(
            **settings(self.job, self.n_epochs), early_stopping=validation
        )
        start = time.perf_counter()
        fit_quietly(estimator, self.X, self.y)
        fit_seconds = time.perf_counter() - start
        engine_seconds, losses = self.engine.train(*self._schedule(validation))
        if losses != estimator.loss_curve_:
            raise AssertionError(
                f"fit and engine differ: {estimator.loss_curve_}, {losses}"
            )
        return fit_seconds, engine_seconds

    def _schedule(
        self, validation: bool
    ) -> tuple[Any, list[NDArray[np.int64]], NDArray[np.int64] | None]:
        """Draw initial weights, orders of the rows and the split as ``fit`` does."""
        rng = np.random.RandomState(SEED)
        parameters = initial_parameters(self.job, rng)
        rows, held_out = np.arange(self.job.n_samples), None
        if validation:
            stratify = self.y if self.job.task == "binary" else None
            rows, held_out = train_test_split(
                rows, random_state=rng, test_size=0.1, stratify=stratify
            )
        orders = epoch_orders(len(rows), rng)
        return parameters, [rows[next(orders)] for _ in range(self.n_epochs)], held_out


def run(options: Options) -> dict[str, Any]:
    """Time both, in turns, without and with validation."""
    rows, problems, versions = [], [], {}
    names = options.jobs or (["digits"] if options.quick else DEFAULT_JOBS)
    n_epochs = options.epochs or (2 if options.quick else EPOCHS)
    for job in (JOBS[name] for name in names):
        try:
            data.require(job, options.folder)
            arguments = (job, options.folder, n_epochs)
            with Worker("fastbp", FitAndEngine, *arguments) as worker:
                worker.ready()
                versions = worker.call("versions")
                rows += _rows(job, worker, options)
        except (data.DataMissing, WorkerFailed) as error:
            problems.append(f"{job.name}: {error}")
    return {
        "versions": versions,
        "repeats": options.repeats,
        "epochs": n_epochs,
        "rows": rows,
        "problems": problems,
    }


def _rows(job: Job, worker: Worker, options: Options) -> list[dict[str, Any]]:
    times: dict[bool, list[tuple[float, float]]] = {False: [], True: []}
    for validation in times:  # not counted: threads start, pages are touched
        worker.call("round", validation)
    for number in range(options.repeats):
        for validation, turns in times.items():
            turns += worker.call("round", validation)
        options.log(f"{job.name}, round {number + 1} of {options.repeats}")
    return [_row(job, validation, turns) for validation, turns in times.items()]


def _row(
    job: Job, validation: bool, turns: list[tuple[float, float]]
) -> dict[str, Any]:
    fit_seconds, engine_seconds = zip(*turns, strict=True)
    overhead = min(fit_seconds) / min(engine_seconds) - 1
    goal = GOALS.get(job.name, OTHER_GOAL)
    return {
        "job": job.name,
        "validation": validation,
        "fit_seconds": fit_seconds,
        "engine_seconds": engine_seconds,
        "overhead": overhead,
        "goal": goal,
        "met": overhead <= goal,
    }


def markdown(document: dict[str, Any]) -> list[str]:
    """Render one table."""
    header = ["job", "validation", "fit", "spread", "engine", "spread", "overhead"]
    cells = [
        [
            row["job"],
            "on" if row["validation"] else "off",
            duration(min(row["fit_seconds"])),
            percent(spread(row["fit_seconds"])),
            duration(min(row["engine_seconds"])),
            percent(spread(row["engine_seconds"])),
            percent(row["overhead"]),
            f"at most {row['goal']:.0%}: {'met' if row['met'] else 'missed'}",
        ]
        for row in document["rows"]
    ]
    return [
        f"`est.fit` with {document['epochs']} epochs beside the C++ core training the",
        f"same epochs, in turns, in {document['repeats']} rounds. Times are the least",
        "of all turns, and the overhead is their ratio less 1. With validation",
        "(`early_stopping=True`) both train on nine tenths of the rows, and the engine",
        "predicts the others after each epoch.",
        "",
        *table([*header, "goal"], cells),
    ]
