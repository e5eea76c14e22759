import dataclasses
import itertools
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from mvt4g.data.kubric import StepSampler, SyntheticClips, recipe_hash, recolour
from mvt4g.data.loading import collate
from mvt4g.synthetic.generate import generate_clip
from mvt4g.synthetic.spec import LookSpec, PointSpec, SceneSpec
from mvt4g.types import InputError

SCENE = SceneSpec(num_frames=2, image_size=(16, 16), points=PointSpec(count=8))


def test_splits_share_no_clip_and_train_visits_all_in_each_pass():
    train, val, test = (SyntheticClips(SCENE, split, 6, 0) for split in ("train", "val", "test"))
    passes = [[train[sample].name for sample in range(first, first + 6)] for first in (0, 6)]
    assert set(passes[0]) == set(passes[1]) == {f"synthetic-0-{index:06d}" for index in range(6)}
    assert passes[0] != passes[1]
    names = [{clips[number].name for number in range(6)} for clips in (train, val, test)]
    assert len(set().union(*names)) == 18


def test_held_out_items_have_the_first_two_views():
    val = SyntheticClips(SCENE, "val", 2, 3)
    whole = generate_clip(SCENE, 3, 100_000_001)
    torch.testing.assert_close(val[1].video, whole.video[:2], rtol=0, atol=0)
    torch.testing.assert_close(val[1].tracks, whole.tracks[:2], rtol=0, atol=0)
    with pytest.raises(IndexError):
        val[2]


def test_training_draws_every_ordered_pair_of_views():
    train = SyntheticClips(SCENE, "train", 1, 0)
    whole = generate_clip(SCENE, 0, 0).video
    pairs = set()
    for sample in range(40):
        video = train[sample].video
        pairs.add(tuple(next(view for view in range(3) if torch.equal(whole[view], video[place])) for place in (0, 1)))
    assert pairs == set(itertools.permutations(range(3), 2))


def test_a_sample_does_not_hang_on_the_workers():
    def names_and_sums(workers):
        loader = DataLoader(
            SyntheticClips(SCENE, "train", 20, 0),
            batch_size=3,
            sampler=StepSampler(lambda: 1, 3),
            collate_fn=collate,
            num_workers=workers,
        )
        return [(batch.name, batch.video.double().sum().item()) for batch in itertools.islice(loader, 3)]

    assert names_and_sums(0) == names_and_sums(2)


def test_the_cache_is_written_once_read_back_and_needs_no_generator(tmp_path):
    def dataset(split="train"):
        return SyntheticClips(SCENE, split, 3, 0, tmp_path)

    fresh = SyntheticClips(SCENE, "train", 3, 0)[4]
    first = dataset()[4]
    files = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.npz"))
    number = int(fresh.name[-6:])
    assert files == [f"{recipe_hash(SCENE, 0)}/train/{number:09d}.npz"]
    assert (tmp_path / recipe_hash(SCENE, 0) / "recipe.json").is_file()
    stamp = (tmp_path / files[0]).stat().st_mtime_ns
    second = dataset()[4]
    assert (tmp_path / files[0]).stat().st_mtime_ns == stamp
    for name in ("video", "tracks", "visible", "depth", "instances", "dynamic", "point_instance"):
        for other in (first, second):
            torch.testing.assert_close(getattr(other, name), getattr(fresh, name), rtol=0, atol=0)


def test_a_broken_cache_file_comes_back_as_an_error_that_names_it(tmp_path):
    clips = SyntheticClips(SCENE, "val", 1, 0, tmp_path)
    path = tmp_path / recipe_hash(SCENE, 0) / "val" / "100000000.npz"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"no archive")
    assert isinstance(clips[0], InputError)
    assert str(path) in str(clips[0])


WITHOUT_GENERATOR = """
import sys
for name in ("open3d", "mujoco", "av"):
    sys.modules[name] = None  # import raises ImportError
from pathlib import Path
from mvt4g.data.kubric import SyntheticClips
from mvt4g.synthetic.spec import PointSpec, SceneSpec
scene = SceneSpec(num_frames=2, image_size=(16, 16), points=PointSpec(count=8))
clips = SyntheticClips(scene, "val", 2, 0, Path(sys.argv[1]))
print(clips[0].name)
print(repr(clips[1]))
"""


def test_a_box_without_open3d_and_mujoco_reads_the_cache(tmp_path):
    SyntheticClips(SCENE, "val", 2, 0, tmp_path)[0]
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


def test_recolouring_is_the_same_for_all_views_and_known_for_grey():
    video = torch.rand(2, 2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    out = recolour(video, np.random.default_rng(0))
    assert 0 <= float(out.min()) <= float(out.max()) <= 1
    parts = torch.stack([recolour(view, np.random.default_rng(0)) for view in video])
    torch.testing.assert_close(out, parts, rtol=0, atol=0)
    grey = recolour(torch.full((1, 3, 2, 2), 0.5), np.random.default_rng(1))
    assert 0.35 <= float(grey.min()) <= float(grey.max()) <= 0.6
    assert float(grey.std(dim=(0, 2, 3)).max()) == 0


def test_step_sampler_by_hand():
    def take(count, **arguments):
        return list(itertools.islice(StepSampler(**arguments), count))

    assert take(5, step=lambda: 0, batch_size=2) == [0, 1, 2, 3, 4]
    # 2 ranks, 3 micro-batches a step, 2 a batch: a step takes 12 samples; rank 1 has the odd batches
    assert take(4, step=lambda: 5, batch_size=2, accumulate=3, rank=1, world=2) == [62, 63, 66, 67]


def test_ranks_and_steps_share_out_all_samples():
    step = 3
    taken = [
        sample
        for rank in range(3)
        for sample in itertools.islice(StepSampler(lambda: step, 4, accumulate=2, rank=rank, world=3), 2 * 2 * 4)
    ]
    assert sorted(taken) == list(range(3 * 24, 5 * 24))


def test_the_sampler_has_no_length():
    with pytest.raises(TypeError, match="no length"):
        len(StepSampler(lambda: 0, 1))


def test_bad_arguments_are_named():
    with pytest.raises(InputError, match=r"scene\.num_views: got 1"):
        SyntheticClips(dataclasses.replace(SCENE, num_views=1), "train", 1, 0)
    with pytest.raises(InputError, match="num_val, seed: got 0, 0"):
        SyntheticClips(SCENE, "val", 0, 0)
