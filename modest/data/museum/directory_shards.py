"""The shards of a data set in the MODEST layout: what its `file_map.txt` lists.

Every picture is decoded once and checked.
"""

import contextlib
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from modest.constants import SPLITS, UNASSIGNED, UNKNOWN_DEPTH
from modest.data import composite, images, masks, modest_layout, pixel_statistics, splits
from modest.data.modest_layout import Entry, Files
from modest.data.museum import records
from modest.data.museum.records import NewRecord
from modest.data.museum.shards import Contents, Shard, parts
from modest.errors import InputError

COMPOSITES_PER_SHARD = 1000  # about 60 MB of 224 px pictures


class TooManyBadPictures(InputError):
    """The pictures cannot be used. Shards that were already written are useless."""


class Options(NamedTuple):
    """How a directory or zip is read.

    Attributes:
      splits: `identity` or `original`, see `splits.divide`.
      max_bad_fraction: share of the lines of `file_map.txt` that may be unusable.
      masks: `auto` to find out how the masks say what is foreground; or `grey`, if everything
        brighter than 127 is, even if that is nothing.
      unknown_depth: grey level of pixels whose depth is unknown, in depth maps that are not JPEG;
        -1 if every level is a depth.
    """

    splits: str = "identity"
    max_bad_fraction: float = 0.0
    masks: str = "auto"
    unknown_depth: int = UNKNOWN_DEPTH


def contents(directory: str, options: Options) -> Contents:
    """Plan the data set in a directory or zip in the MODEST layout.

    For a composite that cannot be used, its shard yields an `InputError` instead of a record.

    Raises:
      InputError: more lines are unusable than `options` allow, a cut-out is unusable, or it cannot
        be told what is foreground in the masks.
    """
    files = modest_layout.open_files(directory)
    entries, mistakes = modest_layout.entries(files)
    refuse_too_many(mistakes, len(entries) + len(mistakes), options.max_bad_fraction)
    backgrounds, figures = [e.background for e in entries], [e.figure for e in entries]
    split_of = splits.divide(options.splits, backgrounds, figures, seed=0)
    all_backgrounds = list(dict.fromkeys(map(_background_entry, entries)))
    all_figures = list(dict.fromkeys(figures))
    background_depth = any(
        modest_layout.read_optional(files, "bg_depth", entry.bg) for entry in all_backgrounds
    )
    has_cutouts = any(modest_layout.read_optional(files, "fg", name) for name in all_figures)
    is_grey = options.masks == "grey"
    reading = masks.Reading(strict=False) if is_grey else mask_reading(files, entries)
    if has_cutouts:
        _check_cutouts(files, entries, reading)

    pictures = _Pictures(files, background_depth, reading, options.unknown_depth)
    shards = []
    for split in (*SPLITS, UNASSIGNED):
        of_split = [
            e for e, its_split in zip(entries, split_of) if (its_split or UNASSIGNED) == split
        ]
        for part in parts(of_split, COMPOSITES_PER_SHARD):
            examples = functools.partial(pictures.composites, part, split == "train")
            shards.append(Shard(split, examples))
    for part in parts(all_backgrounds, COMPOSITES_PER_SHARD):
        shards.append(Shard(records.BACKGROUNDS, functools.partial(pictures.backgrounds, part)))
    for part in parts(all_figures if has_cutouts else [], COMPOSITES_PER_SHARD):
        shards.append(Shard(records.FIGURES, functools.partial(pictures.figures, part)))
    has_depth = modest_layout.has_depth(entries)
    return Contents(shards, mistakes, has_depth, background_depth, reading)


def refuse_too_many(mistakes: list[str], total: int, max_bad_fraction: float) -> None:
    """Check the number of mistakes.

    Raises:
      TooManyBadPictures: there are more than `max_bad_fraction * total` mistakes, where `total` is
        the number of composites. The message summarises them.
    """
    if len(mistakes) > max_bad_fraction * total:
        raise TooManyBadPictures(modest_layout.summarise_mistakes(mistakes))


def refuse_constant_masks(
    counts: dict[str, list[float]], where: str, reading: masks.Reading
) -> None:
    """Raise `TooManyBadPictures` if nearly all masks are empty or full.

    `counts` is `{split: [masks, empty ones, full ones, ...]}`.
    """
    total, empty, full = (int(sum(of_split[k] for of_split in counts.values())) for k in range(3))
    try:
        masks.refuse_constant(total, empty, full, where, reading)
    except InputError as error:
        raise TooManyBadPictures(str(error)) from None


def refuse_wrong_unit(pixels: int, unknown: int, near: int, far: int, where: str) -> None:
    """Raise `TooManyBadPictures` if nearly all depth is unknown or at one end of its range.

    The numbers of pixels are those of `NewRecord.depth`, summed over the data set.
    """
    known = pixels - unknown
    wrong = {"unknown": (unknown, pixels), "0.1 m or less": (near, known), "10 m": (far, known)}
    for what, (count, of_all) in wrong.items():
        if count > composite.MOST_AT_ONE_END * of_all:
            raise TooManyBadPictures(
                f"{where}: {count / of_all:.1%} of the depth is {what}; grey level 255 is 10 m"
            )


