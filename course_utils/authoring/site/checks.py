"""What must hold of the pages before they are written. Every check returns sentences.

links     each address inside of the site leads to a file and a place; others are whole
leaks     no line of a solution can be read
weight    the site stays small
"""

import re
from collections.abc import Iterator, Mapping
from urllib.parse import unquote, urlsplit

from bs4 import BeautifulSoup

MOST_BYTES = 40_000_000
FETCHED = {"img": "src", "script": "src", "link": "href"}  # what a browser loads by itself


def links(files: Mapping[str, bytes]) -> list[str]:
    """Addresses of pages and styles that lead nowhere, or that a browser would fetch from elsewhere."""
    pages = {
        name: BeautifulSoup(content, "html.parser")
        for name, content in files.items()
        if name.endswith(".html")
    }
    anchors = {name: [str(node["id"]) for node in page.select("[id]")] for name, page in pages.items()}
    problems = [
        f"{name}: the id {anchor!r} stands twice; an address can mean only one place."
        for name, ids in anchors.items()
        for anchor in sorted({anchor for anchor in ids if ids.count(anchor) > 1})
    ]
    for name, page in pages.items():
        for node in page.select("a[href]"):
            problems += _follow(name, str(node["href"]), files, anchors, fetched=False)
        for tag, attribute in FETCHED.items():
            for node in page.select(f"{tag}[{attribute}]"):
                problems += _follow(name, str(node[attribute]), files, anchors, fetched=True)
    return problems + list(_in_styles(files))


def leaks(name: str, page: str, secrets: set[str]) -> list[str]:
    """Lines of solutions in a page: in its text as a reader sees it, or anywhere in its source."""
    texts = (BeautifulSoup(page, "html.parser").get_text(), page)
    return [
        f"{name}: it shows a line of a solution: {line!r}."
        for line in sorted(secrets)
        if any(line in text for text in texts)
    ]


def weight(files: Mapping[str, bytes], most: int = MOST_BYTES) -> list[str]:
    """Whether the site is too large to be carried around."""
    size = sum(map(len, files.values()))
    if size <= most:
        return []
    largest = max(files, key=lambda name: len(files[name]))
    return [
        f"The site has {size / 1e6:.1f} MB, {most / 1e6:.0f} are allowed; "
        f"its largest file is {largest} with {len(files[largest]) / 1e6:.1f} MB."
    ]


def _follow(
    page: str, address: str, files: Mapping[str, bytes], anchors: Mapping[str, list[str]], *, fetched: bool
) -> Iterator[str]:
    parts = urlsplit(address)
    if parts.scheme or parts.netloc:
        if fetched:
            yield f"{page}: a browser would fetch {address}; pages load nothing from elsewhere."
        elif parts.scheme not in ("http", "https") or "." not in parts.netloc or re.search(r"\s", address):
            yield f"{page}: {address!r} is no whole address of the web, such as https://example.org/page."
        return
    target = unquote(parts.path) or page
    if target not in files:
        yield f"{page}: {address} leads to no file of the site."
    elif parts.fragment and unquote(parts.fragment) not in anchors.get(target, []):
        yield f"{page}: {address} leads to no place in {target}."


def _in_styles(files: Mapping[str, bytes]) -> Iterator[str]:
    """Addresses in style sheets are relative to these."""
    for name in (name for name in files if name.endswith(".css")):
        for address in re.findall(r"""url\(["']?([^"')]+)""", files[name].decode()):
            if f"{name.rpartition('/')[0]}/{address}" not in files:
                yield f"{name}: {address} leads to no file of the site."
