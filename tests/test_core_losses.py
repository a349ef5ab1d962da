"""Losses of the core behind all outputs: reference, differences, closed forms, bits."""

import math

import numpy as np
import pytest
from scipy.special import huber as scipy_huber
from scipy.special import rel_entr
from sklearn.metrics import (
    mean_gamma_deviance,
    mean_pinball_loss,
    mean_poisson_deviance,
)

from fastbp import _core
from reference.compare import assert_close, bits, eps
from reference.compiled import FMA_ISAS, ISAS
from reference.composed import CLASSES, POSITIVE, REGRESSION, loss_and_delta
from reference.problems import DTYPES

OUTPUTS = ("identity", "logistic", "tanh", "softplus", "exp")
PARAMETERS = {
    "huber": {"delta": 0.75},
    "focal": {"gamma": 1.5},
    "symmetric_cross_entropy": {"alpha": 0.5, "beta": 2.0, "log_zero": -3.0},
}
PAIRS = [
    *((loss, output) for loss in REGRESSION for output in OUTPUTS),
    *((loss, output) for loss in POSITIVE for output in ("exp", "softplus")),
    *((loss, output) for loss in CLASSES for output in ("softmax", "logistic")),
    ("squared_error", "softmax"),
    ("linear", "softmax"),
]
each_pair = pytest.mark.parametrize(("loss", "output"), PAIRS)
N_ROWS, N_IN = 20, 6


def parameters_of(loss: str, n_outputs: int) -> dict:
    if loss == "quantile":
        return {"levels": np.linspace(0.1, 0.9, n_outputs).tolist()}
    return PARAMETERS.get(loss, {})


def targets(loss: str, n_outputs: int, rng: np.random.Generator) -> np.ndarray:
    if loss in POSITIVE:
        return rng.gamma(2.0, size=(N_ROWS, n_outputs))
    if loss in CLASSES:
        y = rng.dirichlet(np.ones(n_outputs + 1), N_ROWS)[:, :n_outputs]
        return np.where(rng.random(y.shape) < 0.2, 0, y)  # and some are impossible
    return rng.normal(size=(N_ROWS, n_outputs))


class Case:
    """A linear network with data of one type, behind a loss and an output."""

    def __init__(self, loss, output, n_outputs=5, dtype="float64", isa="", **options):
        rng = np.random.default_rng(0)
        self.loss, self.output, self.dtype = loss, output, dtype
        self.parameters = parameters_of(loss, n_outputs)
        self.X = rng.normal(size=(N_ROWS, N_IN)).astype(dtype)
        self.W = rng.normal(size=(N_IN, n_outputs)).astype(dtype) / 2
        self.b = rng.normal(size=n_outputs).astype(dtype)
        self.y = targets(loss, n_outputs, rng).astype(dtype)
        self.w = rng.uniform(0.5, 2, N_ROWS)
        spec = _core.Loss(loss, output, **self.parameters, **options)
        self.network = _core.Network([N_IN, n_outputs], "tanh", spec, dtype, isa=isa)
        self.network.set_parameters([self.W], [self.b])

    def reference(self, w=None):
        """Loss, coef gradient and intercept gradient, in float64."""
        X, W, b, y = (a.astype(np.float64) for a in (self.X, self.W, self.b, self.y))
        w = self.w if w is None else w
        losses, delta = loss_and_delta(
            self.loss, self.output, y, X @ W + b, **self.parameters
        )
        total = w.sum()
        delta = delta * w[:, np.newaxis] / total
        return w @ losses / total, X.T @ delta, delta.sum(axis=0)

    def core(self, y=None, w=None, **options):
        rows = _core.Rows.dense(self.X)
        y, w = self.y if y is None else y, self.w if w is None else w
        loss, coefs, intercepts = self.network.loss_and_gradients(rows, y, w, **options)
        return loss, coefs[0], intercepts[0]


