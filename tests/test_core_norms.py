"""Normalization and dropout in the core: against NumPy, differences and PyTorch."""

import numpy as np
import pytest

from fastbp import _core
from reference.compare import assert_close, bits, eps
from reference.compiled import FMA_ISAS, ISAS, dense, predict
from reference.dropout import STEPS, mask, numbers, philox
from reference.normalization import running
from reference.problems import DTYPES, make_problem
from reference.regularised import Regularised

NORMS = ("layer", "batch")
SEED = 0x123456789ABCDEF0

# Random123, kat_vectors, philox 4x32 with 10 rounds.
KNOWN_ANSWERS = [
    ([0] * 4, [0] * 2, [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]),
    (
        [0xFFFFFFFF] * 4,
        [0xFFFFFFFF] * 2,
        [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD],
    ),
    (
        [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344],
        [0xA4093822, 0x299F31D0],
        [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1],
    ),
]


@pytest.mark.parametrize(("counter", "key", "words"), KNOWN_ANSWERS)
def test_reference_generator_has_the_known_answers(counter, key, words):
    counter, key = (np.array(a, np.uint32) for a in (counter, key))
    assert philox(counter, key).tolist() == words


def regularised(
    norm=None,
    activation="tanh",
    dropout=(),
    input_dropout=0.0,
    n_units=(9, 33, 17, 4),
    n_rows=40,
    dtype="float64",
    loss="softmax_cross_entropy",
    seed=3,
):
    """A problem and its reference network, with norms that are not neutral."""
    problem = make_problem(n_units, activation, loss, n_rows, dtype, seed=seed)
    rng = np.random.default_rng(seed)
    names = {None: (), "layer": ("gain", "bias")}.get(
        norm, ("gain", "bias", "mean", "variance")
    )
    norms = [
        {name: rng.uniform(0.5, 1.5, n).astype(dtype) for name in names}
        for n in n_units[1:-1]
        if norm
    ]
    return problem, Regularised(
        problem.coefs,
        problem.intercepts,
        activation,
        loss,
        norms=norms,
        dropout=dropout,
        input_dropout=input_dropout,
        seed=SEED,
    )


def compiled(reference, isa="", dtype="float64"):
    """The network of the reference in the core."""
    Layer = _core.Layer
    n_units = [W.shape[1] for W in reference.coefs]
    layers = [Layer.dropout(reference.input_dropout)] if reference.input_dropout else []
    norm = Layer.batch_norm if reference.is_batch else Layer.layer_norm
    for i, n in enumerate(n_units[:-1]):
        f = reference.activation
        layers += [Layer.dense(n), norm(f)] if reference.norms else [Layer.dense(n, f)]
        if reference.dropout and reference.dropout[i] > 0:
            layers.append(Layer.dropout(reference.dropout[i]))
    network = _core.Network(
        [*layers, Layer.dense(n_units[-1])],
        reference.loss,
        dtype,
        n_in=len(reference.coefs[0]),
        isa=isa,
    )
    network.set_parameters(
        reference.coefs, reference.intercepts, *([reference.norms] or [])
    )
    return network


def flat(coefs, intercepts, norms=()):
    return [*coefs, *intercepts, *(n[k] for n in norms for k in ("gain", "bias"))]


CASES = [
    {"norm": "layer"},
    {"norm": "batch"},
    {"dropout": (0.5, 0.25)},
    {"dropout": (0.0, 0.3), "input_dropout": 0.2},
    {"norm": "layer", "dropout": (0.5, 0.25), "input_dropout": 0.1},
    {"norm": "batch", "dropout": (0.2, 0.0), "input_dropout": 0.1},
]
ACTIVATIONS = ("tanh", "relu", "gelu", "identity")


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("case", CASES)
def test_loss_and_gradients_agree_with_reference(case, activation, dtype, isa):
    problem, reference = regularised(**case, activation=activation, dtype=dtype)
    loss, *gradients = compiled(reference, isa, dtype).loss_and_gradients(
        dense(problem), problem.y, problem.sample_weight, seed=SEED, n_threads=2
    )
    exact = Regularised(**in_float64(reference))
    # The masks are those of the type.
    exact.masks = lambda n_rows: reference.masks(n_rows)
    assert_close(loss, exact.cost(*problem.data), dtype, 40, factor=32)
    assert_close(
        flat(*gradients), flat(*exact.gradients(*problem.data)), dtype, 40, factor=64
    )


def in_float64(reference):
    """The same network, to be computed in float64."""
    fields = {
        name: getattr(reference, name) for name in reference.__dataclass_fields__
    }
    for name in ("coefs", "intercepts"):
        fields[name] = [a.astype(np.float64) for a in fields[name]]
    fields["norms"] = [
        {k: a.astype(np.float64) for k, a in norm.items()} for norm in fields["norms"]
    ]
    return fields


@pytest.mark.parametrize("activation", ["tanh", "gelu"])
@pytest.mark.parametrize("case", CASES)
def test_gradients_agree_with_differences(case, activation):
    problem, reference = regularised(
        **case, activation=activation, n_units=(3, 5, 4, 2), n_rows=6
    )
    network = compiled(reference)
    data = dense(problem), problem.y, problem.sample_weight

    def loss():
        network.set_parameters(reference.coefs, reference.intercepts, reference.norms)
        return network.loss_and_gradients(*data, seed=SEED)[0]

    gradients = flat(*network.loss_and_gradients(*data, seed=SEED)[1:])
    parameters = flat(reference.coefs, reference.intercepts, reference.norms)
    scale = max(np.abs(g).max() for g in gradients)
    for gradient, array in zip(gradients, parameters, strict=True):
        for at in np.ndindex(array.shape):
            before, h = array[at], 1e-3
            differences = []
            for step in (h, 2 * h):
                array[at] = before + step
                above = loss()
                array[at] = before - step
                differences.append((above - loss()) / (2 * step))
                array[at] = before
            # Richardson: the error is of fourth order.
            numeric = (4 * differences[0] - differences[1]) / 3
            assert abs(numeric - gradient[at]) < 1e-7 * scale


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", CASES)
def test_predictions_agree_with_reference(case, dtype, isa):
    problem, reference = regularised(**case, dtype=dtype)
    outputs = predict(compiled(reference, isa, dtype), problem.X, n_threads=2)
    assert_close(outputs, reference.predict(problem.X), dtype, 40, factor=32)


# Values of PyTorch 2.13 in float64, written down from
#   norm = torch.nn.LayerNorm(3) or torch.nn.BatchNorm1d(3), weight and bias as below;
#   y = norm(x); (y * c).sum().backward()
X = np.array([[1.0, 2.0, 4.0], [-1.0, 0.5, 0.25], [3.0, -2.0, 1.0], [0.0, 1.0, -3.0]])
C = np.array([[1.0, -2.0, 0.5], [0.25, 1.0, -1.0], [2.0, 0.0, 1.0], [-0.5, 0.75, 1.5]])
GAIN, BIAS = np.array([1.5, 0.5, -1.0]), np.array([0.1, -0.2, 0.3])
