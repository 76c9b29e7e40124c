"""Runs of a sweep that are simulated by the files they leave."""

import json

from modest.commands import process, sweep
from modest.run import workdirs
from repository import ROOT

CONFIG = str(ROOT / "configs/masknet.py")
SEEDS = ["--config", CONFIG, "--vary", "batch_size=4,8", "--vary", "seed=0,1,2"]
NAMES = [f"batch_size={b},seed={s}" for b in (4, 8) for s in (0, 1, 2)]


def run_sweep(*arguments):
    """Run the command in this process; return the exit status."""
    return process.run(sweep.main, [str(argument) for argument in arguments])


def finish(workdir, iou, split="test"):
    """Write what a finished run leaves: results, and two validations."""
    lines = [{"step": e, "epoch": e, "val/loss": 1.0, "val/mask/iou": iou * e / 2} for e in (1, 2)]
    (workdir / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (workdir / workdirs.EVAL).write_text(
        json.dumps({split: {"mask/iou": iou, "mask/boundary_f1": 1 - iou, "examples": 3}})
    )
