"""The settings of a recipe, and their validation.

Each field of `Recipe` is an option of `python -m modest compose`. Importing this module does not
import NumPy or Pillow, so that `--help` is immediate.
"""

import dataclasses
import math
from typing import Any

from modest.constants import DEPTH_METRES
from modest.errors import InputError

MAX_WORK_SIZE = 4096  # px
DEPTHS = ("none", "folder", "scene", "transformers")
DEPTH_OF = ("composites", "backgrounds")

# Units of depth maps. `modest` is the grey level of the MODEST data set, 10 m / 255.
METRES_PER_UNIT = {
    "metres": 1.0,
    "centimetres": 0.01,
    "millimetres": 0.001,
    "modest": DEPTH_METRES / 255,
}
INVERSE = "inverse_metres"
UNITS = (*METRES_PER_UNIT, INVERSE)


def _option(default: Any, text: str) -> Any:
    return dataclasses.field(default=default, metadata={"help": text})


@dataclasses.dataclass(frozen=True)
class Recipe:
    """What to make, and from what. The help of each field describes it."""

    bg: str = _option("", "directory of backgrounds, JPEG or PNG")
    fg: str = _option("", "directory of cut-outs, PNG with alpha")
    out: str = _option("", "directory to write; rerun the command to resume")
    seed: int = _option(0, "seed of all random numbers")
    work_size: int = _option(704, "height and width of the picture during composition, in px")
    figure_height: int = _option(340, "height of a cut-out in that picture, in px")
    alpha_threshold: int = _option(0, "a cut-out is cropped to where its alpha is larger, 0 to 127")
    size: int = _option(224, "height and width of the pictures that are written, in px")
    places: int = _option(20, "random places per pair, and as many for the mirrored figure")
    jpeg_quality: int = _option(92, "quality of JPEG files, 1 to 100")
    png: tuple = _option((), "kinds to store losslessly as PNG: bg bg_fg mask depth")
    noise: float = _option(
        0.0, "standard deviation of sensor noise, in grey levels during composition"
    )
    exposure: float = _option(0.0, "largest relative difference in brightness of bg and bg_fg")
    shadow: float = _option(0.0, "largest darkening by a contact shadow under the feet")
    depth: str = _option("none", f"source of depth: {', '.join(DEPTHS)}")
    depth_of: str = _option(
        "composites", f"folder, transformers: one depth map for each of: {' or '.join(DEPTH_OF)}"
    )
    depth_unit: str = _option("", f"folder, transformers: unit of depth: {', '.join(UNITS)}")
    depth_scale: float = _option(1.0, "factor of depth values, applied before the unit")
    depth_shift: float = _option(0.0, "added to scaled depth values, before the unit is applied")
    depth_unknown: float = _option(
        math.nan, "folder: value of pixels that were not measured, besides 0, NaN and infinity"
    )
    depth_dir: str = _option("", "folder: directory of depth maps")
    depth_model: str = _option("", "transformers: a local directory, or a model name on the hub")
    depth_device: str = _option("cpu", "transformers: torch device")
    rooms: int = _option(100, "scene: number of rooms to draw")
    people: int = _option(100, "scene: number of people to draw")


def check(recipe: Recipe, workers: int = 1) -> None:
    """Check the settings, without reading any input.

    Raises:
      InputError: a setting is invalid; the message names its option.
    """
    _check_numbers(recipe, workers)
    _check_sizes(recipe)
    _check_kinds(recipe)
    require(recipe.out, "--out is missing: the directory to write")
    _check_sources(recipe)
    if recipe.depth in ("folder", "transformers"):
        _check_depth(recipe)


def unknown_values(recipe: Recipe) -> tuple[float, ...]:
    """Return the values of a depth map that mean an unknown depth, besides NaN and infinity.

    0 is one of them, except for an inverse depth, where it is infinitely far.
    """
    zero = () if recipe.depth_unit == INVERSE else (0.0,)
    return zero if math.isnan(recipe.depth_unknown) else (*zero, recipe.depth_unknown)


def require(condition: object, message: str) -> None:
    """Raise `InputError(message)` unless the condition is true."""
    if not condition:
        raise InputError(message)


def _check_numbers(recipe, workers):
    minima = {
        "seed": 0,
        "size": 1,
        "places": 1,
        "figure_height": 1,
        "rooms": 1,
        "people": 1,
        "noise": 0,
    }
    for name, least in minima.items():
        value = getattr(recipe, name)
        require(least <= value < math.inf, f"--{name} must be at least {least}, not {value}")
    for name in ("exposure", "shadow"):
        value = getattr(recipe, name)
        require(0 <= value <= 1, f"--{name} must be from 0 to 1, not {value}")
    require(workers >= 1, f"--workers must be at least 1, not {workers}")
    threshold = recipe.alpha_threshold
    require(0 <= threshold <= 127, f"--alpha_threshold must be from 0 to 127, not {threshold}")
    quality = recipe.jpeg_quality
    require(1 <= quality <= 100, f"--jpeg_quality must be from 1 to 100, not {quality}")


def _check_sizes(recipe):
    require(
        recipe.size <= recipe.work_size <= MAX_WORK_SIZE,
        f"--work_size must be from --size ({recipe.size}) to {MAX_WORK_SIZE}",
    )
    require(
        recipe.figure_height <= recipe.work_size,
        f"--figure_height must be at most --work_size, {recipe.work_size}",
    )


def _check_kinds(recipe):
    from modest.data import modest_layout  # slow to import

    kinds = ", ".join(modest_layout.DIRECTORIES)
    for kind in recipe.png:
        require(
            kind in modest_layout.DIRECTORIES,
            f"--png: no kind {kind!r}; the kinds are {kinds}",
        )


def _check_sources(recipe):
    sources = ", ".join(DEPTHS)
    require(
        recipe.depth in DEPTHS, f"--depth: no source {recipe.depth!r}; the sources are {sources}"
    )
    if recipe.depth == "scene":
        require(
            not (recipe.bg or recipe.fg),
            "--depth scene draws its own rooms and people: omit --bg and --fg",
        )
    else:
        require(
            recipe.bg and recipe.fg,
            "--bg and --fg are missing: directories of backgrounds and of cut-outs",
        )


def _check_depth(recipe):
    needed = {"folder": "depth_dir", "transformers": "depth_model"}[recipe.depth]
    require(getattr(recipe, needed), f"--depth {recipe.depth} needs --{needed}")
    require(
        recipe.depth_unit in UNITS,
        f"--depth_unit: no unit {recipe.depth_unit!r}; the units are {', '.join(UNITS)}",
    )
    require(
        recipe.depth_of in DEPTH_OF,
        f"--depth_of: {recipe.depth_of!r} is neither {' nor '.join(DEPTH_OF)}",
    )
    finite = math.isfinite(recipe.depth_scale) and math.isfinite(recipe.depth_shift)
    require(
        finite and recipe.depth_scale,
        "--depth_scale and --depth_shift must be finite, and the scale not 0",
    )
