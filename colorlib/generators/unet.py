"""pix2pix's U-Net."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from colorlib.discriminators import init_weights
from colorlib.generators.base import Generator, Prediction, check_norm
from colorlib.generators.residual_unet import padded
from colorlib.processes import dropout


class Down(nn.Module):
    """Halve the picture: LeakyReLU - 4x4 convolution with stride 2 - norm, as in pix2pix."""

    def __init__(self, channels_in: int, channels_out: int, norm: type[nn.Module], activate: bool) -> None:
        super().__init__()
        self.activate = activate
        self.conv = nn.Conv2d(channels_in, channels_out, 4, stride=2, padding=1, bias=norm is nn.Identity)
        self.norm = norm(channels_out)

    def forward(self, x: Tensor) -> Tensor:  # (B, C, H, W) -> (B, channels_out, ceil(H / 2), ceil(W / 2))
        x = padded(x, 2)
        return self.norm(self.conv(F.leaky_relu(x, 0.2) if self.activate else x))


class Up(nn.Module):
    """Double the picture: ReLU - 4x4 transposed convolution with stride 2 - norm - dropout, cut to `size`."""

    def __init__(self, channels_in: int, channels_out: int, norm: type[nn.Module], dropout: float) -> None:
        super().__init__()
        self.conv = nn.ConvTranspose2d(channels_in, channels_out, 4, stride=2, padding=1, bias=norm is nn.Identity)
        self.norm = norm(channels_out)
        self.dropout, self.noise = dropout, False

    def forward(self, x: Tensor, size: torch.Size) -> Tensor:
        x = self.norm(self.conv(F.relu(x)))[..., : size[0], : size[1]]
        return dropout(x, self.dropout, self.training or self.noise) if self.dropout else x


class UNet(Generator):
    """pix2pix's U-Net: an encoder of strided convolutions, a decoder that mirrors it, and a skip at every level.

    The defaults are the paper's network (54 M parameters), but an odd side is padded by one at its level, so any size
    works. The innermost level has no norm, as in the authors' code: a batch norm over one 1 x 1 picture would erase it.

    Args:
        in_channels, hint_channels, z_channels: see Generator; out_channels, norm and tanh: see ResidualUNet.
        base_channels: channels of the first level; they double up to 8 times that.
        levels: how often the picture is halved, 2 or more; at most log2 of the shorter side is useful.
        skips: join each encoder level to the decoder level of the same size.
        dropout: rate in the inner decoder levels (up to three, never the outermost); pix2pix's noise.

    Reference: Isola et al. 2017, appendix 6.1.1; Ronneberger et al. 2015.
    """

    def __init__(self, in_channels: int = 1, out_channels: int = 2, base_channels: int = 64, levels: int = 8,
                 skips: bool = True, dropout: float = 0.5, norm: type[nn.Module] = nn.BatchNorm2d,
                 hint_channels: int = 0, z_channels: int = 0, tanh: bool = True) -> None:
        super().__init__(in_channels, hint_channels, z_channels)
        if not 2 <= levels <= 16:
            raise ValueError(f"levels is {levels}; a U-Net has 2 to 16")
        check_norm(norm)
        self.config = {"in_channels": in_channels, "out_channels": out_channels, "base_channels": base_channels,
                       "levels": levels, "skips": skips, "dropout": dropout, "norm": norm.__name__,
                       "hint_channels": hint_channels, "z_channels": z_channels, "tanh": tanh}
        self.skips, self.tanh = skips, tanh
        widths = [base_channels * min(2**level, 8) for level in range(levels)]
        entries = [in_channels + hint_channels + z_channels, *widths]
        self.downs = nn.ModuleList(
            Down(entries[level], widths[level], norm if 0 < level < levels - 1 else nn.Identity, activate=level > 0)
            for level in range(levels))
        self.ups = nn.ModuleList()
        for level in reversed(range(levels)):
            # the deeper level's output and, except at the bottom, the encoder's
            incoming = widths[level] * (2 if skips and level < levels - 1 else 1)
            inner = levels - 4 <= level < levels - 1 and level > 0
            self.ups.append(Up(incoming, widths[level - 1] if level else out_channels, norm if level else nn.Identity,
                               dropout if inner else 0.0))
        self.apply(init_weights)

    def use_noise(self, on: bool = True) -> "UNet":
        """Keep dropout active in evaluation too, as pix2pix does to draw several answers; returns self."""
        for up in self.ups:
            up.noise = on
        return self

    def predict_from(self, x: Tensor) -> Prediction:
        features = [x]
        for down in self.downs:
            features.append(down(features[-1]))
        x = features[-1]
        for index, up in enumerate(self.ups, 1):
            x = torch.cat([x, features[-index]], dim=1) if self.skips and index > 1 else x
            x = up(x, features[-index - 1].shape[-2:])
        return Prediction(torch.tanh(x) if self.tanh else x)
