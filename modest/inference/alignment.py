"""Align a background with a picture of a hand-held camera: its motion and its light.

`align` estimates a homography, and a gain and an offset for each channel, from what the two
pictures share, and undoes them. A pair that fits already is returned as it is.
"""

import functools
import logging
from typing import Any, NamedTuple

import numpy as np

from modest.errors import InputError
from modest.inference import agreement, motion
from modest.inference.motion import SATURATED, TRIM

MODES = ("off", "auto", "always")
# A pair fits if what it shares has moved by less than this fraction of the longer side ...
STILL = 1 / 640
SAME_LIGHT = 0.05  # ... and in no channel became brighter or darker by more than this.
WORKING_SIZE = 640  # px of the longer side of the pictures in which motion is measured
LIGHT_PIXELS = 5000  # to which gain and offset are fitted
LEVELS = np.array([[64.0], [128.0], [192.0]])  # grey levels at which a change of light is judged


class Alignment(NamedTuple):
    """How the background was changed to fit a picture.

    Attributes:
      matrix: homography `[3,3]` from px of the background to px of the picture.
      gain, offset: `[3]` each; the background's grey levels become gain * level + offset.
      motion: largest distance by which a corner moved, in px.
      shift: distance by which the centre moved to the right and down, in px, `[2]`.
      turn: angle by which the surroundings of the centre turned, clockwise, in degrees.
      zoom: factor by which they were enlarged.
      matches: share of the tracked points that agree on the homography; None for no motion.
    """

    matrix: np.ndarray
    gain: np.ndarray
    offset: np.ndarray
    motion: float
    shift: np.ndarray
    turn: float
    zoom: float
    matches: float | None

    def as_json(self) -> dict[str, Any]:
        """Return the alignment as JSON values."""
        return {name: np.asarray(x).tolist() for name, x in self._asdict().items()}


class Aligned(NamedTuple):
    """A background that fits a picture.

    Attributes:
      bg: uint8 `[H,W,3]`. Where the background does not reach, it shows the picture itself.
      covered: bool `[H,W]`: where the background reaches; None for everywhere.
      alignment: what was done; None for nothing.
    """

    bg: np.ndarray
    covered: np.ndarray | None
    alignment: Alignment | None


def align(bg: np.ndarray, bg_fg: np.ndarray, mode: str = "auto") -> Aligned:
    """Make a background fit a picture.

    Args:
      bg: uint8 `[H,W,3]`.
      bg_fg: uint8 `[H,W,3]`.
      mode: "off" returns `bg`; "auto" changes it if the pair does not fit and OpenCV is installed;
        "always" estimates in any case.

    Raises:
      InputError: OpenCV is not installed, and the mode is "always".
    """
    if mode == "off" or (mode == "auto" and _fits(bg, bg_fg)):
        return Aligned(bg, None, None)
    try:
        alignment = estimate(bg, bg_fg)
    except InputError as error:
        if mode == "always":
            raise
        _log_missing(str(error))
        return Aligned(bg, None, None)
    if mode == "auto" and not _is_worth_it(alignment, bg.shape):
        return Aligned(bg, None, None)
    return apply(alignment, bg, bg_fg)


def estimate(bg: np.ndarray, bg_fg: np.ndarray) -> Alignment:
    """Estimate the motion and the light between two pictures.

    If no motion can be trusted (too few matches, or more motion than a hand's), the matrix is the
    identity.

    Args:
      bg: uint8 `[H,W,3]`.
      bg_fg: uint8 `[H,W,3]`.

    Raises:
      InputError: OpenCV is not installed.
    """
    cv2 = motion.opencv()
    factor = WORKING_SIZE / max(bg.shape)
    size = tuple(max(round(factor * length), 1) for length in bg.shape[1::-1])
    filter_ = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    small = [cv2.resize(picture, size, interpolation=filter_) for picture in (bg, bg_fg)]
    grey = [cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) for picture in small]
    matrix, share = motion.estimate(*grey)
    moved = cv2.warpPerspective(small[0], matrix, size)
    covered = cv2.warpPerspective(np.ones_like(grey[0]), matrix, size) > 0
    gain, offset = _light(moved[covered], small[1][covered])
    scale = np.diag([1 / factor, 1 / factor, 1])
    matrix = scale @ matrix @ np.linalg.inv(scale)
    return Alignment(
        matrix,
        gain,
        offset,
        motion.distance(matrix, bg.shape),
        *motion.about_centre(matrix, bg.shape),
        share,
    )


