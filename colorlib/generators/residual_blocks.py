"""The parts that the residual U-Net is made of."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

AFTER_RELU = 2**0.5  # He et al. 2015: a ReLU halves the variance
HINTS = 3.0  # ab / 110 is small beside everything else: what is given shall weigh as much as what is seen
LAST = 0.1  # last layers start small: every block begins close to its shortcut, the picture close to grey


class BottleneckBlock(nn.Module):
    """The block of the residual U-Net: 1x1 convolution to half the channels, 3x3 convolution, 1x1 convolution
    back.

    Less than a fifth of the textbook block's arithmetic and weights at the same width (3.25 against 18 per
    place and channel squared), and all but the first norm runs over half the channels.

    Args:
        channels: of input and output; the shortcut is always the identity.
        norm: normalisation, made as norm(channels).

    Reference: He et al. 2016a, section 4.1; ours is pre-activated, and has no norm before the 3x3
    convolution.
    """

    def __init__(self, channels: int, norm: type[nn.Module]) -> None:
        super().__init__()
        inner = max(1, channels // 2)
        self.norm1 = norm(channels)
        self.reduce = nn.Conv2d(channels, inner, 1)
        self.conv = nn.Conv2d(inner, inner, 3, padding=1, bias=norm is nn.Identity)
        self.norm2 = norm(inner)
        self.widen = nn.Conv2d(inner, channels, 1)
        start(self.reduce), start(self.conv, AFTER_RELU), start(self.widen, LAST)

    def forward(self, x: Tensor) -> Tensor:  # (B, C, H, W) -> (B, C, H, W)
        branch = self.conv(F.relu(self.reduce(self.norm1(x))))
        return x + self.widen(F.relu(self.norm2(branch)))


class Halve(nn.Module):
    """Halve the picture: norm - 2x2 convolution with stride 2."""

    def __init__(self, channels_in: int, channels_out: int, norm: type[nn.Module]) -> None:
        super().__init__()
        self.norm = norm(channels_in)
        self.conv = nn.Conv2d(channels_in, channels_out, 2, stride=2)
        start(self.conv)

    def forward(self, x: Tensor) -> Tensor:  # (B, C, H, W) -> (B, channels_out, ceil(H / 2), ceil(W / 2))
        return self.conv(padded(self.norm(x), 2))


class Double(nn.Module):
    """Double the picture, add the encoder's features: norm - 1x1 convolution - shift - bilinear - sum."""

    def __init__(self, channels_in: int, channels_out: int, norm: type[nn.Module]) -> None:
        super().__init__()
        self.norm = norm(channels_in)
        self.conv = nn.Conv2d(channels_in, channels_out, 1)
        start(self.conv)

    def forward(self, x: Tensor, finer: Tensor, shift: Tensor | float) -> Tensor:
        # narrow and shift first: the enlarging then moves half the channels
        x = F.interpolate(self.conv(self.norm(x)) + shift, scale_factor=2, mode="bilinear")
        return x[..., : finer.shape[-2], : finer.shape[-1]] + finer


def coarser_hints(hints: Tensor, factor: int) -> Tensor:
    """Hints (mask, a, b) for a picture `factor` times smaller: at each place the mean of the hints within it.

    One hint is one pixel in thousands; so it is as strong at every level as it is at its pixel.
    """
    mean = F.avg_pool2d(padded(hints, factor), factor)
    share = mean[:, :1]
    there = share > 0
    ab = mean[:, 1:] / share.where(there, torch.ones_like(share)) * there
    return torch.cat([there.to(hints.dtype), ab], dim=1)


def padded(x: Tensor, multiple: int) -> Tensor:
    """Repeat the last row and column until both sides are multiples."""
    down, right = -x.shape[-2] % multiple, -x.shape[-1] % multiple
    return F.pad(x, (0, right, 0, down), mode="replicate") if down or right else x


def start(layer: nn.Conv2d | nn.Linear, gain: float = 1.0) -> None:
    """Weights that keep the variance of their input, times gain squared; AFTER_RELU makes up for a ReLU."""
    nn.init.kaiming_normal_(layer.weight, nonlinearity="linear")
    with torch.no_grad():
        layer.weight.mul_(gain)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
