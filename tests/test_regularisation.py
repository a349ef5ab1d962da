"""dropout, input_dropout and normalization of the estimators."""

import copy
import pickle
import warnings
from typing import Any

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import clone

from fastbp import MLPClassifier, MLPRegressor, _core

X = np.random.default_rng(0).standard_normal((203, 12))
Y = (X[:, :6].reshape(-1, 3, 2).sum(axis=2)).argmax(axis=1)

EVERYTHING = {"dropout": (0.3, 0.1), "input_dropout": 0.1, "normalization": "batch"}
SETTINGS: list[dict[str, Any]] = [
    {"dropout": 0.3},
    {"normalization": "layer"},
    {"normalization": "batch"},
    EVERYTHING,
]
each_setting = pytest.mark.parametrize("setting", SETTINGS)


def classifier(**settings: Any) -> MLPClassifier:
    return MLPClassifier(
        **{
            "hidden_layer_sizes": (20, 15),
            "batch_size": 32,
            "max_iter": 4,
            "learning_rate_init": 0.01,
            "random_state": 0,
            "n_iter_no_change": np.inf,
            **settings,
        }
    )


def bits(model: Any) -> bytes:
    """All that a prediction depends on."""
    norms = [a for norm in getattr(model, "norms_", []) for a in norm.values()]
    return b"".join(a.tobytes() for a in [*model.coefs_, *model.intercepts_, *norms])


pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer")


# What is fitted.


@pytest.mark.parametrize("zero", [0, 0.0, [0.0, 0.0], (0, 0)])
def test_neutral_values_change_no_bit(zero: Any) -> None:
    plain = classifier().fit(X, Y)
    neutral = classifier(dropout=zero, input_dropout=0, normalization=None).fit(X, Y)
    assert bits(neutral) == bits(plain)
    assert not hasattr(neutral, "norms_")
    ours, theirs = (m._random_state.get_state()[1:3] for m in (neutral, plain))
    assert ours[1] == theirs[1]
    np.testing.assert_array_equal(ours[0], theirs[0])


@each_setting
def test_setting_changes_the_model_and_repeats(setting: dict[str, Any]) -> None:
    model = classifier(**setting).fit(X, Y)
    assert bits(model) != bits(classifier().fit(X, Y))
    assert bits(model) == bits(classifier(**setting).fit(X, Y))


@each_setting
def test_number_of_threads_changes_no_bit(setting: dict[str, Any]) -> None:
    settings = {**setting, "hidden_layer_sizes": (200, 150), "batch_size": 203}
    models = [classifier(**settings, n_jobs=n).fit(X, Y) for n in (1, 2, 3)]
    output = models[0]._core_output()
    network = models[0]._network(np.dtype(np.float64), output, training=True)
    assert _core.threads_for(network, 203, 3) == 3
    assert len({bits(model) for model in models}) == 1


def test_one_rate_stands_for_all_layers() -> None:
    one, each = (classifier(dropout=d).fit(X, Y) for d in (0.25, [0.25, 0.25]))
    assert bits(one) == bits(each)
    assert bits(one) != bits(classifier(dropout=[0.25, 0.0]).fit(X, Y))


