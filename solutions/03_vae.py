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
# # 3 · Variational autoencoders: a latent space to draw from
#
# | You will be able to | Time | Device | Difficulty |
# |:---|:---|:---|:---|
# | build and train a VAE, derive its loss line by line and check each line with a number, measure how likely it finds an image, generate digits from random codes, and recognise a latent that has fallen asleep | 90 minutes | any laptop; no GPU, no network | 3 of 5 |
#
# *Predict* means: write your guess down, then run the cell. *Exercise* means: write a few lines, then run the check.

# %% tags=["nbval-ignore-output"]
import math

import torch
import torch.nn.functional as F
from torch import nn

from course_utils import autoencoders, plots, runtime, vae, widgets
from course_utils.data import batches, load, to_uint8
from course_utils.exercises import check, mine_or_reference
from course_utils.metrics import feature_distance
from course_utils.training import in_batches, load_card, load_checkpoint, seeded, train

profile = runtime.profile()
generator = torch.Generator().manual_seed(0)
print(f"{profile}. Live training in this chapter takes about 40 s on two CPU cores.")

# %% [markdown]
# ## 1. The question
#
# In chapter 1 the latent space had holes. Random codes fell into them, and the decoder drew tangles. Nobody had told the
# network *where* codes should lie. A **variational autoencoder** (VAE) is told: codes shall look as if drawn from a
# standard normal distribution, the **prior** $p(z) = \mathcal N(0, I)$. Then you can draw a code yourself and decode it.
#
# Below is the map of all codes again, for a VAE with two numbers in a code. It is shaded by the same rule as in
# chapter 1: a hole is a place whose nearest training code is five times as far as usual.
#
# > **Predict.** Drag across the map. Will you find holes between the groups? What will you see where two groups touch?

# %%
train_set = load("mnist", "train", value_range=(0, 1))
test_set = load("mnist", "test", value_range=(0, 1))
flat_vae, flat_ae = load_checkpoint("vae/latent-2"), load_checkpoint("autoencoders/latent-2")
dots = train_set[:1500]
encoders = {
    "autoencoder": lambda x: flat_ae.encode(F.pad(x, (2, 2, 2, 2))),
    "VAE": lambda x: flat_vae.encode(x)[0],
}


eps = torch.randn(1000, 2, generator=torch.Generator().manual_seed(1))
random_codes = {
    "autoencoder": lambda codes: codes.mean(dim=0) + codes.std(dim=0) * eps,
    "VAE": lambda codes: eps,
}


# %%
far = {}
for name, encode in encoders.items():
    codes = in_batches(encode, dots.images)
    far[name] = 5 * autoencoders.nearest_code_distance(codes[:750], codes[750:]).median().item()
    lost = autoencoders.nearest_code_distance(random_codes[name](codes), codes) > far[name]
    print(f"{name}: {100 * lost.float().mean():.0f}% of random codes fall into a hole")

extent, side = (-3.0, 3.0, -3.0, 3.0), 25
grid = autoencoders.latent_grid(extent, side)
pictures = to_uint8(in_batches(lambda z: flat_vae.decode(z).sigmoid(), grid), (0, 1))
widgets.LatentMap(
    pictures.view(side, side, 28, 28), extent, codes, dots.labels,
    autoencoders.nearest_code_distance(grid, codes).view(side, side),
    title="Every code there is, this time of a VAE", hole_distance=far["VAE"],
)

# %% [markdown]
# Groups touch, and on the border between two of them one digit turns into the other. How is that done? There are two
# ways to see it. The first one starts from the network, the second from probability. They end in the same formula.

# %% [markdown]
# ## 2. First view: an autoencoder with noise in the middle
#
# The encoder no longer names one code. It names a cloud, a Gaussian with a mean and a spread for each latent number:
#
# $$ q(z|x) = \mathcal N\big(\mu(x),\ \sigma^2(x)\big), \qquad \text{the network puts out } \mu \text{ and } \texttt{logvar} = \log \sigma^2 . $$
#
# The decoder gets a random point of this cloud. A decoder that has to draw the same digit from every point of a cloud
# must draw similar digits from neighbouring codes: this is what closes the holes.
#
# A random draw has no gradient with respect to $\mu$. The way around it is to draw $\varepsilon \sim \mathcal N(0, 1)$
# first and to *shift and scale* it. Now the randomness stands beside the path of the gradient, not in it: the
# **reparameterisation trick**.
#
# **Exercise 1.** Mind that the network gives the logarithm of the *variance*, and that you scale by the standard
# deviation.

# %% nbgrader={"grade": false, "grade_id": "reparameterize", "locked": false, "solution": true, "schema_version": 3}
def reparameterize(mu, logvar, eps):
    """A draw from N(mu, exp(logvar)). mu, logvar, eps (B,D); eps is standard normal. Like mu."""
    ### BEGIN SOLUTION
    return mu + torch.exp(0.5 * logvar) * eps
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "reparameterize-check", "locked": true, "points": 4, "solution": false, "schema_version": 3}
check("vae.reparameterize", reparameterize)

# %% [markdown]
# Does a gradient flow? For $z \sim \mathcal N(\mu, \sigma^2)$ we know $\mathbb E[z^2] = \mu^2 + \sigma^2$, so its slopes
# are $2\mu$ in $\mu$ and $\sigma^2$ in logvar. A million draws should agree:

