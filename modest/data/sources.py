"""What the recipe starts from: directories of pictures, backgrounds, cut-outs with alpha, and depth maps made elsewhere.

A path goes in and a checked array comes out; whatever cannot be used is an `InputError` that names the file. `pictures.py` says
which pictures can; a depth map may have 16 bits, and is also read from `.npy` (never pickled).
"""

import pathlib
import re

import numpy as np

from modest import pictures
from modest.data import compose
from modest.vocabulary import InputError

SUFFIXES = (".jpeg", ".jpg", ".png")
MAP_SUFFIXES = (*SUFFIXES, ".npy")
MAP_MODES = ("L", "I;16", "I;16B", "I")


def find(directory, what, suffixes=SUFFIXES):
    """The files of a directory by stem, in the order of their names; hidden files and other suffixes are passed over.

    Raises:
      InputError: no such directory, nothing in it, or two files with one stem. `what` is the word for them in its message.
    """
    directory = pathlib.Path(directory)
    try:
        paths = sorted(path for path in directory.iterdir() if path.suffix.lower() in suffixes and path.name[0] != ".")
    except OSError as error:
        raise InputError(f"{directory}: not a directory of {what} ({error.strerror})") from None
    found = {}
    for path in paths:
        if path.stem in found:
            raise InputError(f"{path}: {found[path.stem].name} has the same name without suffix")
        found[path.stem] = path
    if not found:
        raise InputError(f"{directory}: holds no {what} ({', '.join(suffixes)})")
    return found


def identities(paths, prefix):
    """{id: path}: files called `prefix` and digits keep their names if all are; else all are numbered `prefix001`... in order."""
    if all(re.fullmatch(f"{prefix}[0-9]+", path.stem) for path in paths):
        numbers = {int(path.stem.removeprefix(prefix)) for path in paths}
        if len(numbers) == len(paths):  # bg1 and bg01 would draw the same random numbers
            return {path.stem: path for path in paths}
    return {f"{prefix}{number:03}": path for number, path in enumerate(paths, 1)}


def background(path, size):
    """uint8 [size, size, 3]: the largest square in the middle of the picture, resized."""
    return pictures.resize(square(pictures.read(path, "bg")), (size, size))


def cutout(path):
    """uint8 [h, w, 4] with straight alpha, cropped to where alpha is not 0."""
    rgba = pictures.read_cutout(path, path)
    if not (rgba[..., 3] > compose.FOREGROUND).any():
        raise InputError(f"{path}: its alpha is nowhere above {compose.FOREGROUND}: nothing would be seen of it")
    rows, columns = (np.flatnonzero(rgba[..., 3].any(axis)) for axis in (1, 0))
    return rgba[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def depth_map(path):
    """float32 [h, w] of finite values as they are stored: `.npy`, or a grey PNG or JPEG of 8 or 16 bits."""
    if path.suffix.lower() == ".npy":
        try:
            values = np.load(path, allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise InputError(f"{path}: cannot be read as an array ({error})") from None
        if not isinstance(values, np.ndarray) or values.dtype.kind not in "iuf":
            raise InputError(f"{path}: not one array of numbers")
    else:
        image = pictures.decode(path, path)
        if image.mode not in MAP_MODES:
            raise InputError(f"{path}: mode {image.mode}; a depth map has one channel of 8 or 16 bits")
        values = np.asarray(image)
    values = np.squeeze(values).astype(np.float32)
    if values.ndim != 2 or not values.size or not np.isfinite(values).all():
        raise InputError(f"{path}: a depth map is [height, width] finite numbers, not {list(values.shape)}")
    return values


def upright_shape(path):
    """(height, width) of a picture as it is seen."""
    image = pictures.decode(path, path)
    return image.height, image.width


def square(picture):
    """The largest square in the middle of an array [h, w, ...]."""
    side = min(picture.shape[:2])
    y, x = ((length - side) // 2 for length in picture.shape[:2])
    return picture[y : y + side, x : x + side]
