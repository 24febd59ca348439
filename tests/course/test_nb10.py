"""What notebook 10 teaches is what the library does, and its figures show the numbers that they are given."""

import matplotlib.colors
import pytest
import torch
from torch import nn

from colorlib.course import data, nb10
from colorlib.generators import ResidualUNet
from colorlib.photos import PhotoBatches


@pytest.fixture(scope="module")
def taught():
    return data.taught("10_train_at_scale", files=range(7))  # the cells check their own functions for these


def test_the_order_of_the_photographs_is_the_librarys(taught):
    """Photographs of one colour each, whole and without flips: the batch says which ones they are."""
    count = 7
    photos = [torch.full((3, 8, 8), 30 * number, dtype=torch.uint8) for number in range(count)]
    batches = PhotoBatches(photos, 8, 4, seed=3, flip=False, crop=False)
    seen = [int(window[0, 0, 0]) // 30 for step in range(5) for window in batches[step][0]]
    assert seen == [taught["photograph_at"](place, count, seed=3) for place in range(20)]
    assert sorted(seen[:count]) == sorted(seen[count : 2 * count]) == list(range(count))
    assert seen[:count] != seen[count : 2 * count]


def test_a_gradient_in_parts_is_that_of_the_batch_without_batch_norm(taught):
    torch.manual_seed(0)
    L, ab = torch.rand(4, 1, 32, 32) * 2 - 1, torch.rand(4, 2, 32, 32) - 0.5
    parts = list(zip(L.split(2), ab.split(2)))
    for norm, equal in ((nn.Identity, True), (nn.BatchNorm2d, False)):
        network = ResidualUNet(base_channels=4, norm=norm)
        whole, added = (taught["gradient"](network, one) for one in ([(L, ab)], parts))
        assert ((added - whole).norm() < 1e-4 * whole.norm()).item() is equal


def test_a_bar_is_as_long_as_its_part_and_says_its_share():
    axis, = nb10.bars({"decode": 30.0, "Lab": 10.0}, "milliseconds").axes
    assert [bar.get_width() for bar in axis.patches] == [30, 10]
    assert [text.get_text() for text in axis.texts] == ["30 (75 %)", "10 (25 %)"]
    assert [label.get_text() for label in axis.get_yticklabels()] == ["decode", "Lab"] and axis.yaxis_inverted()


def test_the_diagram_has_two_shares_and_one_mean():
    texts = [text.get_text() for text in nb10.shares().axes[0].texts]
    assert [sum(word in text for text in texts) for word in ("share", "gradient", "all-reduce", "same")] == [2, 2, 1, 2]


def test_the_broken_run_lies_on_the_unbroken_one_and_the_other_begins_at_the_checkpoint():
    values = [0.5, 0.4, 0.3, 0.2]
    axis, = nb10.coinciding({"unbroken": values, "broken": values}, 2, [0.35, 0.3]).axes
    unbroken, broken, naive, mark = axis.lines
    assert list(unbroken.get_ydata()) == list(broken.get_ydata()) == values
    assert list(naive.get_xdata()) == [2, 3] and list(naive.get_ydata()) == [0.35, 0.3]
    assert set(mark.get_xdata()) == {2}
    assert len({matplotlib.colors.to_hex(line.get_color()) for line in (unbroken, broken, naive)}) == 3
