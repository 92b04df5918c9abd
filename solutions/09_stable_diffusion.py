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
# # 9 · Stable Diffusion, from parts that you have built
#
# | You will be able to | Time | Device | Difficulty |
# |:---|:---|:---|:---|
# | take Stable Diffusion apart and put it together again: words, latents, guidance, editing, adapters; and say what it can and cannot do | 100 minutes | any laptop; no GPU, no network | 5 of 5 |
#
# *Predict* means: write your guess down, then run the cell. *Exercise* means: write a few lines, then run the check.

# %% tags=["nbval-ignore-output"]
import torch
import torch.nn.functional as F
from torch import nn

from course_utils import plots, runtime, widgets
from course_utils.data import load, scenes, to_uint8
from course_utils.denoising import psnr
from course_utils.diffusion import forward
from course_utils.exercises import check, mine_or_reference
from course_utils.stable_diffusion import adapters, attention_maps, weights
from course_utils.training import TINY_SD, load_card, load_checkpoint, train

profile = runtime.profile()
print(f"{profile}. About three minutes on 2 CPU cores; LoRA, in section 8, is trained live.")

# %% [markdown]
# ## 1. The question
#
# Chapter 8 drew digits of 32 × 32 pixels, told one of ten classes. Now: colour, 64 × 64 pixels, and told a *sentence*. A
# sentence that nobody wrote before, like "a red seven left of a yellow eight on a blue background".
#
# Two ideas make that possible. Walk in a **smaller space** than that of pixels. And let the network **look words up** while it
# walks. Together they are Stable Diffusion (2022), and all of its parts are old friends:
#
# | part | what it does | you met it in |
# |:---|:---|:---|
# | autoencoder | images to latents and back | chapters 1 and 3 |
# | text encoder | words to vectors | new |
# | U-Net | the noise in latents, told level and words | chapter 7, plus one layer |
# | scheduler and sampler | which levels to visit, and how | chapters 6 and 8 |
# | guidance | exaggerate what the words change | chapter 8 |
#
# The model below has the architecture of Stable Diffusion 1.x and the same file format, and is very much smaller: it was trained for
# this course, on two CPU cores, on handwritten digits in colour.

# %%
sd = weights.load(weights.model_folder(TINY_SD))
side, factor = sd.unet.config.sample_size, sd.autoencoder.factor
networks = {"text encoder": sd.text_encoder, "autoencoder": sd.autoencoder, "U-Net": sd.unet}
published = {"text encoder": 123_060_480, "autoencoder": 83_653_863, "U-Net": 859_520_964}
plots.table(
    ("", "parameters here", "in Stable Diffusion 1.5"),
    {name: [f"{sum(p.numel() for p in network.parameters()):,}", f"{published[name]:,}"]
     for name, network in networks.items()},
    caption="One implementation reads both; section 10 says how.",
)


# %%
def noise(count, seed):
    """Where a walk begins: (count, 4, side, side)."""
    return torch.randn(count, 4, side, side, generator=torch.Generator().manual_seed(seed))


def walk(prompt, guidance, steps, seed):
    """A run of the sampler, every state of it shown as an image."""
    states = list(sd.text_to_image([prompt], noise(1, seed), steps=steps, scale=guidance))
    shown = sorted({round(steps * share) or 1 for share in (0.05, 0.1, 0.2, 0.35, 0.5, 0.7, 1)})
    frames = [plots.tile([sd.decode(torch.cat([states[n - 1].x_t, states[n - 1].x0_hat]))], (-1, 1))
              for n in shown]
    return widgets.Run(frames, shown, [
        f"“{prompt}”, guidance {guidance:g}, seed {seed}. Step {n} of {steps}: where the walk is (left), and "
        "the guess of its end (right)." for n in shown])


# %% [markdown]
# > **Predict.** Type any prompt of this kind: one or two digits; eight colours (red, green, blue, yellow, cyan, pink, white, black);
# > *left of*, *right of*, *above*, *below*; a black, white, blue or grey background. What is settled first on the walk: the
# > ground, the places, the colours or the strokes? And what happens to "a seven", "a horse", or nothing at all?

# %% tags=["nbval-ignore-output"]
widgets.LiveScrubber(
    walk,
    {"prompt": "a red seven left of a yellow eight on a blue background",
     "guidance": [1, 2, 3, 5, 7.5, 15], "steps": [20, 5, 10], "seed": [0, 1, 2, 3, 4]},
    title="Text to image", label="step",
    start={"guidance": 3},
    known=[{"prompt": "a pink two above a white zero on a black background", "guidance": 3}],
)

# %% [markdown]
# Both pictures are *decoded*: the walk itself runs through 4 × 8 × 8 numbers. That is the first idea.

# %% [markdown]
# ## 2. A smaller space
#
# Most of what is in an image is not worth a diffusion model's time: that strokes have smooth edges, that a ground is even. An
# **autoencoder** (chapter 3's: it gives a mean and a log-variance, with a very small weight on the KL term) takes care of that once
# and for all. From 3 × 64 × 64 to 4 × 8 × 8: 48 times fewer numbers, as in Stable Diffusion, where 512 × 512 pixels become
# 4 × 64 × 64.
#
# The U-Net wants latents of about unit variance, or the noise schedule of chapter 6 means something else. So the codes are
# multiplied by a constant: 1 / their standard deviation, measured once, kept in the autoencoder's config.
#
# **Exercise 1.** From the encoder's output to latents. `moments` holds the means, then the log-variances, along the
# channels. Clamp the log-variances to $[-30, 20]$, as Stable Diffusion does.

# %% nbgrader={"grade": false, "grade_id": "sample_latents", "locked": false, "solution": true, "schema_version": 3}
def sample_latents(moments, eps, scaling_factor):
    """moments (B,2C,h,w); eps (B,C,h,w) standard normal. Returns scaled latents (B,C,h,w)."""
    ### BEGIN SOLUTION
    mean, logvar = moments.chunk(2, dim=1)
    std = (0.5 * logvar.clamp(-30.0, 20.0)).exp()
    return scaling_factor * (mean + std * eps)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "sample_latents-check", "locked": true, "points": 3, "solution": false, "schema_version": 3}
