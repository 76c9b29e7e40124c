"""Structural similarity of images: SSIM and MS-SSIM, shared by the losses and the metrics.

SSIM follows Wang et al., "Image quality assessment: from error visibility to structural similarity"
(2004). MS-SSIM follows Wang et al., "Multiscale structural similarity for image quality assessment"
(2003).

Images are float arrays `[B,H,W,C]` in [0, 1], so the data range is 1. The window is a Gaussian of
11 x 11 px with sigma 1.5 px, without padding: it is only placed where it fits completely. K1 is
0.01 and K2 is 0.03. Both functions return one value per pair of images. The value is 1 for equal
images, and less for all others.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from modest.types import Array

WINDOW = 11  # px
SIGMA = 1.5  # px
C1 = 0.01**2
C2 = 0.03**2
SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
MIN_SIZE = WINDOW  # px; smallest height and width for `ssim`
MIN_SIZE_MULTI_SCALE = (WINDOW - 1) * 2 ** (len(SCALE_WEIGHTS) - 1) + 1  # px; for `ms_ssim`


@jax.jit
def ssim(x: Array, y: Array) -> jax.Array:
    """Return the mean SSIM of each pair of images.

    Args:
      x: images `[B,H,W,C]` in [0, 1], at least 11 px high and wide.
      y: images of the same shape.

    Returns:
      Array `[B]` in [-1, 1].
    """
    luminance, contrast = _luminance_and_contrast(x, y)
    return (luminance * contrast).mean(axis=(1, 2, 3))


@jax.jit
def ms_ssim(x: Array, y: Array) -> jax.Array:
    """Return the MS-SSIM of each pair of images, over five scales.

    A negative mean contrast at any scale makes the result 0, with a gradient of 0.

    Args:
      x: images `[B,H,W,C]` in [0, 1], at least 161 px high and wide.
      y: images of the same shape.

    Returns:
      Array `[B]` in [0, 1].

    Raises:
      ValueError: the images are smaller than 161 px.
    """
    if min(x.shape[1:3]) < MIN_SIZE_MULTI_SCALE:
        raise ValueError(
            f"MS-SSIM of {x.shape[1]} x {x.shape[2]} px; five scales need {MIN_SIZE_MULTI_SCALE} "
            "or more"
        )
    product: Any = 1.0
    for scale, weight in enumerate(SCALE_WEIGHTS):
        luminance, contrast = _luminance_and_contrast(x, y)
        last = scale == len(SCALE_WEIGHTS) - 1
        value = (luminance * contrast if last else contrast).mean(axis=(1, 2))
        positive = value > 0
        # 0 ** weight has no finite gradient. So the inner `where` replaces values that are not
        # positive before the power is taken.
        product *= jnp.where(positive, jnp.where(positive, value, 1) ** weight, 0)
        x, y = _halve(x), _halve(y)
    return product.mean(axis=-1)


def _luminance_and_contrast(x, y):
    """Return the two factors of SSIM, luminance and contrast-structure, at each window position."""
    moments = _blur(jnp.concatenate([x, y, x * x, y * y, x * y], axis=-1))
    mean_x, mean_y, mean_xx, mean_yy, mean_xy = jnp.split(moments, 5, axis=-1)
    var_x, var_y, cov = mean_xx - mean_x**2, mean_yy - mean_y**2, mean_xy - mean_x * mean_y
    luminance = (2 * mean_x * mean_y + C1) / (mean_x**2 + mean_y**2 + C1)
    contrast = (2 * cov + C2) / (var_x + var_y + C2)
    return luminance, contrast


def _blur(x):
    """Apply the Gaussian window to each channel, along the height and then along the width."""
    offsets = jnp.arange(WINDOW, dtype=x.dtype) - WINDOW // 2
    taps = jnp.exp(-(offsets**2) / (2 * SIGMA**2))
    taps = taps / taps.sum()
    for axis in (1, 2):
        size = x.shape[axis] - WINDOW + 1
        x = sum(taps[i] * lax.slice_in_dim(x, i, i + size, axis=axis) for i in range(WINDOW))
    return x


def _halve(x):
    """Average-pool 2 x 2. Pad an odd size with zeros at its start first, as in the original."""
    height, width = x.shape[1:3]
    x = jnp.pad(x, ((0, 0), (height % 2, 0), (width % 2, 0), (0, 0)))
    batch, height, width, channels = x.shape
    return x.reshape(batch, height // 2, 2, width // 2, 2, channels).mean(axis=(2, 4))
