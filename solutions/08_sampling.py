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
# # 8 · Sampling: from noise to images
#
# | You will be able to | Time | Device | Difficulty |
# |:---|:---|:---|:---|
# | walk from noise to images with DDPM and DDIM, steer the walk by a class or by a part of the image, and measure honestly how good the result is | 90 minutes | any laptop; no GPU, no network | 4 of 5 |
#
# *Predict* means: write your guess down, then run the cell. *Exercise* means: write a few lines, then run the check.

# %% tags=["nbval-ignore-output"]
import functools
import itertools

import torch

from course_utils import metrics, plots, runtime, widgets
from course_utils.data import colours, load, to_uint8
from course_utils.diffusion import forward, respacing, restoration, samplers, schedules
from course_utils.exercises import check, mine_or_reference
from course_utils.training import in_batches, load_card, load_checkpoint

profile = runtime.profile()
print(f"{profile}. About two minutes on 2 CPU cores; nothing is trained.")

# %% [markdown]
# ## 1. The question
#
# Chapter 7's network guesses the noise in an image, at every level. One guess from pure noise gave a blur. The direction was
# right, though. How do we walk?
#
# Here is a loop that you find in many places: guess $x_0$, clamp it to $[-1, 1]$, take it for the next input, one level
# lower. The network is the shipped one; it is told the class, too, which section 5 explains.
#
# > **Predict.** The guess is a blurred digit without noise. The network is then told: "this is level 900". What will it
# > do?

# %%
betas = schedules.linear_beta_schedule(1000, 1e-4, 0.02)
abar = schedules.alphas_cumprod(betas)
trained = load_checkpoint("diffusion/mnist")
digits = torch.arange(10)
told = functools.partial(trained, labels=digits)  # told(x_t, t) is now a model of the ten digits
x_T = torch.randn(10, 1, 32, 32, generator=torch.Generator().manual_seed(0))


# %%
@torch.no_grad()
def jump_and_clamp(model, x_T, timesteps):
    """The loop in circulation; yields level and state."""
    x_t = x_T
    for t in timesteps.tolist():
        levels = torch.full((len(x_t),), t)
        x_t = forward.predict_x0(x_t, levels, model(x_t, levels), abar).clamp(-1, 1)
        yield t, x_t


twenty = torch.linspace(999, 0, 20).round().long()
jumps = dict(jump_and_clamp(told, x_T, twenty))

# %%
stops = [twenty[n].item() for n in (0, 1, 2, 4, 7, 11, 15, 19)]
widgets.FrameScrubber(
    [plots.tile([jumps[t]], (-1, 1)) for t in stops], stops,
    [f"The network was told that the noise has standard deviation {(1 - abar[t]).sqrt():.2f} (t = {t}). "
     + ("It had." if t == 999 else "There was none.") for t in stops],
    title="Jump and clamp", label="told t", index=7,
)

# %% [markdown]
# It takes the ink for noise, or the other way round: what it sees has nothing to do with what it was trained on at this
# level. Chapter 2 ran into the same wall. A step must end where the network expects to be: at level $t - 1$, **with the
# noise that belongs to it**.

# %% [markdown]
# ## 2. The step back, if the image were known
#
# Take one pixel. We know $x_0$ and $x_t$. What can be said about $x_{t-1}$, one step before? Two things are known about it:
# it came from $x_0$ (the jump), and $x_t$ came from it (the step). Both are Gaussian, and so is their product:
#
# $$ \text{mean} = \frac{\beta_t \sqrt{\bar\alpha_{t-1}}}{1 - \bar\alpha_t}\, x_0
#  + \frac{(1 - \bar\alpha_{t-1}) \sqrt{1 - \beta_t}}{1 - \bar\alpha_t}\, x_t, \qquad
#  \text{variance} = \tilde\beta_t = \beta_t\, \frac{1 - \bar\alpha_{t-1}}{1 - \bar\alpha_t} $$
#
# with $\bar\alpha_{-1} = 1$: before the first step, all is image.
#
# > **Predict.** What are mean and variance at $t = 0$?
#
# **Exercise 1.** The posterior $q(x_{t-1} \mid x_t, x_0)$, for a batch with its own levels.

# %% nbgrader={"grade": false, "grade_id": "posterior_mean_variance", "locked": false, "solution": true, "schema_version": 3}
def posterior_mean_variance(x0, x_t, t, betas):
    """x0, x_t (B,C,H,W); t (B,) int64; betas (T,). Returns mean, like x_t, and variance (B,1,1,1)."""
    ### BEGIN SOLUTION
    products = torch.cumprod(1 - betas, dim=0)
    before = torch.cat([torch.ones_like(products[:1]), products[:-1]])
    of_x0 = betas * before.sqrt() / (1 - products)
    of_x_t = (1 - before) * (1 - betas).sqrt() / (1 - products)
    spread = betas * (1 - before) / (1 - products)
    a, b, v = (row[t].view(-1, 1, 1, 1).to(x_t.dtype) for row in (of_x0, of_x_t, spread))
    return a * x0 + b * x_t, v
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "posterior_mean_variance-check", "locked": true, "points": 4, "solution": false, "schema_version": 3}
check("sampling.posterior_mean_variance", posterior_mean_variance)

# %% [markdown]
# Is that so? Count. A pixel of value 0.8 walks 4 million times; of all walks we keep those that pass near $x_t = 0.7$:

