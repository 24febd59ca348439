"""What each control of the studio does: every event becomes a new `State`, which is shown.

There is no model code here: the settings are a `Settings`, pictures come from `Preview`, files from `files`.
"""

import html
import logging
import math
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import copy
from dataclasses import replace
from functools import partial
from pathlib import Path

from ipywidgets import VBox

from colorlib.colorizer import Colorizer, ColorizerError, Hint, Settings
from colorlib.colorizer.colorizer import VARIANTS
from colorlib.photos import Photo, PhotoError, decode_photo
from colorlib.studio.files import FORMATS, Film, check_bytes, films_of, full_size_file, plain, save_all
from colorlib.studio.parts import Parts, visible
from colorlib.studio.preview import REFERENCE, THUMB, Preview, ab_at, ab_of_hex, jpeg, shrunk
from colorlib.studio.state import State

log = logging.getLogger(__name__)
MAX_BYTES, MAX_PIXELS = 50_000_000, 60_000_000  # of a photograph
STRIP_BYTES = 1_000_000_000  # of all files that were dropped: they are held in memory
UNASKED = ("tile", "crop", "refine")  # what the board sends by itself leaves a sentence to the user as it is
APART = 12.0  # CIE units: a new hint takes the likeliest colour that differs so much from the picture's


class Studio(VBox):
    """A photograph, its colours, and every control that changes them.

    Args:
        photo: a path, a Photo, or the name of one of `photos.sample_photographs`; a folder opens as a film strip.
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
        self.colorizer = copy(Colorizer.load() if colorizer is None else colorizer)
        self.colorizer.warn = self._say
        self._max_bytes, self._max_pixels, self._received = max_bytes, max_pixels, bytearray()
        self._showing, self._lock = False, threading.RLock()
        self._films, self._film = [], -1  # the film strip, and which of it is open
        self._opened = False  # one of several files that were dropped could be opened
        self._reference, self._clicked = None, (State(), State())  # the states before and after the latest click
        self.parts, self.state = Parts(FORMATS, files, max_bytes, self.colorizer.own_render_size, expression), State()
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
            self._show_films(films_of(photo, self._max_pixels))

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
            parts.x: lambda x: self._show(replace(self.state, point=(x, self.state.point[1]))),
            parts.y: lambda y: self._show(replace(self.state, point=(self.state.point[0], y))),
            **{slider: partial(self._set, name) for name, slider in parts.sliders.items()},
        }
        for widget, action in changed.items():
            widget.observe(lambda change, action=action: self._run(action, change["new"]), "value")
        clicked = {
            parts.reset: lambda: self._show(self.state.set(Settings(hints=self.settings.hints))),
            parts.add: lambda: self._add(*self.state.point),
            parts.make: self._save, parts.go: self._save_all,
        }
        for button, action in clicked.items():
            button.on_click(lambda _, action=action: self._run(action))
        parts.board.on_msg(lambda _, content, buffers: self._run(
            self._board_sent, content, buffers, asked=content.get("kind") not in UNASKED and content.get("use") != "more"))

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
                    self.parts.show_sliders(self.state)
            except Exception as error:
                self._say(f"Something went wrong in colorlib ({type(error).__name__}: {error}). The log has the details.")
                raise
            finally:
                self.parts.board.busy, self.parts.progress.layout.visibility = False, "hidden"

    def _say(self, sentence: str) -> None:
        text = html.escape(plain(sentence))
        self.parts.message.value = f'<span role="alert" class="alert">{text}</span>' if sentence else ""

    def _show(self, state: State, preview: Preview | None = None, whole: bool = False) -> None:
        """Show a new state, or raise and stay with the old one. In a browser a draft is painted where the network has to
        run first, unless `whole`; the browser then requests the picture itself."""
        if preview or state.settings != self.settings:
            self.parts.file.value = ""  # a file that was saved before has other colours
        preview, draft = preview or self._preview, False
        if state.uncertainty:
            picture = preview.uncertainty(state.settings)
        elif self.parts.board.ready and not whole:
            picture, draft = preview.draft(state.settings)
        else:
            picture = preview.picture(state.settings)
        self._preview, self.state = preview, state
        with self._own_changes():
            self.parts.show(state, preview, picture, draft)

    def _show_films(self, films: list[Film]) -> None:
        """Open a film strip at its first photograph that can be opened; PhotoError: none can, and all stays."""
        for index, film in enumerate(films):
            try:
                self._show_film(film)
            except PhotoError as error:
                if index == len(films) - 1:
                    raise
                self._say(str(error))
            else:
                break
        self._films, self._film, self.parts.board.films = films, index, []  # other files may have the same names
        self._show_strip()
        self._run(self._restore, asked=False)

    def _show_film(self, film: Film) -> None:
        """Show a photograph with its hints and steps; the state of the one before stays with that."""
        preview, before = Preview(self.colorizer, film.open(), film.sample), self.state
        height, width = preview.photo.rgb.shape[-2:]
        kept = film.state or State(point=(width // 2, height // 2))
        self._show(replace(kept, settings=self._settings_of(film), selected=-1, last=None, recent=before.recent,
                           uncertainty=before.uncertainty), preview)  # fmt: skip
        if self._films:
            self._films[self._film].state = before

    def _choose_film(self, index: int) -> None:
        if index != self._film:
            self._show_film(self._films[index])
            self._film = self.parts.board.film = index
            self._restore()

    def _restore(self) -> None:
        """A picture that was saved here, opened for the first time, brings its settings: a step, which Undo takes back."""
        found = None if self.state.past or self.state.future else Settings.of(self.photo)
        if found and found != self.settings and not (len(self._films) > 1 and self.parts.same.value):
            self._show(self.state.set(found))
            self.parts.file.value = "Its settings came back with it; Undo takes them back."

    def _show_strip(self) -> None:
        self.parts.board.films, self.parts.board.film = [plain(film.path.name) for film in self._films], self._film
        visible(self.parts.same, len(self._films) > 1)

    def _settings_of(self, film: Film) -> Settings:
        """With what a photograph is shown and saved."""
        if self._films and film is self._films[self._film]:
            return self.settings
        kept = film.state.settings if film.state else Settings()
        return replace(self.settings, hints=kept.hints) if self.parts.same.value else kept

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
        self._show(self.state.set(replace(self.settings, **values, **{name: round(value, 6)}), name))  # 1.0000000000000036

    def _add(self, x: float, y: float) -> None:
        """A new hint takes the likeliest colour that one would see as another, so that one click shows what hints do."""
        a, b = self._preview.ab(x, y, self.settings)
        plausible = self._preview.suggest(x, y, self.settings)
        chosen = next(((one.a, one.b) for one in plausible if math.dist(one[:2], (a, b)) > APART), (a, b))
        before = self.state
        self._show(before.added(Hint(x, y, *(round(value, 1) for value in chosen))))
        self._clicked = before, self.state

    def _color(self, a: float, b: float) -> None:
        self._show(self.state.recolored(self._selected("colour"), round(a, 1), round(b, 1)))

    def _save(self) -> None:
        parts = self.parts
        name, kind, data = full_size_file(self.colorizer, self.photo, self.settings, parts.format.value, parts.progress)
        parts.board.send({"kind": "save", "name": name, "type": kind}, [data])
        parts.file.value = (f"Saved {html.escape(plain(name))} ({len(data) / 1e6:.1f} MB). Its settings are in it: open it "
                            "here to go on.")

    def _save_all(self) -> None:
        films = [(film, self._settings_of(film)) for film in self._films]
        self.parts.report.value = save_all(self.colorizer, films, self.parts.target.value, self.parts.progress)

    def _selected(self, action: str) -> int:
        if self.state.selected < 0:
            raise ValueError(f"no hint is chosen to {action}: click on one, or on another place of the picture")
        return self.state.selected

    def _board_sent(self, content: dict, buffers: list) -> None:
        """A message of the board: what the user did, or what the board needs."""
        match content:
            case {"kind": "add", "x": x, "y": y}:  # a click on the picture
                self._add(x, y)
            case {"kind": "withdraw"} if self.state is self._clicked[1]:  # it was half of a double click
                self._show(self._clicked[0])
            # during a drag one move for each new picture; index -1: the popover was closed
            case {"kind": "move" | "delete" | "select" | "undo" | "redo" as step, **values}:
                self._show(getattr(self.state, step)(**values))
            case {"kind": "color", "a": a, "b": b}:  # of the popover, for the selected hint
                self._color(a, b)
            case {"kind": "color", "code": code}:  # "#rrggbb"
                self._color(*ab_of_hex(code))
            case {"kind": "sample", "x": x, "y": y}:  # the selected hint takes the colour of this place
                self._color(*self._preview.ab(x, y, self.settings))
            case {"kind": "reference", "x": x, "y": y}:  # shares of width and height
                self._color(*ab_at(self._reference, x, y))
            case {"kind": "reach" | "erase" as name, "value": value}:
                self._show(self.state.tuned(self._selected("change"), **{name: value}))
            case {"kind": "refine"} if self.parts.board.draft:  # which is painted, and nothing is dragged
                self._show(self.state, whole=True)
                if self.state.last and self.state.last[0] != "set":  # another hint may follow; after a slider a slider
                    self._preview.prepare(self.settings)
            case {"kind": "film", "index": index}:
                self._choose_film(index)
            case {"kind": "variant", "index": index}:
                self._set("variant", index)
            case {"kind": "tile", "row": row, "index": index}:  # a small picture is in sight and missing
                data = self._preview.thumb(index) if row == "strip" else self._tile(self._films[index])
                self.parts.board.send({"kind": "tile", "row": row, "index": index}, [data])
                if row == "strip" and index == VARIANTS:
                    self._preview.prepare(self.settings)
            case {"kind": "crop", "pixels": pixels}:  # a part that fills the stage, `pixels` wide on the screen
                box = [content[name] for name in ("x", "y", "width", "height")]
                if not self.state.uncertainty:
                    self.parts.board.send({"kind": "crop", "box": box}, [self._preview.crop(self.settings, box, pixels)])
            case {"kind": "refused", "name": name, "bytes": number}:  # above `max_bytes`: it was not sent
                check_bytes(name, number, self._max_bytes)
            # of 512 KiB at most; use: "photo", "more" (of several, after the first) or "reference"
            case {"kind": "file", "name": name, "use": use, "part": part, "parts": parts}:
                self._received = self._received if part else bytearray()
                self._received += buffers[0]
                check_bytes(name, len(self._received), self._max_bytes)
                if part == parts - 1:
                    self._open_file(Path(name), bytes(self._received), use)

    def _open_file(self, path: Path, data: bytes, use: str) -> None:
        film = Film(path, partial(decode_photo, data, path, self._max_pixels), held=len(data))
        if path.suffix.lower() == ".json":
            self._show(self.state.select(-1).set(Settings.from_json(data, path.name)))
        elif use == "reference":
            rgb = film.open().rgb
            self._reference = shrunk(rgb, REFERENCE / max(rgb.shape))
            self.parts.board.reference = jpeg(self._reference)
        elif use == "more" and self._opened:  # the first of several that could be opened is shown
            if sum(other.held for other in (*self._films, film)) > STRIP_BYTES:
                raise ValueError(f"{path} was left out, as the film strip holds {STRIP_BYTES:,} bytes: open a folder")
            self._films.append(film)
            self._show_strip()
        else:
            self._opened = False
            self._show_films([film])
            self._opened = True

    def _tile(self, film: Film) -> bytes:
        """A small JPEG; empty for a file that cannot be opened: a click on it says why."""
        try:
            rgb = film.open().rgb
        except PhotoError:
            return b""
        return jpeg(shrunk(rgb, THUMB / min(rgb.shape[1:])))
