"""Notebook 09 and its script: placing hints, measuring their gain, and the effect of the render size."""

import random
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from colorlib import metrics
from colorlib.color import rgb_to_L, rgb_to_lab
from colorlib.colorizer import Colorizer, Hint
from colorlib.colorizer.hints import nearness, place_hints
from colorlib.colorizer.render import render_shape, small_L
from colorlib.generators import predict

COUNTS = (0, 1, 2, 5, 10, 20)
APART = 0.1  # of the short side: no hint is placed nearer to another one
REACH_SIZE = 48  # short side, pixels: at which reaches are computed
GRID = 10  # points a side that `at_uncertain_reach` chooses from
DETAIL = 16  # a window of 1 / 16 of the short side: variation of ab below it counts as detail


def ab_of(rgb: Tensor) -> Tensor:
    """(2, H, W), CIE units."""
    return rgb_to_lab(rgb)[1:]


def error_map(rgb: Tensor, real: Tensor) -> Tensor:
    """Distance of ab at every pixel, (H, W), CIE units."""
    return (ab_of(rgb) - ab_of(real)).norm(dim=0)


def true_hint(real: Tensor, x: int, y: int) -> Hint:
    """A hint in the photograph's own colour at that point."""
    return Hint(x, y, *ab_of(real)[:, y, x].tolist())


def highest(score: Tensor, taken: Sequence[Hint], apart: float = APART) -> tuple[int, int]:
    """The point x, y of the highest score (H, W) that keeps its distance from the hints taken so far. The distance is
    `apart` of the short side; ValueError where no point is that far from all of them."""
    height, width = score.shape
    down, across = torch.meshgrid(torch.arange(float(height)), torch.arange(float(width)), indexing="ij")
    free = torch.ones(height, width, dtype=torch.bool)
    for hint in taken:
        free &= torch.hypot(across - hint.x, down - hint.y) >= apart * min(height, width)
    if not free.any():
        raise ValueError(f"no room for another hint among {len(taken)} on {width} x {height} pixels: ask for fewer, "
                         f"or for less than {apart:g} of the short side between them")
    best = int(score.masked_fill(~free, -torch.inf).argmax())
    return best % width, best // width


def placed(real: Tensor, num: int, score: Callable[[list[Hint]], Tensor]) -> list[Hint]:
    """`num` hints in the colours of real, uint8 (3, H, W), each where score(hints so far), (H, W), is highest."""
    hints: list[Hint] = []
    while len(hints) < num:
        hints.append(true_hint(real, *highest(score(hints), hints)))
    return hints


def at_random(real: Tensor, num: int, seed: int) -> list[Hint]:
    """Uniform points, by the same rule of distance."""
    generator = torch.Generator().manual_seed(seed)
    return placed(real, num, lambda hints: torch.rand(real.shape[1:], generator=generator))


