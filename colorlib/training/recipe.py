"""How the colorizer that ships is trained: NoGAN, first a pixel loss for a long time, then a short Wasserstein game.

    pretraining    ab near the real one (the mean answer) + a distribution over ab + random hints
    game           the same, and for other z: a critic that sees L and ab, WGAN-GP, and z that says which colours

z says of a picture's colours what L does not tell: how much more colourful it is than the mean answer, and where its
dark and its light parts lie beside it (`palette_code`). So every photograph has a z of its own, which can be measured.
The generator is taught to follow it, and a z drawn from N(0, 1) gives one of the plausible colourings.

Reference: Antic 2019, DeOldify (NoGAN); Gulrajani et al. 2017 (WGAN-GP); Zhang et al. 2017, Real-time user-guided
image colorization (random hints); Zhu et al. 2017, BicycleGAN, section 3.3 (a latent code that the output gives back).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from colorlib.color import bins
from colorlib.discriminators import Critic, MultiScale
from colorlib.generators import ResidualUNet, predict
from colorlib.losses import GradientPenalty, Wasserstein
from colorlib.training.augment import aged, random_hints, warped
from colorlib.training.fit import frozen, update_discriminator

CODES = ("colourfulness", "dark a", "dark b", "light a", "light b")
"""What the numbers of z mean, in this order; each in standard deviations over photographs."""


@dataclass(frozen=True)
class Recipe:
    """Everything that makes a run that run, beside the photographs.

    pretraining, game: steps of the two phases.
    size, batch_size: of the crops (see `PhotoBatches`).
    base_channels, levels, blocks: of the ResidualUNet.
    lr, game_lr, critic_lr: Adam's, at the top of the cycle.
    hinted: share of the pictures that get hints.
    warped: share of the pictures that are turned and stretched.
    aged: share of the pictures whose L is made to look like an old photograph's.
    lambda_bins: weight of the cross-entropy of the distribution over ab.
    lambda_adversarial, lambda_code, n_critic: of the game.
    ema: decay of the moving average of the weights, which is what ships.
    """

    pretraining: int
    game: int
    size: int = 64
    batch_size: int = 16
    base_channels: int = 48
    levels: int = 4
    blocks: int = 2
    lr: float = 2e-3
    game_lr: float = 2e-4
    critic_lr: float = 2e-4
    weight_decay: float = 0.05
    hinted: float = 0.5
    warped: float = 0.5
    aged: float = 0.25
    lambda_bins: float = 0.05
    lambda_adversarial: float = 0.02
    lambda_code: float = 0.05
    n_critic: int = 2
    ema: float = 0.999
    seed: int = 0

    @classmethod
    def of_length(cls, num_steps: int, **others: float) -> Recipe:
        """The default recipe: eight ninths of the steps are pretraining. A step of the game takes three times as long.

        Raises:
            ValueError: fewer than 90 steps, of which the game's critic would get none.
        """
        if num_steps < 90:
            raise ValueError(f"num_steps is {num_steps}; pretraining and game together need at least 90")
        return cls(pretraining=num_steps - num_steps // 9, game=num_steps // 9, **others)


def distance(ab_fake: Tensor, ab_real: Tensor) -> Tensor:
    """Mean Euclidean distance of the colours, scaled: what the area under the error curve (AuC) measures.

    L1 takes a and b one by one and prefers errors along an axis; this does not.

    Args:
        ab_fake, ab_real: (B, 2, H, W).
    """
    return ((ab_fake - ab_real).square().sum(1) + 1e-6).sqrt().mean()


def palette_code(L: Tensor, ab: Tensor, ab_mean: Tensor) -> Tensor:
    """What a picture's colours have that the mean answer has not, in five numbers (see CODES), not yet standardised.

    Args:
        L: (B, 1, H, W).
        ab: (B, 2, H, W), scaled: real or generated.
        ab_mean: (B, 2, H, W): the mean answer for the same L.

    Returns:
        (B, 5): log of the ratio of the mean chroma; mean difference of a and b over the darker and the lighter part,
        scaled. Zero for the mean answer itself.
    """
    chroma = ((ab.square().sum(1) + 1e-6).sqrt().mean((1, 2)) + 0.03) / (
        (ab_mean.square().sum(1) + 1e-6).sqrt().mean((1, 2)) + 0.03)
    light = torch.sigmoid((L - L.mean((2, 3), keepdim=True)) * 8)
    parts = [((ab - ab_mean) * weight).mean((2, 3)) / weight.mean((2, 3)) for weight in (1 - light, light)]
    return torch.cat([chroma.log()[:, None], *parts], dim=1)


def moving_average(decay: float) -> Callable[[list[Tensor], list[Tensor], Tensor], None]:
    """torch's exponential moving average, with a smaller decay at the beginning, so that a short run forgets its start."""
    def update(averages: list[Tensor], values: list[Tensor], num_averaged: Tensor) -> None:
        warm = min(decay, (1 + int(num_averaged)) / (10 + int(num_averaged)))
        get_ema_multi_avg_fn(warm)(averages, values, num_averaged)

    return update


