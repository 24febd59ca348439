"""A batch of landscapes: what is where, drawn from the sky to the flowers in front."""

import torch
from torch import Tensor

from colorlib.course.scenes.canvas import Canvas, Draws, noise_bank, wide, windows
from colorlib.course.scenes.materials import (CARS, CLOUD, COAST, FAR_HILL, FAR_ROCK, FAR_SNOW, FLOWERS, GRASS, HILL,
                                              HOUSES, KINDS, LINE, ROAD, ROCK, SAND, SEA, SKY, SNOW, STAR, SUN, TREES,
                                              WINTER)
from colorlib.course.scenes.objects import Row, cars, flowers, houses, trees
from colorlib.course.scenes.optimum import PALETTES
from colorlib.course.scenes.ramps import slot_ramps

# By class: coast, mountains, meadow, village, forest.
_HORIZON = ((0.46, 0.54), (0.50, 0.56), (0.42, 0.52), (0.44, 0.50), (0.40, 0.48))
_FAR_PEAKS = (0.10, 0.46, 0.14, 0.20, 0.16)  # height of the far mountains
_NEAR_PEAKS = (0.0, 0.34, 0.0, 0.0, 0.0)
_ROAD = (0.6, 0.4, 0.5, 1.0, 0.5)  # how often there is a road
_CAR = (0.75, 0.75, 0.75, 0.85, 0.75)  # on a road, in each of two places
_HOUSE = (0.5, 0.4, 0.35, 0.95, 0.25)  # in each of two places
_FAR_HOUSE = (0.2, 0.1, 0.1, 0.5, 0.0)  # in each of four places
_FAR_TREE = (0.3, 0.5, 0.6, 0.6, 0.95)  # in each of eight places
_TREE = (0.2, 0.4, 0.4, 0.4, 0.85)  # in each of four places
_NEAR_TREE = (0.15, 0.2, 0.25, 0.15, 0.6)  # at each side
_FLOWER = (0.45, 0.55, 0.95, 0.45, 0.5)  # in each of 24 places
_FIR = (0.1, 0.85, 0.3, 0.3, 0.5)  # share of conifers


def _of_class(values, scene_class: Tensor) -> Tensor:
    return torch.tensor(values, device=scene_class.device)[scene_class]


def choose(uniform: Tensor, probabilities: Tensor) -> Tensor:
    """Uniform numbers in [0, 1) -> indices with these probabilities."""
    bounds = probabilities.double().cumsum(0)[:-1].to(uniform)
    return torch.bucketize(uniform.contiguous(), bounds, right=True)


def draw(table: Tensor, size: int) -> tuple[Canvas, Tensor, dict[str, Tensor]]:
    """Draw one scene of `size` pixels a side per row of a table (n, NUM_DRAWS) of uniform numbers in [0, 1). Returns
    the canvas; the ramp of every slot (n, NUM_SLOTS); and the facts of `Scenes`, by name."""
    painter = _Painter(table, size)
    painter.paint_sky()
    painter.paint_mountains()
    painter.paint_land()
    painter.paint_road()
    return painter.canvas, painter.paint_things(), painter.facts


