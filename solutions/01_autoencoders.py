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
# # 1 · Autoencoders: a picture in 32 numbers
#
# | You will be able to | Time | Device | Difficulty |
# |:---|:---|:---|:---|
# | compress images with a network you wrote, compare it with PCA, read its latent space, catch anomalies with it, and say why it cannot invent new images | 75 minutes | any laptop; no GPU, no network | 1 of 5 |
#
# **How this notebook works.** Where it says *Predict*, write your guess down before you run the cell. Where it says
# *Exercise*, write a few lines and run the check below: it answers at once, on fresh numbers each time, and names the
# mistake if it knows it. The demos run on your code as soon as it passes, and on the course's until then.

# %% tags=["nbval-ignore-output"]
import torch
import torch.nn.functional as F
from torch import nn

from course_utils import autoencoders, plots, runtime, widgets
from course_utils.data import batches, load, to_uint8
from course_utils.exercises import check, mine_or_reference
from course_utils.metrics import confusion_counts, roc_auc, roc_curve
from course_utils.training import in_batches, load_card, load_checkpoint, seeded, train

profile = runtime.profile()
generator = torch.Generator().manual_seed(0)
print(f"{profile}. Live training in this chapter takes about a minute on two CPU cores.")

# %% [markdown]
# ## 1. The question
#
# A handwritten digit here is a grid of 32 × 32 = 1,024 grey values between 0 (paper) and 1 (ink). Most grids of 1,024
# numbers are noise, not digits. So a digit should need fewer numbers than its pixels: a slant, a stroke width, a loop
# here, a bar there. How many numbers does it need?

# %%
train_set = load("mnist", "train", value_range=(0, 1), size=32)
test_set = load("mnist", "test", value_range=(0, 1), size=32)
ten_digits = test_set.balanced(1).images
plots.image_rows(
    {"test images": ten_digits},
    value_range=(0, 1),
    columns=list("0123456789"),
    alt="Ten handwritten digits, 0 to 9.",
    caption=f"One test image of each class. {len(train_set):,} images to learn from, "
    f"{len(test_set):,} to test on.",
)

# %% [markdown]
# An **autoencoder** is a pair of networks. The **encoder** squeezes an image $x$ into a **code** $z$ of $D$ numbers, the
# **decoder** draws an image $\hat x$ from the code. They are trained together so that $\hat x$ comes close to $x$. No
# labels are needed: the image is its own target. The narrow place in the middle is the **bottleneck**.
#
# Below, six autoencoders with $D$ from 2 to 64 have been trained for you. Beside each stands **PCA**
# (principal component analysis), the best that straight lines can do with as many numbers.
#
# > **Predict.** At which $D$ can you first read all ten digits? And does the network beat PCA more clearly at 4 numbers
# > or at 64?

# %%
latent_dims = (2, 4, 8, 16, 32, 64)
models = {d: load_checkpoint(f"autoencoders/latent-{d}") for d in latent_dims}
quality = {d: load_card(f"autoencoders/latent-{d}").quality for d in latent_dims}
pixel_mean, pixel_axes = autoencoders.principal_axes(train_set.images.flatten(1), max(latent_dims))


def pca(x, k):
    centred = x.flatten(1) - pixel_mean
    return (centred @ pixel_axes[:k].T @ pixel_axes[:k] + pixel_mean).view_as(x)


# %%
with torch.no_grad():
    rows = {d: (ten_digits, models[d](ten_digits), pca(ten_digits, d)) for d in latent_dims}
captions = [
    f"{d} numbers for 1,024 pixels. Mean squared error on all test images: "
    f"autoencoder {quality[d]['test_mse']:.4f}, PCA {quality[d]['pca_test_mse']:.4f}."
    for d in latent_dims
]
widgets.FrameScrubber(
    [plots.tile(row, (0, 1)) for row in rows.values()], latent_dims, captions,
    title="The bottleneck", label="numbers in the code", index=2,
    row_labels=("image", "autoencoder", "PCA"),
)

