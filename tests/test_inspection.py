"""input_gradient and feature_importances_ of the estimators; objects as activations."""

import pickle

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.feature_selection import SelectFromModel

from fastbp import MLPClassifier, MLPRegressor
from fastbp.activations import LeakyReLU, Sign, Tanh
from reference.compare import bits

RNG = np.random.default_rng(0)
X = RNG.normal(size=(120, 5))
Y = 3 * X[:, 0] - X[:, 1] + 0.1 * RNG.normal(size=120)
CLASSES = np.array(["a", "b", "c"])[(X[:, 0] > 0).astype(int) + (X[:, 1] > 0.5)]
SMALL = {"hidden_layer_sizes": (7,), "max_iter": 3, "random_state": 0}


def differences(outputs, X, h=1e-6):
    """Central differences of outputs(X), (n_rows, n_outputs, n_features)."""
    columns = [
        (outputs(X + h * e) - outputs(X - h * e)) / (2 * h) for e in np.eye(X.shape[1])
    ]
    return np.stack([c.reshape(len(X), -1) for c in columns], axis=2)


def test_input_gradient_of_a_linear_model_is_its_weights():
    model = MLPRegressor(hidden_layer_sizes=(), max_iter=3, random_state=0).fit(X, Y)
    gradient = model.input_gradient(X)
    assert gradient.shape == X.shape
    np.testing.assert_array_equal(gradient, np.tile(model.coefs_[0].T, (120, 1)))


