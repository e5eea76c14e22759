"""A camera's pose from points of known position and their pixels, some of them wrong: P3P, RANSAC, refinement."""

from dataclasses import dataclass

import torch
from einops import einsum
from jaxtyping import Bool, Float
from torch import Tensor

from mvt4g.geometry.camera import pixel_rays
from mvt4g.geometry.p3p import p3p
from mvt4g.geometry.pose import rotate, transform_points
from mvt4g.geometry.twist import apply_twist, projection_jacobian, twist_deviation
from mvt4g.types import InputError

MIN_POINTS = 4
"""Three points leave up to four poses, the fourth chooses."""
SAMPLE = 4
REFINED = 4
"""Best hypotheses of a frame that are refined."""
REFINEMENT_STEPS = 20
FINEST_NOISE_PX = 0.1
"""No track is taken to be better than this when the spread of a pose is worked out."""
MIN_DEPTH = 1e-4
MAX_ELEMENTS = 2**22
"""Residuals held at once; bounds memory."""


@dataclass(frozen=True)
class AbsolutePose:
    """Fitted cameras, and what tells whether to believe them. A frame of too few points has no inlier.

    Attributes:
        cam_from_world: Takes the points' frame to the camera, fp64; the identity where nothing could be fitted.
        inliers: Points in front of the camera whose reprojection error is under the threshold.
        residual_px: Root mean square distance of inliers; NaN without any.
        rotation_deviation_deg: Standard deviation that the inliers' number, noise and layout leave; infinite or huge
            where they do not determine the pose (on a line, too few).
        position_deviation: The same of the camera's centre, as a share of the inliers' mean depth.
    """

    cam_from_world: Float[Tensor, "t 4 4"]
    inliers: Bool[Tensor, "t n"]
    residual_px: Float[Tensor, " t"]
    rotation_deviation_deg: Float[Tensor, " t"]
    position_deviation: Float[Tensor, " t"]


