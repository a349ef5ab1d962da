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


def joined(arrays):
    return np.concatenate([a.ravel() for a in arrays])


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
    # As one: the biases before a batch norm have no gradient but rounding errors.
    expected = joined(flat(*exact.gradients(*problem.data)))
    assert_close(joined(flat(*gradients)), expected, dtype, 40, factor=64)


def in_float64(reference):
    """The same network, to be computed in float64."""
    fields = {name: getattr(reference, name) for name in reference.__dataclass_fields__}
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


# Of y = norm(x), (y * c).sum().backward(), with PyTorch 2.13 in float64. "sums" are
# the gradients of gain and bias.
X = np.array([[1.0, 2.0, 4.0], [-1.0, 0.5, 0.25], [3.0, -2.0, 1.0], [0.0, 1.0, -3.0]])
C = np.array([[1.0, -2.0, 0.5], [0.25, 1.0, -1.0], [2.0, 0.0, 1.0], [-0.5, 0.75, 1.5]])
GAIN, BIAS = np.array([1.5, 0.5, -1.0]), np.array([0.1, -0.2, 0.3])
PYTORCH = {
    "layer": {
        "y": [
            [-1.503562297175, -0.333630191431, -1.036301914313],
            [-1.995477761064, 0.244495282650, -0.207994608743],
            [1.803322904781, -0.848884916107, 0.137778770973],
            [0.688347387122, 0.290289489268, 1.672810569951],
        ],
        "dx": [
            [0.629974584086, -0.944955433287, 0.314980849200],
            [-0.076820765633, -0.384064008867, 0.460884774500],
            [0.537892859116, 0.358592678029, -0.896485537144],
            [-0.237601261522, 0.178202791792, 0.059398469730],
        ],
        "gain": [0.656693585707, 2.158945564927, -1.736838277486],
        "bias": [2.75, -0.25, 2.0],
    },
    "batch": {
        "y": [
            [0.353545696886, 0.351321535064, -1.080619095389],
            [-1.674819878203, -0.157590651149, 0.425510826854],
            [2.381911271976, -1.005777628170, 0.124284842405],
            [-0.660637090659, 0.012046744255, 1.730823426131],
        ],
        "dx": [
            [0.181104690130, -0.488776149233, -0.160071520963],
            [0.507087047295, 0.373446292769, 0.617003925348],
            [0.108668029851, -0.225165048744, -0.221190061997],
            [-0.796859767276, 0.340494905208, -0.235742342388],
        ],
        "gain": [3.169321211077, -1.802397326171, -1.154699607053],
        "bias": [2.75, -0.25, 2.0],
        "mean": [0.075, 0.0375, 0.05625],
        "variance": [1.191666666667, 1.189583333333, 1.7265625],
    },
}


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("norm", NORMS)
def test_norms_have_the_values_of_pytorch(norm, isa):
    # x goes in by a dense layer of the unit matrix, y comes out by another. With the
    # squared error of the targets y - c, the gradient at y is c.
    expected = PYTORCH[norm]
    network = one_norm(norm, isa)
    targets = np.array(expected["y"]) - C
    rows = _core.Rows.dense(X)
    _, (at_x, _), (_, at_y), (gradient,) = network.loss_and_gradients(rows, targets)
    np.testing.assert_allclose(at_y * len(X), C.sum(axis=0), atol=1e-10)
    np.testing.assert_allclose(at_x * len(X), X.T @ expected["dx"], atol=1e-9)
    for name in ("gain", "bias"):
        np.testing.assert_allclose(
            gradient[name] * len(X), expected[name], rtol=1e-9, atol=1e-10
        )
    if norm == "layer":
        np.testing.assert_allclose(network.predict(rows), expected["y"], atol=1e-10)
        return
    trainer = _core.Trainer(network, "sgd")
    trainer.run_epoch(rows, targets, None, None, batch_size=4, learning_rate=0.0)
    (after,) = network.get_parameters()[2]
    np.testing.assert_allclose(after["mean"], expected["mean"], rtol=1e-10)
    np.testing.assert_allclose(after["variance"], expected["variance"], rtol=1e-10)


