import math

import pytest
import torch

from colorlib.course.mixtures import ring


@pytest.mark.parametrize("mixture", [ring(5, radius=1.5, std=0.2), ring(3, radius=1.0, std=0.1)])
def test_samples_are_those_of_the_mixture(mixture):
    points, mode = mixture.sample_modes(50_000)
    for index, mean in enumerate(mixture.means):
        mine = points[mode == index]
        assert len(mine) == pytest.approx(50_000 / len(mixture.means), rel=0.1)
        assert torch.allclose(mine.mean(dim=0), mean, atol=0.02)
        assert mine.std(dim=0).tolist() == pytest.approx([mixture.std] * 2, rel=0.05)


def test_a_ring_is_where_it_says():
    assert torch.allclose(ring(8, radius=2.0).means.norm(dim=1), torch.tensor(2.0))
    assert torch.pdist(ring(8).means).min().item() == pytest.approx(2 * 2 * math.sin(math.pi / 8), rel=1e-5)


def test_counting_modes():
    mixture = ring(8)
    assert mixture.modes_hit(mixture.sample(2000)) == 8
    assert mixture.quality(mixture.sample(20_000)) == pytest.approx(1 - math.exp(-4.5), abs=0.003)
    one = mixture.means[:1].repeat(10, 1)
    assert mixture.modes_hit(one) == 1 and mixture.quality(one) == 1
    assert mixture.modes_hit(one, least=11) == 0
    far = torch.zeros(10, 2)  # the centre of the ring belongs to nobody
    assert mixture.modes_hit(far) == 0 and mixture.quality(far) == 0 and (mixture.nearest(far) == -1).all()
    edge = mixture.means[:1] + torch.tensor([[0.16, 0.0]])  # 3.2 standard deviations
    assert mixture.modes_hit(edge) == 0 and mixture.modes_hit(edge, within=3.3) == 1


def test_the_same_generator_draws_the_same_points():
    a, b = (ring().sample(10, torch.Generator().manual_seed(4)) for _ in range(2))
    assert torch.equal(a, b)
