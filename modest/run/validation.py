"""Checks of a whole config before any work is done.

Every error names the key as it is written on the command line, such as `--config.batch_size=0`.
"""

import dataclasses
import math
import pathlib
from typing import Any

from ml_collections import ConfigDict

from modest import losses, metrics, models
from modest.constants import (
    DATASETS,
    JPEG_UNIT,
    MASKS,
    SOURCES,
    SPLITS,
    SPLITTINGS,
    UNASSIGNED,
    UNKNOWN_DEPTHS,
)
from modest.errors import InputError
from modest.run import config_files, configs

PRECISIONS = ("float32", "bfloat16")
SCHEDULES = ("constant", "step", "plateau", "one_cycle", "cosine", "trapezoid")
LIMITS_OF_AUGMENT = {"rotation.degrees": 180, "blur.sigma": 10, "cutout.squares": 16}  # others: 1
SWITCHED_OFF_BY_PROBABILITY = (
    "hue_saturation_value",
    "brightness_contrast",
    "crop",
    "rotation",
    "blur",
    "cutout",
    "iso_noise",
)
AT_LEAST_ONE = (
    "batch_size",
    "accumulate",
    "log_every",
    "data.threads",
    "checkpoint.every",
    "eval.batch_size",
    "eval.pictures",
)
SHARES_OF_SCENES = (
    "reflection",
    "screens",
    "panes",
    "video",
    "empty",
    "gone",
    "standing",
    "outside",
    "shadow",
    "cast",
    "strays",
    "darkness",
    "exposure",
    "white_balance",
    "light",
    "coarse",
)
KINDS = {
    bool: "True or False",
    int: "a whole number",
    float: "a number",
    str: "text",
    tuple: "a tuple",
}
MOST_STALL_SECONDS = 10**6
AT_LEAST_ZERO = ("early_stop", "stall_seconds", "checkpoint.steps")


def validate(config: ConfigDict, reads_data: bool = True) -> None:
    """Check that the config can be trained or evaluated with.

    Args:
      config: the config.
      reads_data: also check that the data set's files exist.

    Raises:
      InputError: one line that names the first key with a value that cannot be used.
    """
    _check_keys(config, config_files.recipe())
    network = _check_model(config.model)
    _check_stages(config.stages, config.model.name, network)
    _check_losses(config, network)
    _check_optimizer(config.optimizer)
    _check_augment(config.augment)
    _check_data(config.data, reads_data)
    _check_sizes_of_scenes(config)
    for key in AT_LEAST_ONE:
        _at_least(key, configs.get(config, key), 1)
    for key in AT_LEAST_ZERO:
        _at_least(key, configs.get(config, key), 0)
    if config.stall_seconds > MOST_STALL_SECONDS:
        raise InputError(
            f"--config.stall_seconds={config.stall_seconds}: must be at most {MOST_STALL_SECONDS}"
        )
    _at_least("checkpoint.keep", config.checkpoint.keep, 2)  # a damaged one leaves one to resume
    if not 0 <= config.seed < 2**32:
        raise InputError(f"--config.seed={config.seed}: must be at least 0 and less than 2**32")
    if not 0 <= config.average < 1:
        raise InputError(f"--config.average={config.average}: must be at least 0 and less than 1")
    _one_of("precision", config.precision, PRECISIONS)
    _check_lr_range(config.lr_range)
    _check_profile(config.profile)
    _check_splits(config.eval.splits)
    scores = [f"{head}/{name}" for head in network.heads for name in metrics.METRICS[head]]
    _one_of("checkpoint.best", config.checkpoint.best, ("loss", *scores))


def _check_splits(text):
    names = text.split(",")
    if text == "all":
        return
    for name in names:
        _one_of("eval.splits", name, (*SPLITS, UNASSIGNED))
    if len(set(names)) < len(names):
        raise InputError(f"--config.eval.splits={text}: names a split twice")


def validate_devices(config: ConfigDict, devices: int) -> None:
    """Raise `InputError` if a global batch cannot be split evenly over that many devices."""
    for key in ("batch_size", "eval.batch_size"):
        if configs.get(config, key) % devices:
            raise InputError(
                f"--config.{key}={configs.get(config, key)} cannot be split over {devices} "
                f"devices; use a multiple of {devices}"
            )


