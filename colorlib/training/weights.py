"""Weights and checkpoints as safetensors: written whole or not at all, read without running any code.

A weights file holds the checksum of its own tensors, so that a damaged or changed one is refused, not used.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from colorlib.files import write_atomically
from colorlib.generators import NORMS, Generator, PretrainedUNet, ResidualUNet, UNet
from colorlib.runtime import shipped_folder

# the networks that a weights file may name; nothing else is ever built from a file
NETWORKS = {network.__name__: network for network in (UNet, ResidualUNet, PretrainedUNet)}


def write_tensors(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
    """Write a safetensors file, whole or not at all."""
    whole = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    write_atomically(path, save(whole, metadata))


def read_tensors(path: str | Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """All tensors (on the CPU) and the metadata of a safetensors file.

    Raises:
        ValueError: there is no such file, or it is not a whole safetensors file.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"{path}: no such weights file; give the path of a .safetensors file")
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise ValueError(f"{path}: not a readable safetensors file ({error}); make or copy it again") from error


def read_checked(path: str | Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """`read_tensors` of a file whose tensors have the checksum that it holds.

    Raises:
        ValueError: as `read_tensors`; no checksum, or another one.
    """
    tensors, metadata = read_tensors(path)
    if metadata.get("sha256") != checksum(tensors):
        found = "no checksum" if "sha256" not in metadata else "another checksum than its tensors have"
        raise ValueError(f"{path}: the file has {found}: it was changed, damaged or not written by this colorlib; "
                         "get it again")
    return tensors, metadata


def shipped(name: str = "colorizer") -> Path:
    """The weights file that came with colorlib: "colorizer", or "l1", its sibling trained without a critic.

    Raises:
        ValueError: there is none.
    """
    path = shipped_folder("weights") / f"{name}.safetensors"
    if path.is_file():
        return path
    known = sorted(file.stem for file in path.parent.glob("*.safetensors"))
    raise ValueError(f"no weights called {name!r} ship with this colorlib; there are: {', '.join(known) or 'none'}")


def checksum(tensors: dict[str, Tensor]) -> str:
    """SHA-256 of names, types, shapes and values, in the order of the names."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.flatten().view(torch.uint8).numpy())
    return digest.hexdigest()


def save_weights(
    path: str | Path, generator: Generator, metadata: dict[str, str] | None = None, half: bool = False
) -> None:
    """Write a generator with all that is needed to build it again, and a checksum of its tensors.

    Args:
        path: the file to write, ".safetensors".
        generator: its class name and `config` go into the file beside the weights.
        metadata: more entries, text to text, such as recipe and render_size.
        half: store tensors in 16 bits, for half the size, except those with numbers beyond 65504 (a batch norm's
            variance can be); `load_generator` gives 32 again.

    Raises:
        ValueError: a number is not finite.
    """
    tensors = generator.state_dict()
    for name, tensor in tensors.items():
        if not torch.isfinite(tensor).all():
            raise ValueError(f"{name} holds NaN or infinity: the training diverged, do not keep these weights")
    if half:
        tensors = {name: tensor.half() if _fits_half(tensor) else tensor for name, tensor in tensors.items()}
    entries = {"network": type(generator).__name__, "config": json.dumps(generator.config), "sha256": checksum(tensors)}
    write_tensors(Path(path), tensors, {**(metadata or {}), **entries})


def _fits_half(tensor: Tensor) -> bool:
    return tensor.is_floating_point() and bool(torch.isfinite(tensor.half()).all())


def load_generator(path: str | Path) -> tuple[Generator, dict[str, str]]:
    """Build the generator that a weights file describes, in evaluation mode on the CPU.

    Returns:
        The generator and the file's metadata.

    Raises:
        ValueError: not a weights file of this library, its tensors are not those that were written, or they do not fit
            the network that it names.
    """
    tensors, metadata = read_checked(path)
    name = metadata.get("network")
    if name not in NETWORKS:
        raise ValueError(f"{path}: names the network {name!r}; this version of colorlib knows {sorted(NETWORKS)}; "
                         "the course's networks are known after `import colorlib.course.blocks`")
    try:
        config = json.loads(metadata["config"])
        if "norm" in config:
            config["norm"] = NORMS[config["norm"]]
        generator = NETWORKS[name](**config)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path}: the network's arguments in the file are not usable ({error!r})") from error
    load_state(generator, tensors, str(path))
    return generator.eval(), metadata


def load_state(module: torch.nn.Module, tensors: dict[str, Tensor], origin: str) -> None:
    """Copy tensors into a module; names and shapes must be exactly its own.

    Raises:
        ValueError: names the first tensors that are missing, unknown or of another shape.
    """
    wanted = module.state_dict()
    problems = [f"{name} is missing" for name in wanted if name not in tensors]
    problems += [f"{name} is unknown" for name in tensors if name not in wanted]
    problems += [
        f"{name} has shape {tuple(tensors[name].shape)}, needed is {tuple(wanted[name].shape)}"
        for name in wanted
        if name in tensors and tensors[name].shape != wanted[name].shape
    ]
    if problems:
        more = f" and {len(problems) - 3} more" if len(problems) > 3 else ""
        raise ValueError(f"{origin}: does not fit this {type(module).__name__}: {'; '.join(problems[:3])}{more}")
    module.load_state_dict(tensors)
