"""Tracks of a user's own tracker: read back, believed or not by hand-made numbers, usable as a source."""

from pathlib import Path

import numpy as np
import pytest
import torch

from mvt4g.data.clip_sources import SourceSpec
from mvt4g.data.crops import CropSpec
from mvt4g.data.kubric_datamodule import KubricDataModule
from mvt4g.data.loading import collate
from mvt4g.data.samples import SamplingSpec
from mvt4g.formats.clip_checks import check_clip
from mvt4g.formats.readers.pseudo_track_filter import PseudoTrackFilter
from mvt4g.formats.readers.pseudo_tracks import PseudoTrackClip, count, read
from mvt4g.formats.readers.registry import FORMATS, filter_tracks, open_source
from mvt4g.formats.readers.selection import Selection
from mvt4g.formats.video import write_video
from mvt4g.inference.queries import draw_queries
from mvt4g.losses.correspondence import CorrespondenceLoss, TermRule
from mvt4g.losses.track import TrackLoss
from mvt4g.types import AttentionTap, InputError, LatentGrid, MultiViewClip, TrackPrediction
from tests.data.made_up_clips import moving_clip
from tests.formats.layouts.pseudo_tracks import write_pseudo_tracks
from tests.truths import truth_of

VIEWS, FRAMES, POINTS = 2, 4, 6


@pytest.fixture
def made() -> MultiViewClip:
    """Return a clip of which every point is seen everywhere, inside the image."""
    clip = moving_clip(views=VIEWS, frames=FRAMES, points=POINTS)
    clip.tracks.copy_(5 + 10 * torch.rand(clip.tracks.shape, generator=torch.Generator().manual_seed(0)))
    clip.visible.fill_(True)
    return clip


def visible_of(folder: Path, rule: PseudoTrackFilter = PseudoTrackFilter()) -> tuple[torch.Tensor, list[bool]]:
    clip = read(PseudoTrackClip(folder, rule))
    return clip.visible, clip.point_valid.tolist()


def test_what_is_in_the_folder_comes_back(tmp_path: Path, made):
    made.visible[1, 2, 3] = False
    made.tracks[1, 2, 3] = torch.tensor([-4.0, 90.0])
    write_pseudo_tracks(tmp_path / "walk", made)
    clip = read(PseudoTrackClip(tmp_path / "walk"))
    assert count(PseudoTrackClip(tmp_path / "walk")) == (VIEWS, FRAMES)
    torch.testing.assert_close(clip.video, (made.video * 255).round() / 255)
    torch.testing.assert_close(clip.tracks, made.tracks)
    assert torch.equal(clip.visible, made.visible)
    assert clip.point_valid.all()
    torch.testing.assert_close(clip.cameras.cam_from_world, made.cameras.cam_from_world)
    torch.testing.assert_close(clip.cameras.intrinsics, made.cameras.intrinsics)
    part = read(PseudoTrackClip(tmp_path / "walk"), Selection(views=[1, 0], frames=[1, 3]))
    torch.testing.assert_close(part.tracks, made.tracks[[1, 0]][:, [1, 3]])
    torch.testing.assert_close(part.video, clip.video[[1, 0]][:, [1, 3]])


def test_confidence_by_hand(tmp_path: Path, made):
    confidence = np.full((VIEWS, FRAMES, POINTS), 0.9, np.float32)
    confidence[0, 1, 2], confidence[1, 3, 4] = 0.5, 0.49
    write_pseudo_tracks(tmp_path / "walk", made, confidence=confidence)
    visible, _ = visible_of(tmp_path / "walk")
    assert visible[0, 1, 2]
    assert not visible[1, 3, 4]
    assert int((~visible).sum()) == 1
    assert int((~visible_of(tmp_path / "walk", PseudoTrackFilter(min_confidence=0.6))[0]).sum()) == 2
    assert visible_of(tmp_path / "walk", PseudoTrackFilter(min_confidence=0.0))[0].all()


def test_both_ways_must_agree(tmp_path: Path, made):
    backward = made.tracks.numpy().copy()
    backward[0, 1, 2] += [1.8, 2.4]  # 3.0 px: at the limit
    backward[1, 0, 0] += [0.0, 3.1]
    backward[1, 1, 1] = np.nan
    write_pseudo_tracks(tmp_path / "walk", made, backward=backward)
    visible, _ = visible_of(tmp_path / "walk", PseudoTrackFilter(max_cycle_px=3.001))
    assert (~visible).nonzero().tolist() == [[1, 0, 0], [1, 1, 1]]
    assert int((~visible_of(tmp_path / "walk", PseudoTrackFilter(max_cycle_px=2.9))[0]).sum()) == 3


