"""The TFDS builder and its configs."""

import dataclasses
import functools
import hashlib
import os
import pathlib
import shutil
from collections.abc import Iterator
from typing import Any, NoReturn

import numpy as np
import tensorflow_datasets as tfds
import tqdm

from modest.constants import UNKNOWN_DEPTH
from modest.data import fingerprints, modest_layout, pixel_statistics, workers
from modest.data.museum import beam, directory_shards, records, shards, synthetic_shards
from modest.data.synthetic import dataset
from modest.data.world.dataset import MixedWorld, World
from modest.errors import InputError
from modest.run import files

MANUAL = "modest_museum"  # name of the directory or zip in TFDS's manual directory
REJECTED = "rejected.txt"  # lists the composites that were left out
SOURCE = "source.txt"  # beside unfinished shards: identifies the pictures that they are made from
# More threads wait for Python's global lock: on two cores, 16 take 1.6 times as long as four.
MOST_THREADS = 4
PROCESSES_FROM = 10  # with fewer shards, starting processes takes longer than it saves


@dataclasses.dataclass(eq=False)
class MuseumConfig(tfds.core.BuilderConfig):
    """Where the pictures come from.

    With neither `museum` nor `directory`, they are in `modest_museum` or `modest_museum.zip` in
    TFDS's manual directory.

    Attributes:
      museum: a synthetic museum (rooms and people) to draw.
      pairs: for a synthetic museum, the number of pairs of a room and a person in each split; they
        are spread evenly over the rooms of the split.
      directory: a directory or zip in the MODEST layout.
      splits: for a directory, `identity` or `original`; see `splits.divide`.
      seed: for a directory, seed of the random roles of its backgrounds and figures.
      max_bad_fraction: share of a directory's composites that may be left out as unusable.
      masks: for a directory, `auto` or `grey`, see `preparation.prepare`.
      unknown_depth: for a directory, the grey level of unknown depth in lossless files; -1: none.
      content: for a directory that was given, its fingerprint, see `fingerprints.py`.
    """

    museum: dataset.SyntheticMuseum | None = None
    pairs: dict[str, int] | None = None
    directory: str = ""
    splits: str = "identity"
    seed: int = 0
    max_bad_fraction: float = 0.0
    masks: str = "auto"
    unknown_depth: int = UNKNOWN_DEPTH
    content: str = ""


MODEST = MuseumConfig(
    name="museum",
    description=(
        "The MODEST museum data set itself, 400,000 composites, from TFDS's manual directory."
    ),
)
SMALL = MuseumConfig(
    name="procedural",
    description="300 rooms and 100 people drawn from a seed, 900 composites.",
    museum=dataset.SyntheticMuseum(rooms=300, people=100, places=1),
    pairs={
        "train": 228,
        "validation": 30,
        "test": 96,
        "test_seen_background": 48,
        "test_seen_figure": 48,
    },
)
LARGE = MuseumConfig(
    name="procedural_large",
    description="500 rooms and 500 people drawn from a seed, 32,000 composites.",
    museum=dataset.SyntheticMuseum(rooms=500, people=500, places=1, seed=1),
    pairs={
        "train": 12_000,
        "validation": 640,
        "test": 1120,
        "test_seen_background": 1120,
        "test_seen_figure": 1120,
    },
)
WORLD = MuseumConfig(
    name="procedural_world",
    version=tfds.core.Version("3.1.0"),
    release_notes={"3.1.0": "Men among the people.", "3.0.0": "First one."},
    description=(
        "800 places, indoors and outdoors, and 800 people and things drawn from a seed, 4,000 "
        "composites with one figure, several or none."
    ),
    museum=World(rooms=800, people=800, places=1, seed=2),
    pairs={
        "train": 1216,
        "validation": 128,
        "test": 384,
        "test_seen_background": 128,
        "test_seen_figure": 128,
    },
)
MIXED = MuseumConfig(
    name="procedural_mixed",
    version=WORLD.version,
    release_notes={"3.1.0": "First one."},
    description=(
        "1,000 places and 1,000 figures drawn from a seed: two fifths are rooms and people as in "
        "`procedural`, the others are as in `procedural_world`; 4,000 composites."
    ),
    museum=MixedWorld(rooms=1000, people=1000, places=1, seed=3),
    pairs=WORLD.pairs,
)


