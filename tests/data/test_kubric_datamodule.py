import dataclasses
import logging

import lightning
import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint

from mvt4g.data.augment import AugmentSpec
from mvt4g.data.clip_sources import SourceSpec
from mvt4g.data.crops import CropSpec
from mvt4g.data.frame_rates import FrameSpec
from mvt4g.data.kubric import recipe_hash
from mvt4g.data.kubric_datamodule import KubricDataModule
from mvt4g.data.loading import LoaderSpec
from mvt4g.data.samples import SamplingSpec
from mvt4g.formats.clip_cache import write_clip
from mvt4g.synthetic.spec import PointSpec, SceneSpec
from mvt4g.types import InputError, MultiViewClip
from tests.data.made_up_clips import moving_clip, video_and_cameras

SCENE = SceneSpec(num_frames=1, image_size=(8, 8), points=PointSpec(count=4))

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:lightning", "ignore::DeprecationWarning")


class Recorder(lightning.LightningModule):
    """Remembers what it is given; its weight is pulled after every batch's sum, so that it depends on their order."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.seen: list[tuple[tuple[str, ...], float]] = []
        self.validated: list[str] = []

    def training_step(self, batch, batch_idx):
        assert isinstance(batch, MultiViewClip)
        total = float(batch.video.double().sum())
        self.seen.append((batch.name, total))
        return (self.weight - total) ** 2

    def validation_step(self, batch, batch_idx):
        self.validated.extend(batch.name)

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), lr=0.1)


def data(workers, **changes):
    arguments = {"num_train": 10, "num_val": 3, "num_test": 2, "seed": 0, **changes}
    return KubricDataModule(SCENE, LoaderSpec(batch_size=2, num_workers=workers), **arguments)


def fit(folder, steps, workers=2, ckpt_path=None, accumulate=1, module=None, **trainer):
    model = Recorder()
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    lightning.Trainer(
        accelerator="cpu", max_steps=steps, default_root_dir=folder, logger=False, enable_progress_bar=False,
        enable_model_summary=False, accumulate_grad_batches=accumulate, check_val_every_n_epoch=None,
        callbacks=[ModelCheckpoint(folder, every_n_train_steps=3, save_top_k=-1)],
        **{"val_check_interval": 2, "num_sanity_val_steps": 0, **trainer},
    ).fit(model, datamodule=module or data(workers), ckpt_path=ckpt_path)  # fmt: skip
    return model


@pytest.mark.parametrize(("accumulate", "workers"), [(1, 2), (2, 0)])
def test_a_resumed_fit_sees_what_an_uninterrupted_one_sees(tmp_path, accumulate, workers):
    settings = {"accumulate": accumulate, "workers": workers, "val_check_interval": 2 * accumulate}
    whole = fit(tmp_path / "whole", 6, **settings)
    first = fit(tmp_path / "half", 3, **settings)
    (checkpoint,) = (tmp_path / "half").glob("*.ckpt")
    rest = fit(tmp_path / "half", 6, ckpt_path=str(checkpoint), **settings)
    assert len(whole.seen) == 6 * accumulate
    assert first.seen + rest.seen == whole.seen
    assert len(set(whole.seen)) == len(whole.seen)
    assert torch.equal(rest.weight, whole.weight)


def test_short_epochs_change_nothing(tmp_path):
    plain = fit(tmp_path, 5, workers=0)
    assert fit(tmp_path, 5, workers=0, limit_train_batches=2).seen == plain.seen


def test_validation_and_test_clips_are_fixed(tmp_path):
    assert fit(tmp_path, 2, workers=0).validated == [f"synthetic-0-10000000{number}" for number in range(3)]
    names = [name for batch in data(0).test_dataloader() for name in batch.name]
    assert names == ["synthetic-0-200000000", "synthetic-0-200000001"]


def test_an_error_in_a_worker_is_raised_in_the_main_process(tmp_path):
    module = data(2, cache_dir=tmp_path)
    path = tmp_path / recipe_hash(SCENE, 0) / "val" / "100000001.npz"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"broken")
    with pytest.raises(InputError) as caught:
        lightning.Trainer(
            accelerator="cpu", logger=False, enable_progress_bar=False, enable_checkpointing=False,
            enable_model_summary=False, default_root_dir=tmp_path,
        ).validate(Recorder(), datamodule=module, verbose=False)  # fmt: skip
    assert type(caught.value) is InputError
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_augmentation_is_for_training_alone():
    module, plain = data(0, sampling=SamplingSpec(augment=AugmentSpec(recolour=True))), data(0)
    one, other = module.samples("train")[0], plain.samples("train")[0]
    assert not torch.equal(one.video, other.video)
    assert torch.equal(one.tracks, other.tracks)
    assert torch.equal(module.samples("val")[0].video, plain.samples("val")[0].video)


@pytest.fixture
def mixture(tmp_path):
    """Clips with and without tracks on disk, for training and for validation, and generated scenes."""
    for folder, make in (("tracked", moving_clip), ("videos", video_and_cameras)):
        for number in range(4):
            write_clip(tmp_path / folder / f"{number}.npz", make(frames=4, seed=number))
    sources = (
        SourceSpec(tmp_path / "tracked", weight=2.0),
        SourceSpec(tmp_path / "videos"),
        SourceSpec(),
        SourceSpec(tmp_path / "videos", split="val"),
        SourceSpec(tmp_path / "tracked", split="val"),
    )
    return SamplingSpec(sources, frames=FrameSpec(1), crop=CropSpec((8, 8)), num_points=4)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_resumed_fit_sees_the_same_mixture(tmp_path, mixture, workers):
    def go(folder, steps, **options):
        return fit(tmp_path / folder, steps, module=data(workers, sampling=mixture), **options)

    whole, first = go("whole", 6), go("half", 3)
    (checkpoint,) = (tmp_path / "half").glob("*.ckpt")
    rest = go("half", 6, ckpt_path=str(checkpoint))
    assert first.seen + rest.seen == whole.seen
    assert {name.partition("/")[0] for names, _ in whole.seen for name in names} == {"tracked", "videos", "generated"}
    assert set(whole.validated) == {f"{folder}/{number}.npz" for folder in ("tracked", "videos") for number in range(3)}


def test_a_split_without_a_source_is_generated(mixture):
    names = [name for batch in data(0, sampling=mixture).test_dataloader() for name in batch.name]
    assert names == ["synthetic-0-200000000", "synthetic-0-200000001"]


def test_sources_of_other_stages_need_not_be_there(tmp_path):
    module = data(0, sampling=SamplingSpec((SourceSpec(tmp_path / "none"),)))
    module.setup("test")
    with pytest.raises(InputError, match=f"^{tmp_path / 'none'}: no such file or folder"):
        module.setup("fit")


def test_a_generated_source_may_have_a_recipe_of_its_own():
    other = dataclasses.replace(SCENE, image_size=(10, 10))
    sources = (SourceSpec(scene=other, name="larger"),)
    assert data(0, sampling=SamplingSpec(sources)).samples("train")[0].video.shape[-2:] == (10, 10)
