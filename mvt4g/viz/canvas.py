"""Between tensors and PIL: enlarging small frames and drawing anti-aliased marks on them."""

from collections.abc import Callable

import numpy as np
import torch
from einops import rearrange, repeat
from jaxtyping import Float
from PIL import Image, ImageDraw
from torch import Tensor

Colour = tuple[int, int, int, int]
"""RGBA, each 0 to 255."""
_SUPERSAMPLING = 3
_LEGIBLE_SIDE = 256


def magnification(height: int, width: int) -> int:
    """Return the whole factor that makes a frame's shorter side at least 256 pixels, or a little less for most."""
    return max(1, round(_LEGIBLE_SIDE / min(height, width)))


def magnify(video: Float[Tensor, "*b c h w"], factor: int) -> Float[Tensor, "*b c H W"]:
    """Enlarge by a whole factor, every pixel a square: nothing is smoothed that the model did not smooth."""
    return repeat(video, "... c h w -> ... c (h a) (w b)", a=factor, b=factor)


def to_image(frame: Float[Tensor, "3 h w"]) -> Image.Image:
    """Return a PIL image of RGB in [0, 1]; values outside are clamped, NaN is black."""
    levels = frame.detach().cpu().nan_to_num().clamp(0, 1).mul(255).round().to(torch.uint8)
    return Image.fromarray(rearrange(levels, "c h w -> h w c").contiguous().numpy())


def to_frame(image: Image.Image) -> Float[Tensor, "3 h w"]:
    """Return RGB in [0, 1]."""
    pixels = torch.from_numpy(np.array(image.convert("RGB")))
    return rearrange(pixels, "h w c -> c h w").float() / 255


class Pen:
    """Draws on a transparent sheet in pixel coordinates (centres at i + 0.5), some times finer than the image.

    Args:
        sheet: The fine sheet.
        scale: Fine pixels per coordinate unit.
        line_width: Width of a line in fine pixels; dots are sized by it.
    """

    def __init__(self, sheet: Image.Image, scale: float, line_width: float) -> None:
        self._draw = ImageDraw.Draw(sheet)
        self._scale = scale
        self._line_width = line_width

    def line(
        self,
        start: tuple[float, float],
        end: tuple[float, float],
        colour: Colour,
        width: float = 1.0,
    ) -> None:
        """Draw a line, ``width`` in units of the usual one."""
        ends = [self._at(start), self._at(end)]
        fine_width = max(1, round(width * self._line_width))
        self._draw.line(ends, fill=colour, width=fine_width)

    def dot(
        self,
        centre: tuple[float, float],
        colour: Colour,
        size: float = 1.0,
        filled: bool = True,
    ) -> None:
        """Draw a disc with a dark rim, or a ring between two dark rims."""
        radius = 2.1 * size * self._line_width
        rim = max(1, round(0.45 * self._line_width))
        # The rim fades with the dot, yet never hides all of what lies below.
        dark = (0, 0, 0, min(colour[3], 190))
        self._circle(centre, radius + rim, dark, None if filled else 2 * rim + self._line_width)
        self._circle(centre, radius, colour, None if filled else self._line_width)

    def cross(self, centre: tuple[float, float], colour: Colour, size: float = 1.0) -> None:
        """Draw a diagonal cross with a dark rim."""
        reach = 2.4 * size * self._line_width / self._scale
        x, y = centre
        for tint, width in (((0, 0, 0, 190), 2.0), (colour, 1.1)):
            self.line((x - reach, y - reach), (x + reach, y + reach), tint, width)
            self.line((x - reach, y + reach), (x + reach, y - reach), tint, width)

    def _circle(
        self,
        centre: tuple[float, float],
        radius: float,
        colour: Colour,
        width: float | None,
    ) -> None:
        x, y = self._at(centre)
        box = [x - radius, y - radius, x + radius, y + radius]
        if width is None:
            self._draw.ellipse(box, fill=colour)
        else:
            self._draw.ellipse(box, outline=colour, width=max(1, round(width)))

    def _at(self, point: tuple[float, float]) -> tuple[float, float]:
        # PIL counts from the centre of the first pixel, this project from its corner.
        return point[0] * self._scale - 0.5, point[1] * self._scale - 0.5


def draw_over(
    frame: Float[Tensor, "3 h w"],
    factor: int,
    marks: Callable[[Pen], None],
) -> Float[Tensor, "3 H W"]:
    """Enlarge a frame by ``factor`` and let ``marks`` draw on it in the frame's own pixel coordinates."""
    image = to_image(magnify(frame, factor)).convert("RGBA")
    fine = (image.width * _SUPERSAMPLING, image.height * _SUPERSAMPLING)
    sheet = Image.new("RGBA", fine, (0, 0, 0, 0))
    line_width = max(1.6, 0.0068 * min(image.size)) * _SUPERSAMPLING
    marks(Pen(sheet, float(factor * _SUPERSAMPLING), line_width))
    # Each pixel becomes the mean of its fine ones: this is the anti-aliasing.
    drawn = sheet.resize(image.size, Image.Resampling.BOX)
    return to_frame(Image.alpha_composite(image, drawn))


def rgba(colour: Float[Tensor, "3"], alpha: float = 1.0) -> Colour:
    """Return an RGB colour of [0, 1] with an opacity of [0, 1] as PIL takes it."""
    red, green, blue = (round(255 * value) for value in colour.clamp(0, 1).tolist())
    return red, green, blue, round(255 * alpha)
