"""Composites made on the device: backgrounds and cut-outs live there, and every step draws new ones from its key.

The mathematics is that of `compose.py`, in float and at the stage's size: a cut-out at a random place, as it is or mirrored, with a
shadow under its feet; then exposure and sensor noise. A figure's place, size and distance are those it has in the stored pictures;
these are never made smaller as a whole, each part of them is. What JPEG does to a stored composite is left out.
"""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image

from modest import pictures
from modest.data import compose, museum
from modest.vocabulary import DEPTH_METRES, MASK_THRESHOLD, MIN_DEPTH, PICTURES, InputError

STREAM = 2**31  # sets these random numbers apart from the augmentation's


class Library(NamedTuple):
    """What composites are made of; a pytree of arrays. px are those of the stored pictures, `ratio` of the stage's go to one."""

    backgrounds: Any  # uint8 [N, s, s, 3]
    depths: Any  # uint8 [N, s, s, 1], or None where there is no depth
    focals: Any  # float32 [N], px; 0 where not known
    figures: Any  # uint8 [M, h, w, 4], straight alpha, in the left upper corner inside the margin
    margin: Any  # int32 scalar: transparent px around every cut-out, which its edges fade into when it is made smaller
    sizes: Any  # int32 [M, 2], height and width in px, without the margin
    feet: Any  # float32 [M, 2], left and right end of the feet in px; equal where there are none
    metres: Any  # float32 [M], what the height stands for; 0 where not known
    ratio: Any  # float32 scalar
    averaging: Any  # float32 scalar: what is left of the deviation of a stored picture's noise at the stage's size


class Draw(NamedTuple):
    """What is random of one composite, its noise apart; all scalars."""

    background: Any
    figure: Any
    mirrored: Any
    x: Any  # px, the left upper corner
    y: Any
    scale: Any  # of the figure's size
    darkening: Any  # by the shadow, where it is darkest
    brightness: Any  # of bg_fg, relative to bg
    shift: Any  # [2], px by which bg is moved, as if the camera had been


def load(builder, size, with_depth=True, scale=0.0):
    """The `Library` of the backgrounds and figures that the data set's training composites were made of, numpy arrays.

    Args:
      builder: a prepared data set.
      size: height and width of the pictures to make, px.
      with_depth: whether they must have depth; without, it is left out where the backgrounds have none.
      scale: the largest relative change of a figure's size that is going to be drawn.

    Raises:
      InputError: there are no cut-outs, or no depth, the backgrounds are not squares of one size, or a cut-out does not fit them.
    """
    name, metadata = builder.info.full_name, builder.info.metadata
    otherwise = "; set --config.data.source=records"
    if museum.FIGURES not in builder.info.splits:
        raise InputError(f"{name} has no cut-outs (fg/<figure>.png, with alpha) to make composites of{otherwise}")
    if with_depth and not metadata["background_depth"]:
        raise InputError(f"{name} has no depth of its bare backgrounds to make composites with{otherwise}")
    backgrounds, figures = _training_records(builder)
    read = lambda record, kind, to=None: pictures.read(record[kind], kind, to, f"{name}: {kind} of the library")
    sizes = {read(record, "bg_fg").shape[:2] for record in backgrounds}
    (stored, width), *others = sizes
    if others or stored != width:
        raise InputError(f"{name}: its backgrounds are not squares of one size ({sorted(sizes)[:3]} ...){otherwise}")
    cutouts = [np.concatenate([read(record, "bg_fg"), read(record, "mask")], axis=-1) for record in figures]
    largest = [max(cutout.shape[axis] for cutout in cutouts) for axis in (0, 1)]
    if max(largest) * (1 + scale) > stored:
        raise InputError(f"{name}: a cut-out of {max(largest)} px, {scale:.0%} larger, does not fit {stored} px{otherwise}")
    margin = math.ceil(stored / size / (1 - scale)) + 1
    padded = np.zeros((len(cutouts), *(length + 2 * margin for length in largest), 4), np.uint8)
    for place, cutout in zip(padded, cutouts):
        place[margin : margin + cutout.shape[0], margin : margin + cutout.shape[1]] = cutout
    depths = [read(record, "depth", (size, size)) for record in backgrounds] if metadata["background_depth"] else None
    return Library(
        backgrounds=np.stack([read(record, "bg_fg", (size, size)) for record in backgrounds]),
        depths=depths and np.stack(depths),
        focals=np.asarray([record["focal"] for record in backgrounds], np.float32),
        figures=padded,
        margin=np.int32(margin),
        sizes=np.asarray([cutout.shape[:2] for cutout in cutouts], np.int32),
        feet=np.asarray([compose.feet(cutout) for cutout in cutouts], np.float32),
        metres=np.asarray([record["metres"] for record in figures], np.float32),
        ratio=np.float32(size / stored),
        averaging=_averaging(stored, size),
    )