# %%
my_posterior = mine_or_reference("sampling.posterior_mean_variance", posterior_mean_variance)
generator, rows = torch.Generator().manual_seed(1), {}
for t in (20, 100, 300):
    before, after = (torch.randn(4_000_000, generator=generator) for _ in range(2))
    x_before = (abar[t - 1].sqrt() * 0.8 + (1 - abar[t - 1]).sqrt() * before).float()
    x_after = ((1 - betas[t]).sqrt() * x_before + betas[t].sqrt() * after).float()
    kept = x_before[(x_after - 0.7).abs() < 0.01]
    one = torch.ones(1, 1, 1, 1)
    mean, variance = my_posterior(0.8 * one, 0.7 * one, torch.tensor([t]), betas)
    rows[f"t = {t}"] = [f"{len(kept):,}", f"{kept.mean():.4f}", f"{mean.item():.4f}",
                        f"{kept.std():.4f}", f"{variance.sqrt().item():.4f}"]
plots.table(
    ("", "walks kept", "their mean before the step", "formula", "their standard deviation", "formula"),
    rows, caption="Counted and computed.",
)

# %% [markdown]
# ## 3. DDPM
#
# $x_0$ is not known, but guessed: the network's guess of the noise gives $\hat x_0$ (`predict_x0` of chapter 6). Put it into
# the posterior, and draw:
#
# $$ x_{t-1} = \text{mean}(\hat x_0, x_t) + \sqrt{\tilde\beta_t}\; z $$
#
# Compare with the loop above: the guess is not taken for the next state. It only *pulls* the state a little, and fresh noise
# is added. At $t = 0$ no noise is added.
#
# **Exercise 2.** One step for the whole batch, `t` being one int. The model is called with $t$ as a `(B,)` int64 tensor.

# %% nbgrader={"grade": false, "grade_id": "p_sample", "locked": false, "solution": true, "schema_version": 3}
def p_sample(model, x_t, t, betas, noise):
    """x_t, noise (B,C,H,W); t int; betas (T,). Returns x_{t-1}, like x_t; no noise at t = 0."""
    ### BEGIN SOLUTION
    levels = torch.full((len(x_t),), t, device=x_t.device)
    products = torch.cumprod(1 - betas, dim=0)
    left, noise_pred = products[t].item(), model(x_t, levels)
    x0_hat = (x_t - (1 - left) ** 0.5 * noise_pred) / left**0.5
    before = products[t - 1].item() if t > 0 else 1.0
    beta = betas[t].item()
    centre = beta * before**0.5 / (1 - left) * x0_hat
    centre = centre + (1 - before) * (1 - beta) ** 0.5 / (1 - left) * x_t
    return centre + (beta * (1 - before) / (1 - left)) ** 0.5 * noise
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "p_sample-check", "locked": true, "points": 4, "solution": false, "schema_version": 3}
check("sampling.p_sample", p_sample)

# %% [markdown]
# **Exercise 3.** All steps, from $t = T - 1$ down to 0. `noises[t]` is for the step at $t$. Keep no computation graph: a
# thousand steps of it would not fit in memory. Within this cell you may call your `p_sample`.

# %% nbgrader={"grade": false, "grade_id": "p_sample_loop", "locked": false, "solution": true, "schema_version": 3}
def p_sample_loop(model, x_T, betas, noises):
    """x_T (B,C,H,W); betas (T,); noises (T,B,C,H,W). Returns x_0, like x_T."""
    ### BEGIN SOLUTION
    with torch.no_grad():
        x = x_T
        for t in reversed(range(len(betas))):
            x = p_sample(model, x, t, betas, noises[t])
        return x
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "p_sample_loop-check", "locked": true, "points": 4, "solution": false, "schema_version": 3}
check("sampling.p_sample_loop", p_sample_loop)

# %% [markdown]
# Your loop, with the shipped network. A thousand steps take a minute or two on a CPU, so we visit evenly spaced levels only:
# `respaced` makes the betas that lead from one visited level to the next. The loop does not notice.
#
# > **Predict.** Will 20 steps do? 100?

# %% tags=["nbval-ignore-output"]
my_loop = mine_or_reference("sampling.p_sample_loop", p_sample_loop)
rows = {}
for n in profile.pick(ci=(5, 10), cpu=(5, 20, 100), gpu=(5, 20, 1000)):
    levels = torch.linspace(999, 0, n).round().long()
    model, short = respacing.respaced(told, levels, abar)
    noises = torch.randn(n, *x_T.shape, generator=torch.Generator().manual_seed(2))
    rows[f"{n} steps"] = my_loop(model, x_T, short, noises).clamp(-1, 1)
plots.image_rows(
    rows, (-1, 1), height=0.7,
    alt="Ten digits for each number of steps; few steps leave them spotty, many make them clean.",
    caption="Digits that nobody wrote: your loop, ten classes, from the same noise.",
)

# %% [markdown]
# ### How much noise?
#
# $\tilde\beta_t$ is exact if all images are one point. If images were pure noise themselves, $\beta_t$ would be exact. Real
# images lie in between. How much does it matter? For data of which everything is known, normal with standard deviation 0.3,
# the best guess of the noise is a formula, and any error that remains is the sampler's:

