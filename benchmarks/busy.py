"""Processes that keep cores busy while others are timed."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.synchronize import Barrier

__all__ = ["busy_processes"]


@contextmanager
def busy_processes(n: int) -> Iterator[None]:
    """Keep ``n`` processes busy, with interpreted Python, for a ``with`` block."""
    context = multiprocessing.get_context("spawn")
    all_run = context.Barrier(n + 1)
    processes = [
        context.Process(target=_spin, args=(all_run,), daemon=True) for _ in range(n)
    ]
    try:
        for process in processes:
            process.start()
        all_run.wait()
        yield
    finally:
        for process in processes:
            process.terminate()
            process.join()


def _spin(all_run: Barrier) -> None:
    all_run.wait()
    while True:
        pass
