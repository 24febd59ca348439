"""The library's tests and every notebook under nbval at preset smoke, with one summary line: `make test`.

    python scripts/run_tests.py [arguments of pytest]
The notebooks that nbval runs are copies in build/tests, with the code of the folded answers at their end: it
runs in the notebook's own kernel, after the cells that the reader ran.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import nbformat
import pytest

from _notebooks import CELL_SECONDS, ROOT, answers, read, series, workplace


def with_answers(path: Path, folder: Path) -> Path:
    """A copy of a notebook with its answers as cells; stored outputs only where nbval is to compare."""
    notebook = read(path)
    for cell in notebook.cells:
        if cell.cell_type == "code" and "NBVAL_CHECK_OUTPUT" not in cell.source:
            cell.outputs, cell.execution_count = [], None
    notebook.cells += [nbformat.v4.new_code_cell(code) for code in answers(notebook)]
    copy = folder / path.name
    nbformat.write(notebook, copy)
    return copy


def nbval_arguments(copies: list[Path]) -> list[str]:
    return [
        "--nbval-lax",
        "--nbval-current-env",
        f"--nbval-cell-timeout={CELL_SECONDS['smoke']}",
        f"--nbval-sanitize-with={ROOT / 'tests' / 'notebooks' / 'sanitize.cfg'}",
        *map(str, copies),
    ]


def main(arguments: list[str]) -> int:
    os.chdir(ROOT)
    folder = workplace(ROOT / "build" / "tests" / "notebooks")
    os.environ.pop("COLORLIB_PHOTOS", None)  # no test depends on a folder of this machine
    os.environ["COLORLIB_PRESET"] = "smoke"
    os.environ["COLORLIB_RESULTS"] = str(ROOT / "build" / "tests" / "results")
    os.environ["JUPYTER_PREFER_ENV_PATH"] = "1"
    copies = [with_answers(path, folder) for path in series()]
    return int(pytest.main(["tests", *nbval_arguments(copies), "-m", "not slow", "-q", *arguments]))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
