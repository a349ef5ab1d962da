"""
Handwritten digits
==================

Train a classifier on the digits that come with scikit-learn (1797 images of 8x8
pixels), follow its loss, and look at the digits that it gets wrong.
"""

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from fastbp import MLPClassifier

# %%
# Scale the pixels to [0, 1]; float32 is precise enough for networks, and faster.
X, y = load_digits(return_X_y=True)
X = (X / 16).astype(np.float32)
X_train, X_test, y_train, y_test = train_test_split(X, y, stratify=y, random_state=0)

# %%
# With early stopping a tenth of the training data is kept aside; training ends when the
# accuracy on it has stopped growing, and the best weights are kept.
model = MLPClassifier(
    hidden_layer_sizes=(100,),
    batch_size=32,
    learning_rate_init=0.002,
    early_stopping=True,
    n_iter_no_change=20,
    random_state=0,
)
model.fit(X_train, y_train)
predicted = model.predict(X_test)
wrong = np.flatnonzero(predicted != y_test)
print(f"{model.n_iter_} epochs, loss {model.loss_:.4f}")
print(f"{model.score(X_test, y_test):.1%} of {len(y_test)} test images right")

# %%
# Many of the mistakes are hard to call for a human, too.
try:
    import matplotlib.pyplot as plt
except ImportError:
    print("no figure: matplotlib is not installed")
else:
    figure = plt.figure(figsize=(10, 3.6), layout="constrained")
    left, right = figure.subfigures(1, 2)
    axes = left.subplots()
    axes.semilogy(range(1, model.n_iter_ + 1), model.loss_curve_, label="training loss")
    axes.semilogy(
        range(1, model.n_iter_ + 1),
        1 - np.array(model.validation_scores_),
        label="validation error",
    )
    axes.set(xlabel="epoch")
    axes.legend(frameon=False)
    right.suptitle(f"{len(wrong)} mistakes (true, predicted)")
    for image, panel in zip(wrong, right.subplots(2, 5).flat, strict=False):
        panel.imshow(X_test[image].reshape(8, 8), cmap="gray_r")
        panel.set_title(f"{y_test[image]}, {predicted[image]}")
    for panel in right.axes:
        panel.set_axis_off()
    figure.savefig("plot_digits.png", dpi=120)
