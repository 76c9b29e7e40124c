"""Make scenes on the device: several figures of any size, hard shadows, changing light, a camera.

A scene has one figure, several or none. A figure has the size that the distance of the background
at its feet gives it, or is at any place in any size; the picture's edge may cut it off.
What is new in `bg_fg` is foreground; so is a figure that only `bg` shows, which is gone. Shadows,
reflections, screens, light and what a camera adds are background. `device_composites` makes simpler
pairs, with one figure each, by the original's recipe.
"""

import operator
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from modest.constants import DEPTH_METRES, MASK_THRESHOLD, MIN_DEPTH, PICTURES
from modest.data.batches import camera, panes
from modest.data.batches.cutouts import Draw, Library, example_keys, warp
from modest.data.batches.figure_layers import (
    SOFTNESS,
    Shadow,
    cast_shadow,
    draw_layer,
    reflection,
)
from modest.types import Array, Batch

STREAM = 2**31 + 1  # keeps these random numbers independent of the augmentation's
REDUCTION = 0.75  # cut-outs have a margin for this; the edges of smaller ones are less exact
GLOSS = 0.5  # largest share of a figure's light that a floor reflects
SUNLIGHT = np.array([[[1, 0.95, 0.85]]])  # what a shadow takes from R, G and B; the sky is bluish
VIDEO_QUALITY = 30  # lowest quality of a compressed video, as in JPEG
Options = Mapping[str, Any]


def make(
    key: jax.Array,
    library: Library,
    batch: Batch,
    options: Options,
    first_index: jax.Array | int = 0,
) -> dict[str, jax.Array]:
    """Make the scenes of an index batch.

    Args:
      key: PRNG key of the step. Example i uses a key that depends on its place in the global batch,
        `first_index + i`.
      library: the backgrounds and cut-outs.
      batch: indices into the library, as `device_composites.batches` yields them. `figure` is one
        figure of each scene; the others are drawn.
      options: the section `data.scenes` of the config, which describes them.
      first_index: place in the global batch of this device's first example.

    Returns:
      `bg`, `bg_fg`, `mask` and `depth` (if known), float `[B,s,s,C]` in [0, 1] as
      `preprocess.to_float` returns them, and `valid`.
    """
    keys = example_keys(jax.random.fold_in(key, STREAM), batch, first_index)

    def make_one(key: jax.Array, background: Array, figure: Array) -> dict[str, jax.Array]:
        key_figures, key_scene, key_camera, key_squeeze = jax.random.split(key, 4)
        drawn = _draw_figures(key_figures, library, background, figure, options)
        layers = jax.vmap(draw_layer, (None, 0))(library, drawn)
        example = _compose(key_scene, library, background, layers, options)
        if options["squeeze"]:
            example = _squeeze(key_squeeze, example, options["squeeze"])
        pictures = jnp.stack([example[name] for name in PICTURES])
        return example | dict(zip(PICTURES, _photograph(key_camera, library, pictures, options)))

    examples = jax.vmap(make_one)(keys, batch["background"], batch["figure"])
    return examples | {"valid": batch["valid"]}


def _count(options):
    """Return how many figures are drawn: the last one may cast a shadow from outside."""
    return options["figures"] + (options["strays"] > 0)


