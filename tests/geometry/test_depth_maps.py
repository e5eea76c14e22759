import torch

from mvt4g.geometry.camera import unproject_pixels
from mvt4g.geometry.depth_maps import frame_depth, plane_depth, resize_depth
from mvt4g.geometry.framing import Framing, Window
from mvt4g.geometry.pixels import pixel_centres
from mvt4g.geometry.pose import rotation_from_axis_angle
from mvt4g.types import Cameras


def slanted(height: int, width: int) -> torch.Tensor:
    """Return a plane's depth at any size of one picture of 12x8 pixels."""
    x, y = (pixel_centres(height, width) * torch.tensor([12 / width, 8 / height])).unbind(dim=-1)
    return 1 / (0.2 + 0.001 * x + 0.002 * y)


def test_a_plane_keeps_its_depth_at_another_size():
    for size in ((16, 24), (4, 6), (11, 7)):
        got = resize_depth(slanted(8, 12)[None], size)[0]
        inner = tuple(slice(size[axis] // 6 + 1, -size[axis] // 6 - 1) for axis in (0, 1))  # the border is continued
        torch.testing.assert_close(got[inner], slanted(*size)[inner])


def test_surfaces_are_not_mixed_and_holes_stay():
    depth = torch.full((1, 4, 6), 2.0)
    depth[..., 3:] = 8.0
    depth[0, 0, 0] = 0.0
    large = resize_depth(depth, (12, 18))
    assert set(large.unique().round(decimals=5).tolist()) == {0.0, 2.0, 8.0}
    assert (large[0, :3, :3] == 0).all()
    assert (large == 0).sum() == 9
    assert resize_depth(depth, (4, 6)) is depth


def test_points_of_a_plane_lie_on_it_seen_from_anywhere():
    pose = torch.eye(4).repeat(3, 1, 1)
    pose[:, :3, :3] = rotation_from_axis_angle(torch.tensor([[0, 0, 0], [0, 0.3, 0], [0, 3.0, 0]]))
    pose[:, 0, 3] = torch.tensor([0.0, 0.5, 0.0])
    lens = torch.tensor([[10.0, 0, 6], [0, 10, 4], [0, 0, 1]]).expand(3, 3, 3)
    point, normal = torch.tensor([0.0, 0.0, 5.0]), torch.tensor([0.1, 0.0, 2.0])
    depth = plane_depth(Cameras(pose, lens), (8, 12), point, normal)
    assert (depth[:2] > 0).all()
    assert (depth[2] == 0).all(), "it lies behind the third camera"
    for frame in range(2):
        world = unproject_pixels(pixel_centres(8, 12), depth[frame], pose[frame], lens[frame])
        assert ((world - point) @ normal).abs().max() < 1e-4


def test_depth_is_framed_as_the_pictures_are():
    """Inverse depth that rises along x: cut, halved and padded, it is at each centre what the plane has there."""
    inverse = 0.2 + 0.002 * (torch.arange(40.0) + 0.5)
    depth = inverse.reciprocal().expand(2, 20, 40)
    framing = Framing((20, 40), (8, 24), Window(2, 4, 16, 32), (8, 16), (0, -4))
    found = frame_depth(depth, framing)
    assert found.shape == (2, 8, 24)
    assert not bool(found[..., :4].any() | found[..., 20:].any()), "there is no depth in the bars"
    centres = 4 + 2 * (torch.arange(16.0) + 0.5)
    wanted = (0.2 + 0.002 * centres).reciprocal()
    torch.testing.assert_close(found[1, 3, 4:20], wanted, rtol=1e-5, atol=0)
