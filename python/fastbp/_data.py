"""Samples on their way from the user to the core: X as it lies, y encoded, weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.utils import check_array
from sklearn.utils.validation import validate_data

from . import _core
from ._compat import check_sample_weight

__all__ = [
    "Piece",
    "Samples",
    "as_numbers",
    "check_entry_weights",
    "check_weights",
    "check_X",
    "check_Xy",
    "check_inputs",
    "conversion_of",
    "read_only",
    "rows_of",
    "row_parts",
    "total_weight",
    "weighted_mean",
    "weights_in",
    "without_missing",
]

# A CSC matrix gives its rows only by a search through all of it. So it is searched this
# often in an epoch, and each time this part of its rows is held as CSR.
_CSC_WINDOWS = 8

# Numbers of an array for which the time of scikit-learn's checks matters.
_SMALL_SIZE = 2**18


def check_Xy(
    estimator: Any, X: Any, y: Any, *, reset: bool, **options: Any
) -> tuple[Any, Any]:
    """Validate X and y by scikit-learn's rules, without converting the numbers of X."""
    if _is_plain(estimator, X, reset=reset) and _is_plain_target(y, X.shape[0]):
        if reset:
            estimator.n_features_in_ = X.shape[1]
            estimator.__dict__.pop("feature_names_in_", None)
        return X, y
    _check_structure(X)
    X, y = validate_data(
        estimator,
        X,
        y,
        accept_sparse=["csr", "csc"],
        multi_output=True,
        dtype=_wanted_dtype(X),
        reset=reset,
        **options,
    )
    return _readable(X), y


def check_X(estimator: Any, X: Any) -> Any:
    """Validate X for prediction."""
    if _is_plain(estimator, X):
        return X
    _check_structure(X)
    X = validate_data(
        estimator,
        X,
        accept_sparse=["csr", "csc"],
        dtype=_wanted_dtype(X),
        reset=False,
    )
    return _readable(X)


def check_inputs(X: Any, n_in: int, name: str = "X") -> Any:
    """Validate X for a network with ``n_in`` inputs, outside of an estimator."""
    if _needs_no_check(X, n_in):
        return X
    _check_structure(X)
    try:
        X = check_array(
            X, accept_sparse=["csr", "csc"], dtype=_wanted_dtype(X), input_name=name
        )
    except ValueError as error:
        if name in str(error).split():
            raise
        raise ValueError(f"{name}: {error}") from error
    if X.shape[1] != n_in:
        raise ValueError(
            f"{name} has {X.shape[1]} columns, the network has {n_in} inputs"
        )
    return _readable(X, name)


def _is_plain(estimator: Any, X: Any, *, reset: bool = False) -> bool:
    """Tell whether X needs no check for an estimator, fitted unless ``reset``."""
    if reset:
        return _needs_no_check(X)
    n_columns = getattr(estimator, "n_features_in_", 0)
    return not hasattr(estimator, "feature_names_in_") and _needs_no_check(X, n_columns)


def _is_plain_target(y: Any, n_rows: int) -> bool:
    """Tell whether y is an array that scikit-learn's checks would pass unchanged."""
    if type(y) is not np.ndarray or y.ndim not in (1, 2) or y.shape[0] != n_rows:
        return False
    is_integer = y.dtype.kind in "iub"
    is_float = y.dtype.char in "fd" and bool(np.isfinite(y).all())
    return y.size > 0 and y.dtype.isnative and (is_integer or is_float)


def _needs_no_check(X: Any, n_columns: int | None = None) -> bool:
    """Tell whether X is a small array that scikit-learn's checks would pass unchanged.

    They take several times as long as the prediction of a row. ``n_columns`` are those
    that it must have, None: any.
    """
    return (
        type(X) is np.ndarray
        and X.ndim == 2
        and X.dtype.char in "fd"
        and X.dtype.isnative
        and 0 < X.size <= _SMALL_SIZE
        and n_columns in (None, X.shape[1])
        and bool(np.isfinite(X).all())
    )


def _check_structure(X: Any) -> None:
    """Refuse a CSR or CSC whose arrays contradict each other: SciPy does not look."""
    if not sparse.issparse(X) or X.format not in ("csr", "csc"):
        return
    if X.ndim != 2:
        raise ValueError(f"X must have 2 dimensions, got shape {X.shape}")
    n_major, n_minor = X.shape if X.format == "csr" else X.shape[::-1]
    indptr, indices = (_index_array(a) for a in (X.indptr, X.indices))
    _core.check_compressed(indptr, indices, len(X.data), n_major, n_minor)


def _wanted_dtype(X: Any) -> Any:
    """Take numbers as they are; numbers written as words become float64."""
    try:
        dtype = np.asarray(X).dtype if isinstance(X, list | tuple) else X.dtype
    except (AttributeError, ValueError):  # no array; left to scikit-learn's checks
        return "numeric"
    return np.float64 if getattr(dtype, "kind", "") in "US" else "numeric"


