"""One update of one player; the other one stays as it is (notation in course_utils.gan)."""

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from course_utils.gan.objective import Kind, discriminator_loss, generator_loss


def discriminator_step(
    generator: nn.Module, discriminator: nn.Module, real: Tensor, z: Tensor, optimizer: Optimizer
) -> float:
    """One update of the discriminator. Real and fake pass through it as batches of their own.

    Args:
        generator: makes the fakes; neither its weights nor their gradients change.
        discriminator: images -> logits.
        real: (B, ...) float.
        z: (B, latent_dim) float.
        optimizer: over the discriminator's parameters.

    Returns:
        discriminator_loss before the update.

    Raises:
        ValueError: fakes and real images differ in shape, the batch apart.
    """
    with torch.no_grad():
        fake = generator(z)
    if fake.shape[1:] != real.shape[1:]:
        raise ValueError(
            f"discriminator_step: real and fake must be images of one shape, got real {tuple(real.shape)} "
            f"and fake {tuple(fake.shape)}. Shape alone would tell them apart."
        )
    return _update(discriminator_loss(discriminator(real), discriminator(fake)), optimizer)


def generator_step(
    generator: nn.Module,
    discriminator: nn.Module,
    z: Tensor,
    optimizer: Optimizer,
    kind: Kind = "non_saturating",
) -> float:
    """One update of the generator.

    Args:
        generator: z -> images.
        discriminator: images -> logits. Its weights stay; gradients are left on it, and the next
            discriminator_step clears them.
        z: (B, latent_dim) float.
        optimizer: over the generator's parameters alone.
        kind: of the loss.

    Returns:
        generator_loss before the update.
    """
    return _update(generator_loss(discriminator(generator(z)), kind), optimizer)


def _update(loss: Tensor, optimizer: Optimizer) -> float:
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()