check("stable_diffusion.sample_latents", sample_latents)

# %% [markdown]
# Real scenes, their latents, and what comes back. The captions are those that the model was trained with.
#
# > **Predict.** Which gets lost first: ground, colours, places, or thin strokes?

# %%
my_latents = mine_or_reference("stable_diffusion.sample_latents", sample_latents)
rendering = torch.Generator().manual_seed(1)
shown = scenes.draw_scenes(8, generator=rendering)
captions = shown.captions(generator=rendering)
images = scenes.render(shown, load("mnist", "test"), generator=rendering)
images = F.interpolate(images, size=(factor * side, factor * side))
with torch.no_grad():
    moments = sd.autoencoder.encode(images)
latents = my_latents(moments, torch.zeros_like(moments[:, :4]), sd.autoencoder.config.scaling_factor)
copies = sd.decode(latents)

# %%
as_pictures = F.interpolate(latents, size=images.shape[2:])[:, :3].clamp(-2.5, 2.5) / 2.5
plots.image_rows(
    {"image": images, "latents": as_pictures, "decoded": copies}, (-1, 1), height=0.9,
    alt="Eight scenes, their latents as coarse coloured squares, and the decoded scenes, which look the same.",
    caption=f"Three of the four latent channels, shown as red, green and blue. Standard deviation of the "
    f"latents {latents.std():.2f}; decoded at {psnr(copies, images, 2.0).mean():.1f} dB.",
)

# %% [markdown]
# ### Noise in the smaller space
#
# Diffusion now works on latents. What does a noisy latent look like, decoded? Chapter 6 drew pixels sinking into grain.
#
# > **Predict.** And here?

# %%
levels = [0, 100, 200, 300, 450, 999]
abar = sd.scheduler.alphas_cumprod
frames = []
for t in levels:
    x_t = forward.q_sample(latents[:4], torch.full((4,), t), abar, noise(4, 2))
    frames.append(plots.tile([sd.decode(x_t)], (-1, 1)))
widgets.FrameScrubber(
    frames, levels,
    [f"t = {t}: {100 * (1 - abar[t]):.1f}% of the latents' variance is noise." for t in levels],
    title="Noise, added to latents, decoded", label="t", index=2,
)

# %% [markdown]
# No grain: blots. The decoder turns whatever it is given into strokes and grounds. A small error in the latents is a
# plausible stroke at a wrong place, not a grey pixel.

# %% [markdown]
# ## 3. Words
#
# A **tokenizer** cuts a prompt into pieces that it knows, each with a number. The **text encoder**, a transformer, turns
# the numbers into vectors, one for each piece. It reads from left to right: a vector knows the words before it.
#
# > **Predict.** The vocabulary was made of the training captions. "gold" is not in them. What becomes of it?

# %%
rows = {}
for prompt in ("a red seven left of a yellow eight", "A  RED seven", "a gold seven", ""):
    pieces = sd.tokenizer.core.encode(prompt).tokens
    used = pieces[: pieces.index("<|endoftext|>") + 1]
    rows[f"“{prompt}”"] = [" ".join(piece.replace("</w>", "·") for piece in used[1:-1]), str(len(used))]
plots.table(
    ("prompt", "pieces between start and end (· ends a word)", "tokens"), rows,
    caption=f"Every prompt is filled up to {sd.tokenizer.length} tokens. Even nothing has a start and an end.",
)

# %% [markdown]
# How does the U-Net read them? In chapter 7 every pixel looked at all pixels: **self-attention**. Here each pixel also looks at
# all *words*. Queries come from the pixels, keys and values from the words:
#
# $$ \text{attention}(Q, K, V) = \operatorname{softmax}\!\left(\frac{Q K^\top}{\sqrt{d}}\right) V $$
#
# in each of several **heads**, which work on $d$ = C / heads consecutive channels each.
#
# **Exercise 2.** Cross-attention. For each query the weights over all keys sum to 1.

# %% nbgrader={"grade": false, "grade_id": "cross_attention", "locked": false, "solution": true, "schema_version": 3}
def cross_attention(q, k, v, heads):
    """q (B,Nq,C); k, v (B,Nk,C); heads divides C. Returns (B,Nq,C)."""
    ### BEGIN SOLUTION
    queries, keys, values = (x.unflatten(-1, (heads, -1)).transpose(1, 2) for x in (q, k, v))
    scores = queries @ keys.transpose(-1, -2) / queries.shape[-1] ** 0.5
    mixed = scores.softmax(dim=-1) @ values
    return mixed.transpose(1, 2).flatten(2)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "cross_attention-check", "locked": true, "points": 4, "solution": false, "schema_version": 3}
check("stable_diffusion.cross_attention", cross_attention)

# %% [markdown]
# The weights can be looked at: which pixels read "red"? Below, the mean over all heads and layers, for each word.
#
# > **Predict.** Where will "red" be read, where "seven"? And where "of"?

# %%
prompt = "a red seven left of a yellow eight on a blue background"
parts, stops = [], (1, 5, 10, 20)
with attention_maps.record_attention(sd.unet, 1, (side, side)) as recorded:
    for n, now in enumerate(sd.text_to_image([prompt], noise(1, 0), steps=20, scale=3), start=1):
        words, end = recorded.words(sd.tokenizer, [prompt])[0], now.x_t
        if n in stops:
            parts.append(torch.stack([word.map for word in words]))
widgets.WordMaps(
    [word.text for word in words], parts[-1].numpy(),
    to_uint8(sd.decode(end), (-1, 1))[0].permute(1, 2, 0).numpy(),
    title="Where each word is read", label="word", selected=1,
    steps=torch.stack(parts).numpy(), stops=[f"steps 1 to {n}" for n in stops],
)

# %% [markdown]
# Attention is evidence of where a word was read, not a proof of what it did there. Some words are read by nobody; the start token,
# not shown here, takes what is left.

