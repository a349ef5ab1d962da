"""An epoch of mini-batches (lecture 000, "Mini-Batch Backpropagation", Algorithm 2)."""

from collections.abc import Callable, Sequence

import numpy as np

from reference.activations import Array
from reference.network import Network
from reference.optimizers import Optimizer


def run_epoch(
    network: Network,
    optimizer: Optimizer,
    X: Array,
    y: Array,
    sample_weight: Array | None = None,
    order: Sequence[int] | Array | None = None,
    *,
    batch_size: int,
    learning_rate: float | Array,
    alpha: float = 0.0,
    l1: float = 0.0,
    on_step: Callable[[list[Array]], None] = lambda gradients: None,
) -> float:
    """Take a step for every ``batch_size`` rows of ``order``; the last may have fewer.

    Returns the sum over the batches of cost times rows, each cost taken before its
    step. A batch whose weights are all zero says nothing: it is left out. An array of
    learning rates has one for each batch, also for those. After each step ``on_step``
    is called with the gradients, coefs and intercepts.
    """
    order = np.arange(len(X)) if order is None else np.asarray(order)
    weights = np.ones(len(X)) if sample_weight is None else sample_weight
    n_batches = -(-len(order) // batch_size)
    rates = np.broadcast_to(learning_rate, n_batches)
    total = 0.0
    for rate, start in zip(rates, range(0, len(order), batch_size), strict=True):
        rows = order[start : start + batch_size]
        batch = X[rows], y[rows], weights[rows]
        if not weights[rows].any():
            continue
        total += network.cost(*batch, alpha=alpha, l1=l1) * len(rows)
        coef_grads, intercept_grads = network.gradients(*batch, alpha=alpha, l1=l1)
        gradients = coef_grads + intercept_grads
        optimizer.step(network.parameters, gradients, float(rate))
        on_step(gradients)
    return total
