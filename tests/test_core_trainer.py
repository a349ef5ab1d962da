"""Training by the core: ten steps of every rule against the reference, closed forms."""

from itertools import chain

import numpy as np
import pytest
import scipy.sparse

from fastbp import _core
from fastbp._blas import scipy_blas
from reference import ACTIVATIONS, LOSSES, OPTIMIZERS, run_epoch
from reference.compare import assert_close, bits, eps
from reference.compiled import ISAS, compiled, dense
from reference.problems import DTYPES, SIZES, make_problem

RATE, ALPHA = 0.01, 0.3


def csr(problem):
    """The samples of a problem as sparse rows."""
    X = scipy.sparse.csr_array(problem.X)
    return _core.Rows.csr(X.indptr, X.indices, X.data, X.shape[1])


# Where the epsilon of an adaptive rule is the default, a gradient of nothing but
# rounding errors is scaled up to a step of full length: no comparison is possible. The
# default has its closed form below.
OPTIONS = {
    rule: {"epsilon": 1e-2} for rule in ("rmsprop", "adagrad", "adam", "nadam")
} | {"lion": {"beta_2": 0.99}}

# All that changes a step besides the rule, such that each has something to do.
LIMITS = {
    "l1": {"l1": 0.4},
    "decay": {"weight_decay": 0.5},
    "max_norm": {"max_norm": 0.9},
    "clip_norm": {"clip_norm": 0.2},
    "all": {"l1": 0.4, "weight_decay": 0.5, "max_norm": 0.9, "clip_norm": 0.2},
}


# Every pair of a rule, a loss and an activation is among them, not every triple.
TRIPLES = [
    (rule, list(LOSSES)[(i + j) % len(LOSSES)], activation)
    for i, rule in enumerate(OPTIMIZERS)
    for j, activation in enumerate(ACTIVATIONS)
]


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("rule", "loss", "activation"), TRIPLES)
def test_ten_steps_agree_with_reference(rule, loss, activation, dtype, isa):
    problem = make_problem((7, 13, 9, 4), activation, loss, 35, dtype)
    # Two passes over 35 rows in batches of 8: ten steps, two of them with 3 rows.
    training = Training(problem, rule, isa, batch_size=8)
    training.run_epoch(n_terms=35)
    training.run_epoch(n_terms=35)
    assert training.trainer.t == 10


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("limits", LIMITS.values(), ids=LIMITS)
@pytest.mark.parametrize("storage", [dense, csr])
@pytest.mark.parametrize("rule", OPTIMIZERS)
def test_ten_steps_with_limits_agree_with_reference(rule, storage, limits, dtype, isa):
    problem = make_problem((7, 13, 33, 4), "tanh", n_rows=35, dtype=dtype)
    problem.X[problem.X < -0.5] = 0
    training = Training(problem, rule, isa, 8, storage, **limits)
    training.run_epoch(n_terms=35)
    training.run_epoch(n_terms=35, n_threads=2)
    assert training.trainer.t == 10


@pytest.mark.parametrize("n_threads", [1, 3])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", range(len(SIZES)))
def test_limits_of_odd_shapes_agree_with_reference(size, dtype, n_threads):
    sizes = [SIZES[(size * factor + factor) % 16] for factor in (1, 3, 5, 7)]
    problem = make_problem(sizes, "logistic", "squared_error", 50, dtype)
    for rule in OPTIMIZERS:
        training = Training(problem, rule, "", 20, **LIMITS["all"])
        training.run_epoch(n_terms=129, n_threads=n_threads)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("limits", LIMITS.values(), ids=LIMITS)
def test_limits_of_long_columns_agree_with_reference(limits, dtype):
    problem = make_problem((1100, 17, 3), "tanh", n_rows=40, dtype=dtype)
    Training(problem, "nesterov", "", 16, **limits).run_epoch(n_terms=1100)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("limits", LIMITS.values(), ids=LIMITS)
