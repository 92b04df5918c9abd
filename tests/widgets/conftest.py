"""Small widgets of each family, built anew with whatever arguments a test wants to change.

A kind is a family, or a family and what is special, e.g. "FrameScrubber, choices".
"""

import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from course_utils import widgets
from course_utils.widgets import Block, Run
from course_utils.widgets.base import CourseWidget

IMAGES = np.random.default_rng(0).integers(0, 256, (40, 6, 5), np.uint8)
SCORES = np.random.default_rng(1).gamma(4, 0.005, 60)
LIMITS = np.linspace(0, 0.1, 9)

NATS = np.random.default_rng(4).gamma(2, 1, (2, 4, 3))  # kl and gap of 4 means and 3 standard deviations
EVIDENCE = -2.3
Z = np.linspace(-4, 4, 33)

FADING = np.cumprod(1 - np.linspace(1e-3, 0.2, 50))  # alphas_cumprod of 50 steps
STAGES = {
    "in": IMAGES[:8],
    "down": IMAGES[8:20, ::2, ::2],
    "middle": IMAGES[20:24, ::3, ::3],
    "up": IMAGES[24:36],
}
MIXED = {
    "x0": IMAGES[:3] / 127.5 - 1,
    "noise": np.random.default_rng(12).normal(size=(3, 6, 5)),
    "title": "Mixed",
}


ATTENTION = np.random.default_rng(13).gamma(1, 0.1, (3, 4, 4, 3))  # 3 steps, 4 words
WORDS = {
    "words": ["a", "red", "a", "seven"],
    "maps": ATTENTION.mean(axis=0),
    "image": np.linspace(0, 255, 16 * 12 * 3).reshape(16, 12, 3).astype(np.uint8),
    "title": "Words",
    "label": "prompt",
    "selected": 1,
}


