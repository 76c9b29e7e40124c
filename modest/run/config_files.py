"""Config files: found by path or by name, read, and changed by overrides from the command line.

A config is named `NAME` or `NAME:VARIANT`. `NAME` is a path, such as `configs/depthnet.py`, or a
short name, such as `depthnet` or `experiments/losses`: a file in `configs/` beside the `modest`
package (a clone of the repository), or else in the copy of `configs/` inside the installed package.
"""

import difflib
import importlib.util
import pathlib
import re
import traceback
from collections.abc import Sequence
from typing import Any

from absl import flags
from ml_collections import ConfigDict, config_flags

from modest.errors import InputError

PACKAGE = pathlib.Path(__file__).resolve().parents[1]
RECIPE = "depthnet.py"  # the default recipe
DIRECTORIES = (PACKAGE.parent / "configs", PACKAGE / "configs")  # in a clone, in a wheel


def read(name: str, overrides: Sequence[str] = ()) -> ConfigDict:
    """Return the config called `name`, changed by the overrides, and locked.

    Args:
      name: a config as described at the top of this module.
      overrides: `--config.key=value` or `--config.key value`, as `ml_collections` takes them;
        `--config.key` and `--noconfig.key` set a bool.

    Raises:
      InputError: there is no such config, it fails, or an override does not fit it.
    """
    config = load(name)
    _check_overrides(config, overrides)
    values = flags.FlagValues()
    try:
        config_flags.DEFINE_config_dict(
            "config", config, flag_values=values, sys_argv=list(overrides)
        )
        values(["modest", *overrides])
    except (flags.Error, TypeError, ValueError, SyntaxError) as error:
        raise InputError(" ".join(str(error).split())) from None
    return values.config


def load(name: str) -> ConfigDict:
    """Return `get_config(VARIANT)` of the config file called `name`. The file is executed.

    Raises:
      InputError: there is no such file, it fails, or it returns no `ConfigDict`.
    """
    file, _, variant = name.partition(":")
    path = find(file)
    try:
        module = _execute(path)
        config = module.get_config(*([variant] if variant else []))
    except InputError:
        raise
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        if isinstance(error, ValueError):  # how a config refuses a variant
            reason = str(error)
        raise InputError(f"--config={name}: {path}{_line_in(path, error)}: {reason}") from None
    if not isinstance(config, ConfigDict):
        raise InputError(f"--config={name}: get_config() returned {type(config).__name__}")
    return config


def recipe() -> ConfigDict:
    """Return the default recipe, `configs/depthnet.py`, from which other configs are derived."""
    for directory in DIRECTORIES:
        if (directory / RECIPE).is_file():
            return load(str(directory / RECIPE))
    raise InputError(f"{RECIPE}: no such config")


def find(file: str) -> pathlib.Path:
    """Return the path of a config file, given by path or by short name.

    Raises:
      InputError: there is no such file; the message lists the short names.
    """
    path = pathlib.Path(file)
    if path.is_file():
        return path
    for directory in DIRECTORIES:
        named = directory / f"{file.removesuffix('.py')}.py"
        if named.is_file():
            return named
    raise InputError(f"--config={file}: no such file; the names are {', '.join(names())}")


def names() -> list[str]:
    """Return the short names of all config files."""
    found = (directory for directory in DIRECTORIES if directory.is_dir())
    for directory in found:
        paths = sorted(directory.rglob("*.py"))
        return [str(path.relative_to(directory).with_suffix("")) for path in paths]
    return []


def short_name(name: str) -> str:
    """Return a name for a run: "depthnet_museum" for `configs/depthnet.py:museum`."""
    file, _, variant = name.partition(":")
    return "_".join(part for part in (pathlib.Path(file).stem, variant) if part)


def _execute(path: pathlib.Path) -> Any:
    """Execute a Python file and return the module."""
    spec = importlib.util.spec_from_file_location(f"modest_config_{path.stem}", path)
    if spec is None or spec.loader is None:  # the suffix is not .py
        raise InputError(f"--config={path}: not a Python file")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _line_in(path, error):
    """Return ", line N" if an error comes from line N of a file, otherwise an empty text."""
    if isinstance(error, SyntaxError) and pathlib.Path(error.filename or "") == path.absolute():
        return f", line {error.lineno}"
    frames = traceback.extract_tb(error.__traceback__)
    lines = [f.lineno for f in frames if pathlib.Path(f.filename) == path.absolute()]
    return f", line {lines[-1]}" if lines else ""


def _check_overrides(config, overrides):
    """Refuse arguments that are not overrides, and overrides of keys that do not exist."""
    waiting = ""  # an override whose value is the next argument
    for override in overrides:
        match = re.match(r"--?(?:no)?config\.([^=]*)(=?)", override)
        if waiting and (match or override.startswith("--")):
            raise InputError(f"{waiting} has no value; overrides are written --config.key=value")
        if waiting:
            waiting = ""
            continue
        if not match:
            raise InputError(
                f"{override!r} is not an option; overrides are written --config.key=value"
            )
        section, known = config, True
        for part in match[1].split("."):
            known = isinstance(section, ConfigDict) and part in section
            if not known:
                break
            section = section[part]
        if not known:
            keys = list(section) if isinstance(section, ConfigDict) else []
            close = difflib.get_close_matches(part, keys, n=1)
            hint = f"; did you mean {close[0]}?" if close else ""
            raise InputError(f"--config.{match[1]}: no such key: {part!r}{hint}")
        # `--config.rematerialise` alone means True: the next argument is not its value.
        waiting = "" if match[2] or isinstance(section, bool) else override
    if waiting:
        raise InputError(f"{waiting} has no value; overrides are written --config.key=value")