def test_limits_with_a_blas_agree_with_reference(limits, dtype):
    problem = make_problem((150, 140, 33, 5), "tanh", n_rows=40, dtype=dtype)
    for storage in (dense, csr):
        training = Training(
            problem, "momentum", "", 16, storage, blas=scipy_blas(), **limits
        )
        training.run_epoch(n_terms=150)
        training.run_epoch(n_terms=150, n_threads=2)


def test_limits_that_are_not_reached_change_nothing():
    problem = make_problem((7, 33, 4), "relu", n_rows=40)
    results = []
    for limits in ({}, {"max_norm": 1e6}, {"clip_norm": 1e6}):
        network = compiled(problem)
        trainer = _core.Trainer(network, "adam", **limits)
        total = run(trainer, problem, alpha=ALPHA)
        results.append((total, *chain(*network.get_parameters())))
    for result in results[1:]:
        for got, expected in zip(result, results[0], strict=True):
            np.testing.assert_allclose(got, expected, rtol=1e-12)


@pytest.mark.parametrize("dtype", DTYPES)
def test_no_unit_has_longer_weights_than_max_norm(dtype):
    problem = make_problem((40, 33, 17, 4), "tanh", n_rows=60, dtype=dtype)
    network = compiled(problem)
    trainer = _core.Trainer(network, "sgd", max_norm=0.5)
    run(trainer, problem)
    for W in network.get_parameters()[0]:
        norms = np.linalg.norm(W.astype(np.float64), axis=0)
        np.testing.assert_array_less(norms, 0.5 * (1 + 8 * eps(dtype)))
        assert norms.max() > 0.49


def test_step_of_a_clipped_gradient_has_its_length():
    problem = make_problem((7, 9, 4), "tanh", n_rows=20)
    network = compiled(problem)
    before = list(chain(*network.get_parameters()))
    trainer = _core.Trainer(network, "sgd", clip_norm=1e-3)
    run(trainer, problem, batch_size=20)
    after = chain(*network.get_parameters())
    moved = np.concatenate(
        [(b - a).ravel() for a, b in zip(before, after, strict=True)]
    )
    assert np.linalg.norm(moved) == pytest.approx(RATE * 1e-3, rel=1e-9)


@pytest.mark.parametrize("limits", LIMITS.values(), ids=LIMITS)
def test_passes_backward_see_the_limited_weights(limits):
    # Gradients go through the mirror of the weights, outputs through the weights.
    problem = make_problem((30, 65, 33, 5), "tanh", n_rows=60)
    network = compiled(problem)
    run(_core.Trainer(network, "nadam", **limits), problem)
    fresh = compiled(problem)
    fresh.set_parameters(*network.get_parameters())
    arguments = dense(problem), problem.y
    results = [n.loss_and_gradients(*arguments) for n in (network, fresh)]
    assert bits(*results[0]) == bits(*results[1])


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", range(len(SIZES)))
def test_epoch_of_odd_shapes_agrees_with_reference(size, dtype, isa):
    sizes = [SIZES[(size * factor + factor) % 16] for factor in (1, 3, 5, 7, 9)]
    problem = make_problem(sizes[:3], "logistic", "squared_error", 150, dtype)
    for rule in OPTIMIZERS:
        training = Training(problem, rule, isa, batch_size=sizes[4])
        # At most 40 steps: 150 single rows would only take longer.
        training.run_epoch(n_terms=150, order=np.arange(min(150, 40 * sizes[4])))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("rule", OPTIMIZERS)
@pytest.mark.parametrize(
    ("n_in", "n_rows", "batch_size"), [(530, 40, 16), (6, 1300, 520), (6, 1300, 1300)]
)
def test_epoch_of_long_sums_agrees_with_reference(
    n_in, n_rows, batch_size, rule, dtype
):
    problem = make_problem((n_in, 17, 3), "tanh", n_rows=n_rows, dtype=dtype)
    Training(problem, rule, "", batch_size).run_epoch(n_terms=max(n_in, batch_size))


