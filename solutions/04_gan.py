# ---
# jupyter:
#   jupytext:
#     notebook_metadata_filter: kernelspec,jupytext,-jupytext.text_representation.jupytext_version
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 4 · Generative adversarial networks: a second network as the loss
#
# | You will be able to | Time | Device | Difficulty |
# |:---|:---|:---|:---|
# | train two networks against each other step by step, say what the best discriminator is and what the generator then minimises, choose a generator's loss and prove that the choice matters, and measure mode collapse and what helps against it | 90 minutes | any laptop; no GPU, no network | 4 of 5 |
#
# *Predict* means: write your guess down, then run the cell. *Exercise* means: write a few lines, then run the check.

# %% tags=["nbval-ignore-output"]
import itertools
import math

import torch
import torch.nn.functional as F
from torch import nn

from course_utils import gan, plots, runtime, widgets
from course_utils.data import batches, load, rescale
from course_utils.exercises import check, mine_or_reference
from course_utils.training import in_batches, load_card, load_checkpoint, seeded, train

profile = runtime.profile()
generator = torch.Generator().manual_seed(0)
print(f"{profile}. Live training in this chapter takes about 60 s on two CPU cores.")

# %% [markdown]
# ## 1. The question
#
# The VAE of chapter 3 draws new digits, and they are soft. The loss does not mind: it scores each pixel by itself, and
# where it is unsure, grey is the safest answer. You see at a glance that something is wrong. Which loss sees it, too?
#
# From here on images lie in $[-1, 1]$: -1 is paper, 1 is ink.

# %%
train_set = load("mnist", "train", value_range=(-1, 1))
test_set = load("mnist", "test", value_range=(-1, 1))
vae = load_checkpoint("vae/latent-32")
z = torch.randn(4000, 32, generator=torch.Generator().manual_seed(1))
soft = rescale(in_batches(lambda codes: vae.decode(codes).sigmoid(), z), (0, 1), (-1, 1))


# %%
def grey_share(x):
    return (100 * ((x > -0.8) & (x < 0.8)).float().mean()).item()


print(f"neither paper nor ink: {grey_share(test_set.images):.0f}% of the pixels of real digits, "
      f"{grey_share(soft):.0f}% of those of the VAE's samples")
plots.image_rows(
    {"real": test_set.images[:12], "VAE": soft[:12]}, (-1, 1),
    alt="Twelve real digits above twelve samples of the VAE, whose strokes are softer.",
    caption="You need no second to say which row is real.",
)

# %% [markdown]
# Could a network say it as well? A **discriminator** gets an image and puts out a logit; its sigmoid is the probability
# that the image is real.
#
# > **Predict.** A small one, two convolutions and a linear layer, sees 3,000 of each kind for a few seconds. How many of
# > 1,000 others, real ones and samples, will it sort right?

# %% tags=["nbval-ignore-output"]
with seeded(0):
    detective = nn.Sequential(
        nn.Conv2d(1, 16, 3, stride=2, padding=1), nn.LeakyReLU(0.2),
        nn.Conv2d(16, 32, 3, stride=2, padding=1), nn.LeakyReLU(0.2),
        nn.Flatten(), nn.Linear(32 * 7 * 7, 1), nn.Flatten(0),
    )
optimizer = torch.optim.Adam(detective.parameters(), lr=3e-3)


# %% tags=["nbval-ignore-output"]
pairs = zip(batches(train_set.images[:3000], 64, generator=generator),
            batches(soft[:3000], 64, generator=generator))
for _, (real, fake) in zip(range(profile.pick(ci=60, cpu=300, gpu=300)), pairs):
    loss = gan.discriminator_loss(detective(real), detective(fake))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
with torch.no_grad():
    right = [detective(test_set.images[:500]) > 0, detective(soft[3000:3500]) < 0]
print(f"{torch.cat(right).sum()} of 1,000 sorted right")

# %% [markdown]
# What no loss of ours has named, a network has found in seconds. So let *it* be the loss: train a second network, the
# **generator**, until the discriminator no longer knows. And since the generator will find every weak spot of a fixed
# discriminator, train that one along with it. This is a **generative adversarial network** (GAN).
#
# ## 2. The discriminator's side
#
# The generator $G$ turns random numbers $z \sim \mathcal N(0, I)$ into an image $G(z)$. The discriminator $D$ says how
# probable it is that an image is real. Both play for one number:
#
# $$ \min_G \max_D\ V(D, G), \qquad V = \mathbb E_{x \sim \text{data}}\big[\log D(x)\big] + \mathbb E_z\big[\log (1 - D(G(z)))\big] $$
#
# $D$ **maximises** $V$. Optimizers minimise, so its loss is $-V$: for real images the label is 1, for fakes it is 0, and
# $-V$ is the cross-entropy of both.
#
# **Exercise 1.** The loss of $D$, from logits. Each expectation is the mean over its own batch. With
# $D = \mathrm{sigmoid}(l)$ there is $1 - D = \mathrm{sigmoid}(-l)$; look for a function of torch that takes the logarithm
# of a sigmoid in one go, since a probability that was rounded to 0 has none.

# %% nbgrader={"grade": false, "grade_id": "discriminator_loss", "locked": false, "solution": true, "schema_version": 3}
def discriminator_loss(real_logits, fake_logits):
    """The loss of D, to be minimised. real_logits (B,), fake_logits (M,). Returns a scalar, nats."""
    ### BEGIN SOLUTION
    return -F.logsigmoid(real_logits).mean() - F.logsigmoid(-fake_logits).mean()
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "discriminator_loss-check", "locked": true, "points": 3, "solution": false, "schema_version": 3}
check("gan.discriminator_loss", discriminator_loss)

# %%
my_d_loss = mine_or_reference("gan.discriminator_loss", discriminator_loss)
for who, real, fake in (("knows nothing", 0.0, 0.0), ("sure and right", 5.0, -5.0),
                        ("sure and wrong", -5.0, 5.0), ("calls everything real", 5.0, 5.0)):
    loss = my_d_loss(torch.tensor([real]), torch.tensor([fake])).item()
    print(f"{who:22s} {loss:6.3f} nats")

