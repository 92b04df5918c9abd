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
# # 2 · Denoising: from a spoilt picture back to a clean one
#
# | You will be able to | Time | Device | Difficulty |
# |:---|:---|:---|:---|
# | train networks that remove noise and fill gaps, measure them in decibels, say at which noise they fail and why iterating them makes no digits, and read in a denoiser where the data lie | 60 minutes | any laptop; no GPU, no network | 2 of 5 |
#
# *Predict* means: write your guess down, then run the cell. *Exercise* means: write a few lines, then run the check.

# %% tags=["nbval-ignore-output"]
import torch
import torch.nn.functional as F

from course_utils import autoencoders, denoising, plots, runtime, widgets
from course_utils.data import batches, load
from course_utils.exercises import check, mine_or_reference
from course_utils.metrics import feature_gaussian, frechet_distance
from course_utils.training import in_batches, load_card, load_checkpoint, seeded, train

profile = runtime.profile()
generator = torch.Generator().manual_seed(0)
print(f"{profile}. Live training in this chapter takes about 40 s on two CPU cores.")

# %% [markdown]
# ## 1. The question
#
# Chapter 1 ended in a tangle: decode a random code, and what comes out is no digit. Perhaps a network could be taught to
# *tidy up*. Take a clean digit, spoil it with noise, and ask the network for the clean one back. Whoever can do that
# must know what digits look like. And if it can tidy up a little, can it tidy up again and again, until noise has become
# a digit?
#
# ## 2. Noise
#
# Gaussian noise adds a random number to each pixel, drawn with standard deviation $\sigma$ (in grey values: 1 is the
# whole way from paper to ink). Pixels that leave $[0, 1]$ are **clamped** to the nearer end:
#
# $$ \tilde x = \mathrm{clamp}(x + \sigma\,\varepsilon,\ 0,\ 1), \qquad \varepsilon \sim \mathcal N(0, 1) \text{ for each pixel} $$
#
# **Exercise 1.** The noise $\varepsilon$ is handed to you. Nothing is drawn here, so that a result can be repeated.

# %% nbgrader={"grade": false, "grade_id": "add_noise", "locked": false, "solution": true, "schema_version": 3}
def add_noise(x, sigma, noise):
    """x + sigma noise, clamped to [0, 1]. x, noise (B,C,H,W); sigma a float. Returns like x."""
    ### BEGIN SOLUTION
    return (x + sigma * noise).clamp(0, 1)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "add_noise-check", "locked": true, "points": 4, "solution": false, "schema_version": 3}
check("denoising.add_noise", add_noise)

# %% [markdown]
# > **Predict.** Up to which $\sigma$ can you still read the digits? And what becomes of the paper between the strokes,
# > whose grey value is 0: does it stay 0 *on average*?

# %%
my_noise = mine_or_reference("denoising.add_noise", add_noise)
train_set = load("mnist", "train", value_range=(0, 1), size=32)
test_set = load("mnist", "test", value_range=(0, 1), size=32)
ten_digits = test_set.balanced(1).images
levels = (0.1, 0.2, 0.4, 0.8, 1.6)
noise = torch.randn(ten_digits.shape, generator=torch.Generator().manual_seed(1))
rows = {"clean": ten_digits} | {f"σ = {s}": my_noise(ten_digits, s, noise) for s in levels}
plots.image_rows(
    rows, (0, 1), height=0.7,
    alt="Ten digits under growing noise; at a standard deviation of 1.6 they can no longer be read.",
    caption="The same noise, stronger from row to row. You read through more of it than you would "
    "expect: you know what digits look like.",
)

# %%
paper = torch.zeros(1, 1, 400, 400)
static = torch.randn(paper.shape, generator=torch.Generator().manual_seed(2))
for sigma in (0.1, 0.2, 0.4):
    mean = my_noise(paper, sigma, static).mean()
    print(f"σ = {sigma}: clamped paper has a mean of {mean:.3f};  σ / √(2π) = {sigma / 2.5066:.3f}")

