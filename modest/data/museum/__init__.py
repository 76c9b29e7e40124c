"""The data set: `prepare(...)` makes it once as a TFDS data set, without TensorFlow; `source(builder, split)` reads it.

Builder configs: `procedural` (the embedded museum, small), `procedural_large`, `museum` (the MODEST museum data set itself), and
`folder-<fingerprint>` for any data set in its layout, unpacked or as a zip. `records.py` says what a record holds, `shards.py` how
the files are written.
"""

import contextlib
import dataclasses
import hashlib
import io
import os
import pathlib
import shutil

import tensorflow_datasets as tfds
from absl import logging

from modest import files
from modest.data import folder
from modest.data.museum.builder import LARGE, MODEST, SMALL, Museum, MuseumConfig
from modest.data.museum.listed import BadData
from modest.data.museum.records import BACKGROUNDS, FIGURES, LIBRARY, PICTURES, Records
from modest.vocabulary import InputError

__all__ = [
    "BACKGROUNDS",
    "FIGURES",
    "LARGE",
    "LIBRARY",
    "MODEST",
    "PICTURES",
    "SMALL",
    "Museum",
    "MuseumConfig",
    "identity",
    "prepare",
    "source",
]


def prepare(
    name, directory="", prepared_dir="", changes=None, splits="identity", max_bad_fraction=0.0, beam_runner=None, beam_options=None
):
    """The builder called `name`, prepared on disk; nothing is done a second time.

    A build that is killed goes on where it was when it is asked for again.

    Args:
      name: see above.
      directory: of `folder`, the directory or the zip in the MODEST layout.
      prepared_dir: where prepared data sets are kept; empty: `$TFDS_DATA_DIR` or `~/tensorflow_datasets`.
      changes: of the procedural ones, fields of `procedural.Museum` to change; the result is kept under a name of its own.
      splits: of `folder` and `museum`, `identity` or `original` (see `splits.py`).
      max_bad_fraction: of these, the share of composites that may be left out because they cannot be used.
      beam_runner: of Apache Beam, which then writes the data set, for those too large for one machine.
      beam_options: a list of Beam's flags.

    Raises:
      InputError: the directory or a picture in it cannot be used, and nothing half-prepared is left; or another process prepares
        this very data set now.
    """
    if name == "folder":
        config = _folder_config(directory, splits, max_bad_fraction)
    elif name == "museum":
        config = _of_splits(MODEST, splits, max_bad_fraction)
    else:
        config = _procedural_config(name, changes or {})
    prepared_dir = prepared_dir or os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets"
    verbosity = logging.get_verbosity()
    logging.set_verbosity(logging.ERROR)  # TFDS warns of every config that is not in its list
    builder = Museum(data_dir=str(pathlib.Path(prepared_dir).expanduser()), config=config, file_format="array_record")
    logging.set_verbosity(verbosity)
    final = pathlib.Path(builder.data_dir)
    if not final.is_dir():
        print(f"preparing {builder.info.full_name} in {final}", flush=True)
        with files.lock(final.parent / f".{final.name}.lock", "preparing"):
            if not final.is_dir():
                options = {"manual_dir": directory or None, "beam_runner": beam_runner, "beam_options": beam_options}
                _build(builder, final, tfds.download.DownloadConfig(try_download_gcs=False, **options))
    return builder


def source(builder, split):
    """The records of `split` (one name, or several joined by `+`), text and pictures as bytes: a sequence."""
    for part in split.split("+"):
        if part not in builder.info.splits:
            have = ", ".join(name for name in builder.info.splits)
            raise InputError(f"{builder.info.full_name} has no split {part!r}; it has {have}")
    return Records(builder.as_data_source(split=split, deserialize_method=tfds.decode.DeserializeMethod.RAW_BYTES))


def identity(builder):
    """What tells one prepared data set from another: name and version, the content's hash, the number of examples by split."""
    return {
        "name": builder.info.full_name,
        "sha256": builder.info.metadata["sha256"],
        "examples": {name: info.num_examples for name, info in builder.info.splits.items()},
    }


def _build(builder, final, download_config):
    """Builds under the lock. What was written stays for the next try if this process dies, and goes if the data are bad."""
    tfds.disable_progress_bar()
    unfinished = builder.unfinished(final.parent)
    incomplete = f"incomplete.*_{final.name}"  # TFDS's own, of a process that died
    for leftover in final.parent.glob(incomplete):
        shutil.rmtree(leftover)
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # TFDS says that it downloads, and there is nothing to download
            builder.download_and_prepare(download_config=download_config)
    except BadData:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise
    finally:
        for leftover in final.parent.glob(incomplete):
            shutil.rmtree(leftover)
    shutil.rmtree(unfinished)


def _procedural_config(name, changes):
    config = {"procedural": SMALL, "procedural_large": LARGE}[name]
    museum = dataclasses.replace(config.museum, **changes)
    if museum == config.museum:
        return config
    digest = hashlib.sha256(repr(museum).encode()).hexdigest()[:8]
    return MuseumConfig(name=f"{name}-{digest}", description=f"{name} with {changes}.", museum=museum, pairs=config.pairs)


def _folder_config(directory, splits, max_bad_fraction):
    fingerprint = folder.open_files(directory).fingerprint()
    config = MuseumConfig(name=f"folder-{fingerprint}", description=f"Composites of {directory}.", directory=str(directory))
    return _of_splits(config, splits, max_bad_fraction)


def _of_splits(config, splits, max_bad_fraction):
    """The config, divided so; where it is not as usual, under a name of its own."""
    changes = [splits] * (splits != "identity") + [f"bad{max_bad_fraction:g}"] * (max_bad_fraction > 0)
    if not changes:
        return config  # TFDS wants the very object for a name that it knows
    return dataclasses.replace(config, name="-".join([config.name, *changes]), splits=splits, max_bad_fraction=max_bad_fraction)
