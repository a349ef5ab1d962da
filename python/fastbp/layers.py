"""Layers: immutable descriptions of what a :class:`fastbp.Network` is made of.

A layer knows its size, its activation and how its parameters begin. The parameters
themselves belong to the network, which asks each layer for the shapes of them
(``_shapes``), of what it keeps besides (``_statistics``), and for the first values of
both (``_draw``).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import KW_ONLY, dataclass, fields
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from . import _core
from ._initial import drawn_weights
from ._objects import check_bool, check_field, check_size
from .activations import Activation, Identity, get_activation
from .initializers import get_initializer

__all__ = ["BatchNorm", "Dense", "Dropout", "Layer", "LayerNorm"]


class Layer(ABC):
    """Base of the layers.

    Attributes
    ----------
    name : str
        What its parameters are called by in a network, before their number.
    activation : Activation
        What is applied last.
    trainable : bool
        Whether training changes its parameters.

    Examples
    --------
    >>> from fastbp.layers import Dense, Layer
    >>> isinstance(Dense(3), Layer)
    True
    """

    name: ClassVar[str]
    activation: Any = Identity()
    trainable: bool = True

    def _n_out(self, n_in: int) -> int:
        """Return the number of outputs."""
        return n_in

    def _shapes(self, n_in: int) -> dict[str, tuple[int, ...]]:
        """Return the shape of each parameter array, in their order."""
        return {}

    def _statistics(self, n_in: int) -> dict[str, tuple[int, ...]]:
        """Return those of what training changes, but not by a gradient."""
        return {}

    def _draw(self, n_in: int, generator: np.random.RandomState) -> dict[str, Any]:
        """Return the first values of each of these arrays."""
        return {}

    @abstractmethod
    def _in_core(self, activation: Any = None) -> _core.Layer:
        """Return the layer as the core takes it, maybe with another activation."""


@dataclass(frozen=True, eq=False, repr=False)
class Dense(Layer):
    """A fully connected layer: ``a = f(x W + b)`` (lecture 004, formulae).

    Parameters
    ----------
    n_out : int
        Number of units, at least 1.
    activation : str or Activation, default='identity'
        f: a name or an object of :mod:`fastbp.activations`.
    bias : bool, default=True
        Whether there is a b.
    initializer : str, Initializer or callable, default='glorot_uniform'
        How W begins: a name or an object of :mod:`fastbp.initializers`, or a function
        ``(fan_in, fan_out, rng)`` that returns an array (fan_in, fan_out), where rng is
        a ``numpy.random.RandomState``. b begins with zeros.
    weights : array-like of shape (n_in, n_out) or None, default=None
        W itself, in place of the initializer. It is copied.
    bias_values : array-like of shape (n_out,) or None, default=None
        b itself.
    trainable : bool, default=True
        False: training leaves W and b as they are. Their gradients are computed all
        the same.

    Raises
    ------
    ValueError
        If a value is not allowed, or two contradict each other.

    Notes
    -----
    The rows of W belong to the inputs and its columns to the units, as in
    scikit-learn's ``coefs_``: it is the transpose of the W of lecture 004. Lecture 003
    has the threshold as the weight of a constant input -1, which is ``-b``.

    Examples
    --------
    >>> from fastbp.layers import Dense
    >>> Dense(3, "tanh")
    Dense(3, Tanh())
    >>> Dense(1, "step", weights=[[1.0], [1.0]], bias_values=[-1.5])  # logical and
    Dense(1, Step(), weights=<array (2, 1)>, bias_values=<array (1,)>)
    """

    name = "dense"

    n_out: int
    activation: Any = "identity"  # after __post_init__ an Activation
    _: KW_ONLY
    bias: bool = True
    initializer: Any = "glorot_uniform"
    weights: Any = None
    bias_values: Any = None
    trainable: bool = True

    def __post_init__(self) -> None:
        self._set("n_out", check_size(self.n_out, "n_out of Dense"))
        self._set("activation", get_activation(self.activation))
        for name in ("bias", "trainable"):
            self._set(name, check_bool(getattr(self, name), f"{name} of Dense"))
        get_initializer(self.initializer)
        if self.weights is not None and self.initializer != "glorot_uniform":
            raise ValueError(
                f"weights of Dense are in place of the initializer, got both weights "
                f"and initializer={self.initializer!r}"
            )
        self._set("weights", _given(self.weights, "weights", 2, self.n_out))
        self._set("bias_values", _given(self.bias_values, "bias_values", 1, self.n_out))
        if self.bias_values is not None and not self.bias:
            raise ValueError("bias_values of Dense need bias=True, got False")

    def _set(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)

    def __repr__(self) -> str:
        shown = [str(self.n_out), repr(self.activation)]
        for field in fields(self)[2:]:
            value = getattr(self, field.name)
            if isinstance(value, np.ndarray):
                shown.append(f"{field.name}=<array {value.shape}>")
            elif value != field.default:
                shown.append(f"{field.name}={value!r}")
        return f"Dense({', '.join(shown)})"

    def _n_out(self, n_in: int) -> int:
        if self.weights is not None and len(self.weights) != n_in:
            raise ValueError(
                f"weights of {self!r} have {len(self.weights)} rows, but the layer has "
                f"{n_in} inputs"
            )
        return self.n_out

    def _shapes(self, n_in: int) -> dict[str, tuple[int, ...]]:
        shapes: dict[str, tuple[int, ...]] = {"weights": (n_in, self.n_out)}
        if self.bias:
            shapes["biases"] = (self.n_out,)
        return shapes

    def _draw(self, n_in: int, generator: np.random.RandomState) -> dict[str, Any]:
        weights = self.weights
        if weights is None:
            weights = drawn_weights(
                get_initializer(self.initializer),
                (n_in, self.n_out),
                generator,
                f"initializer of {self!r}",
            )
        values = {"weights": weights}
        if self.bias:
            zeros = np.zeros(self.n_out)
            values["biases"] = zeros if self.bias_values is None else self.bias_values
        return values

    def _in_core(self, activation: Any = None) -> _core.Layer:
        return _core.Layer.dense(
            self.n_out,
            activation or self.activation.name,
            negative_slope=self.activation.negative_slope,
            trains_weights=self.trainable,
            trains_biases=self.trainable and self.bias,
        )


@dataclass(frozen=True)
class Dropout(Layer):
    """Sets inputs to 0 at random in training; the others are divided by ``1 - rate``.

    A prediction passes it by (Srivastava et al., Dropout, JMLR 15, 2014, in the
    inverted form: the expectation is that of the input).

    Parameters
    ----------
    rate : float
        Probability of 0, in [0, 1); rounded to a multiple of 2**-16.

    Raises
    ------
    ValueError
        If the rate is not in [0, 1).

    Examples
    --------
    >>> from fastbp import Network
    >>> from fastbp.layers import Dense, Dropout
    >>> ones = Dense(4, weights=[[1.0] * 4])
    >>> sums = Dense(1, weights=[[1.0]] * 4)
    >>> network = Network([ones, Dropout(0.5), sums], n_in=1)
    >>> network.forward([[1.0]])
    array([[4.]])
    >>> network.forward([[1.0]] * 3, training=True, random_state=0).tolist()
    [[4.0], [6.0], [4.0]]
    """

    name = "dropout"

    rate: float

    def __post_init__(self) -> None:
        check_field(self, "rate", 0, 1, closed="left")

    def _in_core(self, activation: Any = None) -> _core.Layer:
        return _core.Layer.dropout(self.rate)


@dataclass(frozen=True, repr=False)
class _Norm(Layer):
    """What layer and batch normalization share: gain and bias of each unit."""

    activation: Any = "identity"  # after __post_init__ an Activation

    def __post_init__(self) -> None:
        object.__setattr__(self, "activation", get_activation(self.activation))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.activation!r})"

    def _shapes(self, n_in: int) -> dict[str, tuple[int, ...]]:
        return {"gain": (n_in,), "bias": (n_in,)}

    def _draw(self, n_in: int, generator: np.random.RandomState) -> dict[str, Any]:
        return {"gain": 1.0, "bias": 0.0}

    def _in_core(self, activation: Any = None) -> _core.Layer:
        make = getattr(_core.Layer, self.name)
        layer: _core.Layer = make(
            activation or self.activation.name,
            negative_slope=self.activation.negative_slope,
        )
        return layer


@dataclass(frozen=True, repr=False)
class LayerNorm(_Norm):
    """Brings each row to mean 0 and variance 1: ``f(gain * n + bias)``.

    Mean and variance are those over the inputs of the layer (Ba, Kiros and Hinton,
    Layer normalization, 2016, arXiv:1607.06450); 1e-5 is added to the variance.

    Parameters
    ----------
    activation : str or Activation, default='identity'
        f, applied last. A norm is usually put between a :class:`Dense` without
        activation and the activation.

    Raises
    ------
    ValueError
        If there is no such activation.

    Examples
    --------
    >>> from fastbp import Network
    >>> from fastbp.layers import Dense, LayerNorm
    >>> network = Network([Dense(8), LayerNorm("relu"), Dense(1)], n_in=3)
    >>> network.parameters["layer_norm_1.gain"]
    array([1., 1., 1., 1., 1., 1., 1., 1.])
    """

    name = "layer_norm"


@dataclass(frozen=True, repr=False)
class BatchNorm(_Norm):
    """Brings each input to mean 0 and variance 1: ``f(gain * n + bias)``.

    In training mean and variance are those over the rows of the batch, weighted as in
    the loss; in a prediction they are running averages of them, ``0.9 * former + 0.1 *
    new``, with the unbiased variance (Ioffe and Szegedy, Batch normalization, 2015,
    arXiv:1502.03167). 1e-5 is added to the variance. A batch of one row leaves the
    averages as they are.

    Parameters
    ----------
    activation : str or Activation, default='identity'
        f, applied last. A norm is usually put between a :class:`Dense` without
        activation and the activation.

    Raises
    ------
    ValueError
        If there is no such activation.

    Notes
    -----
    The running averages are in :attr:`fastbp.Network.statistics`.

    Examples
    --------
    >>> from fastbp import Network
    >>> from fastbp.layers import BatchNorm, Dense
    >>> network = Network([Dense(2), BatchNorm("relu"), Dense(1)], n_in=3)
    >>> sorted(network.statistics)
    ['batch_norm_1.mean', 'batch_norm_1.variance']
    """

    name = "batch_norm"

    def _statistics(self, n_in: int) -> dict[str, tuple[int, ...]]:
        return {"mean": (n_in,), "variance": (n_in,)}

    def _draw(self, n_in: int, generator: np.random.RandomState) -> dict[str, Any]:
        return {**super()._draw(n_in, generator), "mean": 0.0, "variance": 1.0}


def _given(values: Any, name: str, ndim: int, n_out: int) -> NDArray[Any] | None:
    """Return a read-only copy of given parameters, or None."""
    if values is None:
        return None
    try:
        array = np.array(values)
    except ValueError:  # ragged
        array = np.array(None)
    if array.dtype.kind not in "fiub":
        raise ValueError(f"{name} of Dense must be real numbers, got {values!r}")
    array = array.astype(np.float64)
    if array.ndim != ndim or array.shape[-1] != n_out or not np.isfinite(array).all():
        shape = f"(n_in, {n_out})" if ndim == 2 else f"({n_out},)"
        raise ValueError(
            f"{name} of Dense must be finite numbers of shape {shape}, got an array "
            f"of shape {array.shape}"
            + ("" if np.isfinite(array).all() else " with NaN or infinity")
        )
    array.flags.writeable = False
    return array


def check_trainable(layers: Any) -> None:
    """Refuse to send gradients through an activation that has none."""
    for i, layer in enumerate(layers):
        activation: Activation = layer.activation
        if not activation.is_trainable:
            raise ValueError(
                f"layer {i} has activation={activation.name!r}, whose derivative is 0 "
                "wherever it has one: it cannot be trained, only run forward"
            )


def drawn_seed(generator: np.random.RandomState) -> int:
    """Return a seed of 64 bits for the random numbers of dropout."""
    high, low = generator.randint(2**32, size=2, dtype=np.uint32)
    return int(high) << 32 | int(low)
