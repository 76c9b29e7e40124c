"""Check every input of a recipe, before anything is written.

`prepare` returns a `Plan`: the ids of backgrounds and figures, and everything that determines the
data set (settings, and hashes of the inputs), which is written to `recipe.json`.
"""

import functools
import hashlib
import math
import pathlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import PIL
import tqdm
from PIL import features

from modest.constants import DEPTH_METRES, MIN_DEPTH
from modest.data import composite, picture_files
from modest.data.recipe import depth_maps, inputs
from modest.data.recipe.settings import Recipe, require, unknown_values
from modest.data.synthetic import dataset
from modest.errors import InputError

ESTIMATES_CHECKED = 4  # backgrounds whose depth is estimated to check the unit
DOUBTS_SHOWN = 10  # lines about cut-outs


class Plan(NamedTuple):
    """A checked recipe.

    Attributes:
      recipe: the settings of the recipe.
      backgrounds: {id: path}; with `--depth scene`, {id: index of the room}.
      figures: {id: path}; with `--depth scene`, {id: index of the person}.
      settings: content of `recipe.json`.
    """

    recipe: Recipe
    backgrounds: dict[str, Any]
    figures: dict[str, Any]
    settings: dict[str, Any]


def prepare(recipe: Recipe) -> Plan:
    """Read every input once, and return the plan.

    Args:
      recipe: must have passed `settings.check`.

    Raises:
      InputError: an input is missing or unusable.
    """
    backgrounds: dict[str, Any]
    figures: dict[str, Any]
    if recipe.depth == "scene":
        backgrounds = {f"bg{index + 1:03}": index for index in range(recipe.rooms)}
        figures = {f"fg{index + 1:03}": index for index in range(recipe.people)}
        described: dict[str, Any] = {"rooms": recipe.rooms, "people": recipe.people}
    else:
        backgrounds = inputs.identities(list(inputs.find(recipe.bg, "backgrounds").values()), "bg")
        figures = inputs.identities(list(inputs.find(recipe.fg, "cut-outs").values()), "fg")
        for path in backgrounds.values():
            inputs.background(path, 1)
        _check_fit(figures, recipe)
        described = {"backgrounds": _describe(backgrounds), "figures": _describe(figures)}
    plan = Plan(recipe, backgrounds, figures, {})
    return plan._replace(settings=_settings(plan, described))


def realism(recipe: Recipe) -> composite.Realism:
    """Return how a composite differs from its background outside the figure."""
    return composite.Realism(recipe.noise, recipe.exposure, recipe.shadow)


def museum(recipe: Recipe) -> dataset.SyntheticMuseum:
    """Return the rooms and people of `--depth scene`."""
    return dataset.SyntheticMuseum(
        recipe.seed, recipe.rooms, recipe.people, recipe.work_size, recipe.figure_height
    )


def composite_names(plan: Plan, background: str) -> list[str]:
    """Return the names of a background's composites, in their fixed order."""
    places = range(1, 2 * plan.recipe.places + 1)
    return [f"{background}_{figure}_{place:02}" for figure in plan.figures for place in places]


def depth_map_paths(plan: Plan, background: str) -> dict[str, pathlib.Path]:
    """Return `{name: path}` of the depth maps that a background or its composites need.

    Raises:
      InputError: one is missing.
    """
    if plan.recipe.depth_of == "backgrounds":
        needed = [picture_files.normal(plan.backgrounds[background].stem)]
    else:
        needed = composite_names(plan, background)
    found = {name: depth_map_path(plan.recipe, name) for name in needed}
    missing = [name for name, path in found.items() if path is None]
    if missing:
        others = len(missing) - 1
        more = f", and none of {others} other composites of {background}" if others else ""
        raise InputError(
            f"{plan.recipe.depth_dir}: no depth map of {missing[0]} "
            f"({', '.join(inputs.MAP_SUFFIXES)} with that name){more}"
        )
    return {name: path for name, path in found.items() if path is not None}


def depth_map_path(recipe: Recipe, name: str) -> pathlib.Path | None:
    """Return the path of a depth map in `depth_dir`, or None.

    For the name "hall", the file is called "hall_depth_map" or "hall", with a suffix.
    """
    found = _list_maps(recipe.depth_dir)
    return found.get(f"{name}_depth_map", found.get(name))


def read_depth_map(recipe: Recipe, path: pathlib.Path) -> np.ndarray:
    """Return the values of a depth map, float32 `[h,w]`; NaN where the depth is unknown.

    A distance below 0 is impossible, so that such pixels are unknown, too.
    """
    values = inputs.depth_map(path, unknown_values(recipe))
    return np.where(_metres(recipe, values) < 0, np.float32(np.nan), values)


@functools.cache
def _list_maps(directory):
    return inputs.find(directory, "depth maps", inputs.MAP_SUFFIXES)


def _check_fit(figures: Mapping[str, pathlib.Path], recipe: Recipe) -> None:
    """Check that every cut-out, scaled to the figure height, fits into the picture.

    Prints the cut-outs whose alpha is doubtful.
    """
    widest, aspect, doubts = None, 0.0, []
    for path in figures.values():
        cutout = inputs.cutout(path, recipe.alpha_threshold)
        if doubt := inputs.doubt(cutout):
            doubts.append(f"{path}: {doubt}")
        height, width = cutout.shape[:2]
        if widest is None or width / height > aspect:
            widest, aspect = path, width / height
    for line in doubts[:DOUBTS_SHOWN]:
        print(line)
    if len(doubts) > DOUBTS_SHOWN:
        print(f"and {len(doubts) - DOUBTS_SHOWN} more cut-outs with a doubtful alpha")
    width = round(aspect * recipe.figure_height)
    require(
        width <= recipe.work_size,
        f"{widest}: {width} px wide when {recipe.figure_height} px high, which does not fit into "
        f"--work_size {recipe.work_size}; "
        f"all cut-outs fit with --figure_height {int(recipe.work_size / aspect)}",
    )


