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
# # 5 · DCGAN: convolutions, conditions, and what keeps two networks upright
#
# | You will be able to | Time | Device | Difficulty |
# |:---|:---|:---|:---|
# | build a convolutional GAN and tell it which digit to draw, measure whether its samples differ enough, keep its discriminator from growing too steep in two ways, judge and translate images patch by patch, and say what a detector of generated images is worth | 90 minutes | any laptop; no GPU, no network | 4 of 5 |
#
# *Predict* means: write your guess down, then run the cell. *Exercise* means: write a few lines, then run the check.

# %% tags=["nbval-ignore-output"]
import math

import torch
import torch.nn.functional as F
from torch import nn

from course_utils import dcgan, gan, plots, runtime, widgets
from course_utils.data import batches, colours, load, rescale, to_uint8
from course_utils.exercises import check, mine_or_reference
from course_utils.metrics import feature_distance
from course_utils.training import TrainStep, in_batches, load_card, load_checkpoint, seeded

profile = runtime.profile()
generator = torch.Generator().manual_seed(0)
print(f"{profile}. Live training in this chapter takes about a minute on two CPU cores.")

# %% [markdown]
# ## 1. The question
#
# The GAN of chapter 4 drew sharp digits, with grains of noise among the strokes. Its networks saw 784 numbers in a row and
# had to find out by themselves which pixels are neighbours. And it was a nervous thing: a little too much of this or that,
# and it drew one digit only, or none. This chapter asks two questions. What becomes better if the networks *know* that an
# image is an image? And what keeps the two from falling over?
#
# Below are sixteen latents, always the same, and what a convolutional GAN made of them while it was trained. The data are
# digits in $[-1, 1]$, as always with a tanh at the end.
#
# > **Predict.** Move the slider. What comes first: strokes, paper, or digits? Will an image keep its digit once it has one?

# %%
train_set = load("mnist", "train", value_range=(-1, 1))
test_set = load("mnist", "test", value_range=(-1, 1))
shipped, card = load_checkpoint("dcgan/mnist"), load_card("dcgan/mnist")
course = card.quality["by_update_1000_samples"]
frames = [plots.tile(images.split(8), (-1, 1)) for images in shipped.history]
captions = [
    f"After {step} updates: Fréchet distance {now['frechet']:.0f}, as varied as "
    f"{now['effective_digits']:.1f} equally frequent digits." for step, now in course.items()
]
widgets.FrameScrubber(
    frames, list(course), captions, title="Sixteen latents while a DCGAN learns",
    label="updates", index=len(frames) - 1,
)

# %% [markdown]
# The two numbers are those of the last chapters: the Fréchet distance of 1,000 samples to 1,000 test images, on the
# features of the course's classifier, and the exponential of the entropy of the digits that it reads.

# %% [markdown]
# ## 2. Networks that know what an image is
#
# A convolution looks at a small window and does the same everywhere. With stride 2 it halves an image; turned round, as a
# **transposed convolution**, it doubles one (chapter 1). Radford and colleagues found in 2016 which parts make a stable
# pair of such networks. Theirs are the **DCGAN**s, here for 28 × 28 pixels:
#
# | generator | numbers | discriminator | numbers |
# |:---|:---|:---|:---|
# | latent $z$ | 100 | image | 1 × 28 × 28 |
# | linear, then reshape | 256 × 7 × 7 | conv, LeakyReLU 0.2 | 64 × 14 × 14 |
# | transposed conv, BatchNorm, ReLU | 128 × 14 × 14 | conv, BatchNorm, LeakyReLU 0.2 | 128 × 7 × 7 |
# | transposed conv, tanh | 1 × 28 × 28 | conv, BatchNorm, LeakyReLU 0.2 | 256 × 3 × 3 |
# | | | flatten, linear | 1 logit |
#
# Every convolution, transposed or not, has kernel 4, stride 2, padding 1 and **no bias**; the linear layers have one. The
# kernel is a multiple of the stride on purpose: then every pixel is written by equally many windows, and no chequered
# pattern comes in by construction.
#
# BatchNorm normalises over a batch. So there are places where it must not stand: at the generator's output and on the
# discriminator's input side, where it would take away what all images have in common, for instance that paper is white.
#
# **Exercise 1.** The generator. `nz` is the number of latents.

# %% nbgrader={"grade": false, "grade_id": "Generator", "locked": false, "solution": true, "schema_version": 3}
class Generator(nn.Module):
    """Images (B, 1, 28, 28) in (-1, 1) from latents (B, nz); layers as in the table."""

    def __init__(self, nz=100):
        super().__init__()
        ### BEGIN SOLUTION
        self.layers = nn.Sequential(
            nn.Linear(nz, 256 * 7 * 7), nn.Unflatten(1, (256, 7, 7)),
            nn.ConvTranspose2d(256, 128, 4, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(128), nn.ReLU(),
            nn.ConvTranspose2d(128, 1, 4, stride=2, padding=1, bias=False), nn.Tanh(),
        )
        ### END SOLUTION

    def forward(self, z):
        """(B, nz) -> (B, 1, 28, 28)."""
        ### BEGIN SOLUTION
        return self.layers(z)
        ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "Generator-check", "locked": true, "points": 4, "solution": false, "schema_version": 3}
check("dcgan.Generator", Generator)

# %% [markdown]
# **Exercise 2.** The discriminator. It gives a **logit**, any number; the loss of chapter 4 knows what to do with it.

