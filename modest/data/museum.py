"""The data set as a TFDS builder, without TensorFlow: `prepare(...)` makes it once, `builder.as_data_source(split)` reads it.

Builder configs: `procedural` (the embedded museum, small), `procedural_large`, and `folder-<fingerprint>` for any directory in the
MODEST layout. A record is one composite:

    bg_id, fg_id   text; the background's and the figure's identity
    bg_fg          encoded RGB picture
    mask, depth    encoded one-channel pictures
    box            x, y, width, height of the figure in px

A background is stored once, as a record of the split `backgrounds`: there `bg_fg` is the bare background and `fg_id` is empty.
The other splits are those of `splits.py` that are not empty.

    python -m modest.data.museum [--name procedural] [--dir DIR]     prepares, and prints what each split holds
"""

import argparse
import contextlib
import dataclasses
import functools
import hashlib
import io
import os
import pathlib
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import tensorflow_datasets as tfds

from modest import pictures
from modest.data import compose, folder, procedural, splits
from modest.vocabulary import SPLITS, InputError

BACKGROUNDS = "backgrounds"
PICTURES = ("bg_fg", "mask", "depth")
THREADS = 2  # that render and draw; numpy lets go of the interpreter in most of it


@dataclasses.dataclass(eq=False)
class MuseumConfig(tfds.core.BuilderConfig):
    """Where the pictures come from: a procedural `museum`, or a `directory`; `seed` draws the identities' roles."""

    museum: procedural.Museum | None = None
    figures: dict | None = None  # of a procedural museum: {split: how many figures each of its rooms meets}
    directory: str = ""
    seed: int = 0


SMALL = MuseumConfig(
    name="procedural",
    description="200 rooms and 100 people made by seed, 1,500 composites.",
    museum=procedural.Museum(rooms=200, people=100, places=1),
    figures={"train": 2, "validation": 4, "test": 4, "test_seen_background": 1, "test_seen_figure": 4},
)
LARGE = MuseumConfig(
    name="procedural_large",
    description="500 rooms and 500 people made by seed, 30,000 composites.",
    museum=procedural.Museum(rooms=500, people=500, places=1, seed=1),
    figures={"train": 32, "validation": 16, "test": 16, "test_seen_background": 3, "test_seen_figure": 16},
)


@tfds.core.registered.skip_registration()
class Museum(tfds.core.GeneratorBasedBuilder):
    """Pairs of pictures, a background and the same view with somebody in it, with the figure's mask and the depth."""

    name = "museum"
    VERSION = tfds.core.Version("1.0.0")
    BUILDER_CONFIGS = [SMALL, LARGE]

    def _info(self):
        image = lambda channels: tfds.features.Image(shape=(None, None, channels))
        features = {"bg_id": tfds.features.Text(), "fg_id": tfds.features.Text()}
        features |= {"bg_fg": image(3), "mask": image(1), "depth": image(1)}
        features["box"] = tfds.features.Tensor(shape=(4,), dtype=np.int32)
        return tfds.core.DatasetInfo(
            builder=self,
            description=self.builder_config.description,
            features=tfds.features.FeaturesDict(features),
            homepage="https://github.com/rvk007/MODEST-Museum-Dataset",
        )

    def _split_generators(self, dl_manager):
        return _from_directory(self.builder_config) if self.builder_config.directory else _from_museum(self.builder_config)

    def _generate_examples(self):
        raise NotImplementedError("each split brings its own generator")


def prepare(name, directory="", prepared_dir="", changes=None):
    """The builder called `name` (`procedural`, `procedural_large`, `folder`), prepared on disk; nothing is done a second time.

    Args:
      name: see above.
      directory: of `folder`, the directory in the MODEST layout.
      prepared_dir: where prepared data sets are kept; empty: `$TFDS_DATA_DIR` or `~/tensorflow_datasets`.
      changes: of the procedural ones, fields of `procedural.Museum` to change; the result is kept under a name of its own.

    Raises:
      InputError: the directory or a picture in it cannot be used; nothing half-prepared is left.
    """
    config = _folder_config(directory) if name == "folder" else _procedural_config(name, changes or {})
    prepared_dir = prepared_dir or os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets"
    builder = Museum(data_dir=str(pathlib.Path(prepared_dir).expanduser()), config=config, file_format="array_record")
    final = pathlib.Path(builder.data_dir)
    if not final.is_dir():
        download = tfds.download.DownloadConfig(try_download_gcs=False)
        if not sys.stderr.isatty():
            tfds.disable_progress_bar()
        print(f"preparing {builder.info.full_name} in {final}", flush=True)
        try:
            with contextlib.redirect_stdout(io.StringIO()):  # TFDS says that it downloads, and there is nothing to download
                builder.download_and_prepare(download_config=download)
        except BaseException:
            for leftover in final.parent.glob(f"incomplete.*_{final.name}"):
                shutil.rmtree(leftover, ignore_errors=True)
            raise
    return builder


def source(builder, split):
    """The records of `split` (one name, or several joined by `+`), text and pictures as bytes; anything with `len` and `[i]`."""
    decoders = {key: tfds.decode.SkipDecoding() for key in PICTURES}
    for part in split.split("+"):
        if part not in builder.info.splits:
            have = ", ".join(name for name in builder.info.splits)
            raise InputError(f"{builder.info.full_name} has no split {part!r}; it has {have}")
    return builder.as_data_source(split=split, decoders=decoders)


