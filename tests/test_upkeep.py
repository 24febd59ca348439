"""Style, spelling, the workflow of GitHub and CITATION.cff: what `make lint` checks before the other tests."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import check_jsonschema
import nbformat
import pytest
import yaml
from click.testing import CliRunner

ROOT = Path(__file__).resolve().parent.parent
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))


def tool(module: str, *arguments: object) -> subprocess.CompletedProcess:
    """A command of this environment, run in the project's folder."""
    return subprocess.run([sys.executable, "-m", module, *map(str, arguments)], cwd=ROOT, capture_output=True, text=True)


def test_ruff_finds_nothing():
    found = tool("ruff", "check", "--no-cache", "--output-format=concise")
    assert found.returncode == 0, found.stdout + found.stderr


@pytest.fixture
def prose(tmp_path) -> Path:
    """The text that people read: the Markdown of the notebooks, one file each."""
    for path in (ROOT / "notebooks").glob("*.ipynb"):
        cells = nbformat.read(path, as_version=4).cells
        text = "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
        (tmp_path / f"{path.stem}.md").write_text(text, encoding="utf-8")
    return tmp_path


def test_codespell_finds_nothing(prose):
    assert len(list(prose.iterdir())) >= 10
    pages = [*ROOT.glob("*.md"), *ROOT.glob("*.cff"), ROOT / "Makefile", *(ROOT / "docs").rglob("*.md"),
             *(ROOT / "data").rglob("*.md"), *(ROOT / ".github").rglob("*.yml")]
    found = tool("codespell_lib", "--toml=pyproject.toml", prose, *pages, "colorlib", "scripts", "tests")
    assert found.returncode == 0, found.stdout + found.stderr


def test_codespell_sees_an_error(tmp_path):
    (tmp_path / "page.md").write_text("The discriminator " + "receives".replace("ei", "ie") + " a pair.")
    assert "==> receives" in tool("codespell_lib", "--toml=pyproject.toml", tmp_path).stdout


def assert_fits(schema: str, *paths: Path) -> None:
    """By the schema of this name that check-jsonschema brings. In this process: it starts as slowly as Jupyter."""
    found = CliRunner().invoke(check_jsonschema.main, ["--builtin-schema", schema, *map(str, paths)])
    assert found.exit_code == 0, found.output


@pytest.mark.parametrize("schema", ["vendor.github-workflows", "custom.github-workflows-require-timeout"])
def test_the_workflows_fit_their_schema(schema):
    assert_fits(schema, *WORKFLOWS)


def test_the_workflow_runs_the_tests_on_every_python_and_system():
    job = yaml.safe_load((ROOT / ".github/workflows/test.yml").read_text(encoding="utf-8"))["jobs"]["test"]
    pythons = job["strategy"]["matrix"]["python"]
    low, high = re.search(r'requires-python = ">=3\.(\d+),<3\.(\d+)"', (ROOT / "pyproject.toml").read_text("utf-8")).groups()
    assert pythons == [f"3.{minor}" for minor in range(int(low), int(high))]
    assert {system.split("-")[0] for system in job["strategy"]["matrix"]["system"]} == {"ubuntu", "macos", "windows"}
    commands = [step["run"] for step in job["steps"] if "run" in step]
    assert any(command.startswith("make test") for command in commands)
    windows, = [command for command in commands if "Scripts" in command]
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for line in windows.strip().splitlines():  # the plain commands that the README gives
        assert re.sub(r"^python ", "py ", line) in readme, line


def test_the_citation_is_valid_and_of_this_version():
    assert_fits("vendor.citation-file-format", ROOT / "CITATION.cff")
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    project = dict(re.findall(r'^(version|license) = "(.+)"', (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE))
    assert (citation["version"], citation["license"]) == (project["version"], project["license"])
