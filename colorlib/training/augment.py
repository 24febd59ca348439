"""What happens to training pictures before a colorizer sees them: windows, turned and stretched; random hints; L like
an old photograph's. Each works on a whole batch, on its device, and draws from a random generator there."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from colorlib.processes import draw as drawn


def windows(L: Tensor, ab: Tensor, size: int, sides: tuple[float, float], share: float,
            random: torch.Generator) -> tuple[Tensor, Tensor]:
    """Random square windows of L and ab (B, 1 or 2, S, S), with sides in a range of shares of S, resized to `size` pixels;
    outside of a picture is its reflection.

    A `share` of them is turned by up to 17 degrees, their sides scaled by up to a fifth: a few thousand photographs are
    memorised within a few dozen epochs, unless each is distorted differently every time.
    """
    draw = drawn(torch.rand, (7, len(L)), 1, generator=random, device=L.device)
    side = sides[0] + (sides[1] - sides[0]) * draw[0]
    right, down = ((2 * draw[k] - 1) * (1 - side) for k in (1, 2))  # of the window's centre, in half pictures
    turn, across, along = ((2 * draw[k] - 1) * (draw[6] < share) for k in (3, 4, 5))
    angle, across, along = 0.3 * turn, side * (0.2 * across).exp(), side * (0.2 * along).exp()
    rows = [torch.stack([angle.cos() * across, -angle.sin() * along, right], 1),
            torch.stack([angle.sin() * across, angle.cos() * along, down], 1)]
    grid = F.affine_grid(torch.stack(rows, 1), [len(L), 3, size, size], align_corners=False)
    picture = F.grid_sample(torch.cat([L, ab], dim=1), grid, padding_mode="reflection", align_corners=False)
    return picture[:, :1], picture[:, 1:]


def random_hints(ab: Tensor, share: float, random: torch.Generator, most: int = 24) -> Tensor:
    """Hints as a user might give them: at most `most` small squares of one colour each, in a share of the pictures.

    Returns (B, 3, H, W): mask, then ab: the mean of the 3 x 3 pixels of ab (B, 2, H, W) in the middle of each square;
    where squares overlap, the mean of theirs; 0 elsewhere.

    Reference: Zhang et al. 2017, section 3.1: the number of hints is geometric with p = 1/8, squares of 1 to 9 pixels
    at Gaussian places, in 1 % of the pictures all colours. Our squares have 1 to 5, as our pictures are smaller, and
    uniform places.
    """
    num, _, height, width = ab.shape
    chosen, rank = drawn(torch.rand, (2, num), 1, generator=random, device=ab.device)
    down, across, wide = drawn(torch.rand, (3, num, most), 1, generator=random, device=ab.device)
    count = (1 + (rank.clamp(min=1e-9).log() / math.log(7 / 8)).floor()).clamp(max=most) * (chosen < share)
    side = 1 + (wide * 5).floor()
    top, left = (down * (height - side + 1)).floor(), (across * (width - side + 1)).floor()
    ys, xs = (torch.arange(length, device=ab.device) for length in (height, width))
    given = (torch.arange(most, device=ab.device) < count[:, None])[..., None]
    rows = ((ys >= top[..., None]) & (ys < (top + side)[..., None]) & given).float()  # (B, most, H)
    columns = ((xs >= left[..., None]) & (xs < (left + side)[..., None])).float()  # (B, most, W)
    middle_y, middle_x = (start.add((side - 1) / 2).round().long() for start in (top, left))
    smooth = F.avg_pool2d(ab, 3, 1, 1, count_include_pad=False)
    color = smooth[torch.arange(num, device=ab.device)[:, None], :, middle_y, middle_x]  # (B, most, 2)
    cover = rows.transpose(1, 2) @ columns  # how many squares lie on each pixel
    mean = torch.stack([(rows * color[..., k, None]).transpose(1, 2) @ columns for k in (0, 1)], 1)
    mean = mean / cover.clamp(min=1)[:, None]
    everything = ((chosen < share) & (rank > 0.99))[:, None, None, None]
    return torch.cat([(cover[:, None] > 0.5) | everything, torch.where(everything, ab, mean)], 1)


def aged(L: Tensor, share: float, random: torch.Generator) -> Tensor:
    """L (B, 1, H, W) in [-1, 1], a share of it as an old print and a scanner give it: another gamma, faded, blurred,
    grainy."""
    draw = drawn(torch.rand, (5, len(L)), 1, generator=random, device=L.device)[:, :, None, None, None]
    light = ((L + 1) / 2).clamp(0, 1) ** torch.exp(0.8 * (draw[1] - 0.5))
    light = light * (1 - 0.4 * draw[2]) + 0.2 * draw[2]  # blacks turn grey, whites too
    light = torch.lerp(light, F.avg_pool2d(light, 3, 1, 1, count_include_pad=False), draw[3])
    grain = drawn(torch.randn, L.shape, generator=random, device=L.device)
    light = light + 0.06 * draw[4] * grain
    return torch.where(draw[0] < share, (2 * light - 1).clamp(-1, 1), L)
