"""How well a generated view keeps to the cameras asked for, from tracks alone: no true view is needed.

The reference and the generated video are synchronous: at one time every point, moving or not, lies on the epipolar
line of its match. Tracks of the same points in both views therefore tell how far the generated video is from
geometry.

A *pair* is a point at a time at which both views show it. Distances are in pixels of an image 512 wide. A score over
nothing is NaN, never 0.

- ``epipolar_px``, of static points ``epipolar_px_static``, of dynamic ones ``epipolar_px_dynamic``: median over pairs
  of Sampson's distance, lower is better. Where both cameras have one centre, it is the distance to the one place
  where the point must be.
- ``cycle_px``: median over points of how far they come back from their query, lower is better.
- ``survival``: pairs over all (time, point) at which the reference shows the point.
- ``confident``: share of the pairs of which both positions have a confidence over 0.6.
- ``depth_positive``: share of the pairs whose rays meet before both cameras, out of those whose rays have an angle of
  at least 0.1 degrees.
- ``depth_jitter``: acceleration in the world of such a meeting point as a share of its distance, median over all that
  are there at three times in a row; lower is better.
- ``num_pairs``: how many pairs there are.

What the score cannot see: anything that is not tracked; a point that slides along its epipolar line, as a wrong depth
makes it do (``depth_positive`` and ``depth_jitter`` see some of that); content. A still video seen by a still camera,
and a copy of the reference where the cameras asked for hardly differ, score as well as a true view. A copy under
cameras that do differ is off its lines.
"""

import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor

from mvt4g.geometry.epipolar import NO_BASELINE, epipolar_distance
from mvt4g.geometry.triangulation import meet_rays
from mvt4g.metrics.functional.checks import check_shape
from mvt4g.types import REFERENCE, TARGET, Cameras, InputError

SCORE_WIDTH = 512
"""Width of the image that distances are given in pixels of."""
CONFIDENT_ABOVE = 0.6
"""MV-TAP's line between points that are sure and those that are not."""
LEAST_ANGLE_DEG = 0.1
"""Angle between the two rays of a pair under which a depth would be noise."""


def geometry_score(
    tracks: Float[Tensor, "2 t n 2"],
    visible: Bool[Tensor, "2 t n"],
    cameras: Cameras,
    image_size: tuple[int, int],
    dynamic: Bool[Tensor, " n"] | None = None,
    confidence: Float[Tensor, "2 t n"] | None = None,
    cycle_px: Float[Tensor, " n"] | None = None,
) -> dict[str, Float[Tensor, ""]]:
    """Score one generated video by the tracks of its points in the reference and in it; see the module for each score.

    Args:
        tracks: Pixels (x, y) in the reference (0) and the generated video (1); what is not finite makes no pair.
        visible: True where a point is seen.
        cameras: (2 t), those asked for; K in pixels of the videos.
        image_size: (height, width) of the videos.
        dynamic: True on points that move of their own; None = unknown.
        confidence: In [0, 1], of every position; None = unknown.
        cycle_px: Of every point, how far it comes back from its query after being carried to the other view and back,
            pixels of the videos; NaN = it did not come back. None = unknown.

    Raises:
        InputError: If shapes do not fit, or the image has no size.

    Example:
        >>> import torch
        >>> intrinsics = torch.tensor([[512.0, 0.0, 256.0], [0.0, 512.0, 256.0], [0.0, 0.0, 1.0]]).expand(2, 1, 3, 3)
        >>> cam_from_world = torch.eye(4).repeat(2, 1, 1, 1)
        >>> cam_from_world[1, :, 0, 3] = -1.0  # to the right: lines are rows
        >>> tracks = torch.tensor([[[[300.0, 200.0]]], [[[200.0, 206.0]]]])
        >>> score = geometry_score(tracks, torch.ones(2, 1, 1).bool(), Cameras(cam_from_world, intrinsics), (512, 512))
        >>> round(float(score["epipolar_px"]), 4)  # both rows move by half the gap: 6 / sqrt(2)
        4.2426

    Source: Sampson's distance as in Hartley & Zisserman, Multiple View Geometry (2nd ed.), Eq. 11.9; the rest is ours.
    """
    _check(tracks, visible, cameras, image_size, dynamic, confidence, cycle_px)
    scale = SCORE_WIDTH / image_size[1]
    shown = visible & tracks.isfinite().all(dim=-1)
    pair = shown.all(dim=0)
    pixels = torch.where(pair[..., None], tracks, 0.0)
    distance = scale * _distance(pixels, cameras)
    positive, jitter = _depth(pixels, pair, cameras)
    nothing = _median(distance[:0])
    confident = nothing
    if confidence is not None:
        # A pair is as sure as the less sure of its two positions.
        confident = _share_over(confidence.amin(dim=0)[pair], CONFIDENT_ABOVE)
    return {
        "epipolar_px": _median(distance[pair]),
        "epipolar_px_static": nothing if dynamic is None else _median(distance[pair & ~dynamic]),
        "epipolar_px_dynamic": nothing if dynamic is None else _median(distance[pair & dynamic]),
        "cycle_px": nothing if cycle_px is None else _median(scale * cycle_px[cycle_px.isfinite()]),
        "survival": pair.sum() / shown[REFERENCE].sum().double(),
        "confident": confident,
        "depth_positive": positive,
        "depth_jitter": jitter,
        "num_pairs": pair.sum().double(),
    }


