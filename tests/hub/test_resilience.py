"""Widgets on a hub whose line is slow or breaks, or whose server is gone: they answer, or say why not."""

import asyncio
import contextlib
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook
from playwright.sync_api import Locator, Page, expect

from course_utils.widgets.live import MESSAGES

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(900)]

EXAMPLE = Path(__file__).parents[1] / "browser" / "kernel_example.py"
DELAY = 0.2  # seconds each way
PATIENCE = 5  # seconds that a widget waits for its kernel
COMPUTED = "Step {0} of {0}, 4.0 pixels across."


class SlowLine:
    """A port of this machine that hands on what it gets, some time later, until it is cut."""

    def __init__(self, target: str) -> None:
        address = urlsplit(target)
        self.target = (address.hostname, address.port)
        self.loop = asyncio.new_event_loop()
        self.whole = True
        self.writers: set[asyncio.StreamWriter] = set()
        self.thread = threading.Thread(target=self.loop.run_forever)
        self.thread.start()
        server = asyncio.start_server(self.connect, "127.0.0.1", 0)
        self.server = asyncio.run_coroutine_threadsafe(server, self.loop).result()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server.sockets[0].getsockname()[1]}"

    async def connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ends = {writer}
        try:
            if self.whole:
                there_reader, there_writer = await asyncio.open_connection(*self.target)
                ends.add(there_writer)
                self.writers |= ends
                await asyncio.gather(self.hand_on(reader, there_writer), self.hand_on(there_reader, writer))
        finally:
            self.writers -= ends
            for end in ends:
                self.loop.call_later(DELAY, end.close)

    async def hand_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Everything that comes, DELAY seconds later and in its order, and then the end."""
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(2**16):
                self.loop.call_later(DELAY, writer.write, data)
        self.loop.call_later(DELAY, writer.close)

    def cut(self) -> None:
        """End all connections, and refuse new ones until `mend`."""
        self.whole = False
        self.loop.call_soon_threadsafe(lambda: [writer.close() for writer in self.writers])

    def mend(self) -> None:
        self.whole = True

    def close(self) -> None:
        self.cut()
        asyncio.run_coroutine_threadsafe(self.end(), self.loop).result()
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()

    async def end(self) -> None:
        self.server.close()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(2 * DELAY)  # what was to be handed on or closed later


@pytest.fixture(scope="module")
def line(hub) -> Iterator[SlowLine]:
    line = SlowLine(hub.address)
    yield line
    line.close()


@pytest.fixture(scope="module")
def dora(hub, log_in, line):
    """A student behind a slow line, whose notebook with a live widget has been run and saved."""
    hub.home("dora").mkdir(parents=True)
    source = f"import course_utils.widgets.live as live\nlive.PATIENCE = {PATIENCE}\n" + EXAMPLE.read_text()
    cells = [new_code_cell(source), new_code_cell("scrubber")]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook = new_notebook(cells=cells, metadata={"kernelspec": kernel})
    nbformat.write(notebook, hub.home("dora") / "slow.ipynb")
    dora = log_in("dora", line.address)
    # JupyterLab's own words, of a server that is away and of files not saved, are read and put aside.
    words = dora.page.locator(".jp-Dialog").get_by_role("button", name=re.compile("Close|Dismiss")).last
    dora.page.add_locator_handler(words, lambda button: button.click())
    open_notebook(dora.page, line)
    dora.menu("Run", "Run All Cells")
    expect(widget(dora.page).locator(".caption")).to_contain_text("Step")
    return dora


def open_notebook(page: Page, line: SlowLine) -> None:
    page.goto(f"{line.address}/user/dora/lab/tree/slow.ipynb?reset")
    expect(page.locator("#jp-bottom-panel")).to_contain_text("| Idle")
    page.locator(".jp-Cell").first.click()


def widget(page: Page) -> Locator:
    return page.locator(".course-widget-live")


def choose_steps(page: Page, position: int) -> Locator:
    """Move a slider for whose places the kernel computes: 3, 5 or 9 steps. Returns the caption."""
    widget(page).get_by_label("steps", exact=True).fill(str(position))
    return widget(page).locator(".caption")


def test_a_slow_line_is_waited_for(dora):
    expect(choose_steps(dora.page, 2)).to_have_text(COMPUTED.format(9))
    expect(widget(dora.page).locator("[aria-busy=true]")).to_have_count(0)


def test_a_line_that_breaks_is_said_and_the_widget_lives_on(dora, line, complaints):
    line.cut()
    caption = choose_steps(dora.page, 0)
    expect(caption).to_have_text(MESSAGES["silent"])
    dora.screenshot("line-cut")
    line.mend()
    expect(dora.page.locator("#jp-bottom-panel")).to_contain_text("| Idle")
    choose_steps(dora.page, 2)
    expect(choose_steps(dora.page, 0)).to_have_text(COMPUTED.format(3))
    complaints[:] = [text for text in complaints if "Failed to fetch" not in text]


def test_a_saved_notebook_opens_with_widgets_that_say_what_they_lack(dora, line):
    """Its server has been stopped and started, as after a night: nothing has been run since."""
    page = dora.page
    with page.expect_response(lambda answer: answer.request.method == "PUT" and "slow.ipynb" in answer.url):
        dora.menu("File", "Save Notebook")
    assert "widgets" in nbformat.read(dora.home / "slow.ipynb", as_version=4).metadata
    page.goto(f"{line.address}/hub/home", wait_until="networkidle")  # until then the button does nothing
    button = page.get_by_role("button", name="Stop My Server")
    button.click()
    expect(button).to_be_hidden()
    page.goto(f"{line.address}/hub/spawn")
    page.wait_for_url("**/user/dora/lab**")
    open_notebook(page, line)
    expect(widget(page).locator(".caption")).to_have_text(MESSAGES["silent"])
    assert page.get_by_text("model not found").count() == 0
    dora.screenshot("reopened")
    dora.menu("Run", "Run All Cells")
    expect(widget(page).locator(".caption")).to_have_text(COMPUTED.format(5))
