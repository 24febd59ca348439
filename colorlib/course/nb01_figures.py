"""The figures of notebook 01: colours on the ab plane, and palettes whose true colours are known."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from torch import Tensor

from colorlib.color import AB_SCALE, lab_to_rgb
from colorlib.course.figures import STYLE, done


def ab_plane(points: Mapping[str, Tensor], *, lightness: float = 65.0, limit: float = 100.0) -> Figure:
    """Colours as points of the ab plane over the real colours of that plane at one lightness.

    points is panel title -> ab / 110 of any pixels, (N, 2); lightness is L in 0..100 (what sRGB cannot show there stays
    white); limit is half the side of the plane, CIE units.
    """
    axis_values = torch.linspace(-limit, limit, 121)
    b, a = torch.meshgrid(axis_values, axis_values, indexing="ij")
    rgb = lab_to_rgb(torch.stack([torch.full_like(a, lightness), a, b])[None])[0]
    inside = ((rgb >= 0) & (rgb <= 1)).all(0)
    plane = torch.where(inside, rgb.clamp(0, 1) * 0.35 + 0.65, torch.ones(()))
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(1, len(points), figsize=(2.9 * len(points), 2.9), squeeze=False,
                                    layout="constrained", sharey=True)
        for axis, (title, ab) in zip(axes.flat, points.items()):
            axis.imshow(plane.permute(1, 2, 0).numpy(), origin="lower", extent=(-limit, limit, -limit, limit))
            axis.scatter(*(ab.detach().cpu().float() * AB_SCALE).T.numpy(), s=3, color="black", alpha=0.35, linewidths=0)
            axis.set(title=title, xlabel="a: green to red", xlim=(-limit, limit), ylim=(-limit, limit))
            axis.grid(False)
        axes[0, 0].set_ylabel("b: blue to yellow")
    return done(figure)


def palettes(kinds: Mapping[str, tuple[Tensor, Tensor]], answers: Mapping[str, Mapping[str, Tensor]], *,
             lightness: float = 60.0) -> Figure:
    """Known colours of a thing as a bar, each as wide as it is frequent, and next to it single answers, all at one L.

    kinds is name -> colours ab / 110 (K, 2) and their probabilities (K,); answers is title -> for every name one ab /
    110 (2,).
    """
    def paint(ab: Tensor) -> np.ndarray:
        lab = torch.cat([torch.tensor([lightness]), ab.float() * AB_SCALE])
        return lab_to_rgb(lab[:, None, None])[:, 0, 0].clamp(0, 1).numpy()

    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(len(kinds), 1 + len(answers),
                                    figsize=(4.6 + 1.1 * len(answers), 0.75 * len(kinds) + 0.3), squeeze=False,
                                    layout="constrained", gridspec_kw={"width_ratios": [4.0, *[1.0] * len(answers)]})
        for row, (name, (colours, probabilities)) in zip(axes, kinds.items()):
            left = 0.0
            for ab, probability in zip(colours, probabilities.tolist()):
                row[0].barh(0, probability, left=left, height=1, color=paint(ab))
                row[0].text(left + probability / 2, 0, f"{probability:.2f}", ha="center", va="center", color="white", fontsize=9)
                left += probability
            row[0].set(xlim=(0, left), ylim=(-0.5, 0.5))
            row[0].set_ylabel(name, rotation=0, ha="right", va="center")
            for axis, answer in zip(row[1:], answers.values()):
                axis.set_facecolor(paint(answer[name]))
        for axis, title in zip(axes[0], ["drawn from", *answers]):
            axis.set_title(title, fontsize=9)
        for axis in axes.flat:
            axis.set(xticks=[], yticks=[])
            axis.grid(False)
            axis.spines[:].set_visible(False)
    return done(figure)


def answers_on_plane(answers: Mapping[str, Tensor], palette: Tensor, best: Mapping[str, Tensor], *,
                     lightness: float = 55.0, limit: float = 65.0) -> Figure:
    """Predicted colours of things whose true colours are known: one panel per network, as in `ab_plane`; all ab / 110.

    answers is panel title -> predicted (N, 2), small dots; palette the true colours (K, 2), large discs in their own
    colour; best is panel title -> the answer with the least expected error, (2,), a cross.
    """
    figure = ab_plane(answers, lightness=lightness, limit=limit)
    lab = torch.cat([torch.full((len(palette), 1), lightness), palette * AB_SCALE], 1)
    discs = lab_to_rgb(lab.T[:, :, None])[..., 0].clamp(0, 1).T.numpy()
    for axis, title in zip(figure.axes, answers):
        axis.scatter(*(palette * AB_SCALE).T.numpy(), s=130, c=discs, edgecolors="black", linewidths=1, label="true colours")
        axis.scatter(*(best[title] * AB_SCALE).tolist(), marker="X", s=110, c="white", edgecolors="black", label="best answer")
    figure.legend(*figure.axes[-1].get_legend_handles_labels(), fontsize=8, loc="outside right upper")
    return figure
