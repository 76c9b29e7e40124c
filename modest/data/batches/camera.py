"""What a camera does to a pair of pictures: light, noise, JPEG and low resolution.

Pictures are floats in [0, 1]. `n` in a shape is the number of pictures, which share one camera.
"""

import jax
import jax.numpy as jnp
import numpy as np

from modest.data import composite
from modest.types import Array

# Tables K.1 and K.2 of the JPEG standard, ITU-T T.81: steps of luminance and chrominance.
LUMINANCE = np.array(
    [
        [16, 11, 10, 16, 24, 40, 51, 61],
        [12, 12, 14, 19, 26, 58, 60, 55],
        [14, 13, 16, 24, 40, 57, 69, 56],
        [14, 17, 22, 29, 51, 87, 80, 62],
        [18, 22, 37, 56, 68, 109, 103, 77],
        [24, 35, 55, 64, 81, 104, 113, 92],
        [49, 64, 78, 87, 103, 121, 120, 101],
        [72, 92, 95, 98, 112, 100, 103, 99],
    ]
)
CHROMINANCE = np.full((8, 8), 99)
CHROMINANCE[:4, :4] = [[17, 18, 24, 47], [18, 21, 26, 66], [24, 26, 56, 99], [47, 66, 99, 99]]
# ITU-R BT.601: rows give Y, Cb and Cr of RGB.
YCBCR = np.array([[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]])
BLOCK = 8  # px


def relight(picture: Array, draws: Array, exposure: float, balance: float, light: float) -> Array:
    """Change the light between the two pictures of a pair.

    Args:
      picture: `[s,s,3]`.
      draws: `[13]`, uniform in [-1, 1].
      exposure: largest relative change of all channels.
      balance: largest relative change of a channel.
      light: largest relative change at a place; it varies smoothly over the picture.
    """
    size = picture.shape[0]
    field = jax.image.resize(1 + light * draws[4:13].reshape(3, 3), (size, size), "linear")
    gain = (1 + exposure * draws[0]) * (1 + balance * draws[1:4])
    return picture * gain[None, None] * field[..., None]


def coarsen(pictures: Array) -> Array:
    """Return pictures `[n,s,s,3]` that were reduced to half their size and enlarged again."""
    n, size, _, channels = pictures.shape
    small = (n, size // 2, size // 2, channels)
    reduced = jax.image.resize(pictures, small, "linear")
    return jax.image.resize(reduced, pictures.shape, "linear")


def add_noise(key: jax.Array, pictures: Array, deviation: Array) -> jax.Array:
    """Add normal noise with a standard deviation in grey levels, a scalar; clip to [0, 1]."""
    drawn = jax.random.bits(key, pictures.shape, jnp.uint8)
    noise = deviation / 255 * jnp.take(composite.NORMAL_QUANTILES, drawn)
    return jnp.clip(pictures + noise, 0, 1)


def jpeg(pictures: Array, quality: Array) -> Array:
    """Return pictures as they are after JPEG compression, with chrominance at half the size.

    Args:
      pictures: `[n,s,s,3]`; s is a multiple of `JPEG_UNIT`.
      quality: 1 to 100, as in libjpeg; a scalar.
    """
    decoded = _coded(255 * pictures - 128, quality)
    return jnp.clip((decoded + 128) / 255, 0, 1)


def video(pictures: Array, quality: Array) -> jax.Array:
    """Return two pictures as frames of a compressed video: what has not changed is copied.

    The first is coded like a JPEG. Of the second, the difference to the decoded first is coded, and
    coefficients of less than 5/6 of a step become 0, as H.264 encoders do between frames. There is
    no motion compensation and no deblocking filter.

    Args:
      pictures: `[2,s,s,3]`; s is a multiple of `JPEG_UNIT`.
      quality: 1 to 100, as in libjpeg; a scalar.
    """
    first = jpeg(pictures[:1], quality)
    difference = _coded(255 * (pictures[1:] - first), quality, dead_zone=1 / 3)
    return jnp.concatenate([first, jnp.clip(first + difference / 255, 0, 1)])


def _coded(levels, quality, dead_zone=0.0):
    """Return levels around 0, `[n,s,s,3]` of RGB, after quantisation with JPEG's steps."""
    factor = jnp.where(quality < 50, 50 / quality, 2 - quality / 50)
    planes = _product("kc,nijc->knij", YCBCR, levels)
    n, size = levels.shape[:2]
    half = size // 2
    chroma = planes[1:].reshape(2, n, half, 2, half, 2).mean((3, 5))
    luma = _quantise(planes[0], jnp.clip(jnp.round(LUMINANCE * factor), 1, 255), dead_zone)
    chroma = _quantise(chroma, jnp.clip(jnp.round(CHROMINANCE * factor), 1, 255), dead_zone)
    chroma = chroma.repeat(2, axis=2).repeat(2, axis=3)
    decoded = jnp.concatenate([luma[None], chroma])
    return _product("ck,knij->nijc", np.linalg.inv(YCBCR), decoded)


def _product(subscripts, *operands):
    """Return `jnp.einsum` in full float32; a GPU would multiply with 10 bits."""
    return jnp.einsum(subscripts, *operands, precision="highest")


def _quantise(planes, steps, dead_zone):
    """Round the cosine transform of each block of 8 x 8 px, `[...,s,s]`, to multiples of steps.

    Coefficients are first moved towards 0 by `dead_zone` steps.
    """
    *leading, size, _ = planes.shape
    count = size // BLOCK
    blocks = planes.reshape(*leading, count, BLOCK, count, BLOCK)
    cosines = _cosines()
    spectrum = _product("ui,vj,...aibj->...aubv", cosines, cosines, blocks)
    table = steps[:, None, :].reshape((1,) * len(leading) + (1, BLOCK, 1, BLOCK))
    counts = spectrum / table
    counts = jnp.sign(counts) * jnp.maximum(jnp.abs(counts) - dead_zone, 0)
    rounded = jnp.round(counts) * table
    return _product("ui,vj,...aubv->...aibj", cosines, cosines, rounded).reshape(planes.shape)


def _cosines():
    """Return the orthonormal matrix of the cosine transform, `[8,8]`."""
    frequency, place = np.mgrid[:BLOCK, :BLOCK]
    matrix = np.cos(np.pi * frequency * (2 * place + 1) / (2 * BLOCK)) * np.sqrt(2 / BLOCK)
    matrix[0] /= np.sqrt(2)
    return matrix
