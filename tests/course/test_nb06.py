"""What notebook 06 builds by hand gives the library's outputs, and its measures are what they are said to be."""

import copy
import math

import pytest
import torch
from torch import nn

from colorlib.course import data, nb06
from colorlib.course.blocks import ResidualBlock
from colorlib.course.seeds import seeded


@pytest.fixture(scope="module")
def taught():
    """The notebook's own classes and functions, as its scripts get them too."""
    return data.taught("06_residual_unet")


@pytest.fixture
def pairs():
    return torch.rand(6, 1, 16, 16) * 2 - 1, torch.rand(6, 2, 16, 16) - 0.5


@pytest.mark.parametrize("channels", [(8, 8), (8, 12), (1, 8)])
@pytest.mark.parametrize("residual", [True, False])
def test_block(taught, channels, residual):
    mine = taught["TaughtResidualBlock"](*channels, residual=residual)
    theirs = ResidualBlock(*channels, pre_activation=False, shortcut=residual)
    theirs.load_state_dict(mine.state_dict())  # strict: the same names and shapes
    x = torch.randn(4, channels[0], 9, 7)
    for training in (True, False):
        assert torch.allclose(mine.train(training)(x), theirs.train(training)(x), atol=1e-6)


def test_shortcut_is_the_identity_where_shapes_agree(taught):
    block = taught["zero_last_norms"](taught["TaughtResidualBlock"](8, 8))
    x = torch.rand(2, 8, 5, 5)
    assert torch.equal(block(x), x)  # F is 0, and x is not negative
    assert isinstance(taught["TaughtResidualBlock"](8, 12).shortcut, nn.Conv2d)
    same, other = (sum(p.numel() for p in taught["TaughtResidualBlock"](8, 8, kind).parameters()) for kind in (True, False))
    assert same == other


@pytest.mark.parametrize("residual", [True, False])
def test_stack_of_the_librarys_blocks(taught, pairs, residual):
    mine = taught["Stack"](8, residual, channels=4)
    theirs = copy.deepcopy(mine)
    for index, block in enumerate(mine.blocks):
        theirs.blocks[index] = ResidualBlock(4, 4, pre_activation=False, shortcut=residual)
        theirs.blocks[index].load_state_dict(block.state_dict())
    assert torch.allclose(mine(pairs[0]).ab, theirs(pairs[0]).ab, atol=1e-6)
    assert taught["gradient_by_block"](mine, pairs) == pytest.approx(taught["gradient_by_block"](theirs, pairs), abs=1e-4)


@pytest.mark.parametrize("residual", [True, False])
def test_gradient_by_block(taught, pairs, residual):
    """Against the gradients that backward leaves at the blocks' inputs; the network is left as it was."""
    network, inputs = taught["Stack"](6, residual, channels=4), []
    for block in network.blocks:
        block.register_forward_pre_hook(lambda _, given: inputs.append(given[0]))
    loss = (network(pairs[0]).ab - pairs[1]).abs().mean()
    for x in inputs:
        x.retain_grad()
    loss.backward()
    expected = [x.grad.square().sum().sqrt().log10().item() for x in inputs]
    assert len(expected) == 3
    assert taught["gradient_by_block"](network, pairs) == pytest.approx(expected, abs=1e-4)
    assert taught["orders"](expected) == abs(expected[0] - expected[-1])


def test_gradient_goes_round_a_dead_branch(taught, pairs):
    """Branches that give 0: through the shortcuts the gradient arrives whole, without them not at all."""
    for residual in (True, False):
        network = taught["zero_last_norms"](taught["Stack"](8, residual, channels=4))
        nn.init.constant_(network.stem.bias, 5.0)  # keeps the ReLUs open
        by_block = taught["gradient_by_block"](network, pairs)
        if residual:
            assert math.isfinite(by_block[0]) and by_block[0] == pytest.approx(by_block[-1], abs=1e-4)
        else:
            assert by_block[0] == -math.inf


def test_a_start_without_norm_scales_the_branch(taught, pairs):
    """At scale 0 every block is the identity on what is not negative; the network without norm is one of these."""
    network = taught["started"](8, True, *taught["STARTS"]["no norm, He"], 0.0)
    x = torch.rand(2, 16, 8, 8)
    assert all(torch.equal(block(x), x) for block in network.blocks)
    plain = nb06.without_norm(taught, 8)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in plain.modules())
    assert not any(block.residual for block in plain.blocks)


def test_residual_unet(taught, pairs):
    for pool in (True, False):
        network = taught["TaughtResidualUNet"](1, 2, width=4, levels=3, pool=pool)
        prediction = network(pairs[0])
        assert prediction.ab.shape == (6, 2, 16, 16) and prediction.ab.abs().max() <= 1
        prediction.ab.square().sum().backward()
        assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in network.encoder[0].parameters())


def test_unets_of_the_scripts(taught):
    """About the same number of parameters, and those that start at zero do."""
    made = {name: make() for name, (make, _) in nb06.unets(taught).items()}
    sizes = [sum(p.numel() for p in network.parameters()) for network in made.values()]
    assert max(sizes) < 1.25 * min(sizes)
    assert not any(block.norm2.weight.any() for block in made["residual, zero"].encoder)
    assert all(block.norm2.weight.all() for block in made["residual"].encoder)


