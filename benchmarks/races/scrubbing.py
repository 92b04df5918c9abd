"""Milliseconds from a key that moves a slider to the frame that is painted then, in JupyterLab and Chromium.

    client     a FrameScrubber of ours: all frames are in the browser
    kernel     a LiveScrubber of ours: the kernel computes each frame when it is asked for
    interact   the usual: ipywidgets' interact, and a matplotlib figure of the same frame

Each key is a real one. The clock starts when the page hears of it, and stops at the frame after the one in
which the picture changed.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import nbformat
from nbformat.v4 import new_code_cell, new_notebook
from playwright.sync_api import Locator, Page, sync_playwright

from benchmarks.records import Row, beside, missing
from benchmarks.runner import Race
from benchmarks.setting import Setting

TOKEN = "course"
CHROMIUM = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--no-proxy-server"]
PEER = "interact and matplotlib"
PATIENCE = 120  # seconds for JupyterLab and for all cells

SETUP = """
%matplotlib inline
import matplotlib.pyplot as plt
import numpy as np
from ipywidgets import interact
from course_utils.data import load, to_uint8
from course_utils.widgets import FrameScrubber, LiveScrubber, Run

data = load("mnist", "test")
digits = to_uint8(data.images[:1600], data.value_range)[:, 0].numpy()
frames = digits.reshape(50, 4, 8, 28, 28).swapaxes(2, 3).reshape(50, 112, 224)  # 50 grids of 4 x 8 digits
stops = list(range(50))
captions = [f"Grid {i}." for i in stops]
"""
CELLS = {
    "client": 'FrameScrubber(frames, stops, captions, title="Grids", label="grid")',
    "kernel": """def one(grid):
    return Run(frames[grid : grid + 1], [grid], [f"Grid {grid}."])

LiveScrubber(one, {"grid": stops}, title="Grids", label="frame")""",
    "interact": """def show(grid=(0, 49)):
    plt.imshow(frames[grid], cmap="gray_r")
    plt.axis("off")
    plt.show()

interact(show, grid=(0, 49));""",
}
WATCH = """
(cell, ours) => {
    const picture = () => {
        const image = cell.querySelector(".jp-OutputArea img");
        if (!ours) return image?.complete && image.naturalWidth ? image.src : null;
        const canvas = cell.querySelector(".course-widget-live").shadowRoot.querySelector("canvas");
        const {data} = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
        return data.reduce((sum, byte, place) => (31 * sum + byte + place) | 0, 0);
    };
    cell.measured = new Promise((done, late) => {
        setTimeout(() => late(new Error("no new picture within 30 s")), 30000);
        window.addEventListener("keydown", () => {
            const start = performance.now(), before = picture();
            const look = () => {
                const now = picture();
                if (now === null || now === before) requestAnimationFrame(look);
                else requestAnimationFrame(() => done(performance.now() - start));
            };
            requestAnimationFrame(look);
        }, {capture: true, once: true});
    });
}
"""


def run(setting: Setting) -> Iterator[Row]:
    rounds = setting.pick(tiny=1, quick=5, full=20)  # interact begins in the middle of the 50
    names = {"client": "frames in the browser", "kernel": "frames from the kernel"}
    chromium = shutil.which("chromium")
    if chromium is None:
        setting.progress(0, 1, "Chromium is missing")
        for name in names.values():
            yield missing(name, "ms", PEER, note="Chromium is not installed.")
        return
    with (
        TemporaryDirectory(prefix="course-bench-") as folder,
        laboratory(Path(folder)) as address,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=chromium, args=CHROMIUM)
        page = browser.new_page(viewport={"width": 1200, "height": 900})
        page.set_default_timeout(1000 * PATIENCE)
        show(page, address)
        found = in_turns(page, rounds, setting)
        browser.close()
    for contender, name in names.items():
        yield beside(name, "ms", found[contender], PEER, found["interact"])


def in_turns(page: Page, rounds: int, setting: Setting) -> dict[str, list[float]]:
    """Milliseconds of each contender in each round; the first round is not counted."""
    found: dict[str, list[float]] = {name: [] for name in CELLS}
    for turn in range(rounds + 1):
        for place, name in enumerate(CELLS):
            setting.progress(turn * len(CELLS) + place, (rounds + 1) * len(CELLS), name)
            taken = press(page, place + 1, name)
            if turn:
                found[name].append(taken)
    return found


def slider(page: Page, position: int, name: str) -> Locator:
    """What takes the keys in a contender's cell."""
    cell = page.locator(".jp-Notebook .jp-Cell").nth(position)
    return cell.locator(".noUi-handle") if name == "interact" else cell.get_by_label("grid", exact=True)