@pytest.mark.names_isa
@each_pair
@pytest.mark.parametrize("dtype", DTYPES)
def test_loss_and_gradients_agree_with_reference(loss, output, dtype):
    for isa in ISAS:
        for n_outputs in (2 if output == "softmax" else 1, 5, 17):
            case = Case(loss, output, n_outputs, dtype, isa)
            for got, expected in zip(case.core(), case.reference(), strict=True):
                assert_close(got, expected, dtype, n_terms=N_ROWS * 17)


# The central difference of eighth order (see test_core_gradients.py).
STENCIL = {1: 4 / 5, 2: -1 / 5, 3: 4 / 105, 4: -1 / 280}
STEP = 4e-3


@each_pair
def test_gradients_are_finite_differences(loss, output):
    # Along some directions, through a hidden layer.
    rng = np.random.default_rng(1)
    n_outputs = 3
    spec = _core.Loss(loss, output, **parameters_of(loss, n_outputs))
    network = _core.Network([4, 6, n_outputs], "tanh", spec, "float64")
    shapes = [(4, 6), (6, n_outputs), (6,), (n_outputs,)]
    start = [rng.normal(size=shape) / 2 for shape in shapes]
    network.set_parameters(start[:2], start[2:])
    X = _core.Rows.dense(rng.normal(size=(N_ROWS, 4)))
    y = targets(loss, n_outputs, rng)
    if loss in REGRESSION and output != "softmax":
        # Clear of kinks at 0 and at the delta of huber.
        offsets = rng.choice([-2, -1.5, -0.3, 0.3, 1.5, 2], (N_ROWS, n_outputs))
        y = network.predict(X) + offsets

    def value_and_gradient(step, direction):
        moved = [a + step * d for a, d in zip(start, direction, strict=True)]
        network.set_parameters(moved[:2], moved[2:])
        value, coefs, intercepts = network.loss_and_gradients(X, y)
        return value, coefs + intercepts

    for _ in range(5):
        direction = [rng.normal(size=shape) for shape in shapes]
        norm = math.sqrt(sum((d**2).sum() for d in direction))
        direction = [d / norm for d in direction]
        _, gradient = value_and_gradient(0, direction)
        slope = sum((g * d).sum() for g, d in zip(gradient, direction, strict=True))
        numeric = sum(
            c * (value_and_gradient(k * STEP, direction)[0]) / STEP
            - c * (value_and_gradient(-k * STEP, direction)[0]) / STEP
            for k, c in STENCIL.items()
        )
        assert slope == pytest.approx(numeric, rel=1e-8, abs=1e-10)


def value(loss, p, y, output="identity", **parameters):
    """Mean loss of rows whose pre-activations are p, and the gradients of them all."""
    p, y = np.atleast_2d(p), np.atleast_2d(y)
    n = p.shape[1]
    network = _core.Network(
        [n, n], "relu", _core.Loss(loss, output, **parameters), "float64"
    )
    network.set_parameters([np.eye(n)], [np.zeros(n)])
    loss, _, intercepts = network.loss_and_gradients(_core.Rows.dense(p), y)
    return loss, intercepts[0]


RNG = np.random.default_rng(2)
P, Y = RNG.normal(size=(50, 1)), RNG.normal(size=(50, 1))


@pytest.mark.parametrize(
    ("loss", "parameters", "expected"),
    [
        ("absolute_error", {}, np.abs(P - Y).mean()),
        ("huber", {"delta": 0.5}, scipy_huber(0.5, P - Y).mean()),
        ("log_cosh", {}, np.log(np.cosh(P - Y)).mean()),
        ("quantile", {"levels": [0.9]}, mean_pinball_loss(Y, P, alpha=0.9)),
        ("gamma", {}, mean_gamma_deviance(np.exp(Y), np.exp(P)) / 2),
        ("poisson", {}, mean_poisson_deviance(np.exp(Y), np.exp(P)) / 2),
    ],
    ids=lambda v: v if isinstance(v, str) else "",
)
def test_loss_is_that_of_scipy_and_scikit_learn(loss, parameters, expected):
    of_counts = loss in POSITIVE
    y, output = (np.exp(Y), "exp") if of_counts else (Y, "identity")
    got, _ = value(loss, P, y, output, **parameters)
    assert got == pytest.approx(expected, rel=1e-13)


