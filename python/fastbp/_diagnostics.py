"""What goes on in each layer: gradients, updates, dead and saturated units."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ._objective import NetworkObjective

if TYPE_CHECKING:
    from .network import Network

__all__ = ["RECORD", "diagnose", "sampled_rows"]

RECORD = np.dtype(
    [
        ("layer", "U32"),
        ("gradient_norm", np.float64),
        ("weight_norm", np.float64),
        ("update_norm", np.float64),
        ("dead", np.float64),
        ("saturated", np.float64),
    ]
)

_MOST_ROWS = 1024


def sampled_rows(rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return at most 1024 of the rows, evenly spread."""
    n = min(len(rows), _MOST_ROWS)
    return rows[np.linspace(0, len(rows) - 1, n).round().astype(np.int64)]


def diagnose(
    network: Network,
    X: Any,
    y: NDArray[Any],
    weights: NDArray[np.float64] | None,
    objective: NetworkObjective,
    *,
    bound: float,
    update: NDArray[Any] | None = None,
) -> NDArray[Any]:
    """Return a record for each layer, for rows X with encoded targets y.

    ``update`` is what the parameters were changed by, if known.
    """
    twin = network.copy()  # whose last forward pass and gradients are nobody's
    twin._loss_and_gradients(X, y, objective, weights)
    changes = None if update is None else network._views_of(update)
    records = np.empty(len(network.layers), RECORD)
    for i, (layer, z) in enumerate(
        zip(network.layers, twin.pre_activations, strict=True)
    ):
        slope = np.abs(layer.activation.derivative(z))
        names = network._names_of(i)
        records[i] = (
            f"{layer.name}_{i}",
            _norm(twin.gradients, names),
            _norm(twin.parameters, names),
            np.nan if changes is None else _norm(changes, names),
            np.mean((slope == 0).all(axis=0)),
            np.mean(slope < bound),
        )
    return records


def _norm(views: Any, names: list[str]) -> float:
    squares = [np.square(views[name], dtype=np.float64).sum() for name in names]
    return float(np.sqrt(sum(squares)))
