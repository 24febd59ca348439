"""Notebook 05 and the grid of `stability_05.py`: pairs of clouds whose distance is known, a deep critic, and the three
methods, trained with all seeds and learning rates as one model, whose failures are counted."""

import json
import math
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import mean
from typing import NamedTuple

import torch
from torch import Tensor, nn

from colorlib.course.claims import rank_correlation
from colorlib.course.data import result_file
from colorlib.course.mixtures import Mixture, ring
from colorlib.course.seeds import Ensemble, seeded
from colorlib.course.toys import PointDiscriminator, PointGenerator
from colorlib.losses import AdversarialLoss, GradientPenalty, LipschitzConstraint, Vanilla, Wasserstein, WeightClipping
from colorlib.metrics import sliced_wasserstein
from colorlib.training import update_discriminator, update_generator

BATCH = 64
NUM_MEASURED = 1024  # generated points that are measured
WITHIN = 15  # stds of a mode: half-way to the next one of the ring
LEAST = NUM_MEASURED // 8 // 4  # a mode is hit when it has a quarter of its fair share

POOL = 2048  # points of a cloud that a critic is trained on


class Pair(NamedTuple):
    """Two clouds (POOL, 2) to train on, two to estimate the distance of, and their exact distance."""

    name: str
    real: Tensor
    fake: Tensor
    real_test: Tensor
    fake_test: Tensor
    exact: float


