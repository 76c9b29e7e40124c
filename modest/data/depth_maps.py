"""From what a depth map or a depth estimator says to metres at the data set's size.

The conversion is declared, never guessed: with v = scale * value + shift it is `metres = factor * v`, or `metres = 1 / v` for
inverse depth.
"""

import functools
import hashlib
import json

import numpy as np
from PIL import Image

from modest.data import compose
from modest.vocabulary import DEPTH_METRES, InputError

INVERSE = "inverse_metres"
FACTORS = {"metres": 1.0, "centimetres": 0.01, "millimetres": 0.001, "modest": DEPTH_METRES / 255}
UNITS = (*FACTORS, INVERSE)
LEAST_INVERSE = 1e-6  # an inverse depth below it, negative ones too, is 1000 km: the farthest there is


def to_metres(values, unit, scale=1.0, shift=0.0):
    """float32 metres of float values in a unit of `UNITS`; `modest` is the data set's own grey level, 10 m / 255."""
    values = np.float32(scale) * np.asarray(values, np.float32) + np.float32(shift)
    if unit == INVERSE:
        return 1 / np.maximum(values, np.float32(LEAST_INVERSE))
    return np.float32(FACTORS[unit]) * values


def formula(unit, scale=1.0, shift=0.0):
    """The conversion as a line of text, for people."""
    value = f"({scale:g} * value + {shift:g})"
    return f"metres = 1 / {value}" if unit == INVERSE else f"metres = {FACTORS[unit]:.8g} * {value}"


def resize(depth, size, exact=False):
    """float32 [h, w] -> [size, size]: area averaging when smaller, bilinear when larger; `exact`: the nearest value instead."""
    if depth.shape == (size, size):
        return depth
    method = Image.Resampling.NEAREST if exact else Image.Resampling.BILINEAR
    return np.asarray(Image.fromarray(depth).resize((size, size), method))


def distance_at_feet(depth, mask):
    """Metres at which a figure stands: the median of the room's depth [S, S] under the lowest row of uint8 mask [S, S] > 127.

    A figure without a pixel above 127 has no feet: then the median of all.
    """
    x, y, width, height = compose.box(mask)
    if not height:
        return float(np.median(depth))
    feet = mask[y + height - 1, x : x + width] > compose.FOREGROUND
    return float(np.median(depth[y + height - 1, x : x + width][feet]))


@functools.cache
def estimator(model, device="cpu"):
    """A depth-estimation pipeline of Hugging Face transformers as (function, fingerprint).

    The function takes uint8 [H, W, 3] and gives float32 [h, w], what the model says as it says it. The fingerprint is the SHA-256
    of the weights and the settings. Weights are read from safetensors only, which cannot run code.

    Args:
      model: a local directory, or a name on the hub.
      device: as torch calls it. On the CPU one thread is used, so that sums do not depend on how many there are.

    Raises:
      InputError: torch or transformers are not installed, or there is no such model.
    """
    try:
        import torch  # both are optional, and take seconds to import
        import transformers
    except ImportError as error:
        raise InputError(f"the depth source transformers needs `pip install torch transformers` ({error})") from None
    torch.set_num_threads(1)
    try:
        pipeline = transformers.pipeline("depth-estimation", model=model, device=device, model_kwargs={"use_safetensors": True})
    except Exception as error:  # of many kinds: no such model, no network, another task, a device that is not there
        reason = str(error).strip().splitlines()[:1]
        raise InputError(f"{model}: cannot be loaded as a depth-estimation model ({' '.join(reason)})") from None

    def estimate(picture):
        values = pipeline(Image.fromarray(picture))["predicted_depth"]
        values = np.squeeze(values.float().cpu().numpy())
        if values.ndim != 2 or not np.isfinite(values).all():
            raise InputError(f"{model}: gave a depth of shape {list(values.shape)} or one that is not finite")
        return values

    return estimate, _fingerprint(pipeline)


def _fingerprint(pipeline):
    """SHA-256 of a pipeline's weights and settings, wherever they were loaded from."""
    settings = [pipeline.model.config.to_dict(), pipeline.image_processor.to_dict()]
    for one in settings:
        one.pop("_name_or_path", None)
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True, default=str).encode())
    for name, tensor in sorted(pipeline.model.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.float().cpu().numpy().tobytes())
    return digest.hexdigest()
