"""The pictures of the report: examples with maps of their errors, as JPEG inside the page."""

import base64
import io
from collections.abc import Iterator, Mapping

import matplotlib
import numpy as np
from PIL import Image

from modest.constants import DEPTH_METRES, MASK_THRESHOLD

LARGEST = 240  # px; larger pictures are reduced
QUALITY = 88  # of JPEG
ERROR_METRES = 2.0  # the depth error that has the strongest colour
MISSED, TOO_MUCH = (86, 180, 233), (213, 94, 0)  # sky blue and vermilion
UNKNOWN = (128, 128, 128)

Pictures = Mapping[str, np.ndarray]  # uint8 [N,H,W,C] by kind


def columns(pictures: Pictures, row: int) -> Iterator[tuple[str, np.ndarray]]:
    """Yield title and picture, uint8 `[H,W,3]`, of each column of a row.

    Args:
      pictures: as in `eval_extremes.npz`.
      row: the row.
    """
    yield "background", pictures["bg"][row]
    yield "picture", pictures["bg_fg"][row]
    if "output_mask" in pictures:
        of_row = (pictures[kind][row] for kind in ("bg_fg", "mask", "output_mask"))
        yield "mask errors", mask_errors(*of_row)
    if "output_depth" in pictures and "depth" in pictures:
        true, predicted = (pictures[kind][row, ..., 0] for kind in ("depth", "output_depth"))
        farthest = max(true.max(), predicted.max())
        yield "depth: truth", _coloured(true / farthest, "magma")
        yield "depth: prediction", _coloured(predicted / farthest, "magma")
        known = pictures["depth_valid"][row, ..., 0] if "depth_valid" in pictures else None
        yield "depth errors", depth_errors(true, predicted, known)


def mask_errors(picture: np.ndarray, target: np.ndarray, output: np.ndarray) -> np.ndarray:
    """Return the picture in grey with the errors of the mask in colour, uint8 `[H,W,3]`.

    Args:
      picture: uint8 `[H,W,3]`.
      target, output: mask and predicted probability, uint8 `[H,W,1]`.
    """
    true, predicted = (x[..., 0] >= 255 * MASK_THRESHOLD for x in (target, output))
    grey = picture.mean(axis=-1, keepdims=True)
    shown = np.broadcast_to(np.where(true[..., None], 110 + 0.57 * grey, 0.5 * grey), picture.shape)
    shown = shown.astype(np.uint8)
    shown[true & ~predicted] = MISSED
    shown[predicted & ~true] = TOO_MUCH
    return shown


def depth_errors(
    target: np.ndarray, output: np.ndarray, known: np.ndarray | None = None
) -> np.ndarray:
    """Return the signed error of depth in colour: blue too near, white none, red too far.

    Args:
      target, output: depth, uint8 `[H,W]`, 255 = 10 m.
      known: 0 where the true depth is unknown, which is grey; None: it is known everywhere.
    """
    metres = (output.astype(float) - target) / 255 * DEPTH_METRES
    shown = _coloured(0.5 + 0.5 * metres / ERROR_METRES, "RdBu_r")
    if known is not None:
        shown[known == 0] = UNKNOWN
    return shown


def data_uri(picture: np.ndarray) -> str:
    """Return a uint8 `[H,W,3]` picture as the address of a JPEG that contains it."""
    image = Image.fromarray(np.ascontiguousarray(picture))
    image.thumbnail((LARGEST, LARGEST))
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=QUALITY)
    return f"data:image/jpeg;base64,{base64.b64encode(stream.getvalue()).decode()}"


def _coloured(values, name):
    """Return values in [0, 1] in the colours of a colour map, uint8."""
    return matplotlib.colormaps[name](np.clip(values, 0, 1), bytes=True)[..., :3].copy()
