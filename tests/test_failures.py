"""A fit or partial_fit that fails leaves the estimator as it was, to the last bit."""

import contextlib
import copy
import io
import pickle
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from fastbp import MLPClassifier, MLPRegressor
from fastbp.schedules import Schedule

rng = np.random.RandomState(2)
X = rng.standard_normal((80, 5))
TARGET = X @ rng.standard_normal(5)
CLASSES = np.digitize(TARGET, [-0.5, 0.5])
Model = MLPClassifier | MLPRegressor


def content(value: Any) -> bytes:
    """Pickle without noting which equal objects are the same one."""
    file = io.BytesIO()
    pickler = pickle.Pickler(file)
    pickler.fast = True
    pickler.dump(value)
    return file.getvalue()


class BrokenPipe(io.StringIO):
    """A standard output that fails in the third epoch, the middle of a verbose fit."""

    def write(self, text: str) -> int:
        if "Iteration 3" in text:
            raise BrokenPipeError("nobody reads")
        return super().write(text)


@dataclass(frozen=True)
class Failure:
    """Settings and data that make training raise an error of the given type."""

    error: type[Exception]
    settings: dict[str, Any] = field(default_factory=dict)
    X: Any = field(default_factory=lambda: X)
    y: Callable[[np.ndarray], Any] = np.asarray
    sample_weight: Any = None

    def train(self, model: Model, method: str) -> None:
        y = self.y(CLASSES if isinstance(model, MLPClassifier) else TARGET)
        kwargs: dict[str, Any] = {"sample_weight": self.sample_weight}
        if method == "partial_fit" and isinstance(model, MLPClassifier):
            kwargs["classes"] = [0, 1, 2]
        with contextlib.redirect_stdout(BrokenPipe()), pytest.raises(self.error):
            getattr(model, method)(self.X, y, **kwargs)


# Without a kink: dead units do not diverge.
SGD = {"solver": "sgd", "activation": "identity"}
DIVERGING = {**SGD, "learning_rate_init": 1e300}
FAILURES = {
    "divergence": Failure(ValueError, DIVERGING),
    "divergence in float32": Failure(
        ValueError, {**DIVERGING, "learning_rate_init": 1e38, "dtype": "float32"}
    ),
    "huge rows": Failure(ValueError, SGD, X=1e150 * X),
    "huge rows in float32": Failure(ValueError, SGD, X=np.float32(1e30 * X)),
    "NaN in X": Failure(ValueError, X=np.where(X > 1, np.nan, X)),
    "other features": Failure(ValueError, X=X[:, :0]),
    "ragged X": Failure(ValueError, X=[[1.0], [1.0, 2.0]]),
    "short y": Failure(ValueError, y=lambda y: y[1:]),
    "NaN in y": Failure(ValueError, y=lambda y: np.where(y > 0.3, np.nan, y)),
    "no y": Failure(ValueError, y=lambda y: None),
    "negative weights": Failure(ValueError, sample_weight=-np.ones(80)),
    "NaN weights": Failure(ValueError, sample_weight=np.full(80, np.nan)),
    "zero weights": Failure(ValueError, sample_weight=np.zeros(80)),
    "short weights": Failure(ValueError, sample_weight=np.ones(79)),
    "bad parameter": Failure(ValueError, {"alpha": -1.0}),
    "bad layer": Failure(ValueError, {"hidden_layer_sizes": (3, 0)}),
    "bad n_jobs": Failure(ValueError, {"n_jobs": 0}),
}
FIT_FAILURES = FAILURES | {
    # Each epoch multiplies the weights by about -1e35.
    "divergence in a later epoch": Failure(
        ValueError, {**SGD, "alpha": 1e40, "momentum": 0.0, "batch_size": 80}
    ),
    "exception in the third epoch": Failure(BrokenPipeError, {"verbose": True}),
    "exception while stopping early": Failure(
        BrokenPipeError, {"verbose": True, "early_stopping": True}
    ),
    "validation set too small": Failure(
        ValueError, {"early_stopping": True, "validation_fraction": 0.01}
    ),
    # The class of the greatest NaN is right for a third of the rows.
    "divergence in the first epoch of early stopping": Failure(
        ValueError, {**DIVERGING, "early_stopping": True}
    ),
    "divergence in the first epoch of early stopping, dead units": Failure(
        ValueError, {**DIVERGING, "early_stopping": True, "activation": "relu"}
    ),
    "lbfgs, NaN in X": Failure(
        ValueError, {"solver": "lbfgs"}, X=np.where(X > 1, np.nan, X)
    ),
    "lbfgs, zero weights": Failure(
        ValueError, {"solver": "lbfgs"}, sample_weight=np.zeros(80)
    ),
}
# Type and rate are those of the first call.
FIRST_TIME_ONLY = (
    "divergence",
    "divergence in float32",
    "huge rows in float32",
)
each_failure = pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES)
each_fit_failure = pytest.mark.parametrize(
    "failure", FIT_FAILURES.values(), ids=FIT_FAILURES
)
each_estimator = pytest.mark.parametrize("estimator", [MLPClassifier, MLPRegressor])


