"""The command: ``python -m benchmarks [PART] --jobs digits default --data DIR``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from . import (
    data,
    features,
    fit,
    load,
    loops,
    memory,
    peers,
    predict,
    recipe,
    report,
    scaling,
    training,
)
from .cases import JOBS
from .options import Options

__all__ = ["PARTS", "main"]

#: The parts of the suite, by the name that the command line has for them.
PARTS = {
    "training": training,
    "fit": fit,
    "predict": predict,
    "scaling": scaling,
    "load": load,
    "memory": memory,
    "features": features,
    "loops": loops,
    "recipe": recipe,
}

_RESULTS = Path(__file__).parent / "results"
# More than this many busy processes spoil timings; it leaves room for the shell.
_QUIET_LOAD = 0.5
_DESCRIPTION = """\
Measure fastbp, and its peers on the same tasks.

Every peer runs in a process of its own. Rounds are interleaved, so that a noisy minute
hits everyone. Where networks are trained, all start from the same weights and see the
same batches; their training losses must agree, or the row is marked invalid."""


def _parser() -> argparse.ArgumentParser:
    parts = "\n".join(f"  {name:10} {part.TITLE}" for name, part in PARTS.items())
    jobs = "\n".join(f"  {job.name:10} {job.title}" for job in JOBS.values())
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=_DESCRIPTION,
        epilog=f"parts:\n{parts}\n\njobs:\n{jobs}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "part",
        nargs="?",
        choices=[*PARTS, "all"],
        default="training",
        metavar="PART",
        help="a part of the list below, or all (default: training)",
    )
    parser.add_argument(
        "--jobs",
        nargs="+",
        choices=[*JOBS, "all"],
        metavar="JOB",
        help="jobs of the list below, or all (default: the part's choice)",
    )
    names = [*peers.PEERS, *peers.GROUPS]
    parser.add_argument(
        "--peers",
        nargs="+",
        choices=names,
        metavar="PEER",
        help=f"of {', '.join(names)} (default: the part's choice)",
    )
    parser.add_argument(
        "--axes",
        nargs="+",
        choices=scaling.AXES,
        metavar="AXIS",
        help=f"for scaling, of {', '.join(scaling.AXES)} (default: all)",
    )
    parser.add_argument(
        "--repeats", type=_positive, help="rounds of each peer (default: 5)"
    )
    parser.add_argument(
        "--epochs", type=_positive, help="timed epochs of a round (default: by job)"
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="tiny sizes, one round: shows that all of it runs, measures nothing",
    )
    parser.add_argument(
        "--redraw",
        action="store_true",
        help="measure nothing, write tables and plots anew from the stored JSON",
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=_RESULTS,
        metavar="DIR",
        help="where PART.json, PART.md and plots go (default: benchmarks/results)",
    )
    parser.add_argument(
        "--data",
        metavar="DIR",
        help="folder with mnist.npz and california_housing.csv.gz "
        "(default: the environment variable FASTBP_DATA)",
    )
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is less than 1")
    return number


def _options(given: argparse.Namespace) -> Options:
    return Options(
        jobs=list(JOBS) if "all" in (given.jobs or []) else given.jobs,
        peers=given.peers,
        axes=given.axes,
        repeats=given.repeats or (1 if given.quick else 5),
        epochs=given.epochs,
        folder=data.data_folder(given.data),
        out=given.out,
        quick=given.quick,
    )


def main(argv: list[str] | None = None) -> int:
    """Run the command; return 1 if something could not run or a row is invalid."""
    given = _parser().parse_args(argv)
    names = list(PARTS) if given.part == "all" else [given.part]
    if given.redraw:
        for name in names:
            _announce(report.redraw(name, PARTS[name], given.out))
        return 0
    where = report.machine()  # before we load it ourselves
    if (where["load"] or 0) > _QUIET_LOAD:
        print(f"warning: the machine is busy, load {where['load']}", file=sys.stderr)
    options = _options(given)
    problems = [line for name in names for line in _run(name, options, where)]
    for problem in problems:
        print(f"error: {problem}", file=sys.stderr)
    return 1 if problems else 0


def _run(name: str, options: Options, where: dict[str, Any]) -> list[str]:
    """Run a part and store what it found; return its problems."""
    found = PARTS[name].run(options)
    _announce(report.store(name, PARTS[name], found, where, options.out))
    return found["problems"]


def _announce(paths: list[Path]) -> None:
    for path in paths:
        print(f"wrote {path}")