# %% nbgrader={"grade": false, "grade_id": "Discriminator", "locked": false, "solution": true, "schema_version": 3}
class Discriminator(nn.Module):
    """Logits (B, 1) of images (B, 1, 28, 28) in [-1, 1]; layers as in the table."""

    def __init__(self):
        super().__init__()
        ### BEGIN SOLUTION
        self.layers = nn.Sequential(
            nn.Conv2d(1, 64, 4, stride=2, padding=1, bias=False), nn.LeakyReLU(0.2),
            nn.Conv2d(64, 128, 4, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(128), nn.LeakyReLU(0.2),
            nn.Conv2d(128, 256, 4, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(256), nn.LeakyReLU(0.2),
            nn.Flatten(), nn.Linear(256 * 3 * 3, 1),
        )
        ### END SOLUTION

    def forward(self, x):
        """(B, 1, 28, 28) -> (B, 1)."""
        ### BEGIN SOLUTION
        return self.layers(x)
        ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "Discriminator-check", "locked": true, "points": 4, "solution": false, "schema_version": 3}
check("dcgan.Discriminator", Discriminator)

# %% [markdown]
# ### First weights
#
# The authors drew the first weights small: convolutions, transposed convolutions and linear layers from
# $\mathcal N(0, 0.02^2)$, the factors of BatchNorm from $\mathcal N(1, 0.02^2)$ and its biases 0. Here 0.02 is a standard
# deviation.
#
# **Exercise 3.** A function for *one* module that changes it in place. `network.apply(init_weights)` then calls it for
# each part of a network, large and small. Leave kinds of layer alone that are not named here.

# %% nbgrader={"grade": false, "grade_id": "init_weights", "locked": false, "solution": true, "schema_version": 3}
def init_weights(module):
    """First weights of a DCGAN, drawn in place. Returns nothing."""
    ### BEGIN SOLUTION
    if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)):
        nn.init.normal_(module.weight, 0.0, 0.02)
    elif isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
        nn.init.normal_(module.weight, 1.0, 0.02)
        nn.init.zeros_(module.bias)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "init_weights-check", "locked": true, "points": 3, "solution": false, "schema_version": 3}
check("dcgan.init_weights", init_weights)

# %% [markdown]
# > **Predict.** What does an untrained generator draw with these weights? And how sure is an untrained discriminator?

# %%
my_generator = mine_or_reference("dcgan.Generator", Generator)
my_discriminator = mine_or_reference("dcgan.Discriminator", Discriminator)
my_init = mine_or_reference("dcgan.init_weights", init_weights)
with seeded(0):
    pairs = {"PyTorch's own": (my_generator(100), my_discriminator())}
    pairs["N(0, 0.02²)"] = my_generator(100), my_discriminator()
    for network in pairs["N(0, 0.02²)"]:
        network.apply(my_init)
z = torch.randn(64, 100, generator=torch.Generator().manual_seed(1))
for name, (G, D) in pairs.items():
    with torch.no_grad():
        fakes, logits = G(z), D(test_set.images[:64])
    print(f"{name:14s} pixels: mean {fakes.mean():5.2f}, standard deviation {fakes.std():.2f};  "
          f"logits of digits: standard deviation {logits.std():.2f}")

# %% [markdown]
# Grey images and a discriminator without an opinion. The tanh is far from its ends, where it has no slope, and neither
# player begins with a lead.
#
# ### Train yours
#
# The steps are those of chapter 4: real and fake pass through $D$ as separate batches (BatchNorm would mix their
# statistics otherwise), fakes are cut off from $G$ in the step of $D$. Both have an Adam with rate 0.0002 and
# $\beta_1 = 0.5$ instead of 0.9: a shorter memory of directions, since the other player changes them all the time.
#
# > **Predict.** You have seen the slider. How far will you come in as many updates as the next cell makes?

# %% tags=["nbval-ignore-output"]
def quick(network):
    def run(x):
        with profile.autocast():
            return network(x).float()
    return run


# %% tags=["nbval-ignore-output"]
def rounds(G, D, images, steps, nz=100, lr=2e-4, size=64):
    adams = [torch.optim.Adam(one.parameters(), lr=lr, betas=(0.5, 0.999)) for one in (D, G)]
    stream = batches(images, size, generator=generator)
    for step in range(1, steps + 1):
        real = next(stream).to(profile.device)
        z = torch.randn(2, len(real), nz, generator=generator).to(real.device)
        loss = gan.discriminator_step(quick(G), quick(D), real, z[0], adams[0])
        gan.generator_step(quick(G), quick(D), z[1], adams[1])
        yield TrainStep(step, loss)


# %% tags=["nbval-ignore-output"]
G, D = (network.to(profile.device) for network in pairs["N(0, 0.02²)"])
steps = profile.pick(ci=3, cpu=100, gpu=2500)
records = rounds(G, D, train_set.images, steps)
for _ in plots.watch(records, steps, label="your DCGAN", ylabel="discriminator's loss"):
    pass

# %% tags=["nbval-ignore-output"]
G = G.cpu().eval()
z = torch.randn(16, 100, generator=torch.Generator().manual_seed(1))
with torch.no_grad():
    rows = {f"yours, {steps} updates": G(z)}
for stop in (100, 500, card.steps):
    rows[f"shipped, {stop:,}"] = shipped.history[shipped.stops.index(stop)]
plots.image_rows(
    {name: x[:12] for name, x in rows.items()}, (-1, 1), height=0.7,
    alt="Four rows of samples: yours, and the shipped generator's after 100, 500 and all updates.",
    caption=f"A batch is 64 images. {card.steps:,} updates are {card.steps * 64 / 60000:.1f} rounds "
    "through the training set.",
)

# %% [markdown]
# How good, beside what you have met so far? 10,000 samples each, against the 10,000 test images:

# %%
found = {
    "VAE, chapter 3": load_card("vae/latent-32").quality["frechet_of_samples"],
    "DCGAN": card.quality["frechet"],
    "real digits (the floor)": card.quality["floor_training_images"]["frechet"],
}
plots.table(
    ("samples of", "Fréchet distance"), {name: [f"{far:.1f}"] for name, far in found.items()},
    caption="On 128 features of the course's classifier, N = 10,000. Smaller is better.",
)

# %% [markdown]
# ## 3. A walk through latents
#
# Has it learned what a digit is, or sixty thousand pictures by heart? One test: walk from latent to latent. A memory
# would jump from picture to picture. Here are four latents in the corners of a square, and all mixtures between them,
# each brought to the length of a usual latent: 100 normal numbers have a length of about 10, and hardly any other.
#
# > **Predict.** Will there be places that show no digit at all? Could there be a network without them?

# %%
judge, side = load_checkpoint("classifier/mnist"), 13
corners = torch.randn(2, 2, 100, generator=torch.Generator().manual_seed(14))
share = torch.linspace(0, 1, side)
weights = torch.stack([1 - share, share])
plane = torch.einsum("ai,bj,abn->ijn", weights, weights, corners)
plane = math.sqrt(100) * F.normalize(plane, dim=-1)
drawn = in_batches(shipped, plane.flatten(0, 1))
read = in_batches(judge, rescale(drawn, (-1, 1), (0, 1)))
sure, digit = (x.view(side, side).tolist() for x in read.softmax(dim=1).max(dim=1))


