"""The site from notebooks made by hand: what pages show, what keeps them from being written, how they are."""

import base64
import io
import json
import re
from pathlib import Path
from xml.etree import ElementTree

import nbformat
import numpy as np
import pytest
from bs4 import BeautifulSoup
from fontTools.ttLib import TTFont
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from PIL import Image

from course_utils import cli, plots, widgets
from course_utils.authoring.chapters import AuthoringError, find_chapters
from course_utils.authoring.site import build, checks
from course_utils.authoring.site.assets import Assets, take_pictures
from course_utils.authoring.site.markdown import mathml, to_html
from course_utils.exercises import grade
from course_utils.exercises.display import as_html

REPOSITORY = Path(__file__).parents[2]
SECRET = "return factor * sample_of_the_square"
SOURCE = f"""
# %% nbgrader={{"grade_id": "square", "grade": false, "locked": false, "solution": true, "schema_version": 3}}
def square(x):
    ### BEGIN SOLUTION
    {SECRET}
    ### END SOLUTION
"""
README = """# Squares and cubes

| chapter | the question it answers | state |
|:---|:---|:---|
| 1 Squares | what a square is | complete |
"""
OPENING = """# 1 · Squares

| You will be able to | Time | Difficulty |
|:---|:---|:---|
| count $x^2$ | 5 minutes | 1 of 5 |
"""
DOT = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNkYAAAAAYAAjCB0C8AAAAASUVORK5CYII="
ROUNDHAND = "\N{VARIATION SELECTOR-1}"  # after a script letter: which of two shapes it has
IDLE = "def square(x):\n    # your code here\n    raise NotImplementedError"


def scrubber() -> widgets.FrameScrubber:
    frames = np.arange(2 * 8 * 8, dtype=np.uint8).reshape(2, 8, 8)
    return widgets.FrameScrubber(frames, (1, 2), ("one", "two"), title="Squares", label="side")


def shown(**data: str) -> NotebookNode:
    return new_output("display_data", {kind.replace("_", "/"): text for kind, text in data.items()})


def cell(identifier: str, source: str, *outputs: NotebookNode, **nbgrader: object) -> NotebookNode:
    made = new_code_cell(source, outputs=list(outputs), metadata={"nbgrader": nbgrader} if nbgrader else {})
    made.id = identifier
    return made


def sound_cells() -> list[NotebookNode]:
    twin = scrubber()._repr_mimebundle_()[0]["text/html"]
    figure = plots.lines({"a": ((0, 1), (0, 1))}, xlabel="x", ylabel="y", alt="A line.", caption="It rises.")
    verdict = as_html(grade("autoencoders.conv_out_size", None))
    return [
        new_markdown_cell(OPENING),
        new_markdown_cell(
            "## The question\nWhat is $3^2$?\n\n$$ \\sqrt{9} $$\n\n| | n |\n|:---|:---|\n| a | 1 |"
        ),
        new_markdown_cell("### The question"),
        cell("first", "print(1 < 2)", new_output("stream", name="stdout", text="1 < 2\n")),
        cell("look", "lines()", new_output("display_data", figure.mimebundle())),
        cell("scrub", "scrubber", shown(text_html=twin)),
        cell("again", "scrubber", shown(text_html=twin)),
        cell("square", IDLE, grade=False, solution=True),
        cell(
            "square-check",
            'check("squares.square", square)',
            shown(text_html=verdict),
            new_output("execute_result", {"text/plain": "0.0"}),
            grade=True,
            solution=False,
            points=2,
        ),
    ]


@pytest.fixture
def course(tmp_path):
    """course(cells, readme=README, source=SOURCE): a folder with a course of one chapter."""

    def lay(cells, readme=README, source=SOURCE):
        for folder in ("solutions", "notebooks"):
            (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / "README.md").write_text(readme, encoding="utf-8")
        (tmp_path / "solutions" / "01_squares.py").write_text(source, encoding="utf-8")
        nbformat.write(new_notebook(cells=cells), tmp_path / "notebooks" / "01_squares.ipynb")
        return tmp_path

    return lay


