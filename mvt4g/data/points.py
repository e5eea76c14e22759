"""Points of samples, brought to one number: batches need one, whatever their clips show."""

from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Shaped
from torch import Tensor

from mvt4g.types import MultiViewClip


def take_points(clip: MultiViewClip, count: int, rng: np.random.Generator) -> MultiViewClip:
    """Return one clip (no batch axis) with exactly ``count`` places for points.

    They are filled with points that are visible anywhere in the clip, drawn without replacement and kept in order;
    places left over are padding (``point_valid`` False, never visible). A clip without tracks, or of which nobody knows
    what is visible, has padding alone: no loss on points has a term there, and nothing is made up.
    """
    views, frames = clip.video.shape[:2]
    if clip.tracks is None or clip.visible is None:
        return replace(
            clip,
            tracks=torch.zeros(views, frames, count, 2),
            visible=torch.zeros(views, frames, count, dtype=torch.bool),
            point_valid=torch.zeros(count, dtype=torch.bool),
            points_world=None,
            point_instance=None,
        )
    ever_visible = clip.visible.any(dim=1).any(dim=0)
    if clip.point_valid is not None:
        ever_visible &= clip.point_valid
    candidates = ever_visible.nonzero()[:, 0].numpy()
    if len(candidates) > count:
        candidates = np.sort(rng.choice(candidates, count, replace=False))
    kept = torch.from_numpy(candidates)

    def fill(values: Shaped[Tensor, "..."] | None, axis: int) -> Shaped[Tensor, "..."] | None:
        if values is None:
            return None
        shape = list(values.shape)
        shape[axis] = count - len(kept)
        return torch.cat([values.index_select(axis, kept), values.new_zeros(shape)], dim=axis)

    return replace(
        clip,
        tracks=fill(clip.tracks, 2),
        visible=fill(clip.visible, 2),
        points_world=fill(clip.points_world, 1),
        point_instance=fill(clip.point_instance, 0),
        point_valid=torch.arange(count) < len(kept),
    )
