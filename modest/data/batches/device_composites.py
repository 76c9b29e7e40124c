"""Make new composites on the device in each step, from backgrounds and cut-outs that stay there.

The formulas are those of `composite.py`, in floating point and at the picture size of the training
stage: a cut-out is pasted at a random place, as it is or mirrored, with a shadow under its feet;
then exposure and sensor noise are applied. A figure's place, size and distance are drawn as for the
stored composites. There are two differences from stored composites. Those are resized as a whole,
while here background and cut-out are resized before pasting. And those have JPEG artefacts.
"""

from collections.abc import Iterator, Mapping

import jax
import jax.numpy as jnp
import numpy as np

from modest.constants import MASK_THRESHOLD, MIN_DEPTH, PICTURES
from modest.data.batches import camera
from modest.data.batches.cutouts import (
    Draw,
    Library,
    contact_shadow,
    example_keys,
    figure_depth,
    paste,
    warp,
)
from modest.types import Array, Batch

STREAM = 2**31  # keeps these random numbers independent of the augmentation's


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
    keys = example_keys(jax.random.fold_in(key, STREAM), batch, first_index)

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


def render(library: Library, drawn: Draw) -> dict[str, Array]:
    """Render a composite without noise.

    Returns:
      `bg` and `bg_fg` `[s,s,3]`, not clipped to [0, 1]; `mask` and `depth` (if known) `[s,s,1]`;
      and `box` `[4]`, the x, y, width and height of the mask in px of the stage, all 0 if the mask
      is empty.
    """
    dtype = jnp.result_type(float)
    bg = library.backgrounds[drawn.background].astype(dtype) / 255
    premultiplied = paste(library, drawn)
    alpha = premultiplied[..., 3:]
    shaded = bg * (1 - contact_shadow(library, drawn))[..., None]
    bg_fg = drawn.brightness * (shaded * (1 - alpha) + premultiplied[..., :3])
    mask = (alpha >= MASK_THRESHOLD).astype(dtype)
    if drawn.shift is not None:
        bg = warp(bg, library.ratio * drawn.shift)
    example = {"bg": bg, "bg_fg": bg_fg, "mask": mask}
    if library.depths is not None:
        room = library.depths[drawn.background].astype(dtype) / 255
        depth = jnp.where(mask > 0, figure_depth(library, drawn, room, mask), room)
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
    if not noise:
        return jnp.clip(clean, 0, 1)
    return camera.add_noise(key, clean, library.averaging * noise)


def _permutations(rng, members, count):
    """Return the first `count` int32 values of random permutations of 0 .. members - 1."""
    repeats = [rng.permutation(members) for _ in range(-(-count // members))]
    return np.concatenate(repeats)[:count].astype(np.int32)


def _box(mask):
    rows, columns = mask.any(axis=(1, 2)), mask.any(axis=(0, 2))
    box = jnp.stack([jnp.argmax(columns), jnp.argmax(rows), _extent(columns), _extent(rows)])
    return jnp.where(mask.any(), box, 0)


def _extent(line):
    """Return the number of elements from the first to the last True of a bool vector."""
    return jnp.where(line.any(), len(line) - jnp.argmax(line[::-1]) - jnp.argmax(line), 0)