# %%
stops = [f"{value:.2f}" for value in share]
sentences = [
    [f"{down} of the way down, {across} across: the classifier reads {digit[i][j]}, with "
     f"probability {sure[i][j]:.2f}." for j, across in enumerate(stops)]
    for i, down in enumerate(stops)
]
widgets.LatentWalk(
    to_uint8(drawn.view(side, side, 28, 28), (-1, 1)), (stops, stops), sentences,
    title="Between four latents", labels=("down", "across"), row=6, column=6,
)

# %% [markdown]
# Images change little by little, and on the border between two digits stands something that is neither. It must be so: the
# generator is a continuous function, and its latents are one connected cloud. Digits are ten clouds. Whatever leads from
# one to the next has to pass through the gap.
#
# A second test: how near is the nearest training image? For samples, and for real images that the network never saw:

# %%
z = torch.randn(200, 100, generator=torch.Generator().manual_seed(2))
compared = {"samples": in_batches(shipped, z), "test images": test_set.images[:200]}
for name, images in compared.items():
    nearest = torch.cdist(images.flatten(1), train_set.images.flatten(1)).min(dim=1).values
    print(f"{name:12s} nearest of 60,000 training images: {nearest.mean():.1f} away on average, "
          f"at least {nearest.min():.1f}")

# %% [markdown]
# ## 4. Ask for a digit
#
# So far you get what comes. A **conditional** GAN is told the class. The generator gets it with its latent: each class
# has a row of $E$ learned numbers (an **embedding**), and these are put behind the numbers of $z$.
#
# **Exercise 4.** The longer latent: $z$ first. `embedding` turns labels `(B,)` into numbers `(B, E)`.

# %% nbgrader={"grade": false, "grade_id": "condition_latent", "locked": false, "solution": true, "schema_version": 3}
def condition_latent(z, labels, embedding):
    """Latents that name their class. z (B,nz); labels (B,) int64. Returns (B, nz + E)."""
    ### BEGIN SOLUTION
    return torch.cat([z, embedding(labels)], dim=1)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "condition_latent-check", "locked": true, "points": 2, "solution": false, "schema_version": 3}
check("dcgan.condition_latent", condition_latent)

# %% [markdown]
# The discriminator must be told, too. Otherwise a fine 3 passes for an 8. Its layers are convolutions, so the label comes
# as **label maps**: ten more channels, the one of the class white everywhere, the others black. Now its question is: is
# this a real image *of that class*?
#
# The shipped conditional GAN is half as wide as yours: 32 numbers and 8 of the class. Your function joins them.
#
# > **Predict.** One latent in each row, one class in each column: what will images of a row have in common? Nobody told
# > the network that there is such a thing as style.

# %%
my_condition = mine_or_reference("dcgan.condition_latent", condition_latent)
told, told_card = load_checkpoint("dcgan/conditional"), load_card("dcgan/conditional")
ends = torch.randn(2, 6, 32, generator=torch.Generator().manual_seed(3))
labels = torch.arange(10).repeat(6)
frames, captions, angles = [], [], range(0, 91, 10)
for degrees in angles:
    turn = math.radians(degrees)
    z = (math.cos(turn) * ends[0] + math.sin(turn) * ends[1]).repeat_interleave(10, dim=0)
    with torch.no_grad():
        images = told.generator(my_condition(z, labels, told.embedding))
        right = judge(rescale(images, (-1, 1), (0, 1))).argmax(dim=1) == labels
    frames.append(plots.tile(images.split(10), (-1, 1)))
    captions.append(f"{degrees}° of the way from one style to another: the classifier reads "
                    f"{right.sum()} of 60 as asked for.")

# %%
widgets.FrameScrubber(
    frames, list(angles), captions, title="Ten classes, six styles", label="style",
    unit="degrees", row_labels=[f"z{row}" for row in range(1, 7)],
)

# %% [markdown]
# A row shares slant, width and pen. Class and style have come apart by themselves: what the embedding says already, $z$
# need not say again.
#
# ### Obedient, but varied?
#
# 10,000 images, a thousand of each class. The classifier reads what was asked for in

# %%
q = told_card.quality
print(f"{100 * q['class_accuracy']:.1f}% of the generated images, and in "
      f"{100 * q['class_accuracy_test_images']:.1f}% of real test images.")
print(f"Fréchet distance, N = 10,000: {q['frechet']:.1f}; of the one that is not told: "
      f"{card.quality['frechet']:.1f}; floor {q['floor_training_images']['frechet']:.1f}")

# %% [markdown]
# Told the class, it also draws better. (It was trained for longer, too: 4.3 rounds through the training set against 2.7. So
# not all of this is owed to the labels.)
#
# But is it good? High accuracy is easily had: draw one perfect 3 whenever a 3 is asked for. A generator that does so has **collapsed
# within its classes**, and no classifier will complain. So measure how different images of one class are. The simplest
# measure is the mean distance of two of them, over all pairs:
#
# $$ \text{diversity} = \frac{2}{B(B-1)} \sum_{i < j} \lVert x_i - x_j \rVert_2 $$
#
# **Exercise 5.** Each pair once, no image with itself. The length runs over all channels and pixels.

# %% nbgrader={"grade": false, "grade_id": "pairwise_diversity", "locked": false, "solution": true, "schema_version": 3}
def pairwise_diversity(x):
    """Mean L2 distance of the distinct pairs of images x (B,C,H,W), B >= 2. Returns a scalar."""
    ### BEGIN SOLUTION
    return F.pdist(x.flatten(1)).mean()
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "pairwise_diversity-check", "locked": true, "points": 3, "solution": false, "schema_version": 3}
check("dcgan.pairwise_diversity", pairwise_diversity)

# %% [markdown]
# > **Predict.** For one perfect digit, repeated: 0. For pure noise: more than for data, or less? So is more always better?

# %%
my_diversity = mine_or_reference("dcgan.pairwise_diversity", pairwise_diversity)
z = torch.randn(2000, 32, generator=torch.Generator().manual_seed(4))
asked = torch.arange(10).repeat(200)
with torch.no_grad():
    sets = {
        "real": train_set[10_000:].balanced(200),
        "conditional GAN": (told(z, asked), asked),
        "one good digit a class": (told(z[:10], asked[:10]).repeat(200, 1, 1, 1), asked),
        "noise": (torch.rand(2000, 1, 28, 28, generator=torch.Generator().manual_seed(5)) * 2 - 1, asked),
    }
sets["real"] = sets["real"].images, sets["real"].labels
within = {
    name: [my_diversity(x[labels == k]).item() for k in range(10)] for name, (x, labels) in sets.items()
}

