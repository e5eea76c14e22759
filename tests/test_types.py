from dataclasses import fields, replace

import pytest
import torch

from mvt4g.types import AttentionTap, Cameras, InputError, LatentGrid, MultiViewClip, TrackPrediction

VIEWS, FRAMES, HEIGHT, WIDTH = 3, 2, 6, 8


def full_clip(name="clip", seed=0, points=4):
    """A clip with every field filled, views told apart by their contents."""
    generator = torch.Generator().manual_seed(seed)

    def rand(*shape):
        return torch.rand(*shape, generator=generator)

    return MultiViewClip(
        video=rand(VIEWS, FRAMES, 3, HEIGHT, WIDTH),
        cameras=Cameras(rand(VIEWS, FRAMES, 4, 4), rand(VIEWS, FRAMES, 3, 3)),
        name=name,
        tracks=rand(VIEWS, FRAMES, points, 2),
        visible=rand(VIEWS, FRAMES, points) > 0.5,
        points_world=rand(FRAMES, points, 3),
        point_instance=torch.arange(points),
        point_valid=rand(points) > 0.5,
        depth=rand(VIEWS, FRAMES, HEIGHT, WIDTH),
        instances=(9 * rand(VIEWS, FRAMES, HEIGHT, WIDTH)).long(),
        dynamic=rand(VIEWS, FRAMES, HEIGHT, WIDTH) > 0.5,
        covisible=rand(VIEWS, FRAMES, HEIGHT, WIDTH) > 0.5,
        caption=f"what {name} shows",
        fps=12.0,
    )


def tensors(clip):
    """Every tensor of a clip by name, the cameras' two among them."""
    found = {field.name: getattr(clip, field.name) for field in fields(clip)}
    cameras = found.pop("cameras")
    found |= {"cam_from_world": cameras.cam_from_world, "intrinsics": cameras.intrinsics}
    return {name: value for name, value in found.items() if isinstance(value, torch.Tensor)}


def test_stack_puts_every_field_on_a_new_first_axis():
    clips = [full_clip("first", seed=1), full_clip("second", seed=2)]
    batch = MultiViewClip.stack(clips)
    assert batch.name == ("first", "second")
    assert batch.caption == ("what first shows", "what second shows")
    assert batch.fps == (12.0, 12.0)
    assert len(tensors(batch)) == 12
    for name, value in tensors(batch).items():
        assert torch.equal(value, torch.stack([tensors(clip)[name] for clip in clips])), name


def test_stack_keeps_what_all_clips_lack():
    batch = MultiViewClip.stack([replace(full_clip(), depth=None, caption=None)] * 2)
    assert batch.depth is None
    assert batch.caption is None


def test_stack_refuses_clips_that_do_not_fit_together():
    with pytest.raises(InputError, match="empty list"):
        MultiViewClip.stack([])
    with pytest.raises(InputError, match="depth: missing in clip 'bare'"):
        MultiViewClip.stack([full_clip(), replace(full_clip("bare"), depth=None)])
    with pytest.raises(InputError, match=r"tracks: .*\(3, 2, 4, 2\).*\(3, 2, 3, 2\)"):
        MultiViewClip.stack([full_clip(), full_clip(points=3)])


def test_stack_refuses_cameras_of_another_length_as_bad_input():
    longer = Cameras(torch.rand(VIEWS, FRAMES + 1, 4, 4), torch.rand(VIEWS, FRAMES + 1, 3, 3))
    with pytest.raises(InputError, match="cameras"):
        MultiViewClip.stack([full_clip("short"), replace(full_clip("long"), cameras=longer)])


def test_select_views_takes_views_in_order_and_leaves_the_rest():
    clip = full_clip()
    chosen = clip.select_views([2, 0])
    untouched = {"points_world", "point_instance", "point_valid"}
    for name, value in tensors(clip).items():
        assert torch.equal(tensors(chosen)[name], value if name in untouched else value[[2, 0]]), name
    assert chosen.name == clip.name