@pytest.fixture
def page(course) -> BeautifulSoup:
    """The chapter's page."""
    return BeautifulSoup(build.make(course(sound_cells()))["01_squares.html"], "html.parser")


def test_a_chapter_says_what_it_is(page):
    assert page.html["lang"] == "en"
    assert page.title.get_text() == page.h1.get_text() == "1 · Squares"
    assert page.select_one("meta[name=description]")["content"].startswith("What a square is. ")
    assert [term.get_text() for term in page.select(".card dt")] == [
        "You will be able to",
        "Time",
        "Difficulty",
    ]
    assert page.select_one(".card dd math msup")
    assert not page.select_one("main table th:empty")


def test_headings_have_places_that_the_contents_lead_to(page):
    places = [heading["id"] for heading in page.select("h2, h3")]
    assert places == ["the-question", "the-question-1"]
    for contents in page.select(".contents"):
        assert [link["href"] for link in contents.select("a")] == ["#the-question", "#the-question-1"]


def test_code_and_what_it_put_out_are_text(page):
    first, *_ = page.select(".cell")
    assert first.select_one(".highlight").get_text().strip() == "print(1 < 2)"
    assert first.select_one("pre.output").get_text() == "1 < 2\n"


def test_an_exercise_waits_and_its_check_says_what_it_looks_at(page):
    answer, check = page.select(".exercise")
    assert "raise NotImplementedError" in answer.get_text()
    words = " ".join(check.get_text().split())
    assert "Its check, 2 points" in words
    assert (
        "It looks at: type; values (1 point); sizes that the stride does not fit exactly (1 point)." in words
    )
    assert "not attempted" not in words
    assert "0.0" not in words


def test_scripts_and_pictures_are_files_and_each_is_there_once(course):
    files = build.make(course(sound_cells()))
    page = BeautifulSoup(files["01_squares.html"], "html.parser")
    assert page.select("script:not([src]):not([type])") == []
    scripts = [script["src"] for script in page.select("head script")]
    assert [name.rpartition("-")[0] for name in scripts] == ["assets/site", "assets/frame_scrubber"]
    assert files[scripts[1]].decode().startswith("(() => {\n")
    assert files[scripts[1]].decode().endswith("})();\n")
    assert set(scripts) <= set(files)
    stills = [image["src"] for image in page.select(".course-widget img")]
    assert len(stills) == 2
    assert len(set(stills)) == 1
    assert not re.search(r"data:|<style|https?://", str(page.head))


def test_the_frames_of_a_widget_are_left_exactly_as_they_were(page):
    text = page.select_one(".course-widget-data").string
    values = json.loads(text[text.index("{") : text.rindex("}") + 1])
    assert base64.b64decode(values["pixels"]) == scrubber().pixels


def png_of(pixels: np.ndarray, **kwargs: object) -> bytes:
    packed = io.BytesIO()
    Image.fromarray(pixels).save(packed, "png", **kwargs)
    return packed.getvalue()


@pytest.mark.parametrize("channels", [3, 4])
def test_a_packed_picture_has_the_same_pixels_and_is_no_larger(channels):
    pixels = np.random.default_rng(0).integers(0, 3, (40, 60, channels), dtype=np.uint8) * 100
    png, assets = png_of(pixels), Assets()
    address = assets.add_picture(png)
    packed = assets.files[address]
    assert address.endswith(".webp")
    assert len(packed) < len(png)
    with Image.open(io.BytesIO(packed)) as picture:
        assert np.array_equal(np.asarray(picture), pixels)


def test_a_picture_that_webp_would_not_shrink_stays_as_it_is(monkeypatch):
    monkeypatch.setattr(Image.Image, "save", lambda _, file, *args, **kwargs: file.write(b"larger" * 1000))
    png, assets = base64.b64decode(DOT), Assets()
    address = assets.add_picture(png)
    assert address.endswith(".png")
    assert assets.files[address] == png


@pytest.mark.parametrize(
    ("image", "message"),
    [
        ('<img alt="a dot" src="https://example.org/dot.png">', "is not stored in the notebook as PNG"),
        ('<img src="data:image/png;base64,AAAA">', "has no alt text"),
    ],
)
def test_pictures_from_elsewhere_or_without_words_are_refused(image, message):
    with pytest.raises(AuthoringError, match=message):
        take_pictures(BeautifulSoup(image, "html.parser"), Assets())


