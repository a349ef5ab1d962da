"""Network.from_estimator: the network of a fitted estimator, taken apart."""

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.neural_network import MLPClassifier as SklearnMLPClassifier
from sklearn.utils import check_random_state

from fastbp import MLPClassifier, MLPRegressor, Network, Trainer
from fastbp.activations import LeakyReLU
from fastbp.optimizers import SGD

rng = np.random.default_rng(0)
X = rng.normal(size=(60, 5))
LABELS = np.argmax(X[:, :3] + 0.3 * rng.normal(size=(60, 3)), axis=1)
COUNTS = rng.poisson(np.exp(X[:, 0]))
MODELS = {
    "one layer": MLPClassifier(7),
    "no hidden layer": MLPClassifier(()),
    "float32": MLPClassifier((6, 4), dtype="float32"),
    "an activation for each": MLPClassifier((6, 4), ["gelu", LeakyReLU(0.3)]),
    "layer norm": MLPClassifier((6, 4), normalization="layer"),
    "batch norm": MLPClassifier((6, 4), normalization="batch", batch_size=20),
    "dropout": MLPClassifier((6, 4), dropout=[0.0, 0.4], input_dropout=0.2),
    "one against the rest": MLPClassifier(7, output_activation="logistic"),
    "lbfgs": MLPClassifier(7, solver="lbfgs"),
}
OUTPUTS = ["identity", "logistic", "tanh", "softplus", "exp"]


def fitted(model, y):
    model.set_params(max_iter=3, random_state=0, tol=0.0)
    with pytest.warns(match="converged|converge"):
        return model.fit(X, y)


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_outputs_are_those_of_the_classifier(model):
    network = Network.from_estimator(fitted(model, LABELS))
    X_as = X.astype(network.dtype)
    tolerance = 1e-6 if network.dtype == "float32" else 1e-14
    p = network.forward(X_as)
    np.testing.assert_allclose(
        p / p.sum(axis=1, keepdims=True), model.predict_proba(X_as), rtol=tolerance
    )
    hidden = [layer for layer in network.layers if layer.name != "dropout"]
    if len(hidden) > 1:
        np.testing.assert_allclose(
            network.activations[-2], model.transform(X_as), rtol=tolerance, atol=1e-14
        )


@pytest.mark.parametrize("output", OUTPUTS)
def test_outputs_and_gradients_are_those_of_the_regressor(output):
    model = fitted(MLPRegressor(hidden_layer_sizes=6, output_activation=output), COUNTS)
    network = Network.from_estimator(model)
    np.testing.assert_allclose(network.predict(X)[:, 0], model.predict(X), rtol=1e-13)
    assert network.layers[-1].activation.name == output
    # The estimator's gradient, at the pre-activation, times the output's derivative.
    slope = network.layers[-1].activation.derivative
    network.forward(X)
    np.testing.assert_allclose(
        network.input_gradient(X),
        model.input_gradient(X) * slope(network.pre_activations[-1]),
        rtol=1e-12,
        atol=1e-15,
    )


def test_parameters_are_copies():
    model = fitted(MLPClassifier((6, 4), normalization="batch", batch_size=20), LABELS)
    network = Network.from_estimator(model)
    np.testing.assert_array_equal(
        network.parameters["dense_0.weights"], model.coefs_[0]
    )
    np.testing.assert_array_equal(
        network.statistics["batch_norm_3.mean"], model.norms_[1]["mean"]
    )
    before = model.predict_proba(X)
    network.flat_parameters[:] = 0
    np.testing.assert_array_equal(model.predict_proba(X), before)


def test_dropout_is_that_of_a_training_step():
    model = fitted(MLPClassifier((50,), dropout=0.5), LABELS)
    network = Network.from_estimator(model)
    network.forward(X, training=True, random_state=0)
    dropped = network.activations[1]
    assert 0.4 < np.mean(dropped[network.activations[0] > 0] == 0) < 0.6


def test_trainer_goes_on_where_the_estimator_stopped():
    settings = {"solver": "sgd", "momentum": 0.0, "alpha": 0.0, "shuffle": False}
    settings |= {"hidden_layer_sizes": 6, "batch_size": 20, "learning_rate_init": 0.1}
    settings |= {"random_state": 0, "tol": 0.0}
    few = fitted(MLPClassifier(**settings), LABELS)
    network = Network.from_estimator(few)
    trainer = Trainer(network, "log_loss", SGD(0.1), batch_size=20, shuffle=False)
    trainer.fit(X, LABELS, 4)
    more = MLPClassifier(**settings, max_iter=7)
    with pytest.warns(match="converged"):
        more.fit(X, LABELS)
    np.testing.assert_array_equal(network.parameters["dense_1.weights"], more.coefs_[1])


def test_global_random_numbers_are_left_alone():
    model = fitted(MLPClassifier(7), LABELS)
    stream = check_random_state(None).get_state()
    Network.from_estimator(model)
    np.testing.assert_array_equal(check_random_state(None).get_state()[1], stream[1])
    assert check_random_state(None).get_state()[2] == stream[2]


@pytest.mark.parametrize("other", [None, MLPClassifier, SklearnMLPClassifier()])
def test_something_else_is_refused(other):
    with pytest.raises(ValueError, match=r"estimator must be a fastbp\.MLPClassifier"):
        Network.from_estimator(other)


def test_estimator_must_be_fitted_and_in_order():
    with pytest.raises(NotFittedError):
        Network.from_estimator(MLPClassifier())
    model = fitted(MLPClassifier(7), LABELS)
    model.intercepts_[0] = model.intercepts_[0][:1]
    with pytest.raises(ValueError, match="shape"):
        Network.from_estimator(model)
