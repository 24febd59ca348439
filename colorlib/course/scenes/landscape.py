"""A batch of landscapes: what is where, drawn from the sky to the flowers in front."""

from __future__ import annotations

import torch
from torch import Tensor

from colorlib.course.scenes import objects
from colorlib.course.scenes.canvas import Canvas, Draws, noise_bank, windows
from colorlib.course.scenes.materials import (
    CARS,
    CLOUD,
    COAST,
    FAR_HILL,
    FAR_ROCK,
    FAR_SNOW,
    FLOWERS,
    GRASS,
    HILL,
    HOUSES,
    KINDS,
    LINE,
    ROAD,
    ROCK,
    SAND,
    SEA,
    SKY,
    SNOW,
    STAR,
    SUN,
    TREES,
    WINTER,
    palette,
)
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


def _wide(values: Tensor) -> Tensor:
    return values[:, None, None]


def choose(uniform: Tensor, probabilities: Tensor) -> Tensor:
    """Uniform numbers in [0, 1) -> indices with these probabilities."""
    bounds = probabilities.double().cumsum(0)[:-1].to(uniform)
    return torch.bucketize(uniform.contiguous(), bounds, right=True)


def draw(table: Tensor, size: int) -> tuple[Canvas, Tensor, dict[str, Tensor]]:
    """Draw one scene per row of a table of uniform numbers.

    Args:
        table: (n, NUM_DRAWS) in [0, 1).
        size: side of the pictures.

    Returns:
        The canvas; the ramp of every slot (n, NUM_SLOTS); and scene_class, season, time (n,) with, for each
        free kind, the drawn colours of its slots (n, slots of the kind).
    """
    draws, n, device = Draws(table), len(table), table.device
    bank = noise_bank(size, device)
    scene_class, season, sky = ((draws.one() * k).long().clamp(max=k - 1) for k in (5, 4, 9))
    time, winter = sky // 3, season == WINTER
    low_sun = time != 1
    limits = _of_class(_HORIZON, scene_class)
    horizon = limits[:, 0] + (limits[:, 1] - limits[:, 0]) * draws.one()
    sun_x = draws.one(0.08, 0.92)
    sun_y = torch.where(low_sun, horizon * draws.one(0.35, 0.75), horizon * draws.one(0.12, 0.4))
    light = (sun_x - 0.5).sign() * (0.45 + 1.2 * (sun_x - 0.5).abs())
    steps = (torch.arange(size, device=device) + 0.5) / size
    x, y = steps[None, None, :], steps[None, :, None]

    grain = windows(bank.fine, draws.take(2), size)
    wave = windows(bank.wave, draws.take(2), size)
    relief = windows(bank.relief, draws.take(2), size)

    def band(low: float, high: float) -> tuple[slice, Canvas, Tensor, Tensor]:
        """The rows that a layer can be seen in: most layers need half of the picture only."""
        rows = slice(int(low * size), min(size, int(high * size) + 1))
        return rows, canvas.band(rows), y[:, rows], grain[:, rows] - 0.5

    def cover(
        y: Tensor, top: Tensor
    ) -> Tensor:  # rows and height of an upper edge (n, S) -> share covered (n, rows, S)
        return ((y - top[:, None, :]) * size + 0.5).clamp_(0, 1)

    # Sky: the tone falls from the horizon to the zenith; near the sun the sky is as light as at the horizon.
    height = (y / _wide(horizon)).clamp_(max=1)
    distance = ((x - _wide(sun_x)) ** 2 + (y - _wide(sun_y)) ** 2).sqrt_()
    glow = (1 - distance / 0.42).clamp_(min=0)
    tone = height + (1 - height) * glow * glow * 0.8
    canvas = Canvas(
        SKY * 256 + (tone * 255).int(),
        torch.zeros(n, size, size, dtype=torch.int32, device=device),
        torch.ones(n, size, size, device=device),
    )
    rows, sky_part, _, rough = band(0, 0.58)
    height, distance, tone = height[:, rows], distance[:, rows], tone[:, rows]
    stars = windows(bank.star, draws.take(2), size)[:, rows] * (1 - height) * min(2.0, size / 48)
    sky_part.paint(stars.clamp_(max=1), STAR, tone)
    radius = torch.where(low_sun, 0.062, 0.05)
    sky_part.paint(((_wide(radius) - distance) * size + 0.5).clamp_(0, 1), SUN, 0.55 + 1.2 * rough)

    # Clouds: soft, lit from above, thinner towards zenith and horizon.
    cloud = windows(bank.cloud, draws.take(2), size)[:, rows]
    thick = (
        ((cloud - _wide(draws.one(0.40, 0.72))) * 5.0).clamp_(0, 1)
        * (height * 6 - 0.3).clamp_(0, 1)
        * ((1 - height) * 4).clamp_(0, 1)
    )
    lit = cloud - cloud.roll(-max(1, size // 32), 1)  # the upper side of a cloud is light
    sky_part.paint(thick * 0.9, CLOUD, 0.62 + 1.6 * lit - 0.35 * (thick - 0.6))

    # Mountains, far and near.
    rows, mountains, y_here, rough = band(0, 0.7)
    line = _wide(draws.one(0.25, 0.75))
    snow_line = torch.where(_wide(winter), 0.3, 0.36 + 0.3 * line)
    for peaks, rock, snow in ((_FAR_PEAKS, FAR_ROCK, FAR_SNOW), (_NEAR_PEAKS, ROCK, SNOW)):
        ridge = windows(bank.ridge, draws.take(1), size)
        tall = _of_class(peaks, scene_class) * draws.one(0.8, 1.15)
        rise = (0.15 + 0.95 * (ridge - 0.15)).clamp(min=0) * tall[:, None]
        top = horizon[:, None] + 0.04 - rise
        slope = (rise.roll(-1, 1) - rise.roll(1, 1)) * size * 0.5
        below = y_here - top[:, None, :]
        side = 0.55 * relief[:, rows] + (0.25 * slope)[:, None, :] * (1 - below * 6).clamp_(min=0)
        white = 0.14 * rough + 0.05 * relief[:, rows] - y_here > snow_line * _wide(tall) - _wide(horizon)
        mountains.paint(
            cover(y_here, top), rock + white.int() * (snow - rock), 0.52 - _wide(light) * side + 0.5 * rough
        )

    # Hills, sea, meadow.
    is_coast = scene_class == COAST
    rows, hills, y_here, rough = band(0.2, 0.75)
    for rise, depth, slot in ((0.05, 0.0, FAR_HILL), (0.03, 0.10, HILL)):
        soft = windows(bank.soft, draws.take(1), size)
        strength = draws.one(0.5, 1.6)[:, None]
        top = horizon[:, None] + rise - strength * depth * 0.3 - (soft - 0.3) * 0.16 * strength
        slope = (soft.roll(-1, 1) - soft.roll(1, 1)) * size
        tone = (
            0.60
            - (0.10 * light[:, None] * slope)[:, None, :]
            - 1.4 * (y_here - top[:, None, :])
            + 1.1 * rough
        )
        hills.paint(cover(y_here, top), slot, tone)
    rows, sea, y_here, rough = band(0.4, 1)
    ripple = wave[:, rows] - 0.5
    glitter = (1 - (x - _wide(sun_x)).abs() * 6).clamp_(min=0) * _wide(low_sun.float() * 0.35 + 0.15)
    tone = 0.62 - 1.1 * (y_here - _wide(horizon)) + (0.4 + 2.2 * glitter) * ripple + glitter * 0.7
    sea.paint(cover(y_here, torch.where(is_coast, horizon, 2.0)[:, None].expand(n, size)), SEA, tone)
    soft = windows(bank.soft, draws.take(1), size)
    ground = torch.where(is_coast, draws.one(0.68, 0.76), horizon + 0.055)
    ground_top = ground[:, None] + (soft - 0.5) * torch.where(is_coast, 0.3, 0.08)[:, None]
    shore = torch.where(is_coast[:, None], ground_top - 0.05 * (0.5 + soft), 2.0)
    sea.paint(cover(y_here, shore), SAND, 0.55 + 0.8 * rough + 0.4 * ripple)
    depth = ((y_here - _wide(ground)) / (1 - _wide(ground))).clamp_(0, 1)  # 0 far, 1 at our feet
    tone = 0.66 - 0.20 * depth + (0.8 - 0.8 * depth) * ripple + (0.35 + 0.6 * depth) * rough
    sea.paint(cover(y_here, ground_top), GRASS, tone)

    # Road: a band across the picture, slightly bent.
    rows, street, y_here, rough = band(0.65, 1)
    has_road = draws.one() < _of_class(_ROAD, scene_class)
    road_y = draws.one(0.80, 0.84)
    bend = draws.one(-0.03, 0.03)[:, None] * torch.cos(6.3 * (steps[None] - 0.5)) + draws.one(-0.02, 0.02)[
        :, None
    ] * (steps[None] - 0.5)
    middle = torch.where(has_road, road_y, 3.0)[:, None] + bend
    off = (y_here - middle[:, None, :]).abs()
    street.paint(
        ((0.07 - off) * size + 0.5).clamp_(0, 1), ROAD, 0.55 + 0.35 * rough - 6 * (off - 0.053).clamp_(min=0)
    )
    dash = torch.sin(steps * 50) > -0.2
    street.paint(((0.006 - off) * size + 0.5).clamp_(0, 1) * dash, LINE, 0.6 + 0 * off)

    # Objects, row by row towards us. Which places are taken follows from the class.
    chosen = {
        kind: choose(draws.take(count), palette(kind)[1].to(device))
        for kind, count in zip(KINDS, (HOUSES, CARS, FLOWERS))
    }
    firs = draws.take(TREES) < _of_class(_FIR, scene_class)[:, None]
    bare = winter.float()

    def row(places: int, taken: Tensor, spread: float):
        """Scenes, places and x of the objects in a row; a place is a cell, in which x moves by +-spread/2."""
        there = draws.take(places) < taken[:, None]
        at = (torch.arange(places, device=device) + 0.5) / places + (draws.take(places) - 0.5) * spread
        extra = [draws.take(places) for _ in range(4)]
        picks, place = there.nonzero(as_tuple=True)
        return picks, place, at[picks, place], [e[picks, place] for e in extra]

    def on_ground(picks: Tensor, at: Tensor) -> Tensor:
        return ground_top[picks, (at * size).long().clamp(0, size - 1)]

    picks, place, at, (a, b, c, d) = row(8, _of_class(_FAR_TREE, scene_class), 0.02)
    objects.trees(
        canvas,
        picks,
        place,
        at,
        on_ground(picks, at) + 0.01 + 0.03 * a,
        0.08 + 0.045 * b,
        firs[picks, place],
        bare[picks],
        light[picks],
        grain,
        1 / 8 - 0.02,
        0.16,
    )
    for places, often, low, high, first in ((4, _FAR_HOUSE, 0.06, 0.075, 2), (2, _HOUSE, 0.16, 0.20, 0)):
        picks, place, at, (a, b, c, d) = row(places, _of_class(often, scene_class), 0.18 / places)
        scale = low + (high - low) * b
        house_y = torch.maximum(on_ground(picks, at) + 0.3 * scale, horizon[picks] + 0.9 * scale) + 0.03 * a
        objects.houses(
            canvas,
            picks,
            place + first,
            at,
            house_y,
            scale,
            torch.where(c < 0.5, -1.0, 1.0),
            d,
            c % 0.5 < 0.4,
            light[picks],
            grain,
            0.82 / places,
            2.1 * high,
        )
    picks, place, at, (a, b, c, d) = row(4, _of_class(_TREE, scene_class), 0.02)
    objects.trees(
        canvas,
        picks,
        place + 8,
        at,
        (on_ground(picks, at) + 0.08 + 0.06 * a).clamp(max=0.75),
        0.18 + 0.07 * b,
        firs[picks, place + 8],
        bare[picks],
        light[picks],
        grain,
        1 / 4 - 0.02,
        0.32,
    )
    picks, place, at, (a, b, c, d) = row(2, _of_class(_CAR, scene_class) * has_road, 0.08)
    objects.cars(
        canvas,
        picks,
        place,
        at,
        middle[picks, (at * size).long()] + 0.025 + 0.03 * a,
        0.17 + 0.03 * b,
        torch.where(c < 0.5, -1.0, 1.0),
        d,
        0.42,
        0.19,
    )
    picks, place, at, (a, b, c, d) = row(2, _of_class(_NEAR_TREE, scene_class), 0.1)
    near_x = torch.where(place == 0, 0.02, 0.98) + 0.10 * (a - 0.5)
    objects.trees(
        canvas,
        picks,
        place + 12,
        near_x,
        0.90 + 0.06 * b,
        0.55 + 0.2 * c,
        firs[picks, place + 12],
        bare[picks],
        light[picks],
        grain,
        0.5,
        0.85,
    )
    start = torch.where(has_road, 0.93, ground + 0.14)
    flowering = _of_class(_FLOWER, scene_class) * torch.where(winter, 0.5, 1.0)
    for line_number in range(4):
        crowded = (
            has_road if line_number in (1, 2) else torch.zeros_like(has_road)
        )  # little room before a road
        picks, place, at, (a, b, c, d) = row(6, flowering * torch.where(crowded, 0.3, 1.0), 0.03)
        near = (line_number + 0.6 * (a - 0.5)) / 3
        foot = start[picks] + (1.06 - start[picks]) * near
        objects.flowers(
            canvas,
            picks,
            place + 6 * line_number,
            at,
            foot,
            (0.016 + 0.072 * (foot - 0.5)) * (0.85 + 0.3 * b),
            6.28 * c,
            torch.where(d < 0.5, 5.0, 6.0),
            light[picks],
            1 / 6 - 0.03,
            0.2,
        )

    variants = (draws.take(6)[:, :5] * 12).long()
    variants[:, 4] //= 6                        # there are few farm tracks
    walls, leaves = (draws.take(HOUSES) * 4).long(), (draws.take(TREES) * 12).long()
    ramps = slot_ramps(variants, walls, leaves, firs, sky, season, chosen)
    return canvas, ramps, dict(scene_class=scene_class, season=season, time=time, **chosen)
