"""The form that a notebook of the series has: each rule yields, in words, what is wrong with one notebook."""

from __future__ import annotations

import json
import re
import statistics
from collections.abc import Iterator
from pathlib import Path

import nbformat
from _notebooks import COLAB, STAMPED, WIDGET_VIEW, answers, code_cells, code_hash
from stamp_notebooks import FOLDED, first_cell

from colorlib.course.claims import VERDICTS

MAX_BYTES = 1_500_000
LINE = 88  # characters of a line of code that fit beside the contents of a page
READING = 12  # words: less after a figure only announces the next cell
LONGEST = 60  # words, without formulas and tables: more after an output is a lecture and not its reading
BADGE = "https://colab.research.google.com/assets/colab-badge.svg"
MACHINE_PATH = re.compile(r"(?<![\w.])/(?:root|home|Users|work|tmp|private|content)/[\w.-]+|[A-Z]:\\\\?Users")
CLAIM_ROW = re.compile(r"^\|\s*(C\d+[a-z]?)\b.*\|\s*$", re.MULTILINE)
Notebook = nbformat.NotebookNode


def problems(path: Path, following: Path | None, claims: Path) -> list[str]:
    """What is wrong with the notebook at `path`.

    Args:
        path: the notebook.
        following: the next one of the series, to which it has to link; None for the last.
        claims: the folder of the result files, C1.json and so on.
    """
    notebook = nbformat.read(path, as_version=4)
    return [
        *size(path),
        *code(notebook),
        *outputs(notebook),
        *figures(notebook),
        *prose(notebook),
        *headings(notebook),
        *sections(notebook),
        *next_link(notebook, following),
        *laptop(notebook),
        *verdicts(notebook, claims),
    ]


def markdown(notebook: Notebook) -> str:
    return "\n\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")


def section(notebook: Notebook, name: str) -> str | None:
    """The text below the heading `## name`, up to the next one of its level."""
    found = re.search(rf"^## {name}[^\n]*\n(.*?)(?=^## |\Z)", markdown(notebook), re.DOTALL | re.MULTILINE)
    return found[1] if found else None


def size(path: Path) -> Iterator[str]:
    if path.stat().st_size >= MAX_BYTES:
        yield f"{path.stat().st_size / 1e6:.1f} MB; at most {MAX_BYTES / 1e6} MB: fewer or smaller figures"


def code(notebook: Notebook) -> Iterator[str]:
    cells = code_cells(notebook)
    lengths = [len(cell.source.splitlines()) for cell in cells]
    if not cells:
        yield "no code cell"
        return
    own = statistics.median(lengths[1:] or [0])  # without the stamped one
    if own > 8:
        yield f"the median code cell has {own:g} lines; at most 8"
    if max(lengths) > 30:
        longest = cells[lengths.index(max(lengths))].source
        yield f"a code cell has {max(lengths)} lines; at most 30: {longest[:50]!r}"
    if cells[0].source != first_cell():
        yield "the first code cell is not the stamped one: run scripts/stamp_notebooks.py"
    elif not FOLDED.items() <= cells[0].metadata.items():
        yield "the first code cell is not folded: run scripts/stamp_notebooks.py"
    if not COLAB.items() <= notebook.metadata.items():
        yield "Colab would not start a T4: run scripts/stamp_notebooks.py"
    for before, cell in zip([None, *notebook.cells], notebook.cells, strict=False):
        if cell.cell_type != "code":
            continue
        if not cell.source.strip():
            yield "an empty code cell"
        for line in cell.source.splitlines():
            if len(line) > LINE:
                yield f"a line of code has {len(line)} characters; at most {LINE}: {line[:50]!r}"
        if before is None or before.cell_type != "markdown" or not before.source.strip():
            yield f"no prose before the code cell {cell.source[:50]!r}"


def outputs(notebook: Notebook) -> Iterator[str]:
    counts = [cell.execution_count for cell in code_cells(notebook)]
    if counts != list(range(1, len(counts) + 1)):
        yield f"not one run from top to bottom: the execution counts are {counts}"
    if "widgets" in notebook.metadata:
        yield "widget state in the metadata, which GitHub cannot render"
    for cell in code_cells(notebook):
        for output in cell.outputs:
            where = f"in the output of {cell.source[:50]!r}"
            if output.output_type == "error":
                yield f"an error {where}: {output.ename}"
            if WIDGET_VIEW in output.get("data", {}):
                yield f"a widget {where}, which GitHub cannot render"
            text = output.get("text", "") + "".join(
                str(value) for kind, value in output.get("data", {}).items() if kind.startswith("text/")
            )
            if MACHINE_PATH.search(text):
                yield f"a path of the machine {where}: {MACHINE_PATH.search(text)[0]}"
            if re.search(r"<(?:img|script|link)[^>]+(?:src|href)=.https?:", text):
                yield f"something from elsewhere {where}"


def figures(notebook: Notebook) -> Iterator[str]:
    """Every figure is read in the next cell, and every output in few words."""
    for cell, following in zip(notebook.cells, [*notebook.cells[1:], None], strict=True):
        kinds = [kind for output in cell.get("outputs", []) for kind in output.get("data", {})]
        text = following.source if following and following.cell_type == "markdown" else ""
        if any(kind.startswith("image/") for kind in kinds) and len(text.split()) < READING:
            yield f"the figure of {cell.source[:50]!r} is not read in the next cell: {text[:50]!r}"
        if cell.get("outputs") and words(text) >= LONGEST:
            yield f"the reading {text[:50]!r} has {words(text)} words; at most {LONGEST - 1}"


