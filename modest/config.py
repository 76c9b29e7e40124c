"""Checks a whole config before any work is done, and keeps it beside the results as JSON.

`validate` needs no device and does not import JAX, so a mistake is told at once.
"""

import functools
import json
import math
import pathlib

from ml_collections import ConfigDict

from modest import files
from modest.vocabulary import SPLITS, TARGETS, InputError

FILE = "config.json"
STRIDES = {"masknet": 1, "depthnet": 32, "unet": 16}  # what the picture's size must be divisible by
HEADS = {"masknet": ("mask",), "depthnet": TARGETS, "unet": TARGETS}
METRICS = {
    "mask": ("iou", "iou_soft", "dice", "precision", "recall", "boundary_f1"),
    "depth": ("rmse", "mae", "abs_rel", "rmse_log", "delta1", "delta2", "delta3", "ssim"),
}
MIN_SIZES = {"ssim": 11, "ms_ssim": 161}  # px, of the losses with a window
DATA = ("procedural", "procedural_large", "museum", "folder")
SOURCES = ("records", "library")  # of training composites
SPLITTINGS = ("identity", "original")  # see data/splits.py
PRECISIONS = ("float32", "bfloat16")
SCHEDULES = ("constant", "step", "plateau", "one_cycle", "cosine", "trapezoid")

# What a key that came later means for a run whose `config.json` has none.
LATER = {
    "average": 0.0,
    "early_stop": 0,
    "init_from": "",
    "optimizer.clip_norm": 0.0,
    "optimizer.trapezoid": {"epochs": 3},
    "checkpoint.steps": 0,
    "stall_seconds": 0,
    "precision": "float32",
    "rematerialise": False,
    "accumulate": 1,
    "augment.crop": {"probability": 0.0, "padding": 0.125},
    "augment.rotation": {"probability": 0.0, "degrees": 10.0},
    "augment.blur": {"probability": 0.0, "sigma": 1.4},
    "augment.cutout": {"probability": 0.0, "squares": 1, "size": 0.25},
    "augment.iso_noise": {"probability": 0.0, "color_shift": 0.05, "intensity": 0.5},
}


def validate(config, reads_data=True):
    """Raises `InputError`, one line that names the key, for the first value that cannot be trained or evaluated with.

    The files of the data are only looked for by what `reads_data`.
    """
    _check_model(config)
    _check_stages(config)
    _check_losses(config)
    _check_optimizer(config.optimizer)
    _check_augment(config.augment)
    _check_data(config.data, reads_data)
    for key in (
        "batch_size",
        "accumulate",
        "log_every",
        "data.threads",
        "checkpoint.every",
        "eval.batch_size",
        "eval.pictures",
    ):
        _at_least(key, get(config, key), 1)
    _at_least("early_stop", config.early_stop, 0)
    _at_least("stall_seconds", config.stall_seconds, 0)
    _at_least("checkpoint.steps", config.checkpoint.steps, 0)
    _at_least("checkpoint.keep", config.checkpoint.keep, 2)  # one to go back to
    if not 0 <= config.seed < 2**32:
        raise InputError(f"--config.seed={config.seed}: must be at least 0 and less than 2**32")
    if not 0 <= config.average < 1:
        raise InputError(f"--config.average={config.average}: must be at least 0 and less than 1")
    _at_least("lr_range.steps", config.lr_range.steps, 2)
    if not (0 < config.lr_range.lowest < config.lr_range.highest < math.inf):
        raise InputError(f"--config.lr_range.lowest={config.lr_range.lowest}: must be above 0 and below lr_range.highest")
    _one_of("precision", config.precision, PRECISIONS)
    steps = config.profile
    if steps and not (len(steps) == 2 and all(isinstance(step, int) for step in steps) and 1 <= steps[0] <= steps[1]):
        raise InputError(f"--config.profile={steps}: must be empty or (first step, last step), from 1 on")
    for name in config.eval.splits.split(",") if config.eval.splits != "all" else ():
        _one_of("eval.splits", name, (*SPLITS, "all"))
    heads = HEADS[config.model.name]
    _one_of("checkpoint.best", config.checkpoint.best, ("loss", *(f"{head}/{name}" for head in heads for name in METRICS[head])))


def validate_devices(config, devices):
    """Raises `InputError` where a global batch cannot be split over that many devices."""
    for key in ("batch_size", "eval.batch_size"):
        if get(config, key) % devices:
            raise InputError(
                f"--config.{key}={get(config, key)} cannot be split over {devices} devices; use a multiple of {devices}"
            )


def get(config, key):
    """The value at a dotted `key`, such as `data.name`; None where there is none, as in the `config.json` of an older version."""
    for part in key.split("."):
        if part not in config:
            return None
        config = config[part]
    return config


def as_json(value):
    """A value of the config as it stands in `config.json`, for comparing and for showing."""
    return json.dumps(value.to_dict() if isinstance(value, ConfigDict) else value, sort_keys=True)


def save(config, workdir, dataset, environment=None):
    """Writes the config to `workdir`, under `dataset` what identifies the data, under `environment` what it ran with."""
    text = json.dumps(config.to_dict() | {"dataset": dataset, "environment": environment}, indent=2, sort_keys=True)
    files.write(pathlib.Path(workdir) / FILE, (text + "\n").encode())


