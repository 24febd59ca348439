"""The one training loop: it repeats a step, writes checkpoints, and goes on from one as if never interrupted.

    def step(k):
        ...                       # one update
        return {"l1": loss}

    history = run(step, 1000, state={"generator": generator, "optimizer": optimizer}, out=Path("run"))
"""

from __future__ import annotations

import json
import math
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from colorlib.files import write_json
from colorlib.training.weights import load_state, read_tensors, write_tensors

if TYPE_CHECKING:
    from accelerate import Accelerator

CHECKPOINT = "checkpoint.safetensors"
_ACCELERATE = threading.Lock()  # its state belongs to the process, and seeds may train in threads (see `course.seeds`)


@dataclass
class History:
    """The numbers of a training run, over all its resumed pieces."""

    losses: dict[str, list[float]] = field(default_factory=dict)  # name -> a value for each step that returned it
    seconds: float = 0.0
    num_steps: int = 0
    interrupted: bool = False  # by Ctrl-C

    def mean(self, name: str, last: int = 50) -> float:
        """Mean of the last values of a loss."""
        values = self.losses[name][-last:]
        return sum(values) / len(values)


def run(
    step: Callable[[int], Mapping[str, Tensor]], num_steps: int, *, state: Mapping[str, Any] | None = None,
    out: str | Path | None = None, resume: bool = False, every: int = 1000,
    save: Callable[[int], None] = lambda steps: None, look: Callable[[int], None] | None = None,
    progress: bool = True, accelerator: Accelerator | None = None,
) -> History:
    """Repeat a training step.

    Args:
        step: step(k) does update k = 0, 1, ... and returns its losses, scalar tensors by name. It may depend on k and
            on `state` alone; then a resumed run equals an uninterrupted one.
        num_steps: steps in all, including those before a resume.
        state: what the checkpoint holds, by name: modules, optimizers (without learning rates), torch.Generators, and
            objects whose `state_dict` is plain JSON. The global random states are always in it.
        out: folder for checkpoint.safetensors and history.json; None keeps nothing.
        resume: go on from the checkpoint in `out`.
        every: steps between two checkpoints.
        save: save(steps done) is called before each checkpoint, to write the weights.
        look: look(steps done) is called before the first step and after every step.
        progress: show a progress bar with the losses on standard error.
        accelerator: where several processes train, the main one writes the files.

    Ctrl-C finishes the step, writes the checkpoint and returns; a second Ctrl-C stops at once.

    Raises:
        ValueError: bad arguments; resume without a checkpoint; a checkpoint of another network.
        FloatingPointError: a loss is no longer finite; the checkpoint from before is kept.
    """
    from tqdm.auto import tqdm

    if num_steps < 1:
        raise ValueError(f"num_steps is {num_steps}; it must be at least 1")
    if resume and out is None:
        raise ValueError(f"resume=True needs out, the folder that holds {CHECKPOINT}")
    state, is_main = dict(state or {}), accelerator is None or accelerator.is_main_process
    history = load_checkpoint(Path(out, CHECKPOINT), state) if resume else History()

    def keep() -> None:
        if out is not None and is_main:
            save(history.num_steps)
            write_json(Path(out, "history.json"), {
                "losses": history.losses, "seconds": history.seconds, "steps": history.num_steps})
            save_checkpoint(Path(out, CHECKPOINT), state, history)  # the last: what it stands for is there already

    def drain() -> None:
        """Move the losses from the device into the history, and show their means."""
        shown = {}
        for name in list(recorded):
            values = torch.stack(recorded.pop(name)).tolist()
            for value in values:
                if not math.isfinite(value):
                    raise FloatingPointError(f"the loss {name!r} is {value} at or before step {history.num_steps}: "
                                             "training diverged; take a smaller learning rate, or precision='no'")
            history.losses.setdefault(name, []).extend(values)
            shown[name] = f"{sum(values) / len(values):.3f}"
        bar.set_postfix(shown, refresh=False)
        bar.update(history.num_steps - bar.n)

    recorded: dict[str, list[Tensor]] = {}
    started = time.perf_counter() - history.seconds
    if look is not None and not history.num_steps:
        look(0)
    with (tqdm(total=num_steps, initial=history.num_steps, disable=not progress or not is_main) as bar,
          deferred_interrupt() as interrupt):
        while history.num_steps < num_steps and not interrupt.is_set():
            for name, loss in step(history.num_steps).items():
                recorded.setdefault(name, []).append(loss.detach())  # on the device: reading it would wait for the GPU
            history.num_steps += 1
            history.seconds = time.perf_counter() - started
            due = history.num_steps % every == 0 and history.num_steps < num_steps
            if history.num_steps % 25 == 0 or due:
                drain()
            if look is not None:
                look(history.num_steps)
            if due:
                keep()
        drain()
        history.interrupted = history.num_steps < num_steps
        keep()
    if accelerator is not None:
        accelerator.wait_for_everyone()
    return history


