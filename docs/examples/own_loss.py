"""Write a loss and train with it: the Tversky loss (Salehi et al., 2017) on MaskNet's mask.

Prints the loss and the mask IoU of every test split. Writes the run to `--workdir`. Takes about
30 s on two CPU cores, after the data set has been generated (see `train.py`).

    python docs/examples/own_loss.py
"""

import argparse
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax import lax

from modest import losses
from modest.run import config_files, runtime, validation
from modest.training import loop
from modest.types import Array


# A loss is a pure function of probabilities and targets, both [B,H,W,1] in [0, 1]. To get logits,
# add its name to `losses.TAKES_LOGITS`.
# - It must return one scalar for the global batch, which is spread over the devices of `axis_name`.
#   Reduce over that axis before you take a root or a quotient. Otherwise the loss would depend on
#   the number of devices.
# - In evaluation each example is a batch of its own, and `axis_name` is None.
# - A loss of the depth also takes `valid`, which is 1 where the depth is known
#   (`modest/losses.py`).
# - Value and gradient must be finite for all inputs; training stops if they are not. Here, adding 1
#   keeps the quotient defined when mask and prediction are empty.
def tversky(output: Array, target: Array, axis_name: str | None = None) -> jax.Array:
    """Return 1 - (TP + 1) / (TP + 0.3 FP + 0.7 FN + 1), so that missed pixels cost more."""
    hits, false_alarms, misses = output * target, output * (1 - target), (1 - output) * target
    sums = jnp.stack([hits.sum(), false_alarms.sum(), misses.sum()])
    hits, false_alarms, misses = sums if axis_name is None else lax.psum(sums, axis_name)
    return 1 - (hits + 1) / (hits + 0.3 * false_alarms + 0.7 * misses + 1)


def main(argv: Sequence[str] | None = None) -> None:
    """Register the loss, train with it, and print its value."""
    parser = argparse.ArgumentParser(description="Train with a new loss.", allow_abbrev=False)
    parser.add_argument("--workdir", default="runs/example_own_loss", help="directory of the run")
    parser.add_argument("--size", type=int, default=64, help="picture size in px")
    parser.add_argument("--epochs", type=int, default=3)
    options, overrides = parser.parse_known_args(argv)
    runtime.prepare()

    losses.LOSSES["tversky"] = tversky  # do this in every program that uses the loss
    config = config_files.read("masknet", overrides)
    with config.unlocked():  # a locked config accepts no new key
        config.loss.mask.tversky = 1.0  # its weight
    config.loss.mask.bce = 0.0  # the loss that it replaces
    config.stages = ((options.size, options.epochs),)
    validation.validate(config)

    for split, values in loop.fit(config, options.workdir).items():
        print(f"{split}: {values['loss/mask/tversky']:.3f}, mask IoU {values['mask/iou']:.3f}")


if __name__ == "__main__":
    main()
