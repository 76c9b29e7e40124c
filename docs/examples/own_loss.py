"""Write a loss and train with it: the scale-invariant loss of Eigen et al. (2014) on the depth.

Prints the loss on every test split. Writes the run to `--workdir`. Takes about TIME_LOSS on two CPU
cores, after the data set has been generated (see `train.py`).

    python docs/examples/own_loss.py
"""

import argparse
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax import lax

from modest import losses
from modest.constants import MIN_DEPTH
from modest.run import config_files, runtime, validation
from modest.training import loop


# A loss is a pure function of probabilities and targets, both [B,H,W,1] in [0, 1]. For logits, add
# its name to `losses.TAKES_LOGITS`.
# - It returns one scalar for the global batch, which is spread over the devices of `axis_name`.
#   Reduce over that axis before a root or a quotient: a mean of roots is not the root of a mean, and
#   the loss would depend on the number of devices.
# - In evaluation each example is a batch of its own, and `axis_name` is None.
# - Value and gradient are finite for all inputs. Here, the logarithm never sees 0, and neither does
#   the root, whose gradient at 0 is infinite. Training stops if a gradient is not finite.
def silog(output: jax.Array, target: jax.Array, axis_name: str | None = None) -> jax.Array:
    """Return sqrt(mean(d^2) - mean(d)^2 / 2 + 1e-6), with d = log(output) - log(target)."""
    d = jnp.log(jnp.maximum(output, MIN_DEPTH)) - jnp.log(jnp.maximum(target, MIN_DEPTH))
    moments = jnp.stack([jnp.square(d).mean(), d.mean()])
    square, mean = moments if axis_name is None else lax.pmean(moments, axis_name)
    return jnp.sqrt(square - jnp.square(mean) / 2 + 1e-6)


def main(argv: Sequence[str] | None = None) -> None:
    """Register the loss, train with it, and print its value."""
    parser = argparse.ArgumentParser(description="Train with a new loss.", allow_abbrev=False)
    parser.add_argument("--workdir", default="runs/example_own_loss", help="directory of the run")
    parser.add_argument("--size", type=int, default=64, help="picture size in px")
    parser.add_argument("--composites", type=int, default=240, help="training pictures")
    options, overrides = parser.parse_known_args(argv)
    runtime.prepare()

    losses.LOSSES["silog"] = silog  # in every program that trains or evaluates with it
    config = config_files.read("depthnet", overrides)
    with config.unlocked():  # a locked config accepts no new key
        config.loss.depth.silog = 1.0  # its weight
    config.loss.depth.rmse = 0.0  # the loss that it replaces
    config.stages = ((options.size, 1),)
    config.data.library.composites = options.composites
    validation.validate(config)

    for split, values in loop.fit(config, options.workdir).items():
        print(f"{split}: silog {values['loss/depth/silog']:.4f}")


if __name__ == "__main__":
    main()
