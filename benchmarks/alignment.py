"""Mask IoU when the background has moved or the light has changed, with and without alignment.

    python -m benchmarks.alignment --workdir runs/pairnet [--set NAME=DIR ...] [--count 60]

The background of each pair of the embedded `test` split, and of data sets in the MODEST layout, is
shifted, turned, enlarged, or made brighter, redder or richer in contrast. Shifts are in px of a
picture of 640 px. The pixels that the changed background does not cover count neither as foreground
nor as background. Prints a table and the time of aligning, and writes `alignment.json` and
`alignment.png`, the curves of the embedded split. The time is the CPU time of a pair that fits and
of one that does not.
"""

import argparse
import pathlib
import sys
import time
from collections.abc import Iterable
from typing import Any

import cv2
import numpy as np
from matplotlib.figure import Figure

from benchmarks.jobs import disturbances, real_scores, real_sets
from modest.commands import process
from modest.constants import MASK_THRESHOLD
from modest.data import images
from modest.evaluation import figures
from modest.inference import alignment
from modest.run import files, runtime
from modest.run.logbook import say

UNIT = 640  # px of the picture to which shifts refer
TIMES = 15  # repetitions of a measurement of time
COMBINED = "shift by 10, turn by 1 and exposure"
CHANGES: dict[str, list[float]] = {
    "shift, px of 640": [0, 2, 5, 10, 20, 40],
    "turn, degrees": [0, 0.5, 1, 2, 3],
    "zoom": [1, 1.01, 1.02, 1.05],
    "exposure": [0.7, 0.85, 1, 1.15, 1.3],
    "white balance": [0.8, 0.9, 1, 1.1, 1.2],
    "contrast": [0.7, 0.85, 1, 1.2],
    COMBINED: [1.15],
}
MODES = ("off", "auto")


def disturb(pair: real_sets.Pair, kind: str, amount: float) -> disturbances.Changed:
    """Return a pair with a changed background."""
    combined = kind == COMBINED
    changed = disturbances.move(
        pair,
        shift=(amount if kind.startswith("shift,") else 10.0 * combined)
        * (pair.bg.shape[1] / UNIT),
        turn=amount if kind.startswith("turn,") else float(combined),
        zoom=amount if kind == "zoom" else 1.0,
    )
    gain: np.ndarray | float = 1.0
    if kind in ("exposure", COMBINED):
        gain = amount
    elif kind == "white balance":
        gain = disturbances.white_balance(amount)
    elif kind == "contrast":
        return changed._replace(bg=disturbances.relight(changed.bg, amount, level=128))
    return changed._replace(bg=disturbances.relight(changed.bg, gain))


def evaluate(
    predict: real_scores.Predict,
    pairs: Iterable[real_sets.Pair],
    kind: str,
    amount: float,
    mode: str,
) -> dict[str, Any]:
    """Return mean and worst mask IoU, and the share of aligned pairs."""
    scores, aligned_pairs = [], 0
    for pair in pairs:
        changed = disturb(pair, kind, amount)
        aligned = alignment.align(changed.bg, pair.bg_fg, mode)
        aligned_pairs += aligned.alignment is not None
        output = predict(aligned.bg, pair.bg_fg)["mask"] >= MASK_THRESHOLD
        if aligned.covered is not None:
            output &= aligned.covered
        scores.append(real_scores.iou(output, pair.truth, _undo(changed)))
    return {
        "iou": float(np.mean(scores)),
        "worst": float(min(scores)),
        "aligned": aligned_pairs / len(scores),
    }


def _undo(changed):
    """Return where both the changed background and the one that was moved back are known."""
    height, width = changed.covered.shape
    inverse = cv2.invertAffineTransform(changed.matrix)
    back = cv2.warpAffine(changed.covered.astype(np.float32), inverse, (width, height)) > 0.999
    return changed.covered & back


def table(rows: list[dict[str, Any]]) -> str:
    """Return the mean IoU of every change of one set, a line each: as it is, and aligned."""
    lines = ["| change of the background | | as it is | aligned |", "|---|---|---|---|"]
    for row in rows:
        if row["mode"] == MODES[0]:
            aligned = next(
                other["iou"]
                for other in rows
                if other["mode"] == MODES[1]
                and (other["change"], other["amount"]) == (row["change"], row["amount"])
            )
            lines.append(
                f"| {row['change']} | {row['amount']:g} | {row['iou']:.3f} | {aligned:.3f} |"
            )
    return "\n".join(lines)


