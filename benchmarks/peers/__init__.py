"""The libraries under test, each behind the same interface (`base.Peer`).

Every peer starts a round from the same weights and sees the same batches in the same
order, namely those of scikit-learn for ``random_state=SEED``: fastbp and scikit-learn
draw them themselves, the others are handed the same stream (`initial_parameters`,
`epoch_orders`). A peer's module, and with it its library, is imported only in the
process of the peer.
"""

from __future__ import annotations

import importlib
import importlib.util
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from .. import data
from ..cases import Job
from ..workers import Worker, usable_cores
from .base import SEED, Peer, epoch_orders, initial_parameters

__all__ = [
    "GROUPS",
    "PEERS",
    "SEED",
    "Peer",
    "epoch_orders",
    "expand",
    "initial_parameters",
    "libraries",
    "library",
    "make",
    "start",
    "unsupported",
]


@dataclass(frozen=True)
class _Kind:
    """A way to train: whose it is, where its class is, with how many threads.

    ``n_threads`` None is the library's own choice, 0 all cores.
    """

    library: str
    module: str
    class_name: str
    n_threads: int | None
    needs: str | None = None
    reads_sparse: bool = True


#: Every peer by its name.
PEERS = {
    "fastbp": _Kind("fastbp", "estimators", "FastbpPeer", None),
    "fastbp-1": _Kind("fastbp", "estimators", "FastbpPeer", 1),
    "fastbp-blas": _Kind("fastbp-blas", "estimators", "FastbpBlasPeer", None),
    "fastbp-blas-1": _Kind("fastbp-blas", "estimators", "FastbpBlasPeer", 1),
    "sklearn": _Kind("sklearn", "estimators", "SklearnPeer", None),
    "sklearn-1": _Kind("sklearn", "estimators", "SklearnPeer", 1),
    "torch-1": _Kind("torch", "pytorch", "TorchPeer", 1, "torch", False),
    "torch-all": _Kind("torch", "pytorch", "TorchPeer", 0, "torch", False),
    "torch-compile-1": _Kind(
        "torch.compile", "pytorch", "TorchCompilePeer", 1, "torch", False
    ),
    "torch-compile-all": _Kind(
        "torch.compile", "pytorch", "TorchCompilePeer", 0, "torch", False
    ),
    "jax": _Kind("jax", "jax_scan", "JaxPeer", 0, "jax", False),
}

#: Names that stand for several peers.
GROUPS = {
    "torch": ["torch-1", "torch-all"],
    "torch-compile": ["torch-compile-1", "torch-compile-all"],
    "all": list(PEERS),
}


def expand(names: list[str]) -> list[str]:
    """Replace group names by their peers, without repeats, in order."""
    return list(dict.fromkeys(p for name in names for p in GROUPS.get(name, [name])))


def library(peer: str) -> str:
    """Return the name of the library of a peer, whatever its threads."""
    return _kind(peer).library


def _kind(peer: str) -> _Kind:
    """Look a peer up; fastbp-4 is fastbp-1 with more threads."""
    if peer in PEERS:
        return PEERS[peer]
    base, _, n_threads = peer.rpartition("-")
    return replace(PEERS[f"{base}-1"], n_threads=int(n_threads))


def libraries(names: list[str]) -> list[str]:
    """Return the libraries of peers and groups, without repeats, in order."""
    return list(dict.fromkeys(library(peer) for peer in expand(names)))


def unsupported(peer: str, job: Job) -> str | None:
    """Return why a peer cannot run a job, or None when it can."""
    kind = _kind(peer)
    if kind.needs is not None and importlib.util.find_spec(kind.needs) is None:
        return f"{kind.needs} is not installed"
    if job.sparse and not kind.reads_sparse:
        return f"{kind.needs} cannot gather batches from the rows of a CSR matrix"
    return None


def make(name: str, job: Job, X: Any, y: NDArray[Any], n_cores: int) -> Peer:
    """Build a peer for a job."""
    kind = _kind(name)
    module = importlib.import_module(f"{__name__}.{kind.module}")
    n_threads = n_cores if kind.n_threads == 0 else kind.n_threads
    return getattr(module, kind.class_name)(job, X, y, n_threads)


def start(name: str, job: Job, folder: Path | None) -> Worker:
    """Start a process that loads the data of a job and builds a peer for it."""
    return Worker(name, _load_and_make, name, job, folder)


def _load_and_make(name: str, job: Job, folder: Path | None) -> Peer:
    X, y = data.load(job, folder)
    return make(name, job, X, y, usable_cores())
