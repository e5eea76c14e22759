import dataclasses

import numpy as np
import pytest
import torch

from mvt4g.geometry.pose import check_poses
from mvt4g.synthetic.camera_specs import MotionRanges, RecamCameras
from mvt4g.synthetic.cameras import camera_centres, draw_cameras
from mvt4g.synthetic.recam_cameras import LOWEST, MOTIONS, NEAREST, move, progress
from mvt4g.types import InputError

SPEC = RecamCameras()
START, AIM = np.array([6.0, 0.0, 3.0]), np.array([0.0, 0.0, 1.0])
FRAMES = 9


def draw(seed, views=3, spec=SPEC):
    return draw_cameras(np.random.default_rng(seed), spec, views, FRAMES, (64, 64))


def only(**ranges):
    """Return a spec whose other motions cannot be seen: zero ranges."""
    still = dict.fromkeys(MOTIONS, (0.0, 0.0)) | ranges
    return dataclasses.replace(SPEC, motions=MotionRanges(**still), static_reference=0.0, eased=0.0)


def turned(poses):
    """Return the angle between the first and the last orientation, degrees."""
    first, last = poses[..., 0, :3, :3].double(), poses[..., -1, :3, :3].double()
    trace = torch.einsum("...ij,...ij->...", first, last)
    return torch.rad2deg(torch.acos(((trace - 1) / 2).clamp(-1, 1)))


@pytest.mark.parametrize(("motion", "least", "largest"), [("pan", 5, 45), ("tilt", 5, 30), ("arc", 15, 75)])
def test_turns_are_within_recammaster_s_ranges(motion, least, largest):
    spec = only(**{motion: (float(least), float(largest))})
    poses = torch.cat([draw(seed, 4, spec).cam_from_world for seed in range(60)])
    angle = turned(poses)
    angle = angle[angle > 0.5]
    assert len(angle) > 30
    if motion == "arc":  # seen from the side, a turn about the vertical turns a camera that looks down by less
        path = camera_centres_of(poses)
        flat = path[:, [0, -1], :2] - middle_of(poses)[:, None, :2]
        angle = torch.rad2deg(
            torch.acos(torch.nn.functional.cosine_similarity(flat[:, 0], flat[:, 1], dim=-1).clamp(-1, 1))
        )
        angle = angle[angle > 0.5]
    assert least - 0.1 <= float(angle.min()) < least + 0.3 * (largest - least)
    assert largest - 0.3 * (largest - least) < float(angle.max()) <= largest + 0.1
    moves = (camera_centres_of(poses)[:, -1] - camera_centres_of(poses)[:, 0]).norm(dim=-1)
    assert (float(moves.max()) > 1) == (motion == "arc")


def camera_centres_of(poses):
    return -torch.einsum("...ji,...j->...i", poses[..., :3, :3].double(), poses[..., :3, 3].double())


def middle_of(poses):
    """Return where the optical axes of the first and the last frame meet at their nearest."""
    centres, axes = camera_centres_of(poses)[:, [0, -1]], poses[:, [0, -1], 2, :3].double()
    offset = centres[:, 1] - centres[:, 0]
    cross = torch.linalg.cross(axes[:, 0], axes[:, 1])
    along = torch.einsum("ni,ni->n", torch.linalg.cross(offset, axes[:, 1]), cross) / cross.square().sum(-1)
    return centres[:, 0] + along[:, None] * axes[:, 0]


def test_translations_are_a_quarter_to_one_of_the_distance():
    spec = only(translation=(0.25, 1.0))
    length = []
    for seed in range(60):
        centres = camera_centres(draw(seed, 4, spec)).double()
        path = (centres[:, -1] - centres[:, 0]).norm(dim=-1)
        length.append(path[path > 0.1])
    length = torch.cat(length)
    assert 0.25 * 6 - 0.01 < float(length.min()) < 0.25 * 8
    assert 6 < float(length.max()) <= 10.01