# %%
my_draw = mine_or_reference("vae.reparameterize", reparameterize)
mu = torch.tensor(1.5, requires_grad=True)
logvar = torch.tensor(-1.0, requires_grad=True)
eps = torch.randn(1_000_000, generator=torch.Generator().manual_seed(1))
my_draw(mu.expand(len(eps)), logvar.expand(len(eps)), eps).square().mean().backward()
print(f"slope in mu:     {mu.grad:.2f}, exact 2 mu = {2 * mu:.2f}")
print(f"slope in logvar: {logvar.grad:.2f}, exact exp(logvar) = {logvar.exp():.2f}")

# %% [markdown]
# Left alone, the network would undo the noise: clouds small as points, and far apart. Then we are back in chapter 1. So
# there is a price for leaving the prior: the **Kullback-Leibler divergence** of the cloud from $\mathcal N(0, I)$,
#
# $$ \mathrm{KL}\big(\mathcal N(\mu, \sigma^2)\,\|\,\mathcal N(0, 1)\big) = \tfrac12\big(\mu^2 + \sigma^2 - 1 - \log \sigma^2\big), $$
#
# in **nats** (units of information; 1 nat is 1.44 bits). Latents are independent, so their prices add up.
#
# > **Predict.** At which $\mu$ and $\sigma$ is it 0? What does it cost to make a cloud ten times narrower than the prior?
#
# **Exercise 2.** One number for each image: the *sum* over its latents.

# %% nbgrader={"grade": false, "grade_id": "kl_standard_normal", "locked": false, "solution": true, "schema_version": 3}
def kl_standard_normal(mu, logvar):
    """KL( N(mu, exp(logvar)) || N(0, I) ) of each example. mu, logvar (B,D). Returns (B,), nats."""
    ### BEGIN SOLUTION
    return 0.5 * (mu**2 + logvar.exp() - 1 - logvar).sum(dim=1)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "kl_standard_normal-check", "locked": true, "points": 4, "solution": false, "schema_version": 3}
check("vae.kl_standard_normal", kl_standard_normal)

# %%
my_kl = mine_or_reference("vae.kl_standard_normal", kl_standard_normal)
for mean, std in ((0.0, 1.0), (1.0, 1.0), (0.0, 0.1), (3.0, 0.1)):
    price = my_kl(torch.tensor([[mean]]), torch.tensor([[2 * math.log(std)]])).item()
    print(f"mean {mean}, standard deviation {std}: {price:.2f} nats")

# %% [markdown]
# ### The other half: how well is the image explained?
#
# Let pixels be black or white. We make them so once and for all: a grey value of 0.3 becomes white with probability 0.3
# (**static binarisation**). The decoder gives each pixel a **logit** $l_i$, with the probability of white
# $\mathrm{sigmoid}(l_i)$. What it pays for an image is the negative logarithm of the probability of exactly that image:
#
# $$ -\log p(x|z) = \sum_i \Big[\log\big(1 + e^{l_i}\big) - x_i\, l_i\Big] $$
#
# **Exercise 3.** One number for each image, summed over *all* its pixels. Logits may be as large as 100: $e^{100}$ is
# more than a float32 can hold, so look for a function of torch that knows this formula.

# %% nbgrader={"grade": false, "grade_id": "bernoulli_nll", "locked": false, "solution": true, "schema_version": 3}
def bernoulli_nll(logits, x):
    """-log p(x|z) of each image, nats. logits, x (B,C,H,W); x in [0, 1]. Returns (B,)."""
    ### BEGIN SOLUTION
    return F.binary_cross_entropy_with_logits(logits, x, reduction="none").flatten(1).sum(dim=1)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "bernoulli_nll-check", "locked": true, "points": 4, "solution": false, "schema_version": 3}
check("vae.bernoulli_nll", bernoulli_nll)

# %%
my_nll = mine_or_reference("vae.bernoulli_nll", bernoulli_nll)
uniform = torch.rand(train_set.images.shape, generator=torch.Generator().manual_seed(0))
binary_train = vae.binarise(train_set.images, uniform)
uniform = torch.rand(test_set.images.shape, generator=torch.Generator().manual_seed(1))
binary_test = vae.binarise(test_set.images, uniform)
guess = torch.zeros_like(binary_test)
average = binary_train.mean(dim=0, keepdim=True).clamp(1e-4, 1 - 1e-4).logit().expand_as(guess)
print(f"every pixel a coin toss:        {my_nll(guess, binary_test).mean():.0f} nats an image")
print(f"each pixel its own average:     {my_nll(average, binary_test).mean():.0f} nats an image")

# %% [markdown]
# > **Predict.** 784 pixels at one coin toss each are $784 \log 2 = 543$ nats. Knowing how often each pixel is white brings
# > that down to about 206. How far will a VAE come?
#
# **Exercise 4.** Both halves together: the loss of a batch. $\beta$ is the weight of the KL; in the plain VAE it is 1.
#
# $$ L = \frac1B \sum_{b=1}^{B} \Big[ -\log p(x_b|z_b) + \beta\, \mathrm{KL}\big(q(z|x_b)\,\|\,p(z)\big) \Big] $$

# %% nbgrader={"grade": false, "grade_id": "negative_elbo", "locked": false, "solution": true, "schema_version": 3}
def negative_elbo(logits, x, mu, logvar, beta):
    """The loss. logits, x (B,C,H,W); mu, logvar (B,D); beta a float. Returns a scalar, nats an image."""
    ### BEGIN SOLUTION
    nll = F.binary_cross_entropy_with_logits(logits, x, reduction="none").flatten(1).sum(dim=1)
    kl = 0.5 * (mu**2 + logvar.exp() - 1 - logvar).sum(dim=1)
    return (nll + beta * kl).mean()
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "negative_elbo-check", "locked": true, "points": 4, "solution": false, "schema_version": 3}
check("vae.negative_elbo", negative_elbo)

