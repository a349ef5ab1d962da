"""
XOR needs a hidden layer
========================

Four points: (0, 0) and (1, 1) belong to class 0, (0, 1) and (1, 0) to class 1. No
straight line separates the classes, so a network without a hidden layer cannot learn
them, however long it trains. A few hidden units are enough.
"""

import numpy as np

from fastbp import MLPClassifier

X = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
y = np.array([0, 1, 1, 0])

# %%
# Without hidden units the network is logistic regression; with them, it bends.
networks = {
    "no hidden layer": MLPClassifier(
        hidden_layer_sizes=(), solver="lbfgs", random_state=0
    ),
    "4 hidden units": MLPClassifier(
        hidden_layer_sizes=(4,), activation="tanh", solver="lbfgs", random_state=0
    ),
}
for name, network in networks.items():
    network.fit(X, y)
    p = network.predict_proba(X)[:, 1]
    print(f"{name}: {network.score(X, y):.0%} right, p(class 1) =", p.round(3))

# %%
# The probability of class 1 all over the plane. The best that a network without hidden
# units can do for all four points is to say one half everywhere.
try:
    import matplotlib.pyplot as plt
except ImportError:
    print("no figure: matplotlib is not installed")
else:
    from sklearn.inspection import DecisionBoundaryDisplay

    figure, panels = plt.subplots(1, 2, figsize=(8, 3.6), layout="constrained")
    for axes, (name, network) in zip(panels, networks.items(), strict=True):
        settings = {"response_method": "predict_proba", "eps": 0.4, "ax": axes}
        boundary = DecisionBoundaryDisplay.from_estimator(
            network,
            X,
            plot_method="pcolormesh",
            cmap="RdBu_r",
            vmin=0,
            vmax=1,
            **settings,
        )
        DecisionBoundaryDisplay.from_estimator(
            network,
            X,
            plot_method="contour",
            levels=[0.5],
            colors="black",
            linestyles="--",
            **settings,
        )
        axes.scatter(*X[y == 0].T, s=90, c="tab:blue", edgecolors="white", label="0")
        axes.scatter(*X[y == 1].T, s=90, c="tab:red", edgecolors="white", label="1")
        axes.set(xlabel="$x_1$", xticks=[0, 1], yticks=[0, 1], aspect=1)
        axes.set_title(f"{name}: {network.score(X, y):.0%} right")
    panels[0].set_ylabel("$x_2$")
    figure.colorbar(boundary.surface_, ax=panels, label="probability of class 1")
    figure.savefig("plot_xor.png", dpi=120)
