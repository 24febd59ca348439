import ast
import json
import os
import pickle
import re
import shutil
import sys
import time
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import nn

import colorlib
from colorlib.colorizer import Colorizer
from colorlib.colorizer.hub import HubColorizer
from colorlib.generators import UNet, predict
from colorlib.training.loop import CHECKPOINT, load_newest
from colorlib.training.weights import (
    checksum, load_generator, read_metadata, read_tensors, save_weights, shipped, write_tensors,
)

try:
    import resource
except ImportError:  # Windows
    resource = None

FOLDER = Path(colorlib.__file__).parent


def small(**arguments):
    return UNet(**({"base_channels": 2, "levels": 3, "norm": nn.InstanceNorm2d} | arguments))


def test_a_file_is_enough_to_rebuild_the_network(tmp_path):
    generator = small(hint_channels=3, skips=False)
    save_weights(tmp_path / "w.safetensors", generator, {"render_size": "96"})
    loaded, metadata = load_generator(tmp_path / "w.safetensors")
    assert loaded.config == generator.config and not loaded.training and metadata["render_size"] == "96"
    L = torch.randn(1, 1, 32, 32)
    assert torch.equal(predict(generator, L).ab, predict(loaded, L).ab)
    assert (tmp_path / "w.safetensors").stat().st_mode & 0o044 == 0o044


def test_an_interrupted_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "w.safetensors"
    write_tensors(path, {"x": torch.zeros(2)}, {})
    monkeypatch.setattr("colorlib.files.os.replace", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        write_tensors(path, {"x": torch.ones(2)}, {})
    assert read_tensors(path)[0]["x"].sum() == 0


def saved(path, tensors, **metadata):
    save_file(tensors, path, {"sha256": checksum(tensors), **metadata})
    return path


def test_files_that_are_refused(tmp_path):
    path, generator = tmp_path / "w.safetensors", small()
    state, config = generator.state_dict(), json.dumps(generator.config)
    with pytest.raises(ValueError, match="no such weights file"):
        load_generator(tmp_path / "none.safetensors")
    with pytest.raises(ValueError, match="no such weights file"):
        load_generator(tmp_path)
    with pytest.raises(ValueError, match="names the network None"):
        load_generator(saved(path, state))
    with pytest.raises(ValueError, match="names the network 'Dropout'"):
        load_generator(saved(path, state, network="Dropout", config="{}"))
    with pytest.raises(ValueError, match="not usable"):
        load_generator(saved(path, state, network="UNet", config='{"norm": "BatchNorm2d", "layers": 3}'))
    with pytest.raises(ValueError, match="not usable"):
        load_generator(saved(path, state, network="UNet", config="{"))
    wider = small(base_channels=4).state_dict()
    with pytest.raises(ValueError, match=r"downs.0.conv.weight has shape \(4, 1, 4, 4\), needed is \(2, 1, 4, 4\)"):
        load_generator(saved(path, wider, network="UNet", config=config))
    fewer = {name: tensor for name, tensor in state.items() if "downs.0" not in name}
    with pytest.raises(ValueError, match="downs.0.conv.weight is missing"):
        load_generator(saved(path, fewer, network="UNet", config=config))
    with pytest.raises(ValueError, match="extra is unknown"):
        load_generator(saved(path, state | {"extra": torch.zeros(1)}, network="UNet", config=config))


class Evil:
    """Unpickling it writes a file."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return open, (self.path, "w")


@pytest.mark.parametrize("suffix", [".safetensors", ".pth", ".bin"])
@pytest.mark.parametrize("make", [
    lambda path, evil: path.write_bytes(pickle.dumps(evil)), lambda path, evil: torch.save({"x": evil}, path),
    lambda path, evil: torch.save({"x": evil}, path, _use_new_zipfile_serialization=False)])
def test_a_malicious_pickle_is_refused_without_being_run(tmp_path, suffix, make):
    """By every way that a file of weights can come in."""
    path, evidence = tmp_path / f"w{suffix}", tmp_path / "evidence"
    make(path, Evil(evidence))
    shutil.copy(path, tmp_path / CHECKPOINT)
    shutil.copy(path, tmp_path / "colorizer.safetensors")
    for load in (lambda: load_generator(path), lambda: read_metadata(path), lambda: Colorizer.load(path),
                 lambda: load_newest(tmp_path, {}),
                 lambda: HubColorizer.from_pretrained(str(tmp_path))):
        with pytest.raises(ValueError, match="not a readable safetensors file"):
            load()
    assert not evidence.exists()
    if suffix == ".pth":  # the trap works
        pickle.loads(pickle.dumps(Evil(evidence))).close()
        assert evidence.exists()


def test_nothing_in_the_library_unpickles():
    """torch.load with weights_only=True is the one exception: the ImageNet weights of an installed package."""
    calls = []
    for path in sorted(FOLDER.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            name = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
            if re.fullmatch(r"(torch|pickle|joblib|dill|np|numpy|marshal|shelve|cloudpickle)\.(load|loads|open|Unpickler)", name):
                calls.append((path.name, name, [f"{word.arg}={ast.unparse(word.value)}" for word in node.keywords]))
    unsafe = [call for call in calls if call[1] not in ("np.load", "numpy.load") or "allow_pickle=True" in call[2]]
    assert [call for call in unsafe if "weights_only=True" not in call[2]] == []
    assert len(calls) >= len(unsafe) > 0 and all(call[1] == "torch.load" for call in unsafe)
    assert [call for call in unsafe if call[0] == "recipe.py"] == [("recipe.py", "torch.load", ["map_location='cpu'", "weights_only=True"])]


def raw(path, header, body=b"", length=None):
    """A file with this header, whatever it says; and with a length that need not be the header's."""
    header = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes((len(header) if length is None else length).to_bytes(8, "little") + header + body)
    return path


def entry(shape, start, end, dtype="F32"):
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}