@tfds.core.registered.skip_registration()
class Museum(tfds.core.GeneratorBasedBuilder):
    """Pairs of a background and the same view with a figure, with the figure's mask and the depth.

    `records.py` defines the records; `shards.py` explains how they are written.
    """

    name = "museum"
    VERSION = tfds.core.Version("3.0.0")
    RELEASE_NOTES = {
        "3.0.0": "Cut-outs, focal lengths and heights.",
        "2.0.0": "Fixed shards, content hash, data sets without depth.",
        "1.0.0": "First one.",
    }
    BUILDER_CONFIGS = [SMALL, LARGE, WORLD, MIXED, MODEST]
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        f"The config `museum` reads `{MANUAL}.zip` or the unpacked directory `{MANUAL}`, which "
        "holds `file_map.txt`, `bg`, `bg_fg`, `bg_fg_mask` and `bg_fg_depth_map`: the archive that "
        "https://github.com/rvk007/MODEST-Museum-Dataset links to."
    )
    pkg_dir_path = pathlib.Path(__file__).parent  # where TFDS finds README.md, CITATIONS.bib ...

    def unfinished(self, parent: pathlib.Path) -> pathlib.Path:
        """Return the directory that holds the shards until all of them are complete."""
        return parent / f"unfinished.{self.version}"

    def _info(self) -> tfds.core.DatasetInfo:
        info = self.dataset_info_from_configs(
            features=records.features(),
            homepage="https://github.com/rvk007/MODEST-Museum-Dataset",
            metadata=tfds.core.MetadataDict(),
            disable_shuffling=True,
        )
        # Otherwise TFDS queries its bucket, and leaves a directory in /tmp.
        info.initialize_from_bucket = _do_nothing
        return info

    def _split_generators(self, dl_manager: Any) -> NoReturn:
        raise NotImplementedError("the shards are written by _download_and_prepare")

    _generate_examples = _split_generators

    def _download_and_prepare(self, dl_manager: Any, download_config: Any) -> None:
        """Write the shards into the directory `unfinished`, and link them when all are complete.

        That directory outlives a killed build. With a Beam runner in `download_config`, Beam's
        workers write the shards; they must share that directory.
        """
        config, target = self.builder_config, pathlib.Path(self.data_dir)
        if not (config.museum or config.directory):
            config = dataclasses.replace(config, directory=_manual(dl_manager))
        contents, unfinished = contents_of(config), self.unfinished(target.parent)
        _begin(unfinished, config)
        written = self._write_shards(config, contents, unfinished, download_config)

        composites = [s for s in written if s.split not in records.NON_COMPOSITE_SPLITS]
        rejected = contents.mistakes + [why for shard in written for why in shard.rejected]
        total = len(rejected) + sum(shard.examples for shard in composites)
        directory_shards.refuse_too_many(rejected, total, config.max_bad_fraction)
        masks = _sum_masks(composites)
        pixels, unknown, near, far = np.sum([s.depth for s in composites], axis=0).tolist()
        if config.directory:
            directory_shards.refuse_constant_masks(masks, config.directory, contents.masks)
            directory_shards.refuse_wrong_unit(pixels, unknown, near, far, config.directory)
        for shard in written:  # links, not moves: if this process dies here, no shard is lost
            _link(unfinished / shard.file, target / shard.file)
        if rejected:
            (target / REJECTED).write_text("".join(f"{line}\n" for line in rejected))
        levels = [shard.levels for shard in composites if shard.levels]
        self.info.metadata.update(
            sha256=hashlib.sha256("".join(shard.sha256 for shard in written).encode()).hexdigest(),
            rejected=len(rejected),
            depth=contents.depth,
            background_depth=contents.background_depth,
            pairs=_pairs(composites),
            masks=masks,
            masks_read_as=str(contents.masks),
            statistics=pixel_statistics.moments(np.sum(levels, axis=0)) if levels else None,
        )
        if unknown:
            share = unknown / pixels
            self.info.metadata.update(unknown_depth=config.unknown_depth, unknown_share=share)
        self.info.set_splits(tfds.core.splits.SplitDict(self._split_infos(written)))

    def _write_shards(self, config, contents, unfinished, download_config) -> list[shards.Written]:
        count, features = len(contents.shards), records.features()
        list_contents = functools.partial(contents_of, config)
        writer = shards.Writer(unfinished, list_contents, features, file_name)
        if download_config.beam_runner:
            beam.write(writer, count, download_config)
        elif config.directory and count > PROCESSES_FROM:
            # Processes, because threads would wait for Python's global lock.
            done = workers.each(writer, range(count), os.cpu_count() or 1)
            progress = {"unit": "shard", "disable": None, "leave": False}
            for _ in tqdm.tqdm(done, "writing", count, **progress):
                pass
        # Writes the shards that are not written yet (in a small data set all of them), and reads
        # the summaries of the others.
        threads = min(os.cpu_count() or 1, MOST_THREADS)
        return shards.write(
            unfinished, contents.shards, self.info.features, file_name, threads=threads
        )

    def _split_infos(self, written: list[shards.Written]) -> Iterator[tfds.core.SplitInfo]:
        for split in dict.fromkeys(shard.split for shard in written):
            of_split = [shard for shard in written if shard.split == split]
            yield tfds.core.SplitInfo(
                name=split,
                shard_lengths=[shard.examples for shard in of_split],
                num_bytes=sum(shard.bytes for shard in of_split),
                filename_template=self._get_filename_template(split),
            )


