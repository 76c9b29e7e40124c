"""What the recipe starts from: directories of pictures, backgrounds, cut-outs with alpha, and depth maps made elsewhere.

A path goes in and a checked array comes out; whatever cannot be used is an `InputError` that names the file. JPEG and PNG are read,
a depth map also from `.npy` (never pickled). A camera's orientation tag is applied to every picture.
"""

import pathlib
import re
import struct
import warnings

import numpy as np
from PIL import Image, ImageOps

from modest import pictures
from modest.data import compose
from modest.vocabulary import InputError

SUFFIXES = (".jpeg", ".jpg", ".png")
MAP_SUFFIXES = (*SUFFIXES, ".npy")
COLOUR_MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr")  # all of 8 bits; 16 bits would be cut off, not scaled
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
    image = _open(path)
    if image.mode not in COLOUR_MODES:
        raise InputError(f"{path}: mode {image.mode}; a background is an 8-bit picture")
    image = image.convert("RGBA").convert("RGB") if image.mode in ("P", "PA") else image.convert("RGB")
    return pictures.resize(square(np.asarray(image)), (size, size))


def cutout(path):
    """uint8 [h, w, 4] with straight alpha, cropped to where alpha is not 0."""
    image = _open(path)
    if image.mode not in ("RGBA", "LA", "PA") and "transparency" not in image.info:
        raise InputError(f"{path}: has no alpha channel; a cut-out is a PNG with alpha")
    rgba = np.asarray(image.convert("RGBA"))
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
        image = _open(path)
        if image.mode not in MAP_MODES:
            raise InputError(f"{path}: mode {image.mode}; a depth map has one channel of 8 or 16 bits")
        values = np.asarray(image)
    values = np.squeeze(values).astype(np.float32)
    if values.ndim != 2 or not values.size or not np.isfinite(values).all():
        raise InputError(f"{path}: a depth map is [height, width] finite numbers, not {list(values.shape)}")
    return values


def upright_shape(path):
    """(height, width) of a picture as it is seen."""
    image = _open(path)
    return image.height, image.width


def square(picture):
    """The largest square in the middle of an array [h, w, ...]."""
    side = min(picture.shape[:2])
    y, x = ((length - side) // 2 for length in picture.shape[:2])
    return picture[y : y + side, x : x + side]


def _open(path):
    """The decoded Pillow image, upright."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path, formats=pictures.FORMATS) as image:
                if image.width * image.height > pictures.MAX_PIXELS:
                    raise InputError(f"{path}: {image.width} x {image.height} pixels; at most {pictures.MAX_PIXELS} are read")
                image.load()
                return ImageOps.exif_transpose(image)
    except (OSError, SyntaxError, ValueError, struct.error, Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise InputError(f"{path}: cannot be read as a JPEG or PNG ({error})") from None