def untrained(estimator: type[Model]) -> Model:
    return estimator(
        hidden_layer_sizes=(6, 4), max_iter=8, random_state=0, batch_size=20
    )


@each_estimator
@each_fit_failure
def test_failed_first_fit_leaves_nothing_behind(
    estimator: type[Model], failure: Failure
) -> None:
    model = untrained(estimator).set_params(**failure.settings)
    before = content(vars(model))
    failure.train(model, "fit")
    assert content(vars(model)) == before


# NumPy warns of the NaN in y while scikit-learn finds out what kind of target it is.
@pytest.mark.filterwarnings("ignore:invalid value encountered in cast:RuntimeWarning")
@each_estimator
@each_failure
def test_failed_first_partial_fit_leaves_nothing_behind(
    estimator: type[Model], failure: Failure
) -> None:
    model = untrained(estimator).set_params(**failure.settings)
    before = content(vars(model))
    failure.train(model, "partial_fit")
    assert content(vars(model)) == before


@each_estimator
@each_fit_failure
@pytest.mark.parametrize("warm_start", [False, True], ids=["", "warm_start"])
def test_failed_fit_leaves_the_former_model(
    estimator: type[Model], failure: Failure, warm_start: bool
) -> None:
    model = untrained(estimator).set_params(warm_start=warm_start)
    model.fit(X, CLASSES)
    twin = copy.deepcopy(model)
    model.set_params(**failure.settings)
    before = content(vars(model))
    failure.train(model, "fit")
    assert content(vars(model)) == before
    # ... and it trains on as if the failure had never been.
    model.set_params(**twin.get_params())
    np.testing.assert_array_equal(
        model.fit(X, CLASSES).coefs_[0], twin.fit(X, CLASSES).coefs_[0]
    )


def partially_fitted(estimator: type[Model]) -> Model:
    """A model that diverges on huge rows, which Adam would not."""
    model = untrained(estimator).set_params(**SGD)
    kwargs = {"classes": [0, 1, 2]} if estimator is MLPClassifier else {}
    return model.partial_fit(X, CLASSES, **kwargs).partial_fit(X, CLASSES)


@each_estimator
@pytest.mark.parametrize(
    "name", [name for name in FAILURES if name not in FIRST_TIME_ONLY]
)
def test_failed_partial_fit_leaves_the_former_model(
    estimator: type[Model], name: str
) -> None:
    model, twin = partially_fitted(estimator), partially_fitted(estimator)
    failure = FAILURES[name]
    model.set_params(**failure.settings)
    before = content(vars(model))
    failure.train(model, "partial_fit")
    assert content(vars(model)) == before
    model.set_params(**twin.get_params())
    model.partial_fit(X, CLASSES)
    twin.partial_fit(X, CLASSES)
    np.testing.assert_array_equal(model.coefs_[0], twin.coefs_[0])


@each_estimator
def test_divergence_in_partial_fit_leaves_the_former_model(
    estimator: type[Model],
) -> None:
    model = partially_fitted(estimator)
    model._optimizer.learning_rate = 1e300
    before = content(vars(model))
    with pytest.raises(ValueError, match="non-finite parameter weights"):
        model.partial_fit(X, CLASSES)
    assert content(vars(model)) == before


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_one_bad_chunk_does_not_poison_a_stream(method: str) -> None:
    X32 = X.astype(np.float32)
    model = untrained(MLPRegressor).partial_fit(X32, TARGET)
    predicted = model.predict(X32)
    with pytest.raises(ValueError, match="non-finite"):
        getattr(model, method)(np.float32(1e30) * X32, TARGET)
    np.testing.assert_array_equal(model.predict(X32), predicted)
    model.partial_fit(X32, TARGET)
    assert np.isfinite(model.predict(X32)).all()
    assert not np.array_equal(model.predict(X32), predicted)


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_failure_gives_the_random_numbers_back(method: str) -> None:
    state = np.random.RandomState(9)
    model = untrained(MLPRegressor).set_params(random_state=state, **SGD)
    model.fit(X, TARGET)
    before = content(state)
    with pytest.raises(ValueError, match="non-finite"):
        getattr(model, method)(1e150 * X, TARGET)
    assert model.random_state is state
    assert content(state) == before