# %% [markdown]
# Clamping cuts off the negative half, so what is left has a mean above 0. Clamped noise is no longer Gaussian. For
# pictures that does no harm; remember it for section 7, where Gaussian noise is needed.

# %% [markdown]
# ## 3. How good is a restoration? Decibels
#
# The usual measure is the **peak signal-to-noise ratio**. With $R$ the distance from black to white (`data_range`):
#
# $$ \mathrm{PSNR} = 10 \log_{10} \frac{R^2}{\mathrm{MSE}} \ \text{dB} $$
#
# 10 dB more means a tenth of the squared error.
#
# **Exercise 2.** One number for each image of a batch. Where two images are equal it is infinite, and may be: nothing
# has to be added to prevent that.

# %% nbgrader={"grade": false, "grade_id": "psnr", "locked": false, "solution": true, "schema_version": 3}
def psnr(x_hat, x, data_range):
    """Peak signal-to-noise ratio of each image, dB. x_hat, x (B,C,H,W). Returns (B,)."""
    ### BEGIN SOLUTION
    mse = ((x_hat - x) ** 2).flatten(1).mean(dim=1)
    return 10 * torch.log10(data_range**2 / mse)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "psnr-check", "locked": true, "points": 4, "solution": false, "schema_version": 3}
check("denoising.psnr", psnr)

# %% [markdown]
# Now see two denoisers at work. Both are the autoencoder of chapter 1, with 32 numbers in its code; they differ in the
# noise of their training. One has seen $\sigma = 0.2$ and nothing else, the other one every $\sigma$ from 0 to 1.
#
# > **Predict.** Move $\sigma$ to 0: no noise at all. Will the "denoised" picture be as good as the one that went in? And
# > at 0.8, what will the specialist for 0.2 make of it?

# %%
my_psnr = mine_or_reference("denoising.psnr", psnr)
denoisers = {name: load_checkpoint(f"denoising/conv-{name}") for name in ("0.2", "any")}
sigmas = [round(0.1 * k, 1) for k in range(11)]
six = test_set.images[:6]
noise = torch.randn(six.shape, generator=torch.Generator().manual_seed(3))
noisy = torch.stack([my_noise(six, s, noise) for s in sigmas])
restored = {name: in_batches(network, noisy.flatten(0, 1)).view_as(noisy)
            for name, network in denoisers.items()}


def decibels(x_hat):
    return my_psnr(x_hat, six, 1.0).mean().item()


def sentence(before, after, sigma):
    if sigma == 0:
        return f"No noise: the clean picture goes in, {decibels(after):.1f} dB come out."
    gain = decibels(after) - decibels(before)
    verdict = f"gains {gain:.1f} dB" if gain > 0 else f"LOSES {-gain:.1f} dB"
    return (f"σ = {sigma}: {decibels(before):.1f} dB go in, {decibels(after):.1f} dB come out; "
            f"the denoiser {verdict}.")


# %%
frames = [[plots.tile([six, x, y, (y - six).abs()], (0, 1)) for x, y in zip(noisy, outputs)]
          for outputs in restored.values()]
captions = [[sentence(*item) for item in zip(noisy, outputs, sigmas)]
            for outputs in restored.values()]
widgets.FrameScrubber(
    frames, sigmas, captions, title="Two denoisers", label="noise σ", index=2,
    choices={"trained on": ["σ = 0.2 only", "every σ from 0 to 1"]},
    row_labels=("clean", "noisy", "denoised", "difference"),
)

# %% [markdown]
# Near its own level the specialist wins. Below it, it does harm: 32 numbers cannot hold every detail of the picture, and
# at small noise the picture that goes in is better than what comes out. Above it, it takes noise for strokes. The
# generalist gives away a decibel or so at each level and fails at none.

