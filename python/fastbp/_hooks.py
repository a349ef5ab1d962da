"""What runs beside the epochs of a fit: its callbacks, in order."""

from __future__ import annotations

from contextlib import ExitStack
from time import perf_counter
from typing import Any, Self

import numpy as np

from .callbacks import Callback, EpochRecord

__all__ = ["Hooks"]


class Hooks:
    """The callbacks of a fit, as a context around its epochs."""

    def __init__(self, owner: Any, callbacks: list[Callback]) -> None:
        """Take the callbacks, and what they get to see: a Trainer or an estimator."""
        self.owner = owner
        self.callbacks = callbacks

    def __enter__(self) -> Self:
        self.started = perf_counter()
        with ExitStack() as stack:
            for callback in self.callbacks:
                callback.on_fit_begin(self.owner)
                stack.callback(callback.on_fit_end, self.owner)
            self.task_begins()
            self.stack = stack.pop_all()
        return self

    def __exit__(self, *exception: Any) -> None:
        with self.stack:
            if exception[0] is None:
                self.task_ends()

    def task_begins(self) -> None:
        """Do what is to be done between the callbacks and the first epoch."""

    def task_ends(self) -> None:
        """Do what is to be done between the last epoch and the callbacks."""

    def seconds(self) -> float:
        return perf_counter() - self.started

    def run(self, record: EpochRecord, model: Any = None) -> bool:
        """Run the callbacks after an epoch; answers whether one ends the training.

        Those that read the model get ``model``, if it is given.
        """
        model = self.owner if model is None else model
        stops = [
            _answer(
                callback,
                callback.on_epoch_end(
                    model if callback.reads_model else self.owner, record
                ),
            )
            for callback in self.callbacks
        ]
        return any(stops)


def _answer(callback: Callback, answer: Any) -> bool:
    """Return whether a callback ends the training."""
    if answer is None:
        return False
    if not isinstance(answer, bool | np.bool_):
        raise ValueError(
            f"{callback!r} in callbacks must return True to end the training, False "
            f"or None, got {answer!r:.60}"
        )
    return bool(answer)
