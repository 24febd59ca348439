"""z: what of a picture's colours L does not determine, as six numbers.

The first five (CODES) encode how much more colourful the picture is than the mean answer, and how its dark and light
parts differ from it in a and b. So every photograph has a code, which can be measured. The network predicts mean and
deviation of the code from L (its prior); z is the code in these deviations, so that N(0, 1) gives plausible colourings
of this picture. The sixth number is 1 for the mean answer, else 0.
"""

from __future__ import annotations

import torch
from torch import Tensor

CODES = ("colourfulness", "dark a", "dark b", "light a", "light b")
"""What the first numbers of z mean, in this order; each in standard deviations of its distribution given L."""
Z_CHANNELS = len(CODES) + 1
UNITS = (0.5, 0.1, 0.1, 0.1, 0.1)
"""Units in which the network predicts the codes."""


def distance(ab_fake: Tensor, ab_real: Tensor) -> Tensor:
    """Mean Euclidean distance of the colours, scaled: what the area under the error curve (AuC) measures.

    L1 takes a and b one by one and prefers errors along an axis; this does not.

    Args:
        ab_fake, ab_real: (B, 2, H, W).
    """
    return ((ab_fake - ab_real).square().sum(1) + 1e-6).sqrt().mean()


def palette_code(L: Tensor, ab: Tensor, ab_mean: Tensor) -> Tensor:
    """How a picture's colours differ from the mean answer, in five numbers (see CODES).

    Args:
        L: (B, 1, H, W).
        ab: (B, 2, H, W), scaled: real or generated.
        ab_mean: (B, 2, H, W): the mean answer for the same L.

    Returns:
        (B, 5): log of the ratio of the mean chroma; mean difference of a and b over the darker and the lighter part,
        scaled; all in UNITS. Zero for the mean answer itself.
    """
    chroma = ((ab.square().sum(1) + 1e-6).sqrt().mean((1, 2)) + 0.03) / (
        (ab_mean.square().sum(1) + 1e-6).sqrt().mean((1, 2)) + 0.03)
    light = torch.sigmoid((L - L.mean((2, 3), keepdim=True)) * 8)
    parts = [((ab - ab_mean) * weight).mean((2, 3)) / weight.mean((2, 3)) for weight in (1 - light, light)]
    return torch.cat([chroma.log()[:, None], *parts], dim=1) / L.new_tensor(UNITS)


def prior(predicted: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and log standard deviation of the code given L, (B, 5) each, from `Prediction.code` (B, 10)."""
    mean, log_std = predicted.float().chunk(2, 1)
    return mean, log_std.clamp(-4, 3)


def standardised(code: Tensor, predicted: Tensor) -> Tensor:
    """A palette code (B, 5) as the generator takes it: N(0, 1) over a picture's colourings, if the prior is right."""
    mean, log_std = prior(predicted)
    return ((code - mean) / log_std.exp()).clamp(-4, 4)


def prior_loss(predicted: Tensor, code: Tensor) -> Tensor:
    """Negative log likelihood of palette codes (B, 5) under the predicted prior, without its constant."""
    mean, log_std = prior(predicted)
    return (0.5 * ((code - mean) / log_std.exp()).square() + log_std).mean()


def z_mean(num: int, device: torch.device | str = "cpu") -> Tensor:
    """The z of the mean answer, (num, 6)."""
    return torch.eye(Z_CHANNELS, device=device)[-1:].repeat(num, 1)
