"""A progress bar for terminals that turns into plain lines when output is piped."""

from __future__ import annotations

from typing import TextIO

__all__ = ["Progress"]

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
