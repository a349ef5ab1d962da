"""Part ``load``: fits beside busy processes, and two fits at once."""

from __future__ import annotations

import statistics
import time
from contextlib import ExitStack
from typing import Any

from . import data, peers
from .busy import busy_processes
from .cases import JOBS, Job
from .options import Options
from .report import duration, table
from .workers import Worker, WorkerFailed, settle, usable_cores

__all__ = ["TITLE", "markdown", "run"]

TITLE = "Training under load"
DEFAULT_JOBS = ["default", "tabular"]
DEFAULT_PEERS = ["fastbp", "sklearn", "torch-all"]
SLOWDOWN_GOAL = 2.5  # beside one busy process per core
TWO_FITS_GOAL = 1.15  # times the time of one after the other


def run(options: Options) -> dict[str, Any]:
    """Measure both on every job and peer."""
    names = options.jobs or (["digits"] if options.quick else DEFAULT_JOBS)
    found: dict[str, Any] = {"slowdown": [], "two_fits": []}
    versions: dict[str, str] = {}
    problems = []
    for job in (JOBS[name] for name in names):
        for peer in peers.expand(options.peers or DEFAULT_PEERS):
            if peers.unsupported(peer, job) is not None:
                continue
            try:
                data.require(job, options.folder)
                with ExitStack() as stack:
                    pair = [_start(peer, job, options, stack) for _ in range(2)]
                    versions |= pair[0].call("versions")
                    row = {"job": job.name, "peer": peer}
                    found["slowdown"].append(row | _slowdown(pair[0], job, options))
                    found["two_fits"].append(row | _two_fits(pair, job, options))
            except (data.DataMissing, WorkerFailed) as error:
                problems.append(f"{job.name}, {peer}: {error}")
    return {
        "versions": versions,
        "repeats": options.repeats,
        "busy_processes": usable_cores(),
        **found,
        "problems": problems,
    }


def _start(peer: str, job: Job, options: Options, stack: ExitStack) -> Worker:
    """Start a peer; one epoch makes sure that nothing happens for the first time."""
    worker = stack.enter_context(peers.start(peer, job, options.folder))
    worker.ready()
    worker.call("round", 1)
    return worker


def _n_epochs(job: Job, options: Options) -> int:
    return options.epochs or (1 if options.quick else job.epochs)


def _slowdown(worker: Worker, job: Job, options: Options) -> dict[str, Any]:
    """Time rounds alone and beside the busy processes, in turns."""
    n_epochs = _n_epochs(job, options)
    alone, beside = [], []
    for turn in range(options.repeats):
        alone.append(statistics.median(worker.call("round", n_epochs)))
        with busy_processes(usable_cores()):
            beside.append(statistics.median(worker.call("round", n_epochs)))
        options.log(f"{job.name}, {worker.label}, load, round {turn + 1}")
    return {
        "alone": alone,
        "beside": beside,
        "ratio": statistics.median(beside) / statistics.median(alone),
    }


def _two_fits(pair: list[Worker], job: Job, options: Options) -> dict[str, Any]:
    """Time two fits in two processes, one after the other and at once, in turns."""
    n_epochs = _n_epochs(job, options)
    in_turn, at_once = [], []
    for _ in range(options.repeats):
        settle()
        start = time.perf_counter()
        for worker in pair:
            worker.send("round", n_epochs)
            worker.receive()
        in_turn.append(time.perf_counter() - start)
        settle()
        start = time.perf_counter()
        for worker in pair:
            worker.send("round", n_epochs)
        for worker in pair:
            worker.receive()
        at_once.append(time.perf_counter() - start)
    return {
        "in_turn": in_turn,
        "at_once": at_once,
        "ratio": statistics.median(at_once) / statistics.median(in_turn),
    }


def markdown(document: dict[str, Any]) -> list[str]:
    """Render a table of each measurement."""
    n = document["busy_processes"]
    return [
        f"Medians of {document['repeats']} rounds of each kind, in turns.",
        "",
        f"## An epoch beside {n} busy processes, one per core",
        "",
        f"The goal for fastbp is a slowdown of at most {SLOWDOWN_GOAL} x.",
        "",
        *_table(document["slowdown"], "alone", "beside", "slowdown"),
        "",
        "## Two fits in two processes",
        "",
        f"The goal for fastbp is at most {TWO_FITS_GOAL} x the time of one after the",
        "other.",
        "",
        *_table(document["two_fits"], "in_turn", "at_once", "at once / in turn"),
    ]


def _table(rows: list[dict[str, Any]], a: str, b: str, ratio: str) -> list[str]:
    cells = [
        [
            row["job"],
            row["peer"],
            duration(statistics.median(row[a])),
            duration(statistics.median(row[b])),
            f"{row['ratio']:.2f} x",
        ]
        for row in rows
    ]
    header = ["job", "peer", a.replace("_", " "), b.replace("_", " "), ratio]
    return table(header, cells)