# %%
def knows_all(x_t, t):
    """The best possible guess of the noise where x0 is normal with standard deviation 0.3."""
    share = abar[t].view(-1, 1, 1, 1)
    return ((1 - share).sqrt() / (share * 0.3**2 + 1 - share) * x_t).to(x_t.dtype)


# %%
rows, start = {}, torch.randn(20_000, 1, 1, 1, generator=torch.Generator().manual_seed(3))
for n in (10, 30, 100, 1000):
    levels = torch.linspace(999, 0, n).round().long()
    model, short = respacing.respaced(knows_all, levels, abar)
    ends = [[*samplers.ddpm(model, start, short, variance=kind,
                            generator=torch.Generator().manual_seed(4))][-1].x_t
            for kind in ("posterior", "beta")]
    rows[f"{n} steps"] = [f"{end.std():.3f}" for end in ends]
plots.table(
    ("standard deviation of the samples", "variance β̃", "variance β"), rows,
    caption="It should be 0.300. The more steps, the less the choice matters.",
)

# %% [markdown]
# ## 4. DDIM: fewer steps, no dice
#
# DDPM's noise is not compulsory. Any step that ends at level $s$ with the right *amount* of noise will do; it may consist of
# the noise that the network has just found. DDIM mixes both:
#
# $$ x_s = \sqrt{\bar\alpha_s}\,\hat x_0 + \sqrt{1 - \bar\alpha_s - \sigma^2}\;\hat\varepsilon + \sigma z, \qquad
# \sigma = \eta \sqrt{\frac{1 - \bar\alpha_s}{1 - \bar\alpha_t}} \sqrt{1 - \frac{\bar\alpha_t}{\bar\alpha_s}} $$
#
# With $\eta = 1$ and $s = t - 1$ this is DDPM. With $\eta = 0$ nothing is drawn: each $x_T$ belongs to one image. And $s$
# need not be $t - 1$.
#
# **Exercise 4.** The levels to visit: `num_steps` of them, evenly spaced, from $T - 1$ down to 0, both included.

# %% nbgrader={"grade": false, "grade_id": "ddim_timesteps", "locked": false, "solution": true, "schema_version": 3}
def ddim_timesteps(num_train_steps, num_steps):
    """Returns (num_steps,) int64, strictly descending from num_train_steps - 1 to 0; num_steps >= 2."""
    ### BEGIN SOLUTION
    return torch.linspace(num_train_steps - 1, 0, num_steps, dtype=torch.float64).round().long()
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "ddim_timesteps-check", "locked": true, "points": 3, "solution": false, "schema_version": 3}
check("sampling.ddim_timesteps", ddim_timesteps)

# %% [markdown]
# **Exercise 5.** The step, from level `t` to `t_prev` (both int), given the guess of the noise. `t_prev = -1` means the clean
# image, $\bar\alpha = 1$.

# %% nbgrader={"grade": false, "grade_id": "ddim_step", "locked": false, "solution": true, "schema_version": 3}
def ddim_step(x_t, noise_pred, t, t_prev, alphas_cumprod, eta, noise):
    """x_t, noise_pred, noise (B,C,H,W); alphas_cumprod (T,); eta 0..1. Returns x at level t_prev."""
    ### BEGIN SOLUTION
    a = alphas_cumprod[t].item()
    s = alphas_cumprod[t_prev].item() if t_prev >= 0 else 1.0
    sigma = eta * ((1 - s) / (1 - a)) ** 0.5 * (1 - a / s) ** 0.5
    x0_hat = (x_t - (1 - a) ** 0.5 * noise_pred) / a**0.5
    return s**0.5 * x0_hat + max(1 - s - sigma**2, 0.0) ** 0.5 * noise_pred + sigma * noise
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "ddim_step-check", "locked": true, "points": 5, "solution": false, "schema_version": 3}
check("sampling.ddim_step", ddim_step)

# %% [markdown]
# > **Predict.** The same $x_T$, once in 10 steps, once in 40. Same digits? With $\eta = 1$?

# %%
my_timesteps = mine_or_reference("sampling.ddim_timesteps", ddim_timesteps)
my_step = mine_or_reference("sampling.ddim_step", ddim_step)


@torch.no_grad()
def my_ddim(model, x_T, n, eta):
    """Your steps, one after the other."""
    x, levels = x_T, [*my_timesteps(1000, n).tolist(), -1]
    generator = torch.Generator().manual_seed(5)
    for t, t_prev in itertools.pairwise(levels):
        noise_pred = model(x, torch.full((len(x),), t))
        x = my_step(x, noise_pred, t, t_prev, abar, eta, torch.randn(x.shape, generator=generator))
    return x


# %%
counts = profile.pick(ci=(5, 10), cpu=(5, 10, 20, 40), gpu=(5, 10, 20, 40))
plots.image_rows(
    {f"η = {eta}, {n} steps": my_ddim(told, x_T, n, eta).clamp(-1, 1) for eta in (0, 1) for n in counts},
    (-1, 1), height=0.6,
    alt="Ten digits for each number of steps, without and with noise.",
    caption="Without noise (η = 0) all rows show the same digits, finer from row to row. With it "
    "(η = 1) each row has its own.",
)

# %% [markdown]
# ### Watch them walk
#
# Four ways from the same noise: state and guess at each step. The last, **DPM-Solver++(2M)**, also uses the guess of the
# step before: two guesses tell where the next one is heading.