def _check(
    tracks: Shaped[Tensor, "..."],
    visible: Shaped[Tensor, "..."],
    cameras: Cameras,
    image_size: tuple[int, int],
    dynamic: Shaped[Tensor, "..."] | None,
    confidence: Shaped[Tensor, "..."] | None,
    cycle_px: Shaped[Tensor, "..."] | None,
) -> None:
    sizes = check_shape("tracks", tracks, "v t n 2", v=2)
    check_shape("visible", visible, "v t n", **sizes)
    check_shape("cameras.cam_from_world", cameras.cam_from_world, "v t 4 4", v=2, t=sizes["t"])
    check_shape("cameras.intrinsics", cameras.intrinsics, "v t 3 3", v=2, t=sizes["t"])
    if confidence is not None:
        check_shape("confidence", confidence, "v t n", **sizes)
    for name, of_points in (("dynamic", dynamic), ("cycle_px", cycle_px)):
        if of_points is not None:
            check_shape(name, of_points, "n", n=sizes["n"])
    if min(image_size) < 1:
        raise InputError(f"image_size: got {image_size}, want (height, width), both positive")


def _distance(pixels: Float[Tensor, "2 t n 2"], cameras: Cameras) -> Float[Tensor, "t n"]:
    """Return Sampson's distance between the two views at each time, pixels of the videos."""
    pose = cameras.cam_from_world.double()
    intrinsics = cameras.intrinsics
    target_from_reference = pose[TARGET] @ torch.linalg.inv(pose[REFERENCE])
    return epipolar_distance(
        pixels[REFERENCE], pixels[TARGET], intrinsics[REFERENCE], intrinsics[TARGET], target_from_reference
    )


def _depth(
    pixels: Float[Tensor, "2 t n 2"], pair: Bool[Tensor, "t n"], cameras: Cameras
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """Return which share of pairs meet before both cameras, and how much the meeting points shake.

    The meeting point is the middle of the shortest way between the two rays.
    """
    meeting = meet_rays(pixels, cameras)
    of_reference, of_target = meeting.along
    least = torch.sin(torch.deg2rad(meeting.squared_sine.new_tensor(LEAST_ANGLE_DEG))).square()
    measured = pair & (meeting.squared_sine >= least) & (meeting.baseline > NO_BASELINE)
    positive = measured & (of_reference > 0) & (of_target > 0)
    point = meeting.point
    steady = positive[:-2] & positive[1:-1] & positive[2:]
    acceleration = torch.linalg.vector_norm(point[:-2] - 2 * point[1:-1] + point[2:], dim=-1)
    shaking = acceleration[steady] / of_reference[1:-1][steady]
    return positive.sum() / measured.sum().double(), _median(shaking)


def _median(values: Float[Tensor, "..."]) -> Float[Tensor, ""]:
    """Return the median in float64, the mean of the middle two; NaN of nothing."""
    if not values.numel():
        return values.new_full((), torch.nan, dtype=torch.float64)
    ordered = values.double().flatten().sort().values
    # By hand, since torch's quantile makes NaN of two infinite neighbours.
    return (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2


def _share_over(values: Float[Tensor, " p"], threshold: float) -> Float[Tensor, ""]:
    return (values > threshold).double().mean()
