"""Hints hold at their points and stop at edges; suggestions are colours that sRGB has there."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from colorlib import color
from colorlib.color import AB_SCALE, bins
from colorlib.colorizer import Hint
from colorlib.colorizer.hints import SUGGESTIONS_APART, draw_hints, hold_hints, nearness, plausible, surfaces

SIZE = (32, 48)


def two_halves():
    """L: dark on the left, light on the right; ab: 0."""
    L = torch.full((1, 1, *SIZE), -0.5)
    L[..., 24:] = 0.5
    return L, torch.zeros(1, 2, *SIZE)


def at(ab, hint):
    return ab[0, :, int(hint.y), int(hint.x)] * AB_SCALE


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 47), st.integers(0, 31), st.integers(-80, 80), st.integers(-80, 80)),
                min_size=1, max_size=12, unique_by=lambda hint: (hint[0] // 6, hint[1] // 6)))
def test_hints_hold_at_their_points(points):
    L, ab = two_halves()
    hints = [Hint(6 * (x // 6), 6 * (y // 6), a, b) for x, y, a, b in points]
    held = hold_hints(ab, L, draw_hints(hints, SIZE, SIZE))
    for hint in hints:
        assert (at(held, hint) - torch.tensor([hint.a, hint.b], dtype=torch.float32)).abs().max() < 3


def test_a_correction_spreads_over_its_side_and_stops_at_the_edge():
    L, ab = two_halves()
    held = hold_hints(ab, L, draw_hints([Hint(23, 16, 60, 0)], SIZE, SIZE)) * AB_SCALE
    assert held[0, 0, 16, 22] > 40 and held[0, 0, 18, 23] > 5
    assert held[0, 0, :, 24:].abs().max() < 0.1  # one pixel further, across the edge of L
    assert held[0, 1].abs().max() < 1e-3


def test_what_the_generator_did_right_is_left_alone():
    L, _ = two_halves()
    ab = torch.randn(1, 2, *SIZE, generator=torch.Generator().manual_seed(0)) * 0.1
    hint = Hint(10, 10, *(ab[0, :, 10, 10] * AB_SCALE).tolist())
    assert torch.allclose(hold_hints(ab, L, draw_hints([hint], SIZE, SIZE)), ab, atol=1e-4)
    assert hold_hints(ab, L, torch.zeros(1, 3, *SIZE)) is ab


def test_neighbours_that_contradict_each_other_do_not_explode():
    L, ab = two_halves()
    held = hold_hints(ab, L, draw_hints([Hint(10, 10, 60, 0), Hint(11, 10, -60, 0)], SIZE, SIZE)) * AB_SCALE
    assert held.abs().max() < 61 and held[0, 0, 10, 10] > 40 and held[0, 0, 10, 11] < -40


def test_suggestions_are_the_likeliest_apart_and_in_gamut():
    centres = bins.centres()
    likely = {(30.0, 40.0): 0.5, (40.0, 40.0): 0.1, (0.0, -30.0): 0.3, (-40.0, 20.0): 0.1}
    probabilities = torch.zeros(bins.num_bins())
    for colour, share in likely.items():
        probabilities[(centres - torch.tensor(colour)).norm(dim=1).argmin()] = share
    found = plausible(probabilities, 60.0, 3)
    assert [round(s.probability, 3) for s in found] == [0.6, 0.3, 0.1]  # neighbours count together
    assert found[0].a == pytest.approx(30 + 10 / 6, abs=0.1) and found[0].b == pytest.approx(40, abs=0.1)
    for one in found:
        for other in found:
            assert one is other or ((one.a - other.a) ** 2 + (one.b - other.b) ** 2) ** 0.5 >= SUGGESTIONS_APART
    for lightness in (5.0, 50.0, 97.0):
        for one in plausible(torch.full((bins.num_bins(),), 1 / bins.num_bins()), lightness, 4):
            rgb = color.lab_to_rgb(torch.tensor([lightness, one.a, one.b]).reshape(3, 1, 1))
            assert rgb.min() > -0.002 and rgb.max() < 1.002


def test_what_hints_change_fades_across_edges_and_not_over_even_surfaces():
    L, _ = two_halves()
    near, other = nearness(L, draw_hints([Hint(40, 20, 0, 0), Hint(4, 16, 0, 0)], SIZE, SIZE))[:, 0]  # row by row
    assert near.shape == SIZE and near[16, 4] == 1 and other[20, 40] == 1
    assert near[16, 18] > 0.9 and near[:, 28:].max() < 0.1  # 14 pixels on, and beyond the edge
    assert other[16, 44] > 0.9 and other[:, :20].max() < 0.1


def test_a_hint_reaches_as_far_at_every_large_render_size():
    L, _ = two_halves()
    for width in (144, 288, 400):
        size = (2 * width // 3, width)
        near = nearness(F.interpolate(L, size), draw_hints([Hint(4, 16, 0, 0)], SIZE, size))
        assert near.shape == (1, 1, *size)
        there = F.interpolate(near, SIZE, mode="area")[0, 0]
        assert there[16, 4] > 0.99 and there[16, 18] > 0.4 and there[:, 28:].max() < 0.1
        if width == 144:
            expected = there
        assert (there - expected).abs().max() < 0.1


def test_hints_of_one_surface_go_together():
    L, _ = two_halves()
    left, also_left, right = Hint(4, 16, 60, 0), Hint(12, 2, 0, 60), Hint(40, 20, -60, 0)
    marks = draw_hints([left, right, also_left], SIZE, SIZE)
    found = sorted(surfaces(L, marks), key=lambda one: float(one[0][0, 0].sum()))
    assert len(found) == 2 and torch.equal(sum(one for one, _ in found), marks)
    (alone, reach_right), (both, reach_left) = found
    assert torch.equal(alone, draw_hints([right], SIZE, SIZE)) and torch.equal(both, draw_hints([left, also_left], SIZE, SIZE))
    assert torch.equal(reach_right, nearness(L, alone)) and torch.equal(reach_left[0], nearness(L, both).amax(0))


def test_no_bin_counts_to_two_suggestions():
    probabilities = torch.zeros(bins.num_bins())
    for a, share in ((0.0, 0.5), (10.0, 0.2), (20.0, 0.3)):
        probabilities[(bins.centres() - torch.tensor([a, 0.0])).norm(dim=1).argmin()] = share
    assert [round(one.probability, 3) for one in plausible(probabilities, 60.0, 3)] == [0.7, 0.3]
