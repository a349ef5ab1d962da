"""Validation sets: given ones, splits, scores, losses, and which weights are kept."""

import pickle
from typing import Any

import numpy as np
import pytest
import scipy.sparse
import sklearn
from sklearn.metrics import (
    adjusted_rand_score,
    balanced_accuracy_score,
    log_loss,
    mean_absolute_error,
    mean_poisson_deviance,
    r2_score,
)
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fastbp import MLPClassifier, MLPRegressor

rng = np.random.RandomState(4)
DIRECTIONS = rng.standard_normal((5, 3))


def sample(n: int) -> tuple[np.ndarray, np.ndarray]:
    X = rng.standard_normal((n, 5))
    return X, X @ DIRECTIONS + 0.5 * rng.standard_normal((n, 3))


X, SCORES = sample(120)
X_VAL, SCORES_VAL = sample(40)
WEIGHT_VAL = rng.uniform(0.2, 3.0, 40)
each_solver = pytest.mark.parametrize("solver", ["adam", "sgd"])
MULTICLASS, MULTICLASS_VAL = SCORES.argmax(axis=1), SCORES_VAL.argmax(axis=1)
# Name: targets, estimator and settings, loss and score that scikit-learn finds.
TARGETS = {
    "binary": (
        np.array(["no", "yes"])[(s[:, 0] > 0) * 1] for s in (SCORES, SCORES_VAL)
    ),
    "multiclass": (s.argmax(axis=1) for s in (SCORES, SCORES_VAL)),
    "multilabel": ((s > 0).astype(int) for s in (SCORES, SCORES_VAL)),
    "regression": (s[:, 0] for s in (SCORES, SCORES_VAL)),
    "several outputs": (s for s in (SCORES, SCORES_VAL)),
    "poisson": (np.exp(s[:, 0] / 2) for s in (SCORES, SCORES_VAL)),
}
TARGETS = {name: tuple(pair) for name, pair in TARGETS.items()}
each_target = pytest.mark.parametrize("target", TARGETS)


def estimator(target: str, **settings: Any) -> Any:
    shared = {"hidden_layer_sizes": (8,), "max_iter": 12, "random_state": 0}
    shared |= {"batch_size": 32, "learning_rate_init": 0.02}
    if target in ("binary", "multiclass", "multilabel"):
        return MLPClassifier(**{**shared, **settings})
    loss = "poisson" if target == "poisson" else "squared_error"
    return MLPRegressor(loss, **{**shared, **settings})


def classifier(**settings: Any) -> MLPClassifier:
    return estimator("multiclass", **settings)


def given(y: Any, weights: Any = None, X: Any = X_VAL) -> dict[str, Any]:
    return {"X_val": X, "y_val": y, "sample_weight_val": weights}


def loss_by_scikit_learn(target: str, model: Any, y: Any, w: Any) -> float:
    if target in ("binary", "multiclass"):
        return log_loss(y, model.predict_proba(X_VAL), sample_weight=w)
    if target == "multilabel":
        p = model.predict_proba(X_VAL)
        return sum(log_loss(y[:, j], p[:, j], sample_weight=w) for j in range(3))
    if target == "poisson":
        return mean_poisson_deviance(y, model.predict(X_VAL), sample_weight=w) / 2
    squares = (y - model.predict(X_VAL)) ** 2
    return np.average(squares.reshape(40, -1).sum(axis=1), weights=w) / 2


def assert_same_weights(a: Any, b: Any) -> None:
    for ours, theirs in zip(
        a.coefs_ + a.intercepts_, b.coefs_ + b.intercepts_, strict=True
    ):
        np.testing.assert_array_equal(ours, theirs)


# ------------------------------------------------------------------------- a given set


@each_target
@each_solver
@pytest.mark.parametrize("weights", [None, WEIGHT_VAL], ids=["", "weights"])
def test_loss_and_score_are_those_of_scikit_learn(
    target: str, solver: str, weights: Any
) -> None:
    y, y_val = TARGETS[target]
    for max_iter in (1, 5):
        model = estimator(target, solver=solver, max_iter=max_iter)
        model.fit(X, y, **given(y_val, weights))
        assert len(model.validation_loss_curve_) == max_iter
        assert len(model.validation_scores_) == max_iter
        loss = loss_by_scikit_learn(target, model, y_val, weights)
        assert model.validation_loss_curve_[-1] == pytest.approx(loss, rel=1e-9)
        score = model.score(X_VAL, y_val, sample_weight=weights)
        assert model.validation_scores_[-1] == pytest.approx(score, rel=1e-9)
        assert model.best_validation_score_ == max(model.validation_scores_)