def milliseconds(pair: real_sets.Pair, size: tuple[int, int] = (480, 640)) -> dict[str, float]:
    """Return the CPU time of `align` for a pair of `size` that fits, and for one that does not."""
    pair = pair._replace(bg=images.resize(pair.bg, size), bg_fg=images.resize(pair.bg_fg, size))
    moved = disturb(pair, COMBINED, 1.15).bg
    medians = {}
    for name, background in (("fits", pair.bg), ("does not fit", moved)):
        times = []
        for _ in range(TIMES):
            start = time.process_time()
            alignment.align(background, pair.bg_fg)
            times.append(time.process_time() - start)
        medians[name] = 1000 * float(np.median(times))
    return medians


def draw(rows: list[dict[str, Any]]) -> Figure:
    """Draw a panel for each kind of change: IoU against its amount, with and without alignment."""
    kinds = [kind for kind, amounts in CHANGES.items() if len(amounts) > 1]
    figure = Figure(figsize=(2.6 * len(kinds), 2.6), layout="constrained")
    for axis, kind in zip(figure.subplots(1, len(kinds), sharey=True), kinds):
        for mode, label in zip(MODES, ("as it is", "aligned")):
            of_mode = [row for row in rows if row["change"] == kind and row["mode"] == mode]
            amounts = [row["amount"] for row in of_mode]
            axis.plot(amounts, [row["iou"] for row in of_mode], "o-", markersize=3, label=label)
        axis.set(xlabel=kind, ylim=(0, 1))
        axis.grid(alpha=0.3)
    figure.axes[0].set_ylabel("mask IoU")
    figure.axes[0].legend()
    return figure


def run(workdir: str, sets: list[str], size: int | None, count: int | None, out: str) -> None:
    """Evaluate a network on the first `count` pairs of every set, with every change.

    Raises:
      InputError: the work directory, a set or the count cannot be used.
    """
    from modest.inference.predict import Predictor

    real_sets.check_count(count)
    files.make_directory(out, "--out")
    directories = real_sets.directories(sets, reserved=("test",))
    predictor = Predictor(workdir, size)
    sources = {"test": list(real_sets.embedded())}
    for name, directory in directories.items():
        sources[name] = list(real_sets.pairs(directory))
    rows = []
    for name, pairs in sources.items():
        for kind, amounts in CHANGES.items():
            for amount in amounts:
                for mode in MODES:
                    row: dict[str, Any] = {"set": name, "change": kind, "amount": amount}
                    row |= {"mode": mode}
                    row |= evaluate(predictor, pairs[:count], kind, amount, mode)
                    rows.append(row)
                    say(
                        f"{name}: {kind} {amount:g}, {mode}: IoU {row['iou']:.3f}, worst "
                        f"{row['worst']:.3f}, {row['aligned']:.0%} aligned"
                    )
        say(table([row for row in rows if row["set"] == name]))
        files.write_json(pathlib.Path(out) / "alignment.json", rows)
    for name, time_ in milliseconds(sources["test"][0]).items():
        say(f"a pair of 640 x 480 px that {name}: {time_:.1f} ms of CPU time")
    drawn = draw([row for row in rows if row["set"] == "test"])
    say(str(figures.save(drawn, pathlib.Path(out) / "alignment.png")))


def main(argv: list[str]) -> None:
    """Run the command; see the module."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.alignment", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--workdir", default="modest", help="of a trained network")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=DIR", dest="sets")
    parser.add_argument("--size", type=int, help="px at which the network runs")
    parser.add_argument("--count", type=int, help="pairs of each set (default: all)")
    parser.add_argument("--out", default="runs/alignment")
    arguments = parser.parse_args(argv)
    runtime.prepare()
    run(arguments.workdir, arguments.sets, arguments.size, arguments.count, arguments.out)


if __name__ == "__main__":
    sys.exit(process.run(main, sys.argv[1:]))
