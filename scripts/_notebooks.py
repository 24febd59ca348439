"""What the scripts share about the notebooks of the series: which they are, how to execute and clean them."""

from __future__ import annotations

import base64
import hashlib
import io
import os
import re
import shutil
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from PIL import Image

import colorlib  # noqa: F401 (sets how OpenMP waits, which kernels inherit: notebooks import torch first)

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = ROOT / "notebooks"
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
CONTROL = "*A control: it works in the running notebook (`make lab`).*"
CELL_SECONDS = {"smoke": 240, "laptop": 1200, "gpu": 7200}

_DETAILS = re.compile(r"<details.*?</details>", re.DOTALL | re.IGNORECASE)
_PYTHON_FENCE = re.compile(r"^[ \t]*```python[ \t]*\n(.*?)^[ \t]*```", re.DOTALL | re.MULTILINE)


def series(folder: Path = NOTEBOOKS) -> list[Path]:
    """The notebooks in the order in which they are read."""
    return sorted(folder.glob("[0-9][0-9]_*.ipynb"))


def read(path: Path) -> nbformat.NotebookNode:
    return nbformat.read(path, as_version=4)


def code_cells(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code" and cell.source.strip()]


# what stamp_notebooks.py writes: a cell that begins so, and the machine that Colab starts for the notebook
STAMPED = "#@title Install colorlib"
COLAB = {"accelerator": "GPU", "colab": {"gpuType": "T4", "provenance": []}}


def code_hash(notebook: nbformat.NotebookNode) -> str:
    """Of the code alone: prose may change without another run, and so may the stamped cell, which does nothing in one."""
    sources = [cell.source for cell in code_cells(notebook) if not cell.source.startswith(STAMPED)]
    return hashlib.sha256("\0".join(sources).encode()).hexdigest()[:16]


def answers(notebook: nbformat.NotebookNode) -> list[str]:
    """The Python of the folded answers, in order."""
    folded = [
        text
        for cell in notebook.cells
        if cell.cell_type == "markdown"
        for text in _DETAILS.findall(cell.source)
    ]
    return [code.rstrip() for text in folded for code in _PYTHON_FENCE.findall(text)]


def workplace(folder: Path) -> Path:
    """A copy of what lies beside the notebooks (pictures, scripts), to execute them in: git stays clean."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    if NOTEBOOKS.is_dir():
        ignore = shutil.ignore_patterns("*.ipynb", ".ipynb_checkpoints", "__pycache__")
        shutil.copytree(NOTEBOOKS, folder, dirs_exist_ok=True, ignore=ignore)
    return folder


def execute(notebook: nbformat.NotebookNode, preset: str, folder: Path) -> tuple[float, str | None]:
    """Run every cell, in `folder`. Returns the seconds that it took and, where a cell failed, its error."""
    os.environ.pop("COLORLIB_PHOTOS", None)  # the series on what every reader has, not on this machine's folder
    os.environ["JUPYTER_PREFER_ENV_PATH"] = "1"  # this environment's kernel, whatever the user has installed
    started = time.time()
    client = NotebookClient(
        notebook,
        timeout=CELL_SECONDS[preset],
        kernel_name="python3",
        resources={"metadata": {"path": str(folder)}},
        record_timing=False,
        coalesce_streams=True,  # a figure between two prints would cut their text in pieces
        extra_arguments=["--log-level=40"],
    )
    try:
        client.execute()
    except CellExecutionError as error:
        return time.time() - started, f"{error.ename}: {error.evalue}"
    except Exception as error:  # a cell that takes too long, a kernel that died
        said = str(error).strip().splitlines() or ["(it says nothing)"]  # a dead kernel leaves no words
        return time.time() - started, f"{type(error).__name__}: {said[0]}"
    return time.time() - started, None


def clean(notebook: nbformat.NotebookNode) -> None:
    """Take out what differs between machines or GitHub cannot render: timings, progress, widget state."""
    notebook.metadata = nbformat.from_dict(
        {
            "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
            **{key: notebook.metadata[key] for key in ("colorlib", *COLAB) if key in notebook.metadata},
        }
    )
    for cell in notebook.cells:
        for key in ("execution", "ExecuteTime", "collapsed", "scrolled"):
            cell.metadata.pop(key, None)
        if cell.cell_type == "code":
            cell.outputs = [output for output in map(_clean_output, cell.outputs) if output is not None]


def smaller_png(text: str) -> str:
    """The same pixels in fewer bytes: without an alpha channel that hides nothing, compressed once more."""
    image, smaller = Image.open(io.BytesIO(base64.b64decode(text))), io.BytesIO()
    if image.mode == "RGBA" and image.getextrema()[3] == (255, 255):
        image = image.convert("RGB")
    image.save(smaller, "PNG", optimize=True)
    return min(text, base64.b64encode(smaller.getvalue()).decode() + "\n", key=len)


def without_widget() -> nbformat.NotebookNode:
    """The sentence that stands where a page, or a saved notebook, cannot show a widget."""
    return nbformat.v4.new_output("display_data", {"text/markdown": CONTROL, "text/plain": CONTROL.strip("*")})


def _clean_output(output: nbformat.NotebookNode) -> nbformat.NotebookNode | None:
    if "data" in output:
        if WIDGET_VIEW in output.data:
            return without_widget()
        output.metadata = {key: value for key, value in output.metadata.items() if key != "needs_background"}
        if "image/png" in output.data:
            output.data["image/png"] = smaller_png(output.data["image/png"])
    if output.output_type == "stream":
        # a progress bar writes over its line: on a terminal the text after the last carriage return stays
        lines = [
            line.rsplit("\r", 1)[-1] for line in output.text.replace("\r\n", "\n").rstrip("\r").split("\n")
        ]
        output.text = "\n".join(lines)
        if not output.text.strip():
            return None
    return output


def spoken(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.1f} min"
