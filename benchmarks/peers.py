"""The libraries under test, each behind the same three methods.

Every peer starts a round from the same weights and sees the same batches in the same
order, namely those of scikit-learn for ``random_state=SEED``: fastbp and scikit-learn
draw them themselves, the others are handed the same stream (`initial_parameters`,
`epoch_orders`).

How an epoch is timed, per peer:

- fastbp and scikit-learn: one plain ``fit`` as a user calls it. Both print a line per
  epoch when ``verbose`` is set; the clock is read when the line arrives. The first
  epoch is dropped, because it also holds the checks of the input, the label encoding
  and the initial weights.
- torch: eager mode, fused optimizer, no DataLoader. The shuffled copy of X, split into
  batches, is made before the clock of an epoch starts, so torch does not pay for
  shuffling and gathering, which the other two do. The first epoch is dropped too.
"""

from __future__ import annotations

import contextlib
import io
import time
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import shuffle

from .cases import Job

__all__ = [
    "GROUPS",
    "PEERS",
    "SEED",
    "Peer",
    "epoch_orders",
    "expand",
    "initial_parameters",
    "library",
    "make",
    "unsupported",
]

SEED = 20250101
# One epoch before the clock starts: first touches, thread start, input checks.
WARMUP_EPOCHS = 1

Parameters = tuple[list[NDArray[Any]], list[NDArray[Any]]]


def initial_parameters(job: Job, rng: np.random.RandomState) -> Parameters:
    """Draw weights and biases as scikit-learn does, layer by layer."""
    coefs, intercepts = [], []
    for n_in, n_out in pairwise(job.units):
        bound = np.sqrt((2 if job.activation == "logistic" else 6) / (n_in + n_out))
        coefs.append(rng.uniform(-bound, bound, (n_in, n_out)).astype(job.dtype))
        intercepts.append(rng.uniform(-bound, bound, n_out).astype(job.dtype))
    return coefs, intercepts


def epoch_orders(job: Job, rng: np.random.RandomState) -> Iterator[NDArray[np.int64]]:
    """Yield the order of the rows in each epoch: a shuffle of the order before."""
    order = np.arange(job.n_samples)
    while True:
        order = shuffle(order, random_state=rng)
        yield order


class Peer(ABC):
    """A library that trains a job; lives in a process of its own."""

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


class _EpochClock(io.StringIO):
    """A stream that notes when the line of each epoch is printed to it."""

    def __init__(self) -> None:
        super().__init__()
        self.times: list[float] = []

    def write(self, text: str) -> int:
        if text.startswith("Iteration"):
            self.times.append(time.perf_counter())
        return len(text)


class _EstimatorPeer(Peer):
    """What fastbp and scikit-learn have in common: the same estimators."""

    @abstractmethod
    def _make(self, name: str, **settings: Any) -> Any:
        """Build the library's MLPClassifier or MLPRegressor."""

    def _estimator(self, n_epochs: int) -> Any:
        job = self.job
        kind = "Regressor" if job.task == "regression" else "Classifier"
        return self._make(
            "MLP" + kind,
            hidden_layer_sizes=job.hidden,
            activation=job.activation,
            solver=job.solver,
            alpha=job.alpha,
            batch_size=job.batch_size,
            learning_rate_init=job.learning_rate,
            momentum=0.0,
            max_iter=n_epochs,
            n_iter_no_change=n_epochs,  # never stop early
            random_state=SEED,
            verbose=True,
        )

    def round(self, n_epochs: int) -> list[float]:
        self.fitted = self._estimator(WARMUP_EPOCHS + n_epochs)
        clock = _EpochClock()
        with warnings.catch_warnings(), contextlib.redirect_stdout(clock):
            warnings.simplefilter("ignore")  # "hasn't converged yet", as intended
            self.fitted.fit(self.X, self.y)
        return np.diff(clock.times).tolist()

    def parameters(self) -> Parameters:
        return self.fitted.coefs_, self.fitted.intercepts_


class FastbpPeer(_EstimatorPeer):
    gemm = "builtin"

    def _make(self, name: str, **settings: Any) -> Any:
        import fastbp

        fastbp.set_config(gemm=self.gemm)
        return getattr(fastbp, name)(n_jobs=self.n_threads, **settings)

    def versions(self) -> dict[str, str]:
        import fastbp
        from fastbp import _core

        build = _core.build_info()
        how = ", ".join(build[key] for key in ("compiler", "isa_active", "parallel"))
        return {"fastbp": f"{fastbp.__version__} ({how})"}


class FastbpBlasPeer(FastbpPeer):
    """fastbp with its matrix products made by SciPy's BLAS."""

    gemm = "blas"


class SklearnPeer(_EstimatorPeer):
    def _make(self, name: str, **settings: Any) -> Any:
        import sklearn.neural_network

        return getattr(sklearn.neural_network, name)(**settings)

    def round(self, n_epochs: int) -> list[float]:
        from threadpoolctl import threadpool_limits

        with threadpool_limits(self.n_threads):  # None: as many as BLAS likes
            return super().round(n_epochs)

    def versions(self) -> dict[str, str]:
        import sklearn
        from threadpoolctl import threadpool_info

        blas = sorted(
            {
                f"{lib['internal_api']} {lib['version']} {lib.get('architecture', '')}"
                for lib in threadpool_info()
                if lib["user_api"] == "blas"
            }
        )
        return {"scikit-learn": sklearn.__version__, "BLAS": ", ".join(blas)}


