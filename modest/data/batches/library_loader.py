"""Read a library, the backgrounds and cut-outs of a data set, from its records."""

import math
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from PIL import Image

from modest.data import composite, images
from modest.data.batches.cutouts import Library
from modest.data.museum import preparation, records
from modest.errors import InputError

ADVICE = "; set --config.data.source=records"


def load(
    builder: tfds.core.DatasetBuilder,
    size: int,
    with_depth: bool = True,
    scale: float = 0.0,
    may_be_cut: bool = False,
) -> Library:
    """Read the backgrounds and figures that occur in training composites, as NumPy arrays.

    Args:
      builder: a prepared data set.
      size: height and width in px of the composites to make.
      with_depth: whether depth is required. Without it, `depths` is None if the backgrounds have no
        depth, or not in all pixels.
      scale: largest relative change of a figure's size when composites are made.
      may_be_cut: whether the picture's edge may cut off figures. Otherwise they must fit.

    Raises:
      InputError: the data set has no cut-outs, or no depth; its backgrounds are not squares of one
        size; or a cut-out does not fit into them.
    """
    name, metadata = builder.info.full_name, builder.info.metadata
    if records.FIGURES not in builder.info.splits:
        raise InputError(
            f"{name} has no cut-outs (fg/<figure>.png, with alpha) to make composites from{ADVICE}"
        )
    if with_depth and not metadata["background_depth"]:
        raise InputError(
            f"{name} has no depth of its empty backgrounds to make composites with{ADVICE}"
        )
    backgrounds, figures = _training_records(builder)
    stored = _stored_size(name, backgrounds)
    cutouts = [
        np.concatenate([_read(name, record, "bg_fg"), _read(name, record, "mask")], axis=-1)
        for record in figures
    ]
    if not may_be_cut:
        _check_fit(name, cutouts, scale, stored)
    margin = math.ceil(stored / size / (1 - scale)) + 1
    depths = _depths(builder, backgrounds, size) if metadata["background_depth"] else None
    if with_depth and depths is None:
        raise InputError(f"{name} has backgrounds of unknown depth in places{ADVICE}")
    return Library(
        backgrounds=np.stack(
            [_read(name, record, "bg_fg", (size, size)) for record in backgrounds]
        ),
        depths=depths,
        focals=np.asarray([record["focal"] for record in backgrounds], np.float32),
        figures=_pad(cutouts, margin),
        margin=np.asarray(margin, np.int32),
        sizes=np.asarray([cutout.shape[:2] for cutout in cutouts], np.int32),
        feet=np.asarray([composite.feet(cutout) for cutout in cutouts], np.float32),
        metres=np.asarray([record["metres"] for record in figures], np.float32),
        ratio=np.asarray(size / stored, np.float32),
        averaging=np.asarray(_averaging(stored, size), np.float32),
    )


def member_ids(builder: tfds.core.DatasetBuilder) -> tuple[list[str], list[str]]:
    """Return the ids of the backgrounds and of the figures, in the order of the library."""
    backgrounds, figures = _training_records(builder)
    return (
        [record["bg_id"].decode() for record in backgrounds],
        [record["fg_id"].decode() for record in figures],
    )


def _training_records(builder):
    """Return the records of the backgrounds and of the figures that occur in training."""
    used = [set(column) for column in zip(*builder.info.metadata["pairs"]["train"])]
    all_backgrounds = preparation.source(builder, records.BACKGROUNDS)
    all_figures = preparation.source(builder, records.FIGURES)
    backgrounds = [record for record in all_backgrounds if record["bg_id"].decode() in used[0]]
    figures = [record for record in all_figures if record["fg_id"].decode() in used[1]]
    return backgrounds, figures


def _read(name: str, record: dict[str, Any], kind: str, size: tuple[int, int] | None = None):
    return images.read(record[kind], kind, size, f"{name}: {kind} of the library")


def _depths(builder, backgrounds, size):
    """Return the depth of the backgrounds, `[N,size,size,1]`; None if some of it is unknown."""
    unknown = builder.builder_config.options.unknown_depth
    name = f"{builder.info.full_name}: depth of the library"
    # At the stored size, because holes can vanish when a map is resized.
    if not all(
        images.read_depth(record["depth"], unknown, None, name)[1].all() for record in backgrounds
    ):
        return None
    maps = [images.read(record["depth"], "depth", (size, size), name) for record in backgrounds]
    return np.stack(maps)


def _stored_size(name, backgrounds):
    """Return the height and width of the stored backgrounds."""
    sizes = {_read(name, record, "bg_fg").shape[:2] for record in backgrounds}
    (height, width), *others = sizes
    if others or height != width:
        found = f"{sorted(sizes)[:3]} ..."
        raise InputError(f"{name}: its backgrounds are not squares of one size ({found}){ADVICE}")
    return height


def _check_fit(name, cutouts, scale, stored):
    largest = max(max(cutout.shape[:2]) for cutout in cutouts)
    if largest * (1 + scale) > stored:
        size = f"a cut-out of {largest} px, made {scale:.0%} larger,"
        raise InputError(f"{name}: {size} does not fit into {stored} px{ADVICE}")


def _pad(cutouts, margin):
    """Return the cut-outs in one array `[M,h,w,4]`, each at the upper left inside the margin."""
    height, width = (max(cutout.shape[axis] for cutout in cutouts) for axis in (0, 1))
    padded = np.zeros((len(cutouts), height + 2 * margin, width + 2 * margin, 4), np.uint8)
    for place, cutout in zip(padded, cutouts):
        place[margin : margin + cutout.shape[0], margin : margin + cutout.shape[1]] = cutout
    return padded


def _averaging(stored, size):
    """Return the factor by which resizing reduces the standard deviation of independent noise."""
    identity = Image.fromarray(np.eye(stored, dtype=np.float32))
    weights = np.asarray(identity.resize((size, stored), Image.Resampling.BILINEAR))
    # Along each axis the variance shrinks by this factor f. Along both it shrinks by f^2, so the
    # standard deviation shrinks by f.
    return np.square(weights).sum(axis=0).mean()
