"""scikit-learn's own estimator checks, on both estimators and every solver.

No expected failures, and no settings that only serve the checks, but one: a small
``max_iter`` for L-BFGS. When it runs to the end, scikit-learn's own classifier fails
the check of the multilabel probabilities too: those of separable classes saturate at
exactly 1, where the check wants them strictly ordered.
"""

from collections.abc import Callable
from typing import Any

import pytest
from sklearn.utils.estimator_checks import (
    estimator_checks_generator,
    parametrize_with_checks,
)

from fastbp import MLPClassifier, MLPRegressor

pytestmark = pytest.mark.slow

ESTIMATORS = [
    estimator(**settings)
    for estimator in (MLPClassifier, MLPRegressor)
    for settings in (
        {"solver": "adam"},
        {"solver": "sgd"},
        {"solver": "lbfgs", "max_iter": 30},
    )
]


@parametrize_with_checks(ESTIMATORS)
def test_estimator_passes_check(estimator: Any, check: Callable[[Any], None]) -> None:
    check(estimator)


@pytest.mark.parametrize(
    ("estimator", "at_least"), [(MLPClassifier(), 74), (MLPRegressor(), 66)]
)
def test_number_of_checks_is_not_smaller_than_scikit_learns(
    estimator: Any, at_least: int
) -> None:
    # That of scikit-learn's own, 67 and 60, and the checks of transformers.
    # A lost tag (sparse input, multilabel) would silently drop checks.
    assert len(list(estimator_checks_generator(estimator))) >= at_least
