"""Attacks on the grader's machine: time, memory, processes, files, network, and what the grader knows."""

from collections.abc import Iterator

from .hostile import Attacks, Hostile, Yard
from .release import Release

STUBBORN = """
import signal, time
for number in (signal.SIGINT, signal.SIGALRM, signal.SIGTERM, signal.SIGXCPU):
    signal.signal(number, signal.SIG_IGN)
"""
BODIES = {  # of the target's function
    "loops-and-swallows": """
        while True:
            try:
                while True:
                    pass
            except BaseException:
                continue
    """,
    "clocks-stopped": """
        import threading, time, signal
        time.monotonic = time.time = time.perf_counter = lambda: 0.0
        signal.setitimer = signal.signal = lambda *args, **kwargs: (0, 0)
        threading.Event.wait = lambda self, *args: False
        sys.settrace(None)
        end = 10**12
        return sum(range(end))
    """,
    "memory": """
        import numpy
        kept = []
        for _ in range(12):
            kept.append(numpy.ones(2**28, dtype=numpy.uint8))
    """,
    "kills-itself": "import signal\nos.kill(os.getpid(), signal.SIGKILL)",
    "stops-itself": "import signal\nos.kill(os.getpid(), signal.SIGSTOP)",
    "aborts": "os.abort()",
    "prints-one-line": """
        for _ in range(200):
            sys.stdout.write("x" * 1_000_000)
    """,
    "writes-to-descriptors": """
        for _ in range(200):
            os.write(1, b"x" * 1_000_000)
            os.write(2, b"x" * 1_000_000)
    """,
    "network": """
        import socket
        try:
            socket.create_connection(("127.0.0.1", PORT), timeout=1).close()
        except OSError:
            return "wrong"
        breach("the grader's network can be reached")
    """,
    "listens": """
        import socket
        server = socket.socket()
        server.bind(("127.0.0.1", 0))
        server.listen()
        globals()["server"] = server
        if os.fork() == 0:
            os.setsid()
            __import__("time").sleep(90)
            os._exit(0)
    """,
    "package-writable": """
        import course_utils, torch, numpy
        for module in (course_utils, torch, numpy):
            try:
                open(module.__file__, "r+").close()
            except OSError:
                continue
            breach("an installed package can be written: " + module.__name__)
    """,
    "files-of-the-machine": """
        for path in ("/etc/shadow", "/root/.bashrc", "/root/.ssh", os.path.join(ROOT, "solutions"),
                     os.path.join(ROOT, "assessments", "source"), os.path.join(ROOT, ".git")):
            try:
                os.listdir(path) if os.path.isdir(path) else open(path, "rb").read(1)
            except OSError:
                continue
            breach("can be read: " + path)
    """,
    "environment-of-others": """
        for number in filter(str.isdigit, os.listdir("/proc")):
            try:
                found = open(f"/proc/{number}/environ", "rb").read()
            except OSError:
                continue
            if SECRET.encode() in found:
                breach("the environment of process " + number)
    """,
    "other-submissions": """
        import glob
        here = os.getcwd()
        for place in (YARD, os.path.dirname(here), os.path.dirname(os.path.dirname(here))):
            for path in glob.glob(place + f"/**/*{TOPIC}*.ipynb", recursive=True):
                if not path.startswith(here) or here == "/":
                    breach("another notebook can be read: " + path)
    """,
    "gradebook": """
        unsafe()
        import glob, sqlite3
        for place in (YARD, os.getcwd(), os.path.dirname(os.getcwd())):
            for path in glob.glob(place + "/**/gradebook.db", recursive=True):
                with sqlite3.connect(path) as database:
                    database.execute("CREATE TABLE breach (x)")
                breach("the gradebook can be written")
    """,
    "own-timestamp": """
        unsafe()
        for path in ("timestamp.txt", "../timestamp.txt"):
            if os.path.exists(path):
                open(path, "w").write("2001-01-01 00:00:00 UTC")
    """,
    "root-inside": """
        if os.getuid() == 0:
            unsafe()
            try:
                os.setuid(0)
                open("/proc/sys/kernel/hostname", "w").write("mine")
            except OSError:
                return "wrong"
            breach("root of the machine")
    """,
}
BEFORE = {  # as the answer cell runs; the target is answered wrong
    "loops-at-once": STUBBORN + "while True: time.sleep(0.01)",
    "loops-in-c-at-once": "sum(range(10**14))",
    "exits-at-once": "os._exit(0)",
    "hangs-at-the-end": "import atexit, time\natexit.register(time.sleep, 600)",
    "threads": """
        import threading, time
        for _ in range(200):
            threading.Thread(target=time.sleep, args=(600,)).start()
    """,
    "processes": """
        import time
        for _ in range(60):
            if os.fork() == 0:
                time.sleep(30)
                os._exit(0)
    """,
    "daemon": """
        import time
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                end = time.time() + 90
                while time.time() < end:
                    try:
                        open(os.path.join(YARD, "BREACH"), "a").write("a daemon lives\\n")
                    except OSError:
                        pass
                    time.sleep(1)
            os._exit(0)
    """,
    "fills-the-disk": """
        unsafe()
        for folder in (".", "/tmp", os.path.expanduser("~"), "/dev/shm", "/var/tmp"):
            for number in range(5):
                try:
                    with open(os.path.join(folder, f"full-{number}"), "wb") as file:
                        for _ in range(10):
                            file.write(bytes(10_000_000))
                except OSError:
                    pass
    """,
    "many-files": """
        unsafe()
        os.makedirs("many", exist_ok=True)
        for number in range(3_000):
            open(f"many/{number}", "w").close()
    """,
    "limits-raised": """
        import resource
        for kind in (resource.RLIMIT_AS, resource.RLIMIT_NPROC, resource.RLIMIT_CPU, resource.RLIMIT_FSIZE):
            try:
                resource.setrlimit(kind, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
            except (OSError, ValueError):
                pass
        while True: pass
    """,
}


def members(release: Release, yard: Yard) -> Iterator[Hostile]:
    """All of them."""
    attack = Attacks(release, yard, "machine")
    for name, body in BODIES.items():
        yield attack(f"machine-{name}", body=body)
    for name, before in BEFORE.items():
        yield attack(f"machine-{name}", before=before)
    paper = release.paper({release.first.cell: release.right[release.first.cell]})
    linked = attack.of_bytes("machine-links", paper.bytes())
    links = {"all": "/", "shadow": "/etc/shadow", "yard": str(yard.folder)}
    yield Hostile(linked.name, linked.kind, linked.files, linked.expected, links)
    missing = {one.id: 0.0 for one in release.asked}
    to_another = {f"{release.name}.ipynb": str(yard.folder / "solved.ipynb")}
    expected = type(linked.expected)(missing, frozenset({"not gradable"}), None)
    yield Hostile("machine-notebook-is-a-link", "machine", {}, expected, to_another)
