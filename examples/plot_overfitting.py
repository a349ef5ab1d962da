"""
Overfitting, and what helps against it
======================================

With few images to learn from, some of them with wrong labels, a network can learn all
of them by heart and be the worse for it. Four ways to limit it: fewer hidden units, a
penalty on the weights, a limit to their norm, and an early end of the training. How
much of each is for a validation set to say.
"""

import warnings

import numpy as np
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split

from fastbp import MLPClassifier

warnings.simplefilter("ignore", ConvergenceWarning)  # epochs are counted here

# %%
# Three sets: the first for the weights, the second for the settings, the third for the
# number that is reported in the end. A quarter of the training labels is drawn by lot.
X, y = load_digits(return_X_y=True)
X = (X / 16).astype(np.float32)
X_train, X_rest, y_train, y_rest = train_test_split(
    X, y, train_size=400, stratify=y, random_state=0
)
X_val, X_test, y_val, y_test = train_test_split(
    X_rest, y_rest, train_size=0.5, stratify=y_rest, random_state=0
)
rng = np.random.default_rng(0)
y_train = np.where(rng.random(400) < 0.25, rng.integers(0, 10, 400), y_train)
DEFAULTS = {
    "hidden_layer_sizes": (100,),
    "alpha": 0.0,
    "batch_size": 50,
    "learning_rate_init": 0.005,
    "max_iter": 60,
    "n_iter_no_change": np.inf,
}


def fit(watched=True, **settings):
    """Train a network, watched on the validation set or not."""
    network = MLPClassifier(**{**DEFAULTS, "random_state": 0, **settings})
    if not watched:
        return network.fit(X_train, y_train)
    return network.fit(X_train, y_train, X_val=X_val, y_val=y_val)


# %%
# One network without any limit: after some epochs the loss on the validation set rises,
# while that in training goes on falling. ``early_stopping`` keeps the best epoch.
free = fit()
best_epoch = 1 + int(np.argmin(free.validation_loss_curve_))
stopped = fit(early_stopping=True, scoring="loss", n_iter_no_change=10)
print(f"least validation loss after {best_epoch} epochs of {free.n_iter_}")
print(f"early stopping: ended after {stopped.n_iter_} epochs, best one kept")

# %%
# The other three, each alone. Accuracy on the validation set after the last epoch.
GRIDS = {
    "hidden units": [{"hidden_layer_sizes": (n,)} for n in (3, 6, 12, 25, 50, 200)],
    "alpha": [{"alpha": alpha} for alpha in (0.01, 0.1, 0.3, 1.0, 2.0, 4.0)],
    "max_norm": [{"max_norm": norm} for norm in (0.3, 0.5, 0.7, 1.0, 2.0, 4.0)],
}
scores = {
    name: [
        [fit(False, random_state=seed, **point).score(X_val, y_val) for point in grid]
        for seed in range(2)
    ]
    for name, grid in GRIDS.items()
}

# %%
# What each is worth, on images that played no part in any choice.
chosen = {"no limit": {}, "early stopping": {"early_stopping": True, "scoring": "loss"}}
for name, grid in GRIDS.items():
    chosen[name] = grid[int(np.argmax(np.mean(scores[name], axis=0)))]
print("accuracy on the test set")
for name, settings in chosen.items():
    tested = [
        fit(random_state=seed, **settings).score(X_test, y_test) for seed in range(2)
    ]
    print(f"{name:15} {np.mean(tested):.3f}  {settings}")

# %%
try:
    import matplotlib.pyplot as plt
except ImportError:
    print("no figure: matplotlib is not installed")
else:
    figure, panels = plt.subplots(1, 4, figsize=(14, 3.4), layout="constrained")
    epochs = range(1, free.n_iter_ + 1)
    panels[0].plot(epochs, free.loss_curve_, label="training")
    panels[0].plot(epochs, free.validation_loss_curve_, label="validation")
    panels[0].axvline(best_epoch, color="gray", linestyle=":", label="early stopping")
    panels[0].set(xlabel="epoch", title="Loss without limits", ylim=(0, None))
    panels[0].legend(frameon=False)
    for axes, (name, grid) in zip(panels[1:], GRIDS.items(), strict=True):
        values = [np.squeeze(list(point.values())) for point in grid]
        mean, std = np.mean(scores[name], axis=0), np.std(scores[name], axis=0)
        axes.errorbar(values, mean, yerr=std, marker="o", capsize=3)
        axes.axhline(free.validation_scores_[-1], color="gray", linestyle=":")
        axes.set(xscale="log", xlabel=name, title="Accuracy, validation set")
        axes.set_xticks(values, [f"{value:g}" for value in values])
        axes.minorticks_off()
        axes.set_ylim(0.45, 0.95)
    figure.savefig("plot_overfitting.png", dpi=120)
