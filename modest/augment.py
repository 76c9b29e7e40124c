"""Augmentation on the device, with the operations of the original.

Pictures are in [0, 1], not yet standardised. Both pictures of a pair get the same random draw, so
that the figure is still the only difference between them. Crop, flip and rotation also move the
targets.
Each operation has its own probability. An operation that cannot change anything is left out of the
compiled program. docs/augmentation.md shows every operation.

Crop and rotation fill pixels from outside a picture by reflection, without repeating the edge, as
in the original. Repeated edge pixels would be streaks, which occur in no photograph or depth map. A
figure that is reflected in the pictures is reflected in the mask as well.
"""

import functools
import math
from collections.abc import Callable, Mapping
from typing import Any

import dm_pix as pix
import jax
import jax.numpy as jnp
from jax import lax

from modest.constants import PICTURES
from modest.types import Array, Batch

CUTOUT_VALUE = 0.5  # grey, about the mean of a picture


def augment(
    key: jax.Array, batch: Batch, options: Mapping[str, Any], first_index: int | Array = 0
) -> dict[str, Array]:
    """Return an augmented copy of a batch.

    Args:
      key: PRNG key of the step. Example i draws from `fold_in(key, first_index + i)`, so its draw
        does not depend on the device.
      batch: `bg`, `bg_fg` and any of `mask`, `depth` and `depth_valid`, float `[B,H,W,C]` in
        [0, 1], and `valid`.
      options: the operations, which are applied in this order. `flip` is a probability. The other
        values are dicts with a `probability` and the bounds of the random amounts:
          crop: `padding`, added on every side, as a fraction of the size.
          flip: left and right.
          rotation: `degrees`, in either direction.
          blur: `sigma` in px; drawn from 0 to this.
          cutout: `squares`, their number, and `size`, their side as a fraction of the picture's
            shorter side.
          hue_saturation_value: `hue`, in turns of the colour circle (20/180 for the original's 20
            of 180), `saturation` and `value`; added to the HSV planes, in either direction.
          iso_noise: `color_shift` and `intensity`, each drawn from 0 to this, see `_iso_noise`.
          brightness_contrast: `brightness`, added, and `contrast`, a relative change; both in
            either direction.
      first_index: position in the global batch of this device's first example.

    Returns:
      The augmented batch: same keys, shapes and dtypes; pictures are in [0, 1].
    """
    indices = first_index + jnp.arange(batch["bg"].shape[0])
    keys = jax.vmap(jax.random.fold_in, (None, 0))(key, indices)
    return jax.vmap(functools.partial(_augment_one, options))(keys, batch)


def _augment_one(options, key, example):
    # The operations that were added later use keys made by `fold_in` with numbers from 16 upwards.
    # `fold_in` with 0 to 2 might give the keys of this split again.
    key_flip, key_colour, key_light = jax.random.split(key, 3)
    crop, rotation, blur = options["crop"], options["rotation"], options["blur"]
    cutout, noise = options["cutout"], options["iso_noise"]
    colour, light = options["hue_saturation_value"], options["brightness_contrast"]

    images = {name: image for name, image in example.items() if image.ndim == 3}  # without `valid`
    if crop["probability"] and crop["padding"]:
        images = _apply(jax.random.fold_in(key, 16), crop, _crop, images)
    if options["flip"]:
        flip = jax.random.bernoulli(key_flip, options["flip"])
        images = {
            name: jnp.where(flip, pix.flip_left_right(image), image)
            for name, image in images.items()
        }
    if rotation["probability"] and rotation["degrees"]:
        images = _apply(jax.random.fold_in(key, 17), rotation, _rotate, images)

    pictures = jnp.stack([images[name] for name in PICTURES])
    if blur["probability"] and blur["sigma"]:
        pictures = _apply(jax.random.fold_in(key, 18), blur, _blur, pictures)
    if cutout["probability"] and cutout["squares"] and cutout["size"]:
        pictures = _apply(jax.random.fold_in(key, 19), cutout, _cut_out, pictures)
    if colour["probability"] and (colour["hue"] or colour["saturation"] or colour["value"]):
        pictures = _apply(key_colour, colour, _in_either_direction(_shift_hsv), pictures)
    if noise["probability"] and noise["intensity"]:
        pictures = _apply(jax.random.fold_in(key, 20), noise, _add_iso_noise, pictures)
    if light["probability"] and (light["brightness"] or light["contrast"]):
        shift = _in_either_direction(_shift_brightness_contrast)
        pictures = _apply(key_light, light, shift, pictures)
    return example | images | dict(zip(PICTURES, pictures))


