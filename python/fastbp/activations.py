"""Activation functions: small immutable objects, each with its formula and source.

``f(z)`` is the value and ``f.derivative(z)`` the derivative at every element of an
array, both computed by the compiled core, in float32 for float32 and else in float64.
Wherever an activation is asked for, a name stands for the default object of that name:
``'relu'`` for ``ReLU()``.
"""

from __future__ import annotations

from abc import ABC
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import softmax

from . import _core
from ._objects import check_field, object_of

__all__ = [
    "ELU",
    "GELU",
    "SELU",
    "Activation",
    "Exp",
    "HardTanh",
    "Identity",
    "LeakyReLU",
    "Logistic",
    "Mish",
    "ReLU",
    "SiLU",
    "Sign",
    "Softmax",
    "Softplus",
    "Step",
    "Tanh",
    "get_activation",
]


class Activation(ABC):
    """Base of the activations.

    Attributes
    ----------
    name : str
        What stands for the default object: 'relu', for instance.
    is_trainable : bool
        Whether gradients pass through it; not through a threshold.
    is_only_last : bool
        Whether the last layer alone may have it.
    negative_slope : float
        Slope of :class:`LeakyReLU`; of no meaning for the others.

    Examples
    --------
    >>> from fastbp.activations import Activation, get_activation
    >>> isinstance(get_activation("tanh"), Activation)
    True
    """

    name: ClassVar[Any]
    is_trainable: ClassVar[bool] = True
    is_only_last: ClassVar[bool] = False
    negative_slope: float = 0.01

    def __call__(self, z: ArrayLike) -> NDArray[Any]:
        """Return f(z).

        Parameters
        ----------
        z : array-like
            Numbers, in any shape.

        Returns
        -------
        a : ndarray
            Of the shape of z; float32 if z is, else float64.

        Raises
        ------
        ValueError
            If z does not hold numbers.
        """
        value: NDArray[Any] = self._both(_numbers(z))[0]
        return value

    def derivative(self, z: ArrayLike) -> NDArray[Any]:
        """Return f'(z).

        At the kink of a ReLU, leaky ReLU or SELU it is the left derivative, as lecture
        002 has it; at those of hard tanh, and of a threshold, it is 0.

        Parameters
        ----------
        z : array-like
            Numbers, in any shape.

        Returns
        -------
        derivative : ndarray
            Of the shape of z; float32 if z is, else float64.

        Raises
        ------
        ValueError
            If z does not hold numbers.
        """
        derivative: NDArray[Any] = self._both(_numbers(z))[1]
        return derivative

    def _both(self, z: Any) -> tuple[Any, Any]:
        """Return f(z) and f'(z)."""
        return _core.activate(self.name, z, negative_slope=self.negative_slope)


@dataclass(frozen=True)
class Identity(Activation):
    """f(z) = z; f'(z) = 1.

    Examples
    --------
    >>> from fastbp.activations import Identity
    >>> Identity()([-2.0, 2.0])
    array([-2.,  2.])
    """

    name = "identity"


@dataclass(frozen=True)
class Logistic(Activation):
    """f(z) = 1 / (1 + exp(-z)); f'(z) = f(z) (1 - f(z)) (lecture 000, sigmoid).

    Examples
    --------
    >>> from fastbp.activations import Logistic
    >>> Logistic().derivative([0.0])
    array([0.25])
    """

    name = "logistic"


@dataclass(frozen=True)
class Tanh(Activation):
    """f(z) = tanh(z); f'(z) = 1 - f(z)^2 (lectures 000 and 003).

    Examples
    --------
    >>> from fastbp.activations import Tanh
    >>> Tanh()([0.0, 50.0])
    array([0., 1.])
    """

    name = "tanh"


@dataclass(frozen=True)
class ReLU(Activation):
    """f(z) = max(z, 0); f'(z) = 1 for z > 0, else 0 (lectures 000 and 002).

    Examples
    --------
    >>> from fastbp.activations import ReLU
    >>> ReLU()([-2.0, 2.0])
    array([0., 2.])
    """

    name = "relu"


