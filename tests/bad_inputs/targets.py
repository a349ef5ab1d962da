"""Targets and sample weights of every kind."""

from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sp

from bad_inputs.case import (
    BASE,
    LABELS,
    OF_ARRAY,
    WEIGHTS,
    Case,
    Make,
    Outcome,
    outputs,
    set_up,
    train,
)

NUMBERS = LABELS + 0.5


def with_value(value: Any, base: np.ndarray = NUMBERS) -> Make:
    def make() -> np.ndarray:
        y = base.copy()
        y[7] = value
        return y

    return make


# What the classifier, and what the regressor, must make of it.
TARGETS: dict[str, tuple[Outcome, Outcome, Make]] = {
    "bool": ("ok", "ok", lambda: LABELS > 0),
    "float": ("ok", "ok", lambda: LABELS.astype(float)),
    "float16": ("ok", "ok", lambda: LABELS.astype(np.float16)),
    "uint8": ("ok", "ok", lambda: LABELS.astype(np.uint8)),
    "big-endian": ("ok", "ok", lambda: LABELS.astype(">i4")),
    "object of integers": ("either", "ok", lambda: LABELS.astype(object)),
    "strided": ("ok", "ok", lambda: LABELS.repeat(3)[::3]),
    "backward": ("ok", "ok", lambda: LABELS[::-1]),
    "list": ("ok", "ok", lambda: LABELS.tolist()),
    "tuple": ("ok", "ok", lambda: tuple(LABELS)),
    "series": ("ok", "ok", lambda: pd.Series(LABELS, index=range(100, 140))),
    "nullable integers": (
        "ok",
        "ok",
        lambda: pd.Series(LABELS, dtype="Int8"),
    ),
    "column": ("ok", "ok", lambda: LABELS[:, np.newaxis]),
    "frame of a column": ("ok", "ok", lambda: pd.DataFrame(LABELS)),
    "negative": ("ok", "ok", lambda: -LABELS),
    "far apart": ("ok", "either", lambda: LABELS * 2**62),
    "one class": ("ok", "ok", lambda: np.zeros(40, int)),
    "a class for each row": ("ok", "ok", lambda: np.arange(40)),
    "two columns of 0 and 1": ("ok", "ok", lambda: np.c_[LABELS, 1 - LABELS]),
    "Fortran order": ("ok", "ok", lambda: np.asfortranarray(np.c_[LABELS, 1 - LABELS])),
    "columns of zeros": ("ok", "ok", lambda: np.zeros((40, 3), int)),
    "words": ("ok", "error", lambda: np.where(LABELS, "yes", "no")),
    "object of words": ("ok", "error", lambda: np.array(["n", "y"], object)[LABELS]),
    "bytes": ("either", "error", lambda: np.where(LABELS, b"yes", b"no")),
    "categories": ("ok", "error", lambda: pd.Categorical(np.where(LABELS, "y", "n"))),
    "fractions": ("error", "ok", lambda: NUMBERS + BASE[:, 2] / 8),
    "1e300": ("either", "either", lambda: NUMBERS * 1e300),
    "denormal": ("either", "ok", lambda: LABELS * 5e-324),
    "columns of fractions": ("error", "ok", lambda: BASE[:, :2] / 8),
    "columns of classes": ("error", "ok", lambda: BASE[:, :2].astype(int)),
    "NaN": ("error", "error", with_value(np.nan)),
    "infinity": ("error", "error", with_value(np.inf)),
    "None": ("error", "error", lambda: None),
    "None inside": ("error", "error", with_value(None, LABELS.astype(object))),
    "word inside": ("error", "error", with_value("a", LABELS.astype(object))),
    "missing integer": (
        "error",
        "error",
        lambda: pd.Series(LABELS, dtype="Int8").where(LABELS > 0),
    ),
    "complex": ("error", "error", lambda: LABELS + 1j),
    "dates": ("either", "either", lambda: LABELS.astype("datetime64[D]")),
    "structured": ("error", "either", lambda: np.zeros(40, [("a", int)])),
    "number": ("error", "error", lambda: 1),
    "word": ("error", "error", lambda: "target"),
    "set": ("error", "error", lambda: set(LABELS)),
    "no dimensions": ("error", "error", lambda: np.array(1)),
    "three dimensions": ("error", "error", lambda: LABELS.reshape(40, 1, 1)),
    "no rows": ("error", "error", lambda: LABELS[:0]),
    "no columns": ("error", "error", lambda: np.zeros((40, 0))),
    "one short": ("error", "error", lambda: LABELS[:39]),
    "one more": ("error", "error", lambda: np.append(LABELS, 0)),
    "row": ("error", "error", lambda: LABELS[np.newaxis]),
    "ragged": ("error", "error", lambda: [[1, 0]] * 39 + [[1]]),
    "sparse labels": ("either", "either", lambda: sp.csr_array(np.c_[LABELS, LABELS])),
}


