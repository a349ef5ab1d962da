"""The moving average of the weights: in the core, and as the weights of a model."""

import pickle
from itertools import chain
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone

from fastbp import MLPClassifier, MLPRegressor, _core
from fastbp._blas import scipy_blas
from fastbp._hidden_layers import norm_arrays
from fastbp.callbacks import Callback, Checkpoint
from reference import OPTIMIZERS, Network, run_epoch
from reference.compare import bits, eps
from reference.compiled import FMA_ISAS, ISAS, compiled, dense
from reference.problems import DTYPES, make_problem

rng = np.random.RandomState(2)
X = rng.standard_normal((90, 6))
Y = X @ rng.standard_normal((6, 3)) + rng.standard_normal((90, 3))
CLASSES = Y.argmax(axis=1)
VALIDATION = {"X_val": X[:30] + 0.2, "y_val": Y[:30]}

each_estimator = pytest.mark.parametrize("estimator", [MLPClassifier, MLPRegressor])


def average_of(steps: list[list[np.ndarray]], decay: float) -> list[np.ndarray]:
    """The mean of the weights after each step, step i with the weight decay^-i."""
    weights = decay ** np.arange(len(steps) - 1, -1, -1.0)
    weights /= weights.sum()
    columns = zip(*steps, strict=True)
    return [np.tensordot(weights, np.stack(parts), 1) for parts in columns]


def assert_same_bits(first: Any, second: Any) -> None:
    assert bits(first.coefs_, first.intercepts_) == bits(
        second.coefs_, second.intercepts_
    )


# -------------------------------------------------------------------------- the core


def run(trainer: Any, problem: Any, n_threads: int = 1, **change: Any) -> float:
    settings = {"batch_size": 8, "learning_rate": 0.05, **change}
    X, y = dense(problem), problem.y
    return float(trainer.run_epoch(X, y, None, None, n_threads=n_threads, **settings))


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "settings",
    [{}, {"max_norm": 0.9}, {"clip_norm": 0.2}, {"max_norm": 0.9, "clip_norm": 0.2}],
    ids=str,
)
def test_average_is_that_of_the_weights_after_each_step(
    settings: Any, dtype: str, isa: str
) -> None:
    # A pass over 20 rows in one batch is a step; the network is larger than a piece.
    problem = make_problem((70, 80, 4), n_rows=20, dtype=dtype)
    network = compiled(problem, isa)
    trainer = _core.Trainer(network, "adam", ema=0.8, **settings)
    steps = []
    for _ in range(7):
        run(trainer, problem, batch_size=20, n_threads=2)
        steps.append([a.astype(float) for a in chain(*network.get_parameters())])
    average = list(chain(*trainer.get_average()))
    for got, expected in zip(average, average_of(steps, 0.8), strict=True):
        assert got.dtype == dtype
        np.testing.assert_allclose(got, expected, rtol=0, atol=8 * eps(dtype))


@pytest.mark.parametrize("blas", [None, scipy_blas()], ids=["builtin", "blas"])
def test_average_changes_nothing_in_training(blas: Any) -> None:
    problem = make_problem((70, 80, 4), n_rows=50)
    results = []
    for ema in (0.0, 0.9):
        network = compiled(problem, blas=blas)
        trainer = _core.Trainer(network, "nesterov", ema=ema)
        totals = [run(trainer, problem), run(trainer, problem)]
        results.append((totals, *network.get_parameters(), trainer.get_state()[1][0]))
    assert bits(*results[0]) == bits(*results[1])


@pytest.mark.parametrize("dtype", DTYPES)
def test_average_has_the_same_bits_for_all_threads_and_fused_paths(dtype: str) -> None:
    problem = make_problem((70, 80, 4), n_rows=50, dtype=dtype)
    results = set()
    for isa in FMA_ISAS or ISAS:
        for n_threads in (1, 2, 3):
            trainer = _core.Trainer(compiled(problem, isa), "adam", ema=0.9)
            run(trainer, problem, n_threads)
            results.add(bits(*trainer.get_average()))
    assert len(results) == 1


