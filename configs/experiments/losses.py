"""The original's comparison of losses on DepthNet: one variant per combination.

    python -m modest train --config experiments/losses:ssim_rmse

A name gives the loss of the mask, then that of the depth, weighted 2. `bce_dice_rmse` is what the
original's `RmseBceDiceLoss` meant; its code put RMSE on the mask and BCE + Dice on the depth, which
is `rmse_bce_dice`.

    python -m modest sweep --config depthnet \\
        --vary loss=bce_rmse,ssim_rmse,bce_ssim,rmse_ssim,ssim_dice,rmse_dice,bce_dice_rmse

gave on the split `test`, with seed 0 and 480 composites per epoch, on two cores of an AMD EPYC
(AVX-512) with jax 0.10.2 (commit 09bb85f), in 200 to 230 s of training each:

    loss            mask IoU   boundary F1   depth RMSE   delta < 1.25
    bce_rmse        0.908      0.951         0.0500       0.911
    ssim_rmse       0.000      0.000         0.0580       0.873
    bce_ssim        0.908      0.953         0.0499       0.912
    rmse_ssim       0.918      0.962         0.0571       0.895
    ssim_dice       0.458      0.624         0.6068       0.012
    rmse_dice       0.925      0.971         0.6071       0.012
    bce_dice_rmse   0.915      0.969         0.0786       0.784

Dice does not learn depth: with soft targets, its minimum is at 1 for every pixel. SSIM alone on the
mask is not reliable: the prediction is empty in one run, and its IoU is 0.46 in the other.
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
