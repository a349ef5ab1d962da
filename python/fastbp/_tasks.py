"""A fit as scikit-learn's callbacks see it: a task "fit" with a task for each epoch."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

from ._data import Samples

if TYPE_CHECKING:
    from ._base import BaseMLP

__all__ = ["FitTask", "begin_context"]


def begin_context(est: BaseMLP) -> None:
    """Make the context of the fit, if there are callbacks of scikit-learn's kind.

    The decorator of ``fit`` finds it in the estimator and ends it.
    """
    if hasattr(est, "_skl_callbacks") or hasattr(est, "_parent_callback_ctx"):
        est._init_callback_context(
            max_subtasks=0 if est.solver == "lbfgs" else est.max_iter
        )


class FitTask:
    """Calls the hooks of scikit-learn's callbacks; does nothing if there are none.

    ``samples`` returns what the estimator trains on; it is asked only if a callback
    wants X, y or the weights.
    """

    def __init__(self, est: BaseMLP, samples: Callable[[], Samples]) -> None:
        self.est = est
        self.context = getattr(est, "_callback_fit_ctx", None)
        samples_once = cache(samples)  # it may make a copy
        self.data = {
            "X": lambda: samples_once().X,
            "y": lambda: est._decode(samples_once().y),
            "metadata": lambda: _metadata(samples_once()),
        }

    def begins(self) -> None:
        if self.context is not None:
            self.context.call_on_fit_task_begin(estimator=self.est, **self.data)

    def epoch_begins(self) -> None:
        if self.context is not None:
            self.epoch = self.context.subcontext(task_name="epoch")
            self.epoch.call_on_fit_task_begin(estimator=self.est, **self.data)

    def epoch_ends(self, parameters: Callable[[], tuple[Any, ...]]) -> bool:
        """Answer whether training is to stop; ``parameters`` are those of the core."""
        return self.context is not None and self._ends(self.epoch, parameters)

    def ends(self) -> None:
        if self.context is not None:
            self._ends(self.context, lambda: _parameters(self.est))

    def _ends(self, task: Any, parameters: Callable[[], tuple[Any, ...]]) -> bool:
        def attributes() -> dict[str, Any]:
            # Without names: X has been made an array.
            names = (
                {"feature_names_in_": None}
                if hasattr(self.est, "feature_names_in_")
                else {}
            )
            return {**dict(zip(_NAMES, parameters(), strict=False)), **names}

        return bool(
            task.call_on_fit_task_end(
                estimator=self.est, reconstruction_attributes=attributes, **self.data
            )
        )


_NAMES = ("coefs_", "intercepts_", "norms_")


def _parameters(est: BaseMLP) -> tuple[Any, ...]:
    return tuple(getattr(est, name) for name in _NAMES if hasattr(est, name))


def _metadata(samples: Samples) -> dict[str, Any]:
    return {} if samples.weights is None else {"sample_weight": samples.weights}
