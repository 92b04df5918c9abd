"""The `course` command. Each subcommand lives with its part; it is imported only when it is called."""

import argparse
import importlib
import sys

COMMANDS = {
    "doctor": ("course_utils.doctor", "say what is missing or wrong on this machine, and what to do"),
    "build": ("course_utils.authoring.command", "make all notebooks of a chapter from solutions/NN_topic.py"),
    "site": ("course_utils.authoring.site.command", "make the pages that work without a kernel"),
    "grade": ("course_utils.grading.command", "grade submissions in a sandbox, in parallel"),
    "report": ("course_utils.grading.report_command", "write the class report of an assignment"),
    "train": ("course_utils.checkpoints.command", "retrain the released models of a chapter"),
}


def main(argv: list[str] | None = None) -> int:
    argv = sys.argv[1:] if argv is None else argv
    parser = argparse.ArgumentParser(prog="course", description=__doc__.splitlines()[0])
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    modules = {}
    for name, (module_name, summary) in COMMANDS.items():
        subparser = subparsers.add_parser(name, help=summary, description=summary)
        if argv[:1] == [name]:
            modules[name] = importlib.import_module(module_name)
            modules[name].add_arguments(subparser)
    args = parser.parse_args(argv)
    return modules[args.command].run(args)


if __name__ == "__main__":
    sys.exit(main())
