"""The measures of notebook 04's scripts: the distance of two sets of colours."""

import math

import torch
from torch import Tensor

ANGLES = torch.arange(4) * math.pi / 4
DIRECTIONS = torch.stack([ANGLES.cos(), ANGLES.sin()])  # (2, 4): four directions of the ab plane


def colour_distance(ab_fake: Tensor, ab_real: Tensor) -> float:
    """Sliced Wasserstein-1 distance of two sets of colours (N, 2): how far they must move, wherever they are."""
    fake, real = ((ab @ DIRECTIONS).sort(dim=0).values for ab in (ab_fake, ab_real))
    return float((fake - real).abs().mean())


def pixels(ab: Tensor, mask: Tensor | None = None) -> Tensor:
    """(B, 2, H, W) -> (N, 2), all pixels or those of a mask (B, H, W)."""
    ab = ab.permute(0, 2, 3, 1)
    return ab.reshape(-1, 2) if mask is None else ab[mask]