def counts(normal: np.ndarray, anomalous: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """True positives, false positives, true negatives, false negatives at each threshold."""
    found, false_alarms = ((scores > thresholds[:, None]).sum(axis=1) for scores in (anomalous, normal))
    return np.stack([found, false_alarms, len(normal) - false_alarms, len(anomalous) - found], axis=1)


def some_images(count: float, kind: str) -> Run:
    images = IMAGES[: int(count)] if kind == "first" else IMAGES[-int(count) :]
    return Run(images, list(range(len(images))), [f"The {kind} {count}: {k}." for k in range(len(images))])


def an_image(prompt: str, seed: int) -> Run:
    images = np.roll(IMAGES[: 2 + seed], len(prompt), axis=2)
    return Run(images, list(range(len(images))), [f"“{prompt}”: {k}." for k in range(len(images))])


EXAMPLE = runpy.run_path(str(Path(__file__).parents[1] / "browser" / "kernel_example.py"))
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
    "FrameScrubber, choices": {
        "frames": IMAGES[:24].reshape(2, 3, 4, 6, 5),
        "stops": [0.25, 0.5, 0.75, 1.0],
        "captions": [[[f"From {a} to {b}, {k}." for k in range(4)] for b in "xyz"] for a in "xy"],
        "title": "Choices",
        "label": "way",
        "choices": {"from": ["x", "y"], "to": ["x", "y", "z"]},
        "chosen": (0, 2),
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
    "LatentWalk": {
        "frames": IMAGES[:12].reshape(3, 4, 6, 5),
        "stops": ([0.0, 0.5, 1.0], ["a", "b", "c", "d"]),
        "captions": [[f"Row {row}, column {column}." for column in range(4)] for row in range(3)],
        "title": "Walk",
        "labels": ("down", "across"),
        "row": 1,
        "column": 2,
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
    "ArrowField": {
        "points": np.random.default_rng(5).normal(size=(3, 25, 2)),
        "places": np.random.default_rng(6).uniform(-2, 2, (9, 2)),
        "fields": {
            "exact": np.random.default_rng(7).normal(size=(3, 9, 2)),
            "learned": np.random.default_rng(8).normal(size=(3, 9, 2)),
        },
        "stops": [0.1, 0.5, 2.0],
        "captions": [f"This is stop {k}." for k in range(3)],
        "title": "Arrows",
        "label": "noise",
        "extent": (-2.0, 2.0, -3.0, 3.0),
        "index": 1,
    },
    "ElboBalance": {
        "means": np.linspace(-1, 2, 4),
        "stds": np.array([0.25, 0.5, 1.0]),
        "reconstruction": EVIDENCE + NATS[0] - NATS[1],
        "kl": NATS[0],
        "gap": NATS[1],
        "log_evidence": EVIDENCE,
        "z": Z,
        "prior": np.exp(-0.5 * Z**2) / np.sqrt(2 * np.pi),
        "posterior": np.exp(-2 * (Z - 1) ** 2) * np.sqrt(2 / np.pi),
        "title": "Balance",
        "mean_index": 1,
        "std_index": 2,
    },
    "LatentSweep": {
        "frames": IMAGES[:5],
        "clouds": np.random.default_rng(9).normal(size=(5, 30, 2)) * np.arange(1, 6)[:, None, None],
        "labels": np.arange(30) % 10,
        "bars": np.random.default_rng(10).gamma(1, 1, (5, 8)),
        "active": np.random.default_rng(11).random((5, 8)) > 0.5,
        "stops": [0.01, 0.1, 1.0, 3.0, 10.0],
        "captions": [f"This is model {k}." for k in range(5)],
        "title": "Sweep",
        "label": "weight",
        "index": 2,
        "row_labels": ("digit", "its copy"),
        "cloud_labels": ("z1", "z2"),
    },
    "NoiseMixer": {**MIXED, "schedules": {"linear": FADING}, "index": 10},
    "NoiseMixer, schedules": {
        **MIXED,
        "schedules": {"linear": FADING, "slow": FADING**0.5, "cut": FADING.clip(0.2)},
        "index": 20,
    },
    "CurveScrubber": {
        "x": np.linspace(1, 9, 5),
        "curves": {
            "moving": np.arange(15.0).reshape(3, 5),
            "still": np.array([1.0, 2, 3, 2, 1]),
            "growing": np.where(np.arange(5) > np.arange(0, 6, 2)[:, None], np.nan, 6.0),
        },
        "stops": [0.1, 0.5, 2.0],
        "captions": [f"This is stop {k}." for k in range(3)],
        "title": "Curves",
        "label": "noise",
        "xlabel": "x",
        "ylabel": "height",
        "images": IMAGES[:3],
        "marks": {
            "moving": np.array([[1.0, 0], [3, 6], [5, 12]]),
            "other": np.array([[9.0, 1], [7, 2], [0, 3]]),
        },
        "index": 1,
    },
    "NetworkAnatomy": {
        "blocks": [
            Block(
                name,
                level,
                column,
                f"{len(maps) // 2} maps",
                "It is here.",
                maps.reshape(2, -1, *maps.shape[1:]),
            )
            for column, (level, (name, maps)) in enumerate(zip((0, 1, 2, 0), STAGES.items(), strict=True))
        ],
        "stops": [0, 999],
        "captions": ["Little noise.", "Much noise."],
        "title": "Anatomy",
        "label": "t",
        "skips": [("in", "up")],
        "selected": 1,
    },
    "LiveScrubber": {
        "run": some_images,
        "choices": {"count": [2, 3.5, 5], "kind": ["first", "last"]},
        "title": "Live",
        "label": "image",
        "unit": "images",
        "known": [{"count": 5}, {"kind": "last"}],
    },
    "LiveScrubber, text": {
        "run": an_image,
        "choices": {"prompt": "a red seven", "seed": [0, 1, 2]},
        "title": "Live",
        "label": "image",
        "known": [{"prompt": "two, or three"}],
    },
    "WordMaps": WORDS,
    "WordMaps, steps": {
        **WORDS,
        "selected": 3,
        "steps": ATTENTION,
        "stops": [980, "t = 490", 0],
        "index": 2,
    },
    "DuelTrainer": {
        "duel": EXAMPLE["TinyDuel"](hidden=8, shown=20, grid=5),
        "title": "Duel",
        "recorded": 3,
    },
}


def built(kind: str, **changes: object) -> CourseWidget:
    return getattr(widgets, kind.partition(",")[0])(**ARGUMENTS[kind] | changes)


@pytest.fixture
def build() -> Callable[..., CourseWidget]:
    """build(kind, **changes): a widget of this kind, with these arguments changed."""
    return built


@pytest.fixture
def arguments() -> dict[str, dict[str, Any]]:
    """The arguments of each kind."""
    return ARGUMENTS


@pytest.fixture(params=ARGUMENTS)
def kind(request: pytest.FixtureRequest) -> str:
    """Every kind in turn."""
    return request.param


@pytest.fixture
def widget(kind: str) -> CourseWidget:
    """A widget of every kind in turn."""
    return built(kind)