OF_Y = (
    rf"\by\b|label|at least 1 dimension|Singleton array|{OF_ARRAY}|"
    "not supported between|unhashable|non-finite parameter weights"
)


def target(name: str, expected: tuple[Outcome, Outcome], make: Make) -> Case:
    def run(estimator: Any) -> None:
        with set_up():
            y = make()
        outputs(train(estimator, y=y), BASE)

    return Case(f"y: {name}", expected[0], run, expected[1], says=OF_Y)


SAME_WEIGHTS: dict[str, Make] = {
    "list": lambda: WEIGHTS.tolist(),
    "series": lambda: pd.Series(WEIGHTS, index=range(100, 140)),
    "strided": lambda: WEIGHTS.repeat(2)[::2],
    "big-endian": lambda: WEIGHTS.astype(">f8"),
    "object": lambda: WEIGHTS.astype(object),
}
REFUSED_WEIGHTS: dict[str, Make] = {
    "negative": with_value(-1.0, WEIGHTS),
    "a little negative": with_value(-1e-300, WEIGHTS),
    "NaN": with_value(np.nan, WEIGHTS),
    "infinity": with_value(np.inf, WEIGHTS),
    "minus infinity": with_value(-np.inf, WEIGHTS),
    "all zero": lambda: np.zeros(40),
    "all minus zero": lambda: np.full(40, -0.0),
    "all negative": lambda: -WEIGHTS,
    "cancelling": lambda: np.tile([1.0, -1.0], 20),
    "zero as number": lambda: 0.0,
    "one short": lambda: WEIGHTS[:39],
    "one more": lambda: np.append(WEIGHTS, 1.0),
    "none at all": lambda: [],
    "column": lambda: WEIGHTS[:, np.newaxis],
    "matrix": lambda: np.c_[WEIGHTS, WEIGHTS],
    "words": lambda: ["heavy"] * 40,
    "word": lambda: "balanced",
    "dict": lambda: {0: 1.0, 1: 2.0},
    "None inside": with_value(None, WEIGHTS.astype(object)),
    "complex": lambda: WEIGHTS + 1j,
    "sparse": lambda: sp.csr_array(WEIGHTS[:, np.newaxis]),
}
OTHER_WEIGHTS: dict[str, tuple[Outcome, Make]] = {
    "one number": ("ok", lambda: 2.0),
    "bool": ("ok", lambda: LABELS > 0),
    "integers": ("ok", lambda: LABELS + 1),
    "float16": ("ok", lambda: WEIGHTS.astype(np.float16)),
    "a single one": ("ok", lambda: np.eye(1, 40, 7)[0]),
    "tiny": ("either", lambda: np.full(40, 1e-300)),
    "denormal": ("either", lambda: np.full(40, 5e-324)),
    "huge": ("either", lambda: np.full(40, 1e300)),
    "sum beyond float64": ("either", lambda: np.full(40, 1e308)),
    "largest integers": ("either", lambda: np.full(40, 2**62)),
}


def same_weights(name: str, make: Make) -> Case:
    def run(estimator: Any) -> None:
        model = train(estimator, weight=make())
        plain = train(estimator, weight=WEIGHTS)
        np.testing.assert_array_equal(model.coefs_[0], plain.coefs_[0])

    return Case(f"weights: {name}", "ok", run)


OF_WEIGHTS = "(?i)sample.weight|Found array with 0 sample"


def weights(name: str, expected: Outcome, make: Make, solver: str) -> Case:
    def run(estimator: Any) -> None:
        with set_up():
            weight = make()
        outputs(train(estimator, weight=weight, solver=solver), BASE)

    return Case(f"weights, {solver}: {name}", expected, run, says=OF_WEIGHTS)


def batch_without_weight(estimator: Any) -> None:
    weight = np.ones(40)
    weight[16:32] = 0.0  # the second of the batches of 16
    model = train(estimator, weight=weight, shuffle=False)
    kept = weight > 0
    plain = train(estimator, BASE[kept], LABELS[kept], shuffle=False)
    np.testing.assert_allclose(model.coefs_[0], plain.coefs_[0], rtol=1e-12)


CASES = [
    *(target(name, (a, b), make) for name, (a, b, make) in TARGETS.items()),
    *(same_weights(name, make) for name, make in SAME_WEIGHTS.items()),
    *(
        weights(name, "error", make, solver)
        for name, make in REFUSED_WEIGHTS.items()
        for solver in ("adam", "lbfgs")
    ),
    *(weights(name, *case, "adam") for name, case in OTHER_WEIGHTS.items()),
    *(weights(name, *case, "lbfgs") for name, case in OTHER_WEIGHTS.items()),
    Case("weights: none in one batch", "ok", batch_without_weight),
]