# %% [markdown]
# Knowing nothing costs $2 \log 2 = 1.386$ nats. Remember this number: a discriminator whose loss stays there has lost, or
# the game is over and the fakes are perfect.

# %% [markdown]
# ## 3. The best discriminator there can be
#
# Let $G$ be fixed, with $p_g$ the density of its fakes. At a place $x$ the discriminator's objective is
# $p_\text{data}(x) \log D + p_g(x) \log(1 - D)$. Set the derivative by $D$ to zero: the best answer is
#
# $$ D^*(x) = \frac{p_\text{data}(x)}{p_\text{data}(x) + p_g(x)} $$
#
# **Exercise 2.** Where both densities are 0 nobody will ever ask; answer 1/2 there, not NaN.

# %% nbgrader={"grade": false, "grade_id": "optimal_discriminator", "locked": false, "solution": true, "schema_version": 3}
def optimal_discriminator(p_data, p_generator):
    """The best D at each place. p_data, p_generator: densities >= 0 of one shape. Like p_data."""
    ### BEGIN SOLUTION
    total = p_data + p_generator
    half = torch.full_like(total, 0.5)
    return torch.where(total > 0, p_data / total.where(total > 0, 1.0), half)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "optimal_discriminator-check", "locked": true, "points": 2, "solution": false, "schema_version": 3}
check("gan.optimal_discriminator", optimal_discriminator)

# %% [markdown]
# What does $G$ minimise against this best $D$? Put $D^*$ into $V$, and out comes
#
# $$ V(D^*, G) = 2\,\mathrm{JS}(p_\text{data}, p_g) - \log 4, \qquad
# \mathrm{JS}(p, q) = \tfrac12 \mathrm{KL}(p\,\|\,m) + \tfrac12 \mathrm{KL}(q\,\|\,m), \quad m = \tfrac{p + q}{2}, $$
#
# the **Jensen-Shannon divergence**. It is 0 where both are equal, and at most $\log 2 = 0.693$ nats.
#
# **Exercise 3.** For two lists of probabilities. $\mathrm{KL}(p\,\|\,m) = \sum p \log (p / m)$; an outcome of probability
# 0 adds nothing.

# %% nbgrader={"grade": false, "grade_id": "js_divergence", "locked": false, "solution": true, "schema_version": 3}
def js_divergence(p, q):
    """Jensen-Shannon divergence of p and q, probabilities of the same outcomes. A scalar, nats."""
    ### BEGIN SOLUTION
    m = (p + q) / 2
    safe = m.where(m > 0, 1.0)
    return 0.5 * (torch.xlogy(p, p / safe) + torch.xlogy(q, q / safe)).sum()
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "js_divergence-check", "locked": true, "points": 3, "solution": false, "schema_version": 3}
check("gan.js_divergence", js_divergence)

# %% [markdown]
# > **Predict.** Data on a line, and a generator that slides past them. Where is $D^*$ exactly one half? And when the two
# > hills have moved far apart: by how much does JS still change if you move the generator a little closer?

# %%
my_best = mine_or_reference("gan.optimal_discriminator", optimal_discriminator)
my_js = mine_or_reference("gan.js_divergence", js_divergence)
x = torch.linspace(-7, 7, 281, dtype=torch.float64)
places = torch.linspace(-5, 3, 33, dtype=torch.float64)


def hill(mean, std):
    density = torch.exp(-((x - mean) ** 2) / (2 * std**2))
    return density / density.sum() / (x[1] - x[0])


p_data, p_fake = hill(1.0, 0.6), torch.stack([hill(m, 0.6) for m in places])
best = torch.stack([my_best(p_data, p) for p in p_fake])
cell = x[1] - x[0]
js = torch.stack([my_js(p_data * cell, p * cell) for p in p_fake])

# %%
widgets.CurveScrubber(
    x, {"density of the data": p_data, "density of the fakes": p_fake, "best D": best},
    [f"{m:.2f}" for m in places],
    [f"Fakes around {m:.2f}, data around 1: JS = {d:.3f} nats, "
     f"V(D*, G) = {2 * d - math.log(4):.3f}." for m, d in zip(places, js)],
    title="The best discriminator", label="mean of the fakes", xlabel="x",
    ylabel="density; probability of “real”", index=22,
)

# %%
fooled = torch.stack([my_best(p, p_data) for p in p_fake])  # 1 - D*, also where D* rounds to 1
objective = torch.xlogy(p_data, best) + torch.xlogy(p_fake, fooled)
worst = (objective.sum(dim=1) * cell - (2 * js - math.log(4))).abs().max()
print(f"V(D*, G) = 2 JS - log 4 at all {len(places)} stops, up to 1e-9: {worst < 1e-9}")
plots.lines(
    {"JS": (1 - places, js), "log 2": (1 - places, [math.log(2)] * len(places))},
    xlabel="distance of the fakes from the data", ylabel="nats", height=2.6,
    colours=(plots.MODEL, plots.REFERENCE),
    alt="The divergence rises from 0 and is flat at log 2 from a distance of about 3 on.",
    caption=f"From distance 5 to 6, JS changes by {js[0] - js[4]:.4f} nats.",
)

# %% [markdown]
# Far apart, JS is flat. Against a *perfect* discriminator a bad generator learns nothing: there is no downhill. Keep that in
# mind for section 6.
#
# First: does a network trained by your loss really come to $D^*$?

# %% tags=["nbval-ignore-output"]
with seeded(0):
    line_d = nn.Sequential(
        nn.Linear(1, 32), nn.Tanh(), nn.Linear(32, 32), nn.Tanh(), nn.Linear(32, 1), nn.Flatten(0),
    )