# %%
n_steps = profile.pick(ci=10, cpu=20, gpu=50)
levels = my_timesteps(1000, n_steps)
short_model, short_betas = respacing.respaced(told, levels, abar)
seeded_draws = torch.Generator().manual_seed(6)
walks = {
    "DDPM": samplers.ddpm(short_model, x_T, short_betas, generator=seeded_draws),
    "DDIM, η = 0": samplers.ddim(told, x_T, levels, abar, 0.0, generator=None),
    "DPM-Solver++(2M)": samplers.dpm_solver_pp_2m(told, x_T, levels, abar),
}
walked = {name: list(walk) for name, walk in walks.items()}

# %% tags=["nbval-ignore-output"]
seen = sorted({n_steps * n // 6 for n in range(6)} | {n_steps - 1})
four = slice(4, 8)


def frame(step):
    return plots.tile([step.x_t[four].clamp(-1, 1), step.x0_hat[four].clamp(-1, 1)], (-1, 1))


widgets.FrameScrubber(
    [[frame(walk[n]) for n in seen] for walk in walked.values()], [n + 1 for n in seen],
    [[f"After step {n + 1} of {n_steps}: what is left of the noise has standard deviation "
      f"{(1 - abar[levels[n + 1]]).sqrt() if n + 1 < n_steps else 0:.2f}." for n in seen]] * 3,
    title="The walk back", label="step", choices={"sampler": list(walks)},
    index=len(seen) // 2, row_labels=("state", "guess of x0"),
)

# %% [markdown]
# At first the guess is a blur: what digits of this class look like on average. Then one after the other is decided: size, slant,
# stroke. Early steps decide the whole, late ones the details.
#
# ### How fast do they converge?
#
# For normal data the exact end of a walk of endless small steps is known: a state keeps its place in the distribution,
# which narrows from standard deviation 1 to 0.3. So the error of few steps can be measured. (Levels here are evenly spaced in
# the logarithm of signal over noise, so that all steps are alike.)
#
# > **Predict.** Twice as many steps: what becomes of the error?

# %%
even = torch.linspace(8, -8, 1025, dtype=torch.float64).sigmoid()
start = torch.randn(50, 1, 1, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(9))
widths = (even * 0.3**2 + 1 - even).sqrt()


def knows_all_evenly(x_t, t):
    return ((1 - even[t]).sqrt() / widths[t] ** 2).view(-1, 1, 1, 1) * x_t


def error(solver, n):
    """Largest distance from where the walk should be at level 0, after n steps."""
    *_, at_level_0, _ = solver(knows_all_evenly, start, my_timesteps(1025, n + 1), even)
    return (at_level_0.x_t - start * widths[0] / widths[-1]).abs().max().item()


# %%
solvers = {
    "DDIM, η = 0": lambda *arguments: samplers.ddim(*arguments, 0.0, generator=None),
    "DPM-Solver++(2M)": samplers.dpm_solver_pp_2m,
}
plots.table(
    ("error", "16 steps", "32", "64", "128"),
    {name: [f"{error(solver, n):.5f}" for n in (16, 32, 64, 128)] for name, solver in solvers.items()},
    caption="Twice the steps: DDIM's error halves (order 1), DPM-Solver++'s falls to a quarter "
    "(order 2).",
)

# %% [markdown]
# And with the real network, whose guess has errors of its own? The course drew 500 digits in each way and compared them
# with 1,000 test digits; section 6 explains the measure. Small is good.

# %%
card = load_card("diffusion/sampling").quality
steps_measured = ("5", "10", "20")
plots.table(
    ("Fréchet distance", *(f"{n} steps" for n in steps_measured)),
    {name.replace("eta", "η"): [f"{row[n]['frechet']:.1f}" for n in steps_measured]
     for name, row in card["by_steps"].items()},
    caption=f"{card['samples']} samples. The floor, as many real training digits: "
    f"{card['real']['floor']['frechet']:.1f}.",
)

# %% [markdown]
# Three things to read here. With 5 steps the higher order pays: DPM-Solver++ is far ahead. With more steps it and DDIM at
# $\eta = 0$ meet at the same value: both follow the same path, that of *this* network with its errors. And with 20 steps
# fresh noise ($\eta = 1$) is best: every draw washes out some of the errors made before. It even falls below the floor,
# which is no lower bound: other writers, and other shares of each digit, count as distance, too.

# %% [markdown]
# ## 5. Asking for something: guidance
#
# The shipped network takes a class: one more vector that is added to that of the level. In training, one label in ten was
# hidden, replaced by a *null label*, so the same network also knows what "some digit" looks like.
#
# **Exercise 6.** Hide labels where $u$ is below `drop_prob`. The labels that came in stay as they are.

# %% nbgrader={"grade": false, "grade_id": "drop_labels", "locked": false, "solution": true, "schema_version": 3}
def drop_labels(labels, drop_prob, u, null_label):
    """labels (B,) int64; u (B,) uniform in [0, 1). Returns (B,) int64, null_label where u < drop_prob."""
    ### BEGIN SOLUTION
    hidden = labels.clone()
    hidden[u < drop_prob] = null_label
    return hidden
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "drop_labels-check", "locked": true, "points": 3, "solution": false, "schema_version": 3}
check("sampling.drop_labels", drop_labels)

# %% [markdown]
# Now exaggerate. The difference of the two guesses, with the class and without, points to what is typical of the class. Go
# further in that direction: **classifier-free guidance**,
#
# $$ \hat\varepsilon = \varepsilon_\text{uncond} + s\,(\varepsilon_\text{cond} - \varepsilon_\text{uncond}). $$
#
# $s = 0$ ignores the class, $s = 1$ is the plain conditional guess, $s > 1$ is guidance. (The paper counts differently:
# its $w$ is $s - 1$.)
#
# **Exercise 7.** One line.

# %% nbgrader={"grade": false, "grade_id": "guided_noise", "locked": false, "solution": true, "schema_version": 3}
def guided_noise(noise_uncond, noise_cond, scale):
    """Both guesses (B,C,H,W); scale float, 1 = no guidance. Returns the guided guess."""
    ### BEGIN SOLUTION
    return noise_uncond + scale * (noise_cond - noise_uncond)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "guided_noise-check", "locked": true, "points": 2, "solution": false, "schema_version": 3}
