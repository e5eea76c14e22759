"""Camera paths for the tests of camera metrics."""

import torch

from mvt4g.geometry.pose import pose_from, rotation_from_axis_angle


def path(*shape, seed=0, turn=1.0, dtype=torch.float64):
    """Random world-from-camera (*shape 4 4), rotations of about ``turn`` radians."""
    generator = torch.Generator().manual_seed(seed)
    axis_angle = turn * torch.randn(*shape, 3, generator=generator, dtype=torch.float64)
    centre = torch.randn(*shape, 3, generator=generator, dtype=torch.float64)
    return pose_from(rotation_from_axis_angle(axis_angle), centre).to(dtype)


def straight(*centres, turns_y_deg=None):
    """World-from-camera at given centres, turned about y."""
    centre = torch.tensor(centres, dtype=torch.float64)
    axis_angle = torch.zeros_like(centre)
    if turns_y_deg is not None:
        axis_angle[:, 1] = torch.deg2rad(torch.tensor(turns_y_deg, dtype=torch.float64))
    return pose_from(rotation_from_axis_angle(axis_angle), centre)


def disturbed(target, seed=0, turn=0.05, shift=0.1):
    """A path near another, in another world and scale."""
    generator = torch.Generator().manual_seed(seed)
    axis_angle = turn * torch.randn(*target.shape[:-2], 3, generator=generator, dtype=torch.float64)
    noise = pose_from(
        rotation_from_axis_angle(axis_angle),
        shift * torch.randn(*target.shape[:-2], 3, generator=generator, dtype=torch.float64),
    )
    near = target.double() @ noise
    near[..., :3, 3] *= 1.7
    world = path(*target.shape[:-3], seed=seed + 1000)[..., None, :, :]
    return (world @ near).to(target.dtype)