@pytest.mark.parametrize("n_threads", [1, 2, 3, 4, 8])
@pytest.mark.parametrize("rule", OPTIMIZERS)
def test_epoch_by_several_threads_agrees_with_reference(rule, n_threads):
    problem = make_problem((30, 65, 33, 5), "relu", n_rows=400)
    Training(problem, rule, "", 100).run_epoch(n_terms=100, n_threads=n_threads)


@pytest.mark.parametrize("rule", OPTIMIZERS)
def test_order_chooses_the_rows(rule):
    problem = make_problem((7, 9, 3), n_rows=30)
    rng = np.random.default_rng(1)
    for order in (rng.permutation(30)[:23], rng.integers(0, 30, 70)):
        Training(problem, rule, "", 10).run_epoch(n_terms=30, order=order)


@pytest.mark.parametrize("batch_size", [31, 2**40, 2**63 - 1])
def test_batch_may_be_larger_than_the_data(batch_size):
    problem = make_problem((7, 9, 3), n_rows=30)
    training = Training(problem, "adam", "", batch_size)
    training.run_epoch(n_terms=30)
    assert training.trainer.t == 1


@pytest.mark.parametrize("dtype", DTYPES)
def test_order_reads_rows_as_if_they_lay_so(dtype):
    problem = make_problem((7, 9, 3), n_rows=30, dtype=dtype)
    order = np.random.default_rng(1).permutation(30)

    def train(X, y, sample_weight, order):
        network = compiled(problem)
        trainer = _core.Trainer(network, "adam")
        settings = {"batch_size": 8, "learning_rate": RATE}
        total = trainer.run_epoch(
            _core.Rows.dense(X), y, sample_weight, order, **settings
        )
        return bits(total, *network.get_parameters())

    X, y, weight = problem.X, problem.y, problem.sample_weight
    shuffled = train(X, y, weight, order)
    assert shuffled == train(X[order], y[order], weight[order], None)
    assert shuffled == train(X[order], y[order], weight[order], np.arange(30))
    assert shuffled != train(X, y, weight, None)


def test_sample_weights_default_to_one():
    problem = make_problem((7, 9, 3), n_rows=30)
    results = []
    for sample_weight in (None, np.ones(30)):
        network = compiled(problem)
        total = run(_core.Trainer(network, "nesterov"), problem, sample_weight)
        results.append(bits(total, *network.get_parameters()))
    assert results[0] == results[1]


@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize("rule", OPTIMIZERS)
def test_batch_without_weight_is_skipped(rule, n_threads):
    problem = make_problem((7, 9, 3), n_rows=35)
    problem.sample_weight[8:16] = 0.0  # the second batch
    problem.sample_weight[32:] = 0.0  # the last batch, a short one
    problem.sample_weight[3] = 0.0  # one row of a batch that counts
    training = Training(problem, rule, "", batch_size=8)
    training.run_epoch(n_terms=35, n_threads=n_threads)
    assert training.trainer.t == 3


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("rule", OPTIMIZERS)
@pytest.mark.parametrize("n_threads", [1, 3])
def test_rates_of_the_steps_agree_with_reference(rule, dtype, isa, n_threads):
    problem = make_problem((7, 9, 3), n_rows=35, dtype=dtype)
    problem.sample_weight[8:16] = 0.0
    training = Training(problem, rule, isa, batch_size=8)
    rates = RATE * np.array([1.0, 77.0, 0.25, 0.0, 2.0])
    training.run_epoch(n_terms=35, n_threads=n_threads, learning_rate=rates)
    assert training.trainer.t == 4


