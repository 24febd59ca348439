"""ipywidgets 7.7.1, which Colab has, beside this environment: for kernels, and in the classic notebook.

`kernel_folder()` holds ipywidgets 7.7.1 and nothing else: on the PYTHONPATH of a kernel it comes before the version 8 of
this environment, whose torch it uses. `classic_python()` is an interpreter that has the notebook of that time and no torch.
Both are installed once, into build/, from the package index: a few seconds.
"""

from __future__ import annotations

import functools
import importlib.metadata
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock

ROOT = Path(__file__).resolve().parents[1]
VERSION = "7.7.1"
KERNEL = [f"ipywidgets=={VERSION}", "ipython-genutils==0.2.0"]
CLASSIC = [*KERNEL, "notebook==6.5.7", "nbclassic==1.3.3", "jupyter-client==7.4.9", "widgetsnbextension==3.6.10"]
CLASSIC += ["anywidget=={anywidget}"]  # of the version that is tested: its classic extension shows the board
SECONDS = 180


class NotInstalled(Exception):
    pass


def available(install) -> Path:
    """What `install` returns; the test skips without a network, or fails where COLORLIB_BROWSER_TESTS=required."""
    try:
        return install()
    except NotInstalled as error:
        if os.environ.get("COLORLIB_BROWSER_TESTS") == "required":
            pytest.fail(str(error), pytrace=False)
        pytest.skip(str(error))


@functools.cache
def kernel_folder() -> Path:
    return _installed("kernel", KERNEL, lambda folder: (sys.executable, ["--no-deps", "--target", str(folder)]))


@functools.cache
def classic_python() -> Path:
    python = Path("bin", "python") if os.name == "posix" else Path("Scripts", "python.exe")

    def into(folder: Path) -> tuple[str, list[str]]:
        uv = _uv()
        _run([*uv, "venv", "--python", sys.executable, str(folder)] if uv else [sys.executable, "-m", "venv", str(folder)])
        return str(folder / python), []

    packages = [package.format(anywidget=importlib.metadata.version("anywidget")) for package in CLASSIC]
    return _installed("classic", packages, into) / python


def environment(folder: Path) -> dict[str, str]:
    """Of a kernel that has ipywidgets 7.7.1 and the tree that is tested."""
    return os.environ | {"PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)]), "JUPYTER_PREFER_ENV_PATH": "1"}


def _installed(name: str, packages: list[str], into) -> Path:
    """build/widgets7/NAME with these packages; the one that is there, where it has them all."""
    folder = ROOT / "build" / "widgets7" / name
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_suffix(".lock")):  # tests of two files may run at once
        return _made(folder, packages, into)


def _made(folder: Path, packages: list[str], into) -> Path:
    done, wanted = folder / "installed.txt", "\n".join([sys.version, *packages])
    if done.exists() and done.read_text() == wanted:
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    python, options = into(folder)
    uv = _uv()
    pip = [*uv, "pip", "install", "--python", python] if uv else [python, "-m", "pip", "install"]
    _run([*pip, *options, *packages])
    done.write_text(wanted)
    return folder


@functools.cache
def _uv() -> list[str]:
    """As scripts/setup_env.py finds it: an environment that uv has made has no pip."""
    for command in (["uv"], [getattr(sys, "_base_executable", sys.executable), "-m", "uv"]):
        try:
            if subprocess.run([*command, "--version"], capture_output=True, check=False).returncode == 0:
                return command
        except OSError:
            pass
    return []


def _run(command: list[str]) -> None:
    own = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    try:
        answer = subprocess.run(command, env=own, capture_output=True, text=True, timeout=SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise NotInstalled(f"ipywidgets {VERSION} was not installed within {SECONDS} s: is the network slow?") from None
    if answer.returncode:
        last = ((answer.stdout + answer.stderr).strip().splitlines() or ["(it says nothing)"])[-1]
        raise NotInstalled(f"ipywidgets {VERSION} could not be installed beside this environment: {last}")
