"""
Fixed rate, adapted rate, momentum
==================================

Three ways to use a gradient: with a fixed learning rate, with a rate that changes, or
with a momentum that remembers the steps before. And rules such as Adam, which have a
rate for each weight.
"""

import warnings

import numpy as np
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning

from fastbp import MLPClassifier, MLPRegressor

warnings.simplefilter("ignore", ConvergenceWarning)  # epochs are counted here

# %%
# A long valley: linear regression on two features, one of which is small. Each step is
# made with the gradient over all samples, so that the rule alone makes the path.
rng = np.random.default_rng(0)
X = rng.normal(size=(200, 2)) * [1.0, 0.15]
y = X @ [1.0, 2.0]
START = np.array([[-1.0], [-1.0]])
RULES = {
    "fixed rate": {"solver": "sgd", "momentum": 0.0, "learning_rate_init": 1.8},
    "momentum": {
        "solver": "sgd",
        "momentum": 0.85,
        "nesterovs_momentum": False,
        "learning_rate_init": 0.6,
    },
    "Nesterov": {"solver": "sgd", "momentum": 0.85, "learning_rate_init": 0.6},
    "RMSprop": {"solver": "rmsprop", "beta_2": 0.9, "learning_rate_init": 0.1},
    "Adam": {"solver": "adam", "learning_rate_init": 0.2},
}


def descend(rule, n_steps=50):
    """Return the weights before and after each step, (n_steps + 1, 2)."""
    network = MLPRegressor(
        hidden_layer_sizes=(), alpha=0.0, batch_size=200, random_state=0, **rule
    )
    network.partial_fit(0 * X, 0 * y)  # makes the arrays, and no step of the weights
    network.coefs_, network.intercepts_ = [START.copy()], [np.zeros(1)]
    path = [START.ravel()]
    for _ in range(n_steps):
        network.partial_fit(X, y)
        path.append(network.coefs_[0].ravel().copy())
    return np.array(path)


paths = {name: descend(rule) for name, rule in RULES.items()}
print("distance to the minimum after 50 steps")
for name, path in paths.items():
    print(f"{name:12} {np.linalg.norm(path[-1] - [1.0, 2.0]):.3f}")

# %%
# A network for handwritten digits. A large rate is fast and rough; ``"adaptive"``
# begins with it, and divides it by 5 whenever the loss stalls.
X_digits, y_digits = load_digits(return_X_y=True)
X_digits = (X_digits / 16).astype(np.float32)
SETTINGS = {
    "fixed rate 0.02": {"momentum": 0.0, "learning_rate_init": 0.02},
    "fixed rate 1": {"momentum": 0.0, "learning_rate_init": 1.0},
    "1, adaptive": {
        "momentum": 0.0,
        "learning_rate_init": 1.0,
        "learning_rate": "adaptive",
        "n_iter_no_change": 2,
        "tol": 0.001,
    },
    "0.02, momentum 0.9": {"momentum": 0.9, "learning_rate_init": 0.02},
    "Adam, 0.005": {"solver": "adam", "learning_rate_init": 0.005},
}
curves = {}
for name, setting in SETTINGS.items():
    setting = {"solver": "sgd", "n_iter_no_change": np.inf, **setting}
    network = MLPClassifier(
        (50,), batch_size=32, max_iter=40, alpha=0.0, random_state=0, **setting
    )
    curves[name] = network.fit(X_digits, y_digits).loss_curve_
    print(f"{name:20} loss {network.loss_:.5f} after {network.n_iter_} epochs")

# %%
try:
    import matplotlib.pyplot as plt
except ImportError:
    print("no figure: matplotlib is not installed")
else:
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
    grid = np.stack(
        np.meshgrid(np.linspace(-1.6, 2.6, 90), np.linspace(-1.6, 3, 90)), -1
    )
    loss = ((grid @ X.T - y) ** 2).mean(axis=-1) / 2
    left.contour(grid[..., 0], grid[..., 1], np.log(loss), 20, cmap="Greys", alpha=0.6)
    for name, path in paths.items():
        left.plot(*path.T, marker=".", markersize=4, linewidth=1, label=name)
    left.plot(1, 2, marker="*", color="black", markersize=10)
    left.set(xlabel="$w_1$", ylabel="$w_2$", title="50 steps in a valley")
    left.legend(frameon=False)
    for name, losses in curves.items():
        right.semilogy(range(1, len(losses) + 1), losses, label=name)
    right.set(xlabel="epoch", title="Digits: loss in training")
    right.legend(frameon=False)
    figure.savefig("plot_optimizers.png", dpi=120)
