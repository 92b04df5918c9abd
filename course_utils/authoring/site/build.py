"""Make all pages in memory, check them, write them beside what was there, then put them in its place."""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import mkdtemp

from nbformat import NotebookNode

from course_utils.authoring.chapters import AuthoringError, Chapter, find_chapters
from course_utils.authoring.checks import solution_lines
from course_utils.authoring.site import checks
from course_utils.authoring.site.assets import Assets
from course_utils.authoring.site.pages import HERE, chapter_html, index_html, read_chapter, read_readme
from course_utils.authoring.source import read_source

MARK = '<meta name="generator" content="course site">'
# Letters for formulas: phones have no font with the tables that tall brackets and roots need. Made by
# pyftsubset STIXTwoMath-Regular.woff --unicodes-file=STIXTwoMath-unicodes.txt --flavor=woff --no-hinting
#     --layout-features=ssty,dtls,flac,ccmp
FONT = "STIXTwoMath-subset.woff"


def make(root: Path) -> dict[str, bytes]:
    """Every file of the site, by its path from the index.

    Raises:
        AuthoringError: a notebook is missing or cannot be shown, or the pages do not hold what they must.
    """
    chapters, readme, assets = find_chapters(root), read_readme(root), Assets()
    shared = _shared(assets)
    pages = [read_chapter(chapter, readme, assets) for chapter in chapters]
    html = {page.address: chapter_html(readme.title, pages, at, shared) for at, page in enumerate(pages)}
    html["index.html"] = index_html(readme.title, pages, shared)
    files = {name: text.encode() for name, text in html.items()} | assets.files
    problems = [*_leaks(chapters, html), *checks.links(files), *checks.weight(files)]
    if problems:
        raise AuthoringError("\n".join(problems))
    return files


def write(files: Mapping[str, bytes], target: Path) -> None:
    """The files as the folder `target`, in the place of an older site; until all are written, that one stays.

    Raises:
        AuthoringError: what stands there is no site, and would be lost.
    """
    if target.exists() and not _is_site(target):
        raise AuthoringError(f"{target} is no site of this course, and would be lost; choose another --out.")
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        new, old = beside / "new", beside / "old"
        for name, content in files.items():
            path = new / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        _put(new, target, old)
    finally:
        shutil.rmtree(beside)


def _is_site(folder: Path) -> bool:
    index = folder / "index.html"
    return index.is_file() and MARK in index.read_text(encoding="utf-8")


def _put(new: Path, target: Path, old: Path) -> None:
    """Rename new to target; what stood there becomes old, or stays if that fails."""
    if target.exists():
        target.rename(old)
    try:
        new.rename(target)
    except OSError:
        if old.exists():
            old.rename(target)
        raise


def _shared(assets: Assets) -> dict[str, str]:
    """What every page loads: name -> address."""
    static = HERE / "static"
    font = assets.add("maths", ".woff", (static / FONT).read_bytes())
    style = (static / "site.css").read_text(encoding="utf-8").replace("FONT", font.rpartition("/")[2])
    return {
        "style": assets.add("site", ".css", style.encode()),
        "script": assets.add("site", ".js", (static / "site.js").read_bytes()),
        "icon": assets.add("icon", ".svg", (static / "icon.svg").read_bytes()),
    }


def _leaks(chapters: Sequence[Chapter], html: Mapping[str, str]) -> list[str]:
    """Lines of solutions: in a chapter's page its own, in every page those that no chapter gives away."""
    sources = {f"{chapter.name}.html": read_source(chapter) for chapter in chapters}
    own = {name: solution_lines(source) for name, source in sources.items()}
    course = NotebookNode(cells=[cell for source in sources.values() for cell in source.cells])
    everywhere = solution_lines(course)
    return [
        problem
        for name, page in html.items()
        for problem in checks.leaks(name, page, everywhere | own.get(name, set()))
    ]
