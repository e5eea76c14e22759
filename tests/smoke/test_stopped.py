"""How a fit that cannot go on ends: one line, its code, and a folder that holds nothing half-done."""

import os
import resource

import lightning
import pytest

from mvt4g.callbacks.checkpoints import step_checkpoints
from mvt4g.callbacks.run_record import fit_marker
from mvt4g.formats.run_lock import run_lock

QUICK = (
    "-c", "configs/debug.yaml", "--trainer.max_steps=3", "--checkpoint_every=1", "--trainer.limit_val_batches=0",
    "--trainer.val_check_interval=null", "--data.init_args.loader.batch_size=1",
)  # fmt: skip
SPOILT = ("--trust", "tests", "--trainer.callbacks={class_path: tests.smoke.test_stopped.Spoil}")


class Spoil(lightning.Callback):
    """Makes the clips of a step those of a broken reader, if the environment says so."""

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        here = os.environ.get("SPOIL_RANK", "0") == str(trainer.global_rank)
        if here and os.environ.get("SPOIL_STEP") == str(trainer.global_step + 1):
            batch.video[:, 1, 0] = float("nan")


@pytest.fixture
def stopped(mvt4g, tmp_path, capsys):
    def fit(*options) -> str:
        assert mvt4g("fit", *QUICK, "--run", tmp_path / "run", *options) == 1
        (line,) = capsys.readouterr().err.splitlines()
        assert not fit_marker(tmp_path / "run").exists()
        return line

    return fit


def test_nan_in_the_first_step_leaves_the_folder_free(stopped, tmp_path, monkeypatch):
    monkeypatch.setenv("SPOIL_STEP", "1")
    line = stopped(*SPOILT)
    assert line.startswith("mvt4g: step 1: train/loss_corr is nan, for data that is not finite: synthetic-")
    assert "(video); there is no checkpoint" in line
    assert not (tmp_path / "run").exists()


def test_nan_later_keeps_the_last_good_checkpoint(stopped, tmp_path, monkeypatch):
    monkeypatch.setenv("SPOIL_STEP", "2")
    line = stopped(*SPOILT)
    assert line.startswith("mvt4g: step 2: ")
    assert "the last checkpoint is step-00000001.ckpt" in line
    assert [*step_checkpoints(tmp_path / "run")] == [1]


def test_a_second_writer(stopped, tmp_path):
    with run_lock(tmp_path / "run", "fit"):
        line = stopped()
        assert [path.name for path in (tmp_path / "run").iterdir()] == [".fit.lock"]
    assert f"is written to by another fit of process {os.getpid()}" in line


def test_a_full_disk(stopped, tmp_path):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, limits[1]))
    try:
        line = stopped()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "step-00000001.ckpt: cannot be written (File too large, want room on its disk)" in line
    assert not list((tmp_path / "run").rglob("*.ckpt"))