optimizer = torch.optim.Adam(line_d.parameters(), lr=1e-2)
for _ in range(profile.pick(ci=100, cpu=600, gpu=600)):
    noise = 0.6 * torch.randn(2, 256, 1, generator=generator)
    loss = my_d_loss(line_d(noise[0] + 1), line_d(noise[1] - 0.5))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
with torch.no_grad():
    found = line_d(x[:, None].float()).sigmoid()

# %% tags=["nbval-ignore-output"]
plots.lines(
    {"D*": (x, my_best(p_data, hill(-0.5, 0.6))), "trained": (x, found)},
    xlabel="x", ylabel="probability of “real”", height=2.6, xlim=(-3, 4),
    colours=(plots.NOISE, plots.STUDENT),
    alt="Two S-shaped curves that lie on each other where there are data.",
    caption="Fakes around -0.5, data around 1. Within the two hills the network has found D*.",
)

# %% [markdown]
# ## 4. The generator's side
#
# In $V$ the generator only appears as $\mathbb E_z[\log(1 - D(G(z)))]$, to be minimised: the **minimax** loss. The paper that
# introduced it used another one in practice, the **non-saturating** loss:
#
# $$ L_\text{minimax} = \mathbb E_z\big[\log (1 - D(G(z)))\big], \qquad L_\text{non-saturating} = -\,\mathbb E_z\big[\log D(G(z))\big] $$
#
# Both are to be *minimised*, and both fall as $D(G(z))$ rises.
#
# **Exercise 4.** Both, from logits, by name. For another name raise a `ValueError`.

# %% nbgrader={"grade": false, "grade_id": "generator_loss", "locked": false, "solution": true, "schema_version": 3}
def generator_loss(fake_logits, kind):
    """The loss of G, to be minimised; kind "non_saturating" or "minimax". Returns a scalar, nats."""
    ### BEGIN SOLUTION
    if kind == "non_saturating":
        return -F.logsigmoid(fake_logits).mean()
    if kind == "minimax":
        return F.logsigmoid(-fake_logits).mean()
    raise ValueError(f"kind must be non_saturating or minimax, got {kind!r}")
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "generator_loss-check", "locked": true, "points": 4, "solution": false, "schema_version": 3}
check("gan.generator_loss", generator_loss)

# %% [markdown]
# What makes the generator move is not the loss but its **slope** by the logit.
#
# > **Predict.** Early in training $D$ sees through every fake, say with a logit of -6. Which of the two losses moves $G$
# > there? Where would they move it equally fast?

# %%
my_g_loss = mine_or_reference("gan.generator_loss", generator_loss)
kinds = {"non-saturating": "non_saturating", "minimax": "minimax"}
logits = torch.linspace(-8, 8, 129)


def value_and_slope(logit, kind):
    leaf = logit.clone().requires_grad_()
    loss = my_g_loss(leaf[None], kind)
    return loss.item(), torch.autograd.grad(loss, leaf)[0].item()


both = {name: torch.tensor([value_and_slope(logit, kind) for logit in logits])
        for name, kind in kinds.items()}
values, slopes = ({name: pair[:, part] for name, pair in both.items()} for part in (0, 1))

# %%
at = range(8, 121, 4)
tangents = {f"its slope, {name}": torch.stack([
    torch.where((logits - logits[k]).abs() <= 3,
                values[name][k] + slopes[name][k] * (logits - logits[k]), math.nan)
    for k in at]) for name in kinds}
captions = [f"Logit {logits[k]:.1f}, D = {logits[k].sigmoid():.4f}. " + " ".join(
    f"Loss {values[name][k]:.3f}, slope {slopes[name][k]:.4f} ({name})." for name in kinds)
    for k in at]


# %%
dots = list(at)
widgets.CurveScrubber(
    logits, values | tangents, [f"{logits[k]:.1f}" for k in at], captions,
    title="Two losses of the generator", label="logit of a fake", xlabel="logit of a fake",
    ylabel="loss, nats", index=2,
    marks={name: torch.stack([logits[dots], values[name][dots]], dim=1) for name in kinds},
)

# %% [markdown]
# At -6 the slopes are -0.9975 and -0.0025: the non-saturating loss is $D - 1$ steep, the minimax loss $-D$. One pulls at the
# fakes that are recognised, the other one at those that pass already. At a logit of 0 both are -1/2.

# %% [markdown]
# ## 5. One step each
#
# A step of $D$: fakes are mere data, nothing flows back into $G$, and real and fake pass through $D$ as two batches. A step
# of $G$: the gradient flows *through* $D$ into $G$, and only $G$ is updated.
#
# **Exercise 5.** The step of $D$. The generator has to come out as it went in, its gradients included. Return the loss
# before the update.

# %% nbgrader={"grade": false, "grade_id": "discriminator_step", "locked": false, "solution": true, "schema_version": 3}
def discriminator_step(generator, discriminator, real, z, optimizer):
    """One update of D. real (B,...), z (B,latent_dim); optimizer holds D's weights. Returns a float."""
    ### BEGIN SOLUTION
    fake = generator(z).detach()
    real_logits, fake_logits = discriminator(real), discriminator(fake)
    loss = -F.logsigmoid(real_logits).mean() - F.logsigmoid(-fake_logits).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "discriminator_step-check", "locked": true, "points": 5, "solution": false, "schema_version": 3}
check("gan.discriminator_step", discriminator_step)

# %% [markdown]
# **Exercise 6.** The step of $G$, with the non-saturating loss. Now nothing may be cut: the gradient comes through $D$.

# %% nbgrader={"grade": false, "grade_id": "generator_step", "locked": false, "solution": true, "schema_version": 3}
def generator_step(generator, discriminator, z, optimizer):
    """One update of G. z (B,latent_dim); optimizer holds G's weights. Returns a float."""
    ### BEGIN SOLUTION
    fake_logits = discriminator(generator(z))
    loss = -F.logsigmoid(fake_logits).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "generator_step-check", "locked": true, "points": 4, "solution": false, "schema_version": 3}
