"""The training step of pix2pix, and `fit`, which gives it to the one loop (`training.loop`).

    condition, target = next(batches)
    fake = generator(condition).ab
    update_discriminator(discriminator, optimizer_d, adversarial, condition, target, fake)
    update_generator(discriminator, optimizer_g, adversarial, condition, target, fake, lambda_l1=100)

WGAN-GP is the same step with `adversarial=Wasserstein()`, `lipschitz=GradientPenalty()` and `n_critic` updates of the
critic, each on a batch of its own.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor, nn

from colorlib import processes
from colorlib.generators import Generator
from colorlib.losses import AdversarialLoss, GradientPenalty, LipschitzConstraint, Vanilla, l1
from colorlib.training.loop import History, accelerated, run
from colorlib.training.weights import save_weights


def update_discriminator(discriminator: nn.Module, optimizer: torch.optim.Optimizer, adversarial: AdversarialLoss,
                         condition: Tensor, target: Tensor, fake: Tensor,
                         backward: Callable[[Tensor], None] = Tensor.backward,
                         lipschitz: LipschitzConstraint | None = None) -> dict[str, Tensor]:
    """One step of the discriminator: classify the real pair as real and the generated pair as generated.

    Args:
        condition: (B, C, H, W), what the generator was given; labels (B,) or None where it is not a picture.
        target, fake: (B, K, H, W), real and generated; fake is detached, so that no gradient reaches the generator.
        lipschitz: a Wasserstein critic's constraint: GradientPenalty or WeightClipping.

    Returns the losses, scalar tensors: "discriminator", and with a constraint "penalty", which the former is without.

    Reference: Goodfellow et al. 2014, algorithm 1; Isola et al. 2017, equation 1; Gulrajani et al. 2017, algorithm 1.
    """
    optimizer.zero_grad(set_to_none=True)
    loss = adversarial.discriminator(discriminator(condition, target), discriminator(condition, fake.detach()))
    losses = {"discriminator": loss.detach()}
    if lipschitz is not None:
        penalty = lipschitz.penalty(discriminator, condition, target, fake)
        loss, losses["penalty"] = loss + penalty, penalty.detach()
    backward(loss)
    optimizer.step()
    if lipschitz is not None:
        lipschitz.project(discriminator)
    return losses


def update_generator(discriminator: nn.Module | None, optimizer: torch.optim.Optimizer, adversarial: AdversarialLoss,
                     condition: Tensor, target: Tensor | None, fake: Tensor, lambda_l1: float,
                     backward: Callable[[Tensor], None] = Tensor.backward) -> dict[str, Tensor]:
    """One step of the generator: be classified as real and stay near the target.

    Args:
        discriminator: None trains with L1 alone, whose weight is then 1.
        target: None where no picture belongs to the condition (noise, labels); ValueError unless lambda_l1 is 0.
        fake: (B, K, H, W), generated with gradients.
        lambda_l1: weight of L1 added to the adversarial loss.

    Returns the losses: "l1" where there is a target, "generator" (adversarial) where there is a discriminator.

    Reference: Isola et al. 2017, equation 4.
    """
    if target is None and (discriminator is None or lambda_l1):
        raise ValueError(f"target is None, discriminator {'given' if discriminator is not None else 'None'}, lambda_l1 "
                         f"{lambda_l1}: L1 needs a target; without one give a discriminator and lambda_l1=0")
    optimizer.zero_grad(set_to_none=True)
    losses = {}
    if target is not None:
        distance = l1(fake, target)
        losses["l1"] = distance.detach()
    if discriminator is None:
        backward(distance)
    else:
        with frozen(discriminator):  # its weights need no gradient here: a third of its cost
            adversarial_loss = adversarial.generator(discriminator(condition, fake))
            backward(adversarial_loss + lambda_l1 * distance if lambda_l1 else adversarial_loss)
        losses["generator"] = adversarial_loss.detach()
    optimizer.step()
    return losses


@contextmanager
def frozen(module: nn.Module) -> Iterator[None]:
    """Gradients pass through the module to its input, but its own weights get none."""
    trainable = [parameter for parameter in module.parameters() if parameter.requires_grad]
    for parameter in trainable:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in trainable:
            parameter.requires_grad_(True)


def linear_decay(progress: float) -> float:
    """pix2pix's learning-rate schedule: constant for the first half, then in a straight line to 0 (appendix 6.2)."""
    return min(1.0, 2.0 * (1.0 - progress))


class InParts:
    """An optimizer whose batch comes in parts, one after the other, for less memory: the gradient is cleared before the
    first and used after the last."""

    def __init__(self, optimizer: torch.optim.Optimizer, parts: int) -> None:
        self.optimizer, self.parts, self.done = optimizer, parts, 0

    def zero_grad(self, set_to_none: bool = True) -> None:
        if self.done % self.parts == 0:
            self.optimizer.zero_grad(set_to_none)

    def step(self) -> None:
        self.done += 1
        if self.done % self.parts == 0:
            self.optimizer.step()


def backward_of(network: nn.Module, parts: int = 1,
                backward: Callable[[Tensor], None] = Tensor.backward) -> Callable[[Tensor], None]:
    """A function of the loss: the gradients of 1 / parts of it, the network's averaged over the processes."""
    def both(loss: Tensor) -> None:
        backward(loss / parts)
        processes.average(network.parameters())

    return both


