"""Part ``training``: the time of an epoch, fastbp against its peers."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from . import peers, plots
from .cases import JOBS
from .options import Options
from .report import duration, last_line, percent, table
from .runner import TOLERANCE, JobResult, Row, run_job

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["TITLE", "figures", "job_document", "markdown", "run"]

TITLE = "Training speed"
DEFAULT_PEERS = ["fastbp", "fastbp-blas", "sklearn", "sklearn-1"]
DEFAULT_PEERS += ["torch", "torch-compile", "jax"]


def run(options: Options) -> dict[str, Any]:
    """Time the epochs of every job on every peer."""
    jobs = options.jobs or (["digits"] if options.quick else list(JOBS))
    results = [
        run_job(
            JOBS[name],
            peers.expand(options.peers or DEFAULT_PEERS),
            options.repeats,
            n_epochs=options.epochs or (1 if options.quick else None),
            folder=options.folder,
            report=options.log,
        )
        for name in jobs
    ]
    return {
        "versions": {k: v for result in results for k, v in result.versions.items()},
        "repeats": options.repeats,
        "loss_tolerance": TOLERANCE,
        "jobs": [job_document(result) for result in results],
        "problems": [line for result in results for line in problems(result)],
    }


def problems(result: JobResult) -> list[str]:
    """Say what went wrong; a peer that cannot run the job is no problem."""
    name = result.job.name
    if result.skipped:
        return [f"{name}: {result.skipped}"]
    return [
        f"{name}, {row.peer}: {row.reason}"
        for row in result.rows
        if not row.valid and peers.unsupported(row.peer, result.job) is None
    ]


def job_document(result: JobResult) -> dict[str, Any]:
    """Describe a job and all its rows, ready for JSON."""
    return {
        **asdict(result.job),
        "title": result.job.title,
        "flops_per_epoch": result.job.flops_per_epoch,
        "timed_epochs": result.n_epochs,
        "skipped": result.skipped,
        "peak_gflops": {str(k): peak for k, peak in result.peaks.items()},
        "rows": [_row_document(row, result) for row in result.rows],
        "ratios": _ratios(result),
    }


def _row_document(row: Row, result: JobResult) -> dict[str, Any]:
    document = asdict(row) | {"valid": row.valid}
    if row.seconds:
        gflops = result.job.flops_per_epoch / row.median / 1e9
        peak = result.peaks.get(row.threads or 0)
        document |= {
            "median": row.median,
            "spread": row.spread,
            "best": min(row.seconds),
            "samples_per_second": result.job.n_samples / row.median,
            "gflops": gflops,
            "share_of_peak": None if peak is None else gflops / peak,
        }
    return document


def _ratios(result: JobResult) -> dict[str, float]:
    """Return how many times as long the best setting of each other library takes."""
    ours = result.best("fastbp")
    others = {peers.library(row.peer): None for row in result.rows if row.valid}
    if ours is None:
        return {}
    return {
        name: best.median / ours.median
        for name in others
        if name != "fastbp" and (best := result.best(name)) is not None
    }


def figures(document: dict[str, Any]) -> dict[str, Figure]:
    """Draw the ratios of every job."""
    ratios = {job["name"]: job["ratios"] for job in document["jobs"] if job["ratios"]}
    return {"training": plots.ratio_bars(ratios)} if ratios else {}


def markdown(document: dict[str, Any]) -> list[str]:
    """Render two tables: ratios, then every row."""
    jobs = [job for job in document["jobs"] if job["rows"]]
    return [
        f"Times are medians over the timed epochs of {document['repeats']} interleaved",
        "rounds; the spread is the distance of their quartiles. The peak is the best",
        "matrix product of BLAS in the same run, of the same type, on as many threads.",
        "",
        "## An epoch of fastbp, and how many times as long the others take",
        "",
        *_ratio_table(jobs),
        "",
        "## All rows",
        "",
        *_row_table(jobs),
        *(
            f"\nNot run: **{job['name']}** {job['skipped']}."
            for job in document["jobs"]
            if job["skipped"]
        ),
    ]


def _ratio_table(jobs: list[dict[str, Any]]) -> list[str]:
    names = list(dict.fromkeys(name for job in jobs for name in job["ratios"]))
    header = ["job", "rows; units; batch; solver", "fastbp", *names]
    rows = []
    for job in jobs:
        ours = [r["median"] for r in job["rows"] if _is_ours(r) and r["valid"]]
        time = duration(min(ours)) if ours else ""
        ratios = [
            f"{job['ratios'][name]:.2f} x" if name in job["ratios"] else ""
            for name in names
        ]
        rows.append([job["name"], job["title"], time, *ratios])
    return table(header, rows)


def _is_ours(row: dict[str, Any]) -> bool:
    return peers.library(row["peer"]) == "fastbp"


def _row_table(jobs: list[dict[str, Any]]) -> list[str]:
    header = ["job", "peer", "threads", "epoch", "spread", "samples/s", "GFLOP/s"]
    header += ["of peak", "loss", "valid"]
    return table(header, [_cells(job, row) for job in jobs for row in job["rows"]])


def _cells(job: dict[str, Any], row: dict[str, Any]) -> list[str]:
    verdict = "yes" if row["valid"] else f"no: {last_line(row['reason'])}"
    if "median" not in row:
        return [job["name"], row["peer"], *[""] * 7, verdict]
    return [
        job["name"],
        row["peer"],
        str(row["threads"]),
        duration(row["median"]),
        percent(row["spread"]),
        f"{row['samples_per_second']:,.0f}",
        f"{row['gflops']:.1f}",
        percent(row["share_of_peak"]),
        "" if row["loss"] is None else f"{row['loss']:.5g}",
        verdict,
    ]
