"""What may loop for ever is stopped, and everything that was borrowed from the process is given back."""

import _thread
import signal
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest
import torch

from course_utils.exercises import guard
from course_utils.exercises.guard import OutOfTime, Printed, Shared, one_thread, quiet, within


def spin() -> None:
    while True:
        pass


def spin_deaf() -> None:
    while True:
        try:
            time.sleep(0.001)
        except BaseException:
            continue


@pytest.fixture(params=["signals", "a second thread"])
def by(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways of stopping, in the main thread."""
    if request.param == "a second thread":
        monkeypatch.setattr(guard, "sees_interrupts", lambda: False)
    return str(request.param)


def spin_very_deaf() -> None:
    while True:
        try:
            while True:
                try:
                    spin_deaf()
                except BaseException:
                    continue
        except BaseException:
            continue


def sleep_long() -> None:
    time.sleep(60)


def test_endless_code_is_stopped(by: str) -> None:
    started = time.monotonic()
    with pytest.raises(OutOfTime):
        within(0.1, spin)
    assert time.monotonic() - started >= 0.1


@pytest.mark.parametrize("endless", [spin_deaf, spin_very_deaf, sleep_long])
def test_signals_stop_code_that_swallows_every_exception_or_sleeps(endless: Callable[[], None]) -> None:
    started = time.monotonic()
    with pytest.raises(OutOfTime):
        within(0.1, endless)
    assert time.monotonic() - started >= 0.1


def test_results_and_errors_pass_through(by: str) -> None:
    assert within(5, lambda: 3) == 3
    assert within(None, lambda: 4) == 4
    with pytest.raises(ZeroDivisionError):
        within(5, lambda: 1 / 0)


def test_a_stopped_call_stops_nothing_later(by: str) -> None:
    for _ in range(20):
        with pytest.raises(OutOfTime):
            within(0.002, spin)
        assert sum(range(2_000)) == 1_999_000
    time.sleep(0.02)


def test_inner_limits_do_not_end_outer_ones(by: str) -> None:
    def inner_then_spin() -> None:
        with pytest.raises(OutOfTime):
            within(0.02, spin)
        spin()

    with pytest.raises(OutOfTime):
        within(0.1, inner_then_spin)


def test_in_other_threads_too() -> None:
    caught: list[Any] = []

    def run() -> None:
        try:
            within(0.05, spin)
        except OutOfTime as error:
            caught.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(5)
    assert len(caught) == 1


@pytest.mark.parametrize("endless", [spin, spin_deaf])
def test_the_interrupt_of_the_user_stops_the_check_and_is_not_a_timeout(endless: Callable[[], None]) -> None:
    timer = threading.Timer(0.1, _thread.interrupt_main)
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        within(5, endless)
    timer.join()


def test_handlers_timer_and_trace_function_are_given_back() -> None:
    def handler(number: int, frame: FrameType | None) -> None:
        raise AssertionError("the timer of somebody else")

    def trace(frame: FrameType, event: str, arg: Any) -> None:
        return None

    before, tracing, timer = (
        signal.signal(signal.SIGALRM, handler),
        sys.gettrace(),
        signal.getitimer(signal.ITIMER_REAL),
    )
    try:
        signal.setitimer(signal.ITIMER_REAL, 60)
        sys.settrace(trace)
        with pytest.raises(OutOfTime):
            within(0.02, spin_deaf)
        traced = sys.gettrace()
    finally:
        sys.settrace(tracing)
        found, left = signal.getsignal(signal.SIGALRM), signal.getitimer(signal.ITIMER_REAL)[0]
        signal.setitimer(signal.ITIMER_REAL, *timer)
        signal.signal(signal.SIGALRM, before)
    assert traced is trace
    assert found is handler
    assert 55 < left < 60


def test_what_is_printed_is_counted_and_only_its_beginning_is_kept(capfd: pytest.CaptureFixture[str]) -> None:
    with quiet(10) as printed:
        for _ in range(1_000):
            print("x" * 999)
        print("error", file=sys.stderr)
    assert printed.count == 1_000_000 + 6
    assert printed.beginning() == "x" * 10
    assert len(printed.kept) < 20, "an endless printer costs no memory"
    assert capfd.readouterr() == ("", "")
    assert Printed(3).writable()


def test_shared_state_is_compared_and_restored() -> None:
    before = Shared.read()
    torch.rand(1)
    assert before.changes(Shared.read()) == ("torch's global random state",)
    before.restore()
    assert before.changes(Shared.read()) == ()


def test_one_thread_is_temporary() -> None:
    torch.set_num_threads(2)
    with one_thread():
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 2
    torch.set_num_threads(1)
