"""How far a target view, warped into the reference by true depth and cameras, is from the reference."""

from dataclasses import replace
from typing import Literal

import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor

from mvt4g.metrics.functional.checks import check_shape, check_view, unit_video
from mvt4g.metrics.functional.warp_error import warp_error
from mvt4g.metrics.per_video import PerVideoMetric
from mvt4g.ranges import check_word
from mvt4g.types import InputError, ViewRecord

Region = Literal["all", "dynamic"]
GEOMETRY = ("depth", "cam_from_world", "intrinsics")


class WarpError(PerVideoMetric):
    """Mean absolute colour error of the target view that true depth and cameras warp into the reference.

    The mean is over the pixels of the reference that both views see, then over videos; a video without such a pixel is
    left out and counted. What the true target view scores is not 0: shading, resampling and edges remain.

    Args:
        region: ``dynamic``: pixels of the reference that show what moves; the key ends with ``_dyn``.
        of_truth: Score the true target view in place of the generated one: the floor that a generated video is to be
            read beside. The key ends with ``_truth``.

    Raises:
        InputError: For another region, and at ``update`` for shapes that do not fit.

    Example:
        >>> import torch
        >>> from mvt4g.types import ViewRecord
        >>> cameras = torch.eye(4).expand(1, 2, 4, 4)
        >>> intrinsics = torch.tensor([[8.0, 0.0, 4.0], [0.0, 8.0, 4.0], [0.0, 0.0, 1.0]]).expand(1, 2, 3, 3)
        >>> view = ViewRecord(torch.zeros(1, 2, 3, 8, 8), torch.ones(1, 2, 8, 8), cameras, intrinsics)
        >>> metric = WarpError()
        >>> metric.update(torch.full((1, 2, 3, 8, 8), 0.25), target=view, reference=view)
        >>> metric.compute()
        tensor(0.2500, dtype=torch.float64)

    Source: ours.
    """

    key = "warp_error"
    higher_is_better = False
    is_differentiable = False
    plot_lower_bound = 0.0
    plot_upper_bound = 1.0

    def __init__(self, region: Region = "all", of_truth: bool = False) -> None:
        super().__init__(["score"])
        check_word("region", region, Region)
        self.region = region
        self.of_truth = of_truth
        if region == "dynamic":
            self.key += "_dyn"
        if of_truth:
            self.key += "_truth"

    @property
    def required_inputs(self) -> frozenset[str]:
        """The arguments that ``update`` cannot do without, by how the metric is built."""
        names = {"reference_video", "target_video" if self.of_truth else "video"}
        for part in GEOMETRY:
            names |= {f"target_{part}", f"reference_{part}"}
        if self.region == "dynamic":
            names.add("reference_dynamic")
        return frozenset(names)

    @torch.no_grad()
    def update(
        self,
        video: Shaped[Tensor, "b t 3 h w"] | None = None,
        target: ViewRecord = ViewRecord(),
        reference: ViewRecord = ViewRecord(),
        valid_frames: Bool[Tensor, "b t"] | None = None,
    ) -> None:
        """Add videos.

        Args:
            video: The generated target view, in [0, 1] or uint8.
            target: Its true depth and cameras, and for ``of_truth`` its true video.
            reference: What it is compared with.
            valid_frames: False for padding; None: all count.

        Raises:
            InputError: If something needed is missing, or shapes disagree.
        """
        named = {"video": video, **target.named("target"), **reference.named("reference")}
        given = {name: value for name, value in named.items() if value is not None}
        if missing := self.required_inputs - given.keys():
            raise InputError(f"{min(missing)}: got nothing, want it for {self.key}")
        scored = given["target_video" if self.of_truth else "video"]
        sizes = check_shape("video", scored, "b t 3 h w")
        frames = {"b": sizes["b"], "t": sizes["t"]}
        check_view("target", target, **sizes)
        size = check_shape("reference_video", given["reference_video"], "b t 3 h w", **frames)
        check_view("reference", reference, **size)
        counted = reference.dynamic if self.region == "dynamic" else None
        if valid_frames is not None:
            check_shape("valid_frames", valid_frames, "b t", **frames)
            there = valid_frames[..., None, None].expand(*valid_frames.shape, size["h"], size["w"])
            counted = there if counted is None else there & counted
        shown = replace(reference, video=unit_video("reference_video", given["reference_video"]))
        scored = unit_video("video", scored)
        error = warp_error(scored, _whole(target), _whole(shown), counted)
        self.add_videos(score=error)

    def compute(self) -> Float[Tensor, ""]:
        """Return the mean over videos in [0, 1], or NaN."""
        return self.mean("score")


def _whole(view: ViewRecord) -> ViewRecord:
    """Return a view whose depth and cameras, which are known, are fp32."""
    return replace(view, **{name: getattr(view, name).float() for name in GEOMETRY})