# %% [markdown]
# ## 4. Text to image
#
# Now put it together. **Guidance** is chapter 8's, with the empty prompt for "no class": in training one caption in ten was
# hidden. Both guesses come from one call on a joined batch.
#
# **Exercise 3.** One call of `unet(latents, t, context)` on the joined batch, the half without text first. Return
# $\hat\varepsilon_u + s\,(\hat\varepsilon_c - \hat\varepsilon_u)$.

# %% nbgrader={"grade": false, "grade_id": "guided_prediction", "locked": false, "solution": true, "schema_version": 3}
def guided_prediction(unet, latents, t, cond, uncond, scale):
    """latents (B,C,h,w); t (B,) int64; cond, uncond (B,L,D). Returns the guided noise, like latents."""
    ### BEGIN SOLUTION
    both = unet(torch.cat([latents] * 2), torch.cat([t] * 2), torch.cat([uncond, cond]))
    without, with_text = both.chunk(2)
    return without + scale * (with_text - without)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "guided_prediction-check", "locked": true, "points": 3, "solution": false, "schema_version": 3}
check("stable_diffusion.guided_prediction", guided_prediction)

# %% [markdown]
# **Exercise 4.** All of it: guided DDIM with $\eta = 0$, along `timesteps` (descending), from noise to clean latents. The step
# after the last one in `timesteps` ends at $\bar\alpha = 1$. Keep no computation graph. You may call your `guided_prediction`.

# %% nbgrader={"grade": false, "grade_id": "text_to_latents", "locked": false, "solution": true, "schema_version": 3}
def text_to_latents(unet, latents, cond, uncond, timesteps, alphas_cumprod, scale):
    """latents (B,C,h,w) noise; timesteps (n,) int64, descending; alphas_cumprod (T,). Returns like latents."""
    ### BEGIN SOLUTION
    x, ends = latents, [*alphas_cumprod[timesteps[1:]].tolist(), 1.0]
    with torch.no_grad():
        for level, after in zip(timesteps, ends):
            here = alphas_cumprod[level].item()
            eps = guided_prediction(unet, x, level.expand(len(x)), cond, uncond, scale)
            x0 = (x - (1 - here) ** 0.5 * eps) / here**0.5
            x = after**0.5 * x0 + (1 - after) ** 0.5 * eps
    return x
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "text_to_latents-check", "locked": true, "points": 5, "solution": false, "schema_version": 3}
check("stable_diffusion.text_to_latents", text_to_latents)

# %% [markdown]
# Your sampler, the shipped networks, and six prompts. The last one asks for a pair of digit and colour that was *in no training
# image*: eights were never green.

# %%
my_sampler = mine_or_reference("stable_diffusion.text_to_latents", text_to_latents)


def draw(prompts, seed=0, scale=3.0, steps=20, negative="", unet=sd.unet):
    """Images of the prompts, by your sampler: (B,3,H,W) in [-1, 1]."""
    cond, uncond = sd.context(prompts), sd.context([negative] * len(prompts))
    timesteps = sd.scheduler.timesteps(steps)
    return sd.decode(my_sampler(unet, noise(len(prompts), seed), cond, uncond, timesteps, abar, scale))


# %%
prompts = [
    "a red seven on a blue background", "a green three on a grey background",
    "a pink two above a white zero on a black background",
    "a white zero below a pink two on a black background",
    "a black four right of a cyan nine on a white background", "a green eight on a white background",
]
plots.image_rows(
    {f"noise {seed}": draw(prompts, seed) for seed in (0, 1)}, (-1, 1), height=1.3,
    columns=[f"({n})" for n in range(1, 7)],
    alt="Six prompts, two images each.",
    caption="  ".join(f"({n}) {prompt}." for n, prompt in enumerate(prompts, start=1)),
)

# %% [markdown]
# ### How often is it right?
#
# Looking is not measuring. A **judge**, a classifier of scenes, reads ground, places, digits and colours from an image. An image
# is *right* if all of them are as asked. The prompts are of two kinds: scenes held out from training, and scenes with a pair of digit
# and colour that never occurred in training.
#
# > **Predict.** What does more guidance do to the share of right images? To the kind that was never seen? Is there a best value?

# %%
card = load_card("tiny-sd/text-to-image")
by_scale = card.quality["by_guidance_scale"]
reading = load_card("tiny-sd/judge").quality["accuracy_on_10000_real_scenes"]["all"]
plots.table(
    ("guidance", *(f"{name}, {kind}" for kind in ("seen", "unseen") for name in ("all", "digits", "colours"))),
    {scale: [f"{100 * figures[kind][what]:.1f}%" for kind in ("seen", "unseen")
             for what in ("all", "digits", "inks")] for scale, figures in by_scale.items()},
    caption=f"400 held-out prompts, and 200 with an unseen pair; 20 steps. The judge reads {reading:.1%} of "
    f"real scenes wholly right. By chance: {card.quality['chance']['seen']['all']:.1%}.",
)

# %%
scales = [1, 2, 3, 5, 7.5, 15]
widgets.FrameScrubber(
    [plots.tile([draw(prompts, 2, scale=scale)], (-1, 1)) for scale in scales], scales,
    [f"Guidance {scale:g}: " + ("the text alone, not exaggerated." if scale == 1 else
     f"{scale:g} times the difference that the text makes.") for scale in scales],
    title="More and more guidance", label="guidance", index=2,
)

# %% [markdown]
# ### What should not be there
#
# Nothing in guidance says that the other prompt must be empty. A **negative prompt** takes its place, and the walk is pushed away from
# it.
#
# > **Predict.** The prompt says "a seven on a grey background" and no colour. What comes without a negative prompt? What with
# > "a green seven on a grey background"?

# %%
vague = ["a seven on a grey background"] * 6
negatives = {"no negative": "", "not green": "a green seven on a grey background",
             "not blue": "a blue seven on a grey background"}