# %% [markdown]
# ## 3. The network
#
# | encoder | numbers | decoder | numbers |
# |:---|:---|:---|:---|
# | image, flattened | 784 | code | $D$ |
# | linear, ReLU | 200 | linear, ReLU | 200 |
# | linear, ReLU | 200 | linear, ReLU | 200 |
# | two linear layers, side by side | $\mu$: $D$, logvar: $D$ | linear, then reshape | 1 × 28 × 28 |
#
# Neither $\mu$ nor logvar nor the logits have an activation: all three may be any number.
#
# **Exercise 5.** Build it. `forward` gets its noise `eps` as an argument and returns `(logits, mu, logvar)`.

# %% nbgrader={"grade": false, "grade_id": "VAE", "locked": false, "solution": true, "schema_version": 3}
class VAE(nn.Module):
    """Variational autoencoder of (B, 1, 28, 28) images, with latent_dim numbers in a code."""

    def __init__(self, latent_dim=32):
        super().__init__()
        ### BEGIN SOLUTION
        self.encoder = nn.Sequential(
            nn.Flatten(), nn.Linear(784, 200), nn.ReLU(), nn.Linear(200, 200), nn.ReLU(),
        )
        self.to_mu = nn.Linear(200, latent_dim)
        self.to_logvar = nn.Linear(200, latent_dim)
        self.decoder = nn.Sequential(
            nn.Linear(latent_dim, 200), nn.ReLU(), nn.Linear(200, 200), nn.ReLU(),
            nn.Linear(200, 784), nn.Unflatten(1, (1, 28, 28)),
        )
        ### END SOLUTION

    def encode(self, x):
        """(B, 1, 28, 28) -> mu, logvar: (B, latent_dim) each."""
        ### BEGIN SOLUTION
        hidden = self.encoder(x)
        return self.to_mu(hidden), self.to_logvar(hidden)
        ### END SOLUTION

    def decode(self, z):
        """(B, latent_dim) -> logits (B, 1, 28, 28)."""
        ### BEGIN SOLUTION
        return self.decoder(z)
        ### END SOLUTION

    def forward(self, x, eps):
        """(logits, mu, logvar), with the code drawn by eps (B, latent_dim)."""
        ### BEGIN SOLUTION
        mu, logvar = self.encode(x)
        z = mu + torch.exp(0.5 * logvar) * eps
        return self.decode(z), mu, logvar
        ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "VAE-check", "locked": true, "points": 6, "solution": false, "schema_version": 3}
check("vae.VAE", VAE)

# %% tags=["nbval-ignore-output"]
my_vae = mine_or_reference("vae.VAE", VAE)
my_loss = mine_or_reference("vae.negative_elbo", negative_elbo)
steps = profile.pick(ci=40, cpu=1500, gpu=20000)
images = binary_train.to(profile.device)
with seeded(0):
    model = my_vae(32).to(profile.device)
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)


def update(x, beta=1.0):
    eps = torch.randn(len(x), 32, generator=generator).to(x.device)
    logits, mu, logvar = model(x, eps)
    loss = my_loss(logits, x, mu, logvar, beta)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


# %% tags=["nbval-ignore-output"]
records = train(update, batches(images, 128, generator=generator), steps)
for _ in plots.watch(records, steps, label="your VAE, 32 latents", ylabel="nats an image"):
    pass

# %% [markdown]
# > **Predict.** You have trained for seconds. Draw ten codes from the prior, decode them: digits, or tangles?

# %% tags=["nbval-ignore-output"]
model = model.cpu().eval()
shipped = load_checkpoint("vae/latent-32")
z = torch.randn(10, 32, generator=torch.Generator().manual_seed(2))
with torch.no_grad():
    rows = {
        "yours, just now": model.decode(z).sigmoid(),
        "trained for long": shipped.decode(z).sigmoid(),
    }
plots.image_rows(
    rows, (0, 1),
    alt="Two rows of ten pictures that the two decoders draw from random codes; most look like digits.",
    caption=f"Codes drawn from N(0, I), decoded. Below: {load_card('vae/latent-32').steps:,} updates.",
)

# %% [markdown]
# Nothing here was copied from an image: these digits have never been written. Not all are good ones. How good, as a
# number? We use the Fréchet distance of chapter 2 (mean and covariance of a classifier's features, against those of real
# digits), and let chapter 1's autoencoder compete, with random codes of two kinds.

# %%
judge = load_checkpoint("classifier/mnist")
count = 2000
real = test_set.images[::5]
conv_ae, no_kl = load_checkpoint("autoencoders/latent-32"), load_checkpoint("vae/beta-0")
z = torch.randn(count, 32, generator=torch.Generator().manual_seed(3))
ae_codes = in_batches(conv_ae.encode, F.pad(train_set.images[:10_000], (2, 2, 2, 2)))
fitted = ae_codes.mean(dim=0) + z @ torch.linalg.cholesky(ae_codes.T.cov()).T
with torch.no_grad():
    generated = {
        "pixels of pure noise": torch.rand(count, 1, 28, 28, generator=torch.Generator().manual_seed(4)),
        "autoencoder, codes from N(0, I)": conv_ae.decode(z)[..., 2:30, 2:30],
        "autoencoder, codes from a fitted Gaussian": conv_ae.decode(fitted)[..., 2:30, 2:30],
        "VAE trained without KL, codes from N(0, I)": no_kl.decode(z).sigmoid(),
        "VAE, codes from N(0, I)": shipped.decode(z).sigmoid(),
        "VAE, codes of these test images": shipped(binary_test[::5], z)[0].sigmoid(),
        "real digits (the floor)": train_set.images[:count],
    }

