"""Write results as JSON (everything) and Markdown (what a reader wants)."""

from __future__ import annotations

import datetime
import json
import os
import platform
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from . import peers
from .runner import TOLERANCE, JobResult, Row
from .workers import usable_cores

__all__ = ["job_document", "machine", "markdown", "write"]

_ENVIRONMENT = ("FASTBP_ISA", "FASTBP_GEMM", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def machine() -> dict[str, Any]:
    """Describe where the timings were made."""
    variables = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
    return {
        "cpu": _cpu_name(),
        "cores": usable_cores(),
        "system": f"{platform.system()} {platform.machine()}",
        "load": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "environment": variables,
    }


def _cpu_name() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            names = [line for line in file if line.startswith("model name")]
        return names[0].partition(":")[2].strip()
    except (OSError, IndexError):
        return platform.processor() or "unknown"


def write(
    results: list[JobResult], where: dict[str, Any], repeats: int, folder: Path
) -> list[Path]:
    """Store ``training.json`` and ``training.md`` in a folder; return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    document = {
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "machine": where,
        "versions": _versions(results),
        "repeats": repeats,
        "loss_tolerance": TOLERANCE,
        "jobs": [job_document(result) for result in results],
    }
    json_path, markdown_path = folder / "training.json", folder / "training.md"
    json_path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    markdown_path.write_text(markdown(document), encoding="utf-8")
    return [json_path, markdown_path]


def _versions(results: list[JobResult]) -> dict[str, str]:
    versions = {"Python": platform.python_version(), "NumPy": np.__version__}
    for result in results:
        versions.update(result.versions)
    return versions


def job_document(result: JobResult) -> dict[str, Any]:
    """Describe a job and all its rows, ready for JSON."""
    return {
        **asdict(result.job),
        "title": result.job.title,
        "flops_per_epoch": result.job.flops_per_epoch,
        "timed_epochs": result.n_epochs,
        "skipped": result.skipped,
        "rows": [_row_document(row, result) for row in result.rows],
        "ratios": _ratios(result),
    }


def _row_document(row: Row, result: JobResult) -> dict[str, Any]:
    document = asdict(row) | {"valid": row.valid}
    if row.seconds:
        document |= {
            "median": row.median,
            "spread": row.spread,
            "best": min(row.seconds),
            "samples_per_second": result.job.n_samples / row.median,
            "gflops": result.job.flops_per_epoch / row.median / 1e9,
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


def markdown(document: dict[str, Any]) -> str:
    """Render a results document as two tables: ratios, then every row."""
    jobs = [job for job in document["jobs"] if job["rows"]]
    lines = [
        "# Training speed",
        "",
        "Written by `python -m benchmarks`. Times are medians over the timed epochs",
        f"of {document['repeats']} interleaved rounds; the spread is the distance of",
        "their quartiles.",
        "",
        *_machine_lines(document),
        "",
        "## An epoch of fastbp, and how many times as long the others take",
        "",
        *_ratio_table(jobs),
        "",
        "## All rows",
        "",
        *_row_table(jobs),
    ]
    lines += [
        f"\nNot run: **{job['name']}** {job['skipped']}."
        for job in document["jobs"]
        if job["skipped"]
    ]
    return "\n".join(lines) + "\n"


def _machine_lines(document: dict[str, Any]) -> list[str]:
    where = document["machine"]
    versions = ", ".join(f"{k} {v}" for k, v in document["versions"].items())
    variables = "".join(f", {k}={v}" for k, v in where["environment"].items())
    return [
        f"- {document['created']}, {where['cpu']}, {where['cores']} cores, "
        f"{where['system']}, load {where['load']} at the start{variables}",
        f"- {versions}",
    ]


def _ratio_table(jobs: list[dict[str, Any]]) -> list[str]:
    names = list(dict.fromkeys(name for job in jobs for name in job["ratios"]))
    header = ["job", "rows; units; batch; solver", "fastbp", *names]
    rows = []
    for job in jobs:
        ours = [r["median"] for r in job["rows"] if _is_ours(r) and r["valid"]]
        time = _duration(min(ours)) if ours else ""
        ratios = [
            f"{job['ratios'][name]:.2f} x" if name in job["ratios"] else ""
            for name in names
        ]
        rows.append([job["name"], job["title"], time, *ratios])
    return _table(header, rows)


def _is_ours(row: dict[str, Any]) -> bool:
    return peers.library(row["peer"]) == "fastbp"


def _row_table(jobs: list[dict[str, Any]]) -> list[str]:
    header = ["job", "peer", "epoch", "spread", "samples/s", "GFLOP/s", "loss", "valid"]
    return _table(header, [_cells(job, row) for job in jobs for row in job["rows"]])


def _cells(job: dict[str, Any], row: dict[str, Any]) -> list[str]:
    verdict = "yes" if row["valid"] else f"no: {_first_line(row['reason'])}"
    if "median" not in row:
        return [job["name"], row["peer"], *[""] * 5, verdict]
    return [
        job["name"],
        row["peer"],
        _duration(row["median"]),
        f"{row['spread']:.1%}",
        f"{row['samples_per_second']:,.0f}",
        f"{row['gflops']:.1f}",
        "" if row["loss"] is None else f"{row['loss']:.5g}",
        verdict,
    ]


def _first_line(reason: str) -> str:
    """Return what a table has room for: of a traceback, the last line."""
    return reason.strip().splitlines()[-1]


def _duration(seconds: float) -> str:
    return f"{seconds:.3g} s" if seconds >= 1 else f"{1e3 * seconds:.3g} ms"


def _table(header: list[str], rows: list[list[str]]) -> list[str]:
    lines = [header, ["---"] * len(header), *rows]
    return ["| " + " | ".join(cells) + " |" for cells in lines]
