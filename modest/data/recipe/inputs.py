"""Read the inputs of a recipe: directories of backgrounds, cut-outs with alpha, and depth maps.

Functions take a path and return a checked array. An unusable file raises `InputError`, which names
it. `images` defines which pictures are accepted; a depth map may also have 16 or 32 bits, or be an
`.npy`, `.npz` (without pickled objects) or OpenEXR file.
"""

import pathlib
import re
from collections.abc import Sequence

import numpy as np

from modest.data import composite, images, picture_files
from modest.errors import InputError

SUFFIXES = picture_files.suffixes()
MAP_SUFFIXES = (*SUFFIXES, ".npy", ".npz", ".exr")
DUST = 16  # alpha that cannot be seen
MOST_OPAQUE = 0.98  # share of a cut-out's rectangle
MAP_MODES = ("L", "I;16", "I;16B", "I", "F")  # Pillow's modes of depth maps that can be read


def find(
    directory: str | pathlib.Path, what: str, suffixes: Sequence[str] = SUFFIXES
) -> dict[str, pathlib.Path]:
    """Return `{name without suffix: path}` of the files of a directory, sorted by name.

    Hidden files and files with other suffixes are ignored.

    Args:
      directory: the directory to list.
      what: what error messages call the files, such as "backgrounds".
      suffixes: suffixes of the files to list, in lower case.

    Raises:
      InputError: the directory does not exist or has no such file, or two files differ only in
        their suffix.
    """
    directory = pathlib.Path(directory)
    try:
        paths = picture_files.matching(directory.iterdir(), suffixes)
    except OSError as error:
        raise InputError(f"{directory}: not a directory of {what} ({error.strerror})") from None
    found: dict[str, pathlib.Path] = {}
    for path in paths:
        stem = picture_files.normal(path.stem)
        if stem in found:
            raise InputError(f"{path}: {found[stem].name} has the same name without suffix")
        found[stem] = path
    if not found:
        raise InputError(f"{directory}: contains no {what} ({', '.join(suffixes)})")
    return found


def identities(paths: Sequence[pathlib.Path], prefix: str) -> dict[str, pathlib.Path]:
    """Assign an id to every file.

    If all files are named `prefix` + digits, the names are the ids. Otherwise the files are
    numbered in order: `prefix001`, `prefix002`, ...
    """
    if all(re.fullmatch(f"{prefix}[0-9]+", path.stem) for path in paths):
        numbers = {int(path.stem.removeprefix(prefix)) for path in paths}
        if len(numbers) == len(paths):  # bg1 and bg01 would draw the same random numbers
            return {path.stem: path for path in paths}
    return {f"{prefix}{number:03}": path for number, path in enumerate(paths, 1)}


def background(path: pathlib.Path, size: int) -> np.ndarray:
    """Return the largest central square of a background, resized to uint8 `[size,size,3]`."""
    return images.resize(square(images.read(str(path), "bg")), (size, size))


def cutout(path: pathlib.Path, threshold: int = 0) -> np.ndarray:
    """Return a cut-out, uint8 `[h,w,4]`, straight alpha, cropped to the part with larger alpha.

    Args:
      path: a picture with alpha.
      threshold: alpha up to this value does not count, and becomes 0.

    Raises:
      InputError: the file is unreadable, has no alpha, or its alpha is nowhere above 127.
    """
    rgba = images.read_cutout(str(path), str(path))
    if not (rgba[..., 3] > composite.FOREGROUND).any():
        raise InputError(
            f"{path}: its alpha is never above {composite.FOREGROUND}: the figure would not be seen"
        )
    alpha = np.where(rgba[..., 3] > threshold, rgba[..., 3], 0)
    rows, columns = _extent(alpha > 0)
    return np.dstack([rgba[..., :3], alpha])[rows, columns]


