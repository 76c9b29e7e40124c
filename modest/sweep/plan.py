"""The runs of a sweep: every combination of the values that vary, with its config checked."""

import hashlib
import itertools
import pathlib
import re
import sys
from collections.abc import Sequence
from typing import NamedTuple

from ml_collections import ConfigDict

from modest.errors import InputError
from modest.run import config_files, validation

COMMAND = (sys.executable, "-m", "modest", "train")
LOSSES = "experiments/losses"  # the config whose variants are the values of the key `loss`


class Run(NamedTuple):
    """One combination of the values that vary."""

    values: dict[str, str]  # {key: value} of the keys that vary
    config: str  # name of the config, with its variant
    overrides: list[str]  # command-line overrides; those common to all runs come first
    workdir: pathlib.Path
    settings: ConfigDict  # the config with the overrides

    @property
    def setting(self) -> tuple[str, ...]:
        """Return the row of the table that this run belongs to: all values except the seed."""
        return tuple(value for key, value in self.values.items() if key != "seed")

    @property
    def command(self) -> list[str]:
        """Return the command that trains this run."""
        return [
            *COMMAND,
            f"--config={self.config}",
            f"--workdir={self.workdir}",
            *self.overrides,
        ]


def plan(
    config: str | None, vary: Sequence[str], common: Sequence[str], workdir: str | pathlib.Path
) -> list[Run]:
    """Return the runs of a sweep: the product of all values. The last key changes fastest.

    Args:
      config: name of the config; None if the key `config` varies.
      vary: texts `key=value,value,...`; see `commands/sweep.py`.
      common: overrides `--config.key=value` for every run.
      workdir: directory of the sweep.

    Raises:
      InputError: an argument cannot be parsed, a key or a value is repeated, or the config of a run
        is invalid.
    """
    varied = {}
    for text in vary:
        key, values = _parse(text)
        if key in varied or len(set(values)) < len(values):
            raise InputError(f"--vary {text}: the key or a value is repeated")
        varied[key] = values
    if (config is None) != ("config" in varied):
        raise InputError("give the config, by --config or by --vary config=...")
    for override in common:
        if not re.match(r"--config\.[\w.]+=", override):
            raise InputError(
                f"{override!r}: an override for all runs is written --config.key=value, after --"
            )
    combinations = itertools.product(*varied.values())
    return [
        _run_of(config, dict(zip(varied, combination)), common, pathlib.Path(workdir))
        for combination in combinations
    ]


def split(text: str) -> list[str]:
    """Split a list at its commas, except inside brackets or quotes; strip quotes around a value.

    Raises:
      InputError: a value is empty, or a bracket or a quote is not closed.
    """
    parts, depth, quote = [""], 0, ""
    for c in text:
        if c == "," and not depth and not quote:
            parts.append("")
            continue
        parts[-1] += c
        if quote:
            quote = "" if c == quote else quote
        elif c in "'\"":
            quote = c
        else:
            depth += (c in "([{") - (c in ")]}")
    parts = [part.strip() for part in parts]
    if depth or quote or not all(parts):
        raise InputError(
            f"--vary ...={text}: a value is empty, or a bracket or a quote is not closed"
        )
    return [part[1:-1] if part[0] in "'\"" and part[0] == part[-1] else part for part in parts]


def run_name(values: dict[str, str]) -> str:
    """Return the directory name of a run, such as `loss=bce_rmse,seed=0`.

    A value that is long, or has other characters than letters, digits and `_.+-`, is shortened and
    gets a hash that makes it unique.
    """
    parts = []
    for key, value in values.items():
        safe = re.sub(r"[^A-Za-z0-9_.+-]+", "-", value)[:40]
        if safe != value:
            safe += f"-{hashlib.sha256(value.encode()).hexdigest()[:6]}"
        parts.append(f"{key}={safe}")
    return ",".join(parts)


def _parse(text):
    """Parse `key=value,value,...`."""
    key, equals, values = text.partition("=")
    if not (equals and re.fullmatch(r"[\w.]+", key)):
        raise InputError(f"--vary {text}: must be key=value,value,...")
    return key, split(values)


def _run_of(config, values, common, workdir):
    """Return the `Run` of one combination, and check its config."""
    name = run_name(values)
    config = values.get("config", config)
    overrides = list(common)
    for key, value in values.items():
        if f"--config.{key}" in (override.partition("=")[0] for override in common):
            raise InputError(f"--config.{key}: is also varied; give it in one place")
        overrides += _overrides(key, value)
    try:
        settings = config_files.read(config, overrides)
        validation.validate(settings)
    except InputError as error:
        raise InputError(f"{name}: {error}") from None
    return Run(values, config, overrides, workdir / name, settings)


def _overrides(key, value):
    """Return the command-line overrides that set a key to a value."""
    if key == "config":
        return []
    if key != "loss":
        return [f"--config.{key}={value}"]
    weights = config_files.load(f"{LOSSES}:{value}").loss
    return [
        f"--config.loss.{head}.{name}={weight}"
        for head, of_head in weights.items()
        for name, weight in of_head.items()
    ]
