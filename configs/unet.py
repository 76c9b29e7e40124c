"""A U-Net of 22 million parameters with two heads, three times DepthNet's, as the original's experiment had for comparison.

    python launch.py --config configs/unet.py

`configs/unet.py:museum` is the same on a data set in the MODEST layout (`--config.data.dir=...`) at 64, 128 and 224 px.
"""

from configs import depthnet


def get_config(variant=""):
    """DepthNet's recipe with another network."""
    config = depthnet.get_config(variant)
    config.model = {"name": "unet", "width": 56}
    return config
