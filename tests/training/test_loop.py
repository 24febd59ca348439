"""The loop alone: what a checkpoint holds, what is refused, and who writes."""

import errno
import itertools
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import psutil
import pytest
import torch
from torch import nn

from colorlib.generators import UNet
from colorlib.training import fit
from colorlib.training.loop import (
    BEFORE, CHECKPOINT, History, accelerated, checkpoints, described, load_newest, run, save_checkpoint,
)
from colorlib.training.weights import read_tensors, write_tensors


def draws():
    return [torch.rand(1).item(), random.random(), random.gauss(0, 1), np.random.rand(), np.random.randn()]


def test_every_random_state_comes_back(tmp_path):
    random.gauss(0, 1), np.random.randn()  # both keep a second number for the next call
    own = torch.Generator().manual_seed(3)
    save_checkpoint(tmp_path / CHECKPOINT, {"own": own}, History())
    expected = [*draws(), torch.rand(1, generator=own).item()]
    assert draws() != expected[:5]
    load_newest(tmp_path, {"own": own})
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
    load_newest(tmp_path, {})
    assert torch.equal(given[0], states[0]) and torch.equal(given[1], states[1])
    assert torch.equal(given["mps"], states[0] + 1)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_a_resumed_run_draws_the_same_on_the_gpu(tmp_path):
    save_checkpoint(tmp_path / CHECKPOINT, {}, History())
    first = torch.rand(4, device="cuda")
    load_newest(tmp_path, {})
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
    load_newest(tmp_path, {"scaler": again, "batches": fresh})
    assert again.get_scale() == 8.0 and fresh.state == {"seed": 1, "step": 7}


def test_a_mixed_precision_run_keeps_its_scaler_in_the_checkpoint(tmp_path, monkeypatch):
    """Bug 13: float16 needs its GradScaler's scale after a resume."""
    def with_scaler(*arguments):
        accelerator = accelerated("no")
        accelerator.scaler = torch.amp.GradScaler("cpu", init_scale=32.0)
        return accelerator

    monkeypatch.setattr(sys.modules["colorlib.training.fit"], "accelerated", with_scaler)
    L = torch.zeros(2, 1, 16, 16)
    fit(UNet(base_channels=2, levels=3), iter(lambda: (L, L.expand(-1, 2, -1, -1)), None), num_steps=1, out=tmp_path,
        progress=False)
    plain = json.loads(read_tensors(tmp_path / CHECKPOINT)[0]["run"].numpy().tobytes())
    assert plain["state/scaler"]["scale"] > 0


def test_a_damaged_checkpoint_or_another_runs_is_refused(tmp_path):
    path, model = tmp_path / CHECKPOINT, nn.Linear(2, 1)
    save_checkpoint(path, {"model": model}, History())
    for state, words in (({"batches": nn.Identity, "model": model}, "holds no state of 'batches'"),
                         ({"own": torch.Generator()}, "holds no state of 'own'"),
                         ({"model": nn.Linear(3, 1)}, "does not fit this Linear")):
        with pytest.raises(ValueError, match=words):
            load_newest(tmp_path, state)
    data = bytearray(path.read_bytes())
    data[-3] ^= 1  # still a whole safetensors file
    path.write_bytes(data)
    with pytest.raises(ValueError, match="another checksum"):
        load_newest(tmp_path, {"model": model})


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
        is_main_process, num_processes = False, 1
        waited, trackers = 0, []

        def log(self, losses, step):
            pass

        def wait_for_everyone(self):
            self.waited += 1

    other = Other()
    run(lambda k: {"x": torch.zeros(())}, 3, out=tmp_path / "run", accelerator=other, progress=False)
    assert not (tmp_path / "run").exists() and other.waited == 1


def test_a_loss_that_is_not_finite_names_its_step_wherever_it_falls():
    for bad in (float("nan"), float("inf")):
        for num_steps in (1000, 5):  # found after 25 steps, or at the end
            with pytest.raises(FloatingPointError, match=f"the loss 'x' is {bad} in step 4: .*smaller learning rate"):
                run(lambda k: {"y": torch.zeros(()), "x": torch.tensor(bad if k >= 3 else 0.0)}, num_steps, progress=False)