# %%
plots.table(
    ("digit", *"0123456789", "mean"),
    {name: [f"{value:.1f}" for value in [*row, sum(row) / 10]] for name, row in within.items()},
    caption="Mean distance of two images of one class, 200 each, pixels in [-1, 1].",
)

# %% [markdown]
# The data say what is enough: below it, something is missing; above it, something is there that does not belong. Ones
# differ least, for data and model alike. No single number says all of it. Accuracy, diversity and Fréchet distance each
# catch a failure that another one lets pass:

# %%
def verdict(images, labels):
    x = rescale(images, (-1, 1), (0, 1))
    accuracy = (in_batches(judge, x).argmax(dim=1) == labels).double().mean()
    ratio = sum(my_diversity(images[labels == k]).item() for k in range(10)) / sum(within["real"])
    far = feature_distance(judge.features, x, rescale(train_set.images[:1000], (-1, 1), (0, 1)))
    return [f"{100 * accuracy:.1f}%", f"{100 * ratio:.0f}%", f"{far:.0f}"]


half = torch.arange(2000) % 20 < 10  # a hundred of each class, in whichever order they come
plots.table(
    ("", "read as asked for", "diversity, share of the data's", "Fréchet distance"),
    {name: verdict(x[half], labels[half]) for name, (x, labels) in sets.items()},
    caption="1,000 images each, a hundred of each class; distance to 1,000 training images that are in none "
    "of the sets.",
)

# %% [markdown]
# ## 5. What keeps two networks upright
#
# Why does training fall over? Think of $D$ as a landscape over all images: high where images look real, low where they
# look generated. The generator walks uphill. If $D$ is nearly perfect, its landscape is a plain, a cliff, and another
# plain: on the plains there is no uphill, on the cliff there is far too much of it. Nearly all cures say the same: **$D$
# must not be steep.**
#
# ### 5.1 A penalty on the slope
#
# WGAN-GP drops the probability. A **critic** gives any score; it shall be high for real images $x$ and low for fakes
# $\tilde x$, and its slope shall be 1 between them:
#
# $$ L = \mathbb E[\,C(\tilde x)\,] - \mathbb E[\,C(x)\,] + \lambda\, \mathbb E\big[(\lVert \nabla_{\hat x} C(\hat x) \rVert_2 - 1)^2\big], \qquad \hat x = m\, x + (1 - m)\, \tilde x $$
#
# With slopes bounded by 1, the first two terms estimate the **Wasserstein distance**, the least work to move one heap of
# images onto the other, and that has a slope everywhere. $m$ is a random share, one for each image. The gradient is
# taken with respect to the *image*, and the penalty is differentiated again, by the critic's weights.
#
# **Exercise 6.** The penalty, without the $\lambda$. `torch.autograd.grad` gives the gradient of a sum of scores; its
# argument `create_graph` decides whether one can differentiate once more.

# %% nbgrader={"grade": false, "grade_id": "gradient_penalty", "locked": false, "solution": true, "schema_version": 3}
def gradient_penalty(critic, real, fake, mix):
    """Mean of (length of the critic's gradient - 1)² at mixtures. mix (B,1,1,1). Returns a scalar."""
    ### BEGIN SOLUTION
    x = (mix * real + (1 - mix) * fake).detach().requires_grad_()
    gradient = torch.autograd.grad(critic(x).sum(), x, create_graph=True)[0]
    return ((gradient.flatten(1).norm(dim=1) - 1) ** 2).mean()
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "gradient_penalty-check", "locked": true, "points": 5, "solution": false, "schema_version": 3}
check("dcgan.gradient_penalty", gradient_penalty)

# %% [markdown]
# Train two small critics to tell real digits from the shipped generator's, the generator standing still: one with your
# penalty, one without. A critic has no BatchNorm, since an image's slope must be its own.
#
# > **Predict.** What is there to stop the score of the one without?

# %% tags=["nbval-ignore-output"]
my_penalty = mine_or_reference("dcgan.gradient_penalty", gradient_penalty)


def train_critic(weight, steps):
    with seeded(0):
        critic = dcgan.Discriminator((16, 32, 64), batch_norm=False)
    adam = torch.optim.Adam(critic.parameters(), lr=1e-3, betas=(0.5, 0.999))
    draw = torch.Generator().manual_seed(0)
    stream = batches(train_set.images, 32, generator=draw)
    for _ in range(steps):
        real = next(stream)
        fake = in_batches(shipped, torch.randn(len(real), 100, generator=draw))
        mix = torch.rand(len(real), 1, 1, 1, generator=draw)
        gap = critic(real).mean() - critic(fake).mean()
        loss = -gap + weight * my_penalty(critic, real, fake, mix)
        adam.zero_grad()
        loss.backward()
        adam.step()
        yield gap.item()


# %% tags=["nbval-ignore-output"]
critic_steps = profile.pick(ci=5, cpu=80, gpu=500)
curves = {
    name: (range(1, critic_steps + 1), list(train_critic(weight, critic_steps)))
    for name, weight in (("without", 0.0), ("with penalty", 10.0))
}
plots.lines(
    curves, xlabel="update of the critic", ylabel="mean score, real minus fake", height=2.8,
    colours=(plots.NOISE, plots.MODEL), yscale="symlog",
    alt="The score gap of the critic without a penalty grows and grows; with it, it levels off.",
    caption="Without a bound on the slope a critic need only multiply its scores. With it, the gap "
    "estimates a distance. Above 1 the axis is logarithmic.",
)

# %% [markdown]
# ### 5.2 Layers that stretch nothing
#
# A penalty asks for a small slope at some places. **Spectral normalisation** builds it in everywhere. A linear layer $W$
# stretches no vector by more than its **spectral norm** $\sigma(W)$, its largest singular value. LeakyReLU stretches
# nothing. So the slope of a network of linear layers is at most the product of their $\sigma$. Divide each weight by its
# own $\sigma$, and the product is 1. For a convolution, $W$ acts on one window; ours overlap, each pixel lies in four of
# them, so that a layer of $\sigma = 1$ may stretch an image up to twofold. That is a constant, and it does not grow.
#
# A singular value decomposition in each step would be dear. A **power iteration** is cheap: send a vector $u$ to and fro
# through the matrix, and it turns to the direction that is stretched most:
#
# $$ v \leftarrow \frac{W^\top u}{\lVert W^\top u \rVert}, \qquad u \leftarrow \frac{W v}{\lVert W v \rVert}, \qquad \sigma \approx u^\top W v $$
#
# **Exercise 7.** `n_iter` rounds from the given `u`, then $\sigma$. Weights of convolutions have four dimensions: the
# matrix is `(out, everything else)`.

