"""How many threads a call uses."""

from __future__ import annotations

import os
from collections.abc import Iterable
from functools import lru_cache
from numbers import Integral
from time import monotonic
from typing import Any

import joblib
from numpy.typing import NDArray

from . import _core
from ._compat import openmp_effective_n_threads

__all__ = ["check_n_jobs", "effective_n_threads", "n_threads_to_copy"]

# More threads than any processor has cores for; a typing error in n_jobs should not
# cost a machine all its threads.
_MOST_THREADS = 512


# Copying less is done before a second thread is awake.
_MANY_NUMBERS = 2**20

# To count, joblib reads files of the system: longer than a small network takes to learn
# a batch.
_SECONDS_BETWEEN_COUNTS = 1.0


def check_n_jobs(n_jobs: int | None) -> None:
    """Refuse an ``n_jobs`` that is no number of threads."""
    if n_jobs is not None and (not isinstance(n_jobs, Integral) or n_jobs == 0):
        raise ValueError(
            f"n_jobs must be None, a positive or a negative integer, got {n_jobs!r}"
        )


def effective_n_threads(n_jobs: int | None = None) -> tuple[int, str]:
    """Threads that a call may use, and why.

    Read anew at every call, the number of cores at most once a second. A step with
    little work is done by fewer threads; the result never depends on their number.

    Parameters
    ----------
    n_jobs : int or None, default=None
        The estimator's parameter: a number of threads; negative: counted back from
        the number of processors, -1 being all; None: the limit set by OMP_NUM_THREADS
        or threadpoolctl, else the physical cores that this process may use.

    Returns
    -------
    n_threads : int
        At least 1.
    reason : str
        What decided, for ``fastbp info``.

    Raises
    ------
    ValueError
        If ``n_jobs`` is 0 or no integer.
    """
    check_n_jobs(n_jobs)
    if n_jobs is not None and n_jobs > 0:
        return min(int(n_jobs), _MOST_THREADS), f"n_jobs={n_jobs}"
    if n_jobs is not None:
        n_threads = max(1, joblib.cpu_count() + 1 + int(n_jobs))
        return n_threads, f"n_jobs={n_jobs}"
    limit = _core.max_threads()
    if "OpenMP" not in _core.build_info()["parallel"]:
        # Threadpoolctl does not see our threads then; its limit is taken from
        # scikit-learn's own OpenMP.
        limit = min(limit, openmp_effective_n_threads())
    if os.environ.get("OMP_NUM_THREADS"):
        return limit, "OMP_NUM_THREADS or threadpoolctl"
    n_cores = _physical_cores()
    if limit < n_cores:
        return limit, "limit of the parallel runtime"
    return n_cores, "physical cores"


def n_threads_to_copy(coefs: Iterable[NDArray[Any]], n_jobs: int | None = None) -> int:
    """Return the threads for copying weights, as ``n_jobs`` allows."""
    many = sum(coef.size for coef in coefs) > _MANY_NUMBERS
    return effective_n_threads(n_jobs)[0] if many else 1


def _physical_cores() -> int:
    """Return the number of physical cores that this process may use."""
    has_affinity = hasattr(os, "sched_getaffinity")
    allowed = frozenset(os.sched_getaffinity(0)) if has_affinity else None
    wanted = os.environ.get("LOKY_MAX_CPU_COUNT")
    return _counted(allowed, wanted, monotonic() // _SECONDS_BETWEEN_COUNTS)


@lru_cache(maxsize=1)
def _counted(*_circumstances: object) -> int:
    return int(joblib.cpu_count(only_physical_cores=True))
