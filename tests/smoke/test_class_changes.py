"""Another class over a configuration: defaults are the new one's own, and what was written for the old is said."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

CONFIG = "configs/debug.yaml"
PARTS = "model.init_args.training.optimizer"


@pytest.fixture
def parsed(mvt4g: Callable[..., int], capfd: pytest.CaptureFixture[str]) -> Callable[..., tuple[dict[str, Any], str]]:
    """Return a call that parses a fit's options over debug.yaml, and gives the configuration and what was said."""

    def call(*args: str | Path) -> tuple[dict[str, Any], str]:
        capfd.readouterr()
        with pytest.raises(SystemExit):
            mvt4g("fit", "-c", CONFIG, *args, "--run", "unused", "--print_config")
        out, err = capfd.readouterr()
        return yaml.safe_load(out), err

    return call


@pytest.mark.parametrize(
    ("name", "own"),
    [
        ("SGD", {"weight_decay": 0}),
        ("Adam", {"weight_decay": 0, "eps": 1e-8}),
        ("RMSprop", {"weight_decay": 0, "eps": 1e-8}),
        ("Adagrad", {"weight_decay": 0, "eps": 1e-10}),
    ],
)
@pytest.mark.parametrize("form", ["file", "option"])
def test_optimizer(parsed, tmp_path, name, own, form):
    """AdamW's weight_decay 0.01 and eps 1e-8 were written by nobody; lr 1e-3 was, and stays where no other is given."""
    if form == "file":
        spec = {"class_path": f"torch.optim.{name}", "init_args": {"lr": 0.1}}
        (tmp_path / "other.yaml").write_text(
            yaml.safe_dump({"model": {"init_args": {"training": {"optimizer": spec}}}})
        )
        config, said = parsed("-c", tmp_path / "other.yaml")
    else:
        config, said = parsed(f"--{PARTS}=torch.optim.{name}")
    optimizer = config["model"]["init_args"]["training"]["optimizer"]
    assert optimizer["class_path"] == f"torch.optim.{name}"
    expected = {"lr": 0.1 if form == "file" else 1e-3} | own
    assert {key: optimizer["init_args"][key] for key in expected} == expected
    assert said == ""  # lr alone was written, and every one of these takes it


@pytest.mark.parametrize("form", ["file", "option"])
def test_the_optimizer_is_understood_where_it_used_to_be(parsed, tmp_path, form):
    """``model.init_args.optimizer`` is ``training.optimizer``, alike in a file and on the command line."""
    if form == "file":
        spec = {"class_path": "torch.optim.SGD", "init_args": {"lr": 0.1}}
        (tmp_path / "other.yaml").write_text(yaml.safe_dump({"model": {"init_args": {"optimizer": spec}}}))
        config, said = parsed("-c", tmp_path / "other.yaml")
    else:
        config, said = parsed("--model.init_args.optimizer=torch.optim.SGD", "--model.init_args.optimizer.lr=0.1")
    assert "optimizer" not in config["model"]["init_args"]
    optimizer = config["model"]["init_args"]["training"]["optimizer"]
    assert (optimizer["class_path"], optimizer["init_args"]["lr"]) == ("torch.optim.SGD", 0.1)
    assert optimizer["init_args"]["weight_decay"] == 0
    assert said == ""


@pytest.mark.parametrize("form", ["file", "option"])
def test_a_pose_estimator_is_understood_by_the_module_it_lay_in(parsed, tmp_path, form):
    old, new = (f"mvt4g.metrics.{room}.photometric.PhotometricAlignment" for room in ("providers", "pose_estimators"))
    option = "--model.init_args.evaluation.videos.poses"
    if form == "file":
        evaluation = {"videos": {"poses": {"class_path": old}}}
        (tmp_path / "other.yaml").write_text(yaml.safe_dump({"model": {"init_args": {"evaluation": evaluation}}}))
        config, _ = parsed("-c", tmp_path / "other.yaml")
    else:
        config, _ = parsed(f"{option}={old}")
    assert config["model"]["init_args"]["evaluation"]["videos"]["poses"]["class_path"] == new