def test_motions_by_hand():
    amount = np.array([0.0, np.pi / 2])
    for motion in ("static", *MOTIONS):
        poses = move(motion, amount, START, AIM, np.array([0.0, -1, 0]))
        check_poses(poses, motion)
        torch.testing.assert_close(poses[0], move("static", amount, START, AIM, np.zeros(3))[0], atol=1e-12, rtol=0)
    arc = move("arc", amount, START, AIM, np.zeros(3))
    torch.testing.assert_close(arc[1, :3, 3], torch.tensor([0.0, 6.0, 3.0]).double())
    pan = move("pan", amount, START, AIM, np.zeros(3))
    ahead = torch.tensor([-6.0, 0, -2]).double() / 40**0.5
    torch.testing.assert_close(pan[0, :3, 2], ahead)
    torch.testing.assert_close(pan[1, :3, 2], torch.stack([-ahead[1], ahead[0], ahead[2]]))
    tilt = move("tilt", np.array([0.0, 0.1]), START, AIM, np.zeros(3))
    torch.testing.assert_close(tilt[:, :3, 0], tilt[:1, :3, 0].expand(2, -1))
    closer = move("translation", np.array([0.0, 0.5]), START, AIM, np.array([0.0, 0, 1]))
    torch.testing.assert_close(closer[1, :3, 3], torch.tensor([3.0, 0, 2]).double())
    torch.testing.assert_close(closer[1, :3, :3], closer[0, :3, :3])


def test_eased_speed_follows_the_exponential_law():
    assert progress(5, 0.0).tolist() == [0, 0.25, 0.5, 0.75, 1]
    np.testing.assert_allclose(progress(3, 2.0), [0, (1 - np.exp(-1)) / (1 - np.exp(-2)), 1])
    assert progress(3, -2.0)[1] == pytest.approx(1 - progress(3, 2.0)[1])
    assert progress(1, 2.0).tolist() == [0]


def test_half_of_everything():
    starts_shared, still, eased, lenses = 0, 0, [], []
    for seed in range(300):
        cameras = draw(seed, 2)
        poses = cameras.cam_from_world
        starts_shared += torch.equal(poses[0, 0], poses[1, 0])
        still += torch.equal(poses[0, 0], poses[0, -1])
        steps = poses[1, :, :3, :3].diff(dim=0).flatten(1).norm(dim=-1)
        if float(camera_centres(cameras)[1].std(dim=0).max()) < 1e-4:  # pans and tilts: even steps at constant speed
            eased.append(not 0.9 < float(steps[-1] / steps[0]) < 1.1)
        lenses.append(round(float(cameras.intrinsics[0, 0, 0, 0]) / 64 * 23.76))
        assert torch.equal(cameras.intrinsics[0], cameras.intrinsics[1])
        assert not torch.equal(poses[1, 0], poses[1, -1])
    for count in (starts_shared, still):
        assert 120 < count < 180
    assert len(eased) > 80
    assert 0.35 < np.mean(eased) < 0.65
    assert {lens: lenses.count(lens) > 50 for lens in (18, 24, 35, 50)} == dict.fromkeys((18, 24, 35, 50), True)


def test_cameras_keep_above_ground_and_away_from_the_scene():
    for seed in range(100):
        centres = camera_centres(draw(seed)).double()
        assert float(centres[..., 2].min()) > LOWEST - 1e-3
        assert float((centres - torch.tensor([0.0, 0, 1])).norm(dim=-1).min()) > NEAREST - 0.51


def test_more_views_leave_the_first_as_they_are():
    assert torch.equal(draw(4, views=4).cam_from_world[:2], draw(4, views=2).cam_from_world)


def test_a_scene_without_room_is_named():
    with pytest.raises(InputError, match=r"scene\.cameras: got distances \(1.0, 2.0\)"):
        draw(0, spec=dataclasses.replace(SPEC, distance=(1.0, 2.0)))
