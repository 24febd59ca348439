"""The one training loop: it repeats a step, writes checkpoints, and goes on from one as if never interrupted.

    def step(k):
        ...                       # one update
        return {"l1": loss}

    history = run(step, 1000, state={"generator": generator, "optimizer": optimizer}, out=Path("run"))
"""

import json
import math
import random
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from colorlib import processes
from colorlib.files import locked, write_json
from colorlib.training.weights import load_state, read_metadata, read_tensors, write_tensors

CHECKPOINT, BEFORE = "checkpoint.safetensors", "checkpoint.before.safetensors"  # the last two; older ones are deleted
MINUTES = 10.0  # between two checkpoints, where the steps are slow
_ACCELERATE = threading.Lock()  # its state belongs to the process, and seeds may train in threads (see `course.seeds`)


@dataclass
class History:
    """The numbers of a training run, over all its resumed pieces."""

    losses: dict[str, list[float]] = field(default_factory=dict)  # name -> a value for each step that returned it
    seconds: float = 0.0
    num_steps: int = 0
    interrupted: bool = False  # by Ctrl-C or SIGTERM

    def mean(self, name: str, last: int = 50) -> float:
        """Mean of the last values of a loss."""
        values = self.losses[name][-last:]
        return sum(values) / len(values)


def run(
    step: Callable[[int], Mapping[str, Tensor]], num_steps: int, *, state: Mapping[str, Any] | None = None,
    out: str | Path | None = None, resume: bool = False, every: int = 1000,
    save: Callable[[int], None] = lambda steps: None, look: Callable[[int], None] | None = None,
    progress: bool = True, accelerator: Any = None, metadata: Mapping[str, str] | None = None,
) -> History:
    """Repeat a training step.

    Args:
        step: step(k) does update k = 0, 1, ... and returns its losses, scalar tensors by name. It may depend on k and
            on `state` alone; then a resumed run equals an uninterrupted one.
        num_steps: in all, including those before a resume.
        state: what the checkpoint holds, by name: modules, optimizers (without learning rates), torch.Generators, and
            objects whose `state_dict` is plain JSON. The global random states are always in it.
        out: folder for the last two checkpoints and history.json; None keeps nothing.
        resume: go on from the newest checkpoint in `out` that can be read.
        every: steps between two checkpoints; one is also written after 10 minutes.
        save: save(steps done) is called before each checkpoint, to write the weights.
        look: look(steps done) is called before the first step and after every step.
        progress: show a bar with the losses on standard error.
        accelerator: an Accelerator, whose main process writes the files and whose trackers get the losses.
        metadata: what `described` gives for `out`.

    Ctrl-C or SIGTERM, in any of several processes, finishes the step in all, writes the checkpoint and returns; a
    second one stops at once, if there is one process.

    Raises:
        ValueError: bad arguments; no checkpoint to resume, or another network's; another process trains in `out`.
        FloatingPointError: a loss or weight is not finite. OSError: a file cannot be written. The last checkpoint stays.
    """
    from tqdm.auto import tqdm

    if num_steps < 1:
        raise ValueError(f"num_steps is {num_steps}; it must be at least 1")
    if resume and out is None:
        raise ValueError(f"resume=True needs out, the folder that holds {CHECKPOINT}")
    state, is_main = dict(state or {}), accelerator is None or accelerator.is_main_process
    if out is not None and is_main:
        Path(out).mkdir(parents=True, exist_ok=True)
    recorded: dict[str, list[tuple[int, Tensor]]] = {}

    def keep() -> None:
        nonlocal kept, replaced
        kept = time.monotonic()
        if out is None or not is_main:
            return
        for name, part in state.items():
            for key, value in part.state_dict().items() if isinstance(part, nn.Module) else ():
                if not torch.isfinite(value).all():
                    raise FloatingPointError(_diverged(f"{name}'s {key} holds NaN or infinity after", history.num_steps))
        try:
            save(history.num_steps)
            write_json(Path(out, "history.json"), {
                "losses": history.losses, "seconds": history.seconds, "steps": history.num_steps})
            # the last: what it stands for is there already
            save_checkpoint(Path(out, CHECKPOINT), state, history, metadata, None if replaced else Path(out, BEFORE))
        except OSError as error:
            raise OSError(f"{out}: step {history.num_steps} cannot be written ({error.strerror or error}); make room "
                          "there and go on from the last checkpoint by --resume") from error
        if replaced and not resume:
            Path(out, BEFORE).unlink(missing_ok=True)  # of the run that this one replaces
        replaced = False

    def drain() -> None:
        """Move the losses from the device into the history, and show their means."""
        values = {name: processes.mean(torch.stack([value for _, value in pairs])).tolist()
                  for name, pairs in recorded.items()}
        bad = [(k, name, value) for name, pairs in recorded.items() for (k, _), value in zip(pairs, values[name])
               if not math.isfinite(value)]
        if bad:
            k, name, value = min(bad, key=lambda entry: entry[0])
            raise FloatingPointError(_diverged(f"the loss {name!r} is {value} in", k + 1))
        for name, numbers in values.items():
            history.losses.setdefault(name, []).extend(numbers)
        recorded.clear()
        means = {name: sum(numbers) / len(numbers) for name, numbers in values.items()}
        bar.set_postfix({name: f"{mean:.3f}" for name, mean in means.items()}, refresh=False)
        bar.update(history.num_steps - bar.n)
        if accelerator is not None:
            accelerator.log(means, step=history.num_steps)

    with locked(Path(out)) if out is not None and is_main else nullcontext():
        history, replaced = (load_newest(Path(out), state) if resume else (History(), True))
        if processes.share()[1] > 1:  # the states of the first process for all
            from accelerate.utils import synchronize_rng_states

            synchronize_rng_states(["torch"] + ["cuda"] * torch.cuda.is_available())
        kept, started = time.monotonic(), time.perf_counter() - history.seconds
        if look is not None and not history.num_steps:
            look(0)
        with (tqdm(total=num_steps, initial=history.num_steps, disable=not progress or not is_main) as bar,
              deferred_interrupt() as interrupt):
            while history.num_steps < num_steps and not processes.any_of(interrupt.is_set()):
                for name, loss in step(history.num_steps).items():  # stays on the device: to read it waits for the GPU
                    recorded.setdefault(name, []).append((history.num_steps, loss.detach()))
                history.num_steps += 1
                history.seconds = time.perf_counter() - started
                due = history.num_steps < num_steps and (
                    history.num_steps % every == 0 or processes.any_of(time.monotonic() - kept > 60 * MINUTES))
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
        for tracker in accelerator.trackers:
            tracker.finish()
        accelerator.wait_for_everyone()
    return history


