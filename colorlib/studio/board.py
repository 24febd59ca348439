"""The board of the studio: a photograph before and after, and hints that a pointer adds, moves and deletes."""

from __future__ import annotations

from pathlib import Path

import anywidget
import traitlets


class Board(anywidget.AnyWidget):
    """A photograph in two versions, left and right of a divider, with a marker for each hint.

    The board shows its traits and sends what the user did. Its owner listens with `on_msg`, whose callback gets (board,
    content, buffers); `content` is one of

        {"kind": "add", "x", "y"}                a click on the picture
        {"kind": "move", "index", "x", "y"}      a marker was moved; during a drag, one message for each new `picture`
        {"kind": "delete", "index"}              Delete or Backspace on a marker
        {"kind": "select", "index"}              a click on a marker
        {"kind": "file", "name", "part", "parts"}   a file was dropped or chosen: part 0 to parts - 1, in order, with up to
                                                 512 KiB in buffers[0] (a Jupyter server takes 10 MB in one message)
        {"kind": "refused", "name", "bytes"}     a file above `max_bytes`; it was not sent

    x and y are whole pixels of the photograph, x to the right, y down, whatever the size of the drawn picture.

    Attributes:
        picture: an encoded picture (PNG, JPEG, WebP), shown right of the divider; empty: a place to drop a file on.
        before: an encoded picture of the same shape, shown left of the divider; empty: no divider.
        width, height: of the photograph, in pixels; `picture` and `before` may be smaller.
        hints: one {"x", "y", "color": "#rrggbb"} for each marker, in pixels of the photograph.
        selected: index of the marker with the thicker ring; -1: none.
        divider: share of the width that shows `before`, 0 to 1; the browser sends it when the divider is released.
        accept: which files the button offers, as in HTML: ".png,.jpg".
        max_bytes: the largest file that is sent.
        ready: set by the browser when it has drawn the board.
    """

    _esm = Path(__file__).with_name("board.js")
    _css = Path(__file__).with_name("board.css")

    picture = traitlets.Bytes().tag(sync=True)
    before = traitlets.Bytes().tag(sync=True)
    width = traitlets.Int(1).tag(sync=True)
    height = traitlets.Int(1).tag(sync=True)
    hints = traitlets.List(traitlets.Dict()).tag(sync=True)
    selected = traitlets.Int(-1).tag(sync=True)
    divider = traitlets.Float(0.0).tag(sync=True)
    accept = traitlets.Unicode().tag(sync=True)
    max_bytes = traitlets.Int(100_000_000).tag(sync=True)
    ready = traitlets.Bool(False).tag(sync=True)
