"""The peak of this machine: what the matrix product of BLAS reaches."""

from __future__ import annotations

import time
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from threadpoolctl import threadpool_limits

__all__ = ["Blas"]

# Large enough that no time is lost at the edges, small enough to take tens of
# milliseconds; which one is the fastest differs between machines.
_SIZES = (1024, 1536)
_CALLS = 2
# Rows of a block of the forward pass: from those that stay in cache to many.
_FORWARD_ROWS = (1024, 4096, 16384)


class Blas:
    """NumPy's ``sgemm`` or ``dgemm``; lives in a process of its own."""

    def __init__(self, dtype: str) -> None:
        self._dtype = dtype
        self._rng = np.random.default_rng(0)

    def gflops(self, n_threads: int) -> float:
        """Return the best GFLOP/s of square products."""
        return max(self._best([(n, n, n)], n_threads) for n in _SIZES)

    def forward_gflops(self, units: Sequence[int], n_threads: int) -> float:
        """Return the best GFLOP/s of the products of a forward pass, layer by layer."""
        return max(
            self._best([(rows, *layer) for layer in pairwise(units)], n_threads)
            for rows in _FORWARD_ROWS
        )

    def _best(self, shapes: list[tuple[int, int, int]], n_threads: int) -> float:
        """Return the best GFLOP/s of products (m, k) by (k, n), one after the other."""
        operands = []
        for m, k, n in shapes:
            a, b = self._rng.random((m, k)), self._rng.random((k, n))
            out = np.empty((m, n), self._dtype)
            operands.append((a.astype(self._dtype), b.astype(self._dtype), out))
        seconds = []
        with threadpool_limits(n_threads):
            for _ in range(1 + _CALLS):  # the first one starts the threads
                start = time.perf_counter()
                for a, b, out in operands:
                    np.matmul(a, b, out=out)
                seconds.append(time.perf_counter() - start)
        return 2e-9 * sum(m * k * n for m, k, n in shapes) / min(seconds[1:])
