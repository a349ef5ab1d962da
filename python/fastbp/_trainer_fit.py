"""A call of ``Trainer.fit``: the plain rules of its training loop.

What the network, the history and the next call get is written after each epoch if
somebody may look, else at the end; a fit that fails or is interrupted within its first
epoch leaves everything as it was, a later Ctrl-C keeps the complete epochs.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ._data import Samples, rows_of
from ._descent import Descent
from ._hooks import Hooks
from ._rates import is_of_the_user, is_only_warmup, plateau_of, rates_of_epoch
from ._training_loop import NON_FINITE, TrainingLoop, first_order
from .callbacks import EpochRecord
from .layers import BatchNorm
from .network import copy_arrays
from .schedules import Schedule

if TYPE_CHECKING:
    from .trainer import Trainer

__all__ = ["Memory", "TrainerFit"]

_PATIENCE = 10  # bad epochs of a Plateau that names none


@dataclass
class Memory:
    """What a Trainer remembers from one call of fit to the next.

    Attributes
    ----------
    dropout_seed, t : int
        The seed of dropout, and how many steps have been made.
    rule : str
        The rule that the moments are of.
    moments : list of list of ndarray
    order : ndarray of shape (n_rows,) or None
        In which the rows were taken last.
    epoch_of_order : int
        For which it was drawn.
    """

    dropout_seed: int
    t: int = 0
    rule: str = ""
    moments: list[list[Any]] = field(default_factory=list)
    order: NDArray[np.int64] | None = None
    epoch_of_order: int = 0


@dataclass
class _State:
    """All that a fit may change."""

    network: NDArray[Any]
    memory: Memory
    stream: Any
    n_records: int


@dataclass
class _Progress:
    """Where training stands after a complete epoch."""

    t: int
    n_records: int


class TrainerFit(TrainingLoop):
    """One call of fit."""

    def __init__(
        self,
        owner: Trainer,
        samples: Samples,
        held_out: Samples | None,
        n_epochs: int,
    ) -> None:
        self.owner = owner
        self.network = owner.network
        self.samples = samples
        self.held_out = held_out
        self.n_epochs = n_epochs
        self.n_rows = len(samples.y)
        batch_size = min(owner.batch_size or self.n_rows, self.n_rows)
        norms = [x for x in owner.network.layers if isinstance(x, BatchNorm)]
        if norms and batch_size == 1:
            raise ValueError(
                f"{norms[0]!r} needs batches of at least 2 samples, got "
                f"batch_size={owner.batch_size!r} and {self.n_rows} samples: a single "
                "one is its own mean"
            )
        if is_only_warmup(owner.schedule, n_epochs):
            raise ValueError(
                f"{owner.schedule!r} must end before n_epochs={n_epochs} of this fit: "
                "the schedule's time begins anew with each call"
            )
        self.falls = _Falls(owner.schedule)
        self.seed = owner._memory.dropout_seed
        self.core = owner.network._core_network(owner._objective, samples.y)
        self.descent = Descent(
            owner,
            self.core,
            owner.optimizer,
            samples,
            batch_size=batch_size,
            outer_loss=owner._objective.outer_loss,
            seed=self.seed,
        )
        self.n_threads = self.descent.n_threads
        self.rule, _ = owner.optimizer._core_rule()
        memory = owner._memory
        if memory.t > 0 and self.rule == memory.rule:
            self.descent.trainer.set_state(
                memory.t, memory.moments, n_threads=self.n_threads
            )
        self.shuffles = owner.shuffle
        self.generator = owner._generator
        self.rows = None
        if self.shuffles:
            self.rows = first_order(memory.order, self.n_rows)
        self.hooks = Hooks(owner, owner.callbacks)
        # Whether somebody looks at the network, or its changes, after each epoch.
        self.is_watched = bool(
            owner.callbacks
            or owner.metrics
            or owner.diagnostics
            or owner.grad_tol is not None
            or self.descent.outer_loss is not None
            or is_of_the_user(owner.schedule)
        )

    def train(self) -> None:
        before = self.before()
        self.complete = self.state()
        self.shown = before.network
        try:
            with self.hooks:
                self.adopt()
                self.begin_order()
                self.run(self.n_epochs)
                self.descent.save()
                self.take_saved()
        except KeyboardInterrupt:
            if self.complete.n_records == before.n_records:
                self.restore(before)
            else:
                self.go_back()
            raise
        except BaseException:
            self.restore(before)
            raise

    def before(self) -> _State:
        owner = self.owner
        return _State(
            owner.network._state.copy(),
            replace(owner._memory),
            owner._generator.get_state(),
            len(owner._records),
        )

    def restore(self, before: _State) -> None:
        owner = self.owner
        vars(owner)["network"] = self.network
        self.network._state[:] = before.network
        owner._memory = before.memory
        owner._generator.set_state(before.stream)
        del owner._records[before.n_records :]

    def state(self) -> _Progress:
        return _Progress(self.descent.trainer.t, len(self.owner._records))

    def go_back(self) -> None:
        """Take back what came after the last complete epoch.

        But the order that was drawn for the next one: that is the one to go on with.
        """
        owner = self.owner
        vars(owner)["network"] = self.network
        owner._memory.dropout_seed = self.seed
        del owner._records[self.complete.n_records :]
        self.save_complete(self.complete.t)
        self.take_saved()

    def take_saved(self) -> None:
        """Give the owner what the core has saved."""
        memory, network = self.owner._memory, self.network
        memory.t, *arrays, memory.moments = self.descent.trainer.take_saved()
        memory.rule = self.rule
        network._store(arrays)

    def adopt(self) -> None:
        """Go on from what callbacks have written into the network, if they have."""
        network = self.network
        if self.owner.network is not network:
            raise ValueError("a callback must not set another network during fit")
        if self.hooks.callbacks and not np.array_equal(network._state, self.shown):
            arrays = network._parameter_arrays
            self.core.set_parameters(*arrays, n_threads=self.n_threads)
            self.shown = network._state.copy()

    def begin_order(self) -> None:
        """Have the owner's order be the one that this fit shuffles."""
        memory = self.owner._memory
        if self.rows is None:
            return
        if memory.order is None or len(memory.order) != len(self.rows):
            memory.epoch_of_order = 0
        memory.order = self.rows

    def shuffle(self) -> None:
        """Draw the next order, unless that was done for an epoch that Ctrl-C ended."""
        memory, epoch = self.owner._memory, len(self.owner._records) + 1
        if self.rows is None or memory.epoch_of_order == epoch:
            return
        rows, shuffle = self.rows, self.generator.shuffle
        # Signals are handled where a Python function begins, or after a call, and so
        # not between these two.
        memory.epoch_of_order = epoch
        shuffle(rows)

    def begin_epoch(self) -> None:
        self.descent.save()

    def rate_of(self, epoch: int) -> float | NDArray[np.float64]:
        owner = self.owner
        rate = float(owner.optimizer.learning_rate) * self.falls.factor
        if owner.schedule is None:
            return rate
        return rates_of_epoch(
            owner.schedule, rate, epoch, self.descent.fractions, float(self.n_epochs)
        )

    def end_epoch(self, loss: float) -> bool:
        owner = self.owner
        if not self.core.is_finite():
            raise ValueError(NON_FINITE)
        update = self.show() if self.is_watched else None
        record = {
            "epoch": len(owner._records) + 1,
            "loss": loss,
            "learning_rate": float(np.ravel(self.rate)[-1]),
            "seconds": self.hooks.seconds(),
            **self.measured(update),
        }
        self.falls.see(record.get("val_loss", record["loss"]))
        owner._records.append(record)
        return owner.grad_tol is not None and record["gradient_norm"] < owner.grad_tol

    def run_callbacks(self) -> bool:
        owner, record = self.owner, self.owner._records[-1]
        if not self.hooks.callbacks:
            return False
        stops = self.hooks.run(
            EpochRecord(
                epoch=record["epoch"],
                loss=record["loss"],
                validation_loss=record.get("val_loss"),
                validation_score=next(
                    (record[f"val_{name}"] for name in owner.metrics if self.held_out),
                    None,
                ),
                learning_rate=record["learning_rate"],
                seconds=record["seconds"],
            )
        )
        self.adopt()
        return stops

    def show(self) -> NDArray[Any]:
        """Give the owner what there is now; returns by how much parameters changed.

        Callbacks may keep a copy that is to train on.
        """
        network, memory = self.network, self.owner._memory
        if self.hooks.callbacks:
            memory.t, memory.moments = self.descent.trainer.get_state(
                n_threads=self.n_threads
            )
            memory.rule = self.rule
        arrays = self.core.get_parameters(n_threads=self.n_threads)
        network._store(arrays)
        former, self.shown = self.shown, network._state.copy()
        n_parameters = network.flat_parameters.size
        update: NDArray[Any] = self.shown[:n_parameters] - former[:n_parameters]
        return update

    def measured(self, update: NDArray[Any] | None) -> dict[str, Any]:
        """Return what is recorded only if asked for."""
        owner = self.owner
        measured: dict[str, Any] = {}
        if owner.metrics:
            measured = owner._measure(self.samples, self.core)
            del measured["loss"]  # that of the epoch is there
        if self.held_out is not None:
            for name, value in owner._measure(self.held_out, self.core).items():
                measured[f"val_{name}"] = value
        if owner.grad_tol is not None:
            measured["gradient_norm"] = self.gradient_norm()
        if owner.diagnostics:
            measured["diagnostics"] = owner._diagnose(self.samples, update)
        return measured

    def gradient_norm(self) -> float:
        """Return the norm over the parameters that training changes."""
        owner, network, samples = self.owner, self.owner.network, self.samples
        _, *gradients = self.core.loss_and_gradients(
            rows_of(samples.X),
            samples.y,
            samples.weights,
            alpha=owner.alpha,
            n_threads=self.n_threads,
            outer_loss=self.descent.outer_loss,
        )
        all_gradients = network._views_of(np.zeros_like(network.flat_parameters))
        copy_arrays(gradients, network._arrays_of(all_gradients))
        squares = 0.0
        for i, layer in enumerate(network.layers):
            for name in network._names_of(i) if layer.trainable else ():
                gradient = all_gradients[name]
                if gradient.ndim == 2:  # a weight matrix
                    signs = np.sign(network.parameters[name])
                    gradient = gradient + owner.l1 / samples.weight * signs
                squares += np.square(gradient, dtype=np.float64).sum()
        return float(np.sqrt(squares))


class _Falls:
    """The factor of a Plateau schedule, which falls when training stalls."""

    def __init__(self, schedule: Schedule | None) -> None:
        self.plateau = plateau_of(schedule)
        self.factor = 1.0
        self.best = np.inf
        self.n_bad = 0

    def see(self, loss: float) -> None:
        plateau = self.plateau
        if plateau is None:
            return
        self.n_bad = 0 if loss < self.best else self.n_bad + 1
        self.best = min(self.best, loss)
        if self.n_bad > (plateau.patience or _PATIENCE):
            self.factor = max(self.factor * plateau.factor, plateau.end)
            self.n_bad = 0
