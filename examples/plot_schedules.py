"""
Learning-rate schedules
=======================

How many epochs does a network need to reach a given loss on data that it does not train
on? With a fixed learning rate a small one is slow, and a large one may never get there;
the one-cycle schedule rises to a large rate and falls to almost none.
"""

import warnings

import numpy as np
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split

from fastbp import MLPClassifier
from fastbp.callbacks import History

X, y = load_digits(return_X_y=True)
X = (X / 16).astype(np.float32)
X_train, X_val, y_train, y_val = train_test_split(X, y, stratify=y, random_state=0)

# %%
# No training here is meant to converge: each runs for a fixed number of epochs. The
# validation set is given to ``fit``, which then records the loss on it.
warnings.simplefilter("ignore", ConvergenceWarning)
TARGET = 0.08
SEEDS = range(4)
SETTINGS = {
    "fixed, 0.001": {"learning_rate_init": 0.001, "max_iter": 60},
    "fixed, 0.003": {"learning_rate_init": 0.003, "max_iter": 60},
    "fixed, 0.01": {"learning_rate_init": 0.01, "max_iter": 60},
    "fixed, 0.03": {"learning_rate_init": 0.03, "max_iter": 60},
    "one-cycle, up to 0.03": {
        "learning_rate_init": 0.03,
        "max_iter": 15,
        "lr_schedule": "one_cycle",
    },
}


def train(seed, settings):
    """Return the losses on the validation set, and the rates, of all epochs."""
    history = History()
    model = MLPClassifier(
        (100,),
        batch_size=32,
        n_iter_no_change=settings["max_iter"],
        random_state=seed,
        callbacks=[history],
        **settings,
    )
    model.fit(X_train, y_train, X_val=X_val, y_val=y_val)
    return history.column("validation_loss"), history.column("learning_rate")


curves = {
    name: [train(seed, settings) for seed in SEEDS]
    for name, settings in SETTINGS.items()
}

# %%
# The first epoch at which the loss is under the target, for each seed.
print(f"epochs to a validation loss of {TARGET}, {len(SEEDS)} seeds; least loss")
for name, runs in curves.items():
    losses = np.array([losses for losses, _ in runs])
    reached = (losses <= TARGET).any(axis=1)
    first = (losses <= TARGET).argmax(axis=1) + 1
    epochs = " ".join(
        f"{n:3}" if yes else "  -" for n, yes in zip(first, reached, strict=True)
    )
    print(f"{name:22} {epochs}   {losses.min(axis=1).mean():.4f}")

# %%
try:
    import matplotlib.pyplot as plt
except ImportError:
    print("no figure: matplotlib is not installed")
else:
    figure, (left, right) = plt.subplots(
        1, 2, figsize=(10, 3.8), layout="constrained", sharex=True
    )
    for name, runs in curves.items():
        losses, rates = np.mean(runs, axis=0)
        epochs = np.arange(1, len(losses) + 1)
        width = 2.5 if name.startswith("one") else 1.0
        left.semilogy(epochs, losses, label=name, linewidth=width)
        right.semilogy(epochs, rates, label=name, linewidth=width)
    left.axhline(TARGET, color="gray", linestyle=":")
    left.set(xlabel="epoch", ylabel="validation loss (mean)")
    right.set(xlabel="epoch", ylabel="learning rate at the end of the epoch")
    left.legend(frameon=False)
    figure.savefig("plot_schedules.png", dpi=120)
