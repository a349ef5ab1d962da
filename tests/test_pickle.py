"""Pickles: how large, what is in them, and that what comes back is the same model."""

import copy
import io
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import cloudpickle
import joblib
import numpy as np
import pytest
from sklearn.base import clone

import fastbp
from fastbp import MLPClassifier, MLPRegressor

rng = np.random.RandomState(0)
X = rng.standard_normal((100, 200))
TARGET = X[:, :3] @ rng.standard_normal((3, 3))
CLASSES = TARGET.argmax(axis=1)
Model = MLPClassifier | MLPRegressor

each_estimator = pytest.mark.parametrize("estimator", [MLPClassifier, MLPRegressor])


def model_of(estimator: type[Model], **settings: Any) -> Model:
    return estimator(
        **{
            "hidden_layer_sizes": (100, 50),
            "max_iter": 3,
            "random_state": 0,
            **settings,
        }
    )


def fitted(estimator: type[Model], **settings: Any) -> Model:
    return model_of(estimator, **settings).fit(X, CLASSES)


def partially_fitted(estimator: type[Model], calls: int, **settings: Any) -> Model:
    model = model_of(estimator, **settings)
    for _ in range(calls):
        train_on(model)
    return model


def train_on(model: Model) -> None:
    kwargs = {"classes": [0, 1, 2]} if isinstance(model, MLPClassifier) else {}
    model.partial_fit(X, CLASSES, **kwargs)


def relative_size(model: Model) -> float:
    """Bytes of the pickle for a byte of weights."""
    weights = sum(a.nbytes for a in [*model.coefs_, *model.intercepts_])
    return len(pickle.dumps(model)) / weights


def outputs(model: Model) -> np.ndarray:
    return getattr(model, "predict_proba", model.predict)(X)


# ---------------------------------------------------------------------------- sizes


@each_estimator
@pytest.mark.parametrize(
    "settings",
    [
        {"solver": "adam"},
        {"solver": "sgd"},
        {"solver": "lbfgs"},
        {"early_stopping": True},
        {"solver": "sgd", "early_stopping": True},
    ],
    ids=str,
)
def test_fitted_model_is_little_more_than_its_weights(
    estimator: type[Model], settings: dict[str, Any]
) -> None:
    assert relative_size(fitted(estimator, **settings)) <= 1.1


@each_estimator
@pytest.mark.parametrize(
    ("solver", "momentum", "most"),
    [("adam", 0.9, 3.1), ("nadam", 0.9, 3.1), ("lion", 0.9, 2.1), ("sgd", 0.9, 2.1)],
)
def test_resumable_model_has_the_optimizer_state_too(
    estimator: type[Model], solver: str, momentum: float, most: float
) -> None:
    settings = {"solver": solver, "momentum": momentum}
    partial = partially_fitted(estimator, 2, **settings)
    warm = fitted(estimator, warm_start=True, **settings)
    # Without state it would be below: then training could not go on as it was.
    for model in (partial, warm):
        assert most - 0.2 < relative_size(model) < most


def test_float32_model_is_half_the_size() -> None:
    single = len(pickle.dumps(fitted(MLPClassifier, dtype="float32")))
    assert single < 0.55 * len(pickle.dumps(fitted(MLPClassifier)))


# ---------------------------------------------------------------------- there and back


@each_estimator
@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_pickle_predicts_the_same(estimator: type[Model], protocol: int) -> None:
    model = fitted(estimator)
    back = pickle.loads(pickle.dumps(model, protocol))
    np.testing.assert_array_equal(outputs(back), outputs(model))
    assert back.get_params() == model.get_params()
    assert back.loss_curve_ == model.loss_curve_
    assert repr(back) == repr(model)


@each_estimator
@pytest.mark.parametrize(
    "back_and_forth",
    [
        copy.deepcopy,
        copy.copy,
        lambda model: pickle.loads(cloudpickle.dumps(model)),
        lambda model: pickle.loads(pickle.dumps([model, model]))[1],
    ],
    ids=["deepcopy", "copy", "cloudpickle", "in a list"],
)
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_copy_predicts_the_same(
    estimator: type[Model], back_and_forth: Any, solver: str
) -> None:
    model = fitted(estimator, solver=solver)
    np.testing.assert_array_equal(outputs(back_and_forth(model)), outputs(model))


def test_deep_copy_is_independent() -> None:
    model = partially_fitted(MLPClassifier, 1)
    expected = outputs(model)
    train_on(copy.deepcopy(model))
    np.testing.assert_array_equal(outputs(model), expected)


@each_estimator
def test_untrained_model_can_be_pickled(estimator: type[Model]) -> None:
    model = model_of(estimator)
    back = pickle.loads(pickle.dumps(model))
    assert vars(back) == vars(model)
    np.testing.assert_array_equal(
        outputs(back.fit(X, CLASSES)), outputs(model.fit(X, CLASSES))
    )


@each_estimator
def test_clone_has_the_parameters_only(estimator: type[Model]) -> None:
    model = fitted(estimator, dtype="float32", n_jobs=2)
    cloned = clone(model)
    assert cloned.get_params() == model.get_params()
    assert set(vars(cloned)) == set(model.get_params())
    np.testing.assert_array_equal(outputs(cloned.fit(X, CLASSES)), outputs(model))


@each_estimator
@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_training_goes_on_after_pickling_as_without(
    estimator: type[Model], solver: str
) -> None:
    settings = {"solver": solver, "shuffle": False}
    back = pickle.loads(pickle.dumps(partially_fitted(estimator, 2, **settings)))
    train_on(back)
    whole = partially_fitted(estimator, 3, **settings)
    np.testing.assert_array_equal(outputs(back), outputs(whole))
    assert back.loss_curve_ == whole.loss_curve_


