"""TAPVid-3D: scores of point tracks in the camera frame."""

from typing import Literal

import torch
from einops import rearrange
from jaxtyping import Bool, Float, Shaped
from torch import Tensor

from mvt4g.metrics.functional.checks import check_shape
from mvt4g.metrics.functional.tracks import TAPVID_NAMES, TAPVID_PX, check_query_frames, count_tracks, track_scores
from mvt4g.ranges import check_word
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
        pred: As ``target``, up to the scale that ``scaling`` removes; NaN is a miss.
        intrinsics: K, in the pixels that thresholds are meant in.
        thresholds: "pixels", or "fixed" for 1, 4, 16, 64 and 256 cm.
        scaling: "median" scales by the ratio of the median distances from the camera of entries visible in both (where
            there is none, no prediction counts), "per_trajectory" by the ratio of depths at each track's query.
        query_frames: Frame of each track's query, for "per_trajectory".
        point_valid: False for padding.

    Returns:
        As ``functional.tracks.tapvid``; keys of fixed thresholds are as ``delta_1cm``.

    Raises:
        InputError: If shapes do not fit, an option is unknown, or ``query_frames`` is wanted and not given.

    Example:
        >>> import torch
        >>> target = torch.tensor([[[0.0, 0.0, 2.0]], [[0.0, 0.0, 4.0]]])
        >>> seen = torch.ones(2, 1, dtype=torch.bool)
        >>> tapvid_3d(target, seen, 5 * target, seen, torch.eye(3))["delta_1px"]
        tensor(1., dtype=torch.float64)

    Source: Koppula et al., TAPVid-3D (arXiv 2407.05921), section 4, and its ``compute_tapvid3d_metrics``.
    """
    sizes = check_shape("target", target, "t n 3")
    check_shape("pred", pred, "t n 3", **sizes)
    check_shape("target_visible", target_visible, "t n", **sizes)
    check_shape("pred_visible", pred_visible, "t n", **sizes)
    check_shape("intrinsics", intrinsics, "3 3")
    valid = target_visible.new_ones(sizes["n"]) if point_valid is None else point_valid
    check_shape("point_valid", valid, "n", n=sizes["n"])
    check_options(thresholds, scaling)
    target, pred = target.double(), pred.double()
    both_seen = target_visible & pred_visible & valid
    if scaling == "median":
        pred = pred * _median_ratio(target[both_seen], pred[both_seen])
    elif scaling == "per_trajectory":
        pred = pred * _depth_ratio_at_query(target, pred, query_frames, valid)
    squared = (pred - target).square().sum(dim=-1)
    allowed = _radii(thresholds, target[..., 2], intrinsics.double()).square()
    scored = torch.ones_like(target_visible)
    counts = count_tracks(lambda i: squared < allowed[i], len(allowed), target_visible, pred_visible, scored)
    return track_scores(counts, valid, THRESHOLD_NAMES[thresholds])


def check_options(thresholds: str, scaling: str) -> None:
    """Raise an InputError if an option is unknown."""
    check_word("thresholds", thresholds, Thresholds)
    check_word("scaling", scaling, Scaling)


def _radii(
    thresholds: Thresholds,
    depth: Float[Tensor, "t n"],
    intrinsics: Float[Tensor, "3 3"],
) -> Float[Tensor, "5 #t #n"]:
    if thresholds == "fixed":
        return rearrange(depth.new_tensor(FIXED_CM) / 100, "x -> x 1 1")
    # TAPVid-3D's focal length is the geometric mean of both.
    focal = (intrinsics[0, 0] * intrinsics[1, 1]).sqrt()
    return rearrange(depth.new_tensor(TAPVID_PX), "x -> x 1 1") * depth / focal


def _depth_ratio_at_query(
    target: Float[Tensor, "t n 3"],
    pred: Float[Tensor, "t n 3"],
    query_frames: Shaped[Tensor, "..."] | None,
    valid: Bool[Tensor, " n"],
) -> Float[Tensor, "n 1"]:
    if query_frames is None:
        raise InputError("query_frames: got None, want each track's query frame for per_trajectory scaling")
    check_shape("query_frames", query_frames, "n", n=len(valid))
    check_query_frames(query_frames, len(pred), valid)
    at_query = query_frames.round().long().where(valid, 0)
    true_depth = target[..., 2].take_along_dim(at_query[None], dim=0).clamp(min=LEAST_DEPTH)
    depth = pred[..., 2].take_along_dim(at_query[None], dim=0).clamp(min=LEAST_DEPTH)
    return rearrange(true_depth / depth, "1 n -> n 1")


def _median_ratio(target: Float[Tensor, "m 3"], pred: Float[Tensor, "m 3"]) -> Float[Tensor, ""]:
    """Ratio of the median norms; a median is the mean of the middle two of an even count, NaN of none."""
    medians = []
    for norms in (target.norm(dim=-1), pred.norm(dim=-1)):
        ordered = norms[~norms.isnan()].sort().values
        # The middle two of an even count, the middle one twice of an odd one, nothing of none.
        middle = slice(max(len(ordered) - 1, 0) // 2, len(ordered) // 2 + 1)
        medians.append(ordered[middle].mean())
    return medians[0] / medians[1]
