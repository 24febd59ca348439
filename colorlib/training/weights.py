"""Weights and checkpoints as safetensors files: written whole or not at all, read without running any code, and refused
when the checksum in the file is not that of its tensors."""

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor
from torch.nn.modules.module import register_module_parameter_registration_hook

from colorlib.files import write_atomically
from colorlib.generators import NORMS, Generator, PretrainedUNet, ResidualUNet, UNet
from colorlib.runtime import shipped_folder

HEADER_BYTES = 10_000_000  # of a file; those of the networks here have a hundredth
# the networks that a weights file may name; nothing else is ever built from a file
NETWORKS = {network.__name__: network for network in (UNet, ResidualUNet, PretrainedUNet)}


def write_tensors(path: str | Path, tensors: dict[str, Tensor], metadata: dict[str, str],
                  keep: Path | None = None) -> None:
    """Write a safetensors file with the checksum of its tensors, as `write_atomically` does."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    write_atomically(Path(path), save(tensors, {**metadata, "sha256": checksum(tensors)}), keep)


@contextmanager
def _opened(path: str | Path) -> Iterator[safe_open]:
    """The file, once its header is known to be small and to describe exactly the bytes that are there."""
    if not Path(path).is_file():
        raise ValueError(f"{path}: no such weights file; give the path of a .safetensors file")
    try:
        with open(path, "rb") as file:
            header = int.from_bytes(file.read(8), "little")  # a pickle's or picture's first bytes are a huge number
        if header > HEADER_BYTES:
            raise OSError(f"its header claims {header:,} bytes, at most {HEADER_BYTES:,} are read")
        with safe_open(path, framework="pt") as file:
            yield file
    except (SafetensorError, OSError, AttributeError, TypeError) as error:
        raise ValueError(f"{path}: not a readable safetensors file ({error}); make or copy it again") from error


def read_metadata(path: str | Path) -> dict[str, str]:
    """The metadata of a file, without its tensors; a ValueError where it is missing or not whole."""
    with _opened(path) as file:
        return file.metadata() or {}


def read_tensors(path: str | Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """All tensors (on the CPU) and the metadata of a file; a ValueError where it is missing or damaged."""
    with _opened(path) as file:
        tensors, metadata = {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}
    if metadata.get("sha256") != checksum(tensors):
        found = "no checksum" if "sha256" not in metadata else "another checksum than its tensors have"
        raise ValueError(f"{path}: the file has {found}: it was changed, damaged or not written by this colorlib; "
                         "get it again")
    return tensors, metadata


def checksum(tensors: dict[str, Tensor]) -> str:
    """SHA-256 of names, types, shapes and values, in the order of the names."""
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        tensor = tensor.detach().cpu().contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.flatten().view(torch.uint8).numpy())
    return digest.hexdigest()


def shipped(name: str = "colorizer") -> Path:
    """The weights file that came with colorlib: "colorizer", or "l1", its sibling trained without a critic."""
    path = shipped_folder("weights") / f"{name}.safetensors"
    if not path.is_file():
        known = sorted(file.stem for file in path.parent.glob("*.safetensors"))
        raise ValueError(f"no weights called {name!r} ship with this colorlib; there are: {', '.join(known) or 'none'}")
    return path


def save_weights(path: str | Path, generator: Generator, metadata: dict[str, str] | None = None,
                 half: bool = False) -> None:
    """Write a generator and more metadata; a ValueError where a weight is not finite. `half` stores 16 bits, but not where
    numbers lie beyond 65504 (a batch norm's variance can); `load_generator` gives 32 again."""
    tensors = generator.state_dict()
    for name, tensor in tensors.items():
        if not torch.isfinite(tensor).all():
            raise ValueError(f"{name} holds NaN or infinity: the training diverged, do not keep these weights")
        if half and tensor.is_floating_point() and torch.isfinite(tensor.half()).all():
            tensors[name] = tensor.half()
    write_tensors(path, tensors, {
        **(metadata or {}), "network": type(generator).__name__, "config": json.dumps(generator.config)})


def load_generator(path: str | Path) -> tuple[Generator, dict[str, str]]:
    """The generator of a weights file, in evaluation mode on the CPU, and the file's metadata. ValueError: as in
    `read_tensors`; or the file names no network of this library, or tensors that do not fit it."""
    tensors, metadata = read_tensors(path)
    name = metadata.get("network")
    if name not in NETWORKS:
        raise ValueError(f"{path}: names the network {name!r}; this version of colorlib knows {sorted(NETWORKS)}; "
                         "the course's networks are known after `import colorlib.course.blocks`")
    try:
        config = json.loads(metadata["config"], parse_int=_small)
        if "norm" in config:
            config["norm"] = NORMS[config["norm"]]
        if found := {"pretrained", "download"} & config.keys():
            raise LookupError(f"{found} would load other weights")
        with _at_most(10_000_000 + 2 * sum(tensor.numel() for tensor in tensors.values())):
            generator = NETWORKS[name](**config)
    except (LookupError, TypeError, AttributeError, RuntimeError, ArithmeticError, ValueError) as error:
        raise ValueError(f"{path}: the network's arguments in the file are not usable ({error!r})") from error
    load_state(generator, tensors, path)
    return generator.eval(), metadata


def _small(digits: str) -> int:
    if len(digits) > 4:
        raise ValueError(f"a number of the network's arguments is {digits[:20]}; it must have at most four digits")
    return int(digits)


@contextmanager
def _at_most(most: int) -> Iterator[None]:
    """Stop building a network once it has more weights than this, before their memory is used."""
    left, thread = [most], threading.get_ident()

    def count(module: torch.nn.Module, name: str, weight: torch.nn.Parameter | None) -> None:
        left[0] -= weight.numel() if weight is not None and threading.get_ident() == thread else 0
        if left[0] < 0:
            raise LookupError("the file has fewer weights than the network that they describe")

    hook = register_module_parameter_registration_hook(count)
    try:
        yield
    finally:
        hook.remove()


def load_state(module: torch.nn.Module, tensors: dict[str, Tensor], origin: str | Path) -> None:
    """Copy tensors into a module; a ValueError names the first that are missing or unknown, of another shape or kind of
    number, or not finite."""
    needed, problems = module.state_dict(), []
    for name in needed | tensors:
        given, like = tensors.get(name), needed.get(name)
        if given is None or like is None:
            problems.append(f"{name} is {'missing' if given is None else 'unknown'}")
        elif given.shape != like.shape:
            problems.append(f"{name} has shape {tuple(given.shape)}, needed is {tuple(like.shape)}")
        elif given.is_floating_point() != like.is_floating_point() or given.is_complex():
            problems.append(f"{name} is {given.dtype}, needed is {like.dtype}")
        elif not torch.isfinite(given).all():
            problems.append(f"{name} holds NaN or infinity")
    if problems:
        more = f" and {len(problems) - 3} more" if len(problems) > 3 else ""
        raise ValueError(f"{origin}: does not fit this {type(module).__name__}: {'; '.join(problems[:3])}{more}")
    module.load_state_dict(tensors)