def doubt(cutout: np.ndarray) -> str:
    """Return what is doubtful about the alpha of a cropped cut-out, or an empty string."""
    alpha = cutout[..., 3]
    if (alpha > composite.FOREGROUND).mean() > MOST_OPAQUE:
        share = (alpha > composite.FOREGROUND).mean()
        return f"{share:.1%} of its pixels are opaque: the whole rectangle will be pasted"
    rows, columns = _extent(alpha > DUST)
    height, width = rows.stop - rows.start, columns.stop - columns.start
    if alpha.shape[0] <= 1.02 * height + 3 and alpha.shape[1] <= 1.02 * width + 3:
        return ""
    share = ((alpha > 0) & (alpha <= DUST)).mean()
    return (
        f"{share:.1%} of its pixels have an alpha of 1 to {DUST}; they enlarge the figure from "
        f"{width} x {height} to {alpha.shape[1]} x {alpha.shape[0]} px; --alpha_threshold {DUST} "
        "leaves them out"
    )


def _extent(visible):
    """Return the slices of rows and of columns that contain every True pixel."""
    rows, columns = (np.flatnonzero(visible.any(axis)) for axis in (1, 0))
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)


def depth_map(path: pathlib.Path, unknown: Sequence[float] = ()) -> np.ndarray:
    """Return the stored values of a depth map, float32 `[h,w]`; NaN where the depth is unknown.

    Args:
      path: an array (`.npy`, or `.npz` with one array), an OpenEXR file, or a grey picture of 8, 16
        or 32 bits.
      unknown: values of pixels that were not measured, besides NaN and infinity. A JPEG has none,
        because its values are not exact.

    Raises:
      InputError: it is unreadable, or not a map of numbers.
    """
    suffix = path.suffix.lower()
    if suffix in (".npy", ".npz"):
        values = _load_array(path)
    elif suffix == ".exr":
        values = _load_exr(path)
    else:
        image = images.decode(str(path), str(path))
        if image.mode not in (*MAP_MODES, "RGB"):
            raise InputError(f"{path}: mode {image.mode}; a depth map has one channel")
        values = np.asarray(image)
        unknown = () if image.format == "JPEG" else unknown
        if image.mode == "RGB" and not np.ptp(values, axis=2).any():
            values = values[..., 0]  # grey, stored as a colour
    values = np.squeeze(values)
    if values.ndim != 2 or not values.size:
        raise InputError(f"{path}: a depth map is [height, width], not {list(values.shape)}")
    finite = np.isfinite(values)
    if not finite.any():
        raise InputError(f"{path}: none of its {values.size} values is a finite number")
    values = values.astype(np.float32)
    known = finite & ~np.isin(values, np.asarray(unknown, np.float32))
    return np.where(known, values, np.float32(np.nan))


def upright_shape(path: pathlib.Path) -> tuple[int, int]:
    """Return (height, width) of a picture after its orientation tag is applied."""
    image = images.decode(str(path), str(path))
    return image.height, image.width


def square(picture: np.ndarray) -> np.ndarray:
    """Return the largest central square of an array `[h,w,...]`."""
    side = min(picture.shape[:2])
    y, x = ((length - side) // 2 for length in picture.shape[:2])
    return picture[y : y + side, x : x + side]


def _load_array(path):
    try:
        values = np.load(path, allow_pickle=False)
        if isinstance(values, np.lib.npyio.NpzFile):
            with values as archive:
                values = archive[archive.files[0]] if len(archive.files) == 1 else None
    except Exception as error:  # NumPy, zipfile and zlib raise many kinds for damaged files
        raise InputError(f"{path}: cannot be read as an array ({error})") from None
    if not isinstance(values, np.ndarray) or values.dtype.kind not in "iuf":
        raise InputError(f"{path}: not a single array of numbers")
    return values


def _load_exr(path):
    try:
        import OpenEXR  # optional
    except ImportError:
        raise InputError(f"{path}: OpenEXR files need `pip install OpenEXR`") from None
    try:
        channels = list(OpenEXR.File(str(path)).channels().values())
    except Exception as error:  # the library raises RuntimeError and others
        raise InputError(f"{path}: cannot be read as OpenEXR ({error})") from None
    if len(channels) != 1:
        raise InputError(f"{path}: {len(channels)} channels; a depth map has one")
    return channels[0].pixels
