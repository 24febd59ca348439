"""What networks and losses take (floats) and photographs are (bytes): a wrong one would give an obscure error or NaN."""

import torch
from torch import Tensor


def need_floats(like: Tensor | None = None, **values: Tensor) -> None:
    """ValueError, with its name, for a value that is no tensor of floats, is empty or, outside of autocast, has another
    dtype or device than `like`."""
    for name, value in values.items():
        if not isinstance(value, Tensor) or not value.is_floating_point() or not value.numel():
            found = f"{value.dtype} {tuple(value.shape)}" if isinstance(value, Tensor) else f"a {type(value).__name__}"
            raise ValueError(f"{name} is {found}; need a tensor of floats that is not empty: use torch.as_tensor({name}).float()")
        if like is not None and (value.device != like.device or value.dtype != like.dtype
                                 and not torch.is_autocast_enabled(value.device.type)):
            raise ValueError(f"{name} is {value.dtype} on {value.device}; need {like.dtype} on {like.device}: use {name}.to(...)")


def need_photo(rgb: Tensor) -> None:
    """ValueError for what is no photograph, uint8 (3, H, W) with at least one pixel."""
    if not isinstance(rgb, Tensor) or rgb.dtype != torch.uint8 or rgb.ndim != 3 or len(rgb) != 3 or not rgb.numel():
        what = f"{rgb.dtype} of shape {tuple(rgb.shape)}" if hasattr(rgb, "shape") else f"a {type(rgb).__name__}"
        raise ValueError(f"the photograph is {what}; required is a tensor, torch.uint8 (3, H, W): repeat a single grey "
                         "channel three times, convert floats by (rgb * 255).round().to(torch.uint8)")
