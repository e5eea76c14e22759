"""``predict`` of a video four times as long as a model's clips: killed, it goes on from its last window."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from mvt4g.formats.video import read_video, write_video
from mvt4g.inference.window_store import PROGRESS, WindowFolder

pytestmark = pytest.mark.slow
WINDOWS = "--model.init_args.evaluation.windows={length: 3, overlap: 1}"


@pytest.fixture
def predict(mvt4g, trained_run, tmp_path):
    video = tmp_path / "long.mp4"
    write_video(video, torch.rand(12, 3, 32, 32, generator=torch.Generator().manual_seed(3)), fps=8)
    config = ["-c", trained_run / "config.yaml", "-c", "configs/data/davis.yaml", "--ckpt_path", trained_run]
    size = "--data.init_args.size={height: 32, width: 32, num_frames: 12, temporal_stride: 1}"
    data = [size, f"--data.init_args.video={video}", "--data.init_args.queries=grid:2"]

    def call(run: str, *flags: str) -> int:
        return mvt4g("predict", *config, "--run", tmp_path / run, *data, WINDOWS, *flags)

    return call


class Killed(BaseException):
    """Stands for a kill."""


def result(run: Path) -> Path:
    (folder,) = (run / "predict" / "long").iterdir()
    return folder


def test_a_killed_predict_goes_on_from_its_last_window(predict, tmp_path, monkeypatch):
    assert predict("through") == 0
    whole = result(tmp_path / "through")
    video, fps = read_video(whole / "generated.mp4")
    assert (len(video), fps) == (12, 8.0)
    assert np.load(whole / "tracks.npz")["tracks"].shape == (2, 12, 4, 2)

    save = WindowFolder.save
    saved = []

    def dies(store, progress):
        save(store, progress)
        saved.append(progress.done)
        if progress.done == 3:
            raise Killed

    monkeypatch.setattr(WindowFolder, "save", dies)
    with pytest.raises(Killed):
        predict("killed")
    (folder,) = (tmp_path / "killed" / "records" / "predict" / "long").glob("*.windows")
    assert (folder / PROGRESS).is_file()
    saved.clear()
    assert predict("killed") == 0
    assert saved == [4, 5, 6], "three windows of six were done"
    again = result(tmp_path / "killed")
    for name in ("generated.mp4", "reference.mp4", "overlay.mp4", "tracks.npz", "tracks.json", "cameras.json"):
        assert (again / name).read_bytes() == (whole / name).read_bytes(), name
    assert not folder.exists(), "the results are there"
    # Done is done, and other windows are other results.
    saved.clear()
    assert predict("killed") == 0
    assert predict("killed", WINDOWS.replace("overlap: 1", "overlap: 2")) == 2
    assert not saved
    options = json.loads((tmp_path / "killed" / "records" / "predict" / "long" / f"{again.name}.json").read_text())
    assert options["inputs"]["settings"]["model"]["init_args"]["evaluation"]["windows"]["length"] == 3