def _check_keys(config, recipe, section=""):
    """Check that a config has the keys of the default recipe, with values of the same types."""
    for name in sorted({*config, *recipe}):
        key = f"{section}{name}"
        if name not in recipe:
            raise InputError(f"--config.{key}: no such key; see configs/depthnet.py")
        if name not in config:
            raise InputError(f"--config.{key} is missing; see configs/depthnet.py")
        value, usual = config[name], recipe[name]
        _check_type(key, value, usual)
        if key in ("loss.mask", "loss.depth"):  # other programs may add losses
            for loss, weight in value.items():
                _check_type(f"{key}.{loss}", weight, 1.0)
        elif key != "model" and isinstance(usual, ConfigDict):
            _check_keys(value, usual, f"{key}.")


def _check_type(key, value, usual):
    """Check that a value has the type of the usual one."""
    if _is_of_type(value, usual):
        return
    if isinstance(usual, ConfigDict):
        raise InputError(f"--config.{key}: must be a section, not {type(value).__name__}")
    if isinstance(value, ConfigDict):
        raise InputError(f"--config.{key}: must be {KINDS[type(usual)]}, not a section")
    raise InputError(f"--config.{key}={value!r}: must be {KINDS[type(usual)]}, such as {usual!r}")


def _is_of_type(value, usual):
    if isinstance(usual, bool) or isinstance(value, bool):
        return isinstance(usual, bool) and isinstance(value, bool)
    if isinstance(usual, float):
        return isinstance(value, (int, float))
    if isinstance(usual, tuple):
        return isinstance(value, (tuple, list))
    return isinstance(value, type(usual))


def _check_model(model):
    """Check the section `model`; return the class of the network."""
    if "name" not in model:
        raise InputError("--config.model.name is missing")
    _one_of("model.name", model.name, tuple(models.NETWORKS))
    network = models.NETWORKS[model.name]
    options = {field.name for field in dataclasses.fields(network)} - models.NOT_IN_CONFIG
    unknown = set(model) - options - {"name"}
    if unknown:
        raise InputError(f"--config.model.{min(unknown)}: {model.name} has no such option")
    for name in set(model) - {"name"}:
        _check_type(f"model.{name}", model[name], getattr(network, name))
    if "width" in model:
        _at_least("model.width", model.width, 1)
    if "widths" in model:
        _check_widths(model.widths, len(network.widths))
    return network


def _check_widths(widths, count):
    if len(widths) != count or not all(isinstance(x, int) and x >= 1 for x in widths):
        raise InputError(
            f"--config.model.widths={widths}: must be {count} whole numbers of at least 1"
        )


def _check_stages(stages, name, network):
    if not stages:
        raise InputError("--config.stages is empty: give ((size, epochs), ...)")
    for stage in stages:
        if not (_is_pair_of_ints(stage) and min(stage) >= 1):
            raise InputError(
                f"--config.stages: {stage!r} is not a pair (size in px, epochs) of whole numbers "
                "above 0"
            )
        if stage[0] % network.stride:
            raise InputError(
                f"--config.stages: {name} takes sizes divisible by {network.stride}, not {stage[0]}"
            )


def _check_sizes_of_scenes(config):
    uneven = [size for size, _ in config.stages if size % JPEG_UNIT]
    compression = [name for name in ("jpeg", "video") if config.data.scenes[name]]
    if config.data.source == "scenes" and compression and uneven:
        raise InputError(
            f"--config.stages: data.scenes.{compression[0]} needs sizes divisible by {JPEG_UNIT}, "
            f"not {uneven[0]}"
        )


def _check_data(data, reads_data):
    _one_of("data.name", data.name, DATASETS)
    _one_of("data.source", data.source, SOURCES)
    for section in ("procedural", "library", "scenes"):
        for key, value in data[section].items():
            _at_least(f"data.{section}.{key}", value, 1 if key in ("places", "figures") else 0)
    below_one = {"library": ("scale", "shadow", "exposure"), "procedural": ("shadow", "exposure")}
    for section, keys in below_one.items():
        for key in keys:
            if data[section][key] >= 1:
                raise InputError(
                    f"--config.data.{section}.{key}={data[section][key]}: must be less than 1"
                )
    if data.procedural.jpeg_quality > 100:
        raise InputError(
            f"--config.data.procedural.jpeg_quality={data.procedural.jpeg_quality}: must be at "
            "most 100"
        )
    _check_scenes(data.scenes)
    if data.name.startswith("procedural"):
        return
    _one_of("data.splits", data.splits, SPLITTINGS)
    _one_of("data.masks", data.masks, MASKS)
    if data.unknown_depth not in UNKNOWN_DEPTHS:
        raise InputError(
            f"--config.data.unknown_depth={data.unknown_depth}: must be from -1 to 255"
        )
    if not 0 <= data.max_bad_fraction < 1:
        raise InputError(
            f"--config.data.max_bad_fraction={data.max_bad_fraction}: must be at least 0 and "
            "less than 1"
        )
    if data.name == "folder" and reads_data:
        _check_directory(data.dir)


