"""What a result is told to depend on: any change of it makes another result, and nothing else does."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mvt4g.data.camera_paths import CameraAssumption
from mvt4g.data.frame_selection import FrameSelection
from mvt4g.data.given_videos import ViewRequest, ViewSettings
from mvt4g.data.target_cameras import TargetCamera
from mvt4g.data.video_size import VideoSize


@pytest.fixture
def request_of_a_view(tmp_path: Path) -> ViewRequest:
    for name, content in (("a.mp4", "1"), ("b.mp4", "2"), ("q.csv", "3"), ("r.csv", "4")):
        (tmp_path / name).write_text(content)
    settings = ViewSettings(VideoSize(), str(tmp_path / "q.csv"), CameraAssumption())
    return ViewRequest(tmp_path / "a.mp4", TargetCamera.parse("arc_left"), settings)


@pytest.mark.parametrize(
    "change",
    [
        {"size": VideoSize(height=32)},
        {"size": VideoSize(frames=FrameSelection(step=2))},
        {"queries": "grid:8"},
        {"queries": "r.csv"},
        {"camera": CameraAssumption(fov_deg=50.0)},
        {"camera": CameraAssumption(strength=0.5)},
    ],
)
def test_every_option_counts(request_of_a_view: ViewRequest, tmp_path: Path, change: dict[str, Any]) -> None:
    told = {name: str(tmp_path / value) if value == "r.csv" else value for name, value in change.items()}
    changed = replace(request_of_a_view, settings=replace(request_of_a_view.settings, **told))
    assert changed.inputs() != request_of_a_view.inputs()


def test_files_count_by_their_content(request_of_a_view: ViewRequest, tmp_path: Path) -> None:
    before = request_of_a_view.inputs()
    assert replace(request_of_a_view, target=TargetCamera.parse("arc_right")).inputs() != before
    assert replace(request_of_a_view, several=True).inputs() == before, "other items do not count"
    (tmp_path / "q.csv").write_text("5")
    after = request_of_a_view.inputs()
    assert after != before
    (tmp_path / "a.mp4").write_text("6")
    assert request_of_a_view.inputs() != after


def test_the_sources_cameras_count_by_their_content(request_of_a_view: ViewRequest, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("1")
    camera = CameraAssumption(source=str(tmp_path / "{name}.json"))
    given = replace(request_of_a_view, settings=replace(request_of_a_view.settings, camera=camera))
    before = given.inputs()
    assert before != request_of_a_view.inputs()
    assert "source" not in request_of_a_view.inputs()["assumed"], "results made without it stay what they are"
    (tmp_path / "a.json").write_text("2")
    assert given.inputs() != before
