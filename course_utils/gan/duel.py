"""Two players in a plane, step by step, with all that one can see (notation in course_utils.gan)."""

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from course_utils.denoising import GaussianMixture
from course_utils.gan import steps
from course_utils.gan.critic import critic_generator_step, critic_step
from course_utils.gan.objective import discriminator_loss, generator_loss
from course_utils.gan.rules import Players, Rules
from course_utils.validation import require_int

Extent = tuple[float, float, float, float]
ARROW = 1.0  # length for a loss that falls by 1 nat a unit, in units of the plane
LONGEST = 0.6

DiscriminatorStep = Callable[[nn.Module, nn.Module, Tensor, Tensor, Optimizer], float]
GeneratorStep = Callable[[nn.Module, nn.Module, Tensor, Optimizer], float]


@dataclass(frozen=True)
class DuelView:
    """How things stand.

    real     (N, 2) float                the same points at every step
    fake     (M, 2) float                from the same z at every step
    heat     (G, G) float, 0..1          D at the places of a grid, heat[i, j] at (x_j, y_i)
    arrows   (M, 2) float                where each fake should go by the generator's loss
    extent   (x0, x1, y0, y1)            what the grid covers, ends included
    losses   list of (d_loss, g_loss)    after each update of either, the other one's being its last
    steps    (d, g)                      updates of each so far
    """

    real: Tensor
    fake: Tensor
    heat: Tensor
    arrows: Tensor
    extent: Extent
    losses: list[tuple[float, float]]
    steps: tuple[int, int]


