"""The sets that `benchmarks/real.py` evaluates, and the scores of a network on them.

Two kinds of directories are read:

- a data set in the MODEST layout; depth maps are optional
- a clip in the layout of CDnet 2014 (Wang et al., "CDnet 2014: An Expanded Change Detection
  Benchmark Dataset"): `input/in000001.jpg`, `groundtruth/gt000001.png`, and `temporalROI.txt` with
  the first and last frame that have ground truth

All scores are computed at the size of the stored pictures.
"""

import pathlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy import ndimage

from modest.constants import MASK_THRESHOLD, MIN_DEPTH, UNKNOWN_DEPTH
from modest.data import composite, images, masks, modest_layout
from modest.data.museum import directory_shards, preparation
from modest.errors import InputError
from modest.evaluation import bootstrap
from modest.sweep.results import mean_and_spread

BAND = 2  # px on each side of the contour that `iou_outside_band` leaves out
SCORES = ("iou", "iou_outside_band", "delta1")  # of a picture
POOR = 0.75  # IoU below which a picture counts as poor
BACKGROUND_FRAMES = 50  # frames whose median is the background of a clip
# Grey levels of CDnet's ground truth.
SHADOW, OUTSIDE_ROI, UNKNOWN, MOVING = 50, 85, 170, 255

# Function of a background and a picture, uint8 [H,W,3]: `{"mask", "depth"}`, float [H,W] in [0, 1].
Maps = Mapping[str, np.ndarray]
Predict = Callable[[np.ndarray, np.ndarray], Maps]

# The same for many pictures of one background: `Predictor.sequence`.
Named = tuple[str, np.ndarray]
PredictSequence = Callable[[np.ndarray, Iterable[Named]], Iterable[tuple[str, np.ndarray, Maps]]]


class Result(NamedTuple):
    """One picture, its truth, what was predicted, and the scores.

    Attributes:
      name: name of the picture.
      bg, bg_fg: uint8 `[H,W,3]`.
      truth, output: masks, bool `[H,W]`.
      scores: `iou`, `iou_outside_band` and, if the set has depth, `delta1`.
      background: name of its background.
    """

    name: str
    bg: np.ndarray
    bg_fg: np.ndarray
    truth: np.ndarray
    output: np.ndarray
    scores: dict[str, float]
    background: str


def check_names(option: str, names: Sequence[str]) -> None:
    """Check that the names of an option differ in their last part, which the output shows.

    Raises:
      InputError: two are the same.
    """
    shown = [pathlib.Path(name).name for name in names]
    for name in shown:
        if shown.count(name) > 1:
            raise InputError(f"{option}: {name} is given twice; give each another name")


def directories(texts: Sequence[str], reserved: Sequence[str] = ()) -> dict[str, pathlib.Path]:
    """Return the directories that options `--set NAME=DIR` name, by name.

    Args:
      texts: the options.
      reserved: names of sets that are there without an option.

    Raises:
      InputError: one is not such a text, its directory does not exist, or a name occurs twice.
    """
    found = {}
    for text in texts:
        name, separator, directory = text.partition("=")
        if not separator or not pathlib.Path(directory).is_dir():
            raise InputError(f"--set={text}: give NAME=DIR, with a directory that exists")
        found[name] = pathlib.Path(directory)
    check_names("--set", [*reserved, *(text.partition("=")[0] for text in texts)])
    return found


def is_clip(directory: pathlib.Path) -> bool:
    """Return whether a directory is a clip in the layout of CDnet 2014."""
    return (directory / "groundtruth").is_dir() and (directory / "input").is_dir()


class Pair(NamedTuple):
    """A pair of pictures with its truth.

    Attributes:
      name: name of the picture.
      bg, bg_fg: uint8 `[H,W,3]`.
      truth: mask, bool `[H,W]`.
      depth: float `[H,W]` in [0, 1], NaN where it is unknown; or None.
      background: name of its background; that of the picture if the former is unknown.
    """

    name: str
    bg: np.ndarray
    bg_fg: np.ndarray
    truth: np.ndarray
    depth: np.ndarray | None
    background: str


def pairs(directory: pathlib.Path) -> Iterator[Pair]:
    """Yield the pairs of a data set in the MODEST layout.

    A background is resized to the size of the picture if they differ.

    Raises:
      InputError: the data set cannot be read.
    """
    files = modest_layout.open_files(directory)
    entries, mistakes = modest_layout.entries(files)
    if mistakes:
        raise InputError(modest_layout.summarise_mistakes(mistakes))
    reading = directory_shards.mask_reading(files, entries)
    for entry in entries:
        bg_fg = _read(files, entry, "bg_fg")
        size = bg_fg.shape[:2]
        bg = images.resize(_read(files, entry, "bg"), size)
        mask, _ = masks.read(*modest_layout.read_picture(files, entry, "mask"), reading)
        truth = images.resize(mask[..., None], size)[..., 0] > composite.FOREGROUND
        depth = None
        if entry.depth:
            data, path = modest_layout.read_picture(files, entry, "depth")
            levels, known = images.read_depth(data, UNKNOWN_DEPTH, size, path)
            depth = np.where(known > 0, levels / 255, np.nan)[..., 0]
        yield Pair(entry.bg_fg, bg, bg_fg, truth, depth, entry.bg)


