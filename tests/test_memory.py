"""X is read where it lies: what fit and predict allocate beside it."""

import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import sparse

from fastbp import MLPRegressor

X = np.random.default_rng(0).standard_normal((10_000, 250))

each_dtype = pytest.mark.parametrize("dtype", ["float32", "float64"])


def peak(call: Callable[[], Any]) -> int:
    """Bytes that a call takes at most of Python, NumPy and SciPy.

    Not of the core: its memory is for a batch, and for the network.
    """
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def largest_peak(rows: Any, dtype: str) -> int:
    """What fit takes, or predict if that is more."""
    model = MLPRegressor(hidden_layer_sizes=(5,), max_iter=1, dtype=dtype)
    return max(
        peak(lambda: model.fit(rows, X[:, 0])), peak(lambda: model.predict(rows))
    )


@each_dtype
@pytest.mark.parametrize(
    "convert",
    [
        np.ascontiguousarray,
        np.asfortranarray,
        lambda X: X.repeat(2, axis=1)[:, ::2],
        lambda X: X.astype(np.float32),
        lambda X: X.astype(np.int64),
    ],
    ids=["C order", "Fortran order", "strided", "float32", "integers"],
)
def test_dense_rows_are_not_copied(convert: Any, dtype: str) -> None:
    rows = convert(X)
    assert largest_peak(rows, dtype) < 0.25 * rows.nbytes


@each_dtype
@pytest.mark.parametrize(("form", "share"), [("csr", 0.1), ("csc", 0.5)])
def test_sparse_rows_are_not_copied_as_a_whole(
    form: str, share: float, dtype: str
) -> None:
    # Of CSC, while an eighth becomes CSR, there still is the eighth before.
    rows = sparse.csr_array(np.maximum(X, 0)).asformat(form)
    n_bytes = rows.data.nbytes + rows.indices.nbytes + rows.indptr.nbytes
    assert largest_peak(rows, dtype) < share * n_bytes
