"""After a fork the child trains and predicts, whatever the parent's threads were doing.

Where a parallel runtime hangs in a child, the alarm ends the child with a signal.
"""

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

# "idle" or "busy", then the functions to call.
PARENT = """
import hashlib, multiprocessing, os, signal, sys, threading, warnings
import numpy as np
from fastbp import MLPClassifier, Network
from fastbp.layers import Dense

warnings.simplefilter("ignore")
rng = np.random.RandomState(0)
X = rng.standard_normal((1500, 64))
y = (X[:, 0] > 0).astype(int)
fork = multiprocessing.get_context("fork")


def work():
    '''Train and predict with two threads; a digest of what came out.'''
    model = MLPClassifier(
        hidden_layer_sizes=(256,), batch_size=500, max_iter=2, n_jobs=2, random_state=0
    ).fit(X, y)
    arrays = [model.predict_proba(X), *model.coefs_, *model.intercepts_]
    bits = b"".join(array.tobytes() for array in arrays)
    return hashlib.sha256(bits).hexdigest().encode()


def repeat(call):
    while not stop.is_set():
        call()


def end_with_alarm():
    signal.alarm(30)  # its default action ends the process with a signal


def children():
    for _ in range(40):
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


def grandchild():
    pid = os.fork()
    if pid == 0:
        end_with_alarm()
        assert work() == expected
        inner = os.fork()
        if inner == 0:
            end_with_alarm()
            assert work() == expected
            os._exit(0)
        _, status = os.waitpid(inner, 0)
        os._exit(0 if status == 0 else 1)
    _, status = os.waitpid(pid, 0)
    assert status == 0, status


def put_work(queue):
    end_with_alarm()
    queue.put(work())


def processes():
    for _ in range(10):
        queue = fork.SimpleQueue()
        process = fork.Process(target=put_work, args=(queue,))
        process.start()
        process.join(60)
        assert process.exitcode == 0, f"child ended with {process.exitcode}"
        assert queue.get() == expected, "the child's model is another one"


def pool():
    '''It forks from a thread of its own, too.'''
    with fork.Pool(2, initializer=end_with_alarm) as workers:
        assert [workers.apply(work) for _ in range(4)] == [expected] * 4


def network():
    '''A thread of the parent is in the core, with its lock, most of the time.'''
    model = Network([Dense(2000, "relu"), Dense(500)], n_in=64, random_state=0)
    twin = model.copy()
    right = twin.forward(X[:2]), twin.backward(np.ones((2, 500)))
    predict = threading.Thread(target=repeat, args=(lambda: model.predict(X[:2]),))
    predict.start()
    for _ in range(20):
        pid = os.fork()
        if pid == 0:
            end_with_alarm()
            got = model.forward(X[:2]), model.backward(np.ones((2, 500)))
            os._exit(0 if all(map(np.array_equal, got, right)) else 1)
        _, status = os.waitpid(pid, 0)
        assert status == 0, status


expected = work()
stop = threading.Event()
try:
    if sys.argv[1] == "busy":
        threading.Thread(target=repeat, args=(work,)).start()
    for name in sys.argv[2:]:
        globals()[name]()
        print(name, flush=True)
finally:
    stop.set()
assert work() == expected
"""


@pytest.mark.parametrize(
    "arguments",
    [
        "idle children grandchild processes pool",
        "busy children processes",
        "idle network",
    ],
)
def test_forked_child_trains_the_same_model(arguments: str) -> None:
    process = subprocess.run(
        [sys.executable, "-c", PARENT, *arguments.split()],
        # Two threads whatever the machine has: one would not show the trouble.
        env=os.environ | {"OMP_NUM_THREADS": "2"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert process.returncode == 0, process.stdout + process.stderr
    assert process.stdout.split() == arguments.split()[1:]
