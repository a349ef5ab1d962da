"""partial_fit: one epoch a call, over rows that need not be seen again."""

import inspect
from numbers import Real
from typing import Any

import numpy as np
import pytest
import scipy.sparse
import sklearn
from sklearn.utils._param_validation import Interval

from fastbp import MLPClassifier, MLPRegressor
from fastbp.callbacks import CSVLogger
from fastbp.optimizers import SGD, AdamW

rng = np.random.RandomState(1)
X = rng.standard_normal((200, 6))
SCORES = X @ rng.standard_normal((6, 3))
MULTICLASS = SCORES.argmax(axis=1)
MULTILABEL = (SCORES > 0).astype(int)

each_solver = pytest.mark.parametrize(
    "solver", ["adam", "adamw", "nadam", "rmsprop", "adagrad", "lion", "sgd"]
)


def classifier(**settings: Any) -> MLPClassifier:
    return MLPClassifier(
        **{
            "hidden_layer_sizes": (10,),
            "batch_size": 32,
            "random_state": 0,
            "learning_rate_init": 0.01,
            **settings,
        }
    )


def regressor(**settings: Any) -> MLPRegressor:
    shared = MLPRegressor().get_params().keys() & classifier().get_params().keys()
    shared -= {"loss"}
    of_classifier = classifier().get_params()
    return MLPRegressor(**{**{k: of_classifier[k] for k in shared}, **settings})


def assert_same_weights(first: Any, second: Any) -> None:
    for a, b in zip(
        first.coefs_ + first.intercepts_,
        second.coefs_ + second.intercepts_,
        strict=True,
    ):
        np.testing.assert_array_equal(a, b)


@each_solver
def test_each_call_is_one_epoch(solver: str) -> None:
    model = classifier(solver=solver)
    for call in range(1, 4):
        model.partial_fit(X[:150], MULTICLASS[:150], classes=[0, 1, 2])
        assert model.n_iter_ == 1
        assert model.t_ == 150 * call
        assert len(model.loss_curve_) == call
        assert model.loss_ == model.loss_curve_[-1]


@each_solver
def test_calls_continue_as_epochs_of_a_fit_do(solver: str) -> None:
    whole = classifier(solver=solver, max_iter=5).fit(X, MULTICLASS)
    parts = classifier(solver=solver)
    for _ in range(5):
        parts.partial_fit(X, MULTICLASS, classes=[0, 1, 2])
    assert_same_weights(whole, parts)
    assert parts.loss_curve_ == whole.loss_curve_
    assert parts.best_loss_ == whole.best_loss_


def test_regressor_calls_continue_as_epochs_of_a_fit_do() -> None:
    whole = regressor(max_iter=4).fit(X, SCORES)
    parts = regressor()
    for _ in range(4):
        parts.partial_fit(X, SCORES)
    assert_same_weights(whole, parts)


@each_solver
def test_integer_seed_gives_the_same_sequence_again(solver: str) -> None:
    models = [classifier(solver=solver) for _ in range(2)]
    for model in models:
        for _ in range(3):
            model.partial_fit(X, MULTICLASS, classes=[0, 1, 2])
    assert_same_weights(*models)


@each_solver
def test_partial_fit_after_fit_goes_on(solver: str) -> None:
    settings = {"solver": solver, "shuffle": False}
    model = classifier(**settings, max_iter=3).fit(X, MULTICLASS)
    model.partial_fit(X, MULTICLASS)
    whole = classifier(**settings, max_iter=4).fit(X, MULTICLASS)
    assert_same_weights(model, whole)
    assert model.loss_curve_ == whole.loss_curve_


def test_fit_after_partial_fit_starts_afresh() -> None:
    model = classifier(max_iter=3).partial_fit(X, MULTICLASS, classes=[0, 1, 2, 3])
    model.fit(X, MULTICLASS)
    assert_same_weights(model, classifier(max_iter=3).fit(X, MULTICLASS))
    assert len(model.loss_curve_) == 3


def test_stream_of_chunks_is_learned() -> None:
    model = classifier(learning_rate_init=0.03)
    for _ in range(40):
        for start in range(0, 160, 40):
            rows = slice(start, start + 40)
            model.partial_fit(X[rows], MULTICLASS[rows], classes=[0, 1, 2])
    assert model.score(X[160:], MULTICLASS[160:]) > 0.85


def test_classes_may_come_unsorted_and_are_needed_once() -> None:
    model = classifier().partial_fit(X, MULTICLASS, classes=[2, 0, 1])
    model.partial_fit(X, MULTICLASS)
    assert list(model.classes_) == [0, 1, 2]
    other = classifier()
    for _ in range(2):
        other.partial_fit(X, MULTICLASS, classes=np.array([0, 1, 2]))
    assert_same_weights(model, other)


