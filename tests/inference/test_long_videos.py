"""Videos longer than a window: each window goes on from the one before, and a killed command from its last window."""

from dataclasses import replace

import pytest
import torch

from mvt4g.diffusion.flow_matching import FlowMatching
from mvt4g.diffusion.samplers import EulerSampler, HeunSampler
from mvt4g.inference.generator import NovelViewGenerator
from mvt4g.inference.guidance import Guidance, GuidanceSpec
from mvt4g.inference.long_videos import HeldSampler, LongVideoGenerator, LongView, faded
from mvt4g.inference.view_pass import GenerationWay, generate_view
from mvt4g.inference.window_spec import WindowSpec
from mvt4g.inference.window_store import PROGRESS, WindowFolder, WindowProgress, WindowStore
from mvt4g.models.backbones import ReCamMaster
from mvt4g.models.codec import PatchCodec
from mvt4g.models.novel_view import NovelViewModel
from mvt4g.models.tracking.head import TrackingHead
from mvt4g.models.video_dit import VideoDiTConfig
from mvt4g.types import InputError, MultiViewClip
from tests.models.small_backbones import make_loud, small_cameras

FRAMES, LENGTH, HEIGHT, WIDTH = 8, 3, 16, 24
STARTS = [0, 2, 4, 5]
"""Of windows of 3 frames that share 1; the last shares 2, so that it ends with the video."""


@pytest.fixture(scope="module")
def model() -> NovelViewModel:
    torch.manual_seed(0)
    codec = PatchCodec()
    sizes = VideoDiTConfig(dim=24, ffn_dim=32, freq_dim=16, text_dim=8, num_heads=1, num_layers=2)
    backbone = ReCamMaster(sizes, codec.grid)
    head = TrackingHead(backbone.tap_shape, layer=1)
    return make_loud(NovelViewModel(backbone, codec, FlowMatching(shift=1.0), head)).eval()


@pytest.fixture(scope="module")
def clip() -> MultiViewClip:
    video = torch.rand(1, 1, FRAMES, 3, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(1))
    return MultiViewClip(video=video, cameras=small_cameras(batch=1, frames=FRAMES), name=("long",))


QUERIES = torch.tensor([[[0.0, 0, 4, 8], [0.0, 7, 9, 3], [1.0, 3, 8, 8]]])


def long_videos(model: NovelViewModel, **options) -> LongVideoGenerator:
    guidance = Guidance(GuidanceSpec(), model.backbone.text_shape)
    way = GenerationWay(EulerSampler(2), guidance)
    return LongVideoGenerator(model, WindowSpec(LENGTH, **options), way, seed=0)


def window_alone(model: NovelViewModel, clip: MultiViewClip, number: int, layers: tuple[int, ...] = ()):
    frames = slice(STARTS[number], STARTS[number] + LENGTH)
    part = MultiViewClip(video=clip.video[:, :, frames], cameras=clip.cameras[:, :, frames], name=clip.name)
    guidance = Guidance(GuidanceSpec(), model.backbone.text_shape)
    way = GenerationWay(EulerSampler(2), guidance)
    return generate_view(model, part, QUERIES[:, :1], way, 0, layers, number)


def same(one: LongView, other: LongView) -> bool:
    tracks = [torch.equal(vars(one.tracks)[name], vars(other.tracks)[name]) for name in vars(one.tracks)]
    return torch.equal(one.video, other.video) and all(tracks)


def test_windows_without_a_carry_are_those_that_each_makes_alone(model, clip):
    made = long_videos(model, overlap=1, carry="nothing")(clip)
    assert made.video.shape == clip.video[0, 0].shape
    assert made.tracks is None, "nothing was asked for"
    alone = [window_alone(model, clip, number).video[0] for number in range(len(STARTS))]
    assert torch.equal(made.video[:2], alone[0][:2])
    assert torch.equal(made.video[3], alone[1][1])
    assert torch.equal(made.video[7], alone[3][2])
    torch.testing.assert_close(made.video[2], (alone[0][2] + alone[1][0]) / 2)
    # Frames 5 and 6 lie in the third window and in the last, frame 4 in the second and in the third.
    third = [(alone[1][2] + alone[2][0]) / 2, alone[2][1], alone[2][2]]
    torch.testing.assert_close(made.video[4], third[0])
    torch.testing.assert_close(made.video[5], third[1] * 2 / 3 + alone[3][0] / 3)
    torch.testing.assert_close(made.video[6], third[2] / 3 + alone[3][1] * 2 / 3)


