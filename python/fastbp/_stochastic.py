"""Training of estimators by stochastic solvers: the rules of their training loop.

They decide on the order of the rows, the learning rate, when to stop, and what is kept.
The semantics are those of scikit-learn 1.9, so that the same ``random_state`` gives the
same model.
"""

from __future__ import annotations

import warnings
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning

from . import _core
from ._data import Samples
from ._descent import Descent
from ._estimator_hooks import EstimatorHooks, wants_hooks
from ._hidden_layers import fitted_normalization, uses_dropout, with_arrays
from ._optimizer import OptimizerState, checksum, optimizer_of, solver_name
from ._rates import ScheduledRates, schedule_of
from ._training_loop import NON_FINITE, TrainingLoop, first_order
from ._validation import begin_history, measure, scorer_of, split
from .layers import drawn_seed

if TYPE_CHECKING:
    from ._base import BaseMLP

__all__ = ["fit_stochastic"]


def fit_stochastic(
    est: BaseMLP,
    network: _core.Network,
    samples: Samples,
    validation: Samples | None,
    *,
    incremental: bool,
) -> KeyboardInterrupt | None:
    """Train ``network`` on the samples and set the fitted attributes of ``est``.

    ``validation`` is the validation set that the user gave, if any.

    Returns the KeyboardInterrupt that ended it after at least one epoch, if any.
    """
    if est.solver == "adam" and est.learning_rate != "constant":
        warnings.warn(
            f"learning_rate={est.learning_rate!r} has no effect with "
            f"solver={est.solver!r}",
            UserWarning,
            stacklevel=2,
        )
    if incremental and _goes_on(est):
        est._optimizer.go_on(est)
    else:
        former = getattr(est, "_optimizer", None)
        est._optimizer = OptimizerState(
            optimizer_of(est), est.learning_rate, est.power_t
        )
        est._optimizer.first_epoch = len(est.loss_curve_)
        est._optimizer.raw = former.raw if former is not None else None
    fit = _Fit(est, network, samples, validation, incremental)
    if not wants_hooks(est):
        return fit.train()
    is_trained, interrupt = False, None
    try:
        with EstimatorHooks(fit) as fit.hooks:
            interrupt = fit.train()
            is_trained = True
    except KeyboardInterrupt as late:
        if not is_trained:
            raise
        return late
    return interrupt


