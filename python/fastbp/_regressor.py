"""MLPRegressor."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse
from sklearn.base import RegressorMixin
from sklearn.metrics import r2_score
from sklearn.utils import check_array, check_consistent_length, column_or_1d
from sklearn.utils.metaestimators import available_if

from ._base import BaseMLP
from ._compat import Interval, StrOptions, fit_context
from ._data import (
    Samples,
    are_weights_of_entries,
    as_numbers,
    check_entry_weights,
    check_weights,
    check_Xy,
    conversion_of,
    without_missing,
)
from ._refusals import refuse_weights_of_entries
from .losses import (
    REGRESSION_LOSSES,
    CustomLoss,
    Loss,
    Quantile,
    check_range,
    loss_of,
)
from .optimizers import Optimizer

__all__ = ["MLPRegressor"]


class MLPRegressor(RegressorMixin, BaseMLP):
    """Multilayer perceptron regressor.

    A drop-in replacement of :class:`sklearn.neural_network.MLPRegressor`: the same
    parameters, attributes and messages, and for the same ``random_state`` the same
    model.

    Parameters
    ----------
    loss : {'squared_error', 'absolute_error', 'huber', 'log_cosh', 'quantile', \
'poisson', 'gamma'}, Loss of :mod:`fastbp.losses` or callable, default='squared_error'
        What is minimised, summed over outputs: half the squared error (lectures 002 and
        004, loss functions); a relative of it that large errors count less in; half the
        Poisson or gamma deviance, for ``y >= 0`` or ``y > 0``. A name stands for the
        default object. A function ``(y_true, y_pred) -> (value per row, gradient)``
        gets two arrays of shape (n_rows, n_outputs) for each batch; it returns arrays
        of shape (n_rows,) and (n_rows, n_outputs), the derivative with respect to
        ``y_pred``, both without the weights of the samples.
    hidden_layer_sizes : array-like of int, default=(100,)
        Number of units of each hidden layer; ``()`` is linear regression.
    activation : {'identity', 'logistic', 'tanh', 'relu', 'leaky_relu', 'elu', 'selu', \
'hard_tanh', 'gelu', 'silu', 'mish', 'softplus'}, Activation or list, default='relu'
        Activation of the hidden layers, or one for each of them.
    solver, alpha, batch_size, learning_rate, learning_rate_init, power_t, max_iter, \
shuffle, random_state, tol, verbose, warm_start, momentum, nesterovs_momentum, \
early_stopping, validation_fraction, beta_1, beta_2, epsilon, n_iter_no_change, \
max_fun, n_jobs, dtype, weight_decay, l1, max_norm, clip_norm, lr_schedule, warmup, \
scoring, restore_best, max_time, callbacks, weight_init, \
ema, grad_tol, dropout, input_dropout, normalization
        See :class:`MLPClassifier`. The score that ``early_stopping`` watches is R2, or
        the negative loss if that is a quantile loss or a function.
    output_activation : {'identity', 'logistic', 'tanh', 'softplus', 'exp'} or None, \
default=None
        Activation of the output layer. None is 'exp' for 'poisson' and 'gamma', which
        need it or 'softplus', and 'identity' for other losses.
    quantile : float, list of float or None, default=None
        With ``loss='quantile'``: which to estimate, in (0, 1); None is the median.
        Several must increase, and are so many outputs of one network for each target.
    missing_targets : {'error', 'mask'}, default='error'
        What NaN in y means: with 'mask' an entry that has no weight.

    Attributes
    ----------
    loss_, best_loss_, loss_curve_, validation_scores_, best_validation_score_, \