def test_training(taught, pairs):
    """It learns, measures when it says, leaves the mode alone, and the same seed gives the same run."""
    runs = []
    for _ in range(2):
        torch.manual_seed(3)
        network = taught["Stack"](4, True, channels=4)
        runs.append(taught["train"](network, pairs, pairs, 5, 40, 1e-2, 10, batch_size=4, extra=lambda n: n.training))
    assert runs[0].steps == [0, 10, 20, 30, 40] and runs[0].errors == runs[1].errors
    assert runs[0].errors[-1] < runs[0].errors[1] and runs[0].extra == [True] * 5
    assert runs[0].training == pytest.approx(runs[0].errors, rel=0.05)  # the same pictures, in the two modes


@pytest.mark.parametrize("residual", [True, False])
def test_side_by_side(taught, pairs, residual):
    """Stacks in one network give what each gives alone, in training and in use."""
    networks = [seeded(seed, lambda: taught["Stack"](6, residual, channels=4)) for seed in range(3)]
    for network in networks:  # norms and statistics that start equal would hide whose they are
        for norm in (m for m in network.modules() if isinstance(m, nn.BatchNorm2d)):
            nn.init.uniform_(norm.weight, 0.5, 1.5)
            nn.init.normal_(norm.running_mean)
    one = nb06.side_by_side(networks)
    L = torch.rand(6, 3, 16, 16) * 2 - 1
    for training in (False, True):
        together = one.train(training)(L).ab
        for index, network in enumerate(networks):
            alone = network.train(training)(L[:, index : index + 1]).ab
            assert torch.allclose(together[:, 2 * index : 2 * index + 2], alone, atol=1e-5)


def test_training_all_is_training_each(taught):
    """The runs of `train_all` are those of `train`, seed by seed."""
    draws = torch.Generator().manual_seed(0)
    pairs = torch.rand(20, 1, 16, 16, generator=draws) * 2 - 1, torch.rand(20, 2, 16, 16, generator=draws) - 0.5
    seeds, settings = (3, 5), {"num_steps": 6, "lr": 1e-2, "every": 3, "batch_size": 4}
    made = [[seeded(seed, lambda: taught["Stack"](4, True, channels=4)) for seed in seeds] for _ in range(2)]

    def extra(network):
        return network.training, taught["gradient_by_block"](network, pairs)

    def measure(step):
        for run in together:
            taught["measure"](run, step, pairs, pairs, extra)

    together = [taught["Run"](network, [], [], [], []) for network in made[0]]
    nb06.train_all(made[0], pairs, seeds, **settings, measure=measure)
    for run, network, seed in zip(together, made[1], seeds):
        alone = taught["train"](network, pairs, pairs, seed, **settings, extra=extra)
        assert run.steps == alone.steps == [0, 3, 6]
        assert run.errors == pytest.approx(alone.errors, rel=1e-3)
        for mine, theirs in zip(run.extra, alone.extra):
            assert mine[0] and theirs[0] and mine[1] == pytest.approx(theirs[1], abs=0.02)
    assert together[0].errors != together[1].errors


def test_steps_to_and_error_at(taught):
    run = taught["Run"](nn.Identity(), [0, 10, 20, 30], [8.0, 6.0, 4.0, 5.0], [], [])
    assert taught["steps_to"](run, 5.0) == 15
    assert taught["steps_to"](run, 1.0) == 40
    assert taught["at"](run, 30) == pytest.approx(5.0) and taught["at"](run, 10) == pytest.approx(7.0)


def test_seconds_per_step_leaves_the_threads_alone(taught, pairs):
    before = torch.get_num_threads()
    cost = taught["seconds_per_step"]({str(d): lambda d=d: taught["Stack"](d, True) for d in (2, 24)}, *pairs, rounds=3)
    assert 0 < cost["2"] < cost["24"] and torch.get_num_threads() == before


def test_prediction_is_made_in_evaluation_mode(taught, pairs):
    """The prediction for one picture depends on that picture alone, and the network's mode is put back."""
    network = taught["TaughtResidualUNet"](1, 2, width=4, levels=2)
    alone, together = taught["predict"](network, pairs[0][:1]), taught["predict"](network, pairs[0])
    assert torch.allclose(alone, together[:1], atol=1e-6) and network.training
    assert not taught["predict"](network.eval(), pairs[0]).requires_grad and not network.training


def test_renewed_statistics_are_the_batchs(taught, pairs):
    network = taught["Stack"](8, True, channels=4)
    returned = taught["renew_statistics"](network, pairs[0])
    in_training = network.train()(pairs[0]).ab
    assert torch.allclose(returned, in_training, atol=1e-6)
    with torch.no_grad():
        in_use = network.eval()(pairs[0]).ab
    assert (in_training - in_use).norm() < 0.02 * in_training.norm()  # biased against unbiased variance
    assert all(norm.momentum == 0.1 for norm in network.modules() if isinstance(norm, nn.BatchNorm2d))


def test_panels_share_colours_and_one_legend():
    line = ([1, 2, 3], [[1.0, 2.0, 3.0], [3.0, 2.0, 1.0]])
    figure = nb06.line_panels({"left": {"plain": line}, "right": {"plain": line, "residual": line}}, "x", "y")
    left, right = figure.axes
    assert left.lines[0].get_color() == right.lines[0].get_color() != right.lines[1].get_color()
    assert list(left.lines[0].get_ydata()) == [2.0, 2.0, 2.0]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["plain", "residual"]
