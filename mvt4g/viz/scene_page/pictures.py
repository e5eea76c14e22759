"""Colour and depth pictures of a scene as WebP files, as fine as a budget of bytes allows."""

import io
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from jaxtyping import UInt8
from numpy import ndarray
from PIL import Image

from mvt4g.formats.scene4d import SceneView
from mvt4g.viz.scene_page.depth_levels import DepthScale, confidence_ranks, depth_picture


@dataclass(frozen=True)
class Fineness:
    """How finely pictures are stored.

    Attributes:
        depth_error: Largest relative error of depth.
        colour_quality: WebP's, 0 to 100.
    """

    depth_error: float
    colour_quality: int


LADDER = (
    Fineness(0.0005, 85),
    Fineness(0.001, 80),
    Fineness(0.001, 70),
    Fineness(0.002, 70),
    Fineness(0.003, 60),
    Fineness(0.005, 50),
    Fineness(0.005, 35),
)
"""From fine to coarse; depth is never coarser than 0.5 %."""
_SAMPLES = 4
"""Frames of each view whose sizes say what a rung of the ladder costs."""
_MOST_THREADS = 8


@dataclass(frozen=True)
class ViewPictures:
    """The pictures of one view.

    Attributes:
        colour, depth: WebP files, one a frame.
        scale: Of the depth pictures.
        depth_error: Largest relative error of any depth, as measured.
    """

    colour: list[bytes]
    depth: list[bytes]
    scale: DepthScale
    depth_error: float


def encode_views(views: Sequence[SceneView], budget: int) -> tuple[list[ViewPictures], Fineness]:
    """Encode all pictures with the finest rung of the ladder whose files fit into a budget, else with the last one.

    Args:
        views: With depth that is finite, 0 = none.
        budget: Bytes for all of them.
    """
    encoders = [_ViewEncoder(view) for view in views]
    for fineness in LADDER:
        estimate = sum(encoder.estimate(fineness) for encoder in encoders)
        if estimate <= budget:
            break
    return [encoder.encode(fineness) for encoder in encoders], fineness


class _ViewEncoder:
    """Encodes the frames of one view in threads: the library works without Python's lock."""

    def __init__(self, view: SceneView) -> None:
        self._view = view
        self._ranks = None if view.confidence is None else confidence_ranks(view.confidence, view.depth)

    def estimate(self, fineness: Fineness) -> int:
        """Return the bytes of all frames, from those of some."""
        num_frames = len(self._view.depth)
        # From the middle of equal parts: the first frame alone may be plainer than those that follow.
        step = max(1, num_frames // _SAMPLES)
        sample = list(range(step // 2, num_frames, step))
        pictures = self._encode(fineness, sample)
        num_bytes = sum(map(len, pictures.colour)) + sum(map(len, pictures.depth))
        return num_bytes * num_frames // len(sample)

    def encode(self, fineness: Fineness) -> ViewPictures:
        return self._encode(fineness, range(len(self._view.depth)))

    def _encode(self, fineness: Fineness, frames: Sequence[int]) -> ViewPictures:
        scale = DepthScale.of(self._view.depth, fineness.depth_error)
        colour, depth, errors = [], [], []
        num_threads = min(_MOST_THREADS, os.cpu_count() or 1)
        with ThreadPoolExecutor(num_threads) as pool:
            done = pool.map(lambda frame: self._encode_frame(frame, scale, fineness), frames)
            for colour_file, depth_file, error in done:
                colour.append(colour_file)
                depth.append(depth_file)
                errors.append(error)
        return ViewPictures(colour, depth, scale, max(errors))

    def _encode_frame(self, frame: int, scale: DepthScale, fineness: Fineness) -> tuple[bytes, bytes, float]:
        ranks = None if self._ranks is None else self._ranks[frame]
        # Depth is lossless: ringing at an edge would be points in the air.
        picture, error = depth_picture(self._view.depth[frame], scale, ranks)
        colour = webp(self._view.video[frame].numpy(), quality=fineness.colour_quality)
        return colour, webp(picture, quality=50, lossless=True), error


def webp(picture: UInt8[ndarray, "h w 3"], quality: int, lossless: bool = False) -> bytes:
    """Return a picture as a WebP file; of a lossless one ``quality`` is the effort spent on its size."""
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "WEBP", quality=quality, lossless=lossless, method=4)
    return file.getvalue()


def poster(views: Sequence[SceneView], frame: int, height: int = 120) -> bytes:
    """Return a small picture of all views of a frame side by side."""
    pictures = []
    for view in views:
        whole = Image.fromarray(view.video[frame].numpy())
        pictures.append(whole.resize((max(1, round(whole.width * height / whole.height)), height)))
    sheet = Image.new("RGB", (sum(picture.width for picture in pictures), height))
    left = 0
    for picture in pictures:
        sheet.paste(picture, (left, 0))
        left += picture.width
    file = io.BytesIO()
    sheet.save(file, "WEBP", quality=70)
    return file.getvalue()