class Sum(nn.Module):
    """The sum of the steps' numbers and of random ones: the smallest training whose steps cannot be left out."""

    def __init__(self):
        super().__init__()
        self.register_buffer("value", torch.zeros(()))

    def step(self, k):
        self.value += k + torch.rand(())
        return {"x": self.value.clone()}


def summed(out, num_steps, resume=False, **others):
    torch.manual_seed(99 if resume else 1)
    model = Sum()
    run(others.pop("step", model.step), num_steps, state={"model": model}, out=out, resume=resume, progress=False, **others)
    return model.value.item()


def test_weights_that_are_not_finite_never_become_a_checkpoint(tmp_path):
    """The losses of step 4 are fine; what its update made of the weights is not."""
    model = Sum()

    def step(k):
        losses = model.step(k)
        if k == 3:
            model.value.fill_(float("nan"))
        return losses

    with pytest.raises(FloatingPointError, match="model's value holds NaN or infinity after step 4: training diverged"):
        run(step, 10, state={"model": model}, out=tmp_path, every=2, progress=False)
    assert load_newest(tmp_path, {"model": model})[0].num_steps == 2 and model.value.isfinite()


def test_the_last_two_checkpoints_are_kept_and_a_damaged_one_is_not_the_end(tmp_path, capsys):
    whole = summed(tmp_path / "whole", 9, every=2)
    for damage in (lambda path: path.write_bytes(path.read_bytes()[:-20]), lambda path: path.write_bytes(b""),
                   lambda path: path.unlink(), lambda path: torch.save({"x": torch.zeros(1)}, path)):
        out = tmp_path / "run"
        summed(out, 6, every=2)
        assert sorted(path.name for path in out.iterdir()) == [BEFORE, CHECKPOINT, "history.json"]
        assert json.loads(read_tensors(out / BEFORE)[0]["run"].numpy().tobytes())["steps"] == 4
        damage(out / CHECKPOINT)
        capsys.readouterr()
        seen = []

        def good(steps):  # before each checkpoint: one that loads is there all the time
            seen.append([steps, sum(readable(path) for path in checkpoints(out))])

        assert summed(out, 9, resume=True, every=2, save=good) == whole
        assert seen == [[6, 1], [8, 2], [9, 2]]
        error = capsys.readouterr().err
        assert error.count("\n") == 1 and f"going on from {BEFORE}, step 4" in error
        shutil.rmtree(out)
    summed(tmp_path / "run", 6, every=2)
    for path in checkpoints(tmp_path / "run"):
        path.write_bytes(b"nothing")
    with pytest.raises(ValueError, match=f"{BEFORE}: not a readable safetensors file"):
        summed(tmp_path / "run", 9, resume=True)


def readable(path):
    try:
        return bool(read_tensors(path))
    except ValueError:
        return False


def test_a_new_run_leaves_no_checkpoint_of_the_one_that_it_replaces(tmp_path):
    summed(tmp_path, 6, every=2, metadata={"seed": "0"})
    summed(tmp_path, 1, metadata={"seed": "1"})
    assert [path.name for path in checkpoints(tmp_path)] == [CHECKPOINT] and described(tmp_path) == {"seed": "1"}
    (tmp_path / CHECKPOINT).write_bytes(b"nothing")
    with pytest.raises(ValueError, match="not a readable"):
        described(tmp_path)


@pytest.mark.parametrize("number", range(8))
def test_a_disk_that_fails_at_any_moment_leaves_a_checkpoint_that_loads(tmp_path, monkeypatch, number):
    """Writing and renaming are the calls that can fail; each of the first eight of a run does so once."""
    whole = summed(tmp_path / "whole", 8, every=2)
    summed(tmp_path / "run", 2)
    with monkeypatch.context() as patch:
        calls = itertools.count()
        for name in ("fsync", "replace"):
            real = getattr(os, name)

            def failing(*args, real=real):
                if next(calls) == number:
                    raise OSError(errno.ENOSPC, "No space left on device")
                return real(*args)

            patch.setattr(os, name, failing)
        try:
            summed(tmp_path / "run", 8, resume=True, every=2)
        except OSError as error:
            text = str(error)
    if number >= 2:  # the first two write the lock
        assert re.fullmatch(r".*step \d cannot be written \(No space left on device\); make room .* by --resume", text)
    assert not list((tmp_path / "run").glob("*.part")) and not (tmp_path / "run" / "lock").exists()
    assert any(readable(path) for path in checkpoints(tmp_path / "run"))
    assert summed(tmp_path / "run", 8, resume=True, every=2) == whole


