"""U-Net with two heads, the larger network that DepthNet is compared with (about 22 million parameters at width 56).

Ronneberger, Fischer and Brox, "U-Net", 2015: four times halved, four times doubled, each doubling joined with the encoder's map of
its size. BatchNorm after every convolution, and bilinear doubling in place of transposed convolutions.
"""

import flax.linen as nn
import jax.numpy as jnp

from modest.models.layers import Conv1x1, ConvBNReLU, Head, max_pool, upsample
from modest.vocabulary import TARGETS


class UNet(nn.Module):
    """`bg`, `bg_fg` (`[B,H,W,3]`, standardised, H and W divisible by 16) -> `{"mask", "depth"}`, logits `[B,H,W,1]`.

    Without `bg_fg`: what is given as `bg_map`, in place of `bg`; the first layer takes both together, so that is `bg` itself.
    `width` is the number of channels at full size; it doubles with every halving.
    """

    width: int = 56
    axis_name: str | None = None

    @nn.compact
    def __call__(self, bg, bg_fg=None, train=False, bg_map=None):
        bg = bg if bg_map is None else bg_map
        if bg_fg is None:
            return bg

        def double_conv(x, features, name):
            x = ConvBNReLU(features, self.axis_name, name=f"{name}_conv1")(x, train)
            return ConvBNReLU(features, self.axis_name, name=f"{name}_conv2")(x, train)

        x = double_conv(jnp.concatenate([bg, bg_fg], axis=-1), self.width, "down0")
        skips = []
        for level in (1, 2, 3, 4):
            skips.append(x)
            x = double_conv(max_pool(x), self.width * 2**level, f"down{level}")
        for level in (3, 2, 1, 0):
            features = self.width * 2**level
            x = upsample(Conv1x1(features, name=f"up{level}_reduce")(x))
            x = double_conv(jnp.concatenate([skips[level], x], axis=-1), features, f"up{level}")
        return {head: Head(name=f"head_{head}")(x) for head in TARGETS}
