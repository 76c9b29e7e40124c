"""The TFDS builder."""

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

from modest.data import fingerprints, modest_layout, pixel_statistics, workers
from modest.data.museum import beam, directory_shards, records, shards, synthetic_shards
from modest.data.museum.builder_configs import CONFIGS, MuseumConfig, museum_text
from modest.errors import InputError
from modest.run import files

MANUAL = "modest_museum"  # name of the directory or zip in TFDS's manual directory
REJECTED = "rejected.txt"  # lists the composites that were left out
SOURCE = "source.txt"  # beside unfinished shards: identifies the pictures that they are made from
# More threads wait for Python's global lock: on two cores, 16 take 1.6 times as long as four.
MOST_THREADS = 4
PROCESSES_FROM = 10  # with fewer shards, starting processes takes longer than it saves


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
    BUILDER_CONFIGS = list(CONFIGS)
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
        directory_shards.refuse_too_many(rejected, total, config.options.max_bad_fraction)
        # A split of which every composite was left out does not exist.
        kept = {shard.split for shard in written if shard.examples}
        written = [shard for shard in written if shard.split in kept]
        composites = [shard for shard in composites if shard.split in kept]
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
            level = config.options.unknown_depth
            self.info.metadata.update(unknown_depth=level, unknown_share=share)
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
    return directory_shards.contents(config.directory, config.options)


def file_name(split: str, number: int, count: int) -> str:
    """Return TFDS's name for shard `number` of the `count` shards of a split."""
    return f"{Museum.name}-{split}.array_record-{number:05}-of-{count:05}"


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
