"""Rigid transforms ``a_from_b`` and rotations, OpenCV axes (x right, y down, z forward).

Sums are written out instead of using matmul: autocast and TF32 round matmuls, and geometry is fp32 under any setting.
"""

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from mvt4g.types import InputError

PARALLEL = 1e-6
"""Sine of the angle under which two directions count as parallel."""


def rotate(
    rotation: Float[Tensor, "*#b 3 3"],
    vectors: Float[Tensor, "*#b 3"],
) -> Float[Tensor, "*b 3"]:
    """Apply a rotation (or any 3x3 matrix) to vectors."""
    x = vectors[..., :1]
    y = vectors[..., 1:2]
    z = vectors[..., 2:]
    return rotation[..., 0] * x + rotation[..., 1] * y + rotation[..., 2] * z


def transform_points(
    a_from_b: Float[Tensor, "*#b 4 4"],
    points_b: Float[Tensor, "*#b 3"],
) -> Float[Tensor, "*b 3"]:
    """Take points from frame b to frame a."""
    return rotate(a_from_b[..., :3, :3], points_b) + a_from_b[..., :3, 3]


def compose(
    a_from_b: Float[Tensor, "*#b 4 4"],
    b_from_c: Float[Tensor, "*#b 4 4"],
) -> Float[Tensor, "*b 4 4"]:
    """Chain two transforms into ``a_from_c``, without matmul's reduced precisions."""
    left = rearrange(a_from_b, "... i j -> ... i j 1")
    right = rearrange(b_from_c, "... j k -> ... 1 j k")
    return (left * right).sum(dim=-2)


def pose_from(
    rotation: Float[Tensor, "*#b 3 3"],
    translation: Float[Tensor, "*#b 3"],
) -> Float[Tensor, "*b 4 4"]:
    """Put a rotation and a translation into one 4x4 matrix with last row 0 0 0 1."""
    batch = torch.broadcast_shapes(rotation.shape[:-2], translation.shape[:-1])
    column = rearrange(translation, "... i -> ... i 1")
    rotation = rotation.expand(*batch, 3, 3)
    top = torch.cat([rotation, column.expand(*batch, 3, 1)], dim=-1)
    bottom = top.new_tensor([0.0, 0.0, 0.0, 1.0]).expand(*batch, 1, 4)
    return torch.cat([top, bottom], dim=-2)


def invert_pose(a_from_b: Float[Tensor, "*b 4 4"]) -> Float[Tensor, "*b 4 4"]:
    """Return ``b_from_a`` of a rigid transform: transposed rotation, rotated and negated translation."""
    b_from_a_rotation = rearrange(a_from_b[..., :3, :3], "... i j -> ... j i")
    translation = -rotate(b_from_a_rotation, a_from_b[..., :3, 3])
    return pose_from(b_from_a_rotation, translation)


def relative_to(
    world_from_cam: Float[Tensor, "*b t 4 4"], world_from_origin: Float[Tensor, "*b 4 4"]
) -> Float[Tensor, "*b t 4 4"]:
    """Return ``origin_from_cam`` for every camera of a path.

    Args:
        world_from_cam: The path.
        world_from_origin: The camera that becomes the origin, often frame 0 of a view.
    """
    origin_from_world = rearrange(invert_pose(world_from_origin), "... i j -> ... 1 i j")
    return compose(origin_from_world, world_from_cam)


