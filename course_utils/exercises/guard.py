"""Running code that may loop for ever, print without end, or change what everybody shares.

    seconds      float or None   time allowed; None = no limit
    characters   int             how much of what was printed is kept

Nothing here is a sandbox: it keeps an honest mistake from stopping a notebook. Graders add a process.
"""

from __future__ import annotations

import contextlib
import ctypes
import io
import random
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import FrameType
from typing import Any, TypeVar

import numpy as np
import torch

Result = TypeVar("Result")

# Seconds between two attempts to stop an answer: Python can miss an alarm, and an answer can swallow one.
TICK = 0.05
SOON = 1e-4  # seconds; BYTE * MANY takes longer
BYTE, MANY = b"\0", 4_000_000


class OutOfTime(Exception):
    """What ran was stopped because its time was up."""


class Unwind(BaseException):
    """Raised inside an answer that must stop. No Exception, so that `except Exception` lets it through."""


def within(seconds: float | None, function: Callable[[], Result]) -> Result:
    """function(), stopped when its time is up.

    Raises:
        OutOfTime: it was still running after `seconds`.
        KeyboardInterrupt: the user asked to stop, even where the function swallows every exception.
    """
    stopper = SignalStopper(seconds) if sees_interrupts() else ThreadStopper(seconds)
    with stopper:
        try:
            return stopper.call(function)
        except Unwind as stop:
            raise stopper.reason from stop


def sees_interrupts() -> bool:
    """Whether the user's interrupt can be told from a KeyboardInterrupt that the answer itself raised."""
    return hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread()


class Stopper:
    """Stops whatever `call` runs by raising Unwind in it, as often as it takes, and nowhere else."""

    def __init__(self, seconds: float | None):
        self.seconds = seconds
        self.reason: BaseException = OutOfTime()

    def call(self, function: Callable[[], Result]) -> Result:
        """The frame that marks the border: frames above it may be stopped."""
        return function()

    def frames_inside(self, frame: FrameType | None) -> list[FrameType]:
        """The frames between `frame` and the border, innermost first; none if `frame` is not inside."""
        inside: list[FrameType] = []
        while frame is not None:
            if frame.f_code is Stopper.call.__code__ and frame.f_locals["self"] is self:
                return inside
            inside.append(frame)
            frame = frame.f_back
        return []


def _measures(frame: FrameType) -> bool:
    """Whether it is coverage's own: stopped in there, it would keep its lock for ever."""
    return str(frame.f_globals.get("__name__")).partition(".")[0] == "coverage"