# %% [markdown]
# ## 4. Train one
#
# The network sees the noisy image; the target is the clean one. That is the whole trick: the noise is drawn anew for
# every batch, so the only way to get better is to learn what is left when noise is taken away.
#
# **Exercise 3.** One update. Return the loss before it, a float. You may call your `add_noise`, once it passes.

# %% nbgrader={"grade": false, "grade_id": "denoise_step", "locked": false, "solution": true, "schema_version": 3}
def denoise_step(model, x_clean, sigma, noise, optimizer):
    """One update: the model sees x_clean with noise, the MSE is to x_clean. Returns it: a float."""
    ### BEGIN SOLUTION
    x_noisy = (x_clean + sigma * noise).clamp(0, 1)
    loss = F.mse_loss(model(x_noisy), x_clean)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "denoise_step-check", "locked": true, "points": 6, "solution": false, "schema_version": 3}
check("denoising.denoise_step", denoise_step)

# %% [markdown]
# > **Predict.** The input of this training has a mean squared error of about 0.02. After how many updates will the
# > network's output be better than its input?

# %% tags=["nbval-ignore-output"]
my_step = mine_or_reference("denoising.denoise_step", denoise_step)
steps = profile.pick(ci=15, cpu=400, gpu=4000)
images = train_set.images.to(profile.device)
with seeded(0):
    model = autoencoders.he_init(autoencoders.ConvAE(32)).to(profile.device)
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)


def update(x):
    noise = torch.randn(x.shape, generator=generator).to(x.device)
    return my_step(model, x, 0.2, noise, optimizer)


records = train(update, batches(images, 128, generator=generator), steps)
for _ in plots.watch(records, steps, label="your denoiser, σ = 0.2", ylabel="MSE"):
    pass

# %% [markdown]
# The second classic needs no convolutions: 784 pixels → 400 hidden units → 784 pixels, here with $\sigma = 0.5$.

# %% tags=["nbval-ignore-output"]
small_images = load("mnist", "train").images.to(profile.device)
with seeded(0):
    dense = denoising.DenseDenoiser(hidden=400).to(profile.device)
dense_optimizer = torch.optim.Adam(dense.parameters(), lr=1e-3)


def dense_update(x):
    noise = torch.randn(x.shape, generator=generator).to(x.device)
    return my_step(dense, x, 0.5, noise, dense_optimizer)


records = train(dense_update, batches(small_images, 128, generator=generator), 2 * steps)
for _ in plots.watch(records, 2 * steps, label="a dense denoiser, σ = 0.5", ylabel="MSE"):
    pass

# %% tags=["nbval-ignore-output"]
dense_test = load("mnist", "test").images
rows = {}
for name, network, x, sigma in (
    ("convolutions, σ = 0.2", model, test_set.images, 0.2),
    ("dense, σ = 0.5", dense, dense_test, 0.5),
):
    x_noisy = my_noise(x, sigma, torch.randn(x.shape, generator=generator))
    after = in_batches(network.cpu().eval(), x_noisy)
    rows[name] = [f"{my_psnr(y, x, 1.0).mean():.1f} dB" for y in (x_noisy, after)]
plots.table(
    ("your networks, on all test images", "noisy", "denoised"), rows,
    caption=f"After {steps} and {2 * steps} updates; the released ones have had more, and reach "
    + " and ".join(f"{load_card(f'denoising/{name}').quality['test_psnr']:.1f} dB"
                   for name in ("conv-0.2", "dense-0.5")) + ".",
)

# %% [markdown]
# ## 5. One level, and no other
#
# Five networks, equal but for the $\sigma$ of their training (0 is chapter 1's plain autoencoder), and the generalist:
# each was tested at five levels.
#
# > **Predict.** In each column of the table, which row wins? How much worse is the generalist than the specialist?