@pytest.mark.parametrize("rule", OPTIMIZERS)
def test_equal_rates_give_the_bits_of_one(rule):
    problem = make_problem((7, 9, 3), n_rows=35)
    results = []
    for rate in (RATE, np.full(5, RATE), np.float64(RATE)):
        network = compiled(problem)
        total = run(_core.Trainer(network, rule), problem, learning_rate=rate)
        results.append(bits(total, *network.get_parameters()))
    assert results[0] == results[1] == results[2]


@pytest.mark.parametrize(
    ("rates", "error"),
    [
        (np.ones(4), ValueError),
        (np.ones(6), ValueError),
        (np.ones((5, 1)), ValueError),
        (np.ones(5, dtype=np.float32), TypeError),
        ("fast", TypeError),
    ],
    ids=str,
)
def test_rates_of_another_form_are_refused(rates, error):
    problem = make_problem((7, 9, 3), n_rows=35)
    network = compiled(problem)
    before = bits(*network.get_parameters())
    with pytest.raises(error):
        run(_core.Trainer(network, "adam"), problem, learning_rate=rates)
    assert bits(*network.get_parameters()) == before


def test_epoch_without_any_weight_changes_nothing():
    problem = make_problem((7, 9, 3), n_rows=20)
    network = compiled(problem)
    trainer = _core.Trainer(network, "adam")
    assert run(trainer, problem, np.zeros(20)) == 0.0
    assert trainer.t == 0
    assert bits(*network.get_parameters()) == bits(problem.coefs, problem.intercepts)


def test_epoch_of_no_rows_changes_nothing():
    problem = make_problem((7, 9, 3), n_rows=20)
    network = compiled(problem)
    trainer = _core.Trainer(network, "adam")
    assert run(trainer, problem, order=np.arange(0)) == 0.0
    assert trainer.t == 0
    assert bits(*network.get_parameters()) == bits(problem.coefs, problem.intercepts)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_two_steps_of_adam_have_their_closed_form(dtype, isa):
    w, trainer, step = scalar_training("adam", dtype, isa)
    # Gradients 1 and w_1: m and v start at 0, and step t has the rate
    # lr sqrt(1 - beta_2^t) / (1 - beta_1^t).
    w_1 = 1 - 0.1 * np.sqrt(0.001) / 0.1 * 0.1 / (np.sqrt(0.001) + 1e-8)
    m = 0.9 * 0.1 + 0.1 * w_1
    v = 0.999 * 0.001 + 0.001 * w_1**2
    w_2 = w_1 - 0.1 * np.sqrt(0.001999) / 0.19 * m / (np.sqrt(v) + 1e-8)
    tolerance = 8 * eps(dtype)
    step()
    assert w() == pytest.approx(w_1, rel=tolerance)
    step()
    assert w() == pytest.approx(w_2, rel=tolerance)
    t, (first, second) = trainer.get_state()
    assert t == 2
    assert first[1][0] == pytest.approx(m, rel=tolerance)
    assert second[1][0] == pytest.approx(v, rel=tolerance)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("sgd", [0.9, 0.81, 0.729]),
        # v = -0.1, -0.09 - 0.09, ...; w = 1 + v_1 + v_2 + ...
        ("momentum", [0.9, 0.72, 0.486]),
        # w_1 = 1 - 0.9 x 0.1 - 0.1; v_2 = -0.09 - 0.081; ...
        ("nesterov", [0.81, 0.5751, 0.327321]),
    ],
)
def test_three_steps_have_their_closed_form(rule, expected, dtype, isa):
    w, _, step = scalar_training(rule, dtype, isa)
    for value in expected:
        step()
        assert w() == pytest.approx(value, rel=8 * eps(dtype))


# The first two gradients are 1 and w_1.
def two_steps_of_rmsprop():
    w_1 = 1 - 0.1 / (np.sqrt(0.001) + 1e-8)
    v = 0.999 * 0.001 + 0.001 * w_1**2
    return [w_1, w_1 - 0.1 * w_1 / (np.sqrt(v) + 1e-8)]