class _Painter:
    """A batch of scenes in the making. Every step takes its numbers from `draws`, so the order of steps is fixed."""

    def __init__(self, table: Tensor, size: int) -> None:
        self.draws, self.n, self.size, self.device = Draws(table), len(table), size, table.device
        draws = self.draws
        self.bank = noise_bank(size, self.device)
        self.scene_class, self.season, self.sky = ((draws.one() * k).long().clamp(max=k - 1) for k in (5, 4, 9))
        self.winter, self.low_sun = self.season == WINTER, self.sky // 3 != 1
        self.facts = dict(scene_class=self.scene_class, season=self.season, time=self.sky // 3)
        limits = _of_class(_HORIZON, self.scene_class)
        self.horizon = limits[:, 0] + (limits[:, 1] - limits[:, 0]) * draws.one()
        self.sun_x = draws.one(0.08, 0.92)
        low, high = self.horizon * draws.one(0.35, 0.75), self.horizon * draws.one(0.12, 0.4)
        self.sun_y = torch.where(self.low_sun, low, high)
        self.light = (self.sun_x - 0.5).sign() * (0.45 + 1.2 * (self.sun_x - 0.5).abs())
        self.steps = (torch.arange(size, device=self.device) + 0.5) / size
        self.x, self.y = self.steps[None, None, :], self.steps[None, :, None]
        self.grain, self.wave, self.relief = (
            windows(noise, draws.take(2), size) for noise in (self.bank.fine, self.bank.wave, self.bank.relief))

    def band(self, low: float, high: float) -> tuple[slice, Canvas, Tensor, Tensor]:
        """The rows that a layer can be seen in: most layers need half of the picture only."""
        rows = slice(int(low * self.size), min(self.size, int(high * self.size) + 1))
        return rows, self.canvas.band(rows), self.y[:, rows], self.grain[:, rows] - 0.5

    def inside(self, distance: Tensor) -> Tensor:
        """Signed distance to an outline, in picture widths -> share of the pixel that is covered."""
        return (distance * self.size + 0.5).clamp_(0, 1)

    def below(self, y: Tensor, top: Tensor) -> Tensor:
        """Rows and the height of an upper edge (n, S) -> share covered (n, rows, S)."""
        return self.inside(y - top[:, None, :])

    def paint_sky(self) -> None:
        """The tone falls from the horizon to the zenith; near the sun the sky is as light as at the horizon."""
        draws, size = self.draws, self.size
        height = (self.y / wide(self.horizon)).clamp_(max=1)
        distance = ((self.x - wide(self.sun_x)) ** 2 + (self.y - wide(self.sun_y)) ** 2).sqrt_()
        glow = (1 - distance / 0.42).clamp_(min=0)
        tone = height + (1 - height) * glow * glow * 0.8
        shape = (self.n, size, size)
        self.canvas = Canvas(SKY * 256 + (tone * 255).int(), torch.zeros(shape, dtype=torch.int32, device=self.device),
                             torch.ones(shape, device=self.device))
        rows, part, _, rough = self.band(0, 0.58)
        height, distance, tone = height[:, rows], distance[:, rows], tone[:, rows]
        stars = windows(self.bank.star, draws.take(2), size)[:, rows] * (1 - height) * min(2.0, size / 48)
        part.paint(stars.clamp_(max=1), STAR, tone)
        radius = torch.where(self.low_sun, 0.062, 0.05)
        part.paint(self.inside(wide(radius) - distance), SUN, 0.55 + 1.2 * rough)
        # clouds: soft, lit from above, thinner towards zenith and horizon
        cloud = windows(self.bank.cloud, draws.take(2), size)[:, rows]
        thick = (((cloud - wide(draws.one(0.40, 0.72))) * 5.0).clamp_(0, 1) * (height * 6 - 0.3).clamp_(0, 1)
                 * ((1 - height) * 4).clamp_(0, 1))
        lit = cloud - cloud.roll(-max(1, size // 32), 1)  # the upper side of a cloud is light
        part.paint(thick * 0.9, CLOUD, 0.62 + 1.6 * lit - 0.35 * (thick - 0.6))

    def paint_mountains(self) -> None:
        """Far ones, then near ones."""
        draws = self.draws
        rows, part, y, rough = self.band(0, 0.7)
        line, relief = wide(draws.one(0.25, 0.75)), self.relief[:, rows]
        snow_line = torch.where(wide(self.winter), 0.3, 0.36 + 0.3 * line)
        for peaks, rock, snow in ((_FAR_PEAKS, FAR_ROCK, FAR_SNOW), (_NEAR_PEAKS, ROCK, SNOW)):
            ridge = windows(self.bank.ridge, draws.take(1), self.size)
            tall = _of_class(peaks, self.scene_class) * draws.one(0.8, 1.15)
            rise = (0.15 + 0.95 * (ridge - 0.15)).clamp(min=0) * tall[:, None]
            top = self.horizon[:, None] + 0.04 - rise
            slope = (rise.roll(-1, 1) - rise.roll(1, 1)) * self.size * 0.5
            below = y - top[:, None, :]
            side = 0.55 * relief + (0.25 * slope)[:, None, :] * (1 - below * 6).clamp_(min=0)
            white = 0.14 * rough + 0.05 * relief - y > snow_line * wide(tall) - wide(self.horizon)
            tone = 0.52 - wide(self.light) * side + 0.5 * rough
            part.paint(self.below(y, top), rock + white.int() * (snow - rock), tone)

    def paint_land(self) -> None:
        """Hills, sea, meadow."""
        draws, size, horizon = self.draws, self.size, self.horizon
        is_coast = self.scene_class == COAST
        rows, hills, y, rough = self.band(0.2, 0.75)
        for rise, depth, slot in ((0.05, 0.0, FAR_HILL), (0.03, 0.10, HILL)):
            soft = windows(self.bank.soft, draws.take(1), size)
            strength = draws.one(0.5, 1.6)[:, None]
            top = horizon[:, None] + rise - strength * depth * 0.3 - (soft - 0.3) * 0.16 * strength
            slope = (soft.roll(-1, 1) - soft.roll(1, 1)) * size
            tone = (0.60 - (0.10 * self.light[:, None] * slope)[:, None, :] - 1.4 * (y - top[:, None, :]) + 1.1 * rough)
            hills.paint(self.below(y, top), slot, tone)
        rows, sea, y, rough = self.band(0.4, 1)
        ripple = self.wave[:, rows] - 0.5
        glitter = (1 - (self.x - wide(self.sun_x)).abs() * 6).clamp_(min=0) * wide(self.low_sun.float() * 0.35 + 0.15)
        tone = 0.62 - 1.1 * (y - wide(horizon)) + (0.4 + 2.2 * glitter) * ripple + glitter * 0.7
        sea.paint(self.below(y, torch.where(is_coast, horizon, 2.0)[:, None].expand(self.n, size)), SEA, tone)
        soft = windows(self.bank.soft, draws.take(1), size)
        self.ground = ground = torch.where(is_coast, draws.one(0.68, 0.76), horizon + 0.055)
        self.ground_top = ground[:, None] + (soft - 0.5) * torch.where(is_coast, 0.3, 0.08)[:, None]
        shore = torch.where(is_coast[:, None], self.ground_top - 0.05 * (0.5 + soft), 2.0)
        sea.paint(self.below(y, shore), SAND, 0.55 + 0.8 * rough + 0.4 * ripple)
        depth = ((y - wide(ground)) / (1 - wide(ground))).clamp_(0, 1)  # 0 far, 1 at our feet
        tone = 0.66 - 0.20 * depth + (0.8 - 0.8 * depth) * ripple + (0.35 + 0.6 * depth) * rough
        sea.paint(self.below(y, self.ground_top), GRASS, tone)

    def paint_road(self) -> None:
        """A band across the picture, slightly bent."""
        draws, steps = self.draws, self.steps
        _, street, y, rough = self.band(0.65, 1)
        self.has_road = draws.one() < _of_class(_ROAD, self.scene_class)
        road_y = draws.one(0.80, 0.84)
        bend = (draws.one(-0.03, 0.03)[:, None] * torch.cos(6.3 * (steps[None] - 0.5))
                + draws.one(-0.02, 0.02)[:, None] * (steps[None] - 0.5))
        self.middle = torch.where(self.has_road, road_y, 3.0)[:, None] + bend
        off = (y - self.middle[:, None, :]).abs()
        street.paint(self.inside(0.07 - off), ROAD, 0.55 + 0.35 * rough - 6 * (off - 0.053).clamp_(min=0))
        dash = torch.sin(steps * 50) > -0.2
        street.paint(self.inside(0.006 - off) * dash, LINE, 0.6 + 0 * off)

    def row(self, places: int, taken: Tensor, spread: float) -> tuple[Tensor, Tensor, Tensor, list[Tensor]]:
        """A row has `places` cells, in which x moves by +-spread/2; `taken` (n,) is how often a cell holds a thing.
        Returns per thing: its scene, its cell, its x, and four uniform numbers."""
        there = self.draws.take(places) < taken[:, None]
        at = (torch.arange(places, device=self.device) + 0.5) / places + (self.draws.take(places) - 0.5) * spread
        extra = [self.draws.take(places) for _ in range(4)]
        picks, place = there.nonzero(as_tuple=True)
        return picks, place, at[picks, place], [e[picks, place] for e in extra]

    def on_ground(self, picks: Tensor, at: Tensor) -> Tensor:
        return self.ground_top[picks, (at * self.size).long().clamp(0, self.size - 1)]

    def paint_things(self) -> Tensor:
        """Things in rows towards us; the class sets their number. Returns the ramp of every slot (n, NUM_SLOTS)."""
        draws, canvas, kind, light, grain = self.draws, self.canvas, self.scene_class, self.light, self.grain
        self.facts |= {name: choose(draws.take(count), PALETTES[name].probabilities.to(self.device))
                       for name, count in zip(KINDS, (HOUSES, CARS, FLOWERS))}
        firs = draws.take(TREES) < _of_class(_FIR, kind)[:, None]
        bare = self.winter.float()

        def plant(picks: Tensor, number: Tensor, *place: Tensor | float) -> None:
            trees(Row(canvas, picks, number, *place), firs[picks, number], bare[picks], light[picks], grain)

        picks, place, at, (a, b, c, d) = self.row(8, _of_class(_FAR_TREE, kind), 0.02)
        plant(picks, place, at, self.on_ground(picks, at) + 0.01 + 0.03 * a, 0.08 + 0.045 * b, 1 / 8 - 0.02, 0.16)
        for places, often, low, high, first in ((4, _FAR_HOUSE, 0.06, 0.075, 2), (2, _HOUSE, 0.16, 0.20, 0)):
            picks, place, at, (a, b, c, d) = self.row(places, _of_class(often, kind), 0.18 / places)
            scale = low + (high - low) * b
            foot = torch.maximum(self.on_ground(picks, at) + 0.3 * scale, self.horizon[picks] + 0.9 * scale) + 0.03 * a
            houses(Row(canvas, picks, place + first, at, foot, scale, 0.82 / places, 2.1 * high),
                   torch.where(c < 0.5, -1.0, 1.0), d, c % 0.5 < 0.4, light[picks], grain)
        picks, place, at, (a, b, c, d) = self.row(4, _of_class(_TREE, kind), 0.02)
        foot = (self.on_ground(picks, at) + 0.08 + 0.06 * a).clamp(max=0.75)
        plant(picks, place + 8, at, foot, 0.18 + 0.07 * b, 1 / 4 - 0.02, 0.32)
        picks, place, at, (a, b, c, d) = self.row(2, _of_class(_CAR, kind) * self.has_road, 0.08)
        foot = self.middle[picks, (at * self.size).long()] + 0.025 + 0.03 * a
        cars(Row(canvas, picks, place, at, foot, 0.17 + 0.03 * b, 0.42, 0.19), torch.where(c < 0.5, -1.0, 1.0), d)
        picks, place, at, (a, b, c, d) = self.row(2, _of_class(_NEAR_TREE, kind), 0.1)
        near_x = torch.where(place == 0, 0.02, 0.98) + 0.10 * (a - 0.5)
        plant(picks, place + 12, near_x, 0.90 + 0.06 * b, 0.55 + 0.2 * c, 0.5, 0.85)
        start = torch.where(self.has_road, 0.93, self.ground + 0.14)
        flowering = _of_class(_FLOWER, kind) * torch.where(self.winter, 0.5, 1.0)
        for line in range(4):
            crowded = self.has_road if line in (1, 2) else torch.zeros_like(self.has_road)  # little room before a road
            picks, place, at, (a, b, c, d) = self.row(6, flowering * torch.where(crowded, 0.3, 1.0), 0.03)
            near = (line + 0.6 * (a - 0.5)) / 3
            foot = start[picks] + (1.06 - start[picks]) * near
            scale = (0.016 + 0.072 * (foot - 0.5)) * (0.85 + 0.3 * b)
            flowers(Row(canvas, picks, place + 6 * line, at, foot, scale, 1 / 6 - 0.03, 0.2),
                    6.28 * c, torch.where(d < 0.5, 5.0, 6.0), light[picks])

        variants = (draws.take(6)[:, :5] * 12).long()
        variants[:, 4] //= 6  # there are few farm tracks
        walls, leaves = (draws.take(HOUSES) * 4).long(), (draws.take(TREES) * 12).long()
        return slot_ramps(variants, walls, leaves, firs, self.sky, self.season, self.facts)
