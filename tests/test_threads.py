"""Threads: how many, that the model does not depend on it, and many fits at once."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import joblib
import numpy as np
import pytest
import scipy.sparse
import threadpoolctl

from fastbp import MLPClassifier, MLPRegressor, _core
from fastbp._threads import effective_n_threads

rng = np.random.RandomState(0)
X = rng.standard_normal((600, 40))
TARGET = X @ rng.standard_normal(40)
CLASSES = np.digitize(TARGET, [-4.0, 4.0])


def classifier(seed: int = 0, **settings: Any) -> MLPClassifier:
    return MLPClassifier(
        **{
            "hidden_layer_sizes": (120, 60),
            "batch_size": 150,
            "max_iter": 4,
            "random_state": seed,
            **settings,
        }
    )


def bits(model: Any, X: Any = X) -> bytes:
    """Weights, history and predictions, to the last bit."""
    arrays = [*model.coefs_, *model.intercepts_, model.predict(X)]
    arrays.append(np.array(getattr(model, "loss_curve_", [])))
    return b"".join(np.ascontiguousarray(a).tobytes() for a in arrays)


# --------------------------------------------------------------------- same results


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"solver": "sgd"},
        {"solver": "lbfgs"},
        {"dtype": "float32"},
        {"activation": "tanh", "early_stopping": True},
        {"batch_size": 7, "hidden_layer_sizes": (400, 200)},
    ],
    ids=str,
)
def test_model_does_not_depend_on_the_number_of_threads(
    settings: dict[str, Any],
) -> None:
    model = classifier(n_jobs=1, **settings).fit(X, CLASSES)
    network = model._network(np.dtype(np.float64), model._core_output())
    assert _core.threads_for(network, model.batch_size, 8) > 3
    one = bits(model)
    for n_jobs in (2, 3, 4, 8, -1, None):
        assert bits(classifier(n_jobs=n_jobs, **settings).fit(X, CLASSES)) == one


@pytest.mark.parametrize("form", [np.asarray, scipy.sparse.csr_array])
def test_predictions_do_not_depend_on_the_number_of_threads(
    form: Callable[[np.ndarray], Any],
) -> None:
    many_rows = form(np.tile(X, (20, 1)))
    model = classifier().fit(X, CLASSES)
    one = model.set_params(n_jobs=1).predict_proba(many_rows)
    for n_jobs in (2, 3, 8):
        proba = model.set_params(n_jobs=n_jobs).predict_proba(many_rows)
        np.testing.assert_array_equal(proba, one)


def jobs() -> list[Callable[[], bytes]]:
    """Eight trainings that differ in all that a shared state could mix up."""
    sparse = scipy.sparse.csr_array(np.where(X > 0.5, X, 0))
    float32 = X.astype(np.float32)
    return [
        lambda: bits(classifier(1).fit(X, CLASSES)),
        lambda: bits(classifier(2, solver="sgd").fit(X, CLASSES)),
        lambda: bits(classifier(3, n_jobs=2).fit(X, CLASSES)),
        lambda: bits(classifier(4).fit(float32, CLASSES), float32),
        lambda: bits(classifier(5).fit(sparse, CLASSES), sparse),
        lambda: bits(classifier(6, solver="lbfgs").fit(X, CLASSES)),
        lambda: bits(classifier(7, early_stopping=True).fit(X, CLASSES)),
        lambda: bits(MLPRegressor(random_state=8, max_iter=4).fit(X, TARGET)),
    ]


def test_eight_threads_train_as_one_after_the_other() -> None:
    serial = [job() for job in jobs()]
    for _ in range(3):
        with ThreadPoolExecutor(8) as pool:
            together = list(pool.map(lambda job: job(), jobs()))
        assert together == serial


def test_eight_threads_predict_with_one_model() -> None:
    model = classifier(n_jobs=2).fit(X, CLASSES)
    expected = model.predict_proba(X)
    start = threading.Barrier(8)

    def predict(_: int) -> bool:
        start.wait()
        return all(np.array_equal(model.predict_proba(X), expected) for _ in range(20))

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(predict, range(8)))


def test_other_python_threads_run_during_a_fit() -> None:
    ticks = [time.perf_counter()]
    stop = threading.Event()

    def tick() -> None:
        while not stop.wait(0.001):
            ticks.append(time.perf_counter())

    thread = threading.Thread(target=tick)
    thread.start()
    # One call of the core, of some tenths of a second.
    settings = {"hidden_layer_sizes": (1000, 1000), "batch_size": 10**4, "n_jobs": 1}
    rows = np.broadcast_to(X[:1, :20], (10**4, 20))
    MLPRegressor(**settings, max_iter=1).fit(rows, np.zeros(10**4))
    ticks.append(time.perf_counter())
    stop.set()
    thread.join()
    assert np.diff(ticks).max() < (ticks[-1] - ticks[0]) / 2


# ----------------------------------------------------------- the interpreter's end

DAEMON = """
import sys, threading, time, warnings
import numpy as np
from fastbp import MLPRegressor

