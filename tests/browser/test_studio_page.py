"""The page of `make studio`: what is seen in it, who may see it, and what is left after it is closed."""

import contextlib
import http.client
import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path

import axe_playwright_python
import psutil
import pytest
from PIL import Image

from . import real_jupyter as jupyter

AFTER = ".colorlib-board img.after"
MEGABYTES = 2**20
COUNTED = """window.alive = 0;
    for (const [name, change] of [["createObjectURL", 1], ["revokeObjectURL", -1]]) {
        const real = URL[name].bind(URL);
        URL[name] = (what) => ((window.alive += change), real(what));
    }"""
SECRET = b"This sentence is in the upload and must be in no file. "


class Page:
    """scripts/studio.py with a home and a temporary folder of its own, so that every file that it writes is found."""

    def __init__(self, folder: Path):
        self.folder = folder
        for name in ("home", "tmp", "cwd"):
            (folder / name).mkdir()
        with open(folder / "log", "w") as log:
            self.process = start(folder, stderr=log)
        line = self.process.stdout.readline()
        assert line.startswith("The studio: "), line + self.errors()
        self.address = line.split()[-1]
        self.port = int(re.search(r":(\d+)/", self.address)[1])

    def errors(self) -> str:
        return (self.folder / "log").read_text()

    def files(self) -> list[Path]:
        return sorted(path for path in self.folder.rglob("*") if path.is_file() and path.name != "log")

    def stop(self) -> int:
        self.process.send_signal(signal.SIGINT)
        try:
            return self.process.wait(jupyter.SOON)
        finally:
            self.process.kill()


def start(folder: Path, *arguments: str, **options) -> subprocess.Popen:
    environment = os.environ | {
        "HOME": str(folder / "home"), "TMPDIR": str(folder / "tmp"), "PYTHONPATH": str(jupyter.ROOT),
        "PYTHONDONTWRITEBYTECODE": "1",
    }  # fmt: skip
    script = jupyter.ROOT / "scripts" / "studio.py"
    return subprocess.Popen([sys.executable, str(script), "--no-browser", *arguments], cwd=folder / "cwd",
                            env=environment | options.pop("more", {}), stdout=subprocess.PIPE, text=True, **options)  # fmt: skip


def answers(address: str, port: int) -> bool:
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as client:
        client.settimeout(2)
        return client.connect_ex((address, port)) == 0


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = Page(tmp_path_factory.mktemp("page"))
    yield server
    server.stop()


