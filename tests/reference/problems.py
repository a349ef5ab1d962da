"""Small random problems: data, parameters and everything else a network needs."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np

from reference.activations import Array
from reference.network import Network

DTYPES = ("float32", "float64")

# Around every width at which a kernel changes its path: vectors of 4 to 16 numbers,
# tiles of up to 32 columns, blocks of 64 and 128.
SIZES = (1, 2, 3, 15, 16, 17, 31, 32, 33, 63, 64, 65, 100, 127, 128, 129)


@dataclass(frozen=True)
class Problem:
    """A network with its parameters, and data for it, in one floating-point type."""

    n_units: tuple[int, ...]
    activation: str | Sequence[str]
    loss: str
    X: Array  # (n_rows, n_units[0])
    y: Array  # (n_rows,) class indices for softmax, else (n_rows, n_units[-1])
    sample_weight: Array  # (n_rows,), always float64
    coefs: list[Array]
    intercepts: list[Array]

    @property
    def dtype(self) -> Literal["float32", "float64"]:
        """The type of the data and the parameters."""
        return self.X.dtype.name

    @property
    def data(self) -> tuple[Array, Array, Array]:
        """The data as the reference wants it, in float64: X, y, sample_weight."""
        y = self.y if self.y.ndim == 1 else self.y.astype(np.float64)
        return self.X.astype(np.float64), y, self.sample_weight

    def reference(self) -> Network:
        """A reference network with these parameters, in float64 whatever the dtype.

        So a comparison shows the rounding errors of the other side, not its own.
        """
        return Network(
            [W.astype(np.float64) for W in self.coefs],
            [b.astype(np.float64) for b in self.intercepts],
            self.activation,
            self.loss,
            clip=float(np.finfo(self.dtype).eps),
        )


def make_problem(
    n_units: Sequence[int],
    activation: str | Sequence[str] = "tanh",
    loss: str = "softmax_cross_entropy",
    n_rows: int = 20,
    dtype: str = "float64",
    seed: int = 0,
) -> Problem:
    """Normal samples, weights that keep their variance, sample weights in [0.5, 2]."""
    rng = np.random.default_rng(seed)
    pairs = list(pairwise(n_units))
    bounds = [np.sqrt(3 / n_in) for n_in, _ in pairs]
    coefs = [rng.uniform(-b, b, p) for b, p in zip(bounds, pairs, strict=True)]
    intercepts = [rng.uniform(-0.5, 0.5, n_out) for _, n_out in pairs]
    y = _make_targets(rng, loss, n_rows, n_units[-1])
    return Problem(
        n_units=tuple(n_units),
        activation=activation,
        loss=loss,
        X=rng.normal(size=(n_rows, n_units[0])).astype(dtype),
        y=y if y.ndim == 1 else y.astype(dtype),
        sample_weight=rng.uniform(0.5, 2, n_rows),
        coefs=[W.astype(dtype) for W in coefs],
        intercepts=[b.astype(dtype) for b in intercepts],
    )


def _make_targets(
    rng: np.random.Generator, loss: str, n_rows: int, n_outputs: int
) -> Array:
    match loss:
        case "softmax_cross_entropy":
            return rng.integers(0, n_outputs, n_rows)
        case "binary_cross_entropy":
            return rng.integers(0, 2, (n_rows, n_outputs))
        case "squared_error":
            return rng.normal(size=(n_rows, n_outputs))
        case "poisson":
            return rng.poisson(2.0, (n_rows, n_outputs))
    raise ValueError(f"unknown loss {loss!r}")