def known_pairs(seed: int) -> list[Pair]:
    """Five pairs of Gaussians with the distance in closed form, five of clouds of 256 points by the best assignment."""
    from scipy.optimize import linear_sum_assignment

    draws = torch.Generator().manual_seed(seed)

    def normal(num: int) -> Tensor:
        return torch.randn(num, 2, generator=draws)

    pairs = []
    for shift, size in ((0.5, 1.0), (1.5, 1.0), (3.0, 1.0), (0.0, 0.4), (0.0, 2.5)):
        move = torch.tensor([shift, 0.0])
        exact = shift + abs(size - 1) * math.sqrt(math.pi / 2)  # one of the two is 0
        clouds = [part for _ in range(2) for part in (normal(POOL), size * normal(POOL) + move)]
        pairs.append(Pair(f"shift {shift:g}" if shift else f"size {size:g}", *clouds, exact))
    circle, line = ring(radius=1.5, std=0.1), torch.linspace(-2, 2, 256)
    clouds_of_256 = {"ring, blob": (circle.sample(256, draws), normal(256)),
                     "ring, dot": (circle.sample(256, draws), 0.05 * normal(256)),
                     "ring, one mode": (circle.sample(256, draws), circle.means[0] + 0.1 * normal(256)),
                     "cross": (torch.stack([line, line], 1), torch.stack([line, -line], 1)),
                     "half of a ring": (circle.sample(256, draws), torch.stack([line.abs() - 2, line], 1))}
    for name, (real, fake) in clouds_of_256.items():
        distance = torch.cdist(real, fake).numpy()
        exact = float(distance[linear_sum_assignment(distance)].mean())
        many = [cloud.repeat(POOL // 256, 1) for cloud in (real, fake)]
        pairs.append(Pair(name, *many, *many, exact))
    return pairs


def best_factor(estimate: Tensor, exact: Tensor) -> float:
    """The factor k with the least mean of |k estimate / exact - 1|: a weighted median. Both of one shape and > 0."""
    ratios, order = (exact / estimate).flatten().sort()
    weights = (estimate / exact).flatten()[order].cumsum(0)
    return float(ratios[(weights < weights[-1] / 2).sum()])


def deep_critic(depth: int = 12, hidden: int = 32) -> PointDiscriminator:
    """A critic of points with many layers of ReLU, initialised so that a signal keeps its size (He et al. 2015)."""
    critic = PointDiscriminator(hidden=hidden, num_layers=depth)
    critic.layers = nn.Sequential(*(nn.ReLU() if isinstance(layer, nn.LeakyReLU) else layer for layer in critic.layers))
    for layer in critic.layers:
        if isinstance(layer, nn.Linear):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)
    return critic


def gradient_by_layer(critic: Ensemble, real: Tensor, fake: Tensor) -> Tensor:
    """Norms (S, depth - 1) of the gradient of the critic's loss with respect to the output of each hidden layer, from
    first to last; real and fake are (S, B, 2)."""
    profiles = []
    for member, points in zip(critic.members(), torch.cat([real, fake], dim=1)):
        x, outputs = points, []
        for layer in member.layers:
            x = layer(x)
            outputs += [x] if isinstance(layer, nn.ReLU) else []
        loss = x[real.shape[1]:].mean() - x[:real.shape[1]].mean()
        profiles.append(torch.stack([gradient.norm() for gradient in torch.autograd.grad(loss, outputs)]))
    return torch.stack(profiles)


@dataclass(frozen=True)
class Method:
    """A GAN as its paper trains it. seconds is the cost of one generator update relative to the GAN's, in which equal
    seconds are counted; measured with the balanced architecture on one core, an ensemble of 25: 7.1, 22, 37 ms."""

    adversarial: AdversarialLoss
    constraint: Callable[[torch.Generator], LipschitzConstraint] | None
    n_critic: int
    betas: tuple[float, float]
    seconds: float


METHODS = {
    "GAN": Method(Vanilla(), None, 1, (0.5, 0.999), 1.0),
    # the paper's RMSprop is Adam without momentum
    "WGAN": Method(Wasserstein(), lambda draws: WeightClipping(0.1), 5, (0.0, 0.99), 3.0),
    "WGAN-GP": Method(Wasserstein(), lambda draws: GradientPenalty(1.0, batch_dims=2, generator=draws), 5, (0.0, 0.9),
                      5.0),
}


class AdamOfRates(torch.optim.Adam):
    """Adam for an Ensemble whose members have learning rates of their own, (S,)."""

    def __init__(self, parameters: Iterable[Tensor], rates: Tensor, betas: tuple[float, float]) -> None:
        super().__init__(parameters, 1.0, betas, fused=True)
        self.rates = rates

    @torch.no_grad()
    def step(self) -> None:
        """Adam's step with learning rate 1, of which each member makes its part: the direction is free of the rate."""
        weights = self.param_groups[0]["params"]
        before = [weight.clone() for weight in weights]
        super().step()
        for weight, old in zip(weights, before):
            weight.copy_(torch.lerp(old, weight, self.rates.view(-1, *[1] * (weight.dim() - 1))))


def train(method: Method, generator: Ensemble, discriminator: Ensemble, rates: Tensor,
          batch: Callable[[torch.Generator], tuple[Tensor | None, Tensor]], *, num_steps: int,
          steps: Collection[int] = (), look: Callable[[int], None] | None = None, seed: int = 0) -> None:
    """Train all members for `num_steps` updates of the generator. A member that is no longer finite disturbs no other.

    rates are the learning rates of the members, (S,), of both networks; batch(draws) returns a condition or None, and
    real points (S, B, K); look(step) is called after the numbers of updates in `steps`.

    Reference: Gulrajani et al. 2017, algorithm 1.
    """
    draws = torch.Generator().manual_seed(seed)
    constraint = method.constraint and method.constraint(draws)
    optimizer_g, optimizer_d = (AdamOfRates(network.parameters(), rates, method.betas)
                                for network in (generator, discriminator))

    def fake(condition: Tensor | None, real: Tensor) -> Tensor:
        return generator(torch.randn(*real.shape[:2], generator.z_channels, generator=draws), condition)

    for step in range(num_steps + 1):
        if step in steps:
            look(step)
        for _ in range(method.n_critic if step < num_steps else 0):
            condition, real = batch(draws)
            with torch.no_grad():
                generated = fake(condition, real)
            update_discriminator(discriminator, optimizer_d, method.adversarial, condition, real, generated,
                                 lipschitz=constraint)
        if step < num_steps:
            update_generator(discriminator, optimizer_g, method.adversarial, condition, None, fake(condition, real),
                             lambda_l1=0)


@dataclass(frozen=True)
class Architecture:
    """Sizes of both networks of points."""

    norm: bool = False
    hidden_d: int = 64
    layers_d: int = 3


ARCHITECTURES = {"balanced": Architecture(), "normalised": Architecture(norm=True),
                 "discriminator strong": Architecture(hidden_d=128, layers_d=4),
                 "discriminator weak": Architecture(hidden_d=8, layers_d=2)}


def make_generator(architecture: Architecture) -> PointGenerator:
    """With batch norm, where there is a norm, by the batch's statistics always: an Ensemble takes no buffers."""
    return PointGenerator(norm=partial(nn.BatchNorm1d, track_running_stats=False) if architecture.norm else None)


def make_discriminator(architecture: Architecture) -> PointDiscriminator:
    """With a layer norm, where there is one: a gradient penalty allows it."""
    return PointDiscriminator(hidden=architecture.hidden_d, num_layers=architecture.layers_d,
                              norm=nn.LayerNorm if architecture.norm else None)


class Look(NamedTuple):
    """One member after `step` updates: distance to the data, modes hit, the discriminator's loss on held-out points."""

    step: int
    distance: float
    modes: int
    loss: float


class Cell(NamedTuple):
    """All seeds of a method at one learning rate: the Looks of each, and the points (S, NUM_MEASURED, 2) at the end."""

    runs: list[list[Look]]
    fake: Tensor


def train_on(mixture: Mixture, method: Method, architecture: Architecture, rates: Sequence[float],
             seeds: Sequence[int], *, num_steps: int, steps: Collection[int]) -> list[Cell]:
    """Train a method at every learning rate with every seed, all as one ensemble; one Cell for each rate. A run that is
    no longer finite has fewer Looks than `steps`."""
    members = [(rate, seed) for rate in rates for seed in seeds]
    generator = Ensemble([seeded(seed, lambda: make_generator(architecture)) for _, seed in members])
    discriminator = Ensemble([seeded(seed + 1000, lambda: make_discriminator(architecture)) for _, seed in members])
    held_out = torch.Generator().manual_seed(9)
    real = mixture.sample(NUM_MEASURED, held_out)
    z = torch.randn(len(members), NUM_MEASURED, generator.z_channels, generator=held_out)
    runs: list[list[Look]] = [[] for _ in members]

    @torch.no_grad()
    def look(step: int) -> None:
        fake = generator(z)
        scores = discriminator(None, real.expand_as(fake)), discriminator(None, fake)
        for run, points, *score in zip(runs, fake, *scores):
            if points.isfinite().all():
                run.append(Look(step, sliced_wasserstein(points, real, num_projections=32),
                                mixture.modes_hit(points, within=WITHIN, least=LEAST),
                                method.adversarial.discriminator(*score).item()))

    def batch(draws: torch.Generator) -> tuple[None, Tensor]:
        return None, mixture.sample(len(members) * BATCH, draws).view(len(members), BATCH, 2)

    train(method, generator, discriminator, torch.tensor([rate for rate, _ in members]), batch, num_steps=num_steps,
          steps=steps, look=look, seed=seeds[0])
    with torch.no_grad():
        fake = generator(z).unflatten(0, (len(rates), len(seeds)))
    return [Cell(runs[k * len(seeds):(k + 1) * len(seeds)], fake[k]) for k in range(len(rates))]


def one_point_distance(mixture: Mixture) -> float:
    """Sliced Wasserstein distance of the mixture to a generator that always predicts its centre."""
    real = mixture.sample(NUM_MEASURED, torch.Generator().manual_seed(9))
    return sliced_wasserstein(mixture.means.mean(dim=0, keepdim=True).expand_as(real), real, num_projections=32)


def outcome_of(run: Sequence[Look], num_steps: int, mixture: Mixture) -> str:
    """"diverged", "collapsed" or "fine", by the last quarter of the first `num_steps` updates: no longer finite, or on
    average more than half as far from the data as a point in their centre; more than one mode in eight is missing."""
    late = late_looks(run, num_steps)
    if not late or mean(seen.distance for seen in late) > 0.5 * one_point_distance(mixture):
        return "diverged"
    return "collapsed" if mean(seen.modes for seen in late) < 7 / 8 * len(mixture.means) else "fine"


def late_looks(run: Sequence[Look], num_steps: int) -> list[Look]:
    """The Looks of the last quarter of the first `num_steps` updates; none when the run ended before."""
    late = [seen for seen in run if 0.75 * num_steps < seen.step <= num_steps]
    return late if late and late[-1].step > 0.9 * num_steps else []


def estimate_follows_distance(run: Sequence[Look]) -> float:
    """Rank correlation of minus the discriminator's loss with the distance, over all Looks."""
    return rank_correlation([-seen.loss for seen in run], [seen.distance for seen in run])


class Grid:
    """The result file of `stability_05.py`; cells is (method, architecture, learning rate, seed) -> numbers."""

    def __init__(self, record: dict) -> None:
        self.record, self.seeds = record, record["seeds"]
        names = [(*run["name"].split(" | "), run["seed"]) for run in record["runs"]]
        self.cells = {(method, shape, float(lr), seed): run
                      for (method, shape, lr, seed), run in zip(names, record["runs"])}

    def share(self, key: str, method: str, shape: str | None = None, lr: float | None = None,
              seed: int | None = None) -> float:
        """Mean of a number over the runs of a method, those of one architecture, learning rate or seed where given."""
        wanted = (method, shape, lr, seed)
        return mean(run[key] for cell, run in self.cells.items()
                    if all(want is None or want == have for want, have in zip(wanted, cell)))

    def advantage(self, worse: str, better: str, key: str = "failed") -> list[float]:
        """For every seed the share of failed settings of one method minus that of another."""
        return [self.share(key, worse, seed=seed) - self.share(key, better, seed=seed) for seed in self.seeds]


def read_grid() -> Grid | None:
    """The committed grid, where there is one."""
    path = result_file("stability_05.json")
    return path and Grid(json.loads(path.read_text(encoding="utf-8")))
