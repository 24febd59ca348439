"""datasets: downloads are stated, resumed, verified; archives cannot leave their folder. Everything on
loopback."""

import gzip
import hashlib
import io
import os
import tarfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from PIL import Image

from colorlib.photos import PhotoError, datasets, downloads, source
from colorlib.photos.datasets import DATASETS, Dataset, downloads_folder, obtain
from colorlib.photos.downloads import fetch, unpack

DATA = bytes(range(256)) * 12_000   # 3 MB: three chunks


class Server:
    """Serves one file on loopback; misbehaves as told, and remembers what was asked."""

    def __init__(self):
        self.data, self.ranges, self.cut, self.status, self.length = DATA, True, [], None, True
        self.asked = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                outer.answer(self)

            def log_message(self, *_):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}/set.tgz"
        threading.Thread(target=self.http.serve_forever, args=(0.01,), daemon=True).start()

    def answer(self, handler):
        wanted = handler.headers.get("Range")
        self.asked.append(wanted)
        if self.status:
            handler.send_error(self.status)
            return
        start = int(wanted.split("=")[1].split("-")[0]) if wanted and self.ranges else 0
        if start and start >= len(self.data):
            handler.send_response(416)
            handler.send_header("Content-Range", f"bytes */{len(self.data)}")
            handler.end_headers()
            return
        handler.send_response(206 if wanted and self.ranges else 200)
        body = self.data[start:]
        if wanted and self.ranges:
            handler.send_header("Content-Range", f"bytes {start}-{len(self.data) - 1}/{len(self.data)}")
        if self.length:
            handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body[:self.cut.pop(0)] if self.cut else body)


@pytest.fixture
def server():
    server = Server()
    yield server
    server.http.shutdown()
    server.http.server_close()


def md5(data):
    return hashlib.md5(data).hexdigest()


def quiet(_):
    pass


def test_download_is_stated_before_and_verified_after(server, tmp_path):
    said = []
    path = fetch(server.url, tmp_path / "deep" / "set.tgz", size=len(DATA), md5=md5(DATA), title="A set",
                 say=lambda line: said.append((line, len(server.asked),
                                               (tmp_path / "deep" / "set.tgz").exists())))
    assert path.read_bytes() == DATA
    (line, _, existed), = said
    assert "A set: 3 MB" in line and server.url in line and not existed
    assert [item.name for item in path.parent.iterdir()] == ["set.tgz"]
    fetch(server.url, path, size=len(DATA), md5=md5(DATA), say=quiet)
    assert len(server.asked) == 1, "a finished file is not downloaded again"


@pytest.mark.parametrize("ranges", [True, False])
def test_broken_transfer_is_continued(server, tmp_path, ranges):
    server.ranges, server.cut = ranges, [1_500_000, 700_000]
    path = fetch(server.url, tmp_path / "set.tgz", md5=md5(DATA), say=quiet)
    assert path.read_bytes() == DATA
    assert server.asked[1] == "bytes=1500000-" and len(server.asked) == 3
    if ranges:
        assert server.asked[2] == "bytes=2200000-"


def test_transfer_that_keeps_breaking_is_kept_for_the_next_call(server, tmp_path):
    server.cut = [100_000] * downloads.TRIES
    with pytest.raises(PhotoError, match="broke off.*continues where it stopped"):
        fetch(server.url, tmp_path / "set.tgz", size=len(DATA), md5=md5(DATA), say=quiet)
    assert not (tmp_path / "set.tgz").exists()
    assert (tmp_path / "set.tgz.part").stat().st_size == 100_000 * downloads.TRIES
    said = []
    assert fetch(server.url, tmp_path / "set.tgz", len(DATA), md5(DATA), say=said.append).read_bytes() == DATA
    assert "here already" in said[0] and server.asked[-1] == f"bytes={100_000 * downloads.TRIES}-"


