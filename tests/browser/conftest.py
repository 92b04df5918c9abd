"""A real JupyterLab and a real Chromium for tests, apart from every setting of whoever runs them.

    lab              a running server; its files lie in lab.root
    page             a tab that reaches this machine only; a console error or a foreign address fails a test
    write_notebook   write_notebook(name, cells) puts a notebook into lab.root
    open_notebook    open_notebook(path) shows a notebook of lab.root: run it, ask its kernel, find widgets
    open_html        open_html(path) shows a plain page and finds its widgets
    screenshot       screenshot(name) keeps a picture of the tab in build/screenshots
    example          what example.py defines, computed by this process; example_source is its text

A Widget is one on a page, live or not: drag its sliders, read its canvases, its caption and its ink.
"""

import base64
import json
import os
import re
import runpy
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import nbformat
import numpy as np
import pytest
from nbformat import NotebookNode
from nbformat.sign import NotebookNotary
from nbformat.v4 import new_notebook
from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, Route, expect

ROOT = Path(__file__).parents[2]
EXAMPLE = Path(__file__).with_name("example.py")
LIVE = ".course-widget-live"
LIVE_OUTPUT = '[data-mime-type="application/vnd.jupyter.widget-view+json"]'
TOKEN = "course"
SETTINGS = {
    # All cells in the page at once: a test may look at any of them.
    "@jupyterlab/notebook-extension/tracker": {"windowingMode": "none"},
    "@jupyterlab/apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
}
expect.set_options(timeout=30_000)  # a shared machine may be slow; nothing here waits for longer than it must


@dataclass(frozen=True)
class Lab:
    """A JupyterLab server of its own: settings, kernels, signatures and files in one temporary folder."""

    address: str
    root: Path  # what the server shows
    data: Path  # its JUPYTER_DATA_DIR

    def url(self, path: str) -> str:
        return f"{self.address}doc/tree/{path}?reset&token={TOKEN}"


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    home = tmp_path_factory.mktemp("lab")
    folders = {name: home / name for name in ("root", "config", "data", "runtime", "ipython")}
    for folder in folders.values():
        folder.mkdir()
    for name, values in SETTINGS.items():
        _write_json(folders["config"] / "lab/user-settings" / f"{name}.jupyterlab-settings", values)
    kernel = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    _write_json(
        folders["data"] / "kernels/python3/kernel.json",
        {"argv": kernel, "display_name": "Python 3", "language": "python"},
    )
    environment = os.environ | {
        "JUPYTER_CONFIG_DIR": str(folders["config"]),
        "JUPYTER_DATA_DIR": str(folders["data"]),
        "JUPYTER_RUNTIME_DIR": str(folders["runtime"]),
        "JUPYTER_PREFER_ENV_PATH": "0",
        "IPYTHONDIR": str(folders["ipython"]),
    }
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--expose-app-in-browser"]
    command += ["--ServerApp.ip=127.0.0.1", "--ServerApp.port=0", f"--IdentityProvider.token={TOKEN}"]
    with (home / "log.txt").open("w") as log:
        server = subprocess.Popen(command, cwd=folders["root"], env=environment, stdout=log, stderr=log)
    try:
        yield Lab(_address(folders["runtime"], server, home / "log.txt"), folders["root"], folders["data"])
    finally:
        server.terminate()
        server.wait(30)


def _address(runtime: Path, server: subprocess.Popen, log: Path) -> str:
    """Where the server listens: it says so in a file once it does."""
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline and server.poll() is None:
        for file in runtime.glob("jpserver-*.json"):
            if text := file.read_text():
                return json.loads(text)["url"]
        time.sleep(0.1)
    raise RuntimeError(f"JupyterLab did not start:\n{log.read_text()[-3000:]}")


def _write_json(path: Path, values: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(values))


@pytest.fixture(scope="session")
def example() -> dict[str, Any]:
    """The names that example.py defines, as this process computes them."""
    return runpy.run_path(str(EXAMPLE))


