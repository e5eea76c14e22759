"""Two camera paths made comparable: checked, in one convention, each relative to the first frame scored."""

import math
from dataclasses import dataclass, replace

import torch
from einops import rearrange
from jaxtyping import Bool, Float, Int
from torch import Tensor

from mvt4g.geometry.align import nearest_rotation
from mvt4g.geometry.pose import check_poses, invert_pose, rotate
from mvt4g.types import InputError

CONVENTIONS = ("opencv_world_from_cam", "opencv_cam_from_world", "opengl_world_from_cam", "opengl_cam_from_world")
"""Camera axes (OpenCV: x right, y down, z forward; OpenGL: x right, y up, z backward) and direction."""
TOLERANCE = 1e-3
"""Largest deviation of R R^T from the identity that counts as a rotation."""
STATIC = 1e-6
"""Scene units from its first frame within which a path counts as standing still."""


@dataclass(frozen=True)
class CameraPaths:
    """A predicted and a true path, float64, each relative to its own pose in the first registered frame.

    An unregistered pose of the prediction stands at the origin; so does an unknown one of the truth.

    Attributes:
        pred_rotation: Predicted origin from camera.
        pred_centre: Camera centres, scene units of the prediction.
        target_rotation: True origin from camera.
        target_centre: Camera centres, scene units of the truth.
        registered: Frames that are scored.
        known: Frames whose true pose is known: all, but for unregistered ones with NaN or infinity.
        static_threshold: Scene units of the truth within which a path stands still.
    """

    pred_rotation: Float[Tensor, "b t 3 3"]
    pred_centre: Float[Tensor, "b t 3"]
    target_rotation: Float[Tensor, "b t 3 3"]
    target_centre: Float[Tensor, "b t 3"]
    registered: Bool[Tensor, "b t"]
    known: Bool[Tensor, "b t"]
    static_threshold: float = STATIC

    @property
    def num_registered(self) -> Float[Tensor, " b"]:
        """Frames scored."""
        return self.registered.sum(dim=-1).double()

    @property
    def failed(self) -> Bool[Tensor, " b"]:
        """Whether fewer than two frames are registered, so that there is no relative pose to score."""
        return self.num_registered < 2

    @property
    def static(self) -> Bool[Tensor, " b"]:
        """Whether the true path has no translation in the frames scored; False where failed."""
        reach = torch.linalg.vector_norm(self.scored_target_centre, dim=-1).amax(dim=-1)
        return ~self.failed & (reach <= self.static_threshold)

    def split(self, size: int) -> "list[CameraPaths]":
        """Cut into groups of ``size`` paths."""
        tensors = {name: value for name, value in vars(self).items() if isinstance(value, Tensor)}
        groups = []
        for group in zip(*(tensor.split(size) for tensor in tensors.values()), strict=True):
            groups.append(replace(self, **dict(zip(tensors, group, strict=True))))
        return groups

    @property
    def scored_target_centre(self) -> Float[Tensor, "b t 3"]:
        """True centres, at the origin where they are not scored."""
        return self.target_centre * self.registered[..., None]


