"""Write the same first code cell into every notebook, with the address held in pyproject.toml, and the machine that Colab starts.

python scripts/stamp_notebooks.py            stamp them all
python scripts/stamp_notebooks.py --check    say which are out of date, and change nothing
"""

from __future__ import annotations

import argparse
import copy
import re
import sys

import nbformat

from _notebooks import COLAB, ROOT, STAMPED, read, series

PLACEHOLDER = "OWNER"
CELL = (
    STAMPED
    + """ if it is missing, from COLORLIB_SOURCE where that is set
import importlib.util as lib, os, subprocess, sys
url = os.getenv("COLORLIB_SOURCE", "@SOURCE@")
command = [sys.executable, *"-m pip install -qqq anywidget".split(), url]
if not lib.find_spec("colorlib") and subprocess.call(command):
    sys.exit(f"colorlib was not installed: no network? To see why: %pip install {url}")"""
)
FOLDED = {"cellView": "form", "jupyter": {"source_hidden": True}}  # on Colab, in JupyterLab


def source() -> str:
    """Where Colab gets colorlib from."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    found = re.search(r'^\[tool\.colorlib\]\n(?:#.*\n)*source = "([^"]+)"', text, re.MULTILINE)
    if not found:
        raise SystemExit(
            'pyproject.toml: [tool.colorlib] has no line source = "..."; Colab gets colorlib from there.'
        )
    return found[1]


def first_cell() -> str:
    return CELL.replace("@SOURCE@", source())


def badge(name: str) -> str | None:
    """The Colab badge of a notebook; None until there is an address that it could open."""
    found = re.search(r"github\.com/([\w.-]+/[\w.-]+?)(?:\.git)?(?:@(\w+))?$", source())
    if not found or PLACEHOLDER in found[1]:
        return None
    address = (
        f"https://colab.research.google.com/github/{found[1]}/blob/{found[2] or 'main'}/notebooks/{name}"
    )
    return f"[![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)]({address})"


def stamp(notebook: nbformat.NotebookNode, name: str) -> bool:
    """Put the first code cell, Colab's machine and the badge in place. Returns whether that changed anything."""
    before = copy.deepcopy(notebook)
    code = next((i for i, cell in enumerate(notebook.cells) if cell.cell_type == "code"), len(notebook.cells))
    if code == len(notebook.cells) or not notebook.cells[code].source.startswith(STAMPED):
        code = min(code, 1)
        notebook.cells.insert(code, nbformat.v4.new_code_cell())
    notebook.cells[code].source = first_cell()
    notebook.cells[code].metadata.update(nbformat.from_dict(FOLDED))
    if badge(name) and notebook.cells[0].cell_type == "markdown":
        lines = [line for line in notebook.cells[0].source.split("\n") if "colab-badge.svg" not in line]
        notebook.cells[0].source = "\n".join(lines[:1] + ["", badge(name)] + lines[1:])
        notebook.cells[0].source = re.sub(r"\n{3,}", "\n\n", notebook.cells[0].source)
    notebook.metadata.update(nbformat.from_dict(COLAB))
    return before != notebook


def main() -> int:
    parser = argparse.ArgumentParser(description="Write the same first code cell into every notebook.")
    parser.add_argument(
        "--check", action="store_true", help="change nothing; exit code 1 where a notebook is out of date"
    )
    options = parser.parse_args()
    stale = []
    for path in series():
        notebook = read(path)
        if stamp(notebook, path.name):
            stale.append(path.name)
            if not options.check:
                nbformat.write(notebook, path)
    print(f"{'Out of date' if options.check else 'Stamped'}: {', '.join(stale) or 'none'}")
    return 1 if stale and options.check else 0


if __name__ == "__main__":
    sys.exit(main())
