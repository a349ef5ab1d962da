"""What runs beside the epochs of an estimator: also its progress bar and the clock."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ._hooks import Hooks
from ._progress import EpochBar
from ._tasks import FitTask
from ._validation import snapshot
from .callbacks import Callback, EpochRecord, as_callback

if TYPE_CHECKING:
    from ._base import BaseMLP
    from ._stochastic import _Fit

__all__ = ["EstimatorHooks", "callbacks_of", "wants_hooks"]


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
