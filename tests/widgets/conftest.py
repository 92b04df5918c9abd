"""One small widget of each family, built anew with whatever arguments a test wants to change."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from course_utils import widgets
from course_utils.widgets.base import CourseWidget

IMAGES = np.random.default_rng(0).integers(0, 256, (40, 6, 5), np.uint8)
SCORES = np.random.default_rng(1).gamma(4, 0.005, 60)
LIMITS = np.linspace(0, 0.1, 9)


def counts(normal: np.ndarray, anomalous: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """True positives, false positives, true negatives, false negatives at each threshold."""
    found, false_alarms = ((scores > thresholds[:, None]).sum(axis=1) for scores in (anomalous, normal))
    return np.stack([found, false_alarms, len(normal) - false_alarms, len(anomalous) - found], axis=1)


ARGUMENTS: dict[str, dict[str, Any]] = {
    "FrameScrubber": {
        "frames": IMAGES[:5].reshape(5, 6, 5),
        "stops": [2, 4, 8.5, 1000000, "all"],
        "captions": [f"This is frame {k}." for k in range(5)],
        "title": "Frames & <more>",
        "label": "latent numbers",
        "unit": "numbers",
        "index": 1,
        "row_labels": ("digit", "its copy"),
    },
    "LatentScatter": {
        "embeddings": {
            "t-SNE": np.random.default_rng(2).normal(size=(20, 2)),
            "UMAP": np.arange(40).reshape(20, 2),
        },
        "images": IMAGES[:20],
        "reconstructions": IMAGES[20:],
        "errors": np.linspace(0.001, 0.02, 20),
        "labels": np.arange(20) % 10,
        "title": "Codes",
        "selected": 3,
    },
    "LatentMap": {
        "decoded": IMAGES[:25].reshape(5, 5, 6, 5),
        "extent": (-2.0, 2.0, -1.0, 3.0),
        "codes": np.random.default_rng(3).normal(size=(30, 2)),
        "labels": np.arange(30) % 3,
        "distances": np.linspace(0, 4.8, 25).reshape(5, 5),
        "title": "Map",
        "hole_distance": 2.0,
    },
    "ThresholdSlider": {
        "normal_scores": SCORES[:40],
        "anomalous_scores": 2 * SCORES[40:],
        "thresholds": LIMITS,
        "counts": counts(SCORES[:40], 2 * SCORES[40:], LIMITS),
        "title": "Threshold",
        "normal_name": "zeros",
        "anomalous_name": "ones",
        "index": 4,
    },
}


def built(family: str, **changes: object) -> CourseWidget:
    return getattr(widgets, family)(**ARGUMENTS[family] | changes)


@pytest.fixture
def build() -> Callable[..., CourseWidget]:
    """build(family, **changes): a widget of the family, with these arguments changed."""
    return built


@pytest.fixture(params=ARGUMENTS)
def widget(request: pytest.FixtureRequest) -> CourseWidget:
    """A widget of every family in turn."""
    return built(request.param)
