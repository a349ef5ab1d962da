"""Learning-rate schedules: small immutable functions of the time in epochs.

A schedule maps ``(epoch, n_epochs)`` to a factor of the learning rate. ``epoch`` is the
time since training began, with fractions: step ``i`` of the ``n`` steps of epoch ``e``
(both from 0) is at ``e + i / n``. It may be an array; then so is the factor. What
happened in training is not theirs to know, except for :class:`Plateau`, which only says
what the estimator is to do.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ._objects import check_field, check_size, object_of

__all__ = [
    "Constant",
    "Cosine",
    "Exponential",
    "InverseScaling",
    "Linear",
    "OneCycle",
    "Plateau",
    "Schedule",
    "Step",
    "Warmup",
    "get_schedule",
]

Numbers: TypeAlias = float | NDArray[np.float64]


class Schedule(ABC):
    """Base of the schedules; a subclass of one's own defines ``__call__``."""

    @abstractmethod
    def __call__(self, epoch: Numbers, n_epochs: float) -> Any:
        """Return the factor of the learning rate.

        Parameters
        ----------
        epoch : float or ndarray
            Time since training began, in epochs, from 0.
        n_epochs : float
            Epochs that training is to last.

        Returns
        -------
        factor : float or ndarray
            Not negative; of the shape of ``epoch``.
        """


def _done(epoch: Numbers, n_epochs: float) -> Any:
    """Return the part of the training that is over, in [0, 1]."""
    return np.clip(np.divide(epoch, n_epochs), 0, 1) if n_epochs > 0 else epoch * 0 + 1


def _cosine(start: float, end: float, done: Any) -> Any:
    """Return the way from start to end along half a wave."""
    return end + (start - end) * (1 + np.cos(np.pi * done)) / 2


@dataclass(frozen=True)
class Constant(Schedule):
    """The same rate all the time."""

    def __call__(self, epoch: Numbers, n_epochs: float) -> Any:
        return np.ones_like(epoch, dtype=np.float64)


@dataclass(frozen=True)
class Step(Schedule):
    """Multiply by ``gamma`` every so many epochs: ``gamma ** (epoch // every)``.

    Parameters
    ----------
    every : float, default=30
        Epochs between two changes, > 0.
    gamma : float, default=0.1
        In [0, 1]. The defaults are those of K. He et al., "Deep residual learning for
        image recognition", 2015, arXiv:1512.03385, for ImageNet.
    """

    every: float = 30
    gamma: float = 0.1

    def __post_init__(self) -> None:
        check_field(self, "every", 0, closed="neither")
        check_field(self, "gamma", 0, 1)

    def __call__(self, epoch: Numbers, n_epochs: float) -> Any:
        return np.power(float(self.gamma), np.floor_divide(epoch, self.every))


@dataclass(frozen=True)
class Exponential(Schedule):
    """Decay smoothly by ``gamma`` an epoch: ``gamma ** epoch``.

    Parameters
    ----------
    gamma : float, default=0.95
        In [0, 1].
    """

    gamma: float = 0.95

    def __post_init__(self) -> None:
        check_field(self, "gamma", 0, 1)

    def __call__(self, epoch: Numbers, n_epochs: float) -> Any:
        return np.power(float(self.gamma), epoch)


@dataclass(frozen=True)
class InverseScaling(Schedule):
    """Decay as ``(1 + epoch) ** -power``.

    With ``power`` in (1/2, 1] this meets the conditions of H. Robbins and S. Monro, "A
    stochastic approximation method", 1951. scikit-learn's 'invscaling' is the same law
    in the number of samples seen.

    Parameters
    ----------
    power : float, default=0.5
        At least 0.
    """

    power: float = 0.5

    def __post_init__(self) -> None:
        check_field(self, "power", 0)

    def __call__(self, epoch: Numbers, n_epochs: float) -> Any:
        return np.power(1.0 + epoch, -float(self.power))


@dataclass(frozen=True)
class Cosine(Schedule):
    """Go down to ``end`` along half a wave of a cosine.

    I. Loshchilov and F. Hutter, "SGDR: Stochastic gradient descent with warm restarts",
    2016, arXiv:1608.03983, equation 5, without restarts.

    Parameters
    ----------
    end : float, default=0
        Factor at the end, in [0, 1].
    """

    end: float = 0.0

    def __post_init__(self) -> None:
        check_field(self, "end", 0, 1)

    def __call__(self, epoch: Numbers, n_epochs: float) -> Any:
        return _cosine(1.0, self.end, _done(epoch, n_epochs))


@dataclass(frozen=True)
class Linear(Schedule):
    """Go down to ``end`` along a straight line.

    Parameters
    ----------
    end : float, default=0
        Factor at the end, in [0, 1].
    """

    end: float = 0.0

    def __post_init__(self) -> None:
        check_field(self, "end", 0, 1)

    def __call__(self, epoch: Numbers, n_epochs: float) -> Any:
        return 1 + (self.end - 1) * _done(epoch, n_epochs)


