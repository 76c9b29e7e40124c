"""Prepare a data set once with TFDS, without TensorFlow, and read it.

The builder configs are `procedural` (a small synthetic museum), `procedural_large`,
`procedural_world` (indoors and outdoors, people and things), `procedural_mixed` (both), `museum`
(the MODEST museum data set itself), and `folder-<fingerprint>` for any data set in the MODEST
layout.
"""

import contextlib
import dataclasses
import hashlib
import io
import os
import pathlib
import shutil
from typing import Any

import tensorflow_datasets as tfds
from absl import logging

from modest.constants import UNKNOWN_DEPTH, UNKNOWN_DEPTHS
from modest.data import fingerprints, modest_layout
from modest.data.museum.builder import Museum
from modest.data.museum.builder_configs import (
    LARGE,
    MIXED,
    MODEST,
    SMALL,
    WORLD,
    MuseumConfig,
    museum_text,
)
from modest.data.museum.directory_shards import Options, TooManyBadPictures
from modest.data.museum.records import Records, damage_as_input_error
from modest.errors import InputError
from modest.run import files


def prepare(
    name: str,
    directory: str = "",
    prepared_dir: str = "",
    changes: dict[str, Any] | None = None,
    splits: str = "identity",
    max_bad_fraction: float = 0.0,
    beam_runner: str | None = None,
    beam_options: list[str] | None = None,
    masks: str = "auto",
    unknown_depth: int = UNKNOWN_DEPTH,
) -> Museum:
    """Prepare a data set on disk, unless it is there already, and return its builder.

    A build that was killed resumes when it is called again.

    Args:
      name: `procedural` (the embedded data set), `procedural_large`, `procedural_world`,
        `procedural_mixed`, `museum` or `folder`.
      directory: for `folder`, the directory or zip in the MODEST layout; for `museum`, TFDS's
        manual directory, if it is not the default one.
      prepared_dir: where prepared data sets are kept; by default `$TFDS_DATA_DIR` or
        `~/tensorflow_datasets`.
      changes: for the procedural ones, fields of `SyntheticMuseum` to replace; the
        result is kept under a name of its own.
      splits: for `folder` and `museum`, `identity` or `original`; see `splits.divide`.
      max_bad_fraction: for `folder` and `museum`, the share of composites that may be left out as
        unusable.
      beam_runner: Apache Beam's runner, which then writes the data set; for data sets that are too
        large for one machine.
      beam_options: a list of Beam's flags.
      masks: for `folder` and `museum`, `auto` to find out how the masks say what is foreground; or
        `grey`, if everything brighter than 127 is, even if that is nothing.
      unknown_depth: for `folder` and `museum`, the grey level of pixels whose depth is unknown, in
        depth maps that are not JPEG; -1 if every level is a depth.

    Raises:
      InputError: the directory or a picture cannot be used (no partly prepared data set remains);
        another process is preparing this data set; or it is prepared, but damaged.
    """
    if unknown_depth not in UNKNOWN_DEPTHS:
        raise InputError(f"--unknown_depth={unknown_depth}: must be from -1 to 255")
    if not 0 <= max_bad_fraction < 1:
        raise InputError(f"--max_bad_fraction={max_bad_fraction}: must be at least 0 and below 1")
    options = Options(splits, max_bad_fraction, masks, unknown_depth)
    data_dir = _data_dir(prepared_dir)
    if name == "folder":
        if not directory:
            raise InputError("--dir is missing: a directory or zip in the MODEST layout")
        config = _with_options(_folder_config(directory, data_dir), options)
    elif name == "museum":
        config = _with_options(MODEST, options)
    else:
        config = _procedural_config(name, changes or {})
    builder = _builder(config, data_dir)
    final = pathlib.Path(builder.data_dir)
    if not final.is_dir():
        print(f"preparing {builder.info.full_name} in {final}", flush=True)
        with files.lock(final.parent / f".{final.name}.lock", "preparing"):
            if not final.is_dir():
                download_config = tfds.download.DownloadConfig(
                    try_download_gcs=False,
                    manual_dir=directory or None,
                    beam_runner=beam_runner,
                    beam_options=beam_options,
                )
                _build(builder, final, download_config)
        builder = _builder(config, data_dir)  # another process may have built it meanwhile
    _check_complete(builder, final)
    if "masks" not in builder.info.metadata and builder.builder_config.museum is None:
        raise InputError(f"{final}: prepared by an earlier version; delete it to prepare it again")
    return builder


