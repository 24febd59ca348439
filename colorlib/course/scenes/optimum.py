"""The best possible predictions for a free colour, in closed form."""

from typing import NamedTuple

import torch
from torch import Tensor

from colorlib.color import AB_SCALE
from colorlib.course.scenes.materials import FREE


class Palette(NamedTuple):
    """Colours of a free kind: ab (K, 2) scaled by 110, probabilities (K,), and the range of L it is drawn at."""

    ab: Tensor
    probabilities: Tensor
    lightness: tuple[float, float]


PALETTES = {kind: Palette(torch.tensor(colours) / AB_SCALE, torch.tensor(probabilities), lightness)
            for kind, (colours, probabilities, lightness) in FREE.items()}


def best_l2(kind: str) -> Tensor:
    """The prediction (2,) with the smallest expected squared error: the mean colour."""
    return PALETTES[kind].probabilities @ PALETTES[kind].ab


def best_l1(kind: str) -> Tensor:
    """The prediction (2,) with the smallest expected absolute error: the weighted median of a, and that of b."""
    ordered, order = PALETTES[kind].ab.sort(dim=0)
    reached = PALETTES[kind].probabilities[order].cumsum(0) >= 0.5  # no cumulative probability is exactly 1/2
    return ordered.gather(0, reached.float().argmax(0)[None])[0]


def entropy(kind: str) -> float:
    """Entropy of the colour in nats: how much the grey picture leaves open."""
    p = PALETTES[kind].probabilities.double()
    return float(-(p * p.log()).sum())


def expected_l2(kind: str, prediction: Tensor) -> float:
    """Expected squared error of one fixed prediction (2,), averaged over a and b as torch's mse_loss does."""
    return float(PALETTES[kind].probabilities @ (PALETTES[kind].ab - prediction).square().mean(1))
