"""MLPClassifier: constructor, outputs, attributes, types, labels, what it prints."""

import inspect
import pickle
from typing import Any

import numpy as np
import pandas as pd
import pytest
import sklearn.neural_network
from scipy.special import ndtr
from sklearn.base import clone, is_classifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import accuracy_score
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils import get_tags
from sklearn.utils._param_validation import InvalidParameterError

import fastbp
from fastbp import MLPClassifier
from fastbp._classifier import _fitted_binarizer

rng = np.random.RandomState(0)
X = rng.standard_normal((90, 6))
SCORES = X @ rng.standard_normal((6, 3))
BINARY = SCORES[:, 0] > 0
MULTICLASS = SCORES.argmax(axis=1)
MULTILABEL = (SCORES > 0).astype(int)
TARGETS = {"binary": BINARY, "multiclass": MULTICLASS, "multilabel": MULTILABEL}

each_target = pytest.mark.parametrize("y", TARGETS.values(), ids=TARGETS)
each_solver = pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])


def classifier(**settings: Any) -> MLPClassifier:
    return MLPClassifier(
        **{
            "hidden_layer_sizes": (8, 5),
            "max_iter": 20,
            "random_state": 0,
            "learning_rate_init": 0.01,
            **settings,
        }
    )


def sigmoid(z: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-z))


def softmax(z: np.ndarray) -> np.ndarray:
    powers = np.exp(z - z.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


HIDDEN_ACTIVATIONS = {
    "identity": lambda z: z,
    "logistic": sigmoid,
    "tanh": np.tanh,
    "relu": lambda z: np.maximum(z, 0),
    "leaky_relu": lambda z: np.where(z > 0, z, 0.01 * z),
    "elu": lambda z: np.where(z > 0, z, np.expm1(z)),
    "selu": lambda z: (
        1.0507009873554805 * np.where(z > 0, z, 1.6732632423543773 * np.expm1(z))
    ),
    "hard_tanh": lambda z: z.clip(-1, 1),
    "gelu": lambda z: z * ndtr(z),
    "silu": lambda z: z * sigmoid(z),
    "mish": lambda z: z * np.tanh(np.log1p(np.exp(z))),
    "softplus": lambda z: np.log1p(np.exp(z)),
}


def logits(model: MLPClassifier, X: np.ndarray) -> np.ndarray:
    names = model.activation
    if isinstance(names, str):
        names = [names] * (model.n_layers_ - 2)
    for W, b, name in zip(
        model.coefs_[:-1], model.intercepts_[:-1], names, strict=True
    ):
        X = HIDDEN_ACTIVATIONS[name](X @ W + b)
    return X @ model.coefs_[-1] + model.intercepts_[-1]


# -------------------------------------------------------------------- constructor


def test_constructor_is_scikit_learns_plus_keywords() -> None:
    ours = list(inspect.signature(MLPClassifier).parameters.values())
    theirs = inspect.signature(sklearn.neural_network.MLPClassifier).parameters
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
        ("validation_stratify", inspect.Parameter.KEYWORD_ONLY, False),
        ("class_weight", inspect.Parameter.KEYWORD_ONLY, None),
        ("weight_init", inspect.Parameter.KEYWORD_ONLY, None),
        ("loss", inspect.Parameter.KEYWORD_ONLY, "log_loss"),
        ("output_activation", inspect.Parameter.KEYWORD_ONLY, None),
        ("label_smoothing", inspect.Parameter.KEYWORD_ONLY, 0.0),
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
        "predict_proba",
        "predict_log_proba",
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
        for estimator in (MLPClassifier, sklearn.neural_network.MLPClassifier)
    ]
    ours, theirs = ([(p.name, p.kind, p.default) for p in s] for s in signatures)
    of_validation = {"X_val", "y_val", "sample_weight_val"}
    new = [(name, kind) for name, kind, _ in ours if name in of_validation]
    assert [p for p in ours if p[0] not in of_validation] == theirs
    if method in ("fit", "partial_fit"):
        assert [name for name, _ in new] == ["X_val", "y_val", "sample_weight_val"]
    assert {kind for _, kind in new} <= {inspect.Parameter.KEYWORD_ONLY}


