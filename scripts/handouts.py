"""A notebook of each chapter to hand out, without answers and outputs: `make handouts`.

    python scripts/handouts.py          all of them, into build/handouts
    python scripts/handouts.py 01 04    these
The text of a folded answer is taken out; an empty cell for the reader's own answer stands in its place.
"""

from __future__ import annotations

import base64
import re
import shutil
import sys
from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell

from _notebooks import NOTEBOOKS, ROOT, read, series

HANDOUTS = ROOT / "build" / "handouts"
_ANSWER = re.compile(r"<details.*?</details>", re.DOTALL | re.IGNORECASE)
_PICTURE = re.compile(r"!\[([^\]]*)\]\((\.\./[^)\s]+\.png)\)")


def handout(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """A copy without answers and outputs; where an answer was, an empty cell: code where the answer has code, else text."""
    cells = []
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cells.append(new_code_cell(cell.source, id=cell.id, metadata=cell.metadata))
            continue
        kept = _ANSWER.split(cell.source)
        answers = _ANSWER.findall(cell.source)
        for number, text in enumerate(kept):
            if text.strip():
                cells.append(_portable(text.strip(), f"{cell.id}-{number}" if answers else cell.id))
            if number < len(answers):
                name = f"{cell.id}-{number}-answer"
                code = "```python" in answers[number]
                cells.append(new_code_cell("# your code\n", id=name) if code else new_markdown_cell("*Your answer:*", id=name))
    metadata = {key: notebook.metadata[key] for key in ("kernelspec", "language_info") if key in notebook.metadata}
    return nbformat.v4.new_notebook(cells=cells, metadata=metadata)


def _portable(text: str, cell_id: str) -> nbformat.NotebookNode:
    """A Markdown cell that carries its pictures with it, and whose links lead from build/handouts to the project's files."""
    cell = new_markdown_cell(text, id=cell_id)
    for _, path in _PICTURE.findall(text):
        name = Path(path).name
        picture = base64.b64encode((NOTEBOOKS / path).read_bytes()).decode()
        cell.setdefault("attachments", {})[name] = {"image/png": picture}
        cell.source = cell.source.replace(f"]({path})", f"](attachment:{name})")
    cell.source = cell.source.replace("](../", "](../../")
    return cell


def main(chosen: list[str]) -> int:
    paths = [path for path in series() if not chosen or path.name[:2] in chosen]
    if not paths:
        print(f"No notebook of the series is called {' or '.join(chosen)}: give its number, such as 04.", file=sys.stderr)
        return 1
    shutil.rmtree(HANDOUTS, ignore_errors=True)
    HANDOUTS.mkdir(parents=True)
    for path in paths:
        nbformat.write(handout(read(path)), HANDOUTS / path.name)
    print(f"{len(paths)} notebooks without answers and outputs: {HANDOUTS}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
