"""Chapters and the index as HTML."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import nbformat
from bs4 import BeautifulSoup, Tag
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from course_utils.authoring.chapters import AuthoringError, Chapter
from course_utils.authoring.site.assets import Assets, take_pictures, take_scripts
from course_utils.authoring.site.cells import cells_of

HERE = Path(__file__).parent
COVERS = {  # titles of the widgets that the index shows; of other chapters the first one
    "gan": "Discriminator against generator, step by step",
    "dcgan": "Ten classes, six styles",
    "unet": "A U-Net at work",
    "sampling": "The walk back",
}
SMALLEST = 0.55  # of a figure's pixels: 72 an inch, so that its texts of 10 points have 10 pixels
TEMPLATES = Environment(
    loader=FileSystemLoader(HERE / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


@dataclass(frozen=True)
class Heading:
    """A place that the table of contents leads to."""

    id: str
    text: str
    level: int


@dataclass(frozen=True)
class ChapterPage:
    """A chapter, ready to be put between head and foot of a page."""

    name: str  # NN_topic
    title: str
    question: str  # ends with a full stop
    card: Mapping[str, str]  # e.g. {"Time": "75 minutes"}: what the chapter's first table says
    body: Markup
    contents: Sequence[Heading]
    scripts: Sequence[str]
    cover: Mapping[str, str]  # attributes of a picture
    exercises: int
    points: float

    @property
    def address(self) -> str:
        return f"{self.name}.html"

    @property
    def minutes(self) -> int:
        return int(self.card["Time"].split()[0])


@dataclass(frozen=True)
class Readme:
    """What the README says to everybody."""

    title: str
    questions: Mapping[int, str]  # by the number of the chapter


def read_readme(root: Path) -> Readme:
    """The course's name, and the question of each chapter.

    Raises:
        AuthoringError: there is no README.md with a title.
    """
    path = root / "README.md"
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    title = re.match(r"# (.+)", text)
    if not title:
        raise AuthoringError(f"{path} must begin with '# ' and the course's name: pages bear it.")
    rows = re.findall(r"^\| (\d+) [^|]+\| ([^|]+?) \|", text, re.MULTILINE)
    return Readme(title[1], {int(number): question for number, question in rows})


def read_chapter(chapter: Chapter, readme: Readme, assets: Assets) -> ChapterPage:
    """A chapter from its students' notebook; its pictures and scripts go to the assets.

    Raises:
        AuthoringError: there is something that a page cannot show.
    """
    name = chapter.relative(chapter.student)
    if not chapter.student.is_file():
        raise AuthoringError(f"{name} is missing; run `make build`.")
    try:
        return _read(chapter, readme, assets)
    except AuthoringError as error:
        raise AuthoringError(f"{name}: {error}") from None


def _read(chapter: Chapter, readme: Readme, assets: Assets) -> ChapterPage:
    cells = cells_of(nbformat.read(chapter.student, as_version=4))
    soup = BeautifulSoup(TEMPLATES.get_template("cells.html").render(cells=cells), "html.parser")
    title, card = _opening(soup)
    take_pictures(soup, assets)
    checks = [cell for cell in cells if cell.kind == "check"]
    contents, scripts = _contents(soup), take_scripts(soup, assets)
    _name_only_what_has_a_name(soup)
    _let_wide_parts_scroll(soup)
    return ChapterPage(
        name=chapter.name,
        title=title,
        question=_question(chapter, readme),
        card=card,
        body=Markup(soup),
        contents=contents,
        scripts=scripts,
        cover=_cover(soup, COVERS.get(chapter.topic)),
        exercises=len(checks),
        points=sum(cell.points for cell in checks),
    )


def chapter_html(course: str, pages: Sequence[ChapterPage], at: int, shared: Mapping[str, str]) -> str:
    """The whole page of pages[at]."""
    return TEMPLATES.get_template("chapter.html").render(
        course=course,
        page=pages[at],
        before=pages[at - 1] if at else None,
        after=pages[at + 1] if at + 1 < len(pages) else None,
        shared=shared,
    )


def index_html(course: str, pages: Sequence[ChapterPage], shared: Mapping[str, str]) -> str:
    return TEMPLATES.get_template("index.html").render(course=course, pages=pages, shared=shared)


def _opening(soup: BeautifulSoup) -> tuple[str, dict[str, str]]:
    """Take the title and the table below it out of the chapter: the page sets them in its own way."""
    title, table = soup.find("h1"), soup.find("table")
    if title is None or table is None:
        raise AuthoringError(
            "it must open with a title ('# ') and a table of what, time, device, difficulty."
        )
    names, values = ([cell.decode_contents().strip() for cell in table.select(tag)] for tag in ("th", "td"))
    title.extract()
    table.extract()
    return title.get_text(), dict(zip(names, values, strict=True))


def _question(chapter: Chapter, readme: Readme) -> str:
    number = int(chapter.name[:2])
    if number not in readme.questions:
        raise AuthoringError(f"README.md's table has no row for chapter {number}, with its question.")
    question = readme.questions[number]
    return f"{question[0].upper()}{question[1:]}."


def _contents(soup: BeautifulSoup) -> list[Heading]:
    """The headings, each given an id."""
    headings: list[Heading] = []
    taken = {str(node["id"]) for node in soup.select("[id]")}
    for node in soup.select("h2, h3"):
        slug = base = re.sub(r"\W+", "-", node.get_text().lower()).strip("-")
        while slug in taken:
            slug = f"{base}-{sum(name.startswith(base) for name in taken)}"
        taken.add(slug)
        node["id"] = slug
        headings.append(Heading(slug, node.get_text(), int(node.name[1])))
    return headings


def _cover(soup: BeautifulSoup, title: str | None) -> dict[str, str]:
    """The still of the widget with this title, else of the first one."""
    stills = soup.select(".course-widget img")
    chosen = [image for image in stills if title is None or str(image["alt"]).startswith(f"{title}. ")]
    if not chosen:
        raise AuthoringError(f"it has no widget {title or 'at all'!r}, whose picture the index should show.")
    return {name: str(chosen[0][name]) for name in ("src", "alt", "width", "height")}


def _name_only_what_has_a_name(soup: BeautifulSoup) -> None:
    """A table's empty corner is no heading: screen readers would announce it at each cell."""
    for corner in soup.select("th"):
        if not corner.get_text(strip=True):
            corner.name = "td"
            corner.attrs.pop("scope", None)


def _let_wide_parts_scroll(soup: BeautifulSoup) -> None:
    """Tables, and figures: these shrink, but only as far as their texts can be read."""
    for image in soup.select("figure:not(.course-widget figure) > img"):
        image["style"] = f"{image['style']};min-width:{SMALLEST * int(str(image['width'])):.0f}px"
    for wide in soup.select("table, figure:not(.course-widget figure) > img"):
        wide.wrap(Tag(name="div", attrs={"class": "scroll"}))
