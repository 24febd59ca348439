"""The training step of pix2pix, and `fit`, which repeats it.

    condition, target = next(batches)
    fake = generator(condition).ab
    update_discriminator(discriminator, optimizer_d, adversarial, condition, target, fake)
    update_generator(discriminator, optimizer_g, adversarial, condition, target, fake, lambda_l1=100)

WGAN-GP is the same step with `adversarial=Wasserstein()` and `lipschitz=GradientPenalty()`, the first line `n_critic`
times before the second.

Devices, precision and processes are Hugging Face Accelerate's business.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor, nn

from colorlib.generators import Generator, predict
from colorlib.losses import AdversarialLoss, LipschitzConstraint, Vanilla, l1
from colorlib.training.loop import History, Run

Backward = Callable[[Tensor], None]
Schedule = Callable[[float], float]
_ACCELERATE = threading.Lock()  # its state belongs to the process, and seeds may train in threads (see `seeds`)


def update_discriminator(
    discriminator: nn.Module,
    optimizer: torch.optim.Optimizer,
    adversarial: AdversarialLoss,
    condition: Tensor,
    target: Tensor,
    fake: Tensor,
    backward: Backward = Tensor.backward,
    lipschitz: LipschitzConstraint | None = None,
) -> dict[str, Tensor]:
    """One step of the discriminator: call the real pair real and the generated pair generated.

    Args:
        condition: (B, C, H, W), what the generator was given; labels (B,) or None where it is not a picture.
        target: (B, K, H, W), the real picture that belongs to it.
        fake: (B, K, H, W), the generated one; detached here, so that no gradient reaches the generator.
        backward: how to run the backward pass; Accelerate's in `fit`, where it scales float16.
        lipschitz: what holds a Wasserstein critic to its Lipschitz constant: GradientPenalty or WeightClipping.

    Returns:
        {"discriminator": loss}, a scalar tensor on the device, without the penalty; with a constraint also
        {"penalty": ...}.

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


def update_generator(
    discriminator: nn.Module | None,
    optimizer: torch.optim.Optimizer,
    adversarial: AdversarialLoss,
    condition: Tensor,
    target: Tensor | None,
    fake: Tensor,
    lambda_l1: float,
    backward: Backward = Tensor.backward,
) -> dict[str, Tensor]:
    """One step of the generator: look real to the discriminator and stay near the target.

    Args:
        discriminator: None trains with L1 alone (then its weight does not matter and is 1).
        target: None where no picture belongs to the condition (noise, labels); then lambda_l1 is 0.
        fake: (B, K, H, W), generated with gradients.
        lambda_l1: weight of L1 beside the adversarial loss; 0 leaves L1 out.

    Returns:
        {"l1": ..., "generator": ...}: L1 where there is a target (measured even where it is not trained on), the
        adversarial loss where there is a discriminator.

    Raises:
        ValueError: L1 is asked for and there is no target.

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
            total = adversarial_loss + lambda_l1 * distance if lambda_l1 else adversarial_loss
            backward(total)
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


def constant(progress: float) -> float:
    """Learning-rate schedule: the same all the time."""
    return 1.0


def linear_decay(progress: float) -> float:
    """pix2pix's schedule: constant for the first half, then in a straight line to 0 (appendix 6.2)."""
    return min(1.0, 2.0 * (1.0 - progress))


