"""How well two pictures of one view agree: their displacement, and the structure that they share.

Both measures look at tiles of reduced pictures. They need NumPy and Pillow only.
"""

from typing import NamedTuple

import numpy as np
from PIL import Image, ImageFilter

WIDTH = 320  # px of the longer side of a reduced picture
TILE = 16  # px of a reduced picture
TEXTURE = 3.0  # grey levels: a tile with a smaller standard deviation shows nothing to compare
ALIKE = 0.8  # smallest correlation of a tile that shows the same in two pictures
SHARED = 1 / 3  # smallest share of tiles that are alike in one view; figures may hide the others
FEWEST = 8  # tiles; with fewer, nothing is measured


class Agreement(NamedTuple):
    """How two pictures differ, measured on the tiles that have texture.

    A tile is alike if its correlation in the two pictures is at least `ALIKE`. Tiles that a figure
    hides are not alike, nor are those whose content has moved far; their motion means nothing.

    Attributes:
      share: share of the tiles that are alike, of those in which the background has corners; of
        those with any texture if it has fewer than `FEWEST` corners; None if there are too few.
      displacement: median distance by which corners that are alike have moved, as a fraction of the
        longer side of the picture; 0 if there are none.
      gain: median factor by which the darker and the brighter half of these tiles (or of all tiles,
        if there are none) have become brighter, for each channel, `[2,3]`.
    """

    share: float | None
    displacement: float
    gain: np.ndarray

    @property
    def is_one_view(self) -> bool:
        """Whether the pictures show the same view, as far as can be told."""
        return self.share is None or self.share >= SHARED


def compare(bg: np.ndarray, bg_fg: np.ndarray) -> Agreement:
    """Measure how much two pictures share, and how that has moved and become brighter.

    The displacement of a tile is one step of the method of Lucas and Kanade (1981).

    Args:
      bg: uint8 `[H,W,3]`.
      bg_fg: uint8 `[H,W,3]`.
    """
    before, after = (_reduce(picture) for picture in (bg, bg_fg))
    first, second = (_grey(picture) for picture in (before, after))
    dy, dx = (_tiles(slope) for slope in np.gradient(first))
    # Without the mean of each tile, light does not look like motion.
    first, second = (_centred(_tiles(grey)) for grey in (first, second))
    change = second - first
    xx, xy, yy = _sum(dx, dx), _sum(dx, dy), _sum(dy, dy)
    xt, yt = _sum(dx, change), _sum(dy, change)
    # Both eigenvalues of a corner are large; along an edge, motion cannot be seen.
    determinant = xx * yy - xy**2
    smallest = (xx + yy) / 2 - np.sqrt(np.maximum((xx + yy) ** 2 / 4 - determinant, 0))
    textured = smallest > TEXTURE**2 / 4 * TILE**2
    correlation = _correlation(first, second)
    alike = textured & (correlation >= ALIKE)
    share: float | None = None
    clear = correlation[_has_texture(first, second)]
    if textured.sum() >= FEWEST:
        share = float(alike.sum() / textured.sum())
    elif len(clear) >= FEWEST:
        share = float((clear >= ALIKE).mean())
    displacement = 0.0
    if alike.any():
        x = (yy * xt - xy * yt)[alike] / determinant[alike]
        y = (xx * yt - xy * xt)[alike] / determinant[alike]
        displacement = float(np.median(np.hypot(x, y)) / max(before.shape))
    means = [
        np.einsum("iajbc->ijc", _tiles(picture.astype(np.float32))) for picture in (before, after)
    ]
    ratio = np.maximum(means[1], 1) / np.maximum(means[0], 1)
    usable = alike if alike.any() else np.full(alike.shape, True)
    ratio, level = ratio[usable], means[0].mean(axis=-1)[usable]
    halves = level <= np.median(level), level >= np.median(level)
    gain = np.stack([np.median(ratio[half], axis=0) for half in halves])
    return Agreement(share, displacement, gain)


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
    reduced = [_reduce(picture) for picture in (bg, bg_fg)]
    first, second = (_centred(_tiles(_grey(picture))) for picture in reduced)
    usable = _has_texture(first, second)
    if mask is not None:
        height, width = reduced[0].shape[:2]
        foreground = Image.fromarray(mask).resize((width, height), Image.Resampling.BOX)
        outside = usable & (_tiles(np.asarray(foreground)).max((1, 3)) < 0.5)
        usable = outside if outside.sum() >= FEWEST else usable
    if usable.sum() < FEWEST:
        return None
    return float(1 - np.median(_correlation(first, second)[usable]))


def _reduce(picture):
    """Return uint8 `[H,W,3]` reduced so that its longer side is at most WIDTH."""
    height, width = picture.shape[:2]
    factor = min(WIDTH / max(height, width), 1)
    size = max(round(width * factor), TILE), max(round(height * factor), TILE)
    if size == (width, height):
        return picture
    # Pillow first reduces by a whole factor, which is much faster.
    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BOX, reducing_gap=1.0))


def _grey(picture):
    """Return grey levels, smoothed: noise would make the tiles of one view look unlike."""
    smoothed = Image.fromarray(picture).convert("L").filter(ImageFilter.BoxBlur(1))
    return np.asarray(smoothed, np.float32)


def _tiles(values):
    """Return the whole tiles of `[h,w,...]` as `[rows,TILE,columns,TILE,...]`."""
    rows, columns = values.shape[0] // TILE, values.shape[1] // TILE
    cut = values[: rows * TILE, : columns * TILE]
    return cut.reshape(rows, TILE, columns, TILE, *values.shape[2:])


def _centred(tiles):
    return tiles - tiles.mean((1, 3), keepdims=True)


def _sum(a, b):
    """Return the sum of the products in each tile, `[rows,columns]`."""
    return np.einsum("iajb,iajb->ij", a, b)


def _has_texture(first, second):
    """Return which tiles have clear texture in either picture, bool `[rows,columns]`."""
    return np.maximum(_sum(first, first), _sum(second, second)) > (2 * TEXTURE * TILE) ** 2


def _correlation(first, second):
    """Return the correlation of centred tiles, `[rows,columns]`; 0 without texture."""
    scale = np.sqrt(_sum(first, first) * _sum(second, second))
    return _sum(first, second) / np.maximum(scale, 1e-6)
