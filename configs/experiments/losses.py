"""The original's comparison of losses on DepthNet: one variant per combination.

    python -m modest train --config experiments/losses:ssim_rmse

A name gives the loss of the mask, then that of the depth, weighted 2. `bce_dice_rmse` is what the
original's `RmseBceDiceLoss` meant; its code put RMSE on the mask and BCE + Dice on the depth, which
is `rmse_bce_dice`.

docs/results.md has the results. Dice does not learn depth: with soft targets, its minimum is at 1
for every pixel.
"""

from ml_collections import ConfigDict

from modest.run import config_files

COMBINATIONS = {
    "bce_rmse": {"mask": {"bce": 1.0}, "depth": {"rmse": 2.0}},
    "ssim_rmse": {"mask": {"ssim": 1.0}, "depth": {"rmse": 2.0}},
    "bce_ssim": {"mask": {"bce": 1.0}, "depth": {"ssim": 2.0}},
    "rmse_ssim": {"mask": {"rmse": 1.0}, "depth": {"ssim": 2.0}},
    "ssim_dice": {"mask": {"ssim": 1.0}, "depth": {"dice": 2.0}},
    "rmse_dice": {"mask": {"rmse": 1.0}, "depth": {"dice": 2.0}},
    "bce_dice_rmse": {"mask": {"bce": 1.0, "dice": 2.0}, "depth": {"rmse": 2.0}},
    "rmse_bce_dice": {"mask": {"rmse": 1.0}, "depth": {"bce": 2.0, "dice": 2.0}},
}


def get_config(variant: str = "bce_rmse") -> ConfigDict:
    """Return DepthNet's recipe with the losses of one combination."""
    if variant not in COMBINATIONS:
        known = ", ".join(COMBINATIONS)
        raise ValueError(f"configs/experiments/losses.py:{variant}: the variants are {known}")
    config = config_files.load("depthnet")
    for head, losses in config.loss.items():
        for name in losses:
            losses[name] = COMBINATIONS[variant][head].get(name, 0.0)
    return config
