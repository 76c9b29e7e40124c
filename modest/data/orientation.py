"""Turn pictures and video frames upright.

An orientation is a number from 1 to 8, as EXIF defines it: how the stored picture has to be turned
and mirrored to be seen as it was taken. 1 is upright. A picture states it in EXIF (JPEG, PNG, WebP,
TIFF, AVIF) or, if it has none there, in XMP; a video by a matrix for the display.
"""

import re
from collections.abc import Sequence

import numpy as np
from PIL import ExifTags, Image

TRANSPOSE = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
OF_MATRIX = {  # signs of (a, b, c, d) in x' = a x + c y, y' = b x + d y; y points down
    (1, 0, 0, 1): 1,
    (-1, 0, 0, 1): 2,
    (-1, 0, 0, -1): 3,
    (1, 0, 0, -1): 4,
    (0, 1, 1, 0): 5,
    (0, 1, -1, 0): 6,
    (0, -1, -1, 0): 7,
    (0, -1, 1, 0): 8,
}
XMP = re.compile(rb"""tiff:Orientation\s*(?:=\s*["']|>)\s*([1-8])""")
MARKS = (b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/")  # a JPEG without both is upright


def may_be_turned(jpeg: bytes) -> bool:
    """Return whether the bytes of a JPEG contain anything that can state an orientation."""
    return any(mark in jpeg for mark in MARKS)


def of_image(image: Image.Image) -> int:
    """Return the orientation that a loaded Pillow image states, or 1 if it states none.

    EXIF comes before XMP. Pillow turns a TIFF itself when it loads it.
    """
    stated = image.getexif().get(ExifTags.Base.Orientation)
    if stated is None:
        xmp = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp") or b""
        found = XMP.search(xmp.encode() if isinstance(xmp, str) else xmp)
        stated = int(found[1]) if found else 1
    return stated if stated in TRANSPOSE else 1


def of_matrix(matrix: Sequence[float]) -> int:
    """Return the orientation of a video, from the nine numbers of its display matrix.

    The numbers are a, b, u, c, d, v, x, y, w in the order in which files store them. An angle
    between the multiples of 90 degrees is rounded.
    """
    a, b, _, c, d = matrix[:5]
    largest = max(abs(a), abs(b), abs(c), abs(d)) or 1
    signs = tuple(int(np.sign(x)) * (abs(x) > 0.70 * largest) for x in (a, b, c, d))
    return OF_MATRIX.get((signs[0], signs[1], signs[2], signs[3]), 1)


def upright(image: Image.Image) -> Image.Image:
    """Return a loaded Pillow image as it was taken; its `format` is kept."""
    stated = of_image(image)
    if stated == 1:
        return image
    turned = image.transpose(TRANSPOSE[stated])
    turned.format = image.format
    return turned


def turn(picture: np.ndarray, orientation: int) -> np.ndarray:
    """Return a view of an array `[H,W,...]` of that orientation, upright."""
    if orientation >= 5:
        picture = picture.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        picture = picture[::-1]
    if orientation in (2, 3, 6, 7):
        picture = picture[:, ::-1]
    return picture
