import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from colorlib.course.claims import Claim, confidence_interval, rank_correlation
from colorlib.files import write_json

CLAIM = Claim("C2", "regresses to the mean", measure="ratio", supported="< 0.5", partly="< 0.8")


@pytest.fixture(autouse=True)
def _laptop(monkeypatch, tmp_path):
    monkeypatch.setenv("COLORLIB_PRESET", "laptop")
    monkeypatch.setenv("COLORLIB_RESULTS", str(tmp_path))


@pytest.mark.parametrize(
    "values, verdict",
    [
        ([0.21, 0.25, 0.19], "supported"),
        ([0.1, 0.9, 0.2], "partly"),  # the mean is below 0.5, the interval is not
        ([0.7, 0.7, 0.71], "partly"),
        ([0.9, 0.91, 0.92], "not here"),
    ],
)
def test_the_code_gives_the_verdict(values, verdict, tmp_path, capsys):
    assert CLAIM.judge(values).verdict == verdict
    record = json.loads((tmp_path / "claims" / "C2.json").read_text())
    assert record["verdict"] == verdict and record["values"] == values and record["seeds"] == [0, 1, 2]
    assert record["number"] in capsys.readouterr().out
    assert {"claim", "statement", "measure", "supported", "partly", "interval", "preset", "command", "machine"} <= set(record)


def test_values_need_not_be_of_seeds(tmp_path, capsys):
    CLAIM.judge([0.1, 0.2], of="photographs")
    record = json.loads((tmp_path / "claims" / "C2.json").read_text())
    assert record["of"] == "photographs" and "seeds" not in record
    assert "interval of 2 photographs" in capsys.readouterr().out


def test_the_seeds_of_the_values_are_written_down(tmp_path):
    CLAIM.judge([0.1, 0.2], seeds=[3, 5])
    assert json.loads((tmp_path / "claims" / "C2.json").read_text())["seeds"] == [3, 5]


def test_larger_is_better_too():
    claim = Claim("C1", "many", measure="entropy", supported=">= 1", partly="> 0.5")
    assert claim.judge([1.2, 1.21]).verdict == "supported"
    assert claim.judge([0.8, 0.7]).verdict == "partly"
    assert claim.judge([0.5, 0.5]).verdict == "not here"


def test_smoke_gives_no_verdict(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("COLORLIB_PRESET", "smoke")
    assert CLAIM.judge([0.1, 0.1]).verdict == "no verdict at this size"
    assert "NO VERDICT AT THIS SIZE" in capsys.readouterr().out
    assert not (tmp_path / "claims").exists()


@given(st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=9).filter(lambda v: max(v) - min(v) > 1e-3))
def test_the_interval_is_students(values):
    mean, (low, high) = confidence_interval(values)
    expected = stats.t.interval(0.95, len(values) - 1, loc=mean, scale=stats.sem(values))
    assert (low, high) == pytest.approx(expected)


@pytest.mark.parametrize("values", [[], [1.0]])
def test_an_interval_needs_two_values(values):
    with pytest.raises(ValueError, match="at least two values"):
        confidence_interval(values)


@pytest.mark.parametrize("values", [[0.1], [], [0.1, float("nan")], [float("inf"), 1.0]])
def test_too_few_or_broken_values(values):
    with pytest.raises(ValueError, match="at least two finite values"):
        CLAIM.judge(values)


@pytest.mark.parametrize("supported, partly", [("= 3", "< 4"), ("< 0.5", "< 0.2"), ("< 0.5", "> 0.8"), ("> 1", "> 2")])
def test_thresholds_that_make_no_sense(supported, partly):
    with pytest.raises(ValueError):
        Claim("C9", "", measure="", supported=supported, partly=partly)


def test_a_result_file_is_written_whole(tmp_path):
    write_json(tmp_path / "a" / "x.json", {"colour": "façade"})
    assert json.loads((tmp_path / "a" / "x.json").read_text(encoding="utf-8")) == {"colour": "façade"}
    with pytest.raises(TypeError):
        write_json(tmp_path / "a" / "x.json", {"bad": object()})
    assert json.loads((tmp_path / "a" / "x.json").read_text(encoding="utf-8")) == {"colour": "façade"}


def test_rank_correlation():
    x = np.random.default_rng(0).normal(size=30).tolist()
    assert rank_correlation(x, [value**3 for value in x]) == pytest.approx(1)
    assert rank_correlation(x, [-value for value in x]) == pytest.approx(-1)
    assert rank_correlation(x, [2.0] * 30) == 0