# %% nbgrader={"grade": false, "grade_id": "spectral_norm", "locked": false, "solution": true, "schema_version": 3}
def spectral_norm(weight, u, n_iter):
    """The largest singular value of a weight (out, ...), estimated from u (out,). Returns a scalar."""
    ### BEGIN SOLUTION
    matrix = weight.flatten(1)
    for _ in range(n_iter):
        v = F.normalize(matrix.T @ u, dim=0)
        u = F.normalize(matrix @ v, dim=0)
    return u @ matrix @ v
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "spectral_norm-check", "locked": true, "points": 4, "solution": false, "schema_version": 3}
check("dcgan.spectral_norm", spectral_norm)

# %% [markdown]
# > **Predict.** How many rounds until the estimate is within 1% of the truth: 1, 10, 100?

# %%
my_sigma = mine_or_reference("dcgan.spectral_norm", spectral_norm)
with seeded(0):
    fresh = dcgan.Discriminator()
tries, off = (1, 2, 5, 10, 20, 50), {}
for number, layer in enumerate((x for x in fresh.layers if isinstance(x, nn.Conv2d)), start=1):
    weight = layer.weight.detach()
    exact = torch.linalg.matrix_norm(weight.flatten(1), ord=2)
    u = torch.randn(len(weight), generator=torch.Generator().manual_seed(6))
    off[f"conv {number}"] = (tries, [100 * (1 - my_sigma(weight, u, n) / exact).item() for n in tries])
plots.lines(
    off, xlabel="rounds", ylabel="below the exact value, %", markers=True, height=2.6, xscale="log",
    alt="Three falling curves: after 10 rounds the estimates are a few percent too small at most.",
    caption="A single round is rough. In training u is kept from step to step while weights move "
    "little, so that one round a step suffices.",
)

# %% [markdown]
# ### Does it help?
#
# A small DCGAN, trained for 300 updates with ever higher learning rates, from three seeds each, with four kinds of
# discriminator: with nothing, with BatchNorm (as yours), with spectral norm, and a critic with a gradient penalty.
#
# > **Predict.** Which one breaks first? Is there a rate at which "nothing" is fine?

# %%
table_card, sheet = load_card("dcgan/stability"), load_checkpoint("dcgan/stability")
runs = table_card.quality["by_variant_rate_seed_and_update_500_samples"]
kinds = ("nothing", "batch norm", "spectral norm", "gradient penalty")
rates = ("0.003", "0.01", "0.03")
updates = [int(step) for step in runs["nothing, 0.03"]["0"]]


def distances(kind, rate):
    """(seeds, updates)."""
    seeds = runs[f"{kind}, {rate}"].values()
    return torch.tensor([[now["frechet"] for now in run.values()] for run in seeds])


def at_the_end(kind, rate, between):
    return between.join(f"{far:.0f}" for far in distances(kind, rate)[:, -1].sort().values)


# %%
curves, shown = {}, ("nothing", "spectral norm")
for kind in shown:
    over_seeds = torch.stack([distances(kind, rate) for rate in rates])  # (rates, seeds, updates)
    name = "on" if kind == "spectral norm" else "off"
    curves[f"{name}, middle run"] = over_seeds.median(dim=1).values
    curves[f"{name}, worst run"] = over_seeds.amax(dim=1)
widgets.CurveScrubber(
    updates, curves, rates,
    [f"Rate {rate}: in the end {at_the_end('nothing', rate, ', ')} with nothing, "
     f"{at_the_end('spectral norm', rate, ', ')} with spectral norm." for rate in rates],
    title="Spectral norm, off (above) and on (below)", label="learning rate", xlabel="updates",
    ylabel="Fréchet distance", log_y=True, index=len(rates) - 1,
    images=[plots.tile([x for kind in shown for x in sheet[f"{kind}, {rate}"].split(4)], (0, 1))
            for rate in rates],
)

# %%
plots.table(
    ("discriminator with", *(f"rate {rate}" for rate in rates)),
    {kind: [at_the_end(kind, rate, " / ") for rate in rates] for kind in kinds},
    caption=f"Fréchet distance after {updates[-1]} updates, three seeds each, 500 samples; floor "
    f"{table_card.quality['floor_training_images']['frechet']:.0f}. Smaller is better.",
)

# %% [markdown]
# Read the table by its worst runs. At the two lower rates nothing breaks, and no column beats the others by more than
# chance would: spectral norm does not make good training better. At 0.03 one run of three without anything ends with a
# grey page, and the critic with its penalty fails in all three: its scores have no bounds, so with large steps they run
# away. BatchNorm and spectral norm hold in every run. Three seeds are few: they show that a failure can happen, and not
# how often it does.

# %% [markdown]
# ## 6. The same network, larger
#
# The original DCGAN draws 64 × 64 pixels in colour, with one more doubling. In `course_utils` that is a matter of
# arguments:

# %%
big_G, big_D = dcgan.Generator(100, **dcgan.GENERATOR_64), dcgan.Discriminator(**dcgan.DISCRIMINATOR_64)
x = torch.randn(2, 100, generator=torch.Generator().manual_seed(7))
for layer in big_G.layers:
    x = layer(x)
    if isinstance(layer, (nn.Unflatten, nn.ConvTranspose2d)):
        print(" x ".join(str(n) for n in x.shape[1:]))
count = {name: sum(p.numel() for p in one.parameters()) / 1e6 for name, one in (("G", big_G), ("D", big_D))}
print(f"{count['G']:.1f} million weights in G, {count['D']:.1f} million in D; logits {tuple(big_D(x).shape)}")

# %% [markdown]
# Does it train? On a laptop we take an eighth of the channels, and digits twice as large, painted in random colours.

# %% tags=["nbval-ignore-output"]
hues = 2 * math.pi * torch.rand(5000, generator=torch.Generator().manual_seed(8))
grey = F.interpolate(load("mnist", "train", size=32).images[:5000], scale_factor=2)
painted = rescale(colours.paint(grey, hues), (0, 1), (-1, 1))
with seeded(0):
    thin_G = dcgan.Generator(100, (64, 32, 16, 8), image_channels=3, start=4)
    thin_D = dcgan.Discriminator((8, 16, 32, 64), image_channels=3, size=64)
for network in (thin_G, thin_D):
    network.apply(my_init).to(profile.device)
