"""The site in Chromium: moved by keyboard, mouse and finger, on a phone, in the dark, without scripts."""

import re
import shutil
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import nbformat
import pytest
from axe_playwright_python.sync_playwright import Axe
from bs4 import BeautifulSoup
from playwright.sync_api import Locator, Page, expect

from course_utils.authoring.chapters import find_chapters
from course_utils.authoring.site.build import make, write

pytestmark = [pytest.mark.browser, pytest.mark.slow]

ROOT = Path(__file__).parents[2]
CHAPTERS = [chapter.name for chapter in find_chapters(ROOT)]
PAGES = ["index", *CHAPTERS]
DESKTOP, PHONE = {"width": 1200, "height": 900}, {"width": 360, "height": 740}
AXE = {
    "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    "rules": {
        "empty-table-header": {"enabled": False}
    },  # a widget has one; that pages have none is a unit test
    "resultTypes": ["violations"],
    "preload": False,  # it would fetch style sheets, which a page that was opened from a folder may not
}
PICTURES = "host => [...host.shadowRoot.querySelectorAll('canvas')].map(canvas => canvas.toDataURL()).join()"


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("site") / "a course, (new)"
    write(make(ROOT), folder)
    return folder


@pytest.fixture
def show(site, page):
    """show(name, size, scheme): a page of the site, its widgets awake."""

    def open_(name, size=DESKTOP, scheme="light"):
        page.set_viewport_size(size)
        page.emulate_media(color_scheme=scheme)
        page.goto((site / f"{name}.html").as_uri())
        awake = page.locator(".course-widget-live .caption:not(:empty)")
        expect(awake).to_have_count(page.locator(".course-widget").count())
        return page

    yield open_
    page.set_viewport_size(DESKTOP)
    page.emulate_media(color_scheme="light")


@pytest.fixture(scope="module")
def server(site) -> Iterator[str]:
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_):
            """Nothing is said on stderr."""

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=site)) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


def picture(widget: Locator) -> str:
    """What all canvases of a widget show."""
    widget.page.evaluate(
        "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
    )
    return widget.evaluate(PICTURES)


def point(slider: Locator, share: float) -> tuple[float, float]:
    """Where its thumb stands, 16 pixels wide, at a share of the way."""
    slider.scroll_into_view_if_needed()
    box = slider.bounding_box()
    return box["x"] + 8 + (box["width"] - 16) * share, box["y"] + box["height"] / 2


def assert_accessible(page: Page) -> None:
    """What axe finds wrong with names, roles, order and contrast, by the standards above: nothing."""
    found = Axe().run(page, options=AXE).response
    assert {rule["id"]: [node["html"] for node in rule["nodes"]] for rule in found["violations"]} == {}
    assert "color-contrast" in {rule["id"] for rule in found["passes"]}


@pytest.mark.parametrize("name", CHAPTERS)
def test_every_slider_moves_its_picture_by_keyboard_and_by_mouse(show, name):
    page = show(name)
    widgets = page.locator(".course-widget-live")
    assert widgets.count() >= 3
    for widget in widgets.all():
        sliders = widget.locator("input[type=range]:enabled")
        assert sliders.count() >= 1
        for slider in sliders.all():
            slider.focus()
            pictures, words = [], []
            for key in (
                "Home",
                "ArrowRight",
                "End",
            ):  # where all is told, the last stop may look like the first
                page.keyboard.press(key)
                pictures.append(picture(widget))
                words.append(slider.get_attribute("aria-valuetext"))
            assert len(set(words)) >= 2
            assert len(set(pictures)) >= 2, f"{name}: {words} moves nothing"
            page.mouse.move(*point(slider, 1))
            page.mouse.down()
            page.mouse.move(*point(slider, 0), steps=5)
            page.mouse.up()
            expect(slider).to_have_value("0")
            assert picture(widget) == pictures[0]


@pytest.mark.parametrize("name", CHAPTERS)
def test_a_finger_moves_the_sliders_of_a_phone(site, chromium, name):
    context = chromium.new_context(viewport=PHONE, has_touch=True, is_mobile=True, device_scale_factor=2)
    page = context.new_page()
    page.goto((site / f"{name}.html").as_uri())
    for widget in page.locator(".course-widget-live").all():
        slider = widget.locator("input[type=range]:enabled").first
        pictures = []
        for share in (0, 0.5, 1):
            page.touchscreen.tap(*point(slider, share))
            pictures.append(picture(widget))
        expect(slider).to_have_value(slider.get_attribute("max"))
        assert len(set(pictures)) >= 2
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_accessible(show, name, scheme, screenshot):
    page = show(name, scheme=scheme)
    assert_accessible(page)
    screenshot(f"site-{name}-{scheme}")


