"""A claim, its threshold written down before the run, and the verdict that code gives after it.

    c2 = Claim("C2", "A CNN alone regresses to the mean colour", ratio("predicted chroma / true chroma", "< 0.5"))
    ...                              # the experiment, one value per seed
    c2.decide([0.21, 0.25, 0.19])    # prints the number, its interval and the verdict, and writes them down

Every condition is decided by its own 95 % interval:

    supported    the whole interval passes the threshold
    weaker       the whole interval is on the claim's side of parity, and not all of it passes the threshold
    undecided    the interval contains parity; printed with the number of seeds that would decide
    refuted      the whole interval is on the other side of parity

Parity is the value at which the claim is neither true nor false: 1 for a ratio, 0 for a difference. A claim with
several conditions is supported if all are (an intersection-union test); its verdict is the least good of theirs.
"""

import math
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from colorlib.files import write_json
from colorlib.runtime import machine, preset, results_dir

SUPPORTED, WEAKER, UNDECIDED, REFUTED = VERDICTS = ("supported", "weaker", "undecided", "refuted")
MOST_SEEDS = 10_000


@dataclass(frozen=True)
class Condition:
    """What one number has to be; `ratio` and `value` write it shorter.

    Args:
        measure: what the number is, with its unit.
        supported: a comparison such as "< 0.5" or ">= 2", which the whole interval has to pass.
        parity: the value at which the claim is neither true nor false. For 'no worse than', it is the threshold itself.
        log: take mean and interval of the logarithms (ratios: 2 and 1/2 are equally far from 1); values must be > 0.

    Raises ValueError where the threshold is not `<`, `<=`, `>` or `>=` and a number, or parity itself passes it.
    """

    measure: str
    supported: str
    parity: float
    log: bool = False

    def __post_init__(self) -> None:
        sign, bound = _parse(self.supported)
        if self.parity != bound and _meets(self.parity, self.supported):
            raise ValueError(f"{self.measure}: parity {self.parity:g} passes the threshold {self.supported!r}; "
                             "a claim needs a threshold on its own side of parity")


def ratio(measure: str, supported: str, parity: float = 1.0) -> Condition:
    """A condition on a ratio of two positive numbers, decided on logarithms; equal at 1."""
    return Condition(measure, supported, parity, log=True)


def value(measure: str, supported: str, parity: float = 0.0) -> Condition:
    """A condition on a number as it is, such as a difference (parity 0)."""
    return Condition(measure, supported, parity)


@dataclass(frozen=True)
class Result:
    """One condition after the run. `number` is mean and interval, as printed; `needed` values would decide one that is
    *undecided* (None: the mean is at parity, or more than 10,000)."""

    mean: float
    interval: tuple[float, float]
    verdict: str
    number: str
    needed: int | None = None


@dataclass(frozen=True)
class Verdict:
    """The verdict on a claim and the results of its conditions, in order."""

    verdict: str
    results: tuple[Result, ...]