# %% [markdown]
# At 2 numbers the network already draws strokes, though some of the wrong digit; PCA draws fog. At 64 both are readable.
# The network's lead grows with the size of the code: from 1.3 to 1 at 2 numbers to almost 4 to 1 at 32. The rest of this
# chapter builds that network.

# %% [markdown]
# ## 2. How a convolution changes the size
#
# The encoder halves the picture three times, 32 → 16 → 8 → 4, by convolutions with **stride** 2. A convolution lays its
# kernel on the image, padded by some zeros on each side, and moves it in steps of the stride. It counts how many times
# the kernel fits.
#
# > **Predict.** Kernel 3, stride 2, padding 1: what becomes of a side of 32 pixels? And of 7?
#
# **Exercise 1.** Write the formula. It must give whole numbers, also where the last step does not fit.

# %% nbgrader={"grade": false, "grade_id": "conv_out_size", "locked": false, "solution": true, "schema_version": 3}
def conv_out_size(size, kernel, stride, padding):
    """Side of a convolution's output: an int. All in pixels; padding is put on each side."""
    ### BEGIN SOLUTION
    return (size + 2 * padding - kernel) // stride + 1
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "conv_out_size-check", "locked": true, "points": 2, "solution": false, "schema_version": 3}
check("autoencoders.conv_out_size", conv_out_size)

# %% [markdown]
# The decoder goes the other way with **transposed** convolutions: each input pixel stamps its kernel onto the output,
# `stride` pixels apart, overlaps are added, and `padding` pixels are cut off on each side. Some sizes are ambiguous (with
# stride 2, both 7 and 8 shrink to 4), so `output_padding` extends one side by a few pixels to choose.
#
# **Exercise 2.** Write that formula, too. Count stamps first: where does the last one begin, and where does it end?

# %% nbgrader={"grade": false, "grade_id": "conv_transpose_out_size", "locked": false, "solution": true, "schema_version": 3}
def conv_transpose_out_size(size, kernel, stride, padding, output_padding):
    """Side of a transposed convolution's output: an int. All in pixels."""
    ### BEGIN SOLUTION
    return (size - 1) * stride - 2 * padding + kernel + output_padding
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "conv_transpose_out_size-check", "locked": true, "points": 2, "solution": false, "schema_version": 3}
check("autoencoders.conv_transpose_out_size", conv_transpose_out_size)

# %% [markdown]
# Your two formulas now trace the whole network, there and back:

# %%
shrink = mine_or_reference("autoencoders.conv_out_size", conv_out_size)
grow = mine_or_reference("autoencoders.conv_transpose_out_size", conv_transpose_out_size)
sides = [32]
for _ in range(3):
    sides.append(shrink(sides[-1], 3, 2, 1))
for _ in range(3):
    sides.append(grow(sides[-1], 4, 2, 1, 0))
print(" → ".join(str(side) for side in sides), "pixels")

# %% [markdown]
# ## 3. The network
#
# | encoder | shape | decoder | shape |
# |:---|:---|:---|:---|
# | image | 1 × 32 × 32 | code | $D$ |
# | convolution, ReLU | 32 × 16 × 16 | linear, then reshape | 128 × 4 × 4 |
# | convolution, ReLU | 64 × 8 × 8 | transposed convolution, ReLU | 64 × 8 × 8 |
# | convolution, ReLU | 128 × 4 × 4 | transposed convolution, ReLU | 32 × 16 × 16 |
# | flatten, linear | $D$ | transposed convolution, sigmoid | 1 × 32 × 32 |
#
# Convolutions: kernel 3, stride 2, padding 1. Transposed convolutions: kernel 4, stride 2, padding 1. The code has no
# activation, it may be any number. The last sigmoid brings pixels into (0, 1).
#
# **Exercise 3.** Build it. Names and the order of definition are yours; `encode`, `decode` and `forward` are fixed.

