"""MaskNet: foreground segmentation only, four 3x3 convolutions at full size (the original's MaskNet3, 76,097 parameters)."""

import flax.linen as nn
import jax.numpy as jnp

from modest.models.layers import ConvBNReLU, Head


class MaskNet(nn.Module):
    """`bg`, `bg_fg` (`[B,H,W,3]`, standardised, any H and W) -> `{"mask": [B,H,W,1] logits}`.

    Without `bg_fg`: the map of `bg` alone, `[B,H,W,32]`, to give as `bg_map`, in place of `bg`, where the view stays.
    """

    axis_name: str | None = None

    @nn.compact
    def __call__(self, bg, bg_fg=None, train=False, bg_map=None):
        block = lambda features, name: ConvBNReLU(features, self.axis_name, name=name)
        if bg_map is None:
            bg_map = block(32, "stem_bg")(bg, train)
        if bg_fg is None:
            return bg_map
        x = jnp.concatenate([bg_map, block(32, "stem_bg_fg")(bg_fg, train)], axis=-1)
        x = block(64, "conv1")(x, train)
        x = block(64, "conv2")(x, train)
        return {"mask": Head(name="head_mask")(x)}
