"""ElboBalance: two sliders shape q(z|x), a normal distribution, and a balance in nats says what that changes.

    means             (M,) float, ascending     of q
    stds              (S,) float, ascending     of q, > 0
    reconstruction    (M, S) float, nats        expectation of log p(x|z) under q
    kl                (M, S) float, nats        KL( q || prior ), >= 0
    gap               (M, S) float, nats        KL( q || posterior ), >= 0
    log_evidence      float, nats               log p(x) = reconstruction - kl + gap, whatever q is
    z                 (P,) float, ascending     where the curves are known
    prior             (P,) float                p(z)
    posterior         (P,) float                p(z|x)
    mean_index        int, 0..M-1               the mean that is shown
    std_index         int, 0..S-1               the standard deviation that is shown

ELBO = reconstruction - kl. Numbers are rounded so that the printed ones add up; a last digit may be one off.
"""

from typing import Any

import numpy as np
import traitlets
from numpy.typing import ArrayLike

from course_utils.plots import DATA, HIGHLIGHT, MODEL, NOISE
from course_utils.widgets import pictures, wording
from course_utils.widgets.arguments import require_ascending, require_numbers, require_position
from course_utils.widgets.base import SPAN, CourseWidget, module

SENTENCE = (
    "q has mean {mean} and standard deviation {std}: log p(x) = {evidence} = ELBO {elbo} + gap {gap} nats. "
    "ELBO = reconstruction {reconstruction} - KL {kl}."
)
COLOURS = {
    "prior": NOISE,
    "posterior": DATA,
    "q": MODEL,
    "elbo": MODEL,
    "gap": HIGHLIGHT,
    "reconstruction": DATA,
    "kl": NOISE,
}
TOLERANCE = 1e-4  # nats
BELL = np.linspace(-4, 4, 81)  # standard deviations from the mean at which q's curve is drawn
SHOWN = 0.5  # share of the states whose ELBO lies on the axis of nats
ROOM = 2  # height of the curves' plot, in peaks of the highest fixed curve: a narrow q may leave it


def nats_axis(elbo: np.ndarray, reconstruction: np.ndarray, log_evidence: float) -> tuple[float, float]:
    """The range of nats for all states: the best SHOWN of all ELBOs, and whatever lies above them."""
    low, high = np.quantile(elbo, 1 - SHOWN), max(log_evidence, reconstruction.max())
    margin = 0.06 * (high - low) or 1.0
    return float(low - margin), float(high + margin)


def normal_density(z: np.ndarray, mean: float, std: float | np.ndarray) -> np.ndarray:
    """The density of a normal distribution at z; all that differ in shape are broadcast."""
    return np.exp(-0.5 * ((z - mean) / std) ** 2) / (std * np.sqrt(2 * np.pi))


def render(
    curves: dict[str, np.ndarray],
    mean: float,
    std: float,
    nats: dict[str, float],
    axis: tuple[float, float],
) -> np.ndarray:
    """A still of the curves, and of the balance below them: (H, W, 3) uint8.

    Args:
        curves: "z", "prior" and "posterior", each (P,) float.
        mean: of q.
        std: of q.
        nats: "evidence", "elbo", "reconstruction".
        axis: the range of nats.
    """
    card = pictures.Card(1120, 700)
    z, top = curves["z"], ROOM * max(curves["prior"].max(), curves["posterior"].max())
    axes = card.axes(96, 46, 1000, 290, xlabel="z", ylabel="density", xlim=z[[0, -1]], ylim=(0, top))
    axes.plot(z, curves["prior"], "--", color=NOISE, label="prior p(z)")
    axes.plot(z, curves["posterior"], color=DATA, label="posterior p(z|x)")
    around = mean + std * BELL
    axes.plot(around, normal_density(around, mean, std), color=MODEL, label="q(z|x)")
    axes.fill_between(around, normal_density(around, mean, std), color=MODEL, alpha=0.15, linewidth=0)
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3, frameon=False)
    _draw_balance(card, nats, axis)
    return card.pixels()


