"""DepthNet without one part of its augmentation, or without any.

    python -m modest train --config experiments/augmentation:no_colour

`no_colour` leaves out the original's HueSaturationValue and RandomBrightnessContrast and keeps the
flip; `none` leaves out the flip, too. `python -m benchmarks.experiments` compares the first to the
recipe.
"""

from ml_collections import ConfigDict

from modest.run import config_files

VARIANTS = ("no_colour", "none")


def get_config(variant: str = "no_colour") -> ConfigDict:
    """Return DepthNet's recipe with less augmentation. `variant` is one of `VARIANTS`."""
    if variant not in VARIANTS:
        raise ValueError(f"configs/experiments/augmentation.py:{variant}: one of {VARIANTS}")
    config = config_files.load("depthnet")
    config.augment.hue_saturation_value.probability = 0.0
    config.augment.brightness_contrast.probability = 0.0
    if variant == "none":
        config.augment.flip = 0.0
    return config