# %%
scores = {name: feature_distance(judge.features, x, real) for name, x in generated.items()}
plots.table(
    ("what is judged", "Fréchet distance"), {name: [f"{far:.0f}"] for name, far in scores.items()},
    caption=f"To {count:,} real test digits, on 128 features of a classifier, N = {count:,} each.",
)

# %%
plots.image_rows(
    {name.replace(", codes from", ","): x[:12] for name, x in list(generated.items())[1:5]}, (0, 1),
    height=0.6,
    alt="Four rows of decoded random codes: tangles for the autoencoder, digits for the VAE.",
    caption="The same 12 random draws, decoded by four decoders.",
)

# %% [markdown]
# An autoencoder cannot generate, and here is the number for it. Fitting a Gaussian to its codes helps and does not
# suffice: the codes fill only parts of that Gaussian. With the KL in the loss, the codes come to the prior by
# themselves.

# %% [markdown]
# ## 4. Second view: a model of how images come about
#
# Forget the network. Suppose images are made in two steps: nature draws a code $z$ from $p(z)$, then an image from
# $p(x|z)$. The probability of an image is then an average over all codes, the **evidence**:
#
# $$ p(x) = \int p(x|z)\, p(z)\, dz $$
#
# A good model makes $\log p(x)$ large for real images. For a neural decoder the integral cannot be solved. So we check
# every step of what follows on a model whose evidence is known: $z$ has 2 numbers, $x$ has 3,
# $x = Wz + b + 0.5 \cdot \text{noise}$. Everything is Gaussian, and $\log p(x)$ has a closed form.

# %%
draw = torch.Generator().manual_seed(14)
W, b = torch.randn(3, 2, generator=draw).double(), torch.randn(3, generator=draw).double()
toy = vae.LinearGaussian(W, b, sigma=0.5)
x = torch.tensor([[1.0, -0.5, 0.8]], dtype=torch.float64)
evidence = toy.log_evidence(x).item()
print(f"line 0, closed form:                 log p(x) = {evidence:.4f}")

# %% [markdown]
# **Line 1.** By definition, $\log p(x) = \log \int p(x|z)\,p(z)\,dz$. With two latents a fine grid can do the integral:

# %%
line = torch.linspace(-8, 8, 801, dtype=torch.float64)
grid = torch.cartesian_prod(line, line)
zero = torch.zeros(2, dtype=torch.float64)
log_prior = vae.log_normal(grid, zero, zero)
log_likelihood = vae.log_normal(x, toy.bias + grid @ W.T, torch.tensor(0.25).double().log())
integral = ((log_prior + log_likelihood).exp().sum() * (line[1] - line[0]) ** 2).log()
print(f"line 1, sum over 641,601 codes:      log p(x) = {integral:.4f}")

# %% [markdown]
# **Line 2.** Multiply and divide by any density $q(z)$ you like; here a Gaussian with mean `mu` and variance `exp(logvar)`:
#
# $$ \log p(x) = \log \int q(z)\, \frac{p(x, z)}{q(z)}\, dz = \log\, \mathbb E_{z \sim q}\!\left[ \frac{p(x, z)}{q(z)} \right] $$
#
# An average over draws from $q$, not over all codes. The fraction is the **weight** $w$ of a draw.

# %%
mu = torch.tensor([[-0.2, 0.0]], dtype=torch.float64)
logvar = torch.tensor([[-1.5, -1.0]], dtype=torch.float64)
eps = torch.randn(1_000_000, 1, 2, generator=draw).double()
log_w = toy.log_weights(x, mu, logvar, eps)
average = (log_w.logsumexp(dim=0) - math.log(len(log_w))).item()
print(f"line 2, log of the mean of 10^6 weights:        {average:.3f}")

# %% [markdown]
# **Line 3.** The logarithm of a mean is at least the mean of the logarithms (Jensen's inequality). That gives a **lower
# bound** on the evidence, the ELBO:
#
# $$ \log p(x) \ \ge\ \mathbb E_{z \sim q}\!\left[ \log \frac{p(x, z)}{q(z)} \right] \ =\ \mathrm{ELBO} $$
#
# > **Predict.** By how much is it smaller? What would $q$ have to be for the difference to vanish?

# %%
print(f"line 3, mean of 10^6 log weights:    ELBO     = {log_w.mean():.3f}")

# %% [markdown]
# **Line 4.** Write $p(x, z) = p(x|z)\,p(z)$ and sort. What appears is the loss of section 2, with the sign turned:
#
# $$ \mathrm{ELBO} = \underbrace{\mathbb E_{z \sim q}[\log p(x|z)]}_{\text{minus the reconstruction cost}} - \underbrace{\mathrm{KL}\big(q(z)\,\|\,p(z)\big)}_{\text{the price for leaving the prior}} $$

# %%
explained, price = toy.reconstruction(x, mu, logvar).item(), my_kl(mu, logvar).item()
print(f"line 4: {explained:.4f} - {price:.4f} =            ELBO     = {explained - price:.4f}")

