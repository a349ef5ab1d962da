"""Losses: small immutable objects with the parameters of a loss function.

An estimator takes such an object or a name, which stands for the default object. What
is minimised is the mean over the samples, with their weights, of the sum over the
outputs. The compiled core has the same formulas and their derivatives; the page on
losses in the documentation has a table of both, with sources.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import xlogy

from . import _core
from ._objects import check_field, object_of

__all__ = [
    "AbsoluteError",
    "Focal",
    "Gamma",
    "Huber",
    "KLDivergence",
    "LogCosh",
    "LogLoss",
    "Loss",
    "Poisson",
    "Quantile",
    "SquaredError",
    "SymmetricCrossEntropy",
    "get_loss",
]

# Of the sum of probabilities, which may be of a narrow type.
SUM_TOLERANCE = 1e-3

# Output activations that the core has at the end of a network, with the loss.
OUTPUTS = ("identity", "logistic", "tanh", "softplus", "exp", "softmax")
_ANY = OUTPUTS[:-1]
_POSITIVE = ("exp", "softplus")
_PROBABILITIES = ("softmax", "logistic")


class Loss(ABC):
    """Base of the losses, which are those of this module only.

    A loss of one's own is a function: see :class:`fastbp.MLPRegressor`.

    Examples
    --------
    >>> from fastbp.losses import Huber, Loss
    >>> isinstance(Huber(), Loss)
    True
    """

    _core_name: ClassVar[str]
    # Output activations that it goes with; the first is the natural one.
    _outputs: ClassVar[tuple[str, ...]] = _ANY

    @abstractmethod
    def per_output(self, y_true: Any, y_pred: Any) -> Any:
        """Return the loss of each output, of a loss of classes the part of each class.

        Parameters
        ----------
        y_true : ndarray of shape (n_samples, n_outputs)
            Targets; for a loss of classes their probabilities, zeros and a one for a
            known class.
        y_pred : ndarray of shape (n_samples, n_outputs)
            Outputs of the network, float32 or float64.

        Returns
        -------
        losses : ndarray of shape (n_samples, n_outputs)
            float32 if both arrays are float32, float64 if one of them is float64. But
            those of :class:`SymmetricCrossEntropy` always of the type of ``y_pred``.

        Raises
        ------
        ValueError
            If the shapes do not go together; of :class:`Quantile` also if ``n_outputs``
            is no multiple of the number of quantiles.
        """

    def _in_core(self, output: str, n_outputs: int, label_smoothing: float) -> Any:
        """Return the loss as the core takes it, behind the given output activation."""
        return _core.Loss(
            self._core_name,
            output,
            label_smoothing=label_smoothing,
            **self._core_options(n_outputs),
        )

    def _core_options(self, n_outputs: int) -> dict[str, Any]:
        return {}


class _OfClasses(Loss):
    """A loss of probabilities: a logistic output is that of two classes."""

    _outputs = _PROBABILITIES


def _clipped(p: Any) -> Any:
    """Hold probabilities where their logarithm is finite."""
    return np.maximum(p, np.finfo(p.dtype).eps)


def _held_positive(p: Any) -> Any:
    return np.maximum(p, np.finfo(p.dtype).tiny)


@dataclass(frozen=True)
class SquaredError(Loss):
    """Half the squared error, ``(y - p)**2 / 2`` (lectures 000, 002 and 004).

    Examples
    --------
    >>> import numpy as np
    >>> from fastbp.losses import SquaredError
    >>> SquaredError().per_output(np.array([[1.0, 2.0]]), np.array([[4.0, 2.0]]))
    array([[4.5, 0. ]])
    """

    _core_name = "squared_error"
    _outputs = OUTPUTS

    def per_output(self, y_true: Any, y_pred: Any) -> Any:
        return 0.5 * (y_true - y_pred) ** 2


@dataclass(frozen=True)
class AbsoluteError(Loss):
    """The absolute error, ``|y - p|``, least at the median.

    T. Hastie, R. Tibshirani and J. Friedman, "The elements of statistical learning",
    2nd edition, 2009, section 10.6.

    Examples
    --------
    >>> import numpy as np
    >>> from fastbp.losses import AbsoluteError
    >>> AbsoluteError().per_output(np.array([[1.0, 2.0]]), np.array([[4.0, 2.0]]))
    array([[3., 0.]])
    """

    _core_name = "absolute_error"

    def per_output(self, y_true: Any, y_pred: Any) -> Any:
        return np.abs(y_true - y_pred)


@dataclass(frozen=True)
class Huber(Loss):
    """Squared error of small errors, absolute error of large ones.

    ``(y - p)**2 / 2`` where ``|y - p| <= delta``, else ``delta * (|y - p| - delta/2)``:
    P. J. Huber, "Robust estimation of a location parameter", 1964.

    Parameters
    ----------
    delta : float, default=1.0
        Error at which the parabola becomes a line, > 0; in the unit of y.

    Raises
    ------
    ValueError
        If delta is not a finite number above 0.

    Examples
    --------
    >>> import numpy as np
    >>> from fastbp.losses import Huber
    >>> Huber(delta=1.0).per_output(np.array([[1.0, 2.0]]), np.array([[4.0, 2.5]]))
    array([[2.5  , 0.125]])
    """

    delta: float = 1.0
    _core_name = "huber"

    def __post_init__(self) -> None:
        check_field(self, "delta", 0, closed="neither")

    def per_output(self, y_true: Any, y_pred: Any) -> Any:
        size = np.abs(y_true - y_pred)
        small = np.minimum(size, self.delta)
        return small * (size - 0.5 * small)

    def _core_options(self, n_outputs: int) -> dict[str, Any]:
        return {"delta": float(self.delta)}


@dataclass(frozen=True)
class LogCosh(Loss):
    """``log(cosh(y - p))``, a smooth relative of Huber's loss.

    R. A. Saleh and A. K. Md. E. Saleh, "Statistical properties of the log-cosh loss
    function used in machine learning", 2022, arXiv:2208.04564.

    Examples
    --------
    >>> import numpy as np
    >>> from fastbp import MLPRegressor
    >>> from fastbp.losses import LogCosh
    >>> LogCosh().per_output(np.array([[1.0, 2.0]]), np.array([[4.0, 2.0]])).round(2)
    array([[2.31, 0.  ]])
    >>> X, y = [[0.0], [1.0], [2.0]], [1.0, 3.0, 5.0]
    >>> model = MLPRegressor("log_cosh", (), solver="lbfgs", alpha=0).fit(X, y)
    >>> model.predict([[3.0]]).round(2)
    array([7.])
    """

    _core_name = "log_cosh"

    def per_output(self, y_true: Any, y_pred: Any) -> Any:
        size = np.abs(y_true - y_pred)
        return size + np.log1p(np.exp(-2 * size)) - math.log(2)


@dataclass(frozen=True)
class Quantile(Loss):
    """The pinball loss, least at a quantile.

    ``q * (y - p)`` where y is larger, ``(1 - q) * (p - y)`` where p is: R. Koenker and
    G. Bassett, "Regression quantiles", 1978. Of several quantiles the outputs of a
    target are neighbours.

    Parameters
    ----------
    quantiles : float or sequence of float, default=0.5
        One or several numbers in (0, 1), increasing. A network with several has so many
        outputs for each target. They are kept as a tuple.

    Raises
    ------
    ValueError
        If they are not one or several increasing numbers in (0, 1).

    Examples
    --------
    >>> import numpy as np
    >>> from fastbp.losses import Quantile
    >>> two = Quantile([0.25, 0.75])
    >>> two.per_output(np.array([[4.0, 4.0]]), np.array([[0.0, 8.0]]))
    array([[1., 1.]])
    """

    quantiles: Any = 0.5
    _core_name = "quantile"

    def __post_init__(self) -> None:
        given = self.quantiles
        try:
            levels = tuple(
                map(float, given if isinstance(given, Iterable) else [given])
            )
        except (TypeError, ValueError):
            levels = ()
        is_increasing = all(a < b for a, b in zip(levels, levels[1:], strict=False))
        if not levels or not all(0 < q < 1 for q in levels) or not is_increasing:
            raise ValueError(
                "quantiles of Quantile must be one or several increasing numbers in "
                f"(0, 1), got {given!r}"
            )
        object.__setattr__(self, "quantiles", levels)

    def per_output(self, y_true: Any, y_pred: Any) -> Any:
        error = y_true - y_pred
        if np.ndim(error) != 2:
            raise ValueError(
                f"{self!r} needs y_true and y_pred of shape (n_rows, n_outputs), got "
                f"{np.shape(error)}"
            )
        levels = self._levels(error.shape[1]).astype(error.dtype)
        return np.maximum(levels * error, (levels - 1) * error)

    def _levels(self, n_outputs: int) -> NDArray[np.float64]:
        """Return the level of each output, (n_outputs,)."""
        if n_outputs % len(self.quantiles):
            raise ValueError(
                f"{self!r} needs {len(self.quantiles)} outputs for each target, got "
                f"{n_outputs} outputs"
            )
        return np.resize(np.asarray(self.quantiles), n_outputs)

    def _core_options(self, n_outputs: int) -> dict[str, Any]:
        return {"levels": self._levels(n_outputs).tolist()}


@dataclass(frozen=True)
class Poisson(Loss):
    """Half the Poisson deviance, ``y * log(y / p) - y + p``, for y >= 0.

    P. McCullagh and J. A. Nelder, "Generalized linear models", 2nd edition, 1989,
    section 2.3. For counts, and rates of them.

    Examples
    --------
    >>> import numpy as np
    >>> from fastbp import MLPRegressor
    >>> from fastbp.losses import Poisson
    >>> Poisson().per_output(np.array([[0.0, 2.0]]), np.array([[1.5, 2.0]]))
    array([[1.5, 0. ]])
    >>> X, y = [[0.0], [1.0], [2.0]], [1, 2, 4]
    >>> model = MLPRegressor("poisson", (), solver="lbfgs", alpha=0).fit(X, y)
    >>> model.predict([[3.0]]).round(2)
    array([8.])
    """

    _core_name = "poisson"
    _outputs = _POSITIVE

    def per_output(self, y_true: Any, y_pred: Any) -> Any:
        p = _held_positive(y_pred)
        return xlogy(y_true, y_true / p) - y_true + p


@dataclass(frozen=True)
class Gamma(Loss):
    """Half the gamma deviance, ``y / p - 1 - log(y / p)``, for y > 0.

    P. McCullagh and J. A. Nelder, "Generalized linear models", 2nd edition, 1989,
    section 2.3. The ratio of y and p counts, and not the unit of y.

    Examples
    --------
    >>> import numpy as np
    >>> from fastbp import MLPRegressor
    >>> from fastbp.losses import Gamma
    >>> Gamma().per_output(np.array([[2.0, 20.0]]), np.array([[4.0, 40.0]])).round(3)
    array([[0.193, 0.193]])
    >>> X, y = [[0.0], [1.0], [2.0]], [0.1, 0.2, 0.4]
    >>> model = MLPRegressor("gamma", (), solver="lbfgs", alpha=0).fit(X, y)
    >>> model.predict([[3.0]]).round(2)
    array([0.8])
    """

    _core_name = "gamma"
    _outputs = _POSITIVE

    def per_output(self, y_true: Any, y_pred: Any) -> Any:
        p = _held_positive(y_pred)
        return y_true / p - 1 - (np.log(y_true) - np.log(p))


@dataclass(frozen=True)
class LogLoss(_OfClasses):
    """The cross-entropy, ``-y * log(p)`` (lectures 000, 001 and 002).

    Parameters
    ----------
    label_smoothing : float, default=0.0
        In [0, 1): targets are mixed with so much of the uniform distribution over the
        classes (C. Szegedy et al., "Rethinking the inception architecture for computer
        vision", 2015, arXiv:1512.00567, section 7).

    Raises
    ------
    ValueError
        If label_smoothing is not in [0, 1).

    Examples
    --------
    >>> import numpy as np
    >>> from fastbp.losses import LogLoss
    >>> LogLoss().per_output(np.array([[0.0, 1.0]]), np.array([[0.5, 0.5]])).round(3)
    array([[0.   , 0.693]])
    """

    label_smoothing: float = 0.0

    def __post_init__(self) -> None:
        check_field(self, "label_smoothing", 0, 1, closed="left")

    def per_output(self, y_true: Any, y_pred: Any) -> Any:
        return -(y_true * np.log(_clipped(y_pred)))

    def _in_core(self, output: str, n_outputs: int, label_smoothing: float) -> Any:
        name = "binary_cross_entropy" if output == "logistic" else "cross_entropy"
        if output == "softmax" and label_smoothing == 0:
            name = "softmax_cross_entropy"
        return _core.Loss(name, output, label_smoothing=label_smoothing)


@dataclass(frozen=True)
class KLDivergence(_OfClasses):
    """The Kullback-Leibler divergence, ``y * log(y / p)`` (lecture 000, entropy).

    It is the cross-entropy less the entropy of the targets, which no weight changes;
    the classifier takes probabilities of the classes as y with it. S. Kullback and R.
    A. Leibler, "On information and sufficiency", 1951.

    Examples
    --------
    >>> import numpy as np
    >>> from fastbp import MLPClassifier
    >>> from fastbp.losses import KLDivergence
    >>> p = np.array([[0.75, 0.25], [0.5, 0.5], [0.25, 0.75]])
    >>> KLDivergence().per_output(p, p).sum()
    np.float64(0.0)
    >>> X = [[-1.0], [0.0], [1.0]]
    >>> model = MLPClassifier((), loss="kl_divergence", solver="lbfgs", alpha=0)
    >>> model.fit(X, p).predict_proba([[1.0]]).round(2)
    array([[0.25, 0.75]])
    """

    _core_name = "kl_divergence"

    def per_output(self, y_true: Any, y_pred: Any) -> Any:
        return xlogy(y_true, y_true) - y_true * np.log(_clipped(y_pred))


@dataclass(frozen=True)
class Focal(_OfClasses):
    """The focal loss, ``-y * (1 - p)**gamma * log(p)``, for hard examples.

    T.-Y. Lin et al., "Focal loss for dense object detection", 2017, arXiv:1708.02002;
    its class weights are ``class_weight``.

    Parameters
    ----------
    gamma : float, default=2.0
        How little easy examples count, >= 0; 0 is the cross-entropy.

    Raises
    ------
    ValueError
        If gamma is not a finite number of at least 0.

    Examples
    --------
    >>> import numpy as np
    >>> from fastbp import MLPClassifier
    >>> from fastbp.losses import Focal
    >>> Focal().per_output(np.array([[0.0, 1.0]]), np.array([[0.5, 0.5]])).round(3)
    array([[0.   , 0.173]])
    >>> X, y = [[0.0], [1.0], [2.0], [3.0]], ["low", "low", "high", "high"]
    >>> model = MLPClassifier((), loss="focal", solver="lbfgs").fit(X, y)
    >>> model.predict([[0.5], [2.5]]).tolist()
    ['low', 'high']
    """

    gamma: float = 2.0
    _core_name = "focal"

    def __post_init__(self) -> None:
        check_field(self, "gamma", 0)

    def per_output(self, y_true: Any, y_pred: Any) -> Any:
        log_p = np.log(_clipped(y_pred))
        return -(y_true * (1 - y_pred) ** self.gamma * log_p)

    def _core_options(self, n_outputs: int) -> dict[str, Any]:
        return {"gamma": float(self.gamma)}


@dataclass(frozen=True)
class SymmetricCrossEntropy(_OfClasses):
    """Cross-entropies both ways, ``-alpha * y * log(p) - beta * p * log(y)``.

    Lecture 000, "Training error", with both weights 1; there y has no zeros. Their
    logarithm is replaced by a constant, as by Y. Wang et al., "Symmetric cross entropy
    for robust learning with noisy labels", 2019, arXiv:1908.06112.

    Parameters
    ----------
    alpha, beta : float, default=1.0
        Weights of both parts, >= 0.
    log_zero : float, default=-4.0
        Least logarithm of a target, < 0.

    Raises
    ------
    ValueError
        If a parameter is not a finite number of its range.

    Examples
    --------
    >>> import numpy as np
    >>> from fastbp import MLPClassifier
    >>> from fastbp.losses import SymmetricCrossEntropy
    >>> loss = SymmetricCrossEntropy(alpha=0.5)
    >>> loss.per_output(np.array([[0.0, 1.0]]), np.array([[0.5, 0.5]])).round(3)
    array([[2.   , 0.347]])
    >>> X, y = [[0.0], [1.0], [2.0], [3.0]], ["low", "low", "high", "high"]
    >>> model = MLPClassifier((), loss=loss, solver="lbfgs").fit(X, y)
    >>> model.predict([[0.5], [2.5]]).tolist()
    ['low', 'high']
    """

    alpha: float = 1.0
    beta: float = 1.0
    log_zero: float = -4.0
    _core_name = "symmetric_cross_entropy"

    def __post_init__(self) -> None:
        check_field(self, "alpha", 0)
        check_field(self, "beta", 0)
        check_field(self, "log_zero", -np.inf)
        if self.log_zero >= 0:
            raise ValueError(
                "log_zero of SymmetricCrossEntropy must be below 0, got "
                f"{self.log_zero!r}"
            )

    def per_output(self, y_true: Any, y_pred: Any) -> Any:
        log_y = np.log(np.maximum(y_true, np.exp(self.log_zero)))
        losses: NDArray[Any] = -(
            self.alpha * y_true * np.log(_clipped(y_pred)) + self.beta * y_pred * log_y
        )
        return losses.astype(y_pred.dtype, copy=False)

    def _core_options(self, n_outputs: int) -> dict[str, Any]:
        names = ("alpha", "beta", "log_zero")
        return {name: float(getattr(self, name)) for name in names}


class CustomLoss(Loss):
    """A function of the user's, ``(y_true, y_pred) -> (losses, gradient)``."""

    _outputs = OUTPUTS
    _core_name = "linear"

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function

    def __repr__(self) -> str:
        return repr(self.function)

    def __call__(
        self, y_true: NDArray[Any], y_pred: NDArray[Any]
    ) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return losses (n_rows,) and gradient (n_rows, n_outputs), checked."""
        # Outputs that have diverged may make anything: the fit finds out.
        is_finite = bool(np.isfinite(y_pred).all())
        dtype, shape = y_pred.dtype, y_pred.shape
        result = self.function(y_true, y_pred)
        if not isinstance(result, tuple | list) or len(result) != 2:
            raise ValueError(
                f"loss={self!r} must return the pair (value per row, gradient), got "
                f"{result!r:.60}"
            )
        checked = []
        for what, part, wanted in zip(
            ("value per row", "gradient"), result, (shape[:1], shape), strict=True
        ):
            array = np.asarray(part)
            if array.shape != wanted or array.dtype.kind not in "fiub":
                raise ValueError(
                    f"loss={self!r} must return a {what} of shape {wanted}, got "
                    f"{array.dtype} of shape {array.shape}"
                )
            with np.errstate(over="ignore"):
                array = np.require(array, dtype, ["C", "A"])
            if is_finite and not np.isfinite(array).all():
                raise ValueError(
                    f"loss={self!r} must return finite numbers for finite y_pred, got "
                    f"NaN or infinity in the {what}"
                )
            checked.append(array)
        return checked[0], checked[1]

    def per_output(self, y_true: Any, y_pred: Any) -> Any:
        """Return the loss of each row, (n_rows, 1): its parts are not known."""
        return self(y_true.astype(y_pred.dtype), y_pred.copy())[0][:, np.newaxis]


REGRESSION_LOSSES: dict[str, type[Loss]] = {
    "squared_error": SquaredError,
    "absolute_error": AbsoluteError,
    "huber": Huber,
    "log_cosh": LogCosh,
    "quantile": Quantile,
    "poisson": Poisson,
    "gamma": Gamma,
}
CLASSIFICATION_LOSSES: dict[str, type[Loss]] = {
    "log_loss": LogLoss,
    "squared_error": SquaredError,
    "focal": Focal,
    "symmetric_cross_entropy": SymmetricCrossEntropy,
    "kl_divergence": KLDivergence,
}


def check_range(loss: Loss, y: NDArray[Any], name: str) -> None:
    """Raise ValueError if y holds numbers for which the loss is not; NaN may be."""
    if isinstance(loss, Poisson) and (y < 0).any():
        raise ValueError(
            f"{name} must not be negative for {loss!r}, got {np.nanmin(y)}"
        )
    if isinstance(loss, Gamma) and (y <= 0).any():
        raise ValueError(f"{name} must be positive for {loss!r}, got {np.nanmin(y)}")


def get_loss(loss: str | Loss) -> Loss:
    """Return the loss, or the default one of that name.

    Parameters
    ----------
    loss : str or Loss
        'squared_error', 'absolute_error', 'huber', 'log_cosh', 'quantile', 'poisson',
        'gamma', 'log_loss', 'focal', 'symmetric_cross_entropy', 'kl_divergence', or an
        object.

    Returns
    -------
    loss : Loss

    Raises
    ------
    ValueError
        If the name is not known, or it is something else.

    Examples
    --------
    >>> from fastbp.losses import get_loss
    >>> get_loss("huber")
    Huber(delta=1.0)
    """
    known = REGRESSION_LOSSES | CLASSIFICATION_LOSSES
    return object_of(Loss, loss, known, "losses")


def loss_of(loss: Any, allowed: dict[str, type[Loss]], *, estimator: str) -> Loss:
    """Return the loss, of those in ``allowed`` or a function, for an estimator."""
    if isinstance(loss, Loss | str):
        found = get_loss(loss)
        if type(found) in allowed.values():
            return found
    elif callable(loss) and not isinstance(loss, type):
        return CustomLoss(loss)
    kinds = ", ".join(kind.__name__ for kind in allowed.values())
    raise ValueError(
        f"loss of {estimator} must be one of {', '.join(allowed)}, an object of "
        f"{kinds} (fastbp.losses), or a function (y_true, y_pred) -> (value per row, "
        f"gradient), got {loss!r}"
    )
