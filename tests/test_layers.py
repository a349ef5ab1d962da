"""Descriptions of layers, and activations and optimizers as objects."""

import pickle

import numpy as np
import pytest

from fastbp import activations, optimizers
from fastbp.activations import ACTIVATIONS, LeakyReLU, get_activation
from fastbp.layers import Dense
from fastbp.optimizers import SGD, Adam, AdamW, get_optimizer
from reference import ACTIVATIONS as REFERENCE

FORWARD_ONLY = ("sign", "step")
LAST_ONLY = ("softmax",)


@pytest.mark.parametrize("name", REFERENCE)
def test_activation_and_derivative_agree_with_the_reference(name):
    z = np.linspace(-6, 6, 101)[:, np.newaxis] + np.array([0.0, 0.01])
    f = get_activation(name)
    np.testing.assert_allclose(
        f(z), REFERENCE[name].function(z), rtol=1e-13, atol=1e-15
    )
    np.testing.assert_allclose(
        f.derivative(z), REFERENCE[name].derivative(z), rtol=1e-12, atol=1e-14
    )
    assert f(z.astype(np.float32)).dtype == np.float32


def test_there_is_an_object_for_each_activation():
    assert set(ACTIVATIONS) == {*REFERENCE, *FORWARD_ONLY, *LAST_ONLY}
    classes = {type(get_activation(name)).__name__ for name in ACTIVATIONS}
    assert classes <= set(activations.__all__)


def test_thresholds_have_two_values_and_no_slope():
    z = [-2.0, -1e-300, 0.0, 1e-300, 2.0]
    assert activations.Sign()(z).tolist() == [-1, -1, 1, 1, 1]
    assert activations.Step()(z).tolist() == [0, 0, 1, 1, 1]
    for name in FORWARD_ONLY:
        assert not get_activation(name).derivative(z).any()
        assert not get_activation(name).is_trainable


def test_leaky_relu_has_the_slope_it_is_given():
    f = LeakyReLU(0.25)
    assert f(-8.0) == -2.0
    assert f.derivative([-8.0, 8.0]).tolist() == [0.25, 1.0]


@pytest.mark.parametrize(
    "value",
    [
        *map(get_activation, ACTIVATIONS),
        *map(get_optimizer, optimizers.OPTIMIZERS),
        LeakyReLU(0.5),
        SGD(1.0, 0.5, nesterov=True),
    ],
    ids=repr,
)
def test_objects_are_immutable_and_equal_to_their_copies(value):
    twin = pickle.loads(pickle.dumps(value))
    assert twin == value and hash(twin) == hash(value) and repr(twin) == repr(value)
    with pytest.raises(AttributeError):
        value.learning_rate = 1.0
    with pytest.raises(AttributeError):
        value.negative_slope = 0.5


@pytest.mark.parametrize("get", [get_activation, get_optimizer])
@pytest.mark.parametrize("value", ["sigmoid", None, 3, LeakyReLU, SGD])
def test_unknown_names_are_refused(get, value):
    with pytest.raises(ValueError, match="must be one of .* got "):
        get(value)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LeakyReLU(1.0), r"negative_slope of LeakyReLU .* \[0, 1\), got 1.0"),
        (
            lambda: SGD(0),
            r"learning_rate of SGD .* in \(0, inf\), got 0",
        ),
        (lambda: SGD("fast"), "learning_rate of SGD"),
        (lambda: SGD(True), "learning_rate of SGD"),
        (lambda: SGD(momentum=1.0), r"momentum of SGD .* \[0, 1\), got 1.0"),
        (lambda: SGD(nesterov=True), "nesterov=True of SGD needs momentum > 0"),
        (lambda: SGD(momentum=0.5, nesterov=1), "nesterov of SGD must be a bool"),
        (lambda: Adam(beta_1=-0.1), r"beta_1 of Adam .* \[0, 1\), got -0.1"),
        (lambda: Adam(epsilon=0), "epsilon of Adam"),
        (lambda: AdamW(weight_decay=np.nan), "weight_decay of AdamW .* got nan"),
        (lambda: Dense(0), "n_out of Dense must be an integer of at least 1, got 0"),
        (lambda: Dense(True), "n_out of Dense"),
        (lambda: Dense(2.0), "n_out of Dense"),
        (lambda: Dense(2, "sigmoid"), "an activation must be one of"),
        (lambda: Dense(2, bias=1), "bias of Dense must be a bool, got 1"),
        (lambda: Dense(2, initializer="he"), "an initializer must be .* got 'he'"),
        (lambda: Dense(2, weights=[[1.0]]), r"\(n_in, 2\), got .* \(1, 1\)"),
        (lambda: Dense(1, weights=[[np.nan]]), "with NaN or infinity"),
        (lambda: Dense(1, bias_values=[1.0, 2.0]), r"shape \(1,\), got"),
        (
            lambda: Dense(1, bias=False, bias_values=[1.0]),
            "bias_values of Dense need bias=True",
        ),
    ],
)
def test_bad_values_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_dense_keeps_a_copy_of_what_it_is_given():
    weights = np.ones((2, 1))
    layer = Dense(1, weights=weights)
    weights[:] = 5
    assert layer.weights.tolist() == [[1.0], [1.0]]
    with pytest.raises(ValueError, match="read-only"):
        layer.weights[:] = 5
    with pytest.raises(AttributeError):
        layer.n_out = 2


def test_repr_shows_what_is_not_default():
    assert repr(Dense(3)) == "Dense(3, Identity())"
    layer = Dense(2, "relu", bias=False, weights=np.zeros((4, 2)), trainable=False)
    assert repr(layer) == (
        "Dense(2, ReLU(), bias=False, weights=<array (4, 2)>, trainable=False)"
    )
