"""MLPRegressor: constructor, losses, outputs, attributes, types, what it prints."""

import inspect
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import sklearn.neural_network
from sklearn.base import is_regressor
from sklearn.exceptions import ConvergenceWarning, DataConversionWarning
from sklearn.metrics import r2_score
from sklearn.utils import get_tags
from sklearn.utils._param_validation import InvalidParameterError

from fastbp import MLPRegressor

rng = np.random.RandomState(0)
X = rng.standard_normal((90, 6))
TRUE_COEFS = rng.standard_normal((6, 3))
LINEAR = X @ TRUE_COEFS + [1.0, -2.0, 0.5]
SINGLE = LINEAR[:, 0]
COUNTS = rng.poisson(np.exp(0.3 * LINEAR))

each_solver = pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])


def regressor(**settings: Any) -> MLPRegressor:
    return MLPRegressor(
        **{
            "hidden_layer_sizes": (8, 5),
            "max_iter": 20,
            "random_state": 0,
            "learning_rate_init": 0.01,
            **settings,
        }
    )


# -------------------------------------------------------------------- constructor


def test_constructor_is_scikit_learns_plus_keywords() -> None:
    ours = list(inspect.signature(MLPRegressor).parameters.values())
    theirs = inspect.signature(sklearn.neural_network.MLPRegressor).parameters
    assert [(p.name, p.kind, p.default) for p in ours[: len(theirs)]] == [
        (p.name, p.kind, p.default) for p in theirs.values()
    ]
    assert [(p.name, p.kind, p.default) for p in ours[len(theirs) :]] == [
        ("n_jobs", inspect.Parameter.KEYWORD_ONLY, None),
        ("dtype", inspect.Parameter.KEYWORD_ONLY, "auto"),
        ("weight_decay", inspect.Parameter.KEYWORD_ONLY, None),
        ("l1", inspect.Parameter.KEYWORD_ONLY, 0.0),
        ("max_norm", inspect.Parameter.KEYWORD_ONLY, None),
        ("clip_norm", inspect.Parameter.KEYWORD_ONLY, None),
        ("lr_schedule", inspect.Parameter.KEYWORD_ONLY, None),
        ("warmup", inspect.Parameter.KEYWORD_ONLY, 0),
        ("scoring", inspect.Parameter.KEYWORD_ONLY, None),
        ("restore_best", inspect.Parameter.KEYWORD_ONLY, None),
        ("max_time", inspect.Parameter.KEYWORD_ONLY, None),
        ("callbacks", inspect.Parameter.KEYWORD_ONLY, None),
        ("weight_init", inspect.Parameter.KEYWORD_ONLY, None),
        ("output_activation", inspect.Parameter.KEYWORD_ONLY, None),
        ("quantile", inspect.Parameter.KEYWORD_ONLY, None),
        ("missing_targets", inspect.Parameter.KEYWORD_ONLY, "error"),
        ("ema", inspect.Parameter.KEYWORD_ONLY, None),
        ("grad_tol", inspect.Parameter.KEYWORD_ONLY, None),
        ("dropout", inspect.Parameter.KEYWORD_ONLY, 0.0),
        ("input_dropout", inspect.Parameter.KEYWORD_ONLY, 0.0),
        ("normalization", inspect.Parameter.KEYWORD_ONLY, None),
    ]


@pytest.mark.parametrize(
    "method",
    [
        "fit",
        "partial_fit",
        "predict",
        "score",
        "get_params",
        "set_params",
        "get_metadata_routing",
        "set_fit_request",
        "set_partial_fit_request",
        "set_score_request",
    ],
)
def test_method_has_scikit_learns_arguments(method: str) -> None:
    signatures = [
        inspect.signature(getattr(estimator(), method)).parameters.values()
        for estimator in (MLPRegressor, sklearn.neural_network.MLPRegressor)
    ]
    ours, theirs = ([(p.name, p.kind, p.default) for p in s] for s in signatures)
    of_us = {"X_val", "y_val", "sample_weight_val", "quantile"}
    new = [(name, kind) for name, kind, _ in ours if name in of_us]
    assert [p for p in ours if p[0] not in of_us] == theirs
    if method in ("fit", "partial_fit"):
        assert [name for name, _ in new] == ["X_val", "y_val", "sample_weight_val"]
    assert {kind for _, kind in new} <= {inspect.Parameter.KEYWORD_ONLY}


@pytest.mark.parametrize("method", ["predict_proba", "predict_log_proba", "classes_"])
def test_regressor_has_nothing_of_a_classifier(method: str) -> None:
    assert not hasattr(regressor().fit(X, SINGLE), method)