def embedded(size: int = 224) -> Iterator[Pair]:
    """Yield the pairs of the embedded `test` split at the size at which they are stored."""
    from modest.data.batches import loader  # imports JAX, which has its settings by now

    examples = loader.Examples(preparation.prepare("procedural"), "test", size)
    for index in range(len(examples)):
        example = examples[index]
        truth = example["mask"][..., 0] > composite.FOREGROUND
        yield Pair(str(index), example["bg"], example["bg_fg"], truth, None, str(index))


def evaluate_pairs(directory: pathlib.Path, predict: Predict) -> list[Result]:
    """Evaluate a data set in the MODEST layout.

    Raises:
      InputError: the data set cannot be read.
    """
    return evaluate_all(pairs(directory), predict)


def evaluate_all(given: Iterable[Pair], predict: Predict) -> list[Result]:
    """Evaluate pairs. The scores of a picture have no `delta1` if no depth of it is known."""
    results = []
    for name, bg, bg_fg, truth, depth, background in given:
        maps = predict(bg, bg_fg)
        output = maps["mask"] >= MASK_THRESHOLD
        scores = {
            "iou": iou(output, truth),
            "iou_outside_band": iou(output, truth, away_from_contour(truth)),
        }
        if depth is not None and np.isfinite(depth).any() and "depth" in maps:
            scores["delta1"] = aligned_delta1(maps["depth"], depth)
        results.append(Result(name, bg, bg_fg, truth, output, scores, background))
    return results


def summarise(results: list[Result]) -> dict[str, float]:
    """Return mean, its 95 % interval, median, worst and number of poor pictures of the masks.

    That is with and without the band; of the depth, the mean and its interval. The interval is a
    bootstrap over backgrounds, see `modest.evaluation.bootstrap`; NaN if there is only one.
    """
    summary: dict[str, float] = {"pictures": len(results)}
    scores = {
        name: np.array([result.scores.get(name, np.nan) for result in results]) for name in SCORES
    }
    lows, highs = bootstrap.intervals(scores, [result.background for result in results])
    for name in ("iou", "iou_outside_band"):
        values = scores[name]
        summary |= {
            name: float(values.mean()),
            f"{name}/low": lows[name],
            f"{name}/high": highs[name],
            f"{name}/median": float(np.median(values)),
            f"{name}/worst": float(values.min()),
            f"{name}/poor": int((values < POOR).sum()),
        }
    if not np.isnan(scores["delta1"]).all():
        summary |= {
            "delta1": float(np.nanmean(scores["delta1"])),
            "delta1/low": lows["delta1"],
            "delta1/high": highs["delta1"],
        }
    return summary


def mean_over_networks(
    networks: Sequence[Sequence[Mapping[str, float]]], backgrounds: Sequence[str]
) -> dict[str, float | None]:
    """Return the means over networks that were evaluated on the same pictures.

    Args:
      networks: for each network, the scores of every picture.
      backgrounds: the background of every picture.

    Returns:
      `networks`, their number; and for each score that all networks have its mean, its `/spread`,
      the sample standard deviation over the networks (None for one), and `/low` and `/high`, the
      95 % interval over backgrounds of the mean over networks and pictures.
    """
    columns = {}
    for name in SCORES:
        of_networks = [[scores.get(name, np.nan) for scores in pictures] for pictures in networks]
        if not np.isnan(of_networks).all(axis=1).any():
            columns[name] = np.array(of_networks)
    lows, highs = bootstrap.intervals(
        {name: values.mean(axis=0) for name, values in columns.items()}, backgrounds
    )
    summary: dict[str, float | None] = {"networks": len(networks)}
    for name, values in columns.items():
        found = mean_and_spread(np.nanmean(values, axis=1).tolist())
        summary |= {name: found["mean"], f"{name}/spread": found["spread"]}
        summary |= {f"{name}/low": lows[name], f"{name}/high": highs[name]}
    return summary


