"""Combinations of parameters that make no sense, refused by name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ._estimator_hooks import callbacks_of
from ._hidden_layers import uses_dropout
from ._optimizer import parameters_of
from ._rates import is_only_warmup, plateau_of, schedule_of
from .callbacks import Checkpoint, CSVLogger, EarlyStopping
from .losses import CustomLoss, LogLoss, Quantile
from .optimizers import OPTIMIZERS, Optimizer
from .schedules import Warmup

if TYPE_CHECKING:
    from ._base import BaseMLP

__all__ = ["refuse_contradictions", "refuse_weights_of_entries"]

# Parameters that only steps and epochs give a meaning to, or that ask for more than a
# smooth loss, and their neutral values.
_OF_STOCHASTIC_SOLVERS: dict[str, tuple[Any, ...]] = {
    "weight_decay": (None, 0),
    "l1": (0,),
    "max_norm": (None,),
    "clip_norm": (None,),
    "lr_schedule": (None,),
    "warmup": (0,),
    "scoring": (None,),
    "restore_best": (None,),
    "validation_stratify": (False,),
    "max_time": (None,),
    "callbacks": (None, [], ()),
    "ema": (None,),
    "grad_tol": (None,),
}

# Parameters that only some of the optimizers have, and their defaults.
_OF_OPTIMIZERS = {
    "learning_rate": "constant",
    "power_t": 0.5,
    "momentum": 0.9,
    "nesterovs_momentum": True,
    "beta_1": 0.9,
    "beta_2": 0.999,
    "epsilon": 1e-8,
}

# With these, parameters of another solver are ignored, as scikit-learn does.
_OF_SCIKIT_LEARN = ("lbfgs", "sgd", "adam")


def refuse_contradictions(
    est: BaseMLP, *, incremental: bool, is_validated: bool
) -> None:
    """Raise ValueError with the first contradiction.

    ``is_validated`` says whether the call was given X_val or anything of the kind.
    """
    for message in _contradictions(est, incremental, is_validated):
        raise ValueError(message)
    callbacks_of(est)


def refuse_weights_of_entries(est: BaseMLP, weights: NDArray[np.float64]) -> None:
    """Raise ValueError if weights (n_samples, n_outputs) go with no such parameters."""
    why = ""
    if isinstance(est._loss(), CustomLoss):
        why = f"a function gives one value per row, got loss={est.loss!r}"
    elif est.scoring not in (None, "loss"):
        why = f"a scorer takes one per row, got scoring={est.scoring!r}"
    if why:
        raise ValueError(
            f"sample_weight must have shape (n_samples,), got {weights.shape}: {why}"
        )


def _contradictions(
    est: BaseMLP, incremental: bool, is_validated: bool
) -> Iterator[str]:
    if est.solver == "lbfgs":
        yield from _of_lbfgs(est, is_validated)
    elif isinstance(est.solver, Optimizer):
        yield from _of_an_optimizer(est, est.solver)
    elif est.solver not in _OF_SCIKIT_LEARN:
        yield from _of_a_rule(est, est.solver)
    if est.normalization == "batch" and est.batch_size == 1:
        yield (
            "normalization='batch' needs batch_size > 1, got batch_size=1: a single "
            "sample is its own mean"
        )
    yield from _of_hidden_layers(est)
    yield from _of_the_loss(est)
    yield from _of_the_rate(est, incremental)
    yield from _of_validation(est, is_validated)
    if incremental:
        yield from _of_partial_fit(est, is_validated)


def _of_lbfgs(est: BaseMLP, is_validated: bool) -> Iterator[str]:
    needs = f"needs a solver of {', '.join(OPTIMIZERS)}, got solver='lbfgs'"
    for name, neutral in _OF_STOCHASTIC_SOLVERS.items():
        value = getattr(est, name, neutral[0])
        if value not in neutral:
            yield f"{name}={value!r} {needs}"
    if uses_dropout(est):
        name = "input_dropout" if est.input_dropout > 0 else "dropout"
        yield f"{name}={getattr(est, name)!r} {needs}: its loss would be a random one"
    if est.normalization == "batch":
        yield f"normalization='batch' {needs}: it needs batches"
    if est.verbose == "progress":
        yield f"verbose='progress' {needs}"
    if is_validated:
        yield f"a validation set (X_val, y_val) {needs}"


def _of_a_rule(est: BaseMLP, solver: str) -> Iterator[str]:
    for name, default in _OF_OPTIMIZERS.items():
        if getattr(est, name) != default and name not in parameters_of(solver):
            yield _without_effect(est, name, default)


def _of_an_optimizer(est: BaseMLP, optimizer: Optimizer) -> Iterator[str]:
    if est.learning_rate_init != 0.001:
        yield _without_effect(est, "learning_rate_init", 0.001)
    of_schedules = ("learning_rate", "power_t") if optimizer.name == "sgd" else ()
    for name, default in _OF_OPTIMIZERS.items():
        if getattr(est, name) != default and name not in of_schedules:
            yield _without_effect(est, name, default)
    if hasattr(optimizer, "weight_decay") and est.weight_decay is not None:
        yield (
            f"weight_decay={est.weight_decay!r} and solver={optimizer!r} are two "
            "weight decays: weight_decay must be None"
        )


def _without_effect(est: BaseMLP, name: str, default: Any) -> str:
    if isinstance(est.solver, Optimizer):
        instead = "the object says what applies"
    else:
        having = [repr(rule) for rule in OPTIMIZERS if name in parameters_of(rule)]
        instead = f"or solver {' or '.join(having)}"
    return (
        f"{name}={getattr(est, name)!r} has no effect with solver={est.solver!r}: it "
        f"must be {default!r}, {instead}"
    )


def _of_hidden_layers(est: BaseMLP) -> Iterator[str]:
    if est._hidden_layer_sizes():
        return
    for name, is_neutral in (
        ("dropout", not np.any(est.dropout)),
        ("normalization", est.normalization is None),
    ):
        if not is_neutral:
            yield (
                f"{name}={getattr(est, name)!r} needs hidden layers, got "
                f"hidden_layer_sizes={est.hidden_layer_sizes!r}"
            )


def _of_the_loss(est: BaseMLP) -> Iterator[str]:
    loss = est._loss()
    output = getattr(est, "output_activation", None)
    if output is not None and output not in loss._outputs:
        yield (
            f"output_activation={output!r} does not go with loss={est.loss!r}: it must "
            f"be {' or '.join(map(repr, (None, *loss._outputs)))}"
        )
    quantile = getattr(est, "quantile", None)
    if quantile is not None and est.loss != "quantile":
        yield f"quantile={quantile!r} needs loss='quantile', got loss={est.loss!r}"
    masks = getattr(est, "missing_targets", "error") == "mask"
    if masks and isinstance(loss, CustomLoss):
        yield (
            "missing_targets='mask' needs a loss of fastbp.losses: a function gives "
            f"one value per row, got loss={est.loss!r}"
        )
    several = isinstance(loss, Quantile) and len(loss.quantiles) > 1
    if est.scoring not in (None, "loss") and (several or masks):
        why = "several quantiles" if several else "missing_targets='mask'"
        yield f"scoring must be None or 'loss' with {why}, got {est.scoring!r}"
    smoothing = getattr(est, "label_smoothing", 0)
    if smoothing and isinstance(loss, LogLoss) and loss.label_smoothing:
        yield (
            f"label_smoothing={smoothing!r} and loss={est.loss!r} are two smoothings: "
            "one must be 0"
        )


def _of_the_rate(est: BaseMLP, incremental: bool) -> Iterator[str]:
    for name in ("lr_schedule", "warmup"):
        value = getattr(est, name)
        if value and est.learning_rate != "constant":
            yield (
                f"{name}={value!r} needs learning_rate='constant', got "
                f"learning_rate={est.learning_rate!r}"
            )
    if est.warmup and (
        est.lr_schedule == "warmup" or isinstance(est.lr_schedule, Warmup)
    ):
        yield (
            f"warmup={est.warmup!r} and lr_schedule={est.lr_schedule!r} are two "
            "warm-ups: warmup must be 0, or lr_schedule what follows it"
        )
    schedule = schedule_of(est)
    if not incremental and is_only_warmup(schedule, est.max_iter):
        yield (
            f"warmup must be less than max_iter={est.max_iter} epochs, got {schedule!r}"
        )
    plateau = plateau_of(schedule)
    if plateau is None:
        return
    if plateau.patience is None and est.n_iter_no_change == np.inf:
        yield (
            f"lr_schedule={est.lr_schedule!r} needs a patience, or a finite "
            "n_iter_no_change, got inf: the rate would never fall"
        )
    if (plateau.patience or 0) > est.n_iter_no_change:
        yield (
            f"lr_schedule={est.lr_schedule!r} needs patience <= n_iter_no_change="
            f"{est.n_iter_no_change}: training would stop before the rate falls"
        )


def _of_validation(est: BaseMLP, is_validated: bool) -> Iterator[str]:
    if getattr(est, "validation_stratify", False) and not est.early_stopping:
        yield "validation_stratify=True needs early_stopping=True, got False"
    if getattr(est, "validation_stratify", False) and is_validated:
        yield "validation_stratify=True splits samples off, but X_val is given"
    if est.early_stopping or is_validated:
        return
    for name, neutral in (("scoring", (None,)), ("restore_best", (None, False))):
        value = getattr(est, name)
        if value not in neutral:
            yield (
                f"{name}={value!r} needs a validation set: early_stopping=True, or "
                "X_val and y_val"
            )


def _of_partial_fit(est: BaseMLP, is_validated: bool) -> Iterator[str]:
    if est.early_stopping and not is_validated:
        yield ("partial_fit does not support early_stopping=True")
    if est.restore_best:
        yield (
            "partial_fit does not support restore_best=True: it must be None or False"
        )
    for name in ("max_time", "grad_tol"):
        value = getattr(est, name)
        if value is not None:
            yield f"partial_fit does not support {name}={value!r}: it must be None"
    if est.verbose == "progress":
        yield (
            "partial_fit does not support verbose='progress': it must be a bool or int"
        )
    for callback in est.callbacks or ():
        if _counts_epochs(callback):
            yield (
                f"partial_fit does not support {callback!r} in callbacks: each call is "
                "a fit of one epoch, and it compares or counts those of one fit"
            )
        if isinstance(callback, CSVLogger) and not callback.append:
            yield (
                f"partial_fit does not support {callback!r} in callbacks: each call is "
                "a fit, with a file of its own; append must be True"
            )


def _counts_epochs(callback: Any) -> bool:
    if isinstance(callback, Checkpoint):
        return callback.every > 1 or callback.monitor is not None
    return isinstance(callback, EarlyStopping)
