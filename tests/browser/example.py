"""Widgets of each family, from 525 digits, their components and closed forms: quick, the same everywhere.

The tests run this file as the first cell of a notebook, and run it themselves to know what must be shown.
"""

import numpy as np

from course_utils.data import load, to_uint8
from course_utils.widgets import (
    ArrowField,
    Block,
    CurveScrubber,
    ElboBalance,
    FrameScrubber,
    LatentMap,
    LatentScatter,
    LatentSweep,
    NetworkAnatomy,
    NoiseMixer,
    ThresholdSlider,
)


def pictures(rows: np.ndarray) -> np.ndarray:
    """(N, 1024) floats, about 0..1, as (N, 32, 32) uint8."""
    return (rows.clip(0, 1) * 255).astype(np.uint8).reshape(-1, 32, 32)


data = load("mnist", "test", size=32)
labels = data.labels[:525].numpy()
digits = to_uint8(data.images[:525], data.value_range)[:, 0].numpy()
x = digits.reshape(525, -1) / 255
mean = x.mean(axis=0)
axes = np.linalg.svd(x - mean, full_matrices=False)[2]
z = (x - mean) @ axes.T
rebuilt = {k: z[:, :k] @ axes[:k] + mean for k in (2, 4, 8, 16, 32, 64)}
errors = {k: ((rebuilt[k] - x) ** 2).mean(axis=1) for k in rebuilt}

frames = np.stack(
    [np.vstack([np.hstack(digits[:10]), np.hstack(pictures(r[:10]))]) for r in rebuilt.values()]
)
scrubber = FrameScrubber(
    frames,
    list(rebuilt),
    [f"{k} numbers instead of 1,024: error {errors[k].mean():.4f} MSE per pixel." for k in rebuilt],
    title="How many numbers does a digit need?",
    label="latent numbers",
    unit="latent numbers",
    index=2,
    row_labels=("digit", "rebuilt"),
)

colours = np.random.default_rng(0).integers(0, 256, (3, 8, 12, 3), np.uint8)
coloured = FrameScrubber(
    colours, ["r", "g", "b"], ["red", "green", "blue"], title="Colours stay as they are", label="channel"
)

reconstructions = pictures(rebuilt[16][:300])
scatter = LatentScatter(
    {"components 1, 2": z[:300, :2], "components 3, 4": z[:300, 2:4]},
    digits[:300],
    reconstructions,
    errors[16][:300],
    labels[:300],
    title="Digits by their components",
    selected=17,
)

extent = (-8.0, 10.0, -8.0, 8.0)
plane = np.stack(np.meshgrid(np.linspace(-8, 10, 25), np.linspace(-8, 8, 25)), axis=-1)
decoded = pictures(plane.reshape(-1, 2) @ axes[:2] + mean).reshape(25, 25, 32, 32)
distances = np.linalg.norm(plane[:, :, None] - z[:, :2], axis=-1).min(axis=2)
latent_map = LatentMap(
    decoded, extent, z[:, :2], labels, distances, title="A walk through two components", hole_distance=1.5
)

normal, anomalous = errors[16][labels != 2], errors[16][labels == 2]
thresholds = np.unique(errors[16])[::8]
found, alarms = ((scores > thresholds[:, None]).sum(axis=1) for scores in (anomalous, normal))
threshold = ThresholdSlider(
    normal,
    anomalous,
    thresholds,
    np.stack([found, alarms, len(normal) - alarms, len(anomalous) - found], axis=1),
    title="Where to draw the line",
    normal_name="all digits but 2",
    anomalous_name="digit 2",
    index=40,
)

to_name = [str(digit) for digit in range(4)]
steps = np.linspace(0, 1, 5)
ends = np.stack([x[labels == digit][0] for digit in range(4)])
way = np.stack([[[pictures((1 - t) * a + t * b)[0] for t in steps] for b in ends] for a in ends])
chooser = FrameScrubber(
    way,
    [f"{t:.0%}" for t in steps],
    [[[f"{a} to {b}: {t:.0%} of the way." for t in steps] for b in range(4)] for a in range(4)],
    title="From one digit to another",
    label="way",
    index=2,
    choices={"from": to_name, "to": to_name},
    chosen=(0, 3),
)

rng = np.random.default_rng(1)
turn, moon = rng.uniform(0, np.pi, 400), rng.integers(0, 2, 400)
clean = np.stack([np.cos(turn), np.sin(turn)], axis=1) * (1 - 2 * moon[:, None]) + moon[:, None] * (1, 0.5)
clean = 1.2 * (clean - (0.5, 0.25))
places = np.stack(np.meshgrid(*2 * [np.linspace(-2.3, 2.3, 14)]), axis=-1).reshape(-1, 2)
sigmas = (0.1, 0.2, 0.3, 0.5, 0.8, 1.2)
nearness = -((places[:, None] - clean) ** 2).sum(axis=2)
weights = [np.exp((nearness - nearness.max(axis=1, keepdims=True)) / (2 * s**2)) for s in sigmas]
exact = np.stack([w @ clean / w.sum(axis=1, keepdims=True) - places for w in weights])
learned = 0.95 * exact + 0.04 * rng.normal(size=exact.shape)
arrows = ArrowField(
    clean + np.array(sigmas)[:, None, None] * rng.normal(size=clean.shape),
    places,
    {"exact": exact, "learned": learned},
    sigmas,
    [
        f"σ = {s}: both arrows end {d:.3f} apart on average."
        for s, d in zip(sigmas, np.linalg.norm(exact - learned, axis=2).mean(axis=1), strict=True)
    ],
    title="Where a denoiser pulls",
    label="noise σ",
    extent=(-2.5, 2.5, -2.5, 2.5),
    index=3,
)

