import math

import pytest
import torch
import torch.nn.functional as F

from colorlib.losses import Hinge, LeastSquares, Vanilla, l1

REAL, FAKE = torch.tensor([[2.0, -1.0]]), torch.tensor([[0.5, -3.0]])


def test_vanilla_is_binary_cross_entropy():
    expected = F.binary_cross_entropy(torch.sigmoid(REAL), torch.ones_like(REAL))
    expected += F.binary_cross_entropy(torch.sigmoid(FAKE), torch.zeros_like(FAKE))
    assert torch.allclose(Vanilla().discriminator(REAL, FAKE), expected)
    assert torch.allclose(
        Vanilla().generator(FAKE), F.binary_cross_entropy(torch.sigmoid(FAKE), torch.ones_like(FAKE))
    )
    assert torch.allclose(Vanilla(saturating=True).generator(FAKE), torch.log(1 - torch.sigmoid(FAKE)).mean())


def test_vanilla_at_the_equilibrium_is_log_4():
    zero = torch.zeros(3)
    assert Vanilla().discriminator(zero, zero).item() == pytest.approx(math.log(4))


def test_vanilla_survives_large_logits():
    extreme = torch.tensor([1e4, -1e4])
    assert torch.isfinite(Vanilla().discriminator(extreme, extreme))


def test_least_squares_and_hinge_by_hand():
    assert LeastSquares().discriminator(REAL, FAKE).item() == pytest.approx(0.5 * (1 + 4) / 2 + 0.5 * (0.25 + 9) / 2)
    assert LeastSquares().generator(FAKE).item() == pytest.approx(0.5 * (0.25 + 16) / 2)
    assert Hinge().discriminator(REAL, FAKE).item() == pytest.approx((0 + 2) / 2 + (1.5 + 0) / 2)
    assert Hinge().generator(FAKE).item() == pytest.approx(1.25)


@pytest.mark.parametrize("loss", [Vanilla(), Vanilla(saturating=True), LeastSquares(), Hinge()], ids=repr)
def test_each_network_gains_by_what_the_other_loses(loss):
    right = loss.discriminator(torch.full((4,), 1.0), torch.full((4,), -1.0))
    wrong = loss.discriminator(torch.full((4,), -1.0), torch.full((4,), 1.0))
    assert right < wrong
    assert loss.generator(torch.full((4,), 0.9)) < loss.generator(torch.full((4,), -0.9))


def test_saturating_loss_has_the_small_gradient_while_the_discriminator_wins():
    gradients = []
    for loss in (Vanilla(saturating=True), Vanilla()):
        logits = torch.full((1,), -5.0, requires_grad=True)
        loss.generator(logits).backward()
        gradients.append(abs(logits.grad.item()))
    assert gradients[0] == pytest.approx(1 / (1 + math.exp(5)), rel=1e-4)
    assert gradients[1] == pytest.approx(1 / (1 + math.exp(-5)), rel=1e-4)


def test_l1_refuses_to_broadcast():
    assert l1(torch.ones(2, 2, 3, 3), torch.zeros(2, 2, 3, 3)).item() == 1
    with pytest.raises(ValueError, match=r"\(2, 1, 3, 3\)"):
        l1(torch.ones(2, 1, 3, 3), torch.zeros(2, 2, 3, 3))
