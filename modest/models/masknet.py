"""MaskNet: foreground mask only, by four 3x3 convolutions at full resolution.

It is the original's MaskNet3, with 76,097 parameters.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp

from modest.models.layers import ConvBNReLU, Head


class MaskNet(nn.Module):
    """Network from a pair of pictures to the logits of the mask.

    Attributes:
      axis_name: mapped axis over which BatchNorm reduces.
    """

    axis_name: str | None = None

    stride = 1  # height and width must be divisible by it
    heads = ("mask",)  # keys of the outputs

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
          bg_map: feature map of `bg`, if it has been computed before (for many pictures of one
            view).

        Returns:
          `{"mask"}`: logits `[B,H,W,1]`. Without `bg_fg`: the feature map of `bg`, `[B,H,W,32]`.
        """

        def block(features, name):
            return ConvBNReLU(features, self.axis_name, name=name)

        if bg_map is None:
            bg_map = block(32, "stem_bg")(bg, train)
        if bg_fg is None:
            return bg_map
        x = jnp.concatenate([bg_map, block(32, "stem_bg_fg")(bg_fg, train)], axis=-1)
        x = block(64, "conv1")(x, train)
        x = block(64, "conv2")(x, train)
        return {"mask": Head(name="head_mask")(x)}
