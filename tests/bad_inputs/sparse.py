"""Sparse X: all containers and index types, and broken structures."""

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.sparse as sp

from bad_inputs.case import (
    BASE,
    OF_ARRAY,
    Case,
    Make,
    Outcome,
    outputs,
    set_up,
    train,
)

THIN = np.where(BASE > 3, BASE, 0.0)
FORMS = """
    bsr_array coo_array csc_array csr_array dia_array dok_array lil_array
    bsr_matrix coo_matrix csc_matrix csr_matrix dia_matrix dok_matrix lil_matrix
""".split()
Compressed = Any  # a csr or csc array or matrix
Change = Callable[[Compressed], None]


def csr(dtype: Any = np.float64, index: Any = np.int32) -> Compressed:
    X = sp.csr_array(THIN.astype(dtype))
    X.indices, X.indptr = X.indices.astype(index), X.indptr.astype(index)
    return X


def explicit_zeros() -> Compressed:
    X = sp.csr_array(np.ones_like(THIN))
    X.data[:] = THIN.ravel()
    return X


def unsorted() -> Compressed:
    X = csr()
    for start, stop in zip(X.indptr, X.indptr[1:], strict=False):
        X.indices[start:stop] = X.indices[start:stop][::-1].copy()
        X.data[start:stop] = X.data[start:stop][::-1].copy()
    X.has_sorted_indices = False
    return X


def duplicates() -> Compressed:
    """Every element in two halves."""
    X = csr()
    indptr = 2 * X.indptr
    return sp.csr_array((X.data.repeat(2) / 2, X.indices.repeat(2), indptr), X.shape)


def read_only() -> Compressed:
    X = csr()
    for part in (X.data, X.indices, X.indptr):
        part.flags.writeable = False
    return X


SAME: dict[str, Make] = {
    **{form: lambda form=form: getattr(sp, form)(THIN) for form in FORMS},
    "64-bit indices": lambda: csr(index=np.int64),
    "csc of 64-bit indices": lambda: csr(index=np.int64).tocsc(),
    **{
        f"of {dtype}": lambda dtype=dtype: csr(dtype)
        for dtype in ("float32", "int8", "int64", "uint16")
    },
    "explicit zeros": explicit_zeros,
    "unsorted indices": unsorted,
    "duplicates": duplicates,
    "read-only": read_only,
    "a slice": lambda: sp.csr_array(np.vstack([THIN, THIN]))[40:],
}


def same_as_dense(name: str, make: Make) -> Case:
    def run(estimator: Any) -> None:
        X = make()
        model, plain = train(estimator, X), train(estimator, THIN)
        np.testing.assert_allclose(
            outputs(model, X), outputs(plain, THIN), rtol=1e-9, atol=1e-12
        )

    return Case(f"sparse X: {name}", "ok", run)


def set_index(value: int, at: int = 5) -> Change:
    def change(X: Compressed) -> None:
        X.indices[at] = value

    return change


def set_pointer(value: int, at: int) -> Change:
    def change(X: Compressed) -> None:
        X.indptr[at] = value

    return change


def set_part(part: str, make: Callable[[np.ndarray], Any]) -> Change:
    def change(X: Compressed) -> None:
        setattr(X, part, make(getattr(X, part)))

    return change


# Broken behind SciPy's back; each is tried on csr and csc, in fit and in predict.
BROKEN: dict[str, Change] = {
    "index out of range": set_index(40),
    "index far out of range": set_index(2**31 - 1),
    "last index out of range": set_index(40, at=-1),
    "negative index": set_index(-1),
    "least index": set_index(-(2**31)),
    "first pointer not 0": set_pointer(1, at=0),
    "negative pointer": set_pointer(-5, at=2),
    "pointer beyond the data": set_pointer(10**6, at=2),
    "last pointer beyond the data": set_pointer(10**6, at=-1),
    "last pointer before the end": set_pointer(3, at=-1),
    "largest pointer": set_pointer(2**31 - 1, at=1),
    "decreasing pointers": set_part("indptr", lambda p: p[::-1].copy()),
    "too few pointers": set_part("indptr", lambda p: p[:-1]),
    "too many pointers": set_part("indptr", lambda p: np.append(p, p[-1])),
    "no pointers": set_part("indptr", lambda p: p[:0]),
    "too few indices": set_part("indices", lambda i: i[:-1]),
    "no indices": set_part("indices", lambda i: i[:0]),
    "too few data": set_part("data", lambda d: d[:-1]),
    "no data": set_part("data", lambda d: d[:0]),
    "indices of two dimensions": set_part("indices", lambda i: i[:, np.newaxis]),
    "fractional indices": set_part("indices", lambda i: i + 0.5),
    "NaN in data": set_part("data", lambda d: d / 0.0 * 0.0),
    "infinite data": set_part("data", lambda d: d / 0.0),
    "complex data": set_part("data", lambda d: d + 1j),
}
# What SciPy or scikit-learn may mend, or take as what it was meant to be.
MAY_BE_MENDED = {
    "last pointer before the end": "either",  # a legal matrix with room at its end
    "fractional indices": "either",
    "indices of two dimensions": "either",
}


OF_BROKEN = "invalid sparse matrix X|indices must be|Input X contains|Complex data"


def broken(name: str, change: Change, form: str, method: str) -> Case:
    def run(estimator: Any) -> None:
        # As large as 40 x 40, so that rows and columns break at the same values.
        square = np.tile(THIN, 10)
        X = getattr(sp, f"{form}_array")(square)
        with set_up(), np.errstate(all="ignore"):
            model = train(estimator, square)
            change(X)
        if method == "fit":
            train(estimator, X)
        else:
            outputs(model, X)

    expected: Outcome = MAY_BE_MENDED.get(name, "error")  # type: ignore[assignment]
    return Case(f"{form} X of {method}: {name}", expected, run, says=OF_BROKEN)


OTHER: dict[str, tuple[Outcome, Make]] = {
    "no rows": ("error", lambda: sp.csr_array((0, 4))),
    "no columns": ("error", lambda: sp.csr_array((40, 0))),
    "a row short": ("error", lambda: sp.csr_array(THIN[1:])),
    "longdouble data": ("either", lambda: csr(np.longdouble)),
    "bool data": ("ok", lambda: sp.csr_array(THIN > 0)),
    "nothing stored": ("ok", lambda: sp.csr_array((40, 4))),
    "one dimension": ("error", lambda: sp.coo_array(THIN[:, 0])),
    "one column": ("ok", lambda: sp.csr_array(THIN[:, :1])),
    "wide": ("ok", lambda: sp.hstack([csr(), sp.csr_array((40, 10**5))], "csr")),
}


def fit_and_predict(name: str, expected: Outcome, make: Make) -> Case:
    def run(estimator: Any) -> None:
        with set_up():
            X = make()
        outputs(train(estimator, X), X)

    return Case(f"sparse X: {name}", expected, run, says=rf"\bX\b|{OF_ARRAY}")


def too_many_columns(estimator: Any) -> None:
    train(estimator, sp.csr_array((40, 2**40)))


CASES = [
    *(same_as_dense(name, make) for name, make in SAME.items()),
    *(
        broken(name, change, form, method)
        for name, change in BROKEN.items()
        for form in ("csr", "csc")
        for method in ("fit", "predict")
    ),
    *(fit_and_predict(name, *case) for name, case in OTHER.items()),
    Case("sparse X: 2**40 columns", "error", too_many_columns, None, "alloc", True),
]
