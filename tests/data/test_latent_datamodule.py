from dataclasses import replace

import pytest
import torch

from mvt4g.commands.precompute import CacheSpec, precompute
from mvt4g.data.clip_sources import OpenSource
from mvt4g.data.kubric import SyntheticClips
from mvt4g.data.latent_clips import HeldOutLatents, LatentSamples, open_latents
from mvt4g.data.latent_datamodule import LatentDataModule
from mvt4g.data.loading import collate
from mvt4g.data.samples import SamplingSpec, TrainingSamples
from mvt4g.data.views import ViewSpec
from mvt4g.models.codec import PatchCodec
from mvt4g.synthetic.spec import PointSpec, SceneSpec
from mvt4g.types import InputError, LatentClip

SCENE = SceneSpec(num_frames=1, image_size=(8, 8), num_views=3, points=PointSpec(count=4))


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    out = tmp_path_factory.mktemp("latents") / "cache"
    precompute(out, scene=SCENE, cache=CacheSpec(most=4, seed=3), device="cpu")
    return out


def test_samples_are_those_of_the_clips_themselves(cache):
    """Same order in every pass, same pair of views: encoding sample by sample gives what is read."""
    source = OpenSource("", SyntheticClips(SCENE, "train", 4, 3))
    clips, latents = TrainingSamples([source], SamplingSpec(), 7), LatentSamples(open_latents(cache), ViewSpec(), 7)
    for sample in (0, 1, 2, 3, 5, 11):
        clip, encoded = clips[sample], latents[sample]
        assert clip.name == encoded.name
        assert torch.equal(encoded.latents, PatchCodec().encode(clip.video))
        assert torch.equal(encoded.tracks, clip.tracks)
        assert torch.equal(encoded.visible, clip.visible)
    other = LatentSamples(open_latents(cache), ViewSpec(), 8)
    assert any(other[sample].name != latents[sample].name for sample in range(4))


def test_held_out_clips_are_the_first_pairs(cache):
    held_out = HeldOutLatents(open_latents(cache), ViewSpec(reference=(2,)), 3)
    assert [clip.name[-1] for clip in held_out] == ["0", "1", "2"]
    whole = open_latents(cache).read(0, [0, 1, 2])
    assert torch.equal(held_out[0].latents, whole.latents[[2, 0]])
    assert torch.equal(whole.select_views([2, 0]).latents, held_out[0].latents)


def test_batches_pad_their_texts(cache):
    clips = [open_latents(cache).read(index, [0, 1]) for index in range(2)]
    texts = [torch.rand(3, 5), torch.rand(1, 5)]
    batch = collate([replace(clip, text=text) for clip, text in zip(clips, texts, strict=True)])
    assert isinstance(batch, LatentClip)
    assert batch.latents.shape == (2, 2, 16, 1, 2, 2)
    assert batch.codec == (PatchCodec().identity,) * 2
    assert torch.equal(batch.text[0], texts[0])
    assert torch.equal(batch.text[1], torch.cat([texts[1], torch.zeros(2, 5)]))
    missing = collate([replace(clips[0], text=texts[0]), clips[1]])
    assert isinstance(missing, InputError)
    assert "text: missing in clip" in str(missing)
    assert str(collate([InputError("broken"), clips[0]])) == "broken"


def test_a_cache_that_is_needed_is_asked_for(cache):
    module = LatentDataModule(train=cache)
    module.setup("fit")
    assert module.val_dataloader() == []
    for stage in ("validate", "test"):
        with pytest.raises(InputError, match=r"data\.\w+: got null, want a folder of cached latents"):
            module.setup(stage)
    with pytest.raises(InputError, match="got 3 views, want for reference and target one of"):
        raise LatentSamples(open_latents(cache), ViewSpec(reference=(5,)), 0)[0]
