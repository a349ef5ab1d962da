"""pytest plugin: puts fastbp's estimators in the place of scikit-learn's.

A plugin named with ``-p`` is imported before any test module is, so scikit-learn's test
file runs on fastbp unmodified; test_sklearn_test_mlp.py has the command.
"""

import sklearn.neural_network

import fastbp

sklearn.neural_network.MLPClassifier = fastbp.MLPClassifier
sklearn.neural_network.MLPRegressor = fastbp.MLPRegressor


def pytest_collection_finish(session) -> None:
    """Refuse to run when the tests would see scikit-learn's own classes."""
    for module in {item.module for item in session.items}:
        for name in ("MLPClassifier", "MLPRegressor"):
            assert getattr(module, name) is getattr(fastbp, name)