def look_at(
    position: Float[Tensor, "*#b 3"],
    target: Float[Tensor, "*#b 3"],
    up: tuple[float | int, float | int, float | int] = (0.0, 0.0, 1.0),
) -> Float[Tensor, "*b 4 4"]:
    """Return ``world_from_cam`` of a camera that sees ``target`` in its centre.

    Args:
        position: Camera centre, world frame.
        target: Point to look at, world frame; where it is the position itself, the view is along ``up``.
        up: World direction that points up in the image, any length but 0. Looking along it, the world axis
            farthest from it takes its place.

    Raises:
        InputError: If ``up`` has no direction.
    """
    up_world = position.new_tensor(up)
    if not float(up_world.norm()) > 0.0:
        raise InputError(f"up: got {up}, want a direction")
    up_world = up_world / up_world.norm()
    spare = torch.zeros_like(up_world)
    spare[up_world.abs().argmin()] = 1.0

    position, target = torch.broadcast_tensors(position, target)
    offset = target - position
    distance = torch.linalg.vector_norm(offset, dim=-1, keepdim=True)
    safe_distance = torch.where(distance > 0, distance, 1.0)
    forward = torch.where(distance > 0, offset / safe_distance, up_world)
    across = torch.linalg.cross(forward, up_world.expand_as(forward))
    parallel = torch.linalg.vector_norm(across, dim=-1, keepdim=True) < PARALLEL
    spare_across = torch.linalg.cross(forward, spare.expand_as(forward))
    across = torch.where(parallel, spare_across, across)
    right = across / torch.linalg.vector_norm(across, dim=-1, keepdim=True)
    down = torch.linalg.cross(forward, right)
    return pose_from(torch.stack([right, down, forward], dim=-1), position)


def rotation_from_axis_angle(axis_angle: Float[Tensor, "*b 3"]) -> Float[Tensor, "*b 3 3"]:
    """Return the right-handed rotation about a vector by its length in radians; smooth at 0.

    Source: Rodrigues' formula.
    """
    angle = torch.linalg.vector_norm(axis_angle, dim=-1)[..., None, None]
    x, y, z = axis_angle.unbind(dim=-1)
    zero = torch.zeros_like(x)
    skew = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], dim=-1)
    skew = rearrange(skew, "... (i j) -> ... i j", i=3)
    left = rearrange(skew, "... i j -> ... i j 1")
    skew_squared = (left * rearrange(skew, "... j k -> ... 1 j k")).sum(dim=-2)
    # sin(a) / a and (1 - cos(a)) / a^2 = 2 sin^2(a / 2) / a^2; torch's sinc(x) is sin(pi x) / (pi x).
    sine_over_angle = torch.sinc(angle / torch.pi)
    versine_over_square = 0.5 * torch.sinc(angle / (2 * torch.pi)).square()
    identity = torch.eye(3, dtype=axis_angle.dtype, device=axis_angle.device)
    return identity + sine_over_angle * skew + versine_over_square * skew_squared


def rotation_from_quaternion(wxyz: Float[Tensor, "*b 4"]) -> Float[Tensor, "*b 3 3"]:
    """Return the rotation of a quaternion, scalar first, of any length; a zero quaternion gives the identity."""
    length = torch.linalg.vector_norm(wxyz, dim=-1, keepdim=True)
    unit = wxyz / torch.where(length > 0, length, 1.0)
    w, x, y, z = unit.unbind(dim=-1)
    entries = [
        1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y),
        2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x),
        2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y),
    ]  # fmt: skip
    return rearrange(torch.stack(entries, dim=-1), "... (i j) -> ... i j", i=3)


def quaternion_from_rotation(rotation: Float[Tensor, "*b 3 3"]) -> Float[Tensor, "*b 4"]:
    """Return a unit quaternion of a rotation, scalar first; of the two, the one whose largest entry is positive.

    Source: Shepperd, Quaternion from rotation matrix, 1978: the largest entry is found by a root, the others by
        division, so that no angle loses digits.
    """
    first, second, third = rotation.unbind(dim=-2)
    xx, xy, xz = first.unbind(dim=-1)
    yx, yy, yz = second.unbind(dim=-1)
    zx, zy, zz = third.unbind(dim=-1)
    # 4 times the outer product of the quaternion with itself: every row is the quaternion, but for its length.
    products = torch.stack([
        1 + xx + yy + zz, zy - yz, xz - zx, yx - xy,
        zy - yz, 1 + xx - yy - zz, xy + yx, xz + zx,
        xz - zx, xy + yx, 1 - xx + yy - zz, yz + zy,
        yx - xy, xz + zx, yz + zy, 1 - xx - yy + zz,
    ], dim=-1)  # fmt: skip
    products = rearrange(products, "... (i j) -> ... i j", i=4)
    largest = products.diagonal(dim1=-2, dim2=-1).argmax(dim=-1)
    row = torch.take_along_dim(products, largest[..., None, None], dim=-2)[..., 0, :]
    return row / torch.linalg.vector_norm(row, dim=-1, keepdim=True)


