"""What notebook 05 and the grid of `stability_05.py` share: networks of points with and without normalisation, the three
methods with their costs, and one training run of all seeds at once whose failures are counted."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import mean

import torch
from torch import Tensor, nn

from colorlib.gans import train_gan
from colorlib.losses import (
    AdversarialLoss,
    GradientPenalty,
    LipschitzConstraint,
    Vanilla,
    Wasserstein,
    WeightClipping,
)
from colorlib.metrics import sliced_wasserstein
from colorlib.points import Mixture
from colorlib.seeds import Ensemble, seeded

BATCH = 64
NUM_JUDGED = 1024  # generated points that are judged
WITHIN = 15  # stds of a mode: half-way to the next one of the ring
LEAST = NUM_JUDGED // 8 // 4  # a mode is hit when it has a quarter of its fair share


@dataclass(frozen=True)
class Method:
    """A GAN as its paper trains it.

    Attributes:
        seconds: cost of one generator update relative to that of the GAN, measured (see `stability_05.py`): what equal
            seconds are counted in.
    """

    adversarial: AdversarialLoss
    lipschitz: LipschitzConstraint | None
    n_critic: int
    betas: tuple[float, float]
    seconds: float


METHODS = {
    "GAN": Method(Vanilla(), None, 1, (0.5, 0.999), 1.0),
    # the paper's RMSprop is Adam without momentum
    "WGAN-clip": Method(Wasserstein(), WeightClipping(0.1), 5, (0.0, 0.99), 2.2),
    "WGAN-GP": Method(Wasserstein(), GradientPenalty(1.0, batch_dims=2), 5, (0.0, 0.9), 3.5),
}


@dataclass(frozen=True)
class Architecture:
    """Sizes of both networks of points."""

    norm: bool = False
    hidden_d: int = 64
    layers_d: int = 3


ARCHITECTURES = {
    "balanced": Architecture(),
    "normalised": Architecture(norm=True),
    "discriminator strong": Architecture(hidden_d=128, layers_d=4),
    "discriminator weak": Architecture(hidden_d=8, layers_d=2),
}


def linear_layers(
    channels: int, hidden: int, num_layers: int, out: int, norm: type[nn.Module], activation: nn.Module
) -> nn.Sequential:
    """`num_layers` linear layers; after each but the last a norm (nn.Identity for none) and the activation."""
    layers: list[nn.Module] = []
    for _ in range(num_layers - 1):
        layers += [nn.Linear(channels, hidden), norm(hidden), activation]
        channels = hidden
    return nn.Sequential(*layers, nn.Linear(channels, out))


class BatchNorm(nn.BatchNorm1d):
    """Batch norm by the statistics of the batch, always: no buffers, so that an Ensemble takes it."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, track_running_stats=False)


class Generator(nn.Module):
    """colorlib.gans.PointGenerator with an optional batch norm."""

    z_channels = 2

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        norm = BatchNorm if architecture.norm else nn.Identity
        self.layers = linear_layers(self.z_channels, 64, 3, 2, norm, nn.ReLU())

    def forward(self, z: Tensor, label: None = None) -> Tensor:
        return self.layers(z)


