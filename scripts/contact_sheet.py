"""Make data/figures/colorizer.png, the sample photographs and some scenes as the weights that ship colour them, and
before_after.jpg: three of them large, left as given, right coloured.

    .venv/bin/python scripts/contact_sheet.py            # half a minute

None of these pictures was in training. All sample photographs are shown; the scenes are the first of the held-out seed.
"""

from __future__ import annotations

from pathlib import Path

import torch
from PIL import Image

from colorlib.color import rgb_to_grey
from colorlib.colorizer import Colorizer
from colorlib.course import figures, scenes
from colorlib.photos import sample_photograph, sample_photographs, to_image

HELD_OUT_SEED, NUM_SCENES, SIDE = 10_000, 4, 240
LARGE, HEIGHT, DIVIDER = {"china": 0.36, "astronaut": 0.4, "flower": 0.5}, 480, 4  # name: where the colour begins


def small(rgb: torch.Tensor) -> torch.Tensor:
    """The photograph's central square at SIDE pixels: pictures of one size stand in rows."""
    height, width = rgb.shape[-2:]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = rgb[None, :, top : top + side, left : left + side]
    return torch.nn.functional.interpolate(square, (SIDE, SIDE), mode="bilinear", antialias=True)[0]


def before_after(colorizer: Colorizer) -> Image.Image:
    """The photographs of LARGE in a row, each half grey and half coloured."""
    halves = []
    for name, share in LARGE.items():
        rgb = sample_photograph(name).rgb
        size = HEIGHT, round(HEIGHT * rgb.shape[2] / rgb.shape[1])
        grey, coloured = (torch.nn.functional.interpolate(x[None], size, mode="bilinear", antialias=True)[0]
                          for x in (rgb_to_grey(rgb), colorizer.colorize(rgb)))
        at = round(share * size[1])
        picture = torch.cat([grey[:, :, :at], coloured[:, :, at:]], 2)
        picture[:, :, at - DIVIDER // 2 : at + DIVIDER // 2] = 255
        halves += [picture, torch.full((3, HEIGHT, 2 * DIVIDER), 255, dtype=torch.uint8)]
    return to_image(torch.cat(halves[:-1], 2))


def main() -> None:
    colorizer = Colorizer.load(device="cpu")
    folder = Path(__file__).resolve().parent.parent / "data" / "figures"
    before_after(colorizer).save(folder / "before_after.jpg", quality=88)
    pictures = [rgb for split in ("train", "validation", "test") for _, rgb in sample_photographs(split)]
    pictures += list(scenes.render(NUM_SCENES, size=160, seed=HELD_OUT_SEED).rgb)
    columns = [[small(rgb_to_grey(rgb)), small(colorizer.colorize(rgb)), small(rgb)] for rgb in pictures]
    rows = [list(row) for row in zip(*columns)]
    figure = figures.show_images(rows, row_titles=["given", "coloured", "real"], width=1.05)
    path = folder / "colorizer.png"
    figure.savefig(path, dpi=110, bbox_inches="tight", pad_inches=0.05)
    print(f"{path}: {len(pictures)} pictures; rows: given, coloured, real")


if __name__ == "__main__":
    main()
