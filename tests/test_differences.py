"""What scikit-learn 1.9 does and fastbp, on purpose, does not: one beside the other."""

import contextlib
import inspect
import signal
import sys
import threading
import time
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import scipy.sparse
import sklearn.neural_network
from sklearn.calibration import CalibratedClassifierCV

import fastbp

rng = np.random.RandomState(0)
X = rng.standard_normal((60, 5))
SCORES = X @ rng.standard_normal((5, 3))
BINARY = (SCORES[:, 0] > 0).astype(int)
MULTICLASS = SCORES.argmax(axis=1)
MULTILABEL = (SCORES > 0).astype(int)
TARGETS = {"binary": BINARY, "multiclass": MULTICLASS, "multilabel": MULTILABEL}

each_target = pytest.mark.parametrize("y", TARGETS.values(), ids=TARGETS)
each_estimator = pytest.mark.parametrize("name", ["MLPClassifier", "MLPRegressor"])
each_solver = pytest.mark.parametrize("solver", ["adam", "sgd"])

SMALL: dict[str, Any] = {"hidden_layer_sizes": (6,), "random_state": 0}


# ------------------------------------------------- loss and gradient of several outputs


def gradient_over_slope(mlp: ModuleType) -> float:
    """Gradient of the loss along a direction, over the slope of the loss itself."""
    model = mlp.MLPRegressor(**SMALL, solver="lbfgs", alpha=0.0, max_iter=1)
    model.fit(X, SCORES)
    at = np.concatenate([a.ravel() for a in model.coefs_ + model.intercepts_])
    grads = [np.empty_like(W) for W in model.coefs_]
    bias_grads = [np.empty_like(b) for b in model.intercepts_]

    def loss_and_gradient(theta: np.ndarray) -> tuple[float, np.ndarray]:
        buffers = [X, None, None], [None, None], grads, bias_grads
        return model._loss_grad_lbfgs(theta, X, SCORES, None, *buffers)

    direction = np.random.RandomState(1).standard_normal(at.shape)
    step = 1e-6
    slope = loss_and_gradient(at + step * direction)[0]
    slope = (slope - loss_and_gradient(at - step * direction)[0]) / (2 * step)
    return float(loss_and_gradient(at)[1] @ direction / slope)


def test_gradient_of_several_outputs_belongs_to_the_loss() -> None:
    theirs = gradient_over_slope(sklearn.neural_network)
    assert theirs == pytest.approx(3.0, rel=1e-5)
    assert gradient_over_slope(fastbp) == pytest.approx(1.0, rel=1e-5)


# ------------------------------------------------------------------------- weights


def test_batch_of_zero_weights_is_skipped() -> None:
    weight = np.ones(60)
    weight[20:40] = 0.0  # the second of three batches
    kept = weight > 0
    settings = {**SMALL, "batch_size": 20, "shuffle": False, "max_iter": 5}
    with pytest.raises(ZeroDivisionError):
        sklearn.neural_network.MLPClassifier(**settings).fit(X, MULTICLASS, weight)
    skipped = fastbp.MLPClassifier(**settings).fit(X, MULTICLASS, weight)
    left_out = fastbp.MLPClassifier(**settings).fit(X[kept], MULTICLASS[kept])
    for with_zeros, without in zip(skipped.coefs_, left_out.coefs_, strict=True):
        np.testing.assert_allclose(with_zeros, without, rtol=1e-12)
    # The loss of an epoch counts rows: the skipped ones contribute 0 of 20.
    np.testing.assert_allclose(
        skipped.loss_curve_, np.multiply(left_out.loss_curve_, 40 / 60), rtol=1e-12
    )


@each_estimator
def test_negative_weights_are_refused(name: str) -> None:
    weight = np.ones(60)
    weight[3] = -1e-9
    settings = {**SMALL, "max_iter": 2}
    getattr(sklearn.neural_network, name)(**settings).fit(X, BINARY, weight)
    model = getattr(fastbp, name)(**settings)
    with pytest.raises(ValueError, match="(?i)negative.*weight|weight.*negative"):
        model.fit(X, BINARY, weight)
    kwargs = {"classes": [0, 1]} if name == "MLPClassifier" else {}
    with pytest.raises(ValueError, match="(?i)negative.*weight|weight.*negative"):
        model.partial_fit(X, BINARY, sample_weight=weight, **kwargs)


