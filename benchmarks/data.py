"""The arrays of a job: data that comes with scikit-learn, from a folder, or drawn.

MNIST and the California house values are too large for the repository; they are read
from the folder given as ``--data DIR`` or in the environment variable ``FASTBP_DATA``:

- ``mnist.npz`` with ``x_train`` (60000, 784) uint8 and ``y_train`` (60000,), and
  likewise ``x_test`` and ``y_test`` for the recipe;
- ``california_housing.csv.gz`` with a header, 8 numeric features and the target
  ``median_house_value``.
"""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from sklearn.datasets import load_digits

from .cases import Job

__all__ = ["DataMissing", "data_folder", "load", "mnist", "require"]

_HOUSING_FEATURES = (
    "longitude",
    "latitude",
    "housing_median_age",
    "total_rooms",
    "total_bedrooms",
    "population",
    "households",
    "median_income",
)
_HOUSING_TARGET = "median_house_value"
_FILES = {"mnist": "mnist.npz", "housing": "california_housing.csv.gz"}


class DataMissing(Exception):
    """A job needs a file that is not there; the message says which and where."""


def data_folder(option: str | None) -> Path | None:
    """Return the folder of ``--data``, else of ``FASTBP_DATA``, else None."""
    name = option or os.environ.get("FASTBP_DATA")
    return Path(name) if name else None


def require(job: Job, folder: Path | None) -> None:
    """Raise `DataMissing` unless the files of a job are there."""
    name = _FILES.get(job.data)
    if name is None:
        return
    if folder is None:
        raise DataMissing(
            f"needs {name}; give its folder as --data DIR or in FASTBP_DATA"
        )
    if not (folder / name).is_file():
        raise DataMissing(f"needs {name}, which is not in {folder}")


def load(job: Job, folder: Path | None = None) -> tuple[Any, NDArray[Any]]:
    """Make X and y of a job.

    Returns
    -------
    X : ndarray or csr_matrix of shape (n_samples, n_features)
        In the job's dtype.
    y : ndarray of shape (n_samples,)
        Class indices (int64), or targets in the job's dtype.
    """
    require(job, folder)
    X, y = _LOADERS[job.data](job, folder)
    X = X[: job.n_samples].astype(job.dtype, copy=False)
    y = y[: job.n_samples]
    return X, y.astype(job.dtype if job.task == "regression" else np.int64)


def _digits(job: Job, folder: Path | None) -> tuple[Any, NDArray[Any]]:
    X, y = load_digits(return_X_y=True)
    return X / 16.0, y


def _mnist(job: Job, folder: Path | None) -> tuple[Any, NDArray[Any]]:
    assert folder is not None
    return mnist(folder, "train", job.n_samples)


def mnist(
    folder: Path, part: str, n_samples: int | None = None
) -> tuple[NDArray[np.float32], NDArray[Any]]:
    """Return pixels from 0 to 1 and digits of 'train' or 'test', or the first few."""
    with np.load(folder / _FILES["mnist"]) as arrays:
        X, y = arrays[f"x_{part}"][:n_samples], arrays[f"y_{part}"][:n_samples]
    return X.reshape(len(X), -1) / np.float32(255), y


def _housing(job: Job, folder: Path | None) -> tuple[Any, NDArray[Any]]:
    """Standardised numeric features; missing values become the median."""
    assert folder is not None
    with gzip.open(folder / _FILES["housing"], "rt") as file:
        table = np.genfromtxt(
            file,
            delimiter=",",
            names=True,
            usecols=[*_HOUSING_FEATURES, _HOUSING_TARGET],
        )
    X = np.column_stack([table[name] for name in _HOUSING_FEATURES])
    X = np.where(np.isnan(X), np.nanmedian(X, axis=0), X)
    y = table[_HOUSING_TARGET]
    return (X - X.mean(axis=0)) / X.std(axis=0), y / 1e5


def _tabular(job: Job, folder: Path | None) -> tuple[Any, NDArray[Any]]:
    """Ten classes: the largest of ten random functions of the features."""
    rng = np.random.default_rng(0)
    n_features, n_classes = job.units[0], job.units[-1]
    X = rng.standard_normal((job.n_samples, n_features), dtype=np.float32)
    inner = rng.standard_normal((n_features, 32)) / np.sqrt(n_features)
    outer = rng.standard_normal((32, n_classes))
    return X, np.argmax(np.tanh(2 * X @ inner) @ outer, axis=1)


def _online(job: Job, folder: Path | None) -> tuple[Any, NDArray[Any]]:
    """Two classes: whether a point lies in a shell around a random plane."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((job.n_samples, job.units[0]))
    direction = rng.standard_normal(job.units[0]) / np.sqrt(job.units[0])
    return X, np.abs(X @ direction) < 0.6


def _sparse(job: Job, folder: Path | None) -> tuple[Any, NDArray[Any]]:
    """A CSR matrix with the same number of non-zeros in every row, like bags of words.

    A row's class is voted by its columns: column c votes for c % n_classes, and about
    a fifth of a row's columns vote for its own class, the others at random.
    """
    rng = np.random.default_rng(0)
    n_features, n_classes = job.units[0], job.units[-1]
    n_nonzeros = round(job.density * n_features)
    y = rng.integers(n_classes, size=job.n_samples)
    # One column in each of n_nonzeros equal stretches: sorted and without duplicates.
    stretch = n_features // n_nonzeros
    offsets = rng.integers(stretch // n_classes, size=(job.n_samples, n_nonzeros))
    votes = rng.integers(n_classes, size=offsets.shape)
    votes = np.where(rng.random(offsets.shape) < 0.2, y[:, None], votes)
    columns = np.arange(n_nonzeros) * stretch + offsets * n_classes + votes
    values = rng.random(columns.size, dtype=np.float32)
    indptr = np.arange(job.n_samples + 1) * n_nonzeros
    X = sp.csr_matrix(
        (values, columns.ravel().astype(np.int32), indptr.astype(np.int32)),
        shape=(job.n_samples, n_features),
    )
    return X, y


_LOADERS: dict[str, Callable[[Job, Path | None], tuple[Any, NDArray[Any]]]] = {
    "digits": _digits,
    "mnist": _mnist,
    "housing": _housing,
    "tabular": _tabular,
    "online": _online,
    "sparse": _sparse,
}
