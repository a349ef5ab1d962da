"""
Activations and their derivatives
=================================

What a unit makes of the sum of its inputs, and the slope by which backpropagation
multiplies the error on its way through the unit.
"""

import numpy as np
from scipy.special import expit, ndtr

from fastbp import MLPRegressor


# %%
# A network can be given its weights. This one has a single hidden unit, and weights of
# 1 all the way, so that what it predicts is the activation of that unit.
def unit(activation):
    """Return a network that computes an activation."""
    network = MLPRegressor(
        hidden_layer_sizes=(1,), activation=activation, random_state=0
    )
    network.partial_fit([[0.0], [1.0]], [0.0, 1.0])  # makes the arrays
    network.coefs_ = [np.ones((1, 1)), np.ones((1, 1))]
    network.intercepts_ = [np.zeros(1), np.zeros(1)]
    return network


# %%
# Most derivatives are cheap once the value y is known, which is why the backward pass
# of a network starts from what the forward pass has stored.
def slope_of_mish(z, t):
    return t + z * (1 - t**2) * expit(z)


DERIVATIVES = {
    "identity": lambda z, y: np.ones_like(z),
    "logistic": lambda z, y: y * (1 - y),
    "tanh": lambda z, y: 1 - y**2,
    "relu": lambda z, y: np.where(z > 0, 1.0, 0.0),
    "leaky_relu": lambda z, y: np.where(z > 0, 1.0, 0.01),
    "elu": lambda z, y: np.where(z > 0, 1.0, y + 1),
    "selu": lambda z, y: np.where(z > 0, 1.0507009873554805, y + 1.7580993408473766),
    "hard_tanh": lambda z, y: np.where(abs(z) < 1, 1.0, 0.0),
    "softplus": lambda z, y: expit(z),
    "silu": lambda z, y: expit(z) * (1 + z * (1 - expit(z))),
    "gelu": lambda z, y: ndtr(z) + z * np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi),
    "mish": lambda z, y: slope_of_mish(z, np.tanh(np.logaddexp(0, z))),
}
z = np.linspace(-4, 4, 400)  # without the corners at -1, 0 and 1
STEP = 1e-6
values, slopes = {}, {}
print("largest difference between the derivative and a central difference")
for name, derivative in DERIVATIVES.items():
    network = unit(name)
    values[name] = network.predict(z[:, None])
    above = network.predict(z[:, None] + STEP)
    below = network.predict(z[:, None] - STEP)
    slopes[name] = (above - below) / (2 * STEP)
    error = abs(derivative(z, values[name]) - slopes[name]).max()
    print(f"{name:12} {error:.1e}")

# %%
# The sigmoid's slope is never more than a quarter, and both it and tanh are flat at
# their ends; the ReLU has a slope of one or none at all.
try:
    import matplotlib.pyplot as plt
except ImportError:
    print("no figure: matplotlib is not installed")
else:
    figure, panels = plt.subplots(
        3, 4, figsize=(10, 6.5), layout="constrained", sharex=True, sharey=True
    )
    for axes, name in zip(panels.flat, values, strict=True):
        axes.axhline(0, color="lightgray", linewidth=0.8)
        axes.axvline(0, color="lightgray", linewidth=0.8)
        axes.plot(z, values[name], label="f(z)")
        axes.plot(z, slopes[name], linestyle="--", label="f'(z)")
        axes.set(title=name, ylim=(-2.2, 3.2))
    panels[0, 0].legend(frameon=False)
    figure.savefig("plot_activations.png", dpi=120)
