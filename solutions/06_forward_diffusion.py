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
# # 6 · Forward diffusion: destroying an image in a thousand known steps
#
# | You will be able to | Time | Device | Difficulty |
# |:---|:---|:---|:---|
# | turn images into pure noise step by step or in one jump, choose a noise schedule and say what it leaves behind, and translate between image, noise and velocity | 60 minutes | any laptop; no GPU, no network | 3 of 5 |
#
# *Predict* means: write your guess down, then run the cell. *Exercise* means: write a few lines, then run the check.

# %% tags=["nbval-ignore-output"]
import math

import torch

from course_utils import denoising, plots, runtime, widgets
from course_utils.data import load
from course_utils.diffusion import forward, schedules
from course_utils.exercises import check, mine_or_reference

profile = runtime.profile()
print(f"{profile}. Nothing is trained in this chapter: it runs in seconds.")

# %% [markdown]
# ## 1. The question
#
# In chapter 2 a denoiser for one noise level made no digits out of noise. A walk *down many levels* worked, in a plane. To
# do the same with images we first need the way *up*: a recipe that destroys an image so slowly that every step is small,
# so precisely that we know what is left at every moment, and so thoroughly that at the end nothing of the image is left.
# Then a network can learn to walk back. Destroying needs no network at all.
#
# From here on images lie in $[-1, 1]$: -1 is paper, 1 is ink. Nothing is clamped any more.

# %%
test_set = load("mnist", "test", value_range=(-1, 1), size=32)
eight = test_set.balanced(1).images[:8]
many = test_set.images[:500]
print(f"pixel values from {many.min():.0f} to {many.max():.0f}, "
      f"mean {many.mean():.2f}, variance {many.var():.2f}")

# %% [markdown]
# ## 2. One small step
#
# A step mixes a little fresh noise into the image. How much, is said by a **variance** $\beta_t$ between 0 and 1:
#
# $$ x_t = \sqrt{1 - \beta_t}\; x_{t-1} + \sqrt{\beta_t}\; \varepsilon, \qquad \varepsilon \sim \mathcal N(0, I) $$
#
# Two things are easy to get wrong. The noise is scaled by the *root* of the variance. And the image *shrinks* a little in
# each step, so that something of variance 1 keeps variance 1: $(1 - \beta) + \beta = 1$.
#
# How large should the steps be? DDPM takes $T = 1000$ of them, $\beta$ growing evenly from 0.0001 to 0.02: small ones
# first, while there is still much to lose. Arrays count from 0: `betas[0]` makes the first step, and an image at $t = 0$
# has been noised once already.
#
# **Exercise 1.** The schedule: both ends included.

# %% nbgrader={"grade": false, "grade_id": "linear_beta_schedule", "locked": false, "solution": true, "schema_version": 3}
def linear_beta_schedule(timesteps, beta_start, beta_end):
    """Variances in equal steps from beta_start to beta_end. Returns (timesteps,) float."""
    ### BEGIN SOLUTION
    return torch.linspace(beta_start, beta_end, timesteps, dtype=torch.float64)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "linear_beta_schedule-check", "locked": true, "points": 2, "solution": false, "schema_version": 3}
check("forward_diffusion.linear_beta_schedule", linear_beta_schedule)

# %% [markdown]
# **Exercise 2.** The step. Each image of a batch has a $t$ of its own: `betas[t]` has shape `(B,)`, images have
# `(B, C, H, W)`. Schedules are kept in float64; what comes back should have the dtype of the images.

# %% nbgrader={"grade": false, "grade_id": "q_step", "locked": false, "solution": true, "schema_version": 3}
def q_step(x_prev, t, betas, noise):
    """One step of noising. x_prev, noise (B,C,H,W); t (B,) int64; betas (T,). Returns x_t, like x_prev."""
    ### BEGIN SOLUTION
    beta = betas[t].view(-1, 1, 1, 1)
    return (1 - beta).sqrt().to(x_prev.dtype) * x_prev + beta.sqrt().to(x_prev.dtype) * noise
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "q_step-check", "locked": true, "points": 4, "solution": false, "schema_version": 3}
check("forward_diffusion.q_step", q_step)

