"""The pages: links and paths lead somewhere, the worked example runs, journeys name functions, tables follow the results."""

from __future__ import annotations

import ast
import importlib.util
import json
import re
import shlex
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import nbformat
import pytest

from colorlib.course.claims import ratio, result_of, value

ROOT = Path(__file__).resolve().parent.parent
PAGES = ("README.md", "data/README.md", "data/weights/README.md", "colorlib/README.md", "CHANGELOG.md", "CONTRIBUTING.md",
         "docs/class.md", "docs/benchmarks.md", "docs/verdicts.md")
NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))
LINKED = sorted({*PAGES, *(str(path.relative_to(ROOT)) for path in (*(ROOT / "docs").rglob("*.md"), *NOTEBOOKS))})
WRITTEN_BY_COMMANDS = ("build/", "wheelhouse/", ".venv", "run/", "RUN/", "coloured", "mine", "data/downloads",
                       "downloads/")
PATH = re.compile(r"(?<![\w/.~-])((?:[\w.-]+[/\\])*[\w.-]+\.(?:py|md|ipynb|json|safetensors|txt|yml|toml|png)"
                  r"|(?:colorlib|scripts|tests|notebooks|data)(?:[/\\][\w.-]+)+[/\\]?)(?![\w/-])")
EXAMPLES = {"l1.safetensors", "settings.json", "report.json", "weights.safetensors", "history.json",
            "checkpoint.safetensors", "checkpoint.before.safetensors"}


def text(page: str) -> str:
    """A page, or the Markdown of a notebook."""
    if page.endswith(".ipynb"):
        cells = nbformat.read(ROOT / page, as_version=4).cells
        return "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    return (ROOT / page).read_text(encoding="utf-8")


