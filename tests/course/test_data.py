"""Where the notebooks' data comes from."""

import pytest
import torch

from colorlib import photos
from colorlib.course.data import notebook, result_file, source


def test_scenes_level_never_trains_on_a_test_scene():
    scenes = source("scenes", short_side=32)
    assert "scenes" in scenes.note
    first = next(scenes.batches("train", 32, 4, seed=0))
    assert first[0].shape == (4, 1, 32, 32)
    assert not torch.equal(first[0], next(scenes.batches("test", 32, 4, seed=0))[0])
    assert len(scenes.test) == 64 and scenes.test[0].shape == (3, 32, 32)
    with pytest.raises(ValueError, match="split is 'holdout'"):
        scenes.batches("holdout", 16, 4)


def test_every_other_level_is_that_of_photos():
    assert type(source("samples")) is photos.Source and source("samples").name == "samples"


def test_committed_results_and_notebooks_are_found_in_the_checkout():
    assert result_file("stability_05.json").is_file() and result_file("no_such.json") is None
    assert notebook("06_residual_unet").is_file()


def test_an_installed_colorlib_has_its_results_beside_it(monkeypatch, tmp_path):
    from colorlib.course import data

    monkeypatch.setattr(data, "checkout", lambda: None)
    monkeypatch.setattr(data, "__file__", str(tmp_path / "colorlib" / "course" / "data.py"))
    (tmp_path / "colorlib" / "results").mkdir(parents=True)
    (tmp_path / "colorlib" / "results" / "a.json").write_text("{}")
    assert result_file("a.json") == tmp_path / "colorlib" / "results" / "a.json" and result_file("b.json") is None
    with pytest.raises(ValueError, match="clone of the project"):
        notebook("06_residual_unet")