class TorchPeer(Peer):
    """PyTorch on the CPU, eager, with everything laid out for it beforehand."""

    def __init__(self, job: Job, X: Any, y: NDArray[Any], n_threads: int | None):
        import torch

        super().__init__(job, X, y, n_threads)
        if n_threads is not None:
            torch.set_num_threads(n_threads)
        target = y if job.task == "multiclass" else y[:, None].astype(job.dtype)
        self._X, self._y = torch.from_numpy(X), torch.from_numpy(target)

    def round(self, n_epochs: int) -> list[float]:
        rng = np.random.RandomState(SEED)
        self._build(initial_parameters(self.job, rng))
        orders = epoch_orders(self.job, rng)
        seconds = [self._epoch(next(orders)) for _ in range(WARMUP_EPOCHS + n_epochs)]
        return seconds[WARMUP_EPOCHS:]

    def _build(self, parameters: Parameters) -> None:
        import torch
        from torch import nn

        job = self.job
        activation = nn.ReLU if job.activation == "relu" else nn.Sigmoid
        layers: list[nn.Module] = []
        for coef, intercept in zip(*parameters, strict=True):
            n_in, n_out = coef.shape
            linear = nn.Linear(n_in, n_out, dtype=getattr(torch, job.dtype))
            with torch.no_grad():
                linear.weight.copy_(torch.from_numpy(coef.T))
                linear.bias.copy_(torch.from_numpy(intercept))
            layers += [linear, activation()]
        self._linears = layers[::2]
        self._model = nn.Sequential(*layers[:-1])
        self._loss = {
            "multiclass": nn.CrossEntropyLoss,
            "binary": nn.BCEWithLogitsLoss,
            "regression": _HalfSquaredError,
        }[job.task]()
        rule = torch.optim.Adam if job.solver == "adam" else torch.optim.SGD
        decay = job.alpha / job.batch_size  # the penalty's gradient, alpha W / rows
        groups = [
            {"params": [linear.weight for linear in self._linears]},
            {"params": [linear.bias for linear in self._linears], "weight_decay": 0.0},
        ]
        self._optimizer = rule(
            groups, lr=job.learning_rate, weight_decay=decay, fused=True
        )

    def _epoch(self, order: NDArray[np.int64]) -> float:
        import torch

        rows = torch.from_numpy(order)
        X_batches = self._X[rows].split(self.job.batch_size)
        y_batches = self._y[rows].split(self.job.batch_size)
        start = time.perf_counter()
        for X, y in zip(X_batches, y_batches, strict=True):
            self._optimizer.zero_grad(set_to_none=True)
            self._loss(self._model(X), y).backward()
            self._optimizer.step()
        return time.perf_counter() - start

    def parameters(self) -> Parameters:
        return (
            [linear.weight.detach().numpy().T for linear in self._linears],
            [linear.bias.detach().numpy() for linear in self._linears],
        )

    def versions(self) -> dict[str, str]:
        import torch

        return {"torch": torch.__version__}


class _HalfSquaredError:
    def __call__(self, prediction: Any, target: Any) -> Any:
        return 0.5 * (prediction - target).square().mean()


#: Peer -> (class, threads): None is the library's own choice, 0 all cores.
PEERS: dict[str, tuple[Callable[..., Peer], int | None]] = {
    "fastbp": (FastbpPeer, None),
    "fastbp-1": (FastbpPeer, 1),
    "fastbp-blas": (FastbpBlasPeer, None),
    "fastbp-blas-1": (FastbpBlasPeer, 1),
    "sklearn": (SklearnPeer, None),
    "sklearn-1": (SklearnPeer, 1),
    "torch-1": (TorchPeer, 1),
    "torch-all": (TorchPeer, 0),
}

#: Names that stand for several peers.
GROUPS = {"torch": ["torch-1", "torch-all"]}


def expand(names: list[str]) -> list[str]:
    """Replace group names by their peers, without repeats, in order."""
    return list(dict.fromkeys(p for name in names for p in GROUPS.get(name, [name])))


def library(peer: str) -> str:
    """Return the name of the library of a peer, whatever its threads."""
    return "fastbp-blas" if "blas" in peer else peer.partition("-")[0]


def unsupported(peer: str, job: Job) -> str | None:
    """Return why a peer cannot run a job, or None when it can."""
    if library(peer) == "torch" and job.sparse:
        return "torch cannot index the rows of a CSR tensor"
    return None


def make(name: str, job: Job, X: Any, y: NDArray[Any], n_cores: int) -> Peer:
    """Build a peer for a job."""
    build, n_threads = PEERS[name]
    return build(job, X, y, n_cores if n_threads == 0 else n_threads)
