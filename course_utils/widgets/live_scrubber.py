"""LiveScrubber: frames that the kernel computes for the settings that a reader chooses.

    choices    {name: values}             numbers become a slider, texts a selection
    settings   {name: value}              what is chosen: of each choice one of its values
    run        (**settings) -> Run        computes the frames; what it has computed is kept
    index      int, 0..K-1                the frame that is shown

A Run holds K frames; runs of other settings may hold another number of them, and frames of another size:

    frames     (K, H, W) uint8            drawn as ink: 0 = the page's background, 255 = full ink
               (K, H, W, 3) uint8         colours as they are

Moving through the frames of a run asks nothing of the kernel. Other settings ask it once, when nothing has
been changed for a quarter of a second. Without a kernel, the settings that were computed at first are left.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from math import isfinite
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
WITHOUT_KERNEL = "These settings were computed beforehand. Others need a running kernel."
ROOM = (1120, 640)  # pixels that the enlarged frame of a still may take
GUTTER = 16  # pixels around it


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
    text = ", ".join(f"{name} = {value}" for name, value in _worded(settings).items())
    card = pictures.Card(max(width, 14 * len(text)) + 2 * GUTTER, height + 2 * GUTTER + 32)
    card.image(picture, GUTTER, GUTTER)
    card.text(GUTTER, height + GUTTER + 24, text)
    return card.pixels()


class LiveScrubber(LiveWidget):
    """Controls for the settings of a computation, and a slider through the frames that it yields.

    Args:
        run: called in the kernel with one value for each choice, by name; returns a Run.
        choices: name -> values, all numbers or all texts; names are arguments of run.
        title: heading of the widget.
        label: name of the slider through the frames, e.g. "step".
        unit: what the stops count; screen readers say it after each of them.
        start: the settings that are shown first; the first value of each choice unless given.
        known: further settings to compute at once; what one does not name is as in start.

    Raises:
        ValueError: a choice has no values, mixes numbers with texts, or one occurs twice; start or known
            name something else; run returns no Run, or one whose parts do not fit together.
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
        choices: Mapping[str, Sequence[Value]],
        *,
        title: str,
        label: str,
        unit: str = "",
        start: Settings | None = None,
        known: Sequence[Settings] = (),
    ) -> None:
        self._run, self._unit = run, unit
        self._choices = _values_of(choices, label)
        self._runs: dict[tuple[int, ...], Run] = {}
        self._latest: dict[str, Value] = {}
        first = {name: values[0] for name, values in self._choices.items()}
        first = self._complete("start", start or {}, first)
        stored = [first, *(self._complete("known", settings, first) for settings in known)]
        runs = {self._positions(settings): self._computed(settings) for settings in stored}
        records = [self._record(positions, made) for positions, made in runs.items()]
        content = {
            "title": title,
            "label": label,
            "choices": [_control(name, values) for name, values in self._choices.items()],
            "known": _placed(records),
            "withoutKernel": WITHOUT_KERNEL,
        }
        pixels = b"".join(sheet for _, sheet in records)
        last = len(self._computed(first).stops) - 1
        super().__init__(content, pixels, settings=first, index=last)

    def answer(self, request: dict[str, Any]) -> Answer:
        """The run of the settings that a view asks for."""
        settings = {
            name: values[at]
            for (name, values), at in zip(self._choices.items(), request["positions"], strict=True)
        }
        record, sheet = self._record(tuple(request["positions"]), self._computed(settings))
        return record, [sheet]

    @traitlets.validate("settings")
    def _known_settings(self, proposal: traitlets.Bunch) -> dict[str, Value]:
        """The settings with their values as they were given: browsers make 1 of 1.0."""
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
        for name, values in self._choices.items():
            if given[name] not in values:
                raise ValueError(
                    f"LiveScrubber: {what} must hold one of {values} for {name!r}, got {given[name]!r}; "
                    "only what a control offers can be chosen."
                )
        return {name: values[values.index(given[name])] for name, values in self._choices.items()}

    def _positions(self, settings: Settings) -> tuple[int, ...]:
        return tuple(values.index(settings[name]) for name, values in self._choices.items())

    def _computed(self, settings: dict[str, Value]) -> Run:
        """The run of these settings: kept from before, or computed now."""
        positions = self._positions(settings)
        if positions not in self._runs:
            self._runs[positions] = _checked(self._run(**settings))
        self._latest = settings
        return self._runs[positions]

    def _record(self, positions: tuple[int, ...], run: Run) -> tuple[dict[str, Any], bytes]:
        """A run as the browser gets it: JSON, and its frames as one PNG file."""
        sheet, tiles = pictures.frame_sheet(np.asarray(run.frames))
        texts = wording.stops(run.stops)
        record = {
            "positions": positions,
            "stops": texts,
            "words": [f"{text} {self._unit}".strip() for text in texts],
            "captions": list(run.captions),
            **tiles,
        }
        return record, pictures.png(sheet)


def _control(name: str, values: list[Value]) -> dict[str, Any]:
    return {
        "name": name,
        "values": values,
        "texts": wording.stops(values),
        "numbers": not isinstance(values[0], str),
    }


def _placed(records: list[tuple[dict[str, Any], bytes]]) -> list[dict[str, Any]]:
    """Each record with the bytes (from, to) that its PNG file takes, where one file follows the other."""
    ends = accumulate((len(sheet) for _, sheet in records), initial=0)
    return [{**record, "bytes": place} for (record, _), place in zip(records, pairwise(ends), strict=True)]


def _worded(settings: Settings) -> dict[str, str]:
    return dict(zip(settings, wording.stops(list(settings.values())), strict=True))


def _values_of(choices: Mapping[str, Sequence[Value]], label: str) -> dict[str, list[Value]]:
    """Of each choice its values, as numbers or texts of Python."""
    if not choices or label in choices:
        raise ValueError(
            f"LiveScrubber: choices must be one or more, none named like the slider, {label!r}, got "
            f"{list(choices)}; screen readers tell controls apart by their names."
        )
    return {name: _distinct(name, values) for name, values in choices.items()}


def _distinct(name: str, values: Sequence[Value]) -> list[Value]:
    listed = [value.item() if isinstance(value, np.generic) else value for value in values]
    texts = all(isinstance(value, str) for value in listed) and not isinstance(values, str)
    numbers = all(type(value) in (int, float) and isfinite(float(value)) for value in listed)
    if not listed or not (texts or numbers) or len(set(listed)) < len(listed):
        raise ValueError(
            f"LiveScrubber: choices[{name!r}] must be a list of different numbers or of different texts, "
            f'got {values!r}; list("abc") makes texts of letters.'
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
