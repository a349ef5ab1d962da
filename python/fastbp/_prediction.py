"""Outputs of a network of the core for many rows, and the threads for work on them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import _core
from ._blas import one_blas_thread
from ._data import mean_inputs, row_parts
from ._threads import check_n_jobs, effective_n_threads

__all__ = ["n_threads_for", "predict_rows"]


def n_threads_for(
    network: _core.Network,
    X: Any = None,
    n_jobs: int | None = None,
    *,
    n_rows: int | None = None,
    training: bool = True,
) -> int:
    """Return the threads, as ``n_jobs`` allows, that the work on the rows pays for.

    The rows are all of X, or ``n_rows`` like them; without X, of any numbers.
    """
    n_rows = X.shape[0] if n_rows is None else n_rows
    n_inputs = None if X is None else mean_inputs(X)

    def at_most(n_threads: int) -> int:
        return _core.threads_for(
            network, n_rows, n_threads, n_inputs=n_inputs, training=training
        )

    check_n_jobs(n_jobs)
    # Only for two is asked how many there are: the answer takes a while.
    return at_most(effective_n_threads(n_jobs)[0]) if at_most(2) > 1 else 1


def predict_rows(
    network: _core.Network,
    X: Any,
    n_jobs: int | None = None,
    *,
    raw: bool = False,
    hidden: bool = False,
) -> NDArray[Any]:
    """Return outputs, or pre-activations if ``raw``, (n_rows, n_outputs).

    ``hidden``: the activations of the last hidden layer.
    """
    n_threads = n_threads_for(network, X, n_jobs, training=False)
    with one_blas_thread(network):
        parts = [
            network.predict(rows, raw=raw, hidden=hidden, n_threads=n_threads)
            for rows in row_parts(X)
        ]
    outputs: NDArray[Any] = parts[0] if len(parts) == 1 else np.concatenate(parts)
    return outputs
