"""Read and write pictures. All decoding happens here, and every reader returns uint8 arrays.

What happens to each kind of picture:

    JPEG or PNG with 8 bits per channel: grey, colour,     converted to the channels of its kind
    palette, CMYK or 1 bit; with or without alpha;         (alpha is dropped, so the colours below
    progressive; with either suffix                        transparent pixels show)
    rotated by an EXIF orientation tag                     rotated upright
    16 bits, colour or grey with alpha                     used; Pillow drops the lower 8 bits
    16 bits, grey                                          refused: it is not known which 8 bits to
                                                           keep
    truncated, empty, damaged, any other format            refused
    more than 4096 x 4096 pixels                           refused
"""

import io
import struct
import zlib

import numpy as np
import simplejpeg
from PIL import Image, ImageOps

from modest.constants import CHANNELS
from modest.errors import InputError

FORMATS = ("JPEG", "PNG")
MAX_PIXELS = 4096**2
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
        raise InputError(f"{name}: mode {image.mode}; a picture must have 8 bits per channel")
    if image.mode in ("P", "PA"):
        image = image.convert("RGBA")  # Pillow warns if a palette's alpha is dropped directly
    return np.atleast_3d(np.asarray(_resize(image.convert(mode), size)))


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
      InputError: the file is missing, truncated, neither JPEG nor PNG, or has more than
        4096 x 4096 pixels.
    """
    file = io.BytesIO(source) if isinstance(source, bytes) else source
    try:
        with Image.open(file, formats=FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                raise InputError(
                    f"{name}: {image.width} x {image.height} pixels; at most {MAX_PIXELS} are read"
                )
            if size is not None:
                image.draft(mode, 2 * (max(size),))
            image.load()
            ImageOps.exif_transpose(image, in_place=True)
            return image
    except FileNotFoundError:
        raise InputError(f"{name}: no such picture") from None
    except (OSError, SyntaxError, ValueError, struct.error, Image.DecompressionBombError) as error:
        raise InputError(f"{name}: cannot be read as a JPEG or PNG ({error})") from None


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


def check_same_size(bg: np.ndarray, bg_fg: np.ndarray, name: str = "") -> None:
    """Check that two pictures have the same shape, so that they can show the same view.

    Args:
      bg: the background, `[H,W,C]`.
      bg_fg: the picture with a foreground, `[H,W,C]`.
      name: what the error message calls `bg_fg`.

    Raises:
      InputError: the shapes differ.
    """
    if bg.shape != bg_fg.shape:
        both = f"--bg and --bg_fg {name}".strip()
        sizes = " and ".join(f"{x.shape[1]} x {x.shape[0]}" for x in (bg, bg_fg))
        raise InputError(f"{both} differ in size ({sizes} px); they must show the same view")


def _decode_reduced(data: bytes, channels: int, size: tuple[int, int]) -> np.ndarray | None:
    """Decode a plain JPEG at the smallest n/8 of its size that is not below `size`.

    This is twice as fast as Pillow, which decodes only at 1/2, 1/4 and 1/8, and faster still on two
    threads.

    Returns:
      uint8 `[H,W,channels]`; or None if the picture is not a plain JPEG or cannot be decoded. The
      caller then uses `decode`.
    """
    if not data.startswith(b"\xff\xd8") or b"Exif\0\0" in data:  # EXIF may hold an orientation
        return None
    try:
        height, width, *_ = simplejpeg.decode_jpeg_header(data)
        if height * width > MAX_PIXELS:
            return None
        least = {"min_height": size[0], "min_width": size[1], "min_factor": 1}
        return simplejpeg.decode_jpeg(data, "RGB" if channels == 3 else "GRAY", **least)
    except ValueError:
        return None


def _resize(image: Image.Image, size: tuple[int, int] | None) -> Image.Image:
    """Resize a Pillow image to (height, width); `None` returns the image unchanged."""
    if size is None or image.size == (size[1], size[0]):
        return image
    return image.resize((size[1], size[0]), Image.Resampling.BILINEAR)
