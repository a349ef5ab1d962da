"""The stochastic solver of an estimator: its optimizer, and its state between calls."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field, fields, replace
from math import sqrt
from typing import TYPE_CHECKING, Any

import numpy as np

from . import _core
from .optimizers import OPTIMIZERS, SGD, Adam, Optimizer, get_optimizer

if TYPE_CHECKING:
    from ._base import BaseMLP

__all__ = [
    "OptimizerState",
    "checksum",
    "optimizer_of",
    "parameters_of",
    "solver_name",
]

# The estimators' parameters that only some of the solvers have, apart from those of
# 'sgd' fields of their optimizers.
_OF_SGD = {"learning_rate", "power_t", "momentum", "nesterovs_momentum"}
_OF_OTHERS = {"beta_1", "beta_2", "epsilon"}


def solver_name(est: BaseMLP) -> str:
    """Return the name of the solver, which may be given as an object."""
    return est.solver.name if isinstance(est.solver, Optimizer) else est.solver


def parameters_of(solver: str) -> set[str]:
    """Return which parameters that only some stochastic solvers have this one has."""
    if solver == "sgd":
        return _OF_SGD
    return {f.name for f in fields(OPTIMIZERS[solver])} & _OF_OTHERS


def optimizer_of(est: BaseMLP) -> Optimizer:
    """Return the optimizer that the parameters of a stochastic solver ask for."""
    if isinstance(est.solver, Optimizer):
        return get_optimizer(est.solver)
    rate = est.learning_rate_init
    if est.solver == "sgd":
        nesterov = bool(est.nesterovs_momentum and est.momentum > 0)
        return SGD(rate, est.momentum, nesterov)
    kind = OPTIMIZERS[est.solver]
    settings = {name: getattr(est, name) for name in parameters_of(est.solver)}
    if hasattr(kind, "weight_decay") and est.weight_decay is not None:
        settings["weight_decay"] = est.weight_decay
    return kind(learning_rate=rate, **settings)


@dataclass
class OptimizerState:
    """State of a stochastic solver, with the learning-rate policy of scikit-learn.

    Attributes
    ----------
    optimizer : Optimizer
        What it started with, or the object that has been set since.
    schedule : {'constant', 'invscaling', 'adaptive'}
        What becomes of the rate of 'sgd' at the end of an epoch; others ignore it.
    power_t : float
        Exponent of 'invscaling'.
    learning_rate : float
        The rate of the next epoch; for 'adam', of the last step, bias-corrected.
    t : int
        Steps taken.
    moments : list of list of ndarray
        What the rule remembers of former gradients, one or two moments, each a list of
        arrays like ``coefs_ + intercepts_``, and gain and bias of each of ``norms_``;
        empty before the first step.
    first_epoch : int
        Length of ``loss_curve_`` when it started: schedules count from there.
    plateau_factor : float
        What a Plateau schedule has made of the rate.
    is_rate_zero : bool
        Whether a schedule has come to an epoch without any learning, which was told.
    raw : tuple of list or None
        With ``ema``, the weights and biases, and norms if there are any, that training
        goes on from; ``coefs_``, ``intercepts_`` and ``norms_`` are their average.
    average : list of ndarray or None
        That average, the same arrays, if it is to go on too.
    average_checksum : int
        Of its bytes: whoever writes into the arrays wants training to go on from them.
    average_start : int
        Steps taken before it began.
    dropout_seed : int or None
        Of the random numbers of dropout, once they are needed.
    """

    optimizer: Optimizer
    schedule: str
    power_t: float
    learning_rate: float = field(init=False)
    t: int = 0
    moments: list[list[Any]] = field(default_factory=list)
    first_epoch: int = 0
    plateau_factor: float = 1.0
    is_rate_zero: bool = False
    raw: tuple[list[Any], ...] | None = None
    average: list[Any] | None = None
    average_checksum: int = 0
    average_start: int = 0
    dropout_seed: int | None = None

    def __post_init__(self) -> None:
        self.learning_rate = self.learning_rate_init

    @property
    def learning_rate_init(self) -> float:
        """The rate that it started with."""
        return float(self.optimizer.learning_rate)

    @property
    def rate(self) -> float:
        """Rate for the core, which makes bias corrections itself."""
        if self.optimizer.name == "adam":
            return self.learning_rate_init
        return self.learning_rate

    def go_on(self, est: BaseMLP) -> None:
        """Go on in a call of partial_fit: scikit-learn's parameters are those of then.

        But an object says all of it, and weight_decay is as other penalties.
        """
        optimizer = optimizer_of(est)
        if isinstance(est.solver, Optimizer):
            if optimizer != self.optimizer:
                self.learning_rate = float(optimizer.learning_rate)
            self.optimizer = optimizer
        elif hasattr(optimizer, "weight_decay"):
            decay: Any = {"weight_decay": optimizer.weight_decay}
            self.optimizer = replace(self.optimizer, **decay)

    def load_into(
        self, trainer: _core.Trainer, network: _core.Network, n_threads: int
    ) -> None:
        """Give the moments, if they are of its rule, and weights to a new trainer."""
        dtype = network.dtype
        if self.raw is not None:
            raw: list[Any] = [
                [_converted(held, dtype) for held in part] for part in self.raw
            ]
            network.set_parameters(*raw, n_threads=n_threads)
        if self.t == 0 or len(self.moments) != trainer.n_moments:
            return
        state = self.moments if self.average is None else [*self.moments, self.average]
        moments = [[a.astype(dtype, copy=False) for a in m] for m in state]
        start = 0 if self.average is None else self.average_start
        trainer.set_state(self.t, moments, average_start=start, n_threads=n_threads)

    def has_average(self, arrays: list[Any]) -> bool:
        """Tell whether these are the average, and not what the user has put there."""
        return self.average is not None and checksum(arrays) == self.average_checksum

    def forget_average(self) -> None:
        """Have training go on from the estimator's weights."""
        self.raw = self.average = None

    def store(self, t: int, moments: list[list[Any]]) -> None:
        """Keep steps and moments when training ends."""
        self.t, self.moments = t, moments
        optimizer = self.optimizer
        if type(optimizer) is Adam and t > 0:
            correction = sqrt(1 - optimizer.beta_2**t) / (1 - optimizer.beta_1**t)
            self.learning_rate = self.learning_rate_init * correction

    def epoch_ends(self, n_samples_seen: int) -> None:
        """Apply the 'invscaling' schedule."""
        if self.optimizer.name == "sgd" and self.schedule == "invscaling":
            fall = (n_samples_seen + 1) ** self.power_t
            self.learning_rate = self.learning_rate_init / fall

    def stops_after(self, message: str, verbose: bool) -> bool:
        """Answer whether to stop for lack of progress; 'adaptive' lowers the rate."""
        adaptive = self.optimizer.name == "sgd" and self.schedule == "adaptive"
        if adaptive and self.learning_rate > 1e-6:
            self.learning_rate /= 5.0
            message += f" Setting learning rate to {self.learning_rate:f}"
            stops = False
        else:
            message += " Learning rate too small." if adaptive else ""
            message += " Stopping."
            stops = True
        if verbose:
            print(message)
        return stops


def checksum(arrays: list[Any]) -> int:
    """Return a number that another content of the arrays most likely has not."""
    value = 0
    for array in arrays:
        value = zlib.crc32(np.ascontiguousarray(array).data, value)
    return value


def _converted(held: Any, dtype: str) -> Any:
    """Return an array, or a norm's dict of arrays, in another type."""
    if isinstance(held, dict):
        return {name: _converted(array, dtype) for name, array in held.items()}
    return held.astype(dtype, copy=False)
