"""What the estimators share: parameters and fitting."""

from __future__ import annotations

import copy
import operator
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn import get_config
from sklearn.metrics import get_scorer_names
from sklearn.utils import check_random_state

from . import _core, activations
from ._compat import CallbackSupportMixin, Interval, Options, StrOptions
from ._data import Samples, check_weights, weights_in
from ._hidden_layers import (
    dropout_rates,
    fitted_normalization,
    initial_norms,
    norm_arrays,
    with_statistics,
)
from ._initial import initial_parameters
from ._inspection import InputGradients
from ._lbfgs import fit_lbfgs, packed_loss_and_gradient
from ._optimizer import OptimizerState, solver_name
from ._parameters import RememberedParameters
from ._refusals import refuse_contradictions
from ._stochastic import fit_stochastic
from ._tasks import FitTask, begin_context
from ._transform import HiddenFeatures
from ._validation import given_samples
from .activations import Activation
from .initializers import INITIALIZERS
from .optimizers import OPTIMIZERS, Optimizer
from .schedules import SCHEDULES, Schedule

__all__ = ["BaseMLP"]

# Those of hidden layers, by name.
ACTIVATIONS = {
    name: kind
    for name, kind in activations.ACTIVATIONS.items()
    if kind.is_trainable and not kind.is_only_last
}


# What a first pass does without, until it has it.
_OF_A_FIT = (
    "_optimizer",
    "_order",
    "best_loss_",
    "best_validation_score_",
    "loss_",
    "loss_curve_",
    "norms_",
    "validation_loss_curve_",
    "validation_scores_",
)


