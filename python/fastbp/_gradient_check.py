"""Gradients against central differences."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["worst_error"]

# Differences are wrong by about step^2 and eps / step: the least for this one.
_STEP = float(np.cbrt(np.finfo(np.float64).eps))


def worst_error(
    parameter: NDArray[Any],
    gradient: NDArray[Any],
    loss: Callable[[], float],
    n_checked: int | None,
    least: float = 0.0,
) -> float:
    """Return ``max |g - d| / max(|g|, |d|, least)`` for gradient and differences.

    ``loss`` is a function of the parameter as it is now; the parameter is put back.
    """
    numbers, gradient = parameter.reshape(-1), gradient.reshape(-1)
    n = gradient.size if n_checked is None else min(n_checked, gradient.size)
    where = np.linspace(0, gradient.size - 1, n).round().astype(int)
    differences = np.empty(n)
    for k, i in enumerate(where):
        value = numbers[i]
        step = _STEP * max(1.0, abs(value))
        numbers[i] = value + step
        above = loss()
        numbers[i] = value - step
        below = loss()
        numbers[i] = value
        differences[k] = (above - below) / (2 * step)
    g = gradient[where]
    scale = max(np.abs(g).max(), np.abs(differences).max(), least)
    error = np.abs(g - differences).max()
    return float(error / scale) if scale > 0 else float(error)