validation_loss_curve_, t_, coefs_, intercepts_, n_features_in_, feature_names_in_, \
n_iter_, n_layers_, n_outputs_, norms_, feature_importances_
        See :class:`MLPClassifier`.
    out_activation_ : {'identity', 'logistic', 'tanh', 'softplus', 'exp'}
        Activation of the output layer.
    quantiles_ : tuple of float
        The quantiles that are predicted; only with a quantile loss.

    See Also
    --------
    MLPClassifier : The same network for classification.

    Notes
    -----
    With several outputs scikit-learn reports the mean of the squared error over them
    but follows the gradient of the sum. The model here is the same; the loss is the
    sum, which is what the gradient belongs to.

    Examples
    --------
    >>> from fastbp import MLPRegressor
    >>> from sklearn.datasets import make_regression
    >>> X, y = make_regression(n_samples=200, n_features=20, random_state=1)
    >>> reg = MLPRegressor(max_iter=2000, tol=0.1, random_state=1).fit(X, y)
    >>> reg.score(X, y) > 0.98
    True
    """

    _parameter_constraints = {
        **BaseMLP._parameter_constraints,
        "loss": [StrOptions(set(REGRESSION_LOSSES)), Loss, callable],
        "output_activation": [
            StrOptions({"identity", "logistic", "tanh", "softplus", "exp"}),
            None,
        ],
        "quantile": ["array-like", Interval(Real, 0, 1, closed="neither"), None],
        "missing_targets": [StrOptions({"error", "mask"})],
    }

    loss: Any
    output_activation: str | None
    quantile: Any
    missing_targets: str
    quantiles_: tuple[float, ...]

    def __init__(
        self,
        loss: Any = "squared_error",
        hidden_layer_sizes: Any = (100,),
        activation: str | Sequence[str] = "relu",
        *,
        solver: str | Optimizer = "adam",
        alpha: float = 0.0001,
        batch_size: int | str = "auto",
        learning_rate: str = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: bool | int | str = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: float = 10,
        max_fun: int = 15000,
        n_jobs: int | None = None,
        dtype: str = "auto",
        weight_decay: float | None = None,
        l1: float = 0.0,
        max_norm: float | None = None,
        clip_norm: float | None = None,
        lr_schedule: Any = None,
        warmup: float = 0,
        scoring: Any = None,
        restore_best: bool | None = None,
        max_time: float | None = None,
        callbacks: Any = None,
        weight_init: Any = None,
        output_activation: str | None = None,
        quantile: Any = None,
        missing_targets: str = "error",
        ema: float | None = None,
        grad_tol: float | None = None,
        dropout: float | Sequence[float] = 0.0,
        input_dropout: float = 0.0,
        normalization: str | None = None,
    ) -> None:
        super().__init__(
            loss=loss,
            hidden_layer_sizes=hidden_layer_sizes,
            activation=activation,
            solver=solver,
            alpha=alpha,
            batch_size=batch_size,
            learning_rate=learning_rate,
            learning_rate_init=learning_rate_init,
            power_t=power_t,
            max_iter=max_iter,
            shuffle=shuffle,
            random_state=random_state,
            tol=tol,
            verbose=verbose,
            warm_start=warm_start,
            momentum=momentum,
            nesterovs_momentum=nesterovs_momentum,
            early_stopping=early_stopping,
            validation_fraction=validation_fraction,
            beta_1=beta_1,
            beta_2=beta_2,
            epsilon=epsilon,
            n_iter_no_change=n_iter_no_change,
            max_fun=max_fun,
            n_jobs=n_jobs,
            dtype=dtype,
            weight_decay=weight_decay,
            l1=l1,
            max_norm=max_norm,
            clip_norm=clip_norm,
            lr_schedule=lr_schedule,
            warmup=warmup,
            scoring=scoring,
            restore_best=restore_best,
            max_time=max_time,
            callbacks=callbacks,
            weight_init=weight_init,
            output_activation=output_activation,
            quantile=quantile,
            missing_targets=missing_targets,
            ema=ema,
            grad_tol=grad_tol,
            dropout=dropout,
            input_dropout=input_dropout,
            normalization=normalization,
        )

    @fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: ArrayLike | None = None,
        *,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: ArrayLike | None = None,
    ) -> Any:
        """Fit the network to X and y.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples; any integer, bool or floating-point type, dense with any strides,
            CSR or CSC.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Target values.
        sample_weight : array-like of shape (n_samples,) or (n_samples, n_outputs), \
default=None
            Weights of the samples, or of the entries of a y with several columns (not
            with a function as ``loss``); not negative and not all zero. A mini-batch
            whose weights are all zero is skipped.
        X_val : {array-like, sparse matrix} of shape (n_val, n_features), default=None
            Samples of a validation set. ``early_stopping`` uses it and splits nothing
            off; without, loss and score on it are only recorded. In a
            :class:`~sklearn.pipeline.Pipeline`, metadata routing brings it here, and
            ``transform_input=["X_val"]`` transforms X_val as it does X.
        y_val : array-like of shape (n_val,) or (n_val, n_outputs), default=None
            Their targets, as y; needed with X_val.
        sample_weight_val : array-like of shape (n_val,) or (n_val, n_outputs), \
