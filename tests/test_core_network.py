"""The forward pass of the compiled core against the reference."""

import numpy as np
import pytest

from fastbp import _core
from reference import ACTIVATIONS, LOSSES
from reference.compare import assert_close, bits, eps
from reference.compiled import ISAS, compiled, dense, predict
from reference.problems import DTYPES, SIZES, make_problem


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_forward_agrees_with_reference(activation, loss, dtype, isa):
    problem = make_problem((7, 13, 9, 4), activation, loss, 21, dtype)
    network, reference = compiled(problem, isa), problem.reference()
    X = problem.data[0]
    z, a = reference.forward(X)
    assert_close(predict(network, problem.X), a[-1], dtype, 13)
    assert_close(predict(network, problem.X, raw=True), z[-1], dtype, 13)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", range(len(SIZES)))
def test_forward_of_odd_shapes_agrees_with_reference(size, dtype, isa):
    # The factors are odd and there are 16 sizes: each layer takes each size once.
    n_units = [SIZES[(size * factor + factor) % 16] for factor in (1, 3, 5, 7)]
    problem = make_problem(n_units, "tanh", "squared_error", max(SIZES), dtype)
    network = compiled(problem, isa)
    expected = problem.reference().predict(problem.data[0])
    for n_rows in SIZES:
        actual = predict(network, problem.X[:n_rows])
        assert_close(actual, expected[:n_rows], dtype, 129)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n_in", [511, 512, 513, 1024, 1025, 2600])
def test_forward_of_long_sums_agrees_with_reference(n_in, dtype, isa):
    problem = make_problem((n_in, 19, 3), "logistic", n_rows=5, dtype=dtype)
    expected = problem.reference().predict(problem.data[0])
    assert_close(predict(compiled(problem, isa), problem.X), expected, dtype, n_in)


@pytest.mark.parametrize("n_rows", [511, 512, 513, 1500])
def test_forward_of_many_rows_agrees_with_reference(n_rows):
    problem = make_problem((5, 33, 3), n_rows=n_rows)
    expected = problem.reference().predict(problem.data[0])
    for n_threads in (1, 2, 3, 4, 8):
        actual = predict(compiled(problem), problem.X, n_threads=n_threads)
        assert_close(actual, expected, "float64", 33)


def test_forward_of_unlike_activations_agrees_with_reference():
    activations = ["relu", "gelu", "identity", "softplus", "logistic"]
    problem = make_problem((6, 5, 8, 7, 4, 9, 3), activations)
    expected = problem.reference().predict(problem.data[0])
    assert_close(predict(compiled(problem), problem.X), expected, "float64", 9)


@pytest.mark.parametrize("slope", [0.0, 0.2, 0.99])
def test_forward_of_leaky_relu_uses_its_slope(slope):
    problem = make_problem((6, 8, 3), "leaky_relu")
    reference = problem.reference()
    reference.negative_slope = slope
    network = compiled(problem, negative_slope=slope)
    expected = reference.predict(problem.data[0])
    assert_close(predict(network, problem.X), expected, "float64", 8)


def test_network_without_hidden_layer_is_linear():
    problem = make_problem((4, 3), loss="squared_error")
    expected = problem.X @ problem.coefs[0] + problem.intercepts[0]
    assert_close(predict(compiled(problem), problem.X), expected, "float64", 4)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("loss", ["softmax_cross_entropy", "binary_cross_entropy"])
def test_probabilities_of_huge_logits_are_exact(loss, dtype, isa):
    network = identity_network(3, loss, dtype, isa)
    logits = np.array([[1000, 0, -1000], [-1000, -1000, 1000]], dtype)
    p = predict(network, logits)
    if loss == "softmax_cross_entropy":
        np.testing.assert_array_equal(p, [[1, 0, 0], [0, 0, 1]])
    else:
        np.testing.assert_array_equal(p, [[1, 0.5, 0], [0, 0, 1]])


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_softmax_of_a_row_sums_to_one_and_ignores_a_shift(dtype, isa):
    rng = np.random.default_rng(0)
    for n_outputs in (2, 3, 10, 33):
        network = identity_network(n_outputs, "softmax_cross_entropy", dtype, isa)
        # Multiples of 1/64 below 16: adding 512 is exact in both types.
        logits = (rng.integers(-500, 500, (9, n_outputs)) / 64).astype(dtype)
        p = predict(network, logits)
        np.testing.assert_allclose(p.sum(axis=1), 1, rtol=4 * eps(dtype))
        assert bits(p) == bits(predict(network, logits + dtype_of(dtype)(512)))


