"""The data set as a TFDS builder: what a record holds, which examples are in which shard, and how one is made.

A record is one composite:

    bg_id, fg_id   text; the background's and the figure's identity
    bg_fg          encoded RGB picture, the very bytes that were given
    mask, depth    encoded one-channel pictures; depth is one black pixel where the data set has none
    box            x, y, width, height of the figure in px

A background is stored once, as a record of the split `backgrounds`: there `bg_fg` is the bare background and `fg_id` is empty.
The other splits are those of `splits.py` that are not empty.
"""

import dataclasses
import functools
import hashlib
import io
import os
import pathlib
import shutil

import numpy as np
import tensorflow_datasets as tfds

from modest import pictures
from modest.data import channels, compose, folder, procedural, splits
from modest.data.museum import shards
from modest.vocabulary import SPLITS, InputError

BACKGROUNDS = "backgrounds"
PICTURES = ("bg_fg", "mask", "depth")
COMPOSITES_PER_SHARD = 1000  # of a folder; about 60 MB of 224 px pictures
ROOMS_PER_SHARD = 8  # of a procedural museum
REJECTED = "rejected.txt"
NO_DEPTH = procedural.encode_grey(np.zeros((1, 1), np.uint8))


@dataclasses.dataclass(eq=False)
class MuseumConfig(tfds.core.BuilderConfig):
    """Where the pictures come from: a procedural `museum`, or a `directory` (or zip) in the MODEST layout."""

    museum: procedural.Museum | None = None
    pairs: dict | None = None  # of a procedural museum: {split: pairs of a room and a figure, spread evenly over its rooms}
    directory: str = ""
    splits: str = "identity"  # of a directory: identity | original (see splits.py)
    seed: int = 0  # that draws the identities' roles
    max_bad_fraction: float = 0.0  # the share of a directory's composites that may be left out because they cannot be used


SMALL = MuseumConfig(
    name="procedural",
    description="300 rooms and 100 people made by seed, 1,152 composites.",
    museum=procedural.Museum(rooms=300, people=100, places=1),
    pairs={"train": 228, "validation": 60, "test": 96, "test_seen_background": 96, "test_seen_figure": 96},
)
LARGE = MuseumConfig(
    name="procedural_large",
    description="500 rooms and 500 people made by seed, 32,000 composites.",
    museum=procedural.Museum(rooms=500, people=500, places=1, seed=1),
    pairs={"train": 12_000, "validation": 640, "test": 1120, "test_seen_background": 1120, "test_seen_figure": 1120},
)


