"""Poses by photometric alignment through the estimators' protocol."""

import dataclasses

import pytest
import torch

from mvt4g.geometry.pose import compose, invert_pose, rotation_angle
from mvt4g.metrics.pose_estimators.photometric import PhotometricAlignment
from mvt4g.metrics.pose_estimators.poses import KnownView, PoseEvidence
from mvt4g.types import InputError
from tests.static_scenes import moved_pair


@pytest.fixture(scope="module")
def evidence():
    """The known view's camera is off by 2 degrees and 3 % of the depth from that of the generated frame."""
    known, generated = moved_pair(96, 2.0, 0.03)
    view = KnownView(known.cameras[0], known.depth[0], known.video[0])
    return PoseEvidence(1, video=generated.video[0], intrinsics=generated.cameras.intrinsics[0], known=view), generated


def test_a_frame_is_found_in_the_world_of_the_known_view(evidence):
    given, generated = evidence
    estimate = PhotometricAlignment()(given)
    assert estimate.registered.all()
    assert estimate.reason is None
    difference = compose(generated.cameras.cam_from_world[0], estimate.world_from_cam)
    assert rotation_angle(difference[:, :3, :3]).rad2deg() < 0.1
    assert difference[:, :3, 3].norm() < 0.02


def test_the_search_starts_where_it_is_told(evidence):
    given, generated = evidence
    start = invert_pose(generated.cameras.cam_from_world[0])
    estimate = PhotometricAlignment()(dataclasses.replace(given, expected_world_from_cam=start))
    torch.testing.assert_close(estimate.world_from_cam, start, rtol=0, atol=0.02)


@pytest.mark.parametrize(
    ("video", "reason"),
    [
        (torch.rand(1, 3, 96, 96, generator=torch.Generator().manual_seed(0)), "frame 0: detail correlates by"),
        (torch.full((1, 3, 96, 96), 0.5), "frame 0: detail correlates by nan"),
    ],
)
def test_noise_and_grey_give_a_reason_and_no_pose(evidence, video, reason):
    estimate = PhotometricAlignment()(dataclasses.replace(evidence[0], video=video))
    assert not estimate.registered.any()
    assert estimate.world_from_cam.isnan().all()
    assert estimate.reason.startswith(reason)


def test_a_start_far_away_gives_a_reason(evidence):
    start = invert_pose(evidence[1].cameras.cam_from_world[0])
    start[:, :3, 2] *= -1
    start[:, :3, 0] *= -1
    estimate = PhotometricAlignment()(dataclasses.replace(evidence[0], expected_world_from_cam=start))
    assert estimate.reason == "frame 0: 0% of the known points in the frame, want 30%"


def test_a_known_view_without_static_pixels_gives_a_reason(evidence):
    moving = dataclasses.replace(evidence[0].known, static=torch.zeros(1, 96, 96, dtype=torch.bool))
    estimate = PhotometricAlignment()(dataclasses.replace(evidence[0], known=moving))
    assert estimate.reason == "frame 0: the known view has fewer than 32 usable pixels"


def test_what_is_missing_is_named(evidence):
    with pytest.raises(InputError, match=r"evidence.known.video: got none, want it for PhotometricAlignment"):
        PhotometricAlignment()(dataclasses.replace(evidence[0], known=None))