class _Fit(TrainingLoop):
    """One call of fit or partial_fit."""

    hooks: EstimatorHooks | None = None

    def __init__(
        self,
        est: BaseMLP,
        network: _core.Network,
        samples: Samples,
        validation: Samples | None,
        incremental: bool,
    ) -> None:
        self.est = est
        self.network = network
        self.samples = samples
        self.incremental = incremental
        self.prints = bool(est.verbose) and est.verbose != "progress"
        self.train_rows: NDArray[np.int64] | None = None
        self.validation = validation
        if est.early_stopping and validation is None:
            self.train_rows, self.validation = split(est, samples)
        n_samples = samples.X.shape[0]
        if self.train_rows is not None:
            n_samples = len(self.train_rows)
        self.n_samples = n_samples
        batch_size = _batch_size(est.batch_size, n_samples)
        if fitted_normalization(est) == "batch" and batch_size == 1:
            raise ValueError(
                "normalization='batch' needs batches of at least 2 samples, got 1: a "
                "single sample is its own mean"
            )
        self.descent = Descent(
            est,
            network,
            est._optimizer.optimizer,
            samples,
            batch_size=batch_size,
            n_samples=n_samples,
            outer_loss=est._objective(est.n_outputs_).outer_loss,
            weight_decay=est.weight_decay or 0.0,
            ema=est.ema or 0.0,
            measures_norm=est.grad_tol is not None,
            seed=_dropout_seed(est),
        )
        self.trainer = self.descent.trainer
        self.n_threads = self.descent.n_threads
        self.averaged: _core.Network | None = None  # made when it is asked for
        self.has_diverged = False
        est._optimizer.load_into(self.trainer, network, self.n_threads)
        self.shuffles = est.shuffle
        self.generator = est._random_state
        self.schedule = _scheduled_rates(est, self.descent.fractions)
        self.best_parameters: tuple[Any, ...] | None = None
        if self.validation is not None:
            begin_history(est, is_given=validation is not None, goes_on=incremental)
            self.scorer = scorer_of(est)

    def restores_best(self) -> bool:
        est = self.est
        wanted = est.early_stopping if est.restore_best is None else est.restore_best
        return bool(wanted) and not self.incremental

    def training_samples(self) -> Samples:
        """Return the samples without those that are set aside."""
        if self.train_rows is None:
            return self.samples
        return self.samples.subset(self.train_rows)

    def train(self) -> KeyboardInterrupt | None:
        est = self.est
        est.n_iter_ = 0
        self.rows = self.first_rows()
        if self.incremental and self.rows is not None:
            est._order = self.rows  # shuffled in place: right whenever Ctrl-C comes
        self.complete = self.state()
        try:
            if not self.run(est.max_iter):
                _warn_not_converged(est.max_iter)
            self.descent.save()
            self.keep()
        except KeyboardInterrupt as interrupt:
            if self.complete.n_iter == 0:
                raise
            self.complete.restore(self)
            self.keep()
            return interrupt
        return None

    def state(self) -> _Progress:
        return _Progress(self)

    def first_rows(self) -> NDArray[np.int64] | None:
        """Return the rows in the order that the first epoch shuffles."""
        if not self.shuffles:
            return self.train_rows
        if self.train_rows is not None:
            return self.train_rows.copy()
        # With an integer the calls are the epochs of one fit.
        goes_on = self.incremental and isinstance(self.est.random_state, Integral)
        former = getattr(self.est, "_order", None) if goes_on else None
        return first_order(former, self.n_samples)

    def rate_of(self, epoch: int) -> float | NDArray[np.float64]:
        if self.schedule is None:
            return self.est._optimizer.rate
        return self.schedule.of_epoch()

    def begin_epoch(self) -> None:
        if self.hooks is not None:
            self.hooks.epoch_begins()
        self.descent.save()

    def run_callbacks(self) -> bool:
        return self.hooks is not None and self.hooks.epoch_ends()

    def end_epoch(self, loss: float) -> bool:
        est = self.est
        is_finite = self.network.is_finite()
        if not is_finite and self.best_parameters is None:
            raise ValueError(NON_FINITE)
        est.n_iter_ += 1
        est.loss_ = loss
        est.t_ += self.n_samples
        est.loss_curve_.append(loss)
        if self.prints:
            print(f"Iteration {est.n_iter_}, loss = {loss:.8f}")
        self.count_bad_epochs()
        est._optimizer.epoch_ends(est.t_)
        if not is_finite:
            self.go_back_to_best()
            warnings.warn(
                f"Training diverged in epoch {est.n_iter_} and was stopped.",
                ConvergenceWarning,
                stacklevel=2,
            )
            return True
        if self.is_flat():
            return True
        if self.schedule is not None and self.schedule.falls():
            est._no_improvement_count = 0
        if est._no_improvement_count > est.n_iter_no_change:
            if est._optimizer.stops_after(self.reason(), self.prints):
                return True
            est._no_improvement_count = 0
        return self.incremental

    def go_back_to_best(self) -> None:
        """Have the network be what is kept: callbacks are about to see it."""
        assert self.best_parameters is not None
        self.has_diverged = True
        self.network.set_parameters(*self.best_parameters, n_threads=self.n_threads)

    def is_flat(self) -> bool:
        """Tell whether the gradient has become as small as ``grad_tol`` asks for."""
        limit, norm = self.est.grad_tol, self.descent.gradient_norm
        if limit is None:
            return False
        if self.prints:
            print(f"Gradient norm: {norm:g}")
        if self.prints and norm < limit:
            print(f"Gradient norm is less than grad_tol={limit:g}. Stopping.")
        return norm < limit

    def count_bad_epochs(self) -> None:
        """Update the number of epochs in a row that brought no progress."""
        est = self.est
        bad = self.validation is not None and self.validate()
        if not est.early_stopping:
            loss = est.loss_curve_[-1]
            bad = loss > est.best_loss_ - est.tol
            est.best_loss_ = min(loss, est.best_loss_)
        est._no_improvement_count = est._no_improvement_count + 1 if bad else 0

    def validate(self) -> bool:
        """Record loss and score of the validation set; answers whether they are bad."""
        est = self.est
        assert self.validation is not None
        score, loss = measure(est, self.fitted(), self.validation, self.scorer)
        est.validation_scores_.append(score)
        est.validation_loss_curve_.append(loss)
        if self.prints:
            print(f"Validation score: {score:f}")
        bad = score < est.best_validation_score_ + est.tol
        if score > est.best_validation_score_:
            est.best_validation_score_ = score
            if self.restores_best():
                self.best_parameters = self.parameters()
        return bool(bad)

    def reason(self) -> str:
        est = self.est
        return (
            f"{'Validation score' if est.early_stopping else 'Training loss'} did not "
            f"improve more than tol={est.tol:f} for {est.n_iter_no_change:.0f} "
            "consecutive epochs."
        )

    def keep(self) -> None:
        """Set the estimator's weights and optimizer state from what is saved."""
        est = self.est
        t, *parameters, moments = self.trainer.take_saved()
        est._optimizer.forget_average()
        if est.ema is not None:
            average = moments.pop()
            if self.best_parameters is None:
                est._optimizer.raw = tuple(parameters)
                est._optimizer.average = average
                est._optimizer.average_checksum = checksum(average)
                est._optimizer.average_start = self.trainer.average_start
            parameters = with_arrays(parameters, average)
        est._set_parameters(self.best_parameters or parameters)
        if self.has_diverged:
            t, moments = 0, []  # they diverged with the weights
        est._optimizer.store(t, moments)

    def fitted(self) -> _core.Network:
        """Return the network that counts: that of the average, if there is one."""
        if self.est.ema is None or self.has_diverged:
            return self.network
        if self.averaged is None:
            loss = self.est._core_output()
            self.averaged = self.est._network(np.dtype(self.network.dtype), loss)
        if self.trainer.t > self.trainer.average_start:
            average = self.trainer.get_average(n_threads=self.n_threads)
            self.averaged.set_parameters(*average, n_threads=self.n_threads)
        return self.averaged

    def parameters(self) -> tuple[Any, ...]:
        return self.fitted().get_parameters(n_threads=self.n_threads)