@pytest.mark.parametrize(
    ("spoilt", "message"),
    [
        (
            cell("bad", "1", new_output("display_data", {"image/png": "AAAA"})),
            "cell bad: shows only image/png",
        ),
        (cell("bad", "1", new_output("error", ename="E", evalue="v")), "cell bad: shows only error"),
        (cell("bad", "1", shown(text_html="<script>x</script>")), "A script stands outside of a widget"),
        (
            cell("bad", "c()", grade=True, solution=False, points=1),
            "cell bad: stores no verdict with criteria",
        ),
        (new_markdown_cell(r"Look: $\frac{1}$"), r"The formula '\\\\frac\{1\}' cannot be read"),
        (new_markdown_cell("[on](02_cubes.ipynb)"), "02_cubes.ipynb leads to no file of the site"),
        (
            cell("bad", "1", shown(text_html=f"<b>{SECRET}</b>")),
            "01_squares.html: it shows a line of a solution",
        ),
        (new_markdown_cell(f"Write `{SECRET}` there."), "01_squares.html: it shows a line of a solution"),
    ],
)
def test_what_a_page_cannot_show_is_named(course, spoilt, message):
    with pytest.raises(AuthoringError, match=message):
        build.make(course([*sound_cells(), spoilt]))


def test_a_solution_is_found_even_where_colours_part_it(course):
    with pytest.raises(AuthoringError, match="it shows a line of a solution"):
        build.make(course([*sound_cells(), cell("bad", f"def f():\n    {SECRET}")]))


def test_what_the_course_lacks_is_named(course):
    with pytest.raises(AuthoringError, match="must open with a title"):
        build.make(course(sound_cells()[1:]))
    with pytest.raises(AuthoringError, match=r"README.md's table has no row for chapter 1"):
        build.make(course(sound_cells(), readme="# Squares\n"))
    with pytest.raises(AuthoringError, match="must begin with '# '"):
        build.make(course(sound_cells(), readme="Squares\n"))
    with pytest.raises(AuthoringError, match="it has no widget 'at all'"):
        build.make(course([part for part in sound_cells() if part.get("source") != "scrubber"]))
    root = course(sound_cells())
    (root / "notebooks" / "01_squares.ipynb").unlink()
    with pytest.raises(AuthoringError, match=r"notebooks/01_squares.ipynb is missing; run `make build`"):
        build.make(root)


LINKED = {
    "a.html": b'<a href="b.html#there">b</a> <a href="#here" id="here">a</a> <a href="https://example.org/x?y">c</a>',
    "b.html": b'<p id="there"><img src="assets/p.png"><a href="a%2Ehtml">a</a>',
    "assets/p.png": b"",
    "assets/s.css": b"@font-face { src: url(p.png) }",
}


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.html", '<a href="c.html">', "a.html: c.html leads to no file of the site."),
        ("a.html", '<a href="b.html#here">', "a.html: b.html#here leads to no place in b.html."),
        ("a.html", '<a href="#nowhere">', "a.html: #nowhere leads to no place in a.html."),
        ("a.html", '<a href="https://example">', "a.html: 'https://example' is no whole address of the web"),
        ("a.html", '<a href="htp://example.org">', "a.html: 'htp://example.org' is no whole address"),
        ("a.html", '<a href="javascript:alert(1)">', "a.html: 'javascript:alert(1)' is no whole address"),
        ("a.html", '<script src="https://example.org/x.js">', "would fetch https://example.org/x.js"),
        ("a.html", '<img src="//example.org/x.png">', "would fetch //example.org/x.png"),
        ("b.html", '<link href="assets/t.css">', "b.html: assets/t.css leads to no file of the site."),
        ("b.html", '<i id="there">', "b.html: the id 'there' stands twice"),
        ("assets/s.css", "url('q.png')", "assets/s.css: q.png leads to no file of the site."),
    ],
)
def test_every_address_must_lead_somewhere(name, text, message):
    assert checks.links(LINKED) == []
    (problem,) = checks.links(LINKED | {name: LINKED[name] + text.encode()})
    assert message in problem


