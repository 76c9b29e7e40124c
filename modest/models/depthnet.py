"""DepthNet: mask and depth from one encoder (the original's DepthMaskNet8, 7,083,874 parameters).

The mask needs less context than the depth, so its decoder starts one encoder earlier; what it finds (where the figure is) is handed
to the depth's decoder. Sizes below are for 224 px pictures.

    bg    -> stem 16@224 -> encoder 16@112 \
                                            joined 32@112 -> 64@56 -> 128@28 -> 256@14 -> 512@7
    bg_fg -> stem 16@224 -> encoder 16@112 /

    mask :            256@14 -> 128@28          -> 64@56          -> 32@112            -> 16@224 -> head
    depth: 512@7 ->   256@14 -> 128@28, + mask's -> 64@56, + mask's -> 32@112, + joined -> 16@224 -> head

Every decoder block also takes in the encoder's map of its size: 256, 128, 64, joined, and at full size the stem of `bg_fg`.
"""

import flax.linen as nn
import jax.numpy as jnp

from modest.models.layers import ConvBNReLU, Decoder, Encoder, Head


class DepthNet(nn.Module):
    """`bg`, `bg_fg` (`[B,H,W,3]`, standardised, H and W divisible by 32) -> `{"mask", "depth"}`, logits `[B,H,W,1]`.

    Without `bg_fg`: the map of `bg` alone, `[B,H/2,W/2,width]`, to give as `bg_map`, in place of `bg`, where the view stays.
    `width` scales every channel count by width / 16: 16 is the original, less makes a network of the same structure for tests.
    """

    width: int = 16
    axis_name: str | None = None

    @nn.compact
    def __call__(self, bg, bg_fg=None, train=False, bg_map=None):
        w = self.width
        block = lambda kind, features, name: kind(features, self.axis_name, name=name)

        if bg_map is None:
            stem_bg = block(ConvBNReLU, w, "stem_bg1")(bg, train)
            stem_bg = block(ConvBNReLU, w, "stem_bg2")(stem_bg, train)
            bg_map = block(Encoder, w, "encode_bg")(stem_bg, train)
        if bg_fg is None:
            return bg_map
        stem_bg_fg = block(ConvBNReLU, w, "stem_bg_fg1")(bg_fg, train)
        stem_bg_fg = block(ConvBNReLU, w, "stem_bg_fg2")(stem_bg_fg, train)
        joined = jnp.concatenate([bg_map, block(Encoder, w, "encode_bg_fg")(stem_bg_fg, train)], axis=-1)
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