warnings.simplefilter("ignore")
way = sys.argv[1]
# Predictions of some milliseconds, epochs of some tenths of a second.
n_rows = 2_000 if way == "predict" else 20_000
X = np.random.RandomState(0).standard_normal((n_rows, 100)).astype(np.float32)
y = X[:, 0]


def loss(y_true, y_pred):
    return ((y_pred - y_true) ** 2).sum(axis=1), 2 * (y_pred - y_true)


settings = dict(hidden_layer_sizes=(200, 200), n_jobs=2)
if way == "loss":
    settings["loss"] = loss
model = MLPRegressor(**settings, max_iter=1).fit(X[:100], y[:100])
model.set_params(max_iter=10**6, tol=0.0, n_iter_no_change=10**6)


def work():
    while True:
        model.predict(X) if way == "predict" else model.fit(X, y)


threading.Thread(target=work, daemon=True).start()
time.sleep(0.5)
"""


@pytest.mark.slow
@pytest.mark.parametrize("way", ["fit", "predict", "loss"])
def test_daemon_thread_at_work_does_not_disturb_the_end(way: str) -> None:
    run = subprocess.run(
        [sys.executable, "-c", DAEMON, way],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert run.returncode == 0, run.stderr
    assert run.stderr == ""


# ------------------------------------------------------------------ how many threads


@pytest.mark.parametrize("n_jobs", [1, 2, 5])
def test_positive_n_jobs_is_the_number(n_jobs: int) -> None:
    assert effective_n_threads(n_jobs)[0] == n_jobs


def test_negative_n_jobs_counts_back_from_all_processors() -> None:
    n = joblib.cpu_count()
    assert effective_n_threads(-1)[0] == n
    assert effective_n_threads(-2)[0] == max(1, n - 1)
    assert effective_n_threads(-(10**6))[0] == 1


def test_n_jobs_of_zero_is_refused() -> None:
    with pytest.raises(ValueError, match="n_jobs"):
        effective_n_threads(0)
    model = classifier().fit(X, CLASSES).set_params(n_jobs=0)
    with pytest.raises(ValueError, match="n_jobs"):
        model.fit(X, CLASSES)


def test_reason_names_what_decided() -> None:
    assert "n_jobs" in effective_n_threads(3)[1]


N_CORES = joblib.cpu_count(only_physical_cores=True)


def test_threadpoolctl_limits_the_default() -> None:
    for limit in (1, 2):
        with threadpoolctl.threadpool_limits(limit, user_api="openmp"):
            assert effective_n_threads(None)[0] == min(limit, N_CORES)


def in_new_process(code: str, **environment: str) -> str:
    run = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert run.returncode == 0, run.stderr
    return run.stdout.strip()


@pytest.mark.slow
@pytest.mark.parametrize("limit", [1, 2, 3])
def test_omp_num_threads_is_the_default(limit: int) -> None:
    code = """
from fastbp._threads import effective_n_threads
print(*effective_n_threads(None))
"""
    answer = in_new_process(code, OMP_NUM_THREADS=str(limit))
    assert answer == f"{limit} OMP_NUM_THREADS or threadpoolctl"


@pytest.mark.slow
@pytest.mark.parametrize("value", ["abc", "0", "-3", "", "2,1"])
def test_odd_omp_num_threads_does_no_harm(value: str) -> None:
    code = """
