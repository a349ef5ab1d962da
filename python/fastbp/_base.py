"""What the estimators share: parameters, fitting, the outputs of the network."""

from __future__ import annotations

import copy
import operator
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.base import BaseEstimator
from sklearn.metrics import get_scorer_names
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from . import _core
from ._blas import one_blas_thread
from ._compat import CallbackSupportMixin, Interval, Options, StrOptions
from ._config import configured_blas
from ._data import Samples, check_weights, check_X, mean_inputs, row_parts, rows_of
from ._lbfgs import Packing, fit_lbfgs, pack
from ._optimizer import STOCHASTIC_SOLVERS, OptimizerState
from ._refusals import refuse_contradictions
from ._stack import dropout_rates, fitted_normalization, initial_norms, stack
from ._stochastic import fit_stochastic
from ._tasks import FitTask, begin_context
from ._threads import effective_n_threads
from ._validation import given_samples
from .schedules import SCHEDULES, Schedule

__all__ = ["BaseMLP"]

ACTIVATIONS = (
    "identity",
    "logistic",
    "tanh",
    "relu",
    "leaky_relu",
    "elu",
    "selu",
    "hard_tanh",
    "gelu",
    "silu",
    "mish",
    "softplus",
)

_DRAWN_AT_ONCE = 2**20  # random numbers, a few milliseconds

# Few rows: less work than the packing of the weights, and within the milliseconds for
# which Ctrl-C and other Python threads can wait.
_FEW_ROWS = 32
_FEW_PRODUCTS = 2**26


