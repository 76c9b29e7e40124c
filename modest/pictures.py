"""Reading pictures: encoded bytes or a path in, a checked uint8 array of the wanted size out. All decoding happens here.

What becomes of each kind of picture:

    JPEG or PNG of 8 bits: grey, colour, palette, CMYK,          used, as the kind's channels (alpha is dropped: the colours below
    1 bit, with or without alpha; progressive; either suffix     transparent pixels show)
    turned by a camera's orientation tag                         used, upright
    colour, or grey with alpha, of 16 bits                       used, the lower 8 bits dropped (Pillow's doing)
    grey of 16 bits                                              refused: which 8 of them to keep would be a guess
    truncated, empty, damaged, another format, not a picture     refused
    more than 4096 x 4096 pixels                                 refused
"""

import io
import struct
import warnings

import numpy as np
import simplejpeg
from PIL import Image, ImageOps

from modest.vocabulary import CHANNELS, InputError

FORMATS = ("JPEG", "PNG")
MAX_PIXELS = 4096**2
# Pillow warns of large pictures, which are refused below, and of damaged metadata, of which only the orientation is used.
warnings.filterwarnings("ignore", module="PIL")
EIGHT_BITS = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr")  # Pillow's modes


def read(source, kind, size=None, name=None):
    """Decodes one picture: uint8 `[H,W,C]`, C = 3 for `bg` and `bg_fg` (RGB) and 1 for `mask` and `depth`.

    Args:
      source: a path, or the encoded bytes.
      kind: `bg`, `bg_fg`, `mask` or `depth`.
      size: (height, width) to resize to, by area averaging when smaller; None keeps the picture's own size.
      name: what an error calls the picture; the path by default.

    Raises:
      InputError: the picture cannot be used; see above.
    """
    if size is not None and isinstance(source, bytes):
        picture = _decode_small(source, CHANNELS[kind], size)
        if picture is not None:
            return resize(picture, size)
    name = name or (source if not isinstance(source, bytes) else f"a {kind} picture")
    mode = "RGB" if CHANNELS[kind] == 3 else "L"
    image = decode(source, name, mode, size)
    if image.mode not in EIGHT_BITS:
        raise InputError(f"{name}: mode {image.mode}; a picture has 8 bits a channel")
    if image.mode in ("P", "PA"):
        image = image.convert("RGBA")  # a palette may have alpha, which Pillow warns of where it is dropped unseen
    return np.atleast_3d(np.asarray(_resize(image.convert(mode), size)))


def read_cutout(source, name):
    """A picture with alpha, a path or encoded bytes: uint8 `[H,W,4]`, straight alpha.

    Raises:
      InputError: it cannot be used, or has no alpha.
    """
    image = decode(source, name)
    if image.mode not in ("RGBA", "LA", "PA") and "transparency" not in image.info:
        raise InputError(f"{name}: has no alpha channel; a cut-out is a PNG with alpha")
    return np.asarray(image.convert("RGBA"))


def _decode_small(data, channels, size):
    """A plain JPEG as uint8 `[H,W,channels]`, at the least n/8 of its size that is not below the wanted one; None of all others.

    Twice as fast as Pillow, which knows only halves, and on two threads more than that. Whatever is not plain, and what goes wrong,
    is for `decode` to see to.
    """
    if not data.startswith(b"\xff\xd8") or b"Exif\0\0" in data:  # an orientation may be in it
        return None
    try:
        height, width, *_ = simplejpeg.decode_jpeg_header(data)
        if height * width > MAX_PIXELS:
            return None
        least = {"min_height": size[0], "min_width": size[1], "min_factor": 1}
        return simplejpeg.decode_jpeg(data, "RGB" if channels == 3 else "GRAY", **least)
    except ValueError:
        return None


def decode(source, name, mode=None, size=None):
    """The decoded Pillow image of a path or of encoded bytes, upright.

    With `mode` and `size`, (height, width), a JPEG is decoded in that mode at 1/2, 1/4 or 1/8 of its size where that is not below
    the wanted one, which is faster.

    Raises:
      InputError: missing, truncated, not a JPEG or PNG, or more than 4096 x 4096 pixels.
    """
    try:
        with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source, formats=FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                raise InputError(f"{name}: {image.width} x {image.height} pixels; at most {MAX_PIXELS} are read")
            if size is not None:
                image.draft(mode, 2 * (max(size),))
            image.load()
            ImageOps.exif_transpose(image, in_place=True)
            return image
    except FileNotFoundError:
        raise InputError(f"{name}: no such picture") from None
    except (OSError, SyntaxError, ValueError, struct.error, Image.DecompressionBombError) as error:
        raise InputError(f"{name}: cannot be read as a JPEG or PNG ({error})") from None


def resize(picture, size):
    """uint8 `[H,W,C]` -> uint8 `[*size,C]`; smaller by area averaging (Pillow's reducing bilinear), larger bilinear."""
    if size is None or picture.shape[:2] == tuple(size):
        return picture
    image = Image.fromarray(picture[..., 0] if picture.shape[-1] == 1 else picture)
    return np.atleast_3d(np.asarray(_resize(image, size)))


def _resize(image, size):
    """`resize` of a Pillow image."""
    return (
        image if size is None or image.size == (size[1], size[0]) else image.resize((size[1], size[0]), Image.Resampling.BILINEAR)
    )
