"""Two depths of unknown scale and shift put into the world of the cameras, by tracks that both views share."""

from dataclasses import dataclass

import torch
from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor

from mvt4g.geometry.camera import points_depth
from mvt4g.geometry.inverse_depth import LEAST_FOR_SHIFT, InverseDepthFit, fit_inverse_depth
from mvt4g.geometry.surface_lifting import lift_on_surface
from mvt4g.geometry.triangulation import depth_of_meeting, meet_rays
from mvt4g.inference.lifting.lift_input import GivenTracks
from mvt4g.types import Cameras

LEAST_ANGLE_DEG = 1.0
"""Angle of the rays from which on a point's triangulated depth is used: half a pixel of 500 in 50 degrees is 0.05."""
LARGEST_GAP = 0.02
"""Largest distance of two rays that are said to meet, as a share of the depth."""


@dataclass(frozen=True)
class Alignment:
    """What takes each view's depth into the world of the cameras.

    Attributes:
        fits: Of reference and generated view.
        by: "triangulation" of shared tracks; "reference": the generated view's depth was fitted to the reference's as
            it is given, since the cameras' rays hardly differ; "nothing": neither could be done.
        num_shared: Points and times that both views see.
    """

    fits: tuple[InverseDepthFit, InverseDepthFit]
    by: str
    num_shared: int

    def sentence(self) -> str:
        """Say what was done and how well it fits."""
        if self.by == "nothing":
            return (
                f"depth not aligned: {self.num_shared} points are seen by both views at one time, too few or with rays "
                "too alike; it is taken as given"
            )
        parts = []
        for name, fit in zip(("reference", "generated"), self.fits, strict=True):
            if fit.is_known:
                parts.append(
                    f"{name} scale {fit.scale:.4g}, shift {fit.shift:.4g}, residual {100 * fit.residual:.2g} % "
                    f"({fit.num_points} points, {100 * fit.inliers:.0f} % fit)"
                )
        how = "triangulated tracks" if self.by == "triangulation" else "the reference's depth"
        return f"depth aligned to {how}: {'; '.join(parts)}"


def align_depths(
    depths: tuple[Float[Tensor, "t h w"], Float[Tensor, "t h2 w2"]],
    cameras: tuple[Cameras, Cameras],
    tracks: GivenTracks | None,
) -> Alignment:
    """Find scale and shift of each view's inverse depth, for all frames together.

    Where both views see a track at one time, its rays meet at a point whose depth the cameras alone determine; each
    view's depth is fitted to these. Where too few rays differ by ``LEAST_ANGLE_DEG``, as under cameras that only turn,
    the generated view's depth is fitted to the reference's.

    Args:
        depths: As given, 0 = none.
        cameras: Of each view, in one world.
        tracks: In both views; None = none.
    """
    nothing = (InverseDepthFit(), InverseDepthFit())
    if tracks is None or not tracks.pixels.numel():
        return Alignment(nothing, "nothing", 0)
    worlds = []
    own_depths = []
    known = []
    for depth, camera, pixels in zip(depths, cameras, tracks.pixels, strict=True):
        world, there = lift_on_surface(pixels, depth, camera.cam_from_world, camera.intrinsics)
        worlds.append(world)
        own_depths.append(points_depth(world, rearrange(camera.cam_from_world, "t i j -> t 1 i j")))
        known.append(there)
    # A track may be said to be visible and still have no pixel, as one of another program.
    both = tracks.visible.all(dim=0) & tracks.pixels.isfinite().all(dim=-1).all(dim=0)
    shared = both & known[0] & known[1]
    true_depths, meets = _triangulated(tracks.pixels, cameras)
    usable = shared & meets
    if int(usable.sum()) >= LEAST_FOR_SHIFT:
        reference = fit_inverse_depth(own_depths[0][usable], true_depths[0][usable])
        generated = fit_inverse_depth(own_depths[1][usable], true_depths[1][usable])
        return Alignment((reference, generated), "triangulation", int(shared.sum()))
    # The reference's points, seen from the generated view, say what depth that view should have there.
    in_generated = points_depth(worlds[0], rearrange(cameras[1].cam_from_world, "t i j -> t 1 i j"))
    fit = fit_inverse_depth(own_depths[1][shared], in_generated[shared])
    return Alignment((InverseDepthFit(), fit), "reference" if fit.is_known else "nothing", int(shared.sum()))


def triangulated_depths(
    tracks: GivenTracks | None, cameras: tuple[Cameras, Cameras]
) -> tuple[Float[Tensor, " p"], Float[Tensor, " p"]]:
    """Return the z-depths, in each view, of the points that both see and whose rays meet; perhaps none."""
    if tracks is None or not tracks.pixels.numel():
        return torch.zeros(0), torch.zeros(0)
    depths, meets = _triangulated(tracks.pixels, cameras)
    both = meets & tracks.visible.all(dim=0)
    return depths[0][both], depths[1][both]


def _triangulated(
    pixels: Float[Tensor, "2 t n 2"], cameras: tuple[Cameras, Cameras]
) -> tuple[Float[Tensor, "2 t n"], Bool[Tensor, "t n"]]:
    """Return z-depths of where rays meet, and which do so before both cameras at an angle that tells."""
    first, second = cameras
    both = Cameras(
        torch.stack([first.cam_from_world, second.cam_from_world]),
        torch.stack([first.intrinsics, second.intrinsics]),
    )
    pixels = torch.nan_to_num(pixels)
    meeting = meet_rays(pixels, both)
    depths = depth_of_meeting(meeting, both)
    least = torch.sin(torch.deg2rad(meeting.squared_sine.new_tensor(LEAST_ANGLE_DEG))).square()
    # Tracks that went astray have rays that pass each other at a distance.
    gap = torch.linalg.vector_norm(meeting.ends[0] - meeting.ends[1], dim=-1)
    before = (meeting.along > 0).all(dim=0) & (depths > 0).all(dim=0)
    meets = before & (meeting.squared_sine >= least) & (gap <= LARGEST_GAP * depths.amin(dim=0))
    return depths, meets
