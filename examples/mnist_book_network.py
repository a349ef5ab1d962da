"""
The network of the book
=======================

Chapter 1 of Michael Nielsen's "Neural Networks and Deep Learning" reaches about 95 % on
MNIST with [784, 30, 10] sigmoids: quadratic cost, batches of 10, a rate of 3.0, 30
epochs. The same here, beside the same equations in NumPy.

MNIST is ``mnist.npz`` in the folder given by ``--data`` or ``FASTBP_DATA``: ``x_train``
and ``x_test`` (n, 784) in 0 to 255, ``y_train`` and ``y_test`` (n,).
"""

import argparse
import os
import sys
import time
import warnings
from pathlib import Path

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from fastbp import MLPClassifier

warnings.simplefilter("ignore", ConvergenceWarning)  # epochs are counted here
parser = argparse.ArgumentParser()
parser.add_argument("--data", metavar="DIR", default=os.environ.get("FASTBP_DATA"))
folder = parser.parse_args().data
if folder is None:
    sys.exit("needs mnist.npz; give its folder as --data DIR or in FASTBP_DATA")
if not Path(folder, "mnist.npz").is_file():
    sys.exit(f"mnist.npz is not in {folder}")
with np.load(Path(folder, "mnist.npz")) as arrays:
    X_train, X_test = arrays["x_train"] / 255, arrays["x_test"] / 255
    y_train, y_test = arrays["y_train"], arrays["y_test"]

# %%
# Ten sigmoids, each for itself, instead of a softmax; the squared error to a one for
# the digit and zeros for the others is the quadratic cost.
settings = {
    "hidden_layer_sizes": (30,),
    "activation": "logistic",
    "output_activation": "logistic",
    "loss": "squared_error",
    "solver": "sgd",
    "momentum": 0.0,
    "alpha": 0.0,
    "batch_size": 10,
    "learning_rate_init": 3.0,
    "random_state": 0,
}


# %%
# One epoch by the four equations (BP1 to BP4), from the same weights and in the same
# order. ``coefs_`` are the book's weights, transposed.
def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def numpy_epoch(coefs, intercepts):
    """Make a step after each ten samples, in place."""
    (w1, w2), (b1, b2) = coefs, intercepts
    digits = np.eye(10)
    for begin in range(0, len(X_train), 10):
        x = X_train[begin : begin + 10]
        t = digits[y_train[begin : begin + 10]]
        a1 = sigmoid(x @ w1 + b1)
        a2 = sigmoid(a1 @ w2 + b2)
        delta2 = (a2 - t) * a2 * (1 - a2)  # BP1
        delta1 = (delta2 @ w2.T) * a1 * (1 - a1)  # BP2
        b2 -= 3.0 * delta2.mean(axis=0)  # BP3
        b1 -= 3.0 * delta1.mean(axis=0)
        w2 -= 3.0 * a1.T @ delta2 / len(x)  # BP4
        w1 -= 3.0 * x.T @ delta1 / len(x)


network = MLPClassifier(shuffle=False, **settings).partial_fit(
    X_train, y_train, classes=range(10)
)
coefs = [w.copy() for w in network.coefs_]
intercepts = [b.copy() for b in network.intercepts_]
begin = time.perf_counter()
numpy_epoch(coefs, intercepts)
numpy_seconds = time.perf_counter() - begin
begin = time.perf_counter()
network.partial_fit(X_train, y_train)
seconds = time.perf_counter() - begin
difference = max(abs(a - b).max() for a, b in zip(coefs, network.coefs_, strict=True))
print(f"largest difference of the weights after an epoch: {difference:.1e}")
print(f"an epoch: NumPy {numpy_seconds:.2f} s, fastbp {seconds:.2f} s")

# %%
# Thirty epochs, in a new order each.
test_accuracies = []
network = MLPClassifier(
    max_iter=30,
    n_iter_no_change=np.inf,
    callbacks=[
        lambda network, _: test_accuracies.append(network.score(X_test, y_test))
    ],
    **settings,
)
begin = time.perf_counter()
network.fit(X_train, y_train)
print(f"30 epochs, each with a test: {time.perf_counter() - begin:.1f} s")
print(f"test accuracy {test_accuracies[-1]:.2%}, at best {max(test_accuracies):.2%}")

# %%
try:
    import matplotlib.pyplot as plt
except ImportError:
    print("no figure: matplotlib is not installed")
else:
    figure, axes = plt.subplots(figsize=(6, 3.6), layout="constrained")
    axes.plot(range(1, 31), test_accuracies)
    axes.set(xlabel="epoch", ylabel="accuracy on the test images")
    figure.savefig("mnist_book_network.png", dpi=120)
