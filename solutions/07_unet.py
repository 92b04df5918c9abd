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
# # 7 · U-Net: one network for every level of noise
#
# | You will be able to | Time | Device | Difficulty |
# |:---|:---|:---|:---|
# | build a U-Net that is told the noise level, from its four parts; train it to guess noise; say what each part is worth, with a number | 75 minutes | any laptop; no GPU, no network | 4 of 5 |
#
# *Predict* means: write your guess down, then run the cell. *Exercise* means: write a few lines, then run the check.

# %% tags=["nbval-ignore-output"]
import copy
import math

import torch
import torch.nn.functional as F
from torch import nn

from course_utils import plots, runtime, widgets
from course_utils.data import batches, load, to_uint8
from course_utils.diffusion import forward, schedules
from course_utils.exercises import check, mine_or_reference
from course_utils.training import TrainStep, load_card, load_checkpoint, seeded

profile = runtime.profile()
print(f"{profile}. About two minutes on 2 CPU cores, most of it your own training.")

# %% [markdown]
# ## 1. The question
#
# Chapter 6 takes an image $x_0$ to any noise level $t$, and back again *if the noise is known*. In practice nobody knows
# it. So let a network guess it: noisy image in, noise out. What must such a network be able to do?
#
# - Its answer is as large as its input: one number for each pixel.
# - It has to see *details*: noise is independent from pixel to pixel.
# - It has to see the *whole*: at high levels, only the overall shape tells a stroke from noise.
# - It has to work at a thousand levels. Chapter 2's denoisers, each for one level, failed at all others.
#
# > **Predict.** A thousand networks would do. Why would one be better, apart from the size?
#
# This is what it will see, from the linear schedule of chapter 6:

# %%
abar = schedules.alphas_cumprod(schedules.linear_beta_schedule(1000, 1e-4, 0.02))
test_set = load("mnist", "test", value_range=(-1, 1), size=32)
ten = test_set.balanced(1).images
noise = torch.randn(ten.shape, generator=torch.Generator().manual_seed(0))
levels = (20, 100, 250, 500, 900)
noisy = {t: forward.q_sample(ten, torch.full((10,), t), abar, noise) for t in levels}
plots.image_rows(
    {f"t = {t}": x_t.clamp(-1, 1) for t, x_t in noisy.items()}, (-1, 1), height=0.7,
    alt="Ten digits at five noise levels, from almost clean to pure noise.",
    caption="What the network will see. Neighbouring levels look alike: what is learned at one "
    "helps at the next.",
)

# %% [markdown]
# ## 2. Telling the level
#
# The network will be told $t$. As what? A bare number between 0 and 999 is a poor input: a linear layer can only scale it.
# The usual answer turns $t$ into many waves, some fast and some slow, like the digits of a clock: the second hand tells
# neighbours apart, the hour hand tells the time of the day. With $d$ = `dim` numbers,
#
# $$ f_i = \text{max\_period}^{-i/(d/2)}, \quad i = 0, \dots, d/2 - 1, \qquad
# e(t) = \big(\sin t f_0, \dots, \sin t f_{d/2-1},\; \cos t f_0, \dots, \cos t f_{d/2-1}\big) $$
#
# First all sines, then all cosines; $t$ goes in as the whole number it is.
#
# **Exercise 1.** The embedding, in float32. `max_period` is an argument; transformers and diffusion models take 10,000.