@pytest.fixture(scope="session")
def example_source() -> str:
    """example.py as the source of a cell."""
    return EXAMPLE.read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def write_notebook(lab: Lab) -> Callable[..., str]:
    """write_notebook(name, cells, trusted=False): a notebook in lab.root; returns its path there."""

    def write(name: str, cells: list[NotebookNode], trusted: bool = False) -> str:
        spec = {"name": "python3", "display_name": "Python 3", "language": "python"}
        notebook = new_notebook(cells=cells, metadata={"kernelspec": spec})
        if trusted:
            NotebookNotary(data_dir=str(lab.data)).sign(notebook)
        nbformat.write(notebook, lab.root / name)
        return name

    return write


@pytest.fixture(scope="module")
def complaints() -> list[str]:
    """What went wrong in the tab: console errors, uncaught exceptions, calls for other machines."""
    return []


@pytest.fixture(autouse=True)
def _no_complaints(complaints: list[str]) -> Iterator[None]:
    yield
    seen = complaints.copy()
    complaints.clear()
    assert not seen


@pytest.fixture(scope="module")
def page(chromium: Browser, complaints: list[str]) -> Iterator[Page]:
    def stay_local(route: Route) -> None:
        address = urlsplit(route.request.url)
        if address.scheme in ("data", "blob", "file") or address.hostname == "127.0.0.1":
            route.continue_()
        else:
            complaints.append(f"asks for {route.request.url}")
            route.abort()

    def listen(message: ConsoleMessage) -> None:
        if message.type == "error":
            complaints.append(f"{message.text} ({message.location.get('url')})")

    context = chromium.new_context(viewport={"width": 1200, "height": 900})
    context.route("**/*", stay_local)
    tab = context.new_page()
    tab.on("console", listen)
    tab.on("pageerror", lambda error: complaints.append(str(error)))
    yield tab
    context.close()


@dataclass(frozen=True)
class Widget:
    """One widget on a page, live or twin."""

    host: Locator

    @property
    def caption(self) -> Locator:
        return self.host.locator(".caption")

    def slider(self, label: str) -> Locator:
        return self.host.get_by_label(label, exact=True)

    def button(self, name: str) -> Locator:
        return self.host.get_by_role("button", name=name, exact=True)

    def press(self, name: str) -> None:
        self.button(name).click()

    def drag(self, label: str, position: int) -> None:
        """Take the slider's thumb with the mouse and pull it to a position."""
        slider = self.slider(label)
        slider.scroll_into_view_if_needed()
        box, last = slider.bounding_box(), int(slider.get_attribute("max"))
        middle = box["y"] + box["height"] / 2
        # The thumb is 16 pixels wide and stays within the track.
        where = [
            box["x"] + 8 + (box["width"] - 16) * at / last for at in (int(slider.input_value()), position)
        ]
        mouse = self.host.page.mouse
        mouse.move(where[0], middle)
        mouse.down()
        mouse.move(where[1], middle, steps=8)
        mouse.up()

    def point(self, part: str, x: float, y: float) -> tuple[float, float]:
        """Page coordinates of a place on a canvas, given as shares of its width and height."""
        canvas = self.canvas(part)
        canvas.scroll_into_view_if_needed()
        box = canvas.bounding_box()
        return box["x"] + x * box["width"], box["y"] + y * box["height"]

    def canvas(self, part: str) -> Locator:
        return self.host.locator(f'canvas[data-part="{part}"]')

    def ink(self) -> list[int]:
        """The text colour around the widget: red, green, blue."""
        colour = self.host.evaluate("host => getComputedStyle(host).color")
        return [int(value) for value in re.findall(r"[\d.]+", colour)[:3]]

    def settle(self) -> None:
        """Wait until what has been asked for, of the kernel too, is painted."""
        expect(self.host.locator("[aria-busy=true]")).to_have_count(0)
        self.host.page.evaluate(
            "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
        )

    def pixels(self, part: str) -> np.ndarray:
        """What the canvas shows: (H, W, 4) uint8, opacity last."""
        width, height, data = self.canvas(part).evaluate(
            """canvas => {
                const {width, height} = canvas;
                const {data} = canvas.getContext("2d").getImageData(0, 0, width, height);
                return [width, height, btoa(Array.from(data, byte => String.fromCharCode(byte)).join(""))];
            }"""
        )
        return np.frombuffer(base64.b64decode(data), np.uint8).reshape(height, width, 4)