check("sampling.guided_noise", guided_noise)

# %% [markdown]
# > **Predict.** Raise the scale from 0 to 8. What happens to the share of images that show the digit asked for? To
# > their variety?

# %%
by_scale, real = card["by_guidance_scale"], card["real"]
scales = list(by_scale)
share_of_variety = [by_scale[s]["diversity"] / real["diversity"] for s in scales]
accuracy = [by_scale[s]["class_accuracy"] for s in scales]
drawn = load_checkpoint("diffusion/sampling")
x_axis = [float(s) for s in scales]
shares = {"shows the digit asked for": accuracy,
          "variety within a class (real digits: 1)": share_of_variety}
captions = [f"Scale {s}: {a:.0%} show the digit asked for; variety {v:.2f} of real digits'; Fréchet "
            f"distance {by_scale[s]['frechet']:.1f}." for s, a, v in zip(scales, accuracy, share_of_variety)]

# %%
widgets.CurveScrubber(
    x_axis, shares, scales, captions, title="Guidance: right, or varied", label="scale",
    xlabel="guidance scale", ylabel="share",
    images=[plots.tile([drawn[s][n::10] for n in range(10)], (0, 1)) for s in scales],
    marks={name: list(zip(x_axis, row)) for name, row in shares.items()}, index=1,
)

# %% [markdown]
# At 1 the digits are as varied as real ones, and one in twenty is not what was asked for. At 2 nearly all are, and some of
# the variety is gone. Beyond, nothing is gained and variety goes on falling: guidance draws what is *typical*. (At 0 the
# class is not heard, so "within a class" means all digits.)

# %% [markdown]
# ### Your turn
#
# Everything at once, computed as you ask for it: number of steps, $\eta$, guidance, digit. Find settings that break it.

# %%
my_guided = mine_or_reference("sampling.guided_noise", guided_noise)
judge = load_checkpoint("classifier/mnist")


def walk_of(labels, steps, η, guidance):
    """Ten samples of these classes, step by step."""
    def model(x_t, t):
        uncond, cond = trained(x_t, t, torch.full_like(labels, 10)), trained(x_t, t, labels)
        return my_guided(uncond, cond, guidance)

    return samplers.ddim(model, x_T, my_timesteps(1000, steps), abar, η, clip_x0=True,
                         generator=torch.Generator().manual_seed(7))


# %%
def sampled(steps, η, guidance, digit):
    """What the widget shows for these settings."""
    labels = digits if digit == "each once" else torch.full((10,), int(digit))
    frames, captions = [], []
    for n, step in enumerate(walk_of(labels, steps, η, guidance), start=1):
        frames.append(plots.tile([step.x_t.clamp(-1, 1), step.x0_hat.clamp(-1, 1)], (-1, 1)))
        read = judge((step.x0_hat[..., 2:30, 2:30] + 1) / 2).argmax(dim=1)
        captions.append(f"Step {n} of {steps} (η = {η}, guidance {guidance}, digit: {digit}). Chapter 3's "
                        f"classifier reads {(read == labels).sum()} of 10 guesses as asked for.")
    return widgets.Run(frames, range(1, steps + 1), captions)


# %%
widgets.LiveScrubber(
    sampled,
    {"steps": [2, 3, 5, 10, 20], "η": [0.0, 0.5, 1.0], "guidance": [0.0, 1.0, 2.0, 4.0, 8.0],
     "digit": ["each once", *"0123456789"]},
    title="Sample", label="step", start={"steps": 10, "η": 0.0, "guidance": 2.0},
)

# %% [markdown]
# ## 6. How good is it, honestly?
#
# Looking at ten samples proves little. We need a number that falls when samples come closer to real images, as a *set*: a
# generator that repeats one perfect digit must score badly. Take a network that knows digits (chapter 3's classifier), compute
# its 128 features for 1,000 samples and for 1,000 real digits, describe each set by mean and covariance, and take the
# **Fréchet distance** of the two Gaussians:
#
# $$ d = \lVert \mu_1 - \mu_2 \rVert^2 + \operatorname{tr}\!\big(\Sigma_1 + \Sigma_2 - 2\,(\Sigma_1 \Sigma_2)^{1/2}\big) $$
#
# The trace of the root is the sum of the roots of the eigenvalues of $\Sigma_1\Sigma_2$. With Inception features it is
# known as FID.
#
# **Exercise 8.** Eigenvalues of a product of two covariances are real and not negative; rounding can make them a little
# less.