steps = profile.pick(ci=3, cpu=200, gpu=3000)
records = rounds(thin_G, thin_D, painted, steps, lr=5e-3, size=32)
for _ in plots.watch(records, steps, label="64 x 64 in colour", ylabel="discriminator's loss"):
    pass

# %% tags=["nbval-ignore-output"]
z = torch.randn(10, 100, generator=torch.Generator().manual_seed(9))
rows = [painted[:10], in_batches(thin_G.cpu().eval(), z)]
picture = torch.cat([torch.cat(list(row), dim=2) for row in rows], dim=1).permute(1, 2, 0)
fig, axes = plots.figure(
    8, 1.8, alt="Painted digits above, samples of the small colour generator below.",
    caption=f"Data above, samples after {steps} updates below: blobs in colour, on their way. A GPU "
    "takes them further in a minute.",
)
axes[0, 0].imshow(to_uint8(picture, (-1, 1)))
axes[0, 0].set_axis_off()
fig

# %% [markdown]
# ## 7. From image to image
#
# ### 7.1 A judge of patches
#
# Must a discriminator see the whole image? Where an input image already says what goes where (a sketch, a map, a
# photograph by day), what is left to judge is texture. A **PatchGAN** discriminator has convolutions only and no last
# linear layer. It gives a *map* of logits, each from a patch of the image. How large a patch? Go back from one output: a
# layer with kernel $k$ and stride $s$ turns a size $n$ into $(n - 1)\,s + k$.
#
# **Exercise 8.** `layers` lists `(kernel, stride)` from the image on. So where do you begin?

# %% nbgrader={"grade": false, "grade_id": "patch_receptive_field", "locked": false, "solution": true, "schema_version": 3}
def patch_receptive_field(layers):
    """Side of the patch that one output sees, in pixels. layers: [(kernel, stride), ...]. Returns an int."""
    ### BEGIN SOLUTION
    size = 1
    for kernel, stride in reversed(layers):
        size = (size - 1) * stride + kernel
    return size
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "patch_receptive_field-check", "locked": true, "points": 3, "solution": false, "schema_version": 3}
check("dcgan.patch_receptive_field", patch_receptive_field)

# %%
my_field = mine_or_reference("dcgan.patch_receptive_field", patch_receptive_field)
stacks = {
    "pix2pix": [(4, 2), (4, 2), (4, 2), (4, 1), (4, 1)],
    "ours": [(4, 2), (3, 1), (3, 1)],
    "your discriminator": [(4, 2), (4, 2), (4, 2), (3, 1)],
}
for name, layers in stacks.items():
    print(f"{name:18s} {my_field(layers)} pixels")

# %% [markdown]
# The "70 × 70 PatchGAN" of pix2pix is the first line. Your own discriminator sees all 28 pixels, and the frame of padding.
#
# Below a small one is trained on real digits and on digits that were blurred in one place. It learns only "real" or
# "fake" of the whole image, never where.
#
# > **Predict.** Will its map point to the place?

# %%
def damaged(x, draw):
    """Each digit blurred within a square of 12 pixels somewhere in the middle, and the square."""
    corner = torch.randint(4, 13, (len(x), 2), generator=draw)
    at = torch.arange(28)
    inside = [((at >= c[:, None]) & (at < c[:, None] + 12)) for c in corner.unbind(dim=1)]
    square = (inside[0][:, :, None] & inside[1][:, None, :])[:, None]
    return torch.where(square, F.avg_pool2d(x, 5, stride=1, padding=2, count_include_pad=False), x), square


# %% tags=["nbval-ignore-output"]
with seeded(0):
    patches = dcgan.PatchDiscriminator(stacks["ours"])
adam = torch.optim.Adam(patches.parameters(), lr=2e-3)
draw = torch.Generator().manual_seed(0)
stream = batches(train_set.images, 64, generator=draw)
patch_steps = profile.pick(ci=5, cpu=150, gpu=500)
for _ in range(patch_steps):
    real, other = next(stream), next(stream)
    loss = gan.discriminator_loss(patches(real), patches(damaged(other, draw)[0]))
    adam.zero_grad()
    loss.backward()
    adam.step()
print(f"loss {loss.item():.2f} after {patch_steps} updates; 1.39 would be guessing")

# %% tags=["nbval-ignore-output"]
hurt, square = damaged(test_set.images[:500], torch.Generator().manual_seed(1))
suspicion = F.interpolate(-in_batches(patches, hurt), size=28, mode="bilinear")
worst = F.one_hot(suspicion.flatten(1).argmax(dim=1), 784).view(-1, 1, 28, 28).bool()
hits = (worst & square).any(dim=(1, 2, 3)).float().mean()
low, high = suspicion[:10].amin(dim=(1, 2, 3), keepdim=True), suspicion[:10].amax(dim=(1, 2, 3), keepdim=True)
rows = {
    "digit": hurt[:10], "blurred here": square[:10].float() * 2 - 1,
    "suspicion": 2 * (suspicion[:10] - low) / (high - low) - 1,
}
plots.image_rows(
    rows, (-1, 1), height=0.75,
    alt="Ten digits, the squares in which they were blurred, and maps that are dark in the squares.",
    caption=f"The most suspicious place lies in the blurred square in {100 * hits:.0f}% of 500 test images; "
    f"by chance it would be {100 * square.float().mean():.0f}%.",
)

# %% [markdown]
# ### 7.2 There and back again
#
# Translate digits to outlines, and outlines to digits: easy with pairs. **CycleGAN** does without. It has a heap of
# digits and a heap of outlines *of other digits*, two translators, $G$ there and $F$ back, and a patch judge for each
# heap. The judges alone would be content with any outline. What ties an outline to its digit is the **cycle**: back again,
# it must be the digit that it came from.
#
# $$ L = \text{both judges fooled} + \lambda\,\big(\lVert F(G(x)) - x \rVert_1 + \lVert G(F(y)) - y \rVert_1\big) $$
#
# > **Predict.** For test images we know the right outline. What will go wrong with $\lambda = 0$?

# %%
pair, cycle_card = load_checkpoint("dcgan/cycle"), load_card("dcgan/cycle")
x = test_set.balanced(1).images
there = in_batches(pair.there, x)
rows = {
    "digit": x, "outline, made": there, "outline, right": dcgan.outlined(x),
    "and back": in_batches(pair.back, there),
    "outline filled": in_batches(pair.back, dcgan.outlined(x)),
}
plots.image_rows(
    rows, (-1, 1), height=0.7,
    alt="Ten digits, their outlines as made by the network and as they should be, and the way back.",
    caption="No pair was ever shown to the network.",
)

