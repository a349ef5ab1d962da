"""Loss and gradients of the core: reference, finite differences, closed forms."""

from itertools import chain

import numpy as np
import pytest

from fastbp import _core
from reference import ACTIVATIONS, LOSSES
from reference.compare import assert_close, bits, eps
from reference.compiled import ISAS, compiled, dense
from reference.problems import DTYPES, SIZES, make_problem

ALPHA = 0.7

# The central difference of eighth order, f'(0) = sum c_k (f(kh) - f(-kh)) / h with an
# error of h^8 f^(9) / 630: Fornberg (1988), "Generation of finite difference
# formulas on arbitrarily spaced grids".
STENCIL = {1: 4 / 5, 2: -1 / 5, 3: 4 / 105, 4: -1 / 280}
KINKS = {"hard_tanh": (-1, 1)}  # of other activations: 0
STEP = 4e-3  # error of the formula about 1e-19, of the rounding about 1e-16 / 4e-3


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_reference_gradients_are_the_derivatives_of_its_cost(activation, loss):
    # A complex step has no cancellation, hence no error: f'(x) = Im f(x + ih) / h.
    problem = make_problem((4, 5, 3, 2), activation, loss, 6)
    reference = problem.reference()
    gradients = list(chain(*reference.gradients(*problem.data, alpha=ALPHA)))
    reference.coefs = [W.astype(complex) for W in reference.coefs]
    reference.intercepts = [b.astype(complex) for b in reference.intercepts]
    for parameter, gradient in zip(reference.parameters, gradients, strict=True):
        for index in np.ndindex(parameter.shape):
            real = parameter[index]
            parameter[index] = real + 1e-30j
            derivative = reference.cost(*problem.data, alpha=ALPHA).imag / 1e-30
            parameter[index] = real
            assert gradient[index] == pytest.approx(derivative, rel=1e-12, abs=1e-15)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_loss_and_gradients_agree_with_reference(activation, loss, dtype, isa):
    problem = make_problem((7, 13, 9, 4), activation, loss, 21, dtype)
    assert_loss_and_gradients_agree(problem, isa, n_terms=21)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", range(len(SIZES)))
def test_gradients_of_odd_shapes_agree_with_reference(size, dtype, isa):
    # Each layer takes each size once, and so does the number of rows.
    sizes = [SIZES[(size * factor + factor) % 16] for factor in (1, 3, 5, 7, 9)]
    losses = list(LOSSES)
    for n_rows, loss in zip((sizes[-1], *SIZES[size::5]), losses * 2, strict=False):
        problem = make_problem(sizes[:4], "tanh", loss, n_rows, dtype)
        assert_loss_and_gradients_agree(problem, isa, n_terms=129)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("n_in", "n_rows"),
    [(513, 20), (1030, 3), (20, 511), (20, 512), (20, 513), (9, 2100)],
)
def test_gradients_of_long_sums_agree_with_reference(n_in, n_rows, dtype, isa):
    problem = make_problem((n_in, 17, 3), "logistic", n_rows=n_rows, dtype=dtype)
    assert_loss_and_gradients_agree(problem, isa, n_terms=max(n_in, n_rows))


@pytest.mark.parametrize("n_threads", [2, 3, 4, 8])
def test_gradients_by_several_threads_agree_with_reference(n_threads):
    problem = make_problem((20, 65, 33, 5), n_rows=700)
    assert_loss_and_gradients_agree(problem, "", n_terms=700, n_threads=n_threads)


@pytest.mark.parametrize("loss", LOSSES)
def test_sample_weights_default_to_one(loss):
    problem = make_problem((7, 5, 3), "tanh", loss)
    network = compiled(problem)
    ones = np.ones(len(problem.X))
    without = network.loss_and_gradients(dense(problem), problem.y)
    assert bits(*without) == bits(
        *network.loss_and_gradients(dense(problem), problem.y, ones)
    )


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("hidden", [(), (5,), (5, 4), (4, 3, 5)], ids=str)
def test_gradients_are_the_finite_differences_of_the_loss(hidden, activation, loss):
    problem = smooth_problem((4, *hidden, 3), activation, loss)
    assert_gradients_are_finite_differences(problem)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_gradients_on_each_path_are_finite_differences(activation, isa):
    # A whole vector and a rest in each hidden layer.
    problem = smooth_problem((2, 5, 9, 2), activation, "squared_error", n_rows=2)
    assert_gradients_are_finite_differences(problem, isa)


