"""What the figures draw, read back from matplotlib."""

import pytest

from colorlib.course import figures


@pytest.mark.parametrize("num", [1, 4, 8, 9])
def test_losses_draws_every_loss(num):
    history = {f"loss {k}": [float(k), 1.0, 2.0] for k in range(num)}
    drawn = [axis for axis in figures.losses(history, smooth=5).axes if axis.lines]
    assert [axis.get_title() for axis in drawn] == list(history)
    assert [axis.lines[0].get_ydata()[0] for axis in drawn] == list(range(num))


def test_curves_draws_every_line():
    series = {f"line {k}": ([0, 1], [[k], [k]]) for k in range(9)}
    axis, = figures.curves(series, xlabel="x", ylabel="y").axes
    assert [line.get_label() for line in axis.lines] == list(series)
