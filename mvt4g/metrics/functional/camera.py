"""How far an estimated camera path is from the true one, under the protocols that papers report.

All take ``CameraPaths``: both paths relative to their first registered frame, float64. An error over a path is over
its registered frames; with fewer than two of them it is NaN. A sum counts a lost frame as the mean of those found,
since otherwise losing frames would pay.
"""

import warnings
from dataclasses import dataclass
from typing import Literal

import torch
from einops import einsum, rearrange
from jaxtyping import Bool, Float
from torch import Tensor

from mvt4g.geometry.align import Similarity, umeyama
from mvt4g.geometry.pose import quaternion_from_rotation, rotation_angle
from mvt4g.metrics.functional.camera_paths import CONVENTIONS, STATIC, CameraPaths, camera_paths
from mvt4g.ranges import check_word
from mvt4g.types import InputError

Align = Literal["self_max", "gt_max", "sim3", "scale_lsq", "none"]
CHUNK = 2**17
"""Pairs of frames held in memory at once."""
RELATIVE_EPS = 1e-9
EXTENT_EPS = 1e-6
"""What CamI2V adds to a largest norm and ReDirector to a largest distance before dividing."""


@dataclass(frozen=True)
class Protocol:
    """What a paper means by its camera errors.

    Attributes:
        mode: Rotations relative to the first frame, or of every pair of frames to each other.
        rotation: A mean in degrees or a sum in radians.
        align: See ``translation_error``.
        reduction: Of translation errors and CamMC over frames.
        cam_mc: Whether the protocol has a CamMC.
        keys: Names under which rotation error, translation error and CamMC are reported.
        published_keys: Names of the translation error and CamMC with the values of the protocol's own code for true
            paths that stand still, see ``published_errors``; none where no code is public.
    """

    mode: Literal["first", "pairwise"]
    rotation: Literal["mean_deg", "sum_rad"]
    align: Align
    reduction: Literal["mean", "sum"]
    cam_mc: bool
    keys: tuple[str, ...]
    published_keys: tuple[str, ...] = ()


PROTOCOLS = {
    "mvtrack4gen": Protocol(
        "first", "mean_deg", "self_max", "mean", cam_mc=True, keys=("rotation_error_deg", "translation_error", "cam_mc")
    ),
    "camI2V": Protocol(
        "first", "sum_rad", "self_max", "sum", cam_mc=True,
        keys=("rotation_error_rad_sum", "translation_error_sum", "cam_mc_sum"),
        published_keys=("translation_error_sum_as_published", "cam_mc_sum_as_published"),
    ),
    "redirector": Protocol(
        "pairwise", "mean_deg", "sim3", "mean", cam_mc=False,
        keys=("rotation_error_pairwise_deg", "translation_error_sim3"),
        published_keys=("translation_error_sim3_as_published",),
    ),
}  # fmt: skip
"""MVTrack4Gen (arXiv 2606.26087; its formula is not public and was worked out from its tables: CamI2V's, averaged),
CamI2V's ``rel`` and ReDirector's ``eval_utils.py``."""


