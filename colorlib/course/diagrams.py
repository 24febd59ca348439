"""Diagrams of the series, drawn by our own code: boxes and arrows on a sheet whose units are inches."""

from collections.abc import Sequence
from typing import NamedTuple

import matplotlib.pyplot as plt
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyBboxPatch
from torch import Tensor

from colorlib.course.figures import STYLE, done, smooth, to_numpy

NETWORK, CRITIC, DATA, GIVEN, LOSS, INK = "#0072B2", "#D55E00", "#009E73", "#AA4499", "#666666", "#333333"


class Box(NamedTuple):
    """A rectangle by its centre and its sides."""

    x: float
    y: float
    width: float
    height: float

    def at(self, side: str, shift: float = 0.0) -> tuple[float, float]:
        """The middle of the side "l", "r", "t" or "b", moved along it."""
        across, up = {"l": (-1, 0), "r": (1, 0), "t": (0, 1), "b": (0, -1)}[side]
        return (self.x + across * self.width / 2 + shift * abs(up), self.y + up * self.height / 2 + shift * abs(across))


class Sheet:
    """An empty figure, width x height inches, to draw on."""

    def __init__(self, width: float, height: float) -> None:
        with plt.rc_context(STYLE):
            self.figure = done(plt.figure(figsize=(width, height)))
            self.axis = self.figure.add_axes([0, 0, 1, 1], xlim=(0, width), ylim=(0, height))
        self.axis.set_axis_off()

    def box(self, x: float, y: float, text: str, colour: str, width: float = 1.0, height: float = 0.5, *,
            size: float = 9, fill: bool = True) -> Box:
        tint = [0.84 + 0.16 * part for part in to_rgb(colour)] if fill else "none"
        corner = x - width / 2 + 0.06, y - height / 2 + 0.06
        self.axis.add_patch(FancyBboxPatch(corner, width - 0.12, height - 0.12, boxstyle="round,pad=0.06",
                                           facecolor=tint, edgecolor=colour, linewidth=1.3, zorder=2))
        self.note(x, y, text, size=size)
        return Box(x, y, width, height)

    def picture(self, x: float, y: float, image: Tensor, width: float) -> None:
        array = smooth(to_numpy(image), width)
        half, limits = width / 2 * array.shape[0] / array.shape[1], self.axis.axis()
        extent = x - width / 2, x + width / 2, y - half, y + half
        self.axis.imshow(array, extent=extent, cmap="gray", vmin=0, vmax=1, zorder=2)
        self.axis.set(xlim=limits[:2], ylim=limits[2:], aspect="auto")

    def note(self, x: float, y: float, text: str, colour: str = INK, size: float = 9, ha: str = "center") -> None:
        self.axis.text(x, y, text, ha=ha, va="center", fontsize=size, color=colour, zorder=4, linespacing=1.25)

    def arrow(self, *points: tuple[float, float], colour: str = INK, dashed: bool = False) -> None:
        """A line through the points with a head at its end."""
        style = {"color": colour, "linewidth": 1.3, "linestyle": "--" if dashed else "-"}
        self.axis.plot(*zip(*points[:-1]), solid_joinstyle="round", zorder=1, **style)
        self.axis.annotate("", points[-1], points[-2], zorder=1, arrowprops={
            "arrowstyle": "-|>", "shrinkA": 0, "shrinkB": 0, "mutation_scale": 11, **style})

    def flow(self, *boxes: Box) -> None:
        """Arrows from each box to the next, from left to right."""
        for left, right in zip(boxes, boxes[1:]):
            self.arrow(left.at("r"), right.at("l"))


def gan(conditional: bool = False) -> Figure:
    """z -> G -> D <- data; with a condition c that both networks are given."""
    sheet, top, middle, low = Sheet(7.6, 2.9), 1.9, 1.25, 0.6
    given = "c, " if conditional else ""
    noise, G = sheet.box(0.75, top, "noise\n$z$", GIVEN, 0.9), sheet.box(2.3, top, "generator\n$G$", NETWORK, 1.1, 0.6)
    made = sheet.box(4.0, top, f"generated\n$G({given}z)$", NETWORK, 1.15)
    data, real = sheet.box(0.75, low, "data set", DATA, 0.9), sheet.box(4.0, low, "real\n$x$", DATA, 1.15)
    D = sheet.box(5.5, middle, "discrimi-\nnator\n$D$", CRITIC, 1.0, 0.9)
    sheet.flow(noise, G, made), sheet.flow(data, real), sheet.arrow(D.at("r"), (6.35, middle))
    sheet.note(6.4, middle, f"$D({given}\\cdot)$\nprobability\nof 'real'", ha="left")
    for box, shift in ((made, 0.25), (real, -0.25)):
        sheet.arrow(box.at("r"), (4.8, box.y), (4.8, middle + shift), D.at("l", shift))
    if conditional:
        c = sheet.box(0.75, middle, "condition\n$c$", GIVEN, 0.9)
        sheet.arrow(c.at("r"), D.at("l"), colour=GIVEN), sheet.arrow((2.3, middle), G.at("b"), colour=GIVEN)
    sheet.arrow(D.at("t"), (5.5, 2.65), (2.3, 2.65), G.at("t"), colour=CRITIC, dashed=True)
    sheet.note(3.9, 2.78, "the gradient through $D$ trains $G$: it makes 'real' more probable", CRITIC, 8)
    sheet.note(3.8, 0.12, "$D$ is trained to give real ones a probability near 1 and generated ones near 0", INK, 8)
    return sheet.figure


