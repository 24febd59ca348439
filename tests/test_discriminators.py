import pytest
import torch
from networks import check_gradients
from torch import nn

from colorlib.discriminators import (
    MultiScale,
    STRIDED_LAYERS,
    Critic,
    PatchDiscriminator,
    receptive_field,
)


@pytest.mark.parametrize("side", sorted(STRIDED_LAYERS))
def test_receptive_field_by_perturbation(side):
    """The oracle: the gradient of one output with respect to the input is nonzero on a square of exactly that side."""
    # no normalisation (it mixes all pixels), positive weights (so that nothing cancels)
    discriminator = PatchDiscriminator(1, 0, receptive_field=side, base_channels=1, norm=nn.Identity).double()
    for parameter in discriminator.parameters():
        parameter.data.abs_().add_(0.05)
    size = 3 * max(side, 32)
    image = torch.ones(1, 1, size, size, dtype=torch.float64, requires_grad=True)
    logits = discriminator(None, image)
    logits[0, 0, logits.shape[2] // 2, logits.shape[3] // 2].backward()
    touched = image.grad[0, 0].nonzero()
    extent = touched.max(0).values - touched.min(0).values + 1
    assert extent.tolist() == [side, side]
    assert receptive_field(discriminator) == side


@pytest.mark.parametrize("condition_channels", [0, 1, 3])
def test_gradients_and_shapes(condition_channels):
    discriminator = PatchDiscriminator(2, condition_channels, base_channels=4)
    condition, image = torch.randn(2, max(condition_channels, 1), 64, 48), torch.randn(2, 2, 64, 48)
    check_gradients(discriminator, lambda: discriminator(condition, image))
    assert discriminator(condition, image).shape == (2, 1, 6, 4)


def test_pixelgan_judges_every_pixel_alone():
    discriminator = PatchDiscriminator(2, 1, receptive_field=1, base_channels=4).eval()
    condition, image = torch.randn(1, 1, 8, 8), torch.randn(1, 2, 8, 8)
    before = discriminator(condition, image)
    image[0, :, 3, 5] += 1
    changed = (discriminator(condition, image) != before).nonzero()
    assert changed.tolist() == [[0, 0, 3, 5]]


def test_an_unconditional_discriminator_ignores_the_condition():
    discriminator, image = PatchDiscriminator(2, 0, receptive_field=16, base_channels=4).eval(), torch.randn(1, 2, 32, 32)
    assert torch.equal(discriminator(None, image), discriminator(torch.randn(1, 1, 32, 32), image))


def test_the_first_and_the_last_layer_have_no_norm():
    layers = list(PatchDiscriminator(receptive_field=70).layers)
    assert [i for i, layer in enumerate(layers) if isinstance(layer, nn.BatchNorm2d)] == [3, 6, 9]


@pytest.mark.parametrize("side", [16, 34, 70])
def test_minimum_size_is_the_least_that_works(side):
    discriminator = PatchDiscriminator(1, 0, receptive_field=side, base_channels=2, norm=nn.Identity)
    needed = discriminator.smallest
    assert discriminator(None, torch.zeros(1, 1, needed, needed)).numel() == 1
    with pytest.raises(ValueError, match=f"at least {needed}"):
        discriminator(None, torch.zeros(1, 1, needed - 1, needed))


@pytest.mark.parametrize(
    "condition, words", [(None, "shape None"), (torch.zeros(1, 1, 32, 31), r"\(1, 1, 32, 31\)")]
)
def test_a_wrong_condition_is_refused(condition, words):
    with pytest.raises(ValueError, match=words):
        PatchDiscriminator(2, 1, receptive_field=16, base_channels=2)(condition, torch.zeros(1, 2, 32, 32))


def test_an_impossible_receptive_field_is_refused():
    with pytest.raises(ValueError, match="receptive_field is 71"):
        PatchDiscriminator(receptive_field=71)


@pytest.mark.parametrize("norm", [nn.Identity, nn.InstanceNorm2d])
def test_a_critic_judges_each_picture_alone(norm):
    critic = Critic(2, 1, receptive_field=16, base_channels=8, norm=norm)
    L, ab = torch.rand(4, 1, 24, 24), torch.rand(4, 2, 24, 24)
    assert torch.allclose(critic(L, ab)[:1], critic(L[:1], ab[:1]), atol=1e-5)
    assert critic(L, ab).std() > 0.01  # and it has something to say from the start
    check_gradients(critic, lambda: critic(L, ab))


@pytest.mark.parametrize("norm", [nn.BatchNorm2d, nn.SyncBatchNorm])
def test_a_critic_refuses_batch_norm(norm):
    with pytest.raises(ValueError, match=f"norm is {norm.__name__}.*nn.InstanceNorm2d"):
        Critic(norm=norm)


def test_every_scale_judges_a_smaller_picture():
    scales = MultiScale([Critic(receptive_field=16, base_channels=4) for _ in range(2)])
    L, ab = torch.randn(3, 1, 40, 40), torch.randn(3, 2, 40, 40)
    scores = scales(L, ab)
    assert scores.shape == (3, 2, 1, 1)
    half = [torch.nn.functional.avg_pool2d(x, 2) for x in (L, ab)]
    quarter = [torch.nn.functional.avg_pool2d(x, 4) for x in (L, ab)]
    for number, pictures in enumerate((half, quarter)):
        expected = scales.critics[number](*pictures).mean((1, 2, 3))
        assert torch.allclose(scores[:, number, 0, 0], expected, atol=1e-5)
    alone = MultiScale([Critic(condition_channels=0, receptive_field=16, base_channels=4)])
    assert alone(None, ab).shape == (3, 1, 1, 1)