# %%
ways = {"with the cycle": "with_cycle", "judges alone": "without_cycle"}
plots.table(
    ("trained", "outline, error", "there and back, error", "filled outline, error", "digit still read"),
    {name: [*(f"{cycle_card.quality[key][figure]:.3f}" for figure in
              ("outline_error_l1", "cycle_error_l1", "digit_error_l1")),
            f"{100 * cycle_card.quality[key]['digit_accuracy']:.0f}%"] for name, key in ways.items()},
    caption="Mean absolute error a pixel in [-1, 1] on 10,000 test images. A blank page would be off by "
    f"{cycle_card.quality['with_cycle']['blank_outline_error_l1']:.3f} and "
    f"{cycle_card.quality['with_cycle']['blank_digit_error_l1']:.3f}.",
)

# %% [markdown]
# The fourth column says what the cycle is for: without it, most digits do not survive. The first column looks like a
# failure, and the picture above does not. Compare pixel by pixel, moved a little:

# %%
right, made = dcgan.outlined(test_set.images[:2000]), in_batches(pair.there, test_set.images[:2000])
errors = {
    (down, across): F.l1_loss(made.roll((down, across), dims=(2, 3)), right).item()
    for down in (-1, 0, 1) for across in (-1, 0, 1)
}
best = min(errors, key=errors.get)
print(f"error as it is: {errors[0, 0]:.3f}")
print(f"moved by {best[0]} down and {best[1]} across: {errors[best]:.3f}")

# %% [markdown]
# The outlines are right, and a pixel off. Nothing in the loss forbids that: a judge of patches does not know where a patch
# lies, and what is moved on the way there is moved back on the way back. Whatever a cycle can undo, it cannot forbid. With
# pairs, that would not happen.

# %% [markdown]
# ## 8. Ten years of GANs on one page
#
# | architecture | year | what was new | where it is here |
# |:---|:---|:---|:---|
# | conditional GAN | 2014 | both networks are told the class | section 4 |
# | DCGAN | 2015 | convolutions, BatchNorm and the right first weights | section 2 |
# | pix2pix, PatchGAN | 2016 | translation with pairs; the judge sees patches | section 7.1 |
# | CycleGAN | 2017 | translation without pairs, tied by the way back | section 7.2 |
# | WGAN-GP | 2017 | a distance instead of a probability; the slope is penalised | section 5.1 |
# | ProGAN | 2017 | begins with 4 × 4 pixels and adds layers up to 1024 × 1024 | |
# | BigGAN | 2018 | large batches and networks, spectral norm, 1000 classes of ImageNet; cuts off rare latents for quality | section 5.2 has its norm |
# | StyleGAN | 2018 | a learned map from $z$ to styles, which enter at every layer; noise for freckles and hair | |
#
# Years are those of the first preprints.

# %% [markdown]
# ## 9. What is it good for, and what is it used for?
#
# The networks of this chapter draw digits. Larger ones draw faces of people who do not exist, and put the faces of people
# who do into films that they never acted in: **deepfakes**. The technique does not ask for consent. Most harm so far has
# been done to private people, mostly women, by pictures made without it; then come fraud with cloned voices and faces, and
# doubt about pictures that are true.
#
# Some questions before you publish a generator or its pictures. Did the people in the training data **agree**? Would the
# person in the picture? Will whoever sees it **know** that it was generated? In many countries the law has begun to ask
# these, too; the EU's AI Act demands that deepfakes be labelled.
#
# Three kinds of technical help, none of them enough:
#
# | kind | how | what it cannot do |
# |:---|:---|:---|
# | **provenance** | camera or program signs a file's history (C2PA, "content credentials") | says where a file comes from, not that it is true; is lost when a file is stripped or photographed anew; a missing signature proves nothing |
# | **watermark** | the generator hides a pattern in every picture | does not mark other people's generators; may be weakened by cropping, noise or re-generation |
# | **detection** | a classifier, real against generated | see below |
#
# > **Predict.** A small classifier, trained for seconds on real digits and on samples of your DCGAN's big sister: how many
# > new samples will it catch, if 5% false alarms are allowed? And how many of *another* generator's?

# %%
def samples_of(network, count, seed):
    draw = torch.Generator().manual_seed(seed)
    z = torch.randn(count, network.nz, generator=draw)
    labels = torch.randint(10, (count,), generator=draw)
    with torch.no_grad():
        return network(z, labels) if network is told else network(z)


# %% tags=["nbval-ignore-output"]
def train_detector(real, fakes, steps):
    with seeded(0):
        detector = dcgan.Discriminator((16, 32, 64))
    adam, draw = torch.optim.Adam(detector.parameters(), lr=2e-3), torch.Generator().manual_seed(0)
    slower = torch.optim.lr_scheduler.CosineAnnealingLR(adam, steps)
    streams = [batches(x, 32, generator=draw) for x in (real, fakes)]
    for _ in range(steps):
        both = next(streams[0]), next(streams[1])
        logits = detector(torch.cat(both)).split([len(x) for x in both])
        loss = gan.discriminator_loss(*logits)
        adam.zero_grad()
        loss.backward()
        adam.step(), slower.step()
    return detector.eval()


# %% tags=["nbval-ignore-output"]
def disguised(x):  # yours to change: blur, shift, add noise, round ...
    return F.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False)


exam = {
    "real": test_set.images[:1000], "DCGAN": samples_of(shipped, 1000, seed=11),
    "DCGAN, disguised": disguised(samples_of(shipped, 1000, seed=11)),
    "conditional GAN": samples_of(told, 1000, seed=12), "real, disguised": disguised(test_set.images[:1000]),
}


def flagged(detector, held_out):
    threshold = in_batches(detector, held_out).quantile(0.05)
    return [f"{100 * (in_batches(detector, x) < threshold).float().mean():.0f}%" for x in exam.values()]


# %% tags=["nbval-ignore-output"]
detector_steps = profile.pick(ci=5, cpu=500, gpu=3000)
known = samples_of(shipped, 8000, seed=20)
first = train_detector(train_set.images[:8000], known, detector_steps)
answers = {"first detector": flagged(first, train_set.images[50_000:52_000])}
plots.table(
    ("flagged as generated", *exam), answers,
    caption="1,000 images each that the detector has not seen. Its threshold is such that 5% of held-out "
    "real images are flagged, as in chapter 1.",
)

