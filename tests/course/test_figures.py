"""What the figures draw, read back from matplotlib."""

import pytest
import torch

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


def test_the_running_mean_of_a_loss_ends_at_the_last_step():
    values = [float(k) for k in range(20)]
    axis, = [axis for axis in figures.losses({"loss": values}, smooth=5).axes if axis.lines]
    steps, means = axis.lines[1].get_data()
    assert (steps[0], steps[-1]) == (4, 19) and (means[0], means[-1]) == pytest.approx((2.0, 17.0))


def test_the_plane_is_blue_below_and_red_to_the_right_and_points_lie_on_their_colour():
    axis, = figures.ab_plane({"one": torch.tensor([[0.2, -0.4]])}).axes
    plane = axis.images[0].get_array()  # 121 x 121 from -100 to 100, the first row below
    assert plane[36, 60, 2] > plane[84, 60, 2] + 0.1 and plane[60, 84, 0] > plane[60, 36, 0] + 0.1
    assert axis.images[0].origin == "lower"
    assert axis.collections[0].get_offsets()[0].tolist() == pytest.approx([22, -44])
