import pytest
from pictures import coloured, hwc, save


@pytest.fixture
def folder(tmp_path):
    """Nine small photographs of different sizes."""
    for number, photo in enumerate(coloured(9, seed=5)):
        save(tmp_path / f"{number}.png", hwc(photo))
    return tmp_path
