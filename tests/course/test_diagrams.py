"""Diagrams: nothing lies on anything else, and nothing is cut off."""

import itertools

import pytest
import torch

from colorlib.course import diagrams

PICTURES = torch.rand(3, 3, 16, 16)
DRAWN = {
    "gan": diagrams.gan,
    "cgan": lambda: diagrams.gan(conditional=True),
    "pair": lambda: diagrams.pair_of_discriminator(*PICTURES),
    "block": diagrams.residual_block,
    "skips": diagrams.unet_skips_and_shortcuts,
    "max pooling": diagrams.maxpool_residual_unet,
    "dynamic": diagrams.dynamic_unet,
    "critic": diagrams.critic_with_penalty,
}


@pytest.mark.parametrize("name", DRAWN)
def test_no_text_lies_on_another_or_leaves_its_sheet(name):
    figure = DRAWN[name]()
    boxes = [(text.get_text(), text.get_window_extent()) for text in figure.axes[0].texts if text.get_text()]
    assert len(boxes) > 5
    assert not [(one, other) for (one, a), (other, b) in itertools.combinations(boxes, 2) if a.overlaps(b)]
    assert not [text for text, box in boxes if box.x0 < 0 or box.y0 < 0 or box.y1 > figure.bbox.y1]


@pytest.mark.parametrize("name", DRAWN)
def test_no_box_covers_another(name):
    figure = DRAWN[name]()
    boxes = [patch.get_window_extent() for patch in figure.axes[0].patches if type(patch).__name__ == "FancyBboxPatch"]
    assert boxes and not [1 for one, other in itertools.combinations(boxes, 2) if one.overlaps(other)]


def test_a_conditional_gan_gives_the_condition_to_both():
    texts = {text.get_text() for text in diagrams.gan(conditional=True).axes[0].texts}
    assert {"condition\n$c$", "generated\n$G(c, z)$"} <= texts
    assert not any("$c$" in text.get_text() for text in diagrams.gan().axes[0].texts)