# Computed once with PyTorch 2.13 in float64 at Z: cross_entropy, kl_div, l1_loss,
# huber_loss, mse_loss / 2 (of softmax and tanh), binary_cross_entropy_with_logits, and
# poisson_nll_loss, to which y log(y) - y is added here.
Z = [0.5, -1.0, 2.0]
SHARES = [0.2, 0.5, 0.3]
T = [1.0, -3.0, 1.75]
COUNTS = [1.0, 0.0, 3.0]
PYTORCH = [
    (
        ("cross_entropy", "softmax", [0.0, 1.0, 0.0], {"label_smoothing": 0.1}),
        3.091311296657157,
        [0.14195705880670337, -0.894220760062646, 0.7522637012559426],
    ),
    (
        ("cross_entropy", "softmax", SHARES, {"label_smoothing": 0.1}),
        2.011311296657157,
        [-0.03804294119329665, -0.4442207600626459, 0.48226370125594253],
    ),
    (
        ("binary_cross_entropy", "logistic", [1.0, 0.0, 1.0], {"label_smoothing": 0.2}),
        1.2642666827413018,
        [-0.27754066879814543, 0.1689414213699951, -0.019202922022117708],
    ),
    (
        ("kl_divergence", "softmax", SHARES, {}),
        1.0116582825925835,
        [-0.024709607859963317, -0.46088742672931254, 0.4855970345892759],
    ),
    (("absolute_error", "identity", T, {}), 2.75, [-1, 1, 1]),
    (("huber", "identity", T, {"delta": 0.5}), 1.03125, [-0.5, 0.5, 0.25]),
    (
        ("squared_error", "softmax", SHARES, {}),
        0.2244161324198295,
        [-0.06728264869262536, -0.0320728250775721, 0.09935547377019746],
    ),
    (
        ("squared_error", "tanh", T, {}),
        2.9587656600234573,
        [-0.4230167422741337, 0.9400730206174661, -0.05552959977948126],
    ),
    (
        ("poisson", "exp", COUNTS, {}),
        2.905656810802221 + 3 * math.log(3) - 4,
        [0.6487212707001282, 0.36787944117144233, 4.38905609893065],
    ),
]


@pytest.mark.parametrize(("case", "expected", "gradient"), PYTORCH)
def test_loss_and_gradient_are_those_of_pytorch(case, expected, gradient):
    loss, output, y, parameters = case
    got, delta = value(loss, Z, y, output, **parameters)
    assert got == pytest.approx(expected, rel=1e-13)
    np.testing.assert_allclose(delta, gradient, rtol=1e-12)


def test_losses_of_large_differences_do_not_overflow():
    for size in (1e3, 1e100, 1e300):
        assert value("log_cosh", size, 0.0)[0] == pytest.approx(size, rel=1e-3)
        assert value("huber", size, 0.0)[0] == pytest.approx(size, rel=1e-3)
        assert value("log_cosh", -size, 0.0)[1] == -1
    loss, gradient = value("gamma", 1e5, 1.0, "exp")
    assert (loss, gradient[0]) == (1e5 - 1, 1)


@pytest.mark.parametrize("loss", CLASSES)
def test_losses_of_huge_logits_are_finite(loss):
    z = np.array([1000.0, 0.0, -1000.0])
    for y in ([1.0, 0, 0], [0, 0, 1.0], [0.5, 0, 0.5]):
        for output in ("softmax", "logistic"):
            got, gradient = value(loss, z, y, output)
            assert np.isfinite(got)
            assert np.isfinite(gradient).all()


