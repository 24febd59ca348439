"""fastai's DynamicUnet behind our call. Random weights stand in for ImageNet's: nothing is downloaded."""

import copy
import sys

import pytest
import torch
from networks import check_generator
from torchvision.models import ResNet18_Weights, resnet18

from colorlib.color import rgb_to_lab
from colorlib.course.blocks import DynamicUNet, cached_imagenet
from colorlib.generators import predict
from colorlib.training.weights import NETWORKS, load_generator, save_weights

EXPECTS = ResNet18_Weights.IMAGENET1K_V1.transforms()
SIZES = ((32, 32), (33, 47), (1, 1), (5, 64))


@pytest.fixture(scope="module")
def generator():
    torch.manual_seed(0)
    return DynamicUNet()


@pytest.fixture
def imagenet(tmp_path, monkeypatch):
    """A hub folder of its own with random weights in the place of ImageNet's; returns the file."""
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    cached_imagenet().parent.mkdir()
    torch.save(resnet18(weights=None).state_dict(), cached_imagenet())
    return cached_imagenet()


def test_passes_the_network_tester(generator):
    check_generator(copy.deepcopy(generator), sizes=SIZES)


def test_without_fastai_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "fastai.vision.models.unet", None)
    with pytest.raises(ImportError, match=r"colorlib\[notebooks\]"):
        DynamicUNet()


def test_the_encoder_sees_the_grey_photograph_as_torchvision_would_give_it(generator):
    seen = []
    handle = generator.encoder.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    grey = torch.arange(256, dtype=torch.uint8).reshape(1, 16, 16)
    rgb = grey.expand(3, -1, -1).contiguous()
    predict(generator, rgb_to_lab(rgb)[None, :1] / 50 - 1)
    handle.remove()
    mean, std = (torch.tensor(x)[:, None, None] for x in (EXPECTS.mean, EXPECTS.std))
    difference = (seen[0][0] * std + mean - rgb / 255).abs()
    assert seen[0].shape == (1, 3, 16, 16) and 0.03 < difference.max() < 0.035


def test_the_rest_of_the_network_is_fastais_and_sees_the_encoder(generator):
    """Every level of the encoder reaches the answer by a way of its own."""
    L = torch.rand(1, 1, 64, 64) * 2 - 1
    whole = predict(generator, L).ab
    steps = [layer for layer in generator.unet.layers[1:] if hasattr(layer, "hook")]
    assert len(steps) == 4
    for step in steps:  # zero what one decoder step gets from the encoder, and nothing else
        handle = step.bn.register_forward_hook(lambda module, given, out: torch.zeros_like(out))
        assert not torch.equal(predict(generator, L).ab, whole)
        handle.remove()
    assert torch.equal(predict(generator, L).ab, whole)


def test_cached_imagenet_weights_are_used(imagenet, capsys):
    generator = DynamicUNet(pretrained=True)
    assert not capsys.readouterr().out
    cached = torch.load(imagenet, weights_only=True)
    assert generator.pretrained
    assert torch.equal(generator.encoder[0].weight, cached["conv1.weight"])
    assert torch.equal(generator.encoder[7][1].conv2.weight, cached["layer4.1.conv2.weight"])
    assert not DynamicUNet().pretrained


def test_without_them_it_says_so_and_asks_no_network(imagenet, monkeypatch, capsys):
    imagenet.unlink()
    monkeypatch.setattr(torch.hub, "download_url_to_file", lambda *_, **__: pytest.fail("asked the network"))
    assert not DynamicUNet(pretrained=True).pretrained
    said = capsys.readouterr().out
    assert said.count("\n") == 1 and "no ImageNet weights" in said and "45 MB" in said


def test_download_only_when_asked_for(imagenet, monkeypatch):
    kept, asked = imagenet.read_bytes(), []
    imagenet.unlink()

    def fetch(url, path, hash_prefix, **_):
        asked.append((url, hash_prefix))
        imagenet.write_bytes(kept)

    monkeypatch.setattr(torch.hub, "download_url_to_file", fetch)
    assert DynamicUNet(pretrained=True, download=True).pretrained
    assert asked == [(ResNet18_Weights.IMAGENET1K_V1.url, "f37072fd")]  # torch hub checks the hash
    assert DynamicUNet(pretrained=True, download=True).pretrained and len(asked) == 1  # the second time from the cache
    with pytest.raises(ValueError, match="nothing to download"):
        DynamicUNet(download=True)


def test_a_damaged_file_is_refused(imagenet):
    imagenet.write_bytes(imagenet.read_bytes()[:-1])
    with pytest.raises(ValueError, match="is damaged"):
        DynamicUNet(pretrained=True)


def test_a_weights_file_rebuilds_it(generator, tmp_path):
    save_weights(tmp_path / "w.safetensors", generator)
    again, _ = load_generator(tmp_path / "w.safetensors")
    L = torch.rand(1, 1, 40, 33) * 2 - 1
    assert torch.equal(predict(again, L).ab, predict(generator, L).ab)


def test_a_weights_file_of_the_course_names_what_to_import(generator, tmp_path, monkeypatch):
    save_weights(tmp_path / "w.safetensors", generator)
    monkeypatch.delitem(NETWORKS, "DynamicUNet")
    with pytest.raises(ValueError, match="'DynamicUNet'.*import colorlib.course.blocks"):
        load_generator(tmp_path / "w.safetensors")


def test_a_copy_is_a_network_of_its_own(generator):
    """For averages of the weights: fastai's decoder listens to the encoder by hooks, which must not lead to the first one."""
    L = torch.rand(1, 1, 32, 32) * 2 - 1
    before, twin = predict(generator, L).ab, copy.deepcopy(generator)
    with torch.no_grad():
        for weight in twin.encoder.parameters():
            weight.zero_()
    changed = predict(twin, L).ab
    assert torch.equal(predict(generator, L).ab, before) and not torch.equal(changed, before)
    predict(generator, torch.zeros_like(L))  # another picture through the first one
    assert torch.equal(predict(twin, L).ab, changed)


def test_the_prediction_is_bounded(generator):
    strong = copy.deepcopy(generator)
    for bias in [weight for weight in strong.unet.layers[1:].parameters() if weight.shape == (2,)]:
        torch.nn.init.constant_(bias, 3.0)  # of the last convolution
    assert 0.9 < predict(strong, torch.randn(1, 1, 32, 32) * 50).ab.abs().max() <= 1


def test_takes_no_hints(generator):
    with pytest.raises(ValueError, match="takes no hints"):
        generator(torch.zeros(1, 1, 8, 8), hints=torch.zeros(1, 3, 8, 8))
