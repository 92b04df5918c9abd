"""Figures of the course: a Figure back, in one style, with a caption that says what to see, and an alt text.

Colours have fixed roles (Okabe-Ito), and so have the ten classes (Tol, muted): safe for colour-blind readers.
"""

import base64
import html
import io
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import torch
import torch.nn.functional as F
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

from course_utils.data import to_uint8
from course_utils.data.ranges import ValueRange
from course_utils.training import TrainStep

DATA, MODEL, NOISE = "#0072B2", "#D55E00", "#999999"
STUDENT, REFERENCE, HIGHLIGHT = "#009E73", "#CC79A7", "#E69F00"
CLASS_COLOURS = (
    *("#332288", "#88CCEE", "#44AA99", "#117733", "#999933"),
    *("#DDCC77", "#CC6677", "#882255", "#AA4499", "#777777"),
)
STYLE = Path(__file__).with_name("course.mplstyle")


class CourseFigure(Figure):
    """A matplotlib Figure that a notebook shows with its caption and its alt text."""

    alt = ""
    caption = ""

    def png(self) -> bytes:
        """The figure as a PNG file of 128 colours, which keeps notebooks small."""
        drawn, packed = io.BytesIO(), io.BytesIO()
        with matplotlib.rc_context(fname=STYLE):
            self.savefig(drawn, format="png")
        Image.open(drawn).convert("RGB").quantize(128).save(packed, format="png", optimize=True)
        return packed.getvalue()

    def mimebundle(self) -> dict[str, str]:
        """What a notebook stores: a captioned picture as HTML, and its plain-text twin."""
        source = "data:image/png;base64," + base64.b64encode(self.png()).decode()
        width = round(self.get_figwidth() * 100)
        return {
            "text/html": (
                f'<figure style="margin:0.5em 0;max-width:{width}px">'
                f'<img class="course-widget-still" alt="{html.escape(self.alt)}" src="{source}" '
                'style="width:100%;border-radius:4px">'
                '<figcaption style="font-size:90%;margin-top:0.3em">'
                f"{html.escape(self.caption)}</figcaption></figure>"
            ),
            "text/plain": f"Figure: {self.caption}",
        }

    def _ipython_display_(self) -> None:
        from IPython.display import display

        display(self.mimebundle(), raw=True)


def figure(
    width: float,
    height: float,
    *,
    alt: str,
    caption: str,
    rows: int = 1,
    columns: int = 1,
    **subplots: Any,
) -> tuple[CourseFigure, np.ndarray]:
    """An empty figure in the course's style.

    Args:
        width, height: inches; a notebook page is about 9 wide.
        alt: what a reader who cannot see the figure needs to know.
        caption: what to look for.
        subplots: further arguments of Figure.subplots.

    Returns:
        the figure, and its axes as an array (rows, columns).
    """
    with matplotlib.rc_context(fname=STYLE):
        fig = CourseFigure(figsize=(width, height))
        axes = fig.subplots(rows, columns, squeeze=False, **subplots)
    fig.alt, fig.caption = alt, caption
    return fig, axes


def image_rows(
    rows: Mapping[str, Tensor],
    value_range: ValueRange,
    *,
    alt: str,
    caption: str,
    columns: Sequence[str] = (),
    height: float = 0.8,
    gap: int = 4,
) -> CourseFigure:
    """Rows of images, each row with its name: grey as dark ink on white, colours as they are.

    Args:
        rows: name -> (C, 1 or 3, H, W) float in value_range; as many images in each row.
        columns: a title for each column.
        height: inches a row.
        gap: pixels of the images' own size between them.
    """
    framed = {
        name: F.pad(_with_opacity(images, value_range), (gap,) * 4, value=value_range[0])
        for name, images in rows.items()
    }
    picture = tile(list(framed.values()), value_range)
    count, _, side_y, side_x = next(iter(framed.values())).shape
    fig, axes = figure(
        0.4 + 0.09 * max(map(len, rows)) + count * height * side_x / side_y,
        (len(rows) + 0.25 * bool(columns)) * height,
        alt=alt,
        caption=caption,
    )
    ax: Axes = axes[0, 0]
    ax.imshow(picture, vmin=0, vmax=255, cmap="gray_r")
    ax.set_yticks([(row + 0.5) * side_y for row in range(len(rows))], list(rows))
    ax.set_xticks([(column + 0.5) * side_x for column in range(len(columns))], list(columns))
    ax.tick_params(length=0, labeltop=True, labelbottom=False)
    ax.grid(visible=False)
    ax.spines[:].set_visible(False)
    return fig


def tile(rows: Sequence[Tensor], value_range: ValueRange) -> np.ndarray:
    """Rows of images as one picture, without gaps, for a widget's frame.

    Args:
        rows: R tensors (C, 1, H, W) float in value_range; in colour (C, 3, H, W).

    Returns:
        (R * H, C * W) uint8; of images in colour (R * H, C * W, 3).
    """
    pixels = [to_uint8(row, value_range).permute(0, 2, 3, 1).numpy() for row in rows]
    picture = np.vstack([np.hstack(list(row)) for row in pixels])
    return picture[..., 0] if picture.shape[-1] == 1 else picture


