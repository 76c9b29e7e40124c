"""U-Net with two heads, a larger network to compare DepthNet with.

About 22 million parameters at width 56. As in Ronneberger, Fischer and Brox, "U-Net", 2015, the
size is halved four times and doubled four times, and each doubling is concatenated with the
encoder's feature map of its size. Two things differ: BatchNorm follows every 3x3 convolution, and
bilinear upsampling replaces transposed convolutions.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from modest import kernels
from modest.constants import TARGETS
from modest.models.layers import Conv1x1, ConvBNReLU, Head


class UNet(nn.Module):
    """Network from a pair of pictures to the logits of mask and depth.

    Attributes:
      width: channels at full resolution, doubled with every halving of the size.
      axis_name: mapped axis over which BatchNorm reduces.
    """

    width: int = 56
    axis_name: str | None = None

    stride = 16  # height and width must be divisible by it
    heads = TARGETS  # keys of the outputs

    @nn.compact
    def __call__(
        self,
        bg: jax.Array | None,
        bg_fg: jax.Array | None = None,
        train: bool = False,
        bg_map: jax.Array | None = None,
    ) -> jax.Array | dict[str, jax.Array]:
        """Apply the network.

        Args:
          bg: background picture, standardised, `[B,H,W,3]`. Ignored if `bg_map` is given.
          bg_fg: the same view with a foreground, standardised, `[B,H,W,3]`.
          train: training mode; see `layers.BatchNorm`.
          bg_map: what the network returns without `bg_fg`.

        Returns:
          `{"mask", "depth"}`: logits `[B,H,W,1]`. Without `bg_fg`: `bg` itself, because the first
          layer takes both pictures together.
        """
        background: Any = bg if bg_map is None else bg_map
        if bg_fg is None:
            return background

        def double_conv(x, features, name):
            x = ConvBNReLU(features, self.axis_name, name=f"{name}_conv1")(x, train)
            return ConvBNReLU(features, self.axis_name, name=f"{name}_conv2")(x, train)

        x = double_conv(jnp.concatenate([background, bg_fg], axis=-1), self.width, "down0")
        skips = []
        for level in (1, 2, 3, 4):
            skips.append(x)
            x = double_conv(kernels.max_pool(x), self.width * 2**level, f"down{level}")
        for level in (3, 2, 1, 0):
            features = self.width * 2**level
            x = kernels.upsample(Conv1x1(features, name=f"up{level}_reduce")(x))
            x = double_conv(jnp.concatenate([skips[level], x], axis=-1), features, f"up{level}")
        return {head: Head(name=f"head_{head}")(x) for head in self.heads}
