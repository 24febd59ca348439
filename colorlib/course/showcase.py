"""The showcases: small generators that were trained for longer than a notebook has time for (data/weights/course).

    generator = showcase.load("03_digits")
    pictures = generator(torch.randn(8, 64), torch.full((8,), 7))      # eight sevens, (8, 1, 16, 16) in [-1, 1]

`python -m colorlib.course.long.showcases` trained them.
"""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from colorlib.runtime import shipped_folder
from colorlib.training.weights import NETWORKS, load_generator

NAMES = ("02_digits", "03_digits", "04_edges", "04_labels", "04_night", "04_grey", "06_scenes")


def one_hot(label: Tensor | None, num_labels: tuple[int, ...]) -> Tensor:
    """int64 (B,) or (B, k), a column for each entry of num_labels -> float (B, sum of num_labels)."""
    columns = () if label is None else label.reshape(len(label), -1).unbind(1)
    if len(columns) != len(num_labels):
        raise ValueError(f"the label is {None if label is None else tuple(label.shape)}; this network needs int64 "
                         f"(B, {len(num_labels)}), whose columns count to {num_labels}")
    return torch.cat([F.one_hot(column, count) for column, count in zip(columns, num_labels)], 1).float()


class Enlarge(nn.Module):
    """A residual block that doubles the side by nearest neighbours and two convolutions: no transposed convolution, so
    no chequerboard. Noise and label scale and shift the features after each norm (conditional batch norm)."""

    def __init__(self, channels_in: int, channels_out: int, inputs: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = (nn.BatchNorm2d(width, affine=False) for width in (channels_in, channels_out))
        self.scale1, self.scale2 = (nn.Linear(inputs, 2 * width) for width in (channels_in, channels_out))
        self.conv1 = nn.Conv2d(channels_in, channels_out, 3, padding=1)
        self.conv2 = nn.Conv2d(channels_out, channels_out, 3, padding=1)
        self.skip = nn.Conv2d(channels_in, channels_out, 1)

    def forward(self, x: Tensor, given: Tensor) -> Tensor:  # (B, channels_in, S, S) -> (B, channels_out, 2 S, 2 S)
        branch = F.interpolate(F.relu(scaled(self.norm1(x), self.scale1(given))), scale_factor=2.0)
        branch = self.conv2(F.relu(scaled(self.norm2(self.conv1(branch)), self.scale2(given))))
        return branch + F.interpolate(self.skip(x), scale_factor=2.0)


def scaled(x: Tensor, numbers: Tensor) -> Tensor:
    scale, shift = numbers[:, :, None, None].chunk(2, dim=1)
    return x * (1 + scale) + shift


class NoiseToPicture(nn.Module):
    """generator(z, label): z (B, z_channels), label None or int64 (B, k) for the k numbers of num_labels -> pictures
    (B, image_channels, S, S) in [-1, 1], S = 2 * 2^len(widths). `config` holds the arguments.

    Reference: Miyato et al. 2018, Spectral normalization for GANs, appendix B.4 (its blocks).
    """

    def __init__(self, widths: list[int], image_channels: int = 3, z_channels: int = 64, num_labels: tuple = ()):
        super().__init__()
        self.config = {"widths": list(widths), "image_channels": image_channels, "z_channels": z_channels,
                       "num_labels": list(num_labels)}
        self.z_channels, self.num_labels = z_channels, tuple(num_labels)
        inputs = z_channels + sum(num_labels)
        self.first = nn.Linear(inputs, widths[0] * 16)
        self.blocks = nn.ModuleList(Enlarge(wide, narrow, inputs) for wide, narrow in pairwise(widths))
        self.norm, self.last = nn.BatchNorm2d(widths[-1]), nn.Conv2d(widths[-1], image_channels, 3, padding=1)

    def forward(self, z: Tensor, label: Tensor | None = None) -> Tensor:
        given = torch.cat([z, one_hot(label, self.num_labels).to(z)], 1) if self.num_labels else z
        x = self.first(given).unflatten(1, (-1, 4, 4))
        for block in self.blocks:
            x = block(x, given)
        return torch.tanh(self.last(F.relu(self.norm(x))))


NETWORKS[NoiseToPicture.__name__] = NoiseToPicture  # so that `load_generator` builds it


def load(name: str) -> nn.Module:
    """The generator of a showcase, on the CPU in evaluation mode; ValueError where its file is missing or damaged."""
    path = shipped_folder("weights") / "course" / f"{name}.safetensors"
    if name not in NAMES or not path.is_file():
        raise ValueError(f"no showcase called {name!r} in {path.parent}; there are: "
                         f"{', '.join(sorted(file.stem for file in path.parent.glob('*.safetensors'))) or 'none'}")
    return load_generator(path)[0]