def test_a_point_mostly_not_believed_is_left_out(tmp_path: Path, made):
    """Point 0: 4 of 8 entries believed, point 1: 3 of 8, point 2: 3 of the 6 that are visible, point 3: never seen."""
    confidence = np.ones((VIEWS, FRAMES, POINTS), np.float32)
    confidence[0, :, :2], confidence[1, 0, 1], confidence[0, :3, 2] = 0.0, 0.0, 0.0
    made.visible[0, 3, 2], made.visible[1, 0, 2] = False, False
    made.visible[:, :, 3] = False
    write_pseudo_tracks(tmp_path / "walk", made, confidence=confidence)
    visible, valid = visible_of(tmp_path / "walk")
    assert valid == [True, False, True, False, True, True]
    assert not visible[:, :, 1].any()
    assert int(visible[:, :, 0].sum()) == 4
    assert visible_of(tmp_path / "walk", PseudoTrackFilter(min_share=0.0))[1] == [True, True, True, False, True, True]


def lose(made: MultiViewClip) -> None:
    """Point 0 is known in view 0 alone, point 3 is lost for one frame, point 5 is never found."""
    for lost in ((1, slice(None), 0), (0, 2, 3), (slice(None), slice(None), 5)):
        made.tracks[lost], made.visible[lost] = torch.nan, False


def test_a_position_may_be_unknown_where_it_is_hidden(tmp_path: Path, made):
    lose(made)
    write_pseudo_tracks(tmp_path / "walk", made)
    clip = read(PseudoTrackClip(tmp_path / "walk"))
    assert clip.point_valid.tolist() == [True] * 5 + [False]
    torch.testing.assert_close(clip.tracks[:, :, :5], made.tracks[:, :, :5], equal_nan=True)
    assert torch.equal(clip.visible, made.visible)
    assert [fault for fault in check_clip(clip) if fault.field == "tracks"] == []


def test_a_hidden_position_that_is_unknown_teaches_visibility_alone(tmp_path: Path, made):
    """Through crop and batch: losses and gradients are finite, and those of known entries as if nothing were lost."""
    lose(made)
    write_pseudo_tracks(tmp_path / "clips" / "walk", made)
    batch = sampled(tmp_path / "clips", None, CropSpec(size=(16, 16)))
    lost = batch.tracks.isnan().any(dim=-1)
    assert int(lost.sum()) == 2 * (FRAMES + 1)
    assert not (lost & batch.visible).any()
    assert batch.point_valid.sum(dim=1).tolist() == [5, 5]
    found = torch.full((1, *batch.tracks.shape), 8.0, requires_grad=True)
    logit = torch.zeros(found.shape[:-1], requires_grad=True)
    prediction = TrackPrediction(found, logit, torch.zeros_like(logit), torch.arange(FRAMES))
    everything = torch.zeros(*batch.point_valid.shape, 4)
    known = truth_of(everything, batch.tracks, batch.visible, batch.point_valid, width=16)
    TrackLoss()(prediction, known).total.sum().backward()
    assert found.grad.isfinite().all()
    assert not found.grad[0][lost].any()
    assert (logit.grad[0][lost] > 0).all(), "towards not seen"
    assert found.grad[0][batch.visible].abs().sum(dim=-1).all()
    truth = draw_queries(batch, LatentGrid(1, 4, 16), 32, torch.Generator().manual_seed(0))
    assert truth.queries.isfinite().all()
    generator = torch.Generator().manual_seed(0)
    query, key = (torch.randn(2, VIEWS, FRAMES, 2, 2, 1, 8, generator=generator) for _ in range(2))
    key.requires_grad_()
    tap = AttentionTap(0, query, key, torch.zeros(2, VIEWS, FRAMES, 2, 2, 1, 4), torch.arange(FRAMES), 8)
    corr = CorrespondenceLoss(terms=TermRule(occluded=True))({0: tap}, truth)
    corr.total.sum().backward()
    assert corr.total.isfinite().all()
    assert key.grad.isfinite().all()


