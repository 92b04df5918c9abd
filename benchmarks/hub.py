"""A class at once: all start their servers, fetch chapter 1, open it, check their answers, and hand in.

    python benchmarks/hub.py --students 30 --opening 6

The hub is the one of `make hub`, in a temporary folder; students are driven over its addresses, without
browsers. All begin each part together, and the next when all have done with it: they log in; fetch; open the
notebook and run its imports, as many at a time as --opening says (default: all); check all answers, while
everybody's kernel is alive; hand in. Each hands in a notebook with a mark of its own, so that what is lost,
doubled or mixed up is seen.

Memory is what a process has for itself plus its share of what several use (PSS), in MiB; "written" is what
counts against the limit that COURSE_MEMORY sets.
"""

import argparse
import asyncio
import json
import os
import secrets
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import httpx
import nbformat
from tornado.httpclient import HTTPRequest
from tornado.websocket import websocket_connect

ROOT = Path(__file__).resolve().parents[1]
CHAPTER = "01_autoencoders"
COURSE_ID = "generative_vision"
INSTRUCTOR = "instructor"
CONFIG = """
load_subconfig({trial!r})
c.JupyterHub.services.append({{"name": "crowd", "api_token": {token!r}}})
scopes = ["admin:users", "admin:servers", "access:servers"]
c.JupyterHub.load_roles.append({{"name": "crowd", "scopes": scopes, "services": ["crowd"]}})
"""
PATIENCE = 600  # seconds
# Each part and its step, a method of Crowd.
PARTS = {"log in": "start", "fetch": "fetch", "open": "open", "check": "check", "hand in": "submit"}
STEPS = ("server", "fetch", "kernel", "torch", "check", "submit")
MEMORY = ("server", "kernel", "with torch", "after the checks", "written")


