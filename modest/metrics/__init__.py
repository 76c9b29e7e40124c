"""Metrics of masks and depth: one value per example, averaged over examples.

`per_example` returns `{name: [B]}` with the names of the first list, which are computed in every
evaluation. In the formulas x is a prediction after the sigmoid, and y its target.

    mask/iou          |A & B| / |A | B|
    mask/iou_soft     sum(xy) / (sum(x) + sum(y) - sum(xy)), on probabilities; the original's "IoU",
                      kept for comparison
    mask/dice         2 |A & B| / (|A| + |B|)
    mask/precision    |A & B| / |A|; 1 if both masks are empty, 0 if only the prediction is empty
    mask/recall       |A & B| / |B|; 1 if the target is empty
    mask/boundary_f1  F1 score of contour pixels; a pixel matches if the other mask's contour is at
                      most 0.75 % of the picture's diagonal away (Csurka et al., 2013)
    depth/rmse        sqrt(mean((x - y)^2))
    depth/mae         mean(|x - y|)
    depth/abs_rel     mean(|x - y| / y)
    depth/rmse_log    sqrt(mean((ln x - ln y)^2))
    depth/delta1..3   fraction of pixels with max(x / y, y / x) < 1.25, 1.25^2, 1.25^3
    depth/ssim        SSIM, see `ssim.py`; only for pictures of at least 11 px

`detailed` returns these and the following ones, for the final evaluation.

    mask/boundary_iou   IoU of the pixels of A and of B within 2 % of the picture's diagonal of
                        their own contour (Cheng et al., 2021: chessboard distance, and the
                        picture's edge belongs to the contour)
    mask/mad, mask/mse  mean(|x - y|), mean((x - y)^2) of probabilities
    mask/gradient       sum((|grad x| - |grad y|)^2) / 1000 of probabilities, by derivatives of a
                        Gaussian with sigma 1.4 px that have a norm of 1 (Rhemann et al., 2009). It
                        grows with the picture's size
    depth/sq_rel        mean((x - y)^2 / y); with depth in [0, 1], so a tenth of the value in metres
    depth/log10         mean(|log10 x - log10 y|)
    depth/silog         100 sqrt(mean(d^2) - mean(d)^2) with d = ln x - ln y: the SILog of the KITTI
                        benchmark, which is the error of Eigen et al. (2014) with lambda = 1
    depth/pixels        number of pixels that are compared

Every metric of depth but SSIM is also there by region and after an alignment of the prediction. The
name says so, `depth/REGION/ALIGNMENT/NAME`. Without a region it is of all pixels, and without an
alignment it is of the prediction as it is: `depth/foreground/rmse`, `depth/median/abs_rel`,
`depth/contour/scale_and_shift/rmse`. A picture without pixels in a region does not count there.

    foreground, background   by the target B
    contour                  within 1 % of the diagonal of both foreground and background
    median                   x is multiplied by median(y) / median(x) (Zhou et al., 2017)
    scale_and_shift          x is replaced by a x + b, with the a and b that make the sum of the
                             squared errors of depth smallest. (Ranftl et al., 2020, fit them to the
                             inverse of depth, which their networks predict)

Both alignments are computed for each picture, over all of its pixels of known depth.

`above_thresholds` counts pixels by their probability, from which `thresholds.py` and
`evaluation/details.py` compute the last columns of `eval_pictures.csv`.

    mask/ece               expected calibration error of the probabilities: the mean over pixels of
                           |mean probability - share of foreground| of their bin, in 20 bins of
                           equal width (Guo et al., 2017)
    mask/iou_at_best       mask/iou with the threshold, among 0.05, 0.10, ..., 0.95, that has the
                           largest mean IoU on `validation`
    mask/pixels            |B|
    mask/predicted_pixels  |A|
    mask/common_pixels     |A & B|

`abs_rel`, `sq_rel`, `rmse_log` and `delta1..3` follow Eigen et al. (2014).

Masks: A is the prediction and B the target, both thresholded at 0.5. If both are empty, every
metric of thresholded masks is 1.

Depth is in [0, 1]; times 10 it is in metres. It is compared over all pixels of a picture where it
is known (`depth_valid`); a picture without any is left out of the average. Quotients and logarithms
clamp it to at least 0.01. For SSIM, unknown pixels count as predicted correctly.

The average over a data set is the mean over examples (`Mean`), not the mean over batches. It
depends neither on the batch size nor on the rows that pad the last batch.
"""