def accelerated(precision: str = "no") -> Accelerator:
    """Accelerate's device and processes for a run in precision "no" (float32), "bf16" or "fp16"; safe in threads."""
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState

    with _ACCELERATE:
        if AcceleratorState._shared_state and AcceleratorState().mixed_precision != precision:
            AcceleratorState._reset_state()  # one process may train with two precisions, which Accelerate forbids
        return Accelerator(mixed_precision=precision)


def save_checkpoint(path: Path, state: Mapping[str, Any], history: History) -> None:
    """Write the state of a run as tensors and JSON."""
    tensors = {f"losses/{name}": torch.tensor(values, dtype=torch.float64) for name, values in history.losses.items()}
    plain = {"steps": history.num_steps, "seconds": history.seconds}
    for name, part in state.items():
        if isinstance(part, torch.Generator):
            tensors[f"{name}/random"] = part.get_state()
        elif isinstance(part, nn.Module):
            tensors |= {f"{name}/{key}": value for key, value in part.state_dict().items()}
        elif isinstance(part, torch.optim.Optimizer):
            tensors |= {f"{name}/{index}/{entry}": value for index, values in part.state_dict()["state"].items()
                        for entry, value in values.items()}
        else:
            plain[f"state/{name}"] = part.state_dict()
    tensors["random/cpu"] = torch.get_rng_state()
    tensors |= {f"random/cuda{index}": value for index, value in enumerate(torch.cuda.get_rng_state_all())}
    if torch.backends.mps.is_available():
        tensors["random/mps"] = torch.mps.get_rng_state()
    kind, numbers, *rest = np.random.get_state(legacy=True)
    plain["random"] = {"python": random.getstate(), "numpy": [kind, numbers.tolist(), *rest]}
    write_tensors(path, tensors, {"run": json.dumps(plain)})


def load_checkpoint(path: Path, state: Mapping[str, Any]) -> History:
    """Put back, in place, what `save_checkpoint` wrote; a ValueError where it is none, damaged or of another state."""
    tensors, metadata = read_tensors(path)
    plain = json.loads(metadata["run"])
    for name, part in state.items():
        own = _below(tensors, f"{name}/")
        if isinstance(part, nn.Module):
            load_state(part, own, path)
        elif isinstance(part, torch.optim.Optimizer):
            _load_optimizer(part, own)
        elif isinstance(part, torch.Generator) and "random" in own:
            part.set_state(own["random"])
        elif f"state/{name}" in plain:
            part.load_state_dict(plain[f"state/{name}"])
        else:
            raise ValueError(f"{path}: holds no state of {name!r}: it is another run's checkpoint, name its folder")
    torch.set_rng_state(tensors["random/cpu"])
    for index in range(torch.cuda.device_count()):
        if f"random/cuda{index}" in tensors:
            torch.cuda.set_rng_state(tensors[f"random/cuda{index}"], index)
    if torch.backends.mps.is_available() and "random/mps" in tensors:
        torch.mps.set_rng_state(tensors["random/mps"])
    version, words, gauss = plain["random"]["python"]
    random.setstate((version, tuple(words), gauss))
    np.random.set_state(tuple(plain["random"]["numpy"]))
    losses = {name: values.tolist() for name, values in _below(tensors, "losses/").items()}
    return History(losses, plain["seconds"], plain["steps"])


def _load_optimizer(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        index, _, entry = key.partition("/")
        like = parameters[int(index)]
        if value.shape == like.shape:  # fused Adam needs its state in the same memory layout as the weights
            value = torch.empty_like(like, dtype=value.dtype).copy_(value)
        state.setdefault(int(index), {})[entry] = value
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def _below(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


@contextmanager
def deferred_interrupt() -> Iterator[threading.Event]:
    """Ctrl-C sets the event instead of ending a step half-way; the second one raises as usual."""
    pressed = threading.Event()
    usual = signal.getsignal(signal.SIGINT)

    def first(signum, frame):
        signal.signal(signal.SIGINT, usual)
        pressed.set()

    is_main = threading.current_thread() is threading.main_thread()  # only there may handlers be set, or Ctrl-C arrive
    try:
        if is_main:
            signal.signal(signal.SIGINT, first)
        yield pressed
    finally:
        if is_main:
            signal.signal(signal.SIGINT, usual)