def camera_errors(
    pred: Float[Tensor, "*b t 4 4"],
    target: Float[Tensor, "*b t 4 4"],
    protocol: str = "mvtrack4gen",
    registered: Bool[Tensor, "*b t"] | None = None,
    convention: str = CONVENTIONS[0],
    orthonormalize: bool = False,
    static_threshold: float | int = STATIC,
) -> dict[str, Float[Tensor, " *b"]]:
    """Return ``rotation_error``, ``translation_error`` and ``cam_mc`` of one path or of many.

    Args:
        pred: Estimated world from camera, in a world and scale of its own.
        target: True world from camera.
        protocol: ``mvtrack4gen``: relative to frame 0, means over frames, degrees, each path's translations divided
            by their own largest norm. ``camI2V``: the same as sums over frames, in radians. ``redirector``: rotations
            of all ordered pairs of frames, degrees; centres after Sim(3) alignment, as a share of the largest
            distance between true centres; it has no CamMC, which is NaN.
        registered: Frames whose pose the estimator found, None = all. Others are left out, and the first registered
            frame takes the place of frame 0.
        convention: What both paths are given in, one of ``CONVENTIONS``.
        orthonormalize: Replace noisy 3x3 parts by their nearest rotations instead of refusing them.
        static_threshold: Scene units from its first frame within which the true path stands still.

    Returns:
        float64; all NaN with fewer than two registered frames. Where the true path stands still its translation has
        no scale: ``translation_error`` is NaN and ``cam_mc`` that of the rotations.

    Raises:
        InputError: For an unknown protocol or convention, shapes that differ, and poses that are none.

    Example:
        >>> import torch
        >>> target = torch.eye(4).repeat(3, 1, 1)
        >>> target[:, 0, 3] = torch.tensor([0.0, 1.0, 2.0])
        >>> pred = target.clone()
        >>> pred[:, 0, 3] = torch.tensor([0.0, 4.0, 4.0])
        >>> {key: round(float(error), 4) for key, error in camera_errors(pred, target).items()}
        {'rotation_error': 0.0, 'translation_error': 0.1667, 'cam_mc': 0.1667}
    """
    chosen = protocol_named(protocol)
    if pred.ndim < 3:
        raise InputError(f"pred: got shape {tuple(pred.shape)}, want (t, 4, 4) or (b, t, 4, 4)")
    if target.shape != pred.shape:
        raise InputError(f"target: got shape {tuple(target.shape)}, want that of pred, {tuple(pred.shape)}")
    by_video = camera_paths(
        rearrange(pred, "... t i j -> (...) t i j"),
        rearrange(target, "... t i j -> (...) t i j"),
        None if registered is None else rearrange(registered, "... t -> (...) t"),
        convention,
        orthonormalize,
        static_threshold,
    )
    errors = protocol_errors(by_video, chosen)
    return {name: error.reshape(pred.shape[:-3]) for name, error in errors.items()}


def protocol_named(name: str) -> Protocol:
    """Return a protocol.

    Raises:
        InputError: If there is none of that name.
    """
    if name not in PROTOCOLS:
        raise InputError(f"protocol: got {name!r}, want one of {', '.join(PROTOCOLS)}")
    return PROTOCOLS[name]


def protocol_errors(paths: CameraPaths, protocol: Protocol) -> dict[str, Float[Tensor, " b"]]:
    """Return the three errors of ``camera_errors`` of paths already checked."""
    rotation = rotation_error(paths, protocol.rotation, protocol.mode)
    nothing = torch.full_like(rotation, torch.nan)
    return {
        "rotation_error": rotation,
        "translation_error": translation_error(paths, protocol.align, protocol.reduction),
        "cam_mc": camera_motion_consistency(paths, protocol.reduction) if protocol.cam_mc else nothing,
    }


def published_errors(paths: CameraPaths, protocol: Protocol) -> dict[str, Float[Tensor, " b"]]:
    """Return the errors of translation and CamMC with the values that the protocol's own code gives standing cameras.

    The keys are ``protocol.published_keys``. Where the true path moves, the values equal ``protocol_errors``. Where it
    stands still, nothing says how large an error is. CamI2V's code divides the prediction by its own largest norm there
    too, so that its farthest frame has an error of 1. ReDirector's code aligns every prediction to one point, an error
    of 0. A mean that a paper prints holds these values.

    Source: CamI2V (arXiv 2410.15957), ``rel``; ReDirector (arXiv 2511.19827), ``eval_utils.py``.
    """
    if not protocol.published_keys:
        return {}
    errors = [translation_error(paths, protocol.align, protocol.reduction, standing_as_published=True)]
    if protocol.cam_mc:
        errors.append(camera_motion_consistency(paths, protocol.reduction, standing_as_published=True))
    return dict(zip(protocol.published_keys, errors, strict=True))


