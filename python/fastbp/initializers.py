"""Initial weights: small immutable functions of a layer's size.

An initializer maps ``(fan_in, fan_out, rng)``, the inputs and units of a layer and a
source of random numbers, to its weights, an array (fan_in, fan_out). Any function that
does so will do. Biases are not theirs: they begin at zero.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from math import sqrt
from numbers import Integral
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import qr

from ._blas import held_to_one_thread
from ._objects import check_field, object_of

__all__ = [
    "Constant",
    "Given",
    "GlorotNormal",
    "GlorotUniform",
    "HeNormal",
    "HeUniform",
    "Initializer",
    "LeCunNormal",
    "LeCunUniform",
    "Orthogonal",
    "Zeros",
    "get_initializer",
]

Rng: TypeAlias = np.random.RandomState | np.random.Generator
Weights: TypeAlias = NDArray[np.float64]

_DRAWN_AT_ONCE = 2**20  # random numbers, a few milliseconds


class Initializer(ABC):
    """Base of the initializers; a subclass of one's own defines ``__call__``.

    Examples
    --------
    >>> import numpy as np
    >>> from fastbp import Network
    >>> from fastbp.initializers import Initializer
    >>> from fastbp.layers import Dense
    >>> class Eye(Initializer):
    ...     def __call__(self, fan_in, fan_out, rng):
    ...         return np.eye(fan_in, fan_out)
    >>> Network([Dense(2, initializer=Eye())], n_in=2).forward([[3.0, 4.0]])
    array([[3., 4.]])
    """

    @abstractmethod
    def __call__(self, fan_in: int, fan_out: int, rng: Rng) -> Any:
        """Return the initial weights of a layer.

        Parameters
        ----------
        fan_in, fan_out : int
            Inputs and units of the layer, at least 1.
        rng : RandomState or Generator
            Where random numbers are drawn from.

        Returns
        -------
        weights : ndarray of shape (fan_in, fan_out)
            float64, from every initializer of this module.

        Raises
        ------
        ValueError
            If a size is no integer of at least 1; from :class:`Given` also if its array
            has another shape.
        """


def _empty(fan_in: int, fan_out: int) -> Weights:
    """Return an array for the weights, if there is a layer of that size."""
    for name, n in (("fan_in", fan_in), ("fan_out", fan_out)):
        if not isinstance(n, Integral) or n < 1:
            raise ValueError(f"{name} must be an integer of at least 1, got {n!r}")
    return np.empty((fan_in, fan_out))


def fill_in_pieces(array: NDArray[Any], draw: Callable[[int], Weights]) -> NDArray[Any]:
    """Fill a contiguous array in pieces: Ctrl-C need not wait for the last."""
    flat = array.ravel()
    for first in range(0, flat.size, _DRAWN_AT_ONCE):
        piece = flat[first : first + _DRAWN_AT_ONCE]
        piece[:] = draw(piece.size)
    return array


class _Uniform(Initializer):
    """Uniform in [-bound, bound)."""

    @abstractmethod
    def _bound(self, fan_in: int, fan_out: int) -> float: ...

    def __call__(self, fan_in: int, fan_out: int, rng: Rng) -> Weights:
        weights = _empty(fan_in, fan_out)
        bound = self._bound(fan_in, fan_out)
        return fill_in_pieces(weights, lambda n: rng.uniform(-bound, bound, n))


class _Normal(Initializer):
    """Normal with mean 0, and not truncated."""

    @abstractmethod
    def _deviation(self, fan_in: int, fan_out: int) -> float: ...

    def __call__(self, fan_in: int, fan_out: int, rng: Rng) -> Weights:
        weights = _empty(fan_in, fan_out)
        deviation = self._deviation(fan_in, fan_out)
        return fill_in_pieces(weights, lambda n: deviation * rng.standard_normal(n))


@dataclass(frozen=True)
class GlorotUniform(_Uniform):
    """Uniform in ±sqrt(6 / (fan_in + fan_out)), for tanh and other odd activations.

    The variance 2 / (fan_in + fan_out) keeps both signals and gradients at about the
    same size in all layers. X. Glorot and Y. Bengio, "Understanding the difficulty of
    training deep feedforward neural networks", AISTATS 2010, equation 16.

    Examples
    --------
    >>> import numpy as np
    >>> from fastbp.initializers import GlorotUniform
    >>> weights = GlorotUniform()(200, 50, np.random.RandomState(0))
    >>> print(f"{abs(weights).max():.2f}")
    0.15
    """

    def _bound(self, fan_in: int, fan_out: int) -> float:
        return sqrt(6 / (fan_in + fan_out))


@dataclass(frozen=True)
class GlorotNormal(_Normal):
    """Normal with deviation sqrt(2 / (fan_in + fan_out)): see GlorotUniform.

    X. Glorot and Y. Bengio, "Understanding the difficulty of training deep feedforward
    neural networks", AISTATS 2010, equation 12, met on average over both directions.

    Examples
    --------
    >>> import numpy as np
    >>> from fastbp.initializers import GlorotNormal
    >>> weights = GlorotNormal()(200, 50, np.random.RandomState(0))
    >>> print(f"{weights.std():.2f}")
    0.09
    """

    def _deviation(self, fan_in: int, fan_out: int) -> float:
        return sqrt(2 / (fan_in + fan_out))


@dataclass(frozen=True)
class HeUniform(_Uniform):
    """Uniform in ±sqrt(6 / fan_in), for ReLU and its kin: see HeNormal.

    It has the same variance, 2 / fan_in: K. He et al., "Delving deep into rectifiers",
    2015, arXiv:1502.01852, equation 10.

    Examples
    --------
    >>> import numpy as np
    >>> from fastbp.initializers import HeUniform
    >>> weights = HeUniform()(200, 50, np.random.RandomState(0))
    >>> print(f"{abs(weights).max():.2f}")
    0.17
    """

    def _bound(self, fan_in: int, fan_out: int) -> float:
        return sqrt(6 / fan_in)


@dataclass(frozen=True)
class HeNormal(_Normal):
    """Normal with deviation sqrt(2 / fan_in), for ReLU and its kin.

    It makes up for the half of the signal that a ReLU sets to zero. K. He et al.,
    "Delving deep into rectifiers", 2015, arXiv:1502.01852, equation 10.

    Examples
    --------
    >>> import numpy as np
    >>> from fastbp.initializers import HeNormal
    >>> weights = HeNormal()(200, 50, np.random.RandomState(0))
    >>> print(f"{weights.std():.2f}")
    0.10
    """

    def _deviation(self, fan_in: int, fan_out: int) -> float:
        return sqrt(2 / fan_in)


@dataclass(frozen=True)
class LeCunUniform(_Uniform):
    """Uniform in ±sqrt(3 / fan_in): see LeCunNormal.

    It has the same variance, 1 / fan_in: Y. LeCun et al., "Efficient BackProp", 1998,
    equation 16.

    Examples
    --------
    >>> import numpy as np
    >>> from fastbp.initializers import LeCunUniform
    >>> weights = LeCunUniform()(200, 50, np.random.RandomState(0))
    >>> print(f"{abs(weights).max():.2f}")
    0.12
    """

    def _bound(self, fan_in: int, fan_out: int) -> float:
        return sqrt(3 / fan_in)


@dataclass(frozen=True)
class LeCunNormal(_Normal):
    """Normal with deviation 1 / sqrt(fan_in), for scaled tanh and SELU.

    Y. LeCun et al., "Efficient BackProp", 1998, equation 16; for SELU: G. Klambauer et
    al., "Self-normalizing neural networks", 2017, arXiv:1706.02515.

    Examples
    --------
    >>> import numpy as np
    >>> from fastbp.initializers import LeCunNormal
    >>> weights = LeCunNormal()(200, 50, np.random.RandomState(0))
    >>> print(f"{weights.std():.2f}")
    0.07
    """

    def _deviation(self, fan_in: int, fan_out: int) -> float:
        return 1 / sqrt(fan_in)


@dataclass(frozen=True)
class Orthogonal(Initializer):
    """A random matrix whose rows or columns, the fewer, are orthonormal, times gain.

    A. M. Saxe et al., "Exact solutions to the nonlinear dynamics of learning in deep
    linear neural networks", 2013, arXiv:1312.6120. It is the Q of the QR decomposition
    of a normal matrix, with the signs of R's diagonal, which makes it uniform over all
    such matrices: F. Mezzadri, "How to generate random matrices from the classical
    compact groups", 2006, arXiv:math-ph/0609050. LAPACK computes it: other than
    everything else here, it may differ in the last digits from one machine to another.

    Parameters
    ----------
    gain : float, default=1
        Above 0; sqrt(2) is usual for ReLU.

    Raises
    ------
    ValueError
        If gain is not a finite number above 0.

    Examples
    --------
    >>> import numpy as np
    >>> from fastbp.initializers import Orthogonal
    >>> weights = Orthogonal(gain=2.0)(5, 3, np.random.RandomState(0))
    >>> np.allclose(weights.T @ weights, 4 * np.eye(3))
    True
    """

    gain: float = 1.0

    def __post_init__(self) -> None:
        check_field(self, "gain", 0, closed="neither")

    def __call__(self, fan_in: int, fan_out: int, rng: Rng) -> Weights:
        weights = fill_in_pieces(_empty(fan_in, fan_out), rng.standard_normal)
        is_wide = fan_in < fan_out
        with held_to_one_thread():
            q, r = qr(weights.T if is_wide else weights, mode="economic")
        q *= np.where(np.diagonal(r) < 0, -self.gain, self.gain)
        return np.ascontiguousarray(q.T if is_wide else q)


@dataclass(frozen=True)
class Zeros(Initializer):
    """All weights 0.

    Right for a network without hidden layers; in any other all units of a layer stay
    alike, since they all get the same gradient (I. Goodfellow, Y. Bengio and A.
    Courville, "Deep learning", 2016, section 8.4).

    Examples
    --------
    >>> import numpy as np
    >>> from fastbp.initializers import Zeros
    >>> Zeros()(1, 3, np.random.RandomState(0))
    array([[0., 0., 0.]])
    """

    def __call__(self, fan_in: int, fan_out: int, rng: Rng) -> Weights:
        weights = _empty(fan_in, fan_out)
        weights.fill(0)
        return weights


@dataclass(frozen=True)
class Constant(Initializer):
    """All weights the same number.

    Parameters
    ----------
    value : float
        Finite.

    Raises
    ------
    ValueError
        If value is not a finite number.

    Examples
    --------
    >>> import numpy as np
    >>> from fastbp.initializers import Constant
    >>> Constant(0.5)(1, 3, np.random.RandomState(0))
    array([[0.5, 0.5, 0.5]])
    """

    value: float

    def __post_init__(self) -> None:
        check_field(self, "value", -np.inf)

    def __call__(self, fan_in: int, fan_out: int, rng: Rng) -> Weights:
        weights = _empty(fan_in, fan_out)
        weights.fill(self.value)
        return weights


@dataclass(frozen=True, eq=False, repr=False)
class Given(Initializer):
    """Given weights, for a layer of their shape.

    Parameters
    ----------
    array : array-like of shape (fan_in, fan_out)
        Finite numbers. A copy is kept, in float64.

    Raises
    ------
    ValueError
        If it is no matrix of finite numbers.

    Examples
    --------
    >>> import numpy as np
    >>> from fastbp.initializers import Given
    >>> given = Given([[1, 2, 3]])
    >>> given
    Given(array of shape (1, 3))
    >>> given(1, 3, np.random.RandomState(0))
    array([[1., 2., 3.]])
    """

    array: ArrayLike

    def __post_init__(self) -> None:
        array = np.array(self.array)
        if array.ndim != 2 or array.dtype.kind not in "fiub" or array.size == 0:
            raise ValueError(
                "array of Given must be a matrix of numbers, got "
                f"{array.dtype} of shape {array.shape}"
            )
        if not np.isfinite(array).all():
            raise ValueError("array of Given must be finite, got NaN or infinity")
        array = array.astype(np.float64)
        array.setflags(write=False)
        object.__setattr__(self, "array", array)

    def __repr__(self) -> str:
        return f"Given(array of shape {np.shape(self.array)})"

    def __call__(self, fan_in: int, fan_out: int, rng: Rng) -> Weights:
        weights = _empty(fan_in, fan_out)
        if np.shape(self.array) != weights.shape:
            raise ValueError(
                f"array of Given has shape {np.shape(self.array)}, the layer needs "
                f"{weights.shape}"
            )
        weights[:] = self.array
        return weights


INITIALIZERS: dict[str, type[Initializer]] = {
    "glorot_normal": GlorotNormal,
    "glorot_uniform": GlorotUniform,
    "he_normal": HeNormal,
    "he_uniform": HeUniform,
    "lecun_normal": LeCunNormal,
    "lecun_uniform": LeCunUniform,
    "orthogonal": Orthogonal,
    "zeros": Zeros,
}


def get_initializer(initializer: Any) -> Callable[[int, int, Any], Any]:
    """Return the initializer, or the default one of that name.

    Parameters
    ----------
    initializer : str, Initializer or callable
        'glorot_normal', 'glorot_uniform', 'he_normal', 'he_uniform', 'lecun_normal',
        'lecun_uniform', 'orthogonal', 'zeros', or an object, or a function
        ``(fan_in, fan_out, rng)`` that returns an array (fan_in, fan_out).

    Returns
    -------
    initializer : Initializer or callable

    Raises
    ------
    ValueError
        If the name is not known, or it is something else.

    Examples
    --------
    >>> from fastbp.initializers import get_initializer
    >>> get_initializer("orthogonal")
    Orthogonal(gain=1.0)
    """
    if callable(initializer) and not isinstance(initializer, type):
        return initializer  # type: ignore[no-any-return]
    return object_of(Initializer, initializer, INITIALIZERS, "initializers")