def contents_of(config: MuseumConfig) -> shards.Contents:
    """Return the plan of the data set that a config describes."""
    if config.museum:
        return synthetic_shards.contents(config.museum, config.pairs or {})
    return directory_shards.contents(
        config.directory,
        config.splits,
        config.seed,
        config.max_bad_fraction,
        config.masks,
        config.unknown_depth,
    )


def file_name(split: str, number: int, count: int) -> str:
    """Return TFDS's name for shard `number` of the `count` shards of a split."""
    return f"{Museum.name}-{split}.array_record-{number:05}-of-{count:05}"


def museum_text(museum: dataset.SyntheticMuseum) -> str:
    """Return the text that identifies a synthetic museum on disk: `Museum(seed=0, rooms=...)`.

    The names of prepared variants are hashes of this text, so it must not follow the name of the
    class. It begins with the name that the class had when the first variants were prepared.
    """
    if isinstance(museum, World):
        return repr(museum)
    return "Museum" + repr(museum).removeprefix(type(museum).__qualname__)


def _begin(unfinished, config):
    """Create the directory of unfinished shards, or prepare it for resuming.

    Shards that were made from other pictures are removed.
    """
    if config.directory:
        source = config.content or fingerprints.look(modest_layout.open_files(config.directory))
    else:
        source = f"({museum_text(config.museum)}, {config.pairs!r})"
    path = unfinished / SOURCE
    if unfinished.exists() and not (path.is_file() and path.read_text() == source):
        shutil.rmtree(unfinished)
    unfinished.mkdir(parents=True, exist_ok=True)
    files.remove_unfinished(unfinished)
    files.write(path, source.encode())


def _pairs(written):
    """Return `{split: pairs (background, figure) of its composites, without duplicates}`."""
    pairs = {}
    for shard in written:
        pairs.setdefault(shard.split, {}).update(dict.fromkeys(map(tuple, shard.pairs)))
    return {split: list(of_split) for split, of_split in pairs.items()}


def _sum_masks(written):
    """Return `{split: [masks, empty ones, full ones, sum of their shares of foreground]}`."""
    sums: dict[str, list[float]] = {}
    for shard in written:
        if not shard.masks[0]:
            continue
        before = sums.get(shard.split, [0, 0, 0, 0.0])
        sums[shard.split] = [a + b for a, b in zip(before, shard.masks)]
    return sums


def _manual(dl_manager):
    try:
        directory = dl_manager.manual_dir
    except AssertionError as error:  # TFDS's, if the directory is missing or empty
        raise InputError(" ".join(str(error).split())) from None
    found = [path for path in (directory / MANUAL, directory / f"{MANUAL}.zip") if path.exists()]
    if not found:
        raise InputError(f"{directory}: neither {MANUAL} nor {MANUAL}.zip is there")
    return str(found[0])


def _link(source, target):
    try:
        os.link(source, target)
    except OSError:  # a file system without links
        shutil.copyfile(source, target)


def _do_nothing() -> None:
    pass