# %% [markdown]
# > **Predict.** Walk all thousand steps. Up to which $t$ can you read the digits? What are mean and variance of the pixels
# > at the end?

# %%
my_schedule = mine_or_reference("forward_diffusion.linear_beta_schedule", linear_beta_schedule)
my_step = mine_or_reference("forward_diffusion.q_step", q_step)
betas = my_schedule(1000, 1e-4, 0.02)
generator = torch.Generator().manual_seed(0)
x, walk = many, {}
for t in range(1000):
    noise = torch.randn(x.shape, generator=generator)
    x = my_step(x, torch.full((len(x),), t), betas, noise)
    if t in (0, 250, 500, 750, 999):
        walk[t] = x
plots.image_rows(
    {"image": many[:10]} | {f"t = {t}": x[:10].clamp(-1, 1) for t, x in walk.items()}, (-1, 1),
    height=0.7,
    alt="Ten digits after 1, 251, 501, 751 and 1000 steps; from the middle on they cannot be read.",
    caption="Step by step into noise. Half-way through, little is left that you could read.",
)

# %%
fig, axes = plots.figure(
    9, 2.2, columns=5, sharey=True,
    alt="Five histograms of pixel values, two narrow peaks at first, the normal density at last.",
    caption="All pixel values of 500 images, against the density of N(0, 1).",
)
values = torch.linspace(-3.5, 3.5, 100)
density = torch.exp(-values**2 / 2) / math.sqrt(2 * math.pi)
for ax, (t, x) in zip(axes[0], walk.items()):
    ax.hist(x.flatten(), bins=60, range=(-3.5, 3.5), density=True, color=plots.MODEL)
    ax.plot(values, density, color="black", linestyle="--")
    ax.set(title=f"t = {t}", xlabel="pixel value", ylim=(0, 1.2))
axes[0, 0].set(ylabel="density")
fig

# %%
print("   t    mean  variance")
for t, x in walk.items():
    print(f"{t:4d}  {x.mean():6.3f}  {x.var():8.3f}")

# %% [markdown]
# At the end: mean 0 and variance 1, whatever the image was. Had the steps only *added* noise and not shrunk the image,
# the variance would have grown to 10.3, and the digits would still stand behind it at full strength.

# %% [markdown]
# ## 3. The jump
#
# A thousand steps are many if all you want is $x_{500}$. But steps of this kind multiply: after two of them the image
# carries the factor $\sqrt{1-\beta_0}\sqrt{1-\beta_1}$, and the two noises add up to *one* Gaussian, since sums of
# Gaussians are Gaussian. With $\alpha_t = 1 - \beta_t$ and the running product $\bar\alpha_t = \alpha_0 \alpha_1 \cdots \alpha_t$:
#
# $$ x_t = \sqrt{\bar\alpha_t}\; x_0 + \sqrt{1 - \bar\alpha_t}\; \varepsilon $$
#
# $\bar\alpha_t$ (`alphas_cumprod`) is the share of the image's variance that is left, $1 - \bar\alpha_t$ that of noise.
#
# **Exercise 3.** The running product.

# %% nbgrader={"grade": false, "grade_id": "alphas_cumprod", "locked": false, "solution": true, "schema_version": 3}
def alphas_cumprod(betas):
    """The share of the image's variance that is left after each step. betas (T,). Returns (T,)."""
    ### BEGIN SOLUTION
    return torch.cumprod(1 - betas, dim=0)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "alphas_cumprod-check", "locked": true, "points": 2, "solution": false, "schema_version": 3}
check("forward_diffusion.alphas_cumprod", alphas_cumprod)

# %% [markdown]
# **Exercise 4.** The jump, for a batch in which every image has its own $t$.