# %% nbgrader={"grade": false, "grade_id": "ConvAE", "locked": false, "solution": true, "schema_version": 3}
class ConvAE(nn.Module):
    """Autoencoder of (B, 1, 32, 32) images in [0, 1], with latent_dim numbers in a code."""

    def __init__(self, latent_dim=32):
        super().__init__()
        ### BEGIN SOLUTION
        self.encoder = nn.Sequential(
            nn.Conv2d(1, 32, 3, stride=2, padding=1), nn.ReLU(),
            nn.Conv2d(32, 64, 3, stride=2, padding=1), nn.ReLU(),
            nn.Conv2d(64, 128, 3, stride=2, padding=1), nn.ReLU(),
            nn.Flatten(), nn.Linear(128 * 4 * 4, latent_dim),
        )
        self.decoder = nn.Sequential(
            nn.Linear(latent_dim, 128 * 4 * 4), nn.Unflatten(1, (128, 4, 4)),
            nn.ConvTranspose2d(128, 64, 4, stride=2, padding=1), nn.ReLU(),
            nn.ConvTranspose2d(64, 32, 4, stride=2, padding=1), nn.ReLU(),
            nn.ConvTranspose2d(32, 1, 4, stride=2, padding=1), nn.Sigmoid(),
        )
        ### END SOLUTION

    def encode(self, x):
        """(B, 1, 32, 32) -> (B, latent_dim)."""
        ### BEGIN SOLUTION
        return self.encoder(x)
        ### END SOLUTION

    def decode(self, z):
        """(B, latent_dim) -> (B, 1, 32, 32) in (0, 1)."""
        ### BEGIN SOLUTION
        return self.decoder(z)
        ### END SOLUTION

    def forward(self, x):
        """The reconstruction of x."""
        ### BEGIN SOLUTION
        return self.decode(self.encode(x))
        ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "ConvAE-check", "locked": true, "points": 8, "solution": false, "schema_version": 3}
check("autoencoders.ConvAE", ConvAE)

# %% [markdown]
# ## 4. Training
#
# The loss is the **mean squared error** between reconstruction and image, over all pixels of all images in a batch:
#
# $$ L = \frac{1}{B \cdot 1024} \sum_{b=1}^{B} \sum_{i=1}^{1024} (\hat x_{b,i} - x_{b,i})^2 $$
#
# **Exercise 4.** One update. Return the loss as it was *before* the update, as a Python float: a tensor would keep its
# whole computation graph alive in your list of losses.

# %% nbgrader={"grade": false, "grade_id": "train_step", "locked": false, "solution": true, "schema_version": 3}
def train_step(model, x, optimizer):
    """One update towards model(x) = x. x (B,...). Returns the MSE before it: a float."""
    ### BEGIN SOLUTION
    loss = F.mse_loss(model(x), x)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "train_step-check", "locked": true, "points": 5, "solution": false, "schema_version": 3}
check("autoencoders.train_step", train_step)

# %% [markdown]
# Now train your own. `he_init` sets the first weights so that signals keep their strength through the ReLU layers: with
# PyTorch's defaults, all codes decode to the same grey at first, and the first hundred updates are lost on leaving it.
#
# > **Predict.** An image that is black everywhere already has a mean squared error of about 0.10, the mean image of all
# > digits 0.05. Where will the curve be after a few hundred updates?

# %% tags=["nbval-ignore-output"]
my_autoencoder = mine_or_reference("autoencoders.ConvAE", ConvAE)
my_step = mine_or_reference("autoencoders.train_step", train_step)
steps = profile.pick(ci=20, cpu=500, gpu=4000)
images = train_set.images.to(profile.device)

with seeded(0):
    model = autoencoders.he_init(my_autoencoder(16)).to(profile.device)
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
stream = batches(images, 128, generator=generator)
records = train(lambda x: my_step(model, x, optimizer), stream, steps)
for _ in plots.watch(records, steps, label="16 numbers, squared error", ylabel="MSE"):
    pass

# %% [markdown]
# **Exercise 5.** To compare images with each other we need the error of *each* image: the mean of its squared
# differences, one number an image.

# %% nbgrader={"grade": false, "grade_id": "reconstruction_error", "locked": false, "solution": true, "schema_version": 3}
def reconstruction_error(x_hat, x):
    """Mean squared error of each image. x_hat, x (B,C,H,W). Returns (B,)."""
    ### BEGIN SOLUTION
    return ((x_hat - x) ** 2).flatten(1).mean(dim=1)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "reconstruction_error-check", "locked": true, "points": 3, "solution": false, "schema_version": 3}
