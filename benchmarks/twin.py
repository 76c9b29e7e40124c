"""DepthNet and MaskNet in PyTorch, from the original's layer tables: what `benchmarks/speed.py` measures ours against.

The layers have the original's names, so that `modest/interop.py` and the golden numbers fit. Pictures are NCHW.
"""

import torch
from torch import nn
from torch.nn import functional


def conv_bn_relu(inputs, outputs):
    """Three layers, 3x3 and size kept."""
    return [nn.Conv2d(inputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)]


class MaskNet(nn.Module):
    """`bg`, `bg_fg` -> `{"mask": logits}`."""

    def __init__(self):
        super().__init__()
        self.layer1 = nn.Sequential(*conv_bn_relu(3, 32))
        self.layer2 = nn.Sequential(*conv_bn_relu(3, 32))
        self.layer3 = nn.Sequential(*conv_bn_relu(64, 64), *conv_bn_relu(64, 64), nn.Conv2d(64, 1, 1))

    def forward(self, bg, bg_fg):
        return {"mask": self.layer3(torch.cat([self.layer1(bg), self.layer2(bg_fg)], 1))}


class Encoder(nn.Module):
    """Half the size: pooling and two convolutions, plus a strided 1x1 convolution of the input."""

    def __init__(self, inputs, outputs):
        super().__init__()
        self.conv1 = nn.Sequential(nn.MaxPool2d(2), *conv_bn_relu(inputs, outputs))
        self.conv2 = nn.Sequential(*conv_bn_relu(outputs, outputs))
        self.skip_conn = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride=2, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x):
        return functional.relu(self.conv2(self.conv1(x)) + self.skip_conn(x))


class Decoder(nn.Module):
    """Twice the size: a 1x1 convolution, bilinear x2, plus the encoder's map, two convolutions."""

    def __init__(self, inputs, outputs):
        super().__init__()
        self.layer = nn.Conv2d(inputs, outputs, 1)
        self.conv1 = nn.Sequential(*conv_bn_relu(outputs, outputs))
        self.conv2 = nn.Sequential(*conv_bn_relu(outputs, outputs))

    def forward(self, x, skip):
        x = functional.interpolate(self.layer(x), scale_factor=2, mode="bilinear", align_corners=False)
        return self.conv2(self.conv1(x + skip))


class DepthNet(nn.Module):
    """`bg`, `bg_fg` -> `{"mask", "depth"}`, logits."""

    def __init__(self):
        super().__init__()
        self.layer1a = nn.Sequential(*conv_bn_relu(3, 16), *conv_bn_relu(16, 16))
        self.layer1b = nn.Sequential(*conv_bn_relu(3, 16), *conv_bn_relu(16, 16))
        self.encodebg, self.encodebg_fg = Encoder(16, 16), Encoder(16, 16)
        self.encode1, self.encode2, self.encode3, self.encode4 = (
            Encoder(n, m) for n, m in zip((32, 64, 128, 256), (64, 128, 256, 512))
        )
        self.decode1_map, self.decode2_map, self.decode3_map, self.decode4_map = (Decoder(2 * n, n) for n in (128, 64, 32, 16))
        self.decode1_depth, self.decode2_depth, self.decode3_depth = Decoder(512, 256), Decoder(256, 128), Decoder(128, 64)
        self.decode4_depth, self.decode5_depth = Decoder(64, 32), Decoder(32, 16)
        self.last_mask, self.last_depth = nn.Conv2d(16, 1, 1), nn.Conv2d(16, 1, 1)

    def forward(self, bg, bg_fg):
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
        return {"mask": mask, "depth": self.last_depth(self.decode5_depth(depth4, stem_bg_fg))}


NETWORKS = {"masknet": MaskNet, "depthnet": DepthNet}


def loss(outputs, mask, depth):
    """The default's: BCE of the mask, and, where there is a depth, twice its RMSE."""
    total = functional.binary_cross_entropy_with_logits(outputs["mask"], mask)
    if "depth" in outputs:
        total = total + 2 * torch.sqrt(functional.mse_loss(torch.sigmoid(outputs["depth"]), depth) + 1e-6)
    return total
