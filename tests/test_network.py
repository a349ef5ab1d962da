"""Network: against the reference, finite differences and closed forms."""

import copy
import pickle
import signal
import threading
import time

import numpy as np
import pytest
import threadpoolctl
from scipy import sparse

import fastbp
from fastbp import Network, Trainer, _core, activations
from fastbp.activations import LeakyReLU
from fastbp.layers import Dense
from fastbp.losses import CLASSIFICATION_LOSSES, REGRESSION_LOSSES, LogLoss
from reference import ACTIVATIONS, LOSSES
from reference import Network as ReferenceNetwork
from reference.compare import assert_close, bits, eps
from reference.compiled import FMA_ISAS
from reference.layers import Stack, differences_of

DTYPES = ("float32", "float64")
NAMES = tuple(ACTIVATIONS)


def make_network(sizes, activations, dtype="float64", **options):
    layers = [
        Dense(n, f, initializer=normal, **options)
        for n, f in zip(sizes[1:], activations, strict=True)
    ]
    network = Network(layers, n_in=sizes[0], dtype=dtype, random_state=0)
    rng = np.random.default_rng(1)
    for name, values in network.parameters.items():
        if name.endswith("biases"):
            values[:] = rng.uniform(-0.5, 0.5, values.shape)
    return network


# A loss that takes the output as it is.
LOSS_OF = {
    "identity": "squared_error",
    "logistic": "log_loss",
    "tanh": "squared_error",
    "softplus": "gamma",
    "exp": "poisson",
    "softmax": "log_loss",
}


def normal(fan_in, fan_out, rng):
    return rng.normal(size=(fan_in, fan_out)) / np.sqrt(fan_in)


def reference_of(network):
    """The same network in plain NumPy and float64."""
    values = {k: v.astype(np.float64) for k, v in network.parameters.items()}
    n = len(network.layers)
    return Stack(
        [values[f"dense_{i}.weights"] for i in range(n)],
        [
            values.get(f"dense_{i}.biases", np.zeros(layer.n_out))
            for i, layer in enumerate(network.layers)
        ],
        [layer.activation.name for layer in network.layers],
    )


def rows(n, n_in, dtype="float64"):
    return np.random.default_rng(2).normal(size=(n, n_in)).astype(dtype)


# Every activation in every place, the last included.
STACKS = [(NAMES[i], NAMES[(i + 4) % 12], NAMES[(i + 7) % 12]) for i in range(12)]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("activations", STACKS, ids="-".join)
def test_forward_and_backward_agree_with_the_reference(activations, dtype):
    network = make_network((5, 17, 9, 3), activations, dtype)
    X, gradient = rows(130, 5, dtype), rows(130, 3, dtype)
    stack = reference_of(network)
    z, a = stack.forward(X.astype(np.float64))
    of_weights, of_biases, of_inputs = stack.backward(
        X.astype(np.float64), gradient.astype(np.float64)
    )
    outputs = network.forward(X)
    assert_close([outputs], [a[-1]], dtype, 17)
    assert_close(network.activations, a, dtype, 17)
    assert_close(network.pre_activations, z, dtype, 17)
    assert_close([network.backward(gradient)], of_inputs, dtype, 17 * 9)
    for i in range(3):
        got = [network.gradients[f"dense_{i}.{part}"] for part in ("weights", "biases")]
        assert_close(got, [of_weights[i], of_biases[i]], dtype, 130 * 9)


@pytest.mark.parametrize("activations", STACKS[::4], ids="-".join)
def test_jacobian_agrees_with_the_reference(activations):
    network = make_network((5, 17, 9, 3), activations)
    X = rows(20, 5)
    jacobian = network.jacobian(X)
    assert jacobian.shape == (20, 3, 5)
    assert_close([jacobian], [reference_of(network).jacobian(X)], "float64", 17 * 9)


# Computed once with PyTorch 2.13 in float64: y = tanh(linear(gelu(linear(x)))) with the
# functions of torch.nn.functional, gradients by (y * c).sum().backward(), and
# torch.autograd.functional.jacobian of each row.
OF_PYTORCH = {
    "x": [[1.0, -2.0], [0.5, 1.5], [-1.0, 0.25]],
    "c": [[1.0, -0.5], [0.25, 2.0], [-1.5, 0.75]],
    "y": [
        [0.6178694831796, 0.8622971058413],
        [-0.1817624741245, 0.146391215602],
        [-0.3197788765318, 0.2096414450786],
    ],
    "dx": [
        [0.1738713194039, -0.06894348211657],
        [-0.03545173361582, -0.0703840197726],
        [-0.2286383389612, 0.1880121942039],
    ],
    "jacobian": [
        [[0.20942131942, -0.1229793306704], [0.07110000003219, -0.1080716971076]],
        [[0.2653453128347, -0.1413338998155], [-0.05089403091224, -0.01752527240936]],
        [[0.1494734128291, -0.1330803030707], [-0.005904292956656, -0.01547768053606]],
    ],
}
GRADIENTS_OF_PYTORCH = {
    "dense_0.weights": [
        [0.5055723986261, -0.3935652481638, 0.3087980446732],
        [-1.158362609002, 0.3904062156236, -0.06497959629323],
    ],
    "dense_0.biases": [-0.4039356486793, 0.7889536681219, 0.3775053501101],
    "dense_1.weights": [
        [0.2303030421411, 0.3591585006842],
        [-0.1848920221212, 0.6153057553884],
        [1.303180218403, -0.6293547857462],
    ],
    "dense_1.biases": [-0.4866343026807, 2.545955221739],
}