def press(page: Page, position: int, name: str) -> float:
    """Move a contender's slider by one step; milliseconds until the new frame is painted."""
    cell, handle = page.locator(".jp-Notebook .jp-Cell").nth(position), slider(page, position, name)
    handle.scroll_into_view_if_needed()
    handle.focus()
    page.wait_for_timeout(300)  # until nothing else is being painted
    cell.evaluate(WATCH, name != "interact")
    page.keyboard.press("ArrowRight")
    taken: float = cell.evaluate("cell => cell.measured")
    return taken


def show(page: Page, address: str) -> None:
    """Open the notebook, run it, and wait until all three pictures are there."""
    page.goto(f"{address}doc/tree/race.ipynb?reset&token={TOKEN}")
    page.locator(".jp-Notebook .jp-Cell").first.wait_for()
    page.evaluate("() => jupyterapp.shell.currentWidget.sessionContext.ready")
    page.evaluate("() => jupyterapp.commands.execute('notebook:run-all-cells').then(() => null)")
    for position, name in enumerate(CELLS, start=1):
        slider(page, position, name).wait_for()
        cell = page.locator(".jp-Notebook .jp-Cell").nth(position)
        cell.locator(".jp-OutputArea img, canvas").first.wait_for()


@contextmanager
def laboratory(home: Path) -> Iterator[str]:
    """A JupyterLab server of its own that shows one notebook; yields its address."""
    folders = {name: home / name for name in ("root", "config", "data", "runtime", "ipython")}
    for folder in folders.values():
        folder.mkdir()
    settings = folders["config"] / "lab/user-settings/@jupyterlab"
    store(settings / "notebook-extension/tracker.jupyterlab-settings", {"windowingMode": "none"})
    store(settings / "apputils-extension/notification.jupyterlab-settings", {"fetchNews": "false"})
    kernel = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    spec = {"argv": kernel, "display_name": "Python 3", "language": "python"}
    store(folders["data"] / "kernels/python3/kernel.json", spec)
    cells = [new_code_cell(source) for source in (SETUP, *CELLS.values())]
    metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(new_notebook(cells=cells, metadata=metadata), folders["root"] / "race.ipynb")
    environment = os.environ | {
        "JUPYTER_CONFIG_DIR": str(folders["config"]),
        "JUPYTER_DATA_DIR": str(folders["data"]),
        "JUPYTER_RUNTIME_DIR": str(folders["runtime"]),
        "JUPYTER_PREFER_ENV_PATH": "0",
        "IPYTHONDIR": str(folders["ipython"]),
    }
    environment.pop("MPLBACKEND", None)
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--expose-app-in-browser"]
    command += ["--ServerApp.ip=127.0.0.1", "--ServerApp.port=0", f"--IdentityProvider.token={TOKEN}"]
    with (home / "log.txt").open("w") as log:
        server = subprocess.Popen(command, cwd=folders["root"], env=environment, stdout=log, stderr=log)
    try:
        yield address_of(server, folders["runtime"], home / "log.txt")
    finally:
        server.terminate()
        server.wait(30)


def address_of(server: subprocess.Popen, runtime: Path, log: Path) -> str:
    """Where the server listens: it says so in a file. RuntimeError: it has ended, or says nothing."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and server.poll() is None:
        for file in runtime.glob("jpserver-*.json"):
            if text := file.read_text():
                address: str = json.loads(text)["url"]
                return address
        time.sleep(0.1)
    raise RuntimeError(f"JupyterLab did not start:\n{log.read_text()[-3000:]}")


def store(path: Path, values: dict) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(values))


RACE = Race(
    name="scrubbing",
    title="Scrubbing",
    method="A grid of 4 × 8 digits changes with a slider, by a real key press in JupyterLab in Chromium;\n"
    "from the key event to the frame after the one in which the picture changed. In the browser our\n"
    "frames are all there; from the kernel they are computed when they are asked for, at once where the\n"
    "last answer took at most a fifth of a second.",
    run=run,
    inputs=("benchmarks/races/scrubbing.py", "course_utils/widgets"),
    seconds={"tiny": 20, "quick": 20, "full": 50},
)