def _draw_figures(key, library, background, first, options):
    """Draw the places of all figures; the fields of the `Draw` have a leading axis."""
    count = _count(options)
    u = jax.random.uniform(key, (count, 8))
    figure = jnp.floor(u[:, 0] * len(library.figures)).astype(jnp.int32)
    figure = figure.at[0].set(first)
    size = library.backgrounds.shape[1]
    stored = size / library.ratio
    heights, widths = library.sizes[figure].astype(u.dtype).T
    low, high = jnp.log(options["smallest"]), jnp.log(options["largest"])
    height = stored * jnp.exp(low + (high - low) * u[:, 1])
    width = height * widths / heights
    outside = options["outside"]
    y = (stored - (1 - 2 * outside) * height) * u[:, 2] - outside * height
    x = (stored - (1 - 2 * outside) * width) * u[:, 3] - outside * width
    if library.depths is not None and options["standing"]:
        # A figure at the distance of the pixel at its feet, in the lower part of the picture.
        row, column = (0.4 + 0.6 * u[:, 2]) * (size - 1), u[:, 3] * (size - 1)
        at = background, row.astype(jnp.int32), column.astype(jnp.int32), 0
        distance = jnp.maximum(library.depths[at] / 255, MIN_DEPTH) * DEPTH_METRES
        standing = library.focals[background] * library.metres[figure] / distance
        usable = (standing > options["smallest"] * stored) & (standing < 1.3 * stored)
        # Depth ends at DEPTH_METRES; what is farther away may have any smaller size.
        stands = (u[:, 4] < options["standing"]) & usable & (distance < 0.99 * DEPTH_METRES)
        height = jnp.where(stands, standing, height)
        width = height * widths / heights
        y = jnp.where(stands, row / library.ratio - height, y)
        x = jnp.where(stands, column / library.ratio - width / 2, x)
    return Draw(
        background=jnp.broadcast_to(background, (count,)),
        figure=figure,
        mirrored=u[:, 5] < 0.5,
        x=x,
        y=y,
        scale=height / heights,
        darkening=options["shadow"] * u[:, 6],
        brightness=jnp.ones(count),
        shift=None,
    )


def _compose(key, library, background, layers, options):
    """Return `bg`, `bg_fg`, `mask` and `depth` of a scene, before the camera.

    The fields of `layers` have a leading axis, one element per figure.
    """
    key_scene, key_light, key_sway, key_screens, key_pane = jax.random.split(key, 5)
    u = jax.random.uniform(key_scene, (16,))
    bg = library.backgrounds[background].astype(u.dtype) / 255
    count = options["figures"]
    exists = jnp.arange(count) < 1 + jnp.floor(count * u[0] ** 2.5)
    exists &= u[1] >= options["empty"]
    gone = exists & (jnp.arange(count) == 0) & (u[2] < options["gone"])
    present = exists & ~gone

    scene = bg
    darkness = options["darkness"] * (0.25 + 0.75 * u[3]) * SUNLIGHT
    softness = SOFTNESS * u[8] ** 2
    if options["strays"]:
        stray = cast_shadow(_at(layers, -1), Shadow(1.5 * u[9] + 0.3, 4 * u[10] - 2, softness))
        stray = stray * (u[11] < options["strays"]) * darkness
        # Half of these shadows were there before, and are gone.
        scene = scene * (1 - stray * (u[12] < 0.5))
        bg = bg * (1 - stray * (u[12] >= 0.5))
    figures = jax.tree.map(lambda x: x[:count], layers)
    if options["screens"]:
        scene, bg = panes.screens(key_screens, library, options["screens"], [scene, bg])
    if options["panes"]:
        pane = panes.draw_pane(key_pane, library, bg.shape[0], options["panes"])
        scene = panes.add_mirror(scene, pane, figures, present)
        bg = panes.add_mirror(bg, pane, figures, gone)

    length = (0.1 + 0.6 * u[4]) * jnp.where(u[5] < 0.5, -1, 1)
    shadow = Shadow(length, 3 * u[6] - 1.5, softness)
    cast = (u[7] < options["cast"]) * darkness
    gloss = GLOSS * u[14] * (u[13] < options["reflection"])
    mask = jnp.zeros((*bg.shape[:2], 1))
    depth = None
    if library.depths is not None:
        depth = library.depths[background].astype(u.dtype) / 255
    for k in jnp.argsort(-figures.metres):  # from the farthest to the nearest
        figure = _at(figures, k)
        light = 1 - figure.contact
        if options["cast"]:
            light = light * (1 - cast_shadow(figure, shadow) * cast)
        floors = [scene * light, bg * light]
        if options["reflection"]:
            colour, alpha = reflection(figure, gloss)
            floors = [floor * (1 - alpha) + colour for floor in floors]
        new, old = (floor * (1 - figure.alpha) + figure.colour for floor in floors)
        scene = jnp.where(present[k], new, scene)
        bg = jnp.where(gone[k], old, bg)
        covers = figure.alpha >= MASK_THRESHOLD
        mask = jnp.where(exists[k] & covers, 1, mask)
        if depth is not None:
            depth = jnp.where(present[k] & covers, figure.metres, depth)

    if options["panes"]:
        scene, bg = (panes.add_glass(picture, pane) for picture in (scene, bg))
    bg = _sway(key_sway, bg, library.ratio, options)
    draws = jax.random.uniform(key_light, (13,), minval=-1)
    scene = camera.relight(
        scene, draws, options["exposure"], options["white_balance"], options["light"]
    )
    example = {"bg": bg, "bg_fg": scene, "mask": mask}
    if depth is not None:
        example["depth"] = jnp.maximum(depth, MIN_DEPTH)
    return example


