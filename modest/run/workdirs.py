"""The work directory of a run: the names of its files, its lock, and the check before resuming."""

import contextlib
import pathlib
from collections.abc import Iterator

from ml_collections import ConfigDict

from modest.errors import InputError
from modest.run import configs, files

# What a run leaves in its work directory. `configs.FILE` is there too.
LOCK = ".lock"
METRICS = "metrics.jsonl"
CHECKPOINTS = "checkpoints"
EVAL = "eval.json"
EVAL_DETAILS = "eval_details.json"
EVAL_PICTURES = "eval_pictures.csv"
EVAL_EXTREMES = "eval_extremes.npz"
PREDICTIONS = "predictions.npz"
LR_RANGE = "lr_range.json"
FIGURES = "figures"
REPORT = "report.html"
PROFILE = "profile"

# Config keys that must not change between a run and its resumption; so must not the section of
# `data` that is named after `data.source`.
FIXED_KEYS = (
    "model",
    "data.name",
    "data.source",
    "stages",
    "batch_size",
    "seed",
    "optimizer",
    "loss",
    "augment",
    "average",
    "precision",
    "rematerialise",
    "accumulate",
    "init_from",
    "checkpoint.best",
)


@contextlib.contextmanager
def locked(workdir: str | pathlib.Path, exclusive: bool = True) -> Iterator[pathlib.Path]:
    """Create the directory if needed, lock it, and yield its absolute path.

    Args:
      workdir: the work directory.
      exclusive: take the lock. The secondary processes of a distributed run pass False, because
        their main process holds it.

    Raises:
      InputError: the directory cannot be written, or another process has locked it.
    """
    workdir = files.make_directory(pathlib.Path(workdir).resolve(), "--workdir")
    with files.lock(workdir / LOCK, "training in") if exclusive else contextlib.nullcontext():
        yield workdir


@contextlib.contextmanager
def claimed(
    config: ConfigDict, workdir: str | pathlib.Path, exclusive: bool = True
) -> Iterator[pathlib.Path]:
    """Do what `locked` does, and check that the directory belongs to the run with this config.

    Raises:
      InputError: as `locked`; or the directory holds a run with another config.
    """
    with locked(workdir, exclusive) as workdir:
        if exclusive:
            files.remove_unfinished(workdir)
        _check_same_run(config, workdir)
        yield workdir


def check(config: ConfigDict, workdir: str | pathlib.Path) -> None:
    """Raise the error that `claimed` would raise. Call it early, before any slow work."""
    with locked(workdir) as workdir:
        _check_same_run(config, workdir)


def check_dataset(dataset: dict, workdir: pathlib.Path) -> None:
    """Check that the run in `workdir`, if any, was trained on this data set.

    Args:
      dataset: the data set's identity, see `preparation.identity`.
      workdir: the work directory.

    Raises:
      InputError: it was trained on other content.
    """
    saved = configs.load(workdir)
    if saved is None:
        return
    before, now = configs.as_json(configs.get(saved, "dataset")), configs.as_json(dataset)
    if not is_same_data(saved, dataset):
        raise InputError(
            f"{workdir} was trained with data {before}, not {now}; give another --workdir"
        )


def is_same_data(saved: ConfigDict, dataset: dict) -> bool:
    """Return whether a run was trained on a data set with this content, whatever its name.

    Args:
      saved: the `config.json` of the run.
      dataset: the data set's identity, see `preparation.identity`.
    """
    keys = ("sha256", "examples")
    return all(
        configs.as_json(configs.get(saved, f"dataset.{key}")) == configs.as_json(dataset[key])
        for key in keys
    )


def check_kernels(kernels: str, workdir: pathlib.Path, may_differ: bool) -> str:
    """Check that the run in `workdir`, if any, was computed by the same library.

    Args:
      kernels: what computes the networks now, see `kernels.training_backend`.
      workdir: the work directory.
      may_differ: accept another one.

    Returns:
      How they differ, to be shown to the user; empty if they do not.

    Raises:
      InputError: it was computed by another one, and `may_differ` is False.
    """
    before = configs.get(configs.load(workdir), "environment.kernels")
    if before in (None, kernels):
        return ""
    difference = f"{workdir} was trained with the kernels {before!r}, and these are {kernels!r}"
    if not may_differ:
        raise InputError(
            f"{difference}: the results would differ from those of an undisturbed run. Set "
            "MODEST_KERNELS or --config.allow_other_kernels=True"
        )
    return difference


def _check_same_run(config, workdir):
    saved = configs.load(workdir)
    if saved is None:
        if any((workdir / CHECKPOINTS).glob("[0-9]*")):
            raise InputError(
                f"{workdir}: has {CHECKPOINTS}/ but no {configs.FILE}, which says how they were "
                "trained; restore it from a copy, or give another --workdir"
            )
        return
    for key in (*FIXED_KEYS, f"data.{config.data.source}"):
        before, now = (configs.as_json(configs.get(c, key)) for c in (saved, config))
        if before != now:
            raise InputError(
                f"{workdir} was trained with {key} {before}, not {now}; give another --workdir"
            )