def around(plane: Tensor) -> Tensor:
    """Mean over a square window of a tenth of the short side, (H, W): a hint colours a neighbourhood, not a pixel."""
    side = 2 * (min(plane.shape) // 20) + 1
    return F.avg_pool2d(plane[None, None], side, 1, side // 2, count_include_pad=False)[0, 0]


def at_most_uncertain(colorizer: Colorizer, real: Tensor, num: int) -> list[Hint]:
    """Each where the network, knowing the hints so far, expects the largest error."""
    return placed(real, num, lambda hints, known=colorizer.remembering(): around(known.uncertainty(real, hints=hints)))


def at_worst(colorizer: Colorizer, real: Tensor, num: int) -> list[Hint]:
    """Each at the largest actual error so far: an oracle, since it needs the true colours."""
    known = colorizer.remembering()
    return placed(real, num, lambda hints: around(error_map(known.colorize(real, decode="mean", hints=hints), real)))


def reaches(colorizer: Colorizer, real: Tensor, points: Sequence[tuple[int, int]]) -> Tensor:
    """How much a hint at each of N points x, y counts where, (N, h, w), 0 to 1 (see `hints.nearness`), small for speed."""
    full = real.shape[1:]
    seen, small = (small_L(real, render_shape(*full, size)) for size in (colorizer.own_render_size(*full), REACH_SIZE))
    likely = predict(colorizer.generator, seen.to(colorizer.device), z=colorizer.z["mean"][None].to(colorizer.device)).bins
    return torch.cat([nearness(small, place_hints([Hint(x, y, 0, 0)], full, small.shape[-2:]), likely.softmax(1))
                      for x, y in points])[:, 0]


def at_uncertain_reach(colorizer: Colorizer, real: Tensor, num: int) -> list[Hint]:
    """Each at the point of a 10 x 10 grid whose reach holds the most uncertainty outside the reach of earlier hints."""
    colorizer, (height, width) = colorizer.remembering(), real.shape[1:]
    points = [(int((i + 0.5) * width / GRID), int((j + 0.5) * height / GRID)) for j in range(GRID) for i in range(GRID)]
    within = reaches(colorizer, real, points)  # (100, h, w)
    hints, left = [], torch.ones(within.shape[1:])
    while len(hints) < num:
        unsure = F.interpolate(colorizer.uncertainty(real, hints=hints)[None, None], left.shape, mode="area")[0, 0]
        best = int((within * (left * unsure)).sum((1, 2)).argmax())
        hints.append(true_hint(real, *points[best]))
        left = torch.minimum(left, 1 - within[best])
        within[best] = 0  # the same point is not taken twice
    return hints


def without_network(real: Tensor, hints: Sequence[Hint]) -> float:
    """Mean error of ab where the grey photograph takes the hints' colours by `nearness` alone, CIE units."""
    marks = place_hints(hints, real.shape[1:], real.shape[1:])
    near = nearness(rgb_to_L(real[None]), marks)[:, 0]  # (N, H, W)
    ab = (near[:, None] * torch.tensor([[hint.a, hint.b] for hint in marks.hints])[:, :, None, None]).sum(0)
    return float((ab / near.sum(0).clamp(min=1) - ab_of(real)).norm(dim=0).mean())


def single(colorizer: Colorizer, real: Tensor, num: int, seed: int) -> dict[str, list[float]]:
    """Of `num` random points: "gain", the fall of the mean error by one hint there; beforehand, in CIE units, the
    expected "uncertainty" and the actual "error" around the point; "reach", the share of pixels it counts in."""
    generator, colorizer = torch.Generator().manual_seed(seed), colorizer.remembering()
    unsure, plain = around(colorizer.uncertainty(real)), error_map(colorizer.colorize(real, decode="mean"), real)
    rows: dict[str, list[float]] = {"gain": [], "uncertainty": [], "reach": [], "error": []}
    for place in torch.randint(plain.numel(), (num,), generator=generator).tolist():
        x, y = place % plain.shape[1], place // plain.shape[1]
        with_one = error_map(colorizer.colorize(real, decode="mean", hints=[true_hint(real, x, y)]), real)
        for name, number in (("gain", plain.mean() - with_one.mean()), ("uncertainty", unsure[y, x]),
                             ("reach", reaches(colorizer, real, [(x, y)]).mean()), ("error", around(plain)[y, x])):
            rows[name].append(float(number))
    return rows


def saved(by_chance: Sequence[float], error: float, without: float) -> float:
    """Error that a placement saves compared with as many random hints, in % of the error without hints."""
    return 100 * (sum(by_chance) / len(by_chance) - error) / without


def errors(colorizer: Colorizer, real: Tensor, hints: Sequence[Hint],
           counts: Sequence[int] = COUNTS) -> dict[int, float]:
    """Mean error of ab of the mean decoding with the first `count` hints, for each count; CIE units."""
    known = colorizer.remembering()
    return {count: float(error_map(known.colorize(real, decode="mean", hints=hints[:count]), real).mean())
            for count in counts}


def detail(rgb: Tensor) -> float:
    """How much of the variation of ab is finer than 1 / 16 of the short side, 0 to 1 (0 where there is no colour)."""
    ab = ab_of(rgb)[None]
    side = 2 * (min(ab.shape[-2:]) // DETAIL // 2) + 1
    smooth = F.avg_pool2d(ab, side, 1, side // 2, count_include_pad=False)
    total = (ab - ab.mean((2, 3), keepdim=True)).square().sum()
    return float((ab - smooth).square().sum() / total) if total > 0.01 * ab.numel() else 0.0  # rounding is no colour


def rendered(colorizer: Colorizer, real: Tensor, render_size: int) -> dict[str, float]:
    """One photograph at one render size, in the default decoding."""
    rgb = colorizer.colorize(real, render_size=render_size)
    return {"error": float(error_map(rgb, real).mean()), "auc": metrics.auc(ab_of(rgb), ab_of(real)),
            "colourfulness": metrics.colourfulness(rgb), "detail": detail(rgb)}


def drawn(items: Sequence, num: int, seed: int = 0) -> list:
    """`num` of them at random, in their order; all where there are fewer."""
    return [items[i] for i in sorted(random.Random(seed).sample(range(len(items)), min(num, len(items))))]
