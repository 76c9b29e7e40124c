"""Align a background with a picture of a hand-held camera: its motion and its light.

`align` estimates a homography, and a gain and an offset for each channel, from what the two
pictures share, and undoes them. A pair that fits already is returned as it is. OpenCV estimates the
motion: ORB features (Rublee et al., 2011) are matched, MAGSAC (Barath et al., 2020) finds the
homography on which most matches agree, and points that are tracked by the method of Lucas and
Kanade refine it.
"""

from typing import Any, NamedTuple

import numpy as np

from modest.errors import InputError
from modest.inference import agreement

MODES = ("off", "auto", "always")
# A pair fits if nothing moved by more than this fraction of the longer side (1 of 640 px) ...
STILL = 1 / 640
SAME_LIGHT = 0.05  # ... and no channel became brighter or darker by more than this.
FITTING = 0.2  # largest mismatch of a pair that fits
WORKING_SIZE = 640  # px of the longer side of the pictures in which motion is measured
FEATURES = 1000
REFINEMENTS = 2
SATURATED = 251  # grey level
FEWEST = 12  # points that must agree
MOST_MOTION = 0.12  # of the longer side: more is not a hand's motion, but a wrong estimate
TRIM = 0.5  # share of the pixels, those that agree best, that count


class Alignment(NamedTuple):
    """How the background was changed to fit a picture.

    Attributes:
      matrix: homography `[3,3]` from px of the background to px of the picture.
      gain, offset: `[3]` each; the background's grey levels become gain * level + offset.
      motion: largest distance by which a corner moved, in px.
      matches: share of the tracked points that agree on the homography; None for no motion.
    """

    matrix: np.ndarray
    gain: np.ndarray
    offset: np.ndarray
    motion: float = 0.0
    matches: float | None = None

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
      mode: "off" returns `bg`; "auto" changes it if the pair does not fit; "always" estimates in
        any case.

    Raises:
      InputError: OpenCV is needed and not installed.
    """
    if mode == "off":
        return Aligned(bg, None, None)
    if mode == "auto" and _fits(bg, bg_fg):
        return Aligned(bg, None, None)
    alignment = estimate(bg, bg_fg)
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
    cv2 = _opencv()
    factor = WORKING_SIZE / max(bg.shape)
    filter_ = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    small = [
        cv2.resize(picture, None, fx=factor, fy=factor, interpolation=filter_)
        for picture in (bg, bg_fg)
    ]
    grey = [cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) for picture in small]
    matrix, share = _best_motion(cv2, *grey)
    size = grey[0].shape
    height, width = size
    moved = cv2.warpPerspective(small[0], matrix, (width, height))
    covered = cv2.warpPerspective(np.ones(size, np.uint8), matrix, (width, height)) > 0
    gain, offset = _light(moved[covered], small[1][covered])
    scale = np.diag([1 / factor, 1 / factor, 1])
    matrix = scale @ matrix @ np.linalg.inv(scale)
    return Alignment(matrix, gain, offset, _motion(matrix, bg.shape), share)


def apply(alignment: Alignment, bg: np.ndarray, bg_fg: np.ndarray) -> Aligned:
    """Change a background as an alignment says.

    Args:
      alignment: what `estimate` returns.
      bg: uint8 `[H,W,3]`.
      bg_fg: the picture, uint8 `[H,W,3]`; shown where the background does not reach.
    """
    cv2 = _opencv()
    height, width = bg_fg.shape[:2]
    lit = np.clip(bg * alignment.gain + alignment.offset, 0, 255).astype(np.float32)
    moved = cv2.warpPerspective(lit, alignment.matrix, (width, height))
    # A saturated level only says that the true one is at least as high.
    saturated = (bg >= SATURATED).astype(np.float32)
    saturated = cv2.warpPerspective(saturated, alignment.matrix, (width, height)) > 0.5
    moved = np.where(saturated, np.maximum(moved, bg_fg), moved)
    ones = np.ones(bg.shape[:2], np.float32)
    covered = cv2.warpPerspective(ones, alignment.matrix, (width, height)) > 0.999
    moved = (moved + 0.5).astype(np.uint8)
    return Aligned(np.where(covered[..., None], moved, bg_fg), covered, alignment)


def _fits(bg, bg_fg):
    found = agreement.compare(bg, bg_fg)
    still = found.displacement < STILL and np.abs(found.gain - 1).max() < SAME_LIGHT
    # The displacement of a large motion is underestimated; then little structure is in common.
    return still and (found.mismatch is None or found.mismatch < FITTING)


def _is_worth_it(alignment, shape):
    level = 128 * alignment.gain + alignment.offset
    darker = np.abs(level / 128 - 1).max()
    return alignment.motion > STILL * max(shape) or darker > SAME_LIGHT


def _best_motion(cv2, first, second):
    """Return the homography after which the pictures agree best, and the share of its points.

    No motion, a shift and the homography of matched features are tried; each is refined.
    """
    size = first.shape
    candidates = [(_trimmed_error(cv2, first, second, np.eye(3)), np.eye(3), None)]
    for start in (np.eye(3), _shift(cv2, first, second), _matched(cv2, first, second)):
        if start is None or _motion(start, size) > MOST_MOTION * max(size):
            continue
        matrix, share = start, None
        for _ in range(REFINEMENTS):
            if matrix is not None:
                matrix, share = _refined(cv2, first, second, matrix)
        if matrix is not None and _motion(matrix, size) <= MOST_MOTION * max(size):
            error = _trimmed_error(cv2, first, second, matrix)
            candidates.append((error, matrix, share))
    _, matrix, share = min(candidates, key=lambda candidate: candidate[0])
    return matrix, share


def _trimmed_error(cv2, first, second, matrix):
    """Return the mean difference of grey levels, light aside, of the pixels that agree best."""
    height, width = first.shape
    step = max(height // 120, 1)
    covered = cv2.warpPerspective(np.ones(first.shape, np.uint8), matrix, (width, height)) > 0
    covered = covered[::step, ::step]
    moved = _with_the_light_of(second, cv2.warpPerspective(first, matrix, (width, height)))
    error = np.abs(second[::step, ::step][covered] - np.float32(moved[::step, ::step][covered]))
    return float(np.sort(error)[: int(TRIM * len(error))].mean())


def _with_the_light_of(picture, moved):
    """Return a grey picture made brighter or darker by the median ratio to another one."""
    step = max(len(moved) // 60, 1)
    levels, wanted = (np.float32(grey[::step, ::step]) for grey in (moved, picture))
    usable = (levels > 4) & (levels < SATURATED) & (wanted > 4) & (wanted < SATURATED)
    if not usable.any():
        return moved
    return np.clip(moved * np.median(wanted[usable] / levels[usable]), 0, 255).astype(np.uint8)


def _shift(cv2, first, second):
    """Return the shift that phase correlation (Kuglin and Hines, 1975) finds."""
    height, width = first.shape
    window = cv2.createHanningWindow((width, height), cv2.CV_32F)
    (x, y), _ = cv2.phaseCorrelate(np.float32(first), np.float32(second), window)
    return np.array([[1, 0, x], [0, 1, y], [0, 0, 1]])


def _matched(cv2, first, second):
    """Return the homography on which most matched features agree, or None."""
    detector = cv2.ORB_create(FEATURES, fastThreshold=7)
    (points, codes), (others, other_codes) = (
        detector.detectAndCompute(picture, None) for picture in (first, second)
    )
    if codes is None or other_codes is None:
        return None
    pairs = cv2.BFMatcher(cv2.NORM_HAMMING, crossCheck=True).match(codes, other_codes)
    source = np.float32([points[pair.queryIdx].pt for pair in pairs])
    target = np.float32([others[pair.trainIdx].pt for pair in pairs])
    return _homography(cv2, source, target, 2.0)[0]


def _refined(cv2, first, second, matrix):
    """Track corners after a homography is undone; return a more exact one, or None, and the share
    of the corners that agree on it.
    """
    height, width = first.shape
    moved = cv2.warpPerspective(first, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE)
    moved = _with_the_light_of(second, moved)
    corners = cv2.goodFeaturesToTrack(moved, FEATURES, 0.003, 7)
    if corners is None:
        return None, None
    window = {"winSize": (21, 21)}
    tracked, found, _ = cv2.calcOpticalFlowPyrLK(moved, second, corners, None, **window)
    back, found_back, _ = cv2.calcOpticalFlowPyrLK(second, moved, tracked, None, **window)
    error = np.linalg.norm(back - corners, axis=-1)
    good = (found[:, 0] > 0) & (found_back[:, 0] > 0) & (error[:, 0] < 0.5)
    correction, share = _homography(cv2, corners[good, 0], tracked[good, 0], 1.0)
    return (None if correction is None else correction @ matrix), share


def _homography(cv2, source, target, threshold):
    """Return the homography on which most pairs of points agree, or None, and their share."""
    if len(source) < FEWEST:
        return None, None
    cv2.setRNGSeed(0)
    matrix, agrees = cv2.findHomography(source, target, cv2.USAC_MAGSAC, threshold)
    if matrix is None or agrees.sum() < FEWEST:
        return None, None
    return matrix, float(agrees.mean())


def _light(before, after):
    """Fit after = gain * before + offset, `[n,3]` each, to the pixels that agree best.

    Least trimmed squares (Rousseeuw, 1984): the fit is repeated on the TRIM of the pixels with the
    smallest errors, from several first gains, so that a figure does not count. Saturated pixels are
    left out. An offset is used only if the errors are clearly smaller with it.
    """
    usable = ((before > 4) & (before < SATURATED) & (after > 4) & (after < SATURATED)).all(axis=1)
    x, y = (levels[usable].astype(np.float64) for levels in (before, after))
    step = max(len(x) // 20_000, 1)
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


def _motion(matrix, shape):
    """Return the largest distance in px by which a corner of a picture moves."""
    height, width = shape[:2]
    corners = np.array([[0, 0, 1], [width, 0, 1], [0, height, 1], [width, height, 1]], float)
    moved = corners @ matrix.T
    return float(np.linalg.norm(moved[:, :2] / moved[:, 2:] - corners[:, :2], axis=1).max())


def _opencv():
    try:
        import cv2
    except ImportError:
        raise InputError(
            "the background does not fit the picture, and aligning it needs OpenCV: "
            "pip install opencv-python-headless, or --align off"
        ) from None
    return cv2
