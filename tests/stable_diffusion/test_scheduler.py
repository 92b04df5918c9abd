"""Levels and samplers as configured, against diffusers' schedulers."""

import json

import pytest
import torch
from diffusers import DDIMScheduler, DPMSolverMultistepScheduler, PNDMScheduler
from hypothesis import given
from hypothesis import strategies as st

from course_utils.diffusion.samplers import CLEAN
from course_utils.stable_diffusion.scheduler import DDIM, SPACINGS, DPMSolverPP
from course_utils.stable_diffusion.weights import LayoutError, load_scheduler

from .peers import SCHEDULER, normal

PEERS = {DDIM: DDIMScheduler, DPMSolverPP: DPMSolverMultistepScheduler}
UNCLIPPED = {DDIM: {"clip_sample": False}, DPMSolverPP: {}}
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept:DeprecationWarning")


def read(peer, folder):
    peer.save_pretrained(folder)
    return load_scheduler(folder)


def wavy(x, t):
    """A model that depends on image and level: a guess as bad as any."""
    return torch.sin(3 * x + t.view(-1, 1, 1, 1).to(x.dtype) / 100)


def walk(peer, x, timesteps):
    """What diffusers makes of x."""
    for t in timesteps:
        x = peer.step(wavy(x, t.expand(len(x))), t, x, return_dict=False)[0]
    return x


@given(st.sampled_from(list(PEERS)), st.sampled_from(SPACINGS), st.integers(0, 1), st.integers(2, 60))
def test_timesteps_are_those_of_diffusers(kind, spacing, offset, steps) -> None:
    options = {"timestep_spacing": spacing, "steps_offset": offset, **UNCLIPPED[kind]}
    peer = PEERS[kind](**options)
    peer.set_timesteps(steps)
    levels = kind(**options).timesteps(steps)
    assert torch.equal(levels, peer.timesteps)


@pytest.mark.parametrize("kind", PEERS)
@pytest.mark.parametrize("schedule", ["linear", "scaled_linear", "squaredcos_cap_v2"])
def test_schedules_are_those_of_diffusers(kind, schedule: str) -> None:
    theirs = PEERS[kind](100, 0.001, 0.03, schedule).alphas_cumprod.double()
    ours = kind(100, 0.001, 0.03, schedule, **UNCLIPPED[kind]).alphas_cumprod
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-7)


WALKS = {
    "stable diffusion 1": (DDIM, {"clip_sample": False, "set_alpha_to_one": False}),
    "without offset": (DDIM, {"clip_sample": False, "set_alpha_to_one": False, "steps_offset": 0}),
    "to abar = 1": (DDIM, {"clip_sample": False, "set_alpha_to_one": True}),
    "velocity": (DDIM, {"clip_sample": False, "prediction_type": "v_prediction"}),
    "trailing": (DDIM, {"clip_sample": False, "timestep_spacing": "trailing"}),
    "dpm": (DPMSolverPP, {}),
    "dpm, leading": (DPMSolverPP, {"timestep_spacing": "leading"}),
    "dpm, trailing": (DPMSolverPP, {"timestep_spacing": "trailing"}),
    "dpm, velocity": (DPMSolverPP, {"prediction_type": "v_prediction"}),
}