check("gan.generator_step", generator_step)

# %% [markdown]
# Now play the game by hand. Real points lie in eight heaps on a ring. The colour is $D$'s opinion, arrows say where the
# generator's loss pushes each fake. Your two functions make the steps.
#
# > **Predict.** Press *D step* thirty times, without a step of $G$: what becomes of colour and arrows? Then press *G step*
# > thirty times, without a step of $D$: where do the fakes go, and what do the arrows do there? Reset, and let both play.

# %% tags=["nbval-ignore-output"]
my_d_step = mine_or_reference("gan.discriminator_step", discriminator_step)
my_g_step = mine_or_reference("gan.generator_step", generator_step)
ring = gan.ring_of_gaussians()
rules = gan.Rules(lr_d=2e-3, lr_g=2e-3)
with seeded(0):
    players = rules.players()
duel = gan.Duel(
    players, ring, rules, generator=torch.Generator().manual_seed(0),
    discriminator_step=my_d_step, generator_step=my_g_step, shown=128,
)
widgets.DuelTrainer(duel, title="Discriminator against generator, step by step", recorded=40)

# %% [markdown]
# Alone, $G$ runs to the one place that $D$ likes best, and past it. Alone, $D$ ends where colours are saturated. Only in turn
# do they lead each other to the ring. There is no loss curve that falls: if $D$ gets better, $G$'s loss rises, and the
# other way round.

# %% [markdown]
# ## 6. Two losses that are not the same
#
# "Minimax and non-saturating loss are strictly equivalent" is in circulation. What is true: they have the same **fixed
# point**. At $D = 1/2$ everywhere both weigh all fakes alike, and both stand still where $p_g = p_\text{data}$. On the way
# there they differ.
#
# > **Predict.** We make $D$ too good: it trains 400 steps, $G$ rests. How many times larger is the non-saturating loss's
# > gradient then? And if you scale the minimax gradient up to the same length: is it the same direction?

# %% tags=["nbval-ignore-output"]
z = torch.randn(1000, 2, generator=torch.Generator().manual_seed(2))
weights = list(duel.generator.parameters())


def pull_on(kind):
    """The gradient of G's loss by all of G's weights, as one vector."""
    loss = my_g_loss(duel.discriminator(duel.generator(z)), kind)
    return torch.cat([part.flatten() for part in torch.autograd.grad(loss, weights)])


# %% tags=["nbval-ignore-output"]
def too_good(turns):
    """Both play some turns; then D alone makes 400 steps."""
    duel.reset()
    for _ in duel.turns(turns):
        pass
    for _ in range(400):
        duel.discriminator_step()


# %% tags=["nbval-ignore-output"]
rows = {}
for name, turns in (("untrained", 0), ("after 40 turns", 40)):
    too_good(turns)
    strong, weak = (pull_on(kind) for kind in kinds.values())
    cosine = F.cosine_similarity(strong, weak, dim=0).item()
    seen = duel.discriminator(duel.generator(z)).sigmoid().mean().item()
    rows[f"G {name}"] = [f"{seen:.4f}", f"{strong.norm() / weak.norm():,.0f} to 1",
                         f"{cosine:.2f}", f"{math.degrees(math.acos(cosine)):.0f}°"]
plots.table(
    ("before a D too good", "D(G(z))", "lengths of the gradients", "cosine", "angle"), rows,
    caption="Gradients by all weights of G on 1,000 z: non-saturating against minimax.",
)

# %% [markdown]
# A ratio could be made good by a learning rate. An angle cannot: the two losses pull the weights in different directions,
# because they listen to different fakes. Equivalent losses would have an angle of 0. (Adam divides gradients by their size
# and so hides the first difference, not the second.)
#
# Now live, from this too good $D$, by plain gradient descent, so that nothing is hidden. $D$ goes on learning meanwhile.

# %% tags=["nbval-ignore-output"]
def chase(kind, turns):
    """D(G(z)), turn by turn, from a D that is too good."""
    too_good(0)
    optimizer = torch.optim.SGD(duel.generator.parameters(), lr=0.01)
    seen = []
    for _ in range(turns):
        logits = duel.discriminator(duel.generator(torch.randn(64, 2, generator=generator)))
        optimizer.zero_grad()
        my_g_loss(logits, kind).backward()
        optimizer.step()
        duel.discriminator_step()
        seen.append(logits.sigmoid().mean().item())
    return seen


# %% tags=["nbval-ignore-output"]
turns = profile.pick(ci=60, cpu=300, gpu=300)
chases = {name: chase(kind, turns) for name, kind in kinds.items()}
plots.lines(
    {name: (range(1, turns + 1), seen) for name, seen in chases.items()},
    xlabel="turn", ylabel="D(G(z))", yscale="log", height=2.6,
    colours=(plots.STUDENT, plots.MODEL),
    alt="Two curves from one start; that of the non-saturating loss lies higher by far.",
    caption="The same start, the same learning rate. The minimax generator hardly moves, while "
    "its discriminator gets still better.",
)

# %% [markdown]
# So "minimax saturates" says who starves: the *generator*, where it is bad and would need help most. The non-saturating loss
# has a price, too. It is no divergence any more that falls with each best answer; how the game runs is then known from
# experience rather than from a theorem.

# %% [markdown]
# ## 7. Digits
#
# Back to images. The generator is a plain perceptron; the table lists its layers in order.
#
# | layer | numbers |
# |:---|:---|
# | $z$ | `latent_dim` |
# | linear, LeakyReLU 0.2, BatchNorm | 256 |
# | linear, LeakyReLU 0.2, BatchNorm | 512 |
# | linear, LeakyReLU 0.2, BatchNorm | 1024 |
# | linear, Tanh, then reshape | 1 × 28 × 28 |
#
# **Exercise 7.** Build it.

