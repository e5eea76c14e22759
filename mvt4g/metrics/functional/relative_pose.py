"""Share of pairs of frames whose relative pose is right: RRA, RTA and their AUC."""

import torch
from einops import rearrange
from jaxtyping import Bool, Float, Int
from torch import Tensor

from mvt4g.geometry.pose import quaternion_from_rotation, rotate
from mvt4g.metrics.functional.camera import CHUNK, angles_between
from mvt4g.metrics.functional.camera_paths import CameraPaths
from mvt4g.types import InputError


def relative_pose_angles(
    paths: CameraPaths, signed_direction: bool = False
) -> tuple[Float[Tensor, "b p"], Float[Tensor, "b p"]]:
    """Return how far the relative pose of every pair of frames is off, in degrees.

    Args:
        paths: From ``camera_paths``.
        signed_direction: Tell forwards from backwards. VGGT's evaluation does not.

    Returns:
        The angle between relative rotations and that between the directions in which the second camera lies, seen
        from the first; pairs i < j, j fastest. Infinite where a frame is not registered, and the direction also
        where the prediction does not move. NaN where the truth is not known, and the direction also where the truth
        moves no more than the static threshold.
    """
    num_frames = paths.registered.shape[1]
    first, second = torch.triu_indices(num_frames, num_frames, offset=1, device=paths.registered.device)
    difference = quaternion_from_rotation(paths.target_rotation @ paths.pred_rotation.mT)
    rotation = angles_between(difference)[:, first, second]
    # Into the first camera's frame: directions then compare whatever world each path is given in.
    pred = _second_from_first(paths.pred_rotation, paths.pred_centre, first, second)
    target = _second_from_first(paths.target_rotation, paths.target_centre, first, second)
    sine = torch.linalg.vector_norm(torch.linalg.cross(pred, target), dim=-1)
    cosine = (pred * target).sum(dim=-1)
    direction = torch.atan2(sine, cosine if signed_direction else cosine.abs())
    direction = torch.where((pred == 0).all(dim=-1), torch.inf, direction)
    moves = torch.linalg.vector_norm(target, dim=-1) > paths.static_threshold

    found = paths.registered[:, first] & paths.registered[:, second]
    known = paths.known[:, first] & paths.known[:, second]
    rotation = torch.where(found, torch.rad2deg(rotation), torch.inf)
    direction = torch.where(found, torch.rad2deg(direction), torch.inf)
    return torch.where(known, rotation, torch.nan), torch.where(known & moves, direction, torch.nan)


def _second_from_first(
    rotation: Float[Tensor, "b t 3 3"],
    centre: Float[Tensor, "b t 3"],
    first: Int[Tensor, " p"],
    second: Int[Tensor, " p"],
) -> Float[Tensor, "b p 3"]:
    """Return the centre of the second camera of each pair in the frame of the first."""
    camera_from_origin = rearrange(rotation[:, first], "b p i j -> b p j i")
    return rotate(camera_from_origin, centre[:, second] - centre[:, first])


def relative_pose_accuracy(
    paths: CameraPaths,
    thresholds_deg: tuple[float | int, ...] = (5, 15, 30),
    auc_deg: int = 30,
    signed_direction: bool = False,
) -> dict[str, Float[Tensor, " b"]]:
    """Return RRA and RTA at thresholds and the AUC of both together, in [0, 1].

    RRA@k is the share of pairs whose relative rotation is off by less than k degrees, RTA@k the same of the direction
    of their relative translation, over the pairs whose truth moves. AUC@n is the mean over k = 1 ... n degrees of the
    share of moving pairs with both under k (in VGGT's code as here; its text calls it the minimum of RRA and RTA,
    which is never less). A pair with an unregistered frame is wrong.

    Args:
        paths: From ``camera_paths``.
        thresholds_deg: Each k, over 0.
        auc_deg: n, at least 1.
        signed_direction: Tell forwards from backwards. VGGT's evaluation does not: backing out is as good as going in.

    Returns:
        ``rra_<k>deg``, ``rta_<k>deg`` and ``auc_<n>deg``; NaN over no pairs: RTA and AUC of a truth that stands still,
        all of a single frame.

    Raises:
        InputError: For a threshold that is not over 0.

    Source: facebookresearch/vggt, ``evaluation/test_co3d.py``; Zhang et al., RelPose, ECCV 2022; Wang et al.,
        PoseDiffusion, ICCV 2023.
    """
    if auc_deg < 1 or not all(threshold > 0 for threshold in thresholds_deg):
        raise InputError(f"thresholds_deg, auc_deg: got {thresholds_deg} and {auc_deg}, want degrees over 0")
    parts = []
    for some in paths.split(max(1, CHUNK // paths.registered.shape[1] ** 2)):
        rotation, direction = relative_pose_angles(some, signed_direction)
        parts.append(_accuracy(rotation, direction, thresholds_deg, auc_deg))
    return {key: torch.cat([part[key] for part in parts]) for key in parts[0]}


def _accuracy(
    rotation: Float[Tensor, "b p"],
    direction: Float[Tensor, "b p"],
    thresholds_deg: tuple[float | int, ...],
    auc_deg: int,
) -> dict[str, Float[Tensor, " b"]]:
    both = torch.maximum(rotation, direction)  # NaN where either is
    share_of_curve = (auc_deg - both.floor()).clamp(min=0) / auc_deg  # how many of k = 1 ... n are over the error
    shares = {}
    for k in thresholds_deg:
        shares[f"rra_{k:g}deg"] = _share(rotation < k, rotation)
    for k in thresholds_deg:
        shares[f"rta_{k:g}deg"] = _share(direction < k, direction)
    shares[f"auc_{auc_deg}deg"] = share_of_curve.nanmean(dim=-1)
    return shares


def _share(right: Bool[Tensor, "b p"], errors: Float[Tensor, "b p"]) -> Float[Tensor, " b"]:
    """Return the share of pairs with an error (not NaN) that are right; 0 / 0 is NaN."""
    return right.sum(dim=-1).double() / (~errors.isnan()).sum(dim=-1)
