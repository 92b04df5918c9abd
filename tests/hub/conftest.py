"""A hub as `make hub` starts it, in a temporary folder, and the people who use it through Chromium.

hub        the running hub: address, folders, passwords
log_in     log_in(name) is a Person with a tab of their own, whose server has started
"""

import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Route, expect

ROOT = Path(__file__).parents[2]
SCREENSHOTS = ROOT / "build" / "screenshots"
expect.set_options(timeout=120_000)  # a shared machine may be slow; nothing waits for longer than it must


@dataclass(frozen=True)
class Hub:
    address: str
    folder: Path

    @property
    def course(self) -> Path:
        return self.folder / "course"

    def home(self, name: str) -> Path:
        return self.folder / "home" / name

    def password(self, name: str) -> str:
        passwords = json.loads((self.folder / "state/passwords.json").read_text())
        return passwords.get(name, passwords["students"])


def start_hub(folder: Path) -> tuple[Hub, subprocess.Popen[bytes]]:
    """What `make hub` runs, on a free port."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    # Validate and `course grade` must not know that they are under test.
    hidden = ("PYTEST_CURRENT_TEST", "JUPYTER", "IPYTHON", "http_proxy", "https_proxy", "no_proxy")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(hidden)}
    environment |= {"COURSE_HUB": str(folder), "PORT": str(port)}
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "log.txt").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "jupyterhub", "--config", ROOT / "hub/trial_config.py"],
            cwd=folder,
            env=environment,
            stdout=log,
            stderr=log,
        )
    hub = Hub(f"http://127.0.0.1:{port}", folder)
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline and process.poll() is None:
        try:
            urllib.request.urlopen(f"{hub.address}/hub/health", timeout=5).close()
        except URLError:
            time.sleep(0.2)
        else:
            return hub, process
    stop(process)
    raise RuntimeError(f"The hub did not start:\n{(folder / 'log.txt').read_text()[-3000:]}")


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a hub, and with it its proxy and all servers."""
    process.terminate()
    process.wait(60)


@pytest.fixture(scope="session")
def proxy() -> None:
    """Without the proxy no hub starts."""
    if not (Path(sys.executable).parent.parent / "proxy").exists():
        pytest.skip("JupyterHub's proxy is missing; run .ci/proxy to run this test.")


@pytest.fixture(scope="module")
def hub(proxy: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    hub, process = start_hub(tmp_path_factory.mktemp("hub"))
    yield hub
    stop(process)


@dataclass(frozen=True)
class Person:
    """Somebody at a browser."""

    name: str
    hub: Hub
    page: Page
    context: BrowserContext

    @property
    def home(self) -> Path:
        return self.hub.home(self.name)

    def menu(self, *entries: str) -> None:
        """Choose an entry of JupyterLab's menus."""
        first, *others = entries
        self.page.get_by_role("menuitem", name=first, exact=True).first.click()
        for entry in others:
            label = re.compile(f"^{re.escape(entry)}$")
            self.page.locator(".lm-Menu-itemLabel", has_text=label).last.click()

    def screenshot(self, name: str, page: Page | None = None) -> None:
        (page or self.page).screenshot(path=SCREENSHOTS / f"hub-{name}.png")


@pytest.fixture(scope="module")
def complaints() -> list[str]:
    """What went wrong in the tabs: uncaught exceptions, calls for other machines. None may be left."""
    return []


@pytest.fixture(scope="module")
def log_in(hub: Hub, chromium: Browser, complaints: list[str]) -> Iterator[Callable[..., Person]]:
    def stay_local(route: Route) -> None:
        address = urlsplit(route.request.url)
        if address.scheme in ("data", "blob") or address.hostname == "127.0.0.1":
            route.continue_()
            return
        complaints.append(f"asks for {route.request.url}")
        route.abort()

    def log_in_(name: str, address: str = hub.address) -> Person:
        context = chromium.new_context(viewport={"width": 1280, "height": 900})
        context.set_default_timeout(120_000)
        context.route("**/*", stay_local)
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(f"{name}: {error}"))
        page.goto(f"{address}/hub/login")
        page.get_by_label("Username").fill(name)
        page.get_by_label("Password").fill(hub.password(name))
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url(f"**/user/{name}/lab**", timeout=120_000)
        page.locator("#jp-main-dock-panel").wait_for()
        return Person(name, hub, page, context)

    yield log_in_
    assert not complaints
