"""Initial weights: their formulas, and what the estimators make of them."""

import copy
import pickle
from dataclasses import FrozenInstanceError
from math import sqrt
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone

from fastbp import MLPClassifier, MLPRegressor, initializers
from fastbp.initializers import (
    Constant,
    Given,
    GlorotNormal,
    GlorotUniform,
    HeNormal,
    HeUniform,
    Initializer,
    LeCunNormal,
    LeCunUniform,
    Orthogonal,
    Zeros,
    get_initializer,
)

rng = np.random.RandomState(0)
X = rng.standard_normal((50, 4))
TARGET = X @ rng.standard_normal(4)
CLASSES = np.digitize(TARGET, [-0.7, 0.7])

NAMES = {
    "glorot_normal": GlorotNormal,
    "glorot_uniform": GlorotUniform,
    "he_normal": HeNormal,
    "he_uniform": HeUniform,
    "lecun_normal": LeCunNormal,
    "lecun_uniform": LeCunUniform,
    "orthogonal": Orthogonal,
    "zeros": Zeros,
}
each_generator = pytest.mark.parametrize(
    "generator", [np.random.RandomState, np.random.default_rng]
)


def initial(estimator: Any = MLPRegressor, **settings: Any) -> Any:
    """Return an estimator after a step so small that the weights are the initial."""
    shared = {"hidden_layer_sizes": (5, 3), "max_iter": 1, "random_state": 7}
    tiny = {"solver": "sgd", "learning_rate_init": 1e-300, "alpha": 0}
    model = estimator(**{**shared, **tiny, **settings})
    return model.fit(X, TARGET if estimator is MLPRegressor else CLASSES)


# ------------------------------------------------------------------------ the functions


@each_generator
@pytest.mark.parametrize(
    ("initializer", "bound"),
    [
        (GlorotUniform(), sqrt(6 / 400)),
        (HeUniform(), sqrt(6 / 300)),
        (LeCunUniform(), sqrt(3 / 300)),
    ],
)
def test_uniform_weights_lie_within_the_bound(
    initializer: Any, bound: float, generator: Any
) -> None:
    weights = initializer(300, 100, generator(1))
    expected = generator(1).uniform(-bound, bound, (300, 100))
    np.testing.assert_allclose(weights, expected, rtol=1e-14)


@each_generator
@pytest.mark.parametrize(
    ("initializer", "deviation"),
    [
        (GlorotNormal(), sqrt(2 / 400)),
        (HeNormal(), sqrt(2 / 300)),
        (LeCunNormal(), sqrt(1 / 300)),
    ],
)
def test_normal_weights_have_the_deviation(
    initializer: Any, deviation: float, generator: Any
) -> None:
    weights = initializer(300, 100, generator(1))
    expected = generator(1).normal(0, deviation, (300, 100))
    np.testing.assert_allclose(weights, expected, rtol=1e-14)


# What xavier_ and kaiming_ functions of torch.nn.init, PyTorch 2.13, hand to uniform_
# and normal_ for a float64 tensor (200, 300), which is 300 inputs and 200 units there.
# kaiming with nonlinearity="relu" is He's, with "linear" it is LeCun's.
PYTORCH_BOUNDS = [
    (GlorotUniform(), 0.10954451150103321),
    (HeUniform(), 0.14142135623730948),
    (LeCunUniform(), 0.09999999999999998),
]
PYTORCH_DEVIATIONS = [
    (GlorotNormal(), 0.06324555320336758),
    (HeNormal(), 0.0816496580927726),
    (LeCunNormal(), 0.05773502691896257),
]


@pytest.mark.parametrize(("initializer", "bound"), PYTORCH_BOUNDS, ids=repr)
def test_largest_weight_is_at_the_bound_of_pytorch(
    initializer: Any, bound: float
) -> None:
    weights = initializer(300, 200, np.random.default_rng(0))
    assert 0.999 * bound < np.abs(weights).max() <= bound * (1 + 1e-14)
    assert weights.std() == pytest.approx(bound / sqrt(3), rel=0.01)


@pytest.mark.parametrize(("initializer", "deviation"), PYTORCH_DEVIATIONS, ids=repr)
def test_deviation_is_that_of_pytorch(initializer: Any, deviation: float) -> None:
    weights = initializer(300, 200, np.random.default_rng(0))
    assert weights.std() == pytest.approx(deviation, rel=0.01)
    assert abs(weights.mean()) < 5 * deviation / sqrt(weights.size)


@pytest.mark.parametrize("size", [(9, 4), (4, 9)])
def test_orthogonal_has_the_singular_values_of_pytorch(size: tuple[int, int]) -> None:
    # torch.linalg.svdvals of orthogonal_, gain=calculate_gain("relu"), of both shapes.
    weights = Orthogonal(1.4142135623730951)(*size, np.random.default_rng(0))
    singular = np.linalg.svd(weights, compute_uv=False)
    np.testing.assert_allclose(singular, [1.4142135623730951] * 4, rtol=1e-13)


