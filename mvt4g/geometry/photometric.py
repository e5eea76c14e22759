"""A picture's camera by direct alignment: the pose under which known coloured points have the picture's colours."""

from dataclasses import dataclass

import torch
from einops import einsum, rearrange
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

from mvt4g.geometry.camera import unproject_pixels
from mvt4g.geometry.pixels import pixel_centres
from mvt4g.geometry.pose import rotate, transform_points
from mvt4g.geometry.sampling import bilinear_sample
from mvt4g.geometry.twist import apply_twist, projection_jacobian, twist_deviation
from mvt4g.types import InputError

COARSEST = 16
"""Shorter side of the smallest picture that is aligned, pixels."""
STEPS = 30
CONVERGED_PX = 1e-3
"""Mean motion of the points in a step under which a level is done."""
FINEST_NOISE = 0.25 / 255
"""Colours are never taken to be better than this."""
ROBUSTNESS = 2.385
"""Geman-McClure's scale in standard deviations. Cauchy's cost, which never quite lets go of an outlier, lost the pose
in half the pictures with a ninth covered in black."""
OUTSIDE_COST = 0.3
"""Cost of a point outside the picture, where the worst point inside costs 1."""
DETAIL_PX = 9
"""Detail is what differs from the mean of a square of this side."""
MIN_DEPTH = 1e-3
MIN_POINTS = 32


@dataclass(frozen=True)
class RgbdPicture:
    """A picture of known camera and depth.

    Attributes:
        picture: Any channels, about [0, 1].
        depth: z-depth of pixel centres, scene units, 0 or non-finite = none.
        cam_from_world: Its camera.
        intrinsics: Its K, in its pixels.
        usable: False on pixels to leave out; None = all.
    """

    picture: Float[Tensor, "c h w"]
    depth: Float[Tensor, "h w"]
    cam_from_world: Float[Tensor, "4 4"]
    intrinsics: Float[Tensor, "3 3"]
    usable: Bool[Tensor, "h w"] | None = None

    def with_depth(self) -> Bool[Tensor, "h w"]:
        """Return which pixels are usable and have a depth."""
        known = self.depth.isfinite() & (self.depth > 0)
        return known if self.usable is None else known & self.usable


@dataclass(frozen=True)
class PhotometricFit:
    """An aligned camera, and what tells whether to believe it.

    Attributes:
        cam_from_world: fp64.
        coverage: Share of the known points that lie inside the picture.
        detail_correlation: Of the picture's and the points' detail, in [-1, 1]: near 0 for another scene, for noise
            and for a pose that is off by more than the detail's size; NaN where either has none.
        last_step_px: Mean motion of the points in the last step of the finest level.
        rotation_deviation_deg: Standard deviation that noise and layout leave, neighbouring pixels taken to be
            independent, so too small; huge where the picture does not determine the pose.
        position_deviation: The same of the camera's centre, as a share of the points' mean depth.
        gain: Factor on the picture's colours that fits them to the points'.
    """

    cam_from_world: Float[Tensor, "4 4"]
    coverage: float
    detail_correlation: float
    last_step_px: float
    rotation_deviation_deg: float
    position_deviation: float
    gain: float


@dataclass(frozen=True)
class _Level:
    """Points with colours, and a picture with its derivatives, both blurred to a stride."""

    points_world: Float[Tensor, "n 3"]
    colours: Float[Tensor, "n c"]
    maps: Float[Tensor, "m h w"]
    stride: int
    intrinsics: Float[Tensor, "3 3"]


@dataclass(frozen=True)
class _Linear:
    """The problem about a pose: weighted normal equations of twist, gain and bias of the points inside."""

    normal: Float[Tensor, "8 8"]
    gradient: Float[Tensor, " 8"]
    residual: Float[Tensor, "n c"]
    scale: Float[Tensor, ""]
    pixel_jacobian: Float[Tensor, "n 2 6"]
    variance: Float[Tensor, ""]
    coverage: float
    depth: Float[Tensor, ""]