def assert_gradients_are_finite_differences(problem, isa=""):
    network, X = compiled(problem, isa), dense(problem)

    def cost():
        network.set_parameters(problem.coefs, problem.intercepts)
        data = X, problem.y, problem.sample_weight
        return network.loss_and_gradients(*data, alpha=ALPHA)

    _, coef_grads, intercept_grads = cost()
    parameters = problem.coefs + problem.intercepts
    for w, gradient in zip(parameters, coef_grads + intercept_grads, strict=True):
        for index in np.ndindex(w.shape):
            centre, derivative = w[index], 0.0
            for k, c in STENCIL.items():
                w[index] = centre + k * STEP
                derivative += c * cost()[0] / STEP
                w[index] = centre - k * STEP
                derivative -= c * cost()[0] / STEP
            w[index] = centre
            # The rounding errors of the eight losses, about 1e-13, are all that the
            # relative bound does not cover: for derivatives under 1e-4.
            assert gradient[index] == pytest.approx(derivative, rel=1e-8, abs=1e-12)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_softmax_gradient_is_output_minus_target(dtype, isa):
    t = np.array([0.0, 1.0, 0.0])
    z = np.array([0.5, -1.0, 2.0])
    o = np.exp(z) / np.exp(z).sum()
    _, delta = logit_gradient("softmax_cross_entropy", z, 1, dtype, isa)
    np.testing.assert_allclose(delta, o - t, rtol=8 * eps(dtype))
    # The two formulas that forget the off-diagonal terms of the Jacobian are far off.
    assert np.abs(delta - (o - t) * o * (1 - o)).max() > 0.1
    assert np.abs(delta + t * (1 - o)).max() > 0.1


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("target", [0, 1, 2])
def test_loss_of_huge_logits_is_finite(target, dtype, isa):
    z = np.array([1000.0, 0.0, -1000.0])
    loss, delta = logit_gradient("softmax_cross_entropy", z, target, dtype, isa)
    expected = -np.log1p(-eps(dtype)) if target == 0 else -np.log(eps(dtype))
    assert loss == pytest.approx(expected, rel=1e-6 if dtype == "float32" else 1e-14)
    np.testing.assert_array_equal(delta, np.eye(3)[0] - np.eye(3)[target])


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_binary_loss_of_huge_logits_is_finite(dtype, isa):
    for target, sign in ((1.0, 1), (1.0, -1), (0.0, 1), (0.0, -1)):
        y = np.array([[target]], dtype)
        z = np.array([sign * 1000.0])
        loss, delta = logit_gradient("binary_cross_entropy", z, y, dtype, isa)
        p = (sign + 1) / 2
        expected = -np.log1p(-eps(dtype)) if p == target else -np.log(eps(dtype))
        assert loss == pytest.approx(
            expected, rel=1e-6 if dtype == "float32" else 1e-14
        )
        np.testing.assert_array_equal(delta, [p - target])


@pytest.mark.parametrize("dtype", DTYPES)
def test_poisson_loss_of_no_events_is_the_rate(dtype):
    # xlogy(0, 0 / p) is 0, not a product of 0 and infinity.
    y = np.zeros((1, 2), dtype)
    z = np.array([0.0, np.log(3.0)])
    loss, delta = logit_gradient("poisson", z, y, dtype, "")
    assert loss == pytest.approx(4.0, rel=4 * eps(dtype))
    np.testing.assert_allclose(delta, [1, 3], rtol=4 * eps(dtype))


