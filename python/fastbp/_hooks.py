"""What runs beside the epochs of a fit: callbacks, the progress bar, the clock."""

from __future__ import annotations

from contextlib import ExitStack
from time import perf_counter
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from ._progress import EpochBar
from ._tasks import FitTask
from ._validation import snapshot
from .callbacks import Callback, EpochRecord, as_callback

if TYPE_CHECKING:
    from ._base import BaseMLP
    from ._stochastic import _Fit

__all__ = ["EstimatorHooks", "Hooks", "callbacks_of", "wants_hooks"]


def wants_hooks(est: BaseMLP) -> bool:
    """Tell whether anything is to run beside the epochs."""
    return (
        bool(est.callbacks)
        or est.verbose == "progress"
        or est.max_time is not None
        or hasattr(est, "_callback_fit_ctx")
    )


def callbacks_of(est: BaseMLP) -> list[Callback]:
    """Return the callbacks, functions among them as objects, and the progress bar."""
    callbacks = [
        as_callback(callback, f"callbacks[{i}]")
        for i, callback in enumerate(est.callbacks or ())
    ]
    return [*callbacks, EpochBar()] if est.verbose == "progress" else callbacks


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


class EstimatorHooks(Hooks):
    """Also scikit-learn's callbacks, and the clock of ``max_time``."""

    def __init__(self, fit: _Fit) -> None:
        super().__init__(fit.est, callbacks_of(fit.est))
        self.fit = fit
        self.reads_model = any(c.reads_model for c in self.callbacks)
        self.task = FitTask(fit.est, fit.training_samples)

    def task_begins(self) -> None:
        self.task.begins()

    def task_ends(self) -> None:
        self.task.ends()

    def epoch_begins(self) -> None:
        self.task.epoch_begins()

    def epoch_ends(self) -> bool:
        """Run all that is to run; answers whether training is to stop."""
        stops = bool(self.callbacks) and self.run(self.record(), self.model())
        stops |= self.task.epoch_ends(self.fit.parameters)
        return stops or self.time_is_over()

    def model(self) -> BaseMLP | None:
        """Return an estimator with the weights of this epoch, if one is needed."""
        return snapshot(self.fit.est, self.fit.fitted()) if self.reads_model else None

    def record(self) -> EpochRecord:
        est, validated = self.fit.est, self.fit.validation is not None
        return EpochRecord(
            epoch=est.n_iter_,
            loss=est.loss_,
            validation_loss=est.validation_loss_curve_[-1] if validated else None,
            validation_score=est.validation_scores_[-1] if validated else None,
            learning_rate=float(np.ravel(self.fit.rate)[-1]),
            seconds=self.seconds(),
        )

    def time_is_over(self) -> bool:
        limit = self.fit.est.max_time
        if limit is None or self.seconds() <= limit:
            return False
        if self.fit.prints:
            print(f"max_time={limit:g} seconds are over. Stopping.")
        return True


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