check("autoencoders.reconstruction_error", reconstruction_error)

# %% [markdown]
# > **Predict.** Which digit has the smallest error on average, which the largest?

# %% tags=["nbval-ignore-output"]
error_of = mine_or_reference("autoencoders.reconstruction_error", reconstruction_error)
model = model.cpu().eval()
errors = in_batches(lambda x: error_of(model(x), x), test_set.images)
by_digit = torch.stack([errors[test_set.labels == digit].mean() for digit in range(10)])
hardest = by_digit.argmax().item()
fig, axes = plots.figure(
    6.4, 2.6,
    alt="Bars: the mean reconstruction error of each digit; the 1 has by far the smallest.",
    caption=f"Few strokes, few numbers: the 1 is easiest; hardest is the {hardest}. "
    f"Mean of all {errors.mean():.4f}.",
)
axes[0, 0].bar(range(10), by_digit, color=plots.STUDENT)
axes[0, 0].set(xlabel="digit", ylabel="mean squared error", xticks=range(10))
fig

# %% [markdown]
# ### Another loss: binary cross-entropy
#
# Squared error treats 0.5 against 1 like 0 against 0.5. **Binary cross-entropy** reads a pixel as a probability of ink,
# $-x \log \hat x - (1-x) \log(1-\hat x)$, and punishes a confident mistake without limit.
#
# > **Predict.** Train the same network with it, for as long. Measured in *squared* error, will it be better or worse?

# %% tags=["nbval-ignore-output"]
with seeded(0):
    bce_model = autoencoders.he_init(my_autoencoder(16)).to(profile.device)
optimizer = torch.optim.Adam(bce_model.parameters(), lr=1e-3)
stream = batches(images, 128, generator=torch.Generator().manual_seed(0))
records = train(lambda x: autoencoders.train_step_bce(bce_model, x, optimizer), stream, steps)
for _ in plots.watch(records, steps, label="16 numbers, cross-entropy", ylabel="nats per pixel"):
    pass
bce_model = bce_model.cpu().eval()
bce_errors = in_batches(lambda x: error_of(bce_model(x), x), test_set.images)
print(f"squared error, trained with MSE: {errors.mean():.4f}, with BCE: {bce_errors.mean():.4f}")

# %%
with torch.no_grad():
    rows = {"image": ten_digits, "MSE": model(ten_digits), "BCE": bce_model(ten_digits)}
plots.image_rows(
    rows, (0, 1),
    alt="Ten digits above their reconstructions by two autoencoders, which look much alike.",
    caption="Same network, same number of updates, two losses. The choice matters less than one "
    "would think; what both lack is the detail that 16 numbers cannot hold.",
)

# %% [markdown]
# ## 5. The straight-line rival: PCA
#
# PCA finds the $k$ directions in pixel space along which the images vary most. To reconstruct: subtract the mean image,
# keep only the part along these directions, add the mean back.
#
# **Exercise 6.** With `torch.linalg.svd(centred, full_matrices=False)` you get $U, S, V^\top$; the rows of $V^\top$ are
# the directions, largest first.

# %% nbgrader={"grade": false, "grade_id": "pca_reconstruct", "locked": false, "solution": true, "schema_version": 3}
def pca_reconstruct(x, k):
    """Reconstruct the rows of x (N,D) from k principal components. Returns (N,D)."""
    ### BEGIN SOLUTION
    mean = x.mean(dim=0)
    directions = torch.linalg.svd(x - mean, full_matrices=False).Vh[:k]
    return (x - mean) @ directions.T @ directions + mean
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "pca_reconstruct-check", "locked": true, "points": 4, "solution": false, "schema_version": 3}
check("autoencoders.pca_reconstruct", pca_reconstruct)

# %% [markdown]
# At equal size of the code, who is closer? The figures are those of the six shipped models, on all 10,000 test images;
# both methods saw the 60,000 training images only.