# %% nbgrader={"grade": false, "grade_id": "timestep_embedding", "locked": false, "solution": true, "schema_version": 3}
def timestep_embedding(t, dim, max_period):
    """Waves that tell levels apart. t (B,) int64; dim even. Returns (B, dim) float32: sines, then cosines."""
    ### BEGIN SOLUTION
    frequencies = max_period ** (-torch.arange(dim // 2, dtype=torch.float64) / (dim // 2))
    angles = t.double()[:, None] * frequencies.to(t.device)
    return torch.cat([angles.sin(), angles.cos()], dim=1).float()
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "timestep_embedding-check", "locked": true, "points": 3, "solution": false, "schema_version": 3}
check("unet.timestep_embedding", timestep_embedding)

# %% [markdown]
# > **Predict.** Drag $t$. The curve is the similarity (scalar product, divided by its largest value) of $e(t)$ to the
# > embeddings of all other levels. How wide is its peak?

# %%
my_embedding = mine_or_reference("unet.timestep_embedding", timestep_embedding)
emb = my_embedding(torch.arange(1000), 128, 10_000)
stops = [0, 1, 5, 10, 50, 100, 200, 350, 500, 650, 800, 999]
grey = to_uint8(emb[::8], (-1, 1)).T.numpy()
heat = [grey[..., None].repeat(3, axis=2) for _ in stops]
for picture, t in zip(heat, stops):
    picture[:, t // 8] = (213, 94, 0)
similarity = emb[stops] @ emb.T / 64

# %%
widgets.CurveScrubber(
    range(0, 1000, 2), {"similarity to e(t)": similarity[:, ::2].numpy()}, stops,
    [f"t = {t}: {(row > 0.7).sum()} of 1,000 levels are more similar than 0.7."
     for t, row in zip(stops, similarity)],
    title="The embedding of time", label="t", xlabel="other level", ylabel="similarity",
    images=heat, index=8,
)

# %% [markdown]
# Left: all embeddings, from $t = 0$ to 999, with 64 sines in the upper half, fast ones first, and 64 cosines below; the
# marked column is yours. The peak is narrow, with a broad foot: the network can tell $t$ from $t + 1$ *and* sees that
# 500 is closer to 600 than to 900.
#
# Some code feeds $t/T$, "to normalise". What does that do?

# %%
def distance(scale, a, b):
    ea, eb = my_embedding(torch.tensor([a, b]) * scale, 128, 10_000)
    return f"{(ea - eb).norm():.4f}"


pairs = ((0, 1), (100, 110), (100, 900))
plots.table(
    ("distance of embeddings", *(f"t = {a} and {b}" for a, b in pairs)),
    {
        "t as it is": [distance(1, *pair) for pair in pairs],
        "t / 1000": [distance(1 / 1000, *pair) for pair in pairs],
    },
    caption="Divided by T, all levels lie close together: the fastest wave does not even make "
    "a fifth of a turn.",
)

# %% [markdown]
# ## 3. The block
#
# A U-Net is a stack of **residual blocks**: $x + f(x, e)$. What is added starts small, so a deep stack begins as
# something close to the identity, and learning goes on from there. The level enters each of them:
#
# 1. $h = \text{Conv}_{3\times3}(\text{SiLU}(\text{GroupNorm}(x)))$, from `in_channels` to `out_channels`
# 2. scale and shift $= \text{Linear}(\text{SiLU}(\text{temb}))$, from `time_dim` to `2 * out_channels`; the first half is
#    the scale, the second the shift
# 3. $h = \text{GroupNorm}(h) \cdot (1 + \text{scale}) + \text{shift}$, one scale and one shift for each channel
# 4. $h = \text{Conv}_{3\times3}(\text{SiLU}(h))$
# 5. the result is $h$ plus $x$; where the channels differ, $x$ passes through a $1 \times 1$ convolution first
#
# GroupNorm has 8 groups. It is used instead of BatchNorm because the images of a batch lie at different noise levels: they
# should not be normalised together. All layers have biases.
#
# **Exercise 2.** The block, as a module.

# %% nbgrader={"grade": false, "grade_id": "ResidualBlock", "locked": false, "solution": true, "schema_version": 3}
class ResidualBlock(nn.Module):
    """x + f(x, temb). x (B,in_channels,H,W), temb (B,time_dim). Returns (B,out_channels,H,W)."""

    def __init__(self, in_channels, out_channels, time_dim):
        super().__init__()
        ### BEGIN SOLUTION
        self.norm1 = nn.GroupNorm(8, in_channels)
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, padding=1)
        self.time = nn.Linear(time_dim, 2 * out_channels)
        self.norm2 = nn.GroupNorm(8, out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1)
        same = in_channels == out_channels
        self.skip = nn.Identity() if same else nn.Conv2d(in_channels, out_channels, 1)
        ### END SOLUTION

    def forward(self, x, temb):
        ### BEGIN SOLUTION
        h = self.conv1(F.silu(self.norm1(x)))
        scale, shift = self.time(F.silu(temb))[:, :, None, None].chunk(2, dim=1)
        h = self.norm2(h) * (1 + scale) + shift
        return self.conv2(F.silu(h)) + self.skip(x)
        ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "ResidualBlock-check", "locked": true, "points": 5, "solution": false, "schema_version": 3}
