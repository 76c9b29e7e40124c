"""What the runs of a sweep left in their directories, and the means over them."""

import json
import math
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from ml_collections import ConfigDict

from modest.errors import InputError
from modest.evaluation import bootstrap, tables
from modest.evaluation.tables import Table
from modest.run import configs, logbook, workdirs

METRICS = ("mask/iou", "mask/boundary_f1", "depth/rmse", "depth/abs_rel", "depth/delta1")

Setting = tuple[str, ...]  # the values of a row of the table, without the seed


class Result(NamedTuple):
    """A finished run.

    Attributes:
      means: the content of `eval.json`, `{split: {metric: value}}`.
      pictures: the content of `eval_pictures.csv`, `{split: table}`.
      seconds: duration of the training; NaN if it is not known.
    """

    means: Mapping[str, Mapping[str, float]]
    pictures: Mapping[str, Table]
    seconds: float


def belongs_to(config: ConfigDict, workdir: pathlib.Path) -> bool:
    """Return whether the run in a directory has exactly this config."""
    saved = configs.load(workdir)
    if saved is None:
        return False
    return all(
        configs.as_json(configs.get(saved, key)) == configs.as_json(config[key]) for key in config
    )


def is_finished(config: ConfigDict, workdir: pathlib.Path) -> bool:
    """Return whether a run with this config has ended in a directory.

    A run writes `config.json` when it starts or resumes, and `eval.json` when it ends. So it is
    finished if `eval.json` is newer than `config.json` and of the size of the config. An evaluation
    of an unfinished run writes `eval.json`, too: the last epoch must have been validated.
    """
    started, ended = workdir / configs.FILE, workdir / workdirs.EVAL
    if not ended.is_file() or not belongs_to(config, workdir):
        return False
    if _evaluated_size(workdir) not in (None, config.stages[-1][0]):
        return False
    if not config.early_stop and not _is_trained(config, workdir):
        return False
    return ended.stat().st_mtime_ns >= started.stat().st_mtime_ns


def _is_trained(config, workdir):
    lines = logbook.read_metrics(workdir)
    last = lines[-1] if lines else {"epoch": 0}
    return last["epoch"] == sum(epochs for _, epochs in config.stages) and "val/loss" in last


def _evaluated_size(workdir):
    """Return the size in px at which a run was evaluated, or None if that is not known."""
    try:
        return json.loads((workdir / workdirs.EVAL_DETAILS).read_text()).get("size")
    except (OSError, ValueError):
        return None


def read(workdir: pathlib.Path) -> Result:
    """Return what a finished run left.

    Raises:
      InputError: a file is missing or damaged.
    """
    path = workdir / workdirs.EVAL
    try:
        means = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read ({error}); evaluate again") from None
    pictures = tables.read(workdir / workdirs.EVAL_PICTURES)
    lines = logbook.read_metrics(workdir)
    return Result(means, pictures, max((line["seconds"] for line in lines), default=math.nan))


def common_splits(results: Sequence[Result]) -> list[str]:
    """Return the splits that all runs were evaluated on, in the order of the first one.

    Raises:
      InputError: there is none.
    """
    shared = [name for name in results[0].means if all(name in run.means for run in results)]
    if not shared:
        raise InputError(
            "no split on which all runs were evaluated; give all of them the same eval.splits"
        )
    return shared


def summarise(runs: Sequence[Result], split: str) -> dict[str, Any]:
    """Return the row of one setting: means over its runs, which differ in their seed.

    Args:
      runs: the runs of the setting.
      split: one that all of them were evaluated on.

    Returns:
      `{"n": runs, "seconds": mean, metric: {"mean", "spread", "low", "high"}, ...}`. `seconds` is
      None if the duration of a run is not known. The spread is the sample standard deviation over
      the runs, None for one run. `low` and `high` are the 95 % interval over backgrounds of the
      mean over pictures (`evaluation/bootstrap.py`), None with fewer than two backgrounds.
    """
    seconds = float(np.mean([run.seconds for run in runs]))
    row: dict[str, Any] = {"n": len(runs), "seconds": None if math.isnan(seconds) else seconds}
    for name in METRICS:
        if all(name in run.means[split] and name in run.pictures[split].values for run in runs):
            row[name] = mean_and_spread([run.means[split][name] for run in runs])
            row[name] |= interval(picture_means(runs, split, name), runs[0].pictures[split])
    return row


def picture_means(runs: Sequence[Result], split: str, metric: str) -> np.ndarray:
    """Return the mean over the runs of a metric of each picture, `[N]`.

    Raises:
      InputError: the runs were not evaluated on the same pictures.
    """
    first, *others = (run.pictures[split] for run in runs)
    if not all(first.is_same_pictures(other) for other in others):
        raise InputError(f"the runs were evaluated on different pictures of the split {split}")
    return np.mean([run.pictures[split].values[metric] for run in runs], axis=0)


def interval(values: np.ndarray, table: Table) -> dict[str, float | None]:
    """Return `{"low", "high"}`, the 95 % interval of the mean of a value of each picture."""
    ends = zip(("low", "high"), bootstrap.intervals({"": values}, table.backgrounds))
    return {name: None if math.isnan(end[""]) else end[""] for name, end in ends}


def mean_and_spread(numbers: Sequence[float]) -> dict[str, float | None]:
    """Return `{"mean", "spread"}`; the sample standard deviation of one number is None."""
    spread = float(np.std(numbers, ddof=1)) if len(numbers) > 1 else None
    return {"mean": float(np.mean(numbers)), "spread": spread}


def as_text(
    mean: float, spread: float | None, low: float | None = None, high: float | None = None
) -> str:
    """Return a mean, its spread and its interval, such as "0.9050 ± 0.0030 (0.9012 to 0.9088)"."""
    text = f"{mean:.4f}" if spread is None else f"{mean:.4f} ± {spread:.4f}"
    return text if low is None else f"{text} ({low:.4f} to {high:.4f})"