@pytest.mark.parametrize("carry", ["noise", "hold", "reference"])
def test_a_carry_changes_what_comes_after_the_first_window_alone(model, clip, carry):
    carried = long_videos(model, overlap=1, carry=carry)(clip).video
    alone = long_videos(model, overlap=1, carry="nothing")(clip).video
    assert torch.equal(carried[:2], alone[:2])
    assert (carried[3:] - alone[3:]).abs().amax(dim=(1, 2, 3)).min() > 1e-3


def test_frames_that_are_held_are_what_the_window_before_made(model, clip):
    """At the end of sampling they are what is known: fading changes them by rounding alone."""
    spec = long_videos(model, overlap=2, carry="hold")
    first = window_alone(model, clip, 0).video[0]
    made = spec(clip).video
    coded = model.codec.decode(model.codec.encode(first[None, 1:]))[0]
    torch.testing.assert_close(made[1], torch.lerp(first[1], coded[0], 1 / 3), atol=1e-5, rtol=0)


@pytest.mark.parametrize("sampler", [EulerSampler(4), HeunSampler(3)])
def test_held_frames_are_seen_at_the_noise_level_of_every_evaluation(sampler):
    generator = torch.Generator().manual_seed(0)
    known = torch.randn(1, 2, 2, 4, 4, generator=generator)
    noise = torch.randn(1, 2, 5, 4, 4, generator=generator)
    flow = FlowMatching()
    seen = []

    def velocity(latents, sigma, step):
        wanted = flow.add_noise(known, noise[:, :, :2], sigma)
        torch.testing.assert_close(latents[:, :, :2], wanted, atol=1e-5, rtol=0)
        seen.append(step)
        return latents**2

    held = HeldSampler(sampler, known, torch.ones(2))
    made = held.run(velocity, noise, held.sigmas(flow))
    free = sampler.run(lambda latents, sigma, step: latents**2, noise, sampler.sigmas(flow))
    torch.testing.assert_close(made[:, :, :2], known, atol=1e-5, rtol=0)
    assert torch.equal(made[:, :, 2:], free[:, :, 2:]), "the others follow the sampler"
    assert set(seen) == set(range(sampler.steps))


def test_frames_that_are_held_in_part_lie_between():
    """With a velocity that knows no latents the sample is linear in the share."""
    generator = torch.Generator().manual_seed(0)
    known = torch.randn(1, 1, 2, 2, 2, generator=generator)
    noise = torch.randn(1, 1, 3, 2, 2, generator=generator)
    goal = torch.randn(1, 1, 3, 2, 2, generator=generator)
    held = HeldSampler(EulerSampler(4), known, torch.tensor([0.75, 0.25]))
    made = held.run(lambda latents, sigma, step: noise - goal, noise, held.sigmas(FlowMatching()))
    torch.testing.assert_close(made[:, :, 0], 0.75 * known[:, :, 0] + 0.25 * goal[:, :, 0])
    torch.testing.assert_close(made[:, :, 1], 0.25 * known[:, :, 1] + 0.75 * goal[:, :, 1])
    torch.testing.assert_close(made[:, :, 2], goal[:, :, 2])


def test_fading_by_hand():
    before = torch.tensor([0.0, 0.0]).reshape(2, 1, 1, 1).expand(2, 3, 1, 1)
    after = torch.tensor([0.9, 0.9, 0.5]).reshape(3, 1, 1, 1).expand(3, 3, 1, 1)
    assert faded(before, after)[:, 0, 0, 0].tolist() == pytest.approx([0.3, 0.6, 0.5])
    assert faded(before[:0], after) is after


def test_generated_frames_stand_in_the_reference_view_with_the_targets_cameras(model, clip, monkeypatch):
    given = []

    def spy(model, part, *rest):
        given.append(part)
        return generate_view(model, part, *rest)

    monkeypatch.setattr("mvt4g.inference.long_videos.generate_view", spy)
    made = long_videos(model, overlap=1, carry="reference")(clip)
    second = given[1]
    first = window_alone(model, clip, 0).video[0]
    torch.testing.assert_close(second.video[0, 0, 0], first[2])
    assert torch.equal(second.video[0, 0, 1:], clip.video[0, 0, 3:5])
    assert torch.equal(second.cameras.cam_from_world[0, 0, 0], clip.cameras.cam_from_world[0, 1, 2])
    assert torch.equal(second.cameras.cam_from_world[0, :, 1:], clip.cameras.cam_from_world[0, :, 3:5])
    assert torch.equal(given[0].video, clip.video[:, :, :3]), "the clip is not written into"
    assert made.video.isfinite().all()