def evaluate_clip(
    directory: pathlib.Path, predict_sequence: PredictSequence
) -> dict[str, float | None]:
    """Evaluate a clip with the measures of CDnet 2014, over all pixels of all frames together.

    Moving objects are foreground. Their shadows are background. Pixels outside the region of
    interest or marked as unknown do not count. The background is the median of frames before the
    first one with ground truth, or of frames from the whole clip if there are none.

    Returns:
      `frames`, `precision`, `recall`, `f1`, and `shadow_as_foreground`, the share of the shadow's
      pixels that are predicted as foreground. A quotient by 0 is None.

    Raises:
      InputError: a file is missing or cannot be read.
    """
    paths = sorted((directory / "input").glob("in*.jpg"))
    first, last = _frames_with_truth(directory, len(paths))
    bg = _median_frame(paths[: first - 1] or paths)
    counts = dict.fromkeys(("both", "predicted", "true", "shadow", "shadow_as_foreground"), 0)
    frames = (
        (f"{number:06}", images.read(str(directory / f"input/in{number:06}.jpg"), "bg_fg"))
        for number in range(first, last + 1)
    )
    for name, _, maps in predict_sequence(bg, frames):
        truth = images.read(str(directory / f"groundtruth/gt{name}.png"), "mask")[..., 0]
        output = maps["mask"] >= MASK_THRESHOLD
        counted = (truth != OUTSIDE_ROI) & (truth != UNKNOWN)
        moving, shadow = truth == MOVING, truth == SHADOW
        counts["both"] += int((output & moving).sum())
        counts["predicted"] += int((output & counted).sum())
        counts["true"] += int(moving.sum())
        counts["shadow"] += int(shadow.sum())
        counts["shadow_as_foreground"] += int((output & shadow).sum())
    both, predicted, true = counts["both"], counts["predicted"], counts["true"]
    return {
        "frames": last - first + 1,
        "precision": _quotient(both, predicted),
        "recall": _quotient(both, true),
        "f1": _quotient(2 * both, predicted + true),
        "shadow_as_foreground": _quotient(counts["shadow_as_foreground"], counts["shadow"]),
    }


def iou(output: np.ndarray, truth: np.ndarray, counted: np.ndarray | bool = True) -> float:
    """Return the intersection over union of two masks, or 1 if both are empty.

    Args:
      output, truth: bool `[H,W]`.
      counted: bool `[H,W]`, the pixels that count.
    """
    union = ((output | truth) & counted).sum()
    return float((output & truth & counted).sum() / union) if union else 1.0


def away_from_contour(mask: np.ndarray) -> np.ndarray:
    """Return the pixels of a mask, bool `[H,W]`, that are more than `BAND` px from its contour."""
    if mask.all() or not mask.any():
        return np.ones_like(mask)
    # The distance of each pixel to the nearest pixel of the other class.
    distance = np.where(
        mask, ndimage.distance_transform_edt(mask), ndimage.distance_transform_edt(~mask)
    )
    return distance > BAND


def aligned_delta1(output: np.ndarray, truth: np.ndarray) -> float:
    """Return delta < 1.25 of a depth map after the scale and shift that fit the truth best.

    Both are `[H,W]` in [0, 1]; the truth is NaN where it is unknown. The fit is by least squares
    (Ranftl et al., "Towards Robust Monocular Depth Estimation", 2020, but in depth and not in
    disparity).
    """
    known = np.isfinite(truth)
    output, truth = output[known], truth[known]
    terms = np.stack([output.ravel(), np.ones(output.size)], axis=1).astype(float)
    solution = np.linalg.lstsq(terms, truth.ravel(), rcond=None)[0]
    x, y = (np.maximum(values, MIN_DEPTH) for values in (terms @ solution, truth.ravel()))
    return float((np.maximum(x / y, y / x) < 1.25).mean())


def worst(results: list[Result], count: int) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the results with the lowest IoU: a title, and background, picture and masks in a row.

    Yields:
      `(title, uint8 [H,W,3])`.
    """
    for result in sorted(results, key=lambda result: result.scores["iou"])[:count]:
        masks = (255 * x[..., None].repeat(3, axis=2).astype(np.uint8) for x in result[3:5])
        row = np.concatenate([result.bg, result.bg_fg, *masks], axis=1)
        yield f"{result.name}: IoU {result.scores['iou']:.3f}", row


def _read(files: modest_layout.Files, entry: modest_layout.Entry, kind: str) -> np.ndarray:
    data, path = modest_layout.read_picture(files, entry, kind)
    return images.read(data, kind, name=path)


def _frames_with_truth(directory: pathlib.Path, frames: int) -> tuple[int, int]:
    path = directory / "temporalROI.txt"
    try:
        first, last = map(int, path.read_text().split())
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: must hold the first and last frame ({error})") from None
    if not 1 <= first <= last <= frames:
        raise InputError(f"{path}: frames {first} to {last}, but the clip has {frames}")
    return first, last


def _median_frame(paths: list[pathlib.Path]) -> np.ndarray:
    chosen = np.linspace(0, len(paths) - 1, min(BACKGROUND_FRAMES, len(paths))).round()
    frames: list[Any] = [images.read(str(paths[int(index)]), "bg") for index in chosen]
    return np.median(frames, axis=0).astype(np.uint8)


def _quotient(numerator: int, denominator: int) -> float | None:
    return numerator / denominator if denominator else None