def test_class_that_never_comes_gets_a_probability() -> None:
    model = classifier().partial_fit(X, MULTICLASS, classes=[0, 1, 2, 9])
    assert model.predict_proba(X).shape == (200, 4)
    assert list(model.classes_) == [0, 1, 2, 9]


def test_chunk_of_a_single_class_is_learned() -> None:
    model = classifier()
    for label in ("cat", "dog"):
        y = np.full(50, label)
        model.partial_fit(X[:50], y, classes=["cat", "dog"])
    assert model.predict_proba(X).shape == (200, 2)
    assert model.loss_curve_[0] != model.loss_curve_[1]


def test_multilabel_is_learned() -> None:
    model = classifier(learning_rate_init=0.05)
    for _ in range(30):
        model.partial_fit(X, MULTILABEL, classes=[0, 1, 2])
    assert model.score(X, MULTILABEL) > 0.8
    assert model.predict(X).shape == MULTILABEL.shape


def test_zero_weight_leaves_a_row_out() -> None:
    weight = np.ones(200)
    weight[150:] = 0.0
    settings = {"shuffle": False, "batch_size": 50}
    weighted = regressor(**settings).partial_fit(X, SCORES, sample_weight=weight)
    left_out = regressor(**settings).partial_fit(X[:150], SCORES[:150])
    assert_same_weights(weighted, left_out)


@pytest.mark.parametrize("convert", [scipy.sparse.csr_array, scipy.sparse.csc_matrix])
def test_sparse_rows_train_as_dense_ones_do(convert: Any) -> None:
    thin = np.where(np.abs(X) > 0.7, X, 0.0)
    dense, sparse = regressor(), regressor()
    for _ in range(3):
        dense.partial_fit(thin, SCORES)
        sparse.partial_fit(convert(thin), SCORES)
    np.testing.assert_allclose(
        dense.predict(thin), sparse.predict(convert(thin)), rtol=1e-10
    )


@pytest.mark.parametrize(
    ("dtype", "second"), [("auto", np.float32), ("float32", np.float64)]
)
def test_type_of_the_weights_stays(dtype: str, second: type) -> None:
    model = regressor(dtype=dtype).partial_fit(X.astype(np.float32), SCORES)
    model.partial_fit(X.astype(second), SCORES)
    assert {W.dtype for W in model.coefs_} == {np.dtype(np.float32)}


@each_solver
def test_early_stopping_is_refused(solver: str) -> None:
    model = regressor(solver=solver, early_stopping=True)
    with pytest.raises(ValueError, match="partial_fit does not support early_stopping"):
        model.partial_fit(X, SCORES)
    assert not hasattr(model, "coefs_")


@pytest.mark.parametrize("estimator", [MLPClassifier, MLPRegressor])
def test_lbfgs_has_no_partial_fit(estimator: Any) -> None:
    model = estimator(solver="lbfgs")
    assert not hasattr(model, "partial_fit")
    assert hasattr(model.set_params(solver="sgd"), "partial_fit")


def test_learning_rate_may_be_changed_between_calls() -> None:
    model = regressor(solver="sgd", momentum=0.0, shuffle=False)
    model.partial_fit(X, SCORES)
    before = [W.copy() for W in model.coefs_]
    model._optimizer.learning_rate = 1e-100
    model.partial_fit(X, SCORES)
    np.testing.assert_allclose(model.coefs_[0], before[0], rtol=1e-12)


def test_invscaling_goes_on_from_call_to_call() -> None:
    settings = {"solver": "sgd", "learning_rate": "invscaling"}
    model = regressor(**settings)
    for call in range(1, 4):
        model.partial_fit(X, SCORES)
        expected = 0.01 / np.sqrt(200 * call + 1)
        assert model._optimizer.learning_rate == pytest.approx(expected)


def test_weights_set_from_outside_are_used() -> None:
    model = regressor(learning_rate_init=1e-100).partial_fit(X, SCORES)
    model.coefs_ = [np.ones_like(W) for W in model.coefs_]
    model.intercepts_ = [np.zeros_like(b) for b in model.intercepts_]
    model.partial_fit(X, SCORES)
    np.testing.assert_allclose(model.coefs_[0], 1.0)
    expected = np.maximum(X.sum(axis=1), 0) * 10
    np.testing.assert_allclose(model.predict(X)[:, 0], expected, atol=1e-12)


def test_object_set_between_calls_brings_its_rate() -> None:
    model = regressor(
        learning_rate_init=0.001, solver=SGD(0.1, momentum=0.5)
    ).partial_fit(X, SCORES)
    before = [W.copy() for W in model.coefs_]
    model.set_params(solver=SGD(1e-300, momentum=0.0)).partial_fit(X, SCORES)
    for ours, former in zip(model.coefs_, before, strict=True):
        np.testing.assert_array_equal(ours, former)


