"""The READMEs: links and paths lead somewhere, the worked example runs, the journeys name functions that exist."""

from __future__ import annotations

import ast
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGES = ("README.md", "data/README.md", "colorlib/README.md", "CHANGELOG.md")
WRITTEN_BY_COMMANDS = ("build/", "wheelhouse/", ".venv", "run/", "RUN/", "coloured", "mine", "data/downloads",
                       "downloads/")
PATH = re.compile(r"(?<![\w/.~-])((?:[\w.-]+[/\\])*[\w.-]+\.(?:py|md|ipynb|json|safetensors|txt|yml|toml|png)"
                  r"|(?:colorlib|scripts|tests|notebooks|data)(?:[/\\][\w.-]+)+[/\\]?)(?![\w/-])")
EXAMPLES = {"l1.safetensors", "settings.json", "report.json", "weights.safetensors", "history.json", "checkpoint.safetensors", "checkpoint.before.safetensors"}


def text(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def blocks(kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```", text("README.md"), re.DOTALL | re.MULTILINE)


def today(page: str) -> str:
    """A page without the column of old names."""
    return re.sub(r"^\| (.*?) \|", "|", text(page), flags=re.MULTILINE) if page == "CHANGELOG.md" else text(page)


@pytest.mark.parametrize("page", PAGES)
def test_every_relative_link_leads_to_a_file_or_heading(page):
    links = [link for link in re.findall(r"\]\(([^)\s]+)\)", text(page)) if "://" not in link]
    assert links or page == "CHANGELOG.md"
    for link in links:
        path, _, heading = link.partition("#")
        target = (ROOT / page).parent / path if path else ROOT / page
        assert target.exists(), f"{page}: the link {link} leads nowhere"
        if heading:
            titles = re.findall(r"^#+ (.+)$", target.read_text(encoding="utf-8"), re.MULTILINE)
            assert heading in {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}, link


@pytest.mark.parametrize("page", PAGES)
def test_every_path_exists(page):
    found = {match.replace("\\", "/") for match in PATH.findall(today(page))}
    assert found or page == "CHANGELOG.md"
    folders = (ROOT, (ROOT / page).parent, ROOT / "colorlib", ROOT / "data/results")
    missing = sorted(path for path in found - EXAMPLES if not path.startswith(WRITTEN_BY_COMMANDS)
                     and not any((folder / path).exists() for folder in folders))
    assert not missing


def definitions(path: Path) -> set[str]:
    """The names that a file defines: functions, classes, `Class.method`."""
    found = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        found.add(getattr(node, "name", ""))
        if isinstance(node, ast.ClassDef):
            found |= {f"{node.name}.{part.name}" for part in node.body if isinstance(part, ast.FunctionDef)}
    return found


def test_the_journeys_name_functions_that_exist():
    named = re.findall(r"([\w/]+\.py): ([A-Za-z_][\w.]*\w)", text("colorlib/README.md"))
    assert len(named) > 30
    wrong = [f"{path}: {name}" for path, name in named if name not in definitions(ROOT / "colorlib" / path)]
    assert not wrong


def test_the_map_names_every_part_of_the_library():
    parts = {path.name + "/" * path.is_dir() for path in (ROOT / "colorlib").iterdir()
             if (path.suffix == ".py" or (path / "__init__.py").exists())}
    first_columns = re.findall(r"^\| (`.+?) \|", text("colorlib/README.md"), re.MULTILINE)
    listed = set(re.findall(r"`([\w/.]+)`", "".join(first_columns)))
    assert listed == parts - {"__init__.py", "widgets.py"}


def test_the_worked_example_runs():
    code, = blocks("python test")
    assert len(code.splitlines()) < 20
    names: dict = {}
    exec(code, names)  # noqa: S102
    assert names["history"].num_steps == 20 and set(names["history"].losses) == {"discriminator", "generator", "l1"}


@pytest.mark.parametrize("code", blocks("python"))
def test_the_other_examples_import_what_exists(code):
    compile(code, "README.md", "exec")
    imports = [line for line in code.splitlines() if line.startswith("from ")]
    assert imports
    exec("\n".join(imports), {})  # noqa: S102


def test_every_make_target_exists():
    targets = set(re.findall(r"^(\w+):", text("Makefile"), re.MULTILINE))
    named = set(re.findall(r"(?:^|`(?:\w+=\w+ )?)make (\w+)", text("README.md"), re.MULTILINE))
    assert {"lab", "studio", "run", "test"} <= named <= targets


def test_every_option_of_the_commands_exists():
    lines = [line.split("#")[0] for block in blocks("bash") for line in block.splitlines() if "colorlib " in line]
    commands = [shlex.split(line) for line in lines if line.startswith(".venv/bin/colorlib")]
    assert {command[1] for command in commands} == {"colorize", "evaluate", "train"}
    for name in ("colorize", "evaluate", "train"):
        page = subprocess.run([sys.executable, "-m", "colorlib.cli", name, "--help"], capture_output=True, text=True,
                              check=True).stdout
        for command in commands:
            if command[1] == name:
                assert {part for part in command if part.startswith("-")} <= set(re.findall(r"--?[\w-]+", page))


@pytest.mark.parametrize("page", PAGES)
def test_words_are_plain(page):
    banned = "told|shall|whoever|hangs on|in the mean|judge|game|doubt|in one breath|so many|nobody knows|opponent"
    assert not re.findall(rf"\b({banned})\b", re.sub(r"`.*?`", "", text(page)), re.IGNORECASE)
