"""The original's experiments: train them, tabulate them, and check what the original claims.

    python -m benchmarks.experiments [--seeds 0,1,2] [--workdir runs/experiments] [--report]

Trains every config of `CONFIGS` with every seed (a sweep, so the same command resumes, and
`--report` only tabulates what is finished). Prints, and writes to `experiments.json` and
`experiments.md`:

- a table of the split `test`: for each config and metric, mean and sample standard deviation over
  the seeds, and the 95 % interval of the mean over pictures (of each picture's mean over the seeds;
  `modest/evaluation/bootstrap.py`)
- for each claim, the difference of the two configs that it compares, with its 95 % interval, and
  the verdict that follows. The pictures are the same for both, so the difference is taken for each
  picture.
"""

import argparse
import pathlib
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from benchmarks.jobs.training_runs import ROOT
from modest.commands import process
from modest.errors import InputError
from modest.evaluation import bootstrap, tables
from modest.run import files, runtime, workdirs
from modest.run.logbook import read_metrics, say
from modest.sweep import plan, report

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
    "experiments/augmentation:none",
    SAME_COST,
    "experiments/one_size:same_epochs",
    "masknet",
    "pairnet",
    UNET,
    "unet",
)
SPLIT = "test"
METRICS = ("mask/iou", "mask/boundary_f1", "depth/rmse", "depth/delta1")


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
    Claim("Dice on the depth is worse than RMSE", f"{LOSSES}rmse_dice", "depthnet", RMSE, 1),
    Claim("SSIM on the mask is worse than BCE", f"{LOSSES}ssim_rmse", "depthnet", IOU, -1),
    Claim("the U-Net's mask is like DepthNet's", UNET, f"{LOSSES}bce_ssim", IOU, 0, 0.01),
    Claim("the U-Net's depth is like DepthNet's", UNET, f"{LOSSES}bce_ssim", RMSE, 0, 0.003),
    Claim("small pictures first are better at equal cost", "depthnet", SAME_COST, IOU, 1),
    Claim("0.01 with plateau is worse than 0.1", "experiments/plateau", "depthnet", IOU, -1),
)


class Result(NamedTuple):
    """The finished runs of one config.

    Attributes:
      evals: the metrics of `SPLIT` of each seed.
      pictures: the table of single pictures of each seed.
      seconds: of training, of each seed.
    """

    evals: list[Mapping[str, float]]
    pictures: list[tables.Table]
    seconds: list[float]


def collect(runs: Sequence[plan.Run]) -> dict[str, Result]:
    """Return the finished runs by config.

    Raises:
      InputError: a run was evaluated without metrics of single pictures.
    """
    found: dict[str, Result] = {}
    for run in runs:
        results = report.results_of(run.settings, run.workdir)
        if results is None:
            continue
        result = found.setdefault(run.config, Result([], [], []))
        result.evals.append(results[SPLIT])
        result.pictures.append(tables.read(run.workdir / workdirs.EVAL_PICTURES)[SPLIT])
        result.seconds.append(max(line["seconds"] for line in read_metrics(run.workdir)))
    return found


def row(config: str, result: Result) -> dict[str, Any]:
    """Return the row of a config: `{"config", "n", "seconds", metric: {"mean", "spread", ...}}`."""
    made: dict[str, Any] = {"config": config, "n": len(result.evals)}
    made["seconds"] = float(np.mean(result.seconds))
    means = {name: _mean_of_seeds(result, name) for name in METRICS if name in result.evals[0]}
    lows, highs = bootstrap.intervals(means, result.pictures[0].backgrounds)
    for name in means:
        over_seeds = report.mean_and_spread([values[name] for values in result.evals])
        made[name] = over_seeds | {"low": lows[name], "high": highs[name]}
    return made


def judge(claim: Claim, first: Result, second: Result) -> dict[str, Any]:
    """Return the difference of two configs with its interval, and the verdict on a claim."""
    difference = _mean_of_seeds(first, claim.metric) - _mean_of_seeds(second, claim.metric)
    name = claim.metric
    lows, highs = bootstrap.intervals({name: difference}, first.pictures[0].backgrounds)
    low, high = lows[name], highs[name]
    if claim.sign:
        confirmed = min(claim.sign * low, claim.sign * high) > 0
        refuted = max(claim.sign * low, claim.sign * high) < 0
    else:
        confirmed = -claim.margin < low and high < claim.margin
        refuted = low > claim.margin or high < -claim.margin
    verdict = "confirmed" if confirmed else "refuted" if refuted else "not decided"
    mean = float(np.nanmean(difference))
    return claim._asdict() | {"difference": mean, "low": low, "high": high, "verdict": verdict}


def _mean_of_seeds(result, name):
    """Return the mean over the seeds of a metric of each picture, `[N]`."""
    return np.mean([table.values[name] for table in result.pictures], axis=0)


def markdown(rows: Sequence[Mapping[str, Any]], verdicts: Sequence[Mapping[str, Any]]) -> str:
    """Return both tables as Markdown."""
    lines = [f"| config | n | {' | '.join(METRICS)} | seconds |", "|---" * (len(METRICS) + 3) + "|"]
    for of_config in rows:
        cells = [_cell(**of_config[name]) if name in of_config else "" for name in METRICS]
        lines.append(
            f"| {of_config['config']} | {of_config['n']} | {' | '.join(cells)} | "
            f"{of_config['seconds']:.0f} |"
        )
    lines += [
        "",
        "| claim | metric | difference | 95 % interval | verdict |",
        "|---|---|---|---|---|",
    ]
    for found in verdicts:
        interval = f"{found['low']:+.4f} to {found['high']:+.4f}"
        lines.append(
            f"| {found['text']} | {found['metric']} | {found['difference']:+.4f} | {interval} | "
            f"{found['verdict']} |"
        )
    return "\n".join(lines) + "\n"


def _cell(mean, spread, low, high):
    return f"{report.mean_and_spread_text(mean, spread)} ({low:.4f} to {high:.4f})"


def main(argv: list[str]) -> int:
    """Run the command; see the module. Return the exit status of the sweep."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.experiments", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--workdir", type=pathlib.Path, default=pathlib.Path("runs/experiments"))
    parser.add_argument("--report", action="store_true", help="train nothing")
    arguments = parser.parse_args(argv)
    runtime.prepare()
    vary = [f"config={','.join(CONFIGS)}", f"seed={arguments.seeds}"]
    workdir, status = arguments.workdir.resolve(), 0
    if not arguments.report:
        options = [f"--vary={text}" for text in vary]
        command = [sys.executable, "-m", "modest", "sweep", *options, f"--workdir={workdir}"]
        status = subprocess.run(command, cwd=ROOT).returncode
        if status > 1:  # 1: some runs failed
            return status
    results = collect(plan.plan(None, vary, [], workdir))
    if not results:
        raise InputError(f"{workdir}: no run is finished")
    rows = [row(config, result) for config, result in results.items()]
    verdicts = [
        judge(claim, results[claim.first], results[claim.second])
        for claim in CLAIMS
        if claim.first in results and claim.second in results
    ]
    text = markdown(rows, verdicts)
    files.write_json(workdir / "experiments.json", {"rows": rows, "claims": verdicts})
    files.write(workdir / "experiments.md", text.encode())
    say(text)
    return status


if __name__ == "__main__":
    sys.exit(process.run(main, sys.argv[1:]))