# %% [markdown]
# Compare each column with the first: what is not flagged more often than real images is not detected. It learned the
# marks of one generator, and few of them are marks of the next. Do not blame the detector's size alone: the better the
# generator, the less there is to find. Train another one, with the new generator and the disguise among its fakes:

# %% tags=["nbval-ignore-output"]
wider = torch.cat([known[:4000], disguised(known[4000:]), samples_of(told, 6000, seed=21)])
honest = torch.cat([train_set.images[:8000], disguised(train_set.images[8000:12_000])])
second = train_detector(honest, wider, 2 * detector_steps)
held_out = torch.cat([train_set.images[50_000:51_000], disguised(train_set.images[51_000:52_000])])
plots.table(
    ("flagged as generated", *exam), answers | {"second detector": flagged(second, held_out)},
    caption="The second one has met the conditional GAN and the disguise, on real images too.",
)

# %% [markdown]
# Now it is your turn: change `disguised` (a shift by a pixel, some noise, rounding to black and white) and run the three
# cells again. Whoever moves last wins. Besides, a generator can be trained *against* the detector: that is what a GAN is.
#
# Even a good detector says less than it seems. Let it be right for 99% of real and 99% of generated images, and let one
# picture in a thousand be generated:

# %%
caught, alarm, rate = 0.99, 0.01, 0.001
share = caught * rate / (caught * rate + alarm * (1 - rate))
print(f"of the pictures it flags, {100 * share:.0f}% are generated")

# %% [markdown]
# Nine out of ten accusations are false. A detector is a reason to look closer. It is no proof.

# %% [markdown]
# ## 10. Where it fails
#
# Look back at what was done here. Two learning rates that must fit each other, BatchNorm here but not there, weights of
# 0.02, a penalty, a norm; and after all that, no number says how far training has come. The discriminator's loss does not:
# it depends on how good the *other* player is. GANs gave the sharpest images for years, and each new data set was an
# adventure.
#
# The trouble is the moving target. So take one that stands still: **destroy** images in small steps that are known
# exactly, and train *one* network, with a plain squared error, to undo a step. Chapter 6 begins with the destroying.

# %% [markdown]
# ## 11. Find the bug
#
# The curve of a loss, from a lecture slide. It falls from epoch to epoch... does it?
#
# > **Predict.** Suppose that the loss is 0.7 in every batch. Which curve will this code draw?

# %%
def curve_from_a_slide(losses, batches_per_epoch):
    curve, total = [], 0.0
    for number, loss in enumerate(losses):
        if number % batches_per_epoch == 0:
            total = 0.0
        total += loss
        curve.append(total / batches_per_epoch)
    return curve


# %%
constant = [0.7] * 40
plots.lines(
    {"the slide's curve": (range(40), curve_from_a_slide(constant, 10)), "the loss": (range(40), constant)},
    xlabel="batch", ylabel="loss", height=2.4, colours=(plots.MODEL, plots.DATA), ylim=(0, 1),
    alt="A saw of four teeth that rise from 0.07 to 0.7, and the constant loss of 0.7.",
    caption="Four epochs of ten batches, the loss being 0.7 all the time.",
)

# %% [markdown]
# <details><summary>The diagnosis</summary>
#
# The average is appended *inside* the loop over batches: it holds the sum of the batches so far, divided by the number of
# all. These are partial sums, not losses. They rise within an epoch and jump back at its end; smoothed or drawn with few
# pixels, that passes for the ups and downs of a GAN. Append once an epoch, after the loop; and where the last batch is
# smaller, divide by what was really summed.
# </details>
#
# Repair it here (no points):

# %% nbgrader={"grade": false, "grade_id": "epoch_curve", "locked": false, "solution": true, "schema_version": 3}
def epoch_curve(losses, batches_per_epoch):
    """The mean loss of each epoch; the last one may be cut short. Returns a list of floats."""
    ### BEGIN SOLUTION
    epochs = [losses[i : i + batches_per_epoch] for i in range(0, len(losses), batches_per_epoch)]
    return [sum(epoch) / len(epoch) for epoch in epochs]
    ### END SOLUTION


# %%
def shown(function):
    try:
        return " ".join(f"{value:.2f}" for value in function([0.5, 0.7, 0.9, 1.1, 0.4], 2))
    except Exception as error:
        return type(error).__name__


print("the slide's:", shown(curve_from_a_slide))
print("yours:      ", shown(epoch_curve))
print("right:       0.60 1.00 0.40")

# %% [markdown]
# ## Summary
#
# | idea | in one sentence | you wrote |
# |:---|:---|:---|
# | convolutions | both networks know which pixels are neighbours | `Generator`, `Discriminator` |
# | first weights | small, so that nobody begins with a lead | `init_weights` |
# | condition | the class enters both networks, style is left for $z$ | `condition_latent` |
# | diversity | mean distance of two samples, against the data's | `pairwise_diversity` |
# | slope penalty | a critic of slope 1 estimates a distance | `gradient_penalty` |
# | spectral norm | layers that stretch nothing | `spectral_norm` |
# | patches | a judge that sees texture, not the whole | `patch_receptive_field` |
# | cycle | without pairs, the way back ties image to image | |
# | detection | works on what it knows, for as long as nobody minds | |
#
# ### Questions that come up
#
# - **Why β₁ = 0.5?** With 0.9 Adam goes on for some ten steps where the gradient pointed before. The other player has
#   moved by then. It is a rule of thumb of the DCGAN paper, not a law.
# - **`train()` or `eval()` when sampling?** `eval()`: BatchNorm then uses its running averages, and a sample does not
#   depend on which others are drawn with it.
# - **BatchNorm and spectral norm together?** BatchNorm divides by a standard deviation, and so may stretch as much as it
#   likes. A discriminator with spectral norm usually goes without; ours does.
# - **Why not measure with the Inception score?** It is made for photographs of ImageNet's classes. On digits its network
#   sees nothing it knows.
#
# ### Further reading
#
# - Radford, Metz and Chintala, *Unsupervised representation learning with deep convolutional generative adversarial
#   networks*, ICLR 2016.
# - Miyato et al., *Spectral normalization for generative adversarial networks*, ICLR 2018; and Gulrajani et al.,
#   *Improved training of Wasserstein GANs*, NeurIPS 2017.
# - Zhu et al., *Unpaired image-to-image translation using cycle-consistent adversarial networks*, ICCV 2017.
