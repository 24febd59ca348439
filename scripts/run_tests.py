"""The library's tests and every notebook under nbval at preset smoke, with one summary line: `make test`.

    python scripts/run_tests.py [arguments of pytest]
The notebooks that nbval runs are copies in build/tests, with the code of the folded answers at their end: it
runs in the notebook's own kernel, after the cells that the reader ran. That kernel imports colorlib from what the wheel
holds, as on Colab, and not from this checkout.

Each core tests one file at a time, if there are 5 GB of memory for it: a process and its kernel take up to that.
`-n 0` is one process for all.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import nbformat
import psutil
import pytest

from _notebooks import CELL_SECONDS, ROOT, answers, read, series, workplace

KERNEL = "colorlib-wheel"
FIRST = """from pathlib import Path
import colorlib
from colorlib import runtime
assert Path(colorlib.__file__).parents[1].name == "wheel" and runtime.checkout() is None, colorlib.__file__"""


def installed_wheel(folder: Path) -> Path:
    """Build the wheel, and unpack into `folder` what pip would install of it."""
    shutil.rmtree(folder, ignore_errors=True)
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder]
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    wheel, = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    wheel.unlink()
    return folder


def wheel_kernel(folder: Path) -> Path:
    """A kernel of this environment that finds what the wheel holds before the checkout. Returns its JUPYTER_PATH."""
    kernel = folder / "jupyter" / "kernels" / KERNEL / "kernel.json"
    kernel.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    wheel = {"PYTHONPATH": str(installed_wheel(folder / "wheel"))}
    kernel.write_text(json.dumps({"argv": command, "display_name": KERNEL, "language": "python", "env": wheel}))
    return folder / "jupyter"


def with_answers(path: Path, folder: Path) -> Path:
    """A copy of a notebook with its answers as cells; stored outputs only where nbval is to compare."""
    notebook = read(path)
    for cell in notebook.cells:
        if cell.cell_type == "code" and "NBVAL_CHECK_OUTPUT" not in cell.source:
            cell.outputs, cell.execution_count = [], None
    notebook.cells.insert(0, nbformat.v4.new_code_cell(FIRST))
    notebook.cells += [nbformat.v4.new_code_cell(code) for code in answers(notebook)]
    copy = folder / path.name
    nbformat.write(notebook, copy)
    return copy


def nbval_arguments(copies: list[Path]) -> list[str]:
    return [
        "--nbval-lax",
        f"--nbval-kernel-name={KERNEL}",
        f"--nbval-cell-timeout={CELL_SECONDS['smoke']}",
        f"--nbval-sanitize-with={ROOT / 'tests' / 'notebooks' / 'sanitize.cfg'}",
        *map(str, copies),
    ]


def parallel_arguments() -> list[str]:
    """One process for each core, and the cores' threads divided among them."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    processes = max(1, min(cores, psutil.virtual_memory().total // 5_000_000_000))
    os.environ.setdefault("OMP_NUM_THREADS", str(cores // processes))
    return ["-n", str(processes), "--dist", "loadfile", "--no-loadscope-reorder"]


def main(arguments: list[str]) -> int:
    os.chdir(ROOT)
    folder = workplace(ROOT / "build" / "tests" / "notebooks")
    os.environ.pop("COLORLIB_PHOTOS", None)  # no test depends on a folder of this machine
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # uv installs sources alone: each process would compile torch again
    os.environ["COLORLIB_PRESET"] = "smoke"
    os.environ["COLORLIB_RESULTS"] = str(ROOT / "build" / "tests" / "results")
    os.environ["JUPYTER_PREFER_ENV_PATH"] = "1"
    os.environ["JUPYTER_PATH"] = str(wheel_kernel(ROOT / "build" / "tests"))
    copies = [with_answers(path, folder) for path in series()]
    # the notebooks take long: were one the last file, all but one core would wait for it
    return int(pytest.main([*nbval_arguments(copies), "tests", *parallel_arguments(), "-m", "not slow", "-q",
                            "--hypothesis-profile=repeatable", *arguments]))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
