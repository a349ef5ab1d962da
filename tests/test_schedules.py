"""Learning-rate schedules: their formulas, and the rates that training uses."""

import copy
import pickle
from dataclasses import FrozenInstanceError
from math import cos, pi
from typing import Any

import numpy as np
import pytest
import scipy.sparse
from sklearn.base import clone

import fastbp
from fastbp import MLPClassifier, MLPRegressor, Trainer, schedules
from fastbp.callbacks import History
from fastbp.layers import Dense
from fastbp.optimizers import SGD
from fastbp.schedules import (
    Constant,
    Cosine,
    Exponential,
    InverseScaling,
    Linear,
    OneCycle,
    Plateau,
    Schedule,
    Step,
    Warmup,
)
from reference.network import Network
from reference.optimizers import OPTIMIZERS
from reference.training import run_epoch

rng = np.random.RandomState(0)
X = rng.standard_normal((50, 4))
TARGET = X @ rng.standard_normal(4)
CLASSES = np.digitize(TARGET, [-0.7, 0.7])

each_solver = pytest.mark.parametrize("solver", ["adam", "sgd"])
EVERY = [
    Constant(),
    Step(3, 0.5),
    Exponential(0.9),
    InverseScaling(0.7),
    Cosine(0.1),
    Linear(0.2),
    OneCycle(),
    Plateau(),
    Warmup(2, Cosine()),
]
each_schedule = pytest.mark.parametrize("schedule", EVERY, ids=repr)


def regressor(**settings: Any) -> MLPRegressor:
    shared = {"hidden_layer_sizes": (5,), "batch_size": 20, "max_iter": 6}
    return MLPRegressor(**{**shared, "random_state": 0, "tol": 0.0, **settings})


# ------------------------------------------------------------------------ the functions


@pytest.mark.parametrize(
    ("schedule", "epoch", "factor"),
    [
        (Constant(), 7, 1.0),
        (Step(3, 0.5), 2.99, 1.0),
        (Step(3, 0.5), 3, 0.5),
        (Step(3, 0.5), 6.5, 0.25),
        (Exponential(0.9), 2, 0.81),
        (Exponential(0.9), 0.5, 0.9**0.5),
        (InverseScaling(0.5), 3, 0.5),
        (InverseScaling(1), 3, 0.25),
        (Cosine(), 0, 1.0),
        (Cosine(), 5, 0.5),
        (Cosine(0.2), 10, 0.2),
        (Cosine(0.2), 2, 0.2 + 0.8 * (1 + cos(0.2 * pi)) / 2),
        (Linear(), 2, 0.8),
        (Linear(0.5), 10, 0.5),
        (Linear(0.5), 11, 0.5),
        (OneCycle(0.4, 0.1, 0.01), 0, 0.1),
        (OneCycle(0.4, 0.1, 0.01), 2, 0.55),
        (OneCycle(0.4, 0.1, 0.01), 4, 1.0),
        (OneCycle(0.4, 0.1, 0.01), 7, 0.505),
        (OneCycle(0.4, 0.1, 0.01), 10, 0.01),
        (OneCycle(0, 0.1, 0.01), 0, 1.0),
        (OneCycle(1, 0.1, 0.01), 10, 1.0),
        (Plateau(), 9, 1.0),
        (Warmup(2, start=0.5), 0, 0.5),
        (Warmup(2, start=0.5), 1, 0.75),
        (Warmup(2, start=0.5), 2, 1.0),
        (Warmup(2, Linear()), 6, 0.5),
        (Warmup(2, Exponential(0.9)), 3, 0.9),
        (Warmup(2, OneCycle(0.5, 0.1), start=0), 1, 0.05),
    ],
    ids=str,
)
def test_factor_follows_its_formula(
    schedule: Schedule, epoch: float, factor: float
) -> None:
    assert schedule(epoch, 10.0) == pytest.approx(factor, rel=1e-12)


@each_schedule
def test_array_of_times_gives_the_numbers_of_each(schedule: Schedule) -> None:
    times = np.linspace(0, 9, 37)
    factors = schedule(times, 10.0)
    assert factors.shape == times.shape
    expected = [float(schedule(float(t), 10.0)) for t in times]
    np.testing.assert_allclose(factors, expected, rtol=1e-14)
    assert (factors >= 0).all()
    assert (factors <= 1).all()