def _draw_balance(card: pictures.Card, nats: dict[str, float], axis: tuple[float, float]) -> None:
    evidence, elbo, reconstruction = nats["evidence"], nats["elbo"], nats["reconstruction"]
    axes = card.axes(190, 440, 906, 190, xlabel="nats", xlim=axis, ylim=(-0.6, 2.9))
    for row, low, high, part in (
        (2, axis[0], elbo, "elbo"),
        (2, elbo, evidence, "gap"),
        (1, axis[0], reconstruction, "reconstruction"),
        (0, elbo, reconstruction, "kl"),
    ):
        left, right = np.clip((low, high), *axis)
        axes.barh(row, right - left, 0.62, left, color=COLOURS[part])
        if high < axis[0] or (low < axis[0] and part != "elbo"):
            axes.text(axis[0], row, "◀", va="center")
    axes.axvline(evidence, color="black", linewidth=1.5)
    axes.text(evidence, 2.5, " log p(x)", fontsize=9)
    axes.set_yticks([2, 1, 0], ["ELBO + gap", "reconstruction", "- KL"])


class ElboBalance(CourseWidget):
    """Two sliders for q(z|x), its curve beside prior and posterior, and the balance of the evidence.

    Args:
        means: (M,) float, ascending.
        stds: (S,) float, ascending, > 0.
        reconstruction, kl, gap: (M, S) float, nats.
        log_evidence: nats.
        z: (P,) float, ascending.
        prior, posterior: (P,) float, densities at z.
        title: heading of the widget.
        mean_index: the mean at the start.
        std_index: the standard deviation at the start.

    Raises:
        ValueError: numbers are not finite, shapes differ, means, stds or z do not ascend, a standard
            deviation is not positive, kl or gap is negative, or the evidence is not the same for every q.
        TraitError: mean_index or std_index lies outside, here or when they are assigned.
    """

    FAMILY = "elbo_balance"
    PARTS = ("axes",)
    STATE = ("mean_index", "std_index")
    _esm = module(FAMILY, *PARTS)

    mean_index = traitlets.Int().tag(sync=True)
    std_index = traitlets.Int().tag(sync=True)

    def __init__(
        self,
        means: ArrayLike,
        stds: ArrayLike,
        reconstruction: ArrayLike,
        kl: ArrayLike,
        gap: ArrayLike,
        log_evidence: float,
        z: ArrayLike,
        prior: ArrayLike,
        posterior: ArrayLike,
        *,
        title: str,
        mean_index: int = 0,
        std_index: int = 0,
    ) -> None:
        name = "ElboBalance"
        self._means = require_ascending(name, "means", means, "M")
        self._stds = _positive(require_ascending(name, "stds", stds, "S"))
        given = {"reconstruction": reconstruction, "kl": kl, "gap": gap}
        shape = (len(self._means), len(self._stds))
        nats = {part: require_numbers(name, part, values, shape) for part, values in given.items()}
        self._evidence = float(require_numbers(name, "log_evidence", log_evidence, ()))
        _require_balance(**nats, log_evidence=self._evidence)
        self._reconstruction, self._elbo = nats["reconstruction"], nats["reconstruction"] - nats["kl"]
        self._curves = {"z": require_ascending(name, "z", z, "P")}
        for curve, values in (("prior", prior), ("posterior", posterior)):
            self._curves[curve] = require_numbers(name, curve, values, (len(self._curves["z"]),))
        self._axis = nats_axis(self._elbo, self._reconstruction, self._evidence)
        content = {"title": title, "sentence": SENTENCE, "colours": COLOURS}
        super().__init__(
            content | self._shapes() | self._bars() | self._texts(nats["kl"], nats["gap"]),
            mean_index=mean_index,
            std_index=std_index,
        )

    def _shapes(self) -> dict[str, Any]:
        """The curves, as shares of the plot's width and height."""
        z, prior, posterior = self._curves.values()
        low, length = z[0], z[-1] - z[0]
        top = ROOM * max(prior.max(), posterior.max())
        return {
            "z": ((z - low) / length).round(4).tolist(),
            "prior": (prior / top).round(4).tolist(),
            "posterior": (posterior / top).round(4).tolist(),
            "bell": [BELL.round(4).tolist(), np.exp(-0.5 * BELL**2).round(4).tolist()],
            "means": ((self._means - low) / length).round(5).tolist(),
            "stds": (self._stds / length).round(5).tolist(),
            "peaks": (normal_density(np.zeros(1), 0.0, self._stds) / top).round(4).tolist(),
            "zTicks": wording.tick_texts(z[0], z[-1], 8, wording.PLAIN),
            "densityTicks": wording.tick_texts(0, top, 4, wording.PLAIN),
        }

    def _bars(self) -> dict[str, Any]:
        """Where bars end on the axis of nats, as whole numbers 0..SPAN; less than 0 left of it."""
        low, high = self._axis

        def places(nats: np.ndarray | float) -> Any:
            return (SPAN * (np.asarray(nats) - low) / (high - low)).round().astype(int).tolist()

        return {
            "evidence": places(self._evidence),
            "elbo": places(self._elbo),
            "reconstruction": places(self._reconstruction),
            "natsTicks": wording.tick_texts(low, high, 8, wording.PLAIN),
        }

    def _texts(self, kl: np.ndarray, gap: np.ndarray) -> dict[str, Any]:
        """All numbers, the nats rounded so that evidence = ELBO + gap and ELBO = reconstruction - kl."""
        places = wording.decimals((self._axis[1] - self._axis[0]) / 20)
        evidence, short, cost = (np.round(nats, places) + 0.0 for nats in (self._evidence, abs(gap), abs(kl)))
        parts = {
            "gap": short,
            "kl": cost,
            "elbo": evidence - short,
            "reconstruction": evidence - short + cost,
        }
        return {
            "evidenceText": f"{evidence:.{places}f}",
            "texts": {
                part: [[f"{round(value, places) + 0.0:.{places}f}" for value in row] for row in values]
                for part, values in parts.items()
            },
            "meanTexts": wording.shortest(self._means),
            "stdTexts": wording.shortest(self._stds),
        }

    @traitlets.validate("mean_index", "std_index")
    def _within_grid(self, proposal: traitlets.Bunch) -> int:
        name = proposal["trait"].name
        count = len(self._means if name == "mean_index" else self._stds)
        return require_position("ElboBalance", name, proposal["value"], count)

    @property
    def caption(self) -> str:
        at = self.mean_index, self.std_index
        texts = {part: rows[at[0]][at[1]] for part, rows in self.content["texts"].items()}
        mean, std = self.content["meanTexts"][at[0]], self.content["stdTexts"][at[1]]
        return SENTENCE.format(mean=mean, std=std, evidence=self.content["evidenceText"], **texts)

    def still(self) -> np.ndarray:
        at = self.mean_index, self.std_index
        nats = {
            "evidence": self._evidence,
            "elbo": self._elbo[at],
            "reconstruction": self._reconstruction[at],
        }
        return render(self._curves, self._means[at[0]], self._stds[at[1]], nats, self._axis)


