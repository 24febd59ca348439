"""Mixtures of Gaussians in the plane: data whose density is known, so the modes that a GAN misses can be counted."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Mixture:
    """Equally likely round Gaussians with means (K, 2) and one standard deviation. Points x are (N, 2)."""

    means: Tensor
    std: float

    def sample(self, num: int, generator: torch.Generator | None = None) -> Tensor:
        return self.sample_modes(num, generator)[0]

    def sample_modes(self, num: int, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        """Draw points (num, 2) and the mode (num,) that each came from, int64."""
        mode = torch.randint(len(self.means), (num,), generator=generator)
        return self.means[mode] + self.std * torch.randn(num, 2, generator=generator), mode

    def nearest(self, x: Tensor, within: float = 3.0) -> Tensor:
        """The mode (N,) nearest to each point, or -1 where it is more than `within` stds away."""
        distance, mode = torch.cdist(x, self.means).min(dim=1)
        return torch.where(distance <= within * self.std, mode, -1)

    def modes_hit(self, x: Tensor, within: float = 3.0, least: int = 1) -> int:
        """How many modes have at least `least` points within `within` standard deviations."""
        mode = self.nearest(x, within)
        return int((torch.bincount(mode[mode >= 0], minlength=len(self.means)) >= least).sum())

    def quality(self, x: Tensor, within: float = 3.0) -> float:
        """Share of the points within `within` stds of a mode; of its own points 1 - exp(-within^2 / 2): 0.989 for 3."""
        return float((self.nearest(x, within) >= 0).float().mean())


def ring(num_modes: int = 8, radius: float = 2.0, std: float = 0.05) -> Mixture:
    """Modes at equal distances on a circle."""
    angle = torch.arange(num_modes) * (2 * math.pi / num_modes)
    return Mixture(radius * torch.stack([angle.cos(), angle.sin()], dim=1), std)