@pytest.mark.parametrize("rule", ["sgd", "momentum", "adam"])
def test_average_restored_goes_on_as_if_never_stopped(rule: Any) -> None:
    problem = make_problem((7, 33, 3), n_rows=30)
    network = compiled(problem)
    trainer = _core.Trainer(network, rule, ema=0.9)
    run(trainer, problem)
    trainer.save()
    t, coefs, intercepts, moments = trainer.take_saved()
    assert bits(*moments[-1]) == bits(*chain(*trainer.get_average()))
    run(trainer, problem)

    other = compiled(problem)
    other.set_parameters(coefs, intercepts)
    successor = _core.Trainer(other, rule, ema=0.9)
    successor.set_state(t, moments, average_start=0)
    run(successor, problem)
    assert bits(*successor.get_average()) == bits(*trainer.get_average())


def test_average_that_is_not_restored_begins_with_the_next_step() -> None:
    problem = make_problem((7, 33, 3), n_rows=8)
    network = compiled(problem)
    trainer = _core.Trainer(network, "momentum", ema=0.9)
    run(trainer, problem)
    trainer.set_state(*(lambda t, moments: (t, moments[:1]))(*trainer.get_state()))
    assert trainer.average_start == 1
    run(trainer, problem)
    assert bits(*trainer.get_average()) == bits(*network.get_parameters())


def test_bad_averages_are_refused() -> None:
    network = compiled(make_problem((3, 2)))
    for ema in (-0.1, 1.0, np.nan):
        with pytest.raises(ValueError, match=r"ema must be in \[0, 1\)"):
            _core.Trainer(network, "sgd", ema=ema)
    with pytest.raises(ValueError, match="there is no average"):
        _core.Trainer(network, "sgd").get_average()
    average = [np.ones((3, 2)), np.ones(2)]
    with pytest.raises(ValueError, match="expected 0 moments, got 1"):
        _core.Trainer(network, "sgd").set_state(1, [average])
    for start in (-1, 2):
        with pytest.raises(ValueError, match="average_start must be in"):
            trainer = _core.Trainer(network, "sgd", ema=0.5)
            trainer.set_state(1, [average], average_start=start)


# --------------------------------------------------------------------- the estimators


def model_of(estimator: Any = MLPRegressor, **settings: Any) -> Any:
    defaults = {"hidden_layer_sizes": (10,), "batch_size": 32, "random_state": 0}
    rates = {"learning_rate_init": 0.02, "max_iter": 4, "n_iter_no_change": 1000}
    return estimator(**{**defaults, **rates, "ema": 0.9, **settings})


def target_of(estimator: Any) -> np.ndarray:
    return CLASSES if estimator is MLPClassifier else Y


def partially_fitted(model: Any, n_calls: int) -> Any:
    kwargs = {"classes": [0, 1, 2]} if isinstance(model, MLPClassifier) else {}
    for _ in range(n_calls):
        model.partial_fit(X, target_of(type(model)), **kwargs)
    return model


