"""Update rules: small immutable descriptions of what a step does with a gradient.

``g`` is the gradient of the mean loss of a batch, ``w`` a weight or bias, ``eta`` the
learning rate times the factor of the schedule, ``t`` the number of the step from 1. All
moments (``v``, ``m``) start at 0. The compiled core makes the steps; the objects hold
no state, so one of them may serve several trainers.
"""

from __future__ import annotations

from abc import ABC
from dataclasses import dataclass
from typing import Any, ClassVar

from ._objects import check_bool, check_field, object_of

__all__ = [
    "Adagrad",
    "Adam",
    "AdamW",
    "Lion",
    "NAdam",
    "Optimizer",
    "RMSprop",
    "SGD",
    "get_optimizer",
]


@dataclass(frozen=True)
class Optimizer(ABC):
    """Base of the update rules, which are those of this module only.

    Parameters
    ----------
    learning_rate : float
        eta, > 0; a schedule multiplies it by a factor for each step.

    Attributes
    ----------
    name : str
        What the estimators call it as ``solver``.

    Raises
    ------
    TypeError
        If the core does not know the rule.
    ValueError
        If a number is out of its range.

    Examples
    --------
    >>> from fastbp.optimizers import Optimizer, get_optimizer
    >>> isinstance(get_optimizer("adam"), Optimizer)
    True
    """

    name: ClassVar[str]
    learning_rate: float

    def __post_init__(self) -> None:
        if getattr(self, "name", None) not in OPTIMIZERS:
            raise TypeError(
                f"{type(self).__name__} is no rule that the core knows: an optimizer "
                f"must be one of {', '.join(k.__name__ for k in OPTIMIZERS.values())}"
            )
        for name in ("learning_rate", "epsilon"):
            if hasattr(self, name):
                check_field(self, name, 0, closed="neither")
        for name in ("beta_1", "beta_2"):
            if hasattr(self, name):
                check_field(self, name, 0, 1, closed="left")
        if hasattr(self, "weight_decay"):
            check_field(self, "weight_decay", 0)

    def _core_rule(self) -> tuple[Any, dict[str, Any]]:
        """Return the core's name of the rule, and its settings."""
        names = ("beta_1", "beta_2", "epsilon", "weight_decay")
        return self.name, {n: getattr(self, n) for n in names if hasattr(self, n)}


@dataclass(frozen=True)
class SGD(Optimizer):
    """Gradient descent: ``w -= eta * g`` (lectures 000, 002 and 004).

    With momentum ``v = momentum * v - eta * g``; then ``w += v``, or with Nesterov's
    ``w += momentum * v - eta * g`` (lecture 002, momentum, gamma there; for Nesterov's
    I. Sutskever, J. Martens, G. Dahl and G. Hinton, "On the importance of
    initialization and momentum in deep learning", ICML 2013).

    Parameters
    ----------
    learning_rate : float, default=0.01
        eta, > 0.
    momentum : float, default=0
        In [0, 1].
    nesterov : bool, default=False
        Nesterov's momentum; needs ``momentum > 0``.

    Raises
    ------
    ValueError
        If a parameter is out of its range, or ``nesterov`` is no bool or without
        momentum.

    Examples
    --------
    >>> from fastbp.optimizers import SGD
    >>> SGD(0.5, momentum=0.9)
    SGD(learning_rate=0.5, momentum=0.9, nesterov=False)
    """

    name = "sgd"
    learning_rate: float = 0.01
    momentum: float = 0.0
    nesterov: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_field(self, "momentum", 0, 1)
        check_bool(self.nesterov, "nesterov of SGD")
        if self.nesterov and self.momentum == 0:
            raise ValueError("nesterov=True of SGD needs momentum > 0, got 0")

    def _core_rule(self) -> tuple[Any, dict[str, Any]]:
        if self.momentum == 0:
            return "sgd", {}
        rule = "nesterov" if self.nesterov else "momentum"
        return rule, {"momentum": self.momentum}


@dataclass(frozen=True)
class RMSprop(Optimizer):
    """``v = beta_2 * v + (1 - beta_2) * g**2; w -= eta * g / (sqrt(v) + epsilon)``.

    T. Tieleman and G. Hinton, "Lecture 6.5 - RMSProp", COURSERA: Neural Networks for
    Machine Learning, 2012.

    Parameters
    ----------
    learning_rate : float, default=0.001
        eta, > 0.
    beta_2 : float, default=0.9
        In [0, 1).
    epsilon : float, default=1e-8
        > 0.

    Raises
    ------
    ValueError
        If a parameter is out of its range.

    Examples
    --------
    >>> from fastbp.optimizers import RMSprop
    >>> RMSprop(0.01, beta_2=0.99)
    RMSprop(learning_rate=0.01, beta_2=0.99, epsilon=1e-08)
    """

    name = "rmsprop"
    learning_rate: float = 0.001
    beta_2: float = 0.9
    epsilon: float = 1e-8


@dataclass(frozen=True)
class Adagrad(Optimizer):
    """``v += g**2; w -= eta * g / (sqrt(v) + epsilon)``.

    J. Duchi, E. Hazan and Y. Singer, "Adaptive subgradient methods for online learning
    and stochastic optimization", JMLR 12, 2011.

    Parameters
    ----------
    learning_rate : float, default=0.01
        eta, > 0.
    epsilon : float, default=1e-8
        > 0.

    Raises
    ------
    ValueError
        If a parameter is out of its range.

    Examples
    --------
    >>> from fastbp.optimizers import Adagrad
    >>> Adagrad(0.1)
    Adagrad(learning_rate=0.1, epsilon=1e-08)
    """

    name = "adagrad"
    learning_rate: float = 0.01
    epsilon: float = 1e-8


