"""The residual U-Net. Import it from `colorlib.generators`."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from colorlib.generators.base import Generator, Prediction, check_norm

AFTER_RELU = 2**0.5  # He et al. 2015: a ReLU halves the variance
HINTS = 3.0  # ab / 110 is small, so the layers of hints start larger
LAST = 0.1  # last layers start small: blocks begin close to the identity, the picture close to grey


class BottleneckBlock(nn.Module):
    """Identity plus: 1x1 convolution to half the channels, 3x3 convolution, 1x1 convolution back (He et al. 2016a,
    4.1; here pre-activated, no norm before the 3x3 convolution): less than a fifth of the textbook block's work."""

    def __init__(self, channels: int, norm: type[nn.Module]) -> None:
        super().__init__()
        inner = max(1, channels // 2)
        self.norm1, self.reduce = norm(channels), nn.Conv2d(channels, inner, 1)
        self.conv = nn.Conv2d(inner, inner, 3, padding=1, bias=norm is nn.Identity)
        self.norm2, self.widen = norm(inner), nn.Conv2d(inner, channels, 1)
        start(self.reduce), start(self.conv, AFTER_RELU), start(self.widen, LAST)

    def forward(self, x: Tensor) -> Tensor:  # (B, C, H, W) -> (B, C, H, W)
        return x + self.widen(F.relu(self.norm2(self.conv(F.relu(self.reduce(self.norm1(x)))))))


def level_of(width: int, depth: int, norm: type[nn.Module] = nn.BatchNorm2d) -> nn.Sequential:
    return nn.Sequential(*(BottleneckBlock(width, norm) for _ in range(depth)))


class Halve(nn.Module):
    """Halve the picture: norm - 2x2 convolution with stride 2."""

    def __init__(self, channels_in: int, channels_out: int, norm: type[nn.Module]) -> None:
        super().__init__()
        self.norm, self.conv = norm(channels_in), nn.Conv2d(channels_in, channels_out, 2, stride=2)
        start(self.conv)

    def forward(self, x: Tensor) -> Tensor:  # (B, C, H, W) -> (B, channels_out, ceil(H / 2), ceil(W / 2))
        return self.conv(padded(self.norm(x), 2))


class Double(nn.Module):
    """Double the picture, add the encoder's features: norm - 1x1 convolution - shift - bilinear - sum."""

    def __init__(self, channels_in: int, channels_out: int, norm: type[nn.Module]) -> None:
        super().__init__()
        self.norm, self.conv = norm(channels_in), nn.Conv2d(channels_in, channels_out, 1)
        start(self.conv)

    def forward(self, x: Tensor, finer: Tensor, shift: Tensor | float) -> Tensor:
        # the convolution comes first, so that half as many channels are enlarged
        x = F.interpolate(self.conv(self.norm(x)) + shift, scale_factor=2, mode="bilinear")
        return x[..., : finer.shape[-2], : finer.shape[-1]] + finer


def coarser_hints(hints: Tensor, factor: int) -> Tensor:
    """Hints (mask, a, b) for a picture `factor` times smaller: in each place the mean of its hints, undiluted."""
    share, ab = F.avg_pool2d(padded(hints, factor), factor).split((1, 2), dim=1)
    there = share > 0
    return torch.cat([there.to(hints.dtype), ab / share.where(there, torch.ones_like(share)) * there], dim=1)


def unhinted(hints: Tensor) -> Tensor:
    """Hints with 1 - mask for the mask, so that pictures without hints train its weights too."""
    return torch.cat([1 - hints[:, :1], hints[:, 1:]], dim=1)


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


class Context(nn.Module):
    """A vector of the whole picture and z, which shifts the channels of every level of the decoder.

    It comes before the norm and the ReLU of the next block, so it also switches channels on and off. `channels` are
    those of the coarsest features, which take part if `pooled`; `widths` the decoder's, from coarse to fine.
    """

    def __init__(self, channels: int, z_channels: int, pooled: bool, widths: list[int]) -> None:
        super().__init__()
        # two layers, so that the few numbers of z start with as much weight as the picture's hundreds
        self.of_picture = nn.Linear(2 * channels, channels) if pooled else None
        self.of_z = nn.Linear(z_channels, channels) if z_channels else None
        self.heads = nn.ModuleList(nn.Linear(channels, width) for width in widths)
        for layer in filter(None, (self.of_picture, self.of_z)):
            start(layer)
        for head in self.heads:
            start(head, LAST)

    @staticmethod
    def pool(x: Tensor) -> Tensor:
        """Mean and deviation of every channel, normalised: (B, C, h, w) -> (B, 2 C)."""
        exact = x.float() if x.dtype in (torch.float16, torch.bfloat16) else x  # squares overflow 16 bits
        mean = exact.mean(dim=(2, 3))
        deviation = (exact - mean[:, :, None, None]).square().mean(dim=(2, 3)).add(1e-6).sqrt()
        # normalised, or the scale of the residual stream enters and large learning rates fail
        return F.layer_norm(torch.cat([mean, deviation], dim=1), [2 * x.shape[1]]).to(x.dtype)

    def forward(self, x: Tensor, z: Tensor | None) -> list[Tensor]:
        """A shift (B, width, 1, 1) for every level, from x (B, channels, h, w) and z (B, z_channels)."""
        vector = 0.0 if self.of_picture is None else self.of_picture(self.pool(x))
        vector = F.relu(vector if self.of_z is None else vector + self.of_z(z))
        return [head(vector)[:, :, None, None] for head in self.heads]


class ResidualUNet(Generator):
    """A U-Net of residual blocks; chroma is smooth, so no layer with weights runs at full resolution.

    The stem moves blocks of stem x stem pixels into channels. The encoder has strided 2x2 convolutions with bottleneck
    blocks between them; hints enter at every level. At the coarsest level a vector of the whole picture (`Context`),
    with z, shifts every level of the decoder, which enlarges bilinearly and adds the encoder's features. ab is
    predicted at the stem's resolution and enlarged. An odd side is padded at its level and cut on the way back. Memory
    is channels last: on a CPU this makes enlarging ten times and norms twice as fast.

    Args:
        in_channels, hint_channels, z_channels: see Generator; out_channels: 2 for ab.
        base_channels: channels of the first level; they double at each.
        levels: how often the picture is halved, the stem included.
        blocks: residual blocks at the coarsest level; the others have one on each way, the finest on the way back only.
        stem: 1, 2 or 4: the side of the finest level is the picture's divided by it.
        norm: nn.BatchNorm2d (trained with several pictures or sides above 2**levels), nn.InstanceNorm2d, nn.Identity.
        num_bins: bins of the distribution over ab, predicted at half the stem's resolution; 0 for none.
        context: whether the whole picture acts on the decoder; without it the receptive field is finite.
        tanh: bound the output to [-1, 1]; False for logits (segmentation).

    Reference: Ronneberger et al. 2015; He et al. 2016; Shi et al. 2016, pixel unshuffle. The combination is ours.
    """

    def __init__(self, in_channels: int = 1, out_channels: int = 2, base_channels: int = 32, levels: int = 4,
                 blocks: int = 2, stem: int = 2, norm: type[nn.Module] = nn.BatchNorm2d, hint_channels: int = 0,
                 z_channels: int = 0, num_bins: int = 0, context: bool = True, tanh: bool = True) -> None:
        super().__init__(in_channels, hint_channels, z_channels)
        if stem not in (1, 2, 4):
            raise ValueError(f"stem is {stem}; it is 1, 2 or 4: the side in pixels of the finest places")
        if not stem // 2 < levels <= 16:
            raise ValueError(f"levels is {levels}; with stem={stem} at least {stem // 2 + 1} are needed, at most 16")
        if not 1 <= blocks <= 99:
            raise ValueError(f"blocks is {blocks}; the coarsest level has 1 to 99")
        check_norm(norm)
        self.config = {"in_channels": in_channels, "out_channels": out_channels, "base_channels": base_channels,
                       "levels": levels, "blocks": blocks, "stem": stem, "norm": norm.__name__,
                       "hint_channels": hint_channels, "z_channels": z_channels, "num_bins": num_bins,
                       "context": context, "tanh": tanh}
        self.stem, self.tanh = stem, tanh
        widths = [base_channels * 2**level for level in range(levels - stem // 2 + 1)]
        self.entry = nn.Conv2d((in_channels + hint_channels) * stem**2, widths[0], 3, padding=1)
        start(self.entry)
        self.hints = nn.ModuleList(nn.Conv2d(hint_channels, width, 1) for width in widths if hint_channels)
        for layer in self.hints:
            start(layer, HINTS)
        self.downs = nn.ModuleList(Halve(fine, coarse, norm) for fine, coarse in zip(widths, widths[1:]))
        self.encoder = nn.ModuleList(level_of(width, depth, norm)
                                     for width, depth in zip(widths[1:], [1] * (len(widths) - 2) + [blocks]))
        finer = widths[-2::-1]  # from the second coarsest level to the finest
        self.context = Context(widths[-1], z_channels, context, finer) if context or z_channels else None
        self.ups = nn.ModuleList(Double(2 * width, width, norm) for width in finer)
        self.decoder = nn.ModuleList(BottleneckBlock(width, norm) for width in finer)
        self.norm, self.exit = norm(widths[0]), nn.Conv2d(widths[0], out_channels, 3, padding=1)
        start(self.exit, LAST)
        self.bins = nn.Conv2d(widths[1], num_bins, 1) if num_bins else None
        self.to(memory_format=torch.channels_last)

    def predict_from(self, x: Tensor) -> Prediction:
        height, width = x.shape[-2:]
        _, given, z = self.parts_of(x)
        x = x[:, : self.in_channels + self.hint_channels]
        x = F.pixel_unshuffle(padded(x, self.stem), self.stem)  # (B, C stem^2, h, w)
        x, features = self.entry(x.contiguous(memory_format=torch.channels_last)), []
        for level in range(len(self.downs) + 1):
            if level > 0:
                features.append(x)
                x = self.downs[level - 1](x)
            if self.hint_channels:
                given = coarser_hints(given, 2 if level else self.stem)
                x = x + self.hints[level](unhinted(given))
            if level > 0:
                x = self.encoder[level - 1](x)
        shifts, bins = [0.0] * len(self.ups) if self.context is None else self.context(x, z), None
        for up, block, shift in zip(self.ups, self.decoder, shifts):
            if self.bins is not None and up is self.ups[-1]:
                bins = self.bins(x)
            x = block(up(x, features.pop(), shift))
        x = self.exit(F.relu(self.norm(x)))
        if self.stem > 1:
            x = F.interpolate(x, scale_factor=self.stem, mode="bilinear")[..., :height, :width]
        return Prediction(torch.tanh(x) if self.tanh else x, bins)
