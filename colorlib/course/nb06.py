"""What notebook 06 uses and does not teach, what its scripts share with it, and the search of its learning rates.

    python -m colorlib.course.nb06

tries the same three learning rates for every network of the notebook, on a seed and on scenes that it does not use.
Writes learning_rates_06.json into COLORLIB_RESULTS (else build/results). Interrupted, the same command goes on.
"""

import copy
from collections.abc import Callable, Mapping, Sequence
from itertools import cycle
from typing import Any

import torch
import torch.nn.functional as F
from matplotlib.figure import Figure
from torch import Tensor, nn

from colorlib.course import data, figures, scenes
from colorlib.course.results import ResultFile
from colorlib.course.seeds import seeded
from colorlib.generators import ResidualUNet, UNet

SEARCHED = (1e-3, 3e-3, 1e-2)
WITHOUT_NORM = (1e-4, 3e-4, 1e-3)  # a pilot diverged from 3e-3 on
SEED, STACK_STEPS, UNET_STEPS = 100, 280, 240  # steps: the notebook's first version had as many
NUM_TRAIN, NUM_VALIDATION = 2048, 160
Pairs = tuple[Tensor, Tensor]


def without_norm(names: dict[str, Any], depth: int) -> nn.Module:
    """The plain stack without norm, under He's initialisation."""
    return names["started"](depth, False, *names["STARTS"]["no norm, He"])


def unets(names: dict[str, Any]) -> dict[str, tuple[Callable[[], nn.Module], int]]:
    """The U-Nets of about equal size, and how many steps each takes while the residual one takes one."""
    taught_unet = names["TaughtResidualUNet"]
    return {"pix2pix": (lambda: UNet(base_channels=6, levels=5, dropout=0.0), 4),
            "residual": (lambda: taught_unet(1, 2, width=8, levels=4), 1),
            "residual, strided": (lambda: taught_unet(1, 2, width=8, levels=4, pool=False), 1),
            "residual, zero": (lambda: names["zero_last_norms"](taught_unet(1, 2, width=8, levels=4)), 1),
            "no shortcuts": (lambda: taught_unet(1, 2, width=8, levels=4, residual=False), 1),
            "library's": (lambda: ResidualUNet(base_channels=24, levels=3), 2)}


def pooled(pairs: Pairs) -> Pairs:
    """Pairs at half the size."""
    return F.avg_pool2d(pairs[0], 2), F.avg_pool2d(pairs[1], 2)


def side_by_side(networks: Sequence[nn.Module]) -> nn.Module:
    """Convolutional networks of one architecture as one: channels concatenated, each network a group of them."""
    one, states = copy.deepcopy(networks[0]), [network.state_dict() for network in networks]
    for module in one.modules():
        if isinstance(module, nn.Conv2d):
            module.groups = len(networks)
    for name, value in [*one.named_parameters(), *one.named_buffers()]:
        if value.dim():  # all but batch norm's counter
            value.data = torch.cat([state[name] for state in states])
    return one


def train_all(networks: Sequence[nn.Module], pairs: Pairs, seeds: Sequence[int], num_steps: int,
              lr: float, every: int, measure: Callable[[int], object], batch_size: int = 16) -> None:
    """Train every network as the notebook's `train` does, all next to each other: half the time of one by one. A
    convolution of 16 channels is too small to keep a core busy. `measure(step)` is called every `every` steps, with the
    weights of that step in `networks`."""
    orders = [torch.Generator().manual_seed(seed) for seed in seeds]
    one = side_by_side(networks).to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(one.parameters(), lr=lr, fused=True)
    for step in range(num_steps + 1):
        if step % every == 0:
            with torch.no_grad():
                for name, value in one.named_parameters():
                    for network, part in zip(networks, value.chunk(len(networks))):
                        network.get_parameter(name).copy_(part)
            measure(step)
        picked = torch.stack([torch.randint(len(pairs[0]), (batch_size,), generator=order) for order in orders], 1)
        L, ab = (part[picked].flatten(1, 2) for part in pairs)  # (B, S, C, H, W) -> (B, S C, H, W)
        optimizer.zero_grad()
        (len(networks) * (one(L).ab - ab).abs().mean()).backward()  # each gets the gradient of its own error
        optimizer.step()