@pytest.mark.parametrize("n_epochs", [0.0, 1.0])
@each_schedule
def test_time_beyond_the_end_gives_a_finite_factor(
    schedule: Schedule, n_epochs: float
) -> None:
    assert np.isfinite(schedule(np.array([0.0, 3.0, 1e6]), n_epochs)).all()


# What PyTorch 2.13 says for six steps, with a learning rate of 1.
PYTORCH = {
    "StepLR(2, 0.3)": (Step(2, 0.3), 6, [1.0, 1.0, 0.3, 0.3, 0.09, 0.09]),
    "ExponentialLR(0.8)": (
        Exponential(0.8),
        6,
        [1.0, 0.8, 0.64, 0.512, 0.4096, 0.32768],
    ),
    "CosineAnnealingLR(6, 0.1)": (
        Cosine(0.1),
        6,
        [1.0, 0.9397114317, 0.775, 0.55, 0.325, 0.1602885683],
    ),
    "LinearLR(1, 0.1, 6)": (Linear(0.1), 6, [1.0, 0.85, 0.7, 0.55, 0.4, 0.25]),
    # It ends with the last step, and its rise a step before the fraction `pct_start`.
    "OneCycleLR(1, 6, pct_start=0.5)": (
        OneCycle(2 / 5, 1 / 25, 1 / 25e4),
        5,
        [0.04, 0.52, 1.0, 0.750001, 0.250003, 4e-06],
    ),
    "LambdaLR(1)": (Constant(), 6, [1.0] * 6),
    "SequentialLR([LinearLR(0.1, 1, 2), CosineAnnealingLR(4, 0.2)], [2])": (
        Warmup(2, Cosine(0.2), 0.1),
        6,
        [0.1, 0.55, 1.0, 0.8828427124746, 0.6, 0.3171572875254],
    ),
    "SequentialLR([LinearLR(0.25, 1, 3), ExponentialLR(0.8)], [3])": (
        Warmup(3, Exponential(0.8), 0.25),
        6,
        [0.25, 0.5, 0.75, 1.0, 0.8, 0.64],
    ),
}


@pytest.mark.parametrize(
    ("schedule", "length", "theirs"), PYTORCH.values(), ids=PYTORCH
)
def test_factor_is_pytorchs(
    schedule: Schedule, length: int, theirs: list[float]
) -> None:
    np.testing.assert_allclose(schedule(np.arange(6), length), theirs, rtol=1e-8)


# What ReduceLROnPlateau(factor=0.3, patience=2, threshold=0, min_lr=0.02) makes of a
# rate of 0.5 and these losses, each told after its epoch, in PyTorch 2.13.
LOSSES = [4, 3, 3.5, 3, 3.25, 3.125, 2, 2.5, 2.5, 2.5, 2.5, 2.5, 2.5, 2.5]
PYTORCH_PLATEAU = [0.5] * 5 + [0.15] * 5 + [0.045] * 3 + [0.02]


