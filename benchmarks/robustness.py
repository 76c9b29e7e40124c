"""Mask IoU when the two pictures of a pair differ by more than the figure.

    python -m benchmarks.robustness --workdir runs/depthnet [--workdir runs/pairnet ...]
        [--set NAME=DIR ...] [--count 96] [--size 224] [--out runs/robustness]

For every kind of change and every amount: the mean mask IoU of each network on the embedded `test`
split, and on data sets in the MODEST layout. The background is shifted or turned, or is another
one; the other picture gets another exposure or white balance, or a hard shadow of the figure; both
get noise, JPEG compression or blur. See `benchmarks/jobs/disturbances.py`. Nothing is aligned
before the prediction (`benchmarks/alignment.py` measures that).

Prints a table per set; writes `robustness.json`, and `robustness.png` with a panel per kind of
change and a line per network, for the embedded split.
"""

import argparse
import pathlib
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from benchmarks.jobs import disturbances, real_scores, real_sets
from modest.commands import process
from modest.constants import MASK_THRESHOLD
from modest.evaluation import figures
from modest.run import files, runtime
from modest.run.logbook import say

EMBEDDED = "test"
WRONG = "wrong background"
UNIT = 224  # px of the picture to which lengths refer
LENGTHS = ("shift", "blur")
OTHER = 10  # grey levels: backgrounds with a larger mean difference are two
# The first amount of each changes nothing.
AMOUNTS: dict[str, list[float]] = {
    "shift": [0, 0.5, 1, 2, 4, 8],
    "turn": [0, 0.25, 0.5, 1, 2],
    "exposure": [1, 0.9, 0.8, 0.6, 1.1, 1.25, 1.5],
    "white balance": [1, 0.9, 0.8, 1.1, 1.25],
    "shadow": [0, 0.2, 0.4, 0.6, 0.8],
    "noise": [0, 4, 8, 16, 32],
    "jpeg": [100, 75, 50, 25, 10],
    "blur": [0, 0.5, 1, 2, 3],
    WRONG: [0, 1],
}
UNITS = {
    "shift": "px of 224",
    "turn": "degrees",
    "exposure": "factor",
    "white balance": "factor of red",
    "shadow": "darkening",
    "noise": "grey levels",
    "jpeg": "quality",
    "blur": "sigma, px of 224",
    WRONG: "",
}


def evaluate(
    predict: real_scores.Predict, pairs: Sequence[real_sets.Pair], kind: str, amount: float
) -> dict[str, float]:
    """Return mean and worst mask IoU over pairs that are changed alike.

    For `WRONG`, there must be `other_backgrounds`.
    """
    scores = []
    others = other_backgrounds(pairs) if kind == WRONG else None
    for number, pair in enumerate(pairs):
        other = others[number] if others else None
        scale = pair.bg.shape[1] / UNIT if kind in LENGTHS else 1
        changed = disturbances.change(pair, kind, scale * amount, other, seed=number)
        output = predict(changed.bg, changed.bg_fg)["mask"] >= MASK_THRESHOLD
        scores.append(real_scores.iou(output, pair.truth, changed.covered))
    return {"iou": float(np.mean(scores)), "worst": float(min(scores))}


def other_backgrounds(pairs: Sequence[real_sets.Pair]) -> list[np.ndarray] | None:
    """Return for each pair the background of the next pair that has another one of the same size.

    None if there is none for one of the pairs.
    """
    found = []
    for number, pair in enumerate(pairs):
        following = [*pairs[number + 1 :], *pairs[:number]]
        other = next((x.bg for x in following if _is_another(x.bg, pair.bg)), None)
        if other is None:
            return None
        found.append(other)
    return found