# %% nbgrader={"grade": false, "grade_id": "q_sample", "locked": false, "solution": true, "schema_version": 3}
def q_sample(x0, t, alphas_cumprod, noise):
    """From x0 straight to level t. x0, noise (B,C,H,W); t (B,) int64; alphas_cumprod (T,). Like x0."""
    ### BEGIN SOLUTION
    a = alphas_cumprod[t].view(-1, 1, 1, 1)
    return a.sqrt().to(x0.dtype) * x0 + (1 - a).sqrt().to(x0.dtype) * noise
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "q_sample-check", "locked": true, "points": 4, "solution": false, "schema_version": 3}
check("forward_diffusion.q_sample", q_sample)

# %% [markdown]
# > **Predict.** Drag $t$. At which $t$ are signal and noise equally strong? Is that also where you stop recognising?

# %%
my_product = mine_or_reference("forward_diffusion.alphas_cumprod", alphas_cumprod)
my_jump = mine_or_reference("forward_diffusion.q_sample", q_sample)
abar = my_product(betas)
noise = torch.randn(eight.shape, generator=torch.Generator().manual_seed(1))
widgets.NoiseMixer(
    eight[:6, 0], noise[:6, 0], {"linear": abar},
    title="Any noise level, at once", index=250,
)

# %% [markdown]
# Equally strong are the *factors*, at about $t = 260$. Images of variance 1 would be half signal, half noise there. Our
# digits have a variance of 0.28 only, so the noise has long taken over; and still you can read them.
#
# ### Do steps and jump agree?
#
# Not image by image: each draws other noise. But mean and spread of what comes out must be the same. We send one pixel
# value, 0.8, on both ways, 20,000 times:

# %%
pixels = torch.full((20_000, 1, 1, 1), 0.8)
generator = torch.Generator().manual_seed(2)
x, rows = pixels, {}
for t in range(1000):
    levels = torch.full((len(x),), t)
    x = my_step(x, levels, betas, torch.randn(x.shape, generator=generator))
    if t in (10, 100, 300, 999):
        jumped = my_jump(pixels, levels, abar, torch.randn(x.shape, generator=generator))
        rows[f"t = {t}"] = [f"{value:.2f}" for y in (x, jumped) for value in (y.mean(), y.std())]
plots.table(
    ("", "steps: mean", "standard deviation", "jump: mean", "standard deviation"), rows,
    caption="A pixel of value 0.8, 20,000 times. Differences are those of chance.",
)

# %%
shown = (0, 50, 100, 200, 300, 400, 600, 800, 999)
x, frames, generator = eight, [], torch.Generator().manual_seed(3)
for t in range(1000):
    levels = torch.full((8,), t)
    x = my_step(x, levels, betas, torch.randn(x.shape, generator=generator))
    if t in shown:
        frames.append(plots.tile([x, my_jump(eight, levels, abar, noise)], (-1, 1)))
widgets.FrameScrubber(
    frames, shown,
    [f"After {t + 1} steps of fresh noise each, and by one jump: {100 * abar[t]:.0f}% of the variance is "
     f"signal in both (t = {t})." for t in shown],
    title="A thousand steps, or one jump", label="t", index=3, row_labels=("steps", "jump"),
)

# %% [markdown]
# ## 4. How fast? Schedules
#
# What matters for a network is the **signal-to-noise ratio** at each level, the ratio of the two variances.
#
# **Exercise 5.** From `alphas_cumprod`.

# %% nbgrader={"grade": false, "grade_id": "snr", "locked": false, "solution": true, "schema_version": 3}
def snr(alphas_cumprod):
    """Signal-to-noise ratio of variances at each level. alphas_cumprod (T,). Returns (T,)."""
    ### BEGIN SOLUTION
    return alphas_cumprod / (1 - alphas_cumprod)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "snr-check", "locked": true, "points": 2, "solution": false, "schema_version": 3}
check("forward_diffusion.snr", snr)