def _at(layers, k):
    return jax.tree.map(operator.itemgetter(k), layers)


def _squeeze(key, example, largest):
    """Show a part of a scene as a picture of another aspect, which is squeezed into the square."""
    u = jax.random.uniform(key, (3,))
    kept = 1 - largest * u[0]
    share = jnp.where(u[1] < 0.5, jnp.stack([kept, 1]), jnp.stack([1, kept]))
    size = example["mask"].shape[0]
    corner = u[2] * (1 - share) * size

    def enlarge(x: Array) -> Array:
        return jax.image.scale_and_translate(
            x, x.shape, (0, 1), 1 / share, -corner / share, "linear", antialias=False
        )

    squeezed = {name: enlarge(example[name]) for name in PICTURES}
    mask = enlarge(example["mask"]) >= MASK_THRESHOLD
    squeezed["mask"] = mask.astype(example["mask"].dtype)
    if "depth" in example:
        pixels = jnp.arange(size) + 0.5
        rows, columns = ((corner[k] + share[k] * pixels).astype(jnp.int32) for k in (0, 1))
        squeezed["depth"] = example["depth"][rows][:, columns]
    return squeezed


def _sway(key, bg, ratio, options):
    """Move bg as if the camera had, and parts of it as if the wind had."""
    if not (options["shift"] or options["sway"]):
        return bg
    draws = jax.random.uniform(key, (2, 26), minval=-1)
    waves = jax.image.resize(draws[:, 1:].reshape(2, 5, 5), (2, *bg.shape[:2]), "cubic")
    calm = jnp.maximum(jnp.abs(waves) - 0.4, 0) * jnp.sign(waves)  # most of the picture is still
    flow = options["shift"] * draws[:, :1, None] + options["sway"] * calm
    return warp(bg, ratio * flow)


def _photograph(key, library, pictures, options):
    """Return pictures `[2,s,s,3]` as one camera records them, in [0, 1]."""
    key_noise, key_draws, key_video = jax.random.split(key, 3)
    u = jax.random.uniform(key_draws, (4,))
    if options["coarse"]:
        coarse = u[0] < options["coarse"]
        pictures = jnp.where(coarse, camera.coarsen(pictures), pictures)
    if options["noise"]:
        deviation = library.averaging * options["noise"] * u[1] ** 2
        pictures = camera.add_noise(key_noise, pictures, deviation)
    pictures = jnp.clip(pictures, 0, 1)
    filmed = jax.random.uniform(key_video, (2,))
    is_video = filmed[0] < options["video"]
    if options["jpeg"]:
        quality = options["jpeg"] + (98 - options["jpeg"]) * u[2]
        compressed = camera.jpeg(pictures, quality)
        pictures = jnp.where((u[3] < 0.5) & ~is_video, compressed, pictures)
    if options["video"]:
        quality = VIDEO_QUALITY + (98 - VIDEO_QUALITY) * filmed[1]
        pictures = jnp.where(is_video, camera.video(pictures, quality), pictures)
    return pictures
