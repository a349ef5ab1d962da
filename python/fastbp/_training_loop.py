"""The loop of training: the epochs, what is recorded after each, and when they end.

Trainer and the estimators train by this one loop. They differ in the rules, which a
subclass has: the plain ones of ``_trainer_fit.py``, scikit-learn's in
``_stochastic.py``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._descent import Descent

__all__ = ["NON_FINITE", "TrainingLoop", "first_order"]

NON_FINITE = (
    "Solver produced non-finite parameter weights. The input data may"
    " contain large values and need to be preprocessed."
)


class TrainingLoop(ABC):
    """One call of fit.

    Attributes
    ----------
    descent : Descent
        Makes the epochs.
    shuffles : bool
    rows : ndarray of shape (n_samples,) or None
        Numbers of the samples to take, in their order, which an epoch that shuffles
        changes; None: all as they are.
    generator : RandomState
        Shuffles them.
    rate : float or ndarray of shape (n_steps,)
        Of the last epoch.
    complete : Any
        The ``state`` after the last complete epoch: Ctrl-C goes back to it, because it
        may come between any two lines, when the core has finished an epoch that is not
        yet recorded, or half of the record is written.
    """

    descent: Descent
    shuffles: bool
    rows: NDArray[np.int64] | None
    generator: np.random.RandomState
    rate: Any
    complete: Any

    def run(self, n_epochs: int) -> bool:
        """Make at most ``n_epochs``; tells whether one of them was to be the last.

        ``complete`` has been set.
        """
        for epoch in range(n_epochs):
            if self.shuffles:
                self.shuffle()
            self.begin_epoch()
            self.rate = self.rate_of(epoch)
            loss = self.descent.epoch(self.rows, self.rate) / self.descent.n_samples
            is_last = self.end_epoch(loss)
            self.complete = self.state()
            if self.run_callbacks() or is_last:
                return True
        return False

    def shuffle(self) -> None:
        """Shuffle the rows for the next epoch."""
        assert self.rows is not None
        # As sklearn.utils.shuffle does, with the same random numbers.
        self.generator.shuffle(self.rows)

    def save_complete(self, t: int) -> None:
        """Have the core keep a copy of the last complete epoch, which ended at step t.

        If the next one has begun, there is that copy from before it; if not, the
        network is still as it was.
        """
        if self.descent.trainer.saved_t != t:
            self.descent.save()

    @abstractmethod
    def begin_epoch(self) -> None:
        """Do what is to be done before an epoch."""

    @abstractmethod
    def rate_of(self, epoch: int) -> float | NDArray[np.float64]:
        """Return the learning rate of an epoch, or one for each of its steps."""

    @abstractmethod
    def end_epoch(self, loss: float) -> bool:
        """Record an epoch and its mean loss; tells whether it was the last."""

    @abstractmethod
    def run_callbacks(self) -> bool:
        """Run what the user wants to run now; tells whether training is to end."""

    @abstractmethod
    def state(self) -> Any:
        """Return all that the next epoch will change."""


def first_order(former: NDArray[np.int64] | None, n_samples: int) -> NDArray[np.int64]:
    """Return the order that the first epoch shuffles, to be written into.

    Calls on as many samples go on from the order of the ``former`` one, so that they
    equal the epochs of one fit.
    """
    if former is None or len(former) != n_samples:
        return np.arange(n_samples)
    return former.copy()  # a loaded one may be read-only
