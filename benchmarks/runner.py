"""Run jobs on peers in turns, and decide which of the timings count."""

from __future__ import annotations

import contextlib
import statistics
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from . import data, peers
from .blas import Blas
from .cases import Job
from .workers import Worker, WorkerFailed

__all__ = ["TOLERANCE", "JobResult", "Row", "run_job"]

# Two losses agree when they differ by less than this share of the larger one. Peers
# round differently, and stochastic training lets such differences grow. In float32 they
# start at 1e-7 and reach, where the loss has fallen to a fortieth of what it was within
# two epochs (the job `wide`), 3 % of what is left. A learning rate that is wrong by a
# fifth shows as more than 5 %. In float64 what is left is Adam's epsilon, which PyTorch
# adds elsewhere: half a percent.
TOLERANCE = {"float32": 0.05, "float64": 0.01}
# Losses below this are taken for equal: the network has learned all there is.
LOSS_FLOOR = 1e-3


@dataclass
class Row:
    """The outcome of one job on one peer.

    ``rounds`` holds the seconds of each timed epoch, one list per round. A row that
    is not ``valid`` says why in ``reason``.
    """

    peer: str
    rounds: list[list[float]] = field(default_factory=list)
    loss: float | None = None
    initial_loss: float | None = None
    reason: str | None = None
    threads: int | None = None

    @property
    def valid(self) -> bool:
        return self.reason is None

    @property
    def seconds(self) -> list[float]:
        return [seconds for epochs in self.rounds for seconds in epochs]

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    @property
    def spread(self) -> float:
        """Distance of the quartiles, as a share of the median."""
        if len(self.seconds) < 2:
            return 0.0
        lower, _, upper = statistics.quantiles(self.seconds, n=4, method="inclusive")
        return (upper - lower) / self.median


@dataclass
class JobResult:
    """All rows of one job; ``skipped`` says why there are none.

    ``peaks`` is what BLAS reaches in the job's dtype, threads -> GFLOP/s.
    """

    job: Job
    n_epochs: int
    rows: list[Row] = field(default_factory=list)
    peaks: dict[int, float] = field(default_factory=dict)
    skipped: str | None = None
    versions: dict[str, str] = field(default_factory=dict)

    def best(self, library: str) -> Row | None:
        """Return the fastest valid row of a library, whatever its threads."""
        rows = [r for r in self.rows if r.valid and peers.library(r.peer) == library]
        return min(rows, key=lambda row: row.median, default=None)


def run_job(
    job: Job,
    names: list[str],
    repeats: int,
    *,
    n_epochs: int | None = None,
    folder: Path | None = None,
    report: Callable[[str], None] = print,
    with_peaks: bool = True,
) -> JobResult:
    """Time a job on every peer, interleaved: one round of each, ``repeats`` times.

    Each turn also measures the peak of BLAS, unless ``with_peaks`` is False.
    """
    result = JobResult(job, n_epochs or job.epochs)
    try:
        data.require(job, folder)
    except data.DataMissing as error:
        result.skipped = str(error)
        return result
    result.rows = [Row(name, reason=peers.unsupported(name, job)) for name in names]
    with contextlib.ExitStack() as stack:
        workers = _start(result, folder, stack)
        blas = None
        if with_peaks:
            blas = stack.enter_context(Worker("BLAS", Blas, job.dtype))
            blas.ready()
        for turn in range(repeats):
            for row in result.rows:
                _attempt(row, lambda row: _round(row, workers[row.peer], result))
            if blas is not None:
                _measure_peaks(result, blas)
            times = ", ".join(
                f"{row.peer} {1e3 * statistics.median(row.rounds[-1]):.4g} ms"
                for row in result.rows
                if row.valid
            )
            report(f"{job.name}, round {turn + 1} of {repeats}: {times}")
        for row in result.rows:
            _attempt(row, lambda row: _fetch_losses(row, workers[row.peer]))
    judge(result)
    return result


def _start(
    result: JobResult, folder: Path | None, stack: contextlib.ExitStack
) -> dict[str, Worker]:
    """Start all workers at once; none is timed until the last has its data."""
    workers = {}
    for row in result.rows:
        if row.valid:
            worker = peers.start(row.peer, result.job, folder)
            workers[row.peer] = stack.enter_context(worker)
    for row in result.rows:
        _attempt(row, lambda row: _introduce(row, workers[row.peer], result))
    return workers


def _introduce(row: Row, worker: Worker, result: JobResult) -> None:
    worker.ready()
    row.threads = worker.call("threads")
    result.versions.update(worker.call("versions"))


def _measure_peaks(result: JobResult, blas: Worker) -> None:
    """Keep the best figure of all turns, for as many threads as each peer uses."""
    for n_threads in sorted({row.threads for row in result.rows if row.threads}):
        gflops = blas.call("gflops", n_threads)
        result.peaks[n_threads] = max(gflops, result.peaks.get(n_threads, 0.0))


def _attempt(row: Row, action: Callable[[Row], None]) -> None:
    """Do something with a row that is still valid; a failure of its peer ends it."""
    if row.valid:
        try:
            action(row)
        except WorkerFailed as error:
            row.reason = str(error)


def _round(row: Row, worker: Worker, result: JobResult) -> None:
    row.rounds.append(worker.call("round", result.n_epochs))
    if len(row.rounds[-1]) != result.n_epochs:
        row.reason = f"trained {len(row.rounds[-1])} epochs, not {result.n_epochs}"


def _fetch_losses(row: Row, worker: Worker) -> None:
    row.initial_loss, row.loss = worker.call("losses")


def judge(result: JobResult) -> None:
    """Mark the rows whose network is not the one that the reference trained.

    The reference is scikit-learn when it ran, else the first peer.
    """
    rows = [row for row in result.rows if row.valid]
    if not rows:
        return
    reference = next((r for r in rows if peers.library(r.peer) == "sklearn"), rows[0])
    tolerance = TOLERANCE[result.job.dtype]
    for row in rows:
        assert row.loss is not None and row.initial_loss is not None
        assert reference.loss is not None
        if not row.loss < row.initial_loss:
            row.reason = f"did not learn: loss {row.initial_loss:.6g} -> {row.loss:.6g}"
        elif not _agree(row.loss, reference.loss, tolerance):
            row.reason = (
                f"loss {row.loss:.6g} differs from {reference.peer}'s "
                f"{reference.loss:.6g} by more than {tolerance:.1%}"
            )


def _agree(a: float, b: float, tolerance: float) -> bool:
    larger = max(abs(a), abs(b))
    return larger < LOSS_FLOOR or abs(a - b) <= tolerance * larger