# %% [markdown]
# The linear schedule destroys small images too fast: for most of its second half they are noise already, and a network
# learns little there. The **cosine schedule** asks for a smooth fall of $\bar\alpha$ instead and derives the $\beta$ from
# it. With $f(u) = \cos^2\!\big(\tfrac{u + s}{1 + s} \cdot \tfrac{\pi}{2}\big)$ and $u = i/T$ the share of the way:
#
# $$ \bar\alpha \text{ after } i \text{ steps} = \frac{f(i/T)}{f(0)}, \qquad \beta_i = 1 - \frac{f(i/T)}{f((i-1)/T)}, \quad i = 1, \dots, T $$
#
# The small $s = 0.008$ keeps the first steps from being tiny. At the very end $f$ reaches 0, so the last $\beta$ would be
# 1: all are clipped at `max_beta`, 0.999 in the paper.
#
# **Exercise 6.** All $T$ of them, the first one for $i = 1$.

# %% nbgrader={"grade": false, "grade_id": "cosine_beta_schedule", "locked": false, "solution": true, "schema_version": 3}
def cosine_beta_schedule(timesteps, s, max_beta):
    """Variances for a squared-cosine fall of the signal, none above max_beta. Returns (timesteps,)."""
    ### BEGIN SOLUTION
    u = torch.arange(timesteps + 1, dtype=torch.float64) / timesteps
    f = torch.cos((u + s) / (1 + s) * math.pi / 2) ** 2
    return (1 - f[1:] / f[:-1]).clamp(max=max_beta)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "cosine_beta_schedule-check", "locked": true, "points": 4, "solution": false, "schema_version": 3}
check("forward_diffusion.cosine_beta_schedule", cosine_beta_schedule)

# %% [markdown]
# > **Predict.** Compare the rows below at $t = 500$. Under which schedule is the digit clearest? The third is Stable
# > Diffusion's (linear in $\sqrt\beta$, from 0.00085 to 0.012). The fourth is yours: change `own_betas` and run again.

# %%
my_cosine = mine_or_reference("forward_diffusion.cosine_beta_schedule", cosine_beta_schedule)
my_snr = mine_or_reference("forward_diffusion.snr", snr)
own_betas = torch.full((1000,), 0.008, dtype=torch.float64)
compared = {
    "linear": abar,
    "cosine": my_product(my_cosine(1000, 0.008, 0.999)),
    "scaled linear": my_product(schedules.scaled_linear_beta_schedule(1000, 0.00085, 0.012)),
    "own": my_product(own_betas),
}
widgets.NoiseMixer(eight[:6, 0], noise[:6, 0], compared, title="Four schedules", index=500)

# %%
plots.lines(
    {name: (range(1000), my_snr(share).log10() * 10) for name, share in compared.items()},
    xlabel="t", ylabel="signal-to-noise ratio, dB", ylim=(-60, 45), height=2.8,
    alt="Four falling curves; cosine stays highest in the middle and drops steeply at the end.",
    caption="Equal steps here would mean equal work at each level. At 0 dB signal and noise are "
    "equally strong.",
)

# %% [markdown]
# ### What is left at the end
#
# Sampling will start from *pure* noise. So what training calls $t = T-1$ should be pure noise, too. If some of the image
# is left there, the network learns to rely on it, and misses it when sampling begins.
#
# > **Predict.** The ends 0.0001 and 0.02 belong to $T = 1000$. Keep them and take 200 steps: how much of the image's
# > amplitude, $\sqrt{\bar\alpha}$, is left after the last one?

# %%
def left(betas):
    return f"{my_product(betas)[-1].sqrt():.3f}"


lengths = (1000, 500, 300, 200, 100)
plots.table(
    ("factor of the image at t = T - 1", *(f"T = {T}" for T in lengths)),
    {
        "0.0001 to 0.02, as they are": [left(my_schedule(T, 1e-4, 0.02)) for T in lengths],
        "both ends times 1000 / T": [left(my_schedule(T, 0.1 / T, 20 / T)) for T in lengths],
        "cosine, clipped at 0.999": [left(my_cosine(T, 0.008, 0.999)) for T in lengths],
        "cosine, clipped at 0.02": [left(my_cosine(T, 0.008, 0.02)) for T in lengths],
    },
    caption="At 0.36 you would still recognise many a digit. Stable Diffusion's own schedule leaves "
    f"{compared['scaled linear'][-1].sqrt():.3f}: not zero, and one of its known flaws.",
)