default=None
            Their weights, as sample_weight.

        Returns
        -------
        self : MLPRegressor

        Raises
        ------
        ValueError
            If an argument is invalid, or if training diverges: then in the epoch in
            which it does, and the estimator is as it was before the call.
        """
        validation = (X_val, y_val, sample_weight_val)
        return self._fit(X, y, sample_weight, validation)

    @available_if(lambda est: est._has_partial_fit())
    # False: so `skip_parameter_validation` within it is what the user has set.
    @fit_context(prefer_skip_nested_validation=False)
    def partial_fit(
        self,
        X: Any,
        y: Any,
        sample_weight: ArrayLike | None = None,
        *,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: ArrayLike | None = None,
    ) -> Any:
        """Train for one epoch over the given samples.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Target values.
        sample_weight : array-like of shape (n_samples,) or (n_samples, n_outputs), \
default=None
            Weights, as for ``fit``.
        X_val : {array-like, sparse matrix} of shape (n_val, n_features), default=None
            Samples of a validation set: loss and score on it are recorded, and with
            ``early_stopping`` the score decides what a bad epoch is. The weights are
            always those of the last epoch, and it is up to the caller to stop.
        y_val : array-like of shape (n_val,) or (n_val, n_outputs), default=None
            Their targets, as y; needed with X_val.
        sample_weight_val : array-like of shape (n_val,) or (n_val, n_outputs), \
default=None
            Their weights, as sample_weight.

        Returns
        -------
        self : MLPRegressor

        Raises
        ------
        AttributeError
            If ``solver`` is 'lbfgs'.
        ValueError
            As for ``fit``.
        """
        validation = (X_val, y_val, sample_weight_val)
        return self._fit(X, y, sample_weight, validation, incremental=True)

    def _validate_held_out(self, X: Any, y: Any) -> tuple[Any, Any]:
        return self._validate(X, y, incremental=True, reset=False)

    def _validate(
        self, X: Any, y: Any, *, incremental: bool, reset: bool
    ) -> tuple[Any, Any]:
        missing = None
        if sparse.issparse(y):
            raise ValueError(f"y must be a dense array, got {type(y).__name__}")
        if self.missing_targets == "mask":
            y, missing = _without_nan(y)
        X, y = check_Xy(self, X, y, reset=reset, y_numeric=True)
        if missing is not None:
            y = np.where(missing.reshape(y.shape), np.nan, y)
        if y.dtype.kind not in "fiub":
            raise ValueError(f"y must hold numbers, got dtype {y.dtype}")
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        return X, y

    def _check_weights(self, sample_weight: Any, X: Any, y: Any) -> Any:
        weights: NDArray[np.float64] | None
        if are_weights_of_entries(sample_weight, y):
            weights = check_entry_weights(sample_weight, y)
            refuse_weights_of_entries(self, weights)
        else:
            weights = check_weights(sample_weight, X)
        if self.missing_targets == "mask":
            weights = without_missing(weights, y)
        if weights is None or weights.ndim == 1:
            return weights
        return np.repeat(weights, self._n_quantiles(), axis=1)

    def _encode(self, y: Any, dtype: Any) -> NDArray[Any]:
        """Return y as a matrix (n_samples, n_outputs)."""
        loss = self._loss()
        check_range(loss, y, "y")
        self.__dict__.pop("quantiles_", None)
        if isinstance(loss, Quantile):
            self.quantiles_ = loss.quantiles
        y = y.reshape(len(y), -1)
        if self._n_quantiles() > 1:
            y = np.repeat(y, self._n_quantiles(), axis=1)
        self.n_outputs_ = y.shape[1]
        return as_numbers(y, dtype, "y")

    def _decode(self, y: NDArray[Any]) -> NDArray[Any]:
        y = y[:, :: self._n_quantiles()]
        return y.ravel() if y.shape[1] == 1 else y

    def _loss(self) -> Loss:
        if self.quantile is not None and self.loss == "quantile":
            return Quantile(self.quantile)
        return loss_of(self.loss, REGRESSION_LOSSES, estimator="MLPRegressor")

    def _n_quantiles(self) -> int:
        """Return the number of outputs of each target."""
        loss = self._loss()
        return len(loss.quantiles) if isinstance(loss, Quantile) else 1

    def _output_activation(self) -> str:
        return self.output_activation or self._loss()._outputs[0]

    def _default_scoring(self) -> str:
        """What ``scoring=None`` means."""
        return "loss" if isinstance(self._loss(), Quantile | CustomLoss) else "r2"

    def _output_score(self, outputs: NDArray[Any], validation: Samples) -> float:
        """Return R2, or NaN if a prediction is not finite.

        A quantile need not be near the mean, nor what a function of the user's is least
        at: then it is the negative loss.
        """
        if not np.isfinite(outputs).all():
            return float("nan")
        if self._default_scoring() == "loss":
            return -self._output_loss(outputs, validation)
        y, weights = validation.y, validation.weights
        if weights is None or weights.ndim == 1:
            return float(r2_score(y, outputs, sample_weight=weights))
        return _mean_r2(y, outputs, weights)

    def predict(self, X: Any, *, quantile: Any = None) -> NDArray[Any]:
        """Predict target values.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples.
        quantile : float or sequence of float, default=None
            With ``loss='quantile'``, which of ``quantiles_`` to predict; None is all.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_targets)
            Predicted values. Several quantiles are a last axis more. Those of a sample
            never cross: they are sorted (V. Chernozhukov, I. Fernandez-Val and A.
            Galichon, "Quantile and probability curves without crossing", 2010), which
            brings none further from the truth on the whole. float32 if the weights
            are float32 and, with ``dtype='auto'``, X is; else float64.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If X does not have the features that ``fit`` was given, holds NaN or
            infinity, or is so large that a prediction is NaN; or if ``quantile`` is not
            among ``quantiles_``.
        """
        y = self._outputs(X)
        quantiles = getattr(self, "quantiles_", ())
        at = _places(quantile, quantiles)
        if quantiles:
            y = np.sort(y.reshape(len(y), -1, len(quantiles)), axis=2)[:, :, at]
        return y[:, 0] if y.shape[1] == 1 else y

    def score(self, X: Any, y: Any, sample_weight: ArrayLike | None = None) -> float:
        """Return R2, the coefficient of determination, of the predictions.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples.
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
            True values; with ``missing_targets='mask'``, NaN where there is none.
        sample_weight : array-like of shape (n_samples,) or (n_samples, n_targets), \