@pytest.mark.parametrize(
    "settings",
    [
        {"n_jobs": 1.0},
        {"n_jobs": "2"},
        {"dtype": "float16"},
        {"dtype": "single"},
        {"dtype": None},
        {"dtype": np.float32},
        {"activation": "sigmoid"},
        {"activation": None},
        {"activation": "swish"},
    ],
    ids=str,
)
def test_invalid_setting_is_refused(settings: dict[str, Any]) -> None:
    # Those that scikit-learn has too are compared with it in test_parity.py.
    (name,) = settings
    model = MLPClassifier(**settings)
    with pytest.raises(InvalidParameterError, match=f"The '{name}' parameter of MLPCl"):
        model.fit(X, BINARY)
    with pytest.raises(InvalidParameterError, match=f"The '{name}' parameter of MLPCl"):
        model.partial_fit(X, BINARY, classes=[False, True])


def test_n_jobs_of_zero_is_refused() -> None:
    with pytest.raises(ValueError, match="n_jobs"):
        MLPClassifier(n_jobs=0).fit(X, BINARY)


def test_loss_of_a_regressor_is_refused() -> None:
    with pytest.raises(InvalidParameterError, match="The 'loss' parameter of MLPClass"):
        MLPClassifier(loss="poisson").fit(X, BINARY)


@pytest.mark.parametrize(
    "settings",
    [
        {"alpha": 0},
        {"tol": 0.0},
        {"momentum": 0, "solver": "sgd"},
        {"momentum": 1.0, "solver": "sgd"},
        {"power_t": 0.0, "solver": "sgd", "learning_rate": "invscaling"},
        {"beta_1": 0.0, "beta_2": 0.0},
        {"n_iter_no_change": np.inf},
        {"n_iter_no_change": np.int64(2)},
        {"batch_size": np.int32(7)},
        {"max_iter": 1},
        {"verbose": 0},
        {"hidden_layer_sizes": np.array([3, 4])},
        {"hidden_layer_sizes": np.int64(3)},
        {"hidden_layer_sizes": [3]},
        {"random_state": np.random.RandomState(0)},
        {"random_state": np.int64(0)},
        {"activation": "leaky_relu"},
        {"dtype": "float32"},
        {"n_jobs": 2},
        {"n_jobs": -1},
        {"n_jobs": np.int64(1)},
    ],
    ids=lambda settings: str(settings).partition(" at 0x")[0],  # no address
)
def test_setting_at_the_edge_of_its_range_is_accepted(
    settings: dict[str, Any],
) -> None:
    model = classifier(**settings).fit(X, MULTICLASS)
    assert all(np.isfinite(W).all() for W in model.coefs_)


# ------------------------------------------------------------------------ outputs


@each_target
@pytest.mark.parametrize("activation", HIDDEN_ACTIVATIONS)
@pytest.mark.parametrize("hidden_layer_sizes", [(), (8,), (8, 5, 3)])
def test_probabilities_are_those_of_the_forward_formula(
    y: np.ndarray, activation: str, hidden_layer_sizes: tuple[int, ...]
) -> None:
    model = classifier(
        activation=activation, hidden_layer_sizes=hidden_layer_sizes
    ).fit(X, y)
    z = logits(model, X)
    if y is BINARY:
        expected = np.hstack([sigmoid(-z), sigmoid(z)])
    else:
        expected = softmax(z) if y is MULTICLASS else sigmoid(z)
    np.testing.assert_allclose(model.predict_proba(X), expected, rtol=1e-12)
    np.testing.assert_allclose(
        model.predict_log_proba(X), np.log(expected), rtol=1e-9, atol=1e-12
    )


@each_target
@each_solver
def test_predict_takes_the_most_probable_class(y: np.ndarray, solver: str) -> None:
    model = classifier(solver=solver).fit(X, y)
    proba = model.predict_proba(X)
    if y is MULTILABEL:
        expected = (proba > 0.5).astype(int)
    else:
        expected = model.classes_[proba.argmax(axis=1)]
    predicted = model.predict(X)
    np.testing.assert_array_equal(predicted, expected)
    assert predicted.shape == y.shape
    assert proba.shape == (len(X), 2 if y is BINARY else 3)


@each_target
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_row_alone_has_the_bits_of_the_row_among_others(
    y: np.ndarray, dtype: type
) -> None:
    model = classifier().fit(X.astype(dtype), y)
    rows = X.astype(dtype)
    alone = [model.predict_proba(row[None]) for row in rows]
    assert np.vstack(alone).tobytes() == model.predict_proba(rows).tobytes()


