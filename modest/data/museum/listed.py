"""The shards of a data set in the MODEST layout: what its `file_map.txt` lists, every picture decoded once and checked."""

import functools

from modest import pictures
from modest.data import channels, compose, folder, splits
from modest.data.museum import records
from modest.data.museum.shards import Contents, Shard
from modest.vocabulary import SPLITS, InputError

COMPOSITES_PER_SHARD = 1000  # about 60 MB of 224 px pictures


class BadData(InputError):
    """More of the pictures cannot be used than may be: what was made of the others is of no use either."""


def contents(config):
    """A picture that cannot be used stands as an `InputError` in the place of its composite.

    Raises:
      InputError: more lines cannot be read than `config.max_bad_fraction` allows, or a split would be empty.
    """
    files = folder.open_files(config.directory)
    found, mistakes = folder.entries(files)
    refuse_too_many(mistakes, len(found) + len(mistakes), config.max_bad_fraction)
    split_of = splits.divide(config.splits, [e.background for e in found], [e.figure for e in found], config.seed)
    for needed in ("train", "validation", "test") if config.splits == "identity" else ("train", "test"):
        if needed not in split_of:
            raise InputError(f"{config.directory}: too few backgrounds or figures to have a {needed} split of their own")
    of_split = lambda split: [entry for entry, its_split in zip(found, split_of) if its_split == split]
    all_backgrounds = list(dict.fromkeys(map(_of_background, found)))
    all_figures = list(dict.fromkeys(entry.figure for entry in found))
    background_depth = any(folder.read_library(files, "bg_depth", entry.bg) for entry in all_backgrounds)
    with_figures = any(folder.read_library(files, "fg", figure) for figure in all_figures)
    if with_figures:
        _check_figures(files, found)

    def background(entry):
        return _usable(_background, files, entry, background_depth)

    @functools.cache
    def mistake_of_background(entry):
        made = background(entry)
        return made if isinstance(made, InputError) else None

    def composites(chosen, count_levels):
        for entry in chosen:
            yield mistake_of_background(_of_background(entry)) or _usable(_composite, files, entry, count_levels)

    def backgrounds(chosen):
        made = map(background, chosen)
        return (record for record in made if not isinstance(record, InputError))  # told of with each of its composites

    def figures(chosen):
        return (_figure(files, name) for name in chosen)

    listed = []
    for split in SPLITS:
        for part in _parts(of_split(split)):
            listed.append(Shard(split, functools.partial(composites, part, split == "train")))
    listed += [Shard(records.BACKGROUNDS, functools.partial(backgrounds, part)) for part in _parts(all_backgrounds)]
    if with_figures:
        listed += [Shard(records.FIGURES, functools.partial(figures, part)) for part in _parts(all_figures)]
    return Contents(listed, mistakes, folder.has_depth(found), background_depth)


def refuse_too_many(mistakes, total, max_bad_fraction):
    """Raises InputError, all mistakes counted in it, if they are more than that share of `total` composites."""
    if len(mistakes) > max_bad_fraction * total:
        raise BadData(folder.complain(mistakes))


def _check_figures(files, found):
    """Raises InputError, all mistakes counted in it, where a listed figure has no cut-out, or one of another scale."""
    mistakes = []
    for entry in {entry.figure: entry for entry in found}.values():
        try:
            data, name = _of_library(files, "fg", entry.figure)
            cutout = pictures.read_cutout(data, name)
            mask = pictures.read(*folder.read_picture(files, entry, "mask")[:1], "mask")
        except InputError as error:
            mistakes.append(str(error))
            continue
        height, in_place = compose.box(cutout[..., 3])[3], compose.box(mask[..., 0])[3]
        if abs(height - in_place) > max(3, 0.1 * in_place):
            mistakes.append(
                f"{name}: {height} px high, but {in_place} px in {entry.bg_fg}; cut-outs must have the composites' scale"
            )
    if mistakes:
        raise InputError(folder.complain(mistakes))


def _usable(make, *arguments):
    """What `make(*arguments)` gives, or the `InputError` that it raised."""
    try:
        return make(*arguments)
    except InputError as error:
        return error


def _of_background(entry):
    """The part of an entry that is the background's, the same for all its composites."""
    return entry._replace(line=0, figure="", bg_fg="", mask="", depth="")


def _background(files, entry, with_depth):
    picture, name = folder.read_picture(files, entry, "bg")
    size = pictures.read(picture, "bg", name=name).shape[:2]
    depth = records.NOTHING
    if with_depth:
        depth, name = _of_library(files, "bg_depth", entry.bg)
        if pictures.read(depth, "depth", name=name).shape[:2] != size:
            raise InputError(f"{name}: not of the size of its background")
    return records.Made(records.background(entry.background, picture, depth))


def _figure(files, figure):
    data, name = _of_library(files, "fg", figure)
    return records.Made(records.figure(figure, pictures.read_cutout(data, name)))


def _of_library(files, kind, name):
    found = folder.read_library(files, kind, name)
    if found is None:
        directory = folder.LIBRARY[kind]
        raise InputError(
            f"{files.name}/{directory}: has no picture of {name}; it must have one of each that is listed, or be absent"
        )
    return found


def _composite(files, entry, count_levels):
    data, decoded = {}, {}
    for kind in records.PICTURES:
        if getattr(entry, kind):
            data[kind], name = folder.read_picture(files, entry, kind)
            decoded[kind] = pictures.read(data[kind], kind, name=name)
    sizes = {kind: picture.shape[:2] for kind, picture in decoded.items()}
    if len(set(sizes.values())) > 1:
        raise InputError(f"{files.name}/{folder.FILE_MAP}:{entry.line}: pictures of different sizes ({sizes})")
    record = records.record(entry.background, entry.figure, **data, box=compose.box(decoded["mask"][..., 0]))
    return records.Made(record, channels.levels(decoded["bg_fg"]) if count_levels else None)


def _parts(members):
    return [members[start : start + COMPOSITES_PER_SHARD] for start in range(0, len(members), COMPOSITES_PER_SHARD)]
