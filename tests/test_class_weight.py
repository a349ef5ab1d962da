"""class_weight: classes weigh as much as their samples would, weighted one by one."""

from typing import Any

import numpy as np
import pytest
import scipy.sparse

from fastbp import MLPClassifier, MLPRegressor

rng = np.random.RandomState(3)
X = rng.standard_normal((60, 4))
NUMBERS = np.array([0] * 36 + [1] * 18 + [2] * 6)
WORDS = np.array(["ant", "bee", "cat"])[NUMBERS]
BINARY = np.array([5] * 45 + [7] * 15)
LABELS = np.column_stack([NUMBERS == 0, rng.uniform(size=60) < 0.25]).astype(int)
SAMPLE_WEIGHT = rng.uniform(0.5, 2.0, 60)

# n_samples / (n_classes * count)
BALANCED = np.array([60 / (3 * 36), 60 / (3 * 18), 60 / (3 * 6)])[NUMBERS]

each_solver = pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])


def classifier(**settings: Any) -> MLPClassifier:
    shared = {"hidden_layer_sizes": (5,), "max_iter": 8, "random_state": 0}
    return MLPClassifier(**{**shared, "batch_size": 16, **settings})


def assert_same(a: MLPClassifier, b: MLPClassifier) -> None:
    for ours, theirs in zip(a.coefs_, b.coefs_, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12)


@each_solver
@pytest.mark.parametrize(
    ("y", "class_weight", "weights"),
    [
        (NUMBERS, "balanced", BALANCED),
        (WORDS, "balanced", BALANCED),
        (WORDS, {"cat": 4.0}, np.where(NUMBERS == 2, 4.0, 1.0)),
        (NUMBERS, {0: 0.5, 1: 2, 2: 3}, np.array([0.5, 2, 3])[NUMBERS]),
        (BINARY, "balanced", np.where(BINARY == 5, 60 / 90, 60 / 30)),
        (BINARY, {7: 0.0}, (BINARY == 5).astype(float)),
        (
            LABELS,
            [{0: 1, 1: 2}, {0: 1, 1: 5}],
            (1 + LABELS[:, 0]) * (1.0 + 4 * LABELS[:, 1]),
        ),
        (
            LABELS,
            "balanced",
            np.prod([30 / np.bincount(c)[c] for c in LABELS.T], axis=0),
        ),
    ],
    ids=str,
)
def test_class_weight_multiplies_sample_weight(
    solver: str, y: Any, class_weight: Any, weights: np.ndarray
) -> None:
    model = classifier(solver=solver, class_weight=class_weight)
    plain = classifier(solver=solver)
    assert_same(model.fit(X, y), plain.fit(X, y, sample_weight=weights))
    product = weights * SAMPLE_WEIGHT
    assert_same(
        model.fit(X, y, sample_weight=SAMPLE_WEIGHT),
        plain.fit(X, y, sample_weight=product),
    )


def test_sparse_indicators_weigh_as_dense_ones() -> None:
    model = classifier(class_weight="balanced")
    dense = model.fit(X, LABELS).coefs_[0]
    sparse = model.fit(X, scipy.sparse.csr_matrix(LABELS)).coefs_[0]
    np.testing.assert_array_equal(dense, sparse)


def test_weights_also_hold_for_the_samples_set_aside() -> None:
    model = classifier(class_weight={1: 7.0}, early_stopping=True).fit(X, NUMBERS)
    plain = classifier(early_stopping=True)
    plain.fit(X, NUMBERS, sample_weight=np.where(NUMBERS == 1, 7.0, 1.0))
    assert model.validation_scores_ == plain.validation_scores_
    assert model.validation_loss_curve_ == plain.validation_loss_curve_


def test_partial_fit_takes_a_dict_whatever_the_chunk_holds() -> None:
    weights = {0: 1.0, 2: 3.0, 1: 2.0}
    model, plain = classifier(class_weight=weights), classifier()
    for rows in (slice(0, 30), slice(30, 60)):  # the first holds class 0 only
        y = NUMBERS[rows]
        model.partial_fit(X[rows], y, classes=[0, 1, 2])
        plain.partial_fit(X[rows], y, sample_weight=y + 1.0, classes=[0, 1, 2])
    assert_same(model, plain)


def test_partial_fit_takes_a_chunk_without_a_label() -> None:
    weights = [{1: 3.0}, {0: 0.5, 1: 2.0}]
    model, plain = classifier(class_weight=weights), classifier()
    for rows in (slice(40, 60), slice(0, 40)):  # the first has no 1 in column 0
        y = LABELS[rows]
        of_rows = np.where(y[:, 0], 3.0, 1.0) * np.where(y[:, 1], 2.0, 0.5)
        model.partial_fit(X[rows], y, classes=[0, 1])
        plain.partial_fit(X[rows], y, sample_weight=of_rows, classes=[0, 1])
    assert_same(model, plain)


def test_partial_fit_refuses_balanced() -> None:
    model = classifier(class_weight="balanced")
    with pytest.raises(ValueError, match="'balanced' is not supported by partial_fit"):
        model.partial_fit(X, NUMBERS, classes=[0, 1, 2])
    assert set(vars(model)) == set(model.get_params())


@pytest.mark.parametrize(
    ("y", "class_weight", "said"),
    [
        (NUMBERS, {0: -1.0}, "class_weight must be finite and not negative, got"),
        (NUMBERS, {0: np.nan}, "class_weight must be finite and not negative, got"),
        (NUMBERS, {0: "a"}, "class_weight must hold numbers: .*'a'"),
        (NUMBERS, {0: 0, 1: 0, 2: 0}, "is zero for all samples"),
        (NUMBERS, [{0: 1}], "class_weight must be a dict or 'balanced'"),
        (LABELS, {0: 1}, "class_weight must be a list with a dict for each label"),
        (LABELS, [{1: 2.0}, {2: 1.0}], "a dict for each label, of weights for 0 and 1"),
        (LABELS, [{1: 2.0}, 1.0], "a dict for each label, of weights for 0 and 1"),
        (LABELS, [{0: "x"}, {}], "class_weight must hold numbers: .*'x'"),
        (LABELS, [{0: 1, 1: 1}], "(?i)number of elements in class_weight"),
        (NUMBERS, "even", "class_weight.*'balanced'"),
        (NUMBERS, 2.0, "class_weight"),
    ],
    ids=str,
)
def test_bad_class_weight_is_refused(y: Any, class_weight: Any, said: str) -> None:
    model = classifier(class_weight=class_weight)
    with pytest.raises(ValueError, match=said):
        model.fit(X, y)
    assert set(vars(model)) == set(model.get_params())


def test_balanced_finds_more_of_a_rare_class() -> None:
    signal = X.copy()
    signal[:, 0] += NUMBERS == 2
    found = []
    for class_weight in (None, "balanced"):
        model = classifier(class_weight=class_weight, max_iter=30)
        model.set_params(learning_rate_init=0.01).fit(signal, NUMBERS)
        found.append((model.predict(signal) == 2).sum())
    assert found[1] > found[0]


def test_sample_weight_must_hold_numbers() -> None:
    with pytest.raises(ValueError, match="sample_weight must hold numbers: .*'a'"):
        classifier().fit(X, NUMBERS, sample_weight=["a"] * len(X))
    with pytest.raises(ValueError, match="sample_weight must hold numbers: .*'a'"):
        MLPRegressor().fit(X, X[:, :2], sample_weight=[["a", "b"]] * len(X))