@each_estimator
@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_weights_that_cancel_are_refused_as_negative(name: str, solver: str) -> None:
    weight = np.tile([1.0, -1.0], 30)
    settings = {**SMALL, "solver": solver, "shuffle": False}
    with pytest.raises(ZeroDivisionError):
        getattr(sklearn.neural_network, name)(**settings).fit(X, BINARY, weight)
    with pytest.raises(ValueError, match="(?i)negative.*weight|weight.*negative"):
        getattr(fastbp, name)(**settings).fit(X, BINARY, weight)


# --------------------------------------------------------------------- partial_fit


def test_regressor_with_lbfgs_has_no_partial_fit() -> None:
    assert hasattr(sklearn.neural_network.MLPRegressor(solver="lbfgs"), "partial_fit")
    model = fastbp.MLPRegressor(solver="lbfgs")
    assert not hasattr(model, "partial_fit")
    with pytest.raises(AttributeError, match="partial_fit"):
        model.partial_fit(X, BINARY)


def weights_after_fit(mlp: ModuleType, name: str, settings: dict[str, Any]) -> Any:
    model = getattr(mlp, name)(**settings, max_iter=3)
    return model.fit(X, BINARY).coefs_


def weights_after_partial_fits(
    mlp: ModuleType, name: str, settings: dict[str, Any]
) -> Any:
    model = getattr(mlp, name)(**settings)
    kwargs = {"classes": [0, 1]} if name == "MLPClassifier" else {}
    for _ in range(3):
        model.partial_fit(X, BINARY, **kwargs)
    return model.coefs_


@each_estimator
@each_solver
def test_three_partial_fits_are_a_fit_of_three_epochs(name: str, solver: str) -> None:
    settings = {**SMALL, "solver": solver, "batch_size": 20}
    theirs = [
        weights(sklearn.neural_network, name, settings)[0]
        for weights in (weights_after_fit, weights_after_partial_fits)
    ]
    assert not np.allclose(*theirs, rtol=1e-6)
    ours = [
        weights(fastbp, name, settings)
        for weights in (weights_after_fit, weights_after_partial_fits)
    ]
    for once, in_parts in zip(*ours, strict=True):
        np.testing.assert_array_equal(once, in_parts)


# ------------------------------------------------------------------- probabilities


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_single_class_has_a_single_column_of_probabilities(solver: str) -> None:
    y = np.full(60, "only")
    settings = {**SMALL, "solver": solver, "max_iter": 3}
    theirs = sklearn.neural_network.MLPClassifier(**settings).fit(X, y)
    assert theirs.predict_proba(X).shape == (60, 2)
    ours = fastbp.MLPClassifier(**settings).fit(X, y)
    assert list(ours.classes_) == ["only"]
    np.testing.assert_array_equal(ours.predict_proba(X), np.ones((60, 1)))
    np.testing.assert_array_equal(ours.predict_log_proba(X), np.zeros((60, 1)))
    assert set(ours.predict(X)) == {"only"}


@each_target
def test_log_probabilities_of_sure_predictions_are_finite(y: np.ndarray) -> None:
    far = 1e4 * X
    with np.errstate(all="ignore"):
        theirs = sklearn.neural_network.MLPClassifier(**SMALL).fit(X, y)
        assert np.isneginf(theirs.predict_log_proba(far)).any()
    model = fastbp.MLPClassifier(**SMALL).fit(X, y)
    logs = model.predict_log_proba(far)
    assert np.isfinite(logs).all()
    assert (logs <= 0).all()
    assert logs.min() < -1000
    np.testing.assert_allclose(np.exp(logs), model.predict_proba(far), atol=1e-12)


class WithoutLogits(fastbp.MLPClassifier):
    decision_function = property()


def test_meta_estimators_prefer_the_decision_function() -> None:
    def calibrated(estimator: type[Any]) -> np.ndarray:
        model = CalibratedClassifierCV(estimator(**SMALL, solver="lbfgs"), cv=2)
        return model.fit(X, BINARY).predict_proba(X)

    theirs = calibrated(sklearn.neural_network.MLPClassifier)
    assert not np.allclose(calibrated(fastbp.MLPClassifier), theirs, rtol=1e-3)
    np.testing.assert_allclose(calibrated(WithoutLogits), theirs, rtol=1e-3)