def test_not_a_number_stays_in_its_row():
    problem = make_problem((5, 40, 3), "relu", n_rows=50)
    X = problem.X.copy()
    X[17, 2] = np.nan
    clean, dirty = (predict(compiled(problem), data) for data in (problem.X, X))
    others = np.arange(50) != 17
    assert np.isnan(dirty[17]).all()
    assert bits(clean[others]) == bits(dirty[others])


@pytest.mark.parametrize("dtype", DTYPES)
def test_no_rows_give_no_outputs(dtype):
    problem = make_problem((5, 4, 3), dtype=dtype)
    p = predict(compiled(problem), problem.X[:0])
    assert p.shape == (0, 3) and p.dtype == dtype


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_parameters_come_back_as_they_went_in(dtype, isa):
    problem = make_problem((5, 17, 33, 3), dtype=dtype)
    coefs, intercepts = compiled(problem, isa).get_parameters()
    assert bits(coefs, intercepts) == bits(problem.coefs, problem.intercepts)
    assert [W.shape for W in coefs] == [(5, 17), (17, 33), (33, 3)]
    assert all(a.dtype == dtype and a.flags.writeable for a in coefs + intercepts)


def test_parameters_are_copies():
    problem = make_problem((5, 4, 3))
    network = compiled(problem)
    before = predict(network, problem.X)
    for array in (problem.coefs[0], *network.get_parameters()[0]):
        array[:] = 7.0
    assert bits(predict(network, problem.X)) == bits(before)


def test_parameters_may_be_read_only():
    problem = make_problem((5, 4, 3))
    for array in problem.coefs + problem.intercepts:
        array.flags.writeable = False
    coefs, intercepts = compiled(problem).get_parameters()
    assert bits(coefs, intercepts) == bits(problem.coefs, problem.intercepts)


@pytest.mark.parametrize(
    "relaid",
    [
        np.asfortranarray,
        lambda W: np.repeat(W, 2, axis=1)[:, ::2],
        lambda W: np.frombuffer(b"0" + W.tobytes(), W.dtype, offset=1).reshape(W.shape),
        lambda W: W.astype(np.float32),
        lambda W: W.astype(W.dtype.newbyteorder()),
        lambda W: W.tolist(),
    ],
    ids=["Fortran order", "strided", "misaligned", "other type", "byte order", "list"],
)
def test_parameters_that_would_need_a_copy_are_refused(relaid):
    problem = make_problem((5, 4, 3))
    network = compiled(problem)
    with pytest.raises((ValueError, TypeError)):
        network.set_parameters([relaid(W) for W in problem.coefs], problem.intercepts)
    assert bits(*network.get_parameters()) == bits(problem.coefs, problem.intercepts)


def test_network_tells_what_it_is():
    network = _core.Network([5, 4, 3], "tanh", "poisson", "float32")
    assert network.n_units == [5, 4, 3]
    assert network.dtype == "float32"
    assert network.isa == _core.build_info()["isa_active"]


@pytest.mark.parametrize("isa", ISAS)
def test_forced_isa_is_the_one_in_use(isa):
    assert compiled(make_problem((5, 4, 3)), isa).isa == isa


@pytest.mark.parametrize(
    "change",
    [
        {"n_units": []},
        {"n_units": [3]},
        {"n_units": [3, 0, 2]},
        {"n_units": [3, -1, 2]},
        {"n_units": [2**62, 2**62]},
        {"n_units": [2**40, 2**40, 2]},
        {"activation": "softsign"},
        {"activation": ["relu", "relu"]},
        {"activation": []},
        {"loss": "hinge"},
        {"dtype": "float16"},
        {"isa": "mmx"},
        {"negative_slope": -0.1},
        {"negative_slope": 1.0},
        {"negative_slope": np.nan},
    ],
    ids=str,
)
def test_impossible_network_is_refused(change):
    arguments = {
        "n_units": [3, 4, 2],
        "activation": "relu",
        "loss": "squared_error",
        "dtype": "float64",
    }
    with pytest.raises((ValueError, OverflowError, MemoryError)):
        _core.Network(**arguments | change)


