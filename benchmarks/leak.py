"""What a network's test result gains if its test pictures share rooms and people with training.

    python -m benchmarks.leak [--seeds 0,1,2] [--rooms 24] [--people 24] [--places 2]
        [--out runs/leak] [-- --config.KEY=VALUE ...]

One drawn data set in the MODEST layout is divided twice: as the original project divides its
pictures, 70 % to 30 % at random, and by identity (`modest/data/splits.py`). DepthNet is trained on
both by the same recipe and evaluated twice: on the test split of its own division, which is what
would be reported, and on a second data set of new rooms and people, which is what is true. The
leak is the difference between the two.

Prints the table, mean and sample standard deviation over the seeds, and writes `leak.json` and
`leak.md`. Run the same command again to resume.
"""

import argparse
import json
import pathlib
import subprocess
import sys
from typing import Any

import numpy as np

from benchmarks import ROOT
from modest.commands import process
from modest.errors import InputError
from modest.run import files, runtime
from modest.run.logbook import say
from modest.sweep.results import as_text, mean_and_spread

DIVISIONS = ("original", "identity")
METRICS = ("mask/iou", "mask/boundary_f1", "depth/rmse", "depth/delta1")
SEED, UNSEEN_SEED = 5, 6  # of the drawn rooms and people
MODEST = [sys.executable, "-m", "modest"]


def compose(out: pathlib.Path, rooms: int, people: int, places: int, seed: int) -> None:
    """Draw a data set in the MODEST layout, unless it is there.

    Raises:
      InputError: it cannot be made.
    """
    numbers = {"rooms": rooms, "people": people, "places": places, "seed": seed}
    options = [f"--{name}={value}" for name, value in numbers.items()]
    _run([*MODEST, "compose", "--depth=scene", *options, f"--out={out}"])


def train(
    data: pathlib.Path, unseen: pathlib.Path, division: str, workdir: pathlib.Path, *more: str
) -> dict[str, dict[str, float]]:
    """Train on one division and evaluate twice; resume what is there.

    Args:
      data: the data set to divide.
      unseen: the data set of new rooms and people.
      division: `original` or `identity`.
      workdir: directory of the run.
      *more: overrides of the config.

    Returns:
      `{"reported": metrics on its own test split, "true": metrics on `unseen`}`.

    Raises:
      InputError: a command failed.
    """
    options = [
        "--config=depthnet",
        "--config.data.name=folder",
        f"--config.data.splits={division}",
        "--config.eval.splits=test",
        f"--workdir={workdir}",
        *more,
    ]
    _run([*MODEST, "train", *options, "--config.data.source=records", f"--config.data.dir={data}"])
    # The later options win.
    whole = [f"--config.data.dir={unseen}", "--config.data.splits=identity"]
    _run([*MODEST, "eval", *options, *whole, "--config.eval.splits=all"])
    reported = json.loads((workdir / "eval.json").read_text())["test"]
    (other,) = (json.loads(path.read_text()) for path in workdir.glob("*/eval.json"))
    (true,) = other.values()
    return {"reported": reported, "true": true}


def summarise(results: dict[str, list[dict[str, dict[str, float]]]]) -> list[dict[str, Any]]:
    """Return a row per division and metric: reported, true and their difference, over the seeds."""
    rows = []
    for division, runs in results.items():
        for metric in METRICS:
            row: dict[str, Any] = {"division": division, "metric": metric, "n": len(runs)}
            values = {name: np.array([run[name][metric] for run in runs]) for name in runs[0]}
            values["difference"] = values["reported"] - values["true"]
            row |= {name: mean_and_spread(numbers) for name, numbers in values.items()}
            rows.append(row)
    return rows


def table(rows: list[dict[str, Any]]) -> str:
    """Return the rows of `summarise` as a Markdown table."""
    lines = [
        "| division | metric | n | own test split | new rooms and people | difference |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        cells = (as_text(**row[name]) for name in ("reported", "true", "difference"))
        lines.append(f"| {row['division']} | {row['metric']} | {row['n']} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _run(command):
    say(" ".join(command[1:]))
    if status := subprocess.run(command, cwd=ROOT).returncode:
        raise InputError(f"{' '.join(command[1:])}: ended with status {status}")


def main(argv: list[str]) -> None:
    """Run the command; see the module."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.leak", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--seeds", default="0,1,2", help="of the trainings")
    parser.add_argument("--rooms", type=int, default=24)
    parser.add_argument("--people", type=int, default=24)
    parser.add_argument("--places", type=int, default=2, help="of each person in each room, twice")
    parser.add_argument("--out", default="runs/leak", type=pathlib.Path)
    parser.add_argument("more", nargs="*", metavar="--config.KEY=VALUE", help="after --")
    arguments = parser.parse_args(argv)
    runtime.prepare()
    out = arguments.out.resolve()
    files.make_directory(out, "--out")
    data, unseen = out / "set", out / "unseen"
    compose(data, arguments.rooms, arguments.people, arguments.places, SEED)
    compose(unseen, arguments.rooms // 2, arguments.people // 2, 1, UNSEEN_SEED)
    results: dict[str, list[dict[str, dict[str, float]]]] = {name: [] for name in DIVISIONS}
    for seed in arguments.seeds.split(","):
        for division in DIVISIONS:
            workdir = out / f"{division}_{seed}"
            seed_option = f"--config.seed={seed}"
            run = train(data, unseen, division, workdir, seed_option, *arguments.more)
            results[division].append(run)
    rows = summarise(results)
    files.write_json(out / "leak.json", rows)
    files.write(out / "leak.md", table(rows).encode())
    say(table(rows))


if __name__ == "__main__":
    sys.exit(process.run(main, sys.argv[1:]))
