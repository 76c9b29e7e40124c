"""The original's experiments: train them, tabulate them, and check what the original claims.

    python -m benchmarks.experiments [--seeds 0,1,2] [--workdir DIR] [--records FILE]
        [--report | --list]

Trains every config of `CONFIGS` with every seed. This is a sweep (docs/sweeps.md): the same command
resumes, `--report` only tabulates what is finished, and `--list` prints a command for each run.
`--records FILE` keeps the results of finished runs in a file (`jobs/result_records.py`). Runs that
are only there are tabulated, too; without `--report` they are trained again.

Prints, and writes to `experiments.md`, the table of all configs on the split `test`, and the
verdicts: the difference of the two configs that each claim compares, with its 95 % interval, and
what follows from it, for claims whose configs have two seeds or more. `claims.json` has the
verdicts only. Both configs are tested on the same pictures, so the difference is taken picture by
picture, after averaging over the seeds.
"""

import argparse
import math
import pathlib
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy import stats

from benchmarks import ROOT
from benchmarks.jobs import result_records
from benchmarks.jobs.result_records import SPLIT
from modest.commands import process
from modest.errors import InputError
from modest.run import files, runtime
from modest.run.logbook import say
from modest.sweep import plan, report, results
from modest.sweep.results import Result

LOSSES = "experiments/losses:"
NO_COLOUR = "experiments/augmentation:no_colour"
SAME_COST = "experiments/one_size:same_cost"
UNET = "experiments/unet_ssim"
CONFIGS = (
    "depthnet",
    f"{LOSSES}ssim_rmse",
    f"{LOSSES}bce_ssim",
    f"{LOSSES}rmse_ssim",
    f"{LOSSES}ssim_dice",
    f"{LOSSES}rmse_dice",
    f"{LOSSES}bce_dice_rmse",
    f"{LOSSES}rmse_bce_dice",
    "experiments/plateau",
    NO_COLOUR,
    SAME_COST,
    "masknet",
    "pairnet",
    UNET,
)


class Claim(NamedTuple):
    """What is said of two configs, `first` and `second`, in one metric.

    Attributes:
      text: the claim.
      first, second: two of `CONFIGS`.
      metric: one of the metrics of single pictures.
      sign: 1 if `first` is said to have the higher value, -1 the lower one, 0 about the same.
      margin: what counts as about the same.
    """

    text: str
    first: str
    second: str
    metric: str
    sign: int
    margin: float = 0.0


IOU, BOUNDARY, RMSE = "mask/iou", "mask/boundary_f1", "depth/rmse"
CLAIMS = (
    Claim("colour augmentation blurs the mask", "depthnet", NO_COLOUR, BOUNDARY, -1),
    Claim("colour augmentation blurs the depth", "depthnet", NO_COLOUR, RMSE, 1),
    Claim("BCE + Dice is worse than BCE", f"{LOSSES}bce_dice_rmse", "depthnet", IOU, -1),
    # Also RMSE in place of BCE on the mask.
    Claim("Dice on the depth is worse than RMSE", f"{LOSSES}rmse_dice", "depthnet", RMSE, 1),
    Claim("SSIM on the mask is worse than BCE", f"{LOSSES}ssim_rmse", "depthnet", IOU, -1),
    Claim("the U-Net's mask is like DepthNet's", UNET, f"{LOSSES}bce_ssim", IOU, 0, 0.01),
    Claim("the U-Net's depth is like DepthNet's", UNET, f"{LOSSES}bce_ssim", RMSE, 0, 0.003),
    Claim("small pictures first are better at equal cost", "depthnet", SAME_COST, IOU, 1),
    Claim("0.01 with plateau is worse than 0.1", "experiments/plateau", "depthnet", IOU, -1),
    # Not the original's: what this project says of its own network.
    Claim("PairNet's mask is better than DepthNet's", "pairnet", "depthnet", IOU, 1),
    Claim("PairNet's depth is better than DepthNet's", "pairnet", "depthnet", RMSE, -1),
)