def test_slow_steps_are_kept_by_the_clock(tmp_path, monkeypatch):
    monkeypatch.setattr(sys.modules["colorlib.training.loop"], "MINUTES", 0.0)
    saved = []
    summed(tmp_path, 4, save=saved.append)
    assert saved == [1, 2, 3, 4]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_finishes_the_step_and_keeps_it(tmp_path, number):
    model, before = Sum(), [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)]

    def step(k):
        if k == 3:
            signal.raise_signal(number)
        return model.step(k)

    torch.manual_seed(1)
    history = run(step, 10, state={"model": model}, out=tmp_path, progress=False)
    assert history.interrupted and history.num_steps == 4
    assert [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)] == before
    assert summed(tmp_path, 10, resume=True) == summed(tmp_path / "whole", 10)


def test_two_runs_in_one_folder_are_refused_and_a_lock_that_was_left_is_not_in_the_way(tmp_path):
    lock, parent = tmp_path / "lock", psutil.Process(os.getppid())
    for text in ("", "1", "x y", f"{2**40} 1.0", f"-1 {parent.create_time()}", f"{parent.pid} {parent.create_time() - 60}"):
        lock.write_text(text)  # cut off, no process, or the number of a process that started at another time
        summed(tmp_path, 2)
        assert not lock.exists()
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    lock.write_text(f"{parent.pid} {parent.create_time()}")
    for resume in (False, True):
        with pytest.raises(ValueError, match=f"process {parent.pid} trains there now"):
            summed(tmp_path, 3, resume=resume)
    assert lock.exists() and {path: path.read_bytes() for path in before} == before
    ended = subprocess.Popen([sys.executable, "-c", ""])
    lock.write_text(f"{ended.pid} {psutil.Process(ended.pid).create_time()}")
    while psutil.Process(ended.pid).status() != psutil.STATUS_ZOMBIE:
        time.sleep(0.01)
    summed(tmp_path, 3)  # it has ended, though nobody has asked how
    ended.wait()


def test_the_lock_is_there_while_a_run_writes(tmp_path):
    seen = []
    summed(tmp_path, 1, save=lambda steps: seen.append((tmp_path / "lock").read_text().split()[0]))
    assert seen == [str(os.getpid())]


@pytest.mark.parametrize("change", [
    lambda tensors: tensors.pop("run"), lambda tensors: tensors.update(run=torch.zeros(3)),
    lambda tensors: tensors.pop("random/cpu"), lambda tensors: tensors.update({"random/cpu": torch.zeros(3)}),
    lambda tensors: tensors.update(run=torch.frombuffer(bytearray(b'{"steps": 1}'), dtype=torch.uint8)),
    lambda tensors: tensors.update(run=torch.frombuffer(bytearray(b"[" * 100_000), dtype=torch.uint8)),
    lambda tensors: tensors.update({"adam/9/step": torch.zeros(())}), lambda tensors: tensors.update({"adam/x": torch.zeros(())}),
])  # fmt: skip
def test_a_file_that_is_no_checkpoint_is_one_sentence(tmp_path, change):
    path, model = tmp_path / CHECKPOINT, nn.Linear(2, 1)
    state = {"model": model, "adam": torch.optim.Adam(model.parameters())}
    save_checkpoint(path, state, History())
    tensors = read_tensors(path)[0]
    change(tensors)
    write_tensors(path, tensors, {})
    with pytest.raises(ValueError, match="is no checkpoint of this colorlib's training"):
        load_newest(tmp_path, state)
