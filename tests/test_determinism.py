"""The same bits for any number of threads and on every path with fused multiply-add."""

import hashlib
import os
import subprocess
import sys
from functools import partial
from itertools import pairwise

import numpy as np
import pytest
from numpy._core._multiarray_umath import __cpu_dispatch__, __cpu_features__
from scipy import sparse

from fastbp import _core
from reference import ACTIVATIONS, LOSSES, OPTIMIZERS
from reference.compare import bits
from reference.compiled import FMA_ISAS, ISAS, compiled
from reference.problems import DTYPES, SIZES, make_problem

N_THREADS = (1, 2, 3, 4, 8)


def dense(X):
    return _core.Rows.dense(X)


def csr(X):
    S = sparse.csr_array(X)
    return _core.Rows.csr(S.indptr, S.indices, S.data, S.shape[1])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("rule", OPTIMIZERS)
@pytest.mark.parametrize("storage", [dense, csr])
def test_training_has_the_same_bits_for_any_threads_and_path(storage, rule, dtype):
    activations = ("tanh", "relu")
    problem = make_problem((37, 100, 65, 10), activations, n_rows=331, dtype=dtype)
    problem.X[problem.X < 0.5] = 0
    # Batches of 129, 129 and 73 rows: no thread count divides them.
    assert_same_bits(partial(trained, problem, storage, rule, 129), N_THREADS)


# Norms are sums over many tasks.
LIMITS = {"l1": 0.3, "weight_decay": 0.5, "max_norm": 0.9, "clip_norm": 0.1}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("rule", OPTIMIZERS)
@pytest.mark.parametrize("limit", [*LIMITS, "all"])
@pytest.mark.parametrize("storage", [dense, csr])
def test_limits_have_the_same_bits_for_any_threads_and_path(
    storage, limit, rule, dtype
):
    limits = LIMITS if limit == "all" else {limit: LIMITS[limit]}
    problem = make_problem((37, 100, 65, 10), "tanh", n_rows=331, dtype=dtype)
    problem.X[problem.X < 0.5] = 0
    assert_same_bits(partial(trained, problem, storage, rule, 129, **limits))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_gradients_have_the_same_bits_however_computed(activation, loss, dtype):
    problem = make_problem((37, 65, 33, 5), activation, loss, 150, dtype)

    def compute(isa, n_threads):
        of_dense, of_csr = (
            gradients(problem, storage, isa, n_threads) for storage in (dense, csr)
        )
        assert of_dense == of_csr
        return of_dense

    assert_same_bits(compute, N_THREADS)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", range(len(SIZES)))
def test_odd_shapes_have_the_same_bits_however_computed(size, dtype):
    # Each layer takes each size once, and so does the number of rows.
    sizes = [SIZES[(size * factor + factor) % 16] for factor in (1, 3, 5, 7)]
    problem = make_problem(sizes[:3], "logistic", n_rows=sizes[3], dtype=dtype)
    assert_same_bits(partial(everything, problem))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("n_units", "n_rows"),
    [((1030, 20, 3), 50), ((20, 33, 3), 1030), ((3, 700, 2), 600)],
)
def test_long_sums_have_the_same_bits_however_computed(n_units, n_rows, dtype):
    problem = make_problem(n_units, "tanh", n_rows=n_rows, dtype=dtype)
    assert_same_bits(partial(everything, problem))


def test_repetition_has_the_same_bits():
    problem = make_problem((64, 128, 10), "relu", n_rows=512, dtype="float32")
    results = {trained(problem, dense, "adam", 100, "", 2) for _ in range(20)}
    assert len(results) == 1


# Prints what may go through NumPy's own functions, as digests.
THROUGH_NUMPY = """
import hashlib, numpy as np
from fastbp import MLPRegressor, Network, schedules
from fastbp.layers import Dense

def show(*arrays):
    print(hashlib.sha256(b"".join(a.tobytes() for a in arrays)).hexdigest())

X = np.random.RandomState(0).normal(size=(300, 3))
for name in schedules.SCHEDULES:
    model = MLPRegressor("squared_error", (4,), lr_schedule=name, random_state=0)
    model.set_params(max_iter=9, batch_size=20)
    show(*model.fit(X, X[:, 0] - X[:, 2]).coefs_)
for output in ("softmax", "exp", "softplus"):
    network = Network([Dense(40, output)], n_in=3, random_state=0)
    show(network.forward(X), network.predict(X))
"""


def test_instruction_sets_of_numpy_change_nothing():
    found = [isa for isa in __cpu_dispatch__ if __cpu_features__.get(isa)]
    digests = [
        subprocess.run(
            [sys.executable, "-W", "ignore", "-c", THROUGH_NUMPY],
            env=os.environ | {"NPY_DISABLE_CPU_FEATURES": " ".join(disabled)},
            check=True,
            capture_output=True,
            text=True,
        ).stdout.split()
        for disabled in ([], found)
    ]
    assert len(digests[0]) > 10
    assert digests[0] == digests[1]


