"""The widgets of the studio, their layout, and how they show a state; for ipywidgets 7.7 and 8. Nothing is decided here."""

import base64
import html
import math
from collections.abc import Callable, Iterable
from functools import lru_cache

from ipywidgets import (HTML, Box, Button, Checkbox, Dropdown, FloatProgress, FloatSlider, IntSlider, Layout, Text,
                        ToggleButton, VBox, Widget)
from torch import Tensor

from colorlib.colorizer import Hint, Settings
from colorlib.photos import OLD, SAMPLES, SUFFIXES
from colorlib.studio.board import Board
from colorlib.studio.files import plain
from colorlib.studio.preview import Preview, ab_of_hex, jpeg
from colorlib.studio.state import State

SLIDERS = {  # field of Settings: (class, from, to, step, label, explanation)
    "saturation": (FloatSlider, 0, 2, 0.05, "Colour strength", "how colourful the picture is; colours that you gave stay"),
    "warmth": (FloatSlider, -30, 30, 1, "Warmth", "to the right more yellow, to the left more blue; colours that you gave stay"),
    "blend": (FloatSlider, 0, 1, 0.05, "Grey to colour", "to the left the grey photograph, to the right the coloured one"),
    "variant": (IntSlider, 0, 20, 1, "Colouring", "0 is the usual one; every other number is another plausible one"),
    "render_size": (IntSlider, 32, 256, 8, "Network's size", "short side, in pixels, of the picture that the network gets"),
    "adversarial": (FloatSlider, 0, 1, 0.05, "Boldness", "to the right bolder colours, of the network trained with a critic; to the left paler, safer ones"),
    "guidance": (FloatSlider, 0, 1, 0.05, "Sharp edges", "how sharply colours end at the edges of the photograph"),
}  # fmt: skip
MAIN = ("saturation", "warmth", "blend")
LABEL = {"description_width": "8em"}
TONES = {  # as they look in daylight; the studio shows their a and b at the lightness of the photograph
    "fair skin": "#ecc3a8", "light skin": "#d9a280", "tanned skin": "#b97d56", "brown skin": "#8d5a3b",
    "dark skin": "#5b3826", "lips": "#b4565c", "blond hair": "#cfae72", "red hair": "#9a4f28", "brown hair": "#5a3d2b",
    "sky": "#86b3e0", "sea": "#3f7d92", "grass": "#7a9a3f", "leaves": "#466b34", "earth": "#8b6b4a", "sand": "#d6bd93",
    "wood": "#92623a", "brick": "#a65040", "stone": "#9b958b", "denim": "#45618a", "white cloth": "#f0efec",
    "red": "#c23a2e", "orange": "#dc8230", "yellow": "#dfbf3a", "blue": "#2f59b0", "purple": "#7b4a98",
}  # fmt: skip
TONES_APART = 10.0  # CIE units of ab: nearer ones look alike
tone = lru_cache(len(TONES))(ab_of_hex)


