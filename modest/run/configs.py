"""The config that is saved with a run, as `config.json` in its work directory."""

import functools
import json
import pathlib
from typing import Any

from ml_collections import ConfigDict

from modest.errors import InputError
from modest.run import files

FILE = "config.json"

# Keys that were added after the first version. A run that was saved before behaves as if it had
# these values.
LATER = {
    "average": 0.0,
    "early_stop": 0,
    "init_from": "",
    "optimizer.clip_norm": 0.0,
    "optimizer.trapezoid": {"epochs": 3},
    "data.scenes.reflection": 0.0,
    "data.scenes.squeeze": 0.0,
    "data.scenes.screens": 0.0,
    "data.scenes.panes": 0.0,
    "data.scenes.video": 0.0,
    "checkpoint.steps": 0,
    "stall_seconds": 0,
    "precision": "float32",
    "rematerialise": False,
    "accumulate": 1,
    "allow_other_kernels": False,
    "augment.crop": {"probability": 0.0, "padding": 0.125},
    "augment.rotation": {"probability": 0.0, "degrees": 10.0},
    "augment.blur": {"probability": 0.0, "sigma": 1.4},
    "augment.cutout": {"probability": 0.0, "squares": 1, "size": 0.25},
    "augment.iso_noise": {"probability": 0.0, "color_shift": 0.05, "intensity": 0.5},
}


def get(config: ConfigDict | None, key: str) -> Any:
    """Return the value at a dotted `key`, such as `data.name`, or None if there is none."""
    for part in key.split("."):
        if config is None or part not in config:
            return None
        config = config[part]
    return config


def as_json(value: Any) -> str:
    """Return a config value as text, as it is written in `config.json`, to compare or to show."""
    return json.dumps(value.to_dict() if isinstance(value, ConfigDict) else value, sort_keys=True)


def save(
    config: ConfigDict, workdir: pathlib.Path, dataset: Any, environment: dict | None = None
) -> None:
    """Write `config.json`.

    Args:
      config: the run's config.
      workdir: the work directory.
      dataset: the data set's identity, stored under `dataset`.
      environment: versions and devices, stored under `environment`; see `runtime.environment`.
    """
    values = config.to_dict() | {"dataset": dataset, "environment": environment}
    text = json.dumps(values, indent=2, sort_keys=True) + "\n"
    files.write(pathlib.Path(workdir) / FILE, text.encode())


def load(workdir: str | pathlib.Path) -> ConfigDict | None:
    """Return the locked config saved in `workdir`, or None if there is none.

    Raises:
      InputError: it cannot be read, or is damaged.
    """
    path = pathlib.Path(workdir) / FILE
    if not path.is_file():
        return None
    try:
        return parse(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(
            f"{path}: damaged ({type(error).__name__}: {error}); restore it from a copy, or give "
            "another directory"
        ) from None


def parse(values: dict[str, Any]) -> ConfigDict:
    """Return the locked config of the values of a `config.json`, to which later keys are added.

    Raises:
      ValueError, KeyError, TypeError, AttributeError: they are not such values.
    """
    values["model"]["name"], values["stages"][-1][0]  # what every reader needs
    for key, value in LATER.items():
        *sections, name = key.split(".")
        if sections == ["data", "scenes"] and "scenes" not in values["data"]:
            continue  # older than scenes
        functools.reduce(dict.__getitem__, sections, values).setdefault(name, value)
    return ConfigDict(values).lock()