class BaseMLP(CallbackSupportMixin, BaseEstimator, ABC):
    """Base of the estimators: a multilayer perceptron with one loss at its end."""

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "hidden_layer_sizes": [
            "array-like",
            Interval(Integral, 1, None, closed="left"),
        ],
        "activation": [StrOptions(set(ACTIVATIONS)), list, tuple],
        "solver": [StrOptions({"lbfgs", *STOCHASTIC_SOLVERS})],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "batch_size": [
            StrOptions({"auto"}),
            Interval(Integral, 1, None, closed="left"),
        ],
        "learning_rate": [StrOptions({"constant", "invscaling", "adaptive"})],
        "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
        "power_t": [Interval(Real, 0, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "shuffle": ["boolean"],
        "random_state": ["random_state"],
        "tol": [Interval(Real, 0, None, closed="left")],
        "verbose": ["verbose", StrOptions({"progress"})],
        "warm_start": ["boolean"],
        "momentum": [Interval(Real, 0, 1, closed="both")],
        "nesterovs_momentum": ["boolean"],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="left")],
        "beta_1": [Interval(Real, 0, 1, closed="left")],
        "beta_2": [Interval(Real, 0, 1, closed="left")],
        "epsilon": [Interval(Real, 0, None, closed="neither")],
        "n_iter_no_change": [
            Interval(Integral, 1, None, closed="left"),
            Options(Real, {np.inf}),
        ],
        "max_fun": [Interval(Integral, 1, None, closed="left")],
        "n_jobs": [
            Interval(Integral, 1, None, closed="left"),
            Interval(Integral, None, -1, closed="right"),
            None,
        ],
        "dtype": [StrOptions({"auto", "float32", "float64"})],
        "weight_decay": [Interval(Real, 0, None, closed="left"), None],
        "l1": [Interval(Real, 0, None, closed="left")],
        "max_norm": [Interval(Real, 0, None, closed="neither"), None],
        "clip_norm": [Interval(Real, 0, None, closed="neither"), None],
        "lr_schedule": [StrOptions(set(SCHEDULES)), Schedule, None],
        "warmup": [Interval(Real, 0, None, closed="left")],
        "scoring": [StrOptions({*get_scorer_names(), "loss"}), callable, None],
        "restore_best": ["boolean", None],
        "max_time": [Interval(Real, 0, None, closed="neither"), None],
        "callbacks": [list, tuple, None],
        "dropout": [Interval(Real, 0, 1, closed="left"), list, tuple],
        "input_dropout": [Interval(Real, 0, 1, closed="left")],
        "normalization": [StrOptions({"layer", "batch"}), None],
    }

    activation: str | Sequence[str]

    # Parameters that the modules of the solvers read.
    solver: str
    alpha: float
    batch_size: Any
    learning_rate: str
    learning_rate_init: float
    power_t: float
    max_iter: int
    max_fun: int
    shuffle: bool
    tol: float
    verbose: bool | int | str
    momentum: float
    nesterovs_momentum: bool
    early_stopping: bool
    validation_fraction: float
    beta_1: float
    beta_2: float
    epsilon: float
    n_iter_no_change: float
    weight_decay: float | None
    l1: float
    max_norm: float | None
    clip_norm: float | None
    lr_schedule: str | Schedule | None
    warmup: float
    scoring: Any
    restore_best: bool | None
    max_time: float | None
    callbacks: list[Any] | tuple[Any, ...] | None
    dropout: float | Sequence[float]
    input_dropout: float
    normalization: str | None

    # What fitting sets.
    coefs_: list[Any]
    intercepts_: list[Any]
    norms_: list[dict[str, Any]]
    n_iter_: int
    t_: int
    n_layers_: int
    n_outputs_: int
    out_activation_: str
    loss_: float
    loss_curve_: list[float]
    best_loss_: Any
    validation_scores_: Any
    best_validation_score_: Any
    validation_loss_curve_: Any
    _optimizer: OptimizerState
    _random_state: np.random.RandomState
    _no_improvement_count: int
    _order: NDArray[np.int64]
    _scored: tuple[Any, bool]
    _is_resumable: bool

    @abstractmethod
    def __init__(self, **parameters: Any) -> None:
        for name, value in parameters.items():
            setattr(self, name, value)

    # What classifier and regressor differ in.

    @abstractmethod
    def _validate(
        self, X: Any, y: Any, *, incremental: bool, reset: bool
    ) -> tuple[Any, Any]:
        """Return X and y after scikit-learn's checks; a classifier sets its classes."""

    @abstractmethod
    def _validate_held_out(self, X: Any, y: Any) -> tuple[Any, Any]:
        """Return X and y of a validation set after the checks."""

    @abstractmethod
    def _encode(self, y: Any, dtype: Any) -> NDArray[Any]:
        """Return y as the core wants it and set ``n_outputs_``."""

    @abstractmethod
    def _decode(self, y: NDArray[Any]) -> NDArray[Any]:
        """Return the y that ``_encode`` has made this of."""

    @abstractmethod
    def _output_activation(self) -> str:
        """Return the name for ``out_activation_``."""

    @abstractmethod
    def _core_loss(self) -> Any:
        """Return the core's name of the loss."""

    @abstractmethod
    def _output_score(self, outputs: NDArray[Any], validation: Samples) -> float:
        """Return the score that early stopping watches."""

    @abstractmethod
    def _output_losses(self, outputs: NDArray[Any], y: NDArray[Any]) -> NDArray[Any]:
        """Return the loss of each row, (n_rows,); ``y`` is encoded."""

    def _class_weighted(self, weights: Any, y: Any, *, incremental: bool) -> Any:
        """Return the weights of the samples times those of their classes."""
        return weights

    # Fitting.

    def _fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        validation: tuple[Any, Any, Any],
        *,
        incremental: bool = False,
    ) -> Any:
        if not incremental:
            begin_context(self)
        with self._unchanged_if_it_fails():
            interrupt = self._fit_checked(X, y, sample_weight, validation, incremental)
        if interrupt is not None:
            raise interrupt
        return self

    @contextmanager
    def _unchanged_if_it_fails(self) -> Iterator[None]:
        """Put everything back on an error, a RandomState parameter included."""
        before = dict(self.__dict__)
        generator = self.random_state
        stream = generator.get_state() if hasattr(generator, "get_state") else None
        try:
            yield
        except BaseException:
            self.__dict__ = before  # at once: another Ctrl-C may come
            if stream is not None:
                generator.set_state(stream)
            raise

    def _fit_checked(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        validation: tuple[Any, Any, Any],
        incremental: bool,
    ) -> KeyboardInterrupt | None:
        refuse_contradictions(
            self,
            incremental=incremental,
            is_validated=any(part is not None for part in validation),
        )
        hidden_layer_sizes = self._hidden_layer_sizes()
        self._hidden_activations(len(hidden_layer_sizes))
        dropout_rates(self, len(hidden_layer_sizes))
        first_pass = not hasattr(self, "coefs_") or (
            not self.warm_start and not incremental
        )
        X, y = self._validate(X, y, incremental=incremental, reset=first_pass)
        weights = check_weights(sample_weight, X)
        weights = self._class_weighted(weights, y, incremental=incremental)
        dtype = self._training_dtype(X, first_pass)
        solver_dtype = np.dtype(np.float64) if self.solver == "lbfgs" else dtype
        y = self._encode(y, solver_dtype)
        held_out = given_samples(self, *validation, solver_dtype)
        self._continue_random_stream(incremental and not first_pass)
        n_units = [X.shape[1], *hidden_layer_sizes, self.n_outputs_]
        if first_pass:
            self._initialize(n_units, dtype)
        else:
            self._continue(n_units, dtype)
        self._is_resumable = bool(incremental or self.warm_start)
        samples = Samples(X, y, weights)
        network = self._network(solver_dtype)
        if self.solver != "lbfgs":
            return fit_stochastic(
                self, network, samples, held_out, incremental=incremental
            )
        task = FitTask(self, lambda: samples)
        task.begins()
        interrupt = fit_lbfgs(self, network, samples)
        task.ends()
        return interrupt

    def _hidden_layer_sizes(self) -> list[int]:
        sizes = self.hidden_layer_sizes
        sizes = list(sizes) if hasattr(sizes, "__iter__") else [sizes]
        try:
            numbers = [operator.index(n) for n in sizes]
        except TypeError:
            raise ValueError(
                f"hidden_layer_sizes must be integers, got {sizes}."
            ) from None
        if any(n <= 0 for n in numbers):
            raise ValueError(f"hidden_layer_sizes must be > 0, got {sizes}.")
        return numbers

    def _hidden_activations(self, n_hidden: int) -> Any:
        """Return ``activation`` as the core takes it: a name, or one for each layer."""
        names = self.activation
        if not isinstance(names, list | tuple):
            return names
        for i, name in enumerate(names):
            if not isinstance(name, str) or name not in ACTIVATIONS:
                raise ValueError(
                    f"activation[{i}] must be one of {', '.join(ACTIVATIONS)}, got "
                    f"{name!r}."
                )
        if len(names) != n_hidden:
            raise ValueError(
                f"activation must be one name, or one for each of the {n_hidden} "
                f"hidden layers, got {len(names)}: {names!r}."
            )
        return list(names)

    def _training_dtype(self, X: Any, first_pass: bool) -> np.dtype[Any]:
        if self.dtype != "auto":
            return np.dtype(self.dtype)
        if not first_pass:
            return self._parameter_dtype()
        return np.dtype(np.float32 if X.dtype == np.float32 else np.float64)

    def _continue_random_stream(self, is_continued: bool) -> None:
        """Set ``_random_state``; calls of partial_fit go on in one stream."""
        if is_continued and isinstance(self.random_state, Integral):
            if hasattr(self, "_random_state"):
                self._random_state = copy.deepcopy(self._random_state)
                return
        self._random_state = check_random_state(self.random_state)

    def _initialize(self, n_units: list[int], dtype: np.dtype[Any]) -> None:
        """Draw the initial weights and set all attributes for a first pass."""
        for name in ("_optimizer", "_order", "loss_curve_", "validation_scores_"):
            self.__dict__.pop(name, None)
        for name in ("best_loss_", "best_validation_score_", "loss_"):
            self.__dict__.pop(name, None)
        for name in ("validation_loss_curve_", "norms_"):
            self.__dict__.pop(name, None)
        self.n_iter_ = 0
        self.t_ = 0
        self.n_layers_ = len(n_units)
        self.out_activation_ = self._output_activation()
        self.coefs_, self.intercepts_ = [], []
        for layer, (fan_in, fan_out) in enumerate(pairwise(n_units)):
            activation = self._activation_for(layer)
            coef, intercept = self._draw(fan_in, fan_out, activation, dtype)
            self.coefs_.append(coef)
            self.intercepts_.append(intercept)
        if self.normalization is not None:
            self.norms_ = initial_norms(self, n_units[1:-1], dtype)
        if self.solver not in STOCHASTIC_SOLVERS:
            return
        self.loss_curve_ = []
        self._no_improvement_count = 0
        self.best_loss_ = None if self.early_stopping else np.inf
        self.validation_scores_ = [] if self.early_stopping else None
        self.best_validation_score_ = -np.inf if self.early_stopping else None
        self.validation_loss_curve_ = [] if self.early_stopping else None

    def _activation_for(self, layer: int) -> str | None:
        """Return the activation by which a layer's initial weights are drawn.

        That is the one that follows the layer. The output layer takes that of the last
        hidden layer, so that a list of equal names is the same as the name.
        """
        names = self.activation
        if isinstance(names, str):
            return names
        return names[min(layer, len(names) - 1)] if names else None

    def _draw(
        self, fan_in: int, fan_out: int, activation: str | None, dtype: np.dtype[Any]
    ) -> tuple[NDArray[Any], NDArray[Any]]:
        """Draw uniformly within the bound of Glorot and Bengio (2010), section 4.2.1.

        The bound is that of scikit-learn: sqrt(6 / (fan_in + fan_out)), with 2 in place
        of 6 for the logistic activation, for weights and biases alike.
        """
        factor = 2.0 if activation == "logistic" else 6.0
        bound = np.sqrt(factor / (fan_in + fan_out))
        coef, intercept = np.empty((fan_in, fan_out), dtype), np.empty(fan_out, dtype)
        for array in (coef.ravel(), intercept):
            # In pieces, so that Ctrl-C need not wait for the last.
            for first in range(0, array.size, _DRAWN_AT_ONCE):
                piece = array[first : first + _DRAWN_AT_ONCE]
                piece[:] = self._random_state.uniform(-bound, bound, piece.size)
        return coef, intercept

    def _continue(self, n_units: list[int], dtype: np.dtype[Any]) -> None:
        """Prepare to train on from the weights that are there."""
        shapes = [np.shape(coef) for coef in self.coefs_]
        if shapes != list(pairwise(n_units)):
            raise ValueError(
                f"cannot continue training: coefs_ have shapes {shapes}, but X, y and "
                f"hidden_layer_sizes ask for layers of {n_units} units"
            )
        has = fitted_normalization(self)
        if len(n_units) > 2 and has != self.normalization:
            raise ValueError(
                f"cannot continue training with normalization={self.normalization!r}: "
                f"the model has normalization={has!r}"
            )
        self._set_parameters(self._parameters(dtype))
        # They are about to be changed, and a failing call must find the old ones.
        curves = ("loss_curve_", "validation_scores_", "validation_loss_curve_")
        for name in (*curves, "_optimizer"):
            if hasattr(self, name):
                setattr(self, name, copy.copy(getattr(self, name)))
        if self.solver in STOCHASTIC_SOLVERS:
            self._complete_history()

    def _complete_history(self) -> None:
        """Make up for what a former solver or another early_stopping left out."""
        self.__dict__.setdefault("loss_curve_", [])
        self.__dict__.setdefault("_no_improvement_count", 0)
        if self.early_stopping:
            if getattr(self, "validation_scores_", None) is None:
                self.validation_scores_ = []
                self.best_validation_score_ = -np.inf
        elif getattr(self, "best_loss_", None) is None:
            self.best_loss_ = np.inf

    # The network.

    def _n_threads(self) -> int:
        return effective_n_threads(self.n_jobs)[0]

    def _network(self, dtype: np.dtype[Any]) -> _core.Network:
        """Return the core's network with the estimator's weights."""
        parameters = self._parameters(dtype)
        coefs, intercepts = parameters[:2]
        n_units = [len(coefs[0]), *(len(b) for b in intercepts)]
        name: Any = dtype.name
        network = _core.Network(
            stack(self, n_units),
            self._core_loss(),
            name,
            n_in=n_units[0],
            blas=configured_blas(),
        )
        n_threads = self._n_threads() if _are_large(coefs) else 1
        network.set_parameters(*parameters, n_threads=n_threads)
        return network

    def _set_parameters(self, parameters: Sequence[Any]) -> None:
        """Set the fitted weights from what the core gives."""
        self.coefs_, self.intercepts_ = parameters[:2]
        if len(parameters) > 2:
            self.norms_ = parameters[2]

    def _parameters(self, dtype: np.dtype[Any]) -> tuple[list[Any], ...]:
        """Return ``coefs_``, ``intercepts_`` and ``norms_``, if there are any.

        They are checked: users may write them.
        """
        lists: list[list[Any]] = []
        for name, ndim in (("coefs_", 2), ("intercepts_", 1)):
            arrays = getattr(self, name)
            if not isinstance(arrays, list | tuple) or len(arrays) == 0:
                raise ValueError(f"{name} must be a list of arrays, got {arrays!r:.60}")
            for i, array in enumerate(map(np.asarray, arrays)):
                if array.ndim != ndim or array.dtype.kind not in "fiu":
                    raise ValueError(
                        f"{name}[{i}] must be an array of numbers with {ndim} "
                        f"dimension(s), got {array.dtype} of shape {array.shape}"
                    )
            lists.append([_as_required(a, dtype) for a in arrays])
        if getattr(self, "norms_", None):
            lists.append(
                [
                    {name: _as_required(a, dtype) for name, a in norm.items()}
                    for norm in self.norms_
                ]
            )
        return tuple(lists)

    def _parameter_dtype(self) -> np.dtype[Any]:
        """Return the type of the weights: float32 if they are, else float64."""
        arrays = self.coefs_ if isinstance(self.coefs_, list | tuple) else []
        dtypes = [np.asarray(a).dtype.newbyteorder("=") for a in arrays[:1]]
        return np.dtype(np.float32 if dtypes == [np.float32] else np.float64)

    def _outputs(self, X: Any, *, raw: bool = False) -> NDArray[Any]:
        """Return the network's outputs, or pre-activations, (n_samples, n_outputs_)."""
        if not hasattr(self, "coefs_"):
            check_is_fitted(self)
        X = check_X(self, X)
        dtype = self._parameter_dtype()
        if self.dtype == "auto" and X.dtype != np.float32:
            dtype = np.dtype(np.float64)
        coefs, intercepts, *norms = self._parameters(dtype)
        if not norms and self._is_few(X, coefs):
            outputs: NDArray[Any] = _core.predict_few(
                coefs,
                intercepts,
                _core.Rows.dense(X),
                self._hidden_activations(len(coefs) - 1),
                self._core_loss(),
                raw=raw,
            )
            return outputs
        return self._predict_rows(self._network(dtype), X, raw=raw)

    def _is_few(self, X: Any, coefs: list[Any]) -> bool:
        """Tell whether a network would take longer to build than to predict X."""
        if sparse.issparse(X) or X.shape[0] > _FEW_ROWS or configured_blas():
            return False
        n_weights = sum(coef.size for coef in coefs)
        return bool(X.shape[0] * n_weights <= _FEW_PRODUCTS)

    def _predict_rows(
        self, network: _core.Network, X: Any, *, raw: bool = False
    ) -> NDArray[Any]:
        n_rows, n_inputs = X.shape[0], mean_inputs(X)
        n_threads = _core.threads_for(
            network, n_rows, 2, n_inputs=n_inputs, training=False
        )
        if n_threads > 1:  # only then ask how many there are: the answer takes a while
            n_threads = _core.threads_for(
                network, n_rows, self._n_threads(), n_inputs=n_inputs, training=False
            )
        with one_blas_thread(network):
            parts = [
                network.predict(rows, raw=raw, n_threads=n_threads)
                for rows in row_parts(X)
            ]
        outputs: NDArray[Any] = parts[0] if len(parts) == 1 else np.concatenate(parts)
        return outputs

    def _loss_grad_lbfgs(
        self,
        packed_coef_inter: Any,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *_buffers: Any,
    ) -> tuple[float, NDArray[Any]]:
        """Return loss and gradient, packed as scikit-learn's method packs them.

        ``y`` is the label-binarized target; the buffers that scikit-learn passes are
        not needed.
        """
        n_units = [X.shape[1], *(len(b) for b in self.intercepts_)]
        loss = self._core_loss()
        network = _core.Network(
            n_units,
            self._hidden_activations(len(n_units) - 2),
            loss,
            "float64",
            blas=configured_blas(),
        )
        theta = np.ascontiguousarray(packed_coef_inter, dtype=np.float64)
        network.set_parameters(*Packing(n_units).unpack(theta))
        if loss == "softmax_cross_entropy":
            y = np.argmax(y, axis=1)
        else:
            y = np.require(y, np.float64, ["C", "A"]).reshape(len(y), -1)
        with one_blas_thread(network):
            value, coef_grads, intercept_grads = network.loss_and_gradients(
                rows_of(X), y, sample_weight, alpha=self.alpha
            )
        return value, pack(coef_grads + intercept_grads)

    # Scikit-learn's protocols.

    def _has_partial_fit(self) -> bool:
        if self.solver not in STOCHASTIC_SOLVERS:
            raise AttributeError(
                "partial_fit is only available for stochastic"
                f" optimizers. {self.solver} is not stochastic."
            )
        return True

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def __getstate__(self) -> dict[str, Any]:
        """Return what prediction needs, and training if it is to go on."""
        state = dict(super().__getstate__())
        if not state.get("_is_resumable"):
            for name in ("_optimizer", "_random_state"):
                state.pop(name, None)
        state["_fastbp_version"] = _core.__version__
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        state = dict(state)
        state.pop("_fastbp_version", None)
        super().__setstate__(state)


def _are_large(coefs: list[Any]) -> bool:
    """Tell whether there is enough to copy for more than one thread."""
    return bool(sum(coef.size for coef in coefs) > 2**20)


def _as_required(array: Any, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return the array as the core reads it, most often itself."""
    if type(array) is np.ndarray and array.dtype == dtype and array.flags.carray:
        return array
    return np.require(array, dtype, ["C", "A"])