# %%
last = {
    "T = 1000": my_schedule(1000, 1e-4, 0.02),
    "T = 200, same ends": my_schedule(200, 1e-4, 0.02),
    "cosine, clip 0.02": my_cosine(1000, 0.008, 0.02),
    "cosine, clip 0.999": my_cosine(1000, 0.008, 0.999),
}
ends = {name: my_jump(eight, torch.full((8,), len(b) - 1), my_product(b), noise)
        for name, b in last.items()}
plots.image_rows(
    {name: x.clamp(-1, 1) for name, x in ends.items()}, (-1, 1), height=0.7,
    alt="Four rows of noise; in the second row some digits can still be made out.",
    caption="The last level of four schedules, with the same noise. In the second row some "
    "digits are still there. In the third they are too faint for you; not for a network.",
)

# %%
paper = torch.full((1, 1, 32, 32), -1.0)
for name, b in last.items():
    share = my_product(b)[-1].item()
    standard_error = math.sqrt(1 - share) / 32  # of the mean of 1,024 pixels of noise
    print(f"{name:20s} a white page keeps a mean of {-math.sqrt(share):.4f}: "
          f"{math.sqrt(share) / standard_error:.1f} standard errors")

# %% [markdown]
# Even the cosine schedule clipped at 0.02, which is in circulation, leaves a factor of 0.0565: on a blank page the mean of
# all pixels is then almost two standard errors away from that of pure noise. Averages over large areas are what a network
# reads off first.

# %% [markdown]
# ## 5. Back, if only the noise were known
#
# The jump has three ingredients: $x_0$, $\varepsilon$ and $x_t$. Whoever knows two has the third. A network will see
# $x_t$ and guess $\varepsilon$; from the guess follows a guess of $x_0$.
#
# **Exercise 7.** Solve the jump for $x_0$.

# %% nbgrader={"grade": false, "grade_id": "predict_x0", "locked": false, "solution": true, "schema_version": 3}
def predict_x0(x_t, t, noise, alphas_cumprod):
    """The image behind x_t, its noise being known. x_t, noise (B,C,H,W); t (B,). Like x_t."""
    ### BEGIN SOLUTION
    a = alphas_cumprod[t].view(-1, 1, 1, 1)
    return (x_t - (1 - a).sqrt().to(x_t.dtype) * noise) / a.sqrt().to(x_t.dtype)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "predict_x0-check", "locked": true, "points": 4, "solution": false, "schema_version": 3}
check("forward_diffusion.predict_x0", predict_x0)

# %% [markdown]
# > **Predict.** Let the guess of the noise be wrong by 5% of its size, at each $t$. What becomes of $x_0$ at $t = 100$, and
# > at $t = 900$?

# %%
my_inverse = mine_or_reference("forward_diffusion.predict_x0", predict_x0)
wrong = torch.randn(eight.shape, generator=torch.Generator().manual_seed(4))
rows, factors = {}, {}
for t in (100, 300, 500, 700, 900):
    levels = torch.full((8,), t)
    x_t = my_jump(eight, levels, abar, noise)
    rows[f"t = {t}"] = my_inverse(x_t, levels, noise + 0.05 * wrong, abar).clamp(-1, 1)
    factors[t] = ((1 - abar[t]) / abar[t]).sqrt().item()
plots.image_rows(
    rows, (-1, 1), height=0.7,
    alt="Five rows of recovered digits, clean at first and buried in noise at t = 900.",
    caption="x0 from a guess of the noise that is 5% off. The error comes back multiplied by "
    + ", ".join(f"{factor:.1f} (t = {t})" for t, factor in factors.items()) + ".",
)

