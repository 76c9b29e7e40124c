"""Read and write pictures. All decoding happens here, and every reader returns uint8 arrays.

What happens to each kind of picture:

    JPEG, PNG, WebP, BMP, TIFF with 8 bits per channel:    converted to the channels of its kind
    grey, colour, palette, CMYK or 1 bit; with or          (alpha is dropped, so the colours below
    without alpha; progressive; with any of their          transparent pixels show)
    suffixes
    AVIF; HEIC if pillow-heif is installed                 likewise
    turned or mirrored, by EXIF or XMP                     turned upright, see `orientation.py`
    16 bits, colour or grey with alpha                     used; Pillow drops the lower 8 bits
    16 bits, grey                                          refused: it is not known which 8 bits to
                                                           keep
    truncated, empty, damaged, any other format            refused
    more than 178,956,970 pixels                           refused; MODEST_MAX_PIXELS sets the limit
    more than 67 million pixels, and 2000 or more for      refused, as no photograph
    each byte of the file (16,000 with 1 bit per pixel)
"""

import io
import os
import pathlib
import struct
import zlib
from collections.abc import Iterable

import numpy as np
import simplejpeg
from PIL import Image, UnidentifiedImageError, features

from modest.constants import CHANNELS
from modest.data import orientation
from modest.errors import InputError

FORMATS = {  # Pillow's name of each format that is read -> its suffixes
    "JPEG": (".jpeg", ".jpg", ".jfif"),
    "PNG": (".png",),
    "BMP": (".bmp",),
    "TIFF": (".tif", ".tiff"),
}
if features.check("webp"):
    FORMATS["WEBP"] = (".webp",)
if features.check("avif"):
    FORMATS["AVIF"] = (".avif",)
try:
    import pillow_heif

    pillow_heif.register_heif_opener()
    FORMATS["HEIF"] = (".heic", ".heif")
except ImportError:
    pass  # an optional package

MIN_SIDE = 8  # px, of a picture to predict
MAX_PIXELS = 178_956_970  # what Pillow reads by default
MAX_PIXELS_VARIABLE = "MODEST_MAX_PIXELS"  # in the environment, so that worker processes have it
PLAUSIBLE_PIXELS, MAX_PIXELS_PER_BYTE = 2**26, 2000  # a larger picture needs this many bytes
NEUTRAL = 48  # largest difference of the channels of a grey pixel; JPEG changes colours
EIGHT_BITS = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr")  # Pillow's modes


def read(
    source: str | bytes, kind: str, size: tuple[int, int] | None = None, name: str | None = None
) -> np.ndarray:
    """Decode one picture.

    Args:
      source: a path, or the encoded bytes.
      kind: `bg`, `bg_fg`, `mask` or `depth`.
      size: (height, width) to resize to as `resize` does; None keeps the picture's own size.
      name: what error messages call the picture; the path by default.

    Returns:
      uint8 `[H,W,C]`, with C = 3 (RGB) for `bg` and `bg_fg` and C = 1 for `mask` and `depth`.

    Raises:
      InputError: the picture cannot be used; see the table at the top of this module.
    """
    if size is not None and isinstance(source, bytes):
        picture = _decode_reduced(source, CHANNELS[kind], size)
        if picture is not None:
            return resize(picture, size)
    name = name or (source if not isinstance(source, bytes) else f"a {kind} picture")
    mode = "RGB" if CHANNELS[kind] == 3 else "L"
    image = decode(source, name, mode, size)
    if image.mode not in EIGHT_BITS:
        raise InputError(
            f"{name}: mode {image.mode}; a picture must have 8 bits per channel: convert it, for "
            "example to an 8-bit PNG"
        )
    if image.mode in ("P", "PA"):
        image = image.convert("RGBA")  # Pillow warns if a palette's alpha is dropped directly
    return np.atleast_3d(np.asarray(_resize(image.convert(mode), size)))