def two_steps_of_adagrad():
    w_1 = 1 - 0.1 / (1 + 1e-8)
    return [w_1, w_1 - 0.1 * w_1 / (np.sqrt(1 + w_1**2) + 1e-8)]


def two_steps_of_lion():
    # sign(0.1) and sign(0.9 x 0.001 + 0.1 x 0.9)
    return [0.9, 0.8]


def two_steps_of_nadam():
    mu = [0.9 * (1 - 0.5 * 0.96 ** (0.004 * t)) for t in (1, 2, 3)]
    # Corrected moments: v / 0.001 = 1 after the first gradient; m = 0.1.
    step = (1 - mu[0]) / (1 - mu[0]) + mu[1] * 0.1 / (1 - mu[0] * mu[1])
    w_1 = 1 - 0.1 * step / (1 + 1e-8)
    m = 0.9 * 0.1 + 0.1 * w_1
    v = (0.999 * 0.001 + 0.001 * w_1**2) / (1 - 0.999**2)
    step = (1 - mu[1]) * w_1 / (1 - mu[0] * mu[1]) + mu[2] * m / (1 - np.prod(mu))
    return [w_1, w_1 - 0.1 * step / (np.sqrt(v) + 1e-8)]


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("rmsprop", two_steps_of_rmsprop()),
        ("adagrad", two_steps_of_adagrad()),
        ("lion", two_steps_of_lion()),
        ("nadam", two_steps_of_nadam()),
    ],
)
def test_two_steps_have_their_closed_form(rule, expected, dtype, isa):
    w, _, step = scalar_training(rule, dtype, isa)
    for value in expected:
        step()
        assert w() == pytest.approx(value, rel=16 * eps(dtype))


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        # From w = 2 with gradient 0, rate 0.5, batch weight 4: l1 / 4 = 0.25.
        ({"l1": 1.0}, 2 - 0.5 * 0.25),
        ({"weight_decay": 0.25}, 2 * (1 - 0.5 * 0.25)),
        ({"max_norm": 0.75}, 0.75),
        ({"l1": 8.0, "clip_norm": 1.0}, 2 - 0.5 * 1.0),
        ({"l1": 8.0, "clip_norm": 1.0, "weight_decay": 0.25}, 1.75 - 0.5),
        ({"l1": 8.0, "weight_decay": 0.25, "max_norm": 0.5}, 0.5),
    ],
)
@pytest.mark.parametrize("sign", [1, -1])
def test_step_of_penalties_has_its_closed_form(sign, settings, expected, dtype, isa):
    network = _core.Network([1, 1], "identity", "squared_error", dtype, isa=isa)
    W, b = np.full((1, 1), 2.0 * sign, dtype), np.zeros(1, dtype)
    network.set_parameters([W], [b])
    zero = np.zeros((4, 1), dtype)
    total = _core.Trainer(network, "sgd", **settings).run_epoch(
        _core.Rows.dense(zero), zero, None, None, batch_size=4, learning_rate=0.5
    )
    (W,), (b,) = network.get_parameters()
    assert W[0, 0] == pytest.approx(sign * expected, rel=4 * eps(dtype))
    assert b[0] == 0
    # The loss of the batch is l1 |w| / 4, and counts for 4 rows.
    assert total == settings.get("l1", 0) * 2


def test_l1_leaves_a_weight_of_zero_alone():
    network = _core.Network([1, 1], "identity", "squared_error", "float64")
    network.set_parameters([np.zeros((1, 1))], [np.zeros(1)])
    zero = np.zeros((4, 1))
    _core.Trainer(network, "sgd", l1=1.0).run_epoch(
        _core.Rows.dense(zero), zero, None, None, batch_size=4, learning_rate=0.5
    )
    assert network.get_parameters()[0][0][0, 0] == 0


