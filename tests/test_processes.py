"""Two processes train as one: the same losses and weights, for each kind of training; and one may go on for two."""

import json
import os
import signal
import socket
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import psutil
import pytest
import torch

from colorlib import processes
from colorlib.cli import main
from colorlib.discriminators import Critic, PatchDiscriminator
from colorlib.generators import ResidualUNet, UNet, pretrained_unet
from colorlib.losses import GradientPenalty, Wasserstein
from colorlib.photos import PhotoBatches, encode_photo, split_of
from colorlib.training import fit
from colorlib.training.recipe import Recipe, train_colorizer
from colorlib.training.weights import read_tensors

KINDS, RESUMED = ("pix2pix", "wgan-gp", "colorizer"), "resumed"


def batches(batch_size=16):
    random = torch.Generator().manual_seed(0)
    photos = [torch.randint(0, 256, (3, 40, 44), dtype=torch.uint8, generator=random) for _ in range(24)]
    return PhotoBatches(photos, 32, batch_size, seed=3, zoom=1.25, share=processes.share())


class Double:
    """Batches in float64, in which rounding is far below Adam's epsilon: in float32 Adam turns the rounding of a
    gradient that is 0, as of a bias before a batch norm, into steps of the learning rate."""

    def __init__(self):
        self.batches = batches()
        self.state_dict, self.load_state_dict = self.batches.state_dict, self.batches.load_state_dict

    def __next__(self):
        return tuple(part.double() for part in next(self.batches))


def train(kind, out, num_steps=4, resume=False, **options):
    """A few steps with all that could differ in two processes: batch norm, dropout, penalty, z, augmentation."""
    torch.manual_seed(5)
    if kind == "colorizer":
        rule = Recipe(pretraining=2, adversarial=num_steps - 2, batch_size=16, adversarial_batch_size=16,
                      sizes=(32, 24), adversarial_sizes=(32, 24), num_critics=1, widths=(8,) * 5, blocks=(1,) * 5,
                      imagenet=False, lr=1e-3)
        return train_colorizer(rule, batches, out, resume=resume, progress=False, **options)
    adversary = {"discriminator": PatchDiscriminator(receptive_field=16, base_channels=4)}
    generator = UNet(base_channels=4, levels=4, dropout=0.5)
    if kind == "wgan-gp":
        generator = ResidualUNet(base_channels=4, levels=2)
        adversary = {"discriminator": Critic(receptive_field=16, base_channels=4), "adversarial": Wasserstein(),
                     "lipschitz": GradientPenalty(), "n_critic": 2}
    generator.double(), adversary["discriminator"].double()
    return fit(generator, Double(), num_steps=num_steps, out=out, resume=resume, lr=1e-3, progress=False, **adversary,
               **options)


def narrow():
    """The recipe's encoder with as many stages, each of one narrow block: it computes in a tenth of the time."""
    pretrained_unet.STAGES = tuple((1, kernel, stride, 8, 1) for _, kernel, stride, _, _ in pretrained_unet.STAGES)
    pretrained_unet.STEM = 8


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(pretrained_unet, "STAGES", pretrained_unet.STAGES)
    monkeypatch.setattr(pretrained_unet, "STEM", pretrained_unet.STEM)
    narrow()


