"""Poses from tracks and depth: known cameras found, and a reason instead of a pose where there is none."""

import pytest
import torch

from mvt4g.geometry.pose import compose, invert_pose, rotation_angle
from mvt4g.metrics.pose_estimators.poses import KnownView, PoseEvidence, TrackDepthPnP
from mvt4g.synthetic.generate import SceneSpec, generate_clip
from mvt4g.synthetic.spec import PointSpec
from mvt4g.types import REFERENCE, TARGET, InputError

FRAMES, DEPTH = 3, 8.0


@pytest.fixture(scope="module")
def clip():
    return generate_clip(SceneSpec(FRAMES, (256, 256), num_views=2, points=PointSpec(count=200)), 0, 1)


def _evidence(clip, noise_px=0.5, outliers=0.2, seed=0, **changes):
    generator = torch.Generator().manual_seed(seed)
    tracks = clip.tracks[TARGET] + noise_px * torch.randn(clip.tracks[TARGET].shape, generator=generator)
    wrong = torch.rand(tracks.shape[:2], generator=generator) < outliers
    tracks = torch.where(wrong[..., None], torch.rand(tracks.shape, generator=generator) * 256, tracks)
    given = {
        "intrinsics": clip.cameras.intrinsics[TARGET],
        "tracks": tracks,
        "visible": clip.visible[TARGET],
        "points_world": clip.points_world,
    }
    return PoseEvidence(FRAMES, **(given | changes))


def _errors(estimate, clip):
    difference = compose(clip.cameras.cam_from_world[TARGET], estimate.world_from_cam)
    return rotation_angle(difference[:, :3, :3]).rad2deg().max(), difference[:, :3, 3].norm(dim=-1).max() / DEPTH


def test_the_bar_on_a_synthetic_clip(clip):
    estimate = TrackDepthPnP()(_evidence(clip))
    assert estimate.registered.all()
    assert estimate.reason is None
    rotation, position = _errors(estimate, clip)
    assert rotation < 0.2
    assert position < 0.01
    assert 0.7 < (estimate.quality["inliers"] / estimate.quality["usable"]).mean() < 0.85


def test_points_are_lifted_from_the_reference(clip):
    known = KnownView(
        clip.cameras[REFERENCE], clip.depth[REFERENCE], tracks=clip.tracks[REFERENCE], visible=clip.visible[REFERENCE]
    )
    estimate = TrackDepthPnP()(_evidence(clip, points_world=None, known=known))
    assert estimate.registered.all()
    assert _errors(estimate, clip)[0] < 0.25


def test_random_tracks_give_a_reason_and_no_pose(clip):
    estimate = TrackDepthPnP()(_evidence(clip, outliers=1.0))
    assert not estimate.registered.any()
    assert estimate.world_from_cam.isnan().all()
    assert "frame 0: " in estimate.reason
    assert "tracks agree within 2 px" in estimate.reason


def test_a_lost_frame_is_the_only_one_without_a_pose(clip):
    evidence = _evidence(clip)
    evidence.tracks[1] = torch.nan
    estimate = TrackDepthPnP()(evidence)
    assert estimate.registered.tolist() == [True, False, True]
    assert estimate.reason == "frame 1: got 0 usable tracks, want at least 8"
    assert estimate.world_from_cam[1].isnan().all()
    assert estimate.world_from_cam[[0, 2]].isfinite().all()


def test_points_on_a_line_give_a_reason(clip):
    line = torch.linspace(-2, 2, 200)[:, None] * torch.tensor([0.6, 0.8, 0.1])
    points = line.expand(FRAMES, 200, 3).contiguous()
    target = clip.cameras[TARGET]
    seen = compose(target.cam_from_world[:, None], torch.eye(4).expand(1, 1, 4, 4))
    camera_points = (seen[..., :3, :3] @ points[..., None])[..., 0] + seen[..., :3, 3]
    tracks = (target.intrinsics[:, None] @ (camera_points / camera_points[..., 2:])[..., None])[..., :2, 0]
    estimate = TrackDepthPnP()(_evidence(clip, points_world=points, tracks=tracks, visible=None))
    assert not estimate.registered.any()


def test_the_seed_decides(clip):
    first, again = (TrackDepthPnP(seed=4)(_evidence(clip, outliers=0.5)) for _ in range(2))
    assert torch.equal(first.world_from_cam, again.world_from_cam)


def test_the_found_pose_is_world_from_cam(clip):
    estimate = TrackDepthPnP()(_evidence(clip, noise_px=0.0, outliers=0.0))
    want = invert_pose(clip.cameras.cam_from_world[TARGET])
    torch.testing.assert_close(estimate.world_from_cam, want, rtol=0, atol=2e-3)


def test_what_is_missing_or_of_another_length_is_named(clip, without_shape_hook):
    with pytest.raises(InputError, match=r"evidence.tracks: got none, want it for TrackDepthPnP"):
        TrackDepthPnP()(_evidence(clip, tracks=None))
    with pytest.raises(InputError, match=r"evidence.known: got none"):
        TrackDepthPnP()(_evidence(clip, points_world=None))
    with pytest.raises(InputError, match=r"evidence.intrinsics: got shape \(2, 3, 3\), want \(t, 3, 3\) with t=3"):
        TrackDepthPnP()(_evidence(clip, intrinsics=torch.eye(3).expand(2, 3, 3)))
    with pytest.raises(InputError, match=r"evidence.points_world: got shape .* with t=3, n=200"):
        TrackDepthPnP()(_evidence(clip, points_world=torch.zeros(FRAMES, 7, 3)))