def test_weights_written_in_place_change_the_prediction_of_a_row() -> None:
    model = classifier().fit(X, MULTICLASS)
    before = model.predict_proba(X[:1])
    model.coefs_[0][:] = 0
    after = model.predict_proba(X[:1])
    assert not np.array_equal(before, after)
    np.testing.assert_array_equal(after, model.predict_proba(X)[:1])


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (np.full((1, 6), np.nan), "NaN"),
        (np.full((1, 6), np.inf), "infinity"),
        (np.zeros((1, 5)), "5 features"),
        (np.zeros((0, 6)), "0 sample"),
        (np.zeros(6), "1D array"),
    ],
)
def test_bad_row_is_refused(row: np.ndarray, message: str) -> None:
    model = classifier().fit(X, MULTICLASS)
    with pytest.raises(ValueError, match=message):
        model.predict_proba(row)


@pytest.mark.parametrize("coefs", [None, [], [None], ["a"], [np.ones(6)]])
def test_weights_that_are_none_are_refused_for_a_row_too(coefs: Any) -> None:
    model = classifier().fit(X, MULTICLASS)
    model.coefs_ = coefs
    for rows in (X[:1], X):
        with pytest.raises(ValueError, match="coefs_"):
            model.predict_proba(rows)


def test_row_without_feature_names_warns() -> None:
    model = classifier().fit(pd.DataFrame(X, columns=list("abcdef")), MULTICLASS)
    with pytest.warns(UserWarning, match="feature names"):
        model.predict_proba(X[:1])


@each_target
def test_training_learns_the_classes(y: np.ndarray) -> None:
    model = classifier(max_iter=300).fit(X, y)
    assert model.score(X, y) > 0.9


@each_target
def test_score_is_the_weighted_accuracy(y: np.ndarray) -> None:
    model = classifier(max_iter=3).fit(X, y)
    weight = np.random.RandomState(1).uniform(size=len(X))
    expected = accuracy_score(y, model.predict(X), sample_weight=weight)
    assert 0 < expected < 1
    assert model.score(X, y, weight) == pytest.approx(expected)
    assert model.score(X, y, sample_weight=weight) != model.score(X, y)


@pytest.mark.parametrize(
    "labels",
    [
        ["no", "maybe", "yes"],
        ["", " ", "ä"],
        [-5, 0, 10**12],
        [0.0, 1.0, 2.0],
        np.array([0, 1, 2], dtype=np.uint8),
        np.array(["a", "b", "c"], dtype=object),
        pd.Categorical(["low", "mid", "high"]),
    ],
    ids=str,
)
def test_labels_of_any_kind_come_back(labels: Any) -> None:
    y = np.asarray(labels)[MULTICLASS]
    model = classifier(max_iter=200).fit(X, y)
    np.testing.assert_array_equal(model.classes_, np.unique(y))
    predicted = model.predict(X)
    assert predicted.dtype == model.classes_.dtype
    assert np.mean(predicted == y) > 0.9


def test_string_labels_train_as_integers_do() -> None:
    as_numbers = classifier().fit(X, MULTICLASS)
    as_words = classifier().fit(X, np.array(["a", "b", "c"])[MULTICLASS])
    np.testing.assert_array_equal(as_numbers.coefs_[0], as_words.coefs_[0])


def test_leaky_relu_is_not_relu() -> None:
    leaky = classifier(activation="leaky_relu").fit(X, BINARY)
    plain = classifier(activation="relu").fit(X, BINARY)
    assert not np.allclose(leaky.coefs_[0], plain.coefs_[0])


# --------------------------------------------------------------- activations, a list


@pytest.mark.parametrize("gemm", ["builtin", "blas"])
@pytest.mark.parametrize("n_rows", [1, 90])  # few rows go another way
def test_each_layer_has_its_activation(n_rows: int, gemm: str) -> None:
    with fastbp.config_context(gemm=gemm):
        model = classifier(activation=["gelu", "softplus"]).fit(X, MULTICLASS)
        p = model.predict_proba(X[:n_rows])
    np.testing.assert_allclose(p, softmax(logits(model, X[:n_rows])), rtol=1e-12)