def _apply(key, options, operation, images):
    """Apply an operation with the probability that its options state.

    Args:
      key: PRNG key of this operation and example.
      options: `probability`, and the bounds that the operation takes as keyword arguments.
      operation: called as `operation(key, images, **bounds)`; its result is clipped to [0, 1].
      images: an array or a dict of arrays.
    """
    key_apply, key_draw = jax.random.split(key)
    bounds = {name: value for name, value in options.items() if name != "probability"}
    changed = operation(key_draw, images, **bounds)
    apply = jax.random.bernoulli(key_apply, options["probability"])

    def select(new, old):
        return jnp.where(apply, jnp.clip(new, 0, 1), old)

    return jax.tree.map(select, changed, images)


def _in_either_direction(operation: Callable[..., Any]) -> Callable[..., Any]:
    """Return `operation` with each amount drawn uniformly from minus to plus its bound."""

    def with_random_amounts(key, pictures, **bounds):
        draws = jax.random.uniform(key, (len(bounds),), pictures.dtype, -1, 1)
        amounts = {name: draw * bound for draw, (name, bound) in zip(draws, sorted(bounds.items()))}
        return operation(pictures, **amounts)

    return with_random_amounts


def _crop(key, images, padding):
    """Shift images by a random whole number of pixels.

    Every side is padded by the fraction `padding` of the size; then a random window of the original
    size is cropped.
    """

    def pad_and_crop(image):
        rows, columns = (round(padding * length) for length in image.shape[:2])
        padded = jnp.pad(image, ((rows, rows), (columns, columns), (0, 0)), mode="reflect")
        return pix.random_crop(key, padded, image.shape)  # the same key gives the same place

    return {name: pad_and_crop(image) for name, image in images.items()}


def _rotate(key, images, degrees):
    """Rotate images by a random angle.

    Pictures are sampled bilinearly. Mask and depth take the nearest pixel, which does not mix the
    two sides of an edge. Depth values do not change, because rolling the camera does not change the
    distance along the optical axis.
    """
    angle = jnp.radians(jax.random.uniform(key, (), images["bg"].dtype, -degrees, degrees))
    return {
        name: _rotate_by(image, angle, order=1 if name in PICTURES else 0)
        for name, image in images.items()
    }


def _rotate_by(image, angle, order):
    """Rotate an image `[H,W,C]` counter-clockwise about its centre.

    `pix.rotate` is not used: it computes coordinates by a matrix product, which accelerators may
    round to 8 bits, an error of half a pixel.

    Args:
      image: `[H,W,C]`.
      angle: radians.
      order: 1 for bilinear interpolation, 0 for the nearest pixel.
    """
    height, width = image.shape[:2]
    y = jnp.arange(height, dtype=image.dtype)[:, None] - (height - 1) / 2
    x = jnp.arange(width, dtype=image.dtype)[None, :] - (width - 1) / 2
    cos, sin = jnp.cos(angle), jnp.sin(angle)
    source = [y * cos + x * sin + (height - 1) / 2, x * cos - y * sin + (width - 1) / 2]

    def sample(channel):
        return jax.scipy.ndimage.map_coordinates(channel, source, order=order, mode="mirror")

    return jax.vmap(sample, in_axes=-1, out_axes=-1)(image)


def _blur(key, pictures, sigma):
    """Blur pictures with a Gaussian of a random standard deviation up to `sigma` px.

    The window extends to three times `sigma`.
    """
    drawn = jax.random.uniform(key, (), pictures.dtype, 0, sigma)
    return gaussian_blur(pictures, drawn, radius=math.ceil(3 * sigma))


