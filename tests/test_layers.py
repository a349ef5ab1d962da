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
LAST_ONLY = ("softmax", "exp")


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


# Computed once with PyTorch 2.13 in float64, for each point of Z (kinks included): the
# value of torch.nn.functional's function of this name (or sigmoid, hardtanh), and the
# diagonal of its Jacobian, by torch.autograd.functional.jacobian.
Z = [-8.0, -1.0, -0.3, 0.0, 0.7, 1.0, 8.0]
PYTORCH = {
    "identity": [
        (-8.0, 1.0),
        (-1.0, 1.0),
        (-0.3, 1.0),
        (0.0, 1.0),
        (0.7, 1.0),
        (1.0, 1.0),
        (8.0, 1.0),
    ],
    "logistic": [
        (0.0003353501304665, 0.0003352376707565),
        (0.26894142137, 0.1966119332415),
        (0.4255574831883, 0.2444583116907),
        (0.5, 0.25),
        (0.6681877721682, 0.2217128732931),
        (0.73105857863, 0.1966119332415),
        (0.9996646498695, 0.0003352376707564),
    ],
    "tanh": [
        (-0.9999997749297, 4.501405976549e-07),
        (-0.7615941559558, 0.419974341614),
        (-0.2913126124516, 0.9151369618266),
        (0.0, 1.0),
        (0.6043677771172, 0.6347395899825),
        (0.7615941559558, 0.419974341614),
        (0.9999997749297, 4.501405976549e-07),
    ],
    "relu": [
        (0.0, 0.0),
        (0.0, 0.0),
        (0.0, 0.0),
        (0.0, 0.0),
        (0.7, 1.0),
        (1.0, 1.0),
        (8.0, 1.0),
    ],
    "leaky_relu": [
        (-0.08, 0.01),
        (-0.01, 0.01),
        (-0.003, 0.01),
        (0.0, 0.01),
        (0.7, 1.0),
        (1.0, 1.0),
        (8.0, 1.0),
    ],
    "elu": [
        (-0.9996645373721, 0.0003354626279025),
        (-0.6321205588286, 0.3678794411714),
        (-0.2591817793183, 0.7408182206817),
        (0.0, 1.0),
        (0.7, 1.0),
        (1.0, 1.0),
        (8.0, 1.0),
    ],
    "selu": [
        (-1.757509564222, 0.0005897766249943),
        (-1.111330737813, 0.6467686030348),
        (-0.4556673153791, 1.302432025468),
        (0.0, 1.758099340847),
        (0.7354906911488, 1.050700987355),
        (1.050700987355, 1.050700987355),
        (8.405607898844, 1.050700987355),
    ],
    "hard_tanh": [
        (-1.0, 0.0),
        (-1.0, 0.0),
        (-0.3, 1.0),
        (0.0, 1.0),
        (0.7, 1.0),
        (1.0, 0.0),
        (1.0, 0.0),
    ],
    "gelu": [
        (-4.884981308351e-15, -3.980754600475e-14),
        (-0.1586552539315, -0.08331547058769),
        (-0.1146265733433, 0.2676722331729),
        (0.0, 0.5),
        (0.5306254434438, 0.9766141011337),
        (0.8413447460685, 1.083315470588),
        (8.0, 1.0),
    ],
    "silu": [
        (-0.002682801043732, -0.002346551235585),
        (-0.26894142137, 0.07232948812851),
        (-0.1276672449565, 0.3522199896811),
        (0.0, 0.5),
        (0.4677314405177, 0.8233867834733),
        (0.73105857863, 0.9276705118715),
        (7.997317198956, 1.002346551236),
    ],
    "mish": [
        (-0.002683250882547, -0.002347394381605),
        (-0.3034014613741, 0.0592167558774),
        (-0.1511331771383, 0.4085108769357),
        (0.0, 0.6),
        (0.5611483776439, 0.9687948682002),
        (0.8650983882673, 1.0490362201),
        (7.999998200645, 1.000003372584),
    ],
    "softplus": [
        (0.0003354063728958, 0.0003353501304665),
        (0.3132616875182, 0.26894142137),
        (0.5543552444685, 0.4255574831883),
        (0.6931471805599, 0.5),
        (1.103186048885, 0.6681877721682),
        (1.313261687518, 0.73105857863),
        (8.000335406373, 0.9996646498695),
    ],
    "softmax": [
        (1.122775065393e-07, 1.122774939331e-07),
        (0.0001231272366167, 0.0001231120763003),
        (0.0002479478061002, 0.0002478863279857),
        (0.0003346945298835, 0.0003345825094552),
        (0.0006739920157285, 0.0006735377504913),
        (0.0009097940586671, 0.0009089663334379),
        (0.9977103320755, 0.002284425345298),
    ],
    "exp": [
        (0.0003354626279025, 0.0003354626279025),
        (0.3678794411714, 0.3678794411714),
        (0.7408182206817, 0.7408182206817),
        (1.0, 1.0),
        (2.01375270747, 2.01375270747),
        (2.718281828459, 2.718281828459),
        (2980.957987042, 2980.957987042),
    ],
}


def test_pytorch_has_all_activations_but_thresholds():
    assert set(PYTORCH) == set(ACTIVATIONS) - set(FORWARD_ONLY)


@pytest.mark.parametrize("name", PYTORCH)
def test_activation_and_derivative_are_those_of_pytorch(name):
    value, derivative = np.transpose(PYTORCH[name])
    f = get_activation(name)
    np.testing.assert_allclose(f(Z), value, rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(f.derivative(Z), derivative, rtol=1e-12, atol=1e-15)


def test_there_is_an_object_for_each_activation():
    assert set(ACTIVATIONS) == {*REFERENCE, *FORWARD_ONLY, *LAST_ONLY}
    classes = {type(get_activation(name)).__name__ for name in ACTIVATIONS}
    assert classes <= set(activations.__all__)


def test_activations_want_numbers_and_keep_float32():
    for name in ACTIVATIONS:
        with pytest.raises(ValueError, match="z must hold numbers"):
            get_activation(name)(["a"])
        assert get_activation(name)(np.zeros(3, np.float32)).dtype == np.float32
        assert get_activation(name).derivative([1, 2]).dtype == np.float64


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
        (lambda: SGD(momentum=1.1), r"momentum of SGD .* \[0, 1\], got 1.1"),
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
        (
            lambda: Dense(1, weights=[[1.0]], initializer="zeros"),
            "got both weights and initializer='zeros'",
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