@each_solver
@pytest.mark.parametrize("name", ["logistic", "mish"])
def test_list_of_equal_activations_is_the_same_as_the_name(
    name: str, solver: str
) -> None:
    one = classifier(activation=name, solver=solver).fit(X, BINARY)
    several = classifier(activation=(name, name), solver=solver).fit(X, BINARY)
    for a, b in zip(one.coefs_, several.coefs_, strict=True):
        np.testing.assert_array_equal(a, b)


def test_initial_weights_follow_the_activation_of_each_layer() -> None:
    # Too small a rate to move them: the largest of many numbers is near the bound.
    settings = {"hidden_layer_sizes": (200, 100), "max_iter": 1, "alpha": 0}
    for activation, factors in (
        (["logistic", "silu"], (2, 6, 6)),
        (["silu", "logistic"], (6, 2, 2)),
    ):
        model = classifier(
            activation=activation, learning_rate_init=1e-12, **settings
        ).fit(X, MULTICLASS)
        for W, factor in zip(model.coefs_, factors, strict=True):
            bound = np.sqrt(factor / sum(W.shape))
            assert 0.97 * bound < np.abs(W).max() < bound + 1e-9


def test_list_of_activations_survives_clone_and_pickle() -> None:
    names = ["selu", "hard_tanh"]
    model = classifier(activation=names).fit(X, BINARY)
    assert clone(model).activation == names
    assert model.get_params()["activation"] is names
    copied = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(copied.predict_proba(X), model.predict_proba(X))


def test_training_with_a_list_of_activations_goes_on() -> None:
    settings = {"activation": ["gelu", "elu"], "max_iter": 2, "shuffle": False}
    model = classifier(**settings, warm_start=True, solver="sgd", momentum=0)
    with pytest.warns(ConvergenceWarning):
        once = model.fit(X, BINARY).loss_
        twice = model.fit(X, BINARY).loss_
    assert twice < once
    partial = classifier(**settings)
    for _ in range(2):
        partial.partial_fit(X, BINARY, classes=[False, True])
    assert partial.loss_curve_[1] < partial.loss_curve_[0]


@pytest.mark.parametrize(
    ("activation", "message"),
    [
        (["relu"], r"one for each of the 2 hidden layers, got 1: \['relu'\]"),
        (("relu",) * 3, "one for each of the 2 hidden layers, got 3"),
        ([], "one for each of the 2 hidden layers, got 0"),
        (["relu", "swish"], r"activation\[1\] must be one of identity, .*got 'swish'"),
        ([None, "relu"], r"activation\[0\] must be one of identity, .*got None"),
    ],
    ids=str,
)
def test_unusable_list_of_activations_is_refused(activation: Any, message: str) -> None:
    model = classifier(activation=activation)
    with pytest.raises(ValueError, match=message):
        model.fit(X, BINARY)
    assert not hasattr(model, "coefs_")
    trained = classifier().fit(X, BINARY).set_params(activation=activation)
    with pytest.raises(ValueError, match=message):
        trained.predict(X)


def test_no_hidden_layers_take_an_empty_list() -> None:
    one = classifier(hidden_layer_sizes=(), activation="relu").fit(X, BINARY)
    none = classifier(hidden_layer_sizes=(), activation=[]).fit(X, BINARY)
    np.testing.assert_array_equal(one.coefs_[0], none.coefs_[0])


# --------------------------------------------------------------------- attributes


def learned(model: Any) -> dict[str, type]:
    """Public attributes that end in an underscore, with their types."""
    names = (name for name in dir(model) if name.endswith("_") and name[0] != "_")
    return {name: type(getattr(model, name)) for name in names}


@each_target
@each_solver
@pytest.mark.parametrize("early_stopping", [False, True])
def test_learned_attributes_are_scikit_learns(
    y: np.ndarray, solver: str, early_stopping: bool
) -> None:
    settings = {"solver": solver, "early_stopping": early_stopping, "max_iter": 5}
    ours = learned(classifier(**settings).fit(X, y))
    theirs = learned(sklearn.neural_network.MLPClassifier((8, 5), **settings).fit(X, y))
    # New, and like validation_scores_; L-BFGS has neither.
    new = ours.pop("validation_loss_curve_", None)
    assert new is theirs.get("validation_scores_")
    assert ours.pop("feature_importances_") is np.ndarray  # new, and a property
    assert ours.keys() == theirs.keys()
    for name in ours.keys() - {"loss_", "best_loss_"}:  # theirs are NumPy scalars
        assert ours[name] is theirs[name], name


