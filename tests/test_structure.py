"""The layout: what imports what, what `import colorlib` costs, and how many lines there may be."""

from __future__ import annotations

import ast
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parent.parent / "colorlib"
PROPER_LINES, COURSE_LINES = 7180, 5500  # the design's budgets are 5,000 and 5,500
CODE_LINES = 5000  # of colorlib proper, without docstrings, comments and blank lines
FILE_LINES = 350


def imported(path: Path) -> set[str]:
    """The modules of colorlib that a file imports anywhere in it, as full names (names of functions among them)."""
    package = ["colorlib", *path.relative_to(FOLDER).parent.parts]
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*above, *([node.module] if node.module else [])])
            found |= {f"{module}.{alias.name}" for alias in node.names}
    return {name for name in found if name.split(".")[0] == "colorlib"}


def part(path: Path) -> str:
    """The part of the library that a file belongs to: the folder or file directly below colorlib."""
    return path.relative_to(FOLDER).parts[0].removesuffix(".py")


def files(*suffixes: str) -> list[Path]:
    return sorted(path for path in FOLDER.rglob("*") if path.suffix in suffixes)


def lines(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


def test_the_library_never_imports_the_course():
    guilty = {str(path.relative_to(FOLDER)): sorted(names) for path in files(".py") if part(path) != "course"
              if (names := {name for name in imported(path) if name.split(".")[1] == "course"})}
    assert not guilty


def test_the_parts_import_each_other_in_one_direction():
    graph: dict[str, set[str]] = {}
    for path in files(".py"):
        graph.setdefault(part(path), set()).update(name.split(".")[1] for name in imported(path))
    edges = {name: {other for other in others if other in graph and other != name} for name, others in graph.items()}
    assert edges["colorizer"] >= {"color", "generators"}  # the walk sees imports at all
    list(TopologicalSorter(edges).static_order())  # raises CycleError, which names the circle


def test_import_colorlib_is_cheap():
    code = ("import sys, colorlib; print(sorted({'torch', 'numpy', 'fastai', 'torchmetrics', 'ipywidgets', 'accelerate'} "
            "& set(sys.modules)))")
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


@pytest.mark.parametrize("course, budget", [(False, PROPER_LINES), (True, COURSE_LINES)])
def test_the_lines_stay_in_the_budget(course, budget):
    counts = {str(path.relative_to(FOLDER)): lines(path) for path in files(".py", ".js", ".css")
              if (part(path) == "course") == course}
    assert sum(counts.values()) <= budget, sorted(counts.items(), key=lambda item: -item[1])[:10]


def code_lines(path: Path) -> int:
    """Lines with code in them."""
    text = path.read_text(encoding="utf-8")
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    strings = [] if path.suffix != ".py" else [
        node.body[0] for node in ast.walk(ast.parse(text)) if isinstance(node, documented) and ast.get_docstring(node)]
    prose = {line for string in strings for line in range(string.lineno, string.end_lineno + 1)}
    return sum(number not in prose and not line.strip().startswith(("#", "//", "/*")) and bool(line.strip())
               for number, line in enumerate(text.splitlines(), 1))


def test_the_code_stays_in_the_budget():
    counts = {str(path.relative_to(FOLDER)): code_lines(path) for path in files(".py", ".js", ".css")
              if part(path) != "course"}
    assert 0.9 * CODE_LINES < sum(counts.values()) <= CODE_LINES, sum(counts.values())


def test_no_file_is_long():
    long = {str(path.relative_to(FOLDER)): lines(path) for path in files(".py", ".js", ".css")
            if lines(path) > FILE_LINES}
    assert not long


def test_the_notebooks_folder_holds_nothing_but_notebooks():
    ignored = {".ipynb_checkpoints"}
    assert {path.suffix for path in (FOLDER.parent / "notebooks").iterdir() if path.name not in ignored} == {".ipynb"}
