"""Geometry of a pair of images: what is trusted, and in which frame."""

import torch

from mvt4g.geometry.pose import transform_points
from mvt4g.metrics.networks.geometry import GeometryProvider, geometry_from_depth, geometry_from_pointmaps
from tests.metrics.cases.met3r import flat_world
from tests.metrics.made_up_pairs import camera, points_in_a, shifted, turned


def test_depths_and_cameras_give_points_of_the_first_camera():
    depths = torch.full((2, 4, 4), 2.0)
    depths[1, 0, 0] = 0.0
    seen = geometry_from_depth(depths, camera(4.0, 4, 4).expand(2, 3, 3), shifted(1.0))
    alone = points_in_a(depths[0], camera(4.0, 4, 4))
    torch.testing.assert_close(seen.points[0], alone)
    torch.testing.assert_close(seen.points[1][1:], alone[1:] + torch.tensor([1.0, 0.0, 0.0]))
    assert seen.valid.flatten(1).sum(dim=1).tolist() == [16, 15]


def test_points_that_are_not_trusted_are_left_out():
    points = points_in_a(torch.full((4, 4), 2.0), camera(4.0, 4, 4)).expand(2, 4, 4, 3)
    confidence = torch.ones(2, 4, 4)
    confidence[0, 0] = 0.5
    points = torch.where(torch.arange(4)[:, None, None] == 3, torch.nan, points)
    seen = geometry_from_pointmaps(points, torch.eye(4), camera(4.0, 4, 4), confidence, min_confidence=0.6)
    assert seen.valid.flatten(1).sum(dim=1).tolist() == [8, 12]
    assert torch.equal(seen.trusted_points().isfinite().all(dim=-1), seen.valid)
    assert isinstance(flat_world, GeometryProvider)


def test_pointmaps_of_a_common_frame_are_brought_to_the_first_camera():
    points = torch.rand(2, 4, 4, 3)
    first_from_common = turned(0.1, 0.2, 0.3, translation=(1.0, 2.0, 3.0))
    seen = geometry_from_pointmaps(points, first_from_common, camera(4.0, 4, 4))
    torch.testing.assert_close(seen.points, transform_points(first_from_common, points))
    assert seen.valid.all()
