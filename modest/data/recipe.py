"""What the recipe makes: `Recipe`, its settings, and `prepare`, which checks them and every input before anything is written.

`workshop.py` makes it; docs/recipe.md explains it.
"""

import dataclasses
import functools
import hashlib
import math
from typing import NamedTuple

import PIL
import tqdm
from PIL import features

from modest import pictures
from modest.data import compose, depth_maps, folder, procedural, sources
from modest.vocabulary import InputError

DEPTHS = ("none", "folder", "scene", "transformers")


def _option(default, text):
    return dataclasses.field(default=default, metadata={"help": text})


@dataclasses.dataclass(frozen=True)
class Recipe:
    """What to make, and from what. Each field is a flag of the command, and its help says what it is."""

    bg: str = _option("", "directory of backgrounds, JPEG or PNG")
    fg: str = _option("", "directory of cut-outs, PNG with alpha")
    out: str = _option("", "directory to write; one that was begun is gone on with")
    seed: int = _option(0, "of all that is random")
    work_size: int = _option(704, "px, both sides of the picture that is composed")
    figure_height: int = _option(340, "px of a cut-out in that picture")
    size: int = _option(224, "px, both sides of the pictures that are written")
    places: int = _option(20, "random places of a pair as it is, and as many mirrored")
    jpeg_quality: int = _option(92, "1..100")
    png: tuple = _option((), "kinds stored as PNG, without loss: bg bg_fg mask depth")
    noise: float = _option(0.0, "standard deviation of sensor noise in grey levels of the composed picture")
    exposure: float = _option(0.0, "largest relative change of brightness between bg and bg_fg")
    shadow: float = _option(0.0, "largest darkening of a contact shadow under the feet")
    depth: str = _option("none", f"where depth comes from: {', '.join(DEPTHS)}")
    depth_of: str = _option("composites", "what folder and transformers give depth of: composites, or backgrounds")
    depth_unit: str = _option("", f"of folder and transformers: {', '.join(depth_maps.UNITS)}")
    depth_scale: float = _option(1.0, "what their values are multiplied by before the unit is applied")
    depth_shift: float = _option(0.0, "and what is added then")
    depth_dir: str = _option("", "of folder: the directory of maps")
    depth_model: str = _option("", "of transformers: a local directory, or a name on the hub")
    depth_device: str = _option("cpu", "of transformers: a device of torch")
    rooms: int = _option(100, "of scene: how many rooms are drawn")
    people: int = _option(100, "of scene: how many people are drawn")

    @property
    def realism(self):
        """How a composite differs from its background outside the figure."""
        return compose.Realism(self.noise, self.exposure, self.shadow)

    @property
    def museum(self):
        """The rooms and people of the depth source `scene`."""
        return procedural.Museum(self.seed, self.rooms, self.people, self.work_size, self.figure_height)


class Plan(NamedTuple):
    """A checked recipe. Backgrounds and figures are {id: path}, or {id: index} of a drawn room and person."""

    recipe: Recipe
    backgrounds: dict
    figures: dict
    settings: dict  # what recipe.json holds


def check(recipe, workers=1):
    """Raises InputError if a setting cannot be used, without a look at the inputs."""
    at_least = {"seed": 0, "size": 1, "places": 1, "figure_height": 1, "rooms": 1, "people": 1, "noise": 0}
    for name, least in at_least.items():
        require(least <= getattr(recipe, name) < math.inf, f"--{name} must be at least {least}, not {getattr(recipe, name)}")
    for name in ("exposure", "shadow"):
        require(0 <= getattr(recipe, name) <= 1, f"--{name} must be from 0 to 1, not {getattr(recipe, name)}")
    require(workers >= 1, f"--workers must be at least 1, not {workers}")
    require(1 <= recipe.jpeg_quality <= 100, f"--jpeg_quality must be from 1 to 100, not {recipe.jpeg_quality}")
    limit = math.isqrt(pictures.MAX_PIXELS)
    require(recipe.size <= recipe.work_size <= limit, f"--work_size must be from --size ({recipe.size}) to {limit}")
    require(recipe.figure_height <= recipe.work_size, f"--figure_height must be at most --work_size, {recipe.work_size}")
    for kind in recipe.png:
        require(kind in folder.DIRECTORIES, f"--png: no kind {kind!r}; the kinds are {', '.join(folder.DIRECTORIES)}")
    require(recipe.out, "--out is missing: the directory to write")
    require(recipe.depth in DEPTHS, f"--depth: no source {recipe.depth!r}; there are {', '.join(DEPTHS)}")
    if recipe.depth == "scene":
        require(not (recipe.bg or recipe.fg), "--depth scene draws its own rooms and people: leave --bg and --fg away")
    else:
        require(recipe.bg and recipe.fg, "--bg and --fg are missing: directories of backgrounds and of cut-outs")
    if recipe.depth in ("folder", "transformers"):
        needed = {"folder": "depth_dir", "transformers": "depth_model"}[recipe.depth]
        require(getattr(recipe, needed), f"--depth {recipe.depth} needs --{needed}")
        units = ", ".join(depth_maps.UNITS)
        require(recipe.depth_unit in depth_maps.UNITS, f"--depth_unit: no unit {recipe.depth_unit!r}; there are {units}")
        ofs = ("composites", "backgrounds")
        require(recipe.depth_of in ofs, f"--depth_of: {recipe.depth_of!r} is neither {' nor '.join(ofs)}")
        finite = math.isfinite(recipe.depth_scale) and math.isfinite(recipe.depth_shift)
        require(finite and recipe.depth_scale, "--depth_scale and --depth_shift must be finite, and the scale not 0")


