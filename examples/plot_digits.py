"""
Handwritten digits
==================

Two networks for the digits that come with scikit-learn (1797 images of 8x8 pixels): one
with a single output that says whether a digit is a 4, and one with ten, a softmax. Both
are watched while they learn.
"""

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from fastbp import MLPClassifier

# %%
# Three sets: one to learn from, one to decide when to stop, and one that is not looked
# at before the end. float32 is precise enough for networks, and faster.
X, y = load_digits(return_X_y=True)
X = (X / 16).astype(np.float32)
X_rest, X_test, y_rest, y_test = train_test_split(
    X, y, test_size=0.2, stratify=y, random_state=0
)
X_train, X_val, y_train, y_val = train_test_split(
    X_rest, y_rest, test_size=0.25, stratify=y_rest, random_state=0
)
print(
    f"images to train on: {len(X_train)}, to validate: {len(X_val)}, "
    f"to test: {len(X_test)}"
)


# %%
# A function that is called after each epoch, with a network that can predict and with
# what is known about the epoch. (``verbose="progress"`` would show a bar instead.)
def learn(name, y_train, y_val):
    """Train a network; return it, and its losses and accuracies of all epochs."""
    curves = []

    def watch(network, record):
        accuracy = network.score(X_train, y_train)
        curves.append(
            (record.loss, record.validation_loss, accuracy, record.validation_score)
        )
        if record.epoch % 10 == 1:
            print(
                f"{name}, epoch {record.epoch:2}: loss {record.loss:.4f}, "
                f"accuracy {accuracy:.1%}, on the validation set "
                f"{record.validation_score:.1%}"
            )

    network = MLPClassifier(
        hidden_layer_sizes=(30,),
        activation="logistic",
        batch_size=32,
        learning_rate_init=0.01,
        early_stopping=True,  # and the weights of the best epoch are kept
        callbacks=[watch],
        random_state=0,
    )
    network.fit(X_train, y_train, X_val=X_val, y_val=y_val)
    return network, np.array(curves)


fours, curves_of_fours = learn("4 or not", y_train == 4, y_val == 4)
digits, curves_of_digits = learn("ten digits", y_train, y_val)

# %%
# Nine images in ten are no 4, so that accuracy alone says little there.
found = fours.predict(X_test)
print(
    f"4 or not: {fours.score(X_test, y_test == 4):.1%} of {len(y_test)} test images "
    f"right; {found[y_test == 4].sum()} of {(y_test == 4).sum()} fours found, "
    f"{found[y_test != 4].sum()} others taken for one"
)
predicted = digits.predict(X_test)
wrong = np.flatnonzero(predicted != y_test)
print(f"ten digits: {digits.score(X_test, y_test):.1%} right")

# %%
# Many of the mistakes are hard to call for a human, too.
try:
    import matplotlib.pyplot as plt
except ImportError:
    print("no figure: matplotlib is not installed")
else:
    figure = plt.figure(figsize=(10, 6), layout="constrained")
    top, bottom = figure.subfigures(2, 1, height_ratios=[2, 1])
    panels = top.subplots(1, 2, sharex=True)
    for name, curves in {"4 or not": curves_of_fours, "ten": curves_of_digits}.items():
        epochs = range(1, len(curves) + 1)
        (line,) = panels[0].semilogy(epochs, curves[:, 0], label=f"{name}, training")
        style = {"color": line.get_color(), "linestyle": "--"}
        panels[0].semilogy(epochs, curves[:, 1], label=f"{name}, validation", **style)
        panels[1].plot(epochs, curves[:, 2])
        panels[1].plot(epochs, curves[:, 3], **style)
    panels[0].set(xlabel="epoch", title="Loss")
    panels[1].set(xlabel="epoch", title="Accuracy", ylim=(0.85, 1.005))
    panels[0].legend(frameon=False)
    shown = wrong[:10]
    bottom.suptitle(f"{len(shown)} of {len(wrong)} mistakes (true, predicted)")
    for image, panel in zip(shown, bottom.subplots(1, 10), strict=False):
        panel.imshow(X_test[image].reshape(8, 8), cmap="gray_r")
        panel.set_title(f"{y_test[image]}, {predicted[image]}")
    for panel in bottom.axes:
        panel.set_axis_off()
    figure.savefig("plot_digits.png", dpi=120)
