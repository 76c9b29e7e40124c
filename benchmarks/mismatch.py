"""The mismatch score of backgrounds that show the view of a picture, and of others.

    python -m benchmarks.mismatch --workdir runs/pairnet --set NAME=DIR [--count 50]

For each pair of a data set in the MODEST layout, `predict`'s score is computed for its background,
for this background mirrored, for both pictures exchanged, and for another background of the set.
Prints the scores, and how many are refused.
"""

import argparse
import sys
from collections.abc import Iterator

import numpy as np

from benchmarks.jobs import real_sets
from modest.commands import process
from modest.data import images
from modest.run import runtime
from modest.run.logbook import say

SAME = 8  # grey levels: backgrounds with a smaller mean difference show the same room


def views(
    pairs: list[real_sets.Pair], rng: np.random.Generator
) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Yield the kind of a background, the background and the picture."""
    for pair in pairs:
        yield "right", pair.bg, pair.bg_fg
        yield "mirrored", np.ascontiguousarray(pair.bg[:, ::-1]), pair.bg_fg
        yield "exchanged", pair.bg_fg, pair.bg
        other = images.resize(pairs[rng.integers(len(pairs))].bg, pair.bg.shape[:2])
        if np.abs(other.astype(int) - pair.bg).mean() > SAME:
            yield "another", other, pair.bg_fg


def run(workdir: str, sets: list[str], count: int | None) -> None:
    """Print the scores of the first `count` pairs of every set.

    Raises:
      InputError: the work directory, a set or the count cannot be used.
    """
    from modest.inference import fitting
    from modest.inference.predict import Predictor

    real_sets.check_count(count)
    directories = real_sets.directories(sets)
    predictor = Predictor(workdir)
    for name, directory in directories.items():
        pairs = list(real_sets.pairs(directory))[:count]
        reports: dict[str, list] = {}
        for kind, bg, bg_fg in views(pairs, np.random.default_rng(0)):
            (result,) = fitting.predictions(predictor, bg, [("", bg_fg)], batch=1)
            reports.setdefault(kind, []).append(result.report)
        for kind, of_kind in reports.items():
            scores = [r["mismatch"] for r in of_kind if r["mismatch"] is not None]
            if not scores:
                say(f"{name}, {kind}: too little texture")
                continue
            low, five, median, high = np.quantile(scores, [0, 0.05, 0.5, 1])
            refused = sum(not fitting.fits(report) for report in of_kind)
            say(
                f"{name}, {kind}: smallest {low:.3f}, 5 % {five:.3f}, median {median:.3f}, largest "
                f"{high:.3f}; {refused} of {len(of_kind)} refused"
            )


def main(argv: list[str]) -> None:
    """Run the command; see the module."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.mismatch", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--workdir", default="modest", help="of a trained network")
    parser.add_argument("--set", action="append", required=True, metavar="NAME=DIR", dest="sets")
    parser.add_argument("--count", type=int, help="pairs of each set (default: all)")
    arguments = parser.parse_args(argv)
    runtime.prepare()
    run(arguments.workdir, arguments.sets, arguments.count)


if __name__ == "__main__":
    sys.exit(process.run(main, sys.argv[1:]))