HOSTILE = {
    "nothing": (b"", b"", 0), "a header longer than the file": (b"{}", b"", 1000), "a huge header": (b"{}", b"", 2**40),
    "the largest header": (b"{}", b"", 2**64 - 1), "no JSON": (b"nothing", b""), "a list": ([], b""), "a bomb": (b"[" * 90_000, b""),
    "a shape of 2^66 numbers": ({"x": entry([2**33, 2**33], 0, 4)}, b"1234"),
    "a shape of a terabyte": ({"x": entry([2**38], 0, 2**40)}, b"1234"),
    "a negative size": ({"x": entry([-1], 0, 4)}, b"1234"), "a size that is no number": ({"x": entry(["1"], 0, 4)}, b"1234"),
    "two tensors in one place": ({"x": entry([1], 0, 4), "y": entry([1], 2, 6)}, b"123456"),
    "one tensor twice": ({"x": entry([1], 0, 4), "y": entry([1], 0, 4)}, b"1234"),
    "a hole": ({"x": entry([1], 0, 4), "y": entry([1], 8, 12)}, b"123456789012"),
    "an end before the start": ({"x": entry([1], 4, 0)}, b"1234"), "bytes left over": ({"x": entry([1], 0, 4)}, b"12345"),
    "another length than the shape's": ({"x": entry([2], 0, 4)}, b"1234"), "an unknown type": ({"x": entry([1], 0, 4, "F99")}, b"1234"),
    "metadata of other kinds": ({"__metadata__": {"a": [1]}, "x": entry([1], 0, 4)}, b"1234"),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_header_is_one_sentence_before_memory_is_taken(tmp_path, name):
    path = raw(tmp_path / "w.safetensors", *HOSTILE[name])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss if resource else 0
    for load in (load_generator, read_metadata, read_tensors):
        with pytest.raises(ValueError, match="not a readable safetensors file") as error:
            load(path)
        assert "\n" not in str(error.value) and len(str(error.value)) < 600
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss if resource else 0) - before < 50_000  # kB


def test_a_metadata_bomb_is_refused_by_its_length_alone(tmp_path):
    """100 MB that safetensors itself would read: as a sparse file, it takes no room on the disk either."""
    path = raw(tmp_path / "w.safetensors", b"{", length=99_000_000)
    os.truncate(path, 99_000_008)
    began = time.process_time()
    with pytest.raises(ValueError, match="its header claims 99,000,000 bytes, at most 10,000,000 are read"):
        load_generator(path)
    assert time.process_time() - began < 1


@pytest.mark.parametrize("dtype", ["F8_E4M3", "F8_E5M2", "BF16", "F16", "F64", "I8", "U8", "BOOL", "C64", "I64", "U64", "F4"])
def test_tensors_of_any_type_are_read_or_refused(tmp_path, dtype):
    sizes = {"F64": 8, "I64": 8, "U64": 8, "C64": 8, "BF16": 2, "F16": 2}
    path = raw(tmp_path / "w.safetensors", {"x": entry([2], 0, 2 * sizes.get(dtype, 1), dtype)}, bytes(2 * sizes.get(dtype, 1)))
    with pytest.raises(ValueError, match="not a readable safetensors file|no checksum"):
        load_generator(path)


