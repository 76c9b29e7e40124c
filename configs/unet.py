"""A U-Net with two heads and 22 million parameters, three times DepthNet's, for comparison.

    python -m modest train --config unet

`unet:museum` is the full recipe on a data set in the MODEST layout (`--config.data.dir=...`).
"""

from ml_collections import ConfigDict

from modest.run import config_files


def get_config(variant: str = "") -> ConfigDict:
    """Return DepthNet's recipe with another network."""
    config = config_files.load(f"depthnet:{variant}")
    config.model = {"name": "unet", "width": 56}
    return config