# %%
pca_mse = [quality[d]["pca_test_mse"] for d in latent_dims]
network_mse = [quality[d]["test_mse"] for d in latent_dims]
for d, theirs, ours in zip(latent_dims, pca_mse, network_mse, strict=True):
    print(f"{d:2d} numbers: PCA {theirs:.4f}, autoencoder {ours:.4f}, {theirs / ours:.1f} to 1")
ticks = (0.002, 0.005, 0.01, 0.02, 0.05)
plots.lines(
    {"PCA": (latent_dims, pca_mse), "autoencoder": (latent_dims, network_mse)},
    markers=True, xscale="log", yscale="log",
    xticks=latent_dims, xticklabels=latent_dims, yticks=ticks, yticklabels=ticks,
    xlabel="numbers in the code", ylabel="mean squared error",
    alt="Error against code size, both falling; the autoencoder lies below PCA everywhere.",
    caption="The autoencoder is ahead at every size: digits do not lie along straight lines.",
)

# %% [markdown]
# ### What a linear autoencoder learns
#
# Take all non-linearities out of the autoencoder, and squared error leaves it only one thing to find: the same
# *subspace* that PCA finds (Baldi & Hornik 1989). Not the same *axes*: any basis of that subspace reconstructs equally
# well. We train one on digits shrunk to 8 × 8 pixels, with 4 numbers, and compare.

# %% tags=["nbval-ignore-output"]
thumbnails = F.avg_pool2d(train_set.images[:10_000], 4).flatten(1)
with seeded(0):
    linear = autoencoders.LinearAE(pixels=64, latent_dim=4)
optimizer = torch.optim.Adam(linear.parameters(), lr=1e-2)
linear_steps = profile.pick(ci=50, cpu=1000, gpu=1000)
schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=linear_steps)
stream = batches(thumbnails, 500, generator=generator)
for _ in train(lambda x: my_step(linear, x, optimizer), stream, linear_steps):
    schedule.step()

my_pca = mine_or_reference("autoencoders.pca_reconstruct", pca_reconstruct)
linear_error = error_of(linear(thumbnails).detach(), thumbnails).mean()
pca_error = error_of(my_pca(thumbnails, 4), thumbnails).mean()
print(f"mean squared error: linear autoencoder {linear_error:.5f}, PCA {pca_error:.5f}")

# %% tags=["nbval-ignore-output"]
_, thumbnail_axes = autoencoders.principal_axes(thumbnails, 4)
with torch.no_grad():
    basis = torch.linalg.qr(linear.decoder.weight).Q
    overlap = torch.linalg.svdvals(basis.T @ thumbnail_axes.T)
    pictures = torch.cat([thumbnail_axes, linear.decoder.weight.T]).view(2, 4, 1, 8, 8)
pictures = 0.5 + 0.5 * pictures / pictures.abs().amax(dim=(2, 3, 4), keepdim=True)
plots.image_rows(
    {"PCA's axes": pictures[0], "decoder's columns": pictures[1]}, (0, 1), gap=1,
    alt="Four principal axes above the four columns of the linear decoder; the patterns differ.",
    caption="Different axes, one subspace: the smallest cosine between the two subspaces is "
    f"{overlap.min():.2f} (1 = identical).",
)

# %% [markdown]
# ## 6. A look into the latent space
#
# Each test image is now a point in 32 dimensions. Two methods flatten the cloud to a map that keeps neighbours together:
# **t-SNE** and **UMAP**. Both may stretch, tear and shrink: read who is next to whom, not how far apart or how large the
# groups are.
#
# > **Predict.** The autoencoder never saw a label. Will the classes form groups? Which two will touch?

# %%
from sklearn.manifold import TSNE
from umap import UMAP

sample = test_set.balanced(profile.pick(ci=15, cpu=60, gpu=60))
codes = in_batches(models[32].encode, sample.images).numpy()
reconstructions = in_batches(models[32], sample.images)
maps = {
    "t-SNE": TSNE(random_state=0, perplexity=20).fit_transform(codes),
    "UMAP": UMAP(random_state=0, n_jobs=1).fit_transform(codes),
}

