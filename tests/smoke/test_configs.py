"""Every experiment's configuration parses and trains a step."""

from pathlib import Path

import pytest

EXPERIMENTS = Path(__file__).parents[2] / "configs" / "experiment"
CONFIGS = sorted(path for path in EXPERIMENTS.glob("*.yaml") if path.stem != "probe")  # goes on top of others
SHORT = (
    "--trainer.max_steps=1",
    "--trainer.limit_val_batches=0",
    "--trainer.accelerator=cpu",
    "--data.init_args.num_train=2",
    "--data.init_args.cache_dir=null",
    "--data.init_args.loader={batch_size: 2, num_workers: 0}",
)


@pytest.mark.parametrize("config", CONFIGS, ids=lambda path: path.stem)
def test_experiment_trains_a_step(mvt4g, tmp_path, config):
    assert mvt4g("fit", "-c", config, "--run", tmp_path, *SHORT) == 0
    assert (tmp_path / "checkpoints" / "step-00000001.ckpt").is_file()


def test_there_is_an_experiment():
    assert "demo" in {path.stem for path in CONFIGS}