class Claim:
    """A claim of the theory: its name ("C2"), its statement in one sentence, and at least one condition."""

    def __init__(self, claim: str, statement: str, *conditions: Condition) -> None:
        if not conditions:
            raise ValueError(f"{claim}: no condition; add one, such as ratio('error, new / old', '< 0.8')")
        self.claim, self.statement, self.conditions = claim, statement, conditions

    def decide(self, *values: Sequence[float], seeds: Sequence[int] | None = None, of: str = "seeds") -> Verdict:
        """Compare the values with the thresholds; print the verdict and write it down.

        values holds for each condition one finite number per seed, at least 2; seeds are 0, 1, 2 ... when not given;
        of is what the values are of, where it is not seeds: "photographs". Preset smoke prints 'no verdict at this
        size' and writes nothing, since its runs are too short; the others write `results_dir()/claims/<claim>.json`.
        Raises ValueError for too few or not finite values, a ratio that is not positive, another number of lists.
        """
        if len(values) != len(self.conditions):
            raise ValueError(f"{self.claim}: {len(self.conditions)} conditions need as many lists of values, "
                             f"got {len(values)}")
        lists = [[float(number) for number in numbers] for numbers in values]
        for condition, numbers in zip(self.conditions, lists):
            if len(numbers) < 2 or not all(map(math.isfinite, numbers)):
                raise ValueError(f"{self.claim}, {condition.measure}: needs at least two finite values, one per seed, "
                                 f"got {numbers}")
        smoke = preset() == "smoke"
        results = tuple(map(result_of, self.conditions, lists))
        verdict = max((result.verdict for result in results), key=VERDICTS.index)
        print(f"{self.claim}: {self.statement}")
        for condition, numbers, result in zip(self.conditions, lists, results):
            print(f"    {condition.measure}: {result.number}; mean and 95 % interval of {len(numbers)} {of}")
            print(f"    needed for support: {condition.supported}; parity: {condition.parity:g}"
                  + ("" if smoke else f"  ->  {result.verdict}{_needed(result, of)}"))
        print(f"    verdict: {'no verdict at this size' if smoke else verdict.upper()}")
        if smoke:
            return Verdict("no verdict at this size", results)
        self._write(lists, verdict, results, seeds, of)
        return Verdict(verdict, results)

    def _write(self, lists: list[list[float]], verdict: str, results: tuple[Result, ...],
               seeds: Sequence[int] | None, of: str) -> None:
        def short(*numbers: float) -> list[float]:  # five digits: the last ones differ from machine to machine
            return [float(f"{number:.5g}") for number in numbers]

        conditions = [asdict(condition) | asdict(result) | {
            "values": short(*numbers), "mean": short(result.mean)[0], "interval": short(*result.interval)}
            for condition, numbers, result in zip(self.conditions, lists, results)]
        origin = {"of": of} if of != "seeds" else {"seeds": list(range(len(lists[0])) if seeds is None else seeds)}
        write_json(results_dir() / "claims" / f"{self.claim}.json", {
            "claim": self.claim, "statement": self.statement, "verdict": verdict, "conditions": conditions, **origin,
            "preset": preset(), "command": os.environ.get("COLORLIB_COMMAND", "the notebook, run from top to bottom"),
            "machine": machine()})


def result_of(condition: Condition, values: Sequence[float]) -> Result:
    """Mean, interval and verdict of one condition; ValueError for a ratio that is not positive."""
    if condition.log and min(values) <= 0:
        raise ValueError(f"{condition.measure}: a ratio has to be positive to have a logarithm, got {min(values):g}; "
                         "use value(...) for a number that can be 0 or negative")
    change, back = (math.log, math.exp) if condition.log else (float, float)
    numbers, parity = [change(number) for number in values], change(condition.parity)
    mean, (low, high) = confidence_interval(numbers)
    interval = back(low), back(high)
    needed = None
    below = _parse(condition.supported)[0][0] == "<"
    if all(_meets(bound, condition.supported) for bound in interval):
        verdict = SUPPORTED
    elif low <= parity <= high:
        verdict, needed = UNDECIDED, _seeds_needed(numbers, parity)
    else:
        verdict = WEAKER if (high < parity) == below else REFUTED
    number = f"{back(mean):.3g} ({interval[0]:.3g} to {interval[1]:.3g})"
    return Result(back(mean), interval, verdict, number, needed)


def confidence_interval(values: Sequence[float]) -> tuple[float, tuple[float, float]]:
    """Mean and its two-sided 95 % interval, by Student's t over the seeds; ValueError for fewer than two values."""
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


def _seeds_needed(values: Sequence[float], parity: float) -> int | None:
    """How many values of this mean and spread have an interval without parity; None beyond 10,000."""
    from scipy import stats

    mean, deviation = sum(values) / len(values), float(stats.sem(values)) * math.sqrt(len(values))
    for num in range(len(values) + 1, MOST_SEEDS + 1):
        if stats.t.ppf(0.975, num - 1) * deviation < abs(mean - parity) * math.sqrt(num):
            return num
        if num > 100 and 1.96 * deviation >= abs(mean - parity) * math.sqrt(MOST_SEEDS):
            return None
    return None


def _needed(result: Result, of: str) -> str:
    number = f"about {result.needed:,}" if result.needed else f"more than {MOST_SEEDS:,}"
    return f" ({number} {of} would decide)" if result.verdict == UNDECIDED else ""


def _parse(threshold: str) -> tuple[str, float]:
    sign, _, number = threshold.partition(" ")
    if sign not in ("<", "<=", ">", ">="):
        raise ValueError(f"threshold {threshold!r}: write <, <=, > or >=, a space and a number, such as '< 0.5'")
    return sign, float(number)


def _meets(number: float, threshold: str) -> bool:
    sign, bound = _parse(threshold)
    return {"<": number < bound, "<=": number <= bound, ">": number > bound, ">=": number >= bound}[sign]
