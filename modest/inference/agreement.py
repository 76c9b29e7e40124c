"""How well two pictures of one view agree: their displacement, and the structure that they share.

Both measures look at tiles of reduced grey pictures. They need NumPy and Pillow only.
"""

from typing import NamedTuple

import numpy as np
from PIL import Image

WIDTH = 320  # px of the longer side of a reduced picture
TILE = 16  # px of a reduced picture
TEXTURE = 3.0  # grey levels: a tile with a smaller standard deviation shows nothing to compare
FEWEST = 8  # tiles; with fewer, nothing is measured


class Agreement(NamedTuple):
    """How two pictures differ, measured on the tiles that have texture.

    Attributes:
      displacement: median distance by which the content of a tile has moved, as a fraction of the
        longer side of the picture; small values are exact, large ones are underestimated.
      gain: median factor by which the brightness has changed, for each channel, `[3]`.
      tiles: number of tiles that were compared; with fewer than `FEWEST`, displacement and gain are
        0 and 1.
      mismatch: what the function `mismatch` returns without a mask.
    """

    displacement: float
    gain: np.ndarray
    tiles: int
    mismatch: float | None


def compare(bg: np.ndarray, bg_fg: np.ndarray) -> Agreement:
    """Measure how the content of two pictures has moved, and how the light has changed.

    The displacement of a tile is one step of the method of Lucas and Kanade (1981). Both results
    are medians, so that they hold as long as more than half of the textured tiles show background.

    Args:
      bg: uint8 `[H,W,3]`.
      bg_fg: uint8 `[H,W,3]`.
    """
    before, after = (_reduce(picture) for picture in (bg, bg_fg))
    first, second = (_grey(picture) for picture in (before, after))
    # Normalise the brightness of each tile, so that light does not look like motion.
    dy, dx = np.gradient(first)
    change, dx, dy = (_tiles(values) for values in (second - first, dx, dy))
    change = change - change.mean((1, 3), keepdims=True)
    xx, xy, yy, xt, yt = (
        (a * b).sum((1, 3)) for a, b in ((dx, dx), (dx, dy), (dy, dy), (dx, change), (dy, change))
    )
    trace, determinant = xx + yy, xx * yy - xy**2
    # Both eigenvalues of a corner are large; along an edge, motion cannot be seen.
    smallest = trace / 2 - np.sqrt(np.maximum(trace**2 / 4 - determinant, 0))
    score = _decorrelation(_tiles(first), _tiles(second), None)
    textured = smallest > TEXTURE**2 / 4 * TILE**2
    if textured.sum() < FEWEST:
        return Agreement(0.0, np.ones(3), int(textured.sum()), score)
    x = (yy * xt - xy * yt)[textured] / determinant[textured]
    y = (xx * yt - xy * xt)[textured] / determinant[textured]
    displacement = np.median(np.hypot(x, y)) / max(first.shape)
    means = [_tiles(picture).mean((1, 3))[textured] for picture in (before, after)]
    gain = np.median(means[1] / np.maximum(means[0], 1), axis=0)
    return Agreement(float(displacement), gain, int(textured.sum()), score)


def mismatch(bg: np.ndarray, bg_fg: np.ndarray, mask: np.ndarray | None = None) -> float | None:
    """Return how little structure two pictures share outside of a mask.

    The score is 1 - the median correlation of the tiles that have texture in either picture: about
    0 for two photographs of one view, about 1 for two different views. Light does not change it.

    Args:
      bg: uint8 `[H,W,3]`.
      bg_fg: uint8 `[H,W,3]`.
      mask: probability of foreground, float `[H,W]`. Tiles that hold any are left out, unless
        fewer than `FEWEST` remain: a network that sees two different views may take nearly all for
        foreground.

    Returns:
      0 to 2; None if fewer than `FEWEST` tiles can be compared.
    """
    first, second = (_tiles(_grey(_reduce(picture))) for picture in (bg, bg_fg))
    hidden = None
    if mask is not None:
        height, width = _reduce(bg).shape[:2]
        reduced = Image.fromarray(mask).resize((width, height), Image.Resampling.BOX)
        hidden = _tiles(np.asarray(reduced)).max((1, 3)) >= 0.5
    return _decorrelation(first, second, hidden)


def _decorrelation(first, second, hidden):
    """Return 1 - the median correlation of tiles; `hidden`, `[rows,columns]`, are left out."""
    first, second = (tile - tile.mean((1, 3), keepdims=True) for tile in (first, second))
    deviations = [np.sqrt((tile**2).mean((1, 3))) for tile in (first, second)]
    usable = np.maximum(*deviations) > 2 * TEXTURE
    if hidden is not None:
        outside = usable & ~hidden
        usable = outside if outside.sum() >= FEWEST else usable
    if usable.sum() < FEWEST:
        return None
    product = (first * second).mean((1, 3))[usable]
    correlation = product / np.maximum(deviations[0] * deviations[1], 1e-6)[usable]
    return float(1 - np.median(correlation))


def _reduce(picture):
    """Return uint8 `[H,W,3]` reduced so that its longer side is at most WIDTH."""
    height, width = picture.shape[:2]
    factor = min(WIDTH / max(height, width), 1)
    size = max(round(width * factor), TILE), max(round(height * factor), TILE)
    if size == (width, height):
        return picture
    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BOX))


def _grey(picture):
    return picture @ np.array([0.299, 0.587, 0.114], np.float32)


def _tiles(values):
    """Return the whole tiles of `[h,w,...]` as `[rows,TILE,columns,TILE,...]`."""
    rows, columns = values.shape[0] // TILE, values.shape[1] // TILE
    cut = values[: rows * TILE, : columns * TILE]
    return cut.reshape(rows, TILE, columns, TILE, *values.shape[2:])