def read_depth(
    source: bytes, unknown: int, size: tuple[int, int] | None = None, name: str = "a depth picture"
) -> tuple[np.ndarray, np.ndarray]:
    """Decode a depth map in which a grey level means that the depth is unknown.

    Resizing averages the known pixels only. A pixel of the result is known if at least half of its
    area is. In a JPEG no level is exact, so that all of its pixels are known.

    Args:
      source: the encoded bytes.
      unknown: the grey level of unknown pixels; -1 if there is none.
      size: (height, width) to resize to; None keeps the size of the map.
      name: what error messages call the map.

    Returns:
      The depth, uint8 `[H,W,1]`; and uint8 `[H,W,1]`, 255 where it is known and 0 elsewhere.

    Raises:
      InputError: see `read`.
    """
    is_jpeg = source.startswith(b"\xff\xd8")
    depth = read(source, "depth", size if is_jpeg else None, name)
    known = np.full(depth.shape, True) if is_jpeg else depth != unknown
    if known.all():
        return resize(depth, size), np.full((*(size or depth.shape[:2]), 1), 255, np.uint8)
    averaged, share = average_known(depth[..., 0].astype(np.float32), known[..., 0], size)
    valid = share >= 0.5
    filled = np.where(valid, np.round(averaged), 0)
    return filled.astype(np.uint8)[..., None], np.where(valid, 255, 0).astype(np.uint8)[..., None]


def average_known(
    values: np.ndarray, known: np.ndarray, size: tuple[int, int] | None
) -> tuple[np.ndarray, np.ndarray]:
    """Resize an array, and average only its known values.

    Args:
      values: float32 `[h,w]`.
      known: bool `[h,w]`.
      size: (height, width) of the result; None keeps the size.

    Returns:
      The averages, float32 `[H,W]`, 0 where nothing is known; and the share that is known.
    """
    planes = np.where(known, values, 0).astype(np.float32), known.astype(np.float32)
    total, share = (np.asarray(_resize(Image.fromarray(plane), size)) for plane in planes)
    return np.where(share > 0, total / np.maximum(share, 1e-6), 0), share


def read_cutout(source: str | bytes, name: str) -> np.ndarray:
    """Decode a picture with alpha.

    Args:
      source: a path, or the encoded bytes.
      name: what error messages call the picture.

    Returns:
      uint8 `[H,W,4]`, RGB and straight (not premultiplied) alpha.

    Raises:
      InputError: the picture cannot be used, or has no alpha.
    """
    image = decode(source, name)
    if image.mode not in ("RGBA", "LA", "PA") and "transparency" not in image.info:
        raise InputError(f"{name}: has no alpha channel; a cut-out is a PNG with alpha")
    return np.asarray(image.convert("RGBA"))


def decode(
    source: str | bytes, name: str, mode: str | None = None, size: tuple[int, int] | None = None
) -> Image.Image:
    """Decode a picture to an upright Pillow image.

    Args:
      source: a path, or the encoded bytes.
      name: what error messages call the picture.
      mode: Pillow mode in which to decode a JPEG; used only together with `size`.
      size: (height, width) that the caller will resize to. A JPEG is then decoded at 1/2, 1/4 or
        1/8 of its size if that is not smaller than `size`, which is faster.

    Raises:
      InputError: the file is missing, truncated, in none of the `FORMATS`, or too large; see the
        table at the top of this module.
    """
    file = io.BytesIO(source) if isinstance(source, bytes) else source
    limit = max_pixels()
    if limit > MAX_PIXELS:
        Image.MAX_IMAGE_PIXELS = None  # the user has raised the limit for this process
    try:
        with Image.open(file, formats=tuple(FORMATS)) as image:
            pixels = image.width * image.height
            if pixels > limit:
                raise InputError(f"{name}: {image.width} x {image.height} pixels; {_advice(limit)}")
            if pixels > PLAUSIBLE_PIXELS:
                count = len(source) if isinstance(source, bytes) else os.path.getsize(source)
                per_byte = MAX_PIXELS_PER_BYTE * (8 if image.mode == "1" else 1)
                if pixels > per_byte * count:
                    raise InputError(f"{name}: {pixels} pixels in {count} bytes are no photograph")
            if size is not None:
                image.draft(mode, 2 * (max(size),))
            elif image.format == "PNG":  # with `size`, it is in a shard, which has checksums
                _check_sums(source)
            image.load()
            return orientation.upright(image)
    except Image.DecompressionBombError:
        raise InputError(f"{name}: too large; {_advice(limit)}") from None
    except FileNotFoundError:
        raise InputError(f"{name}: no such picture") from None
    except (OSError, SyntaxError, ValueError, struct.error, RuntimeError) as error:
        reason = _reason(source, error)
        raise InputError(f"{name}: cannot be read as a picture ({reason})") from None


