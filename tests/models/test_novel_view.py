"""The whole model: sampling with a known velocity, taps of the last step, cameras of latent frames."""

from functools import partial

import pytest
import torch
from torch import nn

from mvt4g.diffusion.flow_matching import FlowMatching
from mvt4g.diffusion.samplers import EulerSampler, HeunSampler
from mvt4g.models.backbone import BackboneOutput, NovelViewBackbone, check_members, check_output
from mvt4g.models.backbones import ReCamMaster
from mvt4g.models.codec import PatchCodec
from mvt4g.models.novel_view import NovelViewModel, SamplingGuidance
from mvt4g.models.tracking.head import TrackingHead
from mvt4g.models.video_dit import VideoDiTConfig
from mvt4g.types import AttentionTap, Cameras, Conditions, InputError, LatentGrid, TapRequest, TapShape
from tests.models.small_backbones import (
    loud_backbone,
    loud_redirector,
    make_loud,
    relative_difference,
    small_cameras,
    small_inputs,
)

CODEC = PatchCodec()
FRAMES, STEPS = 3, 4


class Oracle(NovelViewBackbone):
    """Knows the clean target; with text it errs by ``text_error``. Its taps hold the noise level they were made at."""

    def __init__(self, target: torch.Tensor, flow: FlowMatching, grid: LatentGrid = CODEC.grid, num_layers: int = 3):
        nn.Module.__init__(self)
        self.target, self.flow, self.grid, self.num_layers = target, flow, grid, num_layers
        self.tap_shape = TapShape(num_heads=1, head_dim=4, stride=8, temporal_stride=grid.temporal_stride)
        self.asked: list[tuple[int, ...]] = []
        self.text_error = 0.5

    def encode_cameras(self, cameras, frames, height, width):
        return cameras

    def forward(
        self, target_latents, reference_latents, timestep, cameras, conditions=Conditions(), taps=TapRequest()
    ):  # fmt: skip
        text, request, tap_layers = conditions.text, taps, taps.layers
        self.asked.append(tuple(tap_layers))
        velocity = (target_latents - self.target) / timestep[:, None, None, None, None]
        if text is not None:
            velocity = velocity + self.text_error
        output = self.target if self.flow.prediction == "sample" else velocity
        taps = {layer: tap(layer, float(timestep[0])) for layer in tap_layers}
        for layer in tap_layers if request.reader is not None else ():
            request.reader(taps.pop(layer))
        return BackboneOutput(output, taps)


def tap(layer: int, value: float) -> AttentionTap:
    features = torch.full((2, 2, FRAMES, 2, 2, 1, 4), value)
    return AttentionTap(layer, features, features, torch.zeros(1, 2, FRAMES, 2, 2, 1, 2), torch.arange(FRAMES), 8)


def oracle_model(**flow) -> tuple[NovelViewModel, Oracle]:
    target = torch.randn(2, 16, FRAMES, 4, 4)
    oracle = Oracle(target, FlowMatching(**flow))
    return NovelViewModel(oracle, CODEC, oracle.flow), oracle


def generate(model: NovelViewModel, text=None, guidance_scale=1.0, tap_layers=(), tap_readers=None, sampler=None):
    reference, noise = torch.randn(2, 2, 16, FRAMES, 4, 4).unbind()
    readers = {-1: None} if tap_readers is None else tap_readers
    taps = {step: TapRequest(tap_layers, reader) for step, reader in readers.items()}
    return model.generate(
        reference, small_cameras(2, FRAMES), noise, EulerSampler(STEPS) if sampler is None else sampler,
        Conditions(text), SamplingGuidance(guidance_scale), taps,
    )  # fmt: skip


@pytest.mark.parametrize("prediction", ["velocity", "sample"])
@pytest.mark.parametrize("shift", [1.0, 5.0])
def test_a_perfect_velocity_gives_the_target(prediction, shift):
    model, oracle = oracle_model(prediction=prediction, shift=shift)
    torch.testing.assert_close(generate(model).latents, oracle.target, atol=1e-5, rtol=0)


def test_taps_are_of_the_last_step():
    model, oracle = oracle_model(shift=1.0)
    taps = generate(model, tap_layers=(0, 2)).taps
    assert oracle.asked == [(), (), (), (0, 2)]
    assert set(taps) == {0, 2}
    assert taps[2].query.unique().tolist() == [1 / STEPS]


def test_taps_of_chosen_steps_go_to_their_readers():
    model, oracle = oracle_model(shift=1.0)
    oracle.text_error = 0.0
    read = []

    def reader(step):
        return lambda tap: read.append((step, tap.layer, tap.query.unique().tolist()))

    for text, scale in ((None, 1.0), (torch.zeros(2, 1, 4), 3.0)):
        read.clear()
        readers = {step: reader(step) for step in (0, 2)}
        generation = generate(model, tap_layers=(0, 2), text=text, guidance_scale=scale, tap_readers=readers)
        assert read == [(0, 0, [1.0]), (0, 2, [1.0]), (2, 0, [0.5]), (2, 2, [0.5])]
        assert generation.taps == {}
        torch.testing.assert_close(generation.latents, oracle.target, atol=1e-5, rtol=0)