# %% nbgrader={"grade": false, "grade_id": "frechet_distance", "locked": false, "solution": true, "schema_version": 3}
def frechet_distance(mu1, cov1, mu2, cov2):
    """mu (D,), cov (D,D). Returns the squared distance of the means plus the trace term, a float."""
    ### BEGIN SOLUTION
    eigenvalues = torch.linalg.eigvals(cov1.double() @ cov2.double()).real.clamp(min=0)
    root = eigenvalues.sqrt().sum()
    shift = (mu1.double() - mu2.double()).square().sum()
    return (shift + cov1.double().trace() + cov2.double().trace() - 2 * root).item()
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "frechet_distance-check", "locked": true, "points": 4, "solution": false, "schema_version": 3}
check("sampling.frechet_distance", frechet_distance)

# %% [markdown]
# > **Predict.** Real digits against other real digits: is the distance 0? Does it depend on how many there are?
#
# Beside it, the **kernel distance** (KID): the same features, compared by a kernel instead of by two Gaussians.

# %%
my_distance = mine_or_reference("sampling.frechet_distance", frechet_distance)
shuffled = torch.randperm(60_000, generator=torch.Generator().manual_seed(10))[:8000]
features = in_batches(judge.features, load("mnist", "train").images[shuffled]).double()


def frechet(one, other):
    return my_distance(one.mean(dim=0), one.T.cov(), other.mean(dim=0), other.T.cov())


# %%
rows, sizes = {"Fréchet distance": [], "kernel distance (KID)": []}, (200, 500, 1000, 2000, 4000)
for n in sizes:
    sets = features.split(n)
    pairs = list(zip(sets[::2], sets[1::2]))  # no digit is in two sets
    for row, measure in zip(rows.values(), (frechet, metrics.kernel_distance)):
        row.append(f"{sum(measure(*pair) for pair in pairs) / len(pairs):.1f}")
plots.table(
    ("real digits against real digits", *(f"N = {n:,}" for n in sizes)), rows,
    caption="Means over all pairs of sets that 8,000 training digits make. The Fréchet distance shrinks "
    "with N: print N and the floor beside it. KID scatters around 0 for any N.",
)

# %% [markdown]
# So a number without its N, its features and its floor says nothing. Here is what the samplers' ideas are worth,
# in the experiment of chapter 7 (small networks, trained briefly):

# %%
ablation = load_card("diffusion/ablation")
figures = ablation.quality["rows"]
shown = ["everything", "everything, another seed", "schedule clipped at 0.02",
         "jump to x0 and clamp instead of a step", "plain network, not told t, clipped schedule",
         "the same, not averaged, jump and clamp"]
plots.table(
    ("left out", "Fréchet distance", "KID"),
    {name: [f"{figures[name]['frechet']:.0f}", f"{figures[name]['kernel']:.0f}"] for name in shown},
    caption=f"{ablation.steps:,} updates each; 1,000 samples, 20 steps; floor "
    f"{ablation.quality['floor_training_images']['frechet']:.0f}.",
)

# %%
sheet = load_checkpoint("diffusion/ablation")
plots.image_rows(
    {name: sheet[name][:10] for name in shown}, (0, 1), height=0.6,
    alt="Six rows of sampled digits, one for each row of the table.",
    caption="The first ten samples of each.",
)

# %% [markdown]
# One idea is decisive: the *step*. Our network is told $t$ and relies on it; fed with its own clamped guesses it ends as far
# from digits as pure noise does. The schedule's clip cost nothing that could be measured here: what it leaves of the image is too
# faint for a network that was trained so briefly. And read the last two rows again. The plain network is not told
# the level; it guesses it from the image. So it gets on better with the loop in circulation than with a proper step, which
# assumes a level: two mistakes that fit each other. The price is the distance to the first row.

# %% [markdown]
# ### Did it learn by heart?
#
# A network that returned its training images would have a splendid distance. So look for each sample's nearest training
# image, among all 60,000.
#
# > **Predict.** Will samples be closer to the training set than real test digits are, or further away?

# %%
train_images = load("mnist", "train").images
test_images = load("mnist", "test").balanced(3).images


def nearest(x):
    """Distance to the nearest training image, and that image."""
    distance, at = torch.cdist(x.flatten(1), train_images.flatten(1)).min(dim=1)
    return distance, train_images[at]


samples = drawn["1"]
of_samples, neighbours = nearest(samples)
of_test, _ = nearest(test_images)

# %%
plots.image_rows(
    {"sample": samples[:10], "nearest in training": neighbours[:10]}, (0, 1), height=0.7,
    alt="Ten samples above their nearest training images, which resemble but do not equal them.",
    caption=f"Distance to the nearest training image, median: samples {of_samples.median():.2f}, test digits "
    f"{of_test.median():.2f}; smallest of the samples {of_samples.min():.2f}. A copy would have 0.",
)

# %% [markdown]
# ## 7. When a part is known
#
# Half of a digit is covered. Only a coarse picture is left. The colours are gone. Three tasks, and one idea: at each step,
# replace the guess $\hat x_0$ by the *nearest image that agrees with what is known*, and walk on. The network was never told
# about any of these tasks.
#
# For all three, what is known is linear: $y = A x_0$. The nearest image that agrees is $\hat x_0 + A^+(y - A \hat x_0)$: put
# in the known pixels; shift each block to its known mean; shift the three channels to their known mean
# (`course_utils/diffusion/restoration.py`, 50 lines of code).
#
# > **Predict.** The same known part, two different noises. In which of the three tasks will the results differ most?

