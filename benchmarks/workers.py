"""A process per peer, told what to do over a pipe.

A process of its own keeps the thread pools, allocators and OpenMP runtimes of the
libraries apart, and lets the runner interleave their rounds.
"""

from __future__ import annotations

import multiprocessing
import os
import traceback
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import data, peers
from .cases import Job

__all__ = ["Worker", "WorkerFailed", "training_loss", "usable_cores"]

# The losses of the trained networks are compared on so many rows.
MAX_LOSS_ROWS = 10_000


class WorkerFailed(Exception):
    """A peer raised an exception; the message is its traceback."""


def usable_cores() -> int:
    """Return the cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class Worker:
    """The parent's end: starts the process, sends commands, waits for the answers."""

    def __init__(self, peer: str, job: Job, folder: Path | None) -> None:
        context = multiprocessing.get_context("spawn")
        self.peer = peer
        self._pipe, child = context.Pipe()
        self._process = context.Process(
            target=_serve, args=(child, peer, job, folder), daemon=True
        )
        self._process.start()
        child.close()

    def ready(self) -> dict[str, str]:
        """Wait until data and library are loaded; return versions."""
        return self._receive()

    def round(self, n_epochs: int) -> list[float]:
        """Train from the initial weights; return the seconds of each timed epoch."""
        return self._ask(n_epochs)

    def losses(self) -> tuple[float, float]:
        """Return the training loss at the initial and at the trained weights."""
        return self._ask("losses")

    def close(self) -> None:
        """End the process."""
        self._pipe.close()
        self._process.join(timeout=5)
        self._process.terminate()
        self._process.join()

    def _ask(self, command: Any) -> Any:
        try:
            self._pipe.send(command)
        except OSError as error:
            raise WorkerFailed(self._death()) from error
        return self._receive()

    def _receive(self) -> Any:
        try:
            kind, answer = self._pipe.recv()
        except (EOFError, OSError) as error:
            raise WorkerFailed(self._death()) from error
        if kind == "error":
            raise WorkerFailed(answer)
        return answer

    def _death(self) -> str:
        self._process.join(timeout=5)
        return f"the process of {self.peer} ended, code {self._process.exitcode}"


def _serve(pipe: Connection, name: str, job: Job, folder: Path | None) -> None:
    """Run in the child: answer commands until the pipe closes."""
    try:
        X, y = data.load(job, folder)
        peer = peers.make(name, job, X, y, usable_cores())
        pipe.send(("ok", peer.versions()))
        while True:
            command = pipe.recv()
            answer = _losses(peer) if command == "losses" else peer.round(command)
            pipe.send(("ok", answer))
    except (EOFError, KeyboardInterrupt):
        pass
    except BaseException:
        pipe.send(("error", traceback.format_exc()))


def _losses(peer: peers.Peer) -> tuple[float, float]:
    start = peers.initial_parameters(peer.job, np.random.RandomState(peers.SEED))
    return (
        training_loss(peer.job, peer.X, peer.y, start),
        training_loss(peer.job, peer.X, peer.y, peer.parameters()),
    )


def training_loss(
    job: Job, X: Any, y: NDArray[Any], parameters: peers.Parameters
) -> float:
    """Compute the loss without penalty, in float64 and with NumPy alone.

    Every peer is judged by this one function, on the first rows of the data.
    """
    rows = slice(min(job.n_samples, MAX_LOSS_ROWS))
    z, y = X[rows].astype(np.float64), y[rows]
    coefs, intercepts = parameters
    for layer, (coef, intercept) in enumerate(zip(coefs, intercepts, strict=True)):
        if layer > 0:
            z = np.maximum(z, 0) if job.activation == "relu" else _logistic(z)
        z = z @ coef.astype(np.float64) + intercept
    if job.task == "multiclass":
        top = z.max(axis=1, keepdims=True)
        log_sum = np.log(np.exp(z - top).sum(axis=1)) + top[:, 0]
        return float(np.mean(log_sum - z[np.arange(len(y)), y]))
    if job.task == "binary":
        return float(np.mean(np.logaddexp(0, z[:, 0]) - y * z[:, 0]))
    return float(0.5 * np.mean((z[:, 0] - y) ** 2))


def _logistic(z: NDArray[Any]) -> NDArray[Any]:
    return 0.5 * (1 + np.tanh(0.5 * z))