def rotation_error(
    paths: CameraPaths,
    reduction: Literal["mean_deg", "sum_rad"] = "mean_deg",
    mode: Literal["first", "pairwise"] = "first",
) -> Float[Tensor, " b"]:
    """Return the angle between true and predicted rotations; at least 0.

    Args:
        paths: From ``camera_paths``.
        reduction: Mean in degrees, or sum in radians.
        mode: ``first``: rotations relative to the first registered frame, which counts with its 0. ``pairwise``: of
            every ordered pair of two frames, relative to each other.
    """
    if mode == "first":
        angle = rotation_angle(paths.target_rotation.mT @ paths.pred_rotation)
        mean = _mean_over_frames(angle, paths)
        count = angle.shape[1]
    else:
        # An ordered pair of a frame with itself is none.
        mean = _mean_over_pairs(paths)
        num_frames = paths.registered.shape[1]
        count = num_frames * (num_frames - 1)
    return torch.rad2deg(mean) if reduction == "mean_deg" else mean * count


def translation_error(
    paths: CameraPaths,
    align: Align = "self_max",
    reduction: Literal["mean", "sum"] = "mean",
    standing_as_published: bool = False,
) -> Float[Tensor, " b"]:
    """Return the distance between true and predicted camera centres over frames; at least 0.

    NaN where the true path stands still, but for ``align="none"``: nothing says how large an error is there.

    Args:
        paths: From ``camera_paths``.
        align: ``self_max``: each path divided by its own largest norm; blind to scale. ``gt_max``: both divided by
            that of the truth. ``sim3``: the prediction moved on to the truth by a similarity, whatever its rotations
            say; blind to the direction of a straight path. ``scale_lsq``: aligned by the first pose, and its scale
            (at least 0) by least squares. Both fits are a share of the largest distance between true centres.
            ``none``: scene units.
        reduction: Over frames.
        standing_as_published: Where the true path stands still, the quotient instead of NaN, see ``published_errors``.

    Warns:
        UserWarning: With ``sim3``, if centres on a line leave the rotation open: any direction then fits.
    """
    pred, target = scaled_centres(paths, align)
    error = _mean_over_frames(torch.linalg.vector_norm(pred - target, dim=-1), paths)
    if align != "none" and not standing_as_published:
        error = torch.where(paths.static, torch.nan, error)
    return error if reduction == "mean" else error * paths.registered.shape[1]


def camera_motion_consistency(
    paths: CameraPaths,
    reduction: Literal["mean", "sum"] = "mean",
    standing_as_published: bool = False,
) -> Float[Tensor, " b"]:
    """Return CamMC: the Frobenius norm of the difference of [R | t], each t divided by its path's largest norm.

    Args:
        paths: From ``camera_paths``.
        reduction: Over frames.
        standing_as_published: Count translations where the true path stands still too, not rotations alone.

    Source: CamI2V (arXiv 2410.15957), ``rel``.
    """
    pred, target = scaled_centres(paths, "self_max")
    moving = ~paths.static[:, None] | standing_as_published
    squared = moving * (pred - target).square().sum(dim=-1)
    squared = squared + (paths.pred_rotation - paths.target_rotation).square().sum(dim=(-2, -1))
    error = _mean_over_frames(squared.sqrt(), paths)
    return error if reduction == "mean" else error * paths.registered.shape[1]


def scaled_centres(
    paths: CameraPaths,
    align: Align,
) -> tuple[Float[Tensor, "b t 3"], Float[Tensor, "b t 3"]]:
    """Return predicted and true centres, aligned and divided as ``translation_error`` says.

    Raises:
        InputError: For an unknown way to align.
    """
    check_word("align", align, Align)
    pred = paths.pred_centre
    target = paths.target_centre
    if align == "none":
        return pred, target
    if align in ("self_max", "gt_max"):
        reach = _largest_norm(paths.scored_target_centre)
        own_reach = _largest_norm(pred) if align == "self_max" else reach
        return pred / own_reach, target / reach
    weights = paths.registered.double()
    if align == "sim3":
        fit = umeyama(pred, target, weights)
        _warn_of_lines(fit, paths)
        pred = fit.apply(pred)
    else:
        # Least squares in one unknown: <pred, target> / <pred, pred>. A scale below 0 would mirror the path.
        agreement = einsum(weights, pred, target, "b t, b t i, b t i -> b")
        length = einsum(weights, pred.square(), "b t, b t i -> b")
        pred = pred * (agreement.clamp(min=0) / torch.where(length > 0, length, 1.0))[:, None, None]
    extent = (_largest_distance(paths) + EXTENT_EPS)[:, None, None]
    return pred / extent, target / extent


