"""Two baselines of notebook 01: colour transfer, which learns nothing, and regression by a small network."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from colorlib.color import AB_SCALE
from colorlib.training.loop import run

_CHUNK = 1 << 16  # pixels compared with all samples at a time


def colour_transfer(L: Tensor, reference_L: Tensor, reference_ab: Tensor, *, num_samples: int = 256, window: int = 5,
                    seed: int = 0) -> Tensor:
    """Give every pixel the colour of the reference pixel that is most like it in lightness and texture.

    The reference's lightness is first shifted and stretched to the mean and deviation of the picture's. Then
    `num_samples` of its pixels (rounded to whole cells of a grid, one random pixel in each) represent its colours.
    Similarity is the sum of squared differences in lightness and in local standard deviation.

    Args:
        L: pictures to colour, (B, 1, H, W), L / 50 - 1.
        reference_L, reference_ab: one reference for each, (B, 1, h, w) of any size, and its ab / 110, (B, 2, h, w).
        window: side of the neighbourhood whose deviation is the texture, odd.

    Returns ab / 110, (B, 2, H, W). Raises ValueError for shapes that do not belong together, or an even window.

    Reference: Welsh, Ashikhmin, Mueller 2002, Transferring color to greyscale images, section 3 (global matching).
    Deviation: they work in the space l-alpha-beta, we in Lab, as everywhere in this library.
    """
    batch = L.shape[0]
    if L.dim() != 4 or L.shape[1] != 1 or reference_L.shape[:2] != (batch, 1):
        raise ValueError(f"L has shape {tuple(L.shape)} and reference_L {tuple(reference_L.shape)}; needed are "
                         "(B, 1, H, W) and (B, 1, h, w): one reference for each picture (expand a single one)")
    if reference_ab.shape != (needed := (batch, 2, *reference_L.shape[2:])):
        raise ValueError(f"reference_ab has shape {tuple(reference_ab.shape)}; needed is {needed}")
    if window < 1 or window % 2 == 0:
        raise ValueError(f"window is {window}; it must be odd, so that it has a middle")
    remapped = remap_lightness(reference_L, L)
    features = torch.cat([L, texture(L, window)], dim=1).flatten(2).transpose(1, 2)  # (B, H W, 2)
    offered = torch.cat([remapped, texture(remapped, window)], dim=1).flatten(2).transpose(1, 2)  # (B, h w, 2)
    places = jittered_grid(*reference_L.shape[2:], num_samples, seed).to(L.device)  # (K,)
    samples, colours = offered[:, places], reference_ab.flatten(2)[:, :, places]  # (B, K, 2), (B, 2, K)
    ab = torch.empty(batch, 2, features.shape[1], device=L.device, dtype=reference_ab.dtype)
    for picture in range(batch):
        for start in range(0, features.shape[1], _CHUNK):
            nearest = torch.cdist(features[picture, start : start + _CHUNK], samples[picture]).argmin(1)
            ab[picture, :, start : start + _CHUNK] = colours[picture][:, nearest]
    return ab.unflatten(2, L.shape[2:])


def remap_lightness(L: Tensor, like: Tensor) -> Tensor:
    """Bring each picture's lightness to the mean and deviation of another's; (B, 1, ., .) both."""
    mean, deviation = L.mean((1, 2, 3), keepdim=True), L.std((1, 2, 3), keepdim=True, correction=0)
    to_mean = like.mean((1, 2, 3), keepdim=True)
    to_deviation = like.std((1, 2, 3), keepdim=True, correction=0)
    return (L - mean) / deviation.clamp(min=1e-6) * to_deviation + to_mean


def texture(L: Tensor, window: int = 5) -> Tensor:
    """Standard deviation of lightness in the window around every pixel; (B, 1, H, W) -> the same shape."""
    padded = F.pad(L, (window // 2,) * 4, mode="replicate")
    # around the mean of the picture: the difference of two squares loses its digits far from zero
    padded = padded - L.mean((2, 3), keepdim=True)
    mean, square = F.avg_pool2d(padded, window, stride=1), F.avg_pool2d(padded.square(), window, stride=1)
    return (square - mean.square()).clamp(min=0).sqrt()


def jittered_grid(height: int, width: int, num: int, seed: int) -> Tensor:
    """Flat indices (K,) of pixels, one at a random place in each cell of a grid of at least `num`."""
    columns = max(1, round((num * width / height) ** 0.5))
    rows = -(-num // columns)
    random = torch.rand(2, rows, columns, generator=torch.Generator().manual_seed(seed))
    y = ((torch.arange(rows)[:, None] + random[0]) / rows * height).long().clamp(max=height - 1)
    x = ((torch.arange(columns)[None, :] + random[1]) / columns * width).long().clamp(max=width - 1)
    return (y * width + x).flatten()


def most_similar(L: Tensor, pool_L: Tensor, side: int = 8) -> Tensor:
    """For each picture L (B, 1, H, W) the index (B,) of the one in pool_L (N, 1, h, w) whose grey thumbnail of `side`
    pixels, brought to mean 0 and length 1, is most like its own."""
    def thumbnails(pictures: Tensor) -> Tensor:
        small = F.adaptive_avg_pool2d(pictures, side).flatten(1)
        return F.normalize(small - small.mean(1, keepdim=True), dim=1)

    return (thumbnails(L) @ thumbnails(pool_L).T).argmax(1)


class SmallCNN(nn.Sequential):
    """Five 3x3 convolutions at half the picture's size, dilated so that every pixel sees 42 x 42 around it.
    out_channels is 2 for ab, 3 for RGB; width is the channels of each layer."""

    def __init__(self, out_channels: int = 2, width: int = 24) -> None:
        layers, channels = [nn.PixelUnshuffle(2)], 4  # (B, 1, H, W) -> (B, 4, H / 2, W / 2)
        for dilation in (1, 2, 4, 2, 1):
            layers += [nn.Conv2d(channels, width, 3, padding=dilation, dilation=dilation, bias=False),
                       nn.BatchNorm2d(width), nn.ReLU()]
            channels = width
        super().__init__(*layers, nn.Conv2d(width, 4 * out_channels, 1), nn.PixelShuffle(2), nn.Tanh())


def regress(network: nn.Module, L: Tensor, target: Tensor, loss: Callable[[Tensor, Tensor], Tensor], *, num_steps: int,
            seed: int, lr: float = 3e-3, watch: Callable[[nn.Module], float] | None = None,
            checkpoints: int = 4) -> list[float]:
    """Make `loss(network(L), target)` small: Adam, batches of 16, lr in a straight line to 0. The network is left in
    evaluation mode. L (N, 1, H, W) and target (N, C, H, W) are the training pictures; seed is of their order. Returns
    what `watch` returned for the network at `checkpoints` equal distances, the last after the end."""
    generator, seen = torch.Generator().manual_seed(seed), []
    optimizer = torch.optim.Adam(network.parameters(), lr)

    def step(k: int) -> dict[str, Tensor]:
        optimizer.param_groups[0]["lr"] = lr * (1 - k / num_steps)
        rows = torch.randint(len(L), (16,), generator=generator)
        network.train()
        error = loss(network(L[rows]), target[rows])
        optimizer.zero_grad()
        error.backward()
        optimizer.step()
        return {"loss": error}

    def look(k: int) -> None:
        if k and k * checkpoints // num_steps > (k - 1) * checkpoints // num_steps:
            seen.append(watch(network.eval()))

    if run(step, num_steps, look=watch and look, progress=False).interrupted:
        raise KeyboardInterrupt
    network.eval()
    return seen


def ab_error(ab: Tensor, ab_real: Tensor) -> float:
    """Mean distance of two colours in the ab plane, CIE units; ab / 110, (..., 2, H, W) both."""
    return (ab - ab_real).norm(dim=-3).mean().item() * AB_SCALE


def chroma(ab: Tensor) -> Tensor:
    """Distance from grey, CIE units; ab / 110, (..., 2, H, W) -> (..., H, W)."""
    return ab.norm(dim=-3) * AB_SCALE


def spread_at_equal_L(L: Tensor, ab: Tensor, num_bins: int = 50) -> Tensor:
    """What L leaves open: the root mean square distance of a pixel's ab from the mean ab of its lightness, CIE units. L
    (N,), L / 50 - 1, and ab (N, 2), ab / 110, are of any pixels; those in one of `num_bins` intervals of L count as
    equally light. Returns (num_bins + 1,): of each interval (NaN where no pixel lies), last of all pixels."""
    place = ((L + 1) / 2 * num_bins).long().clamp(0, num_bins - 1)
    count = torch.bincount(place, minlength=num_bins).double()
    colours = ab.double() * AB_SCALE
    mean = torch.zeros(num_bins, 2, dtype=torch.float64, device=L.device).index_add_(0, place, colours)
    distance = (colours - (mean / count.clamp(min=1)[:, None])[place]).square().sum(1)
    total = torch.zeros(num_bins, dtype=torch.float64, device=L.device).index_add_(0, place, distance)
    return torch.cat([total / count, distance.mean()[None]]).sqrt()
