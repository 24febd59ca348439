"""Every metric against an independent oracle: scipy's matrix root, closed forms, probabilities worked out by hand."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from colorlib.course import features as fm


def frechet_by_scipy(x, y):
    """Equation 6 of Heusel et al. with a true matrix root (torchmetrics takes eigenvalues)."""
    from scipy.linalg import sqrtm

    x, y = x.double().numpy(), y.double().numpy()
    s, t = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    return float(((x.mean(0) - y.mean(0)) ** 2).sum() + np.trace(s + t - 2 * sqrtm(s @ t).real))


@pytest.mark.parametrize("n, m, d", [(200, 200, 5), (50, 300, 17), (40, 41, 30)])
def test_frechet_distance_agrees_with_scipys_matrix_root(n, m, d):
    torch.manual_seed(n)
    mix = torch.randn(d, d)
    x, y = torch.randn(n, d), torch.randn(m, d) @ mix + torch.randn(d)
    assert fm.frechet_distance(x, y) == pytest.approx(frechet_by_scipy(x, y), rel=1e-6)
    assert fm.frechet_distance(y, x) == pytest.approx(fm.frechet_distance(x, y), rel=1e-6)


def exactly(mean, deviation, n=400):
    """Features whose sample mean and (diagonal) sample covariance are exactly these."""
    x = torch.randn(n, len(mean), dtype=torch.float64)
    x = x - x.mean(0)
    q = torch.linalg.qr(x)[0] * (n - 1) ** 0.5  # covariance: the identity
    return q * torch.tensor(deviation, dtype=torch.float64) + torch.tensor(mean, dtype=torch.float64)


def test_frechet_distance_of_known_gaussians_in_closed_form():
    """With diagonal covariances: sum of (difference of means)^2 + (difference of deviations)^2."""
    x, y = exactly([0.0, 1.0, 2.0], [1.0, 2.0, 3.0]), exactly([0.0, 3.0, 2.5], [4.0, 2.0, 1.0])
    assert fm.frechet_distance(x, y) == pytest.approx(4 + 0.25 + 9 + 4, rel=1e-9)
    assert fm.frechet_distance(x, x) == pytest.approx(0, abs=1e-9)


def test_frechet_distance_sees_correlations():
    """Equal means and deviations of every feature, another correlation: not 0, as per-dimension deviations would say."""
    x = exactly([0.0, 0.0], [1.0, 1.0])
    y = x @ torch.tensor([[1.0, 0.8], [0.0, 0.6]], dtype=torch.float64)  # covariance [[1, .8], [.8, 1]]
    expected = 4 - 2 * (math.sqrt(1.8) + math.sqrt(0.2))
    assert fm.frechet_distance(x, y) == pytest.approx(expected, rel=1e-9)


def test_frechet_distance_with_fewer_pictures_than_features_is_finite_and_too_large():
    torch.manual_seed(0)
    near, far = (fm.frechet_distance(torch.randn(n, 40), torch.randn(n, 40)) for n in (4000, 20))
    assert math.isfinite(far) and far > 20 * near > 0


@pytest.mark.parametrize("x, y", [(torch.zeros(3, 2), torch.zeros(3, 3)), (torch.zeros(1, 2), torch.zeros(3, 2)),
                                  (torch.zeros(3, 2, 1), torch.zeros(3, 2))])
def test_frechet_distance_refuses_other_shapes(x, y):
    with pytest.raises(ValueError, match="at least 2"):
        fm.frechet_distance(x, y)


def test_values_that_are_not_finite_are_refused():
    bad = torch.full((4, 3), math.nan)
    with pytest.raises(ValueError, match="not finite"):
        fm.frechet_distance(torch.zeros(4, 3), bad)
    with pytest.raises(ValueError, match="not finite"):
        fm.inception_score(bad)


def test_inception_score_of_given_probabilities():
    """Two pictures: (1/2, 1/2, 0) and (0, 1/2, 1/2); the mean is (1/4, 1/2, 1/4); each KL is log(2) / 2."""
    logits = torch.tensor([[0.0, 0.0, -90.0], [-90.0, 0.0, 0.0]])
    assert fm.inception_score(logits) == pytest.approx(math.sqrt(2), rel=1e-9)


def test_inception_score_by_hand_on_uneven_answers():
    p = torch.tensor([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.25, 0.25, 0.5], [0.6, 0.3, 0.1]], dtype=torch.float64)
    mean = [sum(row[k] for row in p.tolist()) / 4 for k in range(3)]
    kl = [sum(q * math.log(q / m) for q, m in zip(row, mean)) for row in p.tolist()]
    assert fm.inception_score(p.log() + 5) == pytest.approx(math.exp(sum(kl) / 4), rel=1e-9)


def test_inception_score_lies_between_one_and_the_number_of_classes():
    assert fm.inception_score(torch.zeros(30, 7)) == pytest.approx(1)
    assert fm.inception_score(60 * torch.eye(7).repeat(5, 1)) == pytest.approx(7)
    assert fm.inception_score(60 * torch.eye(100)[:4]) == pytest.approx(4)  # four pictures, a hundred classes


def test_inception_score_is_split_and_says_the_same_twice():
    logits = 60 * torch.eye(2).repeat(10, 1)
    before = torch.random.get_rng_state()
    pairs = [fm.inception_score(logits, num_splits=10, seed=seed) for seed in (1, 1, 2, 3, 4)]
    assert torch.equal(before, torch.random.get_rng_state())
    assert pairs[0] == pairs[1] and len(set(pairs)) > 1  # which pictures meet is drawn
    assert all(1 <= score <= 2 for score in pairs) and fm.inception_score(logits) == pytest.approx(2)
    with pytest.raises(ValueError, match="in every split"):
        fm.inception_score(logits, num_splits=21)


def test_extract_is_in_evaluation_mode_and_puts_every_mode_back():
    network = nn.Sequential(nn.Flatten(), nn.Linear(12, 4), nn.BatchNorm1d(4), nn.Dropout(0.5))
    network[2].eval()
    modes, before = [m.training for m in network.modules()], network[2].running_mean.clone()
    pictures = torch.randn(7, 3, 2, 2)
    found = fm.extract(network, pictures, batch_size=3)
    alone = torch.cat([fm.extract(network, picture[None]) for picture in pictures])
    assert found.shape == (7, 4) and torch.allclose(found, alone, atol=1e-6)  # no picture hangs on its batch
    assert [m.training for m in network.modules()] == modes and torch.equal(network[2].running_mean, before)
    found.requires_grad_().sum().backward()  # not an inference tensor


# the networks of others: nothing is fetched


@pytest.fixture
def hub(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", lambda *_, **__: pytest.fail("something was fetched"))
    (tmp_path / "checkpoints").mkdir()
    return tmp_path / "checkpoints"


@pytest.mark.parametrize("load", [fm.load_inception, fm.load_lpips])
def test_networks_of_others_only_from_the_cache(hub, monkeypatch, load):
    monkeypatch.setattr(fm.importlib.util, "find_spec", lambda _: object())
    assert load() is None


def test_inception_that_is_asked_for_says_what_it_needs(hub, monkeypatch):
    monkeypatch.setattr(fm.importlib.util, "find_spec", lambda _: None)
    assert fm.load_inception() is None
    with pytest.raises(ModuleNotFoundError, match="pip install torch-fidelity"):
        fm.load_inception(download=True)


def test_ready_states_the_size_before_it_allows_a_download(hub, capsys):
    assert not fm._ready(*fm.ALEXNET, download=False) and not capsys.readouterr().err
    assert fm._ready(*fm.ALEXNET, download=True)
    assert "244 MB" in capsys.readouterr().err


def test_ready_finds_a_file(hub):
    (hub / "x.pth").write_bytes(b"abc")
    assert fm._ready("x.pth", 1, download=False)


@pytest.fixture(scope="module")
def lpips_network():
    """As `load_lpips` builds it, with an AlexNet that was not trained: the formula is what is tested."""
    import torchvision

    patch, alexnet = pytest.MonkeyPatch(), torchvision.models.alexnet
    patch.setattr(torchvision.models, "alexnet", lambda weights=None: alexnet(weights=None))
    patch.setattr(fm, "_ready", lambda *_: True)
    try:
        yield fm.load_lpips()
    finally:
        patch.undo()


def test_lpips_is_equation_1_written_out(lpips_network):
    torch.manual_seed(0)
    a, b = torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8)
    net = lpips_network.net
    shift, scale = torch.tensor([-0.030, -0.088, -0.188]), torch.tensor([0.458, 0.448, 0.450])
    total, layers = 0.0, [[], []]
    for kept, rgb in zip(layers, (a, b)):
        x = ((rgb.float() / 127.5 - 1 - shift[:, None, None]) / scale[:, None, None])[None]
        for part in (net.net.slice1, net.net.slice2, net.net.slice3, net.net.slice4, net.net.slice5):
            x = part(x)
            kept.append(x[0] / x[0].norm(dim=0))
    for first, second, lin in zip(*layers, net.lins):
        weights = lin.model[-1].weight.flatten()
        total += ((first - second).square() * weights[:, None, None]).sum(0).mean().item()
    assert fm.lpips(a, b, lpips_network) == pytest.approx(total, rel=1e-4)
    assert fm.lpips(b, a, lpips_network) == pytest.approx(total, rel=1e-4)


def test_lpips_of_a_batch_is_the_mean_and_of_equals_zero(lpips_network):
    torch.manual_seed(1)
    a, b = torch.randint(0, 256, (2, 3, 3, 40, 48), dtype=torch.uint8)
    alone = [fm.lpips(x, y, lpips_network) for x, y in zip(a, b)]
    assert fm.lpips(a, b, lpips_network) == pytest.approx(sum(alone) / 3, rel=1e-4)
    assert fm.lpips(a, a, lpips_network) == 0


@pytest.mark.parametrize("a, b", [(torch.zeros(3, 40, 40), torch.zeros(3, 40, 40)),
                                  (torch.zeros(3, 40, 40, dtype=torch.uint8), torch.zeros(3, 40, 41, dtype=torch.uint8)),
                                  (torch.zeros(40, 40, 3, dtype=torch.uint8), torch.zeros(40, 40, 3, dtype=torch.uint8))])
def test_lpips_refuses_what_it_cannot_compare(a, b):
    with pytest.raises(ValueError, match="uint8"):
        fm.lpips(a, b, nn.Identity())