def test_plateau_falls_when_pytorchs_does() -> None:
    told = iter(LOSSES)

    def loss(y: np.ndarray, p: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return np.full(len(p), next(told)), np.zeros_like(p)

    trainer = Trainer(
        fastbp.Network([Dense(1)], n_in=4),
        loss,
        SGD(0.5),
        Plateau(0.3, patience=2, end=0.04),
        batch_size=None,
    ).fit(X, TARGET, len(LOSSES))
    assert trainer.history["loss"] == LOSSES
    rates = trainer.history["learning_rate"]
    np.testing.assert_allclose(rates, PYTORCH_PLATEAU, rtol=1e-12)


@each_schedule
def test_schedule_is_immutable_and_comparable(schedule: Schedule) -> None:
    with pytest.raises(FrozenInstanceError):
        schedule.epochs = 3
    for same in (copy.deepcopy(schedule), pickle.loads(pickle.dumps(schedule))):
        assert same == schedule
        assert hash(same) == hash(schedule)
    assert eval(repr(schedule), vars(schedules)) == schedule


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Step(every=0), r"every of Step .* in \(0, inf\), got 0"),
        (lambda: Step(every=-1), r"every of Step .* in \(0, inf\), got -1"),
        (lambda: Step(gamma=1.5), r"gamma of Step .* in \[0, 1\], got 1.5"),
        (lambda: Exponential(float("nan")), "gamma of Exponential .* got nan"),
        (lambda: InverseScaling("half"), "power of InverseScaling .* got 'half'"),
        (lambda: InverseScaling(np.inf), "power of InverseScaling .* got inf"),
        (lambda: Cosine(True), "end of Cosine .* got True"),
        (lambda: Linear(-0.1), "end of Linear .* got -0.1"),
        (lambda: OneCycle(rise=2), "rise of OneCycle .* got 2"),
        (lambda: Plateau(factor=1), r"factor of Plateau .* in \(0, 1\), got 1"),
        (lambda: Plateau(factor=0), r"factor of Plateau .* in \(0, 1\), got 0"),
        (lambda: Plateau(patience=0), r"patience of Plateau .* integer .* got 0"),
        (lambda: Plateau(patience=2.5), r"patience of Plateau .* integer .* got 2\.5"),
        (lambda: Plateau(end=0), r"end of Plateau .* in \(0, 1\], got 0"),
        (lambda: Warmup(0), r"epochs of Warmup .* in \(0, inf\), got 0"),
        (lambda: Warmup(1, "sine"), "must be one of .*'one_cycle'.* got 'sine'"),
        (lambda: Warmup(1, Warmup()), "then of Warmup must not be a Warmup"),
    ],
)
def test_bad_number_is_refused_by_name(make: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        make()


# As docs/validation.md has them.
OF_NAMES: dict[str, Schedule] = {
    "constant": Constant(),
    "step": Step(every=30, gamma=0.1),
    "exponential": Exponential(gamma=0.95),
    "inverse_scaling": InverseScaling(power=0.5),
    "cosine": Cosine(end=0),
    "linear": Linear(end=0),
    "one_cycle": OneCycle(rise=0.3, start=0.04, end=4e-6),
    "plateau": Plateau(factor=0.2, patience=None, end=1e-3),
    "warmup": Warmup(epochs=5, then=Constant(), start=0.01),
}


@pytest.mark.parametrize("name", schedules.SCHEDULES)
def test_name_stands_for_the_default_object(name: str) -> None:
    schedule = schedules.get_schedule(name)
    assert schedule == OF_NAMES[name]
    models = [
        regressor(lr_schedule=s, max_iter=7).fit(X, TARGET) for s in (name, schedule)
    ]
    np.testing.assert_array_equal(models[0].coefs_[0], models[1].coefs_[0])


# ---------------------------------------------------------------------------- training


@each_solver
@each_schedule
def test_training_takes_the_rates_of_the_formula(
    solver: str, schedule: Schedule
) -> None:
    history = History()
    model = regressor(
        solver=solver,
        lr_schedule=schedule,
        learning_rate_init=0.02,
        callbacks=[history],
        n_iter_no_change=6,
    )
    model.fit(X, TARGET)
    # 50 rows in batches of 20 are 3 steps; the last begins at two thirds of its epoch.
    expected = [0.02 * schedule(epoch + 2 / 3, 6.0) for epoch in range(6)]
    np.testing.assert_allclose(history.column("learning_rate"), expected, rtol=1e-12)


class Alternating(Schedule):
    """A schedule of one's own."""

    def __call__(self, epoch: Any, n_epochs: float) -> Any:
        return 0.5 + 0.5 * (np.round(3 * epoch) % 2)


@each_solver
def test_each_step_takes_its_own_rate(solver: str) -> None:
    settings = {"solver": solver, "learning_rate_init": 0.01, "shuffle": False}
    model = regressor(**settings, activation="tanh", lr_schedule=Alternating())
    initial = clone(model).set_params(learning_rate_init=1e-300, max_iter=1)
    initial.fit(X, TARGET)
    model.fit(X, TARGET)
    network = Network(
        [W.copy() for W in initial.coefs_],
        [b.copy() for b in initial.intercepts_],
        "tanh",
        "squared_error",
    )
    rule = "adam" if solver == "adam" else "nesterov"
    optimizer = OPTIMIZERS[rule]()
    step = 0
    for _ in range(6):
        for rows in (slice(0, 20), slice(20, 40), slice(40, 50)):
            run_epoch(
                network,
                optimizer,
                X[rows],
                TARGET[rows].reshape(-1, 1),
                batch_size=20,
                learning_rate=0.01 * (0.5 + 0.5 * (step % 2)),
                alpha=1e-4,
            )
            step += 1
    for ours, theirs in zip(
        model.coefs_ + model.intercepts_, network.parameters, strict=True
    ):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-12)


