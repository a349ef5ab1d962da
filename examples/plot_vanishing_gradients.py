"""
Saturation, vanishing gradients, dead units
===========================================

Why deep networks of sigmoids do not learn: on the way back the error is multiplied by a
slope of at most a quarter in each layer, and by next to nothing where units are
saturated. ReLUs pass it on whole, or, when they are dead, not at all.
"""

import numpy as np
from sklearn.datasets import load_digits

from fastbp import Network, Trainer
from fastbp.layers import Dense
from fastbp.optimizers import SGD
from fastbp.plots import GradientFlowDisplay

X, y = load_digits(return_X_y=True)
X = X / 16
DEPTH = 8


def network_of(activation, n_units=32, depth=DEPTH):
    """Return a network for digits, with its initial weights."""
    hidden = [Dense(n_units, activation)] * depth
    return Network([*hidden, Dense(10, "softmax")], n_in=64, random_state=0)


# %%
# ``diagnose`` of a Trainer looks into each layer: here at the norm of the gradient of
# its parameters, at the initial weights.
DEEP = {"batch_size": 200, "diagnostics": True, "random_state": 0}
trainers = {
    name: Trainer(network_of(name), "log_loss", "adam", **DEEP)
    for name in ("logistic", "tanh", "relu")
}
norms = {name: t.diagnose(X, y)["gradient_norm"] for name, t in trainers.items()}
for name, of_layers in norms.items():
    ratio = of_layers[-1] / of_layers[0]
    print(f"{name:9} the last layer's gradient is {ratio:9.2g} times the first one's")

# %%
# The same eight hidden layers in training: with sigmoids the loss stays where it is
# when all digits are called equally likely, log(10).
for name, trainer in trainers.items():
    losses = trainer.fit(X, y, n_epochs=25).history["loss"]
    print(f"{name:9} loss after {len(losses)} epochs: {losses[-1]:.3f}")

# %%
# Saturation: large inputs push sigmoids to their ends, where the slope is almost zero.
# That is one reason to scale the data.
print("one hidden layer of sigmoids    saturated units   gradient of its weights")
for scale in (1, 16, 256):
    trainer = Trainer(network_of("logistic", depth=1), "log_loss")
    hidden, _ = trainer.diagnose(X * scale, y)
    # Per unit of input, as the gradient has the input as a factor.
    norm = hidden["gradient_norm"] / scale
    name = f"pixels in [0, {scale}]"
    print(f"{name:32} {hidden['saturated']:14.0%} {norm:25.2g}")


# %%
# A ReLU that is negative for every sample has no slope anywhere and gets no gradient
# any more. One step that is too large is enough. A leaky ReLU recovers.
def dead_units(activation, rate):
    """Return the share of dead units, and the accuracy, after some epochs."""
    network = network_of(activation, n_units=64, depth=1)
    trainer = Trainer(network, "log_loss", SGD(rate, momentum=0.9), random_state=0)
    hidden, _ = trainer.fit(X, y, n_epochs=20).diagnose(X, y)
    return hidden["dead"], (network.predict(X).argmax(axis=1) == y).mean()


rates = [0.01, 0.03, 0.1, 0.3, 0.5, 0.7]
dead, accuracy = np.transpose([dead_units("relu", rate) for rate in rates])
_, leaky_accuracy = np.transpose([dead_units("leaky_relu", rate) for rate in rates])
print("rate, dead ReLUs, accuracy:")
for row in zip(rates, dead, accuracy, leaky_accuracy, strict=True):
    print("{:5} {:4.0%} {:.3f} (leaky: {:.3f})".format(*row))

# %%
# On the right what ``diagnostics=True`` has recorded of the network of sigmoids after
# each epoch. No unit is saturated, and none is dead: eight slopes of a quarter at most
# are enough for gradients that differ by powers of ten.
try:
    import matplotlib.pyplot as plt
except ImportError:
    print("no figure: matplotlib is not installed")
else:
    figure = plt.figure(figsize=(11, 10.5), layout="constrained")
    grid = figure.add_gridspec(3, 2)
    panels = [figure.add_subplot(grid[row, 0]) for row in range(3)]
    for name, trainer in trainers.items():
        losses = trainer.history["loss"]
        panels[0].semilogy(range(1, DEPTH + 2), norms[name], marker="o", label=name)
        panels[1].plot(range(1, len(losses) + 1), losses, label=name)
    panels[0].set(title="Norm of the gradient", xlabel="layer, from the input")
    panels[0].legend(frameon=False)
    panels[1].axhline(np.log(10), color="gray", linestyle=":")
    panels[1].set(title="Loss in training", xlabel="epoch", ylim=(0, None))
    panels[2].semilogx(rates, dead, marker="o", label="dead ReLUs")
    panels[2].semilogx(rates, accuracy, marker="o", label="accuracy")
    panels[2].semilogx(rates, leaky_accuracy, linestyle="--", label="of leaky ReLUs")
    panels[2].set(title="After 20 epochs", xlabel="learning rate", ylim=(-0.05, 1.05))
    panels[2].legend(frameon=False)
    trainer = trainers["logistic"]
    GradientFlowDisplay.from_history(trainer.history, ax=figure.add_subplot(grid[:, 1]))
    figure.savefig("plot_vanishing_gradients.png", dpi=120)