class BaseMLP(
    CallbackSupportMixin, HiddenFeatures, InputGradients, RememberedParameters
):
    """Base of the estimators: a multilayer perceptron with one loss at its end."""

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "hidden_layer_sizes": [
            "array-like",
            Interval(Integral, 1, None, closed="left"),
        ],
        "activation": [StrOptions(set(ACTIVATIONS)), Activation, list, tuple],
        "solver": [StrOptions({"lbfgs", *OPTIMIZERS}), Optimizer],
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
        "weight_init": [StrOptions(set(INITIALIZERS)), callable, list, tuple, None],
        "ema": [Interval(Real, 0, 1, closed="neither"), None],
        "grad_tol": [Interval(Real, 0, None, closed="neither"), None],
        "dropout": [Interval(Real, 0, 1, closed="left"), list, tuple],
        "input_dropout": [Interval(Real, 0, 1, closed="left")],
        "normalization": [StrOptions({"layer", "batch"}), None],
    }

    activation: str | Activation | Sequence[str | Activation]

    # Parameters that the modules of the solvers read.
    solver: str | Optimizer
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
    weight_init: Any
    ema: float | None
    grad_tol: float | None
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
    def _output_score(self, outputs: NDArray[Any], validation: Samples) -> float:
        """Return the score that early stopping watches."""

    def _output_loss(self, outputs: NDArray[Any], samples: Samples) -> float:
        """Return the mean loss of the samples, which is NaN or infinite if one is."""
        return self._objective(outputs.shape[1]).mean(samples, outputs)

    def _check_weights(self, sample_weight: Any, X: Any, y: Any) -> Any:
        """Return the weights of the samples, or of the entries of y, checked."""
        return check_weights(sample_weight, X)

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
        if incremental and not get_config()["skip_parameter_validation"]:
            self._validate_params()  # scikit-learn does in the first call only
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
        weights = self._check_weights(sample_weight, X, y)
        weights = self._class_weighted(weights, y, incremental=incremental)
        dtype = self._training_dtype(X, first_pass)
        solver_dtype = np.dtype(np.float64) if self.solver == "lbfgs" else dtype
        weights = weights_in(solver_dtype, weights)
        y = self._encode(y, solver_dtype)
        held_out = given_samples(self, *validation, solver_dtype)
        self._continue_random_stream(incremental and not first_pass)
        n_units = [X.shape[1], *hidden_layer_sizes, self.n_outputs_]
        if first_pass:
            self._initialize(n_units, dtype)
        else:
            self._continue(n_units, dtype)
        self._is_resumable = bool(incremental or self.warm_start)
        self._keep_rows(X)
        samples = Samples(X, y, weights)
        objective = self._objective(self.n_outputs_)
        network = self._network(solver_dtype, objective.in_core(), training=True)
        if self.solver != "lbfgs":
            return fit_stochastic(
                self, network, samples, held_out, incremental=incremental
            )
        task = FitTask(self, lambda: samples)
        task.begins()
        interrupt = fit_lbfgs(self, network, samples)
        try:
            task.ends()
        except KeyboardInterrupt as late:
            return late
        return interrupt

    def _hidden_layer_sizes(self) -> list[int]:
        sizes = self.hidden_layer_sizes
        try:
            sizes = list(sizes) if hasattr(sizes, "__iter__") else [sizes]
            numbers = [operator.index(n) for n in sizes]
        except TypeError:
            raise ValueError(
                f"hidden_layer_sizes must be integers, got {sizes}."
            ) from None
        if any(n <= 0 for n in numbers):
            raise ValueError(f"hidden_layer_sizes must be > 0, got {sizes}.")
        return numbers

    def _hidden_activations(self, n_hidden: int) -> Any:
        """Return ``activation`` as the core takes it: one, or one for each layer."""
        given = self.activation
        if not isinstance(given, list | tuple):
            return _core_activation(given, "activation")
        activations = [
            _core_activation(one, f"activation[{i}]") for i, one in enumerate(given)
        ]
        if len(given) != n_hidden:
            raise ValueError(
                f"activation must be one name, or one for each of the {n_hidden} "
                f"hidden layers, got {len(given)}: {given!r}."
            )
        return activations

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
        for name in _OF_A_FIT:
            self.__dict__.pop(name, None)
        self.n_iter_ = 0
        self.t_ = 0
        self.n_layers_ = len(n_units)
        self.out_activation_ = self._output_activation()
        self.coefs_, self.intercepts_ = initial_parameters(self, n_units, dtype)
        if self.normalization is not None:
            self.norms_ = initial_norms(self, n_units[1:-1], dtype)
        if self.solver == "lbfgs":
            return
        self.loss_curve_ = []
        self._no_improvement_count = 0
        self.best_loss_ = None if self.early_stopping else np.inf
        self.validation_scores_ = [] if self.early_stopping else None
        self.best_validation_score_ = -np.inf if self.early_stopping else None
        self.validation_loss_curve_ = [] if self.early_stopping else None

    def _continue(self, n_units: list[int], dtype: np.dtype[Any]) -> None:
        """Prepare to train on from the weights that are there."""
        shapes = [np.shape(coef) for coef in self.coefs_]
        if shapes != list(pairwise(n_units)):
            raise ValueError(
                f"cannot continue training: coefs_ have shapes {shapes}, but X, y and "
                f"hidden_layer_sizes ask for layers of {n_units} units"
            )
        has = fitted_normalization(self)
        if has != self.normalization:
            raise ValueError(
                f"cannot continue training with normalization={self.normalization!r}: "
                f"the model has normalization={has!r}"
            )
        self.out_activation_ = self._output_activation()
        parameters = self._parameters(dtype)  # checked
        norms = norm_arrays(getattr(self, "norms_", None) or [])
        arrays = [*self.coefs_, *self.intercepts_, *norms]
        self._set_parameters(parameters)
        # They are about to be changed, and a failing call must find the old ones.
        curves = ("loss_curve_", "validation_scores_", "validation_loss_curve_")
        for name in (*curves, "_optimizer"):
            if hasattr(self, name):
                setattr(self, name, copy.copy(getattr(self, name)))
        if hasattr(self, "_optimizer"):
            is_average = self._optimizer.has_average(arrays)
            if self.ema is None or not is_average:
                self._optimizer.forget_average()
            elif self._optimizer.raw is not None:
                self._optimizer.raw = with_statistics(
                    self._optimizer.raw, getattr(self, "norms_", [])
                )
        if self.solver != "lbfgs":
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

    # Scikit-learn's protocols.

    def _loss_grad_lbfgs(
        self,
        packed_coef_inter: Any,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *_buffers: Any,
    ) -> tuple[float, NDArray[Any]]:
        """Return loss and gradient; the buffers that are passed are not needed."""
        return packed_loss_and_gradient(self, packed_coef_inter, X, y, sample_weight)

    def _has_partial_fit(self) -> bool:
        if solver_name(self) not in OPTIMIZERS:
            raise AttributeError(
                "partial_fit is only available for stochastic"
                f" optimizers. {self.solver} is not stochastic."
            )
        return True

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def __copy__(self) -> Any:
        """Return a shallow copy; a pickle has less in it, which takes time to make."""
        copied = object.__new__(type(self))
        copied.__dict__.update(self.__dict__)
        return copied

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        """Return a copy that can train on, as the original can."""
        copied = memo[id(self)] = object.__new__(type(self))
        copied.__dict__.update(copy.deepcopy(self.__dict__, memo))
        return copied

    def __getstate__(self) -> dict[str, Any]:
        """Return what prediction needs, and training if it is to go on."""
        state = self._without_rows(dict(super().__getstate__()))
        if not state.get("_is_resumable"):
            for name in ("_optimizer", "_random_state"):
                state.pop(name, None)
        state["_fastbp_version"] = _core.__version__
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        state = dict(state)
        state.pop("_fastbp_version", None)
        super().__setstate__(state)


def _core_activation(activation: Any, name: str) -> tuple[str, float]:
    """Return an activation as the core takes it: its name and its slope."""
    found: Any = ACTIVATIONS.get(activation) if isinstance(activation, str) else None
    if type(activation) in ACTIVATIONS.values():
        found = activation
    if found is None:
        raise ValueError(
            f"{name} must be one of {', '.join(ACTIVATIONS)}, or an object of "
            f"fastbp.activations of the kind, got {activation!r}."
        )
    return found.name, found.negative_slope
