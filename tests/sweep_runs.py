"""Runs of a sweep that are simulated, by the files they leave or by their results."""

import json

import numpy as np

from modest.commands import process, sweep
from modest.evaluation import tables
from modest.run import workdirs
from modest.sweep.results import Result
from repository import ROOT

CONFIG = str(ROOT / "configs/masknet.py")
SEEDS = ["--config", CONFIG, "--vary", "batch_size=4,8", "--vary", "seed=0,1,2"]
NAMES = [f"batch_size={b},seed={s}" for b in (4, 8) for s in (0, 1, 2)]


def run_sweep(*arguments):
    """Run the command in this process; return the exit status."""
    return process.run(sweep.main, [str(argument) for argument in arguments])


def result(ious, backgrounds=None, seconds=10.0):
    """Return a run that was evaluated with these mask IoUs, by default four for each background."""
    places = list(range(len(ious)))
    names = backgrounds or [f"room{k // 4}" for k in places]
    table = tables.Table(places, names, names, {"mask/iou": np.asarray(ious)})
    return Result({"test": {"mask/iou": float(np.mean(ious))}}, {"test": table}, seconds)


def finish(workdir, iou, split="test"):
    """Write what a finished run leaves: results, and two validations."""
    lines = [
        {"step": e, "epoch": e, "seconds": s, "val/loss": 1.0, "val/mask/iou": iou * s / 10}
        for e, s in ((6, 5.0), (12, 10.0))
    ]
    (workdir / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    means = {"mask/iou": iou, "mask/boundary_f1": 1 - iou, "examples": 3}
    (workdir / workdirs.EVAL).write_text(json.dumps({split: means}))
    rooms = ["room0", "room1", "room2"]
    values = {"mask/iou": np.full(3, iou), "mask/boundary_f1": np.full(3, 1 - iou)}
    table = tables.Table([0, 1, 2], rooms, rooms, values)
    tables.write(workdir / workdirs.EVAL_PICTURES, {split: table})
