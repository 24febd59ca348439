"""The showcases: each loads, has the shapes that the notebooks use, is small, and is better than a baseline on held-out pictures."""

import json
import shutil
import sys
from pathlib import Path

import pytest
import torch

from colorlib.course import scenes, showcase
from colorlib.course.long import showcases
from colorlib.runtime import shipped_folder
from colorlib.training.weights import read_tensors

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "data" / "weights" / "course"
RECORD = json.loads((ROOT / "data" / "results" / "showcases.json").read_text(encoding="utf-8"))


def test_files_are_those_of_the_names_and_small():
    files = sorted(FOLDER.glob("*.safetensors"))
    assert sorted(file.stem for file in files) == sorted(showcase.NAMES) == sorted(RECORD["runs"])
    assert max(file.stat().st_size for file in files) < 2e6 and sum(file.stat().st_size for file in files) < 12e6
    card = (FOLDER / "README.md").read_text(encoding="utf-8")
    for name, run in RECORD["runs"].items():
        checksum = read_tensors(FOLDER / f"{name}.safetensors")[1]["sha256"]
        assert run["sha256"] == checksum and checksum[:12] in card and f"| {name} |" in card


@pytest.mark.parametrize("name", showcase.NAMES)
def test_held_out_pictures_are_better_than_the_baseline_and_the_record_says_so(name):
    generator = showcase.load(name)
    assert not generator.training
    found, recorded = showcases.measure(name, generator, num=32), RECORD["runs"][name]["measured"]
    key, *_ = found
    assert (found[key] > 0.9 if key == "control" else found[key] < 0.85 * found["baseline"]), found
    assert found[key] == pytest.approx(recorded[key], rel=0.1)


def test_digits_differ_and_take_labels():
    z = torch.randn(20, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        pictures = showcase.load("02_digits")(z)
        labelled = showcase.load("03_digits")(z, torch.arange(20) % 10)
    for drawn in (pictures, labelled):
        assert drawn.shape == (20, 1, 16, 16) and drawn.abs().max() <= 1
        assert torch.pdist(drawn.flatten(1)).min() > 1
    with pytest.raises(ValueError, match="needs int64"):
        showcase.load("03_digits")(z)


def test_a_missing_or_damaged_showcase_is_named(monkeypatch, tmp_path):
    with pytest.raises(ValueError, match="no showcase called '05_ring'.*04_edges"):
        showcase.load("05_ring")
    (tmp_path / "course").mkdir()
    damaged = bytearray((shipped_folder("weights") / "course" / "02_digits.safetensors").read_bytes())
    damaged[-1] ^= 1
    (tmp_path / "course" / "02_digits.safetensors").write_bytes(damaged)
    monkeypatch.setattr(showcase, "shipped_folder", lambda name: tmp_path)
    with pytest.raises(ValueError, match="another checksum"):
        showcase.load("02_digits")
    shutil.rmtree(tmp_path / "course")
    with pytest.raises(ValueError, match="there are: none"):
        showcase.load("02_digits")


def test_enlarging_draws_no_chequerboard():
    """A constant stays constant inside: every output pixel is made by the same weights (Odena et al. 2016)."""
    torch.manual_seed(0)
    block = showcase.Enlarge(3, 4, inputs=2).eval()
    with torch.no_grad():
        out = block(torch.full((1, 3, 8, 8), 0.7), torch.randn(1, 2))[..., 3:-3, 3:-3]
    assert out.shape == (1, 4, 10, 10) and torch.allclose(out, out[..., :1, :1].expand_as(out), atol=1e-6)


@pytest.mark.slow
def test_the_command_trains_writes_and_records(tmp_path, monkeypatch, capsys):
    name = "03_digits"
    monkeypatch.setattr(showcases, "measure", lambda *_: {"error": 1.0})
    monkeypatch.setattr(sys, "argv", ["x", "--only", name, "--seconds", "0.01", "--out", str(tmp_path), "--pictures", "64"])
    showcases.main()
    record = json.loads((tmp_path / f"{name}.json").read_text())
    assert record["steps"] == 20 and record["name"] == name and (tmp_path / f"{name}.safetensors").is_file()
    before, _ = showcases.networks(name)
    tensors, metadata = read_tensors(tmp_path / f"{name}.safetensors")
    assert metadata["network"] == type(before).__name__ and {tensor.dtype for tensor in tensors.values()} <= {torch.float16, torch.int64}


def test_every_layer_of_the_discriminator_is_bounded():
    _, discriminator = showcases.networks("04_grey")
    discriminator(*(part.repeat(1, 1, 1, 1) for part in scenes.grey_to_color(scenes.render(2, 32))))
    for layer in discriminator.modules():
        if isinstance(layer, torch.nn.Conv2d):
            assert torch.linalg.matrix_norm(layer.weight.flatten(1), 2) < 1.1
