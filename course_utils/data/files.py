"""Where the bytes of a data set come from, and how they are known to be the right ones.

Order: $COURSE_DATA_DIR/<DATASET>/raw (torchvision's layout, plain or .gz), where a hub shares that data set;
else the copy packed inside this package (.xz). Whatever was read is compared with the data set's published
checksum before anything is decoded.
"""

import gzip
import hashlib
import lzma
import os
import zlib
from dataclasses import dataclass
from pathlib import Path

PACKED = Path(__file__).parent
ENVIRONMENT = "COURSE_DATA_DIR"


class CorruptDataError(RuntimeError):
    """A data file was found, but its bytes are not the published ones."""


@dataclass(frozen=True)
class IdxFile:
    name: str  # as published, without .gz
    md5: str  # of the uncompressed file, as published


@dataclass(frozen=True)
class Source:
    """One data set in torchvision's layout: `folder`/raw/`file name`."""

    folder: str
    packed: Path
    files: dict[tuple[str, str], IdxFile]  # (split, "images" | "labels")


MNIST = Source(
    folder="MNIST",
    packed=PACKED / "mnist",
    files={
        ("train", "images"): IdxFile("train-images-idx3-ubyte", "6bbc9ace898e44ae57da46a324031adb"),
        ("train", "labels"): IdxFile("train-labels-idx1-ubyte", "a25bea736e30d166cdddb491f175f624"),
        ("test", "images"): IdxFile("t10k-images-idx3-ubyte", "2646ac647ad5339dbf082846283269ea"),
        ("test", "labels"): IdxFile("t10k-labels-idx1-ubyte", "27ae3e4e09519cfbb04c329615203637"),
    },
)


def locate(source: Source, file: IdxFile) -> Path:
    """The file to read.

    Raises:
        FileNotFoundError: COURSE_DATA_DIR names no folder, or its copy of the data set lacks the file.
    """
    shared = os.environ.get(ENVIRONMENT)
    if not shared:
        return source.packed / f"{file.name}.xz"
    if not Path(shared).is_dir():
        raise FileNotFoundError(
            f"load: {ENVIRONMENT} names {shared}, which is no folder. "
            "Correct it, or unset it to use the packed data."
        )
    folder = Path(shared) / source.folder / "raw"
    if not folder.is_dir():
        return source.packed / f"{file.name}.xz"
    for candidate in (folder / file.name, folder / f"{file.name}.gz"):
        if candidate.is_file():
            return candidate
    raise FileNotFoundError(
        f"load: {folder} holds neither {file.name} nor {file.name}.gz "
        f"(MD5 of the uncompressed file {file.md5}). "
        f"Complete the folder, or unset {ENVIRONMENT} to use the packed data."
    )


def read(source: Source, file: IdxFile) -> bytes:
    """The uncompressed bytes of a file, verified.

    Raises:
        FileNotFoundError: see `locate`; or the package was installed without its data.
        CorruptDataError: the bytes do not have the published checksum.
    """
    path = locate(source, file)
    found = "a file that does not decompress"
    try:
        content = _decompress(path)
        found = hashlib.md5(content, usedforsecurity=False).hexdigest()
    except (lzma.LZMAError, gzip.BadGzipFile, zlib.error, EOFError):
        pass  # `found` says so
    if found != file.md5:
        raise CorruptDataError(
            f"load: {path.name} in {path.parent} is damaged: its uncompressed content must have the MD5 "
            f"{file.md5}, got {found}. Replace the file by a fresh copy."
        )
    return content


def _decompress(path: Path) -> bytes:
    content = path.read_bytes()
    if path.suffix == ".xz":
        return lzma.decompress(content)
    return gzip.decompress(content) if path.suffix == ".gz" else content
