"""Training by L-BFGS: SciPy's L-BFGS-B over the core's loss and gradient."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import scipy
import scipy.optimize
from numpy.typing import NDArray

from . import _core
from ._blas import one_blas_thread
from ._compat import check_optimize_result
from ._config import configured_blas
from ._data import Samples, rows_of
from ._hidden_layers import norm_arrays
from ._prediction import n_threads_for
from ._training_loop import NON_FINITE

if TYPE_CHECKING:
    from ._base import BaseMLP

__all__ = ["fit_lbfgs", "packed_loss_and_gradient"]

Vector = NDArray[np.float64]

_CHUNK = 1024  # rows of which the core makes one sum


def pack(arrays: list[Any]) -> Vector:
    """Join arrays into one vector, row-major."""
    return np.hstack([np.ravel(a) for a in arrays]).astype(np.float64, copy=False)


def pack_all(
    coefs: list[Any], intercepts: list[Any], norms: list[dict[str, Any]] | None = None
) -> Vector:
    """Join parameters, or gradients of them, in the order of `Packing`."""
    return pack(coefs + intercepts + norm_arrays(norms or []))


class Packing:
    """Views of a vector as the coefs and intercepts of a network, and as its norms."""

    def __init__(self, n_units: list[int], *, has_norms: bool = False) -> None:
        shapes: list[tuple[int, ...]] = list(zip(n_units, n_units[1:], strict=False))
        self.n_layers = len(shapes)
        shapes += [(n,) for n in n_units[1:]]
        if has_norms:
            shapes += [(n,) for n in n_units[1:-1] for _ in ("gain", "bias")]
        self.shapes = shapes
        self.ends = np.cumsum([int(np.prod(shape)) for shape in shapes])

    def unpack(self, vector: Vector) -> tuple[list[Any], ...]:
        parts = np.split(vector, self.ends[:-1])
        arrays = [p.reshape(s) for p, s in zip(parts, self.shapes, strict=True)]
        coefs, rest = arrays[: self.n_layers], arrays[self.n_layers :]
        intercepts, rest = rest[: self.n_layers], rest[self.n_layers :]
        if not rest:
            return coefs, intercepts
        pairs = zip(rest[::2], rest[1::2], strict=True)
        return coefs, intercepts, [{"gain": g, "bias": b} for g, b in pairs]


def fit_lbfgs(
    est: BaseMLP, network: _core.Network, samples: Samples
) -> KeyboardInterrupt | None:
    """Minimise the loss over all samples and set the fitted attributes of ``est``.

    Returns the KeyboardInterrupt that ended it after at least one iteration, if any.

    ``network`` is in float64 whatever the data are: the line search compares losses
    that differ in digits which float32 does not have. The weights are rounded at the
    end.
    """
    norms = getattr(est, "norms_", None)
    packing = Packing(network.n_units, has_norms=bool(norms))
    n_rows = min(_CHUNK, samples.X.shape[0])
    n_threads = n_threads_for(network, samples.X, est.n_jobs, n_rows=n_rows)
    total_weight = samples.weight
    outer_loss = est._objective(est.n_outputs_).outer_loss
    dtype = est.coefs_[0].dtype
    done: list[tuple[Vector, float, int]] = []  # the last iteration: x, loss, number
    latest_loss = np.inf

    def loss_and_gradient(vector: Vector) -> tuple[float, Vector]:
        nonlocal latest_loss
        network.set_parameters(*packing.unpack(np.ascontiguousarray(vector)))
        latest_loss, gradient = 0.0, np.zeros_like(vector)
        for piece in samples.pieces(None, _CHUNK):
            share = piece.weight / total_weight
            if share == 0:
                continue
            with one_blas_thread(network):
                loss, *gradients = network.loss_and_gradients(
                    piece.rows,
                    piece.y,
                    piece.weights,
                    alpha=est.alpha * share,
                    n_threads=n_threads,
                    outer_loss=outer_loss,
                )
            latest_loss += share * loss
            gradient += share * pack_all(*gradients)
        return latest_loss, gradient

    def keep(vector: Vector) -> None:
        with np.errstate(over="ignore"):  # of float32, found by the check below
            rounded = vector.astype(dtype)
        if not np.isfinite(rounded).all():
            raise ValueError(NON_FINITE)
        est._set_parameters(packing.unpack(rounded))

    def iteration_ends(vector: Vector) -> None:
        done[:] = [(vector.copy(), latest_loss, done[0][2] + 1 if done else 1)]

    options: dict[str, Any] = {
        "maxfun": est.max_fun,
        "maxiter": est.max_iter,
        "gtol": est.tol,
    }
    if tuple(map(int, scipy.__version__.split(".")[:2])) < (1, 15):
        options["iprint"] = 1 if est.verbose else -1
    try:
        # A loss that overflows during the search is an infinite one, not a mistake.
        with np.errstate(over="ignore", invalid="ignore"):
            result = scipy.optimize.minimize(
                loss_and_gradient,
                pack_all(est.coefs_, est.intercepts_, norms),
                method="L-BFGS-B",
                jac=True,
                options=options,
                callback=iteration_ends,
            )
    except KeyboardInterrupt as interrupt:
        if not done:
            raise
        vector, est.loss_, est.n_iter_ = done[0]
        keep(vector)
        return interrupt
    keep(result.x)
    est.n_iter_ = check_optimize_result("lbfgs", result, est.max_iter)
    est.loss_ = float(result.fun)
    return None


def packed_loss_and_gradient(
    est: BaseMLP, theta: Any, X: Any, y: Any, sample_weight: Any
) -> tuple[float, Vector]:
    """Return loss and gradient at packed parameters, as scikit-learn's method does.

    ``y`` is the label-binarized target.
    """
    n_units = [X.shape[1], *(len(b) for b in est.intercepts_)]
    objective = est._objective(n_units[-1])
    network = _core.Network(
        n_units,
        est._hidden_activations(len(n_units) - 2),
        objective.in_core(),
        "float64",
        blas=configured_blas(),
    )
    theta = np.ascontiguousarray(theta, dtype=np.float64)
    network.set_parameters(*Packing(n_units).unpack(theta))
    if objective.output == "softmax":
        y = np.argmax(y, axis=1)
    else:
        y = np.require(y, np.float64, ["C", "A"]).reshape(len(y), -1)
    with one_blas_thread(network):
        value, *gradients = network.loss_and_gradients(
            rows_of(X),
            y,
            sample_weight,
            alpha=est.alpha,
            outer_loss=objective.outer_loss,
        )
    return value, pack_all(*gradients)
