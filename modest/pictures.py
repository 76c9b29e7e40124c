"""Reading pictures: encoded bytes or a path in, a checked uint8 array of the wanted size out. All decoding happens here."""

import io
import warnings

import numpy as np
from PIL import Image

from modest.vocabulary import CHANNELS, InputError

FORMATS = ("JPEG", "PNG")
MAX_PIXELS = 4096**2


def read(source, kind, size=None, name=None):
    """Decodes one picture: uint8 `[H,W,C]`, C = 3 for `bg` and `bg_fg` (RGB) and 1 for `mask` and `depth`.

    Args:
      source: a path, or the encoded bytes.
      kind: `bg`, `bg_fg`, `mask` or `depth`.
      size: (height, width) to resize to, by area averaging when smaller; None keeps the picture's own size.
      name: what an error calls the picture; the path by default.

    Raises:
      InputError: missing, truncated, not a JPEG or PNG, or more than 4096 x 4096 pixels.
    """
    name = name or (source if not isinstance(source, bytes) else f"a {kind} picture")
    mode = "RGB" if CHANNELS[kind] == 3 else "L"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source, formats=FORMATS) as image:
                if image.width * image.height > MAX_PIXELS:
                    raise InputError(f"{name}: {image.width} x {image.height} pixels; at most {MAX_PIXELS} are read")
                if size is not None:  # a JPEG can be decoded at 1/2, 1/4 or 1/8 of its size, never below the wanted one
                    image.draft(mode, (size[1], size[0]))
                image = image.convert(mode)
    except FileNotFoundError:
        raise InputError(f"{name}: no such picture") from None
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise InputError(f"{name}: cannot be read as a JPEG or PNG ({error})") from None
    return resize(np.atleast_3d(np.asarray(image)), size)


def resize(picture, size):
    """uint8 `[H,W,C]` -> uint8 `[*size,C]`; smaller by area averaging (Pillow's reducing bilinear), larger bilinear."""
    if size is None or picture.shape[:2] == tuple(size):
        return picture
    image = Image.fromarray(picture[..., 0] if picture.shape[-1] == 1 else picture)
    return np.atleast_3d(np.asarray(image.resize((size[1], size[0]), Image.Resampling.BILINEAR)))