# %% tags=["nbval-ignore-output"]
widgets.LatentScatter(
    maps,
    to_uint8(sample.images, (0, 1)).squeeze(1),
    to_uint8(reconstructions, (0, 1)).squeeze(1),
    error_of(reconstructions, sample.images),
    sample.labels,
    title="Test digits in the latent space",
)

# %% [markdown]
# Groups form without labels, because images that look alike need similar codes. The 4s, 7s and 9s run into each other.
# Point at dots on a border: you will find images that you would hesitate over, too.

# %% [markdown]
# ## 7. Finding what does not belong
#
# An autoencoder reconstructs well only what it has learned to expect. Train it on **normal** data alone, and a large
# error becomes an alarm. Our detector has seen zeros, nothing else.

# %%
detector = load_checkpoint("autoencoders/one-class-0")
scores = in_batches(lambda x: error_of(detector(x), x), test_set.images)
is_normal = test_set.labels == 0
shown = torch.cat([test_set[is_normal].images[:4], test_set[~is_normal].images[:6]])
with torch.no_grad():
    seen = detector(shown)
plots.image_rows(
    {"test image": shown, "reconstruction": seen, "difference": (seen - shown).abs()}, (0, 1),
    columns=[f"{error:.3f}" for error in error_of(seen, shown)],
    alt="Four zeros come back faithfully, six other digits come back deformed towards zeros.",
    caption="An autoencoder that knows only zeros, and above each column its error: zeros pass, "
    "other digits come back bent towards a zero.",
)

# %% [markdown]
# Where should the alarm ring? You cannot ask the anomalies, you do not have them yet. But you can say how often the alarm
# may ring for *normal* data, and choose the threshold on normal scores alone.
#
# **Exercise 7.** Return the smallest of the given scores such that at most the share `false_alarm_rate` of them lies
# *strictly above* it. With 10 scores and a rate of 0.1, that is the second largest (if no two are equal).

# %% nbgrader={"grade": false, "grade_id": "anomaly_threshold", "locked": false, "solution": true, "schema_version": 3}
def anomaly_threshold(normal_scores, false_alarm_rate):
    """The smallest score (N,) with at most that share (0..1) strictly above it: a float."""
    ### BEGIN SOLUTION
    for threshold in normal_scores.sort().values:
        above = (normal_scores > threshold).sum().item()
        if above / len(normal_scores) <= false_alarm_rate:
            return threshold.item()
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "anomaly_threshold-check", "locked": true, "points": 4, "solution": false, "schema_version": 3}
check("autoencoders.anomaly_threshold", anomaly_threshold)

# %% [markdown]
# > **Predict.** With 2% false alarms among zeros, what share of the other digits is caught? Drag the threshold to see
# > what one more false alarm buys.

# %%
my_threshold = mine_or_reference("autoencoders.anomaly_threshold", anomaly_threshold)
normal, anomalous = scores[is_normal], scores[~is_normal]
chosen = my_threshold(normal, 0.02)
thresholds = torch.linspace(0, normal.max().item() * 1.25, 201)
widgets.ThresholdSlider(
    normal, anomalous, thresholds, confusion_counts(normal, anomalous, thresholds),
    title="Where should the alarm ring?", normal_name="zeros", anomalous_name="other digits",
    index=int((thresholds - chosen).abs().argmin()),
)

# %% [markdown]
# Each threshold is a trade: false alarms against catches. The **ROC curve** draws all trades at once; the area under it
# (**AUC**) is the chance that a random anomaly scores above a random normal image. 0.5 is guessing, 1 is perfect.

# %%
detector_card = load_card("autoencoders/one-class-0")
by_seed = list(detector_card.quality["auc_by_seed"].values())
print(f"AUC of this detector: {roc_auc(normal, anomalous):.3f}")
print(f"three detectors trained from different seeds: {min(by_seed):.3f} to {max(by_seed):.3f}")
false_alarms, caught = roc_curve(normal, anomalous)
plots.lines(
    {"detector of zeros": (false_alarms, caught), "guessing": ([0, 1], [0, 1])},
    colours=(plots.MODEL, plots.NOISE), width=4.2, height=3.6,
    xlabel="false alarms: share of zeros flagged", ylabel="caught: share of others flagged",
    alt="ROC curve hugging the upper left corner, far above the diagonal of guessing.",
    caption="Nearly all other digits are caught before many zeros ring the alarm.",
)

