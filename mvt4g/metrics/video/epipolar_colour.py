"""Whether a generated view shows the reference's colours where the cameras asked for allow."""

import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor

from mvt4g.metrics.functional.checks import check_shape, check_view, need, unit_video
from mvt4g.metrics.functional.epipolar_colour import epipolar_colour
from mvt4g.metrics.per_video import PerVideoMetric
from mvt4g.types import Cameras, ViewRecord

NEEDED = ("reference_video", "target_cam_from_world", "target_intrinsics", "reference_cam_from_world",
          "reference_intrinsics")  # fmt: skip


class EpipolarColour(PerVideoMetric):
    """Mean absolute colour error of the generated view, warped into the reference by the best depth of every pixel.

    A warp error without true depth, which needs the cameras asked for and nothing else; see the function of this name
    for what it cannot see. The mean is over the reference's pixels that any depth finds in the generated frame, then
    over videos; a video without such a pixel is left out and counted.

    Raises:
        InputError: At ``update``, if something needed is missing or shapes disagree.

    Example:
        >>> import torch
        >>> from mvt4g.types import ViewRecord
        >>> cameras = torch.eye(4).expand(1, 2, 4, 4)
        >>> intrinsics = torch.tensor([[8.0, 0.0, 4.0], [0.0, 8.0, 4.0], [0.0, 0.0, 1.0]]).expand(1, 2, 3, 3)
        >>> view = ViewRecord(torch.zeros(1, 2, 3, 8, 8), None, cameras, intrinsics)
        >>> metric = EpipolarColour()
        >>> metric.update(torch.full((1, 2, 3, 8, 8), 0.25), target=view, reference=view)
        >>> metric.compute()
        tensor(0.2500, dtype=torch.float64)

    Source: ours.
    """

    key = "epipolar_colour"
    higher_is_better = False
    is_differentiable = False
    plot_lower_bound = 0.0
    plot_upper_bound = 1.0
    required_inputs = frozenset({"video", *NEEDED})

    def __init__(self) -> None:
        super().__init__(["score"])

    @torch.no_grad()
    def update(
        self,
        video: Shaped[Tensor, "b t 3 h w"],
        target: ViewRecord = ViewRecord(),
        reference: ViewRecord = ViewRecord(),
        valid_frames: Bool[Tensor, "b t"] | None = None,
    ) -> None:
        """Add videos.

        Args:
            video: The generated view, in [0, 1] or uint8.
            target: The cameras asked for.
            reference: What it was generated from, and its cameras.
            valid_frames: False for padding; None: all count.

        Raises:
            InputError: If something needed is missing, or shapes disagree.
        """
        views = {**target.named("target"), **reference.named("reference")}
        named = need(views, NEEDED, self.key)
        sizes = check_shape("video", video, "b t 3 h w")
        frames = {"b": sizes["b"], "t": sizes["t"]}
        check_view("target", target, **sizes)
        size = check_shape("reference_video", named["reference_video"], "b t 3 h w", **frames)
        check_view("reference", reference, **size)
        if valid_frames is not None:
            check_shape("valid_frames", valid_frames, "b t", **frames)
        pose = torch.stack([named["reference_cam_from_world"], named["target_cam_from_world"]], dim=1)
        intrinsics = torch.stack([named["reference_intrinsics"], named["target_intrinsics"]], dim=1)
        for number in range(len(video)):
            counted = slice(None) if valid_frames is None else valid_frames[number]
            cameras = Cameras(pose[number][:, counted], intrinsics[number][:, counted])
            # Padding may hold anything, and is not looked at.
            generated = unit_video("video", video[number][counted])
            seen = unit_video("reference_video", named["reference_video"][number][counted])
            score = epipolar_colour(generated, seen, cameras)
            self.add_video({"score": score})

    def compute(self) -> Float[Tensor, ""]:
        """Return the mean over videos in [0, 1], or NaN."""
        return self.mean("score")
