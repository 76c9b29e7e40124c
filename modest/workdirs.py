"""The work directory before any work: writable, this process's alone, and of the same run as before."""

import contextlib
import pathlib

from modest import config as configs
from modest import files
from modest.vocabulary import InputError

LOCK = ".lock"

# What may not change between a run and its resumption.
SAME = (
    "model",
    "data.name",
    "data.dir",
    "data.source",
    "data.library",
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
def locked(workdir, alone=True):
    """The directory's absolute path, made if need be; if `alone`, no other process can lock it while in the block.

    Raises:
      InputError: it cannot be written, or another process has locked it.
    """
    workdir = files.make_directory(pathlib.Path(workdir).resolve(), "--workdir")
    with files.lock(workdir / LOCK, "training in") if alone else contextlib.nullcontext():
        yield workdir


@contextlib.contextmanager
def held(config, workdir, alone=True):
    """The directory's absolute path, made if need be; no other process can hold it while in the block.

    Not `alone`, the run has other processes, one of which holds it.

    Raises:
      InputError: it cannot be written, another process is training in it, or another run was.
    """
    with locked(workdir, alone) as workdir:
        if alone:
            files.remove_unfinished(workdir)
        before = configs.load(workdir)
        for key in SAME if before is not None else ():
            was, now = (configs.as_json(configs.get(c, key)) for c in (before, config))
            if was != now:
                raise InputError(f"{workdir} was trained with {key} {was}, not {now}; give another --workdir")
        yield workdir


def check_dataset(dataset, workdir):
    """Raises `InputError` for a directory that was trained in with data of the same name but other content."""
    before = configs.load(workdir)
    if before is not None and configs.as_json(configs.get(before, "dataset")) != configs.as_json(dataset):
        raise InputError(
            f"{workdir} was trained with data {configs.as_json(configs.get(before, 'dataset'))}, not {configs.as_json(dataset)}; "
            "give another --workdir"
        )