check("unet.ResidualBlock", ResidualBlock)

# %% [markdown]
# ## 4. Seeing the whole
#
# A $3 \times 3$ convolution sees its neighbours. A digit has distant parts that must fit together. **Self-attention** lets
# each pixel ask all others: it sends out a *query* $q$, compares it with the *key* $k$ of every pixel, and collects their
# *values* $v$ in proportion:
#
# $$ \text{softmax}\!\left(\frac{q k^\top}{\sqrt{C / \text{heads}}}\right) v $$
#
# The softmax runs over the keys. With several heads, each works on $C / \text{heads}$ consecutive channels. As a module:
# GroupNorm with 8 groups → a $1 \times 1$ convolution to $3C$ channels, in the order q, k, v (three convolutions are fine,
# created in this order) → attention in each head → a $1 \times 1$ convolution $C \to C$ → add $x$.
#
# > **Predict.** Every pixel asks every pixel. How many comparisons is that at $32 \times 32$, and how many at $8 \times 8$?
#
# **Exercise 3.** The module. `reshape` and two matrix products will do.

# %% nbgrader={"grade": false, "grade_id": "SelfAttention2d", "locked": false, "solution": true, "schema_version": 3}
class SelfAttention2d(nn.Module):
    """x + attention among the pixels of x, (B,C,H,W) -> the same; `heads` divides `channels`."""

    def __init__(self, channels, heads):
        super().__init__()
        ### BEGIN SOLUTION
        self.heads = heads
        self.norm = nn.GroupNorm(8, channels)
        self.qkv = nn.Conv2d(channels, 3 * channels, 1)
        self.out = nn.Conv2d(channels, channels, 1)
        ### END SOLUTION

    def forward(self, x):
        ### BEGIN SOLUTION
        b, c, h, w = x.shape
        qkv = self.qkv(self.norm(x)).reshape(b, 3, self.heads, c // self.heads, h * w)
        q, k, v = qkv.transpose(-1, -2).unbind(dim=1)
        weights = (q @ k.transpose(-1, -2) / math.sqrt(c // self.heads)).softmax(dim=-1)
        return x + self.out((weights @ v).transpose(-1, -2).reshape(b, c, h, w))
        ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "SelfAttention2d-check", "locked": true, "points": 5, "solution": false, "schema_version": 3}
check("unet.SelfAttention2d", SelfAttention2d)

# %%
def comparisons(side):
    return f"{side**2:,} × {side**2:,} = {side**4:,}"


for side in (32, 16, 8):
    print(f"{side:2d} x {side:2d} pixels: {comparisons(side)}")

# %% [markdown]
# Hence attention sits where the resolution is low. There, every "pixel" already stands for a whole patch.
#
# ## 5. The U
#
# Down: each level halves the resolution, so the following convolutions see twice as far. Up: back to full size. What is
# lost on the way down, the position of every detail, is kept aside and handed over on the same level, in a **skip
# connection**: the U.
#
# **Exercise 4.** The wiring. `down` and `up` are lists of as many blocks, `middle` is one block, each is called as
# `block(x, temb)`. Keep the output of each down block. Each up block gets `torch.cat([x, skip], dim=1)`, and the last kept
# comes out first.

# %% nbgrader={"grade": false, "grade_id": "unet_forward", "locked": false, "solution": true, "schema_version": 3}
def unet_forward(x, temb, down, middle, up):
    """Down, through the middle, up; each up block gets x and the matching skip, joined along channels."""
    ### BEGIN SOLUTION
    skips = []
    for block in down:
        x = block(x, temb)
        skips.append(x)
    x = middle(x, temb)
    for block in up:
        x = block(torch.cat([x, skips.pop()], dim=1), temb)
    return x
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "unet_forward-check", "locked": true, "points": 4, "solution": false, "schema_version": 3}
check("unet.unet_forward", unet_forward)

# %% [markdown]
# ### Inside a trained one
#
# The course ships such a network, trained on MNIST (its code, 190 lines, is `course_utils/diffusion/unet.py`). We feed it
# one noised digit and keep what each block puts out.
#
# > **Predict.** Choose a block, then drag $t$. Which blocks still show a digit at $t = 750$? Which change most with $t$?

# %%
trained = load_checkpoint("diffusion/mnist")
anatomy_levels = [0, 100, 250, 500, 750, 999]
parts = {"stem": trained.stem, **{f"down {n + 1}": part for n, part in enumerate(trained.down)},
         "middle": trained.middle, **{f"up {n + 1}": part for n, part in enumerate(trained.up)},
         "out": trained.out}


# %%
@torch.no_grad()
def outputs_of_parts(x_t, t):
    """What each part puts out: name -> (B,C,H,W)."""
    seen = {}
    hooks = [part.register_forward_hook(lambda *args, name=name: seen.update({name: args[-1]}))
             for name, part in parts.items()]
    trained(x_t, t)
    for hook in hooks:
        hook.remove()
    return seen


# %%
seven, its_noise = ten[7:8], noise[7:8]
x_ts = [forward.q_sample(seven, torch.tensor([t]), abar, its_noise) for t in anatomy_levels]
seen = [outputs_of_parts(x_t, torch.tensor([t])) for x_t, t in zip(x_ts, anatomy_levels)]


def maps(name):
    """The eight channels of a part that vary most, as grey pictures of one brightness scale each."""
    stack = torch.stack([one[name][0] for one in seen])  # (K,C,h,w)
    stack = stack[:, stack.var(dim=(0, 2, 3)).argsort(descending=True)[:8].sort().values]
    low, high = stack.amin(dim=(0, 2, 3), keepdim=True), stack.amax(dim=(0, 2, 3), keepdim=True)
    return to_uint8((stack - low) / (high - low), (0, 1)).numpy()


# %%
PLACES = {"stem": (0, 0), "down 1": (0, 1), "down 2": (1, 2), "down 3": (2, 3), "middle": (2, 4),
          "up 1": (2, 5), "up 2": (1, 6), "up 3": (0, 7), "out": (0, 8)}
ROLES = {
    "stem": "One convolution, from one channel to 48.", "out": "The guess of the noise: one channel.",
    "down 1": "Full size: edges and noise.", "down 2": "Half the size: strokes.",
    "down 3": "A quarter of the size, with attention: the digit's parts, 64 places.",
    "middle": "The same size: parts are compared with parts.",
    "up 1": "Joined with what down 3 kept, then doubled.",
    "up 2": "Joined with down 2: strokes get their places back.",
    "up 3": "Joined with down 1: every pixel gets its place back.",
}
blocks = [widgets.Block(name, *PLACES[name], " x ".join(map(str, seen[0][name].shape[1:])),
                        ROLES[name], maps(name)) for name in parts]

# %%
widgets.NetworkAnatomy(
    blocks, anatomy_levels,
    [f"t = {t}: {100 * abar[t]:.0f}% of the variance is signal." for t in anatomy_levels],
    title="A U-Net at work", label="t", selected=3, index=2,
    skips=[("down 1", "up 3"), ("down 2", "up 2"), ("down 3", "up 1")],
)

# %% [markdown]
# ### Does the level reach every block?
#
# The same noisy image, told another level. If a block's output does not change, $t$ has not reached it.

# %%
x_t = forward.q_sample(ten, torch.full((10,), 500), abar, noise)
told = {t: outputs_of_parts(x_t, torch.full((10,), t)) for t in (450, 500, 550, 50)}
plots.table(
    ("the input is at t = 500", *parts),
    {f"told {t} instead": [
        f"{((told[t][name] - told[500][name]).norm() / told[500][name].norm()).item():.1%}"
        for name in parts] for t in (450, 550, 50)},
    caption="How much each part's output changes, in per cent of its size. The stem comes before "
    "the level is told.",
)

# %% [markdown]
# ## 6. What it learns
#
# DDPM's loss: draw a level for each image, noise the image by the jump, and compare the guess with the noise,
#
# $$ L = \operatorname{mean}\,\big(\varepsilon_\theta(x_t, t) - \varepsilon\big)^2. $$
#
# It is the evidence bound of chapter 3 with other weights on the levels: the bound's weights would spend most effort on
# the almost clean ones.
#
# > **Predict.** A network that always answers 0: what is its loss?
#
# **Exercise 5.** The loss, for levels and noise that are given. The network is called as `model(x_t, t)`. Draw nothing.

# %% nbgrader={"grade": false, "grade_id": "noise_prediction_loss", "locked": false, "solution": true, "schema_version": 3}
def noise_prediction_loss(model, x0, t, noise, alphas_cumprod):
    """Mean squared error of the guessed noise. x0, noise (B,C,H,W); t (B,). Returns a scalar tensor."""
    ### BEGIN SOLUTION
    a = alphas_cumprod[t].view(-1, 1, 1, 1)
    x_t = a.sqrt().to(x0.dtype) * x0 + (1 - a).sqrt().to(x0.dtype) * noise
    return F.mse_loss(model(x_t, t), noise)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "noise_prediction_loss-check", "locked": true, "points": 4, "solution": false, "schema_version": 3}
