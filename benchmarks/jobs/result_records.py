"""Records of finished runs in one file, which is small enough to be part of the repository.

A line of the file is a JSON object, for one run: its name, a hash of its settings, the hash of its
data set, code, versions, duration, and the metrics of the split `test`, as means and of every
picture. Results of several machines or days can so be put together in one table.
"""

import functools
import hashlib
import json
import math
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from modest.errors import InputError
from modest.evaluation.tables import Table
from modest.run import configs, files
from modest.sweep import results
from modest.sweep.plan import Run
from modest.sweep.results import METRICS, Result

SPLIT = "test"
DIGITS = 4  # decimal places of the metrics of a picture


def read(path: pathlib.Path) -> dict[tuple[str, str], dict[str, Any]]:
    """Return the records of a file by `(name of the run, hash of its settings)`.

    Raises:
      InputError: the file is damaged.
    """
    if not path.exists():
        return {}
    try:
        records = [json.loads(line) for line in path.read_text().splitlines()]
        for record in records:
            _result(record)
        return {(record["run"], record["settings"]): record for record in records}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: cannot be read ({error!r}); restore it from a copy") from None


def update(path: pathlib.Path | None, runs: Sequence[Run]) -> dict[str, Result]:
    """Add the finished runs to the file, and return the results of all runs that are in it.

    Args:
      path: the file; None to return the results of the finished runs, and write nothing.
      runs: all runs. A record of another run, or of a run with other settings, is ignored and kept.

    Returns:
      `{name of the directory of a run: its result}`, in the order of `runs`.

    Raises:
      InputError: the file is damaged, or cannot be written; or the runs were made with different
        data sets.
    """
    records = read(path) if path else {}
    known = {run.workdir.name: _digest(run) for run in runs}
    for run in runs:
        if results.is_finished(run.settings, run.workdir):
            records[run.workdir.name, known[run.workdir.name]] = _record(run)
    found = {name: records.get((name, digest)) for name, digest in known.items()}
    used = {name: record for name, record in found.items() if record}
    if len({record["dataset"] for record in used.values()}) > 1:
        datasets = ", ".join(f"{name}: {record['dataset']}" for name, record in used.items())
        raise InputError(f"{path}: runs with different data sets ({datasets}); remove the older")
    if path:
        lines = (json.dumps(records[key]) + "\n" for key in sorted(records))
        files.write(path, "".join(lines).encode())
    return {name: _result(record) for name, record in used.items()}


def _digest(run):
    """Return a hash of the settings.

    Keys of `configs.LATER` that have their default are left out, so that a new key does not change
    the hash of older runs.
    """
    settings = run.settings.to_dict()
    for key, default in configs.LATER.items():
        *sections, name = key.split(".")
        section = functools.reduce(dict.__getitem__, sections, settings)
        if section.get(name) == default:
            del section[name]
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:16]


def _record(run):
    result = results.read(run.workdir)
    table = result.pictures[SPLIT]
    metrics = [name for name in METRICS if name in table.values]
    saved = configs.load(run.workdir).to_dict()
    return {
        "run": run.workdir.name,
        "settings": _digest(run),
        "dataset": (saved.get("dataset") or {}).get("sha256", ""),
        "environment": saved.get("environment", {}),
        "seconds": None if math.isnan(result.seconds) else round(result.seconds),
        "means": {name: result.means[SPLIT][name] for name in metrics},
        "backgrounds": table.backgrounds,
        "figures": table.figures,
        "pictures": {name: np.round(table.values[name], DIGITS).tolist() for name in metrics},
    }


def _result(record: dict[str, Any]) -> Result:
    values = {name: np.asarray(column, float) for name, column in record["pictures"].items()}
    indices = list(range(len(record["backgrounds"])))
    table = Table(indices, record["backgrounds"], record["figures"], values)
    seconds = math.nan if record["seconds"] is None else record["seconds"]
    return Result({SPLIT: record["means"]}, {SPLIT: table}, seconds)
