"""
Prediction intervals with quantiles
===================================

How sure is a prediction? A network trained with the quantile loss answers with an
interval: here the 5 %, 50 % and 95 % quantiles of a curve whose noise changes along it,
from one network. Between the outer two lie nine in ten of the values to come, which
samples that the network has never seen can confirm.
"""

import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fastbp import MLPRegressor

warnings.simplefilter("ignore", ConvergenceWarning)  # of a fixed number of epochs
QUANTILES = [0.05, 0.5, 0.95]
rng = np.random.default_rng(0)


def curve(x):
    return np.sin(x) * x / 3


def draw(n):
    """Points on a curve with noise that is skewed, and grows with x."""
    x = rng.uniform(0, 10, n)
    noise = (0.1 + x / 10) * (rng.exponential(size=n) - np.log(2))
    return x[:, np.newaxis], curve(x) + noise


X_train, y_train = draw(3000)
X_test, y_test = draw(5000)

# %%
# Three outputs, one for each quantile. The noise has the median 0, so that the middle
# one should find the curve itself.
network = MLPRegressor(
    "quantile",
    (64, 64),
    "tanh",
    quantile=QUANTILES,
    learning_rate_init=0.01,
    lr_schedule="one_cycle",
    max_iter=150,
    n_iter_no_change=150,
    random_state=0,
)
model = make_pipeline(StandardScaler(), network).fit(X_train, y_train)

# %%
# How many new values lie under each quantile, and where the interval is wrong.
predicted = model.predict(X_test)
print("quantile   share of new values under it")
for quantile, values in zip(QUANTILES, predicted.T, strict=True):
    print(f"{quantile:8.2f}   {(y_test <= values).mean():.3f}")
inside = (predicted[:, 0] <= y_test) & (y_test <= predicted[:, 2])
for low in range(0, 10, 2):
    there = (low <= X_test[:, 0]) & (X_test[:, 0] < low + 2)
    share, width = inside[there].mean(), np.ptp(predicted[there], axis=1).mean()
    print(f"x from {low} to {low + 2:2}: {share:.2f} inside, width {width:.2f}")

# %%
try:
    import matplotlib.pyplot as plt
except ImportError:
    print("no figure: matplotlib is not installed")
else:
    x = np.linspace(0, 10, 500)
    lower, median, upper = model.predict(x[:, np.newaxis]).T
    figure, axes = plt.subplots(figsize=(8, 4), layout="constrained")
    axes.plot(X_test[:1000], y_test[:1000], ".", color="gray", markersize=3, alpha=0.6)
    axes.fill_between(x, lower, upper, alpha=0.3, label="5 % to 95 %")
    axes.plot(x, median, label="median")
    axes.plot(x, curve(x), "k:", label="true median")
    axes.set(xlabel="x", ylabel="y", title="New values and the interval predicted")
    axes.legend(frameon=False, loc="upper left")
    figure.savefig("plot_quantiles.png", dpi=120)
