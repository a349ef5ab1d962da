"""Ctrl-C: KeyboardInterrupt within a moment, and the last complete epoch is kept.

The trials run in a process of their own, which sends itself SIGINT from a second thread
and reports how long it took to be raised, and what the model was like afterwards.
"""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

pytestmark = pytest.mark.slow

# Reads trials and writes a report of each, a line for a line.
CHILD = """
import json, os, signal, sys, threading, time, traceback, warnings
import numpy as np, scipy.sparse
from fastbp import MLPClassifier, MLPRegressor

warnings.simplefilter("ignore")


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
    raise AssertionError("ended before the interrupt")


def data(n_rows=400, n_features=20, sparse=None):
    rng = np.random.RandomState(0)
    X = rng.standard_normal((n_rows, n_features)).astype(np.float32)
    y = (X[:, 0] + X[:, 1] > 0).astype(int)
    if sparse is not None:
        X = getattr(scipy.sparse, sparse)(np.where(X > 1, X, 0))
    return X, y


def equal(first, second):
    return all(map(np.array_equal, first, second))


def fit(delays, of_data, **settings):
    '''Interrupt after the first epochs; compare with a training of just those made.'''
    X, y = data(**of_data)
    started = time.perf_counter()
    MLPClassifier(**{**settings, "max_iter": 3}).fit(X, y)
    seconds = time.perf_counter() - started
    for delay in delays:
        model = MLPClassifier(random_state=0, **settings)
        facts = {"latency": latency(lambda: model.fit(X, y), seconds + delay)}
        facts["epochs"] = model.n_iter_
        same = MLPClassifier(**{**model.get_params(), "max_iter": model.n_iter_})
        same.fit(X, y)
        facts["coefs"] = equal(model.coefs_, same.coefs_)
        facts["intercepts"] = equal(model.intercepts_, same.intercepts_)
        curves = [vars(each).get("loss_curve_") for each in (model, same)]
        facts["history"] = curves[0] == curves[1]
        model.predict(X[:10])
        small = {"max_iter": 2, "hidden_layer_sizes": 3, "batch_size": 25}
        model.set_params(**small, warm_start=False)
        model.fit(X[:50], y[:50])
        fresh = MLPClassifier(**model.get_params()).fit(X[:50], y[:50])
        facts["usable"] = equal(model.coefs_, fresh.coefs_)
        yield facts


def state(model):
    arrays = getattr(model, "coefs_", []) + getattr(model, "intercepts_", [])
    n_steps = model._optimizer.t if hasattr(model, "_optimizer") else None
    return sorted(vars(model)), [array.tobytes() for array in arrays], n_steps


def first_epoch(delays, method="fit", **settings):
    '''Interrupt the first call, then a call of the model that is trained by then.'''
    X, y = data(30_000)
    settings |= {"hidden_layer_sizes": (1500,) * 3, "n_jobs": 2, "random_state": 0}
    model, twin = (MLPClassifier(max_iter=1, **settings) for _ in range(2))
    classes = {"classes": [0, 1]} if method == "partial_fit" else {}

    def train(each, n_rows):
        getattr(each, method)(X[:n_rows], y[:n_rows], **classes)

    for delay in delays:
        before = state(model)
        facts = {"latency": latency(lambda: train(model, len(X)), delay)}
        facts["unchanged"] = state(model) == before
        for each in (model, twin):
            train(each, 50)
        facts["goes on"] = state(model) == state(twin)
        yield facts


def predict(delays, method, is_sparse):
    # Enough layers for seconds, on a matrix that needs little memory.
    settings = {"hidden_layer_sizes": (1024,) * 4 + (8,), "dtype": "float32"}
    model = MLPRegressor(**settings, max_iter=1, n_jobs=2)
    rng = np.random.RandomState(0)
    model.fit(rng.standard_normal((4, 64)), rng.standard_normal(4))
    before = [W.copy() for W in model.coefs_]
    X = np.broadcast_to(rng.standard_normal((1, 64)).astype(np.float32), (200_000, 64))
    if is_sparse:
        X = scipy.sparse.csr_array(np.tile(np.eye(64, dtype=np.float32), (3125, 1)))
    call = getattr(model, method)
    for delay in delays:
        facts = {"latency": latency(lambda: call(X), delay)}
        facts["unchanged"] = equal(before, model.coefs_)
        facts["usable"] = np.isfinite(call(X[:10])).all()
        yield facts


for line in sys.stdin:
    trial, arguments = json.loads(line)
    signal.alarm(120)
    try:
        report = list(globals()[trial](**arguments))
    except BaseException:
        report = traceback.format_exc()
    signal.alarm(0)
    print(json.dumps(report, default=bool), flush=True)
"""