# ------------------------------------------------------------------------ warnings


@each_estimator
@pytest.mark.parametrize("learning_rate", ["adaptive", "invscaling"])
def test_schedule_that_adam_ignores_is_warned_about(
    name: str, learning_rate: str
) -> None:
    settings = {**SMALL, "learning_rate": learning_rate, "max_iter": 2}
    getattr(sklearn.neural_network, name)(**settings).fit(X, BINARY)  # not a word
    with pytest.warns(UserWarning, match="learning_rate"):
        ignored = getattr(fastbp, name)(**settings).fit(X, BINARY)
    constant = getattr(fastbp, name)(**{**settings, "learning_rate": "constant"})
    np.testing.assert_array_equal(ignored.coefs_[0], constant.fit(X, BINARY).coefs_[0])


# -------------------------------------------------------------- divergence, Ctrl-C


def losses_printed(mlp: ModuleType, capsys: pytest.CaptureFixture[str]) -> list[float]:
    model = mlp.MLPRegressor(
        **SMALL, solver="sgd", learning_rate_init=1e3, max_iter=50, verbose=True
    )
    message = "Solver produced non-finite parameter weights"
    with np.errstate(all="ignore"), pytest.raises(ValueError, match=message):
        model.fit(X, SCORES[:, 0])
    return [float(line.split()[-1]) for line in capsys.readouterr().out.splitlines()]


def test_divergence_ends_training_in_the_epoch_it_happens(
    capsys: pytest.CaptureFixture[str],
) -> None:
    theirs = losses_printed(sklearn.neural_network, capsys)
    ours = losses_printed(fastbp, capsys)
    n_finite = int(np.isfinite(theirs).sum())
    assert (len(theirs), n_finite) == (50, len(ours))
    np.testing.assert_allclose(ours, theirs[:n_finite], rtol=1e-6)


def test_failed_fit_does_not_destroy_the_model() -> None:
    # The other ways to fail, and a bitwise comparison, are in test_failures.py.
    def predict_after_failure(mlp: ModuleType) -> np.ndarray:
        model = mlp.MLPRegressor(**SMALL, solver="sgd", max_iter=5).fit(X, BINARY)
        model.set_params(learning_rate_init=1e10)
        with np.errstate(all="ignore"):
            with pytest.raises(ValueError, match="non-finite"):
                model.fit(X, BINARY)
            return model.predict(X)

    assert np.isnan(predict_after_failure(sklearn.neural_network)).all()
    assert np.isfinite(predict_after_failure(fastbp)).all()


@contextlib.contextmanager
def interrupted_after(seconds: float) -> Iterator[None]:
    """Send this process SIGINT, as Ctrl-C does, after some time."""
    timer = threading.Timer(seconds, signal.raise_signal, [signal.SIGINT])
    timer.start()
    try:
        yield
    finally:
        timer.join()


ENDLESS: dict[str, Any] = {**SMALL, "max_iter": 10**9, "n_iter_no_change": np.inf}


def test_interrupt_is_raised() -> None:
    with pytest.warns(UserWarning, match="interrupted"), interrupted_after(0.3):
        sklearn.neural_network.MLPClassifier(**ENDLESS).fit(X, BINARY)  # returns
    model = fastbp.MLPClassifier(**ENDLESS)
    start = time.perf_counter()
    with pytest.raises(KeyboardInterrupt), interrupted_after(0.3):
        model.fit(X, BINARY)
    assert time.perf_counter() - start < 60
    assert model.n_iter_ >= 1
    assert np.isfinite(model.predict_proba(X)).all()


# ------------------------------------------------------------------------- sparse X


@each_estimator
@pytest.mark.parametrize("column", [5, -1, 2**30])
def test_column_index_out_of_range_is_refused(name: str, column: int) -> None:
    # scikit-learn writes beyond its arrays here, which has been seen to abort Python.
    bad = scipy.sparse.csr_array(X)
    bad.indices[7] = column
    with pytest.raises(ValueError, match="ind"):
        getattr(fastbp, name)(**SMALL).fit(bad, BINARY)
    model = getattr(fastbp, name)(**SMALL).fit(X, BINARY)
    with pytest.raises(ValueError, match="ind"):
        model.predict(bad)