def main() -> None:
    """Print a table, and as JSON what happened if --json names a file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--students", type=int, default=6)
    parser.add_argument("--opening", type=int, metavar="N", help="kernels started at a time (default: all)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the outcome there, too")
    args = parser.parse_args()
    names = [f"student{number:02}" for number in range(1, args.students + 1)]
    with tempfile.TemporaryDirectory(prefix="course-hub-") as folder, running_hub(Path(folder)) as client:
        outcome = asyncio.run(Crowd(client, Path(folder), args.opening or len(names)).lesson(names))
    if args.json:
        args.json.write_text(json.dumps(outcome, indent=1))
    print("\n".join(table(outcome)))


@contextmanager
def running_hub(folder: Path) -> Iterator[Callable[[], httpx.AsyncClient]]:
    """A hub in a folder, and clients that may do everything there."""
    token = secrets.token_hex(16)
    config = folder / "config.py"
    config.write_text(CONFIG.format(trial=str(ROOT / "hub" / "trial_config.py"), token=token))
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    environment = os.environ | {"COURSE_HUB": str(folder), "PORT": str(port), "COURSE_PROFILE": "ci"}
    command = [sys.executable, "-m", "jupyterhub", "--config", str(config)]
    with (folder / "log.txt").open("w") as log:
        hub = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)
    headers = {"Authorization": f"token {token}"}
    try:
        wait_for(f"http://127.0.0.1:{port}/hub/health", hub, folder / "log.txt")
        yield lambda: httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=PATIENCE, trust_env=False
        )
    finally:
        hub.terminate()
        hub.wait(PATIENCE)


def wait_for(address: str, hub: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and hub.poll() is None:
        try:
            if httpx.get(address, trust_env=False).is_success:
                return
        except httpx.TransportError:
            time.sleep(0.2)
    raise RuntimeError(f"The hub did not start:\n{log.read_text()[-3000:]}")


class Crowd:
    """Everybody in the room. Each step is a function of a name; its seconds and bytes are noted by name."""

    def __init__(self, connect: Callable[[], httpx.AsyncClient], folder: Path, opening: int) -> None:
        self.connect, self.folder = connect, folder
        self.opening = asyncio.Semaphore(opening)
        self.kernels: dict[str, Kernel] = {}
        self.seconds: dict[str, dict[str, float]] = {step: {} for step in STEPS}
        self.memory: dict[str, dict[str, float]] = {what: {} for what in MEMORY}
        self.verdicts: dict[str, int] = {}
        self.parts: dict[str, float] = {}

    async def lesson(self, names: list[str]) -> dict[str, Any]:
        """Everything from release to collection; what came of it."""
        async with self.connect() as self.client:
            await self.post("/hub/api/users", json={"usernames": names})
            await self.start(INSTRUCTOR)
            await self.teach("assign", "release")
            for part, step in PARTS.items():
                began = time.monotonic()
                await asyncio.gather(*(getattr(self, step)(name) for name in names))
                self.parts[part] = time.monotonic() - began
            await self.teach("collect")
        handed_in = sorted((self.folder / "exchange" / COURSE_ID / "inbound").iterdir())
        return {
            "students": len(names),
            "seconds": self.seconds,
            "memory": self.memory,
            "parts": self.parts,
            "right": self.verdicts,
            "handed in": [folder.name.partition("+")[0] for folder in handed_in],
            "collected": {name: self.mark_of(name) for name in names},
        }

    async def timed(self, step: str, name: str, work: Awaitable[Any]) -> Any:
        began = time.monotonic()
        result = await work
        self.seconds[step][name] = time.monotonic() - began
        return result

    async def start(self, name: str) -> None:
        """Ask for a server and wait until it answers."""
        await self.timed("server", name, self._start(name))

    async def _start(self, name: str) -> None:
        await self.post(f"/hub/api/users/{name}/server")
        while True:
            servers = (await self.client.get(f"/hub/api/users/{name}")).raise_for_status().json()["servers"]
            if servers.get("", {}).get("ready"):
                return
            await asyncio.sleep(0.5)

    async def post(self, address: str, **content: Any) -> Any:
        answer = (await self.client.post(address, **content)).raise_for_status()
        return answer.json() if answer.content else None

    async def teach(self, *steps: str) -> None:
        """What formgrader's icons do."""
        for step in steps:
            done = await self.post(f"/user/{INSTRUCTOR}/formgrader/api/assignment/{CHAPTER}/{step}")
            if not done["success"]:
                raise RuntimeError(done)

    async def panel(self, name: str, step: str) -> None:
        """What the buttons of the Assignments panel do."""
        what = {"course_id": COURSE_ID, "assignment_id": CHAPTER}
        done = await self.timed(step, name, self.post(f"/user/{name}/assignments/{step}", data=what))
        if not done["success"]:
            raise RuntimeError(done)

    async def fetch(self, name: str) -> None:
        await self.panel(name, "fetch")

    async def submit(self, name: str) -> None:
        await self.panel(name, "submit")

    async def open(self, name: str) -> None:
        """Open the notebook: a kernel starts and imports what the first cell says."""
        notebook = await asyncio.to_thread(nbformat.read, self.notebook(name), 4)
        imports = next(cell.source for cell in notebook.cells if cell.cell_type == "code")
        async with self.opening:
            self.kernels[name] = kernel = await self.timed("kernel", name, self._start_kernel(name))
            self.note("kernel", name, await kernel.memory())
            self.note("server", name, await kernel.memory("os.getppid()"))
            await self.timed("torch", name, kernel.run(imports))
        self.note("with torch", name, await kernel.memory())

    async def _start_kernel(self, name: str) -> "Kernel":
        what = {"path": f"{CHAPTER}/{CHAPTER}.ipynb", "name": "", "type": "notebook"}
        session = await self.post(f"/user/{name}/api/sessions", json={**what, "kernel": {"name": "python3"}})
        kernel = await Kernel.connect(self.client, f"/user/{name}/api/kernels/{session['kernel']['id']}")
        await kernel.run("import os")
        return kernel

    async def check(self, name: str) -> None:
        """Answer, check every answer, and save."""
        path, kernel = self.notebook(name), self.kernels[name]
        notebook = await asyncio.to_thread(nbformat.read, path, 4)
        fill_in(notebook, name)
        answers = [cell.source for cell in notebook.cells if "nbgrader" in cell.metadata]
        said = await self.timed("check", name, kernel.run("\n".join(answers)))
        self.verdicts[name] = said.count(": right, ")
        self.note("after the checks", name, await kernel.memory())
        self.note("written", name, await kernel.memory(written=True))
        path.unlink()
        await asyncio.to_thread(nbformat.write, notebook, path)

    def note(self, what: str, name: str, mebibytes: float) -> None:
        self.memory[what][name] = mebibytes

    def notebook(self, name: str) -> Path:
        return self.folder / "home" / name / CHAPTER / f"{CHAPTER}.ipynb"

    def mark_of(self, name: str) -> str | None:
        """Whose notebook was collected under this name."""
        path = self.folder / "course" / "submitted" / name / CHAPTER / f"{CHAPTER}.ipynb"
        if not path.exists():
            return None
        first = next(cell for cell in nbformat.read(path, as_version=4).cells if is_answer(cell))
        return first.source.partition("# by ")[2]


