"""MaskNet: foreground segmentation only, four 3x3 convolutions at full size (the original's MaskNet3, 76,097 parameters)."""

import flax.linen as nn
import jax.numpy as jnp

from modest.models.layers import ConvBNReLU, Head


class MaskNet(nn.Module):
    """`bg`, `bg_fg` (`[B,H,W,3]`, standardised, any H and W) -> `{"mask": [B,H,W,1] logits}`."""

    axis_name: str | None = None

    @nn.compact
    def __call__(self, bg, bg_fg, train=False):
        block = lambda features, name: ConvBNReLU(features, self.axis_name, name=name)
        stem_bg = block(32, "stem_bg")(bg, train)
        stem_bg_fg = block(32, "stem_bg_fg")(bg_fg, train)
        x = jnp.concatenate([stem_bg, stem_bg_fg], axis=-1)
        x = block(64, "conv1")(x, train)
        x = block(64, "conv2")(x, train)
        return {"mask": Head(name="head_mask")(x)}
