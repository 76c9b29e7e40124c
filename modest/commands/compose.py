"""`python -m modest compose`: make a data set from backgrounds and cut-outs, by the recipe.

It pastes every cut-out at random places on every background. With --statistics, and without --bg,
--fg and --depth scene, it only measures the data set in --out. docs/recipe.md explains the recipe.
"""

import argparse
import dataclasses
import os
import pathlib

from modest.commands import process
from modest.data.recipe.settings import Recipe, require


def main(argv: list[str]) -> None:
    """Make the data set, or measure it, and print what was made.

    Raises:
      InputError: a setting or an input cannot be used.
    """
    options = vars(_parser().parse_args(argv))
    process.set_max_pixels(options.pop("max_pixels"))
    workers, statistics = options.pop("workers"), options.pop("statistics")
    recipe = Recipe(**options | {"png": tuple(options["png"])})
    if not statistics or recipe.bg or recipe.fg or recipe.depth != "none":
        _make(recipe, workers)
    if statistics:
        _measure(recipe.out)


def _make(recipe, workers):
    from modest.data import picture_files
    from modest.data.recipe import build, inputs
    from modest.run import signals

    signals.advise("stopped; run the same command again to resume")
    count = build.make(recipe, workers)
    signals.advise("")
    print(f"{recipe.out}: {count} composites")
    read = {recipe.bg: inputs.SUFFIXES, recipe.fg: inputs.SUFFIXES}
    for directory, suffixes in (read | {recipe.depth_dir: inputs.MAP_SUFFIXES}).items():
        if directory and (left_out := picture_files.passed_over(directory, suffixes)):
            print(left_out)


def _measure(directory):
    from modest.data import modest_layout, picture_files, pixel_statistics
    from modest.run import files

    require(directory, "--out is missing: the directory to measure")
    measured = pixel_statistics.measure(directory)
    files.write_json(pathlib.Path(directory) / "statistics.json", measured)
    print(pixel_statistics.table(measured))
    for name in modest_layout.DIRECTORIES.values():
        path = pathlib.Path(directory) / name
        if left_out := picture_files.passed_over(path, picture_files.suffixes()):
            print(left_out)


def _parser():
    parser = argparse.ArgumentParser(
        prog="python -m modest compose",
        description=__doc__.partition("\n\n")[2],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        allow_abbrev=False,
    )
    for field in dataclasses.fields(Recipe):
        kind = {"nargs": "*", "metavar": "KIND"} if field.type is tuple else {"type": field.type}
        parser.add_argument(
            f"--{field.name}", default=field.default, help=field.metadata["help"], **kind
        )
    help_ = "number of processes; the result does not depend on it"
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help=help_)
    process.add_max_pixels(parser)
    help_ = "measure means and standard deviations, and write statistics.json"
    parser.add_argument("--statistics", action="store_true", help=help_)
    return parser
