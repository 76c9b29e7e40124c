"""Evaluate trained networks on sets of real pictures that they were not trained on.

    python -m benchmarks.real --workdir runs/depthnet [--workdir runs/pairnet] --set NAME=DIR
        [--set NAME=DIR ...] [--size 224] [--worst 8] [--mean] [--out runs/real]

A set is a data set in the MODEST layout, with or without depth, or a clip in the layout of CDnet
2014; see `benchmarks/jobs/real_sets.py`, and `real_scores.py` for the scores.

Printed, and written to `real.json`: for pictures, mean, median and worst mask IoU and the number of
pictures below 0.75, of all pixels and without a band of 2 px on each side of the true contour, and
delta < 1.25 of the depth after scale and shift; with 95 % intervals of the means, see
`modest/evaluation/bootstrap.py`; for a clip, precision, recall, F1, and the share of
the shadow that is taken as foreground. `worst_WORKDIR_NAME.png` shows the pictures with the lowest
IoU: background, picture, true and predicted mask. `--mean` adds the mean and the standard deviation
over all networks, which are those of one recipe with different seeds, for the sets of pictures.
"""

import argparse
import json
import pathlib
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

from benchmarks.jobs import real_scores, real_sets
from modest.commands import process
from modest.errors import InputError
from modest.evaluation import figures
from modest.run import files, runtime
from modest.run.logbook import say


def sheet(results: list[real_scores.Result], count: int) -> Figure:
    """Draw the pictures with the lowest IoU, one per row."""
    rows = list(real_scores.worst(results, count))
    figure = Figure(figsize=(8, 2.2 * len(rows)), layout="constrained")
    for axis, (title, picture) in zip(figure.subplots(len(rows), squeeze=False)[:, 0], rows):
        axis.set(xticks=[], yticks=[])
        axis.set_title(title, fontsize=8)
        axis.imshow(picture)
    return figure


def text_of(summary: Mapping[str, float | None]) -> str:
    """Return a summary as text, such as "precision 0.9, shadow_as_foreground -"."""
    return ", ".join(
        f"{name} {'-' if value is None else format(value, '.4g')}"
        for name, value in summary.items()
    )


def write(summaries: Sequence[Mapping[str, Any]], out: str) -> None:
    """Write `real.json`; what is not known is null."""
    text = json.dumps(summaries, indent=2, allow_nan=False) + "\n"
    files.write(pathlib.Path(out) / "real.json", text.encode())


def run(
    workdirs: list[str], sets: list[str], size: int | None, count: int, mean: bool, out: str
) -> None:
    """Evaluate every network on every set.

    Args:
      workdirs: of the networks.
      sets: texts NAME=DIR.
      size: px at which the networks run; None for the size of their training.
      count: pictures of a sheet.
      mean: whether to add the mean over the networks.
      out: directory of the results.

    Raises:
      InputError: a work directory or a set cannot be used; or a mean is asked for of networks that
        run at different sizes.
    """
    from modest.inference.predict import Predictor

    real_sets.check_names("--workdir", workdirs)
    directories = real_sets.directories(sets)
    predictors = {workdir: Predictor(workdir, size) for workdir in workdirs}
    if mean and len({predictor.size for predictor in predictors.values()}) > 1:
        raise InputError("--mean: the networks run at different sizes; give --size")
    files.make_directory(out, "--out")
    summaries = []
    scores = defaultdict(list)  # of each set, those of each network
    backgrounds = {}
    for workdir, predictor in predictors.items():
        for name, directory in directories.items():
            if real_sets.is_clip(directory):
                summary = real_scores.evaluate_clip(directory, predictor.sequence)
            else:
                results = real_scores.evaluate_pairs(directory, predictor)
                summary = real_scores.summarise(results)
                scores[name].append([result.scores for result in results])
                backgrounds[name] = [result.background for result in results]
                if count:
                    path = pathlib.Path(out) / f"worst_{pathlib.Path(workdir).name}_{name}.png"
                    say(str(figures.save(sheet(results, count), path)))
            summaries.append({"workdir": workdir, "size": predictor.size, "set": name} | summary)
            say(f"{workdir}, {name}, at {predictor.size} px: {text_of(summary)}")
            write(summaries, out)
    if mean:
        for name, networks in scores.items():
            summary = real_scores.mean_over_networks(networks, backgrounds[name])
            summaries.append({"set": name} | summary)
            say(f"mean, {name}: {text_of(summary)}")
        write(summaries, out)


def main(argv: list[str]) -> None:
    """Run the command; see the module."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.real", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--workdir", action="append", required=True, help="of a trained network")
    parser.add_argument("--set", action="append", required=True, metavar="NAME=DIR", dest="sets")
    parser.add_argument("--size", type=int, help="px at which the networks run")
    parser.add_argument("--worst", type=int, default=8, help="pictures of a sheet; 0: none")
    parser.add_argument("--mean", action="store_true", help="add the mean over all networks")
    parser.add_argument("--out", default="runs/real")
    arguments = parser.parse_args(argv)
    if arguments.mean and len(arguments.workdir) < 2:
        parser.error("--mean: give two or more --workdir")
    runtime.prepare()
    run(
        arguments.workdir,
        arguments.sets,
        arguments.size,
        arguments.worst,
        arguments.mean,
        arguments.out,
    )


if __name__ == "__main__":
    sys.exit(process.run(main, sys.argv[1:]))
