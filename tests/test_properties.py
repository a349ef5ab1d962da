"""What holds for any network and any data, tried on many of them by hypothesis."""

from dataclasses import replace
from itertools import chain

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from fastbp import _core
from reference import ACTIVATIONS, LOSSES, OPTIMIZERS
from reference.compare import assert_close, bits, eps
from reference.compiled import compiled, dense, predict
from reference.problems import DTYPES, make_problem

# The same examples in every run: a failure is a defect, never bad luck.
repeatable = settings(derandomize=True, deadline=None, max_examples=60)

problems = st.builds(
    make_problem,
    n_units=st.lists(st.integers(1, 40), min_size=2, max_size=5),
    activation=st.sampled_from(list(ACTIVATIONS)),
    loss=st.sampled_from(list(LOSSES)),
    n_rows=st.integers(1, 40),
    dtype=st.sampled_from(DTYPES),
    seed=st.integers(0, 2**32 - 1),
)


@repeatable
@given(problems, st.data())
def test_each_row_is_predicted_as_if_alone(problem, data):
    i = data.draw(st.integers(0, len(problem.X) - 1))
    network = compiled(problem)
    whole = predict(network, problem.X)
    assert bits(whole[i]) == bits(predict(network, problem.X[i : i + 1]))


@repeatable
@given(problems, st.randoms(use_true_random=False))
def test_rows_are_predicted_alike_in_any_order(problem, random):
    order = random.sample(range(len(problem.X)), len(problem.X))
    network = compiled(problem)
    whole = predict(network, problem.X)
    assert bits(whole[order]) == bits(predict(network, problem.X[order]))


@repeatable
@given(problems, st.randoms(use_true_random=False))
def test_loss_and_gradients_hardly_depend_on_the_order_of_rows(problem, random):
    order = random.sample(range(len(problem.X)), len(problem.X))
    shuffled = with_rows(problem, order)
    assert_all_close(loss_and_gradients(shuffled), loss_and_gradients(problem), problem)


@repeatable
@given(problems, st.data())
def test_hidden_units_may_change_places(problem, data):
    n_units = problem.n_units
    for layer in range(len(n_units) - 2):
        order = data.draw(st.permutations(range(n_units[layer + 1])))
        coefs, intercepts = list(problem.coefs), list(problem.intercepts)
        coefs[layer] = np.ascontiguousarray(coefs[layer][:, order])
        intercepts[layer] = intercepts[layer][order]
        coefs[layer + 1] = coefs[layer + 1][order]
        permuted = replace(problem, coefs=coefs, intercepts=intercepts)
        before = predict(compiled(problem), problem.X)
        after = predict(compiled(permuted), problem.X)
        assert_close(after, before, problem.dtype, max(n_units), factor=32)


@repeatable
@given(problems, st.data())
def test_weight_of_k_is_k_copies_of_the_row(problem, data):
    n = len(problem.X)
    count = np.array(data.draw(st.lists(st.integers(0, 4), min_size=n, max_size=n)))
    count[data.draw(st.integers(0, n - 1))] = 2  # at least one row counts
    weighted = replace(problem, sample_weight=count.astype(np.float64))
    copied = with_rows(problem, np.repeat(np.arange(n), count))
    copied = replace(copied, sample_weight=np.ones(count.sum()))
    assert_all_close(loss_and_gradients(weighted), loss_and_gradients(copied), problem)


@repeatable
@given(problems, st.sampled_from([0.25, 2.0, 1024.0]))
def test_weights_matter_only_relative_to_each_other(problem, factor):
    # A power of two scales every number of the way exactly, and cancels in the end.
    scaled = replace(problem, sample_weight=problem.sample_weight * factor)
    loss_1, *gradients_1 = loss_and_gradients(problem, alpha=0.0)
    loss_2, *gradients_2 = loss_and_gradients(scaled, alpha=0.0)
    assert loss_1 == loss_2
    assert bits(*gradients_1) == bits(*gradients_2)


