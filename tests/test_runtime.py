"""The profile: what the environment asks for, or one sentence why not."""

import pytest
import torch

from course_utils import runtime


@pytest.fixture
def environment(monkeypatch):
    """A machine without GPU on which nothing is asked for."""
    for name in ("COURSE_PROFILE", "COURSE_THREADS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    return monkeypatch


def test_the_default_is_what_the_machine_has(environment):
    assert runtime.profile().name == "cpu"
    environment.setattr(torch.cuda, "is_available", lambda: True)
    environment.setattr(torch.cuda, "get_device_name", lambda: "a GPU")
    gpu = runtime.profile()
    assert (gpu.name, gpu.device.type, gpu.autocast_dtype) == ("gpu", "cuda", torch.bfloat16)
    assert str(gpu) == "profile gpu on a GPU"


@pytest.mark.parametrize(("name", "budget"), [("ci", 1), ("grade", 1), ("cpu", 2)])
def test_budgets_follow_the_profile(environment, name, budget):
    environment.setenv("COURSE_PROFILE", name)
    chosen = runtime.profile()
    assert chosen.pick(ci=1, cpu=2, gpu=3) == budget
    assert str(chosen).startswith(f"profile {name} on")
    with chosen.autocast():
        assert torch.is_autocast_enabled("cpu") == (chosen.autocast_dtype is not None)


@pytest.mark.parametrize(
    ("name", "has", "expected"), [("cpu", True, torch.bfloat16), ("cpu", False, None), ("ci", True, None)]
)
def test_bf16_is_used_where_the_processor_has_it(environment, name, has, expected):
    environment.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": has}, raising=False)
    environment.setenv("COURSE_PROFILE", name)
    assert runtime.profile().autocast_dtype == expected


def test_autocast_runs_in_the_profiles_precision():
    with runtime.Profile("gpu", torch.device("cpu"), torch.bfloat16).autocast():
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.bfloat16


def test_threads_are_set(environment):
    before = torch.get_num_threads()
    environment.setenv("COURSE_THREADS", "1")
    try:
        runtime.profile()
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("variable", "value", "error", "message"),
    [
        ("COURSE_PROFILE", "gpu", RuntimeError, "torch sees no GPU here. Unset COURSE_PROFILE"),
        ("COURSE_PROFILE", "fast", ValueError, "must be one of ci, grade, cpu, gpu, got 'fast'"),
        ("COURSE_THREADS", "none", ValueError, "whole number of CPU threads from 1 on, got 'none'"),
        ("COURSE_THREADS", "0", ValueError, "whole number of CPU threads from 1 on"),
    ],
)
def test_what_cannot_be_had_is_said(environment, variable, value, error, message):
    environment.setenv(variable, value)
    with pytest.raises(error, match=message):
        runtime.profile()
