"""The stochastic solvers of the estimators, and what limits weights and gradients."""

import pickle
import warnings
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_digits

import fastbp
from fastbp import MLPClassifier, MLPRegressor, Trainer, config_context, optimizers
from fastbp.layers import Dense
from fastbp.optimizers import SGD, AdamW, Lion
from fastbp.optimizers import Adam as AdamObject
from fastbp.optimizers import Optimizer as BaseOptimizer
from reference import Adam, Network, Optimizer, run_epoch
from reference.optimizers import OPTIMIZERS

rng = np.random.RandomState(2)
X = rng.standard_normal((90, 6))
Y = X @ rng.standard_normal((6, 3))
CLASSES = Y.argmax(axis=1)

SOLVERS = ("sgd", "adam", "adamw", "rmsprop", "adagrad", "nadam", "lion")
LIMITS: dict[str, Any] = {
    "weight_decay": 0.5,
    "l1": 0.3,
    "max_norm": 0.8,
    "clip_norm": 0.1,
}

each_estimator = pytest.mark.parametrize("estimator", [MLPClassifier, MLPRegressor])
each_solver = pytest.mark.parametrize("solver", SOLVERS)
each_limit = pytest.mark.parametrize("name", LIMITS)


def model_of(estimator: Any = MLPRegressor, **settings: Any) -> Any:
    defaults = {
        "hidden_layer_sizes": (10,),
        "batch_size": 32,
        "random_state": 0,
        "learning_rate_init": 0.01,
    }
    return estimator(**{**defaults, **settings})


def target_of(estimator: Any) -> np.ndarray:
    return CLASSES if estimator is MLPClassifier else Y


def parameters(model: Any) -> list[np.ndarray]:
    return [*model.coefs_, *model.intercepts_]


def assert_same_weights(first: Any, second: Any) -> None:
    for a, b in zip(parameters(first), parameters(second), strict=True):
        np.testing.assert_array_equal(a, b)


def differ(first: Any, second: Any) -> bool:
    return any(
        (a != b).any()
        for a, b in zip(parameters(first), parameters(second), strict=True)
    )


def trained_by_reference(
    optimizer: Optimizer, n_epochs: int, **penalties: float
) -> tuple[Network, list[float]]:
    """The network of ``model_of(shuffle=False, activation="tanh")``, and its losses."""
    stream = np.random.RandomState(0)
    coefs, intercepts = [], []
    for fan_in, fan_out in pairwise((6, 10, 3)):
        bound = np.sqrt(6 / (fan_in + fan_out))
        coefs.append(stream.uniform(-bound, bound, (fan_in, fan_out)))
        intercepts.append(stream.uniform(-bound, bound, fan_out))
    network = Network(coefs, intercepts, "tanh", "squared_error")
    settings = {"batch_size": 32, "learning_rate": 0.01, **penalties}
    losses = [run_epoch(network, optimizer, X, Y, **settings) for _ in range(n_epochs)]
    return network, [loss / len(X) for loss in losses]


# ------------------------------------------------------------------- the right numbers


@each_solver
@pytest.mark.parametrize("name", [None, *LIMITS])
def test_fit_agrees_with_reference(solver: str, name: str | None) -> None:
    limits = {} if name is None else {name: LIMITS[name]}
    options = {} if solver in ("sgd", "adagrad") else {"beta_2": 0.99}
    settings = {"solver": solver, "alpha": 0.2, **options, **limits}
    model = model_of(activation="tanh", shuffle=False, max_iter=5, **settings)
    model.fit(X, Y)

    rule = {"sgd": "nesterov", "adamw": "adam"}.get(solver, solver)
    if solver == "adamw":
        options["weight_decay"] = 0.01
    penalties = {"alpha": 0.2, "l1": limits.pop("l1", 0.0)}
    optimizer = OPTIMIZERS[rule](**{**options, **limits})
    network, losses = trained_by_reference(optimizer, 5, **penalties)
    for got, expected in zip(parameters(model), network.parameters, strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-10)
    np.testing.assert_allclose(model.loss_curve_, losses, rtol=1e-9)


