"""ThresholdSlider: the scores of two groups, and a threshold above which an image is flagged as an anomaly.

    normal_scores       (N,) float              a score of each image, e.g. its reconstruction error
    anomalous_scores    (M,) float
    thresholds          (K,) float, ascending
    counts              (K, 4) int              at each threshold: true positives, false positives,
                                                true negatives, false negatives ("positive": flagged)
    index               int, 0..K-1             the threshold that is shown

Histograms show shares of each group: the filled parts are the false-alarm rate and the detection rate.
"""

from typing import Any

import numpy as np
import traitlets
from matplotlib.ticker import PercentFormatter
from numpy.typing import ArrayLike

from course_utils.plots import DATA, HIGHLIGHT
from course_utils.widgets import pictures, wording
from course_utils.widgets.arguments import require_ascending, require_numbers, require_position
from course_utils.widgets.base import CourseWidget, module

SENTENCE = (
    "Threshold {threshold}: {detection} of the anomalies are found, "
    "{false_alarms} of the normal images raise a false alarm."
)
BINS = 60
LOOKS = (  # of the normal and of the anomalous group: colour, and what its row of the table counts
    {"colour": DATA, "cells": ["normals passed", "false alarms", "false-alarm rate"]},
    {"colour": HIGHLIGHT, "cells": ["anomalies missed", "anomalies found", "detection rate"]},
)


def bin_edges(*values: np.ndarray) -> np.ndarray:
    """Edges of BINS equal bins that hold all values: (BINS + 1,) float."""
    return np.histogram_bin_edges(np.concatenate(values), BINS)


