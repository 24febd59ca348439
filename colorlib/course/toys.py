"""The small networks of notebooks 02, 03 and 05, for points in the plane and for pictures, and what trains a GAN.

All take a label where they are made with num_labels > 0, else None, and are called

    generator(z, label) -> picture          discriminator(label, picture) -> (B, 1)
"""

import math
from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from colorlib.course.seeds import Ensemble
from colorlib.discriminators import init_weights
from colorlib.losses import AdversarialLoss, LipschitzConstraint, Vanilla
from colorlib.training import update_discriminator, update_generator
from colorlib.training.loop import run

SMALLEST = 4  # side of the coarsest features of both picture networks


class PointGenerator(nn.Module):
    """Noise to points: `num_layers` (at least 2) linear layers of width `hidden` with ReLU between them, and norm,
    where one is given, after every layer but the last. num_labels=0 makes a generator without a label."""

    def __init__(self, z_channels: int = 2, hidden: int = 64, num_layers: int = 3, out_channels: int = 2,
                 num_labels: int = 0, norm: type[nn.Module] | None = None) -> None:
        super().__init__()
        self.z_channels, self.num_labels = z_channels, num_labels
        self.layers = _linear_layers(z_channels + num_labels, hidden, num_layers, out_channels, nn.ReLU(), norm)

    def entry(self, z: Tensor, label: Tensor | None = None) -> Tensor:
        """z (..., z_channels), label int64 (...) -> input of the first layer. ValueError without a needed label."""
        return _with_label(z, label, self.num_labels)

    def forward(self, z: Tensor, label: Tensor | None = None) -> Tensor:
        """z (B, z_channels), label int64 (B,) -> points (B, out_channels)."""
        return self.layers(self.entry(z, label))


class PointDiscriminator(nn.Module):
    """Points to a logit, or to a critic's score: linear layers with LeakyReLU(0.2) between them; see PointGenerator."""

    def __init__(self, in_channels: int = 2, hidden: int = 64, num_layers: int = 3, num_labels: int = 0,
                 norm: type[nn.Module] | None = None) -> None:
        super().__init__()
        self.num_labels = num_labels
        self.layers = _linear_layers(in_channels + num_labels, hidden, num_layers, 1, nn.LeakyReLU(0.2), norm)

    def entry(self, label: Tensor | None, x: Tensor) -> Tensor:
        """label int64 (...) or None, x (..., in_channels) -> input of the first layer."""
        return _with_label(x, label, self.num_labels)

    def forward(self, label: Tensor | None, x: Tensor) -> Tensor:
        """label int64 (B,) or None, x (B, in_channels) -> (B, 1)."""
        return self.layers(self.entry(label, x))


class PictureGenerator(nn.Module):
    """Noise to pictures: a linear layer to 4 x 4 features, then enlargements and convolutions that double the side.

    size is the picture's side, a power of two from 8 on, else ValueError; base_channels those before the last layer,
    which double towards the coarse end; norm stands after every layer but the last, nn.Identity for none.

    Reference: Radford et al. 2016 (DCGAN), section 3, whose transposed convolutions draw a chequerboard; Mirza and
    Osindero 2014 for the label.
    """

    def __init__(self, z_channels: int = 64, image_channels: int = 3, size: int = 32, base_channels: int = 16,
                 num_labels: int = 0, norm: type[nn.Module] = nn.BatchNorm2d) -> None:
        super().__init__()
        self.z_channels, self.num_labels = z_channels, num_labels
        widths = [base_channels * 2**level for level in reversed(range(_num_doublings(size)))]  # coarse to fine
        self.first = nn.Linear(z_channels + num_labels, widths[0] * SMALLEST**2)
        layers: list[nn.Module] = [nn.Unflatten(1, (widths[0], SMALLEST, SMALLEST)), norm(widths[0]), nn.ReLU()]
        for channels, narrower in zip(widths, widths[1:]):
            layers += [nn.Upsample(scale_factor=2), nn.Conv2d(channels, narrower, 3, padding=1), norm(narrower),
                       nn.ReLU()]
        layers += [nn.Upsample(scale_factor=2), nn.Conv2d(widths[-1], image_channels, 3, padding=1), nn.Tanh()]
        self.layers = nn.Sequential(*layers)
        self.apply(init_weights)

    def forward(self, z: Tensor, label: Tensor | None = None) -> Tensor:
        """z (B, z_channels), label int64 (B,) -> (B, image_channels, size, size) in [-1, 1]."""
        return self.layers(self.first(_with_label(z, label, self.num_labels)))


class PictureDiscriminator(nn.Module):
    """Pictures to a logit, or to a critic's score: convolutions that halve the side down to 4 x 4, then a linear layer;
    norm (under a gradient penalty none, layer or instance norm) after every convolution but the first."""

    def __init__(self, image_channels: int = 3, size: int = 32, base_channels: int = 16, num_labels: int = 0,
                 norm: type[nn.Module] = nn.Identity) -> None:
        super().__init__()
        self.num_labels = num_labels
        layers: list[nn.Module] = []
        channels = image_channels + num_labels
        for level in range(_num_doublings(size)):
            width = base_channels * 2**level
            layers += [nn.Conv2d(channels, width, 4, stride=2, padding=1), norm(width) if level else nn.Identity(),
                       nn.LeakyReLU(0.2)]
            channels = width
        self.layers = nn.Sequential(*layers, nn.Flatten())
        self.last = nn.Linear(channels * SMALLEST**2, 1)
        self.apply(init_weights)

    def features(self, label: Tensor | None, image: Tensor) -> Tensor:
        """Input of the last layer: (B, base_channels * size / 8 * 16)."""
        if self.num_labels:
            planes = _one_hot(label, image.shape[:1], self.num_labels)[:, :, None, None].to(image.dtype)
            image = torch.cat([image, planes.expand(-1, -1, *image.shape[-2:])], dim=1)  # (B, C + num_labels, S, S)
        return self.layers(image)

    def forward(self, label: Tensor | None, image: Tensor) -> Tensor:
        """label int64 (B,) or None, image (B, image_channels, size, size) -> (B, 1)."""
        return self.last(self.features(label, image))