def anchors(page: Path) -> set[str]:
    """What GitHub makes of the headings."""
    titles = re.findall(r"^#+ (.+)$", text(str(page.resolve().relative_to(ROOT))), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


def blocks(kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```", text("README.md"), re.DOTALL | re.MULTILINE)


def today(page: str) -> str:
    """A page without the column of old names."""
    return re.sub(r"^\| (.*?) \|", "|", text(page), flags=re.MULTILINE) if page == "CHANGELOG.md" else text(page)


@pytest.mark.parametrize("page", LINKED)
def test_every_relative_link_leads_to_a_file_or_heading(page):
    prose = re.sub(r"```.*?```|`[^`\n]*`", "", text(page), flags=re.DOTALL)
    links = [link for link in re.findall(r"\]\(([^)\s]+)\)", prose) if "://" not in link]
    assert links or page == "CHANGELOG.md" or page not in PAGES
    for link in links:
        path, _, heading = link.partition("#")
        target = (ROOT / page).parent / path if path else ROOT / page
        assert target.exists(), f"{page}: the link {link} leads nowhere"
        assert not heading or heading in anchors(target), f"{page}: {link}"


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


@pytest.mark.parametrize("page", LINKED)
def test_words_are_plain(page):
    banned = "told|shall|whoever|hangs on|in the mean|judge|game|doubt|in one breath|so many|nobody knows|opponent"
    assert not re.findall(rf"\b({banned})\b", re.sub(r"`.*?`", "", text(page)), re.IGNORECASE)


# tables that follow the results


@pytest.fixture(scope="module")
def summary():
    """scripts/summary.py as a module."""
    sys.path.insert(0, str(ROOT / "scripts"))
    spec = importlib.util.spec_from_file_location("summary", ROOT / "scripts" / "summary.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_tables_are_those_of_the_results(summary, capsys):
    assert summary.main(["--check"]) == 0, f"run scripts/summary.py: {capsys.readouterr().out}"


def test_a_changed_result_is_seen(summary, monkeypatch, tmp_path):
    for path in summary.CLAIMS.glob("*.json"):
        record = json.loads(path.read_text(encoding="utf-8"))
        if path.stem == "C26":
            record["conditions"][0]["mean"] = 0.5
        (tmp_path / path.name).write_text(json.dumps(record), encoding="utf-8")
    monkeypatch.setattr(summary, "CLAIMS", tmp_path)
    assert "The error falls to 50\N{NO-BREAK SPACE}%." in summary.for_readme(summary.records())
    assert summary.main(["--check"]) == 1


def record_of(condition, values, verdict):
    return {"verdict": verdict, "conditions": [asdict(condition) | {"values": values}]}


@pytest.mark.parametrize("middle, verdict", [(0.3, "supported"), (0.7, "weaker"), (1.0, "undecided"), (1.4, "refuted")])
def test_a_verdict_far_from_every_bound_comes_out_again(summary, middle, verdict):
    narrow = [middle * 1.01**k for k in (-2, -1, 0, 1, 2)]
    for condition in (ratio("error, new / old", "< 0.5"), value("error", "< 0.5", parity=1)):
        assert result_of(condition, narrow).verdict == verdict
        assert summary.same_again(record_of(condition, narrow, verdict)) > (0.93 if verdict == "undecided" else 0.999)
    turned = [2 - x for x in narrow]
    assert result_of(value("gain", "> 1.5", parity=1), turned).verdict == verdict
    assert summary.same_again(record_of(value("gain", "> 1.5", parity=1), turned, verdict)) > 0.93


def test_a_verdict_at_a_bound_comes_out_again_in_half_of_the_reruns(summary):
    values = [0.1, 0.2, 0.3, 0.4, 0.5]
    condition = value("error", f"< {result_of(value('error', '< 2', parity=3), values).interval[1]:.6f}", parity=3)
    assert 0.4 < summary.same_again(record_of(condition, values, "supported")) < 0.6
    both = record_of(condition, values, "supported")
    both["conditions"] *= 2  # each passes in half of the reruns, both in a quarter
    assert 0.15 < summary.same_again(both) < 0.4


def test_every_claim_and_every_sentence_is_on_the_page_of_the_source(summary):
    rows = summary.sentences()
    named = {claim for row in rows for claim in row["claims"].split()}
    assert named == set(summary.records())
    assert {row["kind"] for row in rows} == {"claim", "explained", "corrected"}
    numbered = [row["sentence"] for row in rows if row["sentence"] != "ours"]
    for part, last in {"A": 24, "B1.": 4, "B2.": 11, "B3.": 11}.items():
        assert [name for name in dict.fromkeys(numbered) if name.startswith(part)] == [f"{part}{k}" for k in range(1, last + 1)]
    assert all(bool(row["claims"]) == (row["kind"] != "explained") for row in rows)


def test_the_minutes_of_the_teachers_page_are_those_of_the_notebooks():
    rows = re.findall(r"^\| \d\d \| \[([\w +-]+)\]\((\S+)\) \| (\d+) s \| (\d+) min \| (?:(\d+) min)? ?\|$", text("docs/class.md"), re.MULTILINE)
    assert [Path(path).name for _, path, *_ in rows] == [path.name for path in NOTEBOOKS]
    for _, path, smoke, laptop, gpu in rows:
        page = text(f"notebooks/{Path(path).name}")
        own = {name: re.search(rf"^\| {name} \|.*?(\d+) (?:s|min)", page, re.MULTILINE) for name in ("smoke", "laptop", "gpu")}
        assert (smoke, laptop) == (own["smoke"][1], own["laptop"][1]), path
        assert gpu == (own["gpu"][1] if own["gpu"] else ""), path
    total = sum(int(laptop) for _, _, _, laptop, _ in rows)
    assert f"In {total} minutes of these the machine works" in text("README.md")


def test_the_quiz_has_an_answer_to_each_question():
    quiz = text("docs/class.md").split("## Quiz")[1]
    questions = re.findall(r"^\*\*(\d+)\.\*\* ", quiz, re.MULTILINE)
    assert questions == [str(k) for k in range(1, len(questions) + 1)] and len(questions) >= 10
    assert quiz.count("<details><summary>Answer</summary>") == quiz.count("</details>") == len(questions)
    named = re.findall(r"\((\d\d), (section|exercise) (\d+)\)", quiz)
    assert len(named) == len(questions)
    for number, kind, place in named:
        path, = (path for path in NOTEBOOKS if path.name.startswith(number))
        page = text(f"notebooks/{path.name}")
        part, start = (page, "## ") if kind == "section" else (page.split("## Exercises")[1], r"(?:\*\*)?")
        assert re.search(rf"^{start}{place}\.", part, re.MULTILINE), (number, kind, place)


BENCH = (  # what the page of the benchmarks shows: group and name of a row, and how its value is written
    ("color, uint8 -> Lab, 2 threads", "colorlib", "{:.0f} MP/s"), ("color, Lab -> uint8, 2 threads", "colorlib", "{:.0f} MP/s"),
    ("color, uint8 -> Lab, 2 threads", "OpenCV", "OpenCV {:.0f}"), ("color, uint8 -> Lab, 2 threads", "kornia", "kornia {:.0f}"),
    ("color, uint8 -> Lab, 2 threads", "scikit-image", "scikit-image {:.0f}"), ("photos", "batches 64 x 64", "{:,.0f} pictures/s"),
    ("scenes", "scenes 64 x 64", "{:,.0f} pictures/s"), ("residual U-Net", "training at 256", "{:.1f} pictures/s"),
    ("residual U-Net", "training at 64", "{:.0f} pictures/s"), ("colorizer", "12 MP photograph", "{:.2f} s"),
    ("seeds", "GAN step, points, batch 64, Ensemble", "{:.2g} ms per seed"),
)  # fmt: skip


@pytest.mark.parametrize("group, name, spelled", BENCH)
def test_the_numbers_of_the_benchmarks_are_those_of_the_result(group, name, spelled):
    rows = json.loads(text("data/results/bench.json"))["rows"]
    value, = (row["value"] for row in rows if (row["group"], row["name"]) == (group, name))
    assert spelled.format(value) in text("docs/benchmarks.md")


def test_the_speed_in_the_readme_is_that_of_the_benchmarks():
    lines = text("README.md").split("### Speed")[1].split("##")[0]
    numbers = set(re.findall(r"\d[\d,.]*", re.sub(r"`[^`]*`|8-bit|\d+ x \d+", "", lines))) - {"2", "30"}
    page = set(re.findall(r"\d[\d,.]*", text("docs/benchmarks.md")))
    assert len(numbers) > 5 and {number.rstrip(".,") for number in numbers} <= {number.rstrip(".,") for number in page}