@dataclass(frozen=True)
class Twins:
    """A plain page of twins."""

    page: Page

    def widget(self, position: int) -> Widget:
        return Widget(self.page.locator(LIVE).nth(position))


@dataclass(frozen=True)
class Notebook:
    """A notebook that is open in JupyterLab."""

    page: Page

    def command(self, name: str, **arguments: object) -> None:
        """A command of JupyterLab, as from its menus; returns when it is done."""
        self.page.evaluate(
            "([name, values]) => jupyterapp.commands.execute(name, values).then(() => null)",
            [name, arguments],
        )

    def end_kernel(self) -> None:
        """Without it, each notebook would hold its gigabyte until the server ends."""
        self.page.evaluate("() => jupyterapp.shell.currentWidget.sessionContext.shutdown()")

    def run_all(self) -> None:
        """Run all cells, and wait until the kernel has done them."""
        self.command("notebook:run-all-cells")

    def kernel(self, code: str) -> str:
        """Run code in the notebook's kernel, as a cell would; returns what it prints."""
        return self.page.evaluate(
            """async code => {
                const kernel = jupyterapp.shell.currentWidget.sessionContext.session.kernel;
                const future = kernel.requestExecute({code});
                let text = "";
                future.onIOPub = ({content}) => {
                    text += content.text ?? content.traceback?.join("\\n") ?? "";
                };
                await future.done;
                return text;
            }""",
            code,
        )

    def start(self, code: str) -> None:
        """Send code to the kernel and do not wait for it."""
        self.page.evaluate(
            """code => {
                const kernel = jupyterapp.shell.currentWidget.sessionContext.session.kernel;
                kernel.requestExecute({code});
            }""",
            code,
        )

    def kernel_prints(self, code: str, text: str, seconds: float = 30) -> None:
        """Wait until the code prints this text: the browser tells the kernel a little later."""
        deadline = time.monotonic() + seconds
        while (printed := self.kernel(code).strip()) != text:
            assert time.monotonic() < deadline, f"{code} prints {printed!r}, not {text!r}"
            self.page.wait_for_timeout(50)

    def cell(self, position: int) -> Locator:
        return self.page.locator(".jp-Notebook .jp-Cell").nth(position)

    def widget(self, position: int) -> Widget:
        """The widget that a cell shows."""
        return Widget(self.cell(position).locator(LIVE))

    def widgets(self) -> list[Widget]:
        """All widgets of the notebook, once each has been drawn."""
        drawn = self.page.locator(f"{LIVE} .caption:not(:empty)")
        expect(self.page.locator(LIVE_OUTPUT).filter(has_not=drawn)).to_have_count(0)
        return [Widget(host) for host in self.page.locator(LIVE).all()]


@pytest.fixture(scope="module")
def open_notebook(lab: Lab, page: Page) -> Callable[[str], Notebook]:
    def open_(path: str) -> Notebook:
        page.goto(lab.url(path))
        page.locator(".jp-Notebook .jp-Cell").first.wait_for()
        page.evaluate("() => jupyterapp.shell.currentWidget.sessionContext.ready")
        return Notebook(page)

    return open_


@pytest.fixture(scope="module")
def open_html(page: Page) -> Callable[[Path], Twins]:
    def open_(path: Path) -> Twins:
        page.goto(path.as_uri())
        return Twins(page)

    return open_


@pytest.fixture(scope="module")
def screenshot(page: Page) -> Callable[..., None]:
    """screenshot(name, locator=None): a picture of the tab or of one element."""
    folder = ROOT / "build" / "screenshots"

    def take(name: str, locator: Locator | None = None) -> None:
        (locator or page).screenshot(path=folder / f"{name}.png")

    return take