def test_unavailable_isa_is_refused():
    unavailable = {"baseline", "avx2", "avx512", "neon"} - set(ISAS)
    for isa in unavailable:
        with pytest.raises(ValueError, match=isa):
            _core.Network([3, 4, 2], "relu", "squared_error", "float64", isa=isa)


@pytest.mark.parametrize(
    ("coefs", "intercepts"),
    [
        ([(3, 4)], [4, 2]),
        ([(3, 4), (4, 2)], [4]),
        ([(3, 4), (4, 2), (2, 2)], [4, 2, 2]),
        ([(4, 3), (4, 2)], [4, 2]),
        ([(3, 4), (4, 3)], [4, 2]),
        ([(3, 4), (4, 2)], [4, 3]),
        ([(12,), (4, 2)], [4, 2]),
    ],
)
def test_parameters_of_another_shape_are_refused(coefs, intercepts):
    problem = make_problem((3, 4, 2))
    network = compiled(problem)
    with pytest.raises(ValueError):
        network.set_parameters(
            [np.ones(shape) for shape in coefs], [np.ones(n) for n in intercepts]
        )
    assert bits(*network.get_parameters()) == bits(problem.coefs, problem.intercepts)


def test_samples_of_another_width_are_refused():
    network = compiled(make_problem((3, 4, 2)))
    for n_features in (2, 4):
        with pytest.raises(ValueError, match=f"{n_features}"):
            predict(network, np.ones((5, n_features)))


@pytest.mark.parametrize("n_threads", [0, -1])
def test_no_threads_are_refused(n_threads):
    problem = make_problem((3, 4, 2))
    with pytest.raises(ValueError):
        compiled(problem).predict(dense(problem), n_threads=n_threads)


def identity_network(n, loss, dtype, isa):
    """A network whose logits are its inputs."""
    network = _core.Network([n, n], "identity", loss, dtype, isa=isa)
    network.set_parameters([np.eye(n, dtype=dtype)], [np.zeros(n, dtype)])
    return network


def dtype_of(name):
    return np.dtype(name).type


# --------------------------------------------- few rows, from the weights as they lie


def predict_few(problem, X, **options):
    return _core.predict_few(
        problem.coefs,
        problem.intercepts,
        _core.Rows.dense(X),
        problem.activation,
        problem.loss,
        **options,
    )


@pytest.mark.parametrize("raw", [False, True])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", range(len(SIZES)))
def test_few_rows_have_the_bits_of_the_network(size, dtype, raw):
    n_units = [SIZES[(size * factor + factor) % 16] for factor in (1, 3, 5, 7)]
    for loss in LOSSES:
        problem = make_problem(n_units, "logistic", loss, 33, dtype)
        network = compiled(problem)
        for n_rows in (1, 2, 13, 14, 15, 33):
            X = problem.X[:n_rows]
            expected = predict(network, X, raw=raw)
            assert bits(predict_few(problem, X, raw=raw)) == bits(expected)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_few_rows_of_long_sums_have_the_bits_of_the_network(activation):
    problem = make_problem((1025, 520, 3), activation, n_rows=3)
    network = compiled(problem, negative_slope=0.25)
    actual = predict_few(problem, problem.X, negative_slope=0.25)
    assert bits(actual) == bits(predict(network, problem.X))


@pytest.mark.parametrize(
    ("coefs", "intercepts", "message"),
    [
        ([], [], "as many coefs as intercepts"),
        ([np.ones((2, 3))], [], "got 1 and 0"),
        ([np.ones((3, 1))], [np.ones(1)], r"coefs\[0\]"),
        ([np.ones((2, 3)), np.ones((2, 1))], [np.ones(3), np.ones(1)], r"coefs\[1\]"),
        ([np.ones((2, 3))], [np.ones(2)], r"intercepts\[0\]"),
        ([np.ones((2, 0))], [np.ones(0)], "no outputs"),
    ],
)
def test_parameters_that_do_not_fit_few_rows_are_refused(coefs, intercepts, message):
    rows = _core.Rows.dense(np.ones((1, 2)))
    with pytest.raises(ValueError, match=message):
        _core.predict_few(coefs, intercepts, rows, "relu", "squared_error")


def test_few_sparse_rows_are_refused():
    rows = _core.Rows.csr(np.array([0, 1]), np.array([0]), np.ones(1), 2)
    with pytest.raises(ValueError, match="X must be dense"):
        _core.predict_few([np.ones((2, 1))], [np.ones(1)], rows, "relu", "poisson")
