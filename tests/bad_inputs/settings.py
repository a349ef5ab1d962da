"""Parameters of the constructor at and beyond the edge."""

from typing import Any

import numpy as np

from bad_inputs.case import BASE, Case, Outcome, outputs, train
from fastbp.initializers import Constant, Given, Orthogonal

NAN, INF = float("nan"), float("inf")

REFUSED: dict[str, list[Any]] = {
    "hidden_layer_sizes": [
        *(0, -1, (0,), (3, -1), "3", "ab", None, 2.5, [[3]], [None], ["a"]),
        *([3, NAN], [INF], (2.5, 3)),
    ],
    "activation": [
        *(None, "sigmoid", "", 1, b"relu", np.array(["relu"]), {"relu"}),
        *([], ["relu"] * 3, ["sigmoid"], ("relu", None), [["relu"]], [1]),
    ],
    "solver": [None, "SGD", "", 0],
    "alpha": [-1e-300, NAN, INF * -1, None, "0", 1j, [1e-4]],
    "batch_size": [0, -1, 1.0, "AUTO", None, NAN, (3,)],
    "learning_rate": [None, 0.1, "step"],
    "learning_rate_init": [0, -0.1, NAN, None, "0.1", [0.1]],
    "power_t": [-0.1, NAN, None],
    "max_iter": [0, -5, 2.0, None, INF, "10"],
    "shuffle": ["no", None, 2],
    "random_state": [-1, 2**32, 1.5, "seed", [1], np.random.default_rng(0)],
    "tol": [-1e-9, NAN, None],
    "verbose": ["yes", -1, None],
    "warm_start": ["yes", None],
    "momentum": [-0.1, 1.1, NAN, None],
    "nesterovs_momentum": ["yes", None],
    "early_stopping": ["yes", None],
    "validation_fraction": [-0.1, 1.0, 2, NAN, None],
    "beta_1": [-0.1, 1.0, NAN],
    "beta_2": [-0.1, 1.0, NAN],
    "epsilon": [0, -1e-8, NAN],
    "n_iter_no_change": [0, -1, 1.5, NAN, None],
    "max_fun": [0, -1, 1.5, None],
    "n_jobs": [0, 1.5, "2", NAN, [1]],
    "dtype": ["float16", "double", "", None, float, np.float32, np.dtype("float32")],
    "weight_decay": [-1e-300, NAN, -INF, "0", [0.1], 1j],
    "l1": [-1e-300, NAN, -INF, None, "0", [0.1]],
    "max_norm": [0, -1.0, NAN, -INF, "1", [1.0]],
    "clip_norm": [0, -1.0, NAN, -INF, "1", [1.0]],
    "weight_init": ["", "he", b"zeros", 0, {"zeros"}, [], ["zeros"] * 5, [None] * 2],
    "ema": [0, 1, -0.5, NAN, INF, "0.9", [0.9]],
    "grad_tol": [0, -1.0, NAN, -INF, "1", [1.0]],
}
# SGD, for the rate that makes numbers overflow; finite or refused, never anything else.
EITHER: dict[str, list[Any]] = {
    "hidden_layer_sizes": [True, (True,), {3}, np.array(3), [[3, 3]], np.array([3.0])],
    "alpha": [1e300, INF],
    "learning_rate_init": [1e300, INF, 1e-300],
    "power_t": [1e300, INF],
    "tol": [INF, 1e300],
    "batch_size": [True, 2**62, 2**63, 10**30],
    "epsilon": [INF, 5e-324],
    "n_jobs": [2**31, 2**62, 10**30, -(2**62), True],
    "max_fun": [2**62, 10**30],
    "random_state": [2**32 - 1],
    "n_iter_no_change": [10**30],
    "weight_decay": [1e300, INF, 1e-300],
    "l1": [1e300, INF, 1e-300],
    "max_norm": [1e300, INF, 1e-300, 5e-324],
    "clip_norm": [1e300, INF, 1e-300, 5e-324],
    "weight_init": [Constant(1e100), Orthogonal(1e-300), Given([[1.0]]), "zeros"],
    "ema": [5e-324, 1e-300, 1 - 2**-53],
    "grad_tol": [1e300, INF, 1e-300, 5e-324],
}
HUGE: list[Any] = [2**40, (2**31, 2**31), (2**32, 2**32), 2**62, 2**63, 10**30]
ACCEPTED: list[dict[str, Any]] = [
    {"hidden_layer_sizes": ()},
    {"hidden_layer_sizes": []},
    {"hidden_layer_sizes": 1},
    {"hidden_layer_sizes": (1,) * 50},
    {"hidden_layer_sizes": np.array([3, 4], np.uint8)},
    {"hidden_layer_sizes": range(1, 4)},
    {"batch_size": 1},
    {"batch_size": 40},
    {"alpha": 0},
    {"momentum": 1, "solver": "sgd"},
    {"beta_1": 0, "beta_2": 0},
    {"n_iter_no_change": INF},
    {"n_jobs": 64},
    {"n_jobs": -1},
    {"n_jobs": -100},
    {"max_fun": 1, "solver": "lbfgs"},
    {"max_iter": 1},
    {"random_state": np.random.RandomState(0)},
    {"early_stopping": True, "validation_fraction": 0.5},
    {"solver": "adamw", "weight_decay": None},
    {"solver": "nadam", "beta_1": 0, "beta_2": 0},
    {"solver": "lion", "beta_1": 0, "beta_2": 0},
    {"solver": "rmsprop", "beta_2": 0},
    {"weight_decay": 0, "l1": 0, "max_norm": 1, "clip_norm": 1},
    {"max_norm": np.float32(0.5), "clip_norm": 1e30},
]


def shown(value: Any) -> str:
    """Like repr, but the same in every process."""
    return repr(value).partition(" at 0x")[0]


def refused(name: str, value: Any) -> Case:
    def run(estimator: Any) -> None:
        train(estimator, **{name: value})

    return Case(f"setting: {name}={shown(value)}", "error", run, says=name)


def trains(settings: dict[str, Any], expected: Outcome, huge: bool = False) -> Case:
    def run(estimator: Any) -> None:
        outputs(train(estimator, **settings), BASE)

    text = ", ".join(f"{key}={shown(value)}" for key, value in settings.items())
    name = next(iter(settings))
    says = rf"\b{name}\b|array of Given|non-finite parameter weights"
    if huge:
        says = "alloc|too big|Maximum allowed dimension"
    return Case(f"setting: {text}", expected, run, says=says, huge=huge)


CASES = [
    *(refused(name, value) for name, values in REFUSED.items() for value in values),
    *(
        trains({name: value, "solver": solver}, "either")
        for name, values in EITHER.items()
        for value in values
        for solver in ("sgd", "lbfgs")
    ),
    *(trains({"hidden_layer_sizes": size}, "error", huge=True) for size in HUGE),
    *(trains(settings, "ok") for settings in ACCEPTED),
]