@dataclass(frozen=True)
class LeakyReLU(Activation):
    """f(z) = z for z > 0, else negative_slope * z (lecture 000).

    f'(z) = 1 for z > 0, else negative_slope.

    Parameters
    ----------
    negative_slope : float, default=0.01
        In [0, 1).

    Raises
    ------
    ValueError
        If the slope is out of its range.

    Examples
    --------
    >>> from fastbp.activations import LeakyReLU
    >>> LeakyReLU(0.5)([-2.0, 2.0])
    array([-1.,  2.])
    """

    name = "leaky_relu"
    negative_slope: float = 0.01

    def __post_init__(self) -> None:
        check_field(self, "negative_slope", 0, 1, closed="left")


@dataclass(frozen=True)
class ELU(Activation):
    """f(z) = z for z > 0, else exp(z) - 1; f'(z) = 1 for z > 0, else exp(z).

    Clevert, Unterthiner and Hochreiter, 2015, arXiv:1511.07289, with alpha = 1.

    Examples
    --------
    >>> from fastbp.activations import ELU
    >>> ELU()([-1.0, 2.0]).round(3)
    array([-0.632,  2.   ])
    """

    name = "elu"


@dataclass(frozen=True)
class SELU(Activation):
    """f(z) = lambda z for z > 0, else lambda alpha (exp(z) - 1).

    f'(z) = lambda for z > 0, else lambda alpha exp(z); lambda = 1.0507..., alpha =
    1.6733... Klambauer, Unterthiner, Mayr and Hochreiter, 2017, arXiv:1706.02515.

    Examples
    --------
    >>> from fastbp.activations import SELU
    >>> SELU()([-1.0, 1.0]).round(3)
    array([-1.111,  1.051])
    """

    name = "selu"


@dataclass(frozen=True)
class HardTanh(Activation):
    """f(z) = z, held to [-1, 1]; f'(z) = 1 for -1 < z < 1, else 0.

    Examples
    --------
    >>> from fastbp.activations import HardTanh
    >>> HardTanh()([-2.0, 0.5, 2.0])
    array([-1. ,  0.5,  1. ])
    """

    name = "hard_tanh"


@dataclass(frozen=True)
class GELU(Activation):
    """f(z) = z Phi(z); f'(z) = Phi(z) + z phi(z), Phi and phi of the normal law.

    Hendrycks and Gimpel, 2016, arXiv:1606.08415.

    Examples
    --------
    >>> from fastbp.activations import GELU
    >>> GELU()([-1.0, 1.0]).round(3)
    array([-0.159,  0.841])
    """

    name = "gelu"


@dataclass(frozen=True)
class SiLU(Activation):
    """f(z) = z s(z); f'(z) = s(z) + z s(z) s(-z), s the logistic function.

    Hendrycks and Gimpel, 2016, arXiv:1606.08415.

    Examples
    --------
    >>> from fastbp.activations import SiLU
    >>> SiLU()([-1.0, 1.0]).round(3)
    array([-0.269,  0.731])
    """

    name = "silu"


@dataclass(frozen=True)
class Mish(Activation):
    """f(z) = z tanh(p), p = log(1 + exp(z)); f'(z) = tanh(p) + z s(z) / cosh(p)^2.

    s is the logistic function. Misra, 2019, arXiv:1908.08681.

    Examples
    --------
    >>> from fastbp.activations import Mish
    >>> Mish()([-1.0, 1.0]).round(3)
    array([-0.303,  0.865])
    """

    name = "mish"


@dataclass(frozen=True)
class Softplus(Activation):
    """f(z) = log(1 + exp(z)); f'(z) = 1 / (1 + exp(-z)).

    Dugas et al., "Incorporating second-order functional knowledge for better option
    pricing", 2000.

    Examples
    --------
    >>> from fastbp.activations import Softplus
    >>> Softplus()([0.0, 50.0]).round(3)
    array([ 0.693, 50.   ])
    """

    name = "softplus"