@each_solver
def test_constant_schedule_gives_the_bits_of_none(solver: str) -> None:
    plain = regressor(solver=solver).fit(X, TARGET)
    scheduled = regressor(solver=solver, lr_schedule="constant").fit(X, TARGET)
    np.testing.assert_array_equal(plain.coefs_[0], scheduled.coefs_[0])
    assert plain.loss_curve_ == scheduled.loss_curve_


def test_csc_matrix_takes_the_rates_of_a_dense_one() -> None:
    settings = {"lr_schedule": "one_cycle", "batch_size": 4}
    dense = regressor(**settings).fit(X, TARGET)
    sparse = regressor(**settings).fit(scipy.sparse.csc_array(X), TARGET)
    np.testing.assert_allclose(dense.coefs_[0], sparse.coefs_[0], rtol=1e-9)


@each_solver
def test_partial_fit_goes_on_in_the_schedule(solver: str) -> None:
    settings = {"solver": solver, "lr_schedule": "cosine", "warmup": 1.5}
    whole = regressor(**settings).fit(X, TARGET)
    parts = regressor(**settings)
    for call in range(6):
        parts.partial_fit(X, TARGET)
        if call == 2:
            parts = pickle.loads(pickle.dumps(parts))
    np.testing.assert_array_equal(whole.coefs_[0], parts.coefs_[0])


def test_partial_fit_beyond_the_schedule_warns_once() -> None:
    model = regressor(lr_schedule="cosine", max_iter=2)
    for _ in range(2):
        model.partial_fit(X, TARGET)
    coef = model.coefs_[0]
    with pytest.warns(UserWarning, match="rate of 0 for all of epoch 2: .*max_iter=2"):
        model.partial_fit(X, TARGET)
    model.partial_fit(X, TARGET)  # a second warning would be an error
    np.testing.assert_array_equal(model.coefs_[0], coef)


def test_warm_start_begins_the_schedule_again() -> None:
    history = History()
    model = regressor(lr_schedule="linear", warm_start=True, callbacks=[history])
    first = model.fit(X, TARGET).callbacks[0].column("learning_rate")
    assert model.fit(X, TARGET).callbacks[0].column("learning_rate") == first


def test_warmup_is_before_the_schedule() -> None:
    history = History()
    model = regressor(
        warmup=2, lr_schedule="linear", callbacks=[history], batch_size=50
    )
    model.set_params(learning_rate_init=1.0).fit(X, TARGET)
    expected = [0.01, 0.505, 1.0, 0.75, 0.5, 0.25]
    np.testing.assert_allclose(history.column("learning_rate"), expected, rtol=1e-12)


def test_plateau_lowers_the_rate_when_training_stalls() -> None:
    history = History()
    # No epoch improves the loss by so much: all but the first are bad.
    model = regressor(
        lr_schedule=Plateau(0.5, patience=2, end=0.2),
        tol=1e9,
        n_iter_no_change=3,
        max_iter=50,
        learning_rate_init=0.01,
        solver="sgd",
        callbacks=[history],
        batch_size=50,
    )
    model.fit(X, TARGET)
    factors = np.divide(history.column("learning_rate"), 0.01)
    # The first improves on infinity; epochs 2 to 4 are three bad ones; and so on. At
    # the least rate training stops after more than n_iter_no_change bad ones.
    expected = [1.0] * 4 + [0.5] * 3 + [0.25] * 3 + [0.2] * 4
    np.testing.assert_allclose(factors, expected, rtol=1e-12)


