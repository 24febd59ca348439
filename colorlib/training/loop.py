"""What a training run remembers: its losses, and the checkpoint from which it goes on as if never interrupted."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn

from colorlib.files import write_json
from colorlib.generators import Generator
from colorlib.training.weights import load_state, read_tensors, save_weights, write_tensors


@dataclass
class History:
    """What a training run printed, as numbers.

    losses: name -> one value per step ("l1"; with a discriminator also "generator" and "discriminator").
    seconds: time spent in training, over all resumed pieces.
    previews: (step, predicted channels (B, K, H, W) on the CPU) of the batch given as `preview`.
    interrupted: True when Ctrl-C ended the run; a checkpoint was written if `out` was given.
    """

    losses: dict[str, list[float]] = field(default_factory=dict)
    seconds: float = 0.0
    previews: list[tuple[int, Tensor]] = field(default_factory=list)
    interrupted: bool = False

    @property
    def num_steps(self) -> int:
        return len(self.losses.get("l1", ()))

    def mean(self, name: str, last: int = 50) -> float:
        """Mean of the last values of a loss."""
        values = self.losses[name][-last:]
        return sum(values) / len(values)


class Run:
    """The state of a training run: what a checkpoint holds."""

    def __init__(
        self,
        generator: Generator,
        discriminator: nn.Module | None,
        lr: float,
        betas: tuple[float, float],
        batches: Iterator[tuple[Tensor, Tensor]],
        out: Path | None,
        metadata: dict[str, str],
    ) -> None:
        self.generator, self.discriminator = generator, discriminator
        # one fused kernel per step instead of a dozen per parameter; Apple's MPS keeps the plain one
        fused = next(generator.parameters()).device.type in ("cpu", "cuda")
        self.optimizer_g = torch.optim.Adam(generator.parameters(), lr, betas, fused=fused)
        self.optimizer_d = (
            torch.optim.Adam(discriminator.parameters(), lr, betas, fused=fused) if discriminator is not None else None
        )
        self.batches, self.out, self.metadata = batches, out, metadata
        self.history, self.step = History(), 0

    def _parts(self) -> Iterator[tuple[str, nn.Module, torch.optim.Optimizer]]:
        yield "generator", self.generator, self.optimizer_g
        if self.discriminator is not None:
            yield "discriminator", self.discriminator, self.optimizer_d

    def save(self) -> None:
        """Write weights, history and checkpoint, each whole or not at all; the checkpoint last."""
        tensors = {"random/cpu": torch.get_rng_state()}
        for name, module, optimizer in self._parts():
            tensors |= {f"{name}/{key}": value for key, value in module.state_dict().items()}
            tensors |= optimizer_tensors(f"{name}_adam", optimizer)
        history = {"losses": self.history.losses, "seconds": self.history.seconds, "steps": self.step}
        batches = self.batches.state_dict() if hasattr(self.batches, "state_dict") else None
        save_weights(self.out / "weights.safetensors", self.generator, {**self.metadata, "steps": str(self.step)})
        write_json(self.out / "history.json", history)
        write_tensors(self.out / "checkpoint.safetensors", tensors,
                      {"history": json.dumps(history), "batches": json.dumps(batches)})

    def load(self) -> None:
        path = self.out / "checkpoint.safetensors"
        tensors, metadata = read_tensors(path)
        for name, module, optimizer in self._parts():
            load_state(module, below(tensors, f"{name}/"), str(path))
            load_optimizer(optimizer, below(tensors, f"{name}_adam/"))
        history = json.loads(metadata["history"])
        self.history = History(losses=history["losses"], seconds=history["seconds"])
        self.step = history["steps"]
        batches = json.loads(metadata["batches"])
        if batches is not None and hasattr(self.batches, "load_state_dict"):
            self.batches.load_state_dict(batches)
        torch.set_rng_state(tensors["random/cpu"])


def optimizer_tensors(name: str, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """An optimizer's state as tensors called name/index/entry."""
    state = optimizer.state_dict()["state"]
    return {f"{name}/{index}/{entry}": value for index, values in state.items() for entry, value in values.items()}


def load_optimizer(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """Put back what `optimizer_tensors` gave, without the name; its learning rates stay."""
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        index, _, entry = key.partition("/")
        like = parameters[int(index)]
        if value.shape == like.shape:  # fused Adam walks through memory: the state must lie as the weights do
            value = torch.empty_like(like, dtype=value.dtype).copy_(value)
        state.setdefault(int(index), {})[entry] = value
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def below(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors whose names start with the prefix, without it."""
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