def _index_array(indices: NDArray[Any]) -> NDArray[Any]:
    indices = np.ascontiguousarray(indices)
    if indices.dtype in (np.int32, np.int64):
        return indices
    return indices.astype(np.int64)


def _readable(X: Any, name: str = "X") -> Any:
    """Return X in a number type that the core reads; most are, and are not copied."""
    values = X.data if sparse.issparse(X) else X
    if values.dtype.kind not in "fiub":
        raise ValueError(f"{name} must hold numbers, got dtype {values.dtype}")
    if values.dtype.isnative and values.dtype.itemsize <= 8:
        return X
    X = X.astype(np.float64)
    if not np.isfinite(X.data if sparse.issparse(X) else X).all():
        raise ValueError(
            f"{name} holds values of dtype {values.dtype} too large for float64"
        )
    return X


def rows_of(X: Any) -> _core.Rows:
    """Return X, a validated array or sparse matrix, as the core reads it."""
    if not sparse.issparse(X):
        return _core.Rows.dense(X)
    X = X.tocsr()
    return _core.Rows.csr(
        _index_array(X.indptr),
        _index_array(X.indices),
        np.ascontiguousarray(X.data),
        X.shape[1],
    )


def _windows(order: NDArray[np.int64], batch_size: int) -> Iterator[NDArray[np.int64]]:
    """Cut ``order`` into at most ``_CSC_WINDOWS`` parts of whole batches."""
    n_batches = -(-len(order) // batch_size)
    size = max(1, -(-n_batches // _CSC_WINDOWS) * batch_size)
    for first in range(0, len(order), size):
        yield order[first : first + size]


def row_parts(X: Any) -> Iterator[_core.Rows]:
    """Return X as the core reads it: as a whole, or a CSC matrix in parts."""
    if sparse.issparse(X) and X.format == "csc":
        for window in _windows(np.arange(X.shape[0]), 1):
            yield rows_of(X[window])
    else:
        yield rows_of(X)


def mean_inputs(X: Any) -> float:
    """Return the mean number of non-zero inputs of a row."""
    return X.nnz / max(X.shape[0], 1) if sparse.issparse(X) else float(X.shape[1])


def check_weights(sample_weight: Any, X: Any) -> NDArray[np.float64] | None:
    """Validate sample weights: finite, not negative, not all zero."""
    if sample_weight is None:
        return None
    sample_weight = _without_text(sample_weight)
    weights = check_sample_weight(sample_weight, X, dtype=np.float64)
    return _not_negative(weights)


def _without_text(sample_weight: Any) -> Any:
    if sparse.issparse(sample_weight):
        raise TypeError("sample_weight must be a dense array, got a sparse one")
    with conversion_of("sample_weight"):
        given = np.asarray(sample_weight)
        if given.dtype.kind in "USO":
            return given.astype(np.float64)
        if given.dtype.kind not in "fiub":
            raise TypeError(f"got dtype {given.dtype}")
        return sample_weight


@contextmanager
def conversion_of(name: str) -> Iterator[None]:
    """Have errors of a conversion to numbers name the argument."""
    try:
        yield
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"{name} must hold numbers: {error}") from error


def as_numbers(y: NDArray[Any], dtype: Any, name: str) -> NDArray[Any]:
    """Return y, contiguous in this type; ValueError if that makes a number infinite."""
    with np.errstate(over="ignore"):
        converted = np.require(y, dtype, ["C", "A"])
    if converted.dtype != y.dtype and np.isinf(converted).any():
        largest = np.nanmax(np.abs(y))
        raise ValueError(
            f"{name} must be in the range of {converted.dtype}, got {largest:g}"
        )
    return converted


def read_only(array: Any) -> Any:
    """Return a view for functions of the user's, which shall not write into it."""
    if not isinstance(array, np.ndarray):
        return array
    view = array.view()
    view.flags.writeable = False
    return view


def are_weights_of_entries(sample_weight: Any, y: Any) -> bool:
    """Tell whether weights are a matrix, as y is."""
    with conversion_of("sample_weight"):
        return y.ndim == 2 and np.asarray(sample_weight).ndim == 2


def check_entry_weights(sample_weight: Any, y: Any) -> NDArray[np.float64]:
    """Validate weights of the entries of y (n_samples, n_outputs), likewise."""
    weights = check_array(
        _without_text(sample_weight),
        dtype=np.float64,
        order="C",
        input_name="sample_weight",
    )
    shape = (y.shape[0], y.shape[1] if y.ndim == 2 else 1)
    if weights.shape != shape:
        raise ValueError(
            f"sample_weight must have shape {shape[:1]} or {shape}, got {weights.shape}"
        )
    return _not_negative(weights)


def _not_negative(weights: NDArray[np.float64]) -> NDArray[np.float64]:
    if (weights < 0).any():
        at = np.unravel_index(np.argmin(weights), weights.shape)
        place = ", ".join(map(str, at))
        raise ValueError(
            "Negative values in sample_weight: weights must not be negative, "
            f"got sample_weight[{place}] = {weights[at]}"
        )
    if not weights.any():
        raise ValueError("sample_weight must not be zero for all samples: all are zero")
    with np.errstate(over="ignore"):
        total = weights.sum()
    if not np.isfinite(total):
        raise ValueError(
            "sample_weight is too large: the sum of the weights must be finite, got "
            f"{total}"
        )
    return np.ascontiguousarray(weights)


def weights_in(
    dtype: Any, weights: NDArray[np.float64] | None
) -> NDArray[np.float64] | None:
    """Return the weights with zeros for rows that this type takes for weightless.

    Their reciprocal, which a batch of nothing else is divided by, would be infinite.
    """
    if weights is None:
        return None
    rows = weights if weights.ndim == 1 else weights.mean(axis=1)
    limits, total, largest = np.finfo(dtype), rows.sum(), rows.max()
    if total > limits.max:
        raise ValueError(
            f"sample_weight is too large for {limits.dtype}: the sum of the weights "
            f"must be finite, got {total:g}"
        )
    if largest < limits.tiny:
        raise ValueError(
            f"sample_weight is too small for {limits.dtype}: a row must weigh at least "
            f"{limits.tiny:g}, got at most {largest:g}"
        )
    is_tiny = rows < limits.tiny
    if not rows[is_tiny].any():
        return weights
    weights = weights.copy()
    weights[is_tiny] = 0
    return weights


def without_missing(
    weights: NDArray[np.float64] | None, y: NDArray[Any]
) -> NDArray[np.float64] | None:
    """Return the weights with zeros for the entries of y that are NaN, if any is."""
    missing = np.isnan(y.reshape(len(y), -1))
    if not missing.any():
        return weights
    if weights is None:
        weights = np.ones(len(y))
    rows = weights[:, np.newaxis] if weights.ndim == 1 else weights
    present: NDArray[np.float64] = np.where(missing, 0.0, rows)
    if not present.any():
        raise ValueError("y must hold a number with weight, but all are NaN")
    return present


def total_weight(weights: NDArray[np.float64] | None, n_rows: int) -> float:
    """Return the sum of the weights of rows; of entries, that of the rows' means."""
    if weights is None:
        return float(n_rows)
    n_columns = weights.shape[1] if weights.ndim == 2 else 1
    return float(weights.sum()) / n_columns


def weighted_mean(values: NDArray[Any], weights: NDArray[np.float64] | None) -> float:
    """Return ``numpy.average(values, weights=weights)``, sooner if there are none."""
    if weights is None:
        return float(values.mean())
    return float(np.average(values, weights=weights))


@dataclass
class Piece:
    """Rows for one call of the core, in the order in which they are to be used."""

    rows: _core.Rows
    y: NDArray[Any]
    weights: NDArray[np.float64] | None
    order: NDArray[np.int64] | None

    @property
    def weight(self) -> float:
        """Sum of the weights of all rows."""
        return total_weight(self.weights, self.rows.n_rows)


@dataclass
class Samples:
    """X, y and weights of one fit; y is encoded as the core wants it (see `_core`)."""

    X: Any
    y: NDArray[Any]
    weights: NDArray[np.float64] | None

    def __post_init__(self) -> None:
        is_csc = sparse.issparse(self.X) and self.X.format == "csc"
        self._rows = None if is_csc else rows_of(self.X)

    @property
    def weight(self) -> float:
        """Sum of the weights, or number of rows."""
        return total_weight(self.weights, len(self.y))

    @property
    def in_pieces(self) -> bool:
        """Whether an epoch takes several calls of the core."""
        return self._rows is None

    def rows_with_weight(self) -> NDArray[np.int64]:
        """Return the numbers of the rows that count."""
        if self.weights is None:
            return np.arange(len(self.y))
        return np.flatnonzero(self.weights.reshape(len(self.y), -1).any(axis=1))

    def mean(self, losses: NDArray[Any]) -> float:
        """Return the mean of the rows' losses; of entries, of their sums over a row."""
        if losses.ndim == 2 and self.weights is not None and self.weights.ndim == 2:
            weighted = np.where(self.weights > 0, losses, 0) * self.weights
            return float(weighted.sum() / self.weight)
        of_rows = losses.sum(axis=1) if losses.ndim == 2 else losses
        return weighted_mean(of_rows, self.weights)

    def pieces(
        self, order: NDArray[np.int64] | None, batch_size: int
    ) -> Iterator[Piece]:
        """Cut the rows in ``order`` (None: all) into pieces of whole batches."""
        if self._rows is not None:
            _check_structure(self.X)  # which a callback may have changed
            yield Piece(self._rows, self.y, self.weights, order)
            return
        if order is None:
            order = np.arange(self.X.shape[0])
        for window in _windows(order, batch_size):
            weights = None if self.weights is None else self.weights[window]
            yield Piece(rows_of(self.X[window]), self.y[window], weights, None)

    def subset(self, rows: NDArray[np.int64]) -> Samples:
        """Return a copy of some rows."""
        weights = None if self.weights is None else self.weights[rows]
        return Samples(self.X[rows], self.y[rows], weights)