def test_schedule_is_stretched_to_max_time(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(np.arange(0.0, 1000.0))  # each look at the clock takes a second
    now = lambda: float(next(clock))  # noqa: E731
    monkeypatch.setattr("fastbp._rates.perf_counter", now)
    monkeypatch.setattr("fastbp._hooks.perf_counter", now)
    history = History()
    regressor(
        lr_schedule="linear",
        max_time=31.5,
        max_iter=1000,
        callbacks=[history],
        learning_rate_init=0.001,
        n_iter_no_change=np.inf,
        batch_size=50,
    ).fit(X, TARGET)
    rates = np.array(history.column("learning_rate")) / 0.001
    # An epoch looks at the clock three times: for the rate (not in the first), for its
    # record, and whether the time is over.
    n = len(rates)
    elapsed = np.array([0.0, *(4.0 + 3.0 * np.arange(n - 1))])
    np.testing.assert_allclose(rates[1:], 1 - elapsed[1:] / 31.5, rtol=1e-12)
    assert rates[0] == 1.0
    assert 10 <= n <= 12


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (
            {"lr_schedule": "cosine", "learning_rate": "adaptive", "solver": "sgd"},
            "lr_schedule='cosine' needs learning_rate='constant', .*'adaptive'",
        ),
        ({"warmup": 2, "learning_rate": "invscaling"}, "warmup=2 needs learning_rate="),
        (
            {"lr_schedule": "cosine", "solver": "lbfgs"},
            "lr_schedule='cosine' needs a sol",
        ),
        ({"warmup": 1, "solver": "lbfgs"}, "warmup=1 needs a solver of"),
        (
            {"warmup": 6},
            r"warmup must be less than max_iter=6 .*Warmup\(epochs=6,",
        ),
        (
            {"lr_schedule": Warmup(9)},
            r"warmup must be less than max_iter=6 .*Warmup\(epochs=9,",
        ),
        ({"warmup": 1, "lr_schedule": Warmup(1)}, "two warm-ups"),
        ({"warmup": 1, "lr_schedule": "warmup"}, "two warm-ups"),
        ({"lr_schedule": Plateau(patience=11)}, "patience <= n_iter_no_change=10"),
        (
            {"lr_schedule": "plateau", "n_iter_no_change": np.inf},
            "lr_schedule='plateau' needs a patience, or a finite n_iter_no_change",
        ),
        (
            {"lr_schedule": Plateau(), "warmup": 1, "n_iter_no_change": np.inf},
            "needs a patience, or a finite n_iter_no_change",
        ),
        ({"lr_schedule": "sine"}, "lr_schedule.*'one_cycle'"),
        ({"lr_schedule": np.cos}, "lr_schedule"),
        ({"warmup": -1}, "warmup"),
        ({"lr_schedule": "none", "warmup": "1"}, "'lr_schedule'|'warmup'"),
    ],
    ids=str,
)
def test_contradiction_is_refused_by_name(settings: dict[str, Any], said: str) -> None:
    for y, estimator in ((TARGET, MLPRegressor), (CLASSES, MLPClassifier)):
        model = estimator(**{"max_iter": 6, **settings})
        with pytest.raises(ValueError, match=said):
            model.fit(X, y)
        assert set(vars(model)) == set(model.get_params())


class Later(Schedule):
    def __init__(self, factor: float) -> None:
        self.factor = factor

    def __call__(self, epoch: Any, n_epochs: float) -> Any:
        return np.where(epoch < 2, 1.0, self.factor)


@pytest.mark.parametrize("factor", [-1.0, np.inf, np.nan])
def test_schedule_that_gives_a_bad_factor_is_refused(factor: float) -> None:
    model = regressor(lr_schedule=Later(factor))
    with pytest.raises(ValueError, match=r"finite factor >= 0 .* epoch 2, got"):
        model.fit(X, TARGET)
    assert not hasattr(model, "coefs_")


def test_schedule_must_return_numbers() -> None:
    class Nothing(Later):
        def __call__(self, epoch: Any, n_epochs: float) -> Any:
            return None

    model = regressor(lr_schedule=Nothing(1.0))
    with pytest.raises(ValueError, match=r"finite factor >= 0 .* epoch 0, got .*None"):
        model.fit(X, TARGET)


def test_scheduled_estimator_can_be_cloned_and_pickled() -> None:
    model = regressor(lr_schedule=Warmup(1, OneCycle(0.2)), warmup=0)
    assert clone(model).lr_schedule == model.lr_schedule
    fitted = pickle.loads(pickle.dumps(model.fit(X, TARGET)))
    np.testing.assert_array_equal(fitted.predict(X), model.predict(X))
