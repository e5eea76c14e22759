"""Boxes that hide what is behind them in training samples: points under one are occluded."""

from dataclasses import dataclass, replace

import numpy as np
from einops import reduce
from jaxtyping import Bool, Float
from torch import Tensor

from mvt4g.ranges import Count, Natural, PositiveShare, Share, check_ranges
from mvt4g.types import REFERENCE, InputError, MultiViewClip


@dataclass(frozen=True)
class Box:
    """Pixels of rows top to bottom - 1 and columns left to right - 1; the last two may lie outside the image."""

    top: int
    left: int
    bottom: int
    right: int

    def covers(self, xy: Float[Tensor, "n 2"]) -> Bool[Tensor, " n"]:
        """Say which positions (pixels) lie in the box."""
        x, y = xy.unbind(dim=-1)
        return (x >= self.left) & (x < self.right) & (y >= self.top) & (y < self.bottom)


@dataclass(frozen=True)
class EraserSpec:
    """Boxes of one colour in every frame but the first, as CoTracker hides what a tracker must see through.

    Attributes:
        probability: Of each frame of the chosen views to have boxes.
        boxes: Least and largest number of them.
        side: Least and largest side of a box, as a share of the image's width (CoTracker: 2 to 100 px of 512).
        views: Positions they appear in: 0 the reference, 1 the target. L_diff would teach to generate what is erased
            from the target, so the default is the reference alone.
    """

    probability: Share = 0.0
    boxes: tuple[Count, Count] = (1, 10)
    side: tuple[PositiveShare, PositiveShare] = (0.004, 0.2)
    views: tuple[Natural, ...] = (REFERENCE,)

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            InputError: If a value is out of range.
        """
        check_ranges(self, "sampling.augment.eraser")
        if not 1 <= self.boxes[0] <= self.boxes[1]:
            want = "[least, largest], at least 1"
            raise InputError(f"sampling.augment.eraser.boxes: got {self.boxes}, want {want}")
        if not 0 < self.side[0] <= self.side[1] <= 1:
            want = "[least, largest] in (0, 1]"
            raise InputError(f"sampling.augment.eraser.side: got {self.side}, want {want}")
        if not set(self.views) <= {0, 1}:
            raise InputError(f"sampling.augment.eraser.views: got {self.views}, want 0, 1 or both")

    def draw(self, clip: MultiViewClip, rng: np.random.Generator) -> MultiViewClip:
        """Return a copy of one clip (no batch axis) with boxes; a point under one is no longer visible."""
        video = clip.video.clone()
        visible = None if clip.visible is None else clip.visible.clone()
        for view in self.views:
            for frame in range(1, video.shape[1]):
                for box in self._draw_boxes(rng, *video.shape[-2:]):
                    part = video[view, frame, :, box.top : box.bottom, box.left : box.right]
                    part[:] = reduce(part, "c h w -> c 1 1", "mean")
                    if visible is not None and clip.tracks is not None:
                        visible[view, frame] &= ~box.covers(clip.tracks[view, frame])
        return replace(clip, video=video, visible=visible)

    def _draw_boxes(self, rng: np.random.Generator, rows: int, columns: int) -> list[Box]:
        """Draw the boxes of one frame: none, or some whose middles lie in the image."""
        if rng.random() >= self.probability:
            return []
        count = int(rng.integers(self.boxes[0], self.boxes[1] + 1))
        sides = np.maximum(1, np.rint(columns * rng.uniform(*self.side, (count, 2)))).astype(int)
        corners = rng.integers((rows, columns), size=(count, 2)) - sides // 2
        edges = np.concatenate([corners.clip(min=0), corners + sides], axis=1).tolist()
        return [Box(*edge) for edge in edges]