def _diverged(what: str, step: int) -> str:
    return (f"{what} step {step}: training diverged; the last checkpoint is from before, go on from it or anew with a "
            "smaller learning rate (lr, --lr), or with precision 'no'")


def best_precision() -> str:
    """"bf16" on a CUDA GPU that computes in it, "fp16" on an older one, else "no"."""
    if not torch.cuda.is_available():
        return "no"
    return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"


def accelerated(precision: str = "no", tracker: str | None = None, out: str | Path | None = None) -> Any:
    """Accelerate's device and processes, which are joined here; safe in threads.

    Args:
        precision: "no" (float32), "bf16", "fp16", or "auto": `best_precision`.
        tracker: one of Accelerate's by name, such as "tensorboard", gets the losses; it writes below `out`. ValueError
            where it is unknown, not installed, or has no folder.
    """
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState

    processes.join()
    precision = best_precision() if precision == "auto" else precision
    with _ACCELERATE:
        if AcceleratorState._shared_state and AcceleratorState().mixed_precision != precision:
            AcceleratorState._reset_state()  # one process may train with two precisions, which Accelerate forbids
        several_on_cpu = processes.share()[1] > 1 and not torch.cuda.is_available()
        accelerator = Accelerator(mixed_precision=precision, cpu=several_on_cpu, log_with=tracker, project_dir=out)
    if tracker is not None:
        if not accelerator.log_with:
            raise ValueError(f"tracker {tracker!r} is not installed: pip install {tracker}, or train without it")
        accelerator.init_trackers("colorlib")
    return accelerator


