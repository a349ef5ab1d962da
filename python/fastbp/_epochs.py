"""One pass of the core's trainer over the samples, for estimators and for Trainer."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import _core
from ._blas import one_blas_thread
from ._data import Samples

__all__ = ["run_epoch"]


def run_epoch(
    trainer: _core.Trainer,
    network: _core.Network,
    samples: Samples,
    rows: NDArray[np.int64] | None,
    *,
    batch_size: int,
    rate: float | NDArray[np.float64],
    alpha: float,
    n_threads: int,
    outer_loss: _core.OuterLoss | None = None,
) -> tuple[float, float]:
    """Make the steps of an epoch.

    Returns the sum of batch loss * batch rows and that of the norms of the gradients,
    if the trainer takes them.

    ``rows`` are to be taken in their order, None: all. ``rate`` is one for all steps,
    or an array with one for each. ``outer_loss`` is a loss that is not the core's.
    """
    total = norms = 0.0
    first_step = 0
    for piece in samples.pieces(rows, batch_size):
        piece_rate: Any = rate
        if isinstance(rate, np.ndarray) and samples.in_pieces:
            n_steps = -(-piece.rows.n_rows // batch_size)
            piece_rate = rate[first_step : first_step + n_steps]
            first_step += n_steps
        with one_blas_thread(network):
            total += trainer.run_epoch(
                piece.rows,
                piece.y,
                piece.weights,
                piece.order,
                batch_size=batch_size,
                learning_rate=piece_rate,
                alpha=alpha,
                n_threads=n_threads,
                outer_loss=outer_loss,
            )
        norms += trainer.norm_sum
    return total, norms
