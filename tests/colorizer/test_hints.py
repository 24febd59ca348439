"""Hints hold at their points and stop at edges; suggestions are colours that sRGB has there."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from colorlib import color
from colorlib.color import AB_SCALE, bins
from colorlib.colorizer import Hint
from colorlib.colorizer.hints import (
    OWN, SUGGESTIONS_APART, follow, hold_hints, nearness, place_hints, plausible, spread, surfaces,
)
from colorlib.generators import Prediction

SIZE = (32, 48)


def two_halves():
    """L: dark on the left, light on the right; ab: 0."""
    L = torch.full((1, 1, *SIZE), -0.5)
    L[..., 24:] = 0.5
    return L, torch.zeros(1, 2, *SIZE)


def marks_of(hints):
    return place_hints(hints, SIZE, SIZE)


def at(ab, hint):
    return ab[0, :, int(hint.y), int(hint.x)] * AB_SCALE


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 47), st.integers(0, 31), st.integers(-80, 80), st.integers(-80, 80)),
                min_size=1, max_size=12, unique_by=lambda hint: (hint[0] // 6, hint[1] // 6)))
def test_hints_hold_at_their_points(points):
    L, ab = two_halves()
    hints = [Hint(6 * (x // 6), 6 * (y // 6), a, b) for x, y, a, b in points]
    held = hold_hints(ab, L, marks_of(hints).drawn())
    for hint in hints:
        assert (at(held, hint) - torch.tensor([hint.a, hint.b], dtype=torch.float32)).abs().max() < 3


def test_a_correction_spreads_over_its_side_and_stops_at_the_edge():
    L, ab = two_halves()
    held = hold_hints(ab, L, marks_of([Hint(23, 16, 60, 0)]).drawn()) * AB_SCALE
    assert held[0, 0, 16, 22] > 40 and held[0, 0, 18, 23] > 5
    assert held[0, 0, :, 24:].abs().max() < 0.1  # one pixel further, across the edge of L
    assert held[0, 1].abs().max() < 1e-3


def test_what_the_generator_did_right_is_left_alone():
    L, _ = two_halves()
    ab = torch.randn(1, 2, *SIZE, generator=torch.Generator().manual_seed(0)) * 0.1
    hint = Hint(10, 10, *(ab[0, :, 10, 10] * AB_SCALE).tolist())
    assert torch.allclose(hold_hints(ab, L, marks_of([hint]).drawn()), ab, atol=1e-4)
    assert hold_hints(ab, L, torch.zeros(1, 3, *SIZE)) is ab


def test_neighbours_that_contradict_each_other_do_not_explode():
    L, ab = two_halves()
    held = hold_hints(ab, L, marks_of([Hint(10, 10, 60, 0), Hint(11, 10, -60, 0)]).drawn()) * AB_SCALE
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
    near, other = nearness(L, marks_of([Hint(4, 16, 0, 0), Hint(40, 20, 0, 0)]))[:, 0]
    assert near.shape == SIZE and near[16, 4] == 1 and other[20, 40] == 1
    assert near[16, 18] > 0.9 and near[:, 28:].max() < 0.1  # 14 pixels on, and beyond the edge
    assert other[16, 44] > 0.9 and other[:, :20].max() < 0.1


def folded():
    """L and what a network predicts of it: stripes, such as folds, on the left, which is one thing; another thing right."""
    L, _ = two_halves()
    L[..., :24] += 0.25 * ((torch.arange(24) // 4) % 2)
    likely = torch.zeros(1, 3, SIZE[0] // 4, SIZE[1] // 4)
    likely[:, 0, :, :6], likely[:, 1, :, 6:], likely[:, 2] = 0.9, 0.9, 0.1
    return L, likely


def test_a_hint_crosses_edges_inside_of_what_the_network_takes_for_one_thing():
    L, likely = folded()
    marks = marks_of([Hint(2, 16, 0, 0), Hint(40, 20, 0, 0)])
    by_edges, by_both = nearness(L, marks)[:, 0], nearness(L, marks, likely)[:, 0]
    assert by_edges[0, 16, 8:20].max() < 0.1 < 0.9 < by_both[0, 16, :20].min()  # the next fold, and all of them
    assert by_both[0, :, 28:].max() < 0.1 and by_both[1, :, :20].max() < 0.1
    assert by_both[0, 16, 2] == by_both[1, 20, 40] == 1 and (by_both >= by_edges).all()


def test_a_hint_reaches_the_very_edge_of_its_surface_and_not_beyond():
    L = F.avg_pool2d(F.pad(two_halves()[0], [2] * 4, mode="replicate"), 5, 1)  # an edge as lenses and scaling draw it
    left, right = nearness(L, marks_of([Hint(4, 16, 0, 0), Hint(40, 20, 0, 0)]))[:, 0]
    even = (L[0, 0] + 0.5).abs() < 1e-6, (L[0, 0] - 0.5).abs() < 1e-6
    assert left[even[0]].min() > 0.7 and right[even[1]].min() > 0.7  # a sky has no rim of its former colour around a tower
    assert left[even[1]].max() < 0.1 and right[even[0]].max() < 0.1


def test_predicted_colours_only_add_to_what_edges_give_and_follow_the_reach():
    L, likely = folded()
    marks, even = marks_of([Hint(2, 16, 0, 0)]), torch.full_like(likely, 1 / 3)
    wide, narrow = (nearness(L, marks_of([Hint(2, 16, 0, 0, reach=reach)]), likely) for reach in (3, 0.3))
    assert (nearness(L, marks, even) >= nearness(L, marks)).all() and (wide >= narrow).all() and wide.mean() > 2 * narrow.mean()
    assert torch.equal(nearness(L[..., :1, :1], place_hints([Hint(0, 0, 0, 0)], (1, 1), (1, 1)), even), torch.ones(1, 1, 1, 1))


def test_a_hint_reaches_as_far_at_every_large_render_size():
    L, _ = two_halves()
    for width in (144, 288, 400):
        size = (2 * width // 3, width)
        near = nearness(F.interpolate(L, size), place_hints([Hint(4, 16, 0, 0)], SIZE, size))
        assert near.shape == (1, 1, *size)
        there = F.interpolate(near, SIZE, mode="area")[0, 0]
        assert there[16, 4] > 0.99 and there[16, 18] > 0.4 and there[:, 28:].max() < 0.1
        if width == 144:
            expected = there
        assert (there - expected).abs().max() < 0.1


def test_hints_of_one_surface_go_together():
    L, _ = two_halves()
    marks = marks_of([Hint(4, 16, 60, 0), Hint(40, 20, -60, 0), Hint(12, 2, 0, 60)])
    groups = sorted(group.tolist() for group in surfaces(nearness(L, marks), marks))
    assert groups == [[False, True, False], [True, False, True]]


def test_hints_of_one_colour_go_together_also_across_an_edge():
    L, _ = two_halves()
    marks = marks_of([Hint(4, 16, 60, 0), Hint(40, 20, 61, 2), Hint(40, 4, 0, 60, erase=True)])
    assert [group.tolist() for group in surfaces(nearness(L, marks), marks)] == [[True, True, False]]


def coloured(L, hints, plain=0.0):
    """ab in CIE units where the generator ignores its hints and gives `plain` everywhere."""
    ab = torch.full((1, 2, *L.shape[-2:]), plain / AB_SCALE)
    found = follow(L, marks_of(hints), lambda drawn: Prediction(ab))
    mixed, own, share = spread(ab, found)
    return torch.lerp(mixed, own, share)[0] * AB_SCALE


def test_a_hint_colours_its_side_and_leaves_the_other():
    L, _ = two_halves()
    ab = coloured(L, [Hint(10, 16, 50, -20)])
    assert (ab[0, 8:24, 4:18] > 0.5 * OWN * 50).all() and ab[0, 16, 10] == pytest.approx(OWN * 50, abs=0.1)
    assert ab[:, :, 28:].abs().max() < 1


def test_reach_says_how_far():
    L, _ = two_halves()
    near, middle, far = (coloured(L, [Hint(2, 2, 50, 0, reach)])[0, 30, 20].item() for reach in (0.1, 0.3, 1.0))
    assert near < 5 < middle - 5 < far - 8


def test_an_eraser_keeps_what_the_generator_gives_there():
    L, _ = two_halves()
    hint, eraser = Hint(4, 16, 50, 0), Hint(20, 16, 0, 0, erase=True)
    ab = coloured(L, [hint, eraser], plain=5.0)
    assert ab[0, 16, 20] == pytest.approx(5, abs=0.1)
    assert ab[0, 16, 4] == pytest.approx(coloured(L, [hint], plain=5.0)[0, 16, 4].item(), abs=0.1)
    assert coloured(L, [hint], plain=5.0)[0, 16, 20] > 10
    assert torch.equal(coloured(L, [hint, eraser])[:, :, 30:], coloured(L, [hint])[:, :, 30:]) or ab[:, :, 30:].max() < 6


def test_each_of_two_erasers_keeps_its_own_place():
    L, _ = two_halves()
    hint, *erasers = Hint(12, 16, 50, 0), Hint(2, 16, 0, 0, erase=True), Hint(22, 16, 0, 0, erase=True)
    ab = coloured(L, [hint, *erasers], plain=5.0)
    assert ab[0, 16, [2, 22]].tolist() == pytest.approx([5, 5], abs=0.1) and ab[0, 16, 12] > 30


def test_of_two_hints_in_one_small_pixel_the_later_one_counts():
    marks = place_hints([Hint(0, 0, 10, 0), Hint(1, 1, 20, 0)], (64, 96), SIZE)
    assert [hint.a for hint in marks.hints] == [20] and marks.drawn()[0, :, 0, 0].tolist() == pytest.approx([1, 20 / AB_SCALE, 0])


@pytest.mark.parametrize("hint, words", [
    (Hint(48, 0, 0, 0), "x=48, y=0 lies outside"), (Hint(0, 0, 200, 0), "a=200"), (Hint(0, 0, 0, 0, 0.0), "reach=0.0"),
    (Hint(0, 0, 0, 0, 11.0), "reach=11.0")])
def test_hints_that_cannot_be_are_refused(hint, words):
    with pytest.raises(ValueError, match=words):
        marks_of([hint])


def test_a_dark_point_is_not_given_five_shades_of_black():
    even = torch.full((bins.num_bins(),), 1 / bins.num_bins())
    dark, light = (plausible(even, lightness, 5) for lightness in (3.0, 60.0))
    assert len(dark) < 5 == len(light)


def test_no_bin_counts_to_two_suggestions():
    probabilities = torch.zeros(bins.num_bins())
    for a, share in ((0.0, 0.5), (10.0, 0.2), (20.0, 0.3)):
        probabilities[(bins.centres() - torch.tensor([a, 0.0])).norm(dim=1).argmin()] = share
    assert [round(one.probability, 3) for one in plausible(probabilities, 60.0, 3)] == [0.7, 0.3]
