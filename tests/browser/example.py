"""One widget of each family, from 525 digits and their principal components: quick and the same everywhere.

The tests run this file as the first cell of a notebook, and run it themselves to know what must be shown.
"""

import numpy as np

from course_utils.data import load, to_uint8
from course_utils.widgets import FrameScrubber, LatentMap, LatentScatter, ThresholdSlider


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
