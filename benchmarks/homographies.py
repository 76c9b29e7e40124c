"""Exactness and time of estimating a camera's motion, with scikit-image and with OpenCV.

    python -m benchmarks.homographies

Drawn rooms of 640 x 480 px are moved by known homographies, and a person is pasted. The picture is
15 % brighter than the background and has noise. Prints the largest error of a corner in px (median
and maximum over rooms) and the CPU time. Needs scikit-image, see requirements-dev.txt.
"""

import argparse
import time

import cv2
import numpy as np
from skimage import color, feature, measure, transform

from modest.data.synthetic import people, rooms
from modest.inference import motion

ROOMS = 8
WIDTH, HEIGHT = 640, 480
MOTIONS = {  # shift in px, turn in degrees, zoom
    "10 px and 1 degree": (10, 1, 1),
    "40 px": (40, 0, 1),
    "3 degrees, zoom 1.05": (0, 3, 1.05),
}


def scikit_image(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Match ORB features and find the homography by RANSAC."""
    detector, points, codes = feature.ORB(n_keypoints=500), [], []
    for picture in (first, second):
        detector.detect_and_extract(color.rgb2gray(picture))
        points.append(detector.keypoints[:, ::-1])
        codes.append(detector.descriptors)
    pairs = feature.match_descriptors(*codes, cross_check=True)
    model, _ = measure.ransac(
        (points[0][pairs[:, 0]], points[1][pairs[:, 1]]),
        transform.ProjectiveTransform,
        min_samples=4,
        residual_threshold=1.5,
        max_trials=500,
        rng=0,
    )
    return model.params


def opencv(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Match ORB features and find the homography by MAGSAC."""
    grey = [cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) for picture in (first, second)]
    return motion.matched(*grey)


def tracked(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Estimate as `python -m modest predict` does."""
    grey = [cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) for picture in (first, second)]
    return motion.estimate(*grey)[0]


def moved(
    bg: np.ndarray, matrix: np.ndarray, figure: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Return the moved background with light, noise and a figure, uint8 `[H,W,3]`."""
    picture = cv2.warpPerspective(bg, matrix, (WIDTH, HEIGHT), borderMode=cv2.BORDER_REFLECT)
    picture = np.clip(picture * 1.15 + rng.normal(0, 2, picture.shape), 0, 255)
    height, width = figure.shape[:2]
    left = (WIDTH - width) // 2
    at, alpha = picture[HEIGHT - height :, left : left + width], figure[..., 3:] / 255
    at[:] = at * (1 - alpha) + figure[..., :3] * alpha
    return picture.astype(np.uint8)


def main() -> None:
    """Run the comparison; see the module."""
    argparse.ArgumentParser(
        prog="python -m benchmarks.homographies", description=__doc__.partition("\n")[0]
    ).parse_args()
    cv2.setNumThreads(1)
    rng, border = np.random.default_rng(0), (WIDTH - HEIGHT) // 2
    corners = np.array([[0, 0], [WIDTH, 0], [0, HEIGHT], [WIDTH, HEIGHT]], float)
    for name, (shift, turn, zoom) in MOTIONS.items():
        matrix = cv2.getRotationMatrix2D((WIDTH / 2, HEIGHT / 2), turn, zoom)
        matrix = np.vstack([matrix, [0, 0, 1]])
        matrix[0, 2] += shift
        pairs = []
        for seed in range(1, ROOMS + 1):
            bg = np.ascontiguousarray(rooms.render(seed, WIDTH).picture[border:-border])
            figure = people.draw(seed, round(0.8 * HEIGHT)).rgba
            pairs.append((bg, moved(bg, matrix, figure, rng)))
        for method in (scikit_image, opencv, tracked):
            start = time.process_time()
            found = [method(*pair) for pair in pairs]
            milliseconds = 1000 * (time.process_time() - start) / len(pairs)
            true = motion.transform(matrix, corners)
            errors = [
                np.linalg.norm(motion.transform(x, corners) - true, axis=1).max() for x in found
            ]
            print(
                f"{name}, {method.__name__}: median {np.median(errors):.2f} px, largest "
                f"{max(errors):.2f} px, {milliseconds:.0f} ms"
            )


if __name__ == "__main__":
    main()
