"""What the measurement of memory at preset gpu changes in a notebook, and what it found."""

import ast
import json

from _notebooks import series
from gpu_memory import FILE, REPETITIONS, SEEDS, FewRepetitions

COLAB_GB = 12  # of a machine with a T4


def changed(source: str, *names) -> str:
    return ast.unparse(FewRepetitions(*names).visit(ast.parse(source)))


def test_repetitions_are_few_and_sizes_are_those_of_preset_gpu():
    assert changed("NUM_STEPS = pick(smoke=3, gpu=900)", REPETITIONS) == "NUM_STEPS = pick(smoke=3, gpu=3)"
    assert changed("steps, width = pick(smoke=2, gpu=9), pick(smoke=8, gpu=64)", REPETITIONS) == (
        "steps, width = (pick(smoke=2, gpu=2), pick(smoke=8, gpu=64))")
    assert changed("RUN, EVERY = pick(smoke=(8, 2), gpu=(300, 20))", REPETITIONS) == "RUN, EVERY = pick(smoke=(8, 2), gpu=(8, 2))"
    assert "gpu=2)" in changed("def run(x, rounds=runtime.pick(smoke=2, gpu=9)):\n    pass", REPETITIONS)
    for kept in ("NUM_TRAIN = pick(smoke=64, gpu=8192)", "SEEDS = pick(smoke=range(2), gpu=range(8))"):
        assert changed(kept, REPETITIONS) == kept
    assert changed("SEEDS = range(pick(smoke=2, gpu=8))", REPETITIONS, SEEDS) == "SEEDS = range(pick(smoke=2, gpu=2))"


def test_what_was_measured_fits_a_colab_machine():
    record = json.loads(FILE.read_text(encoding="utf-8"))["notebooks"]
    assert record.keys() <= {path.stem for path in series()}
    assert all(0 < found["peak_gb"] < COLAB_GB for found in record.values()), record
