"""The validation set: where it comes from, and what is measured on it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from inspect import signature
from numbers import Real
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from sklearn.base import is_classifier
from sklearn.metrics import check_scoring
from sklearn.model_selection import train_test_split

from . import _core
from ._data import Samples, read_only
from ._prediction import predict_rows

if TYPE_CHECKING:
    from ._base import BaseMLP

__all__ = [
    "begin_history",
    "given_samples",
    "measure",
    "scorer_of",
    "snapshot",
    "split",
]

Scorer: TypeAlias = Callable[..., Any]


def given_samples(
    est: BaseMLP, X: Any, y: Any, sample_weight: Any, dtype: Any
) -> Samples | None:
    """Return the validation set that the user gave, checked, if there is one."""
    if X is None and y is None and sample_weight is None:
        return None
    if X is None or y is None:
        raise ValueError(
            "a validation set is X_val and y_val, and sample_weight_val if wanted: got "
            f"X_val {_presence(X)}, y_val {_presence(y)} and sample_weight_val "
            f"{_presence(sample_weight)}"
        )
    n_outputs = est.n_outputs_
    try:
        X, y = est._validate_held_out(X, y)
        weights = est._check_weights(sample_weight, X, y)
        y = est._encode(y, dtype)
    except ValueError as error:
        raise ValueError(f"in X_val, y_val or sample_weight_val: {error}") from error
    if est.n_outputs_ != n_outputs:
        raise ValueError(
            f"y_val must have as many outputs as y, {n_outputs}, got {est.n_outputs_}"
        )
    return Samples(X, y, weights)


def _presence(value: Any) -> str:
    return "None" if value is None else "given"


def split(est: BaseMLP, samples: Samples) -> tuple[NDArray[np.int64], Samples]:
    """Set rows aside for validation; returns those for training, and the others."""
    train, validation = train_test_split(
        np.arange(samples.X.shape[0]),
        random_state=est._random_state,
        test_size=est.validation_fraction,
        stratify=_strata(est, samples),
    )
    if len(validation) < 2:
        raise ValueError(
            "The validation set is too small. Increase 'validation_fraction' "
            "or the size of your dataset."
        )
    for use, rows in (("training", train), ("validation", validation)):
        if samples.weights is not None and not samples.weights[rows].any():
            raise ValueError(
                f"sample_weight is zero for all {use} samples of early_stopping"
            )
    return train, samples.subset(validation)


def _strata(est: Any, samples: Samples) -> NDArray[Any] | None:
    """Return the classes to stratify by: of binary targets always, as scikit-learn."""
    if not is_classifier(est):
        return None
    if est.n_outputs_ == 1:
        return samples.y > 0.5
    if not est.validation_stratify:
        return None
    if est._is_multilabel():
        raise ValueError(
            "validation_stratify=True needs one class for each sample; with several "
            "labels it must be False"
        )
    classes: NDArray[Any] = est._true_classes(samples.y)
    return classes


def begin_history(est: BaseMLP, *, is_given: bool, goes_on: bool) -> None:
    """Make the attributes that are written at each epoch, unless they are there.

    A best score of another kind is no measure for this one. Nor is that of another fit
    on a set that is given, or if its weights were to be restored: they are gone. With a
    split, scikit-learn keeps it. Calls of partial_fit go on.
    """
    if getattr(est, "validation_scores_", None) is None:
        est.validation_scores_ = []
        est.best_validation_score_ = -np.inf
    if getattr(est, "validation_loss_curve_", None) is None:
        est.validation_loss_curve_ = []
    scored = (est.scoring, is_given)
    scoring, *former = getattr(est, "_scored", scored)
    begins_anew = is_given or est.restore_best or former != [is_given]
    if scoring != est.scoring or (begins_anew and not goes_on):
        est.best_validation_score_ = -np.inf
    est._scored = scored


def scorer_of(est: BaseMLP) -> Scorer | None:
    """Return the scorer for ``scoring``; None for a score from the outputs alone."""
    if est.scoring is None or est.scoring == "loss":
        return None
    scorer: Scorer = check_scoring(est, est.scoring)
    return scorer


def measure(
    est: BaseMLP, network: _core.Network, validation: Samples, scorer: Scorer | None
) -> tuple[float, float]:
    """Return score and mean loss (without penalty).

    The score is NaN when training has diverged: the class with the greatest of some NaN
    is still a class, and a dead unit hides the NaN in its weights.
    """
    outputs = predict_rows(network, validation.X, est.n_jobs)
    loss = est._output_loss(outputs, validation)
    if not (np.isfinite(outputs).all() and network.is_finite()):
        return np.nan, loss
    if scorer is not None:
        return _score(est, network, validation, scorer), loss
    score = -loss if est.scoring == "loss" else est._output_score(outputs, validation)
    if np.isnan(score):
        raise ValueError(
            f"the score of the validation set, of {len(validation.y)} samples, is not "
            "defined, though all predictions are finite: R2 needs at least two samples "
            "of a target that have weight"
        )
    return score, loss


def _score(
    est: BaseMLP, network: _core.Network, validation: Samples, scorer: Scorer
) -> float:
    model = snapshot(est, network)
    model.__dict__.pop("feature_names_in_", None)  # X has been made an array
    weights = {}
    if validation.weights is not None and _takes_weights(scorer):
        weights["sample_weight"] = validation.weights
    y = read_only(est._decode(validation.y))
    score = scorer(model, read_only(validation.X), y, **weights)
    if not isinstance(score, Real) or np.isnan(float(score)):
        raise ValueError(
            f"scoring={est.scoring!r} must return a number, got {score!r:.60}"
        )
    return float(score)


def _takes_weights(scorer: Scorer) -> bool:
    """Tell whether a scorer, or the metric in it, has an argument for weights."""
    metric = getattr(scorer, "_score_func", scorer)
    try:
        parameters = signature(metric).parameters
    except ValueError:  # built in: it has to be tried
        return True
    takes_all = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    return "sample_weight" in parameters or takes_all


def snapshot(est: BaseMLP, network: _core.Network) -> BaseMLP:
    """Return a copy of the estimator with the network's weights, for prediction.

    Nothing that is done to it has an effect on the estimator.
    It has no callbacks: they belong to the fit, and pickle may not know them. Nor has
    it what training on needs: that is of another epoch than the weights.
    """
    model = copy.copy(est)
    model.callbacks = None
    for name in ("random_state", "classes_", "_kept_rows"):
        if hasattr(model, name):
            setattr(model, name, copy.deepcopy(getattr(model, name)))
    of_callbacks = ("_skl_callbacks", "_callback_fit_ctx", "_skl_callbacks_to_teardown")
    of_training = ("_order", "_optimizer", "_random_state")
    for name in (*of_callbacks, *of_training):
        model.__dict__.pop(name, None)
    model._set_parameters(network.get_parameters())
    model._is_resumable = False
    for name in ("loss_curve_", "validation_scores_", "validation_loss_curve_"):
        if getattr(est, name, None) is not None:
            setattr(model, name, list(getattr(est, name)))
    return model
