"""`course site`: the course as pages that work without a kernel."""

import argparse
import sys
from pathlib import Path

from course_utils.authoring.chapters import AuthoringError
from course_utils.authoring.site.build import make, write


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--out", type=Path, default=Path("build/site"), help="folder to write (default: %(default)s)"
    )
    parser.add_argument(
        "--root", type=Path, default=Path(), help="the course's root folder (default: this one)"
    )


def run(args: argparse.Namespace) -> int:
    """Write the site; 0 if it is written, 1 if something keeps it from being."""
    try:
        files = make(args.root.resolve())
        write(files, args.out)
    except AuthoringError as error:
        print(error, file=sys.stderr)
        return 1
    pages = sum(name.endswith(".html") for name in files)
    size = sum(map(len, files.values())) / 1e6
    print(f"Wrote {pages} pages, {size:.1f} MB in {len(files)} files. Open {args.out / 'index.html'}.")
    return 0
