import json

import pytest
import torch

from mvt4g.data.latent_clips import CachedClips, ReCamMasterCache, open_latents
from mvt4g.formats.readers.focal_folders import SENSOR_MM
from mvt4g.formats.readers.recammaster_cache import SUFFIX, read
from mvt4g.formats.trajectory_json import read_recammaster_world
from mvt4g.geometry.pose import invert_pose
from mvt4g.types import InputError

FRAMES, LATENT_FRAMES = 9, 3


def pose_text(frame, camera):
    """A row-vector matrix in centimetres, as Unreal gives it."""
    return f"[1 0 0 0] [0 1 0 0] [0 0 1 0] [{10 * frame} {100 * camera} 5 1] "


def write_scene(folder, cameras=(1, 2, 10)):
    (folder / "cameras").mkdir(parents=True)
    (folder / "videos").mkdir()
    poses = {f"frame{f}": {f"cam{c:02d}": pose_text(f, c) for c in cameras} for f in range(FRAMES)}
    (folder / "cameras" / "camera_extrinsics.json").write_text(json.dumps(poses))
    for camera in cameras:
        context = torch.zeros(1, 512, 8, dtype=torch.bfloat16)
        context[0, :camera] = camera
        content = {
            "latents": torch.full((16, LATENT_FRAMES, 60, 104), float(camera), dtype=torch.bfloat16),
            "prompt_emb": {"context": context},
            "image_emb": {},
        }
        torch.save(content, folder / "videos" / f"cam{camera:02d}{SUFFIX}")
    return folder


@pytest.fixture
def scene(tmp_path):
    return write_scene(tmp_path / "train" / "f24_aperture5" / "scene1")


def test_views_cameras_and_the_target_s_text(scene):
    clip = read(scene, [2, 0])
    assert clip.latents.shape == (2, 16, LATENT_FRAMES, 60, 104)
    assert clip.latents[:, 0, 0, 0, 0].tolist() == [10, 1]
    assert clip.latents.dtype == torch.float32
    poses = read_recammaster_world(scene / "cameras" / "camera_extrinsics.json")
    assert torch.equal(clip.cameras.cam_from_world, invert_pose(torch.stack([poses["cam10"], poses["cam01"]])))
    focal = 24 / SENSOR_MM * 832
    wanted = torch.tensor([[focal, 0, 416], [0, focal, 240], [0, 0, 1]])
    assert torch.allclose(clip.cameras.intrinsics, wanted.expand(2, FRAMES, 3, 3))
    assert clip.text.shape == (1, 8), "the padding is left out"
    assert bool((clip.text == 1).all())
    assert bool((read(scene, [0, 2]).text == torch.full((10, 8), 10.0)).all())
    assert read(scene, [2]).text.shape == (10, 8), "of one view alone, its own"
    assert clip.codec == "WanCodec"


def test_it_is_opened_where_there_is_no_cache_of_ours(scene, tmp_path):
    clips = open_latents(tmp_path)
    assert isinstance(clips, ReCamMasterCache)
    assert (len(clips), clips.num_views(0)) == (1, 3)
    assert clips.read(0, [0, 1]).name == "train/f24_aperture5/scene1"
    assert len(CachedClips(tmp_path)) == 0
    with pytest.raises(InputError, match="got no cache there"):
        open_latents(tmp_path / "train" / "f24_aperture5" / "scene1" / "cameras")


def resave(file, change):
    content = torch.load(file, weights_only=True)
    change(content)
    torch.save(content, file)


class Payload:
    def __reduce__(self):
        return print, ("executed",)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.pop("latents"), r"latents: got NoneType, want \(16 f h w\)"),
        (lambda c: c.update(latents=torch.zeros(4, 3, 60, 104)), r"latents: got \(4, 3, 60, 104\), want \(16 f h w\)"),
        (lambda c: c["latents"].fill_(torch.nan), "latents: got NaN"),
        (lambda c: c.update(latents=torch.zeros(16, 4, 60, 104)), "got 4 latent frames, want those of 9 frames"),
        (lambda c: c.update(prompt_emb={}), r"prompt_emb\.context: got NoneType"),
        (lambda c: c.update(payload=Payload()), "got a pickle that names"),
    ],
    ids=["no latents", "channels", "nan", "length", "no text", "code"],
)
def test_a_broken_file_is_named(change, message, scene, capsys):
    resave(scene / "videos" / f"cam01{SUFFIX}", change)
    with pytest.raises(InputError, match=rf"cam01\.mp4\.tensors\.pth: {message}"):
        read(scene, [0])
    assert "executed" not in capsys.readouterr().out


def test_what_the_folder_lacks_is_named(scene, tmp_path):
    file = scene / "videos" / f"cam01{SUFFIX}"
    file.rename(file.with_name(f"cam03{SUFFIX}"))
    with pytest.raises(InputError, match=r"cam03.* got no camera cam03, want one in camera_extrinsics\.json"):
        read(scene, [1])
    short = scene / "videos" / f"cam02{SUFFIX}"
    short.write_bytes(short.read_bytes()[:-100])
    with pytest.raises(InputError, match=r"cam02\.mp4\.tensors\.pth: got .*want a file of tensors"):
        read(scene, [0])
    unnamed = write_scene(tmp_path / "val" / "scene1")
    with pytest.raises(InputError, match="got no focal length in a folder's name"):
        read(unnamed, [0])