def test_coefs_are_the_average_of_the_reference() -> None:
    settings = {"activation": "tanh", "shuffle": False, "weight_init": "glorot_normal"}
    model = model_of(**settings).fit(X, Y, **VALIDATION)
    stream = np.random.RandomState(0)
    sizes = [(6, 10), (10, 3)]
    coefs = [stream.standard_normal(size) * np.sqrt(2 / sum(size)) for size in sizes]
    network = Network(coefs, [np.zeros(10), np.zeros(3)], "tanh", "squared_error")
    optimizer, steps, losses = OPTIMIZERS["adam"](), [], []
    for _ in range(4):
        run_epoch(
            network,
            optimizer,
            X,
            Y,
            batch_size=32,
            learning_rate=0.02,
            alpha=1e-4,
            on_step=lambda _: steps.append([p.copy() for p in network.parameters]),
        )
        average = average_of(steps, 0.9)
        judged = Network(average[:2], average[2:], "tanh", "squared_error")
        losses.append(judged.cost(X[:30] + 0.2, Y[:30]))
    for got, expected in zip(model.coefs_ + model.intercepts_, average, strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(model.validation_loss_curve_, losses, rtol=1e-8)


@each_estimator
def test_training_itself_is_the_same(estimator: Any) -> None:
    y = target_of(estimator)
    averaged = model_of(estimator).fit(X, y)
    plain = model_of(estimator, ema=None).fit(X, y)
    assert averaged.loss_curve_ == plain.loss_curve_
    assert bits(*averaged._optimizer.raw) == bits(plain.coefs_, plain.intercepts_)
    assert (averaged.coefs_[0] != plain.coefs_[0]).any()


@each_estimator
def test_calls_of_partial_fit_are_the_epochs_of_a_fit(estimator: Any) -> None:
    once = model_of(estimator).fit(X, target_of(estimator))
    assert_same_bits(partially_fitted(model_of(estimator), 4), once)


@pytest.mark.parametrize("normalization", ["layer", "batch"])
def test_gains_are_averaged_too(normalization: str) -> None:
    settings = {"normalization": normalization, "batch_size": 90, "shuffle": False}
    plain = [model_of(**settings, ema=None, max_iter=n).fit(X, Y) for n in range(1, 6)]
    steps = [norm_arrays(model.norms_) for model in plain]
    model = model_of(**settings, max_iter=5).fit(X, Y, **VALIDATION)
    assert model.loss_curve_ == plain[-1].loss_curve_
    expected = average_of(steps, 0.9)
    for got, average in zip(norm_arrays(model.norms_), expected, strict=True):
        np.testing.assert_allclose(got, average, rtol=1e-12)
    # Running averages are those of the training; predictions are of all of it.
    for name in ("mean", "variance") if normalization == "batch" else ():
        np.testing.assert_array_equal(model.norms_[0][name], plain[-1].norms_[0][name])
    outputs = model.predict(VALIDATION["X_val"])
    loss = 0.5 * np.mean(((outputs - VALIDATION["y_val"]) ** 2).sum(axis=1))
    assert model.validation_loss_curve_[-1] == pytest.approx(loss, rel=1e-10)


@pytest.mark.parametrize("normalization", ["layer", "batch"])
def test_average_of_a_normalised_network_goes_on(normalization: str) -> None:
    settings = {"normalization": normalization, "dropout": 0.2}
    once = model_of(**settings).fit(X, Y)
    model = partially_fitted(model_of(**settings), 2)
    copy = partially_fitted(pickle.loads(pickle.dumps(model)), 2)
    assert_same_bits(copy, once)
    for got, expected in zip(copy.norms_, once.norms_, strict=True):
        assert bits(*got.values()) == bits(*expected.values())
    # Written gains are plainly meant.
    model.norms_[0]["gain"] = model.norms_[0]["gain"] + 1
    model.partial_fit(X, Y)
    assert model.loss_ > 1.1 * once.loss_curve_[2]  # it would be the same


def test_warm_start_goes_on_from_the_raw_weights() -> None:
    # Plain descent has no moments, so that two fits are one.
    settings = {"solver": "sgd", "momentum": 0, "shuffle": False}
    halves = model_of(**settings, warm_start=True, max_iter=2).fit(X, Y).fit(X, Y)
    whole = model_of(**settings, ema=None).fit(X, Y)
    assert halves.loss_curve_ == whole.loss_curve_
    # The average is of the second fit alone.
    first = model_of(**settings, max_iter=2, ema=None).fit(X, Y)
    first.set_params(warm_start=True, ema=0.9).fit(X, Y)
    assert_same_bits(halves, first)


@pytest.mark.parametrize("change", ["assigned", "written", "ema"])
def test_training_goes_on_from_the_average_if_told_so(change: str) -> None:
    model = partially_fitted(model_of(shuffle=False), 2)
    start = [a.copy() for a in model.coefs_], [a.copy() for a in model.intercepts_]
    if change == "ema":
        model.set_params(ema=None)
    else:
        start[0][0][0, 0] += 1
        if change == "assigned":
            model.coefs_ = start[0]
        else:
            model.coefs_[0][0, 0] += 1
    model.partial_fit(X, Y)
    expected = partially_fitted(model_of(shuffle=False, ema=None), 2)
    expected.coefs_, expected.intercepts_ = start
    expected.partial_fit(X, Y)
    assert model.loss_ == expected.loss_


def test_average_that_is_switched_on_begins_there() -> None:
    model = partially_fitted(model_of(ema=None), 2)
    expected = pickle.loads(pickle.dumps(model))
    settings = {"ema": 0.5, "batch_size": 90}  # a step is an epoch
    model.set_params(**settings).partial_fit(X, Y)
    expected.set_params(batch_size=90).partial_fit(X, Y)
    assert_same_bits(model, expected)


@each_estimator
@pytest.mark.parametrize("dtype", DTYPES)
def test_training_goes_on_after_pickling_as_without(estimator: Any, dtype: str) -> None:
    model = partially_fitted(model_of(estimator, dtype=dtype), 2)
    copy = pickle.loads(pickle.dumps(model))
    assert_same_bits(partially_fitted(copy, 1), partially_fitted(model, 1))


def test_plain_pickle_has_the_average_alone() -> None:
    model = model_of(hidden_layer_sizes=(300,)).fit(X, Y)
    plain = model_of(hidden_layer_sizes=(300,), ema=None).fit(X, Y)
    assert len(pickle.dumps(model)) < 1.02 * len(pickle.dumps(plain))


def test_pickle_to_go_on_has_the_raw_weights_too() -> None:
    settings = {"hidden_layer_sizes": (300,)}
    sizes = [
        len(pickle.dumps(partially_fitted(model_of(**settings, ema=ema), 1)))
        for ema in (0.9, None)
    ]
    n_weights = 300 * (6 + 3) + 300 + 3
    assert sizes[0] - sizes[1] == pytest.approx(8 * n_weights, rel=0.02)


def test_best_average_is_restored_and_gone_on_from() -> None:
    settings = {"early_stopping": True, "max_iter": 30, "learning_rate_init": 0.1}
    model = model_of(**settings, warm_start=True).fit(X, Y, **VALIDATION)
    best = int(np.argmax(model.validation_scores_))
    assert best < 29
    again = model_of(**{**settings, "max_iter": best + 1}).fit(X, Y, **VALIDATION)
    assert_same_bits(model, again)
    assert model.score(*VALIDATION.values()) == pytest.approx(
        model.best_validation_score_
    )
    assert model._optimizer.raw is None


def test_interrupt_keeps_the_last_complete_epoch() -> None:
    class Stop(Callback):
        def on_epoch_end(self, estimator: Any, record: Any) -> None:
            if record.epoch == 3:
                raise KeyboardInterrupt

    model = model_of(callbacks=[Stop()])
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, Y)
    expected = model_of(max_iter=3).fit(X, Y)
    assert model.n_iter_ == 3
    assert_same_bits(model, expected)
    assert bits(*model._optimizer.raw) == bits(*expected._optimizer.raw)