class Game(nn.Module):
    """The networks of a run and the scale of z: what a checkpoint holds.

    Attributes:
        generator, critic: what is trained.
        average: the exponential moving average of the generator, which is what ships.
        code_mean, code_std: of `palette_code` over photographs, measured when the game begins.
    """

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        self.generator = ResidualUNet(
            base_channels=recipe.base_channels, levels=recipe.levels, blocks=recipe.blocks, hint_channels=3,
            z_channels=len(CODES), num_bins=bins.num_bins())
        # patches of 32 and of 64 pixels of the picture: where colours end, and whether they belong together
        self.critic = MultiScale([Critic(receptive_field=16, base_channels=32) for _ in range(2)])
        self.average = AveragedModel(self.generator, multi_avg_fn=moving_average(recipe.ema), use_buffers=True)
        self.register_buffer("code_mean", torch.zeros(len(CODES)))
        self.register_buffer("code_std", torch.ones(len(CODES)))

    def standard(self, code: Tensor) -> Tensor:
        """A palette code (B, 5) as the generator takes it: N(0, 1) over photographs."""
        return (code - self.code_mean) / self.code_std

    def z_mean(self, num: int) -> Tensor:
        """The z of the mean answer, (num, 5): the code 0, as colourful as itself."""
        return self.standard(torch.zeros_like(self.code_mean)).expand(num, -1)

    def mean_answer(self, L: Tensor, hints: Tensor) -> Tensor:
        """ab (B, 2, H, W) of the averaged generator at the z of the mean."""
        return predict(self.average.module, L, hints=hints, z=self.z_mean(len(L))).ab.clone()

    @torch.no_grad()
    def measure_codes(self, batches: Iterator[tuple[Tensor, Tensor]], num: int) -> None:
        """Measure mean and deviation of the code over `num` pictures, so that z ~ N(0, 1); the mean answer stays."""
        codes: list[Tensor] = []
        while sum(map(len, codes)) < num:
            L, ab = next(batches)
            none = torch.zeros(len(L), 3, *L.shape[-2:], device=L.device)
            codes.append(palette_code(L, ab, self.mean_answer(L, none)))
        every = torch.cat(codes)
        self.code_mean.copy_(every.mean(0)), self.code_std.copy_(every.std(0))
        for network in (self.generator, self.average.module):
            layer = network.context.of_z  # z was 0 so far: the new z of the mean shall give the same
            layer.bias -= layer.weight @ self.z_mean(1)[0]


@dataclass(frozen=True)
class Loader:
    """Batches as both phases see them: L turned or aged now and then, with hints; all from (seed, step)."""

    batches: Iterator[tuple[Tensor, Tensor]]
    recipe: Recipe

    def next(self, step: int) -> tuple[Tensor, Tensor, Tensor, torch.Generator]:
        random = torch.Generator().manual_seed(self.recipe.seed * 1_000_003 + step)
        L, ab = next(self.batches)
        if self.recipe.warped:
            L, ab = warped(L, ab, self.recipe.warped, random)
        return aged(L, self.recipe.aged, random), ab, random_hints(ab, self.recipe.hinted, random), random


def pretraining_step(game: Game, optimizer: torch.optim.Optimizer, loader: Loader, step: int) -> dict[str, Tensor]:
    """One update on the mean answer and on the distribution over ab."""
    L, ab, hints, _ = loader.next(step)
    said = game.generator(L, hints=hints, z=game.z_mean(len(L)))
    losses = {"distance": distance(said.ab, ab), "bins": bins.cross_entropy(said.bins, ab)}
    optimizer.zero_grad(set_to_none=True)
    (losses["distance"] + loader.recipe.lambda_bins * losses["bins"]).backward()
    optimizer.step()
    return losses


def game_step(
    game: Game, optimizer_g: torch.optim.Optimizer, optimizer_d: torch.optim.Optimizer, loader: Loader, step: int,
    train_generator: bool,
) -> dict[str, Tensor]:
    """n_critic updates of the critic and one of the generator.

    A batch has three parts: the mean answer, as in pretraining; pictures with their own z, which shall come near their
    real colours; and pictures with a z drawn from N(0, 1). The critic judges the last two.
    """
    recipe, losses = loader.recipe, {}
    for remaining in reversed(range(recipe.n_critic)):
        L, ab, hints, random = loader.next(step * recipe.n_critic + remaining)
        known = len(L) // 4  # the mean answer; then as many with their own z as with a drawn one
        own = known + (len(L) - known) // 2
        reference = game.mean_answer(L[known:], hints[known:])
        z = game.standard(palette_code(L[known:], ab[known:], reference))
        z[own - known:] = torch.randn(len(L) - own, len(CODES), generator=random).to(z)
        with torch.set_grad_enabled(train_generator and remaining == 0):
            said = game.generator(L, hints=hints, z=torch.cat([game.z_mean(known), z]))
        places = torch.Generator(L.device).manual_seed(random.initial_seed() + 2**40)  # on the device, as L is
        losses |= update_discriminator(
            game.critic, optimizer_d, Wasserstein(), L[known:], ab[known:], said.ab[known:],
            lipschitz=GradientPenalty(generator=places))
    if not train_generator:
        return losses
    answered = game.standard(palette_code(L[known:], said.ab[known:], reference))
    mask = hints[:, :1]
    losses["distance"] = distance(said.ab[:known], ab[:known])
    losses["bins"] = bins.cross_entropy(said.bins[:known], ab[:known])
    losses["own"] = distance(said.ab[known:own], ab[known:own])
    losses["code"] = (answered - z).abs().mean()
    losses["hint"] = ((said.ab - hints[:, 1:]).abs() * mask).sum() / (2 * mask.sum() + 1)
    with frozen(game.critic):
        losses["generator"] = Wasserstein().generator(game.critic(L[known:], said.ab[known:]))
        optimizer_g.zero_grad(set_to_none=True)
        (losses["distance"] + recipe.lambda_bins * losses["bins"] + losses["own"] + losses["hint"]
         + recipe.lambda_code * losses["code"] + recipe.lambda_adversarial * losses["generator"]).backward()
    optimizer_g.step()
    return losses
