import math

import pytest
import torch
import torch.nn.functional as F
from networks import check_generator, check_gradients
from torch import nn

from colorlib.course.blocks import ResidualBlock
from colorlib.generators import ResidualUNet, predict
from colorlib.generators.residual_unet import coarser_hints
from colorlib.training import fit
from colorlib.training.weights import load_generator, save_weights


def small(**arguments):
    return ResidualUNet(**({"base_channels": 8, "levels": 4} | arguments))


# ---------------------------------------------------------------------------------- the textbook block


@pytest.mark.parametrize("pre_activation", [True, False])
@pytest.mark.parametrize(
    "channels_in, channels_out, stride, same",
    [(6, 6, 1, True), (6, 8, 1, False), (6, 6, 2, False), (8, 6, 2, False)],
)
def test_shortcut_is_the_identity_where_shapes_agree_and_1x1_where_not(
    channels_in, channels_out, stride, same, pre_activation
):
    block = ResidualBlock(channels_in, channels_out, stride=stride, pre_activation=pre_activation).eval()
    x = torch.randn(2, channels_in, 9, 7)
    assert block(x).shape == (2, channels_out, math.ceil(9 / stride), math.ceil(7 / stride))
    if same:
        assert isinstance(block.shortcut, nn.Identity)
    else:
        assert block.shortcut.weight.shape == (channels_out, channels_in, 1, 1)
    # without its branch the block is its shortcut
    block.conv2.weight.data.zero_()
    expected = x if same else F.conv2d(x, block.shortcut.weight, stride=stride)
    assert torch.allclose(block(x), expected if pre_activation else F.relu(expected), atol=1e-6)


@pytest.mark.parametrize("norm", [nn.BatchNorm2d, nn.InstanceNorm2d, nn.Identity])
@pytest.mark.parametrize("pre_activation", [True, False])
def test_the_block_is_the_papers_formula(pre_activation, norm):
    block = ResidualBlock(3, 5, norm=norm, pre_activation=pre_activation)
    x = torch.randn(4, 3, 8, 8)

    def normed(y):  # written out: per channel over the batch, per channel and picture, or not at all
        if norm is nn.Identity:
            return y
        axes = (0, 2, 3) if norm is nn.BatchNorm2d else (2, 3)
        return (y - y.mean(axes, keepdim=True)) / (y.var(axes, keepdim=True, unbiased=False) + 1e-5).sqrt()

    def conv(layer, y):
        return F.conv2d(y, layer.weight, layer.bias, padding=layer.padding)

    if pre_activation:
        branch = conv(block.conv2, normed(conv(block.conv1, normed(x).clamp(min=0))).clamp(min=0))
        expected = conv(block.shortcut, x) + branch
    else:
        branch = normed(conv(block.conv2, normed(conv(block.conv1, x)).clamp(min=0)))
        expected = (conv(block.shortcut, x) + branch).clamp(min=0)
    assert torch.allclose(block(x), expected, atol=1e-5)
    check_gradients(block, lambda: block(x))


def test_gradient_passes_a_dead_branch():
    """The highway: with every branch zero the first input still gets all the gradient; a plain net: none."""
    for shortcut in (True, False):
        blocks = nn.Sequential(*(ResidualBlock(4, 4, shortcut=shortcut) for _ in range(8)))
        for block in blocks:
            block.conv2.weight.data.zero_()
        x = torch.randn(2, 4, 6, 6, requires_grad=True)
        blocks(x).sum().backward()
        assert torch.equal(x.grad, torch.full_like(x, 1.0 if shortcut else 0.0))


# ------------------------------------------------------------------------------------------- the U-Net


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"stem": 1, "levels": 2},
        {"stem": 4},
        {"norm": nn.InstanceNorm2d},
        {"norm": nn.Identity},
        {"blocks": 1},
        {"context": False},
        {"hint_channels": 3},
        {"z_channels": 2},
        {"z_channels": 2, "context": False},
        {"in_channels": 7, "out_channels": 3, "tanh": False},
    ],
    ids=str,
)
def test_every_residual_unet_passes_the_network_tester(arguments):
    # instance norm has nothing to normalise in a 1 x 1 picture, torch refuses it; the smallest level must be
    # larger
    sizes = ((32, 32), (33, 47), (1, 1), (5, 64))
    if arguments.get("norm") is nn.InstanceNorm2d:
        sizes = ((40, 40), (33, 47))
    check_generator(small(**arguments), sizes=sizes)