class Discriminator(nn.Module):
    """colorlib.gans.PointDiscriminator with an optional layer norm, which a gradient penalty allows."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        norm = nn.LayerNorm if architecture.norm else nn.Identity
        self.layers = linear_layers(2, architecture.hidden_d, architecture.layers_d, 1, norm, nn.LeakyReLU(0.2))

    def forward(self, label: None, x: Tensor) -> Tensor:
        return self.layers(x)


def batches(mixture: Mixture, num_seeds: int, seed: int) -> Iterator[tuple[None, Tensor]]:
    """Fresh real points (S, BATCH, 2) without end, others for every member."""
    draws = torch.Generator().manual_seed(seed)
    while True:
        yield None, mixture.sample(num_seeds * BATCH, draws).view(num_seeds, BATCH, 2)


@dataclass
class Look:
    """One seed at one moment: distance to the data, modes hit, and the discriminator's loss on points it was not
    trained on."""

    step: int
    distance: float
    modes: int
    loss: float


def train(
    method: Method, architecture: Architecture, lr: float, seeds: Sequence[int], mixture: Mixture, *, num_steps: int,
    every: int,
) -> tuple[list[list[Look]], Tensor, float]:
    """Train all seeds as one ensemble.

    Args:
        num_steps: updates of the generators.
        every: look after so many.

    Returns:
        For every seed its looks, at step 0 too (fewer than there should be where the run was no longer finite);
        the points (S, NUM_JUDGED, 2) at the end; and the seconds.
    """
    generator = Ensemble([seeded(seed, lambda: Generator(architecture)) for seed in seeds])
    discriminator = Ensemble([seeded(seed + 1000, lambda: Discriminator(architecture)) for seed in seeds])
    draws = torch.Generator().manual_seed(9)
    real = mixture.sample(NUM_JUDGED, draws)
    z = torch.randn(len(seeds), NUM_JUDGED, generator.z_channels, generator=draws)
    looks: list[list[Look]] = [[] for _ in seeds]

    @torch.no_grad()
    def look(step: int) -> None:
        fake = generator(z)
        scores = discriminator(None, real.expand_as(fake)), discriminator(None, fake)
        for seen, points, *score in zip(looks, fake, *scores):
            if points.isfinite().all():
                loss = method.adversarial.discriminator(*score).item()
                modes = mixture.modes_hit(points, within=WITHIN, least=LEAST)
                seen.append(Look(step, sliced_wasserstein(points, real, num_projections=32), modes, loss))

    started = time.perf_counter()
    try:
        train_gan(generator, discriminator, batches(mixture, len(seeds), seeds[0]), num_steps=num_steps,
                  adversarial=method.adversarial, lipschitz=method.lipschitz, n_critic=method.n_critic, lr=lr,
                  betas=method.betas, seed=seeds[0], every=every, look=look)
    except FloatingPointError:
        if len(seeds) > 1:  # one of them took the others along: each alone
            alone = [train(method, architecture, lr, [seed], mixture, num_steps=num_steps, every=every)
                     for seed in seeds]
            return ([run[0][0] for run in alone], torch.cat([run[1] for run in alone]),
                    time.perf_counter() - started)
    seconds = time.perf_counter() - started
    with torch.no_grad():
        return looks, generator(z), seconds


def one_point_distance(mixture: Mixture) -> float:
    """Sliced Wasserstein distance of the mixture to a generator that always answers with its centre."""
    real = mixture.sample(NUM_JUDGED, torch.Generator().manual_seed(9))
    return sliced_wasserstein(mixture.means.mean(dim=0, keepdim=True).expand_as(real), real, num_projections=32)


def verdict_of(looks: Sequence[Look], num_steps: int, mixture: Mixture) -> str:
    """"diverged", "collapsed" or "fine", by the last quarter of the first `num_steps` updates.

    diverged: no longer finite, or on average more than half as far from the data as a single point in their centre.
    collapsed: not diverged, and on average more than one mode in eight is missing.
    """
    late = late_looks(looks, num_steps)
    if not late or mean(seen.distance for seen in late) > 0.5 * one_point_distance(mixture):
        return "diverged"
    return "collapsed" if mean(seen.modes for seen in late) < 7 / 8 * len(mixture.means) else "fine"


def late_looks(looks: Sequence[Look], num_steps: int) -> list[Look]:
    """The looks of the last quarter of the first `num_steps` updates; none when the run ended before."""
    late = [seen for seen in looks if 0.75 * num_steps < seen.step <= num_steps]
    return late if late and late[-1].step > 0.9 * num_steps else []


def rank_correlation(looks: Sequence[Look]) -> float:
    """Spearman's, of the discriminator's loss with the distance, over a run from its first look after the start."""
    pairs = torch.tensor([(seen.loss, seen.distance) for seen in looks[1:]])
    if len(pairs) < 3:
        return 0.0
    ranks = pairs.argsort(0).argsort(0).float()
    return torch.corrcoef(ranks.T)[0, 1].item()
