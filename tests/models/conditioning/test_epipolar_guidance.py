"""Attention led to epipolar lines in sampling alone: off it changes nothing, on it is the trained prior of one gain."""

import pytest
import torch

from mvt4g.diffusion.flow_matching import FlowMatching
from mvt4g.diffusion.samplers import EulerSampler
from mvt4g.inference.guidance import Guidance, GuidanceSpec
from mvt4g.models.backbone import NovelViewBackbone
from mvt4g.models.backbones import ReCamMaster
from mvt4g.models.codec import Codec
from mvt4g.models.conditioning.epipolar import EpipolarConditioning
from mvt4g.models.conditioning.epipolar_guidance import EpipolarGuidance
from mvt4g.models.novel_view import NovelViewModel, SamplingGuidance
from mvt4g.types import Conditions, InputError
from tests.models.small_backbones import GRID, loud_backbone, small_cameras, small_config

NOISE = torch.randn(2, 5, 3, 4, 6, generator=torch.Generator().manual_seed(1))
REFERENCE = torch.randn(2, 5, 3, 4, 6, generator=torch.Generator().manual_seed(2))
CAMERAS = small_cameras()


class NoCodec(Codec):
    """Latents alone are generated."""

    grid = GRID


def model_of(backbone: ReCamMaster) -> NovelViewModel:
    return NovelViewModel(backbone, NoCodec(), FlowMatching()).eval()


@pytest.fixture(scope="module")
def plain() -> NovelViewModel:
    return model_of(loud_backbone(plucker=False))


def with_prior(plain: NovelViewModel, **options) -> NovelViewModel:
    """Return the same weights with a prior whose gains are as they start."""
    trained = ReCamMaster(small_config(), GRID, [EpipolarConditioning(**options)], null_text_length=3)
    missing = trained.load_state_dict(plain.backbone.state_dict(), strict=False)
    assert not missing.unexpected_keys
    return model_of(trained)


def sample(model: NovelViewModel, epipolar: EpipolarGuidance | None = None, **options) -> torch.Tensor:
    guidance = SamplingGuidance(epipolar=epipolar, **options)
    text = None
    if options:
        text = Conditions(torch.ones(2, 3, 6))
    return model.generate(REFERENCE, CAMERAS, NOISE, EulerSampler(4), text or Conditions(), guidance).latents


def test_off_changes_no_bit(plain):
    off = sample(plain)
    assert torch.equal(sample(plain, EpipolarGuidance(0.0)), off)
    assert (sample(plain, EpipolarGuidance(2.0)) - off).abs().max() > 1e-3, "on it changes something"


@pytest.mark.parametrize("options", [{"width": 0.5}, {"width": 1.5, "blocks": (1,)}])
def test_it_is_the_trained_prior_of_that_gain(plain, options):
    trained = with_prior(plain, initial_gain=2.0, **options)
    assert torch.equal(sample(plain, EpipolarGuidance(2.0, **options)), sample(trained))


def test_it_adds_to_a_prior_that_was_trained(plain):
    trained = with_prior(plain, initial_gain=1.0)
    led = sample(trained, EpipolarGuidance(2.0))
    torch.testing.assert_close(led, sample(plain, EpipolarGuidance(3.0)), atol=1e-4, rtol=1e-4)


def test_lines_give_what_the_map_gives(plain):
    led = sample(plain, EpipolarGuidance(2.0, form="lines"))
    torch.testing.assert_close(led, sample(plain, EpipolarGuidance(2.0)), atol=1e-3, rtol=1e-3)


def test_it_acts_at_its_noise_levels_in_both_passes(plain, monkeypatch):
    run = plain._run
    seen = []

    def spy(noisy, reference, sigma, cameras, *rest):
        seen.append((round(float(sigma[0]), 3), sorted(cameras.biases)))
        return run(noisy, reference, sigma, cameras, *rest)

    monkeypatch.setattr(plain, "_run", spy)
    sample(plain, EpipolarGuidance(2.0, noise_levels=(0.8, 0.95), blocks=(0,)), scale=3.0)
    # Shift 5 makes of 1, 3/4, 1/2 and 1/4: 1, 15/16, 5/6, 5/8.
    levels = [(1.0, []), (0.938, [0]), (0.833, [0]), (0.625, [])]
    assert seen == [level for level in levels for _ in range(2)]


def test_a_configuration_names_it():
    spec = GuidanceSpec(epipolar=EpipolarGuidance(2.0))
    _, guidance = Guidance(spec, (7, 6)).arguments(["clip"], torch.device("cpu"))
    assert guidance.epipolar == EpipolarGuidance(2.0)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"strength": -1.0}, "epipolar.strength: got -1"),
        ({"strength": 1.0, "noise_levels": (0.5, 0.5)}, "epipolar.noise_levels: got"),
        ({"strength": 1.0, "width": 0.0}, "epipolar.width: got 0"),
    ],
)
def test_values_out_of_range_are_refused(options, says):
    with pytest.raises(InputError, match=says):
        EpipolarGuidance(**options)


def test_blocks_that_are_not_there_and_networks_without_a_door_are_refused(plain):
    with pytest.raises(InputError, match=r"epipolar.blocks: got \[2\], want some of 0 to 1"):
        sample(plain, EpipolarGuidance(1.0, blocks=(2,)))
    with pytest.raises(InputError, match="epipolar: got some for ReCamMaster, whose attention takes no bias"):
        NovelViewBackbone.led(plain.backbone, None, CAMERAS, None, 4, 6)
