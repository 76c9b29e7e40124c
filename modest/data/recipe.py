"""The recipe of the data set as a tool: `python -m modest.data.compose --bg DIR --fg DIR --out DIR`. docs/recipe.md explains it.

Out comes a directory in the MODEST layout (see `folder.py`), with two files more: `bbox.txt`, a line a composite (name, x, y,
width, height in px of the final picture, separated by tabs), and `recipe.json`, the settings and fingerprints that the data follow
from.

A composite is a pure function of the settings and of (seed, background, figure): neither the number of workers nor an interruption
changes a byte. The unit of work is one background with all its composites. Every file is written under a temporary name and
renamed; a finished unit leaves its lines of `bbox.txt` in `.done/`; `bbox.txt` and `file_map.txt` are written when all units are
finished, and `file_map.txt` last, so that a directory which has one is complete.
"""

import argparse
import contextlib
import dataclasses
import fcntl
import functools
import hashlib
import json
import math
import multiprocessing
import multiprocessing.connection
import os
import pathlib
import shutil
import signal
import sys
import threading
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from typing import NamedTuple

import numpy as np
import PIL
import tqdm
from PIL import features

from modest import pictures
from modest.data import channels, compose, depth_maps, folder, procedural, sources
from modest.vocabulary import InputError

DEPTHS = ("none", "folder", "scene", "transformers")
DONE = ".done"
STREAMS = {"background": 0, "composite": 1}  # separate streams of random numbers


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


def make(recipe, workers=1):
    """Makes the data set, or what is left to make of it; gives the number of its composites.

    Raises:
      InputError: a setting or an input cannot be used (found before anything is written), `out` was begun with other settings or
        belongs to something else, another process is making it, or it cannot be written.
    """
    check(recipe, workers)
    plan = prepare(recipe)
    out = pathlib.Path(recipe.out)
    with _locked(out):
        _begin(out, plan.settings)
        if not (out / folder.FILE_MAP).exists():
            _compose_units(plan, workers)
            _finish(plan)
        shutil.rmtree(out / DONE, ignore_errors=True)
    return 2 * recipe.places * len(plan.backgrounds) * len(plan.figures)


def check(recipe, workers=1):
    """Raises InputError if a setting cannot be used, without a look at the inputs."""
    at_least = {"seed": 0, "size": 1, "places": 1, "figure_height": 1, "rooms": 1, "people": 1, "noise": 0}
    for name, least in at_least.items():
        _require(least <= getattr(recipe, name) < math.inf, f"--{name} must be at least {least}, not {getattr(recipe, name)}")
    for name in ("exposure", "shadow"):
        _require(0 <= getattr(recipe, name) <= 1, f"--{name} must be from 0 to 1, not {getattr(recipe, name)}")
    _require(workers >= 1, f"--workers must be at least 1, not {workers}")
    _require(1 <= recipe.jpeg_quality <= 100, f"--jpeg_quality must be from 1 to 100, not {recipe.jpeg_quality}")
    limit = math.isqrt(pictures.MAX_PIXELS)
    _require(recipe.size <= recipe.work_size <= limit, f"--work_size must be from --size ({recipe.size}) to {limit}")
    _require(recipe.figure_height <= recipe.work_size, f"--figure_height must be at most --work_size, {recipe.work_size}")
    for kind in recipe.png:
        _require(kind in folder.DIRECTORIES, f"--png: no kind {kind!r}; the kinds are {', '.join(folder.DIRECTORIES)}")
    _require(recipe.out, "--out is missing: the directory to write")
    _require(recipe.depth in DEPTHS, f"--depth: no source {recipe.depth!r}; there are {', '.join(DEPTHS)}")
    if recipe.depth == "scene":
        _require(not (recipe.bg or recipe.fg), "--depth scene draws its own rooms and people: leave --bg and --fg away")
    else:
        _require(recipe.bg and recipe.fg, "--bg and --fg are missing: directories of backgrounds and of cut-outs")
    if recipe.depth in ("folder", "transformers"):
        needed = {"folder": "depth_dir", "transformers": "depth_model"}[recipe.depth]
        _require(getattr(recipe, needed), f"--depth {recipe.depth} needs --{needed}")
        units = ", ".join(depth_maps.UNITS)
        _require(recipe.depth_unit in depth_maps.UNITS, f"--depth_unit: no unit {recipe.depth_unit!r}; there are {units}")
        ofs = ("composites", "backgrounds")
        _require(recipe.depth_of in ofs, f"--depth_of: {recipe.depth_of!r} is neither {' nor '.join(ofs)}")
        finite = math.isfinite(recipe.depth_scale) and math.isfinite(recipe.depth_shift)
        _require(finite and recipe.depth_scale, "--depth_scale and --depth_shift must be finite, and the scale not 0")


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


