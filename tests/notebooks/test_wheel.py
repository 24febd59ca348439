"""Every notebook at preset smoke from an empty folder, with the wheel alone: what a reader on Colab has.

`make test` runs three of them, which read committed results in three ways; `pytest -m slow tests/notebooks` runs the
other seven (all ten take about ten minutes on two busy cores).
"""

import subprocess
import sys
import zipfile

import nbformat
import pytest

from _notebooks import ROOT, execute, read, series

FAST = ("01", "04", "05")
# the environment of the tests knows the checkout as an editable installation: take it off the path
FIRST = """import sys
from pathlib import Path
sys.path[:] = [place for place in sys.path if not (Path(place) / "pyproject.toml").is_file()]
import colorlib
from colorlib import runtime
assert Path(colorlib.__file__).parents[1].name == "installed" and runtime.checkout() is None, colorlib.__file__
assert not list(Path.cwd().iterdir())"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A folder with what the wheel holds, built once."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder], cwd=ROOT, check=True,
                   capture_output=True)
    wheel, = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "installed")
    return folder / "installed"


def test_the_wheel_holds_code_weights_and_results_alone(installed):
    assert {path.name.split("-")[0] for path in installed.iterdir()} == {"colorlib"}
    for name in ("course/nb05.py", "shipped/colorizer.safetensors", "results/stability_05.json", "studio/board.js"):
        assert (installed / "colorlib" / name).is_file(), name


@pytest.mark.parametrize("path", [
    pytest.param(path, id=path.stem, marks=[] if path.name[:2] in FAST else pytest.mark.slow) for path in series()])
def test_notebook_runs_with_the_wheel_alone(path, installed, tmp_path, monkeypatch):
    empty = tmp_path / "empty"
    empty.mkdir()
    monkeypatch.setenv("PYTHONPATH", str(installed))
    monkeypatch.setenv("COLORLIB_PRESET", "smoke")
    monkeypatch.setenv("COLORLIB_RESULTS", str(tmp_path / "results"))
    notebook = read(path)
    notebook.cells.insert(0, nbformat.v4.new_code_cell(FIRST))
    _, error = execute(notebook, "smoke", empty)
    assert error is None
