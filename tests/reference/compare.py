"""How far a result may be from the reference."""

from collections.abc import Sequence

import numpy as np

from reference.activations import Array


def assert_close(
    actual: Array | Sequence[Array],
    expected: Array | Sequence[Array],
    dtype: str,
    n_terms: int,
    factor: float = 8.0,
) -> None:
    """Compare arrays, or lists of arrays, that come from sums of ``n_terms`` products.

    The rounding errors of a sum of n products of either sign grow like a random walk
    (Higham and Mary 2019, "A new approach to probabilistic rounding error analysis"):
    they stay below a small multiple of sqrt(n) eps of the typical size of the results,
    which the largest element stands for. ``factor`` covers the layers and elementary
    functions the errors pass through. One product forgotten costs about 1 / sqrt(n),
    thousands of times what is allowed.
    """
    if not isinstance(expected, list):
        actual, expected = [actual], [expected]
    assert len(actual) == len(expected)
    for got, want in zip(actual, expected, strict=True):
        got, want = np.asarray(got), np.asarray(want)
        assert got.dtype == dtype or got.ndim == 0  # a loss is a Python float
        scale = np.abs(want).max(initial=0.0)
        bound = factor * np.sqrt(n_terms) * eps(dtype) * scale
        np.testing.assert_allclose(got, want, rtol=0, atol=bound)


def eps(dtype: str) -> float:
    """Distance from 1 to the next number of the type, as a Python float."""
    return float(np.finfo(dtype).eps)


def bits(*arrays: Array | Sequence[Array] | float) -> bytes:
    """The bytes of numbers, arrays and lists of arrays, to compare them exactly."""
    parts = [a if isinstance(a, list) else [a] for a in arrays]
    return b"".join(np.asarray(a).tobytes() for part in parts for a in part)