# %% nbgrader={"grade": false, "grade_id": "Generator", "locked": false, "solution": true, "schema_version": 3}
class Generator(nn.Module):
    """Random numbers (B, latent_dim) to images (B, 1, 28, 28) in [-1, 1]."""

    def __init__(self, latent_dim=100):
        super().__init__()
        ### BEGIN SOLUTION
        sizes = (latent_dim, 256, 512, 1024)
        layers = []
        for n, m in itertools.pairwise(sizes):
            layers += [nn.Linear(n, m), nn.LeakyReLU(0.2), nn.BatchNorm1d(m)]
        layers += [nn.Linear(1024, 784), nn.Tanh(), nn.Unflatten(1, (1, 28, 28))]
        self.layers = nn.Sequential(*layers)
        ### END SOLUTION

    def forward(self, z):
        """(B, latent_dim) -> (B, 1, 28, 28)."""
        ### BEGIN SOLUTION
        return self.layers(z)
        ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "Generator-check", "locked": true, "points": 5, "solution": false, "schema_version": 3}
check("gan.Generator", Generator)

# %%
my_generator = mine_or_reference("gan.Generator", Generator)
with seeded(0):
    untrained = my_generator(100)
with torch.no_grad():
    images = untrained(torch.randn(64, 100, generator=torch.Generator().manual_seed(3)))
learned = sum(weights.numel() for weights in untrained.parameters())
print(f"images {tuple(images.shape)}, {learned:,} numbers to learn; "
      f"all values within -1 and 1: {bool((images.abs() <= 1).all())}")

# %% [markdown]
# Training this one takes many minutes on a laptop. A smaller pair (64 numbers in $z$, two hidden layers of 256, batches of 32)
# gets somewhere within one minute. Your two steps train it.
#
# > **Predict.** Four curves: both losses, and $D$'s mean answer for real images and for fakes. Where would all four end if
# > the game were won by $G$? Where do you think they are after a minute?

# %% tags=["nbval-ignore-output"]
steps = profile.pick(ci=40, cpu=3000, gpu=20000)
with seeded(0):
    small_g, small_d = gan.SmallGenerator(), gan.SmallDiscriminator()
adams = [torch.optim.Adam(network.to(profile.device).parameters(), lr=2e-4, betas=(0.5, 0.999))
         for network in (small_d, small_g)]
curves = {"loss of D": [], "loss of G": [], "D(x)": [], "D(G(z))": []}


# %% tags=["nbval-ignore-output"]
def turn(real):
    """One step of each; returns the loss of D, and keeps what the curves show."""
    z = torch.randn(2, len(real), 64, generator=generator).to(real.device)
    curves["loss of D"].append(my_d_step(small_g, small_d, real, z[0], adams[0]))
    curves["loss of G"].append(my_g_step(small_g, small_d, z[1], adams[1]))
    with torch.no_grad():
        curves["D(x)"].append(small_d(real).sigmoid().mean().item())
        curves["D(G(z))"].append(small_d(small_g(z[0])).sigmoid().mean().item())
    return curves["loss of D"][-1]


# %% tags=["nbval-ignore-output"]
stream = batches(train_set.images.to(profile.device), 32, generator=generator)
for _ in plots.watch(train(turn, stream, steps), steps, label="your GAN", ylabel="loss of D"):
    pass

# %% tags=["nbval-ignore-output"]
fig, axes = plots.figure(
    9, 2.8, columns=2,
    alt="Left the losses of D and G, which do not settle; right D's mean answers.",
    caption="Means over 20 steps. D keeps the upper hand: its loss stays below 1.386, and it tells "
    "real from fake. No curve says how good the digits are.",
)
looks = zip(curves.items(), (0, 0, 1, 1), 2 * (plots.DATA, plots.MODEL))
for (name, values), at, colour in looks:
    mean = torch.tensor(values)[: steps // 20 * 20].view(-1, 20).mean(dim=1)
    axes[0, at].plot(range(20, steps + 1, 20), mean, color=colour, label=name)
    axes[0, at].legend(frameon=False)
axes[0, 0].set(xlabel="step", ylabel="nats")
axes[0, 1].set(xlabel="step", ylabel="probability of “real”", ylim=(0, 1))
fig

# %% tags=["nbval-ignore-output"]
small_g = small_g.cpu().eval()
shipped = load_checkpoint("gan/small")
z = torch.randn(12, 64, generator=torch.Generator().manual_seed(4))
with torch.no_grad():
    rows = {"yours, just now": small_g(z), "trained for longer": shipped(z)}
plots.image_rows(
    rows, (-1, 1),
    alt="Two rows of twelve generated images; the lower ones are clearer digits.",
    caption=f"Below: {load_card('gan/small').steps:,} steps.",
)

# %% [markdown]
# The large pair, trained for long. The same 24 random codes at each stop:
#
# > **Predict.** Drag through the training. Does each code keep its digit once it has one?

# %%
card = load_card("gan/mnist")
sheet, by_step = load_checkpoint("gan/mnist"), card.quality["by_step"]
frames = [plots.tile(sheet[stop].view(2, 12, 1, 28, 28), (0, 1)) for stop in by_step]
widgets.FrameScrubber(
    frames, [int(stop) for stop in by_step],
    [f"After {int(stop):,} steps: D says {q['d_of_real']:.2f} for real images and "
     f"{q['d_of_fake']:.2f} for fakes; Fréchet distance {q['frechet']:.0f}."
     for stop, q in by_step.items()],
    title="A generator learns", label="steps", index=len(by_step) - 1,
)

# %% [markdown]
# Two networks that chase each other never come to rest: some codes change their digits to the end. And how good are the
# images, beside the VAE's?

# %%
judge = load_checkpoint("classifier/mnist")
z = torch.randn(2000, 64, generator=torch.Generator().manual_seed(5))
small_images = in_batches(shipped, z)
figures = {name: load_card(f"gan/{run}").quality
           for name, run in (("GAN, small", "small"), ("GAN, large", "mnist"))}
drawn = {name: (q["frechet"], q["samples"]) for name, q in figures.items()}
last = figures["GAN, large"]
drawn["real digits"] = last["frechet_floor_training_images"], last["test_images"]
rows = {name: [f"{far:.0f}", f"{100 * q['neither_paper_nor_ink']:.0f}%",
               f"{100 * q['judge_sure']:.0f}%"] for name, (far, q) in drawn.items()}

# %%
vae_far = load_card("vae/latent-32").quality["frechet_of_samples"]
answers = in_batches(lambda x: judge(rescale(x, (-1, 1), (0, 1))).softmax(dim=1), soft)
sure = answers.amax(dim=1) > 0.9
vae_row = [f"{vae_far:.0f}", f"{grey_share(soft):.0f}%", f"{100 * sure.float().mean():.0f}%"]
plots.table(
    ("what is judged", "Fréchet distance", "neither paper nor ink", "judge is sure"),
    {"VAE": vae_row} | rows,
    caption="Distance of 10,000 samples to 10,000 test digits on a classifier's features; real "
    "digits, of the training set, are its floor. Sure means a probability above 0.9.",
)

# %% [markdown]
# Grey is gone, and no loss had a word about grey in it. Sharp is not yet good: the small pair is as sharp as real digits and
# far from them all the same. The large pair is nearer to real digits than the VAE. And it needed no likelihood for that.

# %% [markdown]
# ## 8. Mode collapse
#
# Nothing in the generator's loss asks for *variety*. If one fake always passes, why draw another? The judge reads which digit
# each fake is; from the shares of the digits follows how many there are in effect:
#
# $$ \text{effective modes} = \exp\Big(-\sum_k s_k \log s_k\Big), \qquad s_k = \text{share of class } k $$
#
# Ten equal shares give 10, a single digit gives 1.
#
# **Exercise 8.** Labels in, one float out. A class without a sample adds nothing.

# %% nbgrader={"grade": false, "grade_id": "effective_modes", "locked": false, "solution": true, "schema_version": 3}
def effective_modes(labels, n_classes):
    """exp(entropy of the label histogram). labels (N,) int64 in 0..n_classes-1. Returns a float."""
    ### BEGIN SOLUTION
    shares = torch.bincount(labels, minlength=n_classes).double() / len(labels)
    return math.exp(-torch.xlogy(shares, shares).sum().item())
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "effective_modes-check", "locked": true, "points": 2, "solution": false, "schema_version": 3}
check("gan.effective_modes", effective_modes)

