"""
Adult census income, end to end
===============================

Who earns more than 50 000 dollars a year? A quarter of the people do. Mostly
categories, some of them missing; a pipeline that carries a validation set; classes with
weights; and probabilities that can be believed, or not.

The table is ``adult.csv.gz`` in the folder given by ``--data`` or ``FASTBP_DATA``, or
else OpenML's copy, which is fetched from the internet once.
"""

import argparse
import os
import sys
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import sklearn
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.datasets import fetch_openml
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import (
    RocCurveDisplay,
    accuracy_score,
    balanced_accuracy_score,
    log_loss,
    roc_auc_score,
)
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from fastbp import MLPClassifier

warnings.simplefilter("ignore", ConvergenceWarning)  # the best epoch is kept


def load():
    """Return features and incomes to learn from, and to test on."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", metavar="DIR", default=os.environ.get("FASTBP_DATA"))
    folder = parser.parse_args().data
    if folder is not None:
        path = Path(folder, "adult.csv.gz")
        if not path.is_file():
            sys.exit(f"{path.name} is not in {folder}")
        table = pd.read_csv(path)
        X, y = table.drop(columns=["income", "split"]), table["income"] == ">50K"
        test = table["split"] == "test"  # the official split
        return X[~test], X[test], y[~test], y[test]
    try:
        X, y = fetch_openml("adult", version=2, return_X_y=True, as_frame=True)
    except OSError as error:
        sys.exit(f"no --data DIR, and scikit-learn cannot fetch the data: {error}")
    return train_test_split(X, y == ">50K", test_size=1 / 3, random_state=0)


X_rest, X_test, y_rest, y_test = load()
X_train, X_val, y_train, y_val = train_test_split(
    X_rest, y_rest, test_size=0.15, stratify=y_rest, random_state=0
)
print(f"{len(X_rest)} people to learn from, {y_rest.mean():.0%} with a high income")

# %%
# A missing category becomes a category of its own; a rare one is put with other rare
# ones. The result is sparse, and goes into the network as it is.
numbers = make_column_selector(dtype_include=np.number)
others = make_column_selector(dtype_exclude=np.number)
columns = make_column_transformer(
    (StandardScaler(), numbers),
    (OneHotEncoder(min_frequency=20, handle_unknown="infrequent_if_exist"), others),
    sparse_threshold=1.0,
)


def learn(class_weight):
    """Fit a pipeline that carries the validation set to the network."""
    network = MLPClassifier(
        (64,),
        batch_size=128,
        learning_rate_init=0.002,
        alpha=0.1,
        class_weight=class_weight,
        early_stopping=True,
        scoring="loss",
        n_iter_no_change=5,
        dtype="float32",
        random_state=0,
    )
    with sklearn.config_context(enable_metadata_routing=True):
        network.set_fit_request(X_val=True, y_val=True)
        pipeline = make_pipeline(columns, network, transform_input=["X_val"])
        return pipeline.fit(X_train, y_train, X_val=X_val, y_val=y_val)


models = {"as it is": learn(None), "balanced": learn("balanced")}

# %%
# Weights find more of the rare class at the price of more false alarms, and of
# probabilities that no longer mean what they say. The order of the people, which the
# AUC measures, hardly changes.
print("class weights  accuracy  balanced   AUC   log-loss")
for name, model in models.items():
    p = model.predict_proba(X_test)[:, 1]
    print(
        f"{name:14} {accuracy_score(y_test, p > 0.5):7.3f} "
        f"{balanced_accuracy_score(y_test, p > 0.5):9.3f} "
        f"{roc_auc_score(y_test, p):7.3f} {log_loss(y_test, p):9.3f}"
    )

# %%
try:
    import matplotlib.pyplot as plt
except ImportError:
    print("no figure: matplotlib is not installed")
else:
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 4), layout="constrained")
    for name, model in models.items():
        RocCurveDisplay.from_estimator(model, X_test, y_test, name=name, ax=left)
        p = model.predict_proba(X_test)[:, 1]
        parts = np.array_split(np.argsort(p), 10)
        said = [p[part].mean() for part in parts]
        right.plot(said, [y_test.iloc[part].mean() for part in parts], "o-", label=name)
    left.set(title="Order", aspect=1)
    right.axline((0, 0), slope=1, color="black", linewidth=1)
    right.set(title="Calibration", xlabel="probability as predicted", ylabel="as it is")
    right.legend(frameon=False)
    figure.savefig("adult.png", dpi=120)
