"""The Python side of the board; what a user does with it is in tests/browser."""

import inspect
import json
import re
from pathlib import Path

import pytest
import traitlets

import colorlib.studio.board
from colorlib.studio import Studio
from colorlib.studio.board import Board

FOLDER = Path(colorlib.studio.board.__file__).parent
VIEW = "\n".join((FOLDER / f"{name}.js").read_text(encoding="utf-8") for name in colorlib.studio.board.VIEW)
BYTES = ["picture", "before", "reference"]
TRAITS = [*BYTES, "name", "width", "height", "hints", "selected", "offer", "variants", "variant", "films", "film", "draft", "can_undo",
          "can_redo", "busy", "divider", "accept", "max_bytes", "ready"]


def test_every_trait_reaches_the_view_and_the_view_asks_for_no_other():
    board = Board()
    assert set(TRAITS) <= set(board.keys)
    asked = set(re.findall(r'model\.(?:get|set)\("(\w+)"', VIEW))
    assert asked == set(TRAITS)
    watched = re.search(r"const drawn = {(.*?)};", VIEW, re.DOTALL)[1]
    assert set(re.findall(r"(\w+): \S", watched)) == asked - {"ready", "accept", "max_bytes"}


def test_an_empty_board_has_no_hint_no_divider_and_is_not_ready():
    state = Board().get_state(TRAITS)
    assert (state["picture"], state["before"], state["hints"]) == (b"", b"", [])
    assert (state["selected"], state["divider"], state["ready"]) == (-1, 0.0, False)
    assert state["max_bytes"] > 0 and json.dumps({name: state[name] for name in TRAITS if name not in BYTES})


def test_pictures_travel_as_bytes_not_as_text():
    with pytest.raises(traitlets.TraitError):
        Board(picture="data:image/png;base64,AAAA")
    assert Board(picture=b"\x89PNG").get_state(["picture"]) == {"picture": b"\x89PNG"}


def test_what_the_view_sends_reaches_the_listener_with_its_bytes():
    heard, board = [], Board()
    board.on_msg(lambda board, content, buffers: heard.append((content, buffers)))
    content = {"kind": "file", "name": "a.png", "use": "photo", "part": 0, "parts": 1}
    message = {"content": {"data": {"method": "custom", "content": content}}, "buffers": [b"abc"]}
    board._handle_msg(message)
    assert heard == [(content, [b"abc"])]


def test_each_kind_of_message_is_a_case_of_the_studio():
    kinds = set(re.findall(r'send\("(\w+)"', VIEW))
    cases = re.findall(r'case {"kind": ([^,}]+)', inspect.getsource(Studio._board_sent))
    assert kinds == set(re.findall(r'"(\w+)"', " ".join(cases)))
    assert {"add", "withdraw", "color", "reach", "erase", "refine", "tile", "crop", "variant", "film", "file"} < kinds


def test_the_view_needs_no_network_and_lies_in_the_package():
    assert str(Board()._esm) == VIEW and str(Board()._css) == (FOLDER / "board.css").read_text(encoding="utf-8")
    for text in (VIEW, str(Board()._css)):
        assert not re.search(r"https?:|//\w+\.|^\s*import\b|@import|url\(", text, re.MULTILINE)
