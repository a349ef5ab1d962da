"""
Dropout and normalization
=========================

Four hundred handwritten digits, a fifth of them with a label at random: a network with
forty weights for each of them learns the digits first, and then the wrong labels by
heart. Normalization alone makes both faster; dropout makes the latter difficult.
"""

import warnings

import numpy as np
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split

from fastbp import MLPClassifier

X, y = load_digits(return_X_y=True)
X = (X / 16).astype(np.float32)

# %%
# The same network for the same number of epochs, for a few choices of the digits. A
# call of ``partial_fit`` is one epoch. The test digits have their right labels.
warnings.simplefilter("ignore", ConvergenceWarning)
EPOCHS = 60
CHOICES = range(4)
SETTINGS = {
    "neither": {},
    "dropout 0.5": {"dropout": 0.5},
    "layer norm": {"normalization": "layer"},
    "batch norm": {"normalization": "batch"},
    "batch norm, dropout 0.5": {"normalization": "batch", "dropout": 0.5},
}


def accuracies(choice, settings):
    """Return the accuracy on training and test digits after each epoch, (EPOCHS, 2)."""
    train, test = train_test_split(
        np.arange(len(y)), train_size=400, stratify=y, random_state=choice
    )
    rng = np.random.default_rng(choice)
    wrong = rng.random(400) < 0.2
    y_train = np.where(wrong, rng.integers(10, size=400), y[train])
    model = MLPClassifier(
        (100, 100), alpha=0, batch_size=25, random_state=choice, **settings
    )
    curve = []
    for _ in range(EPOCHS):
        model.partial_fit(X[train], y_train, classes=np.arange(10))
        predicted = model.predict(X)
        curve.append(
            [np.mean(predicted[train] == y_train), np.mean(predicted[test] == y[test])]
        )
    return curve


curves = {
    name: np.array([accuracies(choice, settings) for choice in CHOICES])
    for name, settings in SETTINGS.items()
}

# %%
print(f"accuracy after {EPOCHS} epochs, mean of {len(CHOICES)} choices")
print(f"{'':24} training    test")
for name, runs in curves.items():
    training, test = runs[:, -1].mean(axis=0)
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
    for name, runs in curves.items():
        curve = runs.mean(axis=0)
        for column, axis in enumerate(axes):
            axis.plot(epochs, curve[:, column], label=name, linewidth=1.2)
    for axis, title in zip(
        axes,
        ("400 training digits, a fifth with random labels", "the other 1397"),
        strict=True,
    ):
        axis.set(title=title, xlabel="epoch", ylim=(0.6, 1.01))
    axes[0].set_ylabel("accuracy (mean)")
    axes[0].legend(frameon=False, loc="lower right")
    figure.savefig("plot_regularisation.png", dpi=120)