# %% [markdown]
# Zeros are a kind choice. The same recipe with another digit as the normal one:

# %%
auc_of = list(detector_card.quality["auc_by_normal_digit_seed_0"].values())
fig, axes = plots.figure(
    6.4, 2.6,
    alt="Bars: AUC for each choice of the normal digit, between 0.5 (guessing) and 1.",
    caption=f"The normal digit decides: best {max(auc_of):.2f}, worst {min(auc_of):.2f}. "
    "Who can draw an 8 has the strokes to draw most other digits, too.",
)
axes[0, 0].bar(range(10), auc_of, color=plots.MODEL)
axes[0, 0].axhline(0.5, color=plots.NOISE)
axes[0, 0].set(xlabel="normal digit", ylabel="AUC", xticks=range(10), ylim=(0.4, 1))
fig

# %% [markdown]
# ## 8. Can it invent a digit?
#
# The decoder draws an image from *any* code. So draw a random code, decode it, and you have a new digit? With two
# numbers in a code we can look at every code there is.
#
# > **Predict.** Drag the point from the middle of one group of dots to another. What will you see in between, and what
# > where there are no dots at all?

# %%
dots = train_set[:1500]
dot_codes = in_batches(models[2].encode, dots.images)
low, high = dot_codes.quantile(0.005, dim=0), dot_codes.quantile(0.995, dim=0)
margin = 0.1 * (high - low)
extent = torch.stack([low - margin, high + margin], dim=1).flatten().tolist()
between_dots = autoencoders.nearest_code_distance(dot_codes[:750], dot_codes[750:]).median().item()

# %%
grid = autoencoders.latent_grid(extent, side=31)
widgets.LatentMap(
    to_uint8(in_batches(models[2].decode, grid), (0, 1)).view(31, 31, 32, 32),
    extent, dot_codes, dots.labels,
    autoencoders.nearest_code_distance(grid, dot_codes).view(31, 31),
    title="Every code there is", hole_distance=5 * between_dots,
)

# %% [markdown]
# The shaded regions, around the groups and between them, are **holes**: no training image was ever encoded to them. The
# loss says nothing about them, so the decoder draws there what it likes, and that is often no digit. In 32 dimensions it
# is worse, for nearly all of the space is hole:

# %%
reals = in_batches(models[32].encode, train_set.images[:10_000])
fresh = in_batches(models[32].encode, test_set.images[:1000])
eps = torch.randn(1000, 32, generator=torch.Generator().manual_seed(1))
codes = {"test images": fresh, "random": reals.mean(dim=0) + reals.std(dim=0) * eps}
for name, z in codes.items():
    distance = autoencoders.nearest_code_distance(z, reals).median()
    print(f"codes of {name}: the nearest training code is {distance:.1f} away (median)")
with torch.no_grad():
    rows = {name: models[32].decode(z[:10]) for name, z in codes.items()}
plots.image_rows(
    rows, (0, 1),
    alt="Ten digits decoded from test images' codes, ten tangles decoded from random codes.",
    caption="Codes of test images decode to digits, random ones of the same spread do not.",
)

# %% [markdown]
# An autoencoder **compresses**; it does not **generate**. It never learned which codes are likely. Chapter 2 asks whether
# a network that cleans up noise can find its way from a tangle to a digit; chapter 3 makes the latent space itself a
# distribution to draw from.

# %% [markdown]
# ## 9. Find the bug
#
# The function below circulates in lecture notes. It is meant to return one number an epoch: the average loss. The model
# learns well, and yet the curve climbs and falls like a saw.
#
# > **Predict.** Read the code before you run it. Two lines are wrong: one spoils the curve, the other one the run, as
# > soon as the number of images is not a multiple of the batch size.