def apply(alignment: Alignment, bg: np.ndarray, bg_fg: np.ndarray) -> Aligned:
    """Change a background as an alignment says.

    Args:
      alignment: what `estimate` returns.
      bg: uint8 `[H,W,3]`.
      bg_fg: the picture, uint8 `[H,W,3]`; shown where the background does not reach.
    """
    cv2 = motion.opencv()
    height, width = bg_fg.shape[:2]
    table = np.arange(256)[:, None] * alignment.gain + alignment.offset
    lit = cv2.LUT(bg, np.clip(table, 0, 255).astype(np.float32)[None])
    # Bilinear sampling would blur the background, and what is sharper in the picture looks foreign.
    cubic = {"flags": cv2.INTER_CUBIC, "borderMode": cv2.BORDER_REPLICATE}
    moved = cv2.warpPerspective(lit, alignment.matrix, (width, height), **cubic)
    # A saturated level only says that the true one is at least as high.
    saturated = (bg >= SATURATED).astype(np.float32)
    saturated = cv2.warpPerspective(saturated, alignment.matrix, (width, height)) > 0.5
    moved = np.where(saturated, np.maximum(moved, bg_fg), moved)
    ones = np.ones(bg.shape[:2], np.float32)
    covered = cv2.warpPerspective(ones, alignment.matrix, (width, height)) > 0.999
    moved = np.clip(moved + 0.5, 0, 255).astype(np.uint8)  # cubic sampling overshoots
    return Aligned(np.where(covered[..., None], moved, bg_fg), covered, alignment)


def _fits(bg, bg_fg):
    found = agreement.compare(bg, bg_fg)
    same_light = np.abs(found.gain - 1).max() < SAME_LIGHT
    return found.is_one_view and found.displacement < STILL and same_light


def _is_worth_it(alignment, shape):
    change = alignment.gain + alignment.offset / LEVELS - 1
    return alignment.motion > STILL * max(shape) or np.abs(change).max() > SAME_LIGHT


def _light(before, after):
    """Fit after = gain * before + offset, `[n,3]` each, to the pixels that agree best.

    Least trimmed squares (Rousseeuw, 1984): the fit is repeated on the TRIM of the pixels with the
    smallest errors, from several first gains, so that a figure does not count. Saturated pixels are
    left out. An offset is used only if the errors are clearly smaller with it.
    """
    usable = ((before > 4) & (before < SATURATED) & (after > 4) & (after < SATURATED)).all(axis=1)
    x, y = (levels[usable].astype(np.float64) for levels in (before, after))
    step = max(len(x) // LIGHT_PIXELS, 1)
    x, y = x[::step], y[::step]
    if len(x) < 100:
        return np.ones(3), np.zeros(3)
    starts = np.quantile(y / x, [0.3, 0.4, 0.5, 0.6, 0.7], axis=0)
    fits = [_trimmed_fit(x, y, gain, with_offset=False) for gain in (*starts, np.ones(3))]
    error, gain, offset = min(fits, key=lambda fit: fit[0])
    error_with_offset, *fit = _trimmed_fit(x, y, gain, with_offset=True)
    return fit if error_with_offset < 0.8 * error else (gain, offset)


def _trimmed_fit(x, y, gain, with_offset):
    """Return the mean error of the pixels that agree best, the gain and the offset, `[3]` each."""
    offset = np.zeros(3)
    count = int(TRIM * len(x))
    for _ in range(8):
        best = np.argpartition(np.abs(y - gain * x - offset).max(axis=1), count)[:count]
        u, v = x[best], y[best]
        if with_offset:
            centred = u - u.mean(axis=0)
            gain = (centred * v).mean(axis=0) / np.maximum((centred**2).mean(axis=0), 25)
            offset = v.mean(axis=0) - gain * u.mean(axis=0)
        else:
            gain = (u * v).sum(axis=0) / (u * u).sum(axis=0)
    error = np.abs(y - gain * x - offset).max(axis=1)
    return np.partition(error, count)[:count].mean(), gain, offset


@functools.cache
def _log_missing(reason):
    logging.getLogger("modest").warning(
        "the background does not fit the picture and is used as it is; %s", reason
    )
