"""The studio's widgets show a state: only their values are set here, nothing is decided."""

from __future__ import annotations

import html
import math
from collections.abc import Callable
from functools import lru_cache

from colorlib.colorizer import Hint, Settings
from colorlib.studio.files import link
from colorlib.studio.parts import Parts
from colorlib.studio.preview import Preview, ab_of_hex, png
from colorlib.studio.state import State
from colorlib.studio.tones import TONES

TONES_APART = 10.0  # CIE units of ab: nearer ones look alike


class View:
    """Shows states of a studio in its widgets.

    Args:
        render_size: of a height and width; what the slider shows if the settings leave it to the colorizer.
        expression: Python for the colorizer, in the line of code.
    """

    def __init__(self, parts: Parts, render_size: Callable[[int, int], int], expression: str) -> None:
        self.parts, self._render_size_of, self._expression = parts, render_size, expression
        self._render_size = 0

    def show(self, state: State, preview: Preview, picture: bytes) -> None:
        """Show a state; `picture` is a JPEG as large as the preview."""
        board, hints = self.parts.board, state.settings.hints
        with board.hold_sync():
            board.height, board.width = size = preview.photo.rgb.shape[-2:]
            self._render_size = self._render_size_of(*size)
            board.hints = [{"x": hint.x, "y": hint.y, "color": preview.shown_color(hint)[0], "reach": hint.reach,
                            "erase": hint.erase} for hint in hints]
            board.selected, board.picture, board.before = state.selected, picture, preview.grey_jpeg
            board.name, board.thumbs = preview.name, list(preview.thumbs)
            board.offer = self._offer(hints[state.selected], state, preview) if state.selected >= 0 else []
            board.variant = state.settings.variant
            board.can_undo, board.can_redo = bool(state.past), bool(state.future)
        self.parts.histogram.value = png(preview.histogram(state.settings))
        self.parts.legend.layout.display = "" if state.uncertainty else "none"
        self.parts.file.value = ""  # a file that was made before has other colours
        self.show_sliders(state.settings)
        self._show_code(state.settings, preview)
        self._show_hints(state, preview)

    def show_sliders(self, settings: Settings) -> None:
        for name, slider in self.parts.sliders.items():
            value = getattr(settings, name)
            slider.value = self._render_size if value is None else value

    def _offer(self, hint: Hint, state: State, preview: Preview) -> list:
        """The colours of the popover at a hint, as they look at its lightness."""
        def swatch(label: str, a: float, b: float) -> list:
            return [preview.shown_color(hint._replace(a=a, b=b))[0], label, a, b]

        return [["Plausible here", [swatch(f"{share:.0%} likely" if share >= 0.005 else "under 1 % likely", a, b)
                                    for a, b, share in preview.suggest(hint.x, hint.y, state.settings)]],
                ["Everyday colours", _apart([swatch(name, *tone(code)) for name, code in TONES.items()])],
                ["Used before", [swatch(f"used before, {number}", *ab) for number, ab in enumerate(state.recent, 1)]]]

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
        parts.picker.disabled = state.selected < 0
        a, b = hints[state.selected][2:4] if state.selected >= 0 else preview.ab(x, y, state.settings)
        color, lost = preview.shown_color(Hint(x, y, a, b))
        parts.picker.value = color
        paler = f", {lost:.0f} CIE units paler: a screen has no more colour at this lightness" if lost >= 1 else ""
        parts.shown_color.value = (f'There it becomes <span style="background: {color}; border: 1px solid #888">'
                                   f"&emsp;&emsp;</span>{paler}")


def _apart(swatches: list[list]) -> list[list]:
    """Without the swatches that look like an earlier one."""
    kept: list[tuple[list, tuple[float, float]]] = []
    for swatch in swatches:
        shown = ab_of_hex(swatch[0])
        if all(math.dist(shown, other) > TONES_APART for _, other in kept):
            kept.append((swatch, shown))
    return [swatch for swatch, _ in kept]


tone = lru_cache(len(TONES))(ab_of_hex)
