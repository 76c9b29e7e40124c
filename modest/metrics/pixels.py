"""Sums over the pixels of each example, and the neighbourhood of a contour.

Maps are `[B,H,W,1]`, masks bool. Sums are `[B]`.
"""

import math

import jax
import jax.numpy as jnp
from jax import lax

from modest.types import Array


def total(x: Array) -> jax.Array:
    """Return the sum over the pixels of each example."""
    return x.sum(axis=(1, 2, 3))


def count(x: Array) -> jax.Array:
    """Return the number of True pixels of each example, as float32; exact up to 2**24.

    The sum is one of floats because jaxlib 0.11.2 on a GPU miscounted the pixels of a stored mask
    as integers: an evaluation on an H200 gave a recall of 0.996 in place of 0.932.
    """
    return x.astype(jnp.float32).sum(axis=(1, 2, 3))


def mean(x: Array, known: Array | None = None) -> jax.Array:
    """Return the mean over the pixels where `known` is 1 (None: all); 0 if there are none."""
    if known is None:
        return x.mean(axis=(1, 2, 3))
    return total(x * known) / jnp.maximum(total(known), 1)


def quotient(numerator: Array, denominator: Array, empty: float = 1) -> jax.Array:
    """Return numerator / denominator, or `empty` where the denominator is 0."""
    return jnp.where(denominator > 0, numerator / jnp.where(denominator > 0, denominator, 1), empty)


def radius(share: float, target: Array) -> int:
    """Return a share of the diagonal of the pictures in px, rounded to at least one."""
    return max(1, round(share * math.hypot(*target.shape[1:3])))


def contour(mask: Array) -> Array:
    """Return the foreground pixels that have a background pixel among their four neighbours.

    Everything outside the picture counts as background.
    """
    padded = jnp.pad(mask, ((0, 0), (1, 1), (1, 1), (0, 0)))
    inside = padded[:, :-2, 1:-1] & padded[:, 2:, 1:-1] & padded[:, 1:-1, :-2] & padded[:, 1:-1, 2:]
    return mask & ~inside


def dilate(mask: Array, radius: int) -> jax.Array:
    """Return True for every pixel within `radius` px (Euclidean) of a True pixel."""
    offsets = range(-radius, radius + 1)
    disc = jnp.asarray(
        [[i * i + j * j <= radius * radius for j in offsets] for i in offsets], jnp.float32
    )
    neighbours = lax.conv_general_dilated(
        jnp.asarray(mask, jnp.float32),
        disc[..., None, None],
        (1, 1),
        "SAME",
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )
    return neighbours > 0.5


def inner_edge(mask: Array, width: int) -> Array:
    """Return the foreground within `width` px (chessboard distance) of the background.

    Everything outside the picture counts as background.
    """
    inside = jnp.pad(mask, ((0, 0), (width, width), (width, width), (0, 0)))
    for window in ((1, 2 * width + 1, 1, 1), (1, 1, 2 * width + 1, 1)):
        inside = lax.reduce_window(inside, True, lax.bitwise_and, window, (1, 1, 1, 1), "VALID")
    return mask & ~inside