def test_two_layers_have_the_values_of_pytorch():
    first = {"weights": [[0.3, -0.2, 0.5], [0.1, 0.4, -0.6]]}
    second = {"weights": [[0.7, -0.3], [-0.5, 0.2], [0.4, 0.6]]}
    layers = [
        Dense(3, "gelu", **first, bias_values=[0.05, -0.1, 0.2]),
        Dense(2, "tanh", **second, bias_values=[-0.15, 0.25]),
    ]
    network = Network(layers, n_in=2)
    X = OF_PYTORCH["x"]
    got = {
        "y": network.forward(X),
        "dx": network.backward(OF_PYTORCH["c"]),
        **network.gradients,
    }
    got = {name: values.copy() for name, values in got.items()}
    got["jacobian"] = network.jacobian(X)
    expected = OF_PYTORCH | GRADIENTS_OF_PYTORCH
    for name, values in got.items():
        np.testing.assert_allclose(values, expected[name], rtol=1e-11, err_msg=name)


def test_jacobian_of_a_linear_network_is_the_product_of_its_weights():
    network = make_network((4, 6, 5, 3), ["identity"] * 3)
    stack = reference_of(network)
    product = (stack.weights[0] @ stack.weights[1] @ stack.weights[2]).T
    for jacobian in network.jacobian(rows(7, 4)):
        np.testing.assert_allclose(jacobian, product, rtol=1e-13, atol=1e-14)


def test_jacobian_is_the_difference_of_the_outputs():
    network = make_network((4, 6, 3), ["tanh", "logistic"])
    X = rows(5, 4)
    differences = differences_of(network.predict, X)
    np.testing.assert_allclose(network.jacobian(X), differences, rtol=1e-7, atol=1e-9)


def test_input_gradient_is_a_row_of_the_jacobian():
    network = make_network((4, 6, 3), ["tanh", "softplus"])
    X = rows(5, 4)
    jacobian = network.jacobian(X)
    for output in range(3):
        np.testing.assert_array_equal(
            network.input_gradient(X, output), jacobian[:, output]
        )


def test_input_gradient_of_a_loss_is_that_of_each_row():
    network = make_network((4, 3), ["identity"])
    X, y = rows(5, 4), rows(5, 3)
    error = network.predict(X) - y
    expected = error @ network.parameters["dense_0.weights"].T
    gradient = network.input_gradient(X, y=y, loss="squared_error")
    np.testing.assert_allclose(gradient, expected, rtol=1e-12)


@pytest.mark.parametrize("make", [sparse.csr_array, sparse.csc_array])
def test_sparse_rows_give_what_dense_ones_give(make):
    network = make_network((9, 8, 2), ["tanh", "identity"])
    X = np.where(rows(120, 9) > 0.8, rows(120, 9), 0)
    gradient = rows(120, 2)
    dense = (network.forward(X), network.backward(gradient))
    of_dense = network.flat_gradients.copy()
    for ours, theirs in zip(
        (network.forward(make(X)), network.backward(gradient)), dense, strict=True
    ):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(network.flat_gradients, of_dense, rtol=1e-11, atol=1e-13)


# The reference's loss, the loss and last activation here.
LOSSES_AND_OUTPUTS = [
    ("squared_error", "squared_error", "identity"),
    ("softmax_cross_entropy", "log_loss", "identity"),
    ("softmax_cross_entropy", "log_loss", "softmax"),
    ("binary_cross_entropy", "log_loss", "logistic"),
    ("poisson", "poisson", "identity"),
    ("poisson", "poisson", "exp"),
]


def targets(reference_loss, dtype="float64"):
    rng = np.random.default_rng(3)
    return {
        "squared_error": rng.normal(size=(50, 3)).astype(dtype),
        "softmax_cross_entropy": rng.integers(0, 3, 50),
        "binary_cross_entropy": rng.integers(0, 2, (50, 3)).astype(dtype),
        "poisson": rng.poisson(2.0, (50, 3)).astype(dtype),
    }[reference_loss]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("name", "loss", "last"), LOSSES_AND_OUTPUTS)
def test_loss_and_gradients_agree_with_the_reference(name, loss, last, dtype):
    network = make_network((6, 8, 3), ["tanh", last], dtype)
    X, y = rows(50, 6, dtype), targets(name, dtype)
    weights = np.random.default_rng(3).uniform(0.5, 2, 50)
    stack = reference_of(network)
    assert name in LOSSES
    reference = ReferenceNetwork(stack.weights, stack.biases, "tanh", name, clip=0)
    data = (X.astype(np.float64), y if y.ndim == 1 else y.astype(np.float64), weights)
    value, gradients = network.loss_and_gradients(X, y, loss, weights)
    assert value == pytest.approx(reference.cost(*data), rel=1e3 * eps(dtype))
    of_weights, of_biases = reference.gradients(*data)
    for i in range(2):
        got = [gradients[f"dense_{i}.{part}"] for part in ("weights", "biases")]
        assert_close(got, [of_weights[i], of_biases[i]], dtype, 50)