def test_input_gradient_of_a_regressor_is_the_difference_of_predictions():
    model = MLPRegressor(activation="tanh", **SMALL).fit(X, np.column_stack([Y, -Y]))
    expected = differences(model.predict, X)
    np.testing.assert_allclose(model.input_gradient(X), expected, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(
        model.input_gradient(X, 1), expected[:, 1], rtol=1e-6, atol=1e-8
    )


def test_input_gradient_of_poisson_is_that_of_the_logarithm():
    model = MLPRegressor("poisson", activation="tanh", **SMALL).fit(X, np.abs(Y))
    expected = differences(lambda x: np.log(model.predict(x)), X)[:, 0]
    np.testing.assert_allclose(model.input_gradient(X), expected, rtol=1e-6, atol=1e-8)


def test_input_gradient_of_classes_is_that_of_logits():
    model = MLPClassifier(activation="tanh", **SMALL).fit(X, CLASSES)
    logits = differences(model.predict_log_proba, X)
    gradient = model.input_gradient(X)
    assert gradient.shape == (120, 3, 5)
    # log-probabilities differ from logits by a number common to all classes.
    np.testing.assert_allclose(
        gradient - gradient[:, :1], logits - logits[:, :1], rtol=1e-5, atol=1e-7
    )
    for k, name in enumerate("abc"):
        np.testing.assert_array_equal(model.input_gradient(X, name), gradient[:, k])


def test_input_gradient_of_two_classes_has_a_sign():
    y = np.where(Y > 0, "yes", "no")
    model = MLPClassifier(activation="tanh", **SMALL).fit(X, y)

    def logit(x):
        p = model.predict_proba(x)
        return np.log(p[:, 1] / p[:, 0])

    gradient = model.input_gradient(X)
    np.testing.assert_allclose(
        gradient, differences(logit, X)[:, 0], rtol=1e-5, atol=1e-7
    )
    np.testing.assert_array_equal(model.input_gradient(X, "yes"), gradient)
    np.testing.assert_array_equal(model.input_gradient(X, "no"), -gradient)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_input_gradient_takes_sparse_rows_and_keeps_the_type(dtype):
    data = np.where(X > 0.5, X, 0).astype(dtype)
    model = MLPRegressor(**SMALL).fit(sparse.csr_array(data), Y)
    dense = model.input_gradient(data)
    assert dense.dtype == dtype
    np.testing.assert_allclose(
        model.input_gradient(sparse.csc_array(data)), dense, rtol=1e-5
    )


def test_importances_of_a_linear_model_are_weights_times_inputs():
    model = MLPRegressor(hidden_layer_sizes=(), max_iter=3, random_state=0).fit(X, Y)
    expected = np.abs(X * model.coefs_[0].T).mean(axis=0)
    np.testing.assert_allclose(model.feature_importances_, expected, rtol=1e-12)


def test_importances_are_the_mean_over_outputs():
    model = MLPClassifier(activation="tanh", **SMALL).fit(X, CLASSES)
    products = np.abs(model.input_gradient(X) * X[:, np.newaxis])
    np.testing.assert_allclose(
        model.feature_importances_, products.mean(axis=(0, 1)), rtol=1e-12
    )


def test_importances_look_at_256_rows():
    many = np.repeat(X, 10, axis=0)
    model = MLPRegressor(hidden_layer_sizes=(), max_iter=1).fit(many, np.repeat(Y, 10))
    chosen = np.linspace(0, 1199, 256).round().astype(int)
    expected = np.abs(many[chosen] * model.coefs_[0].T).mean(axis=0)
    np.testing.assert_allclose(model.feature_importances_, expected, rtol=1e-12)


@pytest.mark.parametrize("make", [sparse.csr_array, sparse.csc_array])
def test_importances_of_sparse_data_are_those_of_dense(make):
    data = np.where(X > 0.5, X, 0)
    models = [MLPClassifier(**SMALL).fit(x, CLASSES) for x in (data, make(data))]
    assert sparse.issparse(models[1]._kept_rows)
    np.testing.assert_allclose(
        models[1].feature_importances_, models[0].feature_importances_, rtol=1e-9
    )


def test_select_from_model_finds_the_features_that_count():
    model = MLPRegressor(
        hidden_layer_sizes=(7,), max_iter=200, random_state=0, learning_rate_init=0.01
    )
    selector = SelectFromModel(model, max_features=2, threshold=-np.inf).fit(X, Y)
    assert selector.get_support().tolist() == [True, True, False, False, False]


def test_importances_follow_partial_fit():
    model = MLPRegressor(hidden_layer_sizes=(), random_state=0)
    for first in (0, 60):
        rows = slice(first, first + 60)
        model.partial_fit(X[rows], Y[rows])
        expected = np.abs(X[rows] * model.coefs_[0].T).mean(axis=0)
        np.testing.assert_allclose(model.feature_importances_, expected, rtol=1e-12)


def test_work_of_importances_is_limited():
    # 3000 outputs of 5 x 200 + 200 x 3000 weights: 9 rows take 2**34 multiplications.
    model = MLPRegressor("squared_error", (200,), max_iter=1, dtype="float32")
    with pytest.warns(ConvergenceWarning):
        model.fit(X, np.tile(Y[:, np.newaxis], 3000))
    assert len(model._kept_rows) == 2**34 // (3000 * (5 * 200 + 200 * 3000))


def test_pickle_has_the_importances_and_not_the_rows():
    model = MLPRegressor(**SMALL).fit(X, Y)
    twin = pickle.loads(pickle.dumps(model))
    assert bits(twin.feature_importances_) == bits(model.feature_importances_)
    assert not hasattr(twin, "_kept_rows")
    assert bits(twin.input_gradient(X)) == bits(model.input_gradient(X))


def test_model_that_is_not_fitted_has_none():
    model = MLPRegressor()
    assert not hasattr(model, "feature_importances_")
    with pytest.raises(NotFittedError):
        model.input_gradient(X)


@pytest.mark.parametrize(
    ("make", "y", "target", "message"),
    [
        (MLPClassifier, CLASSES, "d", "target must be one of .* got 'd'"),
        (MLPRegressor, Y, 1, r"target must be in \[0, 1\), got 1"),
        (MLPRegressor, Y, "a", "target must be the number of an output, got 'a'"),
        (MLPRegressor, Y, True, "target must be the number of an output, got True"),
    ],
)
def test_bad_targets_are_refused(make, y, target, message):
    with pytest.raises(ValueError, match=message):
        make(**SMALL).fit(X, y).input_gradient(X, target)


# ------------------------------------------------------------ activations as objects


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_activation_object_equals_its_name(solver):
    settings = {**SMALL, "hidden_layer_sizes": (7, 6), "solver": solver}
    by_name = MLPRegressor(activation=["tanh", "leaky_relu"], **settings).fit(X, Y)
    by_object = MLPRegressor(activation=[Tanh(), LeakyReLU()], **settings).fit(X, Y)
    assert bits(*by_name.coefs_) == bits(*by_object.coefs_)
    assert bits(by_name.predict(X)) == bits(by_object.predict(X))


@pytest.mark.parametrize("n_rows", [3, 120])  # few rows are predicted in another way
def test_slopes_are_those_of_the_objects(n_rows):
    activations = [LeakyReLU(0.5), LeakyReLU(0.25)]
    model = MLPRegressor(
        hidden_layer_sizes=(7, 6), activation=activations, max_iter=2, random_state=0
    )
    model = clone(model).fit(X, Y)
    a = X[:n_rows]
    for W, b, slope in zip(
        model.coefs_, model.intercepts_, (0.5, 0.25, 1), strict=True
    ):
        z = a @ W + b
        a = np.where(z > 0, z, slope * z)
    np.testing.assert_allclose(model.predict(X[:n_rows]), a.ravel(), rtol=1e-12)


@pytest.mark.parametrize("activation", [Sign(), ["sign"], [Sign()], "step"])
def test_thresholds_are_refused(activation):
    with pytest.raises(ValueError, match="activation"):
        MLPRegressor(activation=activation, **SMALL).fit(X, Y)