@pytest.mark.parametrize("arguments", [{}, {"stem": 4}, {"stem": 1}], ids=str)
def test_an_odd_picture_is_coloured_like_the_even_one_that_it_is_part_of(arguments):
    """Padding happens at the right and lower edge only, and what is cut again is only that."""
    generator = small(**arguments, context=False, levels=3)
    L = torch.rand(1, 1, 64, 64)
    whole, part = predict(generator, L).ab, predict(generator, L[..., :61, :59]).ab
    assert torch.allclose(whole[..., :16, :16], part[..., :16, :16], atol=1e-6)


def field(generator: ResidualUNet, place: int) -> tuple[int, int]:
    """First and last column that output column `place` depends on, by arithmetic, from the exit back."""
    first, last = place, place
    levels = len(generator.downs)
    blocks = generator.config["blocks"]

    def conv3(times=1):
        nonlocal first, last
        first, last = first - times, last + times

    def bilinear(factor):
        nonlocal first, last
        first, last = (math.floor((edge + 0.5) / factor - 0.5) for edge in (first, last))
        last += 1

    if generator.stem > 1:
        bilinear(generator.stem)
    conv3()  # exit
    for _ in range(levels):
        conv3()  # decoder block
        bilinear(2)
    for level in reversed(range(levels)):
        conv3(blocks if level == levels - 1 else 1)
        first, last = 2 * first, 2 * last + 1  # 2 x 2 with stride 2
    conv3()  # entry
    return generator.stem * first, generator.stem * last + generator.stem - 1


@pytest.mark.parametrize("arguments", [{}, {"stem": 4}, {"stem": 1, "levels": 3}, {"blocks": 1}], ids=str)
def test_receptive_field_by_perturbation_is_the_arithmetic_one(arguments):
    generator = small(**arguments, context=False, norm=nn.Identity).double()
    L = torch.randn(1, 1, 4, 512, dtype=torch.float64)
    for place in (250, 255):
        first, last = field(generator, place)
        before = predict(generator, L).ab[..., place]

        def moved(column):
            changed = L.clone()
            changed[..., column] += 1.0
            return not torch.equal(predict(generator, changed).ab[..., place], before)

        assert 0 < first and last < 511
        assert moved(first) and moved(last)
        assert not moved(first - 1) and not moved(last + 1)


@pytest.mark.parametrize("arguments", [{}, {"stem": 1, "levels": 2}, {"context": False}], ids=str)
def test_gradients_are_the_true_derivatives(arguments):
    """By finite differences, of input, hints, z and weights: a detach anywhere in the network is found."""
    torch.manual_seed(0)
    generator = small(**arguments, base_channels=4, hint_channels=3, z_channels=2, norm=nn.Identity).double()
    shapes = (1, 1, 9, 8), (1, 2, 9, 8), (1, 2)
    inputs = [torch.randn(*shape, dtype=torch.float64, requires_grad=True) for shape in shapes]
    mask = (torch.rand(1, 1, 9, 8) < 0.2).double()

    def ab(L, colours, z):
        return generator(L, torch.cat([mask, mask * colours], dim=1), z).ab

    assert torch.autograd.gradcheck(ab, inputs, fast_mode=True, eps=1e-7)