class _Pictures:
    """Reads the pictures of a data set, checks them, and makes its records."""

    def __init__(
        self, files: Files, background_depth: bool, reading: masks.Reading, unknown_depth: int
    ) -> None:
        self._unknown_depth = unknown_depth
        self._files = files
        self._reading = reading
        self._background_depth = background_depth
        self._mistake_of_background = functools.cache(self._check_background)

    def composites(
        self, entries: Sequence[Entry], count_levels: bool
    ) -> Iterator[NewRecord | InputError]:
        """Yield the record of each entry, or what is wrong with it or with its background."""
        for entry in entries:
            mistake = self._mistake_of_background(_background_entry(entry))
            yield mistake or _or_error(
                _composite,
                self._files,
                entry,
                self._reading,
                self._unknown_depth,
                count_levels,
            )

    def backgrounds(self, entries: Sequence[Entry]) -> Iterator[NewRecord]:
        """Yield the usable backgrounds. `composites` reports the others, once per composite."""
        for entry in entries:
            record = self._background(entry)
            if not isinstance(record, InputError):
                yield record

    def figures(self, names: Sequence[str]) -> Iterator[NewRecord]:
        """Yield the cut-outs."""
        for name in names:
            data, path = _required(self._files, "fg", name)
            yield NewRecord(records.figure(name, images.read_cutout(data, path)))

    def _background(self, entry):
        with_depth, unknown = self._background_depth, self._unknown_depth
        return _or_error(_background, self._files, entry, with_depth, unknown)

    def _check_background(self, entry):
        record = self._background(entry)
        return record if isinstance(record, InputError) else None


def _or_error(make: Callable[..., NewRecord], *arguments: Any) -> NewRecord | InputError:
    """Return `make(*arguments)`, or the `InputError` that it raises."""
    try:
        return make(*arguments)
    except InputError as error:
        return error


def _background_entry(entry):
    """Return an entry with only the fields that all entries with the same background share."""
    return entry._replace(line=0, figure="", bg_fg="", mask="", depth="")


def _background(files, entry, with_depth, unknown_depth):
    picture, path = modest_layout.read_picture(files, entry, "bg")
    size = images.read(picture, "bg", name=path).shape[:2]
    depth = records.NO_PICTURE
    if with_depth:
        depth, path = _required(files, "bg_depth", entry.bg)
        if _depth(depth, path, unknown_depth)[0].shape[:2] != size:
            raise InputError(f"{path}: differs in size from its background")
    return NewRecord(records.background(entry.background, picture, depth))


def _composite(files, entry, reading, unknown_depth, count_levels):
    data, decoded, depth = {}, {}, (0, 0, 0, 0)
    for kind in records.PICTURES:
        if getattr(entry, kind):
            data[kind], path = modest_layout.read_picture(files, entry, kind)
            if kind == "mask":
                decoded[kind], data[kind] = masks.read(data[kind], path, reading)
            elif kind == "depth":
                decoded[kind], depth = _depth(data[kind], path, unknown_depth)
            else:
                decoded[kind] = images.read(data[kind], kind, name=path)
    sizes = {kind: picture.shape[:2] for kind, picture in decoded.items()}
    if len(set(sizes.values())) > 1:
        where = f"{files.name}/{modest_layout.FILE_MAP}:{entry.line}"
        raise InputError(f"{where}: pictures of different sizes ({sizes})")
    box = composite.box(decoded["mask"])
    record = records.record(entry.background, entry.figure, **data, box=box)
    levels = pixel_statistics.levels(decoded["bg_fg"]) if count_levels else None
    return NewRecord(record, levels, (decoded["mask"] > composite.FOREGROUND).mean(), depth)


def _depth(data, path, unknown):
    """Return a depth map, and the numbers of pixels that `NewRecord.depth` holds."""
    depth, valid = images.read_depth(data, unknown, name=path)
    if images.is_coloured(data):
        raise InputError(f"{path}: coloured; grey levels of a depth map are distances")
    levels = np.bincount(depth.ravel(), minlength=256)
    unknown = depth.size - np.count_nonzero(valid)  # in `depth` their level is 0
    near = int(levels[: composite.encode_depth(0) + 1].sum()) - unknown
    return depth, (depth.size, unknown, near, int(levels[255]))


def _required(files, kind, name):
    """Return an optional picture that must exist, because others of its kind do."""
    found = modest_layout.read_optional(files, kind, name)
    if found is None:
        directory = f"{files.name}/{modest_layout.OPTIONAL_DIRECTORIES[kind]}"
        raise InputError(
            f"{directory}: has no picture of {name}; the directory must have a picture for every "
            f"name in {modest_layout.FILE_MAP}, or be absent"
        )
    return found


def mask_reading(files: Files, entries: Sequence[Entry]) -> masks.Reading:
    """Find out how to read the masks of a data set, from a sample that is spread over its entries.

    Raises:
      InputError: it cannot be told what is foreground; see `masks.find`.
    """

    def sample() -> Iterator[tuple[bytes, str]]:
        for index in np.random.default_rng(0).permutation(len(entries)):
            with contextlib.suppress(InputError):  # reported when the composite is made
                yield modest_layout.read_picture(files, entries[index], "mask")

    return masks.find(sample(), f"{files.name}/{modest_layout.DIRECTORIES['mask']}")


def _check_cutouts(files, entries, reading):
    """Check that every figure has a cut-out at the scale of its composites; report all mistakes."""
    mistakes = []
    for entry in {entry.figure: entry for entry in entries}.values():
        try:
            data, path = _required(files, "fg", entry.figure)
            cutout = images.read_cutout(data, path)
        except InputError as error:
            mistakes.append(str(error))
            continue
        try:
            mask, _ = masks.read(*modest_layout.read_picture(files, entry, "mask"), reading)
        except InputError:
            continue  # reported when the composite is made
        height, in_place = composite.box(cutout[..., 3])[3], composite.box(mask)[3]
        if abs(height - in_place) > max(3, 0.1 * in_place):
            mistakes.append(
                f"{path}: {height} px high, but {in_place} px in {entry.bg_fg}; "
                "cut-outs must have the composites' scale"
            )
    if mistakes:
        raise InputError(modest_layout.summarise_mistakes(mistakes))
