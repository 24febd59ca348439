"""What the studio shows of a state: its widgets are set here, and nothing is decided. See `widgets`."""

from __future__ import annotations

import base64
import html

from colorlib.colorizer import Hint, Settings, Suggestion
from colorlib.studio.parts import Parts, paint
from colorlib.studio.preview import Preview, png
from colorlib.studio.state import State


class View:
    """The widgets of a studio, seen as a picture of its state.

    Args:
        parts: the widgets.
        render_size: what the slider shows where the settings leave it to the colorizer.
        expression: Python for the colorizer, in the line of code.

    Attributes:
        suggested: what the buttons of plausible colours offer.
    """

    def __init__(self, parts: Parts, render_size: int, expression: str) -> None:
        self.parts, self._render_size, self._expression = parts, render_size, expression
        self.suggested: list[Suggestion] = []

    def show(self, state: State, preview: Preview, picture: bytes, sample: str | None) -> None:
        """
        Args:
            picture: JPEG, as large as the preview.
            sample: name of the photograph among `sample_photographs`, if it is one.
        """
        parts = self.parts
        if parts.board is not None:
            self._show_board(state, preview, picture)
        parts.histogram.value = png(preview.histogram(state.settings))
        parts.file.value = ""  # a file that was made before has other colours
        self._show_settings(state.settings, sample or str(preview.photo.path or "photo.png"), bool(sample))
        self._show_hints(state, preview)

    def _show_board(self, state: State, preview: Preview, picture: bytes) -> None:
        board, before = self.parts.board, preview.grey_jpeg
        with board.hold_sync():
            board.height, board.width = preview.photo.rgb.shape[-2:]
            board.hints = [{"x": hint.x, "y": hint.y, "color": preview.becomes(hint)[0]} for hint in state.settings.hints]
            board.selected = state.selected
            board.picture = picture
            if board.before != before:
                board.before = before

    def _show_settings(self, settings: Settings, photo: str, is_sample: bool) -> None:
        for name, slider in self.parts.sliders.items():
            value = getattr(settings, name)
            slider.value = self._render_size if value is None else value
        code = settings.code(photo, is_sample, self._expression)
        text = base64.b64encode(settings.to_json().encode()).decode()
        self.parts.code.value = (
            f'<pre style="white-space: pre-wrap; margin: 0">{html.escape(code)}</pre>'
            f'<a download="settings.json" href="data:application/json;base64,{text}">Save these settings</a>, also for '
            "<code>colorlib colorize --settings settings.json</code>"
        )

    def _show_hints(self, state: State, preview: Preview) -> None:
        parts = self.parts
        height, width = preview.photo.rgb.shape[-2:]
        parts.x.max, parts.y.max = max(1, width - 1), max(1, height - 1)  # a slider without a range fails in the browser
        parts.x.value, parts.y.value = state.point
        hints = state.settings.hints
        parts.hints.options = [("none", -1), *((f"{k + 1}: x {h.x:.0f}, y {h.y:.0f}", k) for k, h in enumerate(hints))]
        parts.hints.value = state.selected
        color, lost = preview.becomes(Hint(*state.point, *state.brush))
        parts.picker.value = color
        paler = f", {lost:.0f} CIE units paler: at this lightness the screen has no more" if lost >= 1 else ""
        parts.becomes.value = (f'There it becomes <span style="background: {color}; border: 1px solid #888">'
                               f"&emsp;&emsp;</span>{paler}")
        self.suggested = preview.suggest(*state.point, state.settings)
        lightness = preview.lightness(*state.point)
        for k, button in enumerate(parts.suggestions):
            there = k < len(self.suggested)
            a, b, share = self.suggested[k] if there else (0.0, 0.0, 0.0)
            color = preview.becomes(Hint(*state.point, a, b))[0] if there else None
            paint(button, color, f"{share:.0%}", lightness < 60)
        parts.undo.disabled, parts.redo.disabled = not state.past, not state.future