def gaussian_blur(pictures: Array, sigma: Array, radius: int) -> Array:
    """Blur pictures `[N,H,W,C]` along the height and then along the width.

    Args:
      pictures: `[N,H,W,C]`.
      sigma: standard deviation in px; may be traced.
      radius: the window has 2 * radius + 1 px; static.
    """
    offsets = jnp.arange(-radius, radius + 1, dtype=pictures.dtype)
    taps = jnp.exp(-0.5 * (offsets / jnp.maximum(sigma, 0.01)) ** 2)
    taps = taps / taps.sum()
    for axis in (1, 2):
        size = pictures.shape[axis]
        widths = [(radius, radius) if i == axis else (0, 0) for i in range(4)]
        padded = jnp.pad(pictures, widths, mode="reflect")
        shifted = [
            taps[i] * lax.slice_in_dim(padded, i, i + size, axis=axis)
            for i in range(2 * radius + 1)
        ]
        pictures = jnp.asarray(sum(shifted))
    return pictures


def _cut_out(key, pictures, squares, size):
    """Hide random squares of the pictures.

    The method is from DeVries and Taylor, "Improved regularization of convolutional neural networks
    with cutout" (2017). The centre of a square is anywhere in the picture, so part of a square may
    be outside.
    """
    height, width = pictures.shape[1:3]
    side = max(1, round(size * min(height, width)))
    centres = jax.random.randint(key, (squares, 2), 0, jnp.array([[height, width]]))
    return _fill_squares(pictures, centres - side // 2, side)


def _fill_squares(pictures, corners, side):
    """Set squares of `side` px to `CUTOUT_VALUE`.

    Args:
      pictures: `[N,H,W,C]`.
      corners: row and column of the upper left corners, `[squares, 2]`; may be outside.
      side: px.
    """
    row, column = jnp.indices(pictures.shape[1:3])[:, None]
    top, left = corners.T[..., None, None]
    inside = (top <= row) & (row < top + side) & (left <= column) & (column < left + side)
    return jnp.where(inside.any(axis=0)[None, ..., None], CUTOUT_VALUE, pictures)


def _add_iso_noise(key, pictures, color_shift, intensity):
    """Add sensor noise of random strength, see `_iso_noise`.

    Both amounts are drawn between 0 and their bounds, once for both pictures.
    """
    key_amounts, key_noise = jax.random.split(key)
    draws = jax.random.uniform(key_amounts, (2,), pictures.dtype)
    return _iso_noise(key_noise, pictures, draws[0] * color_shift, draws[1] * intensity)


def _iso_noise(key, pictures, color_shift, intensity):
    """Add the noise of a high ISO speed to pictures `[N,H,W,3]`: noise of hue and lightness in HSL.

    This follows ISONoise of albumentations (albumentations.ai). Every pixel of every picture has
    its own noise, as in two exposures. The hue gets normal noise with a standard deviation of
    color_shift * intensity turns. The lightness L increases by (1 - L) P / 255, where P follows a
    Poisson distribution with mean 255 * intensity * (standard deviation of L).

    There are three differences from albumentations. P is normal with the mean and the variance of
    the Poisson distribution, clamped to at least 0. The ranges of both amounts start at 0. The
    standard deviation of L is taken over all pictures together, so that all are brightened equally.
    """
    hue, saturation, lightness = jnp.split(pix.rgb_to_hsl(pictures), 3, axis=-1)
    noise = jax.random.normal(key, (2, *hue.shape), hue.dtype)
    mean = 255 * intensity * lightness.std()
    count = jnp.maximum(mean + jnp.sqrt(mean) * noise[0], 0)
    lightness = jnp.minimum(lightness + (1 - lightness) * count / 255, 1)
    hue = (hue + color_shift * intensity * noise[1]) % 1.0
    return pix.hsl_to_rgb(jnp.concatenate([hue, saturation, lightness], axis=-1))


def _shift_hsv(pictures, hue, saturation, value):
    """Add to the hue, the saturation and the value of RGB pictures.

    The hue wraps around; saturation and value are clipped to [0, 1].
    """
    h, s, v = jnp.split(pix.rgb_to_hsv(pictures), 3, axis=-1)
    h, s, v = (h + hue) % 1.0, jnp.clip(s + saturation, 0, 1), jnp.clip(v + value, 0, 1)
    return pix.hsv_to_rgb(jnp.concatenate([h, s, v], axis=-1))


def _shift_brightness_contrast(pictures, brightness, contrast):
    """Return (1 + contrast) * x + brightness.

    The contrast is scaled about black, not about the mean, which differs between the pictures of a
    pair.
    """
    return pix.adjust_brightness((1 + contrast) * pictures, brightness)
