"""Dropout (Srivastava et al. 2014, JMLR 15), inverted, and where its numbers come from.

The generator is Philox4x32-10 (Salmon, Moraes, Dror and Shaw 2011, "Parallel random
numbers: as easy as 1, 2, 3"): a function from a counter of four words of 32 bits and a
key of two to four words.
"""

import numpy as np

from reference.activations import Array

STEPS = 2**16  # a number has 16 bits


def philox(counter: Array, key: Array) -> Array:
    """Four words for each counter, (4, ...) of uint32 both; ``key`` is (2,)."""
    x = [word.astype(np.uint64) for word in counter]
    low = np.uint64(0xFFFFFFFF)
    key_0, key_1 = (int(word) for word in key)
    for _ in range(10):
        product_0 = x[0] * np.uint64(0xD2511F53)
        product_1 = x[2] * np.uint64(0xCD9E8D57)
        x = [
            product_1 >> np.uint64(32) ^ x[1] ^ np.uint64(key_0),
            product_1 & low,
            product_0 >> np.uint64(32) ^ x[3] ^ np.uint64(key_1),
            product_0 & low,
        ]
        key_0 = (key_0 + 0x9E3779B9) % 2**32
        key_1 = (key_1 + 0xBB67AE85) % 2**32
    return np.array(x).astype(np.uint32)


def numbers(
    n_rows: int, n_cols: int, seed: int, step: int, layer: int, dtype: str
) -> Array:
    """The numbers of 16 bits of a batch, (n_rows, n_cols).

    Of 16 counters (16 b + i, row, step, layer), word k makes a line of 64 bytes. As
    integers of the size of the dtype, a line has the numbers of as many columns as it
    has integers in the lowest 16 bits, then those of the next columns above them.
    """
    n_blocks = -(-n_cols // 128)
    counter = np.zeros((4, n_rows, n_blocks, 16), np.uint32)
    counter[0] = np.arange(16 * n_blocks).reshape(n_blocks, 16)
    counter[1] = np.arange(n_rows)[:, np.newaxis, np.newaxis]
    counter[2], counter[3] = step % 2**32, layer
    words = philox(counter, np.array([seed % 2**32, seed >> 32]))
    size = np.dtype(dtype).itemsize
    lines = np.ascontiguousarray(np.moveaxis(words, 0, 2)).view(f"<u{size}")
    shifts = 16 * np.arange(size // 2, dtype=lines.dtype)[:, np.newaxis]
    columns = lines[..., np.newaxis, :] >> shifts & lines.dtype.type(STEPS - 1)
    return columns.reshape(n_rows, -1)[:, :n_cols].astype(np.int64)


def mask(rate: float, drawn: Array, dtype: str) -> Array:
    """What an element is multiplied by: 0, or 1 / (1 - rate)."""
    threshold = min(round(rate * STEPS), STEPS - 1)
    kept = np.dtype(dtype).type(STEPS / (STEPS - threshold))
    return np.where(drawn < threshold, np.dtype(dtype).type(0), kept)