# %% [markdown]
# Late in the process a tiny error in $\varepsilon$ is a huge one in $x_0$; early on it is the other way round. There is a
# third quantity that is well behaved at both ends, the **velocity**:
#
# $$ v = \sqrt{\bar\alpha_t}\;\varepsilon - \sqrt{1 - \bar\alpha_t}\;x_0 $$
#
# Think of an angle $\varphi$ with $\cos\varphi = \sqrt{\bar\alpha_t}$ and $\sin\varphi = \sqrt{1-\bar\alpha_t}$. Then
# $(x_t, v)$ is $(x_0, \varepsilon)$ turned by $\varphi$, and turning back never divides by anything small.
#
# **Exercise 8.** The velocity.

# %% nbgrader={"grade": false, "grade_id": "velocity", "locked": false, "solution": true, "schema_version": 3}
def velocity(x0, t, noise, alphas_cumprod):
    """v of each image at its level. x0, noise (B,C,H,W); t (B,) int64. Returns v, like x0."""
    ### BEGIN SOLUTION
    a = alphas_cumprod[t].view(-1, 1, 1, 1)
    return a.sqrt().to(x0.dtype) * noise - (1 - a).sqrt().to(x0.dtype) * x0
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "velocity-check", "locked": true, "points": 4, "solution": false, "schema_version": 3}
check("forward_diffusion.velocity", velocity)

# %%
my_velocity = mine_or_reference("forward_diffusion.velocity", velocity)
x0, eps = eight.double(), noise.double()
for t in (0, 500, 999):
    levels = torch.full((8,), t)
    x_t, v = my_jump(x0, levels, abar, eps), my_velocity(x0, levels, eps, abar)
    length = (x_t**2 + v**2 - x0**2 - eps**2).abs().max()
    turned = (forward.x0_from_velocity(x_t, levels, v, abar) - x0).abs().max()
    print(f"t = {t:3d}: x_t² + v² = x0² + ε² up to {length:.0e}; turned back, x0 up to {turned:.0e}")

# %% [markdown]
# Image, noise, velocity: three names for the same knowledge. Which of them a network should guess is a question of which
# errors you can live with. Chapter 7 takes the noise, as DDPM does.
#
# ### One more view: the score
#
# Chapter 2 called the direction in which the noisy data's density grows the score, and read it off a denoiser. A network
# that guesses the noise does the same. The best guess of the noise, divided by minus its standard deviation, *is* the
# score:
#
# $$ \nabla \log q(x_t) = -\,\frac{\mathbb E[\varepsilon \mid x_t]}{\sqrt{1 - \bar\alpha_t}} $$
#
# Chapter 2's toy data know all of these exactly, so here is the number:

# %%
angles = torch.linspace(0.1, torch.pi - 0.1, 5, dtype=torch.float64)
centres = torch.stack([angles.cos(), angles.sin()], dim=1)
for t in (50, 300, 900):
    signal, sigma = abar[t].sqrt().item(), (1 - abar[t]).sqrt().item()
    faded = denoising.GaussianMixture(signal * centres, std=signal * 0.1)
    x_t = torch.randn(1000, 2, generator=torch.Generator().manual_seed(5)).double()
    best_noise = (x_t - faded.denoise(x_t, sigma)) / sigma
    difference = (faded.score(x_t, sigma) + best_noise / sigma).abs().max()
    print(f"t = {t}: largest difference {difference:.0e}")

# %% [markdown]
# ## 6. Find the bug
#
# From a lecture slide: "we noise the image step by step".
#
# > **Predict.** Which formula of this chapter is that, and which should it be? After how many steps is nothing left?

# %%
def noise_from_a_slide(x, steps, alphas_cumprod, generator):
    for t in range(steps):
        eps = torch.randn(x.shape, generator=generator)
        x = alphas_cumprod[t].sqrt() * x + (1 - alphas_cumprod[t]).sqrt() * eps
    return x.float()