def test_the_tracker_s_optimizer_is_understood_there_too(mvt4g, tmp_path, capfd):
    spec = {"class_path": "torch.optim.SGD", "init_args": {"lr": 0.1}}
    (tmp_path / "other.yaml").write_text(yaml.safe_dump({"model": {"init_args": {"optimizer": spec}}}))
    files = ("-c", CONFIG, "-c", "configs/tracker.yaml", "-c", tmp_path / "other.yaml")
    with pytest.raises(SystemExit):
        mvt4g("fit", *files, "--run", "unused", "--print_config")
    found = yaml.safe_load(capfd.readouterr().out)["model"]["init_args"]["tracker_training"]["optimizer"]
    assert (found["class_path"], found["init_args"]["lr"]) == ("torch.optim.SGD", 0.1)


def test_what_was_written_and_is_dropped_is_said(parsed):
    config, said = parsed(f"--{PARTS}.betas=[0.8, 0.9]", f"--{PARTS}.eps=1e-6", f"--{PARTS}=torch.optim.SGD")
    assert said == "mvt4g: SGD in place of AdamW: dropped betas, eps, no arguments of SGD\n"
    assert config["model"]["init_args"]["training"]["optimizer"]["init_args"]["lr"] == 1e-3


def test_what_is_written_after_the_change_is_kept(parsed):
    config, said = parsed(f"--{PARTS}=torch.optim.Adagrad", f"--{PARTS}.eps=1e-6")
    assert config["model"]["init_args"]["training"]["optimizer"]["init_args"]["eps"] == 1e-6
    assert said == ""


def test_there_and_back(parsed):
    """What a class in between could not take is gone, and was said; defaults are the last class's own."""
    words = (f"--{PARTS}.betas=[0.8, 0.9]", f"--{PARTS}=torch.optim.SGD", f"--{PARTS}=torch.optim.AdamW")
    config, said = parsed(*words)
    found = config["model"]["init_args"]["training"]["optimizer"]["init_args"]
    assert (found["lr"], found["betas"], found["weight_decay"]) == (1e-3, [0.9, 0.999], 0.01)
    assert "dropped betas" in said


def test_data(parsed, tmp_path):
    (tmp_path / "data.yaml").write_text(
        "data: {class_path: mvt4g.data.latent_datamodule.LatentDataModule, init_args: {loader: {batch_size: 3}}}\n"
    )
    config, said = parsed("-c", tmp_path / "data.yaml")
    assert said == (
        "mvt4g: LatentDataModule in place of KubricDataModule: dropped scene, num_train, num_val, num_test, "
        "no arguments of LatentDataModule\n"
    )
    loader = config["data"]["init_args"]["loader"]
    assert (loader["batch_size"], loader["num_workers"]) == (3, 0)  # debug.yaml's num_workers was written


def test_a_class_within_a_class(parsed):
    """Scenes' cameras: arguments of the same name in both classes are not passed on unless they were written."""
    base = "data.init_args.scene.cameras"
    fresh, _ = parsed(f"--{base}=mvt4g.synthetic.camera_specs.LinearCameras")
    words = (
        f"--{base}=mvt4g.synthetic.camera_specs.RingCameras",
        f"--{base}=mvt4g.synthetic.camera_specs.LinearCameras",
    )
    through, _ = parsed(*words)
    assert through == fresh


def test_a_run_says_it_once(mvt4g, capfd, tmp_path):
    words = (f"--{PARTS}.betas=[0.8, 0.9]", f"--{PARTS}=torch.optim.SGD", "--trainer.max_steps=2")
    assert mvt4g("fit", "-c", CONFIG, *words, "--run", tmp_path / "run") == 0
    out, err = capfd.readouterr()
    assert out.count("dropped betas") == 1
    assert err == ""
