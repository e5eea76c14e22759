"""Which points of a scene are tracked and when they count as seen, all values."""

from dataclasses import dataclass
from typing import Literal

from mvt4g.ranges import Points, Share, ShareBelowOne, Side, check_ranges
from mvt4g.types import InputError

Budget = Literal["equal", "kubric", "motion"]
Facing = Literal["surface", "smooth"]


@dataclass(frozen=True)
class PointSpec:
    """The tracked points.

    ``budget`` says how ``count`` is shared out. ``"equal"``: ``foreground`` of it over the objects, alike for each,
    from any pixel. ``"kubric"``: over objects and background by Kubric's rule, from a grid of pixels. ``"motion"``:
    MVTracker's mix, a quarter of the points on what moves far, half on what moves, a quarter on what rests.

    ``facing`` says when a surface that faces away hides its points: ``"surface"`` always, which is true of a solid;
    ``"smooth"`` as Kubric, only where the normals about the pixel a point was drawn from are alike (its normals are
    interpolated and cannot be trusted elsewhere; ours are those of the mesh that is drawn). A surface that faces away
    already where its point was drawn hides nothing, as in Kubric.

    Attributes:
        count: Points a clip; padded (``point_valid`` False) only where a scene shows fewer pixels than that.
        foreground: Share of them on objects, for ``"equal"``.
        depth_tolerance: A point is hidden when all depths about it are nearer than (1 - this) times its own.
        budget: How they are shared out.
        foreground_only: No point on the background (MV-TAP), whatever the budget.
        grid_stride: Pixels and frames from one candidate to the next, for ``"kubric"`` and ``"motion"``.
        facing: When the surface's direction hides.
    """

    count: Points = 128
    foreground: Share = 0.5
    depth_tolerance: ShareBelowOne = 0.01
    budget: Budget = "equal"
    foreground_only: bool = False
    grid_stride: Side = 4
    facing: Facing = "surface"

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            InputError: If a share is not in [0, 1], the tolerance not in [0, 1), or the stride below 1.
        """
        check_ranges(self, "scene.points")
        if not 0 <= self.foreground <= 1 or not 0 <= self.depth_tolerance < 1 or self.grid_stride < 1:
            got = f"{self.foreground}, {self.depth_tolerance}, {self.grid_stride}"
            want = "in [0, 1], in [0, 1), at least 1"
            raise InputError(f"scene.points.foreground, depth_tolerance, grid_stride: got {got}, want {want}")
