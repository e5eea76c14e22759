import itertools
import math
import re
from collections import Counter
from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from mvt4g.data.augment import AugmentSpec
from mvt4g.data.clip_sources import OpenSource, SourceSpec
from mvt4g.data.colours import JitterSpec, recolour
from mvt4g.data.crops import CropSpec
from mvt4g.data.eraser import EraserSpec
from mvt4g.data.frame_rates import FrameSpec
from mvt4g.data.loading import collate
from mvt4g.data.samples import HeldOutClips, SamplingSpec, TrainingSamples
from mvt4g.data.steps import StepSampler
from mvt4g.data.views import ViewSpec
from mvt4g.types import Cameras, InputError
from tests.data.made_up_clips import Listed, moving_clip, projected, video_and_cameras

EVERYTHING_ON = SamplingSpec(
    frames=FrameSpec(3, (1, 2)),
    crop=CropSpec((16, 16), (0.6, 1.0)),
    num_points=10,
    augment=AugmentSpec(True, JitterSpec(0.5), EraserSpec(0.5)),
)


def with_tracks(count=6, **changes):
    changes = {"views": 3, "frames": 6, "name": "tracked", **changes}
    return Listed([moving_clip(seed=seed, **changes) for seed in range(count)])


def without_tracks(count=4):
    return Listed([video_and_cameras(seed=seed, views=5, frames=8, height=40, width=36) for seed in range(count)])


def mixture(spec=EVERYTHING_ON, seed=0, shares=(2.0, 1.0)):
    sources = [OpenSource("kubric", with_tracks(), shares[0]), OpenSource("video", without_tracks(), shares[1])]
    return TrainingSamples(sources, spec, seed)


def unknown_intrinsics():
    clip = video_and_cameras()
    return replace(clip, cameras=Cameras(clip.cameras.cam_from_world, torch.full((2, 3, 3, 3), torch.nan)))


def tensors(clip):
    values = {field.name: getattr(clip, field.name) for field in fields(clip)}
    values |= {"pose": clip.cameras.cam_from_world, "intrinsics": clip.cameras.intrinsics}
    return {name: value for name, value in values.items() if isinstance(value, torch.Tensor)}


def assert_equal(one, other):
    assert one.name == other.name
    assert tensors(one).keys() == tensors(other).keys()
    for name, value in tensors(one).items():
        assert torch.equal(value, tensors(other)[name]), name


@pytest.mark.parametrize("with_colours", [False, True])
def test_plain_samples_are_what_they_have_always_been(with_colours):
    """Trained results hang on the order of clips, pairs and colours of a single source with all options off."""
    clips = with_tracks(4)
    samples = TrainingSamples([OpenSource("", clips)], SamplingSpec(augment=AugmentSpec(recolour=with_colours)), 5)
    for sample in range(10):
        done, place = divmod(sample, 4)
        clip = clips.clips[np.random.default_rng((5, 1, done)).permutation(4)[place]]
        rng = np.random.default_rng((5, 2, sample))
        want = clip.select_views(rng.choice(3, 2, replace=False).tolist())
        want = replace(want, video=recolour(want.video, rng)) if with_colours else want
        assert_equal(samples[sample], want)


def test_half_of_the_samples_play_backwards_whole_and_every_other_draw_is_as_before():
    source = OpenSource("", with_tracks(4))
    plain = TrainingSamples([source], SamplingSpec(frames=FrameSpec(3)), 5)
    mixed = TrainingSamples([source], SamplingSpec(frames=FrameSpec(3, reversed=0.5)), 5)
    backwards = 0
    for sample in range(60):
        forward, found = plain[sample], mixed[sample]
        if torch.equal(forward.video, found.video):
            assert_equal(found, forward)
            continue
        backwards += 1
        assert torch.equal(found.cameras.cam_from_world, forward.cameras.cam_from_world.flip(1))
        assert torch.equal(found.cameras.intrinsics, forward.cameras.intrinsics.flip(1))
        assert torch.equal(found.points_world, forward.points_world.flip(0))
        for name in ("video", "tracks", "visible", "depth", "instances", "dynamic"):
            assert torch.equal(getattr(found, name), getattr(forward, name).flip(1)), name
    assert abs(backwards - 30) <= 3.5 * math.sqrt(15)
    assert_equal(TrainingSamples([source], SamplingSpec(frames=FrameSpec(3)), 5)[0], plain[0])