steps = (10, 30, 100, 300)
draw = torch.Generator().manual_seed(6)
plots.image_rows(
    {f"{n} steps": noise_from_a_slide(eight, n, abar, draw).clamp(-1, 1) for n in steps}, (-1, 1),
    height=0.7,
    alt="Four rows; after 100 of a thousand steps nothing of the digits can be seen.",
    caption="The slide's noising: after 100 of 1,000 steps the digits are gone.",
)

# %%
for n in steps:
    print(f"{n:3d} steps: the slide leaves {abar[:n].sqrt().prod():.3f} of the image's amplitude, "
          f"right is {abar[n - 1].sqrt():.3f}")

# %% [markdown]
# <details><summary>The diagnosis</summary>
#
# The jump's factors are applied to $x_{t-1}$: $\bar\alpha_t$ already holds all steps up to $t$, so every step is counted
# again and again. The slide mixes the two formulas of sections 2 and 3. Either a step, $\beta_t$ and $x_{t-1}$, or the
# jump, $\bar\alpha_t$ and $x_0$.
# </details>
#
# Repair it here (no points):

# %% nbgrader={"grade": false, "grade_id": "noise_step_by_step", "locked": false, "solution": true, "schema_version": 3}
def noise_step_by_step(x, steps, betas, generator):
    """`steps` steps of noising. x (B,C,H,W); betas (T,). Returns like x."""
    ### BEGIN SOLUTION
    for t in range(steps):
        eps = torch.randn(x.shape, generator=generator)
        x = (1 - betas[t]).sqrt().float() * x + betas[t].sqrt().float() * eps
    return x
    ### END SOLUTION


# %%
def factor_left(function, schedule):
    """How much of an image of constant value 1 is left after 100 steps, on average."""
    try:
        ones = torch.ones(1, 1, 500, 500)
        return f"{function(ones, 100, schedule, torch.Generator().manual_seed(7)).mean():.2f}"
    except Exception as error:
        return type(error).__name__


print("from the slide:", factor_left(noise_from_a_slide, abar))
print("yours:         ", factor_left(noise_step_by_step, betas))
print("right:         ", f"{abar[99].sqrt():.2f}")

# %% [markdown]
# ## Summary
#
# | idea | in one sentence | you wrote |
# |:---|:---|:---|
# | schedule | how much variance each step adds | `linear_beta_schedule`, `cosine_beta_schedule` |
# | step | shrink a little, add a little noise; variance 1 stays 1 | `q_step` |
# | jump | any level at once, from x_0 | `alphas_cumprod`, `q_sample` |
# | strength | signal against noise, level by level | `snr` |
# | end | the last level must be pure noise, or sampling starts from something never seen | |
# | three views | image, noise, velocity: two of them give the third | `predict_x0`, `velocity` |
#
# ### Questions that come up
#
# - **Why a thousand steps?** So that each is small: then the way back of each step is nearly Gaussian, too, and a network
#   can learn it. Sampling gets by with far fewer (chapter 8).
# - **Why is the first level not the clean image?** `alphas_cumprod[0]` is after the first step. The clean image would be
#   level -1, where $\bar\alpha = 1$.
# - **Is 1e-4 to 0.02 special?** Only for $T = 1000$ and images in $[-1, 1]$. Larger images keep their content under more
#   noise, for neighbouring pixels repeat it: they need schedules that destroy more.
# - **The first betas of the cosine schedule?** 4.1e-05, 4.6e-05, 5.1e-05. Lists that begin 4.1e-05, 9.0e-05, 1.4e-04 show
#   every tenth one.
#
# ### Further reading
#
# - Sohl-Dickstein et al., *Deep unsupervised learning using nonequilibrium thermodynamics*, ICML 2015.
# - Ho, Jain and Abbeel, *Denoising diffusion probabilistic models*, NeurIPS 2020.
# - Nichol and Dhariwal, *Improved denoising diffusion probabilistic models*, ICML 2021.