def one_norm(norm, isa=""):
    Layer = _core.Layer
    layers = [
        Layer.dense(3),
        Layer.layer_norm() if norm == "layer" else Layer.batch_norm(),
        Layer.dense(3),
    ]
    network = _core.Network(layers, "squared_error", "float64", n_in=3, isa=isa)
    parameters = {"gain": GAIN, "bias": BIAS}
    if norm == "batch":
        parameters |= {"mean": np.zeros(3), "variance": np.ones(3)}
    network.set_parameters([np.eye(3)] * 2, [np.zeros(3)] * 2, [parameters])
    return network


# Batch normalization.


@pytest.mark.parametrize("dtype", DTYPES)
def test_running_averages_are_those_of_the_weighted_batches(dtype):
    problem, reference = regularised("batch", n_units=(9, 33, 4), dtype=dtype)
    network = compiled(reference, dtype=dtype)
    trainer = _core.Trainer(network, "sgd")
    trainer.run_epoch(
        dense(problem),
        problem.y,
        problem.sample_weight,
        None,
        batch_size=30,  # and a batch of 10
        learning_rate=0.0,
    )
    (norm,) = reference.norms
    expected = norm["mean"], norm["variance"]
    inputs = problem.X @ reference.coefs[0] + reference.intercepts[0]
    for rows in (slice(0, 30), slice(30, 40)):
        expected = running(expected, inputs[rows], problem.sample_weight[rows])
    (after,) = network.get_parameters()[2]
    assert_close(
        [after["mean"], after["variance"]], list(expected), dtype, 40, factor=32
    )


@pytest.mark.parametrize("dtype", DTYPES)
def test_rows_without_weight_do_not_influence_batch_norm(dtype):
    problem, reference = regularised("batch", dtype=dtype)
    results = []
    for value in (0.0, 7.0):
        weights = problem.sample_weight.copy()
        weights[5::3] = 0
        problem.X[5::3] = value
        network = compiled(reference, dtype=dtype)
        trainer = _core.Trainer(network, "adam")
        for _ in range(2):
            trainer.run_epoch(
                dense(problem),
                problem.y,
                weights,
                None,
                batch_size=16,
                learning_rate=0.01,
            )
        results.append(joined(flat(*network.get_parameters())))
        running_now = [n["variance"] for n in network.get_parameters()[2]]
        results[-1] = np.concatenate([results[-1], *running_now])
    np.testing.assert_array_equal(*results)


def test_batch_norm_of_more_rows_than_a_chunk_is_refused():
    problem, reference = regularised("batch", n_rows=1025)
    with pytest.raises(ValueError, match="at most 1024 rows, got 1025"):
        compiled(reference).loss_and_gradients(dense(problem), problem.y)


# Dropout.


@pytest.mark.parametrize("dtype", DTYPES)
def test_dropout_keeps_the_mean_and_has_its_rate(dtype):
    # A unit matrix between: what comes out of the inputs' dropout is seen in the
    # gradient of the squared error of targets 0, which is the output itself.
    rate, n_rows, n = 0.3, 1024, 100
    Layer = _core.Layer
    network = _core.Network(
        [Layer.dropout(rate), Layer.dense(n)], "squared_error", dtype, n_in=n
    )
    network.set_parameters([np.eye(n, dtype=dtype)], [np.zeros(n, dtype)])
    X, y = np.ones((n_rows, n), dtype), np.zeros((n_rows, n), dtype)
    _, _, (mean,) = network.loss_and_gradients(_core.Rows.dense(X), y, seed=SEED)
    kept = mean * (1 - rate)  # of each column
    # Five standard deviations of a binomial distribution.
    assert abs(kept.mean() - 0.7) < 5 * np.sqrt(rate * (1 - rate) / (n_rows * n))
    assert np.abs(kept - 0.7).max() < 5 * np.sqrt(rate * (1 - rate) / n_rows)
    expected = mask(rate, numbers(n_rows, n, SEED, 0, 0, dtype), dtype)
    np.testing.assert_allclose(mean, expected.mean(axis=0), rtol=n_rows * eps(dtype))


