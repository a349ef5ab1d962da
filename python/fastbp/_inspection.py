"""What a fitted estimator's outputs depend on: gradients with respect to the inputs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.utils.validation import check_is_fitted

from . import _core
from ._blas import one_blas_thread
from ._data import check_X, rows_of
from ._network_owner import NetworkOwner
from ._prediction import n_threads_for

__all__ = ["InputGradients"]

# Of the training data that is kept for feature_importances_: rows, numbers of them, and
# multiplications to be done, a fraction of a second of them.
_MOST_ROWS = 256
_MOST_NUMBERS = 2**22
_MOST_WORK = 2**34


class InputGradients(NetworkOwner):
    """The estimators' ``input_gradient`` and ``feature_importances_``."""

    n_outputs_: int
    _kept_rows: Any
    _kept_importances: NDArray[np.float64]

    def input_gradient(self, X: Any, target: Any = None) -> NDArray[Any]:
        """Compute the gradient of the outputs with respect to the inputs.

        Of the outputs before their activation, that is, of the logit of a class or
        label, of a regressor's prediction, or behind 'exp' (the default of 'poisson'
        and 'gamma') of its logarithm (lecture 001, error signal to the input layer).
        Several quantiles are not sorted.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples.
        target : class label, int or None, default=None
            Which output: a class of a classifier, the number of an output of a
            regressor or of a label. For two classes None is the second, and the
            gradient for the first is the opposite.

        Returns
        -------
        gradient : ndarray of shape (n_samples, n_features) or (n_samples, n_outputs, \
n_features)
            For a target, or if there is a single output; else for all of them.

        Raises
        ------
        ValueError
            If X or the target is invalid.
        """
        check_is_fitted(self)
        X = check_X(self, X)
        if target is None and self.n_outputs_ > 1:
            return np.stack(list(self._gradients(X, range(self.n_outputs_))), axis=1)
        output, sign = (0, 1) if target is None else self._output_of(target)
        (gradient,) = self._gradients(X, [output])
        return gradient if sign > 0 else -gradient

    def _output_of(self, target: Any) -> tuple[int, int]:
        """Return an output's number and the sign that it has for the target."""
        if not isinstance(target, int | np.integer) or isinstance(target, bool):
            raise ValueError(f"target must be the number of an output, got {target!r}")
        if not 0 <= target < self.n_outputs_:
            raise ValueError(f"target must be in [0, {self.n_outputs_}), got {target}")
        return int(target), 1

    def _gradients(self, X: Any, outputs: Any) -> Iterator[NDArray[Any]]:
        """Yield the gradient (n_samples, n_features) of each of the outputs."""
        network = self._network(self._prediction_dtype(X), self._core_output())
        n_threads = n_threads_for(network, X, self.n_jobs)
        with one_blas_thread(network):
            tape = _core.Tape(network, rows_of(X), n_threads=n_threads)
            dtype: Any = network.dtype
            at_outputs = _core.Loss("linear", "identity")  # before their activation
            for output in outputs:
                dy = np.zeros((X.shape[0], self.n_outputs_), dtype)
                dy[:, output] = 1
                yield tape.backward(dy, at_outputs, n_threads=n_threads)[1]

    @property
    def feature_importances_(self) -> NDArray[np.float64]:
        """Mean absolute gradient times input, (n_features,), for ``SelectFromModel``.

        The mean over all outputs (as in ``input_gradient``) and some training samples:
        at most 256, evenly spread over those of the last call of ``fit`` or
        ``partial_fit`` (fewer if there are more than 16384 features, or if outputs
        times weights are more than 67 million). It is computed when it is asked for,
        from the weights as they are; a pickle contains the result and not the samples.
        """
        check_is_fitted(self)
        if not hasattr(self, "_kept_rows"):
            if not hasattr(self, "_kept_importances"):
                raise AttributeError(
                    "feature_importances_ could not be computed when the model was "
                    "copied or pickled: its parameters did not fit its weights then"
                )
            return self._kept_importances
        try:
            return self._importances(self._kept_rows)
        except ValueError as error:  # the parameters have been changed
            raise AttributeError(
                f"feature_importances_ cannot be computed: {error}"
            ) from error

    def _importances(self, X: Any) -> NDArray[np.float64]:
        total = np.zeros(X.shape[1])
        for gradient in self._gradients(X, range(self.n_outputs_)):
            product = (
                X.multiply(gradient) if sparse.issparse(X) else np.multiply(X, gradient)
            )
            total += np.asarray(abs(product).sum(axis=0, dtype=np.float64)).ravel()
        importances: NDArray[np.float64] = total / (X.shape[0] * self.n_outputs_)
        return importances

    def _keep_rows(self, X: Any) -> None:
        """Keep what ``feature_importances_`` needs of the training data."""
        work = self.n_outputs_ * sum(np.size(coef) for coef in self.coefs_)
        most = min(_MOST_ROWS, _MOST_NUMBERS // X.shape[1], _MOST_WORK // work)
        n = min(X.shape[0], max(most, 1))
        rows = np.linspace(0, X.shape[0] - 1, n).round().astype(np.int64)
        self._kept_rows = X[rows]

    def _without_rows(self, state: dict[str, Any]) -> dict[str, Any]:
        """Return a state to be pickled, with the importances in place of the rows."""
        if "_kept_rows" in state:
            state = {k: v for k, v in state.items() if k != "_kept_rows"}
            # Parameters that have been changed since need not fit the weights.
            with suppress(AttributeError):
                state["_kept_importances"] = self.feature_importances_
        return state