# %%
card, any_card = load_card("denoising/conv-0.2"), load_card("denoising/conv-any")
table = card.quality["psnr_by_train_and_test_sigma"] | {
    "0 to 1": any_card.quality["psnr_by_test_sigma"]
}
tested = list(card.quality["noisy_psnr_by_test_sigma"])
best = {(max(range(len(table)), key=lambda row: list(table.values())[row][sigma]), column)
        for column, sigma in enumerate(tested)}
plots.table(
    ("trained at σ", *(f"tested at {sigma}" for sigma in tested)),
    {sigma: [f"{row[level]:.1f}" for level in tested] for sigma, row in table.items()}
    | {"(nothing done)": [f"{value:.1f}" for value in card.quality["noisy_psnr_by_test_sigma"].values()]},
    caption=f"Mean PSNR in dB on the 10,000 test images, the best network of each column in bold. "
    f"Each was trained for {card.steps:,} updates of {card.batch_size} images.",
    bold=best,
)

# %% [markdown]
# Read the table by columns: the winner is the network that was trained at that level, or close to it. Read it by rows:
# above its own level a specialist falls fast, below it hardly gains; the one trained at 0.8 returns 19.4 dB however clean
# its input is. And in the last row: for little noise, doing nothing beats them all.
#
# Two lessons stay with us. A denoiser has to fit the noise level. And one network *can* serve all levels, at a small
# price, if it has seen them all. Chapter 7 comes back to both.

# %% [markdown]
# ## 6. Other damage: filling gaps
#
# Nothing in the recipe asks for noise. Cover a square of 12 × 12 pixels, and ask for the whole digit: now the network
# does **inpainting**.
#
# > **Predict.** Where the square hides a decisive stroke, several digits fit what is left. What will the network draw:
# > one of them, another one each time, or something else?

# %%
inpainter = load_checkpoint("denoising/squares")
some = test_set.images[20:30]
corners = torch.randint(4, 17, (10, 2), generator=torch.Generator().manual_seed(5))
covered = denoising.cover_squares(some, corners, side=12)
with torch.no_grad():
    filled = inpainter(covered)
inpainting = load_card("denoising/squares").quality
plots.image_rows(
    {"whole": some, "covered": covered, "filled": filled}, (0, 1),
    alt="Ten digits, the same with a black square over a part, and the network's completions.",
    caption=f"On all test images: covered {inpainting['corrupted_test_psnr']:.1f} dB, filled "
    f"{inpainting['test_psnr']:.1f} dB. Where it cannot know, it draws grey.",
)

# %% [markdown]
# It draws the *average* of what could be there. The squared error asks for it: of all single answers, the mean of the
# plausible clean images has the smallest expected squared error,
#
# $$ \arg\min_{f} \ \mathbb E\,\lVert f(\tilde x) - x \rVert^2 = \mathbb E[x \mid \tilde x]. $$
#
# One image that fits would be sharper, and wrong more often. Keep this formula in mind; it explains what comes now.

# %% [markdown]
# ## 7. Again and again: from pure noise to a digit?
#
# **Exercise 4.** Apply a denoiser to its own output, $n$ times, and keep all states, the start included. Nobody trains
# here, so the result should not keep what gradients would need.

# %% nbgrader={"grade": false, "grade_id": "iterate_denoiser", "locked": false, "solution": true, "schema_version": 3}
def iterate_denoiser(model, x, n):
    """x, model(x), model(model(x)), ...: n applications. x (B,C,H,W). Returns (n+1,B,C,H,W)."""
    ### BEGIN SOLUTION
    states = [x]
    with torch.no_grad():
        for _ in range(n):
            states.append(model(states[-1]))
    return torch.stack(states)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "iterate_denoiser-check", "locked": true, "points": 4, "solution": false, "schema_version": 3}
check("denoising.iterate_denoiser", iterate_denoiser)

# %% [markdown]
# We start from pure noise and judge the results by a number: the **Fréchet distance**. A small classifier, trained on
# MNIST, turns each image into 128 features. We compare mean and covariance of the features of our images with those of
# real digits; 0 would be a perfect match. Two sets of *real* digits do not reach 0 either, so that floor is printed
# beside it. Chapter 8 looks into the formula.
#
# > **Predict.** After 1 step? After 5? After 10? Will different noise lead to different digits?