@pytest.mark.parametrize(("kind", "options"), WALKS.values(), ids=WALKS)
@pytest.mark.parametrize("steps", [2, 5, 20])
def test_samples_are_those_of_diffusers(kind, options, steps: int, tmp_path) -> None:
    peer = PEERS[kind](**SCHEDULER | options)
    ours, notice = read(peer, tmp_path)
    peer.set_timesteps(steps)
    x = normal(2, 3, 4, 5)
    *_, end = ours.sample(wavy, x, ours.timesteps(steps))
    expected = walk(peer, x, peer.timesteps)
    assert not notice and end.t == ours.last
    torch.testing.assert_close(end.x_t, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", PEERS)
def test_the_tail_of_the_timesteps_will_do(kind) -> None:
    options = SCHEDULER | UNCLIPPED[kind]
    peer, ours = PEERS[kind](**options), kind(**options)
    peer.set_timesteps(10)
    peer.set_begin_index(6) if kind is DPMSolverPP else None
    x, tail = normal(2, 3, 4, 5), ours.timesteps(10)[6:]
    *_, end = ours.sample(wavy, x, tail)
    torch.testing.assert_close(end.x_t, walk(peer, x, tail), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("kind", "options"), [(DDIM, {"set_alpha_to_one": False}), (DDIM, {}), (DPMSolverPP, {})]
)
def test_a_correction_is_made_after_every_step(kind, options) -> None:
    ours, seen = kind(**SCHEDULER | UNCLIPPED[kind] | options), list[int]()

    def correct(x_t, t):
        seen.append(t)
        return torch.full_like(x_t, t)

    levels = ours.timesteps(4)
    states = list(ours.sample(wavy, normal(1, 1, 2, 2), levels, correct))
    assert seen == [state.t for state in states] == [*levels[1:].tolist(), ours.last]
    assert all((state.x_t == state.t).all() for state in states)


def test_another_scheduler_is_replaced_and_the_notice_says_so(tmp_path) -> None:
    """Stable Diffusion 1.5 names PNDM: its levels and ends are kept."""
    ours, notice = read(PNDMScheduler(**SCHEDULER, skip_prk_steps=True), tmp_path)
    assert ours == DDIM(**SCHEDULER, set_alpha_to_one=False, clip_sample=False)
    assert "PNDMScheduler; DDIM takes its place" in notice
    assert ours.last == 0 and DDIM(clip_sample=False).last == CLEAN


@pytest.mark.parametrize(
    ("kind", "option"),
    [
        (DDIM, {"rescale_betas_zero_snr": True}),
        (DDIM, {"thresholding": True}),
        (DDIM, {"trained_betas": [0.1, 0.2]}),
        (DPMSolverPP, {"use_karras_sigmas": True}),
        (DPMSolverPP, {"solver_order": 3}),
        (DPMSolverPP, {"final_sigmas_type": "sigma_min"}),
        (DPMSolverPP, {"algorithm_type": "sde-dpmsolver++"}),
    ],
)
def test_what_is_not_implemented_is_refused(kind, option, tmp_path) -> None:
    PEERS[kind](**UNCLIPPED[kind], **option).save_pretrained(tmp_path)
    with pytest.raises(LayoutError, match=f"not implemented here:\n  {next(iter(option))} = "):
        load_scheduler(tmp_path)


@pytest.mark.parametrize(
    ("name", "value"),
    [("prediction_type", "sample"), ("timestep_spacing", "even"), ("beta_schedule", "sigmoid")],
)
def test_unknown_values_are_refused(name: str, value: str, tmp_path) -> None:
    content = {"_class_name": "DDIMScheduler", "clip_sample": False, name: value}
    (tmp_path / "scheduler_config.json").write_text(json.dumps(content))
    with pytest.raises(ValueError, match=f"DDIM: {name} must be one of .*, got '{value}'"):
        load_scheduler(tmp_path)


def test_timesteps_refuses() -> None:
    ours = DDIM(10, steps_offset=1, clip_sample=False)
    with pytest.raises(ValueError, match="steps must not exceed 10, got 11"):
        ours.timesteps(11)
    with pytest.raises(ValueError, match="levels must stay below 10, got 10: too many steps"):
        ours.timesteps(10)
    with pytest.raises(TypeError, match="steps must be an int"):
        ours.timesteps(2.0)


def test_latents_are_not_clipped(tmp_path) -> None:
    DDIMScheduler(clip_sample=True).save_pretrained(tmp_path)
    with pytest.raises(ValueError, match=r"clip_sample must be false.* have no bounds"):
        load_scheduler(tmp_path)
