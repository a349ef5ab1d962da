"""
One sample, some, or all of them
================================

Gradient descent can make a step after each sample (online), after a mini-batch, or
after a pass through all samples. Online steps are cheap and noisy; a full batch knows
where to go, and gets there in many expensive passes.
"""

import time
import warnings

import numpy as np
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning

from fastbp import MLPClassifier, Network, Trainer
from fastbp.layers import Dense
from fastbp.optimizers import SGD
from fastbp.schedules import InverseScaling

warnings.simplefilter("ignore", ConvergenceWarning)  # epochs are counted here

# %%
# Two weights can be drawn. A network without hidden layer is a logistic regression;
# each call of ``partial_fit`` makes one step with the samples that it gets.
rng = np.random.default_rng(0)
y = np.repeat([0, 1], 100)
X = rng.normal(size=(200, 2)) + np.where(y, 1, -1)[:, None] * [0.9, 0.3]
PLAIN = {"solver": "sgd", "momentum": 0.0, "alpha": 0.0}
START = np.array([[-1.5], [2.0]])
N_EPOCHS = 12


def descend(batch_size, rate):
    """Return the weights before and after each step, (n_steps + 1, 2)."""
    network = MLPClassifier((), learning_rate_init=rate, random_state=0, **PLAIN)
    network.partial_fit(X, y, classes=[0, 1])  # makes the arrays
    network.coefs_, network.intercepts_ = [START.copy()], [np.zeros(1)]
    path = [START.ravel()]
    for _ in range(N_EPOCHS):
        for rows in np.split(rng.permutation(200), 200 // batch_size):
            network.partial_fit(X[rows], y[rows])
            path.append(network.coefs_[0].ravel().copy())
    return np.array(path)


paths = {
    "one sample": descend(1, rate=0.1),
    "20 samples": descend(20, rate=0.5),
    "all samples": descend(200, rate=0.5),
}
for name, path in paths.items():
    print(f"{name:12} {len(path) - 1:5} steps, to the weights", path[-1].round(2))


# %%
# When to stop? When the gradient over all samples has a norm under theta, here 0.001:
# ``grad_tol`` of a ``Trainer`` measures it after each epoch. With steps of one sample
# this is Algorithm 1 of lecture 000, with mini-batches Algorithm 2. (``grad_tol`` of
# the estimators takes the mean of the norms over the batches, which costs less, and is
# the same with a full batch.)
#
# At a constant rate steps of one sample do not settle: where the mean of the gradients
# is zero, each of them is not. The noise is less with a smaller rate or a larger batch,
# and gone at last if the rate falls like one over the time, as Robbins and Monro have
# it.
THETA = 0.001
for name, batch_size, rate, schedule in [
    ("one sample, constant rate", 1, 0.1, None),
    ("one sample, falling rate", 1, 0.1, InverseScaling(1)),
    ("20 samples", 20, 0.1, None),
    ("all samples", None, 1.0, None),
]:
    network = Network([Dense(1, "logistic", weights=START)], n_in=2)
    trainer = Trainer(
        network,
        "log_loss",
        SGD(rate),
        schedule,
        batch_size=batch_size,
        grad_tol=THETA,
        random_state=0,
    )
    norms = trainer.fit(X, y, n_epochs=500).history["gradient_norm"]
    stopped = "stopped" if norms[-1] < THETA else "not stopped"
    print(f"{name:25} {stopped} after {len(norms):3} epochs, gradient {norms[-1]:.1e}")

# %%
# The same on a network for handwritten digits, each batch size with a rate that suits
# it.
X_digits, y_digits = load_digits(return_X_y=True)
X_digits = (X_digits / 16).astype(np.float32)
SETTINGS = {
    "one sample": (1, 0.02, 20),
    "32 samples": (32, 0.3, 40),
    "all samples": (len(X_digits), 1.0, 200),
}
curves = {}
for name, (batch_size, rate, n_epochs) in SETTINGS.items():
    network = MLPClassifier(
        (50,),
        batch_size=batch_size,
        learning_rate_init=rate,
        max_iter=n_epochs,
        n_iter_no_change=np.inf,
        random_state=0,
        **PLAIN,
    )
    begin = time.perf_counter()
    network.fit(X_digits, y_digits)
    seconds = time.perf_counter() - begin
    curves[name] = (np.array(network.loss_curve_), seconds / network.n_iter_)
    below = np.flatnonzero(curves[name][0] < 0.1)
    reached = f"after {below[0] + 1} epochs" if len(below) else "never"
    print(f"{name:12} a loss of 0.1 {reached}; {1e3 * curves[name][1]:.1f} ms an epoch")

# %%
try:
    import matplotlib.pyplot as plt
except ImportError:
    print("no figure: matplotlib is not installed")
else:
    figure, panels = plt.subplots(1, 3, figsize=(12, 3.8), layout="constrained")
    grid = np.stack(np.meshgrid(np.linspace(-2, 3, 80), np.linspace(-1.5, 2.6, 80)), -1)
    logits = grid @ X.T  # (80, 80, 200)
    loss = np.logaddexp(0, np.where(y, -logits, logits)).mean(axis=-1)
    panels[0].contour(grid[..., 0], grid[..., 1], loss, 25, cmap="Greys_r", alpha=0.6)
    for name, path in paths.items():
        panels[0].plot(*path.T, marker=".", markersize=3, linewidth=0.8, label=name)
    panels[0].set(
        xlabel="$w_1$", ylabel="$w_2$", title=f"{N_EPOCHS} epochs, two weights"
    )
    panels[0].legend(frameon=False)
    for name, (losses, seconds) in curves.items():
        epochs = np.arange(1, len(losses) + 1)
        panels[1].loglog(epochs, losses, label=name)
        panels[2].loglog(epochs * seconds, losses)
    panels[1].set(xlabel="epoch", title="Digits: loss in training")
    panels[2].set(xlabel="seconds", title="The same against time")
    panels[1].legend(frameon=False)
    figure.savefig("plot_batch_sizes.png", dpi=120)
