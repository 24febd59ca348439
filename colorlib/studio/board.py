"""The board of the studio: a photograph before and after, the hints on it, its other colourings, and a film strip."""

from pathlib import Path

import anywidget
from traitlets import Bool, Bytes, Dict, Float, Int, List, Unicode

HERE = Path(__file__).parent
VIEW = ("dom", "tiles", "popover", "files", "zoom", "board")  # scripts that are joined to one module, in this order


def _shared(kind: type, *arguments: object) -> object:
    return kind(*arguments).tag(sync=True)


class Board(anywidget.AnyWidget):
    """A photograph in two versions, left and right of a divider, with a marker for each hint and a popover at one.

    The board shows its traits and sends what the user did, as the cases of `Studio._board_sent` say. There x and y are
    whole pixels of the photograph, x to the right, y down, whatever the size of the drawn picture. The owner sends
    {"kind": "save", "name", "type"} with the bytes of a file, which the browser saves, and encoded pictures (PNG, JPEG
    or WebP): {"kind": "tile", "row", "index"} and {"kind": "crop", "box": [x, y, width, height]}.
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
