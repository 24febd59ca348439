"""Colours of single points: given by a person, spread over their surfaces, suggested by the network's distribution."""

import math
from collections.abc import Callable, Sequence
from itertools import product
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from colorlib import color
from colorlib.color import bins
from colorlib.generators import Prediction

SUGGESTIONS_APART = 15.0  # CIE units of ab: nearer ones look alike
SHADES_APART = 30.0  # 8-bit sRGB: nearer ones look alike on a screen, such as five shades of black
EVEN_COST, EDGE_COST, TEXTURE = 0.01, 10.0, 0.01  # of `nearness`, per small pixel; gradients of L from 0 to 1
ALONE = 3.0  # how much more such an edge costs a single hint, which means its thing; many hints describe the picture
ALIKE, UNLIKE = 0.05, 0.25  # Hellinger distances of predicted colours: up to the first one thing, from the second on two
CREASE, UNLIKE_COST = 0.1, 0.15  # share of EDGE_COST that is left inside one thing; cost of a pixel of another thing
RIM, RIM_LIGHT = 2, 0.05  # how far nearness is taken to an edge, in small pixels, and to which lightness, of 1
REACH_SIZE = 96  # short side at which it is computed at most: a hint reaches as far at every larger render size
TOGETHER = 0.1  # of `surfaces`: hints that count so much at each other's point lie on one surface
SAME_COLOR = 5 / color.AB_SCALE  # of `surfaces`: hints of nearly one colour are given to the network together
OWN = 0.7  # how much of a surface's colour is the hints' own; the rest is the network's answer to them
REACHES = (0.1, 10.0)  # smallest and largest reach of a hint


class Hint(NamedTuple):
    """The colour of one point, and how far it spreads."""

    x: float  # to the right, in pixels of the photograph
    y: float  # down
    a: float  # CIE units
    b: float
    reach: float = 1.0  # factor of the distance over which it spreads; 2 is twice as far
    erase: bool = False  # keep the network's own colours here, whatever other hints say; a and b do not matter


class Suggestion(NamedTuple):
    """A plausible colour of one point: a, b in CIE units, and its share of the predicted distribution, 0 to 1."""

    a: float
    b: float
    probability: float


class Marks(NamedTuple):
    """Hints on a small picture; everything in the same order."""

    hints: tuple[Hint, ...]
    places: Tensor  # (N, 2), rows and columns
    ab: Tensor  # (N, 2), scaled
    erases: Tensor  # (N,), bool
    size: tuple[int, int]

    def drawn(self, chosen: Tensor | None = None) -> Tensor:
        """What a generator takes, (1, 3, h, w): mask, then ab / 110, one small pixel a hint; no erasers. With `chosen`,
        (N,) bool, these hints alone."""
        picture = torch.zeros(1, 3, *self.size)
        wanted = ~self.erases if chosen is None else chosen & ~self.erases
        rows, columns = self.places[wanted].unbind(1)
        picture[0, 0, rows, columns] = 1.0
        picture[0, 1:, rows, columns] = self.ab[wanted].T
        return picture


def place_hints(hints: Sequence[Hint], full: tuple[int, int], size: tuple[int, int]) -> Marks:
    """Hints of a photograph of height and width `full` on its small picture of `size`; of two in one small pixel the
    later one counts. ValueError: a place outside, an a or b outside -128 to 127, or a reach outside 0.1 to 10."""
    found: dict[tuple[int, int], Hint] = {}
    for hint in hints:
        if not (0 <= hint.x < full[1] and 0 <= hint.y < full[0]):
            raise ValueError(f"a hint at x={hint.x}, y={hint.y} lies outside of the photograph of {full[1]} x {full[0]} pixels")
        if not (-128 <= hint.a <= 127 and -128 <= hint.b <= 127):
            raise ValueError(f"a hint has a={hint.a}, b={hint.b}; both are CIE units from -128 to 127")
        if not REACHES[0] <= hint.reach <= REACHES[1]:
            raise ValueError(f"a hint has reach={hint.reach}; it is a number from {REACHES[0]} to {REACHES[1]} (1 is the default)")
        place = int(hint.y * size[0] / full[0]), int(hint.x * size[1] / full[1])
        found.pop(place, None)
        found[place] = hint
    kept = tuple(found.values())
    ab = torch.tensor([[hint.a, hint.b] for hint in kept]).reshape(-1, 2) / color.AB_SCALE
    erases = torch.tensor([hint.erase for hint in kept], dtype=torch.bool)
    return Marks(kept, torch.tensor(list(found), dtype=torch.long).reshape(-1, 2), ab, erases, size)