@pytest.mark.parametrize(
    "settings",
    [
        {"loss": "log_loss"},
        {"loss": None},
        {"n_jobs": 1.0},
        {"dtype": "float16"},
        {"dtype": None},
        {"activation": "sigmoid"},
    ],
    ids=str,
)
def test_invalid_setting_is_refused(settings: dict[str, Any]) -> None:
    (name,) = settings
    model = MLPRegressor(**settings)
    with pytest.raises(InvalidParameterError, match=f"The '{name}' parameter of MLPRe"):
        model.fit(X, SINGLE)
    with pytest.raises(InvalidParameterError, match=f"The '{name}' parameter of MLPRe"):
        model.partial_fit(X, SINGLE)


def test_n_jobs_of_zero_is_refused() -> None:
    with pytest.raises(ValueError, match="n_jobs"):
        MLPRegressor(n_jobs=0).fit(X, SINGLE)


# ------------------------------------------------------------------ losses, outputs


def hidden_output(model: MLPRegressor) -> np.ndarray:
    """What the last layer gives, for relu, before the output activation."""
    a = X
    for W, b in zip(model.coefs_[:-1], model.intercepts_[:-1], strict=True):
        a = np.maximum(a @ W + b, 0)
    return a @ model.coefs_[-1] + model.intercepts_[-1]


@pytest.mark.parametrize("y", [SINGLE, LINEAR], ids=["one output", "three outputs"])
def test_predictions_are_those_of_the_forward_formula(y: np.ndarray) -> None:
    model = regressor().fit(X, y)
    assert model.predict(X).shape == y.shape
    np.testing.assert_allclose(
        model.predict(X).reshape(len(X), -1), hidden_output(model), rtol=1e-11
    )


def test_poisson_predicts_the_exponential() -> None:
    model = regressor(loss="poisson").fit(X, COUNTS)
    assert model.out_activation_ == "exp"
    np.testing.assert_allclose(
        model.predict(X), np.exp(hidden_output(model)), rtol=1e-11
    )


def penalty(model: MLPRegressor) -> float:
    return 0.5 * model.alpha * sum(float(np.sum(W**2)) for W in model.coefs_)


# With a rate too small to move anything, the loss of an epoch is that of its end.
STANDING_STILL = {"learning_rate_init": 1e-100, "solver": "sgd", "max_iter": 1}


@pytest.mark.parametrize("y", [SINGLE, LINEAR], ids=["one output", "three outputs"])
def test_squared_error_is_half_the_sum_over_outputs(y: np.ndarray) -> None:
    model = regressor(alpha=2.0, **STANDING_STILL).fit(X, y)
    errors = (y - model.predict(X)).reshape(len(X), -1)
    expected = 0.5 * np.mean(np.sum(errors**2, axis=1)) + penalty(model) / len(X)
    assert model.loss_ == pytest.approx(expected, rel=1e-12)


def test_squared_error_is_averaged_with_the_sample_weights() -> None:
    weight = np.random.RandomState(1).uniform(size=len(X))
    model = regressor(alpha=2.0, **STANDING_STILL).fit(X, SINGLE, weight)
    errors = SINGLE - model.predict(X)
    expected = np.average(0.5 * errors**2, weights=weight)
    expected += penalty(model) / weight.sum()
    assert model.loss_ == pytest.approx(expected, rel=1e-12)


def test_weights_that_a_type_has_not_are_none() -> None:
    weight = np.where(np.arange(len(X)) < 40, 1.0, 1e-60)  # a batch, and others
    settings = {"shuffle": False, "batch_size": 20, "alpha": 0.0, "dtype": "float32"}
    model = regressor(**settings).fit(X, SINGLE, weight)
    without = regressor(**settings).fit(X, SINGLE, np.where(weight < 1, 0, weight))
    for a, b in zip(model.coefs_, without.coefs_, strict=True):
        np.testing.assert_array_equal(a, b)


def test_rows_of_nearly_weightless_entries_are_none() -> None:
    targets, weights = np.tile(SINGLE[:, np.newaxis], 8), np.ones((len(X), 8))
    weights[:20] = 0
    weights[0, 0] = 1.2e-38  # the mean of the row is under the smallest normal number
    model = regressor(shuffle=False, batch_size=20, dtype="float32")
    model.fit(X, targets, weights)
    weights[0, 0] = 0
    without = regressor(**model.get_params()).fit(X, targets, weights)
    np.testing.assert_array_equal(model.coefs_[0], without.coefs_[0])


