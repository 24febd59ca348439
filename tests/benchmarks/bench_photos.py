"""Training batches from memory: crops, flips and Lab, in pictures per second, and what a training step takes."""

from __future__ import annotations

import itertools
import time

import torch

from colorlib.generators import UNet
from colorlib.photos import PhotoBatches
from colorlib.training import fit

BATCH = 16


def rows() -> list[dict]:
    generator = torch.Generator().manual_seed(0)
    photos = [torch.randint(0, 256, (3, 120, 160), dtype=torch.uint8, generator=generator) for _ in range(256)]
    found = []
    for size in (64, 96):
        batches = PhotoBatches(photos, size, BATCH)
        served = best_rate(lambda: list(itertools.islice(batches, 8)), 8 * BATCH)
        network = UNet(levels=5, base_channels=16)
        trained = best_rate(lambda: fit(network, batches, num_steps=8, progress=False), 8 * BATCH)
        note = f"{served / trained:.0f} x what an L1 step of a small U-Net takes in: {trained:.0f} pictures/s, batch {BATCH}"
        found.append({"group": "photos", "name": f"batches {size} x {size}", "value": served, "unit": "pictures/s",
                      "note": note})
    return found


def best_rate(work, pictures: int, seconds: float = 4.0) -> float:
    """The best of the calls that fit into `seconds`, after one to warm up."""
    work()
    best, end = 0.0, time.perf_counter() + seconds
    while time.perf_counter() < end:
        started = time.perf_counter()
        work()
        best = max(best, pictures / (time.perf_counter() - started))
    return best
