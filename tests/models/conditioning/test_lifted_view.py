"""A lifted view: what the network is shown of a reference that is lifted by its depth."""

from dataclasses import replace

import pytest
import torch

from mvt4g.diffusion.flow_matching import FlowMatching
from mvt4g.diffusion.samplers import EulerSampler
from mvt4g.geometry.lifted_video import LiftingSpec
from mvt4g.inference.encoding import encode_clip
from mvt4g.inference.lifting.reference_depth import ReferenceDepth, ReferenceDepthSpec
from mvt4g.models.backbone import check_channels
from mvt4g.models.backbones import ReCamMaster
from mvt4g.models.codec import PatchCodec
from mvt4g.models.conditioning.latent_channels import LatentChannels
from mvt4g.models.conditioning.lifted_view import LIFTED_VIEW, LiftedView, check_lifted_view, covered_share
from mvt4g.models.novel_view import NovelViewModel
from mvt4g.models.video_dit import VideoDiTConfig
from mvt4g.types import REFERENCE, TARGET, Cameras, Conditions, InputError, LatentClip, LatentGrid
from tests.models.small_backbones import make_loud
from tests.systems.wall import SIZE, wall_batch

CODEC = PatchCodec()
CHANNELS = CODEC.grid.channels
NO_FILTER = LiftingSpec(edge_filter=False)
SMALL = {"dim": 48, "ffn_dim": 48, "num_heads": 2, "num_layers": 1}


def backbone(*ways, weights=None):
    torch.manual_seed(0)
    more = sum(way.num_channels(CODEC.grid) for way in ways)
    config = VideoDiTConfig(in_channels=CHANNELS + more, **SMALL)
    made = ReCamMaster(config, CODEC.grid, ways, null_text_length=3, weights=weights)
    return made if weights is not None else make_loud(made)


def lifting_model(tmp_path, **settings):
    """The model of a view with the weights of one without, and that one."""
    plain = backbone()
    base = tmp_path / "base.ckpt"
    torch.save({f"model.backbone.{name}": value for name, value in plain.state_dict().items()}, base)
    told = backbone(LiftedView(NO_FILTER, **settings), weights=base)
    return NovelViewModel(told, CODEC, FlowMatching()), NovelViewModel(plain, CODEC, FlowMatching())


def velocity(model, clip, conditions=None, reference=0.0):
    latents, given = encode_clip(model, clip)
    latents[:, REFERENCE] += reference
    noise = torch.randn(latents[:, TARGET].shape, generator=torch.Generator().manual_seed(0))
    sigma = torch.full((len(latents),), 0.7)
    return model.noisy_pass(latents, clip.cameras, sigma, noise, given if conditions is None else conditions).velocity


def at_the_reference(clip):
    """The clip with the target's cameras at the reference's place."""
    pose, intrinsics = clip.cameras.cam_from_world, clip.cameras.intrinsics
    return replace(clip, cameras=Cameras(pose[:, :1].expand_as(pose), intrinsics[:, :1].expand_as(intrinsics)))


