"""Screens, mirrors and glass in a scene: rectangles whose changes are background.

Everything is a pure function of arrays. A picture is `[s,s,3]` with values in [0, 1].
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp

from modest.data.batches.cutouts import Library
from modest.data.batches.figure_layers import Layer
from modest.types import Array

SMALLEST, LARGEST = 0.1, 0.5  # height and width of a rectangle, as shares of the picture's
FRAME = 0.06  # width of a screen's frame, as a share of the screen's smaller side
BRIGHTEST_FRAME = 0.3  # frames are grey, from black to this
MIRROR, GLASS = (0.2, 0.9), (0.05, 0.4)  # shares of the light that they reflect


class Rectangle(NamedTuple):
    """A rectangle in px: its upper left corner and its size, `[2]` each, rows first."""

    corner: Array
    size: Array


class Pane(NamedTuple):
    """A mirror behind the figures, or glass before them.

    Attributes:
      rectangle: where it is.
      mirror, glass: the share of a pixel's light that the mirror or the glass reflects,
        `[s,s,1]`; one of them is 0 everywhere, and both if there is no pane.
      shown: what it reflects besides the figures, `[s,s,3]`; the same in both pictures.
    """

    rectangle: Rectangle
    mirror: Array
    glass: Array
    shown: Array


def screens(
    key: jax.Array, library: Library, probability: float, pictures: Sequence[Array]
) -> list[Array]:
    """Hang a screen into the pictures of a pair; it shows another background in each of them."""
    size = pictures[0].shape[0]
    key_rectangle, key_shown, key_frame, key_exists = jax.random.split(key, 4)
    rectangle = _draw_rectangle(key_rectangle, size)
    edge = FRAME * rectangle.size.min()
    inside = Rectangle(rectangle.corner + edge, rectangle.size - 2 * edge)
    exists = jax.random.uniform(key_exists) < probability
    whole, lit = exists * area(rectangle, size), exists * area(inside, size)
    frame = BRIGHTEST_FRAME * jax.random.uniform(key_frame)
    indices = jax.random.randint(key_shown, (len(pictures),), 0, len(library.backgrounds))
    hung: list[Array] = []
    for picture, index in zip(pictures, indices):
        shown = library.backgrounds[index].astype(picture.dtype) / 255
        shown = jax.image.scale_and_translate(
            shown, shown.shape, (0, 1), inside.size / size, inside.corner, "linear"
        )
        framed = picture * (1 - whole) + frame * whole
        hung.append(framed * (1 - lit) + shown * lit)
    return hung


def draw_pane(key: jax.Array, library: Library, size: int, probability: float) -> Pane:
    """Draw the pane of a scene in a picture of `size` px."""
    key_rectangle, key_shown, key_pane = jax.random.split(key, 3)
    rectangle = _draw_rectangle(key_rectangle, size)
    index = jax.random.randint(key_shown, (), 0, len(library.backgrounds))
    u = jax.random.uniform(key_pane, (3,))
    covered = (u[0] < probability) * area(rectangle, size)
    is_mirror = u[2] < 0.5
    return Pane(
        rectangle,
        mirror=covered * is_mirror * _between(MIRROR, u[1]),
        glass=covered * ~is_mirror * _between(GLASS, u[1]),
        shown=library.backgrounds[index, :, ::-1].astype(u.dtype) / 255,
    )


def add_mirror(picture: Array, pane: Pane, figures: Layer, is_there: Array) -> Array:
    """Return a picture with its mirror, in which the figures are seen that are there.

    Args:
      picture: `[s,s,3]`, still without figures.
      pane: the pane of the scene; a sheet of glass changes nothing here.
      figures: all figures; the fields have a leading axis of length `K`.
      is_there: which of them the picture will have, `[K]`.
    """
    # From the nearest to the farthest, which is in front in a mirror behind them.
    order = jnp.argsort(figures.metres)
    shown = reflect(pane, figures.colour[order], figures.alpha[order], is_there[order])
    return _blend(picture, shown, pane.mirror)


def add_glass(picture: Array, pane: Pane) -> Array:
    """Return a picture `[s,s,3]` behind the glass of its pane; a mirror changes nothing here."""
    return _blend(picture, pane.shown, pane.glass)


def reflect(pane: Pane, colours: Array, alphas: Array, is_there: Array) -> Array:
    """Return what a mirror shows, `[s,s,3]`: the place, and figures with left and right exchanged.

    The images of the figures are in the middle of the mirror, at their own height.

    Args:
      pane: the mirror.
      colours: of the figures, multiplied by alpha, `[K,s,s,3]`; the last one is in front.
      alphas: of the figures, `[K,s,s,1]`.
      is_there: whether there is such a figure, `[K]`.
    """
    size = pane.shown.shape[1]
    columns = jnp.arange(size)
    middle_of_pane = pane.rectangle.corner[1] + pane.rectangle.size[1] / 2 - 0.5
    shown = pane.shown
    for colour, alpha, exists in zip(colours, alphas, is_there):
        weights = alpha.sum((0, 2))
        middle = (weights * columns).sum() / jnp.maximum(weights.sum(), 1)
        source = jnp.round(middle + middle_of_pane).astype(jnp.int32) - columns
        visible = exists * ((source >= 0) & (source < size))[None, :, None]
        shown = shown * (1 - visible * alpha[:, source]) + visible * colour[:, source]
    return shown


def area(rectangle: Rectangle, size: int) -> jax.Array:
    """Return how much of each pixel a rectangle covers in a picture of `size` px, `[s,s,1]`."""
    pixels = jnp.arange(size)
    rows, columns = (
        jnp.clip(jnp.minimum(pixels + 1, start + length) - jnp.maximum(pixels, start), 0, 1)
        for start, length in zip(rectangle.corner, rectangle.size)
    )
    return (rows[:, None] * columns[None])[..., None]


def _blend(picture, shown, share):
    return picture * (1 - share) + shown * share


def _draw_rectangle(key, size):
    u = jax.random.uniform(key, (4,))
    share = _between((SMALLEST, LARGEST), u[:2])
    return Rectangle(size * (1 - share) * u[2:], size * share)


def _between(ends, u):
    return ends[0] + (ends[1] - ends[0]) * u