@each_target
@each_solver
def test_recording_changes_nothing_of_the_training(target: str, solver: str) -> None:
    y, y_val = TARGETS[target]
    model = estimator(target, solver=solver).fit(X, y, **given(y_val))
    plain = estimator(target, solver=solver).fit(X, y)
    assert_same_weights(model, plain)
    assert model.loss_curve_ == plain.loss_curve_
    assert model.best_loss_ == plain.best_loss_
    assert plain.validation_loss_curve_ is plain.validation_scores_ is None


@each_solver
def test_early_stopping_uses_the_given_set_and_splits_nothing_off(solver: str) -> None:
    settings = {"solver": solver, "max_iter": 60, "n_iter_no_change": 4}
    settings |= {"learning_rate_init": 0.05}
    model = classifier(**settings, early_stopping=True)
    model.fit(X, MULTICLASS, **given(MULTICLASS_VAL))
    assert model.t_ == model.n_iter_ * 120
    assert model.n_iter_ < 60
    scores = model.validation_scores_
    best = int(np.argmax(scores))
    assert scores[best] == model.best_validation_score_
    assert model.score(X_VAL, MULTICLASS_VAL) == pytest.approx(scores[best])
    # The best weights are those of a training of just so many epochs.
    short = classifier(**{**settings, "max_iter": best + 1}, tol=0.0)
    assert_same_weights(model, short.fit(X, MULTICLASS))


@each_solver
def test_given_split_stops_as_scikit_learns_own_does(solver: str) -> None:
    settings = {"solver": solver, "early_stopping": True, "max_iter": 30}
    settings |= {"shuffle": False, "n_iter_no_change": 3}
    whole = classifier(**settings).fit(X, MULTICLASS)
    random_state = np.random.RandomState(0)
    for fan_in, fan_out in ((5, 8), (8, 3)):  # the draws of the initial weights
        random_state.uniform(size=(fan_in + 1) * fan_out)
    train, held_out = train_test_split(
        np.arange(120), random_state=random_state, test_size=0.1
    )
    model = classifier(**settings).fit(
        X[train],
        MULTICLASS[train],
        **given(MULTICLASS[held_out], X=X[held_out]),
    )
    assert_same_weights(model, whole)
    assert model.validation_scores_ == whole.validation_scores_
    assert model.validation_loss_curve_ == whole.validation_loss_curve_


@pytest.mark.parametrize("convert", [scipy.sparse.csr_array, scipy.sparse.csc_array])
def test_sparse_validation_set_gives_the_losses_of_a_dense_one(convert: Any) -> None:
    model = classifier()
    dense = model.fit(X, MULTICLASS, **given(MULTICLASS_VAL)).validation_loss_curve_
    model.fit(X, MULTICLASS, **given(MULTICLASS_VAL, X=convert(X_VAL)))
    np.testing.assert_allclose(model.validation_loss_curve_, dense, rtol=1e-12)


def test_float32_set_is_read_as_it_lies() -> None:
    model = classifier(dtype="float32", early_stopping=True)
    model.fit(
        X.astype(np.float32), MULTICLASS, **given(MULTICLASS_VAL, X=X_VAL.tolist())
    )
    score = model.score(X_VAL, MULTICLASS_VAL)
    assert model.best_validation_score_ == pytest.approx(score, abs=0.03)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"X_val": X_VAL}, "X_val given, y_val None"),
        ({"y_val": MULTICLASS_VAL}, "X_val None, y_val given"),
        ({"sample_weight_val": WEIGHT_VAL}, "X_val None, y_val None"),
        (given(MULTICLASS_VAL[1:]), "in X_val, y_val .*inconsistent numbers"),
        (given(MULTICLASS_VAL, X=X_VAL[:, 1:]), "in X_val, y_val .*has 4 features"),
        (given(MULTICLASS_VAL, X=X_VAL * np.nan), "in X_val, y_val .*contains NaN"),
        (given(MULTICLASS_VAL + 1), r"y_val has classes \[3\] that are not among"),
        (given(SCORES_VAL > 0), "in X_val, y_val"),
        (given(MULTICLASS_VAL, -WEIGHT_VAL), "in X_val, .*Negative values in sample_w"),
        (given(MULTICLASS_VAL, WEIGHT_VAL[1:]), "in X_val, .*sample_weight.shape"),
    ],
)
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_bad_validation_set_is_refused(
    method: str, arguments: dict[str, Any], said: str
) -> None:
    model = classifier()
    extra = {"classes": [0, 1, 2]} if method == "partial_fit" else {}
    with pytest.raises(ValueError, match=said):
        getattr(model, method)(X, MULTICLASS, **extra, **arguments)
    assert set(vars(model)) == set(model.get_params())