# %%
my_iterate = mine_or_reference("denoising.iterate_denoiser", iterate_denoiser)
features = load_checkpoint("classifier/mnist").features
count, depth = 1000, 10
real = load("mnist", "test").images[::10]
starts = torch.randn(count, 1, 32, 32, generator=torch.Generator().manual_seed(6))
starts = my_noise(torch.zeros(count, 1, 32, 32), 1.0, starts)
iterated = {
    "σ = 0.2 only, convolutions": my_iterate(denoisers["0.2"], starts, depth)[..., 2:30, 2:30],
    "every σ, convolutions": my_iterate(denoisers["any"], starts, depth)[..., 2:30, 2:30],
    "σ = 0.5 only, dense": my_iterate(load_checkpoint("denoising/dense-0.5"), starts[..., 2:30, 2:30], depth),
}
stops = (0, 1, 2, 3, 4, 5, 10)
goal = feature_gaussian(features, real)
floor = frechet_distance(*feature_gaussian(features, load("mnist", "train").images[:count]), *goal)
distances = {name: [frechet_distance(*feature_gaussian(features, states[n]), *goal) for n in stops]
             for name, states in iterated.items()}

# %%
frames = [[plots.tile([states[n, :8], states[n, 8:16]], (0, 1)) for n in stops]
          for states in iterated.values()]
captions = [[f"Applied {n} times: Fréchet distance to {count:,} real digits {far:.0f}; "
             f"{count:,} other real digits have {floor:.0f}."
             for n, far in zip(stops, far_after)] for far_after in distances.values()]
widgets.FrameScrubber(
    frames, stops, captions, title="A denoiser on its own output", label="times applied", index=1,
    choices={"denoiser": list(iterated)},
)

# %%
def spread(x):
    """Mean squared distance of images (B, ...) from their own mean: how different they are."""
    return (x - x.mean(dim=0)).square().flatten(1).sum(dim=1).mean().item()


rows = {name: [*(f"{far[stops.index(n)]:.0f}" for n in (1, 5, 10)),
               f"{100 * spread(states[10]) / spread(real):.0f}%"]
        for name, states in iterated.items() for far in [distances[name]]}
plots.table(
    ("started from pure noise", "1 step", "5 steps", "10 steps", "variety after 10"),
    rows | {"real digits": ["", f"floor {floor:.0f}", "", "100%"]},
    caption=f"Fréchet distance on the classifier's 128 features, N = {count:,}. Variety: mean "
    "squared distance of the images from their mean, compared with that of real digits.",
)

# %% [markdown]
# No digits. The first step answers "which clean image is behind this noise?" with the average of all that could be: a
# faint tangle. From then on the input is no noisy digit any more, and for what it is these networks were never trained.
# The convolutional ones let most images fade and harden a few into strokes, the dense one flips between blank and grey.
# Two things are missing, and the next section shows both on an example that fits on a page: the network has to know *how
# much* noise is left, and after each step its input has to *look* like that much noise.

# %% [markdown]
# ## 8. What a denoiser knows
#
# Points in a plane instead of images: the data form five clusters on an arc. Noise of standard deviation $\sigma$, not
# clamped, blurs their density $p$ to $p_\sigma$. Of this example we know $p_\sigma$ exactly, and so its **score**
# $\nabla \log p_\sigma$, the direction in which the density grows fastest, and also the best possible denoiser
# $\mathbb E[x \mid \tilde x]$. They are two views of one thing. From
#
# $$ p_\sigma(\tilde x) = \int p(x)\, \mathcal N(\tilde x;\, x, \sigma^2 I)\, dx
#    \quad\text{follows, differentiating under the integral,}\quad
#    \nabla p_\sigma(\tilde x) = \int \frac{x - \tilde x}{\sigma^2}\, p(x)\, \mathcal N(\tilde x;\, x, \sigma^2 I)\, dx , $$
#
# and divided by $p_\sigma(\tilde x)$ this is **Tweedie's formula**:
#
# $$ \mathbb E[x \mid \tilde x] = \tilde x + \sigma^2\, \nabla \log p_\sigma(\tilde x). $$
#
# **Exercise 5.** Solve it for the score.

