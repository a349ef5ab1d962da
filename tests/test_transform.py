"""The last hidden layer as features, and the logits."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from scipy.special import expit, softmax
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fastbp import MLPClassifier, MLPRegressor, config_context
from fastbp.activations import LeakyReLU

rng = np.random.RandomState(4)
X = rng.standard_normal((90, 6))
SCORES = X @ rng.standard_normal((6, 3))
CLASSES = SCORES.argmax(axis=1)
TARGETS = {
    "binary": (SCORES[:, 0] > 0).astype(int),
    "multiclass": CLASSES,
    "multilabel": (SCORES > 0).astype(int),
}

each_estimator = pytest.mark.parametrize("estimator", [MLPClassifier, MLPRegressor])
each_target = pytest.mark.parametrize("y", TARGETS.values(), ids=TARGETS)


def fitted(estimator: Any = MLPClassifier, **settings: Any) -> Any:
    shared = {"hidden_layer_sizes": (8, 5), "max_iter": 3, "random_state": 0}
    return estimator(**{**shared, **settings}).fit(X, CLASSES)


def hidden(model: Any, X: Any) -> np.ndarray:
    """The activations of the last hidden layer, for ReLU."""
    for W, b in zip(model.coefs_[:-1], model.intercepts_[:-1], strict=True):
        X = np.maximum(X @ W + b, 0)
    return np.asarray(X)


# ----------------------------------------------------------------------- transform


@each_estimator
@pytest.mark.parametrize("n_rows", [1, 20, 90])
def test_transform_gives_the_last_hidden_layer(estimator: Any, n_rows: int) -> None:
    model = fitted(estimator)
    actual = model.transform(X[:n_rows])
    assert actual.shape == (n_rows, 5)
    np.testing.assert_allclose(actual, hidden(model, X[:n_rows]), atol=1e-13)


def test_transform_takes_the_activation_of_each_layer() -> None:
    model = fitted(activation=["tanh", "softplus"])
    first = np.tanh(X @ model.coefs_[0] + model.intercepts_[0])
    expected = np.logaddexp(0, first @ model.coefs_[1] + model.intercepts_[1])
    np.testing.assert_allclose(model.transform(X), expected, rtol=1e-12)


def test_transform_takes_objects_for_activations() -> None:
    model = fitted(activation=[LeakyReLU(0.3), LeakyReLU(0.2)])
    first = X @ model.coefs_[0] + model.intercepts_[0]
    first = np.where(first > 0, first, 0.3 * first)
    expected = first @ model.coefs_[1] + model.intercepts_[1]
    expected = np.where(expected > 0, expected, 0.2 * expected)
    np.testing.assert_allclose(model.transform(X), expected, atol=1e-13)


def test_transform_of_many_rows_is_that_of_each() -> None:
    model = fitted(hidden_layer_sizes=(300,))
    many = np.tile(X, (20, 1))  # 540000 numbers, in three pieces
    np.testing.assert_allclose(
        model.transform(many), np.tile(hidden(model, X), (20, 1)), atol=1e-13
    )


@pytest.mark.parametrize("convert", [sparse.csr_array, sparse.csc_array])
def test_transform_of_sparse_rows_is_that_of_dense_ones(convert: Any) -> None:
    model = fitted()
    np.testing.assert_array_equal(model.transform(convert(X)), model.transform(X))


def test_transform_with_a_blas_is_nearly_the_same() -> None:
    model = fitted()
    with config_context(gemm="blas"):
        actual = model.transform(X)
    np.testing.assert_allclose(actual, model.transform(X), rtol=1e-12, atol=1e-13)


def test_transform_has_the_type_of_a_prediction() -> None:
    model = MLPClassifier((5,), max_iter=2).fit(X.astype(np.float32), CLASSES)
    assert model.transform(X.astype(np.float32)).dtype == np.float32
    assert model.transform(X).dtype == np.float64
    assert fitted(dtype="float32").transform(X).dtype == np.float32


@each_estimator
def test_transform_changes_nothing(estimator: Any) -> None:
    model = fitted(estimator)
    before = [a.copy() for a in model.coefs_], sorted(vars(model))
    model.transform(X)
    assert sorted(vars(model)) == before[1]
    for now, then in zip(model.coefs_, before[0], strict=True):
        np.testing.assert_array_equal(now, then)


@each_estimator
def test_transform_needs_a_hidden_layer(estimator: Any) -> None:
    model = fitted(estimator, hidden_layer_sizes=())
    message = r"hidden_layer_sizes must not be empty, got \(\)"
    for method in (lambda: model.transform(X), model.get_feature_names_out):
        with pytest.raises(ValueError, match=message):
            method()


@each_estimator
def test_transform_needs_a_fit(estimator: Any) -> None:
    for method in (lambda m: m.transform(X), lambda m: m.get_feature_names_out()):
        with pytest.raises(NotFittedError):
            method(estimator())


def test_fit_transform_is_fit_and_transform() -> None:
    weights = np.random.RandomState(1).uniform(0.5, 2, 90)
    model = MLPClassifier((5,), max_iter=3, random_state=0)
    actual = clone(model).fit_transform(X, CLASSES, sample_weight=weights)
    expected = model.fit(X, CLASSES, weights).transform(X)
    np.testing.assert_array_equal(actual, expected)


def test_features_have_names() -> None:
    names = ["mlpregressor0", "mlpregressor1", "mlpregressor2"]
    model = fitted(MLPRegressor, hidden_layer_sizes=(3,))
    assert list(model.get_feature_names_out()) == names
    frame = model.set_output(transform="pandas").transform(X)
    assert isinstance(frame, pd.DataFrame)
    assert list(frame.columns) == names


def test_network_makes_features_in_a_pipeline() -> None:
    steps = StandardScaler(), MLPClassifier((12,), random_state=0, max_iter=40)
    pipeline = make_pipeline(*steps, LogisticRegression()).fit(X, CLASSES)
    assert pipeline.score(X, CLASSES) > 0.8
    assert pipeline[:-1].get_feature_names_out()[-1] == "mlpclassifier11"


# --------------------------------------------------------------- decision_function


@each_target
@pytest.mark.parametrize("n_rows", [2, 90])
def test_decision_function_gives_the_logits(y: np.ndarray, n_rows: int) -> None:
    model = fitted().fit(X, y)
    rows = X[:n_rows]
    z = hidden(model, rows) @ model.coefs_[-1] + model.intercepts_[-1]
    expected = z.ravel() if y is TARGETS["binary"] else z
    actual = model.decision_function(rows)
    assert actual.shape == expected.shape
    np.testing.assert_allclose(actual, expected, rtol=1e-10, atol=1e-12)


@each_target
def test_probabilities_are_those_of_the_logits(y: np.ndarray) -> None:
    model = fitted().fit(X, y)
    z = model.decision_function(X)
    p = model.predict_proba(X)
    if y is TARGETS["binary"]:
        expected = np.column_stack([expit(-z), expit(z)])
        assert roc_auc_score(y, z) == roc_auc_score(y, p[:, 1])
    else:
        expected = softmax(z, axis=1) if y.ndim == 1 else expit(z)
    np.testing.assert_allclose(p, expected, rtol=1e-12)


def test_decision_function_does_not_saturate() -> None:
    model = fitted().fit(X, TARGETS["binary"])
    z = model.decision_function(1e6 * X)
    assert len(np.unique(model.predict_proba(1e6 * X)[:, 1])) < 10
    assert len(np.unique(z)) > 80
    assert np.isfinite(z).all()


def test_decision_function_of_one_class_is_one_number_a_row() -> None:
    assert fitted().fit(X, np.zeros(90)).decision_function(X).shape == (90,)


def test_regressor_has_no_decision_function() -> None:
    assert not hasattr(MLPRegressor(), "decision_function")
