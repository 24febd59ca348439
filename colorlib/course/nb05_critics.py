"""Critics of notebook 05 between known distributions: parallel lines, one dimension, pairs of clouds, deep networks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from colorlib.course.mixtures import Mixture, ring
from colorlib.course.nb05 import BATCH, with_own_draws
from colorlib.course.seeds import Ensemble, in_parallel, seeded
from colorlib.course.toys import PointDiscriminator
from colorlib.losses import (AdversarialLoss, GradientPenalty, LipschitzConstraint, Vanilla, Wasserstein,
                             WeightClipping, gradient_penalty)
from colorlib.training import update_discriminator


def depth_profile(lipschitz: LipschitzConstraint, mixture: Mixture, *, num_steps: int, seeds: Sequence[int],
                  depth: int = 12, hidden: int = 32) -> tuple[Tensor, Tensor]:
    """Train deep critics between the mixture and a smeared copy of it, and measure their gradients.

    The setting of Gulrajani et al. 2017, figure 1b: the generated distribution stands still (real points plus unit
    noise), the critic has 12 layers with ReLU. Returns the norm of the gradient of the critic's loss with respect to
    the output of each hidden layer (S, depth - 1), from first to last; and all weights that are matrices, as one long
    tensor.
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
    """A critic of points with many layers of ReLU, initialised so that a signal keeps its size (He et al. 2015)."""
    critic = PointDiscriminator(hidden=hidden, num_layers=depth)
    critic.layers = nn.Sequential(*(nn.ReLU() if isinstance(layer, nn.LeakyReLU) else layer for layer in critic.layers))
    for layer in critic.layers:
        if isinstance(layer, nn.Linear):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)
    return critic


# section 3: two parallel lines


class Shifted(NamedTuple):
    """Size of the gradient with respect to theta of three generator losses: for every checkpoint one value per seed."""

    saturating: list[list[float]]
    non_saturating: list[list[float]]
    critic: list[list[float]]


def slopes_at_theta(seeds: Sequence[int], checkpoints: Sequence[int], theta: float = 1.0) -> Shifted:
    """Train discriminators and critics between the lines x = 0 and x = theta; at the checkpoints, take the derivative of
    the generator's loss with respect to theta."""
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
            loss = asked_loss.generator(network(None, fake)) * len(seeds)
            return torch.autograd.grad(loss, fake)[0][..., 0].sum(1).abs().tolist()

        network, found = Ensemble([seeded(seed, PointDiscriminator) for seed in seeds]), [[] for _ in asked]
        optimizer = torch.optim.Adam(network.parameters(), 1e-3, (0.0, 0.9), fused=True)
        for step in range(max(checkpoints) + 1):
            if step in checkpoints:
                for slopes, loss in zip(found, asked):
                    slopes.append(gradient(loss))
            update_discriminator(network, optimizer, adversarial, None, *lines(), lipschitz=lipschitz)
        return found

    penalty = with_own_draws(GradientPenalty(10.0, batch_dims=2), seeds[0])
    gan, critic = in_parallel(lambda rule: run(*rule), [(Vanilla(), None, [Vanilla(saturating=True), Vanilla()]),
                                                        (Wasserstein(), penalty, [Wasserstein()])])
    return Shifted(*gan, *critic)


# section 4: where to penalise


@dataclass(frozen=True)
class PenaltyAtReal:
    """A common mistake: the penalty at real points only. For the comparison of section 4."""

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
    constraints = {"between, both sides": GradientPenalty(10.0, batch_dims=2),
                   "between, only above 1": GradientPenalty(10.0, one_sided=True, batch_dims=2),
                   "at real points only": PenaltyAtReal(), "clipping, c = 0.1": WeightClipping(0.1)}
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


# section 5: distances that are known

POOL = 2048  # points of a cloud that a critic is trained on


class Pair(NamedTuple):
    """Two clouds (POOL, 2) to train on, two to estimate the distance of, and their exact distance."""

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
    clouds_of_256 = {"ring, blob": (circle.sample(256, draws), normal(256)),
                     "ring, dot": (circle.sample(256, draws), 0.05 * normal(256)),
                     "ring, one mode": (circle.sample(256, draws), circle.means[0] + 0.1 * normal(256)),
                     "cross": (torch.stack([line, line], 1), torch.stack([line, -line], 1)),
                     "half of a ring": (circle.sample(256, draws), torch.stack([line.abs() - 2, line], 1))}
    for name, (real, fake) in clouds_of_256.items():
        ways = torch.cdist(real, fake).numpy()
        exact = float(ways[linear_sum_assignment(ways)].mean())
        many = [cloud.repeat(POOL // 256, 1) for cloud in (real, fake)]
        pairs.append(Pair(name, *many, *many, exact))
    return pairs


def estimates(pairs: Sequence[Sequence[Pair]], lipschitz: LipschitzConstraint, *, num_steps: int) -> Tensor:
    """Train one critic for every pair of every seed, all as one model, and take its estimate of the distance.

    Returns:
        Mean score of the real minus mean score of the generated points, (seeds, pairs).
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
