"""The loop alone: what a checkpoint holds, what is refused, and who writes."""

import json
import random
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn

from colorlib.generators import UNet
from colorlib.training import fit
from colorlib.training.loop import CHECKPOINT, History, accelerated, load_checkpoint, run, save_checkpoint
from colorlib.training.weights import read_tensors


def draws():
    return [torch.rand(1).item(), random.random(), random.gauss(0, 1), np.random.rand(), np.random.randn()]


def test_every_random_state_comes_back(tmp_path):
    random.gauss(0, 1), np.random.randn()  # both keep a second number for the next call
    own = torch.Generator().manual_seed(3)
    save_checkpoint(tmp_path / CHECKPOINT, {"own": own}, History())
    expected = [*draws(), torch.rand(1, generator=own).item()]
    assert draws() != expected[:5]
    load_checkpoint(tmp_path / CHECKPOINT, {"own": own})
    assert [*draws(), torch.rand(1, generator=own).item()] == expected


def test_the_random_states_of_all_gpus_and_of_mps_are_kept(tmp_path, monkeypatch):
    """Bug 13; without a GPU here, by its calls."""
    states = [torch.arange(4, dtype=torch.uint8), torch.arange(8, dtype=torch.uint8)]
    given = {}
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_rng_state_all", lambda: states)
    monkeypatch.setattr(torch.cuda, "set_rng_state", lambda state, device: given.update({device: state}))
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    monkeypatch.setattr(torch.mps, "get_rng_state", lambda: states[0] + 1)
    monkeypatch.setattr(torch.mps, "set_rng_state", lambda state: given.update({"mps": state}))
    save_checkpoint(tmp_path / CHECKPOINT, {}, History())
    load_checkpoint(tmp_path / CHECKPOINT, {})
    assert torch.equal(given[0], states[0]) and torch.equal(given[1], states[1])
    assert torch.equal(given["mps"], states[0] + 1)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_a_resumed_run_draws_the_same_on_the_gpu(tmp_path):
    save_checkpoint(tmp_path / CHECKPOINT, {}, History())
    first = torch.rand(4, device="cuda")
    load_checkpoint(tmp_path / CHECKPOINT, {})
    assert torch.equal(first, torch.rand(4, device="cuda"))


def test_a_grad_scaler_and_batches_come_back(tmp_path):
    class Batches:
        def __init__(self):
            self.state = {"seed": 1, "step": 0}

        def state_dict(self):
            return self.state

        def load_state_dict(self, state):
            self.state = state

    scaler, batches = torch.amp.GradScaler("cpu", init_scale=8.0), Batches()
    batches.state = {"seed": 1, "step": 7}
    save_checkpoint(tmp_path / CHECKPOINT, {"scaler": scaler, "batches": batches}, History())
    again, fresh = torch.amp.GradScaler("cpu"), Batches()
    load_checkpoint(tmp_path / CHECKPOINT, {"scaler": again, "batches": fresh})
    assert again.get_scale() == 8.0 and fresh.state == {"seed": 1, "step": 7}


def test_a_mixed_precision_run_keeps_its_scaler_in_the_checkpoint(tmp_path, monkeypatch):
    """Bug 13: float16 needs its GradScaler's scale after a resume."""
    def with_scaler(precision):
        accelerator = accelerated("no")
        accelerator.scaler = torch.amp.GradScaler("cpu", init_scale=32.0)
        return accelerator

    monkeypatch.setattr(sys.modules["colorlib.training.fit"], "accelerated", with_scaler)
    L = torch.zeros(2, 1, 16, 16)
    fit(UNet(base_channels=2, levels=3), iter(lambda: (L, L.expand(-1, 2, -1, -1)), None), num_steps=1, out=tmp_path,
        progress=False)
    plain = json.loads(read_tensors(tmp_path / CHECKPOINT)[1]["run"])
    assert plain["state/scaler"]["scale"] > 0


def test_a_damaged_checkpoint_or_another_runs_is_refused(tmp_path):
    path, model = tmp_path / CHECKPOINT, nn.Linear(2, 1)
    save_checkpoint(path, {"model": model}, History())
    for state, words in (({"batches": nn.Identity, "model": model}, "holds no state of 'batches'"),
                         ({"own": torch.Generator()}, "holds no state of 'own'"),
                         ({"model": nn.Linear(3, 1)}, "does not fit this Linear")):
        with pytest.raises(ValueError, match=words):
            load_checkpoint(path, state)
    data = bytearray(path.read_bytes())
    data[-3] ^= 1  # still a whole safetensors file
    path.write_bytes(data)
    with pytest.raises(ValueError, match="another checksum"):
        load_checkpoint(path, {"model": model})


def test_the_loop_counts_steps_whatever_the_losses_are_called(tmp_path):
    """Bug 5: the number of steps was the number of values of "l1"."""
    seen, saved = [], []

    def step(k):
        return {"first": torch.tensor(float(k))} if k < 3 else {"second": torch.tensor(10.0 * k)}

    history = run(step, 5, out=tmp_path, every=2, save=saved.append, look=seen.append, progress=False)
    assert history.num_steps == 5 and history.losses == {"first": [0, 1, 2], "second": [30, 40]}
    assert seen == [0, 1, 2, 3, 4, 5] and saved == [2, 4, 5] and history.mean("second") == 35
    again = run(step, 7, out=tmp_path, resume=True, look=seen.append, progress=False)
    assert again.num_steps == 7 and again.losses["second"] == [30, 40, 50, 60] and seen[6:] == [6, 7]
    assert json.loads((tmp_path / "history.json").read_text())["steps"] == 7
    assert again.seconds > history.seconds > 0


def test_only_the_main_process_writes(tmp_path):
    class Other:
        is_main_process = False
        waited = 0

        def wait_for_everyone(self):
            self.waited += 1

    other = Other()
    run(lambda k: {"x": torch.zeros(())}, 3, out=tmp_path / "run", accelerator=other, progress=False)
    assert not (tmp_path / "run").exists() and other.waited == 1


def test_a_loss_that_is_not_finite_stops_the_run_at_once_or_at_its_end():
    for bad in (float("nan"), float("inf")):
        with pytest.raises(FloatingPointError, match=f"'x' is {bad} at or before step 25"):
            run(lambda k: {"x": torch.tensor(bad if k == 3 else 0.0)}, 1000, progress=False)
        with pytest.raises(FloatingPointError, match=f"'x' is {bad} at or before step 5"):
            run(lambda k: {"x": torch.tensor(bad if k == 3 else 0.0)}, 5, progress=False)


def test_accelerate_is_not_needed_by_a_run_without_it():
    code = ("import sys, torch; from colorlib.training.loop import run;"
            "run(lambda k: {'x': torch.zeros(())}, 2, progress=False); print('accelerate' in sys.modules)")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.stdout.strip() == "False", done.stderr
