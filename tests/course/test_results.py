"""Options and result files of the long scripts."""

import json
from pathlib import Path

import pytest

from colorlib.course.results import ResultFile, arguments


def given(monkeypatch, *words):
    monkeypatch.setattr("sys.argv", ["script", *words])


def test_options_have_the_types_of_their_defaults(monkeypatch):
    given(monkeypatch, "--photos", "here", "--steps", "7", "--seconds", "1.5", "--weights", "w.safetensors", "--choose")
    options = arguments("", steps=(3, ""), seconds=(2.0, ""), weights=(None, ""), choose=(False, ""), num_seeds=(5, ""))
    assert vars(options) == {"photos": "here", "steps": 7, "seconds": 1.5, "weights": Path("w.safetensors"),
                             "choose": True, "num_seeds": 5}


def test_the_folder_of_photographs_comes_from_the_environment_or_is_missed(monkeypatch, capsys):
    given(monkeypatch)
    monkeypatch.setenv("COLORLIB_PHOTOS", "there")
    assert arguments("").photos == "there"
    assert not hasattr(arguments("", photographs=False), "photos")
    monkeypatch.delenv("COLORLIB_PHOTOS")
    with pytest.raises(SystemExit) as stopped:
        arguments("")
    assert stopped.value.code == 2 and "--photos" in capsys.readouterr().err


def test_a_result_file_goes_on_where_it_stopped_unless_the_settings_differ(monkeypatch, tmp_path):
    monkeypatch.setenv("COLORLIB_RESULTS", str(tmp_path))
    file = ResultFile("x.json", {"steps": 3})
    for seed, error in enumerate((1.0, 2.0, 3.0)):
        file.add("arm", seed, {"error": error})
    again = ResultFile("x.json", {"steps": 3})
    assert again.has("arm", 2) and not again.has("arm", 3) and not again.has("other", 0)
    assert json.loads((tmp_path / "x.json").read_text())["summary"] == {"arm": {"error": "2 (-0.484 to 4.48)"}}
    assert not ResultFile("x.json", {"steps": 4}).has("arm", 0)