# Computed once with PyTorch 2.13 in float64: W and b after five steps of torch.optim's
# SGD, RMSprop, Adagrad, Adam, AdamW and NAdam, from START, with the gradients of
# ((Q @ W + b - R) ** 2).sum() / 2 / 3. `betas` there, and the `alpha` of its RMSprop,
# are beta_1 and beta_2 here. Two differences are left out: its Adam adds epsilon to the
# corrected sqrt(v), ours to sqrt(v) as it is, so there epsilon is tiny; its AdamW
# shrinks biases as well, so they were in a parameter group with weight_decay=0.
Q = [[1.0, -2.0], [0.5, 1.5], [-1.0, 0.25]]
R = [[0.5, -1.0], [2.0, 0.0], [-0.75, 1.25]]
START = {"weights": [[0.3, -0.2], [0.1, 0.4]], "bias_values": [0.05, -0.1]}
PYTORCH = [
    (
        optimizers.SGD(0.1),
        [[0.5589265416837, -0.3759578839721], [0.3053119822532, 0.3276949863468]],
        [0.2467131442962, 0.006707738149101],
    ),
    (
        optimizers.SGD(0.1, momentum=0.8),
        [[0.8879916711687, -0.5997929620007], [0.5403379261491, 0.2414187454011]],
        [0.4815944386394, 0.1380608437143],
    ),
    (
        optimizers.SGD(0.1, momentum=0.8, nesterov=True),
        [[0.9702730668578, -0.6595632447401], [0.5454765266946, 0.2298810413944]],
        [0.4961453612512, 0.161180959471],
    ),
    (
        optimizers.RMSprop(0.1, 0.8, 0.05),
        [[0.8958242534501, -0.7336776445818], [0.4944901519879, 0.1939647918909]],
        [0.4578283565569, 0.2089234421979],
    ),
    (
        optimizers.Adagrad(0.1, 0.05),
        [[0.5890715114976, -0.4799361240632], [0.3456447780138, 0.2660048872973]],
        [0.3048324753359, 0.115212418983],
    ),
    (
        optimizers.Adam(0.1, 0.8, 0.95, 1e-12),
        [[0.7923276748616, -0.6910787314164], [0.5334690861137, 0.2467869979101]],
        [0.5065109876497, 0.2900847693084],
    ),
    (
        optimizers.AdamW(0.1, 0.8, 0.95, 1e-12, weight_decay=0.2),
        [[0.7449545344679, -0.6538063400771], [0.5093174549284, 0.2552453428666]],
        [0.5073248179763, 0.2874241252028],
    ),
    (
        optimizers.NAdam(0.1, 0.8, 0.95, 0.05),
        [[0.6919406805537, -0.5730136550474], [0.4182680020262, 0.2427473024626]],
        [0.3832279115087, 0.1682355728334],
    ),
]


@pytest.mark.parametrize(
    ("optimizer", "weights", "biases"), PYTORCH, ids=[repr(o) for o, *_ in PYTORCH]
)
def test_five_steps_lead_where_pytorchs_do(
    optimizer: optimizers.Optimizer, weights: Any, biases: Any
) -> None:
    network = fastbp.Network([Dense(2, **START)], n_in=2)
    Trainer(network, "squared_error", optimizer, batch_size=None).fit(Q, R, 5)
    for name, expected in (("weights", weights), ("biases", biases)):
        got = network.parameters[f"dense_0.{name}"]
        np.testing.assert_allclose(got, expected, rtol=1e-11)


def test_default_decay_of_adamw_is_one_percent() -> None:
    default = model_of(solver="adamw", max_iter=3).fit(X, Y)
    assert_same_weights(
        default, model_of(solver="adam", weight_decay=0.01, max_iter=3).fit(X, Y)
    )
    network, _ = trained_by_reference(Adam(weight_decay=0.01), 3, alpha=0.0001)
    model = model_of(solver="adamw", max_iter=3, shuffle=False, activation="tanh")
    np.testing.assert_allclose(
        model.fit(X, Y).coefs_[0], network.coefs[0], rtol=1e-9, atol=1e-12
    )


def test_adamw_without_decay_is_adam() -> None:
    adamw = model_of(solver="adamw", weight_decay=0.0, max_iter=3).fit(X, Y)
    assert_same_weights(adamw, model_of(solver="adam", max_iter=3).fit(X, Y))


@pytest.mark.parametrize("solver", sorted(set(SOLVERS) - {"adamw"}))
def test_default_decay_of_other_solvers_is_zero(solver: str) -> None:
    default = model_of(solver=solver, max_iter=3).fit(X, Y)
    none = model_of(solver=solver, weight_decay=0, max_iter=3).fit(X, Y)
    assert_same_weights(default, none)


