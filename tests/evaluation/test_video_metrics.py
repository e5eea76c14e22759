"""What is told of a generated video: the views in their places, the estimator's poses, the known view."""

from dataclasses import dataclass, replace

import pytest
import torch

from mvt4g.evaluation.video_metrics import describe, pose_evidence, with_poses
from mvt4g.geometry.pose import invert_pose
from mvt4g.metrics.pose_estimators.photometric import PhotometricAlignment
from mvt4g.metrics.pose_estimators.poses import PoseEstimate, PoseEvidence
from mvt4g.types import InputError
from tests.pretend_device import brought_back, second_device, sent
from tests.systems.wall import wall_batch


@dataclass
class Echo:
    """Answers with the poses that were asked for, but for the first frame."""

    seen: list[PoseEvidence]

    def __call__(self, evidence: PoseEvidence) -> PoseEstimate:
        self.seen.append(evidence)
        registered = torch.arange(evidence.num_frames) > 0
        return PoseEstimate(evidence.expected_world_from_cam, registered, "frame 0: not looked for")


def test_views_are_in_their_places():
    clip = wall_batch(0, 1)
    videos = describe(clip, ("a", "b"), clip.video[:, 1] + 1.0)
    assert videos.video.max() == 1.0
    assert torch.equal(videos.target.video, clip.video[:, 1])
    assert torch.equal(videos.reference.video, clip.video[:, 0])
    assert torch.equal(videos.target.cam_from_world, clip.cameras.cam_from_world[:, 1])
    assert torch.equal(videos.reference.cam_from_world, clip.cameras.cam_from_world[:, 0])
    assert videos.target.dynamic is None
    assert videos.fps is None
    assert describe(replace(clip, fps=(8.0, 24.0)), ("a", "b"), clip.video[:, 1]).fps.tolist() == [8.0, 24.0]
    one = wall_batch(0)
    assert describe(replace(one, fps=8.0), ("a",), one.video[:, 1]).fps.tolist() == [8.0]


def test_an_estimator_sees_each_video_and_its_known_view():
    clip, estimator = wall_batch(0, 1), Echo([])
    videos = with_poses(describe(clip, ("a", "b"), clip.video[:, 1]), estimator)
    assert [evidence.name for evidence in estimator.seen] == ["a", "b"]
    assert torch.equal(estimator.seen[1].known.video, clip.video[1, 1])
    assert torch.equal(videos.pred_world_from_cam, invert_pose(clip.cameras.cam_from_world[:, 1]))
    assert videos.registered.tolist() == [[False, True, True]] * 2
    assert videos.notes == ("frame 0: not looked for",) * 2


def test_poses_that_are_found_on_the_cpu_go_where_the_video_is():
    clip = wall_batch(0)
    videos = describe(clip, ("a",), clip.video[:, 1])
    wanted = with_poses(videos, Echo([]))
    with second_device():
        there = replace(videos, video=sent(videos.video))
        found = with_poses(there, Echo([]))
        assert torch.equal(brought_back(found.pred_world_from_cam), wanted.pred_world_from_cam)
        assert torch.equal(brought_back(found.registered), wanted.registered)


def test_a_video_of_which_too_little_is_known_is_named():
    videos = describe(wall_batch(0), ("dog",), wall_batch(0).video[:, 1])
    videos = replace(videos, target=replace(videos.target, intrinsics=None))
    with pytest.raises(InputError, match=r"dog: evidence\.intrinsics: got none, want it for PhotometricAlignment"):
        with_poses(videos, PhotometricAlignment())


def test_without_depth_of_the_target_the_reference_is_known():
    clip = wall_batch(0)
    videos = describe(clip, ("a",), clip.video[:, 1])
    videos = replace(videos, target=replace(videos.target, depth=None))
    assert torch.equal(pose_evidence(videos, 0).known.video, clip.video[0, 0])
    assert pose_evidence(replace(videos, reference=replace(videos.reference, depth=None)), 0).known is None


def test_known_poses_stay():
    clip = wall_batch(0)
    videos = with_poses(describe(clip, ("a",), clip.video[:, 1]), Echo([]))
    estimator = Echo([])
    assert with_poses(videos, estimator) is videos
    assert estimator.seen == []