def camera_paths(
    pred: Float[Tensor, "b t 4 4"],
    target: Float[Tensor, "b t 4 4"],
    registered: Bool[Tensor, "b t"] | None = None,
    convention: str = CONVENTIONS[0],
    orthonormalize: bool = False,
    static_threshold: float | int = STATIC,
) -> CameraPaths:
    """Check two paths and make each relative to its pose in the first registered frame.

    Args:
        pred: Estimated poses; whatever they are in unregistered frames is not looked at.
        target: True poses; NaN or infinity is allowed in unregistered frames only.
        registered: Frames whose pose was found; None = all.
        convention: What both paths are given in, one of ``CONVENTIONS``.
        orthonormalize: Replace the 3x3 parts by their nearest rotations, for noisy or half-precision poses.
        static_threshold: Scene units of the truth from its first frame, at least 0.

    Raises:
        InputError: For shapes that differ, an unknown convention, or a pose that is none, by its index.
    """
    if pred.ndim != 4 or pred.shape[-2:] != (4, 4) or pred.shape[1] == 0:
        raise InputError(f"pred: got shape {tuple(pred.shape)}, want (b, t, 4, 4), at least one frame")
    if target.shape != pred.shape:
        raise InputError(f"target: got shape {tuple(target.shape)}, want that of pred, {tuple(pred.shape)}")
    if registered is None:
        registered = torch.ones(pred.shape[:2], dtype=torch.bool, device=pred.device)
    if registered.shape != pred.shape[:2] or registered.dtype != torch.bool:
        got = f"{registered.dtype} of shape {tuple(registered.shape)}"
        raise InputError(f"registered: got {got}, want bool of shape {tuple(pred.shape[:2])}")
    if not 0 <= static_threshold < math.inf:
        raise InputError(f"static_threshold: got {static_threshold}, want scene units of at least 0")
    known = registered | target.isfinite().all(dim=-1).all(dim=-1)
    # argmax finds the first True. A path of which nothing is registered is relative to a frame whose truth is known.
    scored = torch.where(registered.any(dim=-1, keepdim=True), registered, known)
    first = scored.int().argmax(dim=-1)
    pred = _checked("pred", pred, registered, convention, orthonormalize)
    target = _checked("target", target, known, convention, orthonormalize)
    pred_path = _relative(pred, first, registered)
    target_path = _relative(target, first, known)
    return CameraPaths(*pred_path, *target_path, registered, known, float(static_threshold))


def opencv_world_from_cam(poses: Float[Tensor, "*b 4 4"], convention: str) -> Float[Tensor, "*b 4 4"]:
    """Convert rigid poses to the house's convention.

    Args:
        poses: Either direction, either camera axes; the world's axes are left as they are.
        convention: What they are in, one of ``CONVENTIONS``.

    Raises:
        InputError: For an unknown convention.
    """
    if convention not in CONVENTIONS:
        raise InputError(f"convention: got {convention!r}, want one of {', '.join(CONVENTIONS)}")
    axes, _, direction = convention.partition("_")
    world_from_cam = poses if direction == "world_from_cam" else invert_pose(poses)
    if axes == "opencv":
        return world_from_cam
    # From OpenGL's camera axes to OpenCV's: y and z turn round, which are columns 1 and 2.
    return world_from_cam * poses.new_tensor([1.0, -1.0, -1.0, 1.0])


def _checked(
    name: str,
    poses: Float[Tensor, "b t 4 4"],
    used: Bool[Tensor, "b t"],
    convention: str,
    orthonormalize: bool,
) -> Float[Tensor, "b t 4 4"]:
    """Return world from camera in float64, with the identity where a pose is not used."""
    identity = torch.eye(4, dtype=torch.float64, device=poses.device)
    poses = torch.where(used[..., None, None], poses.double(), identity)
    if orthonormalize:
        rotation = poses[..., :3, :3]
        upright = rotation.isfinite().all(dim=-1).all(dim=-1) & (torch.linalg.det(rotation) > 0)
        nearest = nearest_rotation(torch.where(upright[..., None, None], rotation, identity[:3, :3]))
        rotation = torch.where(upright[..., None, None], nearest, rotation)  # what is no rotation is refused below
        rows = torch.cat([rotation, poses[..., :3, 3:]], dim=-1)
        poses = torch.cat([rows, poses[..., 3:, :]], dim=-2)
    check_poses(poses, name, tolerance=TOLERANCE)
    return opencv_world_from_cam(poses, convention)


def _relative(
    world_from_cam: Float[Tensor, "b t 4 4"], first: Int[Tensor, " b"], used: Bool[Tensor, "b t"]
) -> tuple[Float[Tensor, "b t 3 3"], Float[Tensor, "b t 3"]]:
    """Return rotations and centres relative to one frame a path; a standing camera has centres of exactly 0.

    Unlike ``geometry.pose.relative_to``, centres are subtracted before they are rotated.
    """
    origin = torch.take_along_dim(world_from_cam, first[:, None, None, None], dim=1)
    origin_from_world = rearrange(origin[..., :3, :3], "b 1 i j -> b 1 j i")
    rotation = origin_from_world @ world_from_cam[..., :3, :3]
    centre = rotate(origin_from_world, world_from_cam[..., :3, 3] - origin[..., :3, 3])
    identity = torch.eye(3, dtype=rotation.dtype, device=rotation.device)
    return torch.where(used[..., None, None], rotation, identity), centre * used[..., None]