@each_estimator
@each_solver
def test_weights_into_a_unit_are_not_longer_than_max_norm(
    estimator: Any, solver: str
) -> None:
    model = model_of(estimator, solver=solver, max_norm=0.5, max_iter=3)
    model.fit(X, target_of(estimator))
    for W in model.coefs_:
        assert np.linalg.norm(W, axis=0).max() <= 0.5 * (1 + 1e-14)


@each_solver
def test_l1_makes_weights_smaller(solver: str) -> None:
    settings = {"solver": solver, "max_iter": 100, "tol": 0.0}
    plain = model_of(**settings).fit(X, Y)
    small = model_of(l1=3.0, **settings).fit(X, Y)
    assert sum(abs(W).sum() for W in small.coefs_) < 0.85 * sum(
        abs(W).sum() for W in plain.coefs_
    )


@each_solver
def test_solver_learns_digits(solver: str) -> None:
    images, labels = load_digits(return_X_y=True)
    rate = {"sgd": 0.1, "adagrad": 0.03, "lion": 0.002}.get(solver, 0.003)
    model = MLPClassifier(
        (32,), solver=solver, learning_rate_init=rate, max_iter=30, random_state=0
    )
    model.fit(images[:1200] / 16, labels[:1200])
    assert model.score(images[1200:] / 16, labels[1200:]) > 0.88


# --------------------------------------------------------------------------- going on


@each_estimator
@each_solver
@pytest.mark.parametrize("limits", [{}, LIMITS], ids=["plain", "limits"])
def test_two_calls_of_partial_fit_are_two_epochs_of_fit(
    estimator: Any, solver: str, limits: dict[str, Any]
) -> None:
    y = target_of(estimator)
    settings = {"solver": solver, **limits}
    whole = model_of(estimator, max_iter=2, **settings).fit(X, y)
    parts = model_of(estimator, **settings)
    for _ in range(2):
        kwargs = {"classes": [0, 1, 2]} if estimator is MLPClassifier else {}
        parts.partial_fit(X, y, **kwargs)
    assert_same_weights(whole, parts)
    assert parts.loss_curve_ == whole.loss_curve_


@each_solver
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_resumable_model_goes_on_after_pickling(solver: str, dtype: str) -> None:
    model = model_of(solver=solver, dtype=dtype, **LIMITS)
    for _ in range(2):
        model.partial_fit(X, Y)
    back = pickle.loads(pickle.dumps(model))
    assert back.get_params() == model.get_params()
    assert_same_weights(back.partial_fit(X, Y), model.partial_fit(X, Y))


@each_solver
def test_warm_start_goes_on_from_the_weights(solver: str) -> None:
    settings = {"solver": solver, "max_iter": 2, "shuffle": False, **LIMITS}
    warm = model_of(warm_start=True, **settings).fit(X, Y)
    other = model_of(warm_start=True, **settings).fit(X, Y)
    other = pickle.loads(pickle.dumps(other))
    assert_same_weights(warm.fit(X, Y), other.fit(X, Y))
    assert len(warm.loss_curve_) == 4
    assert warm.loss_curve_[2] < warm.loss_curve_[0]


@pytest.mark.parametrize("second", SOLVERS)
def test_another_solver_starts_with_moments_of_its_own(second: str) -> None:
    # The velocities of sgd are negative as often as not: squares they are not.
    model = model_of(solver="sgd", shuffle=False).partial_fit(X, Y)
    model.set_params(solver=second)
    if second != "sgd":
        fresh = model_of(solver=second, shuffle=False, learning_rate_init=1e-300)
        fresh.partial_fit(X, Y)
        fresh.coefs_ = [W.copy() for W in model.coefs_]
        fresh.intercepts_ = [b.copy() for b in model.intercepts_]
        del fresh._optimizer
        fresh.set_params(learning_rate_init=0.01)
        assert_same_weights(model.partial_fit(X, Y), fresh.partial_fit(X, Y))
    assert np.isfinite(model.partial_fit(X, Y).predict(X)).all()


@each_solver
def test_limits_may_change_between_calls(solver: str) -> None:
    model = model_of(solver=solver).partial_fit(X, Y)
    longest = np.linalg.norm(model.coefs_[0], axis=0).max()
    model.set_params(max_norm=longest / 2).partial_fit(X, Y)
    assert np.linalg.norm(model.coefs_[0], axis=0).max() <= longest / 2 * (1 + 1e-14)


