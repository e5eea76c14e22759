import json
from dataclasses import replace

import pytest
import torch

from mvt4g.commands.precompute import CacheSpec, precompute
from mvt4g.data.clip_sources import SourceSpec
from mvt4g.data.crops import CropSpec
from mvt4g.data.frame_rates import FrameSpec
from mvt4g.data.latent_clips import CachedClips
from mvt4g.data.views import ViewSpec
from mvt4g.formats.clip_cache import write_clip
from mvt4g.formats.latent_file import FILE, num_views, prompt_path, read_latents, read_prompt
from mvt4g.formats.manifest import file_faults, read_manifest, write_manifest
from mvt4g.models.codec import PatchCodec
from mvt4g.models.image_tokens import ImageEncoder
from mvt4g.models.text import NEGATIVE_PROMPT, TextEncoderSpec, encode_prompts
from mvt4g.models.wan_codec import WanCodec
from mvt4g.types import InputError
from tests.commands.conftest import contents
from tests.data.made_up_clips import moving_clip
from tests.formats.layouts.multicamvideo import write_multicamvideo
from tests.models.tiny_clip import write_clip_weights
from tests.models.tiny_umt5 import write_tokenizer, write_umt5
from tests.models.tiny_wan_vae import write_vae

CACHE = CacheSpec(num_points=8)


@pytest.fixture
def clips(tmp_path):
    """Return a folder of three clips of three views and six frames, two of which share a caption."""
    for number, caption in enumerate(("a red ball", "two falls", "a red ball")):
        clip = moving_clip(views=3, frames=6, height=24, width=32, seed=number, name=f"clip {number}")
        video = (clip.video * 255).round() / 255
        write_clip(tmp_path / "clips" / f"{number}.npz", replace(clip, video=video, caption=caption))
    return tmp_path / "clips"


def run(clips, out, codec=None, cache=CACHE, **options):
    return precompute(out, codec, SourceSpec(clips), cache=cache, device="cpu", **options)


def test_what_is_kept_is_what_the_codec_makes_of_every_view(clips, tmp_path, capsys):
    assert run(clips, tmp_path / "cache") == 0
    assert "3 clips, 3 of them encoded now" in capsys.readouterr().out
    clip, kept = moving_clip(3, 6, 24, 32, seed=1), read_latents(tmp_path / "cache" / "1.npz" / FILE)
    video = (clip.video * 255).round() / 255
    assert torch.equal(kept.latents, PatchCodec().encode(video))
    assert torch.equal(kept.cameras.cam_from_world, clip.cameras.cam_from_world)
    assert torch.equal(kept.cameras.intrinsics, clip.cameras.intrinsics)
    assert kept.tracks.shape == (3, 6, 8, 2)
    assert bool(kept.visible.any(dim=1).any(dim=0).all())
    assert (kept.name, kept.codec, kept.caption, kept.text) == ("clips/1.npz", PatchCodec().identity, "two falls", None)
    assert num_views(tmp_path / "cache" / "1.npz" / FILE) == 3
    pair = read_latents(tmp_path / "cache" / "1.npz" / FILE, [2, 0])
    assert torch.equal(pair.latents, kept.latents[[2, 0]])
    assert torch.equal(pair.tracks, kept.tracks[[2, 0]])
    assert torch.equal(pair.point_valid, kept.point_valid)
    manifest = read_manifest(tmp_path / "cache")
    assert manifest.made_by["codec"] == PatchCodec().identity
    assert all(not file_faults(tmp_path / "cache" / name, records) for name, records in manifest.clips.items())


def test_backwards_all_follows_and_both_kinds_make_one_cache(clips, tmp_path):
    run(clips, tmp_path / "cache" / "forwards")
    run(clips, tmp_path / "cache" / "backwards", cache=replace(CACHE, backwards=True))
    forwards, backwards = (
        read_latents(tmp_path / "cache" / name / "1.npz" / FILE) for name in ("forwards", "backwards")
    )
    video = (moving_clip(3, 6, 24, 32, seed=1).video * 255).round() / 255
    assert torch.equal(backwards.latents, PatchCodec().encode(video.flip(1)))
    assert torch.equal(backwards.cameras.cam_from_world, forwards.cameras.cam_from_world.flip(1))
    assert torch.equal(backwards.tracks, forwards.tracks.flip(1))
    assert torch.equal(backwards.visible, forwards.visible.flip(1))
    cached = CachedClips(tmp_path / "cache")
    assert len(cached) == 6
    same = cached.read(0, [1, 1])
    assert torch.equal(same.latents[0], same.latents[1]), "ReDirector's pairs of a view with itself"
    with pytest.raises(InputError, match=r"cache\.frames\.reversed: got 0\.5, want 0"):
        CacheSpec(frames=FrameSpec(3, reversed=0.5))