# %% nbgrader={"grade": false, "grade_id": "score_from_denoiser", "locked": false, "solution": true, "schema_version": 3}
def score_from_denoiser(denoised, noisy, sigma):
    """The gradient of log p_sigma at noisy. denoised, noisy (B,D); sigma > 0. Returns like noisy."""
    ### BEGIN SOLUTION
    return (denoised - noisy) / sigma**2
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "score_from_denoiser-check", "locked": true, "points": 4, "solution": false, "schema_version": 3}
check("denoising.score_from_denoiser", score_from_denoiser)

# %% [markdown]
# First the exact denoiser: does your formula give the gradient of the exact log density?

# %%
my_score = mine_or_reference("denoising.score_from_denoiser", score_from_denoiser)
angles = torch.linspace(0.1, torch.pi - 0.1, 5, dtype=torch.float64)
arc = torch.stack([1.6 * angles.cos(), 1.9 * angles.sin() - 1.0], dim=1)
toy = denoising.GaussianMixture(arc, std=0.15)
points = torch.randn(500, 2, generator=torch.Generator().manual_seed(7), dtype=torch.float64)
points.requires_grad_(True)
for sigma in (0.1, 0.5, 1.0):
    (exact,) = torch.autograd.grad(toy.log_density(points, sigma).sum(), points)
    yours = my_score(toy.denoise(points, sigma), points, sigma)
    print(f"σ = {sigma}: largest difference {(yours - exact).abs().max() / exact.abs().max():.0e}"
          " of the largest score")

# %% [markdown]
# Equal to the last digit. Now networks that have never seen a density, only noisy points and the clean points behind
# them: one small network for each of eight levels, trained here and now.

# %% tags=["nbval-ignore-output"]
toy_levels = (0.1, 0.15, 0.2, 0.3, 0.45, 0.7, 1.0, 1.5)
toy_steps = profile.pick(ci=60, cpu=1500, gpu=3000)


def toy_batch(size):
    chosen = torch.randint(0, 5, (size,), generator=generator)
    return toy.sample(torch.randn(size, 2, generator=generator).double(), chosen).float()


def fit_toy(sigma):
    with seeded(0):
        network = denoising.PointDenoiser()
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-2)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=toy_steps)
    for _ in range(toy_steps):
        x = toy_batch(256)
        noisy = x + sigma * torch.randn(x.shape, generator=generator)
        denoising.restoration_step(network, noisy, x, optimizer)
        schedule.step()
    return network


learned = {sigma: fit_toy(sigma) for sigma in toy_levels}

# %% [markdown]
# Each arrow below is $\sigma^2$ times the score: by Tweedie's formula, the way from a noisy point to its denoised one.
#
# > **Predict.** Where do the arrows of a small $\sigma$ point between two clusters? Where those of a large one? And in
# > which places will the learned arrows be wrong?

# %% tags=["nbval-ignore-output"]
side = torch.linspace(-2.5, 2.5, 11)
places = torch.cartesian_prod(side, side)
dots, exact, guessed, captions = [], [], [], []
for sigma in toy_levels:
    start = toy_batch(400)
    start = start + sigma * torch.randn(start.shape, generator=generator)
    way = toy.denoise(start.double(), sigma) - start
    with torch.no_grad():
        missed = learned[sigma](start) - start - way
        guessed.append(learned[sigma](places) - places)
    exact.append(toy.denoise(places.double(), sigma) - places)
    dots.append(start)
    share = (missed.square().sum() / way.square().sum()).sqrt()
    captions.append(f"σ = {sigma}: where noisy data lie, the learned arrows miss the exact ones by "
                    f"{100 * share:.0f}% of their length.")