# %% [markdown]
# **Line 5.** What did Jensen throw away? Write $p(x, z) = p(z|x)\,p(x)$ in line 3 instead; $p(x)$ does not depend on $z$:
#
# $$ \log p(x) = \mathrm{ELBO} + \mathrm{KL}\big(q(z)\,\|\,p(z|x)\big) $$
#
# The **gap** is the divergence of $q$ from the true **posterior** $p(z|x)$, the codes that $x$ may have come from.

# %%
gap = toy.gap(x, mu, logvar).item()
print(f"line 5: ELBO {explained - price:.4f} + gap {gap:.4f} =          {explained - price + gap:.4f}")
difference = abs(explained - price + gap - evidence)
print(f"and log p(x) was {evidence:.4f}: the difference is below 1e-6: {difference < 1e-6}")

# %% [markdown]
# So the two views meet. Making the ELBO large does two things at once: it makes real images likely, and it draws $q$ to
# the true posterior. The encoder is nothing but a network that guesses the posterior of each image.
#
# See it on one latent: $z \sim \mathcal N(0, 1)$, $x = z + 0.6 \cdot \text{noise}$, and $x = 1.2$ was observed.
#
# > **Predict.** Where will the gap be 0? Can you make the ELBO larger than the evidence? And what hurts more, a
# > $q$ that is three times too narrow, or one that is three times too wide?

# %%
line_model = vae.LinearGaussian(torch.ones(1, 1).double(), torch.zeros(1).double(), sigma=0.6)
seen = torch.tensor([[1.2]], dtype=torch.float64)
means = torch.linspace(-0.5, 2.0, 51, dtype=torch.float64)
stds = torch.linspace(0.1, 1.5, 29, dtype=torch.float64)
q_mean = means[:, None].expand(51, 29).reshape(-1, 1)
q_logvar = 2 * stds.log().expand(51, 29).reshape(-1, 1)
parts = [part(seen, q_mean, q_logvar) for part in (line_model.reconstruction, line_model.gap)]
centre, covariance = line_model.posterior(seen)
z = torch.linspace(-3, 3, 121, dtype=torch.float64)

# %%
widgets.ElboBalance(
    means, stds, parts[0].view(51, 29), my_kl(q_mean, q_logvar).view(51, 29), parts[1].view(51, 29),
    line_model.log_evidence(seen).item(), z,
    vae.log_normal(z[:, None], zero[:1], zero[:1]).exp(),
    vae.log_normal(z[:, None], centre, covariance.log()).exp(),
    title="evidence = ELBO + gap", mean_index=14, std_index=16,
)

# %% [markdown]
# The gap closes where $q$ lies on the posterior, at mean 0.88 and standard deviation 0.51, and nowhere does the ELBO get
# past the line. Three times too wide costs more than three times too narrow: $q$ pays for every code that it proposes and
# the posterior rules out. So where a $q$ cannot fit, it tends to come out too narrow.

# %% [markdown]
# ## 5. How likely is an image, really?
#
# The ELBO underestimates $\log p(x)$, and we do not know by how much. Draw $K$ codes instead of one and take the
# logarithm of their *mean* weight, as in line 2: the **importance-weighted bound** (IWAE). With one draw it estimates the
# ELBO; with more, it climbs towards $\log p(x)$, and on average it never passes it.
#
# $$ \mathrm{IWAE}_K = \log \frac1K \sum_{k=1}^{K} w_k, \qquad \log w_k = \log p(x, z_k) - \log q(z_k|x) $$
#
# **Exercise 6.** You get $\log w$ for $K$ draws of $B$ images. For real images it is about -100 and below, and
# $e^{-1000}$ is 0 for a computer: find a way, or a function, that does not leave the logarithm.

# %% nbgrader={"grade": false, "grade_id": "iwae_bound", "locked": false, "solution": true, "schema_version": 3}
def iwae_bound(log_w):
    """log of the mean weight of each image. log_w (K,B), nats. Returns (B,), nats."""
    ### BEGIN SOLUTION
    return torch.logsumexp(log_w, dim=0) - math.log(log_w.shape[0])
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "iwae_bound-check", "locked": true, "points": 4, "solution": false, "schema_version": 3}
check("vae.iwae_bound", iwae_bound)

# %% [markdown]
# > **Predict.** On the toy model, where $\log p(x)$ is known: how many draws close half of the gap? All of it?

# %%
my_bound = mine_or_reference("vae.iwae_bound", iwae_bound)
draws = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
log_w = toy.log_weights(x.expand(1000, 3), mu, logvar, torch.randn(1000, 1000, 2, generator=draw).double())
climb = [my_bound(log_w[:k]).mean().item() for k in draws]
plots.lines(
    {"IWAE bound": (draws, climb), "log p(x)": (draws, [evidence] * len(draws)),
     "ELBO": (draws, [explained - price] * len(draws))},
    xscale="log", xlabel="draws K", ylabel="nats", height=2.8, markers=True,
    colours=(plots.MODEL, plots.REFERENCE, plots.NOISE),
    alt="The bound climbs from the ELBO at one draw towards log p(x) at a thousand.",
    caption="From the ELBO at one draw to the evidence: mean of 1,000 repetitions.",
)

# %% [markdown]
# For the VAE of digits nobody knows $\log p(x)$, but now we can say how far the ELBO is off. On all 10,000 test images,
# statically binarised:

# %%
quality = {name: load_card(f"vae/{name}").quality for name in ("latent-32", "latent-2")}
plots.table(
    ("nats an image", "ELBO", "IWAE, K = 500", "gap, at least"),
    {f"VAE, {name.split('-')[1]} latents": [f"{q['test_elbo_nats']:.2f}",
     f"{q['test_iwae_500_nats']:.2f}", f"{q['test_iwae_500_nats'] - q['test_elbo_nats']:.2f}"]
     for name, q in quality.items()},
    caption="Bounds on log p(x), mean over the 10,000 binarised test images. Larger is better.",
)

