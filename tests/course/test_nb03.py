"""What notebook 03 builds by hand gives the library's outputs with the same weights."""

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from taught import taught_in
from torch import nn

from colorlib.course.toys import PictureDiscriminator, PictureGenerator, PointDiscriminator, PointGenerator, train_gan

NOTEBOOK = Path(__file__).resolve().parents[2] / "notebooks" / "03_conditional_gan.ipynb"
LABEL = torch.tensor([2, 0, 1, 2, 2, 1])


@pytest.fixture(scope="module")
def taught():
    return taught_in(NOTEBOOK)


def test_one_hot(taught):
    assert torch.equal(taught["one_hot"](LABEL, 3), F.one_hot(LABEL, 3).float())


@pytest.mark.parametrize("training", [True, False])
def test_generator(taught, training):
    mine = taught["LabelledPictureGenerator"](num_labels=3, width=4)
    theirs = PictureGenerator(image_channels=1, size=16, base_channels=4, num_labels=3)
    theirs.load_state_dict(mine.state_dict())  # strict: the same names and shapes
    z = torch.randn(len(LABEL), 64)
    a, b = mine.train(training)(z, LABEL), theirs.train(training)(z, LABEL)
    assert torch.allclose(a, b, atol=1e-6)
    assert not torch.allclose(a, mine(z, (LABEL + 1) % 3), atol=1e-4)  # the label reaches the output


def test_discriminator(taught):
    mine = taught["LabelledPictureDiscriminator"](num_labels=3, width=4)
    with torch.no_grad():
        for weight in mine.parameters():
            weight.normal_(0, 0.2)  # larger than the start, so that the label shows in the logit
    theirs = PictureDiscriminator(1, 16, 4, num_labels=3, norm=nn.BatchNorm2d)
    theirs.load_state_dict(mine.state_dict())
    x = torch.randn(len(LABEL), 1, 16, 16)
    assert torch.allclose(mine(LABEL, x), theirs(LABEL, x), atol=1e-5)
    assert not torch.allclose(mine(LABEL, x), mine((LABEL + 1) % 3, x), atol=1e-3)
    assert torch.allclose(mine.features(LABEL, x), theirs.features(LABEL, x), atol=1e-5)


def test_one_update(taught):
    """Two steps of the notebook's update against two of train_gan, which draws the same noise."""
    mine, theirs = ((PointGenerator(num_labels=3), PointDiscriminator(num_labels=3)) for _ in range(2))
    for a, b in zip(mine, theirs):
        b.load_state_dict(a.state_dict())
    real, chance = torch.randn(2, len(LABEL), 2), torch.Generator().manual_seed(5)
    optimizers = [torch.optim.Adam(network.parameters(), 1e-3, (0.5, 0.999)) for network in mine]
    for step in range(2):
        noise = [torch.randn(len(LABEL), 2, generator=chance) for _ in range(2)]
        taught["one_update"](*mine, *optimizers, LABEL, real[step], *noise)
    train_gan(*theirs, iter([(LABEL, real[0]), (LABEL, real[1])]), num_steps=2, lr=1e-3, seed=5)
    for a, b in zip(nn.ModuleList(mine).parameters(), nn.ModuleList(theirs).parameters()):
        assert torch.allclose(a, b, atol=1e-6)
