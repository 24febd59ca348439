"""The colours of things: ramps from tone to colour, by day and by night."""

from functools import lru_cache

import torch
from torch import Tensor

from colorlib.color import lab_to_rgb8
from colorlib.course.scenes.materials import (CAR, CHIMNEY, CLOUD, DOOR, FAR_HILL, FAR_ROCK, FAR_SNOW, FAR_TREES,
                                              FLOWER, FREE, GLASS, GRASS, HEART, HILL, HOUSES, KINDS, LAMP, LEAF, LINE,
                                              NUM_SKIES, NUM_SLOTS, ROAD, ROCK, ROOF, SAND, SEA, SEASONS, SKY, SNOW,
                                              STAR, STEM, SUN, TREES, TRUNK, WALL, WHEEL, WINDOW_DARK, WINDOW_LIT)

# Skies: Lab from the zenith to the horizon, the light they cast (factor on L, shift of a and b), and their clouds.
_SKIES = (
    # morning: lilac to peach, fresh blue to gold, pink
    (((58, 6, -32), (72, 10, -18), (84, 14, 2), (92, 8, 18)), (0.95, 3, 2),
     ((68, 10, -10), (88, 12, 4), (97, 4, 6))),
    (((60, -3, -32), (75, 0, -17), (88, 4, 6), (94, 2, 22)), (0.98, 1, 5),
     ((70, 4, -8), (90, 4, 6), (98, 1, 8))),
    (((60, 12, -26), (73, 18, -10), (85, 17, 8), (92, 7, 20)), (0.95, 5, 3),
     ((66, 14, -10), (86, 16, 4), (97, 5, 6))),
    # noon: deep blue, bright, milky
    (((50, -2, -42), (65, -6, -34), (81, -7, -19), (93, -4, -6)), (1.0, 0, 0),
     ((76, -2, -7), (93, -1, -2), (100, 0, 0))),
    (((56, -6, -37), (72, -9, -26), (87, -7, -11), (95, -3, -3)), (1.0, 0, 1),
     ((78, -2, -7), (94, -1, -2), (100, 0, 0))),
    (((62, -4, -25), (75, -5, -18), (88, -3, -8), (94, -1, 1)), (0.97, 0, 0),
     ((72, -1, -5), (89, 0, -1), (98, 0, 1))),
    # evening: purple to gold, blue to orange, rose
    (((34, 14, -40), (52, 30, -26), (68, 36, 16), (82, 18, 52)), (0.82, 9, 11),
     ((42, 20, -18), (66, 34, 12), (86, 16, 32))),
    (((38, 2, -38), (56, 10, -24), (73, 24, 20), (84, 14, 48)), (0.85, 6, 11),
     ((46, 10, -16), (70, 24, 14), (88, 12, 32))),
    (((44, 22, -34), (60, 34, -12), (74, 34, 18), (85, 12, 40)), (0.84, 8, 8),
     ((50, 24, -16), (72, 34, 10), (90, 14, 22))),
)
_NIGHT_SKY = ((7, 6, -24), (13, 5, -28), (21, 2, -28), (31, -1, -24))

# Vegetation: in spring, summer and autumn the same L at the same tone, so that a grey picture leaves the
# season open; winter shows its snow. The variants of a season differ in colour only.
_LEAF_L, _BUSH_L, _GRASS_L = (18, 38, 56, 74), (14, 27, 40, 54), (36, 54, 66, 78)
_LEAF_AB = {
    "spring": (((-18, 24), (-30, 42), (-28, 50), (-22, 54)), ((10, -4), (26, -8), (24, -6), (14, -3)),
               ((-14, 22), (-24, 38), (-24, 48), (-20, 56))),
    "summer": (((-14, 12), (-28, 28), (-32, 40), (-28, 48)), ((-16, 14), (-26, 24), (-28, 34), (-26, 42)),
               ((-18, 20), (-30, 36), (-32, 44), (-24, 52))),
    "autumn": (((20, 20), (34, 40), (34, 54), (22, 60)), ((12, 20), (18, 44), (14, 60), (4, 66)),
               ((26, 16), (42, 34), (42, 42), (30, 42))),
}
_GRASS_AB = {"spring": (((-20, 26), (-28, 42), (-28, 50), (-22, 48)), ((-18, 24), (-30, 40), (-30, 46), (-26, 48))),
             "summer": (((-18, 22), (-26, 36), (-24, 44), (-18, 46)), ((-14, 24), (-18, 38), (-16, 46), (-10, 46))),
             "autumn": (((2, 22), (6, 38), (4, 46), (0, 46)), ((-8, 22), (-8, 38), (-6, 44), (-4, 46)))}
