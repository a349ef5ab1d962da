"""Descent: how an epoch of mini-batch gradient descent is made.

In which order the rows come, how fast, how often and what is kept is decided by the
loop around it, ``_training_loop.py``.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from . import _core
from ._blas import one_blas_thread
from ._data import Samples
from ._prediction import n_threads_for
from .losses import CustomLoss
from .optimizers import Optimizer

__all__ = ["Descent"]


class Driver(Protocol):
    """Parameters that estimators and Trainer have in common."""

    alpha: float
    l1: float
    max_norm: float | None
    clip_norm: float | None
    n_jobs: int | None


class Descent:
    """The core's trainer and all that an epoch needs.

    Attributes
    ----------
    network : _core.Network
        What is trained.
    trainer : _core.Trainer
        The optimizer's state.
    batch_size, n_samples, n_steps : int
        Samples of a step, samples of an epoch, steps of an epoch.
    n_threads : int
    gradient_norm : float
        Mean over the steps of the last epoch, if the trainer ``measures_norm``.
    """

    def __init__(
        self,
        driver: Driver,
        network: _core.Network,
        optimizer: Optimizer,
        samples: Samples,
        *,
        batch_size: int,
        n_samples: int | None = None,
        outer_loss: CustomLoss | None = None,
        **settings: Any,
    ) -> None:
        """Prepare epochs of ``n_samples`` of the samples, None: of all.

        ``outer_loss`` is a loss that is not the core's; ``settings`` are further ones
        of ``_core.Trainer``.
        """
        self.network = network
        self.samples = samples
        self.batch_size = batch_size
        self.alpha = driver.alpha
        self.outer_loss = outer_loss
        self.gradient_norm = np.nan
        self.n_samples = len(samples.y) if n_samples is None else n_samples
        self.n_steps = -(-self.n_samples // batch_size)
        self.n_threads = n_threads_for(
            network, samples.X, driver.n_jobs, n_rows=batch_size
        )
        rule, its_settings = optimizer._core_rule()
        self.trainer = _core.Trainer(
            network,
            rule,
            l1=driver.l1,
            max_norm=np.inf if driver.max_norm is None else driver.max_norm,
            clip_norm=np.inf if driver.clip_norm is None else driver.clip_norm,
            **{**settings, **its_settings},
        )

    @property
    def fractions(self) -> NDArray[np.float64]:
        """The places of the steps in an epoch, (n_steps,)."""
        return np.arange(self.n_steps) / self.n_steps

    def epoch(
        self, rows: NDArray[np.int64] | None, rate: float | NDArray[np.float64]
    ) -> float:
        """Make the steps of an epoch; returns the sum of batch loss * batch rows.

        ``rows`` are to be taken in their order, None: all. ``rate`` is one for all
        steps, or an array with one for each.
        """
        total = norms = 0.0
        first_t, first_step = self.trainer.t, 0
        for piece in self.samples.pieces(rows, self.batch_size):
            piece_rate: Any = rate
            if isinstance(rate, np.ndarray) and self.samples.in_pieces:
                n_steps = -(-piece.rows.n_rows // self.batch_size)
                piece_rate = rate[first_step : first_step + n_steps]
                first_step += n_steps
            with one_blas_thread(self.network):
                total += self.trainer.run_epoch(
                    piece.rows,
                    piece.y,
                    piece.weights,
                    piece.order,
                    batch_size=self.batch_size,
                    learning_rate=piece_rate,
                    alpha=self.alpha,
                    n_threads=self.n_threads,
                    outer_loss=self.outer_loss,
                )
            norms += self.trainer.norm_sum
        self.gradient_norm = norms / max(self.trainer.t - first_t, 1)
        return total

    def save(self) -> None:
        """Have the core keep a copy of parameters and moments as they are now."""
        self.trainer.save(n_threads=self.n_threads)
