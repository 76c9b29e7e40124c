"""Small inputs for the recipe, and helpers that read what it wrote."""

import pathlib
import time

import numpy as np
from PIL import Image

from modest.data import modest_layout
from modest.data.recipe import build, settings

SMALL = {"work_size": 88, "figure_height": 40, "size": 28, "places": 2, "seed": 5}


def write_inputs(directory, backgrounds, figures):
    """Write backgrounds of different shapes and cut-outs; return their options."""
    rng = np.random.default_rng(0)
    (directory / "bg").mkdir()
    (directory / "fg").mkdir()
    for k in range(backgrounds):
        coarse = Image.fromarray(rng.integers(0, 256, (6, 6 + k % 3, 3), np.uint8))
        picture = coarse.resize((90 + 10 * (k % 3), 90), Image.Resampling.BICUBIC)
        picture.save(directory / "bg" / f"hall {k}.jpg")
    for k in range(figures):
        rgba = np.zeros((64, 40, 4), np.uint8)
        rgba[4:60, 8:24] = (220, 30 * k, 20, 255)  # empty margins all around
        rgba[10:20, 24:32] = (20, 200, 30, 255)  # an arm on the right
        Image.fromarray(rgba).save(directory / "fg" / f"{k}.png")
    return {"bg": str(directory / "bg"), "fg": str(directory / "fg")}


def make(options, workers=1, **changes):
    """Make the data set of some options."""
    return build.make(settings.Recipe(**options | changes), workers)


def arguments(options, *more):
    """Return the options as command-line arguments, with one worker."""
    words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    return [*words, "--workers", "1", *more]


def read_tree(directory):
    """Return `{relative path: bytes}` of every file, including hidden ones."""
    directory = pathlib.Path(directory)
    paths = [path for path in directory.rglob("*") if path.is_file()]
    return {str(path.relative_to(directory)): path.read_bytes() for path in paths}


def read_picture(directory, kind, stem):
    """Return a picture of a data set in the MODEST layout, as an array."""
    [path] = (pathlib.Path(directory) / modest_layout.DIRECTORIES[kind]).glob(f"{stem}.*")
    return np.asarray(Image.open(path))


def read_file_map(options):
    """Return the rows of `file_map.txt`: background, composite, mask, depth."""
    text = (pathlib.Path(options["out"]) / "file_map.txt").read_text()
    return [line.split("\t") for line in text.splitlines()]


def wait_until(condition, seconds=300):
    """Wait for a condition; fail after some seconds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "timed out"
        time.sleep(0.005)
