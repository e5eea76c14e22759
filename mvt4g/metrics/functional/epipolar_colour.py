"""Whether a generated view shows the reference's colours where the cameras asked for allow: no truth and no tracks.

The videos are synchronous: what a pixel of the reference shows lies on its epipolar line in the generated frame of the
same time. How far along the line is a matter of depth, which is not known, so that every depth is tried and the best
counts. The score is a warp error without true depth, and never more than what the best depth leaves.

What it cannot see: a wrong depth whose place has the same colours, as in a scene without texture; what the reference
does not show. A copy of the reference scores well where the cameras asked for hardly differ. The colours of a window
must fit as a whole, so that a smear of the right mean colour does not do.
"""

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional as F

from mvt4g.geometry.epipolar import NO_BASELINE
from mvt4g.geometry.warp import warp_by_depth
from mvt4g.metrics.functional.checks import check_shape
from mvt4g.types import REFERENCE, TARGET, Cameras

WORK_WIDTH = 64
"""Wider videos are reduced to so many columns: windows are large, and a fine detail would decide nothing."""
WINDOW_SHARE = 5 / 16
"""Side of the windows whose colours must fit, in widths of the video."""
PLANE_STEP_PX = 2.0
"""By how much two neighbouring depths differ in the generated frame, near its middle."""
NEAREST = 1.3
"""Largest baseline over depth that is tried: depths from 0.77 baselines to infinity."""
FRAMES_AT_ONCE = 648
"""Depths times frames that are tried together: 8 depths of 81 frames, whose pictures take 20 MB."""
LEAST_SEEN = 0.3
"""Share of a window that the generated frame must show at a depth for the depth to count."""


@torch.no_grad()
def epipolar_colour(
    video: Float[Tensor, "t 3 h w"],
    reference: Float[Tensor, "t 3 h2 w2"],
    cameras: Cameras,
) -> Float[Tensor, ""]:
    """Return the mean absolute colour error at the best depth of every pixel of the reference, lower is better.

    At each depth the generated frame is warped into the reference, and the error is the mean over a window, of the
    part that the frame shows. Each pixel takes its best depth; the mean is over the pixels that any depth finds in the
    generated frame, and over time.

    Args:
        video: The generated view, in [0, 1].
        reference: What it was generated from, in [0, 1].
        cameras: (2 t), of the reference and those asked for; K in pixels of the reference and of the video.

    Returns:
        In [0, 1], fp64; NaN where the generated frames show nothing that the reference sees.

    Raises:
        InputError: If shapes do not fit.

    Source: ours; the search is plane-sweep stereo (Collins, CVPR 1996).
    """
    frames = check_shape("video", video, "t 3 h w")["t"]
    check_shape("reference", reference, "t 3 h w", t=frames)
    check_shape("cameras.cam_from_world", cameras.cam_from_world, "v t 4 4", v=2, t=frames)
    check_shape("cameras.intrinsics", cameras.intrinsics, "v t 3 3", v=2, t=frames)
    if not frames:
        return torch.full((), torch.nan, dtype=torch.float64, device=video.device)
    seen, lens = _reduced(reference, cameras.intrinsics[REFERENCE])
    generated, target_lens = _reduced(video, cameras.intrinsics[TARGET])
    pose = cameras.cam_from_world.double()
    baseline = _baseline(pose)
    height, width = seen.shape[-2:]
    best = torch.full((frames, height, width), torch.inf, dtype=seen.dtype, device=seen.device)
    parallaxes = _parallaxes(target_lens).to(baseline)
    for some in parallaxes.split(max(1, FRAMES_AT_ONCE // frames)):
        # Where both cameras have one centre every depth gives the same picture.
        depth = torch.where(baseline > NO_BASELINE, baseline / some[:, None].clamp(min=1e-6), 1.0).to(seen.dtype)
        planes = len(some)
        warped, valid = warp_by_depth(
            source=generated.expand(planes, -1, -1, -1, -1),
            source_depth=None,
            depth=depth[..., None, None].expand(planes, frames, height, width),
            cam_from_world=pose[REFERENCE].to(seen.dtype).expand(planes, frames, 4, 4),
            intrinsics=lens.expand(planes, frames, 3, 3),
            source_cam_from_world=pose[TARGET].to(seen.dtype).expand(planes, frames, 4, 4),
            source_intrinsics=target_lens.expand(planes, frames, 3, 3),
        )
        error = _over_windows((warped - seen).abs().mean(dim=2), valid)
        best = torch.minimum(best, error.amin(dim=0))
    found = best.isfinite()
    return best[found].double().mean()


def _reduced(
    video: Float[Tensor, "t 3 h w"], intrinsics: Float[Tensor, "t 3 3"]
) -> tuple[Float[Tensor, "t 3 h2 w2"], Float[Tensor, "t 3 3"]]:
    """Return a video at most ``WORK_WIDTH`` wide in fp32, and its K."""
    height, width = video.shape[-2:]
    lens = intrinsics.float()
    if width <= WORK_WIDTH:
        return video.float(), lens
    size = (max(1, round(height * WORK_WIDTH / width)), WORK_WIDTH)
    small = F.interpolate(video.float(), size=size, mode="area")
    # Pixel centres are at i + 0.5: resizing is a pure scale.
    scale = lens.new_tensor([size[1] / width, size[0] / height, 1.0])
    return small, scale[:, None] * lens


def _baseline(pose: Float[Tensor, "2 t 4 4"]) -> Float[Tensor, " t"]:
    target_from_reference = pose[TARGET] @ torch.linalg.inv(pose[REFERENCE])
    return torch.linalg.vector_norm(target_from_reference[:, :3, 3], dim=-1)


def _parallaxes(intrinsics: Float[Tensor, "t 3 3"]) -> Float[Tensor, " p"]:
    """Return the tried values of baseline over depth, 0 = infinitely far, about ``PLANE_STEP_PX`` apart."""
    focal_px = float(intrinsics[:, 0, 0].mean())
    count = max(1, math.ceil(NEAREST * focal_px / PLANE_STEP_PX))
    return torch.linspace(0.0, NEAREST, count + 1)


def _over_windows(error: Float[Tensor, "p t h w"], valid: Bool[Tensor, "p t h w"]) -> Float[Tensor, "p t h w"]:
    """Return the mean error of the valid pixels around each pixel; infinite where it or most of them are not valid."""
    reach = max(1, round(WINDOW_SHARE * error.shape[-1] / 2))
    side = 2 * reach + 1
    counted = valid.to(error.dtype)

    def mean(values: Float[Tensor, "p t h w"]) -> Float[Tensor, "p t h w"]:
        # Rows, then columns: over the part of the window within the image, so that a corner has no less of it.
        across = F.avg_pool2d(values, (1, side), stride=1, padding=(0, reach), count_include_pad=False)
        return F.avg_pool2d(across, (side, 1), stride=1, padding=(reach, 0), count_include_pad=False)

    total = mean(error * counted)
    share = mean(counted)
    enough = valid & (share > LEAST_SEEN)
    return torch.where(enough, total / share.clamp(min=1e-6), torch.inf)
