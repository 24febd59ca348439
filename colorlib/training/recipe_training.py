"""A run of the recipe that ships: both phases one after the other, kept in a folder, resumable at every step."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import torch
from torch import Tensor

from colorlib.files import write_json
from colorlib.runtime import seeded
from colorlib.training.fit import deferred_interrupt, drain
from colorlib.training.loop import History, below, load_optimizer, optimizer_tensors
from colorlib.training.recipe import Game, Loader, Recipe, game_step, pretraining_step
from colorlib.training.weights import load_state, read_tensors, save_weights, write_tensors


def one_cycle(progress: float) -> float:
    """Factor of the learning rate: up in a line for a tenth of the run, then down by half a cosine."""
    return progress / 0.1 if progress < 0.1 else 0.5 * (1 + math.cos(math.pi * (progress - 0.1) / 0.9))


CRITIC_FIRST = 0.1
"""Share of the game's steps in which the critic alone learns: it has to catch up with the generator first."""


class Training:
    """A run, resumable at every step.

    Args:
        recipe: what to do.
        batches: endless (L, ab); if it has `state_dict` and `load_state_dict`, as `PhotoBatches`, a resumed run sees the
            batches that the interrupted one would have seen.
        out: folder for checkpoint.safetensors, weights.safetensors (the average), l1.safetensors (the average before
            the game) and history.json.
        metadata: more entries of the weights file.
        device: where to compute.
    """

    def __init__(self, recipe: Recipe, batches: Iterator[tuple[Tensor, Tensor]], out: Path,
                 metadata: dict[str, str], device: torch.device) -> None:
        self.recipe, self.out, self.metadata = recipe, out, metadata
        self.loader = Loader(batches, recipe)
        self.game = seeded(recipe.seed, lambda: Game(recipe)).to(device)
        self.history, self.step = History(), 0
        self._make_optimizers()

    def _make_optimizers(self) -> None:
        """Fresh ones for each phase: the game shall not go on with the momentum of pretraining."""
        recipe = self.recipe
        fused = next(self.game.parameters()).device.type in ("cpu", "cuda")
        in_game = self.step >= recipe.pretraining
        self.optimizers = [torch.optim.AdamW(
            self.game.generator.parameters(), recipe.lr, (0.5 if in_game else 0.9, 0.99),
            weight_decay=recipe.weight_decay, fused=fused)]
        if in_game:
            self.optimizers.append(
                torch.optim.Adam(self.game.critic.parameters(), recipe.critic_lr, (0.5, 0.99), fused=fused))

    def save(self) -> None:
        """Write weights, history and checkpoint, each whole or not at all; the checkpoint last."""
        tensors = {f"game/{key}": value for key, value in self.game.state_dict().items()}
        for number, optimizer in enumerate(self.optimizers):
            tensors |= optimizer_tensors(f"adam{number}", optimizer)
        history = {"losses": self.history.losses, "seconds": self.history.seconds, "steps": self.step}
        self._save_average("weights.safetensors")
        write_json(self.out / "history.json", history)
        batches = self.loader.batches.state_dict() if hasattr(self.loader.batches, "state_dict") else None
        write_tensors(self.out / "checkpoint.safetensors", tensors, {
            "history": json.dumps(history), "batches": json.dumps(batches)})

    def _save_average(self, name: str) -> None:
        z_mean = json.dumps([round(value, 5) for value in self.game.z_mean(1)[0].tolist()])
        save_weights(self.out / name, self.game.average.module, {
            **self.metadata, "step": str(self.step), "z_mean": z_mean, "settings": json.dumps(asdict(self.recipe))})

    def load(self) -> None:
        """Go on from the checkpoint in `out`."""
        path = self.out / "checkpoint.safetensors"
        tensors, metadata = read_tensors(path)
        history = json.loads(metadata["history"])
        self.history = History(losses=history["losses"], seconds=history["seconds"])
        self.step = history["steps"]
        load_state(self.game, below(tensors, "game/"), str(path))
        self._make_optimizers()
        for number, optimizer in enumerate(self.optimizers):
            load_optimizer(optimizer, below(tensors, f"adam{number}/"))
        batches = json.loads(metadata["batches"])
        if batches is not None and hasattr(self.loader.batches, "load_state_dict"):
            self.loader.batches.load_state_dict(batches)

    def run(self, checkpoint_every: int = 1000, progress: bool = True) -> History:
        """Train to the end. Ctrl-C finishes the step, writes the checkpoint and returns with `interrupted=True`.

        Raises:
            FloatingPointError: a loss is no longer finite; the checkpoint from before is kept.
        """
        from tqdm.auto import tqdm

        recipe, recorded = self.recipe, {}
        whole = recipe.pretraining + recipe.game
        self.game.train()
        started, before = time.perf_counter(), self.history.seconds
        bar = tqdm(total=whole, initial=self.step, disable=not progress)
        with bar, deferred_interrupt() as interrupt:
            while self.step < whole and not interrupt.is_set():
                for name, loss in self._one_step().items():
                    recorded.setdefault(name, []).append(loss.detach())
                self.step += 1
                self.history.seconds = before + time.perf_counter() - started
                due = self.step % checkpoint_every == 0
                if self.step % 25 == 0 or due:
                    bar.set_postfix(drain(recorded, self.history, self.step), refresh=False)
                    bar.update(self.step - bar.n)
                if due:
                    self.save()
            drain(recorded, self.history, self.step)
            self.history.interrupted = self.step < whole
            self.save()
        return self.history

    def _one_step(self) -> dict[str, Tensor]:
        recipe, played = self.recipe, self.step - self.recipe.pretraining
        if played == 0:
            self._save_average("l1.safetensors")
            self.game.measure_codes(self.loader.batches, num=640)
            self._make_optimizers()
        if played < 0:
            self._set_lr(recipe.lr * one_cycle(self.step / recipe.pretraining))
            losses = pretraining_step(self.game, self.optimizers[0], self.loader, self.step)
        else:
            self._set_lr(recipe.game_lr * (1 - played / recipe.game))
            losses = game_step(self.game, *self.optimizers, self.loader, self.step,
                               train_generator=played >= CRITIC_FIRST * recipe.game)
        self.game.average.update_parameters(self.game.generator)
        return losses

    def _set_lr(self, lr: float) -> None:
        for group in self.optimizers[0].param_groups:
            group["lr"] = lr
