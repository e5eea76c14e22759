"""TAPVid-3D: scores of point tracks in the camera frame."""

from typing import Literal

import torch
from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor

from mvt4g.metrics.functional.checks import check_shape
from mvt4g.metrics.functional.tracks import TAPVID_NAMES, TAPVID_PX, check_query_frames, count_tracks, track_scores
from mvt4g.types import InputError

Thresholds = Literal["pixels", "fixed"]
Scaling = Literal["median", "per_trajectory", "none"]
FIXED_CM = (1, 4, 16, 64, 256)
LEAST_DEPTH = 1e-12
THRESHOLD_NAMES = {"pixels": TAPVID_NAMES, "fixed": tuple(f"{threshold}cm" for threshold in FIXED_CM)}


def tapvid_3d(
    target: Float[Tensor, "t n 3"],
    target_visible: Bool[Tensor, "t n"],
    pred: Float[Tensor, "t n 3"],
    pred_visible: Bool[Tensor, "t n"],
    intrinsics: Float[Tensor, "3 3"],
    thresholds: Thresholds = "pixels",
    scaling: Scaling = "median",
    query_frames: Float[Tensor, " n"] | None = None,
    point_valid: Bool[Tensor, " n"] | None = None,
) -> dict[str, Float[Tensor, ""]]:
    """Score the 3D tracks of one video as TAPVid-3D does.

    Every frame is scored, the query's too, as in the benchmark's code. A prediction counts strictly within x pixels
    back-projected to the true depth z, x * z / sqrt(fx * fy) for x = 1, 2, 4, 8, 16, or within fixed distances.

    Args:
        target: Camera frame, metres; what an occluded entry holds does not matter.
        target_visible: Ground truth.
        pred: Camera frame, up to the scale that ``scaling`` removes; NaN is a miss.
        pred_visible: Prediction.
        intrinsics: K, in the pixels that thresholds are meant in.
        thresholds: "pixels", or "fixed" for 1, 4, 16, 64 and 256 cm.
        scaling: Brings predictions to the scale of the truth. "median": ratio of the median distances from the camera
            over entries visible in both; where there is none, no prediction counts. "per_trajectory": ratio of
            depths at each track's query. "none": as given.
        query_frames: Frame of each track's query, for "per_trajectory".
        point_valid: False for padding.

    Returns:
        As ``functional.tracks.tapvid``; with fixed thresholds the keys are ``delta_1cm`` and so on.

    Raises:
        InputError: If shapes do not fit, an option is unknown, or ``query_frames`` is wanted and not given.

    Example:
        >>> import torch
        >>> target = torch.tensor([[[0.0, 0.0, 2.0]], [[0.0, 0.0, 4.0]]])
        >>> seen = torch.ones(2, 1, dtype=torch.bool)
        >>> intrinsics = torch.tensor([[100.0, 0.0, 50.0], [0.0, 100.0, 50.0], [0.0, 0.0, 1.0]])
        >>> scores = tapvid_3d(target, seen, 5 * target, seen, intrinsics)
        >>> scores["delta_1px"], tapvid_3d(target, seen, 5 * target, seen, intrinsics, scaling="none")["delta_1px"]
        (tensor(1., dtype=torch.float64), tensor(0., dtype=torch.float64))

    Source: Koppula et al., TAPVid-3D (arXiv 2407.05921), section 4, and its ``compute_tapvid3d_metrics``.
    """
    sizes = check_shape("target", target, "t n 3")
    check_shape("pred", pred, "t n 3", **sizes)
    for name, flags in (("target_visible", target_visible), ("pred_visible", pred_visible)):
        check_shape(name, flags, "t n", **sizes)
    check_shape("intrinsics", intrinsics, "3 3")
    valid = target_visible.new_ones(sizes["n"]) if point_valid is None else point_valid
    check_shape("point_valid", valid, "n", n=sizes["n"])
    if thresholds not in THRESHOLD_NAMES:
        raise InputError(f"thresholds: got {thresholds!r}, want 'pixels' or 'fixed'")

    target, pred = target.double(), pred.double()
    both_seen = target_visible & pred_visible & valid
    if scaling == "median":
        scale = _median(target[both_seen].norm(dim=-1)) / _median(pred[both_seen].norm(dim=-1))
    elif scaling == "per_trajectory":
        scale = _depth_ratio_at_query(pred, target, query_frames, valid)
    elif scaling == "none":
        scale = pred.new_ones(())
    else:
        raise InputError(f"scaling: got {scaling!r}, want 'median', 'per_trajectory' or 'none'")
    squared = (scale * pred - target).square().sum(dim=-1)
    focal = (intrinsics[0, 0].double() * intrinsics[1, 1].double()).sqrt()

    def is_within(number: int) -> Tensor:
        if thresholds == "fixed":
            return squared < (FIXED_CM[number] / 100) ** 2
        return squared < (TAPVID_PX[number] * target[..., 2] / focal).square()

    counts = count_tracks(is_within, len(TAPVID_PX), target_visible, pred_visible, torch.ones_like(target_visible))
    return track_scores(counts, valid, THRESHOLD_NAMES[thresholds])


def _depth_ratio_at_query(
    pred: Tensor, target: Tensor, query_frames: Tensor | None, valid: Tensor
) -> Float[Tensor, "n 1"]:
    if query_frames is None:
        raise InputError("query_frames: got None, want each track's query frame for per_trajectory scaling")
    check_shape("query_frames", query_frames, "n", n=len(valid))
    check_query_frames(query_frames, len(pred), valid)
    at_query = query_frames.round().long().where(valid, 0)
    true_depth, depth = (
        points[..., 2].take_along_dim(at_query[None], dim=0).clamp(min=LEAST_DEPTH) for points in (target, pred)
    )
    return rearrange(true_depth / depth, "1 n -> n 1")


def _median(values: Float[Tensor, " n"]) -> Float[Tensor, ""]:
    """Return the median of the numbers among them, the mean of the middle two of an even count; NaN of none."""
    ordered = values[~values.isnan()].sort().values
    middle = ordered[(len(ordered) - 1) // 2 : len(ordered) // 2 + 1] if len(ordered) else ordered
    return middle.mean()
