"""Training pairs for explicit lifting: from true target views, or from one video with depth alone.

A pair of one video is shown as a clip: its reference is what a moved camera sees of the lifted video, its target the
video itself at its own cameras, and what is rendered for the target's tokens has the holes and faults that lifting
leaves. So the network learns to undo them, and to go from the moved camera to the video's.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal, NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import avg_pool2d

from mvt4g.geometry.lifted_video import LiftingSpec, render_lifted
from mvt4g.geometry.pose import compose, rotation_from_axis_angle
from mvt4g.geometry.rendering import Rendering
from mvt4g.geometry.reprojection import reproject
from mvt4g.models.conditioning.lifted_view import stack_renderings
from mvt4g.ranges import Range, ShareBelowOne, check_ranges
from mvt4g.types import REFERENCE, TARGET, Cameras, InputError, MultiViewClip

PairKind = Literal["views", "double_reprojection", "occlusion", "depth_blur"]
"""Pairs to train on.

- "views": the clip's own reference and target; the reference is lifted and rendered from the target.
- "double_reprojection": lifted, seen by a moved camera, lifted again there and rendered back (CogNVS, arXiv 2507.12646,
  and TrajectoryCrafter, arXiv 2503.05638).
- "occlusion": the video without the pixels that the moved camera does not see (NeoVerse, arXiv 2601.00393).
- "depth_blur": as "double_reprojection", with the moved camera's depth blurred, so that surfaces bend and edges fly
  (NeoVerse).
"""
SAME_DEPTH = 0.05
"""Share of its depth by which a point may lie behind the surface that a moved camera sees, and still be seen."""
BLUR_SHARES = (0.02, 0.09)
"""Side of the box filter of "depth_blur", a share of the picture's width: NeoVerse's 11 to 51 of 560 pixels."""
Turn = Annotated[float, Range(0, 89)]
"""Of a camera about what it looks at, degrees."""


@dataclass(frozen=True)
class CameraMoves:
    """Small random moves of the camera about what it looks at.

    A move goes evenly from one place to another over the frames, both drawn within the limits, and is relative to the
    camera of each frame. It turns about the point on the first frame's axis at the median of its depth.

    Attributes:
        yaw_deg: Largest turn about the vertical, to either side.
        pitch_deg: Largest turn up or down.
        distance: Largest change of the distance to that point, a share of it.

    Source: CogNVS (arXiv 2507.12646), whose moves pass two more places between.
    """

    yaw_deg: Turn = 15.0
    pitch_deg: Turn = 10.0
    distance: ShareBelowOne = 0.1

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            InputError: If a limit is out of range.
        """
        check_ranges(self, "training.lifted.moves")

    def move(self, source: Cameras, depth: Float[Tensor, "t h w"], ends: Float[Tensor, "2 3"]) -> Cameras:
        """Return moved cameras, one for each of ``source`` (t).

        Args:
            source: Of one video.
            depth: Of it, scene units.
            ends: Yaw, pitch and distance at the first and the last frame, shares of their limits in [-1, 1].

        Raises:
            InputError: If no pixel has a depth.
        """
        known = depth[depth.isfinite() & (depth > 0)]
        if not len(known):
            raise InputError("depth: got none of any pixel, want some to move the camera about")
        first = depth[0][depth[0].isfinite() & (depth[0] > 0)]
        radius = float((first if len(first) else known).median())
        limits = torch.tensor([self.yaw_deg, self.pitch_deg, self.distance * radius])
        done = torch.linspace(0, 1, len(depth))[:, None]
        yaw, pitch, nearer = (limits * torch.lerp(ends[0], ends[1], done)).unbind(dim=1)
        turns = torch.deg2rad(torch.stack([pitch, yaw, torch.zeros_like(yaw)], dim=1))
        moved_from_source = torch.eye(4).repeat(len(depth), 1, 1)
        moved_from_source[:, :3, :3] = rotation_from_axis_angle(turns)
        # About the point (0, 0, radius): it stays on the axis, only nearer or farther.
        about = torch.tensor([0.0, 0.0, radius])
        moved_from_source[:, :3, 3] = about - moved_from_source[:, :3, :3] @ about
        moved_from_source[:, 2, 3] += nearer
        pose = compose(moved_from_source.to(source.cam_from_world), source.cam_from_world)
        return Cameras(pose, source.intrinsics)


class ShownClip(NamedTuple):
    """What a network is shown of a batch of clips.

    Attributes:
        clip: Reference and target.
        rendering: For the target's tokens (b t).
    """

    clip: MultiViewClip
    rendering: Rendering