@pytest.mark.parametrize(
    ("normalization", "names"),
    [("layer", ["gain", "bias"]), ("batch", ["gain", "bias", "mean", "variance"])],
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_norms_are_arrays_of_each_hidden_layer(
    normalization: str, names: list[str], dtype: Any
) -> None:
    model = classifier(normalization=normalization).fit(X.astype(dtype), Y)
    assert [list(norm) for norm in model.norms_] == [names] * 2
    for n, norm in zip((20, 15), model.norms_, strict=True):
        for array in norm.values():
            assert array.shape == (n,)
            assert array.dtype == dtype
    refitted = model.set_params(normalization=None).fit(X, Y)
    assert not hasattr(refitted, "norms_")


def test_prediction_is_the_formula() -> None:
    model = classifier(**EVERYTHING, activation="tanh").fit(X, Y)
    h = X
    for W, b, norm in zip(model.coefs_, model.intercepts_, model.norms_, strict=False):
        z = (h @ W + b - norm["mean"]) / np.sqrt(norm["variance"] + 1e-5)
        h = np.tanh(norm["gain"] * z + norm["bias"])
    scores = np.exp(h @ model.coefs_[-1] + model.intercepts_[-1])
    expected = scores / scores.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(model.predict_proba(X), expected, rtol=1e-11)
    np.testing.assert_allclose(model.predict_proba(X[:3]), expected[:3], rtol=1e-11)


def test_model_keeps_the_normalization_of_its_fit() -> None:
    model = classifier(normalization="layer").fit(X, Y)
    expected = model.predict_proba(X)
    model.set_params(normalization="batch", dropout=0.5)
    np.testing.assert_array_equal(model.predict_proba(X), expected)


@pytest.mark.parametrize("form", [sparse.csr_array, sparse.csc_array])
def test_sparse_inputs_train_as_dense_ones(form: Any) -> None:
    zeros = np.where(X > 0, X, 0)
    setting = {**EVERYTHING, "max_iter": 2}
    if form is sparse.csc_array:  # an epoch in pieces, with the same batches
        setting["shuffle"] = False
    dense = classifier(**setting).fit(zeros, Y)
    assert bits(classifier(**setting).fit(form(zeros), Y)) == bits(dense)


@each_setting
def test_regressor_learns(setting: dict[str, Any]) -> None:
    t = np.linspace(-1, 1, 400)[:, np.newaxis]
    if setting.get("dropout"):
        setting = {**setting, "dropout": 0.05, "input_dropout": 0.0}
    model = MLPRegressor(
        hidden_layer_sizes=(50, 50), max_iter=200, random_state=0, **setting
    )
    assert model.fit(t, np.sin(3 * t[:, 0])).score(t, np.sin(3 * t[:, 0])) > 0.95


# Going on.


@each_setting
def test_partial_fit_equals_the_epochs_of_one_fit(setting: dict[str, Any]) -> None:
    whole = classifier(**setting).fit(X, Y)
    parts = classifier(**setting)
    for _ in range(whole.n_iter_):
        parts.partial_fit(X, Y, classes=[0, 1, 2])
    assert bits(parts) == bits(whole)


@each_setting
def test_pickle_goes_on_where_the_model_was(setting: dict[str, Any]) -> None:
    model = classifier(**setting).partial_fit(X, Y, classes=[0, 1, 2])
    other = pickle.loads(pickle.dumps(model))
    assert bits(other) == bits(model)
    np.testing.assert_array_equal(other.predict_proba(X), model.predict_proba(X))
    for each in (model, other):
        each.partial_fit(X, Y)
    assert bits(other) == bits(model)


@each_setting
def test_warm_start_goes_on_from_the_weights_and_averages(
    setting: dict[str, Any],
) -> None:
    model = classifier(**setting, warm_start=True, max_iter=2).fit(X, Y)
    before = bits(model)
    copied = copy.deepcopy(model)
    assert bits(model.fit(X, Y)) == bits(copied.fit(X, Y)) != before


@each_setting
def test_clone_and_parameters_survive(setting: dict[str, Any]) -> None:
    model = clone(classifier(**setting))
    for name, value in setting.items():
        assert model.get_params()[name] == value
    assert bits(model.fit(X, Y)) == bits(classifier(**setting).fit(X, Y))


@each_setting
def test_ctrl_c_keeps_the_last_complete_epoch(setting: dict[str, Any]) -> None:
    def press(estimator: Any, record: Any) -> None:
        if record.epoch == 3:
            raise KeyboardInterrupt

    model = classifier(**setting, max_iter=9, callbacks=[press])
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, Y)
    assert model.n_iter_ == 3
    assert bits(model) == bits(classifier(**setting, max_iter=3).fit(X, Y))


@each_setting
def test_failed_fit_changes_nothing(setting: dict[str, Any]) -> None:
    def fail(estimator: Any, record: Any) -> None:
        raise RuntimeError

    model = classifier(**setting, warm_start=True).fit(X, Y)
    before = pickle.dumps(model.__dict__)
    model.callbacks = [fail]
    with pytest.raises(RuntimeError):
        model.fit(X, Y)
    model.callbacks = None
    assert pickle.dumps(model.__dict__) == before


@each_setting
def test_best_weights_come_with_their_averages(setting: dict[str, Any]) -> None:
    settings = {**setting, "early_stopping": True}
    model = classifier(**settings, max_iter=8).fit(X, Y)
    best = int(np.argmax(model.validation_scores_)) + 1
    assert best < 8
    assert bits(model) == bits(classifier(**settings, max_iter=best).fit(X, Y))


def test_changed_normalization_is_refused_for_a_model_that_goes_on() -> None:
    model = classifier().partial_fit(X, Y, classes=[0, 1, 2])
    before = bits(model)
    model.set_params(normalization="batch")
    with pytest.raises(ValueError, match="cannot continue training with norm"):
        model.partial_fit(X, Y)
    assert bits(model) == before


