"""z: what of a picture's colours L does not determine, as six numbers.

The first five (CODES) encode how much more colourful the picture is than the mean answer, and how its dark and light
parts differ from it in a and b. The network predicts mean and deviation of this code from L (its prior); z is the code
in these deviations, so that N(0, 1) gives plausible colourings. The sixth number is 1 for the mean answer, else 0.

Reference: Zhu et al. 2017, BicycleGAN, section 3.3 (a latent code that the output gives back).
"""

import torch
from torch import Tensor

CODES = ("colourfulness", "dark a", "dark b", "light a", "light b")
Z_CHANNELS = len(CODES) + 1
UNITS = (0.5, 0.1, 0.1, 0.1, 0.1)  # in which the network predicts the codes


def palette_code(L: Tensor, ab: Tensor, ab_mean: Tensor) -> Tensor:
    """How colours differ from the mean answer for the same L, (B, 5), in the order of CODES and in UNITS.

    The log of the ratio of the mean chroma, then the mean differences of a and b over the darker and the lighter part.
    """
    chroma, chroma_mean = ((colors.square().sum(1) + 1e-6).sqrt().mean((1, 2)) + 0.03 for colors in (ab, ab_mean))
    light = torch.sigmoid((L - L.mean((2, 3), keepdim=True)) * 8)
    parts = [((ab - ab_mean) * weight).mean((2, 3)) / weight.mean((2, 3)) for weight in (1 - light, light)]
    return torch.cat([(chroma / chroma_mean).log()[:, None], *parts], dim=1) / L.new_tensor(UNITS)


def prior(predicted: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and log standard deviation of the code given L, (B, 5) each, from `Prediction.code` (B, 10)."""
    mean, log_std = predicted.float().chunk(2, 1)
    return mean, log_std.clamp(-4, 3)


def predicted_ratio(predicted: Tensor) -> Tensor:
    """How many times as colourful as the mean answer the photograph is expected to be, (B, 1, 1, 1), 1/3 to 3."""
    return (prior(predicted)[0][:, :1, None, None] * UNITS[0]).exp().clamp(1 / 3, 3)


def standardised(code: Tensor, predicted: Tensor) -> Tensor:
    """A code (B, 5) as the generator takes it: N(0, 1) over a picture's colourings, if the prior is right."""
    mean, log_std = prior(predicted)
    return ((code - mean) / log_std.exp()).clamp(-4, 4)


def prior_loss(predicted: Tensor, code: Tensor) -> Tensor:
    """Negative log likelihood of codes (B, 5) under the predicted prior, without its constant."""
    mean, log_std = prior(predicted)
    return (0.5 * ((code - mean) / log_std.exp()).square() + log_std).mean()


def z_mean(num: int, device: torch.device | str = "cpu") -> Tensor:
    """The z of the mean answer, (num, 6)."""
    return torch.eye(Z_CHANNELS, device=device)[-1:].repeat(num, 1)
