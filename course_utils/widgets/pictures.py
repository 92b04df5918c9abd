"""Images on their way into a widget, and stills: pictures of a widget's state for where it cannot run.

    images   (N, h, w) uint8              grey: 0 = the page's background, 255 = full ink
             (N, h, w, 3) uint8           colours as they are
    sheet    (rows * h, columns * w) uint8, or (..., 3)    the images as tiles, left to right, top to bottom
    still    (H, W, 3) uint8              on white paper, whatever page holds it

White paper reads on light and on dark pages; live widgets draw on the page itself.
"""

import io
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from course_utils.plots import STYLE

DPI = 128  # a power of two: w pixels are exactly w / DPI inches
GREYS = 32  # where hundreds of images must fit into one notebook
MANY = 100  # frames; more than these are sent in fewer greys
WIDEST_SHEET = 4096  # pixels; browsers on phones refuse much larger canvases


def sheet(images: np.ndarray, columns: int | None = None) -> tuple[np.ndarray, dict[str, int | bool]]:
    """All images in one, and what the browser needs to cut them out again.

    Args:
        images: (N, h, w) or (N, h, w, 3) uint8.
        columns: tiles in a row; None makes the sheet about square.

    Returns:
        the sheet, unused tiles being 0; {"width", "height", "columns", "grey"} of its tiles.
    """
    count, height, width = images.shape[:3]
    if columns is None:
        columns = max(1, min(WIDEST_SHEET // width, round((count * height / width) ** 0.5)))
    rows = -(-count // columns)
    tiles = np.zeros((rows * columns, *images.shape[1:]), np.uint8)
    tiles[:count] = images
    grid = tiles.reshape(rows, columns, *images.shape[1:]).swapaxes(1, 2)
    layout = {"width": width, "height": height, "columns": columns, "grey": images.ndim == 3}
    return grid.reshape(rows * height, columns * width, *images.shape[3:]), layout


def png(image: np.ndarray, colours: int | None = None) -> bytes:
    """An (H, W) or (H, W, 3) uint8 image as a PNG file: without loss, or reduced to so many colours."""
    picture = Image.fromarray(image)
    if colours is not None:
        picture = picture.quantize(colours)
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def fewer_greys(images: np.ndarray) -> np.ndarray:
    """Images in GREYS even steps of grey: as PNG a third smaller, and no pixel more than 4 of 255 off."""
    step = 255 / (GREYS - 1)
    return ((images / step).round() * step).round().astype(np.uint8)


def frame_sheet(frames: np.ndarray) -> tuple[np.ndarray, dict[str, Any]]:
    """Each different frame of (K, h, w) or (K, h, w, 3) uint8 once, in a sheet; MANY in fewer greys.

    Returns:
        the sheet, and for the browser its "tiles"; where frames repeat also "tileOf", the tile of each frame.
    """
    different, tile_of = _without_repeats(fewer_greys(frames) if len(frames) > MANY else frames)
    image, tiles = sheet(different)
    return image, {"tiles": tiles, **({"tileOf": tile_of} if len(different) < len(frames) else {})}


def _without_repeats(frames: np.ndarray) -> tuple[np.ndarray, list[int]]:
    """Each different frame once, in order of appearance, and for every frame its position among these."""
    position: dict[bytes, int] = {}
    tile_of = [position.setdefault(frame.tobytes(), len(position)) for frame in frames]
    first = [tile_of.index(tile) for tile in range(len(position))]
    return frames[first], tile_of


def on_paper(image: np.ndarray) -> np.ndarray:
    """A grey (h, w) image as dark ink on white, (h, w, 3); a colour image unchanged."""
    return image if image.ndim == 3 else np.repeat(255 - image[..., None], 3, axis=2)


def enlarge(image: np.ndarray, room: tuple[int, int]) -> np.ndarray:
    """The image with each pixel a square, as many times larger as fits into `room` (width, height) pixels."""
    factor = max(1, min(room[0] // image.shape[1], room[1] // image.shape[0]))
    return image.repeat(factor, axis=0).repeat(factor, axis=1)


class Card:
    """White paper on which a still is put together; places are pixels from its upper left corner."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        with rc_context(fname=STYLE):
            self._figure = Figure(figsize=(width / DPI, height / DPI), dpi=DPI)
            self._figure.set_layout_engine("none")
            self._canvas = FigureCanvasAgg(self._figure)

    def axes(self, left: int, top: int, width: int, height: int, **properties: Any) -> Axes:
        """Axes whose frame is this box; `properties` go to Axes.set."""
        box = left / self.width, 1 - (top + height) / self.height, width / self.width, height / self.height
        with rc_context(fname=STYLE):
            axes = self._figure.add_axes(box)
            axes.set(**properties)
        return axes

    def image(self, image: np.ndarray, left: int, top: int) -> None:
        """An image, pixel for pixel: (h, w) uint8 as ink, (h, w, 3) uint8 as it is."""
        self._figure.figimage(on_paper(image), left, self.height - top - len(image))

    def text(self, left: float, top: float, text: str, **style: Any) -> None:
        """Text whose left end, at half its height, lies here; `style` as in Figure.text."""
        style = {"color": "#333333", "fontsize": 9, "va": "center", **style}
        self._figure.text(left / self.width, 1 - top / self.height, text, **style)

    def pixels(self) -> np.ndarray:
        """The finished card, (height, width, 3) uint8."""
        with rc_context(fname=STYLE):
            self._canvas.draw()
        return np.asarray(self._canvas.buffer_rgba())[..., :3].copy()