@repeatable
@given(problems, st.floats(0.0, 10.0))
def test_loss_is_not_negative(problem, alpha):
    assert loss_and_gradients(problem, alpha)[0] >= 0


@repeatable
@given(problems)
def test_outputs_are_in_their_range(problem):
    p = predict(compiled(problem), problem.X)
    if "cross_entropy" in problem.loss:
        assert p.min() >= 0
        assert p.max() <= 1
    if problem.loss == "softmax_cross_entropy":
        np.testing.assert_allclose(p.sum(axis=1), 1, rtol=4 * eps(problem.dtype))
    if problem.loss == "poisson":
        assert p.min() > 0


@repeatable
@given(problems, st.floats(0, 1))
def test_csr_is_dense_in_every_bit(problem, density):
    keep = np.random.default_rng(0).random(problem.X.shape) < density
    X = np.where(keep, problem.X, 0).astype(problem.dtype)
    S = sparse.csr_array(X)
    csr = _core.Rows.csr(S.indptr, S.indices, S.data, X.shape[1])
    results = []
    for rows in (_core.Rows.dense(X), csr):
        network = compiled(problem)
        data = rows, problem.y, problem.sample_weight
        outcome = network.loss_and_gradients(*data, alpha=0.1)
        trainer = _core.Trainer(network, "adam")
        trainer.run_epoch(*data, None, batch_size=7, learning_rate=0.01)
        parameters = network.get_parameters()
        results.append(bits(*outcome, *parameters, network.predict(rows)))
    assert results[0] == results[1]


@repeatable
@given(problems)
def test_parameters_come_back_in_every_bit(problem):
    parameters = compiled(problem).get_parameters()
    assert bits(*parameters) == bits(problem.coefs, problem.intercepts)


@repeatable
@given(problems, st.sampled_from(list(OPTIMIZERS)), st.integers(1, 50))
def test_epoch_is_the_sequence_of_its_batches(problem, rule, batch_size):
    options = {"batch_size": batch_size, "learning_rate": 0.01, "alpha": 0.1}
    data = dense(problem), problem.y, problem.sample_weight

    network = compiled(problem)
    trainer = _core.Trainer(network, rule)
    trainer.run_epoch(*data, None, **options)
    whole = bits(*network.get_parameters())

    network = compiled(problem)
    trainer = _core.Trainer(network, rule)
    for start in range(0, len(problem.X), batch_size):
        batch = np.arange(start, min(start + batch_size, len(problem.X)))
        trainer.run_epoch(*data, batch, **options)
    assert bits(*network.get_parameters()) == whole


@repeatable
@given(problems)
def test_step_of_descent_is_the_gradient(problem):
    network = compiled(problem)
    _, coef_grads, intercept_grads = loss_and_gradients(problem)
    trainer = _core.Trainer(network, "sgd")
    trainer.run_epoch(
        dense(problem),
        problem.y,
        problem.sample_weight,
        None,
        batch_size=len(problem.X),
        learning_rate=0.5,
        alpha=0.1,
    )
    before = problem.coefs + problem.intercepts
    after = list(chain(*network.get_parameters()))
    gradients = coef_grads + intercept_grads
    expected = [
        w - w.dtype.type(0.5) * g for w, g in zip(before, gradients, strict=True)
    ]
    assert_close(after, expected, problem.dtype, 4)


def with_rows(problem, rows):
    return replace(
        problem,
        X=problem.X[rows],
        y=problem.y[rows],
        sample_weight=problem.sample_weight[rows],
    )


def loss_and_gradients(problem, alpha=0.1):
    return compiled(problem).loss_and_gradients(
        dense(problem), problem.y, problem.sample_weight, alpha=alpha
    )


def assert_all_close(actual, expected, problem):
    """Compare loss and gradients of two ways to compute the same."""
    n_terms = max(*problem.n_units, 4 * len(problem.X))
    for got, want in zip(actual, expected, strict=True):
        assert_close(got, want, problem.dtype, n_terms, factor=32)