def members(builder):
    """The names of the backgrounds and of the figures in the library, in its order."""
    backgrounds, figures = _training_records(builder)
    return [record["bg_id"].decode() for record in backgrounds], [record["fg_id"].decode() for record in figures]


def batches(backgrounds, figures, count, batch_size, seed, epoch, first=0, rows=slice(None)):
    """The batches of an epoch of `count` composites of so many backgrounds and figures, from number `first` on.

    A batch is `{"background", "figure": int32 [B], "valid": [B]}`; a last partial one is dropped.

    `rows` is a slice: those of each batch to give.

    Each background comes once before any comes again, and so does each figure. A function of `seed` and `epoch` alone.
    """
    rng = np.random.default_rng((seed, epoch))
    cycle = lambda members: np.concatenate([rng.permutation(members) for _ in range(-(-count // members))])[:count]
    background, figure = (cycle(members).astype(np.int32) for members in (backgrounds, figures))
    for start in range(first * batch_size, count - batch_size + 1, batch_size):
        part = slice(start, start + batch_size)
        batch = {"background": background[part], "figure": figure[part], "valid": np.ones(batch_size, bool)}
        yield {name: values[rows] for name, values in batch.items()}


def make(key, library, batch, options, first_index=0):
    """A float batch `[B,s,s,C]` in [0, 1], as `preprocess.to_float` gives it, of the backgrounds and figures of an index batch.

    Args:
      key: PRNG key of the step. Example i draws from a key of its place `first_index + i` in the global batch.
      library: a `Library`.
      batch: of `batches`.
      options: `{"scale", "shift", "shadow", "exposure", "noise"}`: the largest relative change of a figure's size; the largest
        shift of the camera in px; and as `compose.Realism` has them. 0 switches each off.
      first_index: place in the global batch of this device's first example.
    """
    key = jax.random.fold_in(key, STREAM)
    keys = jax.vmap(jax.random.fold_in, (None, 0))(key, first_index + jnp.arange(len(batch["valid"])))

    def one(key, background, figure):
        key_draw, key_noise = jax.random.split(key)
        example = composite(library, draw(key_draw, library, background, figure, options))
        both = add_noise(key_noise, jnp.stack([example[name] for name in PICTURES]), library, options["noise"])
        return example | dict(zip(PICTURES, both))

    examples = jax.vmap(one)(keys, batch["background"], batch["figure"])
    del examples["box"]
    return examples | {"valid": batch["valid"]}


def draw(key, library, background, figure, options):
    """A `Draw` by the recipe: the figure lies wholly inside the picture, every place is as likely as any other."""
    # One call for all of them: a program with eight takes seconds longer to compile.
    scale, side, x, y, darkening, brightness, *shift = jax.random.uniform(key, (8,))
    stored = jnp.round(library.backgrounds.shape[1] / library.ratio)
    scale = 1 + options["scale"] * (2 * scale - 1)
    rows, columns = jnp.maximum(stored - jnp.ceil(library.sizes[figure] * scale), 0)  # that are left over beside the figure
    return Draw(
        background=background,
        figure=figure,
        mirrored=side < 0.5,
        x=jnp.floor(x * (columns + 1)),
        y=jnp.floor(y * (rows + 1)),
        scale=scale,
        darkening=options["shadow"] * (0.5 + 0.5 * darkening),
        brightness=1 + options["exposure"] * (2 * brightness - 1),
        shift=options["shift"] * (2 * jnp.stack(shift) - 1) if options["shift"] else None,
    )


def composite(library, drawn):
    """The example of a `Draw`, without noise: `bg`, `bg_fg` [s,s,3], `mask`, `depth` [s,s,1] (where known), and `box` [4].

    The pictures are not clipped to [0, 1]. `box` is x, y, width and height of the mask in the stage's px, all 0 where it is empty.
    """
    ratio, size, dtype = library.ratio, library.backgrounds.shape[1], jnp.result_type(float)
    bg = library.backgrounds[drawn.background].astype(dtype) / 255
    premultiplied = _paste(library, drawn)
    alpha = premultiplied[..., 3:]
    shaded = bg * (1 - _shadow(library, drawn))[..., None]
    bg_fg = drawn.brightness * (shaded * (1 - alpha) + premultiplied[..., :3])
    mask = (alpha >= MASK_THRESHOLD).astype(dtype)
    example = {"bg": bg if drawn.shift is None else _shifted(bg, ratio * drawn.shift), "bg_fg": bg_fg, "mask": mask}
    if library.depths is not None:
        room = library.depths[drawn.background].astype(dtype) / 255
        example["depth"] = jnp.maximum(jnp.where(mask > 0, _distance(library, drawn, room, mask), room), MIN_DEPTH)
    rows, columns = mask.any(axis=(1, 2)), mask.any(axis=(0, 2))
    first = lambda line: jnp.argmax(line)
    length = lambda line: jnp.where(line.any(), size - first(line[::-1]) - first(line), 0)
    box = jnp.stack([first(columns), first(rows), length(columns), length(rows)])
    return example | {"box": jnp.where(mask.any(), box, 0)}


def add_noise(key, clean, library, noise):
    """Sensor noise of a standard deviation in grey levels of the stored picture, averaged as that one is when made smaller."""
    if noise:
        drawn = jax.random.bits(key, clean.shape, jnp.uint8)
        clean += library.averaging * noise / 255 * jnp.take(compose.QUANTILES, drawn)
    return jnp.clip(clean, 0, 1)


def _paste(library, drawn):
    """The figure at its place on an empty canvas [s,s,4], colours times alpha."""
    cutout = library.figures[drawn.figure].astype(jnp.result_type(float)) / 255
    cutout = jnp.concatenate([cutout[..., :3] * cutout[..., 3:], cutout[..., 3:]], axis=-1)
    height, width = cutout.shape[:2]
    scale = drawn.scale * library.ratio
    margin = library.margin * drawn.scale
    # Mirrored, what is left of the figure in its array is to the right of it, out to the array's end.
    beyond = drawn.scale * (width - library.margin - library.sizes[drawn.figure, 1])
    cutout = jnp.where(drawn.mirrored, cutout[:, ::-1], cutout)
    left = drawn.x - jnp.where(drawn.mirrored, beyond, margin)
    corner = library.ratio * jnp.stack([drawn.y - margin, left])
    shape = (*library.backgrounds.shape[1:3], 4)
    return jax.image.scale_and_translate(cutout, shape, (0, 1), jnp.stack([scale, scale]), corner, "linear", antialias=True)


def _shadow(library, drawn):
    """How much the soft ellipse under the feet darkens each pixel, [s,s]; see `compose._cast_shadow`."""
    height, width = library.sizes[drawn.figure] * drawn.scale
    left, right = library.feet[drawn.figure] * drawn.scale
    middle = drawn.x + jnp.where(drawn.mirrored, width - (left + right) / 2, (left + right) / 2)
    half_width, half_height, ground = (right - left) / 2 + 0.06 * height, 0.05 * height, drawn.y + 0.985 * height
    at = (jnp.arange(library.backgrounds.shape[1]) + 0.5) / library.ratio
    square = (((at - ground) / half_height) ** 2)[:, None] + (((at - middle) / half_width) ** 2)[None, :]
    return jnp.where((square < 4) & (right > left), drawn.darkening * jnp.exp(-1.2 * square), 0)


def _distance(library, drawn, room, mask):
    """The figure's depth: f h / p where focal length and height are known, else that of the room at its feet."""
    focal, metres = library.focals[drawn.background], library.metres[drawn.figure]
    known = jnp.clip(focal * metres / (library.sizes[drawn.figure, 0] * drawn.scale) / DEPTH_METRES, MIN_DEPTH, 1)
    lowest = mask.shape[0] - 1 - jnp.argmax(mask.any(axis=(1, 2))[::-1])
    at_feet = jnp.nanmedian(jnp.where(mask[lowest] > 0, room[lowest], jnp.nan))
    return jnp.where(focal * metres > 0, known, jnp.nan_to_num(at_feet, nan=1.0))


def _shifted(picture, shift):
    """The picture moved by [2] px, rows and columns, its edges stretched to fill the rest."""
    at = [coordinate - moved for coordinate, moved in zip(jnp.indices(picture.shape[:2]), shift)]
    sample = lambda channel: jax.scipy.ndimage.map_coordinates(channel, at, order=1, mode="nearest")
    return jax.vmap(sample, in_axes=-1, out_axes=-1)(picture)


def _training_records(builder):
    """The backgrounds and the figures that training composites were made of."""
    used = [set(column) for column in zip(*builder.info.metadata["pairs"]["train"])]
    backgrounds = [record for record in museum.source(builder, museum.BACKGROUNDS) if record["bg_id"].decode() in used[0]]
    figures = [record for record in museum.source(builder, museum.FIGURES) if record["fg_id"].decode() in used[1]]
    return backgrounds, figures


def _averaging(stored, size):
    """What is left of the deviation of independent noise when a picture of `stored` px is made smaller to `size`."""
    lines = Image.fromarray(np.eye(stored, dtype=np.float32)).resize((size, stored), Image.Resampling.BILINEAR)
    return np.float32(np.square(np.asarray(lines)).sum(axis=0).mean())  # of one axis the root of this, and there are two
