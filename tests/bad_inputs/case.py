"""A case, and the small training that most cases use."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

Outcome = Literal["ok", "error", "either"]
Make = Callable[[], Any]

# Small whole numbers, which every type of X holds exactly.
BASE = np.random.RandomState(0).randint(0, 7, (40, 4)).astype(np.float64)
LABELS = (BASE[:, 0] > BASE[:, 1]).astype(np.int64)
WEIGHTS = np.linspace(0.5, 2.0, 40)

# What scikit-learn's checks and NumPy say of an array whose name they do not know.
OF_ARRAY = (
    "Expected 2D|Found array with|inconsistent numbers of samples|Complex data|"
    "could not convert string to float|setting an array element|'numeric'"
)

SETTINGS: dict[str, Any] = {
    "hidden_layer_sizes": (5,),
    "max_iter": 3,
    "batch_size": 16,
    "random_state": 0,
    "dtype": "float64",
}


@dataclass(frozen=True)
class Case:
    """Something to try with an estimator class, and what must come of it.

    ``ok``: no exception, and the right result, which ``run`` itself asserts.
    ``error``: ValueError, TypeError or MemoryError, with a message that the regular
    expression ``says`` matches. ``either``: one of the two. The estimators may differ:
    ``expected`` is for the classifier, ``expected_of_regressor`` for the other.
    """

    name: str
    expected: Outcome
    run: Callable[[Any], None]
    expected_of_regressor: Outcome | None = None
    says: str = ""
    huge: bool = False  # asks for more memory than there is

    def expected_of(self, estimator: str) -> Outcome:
        if estimator == "MLPRegressor" and self.expected_of_regressor is not None:
            return self.expected_of_regressor
        return self.expected


@contextmanager
def set_up() -> Iterator[None]:
    """Around what a case needs before it begins: an error of it is no right ending."""
    try:
        yield
    except Exception as error:
        raise AssertionError(f"in the set-up: {error!r}") from error


def train(
    estimator: Any, X: Any = BASE, y: Any = LABELS, weight: Any = None, **settings: Any
) -> Any:
    return estimator(**{**SETTINGS, **settings}).fit(X, y, weight)


def trained(estimator: Any, **settings: Any) -> Any:
    """A model for a case that is about what comes after."""
    with set_up():
        return train(estimator, **settings)


def outputs(model: Any, X: Any) -> np.ndarray:
    """All that a model says of X, checked for being finite and one row for each."""
    predict = getattr(model, "predict_proba", model.predict)
    result = np.asarray(predict(X))
    assert np.isfinite(result).all(), "predictions are not finite"
    model.predict(X)
    return result


def assert_same_model(model: Any, plain: Any) -> None:
    ours, theirs = ([*m.coefs_, *m.intercepts_] for m in (model, plain))
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(outputs(model, BASE), outputs(plain, BASE))