_SNOW = ((56, 0, -16), (78, -1, -9), (92, 0, -3), (99, 0, 1))


def _by_season(lightness, colors, winter) -> list[list[tuple]]:
    """Stops (L, a, b) for each variant and season."""
    return [[tuple((L, *ab) for L, ab in zip(lightness, colors[season][variant])) for season in SEASONS[:3]]
            + [winter[variant % len(winter)]] for variant in range(len(colors["spring"]))]


def _always(*variants) -> list[list[tuple]]:
    return [[stops] for stops in variants]


_BARE = (((20, 5, 6), (36, 5, 7), (62, 2, 0), (94, 0, -2)), ((24, 4, 4), (42, 3, 2), (70, 0, -4), (95, 0, -2)))
_FIR_AB = {s: (((-10, 4), (-17, 11), (-18, 17), (-15, 20)), ((-11, 8), (-19, 17), (-21, 24), (-18, 27)))
           for s in SEASONS[:3]}
_FIR_WINTER = (((15, -8, 1), (32, -10, 4), (68, -4, -5), (97, 0, -2)),)
# name -> (ramps [variant][season or only one], haze 0..1, by night: factor on L)
_MATERIALS = {
    "rock": (_always(((24, 2, -10), (42, 3, -4), (60, 3, 6), (77, 3, 11)),
                     ((26, 0, -6), (45, 4, 3), (62, 5, 11), (79, 4, 15))), 0.22, 0.42),
    "far rock": (_always(((26, 2, -12), (42, 2, -8), (58, 2, 0), (72, 2, 6)),
                         ((28, 1, -8), (44, 4, 0), (60, 4, 6), (74, 3, 8))), 0.52, 0.42),
    "snow": (_always(((52, 0, -20), (74, -1, -12), (91, 0, -3), (99, 0, 2))), 0.1, 0.5),
    "far snow": (_always(((56, 0, -18), (76, -1, -11), (91, 0, -3), (98, 0, 2))), 0.38, 0.5),
    "far hill": (_by_season((26, 40, 52, 64), _GRASS_AB, (_SNOW,)), 0.45, 0.36),
    "hill": (_by_season((24, 42, 56, 70), _GRASS_AB, (_SNOW,)), 0.2, 0.36),
    "grass": (_by_season(_GRASS_L, _GRASS_AB, (_SNOW,)), 0.0, 0.36),
    "sea": (_always(((28, -6, -24), (44, -12, -26), (60, -14, -20), (88, -4, -6)),
                    ((30, -14, -16), (48, -22, -16), (64, -20, -10), (90, -4, -3))), 0.12, 0.36),
    "sand": (_always(((52, 6, 20), (70, 5, 24), (84, 3, 20), (93, 1, 14))), 0.0, 0.38),
    "road": (_always(((30, 0, -4), (42, 0, -3), (54, 1, 0), (66, 1, 2)),
                     ((42, 5, 12), (56, 6, 18), (68, 5, 20), (78, 4, 18))), 0.0, 0.42),
    "line": (_always(((76, 0, 4), (84, 0, 4), (90, 0, 4), (95, 0, 4))), 0.0, 0.45),
    "trunk": (_always(((14, 6, 8), (24, 8, 12), (36, 9, 16), (50, 8, 18))), 0.0, 0.36),
    "leaf": (_by_season(_LEAF_L, _LEAF_AB, _BARE), 0.0, 0.34),
    "far leaf": (_by_season(_LEAF_L, _LEAF_AB, _BARE), 0.22, 0.34),
    "fir": (_by_season(_BUSH_L, _FIR_AB, _FIR_WINTER), 0.0, 0.34),
    "far fir": (_by_season(_BUSH_L, _FIR_AB, _FIR_WINTER), 0.22, 0.34),
    "wall": (_always(((54, 2, 0), (72, 2, 6), (88, 1, 8), (96, 0, 6)),
                     ((50, 6, 12), (68, 7, 22), (84, 5, 26), (94, 3, 22)),
                     ((50, 10, 8), (68, 12, 14), (83, 9, 14), (93, 6, 12)),
                     ((50, -2, -8), (68, -3, -10), (84, -3, -8), (94, -1, -4))), 0.0, 0.4),
    "window": (_always(((22, -2, -8), (34, -3, -12), (52, -4, -14), (74, -4, -12))), 0.0, 0.4),
    "door": (_always(((20, 8, 10), (30, 12, 16), (42, 14, 22), (54, 14, 24))), 0.0, 0.4),
    "wheel": (_always(((8, 0, -2), (14, 0, -2), (30, 0, -3), (72, 0, -2))), 0.0, 0.4),
    "heart": (_always(((48, 12, 40), (62, 12, 56), (74, 8, 64), (84, 2, 60))), 0.0, 0.4),
}