# %% tags=["nbval-ignore-output"]
widgets.ArrowField(
    torch.stack(dots), places, {"exact": torch.stack(exact), "learned": torch.stack(guessed)},
    toy_levels, captions, title="Where a denoiser points: σ² times the score", label="noise σ",
    extent=(-3.0, 3.0, -3.0, 3.0), index=4,
)

# %% [markdown]
# At a small $\sigma$ each place knows only its nearest cluster; at a large one all arrows point to the middle, the average
# of everything. Where no noisy data lie, the network has guessed: there its arrows go astray.
#
# ### The walk that works
#
# Apply the one-level denoiser again and again, as in section 7, and compare it with a walk that pays attention to the
# level: **denoise with the network for this level, put back the noise of the next lower level, and go on**.

# %% tags=["nbval-ignore-output"]
def walk_down(x, levels):
    """Denoise, put back the noise of the next lower level, go on. x (B, 2) is pure noise."""
    for sigma, lower in zip(levels, (*levels[1:], 0.0)):
        with torch.no_grad():
            x = learned[sigma](x) + lower * torch.randn(x.shape, generator=generator)
    return x


pure = 1.5 * torch.randn(1000, 2, generator=generator)
ends = {
    "again, σ = 1.5": my_iterate(learned[1.5], pure, 20)[-1],
    "again, σ = 0.45": my_iterate(learned[0.45], pure, 20)[-1],
    "down the levels": walk_down(pure, toy_levels[::-1]),
    "data": toy_batch(1000),
}

# %% tags=["nbval-ignore-output"]
fig, axes = plots.figure(
    9, 2.6, columns=4, sharex=True, sharey=True,
    alt="Four panels: one single point, five single points, five clusters on an arc, and the data.",
    caption="Where 1,000 starts from pure noise end up. One denoiser alone draws them together "
    "into single points; the walk down the levels finds all five clusters, and their width.",
)
for ax, (name, x) in zip(axes[0], ends.items()):
    ax.plot(*x.T, ".", markersize=2, color=plots.DATA if name == "data" else plots.MODEL)
    ax.set(title=name, xlabel="x", xlim=(-3, 3), ylim=(-3, 3))
axes[0, 0].set(ylabel="y")
fig

# %% tags=["nbval-ignore-output"]
def clusters(x):
    """Share of the points near a cluster, clusters that get 5% or more, width within a cluster."""
    distance, nearest = torch.cdist(x.double(), arc).min(dim=1)
    near = distance < 3 * toy.std
    hits = nearest[near].bincount(minlength=5) / len(x)
    width = (distance[near].square().mean() / 2).sqrt().nan_to_num()
    return [f"{100 * hits.sum():.0f}%", f"{(hits > 0.05).sum()} of 5", f"{width:.2f}"]


plots.table(
    ("from pure noise", "near a cluster", "clusters reached", "width of a cluster"),
    {name: clusters(x) for name, x in ends.items()},
    caption="The same networks. What differs is the walk.",
)

# %% [markdown]
# That is the plan of chapters 6 to 8, in two dimensions: destroy in many known steps, learn one denoiser for all of them,
# walk back. Before that, chapters 3 to 5 try two other ways to generate, which need one step only.

# %% [markdown]
# ## 9. Find the bug
#
# This evaluation comes from a slide. It reports 30 dB and more, for *any* network.
#
# > **Predict.** Read it before you run the next cell. What happens to a difference of -3, and to the square of 20?

# %%
def psnr_from_a_slide(x_hat, x):
    """Average PSNR of a batch in dB, on the usual scale of 0 to 255."""
    a = (x_hat * 255).to(torch.uint8)
    b = (x * 255).to(torch.uint8)
    mse = ((a - b) ** 2).float().mean()
    return (10 * torch.log10(255**2 / mse)).item()