def train_gan(generator: nn.Module, discriminator: nn.Module, batches: Iterator[tuple[Tensor | None, Tensor]], *,
              num_steps: int, adversarial: AdversarialLoss = Vanilla(), lipschitz: LipschitzConstraint | None = None,
              n_critic: int = 1, lr: float = 2e-4, lr_discriminator: float | None = None,
              betas: tuple[float, float] = (0.5, 0.999), schedule: Callable[[float], float] = lambda progress: 1.0,
              seed: int = 0, every: int = 0, look: Callable[[int], None] | None = None) -> dict[str, list[float]]:
    """Train a GAN from noise. Each network makes its step on fresh noise, as in the first paper.

    Args:
        generator, discriminator: networks of this module's interface; of an Ensemble too.
        batches: endless (label or None, real pictures); the generated ones get the same labels.
        num_steps: updates of the generator; adversarial, lipschitz and n_critic are as in `training.fit`.
        lr, betas: Adam's; lr_discriminator where the discriminator's differs.
        schedule: progress in [0, 1] -> factor of both learning rates, such as `training.linear_decay`.
        every, look: look(step) is called before the first step and then every `every` steps.

    Returns name of a loss -> one value per step ("discriminator", "generator", with a constraint "penalty").
    Raises FloatingPointError for a loss that is not finite (checked every 25 steps); KeyboardInterrupt for Ctrl-C.

    Reference: Goodfellow et al. 2014, algorithm 1; Gulrajani et al. 2017, algorithm 1.
    """
    noise = torch.Generator().manual_seed(seed)
    batch_dims = 2 if isinstance(generator, Ensemble) else 1
    device = next(generator.parameters()).device
    fused = device.type in ("cpu", "cuda")
    optimizer_g = torch.optim.Adam(generator.parameters(), lr, betas, fused=fused)
    optimizer_d = torch.optim.Adam(discriminator.parameters(), lr_discriminator or lr, betas, fused=fused)

    def step(k: int) -> dict[str, Tensor]:
        losses: dict[str, Tensor] = {}
        optimizer_g.param_groups[0]["lr"] = lr * schedule(k / num_steps)
        optimizer_d.param_groups[0]["lr"] = (lr_discriminator or lr) * schedule(k / num_steps)
        for _ in range(n_critic):
            label, real = next(batches)
            z = torch.randn(*real.shape[:batch_dims], generator.z_channels, generator=noise).to(device)
            with torch.no_grad():
                fake = generator(z, label)
            losses |= update_discriminator(
                discriminator, optimizer_d, adversarial, label, real, fake, lipschitz=lipschitz)
        z = torch.randn(z.shape, generator=noise).to(device)
        return losses | update_generator(
            discriminator, optimizer_g, adversarial, label, None, generator(z, label), lambda_l1=0)

    def look_now(k: int) -> None:
        if k % (every or num_steps + 1) == 0:
            look(k)

    history = run(step, num_steps, look=look and look_now, progress=False)
    if history.interrupted:
        raise KeyboardInterrupt
    return history.losses


def _linear_layers(channels: int, hidden: int, num_layers: int, out: int, activation: nn.Module,
                   norm: type[nn.Module] | None) -> nn.Sequential:
    if num_layers < 2:
        raise ValueError(f"num_layers is {num_layers}; it must be at least 2")
    widths, layers = [channels, *[hidden] * (num_layers - 1)], []
    for pair in zip(widths, widths[1:]):
        layers += [nn.Linear(*pair), *([norm(hidden)] if norm else []), activation]
    return nn.Sequential(*layers, nn.Linear(hidden, out))


def _num_doublings(size: int) -> int:
    doublings = int(math.log2(size / SMALLEST)) if size >= 2 * SMALLEST else 0
    if SMALLEST * 2**doublings != size or not doublings:
        raise ValueError(f"size is {size}; it must be a power of two, at least {2 * SMALLEST}")
    return doublings


def _one_hot(label: Tensor | None, shape: torch.Size, num_labels: int) -> Tensor:
    if label is None or label.shape != shape or label.dtype != torch.int64:
        actual = None if label is None else f"{label.dtype} {tuple(label.shape)}"
        raise ValueError(f"label is {actual}; this network needs int64 {tuple(shape)}, each from 0 to {num_labels - 1}")
    return F.one_hot(label, num_labels)


def _with_label(x: Tensor, label: Tensor | None, num_labels: int) -> Tensor:
    return torch.cat([x, _one_hot(label, x.shape[:-1], num_labels).to(x.dtype)], dim=-1) if num_labels else x
