"""Changes of a pair of pictures that leave its mask as it is: the camera, the light, the file.

`change` applies one of them, by its name and an amount. Only the background moves, so that the
truth stays where it is. Light and shadow change the other picture. Noise, blur and JPEG change
both.
"""

import io
from typing import NamedTuple

import cv2
import numpy as np
from PIL import Image

from benchmarks.jobs.real_sets import Pair
from modest.data import composite

SHADOW_LEAN, SHADOW_LENGTH = 0.6, 0.5  # of a hard shadow, in heights of the figure


class Changed(NamedTuple):
    """A changed pair.

    Attributes:
      bg, bg_fg: uint8 `[H,W,3]`.
      covered: bool `[H,W]`, where the background shows something.
      matrix: the affine map `[2,3]` that moved the background.
    """

    bg: np.ndarray
    bg_fg: np.ndarray
    covered: np.ndarray
    matrix: np.ndarray


def move(pair: Pair, shift: float = 0.0, turn: float = 0.0, zoom: float = 1.0) -> Changed:
    """Move the background by `shift` px to the right, turn it by `turn` degrees and enlarge it."""
    height, width = pair.bg.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), turn, zoom)
    matrix[0, 2] += shift
    moved = cv2.warpAffine(pair.bg, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE)
    covered = cv2.warpAffine(np.ones((height, width), np.float32), matrix, (width, height)) > 0.999
    return Changed(moved, pair.bg_fg, covered, matrix)


def relight(picture: np.ndarray, gain: np.ndarray | float, level: float = 0.0) -> np.ndarray:
    """Multiply the distances from a grey level of a picture, uint8 `[H,W,3]`, by a gain.

    The gain is a scalar or `[3]`.
    """
    changed = level + (picture.astype(np.float64) - level) * gain
    return np.clip(changed + 0.5, 0, 255).astype(np.uint8)


def white_balance(amount: float) -> np.ndarray:
    """Return the gain `[3]` of red by `amount` and of blue by its inverse."""
    return np.array([amount, 1, 1 / amount])


def shade(pair: Pair, darkening: float) -> np.ndarray:
    """Return `bg_fg` with a hard shadow of the figure on the floor.

    The shadow is the figure's outline, laid to the right of its feet. It covers background only.

    Args:
      pair: the pair.
      darkening: share of the light that the shadow takes, 0 to 1.
    """
    rows = np.flatnonzero(pair.truth.any(axis=1))
    if not rows.size:
        return pair.bg_fg
    height, width = pair.truth.shape
    feet = float(rows[-1])
    # (x, y) of the figure goes to the floor: heights above the feet are shortened and leaned.
    shear = np.array(
        [[1, -SHADOW_LEAN, SHADOW_LEAN * feet], [0, SHADOW_LENGTH, (1 - SHADOW_LENGTH) * feet]]
    )
    outline = pair.truth.astype(np.float32)
    shadow = cv2.warpAffine(outline, shear, (width, height)) * ~pair.truth
    return relight(pair.bg_fg, 1 - darkening * shadow[..., None])


def add_noise(rng: np.random.Generator, picture: np.ndarray, deviation: float) -> np.ndarray:
    """Add normal noise with a standard deviation in grey levels."""
    return composite.photograph(rng, picture, composite.Realism(noise=deviation))


def blur(picture: np.ndarray, sigma: float) -> np.ndarray:
    """Blur a picture by a Gaussian of `sigma` px."""
    return cv2.GaussianBlur(picture, (0, 0), sigma) if sigma else picture


def jpeg(picture: np.ndarray, quality: float) -> np.ndarray:
    """Return a picture as it is after JPEG compression with a quality of 1 to 95; 100: none."""
    if quality >= 100:
        return picture
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, "JPEG", quality=int(quality))
    return np.asarray(Image.open(stream).convert("RGB"))


def change(pair: Pair, kind: str, amount: float, other: np.ndarray | None, seed: int) -> Changed:
    """Return a changed pair.

    Args:
      pair: the pair.
      kind: `shift` (px), `turn` (degrees), `zoom` (factor), `exposure` and `white balance`
        (factors), `shadow` (share of the light), `noise` (grey levels), `blur` (px), `jpeg`
        (quality) or `wrong background` (1: `other` is the background).
      amount: how much of it.
      other: another background, uint8 `[H,W,3]`; only for `wrong background`.
      seed: of the noise.

    Raises:
      ValueError: there is no such kind.
    """
    if kind in ("shift", "turn", "zoom"):
        return move(pair, **{kind: amount})
    still = move(pair)
    if kind == "exposure":
        return still._replace(bg_fg=relight(pair.bg_fg, amount))
    if kind == "white balance":
        return still._replace(bg_fg=relight(pair.bg_fg, white_balance(amount)))
    if kind == "shadow":
        return still._replace(bg_fg=shade(pair, amount))
    if kind == "wrong background":
        return still._replace(bg=other) if amount else still
    if kind == "noise":
        rng = np.random.default_rng(seed)
        both = (add_noise(rng, picture, amount) for picture in (pair.bg, pair.bg_fg))
    elif kind == "blur":
        both = (blur(picture, amount) for picture in (pair.bg, pair.bg_fg))
    elif kind == "jpeg":
        both = (jpeg(picture, amount) for picture in (pair.bg, pair.bg_fg))
    else:
        raise ValueError(f"no change of a pair is called {kind!r}")
    bg, bg_fg = both
    return still._replace(bg=bg, bg_fg=bg_fg)
