import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from colorlib.course.claims import Claim, confidence_interval, rank_correlation, ratio, result_of, value
from colorlib.files import write_json

CLAIM = Claim("C2", "regresses to the mean", value("share", "< 0.5", parity=1))
BOTH = Claim("C9", "easier and steadier", ratio("error, new / old", "< 0.8"), value("failures, old - new", "> 0.1"))


@pytest.fixture(autouse=True)
def _laptop(monkeypatch, tmp_path):
    monkeypatch.setenv("COLORLIB_PRESET", "laptop")
    monkeypatch.setenv("COLORLIB_RESULTS", str(tmp_path))


def record_of(tmp_path, name="C2"):
    return json.loads((tmp_path / "claims" / f"{name}.json").read_text())


@pytest.mark.parametrize(
    "values, verdict",
    [
        ([0.21, 0.25, 0.19], "supported"),
        ([0.3, 0.6, 0.4], "weaker"),  # the mean passes, the interval does not, and it is below 1
        ([0.7, 0.7, 0.71], "weaker"),
        ([0.1, 1.2, 0.3], "undecided"),  # the interval contains 1, although the mean is 0.53
        ([1.1, 1.11, 1.12], "refuted"),
    ],
)
def test_the_interval_gives_the_verdict(values, verdict, tmp_path, capsys):
    assert CLAIM.decide(values).verdict == verdict
    record, printed = record_of(tmp_path), capsys.readouterr().out
    condition = record["conditions"][0]
    assert record["verdict"] == condition["verdict"] == verdict and condition["values"] == values
    assert record["seeds"] == [0, 1, 2] and condition["number"] in printed and verdict.upper() in printed
    assert {"claim", "statement", "preset", "command", "machine"} <= set(record)
    assert {"measure", "supported", "parity", "log", "interval", "needed"} <= set(condition)


def test_undecided_says_how_many_seeds_would_decide(capsys):
    values = [0.1, 1.2, 0.3]
    needed = CLAIM.decide(values).results[0].needed
    assert f"about {needed} seeds would decide" in capsys.readouterr().out

    def decides(num):  # Student's interval of num values with this mean and spread
        half = stats.t.ppf(0.975, num - 1) * np.std(values, ddof=1) / np.sqrt(num)
        return half < 1 - np.mean(values)

    assert decides(needed) and not decides(needed - 1) and needed > 3


def test_no_number_of_seeds_decides_what_lies_at_parity(capsys):
    assert CLAIM.decide([0.5, 1.5]).results[0].needed is None
    assert "more than 10,000 seeds" in capsys.readouterr().out


def test_every_condition_has_its_own_verdict(tmp_path):
    verdict = BOTH.decide([0.5, 0.51, 0.52], [0.3, -0.3, 0.1])
    assert [result.verdict for result in verdict.results] == ["supported", "undecided"]
    assert verdict.verdict == record_of(tmp_path, "C9")["verdict"] == "undecided"
    assert BOTH.decide([0.5, 0.51, 0.52], [-0.3, -0.31, -0.3]).verdict == "refuted"
    assert BOTH.decide([0.5, 0.51, 0.52], [0.3, 0.31, 0.3]).verdict == "supported"


def test_as_many_lists_as_conditions():
    with pytest.raises(ValueError, match="2 conditions need as many lists of values, got 1"):
        BOTH.decide([0.5, 0.6])


def test_a_ratio_is_decided_on_logarithms():
    condition = ratio("new / old", "< 0.9")
    result = result_of(condition, [0.5, 2.0])
    assert result.mean == pytest.approx(1) and result.verdict == "undecided"
    low, high = result.interval
    assert low * high == pytest.approx(1)  # 1/k to k
    with pytest.raises(ValueError, match="has to be positive.*got 0"):
        result_of(condition, [0.5, 0.0])


def test_no_worse_than_has_its_parity_at_the_threshold():
    condition = ratio("patch / all", "< 1.05", parity=1.05)
    assert result_of(condition, [1.0, 1.01, 1.02]).verdict == "supported"
    assert result_of(condition, [1.0, 1.1, 1.02]).verdict == "undecided"
    assert result_of(condition, [1.2, 1.21, 1.22]).verdict == "refuted"


def test_values_need_not_be_of_seeds(tmp_path, capsys):
    CLAIM.decide([0.1, 0.2], of="photographs")
    record = record_of(tmp_path)
    assert record["of"] == "photographs" and "seeds" not in record
    assert "interval of 2 photographs" in capsys.readouterr().out


def test_the_seeds_of_the_values_are_written_down(tmp_path):
    CLAIM.decide([0.1, 0.2], seeds=[3, 5])
    assert record_of(tmp_path)["seeds"] == [3, 5]


def test_larger_is_better_too():
    claim = Claim("C1", "many", value("entropy", ">= 1", parity=0.5))
    assert claim.decide([1.2, 1.21]).verdict == "supported"
    assert claim.decide([0.8, 0.81]).verdict == "weaker"
    assert claim.decide([0.4, 0.41]).verdict == "refuted"


def test_smoke_gives_no_verdict(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("COLORLIB_PRESET", "smoke")
    assert CLAIM.decide([0.1, 0.1]).verdict == "no verdict at this size"
    printed = capsys.readouterr().out
    assert "no verdict at this size" in printed and "supported" not in printed
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
        CLAIM.decide(values)


@pytest.mark.parametrize("supported, parity", [("= 3", 4), ("0.5", 1), ("< 0.5", 0.2), ("> 1", 2), (">= 1", 1.5)])
def test_thresholds_that_make_no_sense(supported, parity):
    with pytest.raises(ValueError):
        value("measure", supported, parity)


def test_a_claim_needs_a_condition():
    with pytest.raises(ValueError, match="no condition"):
        Claim("C9", "nothing")


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