@pytest.mark.parametrize("settings", LIMITS.values(), ids=LIMITS)
def test_biases_know_the_gradient_clip_only(settings):
    # The bias is 3 and has the gradient 3; the weight is 0 and has none.
    network = _core.Network([1, 1], "identity", "squared_error", "float64")
    network.set_parameters([np.zeros((1, 1))], [np.full(1, 3.0)])
    zero = np.zeros((1, 1))
    _core.Trainer(network, "sgd", **settings).run_epoch(
        _core.Rows.dense(zero), zero, None, None, batch_size=1, learning_rate=0.5
    )
    gradient = min(3.0, settings.get("clip_norm", np.inf))
    assert network.get_parameters()[1][0][0] == pytest.approx(3 - 0.5 * gradient)


@pytest.mark.parametrize("dtype", DTYPES)
def test_zero_momentum_is_plain_descent(dtype):
    problem = make_problem((7, 9, 3), n_rows=30, dtype=dtype)
    results = []
    for rule in ("sgd", "momentum", "nesterov"):
        network = compiled(problem)
        run(_core.Trainer(network, rule, momentum=0.0), problem)
        results.append(network.get_parameters()[0][0])
    np.testing.assert_array_equal(results[0], results[1])
    np.testing.assert_array_equal(results[0], results[2])


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("rule", OPTIMIZERS)
def test_state_restored_goes_on_as_if_never_stopped(rule, dtype, isa):
    problem = make_problem((7, 17, 33, 3), n_rows=30, dtype=dtype)
    network = compiled(problem, isa)
    trainer = _core.Trainer(network, rule)
    run(trainer, problem)
    t, moments = trainer.get_state()
    parameters = network.get_parameters()
    assert t == 4
    assert len(moments) == {"sgd": 0, "adam": 2, "nadam": 2}.get(rule, 1)
    assert all(
        [m.shape for m in moment] == [p.shape for p in chain(*parameters)]
        and all(m.dtype == dtype and m.any() for m in moment)
        for moment in moments
    )
    run(trainer, problem)

    other = compiled(problem, isa)
    other.set_parameters(*parameters)
    successor = _core.Trainer(other, rule)
    successor.set_state(t, moments)
    assert bits(*successor.get_state()[1]) == bits(*moments)
    run(successor, problem)
    assert successor.t == trainer.t == 8
    assert bits(*other.get_parameters()) == bits(*network.get_parameters())
    assert bits(*successor.get_state()[1]) == bits(*trainer.get_state()[1])


def test_state_is_a_copy():
    problem = make_problem((7, 9, 3), n_rows=30)
    trainer = _core.Trainer(compiled(problem), "adam")
    run(trainer, problem)
    _, moments = trainer.get_state()
    before = bits(*moments)
    for array in chain(*moments):
        array[:] = 7.0
    assert bits(*trainer.get_state()[1]) == before


@pytest.mark.parametrize("rule", ["sgd", "momentum", "nesterov", "adam"])
def test_saved_state_stays_while_training_goes_on(rule):
    problem = make_problem((5, 33, 2), n_rows=40)
    network = compiled(problem)
    trainer = _core.Trainer(network, rule)
    run(trainer, problem)
    before = bits(*network.get_parameters(), *trainer.get_state()[1])
    trainer.save()
    t = trainer.t
    run(trainer, problem)
    assert trainer.saved_t == t < trainer.t
    saved_t, coefs, intercepts, moments = trainer.take_saved()
    assert saved_t == t
    assert bits(coefs, intercepts, *moments) == before
    assert bits(*network.get_parameters(), *trainer.get_state()[1]) != before


def test_what_was_saved_can_be_taken_once():
    trainer = _core.Trainer(compiled(make_problem((3, 2))), "adam")
    assert trainer.saved_t == -1
    with pytest.raises(RuntimeError, match="nothing has been saved"):
        trainer.take_saved()
    trainer.save()
    first = trainer.take_saved()
    assert trainer.saved_t == -1
    trainer.save()
    assert not np.shares_memory(first[1][0], trainer.take_saved()[1][0])


