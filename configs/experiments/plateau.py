"""The original's DepthNet run with a learning rate of 0.01 that falls when the loss does not.

    python -m modest train --config experiments/plateau

The rate is multiplied by 0.1 after two epochs without a lower training loss. Everything else is
DepthNet's recipe, with BCE on the mask and RMSE on the depth. `python -m benchmarks.experiments`
compares the two.
"""

from ml_collections import ConfigDict

from modest.run import config_files


def get_config(variant: str = "") -> ConfigDict:
    """Return DepthNet's recipe with another learning rate and schedule."""
    config = config_files.load(f"depthnet:{variant}")
    config.optimizer.learning_rate = 0.01
    config.optimizer.schedule = "plateau"
    config.optimizer.warmup = 0.0
    return config