# %%
my_modes = mine_or_reference("gan.effective_modes", effective_modes)
read = in_batches(lambda x: judge(x).argmax(dim=1), rescale(small_images, (-1, 1), (0, 1)))
shares = {
    "real digits": torch.bincount(test_set.labels, minlength=10) / len(test_set),
    "GAN, small": torch.bincount(read, minlength=10) / len(read),
    "GAN, large": torch.tensor(list(last["samples"]["share_of_each_digit"].values())),
}
modes = {"real digits": my_modes(test_set.labels, 10), "GAN, small": my_modes(read, 10),
         "GAN, large": last["samples"]["effective_modes"]}
rows = {name: [*(f"{100 * share:.0f}" for share in row), f"{modes[name]:.1f}"]
        for name, row in shares.items()}
plots.table(
    ("share, %", *map(str, range(10)), "effective modes"), rows,
    caption="Which digits are drawn how often, as the judge reads them.",
)

# %% [markdown]
# A share far below 10% is a digit that the generator has all but dropped, a share far above one it falls back on. In a plane
# you can see such a collapse happen. The ring again, and now $G$ learns five times as fast as $D$, so
# that it may run to one heap before $D$ can object. The rules of this training are called *none* below; the others differ
# from them in one thing:
#
# | name | what differs |
# |:---|:---|
# | logits × 30 | $D$'s logits are multiplied by 30: a bolder $D$ |
# | spectral norm, × 30 | the same, and each layer of $D$ is divided by its largest singular value: bold, but nowhere steeper than 30 |
# | packs of 4 | $D$ judges four points at once, all real or all fake: four equal ones are suspicious |
# | 5 D steps | five steps of $D$ for one of $G$ |
# | WGAN-GP, 5 D steps | another loss: $D$ is a critic that scores, kept at a slope of 1 by a penalty |
#
# A fake counts for the heap that is nearest, however far off; so the share of fakes that are *near a heap*, within 3 standard
# deviations, stands beside the modes.
#
# > **Predict.** Drag through the training without a cure. Once $G$ has collapsed onto a heap: does it stay there?

# %%
tracks, quality = load_checkpoint("gan/ring"), load_card("gan/ring").quality
turns = list(quality["stops"].values())


# %%
def picture(points, side=180):
    """Fakes as dots, the eight heaps as pale discs, (side, side) uint8: 0 is the page, 255 full ink."""
    at = torch.linspace(-3, 3, side)
    pixels = torch.cartesian_prod(-at, at).flip(1)
    heaps = (torch.cdist(pixels, ring.means) < 3 * ring.std).any(dim=1)
    dots = (torch.cdist(pixels, points) < 0.035).any(dim=1)
    return torch.where(dots, 255, 70 * heaps).view(side, side).byte().numpy()


# %%
pictures, captions, climbs = {}, {}, {}
for cure in tracks.rows:
    labels = [gan.nearest_mode(points, ring) for points in tracks[cure]]
    climbs[cure] = [my_modes(some, 8) for some in labels]
    pictures[cure] = [picture(points) for points in tracks[cure]]
    near = [gan.good_points(points, ring).float().mean() for points in tracks[cure]]
    captions[cure] = [
        f"{cure}, turn {turn}: {found:.1f} effective modes of 8; {100 * share:.0f}% near a heap."
        for turn, found, share in zip(turns, climbs[cure], near)
    ]

# %%
widgets.FrameScrubber(
    list(pictures.values()), turns, list(captions.values()),
    title="Fakes on the ring", label="turns", index=turns.index(300),
    choices={"cure": list(tracks.rows)}, chosen=(0,),
)

