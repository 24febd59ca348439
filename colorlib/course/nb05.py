"""What notebook 05 and the grid of `stability_05.py` share: networks of points with and without normalisation, the three
methods with their costs, and one training run of all seeds at once whose failures are counted."""

from __future__ import annotations

import json
import math
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
from colorlib.course.mixtures import Mixture, ring
from colorlib.course.seeds import Ensemble, in_parallel, seeded
from colorlib.course.toys import PointDiscriminator, PointGenerator, train_gan
from colorlib.losses import (
    AdversarialLoss,
    GradientPenalty,
    LipschitzConstraint,
    Vanilla,
    Wasserstein,
    WeightClipping,
    gradient_penalty,
)
from colorlib.metrics import sliced_wasserstein
from colorlib.training import update_discriminator

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


def depth_profile(lipschitz: LipschitzConstraint, mixture: Mixture, *, num_steps: int, seeds: Sequence[int],
                  depth: int = 12, hidden: int = 32) -> tuple[Tensor, Tensor]:
    """Train deep critics between the mixture and a smeared copy of it, and look into them.

    The setting of Gulrajani et al. 2017, figure 1b: the generated distribution stands still (real points plus unit
    noise), the critic has 12 layers with ReLU.

    Returns:
        Norm of the gradient of the critic's loss with respect to the output of each hidden layer (S, depth - 1), from
        first to last; and all weights that are matrices, as one long tensor.
    """
    critic = Ensemble([seeded(seed, lambda: deep_critic(depth, hidden)) for seed in seeds])
    lipschitz = with_own_draws(lipschitz, seeds[0])
    optimizer = torch.optim.Adam(critic.parameters(), 1e-3, (0.0, 0.9), fused=True)
    draws = torch.Generator().manual_seed(seeds[0])

    def pair() -> tuple[Tensor, Tensor]:
        real, copy = (mixture.sample(len(seeds) * BATCH, draws).view(len(seeds), BATCH, 2) for _ in range(2))
        return real, copy + torch.randn(copy.shape, generator=draws)

    for _ in range(num_steps):
        update_discriminator(critic, optimizer, Wasserstein(), None, *pair(), lipschitz=lipschitz)
    profiles = []
    for member, real, fake in zip(critic.members(), *pair()):
        x, outputs = torch.cat([real, fake]), []
        for layer in member.layers:
            x = layer(x)
            outputs += [x] if isinstance(layer, nn.ReLU) else []
        scores = x
        loss = scores[BATCH:].mean() - scores[:BATCH].mean()
        profiles.append(torch.stack([gradient.norm() for gradient in torch.autograd.grad(loss, outputs)]))
    weights = torch.cat([weight.detach().flatten() for weight in critic.weights if weight.dim() == 3])
    return torch.stack(profiles), weights


def deep_critic(depth: int, hidden: int) -> PointDiscriminator:
    """A critic of points with many layers of ReLU, started so that a signal keeps its size (He et al. 2015)."""
    critic = PointDiscriminator(hidden=hidden, num_layers=depth)
    critic.layers = nn.Sequential(*(nn.ReLU() if isinstance(layer, nn.LeakyReLU) else layer for layer in critic.layers))
    for layer in critic.layers:
        if isinstance(layer, nn.Linear):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)
    return critic


# ---- section 3: two parallel lines ----

class Shifted(NamedTuple):
    """Size of the gradient with respect to theta of three generator losses: for every checkpoint one value per seed."""

    saturating: list[list[float]]
    non_saturating: list[list[float]]
    critic: list[list[float]]


def slopes_at_theta(seeds: Sequence[int], checkpoints: Sequence[int], theta: float = 1.0) -> Shifted:
    """Train discriminators and critics between the lines x = 0 and x = theta and ask them, after so many steps, how the
    generator's loss changes with theta."""
    def run(adversarial: AdversarialLoss, lipschitz: LipschitzConstraint | None,
            asked: Sequence[AdversarialLoss]) -> list[list[list[float]]]:
        draws = torch.Generator().manual_seed(seeds[0])

        def lines() -> tuple[Tensor, Tensor]:
            y = 2 * torch.rand(2, len(seeds), BATCH, generator=draws) - 1
            x = torch.full_like(y[0], theta)
            return torch.stack([torch.zeros_like(x), y[0]], -1), torch.stack([x, y[1]], -1)

        def gradient(asked_loss: AdversarialLoss) -> list[float]:
            fake = lines()[1].requires_grad_()
            # summed over seeds, so that each has the gradient of its own mean; moving theta moves every point's x
            loss = asked_loss.generator(judge(None, fake)) * len(seeds)
            return torch.autograd.grad(loss, fake)[0][..., 0].sum(1).abs().tolist()

        judge, found = Ensemble([seeded(seed, PointDiscriminator) for seed in seeds]), [[] for _ in asked]
        optimizer = torch.optim.Adam(judge.parameters(), 1e-3, (0.0, 0.9), fused=True)
        for step in range(max(checkpoints) + 1):
            if step in checkpoints:
                for slopes, loss in zip(found, asked):
                    slopes.append(gradient(loss))
            update_discriminator(judge, optimizer, adversarial, None, *lines(), lipschitz=lipschitz)
        return found

    penalty = with_own_draws(GradientPenalty(10.0, batch_dims=2), seeds[0])
    gan, critic = in_parallel(lambda rule: run(*rule), [(Vanilla(), None, [Vanilla(saturating=True), Vanilla()]),
                                                        (Wasserstein(), penalty, [Wasserstein()])])
    return Shifted(*gan, *critic)