@pytest.mark.parametrize("clips", [with_tracks, without_tracks])
def test_a_view_may_be_reference_and_target_at_once(clips):
    samples = TrainingSamples([OpenSource("", clips())], SamplingSpec(views=ViewSpec((1,), (1,), same=True)), 0)
    clip = samples[0]
    assert torch.equal(clip.video[0], clip.video[1])
    assert torch.equal(clip.cameras.cam_from_world[0], clip.cameras.cam_from_world[1])


def test_each_pass_visits_every_clip_in_another_order():
    samples = TrainingSamples([OpenSource("", with_tracks())], SamplingSpec(), 0)
    passes = [[samples[sample].name for sample in range(first, first + 6)] for first in (0, 6)]
    assert set(passes[0]) == set(passes[1]) == set(with_tracks().names)
    assert passes[0] != passes[1]


def test_training_draws_every_ordered_pair_of_views():
    source = with_tracks(1)
    samples, whole = TrainingSamples([OpenSource("", source)], SamplingSpec(), 0), source.clips[0].video
    pairs = set()
    for sample in range(40):
        video = samples[sample].video
        pairs.add(tuple(next(view for view in range(3) if torch.equal(whole[view], video[place])) for place in (0, 1)))
    assert pairs == set(itertools.permutations(range(3), 2))


def test_points_in_space_fall_on_the_tracks_whatever_is_drawn():
    spec = replace(EVERYTHING_ON, crop=replace(EVERYTHING_ON.crop, alike=False))
    samples = TrainingSamples([OpenSource("", with_tracks())], spec, 0)
    for sample in range(20):
        clip = samples[sample]
        pixels, _ = projected(clip.points_world, clip.cameras)
        assert (pixels - clip.tracks)[clip.visible].abs().max() < 1e-3
        assert (clip.tracks[clip.visible] >= 0).all()
        assert (clip.tracks[clip.visible] < 16).all()
        assert clip.video.shape == (2, 3, 3, 16, 16)
        assert clip.fps in (24.0, 12.0)


def test_mixed_clips_make_one_batch_and_are_named_after_their_source():
    samples = mixture()
    batch = collate([samples[sample] for sample in range(12)])
    assert batch.video.shape == (12, 2, 3, 3, 16, 16)
    assert batch.tracks.shape == (12, 2, 3, 10, 2)
    for name, valid, visible in zip(batch.name, batch.point_valid, batch.visible, strict=True):
        assert name.startswith(("kubric/tracked-", "video/made-up-"))
        assert bool(valid.any()) == bool(visible.any()) == name.startswith("kubric/")
    assert {name.partition("/")[0] for name in batch.name} == {"kubric", "video"}
    assert batch.depth is batch.instances is batch.points_world is None


def test_weights_are_respected_and_passes_go_through_every_source():
    samples = mixture()
    names = [samples[sample].name for sample in range(300)]
    counts = Counter(name.partition("/")[0] for name in names)
    assert abs(counts["kubric"] - 200) < 3 * math.sqrt(300 * 2 / 9)
    for source, count in (("kubric", 6), ("video", 4)):
        own = [name for name in names if name.startswith(f"{source}/")]
        assert all(len(set(own[first : first + count])) == count for first in range(0, len(own) - count, count))


def test_samples_follow_the_seed_and_the_number_alone():
    samples = mixture()
    forwards = [samples[sample] for sample in range(20)]
    for sample in reversed(range(20)):
        assert_equal(mixture()[sample], forwards[sample])
    others = [mixture(seed=1)[sample] for sample in range(20)]
    assert not any(torch.equal(one.video, other.video) for one, other in zip(forwards, others, strict=True))