def test_interrupt_keeps_what_is_there(server, tmp_path, monkeypatch):
    def interrupted(answer, part, have, total, title):
        part.write_bytes(answer.read(1000))
        raise KeyboardInterrupt
    with monkeypatch.context() as patch:
        patch.setattr(downloads, "_append", interrupted)
        with pytest.raises(KeyboardInterrupt):
            fetch(server.url, tmp_path / "set.tgz", say=quiet)
    assert fetch(server.url, tmp_path / "set.tgz", md5=md5(DATA), say=quiet).read_bytes() == DATA
    assert server.asked[-1] == "bytes=1000-"


def test_wrong_part_is_discarded_and_downloaded_anew(server, tmp_path):
    (tmp_path / "set.tgz.part").write_bytes(b"of another version" * 1000)
    assert fetch(server.url, tmp_path / "set.tgz", md5=md5(DATA), say=quiet).read_bytes() == DATA
    (tmp_path / "two.part").write_bytes(b"x" * (len(DATA) + 5))   # longer than the file can be
    assert fetch(server.url, tmp_path / "two", md5=md5(DATA), say=quiet).read_bytes() == DATA
    (tmp_path / "three.part").write_bytes(DATA)                   # complete, only not yet renamed
    assert fetch(server.url, tmp_path / "three", md5=md5(DATA), say=quiet).read_bytes() == DATA


@pytest.mark.parametrize("check", [{"md5": md5(b"else")}, {"md5_first_mib": md5(b"else")}])
def test_wrong_checksum_leaves_nothing(server, tmp_path, check):
    with pytest.raises(PhotoError, match="checksum.*is required.*nothing was kept"):
        fetch(server.url, tmp_path / "set.tgz", say=quiet, **check)
    assert not list(tmp_path.iterdir())


def test_checksum_of_the_first_mib(server, tmp_path):
    first = md5(DATA[:1 << 20])
    assert fetch(server.url, tmp_path / "set.tgz", md5_first_mib=first, say=quiet).read_bytes() == DATA


def test_damaged_finished_file_is_replaced(server, tmp_path):
    (tmp_path / "set.tgz").write_bytes(DATA[:-1])
    assert fetch(server.url, tmp_path / "set.tgz", size=len(DATA), say=quiet).read_bytes() == DATA


def test_wrong_size_and_refusals(server, tmp_path):
    with pytest.raises(PhotoError, match="3,072,000 bytes, 17 are required"):
        fetch(server.url, tmp_path / "a", size=17, say=quiet)
    server.status = 404
    with pytest.raises(PhotoError, match="404"):
        fetch(server.url, tmp_path / "b", say=quiet)
    assert len(server.asked) == 2, "what is refused is not asked for again"
    server.status = 503
    with pytest.raises(PhotoError, match="503"):
        fetch(server.url, tmp_path / "b", say=quiet)
    with pytest.raises(PhotoError, match="not http"):
        fetch("file:///etc/passwd", tmp_path / "c", say=quiet)
    server.http.shutdown()
    server.http.server_close()
    with pytest.raises(PhotoError, match="check the network"):
        fetch(server.url, tmp_path / "d", say=quiet)
    assert not list(tmp_path.iterdir())


def test_full_disk_is_told_before_the_download(server, tmp_path, monkeypatch):
    monkeypatch.setattr(downloads.shutil, "disk_usage", lambda _: type("", (), {"free": 1_000_000}))
    with pytest.raises(PhotoError, match="GB are free"):
        fetch(server.url, tmp_path / "set.tgz", say=quiet)


def test_size_unknown_is_said(server, tmp_path):
    server.length, said = False, []
    assert fetch(server.url, tmp_path / "set.tgz", md5=md5(DATA), say=said.append).read_bytes() == DATA
    assert "size unknown" in said[0]


# ------------------------------------------------------------------------------------------------ unpacking