# ---- section 4: where to penalise ----

@dataclass(frozen=True)
class PenaltyAtReal:
    """A mistake that one finds in programs: the penalty at real points only. For the comparison of section 4."""

    lambda_gp: float = 10.0

    def penalty(self, critic: nn.Module, condition: None, real: Tensor, fake: Tensor) -> Tensor:
        return self.lambda_gp * gradient_penalty(critic, condition, real, real, batch_dims=2)

    def project(self, critic: nn.Module) -> None:
        """Nothing."""


class OnALine(NamedTuple):
    """Critics of one-dimensional points. x (N,), values (S, N) with mean 0; means over the seeds of the estimate and of
    the steepest slope."""

    x: Tensor
    values: Tensor
    estimate: float
    steepest: float


def critics_on_a_line(seeds: Sequence[int], *, num_steps: int) -> dict[str, OnALine]:
    """Critics between N(-1.5, 0.2^2), real, and N(1.5, 0.2^2), generated, under four constraints. W is 3."""
    constraints = {
        "between, both sides": GradientPenalty(10.0, batch_dims=2),
        "between, only above 1": GradientPenalty(10.0, one_sided=True, batch_dims=2),
        "at real points only": PenaltyAtReal(),
        "clipping, c = 0.1": WeightClipping(0.1),
    }
    x = torch.linspace(-3, 3, 301)

    def run(lipschitz: LipschitzConstraint) -> OnALine:
        critic = Ensemble([seeded(seed, lambda: PointDiscriminator(in_channels=1)) for seed in seeds])
        optimizer = torch.optim.Adam(critic.parameters(), 1e-3, (0.0, 0.9), fused=True)
        draws, lipschitz = torch.Generator().manual_seed(seeds[0]), with_own_draws(lipschitz, seeds[0])
        for _ in range(num_steps):
            real, fake = 0.2 * torch.randn(2, len(seeds), BATCH, 1, generator=draws) + torch.tensor(
                [-1.5, 1.5])[:, None, None, None]
            update_discriminator(critic, optimizer, Wasserstein(), None, real, fake, lipschitz=lipschitz)
        with torch.no_grad():
            values = critic(None, x[:, None].expand(len(seeds), -1, -1))[..., 0]  # (S, N)
            estimate = (critic(None, real) - critic(None, fake)).mean().item()
        steepest = (values.diff(dim=1) / (x[1] - x[0])).abs().amax(1).mean().item()
        return OnALine(x, values - values.mean(1, keepdim=True), estimate, steepest)

    return dict(zip(constraints, in_parallel(run, list(constraints.values()))))


# ---- section 5: distances that are known ----

POOL = 2048  # points of a cloud that a critic is trained on


class Pair(NamedTuple):
    """Two clouds (POOL, 2) to train on, two to be asked about, and the exact distance of what is asked about."""

    name: str
    real: Tensor
    fake: Tensor
    real_asked: Tensor
    fake_asked: Tensor
    exact: float


def known_pairs(seed: int) -> list[Pair]:
    """Five pairs of Gaussians with the distance in closed form, five of clouds of 256 points with the best assignment."""
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
    clouds_of_256 = {
        "ring, blob": (circle.sample(256, draws), normal(256)),
        "ring, dot": (circle.sample(256, draws), 0.05 * normal(256)),
        "ring, one mode": (circle.sample(256, draws), circle.means[0] + 0.1 * normal(256)),
        "cross": (torch.stack([line, line], 1), torch.stack([line, -line], 1)),
        "half of a ring": (circle.sample(256, draws), torch.stack([line.abs() - 2, line], 1)),
    }
    for name, (real, fake) in clouds_of_256.items():
        ways = torch.cdist(real, fake).numpy()
        exact = float(ways[linear_sum_assignment(ways)].mean())
        many = [cloud.repeat(POOL // 256, 1) for cloud in (real, fake)]
        pairs.append(Pair(name, *many, *many, exact))
    return pairs


def estimates(pairs: Sequence[Sequence[Pair]], lipschitz: LipschitzConstraint, *, num_steps: int) -> Tensor:
    """Train one critic for every pair of every seed, all as one model, and ask each for its distance.

    Returns:
        Mean score of the real minus mean score of the generated points that were asked about, (seeds, pairs).
    """
    flat = [pair for seed_pairs in pairs for pair in seed_pairs]
    real, fake = torch.stack([pair.real for pair in flat]), torch.stack([pair.fake for pair in flat])
    critic = Ensemble([seeded(index, PointDiscriminator) for index in range(len(flat))])
    optimizer = torch.optim.Adam(critic.parameters(), 3e-3, (0.0, 0.9), fused=True)
    draws, lipschitz = torch.Generator().manual_seed(len(flat)), with_own_draws(lipschitz, len(flat))
    for step in range(num_steps):
        optimizer.param_groups[0]["lr"] = 3e-3 * (1 - step / num_steps)
        chosen = torch.randint(POOL, (2, BATCH), generator=draws)
        update_discriminator(critic, optimizer, Wasserstein(), None, real[:, chosen[0]], fake[:, chosen[1]],
                             lipschitz=lipschitz)
    with torch.no_grad():
        asked = (torch.stack([getattr(pair, name) for pair in flat]) for name in ("real_asked", "fake_asked"))
        scores = [critic(None, cloud).mean((1, 2)) for cloud in asked]
    return (scores[0] - scores[1]).view(len(pairs), -1)


# ---- section 7: the slice and the grid ----

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