class _Progress:
    """Where training stands after a complete epoch."""

    NAMES = (
        "n_iter_",
        "t_",
        "loss_",
        "best_loss_",
        "best_validation_score_",
        "_no_improvement_count",
    )
    CURVES = ("loss_curve_", "validation_scores_", "validation_loss_curve_")

    def __init__(self, fit: _Fit) -> None:
        attributes = fit.est.__dict__
        self.n_iter = fit.est.n_iter_
        self.t = fit.trainer.t
        self.has_diverged = fit.has_diverged
        self.best_parameters = fit.best_parameters
        self.learning_rate = fit.est._optimizer.learning_rate
        self.plateau_factor = fit.est._optimizer.plateau_factor
        self.values = {n: attributes[n] for n in self.NAMES if n in attributes}
        self.lengths = {n: len(attributes.get(n) or ()) for n in self.CURVES}

    def restore(self, fit: _Fit) -> None:
        """Take back what came after it."""
        fit.save_complete(self.t)
        fit.has_diverged = self.has_diverged
        fit.best_parameters = self.best_parameters
        fit.est._optimizer.learning_rate = self.learning_rate
        fit.est._optimizer.plateau_factor = self.plateau_factor
        fit.est.__dict__.update(self.values)
        for name, length in self.lengths.items():
            del (getattr(fit.est, name, None) or [])[length:]


def _goes_on(est: BaseMLP) -> bool:
    """Tell whether there are moments of former calls, and of the same solver."""
    state = getattr(est, "_optimizer", None)
    return state is not None and state.optimizer.name == solver_name(est)


def _dropout_seed(est: BaseMLP) -> int:
    """Return the seed of dropout, drawn once: without it the random stream is as ever.

    Calls of partial_fit go on with it, as they do with the number of the step.
    """
    if not uses_dropout(est):
        return 0
    if est._optimizer.dropout_seed is None:
        est._optimizer.dropout_seed = drawn_seed(est._random_state)
    return est._optimizer.dropout_seed


def _scheduled_rates(
    est: BaseMLP, fractions: NDArray[np.float64]
) -> ScheduledRates | None:
    schedule = schedule_of(est)
    return None if schedule is None else ScheduledRates(est, schedule, fractions)


def _batch_size(batch_size: Any, n_samples: int) -> int:
    if batch_size == "auto":
        return min(200, n_samples)
    if batch_size > n_samples:
        warnings.warn(
            "Got `batch_size` less than 1 or larger than "
            "sample size. It is going to be clipped",
            stacklevel=2,
        )
    return int(min(batch_size, n_samples))


def _warn_not_converged(max_iter: int) -> None:
    warnings.warn(
        f"Stochastic Optimizer: Maximum iterations ({max_iter}) "
        "reached and the optimization hasn't converged yet.",
        ConvergenceWarning,
        stacklevel=2,
    )