def judge(claim: Claim, first: Sequence[Result], second: Sequence[Result]) -> dict[str, Any]:
    """Return the difference of two configs with its interval, and the verdict on a claim.

    The interval contains two errors, whose half widths are added in quadrature: that of the
    pictures, a bootstrap over backgrounds of the difference of each picture; and that of the seeds,
    a t interval of the difference of two means (Welch's).

    Args:
      claim: what is said of the two configs.
      first, second: the runs of each, at least two.

    Raises:
      InputError: the runs were not evaluated on the same pictures.
    """
    table, other = first[0].pictures[SPLIT], second[0].pictures[SPLIT]
    if not table.is_same_pictures(other):
        raise InputError(f"{claim.first}, {claim.second}: evaluated on different pictures")
    difference = results.picture_means(first, SPLIT, claim.metric)
    difference = difference - results.picture_means(second, SPLIT, claim.metric)
    mean = float(np.nanmean(difference))
    of_pictures = results.interval(difference, table)
    of_seeds = _half_width_of_seeds(
        [run.means[SPLIT][claim.metric] for run in first],
        [run.means[SPLIT][claim.metric] for run in second],
    )
    low = mean - math.hypot(mean - of_pictures["low"], of_seeds)
    high = mean + math.hypot(of_pictures["high"] - mean, of_seeds)
    if claim.sign:
        confirmed = min(claim.sign * low, claim.sign * high) > 0
        refuted = max(claim.sign * low, claim.sign * high) < 0
    else:
        confirmed = -claim.margin < low and high < claim.margin
        refuted = low > claim.margin or high < -claim.margin
    verdict = "confirmed" if confirmed else "refuted" if refuted else "not decided"
    found = {"difference": mean, "low": low, "high": high, "verdict": verdict}
    return claim._asdict() | found | {"n": [len(first), len(second)]}


def _half_width_of_seeds(first, second):
    """Return half the width of the 95 % interval of the difference of two means."""
    variances = [np.var(values, ddof=1) / len(values) for values in (first, second)]
    if not any(variances):
        return 0.0
    degrees = sum(variances) ** 2 / sum(
        variance**2 / (len(values) - 1) for variance, values in zip(variances, (first, second))
    )
    return float(stats.t.ppf(0.975, degrees) * math.sqrt(sum(variances)))


def markdown(verdicts: Sequence[Mapping[str, Any]]) -> str:
    """Return the verdicts as a Markdown table."""
    lines = [
        "| claim | metric | seeds | difference | 95 % interval | verdict |",
        "|---|---|---|---|---|---|",
    ]
    for found in verdicts:
        interval = f"{found['low']:+.4f} to {found['high']:+.4f}"
        lines.append(
            f"| {found['text']} | {found['metric']} | {found['n'][0]}, {found['n'][1]} | "
            f"{found['difference']:+.4f} | {interval} | {found['verdict']} |"
        )
    return "\n".join(lines) + "\n"


def main(argv: list[str]) -> int:
    """Run the command; see the module. Return the exit status of the sweep."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.experiments", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--workdir", type=pathlib.Path, default=pathlib.Path("runs/experiments"))
    parser.add_argument("--records", type=pathlib.Path, metavar="FILE", help="keep results here")
    only = parser.add_mutually_exclusive_group()
    only.add_argument("--report", action="store_true", help="train nothing")
    only.add_argument("--list", action="store_true", help="print the command of every run")
    arguments = parser.parse_args(argv)
    runtime.prepare()
    vary = [f"config={','.join(CONFIGS)}", f"seed={arguments.seeds}"]
    workdir = files.make_directory(arguments.workdir.resolve(), "--workdir")
    if arguments.records:
        result_records.read(arguments.records)  # a damaged file is refused before the training
    options = [*(f"--vary={text}" for text in vary), f"--workdir={workdir}"]
    command = [sys.executable, "-m", "modest", "sweep", *options]
    command += ["--report"] * arguments.report + ["--list"] * arguments.list
    status = subprocess.run(command, cwd=ROOT).returncode
    if status > 1 or arguments.list:  # 1: some runs failed
        return status
    runs = plan.plan(None, vary, [], workdir)
    found = result_records.update(arguments.records, runs)
    finished: dict[str, list[Result]] = {}
    for run in runs:
        if run.workdir.name in found:
            finished.setdefault(run.config, []).append(found[run.workdir.name])
    rows = {(name,): results.summarise(of, SPLIT) for name, of in finished.items()}
    verdicts = [
        judge(claim, finished[claim.first], finished[claim.second])
        for claim in CLAIMS
        if all(len(finished.get(config, [])) > 1 for config in (claim.first, claim.second))
    ]
    text = f"{report.EXPLANATION}\n{report.markdown(['config'], rows)}\n{markdown(verdicts)}"
    files.write_json(workdir / "claims.json", verdicts)
    files.write(workdir / "experiments.md", text.encode())
    say(text)
    return status


if __name__ == "__main__":
    sys.exit(process.run(main, sys.argv[1:]))