default=None
            Weights of the samples, or of the entries of y.

        Returns
        -------
        score : float
            Mean over the targets. Of entries only those with weight count, and of
            targets those that have two or more of them.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If the model predicts several quantiles, or an argument is invalid.
        """
        if len(getattr(self, "quantiles_", ())) > 1:
            raise ValueError(
                "score needs one prediction for each target, but the model predicts "
                f"the quantiles {tuple(self.quantiles_)}: score each with "
                "sklearn.metrics.mean_pinball_loss"
            )
        given: Any = sample_weight
        masks = self.missing_targets == "mask"
        with conversion_of("sample_weight"):
            is_of_entries = np.ndim(given) == 2
        if not masks and not is_of_entries:
            return float(super().score(X, y, given))
        prediction = self.predict(X)
        y = check_array(
            y,
            dtype=np.float64,
            ensure_2d=False,
            ensure_all_finite="allow-nan" if masks else True,
            input_name="y",
        )
        check_consistent_length(prediction, y, given)
        if y.size != prediction.size:
            raise ValueError(
                f"y must have the shape of the predictions, {prediction.shape}, got "
                f"{y.shape}"
            )
        are_of_entries = are_weights_of_entries(given, y)
        check: Any = check_entry_weights if are_of_entries else check_weights
        weights = without_missing(check(given, y), y)
        if weights is None or weights.ndim == 1:
            return float(r2_score(y, prediction, sample_weight=weights))
        n = len(y)
        return _mean_r2(y.reshape(n, -1), prediction.reshape(n, -1), weights)


def _without_nan(y: Any) -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
    """Return y with ones in the place of NaN, for scikit-learn's checks, and where."""
    y = check_array(y, ensure_2d=False, dtype="numeric", ensure_all_finite="allow-nan")
    missing = np.isnan(y) if y.dtype.kind == "f" else np.zeros(y.shape, np.bool_)
    return (np.where(missing, 1, y), missing) if missing.any() else (y, None)


def _places(quantile: Any, quantiles: tuple[float, ...]) -> Any:
    """Return where the wanted quantiles are: an index, or a list of them."""
    if quantile is None:
        return 0 if len(quantiles) < 2 else list(range(len(quantiles)))
    if not quantiles:
        raise ValueError(
            f"quantile={quantile!r} needs a model of loss='quantile': it must be None"
        )
    several = isinstance(quantile, Iterable)
    wanted = list(quantile) if several else [quantile]
    for q in wanted:
        if q not in quantiles:
            raise ValueError(f"quantile must be among {quantiles}, got {q!r}")
    places = [quantiles.index(q) for q in wanted]
    return places if several else places[0]


def _mean_r2(
    y: NDArray[Any], outputs: NDArray[Any], weights: NDArray[np.float64]
) -> float:
    """Return the mean of R2 over the targets of which two or more have weight."""
    scores = [
        r2_score(y[w > 0, j], outputs[w > 0, j], sample_weight=w[w > 0])
        for j, w in enumerate(weights.T)
        if np.count_nonzero(w) > 1
    ]
    return float(np.mean(scores)) if scores else float("nan")
