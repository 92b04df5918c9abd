"""`course build`: notebooks from sources, or the check that they still agree."""

import argparse
import sys
from pathlib import Path

from course_utils.authoring.build import build, check, warnings
from course_utils.authoring.chapters import AuthoringError, find_chapters, orphans


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "chapters", nargs="*", metavar="NN_topic", help="what to build (default: all chapters)"
    )
    parser.add_argument(
        "--check", action="store_true", help="run nothing; say where notebooks and sources differ"
    )
    parser.add_argument(
        "--profile", default="cpu", choices=("ci", "cpu", "gpu"), help="(default: %(default)s)"
    )
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="notebooks run at once (default: 1)")
    parser.add_argument(
        "--root", type=Path, default=Path(), help="the course's root folder (default: this one)"
    )


def run(args: argparse.Namespace) -> int:
    """Build or check; 0 if there is nothing to say, else 1."""
    try:
        root = args.root.resolve()
        chapters = find_chapters(root, args.chapters)
        for warning in warnings(chapters):
            print(f"warning: {warning}")
        if args.check:
            problems = check(chapters) + [f"{path} has no source; delete it." for path in orphans(root)]
        else:
            problems = build(chapters, profile=args.profile, jobs=args.jobs)
    except AuthoringError as error:
        problems = [str(error)]
    for problem in problems:
        print(problem, file=sys.stderr)
    if not problems:
        print(f"{'Checked' if args.check else 'Built'}: {', '.join(chapter.name for chapter in chapters)}.")
    return min(len(problems), 1)