Try = Callable[..., None]


@pytest.fixture(scope="module")
def interrupt() -> Iterator[Try]:
    """Interrupt a call after each of the delays, in a process that all trials share."""
    with subprocess.Popen(
        [sys.executable, "-c", CHILD],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:

        def interrupt(trial: str, delays: list[float], **arguments: Any) -> None:
            line = json.dumps([trial, {"delays": delays, **arguments}])
            print(line, file=process.stdin, flush=True)
            assert process.stdout is not None
            report = json.loads(process.stdout.readline() or '"the process has ended"')
            assert isinstance(report, list), report
            check(report)

        yield interrupt


def check(report: list[dict[str, Any]]) -> None:
    latencies = [facts["latency"] for facts in report]
    median = np.median(latencies)
    print(f"median latency: {median:.4f} s")  # shown by pytest -rP
    assert all(all(facts.values()) for facts in report), report
    assert median < 0.2
    assert max(latencies) < 0.5  # a busy machine gets some more now and then


# Rates that do not diverge, and no end in sight.
ENDLESS: dict[str, Any] = {"max_iter": 10**9, "tol": 0.0, "learning_rate_init": 1e-4}
ENDLESS |= {"n_iter_no_change": 10**9}
TRAININGS: dict[str, dict[str, Any]] = {
    "adam": {},
    "sgd": {"solver": "sgd"},
    "adaptive": {"solver": "sgd", "learning_rate": "adaptive"},
    "batches of one": {"batch_size": 1, "hidden_layer_sizes": 4},
    "one thread": {"n_jobs": 1},
    "two threads": {"n_jobs": 2, "hidden_layer_sizes": (300, 300)},
    "early stopping": {"early_stopping": True},
    "scheduled": {"lr_schedule": "inverse_scaling", "warmup": 0.5},
    "csr": {"of_data": {"sparse": "csr_array", "n_rows": 2000, "n_features": 200}},
    "csc": {"of_data": {"sparse": "csc_array", "n_rows": 2000}},
    "warm start": {"warm_start": True},
    "averaged": {"ema": 0.99, "grad_tol": 1e-300},
}


@pytest.mark.parametrize("settings", TRAININGS.values(), ids=TRAININGS)
def test_interrupted_fit_keeps_the_last_complete_epoch(
    settings: dict[str, Any], interrupt: Try
) -> None:
    interrupt("fit", [0.1, 0.13, 0.16], **{"of_data": {}, **ENDLESS, **settings})


def test_interrupted_lbfgs_keeps_the_last_complete_iteration(interrupt: Try) -> None:
    # Iterations of some milliseconds, and too many units to converge within seconds.
    settings = {"solver": "lbfgs", "max_iter": 10**6, "max_fun": 10**6, "tol": 0.0}
    settings |= {"hidden_layer_sizes": (200, 200), "alpha": 1.0}
    interrupt("fit", [0.2, 0.3], of_data={"n_rows": 3000}, **settings)


@pytest.mark.parametrize(
    "settings",
    [
        # One step is all of the rows through large layers: seconds of work.
        {"solver": "adam", "batch_size": 30_000},
        {"solver": "sgd", "batch_size": 30_000},
        {"solver": "lbfgs"},
        {"method": "partial_fit"},
    ],
    ids=str,
)
def test_interrupt_within_the_first_epoch_leaves_the_model_as_it_was(
    settings: dict[str, Any], interrupt: Try
) -> None:
    interrupt("first_epoch", [0.6, 0.6], **settings)


@pytest.mark.parametrize(
    ("method", "is_sparse"),
    [("predict", False), ("predict", True), ("transform", False)],
)
def test_interrupted_prediction_leaves_the_model_as_it_was(
    method: str, is_sparse: bool, interrupt: Try
) -> None:
    interrupt("predict", [0.3, 0.4, 0.5], method=method, is_sparse=is_sparse)
