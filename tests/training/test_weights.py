import json

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import nn

from colorlib.generators import UNet, predict
from colorlib.training.weights import checksum, load_generator, read_tensors, save_weights, shipped, write_tensors


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


def test_a_pickle_is_refused_without_being_run(tmp_path):
    path = tmp_path / "w.safetensors"
    torch.save({"x": torch.zeros(1)}, path)
    with pytest.raises(ValueError, match="not a readable safetensors file"):
        load_generator(path)


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