def pair_of_discriminator(condition: Tensor, real: Tensor, generated: Tensor) -> Figure:
    """The two pairs that a conditional discriminator is given; three pictures (C, H, W) of the same size."""
    sheet = Sheet(7.0, 2.8)
    for y, x, name, colour, kind in ((2.07, real, "$x$", DATA, "real"),
                                     (0.67, generated, "$G(c, z)$", NETWORK, "generated")):
        frame = sheet.box(1.5, y, "", colour, 2.5, 1.28, fill=False)
        for place, image, label in ((0.93, condition, "$c$"), (2.07, x, name)):
            sheet.picture(place, y + 0.1, image, 0.9), sheet.note(place, y - 0.49, label)
        D = sheet.box(4.6, y, "discriminator\n$D$", CRITIC, 1.2, 0.6)
        sheet.flow(frame, D), sheet.arrow(D.at("r"), (5.8, y))
        sheet.note(5.85, y, f"the pair is\n{kind}", colour, ha="left")
        sheet.note(3.37, y + 0.2, "channels of both,\none picture", LOSS, 7.5)
    sheet.note(4.6, 1.37, "the same weights", LOSS, 8)
    return sheet.figure


def residual_block() -> Figure:
    """The same layers without a shortcut and with one, as in He et al. 2016a: the last ReLU follows the addition."""
    sheet = Sheet(7.6, 2.6)
    for y, name in ((2.15, "plain"), (0.7, "residual")):
        texts = ("conv\n3 x 3", "norm\nReLU", "conv\n3 x 3", "norm")
        layers = [sheet.box(2.2 + 0.85 * k, y, text, NETWORK, 0.66, 0.42) for k, text in enumerate(texts)]
        last = sheet.box(6.25, y, "ReLU", LOSS, 0.66, 0.42)
        sheet.note(0.1, y, name, size=10, ha="left"), sheet.note(1.2, y, "$x$", size=11)
        sheet.arrow((1.35, y), layers[0].at("l")), sheet.flow(*layers, last), sheet.arrow(last.at("r"), (6.85, y))
        sheet.note(6.95, y, "$y$", size=11, ha="left")
    sheet.axis.add_patch(Circle((5.55, y), 0.13, facecolor="white", edgecolor=CRITIC, linewidth=1.3, zorder=3))
    sheet.arrow((1.6, y), (1.6, y + 0.55), (5.55, y + 0.55), (5.55, y + 0.13), colour=CRITIC)
    for across, up, text, colour in ((5.55, 0, "+", CRITIC), (3.5, 0.67, "shortcut: $x$ unchanged", CRITIC),
                                     (3.5, -0.42, "residual branch $F$", NETWORK)):
        sheet.note(across, y + up, text, colour)
    return sheet.figure


def _u(left: Sequence[str], right: Sequence[str], bottom: str, *, down: str, up: str, skip: str, note: str,
       shortcuts: bool = True, ends: tuple[str, str] = ("$L$", r"$\mathrm{ab}$")) -> Figure:
    """A U of boxes: the encoder's from the top left down, the decoder's up on the right, and what joins them."""
    sheet, middle, top = Sheet(7.0, 1.55 + 0.8 * len(left)), 3.5, 0.7 + 0.8 * len(left)
    places = [(2.45 - 0.4 * k, top - 0.8 * k) for k in range(len(left))]
    encoder = [sheet.box(middle - x, y, text, NETWORK, 1.35, 0.46, size=8) for (x, y), text in zip(places, left)]
    decoder = [sheet.box(middle + x, y, text, DATA, 1.35, 0.46, size=8) for (x, y), text in zip(places, right)]
    lowest = sheet.box(middle, 0.7, bottom, NETWORK, 1.45, 0.46, size=8)
    for a, b in zip(encoder, decoder):
        sheet.arrow(a.at("r"), b.at("l"), colour=GIVEN, dashed=True)
    for a, b, deeper, back in zip(encoder, decoder, encoder[1:], decoder[1:]):
        sheet.arrow(a.at("b", 0.2), deeper.at("t", -0.2)), sheet.arrow(back.at("t", 0.2), b.at("b", -0.2))
    sheet.arrow(encoder[-1].at("b"), (encoder[-1].x, 0.7), lowest.at("l"))
    sheet.arrow(lowest.at("r"), (decoder[-1].x, 0.7), decoder[-1].at("b"))
    sheet.note(middle, top + 0.14, skip, GIVEN, 8), sheet.note(middle, 0.1, note, CRITIC if shortcuts else LOSS, 8)
    sheet.note(1.15, top - 0.4, down, INK, 8, "right"), sheet.note(5.85, top - 0.4, up, INK, 8, "left")
    for box, start, end, text in ((encoder[0], 0.58, 0.23, ends[0]), (decoder[0], 0.23, 0.58, ends[1])):
        sheet.arrow((box.x, top + start), (box.x, top + end)), sheet.note(box.x, top + 0.7, text, size=10)
    for box in [*encoder, *decoder] if shortcuts else []:
        (x, y), out = box.at("l" if box.x < middle else "r"), -0.2 if box.x < middle else 0.2
        sheet.arrow((x, y + 0.12), (x + out, y + 0.12), (x + out, y - 0.12), (x, y - 0.12), colour=CRITIC)
    if shortcuts:
        sheet.arrow((3.2, 0.47), (3.2, 0.29), (3.8, 0.29), (3.8, 0.47), colour=CRITIC)
    return sheet.figure