# %% tags=["nbval-ignore-output"]
few = binary_test[: profile.pick(ci=10, cpu=100, gpu=500)]
eps = torch.randn(500, len(few), 32, generator=generator)
with torch.no_grad():
    log_w = torch.cat([vae.log_weights(shipped, few, part) for part in eps.split(50)])
climb = [my_bound(log_w[:k]).mean().item() for k in draws if k <= 500]
plots.lines(
    {"IWAE bound": (draws[: len(climb)], climb)}, xscale="log", markers=True, height=2.6,
    xlabel="draws K", ylabel="nats an image", colours=(plots.MODEL,),
    alt="The bound of the shipped VAE climbs with the number of draws and flattens.",
    caption=f"{len(few)} test images: {climb[0]:.1f} nats at one draw, {climb[-1]:.1f} at 500. "
    "The curve still rises a little: the truth lies above.",
)

# %% [markdown]
# ## 6. What the weight of the KL does
#
# $\beta = 1$ is the ELBO. Other weights give other models (**β-VAE**). Below are five that differ in nothing else. A
# latent counts as **active** if its mean moves with the image (variance above 0.01); the others have gone to sleep: their
# cloud is the prior, whatever the image, and the decoder has learned not to listen.
#
# > **Predict.** From $\beta = 0$ to 16: what becomes of the reconstructions? Of the samples? Which has the best samples?

# %%
betas = {0.0: "beta-0", 0.25: "beta-0.25", 1.0: "latent-32", 4.0: "beta-4", 16.0: "beta-16"}
models = {beta: load_checkpoint(f"vae/{name}") for beta, name in betas.items()}
cards = {beta: load_card(f"vae/{name}").quality for beta, name in betas.items()}
eight, crowd = binary_test[:8], test_set[:600]
z = torch.randn(8, 32, generator=torch.Generator().manual_seed(6))
frames, clouds, bars, awake, captions = [], [], [], [], []
for network in models.values():
    with torch.no_grad():
        mu, logvar = network.encode(binary_test[:2000])
        pictures = network.decode(network.encode(eight)[0]).sigmoid(), network.decode(z).sigmoid()
    nats = vae.kl_by_unit(mu, logvar).mean(dim=0)
    order = nats.argsort(descending=True)
    frames.append(plots.tile([eight, *pictures], (0, 1)))
    clouds.append(mu[:600, order[:2]])
    bars.append(nats[order])
    awake.append(vae.active_units(mu)[order])

# %%
captions = [
    f"β = {beta:g}: reconstruction {q['test_reconstruction_nats']:.0f} nats, KL {q['test_kl_nats']:.1f} "
    f"nats, {q['active_units']} of 32 latents active; Fréchet distance of samples "
    f"{q['frechet_of_samples']:.0f} (real digits: {q['frechet_floor_training_images']:.1f})."
    for beta, q in cards.items()
]
widgets.LatentSweep(
    frames, torch.stack(clouds), crowd.labels, torch.stack(bars), torch.stack(awake), list(betas),
    captions, title="Five weights of the KL", label="β", index=2,
    row_labels=("image", "reconstruction", "sample"),
    cloud_labels=("mean of the latent with most KL", "of the second"),
)

# %%
plots.table(
    ("β", "reconstruction", "KL", "ELBO", "active latents", "Fréchet, samples"),
    {f"{beta:g}": [f"{q['test_reconstruction_nats']:.1f}", f"{q['test_kl_nats']:.1f}",
                   f"{q['test_elbo_nats']:.1f}", f"{q['active_units']} of 32",
                   f"{q['frechet_of_samples']:.0f}"] for beta, q in cards.items()},
    caption="Nats an image on 10,000 test images; distance for 10,000 samples, floor "
    f"{cards[1.0]['frechet_floor_training_images']:.1f}. Only at β = 1 was the ELBO itself trained.",
)

# %% [markdown]
# Without KL the images come back best and the samples are worst: codes lie far outside of the prior. With much KL the
# clouds sit neatly in the prior and say next to nothing. In between there is a trade. Among these five, $\beta = 1$ has the
# best samples; nothing promises that. What $\beta = 1$ is right for is the likelihood, see the column of the ELBO.

# %% [markdown]
# ## 7. From one digit to another
#
# Encode two images, walk from code to code, decode on the way. On a straight line the codes in the middle are shorter
# than at the ends; the **spherical** way keeps their length. With $\omega$ the angle between the two codes:
#
# $$ z(t) = \frac{\sin((1-t)\,\omega)}{\sin \omega}\, z_0 + \frac{\sin(t\,\omega)}{\sin \omega}\, z_1 $$
#
# **Exercise 7.** Both ways. The first row is $z_0$, the last one $z_1$. Where the two codes point the same way,
# $\sin \omega = 0$: there the straight line is right.

# %% nbgrader={"grade": false, "grade_id": "interpolate", "locked": false, "solution": true, "schema_version": 3}
def interpolate(z0, z1, steps, mode):
    """Codes from z0 to z1 (D,), ends included; mode "linear" or "spherical". Returns (steps,D)."""
    ### BEGIN SOLUTION
    t = torch.linspace(0, 1, steps, dtype=z0.dtype)[:, None]
    omega = torch.arccos((F.cosine_similarity(z0, z1, dim=0)).clamp(-1, 1))
    if mode == "linear" or omega.sin() < 1e-3:
        return (1 - t) * z0 + t * z1
    return (((1 - t) * omega).sin() * z0 + (t * omega).sin() * z1) / omega.sin()
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "interpolate-check", "locked": true, "points": 4, "solution": false, "schema_version": 3}
check("vae.interpolate", interpolate)