@lru_cache(maxsize=1)
def _layout() -> tuple[dict[str, tuple[int, int, int]], int]:
    """name -> (number of its first ramp, variants, seasons), and the number of ramps. Order: variant, season, sky."""
    first, at = {}, 0
    for name in ("sky", "star", "sun", "cloud", "lit", "lamp"):
        first[name] = (at, 1, 1)
        at += NUM_SKIES
    for name, (ramps, _, _) in _MATERIALS.items():
        first[name] = (at, len(ramps), len(ramps[0]))
        at += len(ramps) * len(ramps[0]) * NUM_SKIES
    for kind in KINDS:
        first[kind] = (at, len(FREE[kind][0]), 1)
        at += len(FREE[kind][0])
    return first, at


def ramp_of(name: str, sky: Tensor, season: Tensor | int = 0, variant: Tensor | int = 0) -> Tensor:
    """The number of a material's ramp under a sky (0..8), in a season (0..3), in one of its variants."""
    first, variants, seasons = _layout()[0][name]
    return first + ((variant % variants) * seasons + (season if seasons > 1 else 0)) * NUM_SKIES + sky


def _ramp(stops) -> Tensor:
    """Stops (L, a, b) at equal distances -> (256, 3)."""
    stops = torch.tensor(stops, dtype=torch.float32)
    position = torch.linspace(0, len(stops) - 1, 256)
    low = position.floor().long().clamp(max=len(stops) - 2)
    return torch.lerp(stops[low], stops[low + 1], (position - low)[:, None])


def _night(day: Tensor, factor: float) -> Tensor:
    """Moonlight: darker, less colourful, bluish."""
    L, a, b = day.unbind(-1)
    L = 1.12 * factor * L + 3
    return torch.stack([L, 0.28 * a - 1, 0.28 * b - 6 - 0.28 * L], -1)


class Tables:
    """Colours of all codes, by day (0) and night (1): Lab (2, 3, ramps * 256) to mix, packed RGB (2, ramps * 256)."""

    def __init__(self, device: torch.device):
        first, count = _layout()
        lab = torch.zeros(2, count, 256, 3)
        for sky, (stops, (gain, da, db), cloud) in enumerate(_SKIES):
            day, night = _ramp(stops), _ramp(_NIGHT_SKY)
            haze = torch.tensor([stops[-1], _NIGHT_SKY[-1]], dtype=torch.float32) * torch.tensor([0.95, 1, 1])
            star = night + (torch.tensor([92.0, 0.0, 2.0]) - night) * 0.8
            low_sun = sky // 3 != 1
            sun = _ramp([(93, 6, 44), (97, 0, 26)]) if low_sun else _ramp([(97, -2, 24), (100, 0, 10)])
            glass = _lit(_ramp(_MATERIALS["window"][0][0][0]), gain, da, db)
            for name, by_day, by_night in (("sky", day, night), ("star", day, star),
                                           ("sun", sun, _ramp([(72, 0, 4), (94, -1, 10)])),
                                           ("cloud", _ramp(cloud), _ramp([(12, 3, -18), (20, 2, -18), (34, 0, -16)])),
                                           ("lit", glass, _ramp([(74, 14, 56), (90, 3, 52)])),
                                           ("lamp", _ramp([(88, 0, 8), (95, 0, 6)]),
                                            _ramp([(92, -2, 40), (99, -2, 14)]))):
                lab[0, first[name][0] + sky], lab[1, first[name][0] + sky] = by_day, by_night
            for name, (ramps, haziness, dark) in _MATERIALS.items():
                for variant, seasons in enumerate(ramps):
                    for season, stops_here in enumerate(seasons):
                        at = first[name][0] + (variant * len(seasons) + season) * NUM_SKIES + sky
                        lit = _lit(_ramp(stops_here), gain, da, db)
                        lab[0, at] = torch.lerp(lit, haze[0], haziness)
                        lab[1, at] = torch.lerp(_night(_ramp(stops_here), dark), haze[1], 0.6 * haziness)
        for kind in KINDS:
            colors, _, (low, high) = FREE[kind]
            for choice, (a, b) in enumerate(colors):
                day = _ramp([(low, a, b), (high, a, b)])     # shading changes L only
                lab[0, first[kind][0] + choice], lab[1, first[kind][0] + choice] = day, _night(day, 0.42)
        lab = lab.permute(0, 3, 1, 2).reshape(2, 3, count * 256)
        rgb = lab_to_rgb8(lab[:, :, None])[:, :, 0].int()
        self.lab = lab.to(device)
        self.packed = (rgb[:, 0] | rgb[:, 1] << 8 | rgb[:, 2] << 16).to(device)


