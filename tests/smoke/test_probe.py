"""The probe on top of a run's own configuration: what it leaves, whose weights it looks at."""

import csv
import json

import numpy as np
import pytest
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

PROBE = ("test", "-c", "configs/debug.yaml", "-c", "configs/experiment/probe.yaml")
LEVELS = "--model.init_args.probe.noise_levels=[0.75,0.25]"


@pytest.fixture(scope="session")
def checkpoint(trained_run):
    return trained_run / "checkpoints" / "step-00000004.ckpt"


def metrics(run):
    return json.loads((run / "test" / "metrics.json").read_text())


def test_a_probe_leaves_maps_and_pictures(mvt4g, tmp_path, checkpoint):
    assert mvt4g(*PROBE, LEVELS, "--run", tmp_path, "--ckpt_path", checkpoint) == 0
    folder = tmp_path / "test" / "probe"
    with np.load(folder / "maps.npz") as arrays:
        assert arrays["layers"].tolist() == [0, 1]
        assert arrays["sigmas"].tolist() == [0.75, 0.25]
        accuracy, heads = arrays["cross/matching_accuracy"], arrays["heads/ref/confidence"]
        same_place = arrays["same_place/cross"].item()
    assert accuracy.shape == (2, 2)
    assert heads.shape == (2, 2, 2)
    with (folder / "maps.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 5 * 2 * 2 * (1 + 2)
    for row in rows:
        at = int(row["layer"]), [0.75, 0.25].index(float(row["noise_level"]))
        if row["panel"] == "cross" and not row["head"]:
            assert float(row["matching_accuracy"]) == pytest.approx(accuracy[at])
        if row["panel"] == "ref" and row["head"]:
            assert float(row["confidence"]) == pytest.approx(heads[at[0], int(row["head"]), at[1]])
    told = metrics(tmp_path)
    assert told["test/probe/layer1/cross/matching_accuracy"] == pytest.approx(accuracy[1].mean())
    assert told["test/probe/same_place/cross/matching_accuracy"] == pytest.approx(same_place)
    assert told["test/probe/best_layer/cross"] in (0, 1)
    shown = EventAccumulator(str(tmp_path / "test")).Reload().Tags()["images"]
    for name in ("heat_maps", "curves", "heads", "matches", "matches_by_layer"):
        assert min(Image.open(folder / f"{name}.png").size) > 200
        assert f"test/probe/{name}" in shown


@pytest.mark.slow
def test_a_checkpoint_and_a_base_of_it_are_the_same_weights(mvt4g, tmp_path, checkpoint, capsys):
    base = f"--model.init_args.backbone.init_args.weights={checkpoint}"
    runs = {"checkpoint": ("--ckpt_path", checkpoint), "base": (base,), "untrained": ()}
    for name, flags in runs.items():
        assert mvt4g(*PROBE, LEVELS, "--run", tmp_path / name, *flags) == 0
    assert metrics(tmp_path / "checkpoint") == metrics(tmp_path / "base") != metrics(tmp_path / "untrained")

    compared = ("compare-probes", "--before", tmp_path / "untrained", "--after", tmp_path / "base")
    assert mvt4g(*compared, "--out", tmp_path / "pair") == 0
    with (
        np.load(tmp_path / "untrained/test/probe/maps.npz") as old,
        np.load(tmp_path / "base/test/probe/maps.npz") as new,
    ):
        change = new["tgt/confidence"] - old["tgt/confidence"]
    with (tmp_path / "pair" / "difference.csv").open(encoding="utf-8") as file:
        told = [row["confidence"] for row in csv.DictReader(file) if row["panel"] == "tgt" and not row["head"]]
    np.testing.assert_allclose(np.array(told, dtype=float), change.flatten(), rtol=1e-6)
    assert np.abs(change).max() > 1e-6
    shown = EventAccumulator(str(tmp_path / "pair")).Reload().Tags()["images"]
    for name in ("matches", "difference"):
        assert min(Image.open(tmp_path / "pair" / f"{name}.png").size) > 200
        assert f"probes/{name}" in shown

    assert mvt4g(*compared, "--out", tmp_path / "pair", "--layer", "2") == 2
    assert capsys.readouterr().err == "mvt4g: --layer: got 2, want one of (0, 1)\n"
    assert mvt4g("compare-probes", "--before", tmp_path, "--after", tmp_path / "base", "--out", tmp_path / "pair") == 2
    assert "maps.npz: no such file" in capsys.readouterr().err


def test_the_probe_of_another_network_is_one_line(mvt4g, tmp_path, checkpoint, capsys):
    other = "--model.init_args.backbone.init_args.dit.num_layers=3"
    assert mvt4g(*PROBE, other, "--run", tmp_path, "--ckpt_path", checkpoint) == 2
    said = capsys.readouterr().err
    assert said.startswith("mvt4g: --ckpt_path: got weights of another model: ")
    assert " missing: model.backbone.dit.blocks" in said


def test_a_sampled_trajectory_reads_the_levels_of_its_steps(mvt4g, tmp_path):
    sampled = "--model.init_args.probe={trajectory: sampled, sample_steps: 4, steps: [0, 2]}"
    assert mvt4g(*PROBE, sampled, "--run", tmp_path) == 0
    with np.load(tmp_path / "test" / "probe" / "maps.npz") as arrays:
        assert arrays["sigmas"].tolist() == [1.0, 0.5]


def test_a_run_stands_for_its_last_checkpoint(mvt4g, tmp_path, trained_run, capsys):
    assert mvt4g(*PROBE, LEVELS, "--run", tmp_path / "probe", "--ckpt_path", trained_run) == 0
    assert mvt4g(*PROBE, "--run", tmp_path / "none", "--ckpt_path", tmp_path) == 2
    assert f"--ckpt_path: got {tmp_path} but {tmp_path / 'checkpoints'} has none" in capsys.readouterr().err