def test_dropout_may_begin_while_a_model_goes_on() -> None:
    model = classifier().partial_fit(X, Y, classes=[0, 1, 2])
    model.set_params(dropout=0.5).partial_fit(X, Y)
    assert model.t_ == 2 * len(X)


# L-BFGS.


def test_lbfgs_trains_gains_and_biases() -> None:
    settings = {"solver": "lbfgs", "activation": "tanh", "max_iter": 300, "alpha": 0.1}
    model = classifier(**settings, normalization="layer").fit(X, Y)
    assert model.score(X, Y) > 0.95
    assert np.ptp(model.norms_[0]["gain"]) > 0
    loss = -np.log(model.predict_proba(X)[np.arange(len(X)), Y]).mean()
    penalty = 0.05 * sum((W**2).sum() for W in model.coefs_) / len(X)
    assert model.loss_ == pytest.approx(loss + penalty, rel=1e-6)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"dropout": 0.5}, "dropout=0.5 needs a solver of sgd, adam"),
        ({"dropout": [0, 0.5]}, "dropout=.* needs a solver of sgd, adam"),
        ({"input_dropout": 0.5}, "input_dropout=0.5 needs a solver of sgd, adam"),
        ({"normalization": "batch"}, "normalization='batch' needs a solver of sgd"),
    ],
)
def test_lbfgs_refuses_what_needs_batches(
    setting: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        classifier(solver="lbfgs", **setting).fit(X, Y)


# What is refused.


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"dropout": 1.0}, "'dropout' parameter"),
        ({"dropout": -0.1}, "'dropout' parameter"),
        ({"dropout": "0.5"}, "'dropout' parameter"),
        ({"dropout": [0.5]}, "one for each of the 2 hidden layers, got 1"),
        (
            {"dropout": [0.5, 1.0]},
            r"dropout\[1\] .* in \[0, 1\), got 1.0",
        ),
        (
            {"dropout": [0.5, "a"]},
            r"dropout\[1\] .* in \[0, 1\), got 'a'",
        ),
        (
            {"dropout": [np.nan, 0.5]},
            r"dropout\[0\] .* in \[0, 1\), got nan",
        ),
        ({"input_dropout": 1}, "'input_dropout' parameter"),
        ({"input_dropout": [0.1]}, "'input_dropout' parameter"),
        ({"normalization": "group"}, "'normalization' parameter"),
        (
            {"normalization": "batch", "batch_size": 1},
            "normalization='batch' needs batch_size > 1",
        ),
    ],
)
def test_bad_values_are_refused_by_name(setting: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        classifier(**setting).fit(X, Y)


# ------------------------------------------------------------------ after the fit


def regularised(normalization: str) -> MLPClassifier:
    settings = {**EVERYTHING, "normalization": normalization, "activation": "tanh"}
    return classifier(**settings).fit(X, Y)


@pytest.mark.parametrize("normalization", ["layer", "batch"])
def test_features_lead_to_the_logits(normalization: str) -> None:
    model = regularised(normalization)
    logits = model.transform(X) @ model.coefs_[-1] + model.intercepts_[-1]
    np.testing.assert_allclose(logits, model.decision_function(X), atol=1e-9)


@pytest.mark.parametrize("normalization", ["layer", "batch"])
def test_gradients_of_inputs_are_differences_of_predictions(normalization: str) -> None:
    model = regularised(normalization)
    step = np.zeros_like(X)
    step[:, 7] = 1e-5
    difference = model.decision_function(X + step) - model.decision_function(X - step)
    gradient = model.input_gradient(X)[:, :, 7]
    np.testing.assert_allclose(gradient, difference / 2e-5, rtol=1e-6, atol=1e-8)


# ------------------------------------------------------------- batch normalization


def test_equal_weights_of_entries_change_nothing_of_batch_normalization() -> None:
    targets = X[:, :2] - X[:, 2:4]

    def fitted(weights: Any) -> MLPRegressor:
        model = MLPRegressor(
            hidden_layer_sizes=(7,), normalization="batch", alpha=0.0, random_state=0
        )
        return model.set_params(max_iter=3).fit(X, targets, sample_weight=weights)

    plain, weighted = fitted(None), fitted(np.full(targets.shape, 4.0))
    for name, expected in plain.norms_[0].items():
        np.testing.assert_allclose(weighted.norms_[0][name], expected, rtol=1e-9)
    np.testing.assert_allclose(weighted.loss_, plain.loss_, rtol=1e-9)


def test_batch_of_one_row_says_nothing_of_the_variance() -> None:
    # Steps of no size; the last row, alone in its batch, must not count.
    settings = {"solver": "sgd", "learning_rate_init": 1e-300, "shuffle": False}
    settings |= {"normalization": "batch", "batch_size": 29, "tol": 0.0}
    with_last = classifier(**settings).fit(X, Y)
    assert len(X) % 29 == 0
    one_more = np.vstack([X, X[:1]]), np.append(Y, Y[0])
    alone = classifier(**settings).fit(*one_more)
    for expected, found in zip(with_last.norms_, alone.norms_, strict=True):
        for name in ("mean", "variance"):
            np.testing.assert_array_equal(found[name], expected[name])


@pytest.mark.parametrize(
    "settings",
    [{"dropout": [0.1]}, {"dropout": None}, {"dropout": "a"}, {"input_dropout": "x"}],
    ids=str,
)
def test_predictions_do_not_depend_on_the_parameters_of_dropout(settings: Any) -> None:
    X = np.random.default_rng(0).normal(size=(60, 4))
    model = MLPRegressor(hidden_layer_sizes=(5, 5), dropout=0.2, max_iter=3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(X, X[:, 0])
    many = np.tile(X, (20, 1))
    expected = model.predict(X), model.predict(many), model.transform(X)
    model.set_params(**settings)
    results = model.predict(X), model.predict(many), model.transform(X)
    for got, wanted in zip(results, expected, strict=True):
        np.testing.assert_array_equal(got, wanted)


@pytest.mark.parametrize("n_rows", [2, 2000])
@pytest.mark.parametrize("estimator", [MLPClassifier, MLPRegressor])
def test_predictions_that_overflow_are_refused(estimator: Any, n_rows: int) -> None:
    X = np.random.default_rng(0).normal(size=(60, 4))
    model = estimator(hidden_layer_sizes=(8,), dtype="float32", random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.set_params(max_iter=5).fit(X, (X[:, 0] > 0).astype(int))
    rows = np.tile(X[:2], (n_rows // 2, 1))
    rows[1] *= 1e39
    with pytest.raises(ValueError, match=r"prediction of X\[1\] is NaN.* float32"):
        model.predict(rows)
    with pytest.raises(ValueError, match=r"prediction of X\[1\] is NaN.* float32"):
        model.transform(rows)


def test_large_predictions_that_are_numbers_are_no_reason_to_warn() -> None:
    model = MLPRegressor(hidden_layer_sizes=(), dtype="float32", max_iter=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(np.eye(2), [[0.0, 1.0], [1.0, 0.0]])
    model.coefs_ = [np.full((2, 2), 3e38, np.float32)]
    model.intercepts_ = [np.zeros(2, np.float32)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        outputs = model.predict(np.tile(np.eye(2, dtype=np.float32), (10, 1)))
    assert (outputs == np.float32(3e38)).all()


def test_norms_that_are_none_are_refused_by_name() -> None:
    X = np.random.default_rng(0).normal(size=(60, 4))
    model = MLPRegressor(hidden_layer_sizes=(5,), normalization="layer", max_iter=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(X, X[:, 0])
    gain = model.norms_[0]["gain"]
    for norms, said in (
        (5, "norms_ must be a list of dicts of arrays, got 5"),
        (np.array([]), r"norms_ must be a list of dicts of arrays, got array\(\[\]"),
        ([5], r"norms_ must be a list of dicts of arrays, got \[5\]"),
        ([{"gain": gain}], r"norms_\[0\] must have an array .* as 'bias'"),
        ([{"gain": gain + 1j, "bias": gain}], r"norms_\[0\] must have .* as 'gain'"),
    ):
        model.norms_ = norms
        for call in (lambda: model.predict(X), lambda: model.partial_fit(X, X[:, 0])):
            with pytest.raises(ValueError, match=said):
                call()


@pytest.mark.parametrize("estimator", [MLPClassifier, MLPRegressor])
def test_weights_whose_sum_overflows_are_refused(estimator: Any) -> None:
    X = np.random.default_rng(0).normal(size=(60, 4))
    y = (X[:, 0] > 0).astype(int)
    with pytest.raises(ValueError, match="sum of the weights must be finite, got inf"):
        estimator(max_iter=1).fit(X, y, sample_weight=np.full(60, 1e308))
