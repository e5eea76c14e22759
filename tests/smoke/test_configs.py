"""Every experiment's configuration parses and trains a step."""

from pathlib import Path

import pytest
import yaml

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


def test_null_paths_and_lists_of_them_are_recorded_as_what_they_are(mvt4g, capsys):
    """jsonargparse alone makes the words None and [PosixPath('a'), ...] of them, a level or two down."""
    weights, guidance = "--model.init_args.backbone.init_args.weights", "--model.init_args.evaluation.guidance"
    null = (f"{guidance}.text", "a.safetensors", f"{guidance}.text", "null", f"{guidance}.prompt=null")
    for last, recorded in (("[a.pth, b.pth]", ["a.pth", "b.pth"]), ("null", None)):
        with pytest.raises(SystemExit):
            mvt4g("fit", "-c", "configs/debug.yaml", "--run", "run", *null, weights, "c.pth", weights, last,
                  "--print_config")  # fmt: skip
        made = yaml.safe_load(capsys.readouterr().out)["model"]["init_args"]
        assert made["backbone"]["init_args"]["weights"] == recorded
        assert (made["evaluation"]["guidance"]["text"], made["evaluation"]["guidance"]["prompt"]) == (None, None)