@each_solver
def test_failed_fit_leaves_the_model_as_it_was(solver: str) -> None:
    model = model_of(solver=solver, max_iter=2, warm_start=True, **LIMITS).fit(X, Y)
    before = pickle.dumps(model.__dict__)
    too_large = X.copy()
    too_large[5] = 1e308
    model.set_params(max_norm=None, clip_norm=None, activation="identity")
    changed = pickle.dumps(model.__dict__)
    assert changed != before
    with pytest.raises(ValueError, match="non-finite"):
        model.fit(too_large, Y)
    assert pickle.dumps(model.__dict__) == changed


# ------------------------------------------------------------------------- same bits


@each_solver
@pytest.mark.parametrize("limits", [{}, LIMITS], ids=["plain", "limits"])
@pytest.mark.parametrize("store", [np.asarray, sparse.csr_array], ids=["dense", "csr"])
def test_threads_change_nothing(solver: str, limits: Any, store: Any) -> None:
    large = np.repeat(np.maximum(X, 0), 5, axis=0)
    target = np.repeat(Y, 5, axis=0)
    settings = {"hidden_layer_sizes": (200, 150), "batch_size": 200, "max_iter": 2}
    one, three = (
        model_of(solver=solver, n_jobs=n, **settings, **limits).fit(
            store(large), target
        )
        for n in (1, 3)
    )
    assert_same_weights(one, three)


@each_solver
def test_blas_agrees_with_the_built_in_kernels(solver: str) -> None:
    settings = {"max_iter": 3, "solver": solver, "activation": "tanh", **LIMITS}
    builtin = model_of(**settings).fit(X, Y)
    with config_context(gemm="blas"):
        blas = model_of(**settings).fit(X, Y)
    for a, b in zip(parameters(builtin), parameters(blas), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-10)


# ------------------------------------------------------------------------- parameters


@each_estimator
def test_new_parameters_are_neutral(estimator: Any) -> None:
    defaults = {"weight_decay": None, "l1": 0.0, "max_norm": None, "clip_norm": None}
    assert {k: estimator().get_params()[k] for k in defaults} == defaults
    cloned = clone(estimator(**LIMITS))
    assert {k: cloned.get_params()[k] for k in LIMITS} == LIMITS


@each_limit
@each_solver
def test_limit_has_an_effect_with_each_solver(name: str, solver: str) -> None:
    plain = model_of(solver=solver, max_iter=2).fit(X, Y)
    limited = model_of(solver=solver, max_iter=2, **{name: LIMITS[name]}).fit(X, Y)
    # Lion steps by signs: the length of a gradient hardly matters to it.
    assert differ(plain, limited) or (name, solver) == ("clip_norm", "lion")


@each_estimator
@each_limit
def test_lbfgs_refuses_by_name(estimator: Any, name: str) -> None:
    model = model_of(estimator, solver="lbfgs", **{name: LIMITS[name]})
    with pytest.raises(ValueError, match=rf"{name}={LIMITS[name]} .*solver='lbfgs'"):
        model.fit(X, target_of(estimator))
    assert not hasattr(model, "coefs_")


def test_lbfgs_takes_neutral_values() -> None:
    neutral = {"weight_decay": 0.0, "l1": 0, "max_norm": None, "clip_norm": None}
    assert_same_weights(
        model_of(solver="lbfgs", max_iter=3, **neutral).fit(X, Y),
        model_of(solver="lbfgs", max_iter=3).fit(X, Y),
    )


@each_estimator
def test_unknown_solver_is_refused(estimator: Any) -> None:
    with pytest.raises(ValueError, match="'solver' parameter .*'lion'.*'adadelta'"):
        model_of(estimator, solver="adadelta").fit(X, target_of(estimator))


@each_solver
def test_early_stopping_keeps_the_best_weights(solver: str) -> None:
    model = model_of(
        MLPClassifier, solver=solver, early_stopping=True, max_iter=10, **LIMITS
    ).fit(X, CLASSES)
    assert model.best_validation_score_ == max(model.validation_scores_)
    for W in model.coefs_:
        assert np.linalg.norm(W, axis=0).max() <= 0.8 * (1 + 1e-14)


# ------------------------------------------------------------ an object as the solver


@each_estimator
def test_object_survives_clone_pickle_and_parameters(estimator: Any) -> None:
    optimizer = AdamW(0.02, beta_1=0.8)
    model = estimator(hidden_layer_sizes=(10,), solver=optimizer, random_state=0)
    assert clone(model).solver == model.get_params()["solver"] == optimizer
    fitted = pickle.loads(pickle.dumps(model.fit(X, target_of(estimator))))
    assert fitted.solver == optimizer
    np.testing.assert_array_equal(fitted.predict(X), model.predict(X))


