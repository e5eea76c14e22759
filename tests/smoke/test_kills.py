"""A fit killed again and again ends as one that ran through, bit for bit, and its folder holds what the rule says."""

import signal
import zipfile

import numpy as np
import pytest

from mvt4g.callbacks.checkpoints import step_checkpoints
from mvt4g.callbacks.run_record import fit_marker
from tests.smoke.killed_fits import IN_WRITING, kill_in, start
from tests.smoke.test_resume import differing, scalars, training_state

STEPS, EVERY, KEEP = 48, 2, 2
OPTIONS = [
    "fit", "-c", "configs/debug.yaml", "--ckpt_path", "last", "--checkpoint_every", str(EVERY),
    "--trainer.max_steps", str(STEPS), "--trainer.accumulate_grad_batches", "2", "--trainer.val_check_interval", "22",
    "--trainer.log_every_n_steps", "1", "--data.init_args.loader.num_workers", "1",
]  # fmt: skip


def kills(count: int, seed: int) -> list[str | tuple[int, float]]:
    """Return how each start of a fit ends: seconds after a micro-batch of it began, or at a moment of one of its saves.

    A start has at most 8 micro-batches, which hold one save, or two saves of its own: 20 leave the fit unfinished.
    """
    rng = np.random.default_rng(seed)
    chosen: list[str | tuple[int, float]] = []
    for number in range(count):
        if number % 3 == 2:
            chosen.append(f"{IN_WRITING[number // 3 % len(IN_WRITING)]} {rng.integers(1, 3)}")
        else:
            chosen.append((int(rng.integers(1, 8)), float(rng.uniform(0, 0.2))))
    return chosen


def check_folder(run) -> None:
    """Check that every named checkpoint is whole, and that a kill before tidying left one more at most."""
    found = step_checkpoints(run)
    assert len(found) <= KEEP + 1
    for path in found.values():
        assert zipfile.ZipFile(path).testzip() is None


def killed_again_and_again(run, ends) -> int:
    """Kill a fit at each of some moments and let the last start run through; return how many kills met it running."""
    met, reached = 0, set()
    for end in ends:
        if isinstance(end, str):
            process = start([*OPTIONS, "--run", str(run)], end)
            process.join(300)
            met += process.exitcode == -signal.SIGKILL
        else:
            met += kill_in([*OPTIONS, "--run", str(run)], *end)
        check_folder(run)
        reached.add(max(step_checkpoints(run), default=0))
        assert not fit_marker(run).exists()
    assert len(reached) > len(ends) / 4, "kills with few saves between them show little"
    process = start([*OPTIONS, "--run", str(run)])
    process.join(600)
    assert process.exitcode == 0
    return met


def assert_equal(run, through) -> None:
    wanted = training_state(through, STEPS)
    assert wanted["/global_step"] == STEPS
    assert differing(training_state(run, STEPS), wanted) == []
    curves = scalars(through)
    assert scalars(run) == curves
    assert [step for step, _ in curves["train/loss"]] == list(range(STEPS)), "each step once"
    for folder in (run, through):
        assert [*step_checkpoints(folder)] == [STEPS - EVERY, STEPS]
        names = {path.name for path in (folder / "checkpoints").iterdir()}
        assert names == {f"step-{step:08d}.ckpt" for step in (STEPS - EVERY, STEPS)}
        assert not list(folder.rglob("*.part*"))
        assert not list(folder.glob(".*.lock*"))


@pytest.mark.slow
def test_twenty_kills(tmp_path):
    through, killed = tmp_path / "through", tmp_path / "killed"
    process = start([*OPTIONS, "--run", str(through)])
    process.join(600)
    assert process.exitcode == 0
    assert killed_again_and_again(killed, kills(20, seed=14)) == 20
    assert_equal(killed, through)