def test_validation_target_of_another_width_is_refused() -> None:
    model = estimator("several outputs")
    with pytest.raises(ValueError, match="as many outputs as y, 3, got 1"):
        model.fit(X, SCORES, **given(SCORES_VAL[:, 0]))
    assert not hasattr(model, "n_outputs_")


def test_warm_start_goes_on_with_the_curves() -> None:
    model = classifier(warm_start=True, max_iter=3)
    for n in (3, 6):
        model.fit(X, MULTICLASS, **given(MULTICLASS_VAL))
        assert len(model.validation_loss_curve_) == n
    model.set_params(warm_start=False).fit(X, MULTICLASS)
    assert model.validation_loss_curve_ is None


def test_best_score_of_another_kind_does_not_outlive_it() -> None:
    model = classifier(warm_start=True, max_iter=2, early_stopping=True)
    model.fit(X, MULTICLASS, **given(MULTICLASS_VAL))
    assert model.best_validation_score_ > 0
    model.set_params(scoring="loss").fit(X, MULTICLASS, **given(MULTICLASS_VAL))
    assert model.best_validation_score_ == max(model.validation_scores_[2:]) < 0
    model.set_params(scoring=lambda *_: -9.0).fit(X, MULTICLASS)
    assert model.best_validation_score_ == -9


def test_best_score_on_another_set_does_not_outlive_it() -> None:
    scores = iter([0.9, 0.8, 0.7, 0.6, 0.5])

    def scoring(*_: Any) -> float:
        return next(scores)

    model = classifier(warm_start=True, max_iter=1, early_stopping=True)
    model.set_params(scoring=scoring)
    for arguments, best in (
        (given(MULTICLASS_VAL), 0.9),
        (given(MULTICLASS_VAL), 0.8),
        ({}, 0.7),
        ({}, 0.7),  # as with scikit-learn
        (given(MULTICLASS_VAL), 0.5),
    ):
        model.fit(X, MULTICLASS, **arguments)
        assert model.best_validation_score_ == best


# ------------------------------------------------------------- pipelines, partial_fit


@pytest.mark.parametrize("early_stopping", [False, True])
def test_pipeline_transforms_and_brings_the_validation_set(
    early_stopping: bool,
) -> None:
    scaler = StandardScaler().fit(7 * X + 3)
    direct = classifier(early_stopping=early_stopping).fit(
        scaler.transform(7 * X + 3),
        MULTICLASS,
        **given(MULTICLASS_VAL, WEIGHT_VAL, X=scaler.transform(7 * X_VAL + 3)),
    )
    with sklearn.config_context(enable_metadata_routing=True):
        model = classifier(early_stopping=early_stopping)
        model.set_fit_request(X_val=True, y_val=True, sample_weight_val=True)
        pipeline = make_pipeline(StandardScaler(), model, transform_input=["X_val"])
        pipeline.fit(
            7 * X + 3, MULTICLASS, **given(MULTICLASS_VAL, WEIGHT_VAL, X=7 * X_VAL + 3)
        )
    assert_same_weights(pipeline[-1], direct)
    assert pipeline[-1].validation_scores_ == direct.validation_scores_
    assert pipeline[-1].validation_loss_curve_ == direct.validation_loss_curve_


@each_target
@each_solver
def test_partial_fit_records_what_fit_does(target: str, solver: str) -> None:
    y, y_val = TARGETS[target]
    whole = estimator(target, solver=solver, max_iter=4).fit(X, y, **given(y_val))
    parts = estimator(target, solver=solver)
    classes = {"multilabel": [0, 1, 2]}.get(target, np.unique(y))
    extra = {"classes": classes} if isinstance(parts, MLPClassifier) else {}
    for _ in range(4):
        parts.partial_fit(X, y, **extra, **given(y_val))
        parts = pickle.loads(pickle.dumps(parts))
    assert_same_weights(parts, whole)
    assert parts.validation_scores_ == whole.validation_scores_
    assert parts.validation_loss_curve_ == whole.validation_loss_curve_


