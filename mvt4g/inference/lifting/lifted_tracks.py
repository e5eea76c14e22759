"""Tracks of both views lifted to the world, each by its own view's depth."""

import torch
from einops import rearrange
from jaxtyping import Bool, Float, Int
from torch import Tensor

from mvt4g.formats.scene4d import SceneTracks
from mvt4g.geometry.camera import points_depth
from mvt4g.geometry.surface_lifting import lift_on_surface
from mvt4g.inference.lifting.lift_input import GivenTracks
from mvt4g.types import Cameras


def lift_tracks(
    tracks: GivenTracks,
    depths: tuple[Float[Tensor, "t h w"], Float[Tensor, "t h2 w2"]],
    cameras: tuple[Cameras, Cameras],
    instances: tuple[Int[Tensor, "t h w"], Int[Tensor, "t h2 w2"]] | None = None,
    point_instance: Int[Tensor, " n"] | None = None,
    fill_hidden: bool = True,
) -> SceneTracks:
    """Lift what is visible; what is hidden lies linearly between the seen positions about it, or is NaN.

    Args:
        tracks: In pixels of each view's video.
        depths: Of each view, 0 = none.
        cameras: Of each view, in one world.
        instances: Ids of the pixels of each view.
        point_instance: Ids of the points; both or none.
        fill_hidden: False leaves hidden points NaN. Before a point is first seen and after it is last seen it is NaN.
    """
    worlds = []
    lifted = []
    for view, (depth, camera) in enumerate(zip(depths, cameras, strict=True)):
        ids = None if instances is None else instances[view]
        world, known = lift_on_surface(
            tracks.pixels[view], depth, camera.cam_from_world, camera.intrinsics, ids, point_instance
        )
        seen = known & tracks.visible[view]
        world = torch.where(seen[..., None], world, torch.nan)
        worlds.append(_between_seen(world, seen) if fill_hidden else world)
        lifted.append(seen)
    return SceneTracks(tracks.pixels, torch.stack(worlds), tracks.visible, torch.stack(lifted))


def disagreement(tracks: SceneTracks, cameras: Cameras) -> tuple[float, int]:
    """Return how far apart the positions of points that both views see are, and of how many points and times.

    Args:
        tracks: Lifted.
        cameras: Of the reference.

    Returns:
        The median distance as a share of the depth in the reference, NaN over nothing; and the number.
    """
    both = tracks.lifted.all(dim=0)
    depth = points_depth(tracks.world[0], rearrange(cameras.cam_from_world, "t i j -> t 1 i j"))
    apart = (tracks.world[0] - tracks.world[1]).norm(dim=-1) / depth
    count = int(both.sum())
    return (float(apart[both].median()) if count else float("nan")), count


def _between_seen(world: Float[Tensor, "t n 3"], seen: Bool[Tensor, "t n"]) -> Float[Tensor, "t n 3"]:
    """Fill frames between two seen ones by a straight line in time."""
    num_frames = len(world)
    frames = torch.arange(num_frames)[:, None]
    # The last seen frame up to each frame, and the first one from it on.
    before = torch.where(seen, frames, -1).cummax(dim=0).values
    after = torch.where(seen, frames, num_frames).flip(0).cummin(dim=0).values.flip(0)
    between = (before >= 0) & (after < num_frames)
    start = before.clamp(min=0)
    end = after.clamp(max=num_frames - 1)
    share = (frames - start) / (end - start).clamp(min=1)
    first = world.gather(0, start[..., None].expand(-1, -1, 3))
    last = world.gather(0, end[..., None].expand(-1, -1, 3))
    filled = first + share[..., None] * (last - first)
    filled = torch.where(between[..., None], filled, torch.nan)
    return torch.where(seen[..., None], world, filled)
