import pytest
import torch

from mvt4g.geometry.lifting import lift_pixels
from mvt4g.synthetic.generate import SceneSpec, generate_clip


def test_lifted_tracks_are_the_points_they_came_from():
    clip = generate_clip(SceneSpec(image_size=(128, 128), num_views=2), 0, 0)
    points, known = lift_pixels(
        clip.tracks[0], clip.depth[0], clip.cameras.cam_from_world[0], clip.cameras.intrinsics[0]
    )
    seen = clip.visible[0] & known
    assert seen.sum() > 0.7 * clip.visible[0].sum()
    error = (points - clip.points_world).norm(dim=-1)[seen]
    assert error.median() < 1e-3
    assert error.quantile(0.95) < 0.05


def test_outside_holes_edges_and_nan_have_no_point():
    depth = torch.full((4, 6), 2.0)
    depth[:, 3:] = 4.0
    depth[0, 0] = 0.0
    pixels = torch.tensor([[1.5, 2.5], [0.5, 0.5], [3.0, 2.5], [-0.1, 1.0], [6.0, 1.0], [torch.nan, 1.0], [4.5, 1.5]])
    points, known = lift_pixels(pixels, depth, torch.eye(4), torch.eye(3))
    assert known.tolist() == [True, False, False, False, False, False, True]
    assert points.isfinite().all()
    assert points[0].tolist() == pytest.approx([3.0, 5.0, 2.0])
