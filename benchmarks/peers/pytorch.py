"""PyTorch on the CPU: eager, or with the loss compiled; the optimizer is fused.

There is no DataLoader. The shuffled copy of X, split into batches, is made before the
clock of an epoch starts, so PyTorch does not pay for shuffling and gathering.
"""

from __future__ import annotations

import time
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from ..cases import Job
from ..losses import Parameters
from .base import SEED, WARMUP_EPOCHS, Peer, epoch_orders, initial_parameters

__all__ = ["TorchCompilePeer", "TorchPeer", "make_model"]


def make_model(job: Job) -> nn.Sequential:
    """Build the network of a job; the layers of even number are linear."""
    activation = nn.ReLU if job.activation == "relu" else nn.Sigmoid
    layers: list[nn.Module] = []
    for n_in, n_out in pairwise(job.units):
        linear = nn.Linear(n_in, n_out, dtype=getattr(torch, job.dtype))
        layers += [linear, activation()]
    return nn.Sequential(*layers[:-1])


def set_parameters(model: nn.Sequential, parameters: Parameters) -> None:
    """Copy weights (n_in, n_out) and biases into the linear layers."""
    with torch.no_grad():
        for linear, coef, intercept in zip(model[::2], *parameters, strict=True):
            linear.weight.copy_(torch.from_numpy(coef.T))
            linear.bias.copy_(torch.from_numpy(intercept))


class TorchPeer(Peer):
    """Eager PyTorch, with everything laid out for it beforehand."""

    def __init__(self, job: Job, X: Any, y: NDArray[Any], n_threads: int | None):
        super().__init__(job, X, y, n_threads)
        if n_threads is not None:
            torch.set_num_threads(n_threads)
        target = y if job.task == "multiclass" else y[:, None].astype(job.dtype)
        self._X, self._y = torch.from_numpy(X), torch.from_numpy(target)
        self._model = make_model(job)
        self._criterion = {
            "multiclass": nn.CrossEntropyLoss(),
            "binary": nn.BCEWithLogitsLoss(),
            "regression": _half_squared_error,
        }[job.task]

    def round(self, n_epochs: int) -> list[float]:
        rng = np.random.RandomState(SEED)
        set_parameters(self._model, initial_parameters(self.job, rng))
        self._optimizer = self._make_optimizer()
        orders = epoch_orders(self.job.n_samples, rng)
        seconds = [self._epoch(next(orders)) for _ in range(WARMUP_EPOCHS + n_epochs)]
        return seconds[WARMUP_EPOCHS:]

    def _make_optimizer(self) -> torch.optim.Optimizer:
        job = self.job
        rule = torch.optim.Adam if job.solver == "adam" else torch.optim.SGD
        decay = job.alpha / job.batch_size  # the penalty's gradient, alpha W / rows
        linears = self._model[::2]
        groups = [
            {"params": [linear.weight for linear in linears], "weight_decay": decay},
            {"params": [linear.bias for linear in linears]},
        ]
        return rule(groups, lr=job.learning_rate, fused=True)

    def _loss(self, X: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return self._criterion(self._model(X), y)

    def _epoch(self, order: NDArray[np.int64]) -> float:
        rows = torch.from_numpy(order)
        X_batches = self._X[rows].split(self.job.batch_size)
        y_batches = self._y[rows].split(self.job.batch_size)
        start = time.perf_counter()
        for X, y in zip(X_batches, y_batches, strict=True):
            self._optimizer.zero_grad(set_to_none=True)
            self._loss(X, y).backward()
            self._optimizer.step()
        return time.perf_counter() - start

    def parameters(self) -> Parameters:
        linears = self._model[::2]
        return (
            [linear.weight.detach().numpy().T for linear in linears],
            [linear.bias.detach().numpy() for linear in linears],
        )

    def threads(self) -> int:
        return torch.get_num_threads()

    def versions(self) -> dict[str, str]:
        return {"torch": torch.__version__}


class TorchCompilePeer(TorchPeer):
    """PyTorch with ``torch.compile``.

    Forward and backward pass are compiled, once for full batches and once for the
    shorter last one, in the first epoch, which is not timed. The step of the fused
    optimizer is a single kernel already.
    """

    def __init__(self, job: Job, X: Any, y: NDArray[Any], n_threads: int | None):
        super().__init__(job, X, y, n_threads)
        self._loss = torch.compile(self._loss, dynamic=False)


def _half_squared_error(prediction: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    return 0.5 * (prediction - target).square().mean()
