"""Houses, trees, cars and flowers. Each call draws one row of them, at most one per cell, so that none overlap."""

from dataclasses import dataclass

import torch
from torch import Tensor

from colorlib.course.scenes.canvas import Canvas, Patch, least, wide
from colorlib.course.scenes.materials import (CAR, CHIMNEY, DOOR, FLOWER, GLASS, HEART, LAMP, LEAF, ROOF, STEM, TRUNK,
                                              WALL, WHEEL, WINDOW_DARK, WINDOW_LIT)

CRISP = 2.0  # soft edges of half a pixel: mixed pixels have no free colour, and small things would lose too many


@dataclass(frozen=True)
class Row:
    """A row of things: per thing its scene (picks), its number among its kind, its foot x, y and its size (scale), each
    (k,); the width of a cell and the height of the window that a thing is drawn in, in pictures."""

    canvas: Canvas
    picks: Tensor
    number: Tensor
    x: Tensor
    y: Tensor
    scale: Tensor
    cell: float
    height: float

    @property
    def slot(self) -> Tensor:
        return wide(self.number).int()

    def patch(self, below: float = 0.0, flip: Tensor | None = None) -> tuple[Patch, Tensor, Tensor, Tensor]:
        """The windows, which reach `below` under the feet; the scale; a pixel's place u, v from the foot, in scales."""
        patch = Patch(self.canvas, self.picks, self.x, self.y + below * self.scale, self.cell, self.height)
        s = wide(self.scale)
        u, v = (patch.x - wide(self.x)) / s, (wide(self.y) - patch.y) / s
        return patch, s, u if flip is None else u * wide(flip), v


def _contact_shadow(patch: Patch, u: Tensor, v: Tensor, light: Tensor, width: float, strength: float) -> None:
    """A soft dark ellipse on the ground, drawn away from the light."""
    round_ = ((u + 0.35 * width * light) / (1.25 * width)) ** 2 + (v / (0.16 * width + 0.04)) ** 2
    patch.shade((1 - round_).clamp_(0, 1).sqrt_() * strength)


def trees(row: Row, fir: Tensor, bare: Tensor, light: Tensor, grain: Tensor) -> None:
    """Trees on the ground; scale is their height. Per tree (k,): conifer?, bare (winter)?, light. grain: (n, S, S)."""
    patch, s, u, v = row.patch(0.11)
    light = wide(light)
    noise = patch.look(grain)
    _contact_shadow(patch, u, v, light, 0.34, 0.5)
    trunk = least(0.045 - u.abs() + 0.02 * (0.2 - v), v + 0.01, 0.5 - v)
    patch.paint(patch.cover(trunk * s), TRUNK, 0.4 + 4 * light * u)
    # leaves: three balls, or the tiers of a conifer
    rough = (noise - 0.5) * 0.3
    ball = torch.maximum(0.30 - (u * u + (v - 0.66) ** 2).sqrt(), torch.maximum(
        0.23 - ((u + 0.19) ** 2 + (v - 0.50) ** 2).sqrt(), 0.24 - ((u - 0.18) ** 2 + (v - 0.53) ** 2).sqrt()))
    bareness = wide(bare)
    ball = ball + rough * (0.6 + 0.9 * bareness) - 0.04 * bareness
    down = (1 - v).clamp_(0, 1)
    tier = down * 3.6
    tier = tier - tier.floor()
    cone = least(0.28 * down + 0.09 * tier * (0.35 + down) - u.abs() + 0.25 * rough, v - 0.12, 1 - v) * 0.8
    conifer = wide(fir)
    leaves = torch.where(conifer, cone, ball)
    side = torch.where(conifer, 0.45 * light * u / (0.08 + 0.3 * down) + 0.30 * (0.6 - tier),
                       1.1 * light * u + 1.15 * (v - 0.58))
    patch.paint(patch.cover(leaves * s), LEAF + row.slot, 0.46 + side * 0.75 + 1.1 * (noise - 0.5))
    patch.commit()


