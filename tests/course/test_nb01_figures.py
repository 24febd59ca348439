"""What the figures of notebook 01 draw, read back from matplotlib."""

import pytest
import torch

from colorlib.course import nb01_figures, scenes


def test_the_plane_is_blue_below_and_red_to_the_right_and_points_lie_on_their_colour():
    axis, = nb01_figures.ab_plane({"one": torch.tensor([[0.2, -0.4]])}).axes
    plane = axis.images[0].get_array()  # 121 x 121 from -100 to 100, the first row below
    assert plane[36, 60, 2] > plane[84, 60, 2] + 0.1 and plane[60, 84, 0] > plane[60, 36, 0] + 0.1
    assert axis.images[0].origin == "lower"
    assert axis.collections[0].get_offsets()[0].tolist() == pytest.approx([22, -44])


def test_a_palette_is_a_bar_of_its_colours_as_wide_as_they_are_frequent():
    roof = scenes.PALETTES["roof"]
    kinds, grey = {"roof": (roof.ab, roof.probabilities)}, {"L2": {"roof": torch.zeros(2)}}
    bar, prediction = nb01_figures.palettes(kinds, grey).axes
    assert [patch.get_width() for patch in bar.patches] == pytest.approx(roof.probabilities.tolist())
    red, blue = bar.patches[0].get_facecolor(), bar.patches[1].get_facecolor()
    assert red[0] > red[2] and blue[2] > blue[0]
    assert prediction.get_facecolor()[0] == pytest.approx(prediction.get_facecolor()[2], abs=0.01)  # no colour: grey


def test_predictions_true_colours_and_the_best_lie_where_they_are():
    palette = scenes.PALETTES["roof"].ab
    predicted, best = {"L1": torch.tensor([[0.1, 0.2]])}, {"L1": torch.tensor([0.3, 0.4])}
    figure = nb01_figures.predictions_on_plane(predicted, palette, best)
    dots, true, best = figure.axes[0].collections
    assert dots.get_offsets()[0].tolist() == pytest.approx([11, 22])
    assert torch.tensor(true.get_offsets().tolist()).allclose(palette * 110, atol=1e-3)
    assert best.get_offsets()[0].tolist() == pytest.approx([33, 44])


def test_a_disc_is_as_large_as_its_probability_and_has_its_bins_colour():
    bins = torch.tensor([[0.4, 0.3], [0.0, -0.4]])
    axis, = nb01_figures.distributions({"roof": (torch.tensor([0.25, 0.75]), bins[:1])}, bins).axes
    _, discs, true = axis.collections
    assert discs.get_sizes()[1] == pytest.approx(3 * discs.get_sizes()[0])
    red, blue = discs.get_facecolor()
    assert red[0] > red[2] and blue[2] > blue[0]
    assert true.get_offsets()[0].tolist() == pytest.approx([44, 33])
