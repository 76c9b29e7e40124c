"""Structural similarity: SSIM (Wang et al., "Image quality assessment", 2004) and MS-SSIM (Wang et al., "Multiscale structural
similarity for image quality assessment", 2003). Losses and metrics share this file.

Pictures are float `[B,H,W,C]` in [0, 1] (data range 1). Gaussian window of 11 x 11, sigma 1.5, only where it fits whole; K1 = 0.01,
K2 = 0.03. One value for each picture, at most 1, which only equal pictures reach.
"""

import jax
import jax.numpy as jnp
from jax import lax

WINDOW = 11
SIGMA = 1.5
C1 = 0.01**2
C2 = 0.03**2
SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
MIN_SIZE = WINDOW  # px; the least height and width for `ssim`
MIN_SIZE_MULTI_SCALE = (WINDOW - 1) * 2 ** (len(SCALE_WEIGHTS) - 1) + 1  # px; for `ms_ssim`


@jax.jit
def ssim(x, y):
    """Mean SSIM of each pair, `[B]` in [-1, 1]. Height and width at least 11."""
    luminance, contrast = _maps(x, y)
    return (luminance * contrast).mean(axis=(1, 2, 3))


@jax.jit
def ms_ssim(x, y):
    """MS-SSIM over five scales of each pair, `[B]` in [0, 1]. Height and width at least 161.

    A scale whose mean contrast term is negative counts as 0, and so does then the product; its gradient is 0 as well.
    """
    if min(x.shape[1:3]) < MIN_SIZE_MULTI_SCALE:
        raise ValueError(f"MS-SSIM of {x.shape[1]} x {x.shape[2]} px; five scales need {MIN_SIZE_MULTI_SCALE} or more")
    product = 1.0
    for scale, weight in enumerate(SCALE_WEIGHTS):
        luminance, contrast = _maps(x, y)
        last = scale == len(SCALE_WEIGHTS) - 1
        value = (luminance * contrast if last else contrast).mean(axis=(1, 2))
        positive = value > 0  # a power of 0 has no finite gradient, so it is never taken
        product *= jnp.where(positive, jnp.where(positive, value, 1) ** weight, 0)
        x, y = _halve(x), _halve(y)
    return product.mean(axis=-1)


def _maps(x, y):
    """The luminance and the contrast-structure factor of SSIM at every place the window fits."""
    mean_x, mean_y, mean_xx, mean_yy, mean_xy = jnp.split(_blur(jnp.concatenate([x, y, x * x, y * y, x * y], axis=-1)), 5, axis=-1)
    var_x, var_y, cov = mean_xx - mean_x**2, mean_yy - mean_y**2, mean_xy - mean_x * mean_y
    luminance = (2 * mean_x * mean_y + C1) / (mean_x**2 + mean_y**2 + C1)
    contrast = (2 * cov + C2) / (var_x + var_y + C2)
    return luminance, contrast


def _blur(x):
    """Gaussian window along height, then width; each channel on its own."""
    offsets = jnp.arange(WINDOW, dtype=x.dtype) - WINDOW // 2
    taps = jnp.exp(-(offsets**2) / (2 * SIGMA**2))
    taps = taps / taps.sum()
    for axis in (1, 2):
        size = x.shape[axis] - WINDOW + 1
        x = sum(taps[i] * lax.slice_in_dim(x, i, i + size, axis=axis) for i in range(WINDOW))
    return x


def _halve(x):
    """2x2 average pooling; an odd size is first padded with zeros at its start, as the original does."""
    height, width = x.shape[1:3]
    x = jnp.pad(x, ((0, 0), (height % 2, 0), (width % 2, 0), (0, 0)))
    batch, height, width, channels = x.shape
    return x.reshape(batch, height // 2, 2, width // 2, 2, channels).mean(axis=(2, 4))
