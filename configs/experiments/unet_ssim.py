"""The original's U-Net experiment: BCE on the mask, SSIM on the depth.

    python -m modest train --config experiments/unet_ssim

DepthNet with the same losses is `experiments/losses:bce_ssim`; `python -m benchmarks.experiments`
compares the two.
"""

from ml_collections import ConfigDict

from modest.run import config_files


def get_config(variant: str = "") -> ConfigDict:
    """Return the U-Net's recipe with SSIM in place of RMSE."""
    config = config_files.load(f"unet:{variant}")
    config.loss.depth.rmse = 0.0
    config.loss.depth.ssim = 2.0
    return config
