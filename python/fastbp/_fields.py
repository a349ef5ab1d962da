"""Checks of the numbers in small immutable objects (schedules, losses)."""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np

__all__ = ["check_field", "check_positive"]


def check_field(owner: Any, name: str, low: float, high: float = np.inf) -> None:
    """Refuse a field that is no finite number in [low, high]."""
    value = getattr(owner, name)
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    number = float(value) if is_number else np.nan
    if not (np.isfinite(number) and low <= number <= high):
        allowed = f"in [{low:g}, {high:g}]" if high < np.inf else f"at least {low:g}"
        raise ValueError(
            f"{name} of {type(owner).__name__} must be a finite number {allowed}, "
            f"got {value!r}"
        )


def check_positive(owner: Any, name: str) -> None:
    """Refuse a field that is no finite number above 0."""
    check_field(owner, name, 0)
    if getattr(owner, name) == 0:
        raise ValueError(f"{name} of {type(owner).__name__} must not be 0")
