"""Channel means and standard deviations of a directory in the MODEST layout, kind by kind, exact, one picture at a time.

Every picture of a kind's directory counts once, a background too, however many composites stand on it. Values are grey levels / 255
as they are stored (a mask's soft edges are not cut at 0.5); RGB order; the deviation is the population's over all pixels.
"""

import pathlib

import numpy as np
import tqdm

from modest import pictures
from modest.data import folder
from modest.vocabulary import CHANNELS, InputError


def levels(picture):
    """How often each grey level occurs in each channel of uint8 `[H,W,C]`: int64 `[C,256]`, which sums exactly in any order."""
    return np.stack([np.bincount(picture[..., channel].ravel(), minlength=256) for channel in range(picture.shape[-1])])


def moments(counts):
    """Mean and standard deviation in [0, 1] by channel, of summed `levels`: `{"mean": [C], "std": [C]}`."""
    values, total = np.arange(256) / 255, counts.sum(axis=1)
    mean = counts @ values / total
    variance = (counts * (values - mean[:, None]) ** 2).sum(axis=1) / total
    return {"mean": mean.tolist(), "std": np.sqrt(variance).tolist()}


def measure(directory):
    """{kind: {"pictures": count, "mean": [C], "std": [C]}} of the kinds of `folder.DIRECTORIES` that have pictures.

    Raises:
      InputError: no kind has any, or a picture cannot be read.
    """
    measured = {kind: _of_kind(pathlib.Path(directory) / name, kind) for kind, name in folder.DIRECTORIES.items()}
    measured = {kind: values for kind, values in measured.items() if values}
    if not measured:
        raise InputError(f"{directory}: has no pictures in {', '.join(folder.DIRECTORIES.values())}")
    return measured


def table(measured):
    """What `measure` found, as lines of text."""
    join = lambda values: " ".join(f"{value:.5f}" for value in values)
    return "\n".join(
        f"{kind:6} {values['pictures']:8} pictures   mean {join(values['mean']):24} std {join(values['std'])}"
        for kind, values in measured.items()
    )


def _of_kind(directory, kind):
    paths = sorted(path for path in directory.glob("*") if path.suffix in folder.SUFFIXES and path.name[0] != ".")
    if not paths:
        return None
    counts = np.zeros((CHANNELS[kind], 256), np.int64)
    for path in tqdm.tqdm(paths, kind, disable=None, leave=False):
        counts += levels(pictures.read(str(path), kind))
    return {"pictures": len(paths)} | moments(counts)