def test_guidance_goes_past_the_text_away_from_the_null_text():
    model, oracle = oracle_model(shift=1.0)
    text = torch.zeros(2, 1, 4)
    for scale, calls in ((1.0, STEPS), (3.0, 2 * STEPS)):
        oracle.asked.clear()
        # The oracle pulls back what earlier steps erred, so that only the last step's error stays: 1 / STEPS of it.
        wanted = oracle.target - scale * oracle.text_error / STEPS
        torch.testing.assert_close(generate(model, text=text, guidance_scale=scale).latents, wanted, atol=1e-5, rtol=0)
        assert len(oracle.asked) == calls


def asked_of(inputs):
    """Two Euler steps, led by the text three times as far as without."""
    return EulerSampler(2), Conditions(inputs["text"]), SamplingGuidance(3.0)


@torch.no_grad()
@pytest.mark.parametrize("build", [loud_backbone, partial(loud_redirector, plucker=True)])
def test_cameras_are_encoded_once_a_sample_and_give_what_every_step_would(build):
    backbone, inputs, asked = build(), small_inputs(), []
    codec = PatchCodec()
    codec.grid = backbone.grid
    model = NovelViewModel(backbone, codec, FlowMatching(shift=1.0))
    noise, reference, cameras = (inputs[name] for name in ("target_latents", "reference_latents", "cameras"))
    level, levels = torch.ones(2), model.flow.sampling_sigmas(2)
    latents = noise
    for step in range(2):
        args = (latents, reference, levels[step] * level, cameras)
        towards, away = (backbone(*args, Conditions(text)).velocity for text in (inputs["text"], None))
        latents = latents + (levels[step + 1] - levels[step]) * (away + 3 * (towards - away))
    for encoder in backbone.camera_encoders.values():
        encoder.register_forward_hook(lambda *_: asked.append(1))
    made = model.generate(reference, cameras, noise, *asked_of(inputs)).latents
    assert len(asked) == len(backbone.camera_encoders)
    assert relative_difference(made, latents) < 1e-5
    other = model.generate(reference, cameras[:, :, [0, 2, 1, 3, 4]], noise, *asked_of(inputs))
    assert relative_difference(other.latents, latents) > 0.05, "other cameras show"


def test_noisy_pass_keeps_the_reference_clean_and_knows_the_velocity():
    model, oracle = oracle_model()
    latents, noise = torch.randn(2, 2, 16, FRAMES, 4, 4), torch.randn(2, 16, FRAMES, 4, 4)
    oracle.target = latents[:, 1]
    passed = model.noisy_pass(latents, small_cameras(2, FRAMES), torch.tensor([0.3, 0.9]), noise, taps=TapRequest((1,)))
    torch.testing.assert_close(passed.velocity, passed.target, atol=1e-5, rtol=0)
    torch.testing.assert_close(passed.target, noise - latents[:, 1])
    assert set(passed.taps) == {1}
    read = []
    passed = model.noisy_pass(
        latents, small_cameras(2, FRAMES), torch.tensor([0.3, 0.9]), noise, taps=TapRequest((1,), read.append)
    )
    assert (passed.taps, [tap.layer for tap in read]) == ({}, [1])


def test_tracking_looks_at_cameras_of_latent_frames_alone():
    """Two latent frames of three video frames: the camera between them says nothing, the last one does."""
    grid = LatentGrid(temporal_stride=2, spatial_stride=4, channels=16)
    codec = PatchCodec()
    codec.grid = grid
    oracle = Oracle(torch.zeros(1), FlowMatching(), grid)
    head = make_loud(TrackingHead(oracle.tap_shape, layer=1))
    model = NovelViewModel(oracle, codec, oracle.flow, head).eval()
    features = torch.randn(1, 2, 2, 4, 4, 1, 4)
    known = AttentionTap(1, features, features, torch.zeros(1, 2, 2, 4, 4, 1, 2), torch.tensor([0, 2]), 8)
    queries = torch.tensor([[[0.0, 0, 10, 10], [1, 2, 20, 12]]])
    cameras = small_cameras(1, frames=3)

    def tracks(moved_frame: int | None = None) -> torch.Tensor:
        pose = cameras.cam_from_world.clone()
        if moved_frame is not None:
            pose[:, :, moved_frame, :3, 3] += 1.0
        return model.track({1: known}, queries, Cameras(pose, cameras.intrinsics)).tracks

    assert torch.equal(tracks(moved_frame=1), tracks())
    assert not torch.allclose(tracks(moved_frame=2), tracks(), atol=1e-3)