class Duel:
    """A generator and a discriminator of points, trained in turn. The same calls after a reset give the same.

    Args:
        players: generator and discriminator, with their first weights; they are trained in place.
        data: where real points come from.
        rules: how they are trained.
        generator: on the CPU; draws all points and z. A reset takes it back to where it is now.
        discriminator_step, generator_step: what makes the updates, unless the rules ask for a penalty; the
            default follows rules.kind.
        extent: the part of the plane that a view covers.
        shown: int >= 1, real and fake points in a view.
        grid: int >= 2, places of the heat along each axis.

    Raises:
        ValueError: shown or grid is too small, or a batch does not divide into packs.
    """

    def __init__(
        self,
        players: Players,
        data: GaussianMixture,
        rules: Rules,
        *,
        generator: torch.Generator,
        discriminator_step: DiscriminatorStep = steps.discriminator_step,
        generator_step: GeneratorStep | None = None,
        extent: Extent = (-3.0, 3.0, -3.0, 3.0),
        shown: int = 256,
        grid: int = 32,
    ):
        require_int("Duel", 1, shown=shown)
        require_int("Duel", 2, grid=grid)
        if rules.batch_size % rules.pack:
            raise ValueError(
                f"Duel: batches must divide into packs, got batches of {rules.batch_size} "
                f"and packs of {rules.pack}."
            )
        self.generator, self.discriminator = players
        self.data, self.rules, self.extent = data, rules, extent
        self._update_discriminator = discriminator_step
        self._update_generator = generator_step or partial(steps.generator_step, kind=rules.kind)
        self._grid = _places(extent, grid)
        self._random = generator
        self._real, self._shown_z = self._points(shown), self._z(shown)
        self._start = generator.get_state()
        self._first = [copy.deepcopy(player.state_dict()) for player in players]
        self.reset()

    def reset(self) -> None:
        """Back to the first weights and the first draw; the optimizers forget."""
        self._random.set_state(self._start)
        for player, first in zip((self.generator, self.discriminator), self._first, strict=True):
            player.load_state_dict(first)
        self._optimizers = (
            self._adam(self.discriminator, self.rules.lr_d),
            self._adam(self.generator, self.rules.lr_g),
        )
        self.steps = (0, 0)
        self.losses: list[tuple[float, float]] = []

    def discriminator_step(self) -> None:
        """One update of the discriminator, on a new batch."""
        size, rules = self.rules.batch_size, self.rules
        real, z = self._points(size), self._z(size)
        players = self.generator, self.discriminator
        if rules.penalty:
            mix = torch.rand(size, 1, generator=self._random)
            loss = critic_step(*players, real, z, mix, self._optimizers[0], rules.penalty)
        else:
            loss = self._update_discriminator(*players, real, z, self._optimizers[0])
        self._count(1, 0, d_loss=loss)

    def generator_step(self) -> None:
        """One update of the generator, on a new batch."""
        update = critic_generator_step if self.rules.penalty else self._update_generator
        z = self._z(self.rules.batch_size)
        self._count(0, 1, g_loss=update(self.generator, self.discriminator, z, self._optimizers[1]))

    def turns(self, count: int) -> Iterator[int]:
        """Turns as the rules have it: D's steps, then one of the generator; yields how many are done."""
        for turn in range(1, count + 1):
            for _ in range(self.rules.discriminator_steps):
                self.discriminator_step()
            self.generator_step()
            yield turn

    @torch.no_grad()
    def fakes(self, count: int) -> Tensor:
        """(count, 2): what the generator makes of new z, without moving on in the stream of draws."""
        state = self._random.get_state()
        points: Tensor = self.generator(self._z(count))
        self._random.set_state(state)
        return points

    def view(self) -> DuelView:
        """All that there is to see; nothing moves on.

        An arrow points down the slope of the generator's loss by that fake, ARROW long for a slope of 1 nat a
        unit, and never longer than LONGEST.
        """
        self.discriminator.eval()  # no power iteration, no packs of strangers
        fake, arrows = self._pushed()
        with torch.no_grad():
            heat = self.discriminator(self._grid.flatten(0, 1)).sigmoid().view(self._grid.shape[:2])
        self.discriminator.train()
        return DuelView(self._real, fake, heat, arrows, self.extent, list(self.losses), self.steps)

    def _pushed(self) -> tuple[Tensor, Tensor]:
        """The fakes that are shown, and their arrows."""
        with torch.no_grad():
            fake: Tensor = self.generator(self._shown_z)
        leaf = fake.clone().requires_grad_()
        logits = self.discriminator(leaf)
        loss = -logits.mean() if self.rules.penalty else generator_loss(logits, self.rules.kind)
        (slope,) = torch.autograd.grad(loss * len(leaf), leaf)
        arrows = -ARROW * slope
        return fake, arrows * (LONGEST / arrows.norm(dim=1, keepdim=True).clamp(min=LONGEST))

    def _count(self, d: int, g: int, **loss: float) -> None:
        d_loss, g_loss = self.losses[-1] if self.losses else self._first_losses()
        self.losses.append((loss.get("d_loss", d_loss), loss.get("g_loss", g_loss)))
        self.steps = self.steps[0] + d, self.steps[1] + g

    @torch.no_grad()
    def _first_losses(self) -> tuple[float, float]:
        """Of the points that are shown: the loss of a player who has not had its turn."""
        real, fake = self.discriminator(self._real), self.discriminator(self.generator(self._shown_z))
        if self.rules.penalty:
            return (fake.mean() - real.mean()).item(), -fake.mean().item()
        return discriminator_loss(real, fake).item(), generator_loss(fake, self.rules.kind).item()

    def _points(self, count: int) -> Tensor:
        chosen = torch.randint(len(self.data.means), (count,), generator=self._random)
        return self.data.sample(torch.randn(count, 2, generator=self._random), chosen)

    def _z(self, count: int) -> Tensor:
        return torch.randn(count, self.rules.latent_dim, generator=self._random)

    def _adam(self, player: nn.Module, lr: float) -> Optimizer:
        return torch.optim.Adam(player.parameters(), lr=lr, betas=self.rules.betas)


def _places(extent: Extent, grid: int) -> Tensor:
    """(grid, grid, 2): rows go along y."""
    x0, x1, y0, y1 = extent
    y, x = torch.meshgrid(torch.linspace(y0, y1, grid), torch.linspace(x0, x1, grid), indexing="ij")
    return torch.stack([x, y], dim=2)
