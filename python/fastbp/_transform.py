"""The last hidden layer as features: ``transform`` and what belongs to it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from ._data import check_X
from ._network_owner import NetworkOwner, refuse_nan
from ._prediction import predict_rows

__all__ = ["HiddenFeatures"]


class HiddenFeatures(ClassNamePrefixFeaturesOutMixin, TransformerMixin, NetworkOwner):
    """Makes a transformer of an estimator."""

    hidden_layer_sizes: Any
    activation: Any

    def transform(self, X: Any) -> NDArray[Any]:
        """Return the activations of the last hidden layer.

        They are what the output layer sees: a representation of the samples in which
        the network has learned to tell them apart by a linear model.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        activations : ndarray of shape (n_samples, n_units)
            One column for each unit of the last hidden layer, in the floating-point
            type of a prediction.

        Raises
        ------
        ValueError
            If there is no hidden layer.
        """
        check_is_fitted(self)
        self._check_hidden_layer()
        X = check_X(self, X)
        network = self._network(self._prediction_dtype(X), self._core_output())
        activations = predict_rows(network, X, self.n_jobs, hidden=True)
        refuse_nan(activations)
        return activations

    def _check_hidden_layer(self) -> None:
        if len(self.coefs_) == 1:
            raise ValueError(
                "transform gives the last hidden layer, but there is none: "
                "hidden_layer_sizes must not be empty, got "
                f"{self.hidden_layer_sizes!r}"
            )

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[Any]:
        """Return the names of the columns of ``transform``.

        Parameters
        ----------
        input_features : array-like of str or None, default=None
            Not used.

        Returns
        -------
        names : ndarray of str of shape (n_units,)
            The name of the class in lower case, and the number of the unit.

        Raises
        ------
        ValueError
            If there is no hidden layer.
        """
        check_is_fitted(self)
        self._check_hidden_layer()
        names: NDArray[Any] = super().get_feature_names_out(input_features)
        return names

    @property
    def _n_features_out(self) -> int:
        """Number of columns of ``transform``; an attribute of those that have any."""
        if len(self.coefs_) == 1:
            raise AttributeError("there is no hidden layer")
        return int(np.shape(self.coefs_[-1])[0])

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
