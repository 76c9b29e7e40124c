"""MaskNet: the mask alone, 76,097 parameters, BCE.

    python -m modest train --config masknet

`masknet:museum` is the full recipe on a data set in the MODEST layout (`--config.data.dir=...`).

docs/results.md has its results beside those of the other networks.
"""

from ml_collections import ConfigDict

from modest.run import config_files


def get_config(variant: str = "") -> ConfigDict:
    """Return DepthNet's recipe with another network and no depth."""
    config = config_files.load(f"depthnet:{variant}")
    config.model = {"name": "masknet"}
    config.loss.depth.rmse = 0.0
    return config
