"""Point tracks drawn over video, and the legend that says what their marks mean."""

from collections.abc import Iterator, Sequence

import torch
from jaxtyping import Bool, Float
from PIL import ImageDraw, ImageFont
from torch import Tensor

from mvt4g.viz.canvas import Pen, draw_over, magnification, rgba, to_frame, to_image
from mvt4g.viz.colours import rainbow_by_row
from mvt4g.viz.tiles import tile_videos

PIECE = 32
"""Frames that are drawn at a time where a whole video is not held."""
_HIDDEN_OPACITY = 0.35
_LEGEND = (("seen", True), ("hidden", False))
"""Word of each mark, and whether the mark is filled."""
_LEGEND_HEIGHT = 24
_LEGEND_FONT_SIZE = 13
_LEGEND_STEP = 74
"""In pixels; the step is from one mark to the next."""
_PAPER = 22 / 255
_INK = (232, 232, 232)


def draw_tracks(
    video: Float[Tensor, "t 3 h w"],
    tracks: Float[Tensor, "t n 2"],
    visible: Bool[Tensor, "t n"],
    trail: int = 8,
    colours: Float[Tensor, "n 3"] | None = None,
    magnify: int | None = None,
) -> Float[Tensor, "t 3 H W"]:
    """Draw every point with the path it came along: a disc where it is seen, a ring where it is hidden.

    Args:
        video: In [0, 1].
        tracks: Pixels (x, y); a point that is not finite is left out of its frame.
        visible: True where seen.
        trail: Past frames whose path is shown, fading with age.
        colours: RGB in [0, 1] of every point; by default a rainbow by the row in frame 0.
        magnify: Whole factor by which the frames are enlarged; by default to about 256 pixels on the shorter side.
    """
    factor = magnify or magnification(video.shape[-2], video.shape[-1])
    colours = rainbow_by_row(tracks) if colours is None else colours
    frames = []
    for now, frame in enumerate(video):
        frames.append(draw_tracks_at(frame, now, tracks, visible, trail, colours, factor))
    return torch.stack(frames)


def draw_tracks_at(
    image: Float[Tensor, "3 h w"],
    now: int,
    tracks: Float[Tensor, "t n 2"],
    visible: Bool[Tensor, "t n"],
    trail: int = 8,
    colours: Float[Tensor, "n 3"] | None = None,
    magnify: int | None = None,
) -> Float[Tensor, "3 H W"]:
    """Draw one frame as ``draw_tracks`` does.

    Args:
        image: The frame, in [0, 1].
        now: Its number.
        tracks: Pixels (x, y) of all frames.
        visible: True where seen.
        trail: Past frames whose path is shown.
        colours: As for ``draw_tracks``.
        magnify: As for ``draw_tracks``.
    """
    factor = magnify or magnification(image.shape[-2], image.shape[-1])
    colours = rainbow_by_row(tracks) if colours is None else colours
    colours = colours.cpu()
    tracks = tracks.detach().float().cpu()
    visible = visible.cpu()
    return draw_over(image, factor, lambda pen: _draw_frame(pen, now, tracks, visible, colours, trail))


def draw_track_views(
    videos: Float[Tensor, "v t 3 h w"],
    tracks: Float[Tensor, "v t n 2"],
    visible: Bool[Tensor, "v t n"],
    captions: Sequence[str],
    trail: int = 8,
) -> Float[Tensor, "t 3 H W"]:
    """Draw one set of points on several views side by side, each point of one colour in all of them, over a legend.

    Args:
        videos: In [0, 1].
        tracks: Pixels (x, y).
        visible: True where seen.
        captions: One per view.
        trail: Past frames whose path is shown.
    """
    return torch.cat([*draw_track_pieces(tuple(videos), tracks, visible, captions, trail)])


def draw_track_pieces(
    videos: Sequence[Float[Tensor, "t 3 h w"]],
    tracks: Float[Tensor, "v t n 2"],
    visible: Bool[Tensor, "v t n"],
    captions: Sequence[str],
    trail: int = 8,
) -> Iterator[Float[Tensor, "piece 3 H W"]]:
    """Yield the frames of ``draw_track_views`` some at a time: no more than these are held.

    Args:
        videos: One a view, in [0, 1].
        tracks: Pixels (x, y).
        visible: True where seen.
        captions: One per view.
        trail: Past frames whose path is shown.
    """
    colours = rainbow_by_row(tracks[0])
    for start in range(0, tracks.shape[1], PIECE):
        drawn = []
        for video, points, seen in zip(videos, tracks, visible, strict=True):
            frames = []
            for offset, frame in enumerate(video[start : start + PIECE]):
                frames.append(draw_tracks_at(frame, start + offset, points, seen, trail, colours))
            drawn.append(torch.stack(frames))
        yield with_track_legend(tile_videos([drawn], [captions]))


def with_track_legend(video: Float[Tensor, "*t 3 h w"]) -> Float[Tensor, "*t 3 H w"]:
    """Put a strip under a video or an image that says what a filled dot and a ring are: a point seen, a point hidden.

    Args:
        video: In [0, 1], with tracks drawn on it.
    """
    strip = track_legend(video.shape[-1]).to(video)
    return torch.cat([video, strip.expand(*video.shape[:-2], *strip.shape[-2:])], dim=-2)


def track_legend(width: int) -> Float[Tensor, "3 h {width}"]:
    """Return the strip of ``with_track_legend``: each mark of ``draw_tracks`` beside its word."""
    paper = torch.full((3, _LEGEND_HEIGHT, width), _PAPER)
    middle = _LEGEND_HEIGHT / 2
    places = [middle + index * _LEGEND_STEP for index in range(len(_LEGEND))]

    def marks(pen: Pen) -> None:
        for x, (_, filled) in zip(places, _LEGEND, strict=True):
            pen.dot((x, middle), (*_INK, 255), size=1.0 if filled else 1.2, filled=filled)

    image = to_image(draw_over(paper, 1, marks))
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(_LEGEND_FONT_SIZE)
    for x, (word, _) in zip(places, _LEGEND, strict=True):
        beside = (x + _LEGEND_HEIGHT / 2, middle)
        draw.text(beside, word, fill=_INK, font=font, anchor="lm")
    return to_frame(image)


def _draw_frame(
    pen: Pen,
    now: int,
    tracks: Float[Tensor, "t n 2"],
    visible: Bool[Tensor, "t n"],
    colours: Float[Tensor, "n 3"],
    trail: int,
) -> None:
    finite = tracks.isfinite().all(dim=-1)
    for then in range(max(1, now - trail + 1), now + 1):
        fade = 1 - (now - then) / (trail + 1)
        drawable = finite[then - 1] & finite[then]
        for point in torch.nonzero(drawable)[:, 0].tolist():
            seen = bool(visible[then - 1, point] & visible[then, point])
            opacity = fade * (0.9 if seen else _HIDDEN_OPACITY)
            start = _xy(tracks, then - 1, point)
            pen.line(start, _xy(tracks, then, point), rgba(colours[point], opacity))
    # Discs come last: no trail may cross them.
    for point in torch.nonzero(finite[now])[:, 0].tolist():
        seen = bool(visible[now, point])
        size = 1.0 if seen else 1.2  # a ring looks smaller than a disc of its size
        pen.dot(_xy(tracks, now, point), rgba(colours[point]), size=size, filled=seen)


def _xy(tracks: Float[Tensor, "t n 2"], frame: int, point: int) -> tuple[float, float]:
    x, y = tracks[frame, point].tolist()
    return x, y
