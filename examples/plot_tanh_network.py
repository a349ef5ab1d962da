"""
Thresholds, and a network of tanh
=================================

Some texts write no biases. A constant input of -1 has a weight, the threshold, and the
output of the network goes through tanh like that of all units. It is the same network,
with the opposite sign of the biases, and the same training with the same rate, but for
a factor of 2 if the squared error is written without 1/2.
"""

import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from fastbp import MLPRegressor

warnings.simplefilter("ignore", ConvergenceWarning)  # epochs are counted here

# %%
# A curve to learn, with values between -1 and 1.
rng = np.random.default_rng(0)
X = rng.uniform(-1, 1, size=(300, 1))
y = 0.8 * np.sin(4 * X[:, 0]) * np.exp(-X[:, 0])
y /= 1.1 * abs(y).max()


# %%
# The network as such a text has it: ``weights[l]`` has a first row for the constant
# input. For each sample, forward, the deltas backward, and a step.
def epoch_by_hand(weights, rate):
    """Learn from each sample once; return the weights."""
    for x, target in zip(X, y, strict=True):
        outputs = [x]
        for w in weights:
            outputs.append(np.tanh(np.concatenate([[-1.0], outputs[-1]]) @ w))
        delta = 2 * (outputs[-1] - target) * (1 - outputs[-1] ** 2)
        for layer in reversed(range(len(weights))):
            gradient = np.outer(np.concatenate([[-1.0], outputs[layer]]), delta)
            # The deltas of the layer before, with the weights before the step.
            delta = (1 - outputs[layer] ** 2) * (weights[layer][1:] @ delta)
            weights[layer] = weights[layer] - rate * gradient
    return weights


# %%
# The same in fastbp. ``partial_fit`` is one pass; the squared error has 1/2 here, hence
# twice the rate.
RATE = 0.02
network = MLPRegressor(
    hidden_layer_sizes=(8, 8),
    activation="tanh",
    output_activation="tanh",
    solver="sgd",
    momentum=0.0,
    alpha=0.0,
    batch_size=1,
    shuffle=False,
    learning_rate_init=2 * RATE,
    random_state=0,
)
network.partial_fit(X, y)
layers = zip(network.coefs_, network.intercepts_, strict=True)
weights = [np.vstack([-bias, w]) for w, bias in layers]

network.partial_fit(X, y)
weights = epoch_by_hand(weights, RATE)
layers = zip(network.coefs_, network.intercepts_, strict=True)
difference = max(
    abs(by_hand - np.vstack([-bias, w])).max()
    for by_hand, (w, bias) in zip(weights, layers, strict=True)
)
print(f"largest difference after {len(X)} steps: {difference:.1e}")

# %%
# It learns the curve. (Now in random order, as one should.)
network.set_params(shuffle=True, max_iter=400, n_iter_no_change=np.inf, warm_start=True)
network.fit(X, y)
print(f"mean squared error {np.mean((network.predict(X) - y) ** 2):.5f}")
print("thresholds of the first layer:", -network.intercepts_[0].round(2))

# %%
try:
    import matplotlib.pyplot as plt
except ImportError:
    print("no figure: matplotlib is not installed")
else:
    x = np.linspace(-1, 1, 300)[:, None]
    hidden = np.tanh(x @ network.coefs_[0] + network.intercepts_[0])
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    left.plot(x, hidden)
    left.set(xlabel="x", title="Units of the first layer")
    right.plot(X, y, ".", color="lightgray", label="samples")
    right.plot(x, network.predict(x), label="network")
    right.set(xlabel="x", title="Output")
    right.legend(frameon=False)
    figure.savefig("plot_tanh_network.png", dpi=120)