def source(builder: Museum, split: str) -> Records:
    """Open the records of a split.

    Args:
      builder: a prepared data set.
      split: a name, or several joined by `+`.

    Raises:
      InputError: the data set has no such split, or a shard of it is damaged.
    """
    for part in split.split("+"):
        if part not in builder.info.splits:
            have = ", ".join(name for name in builder.info.splits)
            raise InputError(f"{builder.info.full_name} has no split {part!r}; it has {have}")
    raw = tfds.decode.DeserializeMethod.RAW_BYTES
    where = str(builder.data_dir)
    with damage_as_input_error(where):
        return Records(builder.as_data_source(split=split, deserialize_method=raw), where)


def identity(builder: Museum) -> dict[str, Any]:
    """Return what identifies a prepared data set.

    Returns:
      `{"name": name and version, "sha256": hash of the content, "examples": {split: number}}`.
      Data sets with the same content are the same data, whatever their name.
    """
    return {
        "name": builder.info.full_name,
        "sha256": builder.info.metadata["sha256"],
        "examples": {name: info.num_examples for name, info in builder.info.splits.items()},
    }


def _data_dir(prepared_dir):
    prepared_dir = prepared_dir or os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets"
    return pathlib.Path(prepared_dir).expanduser()


def _builder(config, data_dir):
    verbosity = logging.get_verbosity()
    logging.set_verbosity(logging.ERROR)  # TFDS warns of every config that is not in its list
    try:
        with damage_as_input_error(f"{data_dir}/{Museum.name}/{config.name}/{Museum.VERSION}"):
            builder = Museum(data_dir=str(data_dir), config=config, file_format="array_record")
            assert builder.info.metadata is not None  # reads the files of the data set
            return builder
    finally:
        logging.set_verbosity(verbosity)


def _check_complete(builder, final):
    """Raise `InputError` if a file of a prepared data set is missing."""
    again = "delete this directory to prepare it again"
    if not (builder.info.splits and {"sha256", "pairs"} <= builder.info.metadata.keys()):
        raise InputError(f"{final}: holds no complete data set; {again}")
    for info in builder.info.splits.values():
        for path in info.filepaths:
            if not pathlib.Path(path).is_file():
                raise InputError(f"{final}: {pathlib.Path(path).name} is missing; {again}")


def _build(builder, final, download_config):
    """Build the data set; call it only while holding the lock.

    If this process dies, the shards that it wrote remain, to be used when the build resumes. If the
    pictures are bad, the shards are removed.
    """
    tfds.disable_progress_bar()
    unfinished = builder.unfinished(final.parent)
    _remove_incomplete(final)
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # TFDS claims to download something
            builder.download_and_prepare(download_config=download_config)
    except TooManyBadPictures:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise
    finally:
        _remove_incomplete(final)
    shutil.rmtree(unfinished)


def _remove_incomplete(final):
    """Remove TFDS's own temporary directories, which a process that died leaves behind."""
    for leftover in final.parent.glob(f"incomplete.*_{final.name}"):
        shutil.rmtree(leftover)


def _procedural_config(name, changes):
    config = {
        "procedural": SMALL,
        "procedural_large": LARGE,
        "procedural_world": WORLD,
        "procedural_mixed": MIXED,
    }[name]
    museum = dataclasses.replace(config.museum, **changes)
    if museum == config.museum:
        return config
    digest = hashlib.sha256(museum_text(museum).encode()).hexdigest()[:8]
    return MuseumConfig(
        name=f"{name}-{digest}",
        description=f"{name} with {changes}.",
        museum=museum,
        pairs=config.pairs,
    )


def _folder_config(directory, data_dir):
    files = modest_layout.open_files(directory)
    fingerprint = fingerprints.fingerprint(files, data_dir / Museum.name)
    return MuseumConfig(
        name=f"folder-{fingerprint}",
        description=f"Composites of {directory}.",
        directory=files.name,
        content=fingerprint,
    )


def _with_options(config, options):
    """Return the config with these options, under another name if they are not the defaults."""
    default = Options()
    if options == default:
        return config  # not a copy: for a name in its list, TFDS requires the object in the list
    texts = [
        options.splits,
        f"bad{options.max_bad_fraction:g}",
        options.masks,
        f"unknown{options.unknown_depth}",
    ]
    suffixes = [text for text, x, usual in zip(texts, options, default) if x != usual]
    return dataclasses.replace(config, name="-".join([config.name, *suffixes]), options=options)