def test_select_views_of_a_batch_equals_a_batch_of_selections():
    clips = [full_clip("first", seed=1), full_clip("second", seed=2)]
    first_then_stacked = MultiViewClip.stack([clip.select_views([1, 2]) for clip in clips])
    stacked_then_chosen = MultiViewClip.stack(clips).select_views([1, 2])
    for name, value in tensors(first_then_stacked).items():
        assert torch.equal(tensors(stacked_then_chosen)[name], value), name
    bare = MultiViewClip(clips[0].video, clips[0].cameras).select_views([1])
    assert bare.tracks is None
    assert torch.equal(bare.video, clips[0].video[[1]])


def test_to_moves_every_tensor_and_keeps_values_and_dtypes():
    moved = full_clip().to("meta")
    assert {value.device.type for value in tensors(moved).values()} == {"meta"}
    assert {name: value.dtype for name, value in tensors(moved).items()} == {
        name: value.dtype for name, value in tensors(full_clip()).items()
    }
    assert moved.name == "clip"
    same = full_clip().to(torch.device("cpu"))
    assert torch.equal(same.video, full_clip().video)
    assert MultiViewClip(same.video, same.cameras).to("meta").tracks is None


def test_taps_and_predictions_move_too():
    tap = AttentionTap(
        layer=3,
        query=torch.rand(1, 2, 1, 2, 2, 1, 4),
        key=torch.rand(1, 2, 1, 2, 2, 1, 4),
        rotary=torch.rand(1, 2, 1, 2, 2, 1, 2),
        frame_times=torch.tensor([0]),
        stride=8,
    ).to("meta")
    assert (tap.layer, tap.stride, tap.rotary.device.type) == (3, 8, "meta")
    logits = torch.zeros(2, 1, 2, 1, 3)
    prediction = TrackPrediction(torch.rand(2, 1, 2, 1, 3, 2), logits, logits, torch.tensor([0]))
    assert prediction.to("meta").tracks.device.type == "meta"


def test_visible_probability_is_that_of_the_last_iteration():
    visible, confidence = torch.zeros(2, 1, 2, 1, 3), torch.zeros(2, 1, 2, 1, 3)
    visible[1] = 2.0
    prediction = TrackPrediction(torch.rand(2, 1, 2, 1, 3, 2), visible, confidence, torch.tensor([0]))
    want = torch.tensor(2.0).sigmoid() * 0.5
    torch.testing.assert_close(prediction.visible_probability(), want.expand(1, 2, 1, 3))


def test_indexing_cameras_indexes_both_matrices():
    cameras = full_clip().cameras
    one = cameras[1, 0]
    assert torch.equal(one.cam_from_world, cameras.cam_from_world[1, 0])
    assert torch.equal(one.intrinsics, cameras.intrinsics[1, 0])
    assert cameras[:, :1].cam_from_world.shape == (VIEWS, 1, 4, 4)


@pytest.mark.parametrize(
    ("temporal_stride", "num_frames", "latent_frames"), [(4, 81, 21), (4, 1, 1), (1, 5, 5), (4, 5, 2)]
)
def test_latent_frames(temporal_stride, num_frames, latent_frames):
    assert LatentGrid(temporal_stride, 8, 16).latent_frames(num_frames) == latent_frames


@pytest.mark.parametrize("num_frames", [0, -3, 4, 16, 80])
def test_lengths_that_have_no_latents_are_refused(num_frames):
    with pytest.raises(InputError, match=rf"num_frames: got {num_frames}, want 4\*m \+ 1"):
        LatentGrid(4, 8, 16).latent_frames(num_frames)


@pytest.mark.parametrize(("num_frames", "usable"), [(1, 1), (4, 1), (5, 5), (80, 77), (81, 81), (82, 81), (84, 81)])
def test_other_lengths_are_cut_and_the_message_says_to_what(num_frames, usable):
    """ReDirector's rule: n - 3 for a multiple of four, else the multiple below and one more."""
    grid = LatentGrid(4, 8, 16)
    assert usable == (num_frames - 3 if num_frames % 4 == 0 else num_frames // 4 * 4 + 1)
    assert grid.usable_frames(num_frames) == usable
    if num_frames != usable:
        with pytest.raises(InputError, match=rf"want 4\*m \+ 1, such as the first {usable}$"):
            grid.latent_frames(num_frames)
