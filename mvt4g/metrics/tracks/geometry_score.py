"""How well generated views keep to the cameras asked for, by tracks of the same points in reference and video."""

import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor

from mvt4g.metrics.functional.checks import check_shape, need
from mvt4g.metrics.functional.geometry_score import geometry_score
from mvt4g.metrics.per_video import PerVideoMetric
from mvt4g.types import Cameras, ViewRecord

COLUMNS = (
    "epipolar_px", "epipolar_px_static", "epipolar_px_dynamic", "cycle_px", "survival", "confident", "depth_positive",
    "depth_jitter", "num_pairs",
)  # fmt: skip
"""As the function of this name returns them."""
CAMERAS = ("reference_cam_from_world", "target_cam_from_world", "reference_intrinsics", "target_intrinsics")


class GeometryScore(PerVideoMetric):
    """The scores of ``metrics.functional.geometry_score``, which says what each means and what none of them sees.

    No true target view is needed: tracks through reference and generated video, and the cameras asked for. Each score
    is of one video, then the mean over the videos that have it; ``num_missing`` counts those that have no pair at all,
    and ``num_pairs`` all pairs.

    Raises:
        InputError: At ``update``, if cameras are missing or shapes disagree.

    Example:
        >>> import torch
        >>> from mvt4g.types import ViewRecord
        >>> intrinsics = torch.tensor([[512.0, 0.0, 256.0], [0.0, 512.0, 256.0], [0.0, 0.0, 1.0]]).expand(1, 1, 3, 3)
        >>> reference = ViewRecord(cam_from_world=torch.eye(4).expand(1, 1, 4, 4), intrinsics=intrinsics)
        >>> moved = torch.eye(4).repeat(1, 1, 1, 1)
        >>> moved[..., 0, 3] = -1.0  # to the right: lines are rows
        >>> target = ViewRecord(cam_from_world=moved, intrinsics=intrinsics)
        >>> tracks = torch.tensor([[[[[300.0, 200.0]]], [[[200.0, 206.0]]]]])
        >>> metric = GeometryScore()
        >>> metric.update(torch.zeros(1, 1, 3, 512, 512), tracks, torch.ones(1, 2, 1, 1).bool(), target, reference)
        >>> round(float(metric.compute()["epipolar_px"]), 4)
        4.2426

    Source: ours.
    """

    key = "geometry"
    higher_is_better = None
    is_differentiable = False
    plot_lower_bound = 0.0
    required_inputs = frozenset({"video", "tracks", "visible", *CAMERAS})

    def __init__(self) -> None:
        super().__init__(COLUMNS)

    @torch.no_grad()
    def update(
        self,
        video: Shaped[Tensor, "b t 3 h w"],
        tracks: Float[Tensor, "b v t q 2"],
        visible: Bool[Tensor, "b v t q"],
        target: ViewRecord = ViewRecord(),
        reference: ViewRecord = ViewRecord(),
        confidence: Float[Tensor, "b v t q"] | None = None,
        cycle_px: Float[Tensor, "b q"] | None = None,
        point_dynamic: Bool[Tensor, "b q"] | None = None,
    ) -> None:
        """Add videos.

        Args:
            video: The generated view, whose size alone counts.
            tracks: Pixels (x, y) in the reference and in it; NaN = not known.
            visible: True where a point is seen.
            target: The cameras asked for.
            reference: Its cameras, in the same world.
            confidence: Of every position, in [0, 1]; None = unknown.
            cycle_px: How far each point comes back from its query, pixels; NaN = it did not. None = unknown.
            point_dynamic: True on points that move of their own; None = unknown.

        Raises:
            InputError: If cameras are missing, or shapes disagree.
        """
        views = {**target.named("target"), **reference.named("reference")}
        named = need(views, CAMERAS, self.key)
        sizes = check_shape("video", video, "b t 3 h w")
        known = {"b": sizes["b"], "t": sizes["t"], "v": 2}
        known |= check_shape("tracks", tracks, "b v t q 2", **known)
        check_shape("visible", visible, "b v t q", **known)
        for name in CAMERAS:
            side = "4 4" if name.endswith("world") else "3 3"
            check_shape(name, named[name], f"b t {side}", b=sizes["b"], t=sizes["t"])
        of_points = {"confidence": ("b v t q", confidence), "cycle_px": ("b q", cycle_px)}
        of_points["point_dynamic"] = ("b q", point_dynamic)
        for name, (axes, value) in of_points.items():
            if value is not None:
                check_shape(name, value, axes, **known)
        pose = torch.stack([named["reference_cam_from_world"], named["target_cam_from_world"]], dim=1)
        intrinsics = torch.stack([named["reference_intrinsics"], named["target_intrinsics"]], dim=1)
        for number in range(len(video)):
            scores = geometry_score(
                tracks[number].float(),
                visible[number],
                Cameras(pose[number], intrinsics[number]),
                (sizes["h"], sizes["w"]),
                None if point_dynamic is None else point_dynamic[number],
                None if confidence is None else confidence[number].float(),
                None if cycle_px is None else cycle_px[number].float(),
            )
            self.add_video(scores)

    def compute(self) -> dict[str, Float[Tensor, ""]]:
        """Return the mean of each score over the videos that have it, or NaN, and the counts."""
        found = self.means([name for name in COLUMNS if name != "num_pairs"])
        found["num_pairs"] = self.total("num_pairs")
        found["num_missing"] = self.num_missing("epipolar_px")
        return found
