"""
Saturation, vanishing gradients, dead units
===========================================

Why deep networks of sigmoids do not learn: on the way back the error is multiplied by a
slope of at most a quarter in each layer, and by next to nothing where units are
saturated. ReLUs pass it on whole, or, when they are dead, not at all.
"""

import warnings

import numpy as np
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning

from fastbp import MLPClassifier

warnings.simplefilter("ignore", ConvergenceWarning)  # no training here is a long one
X, y = load_digits(return_X_y=True)
X = X / 16
DEPTH = 8


# %%
# A step of plain gradient descent on all samples shows the gradient: it is what the
# step subtracts, divided by the rate.
def gradient_norms(activation, X, depth=DEPTH):
    """Return the norm of the gradient of each weight matrix at the initial weights."""
    settings = {"solver": "sgd", "momentum": 0.0, "alpha": 0.0, "batch_size": len(X)}
    network = MLPClassifier(
        (32,) * depth, activation, random_state=0, learning_rate_init=1e-3, **settings
    )
    network.partial_fit(X, y, classes=range(10))
    before = [weights.copy() for weights in network.coefs_]
    network.partial_fit(X, y)
    steps = zip(before, network.coefs_, strict=True)
    return [np.linalg.norm(old - new) / 1e-3 for old, new in steps]


norms = {name: gradient_norms(name, X) for name in ("logistic", "tanh", "relu")}
for name, of_layers in norms.items():
    ratio = of_layers[-1] / of_layers[0]
    print(f"{name:9} the last layer's gradient is {ratio:9.2g} times the first one's")

# %%
# The same eight hidden layers in training: with sigmoids the loss stays where it is
# when all digits are called equally likely, log(10).
losses = {}
for name in norms:
    network = MLPClassifier((32,) * DEPTH, name, max_iter=25, random_state=0)
    losses[name] = network.fit(X, y).loss_curve_
    print(f"{name:9} loss after {network.n_iter_} epochs: {network.loss_:.3f}")

# %%
# Saturation: large inputs push sigmoids to their ends, where the slope is almost zero.
# That is one reason to scale the data.
print("one hidden layer of sigmoids    saturated units   gradient of its weights")
for name, scale in {
    "pixels in [0, 1]": 1,
    "in [0, 16]": 16,
    "in [0, 256]": 256,
}.items():
    network = MLPClassifier((32,), "logistic", random_state=0)
    network.partial_fit(X * scale, y, classes=range(10))
    hidden = 1 / (1 + np.exp(-(X * scale @ network.coefs_[0] + network.intercepts_[0])))
    saturated = (hidden * (1 - hidden) < 0.01).mean()
    # Per unit of input, as the gradient has the input as a factor.
    norm = gradient_norms("logistic", X * scale, depth=1)[0] / scale
    print(f"{name:32} {saturated:14.0%} {norm:25.2g}")


# %%
# A ReLU that is negative for every sample has no slope anywhere and gets no gradient
# any more. One step that is too large is enough. A leaky ReLU recovers.
def dead_units(activation, rate):
    """Return the share of dead units, and the accuracy, after some epochs."""
    network = MLPClassifier(
        (64,),
        activation,
        solver="sgd",
        learning_rate_init=rate,
        max_iter=20,
        batch_size=50,
        random_state=0,
    )
    network.fit(X, y)
    sums = X @ network.coefs_[0] + network.intercepts_[0]
    return (sums <= 0).all(axis=0).mean(), network.score(X, y)


rates = [0.01, 0.03, 0.1, 0.3, 0.5, 0.7]
dead, accuracy = np.transpose([dead_units("relu", rate) for rate in rates])
_, leaky_accuracy = np.transpose([dead_units("leaky_relu", rate) for rate in rates])
print("rate, dead ReLUs, accuracy:")
for row in zip(rates, dead, accuracy, leaky_accuracy, strict=True):
    print("{:5} {:4.0%} {:.3f} (leaky: {:.3f})".format(*row))

# %%
try:
    import matplotlib.pyplot as plt
except ImportError:
    print("no figure: matplotlib is not installed")
else:
    figure, panels = plt.subplots(1, 3, figsize=(11, 3.5), layout="constrained")
    for name, of_layers in norms.items():
        panels[0].semilogy(range(1, DEPTH + 2), of_layers, marker="o", label=name)
        panels[1].plot(range(1, len(losses[name]) + 1), losses[name], label=name)
    panels[0].set(title="Norm of the gradient", xlabel="layer, from the input")
    panels[0].legend(frameon=False)
    panels[1].axhline(np.log(10), color="gray", linestyle=":")
    panels[1].set(title="Loss in training", xlabel="epoch", ylim=(0, None))
    panels[2].semilogx(rates, dead, marker="o", label="dead ReLUs")
    panels[2].semilogx(rates, accuracy, marker="o", label="accuracy")
    panels[2].semilogx(rates, leaky_accuracy, linestyle="--", label="of leaky ReLUs")
    panels[2].set(title="After 20 epochs", xlabel="learning rate", ylim=(-0.05, 1.05))
    panels[2].legend(frameon=False)
    figure.savefig("plot_vanishing_gradients.png", dpi=120)