# Of SHA-256, written down from a run. They change only when an elementary function or
# the order of a sum changes: that is a decision, and belongs into the changelog.
DIGESTS = {
    ("softmax_cross_entropy", "float32"): "976575e5b217bb05",
    ("softmax_cross_entropy", "float64"): "1e2dae214c8b2630",
    ("binary_cross_entropy", "float32"): "b6d35e3ccfef54ca",
    ("binary_cross_entropy", "float64"): "cfc2775b22a86474",
    ("squared_error", "float32"): "bc2e4ff1c95cc567",
    ("squared_error", "float64"): "b047e1119ef4ec40",
    ("poisson", "float32"): "66fe133a98f1e4ff",
    ("poisson", "float64"): "e1b51e01bdf001c9",
}


@pytest.mark.parametrize("isa", FMA_ISAS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("loss", "activation", "rule"),
    [
        ("softmax_cross_entropy", "tanh", "adam"),
        ("binary_cross_entropy", "logistic", "nesterov"),
        ("squared_error", "relu", "momentum"),
        ("poisson", "leaky_relu", "sgd"),
    ],
)
def test_training_has_the_bits_written_down(loss, activation, rule, dtype, isa):
    # All numbers are integers over 2^15, the same in every NumPy and on every machine.
    n_units, n_rows = (12, 33, 17, 5), 100
    pairs = list(pairwise(n_units))
    y = {
        "softmax_cross_entropy": integers(n_rows) % 5,
        "binary_cross_entropy": integers(n_rows, 5) % 2,
        "squared_error": fractions(n_rows, 5),
        "poisson": integers(n_rows, 5) % 4,
    }[loss]
    y = y.astype(np.int64 if y.ndim == 1 else dtype)
    X = dense(fractions(n_rows, n_units[0]).astype(dtype))
    data = X, y, 1 + fractions(n_rows) / 2, np.argsort(integers(n_rows), kind="stable")

    network = _core.Network(n_units, activation, loss, dtype, isa=isa)
    network.set_parameters(
        [fractions(*shape).astype(dtype) / 4 for shape in pairs],
        [fractions(n_out).astype(dtype) for _, n_out in pairs],
    )
    trainer = _core.Trainer(network, rule)
    settings = {"batch_size": 32, "learning_rate": 0.01, "alpha": 0.5, "n_threads": 2}
    totals = [trainer.run_epoch(*data, **settings) for _ in range(3)]
    result = bits(totals, *network.get_parameters(), network.predict(X))
    assert hashlib.sha256(result).hexdigest()[:16] == DIGESTS[loss, dtype]


def integers(*shape):
    """Sixteen well-mixed bits: the high ones of multiples of 2^64 / golden ratio."""
    count = np.arange(1, np.prod(shape) + 1, dtype=np.uint64)
    mixed = count * np.uint64(0x9E3779B97F4A7C15)
    return (mixed >> np.uint64(48)).astype(np.int64).reshape(shape)


def fractions(*shape):
    """Numbers in [-1, 1) with fifteen bits after the point."""
    return integers(*shape) / 2**15 - 1


def trained(problem, storage, rule, batch_size, isa, n_threads, **limits):
    """The bits of two epochs: losses, parameters and optimizer state."""
    network = compiled(problem, isa)
    trainer = _core.Trainer(network, rule, **limits)
    rows = storage(problem.X)
    order = np.random.default_rng(9).permutation(rows.n_rows)
    settings = {"batch_size": batch_size, "learning_rate": 0.01, "alpha": 0.1}
    totals = [
        trainer.run_epoch(
            rows,
            problem.y,
            problem.sample_weight,
            order,
            n_threads=n_threads,
            **settings,
        )
        for _ in range(2)
    ]
    return bits(totals, *network.get_parameters(), *trainer.get_state()[1])


def gradients(problem, storage, isa, n_threads):
    """The bits of loss and gradients."""
    return bits(
        *compiled(problem, isa).loss_and_gradients(
            storage(problem.X),
            problem.y,
            problem.sample_weight,
            alpha=0.1,
            n_threads=n_threads,
        )
    )


def everything(problem, isa, n_threads):
    """The bits of outputs, gradients and training."""
    batch_size = max(1, len(problem.X) * 2 // 3)
    return (
        bits(compiled(problem, isa).predict(dense(problem.X), n_threads=n_threads))
        + gradients(problem, dense, isa, n_threads)
        + trained(problem, dense, "adam", batch_size, isa, n_threads)
    )


def assert_same_bits(compute, all_threads=(1, 2, 3, 8)):
    """Expect one result for each path, and the same for those that fuse."""
    fused = set()
    for isa in ISAS:
        results = {compute(isa, n_threads) for n_threads in all_threads}
        assert len(results) == 1, isa
        if isa in FMA_ISAS:
            fused |= results
    assert len(fused) <= 1