def save_checkpoint(path: Path, state: Mapping[str, Any], history: History, metadata: Mapping[str, str] | None = None,
                    keep: Path | None = None) -> None:
    """Write the state of a run as tensors, JSON among them; the checkpoint that is there goes to `keep`, if named."""
    tensors = {f"losses/{name}": torch.tensor(values, dtype=torch.float64) for name, values in history.losses.items()}
    kind, numbers, *rest = np.random.get_state(legacy=True)
    plain: dict[str, Any] = {"steps": history.num_steps, "seconds": history.seconds, "random": {
        "python": random.getstate(), "numpy": [kind, numbers.tolist(), *rest]}}
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
    tensors["run"] = torch.frombuffer(bytearray(json.dumps(plain).encode()), dtype=torch.uint8)  # under the checksum
    write_tensors(path, tensors, {"about": json.dumps(dict(metadata or {}))}, keep)


def checkpoints(out: Path) -> list[Path]:
    """The checkpoints of a run that are there, the newest first."""
    return [path for path in (out / CHECKPOINT, out / BEFORE) if path.is_file()]


def described(out: Path) -> dict[str, str]:
    """The `metadata` of the run in a folder, from the header of a checkpoint; a ValueError where none can be read."""
    for path in checkpoints(out) or [out / CHECKPOINT]:
        try:
            return json.loads(read_metadata(path).get("about", "{}"))
        except ValueError as error:
            problem = error
    raise problem


def load_newest(out: Path, state: Mapping[str, Any]) -> tuple[History, bool]:
    """Put back, in place, the newest checkpoint that can be read; and whether CHECKPOINT cannot, and so must not take
    the place of the one before. A ValueError where there is none, or one of another state."""
    path = out / CHECKPOINT
    try:
        tensors, problem = read_tensors(path)[0], None
    except ValueError as error:
        path, problem = out / BEFORE, error
        if not path.is_file():
            raise
        tensors = read_tensors(path)[0]
    try:
        plain = json.loads(tensors["run"].numpy().tobytes())
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
        history = History(losses, plain["seconds"], plain["steps"])
    except (LookupError, TypeError, AttributeError, RuntimeError, json.JSONDecodeError, UnicodeError) as error:
        raise ValueError(f"{path}: is no checkpoint of this colorlib's training ({error!r}); name a run's folder") from error
    if problem:
        print(f"colorlib: {problem}; going on from {BEFORE}, step {history.num_steps}", file=sys.stderr)
    return history, problem is not None


def _load_optimizer(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    weights = {str(index): weight for index, weight in enumerate(
        weight for group in optimizer.param_groups for weight in group["params"])}
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        index, _, entry = key.partition("/")
        if value.shape == weights[index].shape:  # fused Adam needs its state in the same memory layout as the weights
            value = torch.empty_like(weights[index], dtype=value.dtype).copy_(value)
        state.setdefault(int(index), {})[entry] = value
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def _below(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


@contextmanager
def deferred_interrupt() -> Iterator[threading.Event]:
    """Ctrl-C or SIGTERM sets the event instead of ending a step half-way; the second one acts as usual."""
    pressed, usual = threading.Event(), {}

    def put_back() -> None:
        for number, handler in usual.items():
            signal.signal(number, handler)

    def first(signum, frame):
        if processes.share()[1] == 1:  # a launcher of several passes the signal on, to processes that got it themselves
            put_back()
        pressed.set()

    if threading.current_thread() is threading.main_thread():  # only there may handlers be set, or Ctrl-C arrive
        usual |= {number: signal.signal(number, first) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield pressed
    finally:
        put_back()
