"""What a notebook defines by hand, for the tests that hold it to the library."""

from pathlib import Path

import nbformat
import torch
import torch.nn.functional as F
from torch import nn


def taught_in(notebook: Path) -> dict[str, object]:
    """The notebook's own classes and functions, by name: its cells tagged "taught", run in order."""
    names = {"torch": torch, "nn": nn, "F": F}
    for cell in nbformat.read(notebook, as_version=4).cells:
        if "taught" in cell.metadata.get("tags", ()):
            exec(compile(cell.source, str(notebook), "exec"), names)  # noqa: S102
    return names
