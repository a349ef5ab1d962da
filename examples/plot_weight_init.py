"""
Initial weights of a deep network
=================================

Ten layers of ReLU, trained from different initial weights. If these are too small,
signals and gradients shrink from layer to layer, and the first epochs are lost; those
of He et al. keep their size.
"""

import warnings

import numpy as np
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning

from fastbp import MLPClassifier
from fastbp.initializers import Orthogonal

warnings.simplefilter("ignore", ConvergenceWarning)  # all epochs are wanted

X, y = load_digits(return_X_y=True)
X = (X / 16).astype(np.float32)

# %%
# None is scikit-learn's way: the bound of Glorot and Bengio, biases drawn as well.
choices = {
    "None (scikit-learn)": None,
    "he_normal": "he_normal",
    "lecun_normal": "lecun_normal",
    "Orthogonal(√2)": Orthogonal(gain=2**0.5),
    "zeros": "zeros",
}
models = {}
for name, weight_init in choices.items():
    model = MLPClassifier(
        hidden_layer_sizes=(32,) * 10,
        batch_size=100,
        max_iter=40,
        n_iter_no_change=np.inf,
        weight_init=weight_init,
        random_state=0,
    )
    models[name] = model.fit(X, y)
    print(f"{name}: loss {model.loss_:.3f} after {model.n_iter_} epochs")

# %%
# With weights of zero all units of a layer get the same gradient, here none at all.
try:
    import matplotlib.pyplot as plt
except ImportError:
    print("no figure: matplotlib is not installed")
else:
    from fastbp.plots import LearningCurveDisplay

    figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
    styles = ["-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1))]
    colours = plt.colormaps["cividis"](np.linspace(0, 0.9, len(models)))
    for (name, model), style, colour in zip(
        models.items(), styles, colours, strict=True
    ):
        LearningCurveDisplay.from_estimator(
            model, name=name, ax=axes, linestyle=style, color=colour
        )
    axes.set_ylabel("training loss")
    figure.savefig("plot_weight_init.png", dpi=120)