def test_many_weights_are_drawn_from_one_stream() -> None:
    weights = LeCunNormal()(1, 2**20 + 3, np.random.RandomState(0))
    expected = np.random.RandomState(0).standard_normal(2**20 + 3)
    np.testing.assert_array_equal(weights[0], expected)


def test_he_normal_keeps_the_signal_through_rectified_layers() -> None:
    stream = np.random.RandomState(3)
    signal = stream.standard_normal((200, 256))
    before = (signal**2).mean()
    for _ in range(20):
        signal = np.maximum(signal @ HeNormal()(256, 256, stream), 0)
    # Half of the mean square of the pre-activations, which is kept, passes a ReLU.
    assert 0.5 < 2 * (signal**2).mean() / (2 * before) < 2


@pytest.mark.parametrize("size", [(6, 6), (9, 4), (4, 9), (1, 5)])
def test_orthogonal_has_orthonormal_rows_or_columns(size: tuple[int, int]) -> None:
    weights = Orthogonal(gain=1.5)(*size, np.random.RandomState(0))
    assert weights.shape == size
    smaller = weights.T @ weights if size[0] >= size[1] else weights @ weights.T
    np.testing.assert_allclose(smaller, 1.5**2 * np.eye(min(size)), atol=1e-13)


def test_orthogonal_takes_all_directions_alike() -> None:
    # Without the signs of R the diagonal of Q would be of one sign.
    stream = np.random.RandomState(0)
    corners = [Orthogonal()(3, 3, stream)[0, 0] for _ in range(200)]
    assert abs(np.mean(np.sign(corners))) < 0.3


def test_plain_weights_are_what_they_are_called() -> None:
    given = np.arange(6).reshape(2, 3)
    stream = np.random.RandomState(0)
    np.testing.assert_array_equal(Zeros()(2, 3, stream), np.zeros((2, 3)))
    np.testing.assert_array_equal(Constant(0.5)(2, 3, stream), np.full((2, 3), 0.5))
    np.testing.assert_array_equal(Given(given)(2, 3, stream), given)


def test_given_keeps_a_copy_and_gives_another() -> None:
    array = np.ones((2, 3))
    initializer = Given(array)
    array[:] = 2
    initializer(2, 3, np.random.RandomState(0))[:] = 3
    np.testing.assert_array_equal(
        initializer(2, 3, np.random.RandomState(0)), np.ones((2, 3))
    )


def test_given_for_another_layer_is_refused() -> None:
    with pytest.raises(ValueError, match=r"shape \(2, 3\), the layer needs \(3, 2\)"):
        Given(np.ones((2, 3)))(3, 2, np.random.RandomState(0))


