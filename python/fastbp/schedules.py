"""Learning-rate schedules: small immutable functions of the time in epochs.

A schedule maps ``(epoch, n_epochs)`` to a factor of the learning rate. ``epoch`` is the
time since training began, with fractions: step ``i`` of the ``n`` steps of epoch ``e``
(both from 0) is at ``e + i / n``. It may be an array; then so is the factor. What
happened in training is not theirs to know, except for :class:`Plateau`, which only says
what whoever trains is to do.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
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
    """Base of the schedules; a subclass of one's own defines ``__call__``.

    Examples
    --------
    >>> import numpy as np
    >>> from fastbp.schedules import Schedule
    >>> class Halves(Schedule):
    ...     def __call__(self, epoch, n_epochs):
    ...         return np.where(epoch < n_epochs / 2, 1.0, 0.5)
    >>> Halves()(np.array([0.0, 4.5, 5.0]), 10)
    array([1. , 1. , 0.5])
    """

    @abstractmethod
    def __call__(self, epoch: Numbers, n_epochs: float) -> Any:
        """Return the factor of the learning rate.

        Parameters
        ----------
        epoch : float or ndarray of float64
            Time since training began, in epochs, from 0.
        n_epochs : float
            Epochs that training is to last.

        Returns
        -------
        factor : float or ndarray of float64
            Not negative; of the shape of ``epoch``. The factor of a single time may be
            an array without axes.
        """


def _done(epoch: Numbers, n_epochs: float) -> Any:
    """Return the part of the training that is over, in [0, 1]."""
    return np.clip(np.divide(epoch, n_epochs), 0, 1) if n_epochs > 0 else epoch * 0 + 1


def _of_each(function: Callable[..., float], *numbers: Any) -> Any:
    """Return the function of each number, or of each of the pairs.

    Those of the C library: NumPy's differ in the last bit between processors, and a
    training with such rates would.
    """
    arrays = np.broadcast_arrays(*numbers)
    values = map(function, *(array.ravel().tolist() for array in arrays))
    return np.fromiter(values, np.float64, arrays[0].size).reshape(arrays[0].shape)


def _cosine(start: float, end: float, done: Any) -> Any:
    """Return the way from start to end along half a wave."""
    return end + (start - end) * (1 + _of_each(math.cos, np.pi * done)) / 2


@dataclass(frozen=True)
class Constant(Schedule):
    """The same rate all the time (lecture 002, a fixed learning rate).

    Examples
    --------
    >>> import numpy as np
    >>> from fastbp.schedules import Constant
    >>> Constant()(np.array([0.0, 9.5]), 10)
    array([1., 1.])
    """

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

    Raises
    ------
    ValueError
        If a parameter is not a finite number of its range.

    Examples
    --------
    >>> import numpy as np
    >>> from fastbp.schedules import Step
    >>> Step(every=2, gamma=0.5)(np.array([0.0, 1.5, 2.0, 4.0]), 5)
    array([1.  , 1.  , 0.5 , 0.25])
    """

    every: float = 30
    gamma: float = 0.1

    def __post_init__(self) -> None:
        check_field(self, "every", 0, closed="neither")
        check_field(self, "gamma", 0, 1)

    def __call__(self, epoch: Numbers, n_epochs: float) -> Any:
        n_changes = np.floor_divide(epoch, self.every)
        return _of_each(math.pow, self.gamma, n_changes)