# ------------------------------------------------------------------------ additions


def test_what_is_new_is_keyword_only() -> None:
    for name in ("MLPClassifier", "MLPRegressor"):
        ours = inspect.signature(getattr(fastbp, name)).parameters
        theirs = inspect.signature(getattr(sklearn.neural_network, name)).parameters
        new = [ours[key] for key in ours.keys() - theirs.keys()]
        regularisers = {"weight_decay", "l1", "max_norm", "clip_norm"}
        policy = {"lr_schedule", "warmup", "scoring", "restore_best", "max_time"}
        policy |= {"callbacks", "weight_init", "ema", "grad_tol"}
        policy |= {"dropout", "input_dropout", "normalization"}
        classes = {"validation_stratify", "class_weight", "loss", "label_smoothing"}
        numbers = {"quantile", "missing_targets"}
        expected = {"n_jobs", "dtype", "output_activation"} | regularisers | policy
        expected |= classes if name == "MLPClassifier" else numbers
        assert {p.name for p in new} == expected
        assert {p.kind for p in new} == {inspect.Parameter.KEYWORD_ONLY}
    assert "sklearn.neural_network._multilayer_perceptron" in sys.modules
    assert not issubclass(
        fastbp.MLPClassifier,
        sklearn.neural_network._multilayer_perceptron.BaseMultilayerPerceptron,
    )


@each_estimator
def test_leaky_relu_is_known(name: str) -> None:
    settings = {**SMALL, "activation": "leaky_relu", "max_iter": 2}
    with pytest.raises(ValueError, match="activation"):
        getattr(sklearn.neural_network, name)(**settings).fit(X, BINARY)
    getattr(fastbp, name)(**settings).fit(X, BINARY)


# ---------------------------------------------------- parameters that change in between


def test_other_solver_begins_in_a_later_partial_fit() -> None:
    rates = []
    for mlp in (sklearn.neural_network, fastbp):
        model = mlp.MLPClassifier(**SMALL).partial_fit(X, BINARY, classes=[0, 1])
        model.set_params(solver="sgd", learning_rate_init=0.1)
        model.partial_fit(X, BINARY)
        rates.append(model._optimizer.learning_rate)
    assert rates[0] < 0.01  # Adam's of the first call, with its bias correction
    assert rates[1] == 0.1


def test_warm_start_with_other_layers_is_refused() -> None:
    settings: dict[str, Any] = {**SMALL, "warm_start": True, "max_iter": 2}
    theirs = sklearn.neural_network.MLPClassifier(**settings).fit(X, BINARY)
    theirs.set_params(hidden_layer_sizes=(7,)).fit(X, BINARY)
    assert theirs.coefs_[0].shape == (5, 6)
    ours = fastbp.MLPClassifier(**settings).fit(X, BINARY)
    with pytest.raises(ValueError, match="cannot continue training"):
        ours.set_params(hidden_layer_sizes=(7,)).fit(X, BINARY)


def test_lbfgs_on_float32_gives_float32() -> None:
    dtypes = [
        mlp.MLPRegressor(**SMALL, solver="lbfgs", max_iter=3)
        .fit(X.astype(np.float32), SCORES[:, 0])
        .coefs_[0]
        .dtype
        for mlp in (sklearn.neural_network, fastbp)
    ]
    assert dtypes == [np.float64, np.float32]


def test_bad_parameter_in_a_later_partial_fit_is_refused() -> None:
    theirs = sklearn.neural_network.MLPClassifier(**SMALL)
    theirs.partial_fit(X, BINARY, classes=[0, 1])
    theirs.set_params(alpha=-1.0).partial_fit(X, BINARY)
    ours = fastbp.MLPClassifier(**SMALL).partial_fit(X, BINARY, classes=[0, 1])
    with pytest.raises(ValueError, match="The 'alpha' parameter"):
        ours.set_params(alpha=-1.0).partial_fit(X, BINARY)
