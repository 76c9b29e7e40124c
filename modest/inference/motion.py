"""The motion between two pictures of one view, as a homography. Needs OpenCV.

ORB features (Rublee et al., 2011) are matched, MAGSAC (Barath et al., 2020) finds the homography on
which most matches agree, and points that are tracked by the method of Lucas and Kanade (1981)
refine it.
"""

from types import ModuleType

import numpy as np

from modest.errors import InputError

SMALLEST = 32  # px: in a picture that is thinner, no motion is sought
FEATURES = 1000
REFINEMENTS = 2
SATURATED = 251  # grey level
FEWEST = 12  # points that must agree
MOST_MOTION = 0.12  # of the longer side: more is not a hand's motion, but a wrong estimate
TRIM = 0.5  # share of the pixels, those that agree best, that count


def estimate(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, float | None]:
    """Estimate the homography after which two pictures agree best.

    No motion, a shift and the homography of matched features are tried; each is refined.

    Args:
      first: grey, uint8 `[H,W]`.
      second: grey, uint8 `[H,W]`.

    Returns:
      The homography `[3,3]` from px of the first to px of the second, and the share of the tracked
      points that agree on it. If none can be trusted (too few points, or more than `MOST_MOTION`),
      the identity and None.

    Raises:
      InputError: OpenCV is not installed.
    """
    cv2 = opencv()
    size = first.shape
    if min(size) < SMALLEST:
        return np.eye(3), None
    candidates = [(_trimmed_error(cv2, first, second, np.eye(3)), np.eye(3), None)]
    for start in (np.eye(3), _shift(cv2, first, second), matched(first, second)):
        if start is None or distance(start, size) > MOST_MOTION * max(size):
            continue
        matrix, share = start, None
        for _ in range(REFINEMENTS):
            if matrix is not None:
                matrix, share = _refined(cv2, first, second, matrix)
        if matrix is not None and distance(matrix, size) <= MOST_MOTION * max(size):
            error = _trimmed_error(cv2, first, second, matrix)
            candidates.append((error, matrix, share))
    _, matrix, share = min(candidates, key=lambda candidate: candidate[0])
    return matrix, share


def distance(matrix: np.ndarray, shape: tuple[int, ...]) -> float:
    """Return the largest distance in px by which a corner of a picture `[H,W,...]` moves."""
    height, width = shape[:2]
    corners = np.array([[0, 0], [width, 0], [0, height], [width, height]], float)
    return float(np.linalg.norm(transform(matrix, corners) - corners, axis=1).max())


def about_centre(matrix: np.ndarray, shape: tuple[int, ...]) -> tuple[np.ndarray, float, float]:
    """Return what a homography does about the centre of a picture `[H,W,...]`.

    Returns:
      The shift to the right and down in px, `[2]`; the turn clockwise in degrees; the factor by
      which things are enlarged.
    """
    height, width = shape[:2]
    points = np.array([width, height]) / 2 + [[0, 0], [1, 0], [0, 1]]
    moved = transform(matrix, points)
    (a, b), (c, d) = moved[1:] - moved[0]  # where the unit vectors go
    turn = np.degrees(np.arctan2(b - c, a + d))
    return moved[0] - points[0], float(turn), float(np.sqrt(abs(a * d - b * c)))


def transform(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Apply a homography to points `[n,2]`."""
    moved = np.column_stack([points, np.ones(len(points))]) @ matrix.T
    return moved[:, :2] / moved[:, 2:]


def opencv() -> ModuleType:
    """Import OpenCV.

    Raises:
      InputError: it is not installed.
    """
    try:
        import cv2
    except ImportError:
        raise InputError(
            "aligning a background needs OpenCV: pip install opencv-python-headless"
        ) from None
    return cv2


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


def matched(first: np.ndarray, second: np.ndarray) -> np.ndarray | None:
    """Return the homography on which most matched features of two grey pictures agree, or None."""
    cv2 = opencv()
    detector = cv2.ORB_create(FEATURES, fastThreshold=7)
    (points, codes), (others, other_codes) = (
        detector.detectAndCompute(picture, None) for picture in (first, second)
    )
    if codes is None or other_codes is None:
        return None
    pairs = cv2.BFMatcher(cv2.NORM_HAMMING, crossCheck=True).match(codes, other_codes)
    source = np.array([points[pair.queryIdx].pt for pair in pairs], np.float32)
    target = np.array([others[pair.trainIdx].pt for pair in pairs], np.float32)
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
