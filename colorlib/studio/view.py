"""The studio's widgets show a state: only their values are set here, nothing is decided."""

from __future__ import annotations

import html
from itertools import zip_longest

from colorlib.colorizer import Hint, Settings, Suggestion
from colorlib.studio.files import link
from colorlib.studio.parts import Parts, paint
from colorlib.studio.preview import Preview, png
from colorlib.studio.state import State


class View:
    """Shows states of a studio in its widgets; `suggested` are the colours that the buttons offer.

    Args:
        render_size: what the slider shows if the settings leave it to the colorizer.
        expression: Python for the colorizer, in the line of code.
    """

    def __init__(self, parts: Parts, render_size: int, expression: str) -> None:
        self.parts, self._render_size, self._expression = parts, render_size, expression
        self.suggested: list[Suggestion] = []

    def show(self, state: State, preview: Preview, picture: bytes) -> None:
        """Show a state; `picture` is a JPEG as large as the preview."""
        board, hints = self.parts.board, state.settings.hints
        with board.hold_sync():
            board.height, board.width = preview.photo.rgb.shape[-2:]
            board.hints = [{"x": hint.x, "y": hint.y, "color": preview.shown_color(hint)[0]} for hint in hints]
            board.selected, board.picture, board.before = state.selected, picture, preview.grey_jpeg
        self.parts.histogram.value = png(preview.histogram(state.settings))
        self.parts.file.value = ""  # a file that was made before has other colours
        self.show_sliders(state.settings)
        self._show_code(state.settings, preview)
        self._show_hints(state, preview)

    def show_sliders(self, settings: Settings) -> None:
        for name, slider in self.parts.sliders.items():
            value = getattr(settings, name)
            slider.value = self._render_size if value is None else value

    def _show_code(self, settings: Settings, preview: Preview) -> None:
        code = settings.code(preview.sample or str(preview.photo.path or "photo.png"), bool(preview.sample), self._expression)
        save = link("settings.json", "application/json", settings.to_json().encode(), "Save these settings")
        self.parts.code.value = (f'<pre style="white-space: pre-wrap; margin: 0">{html.escape(code)}</pre>{save}, also for '
                                 "the command <code>colorlib colorize --settings settings.json</code>")

    def _show_hints(self, state: State, preview: Preview) -> None:
        parts, hints, (x, y) = self.parts, state.settings.hints, state.point
        height, width = preview.photo.rgb.shape[-2:]
        parts.x.max, parts.y.max = max(1, width - 1), max(1, height - 1)  # a slider without a range fails in the browser
        parts.x.value, parts.y.value = x, y
        parts.hints.options = [("none", -1), *((f"{k + 1}: x {h.x:.0f}, y {h.y:.0f}", k) for k, h in enumerate(hints))]
        parts.hints.value = state.selected
        parts.undo.disabled, parts.redo.disabled = not state.past, not state.future
        a, b = hints[state.selected][2:4] if state.selected >= 0 else state.brush or preview.ab(x, y, state.settings)
        color, lost = preview.shown_color(Hint(x, y, a, b))
        parts.picker.value = color
        paler = f", {lost:.0f} CIE units paler: a screen has no more colour at this lightness" if lost >= 1 else ""
        parts.shown_color.value = (f'There it becomes <span style="background: {color}; border: 1px solid #888">'
                                   f"&emsp;&emsp;</span>{paler}")
        self.suggested = preview.suggest(x, y, state.settings)
        dark = preview.lightness(x, y) < 60
        for button, suggestion in zip_longest(parts.suggestions, self.suggested):
            shown = suggestion and preview.shown_color(Hint(x, y, *suggestion[:2]))[0]
            paint(button, shown, f"{suggestion[2]:.0%}" if suggestion else "", dark)