def absolute_pose(
    pixels: Float[Tensor, "t n 2"],
    points_world: Float[Tensor, "t n 3"],
    usable: Bool[Tensor, "t n"],
    intrinsics: Float[Tensor, "t 3 3"],
    generator: torch.Generator,
    threshold_px: float | int = 2.0,
    num_hypotheses: int = 256,
) -> AbsolutePose:
    """Fit the camera of every frame on its own: RANSAC over P3P, then Levenberg-Marquardt on reprojection errors.

    Args:
        pixels: Where the points are seen; NaN or infinite ones are left out.
        points_world: As ``pixels``.
        usable: False leaves a point out of a frame.
        intrinsics: K, in pixels.
        generator: Source of all randomness; the same seed gives the same poses.
        threshold_px: Reprojection error up to which a point agrees.
        num_hypotheses: Samples of four points a frame; 256 find one without an outlier in 95 % of frames of 67 %
            outliers, and always to three decimals at 50 %.

    Raises:
        InputError: If the threshold is not positive or there is no hypothesis.

    Source: Fischler & Bolles 1981 (RANSAC); Torr & Zisserman 2000 (MSAC score).
    """
    if not threshold_px > 0 or num_hypotheses < 1:
        raise InputError(f"threshold_px, num_hypotheses: got {threshold_px}, {num_hypotheses}, want both over 0")
    pixels = pixels.double()
    points_world = points_world.double()
    intrinsics = intrinsics.double()
    usable = usable & pixels.isfinite().all(dim=-1) & points_world.isfinite().all(dim=-1)
    # What is left out must be finite all the same: a weight of 0 does not silence NaN.
    pixels = torch.where(usable[..., None], pixels, 0.0)
    points_world = torch.where(usable[..., None], points_world, 0.0)
    poses = torch.eye(4, dtype=torch.float64, device=pixels.device).repeat(len(pixels), 1, 1)
    enough = usable.sum(dim=-1) >= MIN_POINTS
    frames_at_once = max(1, MAX_ELEMENTS // max(1, num_hypotheses * pixels.shape[1]))
    chunks = enough.nonzero()[:, 0].split(frames_at_once) if bool(enough.any()) else ()
    for frames in chunks:
        data = (pixels[frames], points_world[frames], usable[frames], intrinsics[frames])
        poses[frames] = _ransac(*data, generator, float(threshold_px), num_hypotheses)
    squared = _squared_errors(poses, pixels, points_world, usable, intrinsics)
    inliers = enough[:, None] & (squared < threshold_px**2)
    spread = _spread(poses, inliers, pixels, points_world, intrinsics)
    return AbsolutePose(poses, inliers, *spread)


def refine_pose(
    cam_from_world: Float[Tensor, "*b 4 4"],
    pixels: Float[Tensor, "*#b n 2"],
    points_world: Float[Tensor, "*#b n 3"],
    usable: Bool[Tensor, "*#b n"],
    intrinsics: Float[Tensor, "*#b 3 3"],
    scale_px: float | int,
    steps: int = REFINEMENT_STEPS,
) -> Float[Tensor, "*b 4 4"]:
    """Lower the sum of rho(e) = s^2 e^2 / (s^2 + e^2) over reprojection errors e; s = ``scale_px``.

    A step that does not lower it is undone, so the result is never worse than the start.

    Source: Levenberg-Marquardt; Geman & McClure's weights.
    """
    damping = cam_from_world.new_full(cam_from_world.shape[:-2], 1e-3)
    squared = _squared_errors(cam_from_world, pixels, points_world, usable, intrinsics)
    cost = _geman_mcclure(squared, scale_px)
    identity = torch.eye(6, dtype=cam_from_world.dtype, device=cam_from_world.device)
    for _ in range(steps):
        # rho'(e^2) of Geman and McClure's cost, by which least squares are weighed anew at every step.
        weights = (scale_px**2 / (scale_px**2 + squared)).square()
        weights = torch.where(squared.isfinite(), weights, 0.0)
        normal, gradient = _normal_equations(cam_from_world, pixels, points_world, weights, intrinsics)
        scale = normal.diagonal(dim1=-2, dim2=-1).clamp(min=1e-12)
        damped = normal + (damping[..., None] * scale)[..., None] * identity
        twist, _ = torch.linalg.solve_ex(damped, -gradient)
        twist = torch.where(twist.isfinite().all(dim=-1, keepdim=True), twist, 0.0)
        moved = apply_twist(cam_from_world, twist)
        squared_moved = _squared_errors(moved, pixels, points_world, usable, intrinsics)
        cost_moved = _geman_mcclure(squared_moved, scale_px)
        better = cost_moved < cost
        cam_from_world = torch.where(better[..., None, None], moved, cam_from_world)
        squared = torch.where(better[..., None], squared_moved, squared)
        cost = torch.where(better, cost_moved, cost)
        damping = torch.where(better, damping * 0.1, damping * 10.0).clamp(1e-12, 1e12)
    return cam_from_world


def _ransac(
    pixels: Float[Tensor, "t n 2"],
    points_world: Float[Tensor, "t n 3"],
    usable: Bool[Tensor, "t n"],
    intrinsics: Float[Tensor, "t 3 3"],
    generator: torch.Generator,
    threshold_px: float,
    num_hypotheses: int,
) -> Float[Tensor, "t 4 4"]:
    shape = (len(pixels), num_hypotheses, pixels.shape[1])
    keys = torch.rand(shape, generator=generator, device=generator.device)
    # The largest of random keys are a draw without repetition; unusable points come last.
    keys = keys.to(pixels.device).masked_fill(~usable[:, None], -1.0)
    chosen = keys.topk(SAMPLE, dim=-1).indices
    frame = torch.arange(len(pixels), device=pixels.device)[:, None, None]
    sampled_pixels = pixels[frame, chosen]
    sampled_points = points_world[frame, chosen]
    _, rays = pixel_rays(sampled_pixels, torch.eye(4).to(pixels), intrinsics[:, None, None])
    solutions, real = p3p(rays[:, :, :3], sampled_points[:, :, :3])
    # P3P has up to four solutions: the fourth point of the sample chooses.
    fourth = (sampled_pixels[:, :, None, 3:], sampled_points[:, :, None, 3:], real[..., None])
    errors = _squared_errors(solutions, *fourth, intrinsics[:, None, None])
    best = errors[..., 0].argmin(dim=-1)
    hypotheses = solutions.take_along_dim(best[..., None, None, None], dim=2)[:, :, 0]
    possible = real.take_along_dim(best[..., None], dim=2)[..., 0]

    data = (pixels[:, None], points_world[:, None], usable[:, None], intrinsics[:, None])
    costs = _msac(_squared_errors(hypotheses, *data), threshold_px)
    costs = torch.where(possible, costs, torch.inf)
    leading = costs.topk(min(REFINED, num_hypotheses), dim=-1, largest=False).indices
    candidates = hypotheses.take_along_dim(leading[..., None, None], dim=1)
    candidates = refine_pose(candidates, *data, threshold_px)
    winner = _msac(_squared_errors(candidates, *data), threshold_px).argmin(dim=-1)
    return candidates.take_along_dim(winner[:, None, None, None], dim=1)[:, 0]


def _squared_errors(
    cam_from_world: Float[Tensor, "*#b 4 4"],
    pixels: Float[Tensor, "*#b n 2"],
    points_world: Float[Tensor, "*#b n 3"],
    usable: Bool[Tensor, "*#b n"],
    intrinsics: Float[Tensor, "*#b 3 3"],
) -> Float[Tensor, "*b n"]:
    """Return squared reprojection errors, infinite for points that are unusable or not in front."""
    points_cam = transform_points(cam_from_world[..., None, :, :], points_world)
    in_front = points_cam[..., 2] > MIN_DEPTH
    depth = torch.where(in_front, points_cam[..., 2], 1.0)
    projected = rotate(intrinsics[..., None, :, :], points_cam / depth[..., None])[..., :2]
    squared = (projected - pixels).square().sum(dim=-1)
    return torch.where(in_front & usable, squared, torch.inf)


def _normal_equations(
    cam_from_world: Float[Tensor, "*#b 4 4"],
    pixels: Float[Tensor, "*#b n 2"],
    points_world: Float[Tensor, "*#b n 3"],
    weights: Float[Tensor, "*#b n"],
    intrinsics: Float[Tensor, "*#b 3 3"],
) -> tuple[Float[Tensor, "*b 6 6"], Float[Tensor, "*b 6"]]:
    """Return J^T W J and J^T W r of the reprojection by the twist; points of weight 0 may lie anywhere."""
    points_cam = transform_points(cam_from_world[..., None, :, :], points_world)
    points_cam = torch.where((weights > 0)[..., None], points_cam, points_cam.new_tensor([0.0, 0.0, 1.0]))
    cameras = intrinsics[..., None, :, :]
    jacobian = projection_jacobian(points_cam, cameras)
    residual = rotate(cameras, points_cam / points_cam[..., 2:])[..., :2] - pixels
    weighted = jacobian * weights[..., None, None]
    normal = einsum(weighted, jacobian, "... n xy i, ... n xy j -> ... i j")
    return normal, einsum(weighted, residual, "... n xy i, ... n xy -> ... i")


def _spread(
    poses: Float[Tensor, "t 4 4"],
    inliers: Bool[Tensor, "t n"],
    pixels: Float[Tensor, "t n 2"],
    points_world: Float[Tensor, "t n 3"],
    intrinsics: Float[Tensor, "t 3 3"],
) -> tuple[Float[Tensor, " t"], Float[Tensor, " t"], Float[Tensor, " t"]]:
    """Return residual, rotation deviation in degrees and relative position deviation of fitted frames."""
    count = inliers.sum(dim=-1)
    squared = _squared_errors(poses, pixels, points_world, inliers, intrinsics)
    total = torch.where(inliers, squared, 0.0).sum(dim=-1)
    residual = (total / count).sqrt()  # 0 / 0 is the NaN wanted
    information, _ = _normal_equations(poses, pixels, points_world, inliers.double(), intrinsics)
    depth = transform_points(poses[:, None], points_world)[..., 2]
    mean_depth = torch.where(inliers, depth, 0.0).sum(dim=-1) / count.clamp(min=1)
    # Two residuals an inlier, less the six numbers that were fitted to them.
    freedom = 2 * count - 6
    variance = (total / freedom.clamp(min=1)).clamp(min=FINEST_NOISE_PX**2)
    rotation, position = twist_deviation(information, variance, torch.where(count > 0, mean_depth, 1.0))
    rotation = torch.where(freedom <= 0, torch.inf, rotation)
    position = torch.where(freedom <= 0, torch.inf, position)
    return residual, rotation.rad2deg(), position


def _msac(
    squared: Float[Tensor, "*b n"],
    threshold_px: float,
) -> Float[Tensor, " *b"]:
    return squared.clamp(max=threshold_px**2).sum(dim=-1)


def _geman_mcclure(
    squared: Float[Tensor, "*b n"],
    scale_px: float,
) -> Float[Tensor, " *b"]:
    """Sum the robust cost; an infinite error counts as the most an error can."""
    cost = squared * scale_px**2 / (squared + scale_px**2)
    bounded = torch.where(squared.isfinite(), cost, scale_px**2)
    return bounded.sum(dim=-1)
