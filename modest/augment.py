"""Augmentation on the device, one draw for all pictures of an example: the original's operations.

Pictures come in [0, 1] before standardising. Both pictures of a pair get the same draw, so that what differs between them is still
the figure; crop, flip and rotation move the targets as well. Each operation has a probability of its own, and one that can change
nothing is not in the program. docs/augmentation.md shows them all.

What comes in from outside a picture is its reflection (the edge not repeated), as in the original: repeated edge pixels would be
streaks, which no photograph and no depth map has. A figure that is mirrored in the pictures is mirrored in the mask as well.
"""

import math

import dm_pix as pix
import jax
import jax.numpy as jnp
from jax import lax

from modest.vocabulary import PICTURES

FILL = 0.5  # of a cut-out square: grey, about the mean of a picture


def augment(key, batch, options, first_index=0):
    """A float batch `[B,H,W,C]` in [0, 1] -> the same, augmented; the pictures stay in [0, 1].

    Args:
      key: PRNG key of the step. Example i draws from `fold_in(key, first_index + i)`, whatever device it is on.
      batch: `bg`, `bg_fg` and any of `mask`, `depth`, `valid`.
      options: `{"flip": probability}` and, of each other operation, `{"probability", bounds}`; in the order in which they are done:
        crop: `padding`, share of the size added on every side;
        flip;
        rotation: `degrees`, either way;
        blur: `sigma`, px, drawn from 0 on;
        cutout: `squares`, how many, and `size`, their side as a share of the picture's shorter one;
        hue_saturation_value: `hue`, in turns of the colour circle (the original's 20 of 180 is 20/180), `saturation`, `value`,
          added to the HSV planes, either way;
        iso_noise: `color_shift` and `intensity`, each drawn from 0 on, see `_noisy`;
        brightness_contrast: `brightness`, added, and `contrast`, a relative change, either way.
      first_index: place in the global batch of this device's first example.
    """
    indices = first_index + jnp.arange(batch["bg"].shape[0])
    keys = jax.vmap(jax.random.fold_in, (None, 0))(key, indices)
    return jax.vmap(lambda key, example: _augment_one(key, example, options))(keys, batch)


def _augment_one(key, example, options):
    # The numbers folded in below are far from 0 to 2, which may give the keys of this split again.
    key_flip, key_colour, key_light = jax.random.split(key, 3)
    crop, rotation, blur, cutout, noise = (options[name] for name in ("crop", "rotation", "blur", "cutout", "iso_noise"))
    colour, light = options["hue_saturation_value"], options["brightness_contrast"]

    images = {name: image for name, image in example.items() if image.ndim == 3}  # not `valid`
    if crop["probability"] and crop["padding"]:
        images = _sometimes(jax.random.fold_in(key, 16), crop, _crop, images)
    if options["flip"]:
        flip = jax.random.bernoulli(key_flip, options["flip"])
        images = {name: jnp.where(flip, pix.flip_left_right(image), image) for name, image in images.items()}
    if rotation["probability"] and rotation["degrees"]:
        images = _sometimes(jax.random.fold_in(key, 17), rotation, _rotate, images)

    pictures = jnp.stack([images[name] for name in PICTURES])
    if blur["probability"] and blur["sigma"]:
        pictures = _sometimes(jax.random.fold_in(key, 18), blur, _blur, pictures)
    if cutout["probability"] and cutout["squares"] and cutout["size"]:
        pictures = _sometimes(jax.random.fold_in(key, 19), cutout, _cut_out, pictures)
    if colour["probability"] and (colour["hue"] or colour["saturation"] or colour["value"]):
        pictures = _sometimes(key_colour, colour, _either_way(_shift_hsv), pictures)
    if noise["probability"] and noise["intensity"]:
        pictures = _sometimes(jax.random.fold_in(key, 20), noise, _add_iso_noise, pictures)
    if light["probability"] and (light["brightness"] or light["contrast"]):
        pictures = _sometimes(key_light, light, _either_way(_shift_brightness_contrast), pictures)
    return example | images | dict(zip(PICTURES, pictures))


def _sometimes(key, options, operation, images):
    """`operation(key, images, **bounds)` with the options' probability, in [0, 1]. `images` is one array or a dict of them."""
    key_apply, key_draw = jax.random.split(key)
    bounds = {name: value for name, value in options.items() if name != "probability"}
    changed = operation(key_draw, images, **bounds)
    apply = jax.random.bernoulli(key_apply, options["probability"])
    return jax.tree.map(lambda new, old: jnp.where(apply, jnp.clip(new, 0, 1), old), changed, images)


def _either_way(operation):
    """`operation(pictures, **amounts)` with each amount drawn from minus to plus its bound."""

    def drawn(key, pictures, **bounds):
        draws = jax.random.uniform(key, (len(bounds),), pictures.dtype, -1, 1)
        return operation(pictures, **{name: draw * bound for draw, (name, bound) in zip(draws, sorted(bounds.items()))})

    return drawn


def _crop(key, images, padding):
    """Pads every side by this share of the size and crops to the size again at a random place: a shift by whole pixels."""

    def cropped(image):
        rows, columns = (round(padding * length) for length in image.shape[:2])
        padded = jnp.pad(image, ((rows, rows), (columns, columns), (0, 0)), mode="reflect")
        return pix.random_crop(key, padded, image.shape)  # the same key, so the same place in every image

    return {name: cropped(image) for name, image in images.items()}