@pytest.mark.parametrize("dtype", DTYPES)
def test_numbers_of_rows_steps_and_layers_are_independent(dtype):
    drawn = [
        numbers(64, 256, SEED + s, step, layer, dtype).ravel() / STEPS
        for s, step, layer in (
            (0, 0, 0),
            (0, 1, 0),
            (0, 0, 1),
            (1, 0, 0),
            (2**32, 0, 0),
        )
    ]
    n = len(drawn[0])
    for i, a in enumerate(drawn):
        assert abs(a.mean() - 0.5) < 5 / np.sqrt(12 * n)
        for b in drawn[:i]:
            assert abs(np.corrcoef(a, b)[0, 1]) < 5 / np.sqrt(n)
        neighbours = a.reshape(64, 256)
        assert abs(
            np.corrcoef(neighbours[:-1].ravel(), neighbours[1:].ravel())[0, 1]
        ) < (5 / np.sqrt(n))


@pytest.mark.parametrize("dtype", DTYPES)
def test_each_step_has_its_own_numbers(dtype):
    problem, reference = regularised(
        dropout=(0.5, 0.25), input_dropout=0.25, dtype=dtype
    )
    network = compiled(reference, dtype=dtype)
    trainer = _core.Trainer(network, "sgd", seed=SEED)
    for step in range(3):
        reference.step = step
        before = joined(flat(*network.get_parameters()))
        trainer.run_epoch(
            dense(problem),
            problem.y,
            problem.sample_weight,
            None,
            batch_size=40,
            learning_rate=0.125,
        )
        exact = Regularised(**in_float64(reference))
        exact.masks = lambda n_rows: reference.masks(n_rows)
        exact.coefs, exact.intercepts = unflat(before, reference)
        gradient = joined(flat(*exact.gradients(*problem.data)))
        after = joined(flat(*network.get_parameters()))
        np.testing.assert_allclose(
            after, before - 0.125 * gradient, rtol=0, atol=300 * eps(dtype)
        )


def unflat(vector, reference):
    shapes = [a.shape for a in reference.parameters]
    parts = np.split(vector, np.cumsum([np.prod(s) for s in shapes])[:-1])
    arrays = [p.reshape(s) for p, s in zip(parts, shapes, strict=True)]
    n = len(reference.coefs)
    return arrays[:n], arrays[n:]


# The same bits.


@pytest.mark.names_isa
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", CASES)
def test_training_has_the_same_bits_for_any_threads_and_path(case, dtype):
    sizes = {"n_units": (37, 100, 65, 10), "n_rows": 331}
    problem, reference = regularised(**case, **sizes, activation="gelu", dtype=dtype)
    fused = set()
    for isa in ISAS:
        results = {
            trained(problem, reference, isa, n_threads, dtype)
            for n_threads in (1, 2, 3, 8)
        }
        assert len(results) == 1, isa
        if isa in FMA_ISAS:
            fused |= results
    assert len(fused) <= 1


def trained(problem, reference, isa, n_threads, dtype):
    """The bits of two epochs, with batches of 129, 129 and 73 rows."""
    network = compiled(reference, isa, dtype)
    trainer = _core.Trainer(network, "adam", clip_norm=0.5, seed=SEED)
    order = np.random.default_rng(9).permutation(len(problem.X))
    totals = [
        trainer.run_epoch(
            dense(problem),
            problem.y,
            problem.sample_weight,
            order,
            batch_size=129,
            learning_rate=0.01,
            alpha=0.1,
            n_threads=n_threads,
        )
        for _ in range(2)
    ]
    outputs = predict(network, problem.X, n_threads=n_threads)
    coefs, intercepts, *norms = network.get_parameters()
    values = [a for norm in (norms[0] if norms else []) for a in norm.values()]
    return bits(totals, coefs, intercepts, values, outputs, *trainer.get_state()[1])


@pytest.mark.names_isa
@pytest.mark.parametrize("dtype", DTYPES)
def test_dropout_of_sparse_inputs_has_the_bits_of_dense_ones(dtype):
    problem, reference = regularised(
        input_dropout=0.3, n_units=(300, 17, 4), dtype=dtype
    )
    problem.X[problem.X < 0.5] = 0
    rows, cols = np.nonzero(problem.X)
    indptr = np.searchsorted(rows, np.arange(41)).astype(np.int64)
    csr = _core.Rows.csr(indptr, cols.astype(np.int64), problem.X[rows, cols], 300)
    for isa in ISAS:
        results = {
            bits(
                *compiled(reference, isa, dtype).loss_and_gradients(
                    X, problem.y, problem.sample_weight, seed=SEED, n_threads=2
                )
            )
            for X in (dense(problem), csr)
        }
        assert len(results) == 1


