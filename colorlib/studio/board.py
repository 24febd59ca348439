"""The board of the studio: a photograph before and after, the hints on it, and its other colourings."""

from __future__ import annotations

from pathlib import Path

import anywidget
import traitlets

HERE = Path(__file__).parent
VIEW = ("dom", "popover", "strip", "files", "board")  # scripts that are joined to one module, in this order


class Board(anywidget.AnyWidget):
    """A photograph in two versions, left and right of a divider, with a marker for each hint and a popover at one.

    The board shows its traits and sends what the user did. Its owner listens with `on_msg`, whose callback gets (board,
    content, buffers); `content` is one of

        {"kind": "add", "x", "y"}                a click on the picture
        {"kind": "move", "index", "x", "y"}      a marker was moved; during a drag, one message for each new `picture`
        {"kind": "delete", "index"}              Delete or Backspace on a marker, or Remove in the popover
        {"kind": "select", "index"}              a click on a marker; -1: the popover was closed
        {"kind": "color", "a", "b"}              a colour of the popover for the selected hint; or "code": "#rrggbb"
        {"kind": "sample", "x", "y"}             the selected hint takes the colour of this place
        {"kind": "reach" or "erase", "value"}    of the selected hint
        {"kind": "undo"}, {"kind": "redo"}
        {"kind": "variant", "index"}             a click on a small colouring
        {"kind": "thumb", "index"}               the next small colouring may be computed: nothing else is going on
        {"kind": "crop", "x", "y", "width", "height", "pixels"}   a part of the photograph that fills the stage, which is
                                                 `pixels` wide on the screen
        {"kind": "file", "name", "part", "parts"}   a file was dropped or chosen: part 0 to parts - 1, in order, with up to
                                                 512 KiB in buffers[0] (a Jupyter server takes 10 MB in one message)
        {"kind": "refused", "name", "bytes"}     a file above `max_bytes`; it was not sent

    x and y are whole pixels of the photograph, x to the right, y down, whatever the size of the drawn picture. The
    owner sends {"kind": "save", "name", "type"} with the bytes of a file, which the browser saves.

    Attributes:
        picture: an encoded picture (PNG, JPEG, WebP), shown right of the divider; empty: a place to drop a file on.
        before: an encoded picture of the same shape, shown left of the divider; empty: no divider.
        name: of the photograph. With another name the divider sweeps across the picture once.
        width, height: of the photograph, in pixels; `picture` and `before` may be smaller.
        detail, detail_box: an encoded picture of a part of the photograph, and its x, y, width and height.
        hints: one {"x", "y", "color": "#rrggbb", "reach", "erase"} for each marker, in pixels of the photograph.
        selected: index of the marker with the thicker ring and the popover; -1: none.
        offer: colours of the popover: [title, [["#rrggbb", label, a, b], ...]] for each group.
        thumbs: encoded small pictures of the colourings 0, 1, ...; variants: how many there can be; variant: the chosen.
        can_undo, can_redo: whether the two buttons work.
        busy: the owner is computing; shown after 0.2 s.
        divider: share of the width that shows `before`, 0 to 1; the browser sends it when the divider is released.
        accept: which files the button offers, as in HTML: ".png,.jpg".
        max_bytes: the largest file that is sent.
        ready: set by the browser when it has drawn the board.
    """

    _esm = "\n".join((HERE / f"{name}.js").read_text(encoding="utf-8") for name in VIEW)
    _css = HERE / "board.css"

    picture = traitlets.Bytes().tag(sync=True)
    before = traitlets.Bytes().tag(sync=True)
    name = traitlets.Unicode().tag(sync=True)
    width = traitlets.Int(1).tag(sync=True)
    height = traitlets.Int(1).tag(sync=True)
    detail = traitlets.Bytes().tag(sync=True)
    detail_box = traitlets.List(traitlets.Int(), [0, 0, 1, 1]).tag(sync=True)
    hints = traitlets.List(traitlets.Dict()).tag(sync=True)
    selected = traitlets.Int(-1).tag(sync=True)
    offer = traitlets.List().tag(sync=True)
    thumbs = traitlets.List(traitlets.Bytes()).tag(sync=True)
    variants = traitlets.Int(0).tag(sync=True)
    variant = traitlets.Int(0).tag(sync=True)
    can_undo = traitlets.Bool(False).tag(sync=True)
    can_redo = traitlets.Bool(False).tag(sync=True)
    busy = traitlets.Bool(False).tag(sync=True)
    divider = traitlets.Float(0.0).tag(sync=True)
    accept = traitlets.Unicode().tag(sync=True)
    max_bytes = traitlets.Int(100_000_000).tag(sync=True)
    ready = traitlets.Bool(False).tag(sync=True)
