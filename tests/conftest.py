import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from filelock import FileLock
from hypothesis import settings

# `make test` takes the same examples in every run, so that no landing depends on luck; plain pytest draws new ones
settings.register_profile("repeatable", derandomize=True)

sys.path.insert(0, str(Path(__file__).parent))  # for the shared testers beside the tests


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def colorizer():
    """The colorizer that ships."""
    from colorlib.colorizer import Colorizer

    return Colorizer.load(device="cpu")


@pytest.fixture(scope="session")
def china():
    """A sample photograph, (3, 427, 640)."""
    from colorlib.photos import sample_photograph

    return sample_photograph("china").rgb


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    """The pages of the book, made from the committed outputs; Sphinx's warnings are errors."""
    root, base = Path(__file__).resolve().parent.parent, tmp_path_factory.getbasetemp()
    place = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base  # which the processes of a run have in common
    folder, built = place / "site", place / "site-is-built"
    with FileLock(place / "site.lock"):
        if not built.exists():
            command = [sys.executable, str(root / "scripts" / "build_site.py"), "--as-committed", "--to", str(folder)]
            found = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": str(root)})
            assert found.returncode == 0, found.stdout + found.stderr
            assert f"The site: {folder / 'index.html'}" in found.stdout
            built.touch()
    return folder
