"""Datasets by name: torchvision downloads and unpacks them; here from a server on loopback."""

import hashlib
import io
import tarfile
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import pytest
import torchvision.datasets
from PIL import Image

from colorlib import runtime
from colorlib.photos import PhotoError, source
from colorlib.photos.sources import DATASETS, download


def archive(path, name="imagenette2-160/train/n01440764/photo_{}.JPEG", num=12):
    with tarfile.open(path, "w:gz") as tar:
        for number in range(num):
            buffer = io.BytesIO()
            Image.new("RGB", (30 + number, 40), (200, 10 * number, 40)).save(buffer, "JPEG")
            info = tarfile.TarInfo(name.format(number))
            info.size = len(buffer.getvalue())
            tar.addfile(info, io.BytesIO(buffer.getvalue()))
    return path


@pytest.fixture
def served(tmp_path, monkeypatch):
    """A server of the files in a folder, which it remembers the requests for; downloads land in tmp_path/cache."""
    files, asked = tmp_path / "served", []
    files.mkdir()

    class Handler(SimpleHTTPRequestHandler):
        def log_request(self, *_):
            asked.append((self.command, self.path))

        def log_message(self, *_):
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(files)))
    threading.Thread(target=http.serve_forever, args=(0.01,), daemon=True).start()
    monkeypatch.setattr("colorlib.photos.sources.checkout", lambda: None)
    monkeypatch.setattr("platformdirs.user_cache_dir", lambda name: str(tmp_path / "cache" / name))
    url = f"http://127.0.0.1:{http.server_port}/imagenette2-160.tgz"
    monkeypatch.setitem(DATASETS, "imagenette", (url, DATASETS["imagenette"][1]))
    monkeypatch.setattr("colorlib.photos.sources.COCO_SAMPLE", url)
    monkeypatch.setitem(DATASETS, "coco_sample", (url, DATASETS["coco_sample"][1]))
    path = archive(files / "imagenette2-160.tgz")
    md5 = hashlib.md5(path.read_bytes()).hexdigest()
    monkeypatch.setitem(torchvision.datasets.Imagenette._ARCHIVES, "160px", (url, md5))
    yield SimpleNamespace(archive=path, asked=asked, cache=tmp_path / "cache" / "colorlib")
    http.shutdown()
    http.server_close()


@pytest.mark.parametrize("name", ["imagenette", "coco_sample"])
def test_a_dataset_is_downloaded_once_after_its_size_was_printed(served, capsys, name):
    chosen = source(name, short_side=16)
    printed = capsys.readouterr().out
    assert printed.startswith(f"{name}: 0 MB to download from http://127.0.0.1")
    assert served.asked[0][0] == "HEAD" and served.asked[-1][0] == "GET"
    assert len(chosen.train) + len(chosen.validation) + len(chosen.test) == 12 and not chosen.errors
    num = len(served.asked)
    assert list(source(name, short_side=16).files["train"]) == list(chosen.files["train"]) and len(served.asked) == num
    assert [path.name for path in served.cache.iterdir()] == [name]
    assert not list(served.cache.rglob("*.tgz")), "the archive is deleted"


def test_wrong_checksum_damage_and_refusal_are_one_sentence_and_leave_nothing(served):
    whole = served.archive.read_bytes()
    served.archive.write_bytes(whole[:len(whole) // 2])
    for name in ("imagenette", "coco_sample"):   # the first has a checksum, the second ends early
        with pytest.raises(PhotoError, match=f"{name} cannot be downloaded from http.*check the network"):
            download(name)
    served.archive.unlink()
    with pytest.raises(PhotoError, match="404.*or choose one of samples"):
        source("imagenette")
    assert not list(served.cache.iterdir())


def test_an_archive_cannot_leave_its_folder(served):
    archive(served.archive, name="../evil_{}.png")
    with pytest.raises(PhotoError, match="outside"):
        download("coco_sample")
    assert not list(served.cache.iterdir()) and not list(served.cache.parent.rglob("evil*"))


@pytest.mark.parametrize("kind, target", [(tarfile.SYMTYPE, "../../evil"), (tarfile.LNKTYPE, "/etc/hostname"),
                                          (tarfile.SYMTYPE, "/etc/hostname"), (tarfile.FIFOTYPE, "")])
def test_an_archive_brings_no_links_to_elsewhere_and_no_devices(served, kind, target):
    with tarfile.open(served.archive, "w:gz") as tar:
        member = tarfile.TarInfo("photos/link.jpg")
        member.type, member.linkname = kind, target
        tar.addfile(member)
    with pytest.raises(PhotoError, match="cannot be downloaded"):
        download("coco_sample")
    assert not list(served.cache.iterdir())


def test_an_interrupted_download_starts_anew(served, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt
    with monkeypatch.context() as patch:
        patch.setattr(torchvision.datasets, "Imagenette", interrupted)
        with pytest.raises(KeyboardInterrupt):
            download("imagenette")
    assert not list(served.cache.iterdir())
    (served.cache / "imagenette.part").mkdir()   # a killed process leaves this
    (served.cache / "imagenette.part" / "half.png").touch()
    assert len(list(download("imagenette").rglob("*.JPEG"))) == 12


def test_the_other_two_are_torchvisions(served, monkeypatch):
    calls = {}
    for name, kind in (("flowers102", "Flowers102"), ("places365", "Places365")):
        monkeypatch.setitem(DATASETS, name, (DATASETS["imagenette"][0], DATASETS[name][1]))
        monkeypatch.setattr(torchvision.datasets, kind, lambda root, kind=kind, **options: calls.update({kind: options}))
        assert download(name) == served.cache / name
    assert calls == {"Flowers102": {"download": True}, "Places365": {"split": "val", "small": True, "download": True}}


def test_downloads_stay_in_a_checkout_or_go_to_the_cache(monkeypatch, tmp_path):
    (tmp_path / "data" / "downloads" / "imagenette").mkdir(parents=True)
    monkeypatch.setattr("colorlib.photos.sources.checkout", lambda: tmp_path)
    assert download("imagenette") == tmp_path / "data" / "downloads" / "imagenette"
    assert runtime.checkout() is not None


def test_the_stated_sizes_are_those_of_the_files_that_torchvision_loads():
    from torchvision.datasets import Flowers102, Imagenette, Places365

    urls = {name: url for name, (url, _) in DATASETS.items()}
    assert urls["imagenette"] == Imagenette._ARCHIVES["160px"][0]
    assert urls["flowers102"] == Flowers102._download_url_prefix + Flowers102._file_dict["image"][0]
    assert urls["places365"] == Places365._BASE_URL + Places365._IMAGES_META["val", True][0]
