"""The libraries that predict, each behind the same interface."""

from __future__ import annotations

import importlib
import time
from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .cases import Job
from .losses import Parameters
from .peers.base import SEED, initial_parameters

__all__ = ["PREDICTORS", "Predictor"]

# PyTorch is fastest with pieces of one of these sizes.
TORCH_ROWS = (1024, 8192, 65_536)


class Predictor(ABC):
    """A library with a network of known weights; lives in a process of its own."""

    def __init__(self, job: Job, n_rows: int) -> None:
        self.job = job
        rng = np.random.default_rng(0)
        self.X = rng.standard_normal((n_rows, job.units[0]), dtype=job.dtype)
        self.load(initial_parameters(job, np.random.RandomState(SEED)))

    @abstractmethod
    def load(self, parameters: Parameters) -> None:
        """Take over weights and biases."""

    @abstractmethod
    def predict_proba(self, X: NDArray[Any]) -> NDArray[Any]:
        """Return the probabilities, (n_rows, n_classes)."""

    @abstractmethod
    def versions(self) -> dict[str, str]:
        """Return name and version."""

    def warm_up(self) -> None:
        """Prepare for `seconds`."""
        self.seconds()

    def sample(self) -> NDArray[Any]:
        """Return the probabilities of the first rows."""
        return self.predict_proba(self.X[:100])

    def seconds(self) -> float:
        """Return the time of all rows."""
        start = time.perf_counter()
        self.predict_proba(self.X)
        return time.perf_counter() - start

    def latencies(self, n_calls: int) -> list[float]:
        """Return the times of calls with one row, each another one."""
        times = []
        for i in range(n_calls):
            row = self.X[i % len(self.X)][None, :]
            start = time.perf_counter()
            self.predict_proba(row)
            times.append(time.perf_counter() - start)
        return times


class _Estimator(Predictor):
    """What fastbp and scikit-learn have in common."""

    module: str

    def load(self, parameters: Parameters) -> None:
        n_classes = self.job.units[-1]
        self.library = importlib.import_module(self.module)
        self.estimator = self.library.MLPClassifier(self.job.hidden)
        classes = np.arange(n_classes)
        X = np.zeros((n_classes, self.job.units[0]), self.job.dtype)
        self.estimator.partial_fit(X, classes, classes=classes)
        self.estimator.coefs_, self.estimator.intercepts_ = parameters

    def predict_proba(self, X: NDArray[Any]) -> NDArray[Any]:
        return self.estimator.predict_proba(X)


class Fastbp(_Estimator):
    module = "fastbp"

    def versions(self) -> dict[str, str]:
        return {"fastbp": self.library.__version__}


class Sklearn(_Estimator):
    module = "sklearn.neural_network"

    def versions(self) -> dict[str, str]:
        import sklearn

        return {"scikit-learn": sklearn.__version__}


class Torch(Predictor):
    """PyTorch in inference mode, from NumPy to NumPy, in pieces of the best size."""

    def load(self, parameters: Parameters) -> None:
        import torch

        from .peers import pytorch

        self.piece = max(TORCH_ROWS)
        if len(self.X) < min(TORCH_ROWS):
            torch.set_num_threads(1)  # the best for so few rows
        self.model = pytorch.make_model(self.job)
        pytorch.set_parameters(self.model, parameters)

    def warm_up(self) -> None:
        times = {}
        for self.piece in TORCH_ROWS:
            times[self.piece] = self.seconds()
        self.piece = min(times, key=lambda piece: times[piece])

    def predict_proba(self, X: NDArray[Any]) -> NDArray[Any]:
        import torch

        with torch.inference_mode():
            pieces = torch.from_numpy(X).split(self.piece)
            return torch.cat([self.model(p).softmax(dim=1) for p in pieces]).numpy()

    def versions(self) -> dict[str, str]:
        import torch

        return {"torch": torch.__version__}


PREDICTORS = {"fastbp": Fastbp, "sklearn": Sklearn, "torch": Torch}