@dataclass(frozen=True)
class Adam(Optimizer):
    """``m`` and ``v``, means of ``g`` and ``g**2``, corrected for their start at 0.

    ``m = beta_1 * m + (1 - beta_1) * g``, ``v = beta_2 * v + (1 - beta_2) * g**2``,
    ``w -= eta * c * m / (sqrt(v) + epsilon)`` with ``c = sqrt(1 - beta_2**t) / (1 -
    beta_1**t)``: D. P. Kingma and J. Ba, "Adam: A method for stochastic optimization",
    2014, arXiv:1412.6980, end of section 2.

    Parameters
    ----------
    learning_rate : float, default=0.001
        eta, > 0.
    beta_1, beta_2 : float, default=0.9 and 0.999
        In [0, 1).
    epsilon : float, default=1e-8
        > 0.

    Raises
    ------
    ValueError
        If a parameter is out of its range.

    Examples
    --------
    The first step has about the size eta, whatever that of the gradient:

    >>> from fastbp import Network, Trainer
    >>> from fastbp.layers import Dense
    >>> from fastbp.optimizers import Adam
    >>> network = Network([Dense(1, initializer="zeros")], n_in=1)
    >>> trainer = Trainer(network, "squared_error", Adam(0.25))
    >>> trainer.fit([[2.0]], [3.0], n_epochs=1).network.flat_parameters.round(3)
    array([0.25, 0.25])
    """

    name = "adam"
    learning_rate: float = 0.001
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8


@dataclass(frozen=True)
class AdamW(Adam):
    """:class:`Adam` with decoupled weight decay: first ``w *= 1 - eta * weight_decay``.

    Of the weights, not of the biases. I. Loshchilov and F. Hutter, "Decoupled weight
    decay regularization", 2017, arXiv:1711.05101.

    Parameters
    ----------
    learning_rate, beta_1, beta_2, epsilon : float
        As of :class:`Adam`.
    weight_decay : float, default=0.01
        At least 0.

    Raises
    ------
    ValueError
        If a parameter is out of its range.

    Examples
    --------
    >>> from fastbp.optimizers import AdamW
    >>> AdamW(weight_decay=0.1).weight_decay
    0.1
    """

    name = "adamw"
    weight_decay: float = 0.01

    def _core_rule(self) -> tuple[Any, dict[str, Any]]:
        return "adam", super()._core_rule()[1]


@dataclass(frozen=True)
class NAdam(Adam):
    """:class:`Adam` with Nesterov's momentum; the formula is in docs/optimizers.md.

    T. Dozat, "Incorporating Nesterov momentum into Adam", ICLR workshop, 2016, with
    PyTorch's ``momentum_decay`` of 0.004.

    Parameters
    ----------
    learning_rate, beta_1, beta_2, epsilon : float
        As of :class:`Adam`.

    Raises
    ------
    ValueError
        If a parameter is out of its range.

    Examples
    --------
    >>> from fastbp.optimizers import NAdam
    >>> NAdam(0.002)
    NAdam(learning_rate=0.002, beta_1=0.9, beta_2=0.999, epsilon=1e-08)
    """

    name = "nadam"


@dataclass(frozen=True)
class Lion(Optimizer):
    """``w -= eta * sign(beta_1 * m + (1 - beta_1) * g)``, then ``m`` is updated.

    ``m = beta_2 * m + (1 - beta_2) * g``. X. Chen et al., "Symbolic discovery of
    optimization algorithms", 2023, arXiv:2302.06675.

    Parameters
    ----------
    learning_rate : float, default=0.0001
        eta, > 0; three to ten times smaller than for Adam.
    beta_1, beta_2 : float, default=0.9 and 0.99
        In [0, 1).
    weight_decay : float, default=0
        Decoupled, as of :class:`AdamW`; at least 0.

    Raises
    ------
    ValueError
        If a parameter is out of its range.

    Examples
    --------
    Each step has the size eta:

    >>> from fastbp import Network, Trainer
    >>> from fastbp.layers import Dense
    >>> from fastbp.optimizers import Lion
    >>> network = Network([Dense(1, initializer="zeros")], n_in=1)
    >>> trainer = Trainer(network, "squared_error", Lion(0.25))
    >>> trainer.fit([[2.0]], [3.0], n_epochs=2).network.flat_parameters
    array([0.5, 0.5])
    """

    name = "lion"
    learning_rate: float = 0.0001
    beta_1: float = 0.9
    beta_2: float = 0.99
    weight_decay: float = 0.0


OPTIMIZERS: dict[str, type[Optimizer]] = {
    "sgd": SGD,
    "adam": Adam,
    "adamw": AdamW,
    "rmsprop": RMSprop,
    "adagrad": Adagrad,
    "nadam": NAdam,
    "lion": Lion,
}


def get_optimizer(optimizer: str | Optimizer) -> Optimizer:
    """Return the optimizer, or the default one of that name.

    Parameters
    ----------
    optimizer : str or Optimizer
        'sgd', 'adam', 'adamw', 'rmsprop', 'adagrad', 'nadam', 'lion', or an object.

    Returns
    -------
    optimizer : Optimizer

    Raises
    ------
    ValueError
        If the name is not known, or it is something else.

    Examples
    --------
    >>> from fastbp.optimizers import get_optimizer
    >>> get_optimizer("lion")
    Lion(learning_rate=0.0001, beta_1=0.9, beta_2=0.99, weight_decay=0.0)
    """
    return object_of(Optimizer, optimizer, OPTIMIZERS, "optimizers")
