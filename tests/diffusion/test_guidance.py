"""Guidance: as algebra, as a score, and as what a network is told."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.distributions import Normal

from course_utils.diffusion.guidance import drop_labels, guided, guided_noise

SEEDS = st.integers(0, 999)
SHAPES = st.lists(st.integers(1, 4), min_size=1, max_size=4).map(tuple)
LABELS = torch.tensor([3, 0, 7, 7, 1])


def normal(*shape, seed=0, dtype=torch.float64):
    return torch.randn(shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def uniform(*shape, seed=0):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


# --- guided_noise ---


@given(SHAPES, st.floats(-2, 20), SEEDS)
def test_guidance_is_the_papers_with_w_smaller_by_1(shape, scale, seed):
    uncond, cond, w = normal(*shape, seed=seed), normal(*shape, seed=seed + 1), scale - 1
    assert torch.allclose(guided_noise(uncond, cond, scale), (1 + w) * cond - w * uncond, atol=1e-10)


def test_scale_0_is_unconditional_and_scale_1_is_no_guidance():
    uncond, cond = normal(2, 3), normal(2, 3, seed=1)
    assert torch.equal(guided_noise(uncond, cond, 0.0), uncond)
    assert torch.allclose(guided_noise(uncond, cond, 1.0), cond, atol=1e-15)


def test_guidance_follows_the_score_of_the_class_to_the_power_of_the_scale():
    """Score of p(x) p(class | x)^scale, for two classes that are Gaussians: noise is -sigma times a score."""
    sigma, scale = 0.8, 3.0
    x = normal(50).requires_grad_()
    log_class, log_other = (Normal(mean, math.hypot(0.5, sigma)).log_prob(x) for mean in (1.0, -1.0))
    log_p = torch.logaddexp(log_class, log_other) - math.log(2)

    def noise(log_density):
        return -sigma * torch.autograd.grad(log_density.sum(), x, retain_graph=True)[0]

    posterior = log_class - math.log(2) - log_p
    expected = noise(log_p + scale * posterior)
    assert torch.allclose(guided_noise(noise(log_p), noise(log_class), scale), expected, atol=1e-10)


@given(st.tuples(SHAPES, SHAPES))
def test_guidance_refuses_to_broadcast(shapes):
    a, b = (torch.rand(shape) for shape in shapes)
    if a.shape == b.shape:
        assert guided_noise(a, b, 2.0).shape == a.shape
    else:
        with pytest.raises(ValueError, match=r"^guided_noise: shapes must be equal"):
            guided_noise(a, b, 2.0)


# --- guided ---


def test_a_guided_model_is_one_call_with_the_unconditional_half_first():
    calls = []

    def model(x, t, labels):
        calls.append((x, t, labels))
        return x * (1 + labels.view(-1, 1, 1, 1)) + t.view(-1, 1, 1, 1)

    x, t = normal(5, 1, 2, 3), torch.arange(5)
    found = guided(model, LABELS, 4.0, null_label=10)(x, t)
    ((seen, levels, told),) = calls
    assert torch.equal(seen, torch.cat([x, x]))
    assert torch.equal(levels, torch.cat([t, t]))
    assert told.tolist() == [10] * 5 + LABELS.tolist()
    uncond, cond = model(x, t, torch.full((5,), 10)), model(x, t, LABELS)
    assert torch.allclose(found, guided_noise(uncond, cond, 4.0), atol=1e-12)


# --- drop_labels ---


@given(st.integers(0, 30), st.floats(0, 1), SEEDS)
def test_a_label_is_dropped_where_its_number_lies_below_the_rate(count, drop_prob, seed):
    labels, u = torch.arange(count) % 10, uniform(count, seed=seed)
    before = labels.clone()
    found = drop_labels(labels, drop_prob, u, 10)
    threshold = torch.tensor(drop_prob).item()  # u is float32, and so is what it is compared with
    expected = [
        10 if chance < threshold else label for label, chance in zip(before.tolist(), u.tolist(), strict=True)
    ]
    assert found.tolist() == expected
    assert found.dtype == torch.int64
    assert torch.equal(labels, before)


def test_the_rate_is_the_share_of_dropped_labels():
    labels = torch.zeros(20_000, dtype=torch.int64)
    assert drop_labels(labels, 0.1, uniform(20_000), 1).double().mean().item() == pytest.approx(0.1, abs=0.01)


@pytest.mark.parametrize(("drop_prob", "expected"), [(0.0, [3, 0, 7, 7, 1]), (1.0, [9, 9, 9, 9, 9])])
def test_rate_0_drops_nothing_and_rate_1_everything(drop_prob, expected):
    u = torch.tensor([0.0, 0.5, 1 - 2**-24, 0.0, 0.25])
    assert drop_labels(LABELS, drop_prob, u, 9).tolist() == expected


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: guided_noise(LABELS, LABELS, 1.0),
            TypeError,
            "^guided_noise: noise_uncond must be a floating",
        ),
        (
            lambda: guided_noise(torch.rand(2), torch.rand(2), math.inf),
            ValueError,
            "^guided_noise: scale must be a finite number, got inf",
        ),
        (
            lambda: drop_labels(LABELS.float(), 0.1, uniform(5), 9),
            TypeError,
            r"^drop_labels: labels must be an int64 tensor of shape \(B,\), got a float32 tensor",
        ),
        (lambda: drop_labels(LABELS, 0.1, LABELS, 9), TypeError, "^drop_labels: u must be a floating-point"),
        (
            lambda: drop_labels(LABELS, 0.1, uniform(1), 9),
            ValueError,
            r"^drop_labels: shapes must be equal, got labels \(5,\), u \(1,\)",
        ),
        (
            lambda: drop_labels(LABELS, 10, uniform(5), 9),
            ValueError,
            r"^drop_labels: drop_prob must lie in 0\.\.1",
        ),
        (
            lambda: drop_labels(LABELS, math.nan, uniform(5), 9),
            ValueError,
            r"^drop_labels: drop_prob must lie in 0\.\.1",
        ),
        (
            lambda: drop_labels(LABELS, 0.1, uniform(5), None),
            TypeError,
            "^drop_labels: null_label must be an int",
        ),
        (
            lambda: drop_labels(LABELS, 0.1, uniform(5), -1),
            ValueError,
            "^drop_labels: null_label must be at least 0",
        ),
    ],
)
def test_wrong_arguments_are_named(call, error, message):
    with pytest.raises(error, match=message):
        call()
