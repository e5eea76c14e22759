import logging

import lightning
import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint

from mvt4g.data.kubric import SyntheticClips, recipe_hash
from mvt4g.data.kubric_datamodule import KubricDataModule
from mvt4g.data.loading import LoaderSpec
from mvt4g.synthetic.spec import PointSpec, SceneSpec
from mvt4g.types import InputError, MultiViewClip

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


def test_colour_augmentation_is_for_training_alone():
    module = data(0, augment_colour=True)
    assert module.train_clips.augment_colour
    assert not module.val_clips.augment_colour
    plain = SyntheticClips(SCENE, "train", 10, 0)
    assert not torch.equal(module.train_clips[0].video, plain[0].video)
    assert torch.equal(module.train_clips[0].tracks, plain[0].tracks)