def missing_package(paths: Iterable[str | os.PathLike[str]]) -> str:
    """Return which package must be installed to read HEIC, if there is one; otherwise nothing."""
    suffixes = {pathlib.Path(path).suffix.lower() for path in paths}
    if suffixes & {".heic", ".heif"} and "HEIF" not in FORMATS:
        return "HEIC needs `pip install pillow-heif`"
    return ""


def is_coloured(source: bytes) -> bool:
    """Return whether a picture, which `read` has accepted, has pixels that are clearly not grey."""
    with Image.open(io.BytesIO(source), formats=tuple(FORMATS)) as image:
        if image.mode in ("1", "L", "LA"):  # known without decoding
            return False
        return bool(np.ptp(np.asarray(image.convert("RGB")), axis=-1).max() > NEUTRAL)


def is_grey(picture: np.ndarray) -> bool:
    """Return whether all channels of a picture, uint8 `[H,W,3]`, are the same."""
    few = picture[::16, ::16]  # nearly always enough to see colour
    return all(bool((part == part[..., :1]).all()) for part in (few, picture))


def to_grey(picture: np.ndarray) -> np.ndarray:
    """Return a picture, uint8 `[H,W,3]`, with its luma (ITU-R BT.601) in all channels."""
    return np.asarray(Image.fromarray(picture).convert("L").convert("RGB"))


def max_pixels() -> int:
    """Return the largest number of pixels of a picture that is read.

    Raises:
      InputError: the environment variable does not hold a number above 0.
    """
    text = os.environ.get(MAX_PIXELS_VARIABLE, str(MAX_PIXELS))
    if not text.isdecimal() or not int(text):
        raise InputError(f"{MAX_PIXELS_VARIABLE}={text}: must be a whole number above 0")
    return int(text)


def resize(picture: np.ndarray, size: tuple[int, int] | None) -> np.ndarray:
    """Resize uint8 `[H,W,C]` to uint8 `[*size,C]`; `None` returns the picture unchanged.

    Uses Pillow's bilinear filter, which averages over areas when it reduces a picture.
    """
    if size is None or picture.shape[:2] == tuple(size):
        return picture
    image = Image.fromarray(picture[..., 0] if picture.shape[-1] == 1 else picture)
    return np.atleast_3d(np.asarray(_resize(image, size)))


def encode_picture(picture: np.ndarray, jpeg_quality: int) -> bytes:
    """Encode uint8 `[H,W,3]` as a JPEG of quality 1..100, or as a PNG if the quality is 0.

    A PNG may also have four channels, RGBA.
    """
    stream = io.BytesIO()
    if jpeg_quality:
        Image.fromarray(picture).save(stream, "JPEG", quality=jpeg_quality)
    else:
        Image.fromarray(picture).save(stream, "PNG")
    return stream.getvalue()


def encode_grey(grey: np.ndarray) -> bytes:
    """Encode uint8 `[H,W]` as a PNG.

    For masks and depth maps, run-length compression is faster than Pillow's default compression,
    and gives smaller files.
    """
    stream = io.BytesIO()
    Image.fromarray(grey).save(stream, "PNG", compress_type=zlib.Z_RLE)
    return stream.getvalue()


