"""The stop by the norm of the gradient (lectures 000 and 003, algorithm 1)."""

from typing import Any

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import clone

from fastbp import MLPClassifier, MLPRegressor, _core
from reference import OPTIMIZERS, Network, run_epoch
from reference.compare import bits
from reference.compiled import compiled, dense
from reference.problems import DTYPES, make_problem

rng = np.random.RandomState(2)
X = rng.standard_normal((90, 6))
Y = X @ rng.standard_normal((6, 3))
CLASSES = Y.argmax(axis=1)


def model_of(estimator: Any = MLPRegressor, **settings: Any) -> Any:
    defaults = {"hidden_layer_sizes": (4,), "batch_size": 32, "random_state": 0}
    plain = {"solver": "sgd", "learning_rate_init": 0.02, "n_iter_no_change": np.inf}
    return estimator(**{**defaults, **plain, "max_iter": 60, **settings})


def reference_norms(n_epochs: int, batch_size: int) -> list[float]:
    """The mean over the batches of each epoch of the norm of the whole gradient."""
    stream = np.random.RandomState(0)
    sizes = [(6, 4), (4, 3)]
    coefs = [stream.standard_normal(size) * np.sqrt(2 / sum(size)) for size in sizes]
    network = Network(coefs, [np.zeros(4), np.zeros(3)], "tanh", "squared_error")
    norms: list[float] = []

    def on_step(gradients: list[np.ndarray]) -> None:
        norms.append(np.sqrt(sum((g**2).sum() for g in gradients)))

    settings = {"batch_size": batch_size, "learning_rate": 0.02, "alpha": 0.5}
    for _ in range(n_epochs):
        run_epoch(network, OPTIMIZERS["sgd"](), X, Y, on_step=on_step, **settings)
    return list(np.reshape(norms, (n_epochs, -1)).mean(axis=1))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("limits", [{}, {"clip_norm": 0.2}, {"l1": 0.1}], ids=str)
def test_norm_of_the_core_is_that_of_the_whole_gradient(
    limits: Any, dtype: str
) -> None:
    problem = make_problem((7, 33, 4), n_rows=20, dtype=dtype)
    trainer = _core.Trainer(compiled(problem), "adam", measures_norm=True, **limits)
    trainer.run_epoch(
        dense(problem),
        problem.y,
        problem.sample_weight,
        None,
        batch_size=20,
        learning_rate=0.01,
        alpha=0.3,
        n_threads=2,
    )
    coefs, intercepts = problem.reference().gradients(
        *problem.data, alpha=0.3, l1=limits.get("l1", 0.0)
    )
    expected = np.sqrt(sum((g**2).sum() for g in coefs + intercepts))
    rel = {"float32": 1e-5, "float64": 1e-12}[dtype]
    assert trainer.norm_sum == pytest.approx(expected, rel=rel)


def test_norm_that_nobody_asks_for_is_not_measured() -> None:
    problem = make_problem((7, 33, 4), n_rows=20)
    for limits in ({}, {"clip_norm": 0.2}):
        trainer = _core.Trainer(compiled(problem), "sgd", **limits)
        settings = {"batch_size": 8, "learning_rate": 0.01}
        trainer.run_epoch(dense(problem), problem.y, None, None, **settings)
        assert trainer.norm_sum == 0


def test_measuring_changes_no_bit_of_the_weights() -> None:
    problem = make_problem((7, 33, 4), n_rows=20)
    results = []
    for n_threads, measures_norm in ((1, False), (1, True), (3, True)):
        network = compiled(problem)
        trainer = _core.Trainer(network, "adam", measures_norm=measures_norm)
        settings = {"batch_size": 8, "learning_rate": 0.01, "n_threads": n_threads}
        trainer.run_epoch(dense(problem), problem.y, None, None, **settings)
        results.append(bits(*network.get_parameters()))
    assert len(set(results)) == 1


# One row at a time is algorithm 1; all rows are full-batch descent.
@pytest.mark.parametrize("batch_size", [1, 32, 90])
def test_fit_ends_in_the_epoch_in_which_the_reference_is_flat(batch_size: int) -> None:
    norms = reference_norms(20, batch_size)
    limit = (norms[11] + norms[12]) / 2
    assert norms[12] < limit < min(norms[:12])
    settings = {"activation": "tanh", "momentum": 0, "shuffle": False, "alpha": 0.5}
    settings |= {"batch_size": batch_size, "weight_init": "glorot_normal"}
    model = model_of(**settings, grad_tol=limit).fit(X, Y)
    assert model.n_iter_ == 13
    full = model_of(**settings, max_iter=13).fit(X, Y)
    assert bits(model.coefs_, model.intercepts_) == bits(full.coefs_, full.intercepts_)


@pytest.mark.parametrize("convert", [sparse.csr_array, sparse.csc_array])
def test_sparse_rows_stop_where_dense_ones_do(convert: Any) -> None:
    settings = {"grad_tol": 0.3, "max_iter": 300}
    expected = model_of(MLPClassifier, **settings).fit(X, CLASSES)
    assert 1 < expected.n_iter_ < 300
    model = model_of(MLPClassifier, **settings).fit(convert(X), CLASSES)
    assert model.n_iter_ == expected.n_iter_


def test_verbose_fit_tells_the_norms(capsys: pytest.CaptureFixture[str]) -> None:
    model = model_of(grad_tol=1e6, verbose=True).fit(X, Y)
    assert model.n_iter_ == 1
    printed = capsys.readouterr().out
    assert "Gradient norm: " in printed
    assert "Gradient norm is less than grad_tol=1e+06. Stopping." in printed


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"grad_tol": 0.0}, "'grad_tol' parameter"),
        ({"grad_tol": -1.0}, "'grad_tol' parameter"),
        ({"grad_tol": 0.1, "solver": "lbfgs"}, "grad_tol=0.1 needs a solver of"),
    ],
)
def test_bad_grad_tol_is_refused(settings: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        model_of(**settings).fit(X, Y)


def test_grad_tol_is_not_for_partial_fit() -> None:
    with pytest.raises(ValueError, match="partial_fit does not support grad_tol=0.1"):
        model_of(grad_tol=0.1).partial_fit(X, Y)


def test_grad_tol_survives_clone() -> None:
    assert clone(model_of(grad_tol=0.01)).get_params()["grad_tol"] == 0.01
