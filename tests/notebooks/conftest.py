import sys
from pathlib import Path

import pytest

# what the scripts know about notebooks
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))


@pytest.fixture(scope="session")
def jupyter_path(tmp_path_factory) -> Path:
    """Where the kernel of the wheel lies; the folder beside it, wheel/, is what that kernel imports."""
    from run_tests import wheel_kernel

    return wheel_kernel(tmp_path_factory.mktemp("kernel"))