def check_picture(picture: object, what: str) -> None:
    """Check that an object of a caller is a picture, as `read` returns it.

    Args:
      picture: anything.
      what: what the error message calls it.

    Raises:
      InputError: it is no uint8 array `[H,W,3]`.
    """
    found = f"a {type(picture).__name__}"
    if isinstance(picture, np.ndarray):
        if picture.dtype == np.uint8 and picture.ndim == 3 and picture.shape[2] == 3:
            return
        found = f"{picture.dtype} {list(picture.shape)}"
    raise InputError(f"{what}: {found}; a picture is a uint8 array [H,W,3], see images.read")


def check_pair(bg: np.ndarray, bg_fg: np.ndarray, name: str = "") -> None:
    """Check two pictures: their dtype, that they have one shape, and that it is large enough.

    Args:
      bg: the background, uint8 `[H,W,3]`.
      bg_fg: the picture with a foreground, uint8 `[H,W,3]`.
      name: what the error message calls `bg_fg`.

    Raises:
      InputError: one is no such array, the shapes differ, or a side is shorter than `MIN_SIDE`.
    """
    check_picture(bg, "bg")
    check_picture(bg_fg, f"bg_fg {name}".strip())
    if bg.shape != bg_fg.shape:
        both = f"--bg and --bg_fg {name}".strip()
        sizes = " and ".join(f"{x.shape[1]} x {x.shape[0]}" for x in (bg, bg_fg))
        raise InputError(f"{both} differ in size ({sizes} px); they must show the same view")
    if min(bg.shape[:2]) < MIN_SIDE:
        size = f"{bg.shape[1]} x {bg.shape[0]}"
        raise InputError(f"{name or '--bg'}: {size} px; a side has at least {MIN_SIDE} px")


def _decode_reduced(data: bytes, channels: int, size: tuple[int, int]) -> np.ndarray | None:
    """Decode a plain JPEG at the smallest n/8 of its size that is not below `size`.

    This is twice as fast as Pillow, which decodes only at 1/2, 1/4 and 1/8, and faster still on two
    threads.

    Returns:
      uint8 `[H,W,channels]`; or None if the picture is not a plain JPEG or cannot be decoded. The
      caller then uses `decode`.
    """
    if not data.startswith(b"\xff\xd8") or orientation.may_be_turned(data):
        return None
    try:
        height, width, *_ = simplejpeg.decode_jpeg_header(data)
        if height * width > PLAUSIBLE_PIXELS:  # `decode` checks larger ones
            return None
        least = {"min_height": size[0], "min_width": size[1], "min_factor": 1}
        return simplejpeg.decode_jpeg(data, "RGB" if channels == 3 else "GRAY", **least)
    except ValueError:
        return None


def _check_sums(png: str | bytes) -> None:
    """Raise `SyntaxError` if a checksum of a PNG is wrong. Pillow decodes it all the same."""
    with Image.open(io.BytesIO(png) if isinstance(png, bytes) else png) as image:
        image.verify()


def _reason(source, error):
    """Return why a picture cannot be read; for HEIC, which package reads it."""
    missing = missing_package([] if isinstance(source, bytes) else [source])
    if not missing and isinstance(error, UnidentifiedImageError):
        return "in none of the formats that are read"  # the error's text has an address in memory
    return missing or error


def _advice(limit):
    return f"at most {limit} are read; raise the limit by --max_pixels or {MAX_PIXELS_VARIABLE}"


def _resize(image: Image.Image, size: tuple[int, int] | None) -> Image.Image:
    """Resize a Pillow image to (height, width); `None` returns the image unchanged."""
    if size is None or image.size == (size[1], size[0]):
        return image
    return image.resize((size[1], size[0]), Image.Resampling.BILINEAR)
