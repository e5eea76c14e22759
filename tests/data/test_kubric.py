import dataclasses
import itertools
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from mvt4g.data import kubric
from mvt4g.data.clip_sources import ClipSource
from mvt4g.data.kubric import SyntheticClips, recipe_hash
from mvt4g.formats.readers.selection import Selection
from mvt4g.synthetic.generate import generate_clip
from mvt4g.synthetic.spec import LookSpec, PointSpec, SceneSpec
from mvt4g.types import InputError

SCENE = SceneSpec(num_frames=2, image_size=(16, 16), points=PointSpec(count=8))


def of_split(split):
    return SyntheticClips(SCENE, split, 3, 0)


def test_splits_share_no_clip_and_clips_are_those_of_the_generator():
    names = [[clips.read(number).name for number in range(3)] for clips in map(of_split, ("train", "val", "test"))]
    assert names == [list(of_split(split).names) for split in ("train", "val", "test")]
    assert len(set(itertools.chain(*names))) == 9
    torch.testing.assert_close(
        of_split("val").read(1).video, generate_clip(SCENE, 0, 100_000_001).video, rtol=0, atol=0
    )


def test_views_and_frames_are_taken_out():
    clips = of_split("train")
    assert (len(clips), clips.count(0)) == (3, (3, 2))
    whole, part = clips.read(0), clips.read(0, Selection([2, 0], [1]))
    torch.testing.assert_close(part.video, whole.video[[2, 0]][:, [1]], rtol=0, atol=0)
    torch.testing.assert_close(part.tracks, whole.tracks[[2, 0]][:, [1]], rtol=0, atol=0)
    torch.testing.assert_close(part.points_world, whole.points_world[[1]], rtol=0, atol=0)
    torch.testing.assert_close(part.cameras.intrinsics, whole.cameras.intrinsics[[2, 0]][:, [1]], rtol=0, atol=0)


def test_it_is_a_source_of_clips():
    assert isinstance(of_split("train"), ClipSource)


def test_the_cache_is_written_once_read_back_and_needs_no_generator(tmp_path):
    def read():
        return SyntheticClips(SCENE, "train", 3, 0, tmp_path).read(1)

    fresh, first = SyntheticClips(SCENE, "train", 3, 0).read(1), read()
    files = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.npz"))
    assert files == [f"{recipe_hash(SCENE, 0)}/train/000000001.npz"]
    assert (tmp_path / recipe_hash(SCENE, 0) / "recipe.json").is_file()
    stamp = (tmp_path / files[0]).stat().st_mtime_ns
    second = read()
    assert (tmp_path / files[0]).stat().st_mtime_ns == stamp
    for name in ("video", "tracks", "visible", "depth", "instances", "dynamic", "point_instance"):
        for other in (first, second):
            torch.testing.assert_close(getattr(other, name), getattr(fresh, name), rtol=0, atol=0)


def test_clips_without_a_cache_stay_in_memory_while_there_is_room(monkeypatch):
    wanted = [of_split("train").read(number) for number in range(3)]
    made = []

    def generated(scene, seed, index):
        made.append(index)
        return generate_clip(scene, seed, index)

    monkeypatch.setattr("mvt4g.synthetic.generate.generate_clip", generated)
    monkeypatch.setattr(kubric, "KEPT_BYTES", 2 * wanted[0].nbytes)
    clips = of_split("train")
    for number in (0, 1, 2, 0, 1, 2):
        torch.testing.assert_close(clips.read(number).video, wanted[number].video, rtol=0, atol=0)
    assert made == [0, 1, 2, 2], "the third has no room"


def test_a_broken_cache_file_is_named(tmp_path):
    clips = SyntheticClips(SCENE, "val", 1, 0, tmp_path)
    path = tmp_path / recipe_hash(SCENE, 0) / "val" / "100000000.npz"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"no archive")
    with pytest.raises(InputError, match=re.escape(str(path))):
        clips.read(0)


WITHOUT_GENERATOR = """
import sys
for name in ("open3d", "mujoco", "av"):
    sys.modules[name] = None  # import raises ImportError
from pathlib import Path
from mvt4g.data.kubric import SyntheticClips
from mvt4g.synthetic.spec import PointSpec, SceneSpec
from mvt4g.types import InputError
scene = SceneSpec(num_frames=2, image_size=(16, 16), points=PointSpec(count=8))
clips = SyntheticClips(scene, "val", 2, 0, Path(sys.argv[1]))
print(clips.read(0).name)
try:
    clips.read(1)
except InputError as error:
    print(repr(error))
"""


def test_a_box_without_open3d_and_mujoco_reads_the_cache(tmp_path):
    SyntheticClips(SCENE, "val", 2, 0, tmp_path).read(0)
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_GENERATOR, str(tmp_path)],
        capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    first, second = done.stdout.splitlines()
    assert first == "synthetic-0-100000000"
    assert second.startswith("InputError(")
    assert "100000001.npz" in second
    assert "cannot be generated here" in second


def test_the_recipe_s_name_changes_with_any_value_but_not_with_how_it_is_written():
    whole = dataclasses.replace(SCENE)
    object.__setattr__(whole, "fps", 12)  # as a caller without beartype may write 12.0
    assert recipe_hash(whole, 0) == recipe_hash(SCENE, 0)
    others = [
        recipe_hash(SCENE, 1),
        recipe_hash(dataclasses.replace(SCENE, num_views=2), 0),
        recipe_hash(dataclasses.replace(SCENE, looks=LookSpec(shadows=False)), 0),
    ]
    assert len({recipe_hash(SCENE, 0), *others}) == 4


def test_bad_arguments_are_named():
    with pytest.raises(InputError, match=r"scene\.num_views: got 1"):
        SyntheticClips(dataclasses.replace(SCENE, num_views=1), "train", 1, 0)
    with pytest.raises(InputError, match="num_val, seed: got 0, 0"):
        SyntheticClips(SCENE, "val", 0, 0)
