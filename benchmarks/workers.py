"""A process per peer, told what to do over a pipe.

A process of its own keeps the thread pools, allocators and OpenMP runtimes of the
libraries apart, and lets the runner interleave their rounds.
"""

from __future__ import annotations

import multiprocessing
import os
import time
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

__all__ = ["Worker", "WorkerFailed", "settle", "usable_cores"]

# OpenBLAS' threads stay busy for about 30 ms after their work, OpenMP's for some more.
_SETTLED = 0.15


class WorkerFailed(Exception):
    """The code in a worker raised an exception; the message is its traceback."""


def usable_cores() -> int:
    """Return the cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def settle() -> None:
    """Wait until the threads of whoever worked before have gone to sleep."""
    time.sleep(_SETTLED)


class Worker:
    """The parent's end: starts the process, sends calls, waits for the answers.

    The child makes an object, ``make(*arguments)``, and then calls its methods.
    """

    def __init__(self, label: str, make: Callable[..., Any], *arguments: Any) -> None:
        context = multiprocessing.get_context("spawn")
        self.label = label
        self._pipe, child = context.Pipe()
        self._process = context.Process(
            target=_serve, args=(child, make, arguments), daemon=True
        )
        self._process.start()
        child.close()

    def ready(self) -> None:
        """Wait until the object is made."""
        self.receive()

    def call(self, method: str, *arguments: Any) -> Any:
        """Call a method of the object, on a settled machine, and return its answer."""
        settle()
        self.send(method, *arguments)
        return self.receive()

    def send(self, method: str, *arguments: Any) -> None:
        """Call a method without waiting; `receive` returns its answer."""
        try:
            self._pipe.send((method, arguments))
        except OSError as error:
            raise WorkerFailed(self._death()) from error

    def receive(self) -> Any:
        """Wait for the answer to the call that was sent."""
        try:
            kind, answer = self._pipe.recv()
        except (EOFError, OSError) as error:
            raise WorkerFailed(self._death()) from error
        if kind == "error":
            raise WorkerFailed(answer)
        return answer

    def close(self) -> None:
        """End the process."""
        self._pipe.close()
        self._process.join(timeout=5)
        self._process.terminate()
        self._process.join()

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _death(self) -> str:
        self._process.join(timeout=5)
        return f"the process of {self.label} ended, code {self._process.exitcode}"


def _serve(
    pipe: Connection, make: Callable[..., Any], arguments: tuple[Any, ...]
) -> None:
    """Run in the child: answer calls until the pipe closes."""
    try:
        served = make(*arguments)
        pipe.send(("ok", None))
        while True:
            method, arguments = pipe.recv()
            pipe.send(("ok", getattr(served, method)(*arguments)))
    except (EOFError, KeyboardInterrupt):
        pass
    except BaseException:
        pipe.send(("error", traceback.format_exc()))
