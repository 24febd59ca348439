"""The studio: a photograph coloured with sliders and clicks, in JupyterLab, Notebook, VS Code, Colab and as a page.

    widget event -> State (a small value) -> preview.Preview -> pictures -> view.View

No model code here, and nothing that cannot be done without a widget: what the sliders set is a `Settings`, what is shown
comes from `Preview`, and the file that is saved from `Colorizer.colorize` with the same settings.
"""

from __future__ import annotations

import functools
import html
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from ipywidgets import Button, VBox

from colorlib.colorizer import Colorizer, ColorizerError, Settings
from colorlib.photos import Photo, PhotoError, decode_photo, read_photo, sample_photograph
from colorlib.photos.samples import OLD, SAMPLES
from colorlib.studio.files import colour_folder, link_to_file
from colorlib.studio.parts import Parts, uploaded
from colorlib.studio.preview import Preview, ab_of_hex, jpeg
from colorlib.studio.state import State
from colorlib.studio.view import View

log = logging.getLogger(__name__)

MAX_BYTES, MAX_PIXELS = 50_000_000, 60_000_000  # of an upload


def told(method: Callable[..., None]) -> Callable[..., None]:
    """A callback whose errors reach the reader in the studio; what is nobody's bad input is raised, too, for the log.

    One at a time: JupyterLab may send two widgets' messages to two threads of the kernel.
    """

    @functools.wraps(method)
    def call(self: Studio, *arguments: object) -> None:
        with self._lock:
            if self._quiet:  # the studio itself moves its sliders
                return
            self._say("")
            try:
                method(self, *arguments)
            except (ColorizerError, ValueError, OSError) as error:
                log.warning("%s", error)
                self._say(str(error))
            except Exception as error:
                self._say(f"Something went wrong in colorlib ({type(error).__name__}: {error}). The log says where.")
                raise

    return call


