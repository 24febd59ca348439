"""PatchGAN discriminators, the Wasserstein critic, and the receptive field of a stack of convolutions."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from colorlib.checks import need_floats

# receptive field in pixels -> number of stride-2 convolutions (Isola et al. 2017, appendix 6.1.2); 1 is the PixelGAN
STRIDED_LAYERS = {1: 0, 16: 1, 34: 2, 70: 3, 142: 4, 286: 5}


class PatchDiscriminator(nn.Module):
    """Predicts for every patch of a picture whether it is real; with a condition, whether the pair is real.

    Args:
        image_channels, condition_channels: 2 for ab, 3 for RGB; 1 for L, 0 makes it ignore the condition.
        receptive_field: side of the patch in pixels, a key of `STRIDED_LAYERS`, else ValueError: 70 is pix2pix's.
        base_channels: channels after the first convolution; they double up to 8 times that.
        norm: normalisation after every convolution but the first and the last.

    Reference: Isola et al. 2017, section 3.2.2 and appendix 6.1.2.
    """

    def __init__(self, image_channels: int = 2, condition_channels: int = 1, receptive_field: int = 70,
                 base_channels: int = 64, norm: type[nn.Module] = nn.BatchNorm2d) -> None:
        super().__init__()
        if receptive_field not in STRIDED_LAYERS:
            raise ValueError(f"receptive_field is {receptive_field}; choose one of {sorted(STRIDED_LAYERS)}")
        self.image_channels, self.condition_channels = image_channels, condition_channels
        strides, kernel = [2] * STRIDED_LAYERS[receptive_field] or [1], 1 if receptive_field == 1 else 4
        # the strides halve a side, and the last two convolutions of kernel 4 each take a pixel off it
        self.smallest = 1 if kernel == 1 else 3 * 2 ** STRIDED_LAYERS[receptive_field]
        channels = image_channels + condition_channels
        layers: list[nn.Module] = []
        for depth, stride in enumerate(strides + [1]):
            width = base_channels * min(2**depth, 8)
            # a bias before a normalisation would be subtracted again
            normed = depth > 0 and norm is not nn.Identity
            layers.append(nn.Conv2d(channels, width, kernel, stride, padding=kernel // 4, bias=not normed))
            layers += [*([norm(width)] if normed else []), nn.LeakyReLU(0.2, inplace=True)]
            channels = width
        layers.append(nn.Conv2d(channels, 1, kernel, padding=kernel // 4))
        self.layers = nn.Sequential(*layers)
        self.apply(init_weights)

    def forward(self, condition: Tensor | None, image: Tensor) -> Tensor:
        """Logits (B, 1, h, w), one per patch, positive for real, of `image` (B, image_channels, H, W) given `condition`
        (B, condition_channels, H, W); ValueError for a condition that does not fit or a picture that is too small."""
        need_floats(self.layers[0].weight, image=image)
        if image.ndim != 4 or image.shape[1] != self.image_channels:
            raise ValueError(f"the picture has shape {tuple(image.shape)}; it must be (B, {self.image_channels}, H, W)")
        if self.condition_channels:
            expected = (image.shape[0], self.condition_channels, *image.shape[-2:])
            actual = tuple(condition.shape) if isinstance(condition, Tensor) else None
            if actual != expected:
                raise ValueError(f"the condition has shape {actual}; for this picture it must be {expected}")
            need_floats(self.layers[0].weight, condition=condition)
            image = torch.cat([condition, image], dim=1)  # (B, condition + image, H, W)
        if min(image.shape[-2:]) < self.smallest:
            raise ValueError(f"the picture is {image.shape[-2]} x {image.shape[-1]}; this discriminator (receptive "
                             f"field {receptive_field(self)}) needs sides of at least {self.smallest}: take a smaller "
                             "receptive_field or larger pictures")
        return self.layers(image)


class Critic(PatchDiscriminator):
    """A PatchDiscriminator as Wasserstein critic: unbounded scores, one per patch; their mean is the picture's value.

    The arguments are PatchDiscriminator's. Batch norm raises ValueError: the gradient penalty holds for the critic as a
    function of one picture, and batch norm mixes the pictures of a batch.

    Reference: Arjovsky et al. 2017; Gulrajani et al. 2017, section 4, 'No critic batch normalization'.
    """

    def __init__(self, image_channels: int = 2, condition_channels: int = 1, receptive_field: int = 70,
                 base_channels: int = 64, norm: type[nn.Module] = nn.Identity) -> None:
        if issubclass(norm, nn.modules.batchnorm._BatchNorm):
            raise ValueError(f"norm is {norm.__name__}: a critic under a gradient penalty cannot have batch norm, "
                             "which mixes the pictures of a batch; take nn.Identity or nn.InstanceNorm2d")
        super().__init__(image_channels, condition_channels, receptive_field, base_channels, norm)
        for layer in self.layers:
            if isinstance(layer, nn.Conv2d):  # N(0, 0.02) without batch norm keeps the scores near 0 for many steps
                nn.init.kaiming_normal_(layer.weight, a=0.2)


class MultiScale(nn.Module):
    """Several critics, each called as critic(condition, image): at half the side, a quarter, and so on (Wang et al.
    2018, pix2pixHD, section 3.2; there from full size). At a small size a critic covers the whole picture."""

    def __init__(self, critics: Sequence[nn.Module]) -> None:
        super().__init__()
        self.critics = nn.ModuleList(critics)

    def forward(self, condition: Tensor | None, image: Tensor) -> Tensor:
        """One score per critic, (B, critics, 1, 1): the mean over its patches."""
        scores = []
        for critic in self.critics:
            condition, image = (None if x is None else F.avg_pool2d(x, 2) for x in (condition, image))
            scores.append(critic(condition, image).mean((2, 3), keepdim=True))
        return torch.cat(scores, dim=1)


def receptive_field(module: nn.Module) -> int:
    """Side in pixels of the input square that one output of a chain of Conv2d and pooling layers, without branches,
    depends on: a kernel of k widens the field by (k - 1) times the product of the strides before it."""
    field, jump = 1, 1
    for part in module.modules():
        if isinstance(part, (nn.Conv2d, nn.MaxPool2d, nn.AvgPool2d)):
            kernel, stride, dilation = (value if isinstance(value, int) else value[0] for value in (
                part.kernel_size, part.stride, getattr(part, "dilation", 1)))
            field += (kernel - 1) * dilation * jump
            jump *= stride
    return field


def init_weights(module: nn.Module) -> None:
    """pix2pix's start: convolutions from N(0, 0.02), norm scales from N(1, 0.02), biases 0 (appendix 6.2)."""
    if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)):
        nn.init.normal_(module.weight, 0.0, 0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
        nn.init.zeros_(module.bias)