def _check_scenes(scenes):
    for key in SHARES_OF_SCENES:
        if scenes[key] > 1:
            raise InputError(f"--config.data.scenes.{key}={scenes[key]}: must be between 0 and 1")
    if not 0 < scenes.smallest <= scenes.largest:
        raise InputError(
            f"--config.data.scenes.smallest={scenes.smallest}: must be above 0 and not above "
            f"data.scenes.largest={scenes.largest}"
        )
    if scenes.squeeze >= 1:
        raise InputError(f"--config.data.scenes.squeeze={scenes.squeeze}: must be less than 1")
    if scenes.jpeg > 98:
        raise InputError(f"--config.data.scenes.jpeg={scenes.jpeg}: must be between 0 and 98")


def _check_directory(directory):
    if not directory:
        raise InputError(
            "--config.data.dir is empty: data.name=folder reads a directory in the MODEST layout"
        )
    path = pathlib.Path(directory).expanduser()
    if not (path / "file_map.txt").is_file() and not path.is_file():
        raise InputError(
            f"--config.data.dir={directory}: neither a zip nor a directory with a file_map.txt"
        )


def _check_losses(config, network):
    smallest = min(size for size, _ in config.stages)
    weights = {
        (head, name): weight
        for head, of_head in config.loss.items()
        for name, weight in of_head.items()
    }
    for (head, name), weight in weights.items():
        key = f"loss.{head}.{name}"
        _at_least(key, weight, 0)
        _one_of(f"loss.{head}.*", name, tuple(losses.LOSSES))
        if weight and head not in network.heads:
            raise InputError(
                f"--config.{key}={weight}: {config.model.name} has no {head}; set it to 0"
            )
        if weight and smallest < losses.MIN_SIZES.get(name, 1):
            raise InputError(
                f"--config.{key}={weight}: needs {losses.MIN_SIZES[name]} px or more, and a stage "
                f"has {smallest}"
            )
    if not any(weights.values()):
        raise InputError("--config.loss: every weight is 0, there is nothing to train")


def _check_optimizer(optimizer):
    _one_of("optimizer.schedule", optimizer.schedule, SCHEDULES)
    if not (math.isfinite(optimizer.learning_rate) and optimizer.learning_rate > 0):
        raise InputError(
            f"--config.optimizer.learning_rate={optimizer.learning_rate}: must be a finite number "
            "above 0"
        )
    for key in ("weight_decay", "clip_norm"):
        _at_least(f"optimizer.{key}", optimizer[key], 0)
    for key in ("momentum", "warmup"):
        if not 0 <= optimizer[key] < 1:
            raise InputError(
                f"--config.optimizer.{key}={optimizer[key]}: must be at least 0 and less than 1"
            )
    for name in ("step", "plateau", "trapezoid"):
        _at_least(f"optimizer.{name}.epochs", optimizer[name].epochs, 1)
    for name in ("step", "plateau"):
        if not 0 < optimizer[name].factor < 1:
            raise InputError(
                f"--config.optimizer.{name}.factor={optimizer[name].factor}: must be between "
                "0 and 1"
            )


def _check_augment(augment):
    values = {"flip": augment.flip}
    for group in SWITCHED_OFF_BY_PROBABILITY:
        values |= {f"{group}.{name}": value for name, value in augment[group].items()}
    for key, value in values.items():
        limit = LIMITS_OF_AUGMENT.get(key, 1)
        if not 0 <= value <= limit:
            raise InputError(f"--config.augment.{key}={value}: must be between 0 and {limit}")


def _check_lr_range(lr_range):
    _at_least("lr_range.steps", lr_range.steps, 2)
    if not 0 < lr_range.lowest < lr_range.highest < math.inf:
        raise InputError(
            f"--config.lr_range.lowest={lr_range.lowest}: must be above 0 and below "
            "lr_range.highest"
        )


def _check_profile(steps):
    if steps and not (_is_pair_of_ints(steps) and 1 <= steps[0] <= steps[1]):
        raise InputError(
            f"--config.profile={steps}: must be empty or (first step, last step), counted from 1"
        )


def _is_pair_of_ints(value):
    return (
        isinstance(value, (tuple, list))
        and len(value) == 2
        and all(type(number) is int for number in value)
    )


def _one_of(key: str, value: Any, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise InputError(f"--config.{key}={value}: must be one of {', '.join(allowed)}")


def _at_least(key: str, value: float, least: float) -> None:
    if not (math.isfinite(value) and value >= least):
        raise InputError(f"--config.{key}={value}: must be a number of at least {least}")