def test_partial_fit_counts_bad_epochs_of_the_given_set() -> None:
    model = classifier(early_stopping=True, tol=1e9)
    for call in range(4):
        model.partial_fit(X, MULTICLASS, classes=[0, 1, 2], **given(MULTICLASS_VAL))
        # The first improves on minus infinity, none by so much.
        assert model._no_improvement_count == call
    assert model.best_validation_score_ == max(model.validation_scores_)
    assert model.best_loss_ is None


def test_partial_fit_keeps_the_last_weights_not_the_best() -> None:
    settings = {"early_stopping": True, "scoring": lambda model, *_: -model.t_}
    model = classifier(**settings)
    for _ in range(4):
        model.partial_fit(X, MULTICLASS, classes=[0, 1, 2], **given(MULTICLASS_VAL))
    assert model.validation_scores_ == [-120, -240, -360, -480]
    assert model.best_validation_score_ == -120
    assert_same_weights(model, classifier(max_iter=4).fit(X, MULTICLASS))


# ----------------------------------------------------------------------------- scoring


def mae(model: Any, X: Any, y: Any, sample_weight: Any = None) -> float:
    return -mean_absolute_error(y, model.predict(X), sample_weight=sample_weight)


@pytest.mark.parametrize(
    ("target", "scoring", "expected"),
    [
        (
            "multiclass",
            "balanced_accuracy",
            lambda m, y, w: balanced_accuracy_score(
                y, m.predict(X_VAL), sample_weight=w
            ),
        ),
        (
            "binary",
            "neg_log_loss",
            lambda m, y, w: -log_loss(y, m.predict_proba(X_VAL), sample_weight=w),
        ),
        ("regression", "r2", lambda m, y, w: m.score(X_VAL, y, sample_weight=w)),
        ("regression", mae, lambda m, y, w: mae(m, X_VAL, y, w)),
        (
            "several outputs",
            "r2",
            lambda m, y, w: r2_score(y, m.predict(X_VAL), sample_weight=w),
        ),
        ("multilabel", "accuracy", lambda m, y, w: m.score(X_VAL, y, sample_weight=w)),
        *(
            (
                target,
                "loss",
                lambda m, y, w, target=target: -loss_by_scikit_learn(target, m, y, w),
            )
            for target in TARGETS
        ),
    ],
)
@pytest.mark.parametrize("weights", [None, WEIGHT_VAL], ids=["", "weights"])
def test_scoring_is_that_of_the_finished_model(
    target: str, scoring: Any, expected: Any, weights: Any
) -> None:
    y, y_val = TARGETS[target]
    model = estimator(target, scoring=scoring, max_iter=3)
    model.fit(X, y, **given(y_val, weights))
    score = expected(model, y_val, weights)
    assert model.validation_scores_[-1] == pytest.approx(score, rel=1e-9)


@pytest.mark.parametrize(
    "scoring",
    ["adjusted_rand_score", lambda m, X, y: m.score(X, y)],
    ids=["named", "own"],
)
def test_scorer_that_takes_no_weights_gets_none(scoring: Any) -> None:
    settings = {"class_weight": "balanced", "early_stopping": True, "max_iter": 3}
    model = classifier(scoring=scoring, **settings).fit(
        X, MULTICLASS, **given(MULTICLASS_VAL, WEIGHT_VAL)
    )
    p = model.predict(X_VAL)
    expected = (
        adjusted_rand_score(MULTICLASS_VAL, p)
        if scoring == "adjusted_rand_score"
        else (p == MULTICLASS_VAL).mean()
    )
    assert max(model.validation_scores_) == pytest.approx(expected, rel=1e-12)


def test_split_by_strata_needs_a_split() -> None:
    model = classifier(early_stopping=True, validation_stratify=True)
    with pytest.raises(ValueError, match="splits samples off, but X_val is given"):
        model.fit(X, MULTICLASS, **given(MULTICLASS_VAL))