def environment(**more):
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path), **more}


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return str(free.getsockname()[1])


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """Folders of runs of two processes, which are started as torchrun starts them: of each kind, and of one that goes on."""
    out, common = tmp_path_factory.mktemp("two"), {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": free_port(), "WORLD_SIZE": "2"}
    train("wgan-gp", out / RESUMED, num_steps=2)
    processes = [subprocess.Popen([sys.executable, __file__, out], env=environment(RANK=rank, LOCAL_RANK=rank, **common),
                                  stderr=subprocess.PIPE, text=True) for rank in "01"]
    try:
        errors = [process.communicate(timeout=300)[1] for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert [process.returncode for process in processes] == [0, 0], errors
    return out


def furthest(one, other):
    """The largest difference of two checkpoints, and where it is."""
    return max(((value.double() - other[name].double()).abs().max().item(), name) for name, value in one.items()
               if value.dtype.is_floating_point)


@pytest.mark.parametrize("kind", KINDS)
def test_two_processes_train_as_one(kind, two, tmp_path):
    history = train(kind, tmp_path)
    tensors, metadata = read_tensors(tmp_path / "checkpoint.safetensors")
    others, other_metadata = read_tensors(two / kind / "checkpoint.safetensors")
    assert set(tensors) == set(others)
    losses = json.loads((two / kind / "history.json").read_text())["losses"]
    for name, values in history.losses.items():
        assert losses[name] == pytest.approx(values, rel=1e-3, abs=1e-4), name
    assert furthest(tensors, others)[0] < (1e-3 if kind == "colorizer" else 1e-8), furthest(tensors, others)
    assert torch.equal(tensors["random/cpu"], others["random/cpu"])  # one may go on where two stopped


def test_two_processes_go_on_where_one_stopped(two, tmp_path):
    train("wgan-gp", tmp_path, num_steps=4)
    straight, pieces = (read_tensors(out / "checkpoint.safetensors")[0] for out in (tmp_path, two / RESUMED))
    assert furthest(straight, pieces)[0] < 1e-8, furthest(straight, pieces)


@pytest.fixture
def folder(tmp_path):
    """Twenty photographs and one damaged file, also as two shards."""
    place = tmp_path / "photos"
    place.mkdir()
    for number, photo in enumerate(batches().photos[:20]):
        (place / f"p{number}.png").write_bytes(encode_photo(photo, "PNG"))
    damaged = next(f"bad{number}.jpg" for number in range(99) if split_of(f"bad{number}.jpg") == "train")
    (place / damaged).write_bytes(b"nonsense")
    (tmp_path / "shards").mkdir()
    for number in range(2):
        with tarfile.open(tmp_path / "shards" / f"{number}.tar", "w") as archive:
            for path in sorted(place.iterdir())[number::2]:
                archive.add(path, path.name)
    return place


def command(photos, out, *more):
    return ["train", "--photos", str(photos), "--out", str(out), "--recipe", "tiny", "--size", "16", *map(str, more)]


def test_colorlib_train_runs_unchanged_under_accelerate_launch(folder, tmp_path, capfd):
    """From shards and with workers; one process writes and prints."""
    where = tmp_path / "shards" / "{0..1}.tar"
    launch = [sys.executable, "-m", "accelerate.commands.launch", "--num_processes=2", "--num_machines=1", "--mixed_precision=no",
              "--dynamo_backend=no", f"--main_process_port={free_port()}",
              "--multi_gpu"]  # without it it starts one process where there is no GPU
    done = subprocess.run([*launch, "-m", "colorlib.cli", *command(where, tmp_path / "two", "--steps", 6, "--workers", 1)],
                          env=environment(), capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    with pytest.raises(SystemExit):
        main(command(where, tmp_path / "one", "--steps", 6, "--workers", 0))
    alone = capfd.readouterr()
    one, two = (read_tensors(tmp_path / name / "checkpoint.safetensors")[0] for name in ("one", "two"))
    assert furthest(one, two)[0] < 2e-3, furthest(one, two)
    assert [line.split(", l1")[0].replace("two", "one") for line in done.stdout.splitlines()] == [
        "training in 2 processes, which share every batch", *(line.split(", l1")[0] for line in alone.out.splitlines())]
    assert (tmp_path / "two" / "left_out.txt").read_text() == (tmp_path / "one" / "left_out.txt").read_text()
    assert "left out: 1 files, named in" in alone.err


def test_a_signal_to_one_process_stops_all_after_the_same_step(folder, tmp_path):
    out = tmp_path / "run"
    launcher = subprocess.Popen(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2", "-m", "colorlib.cli",
         *command(folder, out, "--steps", 10**6, "--every", 5)], env=environment(), stderr=subprocess.PIPE, text=True)
    try:
        end = time.monotonic() + 200
        while not (out / "checkpoint.safetensors").exists() and time.monotonic() < end and launcher.poll() is None:
            time.sleep(0.2)
        other = next(one for one in psutil.Process(launcher.pid).children() if one.environ().get("RANK") == "1")
        other.send_signal(signal.SIGTERM)
        errors = launcher.communicate(timeout=100)[1]
    finally:
        launcher.kill()
    steps = json.loads((out / "history.json").read_text())["steps"]
    assert f"colorlib: stopped after step {steps} of 1000000; to go on, add --resume" in errors, errors[-2000:]
    assert not (out / "lock").exists()


if __name__ == "__main__":
    narrow()
    for name in (*KINDS, RESUMED):
        train("wgan-gp" if name == RESUMED else name, Path(sys.argv[1], name), resume=name == RESUMED)