# %%
restored = load("mnist", "test", value_range=(-1, 1), size=32).balanced(2).images[3:15:2]
hues = torch.linspace(0, 5.2, 6)
painted = 2 * colours.paint((restored + 1) / 2, hues) - 1
mask = torch.zeros(32, 32, dtype=torch.bool)
mask[:16] = True
tasks = {
    "inpainting": (trained, restored, restoration.visible(mask)),
    "super-resolution": (trained, restored, restoration.coarse(4)),
    "colourisation": (load_checkpoint("diffusion/colour"), painted, restoration.grey()),
}


# %%
def restore(model, images, known, seed):
    """The states of a walk that always agrees with what is known of the images."""
    y, generator = known.measure(images), torch.Generator().manual_seed(seed)
    start = torch.randn(images.shape, generator=generator)
    consistent = restoration.restoring(model, known, y, abar)
    levels = my_timesteps(1000, profile.pick(ci=8, cpu=50, gpu=100))
    return list(samplers.ddim(consistent, start, levels, abar, 1.0, generator=generator))


def in_colour(images):
    """(B,1 or 3,H,W) in [-1, 1] -> one row (H, B W, 3) uint8; grey as dark ink on white."""
    picture = to_uint8(images, (-1, 1)).permute(2, 0, 3, 1).flatten(1, 2)
    return picture if picture.shape[-1] == 3 else (255 - picture).repeat(1, 1, 3)


