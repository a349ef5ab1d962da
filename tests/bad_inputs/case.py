"""A case, and the small training that most cases use."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

Outcome = Literal["ok", "error", "either"]
Make = Callable[[], Any]

# Small whole numbers, which every type of X holds exactly.
BASE = np.random.RandomState(0).randint(0, 7, (40, 4)).astype(np.float64)
LABELS = (BASE[:, 0] > BASE[:, 1]).astype(np.int64)
WEIGHTS = np.linspace(0.5, 2.0, 40)

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


def train(
    estimator: Any, X: Any = BASE, y: Any = LABELS, weight: Any = None, **settings: Any
) -> Any:
    return estimator(**{**SETTINGS, **settings}).fit(X, y, weight)


def outputs(model: Any, X: Any) -> np.ndarray:
    """All that a model says of X, checked for being finite and one row for each."""
    predict = getattr(model, "predict_proba", model.predict)
    result = np.asarray(predict(X))
    assert np.isfinite(result).all(), "predictions are not finite"
    model.predict(X)
    return result


def assert_same_outputs(model: Any, plain: Any, X: Any = BASE) -> None:
    np.testing.assert_array_equal(outputs(model, X), outputs(plain, X))
