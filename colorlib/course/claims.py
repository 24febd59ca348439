"""A claim, its threshold written down before the run, and the verdict that code gives after it.

    c2 = Claim("C2", "A CNN alone regresses to the mean colour",
               measure="predicted chroma / true chroma", supported="< 0.5", partly="< 0.8")
    ...                              # the experiment, one value per seed
    c2.judge([0.21, 0.25, 0.19])     # prints the number, its interval and the verdict, and writes them down
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from colorlib.files import write_json
from colorlib.runtime import machine, preset, results_dir

SUPPORTED, PARTLY, NOT_HERE = "supported", "partly", "not here"


@dataclass(frozen=True)
class Verdict:
    """The result of one claim. `number` is the mean with its interval, as printed."""

    mean: float
    interval: tuple[float, float]
    verdict: str
    number: str


@dataclass(frozen=True)
class Claim:
    """A claim of the theory with the thresholds that decide it.

    Args:
        claim: its name in the design, "C2".
        statement: the claim in one sentence.
        measure: what the number is, with its unit.
        supported: a comparison such as "< 0.5" or ">= 2": the verdict is *supported* when the whole 95 % interval
            of the mean meets it.
        partly: a weaker comparison: *partly* when the mean meets it. Otherwise the verdict is *not here*.

    Raises:
        ValueError: a threshold is not `<`, `<=`, `>` or `>=` followed by a number, or the two point apart.
    """

    claim: str
    statement: str
    measure: str
    supported: str
    partly: str

    def __post_init__(self) -> None:
        strong, weak = _parse(self.supported), _parse(self.partly)
        same_side = strong[0][0] == weak[0][0]
        weaker = weak[1] >= strong[1] if strong[0][0] == "<" else weak[1] <= strong[1]
        if not (same_side and weaker):
            raise ValueError(f"{self.claim}: partly {self.partly!r} is not weaker than supported {self.supported!r}; "
                             "use the same direction and a threshold that is easier to meet")

    def judge(self, values: Sequence[float], *, seeds: Sequence[int] | None = None, of: str = "seeds") -> Verdict:
        """Compare the values, one per seed, with the thresholds; print the verdict and write it down.

        Preset smoke prints 'no verdict at this size' and writes nothing: its runs are too short to mean anything. The
        other presets write `results_dir()/claims/<claim>.json`.

        Args:
            values: one finite number per seed, at least 2; else ValueError.
            seeds: the seeds they came from; 0, 1, 2 ... when not given.
            of: what the values are of, where it is not seeds: "photographs".
        """
        values = [float(value) for value in values]
        if len(values) < 2 or not all(map(math.isfinite, values)):
            raise ValueError(f"{self.claim}: needs at least two finite values, one per seed, got {values}")
        mean, interval = confidence_interval(values)
        if preset() == "smoke":
            verdict = "no verdict at this size"
        elif all(_meets(bound, self.supported) for bound in interval):
            verdict = SUPPORTED
        elif _meets(mean, self.partly):
            verdict = PARTLY
        else:
            verdict = NOT_HERE
        number = f"{mean:.3g} ({interval[0]:.3g} to {interval[1]:.3g})"
        result = Verdict(mean, interval, verdict, number)
        print(f"{self.claim}: {self.statement}")
        print(f"    {self.measure}: {number}; mean and 95 % interval of {len(values)} {of}")
        print(f"    asked for {self.supported} (partly: {self.partly})  ->  {verdict.upper()}")
        if preset() != "smoke":
            seeds = list(range(len(values))) if seeds is None else list(seeds)
            self._write(values, {"seeds": seeds} if of == "seeds" else {"of": of}, result)
        return result

    def _write(self, values: list[float], origin: dict, result: Verdict) -> None:
        path = results_dir() / "claims" / f"{self.claim}.json"
        # the numbers of a run differ in their last digits from machine to machine; five digits are what they mean
        rounded = {"values": [float(f"{value:.5g}") for value in values], "mean": float(f"{result.mean:.5g}"),
                   "interval": [float(f"{bound:.5g}") for bound in result.interval]}
        command = os.environ.get("COLORLIB_COMMAND", "the notebook, run from top to bottom")
        write_json(path, asdict(self) | rounded | {"number": result.number, "verdict": result.verdict, **origin,
                                                   "preset": preset(), "command": command, "machine": machine()})


def confidence_interval(values: Sequence[float]) -> tuple[float, tuple[float, float]]:
    """Mean and its two-sided 95 % interval from Student's t distribution over the seeds.

    Raises:
        ValueError: fewer than two values: one value has no spread.
    """
    from scipy import stats  # a second of imports

    if len(values) < 2:
        raise ValueError(f"an interval needs at least two values, one per seed; got {list(values)}: run more seeds")
    mean = sum(values) / len(values)
    half = float(stats.t.ppf(0.975, len(values) - 1) * stats.sem(values))
    return mean, (mean - half, mean + half)


def rank_correlation(x: Sequence[float], y: Sequence[float]) -> float:
    """Spearman's rank correlation, -1 to 1; 0 where one of the two is constant or there are fewer than 3 pairs."""
    from scipy.stats import spearmanr

    if len(x) < 3 or min(x) == max(x) or min(y) == max(y):
        return 0.0
    return float(spearmanr(x, y).statistic)


def _parse(threshold: str) -> tuple[str, float]:
    sign, _, number = threshold.partition(" ")
    if sign not in ("<", "<=", ">", ">="):
        raise ValueError(f"threshold {threshold!r}: write <, <=, > or >=, a space and a number, such as '< 0.5'")
    return sign, float(number)


def _meets(value: float, threshold: str) -> bool:
    sign, bound = _parse(threshold)
    return {"<": value < bound, "<=": value <= bound, ">": value > bound, ">=": value >= bound}[sign]