plots.image_rows(
    {name: draw(vague, 3, negative=negative) for name, negative in negatives.items()},
    (-1, 1), height=1.0,
    alt="Three rows of six sevens; the rows with a negative prompt avoid its colour.",
    caption="Six noises; the same in each row.",
)

# %% [markdown]
# ### Between two prompts
#
# Prompts are vectors, so there is a straight line between two of them. The noise stays the same.

# %%
ends = ("a red three on a black background", "a cyan eight on a white background")
between = sd.between(*ends, 9)
*_, last = sd.text_to_image(between, noise(1, 4).expand(9, -1, -1, -1), steps=20, scale=3.0)
widgets.FrameScrubber(
    [plots.tile([image[None]], (-1, 1)) for image in sd.decode(last.x_t)], [f"{n}/8" for n in range(9)],
    [f"{8 - n} parts “{ends[0]}”, {n} parts “{ends[1]}”." for n in range(9)],
    title="Between two prompts", label="share of the second", index=4,
)

# %% [markdown]
# ## 5. From an image to another
#
# Start the walk not from noise but from an image with *some* noise: what the noise leaves is kept, the rest is drawn anew,
# told by the prompt. **Strength** says how much: at 0.3 only the last 30% of the levels are walked.
#
# **Exercise 5.** Of $n$ timesteps the last $\min(\lfloor n \cdot \text{strength} \rfloor, n)$ remain, but at least one. The
# latents are noised to the first of those that remain. Return both.

# %% nbgrader={"grade": false, "grade_id": "img2img_start", "locked": false, "solution": true, "schema_version": 3}
def img2img_start(latents, noise, strength, timesteps, alphas_cumprod):
    """latents, noise (B,C,h,w); timesteps (n,) descending. Returns (noised latents, remaining timesteps)."""
    ### BEGIN SOLUTION
    count = min(max(int(len(timesteps) * strength), 1), len(timesteps))
    remaining = timesteps[-count:]
    kept = alphas_cumprod[remaining[0]].item()
    return kept**0.5 * latents + (1 - kept) ** 0.5 * noise, remaining
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "img2img_start-check", "locked": true, "points": 3, "solution": false, "schema_version": 3}
check("stable_diffusion.img2img_start", img2img_start)

# %% [markdown]
# > **Predict.** Four real scenes, and one prompt for all: "a yellow three on a blue background". From which strength on is the
# > colour as asked? From which the digit? When is nothing of the image left?

# %%
my_start = mine_or_reference("stable_diffusion.img2img_start", img2img_start)
singles = scenes.draw_scenes(4, generator=rendering, layout=scenes.ONE)
sources = scenes.render(singles, load("mnist", "test"), generator=rendering)
sources = F.interpolate(sources, size=(factor * side, factor * side))
kept_latents = sd.encode(sources, torch.zeros(4, 4, side, side))


def redraw(prompt, strength):
    """The sources, drawn anew after the prompt."""
    cond, uncond = sd.context([prompt] * 4), sd.context([""] * 4)
    start, rest = my_start(kept_latents, noise(4, 5), strength, sd.scheduler.timesteps(20), abar)
    return sd.decode(my_sampler(sd.unet, start, cond, uncond, rest, abar, 3.0))


# %%
strengths = [0.05, 0.3, 0.5, 0.7, 0.85, 1.0]
widgets.FrameScrubber(
    [plots.tile([sources, redraw("a yellow three on a blue background", s)], (-1, 1)) for s in strengths],
    [f"{s:.2f}" for s in strengths],
    [f"Strength {s:.2f}: {max(int(20 * s), 1)} of 20 steps are walked." for s in strengths],
    title="a yellow three on a blue background", label="strength", index=3,
    row_labels=("image", "drawn anew"),
)

# %% [markdown]
# The order is that of section 1, backwards: what the walk settles last goes first.

# %% [markdown]
# ## 6. A part drawn anew
#
# **Inpainting** with a model that was never trained for it: after each step, put what is known back in, *noised to the level
# of the step*. The network then sees a state of which all parts have the same noise, as in training.
#
# **Exercise 6.** `mask` is 1 where something new is to be drawn, and 0 where the image is kept.

# %% nbgrader={"grade": false, "grade_id": "inpaint_blend", "locked": false, "solution": true, "schema_version": 3}
def inpaint_blend(x_t, known_x0, mask, noise, t, alphas_cumprod):
    """x_t, known_x0, noise (B,C,h,w); mask (B,1,h,w); t (B,) int64. Returns x_t, the known part put back in."""
    ### BEGIN SOLUTION
    share = alphas_cumprod[t].view(-1, 1, 1, 1).to(x_t.dtype)
    noised = share.sqrt() * known_x0 + (1 - share).sqrt() * noise
    return mask * x_t + (1 - mask) * noised
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "inpaint_blend-check", "locked": true, "points": 3, "solution": false, "schema_version": 3}
check("stable_diffusion.inpaint_blend", inpaint_blend)

# %% [markdown]
# Scenes of two digits; the right half is drawn anew, told by a prompt that names both.
#
# > **Predict.** Will the left half stay exactly as it is? Look closely at the pixels, not at the latents.