def archive(path, members, mode="w:gz"):
    with tarfile.open(path, mode) as tar:
        for name, content in members:
            info = name if isinstance(name, tarfile.TarInfo) else tarfile.TarInfo(name)
            if isinstance(content, bytes):
                info.size = len(content)
            tar.addfile(info, io.BytesIO(content) if content is not None else None)
    return path


def special(name, kind, target=""):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_unpack(tmp_path, mode):
    path = archive(tmp_path / "a", [(special("set", tarfile.DIRTYPE), None), ("set/one.txt", b"1"),
                                    ("set/deep/two.txt", b"22"), ("./set/three.txt", b"")], mode)
    unpack(path, tmp_path / "out")
    found = {file.relative_to(tmp_path / "out").as_posix(): file.read_bytes()
             for file in (tmp_path / "out").rglob("*") if file.is_file()}
    assert found == {"set/one.txt": b"1", "set/deep/two.txt": b"22", "set/three.txt": b""}
    assert sorted(item.name for item in tmp_path.iterdir()) == ["a", "out"]


@pytest.mark.parametrize("evil", [
    ("../evil.txt", b"x"), ("set/../../evil.txt", b"x"), ("/tmp/evil.txt", b"x"), ("C:/evil.txt", b"x"),
    ("..\\evil.txt", b"x"), (special("link", tarfile.SYMTYPE, "/etc"), None),
    (special("hard", tarfile.LNKTYPE, "set/one.txt"), None), (special("pipe", tarfile.FIFOTYPE), None),
    (special("device", tarfile.CHRTYPE), None), (special("disk", tarfile.BLKTYPE), None),
    ("set/one.txt", b"twice")])
def test_archives_that_leave_their_folder_are_refused_whole(tmp_path, evil):
    inner = tmp_path / "deep" / "deeper"
    inner.mkdir(parents=True)
    path = archive(inner / "a.tgz", [("set/one.txt", b"1"), evil, ("set/two.txt", b"2")])
    with pytest.raises(PhotoError):
        unpack(path, inner / "out")
    files = [file for file in tmp_path.rglob("*") if not file.is_dir()]
    assert files == [path], "nothing was left anywhere"


def test_link_then_file_through_it(tmp_path):
    path = archive(tmp_path / "a.tgz", [(special("out", tarfile.SYMTYPE, str(tmp_path)), None),
                                        ("out/evil.txt", b"x")])
    with pytest.raises(PhotoError, match="link or a device"):
        unpack(path, tmp_path / "to")
    assert [item.name for item in tmp_path.iterdir()] == ["a.tgz"]