def test_scorer_sees_the_names_of_a_frame_without_complaint() -> None:
    import pandas as pd

    names = list("abcde")
    model = classifier(scoring="f1_macro", early_stopping=True)
    model.fit(
        pd.DataFrame(X, columns=names),
        MULTICLASS,
        **given(MULTICLASS_VAL, X=pd.DataFrame(X_VAL, columns=names)),
    )
    assert list(model.feature_names_in_) == names
    assert len(model.validation_scores_) == model.n_iter_


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"scoring": "r3", "early_stopping": True}, "scoring.*'loss'"),
        ({"scoring": "r2"}, "scoring='r2' needs a validation set: early_stopping=True"),
        ({"restore_best": True}, "restore_best=True needs a validation set"),
        (
            {"validation_stratify": True},
            "stratify=True needs early_stopping",
        ),
        ({"scoring": "r2", "solver": "lbfgs"}, "scoring='r2' needs a solver of"),
        (
            {"restore_best": False, "solver": "lbfgs"},
            "restore_best=False needs a solver",
        ),
        ({"max_time": 1.0, "solver": "lbfgs"}, "max_time=1.0 needs a solver of"),
        (
            {"scoring": lambda m, X, y: "good", "early_stopping": True},
            "must return a number, got 'good'",
        ),
        (
            {"scoring": lambda m, X, y: np.nan, "early_stopping": True},
            "scoring=.* must return a number, got nan",
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, dict) else None,
)
def test_contradiction_is_refused_by_name(settings: dict[str, Any], said: str) -> None:
    model = classifier(**settings)
    with pytest.raises(ValueError, match=said):
        model.fit(X, MULTICLASS)
    assert set(vars(model)) == set(model.get_params())


def test_lbfgs_refuses_a_validation_set() -> None:
    with pytest.raises(ValueError, match=r"\(X_val, y_val\) needs a solver of"):
        classifier(solver="lbfgs").fit(X, MULTICLASS, **given(MULTICLASS_VAL))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"restore_best": True}, "does not support restore_best=True"),
        ({"max_time": 3.0}, "does not support max_time=3.0"),
        ({"verbose": "progress"}, "does not support verbose='progress'"),
    ],
)
def test_partial_fit_refuses_what_belongs_to_fit(
    settings: dict[str, Any], said: str
) -> None:
    model = classifier(**settings)
    with pytest.raises(ValueError, match=f"partial_fit {said}"):
        model.partial_fit(X, MULTICLASS, classes=[0, 1, 2], **given(MULTICLASS_VAL))
    assert set(vars(model)) == set(model.get_params())


# ------------------------------------------------------------------------ restore_best


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("restore_best", [None, False, True])
def test_restore_best_says_which_weights_are_kept(
    early_stopping: bool, restore_best: bool | None
) -> None:
    # A given score: the third epoch is the best.
    scores = iter([0.1, 0.2, 0.9, 0.3, 0.4, 0.5])
    settings = {"restore_best": restore_best, "early_stopping": early_stopping}
    model = classifier(max_iter=6, scoring=lambda *_: next(scores), **settings)
    model.fit(X, MULTICLASS, **given(MULTICLASS_VAL))
    kept = 3 if restore_best or (restore_best is None and early_stopping) else 6
    assert_same_weights(model, classifier(max_iter=kept).fit(X, MULTICLASS))
    assert model.best_validation_score_ == 0.9


def test_restored_weights_are_the_best_of_their_own_fit() -> None:
    scores = iter([0.7, 0.6])
    settings = {"early_stopping": True, "restore_best": True, "warm_start": True}
    model = classifier(max_iter=1, scoring=lambda *_: next(scores), **settings)
    for best in (0.7, 0.6):
        assert model.fit(X, MULTICLASS).best_validation_score_ == best


def test_score_of_another_kind_is_no_measure_for_partial_fit() -> None:
    model = classifier(early_stopping=True)
    for scoring in (None, "loss"):
        model.set_params(scoring=scoring)
        model.partial_fit(X, MULTICLASS, classes=[0, 1, 2], **given(MULTICLASS_VAL))
    assert model.best_validation_score_ == model.validation_scores_[-1] < 0


# --------------------------------------------------------------------- stratified split


def test_stratified_split_has_each_class_in_proportion() -> None:
    y = np.repeat([0, 1, 2], [90, 20, 10])
    seen = []

    def scorer(model: Any, X: Any, y: Any) -> float:
        seen.append(np.bincount(y, minlength=3))
        return 0.0

    for stratify in (False, True):
        settings = {"early_stopping": True, "scoring": scorer, "max_iter": 1}
        classifier(**settings, validation_stratify=stratify).fit(X, y)
    assert list(seen[1]) == [9, 2, 1]
    assert list(seen[0]) != [9, 2, 1]


