"""Colours of single points: given by a person, held by the colorizer, suggested by its distribution over ab."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from colorlib import color
from colorlib.color import bins

SUGGESTIONS_APART = 15.0  # CIE units: nearer ones look alike
EVEN_COST, EDGE_COST, TEXTURE = 0.01, 10.0, 0.01  # of `nearness`, per small pixel; gradients of L from 0 to 1
REACH_SIZE = 96  # short side at which it is computed at most: a hint reaches as far at every larger render size
TOGETHER = 0.1  # of `surfaces`: hints that count so much at each other's point lie on one


class Hint(NamedTuple):
    """The colour of one point: x to the right, y down, in pixels of the photograph; a, b in CIE units."""

    x: float
    y: float
    a: float
    b: float


class Suggestion(NamedTuple):
    """A plausible colour of one point: a, b in CIE units, and its share of the predicted distribution, 0 to 1."""

    a: float
    b: float
    probability: float


def draw_hints(hints: Sequence[Hint], full: tuple[int, int], size: tuple[int, int]) -> Tensor:
    """Hints as the picture that a generator takes: mask, then ab / 110, one small pixel each.

    Args:
        hints: in pixels of the photograph and CIE units; of two in one small pixel the later one counts.
        full: height and width of the photograph.
        size: height and width of the small picture.

    Returns:
        (1, 3, h, w).

    Raises:
        ValueError: a hint outside of the photograph, or an a or b outside of -128 to 127.
    """
    drawn = torch.zeros(1, 3, *size)
    for hint in hints:
        x, y, a, b = hint
        if not (0 <= x < full[1] and 0 <= y < full[0]):
            raise ValueError(
                f"a hint at x={x}, y={y} lies outside of the photograph of {full[1]} x {full[0]} pixels"
            )
        if not (-128 <= a <= 127 and -128 <= b <= 127):
            raise ValueError(f"a hint has a={a}, b={b}; both are CIE units from -128 to 127")
        row, column = int(y * size[0] / full[0]), int(x * size[1] / full[1])
        drawn[0, :, row, column] = torch.tensor([1.0, a / color.AB_SCALE, b / color.AB_SCALE])
    return drawn


def hold_hints(ab: Tensor, L: Tensor, hints: Tensor) -> Tensor:
    """Correct what the generator made of the hints, so that each holds at its point.

    A generator follows hints roughly. What is missing at the points is spread over their neighbourhoods of like L: the
    smoothest correction, by a kernel of distance and of difference in L, that is right at all points.

    Args:
        ab: (1, 2, h, w), scaled.
        L: (1, 1, h, w), scaled.
        hints: (1, 3, h, w): mask, then ab; without any hint ab comes back.

    Returns:
        ab of the same shape.

    Reference: kernel (radial basis function) interpolation, with the joint bilateral kernel of Petschnigg et al. 2004.
    """
    height, width = ab.shape[-2:]
    rows, columns = (hints[0, 0] > 0).nonzero(as_tuple=True)
    if not len(rows):
        return ab
    reach = max(2.0, 0.05 * min(height, width))  # pixels; beyond it the generator knows better
    down, across = torch.meshgrid(
        torch.arange(height, device=ab.device), torch.arange(width, device=ab.device), indexing="ij")
    places = torch.stack([down / reach, across / reach, L[0, 0] / 0.1], dim=-1).to(ab)  # (h, w, 3)
    given = places[rows, columns]  # (N, 3)
    missing = (hints[0, 1:] - ab[0])[:, rows, columns].T  # (N, 2)
    # a little on the diagonal: two neighbours that contradict each other share, instead of exploding
    kernel = _kernel(given, given) + 0.01 * torch.eye(len(given), device=ab.device)
    weights = torch.linalg.solve(kernel, missing)
    correction = (_kernel(places.flatten(0, 1), given) @ weights).T
    # between two neighbours that contradict each other the kernel would overshoot what either of them asks for
    least, most = missing.amin(0).clamp(max=0)[:, None], missing.amax(0).clamp(min=0)[:, None]
    return ab + torch.minimum(torch.maximum(correction, least), most).unflatten(1, (height, width))


def nearness(L: Tensor, hints: Tensor) -> Tensor:
    """How much of what each hint changes shall count where: 1 at the hint, falling with every edge between.

    A generator takes a hint also as news about the light and the season, and changes the whole picture. Who clicks on a
    roof means the roof: so the change is faded by the shortest way from the hint, where a step costs little on
    an even surface and much across an edge of L.

    Args:
        L: (1, 1, h, w), scaled.
        hints: (1, 3, h, w): mask, then ab; at least one hint.

    Returns:
        (N, 1, h, w), 0 to 1, of the N hints row by row.

    Reference: geodesic distance as in Criminisi et al. 2008, GeoS; shortest paths by scikit-image.
    """
    from skimage.graph import MCP_Geometric

    size, starts = L.shape[-2:], (hints[0, 0] > 0).nonzero()
    scale = min(1.0, REACH_SIZE / min(size))
    small = [max(1, round(side * scale)) for side in size]
    light = F.interpolate((L + 1) / 2, small, mode="area") if scale < 1 else (L + 1) / 2
    light = F.avg_pool2d(light, 3, 1, 1, count_include_pad=False)[0, 0].cpu()
    down, across = torch.gradient(light)
    ways = MCP_Geometric((EVEN_COST + EDGE_COST * (torch.hypot(down, across) - TEXTURE).clamp(min=0)).double().numpy())
    starts = (starts.cpu() * torch.tensor(small) // torch.tensor(size)).tolist()
    distances = torch.stack([torch.from_numpy(ways.find_costs([start])[0].copy()) for start in starts])
    near = torch.exp(-0.5 * distances[:, None].square()).to(L)
    return F.interpolate(near, size, mode="bilinear") if scale < 1 else near


def surfaces(L: Tensor, hints: Tensor) -> list[tuple[Tensor, Tensor]]:
    """The hints in groups: those of one surface, which reach each other, and how far together.

    A generator that is told of a red roof and of blue water in one breath may paint an evening sky between them. So it is
    told of each surface alone.

    Args:
        L, hints: as in `nearness`.

    Returns:
        For each surface its hints, (1, 3, h, w), and where they count, (1, 1, h, w), 0 to 1.
    """
    from scipy.sparse.csgraph import connected_components

    near, places = nearness(L, hints), (hints[0, 0] > 0).nonzero(as_tuple=True)
    at_others = near[:, 0, places[0], places[1]]
    num, of_hint = connected_components((at_others > TOGETHER).cpu().numpy(), directed=False)
    found = []
    for surface in range(num):
        own = torch.from_numpy(of_hint == surface)
        marks = torch.zeros_like(hints)
        rows, columns = (place[own.to(place.device)] for place in places)
        marks[0, :, rows, columns] = hints[0, :, rows, columns]
        found.append((marks, near[own.to(near.device)].amax(0, keepdim=True)))
    return found


def _kernel(first: Tensor, second: Tensor) -> Tensor:
    return torch.exp(-0.5 * torch.cdist(first, second).square())


def plausible(probabilities: Tensor, lightness: float, num: int) -> list[Suggestion]:
    """The likeliest colours of a distribution (Q,) at an L of 0 to 100, at least 15 CIE units apart."""
    centres, left = bins.centres(), probabilities.clone()
    found: list[Suggestion] = []
    while len(found) < num and float(left.max()) > 0:
        near = (centres - centres[left.argmax()]).norm(dim=1) < SUGGESTIONS_APART
        share = float(left[near].sum())
        mean = (centres[near] * left[near, None]).sum(0) / share
        left[near] = 0  # every bin counts to one suggestion
        lab = torch.tensor([lightness, *mean.tolist()]).reshape(3, 1, 1)
        a, b = color.fit_gamut(lab)[1:].flatten().tolist()
        if all(math.hypot(a - other.a, b - other.b) >= SUGGESTIONS_APART for other in found):
            found.append(Suggestion(a, b, share))
    return found