@pytest.mark.parametrize("norm", [nn.BatchNorm2d, nn.Identity])
@pytest.mark.parametrize("channels_out, pre_activation", [(3, True), (4, True), (4, False)])
def test_gradients_of_the_block_are_the_true_derivatives(channels_out, pre_activation, norm):
    torch.manual_seed(0)
    block = ResidualBlock(3, channels_out, norm, pre_activation)
    x = torch.randn(2, 3, 5, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(block.double(), (x,), fast_mode=True, eps=1e-7)


def test_with_context_every_pixel_matters():
    for context in (True, False):
        generator, L = small(context=context, levels=3), torch.randn(1, 1, 8, 512)
        changed = L.clone()
        changed[..., -8:] += 1.0
        near = [predict(generator, x).ab[..., :8] for x in (L, changed)]
        assert torch.equal(*near) != context


def test_hints_and_noise_reach_the_output():
    generator, L = small(hint_channels=3, z_channels=2), torch.randn(1, 1, 16, 16)
    z, hints = torch.zeros(1, 2), torch.zeros(1, 3, 16, 16)
    plain = predict(generator, L, hints=hints, z=z).ab
    assert torch.equal(plain, predict(generator, L, z=z).ab)  # no hint is the zero hint
    for y, x in ((4, 4), (5, 4), (4, 5), (15, 15)):  # at every place within the stem's block
        hinted = hints.clone()
        hinted[0, :, y, x] = torch.tensor([1.0, 0.5, -0.5])
        assert not torch.equal(plain, predict(generator, L, hints=hinted, z=z).ab)
    other = predict(generator, L, z=z + 1).ab
    assert (other - plain).abs().flatten(1).max() > 0 and (other - plain).abs().amin() >= 0
    assert not torch.equal(plain, predict(generator, L).ab)  # without z it draws one


def test_hints_are_as_strong_at_every_level_as_at_their_pixel():
    hints = torch.zeros(1, 3, 9, 8)
    hints[0, :, 0, 0] = torch.tensor([1.0, 0.5, -0.5])
    hints[0, :, 1, 3] = torch.tensor([1.0, 0.1, 0.3])
    hints[0, :, 0, 2] = torch.tensor([1.0, 0.3, 0.1])
    coarse = coarser_hints(hints, 4)
    assert coarse.shape == (1, 3, 3, 2)
    expected = torch.zeros(3, 3, 2)
    expected[:, 0, 0] = torch.tensor([1.0, 0.3, -0.1 / 3])  # by hand: the mean of the three
    assert torch.allclose(coarse[0], expected, atol=1e-6)
    assert torch.equal(coarser_hints(hints, 1), hints)


def test_it_learns_to_spread_one_hint():
    """One hinted pixel says the colour of the whole picture: learned in 80 steps, on colours never seen."""
    torch.manual_seed(0)
    generator = small(hint_channels=3, levels=3)
    optimizer = torch.optim.Adam(generator.parameters(), 5e-3)

    def pictures(num):
        L, colour = torch.rand(num, 1, 32, 32), torch.rand(num, 2) - 0.5
        hints = torch.zeros(num, 3, 32, 32)
        y, x = torch.randint(0, 32, (2, num))
        hints[torch.arange(num), :, y, x] = torch.cat([torch.ones(num, 1), colour], dim=1)
        return L, hints, colour[:, :, None, None].expand(-1, -1, 32, 32)

    for step in range(80):
        optimizer.param_groups[0]["lr"] = 5e-3 * (1 - step / 80)
        L, hints, ab_real = pictures(16)
        optimizer.zero_grad()
        F.l1_loss(generator(L, hints).ab, ab_real).backward()
        optimizer.step()
    L, hints, ab_real = pictures(32)
    assert F.l1_loss(predict(generator, L, hints).ab, ab_real) < 0.6 * ab_real.abs().mean()  # 1.0 for grey


def test_z_learns_to_choose_the_colour():
    """Two answers to one picture, told apart by z alone: a network that ignored z would end at their mean."""
    torch.manual_seed(0)
    generator = small(z_channels=1, base_channels=4, levels=3)
    L = torch.rand(8, 1, 16, 16)
    optimizer = torch.optim.Adam(generator.parameters(), 1e-2)
    z = torch.tensor([[1.0], [-1.0]]).repeat(4, 1)
    target = 0.5 * z[:, :, None, None].expand(-1, 2, 16, 16)
    for _ in range(60):
        optimizer.zero_grad()
        F.l1_loss(generator(L, z=z).ab, target).backward()
        optimizer.step()
    assert F.l1_loss(predict(generator, L, z=z).ab, target) < 0.15  # the mean's error is 0.5
    assert predict(generator, L, z=z).ab.std() > 0.3


def test_a_distribution_over_bins_beside_ab():
    prediction = predict(small(num_bins=24), torch.randn(2, 1, 33, 47))
    assert prediction.ab.shape == (2, 2, 33, 47)
    assert prediction.bins.shape == (2, 24, 9, 12)
    assert predict(small(), torch.randn(1, 1, 8, 8)).bins is None
    generator = small(num_bins=24)

    def both():
        answer = generator(torch.rand(4, 1, 32, 32))
        return torch.cat([answer.ab.flatten(), answer.bins.flatten()])

    check_gradients(generator, both)


def test_output_is_bounded_only_with_tanh():
    L = torch.randn(2, 1, 32, 32) * 50
    bounded, logits = small(), small(tanh=False)
    for generator in (bounded, logits):
        generator.exit.bias.data.fill_(3.0)
    assert predict(bounded, L).ab.abs().max() <= 1
    assert predict(logits, L).ab.abs().max() > 1


def test_predict_uses_the_running_statistics():
    """One picture alone is coloured as in a batch: batch norm's own statistics would mix the pictures."""
    generator, L = small(context=False), torch.randn(3, 1, 32, 32)
    assert torch.allclose(predict(generator, L).ab[:1], predict(generator, L[:1]).ab, atol=1e-6)


def test_half_precision():
    """Under autocast (training) and with 16-bit weights (inference), close to float32."""
    generator, L = small(hint_channels=3, z_channels=2), torch.rand(2, 1, 33, 47)
    z = torch.randn(2, 2)
    with torch.autocast("cpu", torch.bfloat16):
        generator(L, z=z).ab.float().square().mean().backward()
    exact = predict(generator, L, z=z).ab
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.allclose(predict(generator, L, z=z).ab.float(), exact, atol=0.02)
    halved = small(hint_channels=3, z_channels=2)
    halved.load_state_dict(generator.state_dict())
    halved.bfloat16()
    assert torch.allclose(predict(halved, L.bfloat16(), z=z.bfloat16()).ab.float(), exact, atol=0.05)


def test_it_learns_an_edge_and_a_region():
    """A picture whose two halves have their own lightness and colour: l1 falls far below the mean's."""
    torch.manual_seed(0)
    L = torch.full((4, 1, 32, 32), -0.5)
    L[..., 13:] = 0.5
    ab = torch.cat([L, -L], dim=1)
    history = fit(small(), iter(lambda: (L, ab), None), num_steps=60, lr=5e-3, progress=False)
    assert history.losses["l1"][0] > 0.4
    assert sum(history.losses["l1"][-5:]) / 5 < 0.06


def test_a_weights_file_rebuilds_it(tmp_path):
    generator = small(hint_channels=3, z_channels=2, num_bins=5, stem=4, norm=nn.InstanceNorm2d)
    save_weights(tmp_path / "w.safetensors", generator)
    loaded, metadata = load_generator(tmp_path / "w.safetensors")
    assert metadata["network"] == "ResidualUNet" and loaded.config == generator.config
    L, z = torch.randn(1, 1, 40, 40), torch.randn(1, 2)
    before, after = predict(generator, L, z=z), predict(loaded, L, z=z)
    assert torch.equal(before.ab, after.ab) and torch.equal(before.bins, after.bins)


@pytest.mark.parametrize(
    "arguments, words",
    [
        ({"stem": 3}, "stem is 3"),
        ({"stem": 4, "levels": 2}, "levels is 2; with stem=4 at least 3"),
        ({"levels": 0}, "levels is 0"),
        ({"blocks": 0}, "blocks is 0"),
        ({"norm": nn.GroupNorm}, "norm is"),
        ({"hint_channels": 2}, "hint_channels is 2"),
    ],
)
def test_errors_name_the_actual_value(arguments, words):
    with pytest.raises(ValueError, match=words):
        small(**arguments)