class Kernel:
    """A kernel behind its server's WebSocket."""

    @classmethod
    async def connect(cls, client: httpx.AsyncClient, path: str) -> "Kernel":
        kernel = cls()
        address = str(client.base_url).replace("http", "ws", 1).rstrip("/") + f"{path}/channels"
        # Taken as they come: who does not read does not answer the pings of the server, and is hung up on.
        kernel.messages = asyncio.Queue()
        kernel.socket = await websocket_connect(
            HTTPRequest(
                address,
                headers={"Authorization": client.headers["Authorization"]},
                connect_timeout=PATIENCE,
                request_timeout=PATIENCE,
            ),
            on_message_callback=kernel.messages.put_nowait,
        )
        return kernel

    async def run(self, code: str) -> str:
        """Run code; what it shows as text."""
        number = uuid.uuid4().hex
        header = {
            "msg_id": number,
            "msg_type": "execute_request",
            "username": "",
            "session": number,
            "version": "5.3",
        }
        message = {"header": header, "parent_header": {}, "metadata": {}, "channel": "shell"}
        content = {"code": code, "silent": False, "allow_stdin": False, "stop_on_error": True}
        await self.socket.write_message(json.dumps({**message, "content": content, "buffers": []}))
        shown, replied, idle = "", False, False
        while not (replied and idle):
            answer = json.loads(await self.messages.get() or "null")
            if answer is None:
                raise RuntimeError("The server has closed its line to the kernel.")
            if answer["parent_header"].get("msg_id") != number:
                continue
            kind, said = answer["header"]["msg_type"], answer["content"]
            replied |= kind == "execute_reply"
            idle |= kind == "status" and said["execution_state"] == "idle"
            shown += said.get("text", "") + said.get("data", {}).get("text/plain", "")
            if kind == "error":
                raise RuntimeError("\n".join(said["traceback"]))
        return shown

    async def memory(self, process: str = "os.getpid()", written: bool = False) -> float:
        """MiB of the kernel, or of another process that its code names."""
        number = await self.run(f"print({process})")
        file, field = ("status", "VmData") if written else ("smaps_rollup", "Pss")
        lines = Path(f"/proc/{number.strip()}/{file}").read_text().splitlines()
        return int(next(line for line in lines if line.startswith(f"{field}:")).split()[1]) / 1024


def is_answer(cell: nbformat.NotebookNode) -> bool:
    return bool(cell.metadata.get("nbgrader", {}).get("solution"))


def fill_in(notebook: nbformat.NotebookNode, name: str) -> None:
    """The course's answers, the first of which bears a name."""
    source = ROOT / "assessments" / "source" / CHAPTER / f"{CHAPTER}.ipynb"
    right = {cell.id: cell.source for cell in nbformat.read(source, as_version=4).cells}
    answers = [cell for cell in notebook.cells if is_answer(cell)]
    for cell in answers:
        cell.source = right[cell.id]
    answers[0].source += f"\n# by {name}"


def table(outcome: dict[str, Any]) -> list[str]:
    names = list(outcome["collected"])
    lost = [name for name in names if name not in outcome["handed in"]]
    twice = len(outcome["handed in"]) - len(set(outcome["handed in"]))
    mixed = [name for name, mark in outcome["collected"].items() if mark != name]
    lines = [f"{outcome['students']} students"]
    lines += [f"{part}: {seconds:.0f} s, all of them" for part, seconds in outcome["parts"].items()]
    lines += [f"lost: {len(lost)}   twice: {twice}   under another name, or not collected: {len(mixed)}", ""]
    for title, unit in (("seconds", "s"), ("memory", "MiB")):
        lines.append(f"{title:>18}  median  largest")
        for what, by_name in outcome[title].items():
            values = [value for name, value in by_name.items() if name in names]
            lines.append(f"{what:>18}  {median(values):6.1f}  {max(values):7.1f} {unit}")
    return lines


if __name__ == "__main__":
    main()
