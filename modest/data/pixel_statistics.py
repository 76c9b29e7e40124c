"""Exact channel means and standard deviations of the pictures of a directory in the MODEST layout.

Every picture of a directory counts once, also a background that many composites share. Values are
the stored grey levels / 255; soft edges of masks are not thresholded. Channels are in RGB order.
The standard deviation is over all pixels, divided by N and not by N - 1. Pictures are read one at a
time.
"""

import os
import pathlib
from typing import Any

import numpy as np
import tqdm

from modest.constants import CHANNELS
from modest.data import images, modest_layout, picture_files
from modest.errors import InputError


def levels(picture: np.ndarray) -> np.ndarray:
    """Count the grey levels of each channel.

    The counts of several pictures can be summed exactly in any order.

    Args:
      picture: uint8 `[H,W,C]`.

    Returns:
      int64 `[C,256]`.
    """
    channels = range(picture.shape[-1])
    return np.stack([np.bincount(picture[..., c].ravel(), minlength=256) for c in channels])


def moments(counts: np.ndarray) -> dict[str, list[float]]:
    """Return mean and standard deviation per channel.

    Args:
      counts: the `levels` of one picture, or a sum of several, `[C,256]`.

    Returns:
      `{"mean": [C], "std": [C]}`, in [0, 1].
    """
    values, total = np.arange(256) / 255, counts.sum(axis=1)
    mean = counts @ values / total
    variance = (counts * (values - mean[:, None]) ** 2).sum(axis=1) / total
    return {"mean": mean.tolist(), "std": np.sqrt(variance).tolist()}


def measure(directory: str | os.PathLike[str]) -> dict[str, dict[str, Any]]:
    """Measure every kind of picture (see `modest_layout.DIRECTORIES`) that the directory has.

    Args:
      directory: root of the data set.

    Returns:
      `{kind: {"pictures": count, "mean": [C], "std": [C]}}`.

    Raises:
      InputError: there are no pictures, or one cannot be read.
    """
    measured = {}
    for kind, name in modest_layout.DIRECTORIES.items():
        statistics = _measure_kind(pathlib.Path(directory) / name, kind)
        if statistics:
            measured[kind] = statistics
    if not measured:
        names = ", ".join(modest_layout.DIRECTORIES.values())
        raise InputError(f"{directory}: has no pictures in {names}")
    return measured


def table(measured: dict[str, dict[str, Any]]) -> str:
    """Format the result of `measure` as lines of text."""
    lines = []
    for kind, values in measured.items():
        mean, std = (" ".join(f"{x:.5f}" for x in values[key]) for key in ("mean", "std"))
        lines.append(f"{kind:6} {values['pictures']:8} pictures   mean {mean:24} std {std}")
    return "\n".join(lines)


def _measure_kind(directory: pathlib.Path, kind: str) -> dict[str, Any] | None:
    paths = picture_files.matching(directory.glob("*"), picture_files.suffixes())
    if not paths:
        return None
    counts = np.zeros((CHANNELS[kind], 256), np.int64)
    for path in tqdm.tqdm(paths, kind, disable=None, leave=False):
        counts += levels(images.read(str(path), kind))
    return {"pictures": len(paths), **moments(counts)}
