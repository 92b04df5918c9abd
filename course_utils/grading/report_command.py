"""`course report`: the class report on a chapter, from the results that `course grade` has left."""

import argparse
import sys
from pathlib import Path

from course_utils.grading.anonymous import anonymised, read_key
from course_utils.grading.course import Course, CourseError
from course_utils.grading.report import class_report
from course_utils.grading.report_page import page
from course_utils.grading.report_tables import write_tables
from course_utils.grading.result import read_results

ANONYMOUS = (
    "Names are replaced by labels that stay the same from report to report. What students wrote may still "
    "hold other names: look before you pass this on."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("assignment", metavar="NN_topic", help="the chapter that was graded")
    parser.add_argument("--anonymous", action="store_true", help="labels in place of names, everywhere")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="(default: the course's reports/NN_topic)")
    parser.add_argument("--root", type=Path, default=Path(), help="the course's folder (default: this one)")


def run(args: argparse.Namespace) -> int:
    """Write the page and the tables; 0, or 1 with one sentence where there is nothing to report."""
    try:
        course = Course.find(args.root)
        folder = course.results(args.assignment)
        results = read_results(folder)
        if not results:
            raise ValueError(f"No results in {folder}. Run `course grade {args.assignment}` first.")
    except (CourseError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    if args.anonymous:
        results = anonymised(results, read_key(folder.parent))
    out = args.out or course.root / "reports" / (args.assignment + "-anonymous" * args.anonymous)
    out.mkdir(parents=True, exist_ok=True)
    report = class_report(args.assignment, results)
    path = out / "report.html"
    path.write_text(page(report, [ANONYMOUS] * args.anonymous), encoding="utf-8")
    tables = write_tables(report, out)
    print(f"{len(results)} submissions, median {report.median:g} of {report.points:g} points.")
    print(f"Open {path} in a browser; beside it: {', '.join(table.name for table in tables)}.")
    return 0
