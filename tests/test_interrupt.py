"""Ctrl-C: KeyboardInterrupt within a moment, and the last complete epoch is kept.

Each trial runs in a process of its own, which sends itself SIGINT from a second thread
and reports how long it took to be raised, and what the model was like afterwards.
"""

import json
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

pytestmark = pytest.mark.slow
# The promise is 0.2 s; a busy machine gets some more before that counts as broken.
SECONDS = 0.5
TRIES = 3

COMMON = """
import json, os, signal, sys, threading, time, warnings
import numpy as np, scipy.sparse
from fastbp import MLPClassifier, MLPRegressor

warnings.simplefilter("ignore")
settings, method, n_epochs, delays = json.loads(sys.argv[1])
rng = np.random.RandomState(0)


def latency(call, delay):
    '''Seconds from SIGINT, sent after a delay, to the exception.'''
    sent = []

    def press():
        time.sleep(delay)
        sent.append(time.perf_counter())
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=press)
    thread.start()
    try:
        call()
    except KeyboardInterrupt:
        return time.perf_counter() - sent[0]
    finally:
        thread.join()
    raise SystemExit("ended before the interrupt")
"""

# Interrupts training, and compares with a training of just the epochs that were made.
FIT = (
    COMMON
    + """
n_rows = settings.pop("n_rows", 400)
n_features = settings.pop("n_features", 20)
X = rng.standard_normal((n_rows, n_features)).astype(np.float32)
y = (X[:, 0] + X[:, 1] > 0).astype(int)
if settings.pop("sparse", None):
    X = scipy.sparse.csr_array(np.where(X > 1, X, 0))
if settings.pop("csc", None):
    X = scipy.sparse.csc_array(X)


def train(model):
    if method == "partial_fit":
        model.partial_fit(X, y, classes=[0, 1])
    else:
        model.fit(X, y)


started = time.perf_counter()
if n_epochs > 0:
    train(MLPClassifier(**{**settings, "max_iter": n_epochs}))
seconds = time.perf_counter() - started
report = []
for delay in delays:
    model = MLPClassifier(random_state=0, **settings)
    facts = {"latency": latency(lambda: train(model), seconds + delay)}
    facts["fitted"] = hasattr(model, "coefs_")
    if facts["fitted"]:
        facts["epochs"] = model.n_iter_
        same = MLPClassifier(**{**model.get_params(), "max_iter": model.n_iter_})
        same.fit(X, y)
        facts["same"] = all(map(np.array_equal, model.coefs_, same.coefs_))
        facts["same"] &= all(map(np.array_equal, model.intercepts_, same.intercepts_))
        facts["same"] &= model.__dict__.get("loss_curve_") == (
            same.__dict__.get("loss_curve_")
        )
        model.predict(X[:10])
    model.set_params(max_iter=2, hidden_layer_sizes=3, batch_size=25, warm_start=False)
    model.fit(X[:50], y[:50])  # still usable
    fresh = MLPClassifier(**model.get_params()).fit(X[:50], y[:50])
    facts["usable"] = np.array_equal(model.coefs_[0], fresh.coefs_[0])
    report.append(facts)
print(json.dumps(report, default=bool))
"""
)

PREDICT = (
    COMMON
    + """
# Enough layers for prediction to take seconds, on a matrix that needs little memory.
model = MLPRegressor(hidden_layer_sizes=(1024,) * 4, max_iter=1, dtype="float32")
model.fit(rng.standard_normal((4, 64)), rng.standard_normal(4))
before = [W.copy() for W in model.coefs_]
X = np.broadcast_to(rng.standard_normal((1, 64)).astype(np.float32), (200_000, 64))
report = []
for delay in delays:
    facts = {"latency": latency(lambda: model.predict(X), delay), "fitted": True}
    facts["same"] = all(map(np.array_equal, before, model.coefs_))
    facts["usable"] = np.isfinite(model.predict(X[:10])).all()
    report.append(facts)
print(json.dumps(report, default=bool))
"""
)