def test_no_more_than_a_window_goes_through_the_model(model, clip, monkeypatch):
    encode = model.codec.encode
    lengths = []

    def spy(video):
        lengths.append(video.shape[-4])
        return encode(video)

    monkeypatch.setattr(model.codec, "encode", spy)
    long_videos(model, overlap=2)(clip, QUERIES)
    assert max(lengths) == LENGTH


def test_points_are_tracked_in_all_windows(model, clip):
    made = long_videos(model, overlap=1)(clip, QUERIES)
    assert made.tracks.tracks.shape == (2, FRAMES, 3, 2)
    # The first window answers for its own query as it does without windows.
    alone = window_alone(model, clip, 0)
    assert torch.equal(made.tracks.tracks[:, :3, 0], alone.tracks.tracks[0, :, :, 0])
    # The point that is asked for in frame 7 has been tracked back to frame 0.
    assert (made.tracks.confidence > 0).all(), "a frame without an answer would be 0"


class Killed(Exception):
    """Stands for a kill."""


class Dying(WindowFolder):
    """Is killed when so many windows are noted; the frames of the next are in the file already."""

    left = 2

    def save(self, progress: WindowProgress) -> None:
        if not self.left:
            raise Killed
        self.left -= 1
        super().save(progress)


@pytest.mark.parametrize("carry", ["noise", "reference", "nothing"])
def test_a_killed_video_goes_on_and_equals_one_that_ran_through(model, clip, tmp_path, monkeypatch, carry):
    long = long_videos(model, overlap=1, carry=carry)
    whole = long(clip, QUERIES)
    with pytest.raises(Killed):
        long(clip, QUERIES, Dying(tmp_path / "w", {"seed": 0}))
    numbers = []

    def spy(*arguments):
        numbers.append(arguments[-1])
        return generate_view(*arguments)

    monkeypatch.setattr("mvt4g.inference.long_videos.generate_view", spy)
    again = long(clip, QUERIES, WindowFolder(tmp_path / "w", {"seed": 0}))
    assert numbers == [2, 3], "two windows were done"
    assert same(again, whole)
    # All windows are done: nothing is generated, and tracking back gives the same again.
    assert same(long(clip, QUERIES, WindowFolder(tmp_path / "w", {"seed": 0})), whole)
    assert numbers == [2, 3]


@pytest.mark.parametrize("change", ["inputs", "damage", "frames"])
def test_windows_of_other_inputs_or_damaged_ones_are_made_anew(model, clip, tmp_path, change):
    long = long_videos(model, overlap=1)
    with pytest.raises(Killed):
        long(clip, None, Dying(tmp_path / "w", {"seed": 0}))
    inputs = {"seed": 0}
    if change == "inputs":
        inputs = {"seed": 1}
    elif change == "damage":
        (tmp_path / "w" / PROGRESS).write_bytes(b"PK")
    else:
        (tmp_path / "w" / "frames.bin").write_bytes(b"")
    store = WindowFolder(tmp_path / "w", inputs)
    video = store.open(clip.video[0, 0].shape)
    assert store.load() is None
    assert not video.any(), "a new file"
    store.remove()
    assert not (tmp_path / "w").exists()


def test_a_video_of_one_window_is_generated_as_ever(model, clip):
    short = clip.video[0, 0, :LENGTH], clip.cameras[0, :, :LENGTH], QUERIES[0, :1]
    generator = NovelViewGenerator(model)
    generator.spec = replace(generator.spec, sample_steps=2, sampler=EulerSampler)  # that of ``long_videos``
    plain = generator.generate(*short, name="long")
    generator.spec = replace(generator.spec, windows=WindowSpec(LENGTH))
    windowed = generator.generate(*short, name="long")
    assert torch.equal(plain.video, windowed.video)
    assert torch.equal(plain.tracks, windowed.tracks)
    long = generator.generate(clip.video[0, 0], clip.cameras[0], QUERIES[0], name="long")
    whole = long_videos(model)(clip, QUERIES)
    assert torch.equal(long.video, whole.video)
    assert torch.equal(long.tracks, whole.tracks.tracks)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"length": 3, "overlap": 3}, r"windows.overlap: got 3 with windows of 3 frames, want 1 to 2"),
        ({"length": 0}, r"windows.length: got 0"),
        ({"length": 5, "overlap": 0}, r"windows.overlap: got 0"),
    ],
)
def test_windows_that_do_not_move_on_are_refused(options, says):
    with pytest.raises(InputError, match=says):
        WindowSpec(**options)


def test_a_store_in_memory_has_nothing_to_go_on_from():
    store = WindowStore()
    assert store.open((2, 3, 4, 4)).shape == (2, 3, 4, 4)
    assert store.load() is None