check("unet.noise_prediction_loss", noise_prediction_loss)

# %% [markdown]
# Every update follows one small batch with its own levels, so the weights jitter. Samples are drawn from an **exponential
# moving average** (EMA) of the weights instead: after each update, $\bar\theta \leftarrow d\,\bar\theta + (1 - d)\,\theta$.
# With $d = 0.999$ it remembers about the last $1/(1 - d) = 1000$ updates.
#
# **Exercise 6.** In place, without a computation graph. Buffers (such as BatchNorm's counters) are copied as they are.

# %% nbgrader={"grade": false, "grade_id": "ema_update", "locked": false, "solution": true, "schema_version": 3}
def ema_update(ema_model, model, decay):
    """ema_model's parameters become decay * themselves + (1 - decay) * model's, in place; buffers copied."""
    ### BEGIN SOLUTION
    with torch.no_grad():
        for average, parameter in zip(ema_model.parameters(), model.parameters()):
            average.mul_(decay).add_(parameter, alpha=1 - decay)
        for kept, buffer in zip(ema_model.buffers(), model.buffers()):
            kept.copy_(buffer)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "ema_update-check", "locked": true, "points": 4, "solution": false, "schema_version": 3}
check("unet.ema_update", ema_update)

# %% [markdown]
# ## 7. Your own U-Net
#
# Everything is there. Your block and your attention, with a change of resolution before (down) or after (up):

