"""Make a data set by the recipe: `python -m modest compose --bg DIR --fg DIR --out DIR`.

The result is a directory in the MODEST layout (see `modest_layout.py`) with its optional
directories, and two more files: `bbox.txt`, a line per composite (name, x, y, width, height in px
of the final picture, separated by tabs), and `recipe.json`, which holds the settings and the hashes
of the inputs; together they determine the data set. docs/recipe.md explains the recipe.

A composite is a pure function of the settings and of (seed, background, figure). Neither the number
of workers nor an interruption changes a byte. The unit of work is one background with all its
composites. Every file is written under a temporary name and renamed. A finished unit leaves its
lines of `bbox.txt` in `.done/`. `bbox.txt` and `file_map.txt` are written when all units are
finished, `file_map.txt` last, so that a directory which contains it is complete.
"""

import functools
import json
import pathlib
import shutil
from typing import Any

import tqdm

from modest.data import images, modest_layout, workers
from modest.data.recipe.composites import (
    DONE,
    compose_background,
    has_background_depth,
    small_figure,
)
from modest.data.recipe.plan import Plan, composite_names, prepare
from modest.data.recipe.settings import Recipe, check, require
from modest.errors import InputError
from modest.run import files

LOCK = ".lock"
SETTINGS = "recipe.json"


def make(recipe: Recipe, worker_count: int = 1) -> int:
    """Make the data set, or resume making it.

    Args:
      recipe: what to make.
      worker_count: number of processes.

    Returns:
      The number of composites of the data set.

    Raises:
      InputError: a setting or an input cannot be used (nothing has been written then); `out` was
        begun with other settings or contains something else; another process is composing into it;
        or it cannot be written.
    """
    check(recipe, worker_count)
    plan = prepare(recipe)
    out = pathlib.Path(recipe.out)
    _check_ours(out)
    with files.lock(out / LOCK, "composing into"):
        _begin(out, plan.settings)
        if not (out / modest_layout.FILE_MAP).exists():
            _make_directories(plan)
            _write_figures(plan)
            _compose_backgrounds(plan, worker_count)
            _finish(plan)
        shutil.rmtree(out / DONE, ignore_errors=True)
    return 2 * recipe.places * len(plan.backgrounds) * len(plan.figures)


def _check_ours(out):
    """Raise `InputError` if `out` contains files that this command did not write."""
    if not out.is_dir() or (out / SETTINGS).exists():
        return
    for path in sorted(out.iterdir()):
        if path.name != LOCK and not files.is_temporary(path):
            raise InputError(
                f"{out}: contains {path.name} but no {SETTINGS}; --out must be empty, or begun by "
                "this command"
            )


def _begin(out, settings):
    """Remove unfinished files, and write the settings or check that they are the same."""
    names = (*modest_layout.DIRECTORIES.values(), *modest_layout.OPTIONAL_DIRECTORIES.values())
    for directory in (out, out / DONE, *(out / name for name in names)):
        files.remove_unfinished(directory)
    path = out / SETTINGS
    if not path.exists():
        files.write_json(path, settings)
        return
    try:
        saved = json.loads(path.read_text())
    except ValueError as error:
        raise InputError(f"{path}: cannot be read ({error})") from None
    difference = _first_difference(saved, json.loads(json.dumps(settings)))
    require(
        not difference,
        f"{path}: has a different {difference}; use the same settings, or another --out",
    )


def _first_difference(old: Any, new: Any, name: str = "") -> str:
    """Describe the first difference of two trees of dicts; return "" if they are equal."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in {**old, **new}:
            difference = _first_difference(old.get(key), new.get(key), f"{name}.{key}".strip("."))
            if difference:
                return difference
        return ""
    return "" if old == new else f"{name}: {_short(old)} before, {_short(new)} now"


def _short(value):
    text = "nothing" if value is None else json.dumps(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _make_directories(plan: Plan) -> None:
    recipe, out = plan.recipe, pathlib.Path(plan.recipe.out)
    unused: tuple[str, ...] = ()
    if recipe.depth == "none":
        unused = ("depth", "bg_depth")
    elif not has_background_depth(recipe):
        unused = ("bg_depth",)
    kinds = modest_layout.DIRECTORIES | modest_layout.OPTIONAL_DIRECTORIES
    for kind, directory in kinds.items():
        if kind not in unused:
            (out / directory).mkdir(exist_ok=True)
    (out / DONE).mkdir(exist_ok=True)


def _write_figures(plan):
    directory = pathlib.Path(plan.recipe.out) / modest_layout.OPTIONAL_DIRECTORIES["fg"]
    for figure, source in plan.figures.items():
        rgba = small_figure(plan.recipe, source)
        files.write(directory / f"{figure}.png", images.encode_picture(rgba, 0))


def _compose_backgrounds(plan: Plan, worker_count: int) -> None:
    """Compose every background that is not finished, and report progress."""
    finished = pathlib.Path(plan.recipe.out) / DONE
    todo = [name for name in plan.backgrounds if not (finished / name).exists()]
    each = 2 * plan.recipe.places * len(plan.figures)
    total, done = len(plan.backgrounds), len(plan.backgrounds) - len(todo)
    compose = functools.partial(compose_background, plan)
    with tqdm.tqdm(
        total=each * total, initial=each * done, unit=" composites", disable=None
    ) as bar:
        for name in workers.each(compose, todo, worker_count):
            done += 1
            bar.update(each)
            if bar.disable:
                print(f"{name}: {each} composites, {done} of {total} backgrounds done", flush=True)


def _finish(plan):
    """Write `bbox.txt` and then `file_map.txt`, in the order of the ids."""
    out = pathlib.Path(plan.recipe.out)
    boxes = b"".join((out / DONE / background).read_bytes() for background in plan.backgrounds)
    has_depth = plan.recipe.depth != "none"
    lines = []
    for background in plan.backgrounds:
        for name in composite_names(plan, background):
            depth = f"{name}_depth_map" if has_depth else modest_layout.NO_DEPTH
            lines.append(f"{background}\t{name}\t{name}_mask\t{depth}\n")
    files.write(out / "bbox.txt", boxes)
    files.write(out / modest_layout.FILE_MAP, "".join(lines).encode())
