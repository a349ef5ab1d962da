"""Part ``loops``: a step of a loop of one's own, by the layers API and by PyTorch.

Loss and gradients of a batch, and then ``parameters -= rate * gradients``, all of it
called from Python, for batch after batch. Rounds are interleaved; the losses of the
last step must agree.
"""

from __future__ import annotations

import statistics
import time
from abc import ABC, abstractmethod
from contextlib import ExitStack
from typing import Any

import numpy as np

from .cases import JOBS, Job
from .options import Options
from .peers.base import SEED, initial_parameters
from .report import duration, percent, spread, table
from .workers import Worker, WorkerFailed, usable_cores

__all__ = ["LOOPS", "TITLE", "markdown", "run"]

TITLE = "A step of a loop of one's own"
LOOP_JOBS = ["digits", "default", "tabular"]
N_BATCHES = 8
N_STEPS = 200
RATE = 0.01
# Losses of float32 networks after some steps agree to so much, relatively.
TOLERANCE = 1e-3


class _Loop(ABC):
    """What both have in common; lives in a process of its own."""

    def __init__(self, job: Job, n_threads: int) -> None:
        rng = np.random.default_rng(0)
        n = job.batch_size
        self.X = rng.standard_normal((N_BATCHES * n, job.units[0]), dtype=job.dtype)
        self.y = rng.integers(0, job.units[-1], N_BATCHES * n)
        self.load(job, n_threads)
        parts = [slice(i * n, (i + 1) * n) for i in range(N_BATCHES)]
        self.batches = [(self.X[part], self.y[part]) for part in parts]

    @abstractmethod
    def load(self, job: Job, n_threads: int) -> None:
        """Make the network, with the initial parameters of the job."""

    @abstractmethod
    def step(self, X: Any, y: Any) -> Any:
        """Make a step on a batch; returns its loss."""

    @abstractmethod
    def versions(self) -> dict[str, str]:
        """Return name and version."""

    def seconds(self, n_steps: int) -> tuple[float, float]:
        """Return the time of a step, and the loss of the last one."""
        start = time.perf_counter()
        for i in range(n_steps):
            loss = self.step(*self.batches[i % N_BATCHES])
        seconds = (time.perf_counter() - start) / n_steps
        return seconds, loss if isinstance(loss, float) else loss.item()


class Fastbp(_Loop):
    """`Network.loss_and_gradients`; it chooses its threads itself."""

    def load(self, job: Job, n_threads: int) -> None:
        import fastbp
        from fastbp.layers import Dense

        weights, biases = initial_parameters(job, np.random.RandomState(SEED))
        layers = [*(Dense(n, "relu") for n in job.hidden), Dense(job.units[-1])]
        self.network = fastbp.Network(layers, n_in=job.units[0], dtype=job.dtype)
        for i, (W, b) in enumerate(zip(weights, biases, strict=True)):
            self.network.parameters[f"dense_{i}.weights"][...] = W
            self.network.parameters[f"dense_{i}.biases"][...] = b

    def step(self, X: Any, y: Any) -> float:
        loss, _ = self.network.loss_and_gradients(X, y, "log_loss")
        self.network.flat_parameters[...] -= RATE * self.network.flat_gradients
        return loss

    def versions(self) -> dict[str, str]:
        import fastbp

        return {"fastbp": fastbp.__version__}


class Torch(_Loop):
    """PyTorch as its tutorials have it: eager, with `torch.optim.SGD`."""

    def load(self, job: Job, n_threads: int) -> None:
        import torch

        from .peers import pytorch

        torch.set_num_threads(n_threads)
        self.model = pytorch.make_model(job)
        pytorch.set_parameters(
            self.model, initial_parameters(job, np.random.RandomState(SEED))
        )
        self.loss = torch.nn.CrossEntropyLoss()
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=RATE)
        self.X, self.y = torch.from_numpy(self.X), torch.from_numpy(self.y)

    def step(self, X: Any, y: Any) -> Any:
        self.optimizer.zero_grad()
        loss = self.loss(self.model(X), y)
        loss.backward()
        self.optimizer.step()
        return loss

    def versions(self) -> dict[str, str]:
        import torch

        return {"torch": torch.__version__}


#: The loops, by their names: what makes them, and on how many threads.
LOOPS = {
    "fastbp": (Fastbp, usable_cores()),
    "torch-1": (Torch, 1),
    "torch": (Torch, usable_cores()),
}


def run(options: Options) -> dict[str, Any]:
    """Time the loops of every job in turns."""
    n_steps = 4 if options.quick else N_STEPS
    found: dict[str, Any] = {
        "versions": {},
        "repeats": options.repeats,
        "steps": n_steps,
        "rows": [],
        "problems": [],
    }
    for name in LOOP_JOBS[:1] if options.quick else LOOP_JOBS:
        try:
            found["rows"] += _job(JOBS[name], n_steps, options, found)
        except WorkerFailed as error:
            found["problems"].append(f"{name}: {error}")
    return found


def _job(
    job: Job, n_steps: int, options: Options, found: dict[str, Any]
) -> list[dict[str, Any]]:
    with ExitStack() as stack:
        workers = {
            name: stack.enter_context(Worker(name, make, job, n_threads))
            for name, (make, n_threads) in LOOPS.items()
        }
        seconds: dict[str, list[float]] = {name: [] for name in workers}
        losses: dict[str, float] = {}
        for worker in workers.values():
            worker.ready()
            found["versions"] |= worker.call("versions")
            worker.call("seconds", n_steps)  # not counted: threads start
        for turn in range(options.repeats):
            for name, worker in workers.items():
                taken, losses[name] = worker.call("seconds", n_steps)
                seconds[name].append(taken)
            options.log(f"{job.name}, round {turn + 1} of {options.repeats}")
    found["problems"] += [
        f"{job.name}: {name} has another loss than fastbp"
        for name, loss in losses.items()
        if not np.isclose(loss, losses["fastbp"], rtol=TOLERANCE)
    ]
    ours = seconds["fastbp"]
    return [
        {
            "job": job.name,
            "library": name,
            "seconds": times,
            "ratio": statistics.median(a / b for a, b in zip(times, ours, strict=True)),
        }
        for name, times in seconds.items()
    ]


def markdown(document: dict[str, Any]) -> list[str]:
    """Render one table."""
    cells = [
        [
            row["job"],
            row["library"],
            duration(statistics.median(row["seconds"])),
            percent(spread(row["seconds"])),
            f"{row['ratio']:.2f}",
        ]
        for row in document["rows"]
    ]
    return [
        "The time of a step with the network and batch of a job, and its ratio to that",
        f"of fastbp in the same round, medians of {document['repeats']} rounds.",
        "",
        *table(["job", "library", "step", "spread", "x fastbp"], cells),
    ]
