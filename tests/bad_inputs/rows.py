"""Dense X: every form it can lie in memory in, and what is no matrix of numbers."""

import tempfile
from typing import Any

import numpy as np
import pandas as pd
import polars as pl

from bad_inputs.case import (
    BASE,
    LABELS,
    OF_ARRAY,
    Case,
    Make,
    Outcome,
    outputs,
    set_up,
    train,
)

INTEGERS = "int8 int16 int32 int64 uint8 uint16 uint32 uint64".split()
FLOATS = "float16 float32 float64 longdouble".split()
SWAPPED = ">f2 >f4 >f8 >i2 >i4 >i8 >u4".split()


def misaligned() -> np.ndarray:
    memory = bytearray(BASE.nbytes + 1)
    view = np.frombuffer(memory, np.float64, BASE.size, offset=1).reshape(BASE.shape)
    view[:] = BASE
    assert not view.flags.aligned
    return view


def read_only() -> np.ndarray:
    X = BASE.copy()
    X.flags.writeable = False
    return X


def memory_mapped() -> np.ndarray:
    with tempfile.NamedTemporaryFile() as file:
        BASE.tofile(file.name)
        return np.memmap(file.name, np.float64, "r", shape=BASE.shape)


def strided() -> np.ndarray:
    return BASE.repeat(3, axis=0).repeat(2, axis=1)[::3, ::2]


class Subclass(np.ndarray):
    """An ndarray by another name."""


# What stands for BASE, and must give the bits that BASE gives.
SAME: dict[str, Make] = {
    **{dtype: lambda dtype=dtype: BASE.astype(dtype) for dtype in INTEGERS + FLOATS},
    **{dtype: lambda dtype=dtype: BASE.astype(dtype) for dtype in SWAPPED},
    **{
        f"strided {dtype}": lambda dtype=dtype: strided().astype(dtype, order="K")
        for dtype in ("int8", "float16", "float32")
    },
    "object of floats": lambda: BASE.astype(object),
    "object of integers": lambda: BASE.astype(int).astype(object),
    "Fortran order": lambda: np.asfortranarray(BASE),
    "Fortran order, float32": lambda: np.asfortranarray(BASE, np.float32),
    "strided": strided,
    "backward": lambda: BASE[::-1, ::-1].copy()[::-1, ::-1],
    "transposed": lambda: BASE.T.copy().T,
    "part of a wider matrix": lambda: np.hstack([BASE, BASE])[:, 4:],
    "misaligned": misaligned,
    "read-only": read_only,
    "memory-mapped": memory_mapped,
    "subclass": lambda: BASE.view(Subclass),
    "masked without mask": lambda: np.ma.masked_array(BASE),
    "lists": lambda: BASE.tolist(),
    "tuples": lambda: tuple(map(tuple, BASE)),
    "list of arrays": lambda: list(BASE),
    "frame": lambda: pd.DataFrame(BASE),
    "frame of integers": lambda: pd.DataFrame(BASE.astype(int)),
    "frame of two types": lambda: pd.DataFrame(BASE).astype({0: "int8", 1: "float32"}),
    "frame of nullable integers": lambda: pd.DataFrame(BASE).astype("Int32"),
    "frame of nullable floats": lambda: pd.DataFrame(BASE).astype("Float64"),
    "polars frame": lambda: pl.DataFrame(BASE, schema=list("abcd")),
}


def same_as_base(name: str, make: Make) -> Case:
    def run(estimator: Any) -> None:
        X = make()
        model, plain = train(estimator, X), train(estimator, BASE)
        np.testing.assert_array_equal(model.coefs_[0], plain.coefs_[0])
        np.testing.assert_array_equal(outputs(model, X), outputs(plain, BASE))

    return Case(f"X: {name}", "ok", run)


# Matrices of their own, which must train as their copy in float64 does.
OTHER: dict[str, Make] = {
    "bool": lambda: BASE > 3,
    "bool, Fortran order": lambda: np.asfortranarray(BASE > 3),
    "one row for all": lambda: np.broadcast_to(BASE[0], BASE.shape),
    "one column for all": lambda: np.broadcast_to(BASE[:, :1], BASE.shape),
    "all zero": lambda: np.zeros((40, 4)),
    "minus zero": lambda: np.full((40, 4), -0.0),
    "denormal": lambda: np.full((40, 4), 5e-324),
    "denormal float16": lambda: np.full((40, 4), 6e-8, np.float16),
    "one column": lambda: BASE[:, :1],
    "wide": lambda: np.tile(BASE, 2500),
    "extreme int8": lambda: np.where(BASE > 3, 127, -128).astype(np.int8),
    "extreme uint16": lambda: np.where(BASE > 3, 65535, 0).astype(np.uint16),
    "largest float16": lambda: np.where(BASE > 3, 65504, 0).astype(np.float16),
}


def same_as_copy(name: str, make: Make) -> Case:
    def run(estimator: Any) -> None:
        X = make()
        copy = np.array(X, dtype=np.float64, order="C")
        model, plain = train(estimator, X), train(estimator, copy)
        np.testing.assert_array_equal(outputs(model, X), outputs(plain, copy))

    return Case(f"X: {name}", "ok", run)


def with_value(value: Any, dtype: Any = np.float64, at: int = 77) -> Make:
    def make() -> np.ndarray:
        X = BASE.astype(dtype)
        X.ravel()[at] = value
        return X

    return make


