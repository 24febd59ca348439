"""What notebook 04 builds by hand gives the library's outputs with the same weights."""

import copy
from pathlib import Path

import pytest
import torch
from taught import taught_in

from colorlib.discriminators import STRIDED_LAYERS, PatchDiscriminator, receptive_field
from colorlib.generators import UNet
from colorlib.losses import Vanilla
from colorlib.training import update_discriminator, update_generator

NOTEBOOK = Path(__file__).resolve().parents[2] / "notebooks" / "04_pix2pix.ipynb"


@pytest.fixture(scope="module")
def taught():
    return taught_in(NOTEBOOK)


@pytest.mark.parametrize("channels, levels", [((1, 2), 5), ((3, 3), 3), ((16, 3), 6), ((1, 16), 2)])
@pytest.mark.parametrize("training", [True, False])
def test_unet(taught, channels, levels, training):
    mine = taught["TaughtUNet"](*channels, width=4, levels=levels)
    theirs = UNet(*channels, base_channels=4, levels=levels)
    theirs.load_state_dict(mine.state_dict())  # strict: the same names and shapes
    x = torch.randn(3, channels[0], 64, 64)
    outputs = []
    for network in (mine, theirs):
        torch.manual_seed(1)  # the same dropout
        outputs.append(network.train(training)(x))
    assert torch.allclose(outputs[0], outputs[1].ab, atol=1e-6)
    assert levels == 2 or training != torch.equal(outputs[0], mine(x))  # dropout acts in training only


@pytest.mark.parametrize("field", [field for field in STRIDED_LAYERS if field > 1])
def test_patch_discriminator(taught, field):
    mine = taught["TaughtPatchDiscriminator"](channels=3, width=4, num_strided=STRIDED_LAYERS[field])
    theirs = PatchDiscriminator(receptive_field=field, base_channels=4)
    theirs.load_state_dict(mine.state_dict())
    L, ab = torch.randn(2, 1, 128, 128), torch.randn(2, 2, 128, 128)
    assert torch.allclose(mine.eval()(L, ab), theirs.eval()(L, ab), atol=1e-6)
    assert receptive_field(mine) == field


def test_one_update(taught):
    generator = UNet(base_channels=4, levels=4, dropout=0.0)
    discriminator = PatchDiscriminator(receptive_field=16, base_channels=4)
    twins = copy.deepcopy((generator, discriminator))
    L, ab = torch.randn(4, 1, 32, 32), torch.rand(4, 2, 32, 32) - 0.5

    def adam(network):
        return torch.optim.Adam(network.parameters(), lr=2e-4, betas=(0.5, 0.999))

    taught["one_update"](generator, discriminator, adam(generator), adam(discriminator), L, ab)
    optimizer_g, optimizer_d = map(adam, twins)
    fake = twins[0](L).ab
    update_discriminator(twins[1], optimizer_d, Vanilla(), L, ab, fake)
    update_generator(twins[1], optimizer_g, Vanilla(), L, ab, fake, lambda_l1=100.0)
    for mine, theirs in zip((generator, discriminator), twins):
        for a, b in zip(mine.parameters(), theirs.parameters()):
            assert torch.allclose(a, b, atol=1e-6)