def test_what_is_shown_is_what_the_wall_shows(tmp_path):
    """The target stands 2 and 3 pixels' worth to the right of the reference: so many columns it alone sees."""
    clip = wall_batch(0, 1)
    channels = encode_clip(lifting_model(tmp_path)[0], clip).conditions.channels
    assert channels.shape == (2, 2, CHANNELS + 1, 3, SIZE // 4, SIZE // 4)
    assert not channels[:, REFERENCE].any()
    for number, shift in enumerate((2, 3)):
        seen = torch.zeros_like(clip.video[number, REFERENCE])
        seen[..., :-shift] = clip.video[number, REFERENCE, ..., shift:]
        torch.testing.assert_close(channels[number, TARGET, :-1], CODEC.encode(seen))
        covered = torch.ones(3, SIZE // 4, SIZE // 4)
        covered[..., -1] = 1 - shift / 4
        assert torch.equal(channels[number, TARGET, -1], covered)


def test_a_camera_at_the_reference_s_place_shows_the_reference_s_latents(tmp_path):
    clip = at_the_reference(wall_batch(0))
    latents, conditions = encode_clip(lifting_model(tmp_path)[0], clip)
    assert torch.equal(conditions.channels[:, TARGET, :-1], latents[:, REFERENCE])
    assert (conditions.channels[:, TARGET, -1] == 1).all()


@torch.no_grad()
def test_untrained_it_changes_no_bit(tmp_path):
    told, plain = lifting_model(tmp_path)
    clip = wall_batch(0, 1)
    assert torch.equal(velocity(told, clip), velocity(plain, clip))
    latents, conditions = encode_clip(told, clip)
    noise = torch.randn(latents[:, TARGET].shape)
    made = [
        model.generate(latents[:, REFERENCE], clip.cameras, noise, EulerSampler(2), of).latents
        for model, of in ((told, conditions), (plain, Conditions()))
    ]
    assert torch.equal(*made)


def test_every_channel_learns_and_shows_then(tmp_path):
    told, _ = lifting_model(tmp_path)
    clip = wall_batch(0)
    velocity(told, clip).square().mean().backward()
    weight = told.backbone.dit.patch_embedding.weight
    assert weight.grad[:, -CHANNELS - 1 :].flatten(2).abs().amax(dim=(0, 2)).min() > 0
    with torch.no_grad():
        weight -= weight.grad
        other = replace(clip, depth=2 * clip.depth)
        assert (velocity(told, clip) - velocity(told, other)).abs().max() > 1e-4


@torch.no_grad()
def test_a_hidden_reference_is_not_seen(tmp_path):
    clip = wall_batch(0)
    for reference, sees in (("kept", True), ("hidden", False)):
        told, plain = lifting_model(tmp_path, reference=reference)
        assert torch.equal(velocity(told, clip), velocity(told, clip, reference=1.0)) is not sees
        assert torch.equal(velocity(told, clip), velocity(plain, clip)) is sees


def test_depth_comes_from_where_it_is_asked_for(tmp_path):
    told, _ = lifting_model(tmp_path)
    clip = wall_batch(0)

    def shown(**spec):
        return encode_clip(told, clip, ReferenceDepth(ReferenceDepthSpec(**spec)), seed=3).conditions.channels

    true = shown()
    assert torch.equal(shown(kind="plane", distance=4.0), true), "the wall stands at 4"
    noisy = shown(damage=("noise:20",))
    assert not torch.equal(noisy, true)
    assert torch.equal(shown(damage=("noise:20",)), noisy)


def test_a_clip_without_depth_is_refused_in_a_line(tmp_path):
    told, _ = lifting_model(tmp_path)
    clip = wall_batch(0)
    with pytest.raises(InputError, match=r"^wall 0: got no depth of the reference, want [^\n]*$"):
        encode_clip(told, replace(clip, depth=None))
    latents = LatentClip(CODEC.encode(clip.video), clip.cameras, (CODEC.identity,))
    with pytest.raises(InputError, match=r"^data: got latents, which have no depth[^\n]*$"):
        encode_clip(told, latents)


def test_a_mask_is_laid_out_as_latent_frames_are():
    """Frame 0 has a latent of its own; 5 frames at stride 4 and cells of 2 px are two latent frames."""
    mask = torch.zeros(1, 5, 2, 4, dtype=torch.bool)
    mask[0, 0, :, :2] = True  # the first cell of the first frame
    for frame in (1, 2, 3, 4):
        mask[0, frame].flatten()[: 2 * frame] = True
    share = covered_share(mask, LatentGrid(4, 2, 1))
    assert share.shape == (1, 4, 2, 1, 2)
    assert torch.equal(share[0, :, 0, 0], torch.tensor([[1.0, 0.0]] * 4))
    assert torch.equal(share[0, :, 1, 0], torch.tensor([[0.5, 0.0], [0.5, 0.5], [1.0, 0.5], [1.0, 1.0]]))


def test_a_checkpoint_remembers_its_view():
    view = LiftedView(NO_FILTER)
    kept = {LIFTED_VIEW: view.settings()}
    check_lifted_view(kept, LiftedView(NO_FILTER), "f")
    check_lifted_view({}, None, "f")
    with pytest.raises(InputError, match="f: got weights trained with a lifted view, want LiftedView in"):
        check_lifted_view(kept, None, "f")
    with pytest.raises(InputError, match="f: got weights trained without a lifted view, want a model without"):
        check_lifted_view({}, view, "f")
    with pytest.raises(InputError, match=r"trained with lifted_view\.lifting\.surface points, want mesh, this model's"):
        check_lifted_view(kept, LiftedView(LiftingSpec(surface="mesh", edge_filter=False)), "f")
    with pytest.raises(InputError, match=r"trained with lifted_view\.reference kept, want hidden"):
        check_lifted_view(kept, LiftedView(NO_FILTER, "hidden"), "f")


def test_channels_that_nothing_gives_are_refused():
    check_channels(backbone(LiftedView()))
    with pytest.raises(InputError, match="backbone: got 3 more channels of the latents, want 0"):
        check_channels(backbone(LatentChannels(3)))
    with pytest.raises(InputError, match="backbone: got 20 more channels of the latents, want 17"):
        check_channels(backbone(LiftedView(), LatentChannels(3)))
    with pytest.raises(InputError, match=r"dit\.in_channels: got 16, want at least the latents' 16 and 17 more"):
        ReCamMaster(VideoDiTConfig(**SMALL), CODEC.grid, [LiftedView()], null_text_length=3)
