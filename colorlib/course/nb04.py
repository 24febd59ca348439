"""What the two scripts of notebook 04 share: measures, and a result file that survives an interruption."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from colorlib.course.claims import confidence_interval
from colorlib.files import write_json
from colorlib.runtime import machine

ANGLES = torch.arange(4) * math.pi / 4
DIRECTIONS = torch.stack([ANGLES.cos(), ANGLES.sin()])  # (2, 4): four directions of the ab plane


def colour_distance(ab_fake: Tensor, ab_real: Tensor) -> float:
    """Sliced Wasserstein-1 distance of two sets of colours: how far colours must move, wherever they are.

    Args:
        ab_fake, ab_real: (N, 2) each.
    """
    fake, real = ((ab @ DIRECTIONS).sort(dim=0).values for ab in (ab_fake, ab_real))
    return float((fake - real).abs().mean())


def pixels(ab: Tensor, mask: Tensor | None = None) -> Tensor:
    """(B, 2, H, W) -> (N, 2), all pixels or those of a mask (B, H, W)."""
    ab = ab.permute(0, 2, 3, 1)
    return ab.reshape(-1, 2) if mask is None else ab[mask]


def shuffled(
    condition: Tensor, target: Tensor, batch_size: int, seed: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches without end from pairs in memory, in a new order for every pass."""
    generator = torch.Generator().manual_seed(seed)
    while True:
        for picked in torch.randperm(len(condition), generator=generator).split(batch_size):
            if len(picked) == batch_size:
                yield condition[picked], target[picked]


class ResultFile:
    """One JSON file, written again after every run; runs that are in it already are not repeated.

    Args:
        path: the file.
        header: command, settings and so on; a file with other settings is started anew.
    """

    def __init__(self, path: Path, header: dict) -> None:
        self.path = path
        self.record = {**header, "runs": [], "summary": {}}
        if path.is_file():
            before = json.loads(path.read_text(encoding="utf-8"))
            if all(before.get(key) == json.loads(json.dumps(value)) for key, value in header.items()):
                self.record = before

    def has(self, name: str, seed: int) -> bool:
        return any(run["name"] == name and run["seed"] == seed for run in self.record["runs"])

    def add(self, name: str, seed: int, numbers: dict[str, float]) -> None:
        """Add one run, bring the summary up to date and write the file."""
        run = {"name": name, "seed": seed, **{key: float(f"{value:.5g}") for key, value in numbers.items()}}
        self.record["runs"].append(run)
        print(run, flush=True)
        self.record["machine"] = machine()
        self.record["summary"] = {}
        for setting in dict.fromkeys(run["name"] for run in self.record["runs"]):
            runs = [run for run in self.record["runs"] if run["name"] == setting]
            self.record["summary"][setting] = {key: spread([run[key] for run in runs]) for key in numbers}
        write_json(self.path, self.record)


def spread(values: list[float]) -> str:
    """Mean and 95 % interval over the seeds, as printed in the notebook."""
    if len(values) < 2:
        return f"{values[0]:.3g} (one seed)"
    mean, (low, high) = confidence_interval(values)
    return f"{mean:.3g} ({low:.3g} to {high:.3g})"