def test_learned_attributes_describe_the_network() -> None:
    model = classifier().fit(X, MULTICLASS)
    assert [W.shape for W in model.coefs_] == [(6, 8), (8, 5), (5, 3)]
    assert [b.shape for b in model.intercepts_] == [(8,), (5,), (3,)]
    assert (model.n_layers_, model.n_outputs_, model.n_features_in_) == (4, 3, 6)
    assert model.out_activation_ == "softmax"
    assert classifier().fit(X, BINARY).out_activation_ == "logistic"
    assert model.n_iter_ == len(model.loss_curve_) == 20
    assert model.t_ == 20 * len(X)
    assert model.best_loss_ == min(model.loss_curve_)


def test_private_attributes_that_others_read_are_there() -> None:
    model = classifier(solver="sgd", learning_rate_init=0.25).fit(X, BINARY)
    assert model._optimizer.learning_rate == 0.25
    assert model._no_improvement_count == 0
    assert list(model._label_binarizer.classes_) == [False, True]
    assert isinstance(model._random_state, np.random.RandomState)


def test_tags_are_scikit_learns() -> None:
    assert is_classifier(MLPClassifier())
    ours = get_tags(MLPClassifier())
    assert ours.transformer_tags is not None  # which scikit-learn's has not
    ours.transformer_tags = None
    assert ours == get_tags(sklearn.neural_network.MLPClassifier())
    assert ours.input_tags.sparse
    assert ours.classifier_tags is not None
    assert ours.classifier_tags.multi_label


def test_feature_names_are_kept() -> None:
    frame = pd.DataFrame(X, columns=list("abcdef"))
    model = classifier().fit(frame, BINARY)
    assert list(model.feature_names_in_) == list("abcdef")
    assert not hasattr(classifier().fit(X, BINARY), "feature_names_in_")


@each_solver
def test_second_fit_starts_afresh(solver: str) -> None:
    model = classifier(solver=solver)
    first = model.fit(X, MULTICLASS).predict_proba(X)
    model.fit(X[:, :3], BINARY)
    assert model.coefs_[0].shape == (3, 8)
    np.testing.assert_array_equal(model.fit(X, MULTICLASS).predict_proba(X), first)


# -------------------------------------------------------------------------- types


@pytest.mark.parametrize(
    ("dtype", "X_dtype", "expected"),
    [
        ("auto", np.float32, np.float32),
        ("auto", np.float64, np.float64),
        ("auto", np.int32, np.float64),
        ("auto", np.float16, np.float64),
        ("float32", np.float64, np.float32),
        ("float32", np.int32, np.float32),
        ("float32", np.float32, np.float32),
        ("float64", np.float32, np.float64),
    ],
)
@each_solver
def test_dtype_decides_the_type_of_the_weights(
    solver: str, dtype: str, X_dtype: type, expected: type
) -> None:
    model = classifier(dtype=dtype, solver=solver).fit(X.astype(X_dtype), BINARY)
    assert {W.dtype for W in [*model.coefs_, *model.intercepts_]} == {
        np.dtype(expected)
    }


@pytest.mark.parametrize("fit_dtype", [np.float32, np.float64])
@pytest.mark.parametrize("predict_dtype", [np.float32, np.float64, np.int64])
def test_type_of_probabilities_is_scikit_learns(
    fit_dtype: type, predict_dtype: type
) -> None:
    ours, theirs = (
        module.MLPClassifier((4,), max_iter=2)
        .fit(X.astype(fit_dtype), MULTICLASS)
        .predict_proba(X.astype(predict_dtype))
        .dtype
        for module in (fastbp, sklearn.neural_network)
    )
    assert ours == theirs


def test_float32_training_is_near_float64_training() -> None:
    exact = classifier().fit(X, MULTICLASS)
    rounded = classifier(dtype="float32").fit(X, MULTICLASS)
    np.testing.assert_allclose(exact.loss_curve_, rounded.loss_curve_, rtol=1e-4)
    np.testing.assert_allclose(
        exact.predict_proba(X), rounded.predict_proba(X), atol=1e-4
    )


# ----------------------------------------------------------- weights, stopping, prints