def run(
    script: str,
    settings: dict[str, Any],
    delays: list[float],
    *,
    method: str = "fit",
    n_epochs: int = 0,
) -> list[dict[str, Any]]:
    """Interrupt as many seconds after the time that some epochs take."""
    arguments = json.dumps([settings, method, n_epochs, delays])
    process = subprocess.run(
        [sys.executable, "-c", script, arguments],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert process.returncode == 0, process.stdout + process.stderr
    return json.loads(process.stdout)


def check_latencies(report: list[dict[str, Any]]) -> None:
    latencies = [facts["latency"] for facts in report]
    print(f"median latency: {np.median(latencies):.4f} s")  # shown by pytest -rP
    assert max(latencies) < SECONDS


# Rates that do not diverge, and no end in sight.
ENDLESS: dict[str, Any] = {"max_iter": 10**9, "tol": 0.0, "learning_rate_init": 1e-4}
TRAININGS: dict[str, dict[str, Any]] = {
    "adam": {},
    "sgd": {"solver": "sgd"},
    "adaptive": {"solver": "sgd", "learning_rate": "adaptive"},
    "batches of one": {"batch_size": 1, "hidden_layer_sizes": 4},
    "one thread": {"n_jobs": 1},
    "two threads": {"n_jobs": 2, "hidden_layer_sizes": (300, 300)},
    "early stopping": {"early_stopping": True},
    "scheduled": {"lr_schedule": "inverse_scaling", "warmup": 0.5},
    "sparse": {"sparse": True, "n_rows": 2000, "n_features": 200},
    "csc": {"csc": True, "n_rows": 2000},
    "warm start": {"warm_start": True},
    "averaged": {"ema": 0.99, "grad_tol": 1e-300},
}


@pytest.mark.parametrize("settings", TRAININGS.values(), ids=TRAININGS)
def test_interrupted_fit_keeps_the_last_complete_epoch(
    settings: dict[str, Any],
) -> None:
    endless = {**ENDLESS, "n_iter_no_change": 10**9, **settings}
    report = run(FIT, endless, [0.1 + 0.03 * i for i in range(TRIES)], n_epochs=3)
    check_latencies(report)
    for facts in report:
        assert facts["fitted"]
        assert facts["epochs"] >= 1
        assert facts["same"]
        assert facts["usable"]


def test_interrupted_lbfgs_keeps_the_last_complete_iteration() -> None:
    # Iterations of some milliseconds, and too many units to converge within seconds.
    settings = {"solver": "lbfgs", "max_iter": 10**6, "max_fun": 10**6, "tol": 0.0}
    settings |= {"hidden_layer_sizes": (200, 200), "n_rows": 3000, "alpha": 1.0}
    report = run(FIT, settings, [0.2, 0.3], n_epochs=3)
    check_latencies(report)
    for facts in report:
        assert facts["fitted"]
        assert facts["same"]
        assert facts["usable"]


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_interrupt_within_the_first_step_leaves_the_model_unfitted(solver: str) -> None:
    # One step is all of the rows through large layers: seconds of work.
    settings = {"solver": solver, "n_rows": 30_000, "batch_size": 30_000}
    settings |= {"hidden_layer_sizes": (1500, 1500, 1500), "dtype": "float32"}
    report = run(FIT, {**ENDLESS, **settings}, [0.6])
    check_latencies(report)
    assert not report[0]["fitted"]
    assert report[0]["usable"]


def test_interrupted_partial_fit_leaves_the_model_as_it_was() -> None:
    settings = {"n_rows": 30_000, "hidden_layer_sizes": (1500, 1500, 1500)}
    report = run(FIT, settings, [0.6], method="partial_fit")
    check_latencies(report)
    assert not report[0]["fitted"]


def test_interrupted_predict_leaves_the_model_as_it_was() -> None:
    report = run(PREDICT, {}, [0.3, 0.4, 0.5])
    check_latencies(report)
    assert all(facts["same"] and facts["usable"] for facts in report)
