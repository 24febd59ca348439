"""Which design of the residual U-Net learns fastest, and how it compares with the common one, on photographs.

    OMP_NUM_THREADS=1 python -m colorlib.course.long.design --photos DIR --stage all

Ours and the common network (common_residual_unet.py) get their learning rate and batch size by the same small grid.
Then the stages: `design` trains every variant of ours equally long; `ours` and `common` train each with growing
budgets. A budget is seconds of processor time of one thread, spent in training steps and in making their batches, so
that other work on the machine counts little; every run has its own one-cycle schedule over its budget. The error is
that of ab on validation photographs: 64 x 64, the central square.

Writes residual_unet_design.json into COLORLIB_RESULTS (else build/results). Interrupted, the same command goes on.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from colorlib import photos
from colorlib.color import AB_SCALE
from colorlib.course.blocks import ResidualBlock
from colorlib.course.long.common_residual_unet import CommonResidualUNet
from colorlib.course.results import ResultFile, arguments
from colorlib.course.seeds import seeded
from colorlib.generators import Generator, ResidualUNet, num_parameters, predict
from colorlib.generators.residual_unet import LAST, BottleneckBlock, start

SIZE, NUM_VALIDATION = 64, 400
BATCHES = {64: 8, 128: 2, 256: 1}  # side -> pictures in a batch, where a step is timed
SHARE = 10  # the common network's seconds for one of ours
LEARNING_RATES, BATCH_SIZES = (3e-4, 1e-3, 3e-3), (8,)
SEARCH_SECONDS = 60.0  # of the common network; ours gets a tenth
DESIGN_SECONDS = 12.0
RACE_SECONDS = (200.0, 600.0)  # of the common network


class DepthwiseBlock(nn.Module):
    """3x3 convolution of each channel alone - norm - 1x1 to twice the channels - ReLU - 1x1 back, added."""

    def __init__(self, channels: int, norm: type[nn.Module] = nn.BatchNorm2d) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False)
        self.norm = norm(channels)
        self.widen = nn.Conv2d(channels, 2 * channels, 1)
        self.narrow = nn.Conv2d(2 * channels, channels, 1)
        nn.init.normal_(self.conv.weight, 0.0, 0.1)
        with torch.no_grad():
            self.conv.weight[:, :, 1, 1] += 1  # the output starts close to the input
        start(self.widen), start(self.narrow, LAST)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.narrow(F.relu(self.widen(self.norm(self.conv(x)))))


def with_blocks(generator: Generator, make: Callable[[int], nn.Module]) -> Generator:
    """The same network with other residual blocks; `make` is called with their channels."""
    for parent in list(generator.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, BottleneckBlock):
                setattr(parent, name, make(child.reduce.in_channels))
    return generator.to(memory_format=torch.channels_last)


def common() -> Generator:
    """In the layout that trains faster at 64 x 64."""
    return CommonResidualUNet().to(memory_format=torch.channels_last)


DESIGNS: dict[str, Callable[[], Generator]] = {
    "default": ResidualUNet,
    "textbook blocks": lambda: with_blocks(ResidualUNet(), lambda width: ResidualBlock(width, width)),
    "depthwise blocks": lambda: with_blocks(ResidualUNet(), DepthwiseBlock),
    "without context": lambda: ResidualUNet(context=False),
    "without norm": lambda: ResidualUNet(norm=nn.Identity),
    "stem 1": lambda: ResidualUNet(stem=1, base_channels=16),
    "stem 4": lambda: ResidualUNet(stem=4, base_channels=64),
    "narrow": lambda: ResidualUNet(base_channels=24),
    "wide": lambda: ResidualUNet(base_channels=48),
    "one level less": lambda: ResidualUNet(levels=3),
    "one level more": lambda: ResidualUNet(levels=5),
    "4 blocks": lambda: ResidualUNet(blocks=4),
}


class Photographs:
    """Training batches and the validation pictures, decoded once."""

    def __init__(self, folder: str) -> None:
        source = photos.source(folder, short_side=photos.crop_side(SIZE))
        self.train = source.train
        self.L, self.ab_real = next(source.batches("validation", SIZE, NUM_VALIDATION))

    def errors(self, generator: Generator) -> dict[str, float]:
        """Mean absolute and root mean square error of ab in their usual units (-110 to 110)."""
        ab = torch.cat([predict(generator, L).ab for L in self.L.split(50)])
        error = (ab - self.ab_real) * AB_SCALE
        return {"l1": float(error.abs().mean()), "l2": float(error.square().mean().sqrt())}


def one_cycle(progress: float) -> float:
    """Factor of the learning rate: up in a line for 15 % of the budget, down by half a cosine."""
    return progress / 0.15 if progress < 0.15 else 0.5 * (1 + math.cos(math.pi * (progress - 0.15) / 0.85))


def train(make: Callable[[], Generator], data: Photographs, seconds: float, lr: float, batch_size: int,
          seed: int) -> tuple[Generator, dict[str, float]]:
    """Train with L1 for a budget of processor seconds; returns the network and what it took."""
    generator = seeded(seed, make)
    optimizer = torch.optim.AdamW(generator.parameters(), lr, betas=(0.9, 0.99), fused=True)
    batches = photos.PhotoBatches(data.train, SIZE, batch_size, seed=seed)
    used, steps = 0.0, 0
    while used < seconds:
        started = time.process_time()
        optimizer.param_groups[0]["lr"] = lr * max(one_cycle(used / seconds), 0.01)
        L, ab_real = next(batches)
        optimizer.zero_grad(set_to_none=True)
        F.l1_loss(generator(L).ab, ab_real).backward()
        optimizer.step()
        used, steps = used + time.process_time() - started, steps + 1
    speed = steps * batch_size / used
    return generator, {"parameters": num_parameters(generator), "seconds": seconds, "steps": steps,
                       "pictures_per_second": speed}


def step_seconds(make: Callable[[], Generator], size: int, batch_size: int) -> float:
    """Processor seconds of one training step per picture: the best of four."""
    generator, best = make(), math.inf
    optimizer = torch.optim.AdamW(generator.parameters(), 1e-5, fused=True)
    L, ab_real = torch.rand(batch_size, 1, size, size), torch.zeros(batch_size, 2, size, size)
    for _ in range(4):
        started = time.process_time()
        optimizer.zero_grad(set_to_none=True)
        F.l1_loss(generator(L).ab, ab_real).backward()
        optimizer.step()
        best = min(best, time.process_time() - started)
    return best / batch_size


def search(name: str, make: Callable[[], Generator], seconds: float, data: Photographs, results: ResultFile):
    """(lr, batch size) with the smallest l1 in the grid."""
    found = {}
    for lr in LEARNING_RATES:
        for batch_size in BATCH_SIZES:
            run = f"search: {name}, lr {lr:g}, batch {batch_size}"
            if not results.has(run, 0):
                generator, took = train(make, data, seconds, lr, batch_size, seed=0)
                results.add(run, 0, took | data.errors(generator))
            found[lr, batch_size] = next(r["l1"] for r in results.record["runs"] if r["name"] == run)
    return min(found, key=found.get)


def main() -> None:
    options = arguments(__doc__, stage=("all", "ours, common, design or all"), seeds=(2, "runs per setting"))
    if options.stage not in ("ours", "common", "design", "all"):
        raise SystemExit(f"--stage is {options.stage!r}: choose ours, common, design or all")
    torch.set_num_threads(1)
    data = Photographs(options.photos)
    results = ResultFile("residual_unet_design.json", {
        "command": "OMP_NUM_THREADS=1 python -m colorlib.course.long.design --photos DIR",
        "data": f"{len(data.train)} photographs to train on, {len(data.L)} to measure on, {SIZE} x {SIZE}",
        "learning_rates": LEARNING_RATES, "batch_sizes": BATCH_SIZES,
        "search_seconds": SEARCH_SECONDS, "design_seconds": DESIGN_SECONDS, "race_seconds": RACE_SECONDS,
        "share": SHARE,
    })
    if results.record.get("config") != ResidualUNet().config:  # the default has changed: measure ours again
        results.record["runs"] = [run for run in results.record["runs"] if "common" in run["name"]]
        results.record["config"] = ResidualUNet().config
    grey = data.ab_real * AB_SCALE
    results.record["grey"] = {"l1": float(grey.abs().mean()), "l2": float(grey.square().mean().sqrt())}
    best: dict[str, tuple[float, int]] = {}
    if options.stage != "common":
        best["ours"] = search("ours", ResidualUNet, SEARCH_SECONDS / SHARE, data, results)
    if options.stage in ("common", "all"):
        best["common"] = search("common", common, SEARCH_SECONDS, data, results)
    if options.stage in ("design", "all"):
        for seed in range(options.seeds):
            for name, make in DESIGNS.items():
                if not results.has(f"design: {name}", seed):
                    steps = results.record.setdefault("step_ms_per_picture", {})
                    steps[name] = {size: round(1e3 * step_seconds(make, size, batch), 2)
                                   for size, batch in BATCHES.items()}
                    generator, took = train(make, data, DESIGN_SECONDS, *best["ours"], seed)
                    results.add(f"design: {name}", seed, took | data.errors(generator))
    races = [
        (name, seconds / part, make)
        for seconds in RACE_SECONDS
        # ours with a tenth of the seconds, and with less, to see where it meets the common one
        for name, make, part in (
            ("ours", ResidualUNet, SHARE), ("ours", ResidualUNet, 3 * SHARE), ("common", common, 1)
        )
        if options.stage in (name, "all")
    ]
    for name, seconds, make in races:
        for seed in range(options.seeds):
            run = f"race: {name}, {seconds:g} s"
            if not results.has(run, seed):
                generator, took = train(make, data, seconds, *best[name], seed)
                results.add(run, seed, took | data.errors(generator))


if __name__ == "__main__":
    main()