def _lit(ramp: Tensor, gain: float, da: float, db: float) -> Tensor:
    """The light of a sky on a ramp; its tint is strongest where there is most light."""
    L = ramp[:, :1] * gain
    return torch.cat([L, ramp[:, 1:] + torch.tensor([float(da), float(db)]) * (L / 60).clamp(max=1)], 1)


tables = lru_cache(maxsize=4)(Tables)


def slot_ramps(variants: Tensor, walls: Tensor, leaves: Tensor, firs: Tensor, sky: Tensor, season: Tensor,
               chosen: dict[str, Tensor]) -> Tensor:
    """The ramp of every slot of every scene, int64 (n, NUM_SLOTS): variants (n, 5), walls (n, HOUSES) and leaves
    (n, TREES) of the materials, conifers (n, TREES), sky and season (n,), and the colours drawn of each free kind."""
    ramps = torch.zeros(len(sky), NUM_SLOTS, dtype=torch.long, device=sky.device)
    rock, hill, grass, sea, road = variants.unbind(1)
    for name, variant, slots in (
        ("sky", 0, (SKY,)), ("star", 0, (STAR,)), ("sun", 0, (SUN,)), ("cloud", 0, (CLOUD,)), ("snow", 0, (SNOW,)),
        ("far snow", 0, (FAR_SNOW,)), ("far rock", rock, (FAR_ROCK,)), ("rock", rock, (ROCK,)),
        ("far hill", hill, (FAR_HILL,)), ("hill", hill, (HILL,)), ("grass", grass, (GRASS, STEM)), ("sea", sea, (SEA,)),
        ("sand", 0, (SAND,)), ("road", road, (ROAD,)), ("line", 0, (LINE,)), ("trunk", 0, (TRUNK,)),
        ("heart", 0, (HEART,)), ("window", 0, (WINDOW_DARK, GLASS)), ("lit", 0, (WINDOW_LIT,)), ("door", 0, (DOOR,)),
        ("wheel", 0, (WHEEL,)), ("lamp", 0, (LAMP,)), ("wall", 2, (CHIMNEY,)),
    ):
        for slot in slots:
            ramps[:, slot] = ramp_of(name, sky, season, variant)
    sky, season = sky[:, None], season[:, None]
    ramps[:, WALL : WALL + HOUSES] = ramp_of("wall", sky, 0, walls)
    far = torch.arange(TREES, device=sky.device) < FAR_TREES
    for here, fir_name, leaf_name in ((far, "far fir", "far leaf"), (~far, "fir", "leaf")):
        trees = torch.where(firs, ramp_of(fir_name, sky, season, leaves), ramp_of(leaf_name, sky, season, leaves))
        ramps[:, LEAF : LEAF + TREES] = torch.where(here, trees, ramps[:, LEAF : LEAF + TREES])
    for first, kind in ((ROOF, "roof"), (CAR, "car"), (FLOWER, "flower")):
        ramps[:, first : first + chosen[kind].shape[1]] = _layout()[0][kind][0] + chosen[kind]  # and on nothing else
    return ramps