# %% [markdown]
# > **Predict.** Between a 1 and a 0, half-way: which digit will you meet? Will the two ways differ?

# %%
my_path = mine_or_reference("vae.interpolate", interpolate)
ten = (test_set.balanced(1).images > 0.5).float()
with torch.no_grad():
    ends = shipped.encode(ten)[0]
    usual = shipped.encode(binary_test[:2000])[0].norm(dim=1).mean()
t, paths = [round(k / 8, 3) for k in range(9)], torch.empty(10, 10, 9, 2, 32)
for i, start in enumerate(ends):
    for j, end in enumerate(ends[i:], start=i):
        way = torch.stack([my_path(start, end, 9, mode) for mode in vae.MODES], dim=1)
        paths[i, j], paths[j, i] = way, way.flip(0)  # there and back
drawn = to_uint8(in_batches(lambda z: shipped.decode(z).sigmoid(), paths.flatten(0, 3)), (0, 1))
captions = [[[f"t = {t[k]:g}: length of the code {line:.1f} on the line, {sphere:.1f} on the sphere; "
              f"of test images {usual:.1f}." for k, (line, sphere) in enumerate(lengths)]
             for lengths in row] for row in paths.norm(dim=-1).tolist()]

# %%
widgets.FrameScrubber(
    drawn.view(10, 10, 9, 2 * 28, 28), t, captions, title="From digit to digit", label="t", index=4,
    choices={"from": list("0123456789"), "to": list("0123456789")}, chosen=(1, 0),
    row_labels=("linear", "spherical"),
)

# %% [markdown]
# ## 8. Lab: a latent that falls asleep
#
# Give the decoder more help, and it may stop listening to the code altogether. Ours now also sees the pixels *before*
# each pixel, in reading order; from these alone one can predict the next pixel well. The images are 14 × 14 pixels, so
# that you can train it here.
#
# > **Predict.** What will the KL be after training? Will the ELBO suffer?
#
# Three cures are tried beside it: a **warm-up** (the KL is free at first, and costs its full price from half-way on),
# **free bits** (the first 0.5 nats of each latent are free), and a decoder that in training sees only half of the pixels.

# %% tags=["nbval-ignore-output"]
lab_steps = profile.pick(ci=30, cpu=800, gpu=3000)
tiny = [F.avg_pool2d(part.images, 2) for part in (train_set, test_set)]
tiny_train, tiny_test = (vae.binarise(x, torch.rand(x.shape, generator=generator)) for x in tiny)
tiny_eps = torch.randn(len(tiny_test), 8, generator=generator)


@torch.no_grad()
def state_of(network, count):
    logits, mu, logvar = network(tiny_test[:count], tiny_eps[:count])
    nll, kl = vae.bernoulli_nll(logits, tiny_test[:count]).mean(), my_kl(mu, logvar).mean()
    return nll.item(), kl.item(), int(vae.active_units(mu).sum())


# %% tags=["nbval-ignore-output"]
sleepy, curves = {}, {}
for cure in vae.CURES:
    with seeded(0):
        sleepy[cure] = vae.NeighbourVAE(latent_dim=8)
    optimizer = torch.optim.Adam(sleepy[cure].parameters(), lr=1e-2)
    kls, stream = [], batches(tiny_train, 128, generator=generator)
    for step in range(lab_steps):
        share = step / lab_steps
        vae.train_step_with(cure, sleepy[cure], next(stream), share, optimizer, generator)
        if step % 10 == 9:
            kls.append(state_of(sleepy[cure], 500)[1])
    curves[cure] = (range(10, lab_steps + 1, 10), kls)

# %% tags=["nbval-ignore-output"]
plots.lines(
    curves, xlabel="update", ylabel="KL, nats an image", height=2.8, ylim=(0, 12),
    colours=(plots.NOISE, plots.MODEL, plots.DATA, plots.STUDENT),
    alt="The KL of the untreated model falls to 0; with each of the cures it stays above.",
    caption="The KL is what the code says about the image. Untreated, it dies within a few "
    "hundred updates and does not come back.",
)

# %%
lab = load_card("vae/neighbours").quality["by_cure_and_seed"]


def span(runs, figure, digits):
    values = [run[figure] for run in runs.values()]
    low, high = f"{min(values):.{digits}f}", f"{max(values):.{digits}f}"
    return low if low == high else f"{low} to {high}"


plots.table(
    ("cure", "KL", "active latents of 8", "reconstruction", "ELBO"),
    {cure: [span(runs, "test_kl_nats", 2), span(runs, "active_units", 0),
            span(runs, "test_reconstruction_nats", 1), span(runs, "test_elbo_nats", 1)]
     for cure, runs in lab.items()},
    caption="Nats an image on 10,000 test images; range over three seeds, 3,000 updates each.",
)

# %% [markdown]
# **Posterior collapse**: $q(z|x)$ equals the prior for every image. Read the last column before you call it a failure: the
# ELBO of the collapsed model is as good as that of the others, or better. The loss asks for likely images; it never
# asked for a useful code. If you want one, you have to say so, and the cures are ways to say it.

