"""The board of the studio: a photograph before and after, the hints on it, its other colourings, and a film strip."""

from __future__ import annotations

from pathlib import Path

import anywidget
from traitlets import Bool, Bytes, Dict, Float, Int, List, Unicode

HERE = Path(__file__).parent
VIEW = ("dom", "tiles", "popover", "files", "zoom", "board")  # scripts that are joined to one module, in this order


def _shared(kind: type, *arguments: object) -> object:
    return kind(*arguments).tag(sync=True)


class Board(anywidget.AnyWidget):
    """A photograph in two versions, left and right of a divider, with a marker for each hint and a popover at one.

    The board shows its traits and sends what the user did. Its owner listens with `on_msg`, whose callback gets (board,
    content, buffers); `content` is one of

        {"kind": "add", "x", "y"}                a click on the picture
        {"kind": "withdraw"}                     it was the first half of a double click: without the hint again
        {"kind": "move", "index", "x", "y"}      a marker was moved; during a drag, one message for each new `picture`
        {"kind": "delete", "index"}              Delete or Backspace on a marker, or Remove in the popover
        {"kind": "select", "index"}              a click on a marker; -1: the popover was closed
        {"kind": "color", "a", "b"}              a colour of the popover for the selected hint; or "code": "#rrggbb"
        {"kind": "sample", "x", "y"}             the selected hint takes the colour of this place
        {"kind": "reference", "x", "y"}          or of this one of the reference photograph, shares of width and height
        {"kind": "reach" or "erase", "value"}    of the selected hint
        {"kind": "undo"}, {"kind": "redo"}
        {"kind": "refine"}                       the draft is painted, and nothing is dragged: compute the picture itself
        {"kind": "variant", "index"}             a click on a small colouring
        {"kind": "film", "index"}                a click on a photograph of the film strip
        {"kind": "tile", "row", "index"}         a small picture is in sight and missing, of the row "strip" (colourings) or
                                                 "films", and nothing else is going on
        {"kind": "crop", "x", "y", "width", "height", "pixels"}   a part of the photograph that fills the stage, which is
                                                 `pixels` wide on the screen
        {"kind": "file", "name", "use", "part", "parts"}   a file was dropped or chosen: part 0 to parts - 1, in order, with
                                                 up to 512 KiB in buffers[0] (a Jupyter server takes 10 MB in one message);
                                                 use: "photo", "more" (of several photographs, after the first), "reference"
        {"kind": "refused", "name", "bytes"}     a file above `max_bytes`; it was not sent

    x and y are whole pixels of the photograph, x to the right, y down, whatever the size of the drawn picture. The
    owner sends {"kind": "save", "name", "type"} with the bytes of a file, which the browser saves, and encoded pictures
    (PNG, JPEG or WebP): {"kind": "tile", "row", "index"} and {"kind": "crop", "box": [x, y, width, height]}.
    """

    _esm = "\n".join((HERE / f"{name}.js").read_text(encoding="utf-8") for name in VIEW)
    _css = HERE / "board.css"

    picture = _shared(Bytes)  # encoded, shown right of the divider; empty: a place to drop a file on
    before = _shared(Bytes)  # encoded, of the same shape, shown left of the divider; empty: no divider
    draft = _shared(Bool)  # `picture` will soon be replaced by a better one of the same settings
    name = _shared(Unicode)  # of the photograph; with another name the divider sweeps across the picture once
    width = _shared(Int, 1)  # of the photograph, in pixels; `picture` and `before` may be smaller
    height = _shared(Int, 1)
    hints = _shared(List, Dict())  # {"x", "y", "color": "#rrggbb", "reach", "erase"} for each marker
    selected = _shared(Int, -1)  # index of the marker with the thicker ring and the popover; -1: none
    offer = _shared(List)  # colours of the popover: [title, [["#rrggbb", label, a, b], ...]] for each group
    variants = _shared(Int, 0)  # how many small colourings there are
    variant = _shared(Int, 0)  # the chosen one
    films = _shared(List, Unicode())  # names of the photographs of the film strip
    film = _shared(Int, 0)  # the open one
    reference = _shared(Bytes)  # encoded, another photograph to take colours from
    can_undo = _shared(Bool)
    can_redo = _shared(Bool)
    busy = _shared(Bool)  # the owner is computing; shown after 0.2 s
    divider = _shared(Float, 0.0)  # share of the width that shows `before`; the browser sends it when it is released
    accept = _shared(Unicode)  # which files the button offers, as in HTML: ".png,.jpg"
    max_bytes = _shared(Int, 100_000_000)  # the largest file that is sent
    ready = _shared(Bool)  # set by the browser when it has drawn the board