# %%
MyBlock = mine_or_reference("unet.ResidualBlock", ResidualBlock)
MyAttention = mine_or_reference("unet.SelfAttention2d", SelfAttention2d)
my_wiring = mine_or_reference("unet.unet_forward", unet_forward)


# %%
class Stage(nn.Module):
    def __init__(self, in_channels, out_channels, time_dim, resample="", attends=False):
        super().__init__()
        self.block = MyBlock(in_channels, out_channels, time_dim)
        self.attention = MyAttention(out_channels, 4) if attends else nn.Identity()
        self.resample = resample

    def forward(self, x, temb):
        x = F.avg_pool2d(x, 2) if self.resample == "down" else x
        x = self.attention(self.block(x, temb))
        return F.interpolate(x, scale_factor=2.0) if self.resample == "up" else x


# %%
class MyUNet(nn.Module):
    def __init__(self, w):
        super().__init__()
        self.width, self.stem, d = w, nn.Conv2d(1, w, 3, padding=1), 4 * w
        self.time = nn.Sequential(nn.Linear(w, d), nn.SiLU(), nn.Linear(d, d))
        self.down = nn.ModuleList(
            [Stage(w, w, d), Stage(w, 2 * w, d, "down"), Stage(2 * w, 4 * w, d, "down", True)])
        self.middle = Stage(4 * w, 4 * w, d, "", True)
        self.up = nn.ModuleList(
            [Stage(8 * w, 4 * w, d, "up", True), Stage(6 * w, 2 * w, d, "up"), Stage(3 * w, w, d)])
        self.out = nn.Sequential(nn.GroupNorm(8, w), nn.SiLU(), nn.Conv2d(w, 1, 3, padding=1))

    def forward(self, x_t, t):
        temb = self.time(my_embedding(t, self.width, 10_000))
        return self.out(my_wiring(self.stem(x_t), temb, self.down, self.middle, self.up))


# %% tags=["nbval-ignore-output"]
with seeded(0):
    mine = MyUNet(profile.pick(ci=8, cpu=16, gpu=48)).to(profile.device)
