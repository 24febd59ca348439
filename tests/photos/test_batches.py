"""batches: they are what they promise, and repeat exactly."""

import multiprocessing
import pickle
import random

import numpy as np
import pytest
import torch
from pictures import coloured, hwc, picture, save
from PIL import Image
from skimage.color import rgb2lab

from colorlib.photos import PhotoBatches, PhotoError, is_grey, read_photo, scan


def test_is_grey():
    grey = torch.randint(0, 256, (1, 50, 60), dtype=torch.uint8).expand(3, -1, -1)
    assert is_grey(grey)
    assert not is_grey(torch.from_numpy(picture()).permute(2, 0, 1))
    sepia = torch.stack([torch.full((30, 30), value, dtype=torch.uint8) for value in (130, 118, 100)])
    assert np.abs(rgb2lab(hwc(sepia))[..., 2]).mean() > 2 and not is_grey(sepia)
    half = torch.full((3, 400, 400), 128, dtype=torch.uint8)
    half[0, :, 200:] = 160
    assert not is_grey(half)


def lab_of(rgb8):
    lab = rgb2lab(hwc(rgb8))
    return lab[..., 0] / 50 - 1, lab[..., 1:] / 110


def test_batches_have_the_promised_shape_and_range():
    L, ab = next(PhotoBatches(coloured(), size=32, batch_size=9))
    assert L.shape == (9, 1, 32, 32) and ab.shape == (9, 2, 32, 32) and L.dtype == ab.dtype == torch.float32
    assert L.min() >= -1.001 and L.max() <= 1.001 and ab.abs().max() < 1.2


def test_centre_squares_are_the_photographs_lab():
    """No crop, no flip, right size: a batch is scikit-image's Lab of the photographs, each exactly once a
    pass."""
    squares = [photo[:, :32, :32] for photo in [torch.randint(0, 256, (3, 32, 32),
                                                              dtype=torch.uint8) for _ in range(5)]]
    L, ab = next(PhotoBatches(squares, size=32, batch_size=5, crop=False, flip=False))
    expected = [lab_of(square) for square in squares]
    seen = []
    for place in range(5):
        errors = [np.abs(L[place, 0].numpy() - one[0]).max() for one in expected]
        match = int(np.argmin(errors))
        seen.append(match)
        assert errors[match] < 0.01 / 50 * 2
        assert np.abs(ab[place].permute(1, 2, 0).numpy() - expected[match][1]).max() < 0.01 / 110 * 2
    assert sorted(seen) == list(range(5))