def test_one_option_leaves_the_draws_of_the_others():
    plain = mixture(replace(EVERYTHING_ON, augment=AugmentSpec()))
    for sample in range(10):
        one, other = plain[sample], mixture()[sample]
        for name, value in tensors(one).items():
            if name not in ("video", "visible"):
                assert torch.equal(value, tensors(other)[name]), name
        assert not bool((other.visible & ~one.visible).any())


def test_workers_change_nothing():
    def batches(workers, batch_size=4):
        sampler = StepSampler(lambda: 1, batch_size)
        loader = DataLoader(mixture(), batch_size=batch_size, sampler=sampler, collate_fn=collate, num_workers=workers)
        return list(itertools.islice(loader, 3))

    for one, other in zip(batches(0), batches(2), strict=True):
        assert_equal(one, other)


def test_held_out_clips_are_fixed_and_go_source_after_source():
    sources = [OpenSource("kubric", with_tracks()), OpenSource("video", without_tracks())]
    clips = HeldOutClips(sources, EVERYTHING_ON, 0, most=3)
    names = [clip.name for clip in clips]
    assert names == [f"kubric/tracked-{i}" for i in range(3)] + [f"video/made-up-{i}" for i in range(3)]
    again = HeldOutClips(sources, EVERYTHING_ON, 0, most=3)
    for number in range(6):
        assert_equal(clips[number], again[number])
    with pytest.raises(IndexError):
        clips[6]
    collate(list(clips))


def test_held_out_clips_take_the_first_views_and_frames_and_the_centre():
    source = with_tracks(1)
    (clip,) = HeldOutClips([OpenSource("", source)], replace(EVERYTHING_ON, crop=CropSpec((24, 24))), 0, most=1)
    assert torch.equal(clip.video, source.clips[0].video[:2, :3, ..., 4:28])
    (plain,) = HeldOutClips([OpenSource("", source)], SamplingSpec(), 0, most=1)
    assert_equal(plain, source.clips[0].select_views([0, 1]))


def test_what_is_not_asked_for_is_not_read():
    source = with_tracks()
    samples = TrainingSamples([OpenSource("", source)], EVERYTHING_ON, 0)
    assert source.reads == []
    samples[0]
    ((_, selection),) = source.reads
    assert len(selection.views) == 2
    assert len(selection.frames) == 3


@pytest.mark.parametrize(
    ("clip", "spec", "says"),
    [
        (moving_clip(views=1), SamplingSpec(), "got 1 view, want a reference and a target at least"),
        (moving_clip(frames=2), SamplingSpec(frames=FrameSpec(3)), "got 2 frames, want at least 3"),
        (moving_clip(), SamplingSpec(views=ViewSpec((4,))), r"got 2 views, want .*sampling\.views"),
        (unknown_intrinsics(), SamplingSpec(), "intrinsics: got NaN or infinity"),
        (replace(moving_clip(), video=moving_clip().video * torch.inf), SamplingSpec(), "video: got NaN or infinity"),
    ],
    ids=["views", "frames", "choice of views", "cameras", "video"],
)
def test_a_bad_clip_comes_back_as_an_error_that_names_it(clip, spec, says, tmp_path):
    source = OpenSource("bad", Listed([clip]), root=tmp_path)
    for item in (TrainingSamples([source], spec, 0)[0], HeldOutClips([source], spec, 0, 1)[0]):
        assert isinstance(item, InputError)
        assert re.match(rf"{re.escape(str(tmp_path))}/made-up-0: {says}", str(item))


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"num_points": 0}, r"sampling\.num_points: got 0"),
        (
            {"sources": (SourceSpec(), SourceSpec())},
            r"sampling\.sources\.name: got 'generated' twice for train",
        ),
        (
            {"sources": (SourceSpec(), SourceSpec(name="other"))},
            r"sampling\.frames\.count: got null for train from generated, other, want a value",
        ),
        (
            {"sources": (SourceSpec(), SourceSpec(name="b")), "frames": FrameSpec(3), "crop": CropSpec((4, 4))},
            r"sampling\.num_points: got null",
        ),
    ],
)
def test_bad_values_are_named(values, says):
    with pytest.raises(InputError, match=says):
        SamplingSpec(**values)