def load(workdir):
    """The config that was saved in `workdir`, or None where there is none."""
    path = pathlib.Path(workdir) / FILE
    if not path.is_file():
        return None
    values = json.loads(path.read_text())
    for key, value in LATER.items():
        *sections, name = key.split(".")
        functools.reduce(dict.__getitem__, sections, values).setdefault(name, value)
    return ConfigDict(values).lock()


def _check_model(config):
    model = config.model
    _one_of("model.name", model.name, tuple(STRIDES))
    unknown = set(model) - {"name", "width"} if model.name != "masknet" else set(model) - {"name"}
    if unknown:
        raise InputError(f"--config.model.{min(unknown)}: {model.name} has no such option")
    if "width" in model:
        _at_least("model.width", model.width, 1)


def _check_stages(config):
    if not config.stages:
        raise InputError("--config.stages is empty: give ((size, epochs), ...)")
    for stage in config.stages:
        if not (isinstance(stage, (tuple, list)) and len(stage) == 2 and all(type(x) is int and x >= 1 for x in stage)):
            raise InputError(f"--config.stages: {stage!r} is not a pair (size in px, epochs) of whole numbers from 1 on")
        stride = STRIDES[config.model.name]
        if stage[0] % stride:
            raise InputError(f"--config.stages: {config.model.name} takes sizes divisible by {stride}, not {stage[0]}")


def _check_data(data, reads_data):
    _one_of("data.name", data.name, DATA)
    _one_of("data.source", data.source, SOURCES)
    for section in ("procedural", "library"):
        for key, value in data[section].items():
            _at_least(f"data.{section}.{key}", value, 1 if key == "places" else 0)
    for key in ("scale", "shadow", "exposure"):
        if data.library[key] >= 1:
            raise InputError(f"--config.data.library.{key}={data.library[key]}: must be less than 1")
    if data.name.startswith("procedural"):
        return
    _one_of("data.splits", data.splits, SPLITTINGS)
    if not 0 <= data.max_bad_fraction < 1:
        raise InputError(f"--config.data.max_bad_fraction={data.max_bad_fraction}: must be at least 0 and less than 1")
    if data.name != "folder" or not reads_data:
        return
    if not data.dir:
        raise InputError("--config.data.dir is empty: data.name=folder reads a directory in the MODEST layout")
    path = pathlib.Path(data.dir)
    if not (path / "file_map.txt").is_file() and not path.is_file():
        raise InputError(f"--config.data.dir={data.dir}: neither a zip nor a directory with a file_map.txt")


def _check_losses(config):
    smallest = min(size for size, _ in config.stages)
    weights = {(head, name): w for head, losses in config.loss.items() for name, w in losses.items()}
    for (head, name), weight in weights.items():
        key = f"loss.{head}.{name}"
        _at_least(key, weight, 0)
        if weight and head not in HEADS[config.model.name]:
            raise InputError(f"--config.{key}={weight}: {config.model.name} has no {head}; set it to 0")
        if weight and smallest < MIN_SIZES.get(name, 1):
            raise InputError(f"--config.{key}={weight}: needs {MIN_SIZES[name]} px or more, and a stage has {smallest}")
    if not any(weights.values()):
        raise InputError("--config.loss: every weight is 0, there is nothing to train")


def _check_optimizer(optimizer):
    _one_of("optimizer.schedule", optimizer.schedule, SCHEDULES)
    if not (math.isfinite(optimizer.learning_rate) and optimizer.learning_rate > 0):
        raise InputError(f"--config.optimizer.learning_rate={optimizer.learning_rate}: must be a finite number above 0")
    for key in ("weight_decay", "clip_norm"):
        _at_least(f"optimizer.{key}", optimizer[key], 0)
    for key in ("momentum", "warmup"):
        if not 0 <= optimizer[key] < 1:
            raise InputError(f"--config.optimizer.{key}={optimizer[key]}: must be at least 0 and less than 1")
    for name in ("step", "plateau", "trapezoid"):
        _at_least(f"optimizer.{name}.epochs", optimizer[name].epochs, 1)
    for name in ("step", "plateau"):
        if not 0 < optimizer[name].factor < 1:
            raise InputError(f"--config.optimizer.{name}.factor={optimizer[name].factor}: must be between 0 and 1")


def _check_augment(augment):
    largest = {"rotation.degrees": 180, "blur.sigma": 10, "cutout.squares": 16}  # of all others 1
    values = {"flip": augment.flip}
    for group in ("hue_saturation_value", "brightness_contrast", "crop", "rotation", "blur", "cutout", "iso_noise"):
        values |= {f"{group}.{name}": value for name, value in augment[group].items()}
    for key, value in values.items():
        if not 0 <= value <= largest.get(key, 1):
            raise InputError(f"--config.augment.{key}={value}: must be between 0 and {largest.get(key, 1)}")
    if type(augment.cutout.squares) is not int:
        raise InputError(f"--config.augment.cutout.squares={augment.cutout.squares}: must be a whole number")


def _one_of(key, value, allowed):
    if value not in allowed:
        raise InputError(f"--config.{key}={value}: must be one of {', '.join(allowed)}")


def _at_least(key, value, least):
    if not (math.isfinite(value) and value >= least):
        raise InputError(f"--config.{key}={value}: must be a number from {least} on")
