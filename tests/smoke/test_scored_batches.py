"""Tests and validations stopped in the middle: what was scored is not computed again, and scores are equal."""

import json
import signal
import subprocess
import sys
import time

import pytest

from mvt4g.errors import Interrupted
from mvt4g.evaluation.evaluator import BatchScorer
from mvt4g.systems.probe import CorrespondenceProbe
from tests.smoke.conftest import ROOT

OPTIONS = ("-c", "configs/debug.yaml", "--data.init_args.loader.batch_size=1", "--data.init_args.num_test=4")
WRITTEN = ("metrics.json", "scores.csv", "videos.csv")


@pytest.fixture
def scored(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the names of the clips that are scored, in order."""
    names: list[str] = []
    whole = BatchScorer.__call__

    def noting(self, batch, scores, sample):
        names.extend(batch.name)
        return whole(self, batch, scores, sample)

    monkeypatch.setattr(BatchScorer, "__call__", noting)
    return names


def stop_at(monkeypatch: pytest.MonkeyPatch, scored: list[str], count: int) -> pytest.MonkeyPatch:
    """Let Ctrl-C come while every ``count``-th clip is scored."""
    noting, begun = BatchScorer.__call__, len(scored)

    def stopping(self, batch, scores, sample):
        output = noting(self, batch, scores, sample)
        if (len(scored) - begun) % count == 0:
            raise Interrupted(signal.SIGINT)
        return output

    monkeypatch.setattr(BatchScorer, "__call__", stopping)
    return monkeypatch


def test_an_interrupted_test_goes_on(mvt4g, trained_run, tmp_path, scored, capsys):
    through, run = tmp_path / "through", tmp_path / "run"
    words = ["test", *OPTIONS, "--ckpt_path", trained_run, "--run"]
    assert mvt4g(*words, through) == 0
    clips = list(scored)
    assert len(clips) == 4

    with pytest.MonkeyPatch.context() as patch:
        stop_at(patch, scored, 3)
        assert mvt4g(*words, run) == 130
    assert len(list((run / "test" / "scored").iterdir())) == 2
    assert not (run / "test" / "metrics.json").exists()

    scored.clear()
    capsys.readouterr()
    assert mvt4g(*words, run) == 0
    assert scored == clips[2:]
    assert "test: 2 scored, 2 scored before" in capsys.readouterr().out
    for name in WRITTEN:
        assert (run / "test" / name).read_bytes() == (through / "test" / name).read_bytes(), name
    media = [sorted(path.name for path in (folder / "test" / "media").iterdir()) for folder in (run, through)]
    assert media[0] == media[1]
    assert not (run / "test" / "scored").exists(), "a test that is done is computed anew when it is asked for again"


@pytest.mark.slow
def test_other_options_or_weights_are_other_scores(mvt4g, trained_run, tmp_path, scored):
    run = tmp_path / "run"
    words = ["test", *OPTIONS, "--run", run]
    with pytest.MonkeyPatch.context() as patch:
        stop_at(patch, scored, 3)
        assert mvt4g(*words, "--ckpt_path", trained_run) == 130
    scored.clear()
    with pytest.MonkeyPatch.context() as patch:
        stop_at(patch, scored, 1)
        assert mvt4g(*words) == 130  # of weights that nobody trained
        assert mvt4g(*words, "--ckpt_path", trained_run, "--model.init_args.evaluation.num_queries=3") == 130
        no_average = ["--trainer.callbacks=null", "--ckpt_path", trained_run]
        assert mvt4g(*words, *no_average) == 130
    assert len(scored) == 3, "one of these was taken for the first test"


@pytest.mark.slow
def test_an_interrupted_validation_goes_on(mvt4g, trained_run, tmp_path, scored):
    words = ["validate", *OPTIONS, "--data.init_args.num_val=3", "--ckpt_path", trained_run, "--run", tmp_path]
    with pytest.MonkeyPatch.context() as patch:
        stop_at(patch, scored, 2)
        assert mvt4g(*words) == 130
    scored.clear()
    assert mvt4g(*words) == 0
    assert len(scored) == 2
    assert not (tmp_path / "validate" / "scored").exists()


@pytest.mark.slow
def test_an_interrupted_probe_shows_what_one_that_ran_through_shows(mvt4g, trained_run, tmp_path, monkeypatch):
    words = ["test", *OPTIONS, "-c", "configs/experiment/probe.yaml", "--ckpt_path", trained_run, "--run"]
    through, run = tmp_path / "through", tmp_path / "run"
    assert mvt4g(*words, through) == 0
    same_place, begun = CorrespondenceProbe._score_same_place, []

    def stopping(self, truth):
        begun.append(truth)
        if len(begun) == 3:
            raise Interrupted(signal.SIGINT)
        same_place(self, truth)

    monkeypatch.setattr(CorrespondenceProbe, "_score_same_place", stopping)
    assert mvt4g(*words, run) == 130
    begun.clear()
    assert mvt4g(*words, run) == 0
    assert len(begun) == 2
    for name in ("metrics.json", "probe/maps.csv", "probe/matches.png", "probe/matches_by_layer.png"):
        assert (run / "test" / name).read_bytes() == (through / "test" / name).read_bytes(), name


@pytest.mark.slow
def test_a_killed_test_goes_on(mvt4g, trained_run, tmp_path):
    words = ["test", *OPTIONS, "--ckpt_path", trained_run, "--data.init_args.num_test=8", "--run"]
    through, run = tmp_path / "through", tmp_path / "run"
    assert mvt4g(*words, through) == 0
    command = [sys.executable, "-m", "mvt4g", *map(str, words), str(run)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 300
    while len(list((run / "test").glob("scored/[!.]*.pt"))) < 3:
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    told = next(line for line in done.stdout.splitlines() if line.startswith("test: ") and "before" in line)
    made, before = (int(word) for word in told.split() if word.isdigit())
    assert made + before == 8
    assert before >= 3
    for name in WRITTEN:
        assert (run / "test" / name).read_bytes() == (through / "test" / name).read_bytes(), name
    assert len(json.loads((run / "test" / "metrics.json").read_text())) > 50
