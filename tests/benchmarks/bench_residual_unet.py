"""Training steps and answers of the residual U-Net beside the common one, in turn, at 64, 128 and 256.

    python tests/benchmarks residual_unet

Both in the memory format that is faster for them (the common one is measured in both, and the faster counts).
"""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from common_residual_unet import CommonResidualUNet

from colorlib.generators import Generator, ResidualUNet, num_parameters, predict

# side -> pictures in a batch
BATCHES = {64: 8, 128: 4, 256: 1}


def step_of(generator: Generator, size: int, batch_size: int) -> Callable[[], object]:
    """One training step with L1 and AdamW, as a function to call and to time."""
    optimizer = torch.optim.AdamW(generator.parameters(), 1e-4, fused=True)
    L, ab_real = torch.rand(batch_size, 1, size, size) * 2 - 1, torch.rand(batch_size, 2, size, size) * 0.2

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        F.l1_loss(generator(L).ab, ab_real).backward()
        optimizer.step()

    return step


def best_of(roads: dict[str, Callable[[], object]], repeats: int = 3) -> dict[str, float]:
    """Best seconds of each, called in turn; the first round is not counted."""
    best = dict.fromkeys(roads, float("inf"))
    for repeat in range(repeats):
        for name, road in roads.items():
            started = time.perf_counter()
            road()
            if repeat:
                best[name] = min(best[name], time.perf_counter() - started)
    return best


def rows() -> list[dict[str, object]]:
    """One row per number: group, name, value, unit, note."""

    def row(name: str, value: float, unit: str, note: str) -> dict[str, object]:
        return {"group": "residual U-Net", "name": name, "value": value, "unit": unit, "note": note}

    ours, common = ResidualUNet(), CommonResidualUNet()
    other = CommonResidualUNet().to(memory_format=torch.channels_last)
    millions = f"{num_parameters(ours) / 1e6:.2f} M parameters, common: {num_parameters(common) / 1e6:.2f} M"
    threads = f"{torch.get_num_threads()} threads"
    result = []
    for size, batch_size in BATCHES.items():
        steps = best_of({
            "ours": step_of(ours, size, batch_size),
            "contiguous": step_of(common, size, batch_size),
            "channels last": step_of(other, size, batch_size),
        })  # fmt: skip
        layout = min(("contiguous", "channels last"), key=steps.__getitem__)
        L = torch.rand(batch_size, 1, size, size) * 2 - 1
        rival = common if layout == "contiguous" else other
        answers = best_of({"ours": lambda: predict(ours, L), "common": lambda: predict(rival, L)})
        note = f"batch of {batch_size}, {threads}; {millions}"
        limit = ", limit 10" if size == 256 else ""
        result += [
            row(f"training at {size}", batch_size / steps["ours"], "pictures/s", note),
            row(f"training at {size}: times faster than the common one", steps[layout] / steps["ours"], "x",
                f"that trains {batch_size / steps[layout]:.3g} pictures/s, {layout}{limit}"),
            row(f"answering at {size}", batch_size / answers["ours"], "pictures/s", note),
            row(f"answering at {size}: times faster", answers["common"] / answers["ours"], "x",
                f"the common one: {batch_size / answers['common']:.3g} pictures/s"),
        ]  # fmt: skip
    return result