def _describe(paths):
    return {name: {"file": path.name, "sha256": _digest(path)} for name, path in paths.items()}


def _digest(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _settings(plan, described):
    """Return the content of `recipe.json`: everything that determines the data set."""
    recipe = plan.recipe
    names = ("seed", "work_size", "figure_height", "size", "places", "jpeg_quality")
    names += ("noise", "exposure", "shadow")
    settings = {name: getattr(recipe, name) for name in names}
    if recipe.alpha_threshold:
        settings["alpha_threshold"] = recipe.alpha_threshold
    settings["png"] = sorted(set(recipe.png))
    settings["depth"] = _depth_settings(plan)
    settings["encoder"] = {
        "pillow": PIL.__version__,
        "libjpeg": features.version("jpg"),
        "zlib": features.version("zlib"),
    }
    return settings | {"inputs": described}


def _depth_settings(plan):
    recipe = plan.recipe
    if recipe.depth == "none":
        return {"source": "none"}
    stored = "round(255 * clip(metres / 10, 0.01, 1))"
    if recipe.depth == "scene":
        return {"source": "scene", "conversion": "metres, exact", "stored": stored}
    unit, scale, shift = recipe.depth_unit, recipe.depth_scale, recipe.depth_shift
    settings = {
        "source": recipe.depth,
        "of": recipe.depth_of,
        "unit": unit,
        "scale": scale,
        "shift": shift,
        **({} if math.isnan(recipe.depth_unknown) else {"unknown": recipe.depth_unknown}),
        "conversion": depth_maps.formula(unit, scale, shift),
        "stored": stored,
    }
    if recipe.depth == "transformers":
        model, device = recipe.depth_model, recipe.depth_device
        estimate, fingerprint = depth_maps.estimator(model, device)
        _check_estimates(plan, estimate)
        return settings | {"model": model, "device": device, "sha256": fingerprint}
    return settings | {"sha256": _check_maps(plan)}


def _check_maps(plan):
    """Read every depth map once, check its shape, and return the SHA-256 of all maps."""
    digest, seen = hashlib.sha256(), _DepthSeen(plan.recipe, plan.recipe.depth_dir)
    for background in tqdm.tqdm(plan.backgrounds, "depth maps", disable=None, leave=False):
        for name, path in depth_map_paths(plan, background).items():
            values = read_depth_map(plan.recipe, path)
            height, width = values.shape
            if plan.recipe.depth_of == "backgrounds" and height != width:
                _check_aspect(path, height, width, plan.backgrounds[background])
            else:
                message = f"{path}: {width} x {height} px; a composite's depth map must be square"
                require(height == width, message)
            require(not np.isnan(values).all(), f"{path}: the depth of every pixel is unknown")
            seen.add(values)
            digest.update(f"{name} {_digest(path)}\n".encode())
    seen.check()
    return digest.hexdigest()


def _check_estimates(plan, estimate):
    """Estimate the depth of a few backgrounds, and refuse a wrong unit."""
    seen = _DepthSeen(plan.recipe, plan.recipe.depth_model)
    paths = list(plan.backgrounds.values())
    for path in paths[:: math.ceil(len(paths) / ESTIMATES_CHECKED)]:
        seen.add(estimate(inputs.background(path, plan.recipe.work_size)))
    seen.check()


def _metres(recipe, values):
    unit, scale, shift = recipe.depth_unit, recipe.depth_scale, recipe.depth_shift
    return depth_maps.to_metres(values, unit, scale, shift)


class _DepthSeen:
    """The range of depth values and the share that is unknown, to find a wrong unit."""

    def __init__(self, recipe: Recipe, where: str) -> None:
        self._recipe, self._where = recipe, where
        self._pixels = self._known = self._near = self._far = 0
        self._lowest, self._highest = np.inf, -np.inf

    def add(self, values: np.ndarray) -> None:
        self._pixels += values.size
        values = values[~np.isnan(values)]
        metres = _metres(self._recipe, values)
        self._known += values.size
        self._near += int((metres <= MIN_DEPTH * DEPTH_METRES).sum())
        self._far += int((metres >= DEPTH_METRES).sum())
        self._lowest = min(self._lowest, float(values.min()))
        self._highest = max(self._highest, float(values.max()))

    def check(self) -> None:
        """Refuse a wrong unit, and print the range."""
        near, far = self._near / self._known, self._far / self._known
        share, end = max((near, "0.1 m or less"), (far, "10 m or more"))
        values = f"its values are {self._lowest:g} to {self._highest:g}"
        require(
            share <= composite.MOST_AT_ONE_END,
            f"--depth_unit {self._recipe.depth_unit}: {share:.1%} of the depth in "
            f"{self._where} is {end}; {values}",
        )
        unknown = 1 - self._known / self._pixels
        print(
            f"{self._where}: {unknown:.1%} of the depth is unknown; of the rest, {near:.1%} is "
            f"0.1 m or less and {far:.1%} is 10 m or more; {values}"
        )


def _check_aspect(path, height, width, background):
    """Check that a depth map shows the whole background."""
    h, w = inputs.upright_shape(background)
    # Rounding may have removed a pixel or two.
    fits = abs(height / width - h / w) <= 2 / min(height, width)
    require(
        fits,
        f"{path}: {width} x {height} px, but its background is {w} x {h}: not the same view",
    )
