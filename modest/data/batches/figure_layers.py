"""The figures of a scene, each by itself at its place, and what they do to the floor.

Everything is a pure function of arrays. A picture has `s` x `s` px.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from modest.augment import gaussian_blur
from modest.constants import MASK_THRESHOLD
from modest.data.batches.cutouts import Draw, Library, contact_shadow, figure_depth, paste
from modest.types import Array

SOFTNESS = 3  # px: largest blur of a cast shadow
FADING = 0.3  # pictures' heights below the feet at which a reflection has faded to 1 / e


class Layer(NamedTuple):
    """A figure by itself at its place; lengths in px."""

    colour: Array  # [s,s,3], multiplied by alpha
    alpha: Array  # [s,s,1]
    contact: Array  # [s,s,1], darkening by the shadow under the feet
    metres: Array  # scalar, distance in units of DEPTH_METRES
    feet: Array  # [2], row and column


class Shadow(NamedTuple):
    """How light makes figures cast shadows on the floor; scalars.

    Attributes:
      length: height of a shadow in the picture, in heights of the figure; below the feet if it is
        negative.
      lean: how far it leans to the right, in heights of the figure.
      softness: standard deviation of its blur in px, up to `SOFTNESS`.
    """

    length: Array
    lean: Array
    softness: Array


def draw_layer(library: Library, drawn: Draw) -> Layer:
    """Draw one figure where `drawn` says."""
    pasted = paste(library, drawn)
    alpha = pasted[..., 3:]
    mask = (alpha >= MASK_THRESHOLD).astype(alpha.dtype)
    metres = jnp.ones(())
    if library.depths is not None:
        room = library.depths[drawn.background].astype(alpha.dtype) / 255
        metres = figure_depth(library, drawn, room, mask)
    height, width = library.sizes[drawn.figure] * drawn.scale
    feet = library.ratio * jnp.stack([drawn.y + height, drawn.x + width / 2])
    contact = contact_shadow(library, drawn)[..., None]
    return Layer(pasted[..., :3], alpha, contact, metres, feet)


def cast_shadow(layer: Layer, shadow: Shadow) -> Array:
    """Return the shadow of a figure on the floor, `[s,s,1]`, values in [0, 1]."""
    rows, columns = jnp.indices(layer.alpha.shape[:2]).astype(layer.alpha.dtype)
    above = (layer.feet[0] - rows) / shadow.length
    source = [layer.feet[0] - above, columns - shadow.lean * above]
    shape = jax.scipy.ndimage.map_coordinates(layer.alpha[..., 0], source, 1, mode="constant")
    return gaussian_blur(shape[None, ..., None], shadow.softness, radius=2 * SOFTNESS)[0]


def reflection(layer: Layer, strength: Array) -> tuple[Array, Array]:
    """Return what the floor reflects of a figure: colour multiplied by alpha, and alpha.

    It is the figure upside down below its feet, and fades with the distance to them.
    """
    size = layer.alpha.shape[0]
    rows = jnp.arange(size)
    source = jnp.round(2 * layer.feet[0]).astype(jnp.int32) - rows
    below = rows - layer.feet[0]
    fading = jnp.where((below > 0) & (source >= 0), jnp.exp(-below / (FADING * size)), 0)
    factor = strength * fading[:, None, None]
    return factor * layer.colour[source], factor * layer.alpha[source]