candidates = {
    "the clean image, a little darker": six * 0.9,
    "the noisy image, σ = 0.4": noisy[4],
    "its negative": 1 - six,
    "random pixels": torch.rand(six.shape, generator=torch.Generator().manual_seed(8)),
}
for name, x_hat in candidates.items():
    print(f"{name:34s} slide {psnr_from_a_slide(x_hat, six):5.1f} dB, "
          f"yours {my_psnr(x_hat, six, 1.0).mean():5.1f} dB")

# %% [markdown]
# Repair it here (no points, but you will meet it again wherever images are bytes):

# %% nbgrader={"grade": false, "grade_id": "psnr_of_bytes", "locked": false, "solution": true, "schema_version": 3}
def psnr_of_bytes(x_hat, x):
    """Average PSNR of a batch in dB, on the usual scale of 0 to 255."""
    ### BEGIN SOLUTION
    a = (x_hat * 255).round().clamp(0, 255)
    b = (x * 255).round().clamp(0, 255)
    mse = ((a - b) ** 2).flatten(1).mean(dim=1)
    return (10 * torch.log10(255**2 / mse)).mean().item()
    ### END SOLUTION


# %%
def try_on(function):
    """On the negatives of six digits, which should be as bad as can be: about 0 dB."""
    try:
        return f"{function(1 - six, six):.1f} dB"
    except Exception as error:
        return type(error).__name__


print("from the slide:", try_on(psnr_from_a_slide))
print("yours:         ", try_on(psnr_of_bytes))
print("right:         ", f"{my_psnr(1 - six, six, 1.0).mean():.1f} dB")

# %% [markdown]
# <details><summary>The diagnosis</summary>
#
# Bytes count modulo 256. A difference of -3 becomes 253, and the square of 20 becomes 400 - 256 = 144. No squared error
# can exceed 255, so no PSNR can fall below 24 dB, and for anything that looks random it is about 27. Convert to floats *before* you
# subtract. Two smaller mistakes: `to(torch.uint8)` cuts decimals off instead of rounding, and the PSNR of the mean error is
# not the mean of the PSNRs: a single bad image hides all good ones.
# </details>

# %% [markdown]
# ## Summary
#
# | idea | in one sentence | you wrote |
# |:---|:---|:---|
# | corruption | spoil clean images yourself, and you have endless training pairs | `add_noise` |
# | measure | PSNR: ten times the logarithm of a squared error | `psnr` |
# | training | noisy in, clean as the target | `denoise_step` |
# | level | a denoiser fits the noise of its training and fails at others | |
# | average | squared error makes it draw the mean of all that could be | |
# | iteration | on its own output a denoiser makes no digits | `iterate_denoiser` |
# | score | denoised minus noisy, over σ²: where the data lie | `score_from_denoiser` |
#
# ### Questions that come up
#
# - **Is a denoiser a generative model?** Not by itself, as section 7 shows. With one for every level and the right walk it
#   is: that is what diffusion models are.
# - **Does Tweedie's formula hold for my image denoiser?** Its noise was clamped, so only roughly. Diffusion models do not
#   clamp, for this reason among others.
# - **Why not train on σ = 0 as well?** You may: the generalist does. For a network with a bottleneck it only means that it
#   gets to practise what chapter 1 did.
# - **Does more dB mean that it looks better?** Often, not always. The mean of all plausible images has the best PSNR there
#   is, and it is blurred.
#
# ### Further reading
#
# - Vincent, Larochelle, Bengio and Manzagol, *Extracting and composing robust features with denoising autoencoders*,
#   ICML 2008.
# - Vincent, *A connection between score matching and denoising autoencoders*, Neural Computation 2011.
# - Alain and Bengio, *What regularized auto-encoders learn from the data-generating distribution*, JMLR 2014.
