"""MaskNet, DepthNet and PairNet in PyTorch, which `benchmarks/speed.py` compares with.

MaskNet and DepthNet follow the original's layer tables. Layers have the original's names, so that
the golden weights and `modest/models/torch_weights.py` fit. PairNet follows
`modest/models/pairnet.py` and has its names. Pictures and outputs are NCHW.
"""

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional


def conv_bn_relu(inputs: int, outputs: int) -> list[nn.Module]:
    """Return a 3x3 convolution that keeps the size, BatchNorm and ReLU."""
    return [
        nn.Conv2d(inputs, outputs, 3, padding=1),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    ]


class MaskNet(nn.Module):
    """`bg`, `bg_fg` -> `{"mask": logits}`."""

    def __init__(self) -> None:
        super().__init__()
        self.layer1 = nn.Sequential(*conv_bn_relu(3, 32))
        self.layer2 = nn.Sequential(*conv_bn_relu(3, 32))
        self.layer3 = nn.Sequential(
            *conv_bn_relu(64, 64), *conv_bn_relu(64, 64), nn.Conv2d(64, 1, 1)
        )

    def forward(self, bg: torch.Tensor, bg_fg: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"mask": self.layer3(torch.cat([self.layer1(bg), self.layer2(bg_fg)], 1))}


