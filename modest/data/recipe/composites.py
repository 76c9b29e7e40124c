"""Make and write all composites of one background: one unit of work of `build`.

What is written is a pure function of the settings, the seed, and the ids of background and figure.
"""

import functools
import pathlib
from typing import Any

import numpy as np

from modest.constants import UNKNOWN_DEPTH
from modest.data import composite, images, modest_layout
from modest.data.recipe import depth_maps, inputs
from modest.data.recipe.plan import (
    Plan,
    depth_map_path,
    depth_map_paths,
    museum,
    read_depth_map,
    realism,
)
from modest.data.recipe.settings import Recipe
from modest.data.synthetic import dataset
from modest.run import files

DONE = ".done"  # directory of the `bbox.txt` lines of finished backgrounds

# Numbers that make the random numbers of backgrounds and of composites independent.
_STREAMS = {"background": 0, "composite": 1}


def compose_background(plan: Plan, background: str) -> None:
    """Write a background, all its composites, and last its lines of `bbox.txt` into `.done/`.

    Raises:
      InputError: an input changed since it was checked, or a file cannot be written.
    """
    recipe, out = plan.recipe, pathlib.Path(plan.recipe.out)
    picture, room_depth, focal = _background(plan, background)
    rng = _generator(recipe, "background", background)
    bare = composite.photograph(rng, picture, realism(recipe))
    _save(recipe, "bg", background, _final(bare, recipe))
    if has_background_depth(recipe):
        directory = out / modest_layout.OPTIONAL_DIRECTORIES["bg_depth"]
        encoded = images.encode_grey(composite.encode_depth(room_depth))
        files.write(directory / f"{background}_depth_map.png", encoded)
    lines = []
    for figure, source in plan.figures.items():
        rgba, height_m = _figure(recipe, source)
        metres = composite.figure_depth(focal, height_m, rgba.shape[0]) if height_m else None
        rng = _generator(recipe, "composite", background, figure)
        for place in range(2 * recipe.places):
            name = f"{background}_{figure}_{place + 1:02}"
            oriented = rgba if place < recipe.places else rgba[:, ::-1]
            made, mask = _compose(rng, recipe, picture, oriented, name)
            if recipe.depth != "none":
                depth = _composite_depth(plan, name, made.bg_fg, mask, room_depth, metres)
                _save(recipe, "depth", f"{name}_depth_map", composite.encode_depth(depth))
            columns = (name + _suffix(recipe, "bg_fg"), *composite.box(mask))
            lines.append("\t".join(map(str, columns)) + "\n")
    files.write(out / DONE / background, "".join(lines).encode())


def has_background_depth(recipe: Recipe) -> bool:
    """Return whether the depth of the empty room is known."""
    given = recipe.depth != "none" and recipe.depth_of == "backgrounds"
    return recipe.depth == "scene" or given


def small_figure(recipe: Recipe, source: Any) -> np.ndarray:
    """Return a cut-out at the scale of the final pictures.

    Args:
      recipe: the recipe, which sets the scale.
      source: a value of `Plan.figures`.

    Returns:
      uint8 `[h,w,4]`, straight alpha.
    """
    if recipe.depth == "scene":
        rgba = dataset.person(museum(recipe), source).rgba
    else:
        rgba = inputs.cutout(source, recipe.alpha_threshold)
    height = max(1, round(recipe.figure_height * recipe.size / recipe.work_size))
    return composite.scale_figure(rgba, height)


def _generator(recipe, stream, *ids):
    """Return a generator of random numbers that depend only on the seed and the ids."""
    numbers = (int(name.lstrip("bfg")) for name in ids)
    sequence = np.random.SeedSequence((recipe.seed, _STREAMS[stream], *numbers))
    return np.random.default_rng(sequence)


def _background(plan, background):
    """Read or draw a background.

    Returns:
      The picture, uint8 `[work_size,work_size,3]`; the depth of the empty room in metres,
      `[size,size]`, or None if unknown; and the focal length of a drawn room in pixels, or None.
    """
    recipe, source = plan.recipe, plan.backgrounds[background]
    if recipe.depth == "scene":
        room = dataset.room(museum(recipe), source)
        depth = depth_maps.resize(room.depth, recipe.size, nearest=True)
        return room.picture, depth, room.focal
    picture = inputs.background(source, recipe.work_size)
    if not has_background_depth(recipe):
        return picture, None, None
    if recipe.depth == "folder":
        [path] = depth_map_paths(plan, background).values()
        return (
            picture,
            _to_metres(recipe, inputs.square(read_depth_map(recipe, path))),
            None,
        )
    return picture, _to_metres(recipe, _estimate(recipe, picture)), None


@functools.cache
def _figure(recipe, source):
    """Return a cut-out, uint8 `[figure_height,w,4]`, and its height in metres, None if unknown."""
    if recipe.depth == "scene":
        person = dataset.person(museum(recipe), source)
        return person.rgba, person.height_m
    rgba = inputs.cutout(source, recipe.alpha_threshold)
    return composite.scale_figure(rgba, recipe.figure_height), None


def _compose(rng, recipe, picture, figure, name):
    """Write one composite and its mask.

    Returns:
      The composite at the work size; its mask at the final size, uint8 `[size,size]`.
    """
    xy = composite.place(rng, picture.shape[:2], figure.shape[:2])
    made = composite.compose(rng, picture, figure, xy, realism=realism(recipe))
    mask = _final(made.mask[..., None], recipe)[..., 0]
    _save(recipe, "bg_fg", name, _final(made.bg_fg, recipe))
    _save(recipe, "mask", f"{name}_mask", mask)
    return made, mask


def _composite_depth(plan, name, picture, mask, room_depth, metres):
    """Return the depth of a composite in metres, float32 `[size,size]`."""
    recipe = plan.recipe
    if room_depth is None and recipe.depth == "folder":
        path = depth_map_path(recipe, name)
        return _to_metres(recipe, read_depth_map(recipe, path))
    if room_depth is None:
        return _to_metres(recipe, _estimate(recipe, picture))
    if metres is None:
        metres = depth_maps.distance_at_feet(room_depth, mask)
    return np.where(mask > composite.FOREGROUND, np.float32(metres), room_depth)


def _to_metres(recipe, values):
    """Convert the values of a depth map to metres, `[size,size]`."""
    unit, scale, shift = recipe.depth_unit, recipe.depth_scale, recipe.depth_shift
    return depth_maps.resize(depth_maps.to_metres(values, unit, scale, shift), recipe.size)


def _estimate(recipe, picture):
    estimate, _ = depth_maps.estimator(recipe.depth_model, recipe.depth_device)
    return estimate(picture)


def _final(picture, recipe):
    return images.resize(picture, (recipe.size, recipe.size))


def _suffix(recipe, kind):
    return ".png" if kind in recipe.png else ".jpeg"


def _save(recipe, kind, stem, picture):
    """Write one picture of a kind, uint8 `[H,W]` or `[H,W,3]`."""
    # JPEG would blur pixels of unknown depth.
    lossless = kind in recipe.png or (kind == "depth" and (picture == UNKNOWN_DEPTH).any())
    if not lossless:
        data = images.encode_picture(picture, recipe.jpeg_quality)
    elif picture.ndim == 2:
        data = images.encode_grey(picture)
    else:
        data = images.encode_picture(picture, 0)
    directory = pathlib.Path(recipe.out) / modest_layout.DIRECTORIES[kind]
    files.write(directory / (stem + (".png" if lossless else ".jpeg")), data)