def words(reading: str) -> int:
    """Of the text before the first heading, which begins something new; without formulas, tables and code."""
    text = re.split(r"^#+ ", re.sub(r"^```.*?^```", "", reading, flags=re.DOTALL | re.MULTILINE), flags=re.MULTILINE)[0]
    text = re.sub(r"\$\$.*?\$\$|(?<!\\)\$[^$]+\$|^\s*\|[^\n]*$|\]\([^)]*\)", "", text, flags=re.DOTALL | re.MULTILINE)
    return len(re.findall(r"\S*\w\S*", text))


def headings(notebook: Notebook) -> Iterator[str]:
    """One title; sections that are numbered from 1 on without a gap; no level left out."""
    text = re.sub(r"^```.*?^```", "", markdown(notebook), flags=re.DOTALL | re.MULTILINE)
    found = [(len(marks), title) for marks, title in re.findall(r"^(#+) (.+)$", text, re.MULTILINE)]
    numbers = [int(number) for level, title in found if level == 2 for number in re.findall(r"^(\d+)\. ", title)]
    if numbers != list(range(1, len(numbers) + 1)):
        yield f"the sections are numbered {numbers}"
    if [level for level, _ in found].count(1) > 1:
        yield "more than one title"
    for (before, _), (level, title) in zip(found, found[1:], strict=False):
        if level > before + 1:
            yield f"the heading {title!r} leaves out a level"


def prose(notebook: Notebook) -> Iterator[str]:
    text = markdown(notebook)
    pictures = re.findall(r"!\[[^\]]*\]\((https?:[^)\s]+)", text) + re.findall(
        r"<img[^>]*src=.(https?:[^\"']+)", text
    )
    for address in pictures:
        if address != BADGE:
            yield f"a hot-linked picture: {address}"
    for cell in notebook.cells:
        mark = re.search(r"\b(TODO|FIXME|XXX)\b", cell.source)
        if mark:
            yield f"a {mark[0]}: {cell.source[max(0, mark.start() - 20) : mark.end() + 30]!r}"
        if MACHINE_PATH.search(cell.source) and not cell.source.startswith(STAMPED):
            yield f"a path of the machine: {MACHINE_PATH.search(cell.source)[0]}"


def sections(notebook: Notebook) -> Iterator[str]:
    first = notebook.cells[0]
    if first.cell_type != "markdown" or not first.source.startswith("# ") or "?" not in first.source:
        yield "the first cell is not a title and one question"
    opening = "\n".join(cell.source for cell in notebook.cells[:3] if cell.cell_type == "markdown")
    if "laptop" not in opening or not re.search(r"\d+ (s|seconds?|min|minutes?)\b", opening):
        yield "the first cells do not say how long it takes at preset laptop"
    for name in ("What we measured", "Exercises", "References"):
        if section(notebook, name) is None:
            yield f"no section '## {name}'"
    folded = len(re.findall(r"<details", section(notebook, "Exercises") or ""))
    if not 3 <= folded <= 5:
        yield f"{folded} exercises with a folded answer (<details>); 3 to 5"
    for answer in answers(notebook):
        try:
            compile(answer, "answer", "exec")
        except SyntaxError as error:
            yield f"the answer of an exercise is not Python: {error}"


def next_link(notebook: Notebook, following: Path | None) -> Iterator[str]:
    last = notebook.cells[-1]
    if following is not None and (last.cell_type != "markdown" or f"]({following.name})" not in last.source):
        yield f"the last cell does not link to the next notebook, {following.name}"


def laptop(notebook: Notebook) -> Iterator[str]:
    """`make notebooks` writes down which preset and which code the outputs are of."""
    run = notebook.metadata.get("colorlib", {})
    if run.get("preset") != "laptop":
        yield "the outputs are not of preset laptop: run make notebooks"
    elif run.get("code") != code_hash(notebook):
        yield "the code was changed after the outputs were made: run make notebooks"


def verdicts(notebook: Notebook, claims: Path) -> Iterator[str]:
    """The table 'What we measured' against the result files."""
    table = section(notebook, "What we measured") or ""
    rows = {row[1]: row[0] for row in CLAIM_ROW.finditer(table)}
    for name in re.findall(
        r"Claim\(\s*[\"'](C\d+[a-z]?)[\"']", "\n".join(cell.source for cell in code_cells(notebook))
    ):
        if name not in rows:
            yield f"{name} is judged and has no row in 'What we measured'"
    for name, row in rows.items():
        file = claims / f"{name}.json"
        if not file.is_file():
            yield f"{name} has a row in 'What we measured' and no result file {file.name}"
            continue
        record = json.loads(file.read_text(encoding="utf-8"))
        said = [bold for bold in re.findall(r"\*\*([^*]+)\*\*", row) if bold in VERDICTS]
        if said != [record["verdict"]]:
            yield f"{name}: in bold stands {said or 'no verdict'}, in the result file {record['verdict']!r}"
        for shown in (condition["number"] for condition in record["conditions"]):
            number = rf"(?<![\d.]){re.escape(shown)}(?![\d]|\.\d)"
            if not re.search(number, row.replace("\N{MINUS SIGN}", "-")):
                yield f"{name}: the row does not hold the number of the result file, {shown}"
        if record["preset"] not in ("laptop", "gpu"):
            yield f"{name}: the result file is of preset {record['preset']}"