import numpy as np
from fastbp import MLPClassifier
from fastbp._threads import effective_n_threads
assert effective_n_threads(None)[0] >= 1
X = np.random.RandomState(0).standard_normal((300, 50))
MLPClassifier(max_iter=300, tol=0.1).fit(X, X[:, 0] > 0).predict(X)
"""
    in_new_process(code, OMP_NUM_THREADS=value)


@pytest.mark.slow
@pytest.mark.parametrize(
    "environment", [{"OMP_DYNAMIC": "true"}, {"OMP_THREAD_LIMIT": "1"}], ids=str
)
def test_team_smaller_than_asked_gives_the_same_model(
    environment: dict[str, str],
) -> None:
    code = """
import warnings
import numpy as np
from fastbp import MLPClassifier
warnings.simplefilter("ignore")
X = np.random.RandomState(0).standard_normal((600, 100))
one, four = (
    MLPClassifier(max_iter=3, random_state=0, n_jobs=n_jobs).fit(X, X[:, 0] > 0)
    for n_jobs in (1, 4)
)
assert np.array_equal(four.coefs_[0], one.coefs_[0])
"""
    in_new_process(code, **environment)


# ------------------------------------------------------------------- too many threads

# Each limit is tried in a new thread of Python, which starts without a team.
STARVED = """
import resource, sys, threading, warnings
import numpy as np
from fastbp import MLPClassifier

warnings.simplefilter("ignore")
X = np.random.RandomState(0).standard_normal((4096, 100))
y = X[:, 0] > 0
settings = dict(hidden_layer_sizes=(256, 256), batch_size=2048, max_iter=2)
settings["random_state"] = 0
expected = MLPClassifier(**settings, n_jobs=1).fit(X, y).predict_proba(X)
_, most = resource.getrlimit(resource.RLIMIT_AS)


def fit_within(megabytes):
    with open("/proc/self/statm") as file:
        used = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + megabytes * 2**20, most))
    for n_jobs in (2, 64, 10**6):
        try:
            proba = MLPClassifier(**settings, n_jobs=n_jobs).fit(X, y).predict_proba(X)
        except MemoryError:
            print("MemoryError")
            continue
        assert (proba == expected).all()
        print("fitted")
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


for megabytes in sys.argv[1:]:
    thread = threading.Thread(target=fit_within, args=(int(megabytes),))
    thread.start()
    thread.join()
"""


def endings_within(*megabytes: int, stack: int) -> list[str]:
    """How fits end for which there is memory for some, not for 64 threads' stacks."""
    run = subprocess.run(
        ["sh", "-c", f'ulimit -S -s {stack * 1024}; exec "$@"', "sh"]
        + [sys.executable, "-c", STARVED, *map(str, megabytes)],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (run.returncode, run.stderr) == (0, "")
    return run.stdout.split()


@pytest.mark.slow
@pytest.mark.no_sanitizer
def test_threads_that_cannot_be_made_are_done_without() -> None:
    endings = endings_within(30, 60, 120, 250, stack=8)
    assert len(endings) == 12
    assert set(endings) <= {"fitted", "MemoryError"}
    assert endings[9] == "fitted"
    # What is too little for one more stack is plenty for the fit.
    assert endings_within(2560, stack=1024) == ["fitted"] * 3


SHRUNK = """
import resource, warnings
import numpy as np
from fastbp import MLPRegressor

warnings.simplefilter("ignore")
X = np.random.RandomState(0).standard_normal((20_000, 100)).astype(np.float32)
model = MLPRegressor(max_iter=1, n_jobs=32, random_state=0).fit(X[:200], X[:200, 0])
expected = model.predict(X)
model.set_params(n_jobs=2).predict(X)  # OpenMP may end the threads of the others
with open("/proc/self/statm") as file:
    used = int(file.read().split()[0]) * resource.getpagesize()
limit = used + 48 * 2**20
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
try:
    assert (model.set_params(n_jobs=32).predict(X) == expected).all()
except MemoryError:
    pass
print("alive")
"""


@pytest.mark.slow
@pytest.mark.no_sanitizer
def test_threads_that_were_made_once_may_be_missing_later() -> None:
    assert in_new_process(SHRUNK) == "alive"