# p(z) = N(0, 1) and x|z ~ N(z, 0.6^2), seen at x = 1.2: everything in closed form
seen, variance = 1.2, 0.36
means, stds = np.linspace(-1, 2.5, 36), np.linspace(0.1, 1.5, 29)
m, s = np.meshgrid(means, stds, indexing="ij")
best, spread = seen / (1 + variance), np.sqrt(variance / (1 + variance))
code = np.linspace(-3, 4, 141)
balance = ElboBalance(
    means,
    stds,
    -0.5 * np.log(2 * np.pi * variance) - ((seen - m) ** 2 + s**2) / (2 * variance),
    0.5 * (m**2 + s**2 - 1) - np.log(s),
    0.5 * (((m - best) ** 2 + s**2) / spread**2 - 1) - np.log(s / spread),
    -0.5 * np.log(2 * np.pi * (1 + variance)) - seen**2 / (2 * (1 + variance)),
    code,
    np.exp(-0.5 * code**2) / np.sqrt(2 * np.pi),
    np.exp(-0.5 * ((code - best) / spread) ** 2) / (spread * np.sqrt(2 * np.pi)),
    title="The evidence never moves",
    mean_index=8,
    std_index=12,
)

weightings = (0.01, 0.1, 1.0, 3.0, 10.0)
spreads = np.array([[2.5, 0.4], [1.6, 0.4], [0.8, 0.6], [0.4, 0.9], [0.0, 1.0]])
centres = rng.normal(size=(10, 2))
clouds = centres[labels] * spreads[:, None, :1] + rng.normal(size=(525, 2)) * spreads[:, None, 1:]
bars = np.sort(rng.gamma(2, 1, (5, 12)) * np.array([[3.0], [2.0], [1.0], [0.4], [0.02]]), axis=1)[:, ::-1]
bars[0, 0] = 40
sweep = LatentSweep(
    frames[:5],
    clouds,
    labels,
    bars,
    bars > 0.2,
    weightings,
    [
        f"β = {b:g}: {(row > 0.2).sum()} of 12 latents are in use."
        for b, row in zip(weightings, bars, strict=True)
    ],
    title="What β buys",
    label="β",
    index=2,
    row_labels=("digit", "rebuilt"),
    cloud_labels=("z1", "z2"),
)

x0 = digits[:8] / 127.5 - 1
noise = np.random.default_rng(2).normal(size=x0.shape)
linear = np.cumprod(1 - np.linspace(1e-4, 0.02, 1000))
scaled = np.cumprod(1 - np.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2)
angle = (np.arange(1001) / 1000 + 0.008) / 1.008 * np.pi / 2
ratios = np.cos(angle[1:]) ** 2 / np.cos(angle[:-1]) ** 2
schedules = {
    "linear": linear,
    "cosine": np.cumprod(ratios.clip(0.001)),
    "scaled linear": scaled,
    "cosine, clipped": np.cumprod(ratios.clip(0.98)),
}
mixer = NoiseMixer(x0, noise, {"linear": linear}, title="From an image to noise", index=250)
comparer = NoiseMixer(x0, noise, schedules, title="Four ways to noise", index=250)

updates, levels = (100, 300, 1000, 3000, 9000), np.linspace(0, 999, 40)
losses = np.stack([0.02 + np.exp(-levels / 900 * np.log10(n)) for n in updates])
measured = np.where(np.arange(40) < 8 * np.arange(1, 6)[:, None], 0.9 * losses, np.nan)
curves = CurveScrubber(
    levels,
    {"loss": losses, "at last": losses[-1], "measured": measured},
    updates,
    [
        f"After {n} updates the loss is {row.mean():.3f} on average."
        for n, row in zip(updates, losses, strict=True)
    ],
    title="Loss at each level",
    label="updates",
    xlabel="t",
    ylabel="mean squared error",
    images=digits[[0, 1, 2, 1, 0]],
    marks={"loss": np.stack([levels[4:40:8], losses[range(5), range(4, 40, 8)]], axis=1)},
    log_y=True,
    index=2,
)

whole = digits[:12].reshape(4, 3, 32, 32)
half = whole.reshape(4, 3, 16, 2, 16, 2).mean(axis=(3, 5)).astype(np.uint8)
anatomy = NetworkAnatomy(
    [
        Block("stem", 0, 0, "3 x 32 x 32", "Takes in all there is.", whole),
        Block("down", 1, 1, "3 x 16 x 16", "Halves the resolution.", half),
        Block("middle", 2, 2, "3 x 8 x 8", "Looks at the whole.", half[..., ::2, ::2]),
        Block("up", 1, 3, "3 x 16 x 16", "Doubles the resolution.", 255 - half),
        Block("out", 0, 4, "1 x 32 x 32", "Guesses the noise.", 255 - whole[:, :1]),
    ],
    [0, 250, 500, 999],
    [f"This is level {t}." for t in (0, 250, 500, 999)],
    title="The parts of a network",
    label="t",
    skips=[("stem", "out"), ("down", "up")],
    selected=1,
    index=1,
)
