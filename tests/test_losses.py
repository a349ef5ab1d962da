"""Losses of the estimators: objects, names, functions, quantiles, missing targets."""

import pickle
import re
from dataclasses import FrozenInstanceError
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils._param_validation import InvalidParameterError

from fastbp import MLPClassifier, MLPRegressor, Network, _core, losses
from fastbp.layers import Dense

rng = np.random.default_rng(0)
X = rng.normal(size=(120, 4))
SINGLE = np.exp(0.5 * X[:, 0]) + 0.5
SEVERAL = np.c_[SINGLE, 2 * SINGLE + 0.1]
LABELS = np.digitize(X[:, 0] + 0.3 * rng.normal(size=120), [-0.5, 0.5])
BINARY = (LABELS > 0).astype(int)
INDICATORS = LabelBinarizer().fit_transform(LABELS)
WEIGHTS = rng.uniform(0.5, 2, 120)

OBJECTS = [
    losses.SquaredError(),
    losses.AbsoluteError(),
    losses.Huber(delta=0.5),
    losses.LogCosh(),
    losses.Quantile([0.1, 0.5, 0.9]),
    losses.Poisson(),
    losses.Gamma(),
]
CLASS_OBJECTS = [
    losses.LogLoss(label_smoothing=0.1),
    losses.SquaredError(),
    losses.Focal(gamma=1.0),
    losses.SymmetricCrossEntropy(alpha=0.5),
    losses.KLDivergence(),
]


def name_of(loss: Any) -> str:
    return getattr(loss, "__name__", None) or repr(loss)


