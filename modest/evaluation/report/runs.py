"""What the report shows of a run: the files of its work directory, read and checked."""

import json
import pathlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from ml_collections import ConfigDict

from modest.constants import TEST_SPLITS
from modest.errors import InputError
from modest.evaluation import tables
from modest.evaluation.figures import read_pictures
from modest.evaluation.tables import Table
from modest.run import configs, workdirs
from modest.run.logbook import read_metrics


class Value(NamedTuple):
    """A metric of a split.

    Attributes:
      mean: the mean over pictures; None if no picture has the metric.
      low, high: the ends of its 95 % interval; None if there is none.
      pooled: the value of all pixels together; None if it is not defined.
      pooled_low, pooled_high: the ends of its 95 % interval; None if there is none.
    """

    mean: float | None
    low: float | None = None
    high: float | None = None
    pooled: float | None = None
    pooled_low: float | None = None
    pooled_high: float | None = None

    @property
    def of_all_pixels(self) -> "Value":
        """The pooled value with its interval."""
        return Value(self.pooled, self.pooled_low, self.pooled_high)


class Run(NamedTuple):
    """A run that was evaluated.

    Attributes:
      name: the name of its work directory, or the whole path where names are equal.
      workdir: its work directory.
      config: its config, or None.
      lines: the lines of `metrics.jsonl`.
      results: the content of `eval.json`.
      details: the content of `eval_details.json`; empty if there is none.
      pictures: the tables of `eval_pictures.csv`, by split; empty if there is none.
      extremes: the content of `eval_extremes.npz`, `{"SPLIT/METRIC": arrays by kind}`.
    """

    name: str
    workdir: pathlib.Path
    config: ConfigDict | None
    lines: list[dict[str, Any]]
    results: dict[str, dict[str, float]]
    details: dict[str, Any]
    pictures: dict[str, Table]
    extremes: dict[str, dict[str, np.ndarray]]

    @property
    def splits(self) -> list[str]:
        """The names of all evaluated splits, the test splits first."""
        return list(dict.fromkeys([*self.results, *self.details.get("splits", {})]))

    @property
    def main_split(self) -> str:
        """The split that says what the run is worth: `test`, or else the first one."""
        return TEST_SPLITS[0] if TEST_SPLITS[0] in self.results else next(iter(self.results))

    def of_split(self, split: str) -> dict[str, Any]:
        """Return the statistics of a split, or an empty dict."""
        return self.details.get("splits", {}).get(split, {})

    def is_evaluated_as(self, other: "Run") -> bool:
        """Return whether both were evaluated on the same data at the same size, as far as known."""
        keys = [key for key in ("size", "dataset") if key in self.details and key in other.details]
        return all(self.details[key] == other.details[key] for key in keys)

    def value(self, split: str, name: str) -> Value | None:
        """Return a metric of a split, without an interval if the run has none; or None."""
        detailed = self.of_split(split).get("metrics", {}).get(name)
        if detailed is not None:
            return Value(*(detailed.get(key) for key in Value._fields))
        mean = self.results.get(split, {}).get(name)
        return None if mean is None else Value(mean)

    @property
    def evaluate_again(self) -> str:
        """The command that writes the files which are missing."""
        return f"python -m modest eval --config CONFIG --workdir {self.workdir}"


def read(workdirs_: Sequence[pathlib.Path]) -> list[Run]:
    """Read the work directories of several runs.

    Raises:
      InputError: a directory has no evaluation, or a file of it is damaged.
    """
    paths = [path.resolve() for path in workdirs_]
    if len(set(paths)) < len(paths):
        raise InputError("--workdir: the same directory twice; give each once")
    names = [path.name for path in paths]
    return [_read(path, path.name if names.count(path.name) == 1 else str(path)) for path in paths]


def _read(workdir, name):
    results = _json(workdir / workdirs.EVAL)
    if not results:
        raise InputError(
            f"{workdir}: no {workdirs.EVAL}, it was not evaluated; run "
            f"python -m modest eval --config CONFIG --workdir {workdir}"
        )
    if not all(_is_metrics(metrics) for metrics in results.values()):
        raise InputError(
            f"{workdir / workdirs.EVAL}: not the results of an evaluation; evaluate again"
        )
    config = configs.load(workdir)
    if config is None:  # results on other data are in a directory inside that of the run
        config = configs.load(workdir.parent)
    table, extremes = (workdir / n for n in (workdirs.EVAL_PICTURES, workdirs.EVAL_EXTREMES))
    return Run(
        name,
        workdir,
        config,
        read_metrics(workdir),
        results,
        _details(workdir / workdirs.EVAL_DETAILS),
        tables.read(table) if table.is_file() else {},
        read_pictures(extremes) if extremes.is_file() else {},
    )


def _is_metrics(value):
    """Return whether a value of `eval.json` holds numbers by name; None stands for undefined."""
    return isinstance(value, dict) and all(
        number is None or isinstance(number, int | float) for number in value.values()
    )


def _details(path):
    content = _json(path)
    try:
        for of_split in content["splits"].values() if content else ():
            of_split["pictures"], of_split["backgrounds"]
            for metric in of_split["metrics"].values():
                Value(*(metric[key] for key in ("mean", "low", "high", "pooled")))
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path}: damaged ({error!r}); evaluate again") from None
    return content


def _json(path):
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(content, dict):
            raise ValueError("no object")
        return content
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: damaged ({error}); evaluate again") from None