def unet_skips_and_shortcuts() -> Figure:
    """A skip crosses the U and appends channels; a shortcut passes one block and adds."""
    names = [f"block\n{side} x {side}" for side in (64, 32, 16)]
    return _u(names, names, "block\n8 x 8", down="halve", up="double", ends=("input", "output"),
              skip="skip: crosses the U, appends the features of the same size",
              note="shortcut: passes one block, adds its input to its output")


def maxpool_residual_unet() -> Figure:
    """The U-Net of 2015 with residual blocks: convolutions, max pooling and skips."""
    names = [f"residual block\n{width} channels" for width in ("$w$", "2 $w$", "4 $w$")]
    return _u(names, names, "residual block\n8 $w$ channels", down="max pooling\n2 x 2", up="bilinear\nenlargement",
              skip="skip: concatenate", note="in every block: $x + F(x)$, where $F$ has two 3 x 3 convolutions")


def dynamic_unet() -> Figure:
    """fastai's DynamicUnet: a pretrained encoder, and a decoder that is built to fit it."""
    stages = (("first conv", 2, 64), ("stage 1", 4, 64), ("stage 2", 8, 128), ("stage 3", 16, 256))
    return _u([f"{name}\n1/{side}, {channels} ch" for name, side, channels in stages],
              [f"conv, conv\n1/{side}" for _, side, _ in stages], "stage 4\n1/32, 512 ch", shortcuts=False,
              down="ResNet-18,\nfrom ImageNet", up="pixel shuffle\n(and blur)", skip="skip: batch norm, concatenate",
              note="blue: pretrained, small learning rate; green: new, starts at random",
              ends=("$L$, three times", r"doubled, joined with the input, conv: $\mathrm{ab}$"))


def critic_with_penalty() -> Figure:
    """A conditional critic: its three inputs, and the term of its loss that each of them gives."""
    sheet = Sheet(7.6, 3.2)
    rows = ((2.65, "real\n$x$", DATA, r"$-\,f(c, x)$", 0.25),
            (1.6, "between\n" + r"$\hat{x} = x + \epsilon\,(G(c, z) - x)$", LOSS,
             r"$\lambda_\mathrm{gp}\,(\|\nabla_{\hat{x}} f(c, \hat{x})\| - 1)^2$", 0),
            (0.55, "generated\n$G(c, z)$", NETWORK, r"$+\,f(c, G(c, z))$", -0.25))
    critic = sheet.box(4.0, 1.6, "critic\n$f$", CRITIC, 1.0, 0.8, size=10)
    sheet.arrow(sheet.box(4.0, 2.95, "condition $c$", GIVEN, 1.15, 0.36).at("b"), critic.at("t"), colour=GIVEN)
    boxes = [sheet.box(1.15, y, text, colour, 1.95, 0.56) for y, text, colour, *_ in rows]
    for box, (y, _, _, term, shift) in zip(boxes, rows):
        sheet.arrow(box.at("r"), (2.85, y), (2.85, 1.6 + shift), critic.at("l", shift))
        sheet.arrow(critic.at("r", shift), (4.72, 1.6 + shift), (4.72, y), sheet.box(6.2, y, term, LOSS, 2.5).at("l"))
    sheet.arrow(boxes[0].at("b"), boxes[1].at("t"), colour=LOSS, dashed=True)
    sheet.arrow(boxes[2].at("t"), boxes[1].at("b"), colour=LOSS, dashed=True)
    sheet.note(6.2, 2.13, "+", size=12), sheet.note(6.2, 1.08, "+", size=12)
    sheet.note(6.2, 0.12, "the critic's loss is their mean over the batch", LOSS, 8)
    return sheet.figure
