"""MaskNet: the foreground's mask alone, 76,097 parameters, BCE.

    python launch.py --config configs/masknet.py

`configs/masknet.py:museum` is the same on a data set in the MODEST layout (`--config.data.dir=...`) at 64, 128 and 224 px.
"""

from configs import depthnet


def get_config(variant=""):
    """DepthNet's recipe with another network and no depth."""
    config = depthnet.get_config(variant)
    config.model = {"name": "masknet"}
    config.loss.depth.rmse = 0.0
    return config