def test_a_heavy_site_is_refused():
    files = {"a": b"12345", "b": b"1234567"}
    assert checks.weight(files, most=12) == []
    (problem,) = checks.weight(files, most=11)
    assert problem.endswith("its largest file is b with 0.0 MB.")


def test_a_new_site_takes_the_place_of_the_old_one(tmp_path):
    target = tmp_path / "deep" / "site"
    index = {"index.html": build.MARK.encode()}
    build.write(index | {"assets/old": b"old"}, target)
    build.write(index | {"assets/new": b"new"}, target)
    assert {path.name for path in (target / "assets").iterdir()} == {"new"}
    assert list(target.parent.iterdir()) == [target]


@pytest.mark.parametrize("failing", ["write_bytes", "rename"])
def test_an_interrupted_build_leaves_the_old_site(tmp_path, monkeypatch, failing):
    target = tmp_path / "site"
    files = {"index.html": build.MARK.encode(), "second": b"2"}
    build.write(files, target)
    real = getattr(Path, failing)

    def fail(path, argument):
        if path.name in ("second", "new"):
            raise OSError("no space left")
        return real(path, argument)

    monkeypatch.setattr(Path, failing, fail)
    with pytest.raises(OSError, match="no space left"):
        build.write({"index.html": b"new", "second": b"new"}, target)
    assert {path.name: path.read_bytes() for path in target.iterdir()} == files
    assert list(tmp_path.iterdir()) == [target]


def test_a_folder_that_is_no_site_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("ten years")
    with pytest.raises(AuthoringError, match="is no site of this course, and would be lost"):
        build.write({"index.html": b""}, tmp_path)
    assert (tmp_path / "thesis.txt").read_text() == "ten years"


def test_the_command_says_what_it_wrote_or_why_not(course, tmp_path, capsys):
    root, out = course(sound_cells()), tmp_path / "out"
    assert cli.main(["site", "--root", str(root), "--out", str(out)]) == 0
    assert re.match(r"Wrote 2 pages, 0\.\d MB in \d+ files\. Open .*index\.html\.", capsys.readouterr().out)
    assert (out / "01_squares.html").is_file()
    (root / "README.md").unlink()
    assert cli.main(["site", "--root", str(root), "--out", str(out)]) == 1
    assert "must begin with" in capsys.readouterr().err


def formulas(chapter) -> list[str]:
    """The MathML of a chapter's notebook."""
    cells = nbformat.read(chapter.student, as_version=4).cells
    pages = [
        BeautifulSoup(to_html(part.source), "html.parser") for part in cells if part.cell_type == "markdown"
    ]
    return [str(formula) for page in pages for formula in page.select("math")]


@pytest.mark.parametrize("chapter", find_chapters(REPOSITORY), ids=lambda chapter: chapter.name)
def test_every_formula_is_converted_whole_and_the_font_has_its_letters(chapter):
    known = set(map(chr, TTFont(build.HERE / "static" / build.FONT).getBestCmap())) | {ROUNDHAND}
    found = formulas(chapter)
    dollars = sum(
        part.source.replace("$$", "$").count("$")
        for part in nbformat.read(chapter.student, as_version=4).cells
        if part.cell_type == "markdown"
    )
    assert len(found) == dollars / 2 > 5
    for formula in found:
        text = "".join(ElementTree.fromstring(formula).itertext())
        assert "merror" not in formula
        assert not re.search(r"\\|\$", text), formula
        assert {letter for letter in text if not letter.isspace()} <= known, formula


def test_letters_of_formulas_keep_their_kind():
    assert "\N{MATHEMATICAL DOUBLE-STRUCK CAPITAL E}" in mathml(r"\mathbb E", block=False)
    assert "\N{MATHEMATICAL SCRIPT CAPITAL N}" in mathml(r"\mathcal N", block=False)
    assert 'display="block"' in mathml("x &lt; y", block=True)
    assert "&lt;" in mathml("x &lt; y", block=True)
    assert mathml(r"\big(x\big)^2", block=True).count("<msup><mrow><mo minsize") == 1
    assert "<munder" in to_html("\\begin{align}\n\\min_f x\n\\end{align}")