@each_estimator
def test_labels_that_fail_leave_the_former_model(estimator: type[Model]) -> None:
    model = untrained(estimator).fit(X, CLASSES)
    before = content(vars(model))
    bad = TARGET if estimator is MLPClassifier else np.full(80, "a")
    for method in ("fit", "partial_fit"):
        with pytest.raises(ValueError, match="."):
            getattr(model, method)(X, bad)
        assert content(vars(model)) == before


def test_unseen_class_leaves_the_former_model() -> None:
    model = untrained(MLPClassifier).partial_fit(X, CLASSES, classes=[0, 1, 2])
    before = content(vars(model))
    with pytest.raises(ValueError, match="has classes not in"):
        model.partial_fit(X, CLASSES + 1)
    assert content(vars(model)) == before


@pytest.mark.parametrize("scoring", [None, "loss", "accuracy"])
def test_diverged_weights_are_not_the_best_of_early_stopping(scoring: Any) -> None:
    class Explosive(Schedule):
        def __call__(self, epoch: Any, n_epochs: float) -> Any:
            return np.where(epoch < 1, 1e-9, 1e300)

    # The class of the greatest NaN is the first: all right after divergence.
    model = MLPClassifier(6, **SGD, early_stopping=True, batch_size=20, random_state=0)
    model.set_params(lr_schedule=Explosive(), scoring=scoring)
    given = {"X_val": X, "y_val": np.zeros(80, dtype=int)}
    with pytest.warns(ConvergenceWarning, match="diverged in epoch 2"):
        model.fit(X, CLASSES, **given)
    assert np.isfinite(model.predict_proba(X)).all()
    assert np.isnan(model.validation_scores_[1])
    assert model.best_validation_score_ == model.validation_scores_[0]


def test_second_interrupt_cannot_empty_the_estimator() -> None:
    class Fragile(MLPClassifier):
        def __getattribute__(self, name: str) -> Any:
            found = super().__getattribute__(name)
            if name == "__dict__" and sys.exc_info()[0] is ValueError:
                states.append(set(found))
            return found

    states: list[set[str]] = []
    model = Fragile(max_iter=3)
    with pytest.raises(ValueError, match="NaN"):
        model.fit(X * np.nan, CLASSES)
    assert all({"max_iter", "callbacks"} <= names for names in states)


@pytest.mark.parametrize("rate", [1e2, 1e3, 1e5, 1e100])
def test_divergence_stops_training_at_once(
    rate: float, capsys: pytest.CaptureFixture[str]
) -> None:
    model = MLPRegressor(
        hidden_layer_sizes=6,
        solver="sgd",
        learning_rate_init=rate,
        max_iter=1000,
        n_iter_no_change=1000,
        random_state=0,
        verbose=True,
    )
    with pytest.raises(ValueError, match="non-finite parameter weights"):
        model.fit(X, TARGET)
    losses = [line.split()[-1] for line in capsys.readouterr().out.splitlines()]
    assert len(losses) < 100
    # No line after the first that says nan or inf.
    assert np.isfinite([float(loss) for loss in losses[:-1]]).all()


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # of the score
def test_training_goes_on_after_the_best_epoch_before_a_divergence() -> None:
    X = np.random.RandomState(0).standard_normal((60, 4))
    settings = {"hidden_layer_sizes": (8,), "activation": "identity", "solver": "sgd"}
    model = MLPRegressor(
        **settings, learning_rate_init=0.5, early_stopping=True, random_state=0
    )
    with pytest.warns(ConvergenceWarning, match="diverged"):
        model.fit(X, X[:, 0])
    assert not np.isfinite(model.loss_curve_[-1])
    assert all(np.isfinite(W).all() for W in model.coefs_)
    # A callback looks at what is kept.
    seen = []

    def look(model: Any, record: Any) -> None:
        seen.append(model.predict(X))

    watched = clone(model).set_params(callbacks=[look])
    with pytest.warns(ConvergenceWarning, match="diverged"):
        watched.fit(X, X[:, 0])
    np.testing.assert_array_equal(seen[-1], model.predict(X))
    # The moments of the divergence would make every step NaN.
    model.set_params(early_stopping=False, learning_rate_init=1e-12)
    model.partial_fit(X, X[:, 0])
    assert all(np.isfinite(W).all() for W in model.coefs_)
