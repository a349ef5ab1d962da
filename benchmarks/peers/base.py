"""What every peer is: a job's data, a round of training, the weights after it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import shuffle

from ..cases import Job
from ..losses import Parameters, training_loss

__all__ = ["SEED", "WARMUP_EPOCHS", "Peer", "epoch_orders", "initial_parameters"]

SEED = 20250101
# One epoch before the clock starts: first touches, thread start, input checks, and
# the compilation of those that compile.
WARMUP_EPOCHS = 1


def initial_parameters(job: Job, rng: np.random.RandomState) -> Parameters:
    """Draw weights and biases as scikit-learn does, layer by layer."""
    coefs, intercepts = [], []
    for n_in, n_out in pairwise(job.units):
        bound = np.sqrt((2 if job.activation == "logistic" else 6) / (n_in + n_out))
        coefs.append(rng.uniform(-bound, bound, (n_in, n_out)).astype(job.dtype))
        intercepts.append(rng.uniform(-bound, bound, n_out).astype(job.dtype))
    return coefs, intercepts


def epoch_orders(
    n_samples: int, rng: np.random.RandomState
) -> Iterator[NDArray[np.int64]]:
    """Yield the order of the rows in each epoch: a shuffle of the order before."""
    order = np.arange(n_samples)
    while True:
        order = shuffle(order, random_state=rng)
        yield order


class Peer(ABC):
    """A library that trains a job; lives in a process of its own.

    ``n_threads`` None leaves the number of threads to the library.
    """

    def __init__(self, job: Job, X: Any, y: NDArray[Any], n_threads: int | None):
        self.job = job
        self.X = X
        self.y = y
        self.n_threads = n_threads

    @abstractmethod
    def round(self, n_epochs: int) -> list[float]:
        """Train from the initial weights; return the seconds of each timed epoch."""

    @abstractmethod
    def parameters(self) -> Parameters:
        """Return the weights (n_in, n_out) and biases after the last round."""

    @abstractmethod
    def versions(self) -> dict[str, str]:
        """Return what a reader of the results needs to know about this peer."""

    @abstractmethod
    def threads(self) -> int:
        """Return how many threads it trains with."""

    def losses(self) -> tuple[float, float]:
        """Return the training loss at the initial and at the trained weights."""
        start = initial_parameters(self.job, np.random.RandomState(SEED))
        return (
            training_loss(self.job, self.X, self.y, start),
            training_loss(self.job, self.X, self.y, self.parameters()),
        )
