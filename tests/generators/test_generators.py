import pytest
import torch
from networks import check_generator
from torch import nn

from colorlib.generators import Prediction, UNet, num_parameters, predict


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"skips": False},
        {"norm": nn.InstanceNorm2d, "levels": 3},
        {"norm": nn.Identity},
        {"hint_channels": 3},
        {"z_channels": 2},
        {"in_channels": 7, "out_channels": 3, "tanh": False, "levels": 2},
    ],
    ids=str,
)
def test_every_unet_passes_the_network_tester(arguments):
    # instance norm has nothing to normalise in a 1 x 1 picture, torch refuses it; the smallest level must be larger
    sizes = ((40, 40), (33, 47)) if arguments.get("norm") is nn.InstanceNorm2d else ((32, 32), (33, 47), (1, 1), (5, 64))
    check_generator(UNet(**({"base_channels": 4, "levels": 5, "dropout": 0.0} | arguments)), sizes=sizes)


def test_the_papers_network_has_its_54_million_parameters():
    with torch.device("meta"):
        # the authors' code has 54,413,955; ours has a bias too in the two encoder layers without a norm
        assert num_parameters(UNet(in_channels=3, out_channels=3)) == 54_413_955 + 64 + 512


def test_output_is_bounded_only_with_tanh():
    L = torch.randn(2, 1, 32, 32) * 50
    bounded, logits = UNet(base_channels=4, levels=3), UNet(base_channels=4, levels=3, tanh=False)
    for generator in (bounded, logits):
        generator.ups[-1].conv.bias.data.fill_(3.0)
    assert predict(bounded, L).ab.abs().max() <= 1
    assert predict(logits, L).ab.abs().max() > 1


def test_a_skip_carries_detail_past_the_bottleneck():
    """Zeroing the bottleneck's output leaves a U-Net its fine detail, and a network without skips nothing."""
    for skips in (True, False):
        generator = UNet(base_channels=4, levels=4, skips=skips, dropout=0.0).eval()
        generator.ups[0].conv.weight.data.zero_()
        ab = predict(generator, torch.randn(1, 1, 32, 32)).ab
        # inside the picture: the zero padding of the outermost layers draws a frame with or without skips
        inside = ab[..., 8:-8, 8:-8]
        assert (inside.std(dim=(2, 3)).max().item() > 1e-6) == skips


def test_dropout_is_noise_only_when_asked():
    generator, L = UNet(base_channels=4, levels=5, dropout=0.5), torch.randn(1, 1, 32, 32)
    assert torch.equal(predict(generator, L).ab, predict(generator, L).ab)
    generator.use_noise()
    assert not torch.equal(predict(generator, L).ab, predict(generator, L).ab)
    generator.use_noise(False)
    assert torch.equal(predict(generator, L).ab, predict(generator, L).ab)


def test_hints_and_noise_reach_the_output():
    generator = UNet(base_channels=4, levels=3, hint_channels=3, z_channels=2, dropout=0.0).eval()
    L, z = torch.randn(1, 1, 16, 16), torch.zeros(1, 2)
    hints = torch.zeros(1, 3, 16, 16)
    plain = predict(generator, L, hints=hints, z=z).ab
    assert torch.equal(plain, predict(generator, L, z=z).ab)  # no hint is the zero hint
    hints[0, :, 4, 4] = torch.tensor([1.0, 0.5, -0.5])
    assert not torch.equal(plain, predict(generator, L, hints=hints, z=z).ab)
    assert not torch.equal(plain, predict(generator, L, z=z + 1).ab)


@pytest.mark.parametrize(
    "arguments, call, words",
    [
        ({"levels": 1}, None, "levels is 1"),
        ({"norm": nn.GroupNorm}, None, "norm is"),
        ({"hint_channels": 2}, None, "hint_channels is 2"),
        ({}, {"L": torch.zeros(1, 3, 8, 8)}, r"\(1, 3, 8, 8\)"),
        ({}, {"L": torch.zeros(1, 8, 8)}, r"\(1, 8, 8\)"),
        ({}, {"L": torch.zeros(1, 1, 8, 8), "hints": torch.zeros(1, 3, 8, 8)}, "takes no hints"),
        ({}, {"L": torch.zeros(1, 1, 8, 8), "z": torch.zeros(1, 2)}, "takes no z"),
        ({"hint_channels": 3}, {"L": torch.zeros(1, 1, 8, 8), "hints": torch.zeros(1, 3, 4, 8)}, r"\(1, 3, 4, 8\)"),
        ({"z_channels": 2}, {"L": torch.zeros(1, 1, 8, 8), "z": torch.zeros(1, 3)}, r"\(1, 3\)"),
    ],
)
def test_errors_name_the_actual_value(arguments, call, words):
    with pytest.raises(ValueError, match=words):
        generator = UNet(**({"base_channels": 2, "levels": 3} | arguments))
        generator(**call)


def test_prediction_without_bins():
    assert Prediction(torch.zeros(1)).bins is None


def test_predict_leaves_a_frozen_norm_frozen():
    generator = UNet(base_channels=4, levels=3).train()
    norms = [module for module in generator.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    for norm in norms:
        norm.eval()
    predict(generator, torch.zeros(1, 1, 16, 16))
    assert norms and not any(norm.training for norm in norms) and generator.training