def _rotate(key, images, degrees):
    """By a random angle: pictures bilinear; mask and depth by the nearest pixel, which mixes no two sides of an edge.

    Distance along the optical axis does not change when the camera rolls, so depth only moves.
    """
    angle = jnp.radians(jax.random.uniform(key, (), images["bg"].dtype, -degrees, degrees))
    return {name: _rotated(image, angle, order=1 if name in PICTURES else 0) for name, image in images.items()}


def _rotated(image, angle, order):
    """`[H,W,C]` turned counter-clockwise about its centre by radians; order 1 is bilinear, 0 the nearest pixel.

    (`pix.rotate` finds its places by a product of matrices, which accelerators may round to 8 bits, half a pixel.)
    """
    height, width = image.shape[:2]
    y = jnp.arange(height, dtype=image.dtype)[:, None] - (height - 1) / 2
    x = jnp.arange(width, dtype=image.dtype)[None, :] - (width - 1) / 2
    cos, sin = jnp.cos(angle), jnp.sin(angle)
    at = [y * cos + x * sin + (height - 1) / 2, x * cos - y * sin + (width - 1) / 2]
    sample = lambda channel: jax.scipy.ndimage.map_coordinates(channel, at, order=order, mode="mirror")
    return jax.vmap(sample, in_axes=-1, out_axes=-1)(image)


def _blur(key, pictures, sigma):
    """Gaussian blur, of a deviation up to `sigma` px; the window reaches three times that far."""
    return _blurred(pictures, jax.random.uniform(key, (), pictures.dtype, 0, sigma), radius=math.ceil(3 * sigma))


def _blurred(pictures, sigma, radius):
    """`[N,H,W,C]` under a Gaussian window of 2 radius + 1 px, along height, then width. `sigma` may be traced, `radius` not."""
    offsets = jnp.arange(-radius, radius + 1, dtype=pictures.dtype)
    taps = jnp.exp(-0.5 * (offsets / jnp.maximum(sigma, 0.01)) ** 2)
    taps = taps / taps.sum()
    for axis in (1, 2):
        size = pictures.shape[axis]
        padded = jnp.pad(pictures, [(radius, radius) if i == axis else (0, 0) for i in range(4)], mode="reflect")
        pictures = sum(taps[i] * lax.slice_in_dim(padded, i, i + size, axis=axis) for i in range(2 * radius + 1))
    return pictures


def _cut_out(key, pictures, squares, size):
    """Cutout (DeVries and Taylor, "Improved regularization of convolutional neural networks with cutout", 2017).

    The squares' middles are anywhere in the picture, so that a part of a square may lie outside.
    """
    height, width = pictures.shape[1:3]
    side = max(1, round(size * min(height, width)))
    middles = jax.random.randint(key, (squares, 2), 0, jnp.array([[height, width]]))
    return _filled(pictures, middles - side // 2, side)


def _filled(pictures, corners, side):
    """`[N,H,W,C]` with `FILL` in squares of `side` px whose left upper corners are `[squares, 2]`, row and column."""
    row, column = jnp.indices(pictures.shape[1:3])[:, None]
    top, left = corners.T[..., None, None]
    inside = (top <= row) & (row < top + side) & (left <= column) & (column < left + side)
    return jnp.where(inside.any(axis=0)[None, ..., None], FILL, pictures)


def _add_iso_noise(key, pictures, color_shift, intensity):
    """Noise of a sensor; see `_noisy`. The amounts, from 0 to their bounds, are one draw for the pair."""
    key_amounts, key_noise = jax.random.split(key)
    draws = jax.random.uniform(key_amounts, (2,), pictures.dtype)
    return _noisy(key_noise, pictures, draws[0] * color_shift, draws[1] * intensity)


def _noisy(key, pictures, color_shift, intensity):
    """`[N,H,W,3]` as taken at a high ISO speed, after albumentations' ISONoise (albumentations.ai): noise of hue and lightness.

    In HSL, with noise of its own in every pixel of every picture, as two exposures have. The hue gets normal noise, its deviation
    color_shift x intensity turns. The lightness L gets (1 - L) P / 255, P the count of a Poisson distribution of mean
    255 x intensity x the deviation of L.

    Simpler than there: P is normal with the Poisson's mean and variance, and not below 0; the amounts' ranges begin at 0. L's
    deviation is that of all pictures together, so that none is brightened more than another.
    """
    hue, saturation, lightness = jnp.split(pix.rgb_to_hsl(pictures), 3, axis=-1)
    noise = jax.random.normal(key, (2, *hue.shape), hue.dtype)
    mean = 255 * intensity * lightness.std()
    count = jnp.maximum(mean + jnp.sqrt(mean) * noise[0], 0)
    lightness = jnp.minimum(lightness + (1 - lightness) * count / 255, 1)
    hue = (hue + color_shift * intensity * noise[1]) % 1.0
    return pix.hsl_to_rgb(jnp.concatenate([hue, saturation, lightness], axis=-1))


def _shift_hsv(pictures, hue, saturation, value):
    """Adds to the hue (round the circle), the saturation and the value (clipped to [0, 1]) of RGB pictures."""
    h, s, v = jnp.split(pix.rgb_to_hsv(pictures), 3, axis=-1)
    hsv = jnp.concatenate([(h + hue) % 1.0, jnp.clip(s + saturation, 0, 1), jnp.clip(v + value, 0, 1)], axis=-1)
    return pix.hsv_to_rgb(hsv)


def _shift_brightness_contrast(pictures, brightness, contrast):
    """(1 + contrast) x + brightness. Scaled about black, not about the mean, which differs between the pictures of a pair."""
    return pix.adjust_brightness((1 + contrast) * pictures, brightness)
