"""A colorizer published in a folder comes back the same; a repository without our file is refused."""

import pytest
import torch

from colorlib.colorizer import Colorizer
from colorlib.generators import UNet

hub = pytest.importorskip("colorlib.colorizer.hub", exc_type=ImportError)


def test_a_published_colorizer_comes_back(tmp_path):
    generator = UNet(base_channels=4, levels=2).eval()
    hub.HubColorizer(generator, render_size=24, metadata={"recipe": "tiny"}).save_pretrained(tmp_path / "mine")
    again = hub.HubColorizer.from_pretrained(str(tmp_path / "mine"), device="cpu")
    assert again.render_size == 24 and again.metadata["recipe"] == "tiny"
    rgb = torch.randint(0, 256, (3, 40, 30), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    assert torch.equal(again.colorize(rgb), Colorizer(generator, 24).colorize(rgb))
    assert not list((tmp_path / "mine").glob("*.bin"))


def test_a_damaged_or_missing_file_is_refused(tmp_path):
    with pytest.raises(ValueError, match="no such weights file"):
        hub.HubColorizer.from_pretrained(str(tmp_path))
    torch.save({"x": torch.zeros(1)}, tmp_path / hub.FILE)
    with pytest.raises(ValueError, match="not a readable safetensors file"):
        hub.HubColorizer.from_pretrained(str(tmp_path))