def align_picture(
    picture: Float[Tensor, "c h w"],
    intrinsics: Float[Tensor, "3 3"],
    known: RgbdPicture,
    start_cam_from_world: Float[Tensor, "4 4"],
    finest_stride: int = 1,
) -> PhotometricFit:
    """Find ``cam_from_world`` of a picture from a known view with depth, coarse to fine.

    Minimises Geman and McClure's robust cost of gain * picture(project(point)) + bias - colour over pose, gain and
    bias by Levenberg-Marquardt with compositional steps. What the picture hides of the known view, or shows of it
    elsewhere, is left to the robust cost.

    Args:
        picture: As many channels as ``known`` has, about [0, 1].
        intrinsics: K of the picture, in its pixels.
        known: A view of the same scene at the same time.
        start_cam_from_world: Where the search starts.
        finest_stride: Every how many pixels a point is taken at the finest level.

    Raises:
        InputError: If fewer than MIN_POINTS known pixels are usable.

    Source: Lucas & Kanade 1981; Kerl et al. 2013, "Robust Odometry Estimation for RGB-D Cameras" (alignment on SE(3)).
    """
    usable = known.with_depth()
    if int(usable.sum()) < MIN_POINTS:
        raise InputError(f"known: got {int(usable.sum())} usable pixels, want at least {MIN_POINTS}")
    # fp64 throughout: the last steps are a thousandth of a pixel long.
    height, width = known.depth.shape
    points_world = unproject_pixels(
        pixel_centres(height, width, device=known.depth.device).double(),
        torch.where(usable, known.depth, 1.0).double(),
        known.cam_from_world.double(),
        known.intrinsics.double(),
    )
    shortest = min(*picture.shape[-2:], height, width)
    num_levels = max(1, (shortest // COARSEST).bit_length())
    pose = start_cam_from_world.double()
    light = picture.new_tensor([1.0, 0.0]).double()
    for number in reversed(range(num_levels)):
        level = _level(picture, known.picture, points_world, usable, intrinsics.double(), 2**number, finest_stride)
        pose, light, last_step = _descend(level, pose, light)
    linear = _linearise(level, pose, light)
    rotation, position = twist_deviation(linear.normal[:6, :6], linear.variance, linear.depth)
    correlation = _detail_correlation(level, picture, known.picture, usable, finest_stride, pose)
    return PhotometricFit(
        cam_from_world=pose,
        coverage=linear.coverage,
        detail_correlation=correlation,
        last_step_px=last_step,
        rotation_deviation_deg=float(rotation.rad2deg()),
        position_deviation=float(position),
        gain=float(light[0]),
    )


def _descend(
    level: _Level,
    pose: Float[Tensor, "4 4"],
    light: Float[Tensor, " 2"],
) -> tuple[Float[Tensor, "4 4"], Float[Tensor, " 2"], float]:
    """Return pose, gain and bias where the level's cost is least, and the last step's motion in pixels."""
    damping = 1e-4
    step_px = torch.inf
    linear = _linearise(level, pose, light)
    for _ in range(STEPS):
        # Marquardt's damping goes by the diagonal, since pose and light have units of their own.
        scale = linear.normal.diagonal().clamp(min=1e-12)
        step, _ = torch.linalg.solve_ex(linear.normal + damping * scale.diag(), -linear.gradient)
        if not bool(step.isfinite().all()):
            break
        moved = apply_twist(pose, step[:6])
        relit = light + step[6:]
        after = _linearise(level, moved, relit)
        if bool(_cost(after, linear.scale) < _cost(linear, linear.scale)):
            motion = einsum(linear.pixel_jacobian, step[:6], "n xy i, i -> n xy")
            step_px = float(torch.linalg.vector_norm(motion, dim=-1).mean())
            pose = moved
            light = relit
            linear = after
            damping = max(damping * 0.1, 1e-9)
            if step_px < CONVERGED_PX * level.stride:
                break
        elif damping > 1e4:
            step_px = 0.0  # no step of any length lowers the cost: a minimum
            break
        else:
            damping *= 10
    return pose, light, step_px


def _linearise(
    level: _Level,
    pose: Float[Tensor, "4 4"],
    light: Float[Tensor, " 2"],
) -> _Linear:
    points_cam, xy, inside = _projected(level, pose)
    points_cam = points_cam[inside]
    read = bilinear_sample(level.maps, xy[inside], stride=level.stride)
    seen, by_x, by_y = rearrange(read, "n (kind c) -> kind n c", kind=3)
    residual = light[0] * seen + light[1] - level.colours[inside]
    spread = residual.new_tensor(1.0)
    depth = residual.new_tensor(1.0)
    if len(points_cam):
        # 1.4826 times the median is a normal deviation's standard deviation, whatever a few outliers are.
        spread = residual.abs().median().clamp(min=FINEST_NOISE) * 1.4826
        depth = points_cam[:, 2].mean()
    scale = ROBUSTNESS * spread
    weights = (1 + (residual / scale).square()).reciprocal().square()
    pixel_jacobian = projection_jacobian(points_cam, level.intrinsics)
    by_twist = light[0] * einsum(torch.stack([by_x, by_y], dim=-1), pixel_jacobian, "n c xy, n xy i -> n c i")
    jacobian = torch.cat([by_twist, seen[..., None], torch.ones_like(seen)[..., None]], dim=-1)
    weighted = jacobian * weights[..., None]
    mean_square = (weights * residual.square()).sum() / weights.sum().clamp(min=1)
    return _Linear(
        normal=einsum(weighted, jacobian, "n c i, n c j -> i j"),
        gradient=einsum(weighted, residual, "n c i, n c -> i"),
        residual=residual,
        scale=scale,
        pixel_jacobian=pixel_jacobian,
        variance=mean_square.clamp(min=FINEST_NOISE**2),
        coverage=float(inside.double().mean()),
        depth=depth,
    )


def _cost(linear: _Linear, scale: Float[Tensor, ""]) -> Float[Tensor, ""]:
    """Return the mean cost of a point: a pose that drives points out of the picture must not gain by it."""
    if not len(linear.residual):
        return scale.new_tensor(torch.inf)
    squared = (linear.residual / scale).square()
    return linear.coverage * (squared / (1 + squared)).mean() + (1 - linear.coverage) * OUTSIDE_COST


def _projected(
    level: _Level, pose: Float[Tensor, "4 4"]
) -> tuple[Float[Tensor, "n 3"], Float[Tensor, "n 2"], Bool[Tensor, " n"]]:
    """Return the points in the camera, their pixels, and which lie inside the picture."""
    points_cam = transform_points(pose, level.points_world)
    in_front = points_cam[:, 2] > MIN_DEPTH
    points_cam = torch.where(in_front[:, None], points_cam, points_cam.new_tensor([0.0, 0.0, 1.0]))
    xy = rotate(level.intrinsics, points_cam / points_cam[:, 2:])[:, :2]
    rows, columns = level.maps.shape[-2:]
    size = xy.new_tensor([columns * level.stride, rows * level.stride])
    inside = ((xy >= 0) & (xy < size)).all(dim=-1)
    return points_cam, xy, in_front & inside


def _level(
    picture: Float[Tensor, "c h w"],
    known: Float[Tensor, "c known_h known_w"],
    points_world: Float[Tensor, "known_h known_w 3"],
    usable: Bool[Tensor, "known_h known_w"],
    intrinsics: Float[Tensor, "3 3"],
    stride: int,
    finest: int,
) -> _Level:
    # Two points a cell and direction: a blurred picture tells no more.
    every = max(finest, stride // 2)
    rows = slice(every // 2, None, every)
    chosen = usable[rows, rows]
    height, width = usable.shape
    xy = pixel_centres(height, width, device=usable.device)[rows, rows][chosen].double()
    colours = bilinear_sample(_blurred(known, stride), xy, stride=stride)
    blurred = _blurred(picture, stride)
    # Central differences, in colour a pixel of the whole picture, so that a step means the same at every level.
    padded = functional.pad(blurred[None], (1, 1, 1, 1), mode="replicate")[0]
    by_x = (padded[:, 1:-1, 2:] - padded[:, 1:-1, :-2]) / (2 * stride)
    by_y = (padded[:, 2:, 1:-1] - padded[:, :-2, 1:-1]) / (2 * stride)
    maps = torch.cat([blurred, by_x, by_y])
    return _Level(points_world[rows, rows][chosen], colours, maps, stride, intrinsics)


def _blurred(picture: Float[Tensor, "c h w"], stride: int) -> Float[Tensor, "c H W"]:
    """Average cells of stride x stride pixels; rows and columns left over are dropped."""
    return functional.avg_pool2d(picture.double()[None], stride)[0]


def _detail_correlation(
    level: _Level,
    picture: Float[Tensor, "c h w"],
    known: Float[Tensor, "c known_h known_w"],
    usable: Bool[Tensor, "known_h known_w"],
    finest: int,
    pose: Float[Tensor, "4 4"],
) -> float:
    """Correlate the detail of the points and of the picture where they project."""
    rows = slice(finest // 2, None, finest)
    _, xy, inside = _projected(level, pose)
    seen = bilinear_sample(_detail(picture), xy[inside])
    # The points of the finest level were taken at these rows and columns, in this order.
    of_points = rearrange(_detail(known)[:, rows, rows], "c h w -> h w c")[usable[rows, rows]]
    wanted = of_points[inside]
    seen = seen - seen.mean(dim=0)
    wanted = wanted - wanted.mean(dim=0)
    return float((seen * wanted).sum() / (seen.square().sum() * wanted.square().sum()).sqrt())


def _detail(picture: Float[Tensor, "c h w"]) -> Float[Tensor, "c h w"]:
    reach = DETAIL_PX // 2
    padded = functional.pad(picture.double()[None], (reach,) * 4, mode="replicate")
    return picture.double() - functional.avg_pool2d(padded, DETAIL_PX, stride=1)[0]