def test_weight_decay_spares_the_biases():
    problem = make_problem((3, 4, 2), "identity", "squared_error", 10)
    network, data = (
        compiled(problem),
        (dense(problem), problem.y, problem.sample_weight),
    )
    loss_0, coef_grads_0, intercept_grads_0 = network.loss_and_gradients(*data)
    loss, coef_grads, intercept_grads = network.loss_and_gradients(*data, alpha=ALPHA)
    total = problem.sample_weight.sum()
    decay = ALPHA / 2 * sum((W**2).sum() for W in problem.coefs) / total
    assert loss - loss_0 == pytest.approx(decay, rel=1e-13)
    for g, g_0, W in zip(coef_grads, coef_grads_0, problem.coefs, strict=True):
        np.testing.assert_allclose(g - g_0, ALPHA * W / total, rtol=1e-12, atol=1e-15)
    for g, g_0 in zip(intercept_grads, intercept_grads_0, strict=True):
        np.testing.assert_array_equal(g, g_0)


@pytest.mark.parametrize(
    ("loss", "y"),
    [
        ("softmax_cross_entropy", np.array([0, 1, 2, 3])),  # a class too many
        ("softmax_cross_entropy", np.array([0, 1, 2, -1])),
        ("softmax_cross_entropy", np.array([0, 1, 2])),  # a row too few
        ("softmax_cross_entropy", np.array([0, 1, 2, 0, 1])),
        ("softmax_cross_entropy", np.zeros((4, 3), np.int64)),
        ("softmax_cross_entropy", np.zeros(4)),
        ("squared_error", np.zeros((4, 2))),
        ("squared_error", np.zeros((3, 3))),
        ("squared_error", np.zeros(12)),
        ("squared_error", np.zeros((4, 3), np.float32)),
        ("squared_error", np.zeros((4, 3), np.int64)),
    ],
)
def test_targets_that_do_not_fit_are_refused(loss, y):
    problem = make_problem((2, 3), "relu", loss, 4)
    with pytest.raises((ValueError, TypeError)):
        compiled(problem).loss_and_gradients(dense(problem), y)


@pytest.mark.parametrize(
    "sample_weight",
    [np.ones(3), np.ones(5), np.ones((4, 1)), np.ones(4, np.complex128)],
)
def test_sample_weights_that_do_not_fit_are_refused(sample_weight):
    problem = make_problem((2, 3), n_rows=4)
    with pytest.raises((ValueError, TypeError)):
        compiled(problem).loss_and_gradients(dense(problem), problem.y, sample_weight)


def assert_loss_and_gradients_agree(problem, isa, n_terms, n_threads=1):
    """Compare loss and gradients with the reference, weights and decay included."""
    reference = problem.reference()
    loss, coef_grads, intercept_grads = compiled(problem, isa).loss_and_gradients(
        dense(problem),
        problem.y,
        problem.sample_weight,
        alpha=ALPHA,
        n_threads=n_threads,
    )
    cost = reference.cost(*problem.data, alpha=ALPHA)
    gradients = list(chain(*reference.gradients(*problem.data, alpha=ALPHA)))
    assert_close(loss, cost, problem.dtype, n_terms)
    assert_close(coef_grads + intercept_grads, gradients, problem.dtype, n_terms)


def smooth_problem(n_units, activation, loss, n_rows=5):
    """A problem whose weighted inputs stay clear of kinks, as that of ReLU at 0.

    A difference takes a weight up to 4 STEP away; 0.06 is more than what that can do
    to any weighted input of these small networks.
    """
    kinks = KINKS.get(activation, (0,))
    for seed in range(1000):
        problem = make_problem(n_units, activation, loss, n_rows, seed=seed)
        hidden = problem.reference().forward(problem.data[0])[0][:-1]
        if all(np.abs(z - kink).min() > 0.06 for z in hidden for kink in kinks):
            return problem
    raise AssertionError("no seed gives a smooth problem")


def logit_gradient(loss, z, y, dtype, isa):
    """Loss and derivative with respect to the logits, for one row of logits.

    The derivative with respect to the bias of a single row is that of its logits.
    """
    n = len(z)
    network = _core.Network([n, n], "identity", loss, dtype, isa=isa)
    network.set_parameters([np.eye(n, dtype=dtype)], [np.zeros(n, dtype)])
    X = _core.Rows.dense(z[np.newaxis].astype(dtype))
    y = np.array([y]) if np.isscalar(y) else y
    value, coef_grads, intercept_grads = network.loss_and_gradients(X, y)
    np.testing.assert_allclose(
        coef_grads[0], np.outer(z, intercept_grads[0]), rtol=1e-6
    )
    return value, intercept_grads[0]
