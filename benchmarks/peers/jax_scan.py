"""JAX on the CPU, with a whole epoch in one compiled function.

The epoch is a ``lax.scan`` over the full batches and one more step on the shorter last
one. Its buffers are donated. The shuffled copy of X, laid out in batches, and the
one-hot targets are made before the clock of an epoch starts.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from ..cases import Job
from ..losses import Parameters
from .base import SEED, WARMUP_EPOCHS, Peer, epoch_orders, initial_parameters

__all__ = ["JaxPeer"]

# Of Adam, as in every other peer.
BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-8


class JaxPeer(Peer):
    """JAX on all cores; it has no setting for fewer."""

    def __init__(self, job: Job, X: Any, y: NDArray[Any], n_threads: int | None):
        super().__init__(job, X, y, n_threads)
        jax.config.update("jax_platforms", "cpu")
        jax.config.update("jax_enable_x64", job.dtype == "float64")
        if job.task == "multiclass":
            self._target = np.eye(job.units[-1], dtype=job.dtype)[y]
        else:
            self._target = y[:, None].astype(job.dtype)
        self._run_epoch = jax.jit(_epoch_function(job), donate_argnums=0)

    def round(self, n_epochs: int) -> list[float]:
        rng = np.random.RandomState(SEED)
        parameters = list(zip(*initial_parameters(self.job, rng), strict=True))
        zeros = jax.tree.map(np.zeros_like, parameters)
        state = (parameters, zeros, jax.tree.map(np.copy, zeros), np.int32(0))
        self._state = jax.tree.map(jnp.array, state)
        orders = epoch_orders(self.job.n_samples, rng)
        seconds = [self._epoch(next(orders)) for _ in range(WARMUP_EPOCHS + n_epochs)]
        return seconds[WARMUP_EPOCHS:]

    def _epoch(self, order: NDArray[np.int64]) -> float:
        batches = jax.block_until_ready(
            [self._in_batches(array[order]) for array in (self.X, self._target)]
        )
        full, last = zip(*batches, strict=True)
        start = time.perf_counter()
        self._state = jax.block_until_ready(self._run_epoch(self._state, full, last))
        return time.perf_counter() - start

    def _in_batches(self, rows: NDArray[Any]) -> tuple[jax.Array, jax.Array]:
        """Split into full batches (batches, batch, columns) and the rest."""
        size = self.job.batch_size
        n_full = len(rows) // size
        full = rows[: n_full * size].reshape(n_full, size, -1)
        return jnp.asarray(full), jnp.asarray(rows[n_full * size :])

    def parameters(self) -> Parameters:
        coefs, intercepts = zip(*self._state[0], strict=True)
        return [np.array(w) for w in coefs], [np.array(b) for b in intercepts]

    def threads(self) -> int:
        assert self.n_threads is not None
        return self.n_threads

    def versions(self) -> dict[str, str]:
        return {"jax": jax.__version__}


def _epoch_function(job: Job) -> Callable[[Any, Any, Any], Any]:
    """Return the function (state, full batches, last batch) -> state."""
    update = _adam if job.solver == "adam" else _sgd

    def step(state: Any, batch: Any) -> tuple[Any, None]:
        gradients = jax.grad(_loss, argnums=1)(job, state[0], *batch)
        return update(job.learning_rate, state, gradients), None

    def epoch(state: Any, full: Any, last: Any) -> Any:
        state, _ = jax.lax.scan(step, state, full)
        if len(last[0]) > 0:
            state, _ = step(state, last)
        return state

    return epoch


def _loss(job: Job, parameters: Any, X: jax.Array, y: jax.Array) -> jax.Array:
    """Compute the mean loss of a batch with its penalty; y: (batch, n_outputs)."""
    activation = jax.nn.relu if job.activation == "relu" else jax.nn.sigmoid
    z = X
    for layer, (coef, intercept) in enumerate(parameters):
        z = (activation(z) if layer > 0 else z) @ coef + intercept
    if job.task == "multiclass":
        losses = jax.nn.logsumexp(z, axis=1) - jnp.sum(y * z, axis=1)
    elif job.task == "binary":
        losses = jnp.logaddexp(0.0, z) - y * z
    else:
        losses = 0.5 * (z - y) ** 2
    penalty = 0.5 * job.alpha * sum(jnp.sum(coef**2) for coef, _ in parameters)
    return jnp.mean(losses) + penalty / len(X)


def _sgd(rate: float, state: Any, gradients: Any) -> Any:
    parameters, m, v, t = state
    return jax.tree.map(lambda p, g: p - rate * g, parameters, gradients), m, v, t


def _adam(rate: float, state: Any, gradients: Any) -> Any:
    """Update as scikit-learn does, with epsilon outside of the corrected root."""
    parameters, m, v, t = state
    t = t + 1
    m = jax.tree.map(lambda m, g: BETA_1 * m + (1 - BETA_1) * g, m, gradients)
    v = jax.tree.map(lambda v, g: BETA_2 * v + (1 - BETA_2) * g * g, v, gradients)
    # 1 - beta^t without the cancellation that float32 would suffer from.
    correction_1, correction_2 = (
        -jnp.expm1(t * math.log(beta)) for beta in (BETA_1, BETA_2)
    )
    rate = rate * jnp.sqrt(correction_2) / correction_1
    parameters = jax.tree.map(
        lambda p, m, v: p - rate * m / (jnp.sqrt(v) + EPSILON), parameters, m, v
    )
    return parameters, m, v, t