def test_a_stopped_run_goes_on_and_makes_the_same_bytes(clips, tmp_path, capsys):
    run(clips, tmp_path / "cache")
    whole = contents(tmp_path / "cache")
    (tmp_path / "cache" / "0.npz" / FILE).unlink()
    spoilt = tmp_path / "cache" / "2.npz" / FILE
    spoilt.write_bytes(spoilt.read_bytes()[:-10])
    (tmp_path / "cache" / "0.npz" / ".latents.0123abcd.part.safetensors").touch()
    capsys.readouterr()
    run(clips, tmp_path / "cache")
    assert "3 clips, 2 of them encoded now" in capsys.readouterr().out
    assert contents(tmp_path / "cache") == whole
    run(clips, tmp_path / "cache", workers=1)
    assert "0 of them encoded now" in capsys.readouterr().out


def test_parts_are_the_whole_and_are_read_as_one(clips, tmp_path):
    run(clips, tmp_path / "whole")
    for part in range(2):
        run(clips, tmp_path / "parts" / str(part), cache=replace(CACHE, part=part, parts=2))
    whole, parts = CachedClips(tmp_path / "whole"), CachedClips(tmp_path / "parts")
    assert len(whole) == len(parts) == 3
    assert {file.read_bytes() for file in whole.files} == {file.read_bytes() for file in parts.files}


def test_wan_latents_text_and_image_tokens(clips, tmp_path):
    text = TextEncoderSpec(
        write_umt5(tmp_path / "umt5.pth"), write_tokenizer(tmp_path / "tokenizer.json"), dtype="float32"
    )
    codec = WanCodec(write_vae(tmp_path / "vae.pth"))
    cache = CacheSpec(FrameSpec(5), CropSpec((16, 24)), 8)
    image = write_clip_weights(tmp_path / "clip.pth")
    run(clips, tmp_path / "cache", codec, cache, text=text, image_encoder=image)
    kept = CachedClips(tmp_path / "cache").read(0, ViewSpec().pairs(3, "")[0])
    assert kept.latents.shape == (2, 16, 2, 2, 3)
    assert kept.image.shape == (2, 17, 160)
    assert kept.cameras.intrinsics.shape[:2] == (2, 5)
    want = encode_prompts(["a red ball"], text)["a red ball"]
    assert (kept.text - want).norm() / want.norm() < 1e-6
    prompts = sorted(path.name for path in (tmp_path / "cache" / "prompts").iterdir())
    assert len(prompts) == 4, "two captions, the empty one, the negative one"
    negative = read_prompt(tmp_path / "cache" / "prompts" / "negative.safetensors")
    assert torch.allclose(negative, encode_prompts([NEGATIVE_PROMPT], text)[NEGATIVE_PROMPT], atol=1e-6)
    assert ImageEncoder(image)(torch.rand(1, 3, 16, 24)).shape == (1, 17, 160)
    prompt_path(tmp_path / "cache", "a red ball").unlink()
    with pytest.raises(InputError, match=r"prompts/[0-9a-f]{16}\.safetensors: no such file"):
        CachedClips(tmp_path / "cache").read(0, [0, 1])


def test_captions_of_multicamvideo_come_from_its_csv(tmp_path):
    """One a video there, one a scene here: the first row's."""
    for scene in ("scene1", "scene2"):
        clip = moving_clip(views=2, frames=5, height=16, width=16, name=scene)
        write_multicamvideo(tmp_path / "data/train/f24_aperture5" / scene, clip)
    rows = [("scene2", "cam01", "two falls"), ("scene1", "cam02", "a red ball"), ("scene1", "cam01", "one ball")]
    text = [f"f24_aperture5/{scene}/videos/{camera}.mp4,{words}" for scene, camera, words in rows]
    (tmp_path / "metadata.csv").write_text("\n".join(["file_name,text", *text]))
    encoder = TextEncoderSpec(write_umt5(tmp_path / "umt5.pth"), write_tokenizer(tmp_path / "tokenizer.json"))
    for root, prefix in (("data", "train/"), ("data/train", "")):
        out, options = tmp_path / f"cache-{prefix[:-1]}", {"cache": CacheSpec(), "captions": tmp_path / "metadata.csv"}
        run(tmp_path / root, out, **options, text=encoder)
        for scene, words in (("scene1", "a red ball"), ("scene2", "two falls")):
            kept = read_latents(out / f"{prefix}f24_aperture5" / scene / FILE)
            assert kept.caption == words
            assert prompt_path(out, words).is_file()
        assert not prompt_path(out, "one ball").exists()
    (tmp_path / "metadata.csv").write_text("\n".join(["file_name,text", *text[1:]]))
    with pytest.raises(InputError, match=r"metadata\.csv: got no text of f24_aperture5/scene2 \(1 clips have none\)"):
        run(tmp_path / "data/train", tmp_path / "other", **options)
    (tmp_path / "metadata.csv").write_text("\n".join(["file_name,text", *text[::-1]]))
    with pytest.raises(InputError, match=r"captions\.metadata\.csv: got '[0-9a-f]{64}', want .* of the cache in"):
        run(tmp_path / "data/train", out, **options, text=encoder)


