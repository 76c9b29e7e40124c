"""PairNet: mask and depth from two pictures that one encoder sees with the same weights.

DepthNet has to learn from examples how to compare the two pictures. PairNet compares them by
construction: the feature maps of both pictures are subtracted at every size, as in FC-Siam-diff
(Daudt, Le Saux and Boulch, "Fully Convolutional Siamese Networks for Change Detection", 2018). So
what it learns about people holds for other things too. docs/pairnet.md has the measurements.

Channels and sizes for pictures of 224 px:

    each picture -> 8@224 -> 16@112 -> 32@56 -> 64@28 -> 128@14 -> 192@7

    mask : joined 192@7 -> 128@14 -> 64@28 -> 32@56 -> 16@112         -> 8@224         -> head
    depth: joined 192@7 -> 128@14 -> 64@28 -> 32@56 -> 16@112, + mask -> 8@224, + mask -> head

*Joined* is a 1x1 convolution of the feature map of `bg_fg` and of the absolute difference of both
feature maps. A decoder block receives the joined map of its size as skip connection. In the last
two blocks of the depth, the map of the mask takes its place: it already knows every edge.
"""

from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from modest.constants import TARGETS
from modest.models.layers import Conv1x1, ConvBNReLU, Decoder, Encoder, Head

FROM_MASK = 2  # decoder blocks of the depth, counted from full size, that get the mask's maps


class PairNet(nn.Module):
    """Network from a pair of pictures to the logits of mask and depth.

    Attributes:
      widths: channels of the encoder at full size, 1/2, 1/4, 1/8, 1/16 and 1/32. The decoders have
        the same, without the last.
      axis_name: mapped axis over which BatchNorm reduces.
    """

    widths: Sequence[int] = (8, 16, 32, 64, 128, 192)
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
          `{"mask", "depth"}`: logits `[B,H,W,1]`. Without `bg_fg`: the feature maps of `bg`,
          `[B,H,W,C]` to `[B,H/32,W/32,C]`.
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
        pairs = [jnp.concatenate([x, jnp.abs(x - y)], axis=-1) for x, y in zip(bg_fg_map, bg_map)]

        def decode(head, given):
            """Return the maps of a decoder, finest first. `given` replaces joined maps."""
            x = Conv1x1(self.widths[-1], name=f"{head}_join{len(pairs) - 1}")(pairs[-1])
            maps: list[jax.Array] = []
            for level in reversed(range(len(pairs) - 1)):
                features = self.widths[level]
                if level < len(given):
                    skip = given[level]
                else:
                    skip = Conv1x1(features, name=f"{head}_join{level}")(pairs[level])
                x = Decoder(features, self.axis_name, name=f"{head}{level}")(x, skip, train)
                maps.insert(0, x)
            return maps

        mask = decode("mask", [])
        depth = decode("depth", mask[:FROM_MASK])
        return {"mask": Head(name="head_mask")(mask[0]), "depth": Head(name="head_depth")(depth[0])}


class Pyramid(nn.Module):
    """The encoder: `[B,H,W,3]` -> feature maps at full size, 1/2, 1/4 ... of it.

    Attributes:
      widths: channels of each feature map.
      axis_name: mapped axis over which BatchNorm reduces.
    """

    widths: Sequence[int]
    axis_name: str | None = None

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> tuple[jax.Array, ...]:
        """Return the feature maps, the largest first."""
        x = ConvBNReLU(self.widths[0], self.axis_name, name="stem1")(x, train)
        maps = [ConvBNReLU(self.widths[0], self.axis_name, name="stem2")(x, train)]
        for level, features in enumerate(self.widths[1:], 1):
            block = Encoder(features, self.axis_name, name=f"encode{level}")
            maps.append(block(maps[-1], train))
        return tuple(maps)