def test_stratified_split_of_a_binary_target_is_the_usual_one() -> None:
    y, _ = TARGETS["binary"]
    models = [
        classifier(early_stopping=True, validation_stratify=stratify).fit(X, y)
        for stratify in (False, True)
    ]
    assert_same_weights(*models)


def test_several_labels_cannot_be_stratified() -> None:
    model = classifier(early_stopping=True, validation_stratify=True)
    with pytest.raises(ValueError, match="with several labels it must be False"):
        model.fit(X, TARGETS["multilabel"][0])
    assert set(vars(model)) == set(model.get_params())


# ---------------------------------------------------------------------------- max_time


def test_training_stops_after_the_epoch_in_which_the_time_is_over(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = iter(range(1000))  # each look at the clock takes a second
    monkeypatch.setattr("fastbp._hooks.perf_counter", lambda: next(clock))
    model = classifier(max_time=4.5, verbose=True, max_iter=100).fit(X, MULTICLASS)
    assert model.n_iter_ == 5
    assert_same_weights(model, classifier(max_iter=5).fit(X, MULTICLASS))
    out = capsys.readouterr().out
    assert out.endswith("max_time=4.5 seconds are over. Stopping.\n")


def test_time_that_is_not_over_changes_nothing() -> None:
    limited = classifier(max_time=1e9).fit(X, MULTICLASS)
    assert_same_weights(limited, classifier().fit(X, MULTICLASS))


@pytest.mark.parametrize("settings", [{"early_stopping": True}, {"restore_best": True}])
def test_score_that_is_not_defined_is_refused(settings: dict[str, Any]) -> None:
    model = MLPRegressor(max_iter=3, random_state=0, **settings)
    message = "score of the validation set, of 1 samples, is not defined"
    with pytest.warns(match="R.2 score is not well-defined"):
        with pytest.raises(ValueError, match=message):
            model.fit(X, SCORES[:, 0], X_val=X[:1], y_val=SCORES[:1, 0])
    assert not hasattr(model, "coefs_")


def test_labels_of_the_validation_set_must_be_those_of_the_model() -> None:
    labels = (SCORES > 0).astype(int)
    model = classifier(early_stopping=True, max_iter=2)
    with pytest.raises(ValueError, match=r"X_val.* y must have a column for each"):
        model.fit(X, labels, X_val=X, y_val=labels[:, 0])


def test_scorers_cannot_disturb_the_training() -> None:
    def harmful(estimator: Any, X: Any, y: Any) -> float:
        if hasattr(estimator.random_state, "rand"):
            estimator.random_state.rand()
        estimator.classes_[:] = 7
        estimator._kept_rows[:] = 0
        estimator.coefs_[0][:] = 0
        return 0.5

    def harmless(estimator: Any, X: Any, y: Any) -> float:
        return 0.5

    y = SCORES.argmax(axis=1)
    first, second = (
        classifier(
            early_stopping=True,
            max_iter=4,
            scoring=scoring,
            random_state=np.random.RandomState(0),
        ).fit(X, y)
        for scoring in (harmful, harmless)
    )
    np.testing.assert_array_equal(first.coefs_[0], second.coefs_[0])
    np.testing.assert_array_equal(first.classes_, [0, 1, 2])
    np.testing.assert_array_equal(
        first.feature_importances_, second.feature_importances_
    )


def test_scorer_cannot_write_into_the_data() -> None:
    def scoring(model: Any, X: Any, y: Any) -> float:
        y[:] = 0
        return 1.0

    y_val = np.ones(10)
    with pytest.raises(ValueError, match="read-only"):
        MLPRegressor(hidden_layer_sizes=(3,), scoring=scoring, early_stopping=True).fit(
            X, X[:, 0], X_val=X[:10], y_val=y_val
        )
    assert (y_val == 1).all()


@pytest.mark.parametrize("given", [True, False])
def test_single_class_is_always_predicted_right(given: bool) -> None:
    validation = {"X_val": X[:20], "y_val": np.zeros(20, int)} if given else {}
    model = MLPClassifier(
        hidden_layer_sizes=(5,),
        solver="sgd",
        early_stopping=True,
        n_iter_no_change=2,
        max_iter=12,
        random_state=3,
    )
    model.fit(X, np.zeros(len(X), int), **validation)
    assert model.validation_scores_ == [1.0] * 4