def _with_opacity(images: Tensor, value_range: ValueRange) -> Tensor:
    """Images in colour with a fourth channel, full: the gaps between them will be transparent."""
    if images.shape[1] == 1:
        return images
    return torch.cat([images, torch.full_like(images[:, :1], value_range[1])], dim=1)


def lines(
    series: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    *,
    xlabel: str,
    ylabel: str,
    alt: str,
    caption: str,
    colours: Sequence[str] = (DATA, MODEL, STUDENT, REFERENCE, HIGHLIGHT, NOISE),
    markers: bool = False,
    width: float = 6.4,
    height: float = 3.4,
    **axis: object,
) -> CourseFigure:
    """Curves with labelled axes; `axis` goes to Axes.set, e.g. xscale="log"."""
    fig, axes = figure(width, height, alt=alt, caption=caption)
    for (name, (x, y)), colour in zip(series.items(), colours, strict=False):
        axes[0, 0].plot(x, y, color=colour, label=name, marker="o" if markers else None)
    axes[0, 0].set(xlabel=xlabel, ylabel=ylabel, **axis)
    axes[0, 0].minorticks_off()
    if len(series) > 1:
        axes[0, 0].legend(frameon=False)
    return fig


@dataclass(frozen=True)
class Table:
    """Measured figures that a notebook shows as a table, with a plain-text twin."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str
    bold: Collection[tuple[int, int]] = ()

    def _repr_html_(self) -> str:
        head = "".join(f'<th scope="col">{html.escape(name)}</th>' for name in self.columns)
        body = "".join(f"<tr>{self._html_row(at)}</tr>" for at in range(len(self.rows)))
        return (
            '<table style="margin:0.5em 0"><caption style="caption-side:bottom;text-align:left">'
            f"{html.escape(self.caption)}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        )

    def _html_row(self, at: int) -> str:
        name, *cells = map(html.escape, self.rows[at])
        shown = (f"<b>{cell}</b>" if (at, i) in self.bold else cell for i, cell in enumerate(cells))
        return f'<th scope="row">{name}</th>' + "".join(f"<td>{cell}</td>" for cell in shown)

    def __repr__(self) -> str:
        lines = [self.columns, *self.rows]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        set_out = [
            "  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)) for line in lines
        ]
        return "\n".join([*set_out, self.caption])


def table(
    columns: Sequence[str],
    rows: Mapping[str, Sequence[str]],
    *,
    caption: str,
    bold: Collection[tuple[int, int]] = (),
) -> Table:
    """A table of measured figures.

    Args:
        columns: headings; the first one is that of the rows' names.
        rows: name -> a formatted figure for each further column.
        caption: what to look for, where the figures come from.
        bold: (row, column) of cells to stress, both counted from 0, names not counted.

    Raises:
        ValueError: a row has more or fewer cells than there are columns.
    """
    lines = [(name, *cells) for name, cells in rows.items()]
    wrong = [line[0] for line in lines if len(line) != len(columns)]
    if wrong:
        raise ValueError(
            f"table: each row needs {len(columns) - 1} cells, row {wrong[0]!r} has {len(rows[wrong[0]])}."
        )
    return Table(columns, lines, caption, bold)


def watch(
    records: Iterable[TrainStep],
    steps: int,
    *,
    label: str,
    ylabel: str,
    every: float = 0.5,
    colour: str = MODEL,
) -> Iterator[TrainStep]:
    """Pass training records on while a notebook shows their loss curve growing, with the time that is left.

    Args:
        records: e.g. course_utils.training.train(...).
        steps: how many records are expected.
        label: what is being trained, for caption and alt text.
        every: seconds between two drawings.
    """
    handle, seen, start, drawn = _display_handle(), [], time.monotonic(), -every
    for record in records:
        seen.append(record)
        if time.monotonic() - drawn >= every or record.step == steps:
            handle.update(_loss_curve(seen, steps, time.monotonic() - start, label, ylabel, colour), raw=True)
            drawn = time.monotonic()
        yield record


def _loss_curve(
    seen: list, steps: int, elapsed: float, label: str, ylabel: str, colour: str
) -> dict[str, str]:
    done = seen[-1].step
    left = elapsed / done * (steps - done)
    state = f"{elapsed:.0f} s" if done == steps else f"about {left:.0f} s left"
    caption = f"{label}: step {done:,} of {steps:,}, {ylabel} {seen[-1].loss:.4f}, {state}."
    fig, axes = figure(6.4, 2.6, alt=f"Loss curve of {label}.", caption=caption)
    ax: Axes = axes[0, 0]
    ax.plot([r.step for r in seen], [r.loss for r in seen], color=colour)
    ax.set(xlabel="update", ylabel=ylabel, xlim=(0, steps), ylim=(0, None))
    return fig.mimebundle()


class _NoDisplay:
    """Outside of a notebook there is nothing to update."""

    def update(self, *_: object, **__: object) -> None: ...


def _display_handle() -> Any:
    try:
        from IPython import get_ipython
    except ModuleNotFoundError:
        return _NoDisplay()
    if get_ipython() is None:
        return _NoDisplay()
    from IPython.display import display

    return display({"text/plain": "starting"}, raw=True, display_id=True)