@pytest.mark.parametrize("name", PAGES)
def test_a_phone_shows_all_without_scrolling_sideways(show, name, screenshot):
    page = show(name, PHONE)
    for details in page.locator("details").all():
        details.evaluate("details => { details.open = true; }")
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
    beyond = page.evaluate(
        """width => [...document.querySelectorAll("main *")].filter(node => {
            const box = node.getBoundingClientRect();
            return box.width && box.right > width + 0.5 && !node.parentElement.closest("pre, .scroll");
        }).map(node => node.outerHTML.slice(0, 200))""",
        PHONE["width"],
    )
    assert beyond == []
    assert_accessible(page)
    page.evaluate("scrollTo(0, 0)")
    screenshot(f"site-{name}-phone")


@pytest.mark.parametrize("name", CHAPTERS)
def test_formulas_are_drawn_in_their_own_font(show, name):
    page = show(name)
    sizes = page.locator("math").evaluate_all(
        "all => all.map(node => node.getBoundingClientRect()).map(box => Math.min(box.width, box.height))"
    )
    assert len(sizes) > 5
    assert min(sizes) > 2
    tall = page.locator("mo[minsize]").evaluate_all(
        """all => all.map(node => node.getBoundingClientRect().height
            / parseFloat(node.getAttribute("minsize")) / parseFloat(getComputedStyle(node).fontSize))"""
    )
    assert min(tall, default=1) > 0.95  # a bracket is as tall as it is meant to be, with an exponent, too
    assert page.evaluate("""() => document.fonts.check('16px "Course Math"')""")
    letters = page.locator("math mi").first
    assert "Course Math" in letters.evaluate("node => getComputedStyle(node).fontFamily")


def test_no_page_shows_what_only_a_solution_says(site):
    """Lines between the marks of a source that stand in no student's notebook, however a page sets them."""
    chapters = find_chapters(ROOT)
    notebooks = [nbformat.read(chapter.student, as_version=4) for chapter in chapters]
    given = "\n".join(cell.source for notebook in notebooks for cell in notebook.cells)
    regions = [
        region
        for chapter in chapters
        for region in re.findall(
            r"BEGIN SOLUTION\n(.*?)### END SOLUTION", chapter.source.read_text(), re.DOTALL
        )
    ]
    lines = {line.strip() for region in regions for line in region.splitlines()}
    secret = {line for line in lines if len(line) > 15 and line not in given}
    assert len(secret) > 200
    for name in PAGES:
        page = (site / f"{name}.html").read_text(encoding="utf-8")
        text = BeautifulSoup(page, "html.parser").get_text()
        assert [line for line in secret if line in page or line in text] == []


def test_the_keyboard_finds_the_way(show):
    page = show(CHAPTERS[1])
    page.keyboard.press("Tab")
    skip = page.locator(":focus")
    expect(skip).to_have_text("Skip to the content")
    expect(skip).to_be_in_viewport()
    assert skip.evaluate("node => getComputedStyle(node).outlineStyle") == "solid"
    page.get_by_role("link", name="Next chapter").press("Enter")
    expect(page).to_have_url(re.compile(f"/{CHAPTERS[2]}\\.html$"))
    page.get_by_role("navigation", name="In this chapter").get_by_role("link", name="Summary").press("Enter")
    expect(page.get_by_role("heading", name="Summary")).to_be_in_viewport()


def test_what_scrolls_can_be_reached_by_keyboard(show):
    page = show(CHAPTERS[0], PHONE)
    code = page.locator("pre[tabindex]").first
    code.focus()
    page.keyboard.press("ArrowRight")
    expect(code).to_be_focused()
    page.wait_for_function("node => node.scrollLeft > 0", arg=code.element_handle())


def test_without_scripts_pictures_and_captions_are_left(site, chromium):
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto((site / f"{CHAPTERS[0]}.html").as_uri())
    stills = page.locator(".course-widget img")
    assert stills.count() >= 3
    for still in stills.all():
        still.scroll_into_view_if_needed()
        expect(still).to_be_visible()
        expect(still.locator("xpath=..").locator("figcaption")).not_to_be_empty()
    context.close()


def test_a_server_gives_every_file_that_is_asked_for(server, page):
    answers = []
    page.on("response", lambda answer: answers.append((answer.status, answer.url)))
    page.goto(f"{server}/")
    page.get_by_role("link", name="1 · ").click()
    expect(page.locator(".course-widget-live .caption:not(:empty)").first).to_be_visible()
    page.mouse.wheel(0, 20_000)
    page.wait_for_load_state("networkidle")
    assert {status for status, _ in answers} == {200}
    assert any(url.endswith(".js") for _, url in answers)


def test_one_page_alone_in_another_folder_still_reads(site, tmp_path, chromium):
    """What somebody has saved or sent: the text stands without style and scripts."""
    shutil.copy(site / f"{CHAPTERS[0]}.html", tmp_path)
    context = chromium.new_context()
    page = context.new_page()
    page.goto((tmp_path / f"{CHAPTERS[0]}.html").as_uri())
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    expect(page.locator(".course-widget figcaption").first).to_be_visible()
    context.close()