def test_video_files_serve_too_and_cameras_may_be_unknown(tmp_path: Path, made):
    write_pseudo_tracks(tmp_path / "walk", made)
    for view in range(VIEWS):
        write_video(tmp_path / "walk" / f"view_{view}.mp4", made.video[view], fps=12)
    (tmp_path / "walk" / "cameras.npz").unlink()
    clip = read(PseudoTrackClip(tmp_path / "walk"))
    assert clip.fps == 12
    assert read(PseudoTrackClip(tmp_path / "walk"), Selection(frames=[0, 2])).fps == 12, "of all frames"
    assert clip.cameras.cam_from_world.isnan().all()


def sampled(path: Path, rule: PseudoTrackFilter | None, crop: CropSpec = CropSpec()) -> MultiViewClip:
    """Return a batch of training samples of the folder, through the datamodule."""
    sampling = SamplingSpec(sources=(SourceSpec(path=path, pseudo_tracks=rule),), crop=crop)
    samples = KubricDataModule(sampling=sampling).samples("train")
    batch = collate([samples[0], samples[1]])
    if isinstance(batch, InputError):
        raise batch
    return batch


def test_it_is_a_training_source_whose_filter_is_config(tmp_path: Path, made):
    confidence = np.full((VIEWS, FRAMES, POINTS), 0.8, np.float32)
    confidence[:, 1] = 0.3
    write_pseudo_tracks(tmp_path / "clips" / "walk", made, confidence=confidence)
    batch = sampled(tmp_path / "clips", None)
    assert batch.name == ("clips/walk", "clips/walk")
    assert not batch.visible[:, :, 1].any()
    assert batch.visible[:, :, [0, 2, 3]].all()
    assert sampled(tmp_path / "clips", PseudoTrackFilter(min_confidence=0.2)).visible.all()
    assert not sampled(tmp_path / "clips", PseudoTrackFilter(min_confidence=0.9)).visible.any()


def test_without_cameras_training_is_refused(tmp_path: Path, made):
    write_pseudo_tracks(tmp_path / "clips" / "walk", made)
    (tmp_path / "clips" / "walk" / "cameras.npz").unlink()
    with pytest.raises(InputError, match="cam_from_world: got NaN or infinity, want cameras that are known"):
        sampled(tmp_path / "clips", None)


def test_a_rule_is_for_pseudo_tracks_alone(tmp_path: Path, made):
    write_pseudo_tracks(tmp_path / "walk", made)
    source = open_source(tmp_path)
    assert filter_tracks(source, PseudoTrackFilter(min_share=1.0)).clips[0].filter.min_share == 1.0
    other = type(source)(tmp_path, "clip_cache", ("a",), (tmp_path / "a.npz",), FORMATS["clip_cache"])
    with pytest.raises(InputError, match="pseudo_tracks: got a rule for clips of format clip_cache"):
        filter_tracks(other, PseudoTrackFilter())
    with pytest.raises(InputError, match=r"sampling.sources.pseudo_tracks: got a rule for generated"):
        SourceSpec(pseudo_tracks=PseudoTrackFilter())


@pytest.mark.parametrize(
    ("arrays", "says"),
    [
        ({"tracks": np.zeros((2, 3, 6, 2))}, r"tracks: got shape \(2, 3, 6, 2\), want \(v t n 2\) with v=2, t=4"),
        ({"visible": np.zeros((2, 4, 6))}, "visible: got entries of type float64, want bool"),
        ({"confidence": np.full((2, 4, 6), 1.5)}, "confidence: got 1.5 to 1.5, want shares"),
        ({"backward": np.zeros((2, 4, 5, 2))}, "backward: got shape"),
        ({"tracks": np.full((2, 4, 6, 2), np.nan)}, "tracks: got no finite position for point 0 in view 0"),
    ],
)
def test_broken_files_are_named(tmp_path: Path, made, arrays, says):
    write_pseudo_tracks(tmp_path / "walk", made, **arrays)
    with pytest.raises(InputError, match=f"pseudo_tracks.npz: {says}"):
        read(PseudoTrackClip(tmp_path / "walk"))


@pytest.mark.parametrize(
    ("options", "says"),
    [({"min_confidence": 1.1}, "min_confidence: got 1.1"), ({"max_cycle_px": 0.0}, "max_cycle_px: got 0.0")],
)
def test_bad_rules_are_named(options, says):
    with pytest.raises(InputError, match=f"pseudo_tracks.{says}"):
        PseudoTrackFilter(**options)