def houses(row: Row, flip: Tensor, shape: Tensor, lit: Tensor, light: Tensor, grain: Tensor) -> None:
    """Houses: a gable in front, a long side with the roof above; scale is half of the width."""
    patch, s, u, v = row.patch(0.22, flip)
    light = wide(light) * wide(flip)  # light from the left of the unflipped house: -1
    wall = 0.62 + 0.22 * wide(shape)  # height of the wall
    rise = 0.78 - 0.12 * wide(shape)  # height of the roof
    noise = patch.look(grain) - 0.5
    _contact_shadow(patch, u, v, light, 0.95, 0.5)

    chimney = least(0.09 - (u - 0.45).abs(), v - wall, wall + rise + 0.16 - v)
    patch.paint(patch.cover(chimney * s), CHIMNEY, 0.5 + 3 * light * (u - 0.45))
    up = (v - wall) / rise  # 0 at the eaves, 1 at the ridge
    gable_edge = 0.36 * (1 - up) - (u + 0.62).abs()
    gable = torch.minimum(torch.minimum(0.36 - (u + 0.62).abs(), v), torch.maximum(gable_edge * 0.9, wall - v))
    side = least(u + 0.26, 0.96 - u, v, wall + 0.1 - v)
    patch.paint(patch.cover(side * s), WALL + row.slot,
                0.60 + 0.26 * light + 0.5 * noise - 0.20 * (v > wall - 0.10) + 0.15 * v)
    patch.paint(patch.cover(gable * s), WALL + row.slot, 0.60 - 0.26 * light + 0.5 * noise + 0.15 * v)

    roof = least(u + 0.26 + 0.36 * up, 1.05 - 0.14 * up - u, v - wall + 0.05, wall + rise - v)
    trim = torch.minimum(0.07 - (gable_edge - 0.02).abs(), v - wall + 0.10)
    rows = up * 5.0
    tiles = (rows - rows.floor() - 0.5) * (0.16 if patch.size >= 96 else 0.0)
    patch.paint(patch.cover(roof * s, CRISP), ROOF + row.slot, 0.42 + 0.20 * light + 0.30 * up + tiles + 0.9 * noise)
    patch.paint(patch.cover(trim * s, CRISP), ROOF + row.slot, 0.34 - 0.16 * light + 0.4 * noise)

    glass = WINDOW_DARK + (WINDOW_LIT - WINDOW_DARK) * wide(lit).int()
    tall = 0.5 * wall
    panes = torch.maximum(0.12 - (u - 0.06).abs(), 0.12 - (u - 0.66).abs())
    panes = torch.maximum(torch.minimum(panes, 0.155 - (v - tall).abs()),
                          least(0.11 - (u + 0.62).abs(), 0.14 - (v - wall - 0.16).abs()))
    shine = 0.25 + 0.35 * (v - u) + 0.2 * up
    patch.paint(patch.cover(panes * s), glass, shine)
    door = torch.maximum(least(0.11 - (u - 0.36).abs(), 0.44 - v, v), least(0.12 - (u + 0.62).abs(), 0.40 - v, v))
    patch.paint(patch.cover(door * s), DOOR, 0.5 + 0.4 * v)
    patch.commit()


def cars(row: Row, flip: Tensor, shape: Tensor) -> None:
    """Cars from the side; scale is half of the length, flip the direction in which they drive."""
    patch, s, u, v = row.patch(0.15, flip)
    long = 0.25 * wide(shape)
    _contact_shadow(patch, u, v, torch.zeros_like(s), 0.85, 0.75)
    roof_line = 0.80 - 0.08 * ((u + 0.1) / 0.5) ** 2
    cabin = least(roof_line - v, (u + 0.62 + long) - 0.40 * (v - 0.44), (0.48 - u) - 0.75 * (v - 0.44), v - 0.3)
    body = least(0.47 - v - 0.10 * u.clamp(min=0) ** 2, v - 0.14, 1.0 - u.abs() - 0.35 * (v - 0.3).abs())
    patch.paint(patch.cover(torch.maximum(cabin, body) * s, CRISP), CAR + row.slot, 0.2 + 1.05 * v - 0.25 * (v < 0.24))
    panes = torch.minimum(cabin - 0.075, v - 0.46)
    panes = torch.minimum(panes, (u + 0.08).abs() - 0.03)
    patch.paint(patch.cover(panes * s), GLASS, 0.25 + 0.8 * (v - 0.46) + 0.3 * u.abs())
    hub = ((u.abs() - 0.56) ** 2 + (v - 0.15) ** 2).sqrt()
    patch.paint(patch.cover((0.185 - hub) * s), WHEEL, torch.where(hub < 0.085, 0.9, 0.15))
    lamp = 0.075 - ((u - 0.90) ** 2 + (v - 0.36) ** 2).sqrt()
    patch.paint(patch.cover(lamp * s), LAMP, 0.8 - v)
    patch.commit()


def flowers(row: Row, turn: Tensor, petals: Tensor, light: Tensor) -> None:
    """Blossoms on stems; scale is the radius of the blossom."""
    patch, s, u, v = row.patch()
    v = v - 2.0  # the blossom's centre is 2 radii up
    stem = torch.minimum(0.16 - u.abs(), -v)
    patch.paint(patch.cover(stem * s), STEM, 0.35 + 0.0 * u)
    radius = (u * u + v * v).sqrt()
    # r = cos of a multiple of the angle gives petals; below two pixels they cannot be seen
    angle = torch.atan2(v, u)
    outline = 0.86 + 0.14 * torch.cos(wide(petals) * angle + wide(turn))
    tone = 0.30 + 0.45 * radius + 0.22 * (v - wide(light) * u)
    patch.paint(patch.cover((outline - radius) * s, CRISP), FLOWER + row.slot, tone)
    heart = (0.30 - radius) * s
    patch.paint(patch.cover(heart) * (s * patch.size > 4), HEART, 0.6 + 0.4 * v)
    patch.commit()
