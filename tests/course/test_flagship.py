"""The long run of C26: its data, its measures and its updates are what the script says they are."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from colorlib.course.long import flagship, flagship_data
from colorlib.generators import num_parameters


@pytest.fixture(scope="module")
def pictures():
    draw = torch.Generator().manual_seed(0)
    colours = torch.rand(3, 8, 3, 9, 9, generator=draw)
    blocks = (colours * 255).byte().repeat_interleave(8, -1).repeat_interleave(8, -2)  # 72 x 72, of 8 x 8 squares
    return dict(zip(flagship_data.NUM, (list(part) for part in blocks)))


@pytest.fixture(scope="module")
def data(pictures):
    return flagship_data.Data.of(pictures, torch.device("cpu"))


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(flagship, "BATCH", 4)
    monkeypatch.setattr(flagship, "WARM_UP", 2)
    monkeypatch.setattr(flagship, "GENERATORS", {
        "U-Net": lambda: flagship.UNet(base_channels=4, levels=6, dropout=0.0, z_channels=flagship.Z),
        "residual U-Net": lambda: flagship.ResidualUNet(base_channels=8, blocks=1, z_channels=flagship.Z)})
    monkeypatch.setattr(flagship, "DISCRIMINATORS", {
        "pix2pix": lambda: flagship.PatchDiscriminator(receptive_field=34, base_channels=4),
        "WGAN-GP": lambda: flagship.Critic(receptive_field=34, base_channels=4)})


def test_both_generators_and_both_discriminators_are_of_one_size():
    for makes in (flagship.GENERATORS, flagship.DISCRIMINATORS):
        sizes = [num_parameters(make()) for make in makes.values()]
        assert max(sizes) < 1.05 * min(sizes)
    assert all(make().z_channels == flagship.Z for make in flagship.GENERATORS.values())


def test_a_pack_holds_the_pictures(tmp_path, pictures):
    flagship_data.write_pack(tmp_path / "pack.npz", pictures)
    again = flagship_data.read_pack(tmp_path / "pack.npz")
    for split, those in pictures.items():
        assert len(again[split]) == len(those)
        for one, other in zip(again[split], those):
            assert one.shape == (3, 72, 72)
            assert np.corrcoef(one.flatten(), other.flatten())[0, 1] > 0.8  # WebP halves the colours' resolution


def test_squares_take_folders_in_turn_and_leave_grey_out(tmp_path, monkeypatch):
    monkeypatch.setattr(flagship_data, "NUM", {"train": 6, "validation": 2, "test": 2})
    for folder, colour, num in (("a", (200, 40, 40), 60), ("b", (40, 40, 200), 20), ("grey", (90, 90, 90), 40)):
        (tmp_path / folder).mkdir()
        for k in range(num):
            Image.new("RGB", (90, 120), colour).save(tmp_path / folder / f"{folder}{k}.png")
    chosen = flagship_data.squares(tmp_path)
    assert {split: len(those) for split, those in chosen.items()} == flagship_data.NUM
    reds = sum(int(rgb[0, 0, 0] == 200) for rgb in chosen["train"])
    assert reds == 3 and all(rgb.shape == (3, 72, 72) for those in chosen.values() for rgb in those)


def test_a_batch_is_made_of_windows_of_the_training_pictures(data, small):
    run = flagship.Run(flagship.Variant("L1", "U-Net"), 0, (1e-3, 0.0), data)
    L, ab = run.batch()
    assert L.shape == (4, 1, 64, 64) and ab.shape == (4, 2, 64, 64)
    wholes = data.train.float().permute(0, 3, 1, 2)
    windows = torch.stack([whole[:, y : y + 64, x : x + 64] for whole in wholes for y in range(9) for x in range(9)])
    windows = torch.cat([windows, windows.flip(-1)])
    for picture in torch.cat([L, ab], 1):
        assert (windows - picture).abs().amax((1, 2, 3)).min() < 1e-6
    assert not torch.equal(L, run.batch()[0])


@pytest.mark.parametrize("loss", ["L1", "pix2pix", "WGAN-GP"])
def test_an_update_moves_its_own_network_and_a_run_repeats_itself(data, small, loss):
    def weights(network):
        return torch.cat([weight.detach().flatten() for weight in network.parameters()])

    ends = []
    for _ in range(2):
        run = flagship.Run(flagship.Variant(loss, "residual U-Net"), 3, (1e-3, 1e-3), data)
        before = weights(run.generator)
        if run.critic is not None:
            of_critic = weights(run.critic)
            run.update_critic()
            assert torch.equal(before, weights(run.generator)) and not torch.equal(of_critic, weights(run.critic))
            of_critic = weights(run.critic)
        run.update_generator()
        assert not torch.equal(before, weights(run.generator))
        assert run.critic is None or torch.equal(of_critic, weights(run.critic))
        ends.append(weights(run.generator))
    assert torch.equal(*ends)


def test_training_counts_its_updates_checks_and_lets_the_rates_fall(data, small):
    run = flagship.Run(flagship.Variant("WGAN-GP", "U-Net"), 0, (1e-3, 1e-3), data)
    done = {"critic": 0, "generator": 0}
    run.updates = [lambda: done.update(generator=done["generator"] + 1), lambda: done.update(critic=done["critic"] + 1)]
    assert flagship.train([run], 10, data, checks=5) == 10
    assert done == {"generator": 10, "critic": 10 * flagship.N_CRITIC + flagship.WARM_UP}
    assert len(run.curve) == 5
    assert float(run.optimizers[1].param_groups[0]["lr"]) == pytest.approx(2e-4, rel=1e-4)  # of step 9 of 10


def test_measures_of_colourings_whose_numbers_are_known(data):
    L, ab = data.test
    vivid = flagship_data.vividness(L, ab)
    right = flagship_data.measures(L, ab, ab + 1e-7, vivid)
    assert right["error"] < 1e-3 and right["detail"] > 0.999 and right["colourfulness"] == pytest.approx(1, abs=1e-3)
    pale = flagship_data.measures(L, 0.5 * ab, ab, vivid)
    assert pale["detail"] == pytest.approx(1, abs=1e-4) and pale["distance of colours"] > 5  # right places, too weak
    moved = flagship_data.measures(L, ab.roll(1, 0), ab, vivid)
    assert moved["distance of colours"] < 1e-3 and abs(moved["detail"]) < 0.3
    blurred = flagship_data.measures(L, ab - flagship_data.fine(ab), ab, vivid)
    assert blurred["detail"] < 0.9
    where = flagship_data.steepest(L)
    assert where.float().mean() == pytest.approx(0.1, abs=0.02)
    wrong = ab + where[:, None] * torch.tensor([0.3, 0.4])[:, None, None]  # at edges alone, by 55 units
    offset = flagship_data.measures(L, wrong, ab + 1e-9, vivid)
    assert offset["error"] == pytest.approx(55 * float(where.float().mean()), rel=1e-3)
    assert offset["edges / elsewhere"] > 1e3


def test_the_rates_are_those_with_the_least_sum_and_no_failure(tmp_path, monkeypatch):
    monkeypatch.setenv("COLORLIB_RESULTS", str(tmp_path))
    searched = flagship.ResultFile("lr.json", {})
    for lr, error, distance, failed in ((1e-4, 10.0, 5.0, 0.0), (1e-3, 11.0, 2.0, 0.0), (1e-2, 5.0, 1.0, 1.0)):
        variant = flagship.Variant("pix2pix", "U-Net")
        searched.add(flagship.pilot_name(variant, (lr, lr)), 100, {
            "error": error, "distance of colours": distance, "failed": failed, "lr of the generator": lr,
            "lr of the discriminator": lr})
    assert flagship.found(searched.record["runs"]) == {("pix2pix", "U-Net"): (1e-3, 1e-3)}
    assert len(flagship.pilots()) == len(set(flagship.pilots())) == 2 * 3 + 4 * 9


def test_the_command_from_pictures_to_results_and_on_after_an_interruption(tmp_path, pictures, small, monkeypatch):
    flagship_data.write_pack(tmp_path / "pack.npz", pictures)
    monkeypatch.setenv("COLORLIB_RESULTS", str(tmp_path))
    monkeypatch.setattr(flagship, "SEARCHED", {"generator": (1e-3,), "discriminator": (1e-3,)})
    monkeypatch.setattr(flagship, "device", lambda: torch.device("cpu"))
    monkeypatch.setattr(flagship, "CHECKS", 8)
    options = ["--pack", str(tmp_path / "pack.npz"), "--updates", "9", "--seeds", "1"]
    monkeypatch.setattr("sys.argv", ["flagship", *options])
    flagship.main()
    record = json.loads((tmp_path / "flagship.json").read_text())
    assert {run["name"] for run in record["runs"]} == {str(variant) for variant in flagship.VARIANTS + flagship.LESS}
    assert all(run["updates"] == 9 and run["error"] > 0 for run in record["runs"])
    assert len(record["curves"]["WGAN-GP, U-Net"]["0"]) == 8 and record["grey"]["colourfulness"] < 1e-3
    assert len(list(tmp_path.glob("*.safetensors"))) == len(flagship.VARIANTS)
    monkeypatch.setattr(flagship, "train", lambda *_, **__: pytest.fail("a run was repeated"))
    flagship.main()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="CUDA graphs need a GPU")
def test_a_graph_repeats_the_update_with_other_pictures(pictures, small):
    data = flagship_data.Data.of(pictures, torch.device("cuda"))
    run = flagship.Run(flagship.Variant("WGAN-GP", "residual U-Net"), 0, (1e-3, 1e-3), data)
    run.capture()
    ends = []
    for _ in range(3):
        run.step()
        torch.cuda.synchronize()
        ends.append(run.generator.exit.weight.detach().clone())
    assert not torch.equal(ends[0], ends[1]) and not torch.equal(ends[1] - ends[0], ends[2] - ends[1])
