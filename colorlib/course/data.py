"""Where the notebooks' data comes from: the levels of `photos.source` and scenes, and the committed results."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from colorlib import photos
from colorlib.course.scenes import render, scene_batches
from colorlib.photos import SPLITS, Source
from colorlib.runtime import checkout

NUM_SCENES = {"train": 512, "validation": 64, "test": 64}
# Scenes of a split start at a seed of their own, so that no test scene is ever drawn in training.
SCENE_SEEDS = {"train": 0, "validation": 1 << 40, "test": 1 << 41}


class SceneSource(Source):
    """Scenes, drawn on first use, with the interface of `photos.Source`."""

    @property
    def note(self) -> str:
        """One line for the reader: which level this is."""
        return "Data: scenes, drawn by our own code; training never sees one twice (no photographs)."

    def _load(self, split: str) -> list[Tensor]:
        return list(render(NUM_SCENES[split], size=self.short_side, seed=SCENE_SEEDS[split]).rgb)

    def batches(self, split: str, size: int, batch_size: int, seed: int = 0,
                device: str | torch.device = "cpu") -> Iterator[tuple[Tensor, Tensor]]:
        """As `photos.Source.batches`; `seed` chooses the scenes."""
        if split not in SPLITS:
            raise ValueError(f"split is {split!r}, must be one of {SPLITS}: choose one")
        return scene_batches(size=size, batch_size=batch_size, seed=SCENE_SEEDS[split] + seed, device=device)


def source(name: str | None = None, short_side: int = 160) -> Source:
    """`photos.source`, which also knows "scenes"."""
    return SceneSource(name, short_side) if name == "scenes" else photos.source(name, short_side)


def result_file(name: str) -> Path | None:
    """A committed result, such as "stability_05.json": of the checkout or of the wheel; None where it is in neither."""
    root = checkout()
    folder = root / "data" / "results" if root else Path(__file__).resolve().parents[1] / "results"
    return folder / name if (folder / name).is_file() else None


def notebook(name: str) -> Path:
    """A notebook of the checkout, such as "06_residual_unet".

    Raises:
        ValueError: colorlib was installed without the notebooks.
    """
    root = checkout()
    if root is None:
        raise ValueError(f"notebook {name}: this colorlib was installed without the notebooks; run it in a clone of the project")
    return root / "notebooks" / f"{name}.ipynb"
