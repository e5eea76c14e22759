"""Which pixels of a frame become points, and where."""

import pytest
import torch

from mvt4g.formats.scene4d import SceneView
from mvt4g.types import Cameras, InputError
from mvt4g.viz.scene_clouds import CloudFilter, frame_cloud, kept_pixels


def stepped_view(confidence: torch.Tensor | None = None) -> SceneView:
    """Return a view with a step of depth in the middle and a hole."""
    depth = torch.full((1, 10, 20), 2.0)
    depth[..., 10:] = 4.0
    depth[0, 0, 0] = 0.0
    lens = torch.tensor([[[10.0, 0, 10], [0, 10, 5], [0, 0, 1]]])
    video = torch.arange(200, dtype=torch.uint8).reshape(1, 10, 20, 1).expand(1, 10, 20, 3).contiguous()
    return SceneView(video, depth, Cameras(torch.eye(4)[None], lens), confidence)


def test_edges_and_holes_are_left_out():
    kept = kept_pixels(stepped_view(), 0)
    assert not kept[5, 8:12].any()
    assert kept[5, 12:].all()
    assert kept_pixels(stepped_view(), 0, CloudFilter(edges=False)).sum() == 199


def test_the_least_confident_are_left_out():
    confidence = torch.arange(200.0).reshape(1, 10, 20)
    confidence[0, 9, 19] = 0.0
    kept = kept_pixels(stepped_view(confidence), 0, CloudFilter(edges=False, least_confident=0.25))
    assert kept.sum() == 198 - 49
    assert not kept[9, 19], "it has no confidence at all"
    alike = stepped_view(torch.ones(1, 10, 20))
    assert kept_pixels(alike, 0, CloudFilter(edges=False, least_confident=0.9)).sum() == 199
    with pytest.raises(InputError, match="least_confident"):
        CloudFilter(least_confident=1.0)


def test_points_lie_where_the_camera_sees_them():
    cloud = frame_cloud(stepped_view(), 0, CloudFilter(edges=False))
    assert cloud.points.shape == cloud.colours.shape == (199, 3)
    assert cloud.points[0].tolist() == pytest.approx([(1.5 - 10) / 10 * 2, (0.5 - 5) / 10 * 2, 2.0])
    assert cloud.colours[0].tolist() == [1, 1, 1]
