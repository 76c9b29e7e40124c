"""Convert depth maps, and the output of depth estimators, to metres at the size of the data set.

The user states the unit, and nothing is guessed. With v = scale * value + shift,
`metres = factor * v`, where the unit determines the factor; for inverse depth `metres = 1 / v`.
"""

import functools
import hashlib
import json
from collections.abc import Callable

import numpy as np
from PIL import Image

from modest.data import composite, images
from modest.data.recipe.settings import INVERSE, METRES_PER_UNIT
from modest.errors import InputError

# Inverse depths below this value, and negative ones, become 1000 km, the largest depth.
MIN_INVERSE = 1e-6

Estimate = Callable[[np.ndarray], np.ndarray]


def to_metres(values: np.ndarray, unit: str, scale: float = 1.0, shift: float = 0.0) -> np.ndarray:
    """Convert depth values to metres.

    Args:
      values: array of any shape and any real dtype.
      unit: one of `settings.UNITS`.
      scale: factor of the values.
      shift: added to the scaled values.

    Returns:
      float32 array of the same shape.
    """
    values = np.float32(scale) * np.asarray(values, np.float32) + np.float32(shift)
    if unit == INVERSE:
        return 1 / np.maximum(values, np.float32(MIN_INVERSE))
    return np.float32(METRES_PER_UNIT[unit]) * values


def formula(unit: str, scale: float = 1.0, shift: float = 0.0) -> str:
    """Return the conversion of `to_metres` as readable text."""
    value = f"({scale:g} * value + {shift:g})"
    if unit == INVERSE:
        return f"metres = 1 / {value}"
    return f"metres = {METRES_PER_UNIT[unit]:.8g} * {value}"


def resize(depth: np.ndarray, size: int, nearest: bool = False) -> np.ndarray:
    """Resize a depth map to a square.

    Args:
      depth: float32 `[h,w]`; NaN where it is unknown, which is left out of averages. A pixel of the
        result is unknown if more than half of its area is.
      size: height and width of the result in pixels.
      nearest: take the nearest value. By default values are averaged over areas if the map gets
        smaller, and interpolated bilinearly if it gets larger.

    Returns:
      float32 `[size,size]`.
    """
    if depth.shape == (size, size):
        return depth
    known = ~np.isnan(depth)
    if not (nearest or known.all()):
        averaged, share = images.average_known(depth, known, (size, size))
        return np.where(share >= 0.5, averaged, np.float32(np.nan))
    method = Image.Resampling.NEAREST if nearest else Image.Resampling.BILINEAR
    return np.asarray(Image.fromarray(depth).resize((size, size), method))


def distance_at_feet(depth: np.ndarray, mask: np.ndarray) -> float:
    """Return the distance in metres at which a figure stands.

    This is the median depth of the room at the foreground pixels of the figure's lowest row, or the
    median of the whole room if there is no foreground, or no known depth there.

    Args:
      depth: depth of the empty room in metres, `[s,s]`.
      mask: uint8 `[s,s]`; values > 127 are foreground.
    """
    x, y, width, height = composite.box(mask)
    if not height:
        return float(np.nanmedian(depth))
    feet = mask[y + height - 1, x : x + width] > composite.FOREGROUND
    depths = depth[y + height - 1, x : x + width][feet]
    return float(np.nanmedian(depth if np.isnan(depths).all() else depths))


@functools.cache
def estimator(model: str, device: str = "cpu") -> tuple[Estimate, str]:
    """Load a depth-estimation pipeline of Hugging Face transformers.

    Weights are read only from safetensors files, which cannot execute code.

    Args:
      model: a local directory, or a name on the hub.
      device: torch device. On CPU one thread is used, so that sums do not depend on the number of
        threads.

    Returns:
      A function from a picture, uint8 `[H,W,3]`, to the model's raw output, float32 `[h,w]`; and
      the SHA-256 of the model's weights and settings.

    Raises:
      InputError: torch or transformers are not installed, or there is no such model.
    """
    try:
        import torch  # optional, and slow to import, like transformers
        import transformers
    except ImportError as error:
        raise InputError(
            f"--depth transformers needs `pip install torch transformers` ({error})"
        ) from None
    torch.set_num_threads(1)
    try:
        pipeline = transformers.pipeline(
            "depth-estimation", model=model, device=device, model_kwargs={"use_safetensors": True}
        )
    except Exception as error:  # many types: no such model or device, no network, another task
        reason = " ".join(str(error).strip().splitlines()[:1])
        raise InputError(
            f"{model}: cannot be loaded as a depth-estimation model ({reason})"
        ) from None

    def estimate(picture: np.ndarray) -> np.ndarray:
        values = pipeline(Image.fromarray(picture))["predicted_depth"]
        values = np.squeeze(values.float().cpu().numpy())
        if values.ndim != 2 or not np.isfinite(values).all():
            shape = list(values.shape)
            raise InputError(
                f"{model}: returned a depth of shape {shape}, or one that is not finite"
            )
        return values

    return estimate, _fingerprint(pipeline)


def _fingerprint(pipeline) -> str:
    """Return the SHA-256 of a pipeline's weights and settings, wherever they are stored."""
    settings = [pipeline.model.config.to_dict(), pipeline.image_processor.to_dict()]
    for one in settings:
        one.pop("_name_or_path", None)
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True, default=str).encode())
    for name, tensor in sorted(pipeline.model.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.float().cpu().numpy().tobytes())
    return digest.hexdigest()
