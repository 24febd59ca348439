"""The residual U-Net as it is commonly taught, for comparison only: 8.2 M parameters, first level at full resolution.

Channels 64-128-256-512, two 3x3 convolutions with batch norm per residual block, max pooling, bilinear
enlarging, the encoder's features appended. Written from the papers.

Reference: He et al. 2016; Ronneberger et al. 2015; Zhang et al. 2018, Road extraction by deep residual U-Net.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from colorlib.course.blocks import ResidualBlock
from colorlib.generators import Generator, Prediction


class CommonResidualUNet(Generator):
    """Args: as in `colorlib.generators.ResidualUNet`; sides must be multiples of 8."""

    def __init__(self, in_channels: int = 1, out_channels: int = 2, base_channels: int = 64, tanh: bool = True) -> None:
        super().__init__(in_channels, hint_channels=0, z_channels=0)
        self.config = {"in_channels": in_channels, "out_channels": out_channels, "base_channels": base_channels,
                       "tanh": tanh}
        self.tanh = tanh
        widths = [base_channels * 2**level for level in range(4)]
        entries = [in_channels, *widths[:-1]]
        self.encoder = nn.ModuleList(ResidualBlock(before, width, pre_activation=False)
                                     for before, width in zip(entries, widths))
        self.decoder = nn.ModuleList(ResidualBlock(coarse + width, width, pre_activation=False)
                                     for coarse, width in zip(widths[:0:-1], widths[-2::-1]))
        self.exit = nn.Conv2d(base_channels, out_channels, 1)
        # starts near grey, as ours does; with PyTorch's own start tanh saturates and the first 100 steps are lost
        nn.init.normal_(self.exit.weight, 0.0, 0.01)

    def predict_from(self, x: Tensor) -> Prediction:
        features = []
        for level, block in enumerate(self.encoder):
            x = block(F.max_pool2d(x, 2) if level else x)
            features.append(x)
        features.pop()
        for block in self.decoder:
            x = F.interpolate(x, scale_factor=2, mode="bilinear")
            x = block(torch.cat([x, features.pop()], dim=1))
        x = self.exit(x)
        return Prediction(torch.tanh(x) if self.tanh else x)
