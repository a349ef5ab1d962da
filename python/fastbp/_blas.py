"""Matrix products by SciPy's BLAS, in place of the core's own kernels.

The core calls it from its own threads, each for its own part of the work. The BLAS must
not start threads beside them, so it is held to one thread while the core is at work.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache
from pathlib import Path
from typing import Any

import threadpoolctl

from . import _core

__all__ = ["describe_blas", "held_to_one_thread", "one_blas_thread", "scipy_blas"]


@cache
def scipy_blas() -> _core.Blas:
    """Return ``sgemm`` and ``dgemm`` of the BLAS that SciPy is linked with.

    Raises
    ------
    RuntimeError
        If SciPy does not have them in a form that is known.
    """
    try:
        import scipy.linalg.cython_blas as cython_blas

        functions = cython_blas.__pyx_capi__
        return _core.Blas(functions["sgemm"], functions["dgemm"])
    except (ImportError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise RuntimeError(
            f"gemm='blas' cannot use scipy.linalg.cython_blas: {error}"
        ) from error


def describe_blas() -> str:
    """Return name, version and width of integers of SciPy's BLAS, or what is wrong."""
    try:
        bits = scipy_blas().integer_bits
    except RuntimeError as error:
        return f"none: {error}"
    names = {
        " ".join(filter(None, (lib["internal_api"], lib["version"])))
        for lib in (library.info() for library in _libraries())
    }
    name = ", ".join(sorted(names)) or "unknown to threadpoolctl"
    return f"{name}, {bits}-bit integers"


@cache
def _libraries() -> list[Any]:
    """Return threadpoolctl's controllers of SciPy's BLAS.

    In wheels NumPy and SciPy have a library each; elsewhere they share one.
    """
    scipy_blas()  # loads the library
    libraries = [
        library
        for library in threadpoolctl.ThreadpoolController().lib_controllers
        if library.user_api == "blas"
    ]
    of_scipy = [
        library
        for library in libraries
        if {"scipy", "scipy.libs"} & set(Path(library.filepath).parts)
    ]
    return of_scipy or libraries


# The number of threads belongs to the whole process, and several Python threads may
# train at the same time: the first to come limits it, the last to go restores it.
_lock = threading.Lock()
_users: set[object] = set()
_before: list[tuple[Any, int]] = []


_NOTHING = nullcontext()


def one_blas_thread(network: _core.Network) -> AbstractContextManager[None]:
    """Hold the BLAS to one thread while the core works on ``network`` with it."""
    return held_to_one_thread() if network.uses_blas else _NOTHING


@contextmanager
def held_to_one_thread() -> Iterator[None]:
    """Hold SciPy's BLAS to one thread: its sums may depend on how many there are."""
    libraries = _libraries()
    user = object()
    try:
        with _lock:
            if not _users:
                _before[:] = [(lib, lib.get_num_threads()) for lib in libraries]
            _users.add(user)
            for library in libraries:
                library.set_num_threads(1)
        yield
    finally:
        with _lock:
            _users.discard(user)
            if not _users:
                for library, n_threads in _before:
                    library.set_num_threads(n_threads)


def _forget_users() -> None:
    """Make a forked child start anew: the threads that used the BLAS are not in it."""
    global _lock
    _lock = threading.Lock()
    _users.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_users)
