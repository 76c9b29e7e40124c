"""PairNet: mask and depth from two pictures that one encoder sees with the same weights.

DepthNet has to learn from examples how to compare the two pictures. PairNet compares them by
construction: the feature maps of both pictures are subtracted at every size, as in FC-Siam-diff
(Daudt, Le Saux and Boulch, "Fully Convolutional Siamese Networks for Change Detection", 2018). So
what it learns about people holds for other things too. docs/pairnet.md has the measurements.

Channels and sizes for pictures of 224 px:

    each picture -> 16@224 -> 24@112 -> 48@56 -> 96@28 -> 160@14 -> 192@7

    joined 192@7 -> 160@14 -> 96@28 -> 48@56 -> 24@112 -> 16@224 -> heads of mask and depth

*Joined* is a 1x1 convolution of the feature map of `bg_fg` and of the absolute difference of both
feature maps. Every decoder block receives the joined map of its size as skip connection. At full
size `bg_fg` itself and the absolute difference of the pictures are joined too.
"""

from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from modest.constants import TARGETS
from modest.models.layers import Conv1x1, ConvBNReLU, Decoder, Encoder, Head

# Convolutions of each decoder block, that at full size first. In the small maps a second one costs
# little, and depth gains by it.
DECODER_CONVS = (1, 1, 1, 2, 2)


class PairNet(nn.Module):
    """Network from a pair of pictures to the logits of mask and depth.

    Attributes:
      widths: channels of the encoder at full size, 1/2, 1/4, 1/8, 1/16 and 1/32. The decoder has
        the same, without the last.
      axis_name: mapped axis over which BatchNorm reduces.
    """

    widths: Sequence[int] = (16, 24, 48, 96, 160, 192)
    axis_name: str | None = None

    stride = 32  # height and width must be divisible by it
    heads = TARGETS  # keys of the outputs

    @nn.compact
    def __call__(
        self,
        bg: jax.Array | None,
        bg_fg: jax.Array | None = None,
        train: bool = False,
        bg_map: tuple[jax.Array, ...] | None = None,
    ) -> tuple[jax.Array, ...] | dict[str, jax.Array]:
        """Apply the network.

        Args:
          bg: background picture, standardised, `[B,H,W,3]`. Ignored if `bg_map` is given.
          bg_fg: the same view with a foreground, standardised, `[B,H,W,3]`.
          train: training mode; see `layers.BatchNorm`. `bg` is then required.
          bg_map: what the network returned for `bg`, if it has been computed before (for many
            pictures of one view).

        Returns:
          `{"mask", "depth"}`: logits `[B,H,W,1]`. Without `bg_fg`: `bg` itself and its feature
          maps, `[B,H,W,C]` to `[B,H/32,W/32,C]`.
        """
        encode: Any = Pyramid(self.widths, self.axis_name, name="encode")
        if bg_fg is None:
            return encode(bg, train)
        if train:  # one batch, so that BatchNorm has one mean and variance for both pictures
            maps = encode(jnp.concatenate([bg, bg_fg]), train)  # type: ignore[list-item]
            bg_map, bg_fg_map = zip(*(jnp.split(x, 2) for x in maps))
        else:
            bg_map = encode(bg, train) if bg_map is None else bg_map
            bg_fg_map = encode(bg_fg, train)
        pictures, *pairs = ([x, jnp.abs(x - y)] for x, y in zip(bg_fg_map, bg_map))
        pairs[0] += pictures

        def join(level):
            joined = jnp.concatenate(pairs[level], axis=-1)
            return Conv1x1(self.widths[level], name=f"join{level}")(joined)

        deepest = len(self.widths) - 1
        x = join(deepest)
        for level in reversed(range(deepest)):
            features, convs = self.widths[level], DECODER_CONVS[level]
            block = Decoder(features, self.axis_name, convs, name=f"decode{level}")
            x = block(x, join(level), train)
        return {head: Head(name=f"head_{head}")(x) for head in self.heads}


class Pyramid(nn.Module):
    """The encoder: a picture `[B,H,W,3]` -> itself, and its feature maps, the largest first.

    Attributes:
      widths: channels of the feature maps, each of which has half of the size of the one before.
      axis_name: mapped axis over which BatchNorm reduces.
    """

    widths: Sequence[int]
    axis_name: str | None = None

    @nn.compact
    def __call__(self, picture: jax.Array, train: bool) -> tuple[jax.Array, ...]:
        """Return the picture and its feature maps."""
        x = ConvBNReLU(self.widths[0], self.axis_name, name="stem")(picture, train)
        maps = [picture, x]
        for level, features in enumerate(self.widths[1:], 1):
            x = Encoder(features, self.axis_name, name=f"encode{level}")(x, train)
            maps.append(x)
        return tuple(maps)
