"""The widgets of the studio and their layout, without any behaviour; for ipywidgets 7.7 and 8."""

from __future__ import annotations

from collections.abc import Iterable

from ipywidgets import (HTML, Accordion, Box, Button, ColorPicker, Dropdown, FloatProgress, FloatSlider, Image,
                        IntSlider, Layout, Text, ToggleButton, ToggleButtons, VBox, Widget)

from colorlib.photos import SUFFIXES
from colorlib.photos.samples import OLD, SAMPLES
from colorlib.studio.board import Board

SLIDERS = {  # field of Settings: (class, from, to, step, label, explanation)
    "variant": (IntSlider, 0, 20, 1, "Colouring", "0 is the usual one; every other number is another plausible one"),
    "render_size": (IntSlider, 32, 256, 8, "Render size", "short side, in pixels, of the picture that the network gets"),
    "adversarial": (FloatSlider, 0, 1, 0.05, "Boldness", "1: the network trained with a discriminator; 0: the paler one trained without"),
    "guidance": (FloatSlider, 0, 1, 0.05, "Edge guidance", "how sharply colours end at the edges of the photograph"),
    "saturation": (FloatSlider, 0, 2, 0.05, "Saturation", "factor of the network's colours; hints stay"),
    "warmth": (FloatSlider, -30, 30, 1, "Warmth", "above 0 towards yellow, below towards blue, in CIE units; hints stay"),
    "blend": (FloatSlider, 0, 1, 0.05, "Grey to colour", "0: the grey photograph, 1: the coloured one"),
}  # fmt: skip
NUM_SUGGESTIONS = 5
LABEL = {"description_width": "7.5em"}


class Parts:
    """All widgets of a studio, by name.

    `formats` of the full-size file; `files`: with paths of this machine; `max_bytes` of a file from the browser.
    """

    def __init__(self, formats: Iterable[str], files: bool, max_bytes: int) -> None:
        self.samples = Dropdown(options=[("a sample photograph", ""), *((name, name) for name in (*SAMPLES, *OLD))],
                                layout=Layout(width="14em"))
        self.path = Text(placeholder="or the path of one", continuous_update=False, layout=Layout(width="22em"))
        # an empty message has its height, too: otherwise all below it would move away under the pointer
        self.message = HTML(layout=Layout(width="auto", min_height="32px"))
        self.message.add_class("colorlib-message")
        self.board = Board(accept=",".join((*SUFFIXES, ".json")), max_bytes=max_bytes)
        self.uncertainty = ToggleButton(description="Where is it unsure?", layout=_wide())
        self.sliders = {name: _slider(*arguments) for name, arguments in SLIDERS.items()}
        self.reset = Button(description="Back to the defaults", layout=_wide())
        self.histogram = Image(format="png", layout=Layout(width="200px", height="200px"))
        # hints
        self.hints = Dropdown(description="Hint", options=[("none", -1)], style=LABEL, layout=_wide())
        self.picker = ColorPicker(description="Colour", style=LABEL, layout=_wide())
        self.shown_color = HTML(layout=_wide())
        self.suggestions = [Button(layout=Layout(width="4em")) for _ in range(NUM_SUGGESTIONS)]
        self.x, self.y = (IntSlider(min=0, description=name, style=LABEL, layout=_wide()) for name in ("x", "y"))
        self.add, self.move, self.delete, self.undo, self.redo = (Button(description=name, layout=_wide()) for name in (
            "Add a hint at x, y", "Move it to x, y", "Delete it", "Undo", "Redo"))
        # saving
        self.format = ToggleButtons(options=list(formats), description="Format", style={**LABEL, "button_width": "5em"})
        self.make = Button(description="Make the full-size file", layout=_wide(), button_style="primary")
        self.progress, self.folder_progress = (
            FloatProgress(max=1.0, layout=Layout(width="12em", visibility="hidden")) for _ in range(2))
        self.file, self.code, self.report = (HTML(layout=_wide()) for _ in range(3))
        # a folder
        self.source, self.target = (Text(description=name, placeholder=hint, style=LABEL, layout=_wide())
                                    for name, hint in (("Photographs", "a folder"), ("Results", "another folder")))
        self.go = Button(description="Colour them all with these settings", layout=_wide())
        self.top = self._layout(files)

    def _layout(self, files: bool) -> list[Widget]:
        left = VBox([self.board, self.uncertainty], layout=Layout(flex="3 1 400px", min_width="0", padding="0 12px 0 0"))
        histogram = VBox([self.histogram, HTML("the picture's a and b: red to the right, yellow up")],
                         layout=Layout(align_items="center", padding="8px 0 0 0"))  # fmt: skip
        right = VBox([*self.sliders.values(), self.reset, histogram], layout=Layout(flex="2 1 280px", min_width="0"))
        plausible = _row([HTML("Plausible there:"), *self.suggestions])
        buttons = _row([self.add, self.move, self.delete, self.undo, self.redo])
        sections = {
            "Hints: click on the picture, or use these": VBox(
                [self.hints, self.picker, self.shown_color, plausible, self.x, self.y, buttons]),
            "Save": VBox([self.format, _row([self.make, self.progress, self.file]), self.code]),
        }
        if files:
            sections["A folder of photographs"] = VBox(
                [self.source, self.target, _row([self.go, self.folder_progress]), self.report])
        accordion = Accordion(list(sections.values()), selected_index=0)
        for number, title in enumerate(sections):
            accordion.set_title(number, title)  # 7 ignores titles=
        opening = _row([self.samples, *([self.path] if files else [])])
        return [opening, self.message, _row([left, right]), accordion]


def paint(button: Button, color: str | None, text: str, dark: bool) -> None:
    """Give a button a colour; None hides it and keeps its place."""
    button.layout.visibility = "hidden" if color is None else "visible"
    if color is not None:
        button.style.button_color, button.description = color, text
        if button.style.has_trait("text_color"):  # 7 has none
            button.style.text_color = "white" if dark else "black"


def _slider(kind: type, least: float, most: float, step: float, label: str, explanation: str) -> Widget:
    slider = kind(min=least, max=most, step=step, description=label, style=LABEL, layout=_wide())
    setattr(slider, "tooltip" if slider.has_trait("tooltip") else "description_tooltip", explanation)  # 8, or 7
    return slider


def _row(widgets: Iterable[Widget]) -> Box:
    """Side by side; below each other in a narrow window."""
    return Box(list(widgets), layout=Layout(display="flex", flex_flow="row wrap", align_items="flex-start", width="100%"))


def _wide() -> Layout:
    return Layout(width="auto", max_width="100%")