@pytest.mark.parametrize("n_rows", [1, 111, 112, 113, 600])  # the core's blocks: 112
@pytest.mark.parametrize("n_threads", [1, 3])
def test_loss_of_any_number_of_rows_agrees_with_formulas(n_rows, n_threads):
    network = make_network((3, 2), ["identity"])
    X, y = rows(n_rows, 3), rows(n_rows, 2)
    error = network.predict(X) - y
    tape = _core.Tape(network._core_network(), _core.Rows.dense(X), n_threads=n_threads)
    of_weights, of_biases = np.empty((3, 2)), np.empty(2)
    losses, dx = tape.backward(
        y,
        "squared_error",
        gradients=([of_weights], [of_biases]),
        n_threads=n_threads,
    )
    np.testing.assert_allclose(losses, (error**2).sum(axis=1) / 2, rtol=1e-13)
    np.testing.assert_allclose(of_weights, X.T @ error, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(of_biases, error.sum(axis=0), rtol=1e-10, atol=1e-12)
    W = network.parameters["dense_0.weights"]
    np.testing.assert_allclose(dx, error @ W.T, rtol=1e-10, atol=1e-12)


def test_tape_refuses_targets_of_other_rows():
    network = make_network((3, 2), ["identity"])
    tape = _core.Tape(network._core_network(), _core.Rows.dense(rows(4, 3)))
    with pytest.raises(ValueError, match=r"y must have shape \(4, 2\)"):
        tape.backward(rows(5, 2), "squared_error")
    with pytest.raises(ValueError, match=r"sample_weight must have shape \(4\)"):
        tape.backward(rows(4, 2), "squared_error", sample_weight=np.ones(5))
    with pytest.raises(ValueError, match="do not go together"):
        tape.backward(rows(4, 2), _core.Loss("poisson", "tanh"))
    with pytest.raises(IndexError, match=r"layer must be in \[0, 1\), got 1"):
        tape.output(1)


def test_tape_refuses_arrays_that_gradients_do_not_fit_in():
    network = make_network((3, 2), ["identity"])
    tape = _core.Tape(network._core_network(), _core.Rows.dense(rows(4, 3)))
    right = np.zeros((3, 2)), np.zeros(2)
    for gradients, message in [
        (([right[0]],), r"must be \(coefs, intercepts\)"),
        (([right[0]], [right[1]], [{}]), "expected 0 norms, got 1"),
        (([right[0]], []), "expected 1 coefs and intercepts, got 1 and 0"),
        (([right[0]], [np.zeros(3)]), r"intercepts\[0\] must have shape \(2\)"),
        (([right[0].T.copy().T], [right[1]]), r"coefs\[0\] must be C-contiguous"),
        (
            ([np.broadcast_to(0.0, (3, 2)).copy()], [read_only(2)]),
            r"gradients must be writable, got a read-only float64 array .*\(2,\)",
        ),
    ]:
        with pytest.raises(ValueError, match=message):
            tape.backward(rows(4, 2), "squared_error", gradients=gradients)
    assert not right[0].any()
    assert not right[1].any()


def read_only(n):
    array = np.zeros(n)
    array.flags.writeable = False
    return array


def test_tape_takes_other_rows_if_they_have_room():
    network = make_network((3, 5, 2), ["tanh", "identity"])
    core, X, other, y = network._core_network(), rows(4, 3), rows(4, 3) + 1, rows(4, 2)
    tape, expected = (_core.Tape(core, _core.Rows.dense(x)) for x in (X, other))
    assert tape.forward(core, _core.Rows.dense(other))
    assert bits(tape.output(1)) == bits(expected.output(1))
    got, once = (t.backward(y, "squared_error") for t in (tape, expected))
    assert bits(*got) == bits(*once)
    for refused in (rows(5, 3), rows(4, 2)):
        assert not tape.forward(core, _core.Rows.dense(refused))
    assert not tape.forward(network._core_network(), _core.Rows.dense(X))
    indptr, indices = np.arange(5, dtype=np.int32), np.zeros(4, np.int32)
    assert not tape.forward(core, _core.Rows.csr(indptr, indices, np.ones(4), 3))
    assert bits(tape.output(1)) == bits(expected.output(1))


@pytest.mark.parametrize("training", [False, True])
def test_memory_of_a_pass_with_former_parameters_is_used_again(training):
    network = make_network((3, 50, 2), ["tanh", "identity"])
    twin = network.copy()
    for step in range(4):
        X, y = rows(40, 3) + step, rows(40, 2)
        if step == 2:
            X, y = X[:30], y[:30]  # no room
        loss, _ = network.loss_and_gradients(X, y, "squared_error", training=training)
        fresh = twin.copy()
        expected, _ = fresh.loss_and_gradients(X, y, "squared_error", training=training)
        assert loss == expected
        assert bits(network.flat_gradients) == bits(fresh.flat_gradients)
        for each in (network, twin):
            each.flat_parameters[...] -= 0.1 * fresh.flat_gradients


def test_prediction_with_other_parameters_frees_the_memory_of_the_last_pass():
    network = make_network((3, 5, 2), ["tanh", "identity"])
    network.forward(rows(4, 3))
    network.predict(rows(1, 3))
    assert network.activations[0].shape == (4, 5)
    network.flat_parameters[...] += 1
    network.predict(rows(1, 3))
    assert network._tape is None


class InterruptedCore:
    """A core whose parameters are set when Ctrl-C comes."""

    def __init__(self, core):
        self.core = core

    def __getattr__(self, name):
        return getattr(self.core, name)

    def set_parameters(self, *arrays, **options):
        self.core.set_parameters(*arrays, **options)
        raise KeyboardInterrupt


def test_ctrl_c_while_parameters_are_taken_over_leaves_no_former_pass():
    network = make_network((3, 5, 2), ["tanh", "identity"])
    network.forward(rows(4, 3))
    network.flat_parameters[...] *= 3
    core = network._core
    network._core = InterruptedCore(core)
    with pytest.raises(KeyboardInterrupt):
        network.predict(rows(4, 3))
    network._core = core
    with pytest.raises(RuntimeError, match="no forward pass with these parameters"):
        network.backward(rows(4, 2))


def test_first_gradients_of_threads_after_a_change_are_those_of_the_new_parameters():
    n_threads, n_rounds, X, rng = 4, 300, rows(4, 3), np.random.default_rng(0)
    network = make_network((3, 16, 16, 2), ["tanh", "tanh", "identity"])
    begin, end = (threading.Barrier(n_threads + 1, timeout=60) for _ in range(2))
    got = [None] * n_threads

    def work(i):
        for _ in range(n_rounds):
            begin.wait()
            got[i] = network.input_gradient(X, output=0)
            end.wait()

    threads = [threading.Thread(target=work, args=(i,)) for i in range(n_threads)]
    for thread in threads:
        thread.start()
    wrong = 0
    for _ in range(n_rounds):
        network.parameters["dense_1.weights"][...] = rng.normal(size=(16, 16))
        right = bits(network.copy().input_gradient(X, output=0))
        begin.wait()
        end.wait()
        wrong += sum(bits(gradient) != right for gradient in got)
    for thread in threads:
        thread.join()
    assert wrong == 0


def test_failed_pass_leaves_the_last_one():
    network = make_network((3, 5, 2), ["tanh", "identity"])
    X, dy = rows(4, 3), rows(4, 2)
    network.forward(X)
    expected = network.copy()
    expected.forward(X)
    with pytest.raises(ValueError, match="X"):
        network.forward(rows(4, 2))
    assert bits(network.backward(dy)) == bits(expected.backward(dy))


def test_parameters_that_are_set_again_are_no_others():
    network = make_network((3, 5, 2), ["tanh", "identity"])
    core, (weights, biases, _) = network._core_network(), network._parameter_arrays
    assert not core.set_parameters(weights, biases)
    for array in (weights[0], weights[1], biases[1]):
        array.flat[-1] = -array.flat[-1] - 1
        assert core.set_parameters(weights, biases)
        assert not core.set_parameters(weights, biases)
    biases[0][:] = 0.0
    core.set_parameters(weights, biases)
    biases[0][:] = -0.0
    assert core.set_parameters(weights, biases)
    assert bits(*core.get_parameters()[1]) == bits(*biases)


def fourth_power(y, p):
    return ((y - p) ** 4).sum(axis=1), -4 * (y - p) ** 3


def name_of(loss):
    return getattr(loss, "__name__", None) or str(loss)


ALL_LOSSES = [
    *REGRESSION_LOSSES,
    *CLASSIFICATION_LOSSES,
    LogLoss(label_smoothing=0.1),
    fourth_power,
]


LAST = ["identity", "logistic", "softmax", "softplus", "exp", "elu"]


@pytest.mark.parametrize("last", LAST)
@pytest.mark.parametrize("loss", ALL_LOSSES, ids=name_of)
def test_gradients_of_all_losses_are_differences(loss, last):
    # And of those behind all kinds of outputs; pairs without a meaning are refused.
    network = make_network((4, 6, 3), ["tanh", last])
    y = np.random.default_rng(4).uniform(0.2, 0.8, (20, 3))
    y /= y.sum(axis=1, keepdims=True)  # probabilities are numbers for any loss
    try:
        errors = network.gradient_check(rows(20, 4), y, loss)
    except ValueError as error:
        assert "needs a last layer with the activation" in str(error)
        assert (loss, last) in REFUSED
    else:
        assert max(errors.values()) < 1e-6
        assert (loss, last) not in REFUSED


REFUSED = {
    *((loss, "softmax") for loss in REGRESSION_LOSSES if loss != "squared_error"),
    *((loss, "logistic") for loss in ("poisson", "gamma")),
    *((loss, "elu") for loss in ("poisson", "gamma")),
    *((loss, last) for loss in ALL_LOSSES[7:13] for last in ("softplus", "exp", "elu")),
} - {("squared_error", last) for last in ("softplus", "exp", "elu")}


def test_softmax_layer_has_the_jacobian_of_lecture_001():
    network = Network([Dense(3, "softmax")], n_in=4, random_state=0)
    X = rows(5, 4)
    W = network.parameters["dense_0.weights"]
    z = X @ W + network.parameters["dense_0.biases"]
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(network.forward(X), p, rtol=1e-13)
    np.testing.assert_allclose(network.predict(X), p, rtol=1e-13)
    np.testing.assert_allclose(network.activations[0], p, rtol=1e-13)
    np.testing.assert_allclose(network.pre_activations[0], z, rtol=1e-13)
    for jacobian, row in zip(network.jacobian(X), p, strict=True):
        expected = (np.diag(row) - np.outer(row, row)) @ W.T
        np.testing.assert_allclose(jacobian, expected, rtol=1e-11, atol=1e-14)


def test_labels_and_their_indicators_are_the_same_targets():
    network = make_network((6, 8, 3), ["tanh", "softmax"])
    X, y = rows(50, 6), targets("softmax_cross_entropy")
    value, gradients = network.loss_and_gradients(X, y, "log_loss")
    expected = network.flat_gradients.copy()
    again, _ = network.loss_and_gradients(X, np.eye(3)[y], "log_loss")
    assert again == pytest.approx(value, rel=1e-13)
    np.testing.assert_allclose(network.flat_gradients, expected, rtol=1e-11, atol=1e-14)


@pytest.mark.parametrize("dtype", DTYPES)
def test_gradient_check_finds_the_gradients_right(dtype):
    network = make_network((4, 6, 3), ["gelu", "identity"], dtype)
    errors = network.gradient_check(rows(20, 4), np.arange(20) % 3, "log_loss")
    assert list(errors) == list(network.parameters)
    assert 0 < max(errors.values()) < 1e-7


def test_gradient_check_finds_a_wrong_gradient(monkeypatch):
    network = make_network((4, 6, 1), ["tanh", "identity"])
    right = Network._loss_and_gradients

    def wrong(self, *arguments):
        loss = right(self, *arguments)
        self.gradients["dense_0.biases"][2] *= 1.5
        return loss

    monkeypatch.setattr(Network, "_loss_and_gradients", wrong)
    errors = network.gradient_check(rows(20, 4), rows(20, 1), "squared_error")
    assert errors["dense_0.biases"] > 1e-2
    assert errors["dense_0.weights"] < 1e-7


def test_gradient_check_leaves_the_network_alone():
    network = make_network((4, 6, 1), ["tanh", "identity"])
    network.forward(rows(3, 4))
    before = bits(network.flat_parameters, network.flat_gradients)
    network.gradient_check(rows(20, 4), rows(20, 1), "squared_error", n_checked=3)
    assert bits(network.flat_parameters, network.flat_gradients) == before
    assert network.activations[0].shape == (3, 6)


@pytest.mark.parametrize("output", LOSS_OF)
def test_predict_equals_forward_for_many_rows(output):
    network = make_network((5, 30, 2), ["relu", output])
    X = rows(1000, 5)
    outputs = network.forward(X)
    expected = network.layers[-1].activation(network.pre_activations[-1])
    np.testing.assert_allclose(outputs, expected, rtol=1e-13)
    np.testing.assert_array_equal(network.activations[-1], outputs)
    np.testing.assert_array_equal(network.predict(X), outputs)
    trainer = Trainer(network, LOSS_OF[output])
    np.testing.assert_array_equal(trainer.predict(X), outputs)
    np.testing.assert_array_equal(
        network.predict(sparse.csc_array(X))[:5].shape, (5, 2)
    )


def test_long_sums_keep_their_digits():
    network = Network([Dense(1, initializer="zeros")], n_in=1, dtype="float32")
    X, y = np.full((200_000, 1), 0.1, np.float32), np.ones(200_000)
    for given in (X, sparse.csr_array(X)):
        _, gradients = network.loss_and_gradients(given, y, "squared_error")
        assert gradients["dense_0.weights"][0, 0] == pytest.approx(-0.1, rel=2e-4)


# ------------------------------------------------------------------ the flat vector


def test_parameters_are_views_of_the_flat_vector():
    network = make_network((2, 3, 1), ["identity", "identity"])
    network.flat_parameters[:] = np.arange(13)
    weights = network.parameters["dense_0.weights"]
    np.testing.assert_array_equal(weights, [[0, 1, 2], [3, 4, 5]])
    np.testing.assert_array_equal(network.parameters["dense_0.biases"], [6, 7, 8])
    np.testing.assert_array_equal(
        network.parameters["dense_1.weights"].T, [[9, 10, 11]]
    )
    assert network.parameters["dense_1.biases"] == [12]
    assert np.shares_memory(weights, network.flat_parameters)
    # (1, 1) -> (9, 12, 15) -> 9 * 9 + 10 * 12 + 11 * 15 + 12
    assert network.predict([[1.0, 1.0]]) == [[378]]
    with pytest.raises(TypeError):
        network.parameters["dense_0.weights"] = weights


def test_parameters_that_are_written_are_used():
    network = make_network((2, 1), ["identity"])
    network.parameters["dense_0.weights"][:] = [[2.0], [3.0]]
    network.parameters["dense_0.biases"][:] = 1.0
    assert network.forward([[1.0, 1.0]]) == [[6.0]]
    network.parameters["dense_0.biases"][:] = 2.0
    assert network.forward([[1.0, 1.0]]) == [[7.0]]


def test_backward_needs_a_forward_pass_with_the_same_parameters():
    network = make_network((2, 1), ["identity"])
    with pytest.raises(RuntimeError, match="call forward"):
        network.backward([[1.0]])
    network.forward([[1.0, 2.0]])
    network.backward([[1.0]])
    network.flat_parameters[0] += 1
    with pytest.raises(RuntimeError, match="call forward"):
        network.backward([[1.0]])
    network.forward([[1.0, 2.0]])
    network.flat_parameters[0] += 1
    network.predict([[1.0, 2.0]])
    with pytest.raises(RuntimeError, match="call forward"):
        network.backward([[1.0]])


def test_layer_without_bias_has_no_biases():
    network = Network([Dense(3, "tanh", bias=False), Dense(1)], n_in=2, random_state=0)
    assert list(network.parameters) == [
        "dense_0.weights",
        "dense_1.weights",
        "dense_1.biases",
    ]
    assert network.forward(np.zeros((1, 2))) == [[0.0]]


def test_given_parameters_are_taken():
    layer = Dense(1, "step", weights=[[1.0], [1.0]], bias_values=[-1.5])
    network = Network([layer], n_in=2)
    logical_and = network.forward([[0, 0], [0, 1], [1, 0], [1, 1]])
    np.testing.assert_array_equal(logical_and.ravel(), [0, 0, 0, 1])


def test_initial_weights_are_within_the_bound_of_glorot():
    network = Network([Dense(40)], n_in=60, random_state=0)
    weights = network.parameters["dense_0.weights"]
    assert 0.95 * np.sqrt(6 / 100) < np.abs(weights).max() <= np.sqrt(6 / 100)
    assert not network.parameters["dense_0.biases"].any()
    again = Network([Dense(40)], n_in=60, random_state=0)
    assert bits(weights) == bits(again.parameters["dense_0.weights"])


def test_leaky_slopes_are_those_of_their_layers():
    layers = [
        Dense(1, LeakyReLU(slope), weights=[[-1.0]]) for slope in (0.5, 0.25, 0.125)
    ]
    network = Network(layers, n_in=1)
    # 2 -> -2 * 0.5 = -1 -> 1 -> -1 * 0.125
    assert network.forward([[2.0]]) == [[-0.125]]
    assert network.backward([[1.0]]) == [[-0.125 * 0.5]]


# ---------------------------------------------------------------------- thresholds


def test_threshold_cannot_be_trained():
    network = Network([Dense(2, "tanh"), Dense(1, "sign")], n_in=2)
    X = np.zeros((1, 2))
    assert network.forward(X).shape == (1, 1)
    for call in (
        lambda: network.backward([[1.0]]),
        lambda: network.jacobian(X),
        lambda: network.input_gradient(X),
        lambda: network.loss_and_gradients(X, [1.0], "squared_error"),
        lambda: network.gradient_check(X, [1.0], "squared_error"),
        lambda: fastbp.Trainer(network, "squared_error"),
    ):
        with pytest.raises(ValueError, match="layer 1 has activation='sign'"):
            call()


# ------------------------------------------------------------------ copies and words


@pytest.mark.parametrize(
    "duplicate",
    [
        Network.copy,
        copy.copy,
        copy.deepcopy,
        lambda network: pickle.loads(pickle.dumps(network)),
    ],
)
def test_copy_is_equal_and_independent(duplicate):
    network = make_network((3, 4, 2), ["tanh", "identity"], "float32")
    network.forward(rows(3, 3))
    twin = duplicate(network)
    assert bits(twin.flat_parameters) == bits(network.flat_parameters)
    assert bits(twin.predict(rows(5, 3))) == bits(network.predict(rows(5, 3)))
    before = bits(network.flat_parameters)
    twin.parameters["dense_0.weights"][:] = 0
    assert bits(network.flat_parameters) == before
    assert repr(twin) == repr(network)


def test_repr_shows_the_layers():
    network = Network([Dense(4, "relu"), Dense(2, bias=False)], n_in=3)
    assert repr(network) == (
        "Network([Dense(4, ReLU()), Dense(2, Identity(), bias=False)], n_in=3, "
        "dtype='float64')"
    )


def test_summary_counts_parameters():
    network = Network([Dense(30, "logistic"), Dense(10)], n_in=784)
    lines = network.summary().splitlines()
    assert lines[2].split() == ["dense_0", "(n,", "30)", "logistic", "23550"]
    assert lines[-1].split() == ["total", "23860"]


# --------------------------------------------------------------------- promises


def tape_bits(network, n_threads):
    X, gradient = rows(900, 20), rows(900, 3)
    core = network._core_network()
    tape = _core.Tape(core, _core.Rows.dense(X), n_threads=n_threads)
    z = tape.pre_activations(0, n_threads=n_threads)
    gradients = network._gradient_arrays
    _, dx = tape.backward(gradient, "linear", gradients=gradients, n_threads=n_threads)
    return bits(tape.output(1), z, network.flat_gradients, dx)


def test_bits_do_not_depend_on_the_number_of_threads():
    network = make_network((20, 33, 3), ["tanh", "gelu"])
    expected = tape_bits(network, 1)
    for n_threads in (2, 3, 4):
        assert tape_bits(network, n_threads) == expected


def test_bits_do_not_depend_on_the_instruction_set():
    X, gradient = rows(200, 20), rows(200, 3)
    start = [normal(20, 33, np.random.RandomState(0)), np.ones((33, 3))]
    seen = set()
    for isa in FMA_ISAS:
        layers = [_core.Layer.dense(33, "tanh"), _core.Layer.dense(3, "logistic")]
        core = _core.Network(layers, "squared_error", "float64", n_in=20, isa=isa)
        core.set_parameters(start, [np.zeros(33), np.ones(3)])
        tape = _core.Tape(core, _core.Rows.dense(X))
        weights = [np.empty_like(W) for W in start]
        biases = [np.empty(33), np.empty(3)]
        _, dx = tape.backward(gradient, "linear", gradients=(weights, biases))
        seen.add(bits(tape.output(1), *weights, *biases, dx))
    assert len(seen) <= 1


def test_blas_gives_the_same_within_rounding():
    network = make_network((20, 33, 3), ["tanh", "gelu"])
    X, gradient = rows(300, 20), rows(300, 3)
    network.forward(X)
    expected = [network.backward(gradient), network.flat_gradients.copy()]
    with fastbp.config_context(gemm="blas"):
        twin = network.copy()
        twin.forward(X)
        got = [twin.backward(gradient), twin.flat_gradients]
        assert_close(twin.pre_activations, network.pre_activations, "float64", 33)
    assert_close(got, expected, "float64", 300)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["forward", "backward"])
