"""MLPRegressor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import xlogy
from sklearn.base import RegressorMixin
from sklearn.metrics import r2_score
from sklearn.utils import column_or_1d
from sklearn.utils.metaestimators import available_if

from ._base import BaseMLP
from ._compat import StrOptions, fit_context
from ._data import Samples, check_Xy

__all__ = ["MLPRegressor"]


class MLPRegressor(RegressorMixin, BaseMLP):
    """Multilayer perceptron regressor.

    A drop-in replacement of :class:`sklearn.neural_network.MLPRegressor`: the same
    parameters, attributes and messages, and for the same ``random_state`` the same
    model.

    Parameters
    ----------
    loss : {'squared_error', 'poisson'}, default='squared_error'
        Half the squared error, summed over outputs (lectures 002 and 004, loss
        functions), or half the Poisson deviance, for ``y >= 0``, with an exponential
        output activation.
    hidden_layer_sizes : array-like of int, default=(100,)
        Number of units of each hidden layer; ``()`` is linear regression.
    activation : {'identity', 'logistic', 'tanh', 'relu', 'leaky_relu', 'elu', 'selu', \
'hard_tanh', 'gelu', 'silu', 'mish', 'softplus'} or list of them, default='relu'
        Activation of the hidden layers, or one for each of them.
    solver, alpha, batch_size, learning_rate, learning_rate_init, power_t, max_iter, \
shuffle, random_state, tol, verbose, warm_start, momentum, nesterovs_momentum, \
early_stopping, validation_fraction, beta_1, beta_2, epsilon, n_iter_no_change, \
max_fun, n_jobs, dtype, weight_decay, l1, max_norm, clip_norm, lr_schedule, warmup, \
scoring, restore_best, max_time, callbacks, dropout, input_dropout, normalization
        See :class:`MLPClassifier`. The score that ``early_stopping`` watches is R2.

    Attributes
    ----------
    loss_, best_loss_, loss_curve_, validation_scores_, best_validation_score_, \
validation_loss_curve_, t_, coefs_, intercepts_, n_features_in_, feature_names_in_, \
n_iter_, n_layers_, n_outputs_, norms_
        See :class:`MLPClassifier`.
    out_activation_ : {'identity', 'exp'}
        Activation of the output layer.

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
        "loss": [StrOptions({"squared_error", "poisson"})],
    }

    loss: str

    def __init__(
        self,
        loss: str = "squared_error",
        hidden_layer_sizes: Any = (100,),
        activation: str | Sequence[str] = "relu",
        *,
        solver: str = "adam",
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
        sample_weight : array-like of shape (n_samples,), default=None
            Weights, not negative and not all zero. A mini-batch whose weights are all
            zero is skipped.
        X_val : {array-like, sparse matrix} of shape (n_val, n_features), default=None
            Samples of a validation set. ``early_stopping`` uses it and splits nothing
            off; without, loss and score on it are only recorded. In a
            :class:`~sklearn.pipeline.Pipeline`, metadata routing brings it here, and
            ``transform_input=["X_val"]`` transforms X_val as it does X.
        y_val : array-like of shape (n_val,) or (n_val, n_outputs), default=None
            Their targets, as y; needed with X_val.
        sample_weight_val : array-like of shape (n_val,), default=None
            Their weights.

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
    @fit_context(prefer_skip_nested_validation=True)
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
        sample_weight : array-like of shape (n_samples,), default=None
            Weights.
        X_val : {array-like, sparse matrix} of shape (n_val, n_features), default=None
            Samples of a validation set: loss and score on it are recorded, and with
            ``early_stopping`` the score decides what a bad epoch is. The weights are
            always those of the last epoch, and it is up to the caller to stop.
        y_val : array-like of shape (n_val,) or (n_val, n_outputs), default=None
            Their targets, as y; needed with X_val.
        sample_weight_val : array-like of shape (n_val,), default=None
            Their weights.

        Returns
        -------
        self : MLPRegressor

        Raises
        ------
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
        X, y = check_Xy(self, X, y, reset=reset, y_numeric=True)
        if y.dtype.kind not in "fiub":
            raise ValueError(f"y must hold numbers, got dtype {y.dtype}")
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        return X, y

    def _encode(self, y: Any, dtype: Any) -> NDArray[Any]:
        """Return y as a matrix (n_samples, n_outputs)."""
        if self.loss == "poisson" and (y < 0).any():
            raise ValueError(
                f"y must not be negative with loss='poisson', got {y.min()}"
            )
        y = y.reshape(len(y), -1)
        self.n_outputs_ = y.shape[1]
        with np.errstate(over="ignore"):  # of float32: an infinite loss, then an error
            return np.require(y, dtype, ["C", "A"])

    def _decode(self, y: NDArray[Any]) -> NDArray[Any]:
        return y.ravel() if y.shape[1] == 1 else y

    def _output_activation(self) -> str:
        return "exp" if self.loss == "poisson" else "identity"

    def _core_loss(self) -> str:
        return self.loss

    def _output_score(self, outputs: NDArray[Any], validation: Samples) -> float:
        """Return R2, or NaN if a prediction is not finite."""
        if not np.isfinite(outputs).all():
            return float("nan")
        weights = validation.weights
        return float(r2_score(validation.y, outputs, sample_weight=weights))

    def _output_losses(self, outputs: NDArray[Any], y: NDArray[Any]) -> NDArray[Any]:
        losses: NDArray[Any]
        with np.errstate(over="ignore", invalid="ignore"):  # an infinite or NaN loss
            if self.loss == "poisson":
                p = np.maximum(outputs, np.finfo(outputs.dtype).tiny)
                losses = xlogy(y, y / p) - y + p
            else:
                losses = 0.5 * (y - outputs) ** 2
        of_rows: NDArray[Any] = losses.sum(axis=1)
        return of_rows

    def predict(self, X: Any) -> NDArray[Any]:
        """Predict target values.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Predicted values.
        """
        y = self._outputs(X)
        return y.ravel() if y.shape[1] == 1 else y
