"""Make data/figures/colorizer.png: the sample photographs and some scenes as the weights that ship colour them.

    .venv/bin/python scripts/contact_sheet.py            # half a minute

None of these pictures was in training. All sample photographs are shown; the scenes are the first of the held-out seed.
"""

from __future__ import annotations

from pathlib import Path

import torch

from colorlib.color import rgb_to_grey
from colorlib.colorizer import Colorizer
from colorlib.course import figures, scenes
from colorlib.photos import sample_photographs

HELD_OUT_SEED, NUM_SCENES, SIDE = 10_000, 4, 240


def small(rgb: torch.Tensor) -> torch.Tensor:
    """The photograph's central square at SIDE pixels: pictures of one size stand in rows."""
    height, width = rgb.shape[-2:]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = rgb[None, :, top : top + side, left : left + side]
    return torch.nn.functional.interpolate(square, (SIDE, SIDE), mode="bilinear", antialias=True)[0]


def main() -> None:
    colorizer = Colorizer.load(device="cpu")
    pictures = [rgb for split in ("train", "validation", "test") for _, rgb in sample_photographs(split)]
    pictures += list(scenes.render(NUM_SCENES, size=160, seed=HELD_OUT_SEED).rgb)
    columns = [[small(rgb_to_grey(rgb)), small(colorizer.colorize(rgb)), small(rgb)] for rgb in pictures]
    rows = [list(row) for row in zip(*columns)]
    figure = figures.show_images(rows, row_titles=["given", "coloured", "real"], width=1.05)
    path = Path(__file__).resolve().parent.parent / "data" / "figures" / "colorizer.png"
    figure.savefig(path, dpi=110, bbox_inches="tight", pad_inches=0.05)
    print(f"{path}: {len(pictures)} pictures; rows: given, coloured, real")


if __name__ == "__main__":
    main()
