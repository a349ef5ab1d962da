"""A progress bar for terminals that turns into plain lines when output is piped."""

from __future__ import annotations

import sys
from typing import Any, TextIO

from .callbacks import Callback, EpochRecord

__all__ = ["EpochBar", "Progress"]

_WIDTH = 30
# Lines printed in all when there is no terminal to redraw one on.
_MAX_LINES = 10


class Progress:
    """Report the steps of a loop of known length on a text stream.

    Parameters
    ----------
    n_steps : int
        Steps in all.
    label : str
        What a step is, such as ``"epoch"``.
    stream : file-like
        Gets a bar that redraws itself if it is a terminal, else about ten lines.
    """

    def __init__(self, n_steps: int, label: str, stream: TextIO) -> None:
        self._n_steps = n_steps
        self._label = label
        self._stream = stream
        self._bar = stream.isatty()
        self._every = max(1, round(n_steps / _MAX_LINES))

    def update(self, step: int, message: str) -> None:
        """Report that ``step`` (counted from 1) is done, and what came out of it."""
        width = len(str(self._n_steps))
        count = f"{self._label} {step:{width}}/{self._n_steps}"
        last = step == self._n_steps
        if self._bar:
            end = "\n" if last else ""
            # \033[K clears what a longer line before left behind.
            line = f"\r{count} {self._drawing(step)} {message}\033[K{end}"
        elif step == 1 or step % self._every == 0 or last:
            line = f"{count}  {message}\n"
        else:
            return
        self._stream.write(line)
        self._stream.flush()

    def _drawing(self, step: int) -> str:
        full, empty = ("━", "╌") if self._prints("━╌") else ("#", ".")
        n_full = _WIDTH * step // self._n_steps
        return full * n_full + empty * (_WIDTH - n_full)

    def _prints(self, text: str) -> bool:
        try:
            text.encode(self._stream.encoding or "ascii")
        except (UnicodeEncodeError, LookupError):
            return False
        return True


class EpochBar(Callback):
    """The progress of a fit: a bar of rich or tqdm if one is installed, else our own.

    It goes to the standard output, with epoch, losses, learning rate and the time left
    if training lasts for ``max_iter`` epochs or ``max_time``.
    """

    reads_model = False

    def on_fit_begin(self, estimator: Any) -> None:
        self._bar = _epoch_bar(estimator.max_iter)

    def on_epoch_end(self, estimator: Any, record: EpochRecord) -> None:
        self._bar.show(record.epoch, _figures(estimator, record))

    def on_fit_end(self, estimator: Any) -> None:
        self._bar.close()


def _figures(estimator: Any, record: EpochRecord) -> str:
    figures = [f"loss {record.loss:.4f}"]
    if record.validation_loss is not None:
        figures.append(f"val. loss {record.validation_loss:.4f}")
        figures.append(f"score {record.validation_score:.4f}")
    figures.append(f"rate {record.learning_rate:.2g}")
    left = (estimator.max_iter - record.epoch) * record.seconds / record.epoch
    if estimator.max_time is not None:
        left = min(left, max(estimator.max_time - record.seconds, 0.0))
    return "  ".join([*figures, f"ETA {left:.0f} s"])


def _epoch_bar(n_epochs: int) -> Any:
    for bar in (_RichBar, _TqdmBar):
        try:
            return bar(n_epochs)
        except ImportError:
            continue
    return _PlainBar(n_epochs)


class _RichBar:
    def __init__(self, n_epochs: int) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

        figures = TextColumn("{task.fields[figures]}")
        self._bar = Progress(
            TextColumn("epoch"), MofNCompleteColumn(), BarColumn(), figures
        )
        self._task = self._bar.add_task("", total=n_epochs, figures="")
        self._bar.start()

    def show(self, epoch: int, figures: str) -> None:
        self._bar.update(self._task, completed=epoch, figures=figures)

    def close(self) -> None:
        self._bar.stop()


class _TqdmBar:
    def __init__(self, n_epochs: int) -> None:
        from tqdm import tqdm

        self._bar = tqdm(
            total=n_epochs,
            file=sys.stdout,
            bar_format="epoch {n_fmt}/{total_fmt} |{bar}|{postfix}",
        )

    def show(self, epoch: int, figures: str) -> None:
        self._bar.set_postfix_str(figures, refresh=False)
        self._bar.update(epoch - self._bar.n)

    def close(self) -> None:
        self._bar.close()


class _PlainBar:
    def __init__(self, n_epochs: int) -> None:
        self._n_epochs, self._epoch = n_epochs, 0
        self._bar = Progress(n_epochs, "epoch", sys.stdout)

    def show(self, epoch: int, figures: str) -> None:
        self._epoch = epoch
        self._bar.update(epoch, figures)

    def close(self) -> None:
        if sys.stdout.isatty() and 0 < self._epoch < self._n_epochs:
            print()  # training stopped before the end of the bar