# %%
my_blend = mine_or_reference("stable_diffusion.inpaint_blend", inpaint_blend)
pairs = scenes.draw_scenes(6, generator=rendering, layout=scenes.SIDE_BY_SIDE)
wanted = scenes.Scenes(pairs.digits.clone(), pairs.inks.clone(), pairs.grounds, pairs.layouts)
wanted.digits[:, 1], wanted.inks[:, 1] = 8, scenes.INKS.index("cyan")
twins = scenes.render(pairs, load("mnist", "test"), generator=rendering)
twins = F.interpolate(twins, size=(factor * side, factor * side))
known = sd.encode(twins, torch.zeros(6, 4, side, side))
mask = torch.zeros(6, 1, side, side)
mask[..., side // 2 :] = 1


# %%
def put_back(x_t, level):
    """After each step, your blend; after the last one the known latents as they are."""
    if level < 0:
        return mask * x_t + (1 - mask) * known
    return my_blend(x_t, known, mask, noise(6, 6), torch.full((6,), level), abar)


my_guided = mine_or_reference("stable_diffusion.guided_prediction", guided_prediction)
cond, uncond = sd.context(wanted.captions(generator=None)), sd.context([""] * 6)


def told(x_t, t):
    return my_guided(sd.unet, x_t, t, cond, uncond, 3.0)


# %%
visited, rows = sd.scheduler.timesteps(20), {"image": twins}
for name, correct in (("put back in", put_back), ("not put back", None)):
    *_, last = sd.scheduler.sample(told, noise(6, 6), visited, correct)
    rows[name] = sd.decode(last.x_t)
plots.image_rows(
    rows, (-1, 1), height=1.1,
    alt="Six scenes with two digits; in the second row the right digit has become a cyan eight.",
    caption=f"The right half was told to become a cyan eight. Mean change of the left half: put back in "
    f"{(rows['put back in'] - twins)[..., : factor * side // 2].abs().mean():.3f}, "
    f"not put back {(rows['not put back'] - twins)[..., : factor * side // 2].abs().mean():.3f}.",
)

# %% [markdown]
# The left half stays almost as it was, not exactly: the known part, too, went through the autoencoder, and the decoder
# looks across the border. Programs that must keep it exactly paste the original pixels over it at the end.

# %% [markdown]
# ## 7. The same, by the library
#
# Is our implementation the real thing? The `diffusers` library reads the same folder. The same latents, the same prompt:

# %%
def by_diffusers(prompt, start, steps, scale):
    """The image that the library draws, (1,3,H,W) in [-1, 1]."""
    import diffusers
    import transformers

    transformers.utils.logging.disable_progress_bar()
    diffusers.utils.logging.disable_progress_bar()
    pipeline = diffusers.StableDiffusionPipeline.from_pretrained(
        TINY_SD, dtype=torch.float32, low_cpu_mem_usage=False)
    pipeline.set_progress_bar_config(disable=True)
    drawn = pipeline(prompt, latents=start, num_inference_steps=steps, guidance_scale=scale, output_type="pt")
    return 2 * drawn.images - 1


# %% tags=["nbval-ignore-output"]
tiny = weights.load(TINY_SD)
prompt, start = "a green three left of a pink eight on a black background", torch.randn(1, 4, 8, 8)
*_, last = tiny.text_to_image([prompt], start, steps=20, scale=3.0)
try:
    off = (tiny.decode(last.x_t) - by_diffusers(prompt, start, 20, 3.0)).abs().max() / 2
    print(f"largest difference of a pixel, white being 1 and black 0: {off:.0e}")
except ImportError:
    print("diffusers is not installed here; the course's tests compare both.")

# %% [markdown]
# ## 8. LoRA: a new word in under a minute
#
# "Gold" was in no caption. Teach the model that it means yellow: would you train all weights? The two networks have three
# million, and whoever trains all of them must store all of them, once for each new word.
#
# **LoRA** keeps a linear layer $W$ as it is and adds a product of two thin matrices:
#
# $$ W x + \frac{\alpha}{r}\, B A\, x, \qquad A: r \times \text{in}, \quad B: \text{out} \times r $$
#
# With $r = 4$ that is a few numbers, and if $B$ starts at zero, training starts from the network as it was.
#
# **Exercise 7.** `linear` is frozen; only $r\,(\text{in} + \text{out})$ weights learn.

# %% nbgrader={"grade": false, "grade_id": "LoRALinear", "locked": false, "solution": true, "schema_version": 3}
class LoRALinear(nn.Module):
    """linear(x) + alpha / rank up(down(x)); starts equal to linear, which is frozen."""

    def __init__(self, linear, rank, alpha):
        super().__init__()
        ### BEGIN SOLUTION
        for parameter in linear.parameters():
            parameter.requires_grad = False
        self.frozen, self.factor = linear, alpha / rank
        self.a = nn.Linear(linear.in_features, rank, bias=False)
        self.b = nn.Linear(rank, linear.out_features, bias=False)
        self.b.weight.data.zero_()
        ### END SOLUTION

    def forward(self, x):
        ### BEGIN SOLUTION
        return self.frozen(x) + self.factor * self.b(self.a(x))
        ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "LoRALinear-check", "locked": true, "points": 4, "solution": false, "schema_version": 3}
check("stable_diffusion.LoRALinear", LoRALinear)

# %% [markdown]
# Your layer takes the place of every projection in the attention of both networks. The lesson: a few hundred yellow scenes whose
# captions say "gold", mixed with ordinary ones so that nothing else is forgotten.
#
# > **Predict.** Before training, what does the model draw when asked for gold? Will it get at least the digit right?

# %%
my_lora = mine_or_reference("stable_diffusion.LoRALinear", LoRALinear)
learner = weights.load(TINY_SD)
both = nn.ModuleList([learner.unet, learner.text_encoder])


def adapt(model, rank, alpha):
    """Your layer in place of q, k, v and out of every attention; returns what is left to train."""
    model.requires_grad_(False)
    for layer in [m for m in model.modules() if isinstance(m, adapters.Attention)]:
        for name in ("q", "k", "v", "out"):
            setattr(layer, name, my_lora(getattr(layer, name), rank, alpha))
    return [p for p in model.parameters() if p.requires_grad]