@each_solver
@each_target
def test_integer_weights_are_repeated_rows(y: np.ndarray, solver: str) -> None:
    # One batch, whatever the number of rows, and an order that does not matter.
    repeats = np.random.RandomState(1).randint(0, 3, len(X))
    settings = {"solver": solver, "batch_size": 200, "shuffle": False, "max_iter": 8}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("warnings.warn", lambda *args, **kwargs: None)  # clipped batch
        weighted = classifier(**settings).fit(X, y, repeats)
        repeated = classifier(**settings).fit(
            X.repeat(repeats, axis=0), y.repeat(repeats, axis=0)
        )
    np.testing.assert_allclose(
        weighted.predict_proba(X), repeated.predict_proba(X), rtol=1e-6
    )


def test_training_stops_after_one_more_bad_epoch_than_allowed() -> None:
    # The first epoch is always an improvement; then n_iter_no_change + 1 bad ones.
    model = classifier(tol=1e3, n_iter_no_change=3).fit(X, BINARY)
    assert model.n_iter_ == 5


def test_batch_size_above_the_number_of_rows_warns_and_is_clipped() -> None:
    with pytest.warns(UserWarning, match="It is going to be clipped"):
        clipped = classifier(batch_size=91).fit(X, BINARY)
    whole = classifier(batch_size=90).fit(X, BINARY)
    np.testing.assert_array_equal(clipped.coefs_[0], whole.coefs_[0])


@each_solver
def test_too_few_iterations_warn(solver: str) -> None:
    with pytest.warns(ConvergenceWarning, match="(?i)iterations"):
        classifier(solver=solver, max_iter=2).fit(X, BINARY)


@pytest.mark.parametrize(
    "settings",
    [
        {"verbose": True},
        {"verbose": 2, "early_stopping": True, "max_iter": 40, "n_iter_no_change": 3},
        {"verbose": 1, "tol": 1e3, "n_iter_no_change": 2},
        {
            "verbose": True,
            "solver": "sgd",
            "learning_rate": "adaptive",
            "tol": 1e3,
            "n_iter_no_change": 1,
            "max_iter": 40,
        },
    ],
    ids=str,
)
def test_verbose_prints_scikit_learns_lines(
    settings: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    ours = classifier(**settings)
    known = inspect.signature(sklearn.neural_network.MLPClassifier).parameters
    shared = {k: v for k, v in ours.get_params().items() if k in known}
    ours.fit(X, MULTICLASS)
    our_lines = capsys.readouterr().out
    sklearn.neural_network.MLPClassifier(**shared).fit(X, MULTICLASS)
    assert our_lines == capsys.readouterr().out
    assert "Iteration 1, loss = " in our_lines


@pytest.mark.parametrize("verbose", [False, 0])
def test_nothing_is_printed_by_default(
    verbose: bool, capfd: pytest.CaptureFixture[str]
) -> None:
    classifier(verbose=verbose, early_stopping=True).fit(X, MULTICLASS).predict(X)
    assert capfd.readouterr() == ("", "")


# ----------------------------------------------------- what skips scikit-learn's checks


@pytest.mark.parametrize(
    "dtype", ["i1", "u1", "i4", "i8", "u8", "f8", "?", "U2", ">i4"]
)
@pytest.mark.parametrize("values", [[1], [1, 2], [2, 0, 1], range(12)])
def test_classes_are_those_of_scikit_learn(dtype: Any, values: Any) -> None:
    y = np.array([*values] * 3, dtype)
    for part in (y, y[: len(values)]):  # of which there are as many as samples
        expected = vars(LabelBinarizer().fit(part))
        found = vars(_fitted_binarizer(part))
        assert found["classes_"].dtype == expected["classes_"].dtype
        np.testing.assert_array_equal(found.pop("classes_"), expected.pop("classes_"))
        assert found == expected


@pytest.mark.parametrize("order", ["C", "F"])
def test_fit_on_a_plain_array_forgets_the_names_of_a_frame(order: Any) -> None:
    frame = pd.DataFrame(X, columns=[f"x{i}" for i in range(X.shape[1])])
    model = MLPClassifier((3,), max_iter=2, random_state=0).fit(frame, MULTICLASS)
    assert list(model.feature_names_in_) == list(frame.columns)
    model.fit(np.asarray(X[:, :-1], order=order), MULTICLASS)
    assert not hasattr(model, "feature_names_in_")
    assert model.n_features_in_ == X.shape[1] - 1
