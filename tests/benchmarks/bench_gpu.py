"""Training on a GPU: bfloat16, channels last, compiled; and the share of the time that it waits for its data.

    python tests/benchmarks gpu

No rows where there is no CUDA device. Nobody has run it on one yet; the same code was run on a CPU (`measure`).
"""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
import torch.nn.functional as F

from colorlib.generators import ResidualUNet
from colorlib.photos import PhotoBatches, crop_side

BATCHES = {64: 512, 128: 128, 256: 32}  # side -> pictures in a batch
NUM_STEPS, NUM_PHOTOS = 60, 256


def rows() -> list[dict[str, object]]:
    """One row per number: group, name, value, unit, note."""
    if not torch.cuda.is_available():
        return []
    name = torch.cuda.get_device_name()
    result = []
    for size, batch_size in BATCHES.items():
        for compiled in (False, True):
            speed, waiting = measure(torch.device("cuda"), size, batch_size, compiled, NUM_STEPS)
            how = f"{name}, bf16, channels last, batch {batch_size}" + (", compiled" if compiled else "")
            for what, value, unit in (("pictures", speed, "1/s"), ("share of the time spent on data", 100 * waiting, "%")):
                result.append({"group": "GPU", "name": f"training at {size}{', compiled' * compiled}: {what}", "value": value,
                               "unit": unit, "note": how})
    return result


def measure(device: torch.device, size: int, batch_size: int, compiled: bool, num_steps: int) -> tuple[float, float]:
    """Pictures a second, and the share of the time that fresh batches cost beside a batch that is kept."""
    generator = ResidualUNet().to(device)
    optimizer = torch.optim.AdamW(generator.parameters(), 1e-3, fused=True)
    forward = torch.compile(generator) if compiled else generator
    random = torch.Generator().manual_seed(0)
    side = crop_side(size)
    photos = [torch.randint(0, 256, (3, side, side), generator=random).to(torch.uint8) for _ in range(NUM_PHOTOS)]
    batches = PhotoBatches(photos, size, batch_size, device=device)
    kept = next(batches)

    def step(batch: tuple[torch.Tensor, torch.Tensor]) -> None:
        with torch.autocast(device.type, torch.bfloat16):
            loss = F.l1_loss(forward(batch[0]).ab.float(), batch[1])
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()

    def seconds(batch: Callable[[], tuple[torch.Tensor, torch.Tensor]]) -> float:
        for warm in (True, False):  # the first round compiles
            started = time.perf_counter()
            for _ in range(max(2, num_steps // 6) if warm else num_steps):
                step(batch())
            if device.type == "cuda":
                torch.cuda.synchronize()
        return time.perf_counter() - started

    alone, fed = seconds(lambda: kept), seconds(lambda: next(batches))
    return batch_size * num_steps / fed, max(0.0, 1 - alone / fed)
