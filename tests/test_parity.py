"""The same random state gives scikit-learn's results: epoch by epoch, word by word.

scikit-learn is the oracle. Weights are compared array by array: the largest difference,
relative to the largest weight, is at most 1e-8 after ten epochs in float64.
"""

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import scipy.sparse
import sklearn.neural_network
from numpy.exceptions import ComplexWarning
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import StandardScaler
from sklearn.utils._param_validation import InvalidParameterError

import fastbp

RTOL_FLOAT64 = 1e-8
RTOL_FLOAT32 = 1e-3
EPOCHS = 10
N_ROWS = 107  # with batches of 25 the last one has 7 rows
BATCH_SIZE = 25

rng = np.random.RandomState(7)
X = rng.standard_normal((N_ROWS, 9))
SCORES = X @ rng.standard_normal((9, 3)) + 0.3 * rng.standard_normal((N_ROWS, 3))
SAMPLE_WEIGHT = rng.uniform(0.1, 3.0, N_ROWS)
SAMPLE_WEIGHT[::10] = 0.0


@dataclass(frozen=True)
class Problem:
    """A task; our loss is ``loss_factor`` times scikit-learn's where alpha is 0."""

    estimator: str
    y: np.ndarray
    settings: dict[str, Any] = field(default_factory=dict)
    loss_factor: int = 1


PROBLEMS = {
    "binary": Problem("MLPClassifier", SCORES[:, 0] > 0),
    "multiclass": Problem("MLPClassifier", SCORES.argmax(axis=1)),
    "multilabel": Problem("MLPClassifier", (SCORES > 0).astype(int)),
    "regression": Problem("MLPRegressor", SCORES[:, 0]),
    # Our squared error is the sum over the outputs, theirs the mean; the gradients, and
    # so the weights, are the same.
    "multioutput": Problem("MLPRegressor", SCORES, {"alpha": 0.0}, loss_factor=3),
    "poisson": Problem("MLPRegressor", np.abs(SCORES).round(), {"loss": "poisson"}),
}
OPTIMIZERS = {
    "sgd": {"solver": "sgd", "learning_rate_init": 0.05, "momentum": 0.0},
    "momentum": {
        "solver": "sgd",
        "learning_rate_init": 0.01,
        "nesterovs_momentum": False,
    },
    "nesterov": {"solver": "sgd", "learning_rate_init": 0.01},
    "adam": {"solver": "adam", "learning_rate_init": 0.01},
}
ACTIVATIONS = ["identity", "logistic", "tanh", "relu"]

each_problem = pytest.mark.parametrize("problem", PROBLEMS.values(), ids=PROBLEMS)
each_optimizer = pytest.mark.parametrize(
    "optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS
)
each_activation = pytest.mark.parametrize("activation", ACTIVATIONS)


def estimators(problem: Problem, **settings: Any) -> Iterator[Any]:
    """Yield fastbp's estimator, then scikit-learn's, with the same settings."""
    settings = {
        "hidden_layer_sizes": (13, 7),
        "batch_size": BATCH_SIZE,
        "alpha": 0.1,
        "max_iter": EPOCHS,
        "random_state": 3,
        **problem.settings,
        **settings,
    }
    for module in (fastbp, sklearn.neural_network):
        yield getattr(module, problem.estimator)(**settings)


def fit_both(
    problem: Problem,
    X: Any = X,
    sample_weight: np.ndarray | None = None,
    **settings: Any,
) -> list[Any]:
    return [
        estimator.fit(X, problem.y, sample_weight)
        for estimator in estimators(problem, **settings)
    ]


