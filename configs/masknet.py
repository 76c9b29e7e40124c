"""MaskNet: the mask alone, 76,097 parameters, BCE.

    python -m modest train --config masknet

`masknet:museum` is the full recipe on a data set in the MODEST layout (`--config.data.dir=...`).

With 480 composites per epoch, the first command reached mask IoU 0.923 ± 0.004 and boundary F1
0.957 ± 0.002 on the split `test` (mean and standard deviation of the seeds 0, 1 and 2), in 91 to
97 s of training on two cores of an AMD EPYC (AVX-512) with jax 0.10.2 (commit 09bb85f).
"""

from ml_collections import ConfigDict

from modest.run import config_files


def get_config(variant: str = "") -> ConfigDict:
    """Return DepthNet's recipe with another network and no depth."""
    config = config_files.load(f"depthnet:{variant}")
    config.model = {"name": "masknet"}
    config.loss.depth.rmse = 0.0
    return config