def test_ctrl_c_ends_a_pass_long_before_its_end(name):
    network = make_network((1500,) * 4, ["tanh"] * 3)
    X = rows(3000, 1500)  # or, as good as any, the gradient of the outputs
    with threadpoolctl.threadpool_limits(1):
        network.forward(X)
        begin = time.perf_counter()
        getattr(network, name)(X)
        seconds = time.perf_counter() - begin
        press = threading.Timer(seconds / 5, signal.raise_signal, [signal.SIGINT])
        begin = time.perf_counter()
        with pytest.raises(KeyboardInterrupt):
            press.start()
            getattr(network, name)(X)
            press.join()
        assert time.perf_counter() - begin < seconds / 2


# ---------------------------------------------------------------------- bad values


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"layers": []}, "layers must be objects of fastbp.layers"),
        ({"layers": [3]}, "layers must be objects of fastbp.layers"),
        ({"n_in": 0}, "n_in must be an integer of at least 1, got 0"),
        ({"n_in": 2.5}, "n_in must be an integer of at least 1, got 2.5"),
        ({"dtype": "float16"}, "dtype must be 'float32' or 'float64', got 'float16'"),
        ({"layers": [Dense(1, weights=[[1.0]])]}, "have 1 rows, but the layer has 2"),
        (
            {"layers": [Dense(1, initializer=lambda *_: np.zeros(3))]},
            r"initializer of .* must return an array of numbers of shape \(2, 1\)",
        ),
    ],
)
def test_bad_network_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Network(**{"layers": [Dense(1)], "n_in": 2, **arguments})


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda n: n.forward(np.zeros((3, 4))), "X has 4 columns, the network has 2"),
        (lambda n: n.forward([[np.nan, 0.0]]), "contains NaN"),
        (lambda n: n.forward([["a", "b"]]), "could not convert"),
        (lambda n: n.backward([[1.0]]), r"grad_output must have shape \(1, 2\)"),
        (lambda n: n.input_gradient([[0.0, 0.0]]), r"output must be .* \[0, 2\)"),
        (lambda n: n.input_gradient([[0.0, 0.0]], 2), r"\[0, 2\), got 2"),
        (lambda n: n.input_gradient([[0.0, 0.0]], y=[1]), "both y and loss"),
        (lambda n: n.loss_and_gradients([[0, 0]], [1], "mse"), "a loss must be one of"),
        (
            lambda n: n.loss_and_gradients([[0, 0]], [2], "log_loss"),
            r"y must hold classes in \[0, 2\), one for each output, got y\[0\] = 2",
        ),
        (
            lambda n: n.loss_and_gradients([[0, 0]], [1.0], "squared_error"),
            r"y must have shape \(1, 2\)",
        ),
        (
            lambda n: n.loss_and_gradients([[0, 0]], [[0, 2]], "log_loss"),
            r"y must be in \[0, 1\]",
        ),
        (
            lambda n: n.loss_and_gradients([[0, 0]], [[0, np.inf]], "squared_error"),
            "y must be finite",
        ),
    ],
)
def test_bad_arguments_are_refused(call, message):
    network = Network([Dense(2)], n_in=2)
    network.forward([[0.0, 0.0]])
    with pytest.raises(ValueError, match=message):
        call(network)


