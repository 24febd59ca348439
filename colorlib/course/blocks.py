"""The textbook's residual block, and fastai's DynamicUnet on torchvision's ResNet-18 as a generator (needs fastai)."""

import pickle
import warnings
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models import ResNet18_Weights, resnet18

from colorlib.generators import Generator, Prediction
from colorlib.generators.residual_unet import AFTER_RELU, start
from colorlib.training.weights import NETWORKS


class ResidualBlock(nn.Module):
    """The textbook block: two 3x3 convolutions whose result is added to the input.

        pre-activation:  shortcut(x) + conv(relu(norm(conv(relu(norm(x))))))      (He et al. 2016b)
        original:        relu(shortcut(x) + norm(conv(relu(norm(conv(x))))))      (He et al. 2016a)

    The shortcut is the identity where input and output have the same shape, otherwise a 1x1 convolution; shortcut=False
    leaves it out: the same layers as a plain network. norm is made as norm(channels), nn.Identity for none; stride is
    that of the first convolution. Weights start as in He et al. 2015.

    Reference: He et al. 2016a, Deep residual learning for image recognition; 2016b, Identity mappings.
    """

    def __init__(self, channels_in: int, channels_out: int, norm: type[nn.Module] = nn.BatchNorm2d,
                 pre_activation: bool = True, stride: int = 1, shortcut: bool = True) -> None:
        super().__init__()
        self.pre_activation = pre_activation
        bias = norm is nn.Identity  # a norm after the convolution would subtract it again
        self.conv1 = nn.Conv2d(channels_in, channels_out, 3, stride, padding=1, bias=bias)
        self.conv2 = nn.Conv2d(channels_out, channels_out, 3, padding=1, bias=bias)
        self.norm1 = norm(channels_in if pre_activation else channels_out)
        self.norm2 = norm(channels_out)
        same = channels_in == channels_out and stride == 1
        self.shortcut = None if not shortcut else nn.Identity() if same else nn.Conv2d(
            channels_in, channels_out, 1, stride, bias=False)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                start(module, AFTER_RELU)

    def forward(self, x: Tensor) -> Tensor:  # (B, channels_in, H, W) -> (B, channels_out, ...)
        if self.pre_activation:
            branch = self.conv1(F.relu(self.norm1(x)))
            branch = self.conv2(F.relu(self.norm2(branch)))
        else:
            branch = F.relu(self.norm1(self.conv1(x)))
            branch = self.norm2(self.conv2(branch))
        total = branch if self.shortcut is None else self.shortcut(x) + branch
        return total if self.pre_activation else F.relu(total)


class DynamicUNet(Generator):
    """A U-Net with a ResNet-18 as encoder, which may start from ImageNet weights; fastai builds the decoder to fit.

    The encoder halves the picture five times. Each decoder step doubles it by pixel shuffle (and a blur over 2 x 2,
    against its chequerboard), appends the encoder's features of that size, and has two 3x3 convolutions; the last one
    appends the picture itself. L is repeated to three channels and normalised as torchvision's networks expect it;
    L / 100 stands in for the sRGB value of a grey pixel, from which it differs by at most 0.035.

    pretrained=True starts the encoder from ImageNet weights if torch hub's cache holds them, or with download=True,
    which fetches missing ones (45 MB); else it prints that they are missing, and starts at random. The attribute
    `pretrained` holds what happened.

    Raises ImportError without fastai, ValueError for download without pretrained or a damaged file in the cache.

    Reference: fastai, vision.models.unet; Ronneberger et al. 2015; Shi et al. 2016 and Aitken et al. 2017.
    """

    def __init__(self, out_channels: int = 2, pretrained: bool = False, download: bool = False) -> None:
        super().__init__(in_channels=1, hint_channels=0, z_channels=0)
        if download and not pretrained:
            raise ValueError("download=True with pretrained=False: there is nothing to download; set pretrained=True")
        self.config = {"out_channels": out_channels}  # a weights file includes the encoder: loading it needs no others
        self.pretrained = pretrained and (download or cached_imagenet().is_file())
        if pretrained and not self.pretrained:
            print(f"no ImageNet weights in torch hub's cache ({cached_imagenet().name}): the encoder starts at random; "
                  "download=True fetches them (45 MB)")
        encoder = nn.Sequential(*list(_encoder(self.pretrained).children())[:-2])  # without pooling and classifier
        # with a picture of 64 x 64 fastai finds where the encoder halves it; any size works later
        self.unet = _fastai_unet()(encoder, out_channels, (64, 64), blur=True, blur_final=True)
        expects = ResNet18_Weights.IMAGENET1K_V1.transforms()
        self.register_buffer("mean", torch.tensor(expects.mean)[:, None, None], persistent=False)
        self.register_buffer("std", torch.tensor(expects.std)[:, None, None], persistent=False)
        self.train()  # fastai leaves the layers that it tried in evaluation mode

    @property
    def encoder(self) -> nn.Sequential:
        """The part that came from ResNet-18: freeze it, or give it a smaller learning rate."""
        return self.unet.layers[0]

    def predict_from(self, x: Tensor) -> Prediction:
        return Prediction(torch.tanh(self.unet(((x + 1) / 2 - self.mean) / self.std)))  # 1 -> 3 -> out channels


NETWORKS[DynamicUNet.__name__] = DynamicUNet  # so that `load_generator` builds it once this module is imported


def cached_imagenet() -> Path:
    """Where torch hub keeps the ImageNet weights of ResNet-18, whether they are there or not."""
    return Path(torch.hub.get_dir()) / "checkpoints" / ResNet18_Weights.IMAGENET1K_V1.url.rsplit("/", 1)[-1]


def _encoder(pretrained: bool) -> nn.Module:
    """ResNet-18; torch hub fetches missing weights and checks the download against the hash in the file's name."""
    try:
        return resnet18(weights=ResNet18_Weights.IMAGENET1K_V1 if pretrained else None)
    except (RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise ValueError(f"{cached_imagenet()} is damaged ({error}): delete it and load it again") from error


def _fastai_unet() -> type[nn.Module]:
    """fastai's DynamicUnet, imported without the warnings that its own imports raise under newer torch."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from fastai.vision.models.unet import DynamicUnet
    except ImportError as error:
        raise ImportError("DynamicUNet needs fastai, which the extra `notebooks` installs: "
                          "pip install 'colorlib[notebooks]'") from error
    return DynamicUnet