# %% [markdown]
# ## 9. Where it fails
#
# The VAE generates. But look at its samples: they are soft. Given a code, its pixels are independent coins, so all that
# it is unsure about ends up as grey.

# %%
def grey_share(x):
    return (100 * ((x > 0.1) & (x < 0.9)).float().mean()).item()


with torch.no_grad():
    z = torch.randn(count, 32, generator=torch.Generator().manual_seed(9))
    samples = shipped.decode(z).sigmoid()
print(f"pixels that are neither paper nor ink: real digits {grey_share(real):.0f}%, "
      f"samples of the VAE {grey_share(samples):.0f}%")
plots.image_rows(
    {"real": real[:12], "VAE": samples[:12]}, (0, 1),
    alt="Twelve real digits above twelve samples, whose strokes are softer and partly missing.",
    caption="Strokes fade where the code leaves open where they run.",
)

# %% [markdown]
# A squared error or a pixel-by-pixel likelihood does not see that a picture is blurred; you do, at a glance. So could a
# second network be trained to see it, and be the loss? That is chapter 4.

# %% [markdown]
# ## 10. Find the bug
#
# This loss stands in many tutorials. It trains, the curve falls, and the samples all look alike.
#
# > **Predict.** Both parts are averages here: one over 784 pixels, the other one over 32 latents. Divide the loss by
# > what stands before the reconstruction: which $\beta$ is that, really?

# %%
def loss_from_a_tutorial(logits, x, mu, logvar):
    reconstruction = F.binary_cross_entropy_with_logits(logits, x)
    kl = -0.5 * torch.mean(1 + logvar - mu.pow(2) - logvar.exp())
    return reconstruction + kl


draw = torch.Generator().manual_seed(10)
mu, logvar = torch.randn(2, 64, 32, generator=draw)
logits, x = torch.randn(64, 1, 28, 28, generator=draw), binary_test[:64]
theirs = 784 * loss_from_a_tutorial(logits, x, mu, logvar).item()
for beta in (1.0, 784 / 32):
    print(f"784 x the tutorial's loss: {theirs:.1f};  your loss at β = {beta:.1f}: "
          f"{my_loss(logits, x, mu, logvar, beta):.1f}")

# %% [markdown]
# <details><summary>The diagnosis</summary>
#
# Means instead of sums change the *balance*. $\frac{1}{784}\sum_{\text{pixels}} + \frac{1}{D}\sum_{\text{latents}}$ is, but
# for a factor, the loss with $\beta = 784 / D$: 24.5 for 32 latents, 157 for five. Go back to the slider of section 6 and
# look at $\beta = 16$: this is why "the VAE blurs so much". Sum over pixels and over latents, and take the mean over images
# only.
# </details>
#
# Repair it here, with $\beta = 1$ (no points):

# %% nbgrader={"grade": false, "grade_id": "repaired_loss", "locked": false, "solution": true, "schema_version": 3}
def repaired_loss(logits, x, mu, logvar):
    """The tutorial's loss, balanced as the ELBO: a scalar, nats an image."""
    ### BEGIN SOLUTION
    reconstruction = F.binary_cross_entropy_with_logits(logits, x, reduction="sum") / len(x)
    kl = -0.5 * (1 + logvar - mu.pow(2) - logvar.exp()).sum() / len(x)
    return reconstruction + kl
    ### END SOLUTION


# %%
def value_of(loss):
    try:
        return f"{loss(logits, x, mu, logvar):.1f}"
    except Exception as error:
        return type(error).__name__


print("the tutorial's:", value_of(loss_from_a_tutorial))
print("yours:         ", value_of(repaired_loss))
print("minus the ELBO:", f"{my_loss(logits, x, mu, logvar, 1.0):.1f}")

# %% [markdown]
# ## Summary
#
# | idea | in one sentence | you wrote |
# |:---|:---|:---|
# | a cloud, not a point | the encoder gives a mean and a spread; noise stands beside the gradient's path | `reparameterize` |
# | price | KL divergence from the prior, summed over latents | `kl_standard_normal` |
# | likelihood | the decoder gives each pixel a probability | `bernoulli_nll` |
# | ELBO | reconstruction minus KL, a lower bound on the evidence | `negative_elbo`, `VAE` |
# | gap | evidence = ELBO + KL to the true posterior | |
# | many draws | the importance-weighted bound climbs to the evidence | `iwae_bound` |
# | walking | a filled latent space has digits between digits | `interpolate` |
#
# ### Questions that come up
#
# - **May I use grey images as $x$?** The formula runs, but it is not a likelihood then: probabilities of grey values do not
#   add up to 1. The continuous Bernoulli repairs that. As a mere loss it works.
# - **Why is my squared-error VAE so blurred?** Summed squared error is a Gaussian decoder with variance ½ for each pixel, a
#   lot for grey values between 0 and 1. Other variances are other weights of the KL.
# - **Can the ELBO be positive?** For binary images no: a probability is at most 1. For continuous $x$, as in section 4,
#   densities may exceed 1, and their logarithms 0.
# - **Are single latents meaningful?** Sometimes, more so at larger $\beta$; nothing guarantees it.
#
# ### Further reading
#
# - Kingma and Welling, *Auto-encoding variational Bayes*, ICLR 2014; and *An introduction to variational autoencoders*,
#   Foundations and Trends 2019.
# - Burda, Grosse and Salakhutdinov, *Importance weighted autoencoders*, ICLR 2016.
# - Higgins et al., *beta-VAE: learning basic visual concepts with a constrained variational framework*, ICLR 2017.
