"""
Perceptron: AND and OR, but not XOR
===================================

A linear threshold unit says 1 where a weighted sum of its inputs is at least 0, else
-1. The delta rule finds its weights: gradient descent on half the squared residuals of
the sum, before the threshold (lecture 000, Perceptron). That is enough for AND and OR.
No line separates the answers of XOR; a network with one hidden layer learns them
(lectures 000 and 002).
"""

import numpy as np

from fastbp import Network, Trainer
from fastbp.layers import Dense
from fastbp.optimizers import SGD

X = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
targets = {
    "AND": np.array([-1.0, -1.0, -1.0, 1.0]),
    "OR": np.array([-1.0, 1.0, 1.0, 1.0]),
    "XOR": np.array([-1.0, 1.0, 1.0, -1.0]),
}


# %%
# A network without a hidden layer and with one output is the sum; its bias is the
# weight of an input that is always 1. One example at a time: Algorithm 1.
def threshold_unit(y):
    """Train a sum by the delta rule, and put a threshold behind it."""
    linear = Network([Dense(1)], n_in=2, random_state=0)
    trainer = Trainer(linear, "squared_error", SGD(0.05), batch_size=1, random_state=0)
    trainer.fit(X, y, n_epochs=200)
    weights, bias = linear.parameters.values()
    return Network([Dense(1, "sign", weights=weights, bias_values=bias)], n_in=2)


def hidden_layer(y):
    """Train a network with four hidden units, all samples at once."""
    network = Network([Dense(4, "tanh"), Dense(1, "tanh")], n_in=2, random_state=0)
    trainer = Trainer(network, "squared_error", SGD(0.5, momentum=0.9), batch_size=None)
    trainer.fit(X, y, n_epochs=500)
    return network


networks = {f"{name}, one unit": threshold_unit(y) for name, y in targets.items()}
networks["XOR, hidden layer"] = hidden_layer(targets["XOR"])
for title, network in networks.items():
    y = targets[title.split(",")[0]]
    outputs = network.predict(X).ravel()
    n_right = (np.sign(outputs) == y).sum()
    print(f"{title}: {n_right} of 4 right, outputs {outputs.round(2)}")

# %%
# The best sum for XOR is 0 everywhere, so that its sign says nothing. No line does
# better than three of four: f(0, 0) + f(1, 1) = f(0, 1) + f(1, 0).
try:
    import matplotlib.pyplot as plt
except ImportError:
    print("no figure: matplotlib is not installed")
else:
    ticks = np.linspace(-0.5, 1.5, 201)
    plane = np.stack(np.meshgrid(ticks, ticks), axis=-1)  # (201, 201, 2)
    figure, panels = plt.subplots(
        1, 4, figsize=(12, 3.4), sharey=True, layout="constrained"
    )
    for axes, (title, network) in zip(panels, networks.items(), strict=True):
        y = targets[title.split(",")[0]]
        outputs = network.predict(plane.reshape(-1, 2)).reshape(plane.shape[:2])
        image = axes.pcolormesh(ticks, ticks, outputs, cmap="RdBu_r", vmin=-1, vmax=1)
        if np.ptp(np.sign(outputs)) > 0:
            axes.contour(ticks, ticks, outputs, levels=[0], colors="black")
        for value, colour in ((-1, "tab:blue"), (1, "tab:red")):
            points = X[y == value].T
            axes.scatter(*points, s=110, c=colour, edgecolors="white", zorder=3)
        right = (np.sign(network.predict(X).ravel()) == y).sum()
        axes.set(title=f"{title}: {right} of 4", xlabel="$x_1$", aspect=1)
        axes.set(xticks=[0, 1], yticks=[0, 1])
    panels[0].set_ylabel("$x_2$")
    figure.colorbar(image, ax=panels, label="output")
    figure.savefig("plot_perceptron.png", dpi=120)
