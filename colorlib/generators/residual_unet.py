"""The residual U-Net. Import it from `colorlib.generators`."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from colorlib.generators.base import NORMS, Generator, Prediction
from colorlib.generators.residual_blocks import (
    HINTS, LAST, BottleneckBlock, Double, Halve, coarser_hints, padded, start,
)


class Context(nn.Module):
    """What the whole picture shows and z, as a vector that shifts the channels of every level of the decoder.

    Which colours a picture has is decided by what it shows, and, where several answers are right, by z: both
    act on the whole picture at once, and here they do so for the price of a few vectors. A shift comes before
    the norm and the ReLU of the next block, so it also switches channels on and off.

    Args:
        channels: of the coarsest features.
        z_channels: of the noise; 0 for none.
        pooled: whether the coarsest features take part; if not, the vector comes from z alone.
        widths: channels of the levels that are steered, from coarse to fine.
    """

    def __init__(self, channels: int, z_channels: int, pooled: bool, widths: list[int]) -> None:
        super().__init__()
        # two layers, so that z, of a few numbers, starts with as much weight as the picture's hundreds
        self.of_picture = nn.Linear(2 * channels, channels) if pooled else None
        self.of_z = nn.Linear(z_channels, channels) if z_channels else None
        self.heads = nn.ModuleList(nn.Linear(channels, width) for width in widths)
        for layer in (self.of_picture, self.of_z):
            if layer is not None:
                start(layer)
        for head in self.heads:
            start(head, LAST)

    @staticmethod
    def pool(x: Tensor) -> Tensor:
        """Mean and deviation of every channel, normalised: (B, C, h, w) -> (B, 2 C)."""
        exact = x.float() if x.dtype in (torch.float16, torch.bfloat16) else x  # squares overflow 16 bits
        mean = exact.mean(dim=(2, 3))
        deviation = (exact - mean[:, :, None, None]).square().mean(dim=(2, 3)).add(1e-6).sqrt()
        pooled = torch.cat([mean, deviation], dim=1)
        # normalised, or the scale of the residual stream enters and large learning rates fail
        return F.layer_norm(pooled, pooled.shape[1:]).to(x.dtype)

    def forward(self, x: Tensor, z: Tensor | None) -> list[Tensor]:
        """A shift (B, width, 1, 1) for every level, from x (B, channels, h, w) and z (B, z_channels)."""
        vector = 0.0
        if self.of_picture is not None:
            vector = vector + self.of_picture(self.pool(x))
        if self.of_z is not None:
            vector = vector + self.of_z(z)
        vector = F.relu(vector)
        return [head(vector)[:, :, None, None] for head in self.heads]


class ResidualUNet(Generator):
    """A U-Net of residual blocks that works where colour lives: coarsely, and on the whole picture.

    Chroma is smooth and is decided by what the picture shows, so no layer with weights runs at full
    resolution, and five sixths of the arithmetic happen at a quarter of the picture's side and coarser:

    - a stem that moves blocks of stem x stem pixels into channels (pixel unshuffle): nothing of L or of the
      hints is lost, and the first convolution runs over a fraction of the places;
    - an encoder of strided 2x2 convolutions that touch every value once, with bottleneck blocks between them;
    - at the coarsest level a vector of the whole picture (`Context`), which with z steers every level of the
      decoder;
    - a decoder that narrows before it enlarges, adds the encoder's features of the same size instead of
      appending them, and enlarges bilinearly, which has no chequerboard;
    - ab at the stem's resolution, enlarged bilinearly;
    - hints, where it takes them, beside L at every level of the encoder (`coarser_hints`).

    An odd side is padded at the level where it occurs and cut again on the way back. The memory format is
    channels last: on a CPU it makes enlarging ten times and norms twice as fast, and it is what tensor cores
    want.

    Args:
        in_channels: channels of the condition.
        out_channels: channels to predict; 2 for ab.
        base_channels: channels of the first level; they double at each.
        levels: how often the picture is halved, the stem included.
        blocks: residual blocks at the coarsest level; the others have one on each way, the finest one has it
            on the way back only.
        stem: 1, 2 or 4: the resolution of the finest level is the picture's divided by it.
        norm: normalisation: nn.BatchNorm2d, nn.InstanceNorm2d or nn.Identity (none). In training, batch norm
            needs more than one place at the coarsest level: several pictures, or sides above 2**levels.
        hint_channels, z_channels: see Generator.
        num_bins: bins of the distribution over ab that it predicts beside ab, at twice the stem's coarseness;
            0 for none.
        context: whether the picture as a whole steers the decoder; without it the receptive field is finite.
        tanh: bound the output to [-1, 1]; False for logits (segmentation).

    Raises:
        ValueError: levels, stem, blocks or norm out of range.

    Reference: Ronneberger et al. 2015 and He et al. 2016 for the two ideas; Shi et al. 2016 for pixel
    (un)shuffle. The combination is ours; what each part gives: colorlib/course/long/design.py.
    """

    def __init__(
        self,
        in_channels: int = 1,
        out_channels: int = 2,
        base_channels: int = 32,
        levels: int = 4,
        blocks: int = 2,
        stem: int = 2,
        norm: type[nn.Module] = nn.BatchNorm2d,
        hint_channels: int = 0,
        z_channels: int = 0,
        num_bins: int = 0,
        context: bool = True,
        tanh: bool = True,
    ) -> None:
        super().__init__(in_channels, hint_channels, z_channels)
        if stem not in (1, 2, 4):
            raise ValueError(f"stem is {stem}; it is 1, 2 or 4: the side in pixels of the finest places")
        if levels <= stem // 2:
            raise ValueError(f"levels is {levels}; with stem={stem} at least {stem // 2 + 1} are needed")
        if blocks < 1:
            raise ValueError(f"blocks is {blocks}; the coarsest level needs at least 1")
        if norm not in NORMS.values():
            raise ValueError(f"norm is {norm}; choose one of {', '.join('nn.' + name for name in NORMS)}")
        self.config = {
            "in_channels": in_channels, "out_channels": out_channels, "base_channels": base_channels,
            "levels": levels, "blocks": blocks, "stem": stem, "norm": norm.__name__,
            "hint_channels": hint_channels, "z_channels": z_channels, "num_bins": num_bins,
            "context": context, "tanh": tanh,
        }  # fmt: skip
        self.stem, self.tanh = stem, tanh
        widths = [base_channels * 2**level for level in range(levels - stem // 2 + 1)]
        self.entry = nn.Conv2d((in_channels + hint_channels) * stem**2, widths[0], 3, padding=1)
        start(self.entry)
        self.hints = nn.ModuleList(nn.Conv2d(hint_channels, width, 1) for width in widths if hint_channels)
        for layer in self.hints:
            start(layer, HINTS)
        self.downs = nn.ModuleList(Halve(fine, coarse, norm) for fine, coarse in zip(widths, widths[1:]))
        self.encoder = nn.ModuleList(
            nn.Sequential(*(BottleneckBlock(width, norm) for _ in range(depth)))
            for width, depth in zip(widths[1:], [1] * (len(widths) - 2) + [blocks])
        )
        finer = widths[-2::-1]  # from the second coarsest level to the finest
        self.context = Context(widths[-1], z_channels, context, finer) if context or z_channels else None
        self.ups = nn.ModuleList(Double(2 * width, width, norm) for width in finer)
        self.decoder = nn.ModuleList(BottleneckBlock(width, norm) for width in finer)
        self.norm = norm(widths[0])
        self.exit = nn.Conv2d(widths[0], out_channels, 3, padding=1)
        start(self.exit, LAST)
        self.bins = nn.Conv2d(widths[1], num_bins, 1) if num_bins else None
        self.to(memory_format=torch.channels_last)

    def predict_from(self, x: Tensor) -> Prediction:
        height, width = x.shape[-2:]
        z = None
        if self.z_channels:
            x, z = x[:, : -self.z_channels], x[:, -self.z_channels :, 0, 0]  # z is the same at every place
        given = x[:, self.in_channels :] if self.hint_channels else None  # the hints, (B, 3, H, W)
        x = F.pixel_unshuffle(padded(x, self.stem), self.stem)  # (B, C stem^2, h, w)
        x = self.entry(x.contiguous(memory_format=torch.channels_last))
        features: list[Tensor] = []
        for level in range(len(self.downs) + 1):
            if level > 0:
                features.append(x)
                x = self.downs[level - 1](x)
            if given is not None:
                given = coarser_hints(given, 2 if level else self.stem)
                # where there is none (1 - mask): then the layer learns from pictures without hints too
                x = x + self.hints[level](torch.cat([1 - given[:, :1], given[:, 1:]], dim=1))
            if level > 0:
                x = self.encoder[level - 1](x)
        shifts = [0.0] * len(self.ups) if self.context is None else self.context(x, z)
        bins = None
        for up, block, shift in zip(self.ups, self.decoder, shifts):
            if self.bins is not None and up is self.ups[-1]:
                bins = self.bins(x)
            x = block(up(x, features.pop(), shift))
        x = self.exit(F.relu(self.norm(x)))
        if self.stem > 1:
            x = F.interpolate(x, scale_factor=self.stem, mode="bilinear")[..., :height, :width]
        return Prediction(torch.tanh(x) if self.tanh else x, bins)