def test_loss_of_probabilities_wants_probabilities():
    network = Network([Dense(1, "tanh")], n_in=2)
    with pytest.raises(ValueError, match="'identity', to which it applies 'logistic'"):
        network.loss_and_gradients([[0, 0]], [1], "log_loss")


@pytest.mark.parametrize("name", ["softmax", "exp"])
def test_some_activations_are_for_the_last_layer(name):
    with pytest.raises(ValueError, match=f"layer 0 has activation='{name}'"):
        Network([Dense(2, name), Dense(1)], n_in=2)


def test_gradient_check_says_when_there_is_nothing_to_compare():
    network = make_network((3, 4, 2), ["tanh", "identity"])
    network.parameters["dense_0.weights"][:] = np.nan
    errors = network.gradient_check(rows(5, 3), rows(5, 2), "squared_error")
    assert np.isnan(list(errors.values())).all()


@pytest.mark.parametrize("n_checked", [0, -1, 2.5, "a", True])
def test_bad_numbers_to_check_are_refused(n_checked):
    network = make_network((3, 2), ["identity"])
    with pytest.raises(ValueError, match="n_checked must be an integer of at least 1"):
        network.gradient_check(
            rows(5, 3), rows(5, 2), "squared_error", n_checked=n_checked
        )


def test_configured_products_are_those_of_the_call():
    network = make_network((300, 257, 3), ["tanh", "identity"])
    X = rows(40, 300)
    builtin = bits(network.forward(X), network.predict(X))
    with fastbp.config_context(gemm="blas"):
        blas = bits(network.forward(X), network.predict(X))
        fresh = network.copy()
        assert blas == bits(fresh.forward(X), fresh.predict(X))
    assert bits(network.forward(X), network.predict(X)) == builtin
    assert bits(fresh.forward(X), fresh.predict(X)) == builtin


