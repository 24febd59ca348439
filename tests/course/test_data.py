"""Where the notebooks' data comes from."""

import pytest
import torch

from colorlib.course.data import notebook, result_file, shuffled, taught


def test_committed_results_and_notebooks_are_found_in_the_checkout():
    assert result_file("stability_05.json").is_file() and result_file("no_such.json") is None
    assert notebook("06_residual_unet").is_file()


def test_an_installed_colorlib_has_its_results_beside_it(monkeypatch, tmp_path):
    from colorlib import runtime
    from colorlib.course import data

    for module in (data, runtime):
        monkeypatch.setattr(module, "checkout", lambda: None)
    monkeypatch.setattr(runtime, "__file__", str(tmp_path / "colorlib" / "runtime.py"))
    (tmp_path / "colorlib" / "results").mkdir(parents=True)
    (tmp_path / "colorlib" / "results" / "a.json").write_text("{}")
    assert result_file("a.json") == tmp_path / "colorlib" / "results" / "a.json" and result_file("b.json") is None
    with pytest.raises(ValueError, match="clone of the project"):
        notebook("06_residual_unet")


def test_every_pass_of_shuffled_takes_every_pair_once():
    batches = shuffled(torch.arange(8), torch.arange(8) * 2, 4, seed=1)
    passes = [torch.cat([next(batches)[0] for _ in range(2)]).tolist() for _ in range(2)]
    assert passes[0] != passes[1] and sorted(passes[0]) == sorted(passes[1]) == list(range(8))
    condition, target = next(batches)
    assert torch.equal(target, 2 * condition)


def test_taught_runs_the_tagged_cells_with_the_notebooks_imports():
    names = taught("06_residual_unet", BATCH=3)
    assert names["BATCH"] == 3 and names["TaughtResidualBlock"](4, 4)(torch.zeros(1, 4, 5, 5)).shape == (1, 4, 5, 5)
