"""What the command line asks of a part of the suite."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

__all__ = ["Options"]


@dataclass(frozen=True)
class Options:
    """The arguments of ``python -m benchmarks``.

    Attributes
    ----------
    jobs, peers, axes : list of str or None
        What to run; None is the choice of the part.
    repeats : int
        Interleaved rounds.
    epochs : int or None
        Timed epochs of a round; None is the choice of the job.
    folder : Path or None
        Where MNIST and the house values are.
    out : Path
        Where results go.
    quick : bool
        Take sizes so small that the figures mean nothing: to see that it runs.
    """

    jobs: list[str] | None
    peers: list[str] | None
    axes: list[str] | None
    repeats: int
    epochs: int | None
    folder: Path | None
    out: Path
    quick: bool

    def log(self, line: str) -> None:
        """Tell whoever waits in front of the screen."""
        print(line, flush=True)
