"""The studio's state: what each action of a reader makes of it."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from colorlib.colorizer import Hint, Settings
from colorlib.studio.state import State

ACTIONS = st.lists(st.tuples(st.sampled_from(["added", "moved", "recoloured", "deleted"]), st.integers(0, 3),
                             st.integers(0, 9), st.integers(0, 9)), max_size=12)  # fmt: skip


def acted(state, action, index, x, y):
    if action == "added":
        return state.added(x, y)
    if index >= len(state.settings.hints):
        return state
    return state.deleted(index) if action == "deleted" else getattr(state, action)(index, x, y)


@given(ACTIONS)
def test_undo_goes_back_to_nothing_and_redo_to_where_it_was(actions):
    state = State()
    for action in actions:
        state = acted(state, *action)
    last = state.settings.hints
    steps = len(state.past)
    for _ in range(steps):
        state = state.undone()
    assert state.settings.hints == () and not state.past and state.undone() is state
    for _ in range(steps):
        state = state.redone()
    assert state.settings.hints == last and not state.future and state.redone() is state


def test_a_drag_is_one_step():
    state = State().added(1, 1).added(5, 5)
    for x in range(10):
        state = state.moved(0, x, 20)
    assert len(state.past) == 3 and state.undone().settings.hints[0][:2] == (1, 1)
    state = state.moved(1, 7, 7).moved(0, 3, 3)  # another hint between: steps of their own
    assert len(state.past) == 5


def test_choosing_a_hint_ends_a_drag():
    state = State().added(1, 1).moved(0, 2, 2).picked(0).moved(0, 3, 3)
    assert state.undone().settings.hints[0][:2] == (2, 2)


def test_a_new_action_forgets_what_was_undone():
    state = State().added(1, 1).undone().added(2, 2)
    assert not state.future and state.redone().settings.hints == state.settings.hints


def test_the_brush_colours_the_next_hint():
    state = State(brush=(10.0, 20.0)).added(1, 1)
    assert state.settings.hints == (Hint(1, 1, 10.0, 20.0),) and state.selected == 0
    state = state.recoloured(0, -5.0, 7.0).added(3, 3)
    assert state.settings.hints[1] == Hint(3, 3, -5.0, 7.0)
    picked = replace(state, brush=(0.0, 0.0), point=(9, 9)).picked(0)
    assert picked.brush == (-5.0, 7.0) and picked.point == (1, 1) and picked.selected == 0


def test_a_hint_at_the_same_point_replaces_the_old_one():
    state = State(brush=(10.0, 20.0)).added(4, 4).added(1, 1).recoloured(1, 0.0, 0.0).added(4, 4)
    assert state.settings.hints == (Hint(1, 1, 0.0, 0.0), Hint(4, 4, 0.0, 0.0)) and state.selected == 1


def test_hints_leave_the_other_settings_alone():
    assert State(Settings(saturation=1.4)).added(1, 1).undone().settings == Settings(saturation=1.4)


@pytest.mark.parametrize("action", [lambda s: s.moved(1, 0, 0), lambda s: s.deleted(-1), lambda s: s.picked(3),
                                    lambda s: s.recoloured(1, 0, 0)])  # fmt: skip
def test_hints_that_are_not_there_are_refused(action):
    with pytest.raises(ValueError, match="there is no hint"):
        action(State().added(1, 1))
