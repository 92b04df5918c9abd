"""GANs that are told the class: the latent, the label maps, both networks, and chapter 4's steps on them."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from course_utils import dcgan, gan
from course_utils.training import seeded

SEEDS = st.integers(0, 999)
SIZES = st.integers(1, 5)


def normal(*shape, seed=0, dtype=torch.float64):
    return torch.randn(shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


@given(SIZES, SIZES, SIZES, SIZES, SEEDS)
def test_condition_latent_comes_apart_again(b, nz, k, e, seed):
    z, embedding = normal(b, nz, seed=seed), nn.Embedding(k, e, dtype=torch.float64)
    labels = torch.randint(k, (b,), generator=torch.Generator().manual_seed(seed))
    joined = dcgan.condition_latent(z, labels, embedding)
    assert joined.shape == (b, nz + e)
    assert torch.equal(joined[:, :nz], z)
    for row, label in zip(joined[:, nz:], labels, strict=True):
        assert torch.equal(row, embedding.weight[label])


def test_condition_latent_teaches_the_rows_that_were_named():
    embedding = nn.Embedding(4, 3)
    dcgan.condition_latent(torch.zeros(3, 2), torch.tensor([1, 3, 1]), embedding).sum().backward()
    assert embedding.weight.grad.sum(dim=1).tolist() == [0, 6, 0, 3]


@pytest.mark.parametrize(
    ("z", "labels", "embedding", "error", "message"),
    [
        (torch.zeros(2), torch.zeros(2).long(), nn.Embedding(3, 2), ValueError, r"2 dimensions \(B, nz\)"),
        (torch.zeros(2, 2).long(), torch.zeros(2).long(), nn.Embedding(3, 2), TypeError, "z must be a float"),
        (torch.zeros(2, 2), torch.zeros(2), nn.Embedding(3, 2), TypeError, "labels must be an int64 tensor"),
        (
            torch.zeros(2, 2),
            [0, 1],
            nn.Embedding(3, 2),
            TypeError,
            "labels must be an int64 tensor, got list",
        ),
        (torch.zeros(2, 2), torch.zeros(1).long(), nn.Embedding(3, 2), ValueError, r"labels must be \(2,\)"),
        (
            torch.zeros(2, 2),
            torch.zeros(2, 1).long(),
            nn.Embedding(3, 2),
            ValueError,
            r"labels must be \(2,\)",
        ),
        (torch.zeros(2, 2), torch.zeros(2).long(), lambda y: torch.zeros(2), ValueError, r"must be \(2, E\)"),
        (torch.zeros(2, 2), torch.zeros(2).long(), lambda y: y, TypeError, "embedded must be a floating"),
    ],
)
def test_condition_latent_refuses(z, labels, embedding, error, message):
    with pytest.raises(error, match=f"condition_latent: .*{message}"):
        dcgan.condition_latent(z, labels, embedding)


@given(st.lists(st.integers(0, 4), max_size=5), st.integers(5, 7), st.integers(1, 4))
def test_label_maps_are_white_in_the_map_of_the_label_alone(labels, classes, size):
    maps = dcgan.label_maps(torch.tensor(labels).long(), classes, size)
    assert maps.shape == (len(labels), classes, size, size)
    assert maps.sum().item() == len(labels) * size**2
    for row, label in zip(maps, labels, strict=True):
        assert (row[label] == 1).all()


@pytest.mark.parametrize(
    ("labels", "classes", "error", "message"),
    [
        (torch.tensor([0, 3]), 3, ValueError, r"label_maps: labels must lie in 0\.\.2, got 0\.\.3"),
        (torch.tensor([-1, 0]), 3, ValueError, r"got -1\.\.0"),
        (torch.tensor([0.0]), 3, TypeError, "labels must be an int64 tensor"),
        (torch.tensor([[0]]), 3, TypeError, r"labels must be an int64 tensor \(B,\)"),
        ([0], 3, TypeError, "got list"),
        (torch.tensor([0]), 0, ValueError, "classes must be at least 1"),
    ],
)
def test_label_maps_refuse(labels, classes, error, message):
    with pytest.raises(error, match=message):
        dcgan.label_maps(labels, classes, 2)


def small_pair():
    with seeded(0):
        generator = dcgan.ConditionalGenerator(3, nz=4, embedding=2, channels=(8, 6))
        discriminator = dcgan.ConditionalDiscriminator(3, channels=(4, 6))
    return generator, discriminator


def test_both_networks_listen_to_the_label():
    generator, discriminator = (network.eval() for network in small_pair())
    z = normal(1, 4, dtype=torch.float32).expand(3, 4)
    images = generator(z, torch.arange(3))
    assert images.shape == (3, 1, 28, 28)
    assert dcgan.pairwise_diversity(images) > 0.01
    logits = discriminator(images[:1].expand(3, 1, 28, 28), torch.arange(3))
    assert logits.shape == (3, 1)
    assert len(set(logits.flatten().tolist())) == 3


def test_told_the_labels_they_train_by_the_steps_of_chapter_4():
    generator, discriminator = small_pair()
    labels, z = torch.tensor([2, 0, 2, 1]), normal(4, 4, dtype=torch.float32)
    real = normal(4, 1, 28, 28, dtype=torch.float32).clamp(-1, 1)
    told = dcgan.Told(generator, labels), dcgan.Told(discriminator, labels)
    assert torch.equal(told[0].eval()(z), generator.eval()(z, labels))
    before = generator.embedding.weight.clone()
    adams = [torch.optim.Adam(network.parameters(), lr=1e-2) for network in (discriminator, generator)]
    generator.train()
    gan.discriminator_step(*told, real, z, adams[0])
    assert torch.equal(generator.embedding.weight, before)
    gan.generator_step(*told, z, adams[1])
    assert (generator.embedding.weight != before).any(dim=1).all()


def test_the_conditional_pair_learns_which_class_is_bright():
    """Class 0 is black, class 1 white: the generator must use its label."""
    with seeded(1):
        generator = dcgan.ConditionalGenerator(2, nz=2, embedding=2, channels=(8, 8), start=2)
        discriminator = dcgan.ConditionalDiscriminator(2, channels=(8, 8), size=8)
    adams = [
        torch.optim.Adam(network.parameters(), lr=5e-3, betas=(0.5, 0.999))
        for network in (discriminator, generator)
    ]
    for step in range(150):
        labels = torch.arange(16) % 2
        real = (2.0 * labels - 1).view(-1, 1, 1, 1).expand(16, 1, 8, 8) * 0.8
        real = real + 0.05 * normal(16, 1, 8, 8, seed=step, dtype=torch.float32)
        z = normal(16, 2, seed=step + 1000, dtype=torch.float32)
        told = dcgan.Told(generator, labels), dcgan.Told(discriminator, labels)
        gan.discriminator_step(*told, real, z, adams[0])
        gan.generator_step(*told, z, adams[1])
    with torch.no_grad():
        dark, bright = generator(z, labels).unflatten(0, (8, 2)).transpose(0, 1)
    assert dark.mean() < -0.3 < 0.3 < bright.mean()
