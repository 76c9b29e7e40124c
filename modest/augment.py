"""Photometric and mirror augmentation on the device, one draw for all pictures of an example.

Pictures come in [0, 1] before standardising. Both pictures of a pair get the same draw, so that what differs between them is still
the figure; a flip also turns the targets. Each operation has a probability of its own; ranges of 0 switch it off.
"""

import dm_pix as pix
import jax
import jax.numpy as jnp

from modest.vocabulary import PICTURES


def augment(key, batch, options, first_index=0):
    """A float batch `[B,H,W,C]` in [0, 1] -> the same, augmented; the pictures stay in [0, 1].

    Args:
      key: PRNG key of the step. Example i draws from `fold_in(key, first_index + i)`, whatever device it is on.
      batch: `bg`, `bg_fg` and any of `mask`, `depth`, `valid`.
      options: `{"flip": probability, "hue_saturation_value": {"probability", "hue", "saturation", "value"},
        "brightness_contrast": {"probability", "brightness", "contrast"}}`. Ranges are symmetric: hue in turns of the colour circle
        (the original's 20 of 180 is 20/180), saturation and value added to the HSV planes, contrast a relative change,
        brightness added.
      first_index: place in the global batch of this device's first example.
    """
    indices = first_index + jnp.arange(batch["bg"].shape[0])
    keys = jax.vmap(jax.random.fold_in, (None, 0))(key, indices)
    return jax.vmap(lambda key, example: _augment_one(key, example, options))(keys, batch)


def _augment_one(key, example, options):
    key_flip, key_colour, key_light = jax.random.split(key, 3)
    example = dict(example)
    if options["flip"]:
        flip = jax.random.bernoulli(key_flip, options["flip"])
        for name, image in example.items():
            if image.ndim == 3:  # not `valid`
                example[name] = jnp.where(flip, pix.flip_left_right(image), image)

    pictures = jnp.stack([example[name] for name in PICTURES])
    pictures = _sometimes(key_colour, options["hue_saturation_value"], _shift_hsv, pictures)
    pictures = _sometimes(key_light, options["brightness_contrast"], _shift_brightness_contrast, pictures)
    return example | dict(zip(PICTURES, pictures))


def _sometimes(key, options, operation, pictures):
    """`operation` on both pictures with the options' probability; not in the program at all where nothing would change."""
    ranges = {name: value for name, value in options.items() if name != "probability"}
    if not options["probability"] or not any(ranges.values()):
        return pictures
    key_apply, key_draw = jax.random.split(key)
    draws = jax.random.uniform(key_draw, (len(ranges),), pictures.dtype, -1, 1)
    amounts = {name: draw * bound for draw, (name, bound) in zip(draws, sorted(ranges.items()))}
    apply = jax.random.bernoulli(key_apply, options["probability"])
    return jnp.where(apply, jnp.clip(operation(pictures, **amounts), 0, 1), pictures)


def _shift_hsv(pictures, hue, saturation, value):
    """Adds to the hue (round the circle), the saturation and the value (clipped to [0, 1]) of RGB pictures."""
    h, s, v = jnp.split(pix.rgb_to_hsv(pictures), 3, axis=-1)
    hsv = jnp.concatenate([(h + hue) % 1.0, jnp.clip(s + saturation, 0, 1), jnp.clip(v + value, 0, 1)], axis=-1)
    return pix.hsv_to_rgb(hsv)


def _shift_brightness_contrast(pictures, brightness, contrast):
    """(1 + contrast) x + brightness. Scaled about black, not about the mean, which differs between the pictures of a pair."""
    return pix.adjust_brightness((1 + contrast) * pictures, brightness)
