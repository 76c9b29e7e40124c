"""Makes a data set by the recipe: `python -m modest.data.compose --bg DIR --fg DIR --out DIR`. docs/recipe.md explains it.

Out comes a directory in the MODEST layout (see `folder.py`) with its library, and two files more: `bbox.txt`, a line a composite
(name, x, y, width, height in px of the final picture, separated by tabs), and `recipe.json`, the settings and fingerprints that
the data follow from.

A composite is a pure function of the settings and of (seed, background, figure): neither the number of workers nor an interruption
changes a byte. The unit of work is one background with all its composites. Every file is written under a temporary name and
renamed; a finished unit leaves its lines of `bbox.txt` in `.done/`; `bbox.txt` and `file_map.txt` are written when all units are
finished, and `file_map.txt` last, so that a directory which has one is complete.
"""

import argparse
import dataclasses
import functools
import json
import os
import pathlib
import shutil
import sys

import numpy as np
import tqdm

from modest import files, pictures
from modest.data import channels, compose, depth_maps, folder, procedural, sources, workers
from modest.data.recipe import Recipe, check, composite_names, depth_map, depth_map_paths, prepare, require
from modest.vocabulary import InputError

DONE = ".done"
LOCK = ".lock"
SETTINGS = "recipe.json"
STREAMS = {"background": 0, "composite": 1}  # separate streams of random numbers


def make(recipe, worker_count=1):
    """Makes the data set, or what is left to make of it; gives the number of its composites.

    Raises:
      InputError: a setting or an input cannot be used (found before anything is written), `out` was begun with other settings or
        belongs to something else, another process is making it, or it cannot be written.
    """
    check(recipe, worker_count)
    plan = prepare(recipe)
    out = pathlib.Path(recipe.out)
    _refuse_foreign(out)
    with files.lock(out / LOCK, "composing into"):
        _begin(out, plan.settings)
        if not (out / folder.FILE_MAP).exists():
            _compose_units(plan, worker_count)
            _finish(plan)
        shutil.rmtree(out / DONE, ignore_errors=True)
    return 2 * recipe.places * len(plan.backgrounds) * len(plan.figures)


def _refuse_foreign(out):
    """Raises InputError where `out` holds what this command did not begin."""
    if out.is_dir() and not (out / SETTINGS).exists():
        for other in sorted(path for path in out.iterdir() if path.name != LOCK and path.suffix != files.TEMPORARY):
            raise InputError(f"{out}: holds {other.name} and no {SETTINGS}; --out must be empty, or begun by this command")


def _begin(out, settings):
    """Clears away what an interrupted run left half-written, and sees that `out` was begun with the same settings, if it was."""
    for directory in (out, out / DONE, *(out / name for name in (*folder.DIRECTORIES.values(), *folder.LIBRARY.values()))):
        files.remove_unfinished(directory)
    text = json.dumps(settings, indent=2) + "\n"
    path = out / SETTINGS
    if path.exists():
        try:
            begun = json.loads(path.read_text())
        except ValueError as error:
            raise InputError(f"{path}: cannot be read ({error})") from None
        changed = _first_difference(begun, json.loads(text))
        require(not changed, f"{path}: was begun with another {changed}; use the same settings, or another --out")
        return
    files.write(path, text.encode())


def _first_difference(old, new, name=""):
    """Where two trees of dicts differ first, in words; empty if nowhere."""
    if isinstance(old, dict) and isinstance(new, dict):
        differences = (_first_difference(old.get(key), new.get(key), f"{name}.{key}".strip(".")) for key in {**old, **new})
        return next(filter(None, differences), "")
    return "" if old == new else f"{name}: {_short(old)} then, {_short(new)} now"


