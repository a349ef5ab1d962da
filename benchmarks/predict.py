"""Part ``predict``: throughput on many rows, and latency of one row.

All libraries have the same weights, and their probabilities must agree.
"""

from __future__ import annotations

import statistics
from contextlib import ExitStack
from itertools import pairwise
from typing import Any

import numpy as np

from . import peers
from .blas import Blas
from .cases import JOBS, Job
from .options import Options
from .predictors import PREDICTORS
from .report import duration, percent, spread, table
from .workers import Worker, usable_cores

__all__ = ["TITLE", "markdown", "run"]

TITLE = "Prediction: throughput and latency"
THROUGHPUT_JOB = "tabular"
THROUGHPUT_ROWS = 1_000_000
LATENCY_JOBS = ["digits", "default", "tabular"]
LATENCY_CALLS = 1000
THROUGHPUT_GOAL = 0.9  # of the peak of BLAS in the same products
LATENCY_GOAL = 1 / 3  # of scikit-learn's
# Probabilities of float32 networks agree to so much, absolutely.
TOLERANCE = 1e-4


def run(options: Options) -> dict[str, Any]:
    """Measure throughput and latency of every library, in turns."""
    n_rows = 10_000 if options.quick else THROUGHPUT_ROWS
    n_calls = 20 if options.quick else LATENCY_CALLS
    found: dict[str, Any] = {
        "versions": {},
        "repeats": options.repeats,
        "throughput": _throughput(JOBS[THROUGHPUT_JOB], n_rows, options),
        "latency": [
            _latency(JOBS[name], n_calls, options)
            for name in (LATENCY_JOBS[:1] if options.quick else LATENCY_JOBS)
        ],
    }
    parts = [found["throughput"], *found["latency"]]
    for part in parts:
        found["versions"] |= part.pop("versions")
    found["problems"] = [line for part in parts for line in part.pop("problems")]
    return found


def _throughput(job: Job, n_rows: int, options: Options) -> dict[str, Any]:
    flops = 2.0 * n_rows * sum(n_in * n_out for n_in, n_out in pairwise(job.units))
    n_threads = usable_cores()
    peaks: dict[str, list[float]] = {"square": [], "forward": []}
    with ExitStack() as stack:
        workers, found = _start(job, n_rows, options, stack)
        blas = stack.enter_context(Worker("BLAS", Blas, job.dtype))
        blas.ready()
        for worker in workers.values():
            worker.call("warm_up")
        seconds: dict[str, list[float]] = {name: [] for name in workers}
        for turn in range(options.repeats):
            for name, worker in workers.items():
                seconds[name].append(worker.call("seconds"))
            peaks["square"].append(blas.call("gflops", n_threads))
            peaks["forward"].append(blas.call("forward_gflops", job.units, n_threads))
            options.log(f"throughput, round {turn + 1} of {options.repeats}")
    best = {name: max(figures) for name, figures in peaks.items()}
    rows = []
    for name, times in seconds.items():
        gflops = flops / statistics.median(times) / 1e9
        shares = {f"share_of_{kind}": gflops / peak for kind, peak in best.items()}
        rows.append({"library": name, "seconds": times, "gflops": gflops, **shares})
    return {
        **found,
        "job": job.name,
        "n_rows": n_rows,
        "threads": n_threads,
        "peak_gflops": best,
        "goal": THROUGHPUT_GOAL,
        "rows": rows,
    }


def _latency(job: Job, n_calls: int, options: Options) -> dict[str, Any]:
    with ExitStack() as stack:
        workers, found = _start(job, min(n_calls, 1000), options, stack)
        rounds: dict[str, list[float]] = {name: [] for name in workers}
        for worker in workers.values():
            worker.call("latencies", n_calls)
        for turn in range(options.repeats):
            for name, worker in workers.items():
                times = worker.call("latencies", n_calls)
                rounds[name].append(statistics.median(times))
            options.log(f"latency {job.name}, round {turn + 1} of {options.repeats}")
    medians = {name: statistics.median(times) for name, times in rounds.items()}
    return {
        **found,
        "job": job.name,
        "calls": n_calls,
        "goal": LATENCY_GOAL,
        "rows": [
            {
                "library": name,
                "medians": times,
                "seconds": medians[name],
                "share_of_sklearn": medians[name] / medians["sklearn"],
            }
            for name, times in rounds.items()
        ],
    }


def _start(
    job: Job, n_rows: int, options: Options, stack: ExitStack
) -> tuple[dict[str, Worker], dict[str, Any]]:
    """Start the libraries; scikit-learn is always there, to compare with."""
    chosen = {*peers.libraries(options.peers or list(PREDICTORS)), "sklearn"}
    workers = {
        name: stack.enter_context(Worker(name, predictor, job, n_rows))
        for name, predictor in PREDICTORS.items()
        if name in chosen and peers.unsupported(f"{name}-1", job) is None
    }
    samples, versions = {}, {}
    for name, worker in workers.items():
        worker.ready()
        samples[name] = worker.call("sample")
        versions |= worker.call("versions")
    problems = [
        f"{job.name}: {name} predicts other probabilities than sklearn"
        for name, sample in samples.items()
        if not np.allclose(sample, samples["sklearn"], rtol=0, atol=TOLERANCE)
    ]
    return workers, {"versions": versions, "problems": problems}


def markdown(document: dict[str, Any]) -> list[str]:
    """Render throughput and latency."""
    throughput = document["throughput"]
    peaks = throughput["peak_gflops"]
    return [
        f"Medians of {document['repeats']} interleaved rounds.",
        "",
        "## Throughput",
        "",
        f"`predict_proba` on {throughput['n_rows']:,} rows, with the network of",
        f"`{throughput['job']}`. In the same run, on {throughput['threads']} threads,",
        f"BLAS reached {peaks['square']:.1f} GFLOP/s in square products, and",
        f"{peaks['forward']:.1f} GFLOP/s in the products of this forward pass alone.",
        f"The goal is {throughput['goal']:.0%} of the latter.",
        "",
        *_throughput_table(throughput),
        "",
        "## Latency of one row",
        "",
        "The median time of `predict_proba` on a single row; a third of scikit-learn's",
        "is the goal. PyTorch runs with one thread.",
        "",
        *_latency_table(document["latency"]),
    ]


def _throughput_table(throughput: dict[str, Any]) -> list[str]:
    header = ["library", "time", "spread", "rows/s", "GFLOP/s"]
    cells = [
        [
            row["library"],
            duration(statistics.median(row["seconds"])),
            percent(spread(row["seconds"])),
            f"{throughput['n_rows'] / statistics.median(row['seconds']):,.0f}",
            f"{row['gflops']:.1f}",
            percent(row["share_of_square"]),
            percent(row["share_of_forward"]),
        ]
        for row in throughput["rows"]
    ]
    return table([*header, "of square peak", "of forward peak"], cells)


def _latency_table(latency: list[dict[str, Any]]) -> list[str]:
    cells = [
        [
            part["job"],
            row["library"],
            duration(row["seconds"]),
            percent(spread(row["medians"])),
            f"{row['share_of_sklearn']:.2f} x",
        ]
        for part in latency
        for row in part["rows"]
    ]
    return table(
        ["network", "library", "one row", "spread", "of scikit-learn's"], cells
    )
