"""The widgets of the studio and their layout, without any behaviour; for ipywidgets 7.7 and 8."""

from __future__ import annotations

from collections.abc import Iterable

from ipywidgets import (HTML, Box, Button, ColorPicker, Dropdown, FloatProgress, FloatSlider, Image, IntSlider, Layout,
                        Text, ToggleButton, VBox, Widget)

from colorlib.photos import SUFFIXES
from colorlib.photos.samples import OLD, SAMPLES
from colorlib.studio.board import Board

SLIDERS = {  # field of Settings: (class, from, to, step, label, explanation)
    "saturation": (FloatSlider, 0, 2, 0.05, "Colour strength", "how colourful the picture is; colours that you gave stay"),
    "warmth": (FloatSlider, -30, 30, 1, "Warmth", "to the right more yellow, to the left more blue; colours that you gave stay"),
    "blend": (FloatSlider, 0, 1, 0.05, "Grey to colour", "left the grey photograph, right the coloured one"),
    "variant": (IntSlider, 0, 20, 1, "Colouring", "0 is the usual one; every other number is another plausible one"),
    "render_size": (IntSlider, 32, 256, 8, "Network's size", "short side, in pixels, of the picture that the network gets"),
    "adversarial": (FloatSlider, 0, 1, 0.05, "Boldness", "right the network trained with a critic, left the paler one without"),
    "guidance": (FloatSlider, 0, 1, 0.05, "Sharp edges", "how sharply colours end at the edges of the photograph"),
}  # fmt: skip
MAIN = ("saturation", "warmth", "blend")
LABEL = {"description_width": "8em"}


class Parts:
    """All widgets of a studio, by name.

    `formats` of the full-size file; `files`: with paths of this machine; `max_bytes` of a file from the browser.
    """

    def __init__(self, formats: Iterable[str], files: bool, max_bytes: int) -> None:
        self.samples = Dropdown(options=[("a sample photograph", ""), *((name, name) for name in (*SAMPLES, *OLD))],
                                layout=_wide())
        _named(self.samples, "A sample photograph")
        self.path = Text(placeholder="or the path of a photograph", continuous_update=False, layout=_wide())
        # an empty message has its height, too: otherwise all below it would move away under the pointer
        self.message = HTML(layout=Layout(width="auto", min_height="32px"))
        self.message.add_class("colorlib-message")
        self.board = Board(accept=",".join((*SUFFIXES, ".json")), max_bytes=max_bytes)
        self.uncertainty = ToggleButton(description="Where is it unsure?", layout=_wide())
        self.legend = HTML("Dark: sure of its colours. Bright: it guesses, and a colour from you helps most.",
                           layout=Layout(display="none"))
        self.sliders = {name: _slider(*arguments) for name, arguments in SLIDERS.items()}
        self.reset = Button(description="Back to the defaults", layout=_wide())
        # saving
        self.make = Button(description="Save picture", layout=Layout(flex="1 1 auto"), button_style="primary")
        self.format = Dropdown(options=list(formats), layout=Layout(width="6em"))
        _named(self.format, "Format of the file")
        self.progress, self.folder_progress = (
            FloatProgress(max=1.0, layout=Layout(width="auto", visibility="hidden")) for _ in range(2))
        self.file, self.code, self.report = (HTML(layout=_wide()) for _ in range(3))
        # for experts
        self.histogram = Image(format="png", layout=Layout(width="200px", height="200px"))
        _named(self.histogram, "How often each colour occurs: red to the right, yellow up")
        self.hints = Dropdown(description="Hint", options=[("none", -1)], style=LABEL, layout=_wide())
        self.picker = ColorPicker(description="Colour", style=LABEL, layout=_wide())
        self.shown_color = HTML(layout=_wide())
        self.x, self.y = (IntSlider(min=0, description=name, style=LABEL, layout=_wide()) for name in ("x", "y"))
        self.add, self.move, self.delete = (Button(description=name, layout=_wide()) for name in (
            "Add a hint at x, y", "Move it to x, y", "Delete it"))
        # a folder
        self.source, self.target = (Text(description=name, placeholder=hint, style=LABEL, layout=_wide())
                                    for name, hint in (("Photographs", "a folder"), ("Results", "another folder")))
        self.go = Button(description="Colour them all with these settings", layout=_wide())
        self.top = self._layout(files)

    def _layout(self, files: bool) -> list[Widget]:
        sliders = [self.sliders[name] for name in MAIN]
        experts = [slider for name, slider in self.sliders.items() if name not in MAIN]
        histogram = VBox([self.histogram, HTML("the picture's a and b: red to the right, yellow up")],
                         layout=Layout(align_items="center"))  # fmt: skip
        folds = [_fold("Fine control", [*experts, self.hints, self.picker, self.shown_color, self.x, self.y,
                                        _row([self.add, self.move, self.delete]), histogram]),
                 _fold("Settings and code", [self.code])]
        if files:
            folds.append(_fold("A folder of photographs", [self.source, self.target, self.go, self.folder_progress,
                                                           self.report]))
        opening = [self.samples, *([self.path] if files else [])]
        saving = [_row([self.make, self.format]), self.progress, self.file]
        right = VBox([*opening, self.message, *sliders, self.reset, self.uncertainty, self.legend, *saving,
                      *(part for fold in folds for part in fold)],
                     layout=Layout(flex="1 1 270px", min_width="0", max_width="420px"))
        left = VBox([self.board], layout=Layout(flex="3 1 400px", min_width="0", padding="0 12px 0 0"))
        return [_row([left, right])]


def _fold(title: str, widgets: list[Widget]) -> tuple[Widget, Widget]:
    """A button, and what it unfolds: real buttons, which a keyboard reaches in every version of ipywidgets."""
    button, box = ToggleButton(description=title, icon="caret-right", layout=_wide()), VBox(widgets)
    box.layout.display = "none"

    def unfold(change: dict) -> None:
        box.layout.display, button.icon = ("flex", "caret-down") if change["new"] else ("none", "caret-right")

    button.observe(unfold, "value")
    return button, box


def _named(widget: Widget, name: str) -> None:
    """Give an accessible name to a widget without a description; the board sets it in the browser."""
    widget.add_class("name:" + name.replace(" ", "_"))


def _slider(kind: type, least: float, most: float, step: float, label: str, explanation: str) -> Widget:
    slider = kind(min=least, max=most, step=step, description=label, style=LABEL, layout=_wide())
    setattr(slider, "tooltip" if slider.has_trait("tooltip") else "description_tooltip", explanation)  # 8, or 7
    return slider


def _row(widgets: Iterable[Widget]) -> Box:
    """Side by side; below each other in a narrow window."""
    return Box(list(widgets), layout=Layout(display="flex", flex_flow="row wrap", align_items="flex-start", width="100%"))


def _wide() -> Layout:
    return Layout(width="auto", max_width="100%")