# %% [markdown]
# It does not stay. $D$ learns that this heap is full of fakes, and $G$ moves on to the next: the fakes wander around the ring
# as one. No loss curve tells you.
#
# One run proves nothing: cures are compared over ten seeds. **Collapsed** means fewer than 4 effective modes at the end. One
# more measure stands beside it, the mean distance between two fakes: it falls when all look alike.

# %%
def mean(runs, figure):
    return sum(run[figure] for run in runs.values()) / len(runs)


table = {
    cure: [f"{sum(run['effective_modes'] < 4 for run in runs.values())} of {len(runs)}",
           f"{mean(runs, 'effective_modes'):.1f}", f"{mean(runs, 'pairwise_diversity'):.2f}",
           f"{100 * mean(runs, 'good_share'):.0f}%"]
    for cure, runs in quality["by_cure_and_seed"].items()
}


# %%
data = quality["data"]
table["data"] = ["-", f"{data['effective_modes']:.1f}", f"{data['pairwise_diversity']:.2f}",
                 f"{100 * data['good_share']:.0f}%"]
plots.table(
    ("cure", "collapsed", "effective modes", "distance of two fakes", "near a heap"), table,
    caption=f"After {load_card('gan/ring').steps:,} turns; means over ten seeds.",
)

# %% [markdown]
# Without a cure the ring collapses in nine of ten runs, and every row below it does so less often. Five steps of $D$ keep all
# heaps and hit them best. Packs and WGAN-GP keep variety, but after 500 turns their fakes still lie
# anywhere: 6% near a heap is what dots thrown at random over the picture would have. And spectral norm looks like a cure
# until you read the row above it: the bolder logits alone do as well. Which part of a recipe helps, only a row of its own
# can tell. Here most of them do one thing: they let $D$ object in time.
#
# Try it: a cure of your choice, another seed, trained here by your two steps.

# %% tags=["nbval-ignore-output"]
chosen, seed = ("none", "5 D steps"), 3
turns = profile.pick(ci=40, cpu=500, gpu=500)
live = {}
for cure in chosen:
    with seeded(seed):
        players = gan.CURES[cure].players()
    duel = gan.Duel(
        players, ring, gan.CURES[cure], generator=torch.Generator().manual_seed(seed),
        discriminator_step=my_d_step, generator_step=my_g_step,
    )
    live[cure] = [my_modes(gan.nearest_mode(duel.fakes(500), ring), 8)
                  for done in duel.turns(turns) if done % 10 == 0]

# %% tags=["nbval-ignore-output"]
plots.lines(
    {cure: (range(10, turns + 1, 10), modes) for cure, modes in live.items()},
    xlabel="turn", ylabel="effective modes of 8", ylim=(0.8, 8.2), height=2.6,
    colours=(plots.MODEL, plots.STUDENT),
    alt="Two curves of effective modes, one without a cure and one with five steps of D.",
    caption="Effective modes on the way, every tenth turn.",
)

# %% [markdown]
# ## 9. The range that gives everything away
#
# Tanh ends in $[-1, 1]$. Hand the discriminator real digits in $[0, 1]$, as many loaders give them, and nothing crashes. Paper
# is then 0, the steepest point of tanh.
#
# > **Predict.** Nine of ten pixels are paper. What will the paper of the fakes look like?

# %%
wrong = load_checkpoint("gan/small-wrong-range")
z = torch.randn(2000, 64, generator=torch.Generator().manual_seed(6))
with torch.no_grad():
    trained = {"data in [-1, 1]": (shipped(z) + 1) / 2, "data in [0, 1]": wrong(z)}
real = rescale(test_set.images[:2000], (-1, 1), (0, 1))
for name, x in ({"real digits": real} | trained).items():
    background = x[:, :, :2].flatten()  # two rows at the top: paper in almost every digit
    print(f"{name:16s} paper has a standard deviation of {background.std():.4f}, "
          f"{100 * (background.abs() < 1e-3).float().mean():3.0f}% of it is exactly paper")
plots.image_rows(
    {name: x[:12].clamp(0, 1) for name, x in trained.items()}, (0, 1),
    alt="Two rows of generated digits; those of the wrong range lie on noisy paper.",
    caption="Same networks, same number of steps, same z. Only the range of the data differs.",
)

# %%
runs = {"data in [-1, 1]": "small", "data in [0, 1]": "small-wrong-range"}
cards = {name: load_card(f"gan/{run}").quality for name, run in runs.items()}
plots.table(
    ("small GAN", "Fréchet distance", "judge is sure", "effective modes of 10"),
    {name: [f"{q['frechet']:.0f}", f"{100 * q['samples']['judge_sure']:.0f}%",
            f"{q['samples']['effective_modes']:.1f}"] for name, q in cards.items()},
    caption="10,000 samples each; negative values are cut off before they are judged.",
)

# %% [markdown]
# In $[-1, 1]$ paper lies at the end of tanh: any very negative number gives it, exactly. In $[0, 1]$ paper is 0, where tanh is
# steepest: hundreds of outputs would have to hit one number, and they miss it by a little. The discriminator looks at paper
# and knows. The losses look as always, so print minimum and maximum of your data before you train. Normalising by mean 0.1307
# and standard deviation 0.3081, as classifiers like it, is the same giveaway: ink is then 2.8, and no tanh gets there.

# %% [markdown]
# ## 10. Where it fails
#
# Look at the fakes closely, and you see specks: ink without ink next to it. A perceptron does not know that pixels have
# neighbours. Shuffle the pixels of all images in one fixed way, and it would learn exactly as well.
#
# > **Predict.** How many ink pixels of a real digit have no ink among their eight neighbours? And of a fake?

# %%
def specks(x):
    """Share of ink pixels (> 0.5) that have no ink neighbour. x (N, 1, 28, 28) in [0, 1]."""
    ink = (x > 0.5).float()
    around = F.conv2d(ink, torch.ones(1, 1, 3, 3), padding=1) - ink
    return ((ink > 0) & (around == 0)).sum().item() / ink.sum().item()


