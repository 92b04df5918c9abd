"""`python -m benchmarks`: run the races whose results are not there yet, and write the table."""

import argparse
import sys
from pathlib import Path

import torch

from benchmarks import machine, table
from benchmarks.races import RACES
from benchmarks.runner import REPOSITORY, Race, run_all, say
from benchmarks.setting import Setting
from course_utils.training import write_atomically

MINUTES = {"tiny": 0.01, "quick": 0.1, "full": 1.5}


def main(argv: list[str] | None = None) -> int:
    args = parser().parse_args(argv)
    names = [race.name for race in RACES]
    unknown = sorted(set(args.only or ()) - set(names))
    if unknown:
        return refuse(f"there is no race {', '.join(unknown)}, only: {', '.join(names)}.")
    if args.threads < 1:
        return refuse(f"--threads must be 1 or more, got {args.threads}.")
    if args.minutes is not None and not args.minutes > 0:
        return refuse(f"--minutes must be above 0, got {args.minutes:g}.")
    if args.device == "cuda" and not torch.cuda.is_available():
        return refuse("--device cuda: torch sees no GPU here.")
    chosen = [race for race in RACES if not args.only or race.name in args.only]
    folder = args.state if args.budget == "full" else args.state / args.budget
    failed = run_all([heat for race in chosen for heat in heats(race, args)], folder, args.again)
    out = args.out or (REPOSITORY / "benchmarks" if args.budget == "full" else folder) / "RESULTS.md"
    words = "" if args.budget == "full" else f" with budget {args.budget}: only to see that all runs"
    before = out.read_text() if out.is_file() else ""
    write_atomically(out, table.results(RACES, folder, before, words).encode())
    say(f"{out} is written.")
    if failed:
        say(f"Failed: {', '.join(failed)}. The others are kept; the next run takes up the rest.")
    return 1 if failed else 0


def parser() -> argparse.ArgumentParser:
    cli = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    cli.add_argument("--only", nargs="+", metavar="RACE", help="these races; default: all")
    cli.add_argument("--again", action="store_true", help="also those whose results are kept and still hold")
    cli.add_argument("--quick", dest="budget", action="store_const", const="quick", default="full",
                     help="5 minutes: few rounds and short trainings, into build/bench/quick")  # fmt: skip
    cli.add_argument("--tiny", dest="budget", action="store_const", const="tiny", help=argparse.SUPPRESS)
    cli.add_argument("--minutes", type=float, help="of each training (default: 1.5; the full protocol: 10)")
    cli.add_argument("--threads", type=int, default=machine.cores(), help="of torch (default: one a core)")
    cli.add_argument("--device", choices=("cpu", "cuda"), help="default: both, where there is a GPU")
    cli.add_argument("--out", type=Path, help="default: benchmarks/RESULTS.md")
    cli.add_argument("--state", type=Path, default=REPOSITORY / "build" / "bench", help=argparse.SUPPRESS)
    return cli


def heats(race: Race, args: argparse.Namespace) -> list[tuple[Race, Setting]]:
    """A race on each device that it is run on."""
    devices = ["cpu"] + ["cuda"] * (race.on_gpu and torch.cuda.is_available())
    return [(race, setting(device, args)) for device in devices if device == (args.device or device)]


def setting(device: str, args: argparse.Namespace) -> Setting:
    return Setting(
        device=torch.device(device),
        threads=args.threads,
        budget=args.budget,
        minutes=args.minutes or MINUTES[args.budget],
        progress=lambda *_: None,
    )


def refuse(reason: str) -> int:
    say(f"python -m benchmarks: {reason}")
    return 2


if __name__ == "__main__":
    sys.exit(main())
