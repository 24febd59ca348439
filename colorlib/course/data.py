"""Data of the notebooks: committed results, batches of pairs, and the notebooks' own code."""

import ast
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from colorlib.runtime import checkout, shipped_folder


def result_file(name: str) -> Path | None:
    """A committed result, such as "stability_05.json": of the checkout or of the wheel; None where it is in neither."""
    path = shipped_folder("results") / name
    return path if path.is_file() else None


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
        raise ValueError(f"notebook {name}: this colorlib has no notebooks; run it in a clone of the project")
    return root / "notebooks" / f"{name}.ipynb"


def taught(name: str, **names: Any) -> dict[str, Any]:
    """The classes and functions that a notebook defines in its cells tagged "taught", run in order. `name` is that of
    the notebook; `names` is what these cells need besides the imports of the notebook's first cell."""
    cells = json.loads(notebook(name).read_text(encoding="utf-8"))["cells"]
    code = [("".join(cell["source"]), cell["metadata"].get("tags", ())) for cell in cells
            if cell["cell_type"] == "code"]
    first = next(ast.parse(source).body for source, _ in code if "from colorlib" in source)
    imports = ast.Module([node for node in first if isinstance(node, (ast.Import, ast.ImportFrom))], type_ignores=[])
    exec(compile(imports, name, "exec"), names)  # noqa: S102
    for source, tags in code:
        if "taught" in tags:
            exec(compile(source, name, "exec"), names)  # noqa: S102
    return names