@each_estimator
def test_random_stream_goes_on_after_pickling(estimator: type[Model]) -> None:
    model = partially_fitted(estimator, 2)
    back = pickle.loads(pickle.dumps(model))
    train_on(model)
    train_on(back)
    np.testing.assert_array_equal(outputs(back), outputs(model))


def test_plainly_fitted_model_trains_on_after_pickling() -> None:
    # Its optimizer state is not in the pickle: it starts anew.
    back = pickle.loads(pickle.dumps(fitted(MLPClassifier)))
    train_on(back)
    assert np.isfinite(outputs(back)).all()
    assert len(back.loss_curve_) == 4


@each_estimator
@pytest.mark.parametrize("order", ["C", "mapped"])
def test_memory_mapped_model_predicts_and_trains_on(
    estimator: type[Model], order: str, tmp_path: Path
) -> None:
    model = partially_fitted(estimator, 2, shuffle=False)
    file = tmp_path / "model.joblib"
    joblib.dump(model, file)
    content = file.read_bytes()
    mapped = joblib.load(file, mmap_mode="r" if order == "mapped" else None)
    if order == "mapped":
        assert isinstance(mapped.coefs_[0], np.memmap)
        assert not mapped.coefs_[0].flags.writeable
    np.testing.assert_array_equal(outputs(mapped), outputs(model))
    train_on(mapped)
    train_on(model)
    np.testing.assert_array_equal(outputs(mapped), outputs(model))
    assert file.read_bytes() == content


@pytest.mark.slow
def test_model_loads_in_another_process(tmp_path: Path) -> None:
    model = fitted(MLPClassifier)
    (tmp_path / "model.pickle").write_bytes(pickle.dumps(model))
    np.save(tmp_path / "X.npy", X)
    code = (
        "import pickle, sys, numpy as np\n"
        "model = pickle.load(open('model.pickle', 'rb'))\n"
        "np.save('proba.npy', model.predict_proba(np.load('X.npy')))\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, timeout=60)
    np.testing.assert_array_equal(np.load(tmp_path / "proba.npy"), outputs(model))


# ------------------------------------------------------------------------- contents


def modules_in(pickled: bytes) -> set[str]:
    """Top-level modules that unpickling imports from."""

    class Spy(pickle.Unpickler):
        found: set[str] = set()

        def find_class(self, module: str, name: str) -> Any:
            self.found.add(module.partition(".")[0])
            return super().find_class(module, name)

    Spy(io.BytesIO(pickled)).load()
    return Spy.found


@each_estimator
@pytest.mark.parametrize("protocol", [2, pickle.HIGHEST_PROTOCOL])
def test_pickle_holds_python_numpy_and_scikit_learn_only(
    estimator: type[Model], protocol: int
) -> None:
    for model in (fitted(estimator), partially_fitted(estimator, 2)):
        modules = modules_in(pickle.dumps(model, protocol))
        known = {"builtins", "copyreg", "_codecs", "numpy", "fastbp", "sklearn"}
        assert modules <= known


@each_estimator
def test_fitted_state_has_no_second_copy_of_the_weights(
    estimator: type[Model],
) -> None:
    state = fitted(estimator, early_stopping=True).__getstate__()
    large = [name for name, value in state.items() if len(pickle.dumps(value)) > 10**5]
    assert large == ["coefs_"]


def test_state_says_which_version_wrote_it() -> None:
    state = fitted(MLPClassifier).__getstate__()
    assert state["_fastbp_version"] == fastbp.__version__
    assert "_fastbp_version" not in vars(
        pickle.loads(pickle.dumps(fitted(MLPRegressor)))
    )


def test_unpickling_takes_weights_of_the_other_byte_order() -> None:
    model = fitted(MLPClassifier)
    state = model.__getstate__()
    for name in ("coefs_", "intercepts_"):
        state[name] = [a.astype(a.dtype.newbyteorder("S")) for a in state[name]]
    swapped = MLPClassifier()
    swapped.__setstate__(state)
    np.testing.assert_array_equal(outputs(swapped), outputs(model))


# ------------------------------------------------- parameters that do not fit any more


@pytest.mark.parametrize(
    "parameters",
    [
        {"hidden_layer_sizes": (8,) * 5, "activation": ["relu", "tanh"] * 2 + ["elu"]},
        {"n_jobs": 0},
        {"activation": "nope"},
    ],
    ids=str,
)
def test_model_with_other_parameters_is_copied(parameters: dict[str, Any]) -> None:
    model = fitted(MLPClassifier)
    expected = outputs(model)
    model.set_params(**parameters)
    pickled, copied = pickle.loads(pickle.dumps(model)), copy.deepcopy(model)
    with pytest.raises(AttributeError, match="did not fit its weights"):
        _ = pickled.feature_importances_
    for other in (pickled, copied):
        other.set_params(**fitted(MLPClassifier).get_params())
        np.testing.assert_array_equal(outputs(other), expected)


@pytest.mark.parametrize("make", [copy.copy, copy.deepcopy])
def test_copy_of_a_plainly_fitted_model_trains_on_as_the_model_does(make: Any) -> None:
    model = MLPRegressor(hidden_layer_sizes=4, max_iter=3, random_state=0)
    train_on(model)
    copied = make(model)
    for one in (model, copied):
        one.set_params(warm_start=True)
        train_on(one)
    assert model._optimizer.t == copied._optimizer.t > 0
    np.testing.assert_array_equal(model.coefs_[0], copied.coefs_[0])