@pytest.mark.parametrize("dtype", [np.float32, np.dtype("float32"), "float32"])
def test_types_may_be_those_of_numpy(dtype):
    network = Network([Dense(1)], n_in=2, dtype=dtype)
    assert network.dtype == "float32"
    assert network.forward(rows(3, 2)).dtype == np.float32


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Network(None, n_in=1), "layers must be objects .* got None"),
        (lambda: Network(Dense(1), n_in=1), "layers must be objects .* got Dense"),
        (lambda: Network([Dense(1)], n_in=1, dtype=None), "dtype must be .* got None"),
        (lambda: Network([Dense(1)], n_in=1, dtype=int), "dtype must be .* got <class"),
        (lambda: Network([Dense(1, "softmax")], n_in=1), "single unit.* 'logistic'"),
        (lambda: Dense(1, weights=[["a"]]), "weights of Dense must be real numbers"),
        (lambda: Dense(1, weights=[[1j]]), "weights of Dense must be real numbers"),
        (lambda: Dense(1, weights=[[1.0], []]), "weights of Dense must be real"),
        (
            lambda: Network([Dense(1, weights=[[1e300]])], n_in=1, dtype="float32"),
            "layer 0, .* must have finite weights in float32",
        ),
        (
            lambda: Network([Dense(1, initializer=lambda *_: [[np.nan]])], n_in=1),
            "layer 0, .* must have finite weights",
        ),
        (
            lambda: Network([Dense(1, initializer=lambda *_: [[1j]])], n_in=1),
            "initializer of .* must return an array of numbers",
        ),
        (
            lambda: Network([Dense(1, initializer=lambda *_: [[1.0], []])], n_in=2),
            "the array of initializer of .* must hold numbers",
        ),
    ],
)
def test_networks_that_make_no_sense_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("value", [1j, "a", None])
def test_gradients_that_are_no_numbers_are_refused(value):
    network = make_network((3, 2), ["identity"])
    network.forward(rows(1, 3))
    with pytest.raises(ValueError, match="grad_output must hold numbers"):
        network.backward([[value, value]])