def bin_shares(scores: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """The share of the scores that falls into each bin: (bins,) float, sums to 1."""
    return np.histogram(scores, edges)[0] / len(scores)


def render(
    groups: dict[str, np.ndarray], threshold: float, edges: np.ndarray, score_label: str
) -> np.ndarray:
    """A still of both histograms; what lies above the threshold is filled: (H, W, 3) uint8.

    Args:
        groups: name -> (N,) float, the normal scores first, then the anomalous.
        threshold: where the line stands.
        edges: (bins + 1,) float.
        score_label: name and unit of the scores.
    """
    card = pictures.Card(1120, 440)
    axes = card.axes(100, 16, 1000, 340, xlabel=score_label, ylabel="share of each group")
    for (name, scores), look in zip(groups.items(), LOOKS, strict=True):
        shares, colour = bin_shares(scores, edges), look["colour"]
        axes.stairs(shares, edges, color=colour, label=name, linewidth=1.5)
        axes.stairs(shares, edges, color=colour, alpha=0.16, fill=True)
        above = np.maximum(edges, threshold)  # bins below lose their width
        axes.stairs(shares, above, color=colour, alpha=0.6, fill=True)
    axes.axvline(threshold, color="black", linewidth=1.5)
    axes.set(xlim=(edges[0], edges[-1]), ylim=(0, None))
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    axes.legend(frameon=False)
    return card.pixels()


class ThresholdSlider(CourseWidget):
    """A threshold to move across two histograms, with what it finds and what it gets wrong.

    Args:
        normal_scores: (N,) float.
        anomalous_scores: (M,) float.
        thresholds: (K,) float, ascending.
        counts: (K, 4) int: true positives, false positives, true negatives, false negatives.
        title: heading of the widget.
        normal_name: what the normal images are, e.g. "digits 0 to 8".
        anomalous_name: what the anomalies are.
        index: the threshold at the start.
        score_label: name and unit of the scores.

    Raises:
        ValueError: numbers are not finite, lengths differ, thresholds do not ascend, or counts do not add up.
        TraitError: index lies outside of 0..K-1, here or when it is assigned.
    """

    FAMILY = "threshold_slider"
    STATE = ("index",)
    _esm = module(FAMILY)

    index = traitlets.Int().tag(sync=True)

    def __init__(
        self,
        normal_scores: ArrayLike,
        anomalous_scores: ArrayLike,
        thresholds: ArrayLike,
        counts: ArrayLike,
        *,
        title: str,
        normal_name: str,
        anomalous_name: str,
        index: int = 0,
        score_label: str = "reconstruction error (MSE per pixel)",
    ) -> None:
        name = "ThresholdSlider"
        normal = require_numbers(name, "normal_scores", normal_scores, ("N",))
        anomalous = require_numbers(name, "anomalous_scores", anomalous_scores, ("M",))
        self._thresholds = require_ascending(name, "thresholds", thresholds, "K")
        table = require_numbers(name, "counts", counts, (len(self._thresholds), 4), integer=True)
        _require_totals(table, len(normal), len(anomalous))
        self._groups = {normal_name: normal, anomalous_name: anomalous}
        if len(self._groups) == 1:
            raise ValueError(
                f"{name}: normal_name and anomalous_name must differ, got {normal_name!r} twice."
            )
        self._edges = bin_edges(normal, anomalous, self._thresholds)
        content = {"title": title, "scoreLabel": score_label, "sentence": SENTENCE}
        super().__init__(content | self._histogram() | self._verdicts(table), index=index)

    def _histogram(self) -> dict[str, Any]:
        """Steps and axes, as shares of the plot's width and height."""
        low, high = self._edges[[0, -1]]
        shares = np.stack([bin_shares(scores, self._edges) for scores in self._groups.values()])
        highest = 1.05 * shares.max()
        return {
            "groups": [{"name": name, **look} for name, look in zip(self._groups, LOOKS, strict=True)],
            "edges": ((self._edges - low) / (high - low)).round(5).tolist(),
            "heights": (shares / highest).round(5).tolist(),
            "places": ((self._thresholds - low) / (high - low)).round(5).tolist(),
            "xTicks": wording.tick_texts(low, high),
            "yTicks": [(share, f"{100 * value:.3g}%") for value, share in wording.ticks(0, highest, 4)],
        }

    def _verdicts(self, table: np.ndarray) -> dict[str, Any]:
        """What each threshold does, in words and numbers."""
        found, false_alarms, passed, missed = table.T
        texts = wording.fixed(self._thresholds, step=(self._edges[-1] - self._edges[0]) / 20)
        rows = np.stack([passed, false_alarms, missed, found], axis=1).tolist()
        return {
            "texts": texts,
            "words": [f"threshold {text}" for text in texts],
            "counts": [[f"{count:,}" for count in row] for row in rows],
            "rates": [_rates(false_alarms, passed), _rates(found, missed)],
        }

    @traitlets.validate("index")
    def _within_thresholds(self, proposal: traitlets.Bunch) -> int:
        return require_position("ThresholdSlider", "index", proposal["value"], len(self._thresholds))

    @property
    def caption(self) -> str:
        false_alarms, detection = (rates[self.index] for rates in self.content["rates"])
        threshold = self.content["texts"][self.index]
        return SENTENCE.format(threshold=threshold, detection=detection, false_alarms=false_alarms)

    def still(self) -> np.ndarray:
        return render(self._groups, self._thresholds[self.index], self._edges, self.content["scoreLabel"])


def _require_totals(counts: np.ndarray, normal: int, anomalous: int) -> None:
    """Each row of counts must account for every image once."""
    found, false_alarms, passed, missed = counts.T
    right = (false_alarms + passed == normal) & (found + missed == anomalous) & (counts >= 0).all(axis=1)
    if not right.all():
        raise ValueError(
            f"ThresholdSlider: in each row of counts, false positives + true negatives must be {normal} and "
            f"true positives + false negatives {anomalous}, got {counts[~right][0].tolist()}; "
            "the order is true positives, false positives, true negatives, false negatives."
        )


def _rates(part: np.ndarray, rest: np.ndarray) -> list[str]:
    return [f"{share:.1%}" for share in part / (part + rest)]
