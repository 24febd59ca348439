"""Notebook 05 and the grid of `stability_05.py`: networks of points with and without normalisation, the three methods with
their costs, and one training run of all seeds at once whose failures are counted."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean
from typing import NamedTuple

import torch
from torch import Tensor, nn

from colorlib.course.claims import rank_correlation
from colorlib.course.data import result_file
from colorlib.course.mixtures import Mixture
from colorlib.course.seeds import Ensemble, seeded
from colorlib.course.toys import PointDiscriminator, PointGenerator, train_gan
from colorlib.losses import (AdversarialLoss, GradientPenalty, LipschitzConstraint, Vanilla, Wasserstein,
                             WeightClipping)
from colorlib.metrics import sliced_wasserstein

BATCH = 64
NUM_JUDGED = 1024  # generated points that are measured
WITHIN = 15  # stds of a mode: half-way to the next one of the ring
LEAST = NUM_JUDGED // 8 // 4  # a mode is hit when it has a quarter of its fair share


@dataclass(frozen=True)
class Method:
    """A GAN as its paper trains it. seconds is the cost of one generator update relative to that of the GAN, measured
    (see `stability_05.py`): what equal seconds are counted in."""

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


ARCHITECTURES = {"balanced": Architecture(), "normalised": Architecture(norm=True),
                 "discriminator strong": Architecture(hidden_d=128, layers_d=4),
                 "discriminator weak": Architecture(hidden_d=8, layers_d=2)}


class BatchNorm(nn.BatchNorm1d):
    """Batch norm by the statistics of the batch, always: no buffers, so that an Ensemble takes it."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, track_running_stats=False)


def make_generator(architecture: Architecture) -> PointGenerator:
    return PointGenerator(norm=BatchNorm if architecture.norm else None)


def make_discriminator(architecture: Architecture) -> PointDiscriminator:
    """With a layer norm, where there is one: a gradient penalty allows it."""
    return PointDiscriminator(hidden=architecture.hidden_d, num_layers=architecture.layers_d,
                              norm=nn.LayerNorm if architecture.norm else None)


def with_own_draws(lipschitz: LipschitzConstraint | None, seed: int) -> LipschitzConstraint | None:
    """A penalty draws its places from a generator of its own, so that several runs can share a process."""
    if isinstance(lipschitz, GradientPenalty):
        return replace(lipschitz, generator=torch.Generator().manual_seed(seed))
    return lipschitz


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


def train(method: Method, architecture: Architecture, lr: float, seeds: Sequence[int], mixture: Mixture, *,
          num_steps: int, every: int) -> tuple[list[list[Look]], Tensor, float]:
    """Train all seeds as one ensemble for `num_steps` updates of the generators, with a look every `every` steps.

    Returns for every seed its looks, at step 0 too (fewer than there should be where the run was no longer finite); the
    points (S, NUM_JUDGED, 2) at the end; and the seconds.
    """
    generator = Ensemble([seeded(seed, lambda: make_generator(architecture)) for seed in seeds])
    discriminator = Ensemble([seeded(seed + 1000, lambda: make_discriminator(architecture)) for seed in seeds])
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
                  adversarial=method.adversarial, lipschitz=with_own_draws(method.lipschitz, seeds[0]),
                  n_critic=method.n_critic, lr=lr, betas=method.betas, seed=seeds[0], every=every, look=look)
    except FloatingPointError:
        if len(seeds) > 1:  # one that diverges stops all: train each alone
            alone = [train(method, architecture, lr, [seed], mixture, num_steps=num_steps, every=every)
                     for seed in seeds]
            return ([run[0][0] for run in alone], torch.cat([run[1] for run in alone]), time.perf_counter() - started)
    seconds = time.perf_counter() - started
    with torch.no_grad():
        return looks, generator(z), seconds


def one_point_distance(mixture: Mixture) -> float:
    """Sliced Wasserstein distance of the mixture to a generator that always answers with its centre."""
    real = mixture.sample(NUM_JUDGED, torch.Generator().manual_seed(9))
    return sliced_wasserstein(mixture.means.mean(dim=0, keepdim=True).expand_as(real), real, num_projections=32)


def outcome_of(looks: Sequence[Look], num_steps: int, mixture: Mixture) -> str:
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


def loss_follows_distance(looks: Sequence[Look]) -> float:
    """Rank correlation of the discriminator's loss with the distance, from the first look after the start."""
    return rank_correlation([seen.loss for seen in looks[1:]], [seen.distance for seen in looks[1:]])


# section 7: the slice and the grid


class Cell(NamedTuple):
    """All seeds of one setting of the stability grid."""

    runs: list[list[Look]]
    fake: Tensor
    steps: int
    outcomes: list[str]


class Grid:
    """The result file of `stability_05.py`."""

    def __init__(self, record: dict) -> None:
        self.record = record
        self.seeds: list[int] = record["seeds"]
        self.cells = {}
        for run in record["runs"]:
            method, shape, lr = run["name"].split(" | ")
            self.cells[method, shape, float(lr), run["seed"]] = run

    def share(self, key: str, method: str, shape: str | None = None, lr: float | None = None, seed: int | None = None) -> float:
        """Mean of a number over the runs of a method, those of one architecture, learning rate or seed where given."""
        wanted = (method, shape, lr, seed)
        return mean(run[key] for cell, run in self.cells.items()
                    if all(want is None or want == have for want, have in zip(wanted, cell)))

    def advantage(self, worse: str, better: str, key: str = "failed") -> list[float]:
        """For every seed the share of failed settings of one method minus that of another."""
        return [self.share(key, worse, seed=seed) - self.share(key, better, seed=seed) for seed in self.seeds]


def read_grid(path: Path | None = None) -> Grid | None:
    """The grid of a file, by default the committed one; None where there is none, or none that is finished."""
    path = path or result_file("stability_05.json")
    if path is None or not path.is_file():
        return None
    record = json.loads(path.read_text(encoding="utf-8"))
    all_runs = len(METHODS) * len(record["architectures"]) * len(record["learning_rates"]) * len(record["seeds"])
    return Grid(record) if len(record["runs"]) == all_runs else None