def line_panels(panels: Mapping[str, Mapping[str, tuple[Sequence[float], Sequence[Sequence[float]]]]],
                xlabel: str | Mapping[str, str], ylabel: str, log: bool = False, share: bool = False) -> Figure:
    """Panel title -> name -> (xs, one row of ys per seed): the mean, and a band from the least to the greatest. xlabel
    may differ by panel; share=True gives all panels the same vertical scale."""
    names = list(dict.fromkeys(name for lines in panels.values() for name in lines))
    styles = dict(zip(names, zip(figures.colours_of(names), cycle(figures.LINES))))
    with figures.drawing(1, len(panels), figsize=(2.75 * len(panels) + 0.4, 3.1), squeeze=False,
                         sharey=share) as (figure, axes):
        for axis, (title, lines) in zip(axes.flat, panels.items()):
            for name, (xs, rows) in lines.items():
                figures.band(axis, xs, list(zip(*rows)), styles[name][0], linestyle=styles[name][1], label=name)
            axis.set(title=title, xlabel=xlabel if isinstance(xlabel, str) else xlabel[title])
            axis.set_yscale("log" if log else "linear")
        axes[0, 0].set_ylabel(ylabel)
        shown = {text: line for axis in axes.flat for line, text in zip(*axis.get_legend_handles_labels())}
        figure.legend(shown.values(), shown.keys(), loc="outside lower center", ncols=len(shown), fontsize=9)
    return figure


def search(results: ResultFile, names: dict[str, Any], name: str, make: Callable[[], nn.Module], train: Pairs,
           held_out: Pairs, num_steps: int, batch_size: int, lrs: Sequence[float] = SEARCHED) -> float:
    """The learning rate with the least error on held-out pictures, by one run of each; `names` are the notebook's."""
    for lr in lrs:
        if not results.has(f"{name}, lr {lr:g}", SEED):
            run = names["train"](seeded(SEED, make), train, held_out, SEED, num_steps, lr,
                                 every=max(1, num_steps // 10), batch_size=batch_size)
            results.add(f"{name}, lr {lr:g}", SEED, {"l1": names["at"](run, num_steps)})
    found = {run["name"]: run["l1"] for run in results.record["runs"]}
    return min(lrs, key=lambda lr: found[f"{name}, lr {lr:g}"])


def main() -> None:
    names = data.taught("06_residual_unet")
    large = [scenes.render(num, size=32, seed=seed).L_ab() for num, seed in ((NUM_TRAIN, 1006), (NUM_VALIDATION, 1007))]
    small = [pooled(pairs) for pairs in large]
    results = ResultFile("learning_rates_06.json", {
        "claim": "the learning rates of C23, C24, C25 and C25b",
        "command": "python -m colorlib.course.nb06",
        "data": f"{NUM_TRAIN} scenes to train on, {NUM_VALIDATION} to choose by, none of them the notebook's",
        "steps": STACK_STEPS, "unet_steps": UNET_STEPS, "seeds": [SEED],
    })

    for depth in (8, 32, 64):
        for kind, residual in (("plain", False), ("residual", True)):
            search(results, names, f"{kind} {depth}", lambda: names["Stack"](depth, residual), *small, STACK_STEPS, 16)
        zero = lambda: names["zero_last_norms"](names["Stack"](depth, True))
        search(results, names, f"residual {depth}, zero", zero, *small, STACK_STEPS, 16)
    search(results, names, "plain 64, no norm, He", lambda: without_norm(names, 64), *small, STACK_STEPS, 16,
           WITHOUT_NORM)
    for name, (make, factor) in unets(names).items():
        search(results, names, name, make, *large, factor * UNET_STEPS, 8)


if __name__ == "__main__":
    main()
