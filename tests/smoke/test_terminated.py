"""A fit that is told to stop saves at the end of its step, says so in one line, and goes on from there."""

import os
import signal

import lightning
import pytest

from mvt4g.callbacks.checkpoints import step_checkpoints
from mvt4g.callbacks.run_record import fit_marker

QUICK = (
    "--trainer.max_steps=3", "--checkpoint_every=100", "--trainer.limit_val_batches=0",
    "--trainer.val_check_interval=null", "--data.init_args.loader.batch_size=1",
    "--trainer.callbacks={class_path: tests.smoke.test_terminated.Stop}",
)  # fmt: skip


class Stop(lightning.Callback):
    """Sends this process what a scheduler or a terminal sends, if the environment says so."""

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        if os.environ.get("STOP_AFTER_STEP") == str(trainer.global_step):
            os.kill(os.getpid(), int(os.environ["STOP_BY"]))


@pytest.mark.parametrize(("signum", "code", "how"), [(signal.SIGTERM, 143, "terminated"),
                                                     (signal.SIGINT, 130, "interrupted")])  # fmt: skip
def test_a_stopped_fit(mvt4g, tmp_path, monkeypatch, capsys, signum, code, how):
    handlers = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)]
    command = ("fit", "-c", "configs/debug.yaml", "--run", tmp_path, "--ckpt_path", "last", "--trust", "tests", *QUICK)
    monkeypatch.setenv("STOP_AFTER_STEP", "2")
    monkeypatch.setenv("STOP_BY", str(int(signum)))
    assert mvt4g(*command) == code
    last = tmp_path / "checkpoints" / "step-00000002.ckpt"
    assert capsys.readouterr().err == f"mvt4g: {how} at step 2; {last}\n"
    assert step_checkpoints(tmp_path) == {2: last}
    assert not fit_marker(tmp_path).exists()
    assert [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)] == handlers
    monkeypatch.delenv("STOP_AFTER_STEP")
    assert mvt4g(*command) == 0
    assert "fit is finished at step 3" in capsys.readouterr().out
    assert fit_marker(tmp_path).exists()
    fit_marker(tmp_path).unlink()
    assert mvt4g(*command) == 0
    assert "was finished before" in capsys.readouterr().out
    assert fit_marker(tmp_path).exists(), "killed between its last checkpoint and the mark, it has nothing left to do"
