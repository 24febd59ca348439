"""Metrics of pictures by the features of a network: Frechet distance, Inception Score and LPIPS, all of torchmetrics.

    rgb -> network -> features (N, D) -> frechet_distance(of the real ones, of the others)
    rgb -> network -> logits (N, K)   -> inception_score(logits)

With Inception v3 and its weights of 2015 (`load_inception`) the two are FID and IS; with any other network they are
not, and compare with no published numbers. LPIPS is LPIPS with its own weights only (`load_lpips`).
"""

import importlib.util
import sys
import warnings
from pathlib import Path

import torch
from torch import Tensor, nn

from colorlib.generators import evaluating

# name in torch.hub's cache, and megabytes
INCEPTION = ("weights-inception-2015-12-05-6726825d.pth", 96)
ALEXNET = ("alexnet-owt-7be5be79.pth", 244)


def extract(network: nn.Module, rgb: Tensor, batch_size: int = 64) -> Tensor:
    """The outputs (N, D), on the CPU, of a network in evaluation mode for pictures (N, ...), batch by batch. The
    network itself brings them to its size and range, as Inception's does."""
    with evaluating(network):
        found = [network(part).cpu() for part in rgb.split(batch_size)]
    return torch.cat(found).clone()  # a plain tensor again, outside of inference mode


def frechet_distance(x: Tensor, y: Tensor) -> float:
    """Frechet distance of two sets of features, through torchmetrics: Wasserstein-2, squared, of the Gaussians with
    their means and covariances, |m_x - m_y|^2 + tr(S_x + S_y - 2 (S_x S_y)^(1/2)), in the features' units squared.

    x (N, D) and y (M, D) are finite and have at least two rows; else ValueError. Of few pictures it comes out too
    large, all the more the more features there are: compare equal N, and N well above D.

    Reference: Heusel et al. 2017, GANs trained by a two time-scale update rule, eq. 6 (there with Inception: FID).
    """
    from torchmetrics.image.fid import FrechetInceptionDistance

    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1] or min(len(x), len(y)) < 2:
        raise ValueError(f"features of shapes {tuple(x.shape)} and {tuple(y.shape)}; needed are (N, D) and (M, D), "
                         "N and M at least 2: flatten what the network returns")
    _check_finite(x, y)
    features = nn.Identity()  # a network whose input are the features themselves
    features.num_features = x.shape[1]
    metric = FrechetInceptionDistance(feature=features)
    metric.update(x.double(), real=True)
    metric.update(y.double(), real=False)
    return max(0.0, metric.compute().item())


def inception_score(logits: Tensor, num_splits: int = 1, seed: int = 0) -> float:
    """exp of the mean KL divergence of a classifier's predictions from their mean, through torchmetrics.

    It lies between 1 and min(K, N): high where every picture has a clear class and all classes occur. logits are
    (N, K), before softmax, finite. The score is the mean over num_splits random groups of pictures (by `seed`), each
    with a marginal of its own; the usual 10 are for 50,000 pictures. ValueError for more splits than pictures.

    Reference: Salimans et al. 2016, Improved techniques for training GANs, section 4 (there with Inception).
    """
    from torchmetrics.image.inception import InceptionScore

    if logits.ndim != 2 or not 1 <= num_splits <= len(logits):
        raise ValueError(f"logits of shape {tuple(logits.shape)} in {num_splits} splits; needed is (N, K) and at least "
                         "one picture in every split")
    _check_finite(logits)
    with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
        warnings.simplefilter("ignore")  # that it keeps all logits, and that one split has no deviation
        torch.manual_seed(seed)
        metric = InceptionScore(feature=nn.Identity(), splits=num_splits)
        metric.update(logits.double())
        return metric.compute()[0].item()


def lpips(rgb_a: Tensor, rgb_b: Tensor, network: nn.Module) -> float:
    """Learned perceptual image patch similarity, through torchmetrics; despite its name a distance.

    Both are uint8 (3, H, W), or batches (N, 3, H, W), of one shape, with sides of at least 32; else ValueError. The
    network comes from `load_lpips`. Returns 0 (equal) to about 1, the mean over a batch.

    Reference: Zhang et al. 2018, The unreasonable effectiveness of deep features as a perceptual metric, eq. 1.
    """
    for rgb in (rgb_a, rgb_b):
        if rgb.dtype != torch.uint8 or rgb.ndim not in (3, 4) or rgb.shape[-3] != 3 or rgb.shape != rgb_a.shape:
            raise ValueError(f"pictures of shapes {tuple(rgb_a.shape)} and {tuple(rgb_b.shape)}, {rgb.dtype}; needed "
                             "are two of one shape, uint8 (3, H, W) or (N, 3, H, W)")
    first, second = (rgb.reshape(-1, *rgb.shape[-3:]).float() / 255 for rgb in (rgb_a, rgb_b))
    with torch.inference_mode():
        return network(first, second).item()


def load_inception(output: str = "2048", download: bool = False) -> nn.Module | None:
    """The network of FID and IS: torch-fidelity's Inception v3, uint8 (B, 3, H, W) -> (B, D); it resizes to 299 x 299.
    `output` is "2048", the features of FID, or "logits_unbiased", the logits of IS. With download, weights that
    torch.hub's cache lacks are fetched (96 MB; ModuleNotFoundError without torch-fidelity); otherwise None without
    them."""
    if importlib.util.find_spec("torch_fidelity") is None:
        if download:
            raise ModuleNotFoundError("Inception v3 needs the package torch-fidelity: pip install torch-fidelity")
        return None
    if not _ready(*INCEPTION, download):
        return None
    from torchmetrics.image.fid import NoTrainInceptionV3

    return NoTrainInceptionV3(name="inception-v3-compat", features_list=[output])


def load_lpips(download: bool = False) -> nn.Module | None:
    """The network of `lpips`: torchvision's AlexNet, with torchmetrics' weights of its layers. With download, AlexNet's
    weights (244 MB) are fetched where torch.hub's cache lacks them; otherwise None without them."""
    if not _ready(*ALEXNET, download):
        return None
    from torchmetrics.image.lpip import LearnedPerceptualImagePatchSimilarity

    return LearnedPerceptualImagePatchSimilarity(net_type="alex", normalize=True)


def _ready(name: str, megabytes: int, download: bool) -> bool:
    """Whether torch.hub's cache holds the file, or may fetch it (and checks it against the hash in its name)."""
    there = (Path(torch.hub.get_dir()) / "checkpoints" / name).is_file()
    if download and not there:
        print(f"{name}: {megabytes} MB are fetched into torch.hub's cache", file=sys.stderr)
    return there or download


def _check_finite(*tensors: Tensor) -> None:
    if not all(torch.isfinite(tensor).all() for tensor in tensors):
        raise ValueError("the network's outputs contain values that are not finite; find the NaN before measuring them")
