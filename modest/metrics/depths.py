"""The metrics of depth. The docstring of the package defines them."""

import jax
import jax.numpy as jnp

from modest.constants import MASK_THRESHOLD, MIN_DEPTH
from modest.losses import filled
from modest.metrics import pixels
from modest.metrics.pixels import mean
from modest.ssim import MIN_SIZE, ssim
from modest.types import Array

CONTOUR_WIDTH = 0.01  # share of the picture's diagonal: 1 px at size 64, 2 px at 160, 3 px at 224
REGIONS = ("", "foreground", "background", "contour")  # "": everywhere
ALIGNMENTS = ("", "median", "scale_and_shift")  # "": none


def depth_metrics(output: Array, target: Array, known: Array | None = None) -> dict[str, jax.Array]:
    """Return the depth metrics of every evaluation, without the prefix `depth/`.

    Args:
      output: predicted depth `[B,H,W,1]` in [0, 1].
      target: true depth `[B,H,W,1]` in [0, 1].
      known: 1 where the true depth is known, 0 elsewhere, `[B,H,W,1]`; None: everywhere.

    Returns:
      `{name: [B]}`. `ssim` is missing if the height or the width is below 11 px.
    """
    maps = _differences(output, target)
    values = _rooted({name: mean(x, known) for name, x in maps.items()})
    if min(target.shape[1:3]) >= MIN_SIZE:
        values["ssim"] = ssim(output, filled(target, output, known))
    return values


def further_depth_metrics(
    output: Array, target: Array, mask: Array, known: Array | None = None
) -> dict[str, jax.Array]:
    """Return the depth metrics of the final evaluation that `depth_metrics` has not.

    Args:
      output: predicted depth `[B,H,W,1]` in [0, 1].
      target: true depth `[B,H,W,1]` in [0, 1].
      mask: the true mask `[B,H,W,1]` in [0, 1], which divides the picture into regions.
      known: as in `depth_metrics`.

    Returns:
      `{name: [B]}`, without the prefix `depth/`: `pixels`, the number of pixels that were compared,
      and all metrics but SSIM, in every region and after every alignment. NaN where a picture has
      no such pixels.
    """
    everywhere = jnp.ones_like(target) if known is None else known
    # One example at a time, because there are several tens of maps of each.
    return jax.lax.map(_of_example, (output, target, mask, everywhere))


def _of_example(maps):
    """Return the values of `further_depth_metrics` of one example, whose maps are `[H,W,1]`."""
    output, target, mask, known = (x[None] for x in maps)
    parts = jnp.stack([known.ravel() * part.ravel() for part in _regions(mask)], axis=1)
    numbers = parts.sum(axis=0, keepdims=True)
    values = {_name(region, "pixels"): x for region, x in zip(REGIONS, numbers[0])}
    for alignment, prediction in zip(ALIGNMENTS, _aligned(output, target, known)):
        differences = _differences(prediction, target)
        differences |= _further_differences(prediction, target, known)
        stacked = jnp.stack([x.ravel() for x in differences.values()])
        sums = jnp.matmul(stacked, parts, precision="highest")
        means = jnp.where(numbers > 0, sums / numbers, jnp.nan)
        for region, column in zip(REGIONS, means.T):
            of_region = _rooted(dict(zip(differences, column)))
            log, square = of_region.pop("log"), of_region.pop("square_log")
            of_region["silog"] = 100 * jnp.sqrt(jnp.maximum(square - log**2, 0))
            values |= {_name(region, alignment, name): x for name, x in of_region.items()}
    return values


def _differences(output, target):
    """Return maps whose means over pixels are the metrics, `{name: [B,H,W,1]}`; see `_rooted`."""
    error = output - target
    x, y = jnp.maximum(output, MIN_DEPTH), jnp.maximum(target, MIN_DEPTH)
    ratio = jnp.maximum(x / y, y / x)
    return {
        "rmse": error**2,
        "mae": jnp.abs(error),
        "abs_rel": jnp.abs(x - y) / y,
        "rmse_log": (jnp.log(x) - jnp.log(y)) ** 2,
        **{f"delta{i}": (ratio < 1.25**i).astype(output.dtype) for i in (1, 2, 3)},
    }


def _further_differences(output, target, known):
    """Return more such maps, and two from whose means SILog is computed."""
    x, y = jnp.maximum(output, MIN_DEPTH), jnp.maximum(target, MIN_DEPTH)
    log = jnp.log(x) - jnp.log(y)
    centred = log - mean(log, known)[:, None, None, None]  # so that squares lose no digits
    return {
        "sq_rel": (x - y) ** 2 / y,
        "log10": jnp.abs(log) / jnp.log(10),
        "log": centred,
        "square_log": centred**2,
    }


def _rooted(means):
    """Return metrics from the means of `_differences`: some are roots."""
    roots = ("rmse", "rmse_log")
    return {name: jnp.sqrt(x) if name in roots else x for name, x in means.items()}


def _regions(mask):
    """Return 1 in each of `REGIONS` and 0 outside of it, `[B,H,W,1]` each."""
    foreground = mask >= MASK_THRESHOLD
    width = pixels.radius(CONTOUR_WIDTH, mask)
    contour = pixels.dilate(foreground, width) & pixels.dilate(~foreground, width)
    maps = (jnp.ones_like(foreground), foreground, ~foreground, contour)
    return [x.astype(mask.dtype) for x in maps]


def _aligned(output, target, known):
    """Return the prediction after each of `ALIGNMENTS`, `[B,H,W,1]` each."""
    medians = [_median(x, known) for x in (target, output)]
    scale = medians[0] / jnp.maximum(medians[1], MIN_DEPTH)
    mean_x, mean_y = (mean(x, known)[:, None, None, None] for x in (output, target))
    covariance = mean((output - mean_x) * (target - mean_y), known)
    slope = pixels.quotient(covariance, mean((output - mean_x) ** 2, known), empty=0)
    fitted = mean_y + slope[:, None, None, None] * (output - mean_x)
    return output, scale * output, fitted


def _median(x, known):
    """Return the median over the known pixels of each example, `[B,1,1,1]`.

    The bits of positive float32 numbers, read as integers, have the same order, and XLA sorts
    integers five times as fast on a CPU.
    """
    bits = jax.lax.bitcast_convert_type(x.astype(jnp.float32), jnp.int32)
    bits = jnp.where(known > 0, bits, jnp.iinfo(jnp.int32).max)
    ordered = jnp.sort(bits.reshape(len(x), -1), axis=1)
    number = (known > 0).sum(axis=(1, 2, 3), dtype=jnp.int32)[:, None]
    middle = jnp.concatenate([jnp.maximum(number - 1, 0) // 2, number // 2], axis=1)
    two = jnp.take_along_axis(ordered, middle, axis=1)  # the same one twice if the number is odd
    values = jax.lax.bitcast_convert_type(two, jnp.float32).mean(axis=1)
    return values.astype(x.dtype)[:, None, None, None]


def _name(*parts):
    return "/".join(part for part in parts if part)
