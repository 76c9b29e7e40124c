"""Make new composites on the device in each step, from backgrounds and cut-outs that stay there.

The formulas are those of `composite.py`, in floating point and at the picture size of the training
stage: a cut-out is pasted at a random place, as it is or mirrored, with a shadow under its feet;
then exposure and sensor noise are applied. A figure's place, size and distance are drawn as for the
stored composites. There are two differences from stored composites. Those are resized as a whole,
while here background and cut-out are resized before pasting. And those have JPEG artefacts.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from modest.constants import DEPTH_METRES, MASK_THRESHOLD, MIN_DEPTH, PICTURES
from modest.data import composite
from modest.types import Array, Batch

STREAM = 2**31  # keeps these random numbers independent of the augmentation's


class Library(NamedTuple):
    """The backgrounds and cut-outs from which composites are made; a pytree of arrays.

    There are N backgrounds of s x s px, where s is the picture size of the stage, and M figures.
    Other lengths in px refer to the stored pictures, which are larger.

    Attributes:
      backgrounds: uint8 `[N,s,s,3]`.
      depths: uint8 `[N,s,s,1]`, or None if the backgrounds have no depth.
      focals: float32 `[N]`, focal lengths in px; 0 if unknown.
      figures: uint8 `[M,h,w,4]`, straight alpha (colours are not multiplied by it); each cut-out is
        at the upper left, inside the margin.
      margin: int32 scalar: transparent px around every cut-out, so that its edges fade out when it
        is resized.
      sizes: int32 `[M,2]`, height and width in px, without the margin.
      feet: float32 `[M,2]`, left and right end of the feet in px; equal if there are none.
      metres: float32 `[M]`, true heights in metres; 0 if unknown.
      ratio: float32 scalar, s divided by the size of the stored pictures.
      averaging: float32 scalar, the factor by which resizing to s reduces the standard deviation of
        a stored picture's noise.
    """

    backgrounds: Array
    depths: Array | None
    focals: Array
    figures: Array
    margin: Array
    sizes: Array
    feet: Array
    metres: Array
    ratio: Array
    averaging: Array


class Draw(NamedTuple):
    """The random choices for one composite, except its noise; scalars.

    Lengths in px refer to the stored pictures, as in `Library`.

    Attributes:
      background, figure: their indices in the library.
      mirrored: whether the figure is mirrored.
      x, y: upper left corner of the figure in px.
      scale: factor by which the figure is enlarged.
      darkening: darkening by the shadow where it is darkest, as a fraction.
      brightness: brightness of bg_fg relative to bg.
      shift: `[2]`, rows and columns in px by which bg moves, as if the camera had moved; or None.
    """

    background: Array | int
    figure: Array | int
    mirrored: Array | bool
    x: Array | float
    y: Array | float
    scale: Array | float
    darkening: Array | float
    brightness: Array | float
    shift: Array | None


def batches(
    backgrounds: int,
    figures: int,
    count: int,
    batch_size: int,
    seed: int,
    epoch: int,
    first: int = 0,
    rows: slice = slice(None),
) -> Iterator[dict[str, np.ndarray]]:
    """Yield the index batches of an epoch. A partial last batch is dropped.

    Every background occurs once before any occurs again, and so does every figure. The order is a
    function of `seed` and `epoch`.

    Args:
      backgrounds, figures: how many the library has.
      count: number of composites per epoch.
      batch_size: examples per batch, over all processes.
      seed: seed of the order.
      epoch: number of the epoch.
      first: number of the first batch to yield.
      rows: the rows of each batch to yield.

    Yields:
      `{"background": int32 [B], "figure": int32 [B], "valid": bool [B]}`.
    """
    rng = np.random.default_rng((seed, epoch))
    background = _permutations(rng, backgrounds, count)
    figure = _permutations(rng, figures, count)
    for start in range(first * batch_size, count - batch_size + 1, batch_size):
        part = slice(start, start + batch_size)
        batch = {"background": background[part], "figure": figure[part]}
        batch["valid"] = np.ones(batch_size, bool)
        yield {name: values[rows] for name, values in batch.items()}


def make(
    key: jax.Array,
    library: Library,
    batch: Batch,
    options: Mapping[str, float],
    first_index: jax.Array | int = 0,
) -> dict[str, jax.Array]:
    """Make the composites of an index batch.

    Args:
      key: PRNG key of the step. Example i uses a key that depends on its place in the global batch,
        `first_index + i`.
      library: the backgrounds and cut-outs.
      batch: indices into the library, as `batches` yields them.
      options: `scale`, the largest relative change of a figure's size; `shift`, the largest
        movement of the camera in px; `shadow`, `exposure` and `noise`, as in
        `composite.Realism`. A value of 0 disables an effect.
      first_index: place in the global batch of this device's first example.

    Returns:
      `bg`, `bg_fg`, `mask` and `depth` (if known), float `[B,s,s,C]` in [0, 1] as
      `preprocess.to_float` returns them, and `valid`.
    """
    key = jax.random.fold_in(key, STREAM)
    places = first_index + jnp.arange(len(batch["valid"]))
    keys = jax.vmap(jax.random.fold_in, (None, 0))(key, places)

    def make_one(key, background, figure):
        key_draw, key_noise = jax.random.split(key)
        example = render(library, draw(key_draw, library, background, figure, options))
        clean = jnp.stack([example[name] for name in PICTURES])
        noisy = add_noise(key_noise, clean, library, options["noise"])
        return example | dict(zip(PICTURES, noisy))

    examples = jax.vmap(make_one)(keys, batch["background"], batch["figure"])
    del examples["box"]
    return examples | {"valid": batch["valid"]}


def draw(
    key: jax.Array,
    library: Library,
    background: Array | int,
    figure: Array | int,
    options: Mapping[str, float],
) -> Draw:
    """Draw a composite. The figure is inside the picture, and all places are equally likely.

    Args:
      key: PRNG key.
      library: the backgrounds and cut-outs.
      background, figure: their indices in the library.
      options: see `make`.
    """
    # One call for all random numbers: a program with eight calls takes seconds longer to compile.
    scale, side, x, y, darkening, brightness, *shift = jax.random.uniform(key, (8,))
    stored = jnp.round(library.backgrounds.shape[1] / library.ratio)
    scale = 1 + options["scale"] * (2 * scale - 1)
    # The free rows and columns beside the figure.
    rows, columns = jnp.maximum(stored - jnp.ceil(library.sizes[figure] * scale), 0)
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


def render(library: Library, drawn: Draw) -> dict[str, jax.Array]:
    """Render a composite without noise.

    Returns:
      `bg` and `bg_fg` `[s,s,3]`, not clipped to [0, 1]; `mask` and `depth` (if known) `[s,s,1]`;
      and `box` `[4]`, the x, y, width and height of the mask in px of the stage, all 0 if the mask
      is empty.
    """
    dtype = jnp.result_type(float)
    bg = library.backgrounds[drawn.background].astype(dtype) / 255
    premultiplied = _paste(library, drawn)
    alpha = premultiplied[..., 3:]
    shaded = bg * (1 - _shadow(library, drawn))[..., None]
    bg_fg = drawn.brightness * (shaded * (1 - alpha) + premultiplied[..., :3])
    mask = (alpha >= MASK_THRESHOLD).astype(dtype)
    if drawn.shift is not None:
        bg = _shift(bg, library.ratio * drawn.shift)
    example = {"bg": bg, "bg_fg": bg_fg, "mask": mask}
    if library.depths is not None:
        room = library.depths[drawn.background].astype(dtype) / 255
        depth = jnp.where(mask > 0, _figure_depth(library, drawn, room, mask), room)
        example["depth"] = jnp.maximum(depth, MIN_DEPTH)
    return example | {"box": _box(mask)}


def add_noise(key: jax.Array, clean: Array, library: Library, noise: float) -> jax.Array:
    """Add sensor noise and clip to [0, 1].

    Args:
      key: PRNG key.
      clean: pictures in [0, 1].
      library: its `averaging` scales the noise to that of a resized stored picture.
      noise: standard deviation in grey levels of a stored picture.
    """
    if noise:
        drawn = jax.random.bits(key, clean.shape, jnp.uint8)
        clean += library.averaging * noise / 255 * jnp.take(composite.NORMAL_QUANTILES, drawn)
    return jnp.clip(clean, 0, 1)


def _permutations(rng, members, count):
    """Return the first `count` int32 values of random permutations of 0 .. members - 1."""
    repeats = [rng.permutation(members) for _ in range(-(-count // members))]
    return np.concatenate(repeats)[:count].astype(np.int32)


def _paste(library, drawn):
    """Return the figure at its place on an empty canvas, `[s,s,4]`, with premultiplied colours."""
    cutout = library.figures[drawn.figure].astype(jnp.result_type(float)) / 255
    cutout = jnp.concatenate([cutout[..., :3] * cutout[..., 3:], cutout[..., 3:]], axis=-1)
    width = cutout.shape[1]
    scale = drawn.scale * library.ratio
    margin = library.margin * drawn.scale
    # In a mirrored array, the padding to the right of the figure comes first.
    padding = drawn.scale * (width - library.margin - library.sizes[drawn.figure, 1])
    cutout = jnp.where(drawn.mirrored, cutout[:, ::-1], cutout)
    left = drawn.x - jnp.where(drawn.mirrored, padding, margin)
    corner = library.ratio * jnp.stack([drawn.y - margin, left])
    shape = (*library.backgrounds.shape[1:3], 4)
    scales = jnp.stack([scale, scale])
    return jax.image.scale_and_translate(
        cutout, shape, (0, 1), scales, corner, "linear", antialias=True
    )


def _shadow(library, drawn):
    """Return the darkening by the elliptic shadow under the feet, a fraction, `[s,s]`."""
    height, width = library.sizes[drawn.figure] * drawn.scale
    left, right = library.feet[drawn.figure] * drawn.scale
    middle = (left + right) / 2
    x = drawn.x + jnp.where(drawn.mirrored, width - middle, middle)
    y = drawn.y + 0.985 * height
    half_width, half_height = (right - left) / 2 + 0.06 * height, 0.05 * height
    pixels = (jnp.arange(library.backgrounds.shape[1]) + 0.5) / library.ratio
    rows, columns = ((pixels - y) / half_height) ** 2, ((pixels - x) / half_width) ** 2
    square = rows[:, None] + columns[None, :]
    inside = (square < 4) & (right > left)
    return jnp.where(inside, drawn.darkening * jnp.exp(-1.2 * square), 0)


def _figure_depth(library, drawn, room, mask):
    """Return the figure's depth: that of `composite.figure_depth`, or that of the room at the feet.

    The second is used if the focal length or the true height is unknown.
    """
    focal, metres = library.focals[drawn.background], library.metres[drawn.figure]
    distance = focal * metres / (library.sizes[drawn.figure, 0] * drawn.scale)
    known = jnp.clip(distance / DEPTH_METRES, MIN_DEPTH, 1)
    lowest = mask.shape[0] - 1 - jnp.argmax(mask.any(axis=(1, 2))[::-1])
    at_feet = jnp.nanmedian(jnp.where(mask[lowest] > 0, room[lowest], jnp.nan))
    return jnp.where(focal * metres > 0, known, jnp.nan_to_num(at_feet, nan=1.0))


def _box(mask):
    rows, columns = mask.any(axis=(1, 2)), mask.any(axis=(0, 2))
    box = jnp.stack([jnp.argmax(columns), jnp.argmax(rows), _extent(columns), _extent(rows)])
    return jnp.where(mask.any(), box, 0)


def _extent(line):
    """Return the number of elements from the first to the last True of a bool vector."""
    return jnp.where(line.any(), len(line) - jnp.argmax(line[::-1]) - jnp.argmax(line), 0)


def _shift(picture, shift):
    """Move a picture by `[2]` px (rows, columns); repeat its border pixels to fill the rest."""
    at = [places - moved for places, moved in zip(jnp.indices(picture.shape[:2]), shift)]

    def sample(channel):
        return jax.scipy.ndimage.map_coordinates(channel, at, order=1, mode="nearest")

    return jax.vmap(sample, in_axes=-1, out_axes=-1)(picture)
