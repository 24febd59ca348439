"""Pictures that several tests write and read."""

import numpy as np
import torch
from PIL import Image


def picture(height=40, width=56, seed=0):
    """Smooth colours: compression changes them little."""
    y, x = np.mgrid[0:height, 0:width]
    return np.stack([255 * x / width, 255 * y / height, 255 * (1 - x / width) * ((seed + 3) % 5) / 5],
                    -1).astype(np.uint8)


def save(path, array_or_image, **settings_):
    image = array_or_image if isinstance(array_or_image, Image.Image) else Image.fromarray(array_or_image)
    image.save(path, **settings_)
    return path


def hwc(rgb):
    return rgb.permute(1, 2, 0).numpy()


def coloured(num=7, seed=0):
    generator = torch.Generator().manual_seed(seed)
    sizes = torch.randint(20, 90, (num, 2), generator=generator).tolist()
    return [torch.randint(0, 256, (3, *size), dtype=torch.uint8, generator=generator) for size in sizes]