def fit(
    generator: Generator,
    batches: Iterator[tuple[Tensor, Tensor]],
    *,
    num_steps: int,
    discriminator: nn.Module | None = None,
    adversarial: AdversarialLoss = Vanilla(),
    lipschitz: LipschitzConstraint | None = None,
    n_critic: int = 1,
    lambda_l1: float = 100.0,
    lr: float = 2e-4,
    betas: tuple[float, float] = (0.5, 0.999),
    schedule: Schedule = constant,
    precision: str = "no",
    out: str | Path | None = None,
    resume: bool = False,
    checkpoint_every: int = 1000,
    metadata: dict[str, str] | None = None,
    preview: Tensor | None = None,
    preview_every: int = 0,
    progress: bool = True,
) -> History:
    """Train a generator, with or without a discriminator.

    Args:
        generator: trained in place.
        batches: endless pairs (condition, target), such as (L, ab); if it has `state_dict` and `load_state_dict`,
            a resumed run sees the batches that the interrupted one would have seen.
        num_steps: updates of the generator in all, including those before a resume.
        discriminator: called as discriminator(condition, image) -> logits; None trains with L1 alone.
        adversarial: the loss of the game.
        lipschitz: a Wasserstein critic's constraint: GradientPenalty() or WeightClipping().
        n_critic: updates of the discriminator for each one of the generator, each with a batch of its own.
        lambda_l1: weight of L1 beside it; 0 is the adversarial loss alone.
        lr, betas: Adam's, for both networks.
        schedule: progress in [0, 1] -> factor of lr.
        precision: "no" (float32), "bf16" or "fp16".
        out: a folder for `checkpoint.safetensors`, `weights.safetensors` and `history.json`; None keeps nothing.
        resume: go on from the checkpoint in `out`.
        metadata: goes into the weights file (recipe, size ...).
        preview, preview_every: a batch of conditions that is predicted every so many steps, for looking at.
        progress: show a progress bar with the losses on standard error.

    Returns:
        The History. Ctrl-C finishes the step under way, writes the checkpoint and returns with
        `interrupted=True`; a second Ctrl-C stops at once.

    Raises:
        ValueError: bad arguments; resume without a checkpoint; a checkpoint of another network.
        FloatingPointError: a loss is no longer finite; the checkpoint from before is kept.
    """
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState
    from tqdm.auto import tqdm

    if num_steps < 1:
        raise ValueError(f"num_steps is {num_steps}; it must be at least 1")
    if n_critic < 1:
        raise ValueError(f"n_critic is {n_critic}; it must be at least 1")
    if resume and out is None:
        raise ValueError("resume=True needs out, the folder that holds checkpoint.safetensors")
    with _ACCELERATE:
        if AcceleratorState._shared_state and AcceleratorState().mixed_precision != precision:
            AcceleratorState._reset_state()  # one process may train with two precisions, which Accelerate forbids
        accelerator = Accelerator(mixed_precision=precision)
    for network in (generator, discriminator):
        if network is not None:
            network.to(accelerator.device)  # before the optimizers: a resumed Adam state goes where its weights are
    run = Run(generator, discriminator, lr, betas, batches, Path(out) if out is not None else None, metadata or {})
    if resume:
        run.load()
    trained, optimizer_g = accelerator.prepare(generator, run.optimizer_g)
    judge, optimizer_d = accelerator.prepare(discriminator, run.optimizer_d) if discriminator is not None else (None, None)
    preview = None if preview is None else preview.to(accelerator.device)
    history, recorded = run.history, {}
    trained.train()
    started, before = time.perf_counter(), history.seconds
    bar = tqdm(total=num_steps, initial=run.step, disable=not progress or not accelerator.is_main_process)
    with bar, deferred_interrupt() as interrupt:
        while run.step < num_steps and not interrupt.is_set():
            for group in [*run.optimizer_g.param_groups, *(run.optimizer_d.param_groups if judge is not None else [])]:
                group["lr"] = lr * schedule(run.step / num_steps)
            losses = {}
            for remaining in reversed(range(n_critic if judge is not None else 1)):
                condition, target = (part.to(accelerator.device, non_blocking=True) for part in next(batches))
                with torch.set_grad_enabled(remaining == 0):  # only the last fake goes to the generator's update
                    fake = trained(condition).ab
                if judge is not None:
                    losses |= update_discriminator(
                        judge, optimizer_d, adversarial, condition, target, fake, accelerator.backward, lipschitz)
            losses |= update_generator(
                judge, optimizer_g, adversarial, condition, target, fake, lambda_l1, accelerator.backward)
            run.step += 1
            for name, loss in losses.items():
                recorded.setdefault(name, []).append(loss)  # stays on the device: reading it would wait for the GPU
            due = run.out is not None and run.step % checkpoint_every == 0
            if run.step % 25 == 0 or due:
                bar.set_postfix(drain(recorded, history, run.step), refresh=False)
                bar.update(run.step - bar.n)
            history.seconds = before + time.perf_counter() - started
            if preview is not None and preview_every and (run.step % preview_every == 0 or run.step == 1):
                history.previews.append((run.step, predict(generator, preview).ab.float().cpu()))
            if due and accelerator.is_main_process:
                run.save()
        bar.set_postfix(drain(recorded, history, run.step))
        bar.update(run.step - bar.n)
        history.interrupted = run.step < num_steps
        if run.out is not None and accelerator.is_main_process:
            run.save()
    accelerator.wait_for_everyone()
    for network in (trained, judge):
        if network is not None:  # give back plain networks: Accelerate has wrapped their forward for the precision
            accelerator.unwrap_model(network, keep_fp32_wrapper=False)
    return history


def drain(recorded: dict[str, list[Tensor]], history: History, step: int) -> dict[str, str]:
    """Move the losses from the device into the history; refuse to go on when one is not finite."""
    shown = {}
    for name, losses in recorded.items():
        if not losses:
            continue
        values = torch.stack(losses).tolist()
        if not all(map(torch.isfinite, torch.tensor(values))):
            raise FloatingPointError(
                f"the loss {name!r} is {values[-1]} at step {step}: training diverged; take a smaller lr "
                "or precision='no'"
            )
        history.losses.setdefault(name, []).extend(values)
        shown[name] = f"{sum(values) / len(values):.3f}"
        losses.clear()
    return shown


@contextmanager
def deferred_interrupt() -> Iterator[threading.Event]:
    """Ctrl-C sets the event instead of tearing a step apart; the second one raises as usual."""
    pressed = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield pressed  # only the main thread may set signal handlers, and only it receives Ctrl-C
        return
    usual = signal.getsignal(signal.SIGINT)

    def first(signum, frame):
        signal.signal(signal.SIGINT, usual)
        pressed.set()

    signal.signal(signal.SIGINT, first)
    try:
        yield pressed
    finally:
        signal.signal(signal.SIGINT, usual)
