"""Train on pairs whose pictures differ by more than the figure: camera, light, noise and JPEG.

    python -m modest train --config experiments/disturbances:pairnet

The background is what moves: the two pictures of a pair are disturbed apart from each other, and
the device draws the disturbances anew in every step. Rooms, people, network and schedule are those
of the config that the variant names, `depthnet` or `pairnet`. `python -m benchmarks.robustness`
measures what it gains and what it costs (docs/results.md).
"""

from ml_collections import ConfigDict

from modest.run import config_files

VARIANTS = ("depthnet", "pairnet")
DISTURBANCES = {
    "shift": 4.0,  # px of 224
    "sway": 1.0,
    "exposure": 0.3,
    "white_balance": 0.15,
    "light": 0.1,
    "noise": 16.0,
    "jpeg": 20.0,
    "coarse": 0.2,
    "cast": 0.4,
    "strays": 0.0,
    "darkness": 0.75,
}
# One figure per scene, in the size that a person has at the place of its feet.
FIGURE = {"figures": 1, "empty": 0.0, "gone": 0.0, "standing": 1.0, "outside": 0.0}


def get_config(variant: str = "depthnet") -> ConfigDict:
    """Return the recipe of a network with disturbed pairs. `variant` is one of `VARIANTS`."""
    if variant not in VARIANTS:
        raise ValueError(f"configs/experiments/disturbances.py:{variant}: one of {VARIANTS}")
    config = config_files.load(variant)
    config.data.source = "scenes"
    config.data.scenes.update(DISTURBANCES | FIGURE)
    return config
