"""The data set as a TFDS builder. `records.py` says what a record holds, `drawn.py` and `listed.py` which ones there are."""

import dataclasses
import functools
import hashlib
import os
import pathlib
import shutil

import numpy as np
import tensorflow_datasets as tfds
import tqdm

from modest import files
from modest.data import channels, folder, procedural, workers
from modest.data.museum import drawn, listed, records, shards, with_beam
from modest.vocabulary import InputError

MANUAL = "modest_museum"  # the archive's name in TFDS's manual directory
REJECTED = "rejected.txt"
PROCESSES_FROM = 10  # shards; with fewer, starting processes would take longer than they save
SOURCE = "source.txt"  # beside unfinished shards: what they are made from


@dataclasses.dataclass(eq=False)
class MuseumConfig(tfds.core.BuilderConfig):
    """Where the pictures come from: a procedural `museum`, or a `directory` (or zip) in the MODEST layout.

    With neither it is `modest_museum` or `modest_museum.zip` in TFDS's manual directory.
    """

    museum: procedural.Museum | None = None
    pairs: dict | None = None  # of a procedural museum: {split: pairs of a room and a figure, spread evenly over its rooms}
    directory: str = ""
    splits: str = "identity"  # of a directory: identity | original (see splits.py)
    seed: int = 0  # that draws the identities' roles
    max_bad_fraction: float = 0.0  # the share of a directory's composites that may be left out because they cannot be used


MODEST = MuseumConfig(
    name="museum",
    description="The MODEST museum data set itself, 400,000 composites, from TFDS's manual directory.",
)
SMALL = MuseumConfig(
    name="procedural",
    description="300 rooms and 100 people made by seed, 900 composites.",
    museum=procedural.Museum(rooms=300, people=100, places=1),
    pairs={"train": 228, "validation": 30, "test": 96, "test_seen_background": 48, "test_seen_figure": 48},
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
    VERSION = tfds.core.Version("3.0.0")
    RELEASE_NOTES = {
        "3.0.0": "Cut-outs, focal lengths and heights.",
        "2.0.0": "Fixed shards, content hash, data sets without depth.",
        "1.0.0": "First one.",
    }
    BUILDER_CONFIGS = [SMALL, LARGE, MODEST]
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        f"The config `museum` reads `{MANUAL}.zip` or the unpacked directory `{MANUAL}`, which holds `file_map.txt`, `bg`, "
        "`bg_fg`, `bg_fg_mask` and `bg_fg_depth_map`: the archive that https://github.com/rvk007/MODEST-Museum-Dataset links to."
    )
    pkg_dir_path = pathlib.Path(__file__).parent

    def _info(self):
        info = self.dataset_info_from_configs(
            features=records.features(),
            homepage="https://github.com/rvk007/MODEST-Museum-Dataset",
            metadata=tfds.core.MetadataDict(),
            disable_shuffling=True,
        )
        info.initialize_from_bucket = lambda: None  # which TFDS would ask for it, and leave a directory in /tmp
        return info

    def _split_generators(self, dl_manager):
        raise NotImplementedError("the shards are written by _download_and_prepare")

    _generate_examples = _split_generators

    def _download_and_prepare(self, dl_manager, download_config):
        """Writes the shards into `unfinished`, which outlives a build that is killed, and takes them over when all are whole.

        With a Beam runner in `download_config`, Beam's workers write them, into that directory too: they must all see it.
        """
        config, target = self.builder_config, pathlib.Path(self.data_dir)
        if not (config.museum or config.directory):
            config = dataclasses.replace(config, directory=_manual(dl_manager))
        contents, unfinished = contents_of(config), self.unfinished(target.parent)
        _begin(unfinished, config)
        writer = shards.Writer(unfinished, functools.partial(contents_of, config), records.features(), file_name)
        numbers = range(len(contents.shards))
        if download_config.beam_runner:
            with_beam.write(writer, len(numbers), download_config)
        elif config.directory and len(numbers) > PROCESSES_FROM:  # threads would wait for one another at Python's lock
            done = workers.each(writer, numbers, os.cpu_count())
            for _ in tqdm.tqdm(done, "writing", len(numbers), unit="shard", disable=None, leave=False):
                pass
        # What is left, and that is all of it in a small data set; and what is known of the others.
        written = shards.write(unfinished, contents.shards, self.info.features, file_name, threads=os.cpu_count())
        composites = [shard for shard in written if shard.split not in records.LIBRARY]
        rejected = contents.mistakes + [why for shard in written for why in shard.rejected]
        listed.refuse_too_many(rejected, len(rejected) + sum(shard.examples for shard in composites), config.max_bad_fraction)
        for shard in written:  # linked, not moved: should this process die now, none is lost
            _link(unfinished / shard.file, target / shard.file)
        if rejected:
            (target / REJECTED).write_text("".join(f"{line}\n" for line in rejected))
        self.info.metadata.update(
            sha256=hashlib.sha256("".join(shard.sha256 for shard in written).encode()).hexdigest(),
            rejected=len(rejected),
            depth=contents.depth,
            background_depth=contents.background_depth,
            pairs=_pairs(composites),
            statistics=channels.moments(np.sum([shard.levels for shard in composites if shard.levels], axis=0)),
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


def _begin(unfinished, config):
    """Makes the directory, or clears away what is half-written in it, or all of it where it was begun from other pictures."""
    source = folder.open_files(config.directory).fingerprint() if config.directory else repr((config.museum, config.pairs))
    path = unfinished / SOURCE
    if unfinished.exists() and not (path.is_file() and path.read_text() == source):
        shutil.rmtree(unfinished)
    unfinished.mkdir(parents=True, exist_ok=True)
    files.remove_unfinished(unfinished)
    files.write(path, source.encode())


def _pairs(written):
    """{split: (background, figure) of its composites, each pair once}."""
    pairs = {}
    for shard in written:
        pairs.setdefault(shard.split, {}).update(dict.fromkeys(map(tuple, shard.pairs)))
    return {split: list(of_split) for split, of_split in pairs.items()}


def contents_of(config):
    """The `shards.Contents` of a `MuseumConfig`."""
    return drawn.contents(config) if config.museum else listed.contents(config)


def file_name(split, number, count):
    """The name of shard `number` of `count` of a split, as TFDS has it."""
    return f"{Museum.name}-{split}.array_record-{number:05}-of-{count:05}"


def _manual(dl_manager):
    try:
        directory = dl_manager.manual_dir
    except AssertionError as error:  # it is not there, or empty
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