average = copy.deepcopy(mine).requires_grad_(False)
print(f"{sum(p.numel() for p in mine.parameters()):,} weights; the shipped network has "
      f"{sum(p.numel() for p in trained.parameters()):,}.")

# %% [markdown]
# Training, live: watch the loss fall. While it runs, we note now and then how large the loss is *at each level*, on 40
# test images.

# %%
my_loss = mine_or_reference("unet.noise_prediction_loss", noise_prediction_loss)
my_ema = mine_or_reference("unet.ema_update", ema_update)
probe_levels = [5, 15, 30, 50, 75, 100, 150, 200, 300, 400, 500, 600, 700, 800, 900, 999]
forty = test_set.balanced(4).images
fixed = torch.randn(forty.shape, generator=torch.Generator().manual_seed(1))


@torch.no_grad()
def loss_by_level(network):
    """Its loss at each of probe_levels, on the same images with the same noise."""
    device = next(network.parameters()).device
    x0, eps, schedule = forty.to(device), fixed.to(device), abar.to(device)
    return [my_loss(network, x0, torch.full((40,), t, device=device), eps, schedule).item()
            for t in probe_levels]


# %% tags=["nbval-ignore-output"]
steps = profile.pick(ci=8, cpu=300, gpu=4000)
generator = torch.Generator().manual_seed(0)
stream = batches(load("mnist", "train", value_range=(-1, 1), size=32).images, 64, generator=generator)
optimizer = torch.optim.Adam(mine.parameters(), lr=1e-3)
schedule = abar.to(profile.device)
moments = {steps * n // 8 for n in range(9)} | {steps // 20}  # when the losses are noted


# %%
def update(x0):
    t = torch.randint(1000, (len(x0),), generator=generator)
    eps = torch.randn(x0.shape, generator=generator)
    x0, t, eps = (x.to(profile.device) for x in (x0, t, eps))
    with profile.autocast():
        loss = my_loss(mine, x0, t, eps, schedule)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


# %% tags=["nbval-ignore-output"]
def training():
    """Yields after each update, for the curve; the average follows."""
    for step in range(1, steps + 1):
        loss = update(next(stream))
        my_ema(average, mine, min(0.99, step / (step + 10)))
        if step in moments:
            history[step] = loss_by_level(mine)
        yield TrainStep(step, loss)


history = {0: loss_by_level(mine)}
for _ in plots.watch(training(), steps, label="your U-Net", ylabel="loss"):
    pass

# %% [markdown]
# > **Predict.** At which levels is the loss large at the end: at the almost clean ones, or at pure noise? Why?

# %% tags=["nbval-ignore-output"]
shipped_loss = loss_by_level(trained)
captions = [f"After {step:,} updates: loss {sum(row) / len(row):.3f} on average, {row[0]:.2f} at "
            f"t = {probe_levels[0]}, {row[-1]:.4f} at t = 999." for step, row in history.items()]
widgets.CurveScrubber(
    probe_levels, {"your network": list(history.values()), "the shipped network": shipped_loss},
    list(history), captions, title="Loss by level, while it learns", label="updates",
    xlabel="t", ylabel="loss (of 1)", log_y=True, index=len(history) - 1,
)

# %% [markdown]
# At $t = 999$ the input *is* the noise: copy it, and the loss is almost 0. At small $t$ there is little noise, and it has to
# be told from the image. On blank paper that is easy, however faint it is. In a stroke, whose grey values vary
# by themselves, nobody can:

# %%
paper = F.max_pool2d(forty, 5, stride=1, padding=2) == -1  # no ink within two pixels
rows = {}
for t in (0, 5, 50, 200, 999):
    levels = torch.full((40,), t)
    with torch.no_grad():
        guess = trained(forward.q_sample(forty, levels, abar, fixed), levels)
    error = (guess - fixed).square()
    rows[f"t = {t}"] = [f"{(1 - abar[t]).sqrt():.3f}", f"{error[paper].mean():.4f}",
                        f"{error[~paper].mean():.4f}"]
plots.table(
    ("shipped network", "standard deviation of the noise", "loss on paper", "loss near ink"), rows,
    caption=f"A network that sees nothing would have 1. {paper.float().mean():.0%} of all pixels are "
    "paper.",
)

# %% [markdown]
# The loss of an *update* depends on which levels were drawn: that is why the curve of your training is so ragged. Averaged
# over levels:

# %% tags=["nbval-ignore-output"]
def mean_loss(network):
    return sum(loss_by_level(network)) / len(probe_levels)


print(f"mean loss over these levels: your network {mean_loss(mine):.4f}, "
      f"its average {mean_loss(average):.4f}, the shipped one {mean_loss(trained):.4f}")

# %% [markdown]
# ## 8. One guess
#
# From the guessed noise follows a guess of the image, $\hat x_0$ (`predict_x0` of chapter 6).
#
# > **Predict.** What will $\hat x_0$ look like for $t = 250$, for $t = 500$, for pure noise?

# %% tags=["nbval-ignore-output"]
one_shot_levels = [50, 200, 300, 400, 500, 650, 800, 999]


@torch.no_grad()
def one_shot(network, t):
    """Frame of x_t, the guess of x0, and x0; and the mean squared error of the guess."""
    levels = torch.full((6,), t)
    x_t = forward.q_sample(ten[4:], levels, abar, noise[4:])
    guess = forward.predict_x0(x_t, levels, network(x_t, levels), abar).clamp(-1, 1)
    frame = plots.tile([x_t.clamp(-1, 1), guess, ten[4:]], (-1, 1))
    return frame, f"t = {t}: mean squared error {(guess - ten[4:]).square().mean():.3f} per pixel."


# %% tags=["nbval-ignore-output"]
networks = {"yours": average.cpu().eval(), "the shipped one": trained}
shots = [[one_shot(network, t) for t in one_shot_levels] for network in networks.values()]
widgets.FrameScrubber(
    [[frame for frame, _ in row] for row in shots], one_shot_levels,
    [[text for _, text in row] for row in shots], title="One guess, at any level", label="t",
    choices={"network": list(networks)}, chosen=(1,), index=3,
    row_labels=("what it sees", "its guess of x0", "x0"),
)

# %% [markdown]
# Up to about $t = 300$ one guess is enough. Beyond, the digit in the guess need not be the digit behind the noise, and it
# is blurred: the network answers with the *mean* of all images that could be behind it, as in chapter 2. For pure noise
# that is close to the mean of all digits. One guess makes no sample. But it points in a direction, and one may take a
# *small* step that way and ask again.
#
# ## 9. What is each idea worth?
#
# Papers list their ideas; which of them matter? The only way to know is to leave them out, one at a time. The course
# trained six networks on the same batches with the same noise, for as many updates each, and sampled from the same start
# with chapter 8's sampler. They are small and trained briefly, a few minutes each on one CPU thread: absolute quality is modest.
#
# > **Predict.** Rank them: not telling $t$; not averaging the weights; the plain network in circulation (4.3 million
# > weights, BatchNorm, no $t$, no attention) in place of ours (1.6 million).

# %%
card = load_card("diffusion/ablation")
figures, floor = card.quality["rows"], card.quality["floor_training_images"]
shown = ["everything", "everything, another seed", "everything, and told the class",
         "weights not averaged", "network not told t", "plain network, not told t, clipped schedule"]
plots.table(
    ("network", "Fréchet distance", "kernel distance (KID)"),
    {name: [f"{figures[name]['frechet']:.0f}", f"{figures[name]['kernel']:.0f}"] for name in shown}
    | {"real training digits (the floor)": [f"{floor['frechet']:.0f}", f"{floor['kernel']:.1f}"]},
    caption=f"{card.steps:,} updates of {card.batch_size} images each. 1,000 samples against 1,000 test "
    "digits, by the features of chapter 3's classifier.",
)

# %%
sheet = load_checkpoint("diffusion/ablation")
plots.image_rows(
    {name: sheet[name][:10] for name in shown}, (0, 1), height=0.6,
    alt="Six rows of sampled digits, one for each network of the table.",
    caption="Not chosen: the first ten samples of each.",
)

# %% [markdown]
# Two seeds differ by less than 1, so most of these differences are real, for this budget. Telling $t$ is worth most: without
# it the distance is more than twice as large. The class helps. Averaging the weights did *not* help here: the learning rate
# falls to 0 towards the end, which calms the weights as well. Long trainings at a constant rate are where it earns its
# fame. The plain network lacks several things at once; what each of them costs, its row cannot say.

# %% [markdown]
# ## 10. Find the bug
#
# From a slide: "Our images lie in [-1, 1], so the U-Net ends with a Tanh, as in a GAN."
#
# > **Predict.** What should come out of this network, images? How small can this loss become?

# %%
def loss_from_a_slide(model, x0, t, noise, alphas_cumprod):
    """The U-Net's answer, bounded like the images."""
    x_t = forward.q_sample(x0, t, alphas_cumprod, noise)
    return F.mse_loss(torch.tanh(model(x_t, t)), noise)


# %%
draw = torch.Generator().manual_seed(3)
x0, t = forty, torch.randint(1000, (40,), generator=draw)
eps = torch.randn(x0.shape, generator=draw)


def as_good_as_possible(x_t, t):
    """Knows the noise, and how to get as near to it as a tanh allows."""
    return torch.atanh(eps.clamp(-0.99999, 0.99999))


best = loss_from_a_slide(as_good_as_possible, x0, t, eps, abar)
shipped = my_loss(trained, x0, t, eps, abar)
print(f"the slide's loss, best network there can be: {best:.3f}")
print(f"the right loss, shipped network:             {shipped:.3f}")
print(f"share of the noise beyond -1..1:             {(eps.abs() > 1).float().mean():.0%}")

# %% [markdown]
# <details><summary>The diagnosis</summary>
#
# The network does not answer with an image. It answers with *noise*, which is not bounded: a third of it lies beyond 1 in
# size. A Tanh can never reach these values, so the loss cannot fall below 0.15. The shipped network is far below
# that. The code runs, the curve falls, and only a number tells you that something is wrong: the best loss that is possible.
# </details>
#
# Repair it here (no points):

# %% nbgrader={"grade": false, "grade_id": "loss_without_the_bug", "locked": false, "solution": true, "schema_version": 3}
def loss_without_the_bug(model, x0, t, noise, alphas_cumprod):
    """The slide's loss, repaired."""
    ### BEGIN SOLUTION
    noisy_images = forward.q_sample(x0, t, alphas_cumprod, noise)
    return F.mse_loss(model(noisy_images, t), noise)
    ### END SOLUTION


# %%
def with_known_noise(function):
    """The loss of a network that knows the noise: 0 should come out."""
    try:
        return f"{function(lambda x_t, t: eps, x0, t, eps, abar):.3f}"
    except Exception as error:
        return type(error).__name__


print("from the slide:", with_known_noise(loss_from_a_slide))
print("yours:         ", with_known_noise(loss_without_the_bug))
print("right:         ", with_known_noise(my_loss))

# %% [markdown]
# ## Summary
#
# | idea | in one sentence | you wrote |
# |:---|:---|:---|
# | level | waves of many speeds tell the network where it is | `timestep_embedding` |
# | block | add something to x, scaled and shifted by the level | `ResidualBlock` |
# | attention | at low resolution, every place asks every other | `SelfAttention2d` |
# | U | down to see far, up to be exact, skips to keep the places | `unet_forward` |
# | loss | guess the noise; at every level at once | `noise_prediction_loss` |
# | average | sample from the mean of the last weights | `ema_update` |
# | one guess | the mean of all that could be behind the noise: a blur | |
#
# ### Questions that come up
#
# - **Is a network without $t$ impossible?** No. Seen from an image, its noise level can be guessed fairly well. The table of
#   section 9 says what leaving it out costs here.
# - **Why guess the noise and not the image?** One follows from the other. But equal errors weigh differently: a loss on the
#   noise counts low levels more, where the details are decided.
# - **My loss does not go to 0.** It cannot: within strokes, faint noise cannot be seen. Compare with the shipped network's
#   curve, not with 0.
# - **The curve of some code falls within each epoch and jumps back at its end. Why?** Somebody divides the *running sum* by
#   the number of batches, inside the loop. Such a curve shows sums, not losses.
# - **How is the class told?** As one more vector that is added to that of the level. Chapter 8 uses it.
#
# ### Further reading
#
# - Ronneberger, Fischer and Brox, *U-Net: Convolutional networks for biomedical image segmentation*, MICCAI 2015.
# - Ho, Jain and Abbeel, *Denoising diffusion probabilistic models*, NeurIPS 2020.
# - Dhariwal and Nichol, *Diffusion models beat GANs on image synthesis*, NeurIPS 2021 (appendix: the blocks).
