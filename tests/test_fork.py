"""After a fork the child trains and predicts, whatever the parent's threads were doing.

Where a parallel runtime hangs in a child, the alarm ends the child with a signal.
"""

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

COMMON = """
import hashlib, multiprocessing, os, signal, sys, threading, warnings
import numpy as np
from fastbp import MLPClassifier

warnings.simplefilter("ignore")
rng = np.random.RandomState(0)
X = rng.standard_normal((1500, 64))
y = (X[:, 0] > 0).astype(int)


def work():
    '''Train and predict with two threads; a digest of what came out.'''
    model = MLPClassifier(
        hidden_layer_sizes=(256,), batch_size=500, max_iter=2, n_jobs=2, random_state=0
    ).fit(X, y)
    arrays = [model.predict_proba(X), *model.coefs_, *model.intercepts_]
    bits = b"".join(array.tobytes() for array in arrays)
    return hashlib.sha256(bits).hexdigest().encode()


expected = work()
stop = threading.Event()


def keep_busy():
    while not stop.is_set():
        work()


def end_with_alarm():
    signal.alarm(30)  # its default action ends the process with a signal


busy = threading.Thread(target=keep_busy)
if sys.argv[1] == "busy":
    busy.start()
n_forks = int(sys.argv[2])
"""

OS_FORK = (
    COMMON
    + """
for _ in range(n_forks):
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        end_with_alarm()
        try:
            os.write(write, work())
        finally:
            os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        digest = pipe.read()
    _, status = os.waitpid(pid, 0)
    assert status == 0, f"child ended with status {status}"
    assert digest == expected, "the child's model is another one"
stop.set()
assert work() == expected
print("all", n_forks, "well")
"""
)

MULTIPROCESSING = (
    COMMON
    + """
def child(queue):
    end_with_alarm()
    queue.put(work())


fork = multiprocessing.get_context("fork")
for _ in range(n_forks):
    queue = fork.SimpleQueue()
    process = fork.Process(target=child, args=(queue,))
    process.start()
    process.join(60)
    assert process.exitcode == 0, f"child ended with {process.exitcode}"
    assert queue.get() == expected, "the child's model is another one"
if sys.argv[1] == "idle":  # a pool forks from a thread of its own, too
    with fork.Pool(2, initializer=end_with_alarm) as pool:
        assert [pool.apply(work) for _ in range(4)] == [expected] * 4
stop.set()
print("all", n_forks, "well")
"""
)

NESTED = (
    COMMON
    + """
pid = os.fork()
if pid == 0:
    end_with_alarm()
    assert work() == expected
    grandchild = os.fork()
    if grandchild == 0:
        end_with_alarm()
        assert work() == expected
        os._exit(0)
    _, status = os.waitpid(grandchild, 0)
    os._exit(0 if status == 0 else 1)
_, status = os.waitpid(pid, 0)
assert status == 0, status
print("all", n_forks, "well")
"""
)

# A thread of the parent is in the core, with its lock, most of the time.
NETWORK = (
    COMMON
    + """
from fastbp import Network
from fastbp.layers import Dense

network = Network([Dense(2000, "relu"), Dense(500)], n_in=64, random_state=0)
twin = network.copy()
right = twin.forward(X[:2]), twin.backward(np.ones((2, 500)))


def predict():
    while not stop.is_set():
        network.predict(X[:2])


predicting = threading.Thread(target=predict, daemon=True)
predicting.start()
for _ in range(n_forks):
    pid = os.fork()
    if pid == 0:
        end_with_alarm()
        got = network.forward(X[:2]), network.backward(np.ones((2, 500)))
        os._exit(0 if all(map(np.array_equal, got, right)) else 1)
    _, status = os.waitpid(pid, 0)
    assert status == 0, status
stop.set()
predicting.join()
print("all", n_forks, "well")
"""
)


def run(script: str, parent: str, n_forks: int) -> None:
    process = subprocess.run(
        [sys.executable, "-c", script, parent, str(n_forks)],
        # Two threads whatever the machine has: one would not show the trouble.
        env=os.environ | {"OMP_NUM_THREADS": "2"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert process.returncode == 0, process.stderr
    assert process.stdout == f"all {n_forks} well\n"


@pytest.mark.parametrize("parent", ["idle", "busy"])
def test_forked_child_trains_the_same_model(parent: str) -> None:
    run(OS_FORK, parent, 40)


@pytest.mark.parametrize("parent", ["idle", "busy"])
def test_multiprocessing_child_trains_the_same_model(parent: str) -> None:
    run(MULTIPROCESSING, parent, 10)


def test_child_has_a_network_that_a_thread_of_the_parent_uses() -> None:
    run(NETWORK, "idle", 20)


def test_child_of_a_child_trains_the_same_model() -> None:
    run(NESTED, "idle", 1)