def test_cross_entropy_of_probabilities_is_divergence_plus_entropy():
    y = np.array([[0.2, 0.5, 0.3], [0.0, 0.9, 0.1]])
    z = np.array([[1.0, 2.0, -1.0], [0.3, 0.2, 0.1]])
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    cross, gradient = value("cross_entropy", z, y, "softmax")
    divergence, same_gradient = value("kl_divergence", z, y, "softmax")
    entropy = -(y * np.log(np.where(y > 0, y, 1))).sum() / 2
    assert divergence == pytest.approx(rel_entr(y, p).sum() / 2, rel=1e-13)
    assert cross == pytest.approx(divergence + entropy, rel=1e-13)
    np.testing.assert_allclose(gradient, (p - y).mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(same_gradient, gradient, rtol=1e-15)


def test_sigmoid_units_with_half_squared_error_have_the_delta_of_the_notes():
    # Lecture 000, "Example 1", and 004, BP1: (z - t) z (1 - z) with z = f(net).
    net, t = np.array([0.5, -1.0, 3.0]), np.array([1.0, 0.0, 0.0])
    z = 1 / (1 + np.exp(-net))
    loss, delta = value("squared_error", net, t, "logistic")
    assert loss == pytest.approx(((t - z) ** 2).sum() / 2, rel=1e-14)
    np.testing.assert_allclose(delta, (z - t) * z * (1 - z), rtol=1e-13)


def test_symmetric_cross_entropy_of_sure_targets_uses_its_zero():
    # p = (1/4, 3/4), y = (1, 0): -log(1/4) - 3/4 * (-4).
    z = np.log([[1.0, 3.0]])
    got, _ = value("symmetric_cross_entropy", z, [1.0, 0.0], "softmax")
    assert got == pytest.approx(math.log(4) + 3, rel=1e-14)


def test_focal_loss_of_one_half():
    # -(1 - p)^2 log(p) has the derivative (1 - p)^2 (2 p log(p) - 1 + p) in z.
    got, gradient = value("focal", 0.0, 1.0, "logistic")
    assert got == pytest.approx(math.log(2) / 4, rel=1e-14)
    assert gradient[0] == pytest.approx((-math.log(2) - 0.5) / 4, rel=1e-14)


@pytest.mark.parametrize("loss", CLASSES)
def test_labels_are_sure_probabilities(loss):
    case = Case(loss, "softmax")
    labels = np.arange(N_ROWS, dtype=np.int64) % 5
    sure = np.eye(5)[labels]
    assert bits(*case.core(labels)) == bits(*case.core(sure))


@pytest.mark.parametrize("output", ["softmax", "logistic"])
def test_label_smoothing_mixes_targets_with_the_uniform_distribution(output):
    sure = np.eye(5)[np.arange(N_ROWS) % 5]
    n_classes = 5 if output == "softmax" else 2
    smooth = Case("cross_entropy", output, label_smoothing=0.25).core(sure)
    plain = Case("cross_entropy", output).core(0.75 * sure + 0.25 / n_classes)
    for got, expected in zip(smooth, plain, strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-13)


@pytest.mark.names_isa
@each_pair
def test_any_path_and_number_of_threads_gives_the_same_bits(loss, output):
    results = {
        bits(*Case(loss, output, isa=isa).core(n_threads=n_threads))
        for isa in FMA_ISAS or [""]
        for n_threads in (1, 2, 3)
    }
    assert len(results) == 1


# --- weights of entries ------------------------------------------------------------


@pytest.mark.parametrize(("loss", "output"), [p for p in PAIRS if p[1] != "softmax"])
def test_equal_weights_of_entries_are_weights_of_rows(loss, output):
    case = Case(loss, output)
    entries = np.repeat(case.w[:, np.newaxis], 5, axis=1)
    for got, expected in zip(case.core(w=entries), case.core(), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-12)


def test_entries_without_weight_may_be_missing():
    case = Case("squared_error", "identity")
    missing = np.random.default_rng(3).random(case.y.shape) < 0.4
    y = np.where(missing, np.nan, case.y)
    loss, coefs, intercepts = case.core(y, np.where(missing, 0.0, 1.0))
    total = (~missing).sum() / 5
    errors = np.where(missing, 0, case.X @ case.W + case.b - case.y)
    assert loss == pytest.approx((errors**2).sum() / 2 / total, rel=1e-13)
    np.testing.assert_allclose(coefs, case.X.T @ errors / total, rtol=1e-12)
    np.testing.assert_allclose(intercepts, errors.sum(axis=0) / total, rtol=1e-12)


# --- losses computed elsewhere -----------------------------------------------------


@pytest.mark.parametrize("output", [*OUTPUTS, "softmax"])
def test_outer_loss_is_the_loss_of_its_formula(output):
    case = Case("linear", output)
    plain = Case("squared_error", output)

    def squared_error(y, p):
        return ((y - p) ** 2).sum(axis=1) / 2, p - y

    expected = plain.core()
    for n_threads in (1, 2, 5):
        got = case.core(outer_loss=squared_error, n_threads=n_threads)
        for ours, theirs in zip(got, expected, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-13, atol=1e-16)


def test_outer_loss_gets_arrays_of_its_own():
    case = Case("linear", "identity")
    y, kept = case.y.copy(), []

    def spoils(y_true, y_pred):
        kept.append(y_pred)
        y_true[:] = np.nan
        return np.zeros(len(y_pred)), np.zeros_like(y_pred)

    case.core(outer_loss=spoils)
    np.testing.assert_array_equal(case.y, y)
    np.testing.assert_allclose(kept[0], case.X @ case.W + case.b, rtol=1e-13)


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, MemoryError])
def test_error_of_an_outer_loss_ends_the_call(error):
    def fails(y_true, y_pred):
        raise error("from the loss")

    for n_threads in (1, 2):
        with pytest.raises(error, match="from the loss"):
            Case("linear", "identity").core(outer_loss=fails, n_threads=n_threads)