# %%
def epoch_losses_from_a_slide(update, x, batch_size, epochs):
    history = []
    for _ in range(epochs):
        total = 0.0
        for start in range(0, len(x), batch_size):
            batch = x[start : start + batch_size].reshape(batch_size, -1)
            total += update(batch)
            history.append(total / len(x.split(batch_size)))
    return history


# %%
falling = iter(torch.linspace(0.06, 0.02, 60).tolist())  # ten batches an epoch, six epochs
saw = epoch_losses_from_a_slide(lambda _: next(falling), train_set.images[:1280], 128, epochs=6)
plots.lines(
    {"loss": (range(len(saw)), saw)}, height=2.6,
    xlabel="entry of the list", ylabel="'average loss'",
    alt="A saw-tooth curve with six teeth, although the losses that went in fall steadily.",
    caption="The losses that went in fall steadily from 0.06 to 0.02. "
    f"What came out has {len(saw)} entries for 6 epochs.",
)

# %% [markdown]
# Repair it here (no points, but you will meet both mistakes again):

# %% nbgrader={"grade": false, "grade_id": "epoch_losses", "locked": false, "solution": true, "schema_version": 3}
def epoch_losses(update, x, batch_size, epochs):
    """One average an epoch, over all images. update(batch): mean loss of (B, pixels)."""
    ### BEGIN SOLUTION
    history = []
    for _ in range(epochs):
        total = 0.0
        for batch in x.split(batch_size):
            total += update(batch.flatten(1)) * len(batch)
        history.append(total / len(x))
    return history
    ### END SOLUTION


# %%
def losses_of(function):
    """On ten 'images' of one pixel each, 0 to 9, in batches of 4, 4 and 2, for two epochs."""
    images = torch.arange(10.0).view(10, 1, 1, 1)
    try:
        return function(lambda batch: batch.mean().item(), images, batch_size=4, epochs=2)
    except Exception as error:
        return type(error).__name__


print("from the slide:", losses_of(epoch_losses_from_a_slide))
print("yours:         ", losses_of(epoch_losses))
print("right:          [4.5, 4.5], the mean of 0 to 9 in each epoch")

# %% [markdown]
# <details><summary>The diagnosis</summary>
#
# `history.append` stands inside the loop over batches, so the list holds partial sums: each epoch climbs from almost 0
# to its average, then starts again. And `reshape(batch_size, -1)` takes every batch to be full: the last one is smaller,
# and the call fails or, worse, mixes pixels of different images. A third, quieter mistake: the average over batches
# gives the images of a small last batch more weight than the others.
# </details>

# %% [markdown]
# ## Summary
#
# | idea | in one sentence | you wrote |
# |:---|:---|:---|
# | sizes | a stride-2 convolution halves a side, a transposed one doubles it | `conv_out_size`, `conv_transpose_out_size` |
# | autoencoder | two networks with a narrow place between them | `ConvAE` |
# | training | the image is its own target | `train_step`, `reconstruction_error` |
# | PCA | the best linear code; a linear autoencoder spans the same subspace | `pca_reconstruct` |
# | anomaly | what was never learned comes back wrong | `anomaly_threshold` |
# | limit | the latent space has holes: decoded random codes are no digits | |
#
# ### Questions that come up
#
# - **Why not a larger code?** With 1,024 numbers the network could copy the image and learn nothing. The narrow place is
#   what makes it look for structure.
# - **Is a smaller error always better?** Not for anomalies: a detector that reconstructs everything flags nothing.
# - **Why does my decoder stay black?** A ReLU right after its first linear layer does that on these data: the shared part
#   of all codes grows until the sigmoid is shut everywhere. Leave it out.
# - **Are the axes of the latent space meaningful?** Nothing asks for it. As with the linear autoencoder, any mixing of
#   the numbers that the decoder can undo serves as well.
#
# ### Further reading
#
# - Hinton and Salakhutdinov, *Reducing the dimensionality of data with neural networks*, Science 2006.
# - Baldi and Hornik, *Neural networks and principal component analysis: learning from examples without local minima*,
#   Neural Networks 1989.
# - Wattenberg, Viégas and Johnson, *How to use t-SNE effectively*, Distill 2016.