@pytest.fixture(scope="module")
def opened(server, browser):
    """The page with its picture. One for all tests: each begins where the one before ended."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(1000 * jupyter.SOON)
    page, page.elsewhere, page.problems = context.new_page(), [], jupyter.Problems()
    page.problems.watch(page)
    own = (server.address.split("?")[0], "data:", "blob:")
    page.on("request", lambda request: request.url.startswith(own) or page.elsewhere.append(request.url))
    page.add_init_script(COUNTED + """window.shift = 0;
        new PerformanceObserver((list) => list.getEntries().forEach((e) => (window.shift += e.hadRecentInput ? 0 : e.value)))
            .observe({ type: "layout-shift", buffered: true });""")
    answer = page.goto(server.address, timeout=1000 * jupyter.PATIENCE)
    page.policy, page.source = answer.headers["content-security-policy"], answer.text()
    page.wait_for_function(f"document.querySelector('{AFTER}')?.naturalWidth > 0", timeout=1000 * jupyter.PATIENCE, polling=100)
    yield page
    context.close()


@pytest.fixture
def page(opened):
    yield opened
    assert not opened.problems, "\n".join(opened.problems)


def kernels(page: Page) -> list[psutil.Process]:
    """The kernels of a server that run; a process that has ended is none, whether its parent has noticed or not."""
    found = []
    for child in psutil.Process(page.process.pid).children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            if "ipykernel_launcher" in " ".join(child.cmdline()) and child.status() != psutil.STATUS_ZOMBIE:
                found.append(child)
    return found


def kernel_of(page) -> str:
    return json.loads(page.locator("#jupyter-config-data").text_content())["kernelId"]


def process_of(server: Page, kernel: str) -> psutil.Process | None:
    for process in kernels(server):
        with contextlib.suppress(psutil.Error):  # it ends just now
            if kernel in " ".join(process.cmdline()):
                return process
    return None


def connections(kernel: str) -> list[Path]:
    """The files by which a kernel is reached, sockets included. They lie in /tmp, whatever TMPDIR says: a socket's path
    may have 103 characters only."""
    return sorted(Path("/tmp").glob(f"colorlib-*/*/kernel-{kernel}*"))


def wait_until_ended(server: Page, ended: list[str]) -> None:
    """The kernels of pages that were closed: neither their processes run, nor are their connection files there. (The
    server may have one kernel more: it starts the first page's before the page is opened.)"""
    end = time.monotonic() + jupyter.PATIENCE  # culling would take longer: this is what closing does
    while left := [kernel for kernel in ended if process_of(server, kernel) or connections(kernel)]:
        assert time.monotonic() < end, f"kernels of closed pages run: {left}"
        time.sleep(0.1)


def reload(page, server) -> None:
    """Another kernel, and the end of that before. The page that is left may still have something to send to it: no fault."""
    before = kernel_of(page)
    page.reload()
    page.wait_for_function(f"document.querySelector('{AFTER}')?.naturalWidth > 0", timeout=1000 * jupyter.PATIENCE, polling=100)
    page.problems[:] = [problem for problem in page.problems if problem != "page error: Cannot send"]
    assert kernel_of(page) != before and process_of(server, kernel_of(page))
    wait_until_ended(server, [before])


def source(page) -> str:
    """Of the picture, as soon as it is no draft."""
    page.wait_for_function("!document.querySelector('.stage.draft')")
    return page.locator(AFTER).first.get_attribute("src")


def wait_for_other(page, before: str) -> None:
    page.wait_for_function(f"old => document.querySelector('{AFTER}').src !== old", arg=before)


def choose(page, path: Path) -> None:
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Open photographs").click()
    chooser.value.set_files(str(path))


def small_png(path: Path) -> Path:
    Image.linear_gradient("L").convert("RGB").resize((96, 64)).save(path)
    return path


def test_the_picture_appears_nothing_comes_from_elsewhere_and_nothing_moves_meanwhile(page, server):
    assert server.errors() == ""
    assert "The studio starts: it loads its network" in page.source  # while it loads
    assert page.evaluate("window.shift") < 0.05
    assert page.title() == "colorlib studio"
    assert page.elsewhere == [] and "connect-src 'self' data: blob:;" in page.policy
    assert "Studio(" not in page.inner_text("body")  # no code in sight


def test_a_slider_changes_the_picture(page):
    before = source(page)
    saturation = page.locator(".widget-slider", has=page.get_by_text("Colour strength", exact=True))
    saturation.get_by_role("slider").focus()
    page.keyboard.press("ArrowRight")
    wait_for_other(page, before)


def moving_leaves_memory(page, server, number: int) -> None:
    """Of the kernel, and of the browser: its heap, and the pictures that it holds as blobs."""
    devtools, process = page.context.new_cdp_session(page), process_of(server, kernel_of(page))
    page.locator(".widget-slider", has=page.get_by_text("Colour strength", exact=True)).get_by_role("slider").focus()

    def move(times):
        for k in range(times):
            before = page.locator(AFTER).first.get_attribute("src")
            page.keyboard.press(("ArrowRight", "ArrowLeft", "ArrowLeft", "ArrowRight")[k % 4])
            wait_for_other(page, before)

    def measured():
        devtools.send("HeapProfiler.collectGarbage")
        heap = devtools.send("Runtime.getHeapUsage")["usedSize"]
        return page.evaluate("window.alive"), heap / MEGABYTES, process.memory_info().rss / MEGABYTES

    page.wait_for_function("document.querySelectorAll('.colorlib-board .tile img').length === 7")  # they come meanwhile
    move(10)  # what is cached once
    pictures, heap, memory = measured()
    move(number)
    after = measured()
    print(f"{number} moves: pictures {pictures} to {after[0]}, heap {heap:.1f} to {after[1]:.1f} MB, "
          f"kernel {memory:.0f} to {after[2]:.0f} MB")
    assert after[0] <= pictures + 2
    assert after[1] < heap + 5 + 0.02 * number
    assert after[2] < memory + 20 + 0.1 * number  # of 1.3 MB that a preview has


def test_uploads(page, server, tmp_path):
    """A small one, one that is no photograph, one of nearly the limit, one above it, and a small one again."""
    size = f"document.querySelector('{AFTER}').naturalWidth"
    before = source(page)
    choose(page, small_png(tmp_path / "small.png"))
    wait_for_other(page, before)
    page.wait_for_function(f"{size} === 96")

    stays = source(page)
    (tmp_path / "letter.png").write_bytes(100 * SECRET)
    choose(page, tmp_path / "letter.png")
    page.get_by_text("letter.png: is not a photograph").wait_for()
    assert source(page) == stays

    Image.new("RGB", (50, 40), "grey").save(tmp_path / "large.png")
    with open(tmp_path / "large.png", "r+b") as file:  # zeros behind a picture's end are read by no program
        file.truncate(49_900_000)
    choose(page, tmp_path / "large.png")
    page.wait_for_function(f"{size} === 50")

    stays = source(page)
    with open(tmp_path / "huge.png", "wb") as file:
        file.truncate(50_000_001)
    choose(page, tmp_path / "huge.png")
    page.get_by_text("huge.png: has 50,000,001 bytes, above 50,000,000").wait_for()
    assert source(page) == stays
    choose(page, small_png(tmp_path / "again.png"))
    page.wait_for_function(f"{size} === 96")

    kept = [path for path in server.files() if SECRET in path.read_bytes() or path.suffix in (".png", ".jpg", ".bin")]
    assert kept == []


def test_the_full_size_file_is_saved(page, tmp_path):
    with page.expect_download() as download:
        page.get_by_role("button", name="Save picture").click()
    download.value.save_as(tmp_path / "saved.png")
    assert Image.open(tmp_path / "saved.png").size == (96, 64)


def test_the_wheel_zooms_where_the_page_does_not_scroll(page):
    zoomed = "document.querySelector('.fit').textContent"
    box = page.locator(".colorlib-board .stage").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.wheel(0, -400)
    page.wait_for_function(f"parseInt({zoomed}) > 150")
    page.get_by_role("button", name="Show the whole photograph").click()
    page.set_viewport_size({"width": 1280, "height": 400})
    page.locator(".colorlib-board .stage").hover()
    page.mouse.wheel(0, 200)
    page.wait_for_function("[...document.querySelectorAll('*')].some((part) => part.scrollTop > 20)")
    assert page.evaluate(zoomed) == "100 %"
    page.set_viewport_size({"width": 1280, "height": 900})


def test_everyone_can_use_it(page):
    """axe-core finds no violation, in light and dark, with the popover and every section open."""
    box = page.locator(".colorlib-board .stage").bounding_box()
    page.mouse.click(box["x"] + box["width"] / 3, box["y"] + box["height"] / 3)
    page.locator(".popover").wait_for()
    for name in ("Fine control", "Settings and code", "The whole film strip"):
        page.get_by_role("button", name=name).first.click()
    page.wait_for_function("[...document.querySelectorAll('select')].every((part) => part.ariaLabel)")
    page.evaluate((Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text(encoding="utf-8"))
    for scheme in ("dark", "light"):
        page.emulate_media(color_scheme=scheme)
        back = page.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).slice(0, 3).map(Number)")
        assert min(back) > 230 if scheme == "light" else max(back) < 40
        found = page.evaluate("axe.run('.colorlib-studio')")
        assert [(rule["id"], [node["html"] for node in rule["nodes"]]) for rule in found["violations"]] == [], scheme
        assert len(found["passes"]) > 20
    sizes = page.eval_on_selector_all(".noUi-handle", "all => all.map(each => each.getBoundingClientRect().width)")
    assert min(sizes) >= 24
    page.get_by_role("button", name="Done").click()
    page.locator(".popover").wait_for(state="hidden")


def test_from_opening_to_saving_by_the_keyboard_alone(page, server, tmp_path):
    def tab_to(name: str) -> None:
        named = "(e => e.getAttribute('aria-label') || e.innerText || e.placeholder || '')(document.activeElement)"
        for _ in range(100):
            page.keyboard.press("Tab")
            if page.evaluate(named).startswith(name):
                return
        raise AssertionError(f"Tab never reaches {name!r}")

    reload(page, server)
    for name, key in (("Photograph:", "Enter"), ("fair skin", "Enter"), ("Reach", "ArrowRight")):
        before = source(page)
        tab_to(name)
        page.keyboard.press(key)
        wait_for_other(page, before)
    page.keyboard.press("Escape")
    page.locator(".popover").wait_for(state="hidden")
    before = source(page)
    tab_to("Colour strength")
    page.keyboard.press("ArrowRight")
    wait_for_other(page, before)
    tab_to("Save picture")
    with page.expect_download() as download:
        page.keyboard.press("Enter")
    assert download.value.suggested_filename == "china-colour.png"


def test_moving_a_slider_leaves_memory_as_it_was(page, server):
    moving_leaves_memory(page, server, 30)


def test_who_may_see_it(page, server):
    """This machine alone, by its own address alone, and with the token alone; by websocket, too."""
    others = {"127.0.0.2", "::1", *(info[4][0] for info in socket.getaddrinfo(socket.gethostname(), None))}
    assert answers("127.0.0.1", server.port)
    assert [address for address in others - {"127.0.0.1"} if answers(address, server.port)] == []

    def status(path: str, **headers: str) -> int:
        client = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
        client.request("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        code = client.getresponse().status
        client.close()
        return code

    kernel = kernel_of(page)
    cookie = "; ".join(f"{each['name']}={each['value']}" for each in page.context.cookies())
    upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec_WebSocket_Version": "13",
               "Sec_WebSocket_Key": "dGhlIHNhbXBsZSBub25jZQ=="}  # fmt: skip
    channels, own = f"/api/kernels/{kernel}/channels", f"http://127.0.0.1:{server.port}"
    assert status("/") == 302 and status("/?token=guess") == 302  # to the page that asks for the token
    assert status(f"/api/kernels/{kernel}") == 403
    assert status(f"/api/kernels/{kernel}", Cookie=cookie) == 200
    assert status(channels, Origin=own, **upgrade) == 403
    assert status(channels, Origin="http://example.org", Cookie=cookie, **upgrade) == 403
    assert status(channels, Origin=own, Cookie=cookie, **upgrade) == 101
    assert status("/voila/files/studio.ipynb", Cookie=cookie) in (403, 404)
    assert all(each["sameSite"] == "Strict" for each in page.context.cookies() if each["name"].startswith("username"))


def test_a_foreign_name_for_this_machine_is_refused(page, server):
    """DNS rebinding: another site's name leads to 127.0.0.1, so that its pages may read what they find there."""
    kernel = kernel_of(page)
    cookie = "; ".join(f"{each['name']}={each['value']}" for each in page.context.cookies())
    token, upgrade = server.address.partition("?token=")[2], {
        "Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="}

    def status(path: str, host: str, method: str = "GET", **headers: str) -> int:
        client = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
        client.request(method, path, headers={"Host": host, "Authorization": f"token {token}", "Cookie": cookie, **headers})
        code = client.getresponse().status
        client.close()
        return code

    own, before = f"127.0.0.1:{server.port}", len(kernels(server))
    for foreign in (f"rebound.example.org:{server.port}", "rebound.example.org", "127.0.0.1.example.org", "192.168.1.7"):
        assert status(f"/?token={token}", foreign) == 403
        assert status(f"/api/kernels/{kernel}", foreign) == 403
        assert status("/api/kernels", foreign, "POST") in (403, 404)
        assert status(f"/api/kernels/{kernel}", foreign, "DELETE") in (403, 404)
        assert status(f"/api/kernels/{kernel}/channels", foreign, Origin=f"http://{foreign}", **upgrade) == 403
    assert status(f"/api/kernels/{kernel}", own) == status(f"/api/kernels/{kernel}", f"localhost:{server.port}") == 200
    assert len(kernels(server)) == before


def test_no_kernel_can_be_started_ended_or_used_without_the_token(page, server):
    kernel = kernel_of(page)
    before = len(kernels(server))
    for method, path in (("POST", "/api/kernels"), ("GET", "/api/kernels"), ("DELETE", f"/api/kernels/{kernel}"),
                         ("POST", f"/api/kernels/{kernel}/interrupt"), ("POST", f"/api/kernels/{kernel}/restart"),
                         ("POST", f"/voila/api/shutdown/{kernel}"), ("GET", "/api/sessions"), ("GET", "/api/contents")):
        for headers in ({}, {"Authorization": "token guess"}, {"Cookie": "username-127-0-0-1=guess"}):
            client = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
            client.request(method, path, headers=headers)
            assert client.getresponse().status in (302, 403, 404, 405), (method, path)
            client.close()
    assert len(kernels(server)) == before
    page.evaluate("1 + 1")


def test_no_program_can_take_a_port_from_a_kernel_that_starts(page):
    """A kernel that does not get one of the ports chosen for it ends, and its page never loads. So it has sockets."""
    [file] = [path for path in connections(kernel_of(page)) if path.suffix == ".json"]
    sockets = [path for path in connections(kernel_of(page)) if path != file]
    assert json.loads(file.read_text())["transport"] == "ipc"
    assert len(sockets) == 5 and all(path.is_socket() for path in sockets)
    assert stat.S_IMODE(file.parent.parent.stat().st_mode) == 0o700


def test_a_closed_page_ends_its_kernel_and_the_end_of_the_server_leaves_nothing(opened, server):
    kernel = kernel_of(opened)
    folder = connections(kernel)[0].parent.parent
    assert process_of(server, kernel)
    opened.close(run_before_unload=True)  # its browser stays, to send what a closed page sends
    wait_until_ended(server, [kernel])
    assert server.process.poll() is None
    assert server.stop() == 0
    assert list((server.folder / "tmp").iterdir()) == [] and list((server.folder / "cwd").iterdir()) == []
    assert not folder.exists()


@pytest.mark.parametrize("problem", ["port", "number", "voila"])
def test_one_sentence_names_what_is_missing(problem, tmp_path):
    for name in ("home", "tmp", "cwd"):
        (tmp_path / name).mkdir()
    (tmp_path / "voila").mkdir()
    (tmp_path / "voila" / "__init__.py").write_text("raise ImportError")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = {"port": taken.getsockname()[1], "number": 70_000, "voila": 0}[problem]
        more = {"PYTHONPATH": str(tmp_path)} if problem == "voila" else {}
        process = start(tmp_path, f"--port={port}", more=more, stderr=subprocess.PIPE)
        errors = process.communicate(timeout=jupyter.PATIENCE)[1]
    assert process.returncode == 1 and errors.count("\n") == 1 and "Traceback" not in errors
    assert "pip install voila" in errors if problem == "voila" else f"Port {port}" in errors and "leave --port out" in errors
    assert list((tmp_path / "tmp").iterdir()) == []