def test_windows_without_zoom_are_windows_of_the_photographs():
    ramp = torch.arange(64 * 80).reshape(64, 80)
    photo = torch.stack([ramp // 256, ramp % 256, ramp % 7]).to(torch.uint8)
    batches = PhotoBatches([photo], size=64, batch_size=64, zoom=1.0, flip=False)
    lefts, (L, _) = set(), next(batches)
    for one in L[:, 0].numpy():
        fits = [left for left in range(17) if np.abs(one - lab_of(photo[:, :,
                                                                        left:left + 64])[0]).max() < 5e-4]
        assert len(fits) == 1
        lefts.add(fits[0])
    assert lefts >= {0, 16} or len(lefts) > 12, "every place is reached, both ends included"


def test_a_photograph_one_pixel_larger_than_a_window_has_two_windows():
    photo = torch.randint(0, 256, (3, 16, 17), dtype=torch.uint8)
    L, _ = next(PhotoBatches([photo], size=16, batch_size=32, zoom=1.0, flip=False))
    assert len(L.flatten(1).unique(dim=0)) == 2


def test_zoomed_squares_stay_inside_and_keep_straight_lines():
    """A horizontal ramp stays a ramp: its slope tells the zoom, which lies between 1 and `zoom`."""
    width = 120
    photo = (torch.arange(width) * 2).to(torch.uint8).expand(3, 50, width).contiguous()
    crops = PhotoBatches([photo], size=40, batch_size=200, zoom=1.25, flip=False)
    windows = crops.windows(0, [photo] * 200)
    drawn = crops._random(2, 0).random((200, 4), dtype=np.float32)[:, :3]
    zoomed = crops.zoomed(windows, torch.from_numpy(drawn))
    slopes = (zoomed[:, 0, 0, 36].float() - zoomed[:, 0, 0, 4].float()) / 32 / 2
    assert slopes.min() >= 0.98 and slopes.max() <= 1.27 and slopes.std() > 0.04
    assert (zoomed.float().std(dim=2) == 0).all(), "rows are equal: nothing leaks in from elsewhere"


def test_flips_are_half_of_the_pictures():
    photo = torch.zeros(3, 16, 16, dtype=torch.uint8)
    photo[:, :, :8] = 255
    L, _ = next(PhotoBatches([photo], size=16, batch_size=400, zoom=1.0))
    mirrored = (L[:, 0, 0, 0] < 0).float().mean()
    assert 0.4 < mirrored < 0.6
    L, _ = next(PhotoBatches([photo], size=16, batch_size=50, zoom=1.0, flip=False))
    assert (L[:, 0, 0, 0] > 0).all()


def test_every_photograph_once_a_pass_in_new_order():
    flat = [torch.full((3, 8, 8), 10 * number, dtype=torch.uint8) for number in range(10)]
    batches = PhotoBatches(flat, size=8, batch_size=4)
    values = torch.cat([next(batches)[0][:, 0, 0, 0] for _ in range(10)]).reshape(4, 10)
    assert all(len(set(row.tolist())) == 10 for row in values)
    assert not torch.equal(values[0], values[1])


def test_seed_repeats_and_resume_continues():
    photographs = coloured()
    first = PhotoBatches(photographs, 24, 5, seed=3)
    expected = [next(first) for _ in range(6)]
    again = PhotoBatches(photographs, 24, 5, seed=3)
    for L, ab in expected[:3]:
        assert all(map(torch.equal, next(again), (L, ab)))
    state = pickle.loads(pickle.dumps(again.state_dict()))
    resumed = PhotoBatches(photographs, 24, 5, seed=99)
    resumed.load_state_dict(state)
    for pair in expected[3:]:
        assert all(map(torch.equal, next(resumed), pair))
    other = next(PhotoBatches(photographs, 24, 5, seed=4))
    assert not torch.equal(other[0], expected[0][0])
    torch.manual_seed(0)
    np.random.seed(0)
    random.seed(0)
    assert all(map(torch.equal, next(PhotoBatches(photographs, 24, 5, seed=3)), expected[0]))


@pytest.mark.parametrize(("argument", "value"), [("size", 0), ("batch_size", 0), ("seed", -1), ("zoom", 0.9)])
def test_wrong_arguments(argument, value):
    arguments = {"size": 8, "batch_size": 2, "seed": 0, "zoom": 1.0, argument: value}
    with pytest.raises(ValueError, match=f"{argument} is {value}"):
        PhotoBatches(coloured(), **arguments)
    with pytest.raises(ValueError, match="0 photographs"):
        PhotoBatches([], 8, 2)


@pytest.mark.parametrize("num_workers", [0, 2])
def test_streamed_batches_are_the_same_batches(folder, num_workers):
    paths = scan(folder)
    inside = PhotoBatches([read_photo(path).rgb for path in paths], 24, 4, seed=2)
    streamed = PhotoBatches(paths, 24, 4, seed=2, num_workers=num_workers)
    expected = [next(inside) for _ in range(7)]
    for pair in expected[:5]:
        assert all(map(torch.equal, next(streamed), pair))
    resumed = PhotoBatches(paths, 24, 4, num_workers=num_workers)
    resumed.load_state_dict(streamed.state_dict())
    for pair in expected[5:]:
        assert all(map(torch.equal, next(resumed), pair))
    streamed.close()
    del streamed, resumed
    assert not multiprocessing.active_children()


def test_batches_that_have_begun_go_back_to_a_state(folder):
    streamed = PhotoBatches(scan(folder), 16, 2, num_workers=1)
    state, expected = streamed.state_dict(), next(streamed)
    streamed.load_state_dict(state)
    assert all(map(torch.equal, next(streamed), expected))
    streamed.close()


def test_streaming_skips_bad_and_grey_files(folder):
    (folder / "0.png").write_bytes(b"nonsense")
    save(folder / "1.png", Image.new("L", (40, 40), 99))
    streamed = PhotoBatches(scan(folder), 16, 9, num_workers=0)
    for _ in range(3):
        L, _ = next(streamed)
        assert L.shape == (9, 1, 16, 16)
    assert {path.name: error.wrong.split()[1] for path, error in streamed.errors.items()} == {"0.png": "not", "1.png": "grey"}
    for path in scan(folder):
        path.write_bytes(b"nonsense")
    with pytest.raises(PhotoError, match="choose another folder"):
        next(PhotoBatches(scan(folder), 16, 4, num_workers=0))