drawn = {"real digits": real, "VAE": rescale(soft[:2000], (-1, 1), (0, 1)),
         "GAN, small": trained["data in [-1, 1]"], "GAN, large": sheet[list(by_step)[-1]]}
for name, x in drawn.items():
    print(f"{name:12s} {1000 * specks(x):5.1f} of 1,000 ink pixels stand alone")

# %% [markdown]
# And you cannot ask for a 7. So two things are missing: a network that is built for images, and a way to say what should be
# drawn. Convolutions and conditioning are chapter 5.

# %% [markdown]
# ## 11. Find the bug
#
# From a slide: "one training step of a GAN". The data are MNIST as the loader gives them, in $[0, 1]$; the generator ends in
# Tanh. Its loss falls beautifully.
#
# > **Predict.** There is one line that makes training hopeless, one fact about the data that makes it hard, and one comment
# > that is false. Find all three before you run it.

# %%
def losses_from_a_slide(discriminator, images, fakes):
    p_real, p_fake = discriminator(images).sigmoid(), discriminator(fakes).sigmoid()
    loss_d = torch.log(p_real).mean() + torch.log(1 - p_fake).mean()
    loss_g = -torch.log(p_fake).mean()  # strictly equivalent to minimising log(1 - D(G(z)))
    return loss_d, loss_g


# %% tags=["nbval-ignore-output"]
with seeded(0):
    slide_d = gan.SmallDiscriminator()
loader_images = rescale(train_set.images[:64], (-1, 1), (0, 1))
slide_fakes = small_g(z[:64]).detach()
optimizer = torch.optim.SGD(slide_d.parameters(), lr=0.003)
for step in range(41):
    loss_d, _ = losses_from_a_slide(slide_d, loader_images, slide_fakes)
    if step % 10 == 0:
        says = [slide_d(x).sigmoid().mean() for x in (loader_images, slide_fakes)]
        print(f"step {step:2d}: loss of D {loss_d:7.3f}, D(x) = {says[0]:.3f}, D(G(z)) = {says[1]:.3f}")
    optimizer.zero_grad()
    loss_d.backward()
    optimizer.step()

# %% [markdown]
# <details><summary>The diagnosis</summary>
#
# The minus sign of `loss_d` is missing. What the slide minimises is $V$, which $D$ should maximise: its loss falls without
# end, below 0, where a cross-entropy cannot be, and what it learns is to call fakes real. The range: data in $[0, 1]$
# against a Tanh, section 9. The comment: same fixed point, another gradient, section 6. And a fourth one, for hard
# cases: the logarithm of a probability that was rounded to 0 is $-\infty$.
# </details>
#
# Repair the loss of $D$ here, range included (no points). Nothing else of the step has to change.

# %% nbgrader={"grade": false, "grade_id": "repaired_loss", "locked": false, "solution": true, "schema_version": 3}
def repaired_loss(discriminator, images, fakes):
    """The loss of D, to be minimised. images (B,1,28,28) in [0, 1], fakes in [-1, 1]. A scalar, nats."""
    ### BEGIN SOLUTION
    real_logits, fake_logits = discriminator(2 * images - 1), discriminator(fakes)
    return F.softplus(-real_logits).mean() + F.softplus(fake_logits).mean()
    ### END SOLUTION


# %%
def summed(x):
    """A discriminator that adds up pixels, 1/100 each."""
    return x.flatten(1).sum(dim=1) / 100


def value_of(loss):
    try:
        found = loss(summed, real[:64], shades)
        return f"{(found[0] if isinstance(found, tuple) else found).item():.2f}"
    except Exception as error:
        return type(error).__name__


# %%
shades = torch.linspace(-1, 1, 8).view(8, 1, 1, 1).expand(8, 1, 28, 28)
print("from the slide:", value_of(losses_from_a_slide))
print("yours:         ", value_of(repaired_loss))
right = my_d_loss(summed(test_set.images[:64]), summed(shades))
print("right:         ", f"{right:.2f}")

# %% [markdown]
# ## Summary
#
# | idea | in one sentence | you wrote |
# |:---|:---|:---|
# | discriminator | tells real from fake; maximises $V$, so its loss is $-V$ | `discriminator_loss`, `discriminator_step` |
# | its best answer | the share of the data in the density at a place | `optimal_discriminator` |
# | what $G$ then minimises | $2\,\mathrm{JS} - \log 4$: flat where data and fakes do not meet | `js_divergence` |
# | two losses of $G$ | same fixed point, other gradients; minimax starves a bad generator | `generator_loss`, `generator_step` |
# | images | a perceptron that ends in Tanh, and data in its range | `Generator` |
# | mode collapse | all fakes in few places; seen in samples, not in losses | `effective_modes` |
#
# ### Questions that come up
#
# - **When do I stop?** No loss says so. Look at samples, and at a distance to real images with its floor.
# - **$D$ is too strong. Should I train it less?** With the non-saturating loss a strong $D$ is seldom the trouble; on the ring
#   more steps of $D$ were a cure. A *steep* $D$ can be trouble, hence spectral norm and penalties.
# - **Can a GAN say how likely an image is?** No. It has no density that could be evaluated, only samples.
# - **Does $G$ copy training images?** It never sees one; all it gets is gradients through $D$. A $D$ that has learned its data by
#   heart could still lead it there, so measure it (chapter 8 looks for nearest neighbours).
# - **Why BatchNorm after the activation here?** Because this published perceptron has it there. In DCGAN it comes before.
#
# ### Further reading
#
# - Goodfellow et al., *Generative adversarial nets*, NeurIPS 2014.
# - Arjovsky and Bottou, *Towards principled methods for training generative adversarial networks*, ICLR 2017.
# - Lucic et al., *Are GANs created equal? A large-scale study*, NeurIPS 2018.