from collections.abc import Mapping

import jax
import jax.numpy as jnp

from modest.metrics.averages import Mean, means
from modest.metrics.depths import depth_metrics, further_depth_metrics
from modest.metrics.masks import above_thresholds, further_mask_metrics, mask_metrics
from modest.types import Array

__all__ = [
    "HIGHER_IS_BETTER",
    "METRICS",
    "Mean",
    "above_thresholds",
    "depth_metrics",
    "detailed",
    "mask_metrics",
    "means",
    "per_example",
    "score",
]

METRICS = {  # of every evaluation
    "mask": ("iou", "iou_soft", "dice", "precision", "recall", "boundary_f1"),
    "depth": ("rmse", "mae", "abs_rel", "rmse_log", "delta1", "delta2", "delta3", "ssim"),
}
HIGHER_IS_BETTER = (*METRICS["mask"], "boundary_iou", "delta1", "delta2", "delta3", "ssim")


def per_example(outputs: Mapping[str, Array], targets: Mapping[str, Array]) -> dict[str, jax.Array]:
    """Return the metrics of every head that has both an output and a target.

    Args:
      outputs: logits `[B,H,W,1]` by head, `mask` and `depth`.
      targets: targets `[B,H,W,1]` in [0, 1] by head, and `depth_valid`, 1 where the depth is known
        and 0 elsewhere, if it is not known everywhere; other keys are ignored.

    Returns:
      `{name: [B]}`, such as `{"mask/iou": ...}`.
    """
    values: dict[str, jax.Array] = {}
    if "mask" in outputs and "mask" in targets:
        of_mask = mask_metrics(jax.nn.sigmoid(outputs["mask"]), targets["mask"])
        values |= _named("mask", of_mask)
    if "depth" in outputs and "depth" in targets:
        depth, known = targets["depth"], targets.get("depth_valid")
        values |= _named("depth", depth_metrics(jax.nn.sigmoid(outputs["depth"]), depth, known))
    return values


def detailed(
    predictions: Mapping[str, Array], targets: Mapping[str, Array]
) -> dict[str, jax.Array]:
    """Return the metrics of `per_example` and those of the final evaluation.

    Args:
      predictions: probabilities and depth `[B,H,W,1]` by head, after the sigmoid.
      targets: as in `per_example`. The mask is needed, because it divides the depth into regions.

    Returns:
      `{name: [B]}`. Metrics of depth are NaN where a picture has no pixels to compare.
    """
    values: dict[str, jax.Array] = {}
    if "mask" in predictions:
        output, mask = predictions["mask"], targets["mask"]
        of_mask = mask_metrics(output, mask) | further_mask_metrics(output, mask)
        values |= _named("mask", of_mask)
    if "depth" in predictions and "depth" in targets:
        depth, known = targets["depth"], targets.get("depth_valid")
        of_depth = further_depth_metrics(predictions["depth"], depth, targets["mask"], known)
        if "ssim" in (of_all := depth_metrics(predictions["depth"], depth, known)):
            of_depth["ssim"] = jnp.where(of_depth["pixels"] > 0, of_all["ssim"], jnp.nan)
        values |= _named("depth", of_depth)
    return values


def score(name: str, values: Mapping[str, float]) -> float:
    """Return `values[name]`, negated if it is an error or a loss, so that higher is better."""
    return values[name] if name.split("/")[-1] in HIGHER_IS_BETTER else -values[name]


def _named(head, values):
    return {f"{head}/{name}": value for name, value in values.items()}
