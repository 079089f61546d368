"""Draws that depend on an index and a seed alone: no order of calls, no chunk and no worker has a part in them."""

from __future__ import annotations

import hashlib
import operator

import numpy as np
from numpy.typing import NDArray

# Constants of splitmix64: Steele, Lea and Flood, Fast splittable pseudorandom number generators, OOPSLA 2014.
_STEP = np.uint64(0x9E3779B97F4A7C15)
_MULTIPLY = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))
_SHIFT = (np.uint64(30), np.uint64(27), np.uint64(31))


def order_key(index: NDArray[np.int64], seed: int, stream: str) -> NDArray[np.uint64]:
    """Hashes each index to 64 bits; sorting by them is a random permutation.

    The hash maps 64 bits to 64 bits one to one, so that no two indices share a key.

    Args:
        index: what is drawn for, a cell or a block; any shape.
        seed: any integer from 0 on.
        stream: name of the purpose; draws of two streams are independent of each other.
    """
    key: NDArray[np.uint64] = np.array(index, np.int64, ndmin=1).view(np.uint64)
    key += _start(seed, stream)
    key *= _STEP
    for shift, multiply in zip(_SHIFT[:2], _MULTIPLY, strict=True):
        key ^= key >> shift
        key *= multiply
    key ^= key >> _SHIFT[2]
    return key.reshape(np.shape(index))


def uniform(index: NDArray[np.int64], seed: int, stream: str) -> NDArray[np.float64]:
    """Draws one number in [0, 1) for each index, from the upper 53 bits of ``order_key``.

    Args:
        index: what is drawn for, a cell or a block; any shape.
        seed: any integer from 0 on.
        stream: name of the purpose; draws of two streams are independent of each other.
    """
    upper: NDArray[np.uint64] = order_key(index, seed, stream) >> np.uint64(11)
    return upper.astype(np.float64) * 2.0**-53


def _start(seed: int, stream: str) -> np.uint64:
    """Spreads seeds and streams over 64 bits: neighbouring seeds must not give shifted copies of one sequence."""
    text = f"{stream}:{operator.index(seed)}".encode()
    return np.uint64(int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little"))
