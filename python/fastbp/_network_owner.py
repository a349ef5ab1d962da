"""The network of an estimator: made of its weights, for prediction and for training."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.utils.validation import check_is_fitted

from . import _core
from ._config import configured_blas
from ._data import check_X
from ._hidden_layers import check_norms, fitted_normalization, stack
from ._objective import OUTPUT_ONLY, Objective
from ._prediction import predict_rows
from ._threads import effective_n_threads, n_threads_to_copy
from .losses import Loss

__all__ = ["NetworkOwner", "refuse_nan"]

# Few rows: less work than the packing of the weights, and within the milliseconds for
# which Ctrl-C and other Python threads can wait.
_FEW_ROWS = 32
_FEW_PRODUCTS = 2**26


class NetworkOwner(ABC):
    """What an estimator does with its ``coefs_`` and ``intercepts_``."""

    alpha: float
    dtype: str
    n_jobs: int | None
    coefs_: list[Any]
    intercepts_: list[Any]
    norms_: list[dict[str, NDArray[Any]]]
    out_activation_: str

    @abstractmethod
    def _hidden_activations(self, n_hidden: int) -> Any:
        """Return the activations as the core takes them."""

    @abstractmethod
    def _loss(self) -> Loss:
        """Return the loss that the parameters ask for."""

    @abstractmethod
    def _output_activation(self) -> str:
        """Return the name for ``out_activation_``."""

    def _smoothing(self) -> float:
        """Return the label smoothing."""
        return 0.0

    def _objective(self, n_outputs: int) -> Objective:
        """Return the loss behind the outputs."""
        output = self._output_activation()
        return Objective(self._loss(), output, n_outputs, self._smoothing())

    def _core_output(self) -> _core.Loss:
        """Return what the core needs to know of the loss for a prediction."""
        name = self.out_activation_
        if name not in OUTPUT_ONLY:
            raise ValueError(
                f"out_activation_ must be one of {', '.join(OUTPUT_ONLY)}, got {name!r}"
            )
        return OUTPUT_ONLY[name]

    def _n_threads(self) -> int:
        return effective_n_threads(self.n_jobs)[0]

    def _network(
        self, dtype: np.dtype[Any], loss: _core.Loss, *, training: bool = False
    ) -> _core.Network:
        """Return the core's network with the estimator's weights.

        Dropout is a part of it only for training.
        """
        parameters = self._parameters(dtype)
        coefs, intercepts = parameters[:2]
        n_units = [len(coefs[0]), *(len(b) for b in intercepts)]
        name: Any = dtype.name
        network = _core.Network(
            stack(self, n_units, training),
            loss,
            name,
            n_in=n_units[0],
            blas=configured_blas(),
        )
        n_threads = n_threads_to_copy(coefs, self.n_jobs)
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
        normalization = fitted_normalization(self)
        if normalization is not None:
            check_norms(self.norms_, normalization)
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

    def _prediction_dtype(self, X: Any) -> np.dtype[Any]:
        """Return the type to compute in for this X."""
        if self.dtype == "auto" and X.dtype != np.float32:
            return np.dtype(np.float64)
        return self._parameter_dtype()

    def _outputs(self, X: Any, *, raw: bool = False) -> NDArray[Any]:
        """Return the network's outputs, or pre-activations, (n_samples, n_outputs_)."""
        if not hasattr(self, "coefs_"):
            check_is_fitted(self)
        X = check_X(self, X)
        dtype = self._prediction_dtype(X)
        coefs, intercepts, *norms = self._parameters(dtype)
        if not norms and self._is_few(X, coefs):
            outputs: NDArray[Any] = _core.predict_few(
                coefs,
                intercepts,
                _core.Rows.dense(X),
                self._hidden_activations(len(coefs) - 1),
                self._core_output(),
                raw=raw,
            )
        else:
            network = self._network(dtype, self._core_output())
            outputs = predict_rows(network, X, self.n_jobs, raw=raw)
        refuse_nan(outputs)
        return outputs

    def _is_few(self, X: Any, coefs: list[Any]) -> bool:
        """Tell whether a network would take longer to build than to predict X."""
        if sparse.issparse(X) or X.shape[0] > _FEW_ROWS or configured_blas():
            return False
        n_weights = sum(coef.size for coef in coefs)
        return bool(X.shape[0] * n_weights <= _FEW_PRODUCTS)


def refuse_nan(outputs: NDArray[Any]) -> None:
    """Refuse outputs that are no numbers, because something was too large."""
    are_nan = np.isnan(outputs)
    if are_nan.any():
        row = np.flatnonzero(are_nan.any(axis=1))[0]
        raise ValueError(
            f"the prediction of X[{row}] is NaN: its values, or the weights, are too "
            f"large for {outputs.dtype}"
        )


def _as_required(array: Any, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return the array as the core reads it, most often itself."""
    if type(array) is np.ndarray and array.dtype == dtype and array.flags.carray:
        return array
    return np.require(array, dtype, ["C", "A"])