def squared(y_true: np.ndarray, y_pred: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Half the squared error as a user would write it."""
    return ((y_pred - y_true) ** 2).sum(axis=1) / 2, y_pred - y_true


def regressor(loss: Any = "squared_error", **settings: Any) -> MLPRegressor:
    defaults = {"hidden_layer_sizes": (6,), "max_iter": 5, "random_state": 0}
    return MLPRegressor(loss, **{**defaults, **settings})


def classifier(**settings: Any) -> MLPClassifier:
    defaults = {"hidden_layer_sizes": (6,), "max_iter": 5, "random_state": 0}
    return MLPClassifier(**{**defaults, **settings})


def weights_of(model: Any) -> bytes:
    return b"".join(a.tobytes() for a in model.coefs_ + model.intercepts_)


# ------------------------------------------------------------------------- objects


def test_objects_are_small_and_immutable() -> None:
    huber = losses.Huber(delta=2.0)
    assert repr(huber) == "Huber(delta=2.0)"
    assert huber == losses.Huber(2.0) != losses.Huber()
    assert len({huber, losses.Huber(2.0)}) == 1
    assert repr(losses.Quantile([0.1, 0.9])) == "Quantile(quantiles=(0.1, 0.9))"
    with pytest.raises(FrozenInstanceError):
        huber.delta = 3.0  # type: ignore[misc]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: losses.Huber(0),
            r"delta of Huber .* in \(0, inf\), got 0",
        ),
        (
            lambda: losses.Huber(-1),
            r"delta of Huber .* in \(0, inf\)",
        ),
        (lambda: losses.Huber("1"), "delta of Huber must be a finite number"),
        (lambda: losses.Focal(np.nan), "gamma of Focal must be a finite number"),
        (
            lambda: losses.LogLoss(1.0),
            r"label_smoothing of LogLoss .* in \[0, 1\)",
        ),
        (lambda: losses.Quantile([]), r"increasing numbers in \(0, 1\), got \[\]"),
        (lambda: losses.Quantile(1.0), r"increasing numbers in \(0, 1\), got 1.0"),
        (lambda: losses.Quantile([0.5, 0.1]), "increasing numbers"),
        (lambda: losses.Quantile("half"), "increasing numbers"),
        (lambda: losses.SymmetricCrossEntropy(alpha=-1), "alpha of Symm"),
        (lambda: losses.SymmetricCrossEntropy(log_zero=0), "log_zero of Symm"),
        (lambda: losses.get_loss("hinge"), "a loss must be one of 'squared_error'"),
        (lambda: losses.get_loss(3), "or an object of fastbp.losses, got 3"),
    ],
)
def test_bad_parameters_of_objects_are_refused(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


# The numbers are those of docs/losses.md.
OF_REGRESSION_NAMES: dict[str, losses.Loss] = {
    "squared_error": losses.SquaredError(),
    "absolute_error": losses.AbsoluteError(),
    "huber": losses.Huber(delta=1.0),
    "log_cosh": losses.LogCosh(),
    "quantile": losses.Quantile(quantiles=0.5),
    "poisson": losses.Poisson(),
    "gamma": losses.Gamma(),
}
OF_CLASSIFICATION_NAMES: dict[str, losses.Loss] = {
    "log_loss": losses.LogLoss(label_smoothing=0.0),
    "squared_error": losses.SquaredError(),
    "focal": losses.Focal(gamma=2.0),
    "symmetric_cross_entropy": losses.SymmetricCrossEntropy(1.0, 1.0, log_zero=-4.0),
    "kl_divergence": losses.KLDivergence(),
}


@pytest.mark.parametrize("name", losses.REGRESSION_LOSSES)
def test_name_of_a_regression_loss_stands_for_the_object(name: str) -> None:
    assert losses.get_loss(name) == OF_REGRESSION_NAMES[name]
    by_object = regressor(OF_REGRESSION_NAMES[name]).fit(X, SINGLE)
    assert weights_of(regressor(name).fit(X, SINGLE)) == weights_of(by_object)


@pytest.mark.parametrize("name", losses.CLASSIFICATION_LOSSES)
def test_name_of_a_classification_loss_stands_for_the_object(name: str) -> None:
    assert losses.get_loss(name) == OF_CLASSIFICATION_NAMES[name]
    by_object = classifier(loss=OF_CLASSIFICATION_NAMES[name]).fit(X, LABELS)
    assert weights_of(classifier(loss=name).fit(X, LABELS)) == weights_of(by_object)


# ------------------------------------------------------------- every loss, every way


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.parametrize("loss", [*OBJECTS, squared], ids=name_of)
def test_regressor_learns_with_each_loss(loss: Any, solver: str) -> None:
    for y in (SINGLE, SEVERAL):
        settings = {"solver": solver, "learning_rate_init": 0.01}
        short = regressor(loss, **settings, max_iter=1).fit(X, y)
        long = regressor(loss, **settings, max_iter=20).fit(X, y)
        assert long.loss_ < short.loss_
        assert np.isfinite(long.predict(X)).all()


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.parametrize("loss", [*CLASS_OBJECTS, squared], ids=name_of)
def test_classifier_learns_with_each_loss(loss: Any, solver: str) -> None:
    settings = {"solver": solver, "learning_rate_init": 0.02, "loss": loss}
    targets = [LABELS, BINARY]
    if not isinstance(loss, losses.KLDivergence):  # takes two dimensions otherwise
        targets.append(INDICATORS)
    for y in targets:
        short = classifier(**settings, max_iter=1).fit(X, y)
        long = classifier(**settings, max_iter=20).fit(X, y)
        assert long.loss_ < short.loss_
        assert np.isfinite(long.predict_log_proba(X)).all()


@pytest.mark.parametrize("output", [None, "logistic"])
@pytest.mark.parametrize("loss", [*CLASS_OBJECTS, squared], ids=name_of)
def test_validation_loss_of_a_classifier_is_its_training_loss(
    loss: Any, output: str | None
) -> None:
    # One tiny step: the loss of the epoch is that of the weights after it. X_val makes
    # Python compute it, from the same formula.
    settings = {"loss": loss, "output_activation": output, "learning_rate_init": 1e-14}
    for y in (LABELS, BINARY):
        model = classifier(**settings, alpha=0, max_iter=1, batch_size=120)
        model.fit(X, y, X_val=X, y_val=y)
        assert model.validation_loss_curve_ == pytest.approx([model.loss_], rel=1e-10)


@pytest.mark.parametrize("loss", [*OBJECTS, squared], ids=name_of)
def test_validation_loss_of_a_regressor_is_its_training_loss(loss: Any) -> None:
    for y in (SINGLE, SEVERAL):
        model = regressor(loss, alpha=0, max_iter=1, learning_rate_init=1e-14)
        model.set_params(batch_size=120)
        model.fit(X, y, WEIGHTS, X_val=X, y_val=y, sample_weight_val=WEIGHTS)
        assert model.validation_loss_curve_ == pytest.approx([model.loss_], rel=1e-10)


@pytest.mark.parametrize("loss", [*OBJECTS, squared], ids=name_of)
def test_partial_fit_goes_on_like_fit_with_each_loss(loss: Any) -> None:
    model = regressor(loss)
    for _ in range(3):
        model.partial_fit(X, SEVERAL)
    whole = regressor(loss, max_iter=3).fit(X, SEVERAL)
    assert weights_of(model) == weights_of(whole)


@pytest.mark.parametrize("loss", [*CLASS_OBJECTS, squared], ids=name_of)
def test_partial_fit_goes_on_like_fit_with_each_loss_of_classes(loss: Any) -> None:
    model = classifier(loss=loss)
    for _ in range(3):
        model.partial_fit(X, LABELS, classes=[0, 1, 2])
    whole = classifier(loss=loss, max_iter=3).fit(X, LABELS)
    assert weights_of(model) == weights_of(whole)


@pytest.mark.parametrize("loss", OBJECTS, ids=repr)
def test_models_with_loss_objects_survive_clone_and_pickle(loss: Any) -> None:
    model = clone(regressor(loss)).fit(X, SINGLE)
    again = pickle.loads(pickle.dumps(model))
    assert again.loss == loss
    np.testing.assert_array_equal(again.predict(X), model.predict(X))
    assert weights_of(clone(again).fit(X, SINGLE)) == weights_of(model)


@pytest.mark.parametrize("loss", [*OBJECTS, squared], ids=name_of)
def test_early_stopping_works_with_each_loss(loss: Any) -> None:
    model = regressor(loss, early_stopping=True, max_iter=10).fit(X, SINGLE)
    assert len(model.validation_scores_) == len(model.validation_loss_curve_)
    if loss is squared or isinstance(loss, losses.Quantile):
        scores = -np.array(model.validation_loss_curve_)
        np.testing.assert_array_equal(model.validation_scores_, scores)


def test_failed_fit_with_another_loss_leaves_the_model() -> None:
    model = regressor("gamma").fit(X, SINGLE)
    before = model.predict(X)
    with pytest.raises(ValueError, match=r"y must be positive for Gamma\(\), got -"):
        model.fit(X, -SINGLE)
    np.testing.assert_array_equal(model.predict(X), before)


# --------------------------------------------------------------------------- PyTorch

# Computed once with PyTorch 2.13 in float64: the mean of both rows with the weights 1
# and 3, and by backward() the gradient of each row at the pre-activations Z. The losses
# are torch.nn.functional's with reduction="none", summed over the outputs:
# cross_entropy (its `weight` of the two classes gives the same mean), kl_div of
# log_softmax, binary_cross_entropy of sigmoid, mse_loss / 2, l1_loss, huber_loss, and
# poisson_nll_loss (with eps=0 for softplus), to which y log(y) - y is added.
Z = np.array([[0.5, -1.0, 2.0], [-0.25, 3.0, 0.75]])
LABEL = [1, 2]
SHARES = [[0.2, 0.5, 0.3], [0.1, 0.0, 0.9]]
YES = [[1.0, 0.0, 1.0], [0.0, 0.0, 1.0]]
T = [[1.0, -3.0, 1.75], [-0.5, 0.5, 2.0]]
COUNTS = [[1.0, 0.0, 3.0], [2.0, 4.0, 1.0]]
PYTORCH: list[Any] = [
    (
        (losses.LogLoss(), "softmax", LABEL),
        2.598839686572,
        [
            [0.17529039214, -0.9608874267293, 0.7855970345893],
            [0.03388840077383, 0.8739933752071, -0.907881775981],
        ],
    ),
    (
        (losses.LogLoss(), "identity", SHARES),
        2.373839686572,
        [
            [-0.02470960785996, -0.4608874267293, 0.4855970345893],
            [-0.06611159922617, 0.8739933752071, -0.807881775981],
        ],
    ),
    (
        (losses.LogLoss(), "logistic", YES),
        3.237115003861,
        [
            [-0.3775406687981, 0.26894142137, -0.1192029220221],
            [0.4378234991142, 0.9525741268224, -0.3208213008246],
        ],
    ),
    (
        (losses.LogLoss(label_smoothing=0.1), "softmax", LABEL),
        2.530089686572,
        [
            [0.1419570588067, -0.8942207600626, 0.7522637012559],
            [0.0005550674404962, 0.8406600418738, -0.8412151093143],
        ],
    ),
    (
        (losses.KLDivergence(), "softmax", SHARES),
        1.872614203012,
        [
            [-0.02470960785996, -0.4608874267293, 0.4855970345893],
            [-0.06611159922617, 0.8739933752071, -0.807881775981],
        ],
    ),
    (
        (losses.SquaredError(), "identity", T),
        3.4921875,
        [[-0.5, 2.0, 0.25], [0.25, 2.5, -1.25]],
    ),
    (
        (losses.SquaredError(), "logistic", T),
        2.508843023252,
        [
            [-0.08872345867464, 0.6427128925087, -0.09126073122631],
            [0.2308303267242, 0.02044578733047, -0.2878003491036],
        ],
    ),
    (
        (losses.SquaredError(), "softplus", T),
        4.539281761255,
        [
            [-0.01613602308999, 0.8910733076119, 0.3319970907347],
            [0.4710715616463, 2.427718371056, -0.5862188272874],
        ],
    ),
    (
        (losses.AbsoluteError(), "tanh", T),
        2.476805630849,
        [
            [-0.7864477329659, 0.419974341614, -0.07065082485316],
            [0.9400148488064, 0.00986603716544, -0.5965858082813],
        ],
    ),
    (
        (losses.Huber(), "tanh", T),
        1.312928208122,
        [
            [-0.4230167422741, 0.419974341614, -0.05552959977948],
            [0.2397802449939, 0.004884228598801, -0.5965858082813],
        ],
    ),
    (
        (losses.Huber(0.75), "identity", T),
        2.0546875,
        [[-0.5, 0.75, 0.25], [0.25, 0.75, -0.75]],
    ),
    (
        (losses.Poisson(), "identity", COUNTS),
        8.547480565555,
        [
            [0.6487212707001, 0.3678794411714, 4.389056098931],
            [-1.221199216929, 16.08553692319, 1.117000016613],
        ],
    ),
    (
        (losses.Poisson(), "softplus", COUNTS),
        1.025119710421,
        [
            [-0.01656544949942, 0.26894142137, -0.3615539655057],
            [-1.082556888137, -0.2972823043285, 0.08176817896484],
        ],
    ),
]


@pytest.mark.parametrize(
    ("case", "expected", "gradients"),
    PYTORCH,
    ids=[f"{loss}-{activation}" for (loss, activation, _), *_ in PYTORCH],
)
def test_loss_and_gradients_are_those_of_pytorch(
    case: Any, expected: float, gradients: Any
) -> None:
    loss, activation, y = case
    layer = Dense(3, activation, weights=np.eye(3))
    network = Network([layer], n_in=3)
    value, of_weighted = network.loss_and_gradients(Z, y, loss, sample_weight=[1, 3])
    assert value == pytest.approx(expected, rel=1e-12)
    at_z = network.input_gradient(Z, y=y, loss=loss)
    np.testing.assert_allclose(at_z, gradients, rtol=1e-11, atol=1e-14)
    mean = np.average(gradients, axis=0, weights=[1, 3])
    np.testing.assert_allclose(of_weighted["dense_0.biases"], mean, rtol=1e-11)


# -------------------------------------------------------------------- closed forms


def constant_model(loss: Any, y: np.ndarray, **settings: Any) -> MLPRegressor:
    """A model that can only learn one number for all samples."""
    model = MLPRegressor(
        loss, (), solver="lbfgs", alpha=0, tol=1e-9, max_iter=2000, random_state=0
    )
    return model.set_params(**settings).fit(np.zeros((len(y), 1)), y)


NUMBERS = np.array([0.3, 0.5, 1.0, 1.5, 2.0, 4.0, 7.0])


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        ("squared_error", NUMBERS.mean()),
        ("poisson", NUMBERS.mean()),
        ("gamma", NUMBERS.mean()),
        (losses.Huber(100.0), NUMBERS.mean()),
    ],
)
def test_constant_that_fits_best_is_the_mean(loss: Any, expected: float) -> None:
    model = constant_model(loss, NUMBERS)
    assert model.predict([[0.0]])[0] == pytest.approx(expected, rel=1e-6)


def test_constant_that_fits_best_is_the_quantile() -> None:
    # Of the seven numbers, those with 0.1, 1/2 and 0.8 of the others below them.
    settings = {"solver": "sgd", "learning_rate_init": 0.01, "momentum": 0.0}
    settings |= {"max_iter": 3000, "n_iter_no_change": 3000, "batch_size": 7}
    model = constant_model("quantile", NUMBERS, quantile=[0.1, 0.5, 0.8], **settings)
    np.testing.assert_allclose(model.predict([[0.0]]), [[0.3, 1.5, 4.0]], atol=0.02)


def constant_classifier(y: np.ndarray, **settings: Any) -> np.ndarray:
    model = MLPClassifier((), solver="lbfgs", alpha=0, tol=1e-10, random_state=0)
    model.set_params(**settings).fit(np.zeros((len(y), 1)), y)
    return model.predict_proba([[0.0]])[0]


def test_probabilities_as_targets_are_learned() -> None:
    for shares in ([0.2, 0.5, 0.3], [0.25, 0.75]):
        y = np.tile(shares, (4, 1))
        y[0], y[1] = y[0][::-1], y[1][::-1]
        p = constant_classifier(y, loss="kl_divergence")
        np.testing.assert_allclose(p, y.mean(axis=0), rtol=1e-4)


def test_smoothed_labels_are_learned() -> None:
    y = np.array([0, 0, 0, 1])
    p = constant_classifier(y, label_smoothing=0.2)
    np.testing.assert_allclose(p, 0.8 * np.array([0.75, 0.25]) + 0.1, rtol=1e-4)
    p = constant_classifier(np.array([0, 0, 1, 2]), loss=losses.LogLoss(0.3))
    np.testing.assert_allclose(p, 0.7 * np.array([0.5, 0.25, 0.25]) + 0.1, rtol=1e-4)


@pytest.mark.parametrize(
    "loss",
    [losses.Focal(gamma=0), losses.SymmetricCrossEntropy(beta=0), "kl_divergence"],
    ids=repr,
)
def test_relatives_of_the_log_loss_give_its_model(loss: Any) -> None:
    for y in (LABELS, BINARY):
        ours = classifier(loss=loss).fit(X, y).predict_proba(X)
        expected = classifier().fit(X, y).predict_proba(X)
        np.testing.assert_allclose(ours, expected, rtol=1e-9)


def test_network_of_the_book_learns_digits() -> None:
    # Lecture 004: logistic units everywhere, half the squared error, plain SGD.
    digits, y = load_digits(return_X_y=True)
    model = MLPClassifier(
        (30,),
        "logistic",
        loss="squared_error",
        output_activation="logistic",
        solver="sgd",
        momentum=0,
        alpha=0,
        batch_size=10,
        learning_rate_init=3.0,
        max_iter=20,
        random_state=0,
    )
    model.fit(digits[:1200] / 16, y[:1200])
    assert model.out_activation_ == "logistic"
    assert model.score(digits[1200:] / 16, y[1200:]) > 0.85
    p = model.predict_proba(digits[1200:] / 16)
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-12)
    log_p = model.predict_log_proba(digits[1200:] / 16)
    np.testing.assert_allclose(np.exp(log_p), p, rtol=1e-9)


# ------------------------------------------------------------------------ quantiles


def test_quantiles_of_several_targets() -> None:
    quantiles = (0.1, 0.5, 0.9)
    model = regressor("quantile", quantile=quantiles, max_iter=300).fit(X, SEVERAL)
    assert model.quantiles_ == quantiles
    assert (model.n_outputs_, model.coefs_[-1].shape) == (6, (6, 6))
    every = model.predict(X)
    assert every.shape == (120, 2, 3)
    assert (np.diff(every, axis=2) >= 0).all()
    np.testing.assert_array_equal(model.predict(X, quantile=0.5), every[:, :, 1])
    np.testing.assert_array_equal(
        model.predict(X, quantile=[0.9, 0.1]), every[:, :, [2, 0]]
    )
    single = regressor("quantile", quantile=quantiles).fit(X, SINGLE)
    assert single.predict(X).shape == (120, 3)
    assert single.predict(X, quantile=0.9).shape == (120,)


def test_quantiles_that_cross_are_sorted() -> None:
    model = regressor("quantile", quantile=[0.1, 0.5, 0.9]).fit(X, SINGLE)
    model.coefs_[-1][:] = 0
    model.intercepts_[-1][:] = [3, 1, 2]
    np.testing.assert_array_equal(model.predict(X[:2]), [[1, 2, 3]] * 2)
    np.testing.assert_array_equal(model.predict(X[:2], quantile=0.9), [3, 3])


def test_one_quantile_predicts_like_any_loss() -> None:
    model = regressor("quantile", quantile=0.9, max_iter=20).fit(X, SEVERAL)
    assert model.predict(X).shape == SEVERAL.shape
    np.testing.assert_array_equal(model.predict(X, quantile=0.9), model.predict(X))
    by_object = regressor(losses.Quantile(0.9), max_iter=20).fit(X, SEVERAL)
    assert weights_of(model) == weights_of(by_object)


def test_quantiles_cover_their_share() -> None:
    points = np.random.default_rng(1).uniform(-1, 1, (2000, 1))
    noise = np.random.default_rng(2).normal(size=2000)
    y = points[:, 0] + (1.2 + points[:, 0]) * noise
    model = MLPRegressor("quantile", (20,), quantile=[0.1, 0.9], random_state=0)
    model.set_params(max_iter=60, learning_rate_init=0.01, n_iter_no_change=60)
    with pytest.warns(UserWarning, match="Maximum iterations"):
        model.fit(points, y)
    lower, upper = model.predict(points).T
    assert 0.75 < ((lower <= y) & (y <= upper)).mean() < 0.85


# ------------------------------------------------------------------------ functions


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_function_gives_the_model_of_its_formula(solver: str) -> None:
    for y in (SINGLE, SEVERAL):
        expected = regressor(solver=solver).fit(X, y)
        model = regressor(squared, solver=solver).fit(X, y)
        np.testing.assert_allclose(model.predict(X), expected.predict(X), 1e-9)
        assert model.loss_ == pytest.approx(expected.loss_, rel=1e-9)


def test_function_of_a_classifier_gets_indicators_and_probabilities() -> None:
    seen = []

    def remembers(y_true: np.ndarray, y_pred: np.ndarray) -> Any:
        seen.append((y_true, y_pred))
        return squared(y_true, y_pred)

    expected = classifier(loss="squared_error").fit(X, LABELS)
    model = classifier(loss=remembers, batch_size=50).fit(X, LABELS)
    assert [len(y) for y, _ in seen[:3]] == [50, 50, 20]
    assert set(np.unique(seen[0][0])) == {0.0, 1.0}
    np.testing.assert_allclose(seen[0][1].sum(axis=1), 1, rtol=1e-12)
    same = classifier(loss=squared).fit(X, LABELS)
    np.testing.assert_allclose(
        same.predict_proba(X), expected.predict_proba(X), rtol=1e-9
    )
    assert model.n_outputs_ == 3


def test_number_of_threads_does_not_change_the_model_of_a_function() -> None:
    settings = {"hidden_layer_sizes": (300, 300), "batch_size": 120}
    models = [
        regressor(squared, **settings, n_jobs=n).fit(X, SEVERAL) for n in (1, 2, 3)
    ]
    network = models[0]._network(np.dtype(np.float64), models[0]._core_output())
    assert _core.threads_for(network, 120, 3) == 3
    assert len({weights_of(model) for model in models}) == 1


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_function_may_return_any_numbers(dtype: str) -> None:
    def absolute(y_true: np.ndarray, y_pred: np.ndarray) -> Any:
        assert y_true.dtype == y_pred.dtype == dtype
        sign = np.sign(y_pred - y_true).astype(int)
        return [np.abs(y_pred - y_true).sum(axis=1).astype(">f8"), sign.tolist()]

    model = regressor(absolute, dtype=dtype).fit(X, SEVERAL)
    expected = regressor("absolute_error", dtype=dtype).fit(X, SEVERAL)
    np.testing.assert_allclose(model.predict(X), expected.predict(X), rtol=1e-4)


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.parametrize(
    ("function", "error", "message"),
    [
        (lambda y, p: 1 / 0, ZeroDivisionError, "division by zero"),
        (lambda y: 0, TypeError, "takes 1 positional argument"),
        (lambda y, p: p, ValueError, "must return the pair"),
        (lambda y, p: (p, p), ValueError, r"a value per row of shape \(120,\)"),
        (lambda y, p: (p[:, 0], p[:, 0]), ValueError, r"a gradient of shape \(120, 2"),
        (lambda y, p: (["a"] * len(p), p), ValueError, "a value per row of shape"),
        (lambda y, p: (p[:, 0], p * np.nan), ValueError, "infinity in the gradient"),
        (lambda y, p: (p[:, 0] / 0, p), ValueError, "infinity in the value per row"),
    ],
)
@pytest.mark.filterwarnings("ignore:divide by zero")
def test_error_of_a_function_is_shown_and_changes_nothing(
    function: Any, error: type[Exception], message: str, solver: str
) -> None:
    model = regressor(solver=solver).fit(X, SEVERAL)
    before = model.__dict__.copy()
    model.set_params(loss=function)
    with pytest.raises(error, match=message):
        model.fit(X, SEVERAL)
    assert {**model.__dict__, "loss": before["loss"]} == before


def test_interrupt_in_a_function_keeps_the_last_epoch() -> None:
    calls = 0

    def interrupted(y_true: np.ndarray, y_pred: np.ndarray) -> Any:
        nonlocal calls
        calls += 1
        if calls == 8:  # of 3 a epoch
            raise KeyboardInterrupt
        return squared(y_true, y_pred)

    model = regressor(interrupted, batch_size=50)
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, SINGLE)
    expected = regressor(squared, batch_size=50, max_iter=2).fit(X, SINGLE)
    assert model.n_iter_ == 2
    assert weights_of(model) == weights_of(expected)


def test_function_sees_sparse_rows_and_weights() -> None:
    from scipy import sparse

    expected = regressor().fit(sparse.csc_array(X), SINGLE, WEIGHTS)
    model = regressor(squared).fit(sparse.csc_array(X), SINGLE, WEIGHTS)
    np.testing.assert_allclose(model.predict(X), expected.predict(X), rtol=1e-9)


# ----------------------------------------------------- missing targets, entry weights


def with_holes(y: np.ndarray) -> np.ndarray:
    holes = np.random.default_rng(5).random(y.shape) < 0.3
    return np.where(holes, np.nan, y)


def test_rows_with_a_missing_target_are_as_if_not_there() -> None:
    y = with_holes(SINGLE)
    there = ~np.isnan(y)
    settings = {"solver": "lbfgs", "max_iter": 20}
    model = regressor(**settings, missing_targets="mask").fit(X, y)
    expected = regressor(**settings).fit(X[there], y[there])
    np.testing.assert_allclose(model.predict(X), expected.predict(X), rtol=1e-6)


@pytest.mark.parametrize("loss", OBJECTS, ids=repr)
def test_missing_entries_have_no_weight(loss: Any) -> None:
    y = with_holes(SEVERAL)
    settings = {"early_stopping": True, "max_iter": 10}
    model = regressor(loss, **settings, missing_targets="mask").fit(X, y)
    weights = (~np.isnan(y)).astype(float)
    expected = regressor(loss, **settings).fit(X, np.nan_to_num(y, nan=9.0), weights)
    assert weights_of(model) == weights_of(expected)
    assert model.validation_loss_curve_ == expected.validation_loss_curve_
    assert model.validation_scores_ == expected.validation_scores_


def test_masking_changes_nothing_where_nothing_is_missing() -> None:
    model = regressor(missing_targets="mask").fit(X, SEVERAL)
    assert weights_of(model) == weights_of(regressor().fit(X, SEVERAL))


def test_missing_targets_in_a_validation_set() -> None:
    y = with_holes(SEVERAL)
    model = regressor(missing_targets="mask").fit(X, SEVERAL, X_val=X, y_val=y)
    assert np.isfinite(model.validation_loss_curve_).all()
    errors = np.where(np.isnan(y), 0, y - model.predict(X))
    expected = (errors**2).sum() / 2 / (~np.isnan(y)).sum() * 2
    assert model.validation_loss_curve_[-1] == pytest.approx(expected, rel=1e-12)


def test_missing_targets_are_an_error_unless_masked() -> None:
    with pytest.raises(ValueError, match="Input y contains NaN"):
        regressor().fit(X, with_holes(SEVERAL))
    with pytest.raises(ValueError, match="infinity"):
        regressor(missing_targets="mask").fit(X, SEVERAL * np.inf)
    with pytest.raises(ValueError, match="but all are NaN"):
        regressor(missing_targets="mask").fit(X, SEVERAL * np.nan)


def test_weights_of_entries_need_several_targets() -> None:
    with pytest.raises(ValueError, match="must be 1D"):
        regressor().fit(X, SINGLE, np.ones((120, 1)))


def test_missing_targets_may_be_those_of_pandas() -> None:
    y = with_holes(SEVERAL)
    frame = pd.DataFrame(y).convert_dtypes()
    assert frame.isna().to_numpy().sum() == np.isnan(y).sum() > 0
    model = regressor(missing_targets="mask").fit(X, frame)
    assert weights_of(model) == weights_of(regressor(missing_targets="mask").fit(X, y))


def test_score_leaves_missing_targets_out() -> None:
    y = with_holes(SEVERAL)
    model = regressor(missing_targets="mask").fit(X, y)
    expected = [
        r2_score(column[there], p[there], sample_weight=WEIGHTS[there])
        for column, p in zip(y.T, model.predict(X).T, strict=True)
        for there in [~np.isnan(column)]
    ]
    assert model.score(X, y, WEIGHTS) == pytest.approx(np.mean(expected), rel=1e-12)
    assert np.isfinite(cross_val_score(model, X, y, cv=3)).all()
    with pytest.raises(ValueError, match="contains NaN"):
        regressor().fit(X, SEVERAL).score(X, y)


def test_score_knows_weights_of_entries() -> None:
    w = np.c_[np.ones(120), np.zeros(120)]
    model = regressor().fit(X, SEVERAL, w)
    expected = r2_score(SEVERAL[:, 0], model.predict(X)[:, 0])
    assert model.score(X, SEVERAL, w) == pytest.approx(expected, rel=1e-12)


def test_score_of_several_quantiles_is_refused() -> None:
    model = regressor("quantile", quantile=[0.1, 0.9]).fit(X, SINGLE)
    with pytest.raises(ValueError, match=r"predicts the quantiles \(0.1, 0.9\)"):
        model.score(X, SINGLE)


def test_quantiles_of_a_vector_are_refused() -> None:
    with pytest.raises(ValueError, match=r"needs y_true and y_pred of shape .* \(1,\)"):
        losses.Quantile(0.5).per_output(np.array([1.0]), np.array([2.0]))


def test_label_without_weight_is_as_if_not_there() -> None:
    labels = np.c_[BINARY, LABELS == 2].astype(int)
    w = np.c_[WEIGHTS, np.zeros(120)]
    settings = {"early_stopping": True, "hidden_layer_sizes": ()}
    model = classifier(**settings).fit(X, labels, w)
    flipped = np.c_[labels[:, 0], 1 - labels[:, 1]]
    other = classifier(**settings).fit(X, flipped, w)
    assert weights_of(model) == weights_of(other)
    assert model.validation_loss_curve_ == other.validation_loss_curve_
    assert model.validation_scores_ == other.validation_scores_


def test_equal_weights_of_labels_are_weights_of_samples() -> None:
    balance = {"class_weight": [{0: 1, 1: 2}] * 3}
    for settings in ({}, {"loss": "focal"}, balance):
        model = classifier(**settings)
        each = np.c_[WEIGHTS, WEIGHTS, WEIGHTS]
        model.fit(X, INDICATORS, each, X_val=X, y_val=INDICATORS)
        expected = classifier(**settings)
        expected.fit(X, INDICATORS, WEIGHTS, X_val=X, y_val=INDICATORS)
        p = expected.predict_proba(X)
        np.testing.assert_allclose(model.predict_proba(X), p, rtol=1e-9)
        assert model.loss_ == pytest.approx(expected.loss_, rel=1e-12)


def test_score_of_labels_with_weights_of_their_own_is_that_of_single_labels() -> None:
    w = np.c_[WEIGHTS, WEIGHTS[::-1], np.ones(120)]
    model = classifier()
    model.fit(X, INDICATORS, X_val=X, y_val=INDICATORS, sample_weight_val=w)
    correct = model.predict(X) == INDICATORS
    expected = np.average(correct, weights=w)
    assert model.validation_scores_[-1] == pytest.approx(expected, rel=1e-12)
    p = np.where(INDICATORS == 1, model.predict_proba(X), 1 - model.predict_proba(X))
    expected = -(w * np.log(p)).sum() / (w.sum() / 3)
    assert model.validation_loss_curve_[-1] == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"scoring": "r2"}, "a scorer takes one per row, got scoring='r2'"),
        ({"loss": squared}, "a function gives one value per row, got loss=<function"),
    ],
)
def test_weights_of_entries_do_not_go_with_what_knows_rows(
    settings: dict[str, Any], message: str
) -> None:
    for make, y in ((regressor, SEVERAL), (classifier, INDICATORS)):
        model = make(early_stopping=True, **settings)
        with pytest.raises(ValueError, match=message):
            model.fit(X, y, np.ones(y.shape))
        assert not hasattr(model, "coefs_")


def test_equal_weights_of_entries_are_weights_of_samples() -> None:
    model = regressor().fit(X, SEVERAL, np.c_[WEIGHTS, WEIGHTS])
    expected = regressor().fit(X, SEVERAL, WEIGHTS)
    np.testing.assert_allclose(model.predict(X), expected.predict(X), rtol=1e-9)
    assert model.loss_ == pytest.approx(expected.loss_, rel=1e-12)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (np.ones((120, 3)), r"must have shape \(120,\) or \(120, 2\), got \(120, 3\)"),
        (np.zeros((120, 2)), "must not be zero for all samples"),
        (-np.ones((120, 2)), r"got sample_weight\[0, 0\] = -1"),
        (np.full((120, 2), np.nan), "NaN"),
    ],
)
def test_bad_weights_of_entries_are_refused(weights: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        regressor().fit(X, SEVERAL, weights)


# ------------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"loss": losses.Focal()}, "loss of MLPRegressor must be one of squared_error"),
        ({"loss": losses.Huber}, "got <class 'fastbp.losses.Huber'>"),
        ({"loss": "huber", "quantile": 0.5}, "quantile=0.5 needs loss='quantile', got"),
        (
            {"loss": losses.Quantile(0.1), "quantile": 0.5},
            "quantile=0.5 needs loss='quantile', got",
        ),
        ({"loss": "quantile", "quantile": [0.5, 0.5]}, "increasing numbers"),
        (
            {"loss": "gamma", "output_activation": "identity"},
            "output_activation='identity' does not go with loss='gamma': it must be "
            "None or 'exp' or 'softplus'",
        ),
        ({"loss": squared, "missing_targets": "mask"}, "missing_targets='mask' needs"),
        (
            {"loss": "quantile", "quantile": [0.1, 0.9], "scoring": "r2"},
            "scoring must be None or 'loss' with several quantiles, got 'r2'",
        ),
        (
            {"missing_targets": "mask", "scoring": "r2"},
            "scoring must be None or 'loss'",
        ),
    ],
)
def test_senseless_settings_of_a_regressor_are_refused(
    settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        regressor(early_stopping=True).set_params(**settings).fit(X, SINGLE)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"loss": losses.Huber()}, "loss of MLPClassifier must be one of log_loss"),
        (
            {"loss": losses.LogLoss(0.1), "label_smoothing": 0.1},
            "label_smoothing=0.1 and loss=LogLoss(label_smoothing=0.1) are two",
        ),
        (
            {"hidden_layer_sizes": (), "dropout": 0.5},
            "dropout=0.5 needs hidden layers, got hidden_layer_sizes=()",
        ),
        (
            {"hidden_layer_sizes": [], "normalization": "batch"},
            "normalization='batch' needs hidden layers, got hidden_layer_sizes=[]",
        ),
    ],
)
def test_senseless_settings_of_a_classifier_are_refused(
    settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        classifier(**settings).fit(X, LABELS)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (INDICATORS * 2.0, r"the rows of y must be probabilities .* got y\[0\]"),
        (INDICATORS - 0.5, "the rows of y must be probabilities"),
        (np.full((120, 3), np.nan), "NaN"),
    ],
)
def test_bad_probabilities_are_refused(y: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        classifier(loss="kl_divergence").fit(X, y)


def test_probabilities_go_on_with_as_many_classes() -> None:
    y = 0.7 * INDICATORS + 0.1
    model = classifier(loss="kl_divergence", early_stopping=True).fit(X, y)
    assert list(model.classes_) == [0, 1, 2]
    assert model.set_params(early_stopping=False).partial_fit(X, y).score(X, LABELS) > 0
    with pytest.raises(ValueError, match="a column for each of the 3 classes, got 2"):
        model.partial_fit(X, np.full((120, 2), 0.5))
    with pytest.raises(ValueError, match="class_weight must be None"):
        model.set_params(class_weight="balanced").fit(X, y)


def test_score_of_probabilities_is_that_of_the_most_probable_classes() -> None:
    y = 0.7 * INDICATORS + 0.1
    model = classifier(loss="kl_divergence").fit(X, y)
    expected = (model.predict(X) == LABELS).mean()
    assert model.score(X, y) == model.score(X, LABELS) == expected
    search = GridSearchCV(model, {"alpha": [0.1, 1.0]}, cv=3, error_score="raise")
    assert 0 < search.fit(X, y).best_score_ < 1
    with pytest.raises(ValueError, match="a column for each of the 3 classes, got 2"):
        model.score(X, np.full((120, 2), 0.5))


def test_probabilities_need_their_loss() -> None:
    with pytest.raises(ValueError, match="Multioutput target data is not supported"):
        classifier().fit(X, 0.7 * INDICATORS + 0.1)


@pytest.mark.parametrize(
    ("model", "name"),
    [
        (regressor(output_activation="softmax"), "output_activation"),
        (regressor(missing_targets="ignore"), "missing_targets"),
        (regressor("quantile", quantile=1.0), "quantile"),
        (classifier(output_activation="tanh"), "output_activation"),
        (classifier(label_smoothing=1.0), "label_smoothing"),
        (classifier(loss="hinge"), "loss"),
        (regressor(3), "loss"),
    ],
)
def test_invalid_settings_are_refused(model: Any, name: str) -> None:
    with pytest.raises(InvalidParameterError, match=f"The '{name}' parameter of MLP"):
        model.fit(X, BINARY)


def test_prediction_of_a_quantile_that_is_not_there_is_refused() -> None:
    model = regressor("quantile", quantile=[0.1, 0.9]).fit(X, SINGLE)
    with pytest.raises(
        ValueError, match=r"quantile must be among \(0.1, 0.9\), got 0.5"
    ):
        model.predict(X, quantile=0.5)
    with pytest.raises(
        ValueError, match="quantile=0.5 needs a model of loss='quantile'"
    ):
        regressor().fit(X, SINGLE).predict(X, quantile=0.5)


@pytest.mark.parametrize("output", ["identity", "logistic", "tanh", "softplus", "exp"])
def test_output_activation_is_that_of_the_name(output: str) -> None:
    functions = {
        "identity": lambda z: z,
        "logistic": lambda z: 1 / (1 + np.exp(-z)),
        "tanh": np.tanh,
        "softplus": lambda z: np.log1p(np.exp(z)),
        "exp": np.exp,
    }
    model = regressor("huber", output_activation=output).fit(X, SINGLE)
    assert model.out_activation_ == output
    hidden = np.maximum(X @ model.coefs_[0] + model.intercepts_[0], 0)
    z = hidden @ model.coefs_[1] + model.intercepts_[1]
    for rows in (slice(None), slice(3)):  # by a network, and as few rows
        expected = functions[output](z[rows]).ravel()
        np.testing.assert_allclose(model.predict(X[rows]), expected, rtol=1e-12)


def test_function_gets_targets_of_its_own() -> None:
    def greedy(y_true: Any, y_pred: Any) -> Any:
        difference = y_pred - y_true
        y_true.fill(0)
        return (difference**2).sum(axis=1) / 2, difference

    network = Network([Dense(2)], n_in=4, random_state=0)
    y = SEVERAL.copy()
    before = y.copy()
    network.loss_and_gradients(X, y, greedy)
    network.input_gradient(X, y=y, loss=greedy)
    network.gradient_check(X, y, greedy, n_checked=2)
    np.testing.assert_array_equal(y, before)


@pytest.mark.parametrize("name", losses.REGRESSION_LOSSES)
def test_values_keep_float32(name: str) -> None:
    y, p = np.full((2, 3, 1), 0.5, dtype=np.float32)
    assert losses.get_loss(name).per_output(y, p).dtype == np.float32