def difference(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Largest difference, relative to the largest element."""
    return float(np.max(np.abs(ours - theirs)) / np.max(np.abs(theirs)))


def assert_same_weights(ours: Any, theirs: Any) -> None:
    assert len(ours.coefs_) == len(theirs.coefs_)
    our_arrays = [*ours.coefs_, *ours.intercepts_]
    for mine, reference in zip(
        our_arrays, [*theirs.coefs_, *theirs.intercepts_], strict=True
    ):
        assert mine.shape == reference.shape
        assert mine.dtype == reference.dtype
        assert difference(mine, reference) <= RTOL_FLOAT64


def assert_same_losses(ours: Any, theirs: Any, problem: Problem, rtol: float) -> None:
    expected = np.multiply(theirs.loss_curve_, problem.loss_factor)
    np.testing.assert_allclose(ours.loss_curve_, expected, rtol=rtol)
    assert ours.loss_ == ours.loss_curve_[-1]


def assert_same_training(ours: Any, theirs: Any, problem: Problem) -> None:
    assert_same_weights(ours, theirs)
    assert_same_losses(ours, theirs, problem, RTOL_FLOAT64)
    assert ours.n_iter_ == theirs.n_iter_
    assert ours.t_ == theirs.t_


# ------------------------------------------------------------------ ten epochs


@each_problem
@each_optimizer
@each_activation
@pytest.mark.parametrize("weighted", [False, True], ids=["", "weighted"])
def test_weights_and_losses_agree_after_ten_epochs_in_float64(
    problem: Problem, optimizer: dict[str, Any], activation: str, weighted: bool
) -> None:
    ours, theirs = fit_both(
        problem,
        sample_weight=SAMPLE_WEIGHT if weighted else None,
        activation=activation,
        **optimizer,
    )
    assert_same_training(ours, theirs, problem)


@each_problem
@each_optimizer
@each_activation
def test_losses_agree_after_ten_epochs_in_float32(
    problem: Problem, optimizer: dict[str, Any], activation: str
) -> None:
    ours, theirs = fit_both(
        problem, X.astype(np.float32), activation=activation, **optimizer
    )
    assert ours.coefs_[0].dtype == theirs.coefs_[0].dtype == np.float32
    assert_same_losses(ours, theirs, problem, RTOL_FLOAT32)


def test_multioutput_weights_agree_with_penalty() -> None:
    ours, theirs = fit_both(PROBLEMS["multioutput"], alpha=1.0)
    assert_same_weights(ours, theirs)


@each_problem
@pytest.mark.parametrize(
    "settings",
    [
        {"hidden_layer_sizes": ()},
        {"hidden_layer_sizes": 5},
        {"hidden_layer_sizes": [4, 3, 2]},
        {"batch_size": 1},
        {"batch_size": N_ROWS},
        {"batch_size": "auto"},
        {"shuffle": False},
        {"alpha": 100.0},
        {"beta_1": 0.0, "beta_2": 0.0, "epsilon": 1e-2},
        {"solver": "sgd", "momentum": 1.0, "learning_rate_init": 1e-4},
        {"solver": "sgd", "learning_rate": "invscaling", "learning_rate_init": 0.5},
        {"solver": "sgd", "learning_rate": "invscaling", "power_t": 0.1},
    ],
    ids=str,
)
def test_weights_agree_for_each_setting(
    problem: Problem, settings: dict[str, Any]
) -> None:
    assert_same_weights(*fit_both(problem, **settings))


def numbers_as_words(X: np.ndarray) -> np.ndarray:
    return X.astype(str)


@each_problem
@pytest.mark.parametrize(
    "convert",
    [
        scipy.sparse.csr_array,
        scipy.sparse.csc_array,
        scipy.sparse.csr_matrix,
        scipy.sparse.coo_array,
        np.asfortranarray,
        np.ndarray.tolist,
        numbers_as_words,
    ],
    ids=lambda convert: convert.__name__,
)
def test_weights_agree_for_each_container(
    problem: Problem, convert: Callable[[np.ndarray], Any]
) -> None:
    thinned = np.where(np.abs(X) > 0.5, X, 0.0)
    assert_same_training(*fit_both(problem, convert(thinned)), problem)


@pytest.mark.parametrize("dtype", [np.int8, np.uint16, np.int64, np.bool_, np.float16])
def test_weights_agree_for_each_dtype(dtype: type) -> None:
    problem = PROBLEMS["binary"]
    converted = np.abs(3 * X).astype(dtype)
    assert_same_training(*fit_both(problem, converted), problem)


@each_problem
def test_random_state_instances_are_consumed_alike(problem: Problem) -> None:
    states = np.random.RandomState(5), np.random.RandomState(5)
    for estimator, state in zip(estimators(problem), states, strict=True):
        estimator.set_params(random_state=state).fit(X, problem.y)
    ours, theirs = (state.get_state(legacy=False) for state in states)
    np.testing.assert_equal(ours, theirs)


def test_global_random_state_is_consumed_alike() -> None:
    fitted = []
    problem = PROBLEMS["binary"]
    for estimator in estimators(problem, random_state=None):
        np.random.seed(11)  # noqa: NPY002 - what random_state=None refers to
        fitted.append(estimator.fit(X, problem.y))
    assert_same_training(*fitted, problem)


# --------------------------------------------------------- schedules and stopping


@each_problem
@pytest.mark.parametrize("weighted", [False, True], ids=["", "weighted"])
def test_early_stopping_agrees(problem: Problem, weighted: bool) -> None:
    ours, theirs = fit_both(
        problem,
        sample_weight=SAMPLE_WEIGHT if weighted else None,
        early_stopping=True,
        validation_fraction=0.2,
        learning_rate_init=0.03,
        n_iter_no_change=3,
        max_iter=40,
    )
    assert_same_weights(ours, theirs)
    assert ours.n_iter_ == theirs.n_iter_
    assert ours.best_loss_ is theirs.best_loss_ is None
    np.testing.assert_allclose(
        ours.validation_scores_, theirs.validation_scores_, rtol=RTOL_FLOAT64
    )
    assert ours.best_validation_score_ == max(ours.validation_scores_)
    assert all(type(score) is float for score in ours.validation_scores_)


@each_problem
def test_adaptive_rate_agrees(problem: Problem) -> None:
    ours, theirs = fit_both(
        problem,
        solver="sgd",
        learning_rate="adaptive",
        learning_rate_init=0.01,
        tol=1e3,  # no epoch is good enough
        n_iter_no_change=1,
        max_iter=20,
    )
    assert_same_weights(ours, theirs)
    assert ours._optimizer.learning_rate == theirs._optimizer.learning_rate
    assert ours._optimizer.learning_rate < 0.01 / 5


@pytest.mark.parametrize("name", ["binary", "multiclass", "multilabel", "regression"])
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"solver": "sgd", "learning_rate_init": 0.1},
        {"solver": "sgd", "learning_rate": "adaptive", "learning_rate_init": 0.1},
        {"n_iter_no_change": 3},
        {"tol": 0.05, "n_iter_no_change": 1},
    ],
    ids=str,
)
def test_number_of_epochs_to_convergence_agrees(
    name: str, settings: dict[str, Any]
) -> None:
    defaults = {"learning_rate_init": 0.02, "tol": 1e-3, "max_iter": 300}
    ours, theirs = fit_both(PROBLEMS[name], **{**defaults, **settings})
    assert theirs.n_iter_ < 300
    assert ours.n_iter_ == theirs.n_iter_
    np.testing.assert_allclose(ours.loss_curve_, theirs.loss_curve_, rtol=1e-6)
    np.testing.assert_allclose(ours.best_loss_, theirs.best_loss_, rtol=1e-6)


def test_default_classifier_agrees_on_iris_to_the_end() -> None:
    X, y = load_iris(return_X_y=True)
    X = StandardScaler().fit_transform(X)
    ours, theirs = (
        module.MLPClassifier(random_state=0, tol=2e-3).fit(X, y)
        for module in (fastbp, sklearn.neural_network)
    )
    assert ours.n_iter_ == theirs.n_iter_ < 200
    np.testing.assert_array_equal(ours.predict(X), theirs.predict(X))
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), 1e-6)


@pytest.mark.parametrize("name", ["binary", "multiclass", "multilabel", "regression"])
@pytest.mark.parametrize("weighted", [False, True], ids=["", "weighted"])
def test_lbfgs_agrees_over_the_first_iterations(name: str, weighted: bool) -> None:
    # A line search amplifies rounding: a few iterations, and a wider tolerance.
    ours, theirs = fit_both(
        PROBLEMS[name],
        sample_weight=SAMPLE_WEIGHT if weighted else None,
        solver="lbfgs",
        activation="tanh",
    )
    assert ours.n_iter_ == theirs.n_iter_
    np.testing.assert_allclose(ours.loss_, theirs.loss_, rtol=1e-6)
    np.testing.assert_allclose(ours.coefs_[0], theirs.coefs_[0], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("settings", [{"tol": 0.02}, {"max_fun": 7}], ids=str)
@pytest.mark.parametrize("name", ["binary", "multiclass", "multilabel", "regression"])
def test_lbfgs_stops_where_theirs_stops(name: str, settings: dict[str, Any]) -> None:
    settings = {"solver": "lbfgs", "activation": "tanh", "max_iter": 60, **settings}
    ours, theirs = fit_both(PROBLEMS[name], **settings)
    assert ours.n_iter_ == theirs.n_iter_ < 60
    np.testing.assert_allclose(ours.loss_, theirs.loss_, rtol=1e-6)


# --------------------------------------------------------------- more than one call


@each_problem
@each_optimizer
def test_warm_start_agrees(problem: Problem, optimizer: dict[str, Any]) -> None:
    fitted = []
    for estimator in estimators(problem, warm_start=True, max_iter=4, **optimizer):
        for _ in range(3):
            estimator.fit(X, problem.y)
        fitted.append(estimator)
    assert_same_training(*fitted, problem)
    assert len(fitted[0].loss_curve_) == 12


def partial_fit(estimator: Any, problem: Problem, rows: slice, **kwargs: Any) -> None:
    if problem.estimator == "MLPClassifier":
        kwargs["classes"] = (
            np.arange(3) if problem.y.ndim == 2 else np.unique(problem.y)
        )
    estimator.partial_fit(X[rows], problem.y[rows], **kwargs)


@each_problem
@each_optimizer
@pytest.mark.parametrize("weighted", [False, True], ids=["", "weighted"])
def test_first_partial_fit_agrees(
    problem: Problem, optimizer: dict[str, Any], weighted: bool
) -> None:
    weights = {"sample_weight": SAMPLE_WEIGHT} if weighted else {}
    ours, theirs = estimators(problem, **optimizer)
    for estimator in (ours, theirs):
        partial_fit(estimator, problem, slice(None), **weights)
    assert_same_training(ours, theirs, problem)


@each_problem
@each_optimizer
def test_partial_fits_in_chunks_agree_without_shuffling(
    problem: Problem, optimizer: dict[str, Any]
) -> None:
    # With an integer seed scikit-learn would replay one shuffle, where ours goes on.
    ours, theirs = estimators(problem, shuffle=False, **optimizer)
    for estimator in (ours, theirs):
        for start, stop in pairwise([0, 40, 41, 90, N_ROWS]):
            with warnings.catch_warnings():  # batch_size is clipped to a short chunk
                warnings.simplefilter("ignore", UserWarning)
                partial_fit(estimator, problem, slice(start, stop))
    assert_same_training(ours, theirs, problem)


@each_problem
def test_partial_fits_consume_a_random_state_instance_alike(problem: Problem) -> None:
    states = np.random.RandomState(2), np.random.RandomState(2)
    fitted: list[Any] = []
    for estimator, state in zip(estimators(problem), states, strict=True):
        estimator.set_params(random_state=state)
        fitted.append(estimator)
        for _ in range(4):
            partial_fit(estimator, problem, slice(None))
    assert_same_training(*fitted, problem)
    ours, theirs = (state.get_state(legacy=False) for state in states)
    np.testing.assert_equal(ours, theirs)


@each_optimizer
def test_partial_fit_keeps_the_settings_of_its_optimizer(
    optimizer: dict[str, Any],
) -> None:
    fitted = []
    problem = PROBLEMS["multiclass"]
    others = {"momentum": 0.1, "beta_1": 0.5, "beta_2": 0.5, "learning_rate_init": 0.5}
    for estimator in estimators(problem, shuffle=False, **optimizer):
        partial_fit(estimator, problem, slice(None))
        estimator.set_params(**others)
        fitted.append(estimator.partial_fit(X, problem.y))
    assert_same_training(*fitted, problem)


def test_warm_start_with_early_stopping_agrees() -> None:
    # Also when a fit does not find a better score: then the last weights count.
    problem = PROBLEMS["multiclass"]
    settings = {"warm_start": True, "early_stopping": True, "max_iter": 1}
    ours, theirs = estimators(problem, **settings, learning_rate_init=0.05)
    n_best = set()
    for _ in range(12):
        for estimator in (ours, theirs):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)
                estimator.fit(X, problem.y)
        assert ours.validation_scores_ == theirs.validation_scores_
        np.testing.assert_allclose(ours.coefs_[0], theirs.coefs_[0], rtol=1e-6)
        n_best.add(ours.best_validation_score_)
    assert len(n_best) < 12


@pytest.mark.parametrize("labels", [(1, 2), (0, 2), (-1, 1)])
def test_labels_other_than_0_and_1_agree(labels: tuple[int, int]) -> None:
    problem = PROBLEMS["multilabel"]
    y = np.where(problem.y > 0, labels[1], labels[0])
    ours, theirs = estimators(problem)
    for estimator in (ours, theirs):
        estimator.set_params(max_iter=5).fit(X, y)
    np.testing.assert_allclose(ours.loss_curve_, theirs.loss_curve_, rtol=1e-6)
    np.testing.assert_allclose(ours.coefs_[0], theirs.coefs_[0], rtol=1e-6)


@pytest.mark.parametrize(
    "settings",
    [
        {"momentum": np.float64(0.9)},
        {"momentum": np.float32(0.0)},
        {"nesterovs_momentum": np.False_},
    ],
    ids=str,
)
def test_settings_may_be_numbers_of_numpy(settings: dict[str, Any]) -> None:
    problem = PROBLEMS["multiclass"]
    ours, theirs = fit_both(problem, solver="sgd", max_iter=3, **settings)
    assert_same_training(ours, theirs, problem)


@each_optimizer
def test_partial_fit_after_fit_agrees_without_shuffling(
    optimizer: dict[str, Any],
) -> None:
    fitted = []
    problem = PROBLEMS["multiclass"]
    for estimator in estimators(problem, shuffle=False, max_iter=3, **optimizer):
        estimator.fit(X, problem.y)
        fitted.append(estimator.partial_fit(X, problem.y))
    assert_same_training(*fitted, problem)


# ------------------------------------------------------------------------ messages

CLASSES = PROBLEMS["multiclass"].y
TARGET = PROBLEMS["regression"].y
WITH_NAN = np.where(X > 2, np.nan, X)
HUGE = 1e200 * X
Scenario = Callable[[ModuleType], Any]


def refit_with_other_classes(mlp: ModuleType) -> None:
    model = mlp.MLPClassifier(warm_start=True, max_iter=1).fit(X, CLASSES)
    model.fit(X, CLASSES % 2)


def partial_fit_with_unseen_class(mlp: ModuleType) -> None:
    mlp.MLPClassifier().partial_fit(X, CLASSES, classes=[0, 1, 2]).partial_fit(
        X, CLASSES + 1
    )


def partial_fit_with_other_classes(mlp: ModuleType) -> None:
    mlp.MLPClassifier().partial_fit(X, CLASSES, classes=[0, 1, 2]).partial_fit(
        X, CLASSES, classes=[0, 1, 2, 3]
    )


def partial_fit_with_fewer_features(mlp: ModuleType) -> None:
    mlp.MLPRegressor().partial_fit(X, TARGET).partial_fit(X[:, 1:], TARGET)


def early_stopping_with_one_row_of_a_class(mlp: ModuleType) -> None:
    mlp.MLPClassifier(early_stopping=True).fit(X, np.arange(N_ROWS) == 0)


MESSAGES: dict[str, Scenario] = {
    "max_iter reached": lambda mlp: mlp.MLPClassifier(max_iter=2).fit(X, CLASSES),
    "lbfgs max_iter reached": lambda mlp: mlp.MLPClassifier(
        solver="lbfgs", max_iter=2, random_state=0
    ).fit(X, CLASSES),
    "batch_size clipped": lambda mlp: mlp.MLPRegressor(
        batch_size=N_ROWS + 1, max_iter=1
    ).fit(X, TARGET),
    "column y, classifier": lambda mlp: mlp.MLPClassifier(max_iter=1).fit(
        X, CLASSES[:, np.newaxis]
    ),
    "column y, regressor": lambda mlp: mlp.MLPRegressor(max_iter=1).fit(
        X, TARGET[:, np.newaxis]
    ),
    "layer of no units": lambda mlp: mlp.MLPClassifier((5, 0)).fit(X, CLASSES),
    "layer of negative units": lambda mlp: mlp.MLPRegressor(
        hidden_layer_sizes=[-1, 3]
    ).fit(X, TARGET),
    "validation set of one row": lambda mlp: mlp.MLPRegressor(early_stopping=True).fit(
        X[:9], TARGET[:9]
    ),
    "validation_fraction of 0": lambda mlp: mlp.MLPRegressor(
        early_stopping=True, validation_fraction=0.0
    ).fit(X, TARGET),
    "one row of a class": early_stopping_with_one_row_of_a_class,
    "partial_fit with early_stopping": lambda mlp: mlp.MLPClassifier(
        early_stopping=True
    ).partial_fit(X, CLASSES, classes=[0, 1, 2]),
    "partial_fit with lbfgs": lambda mlp: mlp.MLPClassifier(solver="lbfgs").partial_fit,
    "partial_fit without classes": lambda mlp: mlp.MLPClassifier().partial_fit(
        X, CLASSES
    ),
    "partial_fit with unseen class": partial_fit_with_unseen_class,
    "partial_fit with other classes": partial_fit_with_other_classes,
    "partial_fit with fewer features": partial_fit_with_fewer_features,
    "warm_start with other classes": refit_with_other_classes,
    "NaN in X": lambda mlp: mlp.MLPClassifier().fit(WITH_NAN, CLASSES),
    "infinity in X": lambda mlp: mlp.MLPClassifier().fit(X / 0.0, CLASSES),
    "NaN in y": lambda mlp: mlp.MLPRegressor().fit(X, WITH_NAN[:, 1]),
    "NaN in sparse X": lambda mlp: mlp.MLPClassifier().fit(
        scipy.sparse.csr_array(WITH_NAN), CLASSES
    ),
    "complex X": lambda mlp: mlp.MLPClassifier().fit(X + 1j, CLASSES),
    "words in X": lambda mlp: mlp.MLPClassifier().fit([["a"], ["b"]], [0, 1]),
    "X of one dimension": lambda mlp: mlp.MLPClassifier().fit(X[:, 0], CLASSES),
    "X of three dimensions": lambda mlp: mlp.MLPClassifier().fit(X[None], CLASSES),
    "X of no rows": lambda mlp: mlp.MLPClassifier().fit(X[:0], CLASSES[:0]),
    "X of no columns": lambda mlp: mlp.MLPClassifier().fit(X[:, :0], CLASSES),
    "dia matrix of no columns": lambda mlp: mlp.MLPClassifier().fit(
        scipy.sparse.dia_array((3, 0)), [0, 1, 2]
    ),
    "no y": lambda mlp: mlp.MLPClassifier().fit(X, None),
    "y too short": lambda mlp: mlp.MLPClassifier().fit(X, CLASSES[1:]),
    "continuous classes": lambda mlp: mlp.MLPClassifier().fit(X, TARGET),
    "two columns of classes": lambda mlp: mlp.MLPClassifier().fit(
        X, np.stack([CLASSES, CLASSES], axis=1)
    ),
    "weights too short": lambda mlp: mlp.MLPRegressor().fit(X, TARGET, TARGET[1:]),
    "weights of two dimensions": lambda mlp: mlp.MLPRegressor().fit(X, TARGET, X),
    "weights of zero": lambda mlp: mlp.MLPRegressor().fit(X, TARGET, np.zeros(N_ROWS)),
    "infinite weights": lambda mlp: mlp.MLPRegressor().fit(
        X, TARGET, np.full(N_ROWS, np.inf)
    ),
    "NaN weights": lambda mlp: mlp.MLPRegressor().fit(
        X, TARGET, np.full(N_ROWS, np.nan)
    ),
    "predict before fit": lambda mlp: mlp.MLPClassifier().predict(X),
    "predict_proba before fit": lambda mlp: mlp.MLPClassifier().predict_proba(X),
    "predict_log_proba before fit": lambda mlp: mlp.MLPClassifier().predict_log_proba(
        X
    ),
    "score before fit": lambda mlp: mlp.MLPRegressor().score(X, TARGET),
    "predict with fewer features": lambda mlp: (
        mlp.MLPRegressor(max_iter=1).fit(X, TARGET).predict(X[:, 1:])
    ),
    "predict with NaN": lambda mlp: (
        mlp.MLPRegressor(max_iter=1).fit(X, TARGET).predict(WITH_NAN)
    ),
    "predict with one dimension": lambda mlp: (
        mlp.MLPRegressor(max_iter=1).fit(X, TARGET).predict(X[0])
    ),
}
INVALID_SETTINGS: list[dict[str, Any]] = [
    {"hidden_layer_sizes": 0},
    {"hidden_layer_sizes": "100"},
    {"hidden_layer_sizes": None},
    {"alpha": -1e-9},
    {"alpha": None},
    {"batch_size": 0},
    {"batch_size": 1.5},
    {"batch_size": "all"},
    {"learning_rate": "cosine"},
    {"learning_rate_init": 0.0},
    {"learning_rate_init": "0.1"},
    {"power_t": -0.5},
    {"max_iter": 0},
    {"max_iter": 10.0},
    {"shuffle": "yes"},
    {"random_state": -1},
    {"random_state": "seed"},
    {"tol": -1e-4},
    {"warm_start": 1.0},
    {"momentum": -0.1},
    {"momentum": 1.1},
    {"nesterovs_momentum": None},
    {"early_stopping": "auto"},
    {"validation_fraction": 1.0},
    {"validation_fraction": -0.1},
    {"beta_1": 1.0},
    {"beta_1": -0.1},
    {"beta_2": 1.0},
    {"beta_2": -0.1},
    {"epsilon": 0.0},
    {"n_iter_no_change": 0},
    {"n_iter_no_change": 1.5},
    {"max_fun": 0},
]


def messages(scenario: Scenario, mlp: ModuleType) -> list[tuple[type, list[str]]]:
    """Return type and words of every warning, of the exception and of its cause.

    The words are sorted, for scikit-learn prints the values a parameter may have from a
    set, in any order. Warnings of NumPy's, of its arithmetic, are left out.
    """
    said: list[BaseException | None] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            scenario(mlp)
        except Exception as error:
            said += [error, error.__cause__]
    said += [warning.message for warning in caught]
    ignored = (type(None), RuntimeWarning, ComplexWarning)
    return [
        (type(message), words(str(message)))
        for message in said
        if not isinstance(message, ignored)
    ]


def words(text: str) -> list[str]:
    return sorted(word.strip("{},.") for word in text.split())


@pytest.mark.parametrize("scenario", MESSAGES.values(), ids=MESSAGES)
def test_message_agrees(scenario: Scenario) -> None:
    theirs = messages(scenario, sklearn.neural_network)
    assert theirs
    assert messages(scenario, fastbp) == theirs


@pytest.mark.parametrize("estimator", ["MLPClassifier", "MLPRegressor"])
@pytest.mark.parametrize("settings", INVALID_SETTINGS, ids=str)
def test_message_for_invalid_setting_agrees(
    estimator: str, settings: dict[str, Any]
) -> None:
    def fit(mlp: ModuleType) -> None:
        getattr(mlp, estimator)(**settings).fit(X, CLASSES)

    theirs = messages(fit, sklearn.neural_network)
    assert theirs
    assert messages(fit, fastbp) == theirs


@pytest.mark.parametrize("estimator", ["MLPClassifier", "MLPRegressor"])
@pytest.mark.parametrize("verbose", [-1, "loud"])
def test_message_for_invalid_verbose_names_progress_too(
    estimator: str, verbose: Any
) -> None:
    said = []
    for mlp in (sklearn.neural_network, fastbp):
        with pytest.raises(ValueError, match="The 'verbose' parameter") as raised:
            getattr(mlp, estimator)(verbose=verbose).fit(X, CLASSES)
        said.append(str(raised.value))
    assert said[0].partition(" must be ")[0] == said[1].partition(" must be ")[0]
    assert "'progress'" in said[1]


def test_unknown_loss_is_refused_as_by_scikit_learn() -> None:
    # The messages differ in the names: there are more of them here.
    for loss in ("hinge", (16,)):  # sizes as the first argument
        for mlp in (fastbp, sklearn.neural_network):
            with pytest.raises(InvalidParameterError, match="The 'loss' parameter of"):
                mlp.MLPRegressor(loss).fit(X, TARGET)


def test_message_of_divergence_agrees() -> None:
    # Theirs comes after all the epochs, with a warning that these were too few.
    said = []
    for mlp in (fastbp, sklearn.neural_network):
        model = mlp.MLPRegressor(solver="sgd", learning_rate_init=1e5, max_iter=20)
        with np.errstate(all="ignore"), pytest.raises(ValueError) as error:
            model.fit(X, TARGET)
        said.append(str(error.value))
    assert said[0] == said[1]