@pytest.mark.parametrize(
    ("weight", "said"),
    [
        (1e-46, "too small for float32: a row must weigh at least .* at most 1e-46"),
        (1e38, "too large for float32: the sum of the weights must be finite"),
    ],
)
def test_weights_out_of_range_are_refused(weight: float, said: str) -> None:
    weights = np.full(len(X), weight)
    with pytest.raises(ValueError, match=f"sample_weight is {said}"):
        regressor(dtype="float32").fit(X, SINGLE, weights)
    regressor().fit(X, SINGLE, weights)  # float64 has them


def test_ragged_weights_of_entries_are_refused_by_name() -> None:
    weights = [[1.0]] * (len(X) - 1) + [[1.0, 2.0]]
    model = regressor()
    with pytest.raises(ValueError, match="sample_weight must hold numbers"):
        model.fit(X, LINEAR, weights)
    model.fit(X, LINEAR)
    with pytest.raises(ValueError, match="sample_weight must hold numbers"):
        model.score(X, LINEAR, weights)


def test_poisson_loss_is_half_the_deviance() -> None:
    model = regressor(loss="poisson", alpha=0.0, **STANDING_STILL).fit(X, COUNTS)
    predicted = model.predict(X)
    logs = np.where(COUNTS > 0, np.log(np.maximum(COUNTS, 1) / predicted), 0.0)
    deviance = COUNTS * logs - COUNTS + predicted
    assert model.loss_ == pytest.approx(np.mean(deviance.sum(axis=1)), rel=1e-12)


def test_poisson_training_learns_the_rates() -> None:
    # The counts are drawn with rates that are log-linear in X.
    model = regressor(loss="poisson", solver="lbfgs", hidden_layer_sizes=())
    model.set_params(max_iter=500).fit(X, COUNTS)
    np.testing.assert_allclose(model.coefs_[0], 0.3 * TRUE_COEFS, atol=0.3)


@pytest.mark.parametrize("y", [SINGLE, LINEAR], ids=["one output", "three outputs"])
def test_lbfgs_without_hidden_layers_solves_least_squares(y: np.ndarray) -> None:
    model = regressor(
        hidden_layer_sizes=(), solver="lbfgs", alpha=0.0, tol=1e-9, max_iter=500
    ).fit(X, y)
    expected = TRUE_COEFS[:, : model.n_outputs_]
    np.testing.assert_allclose(model.coefs_[0], expected, atol=1e-3)


def test_column_target_warns_and_is_one_output() -> None:
    with pytest.warns(DataConversionWarning, match="column-vector"):
        model = regressor().fit(X, SINGLE[:, np.newaxis])
    assert model.predict(X).shape == (len(X),)
    np.testing.assert_array_equal(model.coefs_[0], regressor().fit(X, SINGLE).coefs_[0])


@pytest.mark.parametrize(
    "convert",
    [
        list,
        pd.Series,
        np.ndarray.round,
        lambda y: y.round().astype(np.int8),
        lambda y: y.astype(np.float32),
        lambda y: y.astype(object),
        lambda y: np.stack([y, y], axis=1)[:, 0],
        lambda y: y > 0,
    ],
)
def test_target_of_any_numeric_kind_is_learned_as_float(convert: Any) -> None:
    y = convert(SINGLE)
    as_float = np.asarray(y, dtype=np.float64)
    np.testing.assert_array_equal(
        regressor().fit(X, y).predict(X), regressor().fit(X, as_float).predict(X)
    )


@each_solver
def test_score_is_the_weighted_r2(solver: str) -> None:
    model = regressor(solver=solver).fit(X, SINGLE)
    weight = np.random.RandomState(1).uniform(size=len(X))
    predicted = model.predict(X)
    assert model.score(X, SINGLE) == pytest.approx(r2_score(SINGLE, predicted))
    assert model.score(X, SINGLE, sample_weight=weight) == pytest.approx(
        r2_score(SINGLE, predicted, sample_weight=weight)
    )


# --------------------------------------------------------------- attributes, types


def learned(model: Any) -> dict[str, type]:
    """Public attributes that end in an underscore, with their types."""
    names = (name for name in dir(model) if name.endswith("_") and name[0] != "_")
    return {name: type(getattr(model, name)) for name in names}


