"""The backgrounds and cut-outs that stay on the device, and how a cut-out gets onto a picture.

Everything is a pure function of arrays, at the picture size of the training stage.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from modest.constants import DEPTH_METRES, MIN_DEPTH
from modest.types import Array, Batch


class Library(NamedTuple):
    """The backgrounds and cut-outs from which composites are made; a pytree of arrays.

    There are N backgrounds of s x s px, where s is the picture size of the stage, and M figures.
    Other lengths in px refer to the stored pictures, which are larger.

    Attributes:
      backgrounds: uint8 `[N,s,s,3]`.
      depths: uint8 `[N,s,s,1]`, or None if the backgrounds have no depth.
      focals: float32 `[N]`, focal lengths in px; 0 if unknown.
      figures: uint8 `[M,h,w,4]`, straight alpha (colours are not multiplied by it); each cut-out is
        at the upper left, inside the margin.
      margin: int32 scalar: transparent px around every cut-out, so that its edges fade out when it
        is resized.
      sizes: int32 `[M,2]`, height and width in px, without the margin.
      feet: float32 `[M,2]`, left and right end of the feet in px; equal if there are none.
      metres: float32 `[M]`, true heights in metres; 0 if unknown.
      ratio: float32 scalar, s divided by the size of the stored pictures.
      averaging: float32 scalar, the factor by which resizing to s reduces the standard deviation of
        a stored picture's noise.
    """

    backgrounds: Array
    depths: Array | None
    focals: Array
    figures: Array
    margin: Array
    sizes: Array
    feet: Array
    metres: Array
    ratio: Array
    averaging: Array


class Draw(NamedTuple):
    """The random choices for one composite, except its noise; scalars.

    Lengths in px refer to the stored pictures, as in `Library`.

    Attributes:
      background, figure: their indices in the library.
      mirrored: whether the figure is mirrored.
      x, y: upper left corner of the figure in px.
      scale: factor by which the figure is enlarged.
      darkening: darkening by the shadow where it is darkest, as a fraction.
      brightness: brightness of bg_fg relative to bg.
      shift: `[2]`, rows and columns in px by which bg moves, as if the camera had moved; or None.
    """

    background: Array | int
    figure: Array | int
    mirrored: Array | bool
    x: Array | float
    y: Array | float
    scale: Array | float
    darkening: Array | float
    brightness: Array | float
    shift: Array | None


def example_keys(key: jax.Array, batch: Batch, first_index: jax.Array | int) -> jax.Array:
    """Return a PRNG key for each example of a batch; it depends on its place in the global batch.

    Args:
      key: PRNG key of the step.
      batch: a batch of indices.
      first_index: place in the global batch of this device's first example.
    """
    places = first_index + jnp.arange(len(batch["valid"]))
    return jax.vmap(jax.random.fold_in, (None, 0))(key, places)


def paste(library: Library, drawn: Draw) -> jax.Array:
    """Return the figure at its place on an empty canvas, `[s,s,4]`, with premultiplied colours."""
    cutout = library.figures[drawn.figure].astype(jnp.result_type(float)) / 255
    cutout = jnp.concatenate([cutout[..., :3] * cutout[..., 3:], cutout[..., 3:]], axis=-1)
    width = cutout.shape[1]
    scale = drawn.scale * library.ratio
    margin = library.margin * drawn.scale
    # In a mirrored array, the padding to the right of the figure comes first.
    padding = drawn.scale * (width - library.margin - library.sizes[drawn.figure, 1])
    cutout = jnp.where(drawn.mirrored, cutout[:, ::-1], cutout)
    left = drawn.x - jnp.where(drawn.mirrored, padding, margin)
    corner = library.ratio * jnp.stack([drawn.y - margin, left])
    shape = (*library.backgrounds.shape[1:3], 4)
    scales = jnp.stack([scale, scale])
    return jax.image.scale_and_translate(
        cutout, shape, (0, 1), scales, corner, "linear", antialias=True
    )


def contact_shadow(library: Library, drawn: Draw) -> jax.Array:
    """Return the darkening by the elliptic shadow under the feet, a fraction, `[s,s]`."""
    height, width = library.sizes[drawn.figure] * drawn.scale
    left, right = library.feet[drawn.figure] * drawn.scale
    middle = (left + right) / 2
    x = drawn.x + jnp.where(drawn.mirrored, width - middle, middle)
    y = drawn.y + 0.985 * height
    half_width, half_height = (right - left) / 2 + 0.06 * height, 0.05 * height
    pixels = (jnp.arange(library.backgrounds.shape[1]) + 0.5) / library.ratio
    rows, columns = ((pixels - y) / half_height) ** 2, ((pixels - x) / half_width) ** 2
    square = rows[:, None] + columns[None, :]
    inside = (square < 4) & (right > left)
    return jnp.where(inside, drawn.darkening * jnp.exp(-1.2 * square), 0)


def figure_depth(library: Library, drawn: Draw, room: Array, mask: jax.Array) -> jax.Array:
    """Return the figure's depth: that of `composite.figure_depth`, or that of the room at the feet.

    The second is used if the focal length or the true height is unknown.

    Args:
      library: the backgrounds and cut-outs.
      drawn: the figure and its scale.
      room: depth of the background in units of `DEPTH_METRES`, `[s,s,1]`.
      mask: the figure's, 0 or 1, `[s,s,1]`.
    """
    focal, metres = library.focals[drawn.background], library.metres[drawn.figure]
    distance = focal * metres / (library.sizes[drawn.figure, 0] * drawn.scale)
    known = jnp.clip(distance / DEPTH_METRES, MIN_DEPTH, 1)
    lowest = mask.shape[0] - 1 - jnp.argmax(mask.any(axis=(1, 2))[::-1])
    at_feet = jnp.nanmedian(jnp.where(mask[lowest] > 0, room[lowest], jnp.nan))
    return jnp.where(focal * metres > 0, known, jnp.nan_to_num(at_feet, nan=1.0))


def warp(picture: Array, flow: Array) -> Array:
    """Move the content of a picture; repeat its border pixels to fill the rest.

    Args:
      picture: `[H,W,C]`.
      flow: rows and columns in px by which the content of each pixel comes from elsewhere, `[2]` or
        `[2,H,W]`: pixel p shows what was at p - flow.
    """
    at = [places - moved for places, moved in zip(jnp.indices(picture.shape[:2]), flow)]

    def sample(channel: Array) -> Array:
        return jax.scipy.ndimage.map_coordinates(channel, at, order=1, mode="nearest")

    return jax.vmap(sample, in_axes=-1, out_axes=-1)(picture)