@pytest.mark.parametrize("change, words", [
    (lambda x: x.fill_(float("nan")), "holds NaN or infinity"), (lambda x: x.fill_(float("inf")), "holds NaN or infinity"),
    (lambda x: x.long(), "is torch.int64, needed is torch.float32"), (lambda x: x.bool(), "is torch.bool, needed"),
    (lambda x: x.to(torch.complex64), "is torch.complex64, needed"), (lambda x: x.to(torch.uint8), "is torch.uint8, needed"),
    (lambda x: x[None], "has shape"),
])  # fmt: skip
def test_wrong_numbers_are_named(tmp_path, change, words):
    generator = small()
    state = generator.state_dict()
    state["downs.0.conv.weight"] = change(state["downs.0.conv.weight"].clone())
    path = saved(tmp_path / "w.safetensors", state, network="UNet", config=json.dumps(generator.config))
    with pytest.raises(ValueError, match=rf"does not fit this UNet: downs\.0\.conv\.weight .*{words}|downs.0.conv.weight {words}"):
        load_generator(path)


@pytest.mark.parametrize("network, config", [
    ("UNet", {"base_channels": 9999, "levels": 16}), ("UNet", {"base_channels": 10**9}), ("UNet", {"levels": 9999}),
    ("UNet", {"base_channels": -1}), ("UNet", {"base_channels": 2.5}), ("UNet", {"base_channels": "8"}), ("UNet", [1]), ("UNet", None),
    ("UNet", {"norm": ["BatchNorm2d"]}), ("UNet", {"download": True}), ("UNet", {"levels": 10**6000}), ("UNet", {"base_channels": 0}),
    ("ResidualUNet", {"base_channels": 9999, "blocks": 99}), ("ResidualUNet", {"blocks": 9999}),
    ("PretrainedUNet", {"widths": [9999] * 5}), ("PretrainedUNet", {"blocks": [9999] * 5}), ("PretrainedUNet", {"num_bins": 9999}),
])  # fmt: skip
def test_arguments_that_would_take_the_memory_are_refused_first(tmp_path, network, config):
    """Where resource can: in 2 GB of address space more than there is now."""
    sys.set_int_max_str_digits(0) if hasattr(sys, "set_int_max_str_digits") else None
    path = saved(tmp_path / "w.safetensors", small().state_dict(), network=network, config=json.dumps(config))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss if resource else 0
    with pytest.raises(ValueError, match="does not fit|not usable") as refused:
        load_generator(path)
    assert len(str(refused.value).removeprefix(str(path))) < 400
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss if resource else 0) - before < 200_000  # kB


@settings(max_examples=60, deadline=None)
@given(cut=st.integers(0, 3000), flip=st.integers(0, 10_000), value=st.integers(1, 255))
def test_a_damaged_file_is_read_or_refused(tmp_path_factory, cut, flip, value):
    path = tmp_path_factory.mktemp("damaged") / "w.safetensors"
    save_weights(path, small())
    data = bytearray(path.read_bytes())
    data[flip % len(data)] ^= value
    path.write_bytes(data[: len(data) - cut] if cut < len(data) else b"")
    try:
        load_generator(path)
    except ValueError:
        pass


def test_half_precision_halves_the_file_and_hardly_changes_the_answer(tmp_path):
    generator = UNet(base_channels=8, levels=3)
    for half, name in ((False, "whole"), (True, "half")):
        save_weights(tmp_path / f"{name}.safetensors", generator, half=half)
    whole, half = (tmp_path / f"{name}.safetensors" for name in ("whole", "half"))
    assert half.stat().st_size < 0.6 * whole.stat().st_size
    loaded, _ = load_generator(half)
    assert all(parameter.dtype == torch.float32 for parameter in loaded.parameters())
    L = torch.randn(1, 1, 32, 32)
    assert torch.allclose(predict(generator, L).ab, predict(loaded, L).ab, atol=5e-3)
    with torch.no_grad():
        generator.downs[0].conv.weight.fill_(1e6)  # beyond 16 bits: this tensor stays in 32
    save_weights(half, generator, half=True)
    stored = read_tensors(half)[0]
    assert {tensor.dtype for name, tensor in stored.items() if name != "downs.0.conv.weight"} <= {torch.float16, torch.int64}
    assert torch.equal(stored["downs.0.conv.weight"], generator.downs[0].conv.weight)
    with torch.no_grad():
        generator.downs[0].conv.weight[0, 0, 0, 0] = float("nan")
    with pytest.raises(ValueError, match="downs.0.conv.weight holds NaN"):
        save_weights(half, generator, half=True)
    load_generator(half)  # the old file is still there


def test_a_single_changed_number_is_refused(tmp_path):
    path, generator = tmp_path / "w.safetensors", small()
    save_weights(path, generator)
    data = bytearray(path.read_bytes())
    data[-3] ^= 1  # still a whole safetensors file
    path.write_bytes(data)
    with pytest.raises(ValueError, match="another checksum"):
        load_generator(path)
    save_file(generator.state_dict(), path, {"network": "UNet", "config": json.dumps(generator.config)})
    with pytest.raises(ValueError, match="no checksum"):
        load_generator(path)


def test_unknown_shipped_weights_are_refused_and_the_known_named():
    with pytest.raises(ValueError, match="no weights called 'none' ship"):
        shipped("none")