def _positive(stds: np.ndarray) -> np.ndarray:
    if stds[0] <= 0:
        raise ValueError(
            f"ElboBalance: stds must be positive, got {stds[0]:g}; "
            "logarithms of variances become standard deviations by exp(0.5 * logvar)."
        )
    return stds


def _require_balance(
    reconstruction: np.ndarray, kl: np.ndarray, gap: np.ndarray, log_evidence: float
) -> None:
    """Every q must give the same evidence, and a divergence cannot be negative."""
    for name, divergence in (("kl", kl), ("gap", gap)):
        if divergence.min() < -TOLERANCE:
            raise ValueError(
                f"ElboBalance: {name} must not be negative, got {divergence.min():.6g} nats; "
                "a divergence never is: its sign or the order of its arguments may be wrong."
            )
    total = reconstruction - kl + gap
    worst = np.unravel_index(np.abs(total - log_evidence).argmax(), total.shape)
    if abs(total[worst] - log_evidence) > TOLERANCE:
        raise ValueError(
            "ElboBalance: reconstruction - kl + gap must equal log_evidence for every q, "
            f"{log_evidence:.6g} nats, got {total[worst]:.6g} at mean {worst[0]}, std {worst[1]}; "
            "a term may be in bits, averaged instead of summed, or without its constant."
        )
