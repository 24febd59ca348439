"""Generators, all called the same way: `generator(L, hints=None, z=None) -> Prediction`."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .discriminators import init_weights

# the normalisations that a weights file may name
NORMS = {norm.__name__: norm for norm in (nn.BatchNorm2d, nn.InstanceNorm2d, nn.Identity)}


class Prediction(NamedTuple):
    """What a generator says of a batch.

    ab: (B, out_channels, H, W), the predicted channels; for a colorizer ab / 110.
    bins: logits over ab bins (B, bins, h, w) where the network has them, else None.
    """

    ab: Tensor
    bins: Tensor | None = None


class Generator(nn.Module):
    """The one call that every generator shares. A subclass sets `config` and implements `predict_from(x)`.

    Args:
        in_channels: channels of the condition (1 for L).
        hint_channels: 3 when the generator takes hints (mask, a, b), else 0.
        z_channels: channels of the noise that is appended to the condition, else 0.
    """

    config: dict  # the constructor's arguments, JSON-able: a weights file rebuilds the network from them

    def __init__(self, in_channels: int, hint_channels: int, z_channels: int) -> None:
        super().__init__()
        if hint_channels not in (0, 3):
            raise ValueError(f"hint_channels is {hint_channels}; it is 3 (mask, a, b) or 0 (takes no hints)")
        self.in_channels, self.hint_channels, self.z_channels = in_channels, hint_channels, z_channels

    def forward(self, L: Tensor, hints: Tensor | None = None, z: Tensor | None = None) -> Prediction:
        """Predict from the condition.

        Args:
            L: (B, in_channels, H, W), any H and W; for a colorizer L / 50 - 1.
            hints: (B, 3, H, W): mask (1 where a colour is given), then ab / 110 there and 0 elsewhere.
                None is no hint at all.
            z: noise (B, z_channels); None draws it from N(0, 1).

        Returns:
            A Prediction of the same height and width.

        Raises:
            ValueError: a shape that does not fit, or hints or z for a generator that takes none.
        """
        if L.dim() != 4 or L.shape[1] != self.in_channels:
            raise ValueError(
                f"the condition has shape {tuple(L.shape)}; this generator takes (B, {self.in_channels}, H, W)"
            )
        parts, (batch, _, height, width) = [L], L.shape
        if hints is not None and not self.hint_channels:
            raise ValueError("this generator takes no hints; make it with hint_channels=3, or call it without hints")
        if z is not None and not self.z_channels:
            raise ValueError("this generator takes no z; make it with z_channels > 0, or call it without z")
        if self.hint_channels:
            hints = L.new_zeros(batch, 3, height, width) if hints is None else hints
            if hints.shape != (batch, 3, height, width):
                raise ValueError(f"hints have shape {tuple(hints.shape)}; needed is {(batch, 3, height, width)}")
            parts.append(hints)
        if self.z_channels:
            z = torch.randn(batch, self.z_channels, device=L.device, dtype=L.dtype) if z is None else z
            if z.shape != (batch, self.z_channels):
                raise ValueError(f"z has shape {tuple(z.shape)}; needed is {(batch, self.z_channels)}")
            parts.append(z[:, :, None, None].expand(-1, -1, height, width))  # one vector per picture, everywhere
        return self.predict_from(torch.cat(parts, dim=1))

    def predict_from(self, x: Tensor) -> Prediction:
        """Predict from condition, hints and noise, joined to one (B, C, H, W)."""
        raise NotImplementedError


class Down(nn.Module):
    """Halve the picture: LeakyReLU - 4x4 convolution with stride 2 - norm, as in pix2pix."""

    def __init__(self, channels_in: int, channels_out: int, norm: type[nn.Module] | None, activate: bool) -> None:
        super().__init__()
        self.activate = activate
        normed = norm is not None and norm is not nn.Identity
        self.conv = nn.Conv2d(channels_in, channels_out, 4, stride=2, padding=1, bias=not normed)
        self.norm = norm(channels_out) if normed else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:  # (B, C, H, W) -> (B, channels_out, ceil(H / 2), ceil(W / 2))
        height, width = x.shape[-2:]
        if height % 2 or width % 2:
            # one more row or column where a side is odd, so that any size goes through and none is cut off
            x = F.pad(x, (0, width % 2, 0, height % 2), mode="replicate")
        return self.norm(self.conv(F.leaky_relu(x, 0.2) if self.activate else x))


class Up(nn.Module):
    """Double the picture: ReLU - 4x4 transposed convolution with stride 2 - norm - dropout, cut to `size`."""

    def __init__(self, channels_in: int, channels_out: int, norm: type[nn.Module] | None, dropout: float) -> None:
        super().__init__()
        normed = norm is not None and norm is not nn.Identity
        self.conv = nn.ConvTranspose2d(channels_in, channels_out, 4, stride=2, padding=1, bias=not normed)
        self.norm = norm(channels_out) if normed else nn.Identity()
        self.dropout = dropout
        self.noise = False

    def forward(self, x: Tensor, size: torch.Size) -> Tensor:
        x = self.norm(self.conv(F.relu(x)))[..., : size[0], : size[1]]
        return F.dropout(x, self.dropout, training=self.training or self.noise) if self.dropout else x


class UNet(Generator):
    """pix2pix's U-Net: an encoder of strided convolutions, a decoder that mirrors it, and a skip at every level.

    With levels=8 and base_channels=64 it is the network of the paper (54 M parameters). Differences: an odd side is
    padded by one at the level where it occurs, so any size works; the innermost level has no norm, as in the authors'
    code (a batch norm over one 1 x 1 picture would erase it).

    Args:
        in_channels: channels of the condition.
        out_channels: channels to predict; 2 for ab.
        base_channels: channels of the first level; they double up to 8 times that.
        levels: how often the picture is halved; at most log2 of the shorter side is useful.
        skips: join each encoder level to the decoder level of the same size. False cuts them (claim C22).
        dropout: rate in the inner decoder levels (up to three, never the outermost); pix2pix's noise.
        norm: normalisation: nn.BatchNorm2d, nn.InstanceNorm2d or nn.Identity (none).
        hint_channels, z_channels: see Generator.
        tanh: bound the output to [-1, 1]; False for logits (segmentation).

    Raises:
        ValueError: fewer than 2 levels, or a norm that a weights file could not name.

    Reference: Isola et al. 2017, appendix 6.1.1; Ronneberger et al. 2015.
    """

    def __init__(
        self,
        in_channels: int = 1,
        out_channels: int = 2,
        base_channels: int = 64,
        levels: int = 8,
        skips: bool = True,
        dropout: float = 0.5,
        norm: type[nn.Module] = nn.BatchNorm2d,
        hint_channels: int = 0,
        z_channels: int = 0,
        tanh: bool = True,
    ) -> None:
        super().__init__(in_channels, hint_channels, z_channels)
        if levels < 2:
            raise ValueError(f"levels is {levels}; a U-Net needs at least 2")
        if norm not in NORMS.values():
            raise ValueError(f"norm is {norm}; choose one of {', '.join('nn.' + name for name in NORMS)}")
        self.config = {
            "in_channels": in_channels, "out_channels": out_channels, "base_channels": base_channels,
            "levels": levels, "skips": skips, "dropout": dropout, "norm": norm.__name__,
            "hint_channels": hint_channels, "z_channels": z_channels, "tanh": tanh,
        }
        self.skips, self.tanh = skips, tanh
        widths = [base_channels * min(2**level, 8) for level in range(levels)]
        entries = [in_channels + hint_channels + z_channels, *widths]
        self.downs = nn.ModuleList(
            Down(entries[level], widths[level], norm if 0 < level < levels - 1 else None, activate=level > 0)
            for level in range(levels)
        )
        ups = []
        for level in reversed(range(levels)):
            # what comes from below, and beside it the encoder's output of the same size, except at the bottom
            incoming = widths[level] * (2 if skips and level < levels - 1 else 1)
            inner = levels - 4 <= level < levels - 1 and level > 0
            ups.append(
                Up(incoming, widths[level - 1] if level else out_channels, norm if level else None,
                   dropout if inner else 0.0)
            )
        self.ups = nn.ModuleList(ups)
        self.apply(init_weights)

    def use_noise(self, on: bool = True) -> UNet:
        """Keep dropout active in evaluation too, as pix2pix does to draw several answers. Returns self."""
        for up in self.ups:
            up.noise = on
        return self

    def predict_from(self, x: Tensor) -> Prediction:
        sizes, features = [], []
        for down in self.downs:
            sizes.append(x.shape[-2:])
            x = down(x)
            features.append(x)
        for index, up in enumerate(self.ups):
            level = len(self.downs) - 1 - index
            if self.skips and index > 0:
                x = torch.cat([x, features[level]], dim=1)  # (B, 2 C, h, w)
            x = up(x, sizes[level])
        return Prediction(torch.tanh(x) if self.tanh else x)


def predict(generator: Generator, L: Tensor, hints: Tensor | None = None, z: Tensor | None = None) -> Prediction:
    """Call a generator for its answer: in evaluation mode and without gradients; its mode is put back afterwards."""
    was_training = generator.training
    generator.eval()
    try:
        with torch.inference_mode():
            return generator(L, hints=hints, z=z)
    finally:
        generator.train(was_training)


def num_parameters(module: nn.Module) -> int:
    """Number of trainable parameters."""
    return sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad)
