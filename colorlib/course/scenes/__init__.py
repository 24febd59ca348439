"""The teaching world: procedural landscapes whose colours have a known distribution.

Most colours of a scene follow from the thing, the season and the light. The colours of roofs, cars and flowers are
*free*: each is drawn from a fixed palette, independently of everything else, and shading changes its L only. The grey
picture holds no information about them, so the best predictions under L1 and L2 are known in closed form.

Spring, summer and autumn colour vegetation differently at the same L, so the grey picture leaves them open, and the
label `season` distinguishes them. Winter shows in the grey picture, by its snow.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor

from colorlib.color import lab_to_rgb8, rgb_to_L_ab
from colorlib.course.scenes.canvas import NUM_DRAWS
from colorlib.course.scenes.landscape import draw
from colorlib.course.scenes.materials import CLASSES, FACTS_OF_SLOT, KINDS, LABELS, SEASONS, TIMES
from colorlib.course.scenes.optimum import PALETTES, best_l1, best_l2, entropy, expected_l2
from colorlib.course.scenes.ramps import tables
from colorlib.runtime import in_threads, num_shares

__all__ = ["CLASSES", "KINDS", "LABELS", "NUM_LABELS", "PALETTES", "SEASONS", "TIMES", "Scenes", "best_l1", "best_l2",
           "day_to_night", "edges_to_scene", "entropy", "expected_l2", "grey_to_color", "labels_to_scene", "render",
           "scene_batches"]

NUM_LABELS = len(LABELS)
MIN_SIZE = 32
_PIXELS_AT_ONCE = 64 * 64 * 64  # scenes are drawn in tiles of this many pixels, so that the layers stay in the cache


@dataclass
class Scenes:
    """A batch of N scenes of S x S pixels; the pictures are uint8, the facts int64."""

    rgb: Tensor  # (N, 3, S, S), by day
    night: Tensor  # (N, 3, S, S), the same by night: darker, bluish, windows lit, moon and stars
    labels: Tensor  # (N, S, S), index into LABELS
    edges: Tensor  # (N, 1, S, S), 1 on outlines, which follow from the shapes alone, not from colours
    free: Tensor  # (N, S, S), k where the colour was drawn from PALETTES[KINDS[k - 1]], 0 elsewhere and on soft edges
    scene_class: Tensor  # (N,), index into CLASSES
    season: Tensor  # (N,), into SEASONS
    time: Tensor  # (N,), into TIMES
    roof: Tensor  # (N, things), the colours that were drawn, also for things that are not in the picture
    car: Tensor
    flower: Tensor

    def __len__(self) -> int:
        return len(self.rgb)

    def L_ab(self) -> tuple[Tensor, Tensor]:
        """L (N, 1, S, S) in [-1, 1] and ab (N, 2, S, S), scaled as in colorlib.color."""
        return rgb_to_L_ab(self.rgb)


def _check(num: int, size: int, seed: int, name: str = "num") -> None:
    for value, what, least in ((num, name, 1), (size, "size", MIN_SIZE), (seed, "seed", 0)):
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
            raise ValueError(f"{what} is {value!r}, must be a whole number of at least {least}")


def _edges(regions: Tensor) -> Tensor:
    """1 where the region differs from the one to the right or below. uint8 (n, S, S) -> uint8 (n, 1, S, S)."""
    edges = torch.zeros_like(regions)
    edges[:, :, :-1] = regions[:, :, 1:] != regions[:, :, :-1]
    edges[:, :-1] |= (regions[:, 1:] != regions[:, :-1]).to(torch.uint8)
    return edges[:, None]


def _look_up(table: Tensor, index: Tensor) -> Tensor:
    return table.index_select(0, index.view(-1)).view(index.shape)


def _render_tile(table: Tensor, size: int) -> Scenes:
    device, n = table.device, len(table)
    canvas, ramps, facts = draw(table, size)
    num_slots, offset = ramps.shape[1], torch.arange(n, device=device)[:, None, None] * ramps.shape[1]
    base = (ramps * 256).int().view(-1)
    slot = canvas.front >> 8

    def colour_code(codes: Tensor, slots: Tensor, scene: Tensor) -> Tensor:  # slot * 256 + tone -> ramp * 256 + tone
        return _look_up(base, slots + scene) + (codes & 255)

    index = colour_code(canvas.front, slot, offset.int())
    mixed = (canvas.share < 1).view(-1).nonzero()[:, 0]
    share = canvas.share.view(-1)[mixed]
    behind = canvas.behind.view(-1)[mixed]
    behind = colour_code(behind, behind >> 8, (mixed // (size * size) * num_slots).int())
    front = index.view(-1)[mixed]
    colors = tables(device)
    pictures = []
    for lab, packed in zip(colors.lab, colors.packed):
        words = _look_up(packed, index)
        mix = torch.stack([torch.lerp(_look_up(c, behind), _look_up(c, front), share) for c in lab])
        r, g, b = lab_to_rgb8(mix[:, None])[:, 0].int()
        words.view(-1)[mixed] = r | g << 8 | b << 16
        pictures.append(words.view(torch.uint8).view(n, size, size, 4)[..., :3].permute(0, 3, 1, 2).contiguous())
    words = _look_up(FACTS_OF_SLOT.to(device), slot).view(torch.uint8).view(n, size, size, 4)
    label, region, free = (words[..., i].contiguous() for i in range(3))
    free.view(-1)[mixed] = 0
    return Scenes(rgb=pictures[0], night=pictures[1], labels=label, edges=_edges(region), free=free, **facts)


@torch.no_grad()
def _render(generator: np.random.Generator, num: int, size: int, device: str | torch.device) -> Scenes:
    at_once = max(1, _PIXELS_AT_ONCE // (size * size))
    tables_ = torch.from_numpy(generator.random((num, NUM_DRAWS), dtype=np.float32)).to(device).split(at_once)
    shares = num_shares(len(tables_)) if tables_[0].device.type == "cpu" else 1
    shared = in_threads(lambda share: [_render_tile(table, size) for table in share],
                        [tables_[first::shares] for first in range(shares)])
    tiles = [shared[index % shares][index // shares] for index in range(len(tables_))]
    if len(tiles) == 1:
        return tiles[0]
    return Scenes(*(torch.cat([getattr(tile, field.name) for tile in tiles]) for field in fields(Scenes)))


def render(num: int, size: int = 64, seed: int = 0, device: str | torch.device = "cpu") -> Scenes:
    """Draw `num` scenes of `size` pixels (at least 32) on `device`; ValueError where num, size or seed are too small.
    The same seed gives the same scenes, alike at every size; the first n of a longer batch are the shorter batch."""
    _check(num, size, seed)
    return _render(np.random.default_rng(seed), num, size, device)


def scene_batches(size: int, batch_size: int, seed: int = 0,
                  device: str | torch.device = "cpu") -> Iterator[tuple[Tensor, Tensor]]:
    """(L, ab) of fresh scenes without end; together they are render(very many, size, seed). Arguments as in render."""
    _check(batch_size, size, seed, "batch_size")
    generator = np.random.default_rng(seed)

    def endless() -> Iterator[tuple[Tensor, Tensor]]:
        while True:
            yield _render(generator, batch_size, size, device).L_ab()

    return endless()


# Pairs for image translation: (condition, target), both float32 in [-1, 1].


def _to_float(picture: Tensor) -> Tensor:
    return picture.float() / 127.5 - 1


def grey_to_color(scenes: Scenes) -> tuple[Tensor, Tensor]:
    """L (N, 1, S, S) -> ab (N, 2, S, S)."""
    return scenes.L_ab()


def edges_to_scene(scenes: Scenes) -> tuple[Tensor, Tensor]:
    """Outlines (N, 1, S, S), 1 on an edge and -1 elsewhere -> RGB (N, 3, S, S)."""
    return scenes.edges.float() * 2 - 1, _to_float(scenes.rgb)


def day_to_night(scenes: Scenes) -> tuple[Tensor, Tensor]:
    """RGB by day (N, 3, S, S) -> RGB by night."""
    return _to_float(scenes.rgb), _to_float(scenes.night)


def labels_to_scene(scenes: Scenes) -> tuple[Tensor, Tensor]:
    """Label map, one-hot in [-1, 1]: (N, NUM_LABELS, S, S), 1 in the channel of the label -> RGB (N, 3, S, S)."""
    channels = torch.arange(NUM_LABELS, device=scenes.labels.device, dtype=torch.uint8)[:, None, None]
    return (scenes.labels[:, None] == channels).float() * 2 - 1, _to_float(scenes.rgb)
