"""The classes that notebook 06 shares with its scripts, and the search of its learning rates.

    python -m colorlib.course.nb06

tries the same three learning rates for every network of the notebook, on a seed and on scenes that the notebook
does not use, and writes learning_rates_06.json into COLORLIB_RESULTS (else build/results). Interrupt it as you like:
it goes on where it was.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from colorlib.course import data, scenes
from colorlib.course.results import ResultFile
from colorlib.course.seeds import seeded
from colorlib.generators import ResidualUNet, UNet

SEARCHED = (1e-3, 3e-3, 1e-2)
WITHOUT_NORM = (1e-4, 3e-4, 1e-3)  # a pilot diverged from 3e-3 on
SEED, STACK_STEPS, UNET_STEPS = 100, 280, 240  # steps: the notebook's first version had as many
NUM_TRAIN, NUM_VALIDATION = 2048, 160


def taught() -> dict[str, Any]:
    """The notebook's own classes and functions, with its batch size."""
    return data.taught("06_residual_unet", BATCH=16)


def stack(names: dict[str, Any], depth: int, residual: bool) -> nn.Module:
    return names["Stack"](depth, residual)


def without_norm(names: dict[str, Any], depth: int) -> nn.Module:
    """The plain stack without norm, under He's initialisation."""
    network = names["Stack"](depth, False)
    for block in network.blocks:
        for conv in (block.conv1, block.conv2):
            nn.init.kaiming_normal_(conv.weight)
        block.norm1, block.norm2 = nn.Identity(), nn.Identity()
    return network


def unets(names: dict[str, Any]) -> dict[str, tuple[Callable[[], nn.Module], int]]:
    """The U-Nets of about equal size, and how many steps each takes while the residual one takes one."""
    taught_unet = names["TaughtResidualUNet"]
    return {"pix2pix": (lambda: UNet(base_channels=6, levels=5, dropout=0.0), 4),
            "residual": (lambda: taught_unet(1, 2, width=8, levels=4), 1),
            "residual, strided": (lambda: taught_unet(1, 2, width=8, levels=4, pool=False), 1),
            "library's": (lambda: ResidualUNet(base_channels=24, levels=3), 2)}


def pooled(pairs: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """Pairs at half the size."""
    return F.avg_pool2d(pairs[0], 2), F.avg_pool2d(pairs[1], 2)


def main() -> None:
    names = taught()
    large = [scenes.render(num, size=32, seed=seed).L_ab() for num, seed in ((NUM_TRAIN, 1006), (NUM_VALIDATION, 1007))]
    small = [pooled(pairs) for pairs in large]
    results = ResultFile("learning_rates_06.json", {
        "claim": "the learning rates of C23, C24, C25 and C25b",
        "command": "python -m colorlib.course.nb06",
        "data": f"{NUM_TRAIN} scenes to train on, {NUM_VALIDATION} to choose by, none of them the notebook's",
        "steps": STACK_STEPS, "unet_steps": UNET_STEPS, "seeds": [SEED],
    })

    def run(name: str, lr: float, make: Callable[[], nn.Module], pairs: list, num_steps: int, batch_size: int) -> None:
        name = f"{name}, lr {lr:g}"
        if not results.has(name, SEED):
            record = names["train"](seeded(SEED, make), *pairs, SEED, num_steps, lr, every=max(1, num_steps // 10), batch_size=batch_size)
            results.add(name, SEED, {"l1": names["at"](record, num_steps)})

    for lr, lower in zip(SEARCHED, WITHOUT_NORM):
        for depth in (8, 32, 64):
            for kind, residual in (("plain", False), ("residual", True)):
                run(f"{kind} {depth}", lr, lambda d=depth, r=residual: stack(names, d, r), small, STACK_STEPS, 16)
        run("plain 64, no norm, He", lower, lambda: without_norm(names, 64), small, STACK_STEPS, 16)
        for name, (make, factor) in unets(names).items():
            run(name, lr, make, large, factor * UNET_STEPS, 8)


if __name__ == "__main__":
    main()