def test_failed_pass_leaves_the_one_before():
    network = make_network((3, 4, 1), ["tanh", "identity"])
    X, y = rows(6, 3), rows(6, 1)
    expected = network.forward(X[:5])

    def fails(y_true, y_pred):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        network.loss_and_gradients(X, y, fails)
    np.testing.assert_array_equal(network.activations[-1], expected)
    assert network.backward(np.ones((5, 1))).shape == (5, 3)


@pytest.mark.parametrize("name", ["step", "sign"])
def test_threshold_shows_nan(name):
    network = make_network((1, 2, 1), [name, "identity"])
    network.parameters["dense_0.weights"][...] = np.nan
    assert np.isnan(network.forward([[1.0]])).all()
    f = activations.get_activation(name)
    low = {"step": 0.0, "sign": -1.0}[name]
    z = [np.nan, 0.0, -0.0, np.inf, -np.inf, 5e-324, -5e-324]
    np.testing.assert_array_equal(f(z), [np.nan, 1, 1, 1, low, 1, low])


@pytest.mark.parametrize("output", ["softmax", "logistic", "tanh", "softplus", "exp"])
def test_pass_of_a_loss_is_that_of_forward(output):
    network = make_network((3, 4, 2), ["tanh", output])
    X, dy = rows(6, 3), rows(6, 2)
    y = np.array([0, 1, 1, 0, 1, 0]) if output == "softmax" else np.full((6, 2), 0.5)
    losses = {"softmax": "log_loss", "logistic": "log_loss"}
    expected = network.forward(X), network.backward(dy)
    network.loss_and_gradients(X, y, losses.get(output, "squared_error"), np.arange(6))
    np.testing.assert_array_equal(network.activations[-1], expected[0])
    np.testing.assert_array_equal(network.predict(X), expected[0])
    np.testing.assert_array_equal(network.backward(dy), expected[1])