def _short(value):
    text = "nothing" if value is None else json.dumps(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _compose_units(plan, worker_count):
    """Composes every background that is not done yet, and tells how far it is."""
    recipe, out = plan.recipe, pathlib.Path(plan.recipe.out)
    kinds = folder.DIRECTORIES | folder.LIBRARY
    missing = ("depth", "bg_depth") if recipe.depth == "none" else () if _background_depth(recipe) else ("bg_depth",)
    for name in (*(directory for kind, directory in kinds.items() if kind not in missing), DONE):
        (out / name).mkdir(exist_ok=True)
    for figure, source in plan.figures.items():
        files.write(out / folder.LIBRARY["fg"] / f"{figure}.png", procedural.encode_picture(_small_figure(recipe, source), 0))
    todo = [background for background in plan.backgrounds if not (out / DONE / background).exists()]
    each = 2 * recipe.places * len(plan.figures)
    done = len(plan.backgrounds) - len(todo)
    with tqdm.tqdm(total=each * len(plan.backgrounds), initial=each * done, unit=" composites", disable=None) as bar:
        for background in workers.each(functools.partial(compose_unit, plan), todo, worker_count):
            done += 1
            bar.update(each)
            if bar.disable:
                print(f"{background}: {each} composites, {done} of {len(plan.backgrounds)} backgrounds done", flush=True)


def compose_unit(plan, background):
    """Writes one background, all its composites, and last its lines of `bbox.txt` into `.done/`."""
    recipe, out = plan.recipe, pathlib.Path(plan.recipe.out)
    picture, room_depth, focal = _background(plan, background)
    rng = _generator(recipe, "background", background)
    _save(recipe, "bg", background, _final(compose.photograph(rng, picture, recipe.realism), recipe))
    if _background_depth(recipe):
        name = f"{background}_depth_map.png"
        files.write(out / folder.LIBRARY["bg_depth"] / name, procedural.encode_grey(compose.encode_depth(room_depth)))
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
    files.write(out / DONE / background, "".join(boxes).encode())


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
    if not _background_depth(recipe):
        return picture, None, None
    if recipe.depth == "folder":
        [path] = depth_map_paths(plan, background).values()
        return picture, _converted(recipe, sources.square(sources.depth_map(path))), None
    return picture, _converted(recipe, _estimate(recipe, picture)), None


def _background_depth(recipe):
    """Whether the depth of the empty room is known."""
    return recipe.depth == "scene" or recipe.depth != "none" and recipe.depth_of == "backgrounds"


def _small_figure(recipe, source):
    """uint8 [h, w, 4]: the cut-out at the scale of the final pictures."""
    rgba = procedural.person(recipe.museum, source).rgba if recipe.depth == "scene" else sources.cutout(source)
    return compose.scale_figure(rgba, max(1, round(recipe.figure_height * recipe.size / recipe.work_size)))


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
        return _converted(recipe, sources.depth_map(depth_map(recipe, name)))
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
    files.write(pathlib.Path(recipe.out) / folder.DIRECTORIES[kind] / (stem + _suffix(recipe, kind)), data)


def _finish(plan):
    """`bbox.txt` and `file_map.txt`, in the order of the ids."""
    out = pathlib.Path(plan.recipe.out)
    boxes = b"".join((out / DONE / background).read_bytes() for background in plan.backgrounds)
    depth = lambda name: folder.NO_DEPTH if plan.recipe.depth == "none" else f"{name}_depth_map"
    lines = [
        f"{background}\t{name}\t{name}_mask\t{depth(name)}\n"
        for background in plan.backgrounds
        for name in composite_names(plan, background)
    ]
    files.write(out / "bbox.txt", boxes)
    files.write(out / folder.FILE_MAP, "".join(lines).encode())


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
    worker_count, statistics = flags.pop("workers"), flags.pop("statistics")
    recipe = Recipe(**flags | {"png": tuple(flags["png"])})
    try:
        if not statistics or recipe.bg or recipe.fg or recipe.depth != "none":
            print(f"{recipe.out}: {make(recipe, worker_count)} composites")
        if statistics:
            require(recipe.out, "--out is missing: the directory to measure")
            measured = channels.measure(recipe.out)
            files.write(pathlib.Path(recipe.out) / "statistics.json", (json.dumps(measured, indent=2) + "\n").encode())
            print(channels.table(measured))
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped; the same command goes on", file=sys.stderr)
        return 130
    return 0
