"""Weights of the classes, as weights of the samples."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.utils.class_weight import compute_class_weight, compute_sample_weight

from ._data import conversion_of

__all__ = ["class_weighted"]


def class_weighted(
    weights: NDArray[np.float64] | None,
    y: Any,
    class_weight: Any,
    classes: NDArray[Any],
    *,
    incremental: bool,
) -> NDArray[np.float64]:
    """Return the weights of the samples times those of their classes.

    'balanced' counts samples, whatever their weight, as scikit-learn's forests do.
    ``y`` holds labels, or is an indicator matrix of several.
    """
    if incremental and isinstance(class_weight, str):
        raise ValueError(
            "class_weight='balanced' is not supported by partial_fit, which does not "
            "see all samples: give the dict of "
            "sklearn.utils.class_weight.compute_class_weight('balanced', ...) instead"
        )
    of_samples = _of_samples(y, class_weight, classes)
    if not np.isfinite(of_samples).all() or (of_samples < 0).any():
        raise ValueError(
            f"class_weight must be finite and not negative, got {class_weight!r}"
        )
    if weights is not None and weights.ndim == 2:
        of_samples = of_samples[:, np.newaxis]
    product = of_samples if weights is None else weights * of_samples
    if not product.any():
        raise ValueError(
            f"class_weight={class_weight!r} (times sample_weight) is zero for all "
            "samples"
        )
    return np.ascontiguousarray(product, dtype=np.float64)


def _of_samples(
    y: Any, class_weight: Any, classes: NDArray[Any]
) -> NDArray[np.float64]:
    if sparse.issparse(y) or y.ndim == 2:
        return _of_indicators(y.toarray() if sparse.issparse(y) else y, class_weight)
    if isinstance(class_weight, list):
        raise ValueError(
            "class_weight must be a dict or 'balanced' when each sample has one class; "
            f"a list is for several labels, got {class_weight!r}"
        )
    if isinstance(class_weight, dict):
        with conversion_of("class_weight"):
            np.array([*class_weight.values()], dtype=np.float64)
    of_classes = compute_class_weight(class_weight, classes=classes, y=y)
    at: NDArray[np.float64] = of_classes[np.searchsorted(classes, y)]
    return at


def _of_indicators(y: NDArray[Any], class_weight: Any) -> NDArray[np.float64]:
    if isinstance(class_weight, str):
        weights: NDArray[np.float64] = compute_sample_weight(class_weight, y)
        return weights
    if isinstance(class_weight, dict) or not all(map(_is_of_label, class_weight)):
        raise ValueError(
            "class_weight must be a list with a dict for each label, of weights for 0 "
            f"and 1, or 'balanced', when there are several labels, got {class_weight!r}"
        )
    if len(class_weight) != y.shape[1]:
        raise ValueError(
            "the number of elements in class_weight must be that of the labels, "
            f"{y.shape[1]}, got {class_weight!r}"
        )
    # Unlike compute_sample_weight, this takes a chunk that lacks a class.
    with conversion_of("class_weight"):
        np.array([w for of in class_weight for w in of.values()], dtype=np.float64)
    columns = zip(y.T, class_weight, strict=True)
    factors = [np.where(column, of.get(1, 1), of.get(0, 1)) for column, of in columns]
    product: NDArray[np.float64] = np.prod(factors, axis=0, dtype=np.float64)
    return product


def _is_of_label(weights: Any) -> bool:
    return isinstance(weights, dict) and weights.keys() <= {0, 1}