def axis_angle_from_rotation(rotation: Float[Tensor, "*b 3 3"]) -> Float[Tensor, "*b 3"]:
    """Return the vector of ``rotation_from_axis_angle``: along the axis, of a length in [0, pi] radians.

    Half a turn has two such vectors, of which one is given.
    """
    wxyz = quaternion_from_rotation(rotation)
    # q and -q are one rotation: the one whose angle is at most pi.
    wxyz = torch.where(wxyz[..., :1] < 0, -wxyz, wxyz)
    sine = torch.linalg.vector_norm(wxyz[..., 1:], dim=-1, keepdim=True)
    angle = 2 * torch.atan2(sine, wxyz[..., :1])
    # angle / sine goes to 2 where both go to 0.
    factor = torch.where(sine > 0, angle / torch.where(sine > 0, sine, 1.0), 2.0)
    return wxyz[..., 1:] * factor


def rotation_angle(rotation: Float[Tensor, "*b 3 3"]) -> Float[Tensor, " *b"]:
    """Return the angle of a rotation, radians in [0, pi]; by atan2, exact near 0 where arccos of the trace is not."""
    axis_twice_sine = torch.stack(
        [
            rotation[..., 2, 1] - rotation[..., 1, 2],
            rotation[..., 0, 2] - rotation[..., 2, 0],
            rotation[..., 1, 0] - rotation[..., 0, 1],
        ],
        dim=-1,
    )
    twice_sine = torch.linalg.vector_norm(axis_twice_sine, dim=-1)
    twice_cosine = rotation[..., 0, 0] + rotation[..., 1, 1] + rotation[..., 2, 2] - 1
    return torch.atan2(twice_sine, twice_cosine)


def check_poses(
    poses: Float[Tensor, "*b 4 4"],
    name: str,
    tolerance: float = 1e-3,
) -> None:
    """Refuse matrices that are not rigid transforms.

    Args:
        poses: Transforms of either direction.
        name: What the message calls them: an argument, or a file and its key.
        tolerance: Largest deviation of R R^T from the identity, and of the last row from 0 0 0 1.

    Raises:
        InputError: For the first matrix with a NaN or infinity, a last row that is not 0 0 0 1, a part that is no
            rotation, or a reflection.
    """
    finite = poses.isfinite().all(dim=-1).all(dim=-1)
    last_row = poses[..., 3, :] - poses.new_tensor([0.0, 0.0, 0.0, 1.0])
    is_homogeneous = last_row.abs().amax(dim=-1) <= tolerance
    rotation = poses[..., :3, :3].double()  # of which no matmul is rounded
    identity = torch.eye(3, dtype=rotation.dtype, device=poses.device)
    deviation = (rotation @ rotation.mT - identity).abs().amax(dim=(-2, -1))
    third = torch.linalg.cross(rotation[..., 0], rotation[..., 1])
    handedness = (third * rotation[..., 2]).sum(dim=-1)
    faults = [
        (~finite, "NaN or infinity", "finite numbers"),
        (~is_homogeneous, "another last row", "last row 0 0 0 1"),
        (~(deviation <= tolerance), "a 3x3 part that is not orthonormal", f"a rotation to within {tolerance:g}"),
        (~(handedness > 0), "a reflection (det -1)", "a rotation (det +1)"),
    ]
    for fault, got, want in faults:
        if bool(fault.any()):
            index = ", ".join(map(str, fault.nonzero()[0].tolist()))
            which = f"{name}[{index}]" if index else name
            raise InputError(f"{which}: got {got}, want {want}")