def fit(
    generator: Generator, batches: Iterator[tuple[Tensor, Tensor]], *, num_steps: int,
    discriminator: nn.Module | None = None, adversarial: AdversarialLoss = Vanilla(),
    lipschitz: LipschitzConstraint | None = None, n_critic: int = 1, lambda_l1: float = 100.0,
    lr: float = 2e-4, betas: tuple[float, float] = (0.5, 0.999),
    schedule: Callable[[float], float] = lambda progress: 1.0, precision: str = "no", accumulate: int = 1,
    compile: bool = False, tracker: str | None = None, out: str | Path | None = None, resume: bool = False,
    checkpoint_every: int = 1000, metadata: dict[str, str] | None = None, progress: bool = True,
) -> History:
    """Train a generator in place, with or without a discriminator, in one process or in several (see `processes`).

    Args:
        batches: endless pairs (condition, target), such as (L, ab); with `state_dict` and `load_state_dict` a resumed
            run sees the batches that the interrupted one would have seen. Of several processes each gives its share.
        num_steps: updates of the generator in all, including those before a resume.
        discriminator: called as discriminator(condition, image) -> logits; None trains with L1 alone.
        adversarial, lipschitz, lambda_l1: see the two updates.
        n_critic: updates of the discriminator for each one of the generator, each with a batch of its own.
        lr, betas: Adam's, for both networks; schedule: progress in [0, 1] -> factor of lr.
        precision, tracker: see `loop.accelerated`. A critic with a gradient penalty stays in float32: the penalty
            squares the small difference of a gradient's norm from 1, and differentiates it again; bfloat16 rounds to 3
            digits, and float16 loses gradients of single pixels below 6e-8.
        accumulate: how many batches make one update; a batch norm takes the statistics of each alone.
        compile: let torch.compile fuse the networks, but not a critic with a gradient penalty: it has no double backward.
        out: folder for `weights.safetensors` and the files of `loop.run`; None keeps nothing.
        metadata: more entries of the weights file, such as recipe and size.
        resume, checkpoint_every (there `every`), progress: see `loop.run`, also for what is returned and raised.
    """
    for name, value in (("n_critic", n_critic), ("accumulate", accumulate)):
        if value < 1:
            raise ValueError(f"{name} is {value}; it must be at least 1")
    accelerator = accelerated(precision, tracker, out)
    networks = [network.to(accelerator.device) for network in (generator, discriminator) if network is not None]
    # one fused kernel per step instead of a dozen per parameter; Apple's MPS keeps the plain one
    fused = accelerator.device.type in ("cpu", "cuda")
    optimizers = [torch.optim.Adam(network.parameters(), lr, betas, fused=fused) for network in networks]
    adam_g, adam_d = [*(InParts(accelerator.prepare_optimizer(one), accumulate) for one in optimizers), None][:2]
    backward_g, backward_d = [
        *(backward_of(network, accumulate, accelerator.backward) for network in networks), None][:2]
    eased = networks[: 1 if isinstance(lipschitz, GradientPenalty) else 2]  # in `precision`, and compiled
    for network in eased:
        accelerator.prepare_model(network, evaluation_mode=True)  # without DistributedDataParallel: see `processes`
        if compile:
            network.compile()
    generator.train()
    updates = n_critic if discriminator is not None else 1

    def step(k: int) -> dict[str, Tensor]:
        for optimizer in optimizers:
            optimizer.param_groups[0]["lr"] = lr * schedule(k / num_steps)
        losses: dict[str, Tensor] = {}
        for remaining in reversed(range(updates)):
            parts = [tuple(part.to(accelerator.device, non_blocking=True) for part in next(batches))
                     for _ in range(accumulate)]
            for condition, target in parts if discriminator is not None or accumulate == 1 else ():
                # only the last fake goes to the generator's update; those of several parts are made again, one by one
                with torch.set_grad_enabled(remaining == 0 and accumulate == 1):
                    fake = generator(condition).ab
                if discriminator is not None:
                    losses |= update_discriminator(
                        discriminator, adam_d, adversarial, condition, target, fake, backward_d, lipschitz)
        for condition, target in parts:
            if accumulate > 1:
                fake = generator(condition).ab
            losses |= update_generator(
                discriminator, adam_g, adversarial, condition, target, fake, lambda_l1, backward_g)
        return losses

    def save(steps: int) -> None:
        save_weights(Path(out, "weights.safetensors"), generator, {**(metadata or {}), "step": str(steps)})

    state = {**dict(zip(("generator", "discriminator"), networks)), **dict(zip(("adam_g", "adam_d"), optimizers)),
             "batches": batches, "places": getattr(lipschitz, "generator", None), "scaler": accelerator.scaler}
    state = {name: part for name, part in state.items()
             if hasattr(part, "state_dict") or isinstance(part, torch.Generator)}
    try:
        with processes.as_one(*networks):
            return run(step, num_steps, state=state, out=out, resume=resume, every=checkpoint_every, save=save,
                       progress=progress, accelerator=accelerator, metadata=metadata)
    finally:
        for network in eased:  # give back plain networks
            accelerator.unwrap_model(network, keep_fp32_wrapper=False)
            network._compiled_call_impl = None
            # a mark of newer Accelerates: the next training would find the network prepared, and leave it as it is
            vars(network).pop("_is_accelerate_prepared", None)
