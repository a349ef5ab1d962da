"""
A validation set in a pipeline
==============================

Early stopping wants a validation set, and in a pipeline that set has to go through the
same steps as the training data. scikit-learn's metadata routing sees to it.
"""

import numpy as np
import sklearn
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fastbp import MLPClassifier

X, y = load_breast_cancer(return_X_y=True)
X_rest, X_test, y_rest, y_test = train_test_split(X, y, stratify=y, random_state=0)
X_train, X_val, y_train, y_val = train_test_split(
    X_rest, y_rest, stratify=y_rest, random_state=0
)


def network():
    return MLPClassifier(
        (30,), early_stopping=True, scoring="loss", max_iter=300, random_state=0
    )


# %%
# ``set_fit_request`` says what the network wants to be given, ``transform_input`` what
# the steps before it have to transform.
with sklearn.config_context(enable_metadata_routing=True):
    pipeline = make_pipeline(
        StandardScaler(),
        network().set_fit_request(X_val=True, y_val=True),
        transform_input=["X_val"],
    )
    pipeline.fit(X_train, y_train, X_val=X_val, y_val=y_val)
routed = pipeline[-1]
print(f"validation loss {-routed.best_validation_score_:.3f}, {routed.n_iter_} epochs")
print(f"test accuracy {pipeline.score(X_test, y_test):.1%}")

# %%
# The same by hand, and the mistake that routing saves one from: a validation set that
# nobody has scaled. Its loss says nothing.
scaler = StandardScaler().fit(X_train)
by_hand = network().fit(
    scaler.transform(X_train), y_train, X_val=scaler.transform(X_val), y_val=y_val
)
assert np.array_equal(by_hand.coefs_[0], routed.coefs_[0])
mistaken = network().fit(scaler.transform(X_train), y_train, X_val=X_val, y_val=y_val)
accuracy = mistaken.score(scaler.transform(X_test), y_test)
print(
    f"not scaled: ended after {mistaken.n_iter_} epochs, test accuracy {accuracy:.1%}"
)

# %%
try:
    import matplotlib.pyplot as plt
except ImportError:
    print("no figure: matplotlib is not installed")
else:
    figure, axes = plt.subplots(figsize=(6, 3.8), layout="constrained")
    epochs = range(1, routed.n_iter_ + 1)
    axes.semilogy(epochs, routed.loss_curve_, label="training")
    axes.semilogy(epochs, routed.validation_loss_curve_, label="validation")
    axes.semilogy(
        range(1, mistaken.n_iter_ + 1),
        mistaken.validation_loss_curve_,
        linestyle=":",
        label="validation, not scaled",
    )
    axes.set(xlabel="epoch", ylabel="log-loss")
    axes.legend(frameon=False)
    figure.savefig("plot_validation_in_pipeline.png", dpi=120)