@pytest.mark.parametrize(
    ("t", "shapes"),
    [
        (-1, [[(3, 2), (2,)]] * 2),
        (1, [[(3, 2), (2,)]]),  # one moment of two
        (1, [[(3, 2), (2,)]] * 3),
        (1, [[(3, 2)]] * 2),
        (1, [[(2, 3), (2,)]] * 2),
        (1, [[(3, 2), (3,)]] * 2),
        (1, [[(3, 2), (2,)], [(3, 2), (3,)]]),  # the first moment fits
    ],
)
def test_state_that_does_not_fit_is_refused(t, shapes):
    problem = make_problem((3, 2))
    trainer = _core.Trainer(compiled(problem), "adam")
    run(trainer, problem)
    before = trainer.get_state()
    with pytest.raises((ValueError, TypeError)):
        trainer.set_state(t, [[np.ones(s) for s in moment] for moment in shapes])
    assert trainer.t == before[0]
    assert bits(*trainer.get_state()[1]) == bits(*before[1])


@pytest.mark.parametrize(
    "change",
    [
        {"order": np.array([0, 1, 20])},
        {"order": np.array([0, -1, 1])},
        {"order": np.array([0.0, 1.0])},
        {"order": np.zeros((2, 2), np.int64)},
        {"sample_weight": np.ones(19)},
        {"y": np.zeros(19, np.int64)},
        {"y": np.full(20, 3)},
        {"y": np.full(20, -1)},
        {"y": np.zeros((20, 3))},
        {"batch_size": 0},
        {"batch_size": -1},
        {"n_threads": 0},
        {"X": np.ones((20, 6))},
    ],
    ids=str,
)
def test_epoch_over_bad_data_is_refused_and_changes_nothing(change):
    problem = make_problem((7, 9, 3), n_rows=20)
    network = compiled(problem)
    trainer = _core.Trainer(network, "adam")
    with pytest.raises((ValueError, TypeError, IndexError)):
        run(trainer, problem, **change)
    assert trainer.t == 0
    assert bits(*network.get_parameters()) == bits(problem.coefs, problem.intercepts)


def test_unknown_rule_is_refused():
    with pytest.raises(ValueError, match="adadelta"):
        _core.Trainer(compiled(make_problem((3, 2))), "adadelta")


def test_trainer_keeps_its_network_alive():
    problem = make_problem((3, 4, 2))
    trainer = _core.Trainer(compiled(problem), "sgd")
    assert run(trainer, problem) > run(trainer, problem) > 0


@pytest.mark.parametrize("training", [False, True])
def test_threads_for_is_between_one_and_what_is_asked(training):
    small, large = (
        compiled(make_problem((2, 2))),
        compiled(make_problem((600, 600, 10))),
    )
    for n_threads in (1, 2, 5):
        work = {"n_inputs": 600, "n_threads": n_threads, "training": training}
        assert _core.threads_for(large, 1000, **work) == n_threads
        assert 1 <= _core.threads_for(large, 2, **work) <= n_threads
        work["n_inputs"] = 2
        assert _core.threads_for(small, 1, **work) == 1


def test_max_threads_is_positive():
    assert _core.max_threads() >= 1