# %% tags=["nbval-ignore-output"]
walks = {name: [restore(*task, seed) for seed in (0, 1)] for name, task in tasks.items()}
total = len(walks["inpainting"][0])
seen = [0, total // 4, total // 2, total - 1]
frames = []
for name, (_, images, known) in tasks.items():
    shown = known.lift(known.measure(images)).expand_as(images)
    frames.append([torch.cat([in_colour(row) for row in (
        shown, walks[name][0][n].x0_hat, walks[name][1][n].x0_hat, images)]).numpy() for n in seen])
widgets.FrameScrubber(
    frames, [n + 1 for n in seen],
    [[f"{name.capitalize()}: the guess after step {n + 1} of {total}. All that is known holds exactly."
      for n in seen] for name in tasks],
    title="When a part is known", label="step", choices={"task": list(tasks)}, index=len(seen) - 1,
    row_labels=("known", "one noise", "another", "the original"),
)

# %% tags=["nbval-ignore-output"]
rows = {}
for name, (_, images, known) in tasks.items():
    y, (first, second) = known.measure(images), (walk[-1].x_t for walk in walks[name])
    off = (known.measure(first) - y).abs().max()
    rows[name] = [f"{off:.4f}", f"{(first - images).square().mean():.3f}",
                  f"{(first - second).square().mean():.3f}"]
plots.table(
    ("", "largest error in what is known", "mean squared error to the original", "between the two results"),
    rows, caption="The results agree with what is known, and differ where nothing is known. They are "
    "plausible, not true: never mistake such an image for a measurement.",
)

# %% [markdown]
# Colour: any hue is possible, and each noise chooses another. (Its network is smaller and was trained briefly: by itself it
# draws poor digits, see its card. Where the shape is known, that hardly matters.) The lower half of a digit leaves
# a choice, too. A coarse picture leaves little.

# %% [markdown]
# ## 8. Three ways to draw
#
# The course has three kinds of generators now. All shipped, all trained on a CPU for minutes; measured here in one go, 1,000
# images each against 1,000 test digits.
#
# > **Predict.** Which is best by Fréchet distance? Which is fastest, and by how much?

# %%
labels, draw = torch.arange(1000) % 10, torch.Generator().manual_seed(11)
vae, dcgan = load_checkpoint("vae/latent-32"), load_checkpoint("dcgan/conditional")
with torch.no_grad():
    images = {
        "VAE (chapter 3)": vae.decode(torch.randn(1000, 32, generator=draw)).sigmoid(),
        "conditional DCGAN (chapter 5)": (dcgan(torch.randn(1000, dcgan.nz, generator=draw), labels) + 1) / 2,
    }
real = load("mnist", "test").images[::10]
distances = {name: metrics.feature_distance(judge.features, x, real) for name, x in images.items()}
of_diffusion = load_card("diffusion/mnist").quality
distances["diffusion, guidance 1"] = of_diffusion["by_guidance_scale"]["1"]["frechet"]
distances["diffusion, guidance 2"] = of_diffusion["by_guidance_scale"]["2"]["frechet"]
distances["1,000 training digits"] = of_diffusion["floor_training_images"]["frechet"]

# %%
rest = {
    "VAE (chapter 3)": ("1", "one loss, falls", "a bound on it"),
    "conditional DCGAN (chapter 5)": ("1", "two losses, a duel", "none"),
    "diffusion, guidance 1": ("20", "one loss, falls", "a bound, not computed here"),
    "diffusion, guidance 2": ("40", "one loss, falls", "none: guidance changes it"),
    "1,000 training digits": ("-", "-", "-"),
}
plots.table(
    ("", "Fréchet distance", "network calls for an image", "training", "likelihood"),
    {name: (f"{distances[name]:.1f}", *rest[name]) for name in rest},
    caption="The VAE is not told a class, the others are. One data set, one training each: no verdict on "
    "the methods.",
)

# %% [markdown]
# On digits a small GAN that is told the class is ahead of our diffusion model, at a twentieth of the price. What diffusion buys is
# elsewhere: a loss that simply falls, no collapse to watch for (chapter 4 counts them), and one network that does
# guidance and the three tasks of section 7 without having been trained for them. On large and varied images these count, which
# is why image generators went from GANs (2014) through autoregressive models to diffusion (2020), and on to text (chapter 9).

# %% [markdown]
# ## 9. Find the bug
#
# A step of DDPM, from a slide. The code runs without complaint.
#
# > **Predict.** Which line would you check by hand at $t = 0$ and at $t = T - 1$?

# %%
def step_from_a_slide(model, x_t, t, betas, noise):
    products = torch.cumprod(1 - betas, dim=0)
    products_prev = torch.cat([products[1:], torch.ones(1)])
    levels = torch.full((len(x_t),), t)
    x0_hat = forward.predict_x0(x_t, levels, model(x_t, levels), products).clamp(-1, 1)
    of_x0 = betas * products_prev.sqrt() / (1 - products)
    of_x_t = (1 - products_prev) * (1 - betas).sqrt() / (1 - products)
    spread = betas * (1 - products_prev) / (1 - products)
    mean = of_x0[t] * x0_hat + of_x_t[t] * x_t
    return (mean + spread[t].sqrt() * noise).float()


# %%
def walk_with(step, n=20):
    model, short = respacing.respaced(told, torch.linspace(999, 0, n).round().long(), abar)
    x, generator = x_T, torch.Generator().manual_seed(8)
    with torch.no_grad():
        for t in reversed(range(n)):
            x = step(model, x, t, short, torch.randn(x.shape, generator=generator))
    return x.clamp(-1, 1)


my_p_sample = mine_or_reference("sampling.p_sample", p_sample)
plots.image_rows(
    {"the slide's step": walk_with(step_from_a_slide), "yours": walk_with(my_p_sample)}, (-1, 1), height=0.7,
    alt="Two rows of ten digits, the first one buried in noise.",
    caption="Twenty steps each.",
)

# %% [markdown]
# <details><summary>The diagnosis</summary>
#
# `products_prev` is padded on the wrong side: it holds $\bar\alpha_{t+1}$, not $\bar\alpha_{t-1}$. The level before the
# first is the clean image, so the 1 belongs at the *front*. At $t = 0$ the variance must be 0; here it is larger than
# $\beta_0$, and the last step adds noise that nobody removes. At $t = T - 1$ it is 0, where it should be about $\beta$.
# </details>
#
# Repair it here (no points):

# %% nbgrader={"grade": false, "grade_id": "previous_products", "locked": false, "solution": true, "schema_version": 3}
def previous_products(products):
    """alphas_cumprod one step earlier. products (T,). Returns (T,)."""
    ### BEGIN SOLUTION
    return torch.cat([torch.ones_like(products[:1]), products[:-1]])
    ### END SOLUTION


# %%
def variance_at_both_ends(function):
    try:
        variance = betas * (1 - function(abar)) / (1 - abar)
        return f"t = 0: {variance[0]:.6f}, t = 999: {variance[-1]:.4f}"
    except Exception as error:
        return type(error).__name__


print("from the slide:", variance_at_both_ends(lambda a: torch.cat([a[1:], torch.ones(1)])))
print("yours:         ", variance_at_both_ends(previous_products))
print("right:          t = 0: 0.000000, t = 999:", f"{betas[-1]:.4f}")

# %% [markdown]
# ## Summary
#
# | idea | in one sentence | you wrote |
# |:---|:---|:---|
# | posterior | where was x one step ago, given where it began? | `posterior_mean_variance` |
# | DDPM | guess x_0, draw from the posterior, repeat | `p_sample`, `p_sample_loop` |
# | DDIM | use the noise that was found instead of fresh noise; skip levels | `ddim_timesteps`, `ddim_step` |
# | guidance | exaggerate what the class changes | `drop_labels`, `guided_noise` |
# | measure | two clouds of features, as Gaussians; always with N and floor | `frechet_distance` |
# | memory | nearest training images tell copies from samples | |
# | known parts | correct the guess, not the network | |
#
# ### Questions that come up
#
# - **Why not clamp $\hat x_0$ in my loop?** You may; many do, and with few steps it helps (`clip_x0=True`). Clamping a
#   guess is harmless. Feeding it back as the next state is not.
# - **Is noise at the last step a mistake?** Yes: it is never removed. With this schedule its standard deviation is 0.01, hard
#   to see; with others it is grain on every image.
# - **Is a smaller Fréchet distance always better?** Only with the same features, N and real images. A difference that is
#   smaller than between two seeds means nothing.
# - **Guidance above 1 made the distance *better*. Why?** A distance to *labelled* digits profits when samples show what
#   was asked; variety is lost only later.
# - **Text instead of a class?** The vector comes from a text encoder, and the rest stays. Chapter 9.
#
# ### Further reading
#
# - Song, Meng and Ermon, *Denoising diffusion implicit models*, ICLR 2021.
# - Ho and Salimans, *Classifier-free diffusion guidance*, 2022.
# - Wang, Yu and Zhang, *Zero-shot image restoration using denoising diffusion null-space model*, ICLR 2023.
