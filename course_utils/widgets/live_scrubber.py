"""LiveScrubber: frames that the kernel computes for the settings that a reader chooses.

    choices    {name: values}             numbers become a slider, texts a selection
               {name: text}               a field to write in, e.g. a prompt, with what it holds at first
    settings   {name: value}              what is chosen: of each choice one of its values, or any text
    run        (**settings) -> Run        computes the frames; what it has computed is kept
    index      int, 0..K-1                the frame that is shown

A Run holds K frames; runs of other settings may hold another number of them, and frames of another size:

    frames     (K, H, W) uint8            drawn as ink: 0 = the page's background, 255 = full ink
               (K, H, W, 3) uint8         colours as they are

Moving through the frames of a run asks nothing of the kernel. Other settings ask it: at once where its last
answer was QUICK, else when nothing has been changed for a PAUSE, so that a drag begins no long computation on
its way. While it computes, only the newest settings wait. What is written counts once Enter is pressed or the
field is left.
Without a kernel, the settings that were computed at first are left, their texts as a selection.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from math import isfinite
from textwrap import wrap
from typing import Any, ClassVar

import numpy as np
import traitlets
from numpy.typing import ArrayLike

from course_utils.widgets import pictures, wording
from course_utils.widgets.arguments import require_equal, require_images, require_position
from course_utils.widgets.base import module
from course_utils.widgets.live import MESSAGES, Answer, LiveWidget, last_line

Value = float | str
Settings = Mapping[str, Value]
Offer = list[Value] | str  # what a control offers: these values, or to write any text, this one at first
Place = int | str  # which of its values a control has: its position; of a text, the text itself
PAUSE, QUICK = 0.25, 0.2  # seconds
MOST_LETTERS = 200  # of a text that is written
WITHOUT_KERNEL = "These settings were computed beforehand. Others need a running kernel."
ROOM = (1120, 640)  # pixels that the enlarged frame of a still may take
GUTTER = 16  # pixels around it
LINE, LETTERS = 32, 80  # of its settings: pixels a line, letters at most in one


@dataclass(frozen=True)
class Run:
    """What one computation shows.

    Args:
        frames: (K, H, W) or (K, H, W, 3) uint8.
        stops: K numbers or texts, what the slider shows at each frame.
        captions: K sentences, what each frame shows.
    """

    frames: ArrayLike
    stops: Sequence[Value]
    captions: Sequence[str]


def render(frame: np.ndarray, settings: Settings) -> np.ndarray:
    """A still of one frame, enlarged by a whole factor, its settings below it: (H', W', 3) uint8.

    Args:
        frame: (H, W) or (H, W, 3) uint8.
        settings: name -> value.
    """
    picture = pictures.enlarge(frame, ROOM)
    height, width = picture.shape[:2]
    lines = wrap(", ".join(f"{name} = {value}" for name, value in _worded(settings).items()), LETTERS)
    longest = max(map(len, lines))
    card = pictures.Card(max(width, 14 * longest) + 2 * GUTTER, height + 2 * GUTTER + LINE * len(lines))
    card.image(picture, GUTTER, GUTTER)
    for at, line in enumerate(lines):
        card.text(GUTTER, height + GUTTER + 24 + LINE * at, line)
    return card.pixels()


class LiveScrubber(LiveWidget):
    """Controls for the settings of a computation, and a slider through the frames that it yields.

    Args:
        run: called in the kernel with one value for each choice, by name; returns a Run.
        choices: name -> values, all numbers or all texts; or name -> one text, where any can be written.
            Names are arguments of run, which gets what is written stripped, 200 letters at most.
        title: heading of the widget.
        label: name of the slider through the frames, e.g. "step".
        unit: what the stops count; screen readers say it after each of them.
        start: the settings that are shown first; the first value of each choice unless given.
        known: further settings to compute at once; what one does not name is as in start.

    Raises:
        ValueError: a choice has no values, mixes numbers with texts, or one occurs twice; start or known
            name something else, or a text is too long; run returns no Run, or one whose parts do not fit.
        TraitError: settings or index lie outside of what there is, when they are assigned.
    """

    FAMILY = "live_scrubber"
    PARTS: ClassVar[tuple[str, ...]] = ("live",)
    STATE = ("settings", "index")
    _esm = module(FAMILY, *PARTS)

    settings = traitlets.Dict().tag(sync=True)
    index = traitlets.Int().tag(sync=True)

    def __init__(
        self,
        run: Callable[..., Run],
        choices: Mapping[str, Sequence[Value] | str],
        *,
        title: str,
        label: str,
        unit: str = "",
        start: Settings | None = None,
        known: Sequence[Settings] = (),
    ) -> None:
        self._run, self._unit = run, unit
        self._choices = _values_of(choices, label)
        self._runs: dict[tuple[Place, ...], Run] = {}
        self._latest: dict[str, Value] = {}
        first = {name: offer if isinstance(offer, str) else offer[0] for name, offer in self._choices.items()}
        first = self._complete("start", start or {}, first)
        stored = [first, *(self._complete("known", settings, first) for settings in known)]
        runs = {self._positions(settings): self._computed(settings) for settings in stored}
        made = [self._record(positions, run) for positions, run in runs.items()]
        records = [(record, pictures.png(sheet)) for record, sheet in made]
        content = {
            "title": title,
            "label": label,
            "choices": [_control(name, offer) for name, offer in self._choices.items()],
            "known": _placed(records),
            "withoutKernel": WITHOUT_KERNEL,
            "pause": PAUSE,
            "quick": QUICK,
        }
        pixels = b"".join(sheet for _, sheet in records)
        last = len(self._computed(first).stops) - 1
        super().__init__(content, pixels, settings=first, index=last)

    def answer(self, request: dict[str, Any]) -> Answer:
        """The run of the settings that a view asks for."""
        places = zip(self._choices.items(), request["positions"], strict=True)
        settings = {
            name: _text("settings", name, at) if isinstance(offer, str) else offer[at]
            for (name, offer), at in places
        }
        record, sheet = self._record(tuple(request["positions"]), self._computed(settings))
        return record, [sheet.tobytes()]  # raw: somebody waits, and a PNG file must be written and read

    @traitlets.validate("settings")
    def _known_settings(self, proposal: traitlets.Bunch) -> dict[str, Value]:
        """The settings with their values as they were given, since browsers make 1 of 1.0; texts stripped."""
        try:
            return self._complete("settings", proposal["value"], {})
        except ValueError as error:
            raise traitlets.TraitError(str(error)) from error

    @traitlets.validate("index")
    def _within_frames(self, proposal: traitlets.Bunch) -> int:
        """Of settings that were never computed, nobody knows yet how many frames they have."""
        at = proposal["value"]
        run = self._runs.get(self._positions(self.settings)) if self.settings else None
        return require_position("LiveScrubber", "index", at, len(run.stops) if run else max(at, 0) + 1)

    @property
    def caption(self) -> str:
        settings, error = self._shown()
        captions = self._computed(settings).captions
        return error or captions[min(self.index, len(captions) - 1)]

    def still(self) -> np.ndarray:
        settings, _ = self._shown()
        frames = np.asarray(self._computed(settings).frames)
        return render(frames[min(self.index, len(frames) - 1)], settings)

    def _shown(self) -> tuple[dict[str, Value], str]:
        """The present settings; where they cannot be computed, those before them, and what went wrong."""
        try:
            self._computed(self.settings)
        except Exception as error:
            return self._latest, MESSAGES["failed"].format(error=last_line(error))
        return self.settings, ""

    def _complete(self, what: str, settings: Settings, first: Settings) -> dict[str, Value]:
        """The settings in the order of the choices, gaps filled from `first`."""
        given = {**first, **settings}
        if set(given) != set(self._choices):
            raise ValueError(
                f"LiveScrubber: {what} must name the choices {list(self._choices)}, got {list(settings)}; "
                "a name may be misspelt."
            )
        return {name: _chosen(what, name, offer, given[name]) for name, offer in self._choices.items()}

    def _positions(self, settings: Settings) -> tuple[Place, ...]:
        """What tells settings apart, here and in the browser: of each control the position or the text."""
        return tuple(
            str(settings[name]) if isinstance(offer, str) else offer.index(settings[name])
            for name, offer in self._choices.items()
        )

    def _computed(self, settings: dict[str, Value]) -> Run:
        """The run of these settings: kept from before, or computed now."""
        positions = self._positions(settings)
        if positions not in self._runs:
            self._runs[positions] = _checked(self._run(**settings))
        self._latest = settings
        return self._runs[positions]

    def _record(self, positions: tuple[Place, ...], run: Run) -> tuple[dict[str, Any], np.ndarray]:
        """A run as the browser gets it: JSON, and its frames in one sheet."""
        sheet, tiles = pictures.frame_sheet(np.asarray(run.frames))
        texts = wording.stops(run.stops)
        record = {
            "positions": positions,
            "stops": texts,
            "words": [f"{text} {self._unit}".strip() for text in texts],
            "captions": list(run.captions),
            **tiles,
        }
        return record, sheet


def _control(name: str, offer: Offer) -> dict[str, Any]:
    if isinstance(offer, str):
        return {"name": name, "most": MOST_LETTERS}
    return {
        "name": name,
        "values": offer,
        "texts": wording.stops(offer),
        "numbers": not isinstance(offer[0], str),
    }


def _chosen(what: str, name: str, offer: Offer, value: object) -> Value:
    """The value as the control has it."""
    if isinstance(offer, str):
        return _text(what, name, value)
    if value not in offer:
        raise ValueError(
            f"LiveScrubber: {what} must hold one of {offer} for {name!r}, got {value!r}; "
            "only what a control offers can be chosen."
        )
    return next(offered for offered in offer if offered == value)


def _text(what: str, name: str, value: object) -> str:
    """A text that was written, without the spaces around it."""
    text = value.strip() if isinstance(value, str) else None
    if text is None or len(text) > MOST_LETTERS:
        came = repr(value) if text is None else f"one of {len(text)}"
        raise ValueError(
            f"LiveScrubber: {what} must hold a text of at most {MOST_LETTERS} letters for {name!r}, "
            f"got {came}; the field takes no longer ones."
        )
    return text


def _placed(records: list[tuple[dict[str, Any], bytes]]) -> list[dict[str, Any]]:
    """Each record with the bytes (from, to) that its PNG file takes, where one file follows the other."""
    ends = accumulate((len(sheet) for _, sheet in records), initial=0)
    return [{**record, "bytes": place} for (record, _), place in zip(records, pairwise(ends), strict=True)]


def _worded(settings: Settings) -> dict[str, str]:
    return dict(zip(settings, wording.stops(list(settings.values())), strict=True))


def _values_of(choices: Mapping[str, Sequence[Value] | str], label: str) -> dict[str, Offer]:
    """Of each choice what it offers: its values, as numbers or texts of Python, or the text of a field."""
    if not choices or label in choices:
        raise ValueError(
            f"LiveScrubber: choices must be one or more, none named like the slider, {label!r}, got "
            f"{list(choices)}; screen readers tell controls apart by their names."
        )
    return {
        name: _text("choices", name, values) if isinstance(values, str) else _distinct(name, values)
        for name, values in choices.items()
    }


def _distinct(name: str, values: Sequence[Value]) -> list[Value]:
    listed = [value.item() if isinstance(value, np.generic) else value for value in values]
    texts = all(isinstance(value, str) for value in listed)
    numbers = all(type(value) in (int, float) and isfinite(float(value)) for value in listed)
    if not listed or not (texts or numbers) or len(set(listed)) < len(listed):
        raise ValueError(
            f"LiveScrubber: choices[{name!r}] must be a list of different numbers or of different texts, "
            f"got {values!r}; one text, not in a list, becomes a field to write in."
        )
    return listed


def _checked(run: Run) -> Run:
    """The run, if its parts fit together."""
    if not isinstance(run, Run):
        raise ValueError(
            f"LiveScrubber: run must return a Run, got {type(run).__name__}; "
            "Run(frames, stops, captions) makes one of frames."
        )
    frames = require_images("LiveScrubber", "frames", run.frames, "K H W", colour=True)
    require_equal(
        "LiveScrubber", "lengths", frames=len(frames), stops=len(run.stops), captions=len(run.captions)
    )
    return run
