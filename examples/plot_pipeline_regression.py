"""
A regressor in a pipeline
=========================

``MLPRegressor`` is an ordinary scikit-learn estimator: it goes into pipelines and grid
searches. Here it learns Friedman's function of five features, hidden among five others
that mean nothing, and a grid search chooses how strongly to penalise its weights.
"""

import numpy as np
from sklearn.datasets import make_friedman1
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fastbp import MLPRegressor

X, y = make_friedman1(n_samples=2000, n_features=10, noise=1.0, random_state=0)
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)

# %%
# Networks want features of similar scale, hence the scaler.
pipeline = make_pipeline(
    StandardScaler(),
    MLPRegressor(
        hidden_layer_sizes=(64, 64),
        learning_rate_init=0.005,
        batch_size=64,
        early_stopping=True,
        random_state=0,
    ),
)
search = GridSearchCV(pipeline, {"mlpregressor__alpha": [1e-2, 1e-1, 1.0, 10.0]}, cv=3)
search.fit(X_train, y_train)
print(f"chosen alpha: {search.best_params_['mlpregressor__alpha']:g}")
print(f"R2 on the test data: {search.score(X_test, y_test):.3f}")

# The noise has variance 1, so no model can be expected to do better than this.
ceiling = 1 - 1.0 / np.var(y_test)
print(f"R2 of the true function, about: {ceiling:.3f}")

# %%
# Predictions against the truth, and what the penalty does.
try:
    import matplotlib.pyplot as plt
except ImportError:
    print("no figure: matplotlib is not installed")
else:
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.8), layout="constrained")
    left.scatter(y_test, search.predict(X_test), s=9, alpha=0.6)
    left.axline((15, 15), slope=1, color="black", linewidth=1)
    left.set(xlabel="target", ylabel="prediction", title="Test data", aspect=1)
    results = search.cv_results_
    right.errorbar(
        [parameters["mlpregressor__alpha"] for parameters in results["params"]],
        results["mean_test_score"],
        yerr=results["std_test_score"],
        marker="o",
        capsize=4,
    )
    right.axhline(ceiling, color="black", linestyle=":", label="true function")
    right.set(xscale="log", xlabel="alpha", ylabel="R2", title="Cross-validation")
    right.legend(frameon=False)
    figure.savefig("plot_pipeline_regression.png", dpi=120)