@dataclass(frozen=True)
class Exponential(Schedule):
    """Decay smoothly by ``gamma`` an epoch: ``gamma ** epoch``.

    A. Senior, G. Heigold, M. Ranzato and K. Yang, "An empirical study of learning rates
    in deep neural networks for speech recognition", ICASSP 2013, compare it with
    others.

    Parameters
    ----------
    gamma : float, default=0.95
        In [0, 1].

    Raises
    ------
    ValueError
        If gamma is not in [0, 1].

    Examples
    --------
    >>> import numpy as np
    >>> from fastbp.schedules import Exponential
    >>> Exponential(gamma=0.25)(np.array([0.0, 0.5, 1.0]), 10)
    array([1.  , 0.5 , 0.25])
    """

    gamma: float = 0.95

    def __post_init__(self) -> None:
        check_field(self, "gamma", 0, 1)

    def __call__(self, epoch: Numbers, n_epochs: float) -> Any:
        return _of_each(math.pow, self.gamma, epoch)


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

    Raises
    ------
    ValueError
        If power is not a finite number of at least 0.

    Examples
    --------
    >>> import numpy as np
    >>> from fastbp.schedules import InverseScaling
    >>> InverseScaling(power=1)(np.array([0.0, 1.0, 3.0]), 10)
    array([1.  , 0.5 , 0.25])
    """

    power: float = 0.5

    def __post_init__(self) -> None:
        check_field(self, "power", 0)

    def __call__(self, epoch: Numbers, n_epochs: float) -> Any:
        return _of_each(math.pow, np.add(1.0, epoch), -float(self.power))


@dataclass(frozen=True)
class Cosine(Schedule):
    """Go down to ``end`` along half a wave of a cosine.

    I. Loshchilov and F. Hutter, "SGDR: Stochastic gradient descent with warm restarts",
    2016, arXiv:1608.03983, equation 5, without restarts.

    Parameters
    ----------
    end : float, default=0
        Factor at the end, in [0, 1].

    Raises
    ------
    ValueError
        If end is not in [0, 1].

    Examples
    --------
    >>> import numpy as np
    >>> from fastbp.schedules import Cosine
    >>> Cosine(end=0.2)(np.array([0.0, 5.0, 10.0]), 10).round(3)
    array([1. , 0.6, 0.2])
    """

    end: float = 0.0

    def __post_init__(self) -> None:
        check_field(self, "end", 0, 1)

    def __call__(self, epoch: Numbers, n_epochs: float) -> Any:
        return _cosine(1.0, self.end, _done(epoch, n_epochs))


@dataclass(frozen=True)
class Linear(Schedule):
    """Go down to ``end`` along a straight line.

    I. Goodfellow, Y. Bengio and A. Courville, "Deep learning", 2016, section 8.3.1.

    Parameters
    ----------
    end : float, default=0
        Factor at the end, in [0, 1].

    Raises
    ------
    ValueError
        If end is not in [0, 1].

    Examples
    --------
    >>> import numpy as np
    >>> from fastbp.schedules import Linear
    >>> Linear(end=0.5)(np.array([0.0, 5.0, 10.0]), 10)
    array([1.  , 0.75, 0.5 ])
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

    Raises
    ------
    ValueError
        If a parameter is not in [0, 1].

    Examples
    --------
    >>> import numpy as np
    >>> from fastbp.schedules import OneCycle
    >>> OneCycle(rise=0.5)(np.array([0.0, 2.5, 5.0, 10.0]), 10).round(3)
    array([0.04, 0.52, 1.  , 0.  ])
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
    stochastic solver (lecture 002, an adapted learning rate). An epoch is bad as
    ``tol`` defines it; the count of bad epochs starts again at each change, so that
    training does not stop for lack of progress before the rate has come down to
    ``end``. As a function it is 1 at any time.

    A :class:`~fastbp.Trainer` has no ``tol``: there an epoch is bad if its loss, that
    of the validation set if there is one, is no new best.

    Parameters
    ----------
    factor : float, default=0.2
        In (0, 1).
    patience : int or None, default=None
        The rate changes after more than this many bad epochs in a row, at least 1 and
        at most ``n_iter_no_change`` of the estimator; None is ``n_iter_no_change``, of
        a Trainer 10.
    end : float, default=1e-3
        The factor never falls under this, in (0, 1].

    Raises
    ------
    ValueError
        If a parameter is not in its range, or ``patience`` is no integer.

    Examples
    --------
    >>> from fastbp import Network, Trainer
    >>> from fastbp.layers import Dense
    >>> from fastbp.schedules import Plateau
    >>> stuck = Network([Dense(1, initializer="zeros")], n_in=1)
    >>> trainer = Trainer(stuck, "squared_error", schedule=Plateau(0.5, patience=1))
    >>> trainer.fit([[1.0]], [0.0], n_epochs=4).history["learning_rate"]
    [0.01, 0.01, 0.01, 0.005]
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

    Raises
    ------
    ValueError
        If a number is not in its range, or ``then`` is no schedule, or a Warmup.

    Examples
    --------
    >>> import numpy as np
    >>> from fastbp.schedules import Warmup
    >>> Warmup(2, then="linear", start=0)(np.array([0.0, 1.0, 2.0, 6.0, 10.0]), 10)
    array([0. , 0.5, 1. , 0.5, 0. ])
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
    return object_of(Schedule, schedule, SCHEDULES, "schedules", is_open=True)
