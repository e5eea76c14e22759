"""Pairs of views to compare: flat ones known by hand, random ones full of occlusions, a consistent textured plane."""

import torch

from mvt4g.geometry.pose import invert_pose, pose_from, rotation_from_axis_angle
from mvt4g.metrics.functional.consistency import lift_depth


def camera(focal: float, height: int, width: int) -> torch.Tensor:
    return torch.tensor([[focal, 0.0, width / 2], [0.0, focal, height / 2], [0.0, 0.0, 1.0]])


def shifted(x: float, y: float = 0.0, z: float = 0.0) -> torch.Tensor:
    return pose_from(torch.eye(3), torch.tensor([x, y, z]))


def turned(*axis_angle: float, translation: tuple[float, ...] = (0.0, 0.0, 0.0)) -> torch.Tensor:
    return pose_from(rotation_from_axis_angle(torch.tensor(axis_angle)), torch.tensor(translation))


def constant(*values: float, size: tuple[int, int] = (4, 8)) -> torch.Tensor:
    return torch.tensor(values).expand(*size, len(values))


class RandomPair:
    """Two views of random depths; steps in depth make occlusions, cameras differ in size and focal length."""

    def __init__(self, seed: int):
        draw = torch.Generator().manual_seed(seed)

        def uniform(*shape: int) -> torch.Tensor:
            return torch.rand(shape, generator=draw)

        (ha, wa), (hb, wb) = (9, 12), (11, 8)
        self.intrinsics_a, self.intrinsics_b = camera(9.0, ha, wa), camera(7.0, hb, wb)
        self.b_from_a = turned(0.03, -0.05, 0.1, translation=(0.2, -0.1, 0.15))
        self.depth_a = 2 + 0.02 * uniform(ha, wa) + 2 * (uniform(ha, wa) < 0.2)
        points = (lift_depth(self.depth_a, self.intrinsics_a).flatten(0, 1) @ self.b_from_a[:3, :3].T)[:, 2] + 0.15
        self.depth_b = points.median() * (0.97 + 0.06 * uniform(hb, wb))
        self.depth_a[0, 0], self.depth_a[3, 4], self.depth_b[5, 5] = 0.0, torch.nan, torch.inf
        self.features_a = torch.randn(ha, wa, 5, generator=draw)
        self.features_b = torch.randn(hb, wb, 5, generator=draw)
        self.features_a[2, 2] = 0.0
        self.region_a, self.region_b = uniform(ha, wa) < 0.6, uniform(hb, wb) < 0.6

    def arguments(self) -> tuple[torch.Tensor, ...]:
        return (
            self.features_a, self.features_b, self.depth_a, self.depth_b, self.intrinsics_a, self.intrinsics_b,
            self.b_from_a,
        )  # fmt: skip


def textured_plane(size: int = 48) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Two views of a slanted plane with smooth features: features of both, depths, one K and b_from_a = shift."""
    waves = torch.randn(16, 2, generator=torch.Generator().manual_seed(0)) * 3
    intrinsics, maps, depths = camera(size, size, size), [], []
    for x in (0.0, 0.13):
        ray = lift_depth(torch.ones(size, size), intrinsics)
        depth = (3 + 0.3 * x) / (1 - 0.3 * ray[..., 0])  # z = 3 + 0.3 X of a world in which the camera is at X = x
        point = ray[..., :2] * depth[..., None] + torch.tensor([x, 0.0])
        maps.append(torch.cat([(point @ waves.T).sin(), (point @ waves.T).cos()], dim=-1))
        depths.append(depth)
    return torch.stack(maps), torch.stack(depths), intrinsics, shifted(-0.13)


def points_in_a(depth: torch.Tensor, intrinsics: torch.Tensor, b_from_a: torch.Tensor | None = None):
    points = lift_depth(depth, intrinsics)
    return points if b_from_a is None else points @ invert_pose(b_from_a)[:3, :3].T + invert_pose(b_from_a)[:3, 3]
