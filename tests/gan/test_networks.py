"""The small players of images."""

import pytest
import torch
from torch import nn

from course_utils import gan


def test_the_small_pair_has_the_published_sizes():
    def linears(network):
        return [(m.in_features, m.out_features) for m in network.modules() if isinstance(m, nn.Linear)]

    assert linears(gan.SmallGenerator()) == [(64, 256), (256, 256), (256, 784)]
    assert linears(gan.SmallDiscriminator()) == [(784, 256), (256, 256), (256, 1)]


@pytest.mark.parametrize(("latent_dim", "hidden"), [(64, 256), (3, 5)])
def test_the_small_pair_makes_images_and_judges_them(latent_dim, hidden):
    images = gan.SmallGenerator(latent_dim, hidden)(100 * torch.ones(4, latent_dim))
    assert images.shape == (4, 1, 28, 28)
    assert images.abs().max() <= 1
    assert gan.SmallDiscriminator(hidden)(images).shape == (4,)


def test_the_small_pair_refuses():
    with pytest.raises(ValueError, match=r"SmallGenerator: z must be \(B, 64\), got \(2, 63\)"):
        gan.SmallGenerator()(torch.zeros(2, 63))
    with pytest.raises(ValueError, match=r"SmallDiscriminator: x must be \(B, 1, 28, 28\), got"):
        gan.SmallDiscriminator()(torch.zeros(2, 784))
    with pytest.raises(TypeError, match=r"SmallDiscriminator: .* must be a floating-point tensor"):
        gan.SmallDiscriminator()(torch.zeros(2, 1, 28, 28, dtype=torch.uint8))
    with pytest.raises(ValueError, match="SmallGenerator: hidden must be at least 1, got 0"):
        gan.SmallGenerator(hidden=0)
    with pytest.raises(ValueError, match="SmallDiscriminator: hidden must be at least 1, got 0"):
        gan.SmallDiscriminator(0)