def show_pairs(
    clip: MultiViewClip,
    depth: Float[Tensor, "b t h w"],
    kinds: Sequence[PairKind],
    moves: CameraMoves,
    lifting: LiftingSpec,
    generator: torch.Generator,
) -> ShownClip:
    """Return a pair for every clip of a batch, each of a kind drawn evenly from ``kinds``.

    Pairs of one video have no true tracks: their points are marked as padding.

    Args:
        clip: With a batch axis.
        depth: Of the reference, scene units; 0 or non-finite = none.
        kinds: At least one; one that stands twice is drawn twice as often.
        moves: Of the moved cameras.
        lifting: How is lifted and rendered.
        generator: On the CPU; moves on alike whatever the kinds.

    Raises:
        InputError: If no pixel has a depth, or frames are to be accumulated and nobody says what moves.
    """
    batch = len(depth)
    drawn = torch.randint(2**31, (batch,), generator=generator) % len(kinds)
    blurs = torch.rand(batch, generator=generator).tolist()
    ends = 2 * torch.rand(batch, 2, 3, generator=generator) - 1
    own = torch.tensor([kinds[int(number)] == "views" for number in drawn])
    shown = []
    for index, number in enumerate(drawn.tolist()):
        source = clip.cameras[index, REFERENCE]
        video = clip.video[index, REFERENCE]
        dynamic = None if clip.dynamic is None else clip.dynamic[index, REFERENCE]
        if own[index]:
            target = clip.cameras[index, TARGET]
            rendering = render_lifted(video, depth[index], source, target, lifting, dynamic)
            shown.append((clip.video[index], clip.cameras[index], rendering))
            continue
        moved = moves.move(source, depth[index], ends[index])
        there = render_lifted(video, depth[index], source, moved, lifting, dynamic)
        if kinds[number] == "occlusion":
            back = _culled(video, depth[index], source, moved, there)
        else:
            surface = _blurred(there, blurs[index]) if kinds[number] == "depth_blur" else there.depth
            # What other frames bring is in ``there`` already.
            per_frame = replace(lifting, accumulate=False, most_frames=0, margin_px=0)
            back = render_lifted(there.image, surface, moved, source, per_frame)
        shown.append((torch.stack([there.image, video]), _both(moved, source), back))
    return _joined(clip, shown, own)


def _both(reference: Cameras, target: Cameras) -> Cameras:
    poses = torch.stack([reference.cam_from_world, target.cam_from_world])
    return Cameras(poses, torch.stack([reference.intrinsics, target.intrinsics]))


def _culled(
    video: Float[Tensor, "t c h w"], depth: Float[Tensor, "t h w"], source: Cameras, moved: Cameras, there: Rendering
) -> Rendering:
    """Return a video without the pixels that the moved camera does not see, by its own rendering's depth."""
    height, width = depth.shape[-2:]
    seen = []
    for frame in range(len(depth)):
        xy, z, known = reproject(depth[frame], source[frame], moved[frame])
        column = xy[..., 0].floor()
        row = xy[..., 1].floor()
        inside = known & (column >= 0) & (column < width) & (row >= 0) & (row < height)
        place = torch.where(inside, row * width + column, 0.0).long()
        nearest = there.depth[frame].flatten()[place]
        seen.append(inside & (z <= (1 + SAME_DEPTH) * nearest))
    mask = torch.stack(seen)
    return Rendering(torch.where(mask[:, None], video, 0.0), mask, torch.where(mask, depth, 0.0))


def _blurred(there: Rendering, side: float) -> Float[Tensor, "t h w"]:
    """Return a rendering's depth averaged over a box of the pixels that have one.

    Args:
        there: Of t frames.
        side: In [0, 1]: where between the smallest and the largest box.
    """
    least, most = BLUR_SHARES
    pixels = there.depth.shape[-1] * (least + side * (most - least))
    reach = max(1, round(pixels / 2))  # a box of at least 3 pixels, else nothing would be blurred
    box = 2 * reach + 1
    known = there.mask.float()
    total = avg_pool2d(there.depth[:, None] * known[:, None], box, stride=1, padding=reach)[:, 0]
    share = avg_pool2d(known[:, None], box, stride=1, padding=reach)[:, 0]
    return torch.where(there.mask, total / share.clamp(min=1e-6), 0.0)


def _joined(
    clip: MultiViewClip, shown: Sequence[tuple[Float[Tensor, "v t 3 h w"], Cameras, Rendering]], own: Bool[Tensor, " b"]
) -> ShownClip:
    """Return the batch of the pairs; ``own`` says which are the clip's own views."""
    rendering = stack_renderings([each for _, _, each in shown])
    if bool(own.all()):
        return ShownClip(clip, rendering)
    cameras = Cameras(
        torch.stack([each.cam_from_world for _, each, _ in shown]),
        torch.stack([each.intrinsics for _, each, _ in shown]),
    )
    # What was true of the clip's own views is not of a moved camera's.
    told: dict[str, Any] = dict.fromkeys(("points_world", "depth", "instances", "dynamic", "covisible"))
    if clip.visible is not None:
        kept = own.to(clip.visible.device)
        told["visible"] = clip.visible & kept[:, None, None, None]
        points = torch.ones_like(clip.visible[:, 0, 0]) if clip.point_valid is None else clip.point_valid
        told["point_valid"] = points & kept[:, None]
    videos = torch.stack([video for video, _, _ in shown])
    return ShownClip(replace(clip, video=videos, cameras=cameras, **told), rendering)
