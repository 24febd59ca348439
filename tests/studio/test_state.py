"""The studio's state: what each action of the user makes of it."""


import pytest
from hypothesis import given
from hypothesis import strategies as st

from colorlib.colorizer import Hint, Settings
from colorlib.studio.state import State

ACTIONS = st.lists(st.tuples(st.sampled_from(["added", "move", "recolored", "delete"]), st.integers(0, 3),
                             st.integers(0, 9), st.integers(0, 9)), max_size=12)  # fmt: skip


def at(x, y, a=10.0, b=20.0):
    return Hint(x, y, a, b)


def acted(state, action, index, x, y):
    if action == "added":
        return state.added(at(x, y))
    if index >= len(state.settings.hints):
        return state
    return state.delete(index) if action == "delete" else getattr(state, action)(index, x, y)


@given(ACTIONS)
def test_undo_goes_back_to_nothing_and_redo_to_where_it_was(actions):
    state = State()
    for action in actions:
        state = acted(state, *action)
    last = state.settings.hints
    steps = len(state.past)
    for _ in range(steps):
        state = state.undo()
    assert state.settings.hints == () and not state.past and state.undo() is state
    for _ in range(steps):
        state = state.redo()
    assert state.settings.hints == last and not state.future and state.redo() is state


def test_a_drag_is_one_step():
    state = State().added(at(1, 1)).added(at(5, 5))
    for x in range(10):
        state = state.move(0, x, 20)
    assert len(state.past) == 3 and state.undo().settings.hints[0][:2] == (1, 1)
    state = state.move(1, 7, 7).move(0, 3, 3)  # another hint between: steps of their own
    assert len(state.past) == 5


def test_choosing_a_hint_ends_a_drag():
    state = State().added(at(1, 1)).move(0, 2, 2).select(0).move(0, 3, 3)
    assert state.undo().settings.hints[0][:2] == (2, 2)


def test_a_new_action_forgets_what_was_undone():
    state = State().added(at(1, 1)).undo().added(at(2, 2))
    assert not state.future and state.redo().settings.hints == state.settings.hints


def test_a_recoloured_hint_leaves_its_colour_among_the_recent_ones():
    state = State().added(at(1, 1)).added(at(3, 3, 0.0, 0.0))
    assert state.recent == () and state.selected == 1 and state.point == (3, 3)
    state = state.recolored(1, -5.0, 7.0)
    assert state.recent == ((-5.0, 7.0),) and state.settings.hints[1] == Hint(3, 3, -5.0, 7.0)
    picked = state.select(0)
    assert (picked.recent, picked.point, picked.selected) == (((-5.0, 7.0),), (1, 1), 0)


def test_ten_recent_colours_the_latest_first_and_none_twice():
    state = State().added(at(1, 1))
    for a in [*range(12), 5]:
        state = state.recolored(0, a, 0.0)
    assert [a for a, _ in state.recent] == [5, 11, 10, 9, 8, 7, 6, 4, 3, 2]


def test_reach_and_eraser_of_a_hint():
    state = State().added(at(1, 1)).tuned(0, reach=2.5).tuned(0, erase=True)
    assert state.settings.hints[0] == Hint(1, 1, 10.0, 20.0, 2.5, True)
    assert state.recolored(0, 1.0, 2.0).settings.hints[0] == Hint(1, 1, 1.0, 2.0, 2.5, False)  # a colour ends erasing
    assert state.undo().settings.hints[0].erase is False and state.undo().settings.hints[0].reach == 2.5


def test_undo_covers_the_sliders_and_one_drag_of_a_slider_is_one_step():
    state = State()
    for saturation in (1.1, 1.2, 1.3):
        state = state.set(Settings(saturation=saturation), "saturation")
    state = state.set(Settings(saturation=1.3, warmth=4.0), "warmth")
    assert state.undo().settings == Settings(saturation=1.3) and state.undo().undo().settings == Settings()
    assert state.undo().redo().settings == state.settings
    back = state.set(Settings()).set(Settings(warmth=1.0))  # about nothing in particular: steps of their own
    assert len(back.past) == 4


def test_a_hint_at_the_same_point_replaces_the_old_one():
    state = State().added(at(4, 4)).added(at(1, 1)).added(at(4, 4, 0.0, 0.0))
    assert state.settings.hints == (at(1, 1), at(4, 4, 0.0, 0.0)) and state.selected == 1


def test_loaded_settings_replace_all_and_undo_brings_the_old_ones_back():
    before = State(Settings(saturation=0.5)).added(at(1, 1))
    state = before.select(-1).set(Settings(warmth=3.0))
    assert state.settings == Settings(warmth=3.0) and state.selected == -1
    assert state.undo().settings == before.settings


@pytest.mark.parametrize("action", [lambda s: s.move(1, 0, 0), lambda s: s.delete(-1), lambda s: s.select(3),
                                    lambda s: s.recolored(1, 0, 0), lambda s: s.tuned(2, reach=2.0)])  # fmt: skip
def test_hints_that_are_not_there_are_refused(action):
    with pytest.raises(ValueError, match="there is no hint"):
        action(State().added(at(1, 1)))