def test_codec_and_backbone_must_agree():
    grid = LatentGrid(temporal_stride=1, spatial_stride=8, channels=16)
    with pytest.raises(InputError, match=r"^backbone.grid: got .*spatial_stride=8.*, want the codec's"):
        NovelViewModel(Oracle(torch.zeros(1), FlowMatching(), grid), CODEC, FlowMatching())


def test_layers_must_exist():
    oracle = Oracle(torch.zeros(1), FlowMatching())
    head = TrackingHead(oracle.tap_shape, layer=3)
    with pytest.raises(InputError, match=r"^tracking_head.layer: got layer 3, want 0 to 2$"):
        NovelViewModel(oracle, CODEC, oracle.flow, head)


def test_a_head_that_is_not_asked_leaves_the_video_bit_for_bit():
    """The same backbone with a head, and with a head and its tap, generates what it generates without one."""
    torch.manual_seed(0)
    backbone = make_loud(ReCamMaster(VideoDiTConfig(dim=24, ffn_dim=32, num_heads=1, num_layers=2), CODEC.grid))
    plain = NovelViewModel(backbone, CODEC, FlowMatching())
    with_head = NovelViewModel(backbone, CODEC, FlowMatching(), TrackingHead(backbone.tap_shape, layer=1))
    given = torch.randn(2, 2, 16, FRAMES, 4, 4).unbind()
    with torch.no_grad():
        expected, same, tapped = (
            model.generate(
                given[0], small_cameras(2, FRAMES), given[1], EulerSampler(STEPS), taps={-1: TapRequest(layers)}
            ).latents
            for model, layers in ((plain, ()), (with_head, ()), (with_head, (1,)))
        )
    assert torch.equal(same, expected)
    assert torch.equal(tapped, expected)
    assert (expected - given[1]).abs().mean() > 0.01


def test_guidance_acts_inside_its_noise_levels_alone():
    """At shift 1 four steps lie at sigma 1, 0.75, 0.5 and 0.25: two of them take a second pass."""
    model, oracle = oracle_model(shift=1.0)
    reference, noise = torch.randn(2, 2, 16, FRAMES, 4, 4).unbind()
    guidance = SamplingGuidance(3.0, low=0.4, high=0.8)
    conditions = Conditions(torch.zeros(2, 1, 4))
    model.generate(reference, small_cameras(2, FRAMES), noise, EulerSampler(STEPS), conditions, guidance)
    assert len(oracle.asked) == STEPS + 2


def test_taps_of_a_step_with_two_evaluations_are_of_its_first():
    model, oracle = oracle_model(shift=1.0)
    taps = generate(model, tap_layers=(1,), tap_readers={2: None}, sampler=HeunSampler(STEPS)).taps
    assert oracle.asked == [(), (), (), (), (1,), (), ()]
    assert taps[1].query.unique().tolist() == [0.5]


@pytest.mark.parametrize("step", [STEPS, -STEPS - 1])
def test_taps_of_no_step_are_refused(step):
    model, _ = oracle_model()
    noise = torch.randn(2, 16, FRAMES, 4, 4)
    with pytest.raises(InputError, match=rf"taps: got step {step}, want -4 to 3"):
        model.generate(noise, small_cameras(2, FRAMES), noise, EulerSampler(STEPS), taps={step: TapRequest([0])})


def test_a_sampler_that_asks_nothing_where_taps_are_wanted_is_named():
    class Idle(EulerSampler):
        def walk(self, velocity, noise, sigmas):
            yield noise

    model, _ = oracle_model()
    noise = torch.randn(2, 16, FRAMES, 4, 4)
    with pytest.raises(InputError, match="sampler: got no evaluation of Idle in step 3"):
        model.generate(noise, small_cameras(2, FRAMES), noise, Idle(STEPS), taps={-1: TapRequest([0])})


def test_what_a_backbone_of_ones_own_leaves_out_is_named():
    _, oracle = oracle_model()
    noisy = torch.zeros(2, 16, FRAMES, 4, 4)
    with pytest.raises(InputError, match="backbone: got Oracle without text_shape, want all"):
        check_members(oracle, "text_shape")
    whole = BackboneOutput(noisy, {0: tap(0, 0.5)})
    check_output(oracle, whole, noisy, TapRequest([0]))
    check_output(oracle, BackboneOutput(noisy[:, :, :0], {}), noisy, TapRequest([0], print, stop_after=True))
    with pytest.raises(InputError, match=r"backbone: got a velocity of shape \(2, 16, 3, 4, 3\) from Oracle"):
        check_output(oracle, whole._replace(velocity=noisy[..., :3]), noisy, TapRequest([0]))
    with pytest.raises(InputError, match="backbone: got no tap of layer 2 from Oracle"):
        check_output(oracle, whole, noisy, TapRequest([0, 2]))
