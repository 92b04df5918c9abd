"""What pages refer to: pictures, scripts, style. Each content is one file, named after it."""

import base64
import hashlib
import io
from collections.abc import Iterator
from dataclasses import dataclass, field

from bs4 import BeautifulSoup, Tag
from PIL import Image

from course_utils.authoring.chapters import AuthoringError

INLINE = "data:image/png;base64,"


@dataclass
class Assets:
    """Files by their address from a page; equal contents are one file."""

    files: dict[str, bytes] = field(default_factory=dict)

    def add(self, stem: str, suffix: str, content: bytes) -> str:
        """The address of a file with this content, e.g. "assets/site-0a1b2c3d4e.css"."""
        address = f"assets/{stem}-{hashlib.sha256(content).hexdigest()[:10]}{suffix}"
        self.files[address] = content
        return address

    def add_picture(self, png: bytes) -> str:
        """The address of a picture with the same pixels, as lossless WebP where that is smaller."""
        packed = io.BytesIO()
        with Image.open(io.BytesIO(png)) as picture:
            mode = "RGBA" if picture.has_transparency_data else "RGB"
            picture.convert(mode).save(packed, "webp", lossless=True, exact=True, method=4)
        suffix, content = min((".webp", packed.getvalue()), (".png", png), key=lambda pair: len(pair[1]))
        return self.add("picture", suffix, content)


def take_pictures(soup: BeautifulSoup, assets: Assets) -> None:
    """Put the pictures that stand inside of a page into files of their own, loaded when they come into view.

    Raises:
        AuthoringError: a picture is not inside of the page, or has no alt text.
    """
    for image in soup.find_all("img"):
        source = str(image.get("src", ""))
        if not source.startswith(INLINE):
            raise AuthoringError(f"The picture {source[:60]!r} is not stored in the notebook as PNG.")
        if not image.get("alt"):
            raise AuthoringError("A picture has no alt text; say what it shows to those who cannot see it.")
        png = base64.b64decode(source.removeprefix(INLINE))
        with Image.open(io.BytesIO(png)) as picture:
            image["width"], image["height"] = map(str, picture.size)
        image["src"], image["loading"] = assets.add_picture(png), "lazy"


def take_scripts(soup: BeautifulSoup, assets: Assets) -> list[str]:
    """Put the widgets' scripts into files; each wakes all widgets of its family. Returns their addresses."""
    return list(dict.fromkeys(_taken_scripts(soup, assets)))


def _taken_scripts(soup: BeautifulSoup, assets: Assets) -> Iterator[str]:
    for script in soup.select("script:not([type])"):
        widget = script.find_parent(class_="course-widget")
        if not isinstance(widget, Tag):
            raise AuthoringError("A script stands outside of a widget; pages run only the widgets' own.")
        code = script.get_text().strip().removeprefix("<!--").removesuffix("//-->")
        yield assets.add(str(widget["data-family"]), ".js", code.strip().encode() + b"\n")
        script.decompose()
