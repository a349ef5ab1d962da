"""
California housing, end to end
==============================

From a table to predicted prices: categories and missing values, a validation set of
one's own, a target on a logarithmic scale, and what the network makes of the map.

The table is ``california_housing.csv.gz`` in the folder given by ``--data`` or
``FASTBP_DATA``, or else scikit-learn's copy, which is fetched from the internet once.
"""

import argparse
import os
import sys
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.datasets import fetch_california_housing
from sklearn.dummy import DummyRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.impute import SimpleImputer
from sklearn.metrics import mean_absolute_error, r2_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

from fastbp import MLPRegressor

warnings.simplefilter("ignore", ConvergenceWarning)  # a schedule ends the training


def load():
    """Return features, and house values in units of 100 000 dollars."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", metavar="DIR", default=os.environ.get("FASTBP_DATA"))
    folder = parser.parse_args().data
    if folder is not None:
        path = Path(folder, "california_housing.csv.gz")
        if not path.is_file():
            sys.exit(f"{path.name} is not in {folder}")
        table = pd.read_csv(path)
        return table.drop(columns="median_house_value"), table[
            "median_house_value"
        ] / 1e5
    try:
        return fetch_california_housing(return_X_y=True, as_frame=True)
    except OSError as error:
        sys.exit(f"no --data DIR, and scikit-learn cannot fetch the data: {error}")


X, y = load()
X_rest, X_test, y_rest, y_test = train_test_split(X, y, test_size=0.2, random_state=0)
X_train, X_val, y_train, y_val = train_test_split(
    X_rest, y_rest, test_size=0.15, random_state=0
)
print(f"{X.shape[0]} districts, {X.shape[1]} features, {X.isna().sum().sum()} missing")

# %%
# Counts of rooms and people have long tails, which the logarithm shortens. Nothing that
# is learnt here, not even a mean, comes from validation or test data.
numbers = make_pipeline(
    SimpleImputer(strategy="median"),
    FunctionTransformer(lambda X: np.sign(X) * np.log1p(abs(X))),
    StandardScaler(),
)
categories = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
features = make_column_transformer(
    (numbers, make_column_selector(dtype_include=np.number)),
    (categories, make_column_selector(dtype_exclude=np.number)),
)
features.fit(X_train)

network = MLPRegressor(
    hidden_layer_sizes=(64, 64),
    batch_size=64,
    learning_rate_init=0.004,
    lr_schedule="one_cycle",
    max_iter=40,
    early_stopping=True,  # the weights of the best epoch
    n_iter_no_change=np.inf,  # but no end before that of the schedule
    dtype="float32",
    random_state=0,
)
network.fit(
    features.transform(X_train),
    np.log(y_train),
    X_val=features.transform(X_val),
    y_val=np.log(y_val),
)
predicted = np.exp(network.predict(features.transform(X_test)))

# %%
always = DummyRegressor(strategy="median").fit(X_train, y_train).predict(X_test)
for name, values in {"network": predicted, "median of all": always}.items():
    error = 1e5 * mean_absolute_error(y_test, values)
    print(
        f"{name:13} R2 {r2_score(y_test, values):6.3f}, mean error {error:6.0f} dollars"
    )

# %%
try:
    import matplotlib.pyplot as plt
except ImportError:
    print("no figure: matplotlib is not installed")
else:
    figure, (left, middle, right) = plt.subplots(
        1, 3, figsize=(13, 3.9), layout="constrained"
    )
    epochs = range(1, network.n_iter_ + 1)
    left.semilogy(epochs, network.loss_curve_, label="training")
    left.semilogy(epochs, network.validation_loss_curve_, label="validation")
    left.set(xlabel="epoch", title="Loss")
    left.legend(frameon=False)
    middle.scatter(y_test, predicted, s=2, alpha=0.4)
    middle.axline((1, 1), slope=1, color="black", linewidth=1)
    middle.set(xlabel="value (100 000 dollars)", ylabel="prediction", title="Test data")
    place = {name.lower(): name for name in X.columns}
    if {"longitude", "latitude"} <= set(place):
        dots = right.scatter(
            X_test[place["longitude"]],
            X_test[place["latitude"]],
            c=predicted - y_test,
            s=3,
            cmap="RdBu_r",
            vmin=-1,
            vmax=1,
        )
        figure.colorbar(dots, ax=right, label="prediction - value")
        right.set(xlabel="longitude", ylabel="latitude", title="Where it errs")
    else:
        right.set_axis_off()
    figure.savefig("california_housing.png", dpi=120)
