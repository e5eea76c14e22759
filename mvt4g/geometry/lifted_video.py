"""A video with depth seen from other cameras, frame by frame or with what stands still gathered over time."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional as F

from mvt4g.geometry.camera import scale_intrinsics
from mvt4g.geometry.rendering import Blend, EdgeRule, Rendering, render_mesh, render_points
from mvt4g.geometry.reprojection import reproject, smooth_depth
from mvt4g.ranges import Natural, check_ranges
from mvt4g.types import Cameras, InputError

Surface = Literal["points", "mesh"]
NEARER = 0.02
"""Share of its depth by which another frame's surface must lie before what is shown to take its place (Vista4D's)."""
RANKED_STRIDE = 8
"""Every 8th pixel along x and y says how much of a frame a target camera sees."""


@dataclass(frozen=True)
class LiftingSpec:
    """How a video is lifted and rendered.

    Attributes:
        surface: "points": each pixel is a point; see ``render_points``. "mesh": see ``render_mesh``.
        accumulate: What stands still in other frames shows where the target's own frame shows nothing, or where it lies
            before what that frame shows. What moves shows in its own frame alone.
        most_frames: With ``accumulate``: so many other frames, those that the target camera sees most of; 0 = all.
        margin_px: With ``accumulate``: what moves is taken to reach so many pixels beyond its mask.
        edge_filter: Leave out points on depth edges, or reject stretched faces.
        blend: Of points: "hard" or "soft".
        edge_rule: Of a mesh: which faces are stretched, "angle" or "ratio".
        rejected_occlude: Of a mesh: rejected faces still hide what is behind them.
    """

    surface: Surface = "points"
    accumulate: bool = False
    most_frames: Natural = 0
    margin_px: Natural = 0
    edge_filter: bool = True
    blend: Blend = "hard"
    edge_rule: EdgeRule = "angle"
    rejected_occlude: bool = False

    def __post_init__(self) -> None:
        """Check what is given together.

        Raises:
            InputError: If a word is unknown, or an option is not of this surface or of per-frame lifting.
        """
        check_ranges(self, "lifting")
        of_points = ("blend",)
        of_mesh = ("edge_rule", "rejected_occlude")
        self._refuse(of_points if self.surface == "mesh" else of_mesh, f"surface {self.surface}")
        if not self.accumulate:
            self._refuse(("most_frames", "margin_px"), "accumulate false")

    def _refuse(self, names: Sequence[str], beside: str) -> None:
        """Refuse options that would change nothing."""
        for name in names:
            default = type(self).__dataclass_fields__[name].default
            if getattr(self, name) != default:
                raise InputError(f"lifting.{name}: got {getattr(self, name)} with {beside}, want {default}")

    def render(
        self,
        image: Float[Tensor, "*b c h w"],
        depth: Float[Tensor, "*b h w"],
        source: Cameras,
        target: Cameras,
        image_size: tuple[int, int],
    ) -> Rendering:
        """Render each frame by itself, as ``render_points`` or ``render_mesh``.

        Raises:
            InputError: If sizes do not fit.
        """
        if self.surface == "points":
            return render_points(image, depth, source, target, image_size, self.edge_filter, self.blend)
        faces = (self.edge_filter, self.edge_rule, self.rejected_occlude)
        return render_mesh(image, depth, source, target, image_size, *faces)


def render_lifted(
    video: Float[Tensor, "t c h w"],
    depth: Float[Tensor, "t h w"],
    source: Cameras,
    target: Cameras,
    lifting: LiftingSpec = LiftingSpec(),
    dynamic: Bool[Tensor, "t h w"] | None = None,
    image_size: tuple[int, int] | None = None,
) -> Rendering:
    """Render a video with depth from the cameras of a target path, frame t of the source at frame t of the path.

    With ``lifting.accumulate`` the own frame is laid first, then the others by their distance in time. A pixel of
    another frame is taken where nothing is shown yet, or where it is nearer than what is shown by ``NEARER``: surfaces
    that agree stay the own frame's. Memory beside the result does not grow with the number of frames.

    Args:
        video: Colours or features.
        depth: z-depth of its pixel centres, scene units; 0 or non-finite = none.
        source: Cameras (t) of the video, K in its pixels.
        target: Cameras (t) to render from, in the same world; K in pixels of ``image_size``.
        lifting: How.
        dynamic: True on what moves; all that is left out when frames are accumulated.
        image_size: (height, width) of the rendering; None = the video's.

    Raises:
        InputError: If sizes do not fit, or frames are to be accumulated and nobody says what moves.

    Source: per-frame lifting as GEN3C (arXiv 2503.03751), TrajectoryCrafter (2503.05638) and CogNVS (2507.12646) use
        it; accumulation after Vista4D and 3DScenePrompt.
    """
    size = (video.shape[-2], video.shape[-1]) if image_size is None else image_size
    if not lifting.accumulate:
        return lifting.render(video, depth, source, target, size)
    if dynamic is None:
        raise InputError("lifting.accumulate: got true without masks of what moves, want a clip that has them")
    if dynamic.shape != depth.shape:
        raise InputError(f"dynamic: got shape {tuple(dynamic.shape)}, want {tuple(depth.shape)} as the depth has")
    if lifting.surface == "points" and lifting.edge_filter:
        # Once for every frame, and before what moves is taken out: its outline is an edge.
        depth = depth.clone()
        for each in depth:
            each[~smooth_depth(each)] = 0.0
        lifting = replace(lifting, edge_filter=False)
    shown = lifting.render(video, depth, source, target, size)
    static = depth.masked_fill(_grown(dynamic, lifting.margin_px), 0.0)
    for time in range(len(video)):
        for other in _other_frames(time, static, source, target[time], size, lifting.most_frames):
            seen = lifting.render(video[other], static[other], source[other], target[time], size)
            _lay(shown, time, seen)
    return shown


def _grown(mask: Bool[Tensor, "t h w"], margin_px: int) -> Bool[Tensor, "t h w"]:
    """Return masks that reach so many pixels further to all sides."""
    if not margin_px:
        return mask
    side = 2 * margin_px + 1
    return F.max_pool2d(mask.float(), side, stride=1, padding=margin_px) > 0


def _lay(shown: Rendering, time: int, seen: Rendering) -> None:
    """Write into one frame what another frame shows before it or beside it."""
    nearer = seen.depth < (1 - NEARER) * shown.depth[time]
    taken = seen.mask & (nearer | ~shown.mask[time])
    shown.image[time] = torch.where(taken, seen.image, shown.image[time])
    shown.depth[time] = torch.where(taken, seen.depth, shown.depth[time])
    shown.mask[time] |= taken


def _other_frames(
    time: int,
    depth: Float[Tensor, "t h w"],
    source: Cameras,
    target: Cameras,
    size: tuple[int, int],
    most: int,
) -> list[int]:
    """Return the frames that are laid over frame ``time``, in order.

    Args:
        time: The frame that has been laid.
        depth: Of what stands still.
        source: Cameras of all frames.
        target: The target's camera at ``time``.
        size: (height, width) of the target.
        most: How many; 0 = all.
    """
    others = [*range(time), *range(time + 1, len(depth))]
    if most and most < len(others):
        seen = {}
        for frame in others:
            seen[frame] = _count_seen(depth[frame], source[frame], target, size)
        # Of frames that show as much, the nearer in time.
        others = sorted(others, key=lambda frame: (-seen[frame], abs(frame - time)))[:most]
    return sorted(others, key=lambda frame: (abs(frame - time), frame))


def _count_seen(
    depth: Float[Tensor, "h w"],
    source: Cameras,
    target: Cameras,
    size: tuple[int, int],
) -> int:
    """Return how many of a frame's pixels, of every 8th along x and y, fall into the target's image."""
    stride = min(RANKED_STRIDE, *depth.shape)
    sparse = depth[stride // 2 :: stride, stride // 2 :: stride]
    # Half a pixel beside the centres: it does not matter for a count.
    coarse = Cameras(source.cam_from_world, scale_intrinsics(source.intrinsics, 1 / stride, 1 / stride))
    xy, _, kept = reproject(sparse, coarse, target)
    inside = (xy >= 0).all(dim=-1) & (xy[..., 0] < size[1]) & (xy[..., 1] < size[0])
    return int((kept & inside).sum())
