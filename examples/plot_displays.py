"""
Looking into a network
======================

The displays of fastbp.plots on the handwritten digits: how the training went, what the
units of the first layer look for, and a drawing of the network.
"""

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from fastbp import MLPClassifier
from fastbp.callbacks import History

X, y = load_digits(return_X_y=True)
X = (X / 16).astype(np.float32)
X_train, X_test, y_train, y_test = train_test_split(X, y, stratify=y, random_state=0)

# %%
# A history records the learning rate beside losses and scores. The weights that are
# kept are an average over the last hundred steps or so, which evens them out. An L1
# penalty takes away what is of no use, such as the pixels at the border.
history = History()
model = MLPClassifier(
    hidden_layer_sizes=(16,),
    batch_size=32,
    learning_rate_init=0.005,
    lr_schedule="exponential",
    l1=0.003,
    ema=0.99,
    weight_init="he_normal",
    early_stopping=True,
    random_state=0,
    callbacks=[history],
)
model.fit(X_train, y_train)
print(f"{model.n_iter_} epochs, test accuracy {model.score(X_test, y_test):.1%}")

# %%
# The last hidden layer as features: 16 numbers in place of 64 pixels.
features = model.transform(X_test)
print(f"{model.get_feature_names_out()[0]} ... : {features.shape[1]} features")

# %%
# Each display takes the axes that it is given, and divides them if it needs more.
try:
    import matplotlib.pyplot as plt
except ImportError:
    print("no figure: matplotlib is not installed")
else:
    from fastbp.plots import LearningCurveDisplay, NetworkDisplay, WeightsDisplay

    figure = plt.figure(figsize=(12, 6.4), layout="constrained")
    left, right = figure.subfigures(1, 2, width_ratios=(1, 1.25))
    LearningCurveDisplay.from_history(
        history, score_name="accuracy", ax=left.subplots()
    )
    upper, lower = right.subplots(2, 1, height_ratios=(1, 1.6))
    WeightsDisplay.from_estimator(model, ax=upper)
    NetworkDisplay.from_estimator(model, max_units=10, ax=lower)
    figure.savefig("plot_displays.png", dpi=120)