def _require(condition, message):
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
    _require(
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
        for name, path in _maps(plan, background).items():
            height, width = sources.depth_map(path).shape
            if plan.recipe.depth_of == "backgrounds" and height != width:
                h, w = sources.upright_shape(plan.backgrounds[background])
                fits = abs(height / width - h / w) <= 2 / min(height, width)  # a pixel or two may have been rounded away
                _require(fits, f"{path}: {width} x {height} px, but its background is {w} x {h}: not the same view")
            else:
                _require(height == width, f"{path}: {width} x {height} px; the depth map of a composite is a square")
            digest.update(f"{name} {_digest(path)}\n".encode())
    return digest.hexdigest()


def _maps(plan, background):
    """{name: path} of the depth maps that one background and its composites need."""
    found = _listed(plan.recipe.depth_dir)
    names = [plan.backgrounds[background].stem] if plan.recipe.depth_of == "backgrounds" else _names(plan, background)
    maps = {name: found.get(f"{name}_depth_map", found.get(name)) for name in names}
    missing = [name for name, path in maps.items() if path is None]
    if missing:
        more = f" nor of {len(missing) - 1} more of {background}" if len(missing) > 1 else ""
        raise InputError(f"{plan.recipe.depth_dir}: no depth map of {missing[0]}{more} (.npy, .png or .jpeg, named so)")
    return maps


@functools.cache
def _listed(directory):
    return sources.find(directory, "depth maps", sources.MAP_SUFFIXES)


def _digest(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _names(plan, background):
    """The composites of a background, in their fixed order."""
    places = range(1, 2 * plan.recipe.places + 1)
    return [f"{background}_{figure}_{place:02}" for figure in plan.figures for place in places]


@contextlib.contextmanager
def _locked(out):
    """The directory, made if need be, is this process's alone. The lock is on the directory itself and ends with the process."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(out, os.O_RDONLY)
    except OSError as error:
        raise InputError(f"{out}: cannot be made or opened ({error.strerror})") from None
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise InputError(f"{out}: another process is composing into it; wait for it, or choose another --out") from None
        yield
    finally:
        os.close(descriptor)


def _begin(out, settings):
    """Clears away what an interrupted run left half-written, and sees that `out` is empty or was begun with the same settings."""
    for directory in (out, out / DONE, *(out / name for name in folder.DIRECTORIES.values())):
        for leftover in directory.glob(".*.tmp"):
            leftover.unlink()
    text = json.dumps(settings, indent=2) + "\n"
    path = out / "recipe.json"
    if path.exists():
        try:
            begun = json.loads(path.read_text())
        except ValueError as error:
            raise InputError(f"{path}: cannot be read ({error})") from None
        changed = _first_difference(begun, json.loads(text))
        _require(not changed, f"{path}: was begun with another {changed}; use the same settings, or another --out")
        return
    for other in sorted(out.iterdir()):
        raise InputError(f"{out}: holds {other.name} and no recipe.json; --out must be empty, or begun by this command")
    _write(path, text.encode())


def _first_difference(old, new, name=""):
    """Where two trees of dicts differ first, in words; empty if nowhere."""
    if isinstance(old, dict) and isinstance(new, dict):
        differences = (_first_difference(old.get(key), new.get(key), f"{name}.{key}".strip(".")) for key in {**old, **new})
        return next(filter(None, differences), "")
    return "" if old == new else f"{name}: {_short(old)} then, {_short(new)} now"


def _short(value):
    text = "nothing" if value is None else json.dumps(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _compose_units(plan, workers):
    """Composes every background that is not done yet, and tells how far it is."""
    recipe, out = plan.recipe, pathlib.Path(plan.recipe.out)
    directories = [name for kind, name in folder.DIRECTORIES.items() if kind != "depth" or recipe.depth != "none"]
    for name in (*directories, DONE):
        (out / name).mkdir(exist_ok=True)
    todo = [background for background in plan.backgrounds if not (out / DONE / background).exists()]
    each = 2 * recipe.places * len(plan.figures)
    done = len(plan.backgrounds) - len(todo)
    with tqdm.tqdm(total=each * len(plan.backgrounds), initial=each * done, unit=" composites", disable=None) as bar:
        for background in _each(functools.partial(compose_unit, plan), todo, workers):
            done += 1
            bar.update(each)
            if bar.disable:
                print(f"{background}: {each} composites, {done} of {len(plan.backgrounds)} backgrounds done", flush=True)


def _each(function, items, workers):
    """Calls the function with each item, in processes if there are several workers; yields an item when it is done.

    The workers live as long as this process holds the other end of a pipe, so that none outlives it, however it ends.
    """
    if workers == 1:
        for item in items:
            function(item)
            yield item
        return
    context = multiprocessing.get_context("spawn")
    reader, writer = context.Pipe(duplex=False)
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_end_with, initargs=(reader,))
    try:
        futures = {pool.submit(function, item): item for item in items}
        for future in as_completed(futures):
            future.result()
            yield futures[future]
    except BrokenProcessPool:
        raise InputError("a worker was ended from outside, perhaps for want of memory; go on with fewer --workers") from None
    except BaseException:
        writer.close()  # the workers stop where they are
        raise
    finally:
        pool.shutdown(cancel_futures=True)
        writer.close()
        reader.close()


def _end_with(reader):
    """In a worker: leave at once when the other end of the pipe is closed. Ctrl-C is the main process's to act on."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def wait():
        multiprocessing.connection.wait([reader])
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def compose_unit(plan, background):
    """Writes one background, all its composites, and last its lines of `bbox.txt` into `.done/`."""
    recipe, out = plan.recipe, pathlib.Path(plan.recipe.out)
    picture, room_depth, focal = _background(plan, background)
    rng = _generator(recipe, "background", background)
    _save(recipe, "bg", background, _final(compose.photograph(rng, picture, recipe.realism), recipe))
    boxes = []
    for figure, source in plan.figures.items():
        rgba, height_m = _figure(recipe, source)
        metres = compose.figure_depth(focal, height_m, rgba.shape[0]) if height_m else None
        rng = _generator(recipe, "composite", background, figure)
        for place in range(2 * recipe.places):
            name = f"{background}_{figure}_{place + 1:02}"
            shown = rgba if place < recipe.places else rgba[:, ::-1]
            xy = compose.place(rng, picture.shape[:2], shown.shape[:2])
            made = compose.compose(rng, picture, shown, xy, realism=recipe.realism)
            mask = _final(made.mask[..., None], recipe)[..., 0]
            _save(recipe, "bg_fg", name, _final(made.bg_fg, recipe))
            _save(recipe, "mask", f"{name}_mask", mask)
            if recipe.depth != "none":
                depth = _composite_depth(plan, name, made.bg_fg, mask, room_depth, metres)
                _save(recipe, "depth", f"{name}_depth_map", compose.encode_depth(depth))
            boxes.append("\t".join(map(str, (name + _suffix(recipe, "bg_fg"), *compose.box(mask)))) + "\n")
    _write(out / DONE / background, "".join(boxes).encode())


def _generator(recipe, stream, *names):
    """Random numbers that follow from the seed and the ids alone."""
    numbers = (int(name.lstrip("bfg")) for name in names)
    return np.random.default_rng(np.random.SeedSequence((recipe.seed, STREAMS[stream], *numbers)))


def _background(plan, background):
    """uint8 [work_size, work_size, 3]; the empty room's metres [size, size], where known; a drawn room's focal length in px."""
    recipe, source = plan.recipe, plan.backgrounds[background]
    if recipe.depth == "scene":
        room = procedural.room(recipe.museum, source)
        return room.picture, depth_maps.resize(room.depth, recipe.size, exact=True), room.focal
    picture = sources.background(source, recipe.work_size)
    if recipe.depth == "none" or recipe.depth_of == "composites":
        return picture, None, None
    if recipe.depth == "folder":
        [path] = _maps(plan, background).values()
        return picture, _converted(recipe, sources.square(sources.depth_map(path))), None
    return picture, _converted(recipe, _estimate(recipe, picture)), None


@functools.cache
def _figure(recipe, source):
    """uint8 [figure_height, w, 4], and the metres that its height stands for, where known."""
    if recipe.depth == "scene":
        person = procedural.person(recipe.museum, source)
        return person.rgba, person.height_m
    return compose.scale_figure(sources.cutout(source), recipe.figure_height), None


def _composite_depth(plan, name, picture, mask, room_depth, metres):
    """float32 [size, size] metres of a composite."""
    recipe = plan.recipe
    if room_depth is None and recipe.depth == "folder":
        found = _listed(recipe.depth_dir)
        return _converted(recipe, sources.depth_map(found.get(f"{name}_depth_map", found.get(name))))
    if room_depth is None:
        return _converted(recipe, _estimate(recipe, picture))
    if metres is None:
        metres = depth_maps.distance_at_feet(room_depth, mask)
    return np.where(mask > compose.FOREGROUND, np.float32(metres), room_depth)


def _converted(recipe, values):
    """Values of a map -> metres [size, size]."""
    metres = depth_maps.to_metres(values, recipe.depth_unit, recipe.depth_scale, recipe.depth_shift)
    return depth_maps.resize(metres, recipe.size)


def _estimate(recipe, picture):
    return depth_maps.estimator(recipe.depth_model, recipe.depth_device)[0](picture)


def _final(picture, recipe):
    return pictures.resize(picture, (recipe.size, recipe.size))


def _suffix(recipe, kind):
    return ".png" if kind in recipe.png else ".jpeg"


def _save(recipe, kind, stem, picture):
    """Writes one picture, uint8 [H, W] or [H, W, 3], of a kind."""
    if kind not in recipe.png:
        data = procedural.encode_picture(picture, recipe.jpeg_quality)
    else:
        data = procedural.encode_grey(picture) if picture.ndim == 2 else procedural.encode_picture(picture, 0)
    _write(pathlib.Path(recipe.out) / folder.DIRECTORIES[kind] / (stem + _suffix(recipe, kind)), data)


def _write(path, data):
    """The file is there as a whole or not at all."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(data)
        os.replace(temporary, path)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror})") from None


def _finish(plan):
    """`bbox.txt` and `file_map.txt`, in the order of the ids."""
    out = pathlib.Path(plan.recipe.out)
    boxes = b"".join((out / DONE / background).read_bytes() for background in plan.backgrounds)
    depth = lambda name: folder.NO_DEPTH if plan.recipe.depth == "none" else f"{name}_depth_map"
    lines = [
        f"{background}\t{name}\t{name}_mask\t{depth(name)}\n"
        for background in plan.backgrounds
        for name in _names(plan, background)
    ]
    _write(out / "bbox.txt", boxes)
    _write(out / folder.FILE_MAP, "".join(lines).encode())


def main(argv=None):
    """The command; see the module."""
    parser = argparse.ArgumentParser(
        prog="python -m modest.data.compose",
        description="Puts every cut-out at random places on every background. Without --bg, --fg and --depth scene, "
        "--statistics measures the directory --out as it is.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    for field in dataclasses.fields(Recipe):
        kind = {"nargs": "*", "metavar": "KIND"} if field.type is tuple else {"type": field.type}
        parser.add_argument(f"--{field.name}", default=field.default, help=field.metadata["help"], **kind)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes; the result is the same for any number")
    parser.add_argument("--statistics", action="store_true", help="measure means and deviations, and write statistics.json")
    flags = vars(parser.parse_args(argv))
    workers, statistics = flags.pop("workers"), flags.pop("statistics")
    recipe = Recipe(**flags | {"png": tuple(flags["png"])})
    try:
        if not statistics or recipe.bg or recipe.fg or recipe.depth != "none":
            print(f"{recipe.out}: {make(recipe, workers)} composites")
        if statistics:
            _require(recipe.out, "--out is missing: the directory to measure")
            measured = channels.measure(recipe.out)
            _write(pathlib.Path(recipe.out) / "statistics.json", (json.dumps(measured, indent=2) + "\n").encode())
            print(channels.table(measured))
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped; the same command goes on", file=sys.stderr)
        return 130
    return 0