def nearness(L: Tensor, marks: Marks, likely: Tensor | None = None) -> Tensor:
    """How much each of N hints counts where, (N, 1, h, w): 1 at the hint, less with every edge on the way, towards 0.

    The generator also reads a hint as evidence about light and season and shifts the whole picture. A user who clicks a
    roof means only the roof, so the change fades with the geodesic distance from the hint: a step costs little on
    an even surface and much across an edge of L (1, 1, h, w), scaled. The folds of a coat are edges, too. Where the
    network predicts the same colours as at the hint, a second distance therefore counts edges little, and the nearer
    one of both holds. A hint's reach divides the distances. The last pixels before an edge count as those beside them.

    `likely`: (1, Q, h', w'), the probabilities of Q colours without hints; None for a network without a distribution.

    Reference: geodesic distance as in Criminisi et al. 2008, GeoS; shortest paths by scikit-image.
    """
    from skimage.graph import MCP_Geometric

    size = L.shape[-2:]
    scale = min(1.0, REACH_SIZE / min(size))
    small = [max(1, round(side * scale)) for side in size]
    sharp = (F.interpolate((L + 1) / 2, small, mode="area") if scale < 1 else (L + 1) / 2).cpu()
    light = F.avg_pool2d(sharp, 3, 1, 1, count_include_pad=False)[0, 0]
    # a picture one pixel wide or high has no gradient along that side
    slopes = [torch.gradient(light, dim=dim)[0] if light.shape[dim] > 1 else torch.zeros_like(light) for dim in (0, 1)]
    edges = EDGE_COST * (torch.hypot(*slopes) - TEXTURE).clamp(min=0)
    starts = marks.places * torch.tensor(small) // torch.tensor(size)

    def distances(*costs: Tensor) -> Tensor:  # (N, 1, h, w), by one cost for all hints or one for each
        ways = [MCP_Geometric((EVEN_COST + cost).double().numpy()) for cost in costs] * (len(starts) // len(costs))
        return torch.stack([torch.from_numpy(way.find_costs([start])[0] / hint.reach)
                            for way, start, hint in zip(ways, starts.tolist(), marks.hints)])[:, None].to(sharp)

    near = torch.exp(-0.5 * distances(edges * (1 + ALONE / len(starts))).square())
    if likely is not None:
        other = ((_unlike(likely, starts, small) - ALIKE) / (UNLIKE - ALIKE)).clamp(0, 1)
        within = distances(*(edges * torch.lerp(torch.tensor(CREASE), torch.tensor(1.0), other) + UNLIKE_COST * other))
        near = torch.maximum(near, torch.exp(-0.5 * within**4))  # the fourth power: even inside, and a short fading
    # an edge is some pixels wide: its cost would leave a rim of the old colour on this side, in a sky around each tree
    around, beside = (F.pad(x, [RIM] * 4, mode="replicate") for x in (near, sharp))
    for down, across in product(range(2 * RIM + 1), repeat=2):
        there = ..., slice(down, down + small[0]), slice(across, across + small[1])
        near = torch.maximum(near, around[there] * torch.exp(-0.5 * ((beside[there] - sharp) / RIM_LIGHT).square()))
    return F.interpolate(near.to(L), size, mode="bilinear")  # at its own size it stays as it is


def _unlike(likely: Tensor, points: Tensor, size: Sequence[int]) -> Tensor:
    """Hellinger distance of the predicted colours of every pixel to those of each point, (N, *size), 0 to 1, on the CPU."""
    roots = likely.float().sqrt().cpu()
    grid = (2 * points.flip(1) + 1) / torch.tensor(size).flip(0) - 1  # x, y from -1 to 1, as grid_sample takes them
    here = F.grid_sample(roots, grid[None, :, None].float(), padding_mode="border", align_corners=False)[0, :, :, 0]
    overlap = torch.einsum("qn,qhw->nhw", F.normalize(here, dim=0), roots[0])
    return F.interpolate((1 - overlap).clamp(min=0).sqrt()[None], list(size), mode="bilinear")[0]


def surfaces(near: Tensor, marks: Marks) -> list[Tensor]:
    """The hints in groups, each (N,) bool: those of one surface or one colour, without erasers; `near`: `nearness`.

    Each group goes to the network alone: given hints for a red roof and blue water together, the generator may invent
    an evening sky between them.
    """
    from scipy.sparse.csgraph import connected_components

    rows, columns = marks.places.unbind(1)
    joined = (near[:, 0, rows, columns].cpu() > TOGETHER) | (torch.cdist(marks.ab, marks.ab) < SAME_COLOR)
    joined &= ~marks.erases & ~marks.erases[:, None]
    num, of_hint = connected_components(joined.numpy(), directed=False)
    groups = [torch.from_numpy(of_hint == group) for group in range(num)]
    return [group for group in groups if not marks.erases[group].any()]


class Surface(NamedTuple):
    """What hints make of their surface."""

    answer: Prediction  # the generator's, given these hints alone
    own: Tensor  # (1, 2, h, w), the hints' own colours, scaled; between several hints by nearness
    near: Tensor  # (1, 1, h, w), how much the surface counts where, 0 to 1


def weights_of(surfaces: Sequence[Surface]) -> list[Tensor]:
    """How much each surface counts where, (1, 1, h, w); surfaces that meet share a place, so the sum is at most 1."""
    total = sum(surface.near for surface in surfaces)
    return [surface.near / total.clamp(min=1) for surface in surfaces]


def spread(plain: Tensor, surfaces: Sequence[Surface]) -> tuple[Tensor, Tensor, Tensor]:
    """The generator's colours and the hints' own ones, apart, so that saturation changes the former alone: of its ab
    without hints, `plain` (1, 2, h, w), ab with the answers to hints, own (1, 2, h, w), own's share (1, 1, h, w)."""
    weights = weights_of(surfaces)
    whole = sum(weights)
    own = sum(weight * surface.own for weight, surface in zip(weights, surfaces)) / whole.clamp(min=1e-6)
    answers = sum(weight * surface.answer.ab.float() for weight, surface in zip(weights, surfaces))
    share = OWN * whole
    return (plain * (1 - whole) + (1 - OWN) * answers) / (1 - share), own, share


def follow(L: Tensor, marks: Marks, answer: Callable[[Tensor], Prediction], likely: Tensor | None = None) -> list[Surface]:
    """The surfaces of all hints on L (1, 1, h, w), scaled; `answer(hints)` is the generator, hints (1, 3, h, w).
    `likely`: see `nearness`."""
    if not marks.hints:
        return []
    near = nearness(L, marks, likely)
    erasers = near[marks.erases.to(near.device)]
    found = []
    for group in surfaces(near, marks):
        own = near[group.to(near.device)]  # (n, 1, h, w)
        share = own.square() + 1e-12
        colors = (share * marks.ab[group].to(L)[:, :, None, None]).sum(0, keepdim=True) / share.sum(0, keepdim=True)
        weight = own.amax(0, keepdim=True)
        if len(erasers):
            erased = erasers.amax(0, keepdim=True)  # 1 at an eraser and 0 at a hint, in proportion between them
            weight = weight * (1 - erased * (1 - weight) / (2 - erased - weight + 1e-6))
        found.append(Surface(answer(marks.drawn(group).to(L)), colors, weight))
    return found


def hold_hints(ab: Tensor, L: Tensor, hints: Tensor) -> Tensor:
    """Correct ab (1, 2, h, w), scaled, so that each hint of (1, 3, h, w), mask and ab, holds at its point.

    A generator follows hints roughly. What is missing at the points is spread over their neighbourhoods of like L: the
    smoothest correction, by a kernel of distance and of difference in L (1, 1, h, w), that is right at all points.

    Reference: kernel (radial basis function) interpolation, with the joint bilateral kernel of Petschnigg et al. 2004.
    """
    height, width = ab.shape[-2:]
    rows, columns = (hints[0, 0] > 0).nonzero(as_tuple=True)
    if not len(rows):
        return ab
    reach = max(2.0, 0.05 * min(height, width))  # pixels; beyond it the generator knows better
    down, across = torch.meshgrid(*(torch.arange(side, device=ab.device) for side in (height, width)), indexing="ij")
    places = torch.stack([down / reach, across / reach, L[0, 0] / 0.1], dim=-1).to(ab)  # (h, w, 3)
    given = places[rows, columns]  # (N, 3)
    missing = (hints[0, 1:] - ab[0])[:, rows, columns].T  # (N, 2)
    # a little on the diagonal: two neighbours that contradict each other share, instead of exploding
    among, everywhere = (torch.cdist(these, given).square().mul(-0.5).exp() for these in (given, places.flatten(0, 1)))
    weights = torch.linalg.solve(among + 0.01 * torch.eye(len(given), device=ab.device), missing)
    correction = (everywhere @ weights).T
    # between two neighbours that contradict each other the kernel would overshoot what either of them asks for
    least, most = missing.amin(0).clamp(max=0)[:, None], missing.amax(0).clamp(min=0)[:, None]
    return ab + torch.minimum(torch.maximum(correction, least), most).unflatten(1, (height, width))


def plausible(probabilities: Tensor, lightness: float, num: int) -> list[Suggestion]:
    """The likeliest colours of a distribution (Q,) at an L of 0 to 100, no two of them alike on a screen."""
    centres, left = bins.centres(), probabilities.clone()
    found: list[tuple[Suggestion, Tensor]] = []
    while len(found) < num and float(left.max()) > 0:
        near = (centres - centres[left.argmax()]).norm(dim=1) < SUGGESTIONS_APART
        share = float(left[near].sum())
        mean = (centres[near] * left[near, None]).sum(0) / share
        left[near] = 0  # every bin counts to one suggestion
        lab = color.fit_gamut(torch.tensor([lightness, *mean.tolist()]).reshape(3, 1, 1))
        a, b = lab[1:].flatten().tolist()
        rgb = color.lab_to_rgb8(lab).flatten().float()
        if all(math.hypot(a - other.a, b - other.b) >= SUGGESTIONS_APART and (rgb - shade).norm() >= SHADES_APART
               for other, shade in found):
            found.append((Suggestion(a, b, share), rgb))
    return [suggestion for suggestion, _ in found]