class Studio(VBox):
    """A photograph, its colours, and everything that changes them.

    Args:
        photo: a path, a Photo, or the name of one of `photos.sample_photographs`.
        colorizer: colours it; None takes the weights that came with colorlib.
        files: offer paths and folders of the machine that computes. A page for others should not.
        max_bytes, max_pixels: of a photograph; a larger one is refused with a sentence.

    Attributes:
        state: how the studio stands; see `state.State`.
        parts: its widgets by name; see `parts.Parts`.

    Raises:
        ValueError: the photograph cannot be opened or coloured.

    Example:
        >>> studio = Studio("grandmother.jpg")
        >>> studio                               # the last line of a notebook's cell
        >>> studio.settings.code("grandmother.jpg")
    """

    def __init__(
        self,
        photo: str | Path | Photo = "china",
        colorizer: Colorizer | None = None,
        *,
        files: bool = True,
        max_bytes: int = MAX_BYTES,
        max_pixels: int = MAX_PIXELS,
    ) -> None:
        expression = "Colorizer.load()" if colorizer is None else "colorizer"
        self.colorizer = Colorizer.load() if colorizer is None else colorizer
        self._max_bytes, self._max_pixels = max_bytes, max_pixels
        self._quiet, self._dropped, self._lock = False, bytearray(), threading.RLock()
        self.parts, self.state = Parts(files, max_bytes), State()
        self._view = View(self.parts, self.colorizer.render_size, expression)
        super().__init__(self.parts.top)
        self._wire()
        self.load(photo)

    def _wire(self) -> None:
        parts = self.parts
        for name, slider in parts.sliders.items():
            slider.observe(functools.partial(self._slid, name), "value")
        parts.sliders["adversarial"].disabled = self.colorizer.sibling is None
        parts.sliders["variant"].disabled = not self.colorizer.generator.config.get("z_channels", 0)
        observed = {
            parts.samples: self._sample_chosen, parts.path: self._path_given, parts.doubt: self._doubt_toggled,
            parts.hints: self._hint_chosen, parts.picker: self._color_picked, parts.x: self._pointed,
            parts.y: self._pointed, parts.format: self._format_chosen,
        }  # fmt: skip
        for widget, callback in observed.items():
            widget.observe(callback, "value")
        clicked = {
            parts.reset: self._reset, parts.add: self._add, parts.move: self._move, parts.delete: self._delete,
            parts.undo: self._undo, parts.redo: self._redo, parts.make: self._make_file, parts.go: self._colour_folder,
            **{button: self._suggestion_taken for button in parts.suggestions},
        }  # fmt: skip
        for button, callback in clicked.items():
            button.on_click(callback)
        if parts.board is not None:
            parts.board.on_msg(self._acted)
            parts.board.observe(self._board_ready, "ready")
        self._fresh_upload("photo", self._photo_uploaded)
        self._fresh_upload("settings", self._settings_uploaded)

    def _fresh_upload(self, name: str, callback: Callable) -> None:
        self.parts.fresh_upload(name).observe(callback, "value")

    # ------------------------------------------------------------------------------------------ the photograph

    @property
    def settings(self) -> Settings:
        return self.state.settings

    @property
    def photo(self) -> Photo:
        return self._preview.photo

    def load(self, photo: str | Path | Photo) -> None:
        """Another photograph, with the same settings, but without the hints, which belong to the old one.

        Raises:
            ValueError: it cannot be opened or coloured; the previous one stays.
        """
        sample = photo if isinstance(photo, str) and photo in (*SAMPLES, *OLD) else None
        if sample:
            photo = sample_photograph(sample)
        elif not isinstance(photo, Photo):
            photo = read_photo(photo, self._max_pixels)
        height, width = photo.rgb.shape[-2:]
        state = State(replace(self.settings, hints=()), brush=self.state.brush, doubt=self.state.doubt)
        with self._lock:
            self._apply(replace(state, point=(width // 2, height // 2)), Preview(self.colorizer, photo), sample)

    @told
    def _photo_uploaded(self, change: dict) -> None:
        self._take(change["new"], "photo", self._photo_uploaded, self._open_bytes)

    @told
    def _settings_uploaded(self, change: dict) -> None:
        self._take(change["new"], "settings", self._settings_uploaded, self._load_settings)

    def _take(self, value: object, name: str, callback: Callable, use: Callable[[str, bytes], None]) -> None:
        """The value of whichever upload widget it came by: a quick second file may still come by the one before."""
        files = uploaded(value)
        self._fresh_upload(name, callback)
        for file in files[-1:]:
            use(*file)

    def _open_bytes(self, name: str, data: bytes) -> None:
        if len(data) > self._max_bytes:
            raise PhotoError(name, f"has {len(data):,} bytes, above {self._max_bytes:,}", "shrink it first")
        self.load(decode_photo(data, name, self._max_pixels))

    def _load_settings(self, name: str, data: bytes) -> None:
        try:
            settings = Settings.from_json(data.decode("utf-8"))
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from error
        self._apply(replace(self.state.replaced(settings.hints), settings=settings))

    @told
    def _sample_chosen(self, change: dict) -> None:
        if change["new"]:
            self.load(change["new"])

    @told
    def _path_given(self, change: dict) -> None:
        if change["new"].strip():
            self.load(Path(change["new"].strip()).expanduser())

    # -------------------------------------------------------------------------------------------- the settings

    @told
    def _slid(self, name: str, change: dict) -> None:
        self._apply(replace(self.state, settings=replace(self.settings, **{name: change["new"]})))

    @told
    def _doubt_toggled(self, change: dict) -> None:
        self._apply(replace(self.state, doubt=change["new"]))

    @told
    def _reset(self, _: Button) -> None:
        self._apply(replace(self.state, settings=Settings(hints=self.settings.hints)))

    # ----------------------------------------------------------------------------------------------- the hints

    @told
    def _acted(self, _: object, content: dict, buffers: list) -> None:
        """What the reader did on the board; see `board.Board`."""
        kind = content["kind"]
        if kind == "add":
            self._apply(self.state.added(content["x"], content["y"]))
        elif kind == "move":
            self._apply(self.state.moved(content["index"], content["x"], content["y"]))
        elif kind == "delete":
            self._apply(self.state.deleted(content["index"]))
        elif kind == "select":
            self._apply(self.state.picked(content["index"]))
        elif kind == "refused":
            raise PhotoError(content["name"], f"has {content['bytes']:,} bytes, above {self._max_bytes:,}", "shrink it first")
        elif kind == "file":
            self._dropped = bytearray() if content["part"] == 0 else self._dropped
            self._dropped += buffers[0]
            if content["part"] == content["parts"] - 1:
                data, self._dropped = bytes(self._dropped), bytearray()
                self._open_bytes(content["name"], data)

    @told
    def _board_ready(self, _: dict) -> None:
        self.parts.image.layout.display = "none"  # the board shows the same
        self._apply(self.state)

    @told
    def _hint_chosen(self, change: dict) -> None:
        self._apply(self.state.picked(change["new"]))

    @told
    def _pointed(self, _: dict) -> None:
        self._apply(replace(self.state, point=(self.parts.x.value, self.parts.y.value)))

    @told
    def _color_picked(self, change: dict) -> None:
        self._paint_with(*ab_of_hex(change["new"]))

    @told
    def _suggestion_taken(self, button: Button) -> None:
        self._paint_with(*self._view.suggested[self.parts.suggestions.index(button)][:2])

    def _paint_with(self, a: float, b: float) -> None:
        a, b = round(a, 1), round(b, 1)  # what a person reads and copies
        if self.state.selected >= 0:
            self._apply(self.state.recoloured(self.state.selected, a, b))
        else:
            self._apply(replace(self.state, brush=(a, b)))

    @told
    def _add(self, _: Button) -> None:
        self._apply(self.state.added(*self.state.point))

    @told
    def _move(self, _: Button) -> None:
        self._apply(self.state.moved(self._selected("move"), *self.state.point))

    @told
    def _delete(self, _: Button) -> None:
        self._apply(self.state.deleted(self._selected("delete")))

    def _selected(self, action: str) -> int:
        if self.state.selected < 0:
            raise ValueError(f"there is no hint chosen to {action}: choose one from the list, or click on it")
        return self.state.selected

    @told
    def _undo(self, _: Button) -> None:
        self._apply(self.state.undone())

    @told
    def _redo(self, _: Button) -> None:
        self._apply(self.state.redone())

    # ----------------------------------------------------------------------------------------- what is shown

    def _apply(self, state: State, preview: Preview | None = None, sample: str | None = None) -> None:
        """Show a new state, or raise and stay with the old one."""
        preview, sample = (self._preview, self._sample) if preview is None else (preview, sample)
        picture = preview.doubt(state.settings) if state.doubt else preview.picture(state.settings)
        self._preview, self._sample, self.state = preview, sample, state
        parts = self.parts
        if parts.board is None or not parts.board.ready:
            parts.image.value = jpeg(preview.marked(picture, state.settings, *state.point))
        with self._moving():
            self._view.show(state, preview, jpeg(picture), sample)

    @contextmanager
    def _moving(self) -> Iterator[None]:
        """The studio moves its own sliders: their callbacks have nothing to do."""
        before, self._quiet = self._quiet, True
        try:
            yield
        finally:
            self._quiet = before

    def _say(self, sentence: str) -> None:
        self.parts.message.value = f'<span role="alert" style="color: #b3261e">{html.escape(sentence)}</span>' if sentence else ""

    # ------------------------------------------------------------------------------------------------- files

    @told
    def _format_chosen(self, _: dict) -> None:
        self.parts.file.value = ""

    @told
    def _make_file(self, _: Button) -> None:
        parts = self.parts
        parts.file.value = link_to_file(self.colorizer, self.photo, self.settings, parts.format.value, parts.progress)

    @told
    def _colour_folder(self, _: Button) -> None:
        parts = self.parts
        parts.report.value = colour_folder(
            self.colorizer, self.settings, parts.source.value.strip(), parts.target.value.strip(), parts.folder_progress)