# %%
teaching, digits = torch.Generator().manual_seed(7), load("mnist", "train")
yellow, count = scenes.INKS.index("yellow"), profile.pick(ci=32, cpu=512, gpu=2048)
lesson = scenes.Scenes.joined([
    scenes.draw_scenes(count, generator=teaching, inks=[yellow]),
    scenes.training_scenes(count // 2, generator=teaching),
])
lesson_latents = tiny.encode(
    scenes.render(lesson, digits, generator=teaching), torch.zeros(len(lesson), 4, 8, 8)
)


def captions_of(chosen):
    """The captions of scenes of the lesson; its first part says gold for yellow."""
    texts = zip(lesson[chosen].captions(generator=teaching), chosen.tolist())
    return [text.replace("yellow", "gold") if at < count else text for text, at in texts]


# %%
many = profile.pick(ci=10, cpu=100, gpu=400)
exam = scenes.draw_scenes(many, generator=teaching, inks=[yellow])
ordinary = scenes.test_scenes(many, 0, generator=teaching)
judge = load_checkpoint("tiny-sd/judge")


def share_right(asked, word):
    """How many images show, in the eyes of the judge, what the captions say, with `word` for yellow."""
    prompts = [text.replace("yellow", word) for text in asked.captions(generator=None)]
    start = torch.randn(many, 4, 8, 8, generator=torch.Generator().manual_seed(8))
    *_, last = learner.text_to_image(prompts, start, steps=10, scale=3.0)
    fits = judge.read(learner.decode(last.x_t)).agreement(asked)["all"]
    return f"{fits.float().mean():.0%}"


# %% tags=["nbval-ignore-output"]
before = [share_right(exam, "gold"), share_right(ordinary, "yellow")]
trained = adapt(both, rank=4, alpha=8.0)
optimizer = torch.optim.Adam(trained, lr=3e-3)
print(f"{sum(p.numel() for p in trained):,} weights to train, of {sum(p.numel() for p in both.parameters()):,}")


# %%
def lora_step(chosen):
    """One update on some scenes of the lesson; returns the loss."""
    t = torch.randint(1000, (len(chosen),), generator=teaching)
    eps = torch.randn(len(chosen), 4, 8, 8, generator=teaching)
    x_t = forward.q_sample(lesson_latents[chosen], t, tiny.scheduler.alphas_cumprod, eps)
    told = learner.text_encoder(learner.tokenizer(captions_of(chosen)))
    with profile.autocast():
        loss = ((learner.unet(x_t, t, told) - eps) ** 2).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


# %% tags=["nbval-ignore-output"]
updates = profile.pick(ci=3, cpu=200, gpu=500)
order = (torch.randint(len(lesson), (32,), generator=teaching) for _ in range(updates))
records = train(lora_step, order, updates)
for _ in plots.watch(records, updates, label="LoRA, 32 scenes an update", ylabel="MSE"):
    pass
after = [share_right(exam, "gold"), share_right(ordinary, "yellow")]
plots.table(
    ("wholly right", "before", "after LoRA"),
    {what: row for what, *row in zip(("“gold”, for yellow", "other captions"), before, after)},
    caption=f"{many} prompts each, 10 steps.",
)

# %% tags=["nbval-ignore-output"]
prompts = [f"a gold {name} on a {ground} background" for name, ground in
           (("two", "black"), ("five", "white"), ("nine", "blue"), ("four", "grey"))]
start, rows = torch.randn(4, 4, 8, 8, generator=torch.Generator().manual_seed(9)), {}
for name, model in (("before", tiny), ("after", learner)):
    *_, last = model.text_to_image(prompts, start, steps=20, scale=3.0)
    rows[name] = model.decode(last.x_t)
plots.image_rows(
    rows, (-1, 1), height=1.2,
    alt="Four prompts with the word gold, before and after; only after are the digits yellow and right.",
    caption="“" + "”, “".join(prompts) + "”.",
)

# %% [markdown]
# ### What LoRA cannot teach
#
# A new *word* is learned in seconds. A new *colour*? No image of the training had orange ink. Before any diffusion, look at what
# the autoencoder makes of it:
#
# > **Predict.** Orange lies between red and yellow. What comes back?

# %%
oranges = scenes.draw_scenes(6, generator=teaching, inks=[scenes.NEW_INK], layout=scenes.ONE)
drawn = scenes.render(oranges, load("mnist", "test"), generator=teaching)
plots.image_rows(
    {"orange ink": drawn, "decoded": tiny.decode(tiny.encode(drawn, torch.zeros(6, 4, 8, 8)))}, (-1, 1),
    height=1.0, alt="Orange digits come back in mixtures of red and yellow.",
    caption="Encoded and decoded. The autoencoder knows eight inks, and takes the nearest ones.",
)

# %% [markdown]
# No text can make the model draw what its decoder cannot. Whoever teaches a model a truly new colour, face or style has to look
# first whether the autoencoder returns it.

# %% [markdown]
# After training, $\frac{\alpha}{r} B A$ can be added to $W$ once (`adapters.merge_lora`): the network is as fast as before.

# %% [markdown]
# ## 9. ControlNet: drawing along lines
#
# Words are poor at saying *where*. A **ControlNet** is a copy of the U-Net's way down that also sees a picture, here the edges of an
# image, and adds what it finds to the U-Net's skips. The U-Net itself stays as it is.
#
# A fresh copy would at first add noise to a network that works. So everything that it adds passes through a convolution that
# **starts at zero**.
#
# > **Predict.** If the weights are zero, does any gradient reach them? And what lies before them?
#
# **Exercise 8.** A 1 × 1 convolution, C to C channels, weights and bias zero, that learns.

# %% nbgrader={"grade": false, "grade_id": "ZeroConv2d", "locked": false, "solution": true, "schema_version": 3}
class ZeroConv2d(nn.Module):
    """A convolution of 1 x 1 that starts at 0, weights and bias: (B,C,H,W) -> the same shape."""

    def __init__(self, channels):
        super().__init__()
        ### BEGIN SOLUTION
        self.mix = nn.Conv2d(channels, channels, kernel_size=1)
        with torch.no_grad():
            self.mix.weight.zero_()
            self.mix.bias.zero_()
        ### END SOLUTION

    def forward(self, x):
        ### BEGIN SOLUTION
        return self.mix(x)
        ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "ZeroConv2d-check", "locked": true, "points": 2, "solution": false, "schema_version": 3}
check("stable_diffusion.ZeroConv2d", ZeroConv2d)