class Training:
    """A problem trained in the core and by the reference, which are compared."""

    def __init__(
        self,
        problem,
        rule,
        isa,
        batch_size,
        storage=dense,
        *,
        blas=None,
        l1=0.0,
        **limits,
    ):
        options = OPTIONS.get(rule, {}) | limits
        self.problem, self.batch_size, self.l1 = problem, batch_size, l1
        self.rows = storage(problem)
        self.network = compiled(problem, isa, blas=blas)
        self.trainer = _core.Trainer(self.network, rule, l1=l1, **options)
        self.reference = problem.reference()
        self.optimizer = OPTIMIZERS[rule](**options)

    def run_epoch(self, n_terms, order=None, n_threads=1, learning_rate=RATE):
        problem = self.problem
        settings = {
            "batch_size": self.batch_size,
            "learning_rate": learning_rate,
            "alpha": ALPHA,
        }
        total = self.trainer.run_epoch(
            self.rows,
            problem.y,
            problem.sample_weight,
            order,
            n_threads=n_threads,
            **settings,
        )
        expected = run_epoch(
            self.reference,
            self.optimizer,
            *problem.data,
            order,
            l1=self.l1,
            **settings,
        )
        t, moments = self.trainer.get_state()
        assert t == self.trainer.t == self.optimizer.t
        # Errors of one step are the start of the next: they add up.
        bound = {"dtype": problem.dtype, "n_terms": n_terms, "factor": 40.0}
        parameters = list(chain(*self.network.get_parameters()))
        assert_close(total, expected, **bound)
        assert_close(parameters, self.reference.parameters, **bound)
        for moment, oracle in zip(moments, self.optimizer.moments, strict=True):
            assert_close(moment, oracle, **bound)


def run(trainer, problem, sample_weight=None, order=None, **change):
    """An epoch of batches of eight rows; returns its total loss."""
    X = change.pop("X", problem.X)
    y = change.pop("y", problem.y)
    settings = {"batch_size": 8, "learning_rate": RATE} | change
    return trainer.run_epoch(_core.Rows.dense(X), y, sample_weight, order, **settings)


def scalar_training(rule, dtype, isa):
    """Minimise w^2 / 2 from w = 1 with the rate 0.1: the gradient is w itself.

    ``w`` is the bias of a linear unit whose input and target are 0.
    """
    network = _core.Network([1, 1], "identity", "squared_error", dtype, isa=isa)
    network.set_parameters([np.ones((1, 1), dtype)], [np.ones(1, dtype)])
    trainer = _core.Trainer(network, rule)
    zero = np.zeros((1, 1), dtype)

    def step():
        settings = {"batch_size": 1, "learning_rate": 0.1}
        trainer.run_epoch(_core.Rows.dense(zero), zero, None, None, **settings)

    return lambda: network.get_parameters()[1][0][0], trainer, step


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("momentum", 1.5),
        ("beta_1", 1.0),
        ("beta_2", -0.1),
        ("epsilon", 0.0),
        ("l1", -1.0),
        ("weight_decay", float("nan")),
        ("max_norm", -1.0),
        ("clip_norm", float("nan")),
    ],
)
def test_setting_out_of_range_is_refused_by_name(name, value):
    with pytest.raises(ValueError, match=f"{name} must be .*, got {value:.1f}"):
        _core.Trainer(compiled(make_problem((3, 2))), "adam", **{name: value})


def test_rate_belongs_to_its_batch_though_others_are_skipped():
    problem = make_problem((5, 3), n_rows=32)
    weights = np.ones(32)
    weights[8:16] = 0
    networks = []
    for rates, rows in (([0.1, 9.0, 0.2, 0.3], 32), ([0.1, 0.2, 0.3], 24)):
        network = compiled(problem)
        trainer = _core.Trainer(network, "sgd")
        order = np.arange(32) if rows == 32 else np.r_[0:8, 16:32]
        data = dense(problem), problem.y, weights, order.astype(np.int64)
        trainer.run_epoch(*data, batch_size=8, learning_rate=np.array(rates))
        networks.append(bits(*network.get_parameters()))
    assert networks[0] == networks[1]


@pytest.mark.parametrize("limit", ["max_norm", "clip_norm"])
def test_norm_that_overflows_is_not_hidden(limit):
    problem = make_problem((3, 2), n_rows=8, dtype="float32")
    network = compiled(problem)
    coefs, intercepts = network.get_parameters()
    network.set_parameters([c + np.float32(1e25) for c in coefs], intercepts)
    trainer = _core.Trainer(network, "sgd", **{limit: 1.0})
    run(trainer, problem, alpha=1.0)
    assert not network.is_finite()
