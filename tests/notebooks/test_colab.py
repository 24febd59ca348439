"""A lone notebook where colorlib is missing, as on Colab: its first cell gets everything from one address.

The environment is made here: a new one that sees the packages of this one, less colorlib and less what Colab has not. The
address is a repository of this tree in a folder. The other notebooks run in `make test` with what the wheel holds.
"""

import importlib.metadata
import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from _notebooks import ROOT, series
from stamp_notebooks import first_cell
from widgets7 import NotInstalled, available

MISSING = {"torchmetrics", "lightning-utilities"}  # on Colab, of what colorlib needs
DEAD = "http://127.0.0.1:9"
pytestmark = pytest.mark.skipif(os.name == "nt", reason="links to packages need rights there")


def repository(folder: Path) -> str:
    """The address of a bare repository that holds this tree, committed or not, without what git ignores."""
    bare = folder / "colorlib.git"
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", bare], check=True)
    git = ["git", f"--git-dir={bare}", f"--work-tree={ROOT}", "-c", "user.name=t", "-c", "user.email=t@example.org"]
    subprocess.run([*git, "add", "pyproject.toml", "README.md", "LICENSE", "colorlib", "data"], cwd=ROOT, check=True)
    subprocess.run([*git, "-c", "gc.auto=0", "commit", "-qm", "this tree"], cwd=ROOT, check=True)
    return f"git+file://{bare}@main"


def no_index():
    raise NotInstalled("The package index cannot be reached, from which colorlib's first cell installs what is missing.")


class Colab:
    """An environment without colorlib."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.python = folder, folder / "env" / "bin" / "python"
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("COLORLIB_", "PYTHON"))}
        self.environment = kept | {"COLORLIB_PRESET": "smoke", "PIP_DISABLE_PIP_VERSION_CHECK": "1", "JUPYTER_PATH": "",
                                   "JUPYTER_PREFER_ENV_PATH": "1", "PIP_NO_COMPILE": "1", "COLORLIB_SOURCE": repository(folder)}
        self.run(sys.executable, "-m", "venv", folder / "env")
        packages = folder / "packages"
        packages.mkdir()
        hidden = tuple(name.replace("-", "_") for name in MISSING)
        for path in Path(nbformat.__file__).parents[1].iterdir():
            if "colorlib" not in path.name and not path.name.startswith((*hidden, "pip", "__pycache__")):
                (packages / path.name).symlink_to(path)
        self.own, = (folder / "env" / "lib").glob("*/site-packages")
        (self.own / "packages.pth").write_text(str(packages))
        for path in self.own.glob("setuptools*"):  # an old one, which venv brings
            shutil.rmtree(path)
        self.run(self.python, "-m", "ipykernel", "install", "--sys-prefix")

    def run(self, *command: object, ok: bool = True, cwd: Path | None = None, **changed: str) -> subprocess.CompletedProcess:
        environment = self.environment | changed
        done = subprocess.run([*map(str, command)], capture_output=True, text=True, env=environment, cwd=cwd or self.folder)
        assert not ok or done.returncode == 0, done
        return done

    def freeze(self) -> dict[str, tuple[str, str | None]]:
        """The version of each package and the address that it came from, if it came from one: what pip freeze prints."""
        found = importlib.metadata.distributions(path=[str(self.own), str(self.folder / "packages")])
        return {one.metadata["Name"]: (one.version, one.read_text("direct_url.json")) for one in found}


@pytest.fixture(scope="module")
def colab(tmp_path_factory):
    return Colab(tmp_path_factory.mktemp("colab"))


def test_no_network_is_one_sentence(colab, tmp_path):
    (tmp_path / "cell.py").write_text(first_cell())
    dead = {name: DEAD for name in ("http_proxy", "https_proxy", "all_proxy")} | {"no_proxy": ""}
    address = "git+https://example.org/colorlib"
    done = colab.run(colab.python, "cell.py", ok=False, cwd=tmp_path, PIP_RETRIES="0", COLORLIB_SOURCE=address, **dead)
    assert done.returncode == 1 and done.stdout == "", done
    assert done.stderr == f"colorlib was not installed: no network? To see why: %pip install {address}\n"


def test_a_lone_notebook_gets_everything_and_changes_nothing_that_is_installed(colab, tmp_path):
    before = colab.freeze()
    assert not {"colorlib", *MISSING} & before.keys() and {"torch", "numpy", "ipywidgets"} <= before.keys()
    shutil.copy(series()[0], tmp_path / "lone.ipynb")
    done = colab.run(colab.python, "-m", "nbconvert", "--execute", "--to", "notebook", "--output", "ran", "lone.ipynb",
                     cwd=tmp_path, ok=False)
    if "no network?" in done.stderr:
        available(no_index)
    assert done.returncode == 0, done.stderr
    after = colab.freeze()
    assert {name: after.get(name) for name in before} == before
    assert after.keys() - before.keys() == {"colorlib", *MISSING}

    # a restart of the kernel: pip is not called again
    (tmp_path / "pip.py").write_text("print('pip was called')")
    (tmp_path / "cell.py").write_text(first_cell() + "\nimport colorlib; print(colorlib.__file__)")
    again = colab.run(colab.python, "cell.py", cwd=tmp_path)
    assert again.stdout.startswith(str(colab.folder / "env")) and again.stderr == ""
