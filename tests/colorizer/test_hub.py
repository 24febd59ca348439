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


def test_the_sibling_is_published_too(tmp_path):
    sibling = Colorizer(UNet(base_channels=4, levels=2), 24)
    hub.HubColorizer(UNet(base_channels=4, levels=2), 24, sibling=sibling).save_pretrained(tmp_path)
    again = hub.HubColorizer.from_pretrained(str(tmp_path), device="cpu")
    rgb = torch.randint(0, 256, (3, 40, 30), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    assert torch.equal(again.colorize(rgb, adversarial=0.0), sibling.colorize(rgb))


def test_from_the_hub_both_files_come_and_one_without_a_sibling_is_fine(tmp_path, monkeypatch):
    for folder, sibling in (("with", Colorizer(UNet(base_channels=4, levels=2), 24)), ("without", None)):
        hub.HubColorizer(UNet(base_channels=4, levels=2), 24, sibling=sibling).save_pretrained(tmp_path / folder)

    asked = []

    def fetched(model_id, allow_patterns, **options):
        asked.append((model_id, allow_patterns))
        return str(tmp_path / model_id.split("/")[1])

    monkeypatch.setattr(hub, "snapshot_download", fetched)
    options = {"revision": None, "cache_dir": None, "force_download": False, "local_files_only": False, "token": None}
    found = [hub.HubColorizer._from_pretrained(model_id=f"me/{name}", device="cpu", **options) for name in ("with", "without")]
    assert found[0].sibling is not None and found[1].sibling is None
    assert asked == [(f"me/{name}", [hub.FILE, hub.SIBLING]) for name in ("with", "without")]
