"""Judges of patches and translators tied by a cycle: what they see, what they lose, and that they learn."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from course_utils import dcgan, gan
from course_utils.dcgan.translation import Translator
from course_utils.training import seeded


def uniform(*shape, seed=0, dtype=torch.float64):
    return torch.rand(shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


LAYERS = st.lists(st.tuples(st.integers(1, 5), st.integers(1, 3)), min_size=1, max_size=4)


@given(LAYERS)
def test_receptive_field_is_where_a_real_network_has_gradient(layers):
    """The outermost pixels with a gradient; all weights are 1, so that none cancels."""
    size = dcgan.patch_receptive_field(layers)
    network = nn.Sequential(*(nn.Conv1d(1, 1, k, s, bias=False, dtype=torch.float64) for k, s in layers))
    for weight in network.parameters():
        nn.init.ones_(weight)
    x = torch.zeros(1, 1, size + 20, dtype=torch.float64, requires_grad=True)
    network(x)[0, 0, 0].backward()
    assert x.grad[0, 0].nonzero().max().item() + 1 == size


def test_receptive_field_of_the_published_patch_discriminators():
    """Isola et al. 2017, appendix 6.1.2: 16, 70 and 286 pixels."""
    for halvings, pixels in ((1, 16), (3, 70), (5, 286)):
        assert dcgan.patch_receptive_field([(4, 2)] * halvings + [(4, 1)] * 2) == pixels
    assert dcgan.patch_receptive_field([]) == 1


@pytest.mark.parametrize(
    ("layers", "error", "message"),
    [
        ([(3, 2, 1)], ValueError, r"a layer is \(kernel, stride\)"),
        ([(0, 2)], ValueError, "kernel must be at least 1"),
        ([(3, 0)], ValueError, "stride must be at least 1"),
        ([(3, 1.0)], TypeError, "stride must be an int"),
    ],
)
def test_receptive_field_refuses(layers, error, message):
    with pytest.raises(error, match=f"patch_receptive_field: {message}"):
        dcgan.patch_receptive_field(layers)


# --- judges of patches ---


@given(LAYERS, st.integers(0, 99))
def test_a_patch_judge_looks_at_its_patch_and_nowhere_else(layers, seed):
    with seeded(seed):
        judge = dcgan.PatchDiscriminator(layers, width=3).double()
    size = dcgan.patch_receptive_field(layers)
    assert judge.field == size
    x = (uniform(1, 1, size + 7, size + 7, seed=seed) - 0.5).requires_grad_()
    judge(x)[0, 0, 0, 0].backward()
    assert not x.grad[..., size:, :].any() and not x.grad[..., size:].any()
    assert x.grad[..., :size, :size].any()


def test_a_patch_judge_gives_a_map_and_moves_with_the_image():
    with seeded(0):
        judge = dcgan.PatchDiscriminator().double()
    x = uniform(2, 1, 28, 28)
    logits = judge(x)
    assert logits.shape == (2, 1, 9, 9)
    assert torch.allclose(judge(x[..., 2:])[0], logits[0, ..., 1:], atol=1e-12)  # one step is its stride


def test_a_patch_judge_has_colours_and_refuses_what_is_none():
    assert dcgan.PatchDiscriminator(((3, 1),), image_channels=3)(torch.zeros(1, 3, 5, 6)).shape == (
        1,
        1,
        3,
        4,
    )
    with pytest.raises(TypeError, match="PatchDiscriminator: x must be a floating-point tensor"):
        dcgan.PatchDiscriminator()(torch.zeros(1, 1, 28, 28, dtype=torch.uint8))
    with pytest.raises(ValueError, match="PatchDiscriminator: width must be at least 1"):
        dcgan.PatchDiscriminator(width=0)


# --- outlines ---


def test_the_outline_of_a_point_is_the_ring_around_it():
    x = -torch.ones(1, 1, 5, 5)
    x[..., 2, 2] = 1
    expected = -torch.ones(5, 5)
    expected[1:4, 1:4] = 1
    expected[2, 2] = -1
    assert torch.equal(dcgan.outlined(x)[0, 0], expected)


@given(st.integers(0, 99))
def test_outlines_stay_in_the_range_and_blank_pages_stay_blank(seed):
    x = 2 * uniform(2, 1, 6, 7, seed=seed) - 1
    outline = dcgan.outlined(x)
    assert outline.shape == x.shape
    assert outline.min() >= -1 and outline.max() <= 1
    for page in (-1.0, 0.3, 1.0):
        assert (dcgan.outlined(torch.full((1, 1, 4, 4), page)) == -1).all()


def test_outlines_refuse_what_is_no_batch_of_images():
    with pytest.raises(ValueError, match=r"outlined: x must have 4 dimensions"):
        dcgan.outlined(torch.zeros(28, 28))
    with pytest.raises(TypeError, match="outlined: x must be a floating-point"):
        dcgan.outlined(torch.zeros(1, 1, 4, 4, dtype=torch.uint8))


# --- translators ---


@given(st.integers(1, 3), st.integers(1, 5), st.integers(1, 5))
def test_a_translator_keeps_the_shape_and_the_range(b, h, w):
    translator = Translator(width=3).eval()
    images = translator(torch.randn(b, 1, 2 * h, 2 * w))
    assert images.shape == (b, 1, 2 * h, 2 * w)
    assert images.abs().max() <= 1


@pytest.mark.parametrize("shape", [(1, 1, 5, 4), (1, 1, 4, 5), (1, 2, 4, 4), (1, 4, 4)])
def test_a_translator_refuses_what_would_come_back_in_another_shape(shape):
    with pytest.raises(ValueError, match=r"Translator: x must be \(B, 1, H, W\) with even H and W"):
        Translator()(torch.zeros(shape))


class Flip(nn.Module):
    """White for black: its own way back."""

    def forward(self, x):
        return -x


def pair_of(there, back):
    pair = dcgan.Translators(width=2)
    pair.there, pair.back = there, back
    return pair


def blind():
    return dcgan.Judges(Constant(), Constant())


class Constant(nn.Module):
    """A judge without an opinion."""

    def forward(self, x):
        return torch.zeros(len(x), 1)


def test_the_loss_is_that_of_the_judges_plus_what_the_cycle_loses():
    x, y = torch.full((2, 1, 4, 4), 0.5), torch.full((2, 1, 4, 4), -0.25)
    fooled = 2 * gan.generator_loss(torch.zeros(2, 1), "non_saturating").item()  # 2 log 2
    exact = dcgan.translation_loss(pair_of(Flip(), Flip()), blind(), x, y, cycle_weight=7.0)
    assert exact.item() == pytest.approx(fooled, rel=1e-6)
    lossy = dcgan.translation_loss(pair_of(Flip(), nn.Identity()), blind(), x, y, cycle_weight=7.0)
    assert lossy.item() == pytest.approx(fooled + 7 * (1.0 + 0.5), rel=1e-6)  # |-x - x| and |-y - y|


def test_the_loss_refuses_batches_of_different_shapes():
    with pytest.raises(ValueError, match="translation_loss: shapes must be equal"):
        dcgan.translation_loss(
            pair_of(Flip(), Flip()), blind(), torch.zeros(2, 1, 4, 4), torch.zeros(1, 1, 4, 4)
        )


def test_translators_learn_to_swap_black_and_white_without_a_pair():
    """x is dark with a bright column somewhere, y bright with a dark one: patches tell them apart."""
    with seeded(0):
        pair = dcgan.Translators(width=8)
        judges = dcgan.Judges(
            dcgan.PatchDiscriminator(((4, 2), (3, 1)), width=8),
            dcgan.PatchDiscriminator(((4, 2), (3, 1)), width=8),
        )
    judging = [*judges.x.parameters(), *judges.y.parameters()]
    adams = tuple(
        torch.optim.Adam(weights, lr=5e-3, betas=(0.5, 0.999)) for weights in (pair.parameters(), judging)
    )

    def columns(seed):
        places = torch.randint(12, (16,), generator=torch.Generator().manual_seed(seed))
        return (
            1.6 * torch.nn.functional.one_hot(places, 12).float().view(-1, 1, 1, 12).expand(16, 1, 12, 12)
            - 0.8
        )

    def errors():
        x = columns(10_000)
        with torch.no_grad():
            there = pair.there(x)
            return (there + x).abs().mean().item(), (pair.back(there) - x).abs().mean().item()

    before = errors()
    losses = [
        dcgan.translation_step(pair, judges, columns(step), -columns(step + 500), adams)
        for step in range(150)
    ]
    after = errors()
    assert all(loss > 0 for loss in losses)
    assert after[0] < before[0] / 2
    assert after[1] < before[1] / 3
