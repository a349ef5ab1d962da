"""Training by stochastic solvers: the policy around the core's epochs.

The core makes the steps of an epoch; this module decides on the order of the rows, the
learning rate, the validation split, when to stop, and what is kept. The semantics are
those of scikit-learn 1.9, so that the same ``random_state`` gives the same model.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import is_classifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split

from . import _core
from ._blas import one_blas_thread
from ._data import Samples, mean_inputs
from ._optimizer import OptimizerState

if TYPE_CHECKING:
    from ._base import BaseMLP

__all__ = ["NON_FINITE", "fit_stochastic"]

NON_FINITE = (
    "Solver produced non-finite parameter weights. The input data may"
    " contain large values and need to be preprocessed."
)


def fit_stochastic(
    est: BaseMLP, network: _core.Network, samples: Samples, *, incremental: bool
) -> KeyboardInterrupt | None:
    """Train ``network`` on the samples and set the fitted attributes of ``est``.

    Returns the KeyboardInterrupt that ended it after at least one epoch, if any.
    """
    if est.early_stopping and incremental:
        raise ValueError("partial_fit does not support early_stopping=True")
    if est.solver != "sgd" and est.learning_rate != "constant":
        warnings.warn(
            f"learning_rate={est.learning_rate!r} has no effect with "
            f"solver={est.solver!r}",
            UserWarning,
            stacklevel=2,
        )
    if not incremental or not _goes_on(est):
        est._optimizer = OptimizerState(
            est.solver, est.learning_rate_init, est.learning_rate, est.power_t
        )
    return _Fit(est, network, samples, incremental).run()


class _Fit:
    """One call of fit or partial_fit."""

    def __init__(
        self,
        est: BaseMLP,
        network: _core.Network,
        samples: Samples,
        incremental: bool,
    ) -> None:
        self.est = est
        self.network = network
        self.samples = samples
        self.incremental = incremental
        self.train_rows, self.validation = _split(est, samples)
        n_samples = samples.X.shape[0]
        if self.train_rows is not None:
            n_samples = len(self.train_rows)
        self.n_samples = n_samples
        self.batch_size = _batch_size(est.batch_size, n_samples)
        self.n_threads = _core.threads_for(
            network,
            self.batch_size,
            est._n_threads(),
            n_inputs=mean_inputs(samples.X),
        )
        self.trainer = _core.Trainer(
            network,
            _rule(est),
            momentum=est.momentum,
            beta_1=est.beta_1,
            beta_2=est.beta_2,
            epsilon=est.epsilon,
            l1=est.l1,
            weight_decay=_weight_decay(est),
            max_norm=np.inf if est.max_norm is None else est.max_norm,
            clip_norm=np.inf if est.clip_norm is None else est.clip_norm,
        )
        est._optimizer.load_into(self.trainer)
        self.best_parameters: tuple[list[Any], list[Any]] | None = None
        if est.early_stopping:
            self.best_parameters = network.get_parameters()

    def run(self) -> KeyboardInterrupt | None:
        est = self.est
        est.n_iter_ = 0
        order = _first_order(est, self.n_samples, self.incremental)
        complete = _Progress(self)
        try:
            while est.n_iter_ < est.max_iter:
                if est.shuffle:
                    order = _shuffled(order, est._random_state)
                is_last = self.ends(self.epoch(order))
                complete = _Progress(self)
                if is_last:
                    break
                if est.n_iter_ == est.max_iter:
                    _warn_not_converged(est.max_iter)
            if self.incremental:
                est._order = order
            self.keep()
        except KeyboardInterrupt as interrupt:
            if complete.n_iter == 0:
                raise
            complete.restore(self)
            self.keep()
            return interrupt
        return None

    def epoch(self, order: NDArray[np.int64]) -> float:
        """Make one pass over the training rows; returns the mean loss."""
        est = self.est
        rows: NDArray[np.int64] | None = order
        if self.train_rows is not None:
            rows = self.train_rows[order]
        elif not est.shuffle:
            rows = None
        if self.samples.in_pieces:
            self.before = self.network.get_parameters(), self.trainer.get_state()
        total = 0.0
        for piece in self.samples.pieces(rows, self.batch_size):
            with one_blas_thread(self.network):
                total += self.trainer.run_epoch(
                    piece.rows,
                    piece.y,
                    piece.weights,
                    piece.order,
                    batch_size=self.batch_size,
                    learning_rate=est._optimizer.rate,
                    alpha=est.alpha,
                    n_threads=self.n_threads,
                )
        return total / float(self.n_samples)

    def ends(self, loss: float) -> bool:
        """Record an epoch; answers whether it was the last one."""
        est = self.est
        is_finite = self.network.is_finite()
        if not is_finite and not est.early_stopping:
            raise ValueError(NON_FINITE)
        est.n_iter_ += 1
        est.loss_ = loss
        est.t_ += self.n_samples
        est.loss_curve_.append(loss)
        if est.verbose:
            print(f"Iteration {est.n_iter_}, loss = {loss:.8f}")
        self.count_bad_epochs()
        est._optimizer.epoch_ends(est.t_)
        if not is_finite:  # the best weights before it are kept
            warnings.warn(
                f"Training diverged in epoch {est.n_iter_} and was stopped.",
                ConvergenceWarning,
                stacklevel=2,
            )
            return True
        if est._no_improvement_count > est.n_iter_no_change:
            if est._optimizer.stops_after(self.reason(), bool(est.verbose)):
                return True
            est._no_improvement_count = 0
        return self.incremental

    def count_bad_epochs(self) -> None:
        """Update the number of epochs in a row that brought no progress."""
        est = self.est
        if self.validation is None:
            loss = est.loss_curve_[-1]
            bad = loss > est.best_loss_ - est.tol
            est.best_loss_ = min(loss, est.best_loss_)
        else:
            score = est._validation_score(self.network, self.validation)
            est.validation_scores_.append(score)
            if est.verbose:
                print(f"Validation score: {score:f}")
            bad = score < est.best_validation_score_ + est.tol
            if score > est.best_validation_score_:
                est.best_validation_score_ = score
                self.best_parameters = self.network.get_parameters()
        est._no_improvement_count = est._no_improvement_count + 1 if bad else 0

    def reason(self) -> str:
        est = self.est
        return (
            f"{'Validation score' if est.early_stopping else 'Training loss'} did not "
            f"improve more than tol={est.tol:f} for {est.n_iter_no_change:.0f} "
            "consecutive epochs."
        )

    def undo_epoch(self) -> None:
        """Put the core back to before the last epoch, or what there was of it."""
        if self.samples.in_pieces:
            parameters, state = self.before
            self.network.set_parameters(*parameters)
            self.trainer.set_state(*state)
        else:
            self.trainer.undo_epoch()

    def keep(self) -> None:
        """Set the estimator's weights and optimizer state from the core's."""
        est = self.est
        parameters = self.best_parameters or self.network.get_parameters()
        est.coefs_, est.intercepts_ = parameters
        est._optimizer.store_from(self.trainer, est.beta_1, est.beta_2)


class _Progress:
    """Where training stands after a complete epoch.

    Ctrl-C may come between any two lines of Python, when the core has finished an epoch
    that is not yet recorded, or half of the record is written.
    """

    NAMES = (
        "n_iter_",
        "t_",
        "loss_",
        "best_loss_",
        "best_validation_score_",
        "_no_improvement_count",
    )
    CURVES = ("loss_curve_", "validation_scores_")

    def __init__(self, fit: _Fit) -> None:
        attributes = fit.est.__dict__
        self.n_iter = fit.est.n_iter_
        self.t = fit.trainer.t
        self.best_parameters = fit.best_parameters
        self.learning_rate = fit.est._optimizer.learning_rate
        self.values = {n: attributes[n] for n in self.NAMES if n in attributes}
        self.lengths = {n: len(attributes.get(n) or ()) for n in self.CURVES}

    def restore(self, fit: _Fit) -> None:
        """Take back what came after it."""
        if fit.trainer.t != self.t:
            fit.undo_epoch()
        fit.best_parameters = self.best_parameters
        fit.est._optimizer.learning_rate = self.learning_rate
        fit.est.__dict__.update(self.values)
        for name, length in self.lengths.items():
            del (getattr(fit.est, name, None) or [])[length:]


def _goes_on(est: BaseMLP) -> bool:
    """Tell whether there are moments of former calls, and of the same solver."""
    return hasattr(est, "_optimizer") and est._optimizer.solver == est.solver


def _rule(est: BaseMLP) -> Any:
    if est.solver == "adamw":
        return "adam"
    if est.solver != "sgd":
        return est.solver
    if est.momentum == 0:
        return "sgd"
    return "nesterov" if est.nesterovs_momentum else "momentum"


def _weight_decay(est: BaseMLP) -> float:
    if est.weight_decay is None:
        return 0.01 if est.solver == "adamw" else 0.0
    return est.weight_decay


def _split(
    est: BaseMLP, samples: Samples
) -> tuple[NDArray[np.int64] | None, Samples | None]:
    """Set rows aside for validation; only binary targets are stratified."""
    if not est.early_stopping:
        return None, None
    is_binary = is_classifier(est) and est.n_outputs_ == 1
    train, validation = train_test_split(
        np.arange(samples.X.shape[0]),
        random_state=est._random_state,
        test_size=est.validation_fraction,
        stratify=samples.y.astype(bool) if is_binary else None,
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


def _first_order(est: BaseMLP, n_samples: int, incremental: bool) -> NDArray[np.int64]:
    """Rows in the order that the first epoch shuffles.

    Epochs shuffle the order of the epoch before. Successive calls of partial_fit on as
    many rows go on in the same way, so that they equal the epochs of one fit.
    """
    order: NDArray[np.int64] | None = getattr(est, "_order", None)
    if incremental and order is not None and len(order) == n_samples:
        return order
    return np.arange(n_samples)


def _shuffled(
    order: NDArray[np.int64], random_state: np.random.RandomState
) -> NDArray[np.int64]:
    """Permute as ``sklearn.utils.shuffle`` does, with the same random numbers."""
    permutation = np.arange(len(order))
    random_state.shuffle(permutation)
    return order[permutation]


def _warn_not_converged(max_iter: int) -> None:
    warnings.warn(
        f"Stochastic Optimizer: Maximum iterations ({max_iter}) "
        "reached and the optimization hasn't converged yet.",
        ConvergenceWarning,
        stacklevel=2,
    )