class Encoder(nn.Module):
    """Halve the size: max-pooling and two convolutions, plus a strided 1x1 convolution."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv1 = nn.Sequential(nn.MaxPool2d(2), *conv_bn_relu(inputs, outputs))
        self.conv2 = nn.Sequential(*conv_bn_relu(outputs, outputs))
        self.skip_conn = nn.Sequential(
            nn.Conv2d(inputs, outputs, 1, stride=2, bias=False), nn.BatchNorm2d(outputs)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.relu(self.conv2(self.conv1(x)) + self.skip_conn(x))


class Decoder(nn.Module):
    """Double the size: 1x1 convolution, bilinear resize, add the skip input, convolutions."""

    def __init__(self, inputs: int, outputs: int, convs: int = 2) -> None:
        super().__init__()
        self.layer = nn.Conv2d(inputs, outputs, 1)
        self.conv1 = nn.Sequential(*conv_bn_relu(outputs, outputs))
        self.conv2 = nn.Sequential(*conv_bn_relu(outputs, outputs)) if convs == 2 else nn.Identity()

    def forward(self, x: torch.Tensor, skip: torch.Tensor) -> torch.Tensor:
        x = self.layer(x)
        x = functional.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
        return self.conv2(self.conv1(x + skip))


class DepthNet(nn.Module):
    """`bg`, `bg_fg` -> `{"mask": logits, "depth": logits}`."""

    def __init__(self) -> None:
        super().__init__()
        self.layer1a = nn.Sequential(*conv_bn_relu(3, 16), *conv_bn_relu(16, 16))
        self.layer1b = nn.Sequential(*conv_bn_relu(3, 16), *conv_bn_relu(16, 16))
        self.encodebg = Encoder(16, 16)
        self.encodebg_fg = Encoder(16, 16)
        self.encode1 = Encoder(32, 64)
        self.encode2 = Encoder(64, 128)
        self.encode3 = Encoder(128, 256)
        self.encode4 = Encoder(256, 512)
        self.decode1_map = Decoder(256, 128)
        self.decode2_map = Decoder(128, 64)
        self.decode3_map = Decoder(64, 32)
        self.decode4_map = Decoder(32, 16)
        self.decode1_depth = Decoder(512, 256)
        self.decode2_depth = Decoder(256, 128)
        self.decode3_depth = Decoder(128, 64)
        self.decode4_depth = Decoder(64, 32)
        self.decode5_depth = Decoder(32, 16)
        self.last_mask = nn.Conv2d(16, 1, 1)
        self.last_depth = nn.Conv2d(16, 1, 1)

    def forward(self, bg: torch.Tensor, bg_fg: torch.Tensor) -> dict[str, torch.Tensor]:
        stem_bg, stem_bg_fg = self.layer1a(bg), self.layer1b(bg_fg)
        joined = torch.cat([self.encodebg(stem_bg), self.encodebg_fg(stem_bg_fg)], 1)
        shared1 = self.encode1(joined)
        shared2 = self.encode2(shared1)
        shared3 = self.encode3(shared2)
        mask1 = self.decode1_map(shared3, shared2)
        mask2 = self.decode2_map(mask1, shared1)
        mask3 = self.decode3_map(mask2, joined)
        mask = self.last_mask(self.decode4_map(mask3, stem_bg_fg))
        depth1 = self.decode1_depth(self.encode4(shared3), shared3)
        depth2 = self.decode2_depth(depth1, shared2) + mask1
        depth3 = self.decode3_depth(depth2, shared1) + mask2
        depth4 = self.decode4_depth(depth3, joined) + joined
        depth = self.last_depth(self.decode5_depth(depth4, stem_bg_fg))
        return {"mask": mask, "depth": depth}


class PairNet(nn.Module):
    """`bg`, `bg_fg` -> `{"mask": logits, "depth": logits}`."""

    def __init__(self, widths: Sequence[int] = (16, 24, 48, 96, 160, 192)) -> None:
        super().__init__()
        self.stem = nn.Sequential(*conv_bn_relu(3, widths[0]))
        pairs = list(zip(widths, widths[1:]))
        self.encode = nn.ModuleList(Encoder(inputs, outputs) for inputs, outputs in pairs)
        self.join = nn.ModuleList(
            nn.Conv2d(2 * width + (0 if level else 6), width, 1)
            for level, width in enumerate(widths)
        )
        self.decode = nn.ModuleList(
            Decoder(inputs, outputs, convs)
            for (outputs, inputs), convs in zip(pairs, (1, 1, 1, 2, 2))
        )
        self.head_mask = nn.Conv2d(widths[0], 1, 1)
        self.head_depth = nn.Conv2d(widths[0], 1, 1)

    def forward(self, bg: torch.Tensor, bg_fg: torch.Tensor) -> dict[str, torch.Tensor]:
        maps = [self.stem(torch.cat([bg, bg_fg]))]
        for encode in self.encode:
            maps.append(encode(maps[-1]))
        pairs = []
        for both in maps:
            of_bg, of_bg_fg = both.chunk(2)
            pairs.append([of_bg_fg, (of_bg_fg - of_bg).abs()])
        pairs[0] += [bg_fg, (bg_fg - bg).abs()]
        joined = [join(torch.cat(pair, 1)) for join, pair in zip(self.join, pairs)]
        x = joined[-1]
        for level in reversed(range(len(self.decode))):
            x = self.decode[level](x, joined[level])
        return {"mask": self.head_mask(x), "depth": self.head_depth(x)}


class SmallPairNet(PairNet):
    """PairNet with the channels of `configs/pairnet.py:small`."""

    def __init__(self) -> None:
        super().__init__((8, 8, 16, 24, 48, 64))


NETWORKS: dict[str, type[nn.Module]] = {
    "masknet": MaskNet,
    "depthnet": DepthNet,
    "pairnet": PairNet,
    "pairnet:small": SmallPairNet,
}


def loss(outputs: dict[str, torch.Tensor], mask: torch.Tensor, depth: torch.Tensor) -> torch.Tensor:
    """Return the default loss: BCE of the mask, plus twice the RMSE of the depth if there is one.

    Args:
      outputs: logits `[B,1,H,W]` by head.
      mask: target `[B,1,H,W]` in [0, 1].
      depth: target `[B,1,H,W]` in [0, 1].
    """
    total = functional.binary_cross_entropy_with_logits(outputs["mask"], mask)
    if "depth" in outputs:
        squared_error = functional.mse_loss(torch.sigmoid(outputs["depth"]), depth)
        total = total + 2 * torch.sqrt(squared_error + 1e-6)
    return total