@tfds.core.registered.skip_registration()
class Museum(tfds.core.GeneratorBasedBuilder):
    """Pairs of pictures, a background and the same view with somebody in it, with the figure's mask and the depth."""

    name = "museum"
    VERSION = tfds.core.Version("2.0.0")
    RELEASE_NOTES = {"2.0.0": "Fixed shards, content hash, data sets without depth.", "1.0.0": "First one."}
    BUILDER_CONFIGS = [SMALL, LARGE]
    pkg_dir_path = pathlib.Path(__file__).parent

    def _info(self):
        image = lambda channels: tfds.features.Image(shape=(None, None, channels))
        features = {"bg_id": tfds.features.Text(), "fg_id": tfds.features.Text()}
        features |= {"bg_fg": image(3), "mask": image(1), "depth": image(1)}
        features["box"] = tfds.features.Tensor(shape=(4,), dtype=np.int32)
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict(features),
            homepage="https://github.com/rvk007/MODEST-Museum-Dataset",
            metadata=tfds.core.MetadataDict(),
            disable_shuffling=True,
        )

    def _split_generators(self, dl_manager):
        raise NotImplementedError("the shards are written by _download_and_prepare")

    _generate_examples = _split_generators

    def _download_and_prepare(self, dl_manager, download_config):
        """Writes the shards into `unfinished`, which outlives a build that is killed, and takes them over when all are whole."""
        config, target = self.builder_config, pathlib.Path(self.data_dir)
        listed, mistakes, depth = self._shards()
        file_name = lambda split, number, count: (
            self._get_filename_template(split).sharded_filepath(shard_index=number, num_shards=count).name
        )
        unfinished = self.unfinished(target.parent)
        written = shards.write(unfinished, listed, self.info.features, file_name, threads=os.cpu_count())
        rejected = mistakes + [why for shard in written for why in shard.rejected]
        total = len(rejected) + sum(shard.examples for shard in written if shard.split != BACKGROUNDS)
        _refuse_too_many(rejected, total, config)
        for shard in written:  # linked, not moved: should this process die now, none is lost
            _link(unfinished / shard.file, target / shard.file)
        if rejected:
            (target / REJECTED).write_text("".join(f"{line}\n" for line in rejected))
        self.info.metadata.update(
            sha256=hashlib.sha256("".join(shard.sha256 for shard in written).encode()).hexdigest(),
            rejected=len(rejected),
            depth=depth,
            statistics=channels.moments(np.sum([shard.measured for shard in written if shard.measured], axis=0)),
        )
        self.info.set_splits(tfds.core.splits.SplitDict(self._split_infos(written)))

    def unfinished(self, parent):
        """Where the shards of a build are kept until all of them are whole."""
        return parent / f"unfinished.{self.version}"

    def _split_infos(self, written):
        for split in dict.fromkeys(shard.split for shard in written):
            of_split = [shard for shard in written if shard.split == split]
            yield tfds.core.SplitInfo(
                name=split,
                shard_lengths=[shard.examples for shard in of_split],
                num_bytes=sum(shard.bytes for shard in of_split),
                filename_template=self._get_filename_template(split),
            )

    def _shards(self):
        """The list of `Shard`, what is wrong with lines that cannot even be read, and whether there is depth."""
        config = self.builder_config
        return _shards_of_directory(config) if config.directory else (_shards_of_museum(config), [], True)


def _refuse_too_many(mistakes, total, config):
    if len(mistakes) > config.max_bad_fraction * total:
        raise InputError(folder.complain(mistakes))


def _link(source, target):
    try:
        os.link(source, target)
    except OSError:  # a file system without links
        shutil.copyfile(source, target)


def _shards_of_directory(config):
    """Every picture is decoded once, so that a broken one is told of now."""
    files = folder.open_files(config.directory)
    found, mistakes = folder.entries(files)
    _refuse_too_many(mistakes, len(found) + len(mistakes), config)
    split_of = splits.divide(config.splits, [e.background for e in found], [e.figure for e in found], config.seed)
    for needed in ("train", "validation", "test") if config.splits == "identity" else ("train", "test"):
        if needed not in split_of:
            raise InputError(f"{config.directory}: too few backgrounds or figures to have a {needed} split of their own")

    def background(entry):
        return _usable(_background, files, entry)

    @functools.cache
    def mistake_of_background(entry):
        made = background(entry)
        return made if isinstance(made, InputError) else None

    def composites(chosen):
        for entry in chosen:
            yield mistake_of_background(_of_background(entry)) or _usable(_composite, files, entry)

    def backgrounds(chosen):
        made = map(background, chosen)
        return (record for record in made if not isinstance(record, InputError))  # told of with each of its composites

    listed = []
    for split in SPLITS:
        members = [entry for entry, its_split in zip(found, split_of) if its_split == split]
        for part in _parts(members, COMPOSITES_PER_SHARD):
            listed.append(shards.Shard(split, functools.partial(composites, part), _measure(split)))
    for part in _parts(list(dict.fromkeys(map(_of_background, found))), COMPOSITES_PER_SHARD):
        listed.append(shards.Shard(BACKGROUNDS, functools.partial(backgrounds, part)))
    return listed, mistakes, folder.has_depth(found)


def _measure(split):
    """Of training composites, how often each grey level occurs in each channel is counted."""
    return _levels if split == "train" else None


