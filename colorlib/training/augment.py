"""What happens to training pictures before a colorizer sees them: turned and stretched, with random hints, and L like an old
photograph's."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def warped(L: Tensor, ab: Tensor, share: float, random: torch.Generator) -> tuple[Tensor, Tensor]:
    """Some pictures turned by up to 20 degrees and their sides stretched or shrunk by up to a third.

    Of some thousand photographs a network knows every one after some dozen passes; so none shall come twice alike. What
    lies outside of a turned picture is mirrored.

    Args:
        L: (B, 1, H, W).
        ab: (B, 2, H, W).
        share: of the pictures that are changed.
        random: on the CPU.
    """
    chosen, *draw = torch.rand(4, len(L), generator=random).to(L.device)
    turn, across, down = ((2 * values - 1) * (chosen < share) for values in draw)
    angle, across, down = 0.35 * turn, (0.3 * across).exp(), (0.3 * down).exp()
    rows = [torch.stack([angle.cos() * across, -angle.sin() * down, 0 * angle], 1),
            torch.stack([angle.sin() * across, angle.cos() * down, 0 * angle], 1)]
    picture = torch.cat([L, ab], dim=1)
    grid = F.affine_grid(torch.stack(rows, 1), list(picture.shape), align_corners=False)
    picture = F.grid_sample(picture, grid, padding_mode="reflection", align_corners=False)
    return picture[:, :1], picture[:, 1:]


def random_hints(ab: Tensor, share: float, random: torch.Generator) -> Tensor:
    """Hints as a user might give them: a few small squares whose mean colour is told.

    Args:
        ab: (B, 2, H, W), the real colours, scaled.
        share: of the pictures that get any.
        random: on the CPU.

    Returns:
        (B, 3, H, W): mask, then ab.

    Reference: Zhang et al. 2017, section 3.1: the number of hints is geometric with p = 1/8, squares of 1 to 9 pixels
    at Gaussian places, in 1 % of the pictures all colours. Here squares have 1 to 5 pixels, as our pictures are smaller,
    and places are uniform.
    """
    num, _, height, width = ab.shape
    hints = ab.new_zeros(num, 3, height, width)
    draw = torch.rand(num, 2, generator=random)
    for picture in range(num):
        if draw[picture, 0] >= share:
            continue
        if draw[picture, 1] < 0.01:
            hints[picture, 0], hints[picture, 1:] = 1, ab[picture]
            continue
        count = 1 + int(math.log(max(1e-9, float(draw[picture, 1]))) / math.log(7 / 8))
        places = torch.rand(count, 3, generator=random).tolist()
        for down, across, wide in places:
            side = min(1 + int(wide * 5), height, width)
            top, left = int(down * (height - side + 1)), int(across * (width - side + 1))
            spot = (picture, slice(None), slice(top, top + side), slice(left, left + side))
            hints[spot][0] = 1
            hints[spot][1:] = ab[spot].mean((-2, -1), keepdim=True)
    return hints


def aged(L: Tensor, share: float, random: torch.Generator) -> Tensor:
    """Some pictures as an old print and a scanner would give them: another gamma, faded, blurred, grainy.

    Args:
        L: (B, 1, H, W) in [-1, 1].
        share: of the pictures that are changed.
        random: on the CPU.
    """
    num = len(L)
    draw = torch.rand(num, 5, generator=random).to(L.device)[:, :, None, None, None]  # (B, 5, 1, 1, 1)
    light = ((L + 1) / 2).clamp(0, 1) ** torch.exp(0.8 * (draw[:, 1] - 0.5))
    light = light * (1 - 0.4 * draw[:, 2]) + 0.2 * draw[:, 2]  # blacks turn grey, whites too
    light = torch.lerp(light, F.avg_pool2d(light, 3, 1, 1, count_include_pad=False), draw[:, 3])
    grain = torch.randn(L.shape, generator=random).to(L.device)
    light = light + 0.06 * draw[:, 4] * grain
    return torch.where(draw[:, 0] < share, (2 * light - 1).clamp(-1, 1), L)