# What is kept and what is refused.


@pytest.mark.parametrize("norm", NORMS)
def test_parameters_and_state_are_given_back_as_they_were(norm):
    problem, reference = regularised(norm)
    network = compiled(reference)
    trainer = _core.Trainer(network, "adam")
    settings = {"batch_size": 20, "learning_rate": 0.01}
    data = dense(problem), problem.y, None, None
    trainer.run_epoch(*data, **settings)
    t, moments = trainer.get_state()
    trainer.save()
    saved_t, *parameters, saved_moments = trainer.take_saved()
    assert saved_t == t
    assert bits(*saved_moments) == bits(*moments)
    assert [len(m) for m in moments] == [2 * 3 + 2 * 2] * 2
    other = compiled(reference)
    other.set_parameters(*parameters)
    successor = _core.Trainer(other, "adam")
    successor.set_state(t, moments)
    for each in (trainer, successor):
        each.run_epoch(*data, **settings)
    norms = (n.get_parameters()[2] for n in (network, other))
    for ours, theirs in zip(*norms, strict=True):
        assert {k: a.tolist() for k, a in ours.items()} == {
            k: a.tolist() for k, a in theirs.items()
        }
    assert bits(*trainer.get_state()[1]) == bits(*successor.get_state()[1])


@pytest.mark.parametrize(
    ("norms", "message"),
    [
        ([], "expected 1 norms, got 0"),
        ([{"gain": GAIN}], r"norms\[0\] has no 'bias'"),
        ([{"gain": GAIN[:2], "bias": BIAS}], r"norms\[0\]\['gain'\] must have shape"),
        ([{"gain": GAIN.astype(np.float32), "bias": BIAS}], "must be a float64 array"),
        ([GAIN], r"norms\[0\] must be a dict"),
    ],
)
def test_norms_that_do_not_fit_are_refused(norms, message):
    network = one_norm("layer")
    with pytest.raises((ValueError, TypeError), match=message):
        network.set_parameters([np.ones((3, 3))] * 2, [np.ones(3)] * 2, norms)
    assert bits(*network.get_parameters()[:2]) == bits(
        [np.eye(3)] * 2, [np.zeros(3)] * 2
    )


@pytest.mark.parametrize(
    "layers",
    [
        [],
        [_core.Layer.dropout(0.5)],
        [_core.Layer.layer_norm(), _core.Layer.dense(3)],
        [_core.Layer.dense(3), _core.Layer.dropout(0.5)],
        [_core.Layer.dropout(1.0), _core.Layer.dense(3)],
        [_core.Layer.dropout(-0.1), _core.Layer.dense(3)],
    ],
)
def test_stacks_that_cannot_be_are_refused(layers):
    with pytest.raises(ValueError, match=r"must (be|have)"):
        _core.Network(layers, "squared_error", "float64", n_in=2)


@pytest.mark.parametrize("activation", ["logistic", "softplus"])
def test_layer_norm_does_not_see_the_padding_of_its_inputs(activation):
    # 5 units are no whole panel; what the layer below leaves beyond them is not 0.
    Layer = _core.Layer
    layers = [Layer.dense(5, activation), Layer.layer_norm(), Layer.dense(5)]
    network = _core.Network(layers, "squared_error", "float64", n_in=5)
    norms = [{"gain": np.ones(5), "bias": np.zeros(5)}]
    network.set_parameters([np.eye(5)] * 2, [np.zeros(5)] * 2, norms)
    z = np.random.default_rng(0).standard_normal((7, 5))
    a = 1 / (1 + np.exp(-z)) if activation == "logistic" else np.log1p(np.exp(z))
    a = a - a.mean(axis=1, keepdims=True)
    expected = a / np.sqrt((a**2).mean(axis=1, keepdims=True) + 1e-5)
    np.testing.assert_allclose(predict(network, z), expected, atol=1e-12)