@dataclass(frozen=True)
class Softmax(Activation):
    """f(z)_k = exp(z_k) / sum_i exp(z_i), over the last axis (lectures 000 and 001).

    For the last layer only. Its Jacobian is diag(f) - f f^T; ``derivative`` returns the
    diagonal, f (1 - f).

    Examples
    --------
    >>> from fastbp.activations import Softmax
    >>> Softmax()([[0.0, 0.0], [0.0, 1e4]])
    array([[0.5, 0.5],
           [0. , 1. ]])
    """

    name = "softmax"
    is_only_last = True

    def _both(self, z: Any) -> tuple[Any, Any]:
        p = softmax(z, axis=-1)
        return p, p * (1 - p)


@dataclass(frozen=True)
class Exp(Activation):
    """f(z) = exp(z): positive outputs, whose logarithm is linear in the last layer.

    For the last layer only, with the losses 'poisson' and 'gamma' above all (J. A.
    Nelder and R. W. M. Wedderburn, "Generalized linear models", 1972).

    Examples
    --------
    >>> from fastbp.activations import Exp
    >>> Exp()([0.0, 1.0])
    array([1.        , 2.71828183])
    """

    name = "exp"
    is_only_last = True

    def _both(self, z: Any) -> tuple[Any, Any]:
        with np.errstate(over="ignore"):
            f = np.exp(z)
        return f, f


@dataclass(frozen=True)
class Sign(Activation):
    """f(z) = 1 for z >= 0, else -1: the linear threshold unit (lecture 000).

    Forward only: its derivative is 0 wherever it has one, so nothing can be learned
    through it.

    Examples
    --------
    >>> from fastbp.activations import Sign
    >>> Sign()([-0.5, 0.0, 0.5])
    array([-1.,  1.,  1.])
    """

    name = "sign"
    is_trainable = False


@dataclass(frozen=True)
class Step(Activation):
    """f(z) = 1 for z >= 0, else 0: a threshold unit with the values 0 and 1.

    Forward only, like :class:`Sign`.

    Examples
    --------
    >>> from fastbp.activations import Step
    >>> Step()([-0.5, 0.0, 0.5])
    array([0., 1., 1.])
    """

    name = "step"
    is_trainable = False


_CLASSES: tuple[type[Activation], ...] = (
    Identity,
    Logistic,
    Tanh,
    ReLU,
    LeakyReLU,
    ELU,
    SELU,
    HardTanh,
    GELU,
    SiLU,
    Mish,
    Softplus,
    Softmax,
    Exp,
    Sign,
    Step,
)
ACTIVATIONS: dict[str, type[Activation]] = {c.name: c for c in _CLASSES}


def _numbers(z: ArrayLike) -> NDArray[Any]:
    """Return z as an array of float32, if it is one, or of float64."""
    z = np.asarray(z)
    if z.dtype.kind not in "fiub":
        raise ValueError(f"z must hold numbers, got dtype {z.dtype}")
    dtype = np.float32 if z.dtype == np.float32 else np.float64
    return np.ascontiguousarray(z, dtype=dtype).reshape(z.shape)


def get_activation(activation: str | Activation) -> Activation:
    """Return the activation, or the default one of that name.

    Parameters
    ----------
    activation : str or Activation
        'identity', 'logistic', 'tanh', 'relu', 'leaky_relu', 'elu', 'selu',
        'hard_tanh', 'gelu', 'silu', 'mish', 'softplus', 'softmax', 'exp', 'sign',
        'step', or an object.

    Returns
    -------
    activation : Activation

    Raises
    ------
    ValueError
        If the name is not known, or it is something else.

    Examples
    --------
    >>> from fastbp.activations import get_activation
    >>> get_activation("leaky_relu")
    LeakyReLU(negative_slope=0.01)
    """
    return object_of(Activation, activation, ACTIVATIONS, "activations")