class Parts:
    """All widgets of a studio, by name.

    `formats` are those of a saved picture; `files`: paths of this machine are offered; `max_bytes` of a file from the browser;
    `own_size` of a height and width is the render size that the colorizer takes; `expression` is the colorizer in code.
    """

    def __init__(self, formats: Iterable[str], files: bool, max_bytes: int, own_size: Callable[[int, int], int],
                 expression: str) -> None:
        self._own_size, self._expression = own_size, expression
        names = (*SAMPLES, *OLD)
        self.samples = _helped(Dropdown(description="Sample", style=LABEL, options=[("choose one", ""), *zip(names, names)]),
                               "opens one of the photographs that came with the software")
        self.path = _helped(Text(description="Path", style=LABEL, placeholder="of a photograph or a folder", continuous_update=False),
                            "opens a file of this machine, or all photographs of a folder as a film strip")
        # an empty message has its height, too: otherwise all below it would move away under the pointer
        self.message = HTML(layout=Layout(width="auto", min_height="32px"))
        self.message.add_class("colorlib-message")
        self.board = Board(accept=",".join((*SUFFIXES, ".json")), max_bytes=max_bytes)
        self.same = _helped(Checkbox(True, description="Same settings for the whole film strip", indent=False),
                            "on: another photograph gets the sliders as they are; off: each keeps its own")
        self.uncertainty = _helped(ToggleButton(description="Where is it unsure?"), "shows where a colour from you helps most")
        self.legend = HTML("Dark: sure of its colours. Bright: it guesses, and a colour from you helps most.")
        self.sliders = {name: _helped(kind(min=least, max=most, step=step, description=label, style=LABEL), help)
                        for name, (kind, least, most, step, label, help) in SLIDERS.items()}
        self.reset = _helped(Button(description="Back to the defaults"), "moves every slider back; colours that you gave stay")
        self.make = _helped(Button(description="Save picture", button_style="primary"),
                            "colours the photograph at its full size and saves it as a file", Layout(flex="1 1 auto"))
        self.format = _helped(Dropdown(options=list(formats), description="as", style={"description_width": "initial"}),
                              "PNG loses nothing, JPEG is a smaller file", Layout(width="8em"))
        self.progress = FloatProgress(max=1.0, layout=Layout(width="auto", visibility="hidden"))
        self.file, self.code, self.report, self.shown_color, self.histogram, self.lost = (
            HTML(layout=Layout(width="auto")) for _ in range(6))
        self.x, self.y = (_helped(IntSlider(min=0, description=name, style=LABEL), f"where a new hint comes: pixels {far}")
                          for name, far in (("x", "from the left"), ("y", "from the top")))
        self.add = _helped(Button(description="Add a hint at x, y"), "as a click on that place of the picture does")
        self.target = _helped(Text(description="Results in", style=LABEL, placeholder="a folder"),
                              "a folder of this machine; it is made if necessary")
        self.go = _helped(Button(description="Save all of the film strip"), "colours every photograph of it into the folder")
        self.top = [self._layout(files)]

    def _layout(self, files: bool) -> Widget:
        experts = [slider for name, slider in self.sliders.items() if name not in MAIN]
        folds = [_fold("Fine control", "sliders for experts", [
                     *experts, self.x, self.y, self.add, self.shown_color, self.histogram,
                     HTML("The colours of the picture: red is to the right, yellow is up")]),
                 _fold("Settings and code", "what is set, as a file and as a line of Python", [self.code])]
        if files:
            folds.append(_fold("The whole film strip", "saves many photographs at once", [
                HTML("Open a folder, or drop several photographs on the picture. Each is saved as it is set."),
                self.target, self.go, self.report]))
        visible(self.same, False), visible(self.legend, False)
        right = VBox([self.samples, *([self.path] if files else []), self.message, *(self.sliders[name] for name in MAIN),
                      self.reset, self.uncertainty, self.legend, self.same, _row([self.make, self.format]), self.progress,
                      self.file, *(part for fold in folds for part in fold)],
                     layout=Layout(flex="1 1 270px", min_width="0", max_width="420px"))
        left = VBox([self.lost, self.board], layout=Layout(flex="3 1 400px", min_width="0", padding="0 12px 0 0"))
        return _row([left, right])

    def show(self, state: State, preview: Preview, picture: Tensor, draft: bool) -> None:
        """Show a state; `picture` is as large as the preview. A draft is followed by the picture itself."""
        board, hints = self.board, state.settings.hints
        with board.hold_sync():
            board.height, board.width = preview.photo.rgb.shape[-2:]
            board.hints = [{"x": hint.x, "y": hint.y, "color": preview.shown_color(hint)[0], "reach": hint.reach,
                            "erase": hint.erase} for hint in hints]
            board.selected, board.picture, board.before = state.selected, jpeg(picture), preview.grey_jpeg
            board.draft, board.name = draft, plain(preview.name)
            board.offer = self._offer(hints[state.selected], state, preview) if state.selected >= 0 else []
            board.variant = state.settings.variant
            board.can_undo, board.can_redo = bool(state.past), bool(state.future)
        if draft:
            return
        visible(self.legend, state.uncertainty)
        lacks = preview.photo.lost
        self.lost.value = f"Its file also has {', '.join(lacks)}: a saved picture will not." * bool(lacks)
        visible(self.lost, bool(lacks))
        self.uncertainty.value = state.uncertainty
        self.x.max, self.y.max = (max(1, side - 1) for side in (board.width, board.height))  # without a range they fail
        self.show_sliders(state)
        self._show_code(state.settings, preview)
        x, y = state.point
        hint = hints[state.selected] if state.selected >= 0 else Hint(x, y, *preview.ab(x, y, state.settings))
        color, lost = preview.shown_color(hint)
        paler = f", {lost:.0f} CIE units paler: a screen has no more colour at this lightness" if lost >= 1 else ""
        self.shown_color.value = (f'At x, y it becomes <span style="background: {color}; border: 1px solid #888">'
                                   f"&emsp;&emsp;</span>{paler}")
        data = base64.b64encode(jpeg(preview.histogram(picture))).decode()
        self.histogram.value = f'<img src="data:image/jpeg;base64,{data}" alt="How often each colour occurs">'

    def show_sliders(self, state: State) -> None:
        for name, slider in self.sliders.items():
            value = getattr(state.settings, name)
            slider.value = self._own_size(self.board.height, self.board.width) if value is None else value
        self.x.value, self.y.value = state.point

    def _offer(self, hint: Hint, state: State, preview: Preview) -> list:
        """The colours of the popover at a hint, as they look at its lightness; everyday ones only where they differ."""
        def swatches(colors: list[tuple[str, float, float]], apart: float = 0.0) -> list[list]:
            kept: list[tuple[list, list[float]]] = []
            shown = preview.shown_colors(hint.x, hint.y, [color[1:] for color in colors]) if colors else ([], [])
            for color, code, ab in zip(colors, *shown, strict=True):
                if all(math.dist(ab, other) >= apart for _, other in kept):
                    kept.append(([code, *color], ab))
            return [swatch for swatch, _ in kept]

        likely = preview.suggest(hint.x, hint.y, state.settings)
        return [["Plausible here", swatches([(f"{share:.0%} likely" if share >= 0.005 else "under 1 % likely", a, b)
                                             for a, b, share in likely])],
                ["Everyday colours", swatches([(name, *tone(code)) for name, code in TONES.items()], TONES_APART)],
                ["Used before", swatches([(f"used before, {number}", *ab) for number, ab in enumerate(state.recent, 1)])]]

    def _show_code(self, settings: Settings, preview: Preview) -> None:
        code = settings.code(preview.sample or str(preview.photo.path or "photo.png"), bool(preview.sample), self._expression)
        data = base64.b64encode(settings.to_json().encode()).decode()
        self.code.value = (f'<pre style="white-space: pre-wrap; margin: 0">{html.escape(plain(code))}</pre><a download='
                           f'"settings.json" href="data:application/json;base64,{data}">Save these settings</a>, also for '
                           "the command <code>colorlib colorize --settings settings.json</code>")


def visible(widget: Widget, on: bool) -> None:
    widget.layout.display = None if on else "none"


def _fold(title: str, sentence: str, widgets: list[Widget]) -> tuple[Widget, Widget]:
    """A button, and what it unfolds: real buttons, which a keyboard reaches in every version of ipywidgets."""
    button, box = _helped(ToggleButton(description=title, icon="caret-right"), sentence), VBox(widgets)
    visible(box, False)

    def unfold(change: dict) -> None:
        visible(box, change["new"])
        button.icon = "caret-down" if change["new"] else "caret-right"

    button.observe(unfold, "value")
    return button, box


def _helped(widget: Widget, sentence: str, layout: Layout | None = None) -> Widget:
    """With a sentence of help, and as wide as its column."""
    setattr(widget, "tooltip" if widget.has_trait("tooltip") else "description_tooltip", sentence)  # 8, or 7
    widget.layout = layout or Layout(width="auto", max_width="100%")
    return widget


def _row(widgets: Iterable[Widget]) -> Box:
    """Side by side; below each other in a narrow window."""
    return Box(list(widgets), layout=Layout(display="flex", flex_flow="row wrap", align_items="flex-start", width="100%"))
