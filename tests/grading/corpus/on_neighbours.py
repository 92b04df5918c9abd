"""Attacks on the submissions that come before and after: what one leaves behind, and what it breaks.

Planters come first; who comes to fetch follows; at last somebody honest, who must notice nothing.
"""

from collections.abc import Iterator

from .hostile import GRADED, Attacks, Expected, Hostile, Yard
from .release import Release

PLACES = """
PLACES = [".", "/tmp", os.path.expanduser("~"), "/dev/shm", "/var/tmp", sys.prefix, *sys.path]
"""
PLANT_FILES = """
unsafe()
TEXT = {answer!r}
for place in PLACES:
    for name in ("left_for_you.py", "sitecustomize.py", "torch.py", "json.py", "resource.py"):
        try:
            with open(os.path.join(place, name), "w") as file:
                file.write(TEXT if name.startswith("left") else "raise SystemExit('poisoned')")
        except OSError:
            pass
start = os.path.expanduser("~/.ipython/profile_default/startup")
try:
    os.makedirs(start, exist_ok=True)
    open(start + "/0.py", "w").write("raise SystemExit('poisoned')")
except OSError:
    pass
"""
FETCH_FILES = """
for place in PLACES:
    path = os.path.join(place, "left_for_you.py")
    if os.path.exists(path):
        breach("an earlier submission left a file in " + place)
"""
PLANT_DAEMON = """
import socket, time
server = socket.socket(socket.AF_UNIX)
try:
    server.bind("\\0left-for-you")
except OSError:
    pass
else:
    server.listen()
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            time.sleep(60)
        os._exit(0)
"""
FETCH_DAEMON = """
import socket
client = socket.socket(socket.AF_UNIX)
try:
    client.connect("\\0left-for-you")
except OSError:
    pass
else:
    breach("an earlier submission answers")
"""
OTHER_PROCESSES = """
mine = os.getpid()
for number in filter(str.isdigit, os.listdir("/proc")):
    try:
        words = open(f"/proc/{{number}}/environ", "rb").read()
        words += open(f"/proc/{{number}}/cmdline", "rb").read()
    except OSError:
        continue
    if SECRET.encode() in words:
        breach("process " + number + " knows the secret")
"""
PARENT = """
unsafe()
import signal
parent = os.getppid()
if parent > 0 and os.stat(f"/proc/{{parent}}").st_uid == os.getuid():
    os.kill(parent, signal.{signal})
"""
EVERYBODY = """
unsafe()
import signal
if len(list(filter(str.isdigit, os.listdir("/proc")))) < 40:
    os.kill(-1, signal.SIGKILL)
"""
DESCRIPTORS = """
unsafe()
for number in range(256):
    if number in (1, 2):
        continue
    for junk in (b"\\0" * 64, b"\\xff" * 64, b"{{}}" * 1000):
        try:
            os.set_blocking(number, False)
            os.write(number, junk)
        except OSError:
            break
"""
READS_DESCRIPTORS = """
unsafe()
for number in range(3, 256):
    try:
        os.set_blocking(number, False)
        os.read(number, 2**20)
    except OSError:
        continue
"""
CLOSES_DESCRIPTORS = """
unsafe()
os.closerange(3, 256)
"""
PARENTS_MEMORY = """
unsafe()
for parent in {{os.getppid(), 1}} - {{os.getpid()}}:
    try:
        open(f"/proc/{{parent}}/mem", "r+b").close()
    except OSError:
        continue
    breach("the memory of process " + str(parent))
"""
PARENTS_DESCRIPTORS = """
unsafe()
for parent in {{os.getppid(), 1}} - {{os.getpid()}}:
    try:
        names = os.listdir(f"/proc/{{parent}}/fd")
    except OSError:
        continue
    for name in names:
        try:
            where = os.readlink(f"/proc/{{parent}}/fd/{{name}}")
            if where.startswith(("pipe:", "socket:", "/memfd")):
                os.close(os.open(f"/proc/{{parent}}/fd/{{name}}", os.O_RDWR | os.O_NONBLOCK))
                breach("a channel of process " + str(parent))
        except OSError:
            continue
"""
TRACES = """
unsafe()
import ctypes
for parent in {{os.getppid(), 1}} - {{os.getpid()}}:
    if ctypes.CDLL(None).ptrace(16, parent, 0, 0) == 0:
        ctypes.CDLL(None).ptrace(17, parent, 0, 0)
        breach("process " + str(parent) + " can be traced")
"""
SHARED_MEMORY = """
unsafe()
from multiprocessing import shared_memory
try:
    shared_memory.SharedMemory("left_for_you", create=True, size=1000)
except OSError:
    pass
"""
FETCH_SHARED_MEMORY = """
if os.path.exists("/dev/shm/left_for_you"):
    breach("an earlier submission left shared memory")
"""


def members(release: Release, yard: Yard) -> Iterator[Hostile]:
    """All of them, each followed by whoever would notice."""
    attack = Attacks(release, yard, "neighbours")

    def does(name: str, text: str, **fields: str) -> Hostile:
        return attack(f"neighbours-{name}", before=PLACES + text.format(**fields))

    def fetches(name: str, text: str) -> Hostile:
        return attack(f"neighbours-{name}", body=PLACES + text)

    yield does("plants-files", PLANT_FILES, answer=release.right[release.target.cell])
    yield fetches("fetches-files", FETCH_FILES)
    yield attack(
        "neighbours-imports-files", before=f"from left_for_you import {release.target.cell}", answer="pass"
    )
    yield does("plants-a-daemon", PLANT_DAEMON)
    yield fetches("asks-the-daemon", FETCH_DAEMON)
    yield does("plants-memory", SHARED_MEMORY)
    yield fetches("fetches-memory", FETCH_SHARED_MEMORY)
    yield fetches("reads-processes", OTHER_PROCESSES.format())
    yield _notices_nothing(release, "after-planters")
    for name, signal in (("kills", "SIGKILL"), ("terminates", "SIGTERM"), ("stops", "SIGSTOP")):
        yield does(f"{name}-the-parent", PARENT, signal=signal)
        yield _notices_nothing(release, f"after-{name}")
    yield does("kills-everybody", EVERYBODY)
    yield _notices_nothing(release, "after-everybody")
    for name, text in (
        *(("writes-everywhere", DESCRIPTORS), ("reads-everything", READS_DESCRIPTORS)),
        ("closes-everything", CLOSES_DESCRIPTORS),
    ):
        yield does(name, text)
        yield _notices_nothing(release, f"after-{name}")
    for name, text in (
        *(("parents-memory", PARENTS_MEMORY), ("parents-channels", PARENTS_DESCRIPTORS)),
        ("traces-the-parent", TRACES),
    ):
        yield fetches(name, text.format())
    yield _notices_nothing(release, "last")


def _notices_nothing(release: Release, name: str) -> Hostile:
    expected = Expected(release.full, GRADED, False)
    return Hostile(f"neighbours-{name}", "honest", release.file(release.filled().bytes()), expected)