def test_schedules_of_sgd_are_those_of_its_object() -> None:
    settings = {"learning_rate": "invscaling", "power_t": 0.3, "max_iter": 5}
    named = model_of(learning_rate_init=0.001, solver="sgd", **settings)
    given = clone(named).set_params(solver=SGD(0.001, momentum=0.9, nesterov=True))
    assert_same_weights(named.fit(X, Y), given.fit(X, Y))


def test_partial_fit_goes_on_with_name_or_object() -> None:
    named = model_of(solver="adam")
    mixed = model_of(solver="adam")
    for solver in ("adam", AdamObject(0.01), "adam"):
        named.partial_fit(X, Y)
        rate = 0.01 if isinstance(solver, str) else 0.001  # the object has its own
        mixed.set_params(solver=solver, learning_rate_init=rate).partial_fit(X, Y)
    assert_same_weights(named, mixed)


def test_decay_of_an_object_without_its_own_is_the_estimators() -> None:
    decayed = MLPRegressor(solver=AdamObject(0.01), weight_decay=0.5, random_state=0)
    same = clone(decayed).set_params(solver=AdamW(0.01, weight_decay=0.5))
    assert_same_weights(decayed.fit(X, Y), same.set_params(weight_decay=None).fit(X, Y))
    assert differ(decayed, clone(decayed).set_params(weight_decay=None).fit(X, Y))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("learning_rate_init", 0.01),
        ("momentum", 0.5),
        ("nesterovs_momentum", False),
        ("beta_1", 0.8),
        ("beta_2", 0.99),
        ("epsilon", 1e-6),
        ("weight_decay", 0.1),
    ],
)
@each_estimator
def test_what_an_object_has_of_its_own_is_refused(
    estimator: Any, name: str, value: Any
) -> None:
    model = estimator(solver=Lion(0.001), **{name: value})
    with pytest.raises(ValueError, match=rf"{name}={value}.* solver=Lion\("):
        model.fit(X, target_of(estimator))
    assert set(vars(model)) == set(model.get_params())


OF_RULES = {
    "learning_rate": ("invscaling", {"sgd"}),
    "power_t": (0.3, {"sgd"}),
    "momentum": (0.5, {"sgd"}),
    "nesterovs_momentum": (False, {"sgd"}),
    "beta_1": (0.8, {"adam", "adamw", "nadam", "lion"}),
    "beta_2": (0.99, {"adam", "adamw", "nadam", "lion", "rmsprop"}),
    "epsilon": (1e-6, {"adam", "adamw", "nadam", "rmsprop", "adagrad"}),
}


@pytest.mark.parametrize("name", OF_RULES)
@each_solver
@each_estimator
def test_what_a_named_solver_has_not_is_refused(
    estimator: Any, solver: str, name: str
) -> None:
    value, having = OF_RULES[name]
    model = estimator(solver=solver, **{name: value}, max_iter=1, random_state=0)
    if solver in having or solver in ("sgd", "adam"):  # these as scikit-learn does
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model.fit(X, target_of(estimator))
        return
    others = " or ".join(repr(other) for other in SOLVERS if other in having)
    expected = (
        f"^{name}={value!r} has no effect with solver='{solver}': it must be "
        f"{estimator().get_params()[name]!r}, or solver {others}$"
    )
    with pytest.raises(ValueError, match=expected):
        model.fit(X, target_of(estimator))
    assert set(vars(model)) == set(model.get_params())


@each_estimator
def test_schedules_of_sgd_go_with_no_other_object(estimator: Any) -> None:
    model = estimator(solver=AdamW(0.01), learning_rate="adaptive")
    with pytest.raises(ValueError, match="learning_rate='adaptive' .*the object says"):
        model.fit(X, target_of(estimator))


def test_solver_must_be_an_object_not_its_class() -> None:
    with pytest.raises(ValueError, match="'solver' parameter of MLPRegressor"):
        MLPRegressor(solver=AdamW).fit(X, Y)


def test_rule_must_be_one_of_the_core() -> None:
    class Mine(BaseOptimizer):
        pass

    for kind in (BaseOptimizer, Mine):
        with pytest.raises(TypeError, match=f"{kind.__name__} is no rule .* SGD, Adam"):
            kind(0.1)
