"""DepthNet trained at one picture size, against the recipe that begins with small pictures.

    python -m modest train --config experiments/one_size:same_epochs

All 12 epochs at 160 px (`same_epochs`), or 5, which cost about as many operations as the recipe's
8 epochs at 64 px and 4 at 160 px (`same_cost`, which `python -m benchmarks.experiments` compares to
the recipe).
"""

from ml_collections import ConfigDict

from modest.run import config_files

EPOCHS = {"same_epochs": 12, "same_cost": 5}


def get_config(variant: str = "same_epochs") -> ConfigDict:
    """Return DepthNet's recipe with one stage. `variant` is a key of `EPOCHS`."""
    if variant not in EPOCHS:
        raise ValueError(f"configs/experiments/one_size.py:{variant}: one of {tuple(EPOCHS)}")
    config = config_files.load("depthnet")
    config.stages = ((config.stages[-1][0], EPOCHS[variant]),)
    return config
