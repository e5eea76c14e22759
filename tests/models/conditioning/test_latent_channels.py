"""More channels of the latents, such as a rendered video and its mask, by the door that all conditionings take."""

import pytest
import torch
from einops import rearrange
from torch.nn.functional import avg_pool2d

from mvt4g.diffusion.flow_matching import FlowMatching
from mvt4g.diffusion.samplers import HeunSampler
from mvt4g.geometry.rendering import render_points
from mvt4g.models.backbones import ReCamMaster
from mvt4g.models.codec import PatchCodec
from mvt4g.models.conditioning.latent_channels import LatentChannels
from mvt4g.models.novel_view import NovelViewModel, SamplingGuidance
from mvt4g.models.video_dit import VideoDiTConfig
from mvt4g.types import REFERENCE, TARGET, Conditions, InputError
from tests.models.small_backbones import GRID, make_loud, small_config, small_inputs
from tests.systems.wall import wall_batch


def told() -> ReCamMaster:
    torch.manual_seed(0)
    config = small_config(in_channels=GRID.channels + 2)
    backbone = make_loud(ReCamMaster(config, GRID, [LatentChannels(2)], null_text_length=3)).eval()
    with torch.no_grad():
        backbone.dit.patch_embedding.weight[:, -2:].normal_()  # as after training
    return backbone


def asked(backbone, channels=None):
    inputs = small_inputs()
    return backbone(**{name: inputs[name] for name in inputs if name != "text"}, conditions=channels).velocity


@torch.no_grad()
def test_nothing_given_is_zeros_and_each_view_has_its_own():
    backbone = told()
    plain = asked(backbone, Conditions())
    zeros = torch.zeros(2, 2, 2, 3, 4, 6)
    assert torch.equal(asked(backbone, Conditions(channels=zeros)), plain)
    for view in (0, 1):
        more = zeros.clone()
        more[:, view] = 1.0
        assert (asked(backbone, Conditions(channels=more)) - plain).norm() / plain.norm() > 0.01
    swapped = torch.stack([zeros[:, 0] + 1, zeros[:, 1]], dim=1)
    both = [asked(backbone, Conditions(channels=more)) for more in (swapped, swapped.flip(1))]
    assert not torch.allclose(*both)


def test_channels_that_do_not_fit_are_named():
    with pytest.raises(
        InputError, match=r"conditions\.channels: got shape \(2, 2, 2, 3, 4, 5\), want \(2, 2, 2, 3, 4, 6\)"
    ):
        asked(told(), Conditions(channels=torch.zeros(2, 2, 2, 3, 4, 5)))
    with pytest.raises(InputError, match=r"conditions\.channels: got 3, want 2"):
        asked(told(), Conditions(channels=torch.zeros(2, 2, 3, 3, 4, 6)))
    with pytest.raises(InputError, match=r"dit\.in_channels: got 5, want at least the latents' 5 and 2 more"):
        ReCamMaster(small_config(), GRID, [LatentChannels(2)], null_text_length=3)
    with pytest.raises(InputError, match=r"latent_channels\.channels: got 0"):
        LatentChannels(0)


# End to end: the reference rendered into the target's camera and its mask, beside the latents


def rendered_channels(codec, clip):
    """Latents of the target as the reference's depth tells it, with the share of every cell that is covered.

    The reference view is its own rendering, covered everywhere.
    """
    cameras = [clip.cameras[:, view] for view in (REFERENCE, TARGET)]
    seen = render_points(clip.video[:, REFERENCE], clip.depth[:, REFERENCE], *cameras, clip.video.shape[-2:])
    video = torch.stack([clip.video[:, REFERENCE], seen.image], dim=1)
    mask = torch.stack([torch.ones_like(seen.mask), seen.mask], dim=1)[:, :, :: codec.grid.temporal_stride]
    covered = avg_pool2d(rearrange(mask.float(), "b v f h w -> (b v) f h w"), codec.grid.spatial_stride)
    share = rearrange(covered, "(b v) f h w -> b v 1 f h w", v=2)
    return torch.cat([codec.encode(video), share], dim=2)


def test_a_rendered_video_and_its_mask_enter_at_zero_and_learn(tmp_path):
    clip = wall_batch(0)
    codec = PatchCodec()
    plain = loud(codec, more=0)
    torch.save({f"model.backbone.{name}": value for name, value in plain.state_dict().items()}, tmp_path / "base.ckpt")
    told = loud(codec, more=codec.grid.channels + 1, weights=tmp_path / "base.ckpt")
    latents = codec.encode(clip.video)
    noise, sigma = torch.randn(latents[:, TARGET].shape), torch.tensor([0.7])
    conditions = Conditions(channels=rendered_channels(codec, clip))
    models = [NovelViewModel(backbone, codec, FlowMatching()) for backbone in (plain, told)]
    before, after = (
        model.noisy_pass(latents, clip.cameras, sigma, noise, of).velocity
        for model, of in zip(models, (Conditions(), conditions), strict=True)
    )
    torch.testing.assert_close(after, before, rtol=0, atol=2e-6)  # one product over more columns, of zeros

    optimizer = torch.optim.SGD(told.parameters(), lr=0.01)
    passed = models[1].noisy_pass(latents, clip.cameras, sigma, noise, conditions)
    (passed.velocity - passed.target).square().mean().backward()
    gradient = told.dit.patch_embedding.weight.grad[:, -codec.grid.channels - 1 :]
    assert gradient.flatten(2).abs().amax(dim=(0, 2)).min() > 0, "every channel learns, the mask too"
    optimizer.step()

    def sampled(of):
        text = torch.zeros(1, 4, 64)
        of = Conditions(text, channels=of.channels)
        sampler, guidance = HeunSampler(2), SamplingGuidance(scale=2.0)
        return models[1].generate(latents[:, REFERENCE], clip.cameras, noise, sampler, of, guidance).latents

    assert (sampled(conditions) - sampled(Conditions())).abs().max() > 1e-4, "what was learnt shows in a sample"


def loud(codec, more, weights=None):
    torch.manual_seed(0)
    config = VideoDiTConfig(in_channels=codec.grid.channels + more, dim=48, ffn_dim=48, num_heads=2, num_layers=1)
    extra = [LatentChannels(more)] if more else []
    backbone = ReCamMaster(config, codec.grid, extra, null_text_length=3, weights=weights)
    return backbone if weights is not None else make_loud(backbone)
