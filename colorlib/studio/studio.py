"""What each control of the studio does: every event becomes a new `State`, which is shown.

There is no model code here: the settings are a `Settings`, pictures come from `Preview`, files from `files`.
"""

from __future__ import annotations

import html
import logging
import math
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

from ipywidgets import VBox

from colorlib.colorizer import Colorizer, ColorizerError, Hint, Settings
from colorlib.colorizer.colorizer import VARIANTS
from colorlib.photos import Photo
from colorlib.studio.files import FORMATS, Incoming, color_folder, full_size_file, link, read_settings
from colorlib.studio.parts import Parts
from colorlib.studio.preview import Preview, ab_of_hex, jpeg
from colorlib.studio.state import State
from colorlib.studio.view import View

log = logging.getLogger(__name__)
MAX_BYTES, MAX_PIXELS = 50_000_000, 60_000_000  # of a photograph
UNASKED = ("thumb", "crop")  # messages that the board sends by itself: they leave a sentence to the user as it is
APART = 12.0  # CIE units: a new hint takes the likeliest colour that differs so much from the picture's


class Studio(VBox):
    """A photograph, its colours, and every control that changes them.

    Args:
        photo: a path, a Photo, or the name of one of `photos.sample_photographs`.
        colorizer: colours it; None takes the weights that came with colorlib.
        files: offer paths and folders of the machine that computes. A page for other people should not.
        max_bytes, max_pixels: of a photograph; a larger one is refused with a sentence.

    Attributes:
        state: what is set, an immutable `state.State`; `settings`: those of the state; `photo`: the photograph.

    Example:
        >>> studio = Studio("grandmother.jpg")
        >>> studio                           # the last line of a notebook's cell
    """

    def __init__(self, photo: str | Path | Photo = "china", colorizer: Colorizer | None = None, *, files: bool = True,
                 max_bytes: int = MAX_BYTES, max_pixels: int = MAX_PIXELS) -> None:
        expression = "Colorizer.load()" if colorizer is None else "colorizer"
        self.colorizer = Colorizer.load() if colorizer is None else colorizer
        self._incoming = Incoming(self.colorizer, max_bytes, max_pixels)
        self._showing, self._lock = False, threading.RLock()
        self.parts, self.state = Parts(FORMATS, files, max_bytes), State()
        self._view = View(self.parts, self.colorizer.own_render_size, expression)
        super().__init__(self.parts.top)
        self.add_class("colorlib-studio")
        self._connect()
        self.load(photo)

    settings = property(lambda self: self.state.settings)
    photo = property(lambda self: self._preview.photo)

    def load(self, photo: str | Path | Photo) -> None:
        """Open another photograph. The settings stay; the hints go, because they belong to the old photograph.

        Raises:
            ValueError: it cannot be opened or coloured; the previous one stays.
        """
        with self._lock:
            self._show_photo(self._incoming.open(photo))

    def _connect(self) -> None:
        """Give every control its action. Sliders and the like pass their value; buttons pass nothing."""
        parts = self.parts
        parts.sliders["adversarial"].disabled = self.colorizer.sibling is None
        has_variants = bool(self.colorizer.generator.config.get("z_channels", 0))
        parts.sliders["variant"].disabled = not has_variants
        parts.board.variants = 1 + VARIANTS if has_variants else 0
        changed = {
            parts.samples: lambda name: name and self.load(name),
            parts.path: lambda path: path.strip() and self.load(Path(path.strip("\"' ")).expanduser()),
            parts.uncertainty: lambda shown: self._show(replace(self.state, uncertainty=shown)),
            parts.hints: lambda index: self._show(self.state.picked(index)),
            parts.picker: lambda code: self._color(*ab_of_hex(code)),
            parts.x: lambda x: self._show(replace(self.state, point=(x, self.state.point[1]))),
            parts.y: lambda y: self._show(replace(self.state, point=(self.state.point[0], y))),
            parts.format: lambda _: setattr(parts.file, "value", ""),
            **{slider: partial(self._set, name) for name, slider in parts.sliders.items()},
        }
        for widget, action in changed.items():
            widget.observe(lambda change, action=action: self._run(action, change["new"]), "value")
        clicked = {
            parts.reset: lambda: self._show(self.state.set(Settings(hints=self.settings.hints))),
            parts.add: lambda: self._add(*self.state.point),
            parts.move: lambda: self._show(self.state.moved(self._selected("move"), *self.state.point)),
            parts.delete: lambda: self._show(self.state.deleted(self._selected("delete"))),
            parts.make: self._save,
            parts.go: lambda: setattr(parts.report, "value", color_folder(
                self.colorizer, self.settings, parts.source.value, parts.target.value, parts.folder_progress)),
        }
        for button, action in clicked.items():
            button.on_click(lambda _, action=action: self._run(action))
        parts.board.on_msg(lambda _, content, buffers: self._run(
            self._board_sent, content, buffers, asked=content.get("kind") not in UNASKED))

    def _run(self, action: Callable, *values: object, asked: bool = True) -> None:
        """Run an action and show its errors in the studio. An unexpected one is raised as well, so that the log has it.

        One at a time: JupyterLab may send the messages of two widgets to two threads of the kernel.
        """
        with self._lock:
            if self._showing:  # the studio itself moves its sliders
                return
            if asked:
                self._say("")
            self.parts.board.busy = True
            try:
                action(*values)
            except (ColorizerError, ValueError, OSError) as error:
                log.warning("%s", error)
                self._say(str(error))
                with self._own_changes():  # a slider does not stay at a value that was refused
                    self._view.show_sliders(self.settings)
            except Exception as error:
                self._say(f"Something went wrong in colorlib ({type(error).__name__}: {error}). The log has the details.")
                raise
            finally:
                self.parts.board.busy = False

    def _say(self, sentence: str) -> None:
        self.parts.message.value = f'<span role="alert" style="color: #b3261e">{html.escape(sentence)}</span>' if sentence else ""

    def _show(self, state: State, preview: Preview | None = None) -> None:
        """Show a new state, or raise and stay with the old one."""
        preview = preview or self._preview
        picture = jpeg((preview.uncertainty if state.uncertainty else preview.picture)(state.settings))
        self._preview, self.state = preview, state
        with self._own_changes():
            self._view.show(state, preview, picture)

    def _show_photo(self, preview: Preview) -> None:
        height, width = preview.photo.rgb.shape[-2:]
        self._show(State(replace(self.settings, hints=()), recent=self.state.recent, uncertainty=self.state.uncertainty,
                         point=(width // 2, height // 2)), preview)  # fmt: skip

    @contextmanager
    def _own_changes(self) -> Iterator[None]:
        """Meanwhile the studio itself changes its widgets: no action runs."""
        before, self._showing = self._showing, True
        try:
            yield
        finally:
            self._showing = before

    def _set(self, name: str, value: float) -> None:
        # there is one mean colouring; every other one needs the default decoding
        values = {"decode": "default"} if name == "variant" and value else {}
        self._show(self.state.set(replace(self.settings, **values, **{name: value}), name))

    def _add(self, x: float, y: float) -> None:
        """A new hint takes the likeliest colour that one would see as another, so that one click shows what hints do."""
        a, b = self._preview.ab(x, y, self.settings)
        plausible = self._preview.suggest(x, y, self.settings)
        chosen = next(((one.a, one.b) for one in plausible if math.dist(one[:2], (a, b)) > APART), (a, b))
        self._show(self.state.added(Hint(x, y, *(round(value, 1) for value in chosen))))

    def _color(self, a: float, b: float) -> None:
        self._show(self.state.recolored(self._selected("colour"), round(a, 1), round(b, 1)))

    def _save(self) -> None:
        parts = self.parts
        name, kind, data = full_size_file(self.colorizer, self.photo, self.settings, parts.format.value, parts.progress)
        parts.board.send({"kind": "save", "name": name, "type": kind}, [data])
        settings = link(f"{Path(name).stem}.json", "application/json", self.settings.to_json().encode(), "save its settings too")
        parts.file.value = f"{link(name, kind, data, f'Saved {name}')} ({len(data) / 1e6:.1f} MB); {settings}"

    def _selected(self, action: str) -> int:
        if self.state.selected < 0:
            raise ValueError(f"there is no hint chosen to {action}: choose one from the list, or click on it")
        return self.state.selected

    def _board_sent(self, content: dict, buffers: list) -> None:
        """A message of the board; see `board.Board`."""
        match content:
            case {"kind": "add", "x": x, "y": y}:
                self._add(x, y)
            case {"kind": "move", "index": index, "x": x, "y": y}:
                self._show(self.state.moved(index, x, y))
            case {"kind": "delete", "index": index}:
                self._show(self.state.deleted(index))
            case {"kind": "select", "index": index}:
                self._show(self.state.picked(index))
            case {"kind": "color", "a": a, "b": b}:
                self._color(a, b)
            case {"kind": "color", "code": code}:
                self._color(*ab_of_hex(code))
            case {"kind": "sample", "x": x, "y": y}:
                self._color(*self._preview.ab(x, y, self.settings))
            case {"kind": "reach" | "erase" as name, "value": value}:
                self._show(self.state.tuned(self._selected("change"), **{name: value}))
            case {"kind": "undo"}:
                self._show(self.state.undone())
            case {"kind": "redo"}:
                self._show(self.state.redone())
            case {"kind": "variant", "index": index}:
                self._set("variant", index)
            case {"kind": "thumb", "index": index}:
                if index == len(self._preview.thumbs):
                    self._preview.add_thumb()
                self.parts.board.thumbs = list(self._preview.thumbs)
            case {"kind": "crop", "pixels": pixels}:
                box = tuple(content[name] for name in ("x", "y", "width", "height"))
                if not self.state.uncertainty:
                    with self.parts.board.hold_sync():
                        self.parts.board.detail = self._preview.crop(self.settings, box, pixels)
                        self.parts.board.detail_box = list(box)
            case {"kind": "refused", "name": name, "bytes": number}:
                self._incoming.check_bytes(name, number)
            case {"kind": "file", "name": name, "part": part, "parts": parts}:
                data = self._incoming.receive(part, parts, buffers[0])
                if data is not None:
                    self._open_file(name, data)

    def _open_file(self, name: str, data: bytes) -> None:
        if name.lower().endswith(".json"):
            self._show(self.state.loaded(read_settings(name, data)))
        else:
            self._show_photo(self._incoming.decode(name, data))