def test_unpacking_is_bounded_and_damage_is_seen(tmp_path):
    zeros = archive(tmp_path / "bomb.tgz", [("zeros", bytes(10_000_000))])
    with pytest.raises(PhotoError, match="unpacks to over"):
        unpack(zeros, tmp_path / "out", max_bytes=5_000_000)
    many = archive(tmp_path / "many.tgz", [(f"f{number}", b"") for number in range(50)])
    with pytest.raises(PhotoError, match="49 files"):
        unpack(many, tmp_path / "out", max_files=49)
    good = archive(tmp_path / "good.tgz", [("one.txt", os.urandom(50_000)), ("two.txt", b"2")]).read_bytes()
    for number, data in enumerate((good[:len(good) // 2], good[:-6], good[:-8] + b"\0\0\0\0" + good[-4:],
                                   b"nonsense", b"", good[:900] + b"\xff" + good[901:])):
        (tmp_path / "bad.tgz").write_bytes(data)
        with pytest.raises(PhotoError, match="cannot be unpacked"):
            unpack(tmp_path / "bad.tgz", tmp_path / f"out{number}")
        assert not (tmp_path / f"out{number}").exists()
    assert sorted(item.name for item in tmp_path.iterdir()) == ["bad.tgz", "bomb.tgz", "good.tgz", "many.tgz"]
    with gzip.open(tmp_path / "good.tgz") as file:
        assert file.read(1)


# ------------------------------------------------------------------------------------------------ by name


@pytest.fixture
def served(server, tmp_path, monkeypatch):
    """The dataset 'imagenette', of twelve small photographs, on loopback."""
    members = []
    for number in range(12):
        buffer = io.BytesIO()
        Image.new("RGB", (30 + number, 40), (200, 10 * number, 40)).save(buffer, "PNG")
        members.append((f"imagenette2-160/train/n{number % 3}/photo_{number}.png", buffer.getvalue()))
    members.append(("imagenette2-160/._photo_1.png", b"a Macintosh left this"))
    server.data = archive(tmp_path / "made.tgz", members).read_bytes()
    (tmp_path / "made.tgz").unlink()
    dataset = Dataset("Imagenette", server.url, size=len(server.data),
                      md5_first_mib=md5(server.data[:1 << 20]))
    monkeypatch.setitem(datasets.DATASETS, "imagenette", dataset)
    monkeypatch.setattr(datasets, "downloads_folder", lambda: tmp_path / "downloads")
    monkeypatch.delenv("COLORLIB_PHOTOS", raising=False)
    return server


def test_source_by_name(served, tmp_path, capsys):
    chosen = source("imagenette", short_side=16)
    assert "Imagenette: 0 MB to download" in capsys.readouterr().out
    assert chosen.name == "imagenette" and "photographs from imagenette" in chosen.note
    assert len(chosen.train) + len(chosen.validation) + len(chosen.test) == 12 and not chosen.errors
    assert source("imagenette", short_side=16).files == chosen.files
    assert len(served.asked) == 1, "the second time nothing is asked of the server"
    assert [item.name for item in (tmp_path / "downloads").iterdir()] == ["set"], "the archive is gone"


def test_source_by_name_tells_why_it_failed(served):
    served.status = 404
    with pytest.raises(PhotoError, match="404.*samples"):
        source("imagenette")


def test_obtain_discards_an_archive_that_cannot_be_unpacked(served, tmp_path):
    served.data = served.data[:-9] + b"123456789"
    dataset = Dataset("broken", served.url, size=len(served.data))
    with pytest.raises(PhotoError, match="cannot be unpacked"):
        obtain(dataset, tmp_path / "d", say=quiet)
    assert not list((tmp_path / "d").iterdir())


def test_downloads_folder(monkeypatch, tmp_path):
    assert downloads_folder().parts[-2:] == ("data", "downloads")
    monkeypatch.setattr(datasets, "__file__", str(tmp_path / "site-packages" / "colorlib" / "photos" / "datasets.py"))
    monkeypatch.setattr(datasets.sys, "platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert downloads_folder() == tmp_path / "cache" / "colorlib"


def test_addresses_and_checksums_are_those_of_torchvision():
    from torchvision.datasets import Flowers102, Places365
    name, checksum = Flowers102._file_dict["image"]
    assert DATASETS["flowers102"].url == Flowers102._download_url_prefix + name
    assert DATASETS["flowers102"].md5 == checksum
    name, checksum = Places365._IMAGES_META["val", True]
    assert DATASETS["places365"].url == Places365._BASE_URL + name and DATASETS["places365"].md5 == checksum


def test_addresses_and_checksums_are_those_of_fastai():
    """fastai's own table, read from its source: importing fastai would take seconds."""
    import ast
    import importlib.util
    spec = importlib.util.find_spec("fastai")
    if spec is None:
        pytest.skip("fastai is not installed")
    folder = os.path.dirname(spec.origin)
    with open(os.path.join(folder, "data", "download_checks.py"), encoding="utf-8") as file:
        checks = ast.literal_eval(file.read())
    for name in ("imagenette", "coco_sample"):
        dataset = DATASETS[name]
        assert checks[dataset.url] == (dataset.size, dataset.md5_first_mib)