def test_equal_object_goes_on() -> None:
    whole = regressor(
        learning_rate_init=0.001, solver=SGD(0.1, momentum=0.5), max_iter=2
    ).fit(X, SCORES)
    parts = regressor(
        learning_rate_init=0.001, solver=SGD(0.1, momentum=0.5)
    ).partial_fit(X, SCORES)
    parts.set_params(solver=SGD(0.1, momentum=0.5)).partial_fit(X, SCORES)
    assert_same_weights(whole, parts)


def test_weight_decay_may_be_changed_between_calls() -> None:
    model = regressor(solver="adamw").partial_fit(X, SCORES)
    model.set_params(weight_decay=0.5, beta_1=0.1).partial_fit(X, SCORES)
    other = regressor(learning_rate_init=0.001, solver=AdamW(0.01)).partial_fit(
        X, SCORES
    )
    other.set_params(solver=AdamW(0.01, weight_decay=0.5)).partial_fit(X, SCORES)
    assert_same_weights(model, other)


def test_log_that_would_begin_anew_is_refused(tmp_path: Any) -> None:
    path = tmp_path / "log.csv"
    model = regressor(callbacks=[CSVLogger(path)])
    with pytest.raises(ValueError, match="append must be True"):
        model.partial_fit(X, SCORES)
    model.set_params(callbacks=[CSVLogger(path, append=True)])
    for _ in range(3):
        model.partial_fit(X, SCORES)
    assert len(path.read_text().splitlines()) == 4


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ({"alpha": 0.5}, {"alpha": -0.5}),
        ({"max_iter": 1}, {"max_iter": 1.0}),
        ({"shuffle": True}, {"shuffle": 1}),
        ({"batch_size": 7}, {"batch_size": np.float64(7)}),
        ({"hidden_layer_sizes": (1,)}, {"hidden_layer_sizes": (True, 1.5)}),
        ({"activation": ["tanh"]}, {"activation": {"tanh"}}),
        ({"random_state": np.random.RandomState(0)}, {"random_state": object()}),
    ],
)
def test_parameters_are_checked_in_every_call(
    right: dict[str, Any], wrong: dict[str, Any]
) -> None:
    (name,) = right
    model = classifier(**right).partial_fit(X, MULTICLASS, classes=[0, 1, 2])
    for _ in range(2):
        with pytest.raises(ValueError, match=name):
            model.set_params(**wrong).partial_fit(X, MULTICLASS)
        with pytest.raises(ValueError, match=name):
            sklearn.clone(model).fit(X, MULTICLASS)
        model.set_params(**right).partial_fit(X, MULTICLASS)


def test_the_first_of_several_wrong_parameters_is_named() -> None:
    model = classifier(learning_rate="bad", hidden_layer_sizes=object())
    with pytest.raises(ValueError, match="'hidden_layer_sizes' parameter"):
        model.fit(X, MULTICLASS)


def test_constraints_of_one_object_count() -> None:
    model = classifier().fit(X, MULTICLASS)
    stricter = {"alpha": [Interval(Real, 0.5, None, closed="left")]}
    model._parameter_constraints = {**model._parameter_constraints, **stricter}
    with pytest.raises(ValueError, match="'alpha' parameter"):
        model.fit(X, MULTICLASS)


def test_names_of_parameters_may_be_changed_by_who_asks() -> None:
    MLPClassifier._get_param_names().clear()
    assert "alpha" in MLPClassifier().get_params()


def test_names_of_parameters_are_those_of_each_class() -> None:
    class Fewer(MLPClassifier):
        def __init__(self, alpha: float = 0.5) -> None:
            super().__init__(alpha=alpha)

    assert Fewer().get_params() == {"alpha": 0.5}
    assert set(MLPClassifier().get_params()) == set(
        inspect.signature(MLPClassifier).parameters
    )
    assert set(MLPRegressor().get_params()) == set(
        inspect.signature(MLPRegressor).parameters
    )


def test_parameters_that_were_not_checked_are_not_taken_as_checked() -> None:
    model = classifier(alpha=-1.0)
    with sklearn.config_context(skip_parameter_validation=True):
        model.partial_fit(X, MULTICLASS, classes=[0, 1, 2]).partial_fit(X, MULTICLASS)
    with pytest.raises(ValueError, match="The 'alpha' parameter"):
        model.partial_fit(X, MULTICLASS)


def test_activation_that_fit_refuses_is_refused() -> None:
    binary = MULTICLASS == 0
    model = classifier(loss="focal", max_iter=3).fit(X, binary)
    before = model.predict_proba(X)
    with pytest.raises(ValueError, match="The 'output_activation' parameter"):
        model.set_params(output_activation="softmax").partial_fit(X, binary)
    np.testing.assert_array_equal(model.predict_proba(X), before)