@dataclass(frozen=True)
class OneCycle(Schedule):
    """Rise to the full rate, then fall far below the initial one, along cosines.

    L. N. Smith and N. Topin, "Super-convergence", 2017, arXiv:1708.07120, in the form
    with two cosines. The estimator's ``learning_rate_init`` is the greatest rate.

    Parameters
    ----------
    rise : float, default=0.3
        Part of the training in which the rate rises, in [0, 1].
    start : float, default=0.04
        Factor at the beginning, in [0, 1].
    end : float, default=4e-6
        Factor at the end, in [0, 1].
    """

    rise: float = 0.3
    start: float = 0.04
    end: float = 4e-6

    def __post_init__(self) -> None:
        for name in ("rise", "start", "end"):
            check_field(self, name, 0, 1)

    def __call__(self, epoch: Numbers, n_epochs: float) -> Any:
        done = _done(epoch, n_epochs)
        up = _cosine(self.start, 1.0, _done(done, self.rise))
        down = _cosine(1.0, self.end, _done(done - self.rise, 1 - self.rise))
        return np.where(done <= self.rise, up, down)


@dataclass(frozen=True)
class Plateau(Schedule):
    """Multiply the rate by ``factor`` whenever training stalls.

    What scikit-learn's ``learning_rate='adaptive'`` does for 'sgd', for every
    stochastic solver. An epoch is bad as ``tol`` defines it; the count of bad epochs
    starts again at each change, so that training does not stop for lack of progress
    before the rate has come down to ``end``.

    Parameters
    ----------
    factor : float, default=0.2
        In (0, 1).
    patience : int or None, default=None
        The rate changes after more than this many bad epochs in a row, at least 1 and
        at most ``n_iter_no_change`` of the estimator; None is ``n_iter_no_change``.
    end : float, default=1e-3
        The factor never falls under this, in (0, 1].
    """

    factor: float = 0.2
    patience: int | None = None
    end: float = 1e-3

    def __post_init__(self) -> None:
        check_field(self, "factor", 0, 1, closed="neither")
        if self.patience is not None:
            check_size(self.patience, "patience of Plateau")
        check_field(self, "end", 0, 1, closed="right")

    def __call__(self, epoch: Numbers, n_epochs: float) -> Any:
        return np.ones_like(epoch, dtype=np.float64)


@dataclass(frozen=True)
class Warmup(Schedule):
    """Rise in a straight line to where another schedule starts, then follow it.

    P. Goyal et al., "Accurate, large minibatch SGD", 2017, arXiv:1706.02677, section
    2.2, gradual warm-up. The other schedule begins, at its own epoch 0, when this ends.

    Parameters
    ----------
    epochs : float, default=5
        Length, > 0; may be less than an epoch.
    then : str or Schedule, default=Constant()
        What follows.
    start : float, default=0.01
        Part of that at the first step, in [0, 1].
    """

    epochs: float = 5
    then: Schedule = field(default_factory=Constant)
    start: float = 0.01

    def __post_init__(self) -> None:
        check_field(self, "epochs", 0, closed="neither")
        object.__setattr__(self, "then", get_schedule(self.then))
        if isinstance(self.then, Warmup):
            raise ValueError(f"then of Warmup must not be a Warmup, got {self.then!r}")
        check_field(self, "start", 0, 1)

    def __call__(self, epoch: Numbers, n_epochs: float) -> Any:
        rising = self.start + (1 - self.start) * _done(epoch, self.epochs)
        later = np.maximum(np.subtract(epoch, self.epochs), 0)
        then = self.then(later, max(n_epochs - self.epochs, 0))
        # Until this ends, `later` is 0: `then` is the factor that it starts with.
        return then * np.where(np.less(epoch, self.epochs), rising, 1.0)


SCHEDULES: dict[str, type[Schedule]] = {
    "constant": Constant,
    "cosine": Cosine,
    "exponential": Exponential,
    "inverse_scaling": InverseScaling,
    "linear": Linear,
    "one_cycle": OneCycle,
    "plateau": Plateau,
    "step": Step,
    "warmup": Warmup,
}


def get_schedule(schedule: str | Schedule) -> Schedule:
    """Return the schedule, or the default one of that name.

    Parameters
    ----------
    schedule : str or Schedule
        'constant', 'cosine', 'exponential', 'inverse_scaling', 'linear', 'one_cycle',
        'plateau', 'step', 'warmup', or an object.

    Returns
    -------
    schedule : Schedule

    Raises
    ------
    ValueError
        If the name is not known, or it is something else.

    Examples
    --------
    >>> from fastbp.schedules import get_schedule
    >>> get_schedule("one_cycle")
    OneCycle(rise=0.3, start=0.04, end=4e-06)
    """
    return object_of(Schedule, schedule, SCHEDULES, "schedules")