def test_outer_loss_needs_a_linear_network():
    with pytest.raises(ValueError, match="outer_loss needs a network with the loss li"):
        Case("squared_error", "identity").core(outer_loss=lambda y, p: (y, p))


# --- settings ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("loss", "output", "settings", "message"),
    [
        ("cosine", "", {}, "loss must be one of softmax_cross_entropy, binary"),
        ("huber", "relu", {}, "output must be one of identity, logistic"),
        ("huber", "softmax", {}, "do not go together"),
        ("gamma", "identity", {}, "do not go together"),
        ("focal", "tanh", {}, "do not go together"),
        ("softmax_cross_entropy", "logistic", {}, "do not go together"),
        ("huber", "", {"delta": 0.0}, "delta must be positive, got 0"),
        ("focal", "", {"gamma": -1.0}, "gamma must be at least 0, got -1"),
        ("focal", "", {"label_smoothing": 1.0}, r"label_smoothing must be in \[0, 1\)"),
        ("softmax_cross_entropy", "", {"label_smoothing": 0.1}, "cross_entropy"),
        ("symmetric_cross_entropy", "", {"log_zero": 0.0}, "log_zero must be below 0"),
        ("quantile", "", {"levels": [0.5]}, "levels must be one for each output"),
        ("quantile", "", {"levels": [0.5, 1.0]}, r"levels must be in \(0, 1\)"),
        ("huber", "", {"levels": [0.5, 0.6]}, "levels must be one for each output"),
    ],
)
def test_bad_settings_are_refused(loss, output, settings, message):
    with pytest.raises(ValueError, match=message):
        spec = _core.Loss(loss, output, **settings)
        _core.Network([3, 2], "relu", spec, "float64")


def test_weights_of_entries_of_a_softmax_are_refused():
    case = Case("cross_entropy", "softmax")
    with pytest.raises(ValueError, match="sample_weight of each output needs"):
        case.core(w=np.ones_like(case.y))


def test_eps_is_what_probabilities_are_clipped_at():
    got, _ = value("cross_entropy", [0.0, 2000.0], [1.0, 0.0], "softmax")
    assert got == pytest.approx(-math.log(eps("float64")), rel=1e-15)
