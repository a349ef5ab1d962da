"""
Dropout and normalization
=========================

With 200 handwritten digits a network of 300 + 300 units has some five hundred weights
for each of them: it soon makes no mistake on what it has seen, and what it has learned
of the rest depends on what keeps it from learning those by heart.
"""

import warnings

import numpy as np
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split

from fastbp import MLPClassifier

X, y = load_digits(return_X_y=True)
X = (X / 16).astype(np.float32)
X_train, X_test, y_train, y_test = train_test_split(
    X, y, train_size=200, stratify=y, random_state=0
)

# %%
# The same network for the same number of epochs, from four seeds each. A call of
# ``partial_fit`` is one epoch.
warnings.simplefilter("ignore", ConvergenceWarning)
EPOCHS = 100
SEEDS = range(4)
SETTINGS = {
    "neither": {},
    "dropout 0.5": {"dropout": 0.5},
    "layer norm": {"normalization": "layer"},
    "batch norm": {"normalization": "batch"},
    "layer norm, dropout 0.5": {"normalization": "layer", "dropout": 0.5},
}


def accuracies(seed, settings):
    """Return the accuracy on training and test digits after each epoch, (EPOCHS, 2)."""
    model = MLPClassifier(
        (300, 300), alpha=0, batch_size=25, random_state=seed, **settings
    )
    curve = []
    for _ in range(EPOCHS):
        model.partial_fit(X_train, y_train, classes=np.arange(10))
        curve.append([model.score(X_train, y_train), model.score(X_test, y_test)])
    return curve


curves = {
    name: np.mean([accuracies(seed, settings) for seed in SEEDS], axis=0)
    for name, settings in SETTINGS.items()
}

# %%
print(f"accuracy, mean of the last 20 of {EPOCHS} epochs and of {len(SEEDS)} seeds")
print(f"{'':24} training   test")
for name, curve in curves.items():
    training, test = curve[-20:].mean(axis=0)
    print(f"{name:24}   {training:.4f}   {test:.4f}")

# %%
try:
    import matplotlib.pyplot as plt
except ImportError:
    print("no figure: matplotlib is not installed")
else:
    figure, axes = plt.subplots(
        1, 2, figsize=(10, 3.8), layout="constrained", sharex=True, sharey=True
    )
    epochs = np.arange(1, EPOCHS + 1)
    for name, curve in curves.items():
        for column, axis in enumerate(axes):
            axis.plot(epochs, curve[:, column], label=name, linewidth=1.2)
    for axis, title in zip(axes, ("200 training digits", "1597 others"), strict=True):
        axis.set(title=title, xlabel="epoch", ylim=(0.85, 1.005))
    axes[0].set_ylabel("accuracy (mean of seeds)")
    axes[0].legend(frameon=False, loc="lower right")
    figure.savefig("plot_regularisation.png", dpi=120)