@each_solver
@pytest.mark.parametrize("early_stopping", [False, True])
def test_learned_attributes_are_scikit_learns(
    solver: str, early_stopping: bool
) -> None:
    settings = {"solver": solver, "early_stopping": early_stopping, "max_iter": 5}
    ours = learned(regressor(**settings).fit(X, SINGLE))
    theirs = learned(sklearn.neural_network.MLPRegressor(**settings).fit(X, SINGLE))
    # New, and like validation_scores_; L-BFGS has neither.
    new = ours.pop("validation_loss_curve_", None)
    assert new is theirs.get("validation_scores_")
    assert ours.pop("feature_importances_") is np.ndarray  # new, and a property
    assert ours.keys() == theirs.keys()
    for name in ours.keys() - {"loss_", "best_loss_"}:  # theirs are NumPy scalars
        assert ours[name] is theirs[name], name


def test_tags_are_scikit_learns() -> None:
    assert is_regressor(MLPRegressor())
    ours = get_tags(MLPRegressor())
    assert ours.transformer_tags is not None  # which scikit-learn's has not
    ours.transformer_tags = None
    assert ours == get_tags(sklearn.neural_network.MLPRegressor())
    assert ours.input_tags.sparse


@pytest.mark.parametrize(
    ("dtype", "X_dtype", "expected"),
    [
        ("auto", np.float32, np.float32),
        ("auto", np.float64, np.float64),
        ("auto", np.int32, np.float64),
        ("float32", np.float64, np.float32),
        ("float64", np.float32, np.float64),
    ],
)
def test_dtype_decides_the_type_of_the_weights(
    dtype: str, X_dtype: type, expected: type
) -> None:
    model = regressor(dtype=dtype).fit(X.astype(X_dtype), SINGLE)
    assert {W.dtype for W in [*model.coefs_, *model.intercepts_]} == {
        np.dtype(expected)
    }


@pytest.mark.parametrize("y", [SINGLE, LINEAR], ids=["one output", "three outputs"])
def test_float32_rows_give_float32_predictions(y: np.ndarray) -> None:
    X32 = X.astype(np.float32)
    assert regressor().fit(X32, y).predict(X32).dtype == np.float32
    assert regressor().fit(X, y).predict(X).dtype == np.float64


# ----------------------------------------------------------------- stopping, prints


@each_solver
def test_too_few_iterations_warn(solver: str) -> None:
    with pytest.warns(ConvergenceWarning, match="(?i)iterations"):
        regressor(solver=solver, max_iter=2).fit(X, SINGLE)


@pytest.mark.parametrize(
    "settings",
    [
        {"verbose": True},
        {"verbose": True, "early_stopping": True, "n_iter_no_change": 3},
        {"verbose": 1, "tol": 1e3, "n_iter_no_change": 2},
    ],
    ids=str,
)
def test_verbose_prints_scikit_learns_lines(
    settings: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    ours = regressor(**settings)
    known = inspect.signature(sklearn.neural_network.MLPRegressor).parameters
    shared = {k: v for k, v in ours.get_params().items() if k in known}
    ours.fit(X, SINGLE)
    our_lines = capsys.readouterr().out
    sklearn.neural_network.MLPRegressor(**shared).fit(X, SINGLE)
    assert our_lines == capsys.readouterr().out
    assert "Iteration 1, loss = " in our_lines


@pytest.mark.parametrize("loss", ["huber", "squared_error", "log_cosh", "quantile"])
def test_target_too_large_for_float32_is_refused(loss: str) -> None:
    y = X[:, 0].astype(np.float64)
    y[3] = 1e39
    model = MLPRegressor(loss, hidden_layer_sizes=(4,), dtype="float32", max_iter=3)
    with pytest.raises(ValueError, match=r"range of float32, got 1e\+39"):
        model.fit(X, y)
    good = np.zeros(len(X))
    with pytest.raises(ValueError, match="in X_val, y_val or .*range of float32"):
        model.fit(X, good, X_val=X, y_val=y)


@pytest.mark.parametrize("loss", ["squared_error", "poisson", "gamma"])
def test_sparse_target_is_refused(loss: str) -> None:
    y = scipy.sparse.csr_array(np.abs(X[:, :2]) + 1)
    with pytest.raises(ValueError, match="y must be a dense array, got csr_array"):
        MLPRegressor(loss, hidden_layer_sizes=(4,)).fit(X, y)


@pytest.mark.parametrize("columns", [[0], [0, 1, 0]])
def test_score_needs_a_column_for_each_target(columns: list[int]) -> None:
    Y = X[:, :2].astype(np.float64)
    Y[0, 0] = np.nan
    model = MLPRegressor(hidden_layer_sizes=(4,), missing_targets="mask", max_iter=3)
    model.fit(X, Y)
    assert np.isfinite(model.score(X, Y))
    with pytest.raises(ValueError, match="y must have the shape of the predictions"):
        model.score(X, Y[:, columns])
