"""
Backpropagation, step by step
=============================

A network with three hidden units, small enough to look at every number: forward,
backward by hand and by the network, a check of the gradient, and the Jacobian (lectures
000, 001, 003 and 004).
"""

import numpy as np

from fastbp import Network
from fastbp.layers import Dense

rng = np.random.default_rng(0)
X = rng.normal(size=(5, 2))
y = np.sin(X[:, :1]) * X[:, 1:]
network = Network([Dense(3, "tanh"), Dense(1, "tanh")], n_in=2, random_state=1)
print(network.summary())

# %%
# Forward: each layer computes ``z = a W + b`` and ``a = tanh(z)``.
outputs = network.forward(X)
z_hidden, z_output = network.pre_activations
a_hidden, a_output = network.activations
W_hidden, b_hidden, W_output, b_output = network.parameters.values()
assert np.allclose(z_output, a_hidden @ W_output + b_output)
assert np.array_equal(a_output, outputs)

# %%
# Backward: the error ``d`` of the output layer (BP1), of the hidden layer (BP2; the
# recursion of lecture 003, with 1 - a^2 for the derivative of tanh), and from them the
# gradients of biases (BP3) and weights (BP4). Last the error signal at the inputs
# (lecture 001). The loss is half the squared error, its gradient ``a - y``.
d_output = (a_output - y) * (1 - a_output**2)
d_hidden = d_output @ W_output.T * (1 - a_hidden**2)
by_hand = {
    "dense_0.weights": X.T @ d_hidden,
    "dense_0.biases": d_hidden.sum(axis=0),
    "dense_1.weights": a_hidden.T @ d_output,
    "dense_1.biases": d_output.sum(axis=0),
}
grad_input = network.backward(outputs - y)
for name, gradient in network.gradients.items():
    difference = np.abs(gradient - by_hand[name]).max()
    print(f"{name}: by the network and by hand, they differ by {difference:.0e}")
assert np.allclose(grad_input, d_hidden @ W_hidden.T)

# %%
# The gradient is right if the loss changes as it says. ``gradient_check`` compares it
# with central differences; their error depends on the step.
worst = network.gradient_check(X, y, "squared_error")
print(f"gradient check: worst relative error {max(worst.values()):.0e}")
loss, gradients = network.loss_and_gradients(X, y, "squared_error")
derivative = float(gradients["dense_0.weights"][0, 0])
steps = np.logspace(-12, 0, 49)
errors = []
for step in steps:
    losses = []
    for sign in (1, -1):
        moved = network.copy()
        moved.parameters["dense_0.weights"][0, 0] += sign * step
        losses.append(moved.loss_and_gradients(X, y, "squared_error")[0])
    slope = (losses[0] - losses[1]) / (2 * step)
    errors.append(abs(slope - derivative) / abs(derivative))

# %%
# The Jacobian is the product of those of the layers, ``diag(f'(z)) W^T`` (lecture 001).
jacobian = network.jacobian(X)  # (rows, outputs, inputs)
product = [
    np.diag(1 - a_output[i] ** 2)
    @ W_output.T
    @ np.diag(1 - a_hidden[i] ** 2)
    @ W_hidden.T
    for i in range(len(X))
]
print(f"Jacobians differ from the product by {np.abs(jacobian - product).max():.0e}")

try:
    import matplotlib.pyplot as plt
except ImportError:
    print("no figure: matplotlib is not installed")
else:
    figure, panels = plt.subplots(1, 2, figsize=(11, 4.4), layout="constrained")
    ticks = np.linspace(-3, 3, 121)
    plane = np.stack(np.meshgrid(ticks, ticks), axis=-1)  # (121, 121, 2)
    surface = network.predict(plane.reshape(-1, 2)).reshape(plane.shape[:2])
    image = panels[0].pcolormesh(ticks, ticks, surface, cmap="RdBu_r", vmin=-1, vmax=1)
    places = plane[::12, ::12].reshape(-1, 2)
    arrows = network.jacobian(places)[:, 0]
    panels[0].quiver(*places.T, *arrows.T, angles="xy")
    panels[0].set(title="output, and its gradient", xlabel="$x_1$", ylabel="$x_2$")
    figure.colorbar(image, ax=panels[0])
    panels[1].loglog(steps, np.maximum(errors, 1e-16), ".-")
    panels[1].axvline(np.finfo(float).eps ** (1 / 3), color="grey", linestyle=":")
    panels[1].text(4e-6, 0.1, "third root of the\nrounding error", ha="right")
    panels[1].set(
        title="error of a central difference",
        xlabel="step: too small, it is rounded off; too large, the loss bends",
        ylabel="relative error",
    )
    figure.savefig("plot_backpropagation.png", dpi=120)
