"""PairNet: mask and depth by comparing the two pictures; the network to choose for new work.

    python -m modest train --config pairnet

trains on the embedded data set with DepthNet's recipe. `pairnet:small` is a form of 0.2 million
parameters and 0.2 GMAC for a pair of 224 px. `pairnet:museum` is the full recipe on a data set in
the MODEST layout (`--config.data.dir=...`).

RESULTS
"""

from ml_collections import ConfigDict

from modest.run import config_files

SMALL = (8, 8, 16, 24, 48, 64)


def get_config(variant: str = "") -> ConfigDict:
    """Return DepthNet's recipe with another network. `variant` is "", "small" or "museum"."""
    config = config_files.load("depthnet:museum" if variant == "museum" else "depthnet")
    config.model = {"name": "pairnet", "widths": (16, 24, 48, 96, 160, 192)}
    if variant == "small":
        config.model.widths = SMALL
    elif variant not in ("", "museum"):
        raise ValueError(f"configs/pairnet.py:{variant}: the variants are '', 'small' and 'museum'")
    return config