def prepare(recipe):
    """The `Plan` of a checked recipe. Every input is read once, so that a broken one is named before anything is written."""
    if recipe.depth == "scene":
        backgrounds = {f"bg{index + 1:03}": index for index in range(recipe.rooms)}
        figures = {f"fg{index + 1:03}": index for index in range(recipe.people)}
        inputs = {"rooms": recipe.rooms, "people": recipe.people}
    else:
        backgrounds = sources.identities(list(sources.find(recipe.bg, "backgrounds").values()), "bg")
        figures = sources.identities(list(sources.find(recipe.fg, "cut-outs").values()), "fg")
        for path in backgrounds.values():
            sources.background(path, 1)
        _check_fit(figures, recipe)
        describe = lambda paths: {name: {"file": path.name, "sha256": _digest(path)} for name, path in paths.items()}
        inputs = {"backgrounds": describe(backgrounds), "figures": describe(figures)}
    plan = Plan(recipe, backgrounds, figures, {})
    return plan._replace(settings=_settings(plan, inputs))


def require(condition, message):
    """Raises InputError with the message unless the condition holds."""
    if not condition:
        raise InputError(message)


def _check_fit(figures, recipe):
    """Every cut-out, scaled to the figure's height, must fit the picture."""
    widest, of_height = None, 0
    for path in figures.values():
        height, width = sources.cutout(path).shape[:2]
        if widest is None or width / height > of_height:
            widest, of_height = path, width / height
    width = round(of_height * recipe.figure_height)
    require(
        width <= recipe.work_size,
        f"{widest}: {width} px wide when {recipe.figure_height} px high, which does not fit --work_size {recipe.work_size}; "
        f"all cut-outs fit with --figure_height {int(recipe.work_size / of_height)}",
    )


def _settings(plan, inputs):
    """What `recipe.json` holds: all that the data follow from."""
    recipe = plan.recipe
    names = ("seed", "work_size", "figure_height", "size", "places", "jpeg_quality", "noise", "exposure", "shadow")
    settings = {name: getattr(recipe, name) for name in names}
    settings["png"] = sorted(set(recipe.png))
    settings["depth"] = _depth_settings(plan)
    settings["encoder"] = {"pillow": PIL.__version__, "libjpeg": features.version("jpg"), "zlib": features.version("zlib")}
    return settings | {"inputs": inputs}


def _depth_settings(plan):
    recipe = plan.recipe
    if recipe.depth == "none":
        return {"source": "none"}
    stored = "round(255 * clip(metres / 10, 0.01, 1))"
    if recipe.depth == "scene":
        return {"source": "scene", "conversion": "metres, exact", "stored": stored}
    settings = {"source": recipe.depth, "of": recipe.depth_of, "unit": recipe.depth_unit}
    settings |= {"scale": recipe.depth_scale, "shift": recipe.depth_shift}
    settings |= {"conversion": depth_maps.formula(recipe.depth_unit, recipe.depth_scale, recipe.depth_shift), "stored": stored}
    if recipe.depth == "transformers":
        fingerprint = depth_maps.estimator(recipe.depth_model, recipe.depth_device)[1]
        return settings | {"model": recipe.depth_model, "device": recipe.depth_device, "sha256": fingerprint}
    return settings | {"sha256": _check_maps(plan)}


def _check_maps(plan):
    """Reads every depth map once; gives the SHA-256 over all."""
    digest = hashlib.sha256()
    for background in tqdm.tqdm(plan.backgrounds, "depth maps", disable=None, leave=False):
        for name, path in depth_map_paths(plan, background).items():
            height, width = sources.depth_map(path).shape
            if plan.recipe.depth_of == "backgrounds" and height != width:
                h, w = sources.upright_shape(plan.backgrounds[background])
                fits = abs(height / width - h / w) <= 2 / min(height, width)  # a pixel or two may have been rounded away
                require(fits, f"{path}: {width} x {height} px, but its background is {w} x {h}: not the same view")
            else:
                require(height == width, f"{path}: {width} x {height} px; the depth map of a composite is a square")
            digest.update(f"{name} {_digest(path)}\n".encode())
    return digest.hexdigest()


def depth_map_paths(plan, background):
    """{name: path} of the depth maps that one background and its composites need."""
    wanted = [plan.backgrounds[background].stem] if plan.recipe.depth_of == "backgrounds" else composite_names(plan, background)
    maps = {name: depth_map(plan.recipe, name) for name in wanted}
    missing = [name for name, path in maps.items() if path is None]
    if missing:
        more = f" nor of {len(missing) - 1} more of {background}" if len(missing) > 1 else ""
        raise InputError(f"{plan.recipe.depth_dir}: no depth map of {missing[0]}{more} (.npy, .png or .jpeg, named so)")
    return maps


def depth_map(recipe, name):
    """The path of the map called `name`, with or without `_depth_map` behind it, in `depth_dir`; or None."""
    found = _listed(recipe.depth_dir)
    return found.get(f"{name}_depth_map", found.get(name))


@functools.cache
def _listed(directory):
    return sources.find(directory, "depth maps", sources.MAP_SUFFIXES)


def _digest(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def composite_names(plan, background):
    """The composites of a background, in their fixed order."""
    places = range(1, 2 * plan.recipe.places + 1)
    return [f"{background}_{figure}_{place:02}" for figure in plan.figures for place in places]