@pytest.mark.parametrize("size", [(0, 3), (3, 0), (2.5, 3), (-1, 3)])
def test_impossible_layer_is_refused(size: Any) -> None:
    with pytest.raises(ValueError, match="fan_.* must be an integer of at least 1"):
        HeNormal()(*size, np.random.RandomState(0))


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (
            lambda: Orthogonal(gain=0),
            r"gain of Orthogonal .* in \(0, inf\), got 0",
        ),
        (lambda: Orthogonal(gain="1"), "gain of Orthogonal must be a finite number"),
        (lambda: Constant(np.nan), "value of Constant must be a finite number"),
        (lambda: Constant(True), "value of Constant .* got True"),
        (lambda: Given([1.0, 2.0]), "array of Given must be a matrix of numbers"),
        (lambda: Given([["a"]]), "array of Given must be a matrix of numbers"),
        (lambda: Given([[np.inf]]), "array of Given must be finite"),
        (lambda: Given(np.ones((0, 2))), "array of Given must be a matrix"),
    ],
)
def test_bad_setting_is_refused_by_name(build: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build()


# --------------------------------------------------------------------- as small objects


@pytest.mark.parametrize("name", NAMES)
def test_name_stands_for_the_default_object(name: str) -> None:
    assert get_initializer(name) == NAMES[name]()
    assert initializers.INITIALIZERS == NAMES


@pytest.mark.parametrize("wrong", ["glorot", 3, None, GlorotNormal])
def test_unknown_initializer_is_refused_with_the_names(wrong: Any) -> None:
    with pytest.raises(ValueError, match="'glorot_normal', .*'zeros'.*got"):
        get_initializer(wrong)


@pytest.mark.parametrize(
    "initializer", [GlorotNormal(), Orthogonal(2.0), Constant(0.1), Zeros()], ids=repr
)
def test_object_is_immutable_and_shown_as_it_is_written(initializer: Any) -> None:
    assert eval(repr(initializer), vars(initializers)) == initializer
    with pytest.raises(FrozenInstanceError):
        initializer.gain = 3
    for twin in (copy.deepcopy(initializer), pickle.loads(pickle.dumps(initializer))):
        assert twin == initializer


def test_given_is_shown_by_its_shape() -> None:
    assert repr(Given(np.ones((2, 3)))) == "Given(array of shape (2, 3))"


# --------------------------------------------------------------- in the estimators


@pytest.mark.parametrize("estimator", [MLPClassifier, MLPRegressor])
def test_weights_are_drawn_layer_after_layer_and_biases_are_zero(
    estimator: Any,
) -> None:
    model = initial(estimator, weight_init="he_uniform")
    stream = np.random.RandomState(7)
    n_out = 1 if estimator is MLPRegressor else 3
    for coef, size in zip(model.coefs_, [(4, 5), (5, 3), (3, n_out)], strict=True):
        bound = sqrt(6 / size[0])
        expected = stream.uniform(-bound, bound, size)
        np.testing.assert_allclose(coef, expected, rtol=1e-14)
    assert np.abs(np.concatenate(model.intercepts_)).max() < 1e-290


def test_lbfgs_starts_from_them_too() -> None:
    settings = {"hidden_layer_sizes": (), "tol": 1e9}  # the first gradient is enough
    model = initial(solver="lbfgs", weight_init=Constant(0.25), **settings)
    residuals = X.sum(axis=1) / 4 - TARGET
    assert model.loss_ == pytest.approx(0.5 * (residuals**2).mean())


def test_each_layer_may_have_its_own() -> None:
    settings = {"hidden_layer_sizes": (5,), "dtype": "float32"}
    weights = [Given(np.ones((4, 5))), "zeros"]
    model = initial(weight_init=weights, **settings)
    np.testing.assert_array_equal(model.coefs_[0], np.ones((4, 5), np.float32))
    np.testing.assert_array_equal(model.coefs_[1], np.zeros((5, 1), np.float32))
    assert {a.dtype for a in model.coefs_ + model.intercepts_} == {np.dtype("float32")}


class OfShape(Initializer):
    """What a user may write, and get wrong."""

    def __init__(self, weights: Any) -> None:
        self.weights = weights

    def __call__(self, fan_in: int, fan_out: int, rng: Any) -> Any:
        return self.weights

    def __repr__(self) -> str:
        return "OfShape"


def ascending(fan_in: int, fan_out: int, rng: Any) -> list[list[int]]:
    return [[1 + i] * fan_out for i in range(fan_in)]


@pytest.mark.parametrize("own", [OfShape([[1], [2], [3], [4]]), ascending, [ascending]])
def test_initializer_of_ones_own_is_used(own: Any) -> None:
    model = initial(weight_init=own, hidden_layer_sizes=())
    np.testing.assert_array_equal(model.coefs_[0], [[1.0], [2.0], [3.0], [4.0]])


@pytest.mark.parametrize(
    ("weight_init", "message"),
    [
        ("he", "'weight_init' parameter .* must be"),
        (3, "'weight_init' parameter .* must be"),
        (["zeros", "zeros"], "weight_init must be one .* each of the 1 .* got 2"),
        (["he"], r"weight_init\[0\]: an initializer must be one of"),
        (OfShape(np.ones((1, 4))), r"OfShape must return .* \(4, 1\), got .* \(1, 4\)"),
        (OfShape([["a"]] * 4), "OfShape must return an array of numbers"),
        (OfShape([[1.0], []] * 2), "array of weight_init: OfShape must hold numbers"),
        (OfShape([[np.nan]] * 4), "OfShape must return finite numbers of float64"),
    ],
)
def test_bad_weight_init_is_refused(weight_init: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        initial(weight_init=weight_init, hidden_layer_sizes=())


def test_weight_init_that_overflows_float32_is_refused() -> None:
    with pytest.raises(ValueError, match="finite numbers of float32"):
        initial(weight_init=Constant(1e300), dtype="float32")


def test_weight_init_survives_clone_and_pickle() -> None:
    model = initial(weight_init=Orthogonal(gain=2.0))
    assert clone(model).weight_init == Orthogonal(gain=2.0)
    twin = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(twin.predict(X), model.predict(X))
    assert repr(clone(model).set_params(weight_init="zeros")).count("'zeros'") == 1


def test_warm_start_goes_on_from_the_weights_that_are_there() -> None:
    model = initial(weight_init="he_normal", warm_start=True)
    before = model.coefs_[0].copy()
    model.set_params(weight_init="zeros").fit(X, TARGET)
    np.testing.assert_array_equal(model.coefs_[0], before)
