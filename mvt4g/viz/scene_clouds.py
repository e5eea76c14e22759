"""Clouds of points of a scene's frames: what its depth maps show, without what floats between two surfaces."""

from dataclasses import dataclass

from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from mvt4g.formats.scene4d import SceneView
from mvt4g.geometry.camera import unproject_pixels
from mvt4g.geometry.pixels import pixel_centres
from mvt4g.geometry.reprojection import smooth_depth
from mvt4g.ranges import ShareBelowOne, check_ranges


@dataclass(frozen=True)
class CloudFilter:
    """Which pixels become points.

    Attributes:
        edges: Leave out pixels on depth edges (``reprojection.smooth_depth``): between two surfaces they float.
        least_confident: Share of the pixels that is left out for the lowest confidence, where there is one; what has
            none at all always is.
    """

    edges: bool = True
    least_confident: ShareBelowOne = 0.1

    def __post_init__(self) -> None:
        """Check the range.

        Raises:
            InputError: If a share is not in [0, 1).
        """
        check_ranges(self, "filter")


@dataclass(frozen=True)
class Cloud:
    """Points of one frame.

    Attributes:
        points: World frame.
        colours: Of the video.
    """

    points: Float[Tensor, "p 3"]
    colours: UInt8[Tensor, "p 3"]


def kept_pixels(view: SceneView, frame: int, rule: CloudFilter = CloudFilter()) -> Bool[Tensor, "h w"]:
    """Return which pixels of a frame become points."""
    depth = view.depth[frame]
    kept = smooth_depth(depth) if rule.edges else depth > 0
    if view.confidence is not None:
        kept = kept & (view.confidence[frame] > 0) & (view.confidence[frame] >= least_confidence(view, rule))
    return kept


def least_confidence(view: SceneView, rule: CloudFilter) -> float:
    """Return the confidence under which pixels are left out, of all frames together; 0 where all are alike."""
    if view.confidence is None:
        return 0.0
    sure = view.confidence[(view.depth > 0) & (view.confidence > 0)]
    if not sure.numel():
        return 0.0
    num_left_out = int(rule.least_confident * sure.numel())
    return float(sure.kthvalue(num_left_out + 1).values)


def frame_cloud(view: SceneView, frame: int, rule: CloudFilter = CloudFilter()) -> Cloud:
    """Return the points of one frame of a view, row by row."""
    kept = kept_pixels(view, frame, rule)
    pixels = pixel_centres(*kept.shape)[kept]
    camera = view.cameras[frame]
    points = unproject_pixels(pixels, view.depth[frame][kept], camera.cam_from_world, camera.intrinsics)
    return Cloud(points, view.video[frame][kept])
