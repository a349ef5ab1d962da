"""Store what a part found: JSON (everything), Markdown and plots (what one wants).

A part of the suite is a module with

- ``TITLE``, one line;
- ``run(options)``, which measures and returns a document for JSON, with the entries
  ``versions`` and ``problems`` (a list of lines) among others;
- ``markdown(document)``, the lines of its tables;
- ``figures(document)``, matplotlib figures by the name of their file, if there is
  something to draw.

The last two see nothing but the document, so that a stored one can be drawn again.
"""

from __future__ import annotations

import datetime
import importlib.util
import json
import os
import platform
import statistics
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from .workers import usable_cores

__all__ = [
    "duration",
    "last_line",
    "machine",
    "percent",
    "redraw",
    "spread",
    "store",
    "table",
]

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
    """Return the name, and the numbers that tell generations of the same name apart."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            pairs = [line.partition(":") for line in file.read().splitlines()]
        found = {name.strip(): value.strip() for name, _, value in pairs}
        name = found["model name"]
    except (OSError, KeyError):
        return platform.processor() or "unknown"
    numbers = [f"{k} {found[k]}" for k in ("cpu family", "model") if k in found]
    return f"{name} ({', '.join(numbers)})" if numbers else name


def store(
    name: str,
    part: ModuleType,
    found: dict[str, Any],
    where: dict[str, Any],
    folder: Path,
) -> list[Path]:
    """Write what a part found into a folder; return the paths of the files."""
    folder.mkdir(parents=True, exist_ok=True)
    document = {
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "machine": where,
        **found,
        "versions": {
            "Python": platform.python_version(),
            "NumPy": np.__version__,
            **found["versions"],
        },
    }
    path = folder / f"{name}.json"
    path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    return [path, *redraw(name, part, folder)]


def redraw(name: str, part: ModuleType, folder: Path) -> list[Path]:
    """Write Markdown and plots of a stored document; return their paths."""
    document = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
    plots = []
    has_matplotlib = importlib.util.find_spec("matplotlib") is not None
    if hasattr(part, "figures") and has_matplotlib:
        for stem, figure in part.figures(document).items():
            plots.append(folder / f"{stem}.png")
            figure.savefig(plots[-1], dpi=150)
    lines = [
        f"# {part.TITLE}",
        "",
        f"Written by `python -m benchmarks {name}`.",
        *_machine_lines(document),
        *(f"\n![{path.stem}]({path.name})" for path in plots),
        "",
        *part.markdown(document),
    ]
    path = folder / f"{name}.md"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return [path, *plots]


def _machine_lines(document: dict[str, Any]) -> list[str]:
    where = document["machine"]
    versions = ", ".join(f"{k} {v}" for k, v in document["versions"].items())
    variables = "".join(f", {k}={v}" for k, v in where["environment"].items())
    return [
        "",
        f"- {document['created']}, {where['cpu']}, {where['cores']} cores, "
        f"{where['system']}, load {where['load']} at the start{variables}",
        f"- {versions}",
    ]


def spread(values: list[float]) -> float:
    """Return the distance of the quartiles, as a share of the median."""
    if len(values) < 2:
        return 0.0
    lower, median, upper = statistics.quantiles(values, n=4, method="inclusive")
    return (upper - lower) / median


def table(header: list[str], rows: list[list[str]]) -> list[str]:
    """Return the lines of a Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return ["| " + " | ".join(cells) + " |" for cells in lines]


def duration(seconds: float) -> str:
    """Return a time with three digits, in s, ms or us."""
    if seconds >= 1:
        return f"{seconds:.3g} s"
    if seconds >= 1e-3:
        return f"{1e3 * seconds:.3g} ms"
    return f"{1e6 * seconds:.3g} us"


def percent(share: float | None) -> str:
    """Return a share for a table, which may have no figure for it."""
    return "" if share is None else f"{share:.1%}"


def last_line(reason: str) -> str:
    """Return what a table has room for: of a traceback, the last line."""
    return reason.strip().splitlines()[-1]
