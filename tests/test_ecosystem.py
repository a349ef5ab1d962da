"""In the company of the rest: frames, pipelines, searches, ensembles, metadata."""

from collections.abc import Callable
from typing import Any

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
import sklearn
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import TransformedTargetRegressor, make_column_transformer
from sklearn.datasets import load_iris
from sklearn.ensemble import (
    AdaBoostClassifier,
    AdaBoostRegressor,
    BaggingClassifier,
    BaggingRegressor,
    StackingClassifier,
    StackingRegressor,
    VotingClassifier,
    VotingRegressor,
)
from sklearn.exceptions import UnsetMetadataPassedError
from sklearn.inspection import partial_dependence, permutation_importance
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import (
    GridSearchCV,
    RandomizedSearchCV,
    cross_val_predict,
    cross_val_score,
    cross_validate,
    learning_curve,
)
from sklearn.multiclass import OneVsOneClassifier, OneVsRestClassifier
from sklearn.multioutput import (
    ClassifierChain,
    MultiOutputClassifier,
    MultiOutputRegressor,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.utils import estimator_html_repr

from fastbp import MLPClassifier, MLPRegressor

IRIS_X, IRIS_Y = load_iris(return_X_y=True)
order = np.random.RandomState(0).permutation(len(IRIS_X))
X = StandardScaler().fit_transform(IRIS_X[order])
CLASSES = IRIS_Y[order]
TARGET = X[:, 3]  # to be told from the other columns
NAMES = ["sepal length", "sepal width", "petal length", "petal width"]


def classifier(**settings: Any) -> MLPClassifier:
    return MLPClassifier(
        **{
            "hidden_layer_sizes": (10,),
            "solver": "lbfgs",
            "max_iter": 40,
            "random_state": 0,
            **settings,
        }
    )


def regressor(**settings: Any) -> MLPRegressor:
    shared = MLPRegressor().get_params().keys() & classifier().get_params().keys()
    shared -= {"loss", "output_activation"}  # other names mean something else
    of_classifier = classifier().get_params()
    return MLPRegressor(**{**{k: of_classifier[k] for k in shared}, **settings})


# --------------------------------------------------------------------------- frames


@pytest.mark.parametrize(
    "frame",
    [
        lambda X: pd.DataFrame(X, columns=NAMES),
        lambda X: pd.DataFrame(X, columns=NAMES).astype("Float64"),
        lambda X: pl.DataFrame(X, schema=NAMES),
    ],
    ids=["pandas", "pandas nullable", "polars"],
)
@pytest.mark.parametrize("make", [classifier, regressor])
@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_frame_trains_as_its_array_does(
    frame: Callable[[np.ndarray], Any], make: Callable[..., Any], solver: str
) -> None:
    from_frame = make(solver=solver).fit(frame(X), CLASSES)
    from_array = make(solver=solver).fit(X, CLASSES)
    assert list(from_frame.feature_names_in_) == NAMES
    np.testing.assert_array_equal(from_frame.predict(frame(X)), from_array.predict(X))


@pytest.mark.parametrize("make", [classifier, regressor])
def test_wrong_feature_names_are_refused(make: Callable[..., Any]) -> None:
    frame = pd.DataFrame(X, columns=NAMES)
    model = make().fit(frame, CLASSES)
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(frame.rename(columns={NAMES[0]: "stem length"}))
    with pytest.raises(ValueError, match="must be in the same order"):
        model.predict(frame[NAMES[::-1]])
    with pytest.raises(ValueError, match="feature names should match"):
        model.score(frame[NAMES[1:]], CLASSES)
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        model.predict(X)
    unnamed = make().fit(X, CLASSES)
    with pytest.warns(UserWarning, match="was fitted without feature names"):
        unnamed.predict(frame)


def test_no_warning_of_feature_names_from_early_stopping() -> None:
    # Its score on the validation rows is the model's own call, not the user's.
    frame = pd.DataFrame(X, columns=NAMES)
    model = classifier(solver="adam", early_stopping=True).fit(frame, CLASSES)
    assert list(model.feature_names_in_) == NAMES


def test_series_of_strings_and_categories_are_targets() -> None:
    words = np.array(["setosa", "versicolor", "virginica"])[CLASSES]
    for y in (pd.Series(words), pd.Series(words, dtype="category"), pl.Series(words)):
        model = classifier().fit(pd.DataFrame(X, columns=NAMES), y)
        predicted = model.predict(pd.DataFrame(X, columns=NAMES))
        assert np.mean(predicted == words) > 0.9


@pytest.mark.parametrize("kind", ["pandas", "polars"])
def test_pipeline_that_passes_frames_on_trains(kind: str) -> None:
    with sklearn.config_context(transform_output=kind):
        frame = pd.DataFrame(X, columns=NAMES)
        pipeline = make_pipeline(StandardScaler(), classifier()).fit(frame, CLASSES)
        assert list(pipeline[-1].feature_names_in_) == NAMES
        assert pipeline.score(frame, CLASSES) > 0.9


def test_pipeline_with_sparse_columns_trains() -> None:
    frame = pd.DataFrame({"size": X[:, 2], "kind": np.where(X[:, 3] > 0, "a", "b")})
    encoder = make_column_transformer(
        (OneHotEncoder(), ["kind"]), (StandardScaler(), ["size"]), sparse_threshold=1.0
    )
    pipeline = make_pipeline(encoder, classifier()).fit(frame, CLASSES)
    assert pipeline.score(frame, CLASSES) > 0.8


# ------------------------------------------------------------- searches and splitting


@pytest.mark.slow
def test_grid_search_in_two_processes_finds_what_one_finds() -> None:
    grid = {"alpha": [1e-4, 10.0], "hidden_layer_sizes": [(3,), (8, 4)]}
    searches = [
        GridSearchCV(classifier(), grid, cv=3, n_jobs=n_jobs).fit(X, CLASSES)
        for n_jobs in (1, 2)
    ]
    scores = [search.cv_results_["mean_test_score"] for search in searches]
    np.testing.assert_array_equal(*scores)
    assert searches[1].best_score_ > 0.9
    np.testing.assert_array_equal(*(search.predict(X) for search in searches))


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_grid_search_in_threads_finds_the_same(n_jobs: int) -> None:
    search = GridSearchCV(regressor(), {"alpha": [1e-4, 1.0]}, cv=3, n_jobs=n_jobs)
    with joblib.parallel_backend("threading"):
        threaded = clone(search).fit(X[:, :3], TARGET)
    serial = clone(search).set_params(n_jobs=1).fit(X[:, :3], TARGET)
    np.testing.assert_array_equal(
        threaded.cv_results_["mean_test_score"], serial.cv_results_["mean_test_score"]
    )


def test_random_search_over_a_pipeline_trains() -> None:
    pipeline = make_pipeline(StandardScaler(), regressor())
    settings = {
        "mlpregressor__alpha": [1e-4, 1e-2],
        "mlpregressor__activation": ["tanh", "relu", "leaky_relu"],
        "mlpregressor__dtype": ["float32", "float64"],
    }
    search = RandomizedSearchCV(pipeline, settings, n_iter=4, cv=3, random_state=0)
    assert search.fit(X[:, :3], TARGET).best_score_ > 0.8


@pytest.mark.slow
def test_cross_validation_gives_good_scores() -> None:
    assert cross_val_score(classifier(), X, CLASSES, cv=3).mean() > 0.9
    proba = cross_val_predict(classifier(), X, CLASSES, cv=3, method="predict_proba")
    np.testing.assert_allclose(proba.sum(axis=1), 1.0)
    assert np.mean(proba.argmax(axis=1) == CLASSES) > 0.9
    logs = cross_val_predict(
        classifier(), X, CLASSES, cv=3, method="predict_log_proba", n_jobs=2
    )
    np.testing.assert_allclose(logs, np.log(proba), atol=1e-6)
    result = cross_validate(
        regressor(), X[:, :3], TARGET, cv=3, return_estimator=True, n_jobs=2
    )
    assert (result["test_score"] > 0.8).all()
    assert all(isinstance(model, MLPRegressor) for model in result["estimator"])


def test_learning_curve_by_partial_fit_rises() -> None:
    model = classifier(solver="adam", learning_rate_init=0.1)
    _, _, scores = learning_curve(
        model, X, CLASSES, cv=3, exploit_incremental_learning=True
    )
    assert scores[-1].mean() > scores[0].mean()


# ------------------------------------------------------------------ ensembles and such


@pytest.mark.parametrize(
    "wrap",
    [
        lambda model: CalibratedClassifierCV(model, cv=3),
        lambda model: CalibratedClassifierCV(model, cv=3, ensemble=False),
        lambda model: AdaBoostClassifier(model, n_estimators=3, random_state=0),
        lambda model: BaggingClassifier(model, 3, random_state=0),
        lambda model: StackingClassifier([("mlp", model)], LogisticRegression(), cv=3),
        lambda model: VotingClassifier(
            [("mlp", model), ("linear", LogisticRegression())], voting="soft"
        ),
        OneVsRestClassifier,
        OneVsOneClassifier,
    ],
    ids=[
        "CalibratedClassifierCV",
        "CalibratedClassifierCV of one model",
        "AdaBoostClassifier",
        "BaggingClassifier",
        "StackingClassifier",
        "VotingClassifier",
        "OneVsRestClassifier",
        "OneVsOneClassifier",
    ],
)
def test_meta_estimator_of_classifier_learns(wrap: Callable[[Any], Any]) -> None:
    # Less with sigmoids of single logits, which know nothing of the others.
    assert wrap(classifier()).fit(X, CLASSES).score(X, CLASSES) > 0.8


@pytest.mark.parametrize(
    "wrap",
    [
        lambda model: AdaBoostRegressor(model, n_estimators=3, random_state=0),
        lambda model: BaggingRegressor(model, 3, random_state=0),
        lambda model: StackingRegressor([("mlp", model)], Ridge(), cv=3),
        lambda model: VotingRegressor([("mlp", model), ("linear", Ridge())]),
        lambda model: TransformedTargetRegressor(model, transformer=StandardScaler()),
    ],
    ids=[
        "AdaBoostRegressor",
        "BaggingRegressor",
        "StackingRegressor",
        "VotingRegressor",
        "TransformedTargetRegressor",
    ],
)
def test_meta_estimator_of_regressor_learns(wrap: Callable[[Any], Any]) -> None:
    assert wrap(regressor()).fit(X[:, :3], TARGET).score(X[:, :3], TARGET) > 0.8


def test_several_outputs_of_one_each_learn() -> None:
    y = np.stack([CLASSES, CLASSES > 0], axis=1)
    for wrap in (MultiOutputClassifier, ClassifierChain):
        assert np.mean(wrap(classifier()).fit(X, y).predict(X) == y) > 0.9
    targets = X[:, 2:]
    model = MultiOutputRegressor(regressor()).fit(X[:, :2], targets)
    assert model.predict(X[:, :2]).shape == targets.shape


def test_multi_output_classifier_trains_in_parts() -> None:
    y = np.stack([CLASSES, CLASSES > 0], axis=1)
    model = MultiOutputClassifier(classifier(solver="adam", learning_rate_init=0.1))
    for _ in range(40):
        model.partial_fit(X, y, classes=[[0, 1, 2], [0, 1]])
    assert np.mean(model.predict(X) == y) > 0.9


def test_inspection_finds_the_feature_that_matters() -> None:
    model = regressor(max_iter=200).fit(X, 5 * X[:, 1])
    importance = permutation_importance(model, X, 5 * X[:, 1], random_state=0)
    assert importance.importances_mean.argmax() == 1
    curve = partial_dependence(model, X, [1], kind="average")["average"][0]
    assert (np.diff(curve) > 0).all()


# ----------------------------------------------------------------- metadata, display


def test_sample_weight_is_routed_when_asked_for() -> None:
    weight = np.where(CLASSES == 0, 0.0, 1.0)
    with sklearn.config_context(enable_metadata_routing=True):
        model = classifier().set_fit_request(sample_weight=True)
        scaler = StandardScaler().set_fit_request(sample_weight=False)
        pipeline = make_pipeline(scaler, model)
        routed = pipeline.fit(X, CLASSES, sample_weight=weight)
        scaled = StandardScaler().fit_transform(X)
        direct = classifier().fit(scaled, CLASSES, sample_weight=weight)
        np.testing.assert_array_equal(
            routed.predict_proba(X), direct.predict_proba(scaled)
        )
        silent = make_pipeline(scaler, classifier())
        with pytest.raises(UnsetMetadataPassedError, match="sample_weight"):
            silent.fit(X, CLASSES, sample_weight=weight)


def test_sample_weight_is_routed_through_a_search() -> None:
    weight = np.where(CLASSES == 0, 1e-6, 1.0)
    with sklearn.config_context(enable_metadata_routing=True):
        model = classifier(max_iter=15).set_fit_request(sample_weight=True)
        model.set_score_request(sample_weight=False)
        search = GridSearchCV(model, {"alpha": [1e-4]}, cv=3)
        search.fit(X, CLASSES, sample_weight=weight)
    direct = classifier(max_iter=15).fit(X, CLASSES, weight)
    np.testing.assert_array_equal(search.predict_proba(X), direct.predict_proba(X))


@pytest.mark.parametrize("make", [classifier, regressor])
def test_requests_of_all_methods_can_be_set(make: Callable[..., Any]) -> None:
    with sklearn.config_context(enable_metadata_routing=True):
        model = make(solver="adam")
        model.set_fit_request(sample_weight="mass")
        model.set_partial_fit_request(sample_weight=True)
        model.set_score_request(sample_weight=False)
        requests = model.get_metadata_routing()
    assert requests.fit.requests["sample_weight"] == "mass"
    assert requests.partial_fit.requests["sample_weight"] is True
    assert requests.score.requests["sample_weight"] is False


@pytest.mark.parametrize("make", [classifier, regressor])
def test_display_in_a_notebook_names_the_estimator(make: Callable[..., Any]) -> None:
    model = make()
    html = estimator_html_repr(model)
    assert type(model).__name__ in html
    assert "hidden_layer_sizes" in html
    model.fit(X, CLASSES)
    without = make(hidden_layer_sizes=()).fit(X, CLASSES)
    changed = make().fit(X, CLASSES).set_params(activation=["relu", "tanh", "elu"])
    wrong = make().fit(X, CLASSES).set_params(loss="no such loss")
    for fitted in (model, without, changed, wrong):
        assert set(fitted._repr_mimebundle_()) == {"text/plain", "text/html"}


@pytest.mark.parametrize("estimator", [MLPClassifier, MLPRegressor])
def test_repr_shows_what_was_changed(estimator: Any) -> None:
    assert repr(estimator()) == f"{estimator.__name__}()"
    shown = repr(estimator(alpha=0.5, n_jobs=2))
    assert shown == f"{estimator.__name__}(alpha=0.5, n_jobs=2)"


@pytest.mark.parametrize("make", [classifier, regressor])
def test_clone_of_a_trained_model_is_untrained(make: Callable[..., Any]) -> None:
    model = make(dtype="float32").fit(X, CLASSES)
    again = clone(model)
    assert not hasattr(again, "coefs_")
    assert again.get_params() == model.get_params()