def _is_another(bg, own):
    return bg.shape == own.shape and np.abs(bg.astype(int) - own).mean() > OTHER


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Return the mean IoU of every change of one set, a column per network."""
    workdirs = list(dict.fromkeys(row["workdir"] for row in rows))
    lines = [
        f"| change | | {' | '.join(workdirs)} |",
        f"|---|---|{'---|' * len(workdirs)}",
    ]
    for kind, amounts in AMOUNTS.items():
        for amount in amounts:
            cells = [
                f"{row['iou']:.3f}"
                for workdir in workdirs
                for row in rows
                if (row["workdir"], row["change"], row["amount"]) == (workdir, kind, amount)
            ]
            if not cells:
                continue
            unit = f"{kind}, {UNITS[kind]}" if UNITS[kind] else kind
            lines.append(f"| {unit} | {amount:g} | {' | '.join(cells)} |")
    return "\n".join(lines)


def draw(rows: Sequence[dict[str, Any]]) -> Figure:
    """Draw a panel for each kind of change: mean IoU by amount, a line per network."""
    columns = 3
    figure = Figure(figsize=(9.5, 7.5), layout="constrained")
    axes = figure.subplots(-(-len(AMOUNTS) // columns), columns, sharey=True).ravel()
    for axis, kind in zip(axes, AMOUNTS):
        of_kind = [row for row in rows if row["change"] == kind]
        workdirs = list(dict.fromkeys(row["workdir"] for row in of_kind))
        for place, workdir in enumerate(workdirs):
            points = sorted((r["amount"], r["iou"]) for r in of_kind if r["workdir"] == workdir)
            x, y = zip(*points)
            if kind == WRONG:
                axis.bar(place, y[-1])
            else:
                axis.plot(x, y, "o-", markersize=3, label=pathlib.Path(workdir).name)
        if kind == WRONG:
            axis.set(xticks=[])
        if kind == "jpeg":
            axis.invert_xaxis()
        axis.set(xlabel=f"{kind}, {UNITS[kind]}" if UNITS[kind] else kind, ylim=(0, 1))
        axis.grid(alpha=0.3)
    for axis in axes[::columns]:
        axis.set_ylabel("mask IoU")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=3, fontsize=8)
    return figure


def run(workdirs: list[str], sets: list[str], size: int | None, count: int, out: str) -> None:
    """Evaluate every network on `count` pairs of every set, with every change.

    A set in which a pair has no other background is not evaluated with a wrong one.

    Raises:
      InputError: a work directory, a set or an option cannot be used.
    """
    from modest.data.batches import loader
    from modest.inference.predict import Predictor

    real_sets.check_count(count)
    real_sets.check_names("--workdir", workdirs)
    directories = real_sets.directories(sets, reserved=(EMBEDDED,))
    predictors = {workdir: Predictor(workdir, size) for workdir in workdirs}
    files.make_directory(out, "--out")
    sources = {EMBEDDED: list(real_sets.embedded())}
    for name, directory in directories.items():
        sources[name] = list(real_sets.pairs(directory))
    rows: list[dict[str, Any]] = []
    for name, every in sources.items():
        pairs = [every[index] for index in loader.spread(count, len(every))]
        kinds = list(AMOUNTS)
        if other_backgrounds(pairs) is None:
            kinds.remove(WRONG)
            say(f"{name}: too few backgrounds of one size to take a wrong one")
        for workdir, predictor in predictors.items():
            for kind in kinds:
                for amount in AMOUNTS[kind]:
                    row = {"set": name, "workdir": workdir, "size": predictor.size}
                    row |= {"pairs": len(pairs), "change": kind, "amount": amount}
                    row |= evaluate(predictor, pairs, kind, amount)
                    rows.append(row)
                    say(f"{name}, {workdir}: {kind} {amount:g}: IoU {row['iou']:.3f}")
            files.write_json(pathlib.Path(out) / "robustness.json", rows)
        say(table([row for row in rows if row["set"] == name]))
    drawn = draw([row for row in rows if row["set"] == EMBEDDED])
    say(str(figures.save(drawn, pathlib.Path(out) / "robustness.png")))


def main(argv: list[str]) -> None:
    """Run the command; see the module."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.robustness", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--workdir", action="append", required=True, help="of a trained network")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=DIR", dest="sets")
    parser.add_argument("--size", type=int, help="px at which the networks run")
    parser.add_argument("--count", type=int, default=96, help="pairs of each set")
    parser.add_argument("--out", default="runs/robustness")
    arguments = parser.parse_args(argv)
    runtime.prepare()
    run(arguments.workdir, arguments.sets, arguments.size, arguments.count, arguments.out)


if __name__ == "__main__":
    sys.exit(process.run(main, sys.argv[1:]))
