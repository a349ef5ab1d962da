"""The last hidden layer as features: ``transform`` and what belongs to it."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from ._hidden_layers import for_prediction, normalize_rows
from ._network_owner import NetworkOwner
from .activations import get_activation

__all__ = ["HiddenFeatures"]

_ACTIVATED_AT_ONCE = 2**18  # numbers: some megabytes, a moment


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
        whole = for_prediction(self)
        coefs, intercepts, *norms = whole._parameters(self._parameter_dtype())
        self._hidden_activations(len(coefs) - 1)
        given = self.activation
        is_list = isinstance(given, list | tuple)
        last = get_activation(given[-1] if is_list else given)
        below = copy.copy(whole)  # the network without its output layer
        below.coefs_, below.intercepts_ = coefs[:-1], intercepts[:-1]
        below.norms_ = norms[0][:-1] if norms else []
        below.activation = given[:-1] if is_list else given
        z: NDArray[Any] = below._outputs(X, raw=True)
        # In pieces, which take little memory and let Ctrl-C through.
        n_rows = max(1, _ACTIVATED_AT_ONCE // z.shape[1])
        for first in range(0, len(z), n_rows):
            piece = z[first : first + n_rows]
            piece[:] = last(normalize_rows(piece, norms[0][-1]) if norms else piece)
        return z

    def _check_hidden_layer(self) -> None:
        if len(self.coefs_) == 1:
            raise ValueError(
                "transform gives the last hidden layer, but there is none: "
                "hidden_layer_sizes must not be empty, got "
                f"{self.hidden_layer_sizes!r}"
            )

    @property
    def _n_features_out(self) -> int:
        """Number of columns of ``transform``, for ``get_feature_names_out``."""
        self._check_hidden_layer()
        return int(np.shape(self.coefs_[-1])[0])

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
