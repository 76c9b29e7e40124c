"""DepthNet: mask and depth from one encoder.

It is the original's DepthMaskNet8, with 7,083,874 parameters. The mask needs less context than the
depth, so its decoder starts one encoder block earlier. The mask decoder's feature maps, which show
where the foreground is, are added to those of the depth decoder.

Channels and sizes for pictures of 224 px:

    bg    -> stem 16@224 -> encoder 16@112 \
                                            joined 32@112 -> 64@56 -> 128@28 -> 256@14 -> 512@7
    bg_fg -> stem 16@224 -> encoder 16@112 /

    mask :          256@14 -> 128@28         -> 64@56         -> 32@112           -> 16@224 -> head
    depth: 512@7 -> 256@14 -> 128@28, + mask -> 64@56, + mask -> 32@112, + joined -> 16@224 -> head

Every decoder block also receives the encoder's feature map of its size as skip connection: 256,
128, 64, joined, and at full resolution the stem of `bg_fg`.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp

from modest.constants import TARGETS
from modest.models.layers import ConvBNReLU, Decoder, Encoder, Head


class DepthNet(nn.Module):
    """Network from a pair of pictures to the logits of mask and depth.

    Attributes:
      width: every number of channels is multiplied by width / 16. The original has 16; a smaller
        value makes a small network of the same structure, for tests.
      axis_name: mapped axis over which BatchNorm reduces.
    """

    width: int = 16
    axis_name: str | None = None

    stride = 32  # height and width must be divisible by it
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
          bg_map: feature map of `bg`, if it has been computed before (for many pictures of one
            view).

        Returns:
          `{"mask", "depth"}`: logits `[B,H,W,1]`. Without `bg_fg`: the feature map of `bg`,
          `[B,H/2,W/2,width]`.
        """
        w = self.width

        def block(kind, features, name):
            return kind(features, self.axis_name, name=name)

        if bg_map is None:
            stem_bg = block(ConvBNReLU, w, "stem_bg1")(bg, train)
            stem_bg = block(ConvBNReLU, w, "stem_bg2")(stem_bg, train)
            bg_map = block(Encoder, w, "encode_bg")(stem_bg, train)
        if bg_fg is None:
            return bg_map
        stem_bg_fg = block(ConvBNReLU, w, "stem_bg_fg1")(bg_fg, train)
        stem_bg_fg = block(ConvBNReLU, w, "stem_bg_fg2")(stem_bg_fg, train)
        bg_fg_map = block(Encoder, w, "encode_bg_fg")(stem_bg_fg, train)
        joined = jnp.concatenate([bg_map, bg_fg_map], axis=-1)
        shared1 = block(Encoder, 4 * w, "encode1")(joined, train)
        shared2 = block(Encoder, 8 * w, "encode2")(shared1, train)
        shared3 = block(Encoder, 16 * w, "encode3")(shared2, train)

        mask1 = block(Decoder, 8 * w, "mask1")(shared3, shared2, train)
        mask2 = block(Decoder, 4 * w, "mask2")(mask1, shared1, train)
        mask3 = block(Decoder, 2 * w, "mask3")(mask2, joined, train)
        mask4 = block(Decoder, w, "mask4")(mask3, stem_bg_fg, train)

        shared4 = block(Encoder, 32 * w, "encode4")(shared3, train)
        depth1 = block(Decoder, 16 * w, "depth1")(shared4, shared3, train)
        depth2 = block(Decoder, 8 * w, "depth2")(depth1, shared2, train) + mask1
        depth3 = block(Decoder, 4 * w, "depth3")(depth2, shared1, train) + mask2
        depth4 = block(Decoder, 2 * w, "depth4")(depth3, joined, train) + joined
        depth5 = block(Decoder, w, "depth5")(depth4, stem_bg_fg, train)
        return {"mask": Head(name="head_mask")(mask4), "depth": Head(name="head_depth")(depth5)}