def _levels(record):
    return channels.levels(pictures.read(record["bg_fg"].getvalue(), "bg_fg"))


def _usable(make, *arguments):
    """What `make(*arguments)` gives, or the `InputError` that it raised."""
    try:
        return make(*arguments)
    except InputError as error:
        return error


def _of_background(entry):
    """The part of an entry that is the background's, the same for all its composites."""
    return entry._replace(line=0, figure="", bg_fg="", mask="", depth="")


def _background(files, entry):
    data, name = folder.read_picture(files, entry, "bg")
    height, width = pictures.read(data, "bg", name=name).shape[:2]
    empty = procedural.encode_grey(np.zeros((height, width), np.uint8))
    return _record(entry.background, "", {"bg_fg": data, "mask": empty, "depth": empty}, (0, 0, 0, 0))


def _composite(files, entry):
    kinds = [kind for kind in PICTURES if getattr(entry, kind)]
    data, decoded = {}, {}
    for kind in kinds:
        data[kind], name = folder.read_picture(files, entry, kind)
        decoded[kind] = pictures.read(data[kind], kind, name=name)
    sizes = {kind: picture.shape[:2] for kind, picture in decoded.items()}
    if len(set(sizes.values())) > 1:
        raise InputError(f"{files.name}/{folder.FILE_MAP}:{entry.line}: pictures of different sizes ({sizes})")
    return _record(entry.background, entry.figure, {"depth": NO_DEPTH} | data, compose.box(decoded["mask"][..., 0]))


def _record(bg_id, fg_id, encoded, box):
    """`encoded` has the bytes of `bg_fg`, `mask` and `depth`."""
    images = {kind: io.BytesIO(encoded[kind]) for kind in PICTURES}
    return {"bg_id": bg_id, "fg_id": fg_id, **images, "box": np.asarray(box, np.int32)}


def _shards_of_museum(config):
    """The shards of a procedural museum, a few rooms each; rooms and people are drawn once."""
    museum, seed = config.museum, config.museum.seed
    room_roles = splits.roles(museum.rooms, seed)
    person_roles = splits.roles(museum.people, seed + 1)
    room = functools.cache(functools.partial(procedural.room, museum))
    person = functools.cache(functools.partial(procedural.person, museum))

    def composites(split, chosen, met):
        for room_index, count in chosen:
            rng = np.random.default_rng((seed, SPLITS.index(split), room_index))
            for person_index in rng.choice(met, min(count, len(met)), replace=False):
                ids = _room_id(room_index), f"person{person_index:04}"
                for made in procedural.composites(museum, room(room_index), room_index, person(person_index), int(person_index)):
                    yield _record(*ids, made, made["box"])

    def backgrounds(chosen):
        empty = procedural.encode_grey(np.zeros((museum.size, museum.size), np.uint8))
        for index in chosen:
            made = procedural.background(museum, index, room(index))
            encoded = {"bg_fg": made["picture"], "mask": empty, "depth": made["depth"]}
            yield _record(_room_id(index), "", encoded, (0, 0, 0, 0))

    listed = []
    for (room_role, person_role), split in splits.SPLIT_OF_ROLES.items():
        of_role = [i for i, role in enumerate(room_roles) if role == room_role]
        each, rest = divmod(config.pairs[split], len(of_role))
        chosen = [(i, each + (place < rest)) for place, i in enumerate(of_role) if each or place < rest]
        met = [i for i, role in enumerate(person_roles) if role == person_role]
        for part in _parts(chosen, ROOMS_PER_SHARD):
            listed.append(shards.Shard(split, functools.partial(composites, split, part, met), _measure(split)))
    for part in _parts(list(range(museum.rooms)), ROOMS_PER_SHARD):
        listed.append(shards.Shard(BACKGROUNDS, functools.partial(backgrounds, part)))
    return listed


def _parts(members, size):
    return [members[start : start + size] for start in range(0, len(members), size)]


def _room_id(index):
    return f"room{index:04}"