class SignalStopper(Stopper):
    """By signals, in the main thread.

    One exception is not enough for `while True: try: ... except: pass`. So each alarm also traces the frames
    inside: the very next line raises again, outside of the `try` that swallowed the first one. Raising ends
    tracing, so another alarm is ordered just before, to be pending by the time the next `except` is met.
    """

    def __enter__(self) -> SignalStopper:
        self.trace = sys.gettrace()
        self.started = time.monotonic()
        self.handlers = {
            number: signal.signal(number, self.on_signal) for number in (signal.SIGALRM, signal.SIGINT)
        }
        self.timer = signal.setitimer(signal.ITIMER_REAL, self.seconds or 0, TICK)
        return self

    def __exit__(self, *_: object) -> None:
        delay, interval = self.timer
        left = max(delay - (time.monotonic() - self.started), SOON) if delay else 0
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in self.handlers.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        signal.setitimer(signal.ITIMER_REAL, left, interval)
        if sys.gettrace() is not self.trace:
            sys.settrace(self.trace)

    def on_signal(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGINT:
            self.reason = KeyboardInterrupt()
            signal.setitimer(signal.ITIMER_REAL, TICK, TICK)
        inside = self.frames_inside(frame)
        if inside and not any(map(_measures, inside)):
            for one in inside:
                one.f_trace = self.on_line
            sys.settrace(self.on_line)
            raise Unwind

    def on_line(self, frame: FrameType, event: str, arg: Any) -> Any:
        # The event "exception" comes before the `except` that is about to swallow it: too early.
        if event in ("line", "call") and self.frames_inside(frame):
            signal.setitimer(signal.ITIMER_REAL, SOON, TICK)
            _ = (
                BYTE * MANY
            )  # unlike a call, this looks for no signals when it is done: the alarm stays pending
            raise Unwind
        return self.on_line


class ThreadStopper(Stopper):
    """By a second thread: for threads that get no signals, and for Windows."""

    def __enter__(self) -> ThreadStopper:
        self.done = threading.Event()
        self.lock = threading.Lock()
        self.watched = threading.get_ident()
        if self.seconds is not None:
            threading.Thread(target=self.watch, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        while not self.done.is_set():
            # An Unwind that was ordered as the answer ended arrives here, and is the last one.
            with contextlib.suppress(Unwind), self.lock:
                self.done.set()

    def watch(self) -> None:
        order = ctypes.pythonapi.PyThreadState_SetAsyncExc
        late = not self.done.wait(self.seconds)
        while late:
            with self.lock:
                inside = self.frames_inside(sys._current_frames().get(self.watched))
                if inside and not self.done.is_set() and not any(map(_measures, inside)):
                    # Ordered, not raised: it happens at the next instruction of the watched thread.
                    order(ctypes.c_ulong(self.watched), ctypes.py_object(Unwind))
            late = not self.done.wait(TICK)


class Printed(io.TextIOBase):
    """A stream that counts what is printed and keeps only the beginning."""

    def __init__(self, characters: int):
        self.room = characters
        self.kept: list[str] = []
        self.count = 0

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        if self.room:
            self.kept.append(text[: self.room])
            self.room -= len(self.kept[-1])
        self.count += len(text)
        return len(text)

    def beginning(self) -> str:
        """What was kept."""
        return "".join(self.kept)


@contextlib.contextmanager
def quiet(characters: int) -> Iterator[Printed]:
    """Nothing reaches stdout or stderr, warnings included; the beginning of what was printed is kept."""
    printed = Printed(characters)
    with warnings.catch_warnings(), contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        warnings.simplefilter("ignore")
        yield printed


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Torch on one thread: the tensors of cases are tiny, and on a busy machine threads wait for others."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@dataclass(frozen=True)
class Shared:
    """What every piece of code in a process shares, as it is now."""

    torch_random: bytes
    numpy_random: dict[str, Any]
    python_random: tuple[Any, ...]
    dtype: torch.dtype
    device: torch.device
    grad: bool

    @classmethod
    def read(cls) -> Shared:
        """The present state."""
        return cls(
            torch.get_rng_state().numpy().tobytes(),
            np.random.get_state(legacy=False),
            random.getstate(),
            torch.get_default_dtype(),
            torch.get_default_device(),
            torch.is_grad_enabled(),
        )

    def changes(self, now: Shared) -> tuple[str, ...]:
        """What differs from this earlier state, in words."""
        differs = {
            "torch's global random state": now.torch_random != self.torch_random,
            "numpy's global random state": _numbers(now.numpy_random) != _numbers(self.numpy_random),
            "python's global random state": now.python_random != self.python_random,
            "torch's default dtype": now.dtype != self.dtype,
            "torch's default device": now.device != self.device,
            "torch's gradient mode": now.grad != self.grad,
        }
        return tuple(words for words, changed in differs.items() if changed)

    def restore(self) -> None:
        """Make this the present state again."""
        torch.set_grad_enabled(self.grad)
        torch.set_default_dtype(self.dtype)
        if torch.get_default_device() != self.device:
            torch.set_default_device(self.device)
        torch.set_rng_state(torch.frombuffer(bytearray(self.torch_random), dtype=torch.uint8))
        np.random.set_state(self.numpy_random)
        random.setstate(self.python_random)


def _numbers(state: dict[str, Any]) -> tuple[Any, ...]:
    inner = state["state"]
    return inner["key"].tobytes(), inner["pos"], state["has_gauss"], state["gauss"]
