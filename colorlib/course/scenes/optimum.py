"""The best possible answers for a free colour, in closed form, and the distance of a colorizer from them."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from colorlib.course.scenes.materials import KINDS, palette


@dataclass(frozen=True)
class Palette:
    """Colours of a free kind: ab (K, 2) scaled by 110, probabilities (K,), and the range of L it is drawn at."""

    ab: Tensor
    probabilities: Tensor
    lightness: tuple[float, float]


PALETTES: dict[str, Palette] = {kind: Palette(*palette(kind)) for kind in KINDS}


def _palette(kind: str) -> Palette:
    if kind not in PALETTES:
        raise ValueError(f"kind is {kind!r}, must be one of {', '.join(KINDS)}")
    return PALETTES[kind]


def best_l2(kind: str) -> Tensor:
    """The answer (2,) with the smallest expected squared error: the mean colour."""
    p = _palette(kind)
    return p.probabilities @ p.ab


def best_l1(kind: str) -> Tensor:
    """The answer (2,) with the smallest expected absolute error: the weighted median of a, and that of b."""
    p = _palette(kind)
    ordered, order = p.ab.sort(dim=0)
    reached = p.probabilities[order].cumsum(0) >= 0.5  # no palette has a cumulative probability of exactly 1/2
    first = reached.float().argmax(0)
    return ordered.gather(0, first[None])[0]


def entropy(kind: str) -> float:
    """Entropy of the colour in nats: how much the grey picture leaves open."""
    p = _palette(kind).probabilities.double()
    return float(-(p * p.log()).sum())


def expected_l2(kind: str, answer: Tensor) -> float:
    """Expected squared error of one fixed answer (2,), averaged over a and b as torch's mse_loss does."""
    p = _palette(kind)
    return float(p.probabilities @ (p.ab - answer).square().mean(1))


@dataclass(frozen=True)
class Distances:
    """Predicted ab against the truth on the pixels of one free kind. Distances are Euclidean, in ab / 110.

    Attributes:
        pixels: number of pixels.
        to_best_l1, to_best_l2, to_nearest_mode: mean distance to the median, the mean, the nearest palette colour.
        near_mode: (K,) share of the predictions within the radius of each palette colour: a model of the true
            distribution approaches the palette's probabilities, a regressor zeros.
        chroma_ratio: mean chroma of the predictions divided by that of the true pixels.
    """

    pixels: int
    to_best_l1: float
    to_best_l2: float
    to_nearest_mode: float
    near_mode: Tensor
    chroma_ratio: float


def distances(ab: Tensor, scenes, radius: float = 0.1) -> dict[str, Distances]:
    """Is the mean predicted, or a mode, or the distribution? Distances for each free kind that has pixels.

    ab (N, 2, S, S), scaled by 110, is predicted for the scenes; ValueError where shapes do not fit. radius counts as
    near a palette colour, in ab / 110: below half of their smallest distance, 0.2.
    """
    needed = (len(scenes.free), 2, *scenes.free.shape[1:])
    if tuple(ab.shape) != needed:
        raise ValueError(f"ab has shape {tuple(ab.shape)}, must be {needed} to fit the scenes; resize it first")
    true, reports = scenes.L_ab()[1], {}
    for number, kind in enumerate(KINDS, 1):
        here = scenes.free == number
        if not here.any():
            continue
        predicted, real = (picture.permute(0, 2, 3, 1)[here].float() for picture in (ab.to(true.device), true))

        def distance(answers: Tensor) -> Tensor:
            return (predicted[:, None] - answers.to(predicted).view(1, -1, 2)).norm(dim=-1)

        to_modes = distance(PALETTES[kind].ab)
        reports[kind] = Distances(pixels=len(predicted), to_best_l1=float(distance(best_l1(kind)).mean()),
                                  to_best_l2=float(distance(best_l2(kind)).mean()),
                                  to_nearest_mode=float(to_modes.min(1).values.mean()),
                                  near_mode=(to_modes <= radius).float().mean(0).cpu(),
                                  chroma_ratio=float(predicted.norm(dim=1).mean() / real.norm(dim=1).mean()))
    return reports
