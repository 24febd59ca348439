"""Colour transfer: a colorizer that learns nothing. It takes its colours from one reference picture.

The zero lines that a trained colorizer has to beat: no colour at all (ab = 0), and this.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

_CHUNK = 1 << 16  # pixels compared with all samples at a time


def colour_transfer(
    L: Tensor,
    reference_L: Tensor,
    reference_ab: Tensor,
    *,
    num_samples: int = 256,
    window: int = 5,
    seed: int = 0,
) -> Tensor:
    """Give every pixel the colour of the reference pixel that is most like it in lightness and texture.

    The reference's lightness is first shifted and stretched to the mean and deviation of the picture's. Then
    `num_samples` pixels of the reference, one from each cell of a grid, stand for its colours. Like means: the
    smallest sum of squared differences in lightness and in the standard deviation of lightness around the pixel.

    Args:
        L: pictures to colour, (B, 1, H, W), L / 50 - 1.
        reference_L: one reference for each, (B, 1, h, w), of any size.
        reference_ab: its colours, (B, 2, h, w), ab / 110.
        num_samples: rounded to the next grid of whole cells (256 is 16 x 16).
        window: side of the neighbourhood whose deviation is the texture, odd.
        seed: of the places of the samples in their cells.

    Returns:
        ab / 110, (B, 2, H, W). Every colour in it occurs in the reference.

    Raises:
        ValueError: shapes that do not belong together, or an even window.

    Example:
        >>> L, ab = torch.rand(1, 1, 8, 8), torch.zeros(1, 2, 8, 8)
        >>> colour_transfer(L, L, ab).shape
        torch.Size([1, 2, 8, 8])

    Reference: Welsh, Ashikhmin, Mueller 2002, Transferring color to greyscale images, section 3 (global matching).
    Deviation: they work in the space l-alpha-beta, we in Lab, as everywhere in this library.
    """
    batch = L.shape[0]
    if L.dim() != 4 or L.shape[1] != 1 or reference_L.shape[:2] != (batch, 1):
        raise ValueError(
            f"L has shape {tuple(L.shape)} and reference_L {tuple(reference_L.shape)}; needed are (B, 1, H, W) and "
            "(B, 1, h, w): one reference for each picture (repeat it with expand if it is the same)"
        )
    if reference_ab.shape != (batch, 2, *reference_L.shape[2:]):
        raise ValueError(
            f"reference_ab has shape {tuple(reference_ab.shape)}; needed is {(batch, 2, *reference_L.shape[2:])}"
        )
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
    """Shift and stretch each picture's lightness to the mean and deviation of another's; (B, 1, ., .) both."""
    mean, deviation = L.mean((1, 2, 3), keepdim=True), L.std((1, 2, 3), keepdim=True, correction=0)
    to_mean, to_deviation = like.mean((1, 2, 3), keepdim=True), like.std((1, 2, 3), keepdim=True, correction=0)
    return (L - mean) / deviation.clamp(min=1e-6) * to_deviation + to_mean


def texture(L: Tensor, window: int = 5) -> Tensor:
    """Standard deviation of lightness in the window around every pixel; (B, 1, H, W) -> the same shape."""
    padded = F.pad(L, (window // 2,) * 4, mode="replicate")
    # around the mean of the picture: the difference of two squares loses its digits far from zero
    padded = padded - L.mean((2, 3), keepdim=True)
    mean, square = F.avg_pool2d(padded, window, stride=1), F.avg_pool2d(padded.square(), window, stride=1)
    return (square - mean.square()).clamp(min=0).sqrt()


def jittered_grid(height: int, width: int, num: int, seed: int) -> Tensor:
    """Flat indices of pixels, one at a random place in each cell of a grid of at least `num` cells; (K,) long."""
    columns = max(1, round((num * width / height) ** 0.5))
    rows = -(-num // columns)
    random = torch.rand(2, rows, columns, generator=torch.Generator().manual_seed(seed))
    y = ((torch.arange(rows)[:, None] + random[0]) / rows * height).long().clamp(max=height - 1)
    x = ((torch.arange(columns)[None, :] + random[1]) / columns * width).long().clamp(max=width - 1)
    return (y * width + x).flatten()


def most_similar(L: Tensor, pool_L: Tensor, side: int = 8) -> Tensor:
    """For each picture the one of a pool that looks most like it in grey, as thumbnails: a choice of reference.

    Args:
        L: (B, 1, H, W).
        pool_L: (N, 1, h, w).
        side: of the thumbnails, which are brought to mean 0 and length 1 before they are compared.

    Returns:
        Indices into the pool, (B,).
    """
    def thumbnails(pictures: Tensor) -> Tensor:
        small = F.adaptive_avg_pool2d(pictures, side).flatten(1)
        return F.normalize(small - small.mean(1, keepdim=True), dim=1)

    return (thumbnails(L) @ thumbnails(pool_L).T).argmax(1)
