"""The command: ``python -m benchmarks --jobs digits default --data DIR``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from . import data, peers, report
from .cases import JOBS
from .runner import JobResult, run_job

_DEFAULT_JOBS = ["digits", "default", "tabular", "wide"]
_DEFAULT_PEERS = ["fastbp", "fastbp-blas", "sklearn", "torch"]
_RESULTS = Path(__file__).parent / "results"
# More than this many busy processes spoil timings; it leaves room for the shell.
_QUIET_LOAD = 0.5
_DESCRIPTION = """\
Time the training of the same networks by fastbp and its peers.

Every peer runs in a process of its own; all start from the same weights and see the
same batches. Rounds are interleaved, so that a noisy minute hits everyone. After the
timed epochs the training losses must agree, or the row is marked invalid."""


def _parser() -> argparse.ArgumentParser:
    jobs = "\n".join(f"  {job.name:10} {job.title}" for job in JOBS.values())
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=_DESCRIPTION,
        epilog=f"jobs:\n{jobs}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--jobs",
        nargs="+",
        choices=JOBS,
        default=_DEFAULT_JOBS,
        metavar="JOB",
        help=f"jobs of the list below (default: {' '.join(_DEFAULT_JOBS)})",
    )
    names = [*peers.PEERS, *peers.GROUPS]
    parser.add_argument(
        "--peers",
        nargs="+",
        choices=names,
        default=_DEFAULT_PEERS,
        metavar="PEER",
        help=f"of {', '.join(names)} (default: {' '.join(_DEFAULT_PEERS)})",
    )
    parser.add_argument(
        "--repeats", type=_positive, default=5, help="rounds of each peer (default: 5)"
    )
    parser.add_argument(
        "--epochs", type=_positive, help="timed epochs of a round (default: by job)"
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=_RESULTS,
        metavar="DIR",
        help="where training.json and training.md go (default: benchmarks/results)",
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


def main(argv: list[str] | None = None) -> int:
    """Run the command; return 1 if a job could not run or a row is invalid."""
    options = _parser().parse_args(argv)
    where = report.machine()  # before we load it ourselves
    if (where["load"] or 0) > _QUIET_LOAD:
        print(f"warning: the machine is busy, load {where['load']}", file=sys.stderr)
    results = [
        run_job(
            JOBS[name],
            peers.expand(options.peers),
            options.repeats,
            n_epochs=options.epochs,
            folder=data.data_folder(options.data),
            report=lambda line: print(line, flush=True),
        )
        for name in options.jobs
    ]
    for path in report.write(results, where, options.repeats, options.out):
        print(f"wrote {path}")
    problems = [problem for result in results for problem in _problems(result)]
    for problem in problems:
        print(f"error: {problem}", file=sys.stderr)
    return 1 if problems else 0


def _problems(result: JobResult) -> list[str]:
    name = result.job.name
    if result.skipped:
        return [f"{name}: {result.skipped}"]
    return [
        f"{name}, {row.peer}: {row.reason}"
        for row in result.rows
        if not row.valid and peers.unsupported(row.peer, result.job) is None
    ]


if __name__ == "__main__":
    sys.exit(main())