def _procedural_config(name, changes):
    config = {"procedural": SMALL, "procedural_large": LARGE}[name]
    museum = dataclasses.replace(config.museum, **changes)
    if museum == config.museum:
        return config
    digest = hashlib.sha256(repr(museum).encode()).hexdigest()[:8]
    return MuseumConfig(name=f"{name}-{digest}", description=f"{name} with {changes}.", museum=museum, figures=config.figures)


def _folder_config(directory):
    return MuseumConfig(
        name=f"folder-{folder.fingerprint(directory)}", description=f"Composites of {directory}.", directory=str(directory)
    )


def _from_directory(config):
    """Split generators for a directory in the MODEST layout. Every picture is decoded once, so that a broken one is named now."""
    found = folder.entries(config.directory)
    split_of = splits.identity([e.background for e in found], [e.figure for e in found], config.seed)
    for needed in ("train", "validation", "test"):
        if needed not in split_of:
            raise InputError(f"{config.directory}: too few backgrounds or figures to have a {needed} split of their own")

    def composites(split):
        for entry, its_split in zip(found, split_of):
            if its_split == split:
                yield entry.name, _checked_record(entry)

    def backgrounds():
        seen = set()
        for entry in found:
            if entry.background not in seen:
                seen.add(entry.background)
                height, width = pictures.read(entry.bg, "bg").shape[:2]
                empty = procedural.encode_grey(np.zeros((height, width), np.uint8))
                yield entry.background, _record(entry.background, "", entry.bg, io.BytesIO(empty), io.BytesIO(empty), (0, 0, 0, 0))

    generators = {split: composites(split) for split in SPLITS if split in split_of}
    return generators | {BACKGROUNDS: backgrounds()}


def _checked_record(entry):
    sizes = {kind: pictures.read(getattr(entry, kind), kind).shape[:2] for kind in PICTURES}
    if len(set(sizes.values())) > 1:
        raise InputError(f"{entry.bg_fg}: its mask or depth has another size ({sizes})")
    box = compose.box(pictures.read(entry.mask, "mask")[..., 0])
    return _record(entry.background, entry.figure, entry.bg_fg, entry.mask, entry.depth, box)


def _record(bg_id, fg_id, bg_fg, mask, depth, box):
    return {"bg_id": bg_id, "fg_id": fg_id, "bg_fg": bg_fg, "mask": mask, "depth": depth, "box": np.asarray(box, np.int32)}


def _from_museum(config):
    """Split generators for a procedural museum. Rooms are rendered by threads, two ahead of the one that is written."""
    museum, seed = config.museum, config.museum.seed
    room_roles = splits.roles(museum.rooms, seed)
    person_roles = splits.roles(museum.people, seed + 1)
    room = functools.lru_cache(maxsize=None)(functools.partial(procedural.room, museum))
    person = functools.lru_cache(maxsize=None)(functools.partial(procedural.person, museum))

    def composites_of_room(split, room_index, met):
        rng = np.random.default_rng((seed, SPLITS.index(split), room_index))
        records = []
        for person_index in rng.choice(met, min(config.figures[split], len(met)), replace=False):
            for made in procedural.composites(museum, room(room_index), room_index, person(person_index), int(person_index)):
                ids = _room_id(room_index), f"person{person_index:04}"
                pictures = (io.BytesIO(made[kind]) for kind in PICTURES)
                records.append(("_".join((*ids, f"{made['place']:02}")), _record(*ids, *pictures, made["box"])))
        return records

    def composites(split, room_role, person_role):
        rooms = [i for i, role in enumerate(room_roles) if role == room_role]
        met = [i for i, role in enumerate(person_roles) if role == person_role]
        with ThreadPoolExecutor(THREADS) as pool:
            for records in pool.map(lambda index: composites_of_room(split, index, met), rooms):
                yield from records

    def backgrounds():
        empty = procedural.encode_grey(np.zeros((museum.size, museum.size), np.uint8))
        for index in range(museum.rooms):
            made = procedural.background(museum, index, room(index))
            pictures = (io.BytesIO(data) for data in (made["picture"], empty, made["depth"]))
            yield _room_id(index), _record(_room_id(index), "", *pictures, (0, 0, 0, 0))

    generators = {split: composites(split, *roles) for roles, split in splits.SPLIT_OF_ROLES.items()}
    return generators | {BACKGROUNDS: backgrounds()}


def _room_id(index):
    return f"room{index:04}"


def main(argv=None):
    """The command; see the module."""
    parser = argparse.ArgumentParser(prog="python -m modest.data.museum", description="Prepares a data set and counts it.")
    parser.add_argument("--name", default="procedural", choices=("procedural", "procedural_large", "folder"))
    parser.add_argument("--dir", default="", help="of folder: the directory in the MODEST layout")
    parser.add_argument("--prepared_dir", default="", help="where to keep it ($TFDS_DATA_DIR or ~/tensorflow_datasets)")
    arguments = parser.parse_args(argv)
    try:
        builder = prepare(arguments.name, arguments.dir, arguments.prepared_dir)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(builder.data_dir)
    for split, info in builder.info.splits.items():
        print(f"{split:24}{info.num_examples:8} examples{info.num_bytes / 2**20:10.1f} MiB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