def test_failed_partial_fit_leaves_the_average() -> None:
    model = partially_fitted(model_of(), 2)
    twin = pickle.loads(pickle.dumps(model))
    with pytest.raises(ValueError, match="non-finite"), np.errstate(all="ignore"):
        model.partial_fit(1e200 * X, Y)
    assert_same_bits(model, twin)
    assert_same_bits(partially_fitted(model, 1), partially_fitted(twin, 1))


def test_callbacks_see_the_average(tmp_path: Any) -> None:
    path = tmp_path / "model.pkl"
    model = model_of(callbacks=[Checkpoint(path)]).fit(X, Y)
    assert_same_bits(pickle.loads(path.read_bytes()), model)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"ema": 1.0}, r"'ema' parameter .* range \(0\.?0?, 1\.?0?\)"),
        ({"ema": 0.0}, "'ema' parameter"),
        ({"solver": "lbfgs"}, "ema=0.9 needs a solver of"),
    ],
)
def test_bad_ema_is_refused(settings: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        model_of(**settings).fit(X, Y)


def test_ema_survives_clone() -> None:
    assert clone(model_of(ema=0.99)).get_params()["ema"] == 0.99


@pytest.mark.parametrize("in_place", [False, True])
def test_written_running_averages_are_gone_on_from(in_place: bool) -> None:
    settings = {"normalization": "batch", "batch_size": 45}
    model = partially_fitted(model_of(**settings), 2)
    norm = model.norms_[0]
    before = norm["mean"].copy()
    if in_place:
        norm["mean"] += 1000
    else:
        norm["mean"] = norm["mean"] + 1000
    model.partial_fit(X, Y)  # two steps: 0.81 of it are left
    assert np.abs(model.norms_[0]["mean"] - 0.81 * (before + 1000)).max() < 10
