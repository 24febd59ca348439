"""Guided upsampling: a small ab, enlarged so that its edges fall on the edges of the photograph's L."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import reduce

import torch
import torch.nn.functional as F
from torch import Tensor

_RADIUS = 2  # of the guided filter's window, in pixels of the small picture: 5 x 5
_EPSILON = 1e-3  # its regularisation: an edge of L below about 1.6 CIE units (0.03 scaled) is no colour edge


def _windows(x: Tensor, outside: float, join: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """Join the pixels of every window, first along rows, then along columns: by shifted views, because torch's pooling
    takes ten times as long for so few channels. `outside` stands beyond the border."""
    for dim in (-1, -2):
        length = x.shape[dim]
        x = F.pad(x, (_RADIUS, _RADIUS, 0, 0) if dim == -1 else (0, 0, _RADIUS, _RADIUS), value=outside)
        shifted = [x.narrow(dim, shift, length) for shift in range(2 * _RADIUS + 1)]
        x = reduce(join, shifted)
    return x


def _box(x: Tensor) -> Tensor:
    """Mean over the window; at the border over the part of it that lies inside."""
    return _windows(x, 0.0, torch.add) / _windows(torch.ones_like(x[:1, :1]), 0.0, torch.add)


def local_lines(ab: Tensor, L: Tensor, strength: float = 1.0) -> Tensor:
    """The line ab = slope * L + offset at each small pixel, and the ab between which it holds.

    In every 5 x 5 window of the small picture ab is fitted as a straight line in L, and the slopes are averaged over the
    windows that cover a pixel. Two deviations from the paper: every line goes exactly through the small pixel's own ab,
    because the paper's filter would blur ab by its window; and the result stays within the ab of the 5 x 5 small pixels
    around it, so that a highlight does not run along its line out of all colours.

    Args:
        strength: of the guidance, a factor of the slopes: at 0 the lines are flat, and edges of L mean nothing.

    Returns:
        (B, 8, h, w): slope, offset, lowest ab, highest ab, two channels each.

    Reference: He and Sun 2015, Fast guided filter, algorithm 2; He, Sun, Tang 2013, Guided image filtering,
    equations 5 and 6.
    """
    mean_L, mean_ab = _box(L), _box(ab)
    variance = (_box(L * L) - mean_L.square()).clamp_(min=0)  # rounding may leave it below 0
    covariance = _box(L * ab) - mean_L * mean_ab
    slope = strength * _box(covariance / (variance + _EPSILON))
    lowest, highest = _windows(ab, math.inf, torch.minimum), _windows(ab, -math.inf, torch.maximum)
    return torch.cat([slope, ab - slope * L, lowest, highest], 1)


def on_lines(lines: Tensor, L: Tensor) -> Tensor:
    """ab (B, 2, H, W) where the enlarged lines (B, 8, H, W) meet L (B, 1, H, W)."""
    slope, offset, lowest, highest = lines.chunk(4, 1)
    return torch.addcmul(offset, slope, L).clamp_(lowest, highest)


def upsample_rows(maps: Tensor, rows: slice, size: tuple[int, int]) -> Tensor:
    """The given rows of the maps, enlarged bilinearly to `size`, without the other rows."""
    height = maps.shape[-2]
    y = (torch.arange(rows.start, rows.stop, device=maps.device) + 0.5) * (height / size[0]) - 0.5
    y = y.clamp_(0, height - 1)
    above = y.long()
    below = (above + 1).clamp_(max=height - 1)
    between = torch.lerp(maps[..., above, :], maps[..., below, :], (y - above)[:, None])  # (B, C, rows, w)
    return F.interpolate(between, (len(y), size[1]), mode="bilinear")  # widens alone
