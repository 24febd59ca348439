"""A distribution over ab: a square grid of bins over the colours of sRGB, and what can be read from it.

A colour between four bins counts to each by bilinear weights, so that the mean of its bins is the colour (in Zhang,
Isola, Efros 2016, Colorful image colorization, sections 2.1 and 2.2, to its five nearest by a Gaussian).
"""

from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from colorlib.checks import need_floats
from colorlib.color import AB_SCALE, rgb_to_lab

SPACING = 10.0  # CIE units
_CORNERS = ((0, 0), (0, 1), (1, 0), (1, 1))


@lru_cache(maxsize=1)
def _grid() -> tuple[Tensor, Tensor, int]:
    """Centres (Q, 2) in CIE units; the bin number of each node of the rectangle around them, or -1; its first node."""
    steps = torch.linspace(0, 1, 52, dtype=torch.float64)
    cube = torch.stack(torch.meshgrid(steps, steps, steps, indexing="ij")).reshape(3, 1, -1)
    cell = (rgb_to_lab(cube)[1:, 0] / SPACING).floor().long()  # (2, colours)
    first = int(cell.min())
    side = int(cell.max()) - first + 2
    used = torch.zeros(side, side, dtype=torch.bool)
    for down, across in _CORNERS:
        used[cell[0] - first + down, cell[1] - first + across] = True
    number = torch.full((side, side), -1)
    number[used] = torch.arange(int(used.sum()))
    return (used.nonzero() + first) * SPACING, number, first


def centres() -> Tensor:
    """The bins' colours, (Q, 2) in CIE units: all corners of grid cells in which sRGB has a colour."""
    return _grid()[0].clone()


def num_bins() -> int:
    return len(_grid()[0])


def encode(ab: Tensor) -> tuple[Tensor, Tensor]:
    """The numbers (B, 4, H, W), int64, of the four bins around each colour of ab (B, 2, H, W), scaled, and its weights
    in them, not negative, of sum 1. A colour outside the grid counts to the bin nearest to it."""
    need_floats(ab=ab)
    if ab.ndim != 4 or ab.shape[1] != 2 or not torch.isfinite(ab).all():
        raise ValueError(f"ab has shape {tuple(ab.shape)}, or is not finite; need (B, 2, H, W)")
    all_centres, number, first = (part.to(ab.device) if isinstance(part, Tensor) else part for part in _grid())
    ab = ab if ab.dtype == torch.float64 else ab.float()  # half precision would leave the grid by rounding
    place = (ab * (AB_SCALE / SPACING) - first).clamp(0, len(number) - 1.001)  # (B, 2, H, W) in nodes
    corner = place.floor().long()
    a, b = (place - corner).unbind(1)
    found = torch.stack([number[corner[:, 0] + down, corner[:, 1] + across] for down, across in _CORNERS], 1)
    weight = torch.stack([(a if down else 1 - a) * (b if across else 1 - b) for down, across in _CORNERS], 1)
    outside = (found < 0).any(1)  # no colour of sRGB; a mean of colours may still lie there
    if outside.any():
        pixels = ab.permute(0, 2, 3, 1)[outside] * AB_SCALE
        nearest = torch.cdist(pixels, all_centres.to(pixels.dtype)).argmin(1)
        whole = outside[:, None].expand_as(found)
        found = found.masked_fill(whole, 0)
        found.permute(0, 2, 3, 1)[outside] = nearest[:, None].expand(-1, 4)
        weight = weight.masked_fill(whole, 0.25)
    return found, weight


def cross_entropy(logits: Tensor, ab: Tensor) -> Tensor:
    """Mean cross-entropy, in nats, of logits (B, Q, h, w) and the real ab (B, 2, H, W), scaled, averaged over the part
    of the picture that each of the h x w places covers (Zhang et al. 2016, equation 2). ValueError for another Q."""
    need_floats(logits=logits, ab=ab)
    if logits.ndim != 4 or ab.ndim != 4 or len(logits) != len(ab):
        raise ValueError(f"logits have shape {tuple(logits.shape)}, ab {tuple(ab.shape)}; need (B, Q, h, w) and (B, 2, H, W)")
    if logits.shape[1] != num_bins():
        raise ValueError(f"the logits are for {logits.shape[1]} bins; the grid has {num_bins()}: make the network with "
                         f"num_bins={num_bins()}")
    found, weight = encode(F.interpolate(ab, logits.shape[-2:], mode="area"))
    return -(logits.log_softmax(1).gather(1, found) * weight).sum(1).mean()


def expected_error(probabilities: Tensor, ab: Tensor) -> Tensor:
    """The uncertainty: mean distance in CIE units, (B, h, w), of the bins, of probabilities (B, Q, h, w), from ab
    (B, 2, h, w), scaled."""
    ab = ab.permute(0, 2, 3, 1).flatten(1, 2) * AB_SCALE  # (B, places, 2)
    distance = torch.cdist(ab, centres().to(ab).expand(len(ab), -1, -1))  # (B, places, Q)
    return (distance * probabilities.flatten(2).transpose(1, 2)).sum(-1).unflatten(1, probabilities.shape[-2:])
