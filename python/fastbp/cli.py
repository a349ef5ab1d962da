"""The ``fastbp`` command.

Exit codes: 0 success; 1 the command failed, a message says why; 2 wrong usage;
130 interrupted by Ctrl-C.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress

from . import __version__, _core, demo
from ._config import get_config, show_config

__all__ = ["main"]

_DESCRIPTION = """\
Multilayer perceptrons for scikit-learn, trained fast on CPUs.

Start with `fastbp demo`: it trains a network on handwritten digits in seconds."""

_EPILOG = """\
examples:
  fastbp demo                   train on handwritten digits, compare with scikit-learn
  fastbp demo --plot loss.pdf   the same, with the figure of the loss curves there
  fastbp info                   versions, kernels and threads: paste it in bug reports

In Python, `from fastbp import MLPClassifier, MLPRegressor`: they are used like the
classes of the same names in sklearn.neural_network."""

_DEMO = """\
Train fastbp.MLPClassifier on the handwritten digits that come with scikit-learn:
1797 images of 8x8 pixels, three quarters to learn from, one quarter to test on.

The training is shown epoch by epoch. Then fastbp and scikit-learn each do the same
fit, same parameters and same random_state, and their times are compared. If matplotlib
is installed, a figure of the loss curves is saved."""

_INFO = """\
Print the versions of fastbp and of what it runs on, the kernels (instruction sets) it
was compiled for and uses, and how many threads a fit would use and why.

The environment variable FASTBP_ISA (baseline, avx2, avx512 or neon) forces a kernel;
FASTBP_GEMM (builtin or blas) says who makes the matrix products; OMP_NUM_THREADS sets
the number of threads."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command with the given arguments; return its exit code."""
    parser = _parser()
    options = parser.parse_args(argv)
    if options.command is None:
        parser.print_help(sys.stderr)
        return 2
    try:
        _core.build_info()
        get_config()
    except ValueError as error:  # FASTBP_ISA or FASTBP_GEMM cannot be followed
        print(f"fastbp: error: {error}", file=sys.stderr)
        return 1
    try:
        options.run(options)
        print(end="", flush=True)  # also where there is no standard output
    except demo.DemoError as error:
        print(f"fastbp demo: error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nfastbp: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader of our output has left, as in `fastbp demo | head -1`.
        _leave_no_output()
        return 1
    except OSError as error:  # as when the disk is full
        print(f"fastbp: error: {error}", file=sys.stderr)
        _leave_no_output()
        return 1
    return 0


def _leave_no_output() -> None:
    """Keep Python from complaining about its standard output at exit."""
    with suppress(AttributeError, OSError):  # where it is none, or no file
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _parser() -> argparse.ArgumentParser:
    plain = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        prog="fastbp", description=_DESCRIPTION, epilog=_EPILOG, formatter_class=plain
    )
    parser.add_argument("--version", action="version", version=f"fastbp {__version__}")
    commands = parser.add_subparsers(
        title="commands", dest="command", metavar="COMMAND"
    )
    demo_parser = commands.add_parser(
        "demo",
        help="train on handwritten digits and compare with scikit-learn",
        description=_DEMO,
        formatter_class=plain,
    )
    _add_demo_options(demo_parser)
    info_parser = commands.add_parser(
        "info",
        help="print versions, kernels and threads",
        description=_INFO,
        formatter_class=plain,
    )
    info_parser.set_defaults(run=lambda options: show_config())
    return parser


def _add_demo_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--epochs",
        type=_integer(1, 100_000),
        default=40,
        metavar="N",
        help="passes over the training images (default: 40)",
    )
    parser.add_argument(
        "--seed",
        type=_integer(0, 2**32 - 1),
        default=0,
        metavar="N",
        help="random_state of the initial weights and shuffles (default: 0)",
    )
    parser.add_argument(
        "--no-sklearn",
        action="store_true",
        help="leave out the comparison with scikit-learn",
    )
    figure = parser.add_mutually_exclusive_group()
    figure.add_argument(
        "--plot",
        metavar="FILE",
        help="where to save the figure: .png, .pdf, .svg (default: fastbp-demo.png in "
        "the current directory, if matplotlib is installed)",
    )
    figure.add_argument("--no-plot", action="store_true", help="save no figure")
    parser.set_defaults(run=_run_demo)


def _run_demo(options: argparse.Namespace) -> None:
    demo.run(
        n_epochs=options.epochs,
        seed=options.seed,
        compare=not options.no_sklearn,
        plot=options.plot,
        no_plot=options.no_plot,
    )


def _integer(lowest: int, highest: int) -> Callable[[str], int]:
    """Make an argparse type: an integer within bounds."""

    def parse(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            number = None
        if number is None or not lowest <= number <= highest:
            raise argparse.ArgumentTypeError(
                f"must be an integer from {lowest} to {highest}, got {text!r}"
            )
        return number

    return parse