def test_bf16_halves_the_latents_and_nothing_else(clips, tmp_path):
    run(clips, tmp_path / "high")
    run(clips, tmp_path / "low", cache=replace(CACHE, dtype="bfloat16"))
    high, low = (read_latents(tmp_path / kind / "0.npz" / FILE) for kind in ("high", "low"))
    assert torch.equal(low.latents, high.latents.bfloat16().float())
    assert not torch.equal(low.latents, high.latents)
    assert torch.equal(low.tracks, high.tracks)
    assert torch.equal(low.cameras.cam_from_world, high.cameras.cam_from_world)


def test_bad_input_is_named(clips, tmp_path):
    wan = WanCodec(write_vae(tmp_path / "vae.pth"))
    with pytest.raises(InputError, match=r"clips/0\.npz: num_frames: got 6, want 4\*m \+ 1"):
        run(clips, tmp_path / "frames", wan)
    with pytest.raises(InputError, match=r"clips/0\.npz: video size: got \(20, 30\)"):
        run(clips, tmp_path / "size", wan, CacheSpec(FrameSpec(5), CropSpec((20, 30)), 8))
    run(clips, tmp_path / "cache")
    with pytest.raises(InputError, match=r"codec: got 'WanCodec [0-9a-f]{16}', want 'PatchCodec .*of the cache in"):
        run(clips, tmp_path / "cache", wan)
    with pytest.raises(InputError, match=r"cache\.dtype: got 'bfloat16', want 'float32' of the cache"):
        run(clips, tmp_path / "cache", cache=replace(CACHE, dtype="bfloat16"))
    cache = CacheSpec(FrameSpec(5), CropSpec((16, 24)), 8)
    run(clips, tmp_path / "wan", wan, cache)
    for changed, message in (
        ({"dtype": "bfloat16"}, "dtype: got 'bfloat16', want 'float32'"),
        ({"tile": (16, 16)}, r"tile: got \[16, 16\], want None"),
    ):
        other = WanCodec(tmp_path / "vae.pth", **changed)
        with pytest.raises(InputError, match=rf"codec_settings\.{message} of the cache in .*want another folder"):
            run(clips, tmp_path / "wan", other, cache)
    with pytest.raises(InputError, match=r"which holds 0\.npz but no manifest\.json"):
        run(clips, clips)
    with pytest.raises(InputError, match=r"cache\.most: got null for generated scenes"):
        precompute(tmp_path / "none", device="cpu")
    with pytest.raises(InputError, match="want most >= 1, seed >= 0, 0 <= part < parts"):
        CacheSpec(part=2, parts=2)


def test_files_that_are_none_of_ours_are_named(clips, tmp_path):
    run(clips, tmp_path / "cache")
    file = tmp_path / "cache" / "0.npz" / FILE
    whole = file.read_bytes()
    file.write_bytes(whole[:-10])
    with pytest.raises(InputError, match=r"latents\.safetensors: cannot be read .*want a whole"):
        read_latents(file)
    file.write_bytes(b"")
    with pytest.raises(InputError, match=r"latents\.safetensors: cannot be read"):
        num_views(file)
    length = int.from_bytes(whole[:8], "little")
    header = json.loads(whole[8 : 8 + length])
    header["visible"]["shape"] = header["visible"]["shape"][::-1]
    spoilt = json.dumps(header).encode()
    file.write_bytes(len(spoilt).to_bytes(8, "little") + spoilt + whole[8 + length :])
    with pytest.raises(InputError, match=r"visible: got torch\.bool \(8, 6, 3\), want \(v t n\)"):
        read_latents(file)
    file.write_bytes(whole)
    with pytest.raises(InputError, match=r"views: got 3, want 0 to 2"):
        read_latents(file, [0, 3])
    with pytest.raises(InputError, match="want the embedding of one prompt"):
        read_prompt(file)
    with pytest.raises(InputError, match="no such file, want one from mvt4g precompute"):
        read_latents(tmp_path / "absent.safetensors")


def test_a_broken_clip_is_left_out_and_the_others_are_encoded(clips, tmp_path, capsys):
    whole = (clips / "1.npz").read_bytes()
    (clips / "1.npz").write_bytes(whole[:200])
    out = tmp_path / "cache"
    assert run(clips, out) == 2
    told = capsys.readouterr()
    assert "3 clips, 2 of them encoded now, 1 failed" in told.out
    (line,) = told.err.splitlines()
    assert line.startswith(f"mvt4g: 1.npz: {clips / '1.npz'}")
    assert sorted(read_manifest(out).clips) == ["0.npz", "2.npz"]
    (clips / "1.npz").write_bytes(whole)
    assert run(clips, out) == 0
    assert "3 clips, 1 of them encoded now\n" not in capsys.readouterr().err
    assert sorted(read_manifest(out).clips) == ["0.npz", "1.npz", "2.npz"]


def test_a_clip_that_a_killed_run_wrote_after_its_manifest_is_not_encoded_again(clips, tmp_path, capsys):
    out = tmp_path / "cache"
    assert run(clips, out) == 0
    before = contents(out)
    manifest = read_manifest(out)
    write_manifest(
        out, replace(manifest, clips={name: files for name, files in manifest.clips.items() if name != "1.npz"})
    )
    capsys.readouterr()
    assert run(clips, out) == 0
    assert "3 clips, 0 of them encoded now" in capsys.readouterr().out
    assert contents(out) == before
