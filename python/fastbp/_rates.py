"""The learning rates of an epoch, when a schedule decides on them."""

from __future__ import annotations

import warnings
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from .schedules import Constant, Plateau, Schedule, Warmup, get_schedule

if TYPE_CHECKING:
    from ._base import BaseMLP

__all__ = [
    "ScheduledRates",
    "is_of_the_user",
    "is_only_warmup",
    "plateau_of",
    "rates_of_epoch",
    "schedule_of",
]


def schedule_of(est: BaseMLP) -> Schedule | None:
    """Return the schedule that the parameters ask for, warm-up included, if any."""
    if est.lr_schedule is None and not est.warmup:
        return None
    schedule = Constant() if est.lr_schedule is None else get_schedule(est.lr_schedule)
    return Warmup(est.warmup, schedule) if est.warmup else schedule


def plateau_of(schedule: Schedule | None) -> Plateau | None:
    """Return the Plateau in a schedule, if there is one."""
    if isinstance(schedule, Warmup):
        schedule = schedule.then
    return schedule if isinstance(schedule, Plateau) else None


def is_of_the_user(schedule: Schedule | None) -> bool:
    """Tell whether a schedule is of a class that is not of this library."""
    if isinstance(schedule, Warmup):
        schedule = schedule.then
    return schedule is not None and type(schedule).__module__ != Schedule.__module__


def is_only_warmup(schedule: Schedule | None, n_epochs: int) -> bool:
    """Tell whether no epoch is left for the schedule that follows a warm-up."""
    return isinstance(schedule, Warmup) and schedule.epochs >= n_epochs


def rates_of_epoch(
    schedule: Schedule,
    rate: float,
    epoch: int,
    fractions: NDArray[np.float64],
    n_epochs: float,
) -> NDArray[np.float64]:
    """Return ``rate`` times the schedule's factor for each step of an epoch.

    ``fractions`` are the places of the steps in the epoch, (n_steps,).
    """
    factors = np.asarray(schedule(epoch + fractions, n_epochs))
    if factors.shape == fractions.shape and factors.dtype.kind in "fiu":
        rates = np.ascontiguousarray(rate * factors, dtype=np.float64)
        if np.all(np.isfinite(rates) & (rates >= 0)):
            return rates
    raise ValueError(
        f"{schedule!r} must give a finite factor >= 0 for each of {len(fractions)} "
        f"steps of epoch {epoch}, got {factors!r}"
    )


class ScheduledRates:
    """One rate for each step of the next epoch.

    The time is counted in epochs since the optimizer was made: calls of ``partial_fit``
    go on where the last one ended.
    """

    def __init__(
        self, est: BaseMLP, schedule: Schedule, fractions: NDArray[np.float64]
    ) -> None:
        self.est = est
        self.schedule = schedule
        self.plateau = plateau_of(schedule)
        self.fractions = fractions
        self.started = perf_counter()

    def of_epoch(self) -> NDArray[np.float64]:
        """Return the rates, (n_steps,)."""
        optimizer = self.est._optimizer
        epoch = len(self.est.loss_curve_) - optimizer.first_epoch
        rates = rates_of_epoch(
            self.schedule,
            optimizer.learning_rate_init * optimizer.plateau_factor,
            epoch,
            self.fractions,
            self.n_epochs(epoch),
        )
        self.warn_once_of_zeros(epoch, rates)
        return rates

    def warn_once_of_zeros(self, epoch: int, rates: NDArray[np.float64]) -> None:
        optimizer = self.est._optimizer
        if rates.any() or optimizer.is_rate_zero:
            return
        optimizer.is_rate_zero = True
        warnings.warn(
            f"{self.schedule!r} gives a learning rate of 0 for all of epoch {epoch}: "
            f"nothing is learned. Schedules are made for max_iter={self.est.max_iter} "
            "epochs, calls of partial_fit included.",
            UserWarning,
            stacklevel=2,
        )

    def n_epochs(self, epoch: int) -> float:
        """Return how many epochs there will be: ``max_time`` may allow fewer."""
        limit = self.est.max_time
        if limit is None or epoch == 0:
            return float(self.est.max_iter)
        elapsed = perf_counter() - self.started
        return min(float(self.est.max_iter), epoch * float(limit) / elapsed)

    def falls(self) -> bool:
        """Lower the rate if training stalls and the schedule is a Plateau."""
        plateau, optimizer = self.plateau, self.est._optimizer
        if plateau is None or optimizer.plateau_factor <= plateau.end:
            return False
        patience = plateau.patience or self.est.n_iter_no_change
        if self.est._no_improvement_count <= patience:
            return False
        lower = optimizer.plateau_factor * plateau.factor
        optimizer.plateau_factor = max(lower, plateau.end)
        return True
