import sys
from pathlib import Path

import pytest
import torch

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
