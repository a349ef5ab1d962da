"""What small immutable objects share: checks of their numbers, names for defaults.

Schedules, losses, activations, initializers and optimizers are such objects.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping
from functools import cache
from numbers import Real
from typing import Any, TypeVar

import numpy as np

__all__ = ["check_bool", "check_field", "check_number", "check_size", "object_of"]

Kind = TypeVar("Kind")


def check_number(
    value: Any, what: str, low: float, high: float = np.inf, *, closed: str = "both"
) -> float:
    """Return a finite number of the interval as a float; ValueError for others.

    ``closed`` is 'left', 'right', 'both' or 'neither', as of scikit-learn's intervals.
    """
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    try:
        number = float(value) if is_number else np.nan
    except OverflowError:  # of an integer
        number = np.inf
    has_low, has_high = closed in ("left", "both"), closed in ("right", "both")
    is_above = low <= number if has_low else low < number
    is_below = number <= high if has_high else number < high
    if np.isfinite(number) and is_above and is_below:
        return number
    left = "[" if has_low and np.isfinite(low) else "("
    right = "]" if has_high and np.isfinite(high) else ")"
    raise ValueError(
        f"{what} must be a finite number in {left}{low:g}, {high:g}{right}, got "
        f"{value!r}"
    )


def check_field(
    owner: Any, name: str, low: float, high: float = np.inf, *, closed: str = "both"
) -> None:
    """Refuse an object with a field that is no finite number of the interval."""
    what = f"{name} of {type(owner).__name__}"
    check_number(getattr(owner, name), what, low, high, closed=closed)


def check_bool(value: Any, what: str) -> bool:
    """Return a bool; ValueError for others."""
    if not isinstance(value, bool | np.bool_):
        raise ValueError(f"{what} must be a bool, got {value!r}")
    return bool(value)


def check_size(value: Any, what: str, least: int = 1) -> int:
    """Return an integer of at least ``least`` as an int; ValueError for others."""
    try:
        number = 0 if isinstance(value, bool) else operator.index(value)
    except TypeError:
        number = 0
    if number < least:
        raise ValueError(
            f"{what} must be an integer of at least {least}, got {value!r}"
        )
    return number


def object_of(
    kind: type[Any],
    value: Any,
    known: Mapping[str, type[Kind]],
    module: str,
    *,
    is_open: bool = False,
) -> Kind:
    """Return an object of a kind, or the default one of a known name.

    The kind has the known classes only, whose formulas the core has too, unless it is
    open to subclasses.
    """
    if isinstance(value, kind) and (is_open or type(value) in known.values()):
        found: Kind = value
        return found
    if isinstance(value, str) and value in known:
        known_kind: Any = known[value]
        default: Kind = _default(known_kind)
        return default
    name = kind.__name__.lower()
    raise ValueError(
        f"{'an' if name[0] in 'aeiou' else 'a'} {name} must be one of "
        f"{', '.join(map(repr, known))} or an object of fastbp.{module}, got {value!r}"
    )


@cache
def _default(kind: Any) -> Any:
    """Return the object of a kind without parameters; one for all, as none changes."""
    return kind()