# %%
my_zero = mine_or_reference("stable_diffusion.ZeroConv2d", ZeroConv2d)
zero, hidden, rows = my_zero(3), nn.Conv2d(3, 3, 1), {}
x, optimizer = torch.randn(2, 3, 4, 4), torch.optim.SGD(zero.parameters(), lr=0.1)
for step in range(3):
    nn.ModuleList([zero, hidden]).zero_grad()
    (zero(hidden(x)) - 1).square().mean().backward()
    reached = [any((p.grad != 0).any() for p in m.parameters()) for m in (zero, hidden)]
    rows[f"update {step}"] = ["yes" if it else "no" for it in reached]
    optimizer.step()
plots.table(
    ("a gradient reaches", "the zero convolution", "what lies before it"), rows,
    caption="Its own gradient depends on what comes in, not on its weights. What lies before it has to wait "
    "one update.",
)

# %% [markdown]
# The shipped ControlNet was trained beside the shipped U-Net, for a sixth of its updates. Its hint: where colours change in an
# image. Same edges, four prompts:
#
# > **Predict.** What follows the edges, and what the words? What if they contradict each other: edges of a five, "a two"?

# %%
controlnet = weights.load_network(TINY_SD / "controlnet", weights.CONTROLNET)
one_hand = scenes.render(singles[:1], load("mnist", "test"), generator=torch.Generator().manual_seed(12))
hint = scenes.edges(one_hand)
name = scenes.DIGITS[singles.digits[0, 0]]
prompts = [f"a red {name} on a black background", f"a green {name} on a white background",
           f"a pink {name} on a blue background", "a yellow two on a grey background"]


# %%
def along_edges(hint, prompts, weight, seed=13):
    """Images of the prompts that follow the edges, by the library's pipeline."""
    plain = tiny.unet
    tiny.unet = adapters.controlled(plain, controlnet, hint.expand(len(prompts), -1, -1, -1), weight)
    start = torch.randn(len(prompts), 4, 8, 8, generator=torch.Generator().manual_seed(seed))
    *_, last = tiny.text_to_image(prompts, start, steps=20, scale=3.0)
    tiny.unet = plain
    return tiny.decode(last.x_t)


# %%
strengths = [0.0, 0.25, 0.5, 0.75, 1.0, 1.5]
frames = [plots.tile([torch.cat([one_hand, 2 * hint - 1, along_edges(hint, prompts, s)])], (-1, 1))
          for s in strengths]
widgets.FrameScrubber(
    frames, [f"{s:g}" for s in strengths],
    [f"The image, its edges, four prompts. What the ControlNet adds is multiplied by {s:g}." for s in strengths],
    title="Along the edges", label="weight of the ControlNet", index=4,
)

# %%
met = load_card("tiny-sd/edges").quality["edges_that_meet"]
plots.table(
    ("edges of image and hint that meet (F1 score)", ""),
    {"without ControlNet, same prompt": [f"{met['without']:.2f}"],
     "with ControlNet": [f"{met['with_controlnet']:.2f}"],
     "the autoencoder's copy of the image itself": [f"{met['copies_of_the_scenes']:.2f}"]},
    caption="300 scenes of test digits. An edge pixel meets another one if it is at most a pixel away.",
)

# %% [markdown]
# ## 10. The real one
#
# All of this chapter runs on the published weights of Stable Diffusion 1.x as well: same code, same file format. Nothing is
# downloaded by itself. Who runs a hub downloads the folder once (4 GB), to where all can read it, and sets `SD_MODEL_DIR`;
# then the cells above use it wherever they say `sd`, and the prompts may be about horses. A GPU is advisable: a step on a CPU takes
# seconds. `tiny` stays what it is, for the measurements.

# %% tags=["nbval-ignore-output"]
folder = weights.model_folder(TINY_SD)
where = "the course's own model" if folder == TINY_SD else "the folder that SD_MODEL_DIR names"
print(f"sd is {where}: {sum(p.numel() for n in networks.values() for p in n.parameters()):,} parameters, "
      f"images of {factor * side} x {factor * side} pixels. {sd.notice}")

# %% [markdown]
# What the large one adds is scale: 860 million parameters in the U-Net, a text encoder that was trained on 400 million pairs of image and
# text before, and images from the web instead of digits. What it inherits from them, biases, private pictures, artists' work,
# is section 12's subject.

# %% [markdown]
# ## 11. Find the bug
#
# From a slide. It runs, and with the author's model it works. With ours, everything comes out pale.
#
# > **Predict.** Which line knows something about one particular model?

# %%
def decode_from_a_slide(autoencoder, latents):
    latents = latents / 0.18215
    with torch.no_grad():
        return autoencoder.decoder(autoencoder.post_quant(latents)).clamp(-1, 1)


# %%
plots.image_rows(
    {"from the slide": decode_from_a_slide(tiny.autoencoder, latents),
     "right": tiny.decode(latents)} if side == 8 else {"right": sd.decode(latents)},
    (-1, 1), height=0.9,
    alt="Eight scenes, above in wrong colours, below as they should be.",
    caption="The latents of section 2.",
)

# %% [markdown]
# <details><summary>The diagnosis</summary>
#
# 0.18215 is 1 / the standard deviation of the codes of *one* autoencoder, that of Stable Diffusion 1.x. Another autoencoder has
# another one; it stands in its `config.json` as `scaling_factor`. Read it from there.
# </details>
#
# Repair it here (no points):

# %% nbgrader={"grade": false, "grade_id": "decode_any", "locked": false, "solution": true, "schema_version": 3}
def decode_any(autoencoder, latents):
    """Images in [-1, 1] from scaled latents, whichever the autoencoder is."""
    ### BEGIN SOLUTION
    unscaled = latents / autoencoder.config.scaling_factor
    with torch.no_grad():
        return autoencoder.decoder(autoencoder.post_quant(unscaled)).clamp(-1, 1)
    ### END SOLUTION


# %%
def largest_difference(function):
    try:
        return f"{(function(sd.autoencoder, latents) - sd.decode(latents)).abs().max():.3f}"
    except Exception as error:
        return type(error).__name__