def _mean_over_frames(values: Float[Tensor, "b t"], paths: CameraPaths) -> Float[Tensor, " b"]:
    """Return the mean over registered frames; NaN where failed."""
    mean = (values * paths.registered).sum(dim=-1) / paths.num_registered.clamp(min=1)
    return torch.where(paths.failed, torch.nan, mean)


def _mean_over_pairs(paths: CameraPaths) -> Float[Tensor, " b"]:
    """Return the mean angle over ordered pairs of two registered frames; NaN where failed.

    With D_i = R_true,i R_pred,i^T, the relative rotations of i and j differ by the angle between D_i and D_j.
    """
    difference = quaternion_from_rotation(paths.target_rotation @ paths.pred_rotation.mT)
    weights = paths.registered.double()
    size = _chunk_of(paths)
    sums = []
    for some, weight in zip(difference.split(size), weights.split(size), strict=True):
        sums.append(einsum(angles_between(some), weight, weight, "b i j, b i, b j -> b"))
    num_pairs = paths.num_registered * (paths.num_registered - 1)
    return torch.where(paths.failed, torch.nan, torch.cat(sums) / num_pairs.clamp(min=1))


def angles_between(quaternions: Float[Tensor, "b t 4"]) -> Float[Tensor, "b t t"]:
    """Return the angle between every two rotations, radians in [0, pi]; exact near 0.

    The vector part of q_i q_j* and its scalar part, by matrix products; float64 is not rounded by autocast or TF32.
    """
    w, x, y, z = quaternions.unbind(dim=-1)
    # Rows of the product q_i q_j*: its scalar part, then its vector part, each linear in q_j.
    scalar = torch.stack((w, x, y, z), dim=-1) @ quaternions.mT
    first = torch.stack((x, -w, z, -y), dim=-1) @ quaternions.mT
    second = torch.stack((y, -z, -w, x), dim=-1) @ quaternions.mT
    third = torch.stack((z, y, -x, -w), dim=-1) @ quaternions.mT
    # In place: the maps of all pairs are the largest tensors of the protocol.
    squared_sine = first.square_().add_(second.square_()).add_(third.square_())
    return 2 * torch.atan2(squared_sine.sqrt_(), scalar.abs_())


def _largest_norm(centres: Float[Tensor, "b t 3"]) -> Float[Tensor, "b 1 1"]:
    """Return what a path is divided by; unregistered centres are 0 and never the largest."""
    reach = torch.linalg.vector_norm(centres, dim=-1).amax(dim=-1)
    return reach[:, None, None] + RELATIVE_EPS


def _largest_distance(paths: CameraPaths) -> Float[Tensor, " b"]:
    """Return the largest distance between the true centres of two registered frames."""
    farthest = []
    for centre in paths.scored_target_centre.split(_chunk_of(paths)):
        # |a - b|^2 = |a|^2 + |b|^2 - 2 a.b as one product of rows with five entries.
        square = centre.square().sum(dim=-1, keepdim=True)
        one = torch.ones_like(square)
        rows = torch.cat([square, one, -2 * centre], -1)
        columns = torch.cat([one, square, centre], -1)
        farthest.append((rows @ columns.mT).amax(dim=(-2, -1)))
    return torch.cat(farthest).clamp(min=0).sqrt()


def _chunk_of(paths: CameraPaths) -> int:
    """Return how many paths to work on at once."""
    return max(1, CHUNK // paths.registered.shape[1] ** 2)


def _warn_of_lines(fit: Similarity, paths: CameraPaths) -> None:
    """Warn where the alignment had a free rotation and used it."""
    free = ~fit.rotation_fixed & (fit.scale > 0) & ~paths.static & ~paths.failed
    if bool(free.any()):
        warnings.warn(
            f"rotation unobservable: in {int(free.sum())} of {len(free)} paths the centres are on a line, which Sim(3) "
            "turns into any other; see the pose-aligned error (align='scale_lsq') beside it",
            stacklevel=2,
        )