MASK = BASE > 5
REFUSED: dict[str, Make] = {
    "NaN first": with_value(np.nan, at=0),
    "NaN in the middle": with_value(np.nan),
    "NaN last": with_value(np.nan, at=159),
    "NaN in float32": with_value(np.nan, np.float32),
    "NaN in float16": with_value(np.nan, np.float16),
    "NaN in big-endian": with_value(np.nan, ">f8"),
    "infinity": with_value(np.inf),
    "minus infinity": with_value(-np.inf),
    "infinity in float16": with_value(np.inf, np.float16),
    "infinity in float32": with_value(np.inf, np.float32),
    "both infinities": lambda: np.where(BASE > 3, np.inf, -np.inf),
    "None": lambda: None,
    "None inside": with_value(None, object),
    "word inside": with_value("five", object),
    "list inside": with_value([1, 2], object),
    "words": lambda: BASE.astype(str) + "x",
    "bytes": lambda: (BASE.astype(str) + "x").astype(bytes),
    "complex": lambda: BASE + 1j,
    "complex64": lambda: BASE.astype(np.complex64),
    "structured": lambda: np.zeros((40, 4), [("a", float), ("b", int)]),
    "void": lambda: np.zeros((40, 4), "V8"),
    "np.matrix": lambda: np.asmatrix(BASE),
    "number": lambda: 3.0,
    "word": lambda: "X",
    "dict": lambda: {"a": [1.0]},
    "set": lambda: {1.0, 2.0},
    "iterator": lambda: iter(BASE),
    "function": lambda: outputs,
    "object": object,
    "no dimensions": lambda: np.array(1.0),
    "one dimension": lambda: BASE.ravel(),
    "three dimensions": lambda: BASE.reshape(40, 2, 2),
    "four dimensions": lambda: BASE.reshape(40, 2, 2, 1),
    "no rows": lambda: BASE[:0],
    "no columns": lambda: BASE[:, :0],
    "nothing": lambda: [],
    "list of nothing": lambda: [[]],
    "ragged": lambda: [[1.0, 2.0]] * 39 + [[1.0]],
    "one row short": lambda: BASE[:39],
    "one row more": lambda: np.vstack([BASE, BASE[:1]]),
    "frame with words": lambda: pd.DataFrame(BASE).astype({2: str}).replace("1.0", "x"),
    "frame with categories": lambda: pd.DataFrame(
        {"a": pd.Categorical(np.where(BASE[:, 0] > 3, "low", "high"))}
    ),
    "frame with missing": lambda: pd.DataFrame(BASE).astype("Int32").where(BASE < 6),
    "polars frame with missing": lambda: pl.DataFrame({"a": [None, *BASE[1:, 0]]}),
    "polars frame with words": lambda: pl.DataFrame({"a": ["x"] * 40}),
}
# Where scikit-learn has no clear answer, or the numbers may or may not overflow.
EITHER: dict[str, Make] = {
    "1e30 in float32": lambda: np.float32(1e30) * BASE.astype(np.float32),
    "1e300": lambda: 1e300 * BASE,
    "longdouble beyond float64": with_value(np.longdouble("1e400"), np.longdouble),
    "largest float64": lambda: np.full((40, 4), np.finfo(np.float64).max),
    "largest float32": lambda: np.full((40, 4), np.finfo(np.float32).max, np.float32),
    "largest uint64": lambda: np.full((40, 4), 2**64 - 1, np.uint64),
    "least int64": lambda: np.full((40, 4), -(2**63), np.int64),
    "numbers as strings": lambda: BASE.astype(str),
    "numbers as bytes": lambda: BASE.astype(bytes),
    "datetime": lambda: BASE.astype("datetime64[D]"),
    "timedelta": lambda: BASE.astype("timedelta64[s]"),
    "masked": lambda: np.ma.masked_array(BASE, MASK),
    "memoryview": lambda: memoryview(BASE),
    "frame of dates": lambda: pd.DataFrame(BASE.astype("datetime64[s]")),
}


OF_X = rf"\bX\b|{OF_ARRAY}|np.matrix is not|non-finite parameter weights"


def fit_and_predict(name: str, expected: Outcome, make: Make) -> Case:
    def run(estimator: Any) -> None:
        with set_up():
            X = make()
        outputs(train(estimator, X), X)

    return Case(f"X: {name}", expected, run, says=OF_X)


def predict_only(name: str, expected: Outcome, make: Make) -> Case:
    def run(estimator: Any) -> None:
        with set_up():
            model, X = train(estimator), make()
        if expected == "either":  # what overflows may well be predicted to be infinite
            model.predict(X)
        else:
            outputs(model, X)

    return Case(f"X of predict: {name}", expected, run, says=OF_X)


def one_row(estimator: Any) -> None:
    outputs(train(estimator, BASE[:1], LABELS[:1]), BASE)


# A row more or less is wrong beside y, and fine where there is no y.
FINE_ALONE = {"one row short", "one row more"}

CASES = [
    *(same_as_base(name, make) for name, make in SAME.items()),
    *(same_as_copy(name, make) for name, make in OTHER.items()),
    *(fit_and_predict(name, "error", make) for name, make in REFUSED.items()),
    *(fit_and_predict(name, "either", make) for name, make in EITHER.items()),
    *(
        predict_only(name, "ok" if name in FINE_ALONE else "error", make)
        for name, make in REFUSED.items()
    ),
    *(predict_only(name, "either", make) for name, make in EITHER.items()),
    predict_only("a column more", "error", lambda: np.hstack([BASE, BASE[:, :1]])),
    predict_only("a column less", "error", lambda: BASE[:, 1:]),
    Case("X: one row", "ok", one_row),
    Case("X: one number", "ok", lambda est: train(est, [[1.0]], [1]).predict([[2.0]])),
    Case(
        "X: a hundred thousand rows",
        "ok",
        lambda est: train(
            est, np.tile(BASE, (2500, 1)), np.tile(LABELS, 2500), batch_size="auto"
        ),
    ),
]
