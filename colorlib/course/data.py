"""Data of the notebooks: the levels of `photos.source` and scenes, committed results, and the notebooks' own code."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from colorlib import photos
from colorlib.course.scenes import render, scene_batches
from colorlib.photos import SPLITS, Source
from colorlib.runtime import checkout, shipped_folder

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
                device: str | torch.device = "cpu", zoom: float = photos.ZOOM) -> Iterator[tuple[Tensor, Tensor]]:
        """As `photos.Source.batches`; `seed` chooses the scenes, and zoom changes nothing: scenes are painted to size."""
        if split not in SPLITS:
            raise ValueError(f"split is {split!r}, must be one of {SPLITS}: choose one")
        return scene_batches(size=size, batch_size=batch_size, seed=SCENE_SEEDS[split] + seed, device=device)


def source(name: str | None = None, short_side: int = 160) -> Source:
    """`photos.source`, which also knows "scenes"."""
    return SceneSource(name, short_side) if name == "scenes" else photos.source(name, short_side)


def result_file(name: str) -> Path | None:
    """A committed result, such as "stability_05.json": of the checkout or of the wheel; None where it is in neither."""
    path = shipped_folder("results") / name
    return path if path.is_file() else None


def show_results(name: str) -> None:
    """Print a committed result file with a summary: a line for each run, a column for each measure."""
    path = result_file(name)
    if path is None:
        return print(f"{name} is not here: no such committed result")
    record = json.loads(path.read_text(encoding="utf-8"))
    print(f"{record['data']}\n{record['command']}")
    summary: dict[str, dict[str, str]] = record["summary"]
    columns = list(next(iter(summary.values())))
    widths = [2 + max(map(len, [column, *(row[column] for row in summary.values())])) for column in columns]
    first = max(map(len, summary))
    print(" " * first + "".join(f"{column:>{width}}" for column, width in zip(columns, widths)))
    for run, row in summary.items():
        print(f"{run:>{first}}" + "".join(f"{row[column]:>{width}}" for column, width in zip(columns, widths)))


def shuffled(condition: Tensor, target: Tensor, batch_size: int, seed: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches without end from pairs in memory, in a new order for every pass."""
    generator = torch.Generator().manual_seed(seed)
    while True:
        for picked in torch.randperm(len(condition), generator=generator).split(batch_size):
            if len(picked) == batch_size:
                yield condition[picked], target[picked]


def notebook(name: str) -> Path:
    """A notebook of the checkout, such as "06_residual_unet"; ValueError where colorlib was installed without them."""
    root = checkout()
    if root is None:
        raise ValueError(f"notebook {name}: this colorlib was installed without the notebooks; run it in a clone of the project")
    return root / "notebooks" / f"{name}.ipynb"


def taught(name: str, **names: Any) -> dict[str, Any]:
    """The classes and functions that a notebook defines in its cells tagged "taught", run in order.

    `name` is that of the notebook; `names` is what these cells need besides the imports of the notebook's first cell.
    """
    cells = json.loads(notebook(name).read_text(encoding="utf-8"))["cells"]
    code = [("".join(cell["source"]), cell["metadata"].get("tags", ())) for cell in cells if cell["cell_type"] == "code"]
    first = next(ast.parse(source).body for source, _ in code if "from colorlib" in source)
    imports = ast.Module([node for node in first if isinstance(node, (ast.Import, ast.ImportFrom))], type_ignores=[])
    exec(compile(imports, name, "exec"), names)  # noqa: S102
    for source, tags in code:
        if "taught" in tags:
            exec(compile(source, name, "exec"), names)  # noqa: S102
    return names