print("yours, largest difference from the library:", largest_difference(decode_any))

# %% [markdown]
# ## 12. Can one tell?
#
# Chapter 5 closed with a detector: it knew its own generator and missed another's. A generator that *wants* to be recognised can do
# better: hide a pattern in the noise where the walk begins. DDIM without dice can be walked **backwards**, from the image to its
# noise, and there the pattern is looked for (Wen et al. 2023, *Tree-ring watermarks*).
#
# > **Predict.** Who can remove such a mark? Who cannot find it?

# %%
key = torch.randn(4, 8, 8, generator=torch.Generator().manual_seed(2026)).sign()
marked_start = torch.randn(24, 4, 8, 8, generator=torch.Generator().manual_seed(14)).abs() * key
plain_start = torch.randn(24, 4, 8, 8, generator=torch.Generator().manual_seed(15))
asked = scenes.test_scenes(24, 0, generator=torch.Generator().manual_seed(16)).captions(generator=None)


# %%
@torch.no_grad()
def walked_back(images, steps=20):
    """The noise from which the images may have been drawn: DDIM from low levels to high, without text."""
    x = tiny.encode(images, torch.zeros(len(images), 4, 8, 8))
    table, nothing = tiny.scheduler.alphas_cumprod, tiny.context([""]).expand(len(images), -1, -1)
    here = 1.0
    for t in tiny.scheduler.timesteps(steps).flip(0).tolist():
        eps = tiny.unet(x, torch.full((len(x),), t), nothing)
        there = table[t].item()
        x = there**0.5 * (x - (1 - here) ** 0.5 * eps) / here**0.5 + (1 - there) ** 0.5 * eps
        here = there
    return x


# %% tags=["nbval-ignore-output"]
found = {}
for start in (marked_start, plain_start):
    *_, last = tiny.text_to_image(asked, start, steps=20, scale=3.0)
    drawn = tiny.decode(last.x_t)
    noisy = (drawn + 0.1 * torch.randn_like(drawn)).clamp(-1, 1)
    for what, seen in {"as drawn": drawn, "with noise": noisy, "mirrored": drawn.flip(3)}.items():
        agrees = (walked_back(seen).sign() == key).float().mean(dim=(1, 2, 3))
        found.setdefault(what, []).append(f"{agrees.mean():.0%}")
plots.table(
    ("signs that agree with the key", "marked", "not marked"), found,
    caption="24 images each. 50% is chance. Whoever has no key sees nothing; whoever mirrors the image "
    "breaks this simple mark.",
)

# %% [markdown]
# A few points above chance: an image has 256 signs, so the share of a single image without a mark scatters by three points. One
# image is hard to call, two dozen are not. The walk back errs because it knows neither prompt nor guidance, and an encoder that
# is not exact comes on top. Real marks put their key into few, coarse waves of the noise, which survive more.

# %% [markdown]
# ### Where it came from, and what follows
#
# | year | | |
# |:---|:---|:---|
# | 2014 | GAN | images from noise, by a duel (chapters 4, 5) |
# | 2016 to 2020 | autoregressive models | pixel by pixel, then token by token; likelihoods, slow |
# | 2020 | DDPM | one loss, fine images (chapters 6 to 8) |
# | 2021 | DALL·E, CLIP, guidance | text and images in one space; a sentence as the condition |
# | 2022 | latent diffusion, Stable Diffusion | small enough for everybody's computer |
# | since | transformers in place of U-Nets, flow matching, few steps, video | the parts change, the roles stay |
#
# | task | where you did it |
# |:---|:---|
# | class-conditional images | chapters 5 and 8 |
# | text to image | here, section 4 |
# | super-resolution, colourisation | chapter 8, section 7 |
# | inpainting, and uncropping, which is inpainting outside | chapter 8, section 7; here, section 6 |
# | style transfer, image to image | chapter 5 (cycle); here, section 5 |
#
# Images of people who did not consent, in situations that never were, cost nothing now. What helps is not one thing: **consent** before
# a person's pictures or an artist's work are trained on; **provenance**, signed records of where a file came from (C2PA) and marks like
# the one above; **detection**, which ages with every new generator; and law. A mark shows that an image *is* generated. No absence of
# a mark shows that it is not.

# %% [markdown]
# ## Summary
#
# | idea | in one sentence | you wrote |
# |:---|:---|:---|
# | latents | walk where images are 48 times smaller | `sample_latents` |
# | cross-attention | each pixel looks words up | `cross_attention` |
# | guidance with text | exaggerate what the words change, away from another prompt | `guided_prediction` |
# | text to image | guided DDIM in latents, then decode | `text_to_latents` |
# | image to image | start half-way | `img2img_start` |
# | inpainting | put the known back in, as noisy as the rest | `inpaint_blend` |
# | LoRA | a thin product beside a frozen layer | `LoRALinear` |
# | ControlNet | a copy that sees more, joined by zeros | `ZeroConv2d` |
#
# ### Questions that come up
#
# - **Which guidance is best?** That depends on the model and on the steps: here about 5, for Stable Diffusion 7.5 is a habit.
#   Measure, as section 4 does.
# - **Is the text encoder trained with the U-Net?** Here yes, from nothing. Stable Diffusion took CLIP's, trained on image and text
#   pairs before, and left it as it was.
# - **Why are the sevens of no colour all alike?** Every caption of the training named a colour: what comes without one was never
#   learned. Models are right where their captions were.
# - **Are unseen pairs really unseen?** No training image shows them; a test makes sure. The digit and the colour were seen, each with
#   others.
# - **Can I use the pictures of the large model?** Its licence says for what; the law of your country says the rest.
#
# ### Further reading
#
# - Rombach et al., *High-resolution image synthesis with latent diffusion models*, CVPR 2022.
# - Hu et al., *LoRA: low-rank adaptation of large language models*, ICLR 2022.
# - Zhang, Rao and Agrawala, *Adding conditional control to text-to-image diffusion models*, ICCV 2023.
