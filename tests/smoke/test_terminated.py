"""A fit that a scheduler's SIGTERM ends is not a finished one, and goes on from its last checkpoint."""

import os
import signal

import lightning

from mvt4g.callbacks.run_record import fit_marker


class Terminate(lightning.Callback):
    """Sends this process what a scheduler sends, if the environment says so."""

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        if os.environ.get("TERMINATE_AFTER_STEP") == str(trainer.global_step):
            os.kill(os.getpid(), signal.SIGTERM)


def test_a_terminated_fit(mvt4g, tmp_path, monkeypatch, capsys):
    callback = "--trainer.callbacks={class_path: tests.smoke.test_terminated.Terminate}"
    quick = (
        "--trainer.max_steps=2", "--checkpoint_every=1", "--trainer.limit_val_batches=0",
        "--trainer.val_check_interval=null", "--data.init_args.loader.batch_size=1",
    )  # fmt: skip
    command = ("fit", "-c", "configs/debug.yaml", "--run", tmp_path, "--ckpt_path", "last", callback, *quick)
    monkeypatch.setenv("TERMINATE_AFTER_STEP", "1")
    assert mvt4g(*command) == 143
    assert capsys.readouterr().err == "mvt4g: terminated\n"
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["step-00000001.ckpt"]
    assert not fit_marker(tmp_path).exists()
    monkeypatch.delenv("TERMINATE_AFTER_STEP")
    assert mvt4g(*command) == 0
    assert fit_marker(tmp_path).exists()
    fit_marker(tmp_path).unlink()
    assert mvt4g(*command) == 0
    assert fit_marker(tmp_path).exists(), "killed between its last checkpoint and the mark, it has nothing left to do"
