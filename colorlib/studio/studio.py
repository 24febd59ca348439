"""What each control of the studio does: every event becomes a new `State`, which is shown.

There is no model code here: the settings are a `Settings`, pictures come from `Preview`, files from `files`.
"""

from __future__ import annotations

import html
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

from ipywidgets import VBox

from colorlib.colorizer import Colorizer, ColorizerError, Hint, Settings
from colorlib.photos import Photo
from colorlib.studio.files import FORMATS, Incoming, color_folder, full_size_link, read_settings
from colorlib.studio.parts import Parts
from colorlib.studio.preview import Preview, ab_of_hex, jpeg
from colorlib.studio.state import State
from colorlib.studio.view import View

log = logging.getLogger(__name__)
MAX_BYTES, MAX_PIXELS = 50_000_000, 60_000_000  # of a photograph


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
        self._view = View(self.parts, self.colorizer.render_size, expression)
        super().__init__(self.parts.top)
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
        parts.sliders["variant"].disabled = not self.colorizer.generator.config.get("z_channels", 0)
        changed = {
            parts.samples: lambda name: name and self.load(name),
            parts.path: lambda path: path.strip() and self.load(Path(path.strip()).expanduser()),
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
            parts.reset: lambda: self._show(replace(self.state, settings=Settings(hints=self.settings.hints))),
            parts.add: lambda: self._add(*self.state.point),
            parts.move: lambda: self._show(self.state.moved(self._selected("move"), *self.state.point)),
            parts.delete: lambda: self._show(self.state.deleted(self._selected("delete"))),
            parts.undo: lambda: self._show(self.state.undone()),
            parts.redo: lambda: self._show(self.state.redone()),
            parts.make: lambda: setattr(parts.file, "value", full_size_link(
                self.colorizer, self.photo, self.settings, parts.format.value, parts.progress)),
            parts.go: lambda: setattr(parts.report, "value", color_folder(
                self.colorizer, self.settings, parts.source.value, parts.target.value, parts.folder_progress)),
            **{button: lambda k=k: self._color(*self._view.suggested[k][:2])
               for k, button in enumerate(parts.suggestions)},
        }
        for button, action in clicked.items():
            button.on_click(lambda _, action=action: self._run(action))
        parts.board.on_msg(lambda _, content, buffers: self._run(self._board_sent, content, buffers))

    def _run(self, action: Callable, *values: object) -> None:
        """Run an action and show its errors in the studio. An unexpected one is raised as well, so that the log has it.

        One at a time: JupyterLab may send the messages of two widgets to two threads of the kernel.
        """
        with self._lock:
            if self._showing:  # the studio itself moves its sliders
                return
            self._say("")
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
        self._show(State(replace(self.settings, hints=()), brush=self.state.brush, uncertainty=self.state.uncertainty,
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
        self._show(replace(self.state, settings=replace(self.settings, **values, **{name: value})))

    def _add(self, x: float, y: float) -> None:
        a, b = self.state.brush or self._preview.ab(x, y, self.settings)
        self._show(self.state.added(Hint(x, y, a, b)))

    def _color(self, a: float, b: float) -> None:
        """Colour the selected hint, or choose the colour of the next one."""
        a, b, index = round(a, 1), round(b, 1), self.state.selected
        self._show(replace(self.state, brush=(a, b)) if index < 0 else self.state.recolored(index, a, b))

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
